//! What an offence costs `[H26]`: little alone, everything together. Nobody can pardon.

use std::collections::BTreeSet;

use certify::hash::{Digest, Purpose, hash};

use crate::amount::{share, share_up, sub};
use crate::earning::{Cause, Penalty};
use crate::entry::{AccountKey, Offences, Validator, Validators};
use crate::parameters::WHOLE;
use crate::store::Fault;
use crate::work::Work;

const OFFENCE: Purpose = Purpose("zerotell/offence/1");
/// Spans that the time of correlation is cut into.
const SPANS: u64 = 8;

/// What was done; each is punished once per validator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offence {
    /// Contradicting verdict messages on the round of this height.
    Equivocation(u64),
    /// A reveal of this height's verdicts before its time.
    EarlyReveal(u64),
    /// A verdict on this record that running the verifier contradicts.
    WrongVerdict(Digest),
    /// An execution digest on this record that comes from no run.
    WrongExecution(Digest),
    /// An execution digest on an older proof, asked for in a round, that comes from other bytes.
    WrongCustody(Digest),
    /// What the engine says.
    Engine(Digest),
}

impl Offence {
    fn id(self, account: &AccountKey) -> Digest {
        let number = |height: u64| {
            let mut bytes = [0; 32];
            for (to, from) in bytes.iter_mut().zip(height.to_le_bytes()) {
                *to = from;
            }
            bytes
        };
        let (kind, subject) = match self {
            Self::Equivocation(height) => (1, number(height)),
            Self::EarlyReveal(height) => (2, number(height)),
            Self::WrongVerdict(statement) => (3, statement),
            Self::WrongExecution(statement) => (4, statement),
            Self::Engine(id) => (5, id),
            Self::WrongCustody(id) => (6, id),
        };
        hash(OFFENCE, &[&[kind], &subject, account])
    }

    fn cause(self) -> Cause {
        match self {
            Self::Equivocation(_) => Cause::Equivocation,
            Self::EarlyReveal(_) => Cause::EarlyReveal,
            Self::WrongVerdict(_) => Cause::WrongVerdict,
            Self::WrongExecution(_) => Cause::WrongExecution,
            Self::Engine(_) => Cause::Engine,
            Self::WrongCustody(_) => Cause::WrongCustody,
        }
    }
}

/// Punishes those who were not punished for this before, and says how many. All of them are counted together before
/// any of them pays, so that their order does not matter.
pub(crate) fn punish(
    work: &mut Work<'_>,
    accused: &[AccountKey],
    offence: Offence,
    reward_to: Option<AccountKey>,
) -> Result<usize, Fault> {
    let fresh = unpunished(work, accused, offence, |_| true)?;
    charge(work, fresh, offence.cause(), reward_to)
}

/// Takes the price of an offence that nobody was punished for before.
fn charge(
    work: &mut Work<'_>,
    fresh: Vec<AccountKey>,
    cause: Cause,
    reward_to: Option<AccountKey>,
) -> Result<usize, Fault> {
    let count = fresh.len();
    if count == 0 {
        return Ok(0);
    }
    let (now, span) = span_of(work);
    let mut stake = 0u128;
    for account in &fresh {
        let mut validator = work.state.must::<Validators>(account, "an offender is gone")?;
        // Nobody is counted twice at a time: alone, one never looks like many.
        // A number from the future is of longer ago: the spans were shorter then.
        let was_counted = (1..=span).contains(&validator.counted);
        if !was_counted || validator.counted.saturating_add(SPANS) <= now {
            stake = stake.saturating_add(validator.slashable());
            validator.counted = span;
            work.state.put::<Validators>(account, &validator);
        }
    }
    let together = correlated(work, now, stake)?;
    for account in fresh {
        let mut validator = work.state.must::<Validators>(&account, "an offender is gone")?;
        let doubled = work.rules().first_offence.checked_shl(validator.offences.min(14)).unwrap_or(WHOLE);
        let penalty = draw(&mut validator, doubled.max(together).min(WHOLE))?;
        validator.offences = validator.offences.saturating_add(1);
        work.state.put::<Validators>(&account, &validator);
        note(work, (account, &validator), penalty, cause);
        hand_out(work, penalty, reward_to)?;
    }
    Ok(count)
}

/// Punishes for traces of a round that was ordered after the last such punishment: their verdicts are right, so they may be
/// honest, with a build whose traces differ on every record. Who stops then has paid once, whatever was under way; who goes on
/// pays twice as much each time.
pub(crate) fn punish_traces(
    work: &mut Work<'_>,
    accused: Vec<AccountKey>,
    (offence, round): (Offence, u64),
    reporter: AccountKey,
) -> Result<usize, Fault> {
    let height = work.context.height;
    let mut fresh = Vec::new();
    for account in unpunished(work, &accused, offence, |validator| validator.traced < round)? {
        let mut validator = work.state.must::<Validators>(&account, "an offender is gone")?;
        validator.traced = height;
        work.state.put::<Validators>(&account, &validator);
        fresh.push(account);
    }
    charge(work, fresh, offence.cause(), Some(reporter))
}

