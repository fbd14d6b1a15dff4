//! A validator that was not there at genesis: it bonds, is let in, gets its seat and signs; and a founder that leaves.
//!
//! Who is connected follows from what the first validator's node makes of the final state, as over TCP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use certify::finality::Finality;
use certify::hash::Digest;
use certify::wire::{Bounded, encode};
use commonware_codec::Encode as _;
use commonware_cryptography::bls12381::primitives::{ops, variant::MinSig};
use commonware_p2p::{Manager as _, TrackedPeers};
use commonware_utils::ordered::Set;
use ledger::{Body, Envelope, Lane, Parameters, Unsigned};
use zerotell_node::chain::{Chain, Finalised};
use zerotell_node::peers::{Known, Tracker};
use zerotell_node::scheme::Committees as _;

use crate::world::{After, BOND, Done, Started, World};
use crate::{plan, seeds};

const NEWCOMER: usize = 4;
const LEAVER: usize = 2;
/// Height with which the newcomer's bond is brought to the first validator.
const BONDS: u64 = 10;
/// And the leaver's withdrawal.
const LEAVES: u64 = 60;

fn account(world: &World, index: usize) -> Digest {
    world.keys[index].verifying_key().to_bytes()
}

fn sign(world: &World, index: usize, body: &Body) -> Vec<u8> {
    let unsigned =
        Unsigned { network: world.genesis.network(), lane: Lane::Paid, nonce: 0, fee: 1_000_000_000 };
    encode(&Envelope::sign(&world.keys[index], unsigned, body).unwrap())
}

/// As much as the others, with the key that its node votes with.
fn bond(world: &World) -> Vec<u8> {
    let secret = &world.secrets[NEWCOMER];
    let (network, account) = (world.genesis.network(), account(world, NEWCOMER));
    let namespace = certify::bls::possession_namespace(&network, &account);
    let possession = ops::sign_proof_of_possession::<MinSig>(secret, &namespace);
    let body = Body::Bond {
        amount: BOND,
        consensus: Bounded::new(ops::compute_public::<MinSig>(secret).encode().to_vec()).unwrap(),
        possession: Bounded::new(possession.encode().to_vec()).unwrap(),
        address: Bounded::new(b"192.0.2.5:7100".to_vec()).unwrap(),
    };
    sign(world, NEWCOMER, &body)
}

/// Five validators, of whom four are founders.
fn four_and_one() -> World {
    let mut world = World::new(5, &[], Parameters { trace_blocks: 20, ..World::usual() });
    let mut founders = world.genesis.founders.clone().into_vec();
    let removed = founders.remove(NEWCOMER);
    assert_eq!(removed.account, account(&world, NEWCOMER));
    world.genesis.founders = Bounded::new(founders).unwrap();
    world
}

/// Height of the newcomer when its bond was brought.
type Alone = Arc<Mutex<Option<u64>>>;

/// Has the first validator's node say who is connected, and brings transactions to it at these heights.
fn watch(world: &mut World, brings: BTreeMap<u64, Vec<u8>>) -> Alone {
    let (first, me) = (account(world, 0), world.peers()[0].clone());
    let alone = Alone::default();
    let (seen, others) = (alone.clone(), Arc::new(Mutex::new(BTreeMap::<usize, Arc<Chain>>::new())));
    world.watch = Some(Arc::new(move |started: Started| -> After {
        let Started { index, chain, outbox, mut manager } = started;
        others.lock().unwrap().insert(index, chain.clone());
        if index != 0 {
            return Arc::new(|_: &Finalised| {});
        }
        let known = Known { me: first, named: BTreeMap::new(), private: true, room: 16 };
        let me = me.clone();
        let mut tracker = Tracker::new(chain, known, move |number, peers| {
            let primary = peers.primary.into_keys().into_iter().chain([me.clone()]);
            let (primary, secondary) = (Set::from_iter_dedup(primary), peers.secondary.into_keys());
            manager.track(number, TrackedPeers::new(primary, secondary));
        });
        tracker.look().unwrap();
        let (tracker, brings) = (Mutex::new(tracker), brings.clone());
        let (seen, others) = (seen.clone(), others.clone());
        Arc::new(move |block: &Finalised| {
            tracker.lock().unwrap().after(block).unwrap();
            let height = block.header.height;
            if height == BONDS {
                let others = others.lock().unwrap();
                *seen.lock().unwrap() = others.get(&NEWCOMER).map(|chain| chain.tip().height);
            }
            outbox.add(brings.get(&height).cloned());
        })
    }));
    alone
}

