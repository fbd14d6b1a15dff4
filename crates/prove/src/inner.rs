//! The prover's side of the batched inner products.
//!
//! a(x) and b(x) are made by contracting each viewed tensor axis by axis (a view is separable), so a
//! convolution never becomes a matrix of patches.

use std::ops::Range;

use algebra::multilinear::{bits, eq_prefix};
use algebra::slices::{add_scaled, combine_integers, dot, dot_integers};
use algebra::small::{combine_small, dot_small};
use algebra::{F, K};
use program::lower::Ip;
use program::types::{Form, Map, View};
use rayon::prelude::*;
use verify::InnerPoints;

use crate::memory::zeros;
use crate::product::Product;
use crate::values::Values;

/// What becomes of a position axis.
#[derive(Clone)]
enum Fate {
    /// It stays: an axis of the cube.
    Kept,
    /// It is summed with these weights.
    Summed(Vec<K>),
    /// It belongs to the other factor.
    Absent,
}

/// One relation's tables.
struct Pair {
    dims: usize,
    weight: K,
    tables: Product,
    /// Σ a·b, once asked for in a round above the relation's own variables.
    sum: Option<K>,
}

/// All relations' tables.
#[derive(Default)]
pub struct Inner {
    pairs: Vec<Pair>,
}

impl Inner {
    /// Tables of the inner products; `pads` are a, b of the pad products (zk).
    pub fn build(
        values: &Values<'_>,
        points: &[InnerPoints],
        dims: &[usize],
        pads: Option<(Vec<K>, Vec<K>)>,
    ) -> Self {
        let ips = &values.lowered.ips;
        let jobs: Vec<(&Ip, &InnerPoints, usize)> =
            ips.iter().zip(points).zip(dims).map(|((ip, points), &dims)| (ip, points, dims)).collect();
        let pair = |dims, (a, b)| Pair { dims, weight: K::ONE, tables: Product::new(a, b), sum: None };
        let mut pairs: Vec<Pair> =
            jobs.into_par_iter().map(|(ip, points, dims)| pair(dims, tables(values, ip, points))).collect();
        if let Some((a, b)) = pads {
            let dims = dims[dims.len() - 1];
            let fill = |mut v: Vec<K>| {
                v.resize(1 << dims, K::ZERO);
                v
            };
            pairs.push(pair(dims, (fill(a), fill(b))));
        }
        Self { pairs }
    }

    /// Weighs relation l.
    pub fn weigh(&mut self, gammas: &[K]) {
        for (pair, &gamma) in self.pairs.iter_mut().zip(gammas) {
            pair.weight = gamma;
        }
    }

    /// c0, c2.
    pub fn round(&mut self, j: usize) -> [K; 2] {
        let mut total = [K::ZERO; 2];
        for pair in &mut self.pairs {
            if pair.dims <= j {
                let tables = &pair.tables;
                total[0] += pair.weight * *pair.sum.get_or_insert_with(|| tables.sum());
            } else {
                let [c0, c2] = pair.tables.round();
                total[0] += pair.weight * c0;
                total[1] += pair.weight * c2;
            }
        }
        total
    }

    /// Binds variable j.
    pub fn fold(&mut self, j: usize, rho: K) {
        for pair in &mut self.pairs {
            if pair.dims <= j {
                pair.weight *= K::ONE - rho;
            } else {
                pair.tables.fold(rho);
            }
        }
    }

    /// a_l, b_l.
    pub fn ends(&mut self) -> Vec<[K; 2]> {
        let end = |pair: &mut Pair| {
            let (a, b) = pair.tables.finish();
            [a[0], b[0]]
        };
        self.pairs.iter_mut().map(end).collect()
    }
}

/// a(x), b(x) over the cube of joint and sum axes.
fn tables(values: &Values<'_>, ip: &Ip, points: &InnerPoints) -> (Vec<K>, Vec<K>) {
    let cube = points.cube(ip);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let mut joint = Vec::new();
    for (axis, (&n, point)) in ip.outputs.iter().zip(&points.outputs).enumerate() {
        let weights = || Fate::Summed(eq_prefix(point, n));
        match (points.used.0[axis], points.used.1[axis]) {
            (true, true) => {
                left.push(Fate::Kept);
                right.push(Fate::Kept);
                joint.push(eq_prefix(point, n));
            }
            (true, false) => {
                left.push(weights());
                right.push(Fate::Absent);
            }
            (false, _) => {
                left.push(Fate::Absent);
                right.push(weights());
            }
        }
    }
    left.extend(ip.sums.iter().map(|_| Fate::Kept));
    right.extend(ip.sums.iter().map(|_| Fate::Kept));
    let lengths: Vec<usize> = ip.outputs.iter().chain(&ip.sums).copied().collect();
    let mut a = table(values, &ip.a, &lengths, &left, &cube);
    let b = table(values, &ip.b, &lengths, &right, &cube);
    weigh_joint(&mut a, &joint, &cube);
    (a, b)
}

