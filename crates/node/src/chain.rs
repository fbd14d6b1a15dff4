//! The chain as one node knows it: the final state on disk, blocks above it that are not final yet, what waits.
//!
//! Everything here is called from any thread and returns at once; the engine, the seat and the HTTP interface share it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use certify::hash::Digest;
use certify::wire::{Bounded, decode, encode};
use certify::{Checkpoint, Committee, Handover, Header, handover::Change, spell_struct};
use ledger::entry::{AccountKey, Candidates, Models, Ordered, Records, Rounds, Validators};
use ledger::pool::Pool;
use ledger::store::{Changes, Fault};
use ledger::{
    BlockRefusal, Body, Cause, Context, Envelope, Genesis, Outcome, Parameters, Penalty, Reward, State, Stop,
    genesis::Beginning,
    present,
    transaction::{Accusation, TRANSACTION_MAX},
};

use crate::blobs::{Blobs, program_name};
use crate::block::{BLOCK_MAX, Block, Named, Transaction};
use crate::earned;
use crate::hooks::{Asked, Programs, World};
use crate::scheme::Committees;
use crate::store::{Batch, NodeStore, Overlay, StoreError, index, list};

/// Bytes of paid transactions that may wait.
const POOL: usize = 64 << 20;
/// Records whose proofs are deleted after one block.
const PRUNED_AT_ONCE: usize = 1024;
/// Bytes that a block's transactions may have in all; the rest of [`BLOCK_MAX`] is for the header and lengths.
const BODY_MAX: usize = BLOCK_MAX - (1 << 16);
/// What our engine adds to a block: nothing `[U8]`.
const ENGINE: Digest = [0; 32];

/// Why a block could not be executed.
#[derive(Debug)]
pub enum Stuck {
    /// Its parent was not executed here.
    Parent,
    /// It may not be.
    Refused(String),
    /// The bytes of this program are not here yet.
    Program(Digest),
    /// The machine failed.
    Fault(Fault),
    /// The disk failed.
    Disk(StoreError),
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parent => f.write_str("its parent is not known"),
            Self::Refused(why) => f.write_str(why),
            Self::Program(_) => f.write_str("the bytes of a program have not arrived"),
            Self::Fault(fault) => fault.fmt(f),
            Self::Disk(why) => why.fmt(f),
        }
    }
}

impl From<StoreError> for Stuck {
    fn from(why: StoreError) -> Self {
        Self::Disk(why)
    }
}

impl From<Fault> for Stuck {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

struct Executed {
    height: u64,
    parent: Digest,
    changes: Arc<Changes>,
    outcomes: Vec<Outcome>,
    next: Option<Committee>,
    rewards: Vec<Reward>,
    penalties: Vec<Penalty>,
}

struct Tree {
    height: u64,
    tip: Header,
    above: HashMap<Digest, Executed>,
}

/// A final block, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finalised {
    /// Its header.
    pub header: Header,
    /// Its digest.
    pub digest: Digest,
    /// Transactions in it.
    pub transactions: usize,
    /// Records that it ordered.
    pub records: usize,
    /// Whether seats have something to judge: new records, or old ones again.
    pub round: bool,
    /// Whether seats, bonds or addresses may have changed.
    pub seats: bool,
}

/// Where a transaction is, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Height of its block.
    pub height: u64,
    /// Its number in the block.
    pub index: u32,
    /// What became of it.
    pub outcome: Outcome,
}
spell_struct!(Place { height, index, outcome });

/// A validator that lost stake to a punishment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slash {
    /// Height of the block.
    pub height: u64,
    /// Whose.
    pub account: AccountKey,
    /// Units lost.
    pub lost: u64,
    /// Its offences until then.
    pub offences: u32,
    /// Why; not known of those that were listed by a node of before.
    pub cause: Option<Cause>,
}
spell_struct!(Slash { height, account, lost, offences, cause });

impl Slash {
    /// Reads an entry of the list; those of before end without a cause.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        decode(bytes).or_else(|_| decode(&[bytes, &[0]].concat())).ok()
    }
}

