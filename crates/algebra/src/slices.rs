//! Long loops over field elements: the prover's kernels.
//!
//! Each function's plain text is its definition; here the fastest twin the processor can run does the
//! work ([`crate::arch`]). All slices of one call have equal length unless said otherwise; the
//! shortest decides.

pub(crate) mod plain;

use crate::arch::{self, Level};
use crate::field::{F, K};

/// A vector cut in two halves along its top variable.
#[derive(Clone, Copy, Debug)]
pub struct Halves<'a, T> {
    /// Top variable 0.
    pub low: &'a [T],
    /// Top variable 1.
    pub high: &'a [T],
}

/// A vector cut in four along its two top variables; the first two quarters take the bound vector.
#[derive(Debug)]
pub struct Quarters<'a> {
    /// Top variables 00.
    pub q0: &'a mut [K],
    /// 01: the second variable set.
    pub q1: &'a mut [K],
    /// 10: the top variable set.
    pub q2: &'a [K],
    /// 11.
    pub q3: &'a [K],
}

/// `low[i]` ← (1−ρ)·`low[i]` + ρ·`high[i]`.
pub fn bind(low: &mut [K], high: &[K], rho: K) {
    arch::bind(Level::best(), low, high, rho);
}

/// `out[i]` ← (1−ρ)·`low[i]` + ρ·`high[i]` over base elements.
pub fn bind_base(out: &mut [K], low: &[F], high: &[F], rho: K) {
    arch::bind_base(Level::best(), out, low, high, rho);
}

/// `out[i]` += s·`x[i]`.
pub fn add_scaled(out: &mut [K], s: K, x: &[K]) {
    arch::add_scaled(Level::best(), out, s, x);
}

/// `out[i]` += Σ_r `weights[r]`·`rows[r][i]`; what a row lacks is 0.
pub fn add_combined(out: &mut [K], weights: &[K], rows: &[&[K]]) {
    arch::add_combined(Level::best(), out, weights, rows);
}

/// `out[i]` += s·`x[i]` over base elements.
pub fn add_scaled_base(out: &mut [K], s: K, x: &[F]) {
    arch::add_scaled_base(Level::best(), out, s, x);
}

/// `out[i]` ← Σ_r `weights[r]`·`rows[r][i]` over base elements; what a row lacks is 0.
pub fn combine_base(out: &mut [K], weights: &[K], rows: &[&[F]]) {
    arch::combine_base(Level::best(), out, weights, rows);
}

/// `out[i]` += `x[i]`·`y[i]` over base elements.
pub fn add_products(out: &mut [F], x: &[F], y: &[F]) {
    arch::add_products(Level::best(), out, x, y);
}

/// `out[i]` ← pow(z; `x[i]`), see [`crate::multilinear::power`].
pub fn powers(out: &mut [K], z: &[K], x: &[F]) {
    arch::powers(Level::best(), out, z, x);
}

/// `out[i]` += s·`x[i]` over signed integers.
pub fn add_scaled_integers(out: &mut [K], s: K, x: &[i64]) {
    arch::add_scaled_integers(Level::best(), out, s, x);
}

/// `out[i]` ← Σ_r `weights[r]`·`rows[r][i]`; what a row lacks is 0.
pub fn combine_integers(out: &mut [K], weights: &[K], rows: &[&[i64]]) {
    arch::combine_integers(Level::best(), out, weights, rows);
}

/// `x[i]` ← s·`x[i]`.
pub fn scale(x: &mut [K], s: K) {
    arch::scale(Level::best(), x, s);
}

/// Σ `a[i]`·`b[i]`.
pub fn dot(a: &[K], b: &[K]) -> K {
    arch::dot(Level::best(), a, b)
}

/// Σ `a[i]`·`b[i]`, both over the base field.
pub fn dot_elements(a: &[F], b: &[F]) -> F {
    arch::dot_elements(Level::best(), a, b)
}

/// Σ `a[i]`·`b[i]`, b over the base field.
pub fn dot_base(a: &[K], b: &[F]) -> K {
    arch::dot_base(Level::best(), a, b)
}

/// Σ `a[i]`·`x[i]`, x signed integers.
pub fn dot_integers(a: &[K], x: &[i64]) -> K {
    arch::dot_integers(Level::best(), a, x)
}

/// Σ a·b at 0 and its X² coefficient: Σ `a.low`·`b.low`, Σ (`a.high`−`a.low`)(`b.high`−`b.low`).
pub fn product_round(a: Halves<'_, K>, b: Halves<'_, K>) -> [K; 2] {
    arch::product_round(Level::best(), a, b)
}

/// As [`product_round`], b over the base field.
pub fn product_round_base(a: Halves<'_, K>, b: Halves<'_, F>) -> [K; 2] {
    arch::product_round_base(Level::best(), a, b)
}

/// Binds the top variable of a and b at ρ, then [`product_round`] of what remains.
pub fn product_bind_round(a: Quarters<'_>, b: Quarters<'_>, rho: K) -> [K; 2] {
    arch::product_bind_round(Level::best(), a, b, rho)
}

/// Round of the fraction sumcheck: Σ eq·gate at 0 and its X² coefficient; parts p0, p1, q0, q1.
pub fn fraction_round(eq: &[K], parts: [Halves<'_, K>; 4], nu: K) -> [K; 2] {
    arch::fraction_round(Level::best(), eq, parts, nu)
}

/// Binds the top variable of all parts at ρ, then [`fraction_round`] of what remains.
pub fn fraction_bind_round(eq: &[K], parts: [Quarters<'_>; 4], rho: K, nu: K) -> [K; 2] {
    arch::fraction_bind_round(Level::best(), eq, parts, rho, nu)
}

/// Sums of fractions: p ← p0·q1 + p1·q0, q ← q0·q1; `low` and `high` are (p0, q0) and (p1, q1).
pub fn fraction_layer(p: &mut [K], q: &mut [K], low: (&[K], &[K]), high: (&[K], &[K])) {
    arch::fraction_layer(Level::best(), p, q, low, high);
}

/// Doubles a table of eq: `low[i]` ← (1−x)·`low[i]`, `high[i]` ← x·`low[i]`.
pub fn split_eq(low: &mut [K], high: &mut [K], x: K) {
    arch::split_eq(Level::best(), low, high, x);
}
