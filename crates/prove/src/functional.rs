//! The batched functional as dense vectors over the oracles' addresses.

use algebra::K;
use algebra::layout::Block;
use algebra::slices::{add_combined, scale};
use rayon::prelude::*;
use sumcheck::Term;
use verify::{Functionals, Group, Setup};

use crate::memory::zeros;
use crate::ranked::{self, Ranked};
use crate::table::Table;

/// The functional on one oracle of level 0.
pub enum Functional {
    /// R·C entries.
    Dense(Vec<K>),
    /// A sum of few products, on a table of small integers.
    Ranked(Ranked),
    /// A sum of many products, on a table of small integers.
    Tiled(Filler),
}

/// One functional per oracle of level 0.
pub fn functionals(setup: &Setup, functionals: &Functionals<'_>, tables: &[&Table]) -> Vec<Functional> {
    let groups = setup.groups.iter().zip(&functionals.terms).zip(tables);
    let one = |((group, terms), table): ((&Group, &Vec<Term>), &&Table)| {
        let by_tensor = by_tensor(setup, group, terms);
        let filler = || Filler::of(group, &by_tensor);
        let small = table.integers().is_some();
        match small.then(|| Ranked::new(group, &by_tensor)).flatten() {
            Some(ranked) => Functional::Ranked(ranked),
            None if small && group.shape.row_variables() > 0 => Functional::Tiled(filler()),
            None => Functional::Dense(filler().dense(group.shape.rows * group.shape.data())),
        }
    };
    groups.map(one).collect()
}

/// One vector of R·C entries per oracle of level 0: the definition.
#[cfg(test)]
pub fn dense(setup: &Setup, functionals: &Functionals<'_>) -> Vec<Vec<K>> {
    let groups = setup.groups.iter().zip(&functionals.terms);
    let one = |(group, terms): (&Group, &Vec<Term>)| {
        let filler = Filler::of(group, &by_tensor(setup, group, terms));
        filler.dense(group.shape.rows * group.shape.data())
    };
    groups.map(one).collect()
}

fn by_tensor<'a>(setup: &Setup, group: &Group, terms: &'a [Term]) -> Vec<Vec<&'a Term>> {
    let mut by_tensor: Vec<Vec<&Term>> = vec![Vec::new(); group.tensors.len()];
    for term in terms {
        if let Some((_, index)) = setup.homes[term.tensor as usize] {
            by_tensor[index].push(term);
        }
    }
    by_tensor
}

/// A functional on one oracle as sums of products, ready to be filled in any run of addresses.
pub struct Filler {
    /// By address.
    pieces: Vec<Piece>,
}

/// The functional on one block.
pub struct Piece {
    /// First address.
    pub off: usize,
    /// It has 2^log entries.
    pub log: usize,
    /// Its summands, whose factors have the same lengths.
    pub terms: Vec<Factors>,
}

/// The product x ⊗ y ⊗ z, z fastest; y ⊗ z if x has no entries.
#[derive(Clone)]
pub struct Factors(pub [Vec<K>; 3]);

impl Filler {
    /// Of pieces that lie end to end from address 0.
    pub fn new(pieces: Vec<Piece>) -> Self {
        Self { pieces }
    }

    fn of(group: &Group, by_tensor: &[Vec<&Term>]) -> Self {
        let piece = |block: &Block| {
            let terms = by_tensor[block.tensor].iter().filter_map(|term| product(block, term));
            Piece { off: block.off, log: block.log, terms: merged(terms) }
        };
        Self::new(group.layout.blocks.par_iter().map(piece).collect())
    }

    /// Adds s times the entries from address `from` on; whether any term is there.
    pub fn add(&self, from: usize, s: K, out: &mut [K]) -> bool {
        let to = from + out.len();
        let first = self.pieces.partition_point(|piece| piece.off + (1 << piece.log) <= from);
        let mut some = false;
        for piece in self.pieces[first..].iter().take_while(|piece| piece.off < to) {
            let part = from.max(piece.off)..to.min(piece.off + (1 << piece.log));
            let own = &mut out[part.start - from..part.end - from];
            some |= !piece.terms.is_empty();
            piece.add(part.start - piece.off, s, own);
        }
        some
    }

    /// The first `entries` entries.
    pub fn dense(&self, entries: usize) -> Vec<K> {
        const RUN: usize = 1 << 12;
        let mut values = zeros(entries);
        values.par_chunks_mut(RUN).enumerate().for_each(|(i, run)| {
            self.add(i * RUN, K::ONE, run);
        });
        values
    }
}

impl Piece {
    /// Adds s times the entries from entry `from` on. All terms are cut alike, so their runs are added together.
    fn add(&self, mut from: usize, s: K, mut out: &mut [K]) {
        let Some(first) = self.terms.first() else { return };
        let length = first.0[2].len();
        let (mut weights, mut runs) =
            (Vec::with_capacity(self.terms.len()), Vec::with_capacity(self.terms.len()));
        while !out.is_empty() {
            let (at, first) = (from / length, from % length);
            let (run, rest) = out.split_at_mut((length - first).min(out.len()));
            weights.clear();
            runs.clear();
            for Factors([x, y, z]) in &self.terms {
                let weight = if x.is_empty() { y[at] } else { x[at / y.len()] * y[at % y.len()] };
                if weight != K::ZERO {
                    weights.push(s * weight);
                    runs.push(&z[first..first + run.len()]);
                }
            }
            add_combined(run, &weights, &runs);
            from += run.len();
            out = rest;
        }
    }
}

/// The same sum in fewer products: those that differ by a constant only become one. Lookups of one tensor in
/// several tables often are such.
fn merged(terms: impl Iterator<Item = (K, Factors)>) -> Vec<Factors> {
    let mut merged: Vec<(K, Factors)> = Vec::new();
    for (coef, factors) in terms {
        match merged.iter_mut().find(|(_, other)| other.0 == factors.0) {
            Some((sum, _)) => *sum += coef,
            None => merged.push((coef, factors)),
        }
    }
    let weighed = |(coef, mut factors): (K, Factors)| {
        let [x, y, _] = &mut factors.0;
        scale(if x.is_empty() { y } else { x }, coef);
        factors
    };
    merged.into_iter().map(weighed).collect()
}

/// Shortest run of a functional that is filled at once.
const RUN: usize = 64;

/// A rank-one term on a block as one product and its coefficient; none if it vanishes there.
fn product(block: &Block, term: &Term) -> Option<(K, Factors)> {
    if term.axes.iter().zip(&block.chunks).any(|(axis, &chunk)| axis.vanishes_on(chunk)) {
        return None;
    }
    // The last axes make the runs, as long as these stay in the cache; the others make their scales, in
    // two factors: as one vector these would be long.
    let [mut x, mut y, mut z] = [vec![], vec![K::ONE], vec![K::ONE]];
    for (axis, &chunk) in term.axes.iter().zip(&block.chunks).rev() {
        let vector = axis.on_chunk(chunk);
        let factor = match (z.len() < RUN, y.len() < RUN) {
            (true, _) => &mut z,
            (false, true) => &mut y,
            (false, false) => &mut x,
        };
        *factor = if factor.is_empty() { vector } else { ranked::outer(&vector, factor) };
    }
    Some((term.coef, Factors([x, y, z])))
}
