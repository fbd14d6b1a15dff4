//! A committed table: rows, masks, tree, and code words unless they are many.
//!
//! The code words of a large table are made coset by coset, hashed and forgotten; columns that are opened are worked out
//! again from the rows. See ADR 019 and ADR 031.

use std::sync::Arc;

use algebra::ntt::Ntt;
use algebra::slices::{add_products, add_scaled, combine_base, dot_elements};
use algebra::{F, K};
use oracle::{Hashing, Role, Shape, Tree};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::integers::{Integers, Run, combine, combine_products};
use crate::memory::{recycle, reuse, scratch, zeros};
use crate::product::Data;
use crate::random::Source;

/// Rows over F, or over K as pairs of rows over F.
pub(crate) enum Rows {
    /// Rows over F with small entries: weights and inputs.
    Small(Integers),
    Base(Zeroizing<Vec<F>>),
    Extension(Zeroizing<Vec<K>>),
}

/// An oracle the prover can open. Secret: zeroised on drop, no `Debug`.
pub struct Table {
    shape: Shape,
    data: Rows,
    masks: Rows,
    /// For each F-row its values in transform order, if they are kept; K-rows are c0 then c1.
    code: Option<Zeroizing<Vec<F>>>,
    /// F-values of code words that are kept at most.
    most: usize,
    salts: Vec<[u8; 16]>,
    tree: Tree,
    ntt: Arc<Ntt>,
}

/// F-values of code words that a model's table keeps at most, where a proof commits so many fresh values besides: at
/// 40 bytes each, both have the room of [`KEPT`].
pub(crate) fn kept_beside(fresh: usize) -> usize {
    KEPT.1.saturating_sub(fresh.saturating_mul(5))
}

impl Table {
    /// Commits rows over F: `data` has R·C entries. Randomness is `<name>.mask` and `<name>.salt`.
    pub fn base(shape: Shape, data: Vec<F>, source: &impl Source, name: &str) -> Self {
        Self::commit(shape, Rows::Base(Zeroizing::new(data)), source, name)
    }

    /// As [`Self::base`], for small entries.
    pub fn small(shape: Shape, data: Integers, source: &impl Source, name: &str) -> Self {
        Self::commit(shape, Rows::Small(data), source, name)
    }

    /// Commits rows over K.
    pub fn extension(shape: Shape, data: Vec<K>, source: &impl Source, name: &str) -> Self {
        Self::commit(shape, Rows::Extension(Zeroizing::new(data)), source, name)
    }

    /// Commits rows; whether their code words are kept depends on the role.
    pub(crate) fn commit(shape: Shape, data: Rows, source: &impl Source, name: &str) -> Self {
        let most = if shape.role == Role::Fresh { KEPT.0 } else { KEPT.1 };
        Self::within(shape, data, (source, name), most)
    }

    /// Commits rows and keeps their code words if these are at most so many F-values.
    pub(crate) fn within(shape: Shape, data: Rows, random: (&impl Source, &str), most: usize) -> Self {
        let few = shape.extension || shape.rows << shape.log_n <= most;
        let coset = (!few).then(|| COSET.max(shape.log_c.saturating_sub(4)).min(shape.log_c));
        let mut table = Self::commit_as(shape, data, random, coset);
        table.most = most;
        table
    }

    /// As [`Self::within`]; code words are made 2^coset positions at a time and forgotten, or kept.
    fn commit_as(
        shape: Shape,
        data: Rows,
        (source, name): (&impl Source, &str),
        coset: Option<usize>,
    ) -> Self {
        let count = shape.rows * shape.masks();
        let stream = format!("{name}.mask");
        let masks = match data {
            Rows::Extension(_) => Rows::Extension(Zeroizing::new(source.extension(&stream, count))),
            Rows::Small(_) | Rows::Base(_) => Rows::Base(Zeroizing::new(source.base(&stream, count))),
        };
        let ntt = Ntt::shared(shape.log_n as u32);
        let salts = salts(&shape, source, name);
        let mut by_slot = zeros(ntt.len());
        let code = if let Some(log) = coset {
            hash_cosets(&shape, (&data, &masks), (&ntt, &salts), log, &mut by_slot);
            None
        } else {
            let code = encode(&shape, &data, &masks, &ntt);
            hash_columns(&shape, (&code, ntt.len()), (&ntt, &salts), 0, &mut by_slot);
            Some(code)
        };
        let tree = tree(&shape, &ntt, &by_slot);
        recycle(by_slot);
        Self { shape, data, masks, code, most: usize::MAX, salts, tree, ntt }
    }

