//! Dossiers and programs by their digest: what transactions only name. A file each, renamed when it is whole; or in memory.
//!
//! What a stranger uploads before a transaction names it is *staged*: the oldest of it makes way when its sum exceeds a
//! limit. What a transaction that was paid for names is kept.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use certify::hash::Digest;

/// Bytes of staged uploads, in all.
const STAGED: usize = 256 << 20;
/// Bytes of what was kept last that stay in memory: the verifier and peers ask for them soon.
const RECENT: usize = 48 << 20;

enum Place {
    Directory(PathBuf),
    Memory(Mutex<HashMap<Digest, Bytes>>),
}

/// Bytes in the order in which they came, bounded in all.
#[derive(Default)]
struct Staged {
    bytes: usize,
    queue: VecDeque<(Digest, Bytes)>,
}

impl Staged {
    fn find(&self, digest: &Digest) -> Option<&Bytes> {
        self.queue.iter().find(|(name, _)| name == digest).map(|(_, bytes)| bytes)
    }

    fn push(&mut self, digest: Digest, bytes: Bytes, limit: usize) {
        self.bytes += bytes.len();
        self.queue.push_back((digest, bytes));
        while self.bytes > limit {
            let Some((_, oldest)) = self.queue.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }

    fn take(&mut self, digest: &Digest) -> Option<(Digest, Bytes)> {
        let at = self.queue.iter().position(|(name, _)| name == digest);
        let found = at.and_then(|at| self.queue.remove(at));
        self.bytes -= found.as_ref().map_or(0, |(_, bytes)| bytes.len());
        found
    }
}

/// Bytes by digest.
pub struct Blobs {
    place: Place,
    staged: Mutex<Staged>,
    recent: Mutex<Staged>,
}

/// What bytes are called: a dossier by its BLAKE3 hash, a program by its own digest.
#[must_use]
pub fn is_named(digest: &Digest, bytes: &[u8]) -> bool {
    blake3::hash(bytes).as_bytes() == digest
        || program::wire::decode(bytes).is_ok_and(|program| program.digest() == *digest)
}

fn hex(digest: &Digest) -> String {
    record::json::hex(digest)
}

impl Blobs {
    /// In a directory, which is made if it is not there.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn open(directory: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        Ok(Self { place: Place::Directory(directory), staged: Mutex::default(), recent: Mutex::default() })
    }

    /// In memory.
    #[must_use]
    pub fn memory() -> Self {
        Self { place: Place::Memory(Mutex::default()), staged: Mutex::default(), recent: Mutex::default() }
    }

    fn staged(&self) -> std::sync::MutexGuard<'_, Staged> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Staged> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes with this digest, if they are here; what is on the disk is compared with it.
    pub fn get(&self, digest: &Digest) -> Option<Bytes> {
        if let Some(bytes) = self.recent().find(digest) {
            return Some(bytes.clone());
        }
        let kept = match &self.place {
            Place::Directory(directory) => {
                let path = directory.join(hex(digest));
                let found = fs::read(&path).ok().map(Bytes::from);
                // Damaged bytes are as good as none: they are fetched again.
                if found.as_ref().is_some_and(|bytes| !is_named(digest, bytes)) {
                    drop(fs::remove_file(path));
                    None
                } else {
                    found
                }
            }
            Place::Memory(map) => map.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned(),
        };
        kept.or_else(|| self.staged().find(digest).cloned())
    }

    /// Whether they are here.
    pub fn has(&self, digest: &Digest) -> bool {
        if self.recent().find(digest).is_some() {
            return true;
        }
        let kept = match &self.place {
            Place::Directory(directory) => directory.join(hex(digest)).exists(),
            Place::Memory(map) => map.lock().unwrap_or_else(PoisonError::into_inner).contains_key(digest),
        };
        kept || self.staged().find(digest).is_some()
    }

    /// Takes an upload that nobody has paid for yet. The caller has compared it with its digest.
    pub fn stage(&self, digest: Digest, bytes: Bytes) {
        if self.has(&digest) {
            return;
        }
        self.staged().push(digest, bytes, STAGED);
    }

    /// Keeps what was staged under this digest, now that it was paid for.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn keep_staged(&self, digest: &Digest) -> io::Result<()> {
        let found = self.staged().take(digest);
        found.map_or(Ok(()), |(digest, bytes)| self.keep(&digest, bytes))
    }

    /// Deletes what nobody need serve any more.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn forget(&self, digest: &Digest) -> io::Result<()> {
        drop(self.recent().take(digest));
        match &self.place {
            Place::Memory(map) => {
                map.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
                Ok(())
            }
            Place::Directory(directory) => match fs::remove_file(directory.join(hex(digest))) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
                _ => Ok(()),
            },
        }
    }

    /// Keeps bytes. The caller has compared them with their digest.
    ///
    /// # Errors
    /// A disk that fails; then nothing is kept.
    pub fn keep(&self, digest: &Digest, bytes: Bytes) -> io::Result<()> {
        match &self.place {
            Place::Memory(map) => {
                map.lock().unwrap_or_else(PoisonError::into_inner).insert(*digest, bytes);
                Ok(())
            }
            Place::Directory(directory) => {
                let (name, path) = (hex(digest), directory.join(hex(digest)));
                if path.exists() {
                    return Ok(());
                }
                // Two that write the same do not meet: each has a name of its own until it is whole.
                let unique = format!("{name}.{:?}.part", std::thread::current().id());
                let part = directory.join(unique);
                // The disk is not waited for: what a power cut takes is fetched again, and a file that it leaves cut short
                // is found when its name is compared.
                let write = fs::write(&part, &bytes).and_then(|()| fs::rename(&part, &path));
                write.inspect_err(|_| drop(fs::remove_file(&part)))?;
                self.recent().push(*digest, bytes, RECENT);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staged_uploads_make_way_and_paid_ones_stay() {
        let directory = std::env::temp_dir().join(format!("zerotell-blobs-{}", std::process::id()));
        let blobs = Blobs::open(directory.clone()).unwrap();
        let bytes = Bytes::from(vec![1; STAGED / 2]);
        let first = *blake3::hash(&bytes).as_bytes();
        blobs.stage(first, bytes);
        blobs.stage([2; 32], Bytes::from(vec![2; STAGED / 2]));
        assert!(blobs.has(&first) && blobs.has(&[2; 32]));
        blobs.keep_staged(&first).unwrap();
        blobs.stage([3; 32], Bytes::from(vec![3; STAGED / 2]));
        blobs.stage([4; 32], Bytes::from(vec![4]));
        assert!(!blobs.has(&[2; 32]), "the oldest upload made way");
        assert!(blobs.has(&first) && blobs.has(&[3; 32]) && blobs.has(&[4; 32]));
        drop(blobs);
        let again = Blobs::open(directory.clone()).unwrap();
        assert_eq!(again.get(&first).map(|bytes| bytes.len()), Some(STAGED / 2));
        assert!(!again.has(&[3; 32]), "what nobody paid for is forgotten");
        again.forget(&first).unwrap();
        assert!(!again.has(&first) && again.get(&first).is_none());
        again.forget(&first).unwrap();
        fs::write(directory.join(hex(&first)), b"cut short").unwrap();
        assert!(again.get(&first).is_none() && !again.has(&first), "what is damaged is fetched again");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn dossiers_are_named_by_their_hash() {
        assert!(is_named(blake3::hash(b"x").as_bytes(), b"x"));
        assert!(!is_named(blake3::hash(b"x").as_bytes(), b"y"));
    }
}
