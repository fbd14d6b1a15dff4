//! The tree of fractions of the lookup argument.

use algebra::K;
use algebra::multilinear::eq_table;
use algebra::slices::{Halves, Quarters, bind, fraction_bind_round, fraction_layer, fraction_round};
use rayon::prelude::*;

use crate::leaves::{Leaves, RUN};
use crate::memory::{reuse, scratch, wipe};

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

/// p0, p1, q0, q1 of a layer: numerators and denominators, each cut in halves.
type Parts = [Vec<K>; 4];

/// The prover's side of LogUp-GKR.
///
/// The leaves of a large tree are not held, nor is the layer above them in a very large tree: the first two
/// rounds over such a layer make it again, run by run, and what these bind is held.
#[derive(Default)]
pub struct Tree {
    /// `layers[k]`: layer k + 1, as far as it is held.
    layers: Vec<Parts>,
    /// The leaves of a large tree, and ℓ.
    leaves: Option<(Leaves, usize)>,
    /// The layer in work, each part as long as it was given. Empty while the layer is made as it is read.
    work: Parts,
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
        self.layers.drain(..).chain([work]).flatten().for_each(reuse);
    }
}

/// Sums are cut into runs of 2^NEAR: one table of eq serves all runs and stays in the cache.
const NEAR: usize = 10;

/// Trees of at most this many layers hold their leaves.
const LEAVES_HELD: usize = 16;
/// Trees of at most this many layers hold the layer above the leaves.
const ALL_HELD: usize = 19;

/// Runs made on the way to others: wiped when one thread is done with its share.
struct Scratch(Vec<(Vec<K>, Vec<K>)>);

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
    scratch: &mut [(Vec<K>, Vec<K>)],
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

/// The layer `depth` above 2^ℓ leaves, of two fractions at least.
fn layer(leaves: &Leaves, (l, depth): (usize, usize)) -> Parts {
    let half = 1usize << (l - depth - 1);
    let run = RUN.min(half);
    let mut parts = [(); 4].map(|()| scratch(half));
    let [p0, p1, q0, q1] = parts.each_mut().map(|part| part.par_chunks_mut(run));
    p0.chain(p1).zip(q0.chain(q1)).enumerate().with_min_len(MIN_RUNS).for_each_init(
        || Scratch::new(2 * depth),
        |scratch, (i, (p, q))| make(leaves, (l, depth), i * run, p, q, &mut scratch.0),
    );
    parts
}

/// The layer above.
fn sums(below: &Parts) -> Parts {
    let half = below[0].len() / 2;
    let run = GRAIN.min(half);
    let mut parts = [(); 4].map(|()| scratch(half));
    let [p0, p1, q0, q1] = parts.each_mut().map(|part| part.par_chunks_mut(run));
    let [low_p, high_p, low_q, high_q] = below.each_ref().map(|part| part.par_chunks(run));
    let inputs = low_p.zip(low_q).zip(high_p.zip(high_q));
    p0.chain(p1)
        .zip(q0.chain(q1))
        .zip(inputs)
        .for_each(|((p, q), (low, high))| fraction_layer(p, q, low, high));
    parts
}

/// The same run of a part's first two quarters.
type Two<'a> = (&'a mut [K], &'a mut [K]);

