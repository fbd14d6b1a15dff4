//! The tree of fractions of the lookup argument.

use algebra::layout::runs;
use algebra::multilinear::eq_table;
use algebra::slices::{
    Halves, Quarters, add_scaled_integers, bind, fraction_bind_round, fraction_layer, fraction_round,
};
use algebra::{F, K};
use rayon::prelude::*;
use verify::{LookupChallenges, Setup};
use zeroize::Zeroize;

use crate::values::{Values, form_values};

/// Loops below this size are not split between threads.
pub(crate) const GRAIN: usize = 1 << 11;

/// (1-ρ)·low + ρ·high, in place; the vector is halved.
pub(crate) fn bind_top(values: &mut Vec<K>, rho: K) {
    let half = values.len() / 2;
    let (low, high) = values.split_at_mut(half);
    if half > GRAIN {
        low.par_chunks_mut(GRAIN).zip(high.par_chunks(GRAIN)).for_each(|(l, h)| bind(l, h, rho));
    } else {
        bind(low, high, rho);
    }
    values.truncate(half);
}

/// The prover's side of LogUp-GKR.
#[derive(Default)]
pub struct Tree {
    /// `layers[k]`: numerators and denominators of layer k, for k = 0..=ℓ.
    layers: Vec<(Vec<K>, Vec<K>)>,
    /// p0, p1, q0, q1 of the layer in work.
    parts: [Vec<K>; 4],
    /// The point of the layer's claim.
    point: Vec<K>,
    /// eq of the point's first variables, at most [`NEAR`] of them.
    near: Vec<K>,
    /// A challenge the parts are not bound to yet: the next round binds them in its own pass.
    pending: Option<K>,
    nu: K,
}

impl Drop for Tree {
    fn drop(&mut self) {
        for (p, q) in &mut self.layers {
            p.zeroize();
            q.zeroize();
        }
        self.parts.iter_mut().for_each(Zeroize::zeroize);
    }
}

/// Sums are cut into runs of 2^NEAR: one table of eq serves all runs and stays in the cache.
const NEAR: usize = 10;

impl Tree {
    /// All layers from the leaves.
    pub fn build(setup: &Setup, values: &Values<'_>, challenges: &LookupChallenges) -> Self {
        let (mut p, mut q) = leaves(setup, values, challenges);
        let mut layers = Vec::with_capacity(setup.layers + 1);
        while p.len() > 1 {
            let half = p.len() / 2;
            let mut above = (vec![K::ZERO; half], vec![K::ZERO; half]);
            let ((p0, p1), (q0, q1)) = (p.split_at(half), q.split_at(half));
            let outputs = above.0.par_chunks_mut(GRAIN).zip(above.1.par_chunks_mut(GRAIN));
            let low = p0.par_chunks(GRAIN).zip(q0.par_chunks(GRAIN));
            let high = p1.par_chunks(GRAIN).zip(q1.par_chunks(GRAIN));
            outputs.zip(low.zip(high)).for_each(|((p, q), (low, high))| fraction_layer(p, q, low, high));
            layers.push((p, q));
            (p, q) = above;
        }
        layers.push((p, q));
        layers.reverse();
        let mut tree = Self::default();
        tree.layers = layers;
        tree
    }

    /// Moves layer k + 1 out as p0, p1, q0, q1.
    fn take(&mut self, k: usize) -> [Vec<K>; 4] {
        let (mut p, mut q) = std::mem::take(&mut self.layers[k + 1]);
        let p1 = p.split_off(p.len() / 2);
        let q1 = q.split_off(q.len() / 2);
        [p, p1, q, q1]
    }

    /// Values of layer 0.
    pub fn root_fractions(&mut self) -> [K; 4] {
        self.take(0).map(|part| part[0])
    }

    /// Starts layer k.
    pub fn start(&mut self, k: usize, point: &[K], nu: K) {
        self.parts = self.take(k);
        self.nu = nu;
        self.near = eq_table(&point[..NEAR.min(k.saturating_sub(1))]);
        self.point = point.to_vec();
    }

    /// h(0), h(∞) of the round that binds variable j.
    pub fn round(&mut self, j: usize) -> [K; 2] {
        let near = NEAR.min(j);
        let far = eq_table(&self.point[near..j]);
        // The first 2^near entries of eq of more variables do not sum to 1: take the table of just these.
        let narrow;
        let eq = if 1 << near == self.near.len() {
            self.near.as_slice()
        } else {
            narrow = eq_table(&self.point[..near]);
            narrow.as_slice()
        };
        let (pending, nu) = (self.pending.take(), self.nu);
        let half = 1usize << j;
        let sums = match pending {
            Some(rho) => {
                let parts = self.parts.each_mut().map(|part| quarters(part, half, 1 << near));
                let [p0, p1, q0, q1] = parts;
                let jobs = p0.into_iter().zip(p1).zip(q0.into_iter().zip(q1)).zip(&far);
                let jobs: Vec<_> = jobs.map(|(((a, b), (c, d)), &far)| ([a, b, c, d], far)).collect();
                total(jobs, |(parts, far)| fraction_bind_round(eq, parts, rho, nu).map(|x| far * x))
            }
            None => {
                let parts = &self.parts;
                let runs: Vec<(usize, K)> = far.iter().copied().enumerate().collect();
                total(runs, |(run, far)| {
                    let [p0, p1, q0, q1] = parts;
                    let halves = [p0, p1, q0, q1].map(|part| halves(part, half, run << near, 1 << near));
                    fraction_round(eq, halves, nu).map(|x| far * x)
                })
            }
        };
        if pending.is_some() {
            self.parts.iter_mut().for_each(|part| part.truncate(2 * half));
        }
        sums
    }

