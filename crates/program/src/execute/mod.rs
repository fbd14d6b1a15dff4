//! The owner's side: computing every column from the inputs and parameters.
//!
//! Nothing here is used by the verifier. Programs are validated before they are run, so indices and
//! sums stay in bounds; inputs and parameters are checked against their declared intervals first.

mod contract;
mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroize;

use crate::invalid::{Invalid, Site};
use crate::lower::{Lowered, Multiplier, Place, Quotient, RoundStep, Step, lower_operators};
use crate::types::{Form, Program};

use contract::contract;
use read::{Values, read};

pub use crate::check::{Broken, check_all};

/// Values of every tensor of a [`Lowered`], by number.
#[derive(Clone)]
pub struct Assignment {
    /// Row-major values per tensor.
    pub values: Vec<Arc<[i64]>>,
}

/// The values are secret: they are wiped when nobody else holds them.
impl Drop for Assignment {
    fn drop(&mut self) {
        for values in self.values.iter_mut().filter_map(Arc::get_mut) {
            values.zeroize();
        }
    }
}

/// Why a Program cannot be run on these values. It tells places and bounds, never a value: values are secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecuteError {
    /// The Program or batch size is refused.
    Invalid(Invalid),
    /// No values were given for an input or model tensor.
    Missing {
        /// Tensor number.
        tensor: u32,
    },
    /// Values were given for a tensor that is no input or model tensor.
    Unexpected {
        /// Tensor number.
        tensor: u32,
    },
    /// The wrong number of values.
    Length {
        /// Tensor number.
        tensor: u32,
        /// Entries of the tensor.
        want: usize,
        /// Entries given.
        got: usize,
    },
    /// A value outside the declared interval.
    Value {
        /// Tensor number.
        tensor: u32,
        /// Row-major index.
        index: usize,
        /// Least declared value.
        lo: i64,
        /// Largest declared value.
        hi: i64,
    },
    /// A value that a range check does not accept.
    NotInRange {
        /// Where the check comes from.
        site: Site,
        /// Row-major position.
        position: usize,
        /// Values in `0..2^bits` are accepted.
        bits: u8,
    },
    /// A tuple that is no row of its table.
    NotARow {
        /// Where the lookup comes from.
        site: Site,
        /// Row-major position.
        position: usize,
    },
    /// A value that should be 0, such as the difference of an output and what is claimed of it.
    NotZero {
        /// Where the relation comes from.
        site: Site,
        /// Row-major position.
        position: usize,
    },
    /// A slot's content and the values given for the same input differ.
    SlotDiffers {
        /// Tensor number.
        tensor: u32,
    },
}

impl fmt::Display for ExecuteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(invalid) => write!(f, "{invalid}"),
            Self::Missing { tensor } => write!(f, "tensor {tensor}: no values were given"),
            Self::Unexpected { tensor } => {
                write!(f, "tensor {tensor}: values were given, but it is no input or model tensor")
            }
            Self::Length { tensor, want, got } => {
                write!(f, "tensor {tensor}: expected {want} values, found {got}")
            }
            Self::Value { tensor, index, lo, hi } => {
                write!(f, "tensor {tensor}, entry {index}: the value is not in {lo}..={hi}")
            }
            Self::NotInRange { site, position, bits } => write!(
                f,
                "{site}, position {position}: the value is not in 0..2^{bits}; the statement is false"
            ),
            Self::NotARow { site, position } => write!(
                f,
                "{site}, position {position}: the values are no row of the table; the statement is false"
            ),
            Self::NotZero { site, position } => {
                write!(f, "{site}, position {position}: a difference is not 0; the statement is false")
            }
            Self::SlotDiffers { tensor } => {
                write!(f, "tensor {tensor}: its public slot holds other values than were given")
            }
        }
    }
}

impl std::error::Error for ExecuteError {}

impl From<Invalid> for ExecuteError {
    fn from(invalid: Invalid) -> ExecuteError {
        ExecuteError::Invalid(invalid)
    }
}

