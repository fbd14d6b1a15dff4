//! What a ladder costs, and the cheapest one for a Program (not part of the protocol).
//!
//! Any parameters within the limits are sound; these decide time and size alone. Unit costs are
//! nanoseconds of one core with vector units, measured by the kernels' benchmark.

use crate::{Plan, Role, Rung, Shape, Sizing, plan};

/// One value through the transform of its code.
const ENCODE: u64 = 4;
/// Hashing 8 bytes of a column.
const HASH_WORD: u64 = 1;
/// Code words that stay in the caches; of more, a value costs [`FAR`] more to make, write and hash.
const NEAR: u64 = 1 << 20;
const FAR: u64 = 5;
/// Code words of a table that serves one proof and are kept; of more, columns are worked out again for [`AGAIN`] a
/// value.
const KEPT: u64 = 1 << 23;
const AGAIN: u64 = 3;
/// Hashing a leaf's first block and its share of the tree.
const HASH_LEAF: u64 = 20;
/// An entry of a committed vector in its functional and row rounds.
const ENTRY: u64 = 12;
/// A weight, which meets one pass over small integers per relation.
const WEIGHT: u64 = 1;
/// One hash of the proof of work.
const GRIND: u64 = 9;
/// A value in the work that no parameter changes: computed, looked up, multiplied.
const FIXED: u64 = 40;

/// Expected bytes and nanoseconds of one opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes of columns and paths.
    pub bytes: u64,
    /// Nanoseconds of one core.
    pub nanoseconds: u64,
}

impl Cost {
    /// One number to compare by, with the time of work that does not change: a proof smaller by a
    /// hundredth is worth two hundredths of the time.
    pub fn weight(self, fixed: u64) -> u128 {
        let bytes = u128::from(self.bytes);
        u128::from(self.nanoseconds.saturating_add(fixed)).saturating_mul(bytes.saturating_mul(bytes))
    }

    fn add(&mut self, other: Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.nanoseconds = self.nanoseconds.saturating_add(other.nanoseconds);
    }
}

fn wide(x: usize) -> u64 {
    u64::try_from(x).unwrap_or(u64::MAX)
}

/// Expected number of siblings of so many random leaves of 2^levels.
fn siblings(levels: usize, leaves: u64) -> u64 {
    // In thousandths. Of m nodes a share 1 - e^(-leaves/m) is known; a known node needs an unknown sibling.
    let mut total = 0u64;
    for level in 1..=levels {
        let nodes = 1u64.checked_shl(u32::try_from(level).unwrap_or(64)).unwrap_or(u64::MAX);
        let unknown = exp_negative(leaves.saturating_mul(1000).checked_div(nodes).unwrap_or(0));
        let known = 1000u64.saturating_sub(unknown);
        let share = known.saturating_mul(unknown);
        total = total.saturating_add(nodes.saturating_mul(share).checked_div(1000).unwrap_or(0));
    }
    total.checked_div(1000).unwrap_or(0)
}

/// 1000·e^(-x/1000).
fn exp_negative(x: u64) -> u64 {
    // (1 - x/2^10)^(2^10), by squaring.
    let step = u64::from(u32::MAX).saturating_sub(
        u64::from(u32::MAX).checked_div(1_024_000).unwrap_or(0).saturating_mul(x.min(1_024_000)),
    );
    let power = (0..10).fold(step, |y, _| y.saturating_mul(y) >> 32);
    power.saturating_mul(1000) >> 32
}

/// One oracle: its columns and paths, its power functional, and its commitment if it is made per proof.
fn oracle_cost(shape: &Shape, lambda: u8) -> Cost {
    let (n, rows) = (wide(shape.positions()), wide(shape.rows));
    let queries = wide(shape.queries(lambda));
    let columns = queries.saturating_mul(wide(shape.column_bytes()));
    let bytes = columns.saturating_add(siblings(shape.log_n, queries).saturating_mul(32));
    let commit = commitment(shape);
    let powers = n.saturating_mul(ENCODE.saturating_mul(2));
    let entries = rows.saturating_mul(wide(shape.data()));
    let nanoseconds = match shape.role {
        Role::Model | Role::Input => powers.saturating_add(entries.saturating_mul(WEIGHT)),
        Role::End => commit.saturating_add(entries.saturating_mul(ENTRY)),
        Role::Pads => commit,
        Role::Fresh | Role::Inner(_) => {
            commit.saturating_add(powers).saturating_add(entries.saturating_mul(ENTRY))
        }
    };
    Cost { bytes, nanoseconds }
}

