//! The part of a verification that follows from the Program and the shape of its Statements: validated,
//! lowered and laid out once for many proofs.

use program::types::{Home, Program};
use program::wire::{Statement, model_id};

use crate::setup::sizing;
use crate::{Budget, ProofShape, Setup, SetupError, budget};
use program::lower::SlotPlan;

/// Bytes of one reveal: what is shown, its slot's rule, and where its values go.
const REVEAL: usize = 128;

/// A Program made ready to verify proofs of one shape. [`crate::verify`] makes one and uses it once.
#[derive(Clone, Debug)]
pub struct Prepared {
    program: [u8; 32],
    has_model: bool,
    shape: ProofShape,
    /// Without the contents of slots.
    unfilled: Setup,
    slots: SlotPlan,
    budget: Budget,
}

/// Validates the Program and prepares what all Statements of this shape share.
///
/// # Errors
/// When the Program is refused, or has no proof of this shape.
pub fn prepare(program: &Program, shape: &ProofShape) -> Result<Prepared, SetupError> {
    Prepared::new(program, program.digest(), shape, None)
}

/// Whether the Program has hidden weights.
pub(crate) fn has_model(program: &Program) -> bool {
    program.tensors.iter().any(|tensor| tensor.home == Home::Model)
}

/// vk: the model's identity (spec P23).
pub(crate) fn identity_of(program: &[u8; 32], has_model: bool, statement: &Statement) -> [u8; 32] {
    let count = usize::from(has_model);
    model_id(program, statement.identity.get(..count).unwrap_or(&statement.identity))
}

impl Prepared {
    fn new(
        program: &Program,
        digest: [u8; 32],
        shape: &ProofShape,
        statement: Option<&Statement>,
    ) -> Result<Self, SetupError> {
        let (unfilled, slots) = Setup::build(program, shape, sizing(program), statement)?;
        let budget = budget(&unfilled);
        let has_model = has_model(program);
        Ok(Self { program: digest, has_model, shape: shape.clone(), unfilled, slots, budget })
    }

    /// As [`prepare`] for one Statement, which is checked on the way.
    pub(crate) fn for_statement(program: &Program, statement: &Statement) -> Result<Self, SetupError> {
        let digest = program.digest();
        if digest != statement.program_digest {
            return Err(SetupError::OtherProgram);
        }
        Self::new(program, digest, &statement.into(), Some(statement))
    }

    /// The Program's digest.
    pub fn program(&self) -> &[u8; 32] {
        &self.program
    }

    /// The shape of the Statements.
    pub fn shape(&self) -> &ProofShape {
        &self.shape
    }

    /// The proven soundness budget of every proof.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// About how many bytes of memory this takes, for a cache that must know. It grows with the Program's
    /// file: public contents, 8 bytes an entry, and some kilobytes per operator and table.
    pub fn bytes(&self) -> usize {
        let disclosure = self.shape.disclosure.reveals.len().saturating_mul(REVEAL);
        [self.unfilled.lowered.bytes(), self.unfilled.sizes.bytes(), disclosure, size_of::<Self>()]
            .into_iter()
            .fold(0, usize::saturating_add)
    }

    /// Everything derived from the Program and one Statement.
    ///
    /// # Errors
    /// When the Statement is not about this Program, has another shape, or does not fit.
    pub fn setup(&self, statement: &Statement) -> Result<Setup, SetupError> {
        if statement.program_digest != self.program {
            return Err(SetupError::OtherProgram);
        }
        let ProofShape { batch, zk, disclosure } = &self.shape;
        if (statement.batch, statement.zk, &statement.disclosure) != (*batch, *zk, disclosure) {
            return Err(SetupError::OtherShape);
        }
        self.unfilled.filled(&self.slots, statement)
    }

    /// vk: the model's identity that a Statement claims (spec P23).
    pub(crate) fn model(&self, statement: &Statement) -> [u8; 32] {
        identity_of(&self.program, self.has_model, statement)
    }
}
