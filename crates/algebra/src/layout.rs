//! Exact binary chunks: every axis is cut at the set bits of its length, so no slot is padding.

use crate::field::K;
use crate::multilinear::{bits, selector};

/// A chunk of an axis: indices [off, off + 2^log). `off` is a multiple of 2^log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// First index.
    pub off: usize,
    /// lg of the length.
    pub log: usize,
}

/// Chunks of an axis of length n, largest first.
pub fn chunks(n: usize) -> Vec<Chunk> {
    let mut off = 0usize;
    let mut list = Vec::new();
    for log in (0..usize::BITS).rev() {
        let size = 1usize.checked_shl(log).unwrap_or(0);
        if n & size != 0 {
            list.push(Chunk { off, log: usize::try_from(log).unwrap_or(0) });
            off = off.saturating_add(size);
        }
    }
    list
}

/// A block of a tensor: the product of one chunk per axis, at an aligned address.
/// The local address concatenates the local indices, last axis lowest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// First address, a multiple of 2^log.
    pub off: usize,
    /// lg of the number of entries.
    pub log: usize,
    /// Position of the tensor in the list that was laid out.
    pub tensor: usize,
    /// One chunk per axis.
    pub chunks: Vec<Chunk>,
}

/// Blocks laid end to end, sorted by (size descending, tensor, chunk order).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// All blocks by address.
    pub blocks: Vec<Block>,
    /// Number of entries.
    pub total: usize,
}

/// Most blocks of a layout.
pub const BLOCKS_MAX: usize = 1 << 16;

/// Lays out tensors given by their axis lengths. None if there are more than
/// [`BLOCKS_MAX`] blocks or more than 2^40 entries.
pub fn layout<'a>(tensors: impl IntoIterator<Item = &'a [usize]>) -> Option<Layout> {
    let mut blocks: Vec<Block> = Vec::new();
    for (tensor, axes) in tensors.into_iter().enumerate() {
        let mut partial: Vec<Vec<Chunk>> = vec![Vec::new()];
        for &n in axes {
            let cut = chunks(n);
            if partial.len().checked_mul(cut.len())? > BLOCKS_MAX {
                return None;
            }
            partial = partial
                .iter()
                .flat_map(|before| {
                    cut.iter().map(move |&chunk| before.iter().copied().chain([chunk]).collect())
                })
                .collect();
        }
        for chunks in partial {
            let log = chunks.iter().try_fold(0usize, |sum, chunk| sum.checked_add(chunk.log))?;
            blocks.push(Block { off: 0, log, tensor, chunks });
        }
        if blocks.len() > BLOCKS_MAX {
            return None;
        }
    }
    // Stable: tensors and chunks stay in order within one size.
    blocks.sort_by_key(|block| core::cmp::Reverse(block.log));
    let mut total = 0usize;
    for block in &mut blocks {
        if block.log > 40 {
            return None;
        }
        block.off = total;
        total = total.checked_add(1usize.checked_shl(u32::try_from(block.log).ok()?)?)?;
        // In 64 bits, for there are machines whose `usize` has 32: there the additions above refuse what does not fit.
        if u64::try_from(total).ok()? > 1 << 40 {
            return None;
        }
    }
    Some(Layout { blocks, total })
}

impl Layout {
    /// lg of the least power of two that holds all entries.
    pub fn variables(&self) -> usize {
        bits(self.total)
    }

    /// [`selector`] of every block at one point, for two products a block: blocks of one size lie side
    /// by side, so the eq of their common upper bits is made once.
    pub fn selectors(&self, z: &[K]) -> Vec<K> {
        let last = self.total.saturating_sub(1);
        let mut selectors = Vec::with_capacity(self.blocks.len());
        let mut blocks = self.blocks.iter().peekable();
        // eq of the variables from `log` on with `start`, `start` + 1, ..
        let (mut nodes, mut start) = (vec![K::ONE], 0usize);
        for log in (0..=z.len()).rev() {
            let Some(&&Block { off, .. }) = blocks.peek() else { break };
            if let Some(&x) = z.get(log) {
                (nodes, start) = children(&nodes, start, x, (off >> log, last >> log));
            }
            while let Some(block) = blocks.next_if(|block| block.log == log) {
                let node = (block.off >> log).checked_sub(start).and_then(|i| nodes.get(i));
                selectors.push(node.copied().unwrap_or_else(|| selector(z, block.off, log)));
            }
        }
        selectors.extend(blocks.map(|block| selector(z, block.off, block.log)));
        selectors
    }
}

