//! A made-up world around the ledger: keys, a verifier that knows which proofs are bad, and validators with habits.
#![expect(dead_code, reason = "each test file uses its part of the world")]

use std::collections::{BTreeMap, BTreeSet};

use certify::hash::{Digest, Purpose, hash};
use certify::{Bounded, Committee, Header, encode};
use ed25519_dalek::SigningKey;
use zerotell_ledger::entry::{Record, Records, Round, Rounds, Status, Validators};
use zerotell_ledger::genesis::Founder;
use zerotell_ledger::pool::Pool;
use zerotell_ledger::transaction::{Accusation, Inner, Submission};
use zerotell_ledger::{
    BlockRefusal, Body, Context, EngineOffence, Envelope, Executed, Fault, Genesis, Hooks, Lane, MemoryStore,
    Outcome, Parameters, Penalty, ProgramFacts, Recheck, Rechecked, Refusal, State, Stop, Unsigned,
    account_of, audit, execute, present, propose, seat,
};

pub fn digest(text: &str) -> Digest {
    hash(Purpose("zerotell/test/1"), &[text.as_bytes()])
}

pub fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(&digest(name))
}

/// Answers of the world: programs are known by name, and possession is the account itself.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub programs: BTreeMap<Digest, ProgramFacts>,
    pub missing: BTreeSet<Digest>,
}

impl Hooks for Facts {
    fn possession(&self, account: &Digest, _: &[u8], possession: &[u8]) -> bool {
        possession == account
    }

    fn program(&self, program: &Digest, most: u64) -> Result<Option<ProgramFacts>, Fault> {
        if self.missing.contains(program) {
            return Err(Fault::World { what: "the program" });
        }
        Ok(self.programs.get(program).copied().filter(|facts| facts.work <= most))
    }

    fn engine_offence(&self, evidence: &[u8], _: &Committee) -> Option<EngineOffence> {
        let (consensus, id) = evidence.split_at_checked(96)?;
        Some(EngineOffence { consensus: consensus.to_vec(), id: digest(&format!("{id:?}")) })
    }
}

/// The truth about proofs: those in the map are bad, for the reason given.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    pub bad: BTreeMap<Digest, u16>,
    /// Added to every trace, so that two builds can differ.
    pub build: u8,
    /// Proofs that nobody hands out.
    pub missing: BTreeSet<Digest>,
    /// Proofs this build is wrong about.
    pub flips: BTreeSet<Digest>,
}

impl Recheck for Truth {
    fn recheck(&self, statement: &Digest, record: &Record, _: u16) -> Result<Rechecked, Fault> {
        if self.missing.contains(statement) {
            return Err(Fault::World { what: "a proof" });
        }
        let mut code = self.bad.get(statement).copied().unwrap_or(0);
        if self.flips.contains(statement) {
            code = if code == 0 { 7 } else { 0 };
        }
        let trace =
            hash(Purpose("zerotell/test/trace"), &[&record.proof, &[self.build], &code.to_le_bytes()]);
        Ok(Rechecked { code, trace })
    }

    fn custody(&self, statement: &Digest, record: &Record, beacon: &Digest) -> Result<Digest, Fault> {
        if self.missing.contains(statement) {
            return Err(Fault::World { what: "a proof" });
        }
        Ok(zerotell_ledger::custody::trace(beacon, &record.proof))
    }
}

/// What a validator does with a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    Honest,
    /// Says accept without looking, except where a case makes everyone look.
    Lazy,
    /// Says accept even then.
    Stubborn,
    /// Says that it has older proofs, and has none.
    Bluffer,
    /// Has none, and says so.
    Forgetful,
    /// Looks, and says the opposite, except in cases.
    Liar,
    /// Runs another build, which is wrong about `flips`, in cases too.
    OtherBuild,
    Silent,
    /// Commits to accept without looking, and shows it only where nobody rejected.
    Hider,
    /// Honest, but shows its verdicts five blocks too late.
    Slow,
    /// Lazy, and shows it late.
    SlowLazy,
}

pub struct World {
    pub genesis: Genesis,
    pub store: MemoryStore,
    pub tip: Header,
    pub facts: Facts,
    pub truth: Truth,
    pub other: Truth,
    pub habits: BTreeMap<Digest, Habit>,
    pub keys: BTreeMap<Digest, SigningKey>,
    pub validators: Vec<Digest>,
    /// Digests of blocks, for beacons.
    pub blocks: BTreeMap<u64, Digest>,
    pub pending: Vec<Vec<u8>>,
    /// What each account earned, as the blocks say it.
    pub earned: BTreeMap<Digest, u64>,
    /// What was taken, as the blocks say it.
    pub penalties: Vec<Penalty>,
    pub audited: bool,
    serial: u64,
}

