//! Why a certificate is refused: one text per reason.

use core::fmt;

use crate::map::MapRefusal;
use crate::wire::Malformed;

/// What does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The bytes are no spelling.
    Malformed(Malformed),
    /// It is about another network.
    Network,
    /// The epochs of finality, header and client are not the same.
    Epoch {
        /// The epoch found.
        found: u64,
        /// The one whose committee is known.
        known: u64,
    },
    /// The header or the checkpoint names another committee than the one that is known.
    Committee,
    /// A key of the committee is no point of the group, or two seats have the same.
    Key {
        /// Number of the seat.
        seat: usize,
    },
    /// The signers are counted among another number of seats.
    Seats {
        /// Seats of the certificate.
        found: usize,
        /// Seats of the committee.
        committee: usize,
    },
    /// Too few signed.
    Quorum {
        /// Signers.
        found: u32,
        /// Signers needed.
        needed: u32,
    },
    /// The signature does not fit keys, network and header.
    Signature,
    /// What was finalised is another header.
    Header,
    /// The header names no next committee, or another one.
    Next,
    /// Height or time go back.
    Backwards,
    /// The certificate neither rests on the trusted checkpoint nor passes through it.
    Checkpoint,
    /// The certificate begins after the trusted checkpoint: what led there is missing.
    Later {
        /// The epoch it rests on.
        begins: u64,
        /// The epoch of the trusted checkpoint.
        trusted: u64,
    },
    /// The certificate ends before the trusted checkpoint's epoch: its committee says nothing of earlier headers.
    Earlier {
        /// The epoch its hand-overs lead to.
        ends: u64,
        /// The epoch of the trusted checkpoint.
        trusted: u64,
    },
    /// The checkpoint is older than the trust period: its committee may have withdrawn its stake.
    Stale,
    /// A header's time is after the clock.
    Future,
    /// The entry is not shown to be there.
    Entry(MapRefusal),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "these bytes are no certificate: {why}"),
            Self::Network => write!(f, "the certificate is of another network"),
            Self::Epoch { found, known } => write!(
                f,
                "the header is of epoch {found}, but the committee known is that of epoch {known}: add the hand-overs \
                 between them, or start from a checkpoint of that epoch"
            ),
            Self::Committee => write!(f, "the committee is not the one that header or checkpoint names"),
            Self::Key { seat } => write!(f, "seat {seat} has a key that is no key, or that of another seat"),
            Self::Seats { found, committee } => {
                write!(f, "the signers are counted among {found} seats, the committee has {committee}")
            }
            Self::Quorum { found, needed } => write!(f, "{found} seats signed, {needed} are needed"),
            Self::Signature => {
                write!(f, "the signature does not fit the committee, the network and the header")
            }
            Self::Header => write!(f, "what the committee finalised is another header"),
            Self::Next => write!(f, "the header does not name this committee as the next"),
            Self::Backwards => write!(f, "height or time is before that of the checkpoint"),
            Self::Checkpoint => {
                write!(f, "the certificate neither rests on the trusted checkpoint nor passes through it")
            }
            Self::Later { begins, trusted } => write!(
                f,
                "the certificate begins in epoch {begins}, the trusted checkpoint is of epoch {trusted}: fetch it from \
                 epoch {trusted} on, or trust a checkpoint of epoch {begins} or later"
            ),
            Self::Earlier { ends, trusted } => write!(
                f,
                "the certificate is of epoch {ends}, before the trusted checkpoint's epoch {trusted}, whose committee \
                 vouches for nothing earlier: fetch it anew, for records stay in the state"
            ),
            Self::Stale => write!(
                f,
                "the checkpoint is older than the trust period: get a newer one from a trusted source"
            ),
            Self::Future => write!(f, "the header's time is in the future: compare this machine's clock"),
            Self::Entry(why) => write!(f, "{why}"),
        }
    }
}

impl core::error::Error for Refusal {}

impl From<Malformed> for Refusal {
    fn from(why: Malformed) -> Self {
        Self::Malformed(why)
    }
}

impl From<MapRefusal> for Refusal {
    fn from(why: MapRefusal) -> Self {
        Self::Entry(why)
    }
}