/// What one opening pays for the next epoch: the table anew, and a link that opens two tables.
fn renewal(shape: &Shape, lambda: u8, opening: Cost) -> u64 {
    let link = opening.nanoseconds.saturating_mul(2);
    let openings = wide(shape.masks()).checked_div(wide(shape.queries(lambda))).unwrap_or(0).max(1);
    commitment(shape).saturating_add(link).checked_div(openings).unwrap_or(0)
}

/// Encoding and hashing a table.
fn commitment(shape: &Shape) -> u64 {
    let field = if shape.extension { 2u64 } else { 1 };
    let words = wide(shape.rows).saturating_mul(field);
    let all = words.saturating_mul(wide(shape.positions()));
    let far = if all > NEAR { FAR } else { 0 };
    let again = if all > KEPT && shape.role == Role::Fresh { AGAIN } else { 0 };
    let word = ENCODE.saturating_add(HASH_WORD).saturating_add(far).saturating_add(again);
    let each = words.saturating_mul(word).saturating_add(HASH_LEAF);
    wide(shape.positions()).saturating_mul(each)
}

/// A whole ladder.
pub fn cost(plan: &Plan) -> Cost {
    let mut total = Cost::default();
    let lambda = plan.sizing.lambda;
    for shape in plan.levels.iter().flat_map(|level| &level.oracles) {
        total.add(oracle_cost(shape, lambda));
    }
    if let Some((end, pads)) = &plan.closing {
        total.add(oracle_cost(end, lambda));
        total.add(oracle_cost(pads, lambda));
    }
    total.bytes = total.bytes.saturating_add(wide(plan.replies()).saturating_mul(16));
    let phases = wide(plan.levels.len()).saturating_add(u64::from(plan.zk));
    let tries = 1u64.checked_shl(plan.sizing.grind.into()).unwrap_or(u64::MAX);
    let grinding = if plan.sizing.grind == 0 { 0 } else { tries.saturating_mul(GRIND) };
    total.nanoseconds = total.nanoseconds.saturating_add(phases.saturating_mul(grinding));
    total
}

/// What a ladder is chosen for.
#[derive(Clone, Debug)]
pub struct Load {
    /// Entries of Z.
    pub fresh: usize,
    /// Entries of M and openings it must have room for; none without M.
    pub model: Option<(usize, usize)>,
    /// Zero knowledge.
    pub zk: bool,
}

/// From so many openings on, M may get room for more than were asked for.
const ROOMY: usize = 16;
/// Z to start the search with.
const FRESH: [Rung; 2] = [Rung { rows: 32, rate: 2 }, Rung { rows: 64, rate: 1 }];
/// Bits of queries and of proof of work that make 100 together.
const SPLITS: [(u8, u8); 4] = [(84, 16), (86, 14), (88, 12), (92, 8)];

/// λ and g, parameters of Z and the inner oracles, and of M, that cost least; none if nothing fits.
pub fn tune(load: &Load) -> Option<(Sizing, Option<Shape>)> {
    // A wish for few openings is meant; otherwise more room is taken where it pays.
    let many = load.zk && load.model.is_some_and(|(_, openings)| openings >= ROOMY);
    let rooms: &[usize] = if many { &[1, 4] } else { &[1] };
    let mut best: Option<(u128, Candidate)> = None;
    let starts = rooms.iter().flat_map(|&room| model_rows(load).into_iter().map(move |rows| (room, rows)));
    // A shorter code has more queries, and needs other rows: no single step leads there.
    for ((room, model_rows), fresh) in starts.flat_map(|start| FRESH.map(|fresh| (start, fresh))) {
        let sizing = Sizing { fresh, ..Sizing::v1(88, 12) };
        let mut candidate = Candidate { sizing, model_rows, room };
        let Some(mut cost) = candidate.weight(load) else { continue };
        // One parameter after the other, until none can be bettered.
        loop {
            let better =
                candidate.neighbours().into_iter().filter_map(|next| Some((next.weight(load)?, next)));
            match better.min_by_key(|(cost, _)| *cost) {
                Some((least, next)) if least < cost => (cost, candidate) = (least, next),
                _ => break,
            }
        }
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, candidate));
        }
    }
    let (_, candidate) = best?;
    let model = candidate.model(load)?;
    Some((candidate.sizing, model))
}

/// Row counts of M worth a try.
fn model_rows(load: &Load) -> Vec<usize> {
    if load.model.is_some() { vec![16, 32, 48, 64, 96, 128] } else { vec![1] }
}

