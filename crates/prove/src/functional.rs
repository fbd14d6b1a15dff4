//! The batched functional as dense vectors over the oracles' addresses.

use algebra::K;
use algebra::layout::Block;
use algebra::slices::add_scaled;
use rayon::prelude::*;
use sumcheck::Term;
use verify::{Functionals, Group, Setup};

use crate::ranked::{self, Ranked};
use crate::table::Table;

/// The functional on one oracle of level 0.
pub enum Functional {
    /// R·C entries.
    Dense(Vec<K>),
    /// A sum of products, on a table of small integers.
    Ranked(Ranked),
}

/// One functional per oracle of level 0.
pub fn functionals(setup: &Setup, functionals: &Functionals<'_>, tables: &[&Table]) -> Vec<Functional> {
    let groups = setup.groups.iter().zip(&functionals.terms).zip(tables);
    let one = |((group, terms), table): ((&Group, &Vec<Term>), &&Table)| {
        let by_tensor = by_tensor(setup, group, terms);
        let ranked = table.small_data().and_then(|_| Ranked::new(group, &by_tensor));
        ranked.map_or_else(|| Functional::Dense(expand(group, &by_tensor)), Functional::Ranked)
    };
    groups.map(one).collect()
}

/// One vector of R·C entries per oracle of level 0: the definition.
#[cfg(test)]
pub fn dense(setup: &Setup, functionals: &Functionals<'_>) -> Vec<Vec<K>> {
    let groups = setup.groups.iter().zip(&functionals.terms);
    groups.map(|(group, terms)| expand(group, &by_tensor(setup, group, terms))).collect()
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

fn expand(group: &Group, by_tensor: &[Vec<&Term>]) -> Vec<K> {
    let mut values = vec![K::ZERO; group.shape.rows * group.shape.data()];
    let mut parts: Vec<(&Block, &mut [K])> = Vec::with_capacity(group.layout.blocks.len());
    let mut rest = values.as_mut_slice();
    // Blocks lie end to end from address 0.
    for block in &group.layout.blocks {
        let (own, later) = std::mem::take(&mut rest).split_at_mut(1 << block.log);
        parts.push((block, own));
        rest = later;
    }
    parts.into_par_iter().for_each(|(block, own)| {
        for term in &by_tensor[block.tensor] {
            add_term(block, term, own);
        }
    });
    values
}

/// Shortest run of a functional that is filled at once.
const RUN: usize = 64;

/// Adds one rank-one term to a block.
fn add_term(block: &Block, term: &Term, own: &mut [K]) {
    if term.axes.iter().zip(&block.chunks).any(|(axis, &chunk)| axis.vanishes_on(chunk)) {
        return;
    }
    // The last axes make the runs, as long as these stay in the cache; the others make their scales.
    let mut last = vec![K::ONE];
    let mut outer = vec![term.coef];
    for (axis, &chunk) in term.axes.iter().zip(&block.chunks).rev() {
        let vector = axis.on_chunk(chunk);
        if last.len() < RUN {
            last = ranked::outer(&vector, &last);
        } else {
            outer = ranked::outer(&vector, &outer);
        }
    }
    let rows = own.par_chunks_exact_mut(last.len()).zip(&outer).with_min_len((1 << 12) / last.len() + 1);
    rows.for_each(|(row, &scale)| {
        if scale != K::ZERO {
            add_scaled(row, scale, &last);
        }
    });
}
