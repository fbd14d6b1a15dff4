//! Graph + calibration data -> integer Program, accuracy report, cost estimate.
//!
//! [`compile`] quantises a float model: it runs it on calibration samples to learn
//! ranges, lowers every step to the integer operators of the proof system, and
//! measures how near the result is. The same inputs give the same Program, bit by
//! bit: tables come from pure-Rust functions, sums run in a fixed order, and
//! calibrated ranges are rounded before they are used.
//!
//! | step | file |
//! |---|---|
//! | which steps are functions of one value | `scan.rs` |
//! | ranges of all values | `calibrate.rs` |
//! | values as Forms; reshapes, slices, windows as views | `value.rs`, `view.rs` |
//! | layers with constant weights | `linear.rs` |
//! | biases that take back what rounding weights adds | `correct.rs` |
//! | windows without weights | `pool.rs` |
//! | scales, shifts and tables | `round.rs` |
//! | models quantised by the user | `qdq.rs` |
//! | comparison with the float model | `report.rs` |

#![forbid(unsafe_code)]

mod calibrate;
mod correct;
mod draft;
mod estimate;
mod expr;
mod linear;
mod lower;
mod metadata;
mod oracle;
mod pool;
mod problem;
mod qdq;
mod report;
mod round;
mod scan;
mod search;
mod value;
mod view;

pub use estimate::{Estimate, Oracle, Row, Sizes, Units, estimate};
pub use metadata::{
    FORMAT, InputMeta, Labels, MeaningError, Metadata, OutputMeta, Quantised, dequantise_output,
    quantise_input, threshold,
};
pub use oracle::{model_oracle, queries};
pub use problem::{CODES, Problem};
pub use report::{Flip, LayerReport, OutputReport, Report};
pub use search::{Compiled, Options, Precision, compile};
