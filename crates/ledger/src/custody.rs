//! Who still has a proof `[H48]`: asked when nobody can know which, paid from what every record sets aside for that.

use certify::hash::{Digest, Purpose as Hashing, hash};

use crate::amount::{share, sub};
use crate::entry::{Cases, Ordered, Purpose, Records, Status};
use crate::reward::Payout;
use crate::settle::Settled;
use crate::store::Fault;
use crate::verdict::holds;
use crate::work::Work;

const LOT: Hashing = Hashing("zerotell/custody/lot/1");
const BYTES: &str = "zerotell/custody/bytes/1";
/// Heights that are looked at, from the drawn one on: most blocks of a quiet network order nothing.
const LOOKED_AT: u64 = 64;
/// A draw pays one part in this many of what is set aside.
const PART: u64 = 1_024;

/// What only one who has the bytes can know after the beacon: the trace of a custody item.
#[must_use]
pub fn trace(beacon: &Digest, bytes: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new_keyed(&blake3::derive_key(BYTES, beacon));
    hasher.update(bytes);
    *hasher.finalize().as_bytes()
}

/// Adds an older record to a round that has others, when the lot says so. It comes from the block before, so whoever kept
/// only some proofs cannot know which will be asked for.
pub(crate) fn draw(work: &mut Work<'_>) -> Result<(), Fault> {
    let (rounds, blocks) = (u64::from(work.rules().custody_rounds), work.rules().custody_blocks);
    let height = work.context.height;
    let lot = hash(LOT, &[&work.context.parent, &height.to_le_bytes()]);
    let number =
        |at: usize| lot.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b));
    // No remainder: there is no draw at all.
    if work.round.items.is_empty() || number(0).checked_rem(rounds) != Some(0) {
        return Ok(());
    }
    let Some(newest) = height.checked_sub(work.rules().round_blocks().saturating_add(1)) else {
        return Ok(());
    };
    let back = number(8).checked_rem(blocks.min(newest).max(1)).unwrap_or_default();
    let from = newest.saturating_sub(back);
    for at in from..=newest.min(from.saturating_add(LOOKED_AT)) {
        let Some(ordered) = work.state.get::<Ordered>(&at)? else { continue };
        let place = u64::try_from(ordered.len()).ok().and_then(|all| number(16).checked_rem(all));
        let statement = place.and_then(|place| ordered.get(usize::try_from(place).ok()?)).copied();
        let Some(statement) = statement else { continue };
        let record = work.state.must::<Records>(&statement, "a block ordered no record")?;
        let is_settled = matches!(record.status, Status::Final { .. }) && record.held == 0;
        let is_here = work.round.items.iter().any(|item| item.statement == statement);
        if is_settled && !is_here && !work.state.has::<Cases>(&statement)? {
            work.judge(statement, Purpose::Custody, 0);
        }
        return Ok(());
    }
    Ok(())
}

/// Pays those who showed that they have it: a part by their share of all stake. What others would get stays set aside.
pub(crate) fn settle(work: &mut Work<'_>, settled: &Settled<'_>, payout: &mut Payout) -> Result<(), Fault> {
    let total = settled.committee.stake();
    work.treasury(|treasury| {
        let prize = treasury.archive.checked_div(PART).unwrap_or_default();
        let seats = settled.committee.seats.iter().enumerate();
        for (_, seat) in seats.filter(|(number, _)| holds(settled.item.accept, *number)) {
            let part = share(prize, seat.stake, total);
            payout.reward(seat.account, part)?;
            treasury.archive = sub(treasury.archive, part)?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_needs_the_bytes_after_the_beacon() {
        let bytes = vec![7; 5_000];
        assert_eq!(trace(&[1; 32], &bytes), trace(&[1; 32], &bytes));
        assert_ne!(trace(&[1; 32], &bytes), trace(&[2; 32], &bytes));
        assert_ne!(trace(&[1; 32], &bytes), trace(&[1; 32], &bytes[1..]));
    }
}