/// Height of the block that has a transaction.
fn height_of(chain: &Chain, transaction: &[u8]) -> u64 {
    let has = |height: &u64| {
        let block = chain.block(*height).unwrap().unwrap();
        block.transactions.iter().any(|bytes| bytes[..] == *transaction)
    };
    (1..=chain.tip().height).find(has).expect("it is in a block")
}

/// The newcomer has its seat from the epoch on that the ledger says, proposes in it, and signs what is final.
fn has_joined(world: &World, chain: &Chain) {
    let newcomer = account(world, NEWCOMER);
    let length = world.genesis.parameters.epoch_blocks;
    let epoch = height_of(chain, &bond(world)) / length + 1;
    for before in 0..epoch {
        assert!(chain.committee(before).unwrap().seat(&newcomer).is_none(), "a seat in epoch {before}");
    }
    let committee = chain.committee(epoch).unwrap();
    let (seat, found) = committee.seat(&newcomer).expect("a seat");
    assert_eq!((committee.seats.len(), found.stake), (5, BOND));
    let proposed = |height: &u64| chain.block(*height).unwrap().unwrap().header.proposer == newcomer;
    let first = (1..=chain.tip().height).find(proposed).expect("it proposes");
    assert!(first >= epoch * length, "it proposed block {first}");
    assert!(first < (epoch + 1) * length, "it let a whole epoch pass");
    let signed = |height: u64| {
        let found = chain.finality(height).unwrap();
        let found = found.map(|bytes| certify::decode::<Finality>(&bytes).unwrap());
        found.is_some_and(|found| found.epoch == epoch && found.has_signed(u32::try_from(seat).unwrap()))
    };
    assert!((epoch * length..(epoch + 1) * length).any(signed), "it signs nothing");
}

#[test]
fn a_newcomer_bonds_is_let_in_and_takes_its_seat() {
    for seed in seeds() {
        let mut world = four_and_one();
        let alone = watch(&mut world, BTreeMap::from([(BONDS, bond(&four_and_one()))]));
        plan(&world, seed, 130, &[]).run().unwrap();
        assert_eq!(*alone.lock().unwrap(), Some(0), "who has no bond hears nothing");
        for index in 0..5 {
            has_joined(&world, &world.chain(index));
        }
    }
}

/// A founder takes its bond out: it has no seat in the next epoch, is let in while it may owe verdicts, and not after that;
/// the others go on, the newcomer among them.
#[test]
fn a_founder_leaves_and_the_others_go_on() {
    for seed in seeds() {
        let mut world = four_and_one();
        let out = sign(&world, LEAVER, &Body::Unbond { amount: BOND });
        let brings = BTreeMap::from([(BONDS, bond(&world)), (LEAVES, out.clone())]);
        watch(&mut world, brings);
        plan(&world, seed, 180, &[])
            .exit_condition(Done { validators: 5, least: 4, height: 180 })
            .run()
            .unwrap();
        let leaver = account(&world, LEAVER);
        let length = world.genesis.parameters.epoch_blocks;
        for index in (0..5).filter(|index| *index != LEAVER) {
            let chain = world.chain(index);
            has_joined(&world, &chain);
            let last = height_of(&chain, &out) / length;
            let has_seat = |epoch| chain.committee(epoch).unwrap().seat(&leaver).is_some();
            assert!(has_seat(last) && !has_seat(last + 1));
            assert_eq!(chain.committee(last + 1).unwrap().seats.len(), 4);
        }
        let (left, others) = (world.chain(LEAVER), world.chain(0));
        let last = (height_of(&others, &out) / length + 1) * length;
        // It could show what it owed for 28 blocks, and hears nothing more after that.
        let end = left.tip().height;
        assert!((last + 20..180).contains(&end), "it came to block {end}");
        assert_eq!(left.tip(), others.block(end).unwrap().unwrap().header);
    }
}
