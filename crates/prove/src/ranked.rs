//! The functional of a table of weights, kept as products of a vector over rows and one over columns.
//!
//! A relation reads a weight tensor at one point, so its functional is a product of one vector per
//! axis. Cut at the length of a row it is a product of two vectors, and the row sumcheck needs only
//! the inner product of every row with the column vectors: one pass over small integers instead of
//! a functional as long as the table.

use algebra::K;
use algebra::layout::Block;
use algebra::slices::{add_scaled, scale};
use rayon::prelude::*;
use sumcheck::Term;
use verify::Group;

use crate::fractions::GRAIN;
use crate::integers::{Run, dots};
use crate::memory::{reuse, scratch, zeros};
use crate::product::Product;

/// Σ_t rows_t ⊗ columns_t.
pub struct Ranked {
    terms: Vec<RankOne>,
}

/// One product: `rows` from row `first` on, `columns` from column `from` on.
struct RankOne {
    first: usize,
    rows: Vec<K>,
    from: usize,
    columns: Vec<K>,
}

impl Drop for RankOne {
    fn drop(&mut self) {
        reuse(std::mem::take(&mut self.columns));
        reuse(std::mem::take(&mut self.rows));
    }
}

/// With terms of more than this many full rows of columns a dense functional is cheaper.
const FULL_COLUMNS_MAX: usize = 10;
/// Products below this many are not split between threads.
const WORK: usize = 1 << 16;
/// Rows whose inner products one thread takes together.
const ROWS: usize = 8;

impl Ranked {
    /// The functional of these terms; none if it is no sum of few products.
    /// `by_tensor` are the terms of each tensor of the group.
    pub fn new(group: &Group, by_tensor: &[Vec<&Term>]) -> Option<Self> {
        let log_c = group.shape.log_c;
        let present = |block: &Block, term: &Term| {
            !term.axes.iter().zip(&block.chunks).any(|(axis, &chunk)| axis.vanishes_on(chunk))
        };
        let mut present_terms = Vec::new();
        for block in &group.layout.blocks {
            let own = by_tensor[block.tensor].iter().filter(|term| present(block, term));
            present_terms.extend(own.map(|term| (block, *term)));
        }
        let entries: usize = present_terms.iter().map(|(block, _)| 1 << block.log.min(log_c)).sum();
        if entries > FULL_COLUMNS_MAX << log_c {
            return None;
        }
        let terms = present_terms.into_iter().map(|(block, term)| split(block, term, log_c));
        Some(Self { terms: terms.collect::<Option<_>>()? })
    }

    /// Per term: its vector over rows and every row's inner product with its columns, 2^h entries each.
    pub fn products(&self, data: Run<'_>, width: usize, variables: usize) -> Vec<Product> {
        let one = |term: &RankOne| {
            let mut rows = vec![K::ZERO; 1 << variables];
            rows[term.first..term.first + term.rows.len()].copy_from_slice(&term.rows);
            let to = term.from + term.columns.len();
            let mut sums = vec![K::ZERO; 1 << variables];
            let count = data.len() / width;
            let some = |(first, out): (usize, &mut [K])| {
                let own = |row: usize| data.part(row * width + term.from, row * width + to);
                let rows: Vec<Run<'_>> = (first..first + out.len()).map(own).collect();
                dots(out, &term.columns, &rows);
            };
            let present = &mut sums[..count];
            if count * term.columns.len() > WORK {
                let parts = present.par_chunks_mut(ROWS).enumerate();
                parts.for_each(|(i, out)| some((i * ROWS, out)));
            } else {
                some((0, present));
            }
            Product::new(rows, sums)
        };
        self.terms.par_iter().map(one).collect()
    }

    /// The functional over columns once all rows are bound: `products` are those of [`Self::products`].
    pub fn columns(&self, products: &mut [Product], width: usize) -> Vec<K> {
        let mut total = zeros(width);
        for (term, product) in self.terms.iter().zip(products) {
            let weight = product.finish().0[0];
            let slots = &mut total[term.from..term.from + term.columns.len()];
            let runs = slots.par_chunks_mut(GRAIN).zip(term.columns.par_chunks(GRAIN));
            runs.for_each(|(slots, columns)| add_scaled(slots, weight, columns));
        }
        total
    }
}