/// Computes every tensor of a lowered Program, multiplicities included.
///
/// `inputs` holds the values of the private and committed inputs by tensor number (those of public
/// slots may be given too, and must then agree), `model` those of the model tensors; both take
/// `Vec<i64>` or `Arc<[i64]>`, the latter without a copy.
///
/// # Errors
/// [`ExecuteError`] when values are missing or out of their declared interval, and when a claim
/// of the Statement (a revealed value, label or threshold) is false.
pub fn execute<I, M>(
    lowered: &Lowered,
    inputs: &BTreeMap<u32, I>,
    model: &BTreeMap<u32, M>,
) -> Result<Assignment, ExecuteError>
where
    I: Clone + Into<Arc<[i64]>>,
    M: Clone + Into<Arc<[i64]>>,
{
    let mut values = start(lowered, inputs, model)?;
    steps(lowered, &mut values, true)?;
    lins(lowered, &values)?;
    multiplicities(lowered, &mut values)?;
    let known = |(tensor, value): (u32, Option<_>)| value.ok_or(ExecuteError::Missing { tensor });
    let values: Result<Vec<_>, _> = (0..).zip(values).map(known).collect();
    Ok(Assignment { values: values? })
}

/// A Program made ready to run many times with one batch size.
#[derive(Clone, Debug)]
pub struct Runner {
    lowered: Lowered,
    outputs: Vec<u32>,
}

impl Runner {
    /// Makes a Program ready for batches of `batch` inferences. Memory grows with the batch; 16 to
    /// 64 is a good size for networks of millions of multiplications.
    ///
    /// # Errors
    /// When the Program or the batch size is refused.
    pub fn new(program: &Program, batch: u32) -> Result<Runner, Invalid> {
        Ok(Runner { lowered: lower_operators(program, batch)?, outputs: program.outputs.clone() })
    }

    /// Values of the outputs, in order, row-major over their axes with the batch in place.
    ///
    /// # Errors
    /// As [`execute`]; nothing is revealed here, so only inputs and parameters can be refused.
    pub fn run<I, M>(
        &self,
        inputs: &BTreeMap<u32, I>,
        model: &BTreeMap<u32, M>,
    ) -> Result<Vec<Vec<i64>>, ExecuteError>
    where
        I: Clone + Into<Arc<[i64]>>,
        M: Clone + Into<Arc<[i64]>>,
    {
        let values = self.compute(inputs, model)?;
        let read = |&tensor: &u32| match values.get(tensor as usize) {
            Some(Some(value)) => Ok(value.to_vec()),
            _ => Err(ExecuteError::Missing { tensor }),
        };
        self.outputs.iter().map(read).collect()
    }

    /// Values of inputs, constants and result columns by tensor number. Columns that only serve
    /// the proof (limbs, remainders, flags) are left out where they need not be computed.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn tensors<I, M>(
        &self,
        inputs: &BTreeMap<u32, I>,
        model: &BTreeMap<u32, M>,
    ) -> Result<BTreeMap<u32, Arc<[i64]>>, ExecuteError>
    where
        I: Clone + Into<Arc<[i64]>>,
        M: Clone + Into<Arc<[i64]>>,
    {
        let values = self.compute(inputs, model)?.into_iter().enumerate();
        Ok(values.filter_map(|(tensor, value)| Some((tensor as u32, value?))).collect())
    }

    fn compute<I, M>(
        &self,
        inputs: &BTreeMap<u32, I>,
        model: &BTreeMap<u32, M>,
    ) -> Result<Values, ExecuteError>
    where
        I: Clone + Into<Arc<[i64]>>,
        M: Clone + Into<Arc<[i64]>>,
    {
        let mut values = start(&self.lowered, inputs, model)?;
        steps(&self.lowered, &mut values, false)?;
        Ok(values)
    }
}

/// Outputs of a Program on one batch: [`Runner::new`] and [`Runner::run`].
///
/// # Errors
/// As [`Runner::run`].
pub fn run<I, M>(
    program: &Program,
    batch: u32,
    inputs: &BTreeMap<u32, I>,
    model: &BTreeMap<u32, M>,
) -> Result<Vec<Vec<i64>>, ExecuteError>
where
    I: Clone + Into<Arc<[i64]>>,
    M: Clone + Into<Arc<[i64]>>,
{
    Runner::new(program, batch)?.run(inputs, model)
}

/// Result columns of a Program on one batch: [`Runner::new`] and [`Runner::tensors`].
///
/// # Errors
/// As [`Runner::run`].
pub fn run_tensors<I, M>(
    program: &Program,
    batch: u32,
    inputs: &BTreeMap<u32, I>,
    model: &BTreeMap<u32, M>,
) -> Result<BTreeMap<u32, Arc<[i64]>>, ExecuteError>
where
    I: Clone + Into<Arc<[i64]>>,
    M: Clone + Into<Arc<[i64]>>,
{
    Runner::new(program, batch)?.tensors(inputs, model)
}

