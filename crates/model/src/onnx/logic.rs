//! Comparisons and choices: computed at import, refused when they depend on the input.

use super::{Call, Entry, Operator, one, op};
use crate::builder::broadcast;
use crate::graph::DType;
use crate::problem::{Problem, Step, misfit, wrong_type};
use crate::run::zip;
use crate::tensor::{Data, Tensor};

const FOLDED: &str = "constant operands only; folded";

pub(super) const OPERATORS: &[Operator] = &[
    op("Equal", &[], (2, 2), compare, FOLDED),
    op("Less", &[], (2, 2), compare, FOLDED),
    op("LessOrEqual", &[], (2, 2), compare, FOLDED),
    op("Greater", &[], (2, 2), compare, FOLDED),
    op("GreaterOrEqual", &[], (2, 2), compare, FOLDED),
    op("And", &[], (2, 2), logic, FOLDED),
    op("Or", &[], (2, 2), logic, FOLDED),
    op("Xor", &[], (2, 2), logic, FOLDED),
    op("Not", &[], (1, 1), not, FOLDED),
    op("Mod", &["fmod"], (2, 2), modulo, FOLDED),
    op("Where", &[], (3, 3), choose, "constant condition; as Concat and Gather"),
];

fn operand(call: &Call, index: usize) -> Step<Tensor> {
    let id = call.value(index)?;
    call.b.constant_of(id).cloned().ok_or_else(|| {
        Problem::new(
            "ZT015",
            format!("{} depends on the model's input (input {index} is not a constant)", call.op),
            "express the choice with Relu, Max, Min or Clip, or move it out of the model",
        )
    })
}

fn truths(call: &mut Call, shape: Vec<usize>, data: Vec<bool>) -> Step<Vec<Entry>> {
    one(call.b.constant(Tensor { shape, data: Data::Bool(data) }, DType::Bool))
}

fn compare(call: &mut Call) -> Step<Vec<Entry>> {
    let (a, b) = (operand(call, 0)?, operand(call, 1)?);
    let shape = broadcast(&a.shape, &b.shape)?;
    call.b.reserve(shape.iter().product())?;
    fn apply<T: PartialOrd>(name: &str) -> fn(T, T) -> bool {
        match name {
            "Less" => |p, q| p < q,
            "LessOrEqual" => |p, q| p <= q,
            "Greater" => |p, q| p > q,
            "GreaterOrEqual" => |p, q| p >= q,
            _ => |p, q| p == q,
        }
    }
    let data = match (&a.data, &b.data) {
        (Data::F32(x), Data::F32(y)) => zip(x, &a.shape, y, &b.shape, &shape, apply(call.op)),
        (Data::I64(x), Data::I64(y)) => zip(x, &a.shape, y, &b.shape, &shape, apply(call.op)),
        (Data::Bool(x), Data::Bool(y)) => zip(x, &a.shape, y, &b.shape, &shape, apply(call.op)),
        _ => return Err(wrong_type("operands differ in type")),
    };
    truths(call, shape, data)
}

fn logic(call: &mut Call) -> Step<Vec<Entry>> {
    let (a, b) = (operand(call, 0)?, operand(call, 1)?);
    let shape = broadcast(&a.shape, &b.shape)?;
    call.b.reserve(shape.iter().product())?;
    let f: fn(bool, bool) -> bool = match call.op {
        "And" => |p, q| p && q,
        "Or" => |p, q| p || q,
        _ => |p, q| p != q,
    };
    let (Data::Bool(x), Data::Bool(y)) = (&a.data, &b.data) else {
        return Err(wrong_type("operands are not truth values"));
    };
    let data = zip(x, &a.shape, y, &b.shape, &shape, f);
    truths(call, shape, data)
}

fn not(call: &mut Call) -> Step<Vec<Entry>> {
    let x = operand(call, 0)?;
    let Data::Bool(v) = &x.data else { return Err(wrong_type("the operand is not a truth value")) };
    let data = v.iter().map(|v| !v).collect();
    truths(call, x.shape, data)
}

/// Remainder: sign of the divisor, or of the dividend with `fmod`.
fn modulo(call: &mut Call) -> Step<Vec<Entry>> {
    let (a, b) = (operand(call, 0)?, operand(call, 1)?);
    let fmod = call.flag("fmod", false)?;
    let first = call.value(0)?;
    let dtype = call.b.dtype(first);
    let shape = broadcast(&a.shape, &b.shape)?;
    call.b.reserve(shape.iter().product())?;
    let (Data::I64(x), Data::I64(y)) = (&a.data, &b.data) else {
        return Err(wrong_type("Mod of other than integers"));
    };
    let remainder = |p: i64, q: i64| {
        let r = p.checked_rem(q)?;
        Some(if !fmod && r != 0 && (r < 0) != (q < 0) { r + q } else { r })
    };
    let data: Option<Vec<i64>> = zip(x, &a.shape, y, &b.shape, &shape, remainder).into_iter().collect();
    let data = Data::I64(data.ok_or_else(|| misfit("Mod by zero"))?);
    one(call.b.constant(Tensor { shape, data }, dtype))
}

fn choose(call: &mut Call) -> Step<Vec<Entry>> {
    let condition = operand(call, 0)?;
    let Data::Bool(truth) = condition.data else {
        return Err(wrong_type("the condition is not a truth value"));
    };
    let (x, y) = (call.value(1)?, call.value(2)?);
    if call.b.dtype(x) != call.b.dtype(y) {
        return Err(wrong_type(format!(
            "cannot choose between {:?} and {:?}",
            call.b.dtype(x),
            call.b.dtype(y)
        )));
    }
    let shape = broadcast(&condition.shape, &broadcast(&call.b.shape(x), &call.b.shape(y))?)?;
    call.b.reserve(shape.iter().product())?;
    if truth.iter().all(|t| *t) {
        return one(call.b.expand(x, shape)?);
    }
    if truth.iter().all(|t| !t) {
        return one(call.b.expand(y, shape)?);
    }
    let mask = zip(&truth, &condition.shape, &[true], &[], &shape, |m, _| m);
    one(super::pick::choose(call, &mask, x, y, &shape)?)
}
