//! Claims about sums become claims about points.
//!
//! This crate holds what both sumchecks of the protocol share: expressions (a constant
//! plus linear functionals of committed data), masked messages with their pads, and the
//! batched inner-product sumcheck itself.
//!
//! | step | who      | says                      | label      |
//! |------|----------|---------------------------|------------|
//! | 1    | verifier | γ                         | `gamma`    |
//! | 2.j  | prover   | c0, c2 of the round       | `ip.round` |
//! | 2.j' | verifier | ρ_j                       | `ip.rho`   |
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

mod expr;
mod inner;
mod ledger;

pub use expr::{Axis, Expr, Term};
pub use inner::{InnerProducts, Reduced, reduce};
pub use ledger::{Ledger, Pads, Sent};

use algebra::K;

/// The next claim of a degree-2 sumcheck round: g(ρ) from c0, c2 and claim = g(0) + g(1),
/// as coefficients (of c0, of c2, of the claim).
pub fn round_weights(rho: K) -> (K, K, K) {
    (K::ONE - rho - rho, rho * rho - rho, rho)
}
