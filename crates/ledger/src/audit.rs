//! What must hold of every state `[H36]`, looked at from scratch.

use std::fmt;

use certify::map::{path, value_digest};
use certify::wire::decode;

use crate::entry::{self, Candidates, Cases, Committees, Queue, Records, Rounds, Status, Table, Validators};
use crate::state::State;
use crate::store::{Changes, Fault, MemoryStore, Scan};
use crate::tree::{self, NODES};
use crate::verdict::{holds, is_quorum};
use crate::work::{epoch_of, present};

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding(pub String);

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Finding {}

impl From<Fault> for Finding {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string())
    }
}

/// Goes through a whole state.
///
/// Money is counted entry by entry and must be the supply of genesis to the unit; every final verdict must have two
/// thirds of stake, unless a case found the opposite; the root must be that of a tree built afresh; the line of waiting
/// records, the list of candidates and the open cases must lead somewhere.
///
/// # Errors
/// The first thing that does not hold.
pub fn audit(store: &dyn Scan) -> Result<(), Finding> {
    let state = State::new(as_store(store));
    let chain = present(&state)?;
    let (mut money, mut leaves) = (0u128, Vec::new());
    for (key, value) in store.scan() {
        let Some((namespace, rest)) = key.split_first() else { return Err(finding("an empty key")) };
        if *namespace == NODES {
            continue;
        }
        let held = entry::money(*namespace, value);
        money = money.saturating_add(held.map_err(|m| finding(&format!("table {namespace}: {m}")))?);
        leaves.push((path(*namespace, rest), Some(value_digest(value))));
        match *namespace {
            Records::NAMESPACE => check_record(&state, value)?,
            Rounds::NAMESPACE => check_round(&state, value)?,
            Cases::NAMESPACE => reach::<Records>(&state, rest, "a case has no record")?,
            _ => {}
        }
    }
    if money != u128::from(chain.supply) {
        return Err(finding(&format!("there are {money} units of money, genesis had {}", chain.supply)));
    }
    check_tree(store, leaves)?;
    for number in chain.queue.0..chain.queue.1 {
        let waiting = state.must::<Queue>(&number, "the line has a gap")?;
        state.must::<Records>(&waiting.statement, "a record in line is gone")?;
    }
    for account in state.get::<Candidates>(&())?.unwrap_or_default().iter() {
        state.must::<Validators>(account, "a candidate is no validator")?;
    }
    state.must::<Committees>(&epoch_of(&chain.parameters, chain.height), "the epoch has no committee")?;
    Ok(())
}

fn as_store(store: &dyn Scan) -> &dyn crate::store::Store {
    store
}

fn check_record(state: &State<'_>, value: &[u8]) -> Result<(), Finding> {
    let record = entry::read_value::<Records>(value).map_err(|m| finding(&m.to_string()))?;
    let Status::Final { code, .. } = record.status else { return Ok(()) };
    let rules = present(state)?.parameters;
    let Some(committee) = state.get::<Committees>(&epoch_of(&rules, record.voted))? else { return Ok(()) };
    let set = if code == 0 { record.accept } else { record.reject };
    let seats = committee.seats.iter().enumerate().filter(|(number, _)| holds(set, *number));
    let stake = seats.map(|(_, seat)| u128::from(seat.stake)).fold(0, u128::saturating_add);
    let is_over = record.accept & record.reject == 0 && is_quorum(stake, committee.stake());
    if is_over { Ok(()) } else { Err(finding("a verdict without a quorum")) }
}

fn check_round(state: &State<'_>, value: &[u8]) -> Result<(), Finding> {
    let round = entry::read_value::<Rounds>(value).map_err(|m| finding(&m.to_string()))?;
    let committee = state.must::<Committees>(&round.epoch, "a round has no committee")?;
    for item in round.items.iter() {
        state.must::<Records>(&item.statement, "a round names no record")?;
        let stake = |set: u128| {
            let seats = committee.seats.iter().enumerate().filter(|(number, _)| holds(set, *number));
            seats.map(|(_, seat)| u128::from(seat.stake)).fold(0, u128::saturating_add)
        };
        let sums = (stake(item.accept), stake(item.reject));
        if sums != (item.accept_stake.into(), item.reject_stake.into()) || item.accept & item.reject != 0 {
            return Err(finding("a round counts stake that was not shown"));
        }
        let decided = match item.verdict {
            Some(0) => is_quorum(sums.0, committee.stake()),
            Some(_) => is_quorum(sums.1, committee.stake()),
            None => true,
        };
        if !decided {
            return Err(finding("a verdict without a quorum"));
        }
    }
    Ok(())
}

fn reach<T: Table>(state: &State<'_>, key: &[u8], what: &'static str) -> Result<(), Finding> {
    let key = decode::<T::Key>(key).map_err(|m| finding(&m.to_string()))?;
    Ok(state.must::<T>(&key, what).map(drop)?)
}

fn check_tree(store: &dyn Scan, mut leaves: Vec<tree::Change>) -> Result<(), Finding> {
    leaves.sort_unstable();
    let (empty, mut changes) = (MemoryStore::default(), Changes::new());
    let fresh = tree::update(&empty, &leaves, &mut changes)?;
    if fresh != tree::root(as_store(store))? {
        return Err(finding("the root is not that of the entries"));
    }
    let nodes = store.scan().filter(|(key, _)| key.first() == Some(&NODES)).count();
    let needed = changes.values().filter(|value| value.is_some()).count();
    if nodes == needed { Ok(()) } else { Err(finding("the store has nodes that no tree needs")) }
}

fn finding(what: &str) -> Finding {
    Finding(what.to_string())
}
