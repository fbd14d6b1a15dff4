//! The tree of fractions of the lookup argument.

use algebra::layout::{Block, runs};
use algebra::multilinear::eq_table;
use algebra::slices::{
    Halves, Quarters, add_scaled_integers, bind, fraction_bind_round, fraction_layer, fraction_round,
};
use algebra::{F, K};
use program::lower::{Look, Lowered};
use rayon::prelude::*;
use verify::{LookupChallenges, Setup};

use crate::memory::{filled, recycle, zeros};
use crate::values::{Values, form_values};

/// Loops below this size are not split between threads.
pub(crate) const GRAIN: usize = 1 << 11;

/// `low` ← (1-ρ)·low + ρ·high.
pub(crate) fn bind_halves(low: &mut [K], high: &[K], rho: K) {
    if low.len() > GRAIN {
        low.par_chunks_mut(GRAIN).zip(high.par_chunks(GRAIN)).for_each(|(l, h)| bind(l, h, rho));
    } else {
        bind(low, high, rho);
    }
}

/// The prover's side of LogUp-GKR.
#[derive(Default)]
pub struct Tree {
    /// `layers[k]`: numerators and denominators of layer k, for k = 0..=ℓ.
    layers: Vec<(Vec<K>, Vec<K>)>,
    /// The layer in work: p0 then p1, q0 then q1, each half as long as it was given.
    work: (Vec<K>, Vec<K>),
    /// Length of p0, p1, q0 and q1 as bound so far.
    length: usize,
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
        let work = std::mem::take(&mut self.work);
        for (p, q) in self.layers.drain(..).chain([work]) {
            recycle(p);
            recycle(q);
        }
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
            let mut above = (zeros(half), zeros(half));
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

    /// Takes layer k + 1 into work.
    fn take(&mut self, k: usize) {
        let (p, q) = std::mem::replace(&mut self.work, std::mem::take(&mut self.layers[k + 1]));
        recycle(p);
        recycle(q);
        self.length = self.work.0.len() / 2;
    }

    /// p0, p1, q0, q1.
    fn parts(&mut self) -> [&mut [K]; 4] {
        let half = self.work.0.len() / 2;
        let (p0, p1) = self.work.0.split_at_mut(half);
        let (q0, q1) = self.work.1.split_at_mut(half);
        [p0, p1, q0, q1].map(|part| &mut part[..self.length])
    }

    /// Values of layer 0.
    pub fn root_fractions(&mut self) -> [K; 4] {
        self.take(0);
        self.parts().map(|part| part[0])
    }

    /// Starts layer k.
    pub fn start(&mut self, k: usize, point: &[K], nu: K) {
        self.take(k);
        self.nu = nu;
        self.near = eq_table(&point[..NEAR.min(k.saturating_sub(1))]);
        self.point = point.to_vec();
    }

    /// h(0), h(∞) of the round that binds variable j.
    pub fn round(&mut self, j: usize) -> [K; 2] {
        let near = NEAR.min(j);
        let far = eq_table(&self.point[near..j]);
        // The first 2^near entries of eq of more variables do not sum to 1: take the table of just these.
        let narrow = match std::mem::take(&mut self.near) {
            table if table.len() == 1 << near => table,
            _ => eq_table(&self.point[..near]),
        };
        let eq = narrow.as_slice();
        let (pending, nu) = (self.pending.take(), self.nu);
        let half = 1usize << j;
        let sums = match pending {
            Some(rho) => {
                let [p0, p1, q0, q1] = self.parts().map(|part| quarters(part, half, 1 << near));
                let jobs = p0.into_iter().zip(p1).zip(q0.into_iter().zip(q1)).zip(&far);
                let jobs: Vec<_> = jobs.map(|(((a, b), (c, d)), &far)| ([a, b, c, d], far)).collect();
                total(jobs, |(parts, far)| fraction_bind_round(eq, parts, rho, nu).map(|x| far * x))
            }
            None => {
                let parts = self.parts().map(|part| &*part);
                let runs: Vec<(usize, K)> = far.iter().copied().enumerate().collect();
                total(runs, |(run, far)| {
                    let halves = parts.map(|part| halves(part, half, run << near, 1 << near));
                    fraction_round(eq, halves, nu).map(|x| far * x)
                })
            }
        };
        self.length = 2 * half;
        self.near = narrow;
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
            let half = self.length / 2;
            for part in self.parts() {
                let (low, high) = part.split_at_mut(half);
                bind_halves(low, high, rho);
            }
            self.length = half;
        }
        self.parts().map(|part| part[0])
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

/// The leaves of one block: numerators and denominators.
type Own<'a> = (&'a Block, &'a mut [K], &'a mut [K]);

