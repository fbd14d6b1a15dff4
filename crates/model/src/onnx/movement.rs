//! Operators that move elements without changing them.

use super::{Call, Entry, MANY, Operator, axis_of, one, op};
use crate::graph::ValueId;
use crate::problem::{Step, misfit, too_large, unsupported};
use crate::tensor::Data;

pub(super) const OPERATORS: &[Operator] = &[
    op("Transpose", &["perm"], (1, 1), transpose, ""),
    op("DepthToSpace", &["blocksize", "mode"], (1, 1), depth_to_space, "as Reshape and Transpose"),
    op("SpaceToDepth", &["blocksize"], (1, 1), space_to_depth, "as Reshape and Transpose"),
    op("Concat", &["axis"], (1, MANY), concat, ""),
    op("Split", &["axis", "split", "num_outputs"], (1, 2), split, "as Slices"),
    op(
        "Slice",
        &["starts", "ends", "axes"],
        (1, 5),
        slice,
        "bounds as attributes or constant inputs; any step",
    ),
    op("Pad", &["mode", "pads", "value"], (1, 4), pad, "constant, reflect, edge and wrap with constant pads"),
    op("Gather", &["axis"], (2, 2), gather, "constant indices"),
];

fn transpose(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let rank = call.rank(x);
    let perm = match call.ints("perm")? {
        Some(p) => p.iter().map(|p| axis_of(*p, rank)).collect::<Step<Vec<_>>>()?,
        None => (0..rank).rev().collect(),
    };
    one(call.b.transpose(x, perm)?)
}

/// Shape of an image and its block length.
fn blocks(call: &Call, x: ValueId) -> Step<([usize; 4], usize)> {
    let shape = call.b.shape(x);
    let block = call.int("blocksize", 0)?;
    let image: Result<[usize; 4], _> = shape.clone().try_into();
    match (image, usize::try_from(block)) {
        (Ok(image), Ok(block @ 1..=65536)) => Ok((image, block)),
        _ => Err(misfit(format!("{} of shape {shape:?} with blocksize {block}", call.op))),
    }
}

fn depth_to_space(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let ([n, c, h, w], r) = blocks(call, x)?;
    if c % (r * r) != 0 {
        return Err(misfit(format!("{c} channels are not a multiple of {}", r * r)));
    }
    let depth = c / (r * r);
    let (split, perm) = match call.text("mode", "DCR")?.as_str() {
        "DCR" => (vec![n, r, r, depth, h, w], vec![0, 3, 4, 1, 5, 2]),
        "CRD" => (vec![n, depth, r, r, h, w], vec![0, 1, 4, 2, 5, 3]),
        mode => return Err(unsupported(format!("attribute `mode` is `{mode}`"), "use DCR or CRD")),
    };
    let parts = call.b.reshape(x, split)?;
    let moved = call.b.transpose(parts, perm)?;
    one(call.b.reshape(moved, vec![n, depth, h * r, w * r])?)
}

fn space_to_depth(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let ([n, c, h, w], r) = blocks(call, x)?;
    if h % r != 0 || w % r != 0 {
        return Err(misfit(format!("{h} x {w} is not a multiple of blocksize {r}")));
    }
    let parts = call.b.reshape(x, vec![n, c, h / r, r, w / r, r])?;
    let moved = call.b.transpose(parts, vec![0, 3, 5, 1, 2, 4])?;
    one(call.b.reshape(moved, vec![n, c * r * r, h / r, w / r])?)
}

fn concat(call: &mut Call) -> Step<Vec<Entry>> {
    let parts = call.values()?;
    if !call.has("axis") {
        return Err(misfit("attribute `axis` is missing"));
    }
    let axis = axis_of(call.int("axis", 0)?, call.rank(parts[0]))?;
    one(call.b.concat(&parts, axis)?)
}

