//! Bonds: in, out, and who gets a seat `[H18]`.

use certify::hash::{Digest, Purpose, hash};
use certify::{Bounded, Committee, Seat};

use crate::address::ADDRESS_MAX;
use crate::amount::{add, share, sub};
use crate::entry::{
    AccountKey, Candidates, Committees, ConsensusKeys, Due, Dues, RELEASES_MAX, Validator, Validators,
};
use crate::parameters::{MILLION, WHOLE};
use crate::refusal::{Failure, Stop};
use crate::reward::Payout;
use crate::state::State;
use crate::store::Fault;
use crate::work::Work;

const LOT: Purpose = Purpose("zerotell/canary/lot/1");
/// Most canaries of the protocol in one epoch.
const CANARIES_MAX: u64 = 4_096;
const CONSENSUS_KEY: Purpose = Purpose("zerotell/consensus-key/1");

pub(crate) fn bond(
    work: &mut Work<'_>,
    sender: &AccountKey,
    amount: u64,
    (consensus, possession): (&Bounded<u8, 128>, &[u8]),
    address: &Bounded<u8, ADDRESS_MAX>,
) -> Result<(), Stop> {
    let mut validator = work.state.get::<Validators>(sender)?.unwrap_or_default();
    if amount == 0 && consensus.is_empty() && address.is_empty() {
        return Err(Failure::Nothing.into());
    }
    if consensus.is_empty() && validator.consensus.is_empty() {
        return Err(Failure::ConsensusKey.into());
    }
    if !consensus.is_empty() {
        own_key(work, sender, consensus, possession)?;
        validator.consensus = consensus.clone();
    }
    if !address.is_empty() {
        validator.address = address.clone();
    }
    work.debit(sender, amount)?;
    validator.bond = add(validator.bond, amount)?;
    work.state.put::<Validators>(sender, &validator);
    compete(work, sender, validator.bond)
}

/// A consensus key belongs to whoever showed it first, for good: old evidence must name one validator.
fn own_key(
    work: &mut Work<'_>,
    sender: &AccountKey,
    consensus: &[u8],
    possession: &[u8],
) -> Result<(), Stop> {
    let name = key_name(consensus);
    let owner = work.state.get::<ConsensusKeys>(&name)?;
    let is_free = owner.is_none_or(|owner| owner == *sender);
    if !is_free || !work.hooks.possession(sender, consensus, possession) {
        return Err(Failure::ConsensusKey.into());
    }
    work.state.put::<ConsensusKeys>(&name, sender);
    Ok(())
}

/// What the state finds a consensus key by.
pub(crate) fn key_name(consensus: &[u8]) -> Digest {
    hash(CONSENSUS_KEY, &[consensus])
}

/// With the least bond, enters the list of those who want a seat; the smallest bond gives way to a larger one.
fn compete(work: &mut Work<'_>, sender: &AccountKey, bond: u64) -> Result<(), Stop> {
    let mut list = work.state.get::<Candidates>(&())?.unwrap_or_default();
    if list.contains(sender) || bond < work.rules().least_bond {
        return Ok(());
    }
    if list.push(*sender).is_err() {
        let mut smallest = None;
        for (place, account) in list.iter().enumerate() {
            let other = work.state.must::<Validators>(account, "a candidate is no validator")?.bond;
            if smallest.is_none_or(|(least, _)| other < least) {
                smallest = Some((other, place));
            }
        }
        let (_, place) = smallest.filter(|(least, _)| *least < bond).ok_or(Failure::Candidates)?;
        if let Some(account) = list.get_mut(place) {
            *account = *sender;
        }
    }
    work.state.put::<Candidates>(&(), &list);
    Ok(())
}

pub(crate) fn unbond(work: &mut Work<'_>, sender: &AccountKey, amount: u64) -> Result<(), Stop> {
    let mut validator = work.state.get::<Validators>(sender)?.ok_or(Failure::Bond)?;
    if amount == 0 {
        return Err(Failure::Nothing.into());
    }
    validator.bond = validator.bond.checked_sub(amount).ok_or(Failure::Bond)?;
    let free = work.context.height.saturating_add(work.rules().unbonding_blocks);
    validator.unbonding.push((free, amount)).map_err(|_| Failure::Unbondings)?;
    if work.state.get::<Dues>(&free)?.is_some_and(|dues| dues.len() >= RELEASES_MAX) {
        return Err(Failure::Unbondings.into());
    }
    if validator.bond == 0 {
        let list = work.state.get::<Candidates>(&())?.unwrap_or_default().into_vec();
        let rest = list.into_iter().filter(|account| account != sender).collect();
        let rest = Bounded::new(rest).map_err(|_| Fault::Broken { what: "too many candidates" })?;
        work.state.put::<Candidates>(&(), &rest);
    }
    work.state.put::<Validators>(sender, &validator);
    Ok(work.at(free, Due::Release { account: *sender })?)
}

/// Pays out what is free by now.
pub(crate) fn release(work: &mut Work<'_>, account: &AccountKey) -> Result<(), Fault> {
    let mut validator = work.state.must::<Validators>(account, "a validator is gone")?;
    let now = work.context.height;
    let (free, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut validator.unbonding)
        .into_vec()
        .into_iter()
        .partition(|(height, _)| *height <= now);
    validator.unbonding = Bounded::new(rest).map_err(|_| Fault::Broken { what: "too many withdrawals" })?;
    work.state.put::<Validators>(account, &validator);
    let sum = free.into_iter().try_fold(0, |sum, (_, amount)| add(sum, amount))?;
    work.credit(account, sum)
}