/// Numerators and denominators of all leaves.
fn leaves(setup: &Setup, values: &Values<'_>, challenges: &LookupChallenges) -> (Vec<K>, Vec<K>) {
    let size = 1usize << setup.layers;
    let (mut p, mut q) = (zeros(size), filled(K::ONE, size));
    let lowered = &setup.lowered;
    let mut owners: Vec<Vec<Own<'_>>> = Vec::new();
    owners.resize_with(lowered.looks.len() + lowered.tables.len(), Vec::new);
    let (mut p_left, mut q_left) = (p.as_mut_slice(), q.as_mut_slice());
    // Blocks lie end to end from address 0; looks come first, then tables.
    for block in &setup.leaves.blocks {
        let (own_p, rest) = std::mem::take(&mut p_left).split_at_mut(1 << block.log);
        p_left = rest;
        let (own_q, rest) = std::mem::take(&mut q_left).split_at_mut(1 << block.log);
        q_left = rest;
        owners[block.tensor].push((block, own_p, own_q));
    }
    owners.into_par_iter().enumerate().for_each(|(number, blocks)| match lowered.looks.get(number) {
        Some(look) => look_leaves(look, blocks, values, challenges),
        None => table_leaves(lowered, number - lowered.looks.len(), blocks, values, challenges),
    });
    (p, q)
}

/// Leaves of a lookup: 1 over base − Σ β·coordinate.
fn look_leaves(look: &Look, blocks: Vec<Own<'_>>, values: &Values<'_>, challenges: &LookupChallenges) {
    let base = challenges.base(look.table);
    let coordinates: Vec<Vec<i64>> =
        look.coords.iter().map(|form| form_values(form, &look.axes, values)).collect();
    blocks.into_par_iter().for_each(|(block, p, q)| {
        p.par_chunks_mut(GRAIN).for_each(|p| p.fill(K::ONE));
        runs(block, &look.axes, |address, index, n| {
            let own = &mut q[address - block.off..][..n];
            own.par_chunks_mut(GRAIN).enumerate().for_each(|(i, q)| {
                let from = index + i * GRAIN;
                q.fill(base);
                for (coordinate, &beta) in coordinates.iter().zip(&challenges.betas) {
                    add_scaled_integers(q, -beta, &coordinate[from..from + q.len()]);
                }
            });
        });
    });
}

/// Leaves of a table: −multiplicity over base − Σ β·entry.
fn table_leaves(
    lowered: &Lowered,
    number: usize,
    blocks: Vec<Own<'_>>,
    values: &Values<'_>,
    challenges: &LookupChallenges,
) {
    let table = &lowered.tables[number];
    let base = challenges.base(number);
    let axes: Vec<usize> = table.keys.iter().map(|&(_, n)| n).collect();
    let multiplicities = values.of(table.multiplicity);
    let denominator = |row: usize| {
        let mut rest = row;
        let mut keys: Vec<i64> = Vec::with_capacity(axes.len());
        for &(least, n) in table.keys.iter().rev() {
            keys.push(least + (rest % n) as i64);
            rest /= n;
        }
        let outs = table.outs.iter().map(|out| out[row]);
        let coordinates = keys.into_iter().rev().chain(outs);
        base - coordinates.zip(&challenges.betas).map(|(c, beta)| beta.scale(F::from_i64(c))).sum()
    };
    blocks.into_par_iter().for_each(|(block, p, q)| {
        runs(block, &axes, |address, index, n| {
            let at = address - block.off;
            let own = p[at..at + n].par_chunks_mut(GRAIN).zip(q[at..at + n].par_chunks_mut(GRAIN));
            own.enumerate().for_each(|(i, (p, q))| {
                for (row, (p, q)) in (index + i * GRAIN..).zip(p.iter_mut().zip(q)) {
                    *p = -K::from(F::from_i64(multiplicities[row]));
                    *q = denominator(row);
                }
            });
        });
    });
}
