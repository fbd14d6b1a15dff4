//! The batched inner-product sumcheck (spec I3-I5): claims A_l = Σ_x a_l(x)·b_l(x) over cubes
//! of different dimension become one claim at one point.

use algebra::K;
use tape::{End, Reject};

use crate::{Expr, Ledger, Pads, Sent, round_weights};

/// What the prover holds: the tables a_l, b_l of every relation.
pub trait InnerProducts: Pads {
    /// Weighs relation l by `gammas[l]`.
    fn weigh(&mut self, gammas: &[K]);
    /// c0 and c2 of the round that binds variable j.
    fn inner_round(&mut self, j: usize) -> [K; 2];
    /// Binds variable j to rho.
    fn inner_fold(&mut self, j: usize, rho: K);
}

/// The claim left by [`reduce`]: Σ_l `gammas[l]`·`factors[l]`·a_l(ρ)·b_l(ρ) = claim.
#[must_use = "a claim nobody checks proves nothing"]
pub struct Reduced {
    /// The point; relation l uses its first `dims[l]` coordinates.
    pub rho: Vec<K>,
    /// γ^l.
    pub gammas: Vec<K>,
    /// D_l = ∏_{i >= `dims[l]`} (1 - ρ_i).
    pub factors: Vec<K>,
    /// The final claim.
    pub claim: Expr,
}

/// Both ends. `dims[l]` is the number of variables of relation l, `claims[l]` its A_l.
pub fn reduce<E: End, W: InnerProducts>(
    end: &mut E,
    ledger: &mut Ledger,
    dims: &[usize],
    claims: Vec<Expr>,
    knows: &mut E::Knows<W>,
) -> Result<Reduced, Reject> {
    // Soundness: if some A_l is false the batch is false except for #relations/#K.
    let gamma = end.draw("gamma");
    let mut gammas = Vec::with_capacity(claims.len());
    let mut claim = Expr::default();
    let mut power = K::ONE;
    for one in claims {
        claim.add_scaled(one, power);
        gammas.push(power);
        power *= gamma;
    }
    end.act(knows, |witness: &mut W| witness.weigh(&gammas));
    let rounds = dims.iter().copied().max().unwrap_or(0);
    let mut rho = vec![K::ZERO; rounds];
    let mut messages: Vec<(Vec<Expr>, (K, K, K))> = Vec::with_capacity(rounds);
    for (j, slot) in rho.iter_mut().enumerate().rev() {
        let said =
            ledger.send(end, "ip.round", 2, knows, |witness: &mut W| witness.inner_round(j).to_vec())?;
        // Soundness: a false round polynomial of degree 2 survives with probability <= 2/#K.
        let x = end.draw("ip.rho");
        *slot = x;
        messages.push((said.into_iter().map(Sent::expr).collect(), round_weights(x)));
        end.act(knows, |witness: &mut W| witness.inner_fold(j, x));
    }
    let claim = folded(claim, messages);
    let factors = dims.iter().map(|&d| rho.iter().skip(d).map(|&x| K::ONE - x).product()).collect();
    Ok(Reduced { rho, gammas, factors, claim })
}

/// The claim after all rounds: each makes claim·wc + c0·w0 + c2·w2 of the claim before it. The claim
/// has many terms, so the weights are multiplied first, from the last round back.
fn folded(claim: Expr, messages: Vec<(Vec<Expr>, (K, K, K))>) -> Expr {
    let mut later = K::ONE;
    let mut rounds = Expr::default();
    for (said, (w0, w2, wc)) in messages.into_iter().rev() {
        for (message, weight) in said.into_iter().zip([w0, w2]) {
            rounds.add_scaled(message, weight * later);
        }
        later *= wc;
    }
    claim.scaled(later).plus(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Term;
    use algebra::F;

    fn k(i: u64) -> K {
        let word = |i: u64| F::new(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        K::new(word(i), word(i + 7))
    }

    /// The definition: every round scales the claim before it.
    fn plainly(claim: Expr, messages: Vec<(Vec<Expr>, (K, K, K))>) -> Expr {
        messages.into_iter().fold(claim, |claim, (said, (w0, w2, wc))| {
            let mut next = claim.scaled(wc);
            for (message, weight) in said.into_iter().zip([w0, w2]) {
                next.add_scaled(message, weight);
            }
            next
        })
    }

    #[test]
    fn weights_may_be_multiplied_first() {
        for rounds in 0..6 {
            let term = |i: u64| Term { coef: k(i), tensor: 0, axes: Vec::new() };
            let claim = Expr {
                constant: k(1),
                pads: vec![(90, k(2))],
                products: vec![(91, k(3))],
                terms: vec![term(4), term(5)],
            };
            let message =
                |i: u64| Expr { constant: k(i), pads: vec![(i as usize, k(i + 1))], ..Expr::default() };
            let messages: Vec<_> = (0..rounds)
                .map(|i| (vec![message(2 * i), message(2 * i + 1)], round_weights(k(i + 40))))
                .collect();
            let (fast, plain) = (folded(claim.clone(), messages.clone()), plainly(claim, messages));
            let sorted = |mut list: Vec<(usize, K)>| {
                list.sort_by_key(|&(i, _)| i);
                list
            };
            assert_eq!(fast.constant, plain.constant);
            assert_eq!(sorted(fast.pads), sorted(plain.pads));
            assert_eq!(fast.products, plain.products);
            let coefs = |terms: &[Term]| terms.iter().map(|term| term.coef).collect::<Vec<K>>();
            assert_eq!(coefs(&fast.terms), coefs(&plain.terms));
        }
    }
}
