//! What a seat does about rounds: fetch, look, commit, reveal, accuse. Driven by final blocks and by a timer.
//!
//! What it says of a round is written down before it commits to it, so after a crash it reveals what it committed to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use certify::hash::{Digest, Purpose, hash};
use certify::wire::{Bounded, decode, encode};
use ed25519_dalek::SigningKey;
use ledger::entry::{
    ABSTAIN, Accounts, Commitments, Purpose as Why, Records, Reveals, Round, Rounds, Shown, Status,
    Validators,
};
use ledger::store::Fault;
use ledger::transaction::Accusation;
use ledger::verdict::execution_digest;
use ledger::{Body, Envelope, Lane, State, Unsigned, present, seat};

use crate::blobs::program_name;
use crate::canary::Canaries;
use crate::chain::{Chain, Stuck};
use crate::judge::{self, About, Judges};
use crate::store::{Batch, Snapshot, list};

const SALT: Purpose = Purpose("zerotell/verdict/salt/1");
/// Blocks before the end of a window in which a seat stops waiting for proofs.
const LATEST: u64 = 2;
/// Blocks after which what was said is said again if it is in no block.
const AGAIN: u64 = 4;
/// Blocks that the next seat in line leaves to those before it, to accuse.
const TURN: u64 = 16;

/// How a node is made to misbehave, for tests and demonstrations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// It does not.
    #[default]
    None,
    /// Accepts everything without looking.
    Lazy,
    /// Looks, and says the opposite.
    Liar,
    /// Commits and never reveals.
    Silent,
    /// Shows what another seat shows, as if that one had told it.
    Copier,
}

/// Why a seat abstains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfit {
    /// Its execution digests are not those of the others.
    Traces,
    /// The round is of another version of the verifier.
    Version,
}

/// A seat's key and what it has under way.
pub struct Seat {
    chain: Arc<Chain>,
    judges: Judges,
    key: SigningKey,
    account: Digest,
    fault: Behaviour,
    accuses: bool,
    open: Mutex<BTreeMap<u64, Progress>>,
    canaries: Canaries,
    /// Height at which the node began.
    began: u64,
    /// What the key said of rounds that were ordered no later than this time may be forgotten.
    silent: Option<u64>,
    /// Why the seat abstains, as it was said last.
    told: Mutex<Option<Unfit>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    committed: Option<u64>,
    revealed: Option<u64>,
    accused: bool,
    /// Before this height there is nothing to do.
    idle: u64,
}

/// What a step of a seat gives.
#[derive(Debug, Default)]
pub struct Step {
    /// Transactions to bring into a block.
    pub send: Vec<Vec<u8>>,
    /// Bytes to fetch.
    pub want: Vec<Digest>,
}

