//! Goldilocks, its quadratic extension, exact binary layouts, multilinear tables and transforms.
//!
//! Everything here is plain arithmetic on public shapes. The text of each
//! operation is its definition; fast twins are compared with it.
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

#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "vector units: see the module"))]
pub mod arch;
pub mod field;
pub mod layout;
pub mod multilinear;
pub mod ntt;
pub mod slices;
pub mod small;

pub use field::{F, K};
