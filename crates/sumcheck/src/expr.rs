//! Expressions: a constant plus a linear functional of committed data.

use std::sync::Arc;

use algebra::layout::Chunk;
use algebra::multilinear::{eq_index, eq_points, eq_prefix, eq1, evaluate};
use algebra::{F, K};

/// A vector over one axis of a tensor: one factor of a rank-one functional.
#[derive(Clone, Debug)]
pub enum Axis {
    /// eq(r, i) for all i of the axis.
    Eq(Arc<[K]>),
    /// eq(r, i - off) on one chunk of the axis, else 0. The point has as many coordinates as the chunk bits.
    EqChunk(Chunk, Arc<[K]>),
    /// 1 at one index, else 0.
    Unit(usize),
    /// 1 everywhere.
    Ones,
    /// Given values; its length is the axis length.
    Dense(Arc<[K]>),
}

impl Axis {
    /// The vector on the chunk, as 2^log values.
    pub fn on_chunk(&self, chunk: Chunk) -> Vec<K> {
        let length = 1usize << chunk.log;
        match self {
            Self::Eq(r) => {
                let high = algebra::multilinear::selector(r, chunk.off, chunk.log);
                let low = r.get(..chunk.log).unwrap_or(r);
                eq_prefix(low, length).into_iter().map(|x| x * high).collect()
            }
            Self::EqChunk(own, r) => {
                if *own == chunk {
                    eq_prefix(r, length)
                } else {
                    vec![K::ZERO; length]
                }
            }
            Self::Unit(i) => (0..length)
                .map(|j| if j.checked_add(chunk.off) == Some(*i) { K::ONE } else { K::ZERO })
                .collect(),
            Self::Ones => vec![K::ONE; length],
            Self::Dense(values) => {
                let mut part: Vec<K> = values.iter().skip(chunk.off).take(length).copied().collect();
                part.resize(length, K::ZERO);
                part
            }
        }
    }

    /// Whether the vector is surely 0 on the chunk.
    pub fn vanishes_on(&self, chunk: Chunk) -> bool {
        match self {
            Self::EqChunk(own, _) => *own != chunk,
            Self::Unit(i) => i.checked_sub(chunk.off).is_none_or(|j| j >> chunk.log != 0),
            Self::Eq(_) | Self::Ones | Self::Dense(_) => false,
        }
    }

    /// Σ_j `v[off + j]`·eq(ζ, j) over the chunk: what the verifier computes (spec A2).
    pub fn at(&self, chunk: Chunk, zeta: &[K]) -> K {
        match self {
            Self::Eq(r) => {
                let low = r.get(..chunk.log).unwrap_or(r);
                algebra::multilinear::selector(r, chunk.off, chunk.log) * eq_points(low, zeta)
            }
            Self::EqChunk(own, r) => {
                if *own == chunk {
                    r.iter().zip(zeta).map(|(&a, &b)| eq1(a, b)).product()
                } else {
                    K::ZERO
                }
            }
            Self::Unit(i) => i.checked_sub(chunk.off).map_or(K::ZERO, |j| eq_index(zeta, j)),
            Self::Ones => K::ONE,
            Self::Dense(values) => {
                let end = chunk.off.saturating_add(1usize << chunk.log).min(values.len());
                evaluate(values.get(chunk.off..end).unwrap_or_default(), zeta)
            }
        }
    }

    /// All entries of an axis of length n.
    pub fn dense(&self, n: usize) -> Vec<K> {
        match self {
            Self::Eq(r) => eq_prefix(r, n),
            Self::EqChunk(own, r) => {
                let mut values = vec![K::ZERO; n];
                let table = eq_prefix(r, 1usize << own.log);
                for (slot, value) in values.iter_mut().skip(own.off).zip(table) {
                    *slot = value;
                }
                values
            }
            Self::Unit(i) => (0..n).map(|j| if j == *i { K::ONE } else { K::ZERO }).collect(),
            Self::Ones => vec![K::ONE; n],
            Self::Dense(values) => values.to_vec(),
        }
    }
}

