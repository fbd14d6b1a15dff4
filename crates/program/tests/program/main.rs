//! Tests of the program crate through its public interface.

mod common;
mod random;

mod refusals;
mod rounding;
mod wire;
mod worked;
