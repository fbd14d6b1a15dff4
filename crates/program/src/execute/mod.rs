//! The owner's side: computing every column from the inputs and parameters.
//!
//! Nothing here is used by the verifier. Programs are validated before they are run, so indices and
//! sums stay in bounds; inputs and parameters are checked against their declared intervals first.

mod contract;
mod hands;
mod prepared;
mod ran;
mod read;
mod round;
mod small;
mod tables;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use zeroize::Zeroize;

use crate::invalid::{Invalid, Site};
use crate::lower::{Lowered, Place, Placed, Step, lower_operators};
use crate::types::{Form, Program};

use contract::contract;
use read::{Known, Values, read};
use round::round_step;
use tables::{multiplicities, table_step};

pub use crate::check::{Broken, check_all};
pub use hands::{Hands, Job};
pub use prepared::Prepared;
pub use ran::Ran;

/// Values of every tensor of a [`Lowered`], by number.
#[derive(Clone)]
pub struct Assignment {
    /// Row-major values per tensor.
    pub values: Vec<Arc<[i64]>>,
    /// Model tensors that were given prepared.
    pub prepared: Vec<Prepared>,
}

impl Assignment {
    /// A tensor's values in 16 bits, if they were prepared and fit.
    #[must_use]
    pub fn small(&self, tensor: u32) -> Option<&[i16]> {
        let values = self.values.get(tensor as usize)?;
        let own = self.prepared.iter().find(|prepared| Arc::ptr_eq(&prepared.values, values))?;
        Some(&own.facts.as_ref()?.small.as_ref()?.entries)
    }
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
/// `Vec<i64>`, or without a copy `Arc<[i64]>` or [`Prepared`].
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
    I: Clone + Into<Prepared>,
    M: Clone + Into<Prepared>,
{
    execute_ran(lowered, inputs, model, Ran::default(), Hands::ALONE)
}

/// As [`execute`], by these hands; columns that were computed before, of the same Program on the same values, are
/// taken from there.
///
/// # Errors
/// As [`execute`].
pub fn execute_ran<I, M>(
    lowered: &Lowered,
    inputs: &BTreeMap<u32, I>,
    model: &BTreeMap<u32, M>,
    ran: Ran,
    hands: Hands,
) -> Result<Assignment, ExecuteError>
where
    I: Clone + Into<Prepared>,
    M: Clone + Into<Prepared>,
{
    let (mut values, known) = start(lowered, inputs, model, hands)?;
    let prepared = model.values().cloned().map(Into::into).filter(|given: &Prepared| given.facts.is_some());
    let prepared = prepared.collect();
    steps(lowered, &mut values, &known, (true, &ran))?;
    drop(ran);
    lins(lowered, &values)?;
    multiplicities(lowered, &mut values)?;
    let known = |(tensor, value): (u32, &Option<_>)| value.clone().ok_or(ExecuteError::Missing { tensor });
    let values: Result<Vec<_>, _> = (0..).zip(values.iter()).map(known).collect();
    Ok(Assignment { values: values?, prepared })
}

impl Lowered {
    /// Entries of all tensors together.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.axes.iter().product::<usize>()).sum()
    }
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

    /// Entries of all tensors together.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.lowered.entries()
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
        I: Clone + Into<Prepared>,
        M: Clone + Into<Prepared>,
    {
        let values = self.compute(inputs, model, (false, Hands::ALONE))?;
        self.outputs(&values)
    }

    /// As [`Runner::run`], by these hands; also keeps every column, so that [`execute_ran`] need not compute
    /// them again.
    ///
    /// # Errors
    /// As [`Runner::run`], and where a value is out of the range that a proof must show.
    pub fn run_and_keep<I, M>(
        &self,
        inputs: &BTreeMap<u32, I>,
        model: &BTreeMap<u32, M>,
        hands: Hands,
    ) -> Result<(Vec<Vec<i64>>, Ran), ExecuteError>
    where
        I: Clone + Into<Prepared>,
        M: Clone + Into<Prepared>,
    {
        let values = self.compute(inputs, model, (true, hands))?;
        Ok((self.outputs(&values)?, Ran::of(&self.lowered, &values)))
    }

