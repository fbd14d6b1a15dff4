//! What a stranger checks: headers, committees, and proofs of what the ledger's state holds.
//!
//! Total: every function gives a value or a refusal for any bytes, never panics, and allocates nothing whose
//! length it has not bounded. No threads, no clock, no files, no randomness; it builds for wasm32.
//!
//! | file | what |
//! |---|---|
//! | `hash.rs` | the one hash, once per purpose |
//! | `wire.rs` | canonical bytes: one spelling, exact length |
//! | `map.rs` | the authenticated map: what is, and what is not, under a state root |
//! | `list.rs` | roots of lists: transactions and outcomes of a block |
//! | `committee.rs` | who decides in an epoch |
//! | `header.rs` | what consensus finalises |
//!
//! The bytes are chapter 08 of the specification; code cites its anchors, such as `[H3]`.
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

pub mod committee;
pub mod hash;
pub mod header;
pub mod list;
pub mod map;
pub mod wire;

pub use committee::{Committee, SEATS_MAX, Seat};
pub use hash::Digest;
pub use header::Header;
pub use map::{MapProof, MapRefusal, verify_absent, verify_present};
pub use wire::{Bounded, Canonical, Malformed, Reader, decode, encode};
