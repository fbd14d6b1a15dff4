//! Operators that change the shape only, or nothing at all.

use super::{Call, Entry, Operator, axes_of, axis_of, one, op};
use crate::graph::DType;
use crate::problem::{Step, misfit, too_large, unsupported};
use crate::read::{MAX_AXES, elements};
use crate::tensor::{Data, Tensor};

pub(super) const OPERATORS: &[Operator] = &[
    op("Reshape", &["allowzero"], (2, 2), reshape, "constant shape; 0, -1 and allowzero"),
    op("Flatten", &["axis"], (1, 1), flatten, "as Reshape"),
    op("Squeeze", &["axes"], (1, 2), squeeze, "as Reshape; axes as attribute or constant input"),
    op("Unsqueeze", &["axes"], (1, 2), unsqueeze, "as Reshape; axes as attribute or constant input"),
    op("Identity", &[], (1, 1), identity, "removed"),
    op(
        "Dropout",
        &["ratio", "seed", "is_test", "training_mode"],
        (1, 3),
        dropout,
        "removed (inference); training mode is refused",
    ),
    op("Expand", &[], (2, 2), expand, "constant shape"),
    op("Tile", &[], (2, 2), tile, "constant repeats; as Gather"),
];

/// Passes a class label through a step that does not change its meaning.
fn label(call: &Call) -> Option<Vec<Entry>> {
    call.label(0).map(|l| vec![Entry::Label(l)])
}

fn reshape(call: &mut Call) -> Step<Vec<Entry>> {
    if let Some(label) = label(call) {
        return Ok(label);
    }
    let x = call.value(0)?;
    let target = call.constant_ints(1, "the new shape")?.unwrap_or_default();
    let shape = resolve(&call.b.shape(x), &target, call.flag("allowzero", false)?)?;
    one(call.b.reshape(x, shape)?)
}

/// Replaces 0 (keep) and -1 (the rest) in a target shape.
fn resolve(old: &[usize], target: &[i64], allowzero: bool) -> Step<Vec<usize>> {
    let wrong = || misfit(format!("cannot reshape {old:?} to {target:?}"));
    if target.len() > MAX_AXES {
        return Err(too_large(format!("a tensor has {} axes", target.len())));
    }
    let mut shape = Vec::new();
    let mut rest = None;
    for (i, t) in target.iter().enumerate() {
        shape.push(match *t {
            0 if !allowzero => *old.get(i).ok_or_else(wrong)?,
            -1 if rest.is_none() => {
                rest = Some(i);
                1
            }
            t => usize::try_from(t).map_err(|_| wrong())?,
        });
    }
    if let Some(i) = rest {
        let known = elements(&shape)?;
        let total = elements(old)?;
        if known == 0 || !total.is_multiple_of(known) {
            return Err(wrong());
        }
        shape[i] = total / known;
    }
    Ok(shape)
}

fn flatten(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let shape = call.b.shape(x);
    let axis = call.int("axis", 1)?;
    let axis = if axis == shape.len() as i64 { shape.len() } else { axis_of(axis, shape.len())? };
    let flat = vec![shape[..axis].iter().product(), shape[axis..].iter().product()];
    one(call.b.reshape(x, flat)?)
}

fn squeeze(call: &mut Call) -> Step<Vec<Entry>> {
    if let Some(label) = label(call) {
        return Ok(label);
    }
    let x = call.value(0)?;
    let mut shape = call.b.shape(x);
    let axes = match call.ints_from("axes", 1)? {
        Some(axes) => axes_of(&axes, shape.len())?,
        None => (0..shape.len()).filter(|i| shape[*i] == 1).collect(),
    };
    if axes.iter().any(|a| shape[*a] != 1) {
        return Err(misfit(format!("cannot squeeze axes {axes:?} of {shape:?}")));
    }
    for a in axes.iter().rev() {
        shape.remove(*a);
    }
    one(call.b.reshape(x, shape)?)
}

fn unsqueeze(call: &mut Call) -> Step<Vec<Entry>> {
    if let Some(label) = label(call) {
        return Ok(label);
    }
    let x = call.value(0)?;
    let mut shape = call.b.shape(x);
    let axes = call.ints_from("axes", 1)?.ok_or_else(|| misfit("axes are missing"))?;
    if shape.len() + axes.len() > MAX_AXES {
        return Err(too_large(format!("a tensor has {} axes", shape.len() + axes.len())));
    }
    for a in axes_of(&axes, shape.len() + axes.len())? {
        shape.insert(a, 1);
    }
    one(call.b.reshape(x, shape)?)
}

fn identity(call: &mut Call) -> Step<Vec<Entry>> {
    let entry = call.inputs.first().cloned().flatten();
    entry.map(|e| vec![e]).ok_or_else(|| misfit("the operand is missing"))
}

fn dropout(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    call.only("training_mode", 0, "export in evaluation mode: model.eval()")?;
    if call.opset < 7 && call.int("is_test", 0)? == 0 {
        return Err(unsupported(
            "attribute `is_test` is 0: training mode",
            "export in evaluation mode: model.eval()",
        ));
    }
    let training = match call.constant(2, "training_mode")?.map(|t| t.data) {
        Some(Data::Bool(v)) => v.contains(&true),
        Some(_) => true,
        None => false,
    };
    if training {
        return Err(unsupported("Dropout in training mode", "export in evaluation mode: model.eval()"));
    }
    if call.outputs < 2 || call.opset < 10 {
        return one(x);
    }
    // In inference nothing is dropped: the mask is all true.
    let shape = call.b.shape(x);
    let mask = Tensor { data: Data::Bool(vec![true; elements(&shape)?]), shape };
    let mask = call.b.constant(mask, DType::Bool);
    Ok(vec![Entry::Value(x), Entry::Value(mask)])
}

fn expand(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let target = call.constant_ints(1, "the new shape")?.unwrap_or_default();
    let wrong = || misfit(format!("cannot expand to {target:?}"));
    let target: Vec<usize> =
        target.iter().map(|t| usize::try_from(*t).map_err(|_| wrong())).collect::<Step<_>>()?;
    elements(&target)?;
    let shape = crate::builder::broadcast(&call.b.shape(x), &target)?;
    one(call.b.expand(x, shape)?)
}

fn tile(call: &mut Call) -> Step<Vec<Entry>> {
    let mut x = call.value(0)?;
    let repeats = call.constant_ints(1, "repeats")?.unwrap_or_default();
    let shape = call.b.shape(x);
    if repeats.len() != shape.len() {
        return Err(misfit(format!("repeats {repeats:?} do not fit shape {shape:?}")));
    }
    for (axis, r) in repeats.iter().enumerate() {
        let r = usize::try_from(*r).map_err(|_| misfit(format!("repeats {repeats:?}")))?;
        let len = r.checked_mul(shape[axis]).ok_or_else(|| too_large("Tile"))?;
        call.b.reserve(len)?;
        if r != 1 {
            let indices = (0..len).map(|i| i % shape[axis]).collect();
            x = call.b.gather(x, axis, indices, &[len])?;
        }
    }
    one(x)
}
