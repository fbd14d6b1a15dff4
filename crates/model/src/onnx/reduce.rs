//! Reductions over axes, and ArgMax.

use super::{Call, Entry, Operator, axes_of, axis_of, one, op};
use crate::builder::Reduce;
use crate::graph::{Binary, DType, Unary, ValueId};
use crate::problem::{Step, unsupported, wrong_type};

const REDUCE: &[&str] = &["axes", "keepdims", "noop_with_empty_axes"];
const ARG: &[&str] = &["axis", "keepdims", "select_last_index"];

pub(super) const OPERATORS: &[Operator] = &[
    op("ReduceMean", REDUCE, (1, 2), reduce, "axes as attribute or constant input"),
    op("ReduceSum", REDUCE, (1, 2), reduce, "axes as attribute or constant input"),
    op("ReduceMax", REDUCE, (1, 2), reduce, "axes as attribute or constant input"),
    op("ReduceMin", REDUCE, (1, 2), reduce, "as Neg, ReduceMax, Neg"),
    op("ReduceProd", REDUCE, (1, 2), reduce, "as Slices and Mul; at most 64 factors"),
    op("ReduceL1", REDUCE, (1, 2), reduce, "as Abs, ReduceSum"),
    op("ReduceL2", REDUCE, (1, 2), reduce, "as Mul, ReduceSum, Sqrt"),
    op("ReduceSumSquare", REDUCE, (1, 2), reduce, "as Mul, ReduceSum"),
    op("ReduceLogSum", REDUCE, (1, 2), reduce, "as ReduceSum, Log"),
    op("ReduceLogSumExp", REDUCE, (1, 2), reduce, "as Exp, ReduceSum, Log around the maximum"),
    op("ArgMax", ARG, (1, 1), arg_max, ""),
    op("ArgMin", ARG, (1, 1), arg_max, "as ArgMax of Neg"),
];

fn reduce(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let rank = call.rank(x);
    if call.op == "ReduceMin" {
        only_float(call, x)?;
    }
    let keep = call.flag("keepdims", true)?;
    let noop = call.flag("noop_with_empty_axes", false)?;
    let given = call.ints_from("axes", 1)?.filter(|a| !a.is_empty());
    let axes = match given {
        Some(axes) => axes_of(&axes, rank)?,
        None if noop && matches!(call.op, "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin") => {
            return one(x);
        }
        None if noop => return Err(unsupported("noop_with_empty_axes without axes", "remove the node")),
        None => (0..rank).collect(),
    };
    let y = rewrite(call, x, axes, keep)?;
    one(y)
}

/// Negation must be exact: not so for unsigned or the smallest integers.
fn only_float(call: &Call, x: ValueId) -> Step<()> {
    match call.b.dtype(x) {
        DType::F32 => Ok(()),
        other => Err(wrong_type(format!("{} of {other:?}", call.op))),
    }
}

fn rewrite(call: &mut Call, x: ValueId, axes: Vec<usize>, keep: bool) -> Step<ValueId> {
    let b = &mut *call.b;
    match call.op {
        "ReduceMean" => b.reduce(Reduce::Mean, x, axes, keep),
        "ReduceSum" => b.reduce(Reduce::Sum, x, axes, keep),
        "ReduceMax" => b.reduce(Reduce::Max, x, axes, keep),
        "ReduceMin" => {
            let negative = b.unary(Unary::Neg, x)?;
            let top = b.reduce(Reduce::Max, negative, axes, keep)?;
            b.unary(Unary::Neg, top)
        }
        "ReduceProd" => product(call, x, &axes, keep),
        "ReduceL1" => {
            let size = b.unary(Unary::Abs, x)?;
            b.reduce(Reduce::Sum, size, axes, keep)
        }
        "ReduceL2" | "ReduceSumSquare" => {
            let square = b.binary(Binary::Mul, x, x)?;
            let sum = b.reduce(Reduce::Sum, square, axes, keep)?;
            if call.op == "ReduceL2" { b.unary(Unary::Sqrt, sum) } else { Ok(sum) }
        }
        "ReduceLogSum" => {
            let sum = b.reduce(Reduce::Sum, x, axes, keep)?;
            b.unary(Unary::Log, sum)
        }
        _ => {
            // log sum exp(x - top) + top stays within range.
            let top = b.reduce(Reduce::Max, x, axes.clone(), true)?;
            let below = b.binary(Binary::Sub, x, top)?;
            let exp = b.unary(Unary::Exp, below)?;
            let sum = b.reduce(Reduce::Sum, exp, axes, keep)?;
            let log = b.unary(Unary::Log, sum)?;
            let top = b.reshape(top, b.shape(log))?;
            b.binary(Binary::Add, log, top)
        }
    }
}

/// Multiplies slices; made for shape arithmetic and polynomial features.
fn product(call: &mut Call, mut x: ValueId, axes: &[usize], keep: bool) -> Step<ValueId> {
    for axis in axes {
        let len = call.b.shape(x)[*axis];
        if !(1..=64).contains(&len) {
            return Err(unsupported(format!("ReduceProd of {len} factors"), "use at most 64 factors"));
        }
        let mut y = call.b.part(x, *axis, 0, 1)?;
        for i in 1..len {
            let factor = call.b.part(x, *axis, i, 1)?;
            y = call.b.binary(Binary::Mul, y, factor)?;
        }
        x = y;
    }
    let shape = call.b.shape(x);
    let kept = |i: &usize| keep || !axes.contains(i);
    let shape = (0..shape.len()).filter(kept).map(|i| shape[i]).collect();
    call.b.reshape(x, shape)
}

fn arg_max(call: &mut Call) -> Step<Vec<Entry>> {
    let mut x = call.value(0)?;
    let axis = axis_of(call.int("axis", 0)?, call.rank(x))?;
    let (keep, last) = (call.flag("keepdims", true)?, call.flag("select_last_index", false)?);
    if call.op == "ArgMin" {
        only_float(call, x)?;
        x = call.b.unary(Unary::Neg, x)?;
    }
    one(call.b.arg_max(x, axis, keep, last)?)
}
