//! Why a key, a statement or an evidence file is refused: where, why, and what to do.

use core::fmt;

/// What was looked at when it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The evidence file as a whole.
    Archive,
    /// A key.
    Key,
    /// The envelope of the statement.
    Envelope,
    /// The signature.
    Signature,
    /// The signed statement.
    Statement,
    /// The proof file.
    Proof,
    /// The model file.
    Model,
    /// The salts.
    Salts,
    /// The accuracy report.
    Accuracy,
    /// The range certificate.
    Ranges,
    /// The report for people.
    Report,
    /// The network's certificate.
    Annex,
}

impl Part {
    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Archive => "evidence file",
            Self::Key => "key",
            Self::Envelope => "envelope",
            Self::Signature => "signature",
            Self::Statement => "statement",
            Self::Proof => "proof file",
            Self::Model => "model file",
            Self::Salts => "salts",
            Self::Accuracy => "accuracy",
            Self::Ranges => "weight ranges",
            Self::Report => "report",
            Self::Annex => "certificate",
        }
    }

    /// What to do when it is refused.
    #[must_use]
    pub fn fix(self) -> &'static str {
        match self {
            Self::Archive | Self::Proof | Self::Model | Self::Ranges => {
                "ask for the evidence file again; compare its size and digest with the sender's"
            }
            Self::Key => "give the whole PEM file of a P-256 or Ed25519 key",
            Self::Envelope | Self::Salts => "ask its maker to make the evidence again with this version",
            Self::Signature => "do not rely on it: ask the signer for the original and for the public key",
            Self::Statement => "do not rely on it: what was signed is not what the proof shows",
            Self::Accuracy => "ask the owner for the accuracy report that belongs to this program",
            Self::Report => "do not read that report: make one from the checked parts (--report FILE)",
            Self::Annex => {
                "name its network (--genesis FILE or --checkpoint FILE), or ask for the evidence without it"
            }
        }
    }
}

/// A refusal. It never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was looked at.
    pub part: Part,
    /// Why it is refused.
    pub why: String,
}

impl Refused {
    /// A refusal of this part.
    pub fn new(part: Part, why: impl Into<String>) -> Self {
        Self { part, why: why.into() }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.part.name(), self.why, self.part.fix())
    }
}

impl core::error::Error for Refused {}

/// What a step gives.
pub type Outcome<T> = Result<T, Refused>;
