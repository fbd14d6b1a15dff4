//! The end of a round `[H22]`: who was there, what is paid, and what must be looked at again.

use certify::Committee;

use crate::custody;
use crate::entry::{
    AccountKey, Accounts, Case, Cases, Commitments, Committees, Due, Item, Links, Models, Programs, Purpose,
    Record, Records, Reveals, Round, Rounds, Status, Suspended, Validators,
};
use crate::parameters::WHOLE;
use crate::reward::Payout;
use crate::slash;
use crate::store::Fault;
use crate::verdict::{holds, is_quorum, short};
use crate::work::{Work, account_of};

type Statement = certify::Digest;

/// Settles the round of a height; its reveals are over.
pub(crate) fn settle(work: &mut Work<'_>, height: u64) -> Result<(), Fault> {
    let round = work.state.must::<Rounds>(&height, "a round is gone")?;
    let committee = work.state.must::<Committees>(&round.epoch, "a round has no committee")?;
    let mut payout = Payout::default();
    for item in round.items.iter() {
        let settled = Settled { height, item, round: &round, committee: &committee };
        match item.purpose {
            Purpose::Order => order(work, &settled, &mut payout)?,
            Purpose::Case => case(work, &settled, &mut payout)?,
            Purpose::Again => again(work, &settled)?,
            Purpose::Custody => custody::settle(work, &settled, &mut payout)?,
        }
    }
    payout.write(work)?;
    absent(work, height, &committee)?;
    work.chain.rounds = work.chain.rounds.saturating_add(1);
    let judged = round.items.iter().filter(|item| item.purpose != Purpose::Custody).count();
    let items = u64::try_from(judged).unwrap_or(u64::MAX);
    work.chain.records = work.chain.records.saturating_add(items);
    let until = work.context.height.saturating_add(work.rules().trace_blocks);
    work.at(until, Due::Forget { round: height })
}

/// Drops what served as evidence for a while; who never showed what it committed to has broken its word.
pub(crate) fn forget(work: &mut Work<'_>, height: u64) -> Result<(), Fault> {
    let round = work.state.must::<Rounds>(&height, "a round is gone")?;
    let committee = work.state.must::<Committees>(&round.epoch, "a round has no committee")?;
    // A seat that did not look commits blindly and stays silent where the others reject: so silence costs as much as
    // a wrong verdict where there was something to hide, and nothing elsewhere.
    let mut judged = round.items.iter().filter(|item| item.purpose != Purpose::Custody);
    let had_bad = judged.any(|item| matches!(item.verdict, Some(1..)));
    for (number, seat) in committee.seats.iter().enumerate() {
        let key = (height, short(number)?);
        let is_withheld = work.state.has::<Commitments>(&key)? && !work.state.has::<Reveals>(&key)?;
        if is_withheld && had_bad {
            slash::withheld(work, &seat.account)?;
        }
        work.state.remove::<Reveals>(&key);
        work.state.remove::<Commitments>(&key);
    }
    work.state.remove::<Rounds>(&height);
    Ok(())
}

/// An item whose round is over.
pub(crate) struct Settled<'a> {
    height: u64,
    pub item: &'a Item,
    round: &'a Round,
    pub committee: &'a Committee,
}

impl Settled<'_> {
    /// Whether so much stake contradicts the rest that it may not be their fault.
    fn is_disputed(&self, dissent: u64) -> bool {
        let least = u128::from(self.item.accept_stake.min(self.item.reject_stake));
        least.saturating_mul(WHOLE.into()) > self.committee.stake().saturating_mul(dissent.into())
    }

    fn vote(&self, record: &mut Record) {
        record.voted = self.height;
        record.accept = self.item.accept;
        record.reject = self.item.reject;
    }
}

fn record_of(work: &Work<'_>, statement: &Statement) -> Result<Record, Fault> {
    work.state.must::<Records>(statement, "a round names no record")
}

