//! What the explorer's page checks by itself: certificates and proofs, in a Web Worker, offline.
//!
//! The functions here are those of `certify` and `dossier`, told as lines for people and spelled as JSON. They are
//! plain Rust and are tested as such; `cargo xtask wasm` makes a module of them that a page loads without any glue but
//! the few lines of `crates/node/explorer/assets/worker.js`.
//!
//! | file | what |
//! |---|---|
//! | `certificate.rs` | a certificate file against a checkpoint that the reader pinned |
//! | `proof.rs` | a dossier (proof, signed statement, what opens it), as a validator judges it |
//! | `line.rs` | one check, for people |
//! | `abi.rs` | pointers and lengths: how the page calls this |
//!
//! Whoever serves the page also serves this module. A reader who does not believe them takes both from elsewhere, or
//! uses the command line; the page says so.
#![deny(unsafe_code)]
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

pub mod abi;
mod certificate;
mod line;
mod proof;

pub use certificate::{DRIFT, TRUST, check_certificate, read_checkpoint};
pub use line::{Line, State};
pub use proof::check_proof;
