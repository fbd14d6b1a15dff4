//! The leaves of the lookup argument: made run by run from small integers, never all at once.
//!
//! A leaf's denominator is affine in a few integers of 16 bits, two bytes each, where the leaf itself
//! takes 32. So whoever needs leaves makes them again; see ADR 019.

use algebra::layout::{Block, runs};
use algebra::{F, K};
use program::lower::{Look, LookTable};
use rayon::prelude::*;
use verify::{LookupChallenges, Setup};
use zeroize::Zeroizing;

use crate::integers::{Integers, Run, combine, narrow};
use crate::memory::zeros;
use crate::values::{Column, Values};

/// Most leaves made at once.
pub const RUN: usize = 1 << 10;

/// Numerators and denominators of all leaves, by address.
pub struct Leaves {
    /// Blocks end to end from address 0; what lies behind them is 0/1.
    blocks: Vec<Piece>,
    /// The coordinates of each block's leaves, block by block, coordinate by coordinate, less their middles.
    coordinates: Integers,
    /// 1, [`RUN`] times.
    ones: Integers,
}

/// The leaves of one block.
struct Piece {
    off: usize,
    log: usize,
    /// Where its coordinates start.
    at: usize,
    /// Constant of the denominators, then −β of each coordinate.
    weights: Vec<K>,
    /// −multiplicities, of a table's block; a lookup's are 1.
    numerators: Option<Zeroizing<Vec<F>>>,
}

/// What the leaves of one lookup or table have in common.
struct Owner<'a> {
    table: usize,
    axes: Vec<usize>,
    columns: Vec<Column>,
    multiplicities: Option<&'a [i64]>,
}

/// Number and block, and where the block's coordinates are stored: from which, and in what.
type Slots<'a> = (usize, &'a Block, usize, &'a mut [i16]);

impl Leaves {
    /// The leaves of these values under these challenges.
    pub fn new(setup: &Setup, values: &Values<'_>, challenges: &LookupChallenges) -> Self {
        let lowered = &setup.lowered;
        let middles: Vec<Vec<i64>> = lowered.tables.iter().map(middles).collect();
        let table_of = |number: usize| match lowered.looks.get(number) {
            Some(look) => (look.table, look.coords.len()),
            None => {
                let table = number - lowered.looks.len();
                (table, middles[table].len())
            }
        };
        let size = |block: &Block| table_of(block.tensor).1 << block.log;
        let mut stored = zeros(setup.leaves.blocks.iter().map(size).sum());
        // Blocks lie end to end from address 0; each owner fills those that are its own.
        let mut owned: Vec<Vec<Slots<'_>>> = Vec::new();
        owned.resize_with(lowered.looks.len() + lowered.tables.len(), Vec::new);
        let (mut left, mut at) = (stored.as_mut_slice(), 0);
        for (number, block) in setup.leaves.blocks.iter().enumerate() {
            let (own, rest) = std::mem::take(&mut left).split_at_mut(size(block));
            left = rest;
            owned[block.tensor].push((number, block, at, own));
            at += size(block);
        }
        let parts = owned.into_par_iter().enumerate().flat_map(|(number, blocks)| {
            let owner = match lowered.looks.get(number) {
                Some(look) => Owner::look(look, values),
                None => Owner::table(&lowered.tables, number - lowered.looks.len(), values),
            };
            let (owner, middles) = (&owner, &middles);
            let one = |(number, block, at, own)| {
                let middles = &middles[owner.table][..owner.columns.len()];
                (number, owner.piece(block, at, own, middles, challenges))
            };
            blocks.into_par_iter().map(one).collect::<Vec<_>>()
        });
        let mut parts: Vec<_> = parts.collect();
        parts.sort_unstable_by_key(|(number, _)| *number);
        let mut blocks = Vec::with_capacity(parts.len());
        let mut wide =
            Zeroizing::new(Vec::with_capacity(parts.iter().map(|(_, (_, wide))| wide.len()).sum()));
        for (_, (piece, own)) in parts {
            blocks.push(piece);
            wide.extend_from_slice(&own);
        }
        Self { blocks, coordinates: Integers::of(stored, wide), ones: Integers::ones(RUN) }
    }

