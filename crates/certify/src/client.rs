//! The light client `[Z5]` `[Z7]`: it trusts one checkpoint and follows the committees from there.

use crate::bls::{KEY_BYTES, Key};
use crate::committee::Committee;
use crate::finality::Finality;
use crate::handover::Handover;
use crate::hash::Digest;
use crate::header::Header;
use crate::refusal::Refusal;

/// What is trusted to begin with: a point of a network's history, told by somebody who is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which network.
    pub network: Digest,
    /// Epoch whose committee is named.
    pub epoch: u64,
    /// Height of a block that is final: all later epochs end above it.
    pub height: u64,
    /// Its time, milliseconds since 1970.
    pub time: u64,
    /// Digest of the epoch's committee.
    pub committee: Digest,
}
crate::spell_struct!(Checkpoint { network, epoch, height, time, committee });

impl Checkpoint {
    /// The start of a network, from its header of height 0: who knows the network knows this header.
    ///
    /// # Errors
    /// [`Refusal::Header`] for a header of another height.
    pub fn genesis(header: &Header) -> Result<Self, Refusal> {
        let &Header { network, height, epoch, time, committee, .. } = header;
        if height != 0 || epoch != 0 {
            return Err(Refusal::Header);
        }
        Ok(Self { network, epoch, height, time, committee })
    }
}

/// The present, and how long a checkpoint may be trusted. All in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Now, since 1970.
    pub now: u64,
    /// Age a checkpoint may have: shorter than the time for which bonds stay slashable.
    pub trust: u64,
    /// By how much clocks may differ.
    pub drift: u64,
}

impl Clock {
    /// That a client may begin at this checkpoint.
    ///
    /// # Errors
    /// [`Refusal::Future`], or [`Refusal::Stale`] if it is older than it may be.
    pub fn admits(&self, start: &Checkpoint) -> Result<(), Refusal> {
        self.allows(start.time)?;
        let is_young = self.now <= start.time.saturating_add(self.trust);
        is_young.then_some(()).ok_or(Refusal::Stale)
    }

    fn allows(&self, time: u64) -> Result<(), Refusal> {
        let is_past = time <= self.now.saturating_add(self.drift);
        is_past.then_some(()).ok_or(Refusal::Future)
    }
}

/// The committee of one epoch, and how far the client has come. Its clock is that of its beginning: who goes on for
/// days begins again from [`Client::checkpoint`].
#[derive(Clone, Debug)]
pub struct Client {
    network: Digest,
    height: u64,
    time: u64,
    committee: Committee,
    digest: Digest,
    keys: Vec<Key>,
    clock: Option<Clock>,
}

impl Client {
    /// Begins at a checkpoint, whose committee may come from anywhere. Without a clock nothing is said about age:
    /// that is for old certificates, where the reader decides whether the checkpoint was fresh enough in its time.
    ///
    /// # Errors
    /// [`Refusal`]: another committee, bad keys, or a checkpoint that is too old.
    pub fn new(start: &Checkpoint, committee: Committee, clock: Option<Clock>) -> Result<Self, Refusal> {
        clock.map_or(Ok(()), |clock| clock.admits(start))?;
        let digest = committee.digest();
        if digest != start.committee || committee.epoch != start.epoch {
            return Err(Refusal::Committee);
        }
        let keys = read_keys(&committee, None)?;
        let &Checkpoint { network, height, time, .. } = start;
        Ok(Self { network, height, time, committee, digest, keys, clock })
    }

    /// Goes to the next epoch. After a refusal the client is where it was.
    ///
    /// # Errors
    /// [`Refusal`] that says why the hand-over does not follow.
    pub fn follow(&mut self, step: &Handover) -> Result<(), Refusal> {
        let header = &step.header;
        self.check_header(header, &step.finality)?;
        if header.height <= self.height || header.time < self.time {
            return Err(Refusal::Backwards);
        }
        let committee = step.change.apply(&self.committee)?;
        let digest = committee.digest();
        if header.next != Some(digest) {
            return Err(Refusal::Next);
        }
        step.finality.verify(&self.network, &self.keys)?;
        self.keys = read_keys(&committee, Some((&self.committee, &self.keys)))?;
        (self.height, self.time) = (header.height, header.time);
        (self.committee, self.digest) = (committee, digest);
        Ok(())
    }

    /// That the committee of this epoch finalised a header of this epoch. The header may be below the checkpoint's
    /// height: it is the same committee.
    ///
    /// # Errors
    /// [`Refusal`] that says what does not hold.
    pub fn accept(&self, header: &Header, finality: &Finality) -> Result<(), Refusal> {
        self.check_header(header, finality)?;
        finality.verify(&self.network, &self.keys)
    }

    /// Where the client is: to be pinned, so that the way here is never walked again.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            network: self.network,
            epoch: self.committee.epoch,
            height: self.height,
            time: self.time,
            committee: self.digest,
        }
    }

    /// The committee of this epoch.
    pub fn committee(&self) -> &Committee {
        &self.committee
    }

    /// All but the signature.
    fn check_header(&self, header: &Header, finality: &Finality) -> Result<(), Refusal> {
        if header.network != self.network {
            return Err(Refusal::Network);
        }
        let known = self.committee.epoch;
        for found in [header.epoch, finality.epoch] {
            if found != known {
                return Err(Refusal::Epoch { found, known });
            }
        }
        if header.committee != self.digest {
            return Err(Refusal::Committee);
        }
        if header.digest() != finality.payload {
            return Err(Refusal::Header);
        }
        self.clock.map_or(Ok(()), |clock| clock.allows(header.time))
    }
}

/// The keys of a committee; those of seats that stay were read before.
fn read_keys(committee: &Committee, before: Option<(&Committee, &[Key])>) -> Result<Vec<Key>, Refusal> {
    let mut seen: Vec<&[u8]> = Vec::new();
    let mut keys = Vec::new();
    for (seat, place) in committee.seats.iter().zip(0usize..) {
        let bytes: &[u8] = &seat.consensus;
        let is_again = seen.contains(&bytes);
        let known = before.and_then(|(old, keys)| {
            let (number, same) = old.seat(&seat.account)?;
            keys.get(number).filter(|_| same.consensus == seat.consensus).copied()
        });
        let key = known.or_else(|| Key::read(bytes)).filter(|_| !is_again && bytes.len() == KEY_BYTES);
        keys.push(key.ok_or(Refusal::Key { seat: place })?);
        seen.push(bytes);
    }
    Ok(keys)
}