/// The chain.
pub struct Chain {
    /// The network.
    pub network: Digest,
    /// How it began.
    pub genesis: Genesis,
    /// The checkpoint of its first header.
    pub checkpoint: Checkpoint,
    /// The header of height 0.
    pub origin: Header,
    /// The first committee.
    pub first: Committee,
    /// Dossiers and programs.
    pub blobs: Arc<Blobs>,
    /// Programs that were read.
    pub programs: Programs,
    /// The world, as the ledger asks for it.
    pub world: World,
    /// The disk.
    pub store: NodeStore,
    tree: Mutex<Tree>,
    pool: Mutex<Pool>,
    finality: Mutex<BTreeMap<u64, HashMap<Digest, Vec<u8>>>>,
    /// Whether the state after this block has something to do: it is asked for every few milliseconds.
    busy: Mutex<Option<(Digest, bool)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Chain {
    /// Opens the chain that begins with this genesis.
    ///
    /// # Errors
    /// A genesis that is none, a disk that fails, or a database of another network.
    pub fn open(genesis: Genesis, store: NodeStore, blobs: Arc<Blobs>) -> Result<Self, Stuck> {
        let Beginning { header, committee, changes } =
            genesis.begin().map_err(|why| Stuck::Refused(why.to_string()))?;
        let network = header.network;
        if store.is_empty()? {
            store.write(Batch { state: Some(&changes), ..Batch::default() }, true)?;
        }
        let snapshot = store.snapshot()?;
        let chain = present(&State::new(&snapshot))?;
        if chain.network != network {
            return Err(Stuck::Refused(
                "the database belongs to another network; use another data directory, or this network's genesis"
                    .into(),
            ));
        }
        let tip = match chain.height {
            0 => header.clone(),
            height => {
                let bytes = store.numbered(list::BLOCKS, height)?;
                let block = bytes.and_then(|bytes| Block::parse(&bytes).ok());
                block.ok_or_else(|| Stuck::Refused(DAMAGED.into()))?.header
            }
        };
        store.count_from(chain.height)?;
        let checkpoint = Checkpoint::genesis(&header).map_err(|why| Stuck::Refused(why.to_string()))?;
        let tree = Tree { height: chain.height, tip, above: HashMap::new() };
        Ok(Self {
            network,
            genesis,
            checkpoint,
            origin: header,
            first: committee,
            world: World::new(network, blobs.clone()),
            programs: Programs::default(),
            blobs,
            store,
            tree: Mutex::new(tree),
            pool: Mutex::new(Pool::new(POOL)),
            finality: Mutex::default(),
            busy: Mutex::default(),
        })
    }

    /// With room for so many bytes of paid transactions that wait, instead of the usual 64 MiB.
    #[must_use]
    pub fn with_pool(self, limit: usize) -> Self {
        Self { pool: Mutex::new(Pool::new(limit)), ..self }
    }

    /// Header of the newest final block.
    pub fn tip(&self) -> Header {
        lock(&self.tree).tip.clone()
    }

    /// The final state, and the header it belongs to.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn latest(&self) -> Result<(Header, crate::store::Snapshot), Stuck> {
        self.at_tip(|tip| Ok((tip.clone(), self.store.snapshot()?)))
    }

    /// Does something while no other block becomes final.
    pub(crate) fn at_tip<T>(&self, read: impl FnOnce(&Header) -> Result<T, Stuck>) -> Result<T, Stuck> {
        read(&lock(&self.tree).tip)
    }

    fn overlay(&self, tree: &Tree, parent: &Digest) -> Result<Overlay, Stuck> {
        let mut layers = Vec::new();
        let (mut at, tip) = (*parent, tree.tip.digest());
        while at != tip {
            let block = tree.above.get(&at).ok_or(Stuck::Parent)?;
            layers.push(block.changes.clone());
            at = block.parent;
        }
        layers.reverse();
        Ok(Overlay { base: self.store.snapshot()?, layers })
    }

    /// Whether the state after this block is known and the block is not behind the newest final one.
    pub fn knows(&self, block: &Digest) -> bool {
        let tree = lock(&self.tree);
        tree.above.contains_key(block) || tree.tip.digest() == *block
    }

