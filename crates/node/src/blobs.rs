//! Dossiers and programs by their digest: what transactions only name. A file each, renamed when it is whole; or in memory.
//!
//! What a stranger uploads before a transaction names it is *staged*. When its sum exceeds a limit, the oldest upload of
//! whoever has most makes way: a flood from one address displaces itself, and what a transaction in the pool names stays
//! longest. What a transaction that was paid for names is kept.
//!
//! What the dossiers of one epoch share is held once (`dossier::compact`): on the disk under `parts`, and the latest in memory.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use certify::hash::Digest;
use dossier::compact::{self, Made};

use crate::strangers::Caller;

/// Bytes of staged uploads, in all.
const STAGED: usize = 256 << 20;
/// Bytes of what was kept last that stay in memory: the verifier and peers ask for them soon.
const RECENT: usize = 64 << 20;
/// Bytes of shared parts that stay in memory.
const PARTS: usize = 32 << 20;
/// A shared part's file is dated anew when it is used and its date is older than this; it is deleted when the oldest dossier
/// that is kept is younger than its date by twice this.
const DATED: Duration = Duration::from_secs(1800);
/// Empty files that are kept for the next dossiers.
const SPARES: usize = 2048;
/// Bytes that an upload counts beside its own.
const ROOM: usize = 4096;

enum Place {
    Directory(PathBuf, Spares),
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

/// A dossier without its shared parts, and these: names, and where they lie in the whole.
struct Compact {
    bytes: Bytes,
    parts: Vec<(Digest, Range<usize>)>,
}

/// Bytes, and what they are without shared parts, once that was asked.
#[derive(Clone)]
struct Held {
    bytes: Bytes,
    compact: Arc<OnceLock<Option<Compact>>>,
}

impl From<Bytes> for Held {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, compact: Arc::default() }
    }
}

impl Held {
    fn compact(&self) -> Option<&Compact> {
        let made =
            || compact::compact(&self.bytes).map(|c| Compact { bytes: c.bytes.into(), parts: c.parts });
        self.compact.get_or_init(made).as_ref()
    }
}

struct Upload {
    owner: Owner,
    number: u64,
    held: Held,
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
    fn find(&self, digest: &Digest) -> Option<&Held> {
        self.uploads.get(digest).map(|upload| &upload.held)
    }

    fn push(&mut self, digest: Digest, held: Held, owner: Owner, limit: usize) {
        drop(self.take(&digest));
        let (cost, number) = (cost(&held.bytes), self.next);
        self.next = self.next.saturating_add(1);
        self.cost = self.cost.saturating_add(cost);
        let share = self.shares.entry(owner).or_default();
        share.cost = share.cost.saturating_add(cost);
        share.order.insert(number, digest);
        self.uploads.insert(digest, Upload { owner, number, held });
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

    fn take(&mut self, digest: &Digest) -> Option<Held> {
        let Upload { owner, number, held } = self.uploads.remove(digest)?;
        let cost = cost(&held.bytes);
        self.cost = self.cost.saturating_sub(cost);
        if let Some(share) = self.shares.get_mut(&owner) {
            share.cost = share.cost.saturating_sub(cost);
            share.order.remove(&number);
            if share.order.is_empty() {
                self.shares.remove(&owner);
            }
        }
        Some(held)
    }
}

/// What became of bytes that a peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// They are kept.
    Kept,
    /// Parts that they name are not here: the whole must be asked for.
    Lacking,
    /// They are not what was asked for.
    Wrong,
}

/// Bytes by digest.
pub struct Blobs {
    place: Place,
    staged: Mutex<Staged>,
    recent: Mutex<Staged>,
    parts: Mutex<Staged>,
    /// When shared parts' files were last dated.
    dated: Mutex<HashMap<Digest, SystemTime>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Empty files of dossiers that were deleted, for the next ones: where many are made and deleted, a file system may look
/// through all that were deleted lately before it makes another.
struct Spares {
    directory: PathBuf,
    names: Mutex<Vec<PathBuf>>,
}

impl Spares {
    /// What a run before left is not looked for again: a crash may have left anything.
    fn open(directory: PathBuf) -> io::Result<Self> {
        match fs::remove_dir_all(&directory) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            _ => fs::create_dir_all(&directory)?,
        }
        Ok(Self { directory, names: Mutex::default() })
    }

