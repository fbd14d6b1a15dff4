//! The built binary, end to end.

mod abuse;
#[cfg(feature = "network")]
mod accounts;
mod batch;
mod epochs;
mod evidence;
mod inputs;
mod keys;
mod modes;
#[cfg(feature = "network")]
mod network;
mod ranges;
mod secrecy;
mod world;
