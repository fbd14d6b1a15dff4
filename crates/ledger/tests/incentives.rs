//! What cheating costs, and that nothing else does.

mod world;

use certify::Bounded;
use world::{Habit, World, digest, inner};
use zerotell_ledger::entry::Status;
use zerotell_ledger::entry::{
    Ballots, Cases, Present, RELEASES_MAX, Suspended, Table, Treasuries, Validators,
};
use zerotell_ledger::evidence::seal;
use zerotell_ledger::transaction::{Accusation, Subject};
use zerotell_ledger::{Body, Cause, Parameters, Scan, seat};

/// Twenty-five seats of four per cent each: one alone is below the floor of correlation.
fn many() -> World {
    let parameters = Parameters { seats: 32, ..World::new(&[1_000]).genesis.parameters };
    World::with(&[1_000; 25], parameters)
}

fn wrong(statement: zerotell_ledger::transaction::Submission) -> Accusation {
    Accusation::WrongVerdict { statement: statement.statement }
}

#[test]
fn a_lone_lazy_seat_loses_a_hundredth_and_the_hunter_earns_half() {
    let mut world = many();
    world.habits.insert(world.account("v3"), Habit::Lazy);
    let statement = world.submit("a", 5);
    world.go(4);
    assert!(matches!(world.status(&statement), Status::Final { code: 5, .. }));
    assert_eq!(world.stake("v3"), 1_000, "nothing happens by itself below the threshold of dissent");
    let before = (world.balance("a"), world.balance("b"));
    assert_eq!(world.accuse("b", Accusation::WrongVerdict { statement }), Ok(0));
    assert_eq!(world.accuse("c", Accusation::WrongVerdict { statement }), Ok(10), "one case at a time");
    world.rest();
    assert_eq!(world.stake("v3"), 990);
    assert_eq!(world.balance("a") - before.0, 5, "half goes to whoever submitted what was not valid");
    assert_eq!(before.1 - world.balance("b"), 400_000, "the reporter pays for the work");
    // The same again finds nobody to punish twice.
    assert_eq!(world.accuse("b", Accusation::WrongVerdict { statement }), Ok(0));
    world.rest();
    assert_eq!(world.stake("v3"), 990);
    // A second offence costs twice as much.
    let second = world.submit("a", 5);
    world.go(4);
    assert_eq!(world.accuse("b", Accusation::WrongVerdict { statement: second }), Ok(0));
    world.rest();
    assert_eq!(world.stake("v3"), 990 - 20);
}

/// Of accounts that only work as seats every unit comes from a reward that a block names, and every unit of stake that is
/// gone was a penalty that one names; what goes back to whoever paid it is no reward.
#[test]
fn blocks_name_what_they_pay_and_take() {
    let mut world = many();
    world.habits.insert(world.account("v3"), Habit::Lazy);
    let statement = world.submit("a", 5);
    world.go(4);
    assert_eq!(world.accuse("b", Accusation::WrongVerdict { statement }), Ok(0));
    // It fails: what it did is taken back, its fee is not.
    assert_eq!(world.accuse("b", Accusation::WrongVerdict { statement: digest("unknown") }), Ok(12));
    world.rest();
    world.habits.insert(world.account("v3"), Habit::Honest);
    world.habits.insert(world.account("v5"), Habit::Hider);
    world.submit("a", 5);
    world.go(70);
    let lost = |name: &str| {
        let account = world.account(name);
        let mine = world.penalties.iter().filter(|penalty| penalty.account == account);
        mine.map(|penalty| (penalty.lost, penalty.cause, penalty.offences)).collect::<Vec<_>>()
    };
    assert_eq!(lost("v3"), [(10, Cause::WrongVerdict, 1)]);
    assert_eq!(lost("v5"), [(10, Cause::Withheld, 0)]);
    assert_eq!(world.penalties.len(), 2);
    for v in 0..25 {
        let name = format!("v{v}");
        let account = world.account(&name);
        assert_eq!(world.earned.get(&account).copied().unwrap_or(0), world.balance(&name), "{name}");
        let taken: u64 = lost(&name).iter().map(|(lost, ..)| lost).sum();
        assert_eq!(world.stake(&name) + taken, 1_000, "{name}");
    }
    assert_eq!(world.earned.get(&world.account("a")), Some(&5), "half of what the lazy seat lost");
    assert_eq!(world.earned.get(&world.account("b")), None);
}

#[test]
fn a_lazy_majority_is_overturned_and_pays_together() {
    let mut world = many();
    for v in 0..22 {
        world.habits.insert(world.account(&format!("v{v}")), Habit::Lazy);
    }
    let statement = world.submit("a", 5);
    world.go(3);
    assert!(
        matches!(world.status(&statement), Status::Final { code: 0, .. }),
        "the lazy agree with each other"
    );
    let hunter = world.balance("a");
    world.rest();
    // Three honest seats are 12 % of dissent: enough for a case of its own accord.
    assert!(matches!(world.status(&statement), Status::Final { code: 5, .. }));
    for v in 0..22 {
        assert_eq!(world.stake(&format!("v{v}")), 0);
    }
    assert_eq!(world.stake("v23"), 1_000);
    assert_eq!(world.balance("a") - hunter, 11_000);
}

