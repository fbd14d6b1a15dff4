//! What a seat is to say: pure help for the node that holds its key.

use certify::Committee;
use certify::hash::Digest;

use crate::entry::{
    ABSTAIN, AccountKey, Commitments, Committees, ITEMS_MAX, Purpose, Records, Reveals, Round, Rounds, Shown,
};
use crate::hooks::{Recheck, Rechecked};
use crate::state::State;
use crate::store::Fault;
use crate::transaction::Body;
use crate::verdict::{commitment, execution_digest, short};
use crate::work::present;

/// Runs the verifier on every item of a round and gives what an honest seat shows. `beacon` is the digest of the block
/// that ordered the round. `None` if there is no such round, or no seat.
///
/// # Errors
/// A state that cannot be read. What the world does not give, such as a proof, is no verdict: the seat abstains.
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
        let found = match item.purpose {
            Purpose::Custody => {
                verifier.custody(&item.statement, &record, beacon).map(|trace| Rechecked { code: 0, trace })
            }
            _ => verifier.recheck(&item.statement, &record, round.verifier),
        };
        shown.push(match found {
            Ok(found) => {
                Shown { code: found.code, execution: execution_digest(account, beacon, &found.trace) }
            }
            // One proof that is not here does not keep the others from their verdict.
            Err(Fault::World { .. }) => Shown { code: ABSTAIN, execution: [0; 32] },
            Err(fault) => return Err(fault),
        });
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

/// What a seat can still do about a round, in the next block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Commit to verdicts.
    Commit,
    /// Show them; after its time too, for the sake of the word given.
    Reveal,
}

/// What an account's seats have to do in the next block, about rounds from height `since` on.
///
/// # Errors
/// A store that fails.
pub fn duties(state: &State<'_>, account: &AccountKey, since: u64) -> Result<Vec<(u64, Duty)>, Fault> {
    let last = present(state)?.height;
    let mut duties = Vec::new();
    for height in since..=last {
        let Some((round, committee)) = round(state, height)? else { continue };
        let Some((number, _)) = committee.seat(account) else { continue };
        let key = (height, short(number)?);
        let is_time_to_reveal = last >= round.commit_until;
        match (state.has::<Commitments>(&key)?, is_time_to_reveal) {
            (false, false) => duties.push((height, Duty::Commit)),
            (true, true) if !state.has::<Reveals>(&key)? => duties.push((height, Duty::Reveal)),
            _ => {}
        }
    }
    Ok(duties)
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