/// Counts a block for whoever proposed it.
pub(crate) fn note_proposer(work: &mut Work<'_>) -> Result<(), Fault> {
    let proposer = work.context.proposer;
    if let Some(mut validator) = work.state.get::<Validators>(&proposer)? {
        validator.proposed = validator.proposed.saturating_add(1);
        work.state.put::<Validators>(&proposer, &validator);
    }
    Ok(())
}

/// Pays the proposers of an epoch: by their stake times the blocks they proposed. Seats propose in turn, whatever their stake:
/// were each paid by its turns, a stake would earn more on many seats than on one.
fn pay_proposers(work: &mut Work<'_>) -> Result<(), Fault> {
    let mut weights = Vec::new();
    for seat in work.committee.seats.clone().iter() {
        let Some(mut validator) = work.state.get::<Validators>(&seat.account)? else { continue };
        let blocks = std::mem::take(&mut validator.proposed);
        work.state.put::<Validators>(&seat.account, &validator);
        weights.push((seat.account, u128::from(seat.stake).saturating_mul(blocks.into())));
    }
    let mut pot = 0;
    work.treasury(|treasury| {
        pot = std::mem::take(&mut treasury.proposers);
        Ok(())
    })?;
    let mut payout = Payout::default();
    payout.by_weight(pot, &weights)?;
    payout.write(work)
}

/// The end of an epoch: proposers are paid, leaks, and who decides in the next one.
pub(crate) fn turn_epoch(work: &mut Work<'_>) -> Result<Committee, Fault> {
    pay_proposers(work)?;
    leak(work)?;
    let seats = elect(&work.state, work.rules().seats, work.rules().least_bond)?;
    let epoch = work.epoch.saturating_add(1);
    // A network without anybody to decide would stand still for ever: the old seats go on.
    let seats = if seats.is_empty() { work.committee.seats.clone() } else { seats };
    let committee = Committee { epoch, seats };
    work.state.put::<Committees>(&epoch, &committee);
    draw_canaries(work, &committee)?;
    let rules = work.rules();
    let kept = rules.unbonding_blocks.div_ceil(rules.epoch_blocks).saturating_add(2);
    if let Some(old) = epoch.checked_sub(kept) {
        work.state.remove::<Committees>(&old);
    }
    work.chain.rounds = 0;
    Ok(committee)
}

/// Lots, drawn from the last block's digest, say which seats owe a canary of the protocol in the next epoch. Who owes
/// one is known; which record it will be is not.
fn draw_canaries(work: &mut Work<'_>, next: &Committee) -> Result<(), Fault> {
    let rate = work.rules().canary_rate;
    let count =
        work.chain.records.saturating_mul(rate).checked_div(MILLION).unwrap_or_default().min(CANARIES_MAX);
    let used = count.saturating_mul(MILLION).checked_div(rate).unwrap_or_default();
    // The rest of the records counts towards a later epoch, where there is a rate at all.
    work.chain.records = if rate == 0 { 0 } else { work.chain.records.saturating_sub(used) };
    let seats = u64::try_from(next.seats.len()).unwrap_or(u64::MAX);
    for lot in 0..count {
        let drawn = hash(LOT, &[&work.context.parent, &next.epoch.to_le_bytes(), &lot.to_le_bytes()]);
        let number = drawn.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)).checked_rem(seats);
        let seat = number.and_then(|number| next.seats.get(usize::try_from(number).ok()?));
        let Some(account) = seat.map(|seat| seat.account) else { continue };
        let mut validator = work.state.must::<Validators>(&account, "a seat is no validator")?;
        validator.owed = validator.owed.saturating_add(1);
        work.state.put::<Validators>(&account, &validator);
    }
    Ok(())
}

/// The largest bonds above the minimum; of equal ones the smaller account.
pub(crate) fn elect(
    state: &State<'_>,
    seats: u32,
    least: u64,
) -> Result<Bounded<Seat, { certify::SEATS_MAX }>, Fault> {
    let mut all = Vec::new();
    for account in state.get::<Candidates>(&())?.unwrap_or_default().iter() {
        let validator: Validator = state.must::<Validators>(account, "a candidate is no validator")?;
        if validator.bond >= least {
            all.push(Seat { account: *account, consensus: validator.consensus, stake: validator.bond });
        }
    }
    all.sort_by(|a, b| b.stake.cmp(&a.stake).then(a.account.cmp(&b.account)));
    all.truncate(usize::try_from(seats).unwrap_or(certify::SEATS_MAX));
    all.sort_by_key(|seat| seat.account);
    Bounded::new(all).map_err(|_| Fault::Broken { what: "more seats than there may be" })
}

/// Whoever was away, or owes canaries, loses a little; never more for being away.
fn leak(work: &mut Work<'_>) -> Result<(), Fault> {
    let rounds = u64::from(work.chain.rounds);
    let (rate, absence) = (work.rules().leak, work.rules().absence);
    let accounts: Vec<AccountKey> = work.committee.seats.iter().map(|seat| seat.account).collect();
    for account in accounts {
        let Some(mut validator) = work.state.get::<Validators>(&account)? else { continue };
        let missed = u64::from(std::mem::take(&mut validator.missed)).saturating_mul(WHOLE);
        let was_away = missed > rounds.saturating_mul(absence) && rounds > 0;
        let owes = std::mem::take(&mut validator.owed) > 0;
        let lost = if was_away || owes { share(validator.bond, rate, MILLION) } else { 0 };
        validator.bond = sub(validator.bond, lost)?;
        work.state.put::<Validators>(&account, &validator);
        work.burn(lost)?;
    }
    Ok(())
}
