//! What a node keeps on disk: the state, the blocks, and indices for those who ask. One transaction per block, so a crash
//! leaves the state of some block, never half of one.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use certify::hash::Digest;
use ledger::store::{Changes, Fault};
use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase as _, ReadableTable as _, TableDefinition,
    TableError, TableHandle as _,
};

type Bytes = TableDefinition<'static, &'static [u8], &'static [u8]>;
type Numbered = TableDefinition<'static, u64, &'static [u8]>;

const STATE: Bytes = TableDefinition::new("state");
const META: Bytes = TableDefinition::new("meta");
/// In META: a snapshot is being read; the height it was of.
const FILLING: &[u8] = b"filling";
const FLOOR: &[u8] = b"floor";
/// In META: epochs that began no later than this are only looked on.
const SILENT: &[u8] = b"silent";
/// In META: number of the first record whose proof may still be here.
const PRUNED: &[u8] = b"pruned";
/// In META: height above which blocks count for what accounts earned.
const COUNTED: &[u8] = b"counted";
/// Version of the layout of all tables.
pub const LAYOUT: u8 = 1;
/// Bytes of pages kept in memory.
const CACHE: usize = 64 << 20;

/// Tables by number, beside the state; each is a list that only grows, or is keyed by height.
pub mod list {
    use super::{Numbered, TableDefinition};
    /// Blocks by height.
    pub const BLOCKS: Numbered = TableDefinition::new("blocks");
    /// Finality certificates by height of their block.
    pub const FINALITY: Numbered = TableDefinition::new("finality");
    /// Hand-overs by the epoch they end.
    pub const HANDOVERS: Numbered = TableDefinition::new("handovers");
    /// Records in the order in which they came.
    pub const RECORDS: Numbered = TableDefinition::new("records");
    /// Models in the order in which they came.
    pub const MODELS: Numbered = TableDefinition::new("models");
    /// Punishments in the order in which they came.
    pub const SLASHES: Numbered = TableDefinition::new("slashes");
    /// Hand-overs of epochs that ended before this node's first block, whole.
    pub const STEPS: Numbered = TableDefinition::new("steps");
    /// What this seat said of a round, by the round's height, before it committed to it.
    pub const SAID: Numbered = TableDefinition::new("said");
    /// Canaries that this seat made, by epoch and number.
    pub const CANARIES: Numbered = TableDefinition::new("canaries");
}

/// Tables by digest.
pub mod index {
    use super::{Bytes, TableDefinition};
    /// Number of a record by its statement.
    pub const RECORDS: Bytes = TableDefinition::new("record numbers");
    /// Bodies of submissions by their statement.
    pub const BODIES: Bytes = TableDefinition::new("bodies");
    /// Where a transaction is, and what became of it, by its id.
    pub const TRANSACTIONS: Bytes = TableDefinition::new("transactions");
    /// What an account earned and lost.
    pub const EARNED: Bytes = TableDefinition::new("earned");
}

const LISTS: [Numbered; 9] = [
    list::BLOCKS,
    list::FINALITY,
    list::HANDOVERS,
    list::RECORDS,
    list::MODELS,
    list::SLASHES,
    list::SAID,
    list::CANARIES,
    list::STEPS,
];
const INDICES: [Bytes; 6] = [STATE, META, index::RECORDS, index::BODIES, index::TRANSACTIONS, index::EARNED];

/// Why the disk cannot be used.
#[derive(Debug)]
pub struct StoreError(String);

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(why: E) -> Self {
        Self(why.into().to_string())
    }
}

/// A result that fails when the disk does.
pub type Stored<T> = Result<T, StoreError>;

/// The node's database. Clones share it.
#[derive(Clone)]
pub struct NodeStore(Arc<Database>);

/// Things to write in one transaction.
#[derive(Default)]
pub struct Batch<'a> {
    /// Of the state.
    pub state: Option<&'a Changes>,
    /// By number.
    pub numbered: Vec<(Numbered, u64, Vec<u8>)>,
    /// To the end of a list.
    pub append: Vec<(Numbered, Vec<u8>)>,
    /// By digest.
    pub indexed: Vec<(Bytes, Vec<u8>, Vec<u8>)>,
    /// Records: the statement, and what the list says of it.
    pub records: Vec<(Digest, Vec<u8>)>,
    /// Whether what was begun with [`NodeStore::begin_filling`] is whole now.
    pub filled: bool,
}

