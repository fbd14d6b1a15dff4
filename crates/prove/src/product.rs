//! The product sumcheck on two vectors: folds are delayed and done in the pass of the next round.

use algebra::slices::{
    Halves, bind_base, dot, dot_base, product_bind_round, product_round, product_round_base, scale,
};
use algebra::small::dot_small;
use algebra::{F, K};
use rayon::prelude::*;
use zeroize::{Zeroize, Zeroizing};

use crate::fractions::{GRAIN, bind_top, quarters, total};

/// Two vectors of 2^v entries whose inner product is being summed, top variable first.
#[derive(Default)]
pub struct Product {
    a: Vec<K>,
    b: Vec<K>,
    /// A challenge the vectors are not bound to yet.
    pending: Option<K>,
}

impl Drop for Product {
    fn drop(&mut self) {
        self.a.zeroize();
        self.b.zeroize();
    }
}

impl Product {
    /// Both of equal length, a power of two.
    pub fn new(a: Vec<K>, b: Vec<K>) -> Self {
        debug_assert!(a.len() == b.len() && a.len().is_power_of_two(), "two equal cubes");
        Self { a, b, pending: None }
    }

    /// Σ a·b, before any fold.
    pub fn sum(&self) -> K {
        sum(&self.a, &self.b)
    }

    /// c0, c2 of the round that binds the top variable.
    pub fn round(&mut self) -> [K; 2] {
        let Some(rho) = self.pending.take() else {
            let half = self.a.len() / 2;
            let ((a0, a1), (b0, b1)) = (self.a.split_at(half), self.b.split_at(half));
            let a = a0.chunks(GRAIN).zip(a1.chunks(GRAIN));
            let b = b0.chunks(GRAIN).zip(b1.chunks(GRAIN));
            return total(a.zip(b).collect(), |((a0, a1), (b0, b1))| {
                product_round(Halves { low: a0, high: a1 }, Halves { low: b0, high: b1 })
            });
        };
        let half = self.a.len() / 4;
        let run = GRAIN.min(half.max(1));
        let a = quarters(&mut self.a, half, run);
        let b = quarters(&mut self.b, half, run);
        let sums = total(a.into_iter().zip(b).collect(), |(a, b)| product_bind_round(a, b, rho));
        self.a.truncate(2 * half);
        self.b.truncate(2 * half);
        sums
    }

    /// Binds the top variable.
    pub fn fold(&mut self, rho: K) {
        self.finish();
        self.pending = Some(rho);
    }

    /// The vectors as bound so far.
    pub fn finish(&mut self) -> (&[K], &[K]) {
        if let Some(rho) = self.pending.take() {
            bind_top(&mut self.a, rho);
            bind_top(&mut self.b, rho);
        }
        (&self.a, &self.b)
    }
}

/// Σ a·b.
pub fn sum(a: &[K], b: &[K]) -> K {
    a.par_chunks(GRAIN).zip(b.par_chunks(GRAIN)).map(|(a, b)| dot(a, b)).sum()
}

