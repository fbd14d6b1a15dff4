//! What was made of programs and links, kept for the next dossier of the same bytes: programs ready to verify, links that were
//! proved, and what hashing the beginning of a proof file came to.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use certify::hash::{Digest, Purpose, hash};
use program::types::Program;
use record::Begun;
use verify::{Chains, Linked, Prepared, ProofShape};

use crate::bytes::Parsed;
use crate::files::{self, Parts};

const LINKED: Purpose = Purpose("zerotell/links-accepted/1");
/// Links that are remembered, twice.
const LINKS: usize = 1 << 13;

/// A program and what all proofs of one shape of it share.
#[derive(Clone)]
pub(crate) struct Ready {
    pub(crate) program: Arc<Program>,
    pub(crate) prepared: Arc<Prepared>,
}

/// What proof files of one epoch of a model begin with: Program and links.
pub(crate) struct Head {
    bytes: Vec<u8>,
    /// BLAKE3 of the Program's bytes.
    pub(crate) program: Digest,
    /// The links.
    pub(crate) chains: Chains,
    /// Their names.
    pub(crate) prefixes: Prefixes,
    /// The file's digests, begun.
    pub(crate) begun: Begun,
}

impl Head {
    /// Whether a file begins so. Epochs of one model differ at their ends: these are compared first.
    fn begins(&self, bytes: &[u8]) -> bool {
        self.bytes.len() == bytes.len()
            && self.bytes.last_chunk::<32>() == bytes.last_chunk()
            && self.bytes == bytes
    }

    /// Bytes that it takes, about: the links are in it twice.
    fn weight(&self) -> usize {
        self.bytes.len().saturating_mul(2)
    }

    fn new(parts: &Parts<'_>) -> Parsed<Self> {
        let bytes = parts.head();
        let chains = files::chains(parts.links)?;
        let prefixes = Prefixes::of(&chains);
        let program = *blake3::hash(parts.program).as_bytes();
        Ok(Self { bytes: bytes.to_vec(), program, chains, prefixes, begun: Begun::new(bytes) })
    }
}

struct Entry {
    name: Digest,
    ready: Ready,
    bytes: usize,
}

/// What [`judge_with`](crate::judge_with) made of programs and links, the oldest in use first; bounded by its bytes. A judgement
/// is the same with and without.
///
/// Programs are found by the hash of their bytes, so what is kept need not be decoded again; the beginnings of proof files by
/// the bytes themselves.
pub struct Kept {
    limit: usize,
    entries: Mutex<Vec<Entry>>,
    heads: Mutex<Vec<Arc<Head>>>,
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
    /// Keeps up to about so many bytes of programs, and half as many of what proof files begin with; 0: nothing.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let links = Seen::new(LINKS);
        Self { limit, entries: Mutex::default(), heads: Mutex::default(), links }
    }

    /// Bytes that are kept, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let entries = lock(&self.entries).iter().fold(0usize, |sum, entry| sum.saturating_add(entry.bytes));
        lock(&self.heads).iter().fold(entries, |sum, head| sum.saturating_add(head.weight()))
    }

    /// What is known of the beginning of a proof file.
    pub(crate) fn head(&self, parts: &Parts<'_>) -> Parsed<Arc<Head>> {
        let bytes = parts.head();
        let mut heads = lock(&self.heads);
        if let Some(at) = heads.iter().rposition(|head| head.begins(bytes)) {
            let head = heads.remove(at);
            heads.push(head.clone());
            return Ok(head);
        }
        drop(heads);
        let head = Arc::new(Head::new(parts)?);
        self.keep_head(&head);
        Ok(head)
    }

    fn keep_head(&self, head: &Arc<Head>) {
        let limit = self.limit / 2;
        if head.weight() > limit {
            return;
        }
        let mut heads = lock(&self.heads);
        // Two threads may have made the same.
        heads.retain(|other| !other.begins(&head.bytes));
        heads.push(head.clone());
        let mut sum = heads.iter().fold(0usize, |sum, head| sum.saturating_add(head.weight()));
        while sum > limit && !heads.is_empty() {
            sum = sum.saturating_sub(heads.remove(0).weight());
        }
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
    fn of(chains: &Chains) -> Self {
        let mut list = Vec::new();
        for (chain, digests) in chains.iter().zip(chains.digests()) {
            let Some(first) = chain.first() else { continue };
            let (identity, mut bytes) = (first.statement.parent.id(), [0; 32]);
            for (link, digest) in chain.iter().zip(digests) {
                bytes = hash(LINKED, &[&bytes, digest]);
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