    /// Numerators and denominators from address `from` on, at most [`RUN`] of them.
    pub fn fill(&self, mut from: usize, mut p: &mut [K], mut q: &mut [K]) {
        let first = self.blocks.partition_point(|piece| piece.off + (1 << piece.log) <= from);
        for piece in &self.blocks[first..] {
            if p.is_empty() {
                return;
            }
            let inside = from - piece.off;
            let n = p.len().min((1 << piece.log) - inside);
            let (own_p, rest_p) = p.split_at_mut(n);
            let (own_q, rest_q) = q.split_at_mut(n);
            match &piece.numerators {
                Some(numerators) => {
                    let own = own_p.iter_mut().zip(&numerators[inside..]);
                    own.for_each(|(slot, &m)| *slot = K::from(m));
                }
                None => own_p.fill(K::ONE),
            }
            let column = |c: usize| piece.at + (c << piece.log) + inside;
            let column = |c: usize| self.coordinates.all().part(column(c), column(c) + n);
            let ones = self.ones.all().part(0, n);
            let rows: Vec<Run<'_>> =
                std::iter::once(ones).chain((0..piece.weights.len() - 1).map(column)).collect();
            combine(own_q, &piece.weights, &rows);
            (from, p, q) = (from + n, rest_p, rest_q);
        }
        p.fill(K::ZERO);
        q.fill(K::ONE);
    }
}

/// The middle of each coordinate's interval: less this, a coordinate of a table of 2^16 rows has 16 bits.
fn middles(table: &LookTable) -> Vec<i64> {
    let keys = table.keys.iter().map(|&(least, n)| least + (n / 2) as i64);
    let middle = |out: &[i64]| {
        let (least, most) = out.iter().fold((i64::MAX, i64::MIN), |(l, m), &x| (l.min(x), m.max(x)));
        ((i128::from(least) + i128::from(most)) / 2) as i64
    };
    keys.chain(table.outs.iter().map(|out| if out.is_empty() { 0 } else { middle(out) })).collect()
}

impl<'a> Owner<'a> {
    fn look(look: &Look, values: &Values<'a>) -> Self {
        let columns = look.coords.iter().map(|form| values.column(form, &look.axes)).collect();
        Self { table: look.table, axes: look.axes.clone(), columns, multiplicities: None }
    }

    fn table(tables: &[LookTable], number: usize, values: &'a Values<'_>) -> Self {
        let table = &tables[number];
        let axes: Vec<usize> = table.keys.iter().map(|&(_, n)| n).collect();
        let count: usize = axes.iter().product();
        let mut inner = count;
        let mut columns = Vec::with_capacity(axes.len() + table.outs.len());
        for &(least, n) in &table.keys {
            inner /= n.max(1);
            let key = |row: usize| least + (row / inner % n) as i64;
            columns.push(Column::Own(Zeroizing::new((0..count).map(key).collect())));
        }
        columns.extend(table.outs.iter().map(|out| Column::Shared(out.clone())));
        Self { table: number, axes, columns, multiplicities: Some(values.of(table.multiplicity)) }
    }

    /// How many coordinates of a block need more than 16 bits.
    fn wide(&self, block: &Block, middles: &[i64]) -> usize {
        let mut count = 0;
        for (column, &middle) in self.columns.iter().zip(middles) {
            let wide = |&&x: &&i64| i16::try_from(x.wrapping_sub(middle)).is_err();
            runs(block, &self.axes, |_, index, n| {
                count += column[index..index + n].iter().filter(wide).count();
            });
        }
        count
    }

