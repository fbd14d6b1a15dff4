//! A way `[Z10]`: what a node gives whoever is at an epoch and wants to go on from there.

use crate::certificate::{FILE_MAX, HANDOVERS_MAX};
use crate::committee::Committee;
use crate::handover::Handover;
use crate::wire::{Bounded, Canonical, Malformed, Reader};

/// The committee of an epoch, and hand-overs from it on. It vouches for nothing: a client begins at a checkpoint of that
/// epoch and follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Of the epoch that was asked for.
    pub committee: Committee,
    /// One per epoch from then on; none where that epoch lasts.
    pub handovers: Bounded<Handover, HANDOVERS_MAX>,
}

impl Canonical for Way {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { committee, handovers } = self;
        committee.write(out);
        handovers.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        if from.left() > FILE_MAX {
            return Err(Malformed::TooLong { limit: FILE_MAX });
        }
        Ok(Self { committee: Committee::read(from)?, handovers: Bounded::read(from)? })
    }
}