/// Multiplies by eq(r_j, x_j) along the leading (joint) axes of the cube.
fn weigh_joint(table: &mut [K], joint: &[Vec<K>], cube: &[usize]) {
    let mut inner: usize = cube.iter().map(|&n| 1usize << bits(n)).product();
    for (weights, &n) in joint.iter().zip(cube) {
        let padded = 1usize << bits(n);
        inner /= padded;
        for (i, run) in table.chunks_exact_mut(inner).enumerate() {
            let weight = weights.get(i % padded).copied().unwrap_or_default();
            run.iter_mut().for_each(|x| *x *= weight);
        }
    }
}

/// A form contracted to the cube.
fn table(values: &Values<'_>, form: &Form, lengths: &[usize], fates: &[Fate], cube: &[usize]) -> Vec<K> {
    let size: usize = cube.iter().map(|&n| 1usize << bits(n)).product();
    let mut total = vec![K::ZERO; size];
    for (coef, view) in &form.0 {
        let part = contract_view(values, view, lengths, fates);
        let mut factor = K::from(F::from_i64(*coef));
        let read: Vec<usize> = view.maps.iter().flat_map(map_axes).collect();
        for (axis, fate) in fates.iter().enumerate() {
            if let (Fate::Summed(weights), false) = (fate, read.contains(&axis)) {
                factor *= weights.iter().copied().sum();
            }
        }
        spread(&mut total, &part, factor, lengths, fates);
    }
    total
}

/// A dense array over some position axes, first axis slowest.
struct Part {
    axes: Vec<usize>,
    values: Vec<K>,
}

/// Adds factor · part, broadcast over the kept axes it does not have.
fn spread(total: &mut [K], part: &Part, factor: K, lengths: &[usize], fates: &[Fate]) {
    let kept: Vec<usize> = (0..fates.len()).filter(|&axis| matches!(fates[axis], Fate::Kept)).collect();
    let stride = |axis: usize| {
        let position = part.axes.iter().position(|&own| own == axis)?;
        Some(part.axes[position + 1..].iter().map(|&later| lengths[later]).product::<usize>())
    };
    let strides: Vec<usize> = kept.iter().map(|&axis| stride(axis).unwrap_or(0)).collect();
    let Some((&last, outer)) = kept.split_last() else {
        total[0] += factor * part.values[0];
        return;
    };
    let last_stride = strides[strides.len() - 1];
    let rows: usize = outer.iter().map(|&axis| lengths[axis]).product();
    for row in 0..rows {
        let (mut rest, mut source, mut target, mut scale) = (row, 0, 0, 1usize << bits(lengths[last]));
        for (&axis, &stride) in outer.iter().zip(&strides).rev() {
            let i = rest % lengths[axis];
            rest /= lengths[axis];
            source += i * stride;
            target += i * scale;
            scale <<= bits(lengths[axis]);
        }
        if last_stride == 1 {
            let own = &part.values[source..source + lengths[last]];
            add_scaled(&mut total[target..target + lengths[last]], factor, own);
            continue;
        }
        for i in 0..lengths[last] {
            total[target + i] += factor * part.values[source + i * last_stride];
        }
    }
}

fn map_axes(map: &Map) -> Vec<usize> {
    match map {
        Map::Fix { .. } | Map::Sum => Vec::new(),
        Map::Aff { axis, .. } | Map::Gather { axis, .. } | Map::Mat { axis, .. } | Map::Pool { axis, .. } => {
            vec![usize::from(*axis)]
        }
        Map::Win { a, b, .. } | Map::Join { a, b, .. } => vec![usize::from(*a), usize::from(*b)],
    }
}

