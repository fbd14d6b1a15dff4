//! The prover's side of the ladder.

use algebra::K;
use algebra::multilinear::evaluate;
use algebra::slices::add_scaled;
use oracle::{Level, Opened, Part, Plan, Rungs, reply_weights};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::fractions::GRAIN;
use crate::functional::Functional;
use crate::integers::Integers;
use crate::memory::{recycle, zeros};
use crate::product::{Data, Product, first_fold, first_round};
use crate::queried;
use crate::random::Source;
use crate::ranked::Ranked;
use crate::table::Table;
use crate::tiled::Tiled;

/// Rows of one oracle while its row variables are bound.
enum Rows {
    /// Nothing bound yet: the functional as given; the rows are the table's, or these (inner levels).
    Whole { functional: Vec<K>, data: Option<Zeroizing<Vec<K>>>, sum: Option<K> },
    /// Bound in the first row variable at least.
    Bound(Product),
    /// Inner products of a table's rows, with the functional they are taken with.
    Ranked { functional: Ranked, products: Vec<Product> },
    /// A table of small integers while its first row variables are bound.
    Tiled(Tiled),
}

/// The prover's state. Tables of level 0 are borrowed, those of inner levels owned.
pub struct Ladder<'a, S> {
    plan: &'a Plan,
    source: &'a S,
    base: Vec<&'a Table>,
    inner: Option<Table>,
    next: Option<Table>,
    pads: Option<Table>,
    end: Option<Table>,
    rows: Vec<Rows>,
    /// D_a as far as rounds have passed without oracle a.
    factors: Vec<K>,
    level: usize,
    /// The folded vector w and the functional V on it.
    folded: Vec<K>,
    functional: Vec<K>,
    /// V and w while the end rounds bind them.
    closing: Product,
    /// The row s of E.
    last_mask: Vec<K>,
    pad_values: Vec<K>,
    zeta: Vec<K>,
}

impl<'a, S: Source> Ladder<'a, S> {
    /// Draws the ladder's pads and commits Q.
    pub fn new(plan: &'a Plan, source: &'a S) -> Self {
        let (mut pads, mut pad_values) = (None, Vec::new());
        if let Some((_, shape)) = &plan.closing {
            // n_Q pads, then n_Q values of s_Q.
            pad_values = source.extension("q.value", 2 * plan.pads);
            let mut rows = zeros(2 * shape.data());
            rows[..plan.pads].copy_from_slice(&pad_values[..plan.pads]);
            rows[shape.data()..shape.data() + plan.pads].copy_from_slice(&pad_values[plan.pads..]);
            pads = Some(Table::extension(shape.clone(), rows, source, "q"));
        }
        Self {
            plan,
            source,
            base: Vec::new(),
            inner: None,
            next: None,
            pads,
            end: None,
            rows: Vec::new(),
            factors: Vec::new(),
            level: 0,
            folded: Vec::new(),
            functional: Vec::new(),
            closing: Product::default(),
            last_mask: Vec::new(),
            pad_values,
            zeta: Vec::new(),
        }
    }

    /// Root of Q.
    pub fn pad_root(&self) -> [u8; 32] {
        self.pads.as_ref().map(Table::root).unwrap_or_default()
    }

    /// Gives the level-0 tables and their functionals.
    pub fn begin(&mut self, tables: Vec<&'a Table>, functionals: Vec<Functional>) {
        let start = |(functional, table): (Functional, &&Table)| match (
            functional,
            table.integers().map(Integers::all),
        ) {
            (Functional::Ranked(functional), Some(data)) => {
                let shape = table.shape();
                let products = functional.products(data, shape.data(), shape.row_variables());
                Rows::Ranked { functional, products }
            }
            (Functional::Tiled(filler), Some(data)) => {
                let shape = table.shape();
                Rows::Tiled(Tiled::new(filler, data, shape.data(), shape.row_variables()))
            }
            (Functional::Dense(functional), _) => Rows::Whole { functional, data: None, sum: None },
            // Only tables of small integers are given such functionals.
            (Functional::Ranked(_) | Functional::Tiled(_), None) => {
                Rows::Whole { functional: Vec::new(), data: None, sum: None }
            }
        };
        self.rows = functionals.into_iter().zip(&tables).map(start).collect();
        self.factors = vec![K::ONE; tables.len()];
        self.base = tables;
    }

