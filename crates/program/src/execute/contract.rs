//! Sums of products as blocked integer matrix products.

use algebra::arch::factors::dots as four;

use crate::interval::axes_used;
use crate::lower::{Ip, Lowered};

use super::hands::PIECE;
use super::read::{Known, Values, add_slice, is_plain, read};
use super::small::{Scene, products};

/// Rows of the left factor that share one pass over the right factor.
const LEFT_BLOCK: usize = 4;
/// Entries of the right factor that stay in the cache while the left factor passes.
const RIGHT_BLOCK: usize = 1 << 14;

/// Position axes of an inner product by who reads them.
pub(super) struct Roles {
    pub(super) joint: Vec<usize>,
    pub(super) left: Vec<usize>,
    pub(super) right: Vec<usize>,
    pub(super) sum: Vec<usize>,
    /// Product of the sum axes that neither factor reads.
    pub(super) repeat: i64,
}

impl Roles {
    pub(super) fn of(ip: &Ip) -> Roles {
        let (a, b) = (axes_used(&ip.a), axes_used(&ip.b));
        let reads = |used: u32, axis: usize| used >> axis & 1 == 1;
        let rank = ip.outputs.len();
        let outputs = |in_a: bool, in_b: bool| {
            let role = |axis: &usize| reads(a, *axis) == in_a && reads(b, *axis) == in_b;
            (0..rank).filter(role).collect::<Vec<_>>()
        };
        let mut left = outputs(true, false);
        left.extend(outputs(false, false));
        let sums = rank..rank + ip.sums.len();
        let (sum, free): (Vec<usize>, Vec<usize>) = sums.partition(|&axis| reads(a | b, axis));
        let repeat = free.iter().map(|&axis| ip.sums[axis - rank] as i64).product();
        Roles { joint: outputs(true, true), left, right: outputs(false, true), sum, repeat }
    }
}

/// `sum of a * b + c` at every output position, row-major over the outputs.
pub(super) fn contract(ip: &Ip, lowered: &Lowered, values: &Values, known: &Known) -> Vec<i64> {
    let lengths: Vec<usize> = ip.outputs.iter().chain(&ip.sums).copied().collect();
    let roles = Roles::of(ip);
    let size = |axes: &[usize]| axes.iter().map(|&axis| lengths[axis]).product::<usize>();
    let shape = Shape { left: size(&roles.left), right: size(&roles.right), sum: size(&roles.sum) };
    let places = [&roles.joint, &roles.left, &roles.right].map(|axes| offsets(axes, &ip.outputs));
    let mut out = vec![0i64; ip.outputs.iter().product()];
    let scene = Scene { ip, lowered, values, known, roles: &roles, lengths: &lengths, shape };
    if products(scene, &places, &mut out).is_none() {
        plain(scene, &places, &mut out);
    }
    if roles.repeat != 1 {
        out.iter_mut().for_each(|out| *out = out.wrapping_mul(roles.repeat));
    }
    add_c(ip, lowered, values, &mut out);
    out
}

/// The definition of the sums: 64-bit products of what the Forms read.
pub(super) fn plain(scene: Scene<'_>, places: &[Vec<usize>; 3], out: &mut [i64]) {
    let Scene { ip, lowered, values, roles, lengths, shape, .. } = scene;
    let order_a = [roles.joint.as_slice(), &roles.left, &roles.sum].concat();
    let order_b = [roles.joint.as_slice(), &roles.right, &roles.sum].concat();
    let turned = [roles.joint.as_slice(), &roles.sum, &roles.right].concat();
    let a = read(&ip.a, &order_a, lengths, lowered, values);
    let lies = |order: &[usize]| match ip.b.0.as_slice() {
        [(1, view)] => is_plain(view, &lowered.tensors[view.tensor as usize].axes, order, lengths),
        _ => false,
    };
    let by_rows = !lies(&order_b) && lies(&turned) && shape.left <= LEFT_BLOCK;
    let b = read(&ip.b, if by_rows { &turned } else { &order_b }, lengths, lowered, values);
    multiply(&a, &b, &shape, by_rows, places, out);
}