/// x ⊗ y, y fastest.
pub(crate) fn outer(x: &[K], y: &[K]) -> Vec<K> {
    // One long run instead of many of one entry.
    if let ([factor], long) | (long, [factor]) = (x, y) {
        let mut product = long.to_vec();
        if *factor != K::ONE {
            scale(&mut product, *factor);
        }
        return product;
    }
    let mut product = scratch(x.len() * y.len());
    let runs = product.par_chunks_exact_mut(y.len().max(1)).zip(x);
    runs.with_min_len(GRAIN / y.len().max(1) + 1).for_each(|(run, &a)| {
        run.copy_from_slice(y);
        scale(run, a);
    });
    product
}

/// One term on one block as a product over rows and columns of 2^log_c entries.
fn split(block: &Block, term: &Term, log_c: usize) -> Option<RankOne> {
    let (mut rows, mut columns) = (vec![term.coef], vec![K::ONE]);
    let mut room = log_c;
    for (axis, &chunk) in term.axes.iter().zip(&block.chunks).rev() {
        let vector = axis.on_chunk(chunk);
        let low = chunk.log.min(room);
        room -= low;
        let (high_part, low_part) = halves(&vector, low)?;
        let more = (outer(&low_part, &columns), outer(&high_part, &rows));
        reuse(std::mem::replace(&mut columns, more.0));
        reuse(std::mem::replace(&mut rows, more.1));
    }
    let width = 1 << log_c;
    Some(RankOne { first: block.off >> log_c, rows, from: block.off % width, columns })
}

/// A vector as the product of one over its high and one over its `low` low index bits.
fn halves(vector: &[K], low: usize) -> Option<(Vec<K>, Vec<K>)> {
    if vector.len() == 1 << low {
        return Some((vec![K::ONE], vector.to_vec()));
    }
    if low == 0 {
        return Some((vector.to_vec(), vec![K::ONE]));
    }
    let Some(pivot) = vector.iter().position(|&x| x != K::ZERO) else {
        return Some((vec![K::ZERO; vector.len() >> low], vec![K::ZERO; 1 << low]));
    };
    let runs = || vector.chunks_exact(1 << low);
    let columns = runs().nth(pivot >> low)?.to_vec();
    let at = pivot % (1 << low);
    let inverse = columns[at].inverse();
    let rows: Vec<K> = runs().map(|run| run[at] * inverse).collect();
    let holds = runs().zip(&rows).all(|(run, &row)| run.iter().zip(&columns).all(|(&x, &y)| x == row * y));
    holds.then_some((rows, columns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use algebra::F;
    use algebra::layout::layout;
    use algebra::multilinear::eq_table;
    use proptest::prelude::*;
    use sumcheck::Axis;

    fn k() -> impl Strategy<Value = K> {
        (any::<u64>(), any::<u64>()).prop_map(|(a, b)| K::new(F::new(a), F::new(b)))
    }

    proptest! {
        #[test]
        fn product_of_axes_is_a_product_of_rows_and_columns(
            points in prop::collection::vec(k(), 16),
            sizes in prop::collection::vec(1usize..14, 1..4),
            log_c in 0usize..9,
            coef in k(),
        ) {
            let axes = sizes.iter().enumerate().map(|(i, _)| Axis::Eq(points[4 * i..4 * i + 4].into())).collect();
            let term = Term { coef, tensor: 0, axes };
            for block in &layout([sizes.as_slice()]).unwrap().blocks {
                let vectors = term.axes.iter().zip(&block.chunks).map(|(axis, &chunk)| axis.on_chunk(chunk));
                let dense = vectors.fold(vec![coef], |all, next| outer(&all, &next));
                let one = split(block, &term, log_c).unwrap();
                for (i, &x) in dense.iter().enumerate() {
                    let address = block.off + i;
                    let (row, column) = (address >> log_c, address % (1 << log_c));
                    prop_assert_eq!(one.rows[row - one.first] * one.columns[column - one.from], x);
                }
            }
        }

        #[test]
        fn other_vectors_are_refused(point in prop::collection::vec(k(), 4), at in 0usize..16, low in 1usize..4) {
            let mut vector = eq_table(&point);
            prop_assert!(halves(&vector, low).is_some());
            vector[at] += K::ONE;
            prop_assert!(halves(&vector, low).is_none());
        }
    }
}
