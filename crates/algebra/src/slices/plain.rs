//! The kernels in plain text: their definition, and what runs where no vector unit is known.

use super::{Halves, Quarters};
use crate::field::{F, K};
use crate::multilinear::power;

/// `low[i]` ← (1−ρ)·`low[i]` + ρ·`high[i]`.
pub(crate) fn bind(low: &mut [K], high: &[K], rho: K) {
    low.iter_mut().zip(high).for_each(|(l, &h)| *l += rho * (h - *l));
}

/// `out[i]` ← (1−ρ)·`low[i]` + ρ·`high[i]` over base elements.
pub(crate) fn bind_base(out: &mut [K], low: &[F], high: &[F], rho: K) {
    for ((slot, &l), &h) in out.iter_mut().zip(low).zip(high) {
        *slot = K::from(l) + rho.scale(h - l);
    }
}

/// `out[i]` += s·`x[i]`.
pub(crate) fn add_scaled(out: &mut [K], s: K, x: &[K]) {
    out.iter_mut().zip(x).for_each(|(slot, &x)| *slot += s * x);
}

/// `out[i]` += Σ_r `weights[r]`·`rows[r][i]`; what a row lacks is 0.
pub(crate) fn add_combined(out: &mut [K], weights: &[K], rows: &[&[K]]) {
    add_combined_from(0, out, weights, rows);
}

/// As [`add_combined`] for i >= `first` alone.
pub(crate) fn add_combined_from(first: usize, out: &mut [K], weights: &[K], rows: &[&[K]]) {
    let Some(out) = out.get_mut(first..) else { return };
    for (&weight, row) in weights.iter().zip(rows) {
        add_scaled(out, weight, row.get(first..).unwrap_or_default());
    }
}

/// `out[i]` += s·`x[i]` over base elements.
pub(crate) fn add_scaled_base(out: &mut [K], s: K, x: &[F]) {
    out.iter_mut().zip(x).for_each(|(slot, &x)| *slot += s.scale(x));
}

/// `out[i]` += `x[i]`·`y[i]` over base elements.
pub(crate) fn add_products(out: &mut [F], x: &[F], y: &[F]) {
    out.iter_mut().zip(x).zip(y).for_each(|((slot, &x), &y)| *slot += x * y);
}

/// `out[i]` ← pow(z; `x[i]`).
pub(crate) fn powers(out: &mut [K], z: &[K], x: &[F]) {
    out.iter_mut().zip(x).for_each(|(slot, &x)| *slot = power(z, x));
}

/// `out[i]` += s·`x[i]` over signed integers.
pub(crate) fn add_scaled_integers(out: &mut [K], s: K, x: &[i64]) {
    out.iter_mut().zip(x).for_each(|(slot, &x)| *slot += s.scale(F::from_i64(x)));
}

/// `out[i]` ← Σ_r `weights[r]`·`rows[r][i]`; what a row lacks is 0.
pub(crate) fn combine_integers(out: &mut [K], weights: &[K], rows: &[&[i64]]) {
    combine_integers_from(0, out, weights, rows);
}

/// As [`combine_integers`] for i >= `first` alone.
pub(crate) fn combine_integers_from(first: usize, out: &mut [K], weights: &[K], rows: &[&[i64]]) {
    let Some(out) = out.get_mut(first..) else { return };
    out.fill(K::ZERO);
    for (&weight, row) in weights.iter().zip(rows) {
        add_scaled_integers(out, weight, row.get(first..).unwrap_or_default());
    }
}

/// `out[i]` ← Σ_r `weights[r]`·`rows[r][i]`; what a row lacks is 0.
pub(crate) fn combine_base(out: &mut [K], weights: &[K], rows: &[&[F]]) {
    combine_base_from(0, out, weights, rows);
}

/// As [`combine_base`] for i >= `first` alone.
pub(crate) fn combine_base_from(first: usize, out: &mut [K], weights: &[K], rows: &[&[F]]) {
    let Some(out) = out.get_mut(first..) else { return };
    out.fill(K::ZERO);
    for (&weight, row) in weights.iter().zip(rows) {
        add_scaled_base(out, weight, row.get(first..).unwrap_or_default());
    }
}

/// `x[i]` ← s·`x[i]`.
pub(crate) fn scale(x: &mut [K], s: K) {
    x.iter_mut().for_each(|x| *x *= s);
}

/// Σ `a[i]`·`b[i]`.
pub(crate) fn dot(a: &[K], b: &[K]) -> K {
    a.iter().zip(b).map(|(&a, &b)| a * b).sum()
}

/// Σ `a[i]`·`b[i]`, both over the base field.
pub(crate) fn dot_elements(a: &[F], b: &[F]) -> F {
    a.iter().zip(b).map(|(&a, &b)| a * b).sum()
}

