//! What anyone can ask of the ledger: the envelope that is signed and paid for, and the body inside `[H12]`.

use certify::hash::{Digest, Purpose, hash};
use certify::wire::{Bounded, Canonical, Malformed, Reader, encode};
use certify::{spell_enum, spell_struct};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::address::ADDRESS_MAX;
use crate::entry::{AccountKey, ITEMS_MAX, POSSESSION_MAX, Shown};
use crate::parameters::Parameters;

/// Most bytes of a transaction.
pub const TRANSACTION_MAX: usize = 65_536;
/// Most bytes of a transaction inside evidence: a reveal of a full round fits.
pub const INNER_MAX: usize = 24_576;
/// Most bytes of a proof.
pub const PROOF_MAX: u32 = 64 << 20;
/// Most bytes of evidence from the engine.
pub const ENGINE_EVIDENCE_MAX: usize = 4_096;
/// The one version of envelopes.
pub const VERSION: u16 = 1;

const TRANSACTION: Purpose = Purpose("zerotell/transaction/1");
const BODY: Purpose = Purpose("zerotell/body/1");

/// Who pays, and how a repetition is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A fee and the account's nonce.
    Paid,
    /// A seat's verdicts: no fee, the nonce is the height of the round, once per seat and round.
    Seat,
}
spell_enum!(Lane, "lane" { 0 => Paid {}, 1 => Seat {} });

/// A transaction as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The network it is for.
    pub network: Digest,
    /// Who pays, and how.
    pub lane: Lane,
    /// Whose it is.
    pub sender: AccountKey,
    /// Transactions paid before it, or the height of the round.
    pub nonce: u64,
    /// Units offered, all of which are paid.
    pub fee: u64,
    /// The spelling of a [`Body`].
    pub body: Bounded<u8, TRANSACTION_MAX>,
    /// By the sender, over [`Envelope::id`].
    pub signature: [u8; 64],
}

impl Canonical for Envelope {
    fn write(&self, out: &mut Vec<u8>) {
        self.write_signed(out);
        self.signature.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        if u16::read(from)? != VERSION {
            return Err(Malformed::Form { what: "the transaction's version is not 1" });
        }
        Ok(Self {
            network: from.array()?,
            lane: Lane::read(from)?,
            sender: from.array()?,
            nonce: u64::read(from)?,
            fee: u64::read(from)?,
            body: Bounded::read(from)?,
            signature: from.array()?,
        })
    }
}

impl Envelope {
    /// A signed transaction.
    ///
    /// # Errors
    /// [`Malformed::TooLong`] if the body does not fit.
    pub fn sign(key: &SigningKey, unsigned: Unsigned, body: &Body) -> Result<Self, Malformed> {
        let Unsigned { network, lane, nonce, fee } = unsigned;
        let sender = key.verifying_key().to_bytes();
        let body = Bounded::new(encode(body))?;
        let mut envelope = Self { network, lane, sender, nonce, fee, body, signature: [0; 64] };
        envelope.signature = key.sign(&envelope.id()).to_bytes();
        Ok(envelope)
    }

    /// Digest of all but the signature: its name, and what is signed. It covers the network, so a signature is worth
    /// nothing elsewhere.
    pub fn id(&self) -> Digest {
        let mut bytes = Vec::new();
        self.write_signed(&mut bytes);
        hash(TRANSACTION, &[&bytes])
    }

    /// Whether the sender's key is sound and signed this. A key of small order, under which one signature fits many
    /// messages, is refused.
    pub fn is_signed(&self) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.sender) else { return false };
        !key.is_weak() && key.verify_strict(&self.id(), &Signature::from_bytes(&self.signature)).is_ok()
    }

    fn write_signed(&self, out: &mut Vec<u8>) {
        VERSION.write(out);
        self.network.write(out);
        self.lane.write(out);
        self.sender.write(out);
        self.nonce.write(out);
        self.fee.write(out);
        self.body.write(out);
    }
}

