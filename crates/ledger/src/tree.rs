//! How the authenticated map of `certify` is kept: buckets of up to [`BUCKET_MAX`] leaves, and the nodes above them.
//!
//! A position (a depth and the bits of the path so far) holds a bucket if at most [`BUCKET_MAX`] entries share those
//! bits, else the roots of its two halves. So what is stored depends on the entries alone, as the root does; the root
//! itself knows nothing of buckets (`certify::map` defines it).

use certify::hash::Digest;
use certify::map::{EMPTY, MapProof, PathEnd, leaf, node, turns_right};
use certify::wire::{Bounded, decode, encode};

use crate::store::{Changes, Fault, Store};

/// Most leaves of a bucket: few enough to hash again at every change, enough to keep nodes few.
pub const BUCKET_MAX: usize = 16;
/// Keys of nodes start with this byte; no table has it.
pub const NODES: u8 = 0xff;

/// Path of an entry, digest of its value.
type Leaf = (Digest, Digest);
/// What becomes of a path: the new digest of its value, or nothing.
pub type Change = (Digest, Option<Digest>);

#[derive(Clone, Debug)]
enum Node {
    Bucket { leaves: Bounded<Leaf, BUCKET_MAX> },
    Halves { left: Digest, right: Digest },
}
certify::spell_enum!(Node, "node" { 0 => Bucket { leaves }, 1 => Halves { left, right } });

/// Depth, and the bits of a path up to there; later bits are zero.
#[derive(Clone, Copy)]
struct Position {
    depth: usize,
    bits: Digest,
}

impl Position {
    const ROOT: Self = Self { depth: 0, bits: [0; 32] };

    fn key(&self) -> Vec<u8> {
        let depth = u16::try_from(self.depth).unwrap_or(u16::MAX).to_be_bytes();
        let bits = self.bits.iter().take(self.depth.div_ceil(8)).copied();
        [NODES].into_iter().chain(depth).chain(bits).collect()
    }

    fn child(&self, right: bool) -> Self {
        let mut bits = self.bits;
        if right && let Some(byte) = bits.get_mut(self.depth >> 3) {
            *byte |= 0x80u8.wrapping_shr(u32::try_from(self.depth & 7).unwrap_or_default());
        }
        Self { depth: self.depth.saturating_add(1), bits }
    }
}

/// A tree that is being changed.
struct Growing<'a> {
    store: &'a dyn Store,
    changes: &'a mut Changes,
}

/// Applies changes, in the order of their paths and each path once, and gives the new root.
///
/// # Errors
/// A store that fails, or holds what is no node.
pub fn update(store: &dyn Store, sorted: &[Change], changes: &mut Changes) -> Result<Digest, Fault> {
    let mut tree = Growing { store, changes };
    let node = tree.change(Position::ROOT, sorted)?;
    Ok(root_of(&node, 0))
}

/// The root of the map that is stored.
///
/// # Errors
/// A store that fails, or holds what is no node.
pub fn root(store: &dyn Store) -> Result<Digest, Fault> {
    Ok(root_of(&load(store, &Position::ROOT)?, 0))
}

/// What shows that the path has, or has not, an entry.
///
/// # Errors
/// A store that fails, or holds what is no node.
pub fn prove(store: &dyn Store, path: &Digest) -> Result<MapProof, Fault> {
    let (mut at, mut siblings) = (Position::ROOT, Vec::new());
    loop {
        match load(store, &at)? {
            Node::Halves { left, right } => {
                let is_right = turns_right(path, at.depth);
                siblings.push(if is_right { left } else { right });
                at = at.child(is_right);
            }
            Node::Bucket { leaves } => {
                let end = prove_leaves(&leaves, path, at.depth, &mut siblings);
                return Ok(MapProof { end, siblings });
            }
        }
    }
}

fn prove_leaves(leaves: &[Leaf], path: &Digest, depth: usize, siblings: &mut Vec<Digest>) -> PathEnd {
    match leaves {
        [] => PathEnd::Nothing,
        [(only, _)] if only == path => PathEnd::Entry,
        [(only, value)] => PathEnd::Other { path: *only, value: *value },
        _ => {
            let (left, right) = halves(leaves, depth);
            let (this, that) = if turns_right(path, depth) { (right, left) } else { (left, right) };
            let below = depth.saturating_add(1);
            siblings.push(root_of_leaves(that, below));
            prove_leaves(this, path, below, siblings)
        }
    }
}