/// The entries of a tensor axis that one position reads, with their weights.
#[derive(Clone, Default)]
struct Row {
    indices: Vec<usize>,
    weights: Vec<K>,
    /// Some index does not follow the one before it.
    broken: bool,
}

impl Row {
    fn push(&mut self, index: usize, weight: K) {
        self.broken |= self.indices.last().is_some_and(|&last| last + 1 != index);
        self.indices.push(index);
        self.weights.push(weight);
    }

    /// Indices and weights.
    fn entries(&self) -> impl Iterator<Item = (usize, K)> + '_ {
        self.indices.iter().copied().zip(self.weights.iter().copied())
    }

    /// The part of an axis that is read, if it is one run.
    fn run(&self) -> Option<Range<usize>> {
        let &first = self.indices.first().filter(|_| !self.broken)?;
        Some(first..first + self.indices.len())
    }
}

/// For each tuple of kept position indices of one map: the tensor indices read and their weights.
struct Reads {
    kept: Vec<usize>,
    rows: Vec<Row>,
    /// The identity on a kept axis: nothing to do.
    plain: bool,
}

fn reads(map: &Map, n: usize, lengths: &[usize], fates: &[Fate]) -> Reads {
    let axes = map_axes(map);
    let kept: Vec<usize> = axes.iter().copied().filter(|&axis| matches!(fates[axis], Fate::Kept)).collect();
    let plain = matches!(map, Map::Aff { axis, step: 1, off: 0 }
        if lengths[usize::from(*axis)] == n && kept.len() == 1);
    let rows = kept.iter().map(|&axis| lengths[axis]).product();
    let mut reads = Reads { rows: vec![Row::default(); if plain { 0 } else { rows }], kept, plain };
    if plain {
        return reads;
    }
    let weight = |axis: usize, x: usize| match &fates[axis] {
        Fate::Summed(weights) => weights[x],
        Fate::Kept | Fate::Absent => K::ONE,
    };
    let total: usize = axes.iter().map(|&axis| lengths[axis]).product();
    for flat in 0..total {
        let tuple = match axes.as_slice() {
            [_, second] => [flat / lengths[*second], flat % lengths[*second]],
            _ => [flat, 0],
        };
        let mut row = 0;
        let mut factor = K::ONE;
        for (&axis, &x) in axes.iter().zip(&tuple) {
            if matches!(fates[axis], Fate::Kept) {
                row = row * lengths[axis] + x;
            } else {
                factor *= weight(axis, x);
            }
        }
        for_each_read(map, &tuple, n, |i, coefficient| {
            reads.rows[row]
                .push(i, if coefficient == 1 { factor } else { factor.scale(F::from_i64(coefficient)) });
        });
    }
    reads
}

/// Calls `visit(index, coefficient)` for every tensor index a map reads at these positions.
fn for_each_read(map: &Map, tuple: &[usize], n: usize, mut visit: impl FnMut(usize, i64)) {
    let at = |i: usize| tuple[i] as i64;
    let mut one = |i: i64, coefficient: i64| {
        if (0..n as i64).contains(&i) {
            visit(i as usize, coefficient);
        }
    };
    match map {
        Map::Fix { at } => one(*at, 1),
        Map::Sum => (0..n as i64).for_each(|i| one(i, 1)),
        Map::Aff { step, off, .. } => one(step * at(0) + off, 1),
        Map::Win { step, dil, off, .. } => one(step * at(0) + dil * at(1) + off, 1),
        Map::Join { m, .. } => one(i64::from(*m) * at(0) + at(1), 1),
        Map::Gather { indices, .. } => one(i64::from(indices[tuple[0]]), 1),
        Map::Mat { cols, weights, .. } => {
            let cols = *cols as usize;
            for (i, &weight) in weights[tuple[0] * cols..(tuple[0] + 1) * cols].iter().enumerate() {
                one(i as i64, weight);
            }
        }
        Map::Pool { step, dil, off, m, .. } => {
            (0..i64::from(*m)).for_each(|k| one(step * at(0) + dil * k + off, 1));
        }
    }
}

/// Integers until the first contraction, then elements of K.
enum Work {
    Integers(std::sync::Arc<[i64]>),
    Elements(Vec<K>),
}