/// Values of a Form of `lowered` over `axes`, row-major, under an assignment.
#[must_use]
pub fn form_values(form: &Form, axes: &[usize], lowered: &Lowered, assignment: &Assignment) -> Vec<i64> {
    let values: Values = assignment.values.iter().cloned().map(Some).collect();
    let order: Vec<usize> = (0..axes.len()).collect();
    read(form, &order, axes, lowered, &values).into_owned()
}

/// Values known before the first step.
fn start<I, M>(
    lowered: &Lowered,
    inputs: &BTreeMap<u32, I>,
    model: &BTreeMap<u32, M>,
) -> Result<Values, ExecuteError>
where
    I: Clone + Into<Arc<[i64]>>,
    M: Clone + Into<Arc<[i64]>>,
{
    let mut values: Values = lowered
        .tensors
        .iter()
        .map(|tensor| match tensor.place {
            Place::Ones => Some(vec![1; tensor.axes.iter().product()].into()),
            _ => tensor.content.clone(),
        })
        .collect();
    for (&tensor, given) in inputs {
        give(lowered, &mut values, tensor, given.clone().into(), false)?;
    }
    for (&tensor, given) in model {
        give(lowered, &mut values, tensor, given.clone().into(), true)?;
    }
    let owned = |place: Place| matches!(place, Place::Model | Place::Committed(_));
    match (0..).zip(&lowered.tensors).find(|(i, t)| owned(t.place) && values[*i as usize].is_none()) {
        Some((tensor, _)) => Err(ExecuteError::Missing { tensor }),
        None => Ok(values),
    }
}

/// Takes the values of one input or model tensor.
fn give(
    lowered: &Lowered,
    values: &mut Values,
    tensor: u32,
    given: Arc<[i64]>,
    model: bool,
) -> Result<(), ExecuteError> {
    let unexpected = ExecuteError::Unexpected { tensor };
    let placed = lowered.tensors.get(tensor as usize).ok_or(unexpected.clone())?;
    let fits = match placed.place {
        Place::Model => model,
        Place::Fresh | Place::Committed(_) => !model && (tensor as usize) < lowered.declared,
        Place::Slot => !model && (tensor as usize) < lowered.declared,
        Place::Const | Place::Ones => false,
    };
    if !fits {
        return Err(unexpected);
    }
    let want = placed.axes.iter().product();
    if given.len() != want {
        return Err(ExecuteError::Length { tensor, want, got: given.len() });
    }
    let (lo, hi) = (placed.lo, placed.hi);
    if let Some(index) = given.iter().position(|&value| value < lo || value > hi) {
        return Err(ExecuteError::Value { tensor, index, lo, hi });
    }
    match &placed.content {
        Some(slot) if **slot != *given => Err(ExecuteError::SlotDiffers { tensor }),
        _ => {
            values[tensor as usize] = Some(given);
            Ok(())
        }
    }
}

/// Runs all steps. Without `full`, columns that only serve the proof are skipped.
fn steps(lowered: &Lowered, values: &mut Values, full: bool) -> Result<(), ExecuteError> {
    for (tensor, placed) in lowered.tensors.iter().enumerate().take(lowered.declared) {
        if values[tensor].is_none() && placed.place == Place::Fresh {
            return Err(ExecuteError::Missing { tensor: tensor as u32 });
        }
    }
    for (step, &site) in lowered.steps.iter().zip(&lowered.step_sites) {
        match step {
            Step::Limbs { axes, form, limb_bits, columns, bits } if full => {
                let cut = Cut { limb_bits: *limb_bits, bits: *bits, site };
                limbs(lowered, values, axes, form, columns, cut)?;
            }
            Step::Limbs { .. } => {}
            Step::Table { axes, table, keys, outs } => {
                table_step(lowered, values, axes, (*table, site), keys, outs)?;
            }
            Step::Commit { ip, column } => {
                let sums = contract(&lowered.ips[*ip], lowered, values);
                values[*column as usize] = Some(sums.into());
            }
            Step::Round(round) => round_step(lowered, values, round, site, full)?,
            Step::Split { axes, form, positive, negative } => {
                let parts = dense(form, axes, lowered, values).into_owned();
                values[*positive as usize] = Some(parts.iter().map(|&v| v.max(0)).collect());
                values[*negative as usize] = Some(parts.iter().map(|&v| v.wrapping_neg().max(0)).collect());
            }
        }
    }
    Ok(())
}

/// A Form over its own axes in their order.
fn dense<'a>(
    form: &Form,
    axes: &[usize],
    lowered: &Lowered,
    values: &'a Values,
) -> std::borrow::Cow<'a, [i64]> {
    let order: Vec<usize> = (0..axes.len()).collect();
    read(form, &order, axes, lowered, values)
}

