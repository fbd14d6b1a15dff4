//! Rounds: accumulators become quotients, remainders and what the table makes of them.

use std::borrow::Cow;
use std::sync::Arc;

use crate::invalid::Site;
use crate::lower::{LookTable, Lowered, Multiplier, Quotient, RoundStep};

use super::contract::contract;
use super::hands::{Hands, PIECE};
use super::read::{Known, Values};
use super::tables::{CHUNK, rows_of};
use super::{ExecuteError, dense};

/// `m * (acc + c) + extra + half` at every position, before it is shifted.
struct Totals<'a> {
    /// acc + c; none if there is no contraction.
    sums: Option<Vec<i64>>,
    /// None for 0.
    extra: Option<Cow<'a, [i64]>>,
    half: i128,
    multiplier: &'a Multiplier,
    /// Positions that follow each other with one multiplier.
    run: usize,
    /// Positions.
    length: usize,
}

impl<'a> Totals<'a> {
    fn new(lowered: &'a Lowered, values: &'a Values, known: &Known, round: &'a RoundStep) -> Totals<'a> {
        let ip = round.ip.map(|ip| &lowered.ips[ip]);
        let length = round.axes.iter().product();
        let multiplier = ip.map_or(&Multiplier::One(0), |ip| &ip.multiplier);
        let run = match multiplier {
            Multiplier::One(_) => length,
            Multiplier::Axis(axis, _) => round.axes[axis + 1..].iter().product(),
        };
        let some = !round.extra.0.is_empty();
        Totals {
            sums: ip.map(|ip| contract(ip, lowered, values, known)),
            extra: some.then(|| dense(&round.extra, &round.axes, lowered, values)),
            half: if round.shift == 0 { 0 } else { 1i128 << (round.shift - 1) },
            multiplier,
            run,
            length,
        }
    }

    /// Quotients and remainders of the positions from `first` on by 2^shift.
    fn divide(&self, first: usize, shift: u8, quotients: &mut [i64], rests: &mut [i64]) {
        let mask = (1i128 << shift) - 1;
        let mut at = 0;
        while at < quotients.len() {
            let position = first + at;
            let end = quotients.len().min(at + self.run - position % self.run);
            let m = match self.multiplier {
                Multiplier::One(m) => *m,
                Multiplier::Axis(_, list) => list[position / self.run % list.len()],
            };
            for i in at..end {
                let sum = self.sums.as_ref().map_or(0, |sums| sums[first + i]);
                let extra = self.extra.as_ref().map_or(0, |extra| extra[first + i]);
                let total = i128::from(m) * i128::from(sum) + i128::from(extra) + self.half;
                (quotients[i], rests[i]) = ((total >> shift) as i64, (total & mask) as i64);
            }
            at = end;
        }
    }
}

/// Number of zero limbs of a remainder of `shift` bits.
fn zero_limbs(rest: i64, shift: u8, limb_bits: u8) -> i64 {
    let mask = (1i64 << limb_bits) - 1;
    (0..shift).step_by(usize::from(limb_bits)).filter(|&offset| (rest >> offset) & mask == 0).count() as i64
}

/// What a column of a Round holds.
#[derive(Clone, Copy)]
pub(super) enum Part {
    Result,
    Quotient,
    Low,
    High,
    Code,
    /// A limb of the remainder, by place.
    Limb(usize),
    /// Whether that limb is 0.
    Tie(usize),
}

/// The columns to compute. Without `full`, those that only serve the proof are left out.
pub(super) fn columns(round: &RoundStep, full: bool) -> Vec<(u32, Part)> {
    let mut columns: Vec<(u32, Part)> = round.table.iter().map(|&(_, out)| (out, Part::Result)).collect();
    match round.quotient {
        Quotient::Narrow { q } if full || round.table.is_none() => columns.push((q, Part::Quotient)),
        Quotient::Wide { low, high, code, .. } if full => {
            columns.extend([(low, Part::Low), (high, Part::High), (code, Part::Code)]);
        }
        Quotient::Narrow { .. } | Quotient::Wide { .. } => {}
    }
    if full {
        let limbs = round.remainders.iter().enumerate();
        columns.extend(limbs.filter_map(|(place, column)| Some(((*column)?, Part::Limb(place)))));
        columns.extend(round.ties.iter().enumerate().map(|(place, &column)| (column, Part::Tie(place))));
    }
    columns
}

pub(super) fn round_step(
    lowered: &Lowered,
    values: &mut Values,
    known: &Known,
    round: &RoundStep,
    (site, full): (Site, bool),
) -> Result<(), ExecuteError> {
    let totals = Totals::new(lowered, values, known, round);
    let columns = columns(round, full);
    let hands = values.hands;
    let mut made = zeros(columns.len(), totals.length, hands);
    let table = round.table.map(|(table, _)| &lowered.tables[table]);
    let piece = |(first, mut made): (usize, Vec<&mut [i64]>)| -> Result<(), ExecuteError> {
        let mut chunk = Chunk::new();
        let length = made.first().map_or(0, |part| part.len());
        for at in (0..length).step_by(CHUNK) {
            let (first, count) = (first + at, CHUNK.min(length - at));
            totals.divide(first, round.shift, &mut chunk.quotients[..count], &mut chunk.rests[..count]);
            chunk.cut(round, count);
            if let Some(table) = table {
                let missing = |position| ExecuteError::NotARow { site, position: first + position };
                chunk.look_up(round, table, count).map_err(missing)?;
            }
            for (&(_, part), made) in columns.iter().zip(&mut made) {
                chunk.write(part, round, &mut made[at..at + count]);
            }
        }
        Ok(())
    };
    hands.each(pieces(&mut made).into_iter(), piece).into_iter().collect::<Result<(), _>>()?;
    drop(totals);
    for ((tensor, _), made) in columns.iter().zip(made) {
        values[*tensor as usize] = Some(made);
    }
    Ok(())
}

/// Columns of zeros.
pub(super) fn zeros(count: usize, length: usize, hands: Hands) -> Vec<Arc<[i64]>> {
    hands.each(0..count, |_| std::iter::repeat_n(0i64, length).collect())
}

/// Where the pieces of new columns start, and the part of each column.
pub(super) fn pieces(columns: &mut [Arc<[i64]>]) -> Vec<(usize, Vec<&mut [i64]>)> {
    // Nobody else holds them yet.
    let mut parts: Vec<_> =
        columns.iter_mut().filter_map(Arc::get_mut).map(|column| column.chunks_mut(PIECE)).collect();
    let count = parts.first().map_or(0, ExactSizeIterator::len);
    let part = |i: usize| (i * PIECE, parts.iter_mut().filter_map(Iterator::next).collect());
    (0..count).map(part).collect()
}

/// Some positions of a Round.
struct Chunk {
    quotients: [i64; CHUNK],
    rests: [i64; CHUNK],
    low: [i64; CHUNK],
    high: [i64; CHUNK],
    code: [i64; CHUNK],
    zeros: [i64; CHUNK],
    results: [i64; CHUNK],
    rows: [usize; CHUNK],
}

impl Chunk {
    fn new() -> Chunk {
        let none = [0; CHUNK];
        Chunk {
            quotients: none,
            rests: none,
            low: none,
            high: none,
            code: none,
            zeros: none,
            results: none,
            rows: [0; CHUNK],
        }
    }

