//! The twins of [`crate::slices::plain`], written once for any vector unit.
//!
//! Each runs over whole vectors and leaves the rest to the plain text. No closures: they would be
//! compiled without the features of the unit.

use super::lanes::{Factor, Lanes, MOST_PRODUCTS, Vector};
use crate::field::{F, K};
use crate::slices::plain;

/// An element of K per lane.
pub(super) type Pair<S> = [<S as Lanes>::V; 2];
/// A sum of products in K per lane, not reduced.
pub(super) type Wide<S> = [<<S as Lanes>::V as Vector>::Sum; 2];
/// Left factor of a product in K.
pub(super) type Left<S> = [Factor<<S as Lanes>::V>; 2];
/// Right factor b of a product in K: b0, b1, 7·b1.
pub(super) type Right<S> = [Factor<<S as Lanes>::V>; 3];

/// Vector steps after which a sum of products in K is reduced.
pub(super) const STRETCH: usize = MOST_PRODUCTS / 2;
/// How many rows ahead a combination of rows fetches.
pub(super) const AHEAD: usize = 6;
/// Rows whose sum is reduced once, with their weights at hand.
const TOGETHER: usize = 4;
/// Elements that fill whole vectors.
#[inline(always)]
pub(super) fn whole<S: Lanes>(lengths: &[usize]) -> usize {
    let mut least = usize::MAX;
    let mut i = 0;
    while i < lengths.len() {
        if lengths[i] < least {
            least = lengths[i];
        }
        i += 1;
    }
    least - least % S::LANES
}

#[inline(always)]
pub(super) fn splat<S: Lanes>(unit: S, x: K) -> Pair<S> {
    [unit.splat(x.c0.value()), unit.splat(x.c1.value())]
}

#[inline(always)]
pub(super) fn left<S: Lanes>(a: Pair<S>) -> Left<S> {
    [a[0].split(), a[1].split()]
}

#[inline(always)]
pub(super) fn right<S: Lanes>(b: Pair<S>) -> Right<S> {
    [b[0].split(), b[1].split(), b[1].split_seven()]
}

#[inline(always)]
pub(super) fn widen<S: Lanes>(a: Pair<S>) -> Wide<S> {
    [a[0].widen(), a[1].widen()]
}

#[inline(always)]
pub(super) fn nothing<S: Lanes>(unit: S) -> Wide<S> {
    [unit.splat(0).widen(), unit.splat(0).widen()]
}

/// sum + a·b.
#[inline(always)]
pub(super) fn mac<S: Lanes>(sum: Wide<S>, a: Left<S>, b: Right<S>) -> Wide<S> {
    let c0 = <S::V>::add_product(<S::V>::add_product(sum[0], a[0], b[0]), a[1], b[2]);
    let c1 = <S::V>::add_product(<S::V>::add_product(sum[1], a[0], b[1]), a[1], b[0]);
    [c0, c1]
}

/// sum + a·b for b over the base field.
#[inline(always)]
pub(super) fn mac_base<S: Lanes>(sum: Wide<S>, a: Left<S>, b: Factor<S::V>) -> Wide<S> {
    [<S::V>::add_product(sum[0], a[0], b), <S::V>::add_product(sum[1], a[1], b)]
}

#[inline(always)]
pub(super) fn reduce<S: Lanes>(sum: Wide<S>) -> Pair<S> {
    [<S::V>::reduce(sum[0]), <S::V>::reduce(sum[1])]
}

#[inline(always)]
pub(super) fn canonical<S: Lanes>(a: Pair<S>) -> Pair<S> {
    [a[0].canonical(), a[1].canonical()]
}

/// a − b, b canonical.
#[inline(always)]
pub(super) fn minus<S: Lanes>(a: Pair<S>, b: Pair<S>) -> Pair<S> {
    [a[0].sub(b[0]), a[1].sub(b[1])]
}

#[inline(always)]
pub(super) fn sum_lanes<S: Lanes>(sum: Wide<S>) -> K {
    let lanes = reduce::<S>(sum);
    K::new(lanes[0].sum_lanes(), lanes[1].sum_lanes())
}

/// low + ρ(high − low) of canonical words, canonical.
#[inline(always)]
pub(super) fn fold<S: Lanes>(low: Pair<S>, high: Pair<S>, rho: Right<S>) -> Pair<S> {
    canonical::<S>(reduce::<S>(mac::<S>(widen::<S>(low), left::<S>(minus::<S>(high, low)), rho)))
}

/// As [`fold`] of elements `at..`; the result also goes to `low`.
#[inline(always)]
fn fold_at<S: Lanes>(unit: S, low: &mut [K], high: &[K], at: usize, rho: Right<S>) -> Pair<S> {
    let bound = fold::<S>(unit.load_k(low, at), unit.load_k(high, at), rho);
    unit.store_k(low, at, bound);
    bound
}

