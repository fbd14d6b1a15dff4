//! Binding the first row variables of a table of small integers at once.
//!
//! Cut along its top k row variables a table is 2^k slabs `d_b` end to end, and its functional 2^k slabs `v_a`.
//! Every round that binds one of them follows from the inner products G(a, b) = ⟨`v_a`, `d_b`⟩, and a
//! challenge folds G as it folds both vectors. So the functional need not be held: it is filled tile by
//! tile, once for G and once when all k variables are bound.

use algebra::K;
use rayon::prelude::*;
use zeroize::{Zeroize, Zeroizing};

use crate::functional::Filler;
use crate::integers::{Run, combine, dots};
use crate::memory::zeros;
use crate::product::Product;

/// Variables bound at once: one more would double the inner products, and halve what is held after.
const VARIABLES: usize = 3;
/// Entries of a tile: with one of the functional and those of all slabs a thread stays in its own cache.
const TILE: usize = 1 << 10;

/// A table's functional and its inner products with the table's slabs.
pub struct Tiled {
    filler: Filler,
    /// Entries of a slab.
    slab: usize,
    /// Entries of a tile, a whole part of a row: a row is there or not.
    tile: usize,
    /// G, row by row, as bound so far.
    gram: Vec<K>,
    /// Weight of each slab: the product of the factors of the variables bound so far, top first.
    weights: Vec<K>,
    /// Variables left to bind.
    left: usize,
}

impl Drop for Tiled {
    fn drop(&mut self) {
        self.gram.zeroize();
    }
}

impl Tiled {
    /// `width` entries per row and `variables` >= 1 row variables; rows that `data` lacks are zero.
    pub fn new(filler: Filler, data: Run<'_>, width: usize, variables: usize) -> Self {
        let left = VARIABLES.min(variables);
        let (slab, tile) = (width << (variables - left), TILE.min(width));
        let mut tiled = Self { filler, slab, tile, gram: Vec::new(), weights: vec![K::ONE], left };
        tiled.gram = tiled.inner_products(data, 1 << left);
        tiled
    }

    fn inner_products(&self, data: Run<'_>, slabs: usize) -> Vec<K> {
        let tile = self.tile;
        let nothing = || (vec![K::ZERO; slabs * slabs], vec![K::ZERO; tile], vec![K::ZERO; slabs]);
        let one = |(mut gram, mut run, mut sums): (Vec<K>, Vec<K>, Vec<K>), from: usize| {
            let present = self.slabs(data, slabs, from, tile);
            for (a, row) in gram.chunks_exact_mut(slabs).enumerate() {
                run.fill(K::ZERO);
                if self.filler.add(a * self.slab + from, K::ONE, &mut run) {
                    dots(&mut sums[..present.len()], &run, &present);
                    row.iter_mut().zip(&sums[..present.len()]).for_each(|(slot, &sum)| *slot += sum);
                }
            }
            (gram, run, sums)
        };
        let add = |mut x: Vec<K>, mut y: Vec<K>| {
            x.iter_mut().zip(&y).for_each(|(x, &y)| *x += y);
            y.zeroize();
            x
        };
        let tiles = (0..self.slab / tile).into_par_iter().with_min_len(4);
        let parts = tiles.fold(nothing, |state, i| one(state, i * tile));
        parts.map(|(gram, ..)| gram).reduce(|| vec![K::ZERO; slabs * slabs], add)
    }

