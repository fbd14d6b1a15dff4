//! Programs that were made ready to verify, kept for the next dossier of the same bytes and shape.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use certify::hash::{Digest, Purpose, hash};
use program::types::Program;
use verify::{Link, Linked, Prepared, ProofShape};

const LINKED: Purpose = Purpose("zerotell/links-accepted/1");
/// Links that are remembered, twice.
const LINKS: usize = 1 << 13;

/// A program and what all proofs of one shape of it share.
#[derive(Clone)]
pub(crate) struct Ready {
    pub(crate) program: Arc<Program>,
    pub(crate) prepared: Arc<Prepared>,
}

struct Entry {
    name: Digest,
    ready: Ready,
    bytes: usize,
}

/// Programs made ready by [`judge_with`](crate::judge_with), the oldest in use first; bounded by their bytes. A judgement
/// is the same with and without.
///
/// They are found by the hash of their bytes, so what is kept need not be decoded again.
pub struct Kept {
    limit: usize,
    entries: Mutex<Vec<Entry>>,
    links: Seen<Digest>,
}

/// Remembers what was seen: at least the last so many, at most twice as many.
pub struct Seen<T> {
    limit: usize,
    /// The younger and the older.
    halves: Mutex<[HashSet<T>; 2]>,
}

impl<T: Eq + Hash> Seen<T> {
    /// Nothing yet.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, halves: Mutex::new([HashSet::new(), HashSet::new()]) }
    }

    /// Whether it was noted, and not too long ago.
    pub fn has(&self, what: &T) -> bool {
        lock(&self.halves).iter().any(|half| half.contains(what))
    }

    /// Notes it.
    pub fn note(&self, what: T) {
        let [young, old] = &mut *lock(&self.halves);
        if young.len() >= self.limit {
            *old = std::mem::take(young);
        }
        young.insert(what);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    /// Keeps up to about so many bytes; 0: nothing.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, entries: Mutex::default(), links: Seen::new(LINKS) }
    }

    /// Bytes that are kept, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let entries = lock(&self.entries);
        entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.bytes))
    }

    pub(crate) fn find(&self, name: &Digest, shape: &ProofShape) -> Option<Ready> {
        let mut entries = lock(&self.entries);
        let at = entries.iter().position(|e| e.name == *name && e.ready.prepared.shape() == shape)?;
        let entry = entries.remove(at);
        let ready = entry.ready.clone();
        entries.push(entry);
        Some(ready)
    }

    pub(crate) fn keep(&self, name: Digest, length: usize, ready: &Ready) {
        // A decoded program takes a little more than its bytes.
        let bytes = ready.prepared.bytes().saturating_add(length.saturating_mul(2));
        if bytes > self.limit {
            return;
        }
        let mut entries = lock(&self.entries);
        // Two threads may have made the same.
        entries.retain(|e| e.name != name || e.ready.prepared.shape() != ready.prepared.shape());
        entries.push(Entry { name, ready: ready.clone(), bytes });
        let mut sum = entries.iter().fold(0usize, |sum, entry| sum.saturating_add(entry.bytes));
        while sum > self.limit && !entries.is_empty() {
            sum = sum.saturating_sub(entries.remove(0).bytes);
        }
    }
    /// Whether all these links were proved before.
    pub(crate) fn has_links(&self, mut names: impl Iterator<Item = Digest>) -> bool {
        let mut any = false;
        let all = names.all(|name| {
            any = true;
            self.links.has(&name)
        });
        all && any
    }

    /// Remembers links that were proved.
    pub(crate) fn keep_links(&self, names: impl Iterator<Item = Digest>) {
        if self.limit > 0 {
            names.for_each(|name| self.links.note(name));
        }
    }
}

/// The chains of a dossier: where each prefix begins and ends, and the digest of its bytes.
pub(crate) struct Prefixes(Vec<(Digest, Digest, Digest)>);

impl Prefixes {
    pub(crate) fn of(chains: &[Vec<Link>]) -> Self {
        let mut list = Vec::new();
        for chain in chains {
            let Some(first) = chain.first() else { continue };
            let (identity, mut bytes) = (first.statement.parent.id(), [0; 32]);
            for link in chain {
                bytes = hash(LINKED, &[&bytes, &link.digest()]);
                list.push((identity, link.statement.child.id(), bytes));
            }
        }
        Self(list)
    }

    /// Names of what this may have been shown by: the bytes of every chain here that leads there. That one of them was
    /// proved says nothing of the others, and a validator must not accept what another, who saw less before, refuses.
    pub(crate) fn names(&self, linked: &Linked) -> impl Iterator<Item = Digest> {
        let key = linked.key();
        let there = |(identity, oracle, _): &&(Digest, Digest, Digest)| {
            (*identity, *oracle) == (linked.identity, linked.oracle)
        };
        self.0.iter().filter(there).map(move |(_, _, bytes)| hash(LINKED, &[&key, bytes]))
    }
}