#[inline(always)]
pub(super) fn bind<S: Lanes>(unit: S, low: &mut [K], high: &[K], rho: K) {
    let n = whole::<S>(&[low.len(), high.len()]);
    let factor = right::<S>(splat(unit, rho));
    let mut at = 0;
    while at < n {
        fold_at(unit, low, high, at, factor);
        at += S::LANES;
    }
    plain::bind(&mut low[n..], &high[n..], rho);
}

#[inline(always)]
pub(super) fn bind_base<S: Lanes>(unit: S, out: &mut [K], low: &[F], high: &[F], rho: K) {
    let n = whole::<S>(&[out.len(), low.len(), high.len()]);
    let factor = left::<S>(splat(unit, rho));
    let mut at = 0;
    while at < n {
        let (l, h) = (unit.load_mixed(low, at), unit.load_mixed(high, at));
        let sum = [l.widen(), unit.splat(0).widen()];
        let bound = reduce::<S>(mac_base::<S>(sum, factor, h.sub(l).split()));
        unit.store_k(out, at, canonical::<S>(bound));
        at += S::LANES;
    }
    plain::bind_base(&mut out[n..], &low[n..], &high[n..], rho);
}

#[inline(always)]
pub(super) fn add_scaled<S: Lanes>(unit: S, out: &mut [K], s: K, x: &[K]) {
    let n = whole::<S>(&[out.len(), x.len()]);
    let factor = right::<S>(splat(unit, s));
    let mut at = 0;
    while at < n {
        let sum = widen::<S>(unit.load_k(out, at));
        let sum = mac::<S>(sum, left::<S>(unit.load_k(x, at)), factor);
        unit.store_k(out, at, canonical::<S>(reduce::<S>(sum)));
        at += S::LANES;
    }
    plain::add_scaled(&mut out[n..], s, &x[n..]);
}

#[inline(always)]
pub(super) fn add_combined<S: Lanes>(unit: S, out: &mut [K], weights: &[K], rows: &[&[K]]) {
    let count = weights.len().min(rows.len());
    let mut first = 0;
    while first < count {
        let end = count.min(first + TOGETHER);
        let mut n = out.len();
        let mut factors = [right::<S>(splat(unit, K::ZERO)); TOGETHER];
        let mut row = first;
        while row < end {
            n = n.min(rows[row].len());
            factors[row - first] = right::<S>(splat(unit, weights[row]));
            row += 1;
        }
        n -= n % S::LANES;
        let mut at = 0;
        while at < n {
            let mut sum = widen::<S>(unit.load_k(out, at));
            let mut row = first;
            while row < end {
                sum = mac::<S>(sum, left::<S>(unit.load_k(rows[row], at)), factors[row - first]);
                row += 1;
            }
            unit.store_k(out, at, canonical::<S>(reduce::<S>(sum)));
            at += S::LANES;
        }
        plain::add_combined_from(n, out, &weights[first..end], &rows[first..end]);
        first = end;
    }
}

#[inline(always)]
pub(super) fn powers<S: Lanes>(unit: S, out: &mut [K], z: &[K], x: &[F]) {
    let n = whole::<S>(&[out.len(), x.len()]);
    let (zero, one) = (unit.splat(0), unit.splat(1));
    let mut at = 0;
    while at < n {
        let mut power = unit.load_mixed(x, at);
        let mut value = [one, zero];
        let mut variable = 0;
        while variable < z.len() {
            // 1 - b + b·x = 1 + b·(x - 1)
            let by = left::<S>(splat(unit, z[variable]));
            let factor = mac_base::<S>([one.widen(), zero.widen()], by, power.sub(one).split());
            let product = mac::<S>(nothing(unit), left::<S>(value), right::<S>(reduce::<S>(factor)));
            value = reduce::<S>(product);
            let half = power.split();
            power = <S::V>::reduce(<S::V>::add_product(zero.widen(), half, half));
            variable += 1;
        }
        unit.store_k(out, at, canonical::<S>(value));
        at += S::LANES;
    }
    plain::powers(&mut out[n..], z, &x[n..]);
}

#[inline(always)]
pub(super) fn add_products<S: Lanes>(unit: S, out: &mut [F], x: &[F], y: &[F]) {
    let n = whole::<S>(&[out.len(), x.len(), y.len()]);
    let mut at = 0;
    while at < n {
        let sum = unit.load(out, at).widen();
        let sum = <S::V>::add_product(sum, unit.load(x, at).split(), unit.load(y, at).split());
        unit.store(out, at, <S::V>::reduce(sum).canonical());
        at += S::LANES;
    }
    plain::add_products(&mut out[n..], &x[n..], &y[n..]);
}