/// coef · Σ_idx `T[idx]` ∏_a `axes_a[idx_a]` for a committed tensor T.
#[derive(Clone, Debug)]
pub struct Term {
    /// Coefficient.
    pub coef: K,
    /// Tensor number.
    pub tensor: u32,
    /// One vector per axis of the tensor.
    pub axes: Vec<Axis>,
}

/// A constant plus a linear functional of committed tensors, pads and pad products.
#[derive(Clone, Debug, Default)]
pub struct Expr {
    /// The constant.
    pub constant: K,
    /// Coefficients of pads, by pad number.
    pub pads: Vec<(usize, K)>,
    /// Coefficients of committed pad products, by product number.
    pub products: Vec<(usize, K)>,
    /// Functional of tensors.
    pub terms: Vec<Term>,
}

impl From<K> for Expr {
    fn from(constant: K) -> Self {
        Self { constant, ..Self::default() }
    }
}

impl Expr {
    /// self ← self + other · factor.
    pub fn add_scaled(&mut self, other: Self, factor: K) {
        *self = core::mem::take(self).plus(other.scaled(factor));
    }

    /// self · factor.
    #[must_use]
    pub fn scaled(mut self, factor: K) -> Self {
        self.constant *= factor;
        self.pads.iter_mut().for_each(|(_, x)| *x *= factor);
        self.products.iter_mut().for_each(|(_, x)| *x *= factor);
        self.terms.iter_mut().for_each(|term| term.coef *= factor);
        self
    }

    /// self + other.
    #[must_use]
    pub fn plus(mut self, mut other: Self) -> Self {
        self.constant += other.constant;
        self.pads.append(&mut other.pads);
        self.products.append(&mut other.products);
        self.terms.append(&mut other.terms);
        self
    }

    /// self - other.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.plus(other.scaled(-K::ONE))
    }

    /// self · f for f in F.
    #[must_use]
    pub fn scaled_base(self, f: F) -> Self {
        self.scaled(K::from(f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use algebra::layout::chunks;
    use algebra::multilinear::{bits, eq_table};

    fn k(seed: &mut u64) -> K {
        let mut word = || {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            F::new(*seed ^ (*seed >> 29))
        };
        K::new(word(), word())
    }

    /// Closed forms, chunk values and dense vectors are one vector.
    #[test]
    fn axis_forms_agree() {
        let mut seed = 7;
        for n in [1usize, 2, 3, 5, 8, 13, 21] {
            let point: Arc<[K]> = (0..bits(n)).map(|_| k(&mut seed)).collect();
            let dense: Arc<[K]> = (0..n).map(|_| k(&mut seed)).collect();
            let mut axes = vec![Axis::Eq(point), Axis::Unit(n / 2), Axis::Ones, Axis::Dense(dense)];
            for chunk in chunks(n) {
                axes.push(Axis::EqChunk(chunk, (0..chunk.log).map(|_| k(&mut seed)).collect()));
            }
            for axis in axes {
                let all = axis.dense(n);
                assert_eq!(all.len(), n);
                for chunk in chunks(n) {
                    let zeta: Vec<K> = (0..chunk.log).map(|_| k(&mut seed)).collect();
                    let part = &all[chunk.off..chunk.off + (1 << chunk.log)];
                    assert_eq!(axis.on_chunk(chunk), part, "{axis:?} n {n}");
                    let direct: K = eq_table(&zeta).iter().zip(part).map(|(&a, &b)| a * b).sum();
                    assert_eq!(axis.at(chunk, &zeta), direct, "{axis:?} n {n}");
                    assert!(!axis.vanishes_on(chunk) || part.iter().all(|&x| x == K::ZERO));
                }
            }
        }
    }
}
