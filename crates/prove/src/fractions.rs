//! The tree of fractions of the lookup argument.

use algebra::K;
use algebra::multilinear::eq_table;
use algebra::slices::{Halves, Quarters, bind, fraction_bind_round, fraction_layer, fraction_round};
use rayon::prelude::*;

use crate::leaves::{Leaves, RUN};
use crate::memory::{recycle, wipe, zeros};

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

/// Numerators and denominators.
type Layer = (Vec<K>, Vec<K>);

/// The prover's side of LogUp-GKR.
///
/// The leaves of a large tree are not held: the first two rounds over them make them again, run by
/// run. Nor is the layer above them in a very large tree, which is made when its turn comes.
#[derive(Default)]
pub struct Tree {
    /// `layers[k]`: layer k, as far as it is held.
    layers: Vec<Layer>,
    /// The leaves of a large tree, and ℓ.
    leaves: Option<(Leaves, usize)>,
    /// The layer in work: p0 then p1, q0 then q1, each half as long as it was given. Empty while
    /// leaves are read as they are made.
    work: Layer,
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

/// Trees of at most this many layers hold their leaves.
const LEAVES_HELD: usize = 12;
/// Trees of at most this many layers hold the layer above the leaves.
const ALL_HELD: usize = 19;

/// Runs made on the way to others: wiped when one thread is done with its share.
struct Scratch(Vec<Layer>);

impl Scratch {
    fn new(runs: usize) -> Self {
        let run = |_| (vec![K::ZERO; RUN], vec![K::ZERO; RUN]);
        Self((0..runs).map(run).collect())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|(p, q)| {
            wipe(p);
            wipe(q);
        });
    }
}

/// One run of the layer `depth` above 2^ℓ leaves; `scratch` has two runs per layer below.
fn make(
    leaves: &Leaves,
    (l, depth): (usize, usize),
    from: usize,
    p: &mut [K],
    q: &mut [K],
    scratch: &mut [Layer],
) {
    let (Some(below), [low, high, rest @ ..]) = (depth.checked_sub(1), scratch) else {
        return leaves.fill(from, p, q);
    };
    let (low, high) =
        ((&mut low.0[..p.len()], &mut low.1[..p.len()]), (&mut high.0[..p.len()], &mut high.1[..p.len()]));
    make(leaves, (l, below), from, low.0, low.1, rest);
    make(leaves, (l, below), from + (1 << (l - depth)), high.0, high.1, rest);
    fraction_layer(p, q, (low.0, low.1), (high.0, high.1));
}

/// The layer `depth` above 2^ℓ leaves.
fn layer(leaves: &Leaves, (l, depth): (usize, usize)) -> Layer {
    let size = 1usize << (l - depth);
    let (mut p, mut q) = (zeros(size), zeros(size));
    let runs = p.par_chunks_mut(RUN).zip(q.par_chunks_mut(RUN)).enumerate().with_min_len(MIN_RUNS);
    runs.for_each_init(
        || Scratch::new(2 * depth),
        |scratch, (i, (p, q))| make(leaves, (l, depth), i * RUN, p, q, &mut scratch.0),
    );
    (p, q)
}

/// Runs one thread makes with the same scratch, at least.
const MIN_RUNS: usize = 4;

impl Tree {
    /// All layers from 2^ℓ leaves, ℓ >= 1.
    pub fn build(leaves: Leaves, l: usize) -> Self {
        let unheld = usize::from(l > LEAVES_HELD) + usize::from(l > ALL_HELD);
        Self::without(unheld, leaves, l)
    }

    /// As [`Self::build`]; the last `unheld` layers are not held, at most two of at least ten.
    fn without(unheld: usize, leaves: Leaves, l: usize) -> Self {
        let (mut p, mut q) = layer(&leaves, (l, unheld));
        let mut layers = Vec::with_capacity(l + 1);
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
        tree.leaves = (unheld > 0).then_some((leaves, l));
        tree
    }

    /// Takes layer k + 1 into work.
    fn take(&mut self, k: usize) {
        let (p, q) = std::mem::take(&mut self.work);
        recycle(p);
        recycle(q);
        self.length = 1 << k;
        self.work = match (self.layers.get_mut(k + 1), &self.leaves) {
            (Some(held), _) => std::mem::take(held),
            (None, Some((leaves, l))) if k + 1 < *l => layer(leaves, (*l, l - k - 1)),
            // The leaves themselves are made as they are read.
            (None, _) => Layer::default(),
        };
    }

    /// The first round over leaves that are not held. As all rounds it is cut into runs of eq `near`.
    fn leaf_round(&self, leaves: &Leaves, (near, far): (&[K], &[K])) -> [K; 2] {
        let (run, half, nu) = (near.len(), self.length / 2, self.nu);
        let one = |scratch: &mut Scratch, (i, &far): (usize, &K)| {
            for (quarter, (p, q)) in scratch.0.iter_mut().enumerate() {
                leaves.fill(quarter * half + i * run, &mut p[..run], &mut q[..run]);
            }
            let [low0, high0, low1, high1] = [0, 1, 2, 3].map(|quarter| &scratch.0[quarter]);
            let halves = |low, high| Halves { low, high };
            let parts = [
                halves(&low0.0[..run], &high0.0[..run]),
                halves(&low1.0[..run], &high1.0[..run]),
                halves(&low0.1[..run], &high0.1[..run]),
                halves(&low1.1[..run], &high1.1[..run]),
            ];
            fraction_round(near, parts, nu).map(|x| far * x)
        };
        let runs = far.par_iter().enumerate().with_min_len(MIN_RUNS);
        runs.map_init(|| Scratch::new(4), one).reduce(|| [K::ZERO; 2], add)
    }