#[derive(Clone, Debug)]
struct Candidate {
    sizing: Sizing,
    model_rows: usize,
    /// M has room for so many times the openings asked for.
    room: usize,
}

impl Candidate {
    /// M, if there is one; the outer option is none if it has no valid parameters.
    fn model(&self, load: &Load) -> Option<Option<Shape>> {
        let Some((entries, openings)) = load.model else { return Some(None) };
        let (rows, openings) = (self.model_rows, openings.saturating_mul(self.room));
        let shape = self.sizing.long_term_rows(Role::Model, entries, [0; 32], (rows, openings), load.zk)?;
        Some(Some(shape))
    }

    fn weight(&self, load: &Load) -> Option<u128> {
        let model = self.model(load)?;
        let mut oracles = vec![self.sizing.fresh(load.fresh, load.zk)?];
        oracles.extend(model.clone());
        let mut cost = cost(&plan(&self.sizing, load.zk, oracles)?);
        let renewal = model.as_ref().map_or(0, |shape| renewal(shape, self.sizing.lambda, cost));
        cost.nanoseconds = cost.nanoseconds.saturating_add(renewal);
        let fixed = wide(load.fresh).saturating_mul(FIXED);
        Some(cost.weight(fixed))
    }

    /// All candidates that differ in one parameter.
    fn neighbours(&self) -> Vec<Self> {
        let mut list = Vec::new();
        let mut push = |change: &dyn Fn(&mut Sizing)| {
            let mut next = self.clone();
            change(&mut next.sizing);
            if next.sizing != self.sizing {
                list.push(next);
            }
        };
        for (lambda, grind) in SPLITS {
            push(&|sizing| (sizing.lambda, sizing.grind) = (lambda, grind));
        }
        for rows in [8, 16, 24, 32, 48, 64, 96, 128] {
            push(&|sizing| sizing.fresh.rows = rows);
        }
        for rate in 1..=4 {
            push(&|sizing| sizing.fresh.rate = rate);
            push(&|sizing| sizing.end.rate = rate);
        }
        for rows in [4, 6, 8, 12, 16, 24, 32, 48] {
            push(&|sizing| sizing.end.rows = rows);
        }
        for last_max in [1024, 1536, 2560, 4096, 6144, 8192, 12_288, 16_384, 24_576, 32_768] {
            push(&|sizing| sizing.last_max = last_max);
        }
        for index in 0..self.sizing.inner.len() {
            for rows in [5, 9, 17, 24, 33, 48] {
                push(&|sizing| set(sizing, index, |rung| rung.rows = rows));
            }
            for rate in 1..=5 {
                push(&|sizing| set(sizing, index, |rung| rung.rate = rate));
            }
        }
        list
    }
}

fn set(sizing: &mut Sizing, index: usize, change: impl Fn(&mut Rung)) {
    if let Some(rung) = sizing.inner.get_mut(index) {
        change(rung);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_as_counted() {
        for (levels, leaves) in [(11, 100), (15, 120), (17, 300)] {
            let mut x = 1u64;
            let mut positions = std::collections::BTreeSet::new();
            while positions.len() < leaves {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                positions.insert((x >> 33) as usize % (1 << levels));
            }
            let positions: Vec<usize> = positions.into_iter().collect();
            let (found, expected) =
                (crate::sibling_count(levels, &positions), siblings(levels, leaves as u64));
            assert!(found.abs_diff(expected as usize) * 12 < found, "{levels} {leaves}: {found} {expected}");
        }
    }

    #[test]
    fn tuned_ladders_are_valid_and_no_dearer() {
        for (fresh, model) in
            [(5_000, None), (60_000, Some((62_000, 32))), (20_000, Some((4_206_595, 32))), (11_000_000, None)]
        {
            let load = Load { fresh, model, zk: true };
            let (sizing, shape) = tune(&load).unwrap();
            let oracles = |sizing: &Sizing, model: Option<Shape>| {
                std::iter::once(sizing.fresh(fresh, true).unwrap()).chain(model).collect::<Vec<_>>()
            };
            let tuned = cost(&plan(&sizing, true, oracles(&sizing, shape.clone())).unwrap());
            let usual = Sizing::v1(84, 16);
            let given = model.map(|(n, k)| usual.long_term(Role::Model, n, [0; 32], k, true).unwrap());
            let default = cost(&plan(&usual, true, oracles(&usual, given)).unwrap());
            assert!(tuned.weight(0) <= default.weight(0), "{tuned:?} {default:?}");
            if let Some(shape) = shape {
                assert!(shape.masks() / shape.queries(sizing.lambda) >= 32);
            }
        }
    }
}
