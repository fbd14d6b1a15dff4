//! Transcript and proof bytes: one tape, two ends.
//!
//! A protocol is written once, generic over [`End`]. At the prover's end a message is
//! computed and written; at the verifier's end it is read. Writing or reading and
//! absorbing are one act, so nothing can enter a conversation without binding it.
//! The only exception are Merkle siblings ([`End::siblings`]), which a bound root binds.
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

mod ends;
mod reject;
mod sponge;

pub use ends::{End, Mark, ProverEnd, VerifierEnd, push_words, words};
pub use reject::Reject;
pub use sponge::{Search, Sponge};

/// u64 length, then the bytes: the framing `fr(x)` of the spec (T2).
pub fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut out = length.to_le_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// H = BLAKE3, 32 bytes.
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    *blake3::hash(bytes).as_bytes()
}
