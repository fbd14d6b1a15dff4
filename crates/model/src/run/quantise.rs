//! Quantisation as ONNX defines it.

use super::{Eval, range, reals};
use crate::graph::DType;
use crate::tensor::{Data, Tensor};

/// Index of the scale that each element uses.
fn channel(shape: &[usize], axis: usize, scales: usize) -> impl Fn(usize) -> usize {
    let inner: usize = if scales == 1 { 1 } else { shape[axis + 1..].iter().product() };
    move |flat| if scales == 1 { 0 } else { flat / inner % scales }
}

/// saturate(round_half_even(x / scale) + zero).
pub(super) fn quantize(x: &Tensor, axis: usize, scale: &[f32], zero: &[i64], dtype: DType) -> Eval<Data> {
    let (low, high) = range(dtype).ok_or("quantised type is not an integer type")?;
    let at = channel(&x.shape, axis, scale.len());
    let one = |(i, v): (usize, &f32)| {
        let c = at(i);
        ((v / scale[c]).round_ties_even() as i64).saturating_add(zero[c]).clamp(low, high)
    };
    Ok(Data::I64(reals(x)?.iter().enumerate().map(one).collect()))
}

/// (x - zero) * scale.
pub(super) fn dequantize(x: &Tensor, axis: usize, scale: &[f32], zero: &[i64]) -> Eval<Data> {
    let v = x.as_i64().ok_or("the operand is not an integer tensor")?;
    let at = channel(&x.shape, axis, scale.len());
    let one = |(i, v): (usize, &i64)| {
        let c = at(i);
        v.wrapping_sub(zero[c]) as f32 * scale[c]
    };
    Ok(Data::F32(v.iter().enumerate().map(one).collect()))
}
