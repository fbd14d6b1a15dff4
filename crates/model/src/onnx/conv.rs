//! Convolution, and the window attributes that pooling shares.

use super::{Call, Entry, Operator, one, op};
use crate::builder::span;
use crate::graph::Window;
use crate::problem::{Step, misfit, too_large, unsupported};
use crate::read::MAX_ELEMENTS;

pub(super) const OPERATORS: &[Operator] = &[op(
    "Conv",
    &["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"],
    (2, 3),
    conv,
    "1 or 2 spatial axes; groups, depthwise, dilation, auto_pad",
)];

fn conv(call: &mut Call) -> Step<Vec<Entry>> {
    let (x, w, bias) = (call.value(0)?, call.value(1)?, call.optional(2)?);
    let (sx, sw) = (call.b.shape(x), call.b.shape(w));
    if sx.len() != sw.len() || sx.len() < 3 {
        return Err(misfit(format!("Conv of input {sx:?} with weights {sw:?}")));
    }
    if sx.len() > 4 {
        return Err(unsupported(
            format!("Conv over {} spatial axes", sx.len() - 2),
            "use 1-D or 2-D convolutions",
        ));
    }
    let (window, _) = window(call, &sx[2..], Some(&sw[2..]))?;
    let group = usize::try_from(call.int("group", 1)?).unwrap_or(0);
    one(call.b.conv(x, w, bias, window, group)?)
}

/// Positive numbers, one per spatial axis.
fn per_axis(call: &Call, name: &str, rank: usize) -> Step<Option<Vec<usize>>> {
    let Some(list) = call.ints(name)? else { return Ok(None) };
    let fits = |v: &i64| usize::try_from(*v).ok().filter(|v| (1..=MAX_ELEMENTS).contains(v));
    let out: Option<Vec<usize>> = list.iter().map(fits).collect();
    match out {
        Some(out) if out.len() == rank => Ok(Some(out)),
        _ => Err(misfit(format!("attribute `{name}` is {list:?}; {rank} positive numbers are needed"))),
    }
}

/// Window from the attributes; `kernel` is known for convolutions.
/// Also tells how much end padding per axis ceil mode added beyond the declared padding.
pub(super) fn window(call: &Call, lens: &[usize], kernel: Option<&[usize]>) -> Step<(Window, Vec<usize>)> {
    let rank = lens.len();
    let declared = per_axis(call, "kernel_shape", rank)?;
    let kernel = match (declared, kernel) {
        (Some(d), Some(k)) if d != k => {
            return Err(misfit(format!("kernel_shape {d:?} does not fit weights with kernel {k:?}")));
        }
        (Some(d), _) => d,
        (None, Some(k)) => k.to_vec(),
        (None, None) => return Err(misfit("attribute `kernel_shape` is missing")),
    };
    if kernel.contains(&0) {
        return Err(misfit("the kernel is empty"));
    }
    let strides = per_axis(call, "strides", rank)?.unwrap_or_else(|| vec![1; rank]);
    let dilations = per_axis(call, "dilations", rank)?.unwrap_or_else(|| vec![1; rank]);
    let extents: Option<Vec<usize>> = kernel.iter().zip(&dilations).map(|(k, d)| span(*k, *d)).collect();
    let extents = extents
        .filter(|e| e.iter().all(|e| *e <= MAX_ELEMENTS))
        .ok_or_else(|| too_large("a dilated kernel is too long"))?;
    let mut pads = padding(call, lens, &extents, &strides)?;
    let mut extra = vec![0; rank];
    if call.int("ceil_mode", 0)? != 0 {
        for i in 0..rank {
            extra[i] = overhang(lens[i], extents[i], strides[i], pads[i]);
            pads[i].1 += extra[i];
        }
    }
    Ok((Window { kernel, strides, dilations, pads }, extra))
}

/// Explicit padding per axis.
fn padding(call: &Call, lens: &[usize], extents: &[usize], strides: &[usize]) -> Step<Vec<(usize, usize)>> {
    let rank = lens.len();
    let mode = call.text("auto_pad", "NOTSET")?;
    let total = |i: usize| {
        ((lens[i].div_ceil(strides[i])).saturating_sub(1) * strides[i] + extents[i]).saturating_sub(lens[i])
    };
    match mode.as_str() {
        "NOTSET" | "" => declared_padding(call, rank),
        "VALID" => Ok(vec![(0, 0); rank]),
        "SAME_UPPER" => Ok((0..rank).map(|i| (total(i) / 2, total(i).div_ceil(2))).collect()),
        "SAME_LOWER" => Ok((0..rank).map(|i| (total(i).div_ceil(2), total(i) / 2)).collect()),
        _ => Err(unsupported(format!("attribute `auto_pad` is `{mode}`"), "use explicit pads")),
    }
}

fn declared_padding(call: &Call, rank: usize) -> Step<Vec<(usize, usize)>> {
    let pads = call.ints("pads")?.unwrap_or_else(|| vec![0; 2 * rank]);
    let sizes: Option<Vec<usize>> =
        pads.iter().map(|p| usize::try_from(*p).ok().filter(|p| *p <= MAX_ELEMENTS)).collect();
    match sizes {
        Some(p) if p.len() == 2 * rank => Ok((0..rank).map(|i| (p[i], p[rank + i])).collect()),
        _ => Err(unsupported(
            format!("attribute `pads` is {pads:?}"),
            "use one non-negative begin and end per spatial axis",
        )),
    }
}

/// End padding that ceil mode needs for its last window.
/// A window that would start beyond the input and its begin padding is dropped.
fn overhang(len: usize, extent: usize, stride: usize, pad: (usize, usize)) -> usize {
    let room = (len + pad.0 + pad.1).saturating_sub(extent);
    let count = room.div_ceil(stride);
    if room.is_multiple_of(stride) || count * stride >= len + pad.0 {
        return 0;
    }
    count * stride - room
}
