//! What is at hand while a block is executed.

use certify::Committee;
use certify::hash::Digest;

use crate::amount::{add, share, sub};
use crate::earning::{Penalty, Reward};
use crate::entry::{
    Account, AccountKey, Accounts, Chain, Committees, Due, Dues, ITEMS_MAX, Item, Present, Purpose, Queue,
    Round, Treasuries, Treasury, Waiting,
};
use crate::hooks::Hooks;
use crate::parameters::{Parameters, WHOLE};
use crate::refusal::{Failure, Stop};
use crate::state::{Mark, State};
use crate::store::{Fault, Store};

/// What a block is, before its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Its number.
    pub height: u64,
    /// The proposer's clock, milliseconds since 1970; not before the last block's.
    pub time: u64,
    /// Account of the proposer, which has a seat.
    pub proposer: AccountKey,
    /// Digest of the parent's header.
    pub parent: Digest,
}

/// What a block has used of its limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Units of work.
    pub work: u64,
    /// Bytes.
    pub bytes: u64,
}

pub(crate) struct Work<'a> {
    pub state: State<'a>,
    pub hooks: &'a dyn Hooks,
    pub context: Context,
    pub chain: Chain,
    pub epoch: u64,
    pub committee: Committee,
    pub used: Used,
    /// What this block orders.
    pub round: Round,
    /// The statements among it that are new.
    pub ordered: Vec<Digest>,
    /// What was earned so far.
    pub rewards: Vec<Reward>,
    /// What was taken so far.
    pub penalties: Vec<Penalty>,
}

/// A place to return to when a transaction fails.
pub(crate) struct Before {
    mark: Mark,
    chain: Chain,
    items: usize,
    ordered: usize,
    rewards: usize,
    penalties: usize,
}

impl<'a> Work<'a> {
    pub fn new(store: &'a dyn Store, hooks: &'a dyn Hooks, context: Context) -> Result<Self, Fault> {
        let state = State::new(store);
        let chain = present(&state)?;
        let epoch = epoch_of(&chain.parameters, context.height);
        let committee = state.must::<Committees>(&epoch, "the epoch has no committee")?;
        let commit_until = context.height.saturating_add(chain.parameters.commit_blocks);
        let round = Round {
            epoch,
            commit_until,
            reveal_until: commit_until.saturating_add(chain.parameters.reveal_blocks),
            verifier: chain.parameters.verifier,
            ..Round::default()
        };
        let used = Used::default();
        let (ordered, rewards, penalties) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { state, hooks, context, chain, epoch, committee, used, round, ordered, rewards, penalties })
    }

    pub fn rules(&self) -> &Parameters {
        &self.chain.parameters
    }

    pub fn before(&self) -> Before {
        Before {
            mark: self.state.mark(),
            chain: self.chain.clone(),
            items: self.round.items.len(),
            ordered: self.ordered.len(),
            rewards: self.rewards.len(),
            penalties: self.penalties.len(),
        }
    }

    /// Takes back all that happened since.
    pub fn return_to(&mut self, before: Before) {
        self.state.roll_back(before.mark);
        self.chain = before.chain;
        let mut items = std::mem::take(&mut self.round.items).into_vec();
        items.truncate(before.items);
        self.round.items = certify::Bounded::new(items).unwrap_or_default();
        self.ordered.truncate(before.ordered);
        self.rewards.truncate(before.rewards);
        self.penalties.truncate(before.penalties);
    }

    /// Notes what falls due at a later height.
    pub fn at(&mut self, height: u64, due: Due) -> Result<(), Fault> {
        let mut dues = self.state.get::<Dues>(&height)?.unwrap_or_default();
        dues.push(due).map_err(|_| Fault::Broken { what: "too much falls due in one block" })?;
        self.state.put::<Dues>(&height, &dues);
        Ok(())
    }

    /// Puts a record in line to be verified again.
    pub fn wait(&mut self, statement: Digest, purpose: Purpose, tries: u8) {
        let (_, end) = self.chain.queue;
        self.state.put::<Queue>(&end, &Waiting { statement, purpose, tries });
        self.chain.queue.1 = end.saturating_add(1);
    }

    /// Puts a record in this block's round; `false` if it is full.
    pub fn judge(&mut self, statement: Digest, purpose: Purpose, tries: u8) -> bool {
        let item = Item {
            statement,
            purpose,
            tries,
            accept: 0,
            reject: 0,
            accept_stake: 0,
            reject_stake: 0,
            abstain_stake: 0,
            verdict: None,
        };
        self.round.items.push(item).is_ok()
    }

    pub fn has_room(&self) -> bool {
        self.round.items.len() < ITEMS_MAX
    }

    pub fn credit(&mut self, account: &AccountKey, amount: u64) -> Result<(), Fault> {
        if amount == 0 {
            return Ok(());
        }
        let mut entry = account_of(&self.state, account)?;
        entry.balance = add(entry.balance, amount)?;
        self.state.put::<Accounts>(account, &entry);
        Ok(())
    }

    /// Pays what somebody earned, and notes it.
    pub fn reward(&mut self, account: &AccountKey, amount: u64) -> Result<(), Fault> {
        self.credit(account, amount)?;
        if amount > 0 {
            self.rewards.push(Reward { account: *account, amount });
        }
        Ok(())
    }

    pub fn debit(&mut self, account: &AccountKey, amount: u64) -> Result<(), Stop> {
        let mut entry = account_of(&self.state, account)?;
        entry.balance = entry.balance.checked_sub(amount).ok_or(Failure::Funds)?;
        self.state.put::<Accounts>(account, &entry);
        Ok(())
    }

    pub fn burn(&mut self, amount: u64) -> Result<(), Fault> {
        self.treasury(|treasury| {
            treasury.burned = add(treasury.burned, amount)?;
            Ok(())
        })
    }

    pub fn treasury(&mut self, change: impl FnOnce(&mut Treasury) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut treasury = self.state.get::<Treasuries>(&())?.unwrap_or_default();
        change(&mut treasury)?;
        self.state.put::<Treasuries>(&(), &treasury);
        Ok(())
    }

    /// Sets the proposers' share of a fee aside until the end of the epoch; the rest of it is returned.
    pub fn for_proposers(&mut self, fee: u64) -> Result<u64, Fault> {
        let part = share(fee, self.rules().proposer_share, WHOLE);
        self.treasury(|treasury| {
            treasury.proposers = add(treasury.proposers, part)?;
            Ok(())
        })?;
        sub(fee, part)
    }
}

/// Epoch of a height.
pub fn epoch_of(rules: &Parameters, height: u64) -> u64 {
    height.checked_div(rules.epoch_blocks).unwrap_or_default()
}

/// What there is once in a state.
///
/// # Errors
/// A store that fails, or holds no state.
pub fn present(state: &State<'_>) -> Result<Chain, Fault> {
    state.must::<Present>(&(), "there is no state; begin with a genesis")
}

/// An account; one that was never used is empty.
///
/// # Errors
/// A store that fails.
pub fn account_of(state: &State<'_>, account: &AccountKey) -> Result<Account, Fault> {
    Ok(state.get::<Accounts>(account)?.unwrap_or_default())
}
