//! A network around the real ledger: keys, money, a truth about proofs, and seats that do what an experiment says.
//!
//! Every transaction is signed and executed by `ledger::execute`; nothing of the ledger's rules is repeated here. What is
//! made up is the verifier (the truth is a map from statements to codes), the order of proposers (seats in turn), and
//! windows that are shorter than the defaults, so that a round takes 5 blocks.

use std::collections::BTreeMap;

use certify::hash::{Digest, Purpose as Hashing, hash};
use certify::{Bounded, Committee, Header, encode};
use ed25519_dalek::SigningKey;
use ledger::entry::{
    ABSTAIN, Committees, Purpose, Record, Records, Round, Shown, Suspended, Treasuries, Treasury, Validator,
    Validators,
};
use ledger::genesis::Founder;
use ledger::transaction::{Accusation, Submission};
use ledger::verdict::execution_digest;
use ledger::{
    Body, Context, EngineOffence, Envelope, Executed, Fault, Genesis, Hooks, Lane, MemoryStore, Outcome,
    Parameters, ProgramFacts, State, Unsigned, account_of, audit, execute, present, prices, propose, seat,
};

/// Microseconds of verifying a proof of the program that most experiments use.
pub const WORK: u64 = 3_000;
/// Bytes of its proofs.
pub const PROOF_BYTES: u32 = 200_000;
/// Units that each user begins with.
pub const PURSE: u64 = 10_000_000_000_000_000;
/// Why a proof is bad; any code from 16 on would do.
pub const BAD: u16 = 16;

/// The default rules with short windows and blocks that never fill, so that prices stay at their floor.
pub fn rules() -> Parameters {
    Parameters {
        epoch_blocks: 60,
        commit_blocks: 2,
        reveal_blocks: 2,
        trace_blocks: 40,
        unbonding_blocks: 400,
        correlation_blocks: 400,
        parameter_delay: 5,
        seats: 128,
        block_work: 1_000_000_000,
        block_bytes: 1_000_000_000,
        in_flight: 60_000,
        canary_rate: 0,
        custody_rounds: 0,
        ..Parameters::default()
    }
}

/// Somebody with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Holder of a seat, by number in the order of creation.
    Seat(usize),
    /// Somebody without one.
    User(usize),
}

/// Which run of a verifier an execution digest comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// The pinned build's.
    True,
    /// Another build's.
    Build(u8),
    /// None: it was made up.
    Guess,
}

/// What a seat says of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Say {
    /// A code, 0 to accept, and where it comes from.
    Code(u16, Trace),
    /// That it has no verdict.
    Abstain,
}

/// What a seat is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The record.
    pub statement: Digest,
    /// What the verifier says of it; only who looks may use this.
    pub truth: u16,
    /// Whether it is known that the record is in doubt.
    pub is_case: bool,
    /// The block that ordered the round.
    pub height: u64,
}

impl Seen {
    /// What an honest seat says.
    pub fn look(&self) -> Say {
        Say::Code(self.truth, Trace::True)
    }
}

/// How seats behave. The methods given are those of honest seats.
pub trait Conduct {
    /// What a seat says of an item.
    fn say(&mut self, _seat: usize, seen: &Seen) -> Say {
        seen.look()
    }

    /// Whether a seat commits to verdicts on the round of this height.
    fn commits(&mut self, _seat: usize, _height: u64) -> bool {
        true
    }

    /// In which block of the window for commitments it commits, from 1.
    fn delay(&self, _seat: usize) -> u64 {
        1
    }

    /// Whether it shows them, knowing whether others reject an item.
    fn reveals(&mut self, _seat: usize, _height: u64, _has_bad: bool) -> bool {
        true
    }
}

/// All seats are honest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Honest;

impl Conduct for Honest {}

/// Programs by name; possession is the account itself; the engine reports nothing.
#[derive(Clone, Debug, Default)]
struct Facts(BTreeMap<Digest, ProgramFacts>);

impl Hooks for Facts {
    fn possession(&self, account: &Digest, _: &[u8], possession: &[u8]) -> bool {
        possession == account
    }

    fn program(&self, program: &Digest, most: u64) -> Result<Option<ProgramFacts>, Fault> {
        Ok(self.0.get(program).copied().filter(|facts| facts.work <= most))
    }

    fn engine_offence(&self, _: &[u8], _: &Committee) -> Option<EngineOffence> {
        None
    }
}

