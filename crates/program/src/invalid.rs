//! Why a Program, a disclosure or a slot is refused, and where.

use std::fmt;

/// Which part of the Program or Statement is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// The Program as a whole.
    Program,
    /// The declared tensor with this number.
    Tensor(u32),
    /// The table with this number.
    Table(u32),
    /// The operator with this number, in program order.
    Operator(u32),
    /// The output with this number.
    Output(u32),
    /// The reveal with this number.
    Reveal(u32),
    /// The slot list with this number.
    Slot(u32),
    /// The disclosure or batch size.
    Shape,
}

/// What is wrong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A count or size exceeds a limit of [`crate::limits`].
    Limit {
        /// What is counted.
        what: &'static str,
        /// The largest accepted count.
        limit: u64,
        /// The count found.
        got: u64,
    },
    /// A number lies outside `lo..=hi`.
    Range {
        /// What is out of range.
        what: &'static str,
        /// Least accepted value.
        lo: i128,
        /// Largest accepted value.
        hi: i128,
        /// The value found.
        got: i128,
    },
    /// Two counts that must agree do not.
    Count {
        /// What is counted.
        what: &'static str,
        /// What it must be.
        want: u64,
        /// What it is.
        got: u64,
    },
    /// A rule of structure is broken; the text says which.
    Structure(&'static str),
    /// A relation may wrap around the prime (or leave the 64-bit values the owner computes with).
    Wrap {
        /// Which relation.
        what: &'static str,
    },
    /// Honest values may fall outside the range a lookup accepts.
    NotTotal {
        /// Which value.
        what: &'static str,
        /// Least honest value.
        lo: i128,
        /// Largest honest value.
        hi: i128,
        /// Least accepted value.
        least: i128,
        /// Largest accepted value.
        most: i128,
    },
}

/// A refusal: where and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Where.
    pub site: Site,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Site::Program => write!(f, "program"),
            Site::Tensor(n) => write!(f, "tensor {n}"),
            Site::Table(n) => write!(f, "table {n}"),
            Site::Operator(n) => write!(f, "operator {n}"),
            Site::Output(n) => write!(f, "output {n}"),
            Site::Reveal(n) => write!(f, "reveal {n}"),
            Site::Slot(n) => write!(f, "slot {n}"),
            Site::Shape => write!(f, "disclosure"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Limit { what, limit, got } => {
                write!(f, "{what}: {got} exceeds the limit of {limit}")
            }
            Reason::Range { what, lo, hi, got } => {
                write!(f, "{what}: {got} is not in {lo}..={hi}")
            }
            Reason::Count { what, want, got } => write!(f, "{what}: expected {want}, found {got}"),
            Reason::Structure(text) => write!(f, "{text}"),
            Reason::Wrap { what } => {
                write!(f, "{what} may exceed the field or 64 bits; use smaller intervals, multiplier or sums")
            }
            Reason::NotTotal { what, lo, hi, least, most } => write!(
                f,
                "{what} may be {lo}..={hi} but the lookup accepts {least}..={most}; \
                 use a larger table, more bits or the wide form"
            ),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.site, self.reason)
    }
}

impl std::error::Error for Invalid {}

/// A refusal at `site` because a rule of structure is broken.
pub(crate) fn structure<T>(site: Site, text: &'static str) -> Result<T, Invalid> {
    Err(Invalid { site, reason: Reason::Structure(text) })
}

/// Refuses when `got` exceeds `limit`.
pub(crate) fn at_most(site: Site, what: &'static str, got: u64, limit: u64) -> Result<(), Invalid> {
    if got > limit {
        return Err(Invalid { site, reason: Reason::Limit { what, limit, got } });
    }
    Ok(())
}

/// Refuses when `got` is not in `lo..=hi`.
pub(crate) fn within(site: Site, what: &'static str, got: i128, lo: i128, hi: i128) -> Result<(), Invalid> {
    if got < lo || got > hi {
        return Err(Invalid { site, reason: Reason::Range { what, lo, hi, got } });
    }
    Ok(())
}

/// Refuses when two counts differ.
pub(crate) fn same(site: Site, what: &'static str, got: u64, want: u64) -> Result<(), Invalid> {
    if got != want {
        return Err(Invalid { site, reason: Reason::Count { what, want, got } });
    }
    Ok(())
}
