//! Tests of whole proofs.

extern crate program as zerotell_program;

mod common;
mod completeness;
mod golden;
mod limits;
mod links;
mod prepared;
mod random;
mod ranges;
mod reference;
mod soundness;
