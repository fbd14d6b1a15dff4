//! Why a proof is refused.

use core::fmt;

/// A refusal. It is a result: the same proof is refused for the same reason everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reject {
    /// The proof ends before the message with this label.
    Truncated {
        /// Label of the message that is missing.
        label: &'static str,
    },
    /// Bytes are left over after the last message.
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// A field element is not below p.
    NotCanonical {
        /// Label of the message.
        label: &'static str,
    },
    /// The proof's version is not known.
    Version {
        /// The version found.
        found: u16,
    },
    /// The nonce does not have the required leading zero bits.
    Grinding,
    /// A challenge hit one of the few values at which the protocol is undefined (probability < 2^-110).
    ExceptionalChallenge {
        /// Label of the challenge.
        label: &'static str,
    },
    /// Opened columns do not lie under the oracle's root.
    Root {
        /// Name of the oracle: "Z", "M", "X", "O", "E" or "Q".
        oracle: &'static str,
    },
    /// The last vector, sent in clear, does not satisfy the batched claim.
    LastVector,
    /// The masked reply does not satisfy the batched claim: some relation does not hold.
    Reply,
    /// The masked reply is not the codeword that was committed.
    Codeword {
        /// Name of the oracle: "E" or "Q".
        oracle: &'static str,
    },
    /// Sizes of the statement do not fit the limits of this version.
    Limits {
        /// What is too large.
        what: &'static str,
    },
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { label } => write!(f, "the proof ends before its message `{label}`"),
            Self::TrailingBytes { count } => write!(f, "{count} bytes are left over after the proof"),
            Self::NotCanonical { label } => write!(f, "message `{label}` holds a number that is not below p"),
            Self::Version { found } => write!(f, "proof version {found} is not known"),
            Self::Grinding => write!(f, "the proof-of-work nonce is wrong"),
            Self::ExceptionalChallenge { label } => write!(f, "challenge `{label}` hit an exceptional value"),
            Self::Root { oracle } => write!(f, "opened columns do not lie under the root of oracle {oracle}"),
            Self::LastVector => write!(f, "the relations do not hold (last vector)"),
            Self::Reply => write!(f, "the relations do not hold (masked reply)"),
            Self::Codeword { oracle } => write!(f, "the reply is not what oracle {oracle} committed to"),
            Self::Limits { what } => write!(f, "{what} exceeds the limits of this version"),
        }
    }
}

impl core::error::Error for Reject {}
