//! What a seat is to say: pure help for the node that holds its key.

use certify::Committee;
use certify::hash::Digest;

use crate::entry::{AccountKey, Committees, ITEMS_MAX, Records, Round, Rounds, Shown};
use crate::hooks::Recheck;
use crate::state::State;
use crate::store::Fault;
use crate::transaction::Body;
use crate::verdict::{commitment, execution_digest};

/// Runs the verifier on every item of a round and gives what an honest seat shows. `beacon` is the digest of the block
/// that ordered the round. `None` if there is no such round, or no seat.
///
/// # Errors
/// [`Fault::World`] while proofs are not here. The seat stays silent then; it never guesses.
pub fn verdicts(
    state: &State<'_>,
    verifier: &dyn Recheck,
    account: &AccountKey,
    height: u64,
    beacon: &Digest,
) -> Result<Option<Vec<Shown>>, Fault> {
    let Some((round, committee)) = round(state, height)? else { return Ok(None) };
    if committee.seat(account).is_none() {
        return Ok(None);
    }
    let mut shown = Vec::with_capacity(ITEMS_MAX.min(round.items.len()));
    for item in round.items.iter() {
        let record = state.must::<Records>(&item.statement, "a round names no record")?;
        let found = verifier.recheck(&item.statement, &record, round.verifier)?;
        shown.push(Shown { code: found.code, execution: execution_digest(account, beacon, &found.trace) });
    }
    Ok(Some(shown))
}

/// A round and who decides it.
///
/// # Errors
/// A store that fails.
pub fn round(state: &State<'_>, height: u64) -> Result<Option<(Round, Committee)>, Fault> {
    let Some(round) = state.get::<Rounds>(&height)? else { return Ok(None) };
    let committee = state.must::<Committees>(&round.epoch, "a round has no committee")?;
    Ok(Some((round, committee)))
}

/// What binds a seat to its verdicts.
pub fn commit(network: &Digest, account: &AccountKey, round: u64, verdicts: &[Shown], salt: &Digest) -> Body {
    Body::CommitVerdicts { round, commitment: commitment(network, round, account, verdicts, salt) }
}

/// What shows them; `None` if there are more than a round has.
pub fn reveal(round: u64, verdicts: &[Shown], salt: &Digest) -> Option<Body> {
    let verdicts = certify::Bounded::new(verdicts.to_vec()).ok()?;
    Some(Body::RevealVerdicts { round, verdicts, salt: *salt })
}
