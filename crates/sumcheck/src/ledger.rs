//! Masked messages: each value is sent minus a committed one-time pad, products of pads
//! are committed too, so every check stays linear (spec E1-E6).

use algebra::K;
use tape::{End, Reject};

use crate::Expr;

/// The prover's pads.
pub trait Pads {
    /// Pad number j.
    fn pad(&self, j: usize) -> K;
}

/// A sent value: what was transmitted, and the pad that was subtracted from it.
#[derive(Clone, Copy, Debug)]
#[must_use = "a message nobody uses proves nothing"]
pub struct Sent {
    said: K,
    pad: Option<usize>,
}

impl Sent {
    /// The value as an expression: said + pad.
    pub fn expr(self) -> Expr {
        Expr {
            constant: self.said,
            pads: self.pad.map(|j| (j, K::ONE)).into_iter().collect(),
            ..Expr::default()
        }
    }
}

/// Counts pads and products and collects the constraints of one proof.
/// The same constraints, in the same order, with and without zero knowledge.
pub struct Ledger {
    zk: bool,
    pads: usize,
    products: Vec<(usize, usize)>,
    constraints: Vec<Expr>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(zk: bool) -> Self {
        Self { zk, pads: 0, products: Vec::new(), constraints: Vec::new() }
    }

    /// Whether messages are masked.
    pub fn zk(&self) -> bool {
        self.zk
    }

    /// Number of pads used so far.
    pub fn pads(&self) -> usize {
        self.pads
    }

    /// Pads multiplied so far, in order.
    pub fn products(&self) -> &[(usize, usize)] {
        &self.products
    }

    /// Sends `count` values.
    pub fn send<E: End, W: Pads>(
        &mut self,
        end: &mut E,
        label: &'static str,
        count: usize,
        knows: &mut E::Knows<W>,
        compute: impl FnOnce(&mut W) -> Vec<K>,
    ) -> Result<Vec<Sent>, Reject> {
        let (zk, first) = (self.zk, self.pads);
        let said = end.say(label, count, knows, |witness: &mut W| {
            let mut values = compute(witness);
            if zk {
                for (value, j) in values.iter_mut().zip(first..) {
                    *value -= witness.pad(j);
                }
            }
            values
        })?;
        if zk {
            self.pads = self.pads.saturating_add(count);
        }
        Ok(said.into_iter().zip(first..).map(|(said, j)| Sent { said, pad: zk.then_some(j) }).collect())
    }

    /// The product of two sent values as an expression (spec E2).
    pub fn multiply(&mut self, x: Sent, y: Sent) -> Expr {
        let mut product = Expr::from(x.said * y.said);
        if let (Some(i), Some(j)) = (x.pad, y.pad) {
            product.pads = vec![(j, x.said), (i, y.said)];
            product.products = vec![(self.products.len(), K::ONE)];
            self.products.push((i, j));
        }
        product
    }

    /// Requires e = 0.
    pub fn require(&mut self, e: Expr) {
        self.constraints.push(e);
    }

    /// Number of constraints so far.
    pub fn constraints(&self) -> &[Expr] {
        &self.constraints
    }

    /// Σ η^i · constraint_i.
    pub fn batch(self, eta: K) -> Expr {
        let mut total = Expr::default();
        let mut power = K::ONE;
        for constraint in self.constraints {
            total.add_scaled(constraint, power);
            power *= eta;
        }
        total
    }
}