/// The network.
pub struct World {
    /// The ledger's state.
    pub store: MemoryStore,
    /// The last header.
    pub tip: Header,
    /// What the last block used of its limits.
    pub used: ledger::Used,
    /// What each seat earned by proposing, which is part of its balance.
    pub proposed: Vec<u64>,
    /// Set aside for this epoch's proposers, and blocks of each.
    pot: u64,
    turns: Vec<u64>,
    /// Who proposes, in turn; if empty, every seat in the order of accounts.
    pub schedule: Vec<usize>,
    network: Digest,
    rules: Parameters,
    facts: Facts,
    seats: Vec<SigningKey>,
    users: Vec<SigningKey>,
    accounts: BTreeMap<Digest, usize>,
    blocks: BTreeMap<u64, Digest>,
    truth: BTreeMap<Digest, u16>,
    said: BTreeMap<(u64, usize), (Vec<Shown>, Digest)>,
    pending: Vec<Vec<u8>>,
    ahead: BTreeMap<Who, u64>,
    serial: u64,
}

fn name(text: &str) -> Digest {
    hash(Hashing("zerotell/sim/name/1"), &[text.as_bytes()])
}

/// The program of class `class`; each has work of its own.
pub fn program(class: u32) -> Digest {
    name(&format!("program {class}"))
}

fn consensus_key(account: &Digest) -> Bounded<u8, 128> {
    Bounded::new([account.as_slice(), account, account].concat()).expect("96 bytes")
}

/// The trace of a build's run on a record.
pub fn trace(statement: &Digest, code: u16, build: u8) -> Digest {
    hash(Hashing("zerotell/sim/trace/1"), &[statement, &code.to_le_bytes(), &[build]])
}

impl World {
    /// Seats with these bonds, `users` with [`PURSE`] each, and programs of the classes 1 and 2 that cost [`WORK`] and
    /// twenty times that.
    pub fn new(rules: Parameters, bonds: &[u64], users: usize) -> Self {
        let key = |kind: &str, i: usize| SigningKey::from_bytes(&name(&format!("{kind} {i}")));
        let seats: Vec<SigningKey> = (0..bonds.len()).map(|i| key("seat", i)).collect();
        let users: Vec<SigningKey> = (0..users.max(1)).map(|i| key("user", i)).collect();
        let public = |key: &SigningKey| key.verifying_key().to_bytes();
        let founder = |(key, bond): (&SigningKey, &u64)| Founder {
            account: public(key),
            consensus: consensus_key(&public(key)),
            bond: *bond,
            address: Bounded::default(),
        };
        let purses = users.iter().map(|key| (public(key), PURSE));
        let small = seats.iter().map(|key| (public(key), PURSE / 100));
        let genesis = Genesis {
            time: 1_000,
            balances: Bounded::new(purses.chain(small).collect()).expect("few accounts"),
            founders: Bounded::new(seats.iter().zip(bonds).map(founder).collect()).expect("few seats"),
            parameters: rules.clone(),
        };
        let beginning = genesis.begin().expect("a sound genesis");
        let mut store = MemoryStore::default();
        store.apply(beginning.changes);
        let mut world = Self {
            store,
            blocks: BTreeMap::from([(0, beginning.header.digest())]),
            tip: beginning.header,
            used: ledger::Used::default(),
            proposed: vec![0; bonds.len()],
            pot: 0,
            turns: vec![0; bonds.len()],
            schedule: Vec::new(),
            network: genesis.network(),
            rules,
            facts: Facts::default(),
            accounts: seats.iter().enumerate().map(|(i, key)| (public(key), i)).collect(),
            seats,
            users,
            truth: BTreeMap::new(),
            said: BTreeMap::new(),
            pending: Vec::new(),
            ahead: BTreeMap::new(),
            serial: 0,
        };
        for (class, work) in [(1, WORK), (2, 20 * WORK)] {
            world.facts.0.insert(program(class), ProgramFacts { work, class, bytes: 5_000 });
            let body = Body::RegisterModel {
                model: name(&format!("model {class}")),
                program: program(class),
                program_bytes: 5_000,
                work,
                weights: name("weights"),
            };
            world.pay(Who::User(0), 10_000_000_000, &body);
        }
        world.go(1, &mut Honest);
        world
    }

