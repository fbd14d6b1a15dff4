//! The opening conversation (spec L1-L14).
//!
//! | step | who      | says                                | label                        |
//! |------|----------|-------------------------------------|------------------------------|
//! | 1.j  | prover   | c0, c2 of the row round             | `row.round`                  |
//! | 1.j' | verifier | ζ_j                                 | `row.zeta`                   |
//! | 2    | prover   | next root, or the end's root or w   | `root.next` / `root.end` / `end.clear` |
//! | 3    | prover   | proof of work                       | `pow`                        |
//! | 3'   | verifier | positions of every open oracle      | `query`                      |
//! | 4    | prover   | salts and columns, Merkle siblings  | `cols`                       |
//! | 4'   | verifier | ξ                                   | `xi`                         |
//! | 5.j  | prover   | c0, c2 of the end round             | `end.round`                  |
//! | 5.j' | verifier | ζ_j                                 | `end.zeta`                   |
//! | 6    | prover   | σ                                   | `sigma`                      |
//! | 6'   | verifier | θ                                   | `theta`                      |
//! | 7    | prover   | masked fold of E's rows, masked pads | `reply`                     |
//! | 8    | prover   | proof of work, columns of E and Q   | `pow`, `cols`                |

use algebra::multilinear::{eq_prefix, evaluate, selector};
use algebra::slices::{combine_base, dot, dot_base, powers};
use algebra::{F, K};
use sumcheck::round_weights;
use tape::{End, Reject, push_words};

use crate::{Hashing, Level, Plan, Shape, sibling_count};

/// Which oracle is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The oracle with this index in the current level.
    Level(usize),
    /// E.
    End,
    /// Q.
    Pads,
}

/// What the prover holds while it opens.
pub trait Rungs {
    /// Entry j of Q.
    fn ladder_pad(&self, j: usize) -> K;
    /// Starts a level: its rows and its functional.
    fn start_level(&mut self, level: usize);
    /// c0, c2 of the round that binds row variable j.
    fn row_round(&mut self, j: usize) -> [K; 2];
    /// Binds row variable j.
    fn row_fold(&mut self, j: usize, zeta: K);
    /// Folds all rows with these weights per oracle into the vector w; `factors` are the D_a.
    fn fold(&mut self, weights: &[Vec<K>], factors: &[K]);
    /// Commits w to the next oracle.
    fn commit_next(&mut self) -> [u8; 32];
    /// Commits w and the row that masks its fold to E.
    fn commit_end(&mut self) -> [u8; 32];
    /// w itself (without zero knowledge).
    fn last_vector(&mut self) -> Vec<K>;
    /// Salts and columns at these positions.
    fn columns(&mut self, opened: Opened, positions: &[usize]) -> Vec<u8>;
    /// Merkle siblings of these positions.
    fn siblings(&mut self, opened: Opened, positions: &[usize]) -> Vec<[u8; 32]>;
    /// Adds the queries' power functionals, weighed by ξ, to the functional on w.
    fn queried(&mut self, positions: &[Vec<usize>], xi: K);
    /// c0, c2 of the end round that binds variable j.
    fn end_round(&mut self, j: usize) -> [K; 2];
    /// Binds variable j of the last vector.
    fn end_fold(&mut self, j: usize, zeta: K);
    /// σ = V(ζ)·s̃(ζ of E's columns) - ⟨κ, s_Q⟩.
    fn sigma(&mut self, kappa: &[K]) -> K;
    /// y, y_r, y_Q, y_Qr.
    fn reply(&mut self, theta: K) -> Vec<K>;
}

/// Who has a part that climbs the ladder, and other duties beside it.
pub trait Carries {
    /// The part.
    type Part: Rungs;
    /// To read.
    fn carried(&self) -> &Self::Part;
    /// To use.
    fn carried_mut(&mut self) -> &mut Self::Part;
}

