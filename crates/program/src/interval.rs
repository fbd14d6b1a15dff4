//! Integer intervals of tensors and Forms, and the rules a view must keep.
//!
//! Intervals come from declarations and interval arithmetic alone, never from actual secrets.

use crate::invalid::Reason;
use crate::limits;
use crate::types::{Form, Map, View};

/// The integers `lo..=hi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Least value.
    pub lo: i128,
    /// Largest value.
    pub hi: i128,
}

/// Intervals beyond this are refused: no relation over them could hold in the field.
const HUGE: i128 = 1 << 100;

const TOO_LARGE: Reason = Reason::Wrap { what: "an interval" };

impl Interval {
    /// The interval `lo..=hi`.
    #[must_use]
    pub fn new(lo: i128, hi: i128) -> Interval {
        Interval { lo, hi }
    }

    /// The interval of unsigned integers of `bits` bits; `bits` is at most 100.
    #[must_use]
    pub fn bits(bits: u32) -> Interval {
        Interval { lo: 0, hi: power(bits).saturating_sub(1) }
    }

    /// The interval extended to contain 0.
    #[must_use]
    pub fn with_zero(self) -> Interval {
        Interval { lo: self.lo.min(0), hi: self.hi.max(0) }
    }

    /// Sum of two intervals.
    ///
    /// # Errors
    /// [`Reason::Wrap`] when an end exceeds 2^100.
    pub fn plus(self, other: Interval) -> Result<Interval, Reason> {
        let lo = self.lo.checked_add(other.lo);
        let hi = self.hi.checked_add(other.hi);
        bounded(lo.zip(hi))
    }

    /// The interval times a number.
    ///
    /// # Errors
    /// [`Reason::Wrap`] when an end exceeds 2^100.
    pub fn times(self, factor: i128) -> Result<Interval, Reason> {
        self.product(Interval { lo: factor, hi: factor })
    }

    /// Products of values of two intervals.
    ///
    /// # Errors
    /// [`Reason::Wrap`] when an end exceeds 2^100.
    pub fn product(self, other: Interval) -> Result<Interval, Reason> {
        let ends = [(self.lo, other.lo), (self.lo, other.hi), (self.hi, other.lo), (self.hi, other.hi)];
        let mut found: Option<(i128, i128)> = None;
        for (a, b) in ends {
            let value = a.checked_mul(b).ok_or(TOO_LARGE)?;
            found = Some(found.map_or((value, value), |(lo, hi)| (lo.min(value), hi.max(value))));
        }
        bounded(found)
    }

    /// Negated interval.
    #[must_use]
    pub fn negated(self) -> Interval {
        Interval { lo: self.hi.saturating_neg(), hi: self.lo.saturating_neg() }
    }

    /// Smallest interval that contains both.
    #[must_use]
    pub fn union(self, other: Interval) -> Interval {
        Interval { lo: self.lo.min(other.lo), hi: self.hi.max(other.hi) }
    }

    /// Floor of the values divided by 2^shift; `shift` is below 127.
    #[must_use]
    pub fn shifted(self, shift: u32) -> Interval {
        let divisor = power(shift);
        // A power of two is never 0 and never -1.
        Interval {
            lo: self.lo.checked_div_euclid(divisor).unwrap_or(self.lo),
            hi: self.hi.checked_div_euclid(divisor).unwrap_or(self.hi),
        }
    }

    /// Largest absolute value.
    #[must_use]
    pub fn max_abs(self) -> u128 {
        self.lo.unsigned_abs().max(self.hi.unsigned_abs())
    }

    /// Whether every value of `other` is in this interval.
    #[must_use]
    pub fn contains(self, other: Interval) -> bool {
        self.lo <= other.lo && other.hi <= self.hi
    }

    /// The ends as 64-bit values.
    ///
    /// # Errors
    /// [`Reason::Wrap`] when an end exceeds [`limits::VALUE`].
    pub fn ends(self) -> Result<(i64, i64), Reason> {
        let lo = i64::try_from(self.lo).map_err(|_| TOO_LARGE)?;
        let hi = i64::try_from(self.hi).map_err(|_| TOO_LARGE)?;
        if lo < limits::VALUE.saturating_neg() || hi > limits::VALUE {
            return Err(TOO_LARGE);
        }
        Ok((lo, hi))
    }
}