#[test]
fn a_unanimous_lie_is_found_by_a_reporter() {
    let mut world = many();
    for v in 0..25 {
        world.habits.insert(world.account(&format!("v{v}")), Habit::Liar);
    }
    let statement = world.submit("a", 0);
    world.go(4);
    assert!(matches!(world.status(&statement), Status::Final { code: 9, .. }));
    assert_eq!(world.accuse("b", Accusation::WrongVerdict { statement }), Ok(0));
    let before = world.balance("b");
    world.rest();
    assert!(matches!(world.status(&statement), Status::Final { code: 0, .. }));
    assert_eq!(world.balance("b") - before, 25 * 500);
}

/// Builds that disagree suspend the class; nobody is punished.
#[test]
fn honest_disagreement_suspends_and_never_slashes() {
    for dissenters in [2, 5, 8] {
        let mut world = many();
        for v in 0..dissenters {
            world.habits.insert(world.account(&format!("v{v}")), Habit::OtherBuild);
        }
        (0..17).for_each(|v| fund(&mut world, v));
        let mut submission = world.submission();
        submission.statement = digest("disputed");
        world.other.flips.insert(submission.statement);
        world.must("a", &Body::SubmitRecord { submission });
        world.rest();
        assert!(world.state().has::<Suspended>(&1).unwrap(), "{dissenters}");
        for v in 0..25 {
            assert_eq!(world.stake(&format!("v{v}")), 1_000);
        }
        let submission = world.submission();
        let refusal = world.one("a", &Body::SubmitRecord { submission }).unwrap_err();
        assert_eq!(refusal, zerotell_ledger::Refusal::Suspended);
        // Two thirds of stake let it go on; votes count within one epoch.
        world.go(40 - world.tip.height % 40);
        let resume = Body::Recall { subject: Subject::Resume { class: 1 }, reason: 1 };
        for v in 0..17 {
            world.must(&format!("v{v}"), &resume);
        }
        assert!(!world.state().has::<Suspended>(&1).unwrap());
    }
}

/// A single seat with another build is below the threshold: it loses a hundredth, as a lone offender does.
#[test]
fn a_lone_other_build_loses_a_hundredth_at_most() {
    let mut world = many();
    world.habits.insert(world.account("v0"), Habit::OtherBuild);
    let mut submission = world.submission();
    submission.statement = digest("disputed");
    world.other.flips.insert(submission.statement);
    world.must("a", &Body::SubmitRecord { submission: submission.clone() });
    world.go(4);
    world.go(40);
    for _ in 0..2 {
        assert_eq!(world.accuse("b", wrong(submission.clone())), Ok(0));
        world.rest();
        assert_eq!(world.stake("v0"), 990);
        // The same bug, on another record in the same epoch, costs no more.
        submission = world.submission();
        world.other.flips.insert(submission.statement);
        world.must("a", &Body::SubmitRecord { submission: submission.clone() });
        world.go(4);
    }
    assert!(!world.state().has::<Suspended>(&1).unwrap());
}

fn fund(world: &mut World, v: usize) {
    let to = world.account(&format!("v{v}"));
    world.must("c", &Body::Transfer { to, amount: 2_000_000 });
}

#[test]
fn an_accusation_without_ground_costs_its_fee() {
    let mut world = many();
    let statement = world.submit("a", 0);
    world.go(4);
    let before = world.balance("b");
    assert_eq!(world.accuse("b", Accusation::WrongVerdict { statement }), Ok(0));
    assert!(world.state().has::<Cases>(&statement).unwrap());
    world.rest();
    assert_eq!(before - world.balance("b"), 400_000);
    assert!((0..25).all(|v| world.stake(&format!("v{v}")) == 1_000));
    let unknown = Accusation::WrongVerdict { statement: digest("unknown") };
    assert_eq!(world.accuse("b", unknown), Ok(12));
    let pending = world.submit("a", 0);
    assert_eq!(world.accuse("b", Accusation::WrongVerdict { statement: pending }), Ok(12), "not settled yet");
}

/// Whoever slashes itself by its own canary loses.
#[test]
fn a_self_canary_is_a_loss() {
    let mut world = many();
    world.habits.insert(world.account("v0"), Habit::Lazy);
    fund(&mut world, 0);
    let wealth = |world: &World| world.balance("v0") + world.stake("v0") + world.balance("a");
    let before = wealth(&world);
    let statement = world.submit("a", 5);
    world.go(4);
    assert_eq!(world.accuse("a", Accusation::WrongVerdict { statement }), Ok(0));
    world.rest();
    assert_eq!(world.stake("v0"), 990);
    let proposals = 8_000;
    assert!(wealth(&world) + 300_000 < before + proposals, "{} then {}", before, wealth(&world));
}

