//! Sums over 16-bit integers with coefficients in K: one pass over a model's weights.
//!
//! The plain texts define the results; the fastest twin the processor can run does the work. At most
//! 2^30 integers per call.

use crate::arch::{self, Level};
use crate::field::{F, K};

/// Σ `a[i]`·`x[i]`; the shorter slice decides.
pub fn dot_small(a: &[K], x: &[i16]) -> K {
    arch::dot_small(Level::best(), a, x)
}

/// `out[r]` = Σ_i `a[i]`·`rows[r][i]`: [`dot_small`] of every row; reads `a` once for several rows.
pub fn dots_small(out: &mut [K], a: &[K], rows: &[&[i16]]) {
    arch::dots_small(Level::best(), out, a, rows);
}

/// `out[i]` = `x[i]`·`y[i]`; the shortest slice decides.
pub fn products_small(out: &mut [F], x: &[i16], y: &[F]) {
    arch::products_small(Level::best(), out, x, y);
}

/// `out[i]` = `factors[i]`·Σ_r `weights[r]`·`rows[r][i]`, of at most 512 rows, for as many i as there are factors and
/// places; every row is as long.
pub fn combine_products(out: &mut [F], weights: &[F], rows: &[&[i16]], factors: &[F]) {
    arch::combine_products(Level::best(), out, weights, rows, factors);
}

/// `out[i]` = `x[i]`; the shorter slice decides.
pub fn residues_small(out: &mut [F], x: &[i16]) {
    arch::residues_small(Level::best(), out, x);
}

/// `out[i]` = Σ_r `weights[r]`·`rows[r][i]`; every row at least as long as `out`.
pub fn combine_small(out: &mut [K], weights: &[K], rows: &[&[i16]]) {
    arch::combine_small(Level::best(), out, weights, rows);
}

pub(crate) mod plain {
    //! The definitions.

    use crate::field::{F, K};

    /// Σ `a[i]`·`x[i]`; the shorter slice decides.
    pub(crate) fn dot_small(a: &[K], x: &[i16]) -> K {
        let (mut c0, mut c1) = (0i128, 0i128);
        for (&a, &x) in a.iter().zip(x) {
            // |x| <= 2^15 and a < 2^64: 2^30 products stay below 2^127.
            c0 = c0.wrapping_add(i128::from(x).wrapping_mul(i128::from(a.c0.value())));
            c1 = c1.wrapping_add(i128::from(x).wrapping_mul(i128::from(a.c1.value())));
        }
        K::new(F::from_i128(c0), F::from_i128(c1))
    }

    /// `out[r]` = Σ_i `a[i]`·`rows[r][i]`.
    pub(crate) fn dots_small(out: &mut [K], a: &[K], rows: &[&[i16]]) {
        out.iter_mut().zip(rows).for_each(|(slot, row)| *slot = dot_small(a, row));
    }

    /// `out[i]` = `x[i]`·`y[i]`; the shortest slice decides.
    pub(crate) fn products_small(out: &mut [F], x: &[i16], y: &[F]) {
        out.iter_mut().zip(x).zip(y).for_each(|((slot, &x), &y)| *slot = F::from_i64(x.into()) * y);
    }

    /// `out[i]` = `factors[i]`·Σ_r `weights[r]`·`rows[r][i]`; what a row lacks is 0.
    pub(crate) fn combine_products(out: &mut [F], weights: &[F], rows: &[&[i16]], factors: &[F]) {
        combine_products_from(0, out, weights, rows, factors);
    }

    /// As [`combine_products`] for i >= `first` alone.
    pub(crate) fn combine_products_from(
        first: usize,
        out: &mut [F],
        weights: &[F],
        rows: &[&[i16]],
        factors: &[F],
    ) {
        for (i, (slot, &factor)) in out.iter_mut().zip(factors).enumerate().skip(first) {
            let entry = |row: &&[i16]| F::from_i64(row.get(i).copied().unwrap_or(0).into());
            let sum: F = weights.iter().zip(rows).map(|(&weight, row)| weight * entry(row)).sum();
            *slot = factor * sum;
        }
    }

    /// `out[i]` = `x[i]`; the shorter slice decides.
    pub(crate) fn residues_small(out: &mut [F], x: &[i16]) {
        out.iter_mut().zip(x).for_each(|(slot, &x)| *slot = F::from_i64(x.into()));
    }

    /// `out[i]` = Σ_r `weights[r]`·`rows[r][i]`; what a row lacks is 0.
    pub(crate) fn combine_small(out: &mut [K], weights: &[K], rows: &[&[i16]]) {
        combine_small_from(0, out, weights, rows);
    }

    /// As [`combine_small`] for i >= `first` alone.
    pub(crate) fn combine_small_from(first: usize, out: &mut [K], weights: &[K], rows: &[&[i16]]) {
        for (i, slot) in out.iter_mut().enumerate().skip(first) {
            let (mut c0, mut c1) = (0i128, 0i128);
            for (&weight, row) in weights.iter().zip(rows) {
                let x = i128::from(row.get(i).copied().unwrap_or(0));
                c0 = c0.wrapping_add(x.wrapping_mul(i128::from(weight.c0.value())));
                c1 = c1.wrapping_add(x.wrapping_mul(i128::from(weight.c1.value())));
            }
            *slot = K::new(F::from_i128(c0), F::from_i128(c1));
        }
    }
}
