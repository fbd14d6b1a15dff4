//! The authenticated map `[H3]`: a sparse Merkle tree over hashed keys, in which a subtree with one leaf *is* that leaf.
//!
//! The root depends on the entries alone, not on the order in which they came. An entry lies on the path of its
//! hashed key, first bit at the root. A subtree without entries is 32 zero bytes, with one entry its leaf, with more
//! the node of its halves.
//!
//! Soundness: leaves, nodes, values and paths are hashed under different keys, and a leaf names its whole path. So a
//! proof folded up to the root, turn by turn along the bits of the path, opens the one node there, but for a collision
//! of BLAKE3. On a path there is an entry, nothing, or the leaf of another entry that shares the bits so far.

use core::fmt;

use crate::hash::{Digest, Purpose, hash};
use crate::wire::{Canonical, Malformed, Reader};

/// Root of a subtree without entries, and of the empty map.
pub const EMPTY: Digest = [0; 32];
/// Bits of a path, so most levels of the tree.
pub const DEPTH_MAX: usize = 256;

/// Where the entry of a key is, or would be.
pub fn path(namespace: u8, key: &[u8]) -> Digest {
    hash(Purpose::PATH, &[&[namespace], key])
}

/// What a leaf holds of a value.
pub fn value_digest(value: &[u8]) -> Digest {
    hash(Purpose::VALUE, &[value])
}

/// The subtree of one entry.
pub fn leaf(path: &Digest, value: &Digest) -> Digest {
    hash(Purpose::LEAF, &[path, value])
}

/// The subtree of two halves, together at least two entries.
pub fn node(left: &Digest, right: &Digest) -> Digest {
    hash(Purpose::NODE, &[left, right])
}

/// Bit `depth` of a path: the turn taken there, `true` to the right. Beyond the end it is `false`.
pub fn turns_right(path: &Digest, depth: usize) -> bool {
    let byte = path.get(depth >> 3).copied().unwrap_or_default();
    byte.checked_shr(7u32.saturating_sub(u32::try_from(depth & 7).unwrap_or(7))).unwrap_or_default() & 1 == 1
}

/// What is at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathEnd {
    /// The entry itself.
    Entry,
    /// Nothing.
    Nothing,
    /// The leaf of another entry.
    Other {
        /// Its path.
        path: Digest,
        /// Digest of its value.
        value: Digest,
    },
}

/// The neighbours along a path, from the root down, and what is at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapProof {
    /// What is at the end.
    pub end: PathEnd,
    /// Root of the neighbouring subtree at each level, at most [`DEPTH_MAX`]. The last is never [`EMPTY`].
    pub siblings: Vec<Digest>,
}

/// Why a proof does not show what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapRefusal {
    /// It is about an entry that is there, or is not there, and the opposite was asked.
    Kind,
    /// The leaf of another entry does not lie on this path.
    Elsewhere,
    /// It leads to another root.
    Root,
}

impl fmt::Display for MapRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "the proof is not of the kind that was asked for (presence or absence)",
            Self::Elsewhere => "the other entry of the proof does not lie on this path",
            Self::Root => "the proof leads to another state root",
        })
    }
}

impl core::error::Error for MapRefusal {}

/// That the map with this root has this entry.
///
/// # Errors
/// [`MapRefusal`].
pub fn verify_present(
    root: &Digest,
    namespace: u8,
    key: &[u8],
    value: &[u8],
    proof: &MapProof,
) -> Result<(), MapRefusal> {
    let PathEnd::Entry = proof.end else { return Err(MapRefusal::Kind) };
    let path = path(namespace, key);
    leads_to(root, &path, leaf(&path, &value_digest(value)), proof)
}

