//! Links that this machine has verified, so that the links of an epoch are verified once.
//!
//! The file holds keyed hashes of what was accepted. The key lies in another directory, with the
//! owner's data: entries that were made elsewhere are worth nothing here.

use std::path::{Path, PathBuf};

use verify::Linked;
use zeroize::Zeroizing;

use crate::files::{decode_accepted, encode_accepted, read_bounded, write_whole};
use crate::keys::{SECRET, check_mode, private_directory};
use crate::{cache, random};

const FILE: &str = "links.accepted";
const KEY: &str = "verifier.key";
/// Most entries; older ones are dropped, which costs time only.
pub const ENTRIES_MAX: usize = 4096;

/// The key of the entries, and the entries.
type Known = (Zeroizing<[u8; 32]>, Vec<[u8; 32]>);

/// What was accepted, by keyed hash.
pub struct Accepted {
    path: PathBuf,
    /// The machine's key and the entries under it.
    known: Option<Known>,
}

fn read_key(path: &Path) -> Option<Zeroizing<[u8; 32]>> {
    check_mode(path).ok()?;
    let bytes = read_bounded(path, 32).ok()?;
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}

/// The machine's key; made if it is not there.
fn make_key() -> Option<Zeroizing<[u8; 32]>> {
    let directory = cache::data_directory()?;
    let path = directory.join(KEY);
    if !path.exists() {
        private_directory(&directory).ok()?;
        write_whole(&path, &random::bytes().ok()?[..], SECRET).ok()?;
    }
    read_key(&path)
}

fn entry(key: &[u8; 32], linked: &Linked) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key);
    // Another version may accept otherwise.
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes()).update(&linked.key());
    *hasher.finalize().as_bytes()
}

impl Accepted {
    /// What is on the disk; nothing is written. None if there is no place for it.
    pub fn load() -> Option<Self> {
        let path = cache::directory()?.join(FILE);
        let read = || {
            let key = read_key(&cache::data_directory()?.join(KEY))?;
            check_mode(&path).ok()?;
            let entries = decode_accepted(&read_bounded(&path, 64 + 32 * ENTRIES_MAX).ok()?).ok()?;
            Some((key, entries))
        };
        Some(Self { known: read(), path })
    }

    /// Whether these links were verified here before.
    pub fn knows(&self, linked: &Linked) -> bool {
        self.known.as_ref().is_some_and(|(key, entries)| entries.contains(&entry(key, linked)))
    }

    /// Keeps what was just verified. Failing to costs time at the next run, nothing else.
    pub fn keep(&mut self, proved: &[Linked]) {
        if proved.is_empty() {
            return;
        }
        if self.known.is_none() {
            self.known = make_key().map(|key| (key, Vec::new()));
        }
        let Some((key, entries)) = &mut self.known else { return };
        let fresh: Vec<[u8; 32]> = proved.iter().map(|linked| entry(key, linked)).collect();
        entries.extend(fresh);
        let surplus = entries.len().saturating_sub(ENTRIES_MAX);
        entries.drain(..surplus);
        if self.path.parent().is_some_and(|directory| private_directory(directory).is_ok()) {
            let _ = write_whole(&self.path, &encode_accepted(entries), SECRET);
        }
    }
}
