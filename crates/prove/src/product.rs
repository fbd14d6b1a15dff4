//! The product sumcheck on two vectors: folds are delayed and done in the pass of the next round.

use algebra::slices::{
    Halves, bind_base, dot, dot_base, product_bind_round, product_round, product_round_base, scale,
};
use algebra::{F, K};
use rayon::prelude::*;

use crate::fractions::{GRAIN, bind_halves, quarters, total};
use crate::integers::Run;
use crate::memory::{reuse, scratch};

/// Two vectors of 2^v entries whose inner product is being summed, top variable first.
#[derive(Default)]
pub struct Product {
    a: Vec<K>,
    b: Vec<K>,
    /// Their length as bound so far; what lies beyond is wiped in the end.
    length: usize,
    /// A challenge the vectors are not bound to yet.
    pending: Option<K>,
}

impl Drop for Product {
    fn drop(&mut self) {
        reuse(std::mem::take(&mut self.a));
        reuse(std::mem::take(&mut self.b));
    }
}

impl Product {
    /// Both of equal length, a power of two.
    pub fn new(a: Vec<K>, b: Vec<K>) -> Self {
        debug_assert!(a.len() == b.len() && a.len().is_power_of_two(), "two equal cubes");
        let length = a.len();
        Self { a, b, length, pending: None }
    }

    /// Σ a·b, before any fold.
    pub fn sum(&self) -> K {
        sum(&self.a[..self.length], &self.b[..self.length])
    }

    /// c0, c2 of the round that binds the top variable.
    pub fn round(&mut self) -> [K; 2] {
        let Some(rho) = self.pending.take() else {
            let (a, b) = (&self.a[..self.length], &self.b[..self.length]);
            let half = self.length / 2;
            let ((a0, a1), (b0, b1)) = (a.split_at(half), b.split_at(half));
            let a = a0.chunks(GRAIN).zip(a1.chunks(GRAIN));
            let b = b0.chunks(GRAIN).zip(b1.chunks(GRAIN));
            return total(a.zip(b).collect(), |((a0, a1), (b0, b1))| {
                product_round(Halves { low: a0, high: a1 }, Halves { low: b0, high: b1 })
            });
        };
        let half = self.length / 4;
        let run = GRAIN.min(half.max(1));
        let a = quarters(&mut self.a[..self.length], half, run);
        let b = quarters(&mut self.b[..self.length], half, run);
        let sums = total(a.into_iter().zip(b).collect(), |(a, b)| product_bind_round(a, b, rho));
        self.length = 2 * half;
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
            let half = self.length / 2;
            for vector in [&mut self.a, &mut self.b] {
                let (low, high) = vector[..self.length].split_at_mut(half);
                bind_halves(low, high, rho);
            }
            self.length = half;
        }
        (&self.a[..self.length], &self.b[..self.length])
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
    Small(Run<'a>),
    /// Over F.
    Base(&'a [F]),
    /// Over K.
    Extension(&'a [K]),
}

impl<'a> Data<'a> {
    fn split(self, at: usize) -> (Self, Self) {
        match self {
            Self::Small(data) => {
                let (low, high) = data.split(at);
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
            Data::Small(data) => data.dot(v),
            Data::Base(data) => dot_base(v, data),
            Data::Extension(data) => dot(v, data),
        };
        v[..self.len()].par_chunks(GRAIN).enumerate().map(|(i, v)| one((v, i))).sum()
    }

    fn round(self, v: Halves<'_, K>, high: Self) -> [K; 2] {
        match (self, high) {
            (Self::Small(low), Self::Small(high)) => {
                let (low, high) = (low.widened(), high.widened());
                product_round_base(v, Halves { low: &low, high: &high })
            }
            (Self::Base(low), Self::Base(high)) => product_round_base(v, Halves { low, high }),
            (Self::Extension(low), Self::Extension(high)) => product_round(v, Halves { low, high }),
            _ => [K::ZERO; 2],
        }
    }

    fn bound(self, high: Self, rho: K, out: &mut [K]) {
        match (self, high) {
            (Self::Small(low), Self::Small(high)) => bind_base(out, &low.widened(), &high.widened(), rho),
            (Self::Base(low), Self::Base(high)) => bind_base(out, low, high, rho),
            (Self::Extension(low), Self::Extension(high)) => {
                out.copy_from_slice(low);
                algebra::slices::bind(out, high, rho);
            }
            _ => {}
        }
    }
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
    let mut bound = scratch(half);
    let (both, alone) = bound.split_at_mut(paired);
    both.par_chunks_mut(GRAIN).enumerate().for_each(|(i, out)| {
        let (from, to) = (i * GRAIN, i * GRAIN + out.len());
        low.part(from, to).bound(high.part(from, to), rho, out);
    });
    match low.part(paired, half) {
        Data::Small(data) => {
            alone.iter_mut().zip(&*data.widened()).for_each(|(slot, &x)| *slot = K::from(x));
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
