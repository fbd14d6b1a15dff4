//! A block: transactions in, outcomes and a new root out `[H10]`.

use certify::hash::Digest;
use certify::wire::encode;
use certify::{Committee, Header, list, spell_struct};

use crate::admission::{Admitted, Ahead, Gate, admit};
use crate::amount::add;
use crate::earning::{Penalty, Reward};
use crate::entry::{Accounts, Due, Dues, Ordered, Present, Rounds};
use crate::evidence::{self, Fee};
use crate::hooks::Hooks;
use crate::refusal::{Refusal, Stop};
use crate::store::{Changes, Fault, Store};
use crate::transaction::{Body, Lane};
use crate::work::{Context, Used, Work, account_of, epoch_of};
use crate::{ballot, prices, recall, registry, settle, stake, verdict};

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its name.
    pub transaction: Digest,
    /// 0, or the number of a [`Failure`](crate::refusal::Failure).
    pub code: u16,
    /// What was paid for it.
    pub fee: u64,
}
spell_struct!(Outcome { transaction, code, fee });

/// What a block does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Epoch of the block.
    pub epoch: u64,
    /// Root of the transactions.
    pub transactions: Digest,
    /// Root of the new state.
    pub state: Digest,
    /// Root of the outcomes.
    pub outcomes_root: Digest,
    /// One per transaction.
    pub outcomes: Vec<Outcome>,
    /// Digest of the committee that decides this block.
    pub committee: Digest,
    /// In the last block of an epoch: who decides in the next.
    pub next: Option<Committee>,
    /// What it used of its limits.
    pub used: Used,
    /// What was earned in it, in order.
    pub rewards: Vec<Reward>,
    /// What was taken in it, in order.
    pub penalties: Vec<Penalty>,
    /// What to write to the store; nothing is written before.
    pub changes: Changes,
}

/// Why a block is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockRefusal {
    /// It does not follow the last block.
    Context {
        /// What does not fit.
        what: &'static str,
    },
    /// A transaction may not be in it.
    Transaction {
        /// Which, from 0.
        index: usize,
        /// Why.
        refusal: Refusal,
    },
    /// Not its fault: try again.
    Fault(Fault),
}

impl From<Fault> for BlockRefusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl std::fmt::Display for BlockRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Context { what } => write!(f, "the block does not follow the last one: {what}"),
            Self::Transaction { index, refusal } => {
                write!(f, "transaction {index} may not be in a block: {refusal}")
            }
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for BlockRefusal {}

/// Executes a block on the stored state, which is not changed.
///
/// # Errors
/// A block that may not be, with the first reason.
pub fn execute<T: AsRef<[u8]>>(
    store: &dyn Store,
    hooks: &dyn Hooks,
    context: Context,
    transactions: &[T],
) -> Result<Executed, BlockRefusal> {
    let mut work = begin(store, hooks, context)?;
    let mut outcomes = Vec::new();
    for (index, bytes) in transactions.iter().enumerate() {
        match transact(&mut work, bytes.as_ref()) {
            Ok(outcome) => outcomes.push(outcome),
            Err(Stop::Refused(refusal)) => return Err(BlockRefusal::Transaction { index, refusal }),
            Err(Stop::Failed(_)) => return Err(Fault::Broken { what: "a failure outside a body" }.into()),
            Err(Stop::Fault(fault)) => return Err(fault.into()),
        }
    }
    Ok(end(work, list::root(transactions), outcomes)?)
}

