//! The state of a final block, for a node that begins late: it is read from one peer and believed by nobody but the
//! committee that finalised its header `[U11]`.
//!
//! | part | bytes |
//! |---|---|
//! | name, version | `"ZTSN"`, `u16` 1 |
//! | head | `u32` length, and: the hand-overs since the first epoch, the block, its finality certificate |
//! | entries | `u8` 1, `u32` lengths of key and value, both; all entries of the state, keys rising |
//! | bodies | `u8` 2, the statement, `u32` length, the body that its record names; statements rising |
//! | end | `u8` 0 |

use std::io::{self, Read};

use certify::hash::Digest;
use certify::map::{path, value_digest};
use certify::wire::{Bounded, decode, encode};
use certify::{Checkpoint, Client};
use certify::{Handover, handover::Change, spell_struct};
use ledger::entry::{Models, Record, Records, Table as _, read_value};
use ledger::store::Fault;
use ledger::tree::{self, NODES};
use ledger::{Changes, MemoryStore, State, present};

use crate::block::{BLOCK_MAX, Block};
use crate::chain::Chain;
use crate::store::{Batch, NodeStore, Snapshot, StoreError, index, list};

const NAME: &[u8; 4] = b"ZTSN";
/// Version of a snapshot; others are refused.
pub const VERSION: u16 = 1;
/// Epochs that a head may lead through.
const STEPS: usize = 1 << 16;
/// Bytes of a head.
const HEAD: usize = 256 << 20;
/// Bytes of a key.
const KEY: usize = 1 << 10;
/// Bytes of a value or a body: a committee, a round, a transaction are smaller.
const VALUE: usize = 4 << 20;
/// Bytes of one part that is handed on.
const CHUNK: usize = 1 << 18;
/// Entries that are written in one transaction.
const TOGETHER: usize = 1 << 14;

struct Head {
    steps: Bounded<Handover, STEPS>,
    block: Bounded<u8, BLOCK_MAX>,
    finality: Bounded<u8, 65536>,
}
spell_struct!(Head { steps, block, finality });

/// Why a snapshot is not taken.
#[derive(Debug)]
pub enum Refused {
    /// It does not arrive.
    Broken(io::Error),
    /// It is none, or not of this network.
    Form(&'static str),
    /// Its committees do not lead from the checkpoint to its block.
    Untrusted(certify::Refusal),
    /// The disk, or the state, failed.
    Disk(String),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broken(why) => write!(f, "the snapshot does not arrive: {why}"),
            Self::Form(why) => write!(f, "the snapshot is refused: {why}"),
            Self::Untrusted(why) => write!(f, "the snapshot is not this network's: {why}"),
            Self::Disk(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Refused {}

impl From<StoreError> for Refused {
    fn from(why: StoreError) -> Self {
        Self::Disk(why.to_string())
    }
}

impl From<Fault> for Refused {
    fn from(why: Fault) -> Self {
        Self::Disk(why.to_string())
    }
}

/// A final state that can be given away.
pub struct Offer {
    head: Vec<u8>,
    state: Snapshot,
    store: NodeStore,
}

/// The newest final state whose block has a certificate of its own; `None` while that has not come yet.
///
/// # Errors
/// A disk that fails.
pub fn offer(chain: &Chain) -> Result<Option<Offer>, crate::chain::Stuck> {
    let (tip, state) = chain.latest()?;
    let (Some(block), Some(finality)) = (chain.block(tip.height)?, chain.finality(tip.height)?) else {
        return Ok(None);
    };
    let mut steps = Vec::new();
    for epoch in 0..tip.epoch {
        let Some(step) = chain.handover(epoch)? else { return Ok(None) };
        steps.push(step);
    }
    let head = (|| {
        Some(Head {
            steps: Bounded::new(steps).ok()?,
            block: Bounded::new(encode(&block)).ok()?,
            finality: Bounded::new(finality).ok()?,
        })
    })();
    Ok(head.map(|head| Offer { head: encode(&head), state, store: chain.store.clone() }))
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes()
}

impl Offer {
    /// Hands on its bytes, a part at a time, until `take` wants no more.
    ///
    /// # Errors
    /// A disk that fails; what was handed on has no end then.
    pub fn write(&self, take: &mut dyn FnMut(Vec<u8>) -> bool) -> Result<(), StoreError> {
        let mut part = NAME.to_vec();
        part.extend(VERSION.to_le_bytes());
        part.extend(length(&self.head));
        part.extend(&self.head);
        let mut records = Vec::new();
        let mut wanted = true;
        self.state.each(&mut |key, value| {
            if key.first() == Some(&NODES) {
                return true;
            }
            if let Some((&Records::NAMESPACE, rest)) = key.split_first() {
                records.extend(Digest::try_from(rest));
            }
            part.push(1);
            part.extend(length(key));
            part.extend(length(value));
            part.extend(key);
            part.extend(value);
            if part.len() >= CHUNK {
                wanted = take(std::mem::take(&mut part));
            }
            wanted
        })?;
        for statement in records {
            if !wanted {
                return Ok(());
            }
            let Some(body) = self.store.indexed(index::BODIES, &statement)? else { continue };
            part.push(2);
            part.extend(statement);
            part.extend(length(&body));
            part.extend(body);
            if part.len() >= CHUNK {
                wanted = take(std::mem::take(&mut part));
            }
        }
        part.push(0);
        take(part);
        Ok(())
    }
}

/// Reads what a stranger sends; no length is believed before it is bounded.
struct Source<'a>(&'a mut dyn Read);

impl Source<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).map_err(Refused::Broken)?;
        Ok(bytes)
    }

    fn bytes(&mut self, length: usize) -> Result<Vec<u8>, Refused> {
        let mut bytes = Vec::new();
        let read = self.0.take(u64::try_from(length).unwrap_or(u64::MAX)).read_to_end(&mut bytes);
        match read {
            Ok(found) if found == length => Ok(bytes),
            Ok(_) => Err(Refused::Broken(io::ErrorKind::UnexpectedEof.into())),
            Err(why) => Err(Refused::Broken(why)),
        }
    }

    fn length(&mut self, most: usize) -> Result<usize, Refused> {
        let length = usize::try_from(u32::from_le_bytes(self.array()?)).unwrap_or(usize::MAX);
        if length > most { Err(Refused::Form("a part of it is too large")) } else { Ok(length) }
    }
}