impl Seat {
    /// The seat of a key; it may have none in some epochs.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn new(
        chain: Arc<Chain>,
        judges: Judges,
        key: SigningKey,
        fault: Behaviour,
        accuses: bool,
    ) -> Result<Self, Stuck> {
        let account = key.verifying_key().to_bytes();
        let (tip, snapshot) = chain.latest()?;
        let (began, silent) = (tip.height, chain.store.silent()?);
        // Rounds that were open when the node stopped.
        let rounds = snapshot.namespace(<Rounds as ledger::entry::Table>::NAMESPACE)?;
        let height = |(key, _): &(Vec<u8>, Vec<u8>)| {
            Some((u64::from_le_bytes(key.get(1..9)?.try_into().ok()?), Progress::default()))
        };
        let open = Mutex::new(rounds.iter().filter_map(height).collect());
        Ok(Self {
            chain,
            judges,
            key,
            account,
            fault,
            accuses,
            open,
            canaries: Canaries::default(),
            began,
            silent,
            told: Mutex::new(None),
        })
    }

    /// What looks at proofs.
    pub fn judges(&self) -> &Judges {
        &self.judges
    }

    /// Its account.
    pub fn account(&self) -> &Digest {
        &self.account
    }

    /// Notes that a block ordered records.
    pub fn ordered(&self, height: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).entry(height).or_default();
    }

    /// Makes and shows the canaries that are owed; once per final block.
    ///
    /// # Errors
    /// A state that cannot be read, or a disk that fails.
    pub fn owe(&self) -> Result<Step, Stuck> {
        self.canaries.step(&self.chain, &self.judges, &self.key)
    }

    /// Does what is to be done after the newest final block.
    ///
    /// # Errors
    /// A state that cannot be read, or a disk that fails.
    pub fn step(&self) -> Result<Step, Stuck> {
        let (_, snapshot) = self.chain.latest()?;
        let state = State::new(&snapshot);
        let height = present(&state)?.height;
        let mut step = Step::default();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = Vec::new();
        for (number, progress) in open.iter_mut().filter(|(_, progress)| height >= progress.idle) {
            let Some((round, committee)) = seat::round(&state, *number)? else {
                gone.push(*number);
                continue;
            };
            self.look(&state, &round, height, &mut step)?;
            let Some((place, _)) = committee.seat(&self.account) else {
                if height > round.reveal_until {
                    gone.push(*number);
                }
                continue;
            };
            let key = (*number, u8::try_from(place).map_err(|_| Fault::Broken { what: "a seat" })?);
            if height < round.commit_until && state.get::<Commitments>(&key)?.is_none() {
                if self.is_forgotten(*number)? {
                    gone.push(*number);
                    continue;
                }
                let shown_by = self.shown_by(&committee);
                let is_time = is_due(progress.committed, height);
                if is_time && self.commit(&state, *number, (&round, &shown_by), height, &mut step)? {
                    progress.committed = Some(height);
                }
            } else if height >= round.commit_until && state.get::<Reveals>(&key)?.is_none() {
                let bound = state.get::<Commitments>(&key)?.is_some();
                if bound && self.fault != Behaviour::Silent && is_due(progress.revealed, height) {
                    self.reveal(*number, &mut step)?;
                    progress.revealed = Some(height);
                }
                if !bound && height > round.reveal_until {
                    gone.push(*number);
                }
            } else if height > round.reveal_until {
                let rank = rank(*number, place, committee.seats.len());
                let turn = round.reveal_until.saturating_add(1).saturating_add(rank.saturating_mul(TURN));
                progress.idle = turn;
                let accuses = self.accuses && self.is_unfit(&state, &round)?.is_none();
                if accuses && !progress.accused && height >= turn {
                    self.accuse(&snapshot, *number, &round, &committee, &mut step)?;
                    progress.accused = true;
                }
                if progress.accused || !accuses {
                    gone.push(*number);
                }
            }
        }
        open.retain(|number, _| !gone.contains(number));
        Ok(step)
    }

    /// Whether this key may have bound itself to verdicts on a round which this database does not remember: other ones now would
    /// be an offence.
    fn is_forgotten(&self, round: u64) -> Result<bool, Stuck> {
        let Some(until) = self.silent else { return Ok(false) };
        Ok(self.chain.block(round)?.is_none_or(|block| block.header.time <= until))
    }

    /// Why this seat has nothing to say of a round, if there is a reason: its own build.
    fn is_unfit(&self, state: &State<'_>, round: &Round) -> Result<Option<Unfit>, Stuck> {
        // Who is made to misbehave goes on.
        if self.fault != Behaviour::None {
            return Ok(None);
        }
        let traced = state.get::<Validators>(&self.account)?.map_or(0, |validator| validator.traced);
        let unfit = if traced > self.began {
            Some(Unfit::Traces)
        } else if round.verifier != self.judges.verifier().version() {
            Some(Unfit::Version)
        } else {
            None
        };
        if let Some(unfit) = unfit
            && self.told.lock().unwrap_or_else(PoisonError::into_inner).replace(unfit) != Some(unfit)
        {
            let (theirs, ours) = (round.verifier, self.judges.verifier().version());
            match unfit {
                Unfit::Traces => tracing::error!(
                    "this seat was punished for execution digests that two thirds of stake do not have: it abstains until the \
                     node is started again. Compare the build with that of others first"
                ),
                Unfit::Version => tracing::error!(
                    theirs,
                    ours,
                    "the network's verifier has another version than this build: the seat abstains. Run a build with that one"
                ),
            }
        }
        Ok(unfit)
    }

    /// Has the proofs of a round fetched and looked at.
    fn look(&self, state: &State<'_>, round: &Round, height: u64, step: &mut Step) -> Result<(), Stuck> {
        if height > round.reveal_until || self.fault == Behaviour::Lazy {
            return Ok(());
        }
        for item in round.items.iter() {
            if item.purpose != Why::Custody && self.judges.found(&item.statement).is_some() {
                continue;
            }
            let Some(record) = state.get::<Records>(&item.statement)? else { continue };
            if !self.chain.blobs.has(&record.proof) {
                step.want.push(record.proof);
                continue;
            }
            // It may have come for a transaction that waited, after the block that ordered it.
            if let Err(why) = self.chain.blobs.keep_staged(&record.proof) {
                tracing::warn!(%why, "a proof could not be kept");
            }
            if item.purpose == Why::Custody {
                // Nothing is to be judged again.
            } else if let Some(job) = judge::job(&self.chain, state, &item.statement, &record) {
                // A step is judged by its program, which may have been registered before this node began.
                match job.about {
                    About::Step(_, program) if !self.chain.blobs.has(&program_name(&program)) => {
                        step.want.push(program_name(&program));
                    }
                    _ => self.judges.bring(job),
                }
            }
        }
        Ok(())
    }

    /// What only one who has a record's proof knows after the beacon; nothing if it is not here.
    fn custody(
        &self,
        state: &State<'_>,
        statement: &Digest,
        beacon: &Digest,
    ) -> Result<Option<Digest>, Stuck> {
        let record = state.get::<Records>(statement)?;
        let bytes = record.and_then(|record| self.chain.blobs.get(&record.proof));
        Ok(bytes.map(|bytes| ledger::custody::trace(beacon, &bytes)))
    }

    /// Whose execution digests this seat shows: its own, unless it copies.
    fn shown_by(&self, committee: &certify::Committee) -> Digest {
        let mut others =
            committee.seats.iter().map(|seat| seat.account).filter(|other| *other != self.account);
        if self.fault == Behaviour::Copier { others.next().unwrap_or(self.account) } else { self.account }
    }

    /// What this seat says of each item, in the name of `shown_by`; `None` while something is missing that may still come.
    fn verdicts(
        &self,
        state: &State<'_>,
        number: u64,
        (round, shown_by): (&Round, &Digest),
        is_last: bool,
    ) -> Result<Option<Vec<Shown>>, Stuck> {
        let beacon = if round.beacon == [0; 32] {
            self.chain.block(number)?.map(|block| block.id())
        } else {
            Some(round.beacon)
        };
        let Some(beacon) = beacon else { return Ok(None) };
        let unfit = self.is_unfit(state, round)?;
        let mut list = Vec::with_capacity(round.items.len());
        for item in round.items.iter() {
            if self.fault == Behaviour::Lazy {
                list.push(Shown { code: 0, execution: hash(SALT, &[&item.statement, &self.account]) });
                continue;
            }
            let is_unfit = match item.purpose {
                Why::Custody => unfit == Some(Unfit::Traces),
                _ => unfit.is_some(),
            };
            let found = match item.purpose {
                _ if is_unfit => None,
                Why::Custody => self.custody(state, &item.statement, &beacon)?.map(|trace| (0, trace)),
                _ => self.judges.found(&item.statement),
            };
            let Some((code, trace)) = found else {
                if !is_last && !is_unfit {
                    return Ok(None);
                }
                list.push(Shown { code: ABSTAIN, execution: [0; 32] });
                continue;
            };
            let code = match self.fault {
                Behaviour::Liar if code == 0 => dossier::code::PROOF,
                Behaviour::Liar => 0,
                _ => code,
            };
            list.push(Shown { code, execution: execution_digest(shown_by, &beacon, &trace) });
        }
        Ok(Some(list))
    }

    fn said(&self, number: u64) -> Result<Option<Vec<Shown>>, Stuck> {
        let bytes = self.chain.store.numbered(list::SAID, number)?;
        let read = |bytes: Vec<u8>| decode::<Bounded<Shown, { ledger::entry::ITEMS_MAX }>>(&bytes).ok();
        Ok(bytes.and_then(read).map(Bounded::into_vec))
    }

    fn commit(
        &self,
        state: &State<'_>,
        number: u64,
        round: (&Round, &Digest),
        height: u64,
        step: &mut Step,
    ) -> Result<bool, Stuck> {
        let verdicts = match self.said(number)? {
            Some(said) => said,
            None => {
                let is_last = height.saturating_add(LATEST) >= round.0.commit_until;
                let Some(verdicts) = self.verdicts(state, number, round, is_last)? else { return Ok(false) };
                let bytes = encode(
                    &Bounded::<Shown, { ledger::entry::ITEMS_MAX }>::new(verdicts.clone())
                        .map_err(|_| Fault::Broken { what: "a round with too many items" })?,
                );
                let numbered = vec![(list::SAID, number, bytes)];
                self.chain.store.write(Batch { numbered, ..Batch::default() }, true)?;
                verdicts
            }
        };
        let body = seat::commit(&self.chain.network, &self.account, number, &verdicts, &self.salt(number));
        step.send.extend(self.sign(Lane::Seat, number, 0, &body));
        Ok(true)
    }

    fn reveal(&self, number: u64, step: &mut Step) -> Result<(), Stuck> {
        if let Some(said) = self.said(number)?
            && let Some(body) = seat::reveal(number, &said, &self.salt(number))
        {
            step.send.extend(self.sign(Lane::Seat, number, 0, &body));
        }
        Ok(())
    }

    /// The same after every crash, and nobody else's to guess.
    fn salt(&self, number: u64) -> Digest {
        let secret = zeroize::Zeroizing::new(self.key.to_bytes());
        hash(SALT, &[&self.chain.network, &number.to_le_bytes(), &secret[..]])
    }

    fn sign(&self, lane: Lane, nonce: u64, fee: u64, body: &Body) -> Option<Vec<u8>> {
        let unsigned = Unsigned { network: self.chain.network, lane, nonce, fee };
        Envelope::sign(&self.key, unsigned, body).ok().map(|envelope| encode(&envelope))
    }

    /// Accuses those who showed something else than the verifier finds.
    fn accuse(
        &self,
        snapshot: &Snapshot,
        number: u64,
        round: &Round,
        committee: &certify::Committee,
        step: &mut Step,
    ) -> Result<(), Stuck> {
        let state = State::new(snapshot);
        let mut accusations = Vec::new();
        for (place, item) in round.items.iter().enumerate() {
            if item.purpose == Why::Custody
                && let Some(trace) = self.custody(&state, &item.statement, &round.beacon)?
                && self.has_other(&state, (number, round, place), committee, &trace)?
            {
                let (round, statement) = (number, item.statement);
                accusations.push(Accusation::WrongCustody { round, statement, trace });
            }
            if item.purpose != Why::Order {
                continue;
            }
            let (Some((code, trace)), Some(record)) =
                (self.judges.found(&item.statement), state.get::<Records>(&item.statement)?)
            else {
                continue;
            };
            let Status::Final { code: decided, .. } = record.status else { continue };
            if (code == 0) != (decided == 0) {
                accusations.push(Accusation::WrongVerdict { statement: item.statement });
                continue;
            }
            let (mut lied, mut copied) = (false, false);
            for (seat, who) in committee.seats.iter().enumerate() {
                let key = (number, u8::try_from(seat).unwrap_or(u8::MAX));
                let Some(shown) = state.get::<Reveals>(&key)? else { continue };
                let Some(shown) = shown.get(place).filter(|shown| shown.code != ABSTAIN) else { continue };
                lied |= (shown.code == 0) != (code == 0);
                let own = execution_digest(&who.account, &round.beacon, &trace);
                copied |= (shown.code == 0) == (code == 0) && shown.execution != own;
            }
            // First what is decided at once: a case keeps others from accusing about the same record.
            if copied {
                accusations.push(Accusation::WrongExecution { statement: item.statement, trace });
            }
            if lied {
                accusations.push(Accusation::WrongVerdict { statement: item.statement });
            }
        }
        self.pay(&state, accusations, step)
    }

    /// Whether a seat says that it has what was asked for, and shows another trace.
    fn has_other(
        &self,
        state: &State<'_>,
        (number, round, place): (u64, &Round, usize),
        committee: &certify::Committee,
        trace: &Digest,
    ) -> Result<bool, Stuck> {
        for (seat, who) in committee.seats.iter().enumerate() {
            let shown = state.get::<Reveals>(&(number, u8::try_from(seat).unwrap_or(u8::MAX)))?;
            let shown = shown.as_ref().and_then(|shown| shown.get(place)).filter(|shown| shown.code == 0);
            let own = execution_digest(&who.account, &round.beacon, trace);
            if shown.is_some_and(|shown| shown.execution != own) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn pay(&self, state: &State<'_>, list: Vec<Accusation>, step: &mut Step) -> Result<(), Stuck> {
        let mut account = state.get::<Accounts>(&self.account)?.unwrap_or_default();
        account.nonce = self.chain.next_nonce(&self.account, account.nonce);
        for accusation in list {
            let body = Body::Evidence { accusation };
            let Some(price) = self.chain.price(&body)? else { continue };
            let fee = price.saturating_mul(2);
            if fee > account.balance {
                continue;
            }
            step.send.extend(self.sign(Lane::Paid, account.nonce, fee, &body));
            account.balance = account.balance.saturating_sub(fee);
            account.nonce = account.nonce.saturating_add(1);
        }
        Ok(())
    }

    /// Evidence of the engine, as a transaction, if the account can pay for it.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub fn report(&self, epoch: u64, evidence: &[u8]) -> Result<Step, Stuck> {
        let mut step = Step::default();
        let (_, snapshot) = self.chain.latest()?;
        if let Ok(evidence) = Bounded::new(evidence.to_vec()) {
            self.pay(&State::new(&snapshot), vec![Accusation::Engine { epoch, evidence }], &mut step)?;
        }
        Ok(step)
    }
}

fn is_due(last: Option<u64>, height: u64) -> bool {
    last.is_none_or(|last| height >= last.saturating_add(AGAIN))
}

/// Who accuses first: another seat in each round, so that they do not all pay for the same.
fn rank(round: u64, seat: usize, seats: usize) -> u64 {
    let seats = u64::try_from(seats).unwrap_or(1).max(1);
    let seat = u64::try_from(seat).unwrap_or(0);
    seat.saturating_add(round).checked_rem(seats).unwrap_or(0)
}
