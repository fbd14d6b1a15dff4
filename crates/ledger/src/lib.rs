//! A pure state machine: (state, block, transactions) -> (outcomes, new root).
//!
//! No clock, no socket, no disk, no float, no randomness, no order of a hash map: the same blocks give the same roots
//! on every machine. Time is counted in blocks. What the world must say comes through [`Hooks`]; what a validator
//! finds out by running the verifier ([`Recheck`]) comes in as its signed verdict, never directly.
//!
//! | file | what |
//! |---|---|
//! | `block.rs` | [`execute`], [`propose`]: start here |
//! | `admission.rs` | seven steps before a transaction may enter, each dearer than the last |
//! | `transaction.rs` | envelope and body |
//! | `entry.rs`, `state.rs`, `tree.rs`, `store.rs` | what is stored, and its root |
//! | `stake.rs`, `address.rs`, `ballot.rs` | bonds, where validators are reached, seats, votes |
//! | `registry.rs`, `verdict.rs`, `settle.rs`, `reward.rs` | a record from its order to its fee |
//! | `custody.rs` | who still has older proofs |
//! | `evidence.rs`, `slash.rs`, `recall.rs` | what happens when something was wrong |
//! | `earning.rs` | what a block pays and takes, beside the state |
//! | `parameters.rs`, `prices.rs` | numbers |
//! | `audit.rs` | what must hold of every state |
//! | `pool.rs`, `seat.rs` | for the node: what waits, and what a seat is to say |
//!
//! The rules are chapter 08 of the specification; code cites its anchors, such as `[H15]`.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::float_arithmetic
    )
)]

pub mod address;
pub mod admission;
mod amount;
pub mod audit;
mod ballot;
pub mod block;
pub mod custody;
mod earning;
pub mod entry;
pub mod evidence;
pub mod genesis;
pub mod hooks;
pub mod parameters;
pub mod pool;
pub mod prices;
mod recall;
pub mod refusal;
mod registry;
mod reward;
pub mod seat;
mod settle;
mod slash;
mod stake;
pub mod state;
pub mod store;
pub mod transaction;
pub mod tree;
pub mod verdict;
mod work;

pub use audit::audit;
pub use block::{BlockRefusal, Executed, Outcome, execute, propose};
pub use earning::{Cause, Penalty, Reward};
pub use genesis::Genesis;
pub use hooks::{EngineOffence, Hooks, ProgramFacts, Recheck, Rechecked};
pub use parameters::Parameters;
pub use refusal::{Failure, Refusal, Stop};
pub use state::State;
pub use store::{Changes, Fault, MemoryStore, Scan, Store};
pub use transaction::{Body, Envelope, Lane, Unsigned};
pub use work::{Context, Used, account_of, epoch_of, present};