    /// Binds the top variable.
    pub fn fold(&mut self, rho: K) {
        debug_assert!(self.pending.is_none(), "a round comes between two folds");
        self.pending = Some(rho);
    }

    /// Values at the bound point.
    pub fn end(&mut self) -> [K; 4] {
        if let Some(rho) = self.pending.take() {
            self.parts.iter_mut().for_each(|part| bind_top(part, rho));
        }
        [0, 1, 2, 3].map(|i: usize| self.parts[i][0])
    }
}

/// A run of both halves of a vector of 2·half entries.
fn halves(values: &[K], half: usize, from: usize, length: usize) -> Halves<'_, K> {
    Halves { low: &values[from..from + length], high: &values[half + from..half + from + length] }
}

/// Cuts a vector of 4·half entries into its quarters, and these into runs.
pub(crate) fn quarters(values: &mut [K], half: usize, run: usize) -> Vec<Quarters<'_>> {
    let (low, high) = values.split_at_mut(2 * half);
    let (q0, q1) = low.split_at_mut(half);
    let (q2, q3) = high.split_at(half);
    let bound = q0.chunks_mut(run).zip(q1.chunks_mut(run));
    let read = q2.chunks(run).zip(q3.chunks(run));
    bound.zip(read).map(|((q0, q1), (q2, q3))| Quarters { q0, q1, q2, q3 }).collect()
}

/// Sums of pairs over jobs, in parallel if there are several.
pub(crate) fn total<J: Send>(jobs: Vec<J>, job: impl Fn(J) -> [K; 2] + Sync + Send) -> [K; 2] {
    let add = |[a, b]: [K; 2], [c, d]: [K; 2]| [a + c, b + d];
    match jobs.len() {
        0..=2 => jobs.into_iter().map(job).fold([K::ZERO; 2], add),
        _ => jobs.into_par_iter().map(job).reduce(|| [K::ZERO; 2], add),
    }
}

/// Numerators and denominators of all leaves.
fn leaves(setup: &Setup, values: &Values<'_>, challenges: &LookupChallenges) -> (Vec<K>, Vec<K>) {
    let size = 1usize << setup.layers;
    let (mut p, mut q) = (vec![K::ZERO; size], vec![K::ONE; size]);
    let lowered = &setup.lowered;
    let count = lowered.looks.len();
    let mut dense: Vec<(Vec<K>, Vec<K>, Vec<usize>)> = Vec::new();
    for look in &lowered.looks {
        let entries = look.axes.iter().product();
        let mut denominators = vec![challenges.base(look.table); entries];
        for (form, &beta) in look.coords.iter().zip(&challenges.betas) {
            let coordinates = form_values(form, &look.axes, values);
            let runs = denominators.par_chunks_mut(GRAIN).zip(coordinates.par_chunks(GRAIN));
            runs.for_each(|(d, c)| add_scaled_integers(d, -beta, c));
        }
        dense.push((vec![K::ONE; entries], denominators, look.axes.clone()));
    }
    for (number, table) in lowered.tables.iter().enumerate() {
        let axes: Vec<usize> = table.keys.iter().map(|&(_, n)| n).collect();
        let multiplicities = values.of(table.multiplicity);
        let mut numerators = Vec::with_capacity(multiplicities.len());
        let mut denominators = Vec::with_capacity(multiplicities.len());
        for (row, &multiplicity) in multiplicities.iter().enumerate() {
            let mut rest = row;
            let mut keys: Vec<i64> = Vec::with_capacity(axes.len());
            for &(least, n) in table.keys.iter().rev() {
                keys.push(least + (rest % n) as i64);
                rest /= n;
            }
            let outs = table.outs.iter().map(|out| out[row]);
            let coordinates = keys.into_iter().rev().chain(outs);
            let sum: K = coordinates.zip(&challenges.betas).map(|(c, beta)| beta.scale(F::from_i64(c))).sum();
            numerators.push(-K::from(F::from_i64(multiplicity)));
            denominators.push(challenges.base(number) - sum);
        }
        dense.push((numerators, denominators, axes));
    }
    debug_assert_eq!(dense.len(), count + lowered.tables.len());
    for block in &setup.leaves.blocks {
        let (numerators, denominators, axes) = &dense[block.tensor];
        runs(block, axes, |address, index, n| {
            p[address..address + n].copy_from_slice(&numerators[index..index + n]);
            q[address..address + n].copy_from_slice(&denominators[index..index + n]);
        });
    }
    (p, q)
}
