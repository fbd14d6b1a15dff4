//! The canaries that a seat owes (`[H29]`): made, submitted from a purse that nobody knows, shown when they are over.
//!
//! Everything secret about a canary follows from the account's key, the epoch and its number, so after a crash it is the
//! same canary. What is written down is the submission alone. The verifier of the others cannot tell a canary but by
//! looking; the ledger's graph can: a purse is filled by its seat, unless somebody filled it before.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use certify::hash::{Digest, Purpose};
use certify::wire::{decode, encode};
use ed25519_dalek::SigningKey;
use ledger::entry::Chain as Present;
use ledger::entry::{
    Accounts, Canaries as Shown, Cases, Programs, Record, Records, Status, Suspended, Validators,
};
use ledger::evidence::seal;
use ledger::transaction::{Accusation, Submission};
use ledger::{Body, Envelope, Lane, State, Unsigned, epoch_of, present};
use zeroize::Zeroizing;

use crate::chain::{Chain, Stuck};
use crate::judge::Judges;
use crate::seat::Step;
use crate::store::{Batch, index, list};

/// What a canary's secrets are drawn from.
const STREAM: Purpose = Purpose("zerotell/canary/stream/1");
/// Blocks after which what is in no block is sent again.
const AGAIN: u64 = 16;
/// Records among which a template is drawn.
const TEMPLATES: usize = 32;
/// Most canaries that one seat makes in an epoch; the number is the low half of the key in the list.
const MOST: u32 = 1 << 16;

/// A canary under way.
#[derive(Clone, Debug)]
struct Made {
    number: u32,
    submission: Submission,
    sent: u64,
}

#[derive(Default)]
struct Inner {
    epoch: Option<u64>,
    height: u64,
    made: Vec<Made>,
    /// Height at which the purse of the next one was last filled.
    filled: Option<u64>,
}

/// The canaries of one seat in the present epoch.
#[derive(Default)]
pub struct Canaries(Mutex<Inner>);

/// What all steps need.
struct Look<'a> {
    chain: &'a Chain,
    judges: &'a Judges,
    key: &'a SigningKey,
    account: Digest,
    state: &'a State<'a>,
    rules: &'a Present,
    epoch: u64,
    height: u64,
}

/// Where a canary stands.
enum Stage {
    Missing,
    Waiting,
    Over,
    Done,
    Failed,
}

/// A stream that nobody else has: the same for the same canary.
fn stream(key: &SigningKey, network: &Digest, epoch: u64, number: u32) -> blake3::OutputReader {
    let secret = Zeroizing::new(key.to_bytes());
    let seed = Zeroizing::new(certify::hash::hash(
        STREAM,
        &[network, &epoch.to_le_bytes(), &number.to_le_bytes(), &secret[..]],
    ));
    blake3::Hasher::new_keyed(&seed).finalize_xof()
}

/// Purse and salt of a canary, and the stream for the rest.
fn secrets(look: &Look<'_>, number: u32) -> (SigningKey, Digest, blake3::OutputReader) {
    let mut stream = stream(look.key, &look.chain.network, look.epoch, number);
    let mut purse = Zeroizing::new([0; 32]);
    stream.fill(&mut purse[..]);
    let mut salt = [0; 32];
    stream.fill(&mut salt);
    (SigningKey::from_bytes(&purse), salt, stream)
}

fn place(epoch: u64, number: u32) -> u64 {
    (epoch << 16) | u64::from(number)
}

impl Canaries {
    /// Does what is to be done after the newest final block.
    ///
    /// # Errors
    /// A state that cannot be read, or a disk that fails.
    pub fn step(&self, chain: &Chain, judges: &Judges, key: &SigningKey) -> Result<Step, Stuck> {
        let mut step = Step::default();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It is asked many times a block.
        if inner.height == chain.tip().height {
            return Ok(step);
        }
        let (_, snapshot) = chain.latest()?;
        let state = State::new(&snapshot);
        let rules = present(&state)?;
        inner.height = rules.height;
        let account = key.verifying_key().to_bytes();
        let epoch = epoch_of(&rules.parameters, rules.height.saturating_add(1));
        let owed = state.get::<Validators>(&account)?.map_or(0, |validator| validator.owed);
        let height = rules.height;
        let look = Look { chain, judges, key, account, state: &state, rules: &rules, epoch, height };
        if inner.epoch != Some(epoch) {
            *inner = Inner { epoch: Some(epoch), height, made: look.written()?, filled: None };
        }
        if owed == 0 {
            return Ok(step);
        }
        let mut open = 0;
        for made in &mut inner.made {
            let stage = look.stage(&made.submission)?;
            open += u32::from(matches!(stage, Stage::Missing | Stage::Waiting | Stage::Over));
            let due = height >= made.sent.saturating_add(AGAIN);
            match stage {
                Stage::Missing if due => look.submit(made, &mut step)?,
                Stage::Over if due || made.sent < height => look.show(made, &mut step)?,
                _ => {}
            }
        }
        let number = u32::try_from(inner.made.len()).unwrap_or(MOST);
        if open < owed && number < MOST && look.is_time(number) {
            look.make(&mut inner, number, &mut step)?;
        }
        Ok(step)
    }
}

