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
use crate::transaction::{Body, Envelope, Lane};
use crate::work::{account_of, present};

/// How much better a replacement must pay: a tenth.
const BETTER: (u64, u64) = (11, 10);

/// Transactions that may wait while the bytes they name are not here.
const ABSENT: usize = 1_024;
/// Blocks after which one of them is dropped: whoever brings a transaction has its bytes.
const ABSENT_BLOCKS: u64 = 256;

/// What waits was found to be signed when it came.
const KNOWN: fn(&Envelope) -> bool = |_| true;

#[derive(Clone, Debug)]
struct Waiting {
    bytes: Vec<u8>,
    fee: u64,
    /// What it takes from the account: the fee, and what it gives away or bonds.
    spends: u64,
    is_record: bool,
    /// Work and bytes that it is priced for.
    asks: (u64, u64),
    claims: Vec<Claim>,
    /// Its own fee for cost.
    value: u64,
    /// No better than that of any it must wait for.
    rank: Rank,
}

/// What only one record can have: its statement, or its nullifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Statement(Digest),
    Nullifier(Digest),
}

fn claims(body: &Body) -> Vec<Claim> {
    match body {
        Body::SubmitRecord { submission } => {
            vec![Claim::Statement(submission.statement), Claim::Nullifier(submission.nullifier)]
        }
        Body::AdvanceEpoch { step } => vec![Claim::Statement(step.statement)],
        _ => Vec::new(),
    }
}

fn body_of(transaction: &[u8]) -> Option<Body> {
    let envelope: Envelope = certify::decode(transaction).ok()?;
    certify::decode(&envelope.body).ok()
}

/// Fee per unit of cost in 2^-20, then who came first.
type Rank = (u64, Reverse<u64>);

/// Transactions that were admitted and wait.
#[derive(Clone, Debug)]
pub struct Pool {
    paid: BTreeMap<(AccountKey, u64), Waiting>,
    /// Paid ones from worst to best.
    ranks: BTreeSet<(Rank, AccountKey, u64)>,
    /// Who waits with a statement or a nullifier. Only one can be in a block and pay, so only one may take room here.
    claims: BTreeMap<Claim, (AccountKey, u64)>,
    /// Those that name bytes which were not here, by account and nonce, and since which height they wait. They can be in no
    /// block and so pay nothing: they have little room, and displace nobody.
    absent: BTreeMap<AccountKey, BTreeMap<u64, u64>>,
    /// Verdicts, by round, seat and kind; they are free, few, and go first.
    verdicts: BTreeMap<(u64, AccountKey, bool), Vec<u8>>,
    bytes: usize,
    asks: (u64, u64),
    limit: usize,
    arrivals: u64,
}

impl Pool {
    /// An empty pool that holds at most `limit` bytes of paid transactions.
    pub fn new(limit: usize) -> Self {
        let (paid, ranks, claims, absent, verdicts) = Default::default();
        Self { paid, ranks, claims, absent, verdicts, bytes: 0, asks: (0, 0), limit, arrivals: 0 }
    }

    /// Bytes of paid transactions that wait.
    pub fn size(&self) -> usize {
        self.bytes
    }

    /// Work and bytes that paid transactions which wait are priced for, in all.
    pub fn asks(&self) -> (u64, u64) {
        self.asks
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
        self.add_signed(state, bytes, Envelope::is_signed, |_| true)
    }

