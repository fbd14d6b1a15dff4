//! The contract between compiler, prover and verifier: Program, Statement, relations, limits.

pub mod types;
