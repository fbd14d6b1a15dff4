//! Tests of whole proofs.

mod common;
mod completeness;
mod golden;
mod soundness;
