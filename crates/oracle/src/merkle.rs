//! Salted Merkle trees over columns (spec M1-M5).

use algebra::arch::blake3::{keyed_columns, keyed_nodes};

use crate::Shape;

/// Keys of one oracle's leaves and nodes.
#[derive(Clone)]
pub struct Hashing {
    leaf: [u8; 32],
    node: [u8; 32],
}

impl Hashing {
    /// Keys derived from the oracle's tag.
    pub fn new(shape: &Shape) -> Self {
        let tag = shape.tag();
        Self {
            leaf: blake3::derive_key("zerotell v1 merkle leaf", &tag),
            node: blake3::derive_key("zerotell v1 merkle node", &tag),
        }
    }

    /// keyed_hash(LeafKey, u64 j ‖ salt ‖ column).
    pub fn leaf(&self, position: usize, salt_and_column: &[u8]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.leaf);
        hasher.update(&u64::try_from(position).unwrap_or(u64::MAX).to_le_bytes()).update(salt_and_column);
        *hasher.finalize().as_bytes()
    }

    /// keyed_hash(NodeKey, left ‖ right).
    pub fn node(&self, left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
        *blake3::keyed_hash(&self.node, [*left, *right].as_flattened()).as_bytes()
    }

    /// [`Self::leaf`] of many columns at once. A message is `words` words of 64 bits, little endian:
    /// the position, then salt and column. `fill(k, first, lanes)` writes word k of the messages
    /// from `first` on.
    pub fn leaves(&self, words: usize, out: &mut [[u8; 32]], fill: impl FnMut(usize, usize, &mut [u64])) {
        keyed_columns(&self.leaf, words, out, fill);
    }

    /// [`Self::node`] of many neighbours at once: two children of each parent.
    pub fn nodes(&self, children: &[[u8; 32]], parents: &mut [[u8; 32]]) {
        keyed_nodes(&self.node, children, parents);
    }

    /// [`Self::leaf`] of columns of equal length: one per position, end to end.
    pub fn opened(&self, positions: &[usize], salts_and_columns: &[u8]) -> Vec<[u8; 32]> {
        let (words, _) = salts_and_columns.as_chunks::<8>();
        let own = words.len().checked_div(positions.len()).unwrap_or(0);
        let mut out = vec![[0; 32]; positions.len()];
        self.leaves(own.saturating_add(1), &mut out, |k, first, lanes| {
            for (lane, i) in lanes.iter_mut().zip(first..) {
                let at = |k: usize| words.get(i.saturating_mul(own).saturating_add(k));
                *lane = match k.checked_sub(1) {
                    None => positions.get(i).and_then(|&j| u64::try_from(j).ok()).unwrap_or(u64::MAX),
                    Some(k) => at(k).map_or(0, |&word| u64::from_le_bytes(word)),
                };
            }
        });
        out
    }

    /// The root over known leaves, sorted by position, and siblings; none if the number of siblings is wrong.
    pub fn root(
        &self,
        log_n: usize,
        leaves: Vec<(usize, [u8; 32])>,
        siblings: &[[u8; 32]],
    ) -> Option<[u8; 32]> {
        let mut rest = siblings.iter();
        let mut level = leaves;
        for _ in 0..log_n {
            let (mut numbers, mut children) = (Vec::with_capacity(level.len()), Vec::new());
            let mut nodes = level.iter().peekable();
            while let Some(&(i, node)) = nodes.next() {
                let known = nodes.next_if(|&&(j, _)| i & 1 == 0 && j == i ^ 1);
                let other = match known {
                    Some(&(_, other)) => other,
                    None => *rest.next()?,
                };
                children.extend(if i & 1 == 0 { [node, other] } else { [other, node] });
                numbers.push(i >> 1);
            }
            let mut parents = vec![[0; 32]; numbers.len()];
            self.nodes(&children, &mut parents);
            level = numbers.into_iter().zip(parents).collect();
        }
        rest.next().is_none().then_some(())?;
        level.iter().find(|&&(i, _)| i == 0).map(|&(_, node)| node)
    }
}

