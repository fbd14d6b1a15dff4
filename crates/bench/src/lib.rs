//! Networks made up on the spot, and their proofs, to measure the proof system by itself.
//!
//! | what | run it with |
//! |---|---|
//! | where the time of a proof goes | `cargo run --release -p zerotell-bench --example profile` |
//! | how long lowering and executing take | `cargo run --release -p zerotell-bench --example speed` |
//! | cost against size, as a table and a picture | `cargo run --release -p zerotell-bench --example scaling` |
//! | what committing weights costs | `cargo run --release -p zerotell-bench --example commit` |
//! | what private queries would cost | `cargo run --release -p zerotell-bench --example private_queries` |
//! | instructions per stage, against a baseline | `cargo xtask counts` |
//!
//! Weights and inputs follow a fixed rule, seeds are fixed: every run does the same work.
#![forbid(unsafe_code)]

mod case;
mod machine;
mod net;

pub use case::{Case, contents};
pub use machine::{cpu_ms, kilobytes};
pub use net::{Net, Style, convolution, counted, layers, perceptron};
