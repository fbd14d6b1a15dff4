//! What waits to be in a block: bounded, best paid first, each account's in the order of its nonces `[H17]`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use certify::hash::Digest;

use crate::admission::{Admitted, Ahead, Gate, admit, admit_signed, signed};
use crate::amount::share_up;
use crate::entry::{AccountKey, Chain};
use crate::prices::price;
use crate::refusal::{Refusal, Stop};
use crate::state::State;
use crate::store::Fault;
use crate::transaction::{Body, Lane};
use crate::work::{account_of, present};

/// How much better a replacement must pay: a tenth.
const BETTER: (u64, u64) = (11, 10);

#[derive(Clone, Debug)]
struct Waiting {
    bytes: Vec<u8>,
    fee: u64,
    is_record: bool,
    rank: Rank,
}

/// Fee per unit of cost in 2^-20, then who came first.
type Rank = (u64, Reverse<u64>);

/// Transactions that were admitted and wait.
#[derive(Clone, Debug)]
pub struct Pool {
    paid: BTreeMap<(AccountKey, u64), Waiting>,
    /// Paid ones from worst to best.
    ranks: BTreeSet<(Rank, AccountKey, u64)>,
    /// Verdicts, by round, seat and kind; they are free, few, and go first.
    verdicts: BTreeMap<(u64, AccountKey, bool), Vec<u8>>,
    bytes: usize,
    limit: usize,
    arrivals: u64,
}

impl Pool {
    /// An empty pool that holds at most `limit` bytes of paid transactions.
    pub fn new(limit: usize) -> Self {
        let (paid, ranks, verdicts) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { paid, ranks, verdicts, bytes: 0, limit, arrivals: 0 }
    }

    /// Bytes of paid transactions that wait.
    pub fn size(&self) -> usize {
        self.bytes
    }

    /// Number of transactions that wait.
    pub fn len(&self) -> usize {
        self.paid.len().saturating_add(self.verdicts.len())
    }

