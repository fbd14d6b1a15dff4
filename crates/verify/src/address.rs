//! Functionals of one oracle at one address point (spec A2).
//!
//! What the definition computes term by term and block by block is shared here: the eq of a block's
//! upper variables by all blocks, tables of eq by all dense vectors, and products of axes by
//! neighbouring terms, which mostly read tensors of equal axes through equal vectors.

use std::collections::BTreeMap;
use std::sync::Arc;

use algebra::K;
use algebra::layout::{Block, Chunk};
use algebra::multilinear::eq_table;
use algebra::slices::dot;
use sumcheck::Axis;

use crate::Group;

/// An address point of one oracle.
pub(crate) struct Address<'a> {
    group: &'a Group,
    zeta: &'a [K],
    /// Per block, sel(ζ; off, e).
    selectors: Vec<K>,
    /// eq of the variables low..low + log of ζ, by (low, log).
    tables: BTreeMap<(usize, usize), Vec<K>>,
    /// The vectors of the last term, and their product on each block of its tensor.
    last: Option<(&'a [Axis], &'a [usize], Vec<K>)>,
}

/// Values of one term's vectors, by the axis, the chunk's first index and the lowest variable.
type Known = Vec<((usize, usize, usize), K)>;

/// Whether two vectors are one and the same.
fn same(a: &Axis, b: &Axis) -> bool {
    match (a, b) {
        (Axis::Eq(a), Axis::Eq(b)) | (Axis::Dense(a), Axis::Dense(b)) => Arc::ptr_eq(a, b),
        (Axis::EqChunk(chunk, a), Axis::EqChunk(other, b)) => chunk == other && Arc::ptr_eq(a, b),
        (Axis::Unit(i), Axis::Unit(j)) => i == j,
        (Axis::Ones, Axis::Ones) => true,
        _ => false,
    }
}

impl<'a> Address<'a> {
    /// The point ζ of the oracle with these tensors.
    pub(crate) fn new(group: &'a Group, zeta: &'a [K]) -> Self {
        let selectors = group.layout.selectors(zeta);
        Self { group, zeta, selectors, tables: BTreeMap::new(), last: None }
    }

    /// Σ over the tensor's blocks `own` of sel · ∏_a `axes_a` at the block's variables.
    pub(crate) fn value(&mut self, axes: &'a [Axis], own: &'a [usize]) -> K {
        let known = self.last.take().filter(|(before, blocks, _)| {
            before.len() == axes.len()
                && before.iter().zip(axes).all(|(a, b)| same(a, b))
                && self.alike(blocks, own)
        });
        let products = match known {
            Some((_, _, products)) => products,
            None => {
                let mut known = Known::new();
                own.iter().map(|&number| self.product(axes, number, &mut known)).collect()
            }
        };
        let selectors = own.iter().filter_map(|&number| self.selectors.get(number));
        let value = selectors.zip(&products).map(|(&selector, &product)| selector * product).sum();
        self.last = Some((axes, own, products));
        value
    }

    /// Whether two tensors are cut into the same chunks.
    fn alike(&self, a: &[usize], b: &[usize]) -> bool {
        let chunks = |number: &usize| self.group.layout.blocks.get(*number).map(|block| &block.chunks);
        a == b || (a.len() == b.len() && a.iter().zip(b).all(|(a, b)| chunks(a) == chunks(b)))
    }

    /// ∏_a `axes_a` at the variables of one block.
    fn product(&mut self, axes: &[Axis], number: usize, known: &mut Known) -> K {
        let group = self.group;
        let Some(Block { chunks, .. }) = group.layout.blocks.get(number) else { return K::ZERO };
        if axes.iter().zip(chunks).any(|(axis, &chunk)| axis.vanishes_on(chunk)) {
            return K::ZERO;
        }
        let mut product = K::ONE;
        let mut low = 0usize;
        for ((place, axis), &chunk) in axes.iter().enumerate().zip(chunks).rev() {
            let key = (place, chunk.off, low);
            let before = known.iter().find(|(other, _)| *other == key);
            product *= match before {
                Some(&(_, value)) => value,
                None => {
                    let value = self.axis(axis, chunk, low);
                    known.push((key, value));
                    value
                }
            };
            low = low.saturating_add(chunk.log);
        }
        product
    }

