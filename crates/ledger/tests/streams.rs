//! Random blocks, honest and hostile: whatever comes, money is conserved, verdicts have quorums, roots agree.

mod world;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use certify::wire::{Canonical, decode, encode};
use certify::{Bounded, Digest};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use world::{Habit, World, digest, inner};
use zerotell_ledger::entry::{Models, Records, Shown, Status, Suspended, Validators};
use zerotell_ledger::transaction::{Accusation, Step, Subject, Submission};
use zerotell_ledger::{
    Body, Changes, Envelope, Fault, Lane, Parameters, Scan, Store, account_of, execute, seat,
};

/// Another store than the usual one: unordered pairs, searched from the end.
#[derive(Default)]
struct Shelf(RefCell<Vec<Written>>);
type Written = (Vec<u8>, Option<Vec<u8>>);

impl Shelf {
    fn apply(&self, changes: Changes) {
        self.0.borrow_mut().extend(changes);
    }

    fn tidy(&self) {
        let all: BTreeMap<_, _> = self.0.borrow_mut().drain(..).collect();
        self.0.borrow_mut().extend(all.into_iter().rev().filter(|(_, value)| value.is_some()));
    }
}

impl Store for Shelf {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.0.borrow().iter().rev().find(|(at, _)| at == key).and_then(|(_, value)| value.clone()))
    }
}

/// What one of the users or validators does next.
#[derive(Clone, Debug)]
enum Act {
    Transfer(u8, u64),
    Submit(u16),
    Copy(u8),
    Bond(u64, u8),
    Unbond(u64),
    Doubt(u8),
    Trace(u8, u8),
    Equivocate(u8, bool),
    Early(u8),
    Recall(u8, u8),
    Update(u8),
    Step(u8, u8),
    Garbage(Vec<u8>),
    Engine(u8),
    Canary(u8),
    /// All validators vote: for the recall of a verifier, or for parameters with another one.
    Campaign(bool),
}

fn amounts() -> impl Strategy<Value = u64> {
    prop_oneof![0..5u64, 0..2_000_000u64, Just(u64::MAX), Just(u64::MAX - 1), Just(1 << 62)]
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        (any::<u8>(), amounts()).prop_map(|(to, amount)| Act::Transfer(to, amount)),
        (0..4u16).prop_map(Act::Submit),
        (0..4u16).prop_map(Act::Submit),
        any::<u8>().prop_map(Act::Copy),
        (amounts(), any::<u8>()).prop_map(|(amount, of)| Act::Bond(amount, of)),
        amounts().prop_map(Act::Unbond),
        any::<u8>().prop_map(Act::Doubt),
        any::<u8>().prop_map(Act::Doubt),
        any::<(u8, u8)>().prop_map(|(of, trace)| Act::Trace(of, trace)),
        any::<(u8, bool)>().prop_map(|(of, same)| Act::Equivocate(of, same)),
        any::<u8>().prop_map(Act::Early),
        any::<(u8, u8)>().prop_map(|(kind, of)| Act::Recall(kind, of)),
        any::<u8>().prop_map(Act::Update),
        any::<(u8, u8)>().prop_map(|(to, of)| Act::Step(to, of)),
        proptest::collection::vec(any::<u8>(), 0..30).prop_map(Act::Garbage),
        any::<u8>().prop_map(Act::Engine),
        any::<u8>().prop_map(Act::Canary),
        any::<bool>().prop_map(Act::Campaign),
    ]
}

const NAMES: [&str; 9] = ["a", "b", "c", "v0", "v1", "v2", "v3", "v4", "v5"];

fn name(of: u8) -> &'static str {
    NAMES[usize::from(of) % NAMES.len()]
}

struct Stream {
    world: World,
    shelf: Shelf,
    submitted: Vec<Submission>,
}

impl Stream {
    fn known(&self, of: u8) -> Digest {
        let at = usize::from(of) % self.submitted.len().max(1);
        self.submitted.get(at).map_or(digest("unknown"), |submission| submission.statement)
    }