    /// F-values of code words that this table keeps at most, and its next epochs.
    pub(crate) fn most_kept(&self) -> usize {
        self.most
    }

    /// The root.
    pub fn root(&self) -> [u8; 32] {
        self.tree.root()
    }

    /// Parameters.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// OracleId.
    pub fn id(&self) -> [u8; 32] {
        self.shape.id(&self.root())
    }

    /// All rows, end to end.
    pub(crate) fn data(&self) -> Data<'_> {
        match &self.data {
            Rows::Small(data) => Data::Small(data.all()),
            Rows::Base(data) => Data::Base(data),
            Rows::Extension(data) => Data::Extension(data),
        }
    }

    /// A copy of rows over F, for the attacks.
    #[cfg(test)]
    pub(crate) fn base_rows(&self) -> Vec<F> {
        match self.data() {
            Data::Small(data) => data.widened().to_vec(),
            Data::Base(data) => data.to_vec(),
            Data::Extension(_) => Vec::new(),
        }
    }

    /// All rows, if they are small integers.
    pub(crate) fn integers(&self) -> Option<&Integers> {
        if let Rows::Small(data) = &self.data { Some(data) } else { None }
    }

    /// Σ_i `weights[i]` · data of row i.
    pub(crate) fn fold_data(&self, weights: &[K]) -> Zeroizing<Vec<K>> {
        self.data.fold(self.shape.data(), weights)
    }

    /// Σ_i `weights[i]` · masks of row i.
    pub(crate) fn fold_masks(&self, weights: &[K]) -> Zeroizing<Vec<K>> {
        self.masks.fold(self.shape.masks(), weights)
    }

    /// Salts and columns at these positions.
    pub(crate) fn columns(&self, positions: &[usize]) -> Vec<u8> {
        let again = if self.code.is_some() { Vec::new() } else { self.evaluated(positions) };
        let bytes = |(i, &position): (usize, &usize)| {
            let mut bytes = Vec::with_capacity(self.shape.column_bytes());
            bytes.extend(self.salts.get(position).into_iter().flatten());
            match &self.code {
                Some(code) => push_column(&mut bytes, code, self.ntt.len(), self.ntt.slot(position)),
                None => push_column(&mut bytes, &again, positions.len(), i),
            }
            bytes
        };
        // Every entry lies on another page: both threads fetch.
        positions.par_iter().enumerate().map(bytes).collect::<Vec<_>>().concat()
    }

    /// The values of all rows over F at these positions, row by row.
    ///
    /// With A = n/[`CLASSES`] a row is Σ_a x^a·g_a(x^A), and x^A is a root of unity of that small order. So all g_a are
    /// evaluated at all of these by short transforms, a run of them side by side, and every position is one
    /// more inner product.
    fn evaluated(&self, positions: &[usize]) -> Vec<F> {
        let (n, width, masks) = (self.ntt.len(), self.shape.data(), self.shape.masks());
        let root = F::root_of_unity(self.shape.log_n as u32).unwrap_or(F::ONE);
        let stride = (n / CLASSES).clamp(1, width);
        let ntt = Ntt::shared((n / stride).ilog2());
        let run = stride.min(SIDE_BY_SIDE);
        let blocks = (width / stride, masks.div_ceil(stride));
        // x^0, .., x^(run − 1), and x^run.
        let at = |&position: &usize| {
            let x = root.pow(position as u64);
            (ntt.slot(position % ntt.len()), powers(x, run), x.pow(run as u64))
        };
        let points: Vec<(usize, Vec<F>, F)> = positions.iter().map(at).collect();
        // One task takes neighbouring runs of all rows.
        let part = |first: usize, count: usize| {
            let mut values = vec![F::ZERO; self.shape.rows * points.len()];
            let mut table = Zeroizing::new(vec![F::ZERO; ntt.len() * run]);
            let mut steps: Vec<F> = points.iter().map(|(_, _, step)| step.pow(first as u64)).collect();
            for from in (first..first + count).map(|i| i * run) {
                for (row, values) in values.chunks_exact_mut(points.len().max(1)).enumerate() {
                    let mut out = table.chunks_exact_mut(run);
                    let starts = |count| (0..count).map(move |block| block * stride + from);
                    for (start, out) in starts(blocks.0).zip(&mut out) {
                        self.data.write_part((row, width), start, out);
                    }
                    for (start, out) in starts(blocks.1).zip(&mut out) {
                        self.masks.write_part((row, masks), start, out);
                    }
                    ntt.forward_columns(&mut table, run, blocks.0 + blocks.1);
                    for (value, ((slot, powers, _), &step)) in
                        values.iter_mut().zip(points.iter().zip(&steps))
                    {
                        *value += dot_elements(&table[slot * run..(slot + 1) * run], powers) * step;
                    }
                }
                steps.iter_mut().zip(&points).for_each(|(step, (_, _, by))| *step *= *by);
            }
            values
        };
        let tasks = (0..stride / run).into_par_iter().step_by(RUNS);
        tasks.map(|first| part(first, RUNS.min(stride / run - first))).reduce(Vec::new, |mut sum, part| {
            if sum.is_empty() {
                return part;
            }
            sum.iter_mut().zip(part).for_each(|(slot, x)| *slot += x);
            sum
        })
    }

    /// Merkle siblings of these positions.
    pub(crate) fn siblings(&self, positions: &[usize]) -> Vec<[u8; 32]> {
        self.tree.siblings(positions)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.code.iter_mut().for_each(|code| reuse(std::mem::take(&mut **code)));
        self.tree.take_levels().into_iter().for_each(recycle);
    }
}