    /// Cuts wide quotients and counts zero limbs for ties.
    fn cut(&mut self, round: &RoundStep, count: usize) {
        if let Quotient::Wide { lo, low_bits, .. } = round.quotient {
            let mask = (1i64 << low_bits) - 1;
            for (i, quotient) in self.quotients[..count].iter().enumerate() {
                let shifted = quotient - lo;
                (self.low[i], self.high[i]) = (shifted & mask, shifted >> low_bits);
                self.code[i] = (shifted >> low_bits).signum() + 1;
            }
        }
        if !round.ties.is_empty() {
            let zeros = |&rest: &i64| zero_limbs(rest, round.shift, round.limb_bits);
            let rests = self.rests[..count].iter();
            self.zeros.iter_mut().zip(rests).for_each(|(to, rest)| *to = zeros(rest));
        }
    }

    /// What the table gives. `Err` is the first position that is no row of it.
    fn look_up(&mut self, round: &RoundStep, table: &LookTable, count: usize) -> Result<(), usize> {
        let (quotients, low) = (&self.quotients[..count], &self.low[..count]);
        let (code, zeros) = (&self.code[..count], &self.zeros[..count]);
        let keys: &[&[i64]] = match (&round.quotient, round.ties.is_empty()) {
            (Quotient::Narrow { .. }, true) => &[quotients],
            (Quotient::Narrow { .. }, false) => &[zeros, quotients],
            (Quotient::Wide { .. }, true) => &[code, low],
            (Quotient::Wide { .. }, false) => &[code, zeros, low],
        };
        let rows = rows_of(&table.keys, keys, &mut self.rows)?;
        let out = &table.outs[0];
        self.results.iter_mut().zip(rows).for_each(|(result, &row)| *result = out[row]);
        Ok(())
    }

    /// One column of these positions.
    fn write(&self, part: Part, round: &RoundStep, to: &mut [i64]) {
        let mask = (1i64 << round.limb_bits) - 1;
        let limb = |place: usize, rest: i64| (rest >> (place * usize::from(round.limb_bits))) & mask;
        let from = match part {
            Part::Result => &self.results,
            Part::Quotient => &self.quotients,
            Part::Low => &self.low,
            Part::High => &self.high,
            Part::Code => &self.code,
            Part::Limb(place) => {
                return to.iter_mut().zip(&self.rests).for_each(|(to, &rest)| *to = limb(place, rest));
            }
            Part::Tie(place) => {
                let tie = |rest| i64::from(limb(place, rest) == 0);
                return to.iter_mut().zip(&self.rests).for_each(|(to, &rest)| *to = tie(rest));
            }
        };
        to.copy_from_slice(&from[..to.len()]);
    }
}