/// Washing one's own records loses at least what is burned, even for whoever holds all seats.
#[test]
fn washing_always_loses() {
    let mut world = World::new(&[1_000; 4]);
    let all =
        |world: &World| ["a", "v0", "v1", "v2", "v3"].iter().map(|name| world.balance(name)).sum::<u64>();
    // Epochs end with proposers paid.
    world.go(39 - world.tip.height % 40);
    let before = all(&world);
    for _ in 0..5 {
        world.submit("a", 0);
    }
    world.rest();
    world.go(39 - world.tip.height % 40);
    // A fifth less the canaries' part is burned; archive and canaries are out of reach too.
    let lost = before - all(&world);
    assert!((5 * 120_000..5 * 120_000 + 8).contains(&lost), "and what rounding leaves: {lost}");
}

#[test]
fn equivocation_is_punished_once() {
    let mut world = many();
    world.submit("a", 0);
    let (at, v0) = (world.tip.height, world.account("v0"));
    let network = world.genesis.network();
    let shown = world.shown(&world.state(), (at, &world.round(at)), &v0, Habit::Honest);
    let one = world.sign_seat(&v0, at, &seat::commit(&network, &v0, at, &shown, &[1; 32]));
    let other = world.sign_seat(&v0, at, &seat::commit(&network, &v0, at, &shown, &[2; 32]));
    let later = world.sign_seat(&v0, at + 1, &seat::commit(&network, &v0, at + 1, &shown, &[2; 32]));
    let stranger = world.sign("a", at, 0, &seat::commit(&network, &v0, at, &shown, &[2; 32]));
    let reveal = world.sign_seat(&v0, at, &seat::reveal(at, &shown, &[1; 32]).unwrap());
    let pair = |a: &Vec<u8>, b: &Vec<u8>| Accusation::Equivocation {
        first: inner(a.clone()),
        second: inner(b.clone()),
    };
    for (first, second) in
        [(&one, &one), (&one, &later), (&one, &stranger), (&one, &reveal), (&one, &vec![0; 9])]
    {
        assert_eq!(world.accuse("b", pair(first, second)), Ok(9));
    }
    let mut forged = other.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(world.accuse("b", pair(&one, &forged)), Ok(9));
    let before = world.balance("b");
    assert_eq!(world.accuse("b", pair(&one, &other)), Ok(0));
    assert_eq!(world.stake("v0"), 990);
    assert_eq!(before - world.balance("b"), 400_000 - 5);
    assert_eq!(world.accuse("c", pair(&other, &one)), Ok(10));
}

/// Whoever denounces itself before others do still loses half.
#[test]
fn self_denunciation_is_a_loss() {
    let mut world = World::new(&[1_000_000; 4]);
    fund(&mut world, 0);
    let (at, v0) = (world.tip.height, world.account("v0"));
    let network = world.genesis.network();
    let make = |salt| inner(world.sign_seat(&v0, at, &seat::commit(&network, &v0, at, &[], &[salt; 32])));
    let accusation = Accusation::Equivocation { first: make(1), second: make(2) };
    let before = world.balance("v0") + world.stake("v0");
    assert_eq!(world.accuse("v0", accusation), Ok(0));
    assert_eq!(world.stake("v0"), 250_000);
    assert!(world.balance("v0") + world.stake("v0") + 375_000 <= before + 80_000);
}

#[test]
fn an_early_reveal_is_punished_while_it_is_early() {
    let mut world = many();
    // Commitments are taken as long as one is missing.
    world.habits.insert(world.account("v24"), Habit::Silent);
    world.submit("a", 0);
    let (at, v0) = (world.tip.height, world.account("v0"));
    let shown = world.shown(&world.state(), (at, &world.round(at)), &v0, Habit::Honest);
    let reveal = |world: &World, account: &[u8; 32]| {
        let body = seat::reveal(at, &shown, &[1; 32]).unwrap();
        Accusation::EarlyReveal { reveal: inner(world.sign_seat(account, at, &body)) }
    };
    let early = reveal(&world, &v0);
    assert_eq!(world.accuse("b", early.clone()), Ok(0));
    assert_eq!(world.accuse("b", early), Ok(10));
    assert_eq!(world.stake("v0"), 990);
    let v1 = world.account("v1");
    let late = reveal(&world, &v1);
    world.go(1);
    assert_eq!(world.accuse("b", late), Ok(9), "now everyone reveals");
    assert_eq!(world.stake("v1"), 1_000);
}

