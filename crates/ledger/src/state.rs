//! A state while a block changes it: the stored one below, what is new above, and a way back.

use certify::hash::Digest;
use certify::map::{MapProof, path, value_digest};
use certify::wire::encode;

use crate::entry::{self, Table, key_of, read_value};
use crate::store::{Changes, Fault, Store};
use crate::tree;

/// A state that can be read and changed.
pub struct State<'s> {
    store: &'s dyn Store,
    changes: Changes,
    /// What was there before each write, to roll back to.
    undo: Vec<Undo>,
}

/// A key, and what had been written under it, if anything.
type Undo = (Vec<u8>, Option<Option<Vec<u8>>>);

/// A place to roll back to.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

impl<'s> State<'s> {
    /// The stored state.
    pub fn new(store: &'s dyn Store) -> Self {
        Self { store, changes: Changes::new(), undo: Vec::new() }
    }

    /// An entry.
    ///
    /// # Errors
    /// A store that fails, or holds what is no entry.
    pub fn get<T: Table>(&self, key: &T::Key) -> Result<Option<T::Value>, Fault> {
        self.bytes(&key_of::<T>(key))?
            .map(|bytes| read_value::<T>(&bytes).map_err(|_| UNREADABLE))
            .transpose()
    }

    /// An entry that must be there.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`Fault::Broken`] if it is not there.
    pub fn must<T: Table>(&self, key: &T::Key, what: &'static str) -> Result<T::Value, Fault> {
        self.get::<T>(key)?.ok_or(Fault::Broken { what })
    }

    /// Whether there is an entry.
    ///
    /// # Errors
    /// A store that fails.
    pub fn has<T: Table>(&self, key: &T::Key) -> Result<bool, Fault> {
        Ok(self.bytes(&key_of::<T>(key))?.is_some())
    }

    /// What shows to a stranger that an entry of the *stored* state is there, or not.
    ///
    /// # Errors
    /// A store that fails.
    pub fn prove<T: Table>(&self, key: &T::Key) -> Result<MapProof, Fault> {
        tree::prove(self.store, &path(T::NAMESPACE, &encode(key)))
    }

    pub(crate) fn put<T: Table>(&mut self, key: &T::Key, value: &T::Value) {
        self.write(key_of::<T>(key), Some(encode(value)));
    }

    pub(crate) fn remove<T: Table>(&mut self, key: &T::Key) {
        self.write(key_of::<T>(key), None);
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark(self.undo.len())
    }

    /// Takes back what was written since the mark.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        while self.undo.len() > mark.0 {
            let Some((key, before)) = self.undo.pop() else { return };
            match before {
                Some(value) => self.changes.insert(key, value),
                None => self.changes.remove(&key),
            };
        }
    }

    /// The new root, and all that is to be stored: entries and nodes.
    ///
    /// # Errors
    /// [`Fault::Broken`] if money appeared or vanished.
    pub(crate) fn finish(self) -> Result<(Digest, Changes), Fault> {
        let Self { store, mut changes, .. } = self;
        let (mut paths, mut same, mut before, mut after) = (Vec::new(), Vec::new(), 0u128, 0u128);
        for (key, new) in &changes {
            let old = store.get(key)?;
            if old == *new {
                same.push(key.clone());
                continue;
            }
            let (namespace, rest) = key.split_first().ok_or(UNREADABLE)?;
            let money = |value: &Option<Vec<u8>>| {
                value.as_ref().map_or(Ok(0), |bytes| entry::money(*namespace, bytes)).map_err(|_| UNREADABLE)
            };
            before = before.saturating_add(money(&old)?);
            after = after.saturating_add(money(new)?);
            paths.push((path(*namespace, rest), new.as_ref().map(|bytes| value_digest(bytes))));
        }
        if before != after {
            return Err(Fault::Broken { what: "a block would make or lose money" });
        }
        same.iter().for_each(|key| drop(changes.remove(key)));
        paths.sort_unstable_by_key(|change| change.0);
        let root = tree::update(store, &paths, &mut changes)?;
        Ok((root, changes))
    }

    /// Entries and nodes of a first state, whose money comes from nowhere.
    pub(crate) fn finish_genesis(self) -> Result<(Digest, Changes), Fault> {
        let Self { store, mut changes, .. } = self;
        let mut paths = Vec::new();
        for (key, new) in &changes {
            let (namespace, rest) = key.split_first().ok_or(UNREADABLE)?;
            paths.push((path(*namespace, rest), new.as_ref().map(|bytes| value_digest(bytes))));
        }
        paths.sort_unstable_by_key(|change| change.0);
        let root = tree::update(store, &paths, &mut changes)?;
        Ok((root, changes))
    }

    fn bytes(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.store.get(key),
        }
    }

    fn write(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let before = self.changes.insert(key.clone(), value);
        self.undo.push((key, before));
    }
}

const UNREADABLE: Fault = Fault::Broken { what: "a stored entry cannot be read" };
