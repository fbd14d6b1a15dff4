//! Reductions along axes.

use super::elementwise::repeat_strides;
use super::{Eval, reals, wrap};
use crate::graph::DType;
use crate::tensor::{Data, Tensor};

/// Folds over axes; the result has length 1 there.
fn fold<T: Copy, A: Copy>(
    x: &[T],
    shape: &[usize],
    axes: &[usize],
    start: A,
    f: impl Fn(A, T) -> A,
) -> Vec<A> {
    let kept: Vec<usize> = (0..shape.len()).map(|i| if axes.contains(&i) { 1 } else { shape[i] }).collect();
    let strides = repeat_strides(&kept, shape);
    let mut out = vec![start; kept.iter().product()];
    let mut at = vec![0; shape.len()];
    let mut slot = 0;
    for v in x {
        out[slot] = f(out[slot], *v);
        for axis in (0..shape.len()).rev() {
            at[axis] += 1;
            slot += strides[axis];
            if at[axis] < shape[axis] {
                break;
            }
            slot -= strides[axis] * shape[axis];
            at[axis] = 0;
        }
    }
    out
}

/// Sum; reals are accumulated in 64 bits.
pub(super) fn sum(x: &Tensor, axes: &[usize], dtype: DType) -> Eval<Data> {
    match &x.data {
        Data::F32(v) => {
            let sums = fold(v, &x.shape, axes, 0.0f64, |a, v| a + f64::from(v));
            Ok(Data::F32(sums.into_iter().map(|s| s as f32).collect()))
        }
        Data::I64(v) => {
            let sums = fold(v, &x.shape, axes, 0i64, |a, v| a.wrapping_add(v));
            Ok(Data::I64(sums.into_iter().map(|s| wrap(dtype, s)).collect()))
        }
        Data::Bool(_) => Err("sum of truth values".into()),
    }
}

/// Mean.
pub(super) fn mean(x: &Tensor, axes: &[usize]) -> Eval<Data> {
    let sums = fold(reals(x)?, &x.shape, axes, 0.0f64, |a, v| a + f64::from(v));
    let count: usize = axes.iter().map(|a| x.shape[*a]).product();
    Ok(Data::F32(sums.into_iter().map(|s| (s / count as f64) as f32).collect()))
}

/// Largest element.
pub(super) fn max(x: &Tensor, axes: &[usize]) -> Eval<Data> {
    match &x.data {
        Data::F32(v) => Ok(Data::F32(fold(v, &x.shape, axes, f32::NEG_INFINITY, f32::max))),
        Data::I64(v) => Ok(Data::I64(fold(v, &x.shape, axes, i64::MIN, i64::max))),
        Data::Bool(_) => Err("maximum of truth values".into()),
    }
}

/// Calls `visit` with the flat indices of every line along an axis.
fn lines(shape: &[usize], axis: usize, mut visit: impl FnMut(usize, usize)) {
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    for o in 0..outer {
        for i in 0..inner {
            visit(o * shape[axis] * inner + i, inner);
        }
    }
}

/// Index of the largest element of each line.
pub(super) fn arg_max(x: &Tensor, axis: usize, last: bool) -> Eval<Data> {
    let mut out = Vec::new();
    let len = x.shape[axis];
    match &x.data {
        Data::F32(v) => {
            lines(&x.shape, axis, |start, step| out.push(best(len, last, |i| v[start + i * step])))
        }
        Data::I64(v) => {
            lines(&x.shape, axis, |start, step| out.push(best(len, last, |i| v[start + i * step])))
        }
        Data::Bool(_) => return Err("ArgMax of truth values".into()),
    }
    Ok(Data::I64(out))
}

fn best<T: PartialOrd>(len: usize, last: bool, get: impl Fn(usize) -> T) -> i64 {
    let mut best = 0;
    for i in 1..len {
        if get(i) > get(best) || (last && get(i) == get(best)) {
            best = i;
        }
    }
    best as i64
}

/// Softmax or its logarithm along one axis.
pub(super) fn softmax(x: &Tensor, axis: usize, log: bool) -> Eval<Vec<f32>> {
    let v = reals(x)?;
    let mut out = vec![0.0; v.len()];
    let len = x.shape[axis];
    lines(&x.shape, axis, |start, step| {
        let at = |i: usize| start + i * step;
        let top = (0..len).map(|i| v[at(i)]).fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = (0..len).map(|i| f64::from(v[at(i)] - top).exp()).sum();
        for i in 0..len {
            let shifted = f64::from(v[at(i)] - top);
            out[at(i)] = if log { shifted - sum.ln() } else { shifted.exp() / sum } as f32;
        }
    });
    Ok(out)
}
