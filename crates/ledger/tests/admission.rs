//! Every step of admission, in its order, and the pool.

mod world;

use certify::{Bounded, encode};
use world::{World, digest, key};
use zerotell_ledger::entry::Present;
use zerotell_ledger::pool::Pool;
use zerotell_ledger::transaction::{Accusation, TRANSACTION_MAX};
use zerotell_ledger::{
    BlockRefusal, Body, Envelope, Fault, Lane, Parameters, Refusal, Stop, Unsigned, account_of, execute,
};

fn refusal(world: &World, transaction: &[u8]) -> Refusal {
    let list = [transaction.to_vec()];
    match execute(&world.store, &world.facts, world.context(), &list) {
        Err(BlockRefusal::Transaction { refusal, index: 0 }) => refusal,
        other => panic!("{:?}", other.map(|executed| executed.outcomes)),
    }
}

fn envelope(world: &World, body: &Body) -> Envelope {
    certify::decode(&world.transaction("b", body)).unwrap()
}

fn resigned(mut envelope: Envelope, name: &str) -> Vec<u8> {
    use ed25519_dalek::Signer;
    envelope.signature = key(name).sign(&envelope.id()).to_bytes();
    encode(&envelope)
}

/// Each transaction fails its step and all later ones; the first failure is the one that is named.
#[test]
fn steps_come_in_their_order() {
    let mut world = World::new(&[1_000; 4]);
    let mut submission = world.submission();
    submission.program = digest("unregistered");
    let body = Body::SubmitRecord { submission: submission.clone() };
    let base = Envelope { fee: u64::MAX, nonce: 5, ..envelope(&world, &body) };
    let garbage = Envelope { body: Bounded::new(vec![99; 40]).unwrap(), ..base.clone() };

    let huge = vec![0; TRANSACTION_MAX + 1];
    assert_eq!(refusal(&world, &huge), Refusal::Size { limit: TRANSACTION_MAX, found: TRANSACTION_MAX + 1 });
    assert!(matches!(refusal(&world, &[1, 0, 3]), Refusal::Envelope(_)));
    let elsewhere = Envelope { network: [7; 32], ..garbage.clone() };
    assert_eq!(refusal(&world, &resigned(elsewhere, "b")), Refusal::Network);
    assert_eq!(refusal(&world, &resigned(garbage.clone(), "c")), Refusal::Signature);
    assert_eq!(refusal(&world, &resigned(garbage.clone(), "b")), Refusal::Nonce { expected: 0, found: 5 });
    let garbage = Envelope { nonce: 0, ..garbage };
    let funds = Refusal::Funds { balance: 1_000_000_000_000, fee: u64::MAX };
    assert_eq!(refusal(&world, &resigned(garbage.clone(), "b")), funds);
    let garbage = Envelope { fee: 1, ..garbage };
    assert!(matches!(refusal(&world, &resigned(garbage, "b")), Refusal::Body(_)));
    let base = Envelope { nonce: 0, fee: 1, ..base };
    assert_eq!(refusal(&world, &resigned(base.clone(), "b")), Refusal::UnknownProgram);
    submission.program = digest(world::PROGRAM);
    let known = Body::SubmitRecord { submission };
    let cheap = Envelope { body: Bounded::new(encode(&known)).unwrap(), ..base };
    assert!(matches!(refusal(&world, &resigned(cheap, "b")), Refusal::Price { fee: 1, .. }));
    world.must("b", &known);
    assert_eq!(world.one("b", &known), Err(Refusal::DuplicateStatement));
}

#[test]
fn a_submission_is_refused_for_each_reason() {
    let mut world =
        World::with(&[1_000; 4], Parameters { in_flight: 2, ..World::new(&[1_000]).genesis.parameters });
    let first = world.submission();
    world.must("b", &Body::SubmitRecord { submission: first.clone() });
    let mut again = world.submission();
    again.nullifier = first.nullifier;
    assert_eq!(world.one("b", &Body::SubmitRecord { submission: again }), Err(Refusal::DuplicateNullifier));
    let mut old = world.submission();
    old.verifier = 2;
    assert_eq!(
        world.one("b", &Body::SubmitRecord { submission: old }),
        Err(Refusal::Verifier { expected: 1 })
    );
    let mut empty = world.submission();
    empty.proof_bytes = 0;
    assert!(matches!(world.one("b", &Body::SubmitRecord { submission: empty }), Err(Refusal::Field { .. })));
    let (second, third) = (world.submission(), world.submission());
    world.must("b", &Body::SubmitRecord { submission: second });
    let third = Body::SubmitRecord { submission: third };
    assert_eq!(world.one("b", &third), Err(Refusal::InFlight { limit: 2 }));
    world.rest();
    world.must("b", &third);
}