    /// Seats of equal bonds, the least that the default rules take.
    pub fn equal(rules: Parameters, seats: usize, users: usize) -> Self {
        let bond = rules.least_bond;
        Self::new(rules, &vec![bond; seats], users)
    }

    fn key(&self, who: Who) -> &SigningKey {
        match who {
            Who::Seat(i) => &self.seats[i],
            Who::User(i) => &self.users[i],
        }
    }

    /// Somebody's account.
    pub fn account(&self, who: Who) -> Digest {
        self.key(who).verifying_key().to_bytes()
    }

    /// The state after the last block.
    pub fn state(&self) -> State<'_> {
        State::new(&self.store)
    }

    /// What the validator entry of a seat says.
    pub fn validator(&self, seat: usize) -> Validator {
        let entry = self.state().get::<Validators>(&self.account(Who::Seat(seat)));
        entry.expect("a sound state").expect("a validator")
    }

    /// Units in an account.
    pub fn balance(&self, who: Who) -> u64 {
        account_of(&self.state(), &self.account(who)).expect("a sound state").balance
    }

    /// What a seat can lose: its bond and withdrawals.
    pub fn stake(&self, seat: usize) -> u64 {
        u64::try_from(self.validator(seat).slashable()).expect("less than all money")
    }

    /// All that a seat has.
    pub fn wealth(&self, seat: usize) -> i128 {
        i128::from(self.balance(Who::Seat(seat))) + i128::from(self.stake(seat))
    }

    /// Money that is nobody's.
    pub fn treasury(&self) -> Treasury {
        self.state().get::<Treasuries>(&()).expect("a sound state").unwrap_or_default()
    }

    /// A record.
    pub fn record(&self, statement: &Digest) -> Record {
        self.state().get::<Records>(statement).expect("a sound state").expect("a record")
    }

    /// Whether a class of programs is suspended.
    pub fn is_suspended(&self, class: u32) -> bool {
        self.state().has::<Suspended>(&class).expect("a sound state")
    }

    /// What a seat has, without what it earned by proposing: that goes by turns, not by what it says.
    pub fn voted(&self, seat: usize) -> i128 {
        self.wealth(seat) - i128::from(self.proposed[seat])
    }

    /// Who decides at a height.
    pub fn committee(&self, height: u64) -> Committee {
        let epoch = ledger::epoch_of(&self.rules, height);
        self.state().get::<Committees>(&epoch).expect("a sound state").expect("a committee")
    }

    /// The next block; seats propose in turn.
    pub fn context(&self) -> Context {
        let height = self.tip.height + 1;
        let committee = self.committee(height);
        let turn = |length: usize| (height % length as u64) as usize;
        let proposer = if self.schedule.is_empty() {
            committee.seats.get(turn(committee.seats.len())).expect("a seat").account
        } else {
            self.account(Who::Seat(self.schedule[turn(self.schedule.len())]))
        };
        Context { height, time: self.tip.time + 50, proposer, parent: self.tip.digest() }
    }

    /// The number of the seat that proposes the next block.
    pub fn proposer(&self) -> usize {
        self.accounts[&self.context().proposer]
    }

    /// Least fee of a record of a class now, and a little more for the transaction's own bytes.
    pub fn price(&self, class: u32) -> u64 {
        let chain = present(&self.state()).expect("a sound state");
        let work = self.facts.0.get(&program(class)).map_or(0, |facts| facts.work);
        let work = self.rules.transaction_work + work;
        prices::price(&chain, work, u64::from(PROOF_BYTES) + 600).expect("a price")
    }

    /// Least fee of an accusation, and a little more.
    pub fn accusing_price(&self) -> u64 {
        let chain = present(&self.state()).expect("a sound state");
        prices::price(&chain, self.rules.transaction_work + WORK, 400).expect("a price")
    }

    /// Signs what somebody pays for, with the next nonce.
    pub fn sign(&mut self, who: Who, fee: u64, body: &Body) -> Vec<u8> {
        let ahead = self.ahead.entry(who).or_default();
        let more = *ahead;
        *ahead += 1;
        let nonce = account_of(&self.state(), &self.account(who)).expect("a sound state").nonce + more;
        self.sign_at(who, nonce, fee, body)
    }

    /// Signs with a nonce of one's own choice.
    pub fn sign_at(&self, who: Who, nonce: u64, fee: u64, body: &Body) -> Vec<u8> {
        let unsigned = Unsigned { network: self.network, lane: body.lane(), nonce, fee };
        encode(&Envelope::sign(self.key(who), unsigned, body).expect("a short body"))
    }

    /// Signs a seat's message about a round.
    pub fn sign_seat(&self, seat: usize, round: u64, body: &Body) -> Vec<u8> {
        let unsigned = Unsigned { network: self.network, lane: Lane::Seat, nonce: round, fee: 0 };
        encode(&Envelope::sign(&self.seats[seat], unsigned, body).expect("a short body"))
    }

    /// Puts a transaction in the next block.
    pub fn pay(&mut self, who: Who, fee: u64, body: &Body) {
        let bytes = self.sign(who, fee, body);
        self.pending.push(bytes);
    }

    /// A record that was never seen before, of which the verifier will say `truth`.
    pub fn submission(&mut self, class: u32, truth: u16) -> Submission {
        self.serial += 1;
        let d = |what: &str| name(&format!("{what} {}", self.serial));
        let statement = d("statement");
        self.truth.insert(statement, truth);
        Submission {
            statement,
            proof: d("proof"),
            proof_bytes: PROOF_BYTES,
            program: program(class),
            roots: d("roots"),
            revealed: d("revealed"),
            policy: [0; 32],
            context: d("context"),
            nullifier: d("nullifier"),
            seal: d("seal"),
            verifier: self.rules.verifier,
        }
    }

    /// Puts a record of class 1 in the next block.
    pub fn submit(&mut self, who: Who, truth: u16, fee: u64) -> Digest {
        let submission = self.submission(1, truth);
        let statement = submission.statement;
        self.pay(who, fee, &Body::SubmitRecord { submission });
        statement
    }

    /// Accuses those who were wrong about a record.
    pub fn accuse(&mut self, who: Who, statement: Digest) {
        let accusation = Accusation::WrongVerdict { statement };
        let fee = self.accusing_price();
        self.pay(who, fee, &Body::Evidence { accusation });
    }

    /// Accuses those who did not run the verifier, by showing what a run gives.
    pub fn accuse_execution(&mut self, who: Who, statement: Digest) {
        let trace = trace(&statement, self.truth[&statement], 0);
        let accusation = Accusation::WrongExecution { statement, trace };
        let fee = self.accusing_price();
        self.pay(who, fee, &Body::Evidence { accusation });
    }

    /// Blocks with what is pending and what the seats say.
    ///
    /// # Panics
    /// If the ledger refuses a block: experiments hand in what the rules allow.
    pub fn go(&mut self, blocks: u64, conduct: &mut dyn Conduct) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for _ in 0..blocks {
            let mut list = self.verdicts(conduct);
            list.append(&mut self.pending);
            let context = self.context();
            let executed = execute(&self.store, &self.facts, context, &list);
            let executed = executed.unwrap_or_else(|why| panic!("height {}: {why}", context.height));
            outcomes.extend(executed.outcomes.iter().copied());
            self.adopt(&context, executed);
        }
        outcomes
    }

    /// Blocks until all rounds that are open now are settled, cases that follow too.
    pub fn rest(&mut self, conduct: &mut dyn Conduct) {
        self.go(2 * (self.rules.round_blocks() + 2), conduct);
    }

    /// Blocks until the present epoch is over.
    pub fn end_epoch(&mut self, conduct: &mut dyn Conduct) {
        let left = self.rules.epoch_blocks - self.tip.height % self.rules.epoch_blocks;
        self.go(left, conduct);
    }

    /// A block of those candidates that may be in it; gives the places of those taken.
    pub fn choose<T: AsRef<[u8]>>(&mut self, candidates: &[T]) -> Vec<usize> {
        let context = self.context();
        let (taken, executed) =
            propose(&self.store, &self.facts, context, candidates).expect("a block can be made");
        self.adopt(&context, executed);
        taken
    }

    /// Whether the ledger takes this block; nothing is changed.
    pub fn refusal(&self, list: &[Vec<u8>]) -> Option<String> {
        execute(&self.store, &self.facts, self.context(), list).err().map(|why| why.to_string())
    }

    fn adopt(&mut self, context: &Context, executed: Executed) {
        self.used = executed.used;
        let part = |fee: u64| (u128::from(fee) * u128::from(self.rules.proposer_share) / 10_000) as u64;
        self.pot += executed.outcomes.iter().map(|outcome| part(outcome.fee)).sum::<u64>();
        self.turns[self.accounts[&context.proposer]] += 1;
        if executed.next.is_some() {
            self.pay_proposers(context.height);
        }
        self.tip = executed.header(self.network, context, [0; 32]);
        self.blocks.insert(self.tip.height, self.tip.digest());
        self.store.apply(executed.changes);
        self.ahead.clear();
    }

    /// What the ledger pays at the end of an epoch: by stake times blocks.
    fn pay_proposers(&mut self, height: u64) {
        let committee = self.committee(height);
        let seats = committee.seats.iter().map(|seat| (self.accounts[&seat.account], seat.stake));
        let weights: Vec<(usize, u128)> =
            seats.map(|(seat, stake)| (seat, u128::from(stake) * u128::from(self.turns[seat]))).collect();
        let all = weights.iter().map(|(_, weight)| weight).sum::<u128>().max(1);
        for (seat, weight) in weights {
            let part = (weight << 32) / all;
            self.proposed[seat] += ((u128::from(self.pot) * part) >> 32) as u64;
        }
        self.pot = 0;
        self.turns.fill(0);
    }

    /// Checks the whole state from scratch.
    ///
    /// # Panics
    /// If it does not hold together.
    pub fn audit(&self) {
        audit(&self.store).unwrap_or_else(|finding| panic!("height {}: {finding}", self.tip.height));
    }

    /// What the seats say in the next block.
    pub fn verdicts(&mut self, conduct: &mut dyn Conduct) -> Vec<Vec<u8>> {
        let next = self.tip.height + 1;
        let mut list = Vec::new();
        for at in next.saturating_sub(self.rules.commit_blocks + 1)..next {
            let found = seat::round(&self.state(), at).expect("a sound state");
            let Some((round, committee)) = found else { continue };
            for member in committee.seats.iter() {
                let seat = self.accounts[&member.account];
                let is_time = at + conduct.delay(seat).clamp(1, self.rules.commit_blocks) == next;
                let said = if next == round.commit_until + 1 {
                    self.reveal(conduct, (at, &round), seat)
                } else if is_time {
                    self.commitment(conduct, (at, &round), seat)
                } else {
                    None
                };
                list.extend(said);
            }
        }
        list
    }

    fn commitment(
        &mut self,
        conduct: &mut dyn Conduct,
        (at, round): (u64, &Round),
        seat: usize,
    ) -> Option<Vec<u8>> {
        if !conduct.commits(seat, at) {
            return None;
        }
        let account = self.account(Who::Seat(seat));
        let mut shown = Vec::new();
        for item in round.items.iter() {
            let truth = self.truth.get(&item.statement).copied().unwrap_or(0);
            let is_case = item.purpose != Purpose::Order;
            let seen = Seen { statement: item.statement, truth, is_case, height: at };
            shown.push(self.spelled(&account, at, &seen, conduct.say(seat, &seen)));
        }
        let salt = hash(Hashing("zerotell/sim/salt/1"), &[&account, &at.to_le_bytes()]);
        let body = seat::commit(&self.network, &account, at, &shown, &salt);
        self.said.insert((at, seat), (shown, salt));
        Some(self.sign_seat(seat, at, &body))
    }

    fn reveal(
        &mut self,
        conduct: &mut dyn Conduct,
        (at, round): (u64, &Round),
        seat: usize,
    ) -> Option<Vec<u8>> {
        let (shown, salt) = self.said.remove(&(at, seat))?;
        let has_bad = round.items.iter().any(|item| self.truth.get(&item.statement).is_some_and(|t| *t != 0));
        let body = seat::reveal(at, &shown, &salt).expect("a full round at most");
        conduct.reveals(seat, at, has_bad).then(|| self.sign_seat(seat, at, &body))
    }

    fn spelled(&self, account: &Digest, at: u64, seen: &Seen, say: Say) -> Shown {
        let Say::Code(code, from) = say else { return Shown { code: ABSTAIN, execution: [0; 32] } };
        let run = match from {
            Trace::True => trace(&seen.statement, code, 0),
            Trace::Build(build) => trace(&seen.statement, code, build.max(1)),
            Trace::Guess => hash(Hashing("zerotell/sim/guess/1"), &[account, &seen.statement]),
        };
        Shown { code, execution: execution_digest(account, &self.blocks[&at], &run) }
    }
}