    /// The same run of every slab; slabs from some number on may have none.
    fn slabs<'a>(&self, data: Run<'a>, count: usize, from: usize, length: usize) -> Vec<Run<'a>> {
        let starts = (0..count).map(|b| b * self.slab + from);
        let present = starts.take_while(|start| start + length <= data.len());
        present.map(|start| data.part(start, start + length)).collect()
    }

    /// The functional's value.
    pub fn sum(&self) -> K {
        (0..1 << self.left).map(|r| self.gram[(r << self.left) + r]).sum()
    }

    /// c0, c2 of the round that binds the top variable left.
    pub fn round(&self) -> [K; 2] {
        let (slabs, half) = (1 << self.left, 1 << (self.left - 1));
        let at = |a: usize, b: usize| self.gram[a * slabs + b];
        let low: K = (0..half).map(|r| at(r, r)).sum();
        let high: K = (half..slabs).map(|r| at(r, r)).sum();
        let mixed: K = (0..half).map(|r| at(half + r, r) + at(r, half + r)).sum();
        [low, low + high - mixed]
    }

    /// Binds it. Once none is left, both vectors as bound.
    pub fn fold(&mut self, data: Run<'_>, zeta: K) -> Option<Product> {
        let (slabs, half) = (1 << self.left, 1 << (self.left - 1));
        let factors = [K::ONE - zeta, zeta];
        let mut bound = vec![K::ZERO; half * half];
        for (i, slot) in bound.iter_mut().enumerate() {
            let (r, s) = (i / half, i % half);
            for (x, &f) in factors.iter().enumerate() {
                for (y, &g) in factors.iter().enumerate() {
                    *slot += f * g * self.gram[(x * half + r) * slabs + y * half + s];
                }
            }
        }
        self.gram.zeroize();
        self.gram = bound;
        self.weights = self.weights.iter().flat_map(|&w| factors.map(|f| w * f)).collect();
        self.left -= 1;
        (self.left == 0).then(|| self.bound(data))
    }

    fn bound(&self, data: Run<'_>) -> Product {
        let tile = self.tile;
        let mut folded = Zeroizing::new(zeros(self.slab));
        let mut functional = zeros(self.slab);
        let tiles = folded.par_chunks_mut(tile).zip(functional.par_chunks_mut(tile)).enumerate();
        tiles.with_min_len(4).for_each(|(i, (folded, functional))| {
            let rows = self.slabs(data, self.weights.len(), i * tile, tile);
            combine(folded, &self.weights[..rows.len()], &rows);
            for (a, &weight) in self.weights.iter().enumerate() {
                self.filler.add(a * self.slab + i * tile, weight, functional);
            }
        });
        Product::new(functional, std::mem::take(&mut *folded))
    }
}

#[cfg(test)]
mod tests {
    use super::Tiled;
    use crate::functional::{Factors, Filler, Piece};
    use crate::integers::Integers;
    use crate::product::{Data, Product, first_fold, first_round};
    use algebra::{F, K};

    fn element(i: u64) -> K {
        let x = |i: u64| F::new(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2);
        K::new(x(2 * i + 1), x(2 * i + 2))
    }

    /// Rounds and bound vectors of a table that lacks its last rows are those of the dense functional.
    #[test]
    fn tiles_bind_as_whole_vectors_do() {
        for (rows, width, variables) in [(2, 16, 1), (3, 4, 2), (5, 8, 3), (29, 64, 5), (13, 2048, 4)] {
            let value =
                |i: usize| if i % 37 == 5 { i as i64 - (1 << 40) } else { i as i64 * 7919 % 65_536 - 32_768 };
            let mut integers = Integers::zeros(rows * width);
            integers.set(0, &(0..rows * width).map(value).collect::<Vec<i64>>());
            let data = integers.all();
            // Blocks of falling sizes; one has no term, one has two.
            let (mut pieces, mut off) = (Vec::new(), 0);
            for (n, log) in
                (0..usize::BITS as usize).rev().filter(|&log| data.len() >> log & 1 == 1).enumerate()
            {
                let last: Vec<K> = (0..1u64 << (log / 2)).map(element).collect();
                let outer: Vec<K> = (0..1u64 << (log - log / 2)).map(|i| element(i + 77)).collect();
                let (cut, whole) = (vec![element(5), element(6)], vec![K::ONE]);
                let half = outer[..outer.len().div_ceil(2)].to_vec();
                let second = if outer.len() > 1 {
                    [cut, half, last.clone()]
                } else {
                    [last.clone(), outer.clone(), whole.clone()]
                };
                let terms = [Factors([vec![], outer, last]), Factors(second)];
                pieces.push(Piece { off, log, terms: terms[..[1, 2, 0][n % 3]].to_vec() });
                off += 1 << log;
            }
            let filler = Filler::new(pieces);
            let whole = filler.dense(data.len());
            let mut tiled = Tiled::new(filler, data, width, variables);
            let (mut dense, mut bound): (_, Option<Product>) = (Some(whole), None);
            for j in (0..variables).rev() {
                let zeta = element(1000 + j as u64);
                let expected = match (&dense, &mut bound) {
                    (Some(whole), _) => first_round(whole, Data::Small(data), width << j),
                    (None, Some(product)) => product.round(),
                    (None, None) => unreachable!("one of them is held"),
                };
                assert_eq!(tiled.round(), expected, "round {j} of {rows} rows");
                match (dense.take(), &mut bound) {
                    (Some(whole), _) => {
                        bound = Some(first_fold(whole, Data::Small(data), width << j, zeta));
                    }
                    (None, Some(product)) => product.fold(zeta),
                    (None, None) => {}
                }
                if let Some(mut product) = tiled.fold(data, zeta) {
                    let expected = bound.as_mut().map(Product::finish);
                    assert_eq!(Some(product.finish()), expected, "bound at {j}");
                    break;
                }
            }
        }
    }
}
