//! Functions of single elements, broadcasting and type conversion.

use super::{Eval, wrap};
use crate::graph::{Binary, DType, Unary};
use crate::tensor::{Data, Tensor};

/// Applies a function to every element.
pub(super) fn unary(kind: Unary, x: &Tensor, dtype: DType) -> Eval<Data> {
    match &x.data {
        Data::F32(v) => Ok(Data::F32(v.iter().map(|x| real(kind, *x)).collect())),
        Data::I64(v) => {
            let f = integer(kind).ok_or("function of reals applied to integers")?;
            Ok(Data::I64(v.iter().map(|x| wrap(dtype, f(*x))).collect()))
        }
        Data::Bool(_) => Err("function of reals applied to truth values".into()),
    }
}

fn integer(kind: Unary) -> Option<fn(i64) -> i64> {
    Some(match kind {
        Unary::Neg => i64::wrapping_neg,
        Unary::Abs => i64::wrapping_abs,
        Unary::Sign => i64::signum,
        Unary::Relu => |x| x.max(0),
        _ => return None,
    })
}

/// Value of a function at one point.
fn real(kind: Unary, x: f32) -> f32 {
    match kind {
        Unary::Relu => x.max(0.0),
        Unary::LeakyRelu(slope) => {
            if x >= 0.0 {
                x
            } else {
                slope * x
            }
        }
        Unary::Clip(low, high) => x.max(low).min(high),
        Unary::HardSigmoid(alpha, beta) => (alpha * x + beta).clamp(0.0, 1.0),
        Unary::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Unary::Sigmoid => sigmoid(x),
        Unary::Tanh => x.tanh(),
        Unary::Erf => erf(f64::from(x)) as f32,
        Unary::Gelu => {
            (0.5 * f64::from(x) * (1.0 + erf(f64::from(x) * std::f64::consts::FRAC_1_SQRT_2))) as f32
        }
        Unary::GeluTanh => gelu_tanh(f64::from(x)) as f32,
        Unary::Exp => x.exp(),
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Sqrt => x.sqrt(),
        Unary::Log => x.ln(),
        Unary::Reciprocal => 1.0 / x,
        Unary::Softplus => softplus(x),
        Unary::Softsign => x / (1.0 + x.abs()),
        Unary::Elu(alpha) => {
            if x > 0.0 {
                x
            } else {
                alpha * x.exp_m1()
            }
        }
        Unary::Selu(alpha, gamma) => gamma * if x > 0.0 { x } else { alpha * x.exp_m1() },
        Unary::Celu(alpha) => x.max(0.0) + (alpha * (x / alpha).exp_m1()).min(0.0),
        Unary::ThresholdedRelu(alpha) => {
            if x > alpha {
                x
            } else {
                0.0
            }
        }
        Unary::Swish(alpha) => x * sigmoid(alpha * x),
        Unary::Mish => x * softplus(x).tanh(),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::RoundEven => x.round_ties_even(),
        Unary::Sign => {
            if x == 0.0 || x.is_nan() {
                x
            } else {
                x.signum()
            }
        }
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Pow(p) => x.powf(p),
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// log(1 + exp(x)) without overflow.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

fn gelu_tanh(x: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
    0.5 * x * (1.0 + inner.tanh())
}

/// Error function, about 1e-15: Taylor series near zero, continued fraction (Lentz) beyond.
fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a.is_nan() {
        return x;
    }
    if a > 6.0 {
        return x.signum();
    }
    if a < 2.5 {
        let (mut term, mut sum, mut n) = (a, a, 0.0);
        while term.abs() > 1e-17 * sum {
            n += 1.0;
            term *= -a * a / n;
            sum += term / (2.0 * n + 1.0);
        }
        return x.signum() * 2.0 / std::f64::consts::PI.sqrt() * sum;
    }
    // erfc(a) = exp(-a^2) / sqrt(pi) / (a + (1/2)/(a + 1/(a + (3/2)/(a + ...)))).
    let tail = (1..=60).rev().fold(a, |below, k| a + f64::from(k) * 0.5 / below);
    x.signum() * (1.0 - (-a * a).exp() / std::f64::consts::PI.sqrt() / tail)
}

/// Applies a function of two operands with broadcasting.
pub(super) fn binary(kind: Binary, a: &Tensor, b: &Tensor, shape: &[usize], dtype: DType) -> Eval<Data> {
    match (&a.data, &b.data) {
        (Data::F32(x), Data::F32(y)) => Ok(Data::F32(match kind {
            Binary::Add => zip(x, &a.shape, y, &b.shape, shape, |p, q| p + q),
            Binary::Sub => zip(x, &a.shape, y, &b.shape, shape, |p, q| p - q),
            Binary::Mul => zip(x, &a.shape, y, &b.shape, shape, |p, q| p * q),
            Binary::Div => zip(x, &a.shape, y, &b.shape, shape, |p, q| p / q),
            Binary::Max => zip(x, &a.shape, y, &b.shape, shape, f32::max),
            Binary::Min => zip(x, &a.shape, y, &b.shape, shape, f32::min),
            Binary::Pow => zip(x, &a.shape, y, &b.shape, shape, f32::powf),
        })),
        (Data::I64(x), Data::I64(y)) => {
            let results = zip(x, &a.shape, y, &b.shape, shape, |p, q| whole(kind, p, q));
            let exact: Option<Vec<i64>> = results.into_iter().map(|v| v.map(|v| wrap(dtype, v))).collect();
            exact.map(Data::I64).ok_or_else(|| "integer division by zero or power without a result".into())
        }
        _ => Err("operands of different kinds".into()),
    }
}

/// Integer arithmetic; `None` when there is no result.
fn whole(kind: Binary, p: i64, q: i64) -> Option<i64> {
    Some(match kind {
        Binary::Add => p.wrapping_add(q),
        Binary::Sub => p.wrapping_sub(q),
        Binary::Mul => p.wrapping_mul(q),
        Binary::Div => p.checked_div(q)?,
        Binary::Max => p.max(q),
        Binary::Min => p.min(q),
        Binary::Pow => p.wrapping_pow(u32::try_from(q).ok()?),
    })
}

/// Row-major strides of `from` seen in `to`: 0 along repeated axes.
pub(crate) fn repeat_strides(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; to.len()];
    let mut step = 1;
    for (i, len) in from.iter().enumerate().rev() {
        if *len != 1 {
            strides[to.len() - from.len() + i] = step;
        }
        step *= len;
    }
    strides
}