    /// Gives level-0 tables whose rows the caller has bound: functional and data, C entries each.
    pub fn begin_folded(&mut self, tables: Vec<&'a Table>, rows: Vec<(Vec<K>, Zeroizing<Vec<K>>)>) {
        let bound = |(functional, data)| Rows::Whole { functional, data: Some(data), sum: None };
        self.rows = rows.into_iter().map(bound).collect();
        self.factors = vec![K::ONE; tables.len()];
        self.base = tables;
    }

    fn table(&self, oracle: usize) -> &Table {
        match (&self.inner, self.level) {
            (Some(inner), 1..) => inner,
            _ => self.base[oracle],
        }
    }

    fn shape(&self) -> &'a Level {
        &self.plan.levels[self.level]
    }

    /// The point of the end rounds: E's columns, and its rows.
    fn end_point(&self) -> (&[K], &[K]) {
        let columns = self.plan.closing.as_ref().map_or(0, |(end, _)| end.log_c);
        self.zeta.split_at(columns.min(self.zeta.len()))
    }

    fn opened(&self, opened: Opened) -> Option<&Table> {
        match opened {
            Opened::Level(oracle) => Some(self.table(oracle)),
            Opened::End => self.end.as_ref(),
            Opened::Pads => self.pads.as_ref(),
        }
    }
}