/// Makes a block of those candidates that may be in it, in their order, and executes it. Gives the places of those
/// taken.
///
/// # Errors
/// A context that does not follow, or a fault of the store.
pub fn propose<T: AsRef<[u8]>>(
    store: &dyn Store,
    hooks: &dyn Hooks,
    context: Context,
    candidates: &[T],
) -> Result<(Vec<usize>, Executed), BlockRefusal> {
    let mut work = begin(store, hooks, context)?;
    let (mut taken, mut outcomes) = (Vec::new(), Vec::new());
    for (index, bytes) in candidates.iter().enumerate() {
        let before = (work.before(), work.used);
        match transact(&mut work, bytes.as_ref()) {
            Ok(outcome) => {
                taken.push(index);
                outcomes.push(outcome);
            }
            // A program that has not arrived keeps its transaction out, not the block.
            Err(Stop::Refused(_) | Stop::Failed(_) | Stop::Fault(Fault::World { .. })) => {
                work.return_to(before.0);
                work.used = before.1;
            }
            Err(Stop::Fault(fault)) => return Err(fault.into()),
        }
    }
    let list: Vec<&[u8]> = taken.iter().filter_map(|&i| candidates.get(i).map(AsRef::as_ref)).collect();
    let executed = end(work, list::root(&list), outcomes)?;
    Ok((taken, executed))
}

impl Executed {
    /// The header that consensus finalises; `engine` is the digest of what the engine adds.
    pub fn header(&self, network: Digest, context: &Context, engine: Digest) -> Header {
        Header {
            network,
            height: context.height,
            epoch: self.epoch,
            time: context.time,
            proposer: context.proposer,
            parent: context.parent,
            engine,
            transactions: self.transactions,
            state: self.state,
            outcomes: self.outcomes_root,
            committee: self.committee,
            next: self.next.as_ref().map(Committee::digest),
        }
    }
}

/// What happens before the transactions.
fn begin<'a>(store: &'a dyn Store, hooks: &'a dyn Hooks, context: Context) -> Result<Work<'a>, BlockRefusal> {
    let mut work = Work::new(store, hooks, context)?;
    let refuse = |what| Err(BlockRefusal::Context { what });
    if work.chain.height.checked_add(1) != Some(context.height) {
        return refuse("its height is not the next one");
    }
    if context.time < work.chain.time {
        return refuse("its time is before the last block's");
    }
    if work.committee.seat(&context.proposer).is_none() {
        return refuse("its proposer has no seat");
    }
    work.chain.height = context.height;
    work.chain.time = context.time;
    recall::activate(&mut work)?;
    let last = context.height.saturating_sub(1);
    if let Some(mut round) = work.state.get::<Rounds>(&last)? {
        // The beacon: nobody knew it when the round's records were made.
        round.beacon = context.parent;
        work.state.put::<Rounds>(&last, &round);
    }
    recall::sweep(&mut work)?;
    recall::take_waiting(&mut work)?;
    Ok(work)
}

/// One transaction: admitted, paid for, and done or failed.
fn transact(work: &mut Work<'_>, bytes: &[u8]) -> Result<Outcome, Stop> {
    let gate = Gate { state: &work.state, chain: &work.chain, height: work.context.height };
    let admitted = admit(gate, bytes, &Ahead::default(), |envelope| work.hooks.is_signed(envelope))?;
    if admitted.envelope.lane == Lane::Seat {
        act(work, &admitted)?;
        return Ok(Outcome { transaction: admitted.id, code: 0, fee: 0 });
    }
    make_room(work, &admitted)?;
    let (sender, fee) = (admitted.envelope.sender, admitted.envelope.fee);
    let mut account = account_of(&work.state, &sender)?;
    account.nonce = add(account.nonce, 1)?;
    account.balance = crate::amount::sub(account.balance, fee)?;
    work.state.put::<Accounts>(&sender, &account);
    let before = work.before();
    let (code, paid) = match act(work, &admitted) {
        Ok(paid) => (0, paid),
        Err(Stop::Failed(failure)) => {
            work.return_to(before);
            (failure.code(), Fee::Paid)
        }
        Err(stop) => return Err(stop),
    };
    if paid == Fee::Paid {
        let rest = work.for_proposers(fee)?;
        work.burn(rest)?;
    }
    Ok(Outcome { transaction: admitted.id, code, fee })
}

fn make_room(work: &mut Work<'_>, admitted: &Admitted) -> Result<(), Stop> {
    let used = Used {
        work: work.used.work.saturating_add(admitted.work),
        bytes: work.used.bytes.saturating_add(admitted.bytes),
    };
    let is_record = matches!(admitted.body, Body::SubmitRecord { .. } | Body::AdvanceEpoch { .. });
    let fits = used.work <= work.rules().block_work && used.bytes <= work.rules().block_bytes;
    if !fits || (is_record && !work.has_room()) {
        return Err(Refusal::BlockFull.into());
    }
    work.used = used;
    Ok(())
}

