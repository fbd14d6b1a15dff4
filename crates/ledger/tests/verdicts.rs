//! A record from its order to its fee.

mod world;

use world::{Habit, World, digest};
use zerotell_ledger::entry::{Dataset, Datasets, Models, Present, Status, Treasuries, Validators};
use zerotell_ledger::seat::Duty;
use zerotell_ledger::transaction::Step;
use zerotell_ledger::{Body, Parameters, Refusal, account_of, seat};

#[test]
fn an_honest_record_is_accepted_and_paid_for() {
    let mut world = World::new(&[1_000, 1_000, 2_000]);
    let before: Vec<u64> = ["v0", "v1", "v2"].iter().map(|v| world.balance(v)).collect();
    let statement = world.submit("a", 0);
    assert_eq!(world.status(&statement), Status::Pending);
    let ordered = world.tip.height;
    world.go(3);
    // All commit in the next block and show in the one after it.
    assert_eq!(world.status(&statement), Status::Final { code: 0, height: ordered + 2 });
    assert_eq!(world.record(&statement).held, 320_000);
    world.go(1);
    assert_eq!(world.record(&statement).held, 0);
    let earned: u64 = ["v0", "v1", "v2"].iter().zip(before).map(|(v, b)| world.balance(v) - b).sum();
    // Half of 400,000 for verifiers.
    assert_eq!(earned, 200_000);
    let treasury = world.state().get::<Treasuries>(&()).unwrap().unwrap();
    assert_eq!((treasury.archive, treasury.canaries), (40_000, 800));
    // A fifth of it, and of the fee of the model's registration.
    assert_eq!(treasury.proposers, 160_000);
    assert_eq!(account_of(&world.state(), &world.account("a")).unwrap().in_flight, 0);
}

#[test]
fn a_bad_record_is_rejected_and_pays_as_much() {
    let mut world = World::new(&[1_000; 4]);
    let before = world.balance("a");
    let statement = world.submit("a", 5);
    world.rest();
    assert!(matches!(world.status(&statement), Status::Final { code: 5, .. }));
    assert_eq!(before - world.balance("a"), 400_000);
}

#[test]
fn without_two_thirds_there_is_no_verdict_and_the_fee_comes_back() {
    let mut world = World::new(&[1_000; 3]);
    world.habits.insert(world.account("v0"), Habit::Silent);
    world.habits.insert(world.account("v1"), Habit::Silent);
    let before = world.balance("a");
    let submission = world.submission();
    let statement = submission.statement;
    world.must("a", &Body::SubmitRecord { submission: submission.clone() });
    world.go(12);
    assert_eq!(world.status(&statement), Status::Pending, "asked again, thrice in all");
    world.rest();
    assert!(matches!(world.status(&statement), Status::Undecided { .. }));
    assert_eq!(before - world.balance("a"), 80_000, "the proposers' share is gone");
    // The same may be tried again under a new statement, once there are validators.
    world.habits.insert(world.account("v1"), Habit::Honest);
    let mut again = submission;
    assert_eq!(
        world.one("a", &Body::SubmitRecord { submission: again.clone() }),
        Err(Refusal::DuplicateStatement)
    );
    again.statement = digest("again");
    world.must("a", &Body::SubmitRecord { submission: again.clone() });
    world.rest();
    assert!(matches!(world.status(&again.statement), Status::Final { code: 0, .. }));
}

/// A proof that is withheld delays nobody else, and costs its fee.
#[test]
fn a_withheld_proof_costs_its_fee_and_stops_no_other() {
    let mut world = World::new(&[1_000; 4]);
    let (good, mut bad) = (world.submission(), world.submission());
    bad.statement = digest("withheld");
    world.truth.missing.insert(bad.statement);
    let before = world.balance("c");
    let list = [
        world.transaction("b", &Body::SubmitRecord { submission: good.clone() }),
        world.transaction("c", &Body::SubmitRecord { submission: bad.clone() }),
    ];
    world.block(&list).unwrap();
    world.go(3);
    assert!(matches!(world.status(&good.statement), Status::Final { code: 0, .. }));
    assert_eq!(world.status(&bad.statement), Status::Pending);
    world.rest();
    assert!(matches!(world.status(&bad.statement), Status::Undecided { .. }));
    assert_eq!(before - world.balance("c"), 400_000);
    // Nobody was away, and nobody can be blamed for a digest.
    let v0 = world.state().get::<Validators>(&world.account("v0")).unwrap().unwrap();
    assert_eq!((v0.missed, v0.offences), (0, 0));
}

