//! The record: one signed statement about one proof, and the one file that holds all of it.
//!
//! A proof that [`verify`] accepted gives [`Facts`]; facts, salts and what the signer adds give a
//! [`Statement`]; a key puts it into an [`Envelope`]; with proof, model file and report it becomes an
//! [`Evidence`] file. A reader goes the same way and compares: every part is either signed, or
//! made again from what was checked. Nothing here knows a file, a clock, a float or the compiler.
//!
//! | part | is checked by |
//! |---|---|
//! | container | its one spelling ([`archive`]) |
//! | envelope | the signature over the payload's bytes ([`envelope`]) |
//! | statement | made again from the accepted proof and the salts ([`Statement::agrees`]) |
//! | report | made again from all of it ([`report`]) |
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

pub mod archive;
mod ecdsa;
pub mod envelope;
mod evidence;
mod facts;
mod graph;
pub mod json;
pub mod key;
pub mod limits;
mod page;
mod refused;
pub mod report;
mod salts;
mod statement;
#[cfg(test)]
mod tests;

pub use envelope::Envelope;
pub use evidence::{Annexes, Evidence, NoNetwork, is_evidence};
pub use facts::{Commitment, Facts, Meaning, NotClaimed, Ranges, Role, Security, Semantics, not_claimed};
pub use key::{PublicKey, SigningKey};
pub use page::clean;
pub use refused::{Outcome, Part, Refused};
pub use salts::{Salted, Salts};
pub use statement::{
    Begun, Claims, Kind, STATEMENT_TYPE, Statement, Subject, Verifier, inference_type, input_word,
    reveal_word,
};
