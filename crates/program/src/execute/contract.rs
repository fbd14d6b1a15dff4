//! Sums of products as blocked integer matrix products.

use crate::interval::axes_used;
use crate::lower::{Ip, Lowered};

use super::read::{Values, is_plain, read};

/// Rows of the left factor that share one pass over the right factor.
const LEFT_BLOCK: usize = 4;
/// Entries of the right factor that stay in the cache while the left factor passes.
const RIGHT_BLOCK: usize = 1 << 14;
/// Largest absolute value of the 16-bit kernel.
const SMALL: i64 = 1 << 15;

/// Position axes of an inner product by who reads them.
struct Roles {
    joint: Vec<usize>,
    left: Vec<usize>,
    right: Vec<usize>,
    sum: Vec<usize>,
    /// Product of the sum axes that neither factor reads.
    repeat: i64,
}

impl Roles {
    fn of(ip: &Ip) -> Roles {
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
pub(super) fn contract(ip: &Ip, lowered: &Lowered, values: &Values) -> Vec<i64> {
    let lengths: Vec<usize> = ip.outputs.iter().chain(&ip.sums).copied().collect();
    let roles = Roles::of(ip);
    let size = |axes: &[usize]| axes.iter().map(|&axis| lengths[axis]).product::<usize>();
    let order_a = [roles.joint.as_slice(), &roles.left, &roles.sum].concat();
    let order_b = [roles.joint.as_slice(), &roles.right, &roles.sum].concat();
    let turned = [roles.joint.as_slice(), &roles.sum, &roles.right].concat();
    let a = read(&ip.a, &order_a, &lengths, lowered, values);
    let plain = |order: &[usize]| match ip.b.0.as_slice() {
        [(1, view)] => is_plain(view, &lowered.tensors[view.tensor as usize].axes, order, &lengths),
        _ => false,
    };
    let by_rows = !plain(&order_b) && plain(&turned) && size(&roles.left) <= LEFT_BLOCK;
    let b = read(&ip.b, if by_rows { &turned } else { &order_b }, &lengths, lowered, values);
    let shape = Shape { left: size(&roles.left), right: size(&roles.right), sum: size(&roles.sum) };
    let places = [&roles.joint, &roles.left, &roles.right].map(|axes| offsets(axes, &ip.outputs));
    let mut out = vec![0i64; ip.outputs.iter().product()];
    multiply(&a, &b, &shape, by_rows, &places, &mut out);
    if roles.repeat != 1 {
        out.iter_mut().for_each(|out| *out = out.wrapping_mul(roles.repeat));
    }
    add_c(ip, lowered, values, &mut out);
    out
}

fn add_c(ip: &Ip, lowered: &Lowered, values: &Values, out: &mut [i64]) {
    if ip.c.0.is_empty() {
        return;
    }
    let order: Vec<usize> = (0..ip.outputs.len()).collect();
    let c = read(&ip.c, &order, &ip.outputs, lowered, values);
    out.iter_mut().zip(c.iter()).for_each(|(out, &c)| *out = out.wrapping_add(c));
}

/// Offset in the row-major output of every position of the given axes.
fn offsets(axes: &[usize], outputs: &[usize]) -> Vec<usize> {
    let mut list = vec![0usize];
    for &axis in axes {
        let stride: usize = outputs[axis + 1..].iter().product();
        list = list.iter().flat_map(|&base| (0..outputs[axis]).map(move |x| base + x * stride)).collect();
    }
    list
}

/// Sizes of one matrix product.
struct Shape {
    left: usize,
    right: usize,
    sum: usize,
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
    let small = if by_rows { None } else { narrow(a, b, shape) };
    for (j, &base) in joint.iter().enumerate() {
        let (from, to) = (j * rows_a..(j + 1) * rows_a, j * rows_b..(j + 1) * rows_b);
        let mut put = |l: usize, r: usize, value: i64| out[base + left[l] + right[r]] = value;
        match &small {
            Some((a, b, block)) => dots(&a[from], &b[to], shape, &mut put, |a, b| dot_small(a, b, *block)),
            None if by_rows => rows(&a[from], &b[to], shape, &mut put),
            None => dots(&a[from], &b[to], shape, &mut put, dot),
        }
    }
}

/// Both factors in 16 bits, with the number of products that fit a 32-bit sum; none when they do
/// not fit or the conversion would cost more than it saves.
fn narrow(a: &[i64], b: &[i64], shape: &Shape) -> Option<(Vec<i16>, Vec<i16>, usize)> {
    if shape.left < LEFT_BLOCK || shape.right < LEFT_BLOCK || shape.sum < 8 {
        return None;
    }
    let most = |data: &[i64]| data.iter().fold(0i64, |most, &value| most.max(value.saturating_abs()));
    let (most_a, most_b) = (most(a), most(b));
    if most_a >= SMALL || most_b >= SMALL {
        return None;
    }
    let block = (i64::from(i32::MAX) / (most_a * most_b).max(1)) as usize / 16 * 16;
    let convert = |data: &[i64]| data.iter().map(|&value| value as i16).collect();
    (block > 0).then(|| (convert(a), convert(b), block))
}

/// Products of rows: `a` is (left, sum), `b` is (right, sum). The right factor is taken in blocks
/// that stay in the cache.
fn dots<T>(
    a: &[T],
    b: &[T],
    shape: &Shape,
    put: &mut impl FnMut(usize, usize, i64),
    dot: impl Fn([&[T]; LEFT_BLOCK], &[T]) -> [i64; LEFT_BLOCK],
) {
    let sum = shape.sum;
    let step = (RIGHT_BLOCK / sum.max(1)).max(1);
    let empty: &[T] = &[];
    for first in (0..shape.right).step_by(step) {
        let end = (first + step).min(shape.right);
        for top in (0..shape.left).step_by(LEFT_BLOCK) {
            let count = LEFT_BLOCK.min(shape.left - top);
            let row = |i: usize| if i < count { &a[(top + i) * sum..][..sum] } else { empty };
            let block = [row(0), row(1), row(2), row(3)];
            for r in first..end {
                let sums = dot(block, &b[r * sum..][..sum]);
                sums.iter().take(count).enumerate().for_each(|(i, &value)| put(top + i, r, value));
            }
        }
    }
}

fn dot_one(a: &[i64], b: &[i64]) -> i64 {
    a.iter().zip(b).fold(0i64, |sum, (&a, &b)| sum.wrapping_add(a.wrapping_mul(b)))
}

/// Four rows against one.
fn dot(a: [&[i64]; LEFT_BLOCK], b: &[i64]) -> [i64; LEFT_BLOCK] {
    let [a0, a1, a2, a3] = a;
    if a3.len() != b.len() {
        return a.map(|row| dot_one(row, b));
    }
    let mut sums = [0i64; LEFT_BLOCK];
    for ((((&b, &a0), &a1), &a2), &a3) in b.iter().zip(a0).zip(a1).zip(a2).zip(a3) {
        sums[0] = sums[0].wrapping_add(a0.wrapping_mul(b));
        sums[1] = sums[1].wrapping_add(a1.wrapping_mul(b));
        sums[2] = sums[2].wrapping_add(a2.wrapping_mul(b));
        sums[3] = sums[3].wrapping_add(a3.wrapping_mul(b));
    }
    sums
}

/// Four rows against one in 16 bits; `block` products fit a 32-bit sum.
fn dot_small(a: [&[i16]; LEFT_BLOCK], b: &[i16], block: usize) -> [i64; LEFT_BLOCK] {
    a.map(|row| {
        let products = |a: &[i16], b: &[i16]| {
            a.iter().zip(b).fold(0i32, |sum, (&a, &b)| sum.wrapping_add(i32::from(a) * i32::from(b)))
        };
        row.chunks(block).zip(b.chunks(block)).map(|(a, b)| i64::from(products(a, b))).sum()
    })
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