/// What the first rounds read: rows over F (a table's own) or K.
#[derive(Clone, Copy)]
pub enum Data<'a> {
    /// Over F, small integers.
    Small(&'a [i16]),
    /// Over F.
    Base(&'a [F]),
    /// Over K.
    Extension(&'a [K]),
}

impl<'a> Data<'a> {
    fn split(self, at: usize) -> (Self, Self) {
        match self {
            Self::Small(data) => {
                let (low, high) = data.split_at(at);
                (Self::Small(low), Self::Small(high))
            }
            Self::Base(data) => {
                let (low, high) = data.split_at(at);
                (Self::Base(low), Self::Base(high))
            }
            Self::Extension(data) => {
                let (low, high) = data.split_at(at);
                (Self::Extension(low), Self::Extension(high))
            }
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Small(data) => data.len(),
            Self::Base(data) => data.len(),
            Self::Extension(data) => data.len(),
        }
    }

    fn part(self, from: usize, to: usize) -> Self {
        self.split(to).0.split(from).1
    }

    /// Σ v·data.
    pub fn sum(self, v: &[K]) -> K {
        let one = |(v, i): (&[K], usize)| match self.part(i * GRAIN, i * GRAIN + v.len()) {
            Data::Small(data) => dot_small(v, data),
            Data::Base(data) => dot_base(v, data),
            Data::Extension(data) => dot(v, data),
        };
        v[..self.len()].par_chunks(GRAIN).enumerate().map(|(i, v)| one((v, i))).sum()
    }

    fn round(self, v: Halves<'_, K>, high: Self) -> [K; 2] {
        match (self, high) {
            (Self::Small(low), Self::Small(high)) => {
                let (low, high) = (widened(low), widened(high));
                product_round_base(v, Halves { low: &low, high: &high })
            }
            (Self::Base(low), Self::Base(high)) => product_round_base(v, Halves { low, high }),
            (Self::Extension(low), Self::Extension(high)) => product_round(v, Halves { low, high }),
            _ => [K::ZERO; 2],
        }
    }

    fn bound(self, high: Self, rho: K, out: &mut [K]) {
        match (self, high) {
            (Self::Small(low), Self::Small(high)) => bind_base(out, &widened(low), &widened(high), rho),
            (Self::Base(low), Self::Base(high)) => bind_base(out, low, high, rho),
            (Self::Extension(low), Self::Extension(high)) => {
                out.copy_from_slice(low);
                algebra::slices::bind(out, high, rho);
            }
            _ => {}
        }
    }
}

/// One run as elements of F, wiped when done with.
fn widened(run: &[i16]) -> Zeroizing<Vec<F>> {
    Zeroizing::new(run.iter().map(|&x| F::from_i64(x.into())).collect())
}

/// c0, c2 of the first round on a vector whose upper half may be cut short: entries from
/// `data.len()` on are zero in both factors. `half` is the length of the lower half.
pub fn first_round(v: &[K], data: Data<'_>, half: usize) -> [K; 2] {
    let paired = data.len() - half;
    let (low, high) = data.split(half);
    let starts: Vec<usize> = (0..paired).step_by(GRAIN).collect();
    let [c0, c2] = total(starts, |from| {
        let to = paired.min(from + GRAIN);
        let halves = Halves { low: &v[from..to], high: &v[half + from..half + to] };
        low.part(from, to).round(halves, high.part(from, to))
    });
    // Missing upper entries: (0 − v)(0 − d) = v·d.
    let alone = low.part(paired, half).sum(&v[paired..half]);
    [c0 + alone, c2 + alone]
}

/// Binds the top variable after [`first_round`]: both vectors then have `half` entries.
pub fn first_fold(mut v: Vec<K>, data: Data<'_>, half: usize, rho: K) -> Product {
    let paired = data.len() - half;
    let (low, high) = data.split(half);
    let mut bound = vec![K::ZERO; half];
    let (both, alone) = bound.split_at_mut(paired);
    both.par_chunks_mut(GRAIN).enumerate().for_each(|(i, out)| {
        let (from, to) = (i * GRAIN, i * GRAIN + out.len());
        low.part(from, to).bound(high.part(from, to), rho, out);
    });
    match low.part(paired, half) {
        Data::Small(data) => {
            alone.iter_mut().zip(data).for_each(|(slot, &x)| *slot = K::from(F::from_i64(x.into())));
        }
        Data::Base(data) => alone.iter_mut().zip(data).for_each(|(slot, &x)| *slot = K::from(x)),
        Data::Extension(data) => alone.copy_from_slice(data),
    }
    let rest = K::ONE - rho;
    alone.par_chunks_mut(GRAIN).for_each(|part| scale(part, rest));
    let (lower, upper) = v.split_at_mut(half);
    let (lower, unpaired) = lower.split_at_mut(paired);
    let pairs = lower.par_chunks_mut(GRAIN).zip(upper[..paired].par_chunks(GRAIN));
    pairs.for_each(|(l, h)| algebra::slices::bind(l, h, rho));
    unpaired.par_chunks_mut(GRAIN).for_each(|part| scale(part, rest));
    v.truncate(half);
    Product::new(v, bound)
}