fn bounded(ends: Option<(i128, i128)>) -> Result<Interval, Reason> {
    match ends {
        Some((lo, hi)) if lo >= HUGE.saturating_neg() && hi <= HUGE => Ok(Interval { lo, hi }),
        _ => Err(TOO_LARGE),
    }
}

/// 2^bits, for bits below 127.
#[must_use]
pub fn power(bits: u32) -> i128 {
    1i128.checked_shl(bits).filter(|&value| value > 0).unwrap_or(i128::MAX)
}

/// Number of bits of the largest value of `0..=most`.
#[must_use]
pub fn bit_length(most: u128) -> u32 {
    u128::BITS.saturating_sub(most.leading_zeros())
}

/// What is known of a tensor without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Axis lengths; 0 stands for the batch.
    pub axes: Vec<u32>,
    /// Least value.
    pub lo: i64,
    /// Largest value.
    pub hi: i64,
    /// Whether the values are fixed by the Program (const and ones).
    pub public: bool,
}

impl Fact {
    /// The interval of the entries.
    #[must_use]
    pub fn interval(&self) -> Interval {
        Interval { lo: i128::from(self.lo), hi: i128::from(self.hi) }
    }
}

/// Position axes a map reads.
pub(crate) fn axes_of(map: &Map) -> [Option<u8>; 2] {
    match map {
        Map::Fix { .. } | Map::Sum => [None, None],
        Map::Aff { axis, .. } | Map::Gather { axis, .. } | Map::Mat { axis, .. } | Map::Pool { axis, .. } => {
            [Some(*axis), None]
        }
        Map::Win { a, b, .. } | Map::Join { a, b, .. } => [Some(*a), Some(*b)],
    }
}

/// Bit set of the position axes the views of a Form read.
#[must_use]
pub fn axes_used(form: &Form) -> u32 {
    let mut used = 0u32;
    for (_, view) in &form.0 {
        for axis in view.maps.iter().flat_map(axes_of).flatten() {
            used |= 1u32.checked_shl(u32::from(axis)).unwrap_or(0);
        }
    }
    used
}

/// Interval of a Form over position axes `axes` (0 = batch). `facts` describes the tensors the
/// Form may read, by number. Checks the structure of every view on the way.
///
/// # Errors
/// The rule a view breaks, or [`Reason::Wrap`] when the interval exceeds 2^100.
pub fn interval_of_form(form: &Form, facts: &[Fact], axes: &[u32]) -> Result<(i128, i128), Reason> {
    let interval = form_interval(form, facts, axes)?;
    Ok((interval.lo, interval.hi))
}

/// [`interval_of_form`] as an [`Interval`].
pub(crate) fn form_interval(form: &Form, facts: &[Fact], axes: &[u32]) -> Result<Interval, Reason> {
    limit("terms of a form", form.0.len(), limits::TERMS)?;
    for (coef, view) in &form.0 {
        if *coef == 0 {
            return Err(Reason::Structure("a form has a term with multiplier 0"));
        }
        range("multiplier of a view", *coef, limits::VALUE)?;
        check_view(view, facts, axes)?;
    }
    let mut total = Interval::new(0, 0);
    let mut done = vec![false; form.0.len()];
    for start in 0..form.0.len() {
        if done.get(start).copied().unwrap_or(true) {
            continue;
        }
        total = total.plus(group_interval(form, start, facts, axes, &mut done)?)?;
    }
    Ok(total)
}

