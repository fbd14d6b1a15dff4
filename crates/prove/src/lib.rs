//! Program + secrets -> proof.
//!
//! The conversation is [`verify::converse`]; this crate is its witness. Plain kernels define what
//! is computed; the proof bytes depend on nothing but the statement, the secrets and the seed.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    expect(
        clippy::indexing_slicing,
        clippy::as_conversions,
        clippy::arithmetic_side_effects,
        reason = "run by the owner on sizes that Setup has checked"
    )
)]

mod awake;
mod fractions;
mod functional;
mod grind;
mod hands;
mod inner;
mod integers;
mod leaves;
mod link;
mod memory;
mod product;
mod prover;
mod queried;
pub mod random;
mod ranked;
mod rungs;
mod table;
#[cfg(test)]
mod tests;
mod tiled;
mod tune;
mod values;

pub use hands::{execute, run};
pub use integers::Integers;
pub use link::{LinkAbout, prove_link, recommit};
pub use prover::{Proof, ProveError, commit_input, commit_model, prove, prove_at, prove_observed};
pub use table::Table;
pub use tune::tune;

// Experiments that open in another way join the ladder with these.
pub use functional::Functional;
pub use rungs::Ladder;
