//! The tree of fractions of the lookup argument.

use algebra::layout::runs;
use algebra::{F, K};
use rayon::prelude::*;
use verify::{LookupChallenges, Setup};
use zeroize::Zeroize;

use crate::values::{Values, form_values};

/// Sums below this size are not split between threads.
const GRAIN: usize = 1 << 11;

/// The prover's side of LogUp-GKR.
#[derive(Default)]
pub struct Tree {
    /// `layers[k]`: numerators and denominators of layer k, for k = 0..=ℓ.
    layers: Vec<(Vec<K>, Vec<K>)>,
    /// p0, p1, q0, q1 of the layer in work.
    parts: [Vec<K>; 4],
    /// eq(r_{<j}, ·) for j below the layer's number.
    eqs: Vec<Vec<K>>,
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

/// (1-ρ)·low + ρ·high, in place; the vector is halved.
pub(crate) fn bind_top(values: &mut Vec<K>, rho: K) {
    let half = values.len() / 2;
    let (low, high) = values.split_at_mut(half);
    if half >= GRAIN {
        low.par_iter_mut().zip(&*high).with_min_len(GRAIN).for_each(|(l, &h)| *l += rho * (h - *l));
    } else {
        low.iter_mut().zip(&*high).for_each(|(l, &h)| *l += rho * (h - *l));
    }
    values.truncate(half);
}

/// Two sums over 0..n of pairs.
pub(crate) fn sum_pairs(n: usize, term: impl Fn(usize) -> (K, K) + Sync) -> (K, K) {
    let add = |(a, b): (K, K), (c, d): (K, K)| (a + c, b + d);
    let zero = || (K::ZERO, K::ZERO);
    if n >= GRAIN {
        (0..n).into_par_iter().with_min_len(GRAIN).fold(zero, |sum, i| add(sum, term(i))).reduce(zero, add)
    } else {
        (0..n).fold(zero(), |sum, i| add(sum, term(i)))
    }
}

impl Tree {
    /// All layers from the leaves.
    pub fn build(setup: &Setup, values: &Values<'_>, challenges: &LookupChallenges) -> Self {
        let (mut p, mut q) = leaves(setup, values, challenges);
        let mut layers = Vec::with_capacity(setup.layers + 1);
        while p.len() > 1 {
            let half = p.len() / 2;
            let ((p0, p1), (q0, q1)) = (p.split_at(half), q.split_at(half));
            let above: (Vec<K>, Vec<K>) = (0..half)
                .into_par_iter()
                .with_min_len(GRAIN)
                .map(|i| (p0[i] * q1[i] + p1[i] * q0[i], q0[i] * q1[i]))
                .unzip();
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
        self.eqs = vec![vec![K::ONE]];
        for &x in point.iter().take(k.saturating_sub(1)) {
            let last = &self.eqs[self.eqs.len() - 1];
            let high: Vec<K> = last.iter().map(|&e| e * x).collect();
            let low = last.iter().zip(&high).map(|(&e, &h)| e - h);
            self.eqs.push(low.chain(high.iter().copied()).collect());
        }
    }

    /// h(0), h(∞).
    pub fn round(&self, j: usize) -> [K; 2] {
        let half = 1 << j;
        let [p0, p1, q0, q1] = &self.parts;
        let (eq, nu) = (&self.eqs[j], self.nu);
        // p0·q1 + p1·q0 + ν·q0·q1
        let gate = |p0: K, p1: K, q0: K, q1: K| p0 * q1 + q0 * (p1 + nu * q1);
        let (low, top) = sum_pairs(half, |x| {
            let y = x + half;
            let at_zero = gate(p0[x], p1[x], q0[x], q1[x]);
            let at_top = gate(p0[y] - p0[x], p1[y] - p1[x], q0[y] - q0[x], q1[y] - q1[x]);
            (eq[x] * at_zero, eq[x] * at_top)
        });
        [low, top]
    }

    /// Binds the top variable.
    pub fn fold(&mut self, rho: K) {
        self.parts.iter_mut().for_each(|part| bind_top(part, rho));
    }

    /// Values at the bound point.
    pub fn end(&self) -> [K; 4] {
        [0, 1, 2, 3].map(|i: usize| self.parts[i][0])
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
            denominators
                .par_iter_mut()
                .zip(&coordinates)
                .with_min_len(GRAIN)
                .for_each(|(d, &c)| *d -= beta.scale(F::from_i64(c)));
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
