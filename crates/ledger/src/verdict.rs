//! What seats say of a round: bound first, shown later, final at two thirds of stake `[H20]`.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use certify::Bounded;
use certify::Committee;
use certify::hash::{Digest, Purpose as Hashing, hash};
use certify::wire::encode;

use crate::amount::add;
use crate::entry::{
    AccountKey, Commitments, Committees, ITEMS_MAX, Item, Purpose, Records, Reveals, Round, Rounds, Shown,
    Status,
};
use crate::refusal::Stop;
use crate::slash;
use crate::state::State;
use crate::store::Fault;
use crate::work::Work;

const COMMITMENT: Hashing = Hashing("zerotell/verdict/commitment/1");
const EXECUTION: Hashing = Hashing("zerotell/verdict/execution/1");

/// What a seat commits to: its verdicts on a round, under a salt that nobody can guess.
///
/// A validator should derive the salt from a secret and the height, so that after a crash it commits to the same.
pub fn commitment(
    network: &Digest,
    round: u64,
    account: &AccountKey,
    verdicts: &[Shown],
    salt: &Digest,
) -> Digest {
    let shown: Vec<u8> = verdicts.iter().flat_map(encode).collect();
    hash(COMMITMENT, &[network, &round.to_le_bytes(), account, salt, &shown])
}

/// That a seat ran the verifier: nobody else's digest is right for it, and no other round's.
///
/// `trace` is the state of the transcript after the last check, or where one failed.
pub fn execution_digest(account: &AccountKey, beacon: &Digest, trace: &Digest) -> Digest {
    hash(EXECUTION, &[account, beacon, trace])
}

/// Whether this stake decides.
pub fn is_quorum(stake: impl Into<u128>, of: u128) -> bool {
    stake.into().saturating_mul(3) >= of.saturating_mul(2) && of > 0
}

/// The set of one seat.
pub(crate) fn only(seat: usize) -> u128 {
    1u128.checked_shl(u32::try_from(seat).unwrap_or(u32::MAX)).unwrap_or_default()
}

/// Whether a seat is in a set.
pub fn holds(set: u128, seat: usize) -> bool {
    set & only(seat) != 0
}

/// The number of a sender's seat in a round that admission found open.
fn seat_of(work: &Work<'_>, round: u64, sender: &AccountKey) -> Result<(Round, Committee, usize), Fault> {
    let round = work.state.must::<Rounds>(&round, "a round is gone")?;
    let committee = work.state.must::<Committees>(&round.epoch, "a round has no committee")?;
    let (number, _) = committee.seat(sender).ok_or(Fault::Broken { what: "a seat is gone" })?;
    Ok((round, committee, number))
}

pub(crate) fn commit(
    work: &mut Work<'_>,
    sender: &AccountKey,
    round: u64,
    commitment: &Digest,
) -> Result<(), Stop> {
    let (mut open, committee, seat) = seat_of(work, round, sender)?;
    work.state.put::<Commitments>(&(round, short(seat)?), commitment);
    // Nobody is left to copy from what is shown, so nobody need wait.
    for other in 0..committee.seats.len() {
        if !work.state.has::<Commitments>(&(round, short(other)?))? {
            return Ok(());
        }
    }
    open.commit_until = work.context.height;
    work.state.put::<Rounds>(&round, &open);
    Ok(())
}

pub(crate) fn reveal(
    work: &mut Work<'_>,
    sender: &AccountKey,
    height: u64,
    verdicts: &Bounded<Shown, ITEMS_MAX>,
) -> Result<(), Stop> {
    let (mut round, committee, seat) = seat_of(work, height, sender)?;
    let stake = committee.seats.get(seat).map_or(0, |seat| seat.stake);
    let total = committee.stake();
    work.state.put::<Reveals>(&(height, short(seat)?), verdicts);
    for (place, (item, shown)) in round.items.iter_mut().zip(verdicts.iter()).enumerate() {
        let Some(accepts) = shown.accepts() else {
            item.abstain_stake = add(item.abstain_stake, stake)?;
            continue;
        };
        let (set, sum) = if accepts {
            (&mut item.accept, &mut item.accept_stake)
        } else {
            (&mut item.reject, &mut item.reject_stake)
        };
        *set |= only(seat);
        *sum = add(*sum, stake)?;
        if work.context.height > round.reveal_until && item.purpose == Purpose::Custody {
            // Too late to be paid, and no verdict.
        } else if work.context.height > round.reveal_until {
            late(work, item, (height, round.verifier), (sender, only(seat), accepts))?;
        } else if item.verdict.is_none() {
            decide(work, item, (height, place), &committee, total)?;
        }
    }
    work.state.put::<Rounds>(&height, &round);
    Ok(())
}

