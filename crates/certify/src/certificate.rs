//! The certificate file `[Z8]`: an entry of the state, under a finalised header, from a checkpoint on.

use crate::client::{Checkpoint, Client, Clock};
use crate::committee::Committee;
use crate::finality::Finality;
use crate::handover::Handover;
use crate::header::Header;
use crate::map::{MapProof, verify_present};
use crate::refusal::Refusal;
use crate::wire::{Bounded, Canonical, Malformed, Reader};

/// First bytes of the file.
pub const MAGIC: [u8; 4] = *b"ZTCF";
/// Version of the file.
pub const VERSION: u16 = 1;
/// Most bytes of a file.
pub const FILE_MAX: usize = 1 << 22;
/// Most epochs between the checkpoint and the header.
pub const HANDOVERS_MAX: usize = 4096;
/// Most bytes of a key of the state.
pub const ENTRY_KEY_MAX: usize = 1024;
/// Most bytes of a value of the state.
pub const ENTRY_VALUE_MAX: usize = 1 << 16;

/// An entry of the state and the proof that it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Namespace of the map.
    pub namespace: u8,
    /// Key within the namespace.
    pub key: Bounded<u8, ENTRY_KEY_MAX>,
    /// What the state holds there.
    pub value: Bounded<u8, ENTRY_VALUE_MAX>,
    /// The way to the state root.
    pub proof: MapProof,
}
crate::spell_struct!(Entry { namespace, key, value, proof });

/// That the network's state held an entry, checked offline from a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// What it rests on.
    pub checkpoint: Checkpoint,
    /// The checkpoint's committee; absent if the reader is known to have it.
    pub committee: Option<Committee>,
    /// From the checkpoint's epoch to the header's.
    pub handovers: Bounded<Handover, HANDOVERS_MAX>,
    /// The header whose state holds the entry.
    pub header: Header,
    /// That the header is final.
    pub finality: Finality,
    /// The entry.
    pub entry: Entry,
}

impl Canonical for Certificate {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { checkpoint, committee, handovers, header, finality, entry } = self;
        MAGIC.write(out);
        VERSION.write(out);
        checkpoint.write(out);
        committee.write(out);
        handovers.write(out);
        header.write(out);
        finality.write(out);
        entry.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        if from.left() > FILE_MAX {
            return Err(Malformed::TooLong { limit: FILE_MAX });
        }
        if from.array()? != MAGIC || u16::read(from)? != VERSION {
            return Err(Malformed::Form { what: "the file does not begin as a certificate of version 1" });
        }
        Ok(Self {
            checkpoint: Checkpoint::read(from)?,
            committee: Option::read(from)?,
            handovers: Bounded::read(from)?,
            header: Header::read(from)?,
            finality: Finality::read(from)?,
            entry: Entry::read(from)?,
        })
    }
}

impl Certificate {
    /// Checks all of it from a checkpoint that is trusted: the one that the file rests on, or one that its hand-overs
    /// pass through. Gives the client at the header's epoch: its [`checkpoint`](Client::checkpoint) may be pinned.
    ///
    /// # Errors
    /// [`Refusal`] that says what does not hold.
    pub fn check(&self, trusted: &Checkpoint, clock: Option<Clock>) -> Result<Client, Refusal> {
        self.check_along(trusted, clock, |_, _| ())
    }

    /// As [`check`](Self::check), and shows the client at every epoch from the trusted checkpoint's to the header's, with
    /// the greatest height of that epoch which the file shows. What was shown counts only if the check succeeds.
    ///
    /// # Errors
    /// [`Refusal`] that says what does not hold.
    pub fn check_along(
        &self,
        trusted: &Checkpoint,
        clock: Option<Clock>,
        mut show: impl FnMut(&Client, u64),
    ) -> Result<Client, Refusal> {
        let (committee, steps) = self.start(trusted)?;
        let mut client = Client::new(trusted, committee, clock)?;
        for step in steps {
            show(&client, step.header.height);
            client.follow(step)?;
        }
        show(&client, self.header.height);
        self.check_with(&client)?;
        Ok(client)
    }

    /// Where whoever trusts a checkpoint begins in this file: the committee that it names, and the hand-overs from there
    /// on. A file that rests on an earlier epoch of the network must pass through the checkpoint.
    ///
    /// Soundness: what stands before the trusted checkpoint is not believed, so no signature in it is looked at: those
    /// keys may be for sale by now. It only carries the committee, and a committee with another digest than the trusted one is
    /// refused, here and by [`Client::new`].
    ///
    /// # Errors
    /// [`Refusal`]: another network, a file that begins after the checkpoint or ends before its epoch, one that passes
    /// through another checkpoint, or one without a committee.
    pub fn start(&self, trusted: &Checkpoint) -> Result<(Committee, &[Handover]), Refusal> {
        let own = &self.checkpoint;
        if own.network != trusted.network {
            return Err(Refusal::Network);
        }
        let before = trusted.epoch.checked_sub(own.epoch);
        let before = before.ok_or(Refusal::Later { begins: own.epoch, trusted: trusted.epoch })?;
        let steps = usize::try_from(before).ok().and_then(|before| self.handovers.split_at_checked(before));
        let ends = own.epoch.saturating_add(u64::try_from(self.handovers.len()).unwrap_or(u64::MAX));
        let (passed, rest) = steps.ok_or(Refusal::Earlier { ends, trusted: trusted.epoch })?;
        let Some(last) = passed.last() else {
            let is_same = own == trusted;
            let committee = is_same.then(|| self.committee.clone()).ok_or(Refusal::Checkpoint)?;
            return Ok((committee.ok_or(Refusal::Committee)?, rest));
        };
        let first = self.committee.clone().ok_or(Refusal::Committee)?;
        let committee = passed.iter().try_fold(first, |committee, step| step.change.apply(&committee))?;
        let &Header { height, time, .. } = &last.header;
        let (epoch, digest) = (committee.epoch, committee.digest());
        let reached = Checkpoint { network: own.network, epoch, height, time, committee: digest };
        if reached != *trusted {
            return Err(Refusal::Checkpoint);
        }
        Ok((committee, rest))
    }

    /// Checks header and entry with a client that is at the header's epoch, whatever the file rests on.
    ///
    /// # Errors
    /// [`Refusal`] that says what does not hold.
    pub fn check_with(&self, client: &Client) -> Result<(), Refusal> {
        client.accept(&self.header, &self.finality)?;
        let Entry { namespace, key, value, proof } = &self.entry;
        verify_present(&self.header.state, *namespace, key, value, proof)?;
        Ok(())
    }
}