    fn commitment(&self, of: u8, salt: u8) -> Vec<u8> {
        let account = self.world.account(name(of));
        let round = self.world.tip.height;
        let body = seat::commit(&self.world.genesis.network(), &account, round, &[], &[salt; 32]);
        self.world.sign_seat(&account, round, &body)
    }

    fn body(&mut self, act: &Act) -> Body {
        match act {
            Act::Transfer(to, amount) => {
                Body::Transfer { to: self.world.account(name(*to)), amount: *amount }
            }
            Act::Submit(code) => {
                let mut submission = self.world.submission();
                if *code == 3 {
                    self.world.truth.missing.insert(submission.statement);
                } else if *code != 0 {
                    self.world.truth.bad.insert(submission.statement, *code);
                    self.world.other.flips.insert(submission.statement);
                }
                submission.seal = zerotell_ledger::evidence::seal(&self.world.account("v0"), &[1; 32]);
                self.submitted.push(submission.clone());
                Body::SubmitRecord { submission }
            }
            Act::Copy(of) => {
                let mut submission = self.world.submission();
                let old = self.known(*of);
                submission.nullifier =
                    self.submitted.iter().find(|s| s.statement == old).map_or([0; 32], |s| s.nullifier);
                Body::SubmitRecord { submission }
            }
            Act::Bond(amount, of) => {
                let account = self.world.account(name(*of));
                let possession = Bounded::new(account.to_vec()).unwrap();
                let consensus = world::consensus(&account);
                let address = if amount % 3 == 0 { b"v.example.org:7100".to_vec() } else { Vec::new() };
                Body::Bond { amount: *amount, consensus, possession, address: Bounded::new(address).unwrap() }
            }
            Act::Unbond(amount) => Body::Unbond { amount: *amount },
            Act::Recall(kind, of) => {
                let subject = match kind % 4 {
                    0 => Subject::Record { statement: self.known(*of) },
                    1 if *kind > 250 => Subject::Program { program: digest(world::PROGRAM) },
                    2 => Subject::Verifier { version: u16::from(of % 3) },
                    _ => Subject::Resume { class: 1 },
                };
                Body::Recall { subject, reason: 1 }
            }
            Act::Update(of) => {
                let verifier = 1 + u16::from(of % 3);
                let parameters = Parameters {
                    verifier,
                    commit_blocks: 1 + u64::from(of % 2),
                    ..self.world.genesis.parameters.clone()
                };
                Body::UpdateParameters { parameters }
            }
            Act::Step(to, of) => Body::AdvanceEpoch {
                step: Step {
                    model: digest("model"),
                    weights: [*to; 32],
                    statement: [*of; 32],
                    proof: [1; 32],
                    proof_bytes: 1_000,
                    verifier: 1,
                },
            },
            Act::Garbage(_) | Act::Campaign(_) => Body::Unbond { amount: 0 },
            other => Body::Evidence { accusation: self.accusation(other) },
        }
    }

    fn accusation(&self, act: &Act) -> Accusation {
        match act {
            Act::Trace(of, trace) => {
                Accusation::WrongExecution { statement: self.known(*of), trace: [*trace; 32] }
            }
            Act::Equivocate(of, same) => Accusation::Equivocation {
                first: inner(self.commitment(*of, 1)),
                second: inner(self.commitment(*of, if *same { 1 } else { 2 })),
            },
            Act::Early(of) => {
                let (account, round) = (self.world.account(name(*of)), self.world.tip.height);
                let body = seat::reveal(round, &[], &[0; 32]).unwrap();
                Accusation::EarlyReveal { reveal: inner(self.world.sign_seat(&account, round, &body)) }
            }
            Act::Engine(of) => {
                let consensus = world::consensus(&self.world.account(name(*of)));
                Accusation::Engine { epoch: 0, evidence: Bounded::new(consensus.to_vec()).unwrap() }
            }
            Act::Canary(of) if !self.submitted.is_empty() => {
                let submission = self.submitted[usize::from(*of) % self.submitted.len()].clone();
                Accusation::Canary { submission, salt: [1; 32] }
            }
            Act::Doubt(of) => Accusation::WrongVerdict { statement: self.known(*of) },
            _ => Accusation::WrongVerdict { statement: digest("unknown") },
        }
    }

