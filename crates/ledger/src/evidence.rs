//! Accusations `[H27]`: each shows an offence to everyone, or opens a case in which everyone looks.

use certify::hash::{Digest, Purpose as Hashing, hash};

use crate::admission::{parsed, signed};
use crate::entry::{
    AccountKey, Canaries, Case, Cases, Committees, ConsensusKeys, Item, Programs, Purpose, Records, Reveals,
    Rounds, Status, Validators,
};
use crate::prices::price;
use crate::refusal::{Failure, Stop};
use crate::slash::{Offence, punish, punish_traces};
use crate::stake::key_name;
use crate::transaction::{Accusation, Body, Envelope, Inner, Submission};
use crate::verdict::{execution_digest, is_quorum, short};
use crate::work::{Work, epoch_of};

const ASKED: Hashing = Hashing("zerotell/custody/asked/1");
const SEAL: Hashing = Hashing("zerotell/canary/seal/1");

/// What the seal of a canary hides: whose it is.
pub fn seal(account: &AccountKey, salt: &Digest) -> Digest {
    hash(SEAL, &[account, salt])
}

/// What becomes of the fee of evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fee {
    /// It is paid like any other.
    Paid,
    /// A case holds it.
    Held,
}

pub(crate) fn accuse(
    work: &mut Work<'_>,
    sender: &AccountKey,
    fee: u64,
    what: &Accusation,
) -> Result<Fee, Stop> {
    match what {
        Accusation::Equivocation { first, second } => equivocation(work, sender, first, second)?,
        Accusation::EarlyReveal { reveal } => early_reveal(work, sender, reveal)?,
        Accusation::WrongVerdict { statement } => {
            wrong_verdict(work, sender, fee, statement)?;
            return Ok(Fee::Held);
        }
        Accusation::WrongExecution { statement, trace } => wrong_execution(work, sender, statement, trace)?,
        Accusation::WrongCustody { round, statement, trace } => {
            wrong_custody(work, sender, (*round, statement), trace)?;
        }
        Accusation::Engine { epoch, evidence } => engine(work, sender, *epoch, evidence)?,
        Accusation::Canary { submission, salt } => canary(work, sender, submission, salt)?,
    }
    Ok(Fee::Paid)
}

/// What a seat signed, once admission's checks of form and signature hold for it.
fn said(work: &Work<'_>, bytes: &Inner) -> Result<(Envelope, Body), Stop> {
    let envelope = signed(bytes, &work.chain.network, Envelope::is_signed).map_err(|_| Failure::Evidence)?;
    let body = parsed(&envelope).map_err(|_| Failure::Evidence)?;
    Ok((envelope, body))
}

fn has_seat(work: &Work<'_>, round: u64, account: &AccountKey) -> Result<(), Stop> {
    if round > work.context.height {
        return Err(Failure::Evidence.into());
    }
    let epoch = epoch_of(work.rules(), round);
    let committee = work.state.get::<Committees>(&epoch)?.ok_or(Failure::TooOld)?;
    if committee.seat(account).is_none() { Err(Failure::Evidence.into()) } else { Ok(()) }
}

fn punish_one(
    work: &mut Work<'_>,
    account: AccountKey,
    offence: Offence,
    reporter: &AccountKey,
) -> Result<(), Stop> {
    match punish(work, &[account], offence, Some(*reporter))? {
        0 => Err(Failure::Known.into()),
        _ => Ok(()),
    }
}

fn equivocation(work: &mut Work<'_>, sender: &AccountKey, first: &Inner, second: &Inner) -> Result<(), Stop> {
    let ((one, a), (other, b)) = (said(work, first)?, said(work, second)?);
    let round = match (&a, &b) {
        (Body::CommitVerdicts { round, .. }, Body::CommitVerdicts { round: same, .. })
        | (Body::RevealVerdicts { round, .. }, Body::RevealVerdicts { round: same, .. })
            if round == same =>
        {
            *round
        }
        _ => return Err(Failure::Evidence.into()),
    };
    if one.sender != other.sender || a == b {
        return Err(Failure::Evidence.into());
    }
    has_seat(work, round, &one.sender)?;
    punish_one(work, one.sender, Offence::Equivocation(round), sender)
}

