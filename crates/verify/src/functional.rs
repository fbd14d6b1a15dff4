//! Forms pulled back to functionals of tensors (spec A1-A8).

use std::cell::OnceCell;
use std::sync::Arc;

use algebra::multilinear::{eq_table, selector};
use algebra::slices::{dot, dot_integers};
use algebra::{F, K};
use program::lower::Place;
use program::types::{Form, Map, View};
use sumcheck::{Axis, Expr, Term};

use crate::Setup;
use crate::address::Address;
use crate::setup::map_axes;

/// A vector over a position axis of this length.
#[derive(Clone, Debug)]
pub struct Position {
    /// The vector.
    vector: Axis,
    /// Length of the axis.
    length: usize,
    /// See [`Self::run`]; made when it is asked for.
    run: OnceCell<(usize, Arc<[K]>)>,
}

impl Position {
    /// A vector over an axis of this length.
    pub fn new(vector: Axis, length: usize) -> Self {
        Self { vector, length, run: OnceCell::new() }
    }

    /// eq(r, ·).
    pub fn eq(point: impl Into<Arc<[K]>>, length: usize) -> Self {
        Self::new(Axis::Eq(point.into()), length)
    }

    /// Given values.
    pub fn dense(values: Vec<K>) -> Self {
        let length = values.len();
        Self::new(Axis::Dense(values.into()), length)
    }

    /// The run of entries that may not be zero: index of its first, and its values.
    fn run(&self) -> (usize, &[K]) {
        let (first, values) = self.run.get_or_init(|| match &self.vector {
            Axis::EqChunk(chunk, _) => (chunk.off, self.vector.on_chunk(*chunk).into()),
            Axis::Unit(i) => (*i, [K::ONE].into()),
            Axis::Dense(values) => (0, Arc::clone(values)),
            other => (0, other.dense(self.length).into()),
        });
        (*first, values)
    }

    /// The same as pairs (index, value).
    fn entries(&self) -> impl Iterator<Item = (usize, K)> {
        let (first, values) = self.run();
        (first..).zip(values.iter().copied())
    }

    fn sum(&self) -> K {
        match &self.vector {
            Axis::EqChunk(..) | Axis::Unit(_) => K::ONE,
            Axis::Eq(r) => algebra::layout::chunks(self.length)
                .into_iter()
                .map(|chunk| selector(r, chunk.off, chunk.log))
                .sum(),
            Axis::Ones => K::from(F::new(u64::try_from(self.length).unwrap_or(0))),
            Axis::Dense(values) => values.iter().copied().sum(),
        }
    }
}

/// step·x + off as an index below `length`.
fn index(step: i64, x: usize, off: i64, length: usize) -> Option<usize> {
    let x = i64::try_from(x).ok()?;
    let i = step.checked_mul(x)?.checked_add(off)?;
    usize::try_from(i).ok().filter(|&i| i < length)
}