fn split(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let shape = call.b.shape(x);
    let axis = axis_of(call.int("axis", 0)?, shape.len())?;
    let len = shape[axis];
    let sizes = match call.ints_from("split", 1)? {
        Some(sizes) => {
            let wrong = || misfit(format!("split {sizes:?} does not fit length {len}"));
            sizes.iter().map(|s| usize::try_from(*s).map_err(|_| wrong())).collect::<Step<Vec<_>>>()?
        }
        None => equal_parts(len, call.outputs, call.has("num_outputs"))?,
    };
    if sizes.iter().try_fold(0usize, |a, s| a.checked_add(*s)) != Some(len) || sizes.len() != call.outputs {
        return Err(misfit(format!(
            "split {sizes:?} does not fit length {len} and {} outputs",
            call.outputs
        )));
    }
    if call.has("num_outputs") && call.int("num_outputs", 0)? != call.outputs as i64 {
        return Err(misfit(format!("num_outputs does not fit {} outputs", call.outputs)));
    }
    let mut start = 0;
    let mut out = Vec::new();
    for size in sizes {
        out.push(Entry::Value(call.b.part(x, axis, start, size)?));
        start += size;
    }
    Ok(out)
}

/// Equal parts; with `num_outputs` the last one may be shorter.
fn equal_parts(len: usize, count: usize, may_be_uneven: bool) -> Step<Vec<usize>> {
    if count == 0 || (!may_be_uneven && !len.is_multiple_of(count)) {
        return Err(misfit(format!("length {len} cannot be split into {count} equal parts")));
    }
    let size = len.div_ceil(count);
    Ok((0..count).map(|i| size.min(len.saturating_sub(i * size))).collect())
}

fn slice(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let shape = call.b.shape(x);
    let missing = |what: &str| misfit(format!("{what} are missing"));
    let begin = call.ints_from("starts", 1)?.ok_or_else(|| missing("starts"))?;
    let end = call.ints_from("ends", 2)?.ok_or_else(|| missing("ends"))?;
    let axes = call.ints_from("axes", 3)?.unwrap_or_else(|| (0..begin.len() as i64).collect());
    let step = call.constant_ints(4, "steps")?.unwrap_or_else(|| vec![1; begin.len()]);
    if [end.len(), axes.len(), step.len()].iter().any(|n| *n != begin.len()) {
        return Err(misfit("starts, ends, axes and steps differ in length"));
    }
    let (mut starts, mut steps, mut lens) = (vec![0; shape.len()], vec![1; shape.len()], shape.clone());
    let mut seen = vec![false; shape.len()];
    for i in 0..begin.len() {
        let axis = axis_of(axes[i], shape.len())?;
        if std::mem::replace(&mut seen[axis], true) {
            return Err(misfit(format!("axes {axes:?} name one axis twice")));
        }
        (starts[axis], steps[axis], lens[axis]) = bounds(shape[axis], begin[i], end[i], step[i])?;
    }
    one(call.b.slice(x, starts, steps, lens)?)
}

/// First index, step and length of one axis, clamped as numpy does.
fn bounds(len: usize, start: i64, end: i64, step: i64) -> Step<(i64, i64, usize)> {
    let n = len as i64;
    // A step beyond the length picks one element, as the length itself does.
    let step = step.clamp(-n.max(1), n.max(1));
    let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let place = |i: i64| (if i < 0 { i.saturating_add(n) } else { i }).clamp(low, high);
    let (start, end) = (place(start), place(end));
    let count = match step {
        0 => return Err(misfit("a step of Slice is 0")),
        s if s > 0 => (end - start).max(0).unsigned_abs().div_ceil(s.unsigned_abs()),
        s => (start - end).max(0).unsigned_abs().div_ceil(s.unsigned_abs()),
    };
    Ok((if count == 0 { 0 } else { start }, step, count as usize))
}

