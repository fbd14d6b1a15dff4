//! Commit tables, open linear functionals of them.
//!
//! An oracle is a table whose rows are extended by a Reed-Solomon code, with random mask
//! coefficients where it must hide; its columns are the leaves of a salted Merkle tree.
//! The ladder ([`open`]) folds the rows of all oracles at a random point, commits to the
//! folded vector, spot-checks columns, and repeats until a short vector remains.
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

mod cost;
mod ladder;
mod merkle;
mod plan;
mod shape;

pub use cost::{Cost, Load, cost, tune};
pub use ladder::{Carries, Opened, Opening, Rungs, open, reply_weights};
pub use merkle::{Hashing, Tree, sibling_count};
pub use plan::{Level, Part, Plan, plan};
pub use shape::{Role, Rung, Shape, Sizing, layout_digest, queries};