/// That it was early shows in its being here while others may still commit.
fn early_reveal(work: &mut Work<'_>, sender: &AccountKey, reveal: &Inner) -> Result<(), Stop> {
    let (envelope, body) = said(work, reveal)?;
    let Body::RevealVerdicts { round, .. } = body else { return Err(Failure::Evidence.into()) };
    has_seat(work, round, &envelope.sender)?;
    let entry = work.state.get::<Rounds>(&round)?.ok_or(Failure::TooOld)?;
    if work.context.height > entry.commit_until {
        return Err(Failure::Evidence.into());
    }
    punish_one(work, envelope.sender, Offence::EarlyReveal(round), sender)
}

/// Nobody is punished on anybody's word, nor by what a machine alone computes: the record goes through a round in which
/// everyone knows that it is in doubt, and two thirds of stake must say that it was wrong.
fn wrong_verdict(work: &mut Work<'_>, sender: &AccountKey, fee: u64, statement: &Digest) -> Result<(), Stop> {
    let record = work.state.get::<Records>(statement)?.ok_or(Failure::Missing)?;
    if work.state.has::<Cases>(statement)? {
        return Err(Failure::Known.into());
    }
    if !matches!(record.status, Status::Final { .. }) || record.held != 0 {
        return Err(Failure::Missing.into());
    }
    let epoch = epoch_of(work.rules(), record.voted);
    if record.verifier != work.rules().verifier || !work.state.has::<Committees>(&epoch)? {
        return Err(Failure::TooOld.into());
    }
    let held = work.for_proposers(fee)?;
    work.state.put::<Cases>(statement, &Case { reporter: Some(*sender), held });
    work.wait(*statement, Purpose::Case, 0);
    Ok(())
}

/// Two thirds of stake can only have the same trace by running the verifier; who has another has not.
fn wrong_execution(
    work: &mut Work<'_>,
    sender: &AccountKey,
    statement: &Digest,
    trace: &Digest,
) -> Result<(), Stop> {
    let record = work.state.get::<Records>(statement)?.ok_or(Failure::Missing)?;
    let Status::Final { code, .. } = record.status else { return Err(Failure::Missing.into()) };
    let asked = Asked { round: record.voted, statement, is_custody: false, accepts: code == 0 };
    other_traces(work, sender, asked, trace, Offence::WrongExecution(*statement))
}

/// The same for the bytes of an older proof: who says that it has them and does not know them has not.
fn wrong_custody(
    work: &mut Work<'_>,
    sender: &AccountKey,
    (round, statement): (u64, &Digest),
    trace: &Digest,
) -> Result<(), Stop> {
    let asked = Asked { round, statement, is_custody: true, accepts: true };
    let id = hash(ASKED, &[&round.to_le_bytes(), statement]);
    other_traces(work, sender, asked, trace, Offence::WrongCustody(id))
}

/// An item of a round, and what those said of it whose traces are compared.
struct Asked<'a> {
    round: u64,
    statement: &'a Digest,
    is_custody: bool,
    accepts: bool,
}