fn pad(call: &mut Call) -> Step<Vec<Entry>> {
    let mut x = call.value(0)?;
    let rank = call.rank(x);
    let list = call.ints_from("pads", 1)?.ok_or_else(|| misfit("pads are missing"))?;
    let axes = match call.constant_ints(3, "axes")? {
        Some(axes) => axes.iter().map(|a| axis_of(*a, rank)).collect::<Step<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    if list.len() != 2 * axes.len() {
        return Err(misfit(format!("{} pads for {} axes", list.len(), axes.len())));
    }
    let mut pads = vec![(0, 0); rank];
    for (i, axis) in axes.iter().enumerate() {
        pads[*axis] = (list[i], list[axes.len() + i]);
    }
    match call.text("mode", "constant")?.as_str() {
        "constant" => {
            let value = fill(call)?;
            one(call.b.pad(x, pads, value)?)
        }
        mode @ ("reflect" | "edge" | "wrap") => {
            for (axis, pad) in pads.into_iter().enumerate().filter(|(_, p)| *p != (0, 0)) {
                let len = call.b.shape(x)[axis];
                let indices = mirrored(call, len, pad, mode)?;
                let count = indices.len();
                x = call.b.gather(x, axis, indices, &[count])?;
            }
            one(x)
        }
        mode => {
            Err(unsupported(format!("attribute `mode` is `{mode}`"), "use constant, reflect, edge or wrap"))
        }
    }
}

/// Fill value of constant padding, exact for the type of the operand.
fn fill(call: &Call) -> Step<f32> {
    let attribute = call.float("value", 0.0)?;
    let Some(tensor) = call.constant(2, "the fill value")? else { return Ok(attribute) };
    let exact = |v: i64| Some(v as f32).filter(|_| v.unsigned_abs() < 1 << 24);
    let value = match &tensor.data {
        Data::F32(v) if v.len() == 1 => Some(v[0]),
        Data::I64(v) if v.len() == 1 => exact(v[0]),
        Data::Bool(v) if v.len() == 1 => Some(if v[0] { 1.0 } else { 0.0 }),
        _ => None,
    };
    value.ok_or_else(|| unsupported("the fill value is not one small number", "use a scalar"))
}

/// Source index of each position along a padded axis.
fn mirrored(call: &mut Call, len: usize, pad: (i64, i64), mode: &str) -> Step<Vec<usize>> {
    let n = len as i64;
    let wrong = || misfit(format!("padding {pad:?} of length {len} in mode {mode}"));
    let total = pad.0.checked_add(pad.1).and_then(|p| p.checked_add(n)).and_then(|t| usize::try_from(t).ok());
    call.b.reserve(total.ok_or_else(wrong)?)?;
    let limit = if mode == "reflect" { n - 1 } else { i64::MAX };
    if n == 0 || pad.0 > limit || pad.1 > limit {
        return Err(wrong());
    }
    let source = |i: i64| match mode {
        "edge" => i.clamp(0, n - 1),
        "wrap" => i.rem_euclid(n),
        _ if i < 0 => -i,
        _ if i >= n => 2 * (n - 1) - i,
        _ => i,
    };
    let end = pad.1.checked_add(n).ok_or_else(|| too_large("Pad"))?;
    let start = pad.0.checked_neg().ok_or_else(|| too_large("Pad"))?;
    Ok((start..end).map(|i| source(i) as usize).collect())
}

fn gather(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let shape = call.b.shape(x);
    let axis = axis_of(call.int("axis", 0)?, shape.len())?;
    let indices = call.constant(1, "indices")?.ok_or_else(|| misfit("indices are missing"))?;
    let list = indices.as_i64().ok_or_else(|| misfit("indices are not integers"))?;
    let place = |i: &i64| {
        axis_of(*i, shape[axis]).map_err(|_| misfit(format!("index {i} is outside axis {axis} of {shape:?}")))
    };
    let list = list.iter().map(place).collect::<Step<Vec<_>>>()?;
    let y = call.b.gather(x, axis, list, &indices.shape)?;
    one(y)
}