fn in_quarters<'a>((q0, q1): Two<'a>, q2: &'a [K], q3: &'a [K]) -> Quarters<'a> {
    Quarters { q0, q1, q2, q3 }
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
        let mut layers = vec![layer(&leaves, (l, unheld))];
        while let Some(below) = layers.last().filter(|below| below[0].len() > 1) {
            layers.push(sums(below));
        }
        layers.reverse();
        let mut tree = Self::default();
        tree.layers = layers;
        tree.leaves = (unheld > 0).then_some((leaves, l));
        tree
    }

    /// Takes layer k + 1 into work.
    fn take(&mut self, k: usize) {
        let held = self.layers.get_mut(k).map(std::mem::take);
        std::mem::replace(&mut self.work, held.unwrap_or_default()).into_iter().for_each(reuse);
        self.length = 1 << k;
    }

    /// The first round over a layer that is not held but `depth` above the leaves. As all rounds it is cut into
    /// runs of eq `near`.
    fn made_round(&self, (leaves, about): (&Leaves, (usize, usize)), (near, far): (&[K], &[K])) -> [K; 2] {
        let (run, half, nu) = (near.len(), self.length / 2, self.nu);
        let one = |scratch: &mut Scratch, (i, &far): (usize, &K)| {
            let (own, below) = scratch.0.split_at_mut(4);
            for (quarter, (p, q)) in own.iter_mut().enumerate() {
                make(leaves, about, quarter * half + i * run, &mut p[..run], &mut q[..run], below);
            }
            let halves = |low, high| Halves { low, high };
            let (p, q) = ([0, 1, 2, 3].map(|i| &own[i].0[..run]), [0, 1, 2, 3].map(|i| &own[i].1[..run]));
            let parts = [halves(p[0], p[1]), halves(p[2], p[3]), halves(q[0], q[1]), halves(q[2], q[3])];
            fraction_round(near, parts, nu).map(|x| far * x)
        };
        let runs = far.par_iter().enumerate().with_min_len(MIN_RUNS);
        runs.map_init(|| Scratch::new(4 + 2 * about.1), one).reduce(|| [K::ZERO; 2], add)
    }

    /// The second round over such a layer, and what it binds.
    fn made_bind_round(
        &self,
        (leaves, about): (&Leaves, (usize, usize)),
        (near, far): (&[K], &[K]),
        rho: K,
    ) -> ([K; 2], Parts) {
        let (run, half, nu) = (near.len(), self.length / 4, self.nu);
        let mut bound = [(); 4].map(|()| scratch(2 * half));
        let [p0, p1, q0, q1] = bound.each_mut().map(|part| {
            let (low, high) = part.split_at_mut(half);
            low.par_chunks_mut(run).zip(high.par_chunks_mut(run))
        });
        let one = |scratch: &mut Scratch, (i, (parts, &far)): (usize, (_, &K))| {
            let ((p0, q0), (p1, q1)): ((Two<'_>, Two<'_>), (Two<'_>, Two<'_>)) = parts;
            let (own, below) = scratch.0.split_at_mut(4);
            let mut fill = |quarter: usize, p: &mut [K], q: &mut [K]| {
                make(leaves, about, quarter * half + i * run, &mut p[..run], &mut q[..run], below);
            };
            // The first two quarters of a part are made where they are bound.
            fill(0, p0.0, q0.0);
            fill(1, p0.1, q0.1);
            fill(4, p1.0, q1.0);
            fill(5, p1.1, q1.1);
            for ((p, q), quarter) in own.iter_mut().zip([2, 3, 6, 7]) {
                fill(quarter, p, q);
            }
            let (p, q) = ([0, 1, 2, 3].map(|i| &own[i].0[..run]), [0, 1, 2, 3].map(|i| &own[i].1[..run]));
            let parts = [
                in_quarters(p0, p[0], p[1]),
                in_quarters(p1, p[2], p[3]),
                in_quarters(q0, q[0], q[1]),
                in_quarters(q1, q[2], q[3]),
            ];
            fraction_bind_round(near, parts, rho, nu).map(|x| far * x)
        };
        let runs = p0.zip(q0).zip(p1.zip(q1)).zip(far).enumerate().with_min_len(MIN_RUNS);
        let sums = runs.map_init(|| Scratch::new(4 + 2 * about.1), one).reduce(|| [K::ZERO; 2], add);
        (sums, bound)
    }

    /// p0, p1, q0, q1.
    fn parts(&mut self) -> [&mut [K]; 4] {
        self.work.each_mut().map(|part| &mut part[..self.length])
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
        let unheld = match &self.leaves {
            Some((leaves, l)) if self.work[0].is_empty() => Some((leaves, (*l, l - self.point.len() - 1))),
            _ => None,
        };
        let sums = match (pending, unheld) {
            (None, Some(layer)) => self.made_round(layer, (eq, &far)),
            (Some(rho), Some(layer)) => {
                let (sums, bound) = self.made_bind_round(layer, (eq, &far), rho);
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

    /// Whether the layer in work is the last of ℓ.
    pub fn is_last(&self, l: usize) -> bool {
        self.point.len() + 1 == l
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