/// That the map with this root has no entry of this key.
///
/// # Errors
/// [`MapRefusal`].
pub fn verify_absent(root: &Digest, namespace: u8, key: &[u8], proof: &MapProof) -> Result<(), MapRefusal> {
    let path = path(namespace, key);
    let end = match &proof.end {
        PathEnd::Entry => return Err(MapRefusal::Kind),
        PathEnd::Nothing => EMPTY,
        PathEnd::Other { path: other, value } => {
            let shares = (0..proof.siblings.len()).all(|i| turns_right(other, i) == turns_right(&path, i));
            if !shares || *other == path {
                return Err(MapRefusal::Elsewhere);
            }
            leaf(other, value)
        }
    };
    leads_to(root, &path, end, proof)
}

fn leads_to(root: &Digest, path: &Digest, end: Digest, proof: &MapProof) -> Result<(), MapRefusal> {
    let folded = proof.siblings.iter().enumerate().rev().fold(end, |running, (depth, sibling)| {
        if turns_right(path, depth) { node(sibling, &running) } else { node(&running, sibling) }
    });
    // A path longer than its 256 bits would turn left without being asked to.
    let is_right = folded == *root && proof.siblings.len() <= DEPTH_MAX;
    is_right.then_some(()).ok_or(MapRefusal::Root)
}

/// `u8` end (0 entry, 1 nothing, 2 other: path, value digest), `u16` number of levels, a bit per level from the root
/// down (first in the lowest bit of the first byte, unused bits 0) that says whether the neighbour is not empty, then
/// those neighbours `[H4]`.
impl Canonical for MapProof {
    fn write(&self, out: &mut Vec<u8>) {
        match &self.end {
            PathEnd::Entry => out.push(0),
            PathEnd::Nothing => out.push(1),
            PathEnd::Other { path, value } => {
                out.push(2);
                path.write(out);
                value.write(out);
            }
        }
        u16::try_from(self.siblings.len()).unwrap_or(u16::MAX).write(out);
        for eight in self.siblings.chunks(8) {
            out.push(eight.iter().rev().fold(0, |byte: u8, sibling| byte << 1 | u8::from(*sibling != EMPTY)));
        }
        self.siblings.iter().filter(|&sibling| *sibling != EMPTY).for_each(|sibling| sibling.write(out));
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let end = match u8::read(from)? {
            0 => PathEnd::Entry,
            1 => PathEnd::Nothing,
            2 => PathEnd::Other { path: from.array()?, value: from.array()? },
            found => return Err(Malformed::Choice { what: "end of a path", found }),
        };
        let levels = usize::from(u16::read(from)?);
        if levels > DEPTH_MAX {
            return Err(Malformed::TooLong { limit: DEPTH_MAX });
        }
        let bits = from.take(levels.div_ceil(8))?;
        let is_there =
            |i: usize| bits.get(i >> 3).is_some_and(|byte| byte.wrapping_shr(low_bits(i)) & 1 == 1);
        if (levels..levels.next_multiple_of(8)).any(is_there) {
            return Err(Malformed::Form { what: "a bit beyond the last level is set" });
        }
        let mut siblings = Vec::with_capacity(levels);
        for level in 0..levels {
            siblings.push(if is_there(level) { from.array()? } else { EMPTY });
            if is_there(level) && siblings.last() == Some(&EMPTY) {
                return Err(Malformed::Form { what: "an empty neighbour is spelled out" });
            }
        }
        if siblings.last() == Some(&EMPTY) {
            return Err(Malformed::Form { what: "the last neighbour is empty" });
        }
        Ok(Self { end, siblings })
    }
}