fn salts(shape: &Shape, source: &impl Source, name: &str) -> Vec<[u8; 16]> {
    match shape.log_t {
        Some(_) => source.salts(&format!("{name}.salt"), shape.positions()),
        None => Vec::new(),
    }
}

fn push_column(bytes: &mut Vec<u8>, code: &[F], n: usize, slot: usize) {
    for row in code.chunks_exact(n) {
        bytes.extend_from_slice(&row[slot].to_bytes());
    }
}

impl Rows {
    /// Σ_i `weights[i]` · row i, for rows of `width` entries.
    fn fold(&self, width: usize, weights: &[K]) -> Zeroizing<Vec<K>> {
        const RUN: usize = 1 << 10;
        let mut folded = Zeroizing::new(zeros(width));
        folded.par_chunks_mut(RUN).enumerate().for_each(|(i, out)| {
            let part = i * RUN..i * RUN + out.len();
            let own = |row: usize| row * width + part.start..row * width + part.end;
            match self {
                Self::Small(rows) => {
                    let own = |row| rows.all().part(own(row).start, own(row).end);
                    let rows: Vec<Run<'_>> = (0..weights.len()).map(own).collect();
                    combine(out, weights, &rows);
                }
                Self::Base(rows) => {
                    let rows: Vec<&[F]> = (0..weights.len()).map(|row| &rows[own(row)]).collect();
                    combine_base(out, weights, &rows);
                }
                Self::Extension(rows) => {
                    let each = weights.iter().copied().enumerate();
                    each.for_each(|(row, weight)| add_scaled(out, weight, &rows[own(row)]));
                }
            }
        });
        folded
    }

    /// Writes the entries from `start` on of row i of rows of `width` entries over F, and zeros where it ends.
    fn write_part(&self, (i, width): (usize, usize), start: usize, out: &mut [F]) {
        let start = start.min(width);
        let (own, rest) = out.split_at_mut(out.len().min(width - start));
        let part = i * width + start..i * width + start + own.len();
        match self {
            Self::Small(data) => data.all().part(part.start, part.end).write(own),
            Self::Base(data) => own.copy_from_slice(&data[part]),
            // Their code words are kept.
            Self::Extension(_) => own.fill(F::ZERO),
        }
        rest.fill(F::ZERO);
    }

    /// Writes Σ_b entry c + b·L of row i, times factor c + b·L, to entry c of a vector of length L. Rows over F.
    fn twist(&self, i: usize, width: usize, factors: &Powers, out: &mut [F]) {
        let length = out.len();
        for (start, out) in (0..length).step_by(STEP).zip(out.chunks_mut(STEP)) {
            let end = start + out.len();
            let part = |b: usize| i * width + b * length + start..i * width + b * length + end;
            let blocks = 0..width / length;
            match self {
                Self::Small(data) => {
                    let rows: Vec<Run<'_>> =
                        blocks.map(|b| data.all().part(part(b).start, part(b).end)).collect();
                    combine_products(out, &factors.steps, &rows, &factors.first[start..end]);
                }
                Self::Base(data) => {
                    out.fill(F::ZERO);
                    for b in blocks {
                        let factors = &factors.first[b * length + start..b * length + end];
                        add_products(out, &data[part(b)], factors);
                    }
                }
                // Their code words are kept.
                Self::Extension(_) => {}
            }
        }
    }

    /// Adds entry c of row i of rows of `factors.len()` entries, times `factors[c]`, to entry c of a vector that may be
    /// shorter, round and round. Rows over F.
    fn add_twisted(&self, i: usize, factors: &[F], out: &mut [F]) {
        let Self::Base(data) = self else { return };
        let row = &data[i * factors.len()..(i + 1) * factors.len()];
        for (row, factors) in row.chunks(out.len()).zip(factors.chunks(out.len())) {
            add_products(&mut out[..row.len()], row, factors);
        }
    }

