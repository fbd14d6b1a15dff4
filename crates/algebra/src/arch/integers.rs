//! Kernels over signed integers, which are mostly short: their products need fewer limbs.

use super::kernels::*;
use super::lanes::{Factor, Lanes, MOST_PRODUCTS, Vector};
use crate::field::{F, K};
use crate::{slices, small};

/// A sum of products per lane, not reduced.
type Sum<S> = <<S as Lanes>::V as Vector>::Sum;

/// Integers in memory.
pub(super) trait Integer: Copy {
    /// What makes a short integer an unsigned one.
    const OFFSET: u64;
    /// Whether all are short.
    const SHORT: bool;
    /// Elements `at..` in the order of K's elements.
    fn load<S: Lanes>(unit: S, x: &[Self], at: usize) -> S::V;
    /// sum + a·x for x below 2·OFFSET.
    fn add_product<S: Lanes>(sum: Sum<S>, a: Factor<S::V>, x: S::V) -> Sum<S>;
}

impl Integer for i64 {
    const OFFSET: u64 = 1 << 31;
    const SHORT: bool = false;
    #[inline(always)]
    fn load<S: Lanes>(unit: S, x: &[i64], at: usize) -> S::V {
        unit.load_signed(x, at)
    }
    #[inline(always)]
    fn add_product<S: Lanes>(sum: Sum<S>, a: Factor<S::V>, x: S::V) -> Sum<S> {
        <S::V>::add_short_product(sum, a, x)
    }
}

impl Integer for i16 {
    const OFFSET: u64 = 1 << 15;
    const SHORT: bool = true;
    #[inline(always)]
    fn load<S: Lanes>(unit: S, x: &[i16], at: usize) -> S::V {
        unit.load_small(x, at)
    }
    #[inline(always)]
    fn add_product<S: Lanes>(sum: Sum<S>, a: Factor<S::V>, x: S::V) -> Sum<S> {
        <S::V>::add_small_product(sum, a, x)
    }
}

/// sum + s·x for x below 2·OFFSET.
#[inline(always)]
fn mac_short<S: Lanes, T: Integer>(sum: Wide<S>, s: Left<S>, x: S::V) -> Wide<S> {
    [T::add_product::<S>(sum[0], s[0], x), T::add_product::<S>(sum[1], s[1], x)]
}

/// sum + s·(x + OFFSET) for any signed x.
#[inline(always)]
fn mac_long<S: Lanes, T: Integer>(unit: S, sum: Wide<S>, s: Left<S>, x: S::V) -> Wide<S> {
    let x = x.residue().add(unit.splat(T::OFFSET)).split();
    let product = reduce::<S>(mac_base::<S>(nothing(unit), s, x));
    [<S::V>::add_word(sum[0], product[0]), <S::V>::add_word(sum[1], product[1])]
}

/// sum + s·(x + OFFSET) for signed x; short words, which most are, cost less.
#[inline(always)]
fn mac_offset<S: Lanes>(unit: S, sum: Wide<S>, s: Left<S>, x: S::V) -> Wide<S> {
    let short = x.wrapping_add(unit.splat(i64::OFFSET));
    if short.all_short() { mac_short::<S, i64>(sum, s, short) } else { mac_long::<S, i64>(unit, sum, s, x) }
}

/// −OFFSET·s: what was added too much.
fn excess<T: Integer>(s: K) -> K {
    -s.scale(F::new(T::OFFSET))
}

#[inline(always)]
pub(super) fn add_scaled_integers<S: Lanes>(unit: S, out: &mut [K], s: K, x: &[i64]) {
    let n = whole::<S>(&[out.len(), x.len()]);
    let factor = left::<S>(splat(unit, s));
    let start = widen::<S>(splat(unit, excess::<i64>(s)));
    let mut at = 0;
    while at < n {
        let old = unit.load_k(out, at);
        let sum = [<S::V>::add_word(start[0], old[0]), <S::V>::add_word(start[1], old[1])];
        let sum = mac_offset(unit, sum, factor, unit.load_signed(x, at));
        unit.store_k(out, at, canonical::<S>(reduce::<S>(sum)));
        at += S::LANES;
    }
    slices::plain::add_scaled_integers(&mut out[n..], s, &x[n..]);
}

/// Combines rows over whole blocks; the number of elements done.
#[inline(always)]
fn combine<S: Lanes, T: Integer>(unit: S, out: &mut [K], weights: &[K], rows: &[&[T]]) -> usize {
    let mut n = out.len();
    let mut sum = K::ZERO;
    let mut row = 0;
    while row < rows.len() && row < weights.len() {
        n = n.min(rows[row].len());
        sum += weights[row];
        row += 1;
    }
    let start = splat(unit, excess::<T>(sum));
    // As many sums as the registers hold.
    if S::LANES == 8 {
        combine_blocks::<S, T, 4>(unit, &mut out[..n], start, weights, rows)
    } else {
        combine_blocks::<S, T, 1>(unit, &mut out[..n], start, weights, rows)
    }
}

