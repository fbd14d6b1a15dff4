//! A committed table: rows, masks, code words and tree.

use std::sync::Arc;

use algebra::ntt::Ntt;
use algebra::slices::{add_scaled, combine_base};
use algebra::{F, K};
use oracle::{Hashing, Shape, Tree};
use rayon::prelude::*;
use zeroize::Zeroizing;

use crate::integers::{Integers, Run, combine};
use crate::memory::{recycle, zeros};
use crate::product::Data;
use crate::random::Source;

/// Rows over F, or over K as pairs of rows over F.
enum Rows {
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
    /// Code words in transform order: for each F-row its n values. K-rows are c0 then c1.
    code: Zeroizing<Vec<F>>,
    salts: Vec<[u8; 16]>,
    tree: Tree,
    ntt: Arc<Ntt>,
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

    fn commit(shape: Shape, data: Rows, source: &impl Source, name: &str) -> Self {
        let count = shape.rows * shape.masks();
        let stream = format!("{name}.mask");
        let masks = match data {
            Rows::Extension(_) => Rows::Extension(Zeroizing::new(source.extension(&stream, count))),
            Rows::Small(_) | Rows::Base(_) => Rows::Base(Zeroizing::new(source.base(&stream, count))),
        };
        let (code, ntt) = encode(&shape, &data, &masks);
        let salts = salts(&shape, source, name);
        let tree = hash_columns(&shape, &code, &ntt, &salts);
        Self { shape, data, masks, code, salts, tree, ntt }
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

    /// Mask entry m of row i, as an element of K.
    fn mask(&self, row: usize, m: usize) -> K {
        let at = row * self.shape.masks() + m;
        match &self.masks {
            Rows::Small(_) => K::ZERO,
            Rows::Base(masks) => K::from(masks[at]),
            Rows::Extension(masks) => masks[at],
        }
    }

    /// Σ_i `weights[i]` · data of row i.
    pub(crate) fn fold_data(&self, weights: &[K]) -> Zeroizing<Vec<K>> {
        self.data.fold(self.shape.data(), weights)
    }

    /// Σ_i `weights[i]` · masks of row i.
    pub(crate) fn fold_masks(&self, weights: &[K]) -> Zeroizing<Vec<K>> {
        self.masks.fold(self.shape.masks(), weights)
    }

    /// Masks of one row.
    pub(crate) fn mask_row(&self, row: usize) -> Vec<K> {
        (0..self.shape.masks()).map(|m| self.mask(row, m)).collect()
    }

    /// Salts and columns at these positions.
    pub(crate) fn columns(&self, positions: &[usize]) -> Vec<u8> {
        let column = |&position: &usize| {
            let mut bytes = Vec::with_capacity(self.shape.column_bytes());
            bytes.extend(self.salts.get(position).into_iter().flatten());
            push_column(&mut bytes, &self.code, self.ntt.len(), self.ntt.slot(position));
            bytes
        };
        // Every entry lies on another page: both threads fetch.
        positions.par_iter().map(column).collect::<Vec<_>>().concat()
    }

    /// Merkle siblings of these positions.
    pub(crate) fn siblings(&self, positions: &[usize]) -> Vec<[u8; 32]> {
        self.tree.siblings(positions)
    }

    pub(crate) fn ntt(&self) -> &Ntt {
        &self.ntt
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        recycle(std::mem::take(&mut *self.code));
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

/// Code words of all F-rows.
fn encode(shape: &Shape, data: &Rows, masks: &Rows) -> (Zeroizing<Vec<F>>, Arc<Ntt>) {
    let n = shape.positions();
    let ntt = Ntt::shared(shape.log_n as u32);
    let count = if shape.extension { 2 * shape.rows } else { shape.rows };
    let mut code = zeros(count * n);
    code.par_chunks_exact_mut(n).enumerate().for_each(|(i, word)| {
        let (own, rest) = word.split_at_mut(shape.data());
        data.write(i, shape.data(), own);
        masks.write(i, shape.masks(), &mut rest[..shape.masks()]);
        ntt.forward_padded(word, shape.dimension());
    });
    (Zeroizing::new(code), ntt)
}

/// Leaves or parents hashed by one task.
const TASK: usize = 512;

/// The tree over salted columns.
fn hash_columns(shape: &Shape, code: &[F], ntt: &Ntt, salts: &[[u8; 16]]) -> Tree {
    let n = ntt.len();
    let hashing = Hashing::new(shape);
    let rows: Vec<&[F]> = code.chunks_exact(n).collect();
    let head = if salts.is_empty() { 1 } else { 3 };
    // Neighbouring slots are read together; their positions are far apart.
    let mut by_slot = vec![[0; 32]; n];
    by_slot.par_chunks_mut(TASK).enumerate().for_each(|(task, out)| {
        hashing.leaves(head + rows.len(), out, |k, first, lanes| {
            let slots = task * TASK + first..;
            if k < head {
                let word = |slot| head_word(ntt.slot(slot), salts, k);
                lanes.iter_mut().zip(slots).for_each(|(lane, slot)| *lane = word(slot));
            } else {
                let row = &rows[k - head][slots];
                lanes.iter_mut().zip(row).for_each(|(lane, value)| *lane = value.value());
            }
        });
    });
    let leaves = (0..n).into_par_iter().map(|position| by_slot[ntt.slot(position)]).collect();
    let mut levels: Vec<Vec<[u8; 32]>> = vec![leaves];
    while let Some(level) = levels.last().filter(|level| level.len() > 1) {
        let mut parents = vec![[0; 32]; level.len() / 2];
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