/// Interval of all terms that are read through the same maps as term `start`. They are combined
/// entry by entry before the maps are applied: `x - 8 * ones` under one window with padding
/// is a window over `x - 8`.
fn group_interval(
    form: &Form,
    start: usize,
    facts: &[Fact],
    axes: &[u32],
    done: &mut [bool],
) -> Result<Interval, Reason> {
    let none = Reason::Structure("a form reads a tensor that does not exist yet");
    let (_, first) = form.0.get(start).ok_or(none)?;
    let shape = &fact(facts, first)?.axes;
    let mut members: Vec<(u32, i128)> = Vec::new();
    for ((coef, view), done) in form.0.iter().zip(done.iter_mut()).skip(start) {
        if *done || view.maps != first.maps || &fact(facts, view)?.axes != shape {
            continue;
        }
        *done = true;
        match members.iter_mut().find(|(tensor, _)| *tensor == view.tensor) {
            Some((_, sum)) => *sum = sum.saturating_add(i128::from(*coef)),
            None => members.push((view.tensor, i128::from(*coef))),
        }
    }
    let mut entry = Interval::new(0, 0);
    for (tensor, coef) in members {
        let index = usize::try_from(tensor).map_err(|_| none)?;
        let values = facts.get(index).ok_or(none)?.interval();
        entry = entry.plus(values.times(coef)?)?;
    }
    for (map, &length) in first.maps.iter().zip(shape) {
        entry = map_interval(map, entry, length, axes)?;
    }
    Ok(entry)
}

/// Interval of what a map reads along one axis whose entries lie in `entry`.
fn map_interval(map: &Map, entry: Interval, length: u32, axes: &[u32]) -> Result<Interval, Reason> {
    if length == 0 {
        return Ok(entry);
    }
    let inside = Interval::new(0, i128::from(length).saturating_sub(1));
    let span = |axis: u8| Interval::new(0, i128::from(axis_length(axes, axis)).saturating_sub(1));
    let read = |index: Interval| if inside.contains(index) { entry } else { entry.with_zero() };
    match map {
        Map::Fix { .. } | Map::Gather { .. } => Ok(entry),
        Map::Aff { axis, step, off } => Ok(read(affine(span(*axis), *step, *off)?)),
        Map::Win { a, b, step, dil, off } => {
            Ok(read(affine(span(*a), *step, *off)?.plus(span(*b).times(i128::from(*dil))?)?))
        }
        Map::Join { a, b, m } => Ok(read(affine(span(*a), i64::from(*m), 0)?.plus(span(*b))?)),
        Map::Sum => entry.times(i128::from(length)),
        Map::Mat { cols, weights, .. } => mat_interval(entry, *cols, weights),
        Map::Pool { axis, step, dil, off, m } => {
            let taps = Interval::new(0, i128::from(*m).saturating_sub(1)).times(i128::from(*dil))?;
            read(affine(span(*axis), *step, *off)?.plus(taps)?).times(i128::from(*m))
        }
    }
}

fn affine(span: Interval, step: i64, off: i64) -> Result<Interval, Reason> {
    let off = i128::from(off);
    span.times(i128::from(step))?.plus(Interval::new(off, off))
}

fn mat_interval(entry: Interval, cols: u32, weights: &[i64]) -> Result<Interval, Reason> {
    let cols = usize::try_from(cols).unwrap_or(usize::MAX).max(1);
    let mut found: Option<Interval> = None;
    for row in weights.chunks(cols) {
        let mut sum = Interval::new(0, 0);
        for &weight in row {
            sum = sum.plus(entry.times(i128::from(weight))?)?;
        }
        found = Some(found.map_or(sum, |f| f.union(sum)));
    }
    found.ok_or(Reason::Structure("a matrix map has no rows"))
}

/// Length of a position axis; 0 for the batch or an axis that does not exist.
fn axis_length(axes: &[u32], axis: u8) -> u32 {
    axes.get(usize::from(axis)).copied().unwrap_or(0)
}

fn fact<'a>(facts: &'a [Fact], view: &View) -> Result<&'a Fact, Reason> {
    let index = usize::try_from(view.tensor).unwrap_or(usize::MAX);
    facts.get(index).ok_or(Reason::Structure("a form reads a tensor that does not exist yet"))
}

/// The structure of a view: one valid map per tensor axis, no position axis in two maps, and the
/// batch axis read as it is, so that the inferences of a batch stay apart.
fn check_view(view: &View, facts: &[Fact], axes: &[u32]) -> Result<(), Reason> {
    let fact = fact(facts, view)?;
    if view.maps.len() != fact.axes.len() {
        return Err(Reason::Structure("a view needs one map per axis of its tensor"));
    }
    let mut seen = 0u32;
    for (map, &length) in view.maps.iter().zip(&fact.axes) {
        for axis in axes_of(map).into_iter().flatten() {
            if usize::from(axis) >= axes.len() {
                return Err(Reason::Structure("a map reads a position axis that does not exist"));
            }
            let bit = 1u32.checked_shl(u32::from(axis)).unwrap_or(0);
            if seen & bit != 0 {
                return Err(Reason::Structure("a position axis occurs twice in one view"));
            }
            seen |= bit;
        }
        check_batch(map, length, axes)?;
        if length != 0 {
            check_map(map, length, axes)?;
        }
    }
    Ok(())
}