/// A rejected record uses up no nullifier: a stranger cannot spoil an owner's by being first with a bad proof.
#[test]
fn a_stolen_nullifier_costs_the_thief() {
    let mut world = World::new(&[1_000; 4]);
    let honest = world.submission();
    let mut stolen = world.submission();
    stolen.nullifier = honest.nullifier;
    world.truth.bad.insert(stolen.statement, 4);
    world.must("c", &Body::SubmitRecord { submission: stolen });
    assert!(world.one("b", &Body::SubmitRecord { submission: honest.clone() }).is_err());
    world.rest();
    world.must("b", &Body::SubmitRecord { submission: honest });
}

#[test]
fn signatures_are_worth_nothing_on_another_network() {
    let world = World::new(&[1_000; 4]);
    let other = World::new(&[1_001; 4]);
    let transaction = world.transaction("b", &Body::Transfer { to: [1; 32], amount: 5 });
    assert_eq!(refusal(&other, &transaction), Refusal::Network);
    let moved: Envelope = certify::decode(&transaction).unwrap();
    let moved = Envelope { network: other.genesis.network(), ..moved };
    assert_eq!(refusal(&other, &encode(&moved)), Refusal::Signature);
}

/// Keys of small order verify many messages with one signature; none of them is an account.
#[test]
fn weak_keys_are_refused() {
    let world = World::new(&[1_000; 4]);
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut order_two = [0xff; 32];
    (order_two[0], order_two[31]) = (0xec, 0x7f);
    for sender in [identity, [0; 32], order_two] {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&identity);
        let weak = Envelope { sender, signature, ..envelope(&world, &Body::Unbond { amount: 1 }) };
        assert_eq!(refusal(&world, &encode(&weak)), Refusal::Signature);
    }
}