    /// The state after a block that [`Chain::knows`].
    ///
    /// # Errors
    /// [`Stuck::Parent`] if it is not known.
    pub fn state_after(&self, block: &Digest) -> Result<Overlay, Stuck> {
        self.overlay(&lock(&self.tree), block)
    }

    fn keep(&self, digest: Digest, header: &Header, executed: ledger::Executed) {
        let ledger::Executed { changes, outcomes, next, rewards, penalties, .. } = executed;
        let (height, parent, changes) = (header.height, header.parent, Arc::new(changes));
        let executed = Executed { height, parent, changes, outcomes, next, rewards, penalties };
        let mut tree = lock(&self.tree);
        if height > tree.height {
            tree.above.insert(digest, executed);
        }
    }

    /// Executes a block whose parent is known; the header must say what comes out.
    ///
    /// # Errors
    /// [`Stuck`]; only [`Stuck::Refused`] is about the block itself.
    pub fn execute(&self, block: &Block) -> Result<(), Stuck> {
        let digest = block.id();
        if self.knows(&digest) {
            return Ok(());
        }
        let state = self.state_after(&block.header.parent)?;
        let Header { height, time, proposer, parent, .. } = block.header;
        let context = Context { height, time, proposer, parent };
        let asked = self.world.asked();
        let transactions: Vec<&[u8]> = block.transactions.iter().map(|bytes| &bytes[..]).collect();
        let executed =
            ledger::execute(&state, &asked, context, &transactions).map_err(|why| refusal(&asked, why))?;
        if executed.header(self.network, &context, ENGINE) != block.header {
            return Err(Stuck::Refused("its header is not what comes out".into()));
        }
        self.keep(digest, &block.header, executed);
        Ok(())
    }

    /// Makes a block on a parent that is known, with at most so many records, but one if there is any.
    ///
    /// # Errors
    /// [`Stuck`].
    pub fn propose(
        &self,
        parent: &Header,
        proposer: AccountKey,
        time: u64,
        records: usize,
    ) -> Result<Block, Stuck> {
        let parent_id = parent.digest();
        let state = self.state_after(&parent_id)?;
        let (mut room, mut records) = (BODY_MAX, records.max(1));
        let mut candidates = lock(&self.pool).candidates(&State::new(&state))?;
        candidates.retain(|bytes| {
            // A record whose proof is not here would be ordered for nothing, and a block would wait for a program.
            let named = Named::of(bytes);
            if named.is_some_and(|named| !self.blobs.has(&named.name())) {
                return false;
            }
            let proof = named.filter(|named| matches!(named, Named::Proof(_)));
            if proof.is_some() && records == 0 {
                return false;
            }
            let fits = bytes.len() + 4 <= room;
            if fits {
                room -= bytes.len() + 4;
                records -= usize::from(proof.is_some());
            }
            fits
        });
        candidates.truncate(crate::block::TRANSACTIONS_MAX);
        let height = parent.height.saturating_add(1);
        let context = Context { height, time: time.max(parent.time), proposer, parent: parent_id };
        let asked = self.world.asked();
        let (taken, executed) =
            ledger::propose(&state, &asked, context, &candidates).map_err(|why| refusal(&asked, why))?;
        let transactions = taken.iter().filter_map(|&i| candidates.get(i).cloned());
        let transactions: Result<Vec<Transaction>, _> = transactions.map(Bounded::new).collect();
        let header = executed.header(self.network, &context, ENGINE);
        let form = |_| Stuck::Refused("a transaction is too large".into());
        let transactions = transactions.and_then(Bounded::new).map_err(form)?;
        self.keep(header.digest(), &header, executed);
        Ok(Block { header, transactions })
    }