    fn outputs(&self, values: &Values) -> Result<Vec<Vec<i64>>, ExecuteError> {
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
        I: Clone + Into<Prepared>,
        M: Clone + Into<Prepared>,
    {
        let values = self.compute(inputs, model, (false, Hands::ALONE))?;
        Ok((0..).zip(values.iter()).filter_map(|(tensor, value)| Some((tensor, value.clone()?))).collect())
    }

    fn compute<I, M>(
        &self,
        inputs: &BTreeMap<u32, I>,
        model: &BTreeMap<u32, M>,
        (full, hands): (bool, Hands),
    ) -> Result<Values, ExecuteError>
    where
        I: Clone + Into<Prepared>,
        M: Clone + Into<Prepared>,
    {
        let (mut values, known) = start(&self.lowered, inputs, model, hands)?;
        steps(&self.lowered, &mut values, &known, (full, &Ran::default()))?;
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
    I: Clone + Into<Prepared>,
    M: Clone + Into<Prepared>,
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
    I: Clone + Into<Prepared>,
    M: Clone + Into<Prepared>,
{
    Runner::new(program, batch)?.tensors(inputs, model)
}

/// Values of a Form of `lowered` over `axes`, row-major, under an assignment.
#[must_use]
pub fn form_values(form: &Form, axes: &[usize], lowered: &Lowered, assignment: &Assignment) -> Vec<i64> {
    let values = Values::new(assignment.values.iter().cloned().map(Some).collect(), Hands::ALONE);
    let order: Vec<usize> = (0..axes.len()).collect();
    read(form, &order, axes, lowered, &values).into_owned()
}

/// Values known before the first step.
fn start<I, M>(
    lowered: &Lowered,
    inputs: &BTreeMap<u32, I>,
    model: &BTreeMap<u32, M>,
    hands: Hands,
) -> Result<(Values, Known), ExecuteError>
where
    I: Clone + Into<Prepared>,
    M: Clone + Into<Prepared>,
{
    let content = |tensor: &Placed| match tensor.place {
        Place::Ones => Some(vec![1; tensor.axes.iter().product()].into()),
        _ => tensor.content.clone(),
    };
    let mut values = Values::new(lowered.tensors.iter().map(content).collect(), hands);
    for (&tensor, given) in inputs {
        give(lowered, &mut values, tensor, &given.clone().into(), false)?;
    }
    let mut known = Known::new();
    for (&tensor, given) in model {
        let given: Prepared = given.clone().into();
        give(lowered, &mut values, tensor, &given, true)?;
        known.extend(given.facts.clone().map(|facts| (tensor, facts)));
    }
    let owned = |place: Place| matches!(place, Place::Model | Place::Committed(_));
    match (0..).zip(&lowered.tensors).find(|(i, t)| owned(t.place) && values[*i as usize].is_none()) {
        Some((tensor, _)) => Err(ExecuteError::Missing { tensor }),
        None => Ok((values, known)),
    }
}

/// Takes the values of one input or model tensor.
fn give(
    lowered: &Lowered,
    values: &mut Values,
    tensor: u32,
    given: &Prepared,
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
    let got = given.values.len();
    if got != want {
        return Err(ExecuteError::Length { tensor, want, got });
    }
    let (lo, hi) = (placed.lo, placed.hi);
    if let Some(index) = given.outside(lo, hi) {
        return Err(ExecuteError::Value { tensor, index, lo, hi });
    }
    match &placed.content {
        Some(slot) if **slot != *given.values => Err(ExecuteError::SlotDiffers { tensor }),
        _ => {
            values[tensor as usize] = Some(Arc::clone(&given.values));
            Ok(())
        }
    }
}

/// Runs all steps but those that ran before. Without `full`, columns that only serve the proof are skipped.
fn steps(
    lowered: &Lowered,
    values: &mut Values,
    known: &Known,
    (full, ran): (bool, &Ran),
) -> Result<(), ExecuteError> {
    for (tensor, placed) in lowered.tensors.iter().enumerate().take(lowered.declared) {
        if values[tensor].is_none() && placed.place == Place::Fresh {
            return Err(ExecuteError::Missing { tensor: tensor as u32 });
        }
    }
    let done = ran.hand_on(lowered, values);
    let steps = lowered.steps.iter().zip(&lowered.step_sites).zip(done);
    for ((step, &site), _) in steps.filter(|(_, done)| !done) {
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
                let sums = contract(&lowered.ips[*ip], lowered, values, known);
                values[*column as usize] = Some(sums.into());
            }
            Step::Round(round) => round_step(lowered, values, known, round, (site, full))?,
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
    let whole = dense(form, axes, lowered, values);
    if let Some(position) = whole.iter().position(|&value| value < 0 || value >> cut.bits != 0) {
        return Err(ExecuteError::NotInRange { site: cut.site, position, bits: cut.bits });
    }
    let mask = (1i64 << cut.limb_bits) - 1;
    let limb = |place: usize| {
        let offset = usize::from(cut.limb_bits) * (place + 1);
        whole.iter().map(|&value| (value >> offset) & mask).collect::<Arc<[i64]>>()
    };
    let limbs = values.hands.each(0..columns.len(), limb);
    drop(whole);
    for (limb, &column) in limbs.into_iter().zip(columns) {
        values[column as usize] = Some(limb);
    }
    Ok(())
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
