//! What the ledger must be told by the world: the same answer on every machine, or none yet.

use certify::Committee;
use certify::hash::Digest;

use crate::store::Fault;
use crate::transaction::Envelope;

/// What a program costs; the same for everyone who has its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramFacts {
    /// Worst-case work of verifying one proof, in microseconds of the reference machine, counted and not timed.
    pub work: u64,
    /// Programs of one class are suspended together.
    pub class: u32,
    /// Bytes of the program.
    pub bytes: u32,
}

/// What evidence of the engine shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineOffence {
    /// The consensus key that signed both.
    pub consensus: Vec<u8>,
    /// The same for every evidence of one offence, so that it is punished once.
    pub id: Digest,
}

/// Asked while a block is executed. Pure functions of their arguments and of bytes that a digest names.
pub trait Hooks {
    /// Whether `possession` shows that whoever made it has the secret of `consensus`, and meant `account`.
    fn possession(&self, account: &Digest, consensus: &[u8], possession: &[u8]) -> bool;

    /// What the program with this digest costs; `None` if its bytes are no valid program, or one with more work than
    /// `most`, which MUST be found out before anything is done that costs as much as that work.
    ///
    /// # Errors
    /// [`Fault::World`] while its bytes are not here. The block must wait, not be refused.
    fn program(&self, program: &Digest, most: u64) -> Result<Option<ProgramFacts>, Fault>;

    /// Whether the sender signed it. Whoever saw it before may remember the answer.
    fn is_signed(&self, envelope: &Envelope) -> bool {
        envelope.is_signed()
    }

    /// What evidence in the engine's encoding shows about this committee, if anything.
    fn engine_offence(&self, evidence: &[u8], committee: &Committee) -> Option<EngineOffence>;
}

/// What running the pinned verifier gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rechecked {
    /// 0 accept, else why not.
    pub code: u16,
    /// State of the transcript after the last check, or where it failed.
    pub trace: Digest,
}

/// The verifier, as a validator runs it on every item of a round, cases among them.
///
/// Its answer never enters the state of the machine that ran it, only that machine's signed verdict; so two builds
/// that disagree cannot fork the chain, and count for what their stake is.
pub trait Recheck {
    /// Runs the verifier of this version.
    ///
    /// # Errors
    /// [`Fault::World`] while the bytes are not here. It is never a verdict.
    fn recheck(
        &self,
        statement: &Digest,
        record: &crate::entry::Record,
        verifier: u16,
    ) -> Result<Rechecked, Fault>;

    /// The [`trace`](crate::custody::trace) of a record's proof after a beacon.
    ///
    /// # Errors
    /// [`Fault::World`] if the bytes are not here.
    fn custody(
        &self,
        statement: &Digest,
        record: &crate::entry::Record,
        beacon: &Digest,
    ) -> Result<Digest, Fault>;
}