/// Reads a snapshot into an empty store, starting from what is trusted; `pinned`, if there is one, must lie on the way.
/// Only when all of it is here and has the root that the committee finalised does the store count as filled.
///
/// # Errors
/// [`Refused`]; the store is empty then.
pub fn read(
    source: &mut dyn Read,
    store: &NodeStore,
    start: (&Checkpoint, certify::Committee),
    pinned: Option<&Checkpoint>,
) -> Result<u64, Refused> {
    let found = fill(&mut Source(source), store, start, pinned);
    if found.is_err() {
        store.clear()?;
    }
    found
}

fn fill(
    source: &mut Source<'_>,
    store: &NodeStore,
    (start, committee): (&Checkpoint, certify::Committee),
    pinned: Option<&Checkpoint>,
) -> Result<u64, Refused> {
    if source.array()? != *NAME || u16::from_le_bytes(source.array()?) != VERSION {
        return Err(Refused::Form("it does not begin as snapshots of this version do"));
    }
    let length = source.length(HEAD)?;
    let head: Head =
        decode(&source.bytes(length)?).map_err(|_| Refused::Form("its head is not well formed"))?;
    let block = Block::parse(&head.block).map_err(Refused::Form)?;
    let mut client = Client::new(start, committee, None).map_err(Refused::Untrusted)?;
    let mut is_pinned = pinned.is_none_or(|pinned| *pinned == client.checkpoint());
    for step in head.steps.iter() {
        client.follow(step).map_err(Refused::Untrusted)?;
        is_pinned |= pinned.is_some_and(|pinned| *pinned == client.checkpoint());
    }
    if !is_pinned {
        return Err(Refused::Form("the pinned checkpoint is not on its way"));
    }
    let finality = decode(&head.finality).map_err(|_| Refused::Form("its certificate is not well formed"))?;
    client.accept(&block.header, &finality).map_err(Refused::Untrusted)?;

    store.begin_filling()?;
    let (leaves, found, next) = entries(source, store)?;
    // The nodes above the entries are made here: they are what the root says.
    let mut changes = Changes::new();
    let root = tree::update(&MemoryStore::default(), &leaves, &mut changes)?;
    if root != block.header.state {
        return Err(Refused::Form("its entries have not the root that the block names"));
    }
    drop(leaves);
    store.write(Batch { state: Some(&changes), ..Batch::default() }, false)?;
    drop(changes);
    bodies(source, store, &found.records, next)?;
    let snapshot = store.snapshot()?;
    let chain = present(&State::new(&snapshot))?;
    if chain.network != start.network || chain.height != block.header.height {
        return Err(Refused::Form("its state is of another block"));
    }
    let Found { mut records, mut models } = found;
    models.sort();
    records.sort_by_key(|(statement, record)| (record.ordered, *statement));
    for part in records.chunks(TOGETHER) {
        let entry = |(statement, record): &(Digest, Record)| {
            (*statement, [&record.ordered.to_le_bytes()[..], statement].concat())
        };
        store.write(Batch { records: part.iter().map(entry).collect(), ..Batch::default() }, false)?;
    }
    let height = block.header.height;
    let append = models.into_iter().map(|(_, model)| (list::MODELS, model)).collect();
    let mut last = Batch { append, ..Batch::default() };
    last.numbered.push((list::BLOCKS, height, head.block.to_vec()));
    last.numbered.push((list::FINALITY, height, head.finality.to_vec()));
    for step in head.steps.iter() {
        last.numbered.push((list::STEPS, step.header.epoch, encode(step)));
    }
    // The last block of an epoch: it is not executed here, so what it changed of the committee is noted now.
    let (state, epoch) = (State::new(&snapshot), block.header.epoch);
    let of = |epoch| state.get::<ledger::entry::Committees>(&epoch);
    if let (Some(from), Some(next)) = (of(epoch)?, of(epoch.saturating_add(1))?) {
        let change = Change::between(&from, &next).map_err(|why| Refused::Disk(why.to_string()))?;
        last.numbered.push((list::HANDOVERS, epoch, encode(&change)));
    }
    store.end_filling(last, height)?;
    Ok(height)
}