    /// Writes F-row i of rows of `width` entries; K-rows are c0 then c1.
    fn write(&self, i: usize, width: usize, out: &mut [F]) {
        let row = |i: usize| i * width..(i + 1) * width;
        match self {
            Self::Small(data) => data.all().part(row(i).start, row(i).end).write(out),
            Self::Base(data) => out.copy_from_slice(&data[row(i)]),
            Self::Extension(data) => {
                let part = |x: &K| if i.is_multiple_of(2) { x.c0 } else { x.c1 };
                out.iter_mut().zip(&data[row(i / 2)]).for_each(|(slot, x)| *slot = part(x));
            }
        }
    }
}

/// Code words are kept up to so many F-values of a table that serves one proof, and of one that serves many.
const KEPT: (usize, usize) = (1 << 23, 1 << 26);
/// Least lg of the positions encoded at once: 512 KiB of a row, which stay in a core's own cache.
const COSET: usize = 17;
/// Words between rows: at distances of a power of two a column's entries would share few sets of the cache.
const APART: usize = 72;
/// Entries of a row taken up at once.
const STEP: usize = 1 << 12;
/// Length of the short transforms of [`Table::evaluated`], how many are made side by side, and how many such runs
/// are a task.
pub(crate) const CLASSES: usize = 64;
const SIDE_BY_SIDE: usize = 128;
const RUNS: usize = 4;

/// The powers of x as products: x^(c + b·L) = `steps[b]`·`first[c]`, c < L; or all of them, where entries are no small
/// integers and need a product each.
struct Powers {
    first: Vec<F>,
    steps: Vec<F>,
}

impl Powers {
    /// Of the first `count` powers, `length` of them a step.
    fn of(x: F, length: usize, count: usize, data: &Rows) -> Self {
        if matches!(data, Rows::Small(_)) {
            return Self { first: powers(x, length), steps: powers(x.pow(length as u64), count / length) };
        }
        Self { first: powers(x, count), steps: Vec::new() }
    }
}

/// x^0, x^1, ..
pub(crate) fn powers(x: F, count: usize) -> Vec<F> {
    // Four chains, which do not wait for each other.
    let step = x.pow(4);
    let mut powers = vec![F::ONE; count];
    powers.par_chunks_mut(STEP).enumerate().for_each(|(i, part)| {
        let mut next = [0, 1, 2, 3].map(|lane| x.pow((i * STEP + lane) as u64));
        for slots in part.chunks_mut(4) {
            slots.copy_from_slice(&next[..slots.len()]);
            next.iter_mut().for_each(|power| *power *= step);
        }
    });
    powers
}

/// Code words of all F-rows.
fn encode(shape: &Shape, data: &Rows, masks: &Rows, ntt: &Ntt) -> Zeroizing<Vec<F>> {
    let n = shape.positions();
    let count = if shape.extension { 2 * shape.rows } else { shape.rows };
    let mut code = scratch(count * n);
    code.par_chunks_exact_mut(n).enumerate().for_each(|(i, word)| {
        let (own, rest) = word.split_at_mut(shape.data());
        data.write(i, shape.data(), own);
        masks.write(i, shape.masks(), &mut rest[..shape.masks()]);
        ntt.forward_padded(word, shape.dimension());
    });
    Zeroizing::new(code)
}

/// Hashes all columns; their code words are made coset by coset, of 2^log positions each. Position S·i + s is the value at
/// ω_n^s·ω^i, ω of order 2^log: a transform of the coefficients times the powers of ω_n^s. In transform order
/// such positions are neighbours.
fn hash_cosets(
    shape: &Shape,
    (data, masks): (&Rows, &Rows),
    about: (&Ntt, &[[u8; 16]]),
    log: usize,
    by_slot: &mut [[u8; 32]],
) {
    let length = 1 << log;
    let (ntt, whole) = (Ntt::shared(log as u32), Ntt::shared((shape.log_n - log) as u32));
    let root = F::root_of_unity(shape.log_n as u32).unwrap_or(F::ONE);
    let stride = length + APART;
    let mut words: Vec<F> = scratch(shape.rows * stride);
    for (i, by_slot) in by_slot.chunks_exact_mut(length).enumerate() {
        let x = root.pow(whole.slot(i) as u64);
        let of_data = Powers::of(x, length, shape.data(), data);
        let mut of_masks = powers(x, shape.masks());
        let from = x.pow(shape.data() as u64);
        of_masks.par_iter_mut().for_each(|power| *power *= from);
        words.par_chunks_exact_mut(stride).enumerate().for_each(|(row, word)| {
            let word = &mut word[..length];
            data.twist(row, shape.data(), &of_data, word);
            masks.add_twisted(row, &of_masks, word);
            ntt.forward(word);
        });
        hash_columns(shape, (&words, stride), about, i * length, by_slot);
    }
    reuse(words);
}

