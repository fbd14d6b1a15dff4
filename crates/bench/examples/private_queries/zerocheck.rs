//! All S-boxes at once: Σ eq(r, ·)·(y − x^7) = 0, by a sumcheck whose rounds have degree 7.
//!
//! Index p·128 + k: S-box k of row p. The lowest row variable is bound first, so that no padding is touched
//! and neighbours are whole rows; the seven variables of k last. With the factor eq of a bound variable
//! set aside, a round's polynomial h satisfies (1 − r_j)·h(0) + r_j·h(1) = claim.

use algebra::multilinear::eq_table;
use algebra::{F, K};
use p3_field::extension::BinomialExtensionField;
use p3_field::{
    Algebra, BasedVectorSpace, ExtensionField, PackedFieldExtension, PackedValue, PrimeCharacteristicRing,
};
use p3_goldilocks::Goldilocks;
use rayon::prelude::*;

use crate::poseidon::{Packed, ours, theirs};

/// lg of the entries of a row.
pub const LOG_ROW: usize = 7;
/// Entries of a row: the S-boxes of a permutation, then what it takes in.
pub const ROW: usize = 1 << LOG_ROW;
/// Values that say h: at 0, 2, 3, .., 7.
pub const SAID: usize = 7;

/// The variables in the order they are bound.
pub fn order(variables: usize) -> impl Iterator<Item = usize> {
    (LOG_ROW..variables).chain((0..LOG_ROW).rev())
}

/// h(ρ) as weights of h(0), h(1), .., h(7).
pub fn interpolation(rho: K) -> [K; SAID + 1] {
    let node = |i: usize| K::from(F::new(i as u64));
    core::array::from_fn(|i| {
        let others = (0..=SAID).filter(|&j| j != i);
        let (above, below) = others.fold((K::ONE, K::ONE), |(above, below), j| {
            (above * (rho - node(j)), below * (node(i) - node(j)))
        });
        above * below.inverse()
    })
}

/// K.
type Extension = BinomialExtensionField<Goldilocks, 2>;
/// Elements of K, side by side.
type Wide = <Extension as ExtensionField<Goldilocks>>::ExtensionPacking;

fn wide(x: K) -> Wide {
    Extension::new([theirs(x.c0), theirs(x.c1)]).into()
}

fn lane(wide: Wide, i: usize) -> K {
    let parts: Extension = wide.extract(i);
    let [c0, c1] = core::array::from_fn(|k| ours(parts.as_basis_coefficients_slice()[k]));
    K::new(c0, c1)
}

#[inline(always)]
fn seventh<T: PrimeCharacteristicRing + Copy>(x: T) -> T {
    let cube = x.square() * x;
    cube.square() * x
}

/// Vectors of one row.
const PACKS: usize = ROW / Packed::WIDTH;
/// Pairs of rows one task takes.
const TASK: usize = 16;

/// x and y of all rows.
struct Rows<T> {
    x: Vec<T>,
    y: Vec<T>,
}

impl<T: PrimeCharacteristicRing + Copy + Send + Sync> Rows<T>
where
    Wide: Algebra<T>,
{
    /// Entry k of rows 2i, 2i + 1; what is missing is 0.
    fn pair(list: &[T], i: usize, k: usize) -> (T, T) {
        let at = 2 * i * PACKS + k;
        (list[at], list.get(at + PACKS).copied().unwrap_or(T::ZERO))
    }

    fn pairs(&self) -> usize {
        (self.x.len() / PACKS).div_ceil(2)
    }

    /// Σ over pairs of rows of eq·(y − x^7), for each point and entry.
    fn round(&self, eq: &[K]) -> Vec<Wide> {
        let zero = || vec![Wide::ZERO; SAID * PACKS];
        let part = |mut sums: Vec<Wide>, i: usize| {
            let weight = wide(eq[i]);
            for (k, sums) in sums.chunks_exact_mut(SAID).enumerate() {
                let ((x, x1), (y, y1)) = (Self::pair(&self.x, i, k), Self::pair(&self.y, i, k));
                let (dx, dy) = (x1 - x, y1 - y);
                sums[0] += weight * (y - seventh(x));
                let (mut x, mut y) = (x1, y1);
                for sum in &mut sums[1..] {
                    (x, y) = (x + dx, y + dy);
                    *sum += weight * (y - seventh(x));
                }
            }
            sums
        };
        let add = |a: Vec<Wide>, b: Vec<Wide>| a.into_iter().zip(b).map(|(a, b)| a + b).collect();
        (0..self.pairs()).into_par_iter().with_min_len(TASK).fold(zero, part).reduce(zero, add)
    }

    fn bind(&self, rho: K) -> Rows<Wide> {
        let rho = wide(rho);
        let bound = |list: &[T]| {
            let mut out = vec![Wide::ZERO; self.pairs() * PACKS];
            out.par_chunks_exact_mut(PACKS).with_min_len(TASK).enumerate().for_each(|(i, out)| {
                out.iter_mut().enumerate().for_each(|(k, slot)| {
                    let (low, high) = Self::pair(list, i, k);
                    *slot = rho * (high - low) + low;
                });
            });
            out
        };
        Rows { x: bound(&self.x), y: bound(&self.y) }
    }
}