/// What is to be signed, beside the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsigned {
    /// The network it is for.
    pub network: Digest,
    /// Who pays, and how.
    pub lane: Lane,
    /// Transactions paid before it, or the height of the round.
    pub nonce: u64,
    /// Units offered.
    pub fee: u64,
}

/// A statement and its proof, to be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Hiding digest of the statement: the record's name.
    pub statement: Digest,
    /// Digest of the proof's bytes, by which validators fetch them.
    pub proof: Digest,
    /// Their number.
    pub proof_bytes: u32,
    /// Program; it must be registered.
    pub program: Digest,
    /// Digest of the roots the proof opens.
    pub roots: Digest,
    /// Digest of what is revealed.
    pub revealed: Digest,
    /// Policy it is meant for, or zero.
    pub policy: Digest,
    /// Hiding digest of who asked, for what, until when.
    pub context: Digest,
    /// Once in the life of the network.
    pub nullifier: Digest,
    /// Hiding digest of whether it is a canary; random for others, so that none can be told.
    pub seal: Digest,
    /// Version of the verifier it was made for.
    pub verifier: u16,
}
spell_struct!(Submission {
    statement,
    proof,
    proof_bytes,
    program,
    roots,
    revealed,
    policy,
    context,
    nullifier,
    seal,
    verifier,
});

/// A step from a model's present weights to a new commitment of the same ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The model; the sender must own it.
    pub model: Digest,
    /// The new root.
    pub weights: Digest,
    /// Digest of the link's statement: the record's name.
    pub statement: Digest,
    /// Digest of the link's proof.
    pub proof: Digest,
    /// Its bytes.
    pub proof_bytes: u32,
    /// Version of the verifier.
    pub verifier: u16,
}
spell_struct!(Step { model, weights, statement, proof, proof_bytes, verifier });

/// A transaction's bytes inside evidence.
pub type Inner = Bounded<u8, INNER_MAX>;

/// That somebody broke a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one is alive at a time, while its transaction is executed")]
pub enum Accusation {
    /// Two verdict messages of one seat, kind and round that differ.
    Equivocation {
        /// One transaction.
        first: Inner,
        /// The other.
        second: Inner,
    },
    /// A reveal, while verdicts were still being committed.
    EarlyReveal {
        /// The transaction.
        reveal: Inner,
    },
    /// A verdict, or a reveal, that running the verifier contradicts: everyone runs it again.
    WrongVerdict {
        /// The record.
        statement: Digest,
    },
    /// Execution digests that do not come from the run that two thirds of stake made.
    WrongExecution {
        /// The record.
        statement: Digest,
        /// State of the transcript after the last check.
        trace: Digest,
    },
    /// Execution digests of an older proof that do not come from the bytes which two thirds of stake have.
    WrongCustody {
        /// The round that asked for it.
        round: u64,
        /// The record.
        statement: Digest,
        /// See [`custody::trace`](crate::custody::trace).
        trace: Digest,
    },
    /// What the engine recorded.
    Engine {
        /// Epoch of the offence.
        epoch: u64,
        /// The engine's own encoding.
        evidence: Bounded<u8, ENGINE_EVIDENCE_MAX>,
    },
    /// That a rejected record was a canary of the protocol.
    Canary {
        /// What was submitted.
        submission: Submission,
        /// Opens its seal.
        salt: Digest,
    },
}
spell_enum!(Accusation, "evidence" {
    1 => Equivocation { first, second },
    2 => EarlyReveal { reveal },
    3 => WrongVerdict { statement },
    4 => WrongExecution { statement, trace },
    5 => Engine { epoch, evidence },
    6 => Canary { submission, salt },
    7 => WrongCustody { round, statement, trace },
});