    /// Takes a file, or deletes it if there are enough.
    fn put(&self, path: &Path) -> io::Result<()> {
        let mut names = lock(&self.names);
        let spare = self.directory.join(names.len().to_string());
        if names.len() >= SPARES || fs::rename(path, &spare).is_err() {
            return fs::remove_file(path);
        }
        fs::File::options().write(true).open(&spare)?.set_len(0)?;
        names.push(spare);
        Ok(())
    }

    /// Moves a file to this place, if there is any.
    fn take(&self, path: &Path) {
        let mut names = lock(&self.names);
        if let Some(spare) = names.pop() {
            // If it is not there a file is made.
            drop(fs::rename(spare, path));
        }
    }
}

/// Writes a file that is there whole or not at all.
fn write(spares: Option<&Spares>, path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Two that write the same do not meet: each has a name of its own until it is whole.
    let part = path.with_extension(format!("{:?}.part", std::thread::current().id()));
    if let Some(spares) = spares {
        spares.take(&part);
    }
    // The disk is not waited for: what a power cut takes is fetched again, and a file that it leaves cut short is found when
    // its name is compared.
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        drop(fs::remove_file(&part));
    }
    written
}

/// What the bytes of a program are called `[U7]`. A program's digest is itself the hash of some bytes, which are no program
/// but would be a dossier of that name: so programs have names that are no such hash.
#[must_use]
pub fn program_name(digest: &Digest) -> Digest {
    blake3::derive_key("zerotell/program-name/1", digest)
}

