//! What consensus finalises `[H7]`: a short header that names everything else by digest.

use crate::hash::{Digest, Purpose, hash};
use crate::wire::{Canonical, Malformed, Reader, encode};

/// Version of the header's bytes.
pub const HEADER_VERSION: u16 = 1;

/// The header of a block. Its digest is what a finality certificate is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which network; the digest of its genesis.
    pub network: Digest,
    /// Number of the block; genesis is 0.
    pub height: u64,
    /// Epoch whose committee decides this block.
    pub epoch: u64,
    /// The proposer's clock, milliseconds since 1970. Never before the parent's.
    pub time: u64,
    /// Account of the proposer.
    pub proposer: Digest,
    /// Digest of the parent's header.
    pub parent: Digest,
    /// Digest of what the engine adds to a block, such as its view.
    pub engine: Digest,
    /// Root of the list of transactions.
    pub transactions: Digest,
    /// Root of the state after the block.
    pub state: Digest,
    /// Root of the list of outcomes, one per transaction.
    pub outcomes: Digest,
    /// Digest of the present committee.
    pub committee: Digest,
    /// In the last block of an epoch: digest of the next committee.
    pub next: Option<Digest>,
}

impl Canonical for Header {
    fn write(&self, out: &mut Vec<u8>) {
        HEADER_VERSION.write(out);
        self.network.write(out);
        for number in [self.height, self.epoch, self.time] {
            number.write(out);
        }
        let digests = [&self.proposer, &self.parent, &self.engine, &self.transactions, &self.state];
        digests.into_iter().for_each(|digest| digest.write(out));
        self.outcomes.write(out);
        self.committee.write(out);
        self.next.write(out);
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        if u16::read(from)? != HEADER_VERSION {
            return Err(Malformed::Form { what: "the header's version is not 1" });
        }
        Ok(Self {
            network: from.array()?,
            height: u64::read(from)?,
            epoch: u64::read(from)?,
            time: u64::read(from)?,
            proposer: from.array()?,
            parent: from.array()?,
            engine: from.array()?,
            transactions: from.array()?,
            state: from.array()?,
            outcomes: from.array()?,
            committee: from.array()?,
            next: Option::read(from)?,
        })
    }
}

impl Header {
    /// What consensus finalises, and the next block names as its parent.
    pub fn digest(&self) -> Digest {
        hash(Purpose::HEADER, &[&encode(self)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode;

    fn header() -> Header {
        Header {
            network: [1; 32],
            height: 2,
            epoch: 3,
            time: 4,
            proposer: [5; 32],
            parent: [6; 32],
            engine: [7; 32],
            transactions: [8; 32],
            state: [9; 32],
            outcomes: [10; 32],
            committee: [11; 32],
            next: Some([12; 32]),
        }
    }

    /// Every bit of a header is in its digest, or makes it unreadable.
    #[test]
    fn every_bit_counts() {
        let bytes = encode(&header());
        assert_eq!(bytes.len(), 315);
        assert_eq!(decode::<Header>(&bytes), Ok(header()));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = decode::<Header>(&changed) {
                assert_ne!(other.digest(), header().digest(), "bit {bit}");
            }
        }
    }
}
