//! What must hold for any bytes that another node sends: blocks, transactions, evidence of the engine, snapshots.
//!
//! Honest bytes are bent at random; the seed of what fails is printed. These are not fuzz targets, as the engine takes too
//! long to build for those.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use certify::hash::Digest;
use certify::wire::{Bounded, decode, encode};
use commonware_codec::{DecodeExt as _, Encode as _, EncodeSize as _, Write as _};
use commonware_consensus::simplex::types::{
    ConflictingFinalize, ConflictingNotarize, Finalization, Finalize, Notarize, Nullify, NullifyFinalize,
    Proposal,
};
use commonware_consensus::types::{Epoch, Round, View};
use commonware_cryptography::bls12381::primitives::group::Private;
use commonware_cryptography::bls12381::primitives::{ops, variant::MinSig};
use commonware_parallel::Sequential;
use commonware_utils::non_empty;
use ed25519_dalek::SigningKey;
use ledger::genesis::Founder;
use ledger::{Body, Envelope, Genesis, Lane, Parameters, Unsigned};
use zerotell_node::blobs::Blobs;
use zerotell_node::block::{BLOCK_MAX, Block, EngineDigest, engine_digest};
use zerotell_node::chain::Chain;
use zerotell_node::engine::gossiped;
use zerotell_node::hooks::{Kind, engine_evidence, engine_offence};
use zerotell_node::scheme::{Multisig, signer};
use zerotell_node::store::NodeStore;
use zerotell_node::sync;

/// Bent copies of each honest value.
const COPIES: u64 = 3000;

/// Numbers from a seed.
struct Random(blake3::OutputReader);

impl Random {
    fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }

    fn below(&mut self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % u64::try_from(limit.max(1)).unwrap()) as usize
    }

    fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }
}

/// One to four changes of honest bytes: bits, lengths, cuts, parts moved, parts put in.
fn bend(honest: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = honest.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(7) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = [0, 1, 127, 128, 255][random.below(5)],
            // A length of four bytes.
            2 if bytes.len() >= at + 4 => {
                let length = [0, 1, 1 << 16, 1 << 24, u32::MAX][random.below(5)];
                bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
            }
            3 => bytes.truncate(at),
            4 => {
                let byte = random.byte();
                bytes.insert(at, byte);
            }
            5 => {
                let end = at + random.below(bytes.len() - at);
                drop(bytes.drain(at..end));
            }
            _ => {
                let from = random.below(honest.len());
                let part = honest[from..from + random.below(honest.len() - from)].to_vec();
                drop(bytes.splice(at..at, part));
            }
        }
    }
    bytes
}

/// What holds of bent copies, and of bytes that are nothing at all.
fn for_any(honest: &[u8], copies: u64, holds: impl Fn(&[u8])) {
    holds(honest);
    for seed in 0..copies {
        let mut random = Random::new(seed);
        let bytes = if seed % 16 == 0 {
            (0..random.below(300)).map(|_| random.byte()).collect()
        } else {
            bend(honest, &mut random)
        };
        if let Err(why) = catch_unwind(AssertUnwindSafe(|| holds(&bytes))) {
            eprintln!("seed {seed}: {} bytes", bytes.len());
            resume_unwind(why);
        }
    }
}

struct World {
    chain: Chain,
    key: SigningKey,
    secret: Private,
}

impl World {
    fn new() -> Self {
        let key = SigningKey::from_bytes(&[1; 32]);
        let secret = Private::decode(Bytes::from(vec![1; 32])).unwrap();
        let founder = Founder {
            account: key.verifying_key().to_bytes(),
            consensus: Bounded::new(ops::compute_public::<MinSig>(&secret).encode().to_vec()).unwrap(),
            bond: 2_000_000_000_000,
            address: Bounded::default(),
        };
        let genesis = Genesis {
            time: 0,
            balances: Bounded::new(vec![(key.verifying_key().to_bytes(), 1_000_000_000_000)]).unwrap(),
            founders: Bounded::new(vec![founder]).unwrap(),
            parameters: Parameters::default(),
        };
        let chain = Chain::open(genesis, NodeStore::memory().unwrap(), Arc::new(Blobs::memory())).unwrap();
        Self { chain, key, secret }
    }

    fn transfer(&self, nonce: u64) -> Vec<u8> {
        let unsigned = Unsigned { network: self.chain.network, lane: Lane::Paid, nonce, fee: 1_000_000_000 };
        let body = Body::Transfer { to: [7; 32], amount: 5 };
        encode(&Envelope::sign(&self.key, unsigned, &body).unwrap())
    }

    /// A final block with two transactions, and its certificate.
    fn block(&self) -> Block {
        for nonce in 0..2 {
            self.chain.admit(&self.transfer(nonce)).unwrap();
        }
        let proposer = self.key.verifying_key().to_bytes();
        let block = self.chain.propose(&self.chain.tip(), proposer, 1000, 0).unwrap();
        assert_eq!(block.transactions.len(), 2);
        self.chain.finalise(&block, false).unwrap().unwrap();
        let votes = [Finalize::sign(&self.scheme(), proposal(7, block.id())).unwrap()];
        let whole = Finalization::from_finalizes(&self.scheme(), non_empty![@votes.iter()], &Sequential);
        self.chain.certified(1, block.id(), whole.unwrap().encode().to_vec());
        block
    }