impl<W: Carries> Rungs for W {
    fn ladder_pad(&self, j: usize) -> K {
        self.carried().ladder_pad(j)
    }
    fn start_level(&mut self, level: usize) {
        self.carried_mut().start_level(level);
    }
    fn row_round(&mut self, j: usize) -> [K; 2] {
        self.carried_mut().row_round(j)
    }
    fn row_fold(&mut self, j: usize, zeta: K) {
        self.carried_mut().row_fold(j, zeta);
    }
    fn fold(&mut self, weights: &[Vec<K>], factors: &[K]) {
        self.carried_mut().fold(weights, factors);
    }
    fn commit_next(&mut self) -> [u8; 32] {
        self.carried_mut().commit_next()
    }
    fn commit_end(&mut self) -> [u8; 32] {
        self.carried_mut().commit_end()
    }
    fn last_vector(&mut self) -> Vec<K> {
        self.carried_mut().last_vector()
    }
    fn columns(&mut self, opened: Opened, positions: &[usize]) -> Vec<u8> {
        self.carried_mut().columns(opened, positions)
    }
    fn siblings(&mut self, opened: Opened, positions: &[usize]) -> Vec<[u8; 32]> {
        self.carried_mut().siblings(opened, positions)
    }
    fn queried(&mut self, positions: &[Vec<usize>], xi: K) {
        self.carried_mut().queried(positions, xi);
    }
    fn end_round(&mut self, j: usize) -> [K; 2] {
        self.carried_mut().end_round(j)
    }
    fn end_fold(&mut self, j: usize, zeta: K) {
        self.carried_mut().end_fold(j, zeta);
    }
    fn sigma(&mut self, kappa: &[K]) -> K {
        self.carried_mut().sigma(kappa)
    }
    fn reply(&mut self, theta: K) -> Vec<K> {
        self.carried_mut().reply(theta)
    }
}

/// The claim const + ⟨κ, Q⟩.
struct Claim {
    constant: K,
    kappa: Vec<K>,
    used: usize,
}

impl Claim {
    fn round(&mut self, said: &[K], zk: bool, zeta: K) {
        let (w0, w2, wc) = round_weights(zeta);
        self.constant *= wc;
        for x in &mut self.kappa {
            *x *= wc;
        }
        for (&message, weight) in said.iter().zip([w0, w2]) {
            self.constant += message * weight;
            if zk {
                if let Some(slot) = self.kappa.get_mut(self.used) {
                    *slot += weight;
                }
                self.used = self.used.saturating_add(1);
            }
        }
    }
}

/// What a finished level leaves for the final evaluation.
struct Trace<'a> {
    level: &'a Level,
    zeta: Vec<K>,
    factors: Vec<K>,
    positions: Vec<Vec<usize>>,
    xi: K,
}

/// A claim to open: Σ_a ⟨oracle_a, v_a⟩ = target.
pub struct Opening<'a> {
    /// The ladder.
    pub plan: &'a Plan,
    /// Roots of the level-0 oracles.
    pub roots: &'a [[u8; 32]],
    /// Root of Q, with zero knowledge.
    pub pad_root: Option<[u8; 32]>,
    /// The claimed sum.
    pub target: K,
}