/// Number of siblings of a multiproof for these sorted positions.
pub fn sibling_count(log_n: usize, positions: &[usize]) -> usize {
    let mut known = positions.to_vec();
    let mut count = 0usize;
    for _ in 0..log_n {
        let mut parents: Vec<usize> = known.iter().map(|i| i >> 1).collect();
        parents.dedup();
        count = count.saturating_add(parents.len().saturating_mul(2).saturating_sub(known.len()));
        known = parents;
    }
    count
}

/// A whole tree, as the prover keeps it.
#[derive(Clone)]
pub struct Tree {
    /// Levels from the leaves up to the root.
    levels: Vec<Vec<[u8; 32]>>,
}

impl Tree {
    /// Builds a tree over 2^k leaves.
    pub fn new(hashing: &Hashing, leaves: Vec<[u8; 32]>) -> Self {
        let mut levels = vec![leaves];
        while let Some(level) = levels.last().filter(|level| level.len() > 1) {
            let mut parents = vec![[0; 32]; level.len() / 2];
            hashing.nodes(level, &mut parents);
            levels.push(parents);
        }
        Self { levels }
    }

    /// Assembles a tree from levels computed elsewhere: leaves first, root last.
    pub fn from_levels(levels: Vec<Vec<[u8; 32]>>) -> Self {
        Self { levels }
    }

    /// All levels, leaves first, so that they can serve again; none are left.
    pub fn take_levels(&mut self) -> Vec<Vec<[u8; 32]>> {
        std::mem::take(&mut self.levels)
    }

    /// All levels, leaves first.
    pub fn levels(&self) -> &[Vec<[u8; 32]>] {
        &self.levels
    }

    /// The root.
    pub fn root(&self) -> [u8; 32] {
        self.levels.last().and_then(|level| level.first()).copied().unwrap_or_default()
    }

    /// Siblings for sorted positions: level by level from the leaves, ascending, those not known.
    pub fn siblings(&self, positions: &[usize]) -> Vec<[u8; 32]> {
        let mut known = positions.to_vec();
        let mut nodes = Vec::new();
        for level in self.levels.iter().take(self.levels.len().saturating_sub(1)) {
            for &i in &known {
                if known.binary_search(&(i ^ 1)).is_err() {
                    nodes.extend(level.get(i ^ 1).copied());
                }
            }
            known = known.iter().map(|i| i >> 1).collect();
            known.dedup();
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Role, Shape};

    #[test]
    fn multiproofs_reach_the_root() {
        let shape = Shape {
            role: Role::Fresh,
            extension: false,
            rows: 2,
            log_c: 1,
            log_t: None,
            log_n: 3,
            layout: [0; 32],
        };
        let hashing = Hashing::new(&shape);
        let leaves: Vec<[u8; 32]> = (0..8).map(|j| hashing.leaf(j, &[j as u8; 16])).collect();
        let tree = Tree::new(&hashing, leaves.clone());
        assert_eq!(tree.levels()[1][1], hashing.node(&leaves[2], &leaves[3]));
        for set in 1..256usize {
            let positions: Vec<usize> = (0..8).filter(|j| set >> j & 1 == 1).collect();
            let siblings = tree.siblings(&positions);
            assert_eq!(siblings.len(), sibling_count(3, &positions));
            let columns: Vec<[u8; 16]> = positions.iter().map(|&j| [j as u8; 16]).collect();
            let opened: Vec<[u8; 32]> = positions.iter().map(|&j| leaves[j]).collect();
            assert_eq!(hashing.opened(&positions, columns.as_flattened()), opened);
            let known = |positions: &[usize]| positions.iter().map(|&j| (j, leaves[j])).collect();
            assert_eq!(hashing.root(3, known(&positions), &siblings), Some(tree.root()));
            let mut more = siblings.clone();
            more.push([0; 32]);
            assert_eq!(hashing.root(3, known(&positions), &more), None);
            if let Some(first) = siblings.first() {
                let mut wrong = siblings.clone();
                wrong[0] = [first[0] ^ 1; 32];
                assert_ne!(hashing.root(3, known(&positions), &wrong), Some(tree.root()));
            }
        }
    }
}