fn order(work: &mut Work<'_>, settled: &Settled<'_>, payout: &mut Payout) -> Result<(), Fault> {
    let statement = settled.item.statement;
    let mut record = record_of(work, &statement)?;
    settled.vote(&mut record);
    if settled.is_disputed(work.rules().dissent) {
        // The fee waits with the record: whoever is right about the case earns it.
        work.state.put::<Records>(&statement, &record);
        work.state.put::<Cases>(&statement, &Case { reporter: None, held: 0 });
        work.wait(statement, Purpose::Case, 0);
        return Ok(());
    }
    if settled.item.verdict.is_none() && retry(work, settled.item) {
        work.state.put::<Records>(&statement, &record);
        return Ok(());
    }
    if settled.item.verdict.is_none() && is_quorum(settled.item.abstain_stake, settled.committee.stake()) {
        // Two thirds have no proof: it was withheld. What would go back is burned, or asking for nothing were free.
        work.burn(std::mem::take(&mut record.held))?;
    }
    conclude(work, &statement, record, payout)
}

/// Puts an item in line again for want of a quorum, if it has tries left.
fn retry(work: &mut Work<'_>, item: &Item) -> bool {
    let tries = item.tries.saturating_add(1);
    let may = tries < work.rules().tries;
    if may {
        work.wait(item.statement, item.purpose, tries);
    }
    may
}

/// Pays out what a record holds, or gives it back, once; and does what a link says.
fn conclude(
    work: &mut Work<'_>,
    statement: &Statement,
    mut record: Record,
    payout: &mut Payout,
) -> Result<(), Fault> {
    let held = std::mem::take(&mut record.held);
    match record.status {
        Status::Final { code, .. } => {
            pay(work, &record, held, payout)?;
            link(work, statement, code == 0)?;
        }
        Status::Pending | Status::Undecided { .. } => {
            record.status = Status::Undecided { height: work.context.height };
            payout.credit(record.submitter, held)?;
        }
    }
    let mut account = account_of(&work.state, &record.submitter)?;
    account.in_flight = account.in_flight.saturating_sub(1);
    work.state.put::<Accounts>(&record.submitter, &account);
    work.state.put::<Records>(statement, &record);
    Ok(())
}

/// Splits money among those who were right in the round that the record's sets are of.
fn pay(work: &Work<'_>, record: &Record, held: u64, payout: &mut Payout) -> Result<(), Fault> {
    let epoch = crate::work::epoch_of(work.rules(), record.voted);
    let Some(committee) = work.state.get::<Committees>(&epoch)? else {
        // It waited in line for longer than committees are kept: nobody can be paid, the fee is not kept by anyone.
        return payout.fee(work.rules(), held, &work.committee, 0);
    };
    let accepted = matches!(record.status, Status::Final { code: 0, .. });
    payout.fee(work.rules(), held, &committee, if accepted { record.accept } else { record.reject })
}

/// A link that is accepted moves its model; one that is not any more moves it back, unless the model went on since: what
/// another link did, that one alone takes back.
fn link(work: &mut Work<'_>, statement: &Statement, accepted: bool) -> Result<(), Fault> {
    let Some(mut link) = work.state.get::<Links>(statement)? else { return Ok(()) };
    let mut model = work.state.must::<Models>(&link.model, "a link names no model")?;
    if accepted && !link.gone && model.weights == link.from {
        model.weights = link.weights;
        model.links = model.links.saturating_add(1);
    } else if !accepted && link.gone && model.weights == link.weights {
        model.weights = link.from;
        model.links = model.links.saturating_sub(1);
    } else {
        return Ok(());
    }
    link.gone = accepted;
    work.state.put::<Links>(statement, &link);
    model.height = work.context.height;
    work.state.put::<Models>(&link.model, &model);
    Ok(())
}

