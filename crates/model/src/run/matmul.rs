//! Matrix products.

use super::elementwise::repeat_strides;
use super::{Eval, reals};
use crate::tensor::Tensor;

/// Rows of `b` that stay in the nearest cache while all rows of `a` pass by.
const BLOCK: usize = 64;

/// out += a · b with a: (m, k), b: (k, n), row-major.
pub(super) fn gemm(m: usize, k: usize, n: usize, a: &[f32], b: &[f32], out: &mut [f32]) {
    if n == 0 {
        return;
    }
    for start in (0..k).step_by(BLOCK) {
        let end = (start + BLOCK).min(k);
        for (row, out) in out.chunks_exact_mut(n).enumerate().take(m) {
            for p in start..end {
                let factor = a[row * k + p];
                for (o, y) in out.iter_mut().zip(&b[p * n..(p + 1) * n]) {
                    *o += factor * y;
                }
            }
        }
    }
}

/// numpy matmul of operands with at least two axes.
pub(super) fn matmul(a: &Tensor, b: &Tensor, shape: &[usize]) -> Eval<Vec<f32>> {
    let (x, y) = (reals(a)?, reals(b)?);
    let (ra, rb, rank) = (a.shape.len(), b.shape.len(), shape.len());
    let (m, k, n) = (a.shape[ra - 2], a.shape[ra - 1], b.shape[rb - 1]);
    let mut out = vec![0.0; shape.iter().product()];
    if out.is_empty() {
        return Ok(out);
    }
    let batch = &shape[..rank - 2];
    let ta = repeat_strides(&a.shape[..ra - 2], batch);
    let tb = repeat_strides(&b.shape[..rb - 2], batch);
    for (index, out) in out.chunks_exact_mut(m * n).enumerate() {
        let (ia, ib) = (offset(index, batch, &ta), offset(index, batch, &tb));
        gemm(m, k, n, &x[ia * m * k..(ia + 1) * m * k], &y[ib * k * n..(ib + 1) * k * n], out);
    }
    Ok(out)
}

/// Position of the `index`-th batch entry in an operand.
fn offset(mut index: usize, batch: &[usize], strides: &[usize]) -> usize {
    let mut at = 0;
    for (len, stride) in batch.iter().zip(strides).rev() {
        at += index % len * stride;
        index /= len;
    }
    at
}