/// What a recall is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A record, by its submitter.
    Record {
        /// Which.
        statement: Digest,
    },
    /// A program, by its owner.
    Program {
        /// Which.
        program: Digest,
    },
    /// A version of the verifier, by two thirds of stake.
    Verifier {
        /// Which.
        version: u16,
    },
    /// Not a recall but its end: a suspended class, by two thirds of stake.
    Resume {
        /// Which.
        class: u32,
    },
}
spell_enum!(Subject, "subject of a recall" {
    1 => Record { statement }, 2 => Program { program }, 3 => Verifier { version }, 4 => Resume { class },
});

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Money to another account.
    Transfer {
        /// Whose.
        to: AccountKey,
        /// Units.
        amount: u64,
    },
    /// Money becomes stake.
    Bond {
        /// Units; may be 0 to change the key or the address.
        amount: u64,
        /// Key for consensus, empty to keep the present one.
        consensus: Bounded<u8, 128>,
        /// That the sender has that key.
        possession: Bounded<u8, POSSESSION_MAX>,
        /// Where others reach it, empty to keep the present one; see [`Address`](crate::address::Address).
        address: Bounded<u8, ADDRESS_MAX>,
    },
    /// Stake becomes money, later.
    Unbond {
        /// Units.
        amount: u64,
    },
    /// A model gets a name that nobody else can take.
    RegisterModel {
        /// Its identity.
        model: Digest,
        /// Its program.
        program: Digest,
        /// Bytes of the program, an upper bound.
        program_bytes: u32,
        /// Work of verifying one proof of it, an upper bound: looking at the program itself costs no more.
        work: u64,
        /// Root of hidden weights, or digest of public ones.
        weights: Digest,
    },
    /// The next commitment of a model.
    AdvanceEpoch {
        /// The step.
        step: Step,
    },
    /// A data set gets a name.
    RegisterDataset {
        /// Its root.
        root: Digest,
        /// Digest of its schema.
        schema: Digest,
        /// Digest of its source's signature.
        source: Digest,
    },
    /// A record.
    SubmitRecord {
        /// What is submitted.
        submission: Submission,
    },
    /// A seat binds itself to its verdicts on a round.
    CommitVerdicts {
        /// The round.
        round: u64,
        /// See [`commitment`](crate::verdict::commitment).
        commitment: Digest,
    },
    /// A seat shows them.
    RevealVerdicts {
        /// The round.
        round: u64,
        /// One per item.
        verdicts: Bounded<Shown, ITEMS_MAX>,
        /// What hid them.
        salt: Digest,
    },
    /// An accusation.
    Evidence {
        /// What it says and what shows it.
        accusation: Accusation,
    },
    /// Something is not to be relied on any more.
    Recall {
        /// What.
        subject: Subject,
        /// Why, not 0.
        reason: u16,
    },
    /// A seat votes for new parameters.
    UpdateParameters {
        /// All of them.
        parameters: Parameters,
    },
}
spell_enum!(Body, "kind of transaction" {
    1 => Transfer { to, amount },
    2 => Bond { amount, consensus, possession, address },
    3 => Unbond { amount },
    4 => RegisterModel { model, program, program_bytes, work, weights },
    5 => AdvanceEpoch { step },
    6 => RegisterDataset { root, schema, source },
    7 => SubmitRecord { submission },
    8 => CommitVerdicts { round, commitment },
    9 => RevealVerdicts { round, verdicts, salt },
    10 => Evidence { accusation },
    11 => Recall { subject, reason },
    12 => UpdateParameters { parameters },
});

impl Body {
    /// The lane it must travel in.
    pub fn lane(&self) -> Lane {
        match self {
            Self::CommitVerdicts { .. } | Self::RevealVerdicts { .. } => Lane::Seat,
            _ => Lane::Paid,
        }
    }

    /// What a [`Record`](crate::entry::Record) keeps of it.
    pub fn digest(&self) -> Digest {
        hash(BODY, &[&encode(self)])
    }
}