impl NodeStore {
    /// Opens, or makes, the database in a directory.
    ///
    /// # Errors
    /// A disk that fails, a file that is damaged or of another version, or one that is in use.
    pub fn open(directory: &Path) -> Stored<Self> {
        let file = directory.join("node.redb");
        let database = Database::builder().set_cache_size(CACHE).create(&file);
        let database = database.map_err(|why| StoreError(format!("{}: {why}", file.display())))?;
        Self::prepare(database)
    }

    /// A database in memory.
    ///
    /// # Errors
    /// None is expected.
    pub fn memory() -> Stored<Self> {
        Self::prepare(Database::builder().create_with_backend(redb::backends::InMemoryBackend::new())?)
    }

    fn prepare(database: Database) -> Stored<Self> {
        let write = database.begin_write()?;
        for table in LISTS {
            write.open_table(table)?;
        }
        for table in INDICES {
            write.open_table(table)?;
        }
        {
            let mut meta = write.open_table(META)?;
            let found = meta.get(&b"layout"[..])?.map(|value| value.value().to_vec());
            match found {
                None => drop(meta.insert(&b"layout"[..], &[LAYOUT][..])?),
                Some(found) if found == [LAYOUT] => {}
                Some(found) => {
                    let why = format!("the database has layout {found:?}, this node knows {LAYOUT}");
                    return Err(StoreError(why));
                }
            }
        }
        write.commit()?;
        let store = Self(Arc::new(database));
        // It stopped while a snapshot was read: half a state is none.
        if store.meta(FILLING)?.is_some() {
            store.clear()?;
        }
        Ok(store)
    }

    fn meta(&self, name: &[u8]) -> Stored<Option<Vec<u8>>> {
        self.indexed(META, name)
    }

