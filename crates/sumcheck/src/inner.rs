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
    let mut messages: Vec<(Vec<Sent>, (K, K, K))> = Vec::with_capacity(rounds);
    for (j, slot) in rho.iter_mut().enumerate().rev() {
        let said =
            ledger.send(end, "ip.round", 2, knows, |witness: &mut W| witness.inner_round(j).to_vec())?;
        // Soundness: a false round polynomial of degree 2 survives with probability <= 2/#K.
        let x = end.draw("ip.rho");
        *slot = x;
        messages.push((said, round_weights(x)));
        end.act(knows, |witness: &mut W| witness.inner_fold(j, x));
    }
    let claim = folded(claim, messages);
    let factors = dims.iter().map(|&d| rho.iter().skip(d).map(|&x| K::ONE - x).product()).collect();
    Ok(Reduced { rho, gammas, factors, claim })
}

/// The claim after all rounds: each makes claim·wc + c0·w0 + c2·w2 of the claim before it. The claim
/// has many terms, so the weights are multiplied first, from the last round back.
fn folded(claim: Expr, messages: Vec<(Vec<Sent>, (K, K, K))>) -> Expr {
    let mut later = K::ONE;
    let mut rounds = Expr::default();
    for (said, (w0, w2, wc)) in messages.into_iter().rev() {
        for (message, weight) in said.into_iter().zip([w0, w2]) {
            rounds.add_scaled(message.expr(), weight * later);
        }
        later *= wc;
    }
    claim.scaled(later).plus(rounds)
}
