//! Vector units, chosen when the program runs.
//!
//! A kernel is written once over `lanes` and compiled for each unit; its definition is the plain
//! text in [`crate::slices`]. All `unsafe` code of the workspace is in this module. It rests on two
//! facts: a token of a unit exists only after the processor was asked, and a load or store covers a
//! checked slice.
#![cfg_attr(
    all(target_arch = "x86_64", not(test)),
    expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "only the prover runs these loops; bounds are checked and sizes are its own"
    )
)]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod blake3;
pub mod factors;
#[cfg(target_arch = "x86_64")]
mod integers;
#[cfg(target_arch = "x86_64")]
mod kernels;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod rounds;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod transform;

use std::sync::OnceLock;

use crate::field::{F, K};
use crate::ntt::{Plan, layers};
use crate::slices::{self, Halves, Quarters};
use crate::small;

/// A way to run the kernels on this processor.
#[derive(Clone, Copy, Debug)]
pub struct Level(Unit);

#[derive(Clone, Copy, Debug)]
enum Unit {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
}

impl Level {
    /// The plain text.
    pub const PORTABLE: Self = Self(Unit::Portable);

    /// The levels this processor has, fastest last.
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "no other level"))]
        let mut levels = vec![Self::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(avx2::Avx2::detect().map(|unit| Self(Unit::Avx2(unit))));
            levels.extend(avx512::Avx512::detect().map(|unit| Self(Unit::Avx512(unit))));
        }
        levels
    }

    /// The fastest level; the processor is asked once.
    #[inline]
    pub fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().pop().unwrap_or(Self::PORTABLE))
    }

    /// Words of a vector; none for the plain text.
    pub(crate) fn lanes(self) -> Option<usize> {
        match self.0 {
            Unit::Portable => None,
            #[cfg(target_arch = "x86_64")]
            Unit::Avx2(_) => Some(4),
            #[cfg(target_arch = "x86_64")]
            Unit::Avx512(_) => Some(8),
        }
    }

    /// Name for tables.
    pub fn name(self) -> &'static str {
        match self.0 {
            Unit::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Unit::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Unit::Avx512(_) => "AVX-512",
        }
    }
}

/// A function that runs a kernel at a level: the plain text, or its twin compiled for the unit.
macro_rules! at_level {
    (
        $plain:path, $twin:ident, $(#[$about:meta])*
        $visible:vis fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?
    ) => {
        $(#[$about])*
        $visible fn $name(level: Level, $($arg: $type),*) $(-> $result)? {
            match level.0 {
                Unit::Portable => $plain($($arg),*),
                #[cfg(target_arch = "x86_64")]
                Unit::Avx2(unit) => {
                    #[target_feature(enable = "avx2")]
                    fn run(unit: avx2::Avx2, $($arg: $type),*) $(-> $result)? {
                        $twin::$name(unit, $($arg),*)
                    }
                    // SAFETY: the token exists, so the processor has the feature.
                    unsafe { run(unit, $($arg),*) }
                }
                #[cfg(target_arch = "x86_64")]
                Unit::Avx512(unit) => {
                    #[target_feature(enable = "avx512f,avx512dq,avx512ifma")]
                    fn run(unit: avx512::Avx512, $($arg: $type),*) $(-> $result)? {
                        $twin::$name(unit, $($arg),*)
                    }
                    // SAFETY: the token exists, so the processor has the features.
                    unsafe { run(unit, $($arg),*) }
                }
            }
        }
    };
}

/// The kernels of a module with its plain texts in `plain`.
macro_rules! kernels {
    ($home:ident: $($twin:ident fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {$(
        at_level! {
            $home::plain::$name, $twin,
            #[doc = concat!("[`crate::", stringify!($home), "::", stringify!($name), "`] at a level.")]
            pub fn $name($($arg: $type),*) $(-> $result)?
        }
    )*};
}

kernels! {
    slices:
    kernels fn bind(low: &mut [K], high: &[K], rho: K);
    kernels fn bind_base(out: &mut [K], low: &[F], high: &[F], rho: K);
    kernels fn add_scaled(out: &mut [K], s: K, x: &[K]);
    kernels fn add_combined(out: &mut [K], weights: &[K], rows: &[&[K]]);
    kernels fn add_scaled_base(out: &mut [K], s: K, x: &[F]);
    kernels fn add_products(out: &mut [F], x: &[F], y: &[F]);
    kernels fn powers(out: &mut [K], z: &[K], x: &[F]);
    integers fn add_scaled_integers(out: &mut [K], s: K, x: &[i64]);
    integers fn combine_integers(out: &mut [K], weights: &[K], rows: &[&[i64]]);
    kernels fn combine_base(out: &mut [K], weights: &[K], rows: &[&[F]]);
    kernels fn scale(x: &mut [K], s: K);
    kernels fn dot(a: &[K], b: &[K]) -> K;
    kernels fn dot_elements(a: &[F], b: &[F]) -> F;
    kernels fn dot_base(a: &[K], b: &[F]) -> K;
    integers fn dot_integers(a: &[K], x: &[i64]) -> K;
    rounds fn product_round(a: Halves<'_, K>, b: Halves<'_, K>) -> [K; 2];
    rounds fn product_round_base(a: Halves<'_, K>, b: Halves<'_, F>) -> [K; 2];
    rounds fn product_bind_round(a: Quarters<'_>, b: Quarters<'_>, rho: K) -> [K; 2];
    rounds fn fraction_round(eq: &[K], parts: [Halves<'_, K>; 4], nu: K) -> [K; 2];
    rounds fn fraction_bind_round(eq: &[K], parts: [Quarters<'_>; 4], rho: K, nu: K) -> [K; 2];
    rounds fn fraction_layer(p: &mut [K], q: &mut [K], low: (&[K], &[K]), high: (&[K], &[K]));
    rounds fn split_eq(low: &mut [K], high: &mut [K], x: K);
}

kernels! {
    small:
    integers fn dot_small(a: &[K], x: &[i16]) -> K;
    integers fn dots_small(out: &mut [K], a: &[K], rows: &[&[i16]]);
    integers fn products_small(out: &mut [F], x: &[i16], y: &[F]);
    integers fn combine_products(out: &mut [F], weights: &[F], rows: &[&[i16]], factors: &[F]);
    integers fn residues_small(out: &mut [F], x: &[i16]);
    integers fn combine_small(out: &mut [K], weights: &[K], rows: &[&[i16]]);
}

at_level! {
    layers::forward, transform,
    /// Transforms values in place by a plan for this level; coefficients from `present` on are taken as 0.
    pub(crate) fn forward(plan: &Plan, values: &mut [F], present: usize)
}

at_level! {
    layers::forward_columns, transform,
    /// Transforms columns of rows of `width` values in place, the first ones; how many.
    pub(crate) fn forward_columns(plan: &Plan, values: &mut [F], width: usize, present: usize) -> usize
}
