//! Functions of single elements and arithmetic with broadcasting.

use super::{Call, Entry, MANY, Operator, one, op};
use crate::builder::{broadcast, is_int};
use crate::graph::{Binary, DType, Unary, ValueId};
use crate::problem::{Step, misfit, unsupported, wrong_type};
use crate::run::range;
use crate::tensor::{Data, Tensor};

pub(super) const OPERATORS: &[Operator] = &[
    op("Relu", &[], (1, 1), unary, ""),
    op("LeakyRelu", &["alpha"], (1, 1), unary, ""),
    op("HardSigmoid", &["alpha", "beta"], (1, 1), unary, ""),
    op("HardSwish", &[], (1, 1), unary, ""),
    op("Sigmoid", &[], (1, 1), unary, ""),
    op("Tanh", &[], (1, 1), unary, ""),
    op("Erf", &[], (1, 1), unary, ""),
    op("Gelu", &["approximate"], (1, 1), unary, "exact and tanh forms"),
    op("Exp", &[], (1, 1), unary, ""),
    op("Neg", &[], (1, 1), unary, ""),
    op("Abs", &[], (1, 1), unary, ""),
    op("Sqrt", &[], (1, 1), unary, ""),
    op("Log", &[], (1, 1), unary, ""),
    op("Reciprocal", &[], (1, 1), unary, ""),
    op("Softplus", &[], (1, 1), unary, ""),
    op("Softsign", &[], (1, 1), unary, ""),
    op("Elu", &["alpha"], (1, 1), unary, ""),
    op("Selu", &["alpha", "gamma"], (1, 1), unary, ""),
    op("Celu", &["alpha"], (1, 1), unary, ""),
    op("ThresholdedRelu", &["alpha"], (1, 1), unary, ""),
    op("Mish", &[], (1, 1), unary, ""),
    op("Swish", &["alpha"], (1, 1), unary, ""),
    op("Floor", &[], (1, 1), unary, ""),
    op("Ceil", &[], (1, 1), unary, ""),
    op("Round", &[], (1, 1), unary, "half to even"),
    op("Sign", &[], (1, 1), unary, ""),
    op("Sin", &[], (1, 1), unary, ""),
    op("Cos", &[], (1, 1), unary, ""),
    op("Clip", &["min", "max"], (1, 3), clip, "bounds as attributes or inputs"),
    op("PRelu", &[], (2, 2), prelu, "as max(x, 0) + slope * min(x, 0)"),
    op("Pow", &[], (2, 2), pow, "powers 1, 2, 0.5 and -1 become simpler steps"),
    op("Add", &[], (2, 2), binary, ""),
    op("Sub", &[], (2, 2), binary, ""),
    op("Mul", &[], (2, 2), binary, ""),
    op("Div", &[], (2, 2), binary, ""),
    op("Max", &[], (1, MANY), nary, "any number of inputs"),
    op("Min", &[], (1, MANY), nary, "any number of inputs"),
    op("Sum", &[], (1, MANY), nary, "any number of inputs"),
    op("Mean", &[], (1, MANY), nary, "any number of inputs"),
];

fn unary(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let rounding = matches!(call.op, "Floor" | "Ceil" | "Round");
    if rounding && is_int(call.b.dtype(x)) {
        return one(x);
    }
    let kind = kind(call)?;
    one(call.b.unary(kind, x)?)
}

fn kind(call: &Call) -> Step<Unary> {
    Ok(match call.op {
        "Relu" => Unary::Relu,
        "LeakyRelu" => Unary::LeakyRelu(call.float("alpha", 0.01)?),
        "HardSigmoid" => Unary::HardSigmoid(call.float("alpha", 0.2)?, call.float("beta", 0.5)?),
        "HardSwish" => Unary::HardSwish,
        "Sigmoid" => Unary::Sigmoid,
        "Tanh" => Unary::Tanh,
        "Erf" => Unary::Erf,
        "Gelu" => match call.text("approximate", "none")?.as_str() {
            "none" => Unary::Gelu,
            "tanh" => Unary::GeluTanh,
            other => {
                return Err(unsupported(
                    format!("attribute `approximate` is `{other}`"),
                    "use `none` or `tanh`",
                ));
            }
        },
        "Exp" => Unary::Exp,
        "Neg" => Unary::Neg,
        "Abs" => Unary::Abs,
        "Sqrt" => Unary::Sqrt,
        "Log" => Unary::Log,
        "Reciprocal" => Unary::Reciprocal,
        "Softplus" => Unary::Softplus,
        "Softsign" => Unary::Softsign,
        "Elu" => Unary::Elu(call.float("alpha", 1.0)?),
        "Selu" => Unary::Selu(call.float("alpha", 1.673_263_2)?, call.float("gamma", 1.050_701)?),
        "Celu" => match call.float("alpha", 1.0)? {
            0.0 => return Err(misfit("attribute `alpha` of Celu is 0")),
            alpha => Unary::Celu(alpha),
        },
        "ThresholdedRelu" => Unary::ThresholdedRelu(call.float("alpha", 1.0)?),
        "Mish" => Unary::Mish,
        "Swish" => Unary::Swish(call.float("alpha", 1.0)?),
        "Floor" => Unary::Floor,
        "Ceil" => Unary::Ceil,
        "Round" => Unary::RoundEven,
        "Sign" => Unary::Sign,
        "Sin" => Unary::Sin,
        "Cos" => Unary::Cos,
        other => return Err(unsupported(format!("{other} is not an elementwise function"), "")),
    })
}