/// The right bit by luck or by copying is found by its execution digest.
#[test]
fn a_digest_that_comes_from_no_run_is_punished() {
    let mut world = many();
    world.habits.insert(world.account("v7"), Habit::Lazy);
    let statement = world.submit("a", 0);
    world.go(4);
    assert!(matches!(world.status(&statement), Status::Final { code: 0, .. }));
    let record = world.record(&statement);
    let trace = zerotell_ledger::Recheck::recheck(&world.truth, &statement, &record, 1).unwrap().trace;
    let accuse = |trace| Accusation::WrongExecution { statement, trace };
    assert_eq!(world.accuse("b", accuse(digest("another trace"))), Ok(15), "nobody's trace");
    assert_eq!(world.accuse("b", accuse(trace)), Ok(0));
    assert_eq!(world.stake("v7"), 990);
    assert_eq!(world.accuse("b", accuse(trace)), Ok(10));
    world.go(40);
    assert_eq!(world.accuse("b", accuse(trace)), Ok(11), "reveals are kept for a while only");
}

fn long_memory() -> World {
    let parameters = Parameters { seats: 32, trace_blocks: 60, ..World::new(&[1_000]).genesis.parameters };
    World::with(&[1_000; 25], parameters)
}

/// To commit blindly and stay silent where others reject costs as much as to be wrong.
#[test]
fn a_withheld_reveal_costs_a_hundredth_where_something_was_rejected() {
    let mut world = long_memory();
    world.habits.insert(world.account("v2"), Habit::Hider);
    world.submit("a", 5);
    world.go(70);
    assert_eq!(world.stake("v2"), 990);
    world.submit("a", 0);
    world.go(70);
    assert_eq!(world.stake("v2"), 990);
    world.submit("a", 5);
    world.go(70);
    assert_eq!(world.stake("v2"), 980, "the same again, a hundredth of what is left and rounded up");
}

/// Whoever was away keeps its word later, without reward and without loss.
#[test]
fn a_late_reveal_keeps_ones_word() {
    let mut world = long_memory();
    world.habits.insert(world.account("v2"), Habit::Slow);
    let before = world.balance("v2");
    world.submit("a", 5);
    world.go(10);
    let earned = world.balance("v2") - before;
    world.go(60);
    assert_eq!(world.stake("v2"), 1_000);
    assert_eq!(earned, 0);
}

/// A late reveal hides nothing: wrong ones are punished in a case, and after it.
#[test]
fn a_late_reveal_that_was_wrong_is_punished() {
    for doubted_early in [false, true] {
        let mut world = long_memory();
        world.habits.insert(world.account("v2"), Habit::SlowLazy);
        let statement = world.submit("a", 5);
        world.go(4);
        if doubted_early {
            assert_eq!(world.accuse("b", Accusation::WrongVerdict { statement }), Ok(0));
            world.rest();
            assert_eq!(world.stake("v2"), 1_000, "nothing of it was seen yet");
        }
        world.go(42 - (world.tip.height - world.record(&statement).ordered));
        assert_eq!(world.stake("v2"), if doubted_early { 990 } else { 1_000 });
        if !doubted_early {
            assert_eq!(world.accuse("b", Accusation::WrongVerdict { statement }), Ok(0));
            world.rest();
        }
        world.go(60);
        assert_eq!(world.stake("v2"), 990);
    }
}

#[test]
fn money_on_its_way_out_can_be_slashed() {
    let mut world = many();
    fund(&mut world, 0);
    world.habits.insert(world.account("v0"), Habit::Lazy);
    let statement = world.submit("a", 5);
    world.must("v0", &Body::Unbond { amount: 1_000 });
    world.go(4);
    assert_eq!(world.accuse("b", Accusation::WrongVerdict { statement }), Ok(0));
    world.rest();
    assert_eq!(world.stake("v0"), 990);
    // After the wait exactly the rest is free.
    let mut before = 0;
    while world.stake("v0") > 0 {
        before = world.balance("v0");
        world.go(1);
    }
    assert_eq!(world.balance("v0") - before, 990);
}

#[test]
fn the_engines_evidence_counts_once_per_offence() {
    let mut world = many();
    let evidence = |consensus: &[u8], id: &[u8]| Bounded::new([consensus, id].concat()).unwrap();
    let v0 = world::consensus(&world.account("v0"));
    let accuse = |id: &[u8]| Accusation::Engine { epoch: 0, evidence: evidence(&v0, id) };
    assert_eq!(world.accuse("b", accuse(b"view 3")), Ok(0));
    assert_eq!(world.stake("v0"), 990);
    assert_eq!(world.accuse("b", accuse(b"view 3")), Ok(10));
    let nobody = Accusation::Engine { epoch: 0, evidence: evidence(&[1; 96], b"view 3") };
    assert_eq!(world.accuse("b", nobody), Ok(9));
    let epoch = Accusation::Engine { epoch: 9, evidence: evidence(&v0, b"view 4") };
    assert_eq!(world.accuse("b", epoch), Ok(11));
}