    /// Whether a new block has something to do: transactions that wait, or rounds that are open.
    pub fn is_busy(&self, parent: &Digest) -> bool {
        if !lock(&self.pool).is_empty() {
            return true;
        }
        if let Some((_, busy)) = lock(&self.busy).filter(|(block, _)| block == parent) {
            return busy;
        }
        let busy = || -> Result<bool, Stuck> {
            let state = self.state_after(parent)?;
            let state = State::new(&state);
            let chain = present(&state)?;
            if chain.queue.0 != chain.queue.1 {
                return Ok(true);
            }
            // Rounds that are settled stay in the state for a while; nothing waits for them.
            let windows = chain.parameters.commit_blocks.saturating_add(chain.parameters.reveal_blocks);
            for height in chain.height.saturating_sub(windows)..=chain.height {
                if state.has::<Rounds>(&height)? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let Ok(busy) = busy() else { return true };
        *lock(&self.busy) = Some((*parent, busy));
        busy
    }

    /// Makes a block final: its changes are written, and what they made useless is dropped. Gives nothing for a block that
    /// was final before.
    ///
    /// # Errors
    /// [`Stuck`]; then nothing is changed.
    pub fn finalise(&self, block: &Block, durable: bool) -> Result<Option<Finalised>, Stuck> {
        if block.header.height <= lock(&self.tree).height {
            return Ok(None);
        }
        self.execute(block)?;
        let digest = block.id();
        let summary = {
            let mut tree = lock(&self.tree);
            let executed = tree.above.get(&digest).ok_or(Stuck::Parent)?;
            if block.header.parent != tree.tip.digest() {
                return Err(Stuck::Parent);
            }
            let summary = self.write(block, executed, durable)?;
            let height = block.header.height;
            tree.above.retain(|_, other| other.height > height);
            (tree.height, tree.tip) = (height, block.header.clone());
            summary
        };
        let snapshot = self.store.snapshot()?;
        lock(&self.pool).settle(&State::new(&snapshot), |body| self.has_named(body))?;
        Ok(Some(summary))
    }

    fn write(&self, block: &Block, executed: &Executed, durable: bool) -> Result<Finalised, Stuck> {
        let (header, height) = (&block.header, block.header.height);
        let mut batch = Batch { state: Some(&executed.changes), ..Batch::default() };
        batch.numbered.push((list::BLOCKS, height, encode(block)));
        let before = self.store.snapshot()?;
        let old = State::new(&before);
        for (number, (bytes, outcome)) in block.transactions.iter().zip(&executed.outcomes).enumerate() {
            let place = Place { height, index: u32::try_from(number).unwrap_or(u32::MAX), outcome: *outcome };
            batch.indexed.push((index::TRANSACTIONS, outcome.transaction.to_vec(), encode(&place)));
            if outcome.code == 0 {
                self.note(&mut batch, bytes)?;
            }
        }
        let layered = Overlay { base: before.clone(), layers: vec![executed.changes.clone()] };
        let new = State::new(&layered);
        let ordered = new.get::<Ordered>(&height)?.unwrap_or_default();
        for statement in ordered.iter() {
            batch.records.push((*statement, [&height.to_le_bytes()[..], statement].concat()));
            if let Some(record) = new.get::<Records>(statement)? {
                self.blobs.keep_staged(&record.proof).map_err(|why| disk(&why))?;
            }
        }
        for Penalty { account, lost, cause, offences } in executed.penalties.iter().copied() {
            let slash = Slash { height, account, lost, offences, cause: Some(cause) };
            batch.append.push((list::SLASHES, encode(&slash)));
        }
        let paid = (&executed.rewards[..], &executed.penalties[..]);
        for (account, sums) in earned::after(&self.store, header.epoch, paid)? {
            batch.indexed.push((index::EARNED, account.to_vec(), sums));
        }
        if let Some(bytes) = lock(&self.finality).get(&height).and_then(|by| by.get(&header.digest())) {
            batch.numbered.push((list::FINALITY, height, bytes.clone()));
        }
        if let Some(next) = &executed.next {
            let old = old.get::<ledger::entry::Committees>(&header.epoch)?;
            let from = old.ok_or(Fault::Broken { what: "the epoch has no committee" })?;
            let change = Change::between(&from, next).map_err(|why| Stuck::Refused(why.to_string()))?;
            batch.numbered.push((list::HANDOVERS, header.epoch, encode(&change)));
        }
        self.store.write(batch, durable)?;
        Ok(Finalised {
            header: header.clone(),
            digest: header.digest(),
            transactions: block.transactions.len(),
            records: ordered.len(),
            round: new.has::<Rounds>(&height)?,
            seats: touches_seats(&executed.changes, &old, &new)?,
        })
    }

    /// Indexes what a transaction says that the state does not keep.
    fn note(&self, batch: &mut Batch<'_>, bytes: &Transaction) -> Result<(), Stuck> {
        let Ok(envelope) = decode::<Envelope>(bytes) else { return Ok(()) };
        match decode::<Body>(&envelope.body) {
            Ok(Body::SubmitRecord { submission }) => {
                batch.indexed.push((index::BODIES, submission.statement.to_vec(), envelope.body.to_vec()));
            }
            Ok(Body::AdvanceEpoch { step }) => {
                batch.indexed.push((index::BODIES, step.statement.to_vec(), envelope.body.to_vec()));
            }
            Ok(Body::RegisterModel { model, program, .. }) => {
                batch.append.push((list::MODELS, [envelope.sender, model].concat()));
                self.blobs.keep_staged(&program_name(&program)).map_err(|why| disk(&why))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Deletes proofs of records that were ordered so many blocks ago and are in no doubt; some at a time.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn prune(&self, keep: u64) -> Result<(), Stuck> {
        let (tip, snapshot) = self.latest()?;
        let state = State::new(&snapshot);
        let first = self.store.pruned()?;
        let (mut next, mut oldest) = (first, None);
        for (number, entry) in self.store.oldest(list::RECORDS, first, PRUNED_AT_ONCE)? {
            let statement = entry.get(8..).and_then(|bytes| Digest::try_from(bytes).ok());
            let Some((statement, record)) =
                statement.and_then(|s| Some((s, state.get::<Records>(&s).ok().flatten()?)))
            else {
                next = number.saturating_add(1);
                continue;
            };
            let is_open = record.held > 0 || state.has::<ledger::entry::Cases>(&statement)?;
            if is_open || record.ordered.saturating_add(keep) > tip.height {
                break;
            }
            oldest = self.blobs.forget(&record.proof).map_err(|why| disk(&why))?.or(oldest);
            next = number.saturating_add(1);
        }
        if next > first {
            self.store.set_pruned(next)?;
        }
        // Last: what is over need not be looked at again because a part could not be deleted.
        oldest.map_or(Ok(()), |oldest| self.blobs.sweep(oldest).map_err(|why| disk(&why)))
    }

    /// Takes a transaction that came from anywhere.
    ///
    /// # Errors
    /// [`Stop`] with the step that it failed.
    pub fn admit(&self, bytes: &[u8]) -> Result<Digest, Stop> {
        // The dear part is done, and remembered, before anybody has to wait for the pool.
        if bytes.len() <= TRANSACTION_MAX
            && let Ok(envelope) = decode::<Envelope>(bytes)
        {
            self.world.is_signed(&envelope);
        }
        let mut pool = lock(&self.pool);
        // Not before: what became final meanwhile would be missing both from the state and from the pool.
        let snapshot = self.store.snapshot().map_err(|_| Fault::World { what: "the disk" })?;
        let is_signed = |envelope: &Envelope| self.world.is_signed(envelope);
        pool.add_signed(&State::new(&snapshot), bytes, is_signed, |body| self.has_named(body))
    }

    /// Whether the bytes that a transaction names are here.
    fn has_named(&self, body: &Body) -> bool {
        Named::by(body).is_none_or(|named| self.blobs.has(&named.name()))
    }

    /// Transactions and bytes that wait.
    pub fn waiting(&self) -> (usize, usize) {
        let pool = lock(&self.pool);
        (pool.len(), pool.size())
    }

    /// Whether what waits fills a block, by what it is priced for.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub fn fills_a_block(&self) -> Result<bool, Stuck> {
        let rules = self.rules()?;
        let (work, bytes) = lock(&self.pool).asks();
        Ok(work >= rules.block_work || bytes >= rules.block_bytes)
    }

    /// The next nonce of an account, after what waits of it.
    pub fn next_nonce(&self, account: &AccountKey, from: u64) -> u64 {
        lock(&self.pool).next(account, from)
    }

    /// Notes a finality certificate; the block may be final here already, or soon.
    pub fn certified(&self, height: u64, digest: Digest, bytes: Vec<u8>) {
        let tree = lock(&self.tree);
        if height <= tree.height {
            let stored = self.store.numbered(list::BLOCKS, height).ok().flatten();
            let same = stored.and_then(|bytes| Block::parse(&bytes).ok()).is_some_and(|b| b.id() == digest);
            if same {
                let numbered = vec![(list::FINALITY, height, bytes)];
                drop(self.store.write(Batch { numbered, ..Batch::default() }, false));
            }
            return;
        }
        let mut finality = lock(&self.finality);
        let old = tree.height.saturating_sub(64);
        *finality = finality.split_off(&old);
        finality.entry(height).or_default().insert(digest, bytes);
    }

    /// Height of a block that is executed and not final, or the newest final one.
    pub fn height_of(&self, digest: &Digest) -> Option<u64> {
        let tree = lock(&self.tree);
        match tree.above.get(digest) {
            Some(executed) => Some(executed.height),
            None => (tree.tip.digest() == *digest).then_some(tree.height),
        }
    }

    /// A final block.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn block(&self, height: u64) -> Result<Option<Block>, Stuck> {
        let bytes = self.store.numbered(list::BLOCKS, height)?;
        bytes.map(|bytes| Block::parse(&bytes).map_err(|_| Stuck::Refused(DAMAGED.into()))).transpose()
    }

    /// The finality certificate of a block, if it has one of its own.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn finality(&self, height: u64) -> Result<Option<Vec<u8>>, Stuck> {
        Ok(self.store.numbered(list::FINALITY, height)?)
    }

    /// The step from an epoch that has ended to the next; nothing while its last block's certificate is missing.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn handover(&self, epoch: u64) -> Result<Option<Handover>, Stuck> {
        if let Some(step) = self.store.numbered(list::STEPS, epoch)? {
            return Ok(Some(decode(&step).map_err(|_| Stuck::Refused(DAMAGED.into()))?));
        }
        let length = self.genesis.parameters.epoch_blocks;
        let last = epoch.saturating_add(1).saturating_mul(length).saturating_sub(1);
        let change = self.store.numbered(list::HANDOVERS, epoch)?;
        let (Some(block), Some(finality), Some(change)) = (self.block(last)?, self.finality(last)?, change)
        else {
            return Ok(None);
        };
        let damaged = |_| Stuck::Refused(DAMAGED.into());
        Ok(Some(Handover {
            header: block.header,
            finality: decode(&finality).map_err(damaged)?,
            change: decode(&change).map_err(damaged)?,
        }))
    }

    /// The rules' numbers as they are now: validators may have changed those of genesis.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub fn rules(&self) -> Result<Parameters, Stuck> {
        let (_, snapshot) = self.latest()?;
        Ok(present(&State::new(&snapshot))?.parameters)
    }