/// A signature has one spelling: s + L is refused.
#[test]
fn signatures_cannot_be_bent() {
    let world = World::new(&[1_000; 4]);
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bent = envelope(&world, &Body::Transfer { to: [1; 32], amount: 5 });
    let mut carry = 0;
    for (byte, add) in bent.signature[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(refusal(&world, &encode(&bent)), Refusal::Signature);
}

#[test]
fn lanes_are_kept() {
    let world = World::new(&[1_000; 4]);
    let unsigned = Unsigned { network: world.genesis.network(), lane: Lane::Paid, nonce: 0, fee: 400_000 };
    let commit = Body::CommitVerdicts { round: 0, commitment: [0; 32] };
    let transaction = encode(&Envelope::sign(&key("b"), unsigned, &commit).unwrap());
    assert_eq!(refusal(&world, &transaction), Refusal::Lane);
}

/// What fails after it was admitted is paid for, and changes nothing else.
#[test]
fn failures_are_paid_for() {
    let mut world = World::new(&[1_000; 4]);
    let before = (world.balance("b"), world.balance("c"));
    let to = world.account("c");
    assert_eq!(world.one("b", &Body::Transfer { to, amount: u64::MAX }), Ok(1));
    assert_eq!(world.one("b", &Body::Transfer { to, amount: 0 }), Ok(2));
    assert_eq!((world.balance("b"), world.balance("c")), (before.0 - 800_000, before.1));
    // All but the fee can go; a unit more cannot.
    let rest = world.balance("b") - 400_000;
    assert_eq!(world.one("b", &Body::Transfer { to, amount: rest + 1 }), Ok(1));
    assert_eq!(world.one("b", &Body::Transfer { to, amount: rest - 400_000 }), Ok(0));
    assert_eq!(world.balance("b"), 0);
    let own = world.account("c");
    let before = world.balance("c");
    world.must("c", &Body::Transfer { to: own, amount: 7 });
    assert_eq!(before - world.balance("c"), 400_000);
}

/// What fits no block is not taken into the pool: it would wait there for ever, and never pay.
#[test]
fn what_fits_no_block_is_refused() {
    let world = World::new(&[1_000; 4]);
    let most = world.genesis.parameters.block_work - world.genesis.parameters.transaction_work;
    let register = |work| Body::RegisterModel {
        model: digest("m"),
        program: digest("second"),
        program_bytes: 5_000,
        work,
        weights: digest("w"),
    };
    let add = |body: &Body| {
        Pool::new(1 << 20).add(&world.state(), &world.sign("b", 0, 40_000_000, body)).map(|_| ())
    };
    assert_eq!(add(&register(most)), Ok(()));
    assert_eq!(add(&register(most + 1)), Err(Stop::Refused(Refusal::BlockFull)));
}

/// Cryptography is paid for before it is done.
#[test]
fn dear_kinds_cost_more() {
    let world = World::new(&[1_000; 4]);
    let price = |body: &Body| match world.choose_price("b", body) {
        Err(Stop::Refused(Refusal::Price { price, .. })) => price,
        other => panic!("{other:?}"),
    };
    let bond = |consensus| Body::Bond {
        amount: 0,
        consensus,
        possession: Bounded::default(),
        address: Bounded::default(),
    };
    let plain = price(&bond(Bounded::default()));
    let keyed = price(&bond(world::consensus(&world.account("b"))));
    let work = world.state().get::<zerotell_ledger::entry::Present>(&()).unwrap().unwrap().work_price;
    assert!(keyed >= plain + 4_000 * work, "{keyed}");
    let accuse = |accusation| price(&Body::Evidence { accusation });
    let engine = accuse(Accusation::Engine { epoch: 0, evidence: Bounded::default() });
    assert!(engine >= 7_000 * work, "four keys and two signatures: {engine}");
}

#[test]
fn bytes_that_have_not_arrived_are_a_fault_and_keep_no_other_out() {
    let mut world = World::new(&[1_000; 4]);
    world.facts.missing.insert(digest("second"));
    let body = Body::RegisterModel {
        model: digest("m"),
        program: digest("second"),
        program_bytes: 5_000,
        work: 5_000,
        weights: digest("w"),
    };
    let waiting = world.transaction("b", &body);
    let list = [waiting.clone()];
    let stopped = execute(&world.store, &world.facts, world.context(), &list);
    assert_eq!(stopped, Err(BlockRefusal::Fault(Fault::World { what: "the program" })));
    let other = world.transaction("c", &Body::Transfer { to: [1; 32], amount: 1 });
    assert_eq!(world.choose(&[waiting, other]), vec![1]);
}

#[test]
fn blocks_follow_each_other() {
    let world = World::new(&[1_000; 4]);
    let good = world.context();
    let contexts = [
        zerotell_ledger::Context { height: good.height + 1, ..good },
        zerotell_ledger::Context { time: world.tip.time - 1, ..good },
        zerotell_ledger::Context { proposer: world.account("a"), ..good },
    ];
    for context in contexts {
        let refused = execute::<Vec<u8>>(&world.store, &world.facts, context, &[]);
        assert!(matches!(refused, Err(BlockRefusal::Context { .. })), "{refused:?}");
    }
    assert!(execute::<Vec<u8>>(&world.store, &world.facts, good, &[]).is_ok());
}

#[test]
fn the_pool_orders_replaces_and_forgets() {
    let mut world = World::new(&[1_000; 4]);
    let mut pool = Pool::new(3_000);
    let transfer = |amount| Body::Transfer { to: [9; 32], amount };
    let (cheap, dear) = (world.sign("b", 0, 50_000, &transfer(1)), world.sign("c", 0, 90_000, &transfer(2)));
    pool.add(&world.state(), &cheap).unwrap();
    pool.add(&world.state(), &dear).unwrap();
    let next = world.sign("b", 1, 800_000, &transfer(3));
    pool.add(&world.state(), &next).unwrap();
    // The best paid of all must wait for its elder.
    assert_eq!(pool.candidates(&world.state()).unwrap(), [dear.clone(), cheap, next.clone()]);
    let gap = world.sign("b", 3, 800_000, &transfer(3));
    assert_eq!(pool.add(&world.state(), &gap), Err(Stop::Refused(Refusal::Nonce { expected: 2, found: 3 })));
    let slightly = world.sign("b", 0, 54_999, &transfer(4));
    let refused = Err(Stop::Refused(Refusal::Replacement { least: 55_000 }));
    assert_eq!(pool.add(&world.state(), &slightly), refused);
    let better = world.sign("b", 0, 95_000, &transfer(4));
    pool.add(&world.state(), &better).unwrap();
    assert_eq!(pool.candidates(&world.state()).unwrap(), [better, next, dear]);
    // Fees of all that wait must be covered together.
    let balance = account_of(&world.state(), &world.account("b")).unwrap().balance;
    let greedy = world.sign("b", 2, balance - 800_000, &transfer(1));
    assert!(matches!(pool.add(&world.state(), &greedy), Err(Stop::Refused(Refusal::Funds { .. }))));
    // A full pool gives up the worst paid for a better paid one, and for no other.
    while pool.size() + 300 < 3_000 {
        let nonce = pool.len() as u64 - 1;
        pool.add(&world.state(), &world.sign("b", nonce, 1_000_000, &transfer(1))).unwrap();
    }
    let most = pool.len();
    for name in ["a"] {
        let poor = world.sign(name, 1, 20_000, &transfer(5));
        let rich = world.sign(name, 1, 2_000_000, &transfer(5));
        while pool.size() + rich.len() <= 3_000 {
            let nonce = pool.len() as u64 - 1;
            pool.add(&world.state(), &world.sign("b", nonce, 1_000_000, &transfer(1))).unwrap();
        }
        assert_eq!(pool.add(&world.state(), &poor), Err(Stop::Refused(Refusal::PoolFull)));
        pool.add(&world.state(), &rich).unwrap();
    }
    assert!(pool.len() >= most && pool.size() <= 3_000);
    let candidates = pool.candidates(&world.state()).unwrap();
    let taken = world.choose(&candidates);
    assert!(taken.len() >= 3);
    pool.settle(&world.state(), |_| true).unwrap();
    assert_eq!(pool.len(), candidates.len() - taken.len());
}

/// What can never be in a block any more makes way, and what follows it too.
#[test]
fn the_pool_drops_what_has_become_impossible() {
    let mut world = World::new(&[1_000; 4]);
    let mut pool = Pool::new(100_000);
    let submission = world.submission();
    let body = Body::SubmitRecord { submission: submission.clone() };
    pool.add(&world.state(), &world.sign("b", 0, 400_000, &body)).unwrap();
    pool.add(&world.state(), &world.sign("b", 1, 400_000, &Body::Unbond { amount: 1 })).unwrap();
    let other = world.sign("c", 0, 400_000, &Body::Unbond { amount: 1 });
    pool.add(&world.state(), &other).unwrap();
    // All three ask for the room of their bytes, and the record for that of its proof.
    let proof = u64::from(submission.proof_bytes);
    let waiting: usize = pool.candidates(&world.state()).unwrap().iter().map(Vec::len).sum();
    let (work, bytes) = pool.asks();
    assert_eq!(bytes, waiting as u64 + proof);
    assert!(work > 3 * world.genesis.parameters.transaction_work);
    // Somebody else submits the same record.
    world.must("a", &body);
    pool.settle(&world.state(), |_| true).unwrap();
    assert_eq!(pool.len(), 1);
    assert_eq!(pool.candidates(&world.state()).unwrap(), std::slice::from_ref(&other));
    assert_eq!(pool.asks(), (world.genesis.parameters.transaction_work, other.len() as u64));
}

/// Room is given only to what can still be paid for: one record per statement and nullifier, no fee twice.
#[test]
fn the_pool_gives_no_room_for_nothing() {
    let mut world = World::new(&[1_000; 4]);
    let mut pool = Pool::new(100_000);
    let first = world.submission();
    let body = |submission: &zerotell_ledger::transaction::Submission| Body::SubmitRecord {
        submission: submission.clone(),
    };
    let add = |pool: &mut Pool, bytes: &[u8]| pool.add(&world.state(), bytes).map(|_| ());
    let refused = |refusal| Err(Stop::Refused(refusal));
    add(&mut pool, &world.sign("a", 1, 400_000, &body(&first))).unwrap();
    add(&mut pool, &world.sign("a", 2, 400_000, &Body::Unbond { amount: 1 })).unwrap();
    // The same record, or its nullifier, from somebody else: not without a tenth more.
    let other = zerotell_ledger::transaction::Submission { statement: digest("other"), ..first.clone() };
    for (submission, refusal) in
        [(&first, Refusal::DuplicateStatement), (&other, Refusal::DuplicateNullifier)]
    {
        assert_eq!(add(&mut pool, &world.sign("b", 0, 439_999, &body(submission))), refused(refusal));
    }
    let again = world.sign("a", 3, 900_000, &body(&first));
    assert_eq!(add(&mut pool, &again), refused(Refusal::DuplicateStatement), "one's own");
    add(&mut pool, &world.sign("b", 0, 440_000, &body(&other))).unwrap();
    assert_eq!(pool.len(), 1, "what it replaced is gone, and what followed that");
    add(&mut pool, &world.sign("c", 0, 400_000, &body(&first))).unwrap_err();
    // What is given away is not there for fees.
    let balance = account_of(&world.state(), &world.account("c")).unwrap().balance;
    let give = |amount| Body::Transfer { to: [9; 32], amount };
    add(&mut pool, &world.sign("c", 0, 50_000, &give(balance - 150_000))).unwrap();
    let unfunded = world.sign("c", 1, 100_001, &give(1));
    assert_eq!(add(&mut pool, &unfunded), refused(Refusal::Funds { balance: 100_000, fee: 100_001 }));
    add(&mut pool, &world.sign("c", 1, 90_000, &give(1))).unwrap();
    add(&mut pool, &world.sign("c", 2, 9_000, &give(1))).unwrap();
    assert_eq!(pool.len(), 4);
    // A dearer first one leaves money for the second, not for the third.
    add(&mut pool, &world.sign("c", 0, 56_000, &give(balance - 150_000))).unwrap();
    assert_eq!(pool.len(), 3);
    pool.settle(&world.state(), |_| true).unwrap();
    assert_eq!(pool.len(), 3);
}

/// What names bytes that are not here can be in no block, so it pays nothing, displaces nobody, and goes after a while.
#[test]
fn what_is_not_here_has_little_room() {
    let mut world = World::new(&[1_000; 4]);
    let mut pool = Pool::new(10_000_000);
    let first = world.submission();
    let body = |submission: &zerotell_ledger::transaction::Submission| Body::SubmitRecord {
        submission: submission.clone(),
    };
    let is_here = |body: &Body| !matches!(body, Body::SubmitRecord { submission } if submission.proof == digest("none"));
    let add = |pool: &mut Pool, world: &World, bytes: &[u8]| {
        pool.add_signed(&world.state(), bytes, zerotell_ledger::Envelope::is_signed, is_here).map(|_| ())
    };
    let honest = world.sign("a", 1, 400_000, &body(&first));
    add(&mut pool, &world, &honest).unwrap();
    // Somebody copies the statement, pays ten times as much, and names a proof that does not exist.
    let copied = zerotell_ledger::transaction::Submission { proof: digest("none"), ..first.clone() };
    let copy = world.sign("b", 0, 4_000_000, &body(&copied));
    assert_eq!(add(&mut pool, &world, &copy), Err(Stop::Refused(Refusal::DuplicateStatement)));
    assert_eq!(pool.candidates(&world.state()).unwrap(), vec![honest]);
    // With its proof it may.
    let there = world.sign("b", 0, 4_000_000, &body(&first));
    add(&mut pool, &world, &there).unwrap();
    assert_eq!((pool.len(), pool.absent()), (1, 0));
    let other = zerotell_ledger::transaction::Submission {
        statement: digest("other"),
        nullifier: digest("its own"),
        proof: digest("none"),
        ..first
    };
    let waits = world.sign("c", 0, 4_000_000, &body(&other));
    add(&mut pool, &world, &waits).unwrap();
    assert_eq!((pool.len(), pool.absent()), (2, 1));
    world.go(250);
    pool.settle(&world.state(), is_here).unwrap();
    assert_eq!((pool.len(), pool.absent()), (2, 1));
    let mut arrived = pool.clone();
    arrived.settle(&world.state(), |_| true).unwrap();
    assert_eq!((arrived.len(), arrived.absent()), (2, 0), "its bytes came");
    world.go(10);
    pool.settle(&world.state(), is_here).unwrap();
    assert_eq!((pool.len(), pool.absent()), (1, 0), "they never did");
    // A full pool gives these up first, whatever they offer.
    let mut small = Pool::new(1_000);
    add(&mut small, &world, &waits).unwrap();
    let give = |nonce| world.sign("b", nonce, 20_000, &Body::Transfer { to: [9; 32], amount: 1 });
    for nonce in 0..3 {
        add(&mut small, &world, &give(nonce)).unwrap();
    }
    assert_eq!(small.absent(), 0);
}

/// A dear transaction behind a cheap one holds no room: it goes when that one goes.
#[test]
fn the_pool_ranks_no_transaction_above_its_elder() {
    let world = World::new(&[1_000; 4]);
    let mut pool = Pool::new(1_000);
    let give = Body::Transfer { to: [9; 32], amount: 1 };
    pool.add(&world.state(), &world.sign("b", 0, 20_000, &give)).unwrap();
    pool.add(&world.state(), &world.sign("b", 1, 900_000, &give)).unwrap();
    pool.add(&world.state(), &world.sign("b", 2, 900_000, &give)).unwrap();
    while pool.add(&world.state(), &world.sign("b", pool.len() as u64, 900_000, &give)).is_ok() {}
    let full = pool.len();
    let better = world.sign("c", 0, 30_000, &give);
    pool.add(&world.state(), &better).unwrap();
    assert!(pool.len() <= full, "the last of b's made way, though it offered thirty times as much");
    assert_eq!(pool.candidates(&world.state()).unwrap()[0], better);
    // A better first one lifts the others with it.
    pool.add(&world.state(), &world.sign("b", 0, 800_000, &give)).unwrap();
    let poor = world.sign("a", 1, 40_000, &give);
    while pool.len() < full {
        pool.add(&world.state(), &world.sign("b", pool.len() as u64 - 1, 900_000, &give)).unwrap();
    }
    pool.add(&world.state(), &poor).unwrap();
    assert!(!pool.candidates(&world.state()).unwrap().contains(&better), "now c's is the worst");
}

/// Verdicts are taken from seats only, are free, and go first.
#[test]
fn the_pool_takes_verdicts() {
    let mut world = World::new(&[1_000; 4]);
    world.submit("a", 0);
    let mut pool = Pool::new(10_000);
    pool.add(&world.state(), &world.transaction("b", &Body::Transfer { to: [9; 32], amount: 1 })).unwrap();
    let verdicts = world.verdicts();
    assert_eq!(verdicts.len(), 4);
    for verdict in &verdicts {
        pool.add(&world.state(), verdict).unwrap();
    }
    let candidates = pool.candidates(&world.state()).unwrap();
    assert_eq!(candidates.len(), 5);
    assert!(verdicts.iter().all(|verdict| candidates[..4].contains(verdict)));
    assert_eq!(world.choose(&candidates).len(), 5);
    pool.settle(&world.state(), |_| true).unwrap();
    assert!(pool.is_empty());
    let stranger = world.sign(
        "b",
        world.tip.height - 1,
        0,
        &Body::CommitVerdicts { round: world.tip.height - 1, commitment: [0; 32] },
    );
    assert_eq!(pool.add(&world.state(), &stranger), Err(Stop::Refused(Refusal::Seat)));
}

/// In-flight is counted over what waits in the pool as well.
#[test]
fn the_pool_caps_records_of_one_account() {
    let mut world =
        World::with(&[1_000; 4], Parameters { in_flight: 2, ..World::new(&[1_000]).genesis.parameters });
    let mut pool = Pool::new(100_000);
    let submissions: Vec<Body> =
        (0..3).map(|_| Body::SubmitRecord { submission: world.submission() }).collect();
    for (nonce, body) in (0..2).zip(&submissions) {
        pool.add(&world.state(), &world.sign("b", nonce, 400_000, body)).unwrap();
    }
    let third = world.sign("b", 2, 400_000, &submissions[2]);
    assert!(matches!(pool.add(&world.state(), &third), Err(Stop::Refused(Refusal::InFlight { limit: 2 }))));
    let chain = world.state().get::<Present>(&()).unwrap().unwrap();
    assert_eq!(chain.height, 1);
}