#[test]
fn absence_leaks_and_no_more() {
    let mut world = World::new(&[1_000_000; 4]);
    world.habits.insert(world.account("v0"), Habit::Silent);
    for _ in 0..3 {
        world.submit("a", 0);
    }
    world.rest();
    world.go(40 - world.tip.height % 40);
    assert_eq!(world.stake("v0"), 1_000_000 - 100);
    assert_eq!(world.stake("v1"), 1_000_000);
    // Without rounds nobody can be absent.
    world.go(40);
    assert_eq!(world.stake("v0"), 1_000_000 - 100);
}

#[test]
fn canaries_of_the_protocol_are_owed_and_paid_back() {
    let parameters = Parameters { canary_rate: 100_000, ..World::new(&[1_000]).genesis.parameters };
    let mut world = World::with(&[1_000_000; 4], parameters);
    fund(&mut world, 0);
    for _ in 0..25 {
        world.submit("a", 0);
    }
    world.go(40 - world.tip.height % 40 + 1);
    // Twenty-five records at one in ten: two lots, and half a one is kept for later.
    let owed =
        |world: &World, v: &str| world.state().get::<Validators>(&world.account(v)).unwrap().unwrap().owed;
    let names = ["v0", "v1", "v2", "v3"];
    assert_eq!(names.iter().map(|v| owed(&world, v)).sum::<u32>(), 2);
    assert_eq!(world.state().get::<Present>(&()).unwrap().unwrap().records, 5);
    let who = names.into_iter().find(|v| owed(&world, v) > 0).unwrap();
    let free = names.into_iter().find(|v| owed(&world, v) == 0).unwrap();
    fund(&mut world, names.iter().position(|v| *v == who).unwrap());
    fund(&mut world, names.iter().position(|v| *v == free).unwrap());
    let (v0, salt) = (world.account(who), digest("salt"));
    let mut submission = world.submission();
    submission.seal = seal(&v0, &salt);
    world.truth.bad.insert(submission.statement, 6);
    world.must("b", &Body::SubmitRecord { submission: submission.clone() });
    let reveal = Accusation::Canary { submission: submission.clone(), salt };
    assert_eq!(world.accuse(who, reveal.clone()), Ok(12), "not before its verdict");
    world.rest();
    let mut other = submission.clone();
    other.policy = [1; 32];
    assert_eq!(world.accuse(who, Accusation::Canary { submission: other, salt }), Ok(9));
    assert_eq!(world.accuse(free, reveal.clone()), Ok(9), "not its seal");
    let pot = world.state().get::<Treasuries>(&()).unwrap().unwrap().canaries;
    let before = world.balance(who);
    assert!(pot > 0 && pot < 400_000, "{pot}");
    assert_eq!(world.accuse(who, reveal.clone()), Ok(0));
    assert_eq!(world.balance(who), before - 400_000 + pot);
    assert_eq!(world.accuse(who, reveal), Ok(10));
    // Who still owes one at the end loses a little; the others do not.
    let debts: Vec<u32> = names.iter().map(|v| owed(&world, v)).collect();
    assert_eq!(debts.iter().sum::<u32>(), 1);
    world.go(40 - world.tip.height % 40);
    for (v, debt) in names.iter().zip(debts) {
        assert_eq!(world.stake(v), if debt > 0 { 1_000_000 - 100 } else { 1_000_000 }, "{v}");
    }
}

/// What comes back of an owed canary is the price of such a record, whatever was offered: else the proposer's share of a
/// large fee would be a gain, at the cost of all others who owe one.
#[test]
fn a_canary_that_is_owed_pays_back_its_price_and_no_more() {
    let parameters = Parameters { canary_rate: 100_000, ..World::new(&[1_000]).genesis.parameters };
    let mut world = World::with(&[1_000_000; 4], parameters);
    for _ in 0..10 {
        let submission = world.submission();
        let nonce = zerotell_ledger::account_of(&world.state(), &world.account("a")).unwrap().nonce;
        let rich = world.sign("a", nonce, 400_000_000, &Body::SubmitRecord { submission });
        let all: Vec<_> = world.verdicts().into_iter().chain([rich]).collect();
        world.block(&all).unwrap();
    }
    world.go(40 - world.tip.height % 40 + 1);
    let names = ["v0", "v1", "v2", "v3"];
    let owed =
        |world: &World, v: &str| world.state().get::<Validators>(&world.account(v)).unwrap().unwrap().owed;
    let who = names.into_iter().find(|v| owed(&world, v) > 0).unwrap();
    fund(&mut world, names.iter().position(|v| *v == who).unwrap());
    let salt = digest("salt");
    let mut submission = world.submission();
    submission.seal = seal(&world.account(who), &salt);
    world.truth.bad.insert(submission.statement, 6);
    let fee = 1_500_000;
    let nonce = zerotell_ledger::account_of(&world.state(), &world.account(who)).unwrap().nonce;
    let rich = world.sign(who, nonce, fee, &Body::SubmitRecord { submission: submission.clone() });
    let all: Vec<_> = world.verdicts().into_iter().chain([rich]).collect();
    world.block(&all).unwrap();
    world.rest();
    let pot = |world: &World| world.state().get::<Treasuries>(&()).unwrap().unwrap().canaries;
    let before = pot(&world);
    assert!(before > fee, "enough to pay all of it back: {before}");
    assert_eq!(world.accuse(who, Accusation::Canary { submission, salt }), Ok(0));
    // 100 and 3,000 units of work at 10, 200,000 bytes at 1.
    assert_eq!(before - pot(&world), 3_100 * 10 + 200_000);
}

