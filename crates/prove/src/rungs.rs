//! The prover's side of the ladder.

use algebra::multilinear::evaluate;
use algebra::{F, K};
use oracle::{Level, Opened, Plan};
use rayon::prelude::*;
use zeroize::Zeroize;

use crate::fractions::{bind_top, sum_pairs};
use crate::random::Source;
use crate::table::Table;

/// Rows of one oracle while its row variables are bound.
struct Rows {
    /// Rows that are not virtual zeros.
    count: usize,
    /// Variables still free.
    variables: usize,
    width: usize,
    /// None while the data is still the table's own.
    data: Option<Vec<K>>,
    functional: Vec<K>,
    weight: K,
    /// Σ v·d once all own variables are bound, or before.
    product: Option<K>,
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
    level: usize,
    /// The folded vector w and the functional V on it.
    folded: Vec<K>,
    functional: Vec<K>,
    /// w, s of E before the end rounds bind them.
    last: Vec<K>,
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
            let mut rows = vec![K::ZERO; 2 * shape.data()];
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
            level: 0,
            folded: Vec::new(),
            functional: Vec::new(),
            last: Vec::new(),
            last_mask: Vec::new(),
            pad_values,
            zeta: Vec::new(),
        }
    }

    /// Root of Q.
    pub fn pad_root(&self) -> [u8; 32] {
        self.pads.as_ref().map(Table::root).unwrap_or_default()
    }

    /// Pad j.
    pub fn pad(&self, j: usize) -> K {
        self.pad_values[j]
    }

    /// Gives the level-0 tables and their dense functionals (R·C entries each).
    pub fn begin(&mut self, tables: Vec<&'a Table>, functionals: Vec<Vec<K>>) {
        let shapes = tables.iter().map(|table| table.shape());
        self.rows = shapes.zip(functionals).map(|(shape, v)| Rows::new(shape, v, None)).collect();
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

    /// Starts a level.
    pub fn start_level(&mut self, level: usize) {
        self.level = level;
        if level > 0 {
            self.inner = self.next.take();
            let shape = &self.plan.levels[level].oracles[0];
            let mut data = std::mem::take(&mut self.folded);
            let mut functional = std::mem::take(&mut self.functional);
            data.resize(shape.rows * shape.data(), K::ZERO);
            functional.resize(shape.rows * shape.data(), K::ZERO);
            self.rows = vec![Rows::new(shape, functional, Some(data))];
        }
    }

    /// c0, c2 of a row round.
    pub fn row_round(&mut self, j: usize) -> [K; 2] {
        let mut total = [K::ZERO; 2];
        let tables: Vec<Option<&[F]>> = (0..self.rows.len()).map(|i| self.table(i).base_data()).collect();
        let parts: Vec<[K; 2]> = self
            .rows
            .iter()
            .zip(tables)
            .map(|(rows, table)| match (&rows.data, table) {
                (Some(data), _) => rows.round(j, |i| data[i], |v, d| v * d),
                (None, Some(data)) => rows.round(j, |i| data[i], |v, d| v.scale(d)),
                (None, None) => [K::ZERO; 2],
            })
            .collect();
        for (rows, part) in self.rows.iter_mut().zip(parts) {
            if rows.variables <= j {
                rows.product = Some(part[0]);
            }
            total[0] += rows.weight * part[0];
            total[1] += rows.weight * part[1];
        }
        total
    }

    /// Binds row variable j.
    pub fn row_fold(&mut self, j: usize, zeta: K) {
        for i in 0..self.rows.len() {
            let mut rows = std::mem::replace(&mut self.rows[i], Rows::empty());
            if rows.variables <= j {
                rows.weight *= K::ONE - zeta;
            } else {
                rows.fold(zeta, self.table(i).base_data());
            }
            self.rows[i] = rows;
        }
    }

    /// Assembles w and V from the folded rows, masks and weights.
    pub fn fold(&mut self, weights: &[Vec<K>], factors: &[K]) {
        let level = self.shape();
        let mut folded = vec![K::ZERO; level.length];
        let mut functional = vec![K::ZERO; level.length];
        for part in &level.parts {
            let range = part.off..part.off + (1 << part.log);
            if part.mask {
                folded[range].copy_from_slice(&self.table(part.oracle).fold_masks(&weights[part.oracle]));
                continue;
            }
            let rows = &self.rows[part.oracle];
            match (&rows.data, self.table(part.oracle).base_data()) {
                (Some(data), _) => folded[range.clone()].copy_from_slice(&data[..rows.width]),
                (None, Some(data)) => {
                    let row = data.iter().map(|&x| K::from(x));
                    folded[range.clone()].iter_mut().zip(row).for_each(|(slot, x)| *slot = x);
                }
                (None, None) => {}
            }
            let factor = factors[part.oracle];
            let own = functional[range].iter_mut().zip(&rows.functional);
            own.for_each(|(slot, &v)| *slot = factor * v);
        }
        self.folded = folded;
        self.functional = functional;
        self.rows.clear();
    }

    /// Commits w to the next inner oracle.
    pub fn commit_next(&mut self) -> [u8; 32] {
        let number = self.level + 1;
        let shape = self.plan.levels[number].oracles[0].clone();
        let mut rows = self.folded.clone();
        rows.resize(shape.rows * shape.data(), K::ZERO);
        let table = Table::extension(shape, rows, self.source, &format!("o{number}"));
        let root = table.root();
        self.next = Some(table);
        root
    }

    /// Commits w and its mask to E.
    pub fn commit_end(&mut self) -> [u8; 32] {
        let Some((shape, _)) = &self.plan.closing else { return [0; 32] };
        self.last_mask = self.source.extension("e.value", self.folded.len());
        let mut rows = vec![K::ZERO; 2 * shape.data()];
        rows[..self.folded.len()].copy_from_slice(&self.folded);
        rows[shape.data()..shape.data() + self.folded.len()].copy_from_slice(&self.last_mask);
        let table = Table::extension(shape.clone(), rows, self.source, "e");
        let root = table.root();
        self.end = Some(table);
        root
    }

    /// w.
    pub fn last_vector(&self) -> Vec<K> {
        self.folded.clone()
    }

    fn opened(&self, opened: Opened) -> Option<&Table> {
        match opened {
            Opened::Level(oracle) => Some(self.table(oracle)),
            Opened::End => self.end.as_ref(),
            Opened::Pads => self.pads.as_ref(),
        }
    }

    /// Salts and columns.
    pub fn columns(&self, opened: Opened, positions: &[usize]) -> Vec<u8> {
        self.opened(opened).map(|table| table.columns(positions)).unwrap_or_default()
    }

    /// Merkle siblings.
    pub fn siblings(&self, opened: Opened, positions: &[usize]) -> Vec<[u8; 32]> {
        self.opened(opened).map(|table| table.siblings(positions)).unwrap_or_default()
    }

    /// Adds Σ_i ξ^i x_i^c to V, by one sparse transform per oracle.
    pub fn queried(&mut self, positions: &[Vec<usize>], xi: K) {
        let level = self.shape();
        let mut power = K::ONE;
        for (oracle, (shape, positions)) in level.oracles.iter().zip(positions).enumerate() {
            let weighed: Vec<(usize, K)> = positions
                .iter()
                .map(|&position| {
                    power *= xi;
                    (position, power)
                })
                .collect();
            let ntt = self.table(oracle).ntt();
            let half = |pick: fn(K) -> F| {
                let sparse: Vec<(usize, F)> = weighed.iter().map(|&(j, x)| (j, pick(x))).collect();
                ntt.powers(&sparse)
            };
            let (c0, c1) = rayon::join(|| half(|x| x.c0), || half(|x| x.c1));
            let value = |c: usize| K::new(c0[c], c1[c]);
            for part in level.parts.iter().filter(|part| part.oracle == oracle) {
                let first = if part.mask { shape.data() } else { 0 };
                for i in 0..1 << part.log {
                    self.functional[part.off + i] += value(first + i);
                }
            }
        }
        if self.level + 1 == self.plan.levels.len() {
            let size = 1 << self.plan.last_variables();
            self.last = self.folded.clone();
            self.folded.resize(size, K::ZERO);
            self.functional.resize(size, K::ZERO);
            self.zeta = vec![K::ZERO; self.plan.last_variables()];
        }
    }

    /// c0, c2 of an end round.
    pub fn end_round(&self, j: usize) -> [K; 2] {
        let half = 1 << j;
        let (v, w) = (&self.functional, &self.folded);
        let (c0, c2) = sum_pairs(half, |x| (v[x] * w[x], (v[x + half] - v[x]) * (w[x + half] - w[x])));
        [c0, c2]
    }

    /// Binds a variable of the last vector.
    pub fn end_fold(&mut self, j: usize, zeta: K) {
        bind_top(&mut self.functional, zeta);
        bind_top(&mut self.folded, zeta);
        self.zeta[j] = zeta;
    }

    /// σ.
    pub fn sigma(&self, kappa: &[K]) -> K {
        let pads: K = kappa.iter().zip(&self.pad_values[self.plan.pads..]).map(|(&a, &b)| a * b).sum();
        self.functional[0] * evaluate(&self.last_mask, &self.zeta) - pads
    }

    /// y, y_r, y_Q, y_Qr.
    pub fn reply(&self, theta: K) -> Vec<K> {
        let (Some(end), Some(pads)) = (&self.end, &self.pads) else { return Vec::new() };
        let (values, masks) = self.pad_values.split_at(self.plan.pads);
        let pairs = [
            (self.last_mask.clone(), self.last.clone()),
            (end.mask_row(1), end.mask_row(0)),
            (masks.to_vec(), values.to_vec()),
            (pads.mask_row(1), pads.mask_row(0)),
        ];
        pairs.into_iter().flat_map(|(s, w)| s.into_iter().zip(w).map(move |(s, w)| s + theta * w)).collect()
    }
}