    /// Empties the database.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn clear(&self) -> Stored<()> {
        let write = self.0.begin_write()?;
        for table in LISTS {
            write.delete_table(table)?;
            write.open_table(table)?;
        }
        for table in INDICES.into_iter().filter(|table| table.name() != META.name()) {
            write.delete_table(table)?;
            write.open_table(table)?;
        }
        {
            let mut meta = write.open_table(META)?;
            meta.remove(FILLING)?;
            meta.remove(FLOOR)?;
            meta.remove(PRUNED)?;
            meta.remove(COUNTED)?;
        }
        write.commit()?;
        Ok(())
    }

    /// Notes that what is written from now on is no state before [`NodeStore::end_filling`].
    ///
    /// # Errors
    /// A disk that fails, or a database that is not empty.
    pub fn begin_filling(&self) -> Stored<()> {
        if !self.is_empty()? {
            return Err(StoreError("the database has a state already".into()));
        }
        self.write(Batch { indexed: vec![(META, FILLING.to_vec(), vec![1])], ..Batch::default() }, true)
    }

    /// Writes what is left, and notes that the state is whole and begins at this height.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn end_filling(&self, mut last: Batch<'_>, height: u64) -> Stored<()> {
        last.indexed.push((META, FLOOR.to_vec(), height.to_le_bytes().to_vec()));
        last.filled = true;
        self.write(last, true)
    }

    /// Height of the first block that is here, if it is not that of genesis.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn floor(&self) -> Stored<Option<u64>> {
        let found = self.meta(FLOOR)?.and_then(|bytes| bytes.try_into().ok());
        Ok(found.map(u64::from_le_bytes))
    }

    /// Notes that the key may have signed, in epochs which began no later than this time in milliseconds, what this store does
    /// not remember.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn set_silent(&self, until: u64) -> Stored<()> {
        let indexed = vec![(META, SILENT.to_vec(), until.to_le_bytes().to_vec())];
        self.write(Batch { indexed, ..Batch::default() }, true)
    }

    /// What was noted by [`NodeStore::set_silent`].
    ///
    /// # Errors
    /// A disk that fails.
    pub fn silent(&self) -> Stored<Option<u64>> {
        let found = self.meta(SILENT)?.and_then(|bytes| bytes.try_into().ok());
        Ok(found.map(u64::from_le_bytes))
    }

    /// Writes all of it, or nothing. What is not `durable` is lost by a crash until something durable is written.
    ///
    /// # Errors
    /// A disk that fails; nothing is written then.
    pub fn write(&self, batch: Batch<'_>, durable: bool) -> Stored<()> {
        let mut write = self.0.begin_write()?;
        write.set_durability(if durable { Durability::Immediate } else { Durability::None })?;
        if let Some(changes) = batch.state {
            let mut table = write.open_table(STATE)?;
            for (key, value) in changes {
                match value {
                    Some(value) => drop(table.insert(key.as_slice(), value.as_slice())?),
                    None => drop(table.remove(key.as_slice())?),
                }
            }
        }
        for (table, number, value) in &batch.numbered {
            write.open_table(*table)?.insert(number, value.as_slice())?;
        }
        for (table, value) in &batch.append {
            let mut table = write.open_table(*table)?;
            let next = table.last()?.map_or(0, |(number, _)| number.value() + 1);
            table.insert(next, value.as_slice())?;
        }
        for (table, key, value) in &batch.indexed {
            write.open_table(*table)?.insert(key.as_slice(), value.as_slice())?;
        }
        for (statement, value) in &batch.records {
            let mut table = write.open_table(list::RECORDS)?;
            let next = table.last()?.map_or(0, |(number, _)| number.value() + 1);
            table.insert(next, value.as_slice())?;
            write.open_table(index::RECORDS)?.insert(statement.as_slice(), next.to_le_bytes().as_slice())?;
        }
        if batch.filled {
            write.open_table(META)?.remove(FILLING)?;
        }
        write.commit()?;
        Ok(())
    }

    /// The state as it is now; later writes do not change it.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn snapshot(&self) -> Stored<Snapshot> {
        Ok(Snapshot(Arc::new(self.0.begin_read()?.open_table(STATE)?)))
    }

    /// The state as it is now, and an index as it was written with it.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn snapshot_with(&self, index: Bytes) -> Stored<(Snapshot, Index)> {
        let read = self.0.begin_read()?;
        Ok((Snapshot(Arc::new(read.open_table(STATE)?)), Index(read.open_table(index)?)))
    }

    /// Whether there is a state.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn is_empty(&self) -> Stored<bool> {
        Ok(self.0.begin_read()?.open_table(STATE)?.first()?.is_none())
    }

    /// A value by number.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn numbered(&self, table: Numbered, number: u64) -> Stored<Option<Vec<u8>>> {
        let table = match self.0.begin_read()?.open_table(table) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            table => table?,
        };
        Ok(table.get(number)?.map(|value| value.value().to_vec()))
    }

    /// At most `limit` values of numbers below `before`, the largest first.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn newest(&self, table: Numbered, before: u64, limit: usize) -> Stored<Vec<(u64, Vec<u8>)>> {
        let table = self.0.begin_read()?.open_table(table)?;
        let mut list = Vec::new();
        for entry in table.range(..before)?.rev().take(limit) {
            let (number, value) = entry?;
            list.push((number.value(), value.value().to_vec()));
        }
        Ok(list)
    }

    /// At most `limit` values of numbers from `first` on, the smallest first.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn oldest(&self, table: Numbered, first: u64, limit: usize) -> Stored<Vec<(u64, Vec<u8>)>> {
        let table = self.0.begin_read()?.open_table(table)?;
        let mut list = Vec::new();
        for entry in table.range(first..)?.take(limit) {
            let (number, value) = entry?;
            list.push((number.value(), value.value().to_vec()));
        }
        Ok(list)
    }

    /// Number of the first record whose proof may still be here.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn pruned(&self) -> Stored<u64> {
        let found = self.meta(PRUNED)?.and_then(|bytes| bytes.try_into().ok());
        Ok(found.map_or(0, u64::from_le_bytes))
    }

    /// Notes that number.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn set_pruned(&self, number: u64) -> Stored<()> {
        let indexed = vec![(META, PRUNED.to_vec(), number.to_le_bytes().to_vec())];
        self.write(Batch { indexed, ..Batch::default() }, false)
    }

    /// Height above which blocks count for what accounts earned, once that is noted.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn counted_from(&self) -> Stored<Option<u64>> {
        let found = self.meta(COUNTED)?.and_then(|bytes| bytes.try_into().ok());
        Ok(found.map(u64::from_le_bytes))
    }

    /// Notes that height, unless one is noted.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn count_from(&self, height: u64) -> Stored<()> {
        if self.counted_from()?.is_some() {
            return Ok(());
        }
        let indexed = vec![(META, COUNTED.to_vec(), height.to_le_bytes().to_vec())];
        self.write(Batch { indexed, ..Batch::default() }, true)
    }

    /// How many values a list has; those of a list that only grows.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn length(&self, table: Numbered) -> Stored<u64> {
        let table = self.0.begin_read()?.open_table(table)?;
        Ok(table.last()?.map_or(0, |(number, _)| number.value().saturating_add(1)))
    }

    /// A value by digest.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn indexed(&self, table: Bytes, key: &[u8]) -> Stored<Option<Vec<u8>>> {
        let table = self.0.begin_read()?.open_table(table)?;
        Ok(table.get(key)?.map(|value| value.value().to_vec()))
    }
}