#[test]
fn bonds_need_a_key_and_seats_go_to_the_largest() {
    let parameters = Parameters { seats: 3, ..World::new(&[1_000]).genesis.parameters };
    let mut world = World::with(&[1_000, 1_000, 1_000], parameters);
    let bond = |world: &World, amount, of: &str, possession: &str| Body::Bond {
        amount,
        consensus: world::consensus(&world.account(of)),
        possession: Bounded::new(world.account(possession).to_vec()).unwrap(),
        address: Bounded::default(),
    };
    let bare = Body::Bond {
        amount: 500,
        consensus: Bounded::default(),
        possession: Bounded::default(),
        address: Bounded::default(),
    };
    assert_eq!(world.one("b", &bare), Ok(4));
    let forged = bond(&world, 500, "b", "c");
    assert_eq!(world.one("b", &forged), Ok(4), "no possession");
    let taken = bond(&world, 500, "v0", "b");
    assert_eq!(world.one("b", &taken), Ok(4), "another's key");
    let too_much = bond(&world, 1 << 60, "b", "b");
    assert_eq!(world.one("b", &too_much), Ok(1));
    let good = bond(&world, 1_500, "b", "b");
    world.must("b", &good);
    world.must("b", &bare);
    assert!(
        world.committee(world.tip.height).seat(&world.account("b")).is_none(),
        "not before the next epoch"
    );
    world.go(39 - world.tip.height % 40);
    assert!(world.tip.next.is_some());
    let next = world.committee(world.tip.height + 1);
    assert_eq!(world.tip.next, Some(next.digest()));
    assert_eq!(next.seats.len(), 3);
    assert_eq!(next.seat(&world.account("b")).unwrap().1.stake, 2_000);
    world.go(1);
    assert_eq!(world.tip.next, None);
    assert_eq!(world.tip.committee, next.digest());
    assert_eq!(world.one("b", &Body::Unbond { amount: 2_001 }), Ok(3));
    assert_eq!(world.one("b", &Body::Unbond { amount: 0 }), Ok(2));
    world.must("b", &Body::Unbond { amount: 2_000 });
    world.go(40);
    assert!(world.committee(world.tip.height).seat(&world.account("b")).is_none());
    let entry = world.state().get::<Validators>(&world.account("b")).unwrap().unwrap();
    assert_eq!((entry.bond, entry.unbonding.len()), (0, 1));
}

/// A stake earns the same by proposing on one seat as on many: by stake times blocks, at the end of the epoch.
#[test]
fn proposers_are_paid_by_stake_and_blocks() {
    let mut world = World::new(&[1_000, 1_000, 2_000]);
    world.submit("a", 0);
    world.go(38 - world.tip.height % 40);
    let names = ["v0", "v1", "v2"];
    let pot = |world: &World| world.state().get::<Treasuries>(&()).unwrap().unwrap().proposers;
    let blocks = |world: &World, v: &str| {
        world.state().get::<Validators>(&world.account(v)).unwrap().unwrap().proposed
    };
    assert_eq!(pot(&world), 160_000);
    let last = world.context().proposer;
    let weight = |v: &str| {
        let own = blocks(&world, v) + u32::from(world.account(v) == last);
        u64::from(own) * world.stake(v)
    };
    let weights = names.map(weight);
    assert!(weights.iter().all(|weight| *weight > 0) && weights[2] > weights[0] + weights[1] / 2);
    let before = names.map(|v| world.balance(v));
    world.go(1);
    for ((v, weight), before) in names.iter().zip(weights).zip(before) {
        let fair = 160_000 * weight / weights.iter().sum::<u64>();
        assert!(fair - (world.balance(v) - before) <= 1, "{v}");
    }
    assert_eq!((pot(&world), names.map(|v| blocks(&world, v))), (0, [0; 3]));
}

