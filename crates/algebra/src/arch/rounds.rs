//! Kernels of the sumcheck rounds: the vectors are bound and the next round is summed in one pass.

use super::kernels::*;
use super::lanes::{Lanes, Vector};
use crate::field::{F, K};
use crate::slices::{Halves, Quarters, plain};

impl<T> Halves<'_, T> {
    /// Length of the shorter half.
    fn shortest(&self) -> usize {
        self.low.len().min(self.high.len())
    }

    /// Without the first n elements of each half.
    fn skip(&self, n: usize) -> Self {
        Self { low: &self.low[n..], high: &self.high[n..] }
    }
}

impl Quarters<'_> {
    /// Length of the shortest quarter.
    fn shortest(&self) -> usize {
        self.q0.len().min(self.q1.len()).min(self.q2.len()).min(self.q3.len())
    }

    /// Without the first n elements of each quarter.
    fn skip(self, n: usize) -> Self {
        Self { q0: &mut self.q0[n..], q1: &mut self.q1[n..], q2: &self.q2[n..], q3: &self.q3[n..] }
    }
}

/// sum + Σ a·b at 0 and its X² coefficient, of canonical a0, a1, b0, b1.
#[inline(always)]
fn mac_round<S: Lanes>(sums: [Wide<S>; 2], a: [Pair<S>; 2], b: [Pair<S>; 2]) -> [Wide<S>; 2] {
    let difference = (left::<S>(minus::<S>(a[1], a[0])), right::<S>(minus::<S>(b[1], b[0])));
    [mac::<S>(sums[0], left::<S>(a[0]), right::<S>(b[0])), mac::<S>(sums[1], difference.0, difference.1)]
}

#[inline(always)]
fn add_sums<S: Lanes>(totals: &mut [K; 2], sums: [Wide<S>; 2]) {
    totals[0] += sum_lanes::<S>(sums[0]);
    totals[1] += sum_lanes::<S>(sums[1]);
}

#[inline(always)]
pub(super) fn product_round<S: Lanes>(unit: S, a: Halves<'_, K>, b: Halves<'_, K>) -> [K; 2] {
    let n = whole::<S>(&[a.low.len(), a.high.len(), b.low.len(), b.high.len()]);
    let mut totals = plain::product_round(a.skip(n), b.skip(n));
    let mut at = 0;
    while at < n {
        let stretch = n.min(at + STRETCH * S::LANES);
        let mut sums = [nothing(unit); 2];
        while at < stretch {
            let x = [unit.load_k(a.low, at), unit.load_k(a.high, at)];
            let y = [unit.load_k(b.low, at), unit.load_k(b.high, at)];
            sums = mac_round::<S>(sums, x, y);
            at += S::LANES;
        }
        add_sums::<S>(&mut totals, sums);
    }
    totals
}

#[inline(always)]
pub(super) fn product_round_base<S: Lanes>(unit: S, a: Halves<'_, K>, b: Halves<'_, F>) -> [K; 2] {
    let n = whole::<S>(&[a.low.len(), a.high.len(), b.low.len(), b.high.len()]);
    let mut totals = plain::product_round_base(a.skip(n), b.skip(n));
    let mut at = 0;
    while at < n {
        let stretch = n.min(at + STRETCH * S::LANES);
        let mut sums = [nothing(unit); 2];
        while at < stretch {
            let x = [unit.load_k(a.low, at), unit.load_k(a.high, at)];
            let y = [unit.load_mixed(b.low, at), unit.load_mixed(b.high, at)];
            let difference = (left::<S>(minus::<S>(x[1], x[0])), y[1].sub(y[0]).split());
            sums[0] = mac_base::<S>(sums[0], left::<S>(x[0]), y[0].split());
            sums[1] = mac_base::<S>(sums[1], difference.0, difference.1);
            at += S::LANES;
        }
        add_sums::<S>(&mut totals, sums);
    }
    totals
}