    /// [`Axis::at`] the variables from `low` on.
    fn axis(&mut self, axis: &Axis, chunk: Chunk, low: usize) -> K {
        let zeta = self.zeta.get(low..low.saturating_add(chunk.log)).unwrap_or_default();
        let Axis::Dense(values) = axis else { return axis.at(chunk, zeta) };
        let table = self.tables.entry((low, chunk.log)).or_insert_with(|| eq_table(zeta));
        dot(table, values.get(chunk.off..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use algebra::F;
    use algebra::layout::{chunks, layout};
    use algebra::multilinear::{bits, selector};
    use oracle::{Role, Sizing};
    use proptest::prelude::*;

    fn elements(seed: u64, count: usize) -> Vec<K> {
        let word = |i: u64| F::new(seed.wrapping_add(i).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1);
        (0..count as u64).map(|i| K::new(word(2 * i), word(2 * i + 1))).collect()
    }

    fn axis(kind: u8, n: usize, seed: u64) -> Axis {
        match kind % 5 {
            0 => Axis::Eq(elements(seed, bits(n)).into()),
            1 => {
                let all = chunks(n);
                let chunk = all[seed as usize % all.len()];
                Axis::EqChunk(chunk, elements(seed, chunk.log).into())
            }
            2 => Axis::Unit(seed as usize % n),
            3 => Axis::Ones,
            _ => Axis::Dense(elements(seed, n).into()),
        }
    }

    /// The definition: every term on every block of its tensor, nothing shared.
    fn plainly(group: &Group, zeta: &[K], axes: &[Axis], own: &[usize]) -> K {
        let one = |&number: &usize| {
            let block = &group.layout.blocks[number];
            let mut product = selector(zeta, block.off, block.log);
            let mut low = 0;
            for (axis, &chunk) in axes.iter().zip(&block.chunks).rev() {
                product *= axis.at(chunk, &zeta[low..low + chunk.log]);
                low += chunk.log;
            }
            product
        };
        own.iter().map(one).sum()
    }

    proptest! {
        #[test]
        fn shared_values_are_the_plain_ones(
            tensors in prop::collection::vec(prop::collection::vec(1usize..20, 0..4), 1..6),
            kinds in prop::collection::vec((any::<u8>(), any::<u64>()), 24),
            order in prop::collection::vec((0usize..6, 0usize..4), 1..24),
            seed: u64,
        ) {
            let laid = layout(tensors.iter().map(Vec::as_slice)).unwrap();
            let shape = Sizing::v1(100, 0).long_term(Role::Model, laid.total, [0; 32], 1, false).unwrap();
            let group = Group::new(shape, (0..tensors.len() as u32).collect(), laid);
            let zeta = elements(seed, group.layout.variables() + 1);
            let terms: Vec<(usize, Vec<Axis>)> = order
                .iter()
                .map(|&(tensor, first)| {
                    let tensor = tensor % tensors.len();
                    let kinds = kinds.iter().skip(first);
                    let axes = tensors[tensor].iter().zip(kinds).map(|(&n, &(kind, seed))| axis(kind, n, seed));
                    (tensor, axes.collect())
                })
                .collect();
            // Each term twice in a row, then all again: neighbours share, and must not share too much.
            let mut address = Address::new(&group, &zeta);
            for (tensor, axes) in terms.iter().flat_map(|term| [term, term]).chain(&terms) {
                let own = &group.blocks[*tensor];
                prop_assert_eq!(address.value(axes, own), plainly(&group, &zeta, axes, own));
            }
        }

        #[test]
        fn a_tensor_of_equal_axes_shares_with_its_twin(n in 1usize..30, m in 1usize..30, kinds: [u8; 2], seed: u64) {
            let tensors = [[n, m], [n, m], [m, n]];
            let laid = layout(tensors.iter().map(|axes| &axes[..])).unwrap();
            let shape = Sizing::v1(100, 0).long_term(Role::Model, laid.total, [0; 32], 1, false).unwrap();
            let group = Group::new(shape, vec![0, 1, 2], laid);
            let zeta = elements(seed, group.layout.variables());
            let axes = [axis(kinds[0], n, seed), axis(kinds[1], m, seed ^ 1)];
            let mut address = Address::new(&group, &zeta);
            for own in [0, 1, 0].map(|tensor| &group.blocks[tensor]) {
                prop_assert_eq!(address.value(&axes, own), plainly(&group, &zeta, &axes, own));
            }
        }
    }
}