impl<S> Drop for Ladder<'_, S> {
    fn drop(&mut self) {
        for secret in [&mut self.folded, &mut self.last, &mut self.last_mask, &mut self.pad_values] {
            secret.zeroize();
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.data.zeroize();
    }
}

impl Rows {
    fn new(shape: &oracle::Shape, functional: Vec<K>, data: Option<Vec<K>>) -> Self {
        Self {
            count: shape.rows,
            variables: shape.row_variables(),
            width: shape.data(),
            data,
            functional,
            weight: K::ONE,
            product: None,
        }
    }

    fn empty() -> Self {
        Self {
            count: 0,
            variables: 0,
            width: 0,
            data: None,
            functional: Vec::new(),
            weight: K::ZERO,
            product: None,
        }
    }

    /// c0 and c2; data element i is read by `at` and multiplied by `times`.
    fn round<D>(&self, j: usize, at: impl Fn(usize) -> D + Sync, times: impl Fn(K, D) -> K + Sync) -> [K; 2]
    where
        D: Copy + std::ops::Sub<Output = D> + Send,
    {
        let v = &self.functional;
        if self.variables <= j {
            let all = || sum_pairs(self.count * self.width, |i| (times(v[i], at(i)), K::ZERO)).0;
            return [self.product.unwrap_or_else(all), K::ZERO];
        }
        let half = (1 << j) * self.width;
        let present = self.count * self.width;
        let (c0, c2) = sum_pairs(half.min(present), |i| {
            let low = times(v[i], at(i));
            // A missing upper row is zero in both factors.
            if i + half < present {
                (low, times(v[i + half] - v[i], at(i + half) - at(i)))
            } else {
                (low, low)
            }
        });
        [c0, c2]
    }

