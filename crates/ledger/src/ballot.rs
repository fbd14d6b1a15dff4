//! What two thirds of stake decide directly `[H32]`.

use certify::hash::Digest;

use crate::Fault;
use crate::entry::{AccountKey, Ballot, Ballots, Due, Dues, RELEASES_MAX};
use crate::refusal::{Failure, Stop};
use crate::verdict::{holds, is_quorum, only};
use crate::work::Work;

/// Counts a vote of the present committee; whether it is the one that decides.
pub(crate) fn vote(work: &mut Work<'_>, sender: &AccountKey, subject: Digest) -> Result<bool, Stop> {
    let (number, _) = work.committee.seat(sender).ok_or(Failure::NotAllowed)?;
    let open = work.state.get::<Ballots>(&subject)?.filter(|ballot| ballot.epoch == work.epoch);
    let mut ballot = match open {
        Some(ballot) => ballot,
        None => {
            let over = work.context.height.saturating_add(work.rules().epoch_blocks);
            if work.state.get::<Dues>(&over)?.is_some_and(|dues| dues.len() >= RELEASES_MAX) {
                return Err(Failure::Votes.into());
            }
            work.at(over, Due::Close { subject })?;
            Ballot { epoch: work.epoch, seats: 0 }
        }
    };
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

/// Removes a vote that nobody can take part in any more; one that was opened again has its own end.
pub(crate) fn close(work: &mut Work<'_>, subject: &Digest) -> Result<(), Fault> {
    if work.state.get::<Ballots>(subject)?.is_some_and(|ballot| ballot.epoch < work.epoch) {
        work.state.remove::<Ballots>(subject);
    }
    Ok(())
}