/// Leaves or parents hashed by one task.
const TASK: usize = 512;

/// Hashes of the salted columns in the slots from `first` on, of rows `stride` apart that hold these.
fn hash_columns(
    shape: &Shape,
    (code, stride): (&[F], usize),
    (ntt, salts): (&Ntt, &[[u8; 16]]),
    first: usize,
    by_slot: &mut [[u8; 32]],
) {
    let hashing = Hashing::new(shape);
    let rows: Vec<&[F]> = code.chunks_exact(stride).collect();
    let head = if salts.is_empty() { 1 } else { 3 };
    // Neighbouring slots are read together; their positions are far apart.
    by_slot.par_chunks_mut(TASK).enumerate().for_each(|(task, out)| {
        hashing.leaves(head + rows.len(), out, |k, at, lanes| {
            let slots = task * TASK + at..;
            if k < head {
                let word = |slot| head_word(ntt.slot(first + slot), salts, k);
                lanes.iter_mut().zip(slots).for_each(|(lane, slot)| *lane = word(slot));
            } else {
                let row = &rows[k - head][slots];
                lanes.iter_mut().zip(row).for_each(|(lane, value)| *lane = value.value());
            }
        });
    });
}

/// The tree over hashed columns.
fn tree(shape: &Shape, ntt: &Ntt, by_slot: &[[u8; 32]]) -> Tree {
    let hashing = Hashing::new(shape);
    let mut leaves = zeros(ntt.len());
    let slots = leaves.par_iter_mut().enumerate();
    slots.for_each(|(position, leaf)| *leaf = by_slot[ntt.slot(position)]);
    let mut levels: Vec<Vec<[u8; 32]>> = vec![leaves];
    while let Some(level) = levels.last().filter(|level| level.len() > 1) {
        let mut parents = zeros(level.len() / 2);
        let tasks = parents.par_chunks_mut(TASK).zip(level.par_chunks(2 * TASK));
        tasks.for_each(|(parents, children)| hashing.nodes(children, parents));
        levels.push(parents);
    }
    Tree::from_levels(levels)
}

/// Word k of what precedes the column in a leaf: the position, then the two words of the salt.
fn head_word(position: usize, salts: &[[u8; 16]], k: usize) -> u64 {
    match k {
        0 => position as u64,
        _ => u64::from_le_bytes(salts[position].as_chunks::<8>().0[k - 1]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    /// Tables that forget their code words have the same root and open the same columns.
    #[test]
    fn columns_made_again_are_the_same() {
        for (rows, log_c, log_t, log_n) in
            [(3, 5, Some(3), 7), (9, 7, Some(8), 10), (5, 8, None, 10), (6, 3, Some(4), 11)]
        {
            let shape =
                Shape { role: Role::Fresh, extension: false, rows, log_c, log_t, log_n, layout: [0; 32] };
            let entry = |i: usize| i as i64 * 7919 % 60_000 - 30_000 + if i % 29 == 3 { 1 << 40 } else { 0 };
            let entries: Vec<i64> = (0..rows << log_c).map(entry).collect();
            let small = || {
                let mut integers = Integers::zeros(entries.len());
                integers.set(0, &entries);
                Rows::Small(integers)
            };
            let base = || Rows::Base(Zeroizing::new(entries.iter().map(|&x| F::from_i64(x)).collect()));
            let seed = Seed::new([3; 32]);
            let table = |rows, coset| Table::commit_as(shape.clone(), rows, (&seed, "z"), coset);
            let expected = table(base(), None);
            let positions: Vec<usize> = (0..1 << log_n).filter(|i| i % 5 < 2 || i % 64 == 4).collect();
            for log in [log_c, log_c - 1, log_c - 3] {
                for again in [table(base(), Some(log)), table(small(), Some(log))] {
                    assert!(again.code.is_none());
                    assert_eq!(again.root(), expected.root(), "{shape:?}, cosets of 2^{log}");
                    for positions in [&positions[..], &positions[..1], &positions[..0]] {
                        assert_eq!(again.columns(positions), expected.columns(positions), "{shape:?}");
                    }
                }
            }
        }
    }
}