impl Growing<'_> {
    fn load(&self, at: &Position) -> Result<Node, Fault> {
        match self.changes.get(&at.key()) {
            Some(Some(bytes)) => read(bytes),
            Some(None) => Ok(empty()),
            None => load(self.store, at),
        }
    }

    fn save(&mut self, at: &Position, node: &Node) {
        let bytes = match node {
            Node::Bucket { leaves } if leaves.is_empty() => None,
            _ => Some(encode(node)),
        };
        self.changes.insert(at.key(), bytes);
    }

    /// The node at a position, changed and saved, and all below it.
    fn change(&mut self, at: Position, sorted: &[Change]) -> Result<Node, Fault> {
        let node = match self.load(&at)? {
            Node::Bucket { leaves } => self.build(&at, &merge(&leaves, sorted))?,
            Node::Halves { left, right } => self.change_halves(&at, (left, right), sorted)?,
        };
        self.save(&at, &node);
        Ok(node)
    }

    fn change_halves(
        &mut self,
        at: &Position,
        (left, right): (Digest, Digest),
        sorted: &[Change],
    ) -> Result<Node, Fault> {
        let (to_left, to_right) = sorted.split_at(sorted.partition_point(|c| !turns_right(&c.0, at.depth)));
        let below = at.depth.saturating_add(1);
        let (mut buckets, mut roots) = (Vec::new(), [left, right]);
        for (is_right, (root, part)) in
            [false, true].into_iter().zip(roots.iter_mut().zip([to_left, to_right]))
        {
            if part.is_empty() {
                continue;
            }
            let node = self.change(at.child(is_right), part)?;
            *root = root_of(&node, below);
            if let Node::Bucket { leaves } = node {
                buckets.push(leaves);
            }
        }
        let [left, right] = roots;
        if buckets.is_empty() { Ok(Node::Halves { left, right }) } else { self.shrink(at, left, right) }
    }

    /// Two halves become one bucket if their leaves fit.
    fn shrink(&mut self, at: &Position, left: Digest, right: Digest) -> Result<Node, Fault> {
        let children = [at.child(false), at.child(true)];
        let mut all = Vec::new();
        for child in &children {
            match self.load(child)? {
                Node::Bucket { leaves } => all.extend_from_slice(&leaves),
                Node::Halves { .. } => return Ok(Node::Halves { left, right }),
            }
        }
        let Ok(leaves) = Bounded::new(all) else { return Ok(Node::Halves { left, right }) };
        for child in &children {
            self.save(child, &empty());
        }
        Ok(Node::Bucket { leaves })
    }

    /// A node over leaves where nothing is stored below yet.
    fn build(&mut self, at: &Position, leaves: &[Leaf]) -> Result<Node, Fault> {
        if let Ok(leaves) = Bounded::new(leaves.to_vec()) {
            return Ok(Node::Bucket { leaves });
        }
        let (left, right) = halves(leaves, at.depth);
        let below = at.depth.saturating_add(1);
        let mut roots = [EMPTY; 2];
        for (is_right, (root, part)) in [false, true].into_iter().zip(roots.iter_mut().zip([left, right])) {
            let child = at.child(is_right);
            let node = self.build(&child, part)?;
            self.save(&child, &node);
            *root = root_of(&node, below);
        }
        let [left, right] = roots;
        Ok(Node::Halves { left, right })
    }
}

/// The leaves after the changes, in order.
fn merge(leaves: &[Leaf], sorted: &[Change]) -> Vec<Leaf> {
    let stays = |leaf: &&Leaf| sorted.binary_search_by(|change| change.0.cmp(&leaf.0)).is_err();
    let new = sorted.iter().filter_map(|(path, value)| Some((*path, (*value)?)));
    let mut all: Vec<Leaf> = leaves.iter().filter(stays).copied().chain(new).collect();
    all.sort_unstable();
    all
}

fn halves(sorted: &[Leaf], depth: usize) -> (&[Leaf], &[Leaf]) {
    sorted.split_at(sorted.partition_point(|leaf| !turns_right(&leaf.0, depth)))
}

fn root_of_leaves(sorted: &[Leaf], depth: usize) -> Digest {
    match sorted {
        [] => EMPTY,
        [(path, value)] => leaf(path, value),
        _ => {
            let (left, right) = halves(sorted, depth);
            let below = depth.saturating_add(1);
            node(&root_of_leaves(left, below), &root_of_leaves(right, below))
        }
    }
}

