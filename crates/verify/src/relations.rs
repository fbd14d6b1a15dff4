//! From relations to expressions (spec R1-R10, G10).

use std::collections::BTreeMap;
use std::sync::Arc;

use algebra::layout::Chunk;
use algebra::multilinear::{bits, eq_prefix};
use algebra::{F, K};
use program::lower::{Ip, Lin, LookTable, Multiplier, TableKind};
use sumcheck::{Axis, Expr, Term};
use tape::End;

use crate::Setup;
use crate::functional::{Position, contract, form_expr};
use crate::setup::Product;

/// Points of one inner product: one per output axis.
#[derive(Clone, Debug)]
pub struct InnerPoints {
    /// Per output axis, bits(n) coordinates.
    pub outputs: Vec<Arc<[K]>>,
    /// Output axes used by `a`, by `b`.
    pub used: (Vec<bool>, Vec<bool>),
}

impl InnerPoints {
    /// Draws the points, axis by axis.
    pub(crate) fn draw<E: End>(end: &mut E, ip: &Ip, product: &Product) -> Self {
        // Soundness: a false relation vanishes at its point with probability <= #variables/#K.
        let outputs = ip.outputs.iter().map(|&n| end.draws("point", bits(n)).into()).collect();
        Self { outputs, used: product.used.clone() }
    }

    fn is_used(&self, axis: usize) -> (bool, bool) {
        let of = |list: &[bool]| list.get(axis).copied().unwrap_or(false);
        (of(&self.used.0), of(&self.used.1))
    }

    /// Lengths of the axes of the sum: joint output axes, then sum axes.
    pub fn cube(&self, ip: &Ip) -> Vec<usize> {
        let joint = ip.outputs.iter().enumerate().filter(|&(axis, _)| self.is_used(axis) == (true, true));
        joint.map(|(_, &n)| n).chain(ip.sums.iter().copied()).collect()
    }

    /// Position vectors of a (first) and b (second) at the end of the sumcheck.
    fn ends(&self, ip: &Ip, rho: &[K]) -> (Vec<Option<Position>>, Vec<Option<Position>>) {
        let cube = self.cube(ip);
        let mut parts = split_point(rho, &cube).into_iter();
        let mut left = Vec::new();
        let mut right = Vec::new();
        for (axis, (&n, point)) in ip.outputs.iter().zip(&self.outputs).enumerate() {
            let plain = || Some(Position::eq(Arc::clone(point), n));
            match self.is_used(axis) {
                (true, true) => {
                    let part = parts.next().unwrap_or_default();
                    let both = eq_prefix(point, n).into_iter().zip(eq_prefix(&part, n));
                    left.push(Some(Position::dense(both.map(|(x, y)| x * y).collect())));
                    right.push(Some(Position::eq(part, n)));
                }
                (true, false) => {
                    left.push(plain());
                    right.push(None);
                }
                (false, _) => {
                    left.push(None);
                    right.push(plain());
                }
            }
        }
        for (&n, part) in ip.sums.iter().zip(parts) {
            left.push(Some(Position::eq(part.clone(), n)));
            right.push(Some(Position::eq(part, n)));
        }
        (left, right)
    }

    /// The functionals a(ρ) and b(ρ).
    pub(crate) fn functionals(&self, setup: &Setup, ip: &Ip, rho: &[K]) -> (Expr, Expr) {
        let (left, right) = self.ends(ip, rho);
        (form_expr(setup, &ip.a, &left), form_expr(setup, &ip.b, &right))
    }