/// What those pay who are wrong though they looked: a first offence's price, once in an epoch, never more for being many.
/// They may be honest, with a build or a machine that errs.
pub(crate) fn err(
    work: &mut Work<'_>,
    accused: &[AccountKey],
    offence: Offence,
    reward_to: Option<AccountKey>,
) -> Result<(), Fault> {
    let epoch = work.epoch.saturating_add(1);
    for account in unpunished(work, accused, offence, |_| true)? {
        let mut validator = work.state.must::<Validators>(&account, "an offender is gone")?;
        if validator.erred == epoch {
            continue;
        }
        validator.erred = epoch;
        let penalty = draw(&mut validator, work.rules().first_offence)?;
        work.state.put::<Validators>(&account, &validator);
        note(work, (account, &validator), penalty, Cause::Error);
        hand_out(work, penalty, reward_to)?;
    }
    Ok(())
}

/// Those among the accused that count, each once, who were not punished for this before; from now on they were.
fn unpunished(
    work: &mut Work<'_>,
    accused: &[AccountKey],
    offence: Offence,
    counts: impl Fn(&Validator) -> bool,
) -> Result<Vec<AccountKey>, Fault> {
    let mut fresh = Vec::new();
    for account in accused.iter().collect::<BTreeSet<_>>() {
        let id = offence.id(account);
        let counts = work.state.get::<Validators>(account)?.is_some_and(|validator| counts(&validator));
        if counts && !work.state.has::<Offences>(&id)? {
            let height = work.context.height;
            work.state.put::<Offences>(&id, &height);
            fresh.push(*account);
        }
    }
    Ok(fresh)
}

fn note(work: &mut Work<'_>, (account, validator): (AccountKey, &Validator), lost: u64, cause: Cause) {
    if lost > 0 {
        work.penalties.push(Penalty { account, lost, cause, offences: validator.offences });
    }
}

/// A part of a penalty for whoever brought it about; the rest is burned.
fn hand_out(work: &mut Work<'_>, penalty: u64, reward_to: Option<AccountKey>) -> Result<(), Fault> {
    let reward = reward_to.map_or(0, |_| share(penalty, work.rules().reporter_share, WHOLE));
    if let Some(reporter) = reward_to {
        work.reward(&reporter, reward)?;
    }
    work.burn(sub(penalty, reward)?)
}

/// The present span of time, and its number from 1.
fn span_of(work: &Work<'_>) -> (u64, u64) {
    let span = work.rules().correlation_blocks.checked_div(SPANS).unwrap_or(1).max(1);
    let now = work.context.height.checked_div(span).unwrap_or_default();
    (now, now.saturating_add(1))
}

/// What it costs to commit and never to show, where a record was rejected. Always the same: a validator that crashed
/// has broken its word for several rounds at once, and others may have crashed with it.
pub(crate) fn withheld(work: &mut Work<'_>, account: &AccountKey) -> Result<(), Fault> {
    let Some(mut validator) = work.state.get::<Validators>(account)? else { return Ok(()) };
    let penalty = draw(&mut validator, work.rules().first_offence)?;
    work.state.put::<Validators>(account, &validator);
    note(work, (*account, &validator), penalty, Cause::Withheld);
    work.burn(penalty)
}

/// Adds offending stake to that of late, and gives the part of a bond that all of them lose for being many.
fn correlated(work: &mut Work<'_>, now: u64, stake: u128) -> Result<u64, Fault> {
    let rules = work.rules();
    let (factor, floor) = (rules.correlation, rules.correlation_floor);
    let late = std::mem::take(&mut work.chain.offended).into_vec();
    // Spans that were voted to be longer have smaller numbers: what lies in the future is of long ago.
    let is_late = |at: u64| at <= now && at.saturating_add(SPANS) >= now;
    let mut late: Vec<(u64, u64)> = late.into_iter().filter(|(at, _)| is_late(*at)).collect();
    let stake = u64::try_from(stake).map_err(|_| Fault::Broken { what: "more stake than money" })?;
    match late.last_mut() {
        Some((at, sum)) if *at == now => *sum = sum.saturating_add(stake),
        _ => late.push((now, stake)),
    }
    let sum = late.iter().map(|(_, stake)| u128::from(*stake)).fold(0, u128::saturating_add);
    work.chain.offended =
        certify::Bounded::new(late).map_err(|_| Fault::Broken { what: "too many spans of offences" })?;
    let of = work.committee.stake();
    let fraction = sum.saturating_mul(WHOLE.into()).checked_div(of).unwrap_or(WHOLE.into());
    let fraction = u64::try_from(fraction).unwrap_or(WHOLE).min(WHOLE);
    Ok(if fraction > floor { fraction.saturating_mul(factor).min(WHOLE) } else { 0 })
}

/// Takes a part, in basis points, from the bond and then from what is on its way out, and gives the sum.
fn draw(validator: &mut Validator, part: u64) -> Result<u64, Fault> {
    let all =
        u64::try_from(validator.slashable()).map_err(|_| Fault::Broken { what: "more stake than money" })?;
    let penalty = share_up(all, part, WHOLE);
    let mut left = penalty;
    let mut from = |purse: &mut u64| {
        let drawn = left.min(*purse);
        *purse = purse.saturating_sub(drawn);
        left = left.saturating_sub(drawn);
    };
    from(&mut validator.bond);
    validator.unbonding.iter_mut().rev().for_each(|(_, amount)| from(amount));
    sub(penalty, left)
}