/// Binds elements `at..` of a vector in quarters: its two new halves. They are stored later: a load
/// waits for a store before it whose address differs by a multiple of 4096, as those of quarters do.
#[inline(always)]
fn fold_quarters<S: Lanes>(unit: S, part: &Quarters<'_>, at: usize, rho: Right<S>) -> [Pair<S>; 2] {
    [
        fold::<S>(unit.load_k(part.q0, at), unit.load_k(part.q2, at), rho),
        fold::<S>(unit.load_k(part.q1, at), unit.load_k(part.q3, at), rho),
    ]
}

#[inline(always)]
fn store_halves<S: Lanes>(unit: S, part: &mut Quarters<'_>, at: usize, halves: [Pair<S>; 2]) {
    unit.store_k(part.q0, at, halves[0]);
    unit.store_k(part.q1, at, halves[1]);
}

#[inline(always)]
pub(super) fn product_bind_round<S: Lanes>(
    unit: S,
    mut a: Quarters<'_>,
    mut b: Quarters<'_>,
    rho: K,
) -> [K; 2] {
    let n = whole::<S>(&[a.shortest(), b.shortest()]);
    let factor = right::<S>(splat(unit, rho));
    let mut totals = [K::ZERO; 2];
    let mut at = 0;
    while at < n {
        let stretch = n.min(at + STRETCH * S::LANES);
        let mut sums = [nothing(unit); 2];
        while at < stretch {
            let x = fold_quarters(unit, &a, at, factor);
            let y = fold_quarters(unit, &b, at, factor);
            store_halves(unit, &mut a, at, x);
            store_halves(unit, &mut b, at, y);
            sums = mac_round::<S>(sums, x, y);
            at += S::LANES;
        }
        add_sums::<S>(&mut totals, sums);
    }
    let [c0, c2] = plain::product_bind_round(a.skip(n), b.skip(n), rho);
    [totals[0] + c0, totals[1] + c2]
}

/// p0·q1 + q0·(p1 + ν·q1), reduced but not canonical.
#[inline(always)]
fn gate<S: Lanes>(unit: S, [p0, p1, q0, q1]: [Pair<S>; 4], nu: Right<S>) -> Pair<S> {
    let q1 = left::<S>(q1);
    let inner = reduce::<S>(mac::<S>(widen::<S>(p1), q1, nu));
    let sum = mac::<S>(nothing(unit), q1, right::<S>(p0));
    reduce::<S>(mac::<S>(sum, left::<S>(inner), right::<S>(q0)))
}

/// sum + eq·gate at 0 and its X² coefficient; `parts[i]` are the two halves of p0, p1, q0, q1.
#[inline(always)]
fn mac_fraction<S: Lanes>(
    unit: S,
    sums: [Wide<S>; 2],
    eq: Pair<S>,
    parts: [[Pair<S>; 2]; 4],
    nu: Right<S>,
) -> [Wide<S>; 2] {
    let eq = right::<S>(eq);
    let [p0, p1, q0, q1] = parts;
    let at_zero = gate(unit, [p0[0], p1[0], q0[0], q1[0]], nu);
    let slopes = [
        minus::<S>(p0[1], p0[0]),
        minus::<S>(p1[1], p1[0]),
        minus::<S>(q0[1], q0[0]),
        minus::<S>(q1[1], q1[0]),
    ];
    let square = gate(unit, slopes, nu);
    [mac::<S>(sums[0], left::<S>(at_zero), eq), mac::<S>(sums[1], left::<S>(square), eq)]
}

#[inline(always)]
fn load_halves<S: Lanes>(unit: S, part: Halves<'_, K>, at: usize) -> [Pair<S>; 2] {
    [unit.load_k(part.low, at), unit.load_k(part.high, at)]
}

