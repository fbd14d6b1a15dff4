//! Dossiers and programs by their digest: what transactions only name. A file each, renamed when it is whole; or in memory.
//!
//! What a stranger uploads before a transaction names it is *staged*. When its sum exceeds a limit, the oldest upload of
//! whoever has most makes way: a flood from one address displaces itself, and what a transaction in the pool names stays
//! longest. What a transaction that was paid for names is kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use certify::hash::Digest;

use crate::strangers::Caller;

/// Bytes of staged uploads, in all.
const STAGED: usize = 256 << 20;
/// Bytes of what was kept last that stay in memory: the verifier and peers ask for them soon.
const RECENT: usize = 48 << 20;
/// Bytes that an upload counts beside its own.
const ROOM: usize = 4096;

enum Place {
    Directory(PathBuf),
    Memory(Mutex<HashMap<Digest, Bytes>>),
}

/// Who answers for bytes that are held.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    /// This node.
    Own,
    /// Whoever uploaded them.
    Stranger(Caller),
    /// The sender of a transaction in the pool, whose account covers its fee.
    Sender,
}

/// What one owner has, in the order in which it came.
#[derive(Default)]
struct Share {
    cost: usize,
    order: BTreeMap<u64, Digest>,
}

struct Upload {
    owner: Owner,
    number: u64,
    bytes: Bytes,
}

/// Uploads, bounded in all.
#[derive(Default)]
struct Staged {
    cost: usize,
    next: u64,
    uploads: HashMap<Digest, Upload>,
    shares: HashMap<Owner, Share>,
}

/// What an upload counts: small ones take room too.
fn cost(bytes: &Bytes) -> usize {
    bytes.len().saturating_add(ROOM)
}

impl Staged {
    fn find(&self, digest: &Digest) -> Option<&Bytes> {
        self.uploads.get(digest).map(|upload| &upload.bytes)
    }

    fn push(&mut self, digest: Digest, bytes: Bytes, owner: Owner, limit: usize) {
        drop(self.take(&digest));
        let (cost, number) = (cost(&bytes), self.next);
        self.next = self.next.saturating_add(1);
        self.cost = self.cost.saturating_add(cost);
        let share = self.shares.entry(owner).or_default();
        share.cost = share.cost.saturating_add(cost);
        share.order.insert(number, digest);
        self.uploads.insert(digest, Upload { owner, number, bytes });
        while self.cost > limit {
            let Some(victim) = self.victim(limit) else { break };
            drop(self.take(&victim));
        }
    }

    /// The oldest upload of whoever has most; senders have half of the room for themselves.
    fn victim(&self, limit: usize) -> Option<Digest> {
        let rank = |(owner, share): &(&Owner, &Share)| {
            let is_safe = **owner == Owner::Sender && share.cost <= limit / 2;
            (!is_safe, share.cost, Reverse(share.order.keys().next().copied()))
        };
        let most = self.shares.iter().max_by_key(rank);
        most.and_then(|(_, share)| share.order.values().next()).copied()
    }

