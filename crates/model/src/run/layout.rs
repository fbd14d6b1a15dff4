//! Moving elements without changing them.

use super::Eval;
use super::elementwise::repeat_strides;
use crate::tensor::{Data, Tensor};

/// Applies the same rearrangement to any content.
macro_rules! each_kind {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            Data::F32($v) => Data::F32($body),
            Data::I64($v) => Data::I64($body),
            Data::Bool($v) => Data::Bool($body),
        }
    };
}

/// Row-major strides.
fn strides(shape: &[usize]) -> Vec<i64> {
    let mut out = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        out[i - 1] = out[i] * shape[i] as i64;
    }
    out
}

/// Reads `count(shape)` elements at `base + sum(at * stride)`.
fn walk<T: Copy>(v: &[T], base: i64, strides: &[i64], shape: &[usize]) -> Vec<T> {
    let count: usize = shape.iter().product();
    let mut out = Vec::with_capacity(count);
    let mut at = vec![0; shape.len()];
    let mut from = base;
    for _ in 0..count {
        out.push(v[from as usize]);
        for axis in (0..shape.len()).rev() {
            at[axis] += 1;
            from += strides[axis];
            if at[axis] < shape[axis] {
                break;
            }
            from -= strides[axis] * shape[axis] as i64;
            at[axis] = 0;
        }
    }
    out
}

pub(super) fn transpose(x: &Tensor, perm: &[usize]) -> Data {
    let old = strides(&x.shape);
    let steps: Vec<i64> = perm.iter().map(|p| old[*p]).collect();
    let shape: Vec<usize> = perm.iter().map(|p| x.shape[*p]).collect();
    each_kind!(&x.data, v => walk(v, 0, &steps, &shape))
}

pub(super) fn slice(x: &Tensor, starts: &[i64], steps: &[i64], shape: &[usize]) -> Data {
    let old = strides(&x.shape);
    let base = old.iter().zip(starts).map(|(s, b)| s * b).sum();
    let steps: Vec<i64> = old.iter().zip(steps).map(|(s, t)| s * t).collect();
    each_kind!(&x.data, v => walk(v, base, &steps, shape))
}

pub(super) fn expand(x: &Tensor, shape: &[usize]) -> Data {
    let steps: Vec<i64> = repeat_strides(&x.shape, shape).into_iter().map(|s| s as i64).collect();
    each_kind!(&x.data, v => walk(v, 0, &steps, shape))
}

pub(super) fn concat(parts: &[&Tensor], axis: usize) -> Eval<Data> {
    let outer: usize = parts[0].shape[..axis].iter().product();
    let run = |p: &Tensor| p.shape[axis..].iter().product::<usize>();
    fn join<T: Copy>(parts: &[(&[T], usize)], outer: usize) -> Vec<T> {
        let piece = |o: usize| parts.iter().flat_map(move |(v, n)| v[o * n..(o + 1) * n].iter().copied());
        (0..outer).flat_map(piece).collect()
    }
    macro_rules! all {
        ($kind:path) => {{
            let of = |p: &&'_ Tensor| -> Option<usize> { matches!(p.data, $kind(_)).then(|| run(p)) };
            let lens: Option<Vec<usize>> = parts.iter().map(of).collect();
            lens.map(|lens| {
                let slices = parts
                    .iter()
                    .zip(lens)
                    .filter_map(|(p, n)| if let $kind(v) = &p.data { Some((&v[..], n)) } else { None });
                $kind(join(&slices.collect::<Vec<_>>(), outer))
            })
        }};
    }
    all!(Data::F32)
        .or_else(|| all!(Data::I64))
        .or_else(|| all!(Data::Bool))
        .ok_or_else(|| "cannot join operands of different kinds".into())
}

pub(super) fn gather(x: &Tensor, axis: usize, indices: &[usize]) -> Data {
    let inner: usize = x.shape[axis + 1..].iter().product();
    let block = x.shape[axis] * inner;
    let outer: usize = x.shape[..axis].iter().product();
    fn pick<T: Copy>(v: &[T], outer: usize, block: usize, inner: usize, indices: &[usize]) -> Vec<T> {
        let row =
            |o: usize| indices.iter().flat_map(move |i| v[o * block + i * inner..][..inner].iter().copied());
        (0..outer).flat_map(row).collect()
    }
    each_kind!(&x.data, v => pick(v, outer, block, inner, indices))
}

pub(super) fn pad(x: &Tensor, pads: &[(i64, i64)], value: f32, shape: &[usize]) -> Data {
    fn fill<T: Copy>(v: &[T], old: &[usize], pads: &[(i64, i64)], value: T, shape: &[usize]) -> Vec<T> {
        let count: usize = shape.iter().product();
        let mut out = Vec::with_capacity(count);
        let mut at: Vec<i64> = pads.iter().map(|p| -p.0).collect();
        for _ in 0..count {
            let inside = at.iter().zip(old).all(|(a, n)| (0..*n as i64).contains(a));
            let flat = at.iter().zip(old).fold(0, |f, (a, n)| f * *n as i64 + a);
            out.push(if inside { v[flat as usize] } else { value });
            for axis in (0..shape.len()).rev() {
                at[axis] += 1;
                if at[axis] + pads[axis].0 < shape[axis] as i64 {
                    break;
                }
                at[axis] = -pads[axis].0;
            }
        }
        out
    }
    match &x.data {
        Data::F32(v) => Data::F32(fill(v, &x.shape, pads, value, shape)),
        Data::I64(v) => Data::I64(fill(v, &x.shape, pads, value as i64, shape)),
        Data::Bool(v) => Data::Bool(fill(v, &x.shape, pads, value != 0.0, shape)),
    }
}