/// What many offended within is measured in other spans after a vote: the old ones do not pile up, nor hide anybody.
#[test]
fn offences_are_counted_in_the_spans_of_the_day() {
    let parameters = Parameters { seats: 32, ..World::new(&[1_000]).genesis.parameters };
    let mut world = World::with(&[1_000; 25], parameters);
    (0..25).for_each(|v| fund(&mut world, v));
    let voters = 17;
    let longer = Parameters { correlation_blocks: 100_000, ..world.genesis.parameters.clone() };
    let offend = |world: &mut World, v: &str| {
        world.habits.insert(world.account(v), Habit::Lazy);
        let statement = world.submit("a", 3);
        world.go(4);
        assert_eq!(world.accuse("b", Accusation::WrongVerdict { statement }), Ok(0));
        world.rest();
        world.habits.insert(world.account(v), Habit::Honest);
    };
    for v in 0..2 {
        offend(&mut world, &format!("v{v}"));
    }
    let offended = |world: &World| world.state().get::<Present>(&()).unwrap().unwrap().offended.into_vec();
    assert!(offended(&world).last().unwrap().0 > 0, "spans went by");
    // Within one epoch.
    world.go(39 - world.tip.height % 40);
    for v in 25 - voters..25 {
        world.must(&format!("v{v}"), &Body::UpdateParameters { parameters: longer.clone() });
    }
    world.go(8);
    let before = world.stake("v0");
    for v in (2..4).chain([0]) {
        offend(&mut world, &format!("v{v}"));
    }
    assert_eq!(offended(&world).len(), 1, "all of them in one span now, and no old one beside it");
    assert!(world.stake("v0") < before, "who was counted under the old rule is punished under the new");
}

#[test]
fn parameters_change_by_two_thirds_after_a_delay() {
    let mut world = World::new(&[1_000, 1_000, 1_000]);
    (0..3).for_each(|v| fund(&mut world, v));
    let new = Parameters { in_flight: 7, ..world.genesis.parameters.clone() };
    let update = Body::UpdateParameters { parameters: new.clone() };
    let rules = |world: &World| world.state().get::<Present>(&()).unwrap().unwrap().parameters;
    assert_eq!(world.one("a", &update), Ok(13));
    world.must("v0", &update);
    assert_eq!(world.one("v0", &update), Ok(10), "one vote each");
    world.must("v1", &update);
    let from = world.tip.height + 5;
    world.go(from - world.tip.height - 1);
    assert_eq!(rules(&world).in_flight, 64);
    world.go(1);
    assert_eq!(rules(&world), new);
    for bad in [Parameters { epoch_blocks: 50, ..new.clone() }, Parameters { seats: 0, ..new }] {
        assert_eq!(world.one("v0", &Body::UpdateParameters { parameters: bad }), Ok(14));
    }
}

/// An address comes with a bond, or alone; what cannot be dialled by anyone is refused before it costs anything.
#[test]
fn bonds_say_where_their_validator_is_reached() {
    let mut world = World::new(&[1_000; 4]);
    let at = |amount, address: &str| Body::Bond {
        amount,
        consensus: Bounded::default(),
        possession: Bounded::default(),
        address: Bounded::new(address.as_bytes().to_vec()).unwrap(),
    };
    let known = |world: &World, name: &str| {
        let entry = world.state().get::<Validators>(&world.account(name)).unwrap();
        entry.map(|entry| String::from_utf8(entry.address.to_vec()).unwrap())
    };
    assert_eq!(world.one("b", &at(0, "192.0.2.7:7100")), Ok(4), "who has no key is no validator");
    let (consensus, possession) = (world::consensus(&world.account("b")), world.account("b").to_vec());
    let first = Body::Bond {
        amount: 500,
        consensus,
        possession: Bounded::new(possession).unwrap(),
        address: Bounded::new(b"192.0.2.7:7100".to_vec()).unwrap(),
    };
    world.must("b", &first);
    assert_eq!(known(&world, "b").as_deref(), Some("192.0.2.7:7100"));
    world.must("b", &at(500, ""));
    assert_eq!(known(&world, "b").as_deref(), Some("192.0.2.7:7100"), "it stays");
    world.must("b", &at(0, "validator.example.org:7100"));
    assert_eq!(known(&world, "b").as_deref(), Some("validator.example.org:7100"));
    assert_eq!(world.one("b", &at(0, "")), Ok(2));
    let balance = world.balance("b");
    for bad in ["192.0.2.7", "192.0.2.7:0", "Validator:7100", "validator.example.org:7100 "] {
        assert!(
            matches!(world.one("b", &at(500, bad)), Err(zerotell_ledger::Refusal::Field { .. })),
            "{bad}"
        );
    }
    assert_eq!(world.balance("b"), balance);
    assert_eq!(known(&world, "v0").as_deref(), Some(""));
}