pub const PROGRAM: &str = "program";

impl World {
    /// Validators v0, v1, … with these bonds; users a, b and c with money; short windows.
    pub fn new(bonds: &[u64]) -> Self {
        Self::with(
            bonds,
            Parameters {
                epoch_blocks: 40,
                commit_blocks: 2,
                reveal_blocks: 2,
                trace_blocks: 30,
                unbonding_blocks: 200,
                correlation_blocks: 400,
                parameter_delay: 5,
                least_bond: 100,
                seats: 8,
                least_work_price: 10,
                least_byte_price: 1,
                custody_rounds: 0,
                block_work: 400_000,
                ..Parameters::default()
            },
        )
    }

    pub fn with(bonds: &[u64], parameters: Parameters) -> Self {
        let mut keys = BTreeMap::new();
        let mut named = |name: &str| {
            let secret = key(name);
            let account = secret.verifying_key().to_bytes();
            keys.insert(account, secret);
            account
        };
        let users: Vec<(Digest, u64)> =
            ["a", "b", "c"].iter().map(|name| (named(name), 1_000_000_000_000)).collect();
        let validators: Vec<Digest> = (0..bonds.len()).map(|i| named(&format!("v{i}"))).collect();
        let founder = |(account, bond): (&Digest, &u64)| Founder {
            account: *account,
            consensus: consensus(account),
            bond: *bond,
            address: Bounded::default(),
        };
        let genesis = Genesis {
            time: 1_000,
            balances: Bounded::new(users).unwrap(),
            founders: Bounded::new(validators.iter().zip(bonds).map(founder).collect()).unwrap(),
            parameters,
        };
        let beginning = genesis.begin().unwrap();
        let mut store = MemoryStore::default();
        store.apply(beginning.changes);
        let mut facts = Facts::default();
        facts.programs.insert(digest(PROGRAM), ProgramFacts { work: 3_000, class: 1, bytes: 5_000 });
        facts.programs.insert(digest("second"), ProgramFacts { work: 5_000, class: 2, bytes: 5_000 });
        let blocks = BTreeMap::from([(0, beginning.header.digest())]);
        let mut world = Self {
            habits: validators.iter().map(|v| (*v, Habit::Honest)).collect(),
            genesis,
            store,
            tip: beginning.header,
            facts,
            truth: Truth::default(),
            other: Truth { build: 1, ..Truth::default() },
            keys,
            validators,
            blocks,
            pending: Vec::new(),
            earned: BTreeMap::new(),
            penalties: Vec::new(),
            audited: true,
            serial: 0,
        };
        let register = Body::RegisterModel {
            model: digest("model"),
            program: digest(PROGRAM),
            program_bytes: 5_000,
            work: 5_000,
            weights: digest("weights 0"),
        };
        world.must("a", &register);
        world
    }

    /// What admission says to a transaction that offers nothing.
    pub fn choose_price(&self, name: &str, body: &Body) -> Result<(), Stop> {
        let nonce = account_of(&self.state(), &self.account(name)).unwrap().nonce;
        Pool::new(1 << 20).add(&self.state(), &self.sign(name, nonce, 0, body)).map(|_| ())
    }

    pub fn account(&self, name: &str) -> Digest {
        key(name).verifying_key().to_bytes()
    }