    /// Stores the coordinates of one block, which start at `at`; also those of more than 16 bits, by address.
    fn piece(
        &self,
        block: &Block,
        at: usize,
        own: &mut [i16],
        middles: &[i64],
        challenges: &LookupChallenges,
    ) -> (Piece, Zeroizing<Vec<(usize, F)>>) {
        let mut wide: Zeroizing<Vec<(usize, F)>> = Zeroizing::default();
        let size = 1usize << block.log;
        let mut constant = challenges.base(self.table);
        let mut weights = vec![K::ZERO];
        let columns = self.columns.iter().zip(middles).zip(&challenges.betas).enumerate();
        for (c, ((column, &middle), &beta)) in columns {
            constant -= beta.scale(F::from_i64(middle));
            weights.push(-beta);
            let own = &mut own[c * size..(c + 1) * size];
            runs(block, &self.axes, |address, index, n| {
                let to = address - block.off;
                if narrow(&mut own[to..to + n], &column[index..index + n], middle) > 0 {
                    if wide.capacity() == 0 {
                        // A list that grows leaves copies behind.
                        wide.reserve_exact(self.wide(block, middles));
                    }
                    let each = own[to..to + n].iter_mut().zip(&column[index..index + n]);
                    for (i, (slot, &x)) in each.enumerate() {
                        if i64::from(*slot) != x.wrapping_sub(middle) {
                            *slot = 0;
                            wide.push((at + c * size + to + i, F::from_i64(x) - F::from_i64(middle)));
                        }
                    }
                }
            });
        }
        wide.sort_unstable_by_key(|&(address, _)| address);
        weights[0] = constant;
        let numerators = self.multiplicities.map(|multiplicities| {
            let mut numerators = Zeroizing::new(vec![F::ZERO; size]);
            runs(block, &self.axes, |address, index, n| {
                let slots = numerators[address - block.off..][..n].iter_mut();
                let own = slots.zip(&multiplicities[index..]);
                own.for_each(|(slot, &m)| *slot = -F::from_i64(m));
            });
            numerators
        });
        (Piece { off: block.off, log: block.log, at, weights, numerators }, wide)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use algebra::layout::layout;

    fn element(i: u64) -> K {
        let x = |i: u64| F::new(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2);
        K::new(x(2 * i + 1), x(2 * i + 2))
    }

    /// A lookup over these axes in a table of seven rows; some coordinates are wide. Also the leaves
    /// one by one.
    pub fn example(axes: &[usize]) -> (Leaves, Vec<(K, K)>) {
        let count: usize = axes.iter().product();
        let value = |i: i64| if i % 11 == 3 { i64::MAX - i } else { i * 7919 % 60_000 };
        let column = |by: i64| (0..count as i64).map(|i| value(by * i)).collect::<Vec<i64>>();
        let table: Vec<i64> = vec![5, 4, 1 << 40, 2, 1, 0, -3];
        let counts = [9i64, 1, 1 << 20, 0, 3, 2, 1];
        let challenges =
            LookupChallenges { alpha: element(1), betas: vec![K::ONE, element(2)], tag: element(3) };
        let own = |values: &[i64]| Column::Own(Zeroizing::new(values.to_vec()));
        let looks = [column(1), column(-3)];
        let owners = [
            Owner {
                table: 0,
                axes: axes.to_vec(),
                columns: looks.iter().map(|c| own(c)).collect(),
                multiplicities: None,
            },
            Owner { table: 0, axes: vec![7], columns: vec![own(&table)], multiplicities: Some(&counts) },
        ];
        let leaf = |x: &[i64]| {
            let sum = x.iter().zip(&challenges.betas).map(|(&x, &beta)| beta.scale(F::from_i64(x)));
            challenges.base(0) - sum.sum::<K>()
        };
        let laid = layout([axes, &[7]]).expect("fits");
        let (mut stored, mut wide, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
        let mut expected = vec![(K::ZERO, K::ONE); 1 << laid.variables()];
        for block in &laid.blocks {
            let owner = &owners[block.tensor];
            let mut slots = vec![0; owner.columns.len() << block.log];
            let (piece, own) = owner.piece(
                block,
                stored.len(),
                &mut slots,
                &[30_000, -5][..owner.columns.len()],
                &challenges,
            );
            blocks.push(piece);
            stored.extend(slots);
            wide.extend_from_slice(&own);
            runs(block, &owner.axes, |address, index, n| {
                for (slot, i) in expected[address..address + n].iter_mut().zip(index..) {
                    *slot = match owner.multiplicities {
                        None => (K::ONE, leaf(&[looks[0][i], looks[1][i]])),
                        Some(counts) => (-K::from(F::from_i64(counts[i])), leaf(&[table[i]])),
                    };
                }
            });
        }
        let coordinates = Integers::of(stored, Zeroizing::new(wide));
        (Leaves { blocks, coordinates, ones: Integers::ones(RUN) }, expected)
    }

    #[test]
    fn runs_of_leaves_are_the_leaves() {
        for axes in [&[13usize, 9][..], &[1000, 3], &[1], &[4, 4, 4]] {
            let (leaves, expected) = example(axes);
            for length in [1, 3, 64, RUN] {
                for from in (0..expected.len()).step_by(length) {
                    let n = length.min(expected.len() - from);
                    let (mut p, mut q) = (vec![K::ZERO; n], vec![K::ZERO; n]);
                    leaves.fill(from, &mut p, &mut q);
                    let found: Vec<(K, K)> = p.into_iter().zip(q).collect();
                    assert_eq!(found, expected[from..from + n], "{axes:?} from {from}");
                }
            }
        }
    }
}
