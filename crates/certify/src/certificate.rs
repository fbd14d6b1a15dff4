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
    /// Checks all of it from a checkpoint that is trusted. Gives the client at the header's epoch: its
    /// [`checkpoint`](Client::checkpoint) may be pinned.
    ///
    /// # Errors
    /// [`Refusal`] that says what does not hold.
    pub fn check(&self, trusted: &Checkpoint, clock: Option<Clock>) -> Result<Client, Refusal> {
        if self.checkpoint != *trusted {
            return Err(Refusal::Checkpoint);
        }
        let committee = self.committee.clone().ok_or(Refusal::Committee)?;
        let mut client = Client::new(trusted, committee, clock)?;
        for step in self.handovers.iter() {
            client.follow(step)?;
        }
        self.check_with(&client)?;
        Ok(client)
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
