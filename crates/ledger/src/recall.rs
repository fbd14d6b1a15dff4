//! What is not to be relied on any more, and the work of looking again `[H30]`.

use certify::hash::{Digest, Purpose as Hashing, hash};
use certify::wire::encode;

use crate::ballot::vote;
use crate::entry::{
    AccountKey, Coming, Ordered, Programs, Purpose, Queue, RecalledVersions, Records, Status, Suspended,
    Sweep, Sweeps,
};
use crate::parameters::Parameters;
use crate::refusal::{Failure, Stop};
use crate::store::Fault;
use crate::transaction::Subject;
use crate::work::Work;

const SUBJECT: Hashing = Hashing("zerotell/ballot/recall/1");
const UPDATE: Hashing = Hashing("zerotell/ballot/parameters/1");
/// Blocks that a sweep looks at in one.
const SWEEP_BLOCKS: u64 = 16;

pub(crate) fn recall(
    work: &mut Work<'_>,
    sender: &AccountKey,
    subject: &Subject,
    reason: u16,
) -> Result<(), Stop> {
    match subject {
        Subject::Record { statement } => {
            let mut record = work.state.get::<Records>(statement)?.ok_or(Failure::Missing)?;
            allowed(record.submitter == *sender, record.recalled)?;
            record.recalled = reason;
            work.state.put::<Records>(statement, &record);
        }
        Subject::Program { program } => {
            let mut entry = work.state.get::<Programs>(program)?.ok_or(Failure::Missing)?;
            allowed(entry.owner == *sender, entry.recalled)?;
            entry.recalled = reason;
            work.state.put::<Programs>(program, &entry);
        }
        Subject::Verifier { version } => {
            if work.state.has::<RecalledVersions>(version)? {
                return Err(Failure::Known.into());
            }
            if vote(work, sender, ballot_of(subject, reason))? {
                recall_version(work, *version, reason)?;
            }
        }
        Subject::Resume { class } => {
            if !work.state.has::<Suspended>(class)? {
                return Err(Failure::Missing.into());
            }
            if vote(work, sender, ballot_of(subject, reason))? {
                work.state.remove::<Suspended>(class);
            }
        }
    }
    Ok(())
}

fn allowed(is_owner: bool, recalled: u16) -> Result<(), Stop> {
    if !is_owner {
        return Err(Failure::NotAllowed.into());
    }
    if recalled != 0 { Err(Failure::Known.into()) } else { Ok(()) }
}

fn ballot_of(subject: &Subject, reason: u16) -> Digest {
    hash(SUBJECT, &[&reason.to_le_bytes(), &encode(subject)])
}

fn recall_version(work: &mut Work<'_>, version: u16, reason: u16) -> Result<(), Stop> {
    if work.state.has::<Sweeps>(&())? {
        // One at a time: the one under way would be lost.
        return Err(Failure::Known.into());
    }
    work.state.put::<RecalledVersions>(&version, &reason);
    let last = work.context.height;
    work.state.put::<Sweeps>(&(), &Sweep { version, next: 0, last });
    Ok(())
}

/// Goes on with a recall, once another version rules: records judged by the recalled one get in line.
pub(crate) fn sweep(work: &mut Work<'_>) -> Result<(), Fault> {
    let Some(mut sweep) = work.state.get::<Sweeps>(&())? else { return Ok(()) };
    let waiting = work.chain.queue.1.saturating_sub(work.chain.queue.0);
    if work.rules().verifier == sweep.version || waiting > u64::from(work.rules().again_items) {
        return Ok(());
    }
    // What is still being decided is left until it is.
    let rounds = work.rules().round_blocks().saturating_add(1);
    let settled =
        work.context.height.saturating_sub(rounds.saturating_mul(u64::from(work.rules().tries) << 1));
    let end = sweep.next.saturating_add(SWEEP_BLOCKS).min(settled).min(sweep.last.saturating_add(1));
    while sweep.next < end {
        for statement in work.state.get::<Ordered>(&sweep.next)?.unwrap_or_default().iter() {
            let record = work.state.must::<Records>(statement, "an ordered record is gone")?;
            if record.verifier == sweep.version && matches!(record.status, Status::Final { .. }) {
                work.wait(*statement, Purpose::Again, 0);
            }
        }
        sweep.next = sweep.next.saturating_add(1);
    }
    if sweep.next > sweep.last {
        work.state.remove::<Sweeps>(&());
    } else {
        work.state.put::<Sweeps>(&(), &sweep);
    }
    Ok(())
}

/// Takes from the line what this block's round has room for.
pub(crate) fn take_waiting(work: &mut Work<'_>) -> Result<(), Fault> {
    let half = work.rules().block_work >> 1;
    for _ in 0..work.rules().again_items {
        let (first, end) = work.chain.queue;
        if first >= end || !work.has_room() {
            break;
        }
        let waiting = work.state.must::<Queue>(&first, "the line has a gap")?;
        let record = work.state.must::<Records>(&waiting.statement, "a record in line is gone")?;
        let program = work.state.must::<Programs>(&record.program, "a record names no program")?;
        let after = work.used.work.saturating_add(program.work);
        if after > half && work.used.work > 0 {
            break;
        }
        work.used.work = after;
        work.judge(waiting.statement, waiting.purpose, waiting.tries);
        work.state.remove::<Queue>(&first);
        work.chain.queue.0 = first.saturating_add(1);
    }
    Ok(())
}

/// A vote for other parameters; when it decides they rule after a delay.
pub(crate) fn update_parameters(
    work: &mut Work<'_>,
    sender: &AccountKey,
    new: &Parameters,
) -> Result<(), Stop> {
    if new.validate().is_err() || new.epoch_blocks != work.rules().epoch_blocks {
        return Err(Failure::Parameters.into());
    }
    if vote(work, sender, hash(UPDATE, &[&encode(new)]))? {
        let from = work.context.height.saturating_add(work.rules().parameter_delay);
        work.state.put::<Coming>(&(), &(from, new.clone()));
    }
    Ok(())
}

/// Lets parameters rule whose time has come.
pub(crate) fn activate(work: &mut Work<'_>) -> Result<(), Fault> {
    let Some((from, new)) = work.state.get::<Coming>(&())? else { return Ok(()) };
    if work.context.height >= from {
        work.state.remove::<Coming>(&());
        work.chain.parameters = new;
    }
    Ok(())
}
