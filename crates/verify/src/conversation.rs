//! The whole conversation, for both ends.

use algebra::K;
use algebra::multilinear::{eq_index, eq_table};
use lookup::Fractions;
use oracle::{Opening, Rungs, open};
use program::lower::Ip;
use sumcheck::{Expr, InnerProducts, Ledger, Sent};
use tape::{End, Reject};

use crate::relations::{InnerPoints, LookupChallenges, leaves, linear};
use crate::{Functionals, Setup};

/// What the prover is told before the inner products.
pub struct Challenges {
    /// Points of each inner product.
    pub points: Vec<InnerPoints>,
    /// τ (zk).
    pub tau: Vec<K>,
}

/// What the prover holds.
pub trait Witness: Fractions + InnerProducts + Rungs {
    /// Commits Z.
    fn commit_fresh(&mut self) -> [u8; 32];
    /// Commits Q.
    fn commit_pads(&mut self) -> [u8; 32];
    /// Builds the tree of fractions.
    fn lookup_challenges(&mut self, challenges: &LookupChallenges);
    /// Builds the tables of the inner products.
    fn relation_points(&mut self, challenges: Challenges);
    /// Private a_l, b_l at the end of the sumcheck, in order.
    fn inner_values(&mut self) -> Vec<K>;
    /// A and B of the pad products.
    fn clear_values(&mut self) -> [K; 2];
    /// The functional to open.
    fn functionals(&mut self, functionals: &Functionals<'_>);
}

/// Both ends. `header` is the Statement's bytes, `roots` the long-term roots in its order.
pub fn converse<E: End, W: Witness>(
    end: &mut E,
    setup: &Setup,
    header: &[u8],
    roots: &[[u8; 32]],
    knows: &mut E::Knows<W>,
) -> Result<(), Reject> {
    end.bind("hdr", header);
    let mut all_roots = vec![end.say_root("root.z", knows, W::commit_fresh)?];
    all_roots.extend(roots);
    let pad_root = if setup.zk { Some(end.say_root("root.pad", knows, W::commit_pads)?) } else { None };
    let mut ledger = Ledger::new(setup.zk);
    if setup.layers > 0 {
        show_lookups(end, setup, &mut ledger, knows)?;
    }
    show_relations(end, setup, &mut ledger, knows)?;
    // Soundness: a false constraint survives the batch with probability <= #constraints/#K.
    let eta = end.draw("eta");
    let (constant, functionals) = Functionals::new(setup, ledger.batch(eta));
    end.act(knows, |witness: &mut W| witness.functionals(&functionals));
    let opening = Opening { plan: &setup.plan, roots: &all_roots, pad_root, target: -constant };
    open(end, &opening, |oracle, point| functionals.at(oracle, point), knows)
}

/// Every lookup is a row of its table.
fn show_lookups<E: End, W: Witness>(
    end: &mut E,
    setup: &Setup,
    ledger: &mut Ledger,
    knows: &mut E::Knows<W>,
) -> Result<(), Reject> {
    // Soundness: all columns and multiplicities are committed; the sum of fractions is a non-zero
    // rational function of (α, β) if some tuple is no row, so it vanishes for at most #leaves/#K.
    let alpha = end.draw("alpha");
    let mut betas = vec![K::ONE];
    betas.extend(end.draws("beta", setup.coordinates.saturating_sub(1)));
    let challenges = LookupChallenges { alpha, betas, tag: end.draw("tag") };
    end.act(knows, |witness: &mut W| witness.lookup_challenges(&challenges));
    let claim = lookup::reduce(end, ledger, setup.layers, knows)?;
    let (numerator, denominator) = leaves(setup, &challenges, &claim.point);
    ledger.require(claim.numerator.minus(numerator));
    ledger.require(claim.denominator.minus(denominator));
    Ok(())
}

/// Every inner product and every linear relation holds.
fn show_relations<E: End, W: Witness>(
    end: &mut E,
    setup: &Setup,
    ledger: &mut Ledger,
    knows: &mut E::Knows<W>,
) -> Result<(), Reject> {
    let ips = &setup.lowered.ips;
    let each = || ips.iter().zip(&setup.products);
    let points: Vec<InnerPoints> = each().map(|(ip, product)| InnerPoints::draw(end, ip, product)).collect();
    let linears: Vec<Expr> = setup.lowered.lins.iter().map(|lin| linear(end, setup, lin)).collect();
    let tau = if setup.zk { end.draws("tau", setup.dims.last().copied().unwrap_or(0)) } else { Vec::new() };
    let challenges = Challenges { points: points.clone(), tau: tau.clone() };
    end.act(knows, |witness: &mut W| witness.relation_points(challenges));
    if ips.is_empty() && !setup.zk {
        linears.into_iter().for_each(|e| ledger.require(e));
        return Ok(());
    }
    let mut claims: Vec<Expr> =
        each().zip(&points).map(|((ip, product), points)| points.claim(setup, ip, product)).collect();
    if setup.zk {
        let products = eq_table(&tau).into_iter().take(setup.sends.1.saturating_add(1)).enumerate().collect();
        claims.push(Expr { products, ..Expr::default() });
    }
    let reduced = sumcheck::reduce(end, ledger, &setup.dims, claims, knows)?;
    linears.into_iter().for_each(|e| ledger.require(e));
    let count = setup.private.iter().map(|&(a, b)| usize::from(a).saturating_add(usize::from(b))).sum();
    let mut sent = ledger.send(end, "ip.out", count, knows, W::inner_values)?.into_iter();
    let mut final_claim = reduced.claim;
    let mut ends = Vec::new();
    let weights = reduced.gammas.iter().zip(&reduced.factors).map(|(&gamma, &factor)| gamma * factor);
    let mut weights: Vec<K> = weights.collect();
    let pad_weight = if setup.zk { weights.pop() } else { None };
    for (((ip, points), &private), weight) in ips.iter().zip(&points).zip(&setup.private).zip(weights) {
        let product = factors(setup, ledger, (ip, points), private, &reduced.rho, (&mut sent, &mut ends));
        final_claim.add_scaled(product, -weight);
    }
    let Some(weight) = pad_weight else {
        ledger.require(final_claim);
        ends.into_iter().for_each(|e| ledger.require(e));
        return Ok(());
    };
    let clear = end.say("ip.clear", 2, knows, |witness: &mut W| witness.clear_values().to_vec())?;
    let &[a, b] = clear.as_slice() else { return Err(Reject::Truncated { label: "ip.clear" }) };
    ledger.require(final_claim.minus(Expr::from(weight * a * b)));
    ends.into_iter().for_each(|e| ledger.require(e));
    show_pads(setup, ledger, &tau, &reduced.rho, [a, b])
}

/// a_l·b_l of one relation; the functionals of sent factors go to `ends`.
fn factors(
    setup: &Setup,
    ledger: &mut Ledger,
    (ip, points): (&Ip, &InnerPoints),
    (a_private, b_private): (bool, bool),
    rho: &[K],
    (sent, ends): (&mut impl Iterator<Item = Sent>, &mut Vec<Expr>),
) -> Expr {
    let (a, b) = points.functionals(setup, ip, rho);
    let first = if a_private { sent.next() } else { None };
    let second = if b_private { sent.next() } else { None };
    match (first, second) {
        (Some(x), Some(y)) => {
            ends.push(a.minus(x.expr()));
            ends.push(b.minus(y.expr()));
            ledger.multiply(x, y)
        }
        (Some(x), None) => {
            ends.push(a.minus(x.expr()));
            x.expr().scaled(b.constant)
        }
        (None, Some(y)) => {
            ends.push(b.minus(y.expr()));
            y.expr().scaled(a.constant)
        }
        (None, None) => Expr::from(a.constant * b.constant),
    }
}

/// A and B are the pad products' factors at ρ (spec I6, I7). The dummy pair makes them uniform.
fn show_pads(setup: &Setup, ledger: &mut Ledger, tau: &[K], rho: &[K], [a, b]: [K; 2]) -> Result<(), Reject> {
    let (pads, products) = setup.sends;
    let rho = rho.get(..tau.len()).unwrap_or(rho);
    if eq_index(rho, products) * eq_index(tau, products) == K::ZERO {
        return Err(Reject::ExceptionalChallenge { label: "ip.rho" });
    }
    let (eq_rho, eq_tau) = (eq_table(rho), eq_table(tau));
    let pairs: Vec<(usize, usize)> =
        ledger.products().iter().copied().chain([(pads, pads.saturating_add(1))]).collect();
    let mut first = Expr::from(-a);
    let mut second = Expr::from(-b);
    for ((&(x, y), &at_rho), &at_tau) in pairs.iter().zip(&eq_rho).zip(&eq_tau) {
        first.pads.push((x, at_rho * at_tau));
        second.pads.push((y, at_rho));
    }
    ledger.require(first);
    ledger.require(second);
    Ok(())
}