    /// A = Σ_y ∏ eq(r_y, y)·(`F[y]`/`m[y_o]` - `c[y]`) (spec R5).
    pub(crate) fn claim(&self, setup: &Setup, ip: &Ip, product: &Product) -> Expr {
        let plain: Vec<Option<Position>> = ip
            .outputs
            .iter()
            .zip(&self.outputs)
            .map(|(&n, point)| Some(Position::eq(Arc::clone(point), n)))
            .collect();
        let inverses = &product.inverses;
        let target = match &ip.multiplier {
            Multiplier::One(_) => {
                let inverse = inverses.first().copied().unwrap_or_default();
                form_expr(setup, &ip.target, &plain).scaled(K::from(inverse))
            }
            Multiplier::Axis(axis, list) => {
                let mut weighed = plain.clone();
                if let (Some(slot), Some(point)) = (weighed.get_mut(*axis), self.outputs.get(*axis)) {
                    let values = eq_prefix(point, list.len()).into_iter().zip(inverses);
                    *slot = Some(Position::dense(values.map(|(x, &m)| x.scale(m)).collect()));
                }
                form_expr(setup, &ip.target, &weighed)
            }
        };
        target.minus(form_expr(setup, &ip.c, &plain))
    }
}

/// Cuts a point into the coordinates of axes of these lengths; the last axis has the lowest variables.
pub fn split_point(point: &[K], lengths: &[usize]) -> Vec<Arc<[K]>> {
    let mut low = 0usize;
    let mut parts: Vec<Arc<[K]>> = Vec::with_capacity(lengths.len());
    for &n in lengths.iter().rev() {
        let high = low.saturating_add(bits(n));
        parts.push(point.get(low..high).unwrap_or_default().into());
        low = high;
    }
    parts.reverse();
    parts
}

/// Σ_x ∏ eq(r_a, x_a)·`F[x]` at drawn points (spec R1).
pub(crate) fn linear<E: End>(end: &mut E, setup: &Setup, lin: &Lin) -> Expr {
    // Soundness: a false relation vanishes at its point with probability <= #variables/#K.
    let positions: Vec<Option<Position>> =
        lin.axes.iter().map(|&n| Some(Position::eq(end.draws("point", bits(n)), n))).collect();
    form_expr(setup, &lin.form, &positions)
}

/// Challenges of the lookup argument.
#[derive(Clone, Debug)]
pub struct LookupChallenges {
    /// α.
    pub alpha: K,
    /// β_0 = 1, β_1, ..
    pub betas: Vec<K>,
    /// β_tag.
    pub tag: K,
}

impl LookupChallenges {
    /// α - β_tag·tag for the table with this index.
    pub fn base(&self, table: usize) -> K {
        let tag = u64::try_from(table).unwrap_or(0).saturating_add(1);
        self.alpha - self.tag.scale(F::new(tag))
    }
}

/// Slices of a point as they lie, each made once: blocks of one shape share them.
struct Slices<'a> {
    point: &'a [K],
    made: BTreeMap<(usize, usize), Arc<[K]>>,
}

impl Slices<'_> {
    /// eq on each chunk of a block, the last axis at the lowest variables.
    fn axes(&mut self, chunks: &[Chunk]) -> Vec<Axis> {
        let mut low = 0usize;
        let mut axes: Vec<Axis> = Vec::with_capacity(chunks.len());
        for &chunk in chunks.iter().rev() {
            let high = low.saturating_add(chunk.log);
            let slice = self.made.entry((low, high));
            let slice = slice.or_insert_with(|| self.point.get(low..high).unwrap_or_default().into());
            axes.push(Axis::EqChunk(chunk, Arc::clone(slice)));
            low = high;
        }
        axes.reverse();
        axes
    }
}

