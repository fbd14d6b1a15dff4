//! Exact binary chunks: every axis is cut at the set bits of its length, so no slot is padding.

use crate::multilinear::bits;

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

    #[test]
    fn scalars_and_limits() {
        assert_eq!(layout([&[][..]]).unwrap().total, 1);
        assert_eq!(layout([&[0usize][..]]).unwrap().total, 0);
        let odd = [65535usize; 8];
        assert!(layout([&odd[..]]).is_none());
    }
}
