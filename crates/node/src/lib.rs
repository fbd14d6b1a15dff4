//! A validator: the ledger and the verifier on a BFT engine, with its network, its disk and its HTTP interface.
//!
//! | file | what |
//! |---|---|
//! | `chain.rs` | the final state, blocks above it, what waits: start here |
//! | `block.rs`, `app.rs`, `engine.rs`, `scheme.rs` | what the engine carries, asks, and runs |
//! | `seat.rs`, `canary.rs`, `judge.rs` | what a seat does about rounds, and what it owes; the verifier beside consensus |
//! | `peers.rs` | whom it keeps connections with |
//! | `earned.rs` | what accounts earned and lost |
//! | `sync.rs` | the state of a final block, for a node that begins late |
//! | `store.rs`, `blobs.rs`, `doubts.rs`, `wants.rs`, `hooks.rs` | the disk; dossiers and programs, and what they share; who answered right; what is asked for; what the ledger asks of the world |
//! | `http.rs`, `strangers.rs` | what it tells anyone, and what anyone may take of it |
//!
//! The rules are chapter 11 of the specification; code cites its anchors, such as `[U8]`.
#![forbid(unsafe_code)]

pub mod app;
pub mod blobs;
pub mod block;
pub mod canary;
pub mod chain;
pub mod client;
pub mod config;
mod doubts;
pub mod earned;
pub mod engine;
pub mod hooks;
pub mod http;
pub mod judge;
pub mod keys;
pub mod localnet;
mod pages;
pub mod peers;
pub mod run;
pub mod scheme;
pub mod seat;
pub mod store;
pub mod strangers;
pub mod sync;
mod wants;
