//! Multilinear extensions. Bit b of an index is variable b of a point; bit 0 is the least significant.

use crate::field::{F, K};
use crate::slices::{dot, split_eq};

/// Number of variables of an axis of length n: ⌈log2 n⌉, 0 for n <= 1.
pub fn bits(n: usize) -> usize {
    let width = usize::BITS.saturating_sub(n.saturating_sub(1).leading_zeros());
    usize::try_from(width).unwrap_or(usize::MAX)
}

/// ab + (1-a)(1-b).
#[inline]
pub fn eq1(a: K, b: K) -> K {
    let product = a * b;
    product + product + K::ONE - a - b
}

/// eq(r, i) for an index i; 0 if i does not fit.
pub fn eq_index(r: &[K], i: usize) -> K {
    let mut rest = i;
    let mut value = K::ONE;
    for &x in r {
        value *= if rest & 1 == 1 { x } else { K::ONE - x };
        rest >>= 1;
    }
    if rest == 0 { value } else { K::ZERO }
}

/// eq(r, s) for two points of equal length.
pub fn eq_points(r: &[K], s: &[K]) -> K {
    r.iter().zip(s).map(|(&a, &b)| eq1(a, b)).product()
}

/// All eq(r, i), i < 2^len(r).
pub fn eq_table(r: &[K]) -> Vec<K> {
    let mut table =
        vec![K::ZERO; 1usize.checked_shl(u32::try_from(r.len()).unwrap_or(u32::MAX)).unwrap_or(0)];
    if let Some(first) = table.first_mut() {
        *first = K::ONE;
    }
    let mut size = 1usize;
    for &x in r {
        if let Some((low, rest)) = table.split_at_mut_checked(size) {
            split_eq(low, rest, x);
        }
        size = size.saturating_mul(2);
    }
    table
}

/// The first n entries of [`eq_table`].
pub fn eq_prefix(r: &[K], n: usize) -> Vec<K> {
    let mut table = eq_table(r);
    table.truncate(n);
    table
}

/// Value at point z of the multilinear extension of `values` (zero beyond its end).
pub fn evaluate(values: &[K], z: &[K]) -> K {
    let (low, high) = z.split_at(z.len().min(ROW));
    let row = eq_table(low);
    if high.is_empty() {
        return dot(&row, values);
    }
    let sums: Vec<K> = values.chunks(row.len().max(1)).map(|part| dot(&row, part)).collect();
    evaluate(&sums, high)
}

/// Variables that [`evaluate`] takes at once.
const ROW: usize = 6;

/// sel(z; off, e): eq of the bits of z from e on with off / 2^e. `off` is a multiple of 2^e.
pub fn selector(z: &[K], off: usize, e: usize) -> K {
    let shift = u32::try_from(e).unwrap_or(u32::MAX);
    eq_index(z.get(e..).unwrap_or_default(), off.checked_shr(shift).unwrap_or(0))
}

/// pow(z; x) = Σ_c x^c eq(z, c).
pub fn power(z: &[K], x: F) -> K {
    let mut x = x;
    let mut value = K::ONE;
    for &b in z {
        value *= K::ONE - b + b.scale(x);
        x *= x;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn k() -> impl Strategy<Value = K> {
        (any::<u64>(), any::<u64>()).prop_map(|(a, b)| K::new(F::new(a), F::new(b)))
    }

    proptest! {
        #[test]
        fn tables_agree(r in prop::collection::vec(k(), 0..6), values in prop::collection::vec(k(), 64), x in any::<u64>()) {
            let n = 1usize << r.len();
            let table = eq_table(&r);
            for (i, &t) in table.iter().enumerate() {
                prop_assert_eq!(t, eq_index(&r, i));
            }
            // More values than the point has corners count for nothing.
            prop_assert_eq!(evaluate(&values, &r), evaluate(&values[..n], &r));
            let direct: K = table.iter().zip(&values).map(|(&a, &b)| a * b).sum();
            prop_assert_eq!(evaluate(&values[..n], &r), direct);
            let x = F::new(x);
            let powers: K = table.iter().enumerate().map(|(c, &t)| t.scale(x.pow(c as u64))).sum();
            prop_assert_eq!(power(&r, x), powers);
            prop_assert_eq!(eq_points(&r, &r), r.iter().map(|&a| eq1(a, a)).product());
            prop_assert_eq!(eq_index(&r, n), K::ZERO);
        }
    }

    proptest! {
        #[test]
        fn values_of_any_length_are_evaluated(
            r in prop::collection::vec(k(), 0..15),
            values in prop::collection::vec(k(), 0..700),
        ) {
            let direct: K = eq_table(&r).iter().zip(&values).map(|(&a, &b)| a * b).sum();
            prop_assert_eq!(evaluate(&values, &r), direct);
        }
    }

    #[test]
    fn bits_is_ceil_log2() {
        for (n, expected) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1024, 10), (1025, 11)] {
            assert_eq!(bits(n), expected);
        }
    }
}