/// How far the sumcheck is.
enum Stage {
    Start(Rows<Packed>),
    Rows(Rows<Wide>),
    /// One row is left.
    Row([Vec<K>; 2]),
}

/// The prover's state.
pub struct Zerocheck {
    stage: Stage,
    point: Vec<K>,
}

impl Zerocheck {
    /// Rows of x and of y, and the point r.
    pub fn new([x, y]: [&[F]; 2], point: &[K]) -> Self {
        let packed = |list: &[F]| {
            let list: Vec<Goldilocks> = list.iter().map(|&x| theirs(x)).collect();
            Packed::pack_slice(&list).to_vec()
        };
        let stage = Stage::Start(Rows { x: packed(x), y: packed(y) });
        Self { stage, point: point.to_vec() }
    }

    /// h at 0, 2, .., 7 for variable j.
    pub fn round(&self, j: usize) -> Vec<K> {
        let rows = |sums: Vec<Wide>| {
            let eq = eq_table(&self.point[..LOG_ROW]);
            let packs = || eq.chunks_exact(Packed::WIDTH).zip(sums.chunks_exact(SAID));
            let lanes =
                |eq: &[K], wide: Wide| eq.iter().enumerate().map(|(i, &e)| e * lane(wide, i)).sum::<K>();
            (0..SAID).map(|t| packs().map(|(eq, sums)| lanes(eq, sums[t])).sum()).collect()
        };
        match &self.stage {
            Stage::Start(list) => rows(list.round(&eq_table(&self.point[j + 1..]))),
            Stage::Rows(list) => rows(list.round(&eq_table(&self.point[j + 1..]))),
            Stage::Row([x, y]) => {
                let eq = eq_table(&self.point[..j]);
                let line = |list: &[K], i: usize, t: K| list[i] + t * (list[i + (1 << j)] - list[i]);
                let at = |t: u64| {
                    let t = K::from(F::new(t));
                    let gap = |i: usize| line(y, i, t) - line(x, i, t).pow(7);
                    eq.iter().enumerate().map(|(i, &e)| e * gap(i)).sum()
                };
                std::iter::once(0).chain(2..=7).map(at).collect()
            }
        }
    }

    /// Binds variable j.
    pub fn fold(&mut self, j: usize, rho: K) {
        self.stage = match &self.stage {
            Stage::Start(list) => Stage::Rows(list.bind(rho)),
            Stage::Rows(list) => Stage::Rows(list.bind(rho)),
            Stage::Row(both) => Stage::Row(both.each_ref().map(|list| {
                let (low, high) = list.split_at(1 << j);
                low.iter().zip(high).map(|(&low, &high)| low + rho * (high - low)).collect()
            })),
        };
        if let Stage::Rows(list) = &self.stage
            && j + 1 == self.point.len()
        {
            let lanes = |list: &[Wide]| {
                list.iter().flat_map(|&wide| (0..Packed::WIDTH).map(move |i| lane(wide, i))).collect()
            };
            self.stage = Stage::Row([lanes(&list.x), lanes(&list.y)]);
        }
    }

    /// x at the point of the rounds.
    pub fn end(&self) -> K {
        if let Stage::Row([x, _]) = &self.stage { x[0] } else { K::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use algebra::multilinear::evaluate;

    fn k(i: usize) -> K {
        let word = |i: usize| F::new((i as u64 + 3).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        K::new(word(i), word(i + 1000))
    }

    /// Any x and y: the rounds lead from Σ eq·(y − x^7) to the values at ρ.
    #[test]
    fn rounds_lead_to_one_point() {
        for rows in [2usize, 3, 5, 8] {
            let variables = LOG_ROW + algebra::multilinear::bits(rows);
            let values = |salt: usize| (0..rows * ROW).map(|i| k(i + salt).c0).collect::<Vec<F>>();
            let (x, y, point) = (values(1), values(7), (0..variables).map(k).collect::<Vec<K>>());
            let gap = |(&x, &y): (&F, &F)| K::from(y - x.pow(7));
            let mut claim = evaluate(&x.iter().zip(&y).map(gap).collect::<Vec<K>>(), &point);
            let mut check = Zerocheck::new([&x, &y], &point);
            let mut rho = vec![K::ZERO; variables];
            for j in order(variables) {
                let said = check.round(j);
                let one = (claim - (K::ONE - point[j]) * said[0]) * point[j].inverse();
                rho[j] = k(j + 50);
                let all = [&[said[0], one], &said[1..]].concat();
                claim = all.iter().zip(interpolation(rho[j])).map(|(&h, w)| h * w).sum();
                check.fold(j, rho[j]);
            }
            let at = |list: &[F]| evaluate(&list.iter().map(|&x| K::from(x)).collect::<Vec<K>>(), &rho);
            assert_eq!(check.end(), at(&x));
            assert_eq!(claim, at(&y) - at(&x).pow(7), "{rows}");
        }
    }
}