fn low_bits(i: usize) -> u32 {
    u32::try_from(i & 7).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{decode, encode};
    use proptest::prelude::*;

    /// The definition: root of the entries that share the first `depth` bits.
    fn root_of(entries: &[(Digest, Digest)], depth: usize) -> Digest {
        match entries {
            [] => EMPTY,
            [(path, value)] => leaf(path, value),
            _ => {
                let (right, left): (Vec<_>, Vec<_>) =
                    entries.iter().copied().partition(|(path, _)| turns_right(path, depth));
                node(&root_of(&left, depth + 1), &root_of(&right, depth + 1))
            }
        }
    }

    fn prove(
        entries: &[(Digest, Digest)],
        path: &Digest,
        depth: usize,
        siblings: &mut Vec<Digest>,
    ) -> PathEnd {
        match entries {
            [] => PathEnd::Nothing,
            [(other, _)] if other == path => PathEnd::Entry,
            [(other, value)] => PathEnd::Other { path: *other, value: *value },
            _ => {
                let (right, left): (Vec<_>, Vec<_>) =
                    entries.iter().copied().partition(|(path, _)| turns_right(path, depth));
                let (this, that) = if turns_right(path, depth) { (right, left) } else { (left, right) };
                siblings.push(root_of(&that, depth + 1));
                prove(&this, path, depth + 1, siblings)
            }
        }
    }

    fn proof_of(entries: &[(Digest, Digest)], path: &Digest) -> MapProof {
        let mut siblings = Vec::new();
        let end = prove(entries, path, 0, &mut siblings);
        MapProof { end, siblings }
    }

    fn entries(count: u8) -> Vec<(Digest, Digest)> {
        (0..count).map(|i| (path(1, &[i]), value_digest(&[i, 1]))).collect()
    }

    #[test]
    fn what_is_there_and_what_is_not() {
        let entries = entries(40);
        let root = root_of(&entries, 0);
        for i in 0..80u8 {
            let proof = proof_of(&entries, &path(1, &[i]));
            assert_eq!(decode::<MapProof>(&encode(&proof)), Ok(proof.clone()));
            let (is, is_not) =
                (verify_present(&root, 1, &[i], &[i, 1], &proof), verify_absent(&root, 1, &[i], &proof));
            if i < 40 {
                assert_eq!((is, is_not), (Ok(()), Err(MapRefusal::Kind)));
                assert_eq!(verify_present(&root, 1, &[i], &[i, 2], &proof), Err(MapRefusal::Root));
                assert_eq!(verify_present(&root, 2, &[i], &[i, 1], &proof), Err(MapRefusal::Root));
            } else {
                assert_eq!((is, is_not), (Err(MapRefusal::Kind), Ok(())));
                assert!(verify_absent(&root, 1, &[i - 40], &proof).is_err());
            }
        }
    }

    /// An absence cannot be shown by the leaf of another path, nor by an entry's own leaf.
    #[test]
    fn absence_by_a_leaf_elsewhere_is_refused() {
        let entries = entries(2);
        let root = root_of(&entries, 0);
        let (present, other) = (entries[0].0, entries[1]);
        let own = MapProof {
            end: PathEnd::Other { path: present, value: entries[0].1 },
            ..proof_of(&entries, &present)
        };
        assert_eq!(verify_absent(&root, 1, &[0], &own), Err(MapRefusal::Elsewhere));
        let elsewhere = MapProof {
            end: PathEnd::Other { path: other.0, value: other.1 },
            ..proof_of(&entries, &present)
        };
        assert!(verify_absent(&root, 1, &[0], &elsewhere).is_err());
    }

    /// Every flipped bit of an honest proof is refused.
    #[test]
    fn flipped_bits_are_refused() {
        let entries = entries(30);
        let root = root_of(&entries, 0);
        for key in [3u8, 77, 91] {
            let bytes = encode(&proof_of(&entries, &path(1, &[key])));
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let Ok(proof) = decode::<MapProof>(&changed) else { continue };
                let (is, is_not) = (
                    verify_present(&root, 1, &[key], &[key, 1], &proof),
                    verify_absent(&root, 1, &[key], &proof),
                );
                assert!(is.is_err() && is_not.is_err(), "key {key}, bit {bit}");
            }
        }
    }

    proptest! {
        #[test]
        fn one_spelling(bytes in proptest::collection::vec(any::<u8>(), 0..140)) {
            if let Ok(proof) = decode::<MapProof>(&bytes) {
                prop_assert_eq!(encode(&proof), bytes);
            }
        }
    }
}
