//! Rows of small integers with a few wide ones among them: weights in 16 bits, and biases that need more.

use algebra::small::{combine_small, dot_small, dots_small, products_small, residues_small};
use algebra::{F, K};
use zeroize::Zeroizing;

use crate::memory::{recycle, zeros};

/// Integers that are read many times: 16 bits each, but for a few. Secret: wiped when dropped.
pub struct Integers {
    values: Vec<i16>,
    /// Entries that do not fit, by address; `values` holds 0 there.
    wide: Zeroizing<Vec<(usize, F)>>,
}

impl Drop for Integers {
    fn drop(&mut self) {
        recycle(std::mem::take(&mut self.values));
    }
}

impl Integers {
    /// `size` zeros, to be set by [`Self::set`].
    pub fn zeros(size: usize) -> Self {
        Self::of(zeros(size), Zeroizing::default())
    }

    /// Of entries and, by rising address, those that do not fit; `values` holds 0 there.
    pub fn of(values: Vec<i16>, wide: Zeroizing<Vec<(usize, F)>>) -> Self {
        debug_assert!(wide.is_sorted_by(|(x, _), (y, _)| x < y), "by address");
        Self { values, wide }
    }

    /// `size` ones.
    pub fn ones(size: usize) -> Self {
        Self::of(vec![1; size], Zeroizing::default())
    }

    /// Sets the entries from an address on. Addresses come in any order; [`Self::sorted`] ends it.
    pub fn set(&mut self, address: usize, values: &[i64]) {
        for (at, &value) in (address..).zip(values) {
            match i16::try_from(value) {
                Ok(value) => self.values[at] = value,
                Err(_) => self.wide.push((at, F::from_i64(value))),
            }
        }
    }

    /// Ends a series of [`Self::set`].
    pub fn sorted(mut self) -> Self {
        self.wide.sort_unstable_by_key(|&(at, _)| at);
        self
    }

    /// The same entries in another size; none if an entry beyond it is not zero.
    pub fn resized(&self, size: usize) -> Option<Self> {
        let all = self.all();
        if all.len() > size && !all.part(size, all.len()).is_zero() {
            return None;
        }
        let kept = all.part(0, size.min(all.len()));
        let mut values = zeros(size);
        values[..kept.len()].copy_from_slice(kept.values);
        Some(Self::of(values, Zeroizing::new(kept.wide.to_vec())))
    }

    /// All of them.
    pub fn all(&self) -> Run<'_> {
        Run { values: &self.values, wide: &self.wide, from: 0 }
    }
}

/// `to[i]` ← `from[i]` − middle; how many of these do not fit. Slots of such hold other numbers.
pub fn narrow(to: &mut [i16], from: &[i64], middle: i64) -> usize {
    if algebra::arch::factors::narrow(from, middle, to) {
        return 0;
    }
    from.iter().filter(|x| i16::try_from(x.wrapping_sub(middle)).is_err()).count()
}

/// Consecutive integers.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    values: &'a [i16],
    /// Those of the wide entries that lie in the run.
    wide: &'a [(usize, F)],
    /// Address of the first.
    from: usize,
}

impl<'a> Run<'a> {
    /// How many.
    pub fn len(self) -> usize {
        self.values.len()
    }

    /// The first `at`, and the rest.
    pub fn split(self, at: usize) -> (Self, Self) {
        (self.part(0, at), self.part(at, self.len()))
    }

    /// From number `from` to below `to`.
    pub fn part(self, from: usize, to: usize) -> Self {
        let below = |i: usize| self.wide.partition_point(|&(at, _)| at < self.from + i);
        let wide = &self.wide[below(from)..below(to)];
        Self { values: &self.values[from..to], wide, from: self.from + from }
    }

    /// As elements of F, to be wiped when done with.
    pub fn widened(self) -> Zeroizing<Vec<F>> {
        let mut out = Zeroizing::new(vec![F::ZERO; self.len()]);
        self.write(&mut out);
        out
    }

    /// As elements of F.
    pub fn write(self, out: &mut [F]) {
        residues_small(out, self.values);
        self.wide().for_each(|(i, x)| out[i] = x);
    }

    /// Whether all are zero.
    pub fn is_zero(self) -> bool {
        self.wide.is_empty() && self.values.iter().all(|&x| x == 0)
    }

    /// Whether both hold the same integers.
    pub fn same(self, other: Self) -> bool {
        self.values == other.values && self.wide().eq(other.wide())
    }

    /// Numbers and values of the wide ones.
    fn wide(self) -> impl Iterator<Item = (usize, F)> + 'a {
        self.wide.iter().map(move |&(at, x)| (at - self.from, x))
    }

    /// Σ `a[i]`·x_i; `a` is at least as long.
    pub fn dot(self, a: &[K]) -> K {
        dot_small(a, self.values) + self.wide().map(|(i, x)| a[i].scale(x)).sum::<K>()
    }
}

