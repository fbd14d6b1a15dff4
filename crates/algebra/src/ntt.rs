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

use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use crate::arch::{self, Level};
use crate::field::F;

/// Values Σ_c `coefficients[c]`·x^c at x. The definition.
pub fn evaluate_at(coefficients: &[F], x: F) -> F {
    coefficients.iter().rev().fold(F::ZERO, |sum, &c| sum * x + c)
}

/// Longest transform whose twiddle factors the process keeps: 10 MB of them.
const MOST_SHARED: u32 = 20;

/// log2 R layers of all blocks of one length.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "no vector unit"))]
#[derive(Clone, Debug)]
pub(crate) struct Pass {
    /// Length of a block.
    pub(crate) block: usize,
    /// R: 2, 4 or 8.
    pub(crate) radix: usize,
    /// ω_m^(j·r), r = 1..R with its bits reversed, each for all j < m/R.
    pub(crate) twiddles: Vec<F>,
}

/// What one way to run the kernels needs of a transform: passes if it has vectors, otherwise layers.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "no vector unit"))]
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// From the longest blocks to the shortest.
    pub(crate) passes: Vec<Pass>,
    /// `layers[i]`: the powers ω^0, .., of the root of order 2^(i+1), 2^i of them.
    layers: Vec<Vec<F>>,
}

/// Twiddle factors of a transform of length 2^log_n.
#[derive(Clone)]
pub struct Ntt {
    log_n: u32,
    level: Level,
    plan: Plan,
}

impl Ntt {
    /// Prepares transforms of length 2^log_n, log_n <= 32.
    pub fn new(log_n: u32) -> Self {
        Self::at(Level::best(), log_n)
    }

    /// As [`Self::new`] for one way to run the kernels.
    pub fn at(level: Level, log_n: u32) -> Self {
        let passes = level.lanes().map_or_else(Vec::new, |lanes| passes(log_n, lanes.ilog2()));
        if !passes.is_empty() {
            return Self { log_n, level, plan: Plan { passes, layers: Vec::new() } };
        }
        let layers = (0..log_n).map(|i| powers_of_root(i + 1, 1 << i)).collect();
        Self { log_n, level: Level::PORTABLE, plan: Plan { passes, layers } }
    }

    /// As [`Self::new`]; up to length 2^20 the whole process shares one copy.
    pub fn shared(log_n: u32) -> Arc<Self> {
        static SHARED: [OnceLock<Arc<Ntt>>; MOST_SHARED as usize + 1] =
            [const { OnceLock::new() }; MOST_SHARED as usize + 1];
        match SHARED.get(log_n as usize) {
            Some(slot) => slot.get_or_init(|| Arc::new(Self::new(log_n))).clone(),
            None => Arc::new(Self::new(log_n)),
        }
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
        self.forward_padded(values, self.len());
    }

    /// [`Self::forward`] of the first `present` coefficients; what lies behind them is taken as 0,
    /// whatever it holds.
    pub fn forward_padded(&self, values: &mut [F], present: usize) {
        assert_eq!(values.len(), self.len(), "transform length");
        arch::forward(self.level, &self.plan, values, present);
    }

    /// [`Self::forward_padded`] of every column of a matrix of n rows of `width` elements, row by row; rows from
    /// `present` on are taken as 0.
    pub fn forward_columns(&self, values: &mut [F], width: usize, present: usize) {
        assert_eq!(values.len(), self.len() * width, "rows of the transform's length");
        let done = arch::forward_columns(self.level, &self.plan, values, width, present);
        // What whole vectors leave.
        let mut column = Zeroizing::new(vec![F::ZERO; self.len()]);
        for i in done..width {
            column.iter_mut().zip(values.chunks_exact(width)).for_each(|(slot, row)| *slot = row[i]);
            self.forward_padded(&mut column, present);
            values.chunks_exact_mut(width).zip(&*column).for_each(|(row, &x)| row[i] = x);
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
        self.powers_first(sparse, self.len())
    }

    /// As [`Self::powers`] for c < `count` alone, `count` at most n.
    pub fn powers_first(&self, sparse: &[(usize, F)], count: usize) -> Vec<F> {
        assert!(count <= self.len(), "{count} values of a transform of length {}", self.len());
        let mut values = vec![F::ZERO; self.len()];
        for &(j, x) in sparse {
            values[j] += x;
        }
        self.forward(&mut values);
        (0..count).map(|c| values[self.slot(c)]).collect()
    }
}

/// Powers 0.. of the root of order 2^log, `count` of them.
fn powers_of_root(log: u32, count: usize) -> Vec<F> {
    powers_of(F::root_of_unity(log).unwrap_or(F::ONE), count)
}

fn powers_of(x: F, count: usize) -> Vec<F> {
    core::iter::successors(Some(F::ONE), |&power| Some(power * x)).take(count).collect()
}

/// Passes of a transform of length 2^log_n on vectors of 2^log_lanes words: as many layers at a time
/// as a vector has bits of index, then what is left over, then twice those layers as the last pass.
/// The widest comes first, where a padded row is mostly zeros. None if the transform is too short.
fn passes(log_n: u32, log_lanes: u32) -> Vec<Pass> {
    let last = 2 * log_lanes;
    let mut passes = Vec::new();
    let mut log = log_n;
    while log > last {
        let layers = log_lanes.min(log - last);
        passes.push(pass(log, layers));
        log -= layers;
    }
    if log == last {
        passes.push(pass(log, log_lanes));
    }
    passes
}

/// The pass of 2^log_radix parts on blocks of 2^log.
fn pass(log: u32, log_radix: u32) -> Pass {
    let root = F::root_of_unity(log).unwrap_or(F::ONE);
    let part = 1usize << (log - log_radix);
    let radix = 1u64 << log_radix;
    let reversed = |r: u64| r.reverse_bits() >> (u64::BITS - log_radix);
    let twiddles = (1..radix).flat_map(|r| powers_of(root.pow(reversed(r)), part)).collect();
    Pass { block: 1 << log, radix: radix as usize, twiddles }
}

/// The transform in plain text, layer by layer.
pub(crate) mod layers {
    use super::{F, Plan};