    /// One block: the verdicts of the seats, and what the acts ask for, as far as it may be in a block.
    fn block(&mut self, acts: &[(u8, Act)]) {
        let mut candidates = self.world.verdicts();
        let mut nonces: BTreeMap<&str, u64> = BTreeMap::new();
        let all = acts.iter().flat_map(|(who, act)| match act {
            Act::Campaign(false) => (3..9).map(|v| (v, Act::Recall(2, 1))).collect(),
            Act::Campaign(true) => (3..9).map(|v| (v, Act::Update(1))).collect(),
            other => vec![(*who, other.clone())],
        });
        for (who, act) in all {
            let (who, act) = (name(who), &act);
            let body = self.body(act);
            let first = account_of(&self.world.state(), &self.world.account(who)).unwrap().nonce;
            let nonce = nonces.entry(who).or_insert(first);
            let mut transaction = self.world.sign(who, *nonce, 300_000, &body);
            if let Act::Garbage(bytes) = act {
                let at = transaction.len() / 2;
                transaction.splice(at..at, bytes.iter().copied());
            } else {
                *nonce += 1;
            }
            candidates.push(transaction);
        }
        let context = self.world.context();
        let taken = self.world.choose(&candidates);
        // The other store, and other history of writes, gives the same root.
        let list: Vec<_> = taken.iter().map(|&i| candidates[i].clone()).collect();
        let there = execute(&self.shelf, &self.world.facts, context, &list).unwrap();
        assert_eq!((there.state, there.outcomes_root), (self.world.tip.state, self.world.tip.outcomes));
        self.shelf.apply(there.changes);
        self.shelf.tidy();
    }
}

/// How often what happened, over all streams: a test that never reaches a rule shows nothing about it.
#[derive(Debug, Default)]
struct Seen {
    accepted: Cell<u32>,
    rejected: Cell<u32>,
    undecided: Cell<u32>,
    punished: Cell<u32>,
    suspended: Cell<u32>,
    left: Cell<u32>,
    linked: Cell<u32>,
    judged_again: Cell<u32>,
}

fn count(cell: &Cell<u32>, more: impl Into<u32>) {
    cell.set(cell.get() + more.into());
}

impl Seen {
    fn note(&self, stream: &Stream) {
        let state = stream.world.state();
        for submission in &stream.submitted {
            let Some(record) = state.get::<Records>(&submission.statement).unwrap() else { continue };
            match record.status {
                Status::Final { code: 0, .. } => count(&self.accepted, 1u32),
                Status::Final { .. } => count(&self.rejected, 1u32),
                Status::Undecided { .. } => count(&self.undecided, 1u32),
                Status::Pending => panic!("a record waits for ever: {record:?}"),
            }
            assert_eq!(record.held, 0, "a fee is kept for ever: {record:?}");
            count(&self.judged_again, record.verifier != submission.verifier);
        }
        for v in &stream.world.validators {
            let validator = state.get::<Validators>(v).unwrap().unwrap();
            count(&self.punished, validator.offences.min(1));
            count(&self.left, validator.bond == 0);
        }
        count(&self.suspended, state.has::<Suspended>(&1).unwrap());
        let model = state.get::<Models>(&(stream.world.account("a"), digest("model"))).unwrap();
        count(&self.linked, model.is_some_and(|model| model.links > 0));
    }

    fn check(&self) {
        let Self { accepted, rejected, undecided, punished, suspended, left, linked, judged_again } = self;
        for seen in [accepted, rejected, undecided, punished, suspended, left, linked, judged_again] {
            assert!(seen.get() > 0, "the streams do not reach everything: {self:?}");
        }
    }
}

