//! The built binary, end to end.

mod abuse;
#[cfg(feature = "network")]
mod accounts;
mod batch;
#[cfg(feature = "network")]
mod demo;
mod epochs;
mod evidence;
#[cfg(feature = "network")]
mod faults;
mod inputs;
#[cfg(feature = "network")]
mod interface;
#[cfg(feature = "network")]
mod joining;
mod keys;
#[cfg(feature = "network")]
mod kills;
mod modes;
#[cfg(feature = "network")]
mod network;
#[cfg(feature = "network")]
mod pins;
mod ranges;
mod secrecy;
mod versions;
mod world;