/// Contracts a view's tensor, one tensor axis after the other, those that vanish first.
fn contract_view(values: &Values<'_>, view: &View, lengths: &[usize], fates: &[Fate]) -> Part {
    let dims = &values.lowered.tensors[view.tensor as usize].axes;
    let plans: Vec<Reads> =
        view.maps.iter().zip(dims).map(|(map, &n)| reads(map, n, lengths, fates)).collect();
    let mut sizes: Vec<usize> = dims.clone();
    let mut work = Work::Integers(values.shared(view.tensor));
    let mut order: Vec<usize> = (0..plans.len()).filter(|&t| !plans[t].plain).collect();
    // Largest reduction first.
    order.sort_by_key(|&t| (plans[t].rows.len() * 1024) / dims[t].max(1));
    for t in order {
        let (outer, inner) = (sizes[..t].iter().product(), sizes[t + 1..].iter().product());
        work = Work::Elements(match &work {
            Work::Integers(data) => match values.assignment.small(view.tensor) {
                Some(small) => apply_small(small, &plans[t].rows, (outer, sizes[t], inner)),
                None => apply_integers(data, &plans[t].rows, (outer, sizes[t], inner)),
            },
            Work::Elements(data) => apply_elements(data, &plans[t].rows, (outer, sizes[t], inner)),
        });
        sizes[t] = plans[t].rows.len();
    }
    let axes = plans.into_iter().flat_map(|plan| plan.kept).collect();
    let values = match work {
        Work::Integers(data) => data.iter().map(|&x| K::from(F::from_i64(x))).collect(),
        Work::Elements(data) => data,
    };
    Part { axes, values }
}

type Sizes = (usize, usize, usize);

/// `new[o]`[row][i] = Σ w · `old[o]`[index][i] over integers, by these two kernels.
fn apply_whole<T: Sync>(
    data: &[T],
    rows: &[Row],
    (outer, n, inner): Sizes,
    dot: fn(&[K], &[T]) -> K,
    combine: fn(&mut [K], &[K], &[&[T]]),
) -> Vec<K> {
    fill(outer * rows.len(), inner, |job, first, out| {
        let (o, row) = (job / rows.len(), &rows[job % rows.len()]);
        let own = &data[o * n * inner..(o + 1) * n * inner];
        match row.run().filter(|_| inner == 1) {
            Some(run) => out[0] = dot(&row.weights, &own[run]),
            None => {
                let part = |index: usize| &own[index * inner + first..][..out.len()];
                let parts: Vec<&[T]> = row.indices.iter().map(|&index| part(index)).collect();
                combine(out, &row.weights, &parts);
            }
        }
    })
}

fn apply_integers(data: &[i64], rows: &[Row], sizes: Sizes) -> Vec<K> {
    apply_whole(data, rows, sizes, dot_integers, combine_integers)
}

fn apply_small(data: &[i16], rows: &[Row], sizes: Sizes) -> Vec<K> {
    apply_whole(data, rows, sizes, dot_small, combine_small)
}

fn apply_elements(data: &[K], rows: &[Row], (outer, n, inner): Sizes) -> Vec<K> {
    fill(outer * rows.len(), inner, |job, first, out| {
        let (o, row) = (job / rows.len(), &rows[job % rows.len()]);
        let own = &data[o * n * inner..(o + 1) * n * inner];
        match row.run().filter(|_| inner == 1) {
            Some(run) => out[0] = dot(&row.weights, &own[run]),
            None => {
                for (index, weight) in row.entries() {
                    add_scaled(out, weight, &own[index * inner + first..][..out.len()]);
                }
            }
        }
    })
}

/// Entries of one job of [`fill`].
const RUN: usize = 1 << 10;

/// Makes `jobs` runs of `inner` entries; `one` gets a job's number, the first entry and the entries to fill.
fn fill(jobs: usize, inner: usize, one: impl Fn(usize, usize, &mut [K]) + Sync) -> Vec<K> {
    let mut out = zeros(jobs * inner);
    if inner > RUN {
        let runs = |(job, part): (usize, &mut [K])| {
            part.par_chunks_mut(RUN).enumerate().for_each(|(i, run)| one(job, i * RUN, run));
        };
        out.par_chunks_exact_mut(inner).enumerate().for_each(runs);
    } else if let Some(least) = 64usize.checked_div(inner) {
        out.par_chunks_exact_mut(inner)
            .enumerate()
            .with_min_len(least.max(1))
            .for_each(|(job, part)| one(job, 0, part));
    }
    out
}