/// Bytes of keys and values, and entries, beyond which no snapshot is read: the root is known only when all is here, and until
/// then the server could go on for ever. A hundred times a million records.
const STATE: (usize, usize) = (1 << 36, 1 << 28);

fn fits(bytes: usize, entries: usize) -> bool {
    bytes <= STATE.0 && entries <= STATE.1
}

type Leaves = Vec<tree::Change>;

/// What lists are made of.
#[derive(Default)]
struct Found {
    /// By statement, which rise.
    records: Vec<(Digest, Record)>,
    /// Heights, and owners and names.
    models: Vec<(u64, Vec<u8>)>,
}

/// Reads all entries and writes them; also gives the byte that follows them.
fn entries(source: &mut Source<'_>, store: &NodeStore) -> Result<(Leaves, Found, u8), Refused> {
    let (mut leaves, mut found, mut last) = (Leaves::new(), Found::default(), Vec::new());
    let (mut changes, mut bytes) = (Changes::new(), 0usize);
    loop {
        match source.array()? {
            [1] => {}
            [next] => {
                store.write(Batch { state: Some(&changes), ..Batch::default() }, false)?;
                leaves.sort_unstable();
                return Ok((leaves, found, next));
            }
        }
        let (key, value) = (source.length(KEY)?, source.length(VALUE)?);
        let (key, value) = (source.bytes(key)?, source.bytes(value)?);
        bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
        if !fits(bytes, leaves.len()) {
            return Err(Refused::Form("it is larger than any state is taken for"));
        }
        if key <= last {
            return Err(Refused::Form("its keys do not rise"));
        }
        let Some((namespace, rest)) = key.split_first().filter(|(first, _)| **first != NODES) else {
            return Err(Refused::Form("it has an entry of no table"));
        };
        leaves.push((path(*namespace, rest), Some(value_digest(&value))));
        if *namespace == Records::NAMESPACE
            && let (Ok(statement), Ok(record)) = (Digest::try_from(rest), read_value::<Records>(&value))
        {
            found.records.push((statement, record));
        }
        if *namespace == Models::NAMESPACE
            && let Ok(model) = read_value::<Models>(&value)
        {
            found.models.push((model.height, rest.to_vec()));
        }
        last.clone_from(&key);
        changes.insert(key, Some(value));
        if changes.len() >= TOGETHER {
            store.write(Batch { state: Some(&changes), ..Batch::default() }, false)?;
            changes.clear();
        }
    }
}

/// Reads the bodies of records, each of which the state names by its digest.
fn bodies(
    source: &mut Source<'_>,
    store: &NodeStore,
    records: &[(Digest, Record)],
    mut next: u8,
) -> Result<(), Refused> {
    let (mut batch, mut last) = (Batch::default(), None);
    while next == 2 {
        let statement: Digest = source.array()?;
        // Each once: then there are no more of them than records.
        if last.replace(statement).is_some_and(|last| last >= statement) {
            return Err(Refused::Form("the statements of its bodies do not rise"));
        }
        let length = source.length(VALUE)?;
        let bytes = source.bytes(length)?;
        let at = records.binary_search_by_key(&statement, |(statement, _)| *statement);
        let record = at.ok().and_then(|at| records.get(at));
        let is_named = record.is_some_and(|(_, record)| {
            decode::<ledger::Body>(&bytes).is_ok_and(|body| body.digest() == record.body)
        });
        if !is_named {
            return Err(Refused::Form("it has a body that no record names"));
        }
        batch.indexed.push((index::BODIES, statement.to_vec(), bytes));
        if batch.indexed.len() >= TOGETHER {
            store.write(std::mem::take(&mut batch), false)?;
        }
        [next] = source.array()?;
    }
    if next != 0 {
        return Err(Refused::Form("it has a part that is none"));
    }
    Ok(store.write(batch, false)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_state_is_read_for_ever() {
        assert!(fits(STATE.0, STATE.1));
        assert!(!fits(STATE.0 + 1, 1) && !fits(1, STATE.1 + 1));
    }
}
