//! Functions of one real number: what a lookup table holds.
//!
//! Evaluated in f64 with pure-Rust elementary functions, so that the same table
//! comes out on every machine.

use model::graph::{Binary, Unary};

/// An expression in one variable.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    /// The variable.
    X,
    /// A constant.
    Const(f64),
    /// A function of an expression.
    Un(Unary, Box<Expr>),
    /// A function of two expressions.
    Bin(Binary, Box<Expr>, Box<Expr>),
}

impl Expr {
    /// Value at `x`; NaN where the function is not defined.
    pub(crate) fn at(&self, x: f64) -> f64 {
        match self {
            Expr::X => x,
            Expr::Const(c) => *c,
            Expr::Un(u, e) => unary(*u, e.at(x)),
            Expr::Bin(op, a, b) => binary(*op, a.at(x), b.at(x)),
        }
    }

    /// Whether this is the variable itself.
    pub(crate) fn is_identity(&self) -> bool {
        matches!(self, Expr::X)
    }

    /// Number of nodes, to bound growth when an expression uses its root often.
    pub(crate) fn size(&self) -> usize {
        match self {
            Expr::X | Expr::Const(_) => 1,
            Expr::Un(_, e) => 1 + e.size(),
            Expr::Bin(_, a, b) => 1 + a.size() + b.size(),
        }
    }

    /// (a, b) if the expression is a*x + b with a, b constants.
    pub(crate) fn affine(&self) -> Option<(f64, f64)> {
        match self {
            Expr::X => Some((1.0, 0.0)),
            Expr::Const(c) => Some((0.0, *c)),
            Expr::Un(Unary::Neg, e) => e.affine().map(|(a, b)| (-a, -b)),
            Expr::Un(..) => None,
            Expr::Bin(op, l, r) => {
                let ((a, b), (c, d)) = (l.affine()?, r.affine()?);
                match op {
                    Binary::Add => Some((a + c, b + d)),
                    Binary::Sub => Some((a - c, b - d)),
                    Binary::Mul if a == 0.0 => Some((b * c, b * d)),
                    Binary::Mul if c == 0.0 => Some((a * d, b * d)),
                    Binary::Div if c == 0.0 && d != 0.0 => Some((a / d, b / d)),
                    _ => None,
                }
            }
        }
    }

    /// Whether the function is a clamp of its argument: slope 1 or 0 everywhere,
    /// so that its argument may be rounded at the scale of its result.
    pub(crate) fn is_clamp(&self) -> bool {
        match self {
            Expr::X => true,
            Expr::Un(Unary::Relu | Unary::Clip(..), e) => e.is_clamp(),
            Expr::Bin(Binary::Max | Binary::Min, a, b) => match (a.as_ref(), b.as_ref()) {
                (Expr::Const(_), e) | (e, Expr::Const(_)) => e.is_clamp(),
                _ => false,
            },
            _ => false,
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

/// log(1 + exp(x)) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

fn unary(u: Unary, x: f64) -> f64 {
    if let Unary::Relu = u {
        return x.max(0.0);
    }
    match u {
        Unary::LeakyRelu(a) => slope(x, f64::from(a)),
        Unary::Clip(lo, hi) => x.max(f64::from(lo)).min(f64::from(hi)),
        Unary::HardSigmoid(a, b) => (f64::from(a) * x + f64::from(b)).clamp(0.0, 1.0),
        Unary::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Unary::ThresholdedRelu(a) => {
            if x > f64::from(a) {
                x
            } else {
                0.0
            }
        }
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::RoundEven => x.round_ties_even(),
        Unary::Sign => {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                0.0
            }
        }
        Unary::Reciprocal => 1.0 / x,
        Unary::Softsign => x / (1.0 + x.abs()),
        _ => transcendental(u, x),
    }
}

fn slope(x: f64, a: f64) -> f64 {
    if x >= 0.0 { x } else { a * x }
}

fn exponential_unit(x: f64, a: f64) -> f64 {
    if x > 0.0 { x } else { a * libm::expm1(x) }
}

fn transcendental(u: Unary, x: f64) -> f64 {
    match u {
        Unary::Sigmoid => sigmoid(x),
        Unary::Tanh => libm::tanh(x),
        Unary::Erf => libm::erf(x),
        Unary::Gelu => 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Unary::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + libm::tanh(inner))
        }
        Unary::Exp => libm::exp(x),
        Unary::Sqrt => libm::sqrt(x),
        Unary::Log => libm::log(x),
        Unary::Softplus => softplus(x),
        Unary::Elu(a) => exponential_unit(x, f64::from(a)),
        Unary::Selu(a, g) => f64::from(g) * exponential_unit(x, f64::from(a)),
        Unary::Celu(a) => {
            let a = f64::from(a);
            x.max(0.0) + (a * libm::expm1(x / a)).min(0.0)
        }
        Unary::Swish(a) => x * sigmoid(f64::from(a) * x),
        Unary::Mish => x * libm::tanh(softplus(x)),
        Unary::Sin => libm::sin(x),
        Unary::Cos => libm::cos(x),
        Unary::Pow(e) => libm::pow(x, f64::from(e)),
        // All others were answered by `unary`.
        _ => f64::NAN,
    }
}

fn binary(op: Binary, a: f64, b: f64) -> f64 {
    match op {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::Pow => libm::pow(a, b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affine_chains_are_recognised() {
        // (2 - 3x) / 4
        let e = Expr::Bin(
            Binary::Div,
            Box::new(Expr::Bin(
                Binary::Sub,
                Box::new(Expr::Const(2.0)),
                Box::new(Expr::Bin(Binary::Mul, Box::new(Expr::Const(3.0)), Box::new(Expr::X))),
            )),
            Box::new(Expr::Const(4.0)),
        );
        assert_eq!(e.affine(), Some((-0.75, 0.5)));
        assert_eq!(Expr::Un(Unary::Relu, Box::new(Expr::X)).affine(), None);
    }

    #[test]
    fn known_values() {
        let at = |u, x| unary(u, x);
        assert!((at(Unary::Gelu, 1.0) - 0.841_344_746).abs() < 1e-8);
        assert!((at(Unary::Mish, 1.0) - 0.865_098_388).abs() < 1e-8);
        assert!((at(Unary::Softplus, -700.0)).abs() < 1e-300);
        assert_eq!(at(Unary::RoundEven, 2.5), 2.0);
        assert_eq!(at(Unary::HardSwish, -4.0), 0.0);
    }
}