    /// As [`Pool::add`], with a way to ask for the signature that may remember, and to ask whether the bytes that a
    /// transaction names are here.
    ///
    /// # Errors
    /// As [`Pool::add`].
    pub fn add_signed(
        &mut self,
        state: &State<'_>,
        bytes: &[u8],
        is_signed: impl Fn(&Envelope) -> bool,
        is_here: impl Fn(&Body) -> bool,
    ) -> Result<Digest, Stop> {
        let chain = present(state)?;
        let height = chain.height.saturating_add(1);
        let gate = Gate { state, chain: &chain, height };
        let envelope = signed(bytes, &chain.network, is_signed)?;
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
        let is_here = is_here(&admitted.body);
        let rivals = self.rivals(&admitted, is_here)?;
        self.replace(&admitted)?;
        rivals.into_iter().for_each(|(account, nonce)| self.drop_from(&account, nonce));
        self.insert(&chain, &admitted, bytes, is_here)?;
        self.follow(&account, admitted.envelope.nonce, account_of(state, &account)?.balance);
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

    /// Transactions that wait while the bytes they name are not here.
    pub fn absent(&self) -> usize {
        self.absent.values().map(BTreeMap::len).sum()
    }

    /// Drops what a new state has used up or made impossible, and what named bytes that have not come for long.
    ///
    /// # Errors
    /// A store that fails.
    pub fn settle(&mut self, state: &State<'_>, is_here: impl Fn(&Body) -> bool) -> Result<(), Fault> {
        let chain = present(state)?;
        let height = chain.height.saturating_add(1);
        self.look_again(height, is_here);
        let gate = Gate { state, chain: &chain, height };
        let accounts: BTreeSet<AccountKey> = self.paid.keys().map(|(account, _)| *account).collect();
        for account in accounts {
            let current = account_of(state, &account)?.nonce;
            let gone = if self.may_follow(gate, &account, current)? { current } else { u64::MAX };
            let old: Vec<u64> =
                self.paid.range((account, 0)..(account, gone)).map(|((_, nonce), _)| *nonce).collect();
            old.into_iter().for_each(|nonce| self.drop_one(&(account, nonce)));
        }
        let fits = |bytes: &[u8]| !matches!(admit(gate, bytes, &Ahead::default(), KNOWN), Err(Stop::Refused(refusal)) if refusal != Refusal::Early);
        self.verdicts.retain(|_, bytes| fits(bytes));
        Ok(())
    }

    /// Looks which of the absent are here by now.
    fn look_again(&mut self, height: u64, is_here: impl Fn(&Body) -> bool) {
        let list: Vec<(AccountKey, u64, u64)> = self
            .absent
            .iter()
            .flat_map(|(account, list)| list.iter().map(|(nonce, since)| (*account, *nonce, *since)))
            .collect();
        for (account, nonce, since) in list {
            let body = self.paid.get(&(account, nonce)).and_then(|waiting| body_of(&waiting.bytes));
            if body.is_some_and(|body| is_here(&body)) {
                self.is_present(&account, nonce);
            } else if since.saturating_add(ABSENT_BLOCKS) < height {
                self.drop_from(&account, nonce);
            }
        }
    }

    fn is_present(&mut self, account: &AccountKey, nonce: u64) {
        if let Some(list) = self.absent.get_mut(account) {
            list.remove(&nonce);
            if list.is_empty() {
                self.absent.remove(account);
            }
        }
    }

    /// The first of the account that has most of them.
    fn most_absent(&self) -> Option<(AccountKey, u64)> {
        let (account, list) = self.absent.iter().max_by_key(|(_, list)| list.len())?;
        Some((*account, *list.keys().next()?))
    }

    /// Whether the account's next transaction may still be in a block, now or later.
    fn may_follow(&self, gate: Gate<'_>, account: &AccountKey, nonce: u64) -> Result<bool, Fault> {
        let Some(head) = self.paid.get(&(*account, nonce)) else { return Ok(false) };
        match admit(gate, &head.bytes, &Ahead::default(), KNOWN) {
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
            fees: ahead.fees.saturating_add(waiting.spends),
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

    /// Those of others that claim the same, if the newcomer pays a tenth more than each, and can pay: its bytes are here.
    fn rivals(&self, admitted: &Admitted, is_here: bool) -> Result<BTreeSet<(AccountKey, u64)>, Refusal> {
        let own = (admitted.envelope.sender, admitted.envelope.nonce);
        let mut rivals = BTreeSet::new();
        for claim in claims(&admitted.body) {
            let Some(key) = self.claims.get(&claim).filter(|key| **key != own) else { continue };
            let Some(rival) = self.paid.get(key) else { continue };
            let least = share_up(rival.fee, BETTER.0, BETTER.1).max(rival.fee.saturating_add(1));
            if key.0 == own.0 || !is_here || admitted.envelope.fee < least {
                return Err(match claim {
                    Claim::Statement(_) => Refusal::DuplicateStatement,
                    Claim::Nullifier(_) => Refusal::DuplicateNullifier,
                });
            }
            rivals.insert(*key);
        }
        Ok(rivals)
    }

    fn insert(
        &mut self,
        chain: &Chain,
        admitted: &Admitted,
        bytes: &[u8],
        is_here: bool,
    ) -> Result<(), Refusal> {
        let cost = price(chain, admitted.work, admitted.bytes).unwrap_or(u64::MAX).max(1);
        let value = crate::amount::share(admitted.envelope.fee, 1u64 << 20, cost);
        self.arrivals = self.arrivals.saturating_add(1);
        let elder = self.elder(&admitted.envelope.sender, admitted.envelope.nonce);
        let rank = (value.min(elder), Reverse(self.arrivals));
        if !is_here && self.absent() >= ABSENT {
            let (account, nonce) = self.most_absent().ok_or(Refusal::PoolFull)?;
            if account == admitted.envelope.sender {
                return Err(Refusal::PoolFull);
            }
            self.drop_from(&account, nonce);
        }
        while self.bytes.saturating_add(bytes.len()) > self.limit {
            if is_here && let Some((account, nonce)) = self.most_absent() {
                self.drop_from(&account, nonce);
                continue;
            }
            match self.ranks.first().copied() {
                // What follows it can be in no block without it.
                Some((worst, account, nonce)) if worst.0 < rank.0 => self.drop_from(&account, nonce),
                _ => return Err(Refusal::PoolFull),
            }
        }
        let (account, nonce, fee) =
            (admitted.envelope.sender, admitted.envelope.nonce, admitted.envelope.fee);
        let is_record = matches!(admitted.body, Body::SubmitRecord { .. } | Body::AdvanceEpoch { .. });
        let given = match &admitted.body {
            Body::Transfer { amount, .. } | Body::Bond { amount, .. } => *amount,
            _ => 0,
        };
        let (spends, claims) = (fee.saturating_add(given), claims(&admitted.body));
        self.bytes = self.bytes.saturating_add(bytes.len());
        let asks = (admitted.work, admitted.bytes);
        self.asks = (self.asks.0.saturating_add(asks.0), self.asks.1.saturating_add(asks.1));
        self.ranks.insert((rank, account, nonce));
        self.claims.extend(claims.iter().map(|claim| (*claim, (account, nonce))));
        let bytes = bytes.to_vec();
        if !is_here {
            self.absent.entry(account).or_default().insert(nonce, chain.height);
        }
        let waiting = Waiting { bytes, fee, spends, is_record, asks, claims, value, rank };
        self.paid.insert((account, nonce), waiting);
        Ok(())
    }

    /// The best rank that the transaction of this nonce can have: that of the one before it.
    fn elder(&self, account: &AccountKey, nonce: u64) -> u64 {
        let before = nonce.checked_sub(1).and_then(|before| self.paid.get(&(*account, before)));
        before.map_or(u64::MAX, |before| before.rank.0)
    }

    /// After a replacement: what comes later in the account is ranked anew, and dropped from where money does not
    /// suffice. Else one could be promised room that nobody will pay for.
    fn follow(&mut self, account: &AccountKey, nonce: u64, balance: u64) {
        let upto = self.paid.range((*account, 0)..=(*account, nonce));
        let spent = upto.fold(0u64, |sum, (_, waiting)| sum.saturating_add(waiting.spends));
        let mut left = balance.saturating_sub(spent);
        let mut next = nonce.saturating_add(1);
        while let Some(waiting) = self.paid.get(&(*account, next)) {
            if waiting.fee > left {
                return self.drop_from(account, next);
            }
            left = left.saturating_sub(waiting.spends);
            let (old, value) = (waiting.rank, waiting.value);
            let rank = (value.min(self.elder(account, next)), old.1);
            self.ranks.remove(&(old, *account, next));
            self.ranks.insert((rank, *account, next));
            if let Some(waiting) = self.paid.get_mut(&(*account, next)) {
                waiting.rank = rank;
            }
            next = next.saturating_add(1);
        }
    }

    /// Drops a transaction and what follows it in its account.
    fn drop_from(&mut self, account: &AccountKey, nonce: u64) {
        let list = self.paid.range((*account, nonce)..=(*account, u64::MAX));
        let nonces: Vec<u64> = list.map(|((_, nonce), _)| *nonce).collect();
        nonces.into_iter().for_each(|nonce| self.drop_one(&(*account, nonce)));
    }

    fn drop_one(&mut self, key: &(AccountKey, u64)) {
        if let Some(waiting) = self.paid.remove(key) {
            self.is_present(&key.0, key.1);
            self.ranks.remove(&(waiting.rank, key.0, key.1));
            for claim in waiting.claims {
                if self.claims.get(&claim) == Some(key) {
                    self.claims.remove(&claim);
                }
            }
            self.bytes = self.bytes.saturating_sub(waiting.bytes.len());
            let (work, bytes) = waiting.asks;
            self.asks = (self.asks.0.saturating_sub(work), self.asks.1.saturating_sub(bytes));
        }
    }
}