/// Numerator and denominator of the leaves at a point (spec G10).
pub(crate) fn leaves(setup: &Setup, challenges: &LookupChallenges, point: &[K]) -> (Expr, Expr) {
    let mut numerator = Expr::default();
    let mut denominator = Expr::from(K::ONE);
    let looks = setup.lowered.looks.len();
    let mut slices = Slices { point, made: BTreeMap::new() };
    for (block, s) in setup.leaves.blocks.iter().zip(setup.leaves.selectors(point)) {
        denominator.constant -= s;
        let axes = slices.axes(&block.chunks);
        match block.tensor.checked_sub(looks) {
            None => {
                let Some(look) = setup.lowered.looks.get(block.tensor) else { continue };
                let vectors = axes.into_iter().zip(&look.axes);
                let positions: Vec<Option<Position>> =
                    vectors.map(|(vector, &length)| Some(Position::new(vector, length))).collect();
                numerator.constant += s;
                denominator.constant += s * challenges.base(look.table);
                for (form, &beta) in look.coords.iter().zip(&challenges.betas) {
                    denominator.add_scaled(form_expr(setup, form, &positions), -(s * beta));
                }
            }
            Some(number) => {
                let Some(table) = setup.lowered.tables.get(number) else { continue };
                let row = row(table, &axes, &challenges.betas);
                denominator.constant += s * (challenges.base(number) - row);
                numerator.terms.push(Term { coef: -s, tensor: table.multiplicity, axes });
            }
        }
    }
    (numerator, denominator)
}

/// Σ_i β_i·row_i at a point of one block of a table: keys, then outs.
fn row(table: &LookTable, axes: &[Axis], betas: &[K]) -> K {
    let mut total = K::ZERO;
    let mut betas = betas.iter().copied();
    for (&(least, _), axis) in table.keys.iter().zip(axes) {
        if let (Axis::EqChunk(chunk, r), Some(beta)) = (axis, betas.next()) {
            // The extension of "index" over a chunk is off + Σ 2^b r_b.
            let mut value = K::from(F::from_i64(least) + F::new(u64::try_from(chunk.off).unwrap_or(0)));
            let mut weight = F::ONE;
            for &x in r.iter() {
                value += x.scale(weight);
                weight += weight;
            }
            total += beta * value;
        }
    }
    let vectors = axes.iter().zip(&table.keys);
    let vectors: Vec<Position> =
        vectors.map(|(vector, &(_, length))| Position::new(vector.clone(), length)).collect();
    for (out, beta) in table.outs.iter().zip(betas) {
        total += beta * implied(table.kind, axes).unwrap_or_else(|| contract(out, &vectors));
    }
    total
}

/// The only out of TIE_s or CODE_h at a point, in closed form; none for other tables.
fn implied(kind: TableKind, axes: &[Axis]) -> Option<K> {
    let [Axis::EqChunk(Chunk { off: 0, log }, r)] = axes else { return None };
    let none_set = |r: &[K]| r.iter().map(|&x| K::ONE - x).product::<K>();
    match kind {
        // 1 at key 0, the first.
        TableKind::Tie(bits) if *log == usize::from(bits) => Some(none_set(r)),
        // 2 where the top bit is set, but 1 at key 0, where it alone is set.
        TableKind::Code(bits) if *log == usize::from(bits) => {
            let (&top, rest) = r.split_last()?;
            Some(top + top - top * none_set(rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implied_tables_have_closed_forms() {
        for bits in 1u8..=9 {
            let half = 1i64 << (bits - 1);
            let flags: Vec<i64> = (0..2 * half).map(|key| i64::from(key == 0)).collect();
            let codes: Vec<i64> = (-half..half).map(|key| key.signum() + 1).collect();
            let chunk = Chunk { off: 0, log: usize::from(bits) };
            let word = |i: u64| F::new((i + u64::from(bits)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let point: Vec<K> = (0..u64::from(bits)).map(|i| K::new(word(i), word(i + 99))).collect();
            let axes = [Axis::EqChunk(chunk, point.into())];
            let vectors = [Position::new(axes[0].clone(), 2 * half as usize)];
            assert_eq!(implied(TableKind::Tie(bits), &axes), Some(contract(&flags, &vectors)));
            assert_eq!(implied(TableKind::Code(bits), &axes), Some(contract(&codes, &vectors)));
            // Another length than the table's own is left to the sum.
            assert_eq!(implied(TableKind::Tie(bits + 1), &axes), None);
            assert_eq!(implied(TableKind::Range(bits), &axes), None);
        }
    }
}
