//! Number-theoretic transform over F: coefficients in, values at the powers of ω_n out.
#![cfg_attr(
    not(test),
    expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        reason = "only the prover transforms; sizes are its own"
    )
)]

use crate::field::F;

/// Values Σ_c `coefficients[c]`·x^c at x. The definition.
pub fn evaluate_at(coefficients: &[F], x: F) -> F {
    coefficients.iter().rev().fold(F::ZERO, |sum, &c| sum * x + c)
}

/// Blocks of this length are transformed layer by layer; longer ones are cut first, so that the
/// work stays in the cache.
const BLOCK: usize = 1 << 12;

/// Twiddle factors of a transform of length 2^log_n.
#[derive(Clone)]
pub struct Ntt {
    log_n: u32,
    /// `layers[i]`: the powers ω^0, .., of the root of order 2^(i+1), 2^i of them.
    layers: Vec<Vec<F>>,
}

impl Ntt {
    /// Prepares transforms of length 2^log_n, log_n <= 32.
    pub fn new(log_n: u32) -> Self {
        let mut layers: Vec<Vec<F>> = Vec::with_capacity(log_n as usize);
        if log_n > 0 {
            let root = F::root_of_unity(log_n).unwrap_or(F::ONE);
            let half = 1usize << (log_n - 1);
            let mut twiddles = Vec::with_capacity(half);
            let mut x = F::ONE;
            for _ in 0..half {
                twiddles.push(x);
                x *= root;
            }
            layers.push(twiddles);
        }
        while let Some(last) = layers.last().filter(|last| last.len() > 1) {
            let next = last.iter().step_by(2).copied().collect();
            layers.push(next);
        }
        layers.reverse();
        Self { log_n, layers }
    }

    /// Length n.
    pub fn len(&self) -> usize {
        1 << self.log_n
    }

    /// Never: a transform has length 1 or more.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// In place: coefficients (natural order) to values, value at ω^j in [`Self::slot`] of j.
    pub fn forward(&self, values: &mut [F]) {
        assert_eq!(values.len(), self.len(), "transform length");
        self.transform(values, self.layers.len());
    }

    /// Transforms a block of length 2^count.
    fn transform(&self, values: &mut [F], count: usize) {
        if values.len() > BLOCK {
            let (low, high) = butterflies(values, &self.layers[count - 1]);
            self.transform(low, count - 1);
            self.transform(high, count - 1);
            return;
        }
        for (i, layer) in self.layers.iter().enumerate().take(count).rev() {
            for block in values.chunks_exact_mut(2 << i) {
                butterflies(block, layer);
            }
        }
    }

    /// Where [`Self::forward`] puts the value at ω^j: j with its bits reversed.
    #[inline]
    pub fn slot(&self, j: usize) -> usize {
        if self.log_n == 0 { 0 } else { j.reverse_bits() >> (usize::BITS - self.log_n) }
    }

    /// Values in natural order of the transpose: Σ_j sparse_j ω^{jc} for c < n. Since the
    /// transform matrix is symmetric this is a forward transform of the sparse vector.
    pub fn powers(&self, sparse: &[(usize, F)]) -> Vec<F> {
        let mut values = vec![F::ZERO; self.len()];
        for &(j, x) in sparse {
            values[j] += x;
        }
        self.forward(&mut values);
        (0..self.len()).map(|c| values[self.slot(c)]).collect()
    }
}

/// One layer on one block: (a, b) becomes (a + b, (a - b)·w).
#[inline]
fn butterflies<'a>(block: &'a mut [F], twiddles: &[F]) -> (&'a mut [F], &'a mut [F]) {
    let (low, high) = block.split_at_mut(block.len() / 2);
    for ((a, b), &w) in low.iter_mut().zip(high.iter_mut()).zip(twiddles) {
        let (x, y) = (*a, *b);
        *a = x + y;
        *b = (x - y) * w;
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transform_is_evaluation() {
        for log_n in [0, 1, 2, 3, 5, 8, 14u32] {
            let ntt = Ntt::new(log_n);
            let n = ntt.len();
            let coefficients: Vec<F> =
                (0..n).map(|i| F::new((i as u64 + 3).wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
            let mut values = coefficients.clone();
            ntt.forward(&mut values);
            let root = F::root_of_unity(log_n).unwrap();
            for j in (0..n).step_by(1 + n / 512) {
                assert_eq!(values[ntt.slot(j)], evaluate_at(&coefficients, root.pow(j as u64)));
            }
        }
    }

    #[test]
    fn powers_is_the_vandermonde_sum() {
        let ntt = Ntt::new(5);
        let sparse = [(3usize, F::new(11)), (17, F::new(5)), (30, F::new(P_MINUS))];
        let got = ntt.powers(&sparse);
        let root = F::root_of_unity(5).unwrap();
        for (c, &value) in got.iter().enumerate() {
            let direct: F = sparse.iter().map(|&(j, x)| x * root.pow((j * c) as u64)).sum();
            assert_eq!(value, direct);
        }
    }

    const P_MINUS: u64 = crate::field::P - 1;
}