fn add_c(ip: &Ip, lowered: &Lowered, values: &Values, out: &mut [i64]) {
    if ip.c.0.is_empty() {
        return;
    }
    let order: Vec<usize> = (0..ip.outputs.len()).collect();
    let c = read(&ip.c, &order, &ip.outputs, lowered, values);
    let pieces = out.chunks_mut(PIECE).zip(c.chunks(PIECE));
    values.hands.each(pieces, |(out, c)| add_slice(out, 1, c));
}

/// Offset in the row-major output of every position of the given axes.
pub(super) fn offsets(axes: &[usize], outputs: &[usize]) -> Vec<usize> {
    let mut list = vec![0usize];
    for &axis in axes {
        let stride: usize = outputs[axis + 1..].iter().product();
        list = list.iter().flat_map(|&base| (0..outputs[axis]).map(move |x| base + x * stride)).collect();
    }
    list
}

/// Sizes of one matrix product.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) sum: usize,
}

/// One matrix product per joint position.
fn multiply(a: &[i64], b: &[i64], shape: &Shape, by_rows: bool, places: &[Vec<usize>; 3], out: &mut [i64]) {
    let [joint, left, right] = places;
    if shape.sum == 1 && shape.left == 1 && shape.right == 1 {
        for ((&place, &a), &b) in joint.iter().zip(a).zip(b) {
            out[place] = a.wrapping_mul(b);
        }
        return;
    }
    let (rows_a, rows_b) = (shape.left * shape.sum, shape.right * shape.sum);
    for (j, &base) in joint.iter().enumerate() {
        let (from, to) = (j * rows_a..(j + 1) * rows_a, j * rows_b..(j + 1) * rows_b);
        let mut put = |l: usize, r: usize, value: i64| out[base + left[l] + right[r]] = value;
        if by_rows {
            rows(&a[from], &b[to], shape, &mut put);
        } else {
            dots(&a[from], &b[to], shape, &mut put);
        }
    }
}

/// Products of rows: `a` is (left, sum), `b` is (right, sum). The right factor is taken in blocks
/// that stay in the cache.
fn dots(a: &[i64], b: &[i64], shape: &Shape, put: &mut impl FnMut(usize, usize, i64)) {
    let sum = shape.sum;
    let step = (RIGHT_BLOCK / sum.max(1)).max(1);
    let empty: &[i64] = &[];
    for first in (0..shape.right).step_by(step) {
        let end = (first + step).min(shape.right);
        for top in (0..shape.left).step_by(LEFT_BLOCK) {
            let count = LEFT_BLOCK.min(shape.left - top);
            let row = |i: usize| if i < count { &a[(top + i) * sum..][..sum] } else { empty };
            let block = [row(0), row(1), row(2), row(3)];
            for r in first..end {
                let sums = four(block, &b[r * sum..][..sum]);
                sums.iter().take(count).enumerate().for_each(|(i, &value)| put(top + i, r, value));
            }
        }
    }
}

/// The right factor as (sum, right): scaled rows are added up. Good for few left rows.
fn rows(a: &[i64], b: &[i64], shape: &Shape, put: &mut impl FnMut(usize, usize, i64)) {
    let mut line = vec![0i64; shape.right];
    for l in 0..shape.left {
        line.fill(0);
        for (&factor, row) in a[l * shape.sum..][..shape.sum].iter().zip(b.chunks_exact(shape.right)) {
            if factor != 0 {
                for (to, &entry) in line.iter_mut().zip(row) {
                    *to = to.wrapping_add(factor.wrapping_mul(entry));
                }
            }
        }
        line.iter().enumerate().for_each(|(r, &value)| put(l, r, value));
    }
}