/// Both ends. `functional(a, point)` is the multilinear extension of v_a at an address point of
/// level-0 oracle a (column variables first); only the verifier's end calls it.
pub fn open<E: End, W: Rungs>(
    end: &mut E,
    opening: &Opening<'_>,
    functional: impl Fn(usize, &[K]) -> K,
    knows: &mut E::Knows<W>,
) -> Result<(), Reject> {
    let plan = opening.plan;
    let mut claim = Claim {
        constant: opening.target,
        kappa: vec![K::ZERO; if plan.zk { plan.pads } else { 0 }],
        used: 0,
    };
    let mut roots = opening.roots.to_vec();
    let mut traces: Vec<Trace<'_>> = Vec::new();
    let mut last = Vec::new();
    let mut end_root = [0; 32];
    for (number, level) in plan.levels.iter().enumerate() {
        end.act(knows, |witness: &mut W| witness.start_level(number));
        let zeta = rounds(end, &mut claim, plan.zk, ROW, level.rounds, knows)?;
        let weights: Vec<Vec<K>> = level
            .oracles
            .iter()
            .map(|shape| eq_prefix(zeta.get(..shape.row_variables()).unwrap_or(&zeta), shape.rows))
            .collect();
        let factors: Vec<K> = level
            .oracles
            .iter()
            .map(|shape| zeta.iter().skip(shape.row_variables()).map(|&x| K::ONE - x).product())
            .collect();
        end.act(knows, |witness: &mut W| witness.fold(&weights, &factors));
        let is_last = number.saturating_add(1) == plan.levels.len();
        let mut next_roots = Vec::new();
        if !is_last {
            next_roots.push(end.say_root("root.next", knows, W::commit_next)?);
        } else if plan.zk {
            end_root = end.say_root("root.end", knows, W::commit_end)?;
        } else {
            last = end.say("end.clear", level.length, knows, W::last_vector)?;
        }
        let (positions, xi) = queries(end, plan, level, &roots, &weights, &mut claim, knows)?;
        end.act(knows, |witness: &mut W| witness.queried(&positions, xi));
        traces.push(Trace { level, zeta, factors, positions, xi });
        roots = next_roots;
    }
    let zeta = rounds(end, &mut claim, plan.zk, CLOSE, plan.last_variables(), knows)?;
    let value = if E::CHECKS { functional_value(&traces, &zeta, &functional) } else { K::ZERO };
    match (&plan.closing, opening.pad_root) {
        (Some((shape, pads)), Some(pad_root)) => {
            close(end, plan, [(shape, end_root), (pads, pad_root)], (&claim, &zeta, value), knows)
        }
        // Soundness: a false claim about w survives the end rounds with probability <= 2·m/#K.
        _ if E::CHECKS && value * evaluate(&last, &zeta) != claim.constant => Err(Reject::LastVector),
        _ => Ok(()),
    }
}

/// Labels and witness functions of a family of rounds.
#[derive(Clone, Copy)]
struct Family {
    say: &'static str,
    draw: &'static str,
    rows: bool,
}

const ROW: Family = Family { say: "row.round", draw: "row.zeta", rows: true };
const CLOSE: Family = Family { say: "end.round", draw: "end.zeta", rows: false };

fn rounds<E: End, W: Rungs>(
    end: &mut E,
    claim: &mut Claim,
    zk: bool,
    family: Family,
    count: usize,
    knows: &mut E::Knows<W>,
) -> Result<Vec<K>, Reject> {
    let mut point = vec![K::ZERO; count];
    for (j, slot) in point.iter_mut().enumerate().rev() {
        let first = claim.used;
        let said = end.say(family.say, 2, knows, |witness: &mut W| {
            let mut message = if family.rows { witness.row_round(j) } else { witness.end_round(j) };
            if zk {
                for (value, pad) in message.iter_mut().zip(first..) {
                    *value -= witness.ladder_pad(pad);
                }
            }
            message.to_vec()
        })?;
        // Soundness: a false round of degree 2 survives with probability <= 2/#K; a fold of rows
        // far from the code stays far except for n/#K per oracle and coordinate.
        let zeta = end.draw(family.draw);
        *slot = zeta;
        claim.round(&said, zk, zeta);
        end.act(
            knows,
            |witness: &mut W| {
                if family.rows { witness.row_fold(j, zeta) } else { witness.end_fold(j, zeta) }
            },
        );
    }
    Ok(point)
}

/// Queries of one level: positions of all its oracles, then their columns, then ξ.
fn queries<E: End, W: Rungs>(
    end: &mut E,
    plan: &Plan,
    level: &Level,
    roots: &[[u8; 32]],
    weights: &[Vec<K>],
    claim: &mut Claim,
    knows: &mut E::Knows<W>,
) -> Result<(Vec<Vec<usize>>, K), Reject> {
    end.grind(plan.sizing.grind)?;
    let positions: Vec<Vec<usize>> =
        level.oracles.iter().map(|shape| draw_positions(end, shape, plan.sizing.lambda)).collect();
    let mut folded: Vec<K> = Vec::new();
    for (number, shape) in level.oracles.iter().enumerate() {
        let at = positions.get(number).map(Vec::as_slice).unwrap_or_default();
        let root = roots.get(number).copied().unwrap_or_default();
        let columns = columns(end, shape, root, Opened::Level(number), at, knows)?;
        folded.extend(columns.folded(weights.get(number).map(Vec::as_slice).unwrap_or_default()));
    }
    // Soundness: wrong positions cancel for at most #positions values of ξ.
    let xi = end.draw("xi");
    let mut power = K::ONE;
    for value in folded {
        power *= xi;
        claim.constant += value * power;
    }
    Ok((positions, xi))
}

