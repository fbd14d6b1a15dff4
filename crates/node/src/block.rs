//! A block as the engine carries it: the ledger's header and the transactions under it `[U8]`.

use certify::hash::Digest;
use certify::wire::{Bounded, decode, encode};
use certify::{Header, list, spell_struct};
use commonware_codec::{Buf, EncodeSize, Error as CodecError, RangeCfg, Read, Write};
use commonware_consensus::types::Height;
use commonware_consensus::{Block as EngineBlock, BoundedBlock, Heightable};
use commonware_cryptography::{Digestible, sha256};
use commonware_runtime::BufMut;
use ledger::transaction::TRANSACTION_MAX;
use ledger::{Body, Envelope};

use crate::blobs::program_name;

/// Most transactions of a block.
pub const TRANSACTIONS_MAX: usize = 4096;
/// Most bytes of a block.
pub const BLOCK_MAX: usize = 8 << 20;

/// A transaction's bytes.
pub type Transaction = Bounded<u8, TRANSACTION_MAX>;

/// The digest type of the engine's interface; the bytes are those of the header's digest (`[H7]`).
pub type EngineDigest = sha256::Digest;

/// Bytes that a transaction names by their digest: they travel by themselves `[U7]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// A dossier or a step, by its hash.
    Proof(Digest),
    /// A program, by its digest.
    Program(Digest),
}

impl Named {
    /// What a transaction names; nothing if it names nothing, or is none.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let envelope: Envelope = decode(bytes).ok()?;
        Self::by(&decode(&envelope.body).ok()?)
    }

    /// What a transaction's body names.
    #[must_use]
    pub fn by(body: &Body) -> Option<Self> {
        match body {
            Body::SubmitRecord { submission } => Some(Self::Proof(submission.proof)),
            Body::AdvanceEpoch { step } => Some(Self::Proof(step.proof)),
            Body::RegisterModel { program, .. } => Some(Self::Program(*program)),
            _ => None,
        }
    }

    /// What its bytes are called.
    #[must_use]
    pub fn name(self) -> Digest {
        match self {
            Self::Proof(hash) => hash,
            Self::Program(digest) => program_name(&digest),
        }
    }
}

/// A header and its transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What consensus finalises.
    pub header: Header,
    /// What it says happened.
    pub transactions: Bounded<Transaction, TRANSACTIONS_MAX>,
}
spell_struct!(Block { header, transactions });

impl Block {
    /// Digest of the header.
    #[must_use]
    pub fn id(&self) -> Digest {
        self.header.digest()
    }

    /// Reads a block; its transactions are those that the header names.
    ///
    /// # Errors
    /// Bytes that are not the one spelling of a block.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        if bytes.len() > BLOCK_MAX {
            return Err("the block is too large");
        }
        let block: Self = decode(bytes).map_err(|_| "the block is not well formed")?;
        let named: Vec<&[u8]> = block.transactions.iter().map(|bytes| &bytes[..]).collect();
        if list::root(&named) != block.header.transactions {
            return Err("the transactions are not those that the header names");
        }
        Ok(block)
    }
}

/// The engine's digest of these bytes.
#[must_use]
pub fn engine_digest(digest: Digest) -> EngineDigest {
    sha256::Digest(digest)
}

impl Write for Block {
    fn write(&self, buf: &mut impl BufMut) {
        encode(self).write(buf);
    }
}

impl EncodeSize for Block {
    fn encode_size(&self) -> usize {
        encode(self).encode_size()
    }
}

impl Read for Block {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, CodecError> {
        let bytes = Vec::<u8>::read_cfg(buf, &(RangeCfg::new(0..=BLOCK_MAX), ()))?;
        Self::parse(&bytes).map_err(|why| CodecError::Invalid("Block", why))
    }
}

impl Digestible for Block {
    type Digest = EngineDigest;

    fn digest(&self) -> EngineDigest {
        engine_digest(self.id())
    }
}

impl Heightable for Block {
    fn height(&self) -> Height {
        Height::new(self.header.height)
    }
}

impl EngineBlock for Block {
    fn parent(&self) -> EngineDigest {
        engine_digest(self.header.parent)
    }
}

impl BoundedBlock for Block {
    fn max_encode_size((): &()) -> usize {
        BLOCK_MAX + 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use commonware_codec::{DecodeExt as _, Encode as _};

    fn block() -> Block {
        let transactions = [vec![1, 2], vec![3]].map(|bytes| Bounded::new(bytes).unwrap()).to_vec();
        let named: Vec<&[u8]> = transactions.iter().map(|bytes| &bytes[..]).collect();
        let header = Header {
            network: [1; 32],
            height: 7,
            epoch: 0,
            time: 8,
            proposer: [2; 32],
            parent: [3; 32],
            engine: [0; 32],
            transactions: list::root(&named),
            state: [4; 32],
            outcomes: [5; 32],
            committee: [6; 32],
            next: None,
        };
        Block { header, transactions: Bounded::new(transactions).unwrap() }
    }

    #[test]
    fn a_block_has_one_spelling_and_its_own_transactions() {
        let block = block();
        let bytes = block.encode();
        assert_eq!(Block::decode(bytes.clone()).unwrap(), block);
        for at in 0..bytes.len() {
            let mut other = bytes.to_vec();
            other[at] ^= 1;
            assert_ne!(Block::decode(bytes::Bytes::from(other)).ok().as_ref(), Some(&block), "byte {at}");
        }
        let mut other = block.clone();
        other.transactions.push(Bounded::new(vec![9]).unwrap()).unwrap();
        assert!(Block::parse(&certify::encode(&other)).is_err());
        assert_eq!(other.id(), block.id(), "the digest is the header's alone");
    }
}