#[inline(always)]
pub(super) fn combine_integers<S: Lanes>(unit: S, out: &mut [K], weights: &[K], rows: &[&[i64]]) {
    let done = combine(unit, out, weights, rows);
    slices::plain::combine_integers_from(done, out, weights, rows);
}

#[inline(always)]
pub(super) fn combine_small<S: Lanes>(unit: S, out: &mut [K], weights: &[K], rows: &[&[i16]]) {
    let done = combine(unit, out, weights, rows);
    small::plain::combine_small_from(done, out, weights, rows);
}

/// Says a statement for i = 0, .., B−1 and B <= 4. A loop that is not unrolled would keep the vectors
/// it indexes in memory.
macro_rules! each_below {
    ($count:ident, $i:ident => $body:expr) => {
        each_below!(0, $count, $i => $body);
        each_below!(1, $count, $i => $body);
        each_below!(2, $count, $i => $body);
        each_below!(3, $count, $i => $body);
    };
    ($value:literal, $count:ident, $i:ident => $body:expr) => {
        if $value < $count {
            let $i = $value;
            $body;
        }
    };
}

/// [`combine`] over whole blocks of B vectors; the number of elements done.
#[inline(always)]
fn combine_blocks<S: Lanes, T: Integer, const B: usize>(
    unit: S,
    out: &mut [K],
    start: Pair<S>,
    weights: &[K],
    rows: &[&[T]],
) -> usize {
    let count = weights.len().min(rows.len());
    let n = out.len() - out.len() % (B * S::LANES);
    let mut at = 0;
    while at < n {
        let mut sums = [widen::<S>(start); B];
        let mut row = 0;
        while row < count {
            let stretch = count.min(row + MOST_PRODUCTS);
            while row < stretch {
                let s = left::<S>(splat(unit, weights[row]));
                let block = &rows[row][at..at + B * S::LANES];
                let ahead = rows[count.min(row + AHEAD) - 1];
                let mut words = [unit.splat(0); B];
                let mut all = unit.splat(0);
                each_below!(B, i => {
                    unit.prefetch(ahead, at + i * S::LANES);
                    words[i] = T::load(unit, block, i * S::LANES);
                    all = all.or(words[i].wrapping_add(unit.splat(T::OFFSET)))
                });
                if T::SHORT || all.all_short() {
                    each_below!(B, i => {
                        let short = words[i].wrapping_add(unit.splat(T::OFFSET));
                        sums[i] = mac_short::<S, T>(sums[i], s, short)
                    });
                } else {
                    each_below!(B, i => sums[i] = mac_long::<S, T>(unit, sums[i], s, words[i]));
                }
                row += 1;
            }
            each_below!(B, i => sums[i] = widen::<S>(reduce::<S>(sums[i])));
        }
        each_below!(B, i => {
            unit.store_k(out, at + i * S::LANES, canonical::<S>(reduce::<S>(sums[i])))
        });
        at += B * S::LANES;
    }
    n
}

/// Σ a·x of the first n elements, whole vectors.
#[inline(always)]
fn dot_whole<S: Lanes, T: Integer>(unit: S, a: &[K], x: &[T], n: usize) -> K {
    let mut total = K::ZERO;
    let mut at = 0;
    while at < n {
        let stretch = n.min(at + STRETCH * S::LANES);
        let mut sum = nothing(unit);
        while at < stretch {
            let (k, x) = (unit.load_k(a, at), T::load(unit, x, at));
            let short = x.magnitude();
            sum = if T::SHORT || short.all_short() {
                mac_short::<S, T>(sum, left::<S>([k[0].negate_where(x), k[1].negate_where(x)]), short)
            } else {
                mac_base::<S>(sum, left::<S>(k), x.residue().split())
            };
            at += S::LANES;
        }
        total += sum_lanes::<S>(sum);
    }
    total
}

#[inline(always)]
pub(super) fn dot_integers<S: Lanes>(unit: S, a: &[K], x: &[i64]) -> K {
    let n = whole::<S>(&[a.len(), x.len()]);
    dot_whole(unit, a, x, n) + slices::plain::dot_integers(&a[n..], &x[n..])
}

#[inline(always)]
pub(super) fn dot_small<S: Lanes>(unit: S, a: &[K], x: &[i16]) -> K {
    let n = whole::<S>(&[a.len(), x.len()]);
    dot_whole(unit, a, x, n) + small::plain::dot_small(&a[n..], &x[n..])
}