/// `out[r]` = Σ_i `a[i]`·`rows[r][i]`; `a` is at least as long as any.
pub fn dots(out: &mut [K], a: &[K], rows: &[Run<'_>]) {
    let narrow: Vec<&[i16]> = rows.iter().map(|row| row.values).collect();
    dots_small(out, a, &narrow);
    for (slot, row) in out.iter_mut().zip(rows) {
        row.wide().for_each(|(i, x)| *slot += a[i].scale(x));
    }
}

/// `out[i]` = `factors[i]`·Σ_r `weights[r]`·`rows[r][i]`; every row as long as `out`, and the factors.
pub fn combine_products(out: &mut [F], weights: &[F], rows: &[Run<'_>], factors: &[F]) {
    if let ([F::ONE], [row]) = (weights, rows) {
        products_small(out, row.values, factors);
    } else {
        let narrow: Vec<&[i16]> = rows.iter().map(|row| row.values).collect();
        algebra::small::combine_products(out, weights, &narrow, factors);
    }
    for (&weight, row) in weights.iter().zip(rows) {
        row.wide().for_each(|(i, x)| out[i] += factors[i] * weight * x);
    }
}

/// `out[i]` = Σ_r `weights[r]`·`rows[r][i]`; every row as long as `out`.
pub fn combine(out: &mut [K], weights: &[K], rows: &[Run<'_>]) {
    let narrow: Vec<&[i16]> = rows.iter().map(|row| row.values).collect();
    combine_small(out, weights, &narrow);
    for (weight, row) in weights.iter().zip(rows) {
        row.wide().for_each(|(i, x)| out[i] += weight.scale(x));
    }
}

#[cfg(test)]
mod tests {
    use super::{Integers, combine, combine_products, dots};
    use algebra::{F, K};

    fn element(i: u64) -> K {
        let x = |i: u64| F::new(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2);
        K::new(x(2 * i + 1), x(2 * i + 2))
    }

    /// 40 integers, every seventh of which needs more than 16 bits.
    fn some() -> (Vec<i64>, Integers) {
        let values: Vec<i64> =
            (0..40).map(|i| if i % 7 == 3 { (i - 20) << 30 } else { 900 * i - 9000 }).collect();
        let mut integers = Integers::zeros(40);
        for start in [24, 0, 8, 32, 16] {
            integers.set(start, &values[start..start + 8]);
        }
        (values, integers.sorted())
    }

    #[test]
    fn wide_integers_count_as_narrow_ones_do() {
        let (values, integers) = some();
        let a: Vec<K> = (0..10).map(element).collect();
        let runs: Vec<_> = (0..4).map(|row| integers.all().part(10 * row, 10 * row + 10)).collect();
        let expected: Vec<Vec<F>> =
            values.chunks(10).map(|row| row.iter().map(|&x| F::from_i64(x)).collect()).collect();
        let sum = |row: &Vec<F>| a.iter().zip(row).map(|(a, &x)| a.scale(x)).sum::<K>();
        let sums: Vec<K> = expected.iter().map(sum).collect();
        let mut found = vec![K::ZERO; 4];
        dots(&mut found, &a, &runs);
        assert_eq!(found, sums);
        assert_eq!(runs.iter().map(|run| run.dot(&a)).collect::<Vec<K>>(), sums);
        let mut found = vec![K::ZERO; 10];
        combine(&mut found, &a[..4], &runs);
        for (i, &found) in found.iter().enumerate() {
            assert_eq!(found, (0..4).map(|r| a[r].scale(expected[r][i])).sum());
        }
        let factors: Vec<F> = (0..10).map(|i| element(i).c0).collect();
        for weights in [vec![F::ONE], (0..4).map(|i| element(i).c1).collect()] {
            let mut found = vec![F::ONE; 10];
            combine_products(&mut found, &weights, &runs[..weights.len()], &factors);
            for (i, &found) in found.iter().enumerate() {
                let sum: F = weights.iter().zip(&expected).map(|(&weight, row)| weight * row[i]).sum();
                assert_eq!(found, factors[i] * sum);
            }
        }
        for (run, expected) in runs.iter().zip(&expected) {
            assert_eq!(*run.widened(), *expected);
        }
    }

    #[test]
    fn sizes_change_and_nothing_is_lost() {
        let (values, integers) = some();
        let longer = integers.resized(50).expect("longer");
        assert!(longer.all().part(0, 40).same(integers.all()));
        assert!(longer.all().part(40, 50).is_zero());
        assert!(longer.resized(40).is_some_and(|same| same.all().same(integers.all())));
        // Entry 38 is wide, entry 39 is not: neither may go.
        assert!(values[38] > 1 << 16 && values[39] != 0);
        assert!(longer.resized(39).is_none() && integers.resized(38).is_none());
        let mut other = Integers::zeros(40);
        other.set(0, &values);
        other.wide[2].1 += F::ONE;
        assert!(!other.all().same(integers.all()));
    }
}