/// What bytes are called: a dossier by its BLAKE3 hash, a program by its [`program_name`].
#[must_use]
pub fn is_named(name: &Digest, bytes: &[u8]) -> bool {
    blake3::hash(bytes).as_bytes() == name
        || program::wire::decode(bytes).is_ok_and(|program| program_name(&program.digest()) == *name)
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
        fs::create_dir_all(directory.join("parts"))?;
        let spares = Spares::open(directory.join("spare"))?;
        Ok(Self::at(Place::Directory(directory, spares)))
    }

    /// In memory.
    #[must_use]
    pub fn memory() -> Self {
        Self::at(Place::Memory(Mutex::default()))
    }

    fn at(place: Place) -> Self {
        let [staged, recent, parts] = [(); 3].map(|()| Mutex::default());
        Self { place, staged, recent, parts, dated: Mutex::default() }
    }

    fn staged(&self) -> std::sync::MutexGuard<'_, Staged> {
        lock(&self.staged)
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Staged> {
        lock(&self.recent)
    }

    /// A shared part.
    fn part(&self, name: &Digest) -> Option<Bytes> {
        if let Some(held) = lock(&self.parts).find(name) {
            return Some(held.bytes.clone());
        }
        let Place::Directory(directory, _) = &self.place else { return None };
        let path = directory.join("parts").join(hex(name));
        // What could not be read may be there all the same.
        let bytes = Bytes::from(fs::read(&path).ok()?);
        if blake3::hash(&bytes).as_bytes() != name {
            // Damaged: it is written with the next dossier that has it.
            drop(fs::remove_file(path));
            lock(&self.dated).remove(name);
            return None;
        }
        lock(&self.parts).push(*name, bytes.clone().into(), Owner::Own, PARTS);
        Some(bytes)
    }

    /// Whether the shared parts that compact bytes name are here, as far as can be seen without reading them.
    fn has_parts(&self, compact: &[u8]) -> bool {
        let has = |name: &Digest| {
            let is_kept = match &self.place {
                Place::Directory(directory, _) => directory.join("parts").join(hex(name)).exists(),
                Place::Memory(_) => false,
            };
            is_kept || lock(&self.parts).find(name).is_some()
        };
        compact::names(compact).is_some_and(|names| names.iter().all(has))
    }

    /// Remembers the shared parts of a dossier that was asked for.
    fn learn(&self, held: &Held) {
        for (name, range) in held.compact().into_iter().flat_map(|compact| &compact.parts) {
            if lock(&self.parts).find(name).is_none()
                && let Some(bytes) = held.bytes.get(range.clone())
            {
                // A copy: a slice would hold the whole dossier.
                let bytes = Bytes::copy_from_slice(bytes);
                lock(&self.parts).push(*name, bytes.into(), Owner::Own, PARTS);
            }
        }
    }

    /// Writes the shared parts of a dossier, or dates them anew.
    fn keep_parts(&self, directory: &Path, whole: &[u8], compact: &Compact) -> io::Result<()> {
        let now = SystemTime::now();
        for (name, range) in &compact.parts {
            let is_recent = |dated: &SystemTime| now.duration_since(*dated).is_ok_and(|age| age < DATED);
            let path = directory.join("parts").join(hex(name));
            if lock(&self.dated).get(name).is_some_and(is_recent) && path.exists() {
                continue;
            }
            match fs::File::options().write(true).open(&path) {
                Ok(file) => file.set_modified(now)?,
                Err(_) => write(None, &path, whole.get(range.clone()).unwrap_or_default())?,
            }
            lock(&self.dated).insert(*name, now);
        }
        Ok(())
    }

    /// Deletes shared parts that only dossiers used which were kept before this time, and are forgotten.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn sweep(&self, oldest: SystemTime) -> io::Result<()> {
        let Place::Directory(directory, _) = &self.place else { return Ok(()) };
        for entry in fs::read_dir(directory.join("parts"))? {
            let entry = entry?;
            if entry.metadata()?.modified()? + 2 * DATED < oldest {
                fs::remove_file(entry.path())?;
                lock(&self.dated).retain(|name, _| entry.file_name() != *hex(name));
            }
        }
        Ok(())
    }

    /// The bytes with this digest, if they are here; what is on the disk is compared with it.
    pub fn get(&self, digest: &Digest) -> Option<Bytes> {
        self.held(digest).map(|held| held.bytes)
    }

    fn held(&self, digest: &Digest) -> Option<Held> {
        if let Some(held) = self.recent().find(digest) {
            return Some(held.clone());
        }
        let kept = match &self.place {
            Place::Directory(directory, _) => {
                let path = directory.join(hex(digest));
                // What cannot be read now may be read later.
                fs::read(&path).ok().map(Bytes::from).and_then(|bytes| {
                    let found = self.read(digest, bytes.clone());
                    // Damaged bytes, or such as lack a part, are as good as none: they are fetched again.
                    let is_lost = match found {
                        Ok(_) => false,
                        Err(Received::Lacking) => !self.has_parts(&bytes),
                        Err(_) => true,
                    };
                    if is_lost {
                        drop(fs::remove_file(path));
                    }
                    found.ok()
                })
            }
            Place::Memory(map) => lock(map).get(digest).cloned().map(Held::from),
        };
        kept.or_else(|| self.staged().find(digest).cloned())
    }

    /// What has this digest, from its bytes or what is left of them without shared parts.
    fn read(&self, digest: &Digest, bytes: Bytes) -> Result<Held, Received> {
        let mut otherwise = Received::Wrong;
        // Parts may be large: nothing is read while one of them is not here.
        if compact::is_compact(&bytes) && compact::names(&bytes).is_some() && !self.has_parts(&bytes) {
            otherwise = Received::Lacking;
        } else if compact::is_compact(&bytes) {
            match compact::whole(&bytes, |name| self.part(name)) {
                Made::Whole(whole, parts) if is_named(digest, &whole) => {
                    let compact = Some(Compact { bytes, parts });
                    return Ok(Held { bytes: whole.into(), compact: Arc::new(compact.into()) });
                }
                Made::Lacking => otherwise = Received::Lacking,
                Made::Whole(..) | Made::Malformed => {}
            }
        }
        // Also what only looks compact: whoever submits may call anything a dossier.
        if is_named(digest, &bytes) { Ok(bytes.into()) } else { Err(otherwise) }
    }

    /// The bytes with this digest as a peer is given them: without shared parts, if they have any.
    pub fn compact(&self, digest: &Digest) -> Option<Bytes> {
        let held = self.held(digest)?;
        Some(held.compact().map_or_else(|| held.bytes.clone(), |compact| compact.bytes.clone()))
    }

    /// Takes what a peer gave when it was asked for this digest. What is not `wanted`, since only a transaction that waits names
    /// it, is staged: nobody has paid for it yet.
    ///
    /// # Errors
    /// A disk that fails; the bytes are here all the same.
    pub fn receive(&self, digest: &Digest, bytes: Bytes, wanted: bool) -> io::Result<Received> {
        match self.read(digest, bytes) {
            Ok(held) if wanted => self.keep_held(digest, held).map(|()| Received::Kept),
            Ok(held) => {
                self.learn(&held);
                if !self.has(digest) {
                    self.staged().push(*digest, held, Owner::Sender, STAGED);
                }
                Ok(Received::Kept)
            }
            Err(why) => Ok(why),
        }
    }

    /// Whether they are here.
    pub fn has(&self, digest: &Digest) -> bool {
        if self.recent().find(digest).is_some() {
            return true;
        }
        let kept = match &self.place {
            Place::Directory(directory, _) => directory.join(hex(digest)).exists(),
            Place::Memory(map) => lock(map).contains_key(digest),
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
            self.staged().push(digest, bytes.into(), owner, STAGED);
        }
    }

    /// Notes that a transaction which was admitted to the pool names this upload: half of the room is for
    /// such alone.
    pub fn named(&self, digest: &Digest) {
        let mut staged = self.staged();
        if let Some(held) = staged.take(digest) {
            staged.push(*digest, held, Owner::Sender, STAGED);
        }
    }

    /// Keeps what was staged under this digest, now that it was paid for.
    ///
    /// # Errors
    /// A disk that fails; then it stays staged.
    pub fn keep_staged(&self, digest: &Digest) -> io::Result<()> {
        let found = self.staged().take(digest);
        found.map_or(Ok(()), |held| self.keep_held(digest, held))
    }

    /// Deletes what nobody need serve any more; tells since when it was kept, if it was on the disk.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn forget(&self, digest: &Digest) -> io::Result<Option<SystemTime>> {
        drop(self.recent().take(digest));
        match &self.place {
            Place::Memory(map) => {
                lock(map).remove(digest);
                Ok(None)
            }
            Place::Directory(directory, spares) => {
                let path = directory.join(hex(digest));
                let since = fs::metadata(&path).and_then(|found| found.modified()).ok();
                match since.map_or(Ok(()), |_| spares.put(&path)) {
                    Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
                    _ => Ok(since),
                }
            }
        }
    }

    /// Keeps bytes. The caller has compared them with their digest.
    ///
    /// # Errors
    /// A disk that fails; then they are staged: else they would be fetched again and again.
    pub fn keep(&self, digest: &Digest, bytes: Bytes) -> io::Result<()> {
        self.keep_held(digest, bytes.into())
    }

    fn keep_held(&self, digest: &Digest, held: Held) -> io::Result<()> {
        self.learn(&held);
        match &self.place {
            Place::Memory(map) => {
                lock(map).insert(*digest, held.bytes);
                Ok(())
            }
            Place::Directory(directory, spares) => {
                let path = directory.join(hex(digest));
                if path.exists() {
                    return Ok(());
                }
                let written = match held.compact() {
                    Some(compact) => self
                        .keep_parts(directory, &held.bytes, compact)
                        .and_then(|()| write(Some(spares), &path, &compact.bytes)),
                    None => write(Some(spares), &path, &held.bytes),
                };
                if let Err(why) = written {
                    self.staged().push(*digest, held, Owner::Sender, STAGED);
                    return Err(why);
                }
                self.recent().push(*digest, held, Owner::Own, RECENT);
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

    /// A dossier in form, of an epoch.
    fn dossier(proof: u8, epoch: u8) -> (Digest, Bytes) {
        let mut file = dossier::bytes::Writer::versioned(b"ZTPF", 3);
        for part in [vec![1; 50_000], vec![epoch; 90_000], vec![2; 100], vec![proof; 5_000]] {
            file.framed(&part);
        }
        let (proof, salts, statement, signer) = (file.done().to_vec(), vec![4], vec![5], vec![6]);
        let bytes = dossier::Dossier { proof, salts, statement, signer, ranges: None }.encode();
        (*blake3::hash(&bytes).as_bytes(), bytes.into())
    }

    #[test]
    fn what_dossiers_share_is_written_once() {
        let directory = std::env::temp_dir().join(format!("zerotell-shared-{}", std::process::id()));
        let blobs = Blobs::open(directory.clone()).unwrap();
        let list: Vec<_> = (0..4).map(|i| dossier(i, i / 2)).collect();
        for (name, bytes) in &list {
            blobs.keep(name, bytes.clone()).unwrap();
        }
        let size = |name: &Digest| fs::metadata(directory.join(hex(name))).unwrap().len();
        assert!(list.iter().all(|(name, _)| size(name) < 6_000));
        let parts = || fs::read_dir(directory.join("parts")).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(parts().count(), 3, "one program, the links of two epochs");
        let again = Blobs::open(directory.clone()).unwrap();
        assert!(list.iter().all(|(name, bytes)| again.get(name).as_ref() == Some(bytes)));
        assert!(list.iter().all(|(name, bytes)| again.compact(name).unwrap().len() < bytes.len() / 20));
        // Dossiers of an epoch that is over are forgotten, and some time later what they shared.
        let since = again.forget(&list[0].0).unwrap().unwrap();
        again.sweep(since).unwrap();
        assert_eq!(parts().count(), 3);
        again.sweep(since + 3 * DATED).unwrap();
        assert_eq!(parts().count(), 0);
        let last = Blobs::open(directory.clone()).unwrap();
        assert!(last.get(&list[1].0).is_none() && !last.has(&list[1].0), "it is fetched again");
        assert_eq!(last.receive(&list[1].0, list[1].1.clone(), true).unwrap(), Received::Kept);
        assert!(last.get(&list[1].0).as_ref() == Some(&list[1].1) && parts().count() == 2);
        // Parts that somebody deleted are written again with the next dossier.
        parts().for_each(|path| fs::remove_file(path).unwrap());
        drop((lock(&last.recent).take(&list[1].0), std::mem::take(&mut *lock(&last.parts))));
        assert!(last.get(&list[1].0).is_none());
        assert_eq!(last.receive(&list[1].0, list[1].1.clone(), true).unwrap(), Received::Kept);
        assert_eq!(parts().count(), 2);
        // A damaged part.
        parts().for_each(|path| fs::write(path, b"other").unwrap());
        let last = Blobs::open(directory.clone()).unwrap();
        assert!(last.get(&list[1].0).is_none() && !last.has(&list[1].0) && parts().count() < 2);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn files_of_deleted_dossiers_serve_again() {
        let directory = std::env::temp_dir().join(format!("zerotell-spare-{}", std::process::id()));
        let blobs = Blobs::open(directory.clone()).unwrap();
        let named = |i: u8| (*blake3::hash(&[i; 9]).as_bytes(), Bytes::from(vec![i; 9]));
        let spares = || {
            let list = fs::read_dir(directory.join("spare")).unwrap();
            list.map(|entry| entry.unwrap().metadata().unwrap().len()).collect::<Vec<_>>()
        };
        let (long, bytes) = (*blake3::hash(&[7; 900]).as_bytes(), Bytes::from(vec![7; 900]));
        blobs.keep(&long, bytes).unwrap();
        (0..3).for_each(|i| blobs.keep(&named(i).0, named(i).1).unwrap());
        assert!(blobs.forget(&long).unwrap().is_some() && blobs.forget(&long).unwrap().is_none());
        assert!(blobs.forget(&named(0).0).unwrap().is_some());
        assert_eq!(spares(), [0, 0], "they hold no room on the disk");
        (4..7).for_each(|i| blobs.keep(&named(i).0, named(i).1).unwrap());
        assert!(spares().is_empty());
        drop(blobs);
        // A file that was longer has nothing left of that.
        let again = Blobs::open(directory.clone()).unwrap();
        assert!([1, 2, 4, 5, 6].iter().all(|&i| again.get(&named(i).0) == Some(named(i).1)));
        again.forget(&named(1).0).unwrap();
        assert_eq!((spares().len(), again.has(&named(1).0)), (1, false));
        drop(again);
        Blobs::open(directory.clone()).unwrap();
        assert!(spares().is_empty());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn peers_give_compact_dossiers() {
        let (ours, theirs) = (Blobs::memory(), Blobs::memory());
        let list: Vec<_> = (0..3).map(|i| dossier(i, 0)).collect();
        list.iter().for_each(|(name, bytes)| theirs.stage(*name, bytes.clone()));
        let given = |i: usize| theirs.compact(&list[i].0).unwrap();
        assert_eq!(ours.receive(&list[0].0, given(0), true).unwrap(), Received::Lacking);
        assert_eq!(ours.receive(&list[0].0, theirs.get(&list[0].0).unwrap(), true).unwrap(), Received::Kept);
        assert_eq!(ours.receive(&list[1].0, given(2), true).unwrap(), Received::Wrong);
        assert_eq!(ours.receive(&list[1].0, given(1), true).unwrap(), Received::Kept);
        assert_eq!(ours.get(&list[1].0).as_ref(), Some(&list[1].1));
        // Whatever is submitted under its own hash is a dossier, if only a bad one.
        let odd = given(2);
        let name = *blake3::hash(&odd).as_bytes();
        theirs.stage(name, odd.clone());
        assert_eq!(theirs.compact(&name).as_ref(), Some(&odd));
        for blobs in [&ours, &Blobs::memory()] {
            assert_eq!(blobs.receive(&name, odd.clone(), true).unwrap(), Received::Kept);
            assert_eq!(blobs.get(&name).as_ref(), Some(&odd));
        }
        assert_eq!(ours.receive(&name, Bytes::from_static(b"ZTDC"), true).unwrap(), Received::Wrong);
    }

    /// The bytes that a program's digest is the hash of are a dossier, and never the program.
    #[test]
    fn programs_have_names_of_their_own() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../vectors/proofs/v1/hidden-private-weights/program.bin"
        );
        let program = program::wire::decode(&fs::read(path).unwrap()).unwrap();
        let (digest, name) = (program.digest(), program_name(&program.digest()));
        let label = b"zerotell/program";
        let length = u64::try_from(label.len()).unwrap().to_le_bytes();
        let hashed = Bytes::from([&length[..], label, &program::wire::encode(&program)].concat());
        assert_eq!(*blake3::hash(&hashed).as_bytes(), digest, "what is hashed to name a program");
        let bytes = Bytes::from(program::wire::encode_with_contents(&program));
        assert!(is_named(&name, &bytes) && !is_named(&name, &hashed) && !is_named(&digest, &bytes));
        let blobs = Blobs::memory();
        assert_eq!(blobs.receive(&digest, hashed.clone(), true).unwrap(), Received::Kept);
        assert!(!blobs.has(&name), "they do not stand for the program");
        assert_eq!(blobs.receive(&name, hashed, true).unwrap(), Received::Wrong);
        assert_eq!(blobs.receive(&name, bytes.clone(), true).unwrap(), Received::Kept);
        blobs.forget(&digest).unwrap();
        assert_eq!(blobs.get(&name), Some(bytes), "what a record named is pruned, the program stays");
    }

    /// What only a waiting transaction names takes no disk, and room in memory with all others of its kind.
    #[test]
    fn what_nobody_paid_for_is_not_written() {
        let directory = std::env::temp_dir().join(format!("zerotell-unpaid-{}", std::process::id()));
        let blobs = Blobs::open(directory.clone()).unwrap();
        let (name, bytes) = dossier(0, 0);
        assert_eq!(blobs.receive(&name, bytes.clone(), false).unwrap(), Received::Kept);
        assert!(blobs.has(&name) && !directory.join(hex(&name)).exists());
        // Its shared parts are known from then on.
        let given = blobs.compact(&name).unwrap();
        assert!(given.len() < bytes.len() / 20 && blobs.read(&name, given).is_ok());
        blobs.keep_staged(&name).unwrap();
        assert!(directory.join(hex(&name)).exists() && blobs.staged().cost == 0);
        for i in 1..=9 {
            let bytes = quarter(i);
            let name = *blake3::hash(&bytes).as_bytes();
            assert_eq!(blobs.receive(&name, bytes, false).unwrap(), Received::Kept);
            assert!(blobs.has(&name) && blobs.staged().cost <= STAGED);
        }
        fs::remove_dir_all(directory).unwrap();
    }

    /// A disk that cannot be read for a moment loses nothing.
    #[test]
    fn what_cannot_be_read_now_is_not_deleted() {
        let directory = std::env::temp_dir().join(format!("zerotell-unread-{}", std::process::id()));
        let blobs = Blobs::open(directory.clone()).unwrap();
        let list: Vec<_> = (0..2).map(|i| dossier(i, 0)).collect();
        list.iter().for_each(|(name, bytes)| blobs.keep(name, bytes.clone()).unwrap());
        drop(blobs);
        let blobs = Blobs::open(directory.clone()).unwrap();
        let parts: Vec<PathBuf> =
            fs::read_dir(directory.join("parts")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(!parts.is_empty());
        // A directory in a part's place: reading it fails, and says nothing about what was there.
        let away = directory.join("away");
        fs::rename(&parts[0], &away).unwrap();
        fs::create_dir(&parts[0]).unwrap();
        assert!(blobs.get(&list[0].0).is_none() && blobs.has(&list[0].0));
        fs::remove_dir(&parts[0]).unwrap();
        fs::rename(&away, &parts[0]).unwrap();
        assert_eq!(blobs.get(&list[0].0).as_ref(), Some(&list[0].1));
        // One that is gone is fetched again, and so is what names it.
        drop(blobs);
        let blobs = Blobs::open(directory.clone()).unwrap();
        parts.iter().for_each(|part| fs::remove_file(part).unwrap());
        assert!(blobs.get(&list[0].0).is_none() && !blobs.has(&list[0].0));
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn dossiers_are_named_by_their_hash() {
        assert!(is_named(blake3::hash(b"x").as_bytes(), b"x"));
        assert!(!is_named(blake3::hash(b"x").as_bytes(), b"y"));
    }
}
