//! What accounts earned and lost, as far as this node saw it: sums of what blocks say, kept beside the state and bound by no
//! root. A node that began with another's state counts from there.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use certify::wire::{decode, encode};
use certify::{Header, spell_struct};
use ledger::entry::AccountKey;
use ledger::{Penalty, Reward};

use crate::chain::{Chain, DAMAGED, Stuck};
use crate::store::{Index, NodeStore, Snapshot, index};

/// What an account earned and lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Earned {
    /// Units earned since counting began.
    pub total: u64,
    /// The epoch in which it earned last.
    pub epoch: u64,
    /// Units earned in that epoch.
    pub in_epoch: u64,
    /// Units of stake taken since counting began.
    pub slashed: u64,
}
spell_struct!(Earned { total, epoch, in_epoch, slashed });

impl Earned {
    /// Units earned in an epoch that is not before the last one it earned in.
    #[must_use]
    pub fn of(&self, epoch: u64) -> u64 {
        if self.epoch == epoch { self.in_epoch } else { 0 }
    }

    fn earn(&mut self, epoch: u64, amount: u64) {
        self.in_epoch = self.of(epoch).saturating_add(amount);
        self.epoch = epoch;
        self.total = self.total.saturating_add(amount);
    }
}

/// The sums after a block of this epoch, of those whose sums it changes, in the order of accounts.
pub(crate) fn after(
    store: &NodeStore,
    epoch: u64,
    (rewards, penalties): (&[Reward], &[Penalty]),
) -> Result<Vec<(AccountKey, Vec<u8>)>, Stuck> {
    let mut sums: BTreeMap<AccountKey, Earned> = BTreeMap::new();
    let accounts = rewards.iter().map(|one| one.account).chain(penalties.iter().map(|one| one.account));
    for account in accounts {
        if let Entry::Vacant(place) = sums.entry(account) {
            place.insert(read(store, &account)?);
        }
    }
    for Reward { account, amount } in rewards {
        sums.entry(*account).or_default().earn(epoch, *amount);
    }
    for Penalty { account, lost, .. } in penalties {
        let sum = sums.entry(*account).or_default();
        sum.slashed = sum.slashed.saturating_add(*lost);
    }
    Ok(sums.into_iter().map(|(account, sum)| (account, encode(&sum))).collect())
}

fn read(store: &NodeStore, account: &AccountKey) -> Result<Earned, Stuck> {
    parse(store.indexed(index::EARNED, account)?)
}

fn parse(found: Option<Vec<u8>>) -> Result<Earned, Stuck> {
    match found {
        Some(bytes) => decode(&bytes).map_err(|_| Stuck::Refused(DAMAGED.into())),
        None => Ok(Earned::default()),
    }
}

/// The sums of all accounts after one block.
pub struct Sums(Index);

impl Sums {
    /// Those of an account.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn of(&self, account: &AccountKey) -> Result<Earned, Stuck> {
        parse(self.0.get(account)?)
    }
}

impl Chain {
    /// The final state, the header it belongs to, and what accounts earned and lost until then, from
    /// [`Chain::earned_since`] on.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn latest_with_sums(&self) -> Result<(Header, Snapshot, Sums), Stuck> {
        self.at_tip(|tip| {
            let (state, sums) = self.store.snapshot_with(index::EARNED)?;
            Ok((tip.clone(), state, Sums(sums)))
        })
    }

    /// Height of the last block that does not count: 0, or that of the state this node began with.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn earned_since(&self) -> Result<u64, Stuck> {
        Ok(self.store.counted_from()?.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use ledger::Cause;

    use super::*;
    use crate::chain::Slash;
    use crate::store::Batch;

    #[test]
    fn sums_grow_block_by_block_and_those_of_an_epoch_begin_anew() {
        let store = NodeStore::memory().unwrap();
        let block = |epoch, rewards: &[(u8, u64)], lost: &[(u8, u64)]| {
            let reward = |&(name, amount): &(u8, u64)| Reward { account: [name; 32], amount };
            let penalty = |&(name, lost): &(u8, u64)| Penalty {
                account: [name; 32],
                lost,
                cause: Cause::WrongVerdict,
                offences: 1,
            };
            let rewards: Vec<Reward> = rewards.iter().map(reward).collect();
            let penalties: Vec<Penalty> = lost.iter().map(penalty).collect();
            let sums = after(&store, epoch, (&rewards, &penalties)).unwrap();
            let indexed = sums.into_iter().map(|(key, sum)| (index::EARNED, key.to_vec(), sum)).collect();
            store.write(Batch { indexed, ..Batch::default() }, true).unwrap();
        };
        block(0, &[(1, 5), (2, 7), (1, 3)], &[]);
        block(0, &[(1, 2)], &[(2, 40), (3, 9)]);
        let sum = |name: u8| read(&store, &[name; 32]).unwrap();
        assert_eq!(sum(1), Earned { total: 10, epoch: 0, in_epoch: 10, slashed: 0 });
        assert_eq!(sum(2), Earned { total: 7, epoch: 0, in_epoch: 7, slashed: 40 });
        assert_eq!(sum(3), Earned { slashed: 9, ..Earned::default() });
        block(2, &[(1, 4), (2, u64::MAX)], &[(2, 1)]);
        assert_eq!((sum(1).total, sum(1).of(2), sum(1).of(3)), (14, 4, 0));
        assert_eq!((sum(2).total, sum(2).of(2), sum(2).slashed), (u64::MAX, u64::MAX, 41));
        assert_eq!(sum(4), Earned::default());
    }

    #[test]
    fn slashes_are_read_with_their_cause_and_those_of_before_without() {
        let slash = Slash { height: 3, account: [5; 32], lost: 7, offences: 1, cause: Some(Cause::Withheld) };
        let bytes = encode(&slash);
        assert_eq!(Slash::read(&bytes), Some(slash.clone()));
        // Two bytes say that there is a cause, and which.
        let of_before = &bytes[..bytes.len() - 2];
        assert_eq!(Slash::read(of_before), Some(Slash { cause: None, ..slash }));
        assert_eq!((Slash::read(&bytes[..10]), Slash::read(&[])), (None, None));
    }

    #[test]
    fn a_damaged_sum_is_no_sum() {
        let store = NodeStore::memory().unwrap();
        let indexed = vec![(index::EARNED, vec![1; 32], vec![7; 5])];
        store.write(Batch { indexed, ..Batch::default() }, true).unwrap();
        assert!(read(&store, &[1; 32]).is_err());
    }
}
