//! Tests of the program crate through its public interface.

mod common;
mod random;

mod ranges;
mod refusals;
mod rounding;
mod wire;
mod worked;