    fn take(&mut self, digest: &Digest) -> Option<Bytes> {
        let Upload { owner, number, bytes } = self.uploads.remove(digest)?;
        self.cost = self.cost.saturating_sub(cost(&bytes));
        if let Some(share) = self.shares.get_mut(&owner) {
            share.cost = share.cost.saturating_sub(cost(&bytes));
            share.order.remove(&number);
            if share.order.is_empty() {
                self.shares.remove(&owner);
            }
        }
        Some(bytes)
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

    /// Takes what this node brings itself and nobody has paid for yet. The caller has compared it with its digest.
    pub fn stage(&self, digest: Digest, bytes: Bytes) {
        self.stage_of(digest, bytes, Owner::Own);
    }

    /// Takes a stranger's upload that nobody has paid for yet. The caller has compared it with its digest.
    pub fn stage_from(&self, caller: Caller, digest: Digest, bytes: Bytes) {
        self.stage_of(digest, bytes, Owner::Stranger(caller));
    }

    fn stage_of(&self, digest: Digest, bytes: Bytes, owner: Owner) {
        if !self.has(&digest) {
            self.staged().push(digest, bytes, owner, STAGED);
        }
    }

    /// Notes that a transaction which was admitted to the pool names this upload: half of the room is for
    /// such alone.
    pub fn named(&self, digest: &Digest) {
        let mut staged = self.staged();
        if let Some(bytes) = staged.take(digest) {
            staged.push(*digest, bytes, Owner::Sender, STAGED);
        }
    }

    /// Keeps what was staged under this digest, now that it was paid for.
    ///
    /// # Errors
    /// A disk that fails; then it stays staged.
    pub fn keep_staged(&self, digest: &Digest) -> io::Result<()> {
        let found = self.staged().take(digest);
        found.map_or(Ok(()), |bytes| self.keep(digest, bytes))
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
    /// A disk that fails; then they are staged: else they would be fetched again and again.
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
                if let Err(why) = write {
                    drop(fs::remove_file(&part));
                    self.staged().push(*digest, bytes, Owner::Sender, STAGED);
                    return Err(why);
                }
                self.recent().push(*digest, bytes, Owner::Own, RECENT);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four of these fill the room for staged uploads.
    fn quarter(first: u8) -> Bytes {
        let mut bytes = vec![7; STAGED / 4 - ROOM];
        bytes[0] = first;
        Bytes::from(bytes)
    }

    fn caller(last: u8) -> Caller {
        std::net::IpAddr::from([10, 0, 0, last]).into()
    }

    #[test]
    fn staged_uploads_make_way_and_paid_ones_stay() {
        let directory = std::env::temp_dir().join(format!("zerotell-blobs-{}", std::process::id()));
        let blobs = Blobs::open(directory.clone()).unwrap();
        let bytes = quarter(1);
        let first = *blake3::hash(&bytes).as_bytes();
        blobs.stage(first, bytes.clone());
        (2..=4).for_each(|i| blobs.stage([i; 32], quarter(i)));
        assert!(blobs.has(&first) && (2..=4).all(|i| blobs.has(&[i; 32])));
        blobs.keep_staged(&first).unwrap();
        blobs.stage([5; 32], quarter(5));
        assert!(blobs.has(&[2; 32]));
        blobs.stage([6; 32], Bytes::from(vec![4]));
        assert!(!blobs.has(&[2; 32]), "the oldest upload made way");
        assert!(blobs.has(&first) && (3..=6).all(|i| blobs.has(&[i; 32])));
        drop(blobs);
        let again = Blobs::open(directory.clone()).unwrap();
        assert_eq!(again.get(&first), Some(bytes));
        assert!(!again.has(&[3; 32]), "what nobody paid for is forgotten");
        again.forget(&first).unwrap();
        assert!(!again.has(&first) && again.get(&first).is_none());
        again.forget(&first).unwrap();
        fs::write(directory.join(hex(&first)), b"cut short").unwrap();
        assert!(again.get(&first).is_none() && !again.has(&first), "what is damaged is fetched again");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_flood_displaces_itself() {
        let blobs = Blobs::memory();
        blobs.stage_from(caller(1), [1; 32], quarter(1));
        (2..=9).for_each(|i| blobs.stage_from(caller(2), [i; 32], quarter(i)));
        assert!(blobs.has(&[1; 32]), "one upload of another stays");
        assert!((7..=9).all(|i| blobs.has(&[i; 32])) && (2..=6).all(|i| !blobs.has(&[i; 32])));
        // From many addresses: what a transaction names stays.
        blobs.named(&[1; 32]);
        (10..=20).for_each(|i| blobs.stage_from(caller(i), [i; 32], quarter(i)));
        assert!(blobs.has(&[1; 32]) && blobs.staged().cost <= STAGED);
        // What is named has no more than its room: an upload that is not yet comes in.
        for i in 21..=25 {
            blobs.stage_from(caller(i), [i; 32], quarter(i));
            assert!(blobs.has(&[i; 32]));
            blobs.named(&[i; 32]);
        }
        assert!(!blobs.has(&[1; 32]) && (23..=25).all(|i| blobs.has(&[i; 32])));
        assert!(blobs.staged().cost <= STAGED);
    }

    #[test]
    fn many_small_uploads_are_bounded_by_their_number() {
        let blobs = Blobs::memory();
        for i in 0..(STAGED / ROOM) + 100 {
            let name = *blake3::hash(&i.to_le_bytes()).as_bytes();
            blobs.stage_from(caller(1), name, Bytes::from_static(b"x"));
        }
        assert!(blobs.staged().uploads.len() <= STAGED / ROOM);
    }

    #[test]
    fn what_the_disk_refuses_stays_staged() {
        let directory = std::env::temp_dir().join(format!("zerotell-full-{}", std::process::id()));
        let blobs = Blobs::open(directory.clone()).unwrap();
        blobs.stage_from(caller(1), [1; 32], Bytes::from_static(b"x"));
        fs::remove_dir_all(&directory).unwrap();
        assert!(blobs.keep_staged(&[1; 32]).is_err() && blobs.has(&[1; 32]));
        assert!(blobs.keep(&[2; 32], Bytes::from_static(b"y")).is_err());
        assert_eq!(blobs.get(&[2; 32]), Some(Bytes::from_static(b"y")), "it need not be fetched again");
        fs::create_dir_all(&directory).unwrap();
        blobs.keep_staged(&[1; 32]).unwrap();
        assert_eq!(fs::read(directory.join(hex(&[1; 32]))).unwrap(), b"x");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn dossiers_are_named_by_their_hash() {
        assert!(is_named(blake3::hash(b"x").as_bytes(), b"x"));
        assert!(!is_named(blake3::hash(b"x").as_bytes(), b"y"));
    }
}
