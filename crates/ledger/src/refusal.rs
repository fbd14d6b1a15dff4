//! Why a transaction is not taken, or taken and without effect.

use std::fmt;

use certify::wire::Malformed;

use crate::store::Fault;

/// Why a transaction may not be in a block. The steps are in the order of [`admit`](crate::admission::admit); nobody
/// pays for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Step 1: more bytes than any transaction has.
    Size {
        /// Most.
        limit: usize,
        /// Found.
        found: usize,
    },
    /// Step 2: not an envelope.
    Envelope(Malformed),
    /// Step 2: for another network.
    Network,
    /// Step 2: the signature is not the sender's, or its key is weak.
    Signature,
    /// Step 3: not the next nonce of the account.
    Nonce {
        /// The next one.
        expected: u64,
        /// Found.
        found: u64,
    },
    /// Step 3, verdicts: there is no such round.
    Round {
        /// The height that was named.
        round: u64,
    },
    /// Step 3, verdicts: the sender has no seat in that round.
    Seat,
    /// Step 4: the fee cannot be held.
    Funds {
        /// What the account has.
        balance: u64,
        /// What it would pay.
        fee: u64,
    },
    /// Step 4, verdicts: they are free, and carry no fee.
    FeeOnVerdict,
    /// Step 5: not a body.
    Body(Malformed),
    /// Step 5: the wrong lane for this kind.
    Lane,
    /// Step 5: a field lies outside its range.
    Field {
        /// What is wrong.
        what: &'static str,
    },
    /// Step 6: the program is not registered, so there is no price.
    UnknownProgram,
    /// Step 6: the fee is below the price.
    Price {
        /// Least fee at present.
        price: u64,
        /// Offered.
        fee: u64,
    },
    /// Last, in a block: it has no room left.
    BlockFull,
    /// Step 7: too many records of this account wait.
    InFlight {
        /// Most.
        limit: u32,
    },
    /// Step 7: the statement was submitted before.
    DuplicateStatement,
    /// Step 7: the nullifier belongs to a record that was accepted, or waits.
    DuplicateNullifier,
    /// Step 7: the program, or the verifier's version, was recalled.
    Recalled,
    /// Step 7: the program's class is suspended.
    Suspended,
    /// Step 7: not the version of the verifier that rules.
    Verifier {
        /// The one that does.
        expected: u16,
    },
    /// Step 7: the model is not the sender's.
    Model,
    /// Step 7, verdicts: before their time. A reveal before its time is an offence.
    Early,
    /// Step 7, verdicts: after their time.
    Late,
    /// Step 7, verdicts: said before.
    Repeated,
    /// Step 7, verdicts: what is revealed is not what was committed.
    Commitment,
    /// Pool: the fee is not a tenth above that of the transaction it would replace.
    Replacement {
        /// Least fee.
        least: u64,
    },
    /// Pool: it is full of better paid ones.
    PoolFull,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { limit, found } => {
                write!(f, "a transaction has at most {limit} bytes, this one has {found}")
            }
            Self::Envelope(malformed) => write!(f, "not a transaction: {malformed}"),
            Self::Network => write!(f, "the transaction is for another network"),
            Self::Signature => write!(f, "the signature is not the sender's, or the sender's key is weak"),
            Self::Nonce { expected, found } => write!(f, "the next nonce is {expected}, this one is {found}"),
            Self::Round { round } => write!(f, "there is no open round of height {round}"),
            Self::Seat => write!(f, "the sender has no seat in that round"),
            Self::Funds { balance, fee } => write!(f, "the account has {balance} units, the fee is {fee}"),
            Self::FeeOnVerdict => write!(f, "verdicts are free: the fee must be 0"),
            Self::Body(malformed) => write!(f, "the body cannot be read: {malformed}"),
            Self::Lane => write!(f, "this kind of transaction travels in the other lane"),
            Self::Field { what } => f.write_str(what),
            Self::UnknownProgram => write!(f, "the program is not registered; register a model of it first"),
            Self::Price { price, fee } => {
                write!(f, "the price is {price} units at present, the fee is {fee}")
            }
            Self::BlockFull => write!(f, "the block has no room left; try the next one"),
            Self::InFlight { limit } => {
                write!(f, "{limit} records of this account wait for their verdict already")
            }
            Self::DuplicateStatement => write!(f, "this statement was submitted before"),
            Self::DuplicateNullifier => write!(f, "this nullifier was used before"),
            Self::Recalled => write!(f, "the program or the verifier's version was recalled"),
            Self::Suspended => {
                write!(f, "the program's class is suspended until validators agree on it again")
            }
            Self::Verifier { expected } => write!(f, "verdicts are given by verifier version {expected}"),
            Self::Model => write!(f, "the model is not registered by the sender"),
            Self::Early => write!(f, "it is too early for this"),
            Self::Late => write!(f, "it is too late for this"),
            Self::Repeated => write!(f, "the seat has said this before"),
            Self::Commitment => write!(f, "what is revealed is not what was committed"),
            Self::Replacement { least } => {
                write!(f, "to replace the waiting transaction the fee must be {least}")
            }
            Self::PoolFull => write!(f, "the pool is full of transactions that pay more"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Why a transaction that was paid for had no effect. The number is in the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Failure {
    /// More than the account has.
    Funds = 1,
    /// Nothing to move.
    Nothing = 2,
    /// More than is bonded.
    Bond = 3,
    /// The consensus key is not shown to be the sender's, or is another's.
    ConsensusKey = 4,
    /// Too many withdrawals wait.
    Unbondings = 5,
    /// All places are taken by larger bonds.
    Candidates = 6,
    /// The name is taken.
    Taken = 7,
    /// The program is not what was said, or costs more than a block may.
    Program = 8,
    /// The evidence shows nothing.
    Evidence = 9,
    /// It was punished before, or is being looked at.
    Known = 10,
    /// It is too long ago.
    TooOld = 11,
    /// There is no such thing, or it is not at the stage for this.
    Missing = 12,
    /// The sender may not.
    NotAllowed = 13,
    /// The parameters do not fit.
    Parameters = 14,
    /// More dissent than one may be punished for.
    Disputed = 15,
    /// Too much falls due when this vote's epoch is over.
    Votes = 16,
}

impl Failure {
    /// The number in an outcome.
    pub fn code(self) -> u16 {
        (1..).zip(Self::ALL).find(|(_, failure)| *failure == self).map_or(0, |(code, _)| code)
    }

    /// The failure with this number.
    pub fn of(code: u16) -> Option<Self> {
        let place = usize::from(code.checked_sub(1)?);
        Self::ALL.get(place).copied()
    }

    // The list above, where each is written once.
    const ALL: [Self; 16] = [
        Self::Funds,
        Self::Nothing,
        Self::Bond,
        Self::ConsensusKey,
        Self::Unbondings,
        Self::Candidates,
        Self::Taken,
        Self::Program,
        Self::Evidence,
        Self::Known,
        Self::TooOld,
        Self::Missing,
        Self::NotAllowed,
        Self::Parameters,
        Self::Disputed,
        Self::Votes,
    ];
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Funds => "the account has less than that",
            Self::Nothing => "there is nothing to move",
            Self::Bond => "less than that is bonded",
            Self::ConsensusKey => "the consensus key is not shown to be the sender's, or has another owner",
            Self::Unbondings => "too many withdrawals wait; try again when one is free",
            Self::Candidates => "all places are taken by larger bonds",
            Self::Taken => "the name is taken",
            Self::Program => "the program is not what was said, or costs more than a block may",
            Self::Evidence => "the evidence shows nothing",
            Self::Known => "it was punished before, or is being looked at",
            Self::TooOld => "it is too long ago",
            Self::Missing => "there is no such thing, or it is not at the stage for this",
            Self::NotAllowed => "the sender may not do this",
            Self::Parameters => "the parameters do not fit",
            Self::Disputed => "more stake dissents than one may be punished for",
            Self::Votes => "too many votes are open; vote in a later block",
        })
    }
}

/// Why work on a transaction stopped, and whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It may not be in a block.
    Refused(Refusal),
    /// It is in the block, paid for, and without effect.
    Failed(Failure),
    /// Not its fault.
    Fault(Fault),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