    /// The second round over leaves that are not held: what it binds is held.
    fn leaf_bind_round(&self, leaves: &Leaves, (near, far): (&[K], &[K]), rho: K) -> ([K; 2], Layer) {
        let (run, half, nu) = (near.len(), self.length / 4, self.nu);
        let (mut p, mut q) = (zeros(4 * half), zeros(4 * half));
        let sums = {
            let [p0, p1, p2, p3] = fourths(&mut p, run);
            let [q0, q1, q2, q3] = fourths(&mut q, run);
            let bound = p0.zip(q0).zip(p1.zip(q1)).zip(p2.zip(q2).zip(p3.zip(q3)));
            let one =
                |scratch: &mut Scratch, ((i, ((part0, part1), (part2, part3))), &far): ((usize, _), &K)| {
                    let mut bound: [(&mut [K], &mut [K]); 4] = [part0, part1, part2, part3];
                    // Leaves of p0 and q0, then of p1 and q1; the first two quarters are bound in their place.
                    for (part, own) in bound.chunks_exact_mut(2).enumerate() {
                        let at = |quarter: usize| (4 * part + quarter) * half + i * run;
                        for (quarter, (p, q)) in own.iter_mut().enumerate() {
                            leaves.fill(at(quarter), p, q);
                        }
                        for (quarter, (p, q)) in scratch.0[2 * part..2 * part + 2].iter_mut().enumerate() {
                            leaves.fill(at(2 + quarter), &mut p[..run], &mut q[..run]);
                        }
                    }
                    let [s0, s1, s2, s3] = [0, 1, 2, 3].map(|part| &scratch.0[part]);
                    let [(p0, q0), (p1, q1), (p2, q2), (p3, q3)] = bound;
                    let quarters = |q0, q1, q2, q3| Quarters { q0, q1, q2, q3 };
                    let parts = [
                        quarters(p0, p1, &s0.0[..run], &s1.0[..run]),
                        quarters(p2, p3, &s2.0[..run], &s3.0[..run]),
                        quarters(q0, q1, &s0.1[..run], &s1.1[..run]),
                        quarters(q2, q3, &s2.1[..run], &s3.1[..run]),
                    ];
                    fraction_bind_round(near, parts, rho, nu).map(|x| far * x)
                };
            let runs = bound.enumerate().zip(far).with_min_len(MIN_RUNS);
            runs.map_init(|| Scratch::new(4), one).reduce(|| [K::ZERO; 2], add)
        };
        (sums, (p, q))
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
        let unheld = self.leaves.as_ref().filter(|_| self.work.0.is_empty()).map(|(leaves, _)| leaves);
        let sums = match (pending, unheld) {
            (None, Some(leaves)) => self.leaf_round(leaves, (eq, &far)),
            (Some(rho), Some(leaves)) => {
                let (sums, bound) = self.leaf_bind_round(leaves, (eq, &far), rho);
                self.work = bound;
                sums
            }
            (Some(rho), None) => {
                let [p0, p1, q0, q1] = self.parts().map(|part| quarters(part, half, 1 << near));
                let jobs = p0.into_iter().zip(p1).zip(q0.into_iter().zip(q1)).zip(&far);
                let jobs: Vec<_> = jobs.map(|(((a, b), (c, d)), &far)| ([a, b, c, d], far)).collect();
                total(jobs, |(parts, far)| fraction_bind_round(eq, parts, rho, nu).map(|x| far * x))
            }
            (None, None) => {
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

fn add([a, b]: [K; 2], [c, d]: [K; 2]) -> [K; 2] {
    [a + c, b + d]
}

/// A vector's four quarters in runs.
fn fourths(values: &mut [K], run: usize) -> [rayon::slice::ChunksMut<'_, K>; 4] {
    let (low, high) = values.split_at_mut(values.len() / 2);
    let (q0, q1) = low.split_at_mut(low.len() / 2);
    let (q2, q3) = high.split_at_mut(high.len() / 2);
    [q0, q1, q2, q3].map(|quarter| quarter.par_chunks_mut(run))
}

/// Sums of pairs over jobs, in parallel if there are several.
pub(crate) fn total<J: Send>(jobs: Vec<J>, job: impl Fn(J) -> [K; 2] + Sync + Send) -> [K; 2] {
    match jobs.len() {
        0..=2 => jobs.into_iter().map(job).fold([K::ZERO; 2], add),
        _ => jobs.into_par_iter().map(job).reduce(|| [K::ZERO; 2], add),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaves::tests::example;
    use algebra::F;

    fn element(i: usize) -> K {
        let x = |i: usize| F::new((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2);
        K::new(x(2 * i + 1), x(2 * i + 2))
    }

    /// All that a tree says of ℓ layers.
    fn said(mut tree: Tree, l: usize) -> Vec<Vec<K>> {
        let mut said = vec![tree.root_fractions().to_vec()];
        for k in 1..l {
            let point: Vec<K> = (0..k).map(|j| element(100 * k + j)).collect();
            tree.start(k, &point, element(k));
            for j in (0..k).rev() {
                said.push(tree.round(j).to_vec());
                tree.fold(element(7000 + 100 * k + j));
            }
            said.push(tree.end().to_vec());
        }
        said
    }

    /// A tree that makes its last layers again says what one says that holds them.
    #[test]
    fn layers_made_again_are_the_same() {
        for axes in [&[3000usize, 5][..], &[70, 23, 3]] {
            let l = example(axes).1.len().ilog2() as usize;
            let expected = said(Tree::without(0, example(axes).0, l), l);
            for unheld in [1, 2] {
                assert_eq!(said(Tree::without(unheld, example(axes).0, l), l), expected, "{axes:?} {unheld}");
            }
        }
    }
}