    /// Most bytes of a dossier: what fits into a block now.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub fn dossier_max(&self) -> Result<usize, Stuck> {
        let most = usize::try_from(self.rules()?.block_bytes);
        Ok(most.unwrap_or(usize::MAX).min(dossier::DOSSIER_MAX))
    }

    /// A rejected or accepted accusation costs its fee; this is the least that one about a record costs now.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub fn price(&self, body: &Body) -> Result<Option<u64>, Stuck> {
        let (_, snapshot) = self.latest()?;
        let state = State::new(&snapshot);
        let chain = present(&state)?;
        let own = u64::try_from(encode(body).len()).unwrap_or(u64::MAX).saturating_add(256);
        let (work, bytes) = match body {
            Body::Evidence { accusation: Accusation::WrongVerdict { statement } } => {
                let record = state.get::<Records>(statement)?;
                let program = record.map(|record| state.get::<ledger::entry::Programs>(&record.program));
                (program.transpose()?.flatten().map_or(0, |program| program.work), 0)
            }
            Body::SubmitRecord { submission } => {
                let program = state.get::<ledger::entry::Programs>(&submission.program)?;
                (program.map_or(0, |program| program.work), u64::from(submission.proof_bytes))
            }
            Body::RegisterModel { program_bytes, work, .. } => (*work, u64::from(*program_bytes)),
            _ => (ledger::admission::own_work(&state, body)?, 0),
        };
        let work = work.saturating_add(chain.parameters.transaction_work);
        Ok(ledger::prices::price(&chain, work, own.saturating_add(bytes)))
    }

    /// A model, by owner and name.
    ///
    /// # Errors
    /// A state that cannot be read.
    pub fn model(&self, owner: &AccountKey, name: &Digest) -> Result<Option<ledger::entry::Model>, Stuck> {
        let (_, snapshot) = self.latest()?;
        Ok(State::new(&snapshot).get::<Models>(&(*owner, *name))?)
    }
}