/// The vector on a tensor axis of length n that a map makes of position vectors. None: zero.
fn adjoint(map: &Map, positions: &[Option<Position>], n: usize) -> Option<Axis> {
    let at = |axis: u8| positions.get(usize::from(axis)).and_then(Option::as_ref);
    match map {
        Map::Fix { at } => return usize::try_from(*at).ok().filter(|&i| i < n).map(Axis::Unit),
        Map::Sum => return Some(Axis::Ones),
        Map::Aff { axis, step: 1, off: 0 } if at(*axis)?.length == n => {
            return Some(at(*axis)?.vector.clone());
        }
        _ => {}
    }
    let mut values = vec![K::ZERO; n];
    let mut add = |i: Option<usize>, x: K| {
        if let Some(slot) = i.and_then(|i| values.get_mut(i)) {
            *slot += x;
        }
    };
    match map {
        Map::Fix { .. } | Map::Sum => {}
        Map::Aff { axis, step, off } => {
            for (x, value) in at(*axis)?.entries() {
                add(index(*step, x, *off, n), value);
            }
        }
        Map::Win { a, b, step, dil, off } => {
            let (f, g) = (at(*a)?, at(*b)?);
            for (x, value) in f.entries() {
                let start = step.checked_mul(i64::try_from(x).ok()?)?.checked_add(*off)?;
                for (y, other) in g.entries() {
                    add(index(*dil, y, start, n), value * other);
                }
            }
        }
        Map::Join { a, b, m } => {
            let (f, g) = (at(*a)?, at(*b)?);
            let m = usize::try_from(*m).ok()?;
            for (x, value) in f.entries() {
                for (y, other) in g.entries() {
                    add(x.checked_mul(m).and_then(|i| i.checked_add(y)), value * other);
                }
            }
        }
        Map::Gather { axis, indices } => {
            for (x, value) in at(*axis)?.entries() {
                add(indices.get(x).and_then(|&i| usize::try_from(i).ok()), value);
            }
        }
        Map::Mat { axis, cols, weights, .. } => {
            let cols = usize::try_from(*cols).ok().filter(|&cols| cols > 0)?;
            for (x, value) in at(*axis)?.entries() {
                for (i, &weight) in weights.chunks_exact(cols).nth(x)?.iter().enumerate() {
                    add(Some(i), value.scale(F::from_i64(weight)));
                }
            }
        }
        Map::Pool { axis, step, dil, off, m } => {
            for (x, value) in at(*axis)?.entries() {
                let start = step.checked_mul(i64::try_from(x).ok()?)?.checked_add(*off)?;
                for k in 0..usize::try_from(*m).ok()? {
                    add(index(*dil, k, start, n), value);
                }
            }
        }
    }
    Some(Axis::Dense(values.into()))
}

/// Σ_x ∏_a `f_a[x_a]` · `form[x]`, as an expression. Position axes that are `None` are left out of the
/// sum (they belong to the other factor of an inner product).
pub fn form_expr(setup: &Setup, form: &Form, positions: &[Option<Position>]) -> Expr {
    let mut total = Expr::default();
    for (coef, view) in &form.0 {
        let Some((factor, axes)) = pull_back(setup, view, positions) else { continue };
        let coef = factor.scale(F::from_i64(*coef));
        match setup.placed(view.tensor).map(|placed| placed.place) {
            Some(Place::Const | Place::Slot | Place::Ones) => {
                total.constant += coef * public_value(setup, view.tensor, &axes);
            }
            Some(Place::Fresh | Place::Model | Place::Committed(_)) => {
                total.terms.push(Term { coef, tensor: view.tensor, axes });
            }
            None => {}
        }
    }
    total
}

/// Axis vectors of the viewed tensor, and the factor of the position axes the view does not read.
fn pull_back(setup: &Setup, view: &View, positions: &[Option<Position>]) -> Option<(K, Vec<Axis>)> {
    let lengths = setup.axes(view.tensor);
    let mut axes = Vec::with_capacity(view.maps.len());
    for (map, &n) in view.maps.iter().zip(lengths) {
        axes.push(adjoint(map, positions, n)?);
    }
    let is_read = |axis: u8| view.maps.iter().any(|map| map_axes(map).any(|read| read == axis));
    let unread = positions.iter().zip(0u8..).filter(|&(_, axis)| !is_read(axis));
    let factor = unread.filter_map(|(position, _)| position.as_ref()).map(Position::sum).product();
    Some((factor, axes))
}

/// Σ_idx `T[idx]` ∏_a `axes_a[idx_a]` for a public tensor.
pub fn public_value(setup: &Setup, tensor: u32, axes: &[Axis]) -> K {
    let Some(placed) = setup.placed(tensor) else { return K::ZERO };
    let vectors: Vec<Position> = axes
        .iter()
        .zip(&placed.axes)
        .map(|(vector, &length)| Position::new(vector.clone(), length))
        .collect();
    match &placed.content {
        None => vectors.iter().map(Position::sum).product(),
        Some(content) => contract(content, &vectors),
    }
}

