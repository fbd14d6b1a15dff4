//! Sliding windows: convolution and pooling over any number of spatial axes.

use super::matmul::gemm;
use super::{Eval, reals};
use crate::graph::Window;
use crate::tensor::{Data, Tensor};

/// Walks all positions of a box, last axis fastest.
fn positions(lens: &[usize], mut visit: impl FnMut(usize, &[usize])) {
    let count: usize = lens.iter().product();
    let mut at = vec![0; lens.len()];
    for index in 0..count {
        visit(index, &at);
        for axis in (0..lens.len()).rev() {
            at[axis] += 1;
            if at[axis] < lens[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
}

/// Where kernel position `k` of window `o` reads: the flat index, or `None` in the padding.
fn source(o: &[usize], k: &[usize], lens: &[usize], w: &Window) -> Option<usize> {
    let mut flat = 0;
    for axis in 0..lens.len() {
        let at = (o[axis] * w.strides[axis] + k[axis] * w.dilations[axis]).checked_sub(w.pads[axis].0)?;
        if at >= lens[axis] {
            return None;
        }
        flat = flat * lens[axis] + at;
    }
    Some(flat)
}

/// Most entries of an unfolded window table or column matrix.
const MAX_UNFOLDED: usize = 1 << 28;

/// Refuses windows whose unfolding would take too much memory.
fn bounded(factors: &[usize]) -> Eval<()> {
    let size = factors.iter().try_fold(1usize, |n, f| n.checked_mul(*f));
    if size.is_some_and(|n| n <= MAX_UNFOLDED) {
        Ok(())
    } else {
        Err("the unfolded windows exceed 2^28 entries".into())
    }
}

/// For each kernel position and window the flat input index (`usize::MAX` in the padding).
fn sources(lens: &[usize], outs: &[usize], w: &Window) -> Vec<usize> {
    let mut all = Vec::new();
    positions(&w.kernel, |_, k| {
        positions(outs, |_, o| all.push(source(o, k, lens, w).unwrap_or(usize::MAX)));
    });
    all
}

/// Convolution by unfolding windows into columns, then one matrix product per sample and group.
pub(super) fn conv(x: &[&Tensor], w: &Window, group: usize, shape: &[usize]) -> Eval<Vec<f32>> {
    let (data, weights) = (reals(x[0])?, reals(x[1])?);
    let (lens, outs) = (&x[0].shape[2..], &shape[2..]);
    let (plane, pixels): (usize, usize) = (lens.iter().product(), outs.iter().product());
    let (channels, taps): (usize, usize) = (x[1].shape[1], w.kernel.iter().product());
    let per_group = shape[1] / group;
    let mut out = vec![0.0; shape.iter().product()];
    if out.is_empty() {
        return Ok(out);
    }
    if let Some(bias) = x.get(2) {
        let bias = reals(bias)?;
        for (index, run) in out.chunks_exact_mut(pixels).enumerate() {
            run.fill(bias[index % shape[1]]);
        }
    }
    bounded(&[channels, taps, pixels])?;
    let from = sources(lens, outs, w);
    let mut columns = vec![0.0; channels * taps * pixels];
    for (block, out) in out.chunks_exact_mut(per_group * pixels).enumerate() {
        let g = block % group;
        for c in 0..channels {
            let plane = &data[(block * channels + c) * plane..][..plane];
            let column = &mut columns[c * taps * pixels..][..taps * pixels];
            for (slot, index) in column.iter_mut().zip(&from) {
                *slot = plane.get(*index).copied().unwrap_or(0.0);
            }
        }
        let rows = channels * taps;
        gemm(per_group, rows, pixels, &weights[g * per_group * rows..][..per_group * rows], &columns, out);
    }
    Ok(out)
}

/// Folds each window of each plane; padding is skipped.
fn fold<T: Copy>(
    x: &[T],
    lens: &[usize],
    outs: &[usize],
    w: &Window,
    start: T,
    f: impl Fn(T, T) -> T,
) -> Eval<Vec<T>> {
    let (plane, pixels): (usize, usize) = (lens.iter().product(), outs.iter().product());
    bounded(&[w.kernel.iter().product(), pixels])?;
    let from = sources(lens, outs, w);
    let planes = x.len().checked_div(plane).unwrap_or(0);
    let mut out = vec![start; planes * pixels];
    if out.is_empty() {
        return Ok(out);
    }
    for (plane, out) in x.chunks_exact(plane).zip(out.chunks_exact_mut(pixels)) {
        for tap in from.chunks_exact(pixels) {
            for (slot, index) in out.iter_mut().zip(tap) {
                if let Some(v) = plane.get(*index) {
                    *slot = f(*slot, *v);
                }
            }
        }
    }
    Ok(out)
}

/// Largest element of each window.
pub(super) fn max_pool(x: &Tensor, w: &Window, shape: &[usize]) -> Eval<Data> {
    let (lens, outs) = (&x.shape[2..], &shape[2..]);
    match &x.data {
        Data::F32(v) => Ok(Data::F32(fold(v, lens, outs, w, f32::NEG_INFINITY, f32::max)?)),
        Data::I64(v) => Ok(Data::I64(fold(v, lens, outs, w, i64::MIN, i64::max)?)),
        Data::Bool(_) => Err("pooling of truth values".into()),
    }
}

/// Mean of each window.
///
/// A window may hang over the end of the padded input only through the extra end padding that
/// ceil mode adds; the importer rewrites that case, so here padding counts or it does not.
pub(super) fn average_pool(x: &Tensor, w: &Window, count_pad: bool, shape: &[usize]) -> Eval<Vec<f32>> {
    let (lens, outs) = (&x.shape[2..], &shape[2..]);
    let mut out = fold(reals(x)?, lens, outs, w, 0.0, |a, b| a + b)?;
    let pixels: usize = outs.iter().product();
    let taps: usize = w.kernel.iter().product();
    let mut counts = vec![0.0f32; pixels];
    for tap in sources(lens, outs, w).chunks_exact(pixels.max(1)) {
        for (count, index) in counts.iter_mut().zip(tap) {
            *count += if *index == usize::MAX { 0.0 } else { 1.0 };
        }
    }
    if count_pad {
        counts.fill(taps as f32);
    }
    for (index, v) in out.iter_mut().enumerate() {
        *v /= counts[index % pixels];
    }
    Ok(out)
}