fn check_batch(map: &Map, length: u32, axes: &[u32]) -> Result<(), Reason> {
    let reads_batch = axes_of(map).into_iter().flatten().any(|axis| axis_length(axes, axis) == 0);
    let identity = matches!(map, Map::Aff { step: 1, off: 0, .. });
    if (length == 0 || reads_batch) && !(length == 0 && reads_batch && identity) {
        return Err(Reason::Structure(
            "a batch axis must be read by the batch position axis with step 1 and offset 0",
        ));
    }
    Ok(())
}

fn check_map(map: &Map, length: u32, axes: &[u32]) -> Result<(), Reason> {
    match map {
        Map::Fix { at } => {
            if *at < 0 || *at >= i64::from(length) {
                return Err(Reason::Structure("a fixed index lies outside its axis"));
            }
        }
        Map::Aff { step, off, .. } => steps(&[*step, *off])?,
        Map::Win { step, dil, off, .. } => steps(&[*step, *dil, *off])?,
        Map::Join { b, m, .. } => {
            if *m != axis_length(axes, *b) {
                return Err(Reason::Structure("a join's m must be the length of its fast axis"));
            }
        }
        Map::Gather { axis, indices } => {
            equal("gather indices", indices.len(), axis_length(axes, *axis))?;
            if indices.iter().any(|&index| index >= length) {
                return Err(Reason::Structure("a gather index lies outside its axis"));
            }
        }
        Map::Sum => {}
        Map::Mat { axis, rows, cols, weights } => {
            check_mat(axis_length(axes, *axis), length, *rows, *cols, weights)?
        }
        Map::Pool { step, dil, off, m, .. } => {
            steps(&[*step, *dil, *off])?;
            if *m == 0 || u64::from(*m) > limits::POSITIONS {
                return Err(Reason::Structure("a pool window must have between 1 and 2^27 taps"));
            }
        }
    }
    Ok(())
}

fn check_mat(want_rows: u32, want_cols: u32, rows: u32, cols: u32, weights: &[i64]) -> Result<(), Reason> {
    if rows != want_rows || cols != want_cols {
        return Err(Reason::Structure("a matrix map must be position axis length by tensor axis length"));
    }
    let entries = u64::from(rows).saturating_mul(u64::from(cols));
    if u64::try_from(weights.len()) != Ok(entries) {
        return Err(Reason::Structure("a matrix map needs rows * columns weights"));
    }
    for &weight in weights {
        range("weight of a matrix map", weight, limits::VALUE)?;
    }
    Ok(())
}

fn steps(values: &[i64]) -> Result<(), Reason> {
    values.iter().try_for_each(|&value| range("step or offset of a map", value, limits::STEP))
}

/// Refuses numbers outside `-most..=most`.
pub(crate) fn range(what: &'static str, got: i64, most: i64) -> Result<(), Reason> {
    if got < most.saturating_neg() || got > most {
        let most = i128::from(most);
        return Err(Reason::Range { what, lo: most.saturating_neg(), hi: most, got: i128::from(got) });
    }
    Ok(())
}

/// Refuses when a list is longer than its limit.
pub(crate) fn limit(what: &'static str, got: usize, limit: u64) -> Result<(), Reason> {
    let got = u64::try_from(got).unwrap_or(u64::MAX);
    if got > limit {
        return Err(Reason::Limit { what, limit, got });
    }
    Ok(())
}

/// Refuses when a list does not have the wanted length.
pub(crate) fn equal(what: &'static str, got: usize, want: u32) -> Result<(), Reason> {
    let got = u64::try_from(got).unwrap_or(u64::MAX);
    if got != u64::from(want) {
        return Err(Reason::Count { what, want: u64::from(want), got });
    }
    Ok(())
}