#[inline(always)]
pub(super) fn add_scaled_base<S: Lanes>(unit: S, out: &mut [K], s: K, x: &[F]) {
    let n = whole::<S>(&[out.len(), x.len()]);
    let factor = left::<S>(splat(unit, s));
    let mut at = 0;
    while at < n {
        let sum = widen::<S>(unit.load_k(out, at));
        let sum = mac_base::<S>(sum, factor, unit.load_mixed(x, at).split());
        unit.store_k(out, at, canonical::<S>(reduce::<S>(sum)));
        at += S::LANES;
    }
    plain::add_scaled_base(&mut out[n..], s, &x[n..]);
}

#[inline(always)]
pub(super) fn combine_base<S: Lanes>(unit: S, out: &mut [K], weights: &[K], rows: &[&[F]]) {
    let count = weights.len().min(rows.len());
    let mut n = out.len();
    let mut row = 0;
    while row < count {
        n = n.min(rows[row].len());
        row += 1;
    }
    n -= n % (2 * S::LANES);
    let mut at = 0;
    while at < n {
        let next = at + S::LANES;
        let (mut first, mut second) = (nothing(unit), nothing(unit));
        let mut row = 0;
        while row < count {
            let stretch = count.min(row + STRETCH);
            while row < stretch {
                let s = left::<S>(splat(unit, weights[row]));
                let ahead = rows[count.min(row + AHEAD) - 1];
                unit.prefetch(ahead, at);
                unit.prefetch(ahead, next);
                first = mac_base::<S>(first, s, unit.load_mixed(rows[row], at).split());
                second = mac_base::<S>(second, s, unit.load_mixed(rows[row], next).split());
                row += 1;
            }
            (first, second) = (widen::<S>(reduce::<S>(first)), widen::<S>(reduce::<S>(second)));
        }
        unit.store_k(out, at, canonical::<S>(reduce::<S>(first)));
        unit.store_k(out, next, canonical::<S>(reduce::<S>(second)));
        at += 2 * S::LANES;
    }
    plain::combine_base_from(n, out, weights, rows);
}

#[inline(always)]
pub(super) fn scale<S: Lanes>(unit: S, x: &mut [K], s: K) {
    let n = whole::<S>(&[x.len()]);
    let factor = right::<S>(splat(unit, s));
    let mut at = 0;
    while at < n {
        let product = mac::<S>(nothing(unit), left::<S>(unit.load_k(x, at)), factor);
        unit.store_k(x, at, canonical::<S>(reduce::<S>(product)));
        at += S::LANES;
    }
    plain::scale(&mut x[n..], s);
}

#[inline(always)]
pub(super) fn dot<S: Lanes>(unit: S, a: &[K], b: &[K]) -> K {
    let n = whole::<S>(&[a.len(), b.len()]);
    let mut total = plain::dot(&a[n..], &b[n..]);
    let mut at = 0;
    while at < n {
        let stretch = n.min(at + STRETCH * S::LANES);
        let mut sum = nothing(unit);
        while at < stretch {
            sum = mac::<S>(sum, left::<S>(unit.load_k(a, at)), right::<S>(unit.load_k(b, at)));
            at += S::LANES;
        }
        total += sum_lanes::<S>(sum);
    }
    total
}

#[inline(always)]
pub(super) fn dot_elements<S: Lanes>(unit: S, a: &[F], b: &[F]) -> F {
    let n = whole::<S>(&[a.len(), b.len()]);
    let n = n - n % (2 * S::LANES);
    let mut total = plain::dot_elements(&a[n..], &b[n..]);
    let mut at = 0;
    while at < n {
        let stretch = n.min(at + 2 * STRETCH * S::LANES);
        // Two sums: one alone waits for its own additions.
        let mut sum = nothing(unit);
        while at < stretch {
            let next = at + S::LANES;
            sum[0] = <S::V>::add_product(sum[0], unit.load(a, at).split(), unit.load(b, at).split());
            sum[1] = <S::V>::add_product(sum[1], unit.load(a, next).split(), unit.load(b, next).split());
            at += 2 * S::LANES;
        }
        let [first, second] = reduce::<S>(sum);
        total += first.add(second.canonical()).sum_lanes();
    }
    total
}

#[inline(always)]
pub(super) fn dot_base<S: Lanes>(unit: S, a: &[K], b: &[F]) -> K {
    let n = whole::<S>(&[a.len(), b.len()]);
    let mut total = plain::dot_base(&a[n..], &b[n..]);
    let mut at = 0;
    while at < n {
        let stretch = n.min(at + STRETCH * S::LANES);
        let mut sum = nothing(unit);
        while at < stretch {
            sum = mac_base::<S>(sum, left::<S>(unit.load_k(a, at)), unit.load_mixed(b, at).split());
            at += S::LANES;
        }
        total += sum_lanes::<S>(sum);
    }
    total
}
