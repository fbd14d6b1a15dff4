//! What an accepted proof is known to say, and what it is not (spec V17). Only the verifier's acceptance makes [`Facts`].

use program::types::{Home, Program};
use program::wire::{Statement, model_id};
use program::{InputMode, Reveal};
use verify::{Accepted, Link};

/// How the integers of a proof relate to what the owner serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semantics {
    /// They are those of the quantised model that was given.
    Exact,
    /// They are the answer itself: nothing says that they stand for other numbers.
    ServedInt,
    /// They are near a float model, as the accuracy report measures.
    Bounded,
}

impl Semantics {
    /// Its word in a statement.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::ServedInt => "served-int",
            Self::Bounded => "bounded",
        }
    }

    /// The meaning of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Exact, Self::ServedInt, Self::Bounded].into_iter().find(|s| s.word() == word)
    }
}

/// What is known of the ranges of a model's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// The weights are public: they are compared with their ranges.
    Public,
    /// They are hidden, and nothing is proved.
    Unproved,
    /// They are hidden, and a certificate was checked.
    Certified {
        /// BLAKE3 of the certificate's bytes. It is a zero-knowledge proof: its entropy is high.
        blake3: [u8; 32],
        /// Proven bits of its weakest part.
        bits: u32,
    },
}

/// What a commitment holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The model's weights.
    Model,
    /// An input.
    Input,
}

/// A long-term commitment that the proof opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitment {
    /// What it holds.
    pub role: Role,
    /// Its identity.
    pub identity: [u8; 32],
    /// Root of the epoch that is opened.
    pub root: [u8; 32],
    /// Links from the identity to this epoch.
    pub links: u32,
}

/// The soundness of an accepted proof, with its range certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Security {
    /// Proven bits of the weakest round.
    pub bits: u32,
    /// Name of the weakest term.
    pub weakest: &'static str,
    /// Proven bits of the union of all rounds of the proof.
    pub union_bits: u32,
}

/// What an accepted proof says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Digest of the program.
    pub program: [u8; 32],
    /// Identity of the model: the program and the committed weights.
    pub model: [u8; 32],
    /// Commitments, the model's first.
    pub commitments: Vec<Commitment>,
    /// Digest of all links, if there are any.
    pub links: Option<[u8; 32]>,
    /// How each input is shown.
    pub inputs: Vec<InputMode>,
    /// What is revealed.
    pub reveals: Vec<Reveal>,
    /// Values of public inputs, then revealed values and labels.
    pub slots: Vec<Vec<i64>>,
    /// Whether the proof hides its secrets.
    pub zero_knowledge: bool,
    /// Inferences.
    pub batch: u32,
    /// The context, as it is bound.
    pub context: Vec<u8>,
    /// What is known of the weights' ranges.
    pub ranges: Ranges,
    /// Proven bits.
    pub security: Security,
    /// How integers and served numbers relate.
    pub semantics: Semantics,
    /// BLAKE3 of the accuracy report that the program names.
    pub accuracy: Option<[u8; 32]>,
}

/// What the program's metadata say; the verifier does not interpret them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    /// How integers and served numbers relate.
    pub semantics: Semantics,
    /// BLAKE3 of the accuracy report.
    pub accuracy: Option<[u8; 32]>,
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

impl Facts {
    /// The facts of a proof that was accepted. `ranges` must have been checked; it is not looked at when
    /// the weights are public.
    #[must_use]
    pub fn of(
        (program, statement): (&Program, &Statement),
        chains: &[Vec<Link>],
        accepted: &Accepted,
        ranges: Ranges,
        meaning: Meaning,
    ) -> Self {
        let hidden = program.tensors.iter().any(|tensor| tensor.home == Home::Model);
        let commitment = |(at, (identity, root)): (usize, (&[u8; 32], &[u8; 32]))| Commitment {
            role: if hidden && at == 0 { Role::Model } else { Role::Input },
            identity: *identity,
            root: *root,
            links: count(chains.get(at).map_or(0, Vec::len)),
        };
        // What was accepted is about the program of this digest.
        let own = statement.identity.get(..usize::from(hidden)).unwrap_or(&statement.identity);
        let weakest = accepted.budget().weakest();
        let mut security =
            Security { bits: weakest.bits, weakest: weakest.name, union_bits: accepted.budget().union() };
        if let (true, Ranges::Certified { bits, .. }) = (hidden, ranges)
            && bits < security.bits
        {
            (security.bits, security.weakest) = (bits, "range certificate");
        }
        Self {
            program: statement.program_digest,
            model: model_id(&statement.program_digest, own),
            commitments: statement
                .identity
                .iter()
                .zip(&statement.roots)
                .enumerate()
                .map(commitment)
                .collect(),
            links: Some(statement.link).filter(|link| *link != [0; 32]),
            inputs: statement.disclosure.inputs.clone(),
            reveals: statement.disclosure.reveals.clone(),
            slots: statement.slots.clone(),
            zero_knowledge: statement.zk,
            batch: statement.batch,
            context: statement.context.clone(),
            ranges: if hidden { ranges } else { Ranges::Public },
            security,
            semantics: meaning.semantics,
            accuracy: meaning.accuracy,
        }
    }