/// Combines two broadcast operands.
pub(crate) fn zip<T: Copy, U>(
    x: &[T],
    sx: &[usize],
    y: &[T],
    sy: &[usize],
    shape: &[usize],
    f: impl Fn(T, T) -> U,
) -> Vec<U> {
    if sx == shape && sy == shape {
        return x.iter().zip(y).map(|(p, q)| f(*p, *q)).collect();
    }
    let count: usize = shape.iter().product();
    let mut out = Vec::with_capacity(count);
    let (tx, ty) = (repeat_strides(sx, shape), repeat_strides(sy, shape));
    let Some((&inner, outer)) = shape.split_last() else {
        return vec![f(x[0], y[0])];
    };
    if count == 0 {
        return out;
    }
    let (dx, dy) = (tx[outer.len()], ty[outer.len()]);
    let mut at = vec![0; outer.len()];
    let (mut ox, mut oy) = (0, 0);
    loop {
        out.extend((0..inner).map(|i| f(x[ox + i * dx], y[oy + i * dy])));
        // Next outer position: last axis first, like an odometer.
        let mut axis = outer.len();
        loop {
            if axis == 0 {
                return out;
            }
            axis -= 1;
            at[axis] += 1;
            ox += tx[axis];
            oy += ty[axis];
            if at[axis] < outer[axis] {
                break;
            }
            ox -= tx[axis] * outer[axis];
            oy -= ty[axis] * outer[axis];
            at[axis] = 0;
        }
    }
}

/// Converts elements as ONNX Cast does; float to integer drops the fraction, and wraps.
pub(super) fn cast(x: &Tensor, to: DType) -> Data {
    match (&x.data, to) {
        (Data::F32(v), DType::F32) => Data::F32(v.clone()),
        (Data::I64(v), DType::F32) => Data::F32(v.iter().map(|x| *x as f32).collect()),
        (Data::Bool(v), DType::F32) => Data::F32(v.iter().map(|x| f32::from(u8::from(*x))).collect()),
        (Data::F32(v), DType::Bool) => Data::Bool(v.iter().map(|x| *x != 0.0).collect()),
        (Data::I64(v), DType::Bool) => Data::Bool(v.iter().map(|x| *x != 0).collect()),
        (Data::Bool(v), DType::Bool) => Data::Bool(v.clone()),
        (Data::F32(v), to) => Data::I64(v.iter().map(|x| wrap(to, *x as i64)).collect()),
        (Data::I64(v), to) => Data::I64(v.iter().map(|x| wrap(to, *x)).collect()),
        (Data::Bool(v), _) => Data::I64(v.iter().map(|x| i64::from(*x)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_function() {
        // Values of erf to 15 digits (Abramowitz and Stegun, table 7.1, and mpmath).
        for (x, y) in [
            (0.0, 0.0),
            (0.5, 0.520499877813047),
            (1.0, 0.842700792949715),
            (2.4, 0.999311486103355),
            (2.6, 0.999763965583471),
            (4.0, 0.999999984582742),
        ] {
            assert!((erf(x) - y).abs() < 1e-13, "{x}");
            assert!((erf(-x) + y).abs() < 1e-13, "-{x}");
        }
    }

    #[test]
    fn functions_at_points() {
        let cases = [
            (Unary::LeakyRelu(0.1), -2.0, -0.2),
            (Unary::HardSigmoid(0.2, 0.5), 1.0, 0.7),
            (Unary::HardSwish, 1.0, 0.666_666_7),
            (Unary::Gelu, 1.0, 0.841_344_8),
            (Unary::GeluTanh, 1.0, 0.841_192),
            (Unary::Softplus, 100.0, 100.0),
            (Unary::Mish, 1.0, 0.865_098_4),
            (Unary::Elu(2.0), -1.0, -1.264_241_1),
            (Unary::Celu(2.0), -1.0, -0.786_938_7),
            (Unary::RoundEven, 2.5, 2.0),
            (Unary::Sign, -0.3, -1.0),
            (Unary::Pow(0.5), 9.0, 3.0),
        ];
        for (kind, x, y) in cases {
            assert!((real(kind, x) - y).abs() < 1e-6, "{kind:?}");
        }
    }

    #[test]
    fn broadcasting() {
        let a = Tensor::f32(&[2, 1], vec![1.0, 2.0]);
        let b = Tensor::f32(&[3], vec![10.0, 20.0, 30.0]);
        let sum = binary(Binary::Add, &a, &b, &[2, 3], DType::F32).unwrap();
        assert_eq!(sum, Data::F32(vec![11.0, 21.0, 31.0, 12.0, 22.0, 32.0]));
        let zero = Tensor::i64(&[1], vec![0]);
        assert!(binary(Binary::Div, &zero, &zero, &[1], DType::I64).is_err());
    }
}