/// One bound of Clip: attribute, input or none.
fn bound(call: &Call, name: &str, index: usize) -> Step<Option<ValueId>> {
    if call.has(name) && call.given(index) {
        return Err(misfit(format!("`{name}` is given twice")));
    }
    call.optional(index)
}

fn clip(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let (low, high) = (bound(call, "min", 1)?, bound(call, "max", 2)?);
    let real = |call: &Call, id: Option<ValueId>, name: &str, none: f32| -> Step<Option<f32>> {
        let Some(id) = id else { return call.float(name, none).map(Some) };
        let scalar = call.b.constant_of(id).and_then(Tensor::as_f32).filter(|v| v.len() == 1);
        Ok(scalar.map(|v| v[0]))
    };
    if call.b.dtype(x) == DType::F32 {
        let bounds = (real(call, low, "min", f32::NEG_INFINITY)?, real(call, high, "max", f32::INFINITY)?);
        if let (Some(low), Some(high)) = bounds {
            return if (low, high) == (f32::NEG_INFINITY, f32::INFINITY) {
                one(x)
            } else {
                one(call.b.unary(Unary::Clip(low, high), x)?)
            };
        }
    }
    // Bounds of other types, or that depend on the input.
    let mut y = x;
    for (kind, bound) in [(Binary::Max, low), (Binary::Min, high)] {
        if let Some(bound) = bound {
            y = call.b.binary(kind, y, bound)?;
        }
    }
    if call.b.shape(y) != call.b.shape(x) {
        return Err(misfit("a bound of Clip is not a scalar"));
    }
    one(y)
}

fn prelu(call: &mut Call) -> Step<Vec<Entry>> {
    let (x, slope) = (call.value(0)?, call.value(1)?);
    let count: usize = call.b.shape(slope).iter().product();
    if call.opset < 7 && count != 1 {
        return Err(unsupported(
            "slope per channel has another meaning before opset 7",
            "export with opset 9 or newer",
        ));
    }
    let zero = call.b.floats(&[], vec![0.0]);
    let up = call.b.unary(Unary::Relu, x)?;
    let down = call.b.binary(Binary::Min, x, zero)?;
    let scaled = call.b.binary(Binary::Mul, down, slope)?;
    let y = call.b.binary(Binary::Add, up, scaled)?;
    if call.b.shape(y) != call.b.shape(x) {
        return Err(misfit("the slope of PRelu is larger than its operand"));
    }
    one(y)
}

fn pow(call: &mut Call) -> Step<Vec<Entry>> {
    let (x, mut e) = (call.value(0)?, call.value(1)?);
    let (tx, te) = (call.b.dtype(x), call.b.dtype(e));
    if tx == DType::F32 && is_int(te) {
        e = call.b.cast(e, DType::F32)?;
    } else if is_int(tx) && is_int(te) && tx != te {
        e = call.b.cast(e, tx)?;
    }
    let keeps_shape = broadcast(&call.b.shape(x), &call.b.shape(e))? == call.b.shape(x);
    let scalar = match call.b.constant_of(e).map(|t| &t.data) {
        Some(Data::F32(v)) if v.len() == 1 && keeps_shape && tx == DType::F32 => Some(v[0]),
        _ => None,
    };
    match scalar {
        Some(1.0) => one(x),
        Some(2.0) => one(call.b.binary(Binary::Mul, x, x)?),
        Some(0.5) => one(call.b.unary(Unary::Sqrt, x)?),
        Some(-1.0) => one(call.b.unary(Unary::Reciprocal, x)?),
        Some(p) => one(call.b.unary(Unary::Pow(p), x)?),
        None => one(call.b.binary(Binary::Pow, x, e)?),
    }
}

fn arithmetic(name: &str) -> Binary {
    match name {
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        "Div" => Binary::Div,
        "Max" => Binary::Max,
        "Min" => Binary::Min,
        _ => Binary::Add,
    }
}

fn binary(call: &mut Call) -> Step<Vec<Entry>> {
    let (a, b) = (call.value(0)?, call.value(1)?);
    if call.opset < 7 && call.b.shape(a) != call.b.shape(b) {
        return Err(unsupported(
            "broadcasting has another meaning before opset 7",
            "export with opset 9 or newer",
        ));
    }
    one(call.b.binary(arithmetic(call.op), a, b)?)
}

fn nary(call: &mut Call) -> Step<Vec<Entry>> {
    let values = call.values()?;
    let mut y = values[0];
    for v in &values[1..] {
        y = call.b.binary(arithmetic(call.op), y, *v)?;
    }
    if call.op == "Mean" {
        if range(call.b.dtype(y)).is_some() {
            return Err(wrong_type("Mean of integers"));
        }
        y = call.b.with_scalar(Binary::Div, y, values.len() as f32)?;
    }
    one(y)
}
