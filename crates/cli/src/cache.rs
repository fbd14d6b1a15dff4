//! Compiled models on the disk, by the digest of everything they were made from.
//!
//! Entries hold private parameters: directory 0700, files 0600. A damaged entry is as good as none.

use std::path::{Path, PathBuf};

use crate::files::{CacheEntry, FILE_BYTES, read_bounded, write_whole};
use crate::{keys, text};

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)
}

/// A directory of this user: `ours`, or `<xdg>/zerotell`, or `~/<home>/zerotell`.
fn place(ours: &str, xdg: &str, home: &str) -> Option<PathBuf> {
    variable(ours)
        .or_else(|| variable(xdg).map(|p| p.join("zerotell")))
        .or_else(|| variable("HOME").map(|p| p.join(home).join("zerotell")))
}

/// Where compiled models are kept.
pub fn directory() -> Option<PathBuf> {
    place("ZEROTELL_CACHE", "XDG_CACHE_HOME", ".cache")
}

/// Where keys are kept when no directory is given.
pub fn data_directory() -> Option<PathBuf> {
    place("ZEROTELL_HOME", "XDG_DATA_HOME", ".local/share")
}

/// What identifies the compiler: another build may compile otherwise.
pub fn tool() -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
    if let Some(bytes) = std::env::current_exe().ok().and_then(|path| std::fs::read(path).ok()) {
        hasher.update(&bytes);
    }
    hasher.finalize().as_bytes().to_vec()
}

fn path(directory: &Path, key: &[u8; 32]) -> PathBuf {
    directory.join(format!("{}.compiled", text::hex(key)))
}

/// The entry, if it is there and whole.
pub fn get(key: &[u8; 32]) -> Option<CacheEntry> {
    let path = path(&directory()?, key);
    let bytes = read_bounded(&path, FILE_BYTES).ok()?;
    CacheEntry::decode(&bytes).ok().filter(|entry| entry.key == *key)
}

/// Keeps an entry. Failing to costs time at the next run, nothing else.
pub fn put(entry: &CacheEntry) {
    if let Some(directory) = directory()
        && keys::private_directory(&directory).is_ok()
    {
        let _ = write_whole(&path(&directory, &entry.key), &entry.encode(), 0o600);
    }
}
