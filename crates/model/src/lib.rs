//! ONNX in, a small typed float graph out, with a reference interpreter.
//!
//! [`load`] reads a file, [`run`] computes it in floats, [`operators`] lists what is understood.
//! Reading fails closed: an operator, attribute or mode that is not known is a [`Problem`]
//! that names the node and says what to do, never a silent guess.

pub mod graph;
pub mod tensor;

mod builder;
mod import;
mod onnx;
mod problem;
mod proto;
mod read;
mod run;
mod simplify;
mod wire;

pub use import::{ImportOptions, Imported, load, parse};
pub use onnx::{OperatorDoc, operators};
pub use problem::{Problem, codes, explain};
pub use read::{tensor_from_bytes, tensor_name_from_bytes};
pub use run::{RunError, run, run_all};
pub use simplify::simplify;
