//! Power functionals of opened columns: Σ_i w_i·x_i^c, x_i the points of the positions.
//!
//! With A = n/[`CLASSES`] and c = a·A + b the power x^c is (x^A)^a·x^b, and x^A is a root of unity of the small order
//! n/A. So for each b the weights times x_i^b are added up by the value of x_i^A, and short transforms, a run of b side by
//! side, give all a. It is the transpose of how columns are worked out again (ADR 031).

use algebra::ntt::Ntt;
use algebra::slices::combine_base;
use algebra::{F, K};
use rayon::prelude::*;

use crate::memory::scratch;
use crate::table::{CLASSES, powers};

/// How many transforms of c0, and as many of c1, are made side by side.
const RUN: usize = 64;

/// The functional of one oracle: lg of its positions, the opened ones with their weights, and the parts of the
/// vector they are added to, which lie end to end.
pub struct Opened<'a> {
    pub log_n: usize,
    pub weighed: Vec<(usize, K)>,
    pub parts: Vec<&'a mut [K]>,
}

/// What all tasks of one oracle share.
struct Shared {
    ntt: std::sync::Arc<Ntt>,
    run: usize,
    /// Opened columns with the same x^A: their numbers.
    classes: Vec<Vec<usize>>,
    weights: Vec<K>,
    /// x^0, .., x^(run − 1), and x^run.
    points: Vec<(Vec<F>, F)>,
}

/// Adds the functionals of these oracles, whose parts do not overlap.
pub fn add_powers(opened: Vec<Opened<'_>>) {
    let mut shared = Vec::with_capacity(opened.len());
    let mut tasks = Vec::new();
    for Opened { log_n, weighed, parts } in opened {
        let n = 1usize << log_n;
        // Parts end with a run: all lengths are powers of two.
        let shortest = parts.iter().map(|part| part.len()).min().unwrap_or(1);
        let stride = (n / CLASSES).max(1);
        let run = stride.min(RUN).min(shortest.max(1));
        let order = n / stride;
        let root = F::root_of_unity(log_n as u32).unwrap_or(F::ONE);
        let mut classes = vec![Vec::new(); order];
        let mut points = Vec::with_capacity(weighed.len());
        for (i, &(position, _)) in weighed.iter().enumerate() {
            classes[position % order].push(i);
            let x = root.pow(position as u64);
            points.push((powers(x, run), x.pow(run as u64)));
        }
        let weights = weighed.into_iter().map(|(_, weight)| weight).collect();
        // The a-th chunk of a task has c = a·A + its run.
        let mut chunks: Vec<Vec<&mut [K]>> = (0..stride / run).map(|_| Vec::new()).collect();
        let all = parts.into_iter().flat_map(|part| part.chunks_mut(run));
        all.enumerate().for_each(|(q, chunk)| chunks[q % (stride / run)].push(chunk));
        tasks.extend(chunks.into_iter().enumerate().map(|(r, chunks)| (shared.len(), r, chunks)));
        shared.push(Shared { ntt: Ntt::shared(order.ilog2()), run, classes, weights, points });
    }
    tasks.into_par_iter().for_each(|(oracle, r, chunks)| shared[oracle].add(r, chunks));
}

impl Shared {
    /// Adds the entries of the r-th run of b to the chunks, a = 0, 1, ..
    fn add(&self, r: usize, chunks: Vec<&mut [K]>) {
        let run = self.run;
        let shifted = |(&weight, (_, step)): (&K, &(Vec<F>, F))| weight.scale(step.pow(r as u64));
        let weights: Vec<K> = self.weights.iter().zip(&self.points).map(shifted).collect();
        // Row s: c0 and then c1 of the sums over the columns of class s.
        let mut table = scratch(self.classes.len() * 2 * run);
        let mut sums = vec![K::ZERO; run];
        let (mut own, mut rows) = (Vec::new(), Vec::new());
        for (class, row) in self.classes.iter().zip(table.chunks_exact_mut(2 * run)) {
            own.clear();
            rows.clear();
            own.extend(class.iter().map(|&i| weights[i]));
            rows.extend(class.iter().map(|&i| self.points[i].0.as_slice()));
            combine_base(&mut sums, &own, &rows);
            let (c0, c1) = row.split_at_mut(run);
            c0.iter_mut().zip(c1).zip(&sums).for_each(|((c0, c1), sum)| (*c0, *c1) = (sum.c0, sum.c1));
        }
        self.ntt.forward_columns(&mut table, 2 * run, self.classes.len());
        for (a, chunk) in chunks.into_iter().enumerate() {
            let slot = self.ntt.slot(a);
            let (c0, c1) = table[slot * 2 * run..(slot + 1) * 2 * run].split_at(run);
            chunk.iter_mut().zip(c0.iter().zip(c1)).for_each(|(out, (&c0, &c1))| *out += K::new(c0, c1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the sum in plain text, for parts of all sizes and positions with the same power.
    #[test]
    fn sums_of_powers() {
        let word = |i: usize| F::new((i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for (log_n, lengths) in [
            (6, vec![8, 4]),
            (4, vec![8]),
            (0, vec![1]),
            (11, vec![256, 128]),
            (12, vec![1024, 512]),
            (15, vec![2048, 4096]),
        ] {
            let n = 1usize << log_n;
            let positions: Vec<usize> = (0..n).filter(|i| i % 11 < 2 || i % 64 == 5).take(90).collect();
            let weighed: Vec<(usize, K)> =
                positions.iter().map(|&j| (j, K::new(word(j), word(j + 7)))).collect();
            let root = F::root_of_unity(log_n as u32).unwrap();
            let total: usize = lengths.iter().sum();
            let old = |c: usize| K::new(word(3 * c), word(c + 1));
            let mut found: Vec<K> = (0..total).map(old).collect();
            let mut parts = Vec::new();
            let mut rest = found.as_mut_slice();
            for &length in &lengths {
                let (part, more) = rest.split_at_mut(length);
                parts.push(part);
                rest = more;
            }
            add_powers(vec![Opened { log_n, weighed: weighed.clone(), parts }]);
            for (c, &found) in found.iter().enumerate().step_by(1 + total / 300) {
                let term = |&(j, w): &(usize, K)| w.scale(root.pow((j * c) as u64));
                assert_eq!(found, old(c) + weighed.iter().map(term).sum::<K>(), "2^{log_n} {c}");
            }
        }
    }
}
