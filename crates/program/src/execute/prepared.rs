//! Values of tensors, made ready for many runs.

use std::sync::Arc;

use algebra::arch::factors::narrow;
use zeroize::Zeroize;

use super::hands::{Hands, PIECE};

/// Values of one tensor for [`execute`](crate::execute()) and [`Runner`](crate::Runner), row-major.
///
/// `Vec<i64>` and `Arc<[i64]>` turn into it as they are. [`Prepared::new`] also keeps what every run
/// would compute of them again: worth it for the parameters of a model, which stay the same.
/// Secret: wiped when nobody else holds the values, and there is no `Debug`.
#[derive(Clone)]
pub struct Prepared {
    pub(super) values: Arc<[i64]>,
    pub(super) facts: Option<Arc<Facts>>,
}

/// What is known of values that stay the same.
pub(super) struct Facts {
    /// Least and largest value; none if there are no values.
    pub(super) ends: Option<(i64, i64)>,
    /// The values in 16 bits, if they fit.
    pub(super) small: Option<Small<'static>>,
}

/// Entries in 16 bits.
pub(super) struct Small<'a> {
    pub(super) entries: std::borrow::Cow<'a, [i16]>,
    /// Largest absolute value.
    pub(super) most: i64,
}

impl Small<'_> {
    /// The values in 16 bits; none if one does not fit.
    pub(super) fn of(values: &[i64], hands: Hands) -> Option<Small<'static>> {
        let mut entries = vec![0; values.len()];
        let most = |(to, from): (&mut [i16], &[i64])| {
            let fit = narrow(from, 0, to);
            let (lo, hi) = to.iter().fold((0, 0), |(lo, hi), &entry| (entry.min(lo), entry.max(hi)));
            fit.then_some(i64::from(hi).max(-i64::from(lo)))
        };
        let pieces = entries.chunks_mut(PIECE).zip(values.chunks(PIECE));
        let most = hands.each(pieces, most).into_iter().try_fold(0, |most, own| Some(own?.max(most)))?;
        Some(Small { entries: entries.into(), most })
    }
}

impl Drop for Facts {
    fn drop(&mut self) {
        if let Some(Small { entries: std::borrow::Cow::Owned(entries), .. }) = &mut self.small {
            entries.zeroize();
        }
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(values) = Arc::get_mut(&mut self.values) {
            values.zeroize();
        }
    }
}

impl Prepared {
    /// Takes the values and remembers their ends and, if they fit, a copy in 16 bits.
    #[must_use]
    pub fn new(values: impl Into<Arc<[i64]>>) -> Prepared {
        let values = values.into();
        let ends = values.iter().min().copied().zip(values.iter().max().copied());
        let facts = Facts { ends, small: Small::of(&values, Hands::ALONE) };
        Prepared { values, facts: Some(Arc::new(facts)) }
    }

    /// The values.
    #[must_use]
    pub fn values(&self) -> &Arc<[i64]> {
        &self.values
    }

    /// Index of the first value outside `lo..=hi`.
    pub(super) fn outside(&self, lo: i64, hi: i64) -> Option<usize> {
        match self.facts.as_ref().map(|facts| facts.ends) {
            Some(None) => None,
            Some(Some((least, most))) if lo <= least && most <= hi => None,
            _ => self.values.iter().position(|&value| value < lo || value > hi),
        }
    }
}

impl From<Arc<[i64]>> for Prepared {
    fn from(values: Arc<[i64]>) -> Prepared {
        Prepared { values, facts: None }
    }
}

impl From<Vec<i64>> for Prepared {
    fn from(values: Vec<i64>) -> Prepared {
        Prepared { values: values.into(), facts: None }
    }
}