    pub fn state(&self) -> State<'_> {
        State::new(&self.store)
    }

    pub fn balance(&self, name: &str) -> u64 {
        account_of(&self.state(), &self.account(name)).unwrap().balance
    }

    pub fn stake(&self, name: &str) -> u64 {
        let validator = self.state().get::<Validators>(&self.account(name)).unwrap().unwrap();
        u64::try_from(validator.slashable()).unwrap()
    }

    pub fn record(&self, statement: &Digest) -> Record {
        self.state().get::<Records>(statement).unwrap().unwrap()
    }

    pub fn status(&self, statement: &Digest) -> Status {
        self.record(statement).status
    }

    pub fn context(&self) -> Context {
        let height = self.tip.height + 1;
        let committee = self.committee(height);
        let turn = usize::try_from(height).unwrap() % committee.seats.len();
        let proposer = committee.seats[turn].account;
        Context { height, time: self.tip.time + 50, proposer, parent: self.tip.digest() }
    }

    pub fn committee(&self, height: u64) -> Committee {
        let epoch = zerotell_ledger::epoch_of(&self.genesis.parameters, height);
        self.state().get::<zerotell_ledger::entry::Committees>(&epoch).unwrap().unwrap()
    }

    /// A signed transaction with the right nonce and a fee that suffices.
    pub fn transaction(&self, name: &str, body: &Body) -> Vec<u8> {
        let account = account_of(&self.state(), &self.account(name)).unwrap();
        self.sign(name, account.nonce, 400_000, body)
    }

    pub fn sign(&self, name: &str, nonce: u64, fee: u64, body: &Body) -> Vec<u8> {
        let unsigned = Unsigned { network: self.genesis.network(), lane: body.lane(), nonce, fee };
        encode(&Envelope::sign(&key(name), unsigned, body).unwrap())
    }

    /// A verdict message as the seat would sign it.
    pub fn sign_seat(&self, account: &Digest, round: u64, body: &Body) -> Vec<u8> {
        let unsigned = Unsigned { network: self.genesis.network(), lane: Lane::Seat, nonce: round, fee: 0 };
        encode(&Envelope::sign(&self.keys[account], unsigned, body).unwrap())
    }

    /// One block with these transactions, all of which must be admitted.
    pub fn block(&mut self, transactions: &[Vec<u8>]) -> Result<Vec<Outcome>, BlockRefusal> {
        let context = self.context();
        let executed = execute(&self.store, &self.facts, context, transactions)?;
        let outcomes = executed.outcomes.clone();
        self.adopt(&context, executed);
        Ok(outcomes)
    }

    pub fn adopt(&mut self, context: &Context, executed: Executed) {
        self.tip = executed.header(self.genesis.network(), context, [0; 32]);
        self.blocks.insert(self.tip.height, self.tip.digest());
        for reward in &executed.rewards {
            *self.earned.entry(reward.account).or_default() += reward.amount;
        }
        self.penalties.extend(&executed.penalties);
        self.store.apply(executed.changes);
        if self.audited {
            audit(&self.store).unwrap_or_else(|finding| panic!("height {}: {finding}", self.tip.height));
        }
    }

    /// A transaction in a block of its own; gives the code of its outcome.
    pub fn one(&mut self, name: &str, body: &Body) -> Result<u16, Refusal> {
        let transaction = self.transaction(name, body);
        let mut all = self.verdicts();
        all.push(transaction);
        match self.block(&all) {
            Ok(outcomes) => Ok(outcomes.last().unwrap().code),
            Err(BlockRefusal::Transaction { refusal, index }) if index + 1 == all.len() => Err(refusal),
            Err(other) => panic!("{other}"),
        }
    }

    pub fn must(&mut self, name: &str, body: &Body) {
        assert_eq!(self.one(name, body), Ok(0), "{body:?}");
    }

    /// A record that was never seen before.
    pub fn submission(&mut self) -> Submission {
        self.serial += 1;
        let d = |what: &str| digest(&format!("{what} {}", self.serial));
        Submission {
            statement: d("statement"),
            proof: d("proof"),
            proof_bytes: 200_000,
            program: digest(PROGRAM),
            roots: d("roots"),
            revealed: d("revealed"),
            policy: [0; 32],
            context: d("context"),
            nullifier: d("nullifier"),
            seal: d("seal"),
            verifier: present(&self.state()).unwrap().parameters.verifier,
        }
    }

    /// Submits a fresh record, bad for `code` if that is not 0.
    pub fn submit(&mut self, name: &str, code: u16) -> Digest {
        let submission = self.submission();
        let statement = submission.statement;
        if code != 0 {
            self.truth.bad.insert(statement, code);
            self.other.bad.insert(statement, code);
        }
        self.must(name, &Body::SubmitRecord { submission });
        statement
    }

    /// What the seats say in the next block, each by its habit.
    pub fn verdicts(&self) -> Vec<Vec<u8>> {
        let (state, height) = (self.state(), self.tip.height + 1);
        let span = self.genesis.parameters.round_blocks() + 50;
        let mut list = Vec::new();
        for at in height.saturating_sub(span)..height {
            let Some((round, committee)) = seat::round(&state, at).unwrap() else { continue };
            for member in committee.seats.iter() {
                list.extend(self.said(&state, (at, &round), &member.account, height));
            }
        }
        list
    }

    fn said(
        &self,
        state: &State<'_>,
        (at, round): (u64, &Round),
        account: &Digest,
        height: u64,
    ) -> Option<Vec<u8>> {
        let habit = self.habits.get(account).copied().unwrap_or(Habit::Honest);
        if habit == Habit::Silent {
            return None;
        }
        let salt = hash(Purpose("zerotell/test/salt"), &[account, &at.to_le_bytes()]);
        let shown = self.shown(state, (at, round), account, habit);
        if height == at + 1 {
            let body = seat::commit(&self.genesis.network(), account, at, &shown, &salt);
            return Some(self.sign_seat(account, at, &body));
        }
        let is_shy = habit == Habit::Hider
            && round.items.iter().any(|item| self.truth.bad.contains_key(&item.statement));
        let wait = if matches!(habit, Habit::Slow | Habit::SlowLazy) { 40 } else { 1 };
        if height == round.commit_until + wait && !is_shy {
            return Some(self.sign_seat(account, at, &seat::reveal(at, &shown, &salt).unwrap()));
        }
        None
    }

    pub fn shown(
        &self,
        state: &State<'_>,
        (at, round): (u64, &Round),
        account: &Digest,
        habit: Habit,
    ) -> Vec<zerotell_ledger::entry::Shown> {
        use zerotell_ledger::entry::Purpose as Why;
        let truth = if habit == Habit::OtherBuild { &self.other } else { &self.truth };
        let mut shown = seat::verdicts(state, truth, account, at, &self.blocks[&at]).unwrap().unwrap();
        for (item, shown) in round.items.iter().zip(&mut shown) {
            let looks = item.purpose != Why::Order;
            let guess = digest(&format!("guess {account:?}"));
            match habit {
                Habit::Lazy | Habit::Hider | Habit::SlowLazy if !looks => {
                    (shown.code, shown.execution) = (0, guess)
                }
                Habit::Stubborn => (shown.code, shown.execution) = (0, guess),
                Habit::Bluffer if item.purpose == Why::Custody => (shown.code, shown.execution) = (0, guess),
                Habit::Forgetful if item.purpose == Why::Custody => {
                    (shown.code, shown.execution) = (zerotell_ledger::entry::ABSTAIN, [0; 32]);
                }
                Habit::Liar if !looks => shown.code = if shown.code == 0 { 9 } else { 0 },
                _ => {}
            }
        }
        shown
    }

    /// Blocks with nothing but verdicts.
    pub fn go(&mut self, blocks: u64) {
        for _ in 0..blocks {
            let verdicts = self.verdicts();
            self.block(&verdicts).unwrap();
        }
    }

    /// Until everything that was ordered is settled, cases too.
    pub fn rest(&mut self) {
        self.go(3 * (self.genesis.parameters.round_blocks() + 2));
    }

    /// Whether a round of the last blocks is not settled yet.
    pub fn round_open(&self) -> bool {
        let span = self.genesis.parameters.round_blocks() + 1;
        (self.tip.height.saturating_sub(span)..=self.tip.height).any(|at| {
            let round = self.state().get::<Rounds>(&at).unwrap();
            round.is_some_and(|round| round.reveal_until > self.tip.height)
        })
    }

    pub fn round(&self, height: u64) -> Round {
        self.state().get::<Rounds>(&height).unwrap().unwrap()
    }

    pub fn accuse(&mut self, name: &str, accusation: Accusation) -> Result<u16, Refusal> {
        self.one(name, &Body::Evidence { accusation })
    }

    /// Makes a block by choosing among candidates.
    pub fn choose(&mut self, candidates: &[Vec<u8>]) -> Vec<usize> {
        let context = self.context();
        let (taken, executed) = propose(&self.store, &self.facts, context, candidates).unwrap();
        // Whoever checks the block gets the same.
        let list: Vec<_> = taken.iter().map(|&i| candidates[i].clone()).collect();
        assert_eq!(execute(&self.store, &self.facts, context, &list).unwrap(), executed);
        self.adopt(&context, executed);
        taken
    }
}

pub fn consensus(account: &Digest) -> Bounded<u8, 128> {
    Bounded::new([account.as_slice(), account, account].concat()).unwrap()
}

pub fn inner(bytes: Vec<u8>) -> Inner {
    Bounded::new(bytes).unwrap()
}