#[test]
fn a_seat_knows_its_duties() {
    let mut world = World::new(&[1_000; 4]);
    world.habits.insert(world.account("v0"), Habit::Silent);
    world.submit("a", 0);
    let at = world.tip.height;
    let duties = |world: &World, name: &str| seat::duties(&world.state(), &world.account(name), 0).unwrap();
    assert_eq!(duties(&world, "v1"), [(at, Duty::Commit)]);
    assert_eq!(duties(&world, "a"), []);
    world.go(1);
    assert_eq!((duties(&world, "v0"), duties(&world, "v1")), (vec![(at, Duty::Commit)], vec![]));
    world.go(1);
    assert_eq!((duties(&world, "v0"), duties(&world, "v1")), (vec![], vec![(at, Duty::Reveal)]));
    world.go(1);
    assert_eq!(duties(&world, "v1"), []);
}

/// Stake decides, not seats.
#[test]
fn one_large_seat_does_not_lose_to_many_small_ones() {
    let mut world = World::new(&[9_600, 100, 100, 100, 100]);
    for small in ["v1", "v2", "v3", "v4"] {
        world.habits.insert(world.account(small), Habit::Liar);
    }
    let statement = world.submit("a", 0);
    world.rest();
    assert!(matches!(world.status(&statement), Status::Final { code: 0, .. }));
}