/// A vote that did not decide within its epoch leaves nothing; one that was opened again lives as long as its own epoch.
#[test]
fn open_votes_end_with_their_epoch() {
    let mut world = World::new(&[1_000, 1_000, 1_000]);
    (0..3).for_each(|v| fund(&mut world, v));
    let recall = |version| Body::Recall { subject: Subject::Verifier { version }, reason: 3 };
    let open = |world: &World| world.store.scan().filter(|(key, _)| key[0] == Ballots::NAMESPACE).count();
    world.must("v0", &recall(1));
    world.must("v0", &recall(2));
    assert_eq!(open(&world), 2);
    let opened = world.tip.height;
    // In the next epoch, before the first is removed: the same subject again.
    world.go(39 - world.tip.height % 40);
    assert_eq!(open(&world), 2);
    world.go(1);
    world.must("v1", &recall(2));
    world.go(opened + 40 - world.tip.height);
    assert_eq!(open(&world), 1, "that of this epoch");
    assert_eq!(world.one("v1", &recall(2)), Ok(10), "whose vote still counts");
    world.go(40);
    assert_eq!(open(&world), 0);
}

/// What ends at one height is bounded: one vote too many is refused, and the same one block later is not.
#[test]
fn a_height_ends_so_many_votes_and_no_more() {
    let mut world = World::new(&[1_000, 1_000, 1_000]);
    let to = world.account("v0");
    world.must("c", &Body::Transfer { to, amount: 2_000_000_000 });
    let recall = |version| Body::Recall { subject: Subject::Verifier { version }, reason: 3 };
    let most = u16::try_from(RELEASES_MAX).unwrap();
    let first = zerotell_ledger::account_of(&world.state(), &to).unwrap().nonce;
    let votes: Vec<Vec<u8>> =
        (0..=most).map(|i| world.sign("v0", first + u64::from(i), 1_000_000, &recall(2 + i))).collect();
    let codes: Vec<u16> = world.block(&votes).unwrap().iter().map(|outcome| outcome.code).collect();
    let (last, opened) = codes.split_last().unwrap();
    assert!(opened.iter().all(|&code| code == 0));
    assert_eq!(*last, 16);
    let full = world.tip.height;
    world.must("v0", &recall(2 + most));
    let open = |world: &World| world.store.scan().filter(|(key, _)| key[0] == Ballots::NAMESPACE).count();
    assert_eq!(open(&world), RELEASES_MAX + 1);
    world.go(full + 40 - world.tip.height);
    assert_eq!(open(&world), 1);
    world.go(1);
    assert_eq!(open(&world), 0);
}

/// A recalled verifier's records are judged again by the next version, and nobody pays for the old one's mistakes.
#[test]
fn recalled_verifiers_are_made_good() {
    let mut world = World::new(&[1_000, 1_000, 1_000]);
    (0..3).for_each(|v| fund(&mut world, v));
    let (good, bad) = (world.submit("a", 0), world.submit("a", 0));
    world.rest();
    let recall = Body::Recall { subject: Subject::Verifier { version: 1 }, reason: 3 };
    assert_eq!(world.one("b", &recall), Ok(13));
    world.must("v0", &recall);
    world.must("v1", &recall);
    let submission = world.submission();
    let refusal = world.one("a", &Body::SubmitRecord { submission }).unwrap_err();
    assert_eq!(refusal, zerotell_ledger::Refusal::Recalled);
    assert_eq!(world.one("v2", &recall), Ok(10));
    let new = Parameters { verifier: 2, ..world.genesis.parameters.clone() };
    for v in ["v0", "v1"] {
        world.must(v, &Body::UpdateParameters { parameters: new.clone() });
    }
    world.truth.bad.insert(bad, 8);
    world.go(60);
    assert!(matches!(world.status(&good), Status::Final { code: 0, .. }));
    assert!(matches!(world.status(&bad), Status::Final { code: 8, .. }));
    assert_eq!((world.record(&good).verifier, world.record(&bad).verifier), (2, 2));
    assert!((0..3).all(|v| world.stake(&format!("v{v}")) == 1_000));
    assert_eq!(world.accuse("b", Accusation::WrongVerdict { statement: bad }), Ok(0));
    world.rest();
    assert!((0..3).all(|v| world.stake(&format!("v{v}")) == 1_000));
}

#[test]
fn owners_recall_their_records_and_programs() {
    let mut world = World::new(&[1_000; 4]);
    let statement = world.submit("b", 0);
    world.rest();
    let recall = |subject| Body::Recall { subject, reason: 4 };
    let record = recall(Subject::Record { statement });
    assert_eq!(world.one("a", &record), Ok(13));
    world.must("b", &record);
    assert_eq!(world.record(&statement).recalled, 4);
    assert_eq!(world.one("b", &record), Ok(10));
    let program = recall(Subject::Program { program: digest(world::PROGRAM) });
    assert_eq!(world.one("b", &program), Ok(13));
    world.must("a", &program);
    let submission = world.submission();
    let refusal = world.one("a", &Body::SubmitRecord { submission }).unwrap_err();
    assert_eq!(refusal, zerotell_ledger::Refusal::Recalled);
    let missing = recall(Subject::Record { statement: digest("none") });
    assert_eq!(world.one("b", &missing), Ok(12));
}