    fn fold(&mut self, zeta: K, table: Option<&[F]>) {
        self.variables -= 1;
        let keep = (1usize << self.variables).min(self.count);
        let (half, present) = ((1usize << self.variables) * self.width, self.count * self.width);
        let size = keep * self.width;
        fold_rows(&mut self.functional, half, present, size, zeta);
        match (&mut self.data, table) {
            (Some(data), _) => fold_rows(data, half, present, size, zeta),
            (None, Some(table)) => {
                let first = |i: usize| {
                    let low = K::from(table[i]);
                    let high = if i + half < present { table[i + half] } else { F::ZERO };
                    low + zeta.scale(high - table[i])
                };
                self.data = Some((0..size).into_par_iter().with_min_len(1 << 11).map(first).collect());
            }
            (None, None) => {}
        }
        self.count = keep;
        self.product = None;
    }
}

/// `values[i]` ← (1-ζ)·`values[i]` + ζ·`values[i + half]`, where entries from `present` on are 0.
fn fold_rows(values: &mut Vec<K>, half: usize, present: usize, size: usize, zeta: K) {
    let split = half.min(present);
    let (low, high) = values.split_at_mut(split);
    let high: &[K] = &high[..present - split];
    let (paired, alone) = low.split_at_mut(high.len().min(split));
    paired.par_iter_mut().zip(high).with_min_len(1 << 11).for_each(|(l, &h)| *l += zeta * (h - *l));
    let rest = K::ONE - zeta;
    alone.par_iter_mut().with_min_len(1 << 11).for_each(|l| *l *= rest);
    values.truncate(size);
}