#[inline(always)]
pub(super) fn products_small<S: Lanes>(unit: S, out: &mut [F], x: &[i16], y: &[F]) {
    let n = whole::<S>(&[out.len(), x.len(), y.len()]);
    let nothing = unit.splat(0).widen();
    let mut at = 0;
    while at < n {
        let x = unit.load_short(x, at);
        let factor = unit.load(y, at).negate_where(x).split();
        let product = <S::V>::add_small_product(nothing, factor, x.magnitude());
        unit.store(out, at, <S::V>::reduce(product).canonical());
        at += S::LANES;
    }
    small::plain::products_small(&mut out[n..], &x[n..], &y[n..]);
}

#[inline(always)]
pub(super) fn combine_products<S: Lanes>(
    unit: S,
    out: &mut [F],
    weights: &[F],
    rows: &[&[i16]],
    factors: &[F],
) {
    let count = weights.len().min(rows.len());
    let mut n = whole::<S>(&[out.len(), factors.len()]);
    let (mut sum, mut row) = (F::ZERO, 0);
    while row < count {
        n = n.min(whole::<S>(&[rows[row].len()]));
        sum += weights[row];
        row += 1;
    }
    if count > MOST_PRODUCTS {
        n = 0;
    }
    // x + OFFSET is not negative; what is added too much is taken off at the start.
    let start = unit.splat((-(sum * F::new(i16::OFFSET))).value()).widen();
    let mut at = 0;
    while at < n {
        let (mut sum, mut row) = (start, 0);
        while row < count {
            let short = unit.load_short(rows[row], at).wrapping_add(unit.splat(i16::OFFSET));
            sum = <S::V>::add_small_product(sum, unit.splat(weights[row].value()).split(), short);
            row += 1;
        }
        let sum = <S::V>::reduce(sum);
        unit.store(out, at, sum.times(unit.load(factors, at)).canonical());
        at += S::LANES;
    }
    small::plain::combine_products_from(n, out, weights, rows, factors);
}

#[inline(always)]
pub(super) fn residues_small<S: Lanes>(unit: S, out: &mut [F], x: &[i16]) {
    let n = whole::<S>(&[out.len(), x.len()]);
    let mut at = 0;
    while at < n {
        unit.store(out, at, unit.load_short(x, at).residue());
        at += S::LANES;
    }
    small::plain::residues_small(&mut out[n..], &x[n..]);
}

/// Rows that share the loads of the left factor.
const TOGETHER: usize = 4;

#[inline(always)]
pub(super) fn dots_small<S: Lanes>(unit: S, out: &mut [K], a: &[K], rows: &[&[i16]]) {
    let (out_groups, out_rest) = out.as_chunks_mut::<TOGETHER>();
    let (groups, rest) = rows.as_chunks::<TOGETHER>();
    let mut group = 0;
    while group < groups.len() && group < out_groups.len() {
        out_groups[group] = dots_together(unit, a, groups[group]);
        group += 1;
    }
    if groups.len() == out_groups.len() {
        let mut row = 0;
        while row < rest.len() && row < out_rest.len() {
            out_rest[row] = dot_small(unit, a, rest[row]);
            row += 1;
        }
    } else {
        small::plain::dots_small(&mut out[group * TOGETHER..], a, &rows[group * TOGETHER..]);
    }
}

/// Inner products of one vector with several rows: x + OFFSET is not negative, and what was added too
/// much is OFFSET times the vector's sum.
#[inline(always)]
fn dots_together<S: Lanes>(unit: S, a: &[K], rows: [&[i16]; TOGETHER]) -> [K; TOGETHER] {
    let n = whole::<S>(&[a.len(), rows[0].len(), rows[1].len(), rows[2].len(), rows[3].len()]);
    let mut totals = [K::ZERO; TOGETHER];
    let mut all = K::ZERO;
    let mut at = 0;
    while at < n {
        let stretch = n.min(at + STRETCH * S::LANES);
        let mut sums = [nothing(unit); TOGETHER];
        let mut plain = nothing(unit);
        while at < stretch {
            let s = left::<S>(unit.load_k(a, at));
            plain = mac_short::<S, i16>(plain, s, unit.splat(1));
            each_below!(TOGETHER, i => {
                let short = i16::load(unit, rows[i], at).wrapping_add(unit.splat(i16::OFFSET));
                sums[i] = mac_short::<S, i16>(sums[i], s, short)
            });
            at += S::LANES;
        }
        all += sum_lanes::<S>(plain);
        each_below!(TOGETHER, i => totals[i] += sum_lanes::<S>(sums[i]));
    }
    let excess = excess::<i16>(all);
    each_below!(TOGETHER, i => totals[i] += excess + small::plain::dot_small(&a[n..], &rows[i][n..]));
    totals
}