fn begin(habits: &[u8]) -> Stream {
    let usual = World::new(&[1_000]).genesis.parameters;
    let asking = Parameters { custody_rounds: 2, custody_blocks: 100, ..usual };
    let mut world = World::with(&[700, 900, 1_000, 400, 2_000, 1_000], asking);
    for v in NAMES.iter().filter(|name| name.starts_with('v')) {
        world.must("a", &Body::Transfer { to: world.account(v), amount: 30_000_000 });
    }
    for (v, habit) in habits.iter().enumerate() {
        let bad = [
            Habit::Lazy,
            Habit::Stubborn,
            Habit::Liar,
            Habit::OtherBuild,
            Habit::Silent,
            Habit::Hider,
            Habit::Slow,
            Habit::SlowLazy,
        ];
        let habit = bad.get(usize::from(*habit)).copied().unwrap_or(Habit::Honest);
        world.habits.insert(world.account(&format!("v{v}")), habit);
    }
    let shelf = Shelf::default();
    let copied = Scan::scan(&world.store);
    shelf.apply(copied.map(|(key, value)| (key.to_vec(), Some(value.to_vec()))).collect());
    Stream { world, shelf, submitted: Vec::new() }
}

/// `World` audits the whole state after every block.
#[test]
fn whatever_comes_the_books_balance() {
    let habits = proptest::collection::vec(0..24u8, 6);
    let block = proptest::collection::vec((any::<u8>(), acts()), 0..6);
    let blocks = proptest::collection::vec(block, 20..110);
    let config =
        ProptestConfig { cases: 40, max_shrink_iters: 200, failure_persistence: None, ..Default::default() };
    let seen = Seen::default();
    // The seed is fixed, so that what is reached is too; `PROPTEST_CASES` makes more.
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let streams = runner.run(&(habits, blocks), |(habits, blocks)| {
        let mut stream = begin(&habits);
        blocks.iter().for_each(|acts| stream.block(acts));
        // Everything that was ordered comes to an end.
        (0..60).for_each(|_| stream.block(&[]));
        seen.note(&stream);
        Ok(())
    });
    streams.unwrap();
    eprintln!("{seen:?}");
    seen.check();
}

fn round_trip<T: Canonical + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = encode(value);
    assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value));
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(decode::<T>(&longer).is_err(), "a byte may be added");
    assert!(decode::<T>(&bytes[..bytes.len() - 1]).is_err(), "a byte may be dropped");
}

/// Every kind of transaction has one spelling; any changed byte is another transaction or none.
#[test]
fn every_kind_has_one_spelling() {
    let world = World::new(&[1_000; 4]);
    let mut stream = Stream { world, shelf: Shelf::default(), submitted: Vec::new() };
    let acts = [
        Act::Transfer(1, 5),
        Act::Submit(0),
        Act::Bond(4, 1),
        Act::Unbond(3),
        Act::Doubt(0),
        Act::Trace(0, 1),
        Act::Equivocate(3, false),
        Act::Early(3),
        Act::Recall(0, 0),
        Act::Recall(2, 1),
        Act::Recall(3, 1),
        Act::Recall(253, 1),
        Act::Update(1),
        Act::Step(1, 1),
        Act::Engine(1),
        Act::Canary(0),
    ];
    let mut bodies: Vec<Body> = acts.iter().map(|act| stream.body(act)).collect();
    let shown = vec![Shown { code: 3, execution: [4; 32] }; 3];
    bodies.push(seat::reveal(7, &shown, &[1; 32]).unwrap());
    bodies.push(seat::commit(&[1; 32], &[2; 32], 7, &shown, &[1; 32]));
    bodies.push(Body::RegisterModel {
        model: [1; 32],
        program: [2; 32],
        program_bytes: 3,
        work: 5,
        weights: [4; 32],
    });
    bodies.push(Body::RegisterDataset { root: [1; 32], schema: [2; 32], source: [3; 32] });
    for body in &bodies {
        round_trip(body);
        let bytes = stream.world.sign("b", 0, 5, body);
        let envelope: Envelope = decode(&bytes).unwrap();
        round_trip(&envelope);
        assert!(envelope.is_signed());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            let Ok(other) = decode::<Envelope>(&changed) else { continue };
            assert_eq!(encode(&other), changed);
            assert!(!other.is_signed() && other != envelope, "byte {at} is not signed");
        }
    }
    assert_eq!(Body::Unbond { amount: 1 }.lane(), Lane::Paid);
}
