//! Program + Statement + proof bytes -> [`Verdict`].
//!
//! Total: [`verify`] returns a verdict for any bytes, never panics, and allocates nothing whose
//! length it has not bounded. No threads, no clock, no files, no randomness, no ONNX.
//!
//! The conversation itself is [`converse`], written once for both ends; the prover runs the same
//! text with a [`Witness`].
//!
//! | step | who      | says                              | label       |
//! |------|----------|-----------------------------------|-------------|
//! | 0    | both     | Statement bytes                   | `hdr`       |
//! | 1    | prover   | root of Z                         | `root.z`    |
//! | 1'   | prover   | root of Q (zk)                    | `root.pad`  |
//! | 1''  | verifier | α, β_1.., β_tag                   | `alpha`, `beta`, `tag` |
//! | 2-3  | both     | LogUp-GKR, see `lookup`           |             |
//! | 4    | verifier | points of relations, τ (zk)       | `point`, `tau` |
//! | 5    | both     | inner products, see `sumcheck`    |             |
//! | 6    | prover   | private a_l, b_l                  | `ip.out`    |
//! | 6'   | prover   | A, B (zk, not masked)             | `ip.clear`  |
//! | 6''  | verifier | η                                 | `eta`       |
//! | 7-9  | both     | the ladder, see `oracle`          |             |
//!
//! A proof may open a fresh commitment of the same data instead of the identity's own: [`verify_linked`]
//! takes the [`Link`]s that lead to it.
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

mod address;
mod chain;
mod conversation;
mod functional;
mod link;
mod prepared;
mod ranges;
mod relations;
mod setup;
mod soundness;
mod verdict;

pub use chain::{
    CHAIN_MAX, ChainError, Chains, Link, Linked, Links, decode_links, encode_links, links_digest,
};
pub use conversation::{Challenges, Witness, converse};
pub use functional::{Functionals, Position, form_expr, public_value};
pub use link::{
    LINK_VERSION, LinkError, LinkSetup, LinkStatement, LinkWitness, OracleRecord, link, verifier_links,
    verify_link, verify_link_at, verify_step,
};
pub use prepared::{Prepared, prepare};
pub use ranges::{RangeRefusal, range_statement, verify_ranges};
pub use relations::{InnerPoints, LookupChallenges, split_point};
pub use setup::{Group, Product, ProofShape, Setup, SetupError, Sizes, input_shape, model_shape, sizing};
pub use soundness::{Budget, Term as SoundnessTerm, budget};
pub use tape::Reject;
pub use verdict::{
    Accepted, Nobody, PROOF_VERSION, Refusal, Verdict, model_identity, verifier_converses, verify, verify_at,
    verify_linked, verify_traced,
};
