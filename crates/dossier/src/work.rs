//! What verifying one proof of a program costs at most, counted and not timed `[U5]`.
//!
//! The numbers are fitted to the reference machine (`docs/benchmarks.md`) and rounded up. They are part of the protocol:
//! every validator must price a program alike.

use program::types::{Operator, Program};
use program::validate::table_work;

/// Fixed work of every verification, in nanoseconds.
const FIXED: u64 = 1_500_000;
/// Work per operator, in nanoseconds: its walk over blocks, its points.
const OPERATOR: u64 = 100_000;
/// Work per row of a declared table, and out of it, and term of that, in nanoseconds.
const ROW: u64 = 8;
/// Work per public number, in nanoseconds.
const PUBLIC: u64 = 6;
/// Work per opened entry of the model's oracle, in nanoseconds.
const OPENED: u64 = 8;

/// Microseconds of the reference machine.
#[must_use]
pub fn work(program: &Program) -> u64 {
    let declared = program.tables.iter().fold(0u64, |sum, table| sum.saturating_add(table_work(table)));
    let length = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let public = program.tensors.iter().fold(0u64, |sum, t| sum.saturating_add(length(t.content.len())));
    let rows = program.model_oracle.map_or(0, |oracle| u64::from(oracle.rows));
    let opened = rows.saturating_mul(u64::from(program.lambda).saturating_mul(3));
    let parts = [
        FIXED,
        OPERATOR.saturating_mul(length(program.operators.len())),
        ROW.saturating_mul(declared),
        PUBLIC.saturating_mul(public),
        OPENED.saturating_mul(opened),
    ];
    parts.iter().fold(0u64, |sum, part| sum.saturating_add(*part)).div_ceil(1000)
}

/// Programs of one class use the same kinds of operators, so that a mistake in one kind suspends those that use it and
/// no others.
#[must_use]
pub fn class(program: &Program) -> u32 {
    program.operators.iter().fold(0, |set, operator| {
        set | match operator {
            Operator::Check { .. } => 1,
            Operator::Table { .. } => 2,
            Operator::Commit { .. } => 4,
            Operator::Round(_) => 8,
            Operator::Split { .. } => 16,
        }
    })
}