/// What is shown late decides nothing and earns nothing, but counts against whoever was wrong.
fn late(
    work: &mut Work<'_>,
    item: &Item,
    (height, verifier): (u64, u16),
    (sender, seat, accepts): (&AccountKey, u128, bool),
) -> Result<(), Fault> {
    let mut record = work.state.must::<Records>(&item.statement, "a round names no record")?;
    if record.voted == height {
        *(if accepts { &mut record.accept } else { &mut record.reject }) |= seat;
        work.state.put::<Records>(&item.statement, &record);
        return Ok(());
    }
    // It was judged again since: there will be no other case to find this seat.
    let Status::Final { code, .. } = record.status else { return Ok(()) };
    if (code == 0) != accepts && record.verifier == verifier {
        let reward_to = (code != 0).then_some(record.submitter);
        slash::punish(work, &[*sender], slash::Offence::WrongVerdict(item.statement), reward_to)?;
    }
    Ok(())
}

/// Two thirds of stake make it final, the first time.
fn decide(
    work: &mut Work<'_>,
    item: &mut Item,
    at: (u64, usize),
    committee: &Committee,
    total: u128,
) -> Result<(), Fault> {
    item.verdict = if is_quorum(item.accept_stake, total) {
        Some(0)
    } else if is_quorum(item.reject_stake, total) {
        Some(commonest(&work.state, item.reject, at, committee)?)
    } else {
        return Ok(());
    };
    if let (Purpose::Order, Some(code)) = (item.purpose, item.verdict) {
        let mut record = work.state.must::<Records>(&item.statement, "a round names no record")?;
        record.status = Status::Final { code, height: work.context.height };
        // Who said so until now; the settlement writes all who did.
        (record.voted, record.accept, record.reject) = (at.0, item.accept, item.reject);
        work.state.put::<Records>(&item.statement, &record);
    }
    Ok(())
}

/// The reason that most stake gave; the smallest of those with as much.
fn commonest(
    state: &State<'_>,
    reject: u128,
    (height, place): (u64, usize),
    committee: &Committee,
) -> Result<u16, Fault> {
    let mut stakes: BTreeMap<u16, u128> = BTreeMap::new();
    for (number, seat) in committee.seats.iter().enumerate().filter(|(number, _)| holds(reject, *number)) {
        let shown = state.must::<Reveals>(&(height, short(number)?), "a reveal is gone")?;
        let code = shown.get(place).map_or(0, |shown| shown.code);
        let stake = stakes.entry(code).or_default();
        *stake = stake.saturating_add(u128::from(seat.stake));
    }
    let most = stakes.into_iter().max_by_key(|(code, stake)| (*stake, Reverse(*code)));
    most.map(|(code, _)| code).ok_or(Fault::Broken { what: "a rejection by nobody" })
}

pub(crate) fn short(seat: usize) -> Result<u8, Fault> {
    u8::try_from(seat).map_err(|_| Fault::Broken { what: "more seats than there may be" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_thirds_and_no_less() {
        assert!(is_quorum(2u64, 3) && is_quorum(67u64, 100));
        assert!(!is_quorum(66u64, 100) && !is_quorum(1u64, 3) && !is_quorum(0u64, 0));
        assert!(is_quorum(u64::MAX, u128::from(u64::MAX)));
    }

    #[test]
    fn sets_have_128_seats() {
        assert!(holds(only(127), 127) && !holds(u128::MAX, 128) && only(128) == 0);
    }
}