fn draw_positions<E: End>(end: &mut E, shape: &Shape, lambda: u8) -> Vec<usize> {
    // Soundness: columns off the folded codeword escape all t positions with probability <= 2^-λ.
    end.indices(u32::try_from(shape.log_n).unwrap_or(0), shape.queries(lambda))
}

/// The entries of opened columns, one column after the other.
struct Columns {
    rows: usize,
    entries: Entries,
}

enum Entries {
    Base(Vec<F>),
    Extension(Vec<K>),
}

impl Columns {
    /// Σ_r `weights[r]`·`column[r]` of each.
    fn folded(&self, weights: &[K]) -> Vec<K> {
        let rows = self.rows.max(1);
        match &self.entries {
            Entries::Base(all) => all.chunks_exact(rows).map(|column| dot_base(weights, column)).collect(),
            Entries::Extension(all) => all.chunks_exact(rows).map(|column| dot(weights, column)).collect(),
        }
    }
}

/// Powers of the root of unity of a domain.
struct Roots {
    /// Those below 2^`bits`, and every 2^`bits`-th.
    low: Vec<F>,
    high: Vec<F>,
    bits: u32,
    mask: usize,
}

impl Roots {
    fn new(log_n: usize) -> Self {
        let log_n = u32::try_from(log_n).unwrap_or(0);
        let bits = log_n.div_ceil(2);
        let powers = |x: F, log: u32| {
            let count = 1usize.checked_shl(log).unwrap_or(0);
            core::iter::successors(Some(F::ONE), |&power| Some(power * x)).take(count).collect()
        };
        let omega = F::root_of_unity(log_n).unwrap_or(F::ONE);
        let step = F::root_of_unity(log_n.saturating_sub(bits)).unwrap_or(F::ONE);
        let mask = 1usize.checked_shl(log_n).unwrap_or(0).wrapping_sub(1);
        Self { low: powers(omega, bits), high: powers(step, log_n.saturating_sub(bits)), bits, mask }
    }

    /// ω^j.
    fn at(&self, j: usize) -> F {
        let j = j & self.mask;
        let low = self.low.get(j & self.low.len().wrapping_sub(1));
        let high = self.high.get(j.checked_shr(self.bits).unwrap_or(0));
        low.copied().unwrap_or_default() * high.copied().unwrap_or_default()
    }

    /// x = ω^j for each position j, and x^shift.
    fn points(&self, positions: &[usize], shift: usize) -> (Vec<F>, Vec<F>) {
        let shifted = positions.iter().map(|&j| self.at(j.wrapping_mul(shift))).collect();
        (positions.iter().map(|&j| self.at(j)).collect(), shifted)
    }
}

/// Opened columns, checked against the root.
fn columns<E: End, W: Rungs>(
    end: &mut E,
    shape: &Shape,
    root: [u8; 32],
    opened: Opened,
    positions: &[usize],
    knows: &mut E::Knows<W>,
) -> Result<Columns, Reject> {
    let width = shape.column_bytes();
    let bytes = end.say_bytes("cols", width.saturating_mul(positions.len()), knows, |witness: &mut W| {
        witness.columns(opened, positions)
    })?;
    let count = sibling_count(shape.log_n, positions);
    let siblings = end.siblings(count, knows, |witness: &mut W| witness.siblings(opened, positions))?;
    let salt = if shape.log_t.is_some() { 16 } else { 0 };
    let hashing = Hashing::new(shape);
    let mut words = Vec::with_capacity(bytes.len() / 8);
    for entry in bytes.chunks_exact(width.max(1)) {
        push_words("cols", entry.get(salt..).unwrap_or_default(), &mut words)?;
    }
    let entries = if shape.extension {
        Entries::Extension(words.as_chunks::<2>().0.iter().map(|&[c0, c1]| K::new(c0, c1)).collect())
    } else {
        Entries::Base(words)
    };
    if E::CHECKS {
        let leaves = positions.iter().copied().zip(hashing.opened(positions, &bytes)).collect();
        if hashing.root(shape.log_n, leaves, &siblings) != Some(root) {
            return Err(Reject::Root { oracle: shape.role.name() });
        }
    }
    Ok(Columns { rows: shape.rows, entries })
}