/// The state of one block.
#[derive(Clone)]
pub struct Snapshot(Arc<ReadOnlyTable<&'static [u8], &'static [u8]>>);

impl Snapshot {
    /// Goes through all entries, keys rising, until `take` wants no more.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn each(&self, take: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Stored<()> {
        for entry in self.0.iter()? {
            let (key, value) = entry?;
            if !take(key.value(), value.value()) {
                break;
            }
        }
        Ok(())
    }

    /// All entries whose key begins with a byte.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn namespace(&self, first: u8) -> Stored<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut list = Vec::new();
        for entry in self.0.range::<&[u8]>(&[first][..]..)? {
            let (key, value) = entry?;
            if key.value().first() != Some(&first) {
                break;
            }
            list.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(list)
    }
}

impl ledger::Store for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let found = self.0.get(key).map_err(|_| Fault::World { what: "the disk" })?;
        Ok(found.map(|value| value.value().to_vec()))
    }
}

/// An index as it was at one block.
pub struct Index(ReadOnlyTable<&'static [u8], &'static [u8]>);

impl Index {
    /// A value by digest.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn get(&self, key: &[u8]) -> Stored<Option<Vec<u8>>> {
        Ok(self.0.get(key)?.map(|value| value.value().to_vec()))
    }
}

/// A state with blocks above it that are not final yet, the newest last.
pub struct Overlay {
    /// The state of the newest final block.
    pub base: Snapshot,
    /// What blocks changed since.
    pub layers: Vec<Arc<Changes>>,
}

impl ledger::Store for Overlay {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        for layer in self.layers.iter().rev() {
            if let Some(value) = layer.get(key) {
                return Ok(value.clone());
            }
        }
        self.base.get(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::Store as _;

    #[test]
    fn a_snapshot_does_not_change_and_layers_hide_what_is_below() {
        let store = NodeStore::memory().unwrap();
        assert!(store.is_empty().unwrap());
        let first = Changes::from([(vec![1], Some(vec![7])), (vec![2], Some(vec![8]))]);
        store.write(Batch { state: Some(&first), ..Batch::default() }, true).unwrap();
        let before = store.snapshot().unwrap();
        let second = Changes::from([(vec![1], None), (vec![3], Some(vec![9]))]);
        store.write(Batch { state: Some(&second), ..Batch::default() }, false).unwrap();
        assert_eq!(before.get(&[1]).unwrap(), Some(vec![7]));
        let after = store.snapshot().unwrap();
        assert_eq!((after.get(&[1]).unwrap(), after.get(&[3]).unwrap()), (None, Some(vec![9])));
        let layered = Overlay { base: before, layers: vec![Arc::new(first), Arc::new(second)] };
        assert_eq!((layered.get(&[1]).unwrap(), layered.get(&[2]).unwrap()), (None, Some(vec![8])));
    }

    #[test]
    fn lists_grow_and_are_read_from_the_end() {
        let store = NodeStore::memory().unwrap();
        for i in 0..5u8 {
            let batch = Batch { append: vec![(list::MODELS, vec![i])], ..Batch::default() };
            store.write(batch, true).unwrap();
        }
        let found = store.newest(list::MODELS, 4, 2).unwrap();
        assert_eq!(found, [(3, vec![3]), (2, vec![2])]);
        let record = Batch { records: vec![([9; 32], vec![1])], ..Batch::default() };
        store.write(record, true).unwrap();
        assert_eq!(store.indexed(index::RECORDS, &[9; 32]).unwrap(), Some(0u64.to_le_bytes().to_vec()));
        assert_eq!((store.length(list::RECORDS).unwrap(), store.length(list::SLASHES).unwrap()), (1, 0));
    }

    #[test]
    fn a_damaged_database_is_refused() {
        let directory = std::env::temp_dir().join(format!("zerotell-store-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        drop(NodeStore::open(&directory).unwrap());
        drop(NodeStore::open(&directory).unwrap());
        std::fs::write(directory.join("node.redb"), vec![5; 4096]).unwrap();
        assert!(NodeStore::open(&directory).is_err());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