    /// Blocks of this length are transformed layer by layer; longer ones are cut first, so that the
    /// work stays in the cache.
    const BLOCK: usize = 1 << 12;

    /// Transforms in place; coefficients from `present` on are taken as 0.
    pub(crate) fn forward(plan: &Plan, values: &mut [F], present: usize) {
        values[present..].fill(F::ZERO);
        transform(&plan.layers, values);
    }

    /// How many columns of a matrix are transformed together: none.
    pub(crate) fn forward_columns(_: &Plan, _: &mut [F], _width: usize, _present: usize) -> usize {
        0
    }

    /// Transforms a block of length 2^(number of layers).
    fn transform(layers: &[Vec<F>], values: &mut [F]) {
        let Some((longest, shorter)) = layers.split_last() else { return };
        if values.len() > BLOCK {
            let (low, high) = butterflies(values, longest);
            transform(shorter, low);
            transform(shorter, high);
            return;
        }
        for (i, layer) in layers.iter().enumerate().rev() {
            for block in values.chunks_exact_mut(2 << i) {
                butterflies(block, layer);
            }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::P;

    fn words(n: usize, seed: u64) -> Vec<F> {
        let word = |i: usize| match i % 7 {
            3 => P - 1,
            5 => 0xffff_ffff,
            _ => (i as u64 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15),
        };
        (0..n).map(|i| F::new(word(i))).collect()
    }

    #[test]
    fn transform_is_evaluation() {
        for level in Level::available() {
            for log_n in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14u32] {
                let ntt = Ntt::at(level, log_n);
                let n = ntt.len();
                let coefficients = words(n, 3);
                let mut values = coefficients.clone();
                ntt.forward(&mut values);
                let root = F::root_of_unity(log_n).unwrap();
                for j in (0..n).step_by(1 + n / 512) {
                    let direct = evaluate_at(&coefficients, root.pow(j as u64));
                    assert_eq!(values[ntt.slot(j)], direct, "{} 2^{log_n} {j}", level.name());
                }
            }
        }
    }

    #[test]
    fn levels_agree() {
        for log_n in 0..17u32 {
            let plain = Ntt::at(Level::PORTABLE, log_n);
            let n = plain.len();
            for present in [0, 1, n / 8, n / 4, n / 2 - n / 16, n / 2, n / 2 + 1, n - 1, n] {
                let present = present.min(n);
                let mut expected = words(n, 17);
                expected[present..].fill(F::ZERO);
                plain.forward(&mut expected);
                for level in Level::available() {
                    let mut values = words(n, 17);
                    Ntt::at(level, log_n).forward_padded(&mut values, present);
                    assert!(values == expected, "{} 2^{log_n} of {present}", level.name());
                }
            }
        }
    }

    #[test]
    fn columns_are_transformed_one_by_one() {
        for level in Level::available() {
            for (log_n, width) in
                [(0, 3), (2, 9), (4, 16), (5, 8), (6, 1), (6, 24), (6, 29), (7, 17), (9, 11u32)]
            {
                let (ntt, width) = (Ntt::at(level, log_n), width as usize);
                let n = ntt.len();
                for present in [0, 1, n / 4, n / 4 + 1, n / 2, n] {
                    let present = present.min(n);
                    let mut values = words(n * width, 5);
                    let column = |values: &[F], i: usize| -> Vec<F> {
                        values.chunks_exact(width).map(|row| row[i]).collect()
                    };
                    let mut expected: Vec<Vec<F>> = (0..width).map(|i| column(&values, i)).collect();
                    let plain = Ntt::at(Level::PORTABLE, log_n);
                    expected.iter_mut().for_each(|column| plain.forward_padded(column, present));
                    ntt.forward_columns(&mut values, width, present);
                    for (i, expected) in expected.iter().enumerate() {
                        assert!(
                            column(&values, i) == *expected,
                            "{} 2^{log_n}, {i} of {width}",
                            level.name()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn shared_is_one_copy() {
        assert!(Arc::ptr_eq(&Ntt::shared(7), &Ntt::shared(7)));
        assert_eq!(Ntt::shared(7).len(), 128);
    }

    #[test]
    fn powers_is_the_vandermonde_sum() {
        let ntt = Ntt::new(5);
        let sparse = [(3usize, F::new(11)), (17, F::new(5)), (30, F::new(P - 1))];
        let got = ntt.powers(&sparse);
        let root = F::root_of_unity(5).unwrap();
        for (c, &value) in got.iter().enumerate() {
            let direct: F = sparse.iter().map(|&(j, x)| x * root.pow((j * c) as u64)).sum();
            assert_eq!(value, direct);
        }
        assert_eq!(ntt.powers_first(&sparse, 9), got[..9]);
    }
}
