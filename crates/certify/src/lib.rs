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
//! | `varint.rs` | numbers as the engine spells them |
//! | `bls.rs` | aggregate signatures, proofs of possession |
//! | `finality.rs` | that two thirds of the seats signed a header |
//! | `handover.rs` | from one epoch's committee to the next |
//! | `client.rs` | from a checkpoint to any later epoch |
//! | `certificate.rs` | the file: an entry of the state, finalised |
//! | `way.rs` | from an epoch on, for whoever keeps in touch |
//! | `receipt.rs` | the same as a COSE receipt |
//! | `refusal.rs` | why not |
//!
//! The bytes are chapters 08 and 10 of the specification; code cites their anchors, such as `[H3]` and `[Z1]`.
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

pub mod bls;
pub mod certificate;
pub mod client;
pub mod committee;
pub mod finality;
pub mod handover;
pub mod hash;
pub mod header;
pub mod list;
pub mod map;
pub mod receipt;
pub mod refusal;
pub mod varint;
pub mod way;
pub mod wire;

pub use certificate::{Certificate, Entry};
pub use client::{Checkpoint, Client, Clock};
pub use committee::{Committee, SEATS_MAX, Seat};
pub use finality::Finality;
pub use handover::Handover;
pub use hash::Digest;
pub use header::Header;
pub use map::{MapProof, MapRefusal, verify_absent, verify_present};
pub use refusal::Refusal;
pub use way::Way;
pub use wire::{Bounded, Canonical, Malformed, Reader, decode, encode};