impl Look<'_> {
    /// What was written of this epoch.
    fn written(&self) -> Result<Vec<Made>, Stuck> {
        let mut list = Vec::new();
        for number in 0..MOST {
            let Some(bytes) = self.chain.store.numbered(list::CANARIES, place(self.epoch, number))? else {
                break;
            };
            let Ok(submission) = decode(&bytes) else { break };
            list.push(Made { number, submission, sent: 0 });
        }
        Ok(list)
    }

    /// Canaries come at heights that nobody can foresee, in the first half of the epoch: there is time to try again.
    fn is_time(&self, number: u32) -> bool {
        let length = self.rules.parameters.epoch_blocks;
        let first = self.epoch.saturating_mul(length);
        let (_, _, mut stream) = secrets(self, number);
        let mut draw = [0; 8];
        stream.fill(&mut draw);
        let delay = u64::from_le_bytes(draw).checked_rem(length / 2).unwrap_or(0);
        let end = first.saturating_add(length);
        let is_possible = self.height.saturating_add(self.rules.parameters.round_blocks() + 8) < end;
        is_possible && self.height >= first.saturating_add(delay)
    }

    fn stage(&self, submission: &Submission) -> Result<Stage, Stuck> {
        let statement = &submission.statement;
        if self.state.has::<Shown>(statement)? {
            return Ok(Stage::Done);
        }
        let Some(record) = self.state.get::<Records>(statement)? else { return Ok(Stage::Missing) };
        Ok(match record.status {
            Status::Final { code: 1.., .. } if record.held == 0 && !self.state.has::<Cases>(statement)? => {
                Stage::Over
            }
            // One that is accepted is in doubt soon: this seat, or another, accuses.
            Status::Pending | Status::Final { code: 1.., .. } => Stage::Waiting,
            Status::Final { .. } | Status::Undecided { .. } => Stage::Failed,
        })
    }

    /// A paid transaction; nothing if the account cannot pay.
    fn paid(&self, key: &SigningKey, body: &Body, margin: u64) -> Result<Option<Vec<u8>>, Stuck> {
        let sender = key.verifying_key().to_bytes();
        let account = self.state.get::<Accounts>(&sender)?.unwrap_or_default();
        let Some(fee) = self.chain.price(body)?.map(|price| price.saturating_mul(margin)) else {
            return Ok(None);
        };
        let spends = match body {
            Body::Transfer { amount, .. } => fee.saturating_add(*amount),
            _ => fee,
        };
        if spends > account.balance {
            return Ok(None);
        }
        let nonce = self.chain.next_nonce(&sender, account.nonce);
        let unsigned = Unsigned { network: self.chain.network, lane: Lane::Paid, nonce, fee };
        Ok(Envelope::sign(key, unsigned, body).ok().map(|envelope| encode(&envelope)))
    }

    fn submit(&self, made: &mut Made, step: &mut Step) -> Result<(), Stuck> {
        let (purse, ..) = secrets(self, made.number);
        let body = Body::SubmitRecord { submission: made.submission.clone() };
        let transaction = match self.paid(&purse, &body, 2)? {
            Some(transaction) => Some(transaction),
            // Prices rose since the purse was filled.
            None => {
                let amount = self.chain.price(&body)?.unwrap_or(0).saturating_mul(3);
                let to = purse.verifying_key().to_bytes();
                self.paid(self.key, &Body::Transfer { to, amount }, 2)?
            }
        };
        step.send.extend(transaction);
        made.sent = self.height;
        Ok(())
    }

    /// Shows what it was; the purse is known from here on, and what is left in it goes home.
    fn show(&self, made: &mut Made, step: &mut Step) -> Result<(), Stuck> {
        let (purse, salt, _) = secrets(self, made.number);
        let accusation = Accusation::Canary { submission: made.submission.clone(), salt };
        if let Some(transaction) = self.paid(self.key, &Body::Evidence { accusation }, 2)? {
            step.send.push(transaction);
            made.sent = self.height.saturating_add(AGAIN);
        }
        let left =
            self.state.get::<Accounts>(&purse.verifying_key().to_bytes())?.map_or(0, |own| own.balance);
        let home = |amount| Body::Transfer { to: self.account, amount };
        let fee = self.chain.price(&home(left))?.unwrap_or(u64::MAX).saturating_mul(2);
        if let Some(amount) = left.checked_sub(fee).filter(|amount| *amount > 0) {
            step.send.extend(self.paid(&purse, &home(amount), 2)?);
        }
        Ok(())
    }

    /// Makes the next canary, or fills its purse first.
    fn make(&self, inner: &mut Inner, number: u32, step: &mut Step) -> Result<(), Stuck> {
        let (purse, salt, mut stream) = secrets(self, number);
        let Some((template, old)) = self.template(&mut stream)? else { return Ok(()) };
        let account = purse.verifying_key().to_bytes();
        // What it will cost, by the template, which is as long; prices may rise until then.
        let like = Body::SubmitRecord { submission: old };
        let Some(price) = self.chain.price(&like)? else { return Ok(()) };
        let balance = self.state.get::<Accounts>(&account)?.map_or(0, |own| own.balance);
        if balance < price.saturating_mul(3) {
            let waits = inner.filled.is_some_and(|filled| self.height < filled.saturating_add(AGAIN));
            let amount = price.saturating_mul(6).saturating_sub(balance);
            if !waits && let Some(fill) = self.paid(self.key, &Body::Transfer { to: account, amount }, 2)? {
                step.send.push(fill);
                inner.filled = Some(self.height);
            }
            return Ok(());
        }
        let Some((bytes, names)) = self.judges.verifier().canary(&template, &mut |out| stream.fill(out))
        else {
            return Ok(());
        };
        let own = seal(&self.account, &salt);
        let submission = crate::client::submission(&bytes, &names, own, self.rules.parameters.verifier);
        let disk = |_| Stuck::Fault(ledger::store::Fault::World { what: "the disk" });
        self.chain.blobs.keep(&submission.proof, Bytes::from(bytes)).map_err(disk)?;
        let numbered = vec![(list::CANARIES, place(self.epoch, number), encode(&submission))];
        self.chain.store.write(Batch { numbered, ..Batch::default() }, true)?;
        let mut made = Made { number, submission, sent: 0 };
        self.submit(&mut made, step)?;
        inner.made.push(made);
        inner.filled = None;
        tracing::info!(epoch = self.epoch, number, "a canary was submitted");
        Ok(())
    }

    /// A dossier that was accepted lately, drawn at random, and its submission.
    fn template(&self, stream: &mut blake3::OutputReader) -> Result<Option<(Bytes, Submission)>, Stuck> {
        let mut found = Vec::new();
        for (_, entry) in self.chain.store.newest(list::RECORDS, u64::MAX, TEMPLATES)? {
            let Some(statement) = entry.get(8..).and_then(|bytes| Digest::try_from(bytes).ok()) else {
                continue;
            };
            if let Some(submission) = self.usable(&statement)? {
                found.push(submission);
            }
        }
        let mut draw = [0; 8];
        stream.fill(&mut draw);
        let count = u64::try_from(found.len()).unwrap_or(0);
        let Some(at) = u64::from_le_bytes(draw).checked_rem(count) else { return Ok(None) };
        let drawn = usize::try_from(at).ok().and_then(|at| found.into_iter().nth(at));
        Ok(drawn.and_then(|old| Some((self.chain.blobs.get(&old.proof)?, old))))
    }

    fn usable(&self, statement: &Digest) -> Result<Option<Submission>, Stuck> {
        let Some(Record { status: Status::Final { code: 0, .. }, program, verifier, .. }) =
            self.state.get::<Records>(statement)?
        else {
            return Ok(None);
        };
        let Some(entry) = self.state.get::<Programs>(&program)? else { return Ok(None) };
        let is_open = entry.recalled == 0 && !self.state.has::<Suspended>(&entry.class)?;
        if !is_open || verifier != self.rules.parameters.verifier {
            return Ok(None);
        }
        let body = self.chain.store.indexed(index::BODIES, statement)?.and_then(|bytes| decode(&bytes).ok());
        Ok(match body {
            Some(Body::SubmitRecord { submission }) if self.chain.blobs.has(&submission.proof) => {
                Some(submission)
            }
            _ => None,
        })
    }
}
