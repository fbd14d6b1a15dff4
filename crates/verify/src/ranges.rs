//! The range certificate of a model: one ordinary proof per derived Program (spec J1-J7).

use core::fmt;

use program::invalid::Invalid;
use program::types::Program;
use program::wire::Statement;
use program::{Disclosure, range_programs};

use crate::chain::leads_to;
use crate::{Budget, ChainError, Link, Refusal, SetupError, Verdict, model_shape, verify};

/// Why a certificate is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RangeRefusal {
    /// The model's Program cannot be certified.
    Invalid(Box<Invalid>),
    /// The parameters of the model's oracle are not allowed.
    Oracle(Box<SetupError>),
    /// The weights are public: their ranges are checked in clear.
    Public,
    /// A part is missing or one too many.
    Parts {
        /// Parts of the certificate of this model.
        expected: usize,
        /// Parts found.
        found: usize,
    },
    /// The root belongs to another model, or to this one under other parameters, or no links lead to it.
    OtherModel(ChainError),
    /// A part does not show what it must.
    Part {
        /// Its number.
        part: usize,
        /// Why.
        why: Box<Refusal>,
    },
}

impl fmt::Display for RangeRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => write!(f, "the ranges of this model cannot be certified: {why}"),
            Self::Oracle(why) => write!(f, "the ranges of this model cannot be certified: {why}"),
            Self::Public => write!(f, "the model has no hidden weights, so there is nothing to certify"),
            Self::Parts { expected, found } => {
                write!(f, "the certificate of this model has {expected} parts, {found} were found")
            }
            Self::OtherModel(why) => {
                write!(f, "the certificate is about the weights of another model: {why}")
            }
            Self::Part { part, why } => write!(f, "part {part} of the certificate: {why}"),
        }
    }
}

impl core::error::Error for RangeRefusal {}

fn oracle_refused(why: SetupError) -> RangeRefusal {
    RangeRefusal::Oracle(Box::new(why))
}

/// The Statement that the proof of one part shows: it opens the model's own oracle, nothing else,
/// and reveals nothing. Everything but the root follows from the part's Program (spec J6).
///
/// # Errors
/// When the part has no model oracle, or one with parameters that are not allowed.
pub fn range_statement(part: &Program, root: &[u8; 32]) -> Result<Statement, SetupError> {
    let (shape, _) = model_shape(part)?.ok_or(SetupError::Oracle("M"))?;
    Ok(Statement {
        program_digest: part.digest(),
        zk: shape.log_t.is_some(),
        batch: 1,
        disclosure: Disclosure::default(),
        identity: vec![shape.id(root)],
        roots: vec![*root],
        link: [0; 32],
        slots: Vec::new(),
        context: Vec::new(),
    })
}

/// Checks that the proofs, in order, certify that every private parameter behind `oracle`, the
/// identity of the model's long-term oracle, lies in the interval that `program` declares for it. The
/// proofs open `root`; `chain` links it to the identity, and is empty if it is the identity's own.
/// Gives the budget of the weakest part.
///
/// # Errors
/// The first reason why they do not.
pub fn verify_ranges(
    program: &Program,
    oracle: &[u8; 32],
    root: &[u8; 32],
    chain: &[Link],
    proofs: &[impl AsRef<[u8]>],
) -> Result<Budget, RangeRefusal> {
    let (shape, layout) = model_shape(program).map_err(oracle_refused)?.ok_or(RangeRefusal::Public)?;
    leads_to(program, oracle, (&shape, layout.total), root, chain).map_err(RangeRefusal::OtherModel)?;
    let parts = range_programs(program).map_err(|why| RangeRefusal::Invalid(Box::new(why)))?;
    if parts.len() != proofs.len() {
        return Err(RangeRefusal::Parts { expected: parts.len(), found: proofs.len() });
    }
    let mut weakest: Option<Budget> = None;
    for (number, (part, proof)) in parts.iter().zip(proofs).enumerate() {
        let statement = range_statement(part, root).map_err(oracle_refused)?;
        let budget = match verify(part, &statement, proof.as_ref()) {
            Verdict::Accepted(accepted) => accepted.budget().clone(),
            Verdict::Rejected(why) => return Err(RangeRefusal::Part { part: number, why: Box::new(why) }),
        };
        let weaker = weakest.as_ref().is_none_or(|other| budget.weakest().bits < other.weakest().bits);
        if weaker {
            weakest = Some(budget);
        }
    }
    weakest.ok_or(RangeRefusal::Public)
}