/// How a value is cut into limbs.
struct Cut {
    limb_bits: u8,
    bits: u8,
    site: Site,
}

fn limbs(
    lowered: &Lowered,
    values: &mut Values,
    axes: &[usize],
    form: &Form,
    columns: &[u32],
    cut: Cut,
) -> Result<(), ExecuteError> {
    let whole = dense(form, axes, lowered, values).into_owned();
    if let Some(position) = whole.iter().position(|&value| value < 0 || value >> cut.bits != 0) {
        return Err(ExecuteError::NotInRange { site: cut.site, position, bits: cut.bits });
    }
    let mask = (1i64 << cut.limb_bits) - 1;
    for (place, &column) in columns.iter().enumerate() {
        let offset = usize::from(cut.limb_bits) * (place + 1);
        values[column as usize] = Some(whole.iter().map(|&value| (value >> offset) & mask).collect());
    }
    Ok(())
}

fn table_step(
    lowered: &Lowered,
    values: &mut Values,
    axes: &[usize],
    (table, site): (usize, Site),
    keys: &[Form],
    outs: &[u32],
) -> Result<(), ExecuteError> {
    let table = &lowered.tables[table];
    let coords: Vec<_> = keys.iter().map(|key| dense(key, axes, lowered, values)).collect();
    let mut rows = vec![0usize; axes.iter().product()];
    for (position, row) in rows.iter_mut().enumerate() {
        let found = row_of(&table.keys, coords.iter().map(|coord| coord[position]));
        *row = found.ok_or(ExecuteError::NotARow { site, position })?;
    }
    drop(coords);
    for (&column, out) in outs.iter().zip(&table.outs) {
        values[column as usize] = Some(rows.iter().map(|&row| out[row]).collect());
    }
    Ok(())
}

/// Row-major row of a tuple of keys; none when a key is not in its range.
fn row_of(keys: &[(i64, usize)], tuple: impl Iterator<Item = i64>) -> Option<usize> {
    let mut row = 0usize;
    for (&(lo, count), key) in keys.iter().zip(tuple) {
        let offset = usize::try_from(key.checked_sub(lo)?).ok()?;
        if offset >= count {
            return None;
        }
        row = row * count + offset;
    }
    Some(row)
}

/// `m * (acc + c) + extra + half` per position, before it is shifted.
fn accumulators(lowered: &Lowered, values: &Values, round: &RoundStep) -> Vec<i128> {
    let half = if round.shift == 0 { 0 } else { 1i128 << (round.shift - 1) };
    let extra = dense(&round.extra, &round.axes, lowered, values);
    let Some(ip) = round.ip else {
        return extra.iter().map(|&extra| i128::from(extra) + half).collect();
    };
    let ip = &lowered.ips[ip];
    let sums = contract(ip, lowered, values);
    let value =
        |m: i64, (sum, extra): (&i64, &i64)| i128::from(m) * i128::from(*sum) + i128::from(*extra) + half;
    let pairs = sums.iter().zip(extra.iter());
    match &ip.multiplier {
        Multiplier::One(m) => pairs.map(|pair| value(*m, pair)).collect(),
        Multiplier::Axis(axis, list) => {
            let run: usize = round.axes[axis + 1..].iter().product();
            let multipliers = (0..).map(|position: usize| list[position / run % list.len()]);
            multipliers.zip(pairs).map(|(m, pair)| value(m, pair)).collect()
        }
    }
}

/// Number of zero limbs of a remainder of `shift` bits.
fn zero_limbs(rest: i64, shift: u8, limb_bits: u8) -> i64 {
    let mask = (1i64 << limb_bits) - 1;
    (0..shift).step_by(usize::from(limb_bits)).filter(|&offset| (rest >> offset) & mask == 0).count() as i64
}

