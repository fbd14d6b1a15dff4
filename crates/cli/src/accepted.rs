//! Links that this machine has verified, so that the links of an epoch are verified once.
//!
//! The file holds keyed hashes of what was accepted. The key lies in another directory, with the
//! owner's data: entries that were made elsewhere are worth nothing here.

use std::path::PathBuf;

use verify::Linked;
use zeroize::Zeroizing;

use crate::files::{decode_accepted, encode_accepted, read_bounded, write_whole};
use crate::keys::{SECRET, check_mode, private_directory};
use crate::{cache, random};

const FILE: &str = "links.accepted";
const KEY: &str = "verifier.key";
/// Most entries; older ones are dropped, which costs time only.
pub const ENTRIES_MAX: usize = 4096;

/// What was accepted, by keyed hash.
pub struct Accepted {
    path: PathBuf,
    key: Zeroizing<[u8; 32]>,
    entries: Vec<[u8; 32]>,
}

/// The machine's key; made if it is not there.
fn key() -> Option<Zeroizing<[u8; 32]>> {
    let directory = cache::data_directory()?;
    let path = directory.join(KEY);
    if !path.exists() {
        private_directory(&directory).ok()?;
        write_whole(&path, &random::bytes().ok()?[..], SECRET).ok()?;
    }
    check_mode(&path).ok()?;
    let bytes = read_bounded(&path, 32).ok()?;
    Some(Zeroizing::new(bytes.as_slice().try_into().ok()?))
}

impl Accepted {
    /// What is on the disk. None if nothing can be kept there; then all links are verified each time.
    pub fn load() -> Option<Self> {
        let directory = cache::directory()?;
        private_directory(&directory).ok()?;
        let path = directory.join(FILE);
        let entries = || {
            check_mode(&path).ok()?;
            decode_accepted(&read_bounded(&path, 64 + 32 * ENTRIES_MAX).ok()?).ok()
        };
        Some(Self { key: key()?, entries: entries().unwrap_or_default(), path })
    }

    fn entry(&self, linked: &Linked) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // Another version may accept otherwise.
        hasher.update(env!("CARGO_PKG_VERSION").as_bytes()).update(&linked.key());
        *hasher.finalize().as_bytes()
    }

    /// Whether these links were verified here before.
    pub fn knows(&self, linked: &Linked) -> bool {
        self.entries.contains(&self.entry(linked))
    }

    /// Keeps what was just verified. Failing to costs time at the next run, nothing else.
    pub fn keep(&mut self, proved: &[Linked]) {
        if proved.is_empty() {
            return;
        }
        let fresh: Vec<[u8; 32]> = proved.iter().map(|linked| self.entry(linked)).collect();
        self.entries.extend(fresh);
        let surplus = self.entries.len().saturating_sub(ENTRIES_MAX);
        self.entries.drain(..surplus);
        let _ = write_whole(&self.path, &encode_accepted(&self.entries), SECRET);
    }
}