fn other_traces(
    work: &mut Work<'_>,
    sender: &AccountKey,
    asked: Asked<'_>,
    trace: &Digest,
    offence: Offence,
) -> Result<(), Stop> {
    let round = work.state.get::<Rounds>(&asked.round)?.ok_or(Failure::TooOld)?;
    let committee = work.state.must::<Committees>(&round.epoch, "a round has no committee")?;
    if work.context.height <= round.reveal_until {
        return Err(Failure::Missing.into());
    }
    let is_it = |item: &Item| {
        item.statement == *asked.statement && (item.purpose == Purpose::Custody) == asked.is_custody
    };
    let place = round.items.iter().position(is_it).ok_or(Failure::Missing)?;
    let (mut same, mut others, mut accused) = (0u128, 0u128, Vec::new());
    for (number, seat) in committee.seats.iter().enumerate() {
        let Some(shown) = work.state.get::<Reveals>(&(asked.round, short(number)?))? else { continue };
        let Some(shown) = shown.get(place) else { continue };
        if shown.accepts() != Some(asked.accepts) {
            continue;
        }
        if shown.execution == execution_digest(&seat.account, &round.beacon, trace) {
            same = same.saturating_add(seat.stake.into());
        } else {
            others = others.saturating_add(seat.stake.into());
            accused.push(seat.account);
        }
    }
    if !is_quorum(same, committee.stake()) {
        return Err(Failure::Disputed.into());
    }
    if others.saturating_mul(crate::parameters::WHOLE.into())
        > committee.stake().saturating_mul(work.rules().dissent.into())
    {
        return Err(Failure::Disputed.into());
    }
    match punish_traces(work, accused, (offence, asked.round), *sender)? {
        0 => Err(Failure::Known.into()),
        _ => Ok(()),
    }
}

fn engine(work: &mut Work<'_>, sender: &AccountKey, epoch: u64, evidence: &[u8]) -> Result<(), Stop> {
    let committee = work.state.get::<Committees>(&epoch)?.ok_or(Failure::TooOld)?;
    let offence = work.hooks.engine_offence(evidence, &committee).ok_or(Failure::Evidence)?;
    let mut seats = committee.seats.iter();
    if !seats.any(|seat| *seat.consensus == *offence.consensus) {
        return Err(Failure::Evidence.into());
    }
    let account = work.state.get::<ConsensusKeys>(&key_name(&offence.consensus))?.ok_or(Failure::Evidence)?;
    punish_one(work, account, Offence::Engine(offence.id), sender)
}

/// A seat that owed a canary shows that a rejected record was one, and has its fee back from what is set aside.
fn canary(
    work: &mut Work<'_>,
    sender: &AccountKey,
    submission: &Submission,
    salt: &Digest,
) -> Result<(), Stop> {
    let statement = submission.statement;
    let record = work.state.get::<Records>(&statement)?.ok_or(Failure::Missing)?;
    let body = Body::SubmitRecord { submission: submission.clone() };
    if body.digest() != record.body || submission.seal != seal(sender, salt) {
        return Err(Failure::Evidence.into());
    }
    let is_over = record.held == 0 && !work.state.has::<Cases>(&statement)?;
    if !is_over || !matches!(record.status, Status::Final { code: 1.., .. }) {
        return Err(Failure::Missing.into());
    }
    if work.state.has::<Canaries>(&statement)? {
        return Err(Failure::Known.into());
    }
    let mut validator = work.state.get::<Validators>(sender)?.ok_or(Failure::NotAllowed)?;
    if work.committee.seat(sender).is_none() || validator.owed == 0 {
        return Err(Failure::NotAllowed.into());
    }
    validator.owed = validator.owed.saturating_sub(1);
    work.state.put::<Validators>(sender, &validator);
    work.state.put::<Canaries>(&statement, sender);
    let due = record.fee.min(fair_price(work, submission)?);
    let mut back = 0;
    work.treasury(|treasury| {
        back = due.min(treasury.canaries);
        treasury.canaries = treasury.canaries.saturating_sub(back);
        Ok(())
    })?;
    Ok(work.credit(sender, back)?)
}

/// What a record like this must pay now. No more of a canary's fee comes back: a part of every fee goes to seats, so who
/// offers more than it must, in a block of its own, would take the rest from what is set aside for all.
fn fair_price(work: &Work<'_>, submission: &Submission) -> Result<u64, Stop> {
    let program = work.state.must::<Programs>(&submission.program, "a record names no program")?;
    let units = work.rules().transaction_work.saturating_add(program.work);
    Ok(price(&work.chain, units, submission.proof_bytes.into()).unwrap_or(u64::MAX))
}