fn act(work: &mut Work<'_>, admitted: &Admitted) -> Result<Fee, Stop> {
    let sender = &admitted.envelope.sender;
    match &admitted.body {
        Body::Transfer { to, amount } => {
            if *amount == 0 {
                return Err(crate::refusal::Failure::Nothing.into());
            }
            work.debit(sender, *amount)?;
            work.credit(to, *amount)?;
        }
        Body::Bond { amount, consensus, possession, address } => {
            stake::bond(work, sender, *amount, (consensus, possession), address)?;
        }
        Body::Unbond { amount } => stake::unbond(work, sender, *amount)?,
        Body::RegisterModel { model, program, program_bytes, work: most, weights } => {
            registry::register_model(work, sender, model, (program, *program_bytes, *most), weights)?;
        }
        Body::RegisterDataset { root, schema, source } => {
            registry::register_dataset(work, sender, (root, schema, source))?;
        }
        body @ (Body::SubmitRecord { .. } | Body::AdvanceEpoch { .. }) => {
            registry::submit(work, sender, admitted.envelope.fee, body)?;
            return Ok(Fee::Held);
        }
        Body::CommitVerdicts { round, commitment } => verdict::commit(work, sender, *round, commitment)?,
        Body::RevealVerdicts { round, verdicts, .. } => verdict::reveal(work, sender, *round, verdicts)?,
        Body::Evidence { accusation } => {
            return evidence::accuse(work, sender, admitted.envelope.fee, accusation);
        }
        Body::Recall { subject, reason } => recall::recall(work, sender, subject, *reason)?,
        Body::UpdateParameters { parameters } => recall::update_parameters(work, sender, parameters)?,
    }
    Ok(Fee::Paid)
}

/// What happens after the transactions.
fn end(mut work: Work<'_>, transactions: Digest, outcomes: Vec<Outcome>) -> Result<Executed, Fault> {
    let height = work.context.height;
    crate::custody::draw(&mut work)?;
    if !work.round.items.is_empty() {
        let round = std::mem::take(&mut work.round);
        work.state.put::<Rounds>(&height, &round);
        work.at(round.reveal_until, Due::Settle { round: height })?;
    }
    if !work.ordered.is_empty() {
        let ordered = certify::Bounded::new(std::mem::take(&mut work.ordered));
        let ordered = ordered.map_err(|_| Fault::Broken { what: "more records than a block has" })?;
        work.state.put::<Ordered>(&height, &ordered);
    }
    for due in work.state.get::<Dues>(&height)?.unwrap_or_default().iter() {
        match due {
            Due::Settle { round } => settle::settle(&mut work, *round)?,
            Due::Forget { round } => settle::forget(&mut work, *round)?,
            Due::Release { account } => stake::release(&mut work, account)?,
            Due::Close { subject } => ballot::close(&mut work, subject)?,
        }
    }
    work.state.remove::<Dues>(&height);
    (work.chain.work_price, work.chain.byte_price) = prices::moved(&work.chain, work.used);
    stake::note_proposer(&mut work)?;
    let is_last = epoch_of(work.rules(), height.saturating_add(1)) != work.epoch;
    let next = if is_last { Some(stake::turn_epoch(&mut work)?) } else { None };
    let Work { mut state, chain, epoch, committee, used, rewards, penalties, .. } = work;
    state.put::<Present>(&(), &chain);
    let (root, changes) = state.finish()?;
    let spelled: Vec<Vec<u8>> = outcomes.iter().map(encode).collect();
    let outcomes_root = list::root(&spelled);
    let committee = committee.digest();
    Ok(Executed {
        epoch,
        transactions,
        state: root,
        outcomes_root,
        outcomes,
        committee,
        next,
        used,
        rewards,
        penalties,
        changes,
    })
}
