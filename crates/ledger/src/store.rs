//! Where a state lies between blocks: bytes by key. The ledger reads through [`Store`] and hands back [`Changes`].

use std::collections::BTreeMap;
use std::fmt;

/// What to write after a block: by key, the new bytes, or `None` to delete.
pub type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Not a fault of any transaction: nothing may be recorded, the block is to be tried again or the node to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Something is not here: a disk that fails, bytes of a program that have not arrived.
    World {
        /// What.
        what: &'static str,
    },
    /// The stored state contradicts itself, or we made a mistake.
    Broken {
        /// What.
        what: &'static str,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::World { what } => write!(f, "{what} is not available; try again when it is"),
            Self::Broken { what } => {
                write!(f, "the state is broken: {what}; restore it from other validators")
            }
        }
    }
}

impl std::error::Error for Fault {}

/// A state that can be read.
pub trait Store {
    /// The bytes under a key.
    ///
    /// # Errors
    /// [`Fault::World`] if the store cannot say.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault>;
}

/// A store whose entries can be listed, for [`audit`](crate::audit::audit).
pub trait Scan: Store {
    /// All entries, in the order of their keys.
    fn scan(&self) -> Box<dyn Iterator<Item = (&[u8], &[u8])> + '_>;
}

/// A store in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStore(BTreeMap<Box<[u8]>, Box<[u8]>>);

impl MemoryStore {
    /// Writes what a block changed.
    pub fn apply(&mut self, changes: Changes) {
        for (key, value) in changes {
            match value {
                Some(value) => self.0.insert(key.into(), value.into()),
                None => self.0.remove(key.as_slice()),
            };
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        Ok(self.0.get(key).map(|value| value.to_vec()))
    }
}

impl Scan for MemoryStore {
    fn scan(&self) -> Box<dyn Iterator<Item = (&[u8], &[u8])> + '_> {
        Box::new(self.0.iter().map(|(key, value)| (&**key, &**value)))
    }
}
