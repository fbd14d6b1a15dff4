//! What two thirds of stake decide directly `[H32]`.

use certify::hash::Digest;

use crate::entry::{AccountKey, Ballot, Ballots};
use crate::refusal::{Failure, Stop};
use crate::verdict::{holds, is_quorum, only};
use crate::work::Work;

/// Counts a vote of the present committee; whether it is the one that decides.
pub(crate) fn vote(work: &mut Work<'_>, sender: &AccountKey, subject: Digest) -> Result<bool, Stop> {
    let (number, _) = work.committee.seat(sender).ok_or(Failure::NotAllowed)?;
    let open = work.state.get::<Ballots>(&subject)?.filter(|ballot| ballot.epoch == work.epoch);
    let mut ballot = open.unwrap_or(Ballot { epoch: work.epoch, seats: 0 });
    if holds(ballot.seats, number) {
        return Err(Failure::Known.into());
    }
    ballot.seats |= only(number);
    let seats = work.committee.seats.iter().enumerate();
    let in_favour =
        seats.filter(|(number, _)| holds(ballot.seats, *number)).map(|(_, seat)| u128::from(seat.stake));
    let passed = is_quorum(in_favour.fold(0, u128::saturating_add), work.committee.stake());
    if passed {
        work.state.remove::<Ballots>(&subject);
    } else {
        work.state.put::<Ballots>(&subject, &ballot);
    }
    Ok(passed)
}