fn round_step(
    lowered: &Lowered,
    values: &mut Values,
    round: &RoundStep,
    site: Site,
    full: bool,
) -> Result<(), ExecuteError> {
    let totals = accumulators(lowered, values, round);
    let quotients: Vec<i64> = totals.iter().map(|total| (total >> round.shift) as i64).collect();
    let mask = (1i128 << round.shift) - 1;
    let need_rest = full || !round.ties.is_empty();
    let rests: Vec<i64> =
        if need_rest { totals.iter().map(|total| (total & mask) as i64).collect() } else { Vec::new() };
    if full {
        remainder_columns(values, round, &rests);
    }
    if let Some((table, out)) = round.table {
        let table = &lowered.tables[table];
        let mut results = Vec::with_capacity(quotients.len());
        for (position, &quotient) in quotients.iter().enumerate() {
            let zeros = rests.get(position).map_or(0, |&rest| zero_limbs(rest, round.shift, round.limb_bits));
            let (keys, count) = round_keys(round, quotient, zeros);
            let row = row_of(&table.keys, keys.into_iter().take(count));
            let missing = || ExecuteError::NotARow { site, position };
            results.push(table.outs[0][row.ok_or_else(missing)?]);
        }
        values[out as usize] = Some(results.into());
    }
    quotient_columns(values, round, quotients, full);
    Ok(())
}

/// Keys of a Round's table, and how many there are.
fn round_keys(round: &RoundStep, quotient: i64, zeros: i64) -> ([i64; 3], usize) {
    let even = !round.ties.is_empty();
    match round.quotient {
        Quotient::Narrow { .. } if even => ([zeros, quotient, 0], 2),
        Quotient::Narrow { .. } => ([quotient, 0, 0], 1),
        Quotient::Wide { lo, low_bits, .. } => {
            let (high, low) = ((quotient - lo) >> low_bits, (quotient - lo) & ((1 << low_bits) - 1));
            let code = high.signum() + 1;
            if even { ([code, zeros, low], 3) } else { ([code, low, 0], 2) }
        }
    }
}

fn quotient_columns(values: &mut Values, round: &RoundStep, quotients: Vec<i64>, full: bool) {
    match round.quotient {
        Quotient::Narrow { q } => {
            if full || round.table.is_none() {
                values[q as usize] = Some(quotients.into());
            }
        }
        Quotient::Wide { lo, low_bits, low, high, code } if full => {
            let mask = (1i64 << low_bits) - 1;
            let column = |part: &dyn Fn(i64) -> i64| quotients.iter().map(|&q| part(q - lo)).collect();
            values[low as usize] = Some(column(&|u| u & mask));
            values[high as usize] = Some(column(&|u| u >> low_bits));
            values[code as usize] = Some(column(&|u| (u >> low_bits).signum() + 1));
        }
        Quotient::Wide { .. } => {}
    }
}

fn remainder_columns(values: &mut Values, round: &RoundStep, rests: &[i64]) {
    let mask = (1i64 << round.limb_bits) - 1;
    let limb = |place: usize| {
        let offset = place * usize::from(round.limb_bits);
        rests.iter().map(move |&rest| (rest >> offset) & mask)
    };
    for (place, column) in round.remainders.iter().enumerate() {
        if let Some(column) = column {
            values[*column as usize] = Some(limb(place).collect());
        }
    }
    for (place, &column) in round.ties.iter().enumerate() {
        values[column as usize] = Some(limb(place).map(|part| i64::from(part == 0)).collect());
    }
}

/// Every linear relation holds; a false revealed value is found here.
fn lins(lowered: &Lowered, values: &Values) -> Result<(), ExecuteError> {
    for lin in &lowered.lins {
        let found = dense(&lin.form, &lin.axes, lowered, values);
        if let Some(position) = found.iter().position(|&value| value != 0) {
            return Err(ExecuteError::NotZero { site: lin.site, position });
        }
    }
    Ok(())
}

/// Counts how often each row of each table is looked up.
fn multiplicities(lowered: &Lowered, values: &mut Values) -> Result<(), ExecuteError> {
    let rows = |keys: &[(i64, usize)]| keys.iter().map(|&(_, count)| count).product();
    let mut counts: Vec<Vec<i64>> = lowered.tables.iter().map(|table| vec![0; rows(&table.keys)]).collect();
    for look in &lowered.looks {
        let table = &lowered.tables[look.table];
        let coords: Vec<_> =
            look.coords.iter().map(|form| dense(form, &look.axes, lowered, values)).collect();
        for position in 0..look.axes.iter().product() {
            let tuple = || coords.iter().map(|coord| coord[position]);
            let row = row_of(&table.keys, tuple());
            let outs = coords.iter().skip(table.keys.len());
            let fits =
                |row: &usize| table.outs.iter().zip(outs).all(|(out, coord)| out[*row] == coord[position]);
            let missing = || ExecuteError::NotARow { site: look.site, position };
            counts[look.table][row.filter(fits).ok_or_else(missing)?] += 1;
        }
    }
    for (table, count) in lowered.tables.iter().zip(counts) {
        values[table.multiplicity as usize] = Some(count.into());
    }
    Ok(())
}