    /// The first nonce from `from` on of which no transaction of this account waits.
    pub fn next(&self, account: &AccountKey, from: u64) -> u64 {
        let waiting = self.paid.range((*account, from)..=(*account, u64::MAX)).map(|((_, nonce), _)| *nonce);
        waiting.fold(from, |next, nonce| if nonce == next { next.saturating_add(1) } else { next })
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a transaction, and gives its name.
    ///
    /// # Errors
    /// [`Stop::Refused`] with the step it failed.
    pub fn add(&mut self, state: &State<'_>, bytes: &[u8]) -> Result<Digest, Stop> {
        let chain = present(state)?;
        let height = chain.height.saturating_add(1);
        let gate = Gate { state, chain: &chain, height };
        let envelope = signed(bytes, &chain.network)?;
        let account = envelope.sender;
        let ahead = self.ahead(
            &account,
            account_of(state, &account)?.nonce,
            envelope.nonce,
            chain.parameters.in_flight,
        );
        let admitted = admit_signed(gate, envelope, bytes.len(), &ahead)?;
        if admitted.envelope.lane == Lane::Seat {
            let kind = matches!(admitted.body, Body::RevealVerdicts { .. });
            self.verdicts.insert((admitted.envelope.nonce, account, kind), bytes.to_vec());
            return Ok(admitted.id);
        }
        self.replace(&admitted)?;
        self.insert(&chain, &admitted, bytes)?;
        Ok(admitted.id)
    }

    /// What should be in the next block, in order: verdicts first, then by fee for cost, nonces of one account in a row.
    pub fn candidates(&self, state: &State<'_>) -> Result<Vec<Vec<u8>>, Fault> {
        let mut list: Vec<Vec<u8>> = self.verdicts.values().cloned().collect();
        // Heads of each account compete; a head that is taken makes way for the next nonce.
        let mut heads: BTreeSet<(Rank, AccountKey, u64)> = BTreeSet::new();
        for account in self.paid.keys().map(|(account, _)| account).collect::<BTreeSet<_>>() {
            self.head(&mut heads, account, account_of(state, account)?.nonce);
        }
        while let Some((_, account, nonce)) = heads.pop_last() {
            if let Some(waiting) = self.paid.get(&(account, nonce)) {
                list.push(waiting.bytes.clone());
                self.head(&mut heads, &account, nonce.saturating_add(1));
            }
        }
        Ok(list)
    }

    /// Drops what a new state has used up or made impossible.
    ///
    /// # Errors
    /// A store that fails.
    pub fn settle(&mut self, state: &State<'_>) -> Result<(), Fault> {
        let chain = present(state)?;
        let height = chain.height.saturating_add(1);
        let gate = Gate { state, chain: &chain, height };
        let accounts: BTreeSet<AccountKey> = self.paid.keys().map(|(account, _)| *account).collect();
        for account in accounts {
            let current = account_of(state, &account)?.nonce;
            let gone = if self.may_follow(gate, &account, current)? { current } else { u64::MAX };
            let old: Vec<u64> =
                self.paid.range((account, 0)..(account, gone)).map(|((_, nonce), _)| *nonce).collect();
            old.into_iter().for_each(|nonce| self.drop_one(&(account, nonce)));
        }
        let fits = |bytes: &[u8]| !matches!(admit(gate, bytes, &Ahead::default()), Err(Stop::Refused(refusal)) if refusal != Refusal::Early);
        self.verdicts.retain(|_, bytes| fits(bytes));
        Ok(())
    }

    /// Whether the account's next transaction may still be in a block, now or later.
    fn may_follow(&self, gate: Gate<'_>, account: &AccountKey, nonce: u64) -> Result<bool, Fault> {
        let Some(head) = self.paid.get(&(*account, nonce)) else { return Ok(false) };
        match admit(gate, &head.bytes, &Ahead::default()) {
            // A price may fall again, and a record's verdict makes room for the next.
            Ok(_) | Err(Stop::Refused(Refusal::Price { .. } | Refusal::InFlight { .. })) => Ok(true),
            Err(Stop::Refused(_) | Stop::Failed(_)) => Ok(false),
            Err(Stop::Fault(fault)) => Err(fault),
        }
    }

    fn head(&self, heads: &mut BTreeSet<(Rank, AccountKey, u64)>, account: &AccountKey, nonce: u64) {
        if let Some(waiting) = self.paid.get(&(*account, nonce)) {
            heads.insert((waiting.rank, *account, nonce));
        }
    }

    /// What of the account comes before this nonce. No more than `most` of one account wait.
    fn ahead(&self, account: &AccountKey, from: u64, nonce: u64, most: u32) -> Ahead {
        let until = nonce.min(from.saturating_add(most.into()));
        let before = self.paid.range((*account, from)..(*account, until.max(from)));
        before.fold(Ahead::default(), |ahead, (_, waiting)| Ahead {
            count: ahead.count.saturating_add(1),
            fees: ahead.fees.saturating_add(waiting.fee),
            records: ahead.records.saturating_add(waiting.is_record.into()),
        })
    }

    fn replace(&mut self, admitted: &Admitted) -> Result<(), Refusal> {
        let key = (admitted.envelope.sender, admitted.envelope.nonce);
        if let Some(old) = self.paid.get(&key) {
            let least = share_up(old.fee, BETTER.0, BETTER.1);
            if admitted.envelope.fee < least.max(old.fee.saturating_add(1)) {
                return Err(Refusal::Replacement { least });
            }
            self.drop_one(&key);
        }
        Ok(())
    }

    fn insert(&mut self, chain: &Chain, admitted: &Admitted, bytes: &[u8]) -> Result<(), Refusal> {
        let cost = price(chain, admitted.work, admitted.bytes).unwrap_or(u64::MAX).max(1);
        let value = crate::amount::share(admitted.envelope.fee, 1u64 << 20, cost);
        self.arrivals = self.arrivals.saturating_add(1);
        let rank = (value, Reverse(self.arrivals));
        while self.bytes.saturating_add(bytes.len()) > self.limit {
            match self.ranks.first().copied() {
                Some((worst, account, nonce)) if worst.0 < value => self.drop_one(&(account, nonce)),
                _ => return Err(Refusal::PoolFull),
            }
        }
        let (account, nonce, fee) =
            (admitted.envelope.sender, admitted.envelope.nonce, admitted.envelope.fee);
        let is_record = matches!(admitted.body, Body::SubmitRecord { .. } | Body::AdvanceEpoch { .. });
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.ranks.insert((rank, account, nonce));
        self.paid.insert((account, nonce), Waiting { bytes: bytes.to_vec(), fee, is_record, rank });
        Ok(())
    }

    fn drop_one(&mut self, key: &(AccountKey, u64)) {
        if let Some(waiting) = self.paid.remove(key) {
            self.ranks.remove(&(waiting.rank, key.0, key.1));
            self.bytes = self.bytes.saturating_sub(waiting.bytes.len());
        }
    }
}