/// The eq values one variable x further down, of indices `first..=last` as far as their parents are known.
fn children(parents: &[K], start: usize, x: K, (first, last): (usize, usize)) -> (Vec<K>, usize) {
    let from = (first >> 1).max(start);
    let count = (last >> 1).saturating_sub(from).saturating_add(1);
    let mut nodes = Vec::with_capacity(count.min(parents.len()).saturating_mul(2));
    for &parent in parents.iter().skip(from.saturating_sub(start)).take(count) {
        let high = parent * x;
        nodes.extend([parent - high, high]);
    }
    (nodes, from << 1)
}

/// Calls `visit(address, flat row-major index in the tensor)` for every entry of a block,
/// in runs along the last axis: `visit(address, index, run length)`; both advance by 1 in a run.
pub fn runs(block: &Block, axes: &[usize], mut visit: impl FnMut(usize, usize, usize)) {
    let mut strides: Vec<usize> = vec![1; axes.len()];
    let mut stride = 1usize;
    for (slot, &n) in strides.iter_mut().zip(axes).rev() {
        *slot = stride;
        stride = stride.saturating_mul(n);
    }
    let base = block
        .chunks
        .iter()
        .zip(&strides)
        .fold(0usize, |sum, (chunk, &stride)| sum.saturating_add(chunk.off.saturating_mul(stride)));
    let Some((last, outer)) = block.chunks.split_last() else {
        return visit(block.off, 0, 1);
    };
    let length = 1usize << last.log;
    let rows = 1usize << block.log.saturating_sub(last.log);
    for row in 0..rows {
        let mut rest = row;
        let mut index = base;
        for (chunk, &stride) in outer.iter().zip(&strides).rev() {
            let mask = (1usize << chunk.log).saturating_sub(1);
            index = index.saturating_add((rest & mask).saturating_mul(stride));
            rest >>= chunk.log;
        }
        visit(block.off.saturating_add(row << last.log), index, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::F;
    use proptest::prelude::*;

    #[test]
    fn example_of_the_spec() {
        let laid = layout([&[13usize][..], &[3, 5], &[6]]).unwrap();
        assert_eq!(laid.total, 34);
        let mut at = [vec![usize::MAX; 13], vec![usize::MAX; 15], vec![usize::MAX; 6]];
        let axes: [&[usize]; 3] = [&[13], &[3, 5], &[6]];
        for block in &laid.blocks {
            assert_eq!(block.off % (1 << block.log), 0);
            runs(block, axes[block.tensor], |address, index, n| {
                for i in 0..n {
                    at[block.tensor][index + i] = address + i;
                }
            });
        }
        assert_eq!(at[0][..8], [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(at[1][5 + 2], 14);
        assert_eq!(at[1][2 * 5], 20);
        assert_eq!(at[2][0], 24);
        assert_eq!(at[1][4], 28);
        assert_eq!(at[2][4], 30);
        assert_eq!(at[0][12], 32);
        assert_eq!(at[1][14], 33);
    }

    proptest! {
        #[test]
        fn all_selectors_are_selectors(
            lengths in prop::collection::vec(prop::collection::vec(0usize..40, 0..4), 0..12),
            z in prop::collection::vec(any::<u64>(), 0..26),
        ) {
            let z: Vec<K> = z.iter().map(|&x| K::new(F::new(x), F::new(x.rotate_left(9)))).collect();
            let laid = layout(lengths.iter().map(Vec::as_slice)).unwrap();
            let each = laid.blocks.iter().map(|block| selector(&z, block.off, block.log));
            prop_assert_eq!(laid.selectors(&z), each.collect::<Vec<K>>());
        }
    }

    #[test]
    fn scalars_and_limits() {
        assert_eq!(layout([&[][..]]).unwrap().total, 1);
        assert_eq!(layout([&[0usize][..]]).unwrap().total, 0);
        let odd = [65535usize; 8];
        assert!(layout([&odd[..]]).is_none());
    }
}
