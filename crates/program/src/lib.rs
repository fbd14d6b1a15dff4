//! The contract between compiler, prover and verifier: Program, Statement, relations, limits.
//!
//! A [`types::Program`] says what a model computes in integers. The compiler makes one with
//! [`builder::Builder`]; [`validate::validate`] checks that it is sound and always provable;
//! [`lower::lower`] turns it, with the public part of one Statement, into the lists a proof is
//! about; [`execute::execute`] computes the values those lists speak of. [`wire`] fixes the bytes.
//!
//! Everything but [`mod@execute`] is used by the verifier: it never panics, allocates nothing from a
//! length it has not bounded, and knows no floats, threads, files or clocks.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

mod analyse;
pub mod builder;
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "run by the owner and by tests on a validated program"
)]
mod check;
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "run by the owner on a validated program"
)]
pub mod execute;
pub mod interval;
pub mod invalid;
pub mod limits;
pub mod lower;
pub mod ranges;
pub mod types;
pub mod validate;
pub mod wire;

pub use builder::Builder;
pub use execute::{
    Assignment, ExecuteError, Hands, Job, Prepared, Ran, Runner, check_all, execute, execute_ran,
    form_values, run, run_tensors,
};
pub use invalid::{Invalid, Reason, Site};
pub use lower::{Lowered, Shape, lower};
pub use ranges::range_programs;
pub use types::{Disclosure, InputMode, Program, Reveal};
pub use validate::validate;
pub use wire::{Statement, model_id};