/// Contracts a dense row-major integer tensor with one vector per axis.
pub(crate) fn contract(content: &[i64], vectors: &[Position]) -> K {
    let Some((last, outer)) = vectors.split_last() else {
        return content.first().map_or(K::ZERO, |&x| K::from(F::from_i64(x)));
    };
    let rows = content.chunks_exact(last.length.max(1));
    let mut values: Vec<K> = if let Axis::EqChunk(chunk, point) = &last.vector {
        let (low, high) = point.split_at(point.len().div_ceil(2));
        let (low, high) = (eq_table(low), eq_table(high));
        rows.map(|row| eq_sum(&low, &high, row.get(chunk.off..).unwrap_or_default())).collect()
    } else {
        let (first, weights) = last.run();
        rows.map(|row| dot_integers(weights, row.get(first..).unwrap_or_default())).collect()
    };
    for vector in outer.iter().rev() {
        let (first, weights) = vector.run();
        let sum = |row: &[K]| dot(weights, row.get(first..).unwrap_or_default());
        values = values.chunks_exact(vector.length.max(1)).map(sum).collect();
    }
    values.first().copied().unwrap_or_default()
}

/// Σ x·eq of a point whose low coordinates have one table of eq and whose high ones another: the table
/// of all coordinates, as long as their product, is not made.
fn eq_sum(low: &[K], high: &[K], row: &[i64]) -> K {
    let runs: Vec<K> = row.chunks(low.len().max(1)).map(|run| dot_integers(low, run)).collect();
    dot(high, &runs)
}

/// The batched functional, split by oracle, ready to be evaluated at address points.
pub struct Functionals<'a> {
    setup: &'a Setup,
    /// Terms per oracle of level 0.
    pub terms: Vec<Vec<Term>>,
}

impl<'a> Functionals<'a> {
    /// Splits a batched expression: terms, pads and products become terms on their oracles.
    pub fn new(setup: &'a Setup, batch: Expr) -> (K, Self) {
        let mut terms: Vec<Vec<Term>> = vec![Vec::new(); setup.groups.len()];
        let mut put = |term: Term| {
            let home = usize::try_from(term.tensor).ok().and_then(|t| setup.homes.get(t).copied().flatten());
            if let Some(list) = home.and_then(|(group, _)| terms.get_mut(group)) {
                list.push(term);
            }
        };
        if let Some((pad, product)) = setup.pad_tensors {
            let pair = Axis::Dense(Arc::from([K::ONE, K::SQRT7]));
            for (tensor, sparse) in [(pad, &batch.pads), (product, &batch.products)] {
                let length = setup.axes(tensor).first().copied().unwrap_or(0);
                let mut values = vec![K::ZERO; length];
                for &(i, x) in sparse {
                    if let Some(slot) = values.get_mut(i) {
                        *slot += x;
                    }
                }
                let axes = vec![Axis::Dense(values.into()), pair.clone()];
                put(Term { coef: K::ONE, tensor, axes });
            }
        }
        batch.terms.into_iter().for_each(put);
        (batch.constant, Self { setup, terms })
    }

    /// The multilinear extension of oracle a's functional at an address point (spec A2).
    pub fn at(&self, oracle: usize, zeta: &[K]) -> K {
        let (Some(group), Some(terms)) = (self.setup.groups.get(oracle), self.terms.get(oracle)) else {
            return K::ZERO;
        };
        let mut address = Address::new(group, zeta);
        let place = |tensor: u32| usize::try_from(tensor).ok().and_then(|t| *self.setup.homes.get(t)?);
        let mut total = K::ZERO;
        for term in terms {
            if let Some(own) = place(term.tensor).and_then(|(_, index)| group.blocks.get(index)) {
                total += term.coef * address.value(&term.axes, own);
            }
        }
        total
    }
}