fn case(work: &mut Work<'_>, settled: &Settled<'_>, payout: &mut Payout) -> Result<(), Fault> {
    let statement = settled.item.statement;
    let case = work.state.must::<Cases>(&statement, "a case is gone")?;
    let disputed = settled.is_disputed(work.rules().dissent);
    if !disputed && settled.item.verdict.is_none() && retry(work, settled.item) {
        return Ok(());
    }
    work.state.remove::<Cases>(&statement);
    let mut record = record_of(work, &statement)?;
    match settled.item.verdict {
        Some(code) if !disputed => {
            resolve(work, settled, (&case, code), &mut record)?;
            pay(work, &record, case.held, payout)?;
            link(work, &statement, code == 0)?;
        }
        _ => {
            // Nobody knows: nobody is punished, the doubter has the money back, and nothing of this class is taken
            // until the validators agree again.
            if disputed {
                suspend(work, &record)?;
            }
            if let Some(reporter) = case.reporter {
                payout.credit(reporter, case.held)?;
            }
        }
    }
    let is_paid = record.held == 0 && !matches!(record.status, Status::Pending);
    if is_paid {
        work.state.put::<Records>(&statement, &record);
        return Ok(());
    }
    conclude(work, &statement, record, payout)
}

/// Everyone looked again and agreed: who said otherwise then, or now, is punished.
fn resolve(
    work: &mut Work<'_>,
    settled: &Settled<'_>,
    (case, code): (&Case, u16),
    record: &mut Record,
) -> Result<(), Fault> {
    let wrong = |accept, reject| if code == 0 { reject } else { accept };
    let erring = members(settled.committee, wrong(settled.item.accept, settled.item.reject));
    let mut offenders = Vec::new();
    // Under another version of the verifier another verdict may have been right.
    if settled.round.verifier == record.verifier {
        let epoch = crate::work::epoch_of(work.rules(), record.voted);
        if let Some(committee) = work.state.get::<Committees>(&epoch)? {
            offenders = members(&committee, wrong(record.accept, record.reject));
            // Who says the same when everyone looks may have looked before.
            offenders.retain(|account| !erring.contains(account));
        }
    }
    // Whoever submits what is not valid earns from those who did not look.
    let reward_to = if code == 0 { case.reporter } else { Some(record.submitter) };
    let offence = slash::Offence::WrongVerdict(settled.item.statement);
    slash::punish(work, &offenders, offence, reward_to)?;
    slash::err(work, &erring, offence, reward_to)?;
    settled.vote(record);
    record.verifier = settled.round.verifier;
    record.status = Status::Final { code, height: work.context.height };
    Ok(())
}

fn members(committee: &Committee, set: u128) -> Vec<AccountKey> {
    let seats = committee.seats.iter().enumerate();
    seats.filter(|(number, _)| holds(set, *number)).map(|(_, seat)| seat.account).collect()
}

fn again(work: &mut Work<'_>, settled: &Settled<'_>) -> Result<(), Fault> {
    let statement = settled.item.statement;
    let mut record = record_of(work, &statement)?;
    if settled.is_disputed(work.rules().dissent) {
        return suspend(work, &record);
    }
    let Some(code) = settled.item.verdict else {
        retry(work, settled.item);
        return Ok(());
    };
    // The old verdicts were given by another verifier: nobody is punished for them.
    settled.vote(&mut record);
    record.verifier = settled.round.verifier;
    record.status = Status::Final { code, height: work.context.height };
    work.state.put::<Records>(&statement, &record);
    link(work, &statement, code == 0)
}

fn suspend(work: &mut Work<'_>, record: &Record) -> Result<(), Fault> {
    let program = work.state.must::<Programs>(&record.program, "a record names no program")?;
    if !work.state.has::<Suspended>(&program.class)? {
        let height = work.context.height;
        work.state.put::<Suspended>(&program.class, &height);
    }
    Ok(())
}

/// Counts the seats that showed nothing.
fn absent(work: &mut Work<'_>, height: u64, committee: &Committee) -> Result<(), Fault> {
    for (number, seat) in committee.seats.iter().enumerate() {
        if work.state.has::<Reveals>(&(height, short(number)?))? {
            continue;
        }
        if let Some(mut validator) = work.state.get::<Validators>(&seat.account)? {
            validator.missed = validator.missed.saturating_add(1);
            work.state.put::<Validators>(&seat.account, &validator);
        }
    }
    Ok(())
}