impl<S: Source> Rungs for Ladder<'_, S> {
    fn ladder_pad(&self, j: usize) -> K {
        self.pad_values[j]
    }

    fn start_level(&mut self, level: usize) {
        self.level = level;
        if level > 0 {
            self.inner = self.next.take();
            let shape = &self.plan.levels[level].oracles[0];
            let mut data = std::mem::take(&mut self.folded);
            let mut functional = std::mem::take(&mut self.functional);
            data.resize(shape.rows * shape.data(), K::ZERO);
            functional.resize(shape.rows * shape.data(), K::ZERO);
            self.rows = vec![Rows::Whole { functional, data: Some(Zeroizing::new(data)), sum: None }];
            self.factors = vec![K::ONE];
        }
    }

    fn row_round(&mut self, j: usize) -> [K; 2] {
        let mut total = [K::ZERO; 2];
        let mut all = std::mem::take(&mut self.rows);
        for (oracle, rows) in all.iter_mut().enumerate() {
            let shape = &self.shape().oracles[oracle];
            let own = match rows {
                Rows::Bound(product) => product.round(),
                // Other oracles have more row variables.
                Rows::Tiled(tiled) if shape.row_variables() <= j => [tiled.sum(), K::ZERO],
                Rows::Tiled(tiled) => tiled.round(),
                Rows::Ranked { products, .. } if shape.row_variables() <= j => {
                    [products.iter().map(Product::sum).sum(), K::ZERO]
                }
                Rows::Ranked { products, .. } => {
                    let rounds = products.iter_mut().map(Product::round);
                    rounds.fold([K::ZERO; 2], |[a, b], [c, d]| [a + c, b + d])
                }
                Rows::Whole { functional, data, sum } => {
                    let data = whole(data.as_ref().map(|data| data.as_slice()), self.table(oracle));
                    if shape.row_variables() <= j {
                        [*sum.get_or_insert_with(|| data.sum(functional)), K::ZERO]
                    } else {
                        first_round(functional, data, shape.data() << j)
                    }
                }
            };
            total[0] += self.factors[oracle] * own[0];
            total[1] += self.factors[oracle] * own[1];
        }
        self.rows = all;
        total
    }

    fn row_fold(&mut self, j: usize, zeta: K) {
        for oracle in 0..self.rows.len() {
            let shape = &self.shape().oracles[oracle];
            if shape.row_variables() <= j {
                self.factors[oracle] *= K::ONE - zeta;
                continue;
            }
            let nothing = Rows::Whole { functional: Vec::new(), data: None, sum: None };
            self.rows[oracle] = match std::mem::replace(&mut self.rows[oracle], nothing) {
                Rows::Bound(mut product) => {
                    product.fold(zeta);
                    Rows::Bound(product)
                }
                Rows::Tiled(mut tiled) => {
                    let data = self.table(oracle).integers().map(Integers::all);
                    let bound = data.and_then(|data| tiled.fold(data, zeta));
                    bound.map_or(Rows::Tiled(tiled), Rows::Bound)
                }
                Rows::Ranked { functional, mut products } => {
                    products.iter_mut().for_each(|product| product.fold(zeta));
                    Rows::Ranked { functional, products }
                }
                Rows::Whole { functional, data, .. } => {
                    let read = whole(data.as_ref().map(|data| data.as_slice()), self.table(oracle));
                    Rows::Bound(first_fold(functional, read, shape.data() << j, zeta))
                }
            };
        }
    }

    fn fold(&mut self, weights: &[Vec<K>], factors: &[K]) {
        let level = self.shape();
        let mut all = std::mem::take(&mut self.rows);
        // With room for the next level's shape, or the end rounds.
        let room = |next: &Level| next.oracles.iter().map(|shape| shape.rows * shape.data()).max();
        let next = self.plan.levels.get(self.level + 1);
        let room = next.map_or(Some(1 << self.plan.last_variables()), room).unwrap_or_default();
        let [mut folded, mut functional] = [(); 2].map(|()| {
            let mut vector = zeros(room.max(level.length));
            vector.truncate(level.length);
            vector
        });
        for part in &level.parts {
            let range = part.off..part.off + (1 << part.log);
            if part.mask {
                folded[range].copy_from_slice(&self.table(part.oracle).fold_masks(&weights[part.oracle]));
                continue;
            }
            let factor = factors[part.oracle];
            match &mut all[part.oracle] {
                Rows::Bound(product) => {
                    let (v, data) = product.finish();
                    folded[range.clone()].copy_from_slice(data);
                    add(&mut functional[range], factor, v);
                }
                // It has row variables, and with the last of them it became `Bound`.
                Rows::Tiled(_) => {}
                Rows::Ranked { functional: ranked, products } => {
                    let width = range.len();
                    let data = self.table(part.oracle).fold_data(&weights[part.oracle]);
                    folded[range.clone()].copy_from_slice(&data);
                    add(&mut functional[range], factor, &ranked.columns(products, width));
                }
                Rows::Whole { functional: v, data, .. } => {
                    match whole(data.as_ref().map(|data| data.as_slice()), self.table(part.oracle)) {
                        Data::Base(row) => {
                            folded[range.clone()]
                                .iter_mut()
                                .zip(row)
                                .for_each(|(slot, &x)| *slot = K::from(x));
                        }
                        Data::Small(row) => {
                            let row = row.widened();
                            let slots = folded[range.clone()].iter_mut().zip(row.iter());
                            slots.for_each(|(slot, &x)| *slot = K::from(x));
                        }
                        Data::Extension(row) => folded[range.clone()].copy_from_slice(row),
                    }
                    add(&mut functional[range], factor, v);
                }
            }
        }
        self.folded = folded;
        self.functional = functional;
    }

    fn commit_next(&mut self) -> [u8; 32] {
        let number = self.level + 1;
        let shape = self.plan.levels[number].oracles[0].clone();
        let mut rows = zeros(shape.rows * shape.data());
        rows[..self.folded.len()].copy_from_slice(&self.folded);
        let table = Table::extension(shape, rows, self.source, &format!("o{number}"));
        let root = table.root();
        self.next = Some(table);
        root
    }

    fn commit_end(&mut self) -> [u8; 32] {
        let Some((shape, _)) = &self.plan.closing else { return [0; 32] };
        self.last_mask = self.source.extension("e.value", shape.data());
        let mut rows = zeros(shape.rows * shape.data());
        rows[..self.folded.len()].copy_from_slice(&self.folded);
        rows[shape.own_rows() * shape.data()..].copy_from_slice(&self.last_mask);
        let table = Table::extension(shape.clone(), rows, self.source, "e");
        let root = table.root();
        self.end = Some(table);
        root
    }

    fn last_vector(&mut self) -> Vec<K> {
        self.folded.clone()
    }

    fn columns(&mut self, opened: Opened, positions: &[usize]) -> Vec<u8> {
        self.opened(opened).map(|table| table.columns(positions)).unwrap_or_default()
    }

    fn siblings(&mut self, opened: Opened, positions: &[usize]) -> Vec<[u8; 32]> {
        self.opened(opened).map(|table| table.siblings(positions)).unwrap_or_default()
    }

    fn queried(&mut self, positions: &[Vec<usize>], xi: K) {
        let level = self.shape();
        let mut power = K::ONE;
        let weighed = |position: &usize| {
            power *= xi;
            (*position, power)
        };
        let weighed: Vec<(usize, K)> = positions.iter().flatten().map(weighed).collect();
        let mut weighed = weighed.as_slice();
        let mut parts: Vec<(&Part, Option<&mut [K]>)> = Vec::with_capacity(level.parts.len());
        let mut rest = self.functional.as_mut_slice();
        for part in &level.parts {
            let (own, more) = rest.split_at_mut(1 << part.log);
            parts.push((part, Some(own)));
            rest = more;
        }
        let mut opened = Vec::with_capacity(level.oracles.len());
        for (oracle, (shape, positions)) in level.oracles.iter().zip(positions).enumerate() {
            let (own, more) = weighed.split_at(positions.len());
            weighed = more;
            let mut part = |mask| {
                let part = parts.iter_mut().find(|(part, _)| part.oracle == oracle && part.mask == mask);
                part.and_then(|(_, slots)| slots.take())
            };
            let parts = [part(false), part(true)].into_iter().flatten().collect();
            opened.push(queried::Opened { log_n: shape.log_n, weighed: own.to_vec(), parts });
        }
        queried::add_powers(opened);
        if self.level + 1 == self.plan.levels.len() {
            let size = 1 << self.plan.last_variables();
            let mut functional = std::mem::take(&mut self.functional);
            let mut folded = std::mem::take(&mut self.folded);
            functional.resize(size, K::ZERO);
            folded.resize(size, K::ZERO);
            self.closing = Product::new(functional, folded);
            self.zeta = vec![K::ZERO; self.plan.last_variables()];
        }
    }

    fn end_round(&mut self, _: usize) -> [K; 2] {
        self.closing.round()
    }

    fn end_fold(&mut self, j: usize, zeta: K) {
        self.closing.fold(zeta);
        self.zeta[j] = zeta;
    }

    fn sigma(&mut self, kappa: &[K]) -> K {
        let pads: K = kappa.iter().zip(&self.pad_values[self.plan.pads..]).map(|(&a, &b)| a * b).sum();
        self.closing.finish().0[0] * evaluate(&self.last_mask, self.end_point().0) - pads
    }

    fn reply(&mut self, theta: K) -> Vec<K> {
        let (Some(end), Some(pads)) = (&self.end, &self.pads) else { return Vec::new() };
        let of_end = reply_weights(end.shape(), self.end_point().1, theta);
        let of_pads = reply_weights(pads.shape(), &[], theta);
        let data = [end.fold_data(&of_end), end.fold_masks(&of_end)];
        let pad_data = pads.fold_data(&of_pads);
        let mut reply = data.iter().flat_map(|part| part.iter().copied()).collect::<Vec<K>>();
        reply.extend(&pad_data[..self.plan.pads]);
        reply.extend(pads.fold_masks(&of_pads).iter());
        reply
    }
}

impl<S> Drop for Ladder<'_, S> {
    fn drop(&mut self) {
        for secret in [&mut self.folded, &mut self.last_mask, &mut self.pad_values] {
            recycle(std::mem::take(secret));
        }
    }
}

/// out += s·x.
fn add(out: &mut [K], s: K, x: &[K]) {
    let runs = out.par_chunks_mut(GRAIN).zip(x.par_chunks(GRAIN));
    runs.for_each(|(out, x)| add_scaled(out, s, x));
}

/// The rows of a table, or these.
fn whole<'a>(data: Option<&'a [K]>, table: &'a Table) -> Data<'a> {
    data.map_or_else(|| table.data(), Data::Extension)
}
