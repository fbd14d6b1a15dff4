//! Why a model cannot be compiled, and what to do about it.

use std::fmt;

/// One reason to refuse a model. All reasons found are reported together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable code, `ZT100`..`ZT199`.
    pub code: &'static str,
    /// Node (or value) it is about; empty for the whole model.
    pub node: String,
    /// ONNX operator of the node; empty for the whole model.
    pub operator: String,
    /// What is wrong.
    pub reason: String,
    /// What the user can do.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.node.is_empty() {
            write!(f, " at {} ({})", self.node, self.operator)?;
        }
        write!(f, ": {}. {}", self.reason, self.fix)
    }
}

/// Code, title and explanation of every problem the compiler reports.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        UNSUPPORTED,
        "operator cannot be proved here",
        "The operator, or the way this node uses it, has no integer lowering. The reason names what is missing.",
    ),
    (
        NO_CALIBRATION,
        "calibration data needed",
        "Scales of the integer program come from the ranges seen on real inputs. Give a few dozen to a few hundred representative inputs.",
    ),
    (
        BAD_CALIBRATION,
        "calibration data do not fit",
        "Each sample needs one tensor per model input, with the model's static shape and finite values.",
    ),
    (
        TOO_WIDE,
        "numbers too large",
        "A relation could leave the range where field arithmetic equals integer arithmetic. Fewer weight or activation bits, or a narrower layer, help.",
    ),
    (
        AGREEMENT,
        "accuracy gate not met",
        "The integer program agrees with the float model on fewer samples than asked for.",
    ),
    (
        LAYOUT,
        "layout cannot be expressed",
        "The reshape, slice or concatenation mixes axes in a way that no view of the proof system describes.",
    ),
    (NON_FINITE, "not a finite number", "A weight, constant or intermediate value is NaN or infinite."),
    (
        OUTPUT,
        "output cannot be revealed",
        "An output is constant, is an input, or depends on data in a way that has no integer form.",
    ),
    (
        OPTION,
        "option out of range",
        "The asked-for precision or limb size is outside what the proof system offers.",
    ),
    (
        INTERNAL,
        "the compiled program is not valid",
        "The compiler made a program that the validator refuses. This is a bug in the compiler; the model is not at fault.",
    ),
];

/// Operator without a lowering.
pub const UNSUPPORTED: &str = "ZT100";
/// Calibration data missing.
pub const NO_CALIBRATION: &str = "ZT101";
/// Calibration data do not fit the model.
pub const BAD_CALIBRATION: &str = "ZT102";
/// A relation could wrap around the field.
pub const TOO_WIDE: &str = "ZT103";
/// `min_agreement` not met.
pub const AGREEMENT: &str = "ZT104";
/// A view cannot express the data movement.
pub const LAYOUT: &str = "ZT105";
/// NaN or infinity.
pub const NON_FINITE: &str = "ZT106";
/// Output cannot be shown.
pub const OUTPUT: &str = "ZT107";
/// Option out of range.
pub const OPTION: &str = "ZT108";
/// The compiler's own output is invalid.
pub const INTERNAL: &str = "ZT109";

impl Problem {
    /// A problem of the whole model.
    pub fn global(code: &'static str, reason: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code, node: String::new(), operator: String::new(), reason: reason.into(), fix: fix.into() }
    }

    /// The same problem, said about a node.
    #[must_use]
    pub fn at(mut self, node: &model::graph::Node) -> Self {
        if self.node.is_empty() {
            self.node.clone_from(&node.name);
            self.operator.clone_from(&node.onnx);
        }
        self
    }
}

/// An operator or usage without a lowering.
pub(crate) fn unsupported(reason: impl Into<String>, fix: impl Into<String>) -> Problem {
    Problem::global(UNSUPPORTED, reason, fix)
}

/// A data movement without a view.
pub(crate) fn layout(reason: impl Into<String>) -> Problem {
    Problem::global(
        LAYOUT,
        reason,
        "Move the reshape or transpose before the first or after the last layer, or export the model without it.",
    )
}