    fn scheme(&self) -> Multisig {
        signer(&self.chain.network, &self.chain.first, self.secret.clone()).unwrap()
    }
}

fn proposal(view: u64, payload: Digest) -> Proposal<EngineDigest> {
    let round = Round::new(Epoch::new(0), View::new(view));
    Proposal { round, parent: View::new(view - 1), payload: engine_digest(payload) }
}

#[test]
fn a_block_of_any_bytes_has_one_spelling() {
    let block = World::new().block();
    for_any(&encode(&block), COPIES, |bytes| {
        let mut framed = BytesMut::new();
        bytes.to_vec().write(&mut framed);
        let carried = Block::decode(framed.freeze()).ok();
        let parsed = Block::parse(bytes).ok();
        assert_eq!(parsed, carried, "the engine's spelling is another");
        if let Some(parsed) = parsed {
            assert_eq!(encode(&parsed), bytes, "two spellings of one block");
            assert_eq!(parsed.encode().len(), parsed.encode_size());
        }
    });
    // A length alone makes nobody wait for so much memory.
    for length in [BLOCK_MAX, BLOCK_MAX + 1, u32::MAX as usize] {
        let mut claim = BytesMut::new();
        commonware_codec::varint::UInt(u32::try_from(length).unwrap()).write(&mut claim);
        claim.put_bytes(0, 10);
        assert!(Block::decode(claim.freeze()).is_err());
    }
}

#[test]
fn a_message_of_any_bytes_gives_transactions_or_nothing() {
    let world = World::new();
    let honest = vec![world.transfer(0), world.transfer(1), vec![], world.transfer(2)];
    let ids: Vec<Digest> =
        honest.iter().filter_map(|bytes| decode::<Envelope>(bytes).ok()).map(|one| one.id()).collect();
    for_any(&honest.encode(), COPIES, |bytes| {
        let Ok(list) = gossiped(Bytes::copy_from_slice(bytes)) else { return };
        assert_eq!(list.encode(), bytes, "two spellings of one message");
        for bytes in list {
            if let Ok(id) = world.chain.admit(&bytes) {
                assert!(ids.contains(&id), "what nobody signed was admitted");
            }
        }
    });
    assert_eq!(world.chain.waiting().0, 3, "what was honest in them was admitted");
}

#[test]
fn nobody_is_accused_by_bent_evidence() {
    let world = World::new();
    let scheme = world.scheme();
    let (one, other) = (proposal(7, [1; 32]), proposal(7, [2; 32]));
    let notarize = |p: &Proposal<EngineDigest>| Notarize::sign(&scheme, p.clone()).unwrap();
    let finalize = |p: &Proposal<EngineDigest>| Finalize::sign(&scheme, p.clone()).unwrap();
    let nullify = Nullify::sign::<EngineDigest>(&scheme, one.round).unwrap();
    let honest = [
        (Kind::Notarize, ConflictingNotarize::new(notarize(&one), notarize(&other)).encode()),
        (Kind::Finalize, ConflictingFinalize::new(finalize(&one), finalize(&other)).encode()),
        (Kind::Both, NullifyFinalize::new(nullify, finalize(&one)).encode()),
    ];
    let (network, committee) = (&world.chain.network, &world.chain.first);
    for (kind, bytes) in honest {
        let evidence = engine_evidence(kind, &bytes);
        let offence = engine_offence(network, &evidence, committee).expect("honest evidence holds").id;
        for_any(&evidence, 600, |bytes| {
            if let Some(found) = engine_offence(network, bytes, committee) {
                assert_eq!(found.id, offence, "another offence than was committed");
            }
        });
        assert!(engine_offence(&[9; 32], &evidence, committee).is_none(), "another network");
    }
    // The same vote twice contradicts nothing.
    let twice = [notarize(&one).encode(), notarize(&one).encode()].concat();
    assert!(engine_offence(network, &engine_evidence(Kind::Notarize, &twice), committee).is_none());
}

/// Kilobytes that this process had at most.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn no_snapshot_of_any_bytes_is_taken() {
    let world = World::new();
    world.block();
    let mut honest = Vec::new();
    let offer = sync::offer(&world.chain).unwrap().expect("the block has a certificate");
    offer
        .write(&mut |part| {
            honest.extend(part);
            true
        })
        .unwrap();
    let read = |bytes: &[u8]| {
        let store = NodeStore::memory().unwrap();
        let start = (&world.chain.checkpoint, world.chain.first.clone());
        let found = sync::read(&mut &bytes[..], &store, start, None);
        assert_eq!(found.is_ok(), !store.is_empty().unwrap());
        found
    };
    let before = peak();
    for_any(&honest, 1500, |bytes| {
        // What follows the end is not read.
        let is_whole = bytes.starts_with(&honest);
        assert_eq!(read(bytes).ok(), is_whole.then_some(1));
    });
    // Lengths that are legal and never come.
    for length in [1u32 << 20, 128 << 20, 256 << 20, u32::MAX] {
        let claim = [b"ZTSN\x01\x00".as_slice(), &length.to_le_bytes(), &[0; 100]].concat();
        assert!(read(&claim).is_err());
    }
    let grown = peak().saturating_sub(before);
    assert!(grown < 200_000, "{grown} kB were taken for what did not arrive");
}