#[test]
fn verdict_messages_are_refused_out_of_their_time_and_form() {
    let mut world = World::new(&[1_000; 4]);
    for v in 0..4 {
        world.habits.insert(world.account(&format!("v{v}")), Habit::Silent);
    }
    world.submit("a", 0);
    let (at, v0) = (world.tip.height, world.account("v0"));
    let shown = world.shown(&world.state(), (at, &world.round(at)), &v0, Habit::Honest);
    let network = world.genesis.network();
    let commit = world.sign_seat(&v0, at, &seat::commit(&network, &v0, at, &shown, &[1; 32]));
    let reveal = world.sign_seat(&v0, at, &seat::reveal(at, &shown, &[1; 32]).unwrap());
    let refused = |world: &mut World, transaction: &[u8]| match world.block(&[transaction.to_vec()]) {
        Err(zerotell_ledger::BlockRefusal::Transaction { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&mut world, &reveal), Refusal::Early);
    world.block(std::slice::from_ref(&commit)).unwrap();
    assert_eq!(refused(&mut world, &commit), Refusal::Repeated);
    let second = world.sign_seat(&v0, at, &seat::commit(&network, &v0, at, &shown, &[2; 32]));
    assert_eq!(refused(&mut world, &second), Refusal::Repeated);
    world.go(1);
    let v1 = world.account("v1");
    let late = world.sign_seat(&v1, at, &seat::commit(&network, &v1, at, &shown, &[1; 32]));
    assert_eq!(refused(&mut world, &late), Refusal::Late);
    // A copy of another's reveal, a reveal without commitment, one with other verdicts, with another salt.
    let copy = world.sign_seat(&v1, at, &seat::reveal(at, &shown, &[1; 32]).unwrap());
    assert_eq!(refused(&mut world, &copy), Refusal::Commitment);
    let salted = world.sign_seat(&v0, at, &seat::reveal(at, &shown, &[2; 32]).unwrap());
    assert_eq!(refused(&mut world, &salted), Refusal::Commitment);
    let fewer = world.sign_seat(&v0, at, &seat::reveal(at, &[], &[1; 32]).unwrap());
    assert_eq!(refused(&mut world, &fewer), Refusal::Commitment);
    world.block(std::slice::from_ref(&reveal)).unwrap();
    assert_eq!(refused(&mut world, &reveal), Refusal::Repeated);
    world.go(1);
    assert_eq!(refused(&mut world, &reveal), Refusal::Repeated);
    let stranger = world.sign("a", at, 0, &seat::reveal(at, &shown, &[1; 32]).unwrap());
    assert_eq!(refused(&mut world, &stranger), Refusal::Seat);
    let nowhere = world.sign_seat(&v0, 9_999, &seat::reveal(9_999, &shown, &[1; 32]).unwrap());
    assert_eq!(refused(&mut world, &nowhere), Refusal::Round { round: 9_999 });
    let paid = world.sign("v0", at, 5, &seat::reveal(at, &shown, &[1; 32]).unwrap());
    assert_eq!(refused(&mut world, &paid), Refusal::FeeOnVerdict);
    let elsewhere = world.sign_seat(&v0, at, &seat::reveal(at + 1, &shown, &[1; 32]).unwrap());
    assert!(matches!(refused(&mut world, &elsewhere), Refusal::Field { .. }));
}

/// Commitments end with the last one there can be, and not a block before.
#[test]
fn when_all_have_committed_nobody_waits() {
    let parameters = Parameters { commit_blocks: 6, ..World::new(&[1_000]).genesis.parameters };
    let mut world = World::with(&[1_000; 4], parameters);
    for v in 0..4 {
        world.habits.insert(world.account(&format!("v{v}")), Habit::Silent);
    }
    let statement = world.submit("a", 0);
    let (at, network) = (world.tip.height, world.genesis.network());
    let seats: Vec<_> = (0..4).map(|v| world.account(&format!("v{v}"))).collect();
    let said = |world: &World, seat: &[u8; 32]| {
        let shown = world.shown(&world.state(), (at, &world.round(at)), seat, Habit::Honest);
        let commit = world.sign_seat(seat, at, &seat::commit(&network, seat, at, &shown, &[1; 32]));
        (commit, world.sign_seat(seat, at, &seat::reveal(at, &shown, &[1; 32]).unwrap()))
    };
    let said: Vec<_> = seats.iter().map(|seat| said(&world, seat)).collect();
    let refused = |world: &mut World, list: &[Vec<u8>]| match world.block(list) {
        Err(zerotell_ledger::BlockRefusal::Transaction { refusal, .. }) => refusal,
        other => panic!("{other:?}"),
    };
    let three: Vec<_> = said.iter().take(3).map(|(commit, _)| commit.clone()).collect();
    world.block(&three).unwrap();
    assert_eq!(world.round(at).commit_until, at + 6, "one is missing");
    assert_eq!(refused(&mut world, std::slice::from_ref(&said[0].1)), Refusal::Early);
    let last = [said[3].0.clone(), said[0].1.clone()];
    assert_eq!(refused(&mut world, &last), Refusal::Early, "not in the same block");
    world.block(&last[..1]).unwrap();
    assert_eq!(world.round(at).commit_until, at + 2);
    let reveals: Vec<_> = said.iter().map(|(_, reveal)| reveal.clone()).collect();
    world.block(&reveals).unwrap();
    assert_eq!(world.status(&statement), Status::Final { code: 0, height: at + 3 });
    assert_eq!(world.round(at).reveal_until, at + 8, "it is settled when it was to be");
    world.rest();
    assert!(matches!(world.status(&statement), Status::Final { code: 0, .. }));
}

/// Rewards are by the stake of the epoch; moving it between commitment and reveal changes nothing.
#[test]
fn stake_moved_between_commit_and_reveal_keeps_its_weight_and_stays_at_risk() {
    let mut world = World::new(&[1_000, 1_000, 1_000]);
    world.habits.insert(world.account("v0"), Habit::Lazy);
    let transfer = Body::Transfer { to: world.account("v0"), amount: 5_000_000 };
    world.must("c", &transfer);
    let statement = world.submit("a", 3);
    world.must("v0", &Body::Unbond { amount: 1_000 });
    world.rest();
    assert!(matches!(world.status(&statement), Status::Final { code: 3, .. }));
    // A third of all stake offended: all of it is lost, though it was on its way out.
    assert_eq!(world.stake("v0"), 0);
}

#[test]
fn a_link_moves_its_model_when_it_is_accepted() {
    let mut world = World::new(&[1_000; 4]);
    let step = |weights: &str, statement: &str| Body::AdvanceEpoch {
        step: Step {
            model: digest("model"),
            weights: digest(weights),
            statement: digest(statement),
            proof: digest("link proof"),
            proof_bytes: 9_000,
            verifier: 1,
        },
    };
    let weights = |world: &World| {
        let name = (world.account("a"), digest("model"));
        let model = world.state().get::<Models>(&name).unwrap().unwrap();
        (model.weights, model.links)
    };
    assert_eq!(world.one("b", &step("weights 1", "link 1")), Err(Refusal::Model), "only its owner");
    assert!(matches!(world.one("a", &step("weights 0", "link 1")), Err(Refusal::Field { .. })));
    world.must("a", &step("weights 1", "link 1"));
    assert_eq!(weights(&world), (digest("weights 0"), 0));
    world.rest();
    assert_eq!(weights(&world), (digest("weights 1"), 1));
    world.truth.bad.insert(digest("link 2"), 4);
    world.must("a", &step("weights 2", "link 2"));
    world.rest();
    assert_eq!(weights(&world), (digest("weights 1"), 1));
    // A lazy majority lets a bad link through; a case takes it back.
    world.truth.bad.insert(digest("link 3"), 4);
    for v in ["v0", "v1", "v2", "v3"] {
        world.habits.insert(world.account(v), Habit::Lazy);
    }
    world.must("a", &step("weights 3", "link 3"));
    world.go(4);
    assert_eq!(weights(&world), (digest("weights 3"), 2));
    let accusation = zerotell_ledger::transaction::Accusation::WrongVerdict { statement: digest("link 3") };
    assert_eq!(world.accuse("b", accusation), Ok(0));
    world.rest();
    assert_eq!(weights(&world), (digest("weights 1"), 1));
    for v in ["v0", "v1", "v2", "v3"] {
        world.habits.insert(world.account(v), Habit::Honest);
    }
    // Two at once to the same weights: the bad one takes nothing back of what the good one did.
    world.truth.bad.insert(digest("link 5"), 4);
    world.must("a", &step("weights 4", "link 4"));
    world.must("a", &step("weights 4", "link 5"));
    world.rest();
    assert_eq!(weights(&world), (digest("weights 4"), 2));
}

#[test]
fn names_are_taken_once_per_owner() {
    let mut world = World::new(&[1_000; 4]);
    let dataset =
        Body::RegisterDataset { root: digest("root"), schema: digest("schema"), source: digest("source") };
    world.must("a", &dataset);
    assert_eq!(world.one("a", &dataset), Ok(7));
    world.must("b", &dataset);
    let entry = world.state().get::<Datasets>(&(world.account("a"), digest("root"))).unwrap().unwrap();
    assert_eq!(entry, Dataset { schema: digest("schema"), source: digest("source"), height: 2 });
    let model = |program: &str, program_bytes, work| Body::RegisterModel {
        model: digest("other"),
        program: digest(program),
        program_bytes,
        work,
        weights: digest("w"),
    };
    assert_eq!(world.one("a", &model("unknown", 5_000, 5_000)), Ok(8));
    assert_eq!(world.one("a", &model("second", 4_999, 5_000)), Ok(8), "more bytes than paid for");
    assert_eq!(world.one("a", &model("second", 5_000, 4_999)), Ok(8), "more work than paid for");
    world.must("a", &model("second", 5_000, 5_000));
    assert_eq!(world.one("a", &model("second", 5_000, 5_000)), Ok(7));
}

#[test]
fn what_is_in_a_block_can_be_shown_to_a_stranger() {
    let mut world = World::new(&[1_000; 4]);
    let statement = world.submit("a", 0);
    world.rest();
    let (state, root) = (world.state(), world.tip.state);
    let proof = state.prove::<zerotell_ledger::entry::Records>(&statement).unwrap();
    let value = certify::encode(&world.record(&statement));
    assert_eq!(certify::verify_present(&root, 5, &statement, &value, &proof), Ok(()));
    let absent = digest("never");
    let proof = state.prove::<zerotell_ledger::entry::Records>(&absent).unwrap();
    assert_eq!(certify::verify_absent(&root, 5, &absent, &proof), Ok(()));
}

#[test]
fn prices_follow_demand_and_a_full_block_refuses() {
    let mut world = World::new(&[1_000; 4]);
    let chain = |world: &World| world.state().get::<Present>(&()).unwrap().unwrap();
    let full: Vec<Vec<u8>> = (0..38)
        .map(|i| {
            let mut submission = world.submission();
            submission.statement = digest(&format!("full {i}"));
            submission.nullifier = digest(&format!("nullifier of full {i}"));
            let nonce = account_of(&world.state(), &world.account("b")).unwrap().nonce + i;
            world.sign("b", nonce, 400_000, &Body::SubmitRecord { submission })
        })
        .collect();
    let before = (chain(&world).work_price, chain(&world).byte_price);
    let taken = world.choose(&full);
    assert_eq!(taken.len(), 38, "38 proofs of 200 kB are less than 8 MB");
    let after = (chain(&world).work_price, chain(&world).byte_price);
    assert!(after.1 > before.1 && after.0 == before.0, "bytes are dear, work is not: {after:?}");
    world.go(60);
    assert_eq!((chain(&world).work_price, chain(&world).byte_price), before);
    let mut submission = world.submission();
    submission.proof_bytes = 7_900_000;
    let large = world.sign("c", 0, 900_000_000, &Body::SubmitRecord { submission: submission.clone() });
    submission.statement = digest("second");
    submission.nullifier = digest("second");
    let second = world.sign("b", 38, 900_000, &Body::SubmitRecord { submission });
    assert_eq!(world.choose(&[large, second]), vec![0]);
}