#[inline(always)]
pub(super) fn fraction_round<S: Lanes>(unit: S, eq: &[K], parts: [Halves<'_, K>; 4], nu: K) -> [K; 2] {
    let [p0, p1, q0, q1] = parts;
    let n = whole::<S>(&[eq.len(), p0.shortest(), p1.shortest(), q0.shortest(), q1.shortest()]);
    let rest = [p0.skip(n), p1.skip(n), q0.skip(n), q1.skip(n)];
    let mut totals = plain::fraction_round(&eq[n..], rest, nu);
    let nu = right::<S>(splat(unit, nu));
    let mut at = 0;
    while at < n {
        let stretch = n.min(at + STRETCH * S::LANES);
        let mut sums = [nothing(unit); 2];
        while at < stretch {
            let halves = [
                load_halves(unit, p0, at),
                load_halves(unit, p1, at),
                load_halves(unit, q0, at),
                load_halves(unit, q1, at),
            ];
            sums = mac_fraction(unit, sums, unit.load_k(eq, at), halves, nu);
            at += S::LANES;
        }
        add_sums::<S>(&mut totals, sums);
    }
    totals
}

#[inline(always)]
pub(super) fn fraction_bind_round<S: Lanes>(
    unit: S,
    eq: &[K],
    parts: [Quarters<'_>; 4],
    rho: K,
    nu: K,
) -> [K; 2] {
    let [mut p0, mut p1, mut q0, mut q1] = parts;
    let n = whole::<S>(&[eq.len(), p0.shortest(), p1.shortest(), q0.shortest(), q1.shortest()]);
    let (rho_factor, nu_factor) = (right::<S>(splat(unit, rho)), right::<S>(splat(unit, nu)));
    let mut totals = [K::ZERO; 2];
    let mut at = 0;
    while at < n {
        let stretch = n.min(at + STRETCH * S::LANES);
        let mut sums = [nothing(unit); 2];
        while at < stretch {
            let halves = [
                fold_quarters(unit, &p0, at, rho_factor),
                fold_quarters(unit, &p1, at, rho_factor),
                fold_quarters(unit, &q0, at, rho_factor),
                fold_quarters(unit, &q1, at, rho_factor),
            ];
            let eq = unit.load_k(eq, at);
            store_halves(unit, &mut p0, at, halves[0]);
            store_halves(unit, &mut p1, at, halves[1]);
            store_halves(unit, &mut q0, at, halves[2]);
            store_halves(unit, &mut q1, at, halves[3]);
            sums = mac_fraction(unit, sums, eq, halves, nu_factor);
            at += S::LANES;
        }
        add_sums::<S>(&mut totals, sums);
    }
    let rest = [p0.skip(n), p1.skip(n), q0.skip(n), q1.skip(n)];
    let [c0, c2] = plain::fraction_bind_round(&eq[n..], rest, rho, nu);
    [totals[0] + c0, totals[1] + c2]
}

#[inline(always)]
pub(super) fn fraction_layer<S: Lanes>(
    unit: S,
    p: &mut [K],
    q: &mut [K],
    low: (&[K], &[K]),
    high: (&[K], &[K]),
) {
    let n = whole::<S>(&[p.len(), q.len(), low.0.len(), low.1.len(), high.0.len(), high.1.len()]);
    let mut at = 0;
    while at < n {
        let q0 = left::<S>(unit.load_k(low.1, at));
        let q1 = right::<S>(unit.load_k(high.1, at));
        let sum = mac::<S>(nothing(unit), left::<S>(unit.load_k(low.0, at)), q1);
        let sum = mac::<S>(sum, q0, right::<S>(unit.load_k(high.0, at)));
        unit.store_k(p, at, canonical::<S>(reduce::<S>(sum)));
        unit.store_k(q, at, canonical::<S>(reduce::<S>(mac::<S>(nothing(unit), q0, q1))));
        at += S::LANES;
    }
    let (low, high) = ((&low.0[n..], &low.1[n..]), (&high.0[n..], &high.1[n..]));
    plain::fraction_layer(&mut p[n..], &mut q[n..], low, high);
}

#[inline(always)]
pub(super) fn split_eq<S: Lanes>(unit: S, low: &mut [K], high: &mut [K], x: K) {
    let n = whole::<S>(&[low.len(), high.len()]);
    let factor = right::<S>(splat(unit, x));
    let mut at = 0;
    while at < n {
        let l = unit.load_k(low, at);
        let product = mac::<S>(nothing(unit), left::<S>(l), factor);
        let h = canonical::<S>(reduce::<S>(product));
        unit.store_k(high, at, h);
        unit.store_k(low, at, canonical::<S>(minus::<S>(l, h)));
        at += S::LANES;
    }
    plain::split_eq(&mut low[n..], &mut high[n..], x);
}