fn root_of(at: &Node, depth: usize) -> Digest {
    match at {
        Node::Bucket { leaves } => root_of_leaves(leaves, depth),
        Node::Halves { left, right } => node(left, right),
    }
}

fn empty() -> Node {
    Node::Bucket { leaves: Bounded::default() }
}

fn load(store: &dyn Store, at: &Position) -> Result<Node, Fault> {
    store.get(&at.key())?.map_or_else(|| Ok(empty()), |bytes| read(&bytes))
}

fn read(bytes: &[u8]) -> Result<Node, Fault> {
    decode(bytes).map_err(|_| Fault::Broken { what: "a node of the state's tree cannot be read" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, Scan};
    use certify::map::{path, value_digest, verify_absent, verify_present};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The definition, over entries by path.
    fn plain(entries: &BTreeMap<Digest, Digest>) -> Digest {
        fn root(entries: Vec<Leaf>, depth: usize) -> Digest {
            if let [(path, value)] = entries[..] {
                return leaf(&path, &value);
            }
            if entries.is_empty() {
                return EMPTY;
            }
            let (right, left) = entries.into_iter().partition(|(path, _)| turns_right(path, depth));
            node(&root(left, depth + 1), &root(right, depth + 1))
        }
        root(entries.iter().map(|(a, b)| (*a, *b)).collect(), 0)
    }

    fn apply(store: &mut MemoryStore, batch: &BTreeMap<Digest, Option<Digest>>) -> Digest {
        let sorted: Vec<Change> = batch.iter().map(|(a, b)| (*a, *b)).collect();
        let mut changes = Changes::new();
        let new = update(store, &sorted, &mut changes).unwrap();
        store.apply(changes);
        new
    }

    /// Paths that share many bits, so that deep trees occur: few first bytes, then a tail.
    fn crowded(seed: u16) -> Digest {
        let mut bits = [0; 32];
        bits[usize::from(seed % 3)] = (seed >> 8) as u8 & 0x81;
        bits[31] = seed as u8 & 0x1f;
        bits
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// However entries come and go, root and stored bytes are those of a tree built at once.
        #[test]
        fn the_tree_is_its_definition(
            batches in proptest::collection::vec(proptest::collection::vec((0u16..400, any::<Option<u8>>(), any::<bool>()), 0..60), 0..12)
        ) {
            let (mut store, mut entries) = (MemoryStore::default(), BTreeMap::new());
            for batch in batches {
                let mut map = BTreeMap::new();
                for (key, value, is_crowded) in batch {
                    let at = if is_crowded { crowded(key) } else { path(0, &key.to_le_bytes()) };
                    map.insert(at, value.map(|v| value_digest(&[v])));
                }
                for (at, value) in &map {
                    match value { Some(value) => entries.insert(*at, *value), None => entries.remove(at) };
                }
                prop_assert_eq!(apply(&mut store, &map), plain(&entries));
            }
            let mut fresh = MemoryStore::default();
            let all = entries.iter().map(|(a, b)| (*a, Some(*b))).collect();
            apply(&mut fresh, &all);
            prop_assert_eq!(&fresh, &store);
            prop_assert_eq!(root(&store).unwrap(), plain(&entries));
        }
    }

    #[test]
    fn proofs_of_presence_and_absence() {
        let mut store = MemoryStore::default();
        let batch =
            (0..3000u16).map(|i| (path(4, &i.to_le_bytes()), Some(value_digest(&[i as u8])))).collect();
        let root = apply(&mut store, &batch);
        for i in (0..6000u16).step_by(7) {
            let key = i.to_le_bytes();
            let proof = prove(&store, &path(4, &key)).unwrap();
            if i < 3000 {
                assert_eq!(verify_present(&root, 4, &key, &[i as u8], &proof), Ok(()));
            } else {
                assert_eq!(verify_absent(&root, 4, &key, &proof), Ok(()));
            }
            assert!(encode(&proof).len() <= 900, "{}", encode(&proof).len());
        }
        assert!(store.scan().count() < 1200, "nodes are few: {}", store.scan().count());
    }

    #[test]
    fn a_broken_node_is_a_fault() {
        let mut store = MemoryStore::default();
        store.apply(Changes::from([(Position::ROOT.key(), Some(vec![9]))]));
        assert!(matches!(root(&store), Err(Fault::Broken { .. })));
    }
}