/// Σ `a[i]`·`b[i]`, b over the base field.
pub(crate) fn dot_base(a: &[K], b: &[F]) -> K {
    a.iter().zip(b).map(|(&a, &b)| a.scale(b)).sum()
}

/// Σ `a[i]`·`x[i]`, x signed integers.
pub(crate) fn dot_integers(a: &[K], x: &[i64]) -> K {
    a.iter().zip(x).map(|(&a, &x)| a.scale(F::from_i64(x))).sum()
}

/// Σ a·b at 0 and its X² coefficient: Σ `a.low`·`b.low`, Σ (`a.high`−`a.low`)(`b.high`−`b.low`).
pub(crate) fn product_round(a: Halves<'_, K>, b: Halves<'_, K>) -> [K; 2] {
    let mut sums = [K::ZERO; 2];
    for (((&a0, &a1), &b0), &b1) in a.low.iter().zip(a.high).zip(b.low).zip(b.high) {
        sums[0] += a0 * b0;
        sums[1] += (a1 - a0) * (b1 - b0);
    }
    sums
}

/// As [`product_round`], b over the base field.
pub(crate) fn product_round_base(a: Halves<'_, K>, b: Halves<'_, F>) -> [K; 2] {
    let mut sums = [K::ZERO; 2];
    for (((&a0, &a1), &b0), &b1) in a.low.iter().zip(a.high).zip(b.low).zip(b.high) {
        sums[0] += a0.scale(b0);
        sums[1] += (a1 - a0).scale(b1 - b0);
    }
    sums
}

/// Binds the top variable of a and b at ρ, then [`product_round`] of what remains.
pub(crate) fn product_bind_round(a: Quarters<'_>, b: Quarters<'_>, rho: K) -> [K; 2] {
    bind(a.q0, a.q2, rho);
    bind(a.q1, a.q3, rho);
    bind(b.q0, b.q2, rho);
    bind(b.q1, b.q3, rho);
    product_round(Halves { low: a.q0, high: a.q1 }, Halves { low: b.q0, high: b.q1 })
}

/// Two fractions p0/q0 + p1/q1 with weight: p0·q1 + p1·q0 + ν·q0·q1.
#[inline(always)]
fn gate([p0, p1, q0, q1]: [K; 4], nu: K) -> K {
    p0 * q1 + q0 * (p1 + nu * q1)
}

/// Round of the fraction sumcheck: Σ eq·gate at 0 and its X² coefficient; parts p0, p1, q0, q1.
pub(crate) fn fraction_round(eq: &[K], parts: [Halves<'_, K>; 4], nu: K) -> [K; 2] {
    let mut sums = [K::ZERO; 2];
    let [p0, p1, q0, q1] = parts;
    let low = p0.low.iter().zip(p1.low).zip(q0.low).zip(q1.low);
    let high = p0.high.iter().zip(p1.high).zip(q0.high).zip(q1.high);
    for ((&e, (((&a, &b), &c), &d)), (((&x, &y), &z), &w)) in eq.iter().zip(low).zip(high) {
        sums[0] += e * gate([a, b, c, d], nu);
        sums[1] += e * gate([x - a, y - b, z - c, w - d], nu);
    }
    sums
}

/// Binds the top variable of all parts at ρ, then [`fraction_round`] of what remains.
pub(crate) fn fraction_bind_round(eq: &[K], parts: [Quarters<'_>; 4], rho: K, nu: K) -> [K; 2] {
    let bound = parts.map(|part| {
        bind(part.q0, part.q2, rho);
        bind(part.q1, part.q3, rho);
        Halves { low: &*part.q0, high: &*part.q1 }
    });
    fraction_round(eq, bound, nu)
}

/// Sums of fractions: p ← p0·q1 + p1·q0, q ← q0·q1; `low` and `high` are (p0, q0) and (p1, q1).
pub(crate) fn fraction_layer(p: &mut [K], q: &mut [K], low: (&[K], &[K]), high: (&[K], &[K])) {
    let inputs = low.0.iter().zip(low.1).zip(high.0.iter().zip(high.1));
    for ((p, q), ((&p0, &q0), (&p1, &q1))) in p.iter_mut().zip(q).zip(inputs) {
        *p = p0 * q1 + p1 * q0;
        *q = q0 * q1;
    }
}

/// Doubles a table of eq: `low[i]` ← (1−x)·`low[i]`, `high[i]` ← x·`low[i]`.
pub(crate) fn split_eq(low: &mut [K], high: &mut [K], x: K) {
    for (l, h) in low.iter_mut().zip(high) {
        *h = *l * x;
        *l -= *h;
    }
}