/// Why a block could not be executed, which lacked what was asked for.
fn refusal(asked: &Asked<'_>, why: BlockRefusal) -> Stuck {
    match why {
        BlockRefusal::Fault(fault) => asked.missing().map_or(Stuck::Fault(fault), Stuck::Program),
        why => Stuck::Refused(why.to_string()),
    }
}

pub(crate) const DAMAGED: &str = "the database is damaged; move the data directory away and start again: the node fetches \
    the chain from its peers";

fn disk(why: &std::io::Error) -> Stuck {
    let _ = why;
    Stuck::Fault(Fault::World { what: "the disk" })
}

/// Whether what changed has to do with who decides, or where they are.
fn touches_seats(changes: &Changes, old: &State<'_>, new: &State<'_>) -> Result<bool, Fault> {
    use ledger::entry::Table as _;
    for key in changes.keys() {
        let Some((namespace, rest)) = key.split_first() else { continue };
        if [Candidates::NAMESPACE, ledger::entry::Committees::NAMESPACE].contains(namespace) {
            return Ok(true);
        }
        // In every block somebody's blocks are counted.
        if *namespace == Validators::NAMESPACE
            && let Ok(account) = <AccountKey>::try_from(rest)
        {
            let about = |state: &State<'_>| -> Result<_, Fault> {
                let found = state.get::<Validators>(&account)?;
                Ok(found.map(|found| (found.bond, found.address, found.consensus)))
            };
            if about(old)? != about(new)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

impl Committees for Chain {
    fn committee(&self, epoch: u64) -> Option<Committee> {
        if epoch == 0 {
            return Some(self.first.clone());
        }
        let snapshot = self.store.snapshot().ok()?;
        State::new(&snapshot).get::<ledger::entry::Committees>(&epoch).ok().flatten()
    }
}

impl Chain {
    /// Header of the last block of the epoch before this one; of genesis for the first.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn boundary(&self, epoch: u64) -> Result<Option<Header>, Stuck> {
        let Some(before) = epoch.checked_sub(1) else { return Ok(Some(self.origin.clone())) };
        if let Some(step) = self.store.numbered(list::STEPS, before)? {
            let step: Handover = decode(&step).map_err(|_| Stuck::Refused(DAMAGED.into()))?;
            return Ok(Some(step.header));
        }
        let last = epoch.saturating_mul(self.genesis.parameters.epoch_blocks).saturating_sub(1);
        Ok(self.block(last)?.map(|block| block.header))
    }

    /// The certificate of the first block that is here, if it is not that of genesis.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn floor(&self) -> Result<Option<Vec<u8>>, Stuck> {
        match self.store.floor()? {
            Some(height) => self.finality(height),
            None => Ok(None),
        }
    }

    /// The block of height 0, which nobody proposed.
    pub fn first_block(&self) -> Block {
        Block { header: self.origin.clone(), transactions: Bounded::default() }
    }

    /// Waits until the disk has all that was written.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.store.write(Batch::default(), true)
    }
}
