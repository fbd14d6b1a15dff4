//! Membership in tables becomes two linear claims (LogUp-GKR, spec G1-G10).
//!
//! | step | who      | says                     | label       |
//! |------|----------|--------------------------|-------------|
//! | 0    | prover   | layer 0: p0, p1, q0, q1  | `gkr.out`   |
//! | 0'   | verifier | μ                        | `gkr.mu`    |
//! | k    | verifier | ν                        | `gkr.nu`    |
//! | k.j  | prover   | h(0), h(∞)               | `gkr.round` |
//! | k.j' | verifier | ρ_j                      | `gkr.rho`   |
//! | k''  | prover   | p0, p1, q0, q1 at ρ      | `gkr.out`   |
//! | k''' | verifier | μ                        | `gkr.mu`    |
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

use algebra::K;
use algebra::field::batch_inverse_extension;
use sumcheck::{Expr, Ledger, Pads, Sent};
use tape::{End, Reject};

/// What the prover holds: the tree of fractions.
pub trait Fractions: Pads {
    /// p0, p1, q0, q1 of layer 0.
    fn root_fractions(&mut self) -> [K; 4];
    /// Starts layer k at the point of the claim (k coordinates), with ν.
    fn start_layer(&mut self, k: usize, point: &[K], nu: K);
    /// h(0) and h(∞) of the round that binds variable j.
    fn layer_round(&mut self, j: usize) -> [K; 2];
    /// Binds variable j to rho.
    fn layer_fold(&mut self, j: usize, rho: K);
    /// p0, p1, q0, q1 at the bound point.
    fn layer_end(&mut self) -> [K; 4];
}

/// The claim left by [`reduce`]: numerators and denominators of the leaves at a point.
#[must_use = "a claim nobody checks proves nothing"]
pub struct LeafClaim {
    /// ℓ coordinates.
    pub point: Vec<K>,
    /// Claimed multilinear extension of the numerators.
    pub numerator: Expr,
    /// Claimed multilinear extension of the denominators.
    pub denominator: Expr,
}

/// Number of messages and products of [`reduce`] for ℓ >= 1 layers: ℓ(ℓ-1) + 4ℓ and 3ℓ - 1.
pub fn counts(layers: usize) -> (usize, usize) {
    let below = layers.saturating_sub(1);
    (layers.saturating_mul(below.saturating_add(4)), layers.saturating_mul(3).saturating_sub(1))
}

fn linear(low: Sent, high: Sent, mu: K) -> Expr {
    let mut value = low.expr().scaled(K::ONE - mu);
    value.add_scaled(high.expr(), mu);
    value
}

/// Both ends. Proves that the fractions of 2^layers leaves sum to 0 (layers >= 1).
pub fn reduce<E: End, W: Fractions>(
    end: &mut E,
    ledger: &mut Ledger,
    layers: usize,
    knows: &mut E::Knows<W>,
) -> Result<LeafClaim, Reject> {
    let mut point: Vec<K> = Vec::new();
    let mut numerator = Expr::default();
    let mut denominator = Expr::default();
    for k in 0..layers {
        let mut claim = Expr::default();
        let mut nu = K::ZERO;
        let mut rho = vec![K::ZERO; k];
        if k > 0 {
            // Soundness: joins two claims, error 1/#K.
            nu = end.draw("gkr.nu");
            claim = core::mem::take(&mut numerator);
            claim.add_scaled(core::mem::take(&mut denominator), nu);
            end.act(knows, |witness: &mut W| witness.start_layer(k, &point, nu));
            let at = point.iter().zip(batch_inverse_extension(&point));
            for ((j, slot), (&at, inverse)) in rho.iter_mut().enumerate().zip(at).rev() {
                claim = round(end, ledger, claim, (j, at, inverse), slot, knows)?;
            }
        }
        let said = ledger.send(end, "gkr.out", 4, knows, |witness: &mut W| {
            if k == 0 { witness.root_fractions() } else { witness.layer_end() }.to_vec()
        })?;
        let &[p0, p1, q0, q1] = said.as_slice() else {
            return Err(Reject::Truncated { label: "gkr.out" });
        };
        let sum = ledger.multiply(p0, q1).plus(ledger.multiply(p1, q0));
        if k == 0 {
            ledger.require(sum);
        } else {
            let mut value = sum;
            value.add_scaled(ledger.multiply(q0, q1), nu);
            ledger.require(claim.minus(value));
        }
        // Soundness: two claims at 0 and 1 become one, error 1/#K.
        let mu = end.draw("gkr.mu");
        numerator = linear(p0, p1, mu);
        denominator = linear(q0, q1, mu);
        rho.push(mu);
        point = rho;
    }
    Ok(LeafClaim { point, numerator, denominator })
}

/// One round: h(X) has degree 2 after the eq factor of variable j is taken out. The claim's point is
/// `at` in this variable.
fn round<E: End, W: Fractions>(
    end: &mut E,
    ledger: &mut Ledger,
    claim: Expr,
    (j, at, inverse): (usize, K, K),
    slot: &mut K,
    knows: &mut E::Knows<W>,
) -> Result<Expr, Reject> {
    if at == K::ZERO {
        return Err(Reject::ExceptionalChallenge { label: "gkr.rho" });
    }
    let said = ledger.send(end, "gkr.round", 2, knows, |witness: &mut W| witness.layer_round(j).to_vec())?;
    let &[low, top] = said.as_slice() else {
        return Err(Reject::Truncated { label: "gkr.round" });
    };
    // Soundness: with its eq factor the round has degree 3, so error 3/#K.
    let rho = end.draw("gkr.rho");
    *slot = rho;
    // h(1) = (claim - (1 - r_j) h(0)) / r_j, and h(ρ) = h(0)(1-ρ) + h(1)ρ + h(∞)(ρ²-ρ).
    let mut next = claim.scaled(inverse * rho);
    next.add_scaled(low.expr(), K::ONE - rho - (K::ONE - at) * inverse * rho);
    next.add_scaled(top.expr(), rho * rho - rho);
    end.act(knows, |witness: &mut W| witness.layer_fold(j, rho));
    Ok(next)
}
