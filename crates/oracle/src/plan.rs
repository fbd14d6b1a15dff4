//! The ladder's shape, computed by both sides before a byte is sent (spec L5, Q9).

use algebra::multilinear::bits;

use crate::{Shape, Sizing};

/// A block of a folded vector: the folded data or masks of one oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Index of the oracle in its level.
    pub oracle: usize,
    /// Masks instead of data.
    pub mask: bool,
    /// First address.
    pub off: usize,
    /// lg of its length.
    pub log: usize,
}

/// One level: its oracles, the rounds that fold their rows, and the folded vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// Oracles of this level.
    pub oracles: Vec<Shape>,
    /// Rounds: the most row variables of any oracle.
    pub rounds: usize,
    /// Blocks of the folded vector, by address.
    pub parts: Vec<Part>,
    /// Length of the folded vector.
    pub length: usize,
}

impl Level {
    fn new(oracles: Vec<Shape>) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        for (oracle, shape) in oracles.iter().enumerate() {
            parts.push(Part { oracle, mask: false, off: 0, log: shape.log_c });
            parts.extend(shape.log_t.map(|log| Part { oracle, mask: true, off: 0, log }));
        }
        // Stable: within one size by oracle, data before masks.
        parts.sort_by_key(|part| core::cmp::Reverse(part.log));
        let mut length = 0usize;
        for part in &mut parts {
            part.off = length;
            length = length.saturating_add(1 << part.log.min(40));
        }
        let rounds = oracles.iter().map(Shape::row_variables).max().unwrap_or(0);
        Self { oracles, rounds, parts, length }
    }

    /// The block of an oracle's data or masks.
    pub fn part(&self, oracle: usize, mask: bool) -> Option<Part> {
        self.parts.iter().find(|part| part.oracle == oracle && part.mask == mask).copied()
    }
}

/// The whole ladder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Parameters.
    pub sizing: Sizing,
    /// Whether messages are masked.
    pub zk: bool,
    /// Levels; level 0 holds the oracles the claim is about, the others one oracle each.
    pub levels: Vec<Level>,
    /// E and Q, with zero knowledge.
    pub closing: Option<(Shape, Shape)>,
    /// Pads used: two per round.
    pub pads: usize,
}

impl Plan {
    /// Length of the last vector.
    pub fn last_length(&self) -> usize {
        self.levels.last().map_or(0, |level| level.length)
    }

    /// Variables of the last vector: with zero knowledge those of E's columns and rows.
    pub fn last_variables(&self) -> usize {
        variables(self.closing.as_ref().map(|(end, _)| end), self.last_length())
    }

    /// Values that end the conversation: the last vector itself, or the replies of E and Q.
    pub fn replies(&self) -> usize {
        let reply = |(end, pads): &(Shape, Shape)| {
            [end.dimension(), self.pads, pads.masks()].into_iter().fold(0, usize::saturating_add)
        };
        self.closing.as_ref().map_or_else(|| self.last_length(), reply)
    }
}

fn variables(end: Option<&Shape>, last: usize) -> usize {
    end.map_or_else(|| bits(last), |end| end.log_c.saturating_add(end.row_variables()))
}

/// Plans the ladder over these oracles. None if some oracle has no valid parameters.
pub fn plan(sizing: &Sizing, zk: bool, oracles: Vec<Shape>) -> Option<Plan> {
    if oracles.iter().any(|shape| !shape.is_valid() || shape.log_t.is_some() != zk) {
        return None;
    }
    let mut levels = vec![Level::new(oracles)];
    while let Some(level) = levels.last().filter(|level| level.length > sizing.last_max) {
        let number = u8::try_from(levels.len()).ok().filter(|&number| number <= 16)?;
        let next = sizing.inner(number, level.length, zk)?;
        levels.push(Level::new(vec![next]));
    }
    let last = levels.last().map_or(0, |level| level.length);
    let end = if zk { Some(sizing.end(last)?) } else { None };
    let rounds = variables(end.as_ref(), last);
    let rounds = levels.iter().map(|level| level.rounds).fold(rounds, usize::saturating_add);
    let pads = rounds.saturating_mul(2);
    let closing = if let Some(end) = end { Some((end, sizing.pads(pads)?)) } else { None };
    Some(Plan { sizing: sizing.clone(), zk, levels, closing, pads })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_of(shape: &Shape) -> (usize, usize, usize) {
        (shape.log_c, shape.log_n, shape.queries(84))
    }

    #[test]
    fn levels_of_the_spec() {
        let sizing = Sizing::v1(84, 16);
        let ladder = |log_total: usize| {
            plan(&sizing, true, vec![sizing.fresh(1 << log_total, true).unwrap()]).unwrap()
        };
        let inner = |plan: &Plan| {
            let shape = |s: &Shape| (s.rows, s.log_c, s.log_n, s.queries(84));
            plan.levels[1..].iter().map(|level| shape(&level.oracles[0])).collect::<Vec<_>>()
        };
        assert_eq!(inner(&ladder(14)), []);
        assert_eq!(inner(&ladder(16)), []);
        assert_eq!(inner(&ladder(18)), [(17, 9, 12, 107)]);
        assert_eq!(inner(&ladder(20)), [(17, 11, 14, 103)]);
        assert_eq!(inner(&ladder(22)), [(17, 13, 16, 102), (17, 9, 13, 95)]);
        let plan = ladder(20);
        assert_eq!((plan.last_length(), plan.pads, plan.replies()), (2176, 44, 512 + 128 + 44 + 128));
        let (end, pads) = plan.closing.unwrap();
        assert_eq!((end.rows, end.own_rows(), shape_of(&end)), (6, 5, (9, 12, 107)));
        assert_eq!((pads.rows, shape_of(&pads)), (2, (6, 10, 112)));
    }

    #[test]
    fn hiding_and_plain_oracles_do_not_mix() {
        let sizing = Sizing::v1(100, 0);
        let hiding = sizing.fresh(1 << 14, true).unwrap();
        assert!(plan(&sizing, false, vec![hiding.clone()]).is_none());
        assert!(plan(&sizing, true, vec![hiding]).is_some());
    }
}