/// V(z) of the last level, level by level down to the functionals of level 0 (spec L9).
fn functional_value(traces: &[Trace<'_>], z: &[K], functional: &impl Fn(usize, &[K]) -> K) -> K {
    let Some((trace, below)) = traces.split_last() else { return K::ZERO };
    let mut value = K::ZERO;
    let mut xi = K::ONE;
    for (number, shape) in trace.level.oracles.iter().enumerate() {
        let Some(part) = trace.level.part(number, false) else { continue };
        let data = selector(z, part.off, part.log);
        let column = z.get(..part.log).unwrap_or(z);
        let row = trace.zeta.get(..shape.row_variables()).unwrap_or(&trace.zeta);
        let point: Vec<K> = column.iter().chain(row).copied().collect();
        let inner = if below.is_empty() {
            functional(number, &point)
        } else {
            functional_value(below, &point, functional)
        };
        value += trace.factors.get(number).copied().unwrap_or_default() * data * inner;
        let masks = trace.level.part(number, true);
        let mask = masks.map_or(K::ZERO, |part| selector(z, part.off, part.log));
        let mask_point = masks.and_then(|part| z.get(..part.log)).unwrap_or_default();
        let positions = trace.positions.get(number).map(Vec::as_slice).unwrap_or_default();
        let (points, shifts) = Roots::new(shape.log_n).points(positions, shape.data());
        let next = |_: &usize| {
            xi *= trace.xi;
            xi
        };
        let weights: Vec<K> = positions.iter().map(next).collect();
        let mut at = vec![K::ZERO; points.len()];
        powers(&mut at, column, &points);
        value += data * dot(&weights, &at);
        if masks.is_some() {
            powers(&mut at, mask_point, &points);
            at.iter_mut().zip(shifts).for_each(|(at, shift)| *at = at.scale(shift));
            value += mask * dot(&weights, &at);
        }
    }
    value
}

/// What the rows of E and Q weigh in a reply: θ times the fold at this point of rows, and 1 for the row that masks it
/// (spec L12).
pub fn reply_weights(shape: &Shape, rows_at: &[K], theta: K) -> Vec<K> {
    let own = eq_prefix(rows_at, shape.own_rows()).into_iter().map(|weight| theta * weight);
    own.chain([K::ONE]).collect()
}

/// The closing move with zero knowledge (spec L12, L13).
fn close<E: End, W: Rungs>(
    end: &mut E,
    plan: &Plan,
    oracles: [(&Shape, [u8; 32]); 2],
    (claim, zeta, value): (&Claim, &[K], K),
    knows: &mut E::Knows<W>,
) -> Result<(), Reject> {
    let said = end.say("sigma", 1, knows, |witness: &mut W| vec![witness.sigma(&claim.kappa)])?;
    let sigma = said.first().copied().unwrap_or_default();
    // Soundness: a reply that satisfies the check for two θ yields a satisfying w and Q.
    let theta = end.draw("theta");
    let [(shape, _), (pads, _)] = oracles;
    let lengths = [shape.data(), shape.masks(), plan.pads, pads.masks()];
    let reply = end.say("reply", plan.replies(), knows, |witness: &mut W| witness.reply(theta))?;
    let mut rest = reply.as_slice();
    let mut take = |n: usize| {
        let (head, tail) = rest.split_at_checked(n).unwrap_or((rest, &[]));
        rest = tail;
        head
    };
    let [y, y_masks, y_pads, y_pad_masks] = lengths.map(&mut take);
    let (columns_at, rows_at) = zeta.split_at_checked(shape.log_c).unwrap_or((zeta, &[]));
    if E::CHECKS {
        let pads: K = claim.kappa.iter().zip(y_pads).map(|(&a, &b)| a * b).sum();
        if value * evaluate(y, columns_at) - pads != sigma + theta * claim.constant {
            return Err(Reject::Reply);
        }
    }
    end.grind(plan.sizing.grind)?;
    let lambda = plan.sizing.lambda;
    let positions = oracles.map(|(shape, _)| draw_positions(end, shape, lambda));
    let replies = [(y, y_masks, rows_at), (y_pads, y_pad_masks, &[])];
    let opened = [Opened::End, Opened::Pads];
    for (((shape, root), at), (which, (data, masks, rows_at))) in
        oracles.into_iter().zip(&positions).zip(opened.into_iter().zip(replies))
    {
        let columns = columns(end, shape, root, which, at, knows)?;
        if E::CHECKS {
            check_codeword(shape, (data, masks), &reply_weights(shape, rows_at, theta), at, &columns)?;
        }
    }
    Ok(())
}

/// Values of a polynomial with these coefficients at many points. Its coefficients are cut into runs: the
/// low powers of all points are made once, and Horner's rule joins the runs.
fn evaluations(coefficients: &[K], points: &[F]) -> Vec<K> {
    const RUN: usize = 32;
    let mut powers: Vec<Vec<F>> = Vec::with_capacity(RUN);
    let mut next = vec![F::ONE; points.len()];
    for _ in 0..RUN.min(coefficients.len()) {
        let products = next.iter().zip(points).map(|(&power, &x)| power * x).collect();
        powers.push(core::mem::replace(&mut next, products));
    }
    let rows: Vec<&[F]> = powers.iter().map(Vec::as_slice).collect();
    let mut values = vec![K::ZERO; points.len()];
    let mut sums = values.clone();
    for run in coefficients.chunks(RUN).rev() {
        combine_base(&mut sums, run, rows.get(..run.len()).unwrap_or_default());
        for ((value, &sum), &step) in values.iter_mut().zip(&sums).zip(&next) {
            *value = value.scale(step) + sum;
        }
    }
    values
}

/// Enc(y ‖ y_r)_j = Σ_r `weights[r]`·`column_j[r]` at every opened position j.
fn check_codeword(
    shape: &Shape,
    (data, masks): (&[K], &[K]),
    weights: &[K],
    positions: &[usize],
    columns: &Columns,
) -> Result<(), Reject> {
    let (points, shifts) = Roots::new(shape.log_n).points(positions, shape.data());
    let masked = evaluations(masks, &points).into_iter().zip(shifts);
    let encoded = evaluations(data, &points).into_iter().zip(masked);
    let encoded: Vec<K> = encoded.map(|(value, (mask, shift))| value + mask.scale(shift)).collect();
    if encoded == columns.folded(weights) {
        Ok(())
    } else {
        Err(Reject::Codeword { oracle: shape.role.name() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_powers_of_omega() {
        for log_n in 0..=11 {
            let (roots, n) = (Roots::new(log_n), 1usize << log_n);
            let omega = F::root_of_unity(log_n as u32).unwrap();
            for j in 0..n {
                assert_eq!(roots.at(j), omega.pow(j as u64), "2^{log_n}, {j}");
            }
            let (points, shifted) = roots.points(&[0, n - 1, n / 2], 4);
            assert!(points.iter().zip(&shifted).all(|(x, shifted)| x.pow(4) == *shifted));
        }
    }

    #[test]
    fn runs_of_coefficients_are_one_polynomial() {
        let word = |i: u64| F::new(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for count in [0u64, 1, 2, 31, 32, 33, 64, 65, 1000] {
            let coefficients: Vec<K> = (0..count).map(|i| K::new(word(i), word(i + count))).collect();
            let points: Vec<F> = (0..19).map(word).collect();
            let plain = |&x: &F| {
                let powers = (0..count).map(|i| x.pow(i));
                coefficients.iter().zip(powers).map(|(&c, power)| c.scale(power)).sum()
            };
            let expected: Vec<K> = points.iter().map(plain).collect();
            assert_eq!(evaluations(&coefficients, &points), expected, "{count} coefficients");
        }
    }
}