    /// Number of public inputs: their slots come first.
    #[must_use]
    pub fn public_inputs(&self) -> usize {
        self.inputs.iter().filter(|mode| **mode == InputMode::Public).count()
    }

    /// Whether the weights are hidden.
    #[must_use]
    pub fn hidden_weights(&self) -> bool {
        self.ranges != Ranges::Public
    }
}

/// Something that a proof with these facts does not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotClaimed {
    /// Its name in a statement.
    pub code: &'static str,
    /// In words.
    pub words: &'static str,
}

const WEIGHT_RANGES: &str = "that the hidden weights are integers of the declared widths: no range \
    certificate is here, so the relations hold modulo the prime, for one fixed function of what is committed";
const FLOAT_EQUALITY: &str = "that the float model gives the same answer: the integers are a quantised form \
    of it, and the distance was measured on samples, not proved";
const FLOAT_ROUNDING: &str = "that a float run-time rounds as the integers do where its 32-bit floats decide a \
    rounding";
const REAL_UNITS: &str = "what the integers stand for: the program names no units";
const ACCURACY: &str = "that the accuracy report is true: it was measured by the owner";
const INPUT_HIDDEN: &str = "which input it was: it is hidden, and only its existence is proved";
const INPUT_COMMITTED: &str = "what the committed input is about: only that it is the one behind its ID";
const INPUT_ORIGIN: &str = "that the public input is genuine: only that the answer belongs to it";
const SECRECY: &str = "that the proof hides anything: it is not zero-knowledge";
const OCCASION: &str = "for whom or for what occasion it was made: the proof is bound to no context, and may be \
    shown again";
const FRESHNESS: &str = "that it was made for you: compare the context with what you asked for";
const MODEL_SIGNING: &str =
    "that the model-signing digest names the model that was committed: the signer says so";
const TIME: &str = "when it was made: no clock is part of the proof";
const TRAINING: &str = "how the model was trained, on which data, or that it is good at its task";
const TRUTH: &str = "that the answer is true: only that the committed model gives it";

/// What a proof with these facts does not show, the most specific first. Each follows from a fact of the
/// accepted proof; the last three are beyond any statement about an inference.
#[must_use]
pub fn not_claimed(facts: &Facts, model_signing: bool) -> Vec<NotClaimed> {
    let input = |mode| facts.inputs.contains(&mode);
    let rows = [
        (facts.ranges == Ranges::Unproved, "weight-ranges", WEIGHT_RANGES),
        (facts.semantics == Semantics::Bounded, "float-equality", FLOAT_EQUALITY),
        (facts.semantics == Semantics::Exact, "float-rounding", FLOAT_ROUNDING),
        (facts.semantics == Semantics::ServedInt, "units", REAL_UNITS),
        (facts.accuracy.is_some(), "accuracy", ACCURACY),
        (input(InputMode::Private), "input-hidden", INPUT_HIDDEN),
        (input(InputMode::Committed), "input-committed", INPUT_COMMITTED),
        (input(InputMode::Public), "input-origin", INPUT_ORIGIN),
        (!facts.zero_knowledge, "secrecy", SECRECY),
        (facts.context.is_empty(), "occasion", OCCASION),
        (!facts.context.is_empty(), "freshness", FRESHNESS),
        (model_signing, "model-signing", MODEL_SIGNING),
        (true, "time", TIME),
        (true, "training", TRAINING),
        (true, "truth", TRUTH),
    ];
    rows.into_iter().filter(|row| row.0).map(|(_, code, words)| NotClaimed { code, words }).collect()
}
