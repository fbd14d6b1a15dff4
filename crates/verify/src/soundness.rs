//! The soundness budget, computed from the actual parameters (spec S5-S7).
//!
//! Each term bounds the error of one round by 2^-bits, proven in the unique-decoding regime; whole
//! bits, rounded down. The proof is round-by-round sound up to the weakest term; the union over all
//! rounds is given beside it.

use oracle::Plan;

use crate::Setup;

/// The error of one kind of round is at most 2^-bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// Which challenge.
    pub name: &'static str,
    /// Bits.
    pub bits: u32,
}

/// All terms of one proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// One per kind of round.
    pub terms: Vec<Term>,
    /// Rounds in all.
    pub rounds: usize,
}

impl Budget {
    /// The weakest term.
    pub fn weakest(&self) -> Term {
        let least = self.terms.iter().min_by_key(|term| term.bits);
        least.copied().unwrap_or(Term { name: "none", bits: 0 })
    }

    /// Bits of the union over all rounds: the weakest, less the rounded-up lg of their number.
    pub fn union(&self) -> u32 {
        let lost = usize::BITS.saturating_sub(self.rounds.saturating_sub(1).leading_zeros());
        self.weakest().bits.saturating_sub(lost)
    }
}

/// Bits of an error of at most `count` / #K, where #K = p² > 2^127.99.
pub(crate) fn over_field(count: usize) -> u32 {
    127u32.saturating_sub(count.max(1).ilog2())
}

/// The budget of a proof with this setup.
pub fn budget(setup: &Setup) -> Budget {
    let lowered = &setup.lowered;
    let plan = &setup.plan;
    let variables = |axes: &[usize]| axes.iter().map(|&n| algebra::multilinear::bits(n)).sum::<usize>();
    let outputs = lowered.ips.iter().map(|ip| variables(&ip.outputs));
    let linears = lowered.lins.iter().map(|lin| variables(&lin.axes));
    let tau = setup.dims.last().copied().unwrap_or(0);
    let points = outputs.chain(linears).max().unwrap_or(0).max(tau);
    let constraints = setup
        .layers
        .saturating_add(lowered.lins.len())
        .saturating_add(setup.private.len().saturating_mul(2))
        .saturating_add(5);
    let terms = vec![
        Term { name: "lookups", bits: over_field(setup.leaves.total) },
        Term { name: "lookup rounds", bits: over_field(3) },
        Term { name: "relation points", bits: over_field(points) },
        Term { name: "inner-product batch", bits: over_field(setup.dims.len()) },
        Term { name: "inner-product rounds", bits: over_field(2) },
        Term { name: "constraint batch", bits: over_field(constraints) },
    ];
    let terms = terms.into_iter().chain(ladder_terms(plan)).collect();
    let gkr = setup.layers.saturating_mul(setup.layers.saturating_add(3));
    let rounds = gkr
        .saturating_add(setup.dims.iter().copied().max().unwrap_or(0))
        .saturating_add(ladder_rounds(plan))
        .saturating_add(8);
    Budget { terms, rounds }
}

/// The terms of an opening.
pub(crate) fn ladder_terms(plan: &Plan) -> [Term; 4] {
    let mut folds = 0usize;
    let mut opened = 0usize;
    for level in &plan.levels {
        let n: usize = level.oracles.iter().map(|shape| shape.positions()).sum();
        folds = folds.max(n);
        opened = opened.max(level.oracles.iter().map(|shape| shape.queries(plan.sizing.lambda)).sum());
    }
    let (end, pads) = plan.closing.as_ref().map_or((0, 0), |(end, pads)| (end.positions(), pads.positions()));
    let (folds, closing) = (folds.max(end), end.saturating_add(pads));
    let security = u32::from(plan.sizing.lambda).saturating_add(u32::from(plan.sizing.grind));
    [
        Term { name: "row folds", bits: over_field(folds.saturating_add(2)) },
        Term { name: "query batch", bits: over_field(opened) },
        Term { name: "closing move", bits: over_field(closing.saturating_add(1)) },
        Term { name: "column queries", bits: security },
    ]
}

/// Rounds of an opening.
pub(crate) fn ladder_rounds(plan: &Plan) -> usize {
    let levels = plan.levels.iter().map(|level| level.rounds.saturating_add(2)).sum::<usize>();
    levels.saturating_add(plan.last_variables())
}
