//! Layers with constant weights: convolution, matrix product, per-channel scale.
//!
//! A chain of additions is gathered into one sum: at most one layer, other values
//! times numbers, and constants. The layer's own additions and multiplications per
//! channel (bias, batch normalisation) are folded into its weights in floats.

use std::collections::BTreeMap;

use model::graph::{Binary, Node, Op, ValueId, Window};
use program::types::{Form, Map};

use crate::draft::Draft;
use crate::problem::{NON_FINITE, Problem, unsupported};
use crate::qdq::Stored;
use crate::scan::{Scan, reals, scalar};
use crate::value::Val;
use crate::view::{Len, axis, narrow};

/// coef * layer + terms + constants.
#[derive(Clone, Default)]
pub(crate) struct Sum<'a> {
    pub(crate) layer: Option<Layer<'a>>,
    /// (factor, value)
    pub(crate) terms: Vec<(f64, ValueId)>,
    /// (factor, constant value), broadcast to the sum's shape.
    pub(crate) constants: Vec<(f64, ValueId)>,
    /// Added everywhere.
    pub(crate) bias: f64,
}

/// A layer with constant weights and what was folded into it.
#[derive(Clone)]
pub(crate) struct Layer<'a> {
    pub(crate) node: &'a Node,
    /// The operand that is not constant.
    pub(crate) x: ValueId,
    /// The constant operand.
    pub(crate) w: ValueId,
    /// Per channel, multiplies the weights.
    pub(crate) gain: Vec<f64>,
    /// Per channel, added to the result.
    pub(crate) bias: Vec<f64>,
    /// Logical axis of the result that the channels run along; none for a
    /// product with a constant tensor.
    pub(crate) axis: Option<usize>,
}

/// The sum that makes value `v`.
pub(crate) fn gather<'a>(scan: &Scan<'a>, v: ValueId) -> Sum<'a> {
    let mut sum = Sum::default();
    add(scan, v, 1.0, true, &mut sum);
    fold_constants(scan, v, &mut sum);
    sum
}

fn add<'a>(scan: &Scan<'a>, v: ValueId, factor: f64, top: bool, sum: &mut Sum<'a>) {
    if scan.constant(v).is_some() {
        sum.constants.push((factor, v));
        return;
    }
    let (mut v, mut factor) = (v, factor);
    if !top {
        if !scan.dissolves(v) {
            sum.terms.push((factor, v));
            return;
        }
        let (root, expr) = scan.root(v);
        let Some((a, b)) = expr.affine() else {
            sum.terms.push((factor, v));
            return;
        };
        sum.bias += factor * b;
        factor *= a;
        v = root;
    }
    let Some(node) = scan.node_of(v) else {
        sum.terms.push((factor, v));
        return;
    };
    match &node.op {
        Op::Binary(Binary::Add) => {
            add(scan, node.inputs[0], factor, false, sum);
            add(scan, node.inputs[1], factor, false, sum);
        }
        Op::Binary(Binary::Sub) => {
            add(scan, node.inputs[0], factor, false, sum);
            add(scan, node.inputs[1], -factor, false, sum);
        }
        Op::Binary(Binary::Mul | Binary::Div) => add_product(scan, node, v, factor, top, sum),
        Op::Conv { .. } | Op::MatMul => match layer(scan, node, factor) {
            Some(layer) if sum.layer.is_none() => sum.layer = Some(layer),
            // Unrounded products of two values are handled where the sum is lowered.
            _ if top => {}
            _ => sum.terms.push((factor, v)),
        },
        _ if top => {}
        _ => sum.terms.push((factor, v)),
    }
}

/// value * constant or value / constant, the constant not a single number.
fn add_product<'a>(scan: &Scan<'a>, node: &'a Node, v: ValueId, factor: f64, top: bool, sum: &mut Sum<'a>) {
    let Some((x, w)) = scaled_by_constant(scan, node) else {
        if !top {
            sum.terms.push((factor, v));
        }
        return;
    };
    if sum.layer.is_some() {
        sum.terms.push((factor, v));
        return;
    }
    if let Some(layer) = fold_gain(scan, node, x, w, factor) {
        sum.layer = Some(layer);
        return;
    }
    sum.layer = Some(shifted(scan, node, x, w, factor).unwrap_or_else(|| {
        let count = scan.graph.value(w).shape.iter().product::<usize>();
        Layer { node, x, w, gain: vec![factor; count], bias: vec![], axis: None }
    }));
}

/// (x + c) * w with constants c, w of one shape: x * w with the bias c * w. This is
/// how inputs are standardised.
fn shifted<'a>(scan: &Scan<'a>, node: &'a Node, x: ValueId, w: ValueId, factor: f64) -> Option<Layer<'a>> {
    if !scan.dissolves(x) {
        return None;
    }
    let mut inner = Sum::default();
    add(scan, x, 1.0, false, &mut inner);
    fold_constants(scan, x, &mut inner);
    let [(own, term)] = inner.terms.as_slice() else { return None };
    if inner.layer.is_some() || scan.graph.value(*term).shape != scan.graph.value(node.output).shape {
        return None;
    }
    let tensor = scan.constant(w)?;
    let invert = node.op == Op::Binary(Binary::Div);
    let mut bias: Vec<f64> =
        reals(tensor).iter().map(|w| inner.bias * factor * if invert { 1.0 / w } else { *w }).collect();
    for (own, c) in &inner.constants {
        let c = scan.constant(*c)?;
        if trimmed(&c.shape) != trimmed(&tensor.shape) {
            return None;
        }
        for ((b, c), w) in bias.iter_mut().zip(reals(c)).zip(reals(tensor)) {
            *b += own * c * factor * if invert { 1.0 / w } else { w };
        }
    }
    let gain = vec![own * factor; bias.len()];
    Some(Layer { node, x: *term, w, gain, bias, axis: None })
}

/// A shape without leading axes of length 1.
fn trimmed(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().take_while(|&&n| n == 1).count();
    &shape[ones..]
}

/// The operands (value, constant) of a product, if one is constant.
pub(crate) fn scaled_by_constant(scan: &Scan<'_>, node: &Node) -> Option<(ValueId, ValueId)> {
    let (a, b) = (*node.inputs.first()?, *node.inputs.get(1)?);
    match (&node.op, scan.constant(a), scan.constant(b)) {
        (Op::Binary(Binary::Mul | Binary::Div), None, Some(_)) => Some((a, b)),
        (Op::Binary(Binary::Mul), Some(_), None) => Some((b, a)),
        _ => None,
    }
}

/// A layer times a constant per channel is the layer with other weights.
fn fold_gain<'a>(scan: &Scan<'a>, node: &'a Node, x: ValueId, w: ValueId, factor: f64) -> Option<Layer<'a>> {
    if !scan.dissolves(x) {
        return None;
    }
    let mut inner = Sum::default();
    add(scan, x, 1.0, false, &mut inner);
    fold_constants(scan, x, &mut inner);
    if !inner.terms.is_empty() || !inner.constants.is_empty() {
        return None;
    }
    let mut layer = inner.layer?;
    let axis = layer.axis?;
    let shape = &scan.graph.value(node.output).shape;
    let gain = per_channel(scan, w, shape, axis, layer.gain.len())?;
    if layer.bias.is_empty() {
        layer.bias = vec![0.0; layer.gain.len()];
    }
    for ((g, b), k) in layer.gain.iter_mut().zip(&mut layer.bias).zip(gain) {
        let k = factor * if node.op == Op::Binary(Binary::Div) { 1.0 / k } else { k };
        *g *= k;
        *b = (*b + inner.bias) * k;
    }
    Some(layer)
}

/// A convolution or matrix product with one constant operand.
fn layer<'a>(scan: &Scan<'a>, node: &'a Node, factor: f64) -> Option<Layer<'a>> {
    let (x, w) = match (scan.constant(node.inputs[0]), scan.constant(node.inputs[1])) {
        (None, Some(_)) => (node.inputs[0], node.inputs[1]),
        (Some(_), None) if node.op == Op::MatMul => (node.inputs[1], node.inputs[0]),
        _ => return None,
    };
    let w_shape = &scan.graph.value(w).shape;
    let out_rank = scan.graph.value(node.output).shape.len();
    let (channels, axis) = if let Op::Conv { .. } = node.op {
        (w_shape[0], Some(1))
    } else if x == node.inputs[0] {
        if w_shape.len() == 1 { (1, None) } else { (w_shape[w_shape.len() - 1], Some(out_rank - 1)) }
    } else if w_shape.len() == 1 {
        (1, None)
    } else {
        (w_shape[w_shape.len() - 2], out_rank.checked_sub(2))
    };
    let mut bias = vec![];
    if let Op::Conv { .. } = node.op
        && let Some(&b) = node.inputs.get(2)
    {
        bias = reals(scan.constant(b)?).iter().map(|v| v * factor).collect();
    }
    Some(Layer { node, x, w, gain: vec![factor; channels], bias, axis })
}

/// Moves constants that are the same along all axes but the channel axis into the
/// layer's bias, and single numbers into the sum's.
fn fold_constants(scan: &Scan<'_>, v: ValueId, sum: &mut Sum<'_>) {
    let shape = &scan.graph.value(v).shape;
    let mut rest = Vec::new();
    for (factor, c) in std::mem::take(&mut sum.constants) {
        if let Some(value) = scan.constant(c).and_then(scalar) {
            sum.bias += factor * value;
            continue;
        }
        let folded = sum.layer.as_ref().and_then(|l| {
            let list = per_channel(scan, c, shape, l.axis?, l.gain.len())?;
            Some(list)
        });
        match (folded, &mut sum.layer) {
            (Some(list), Some(layer)) => {
                if layer.bias.is_empty() {
                    layer.bias = vec![0.0; layer.gain.len()];
                }
                layer.bias.iter_mut().zip(list).for_each(|(b, v)| *b += factor * v);
            }
            _ => rest.push((factor, c)),
        }
    }
    sum.constants = rest;
}

/// The constant as one number per channel of `shape[axis]`, if it is that.
fn per_channel(
    scan: &Scan<'_>,
    c: ValueId,
    shape: &[usize],
    axis: usize,
    channels: usize,
) -> Option<Vec<f64>> {
    let tensor = scan.constant(c)?;
    let values = reals(tensor);
    if values.len() == 1 {
        return Some(vec![values[0]; channels]);
    }
    let pad = shape.len().checked_sub(tensor.shape.len())?;
    let fits =
        tensor.shape.iter().enumerate().all(|(i, &n)| if i + pad == axis { n == channels } else { n == 1 });
    (fits && shape.get(axis) == Some(&channels)).then_some(values)
}

/// A layer ready for quantisation: everything but the integers.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Position axes of each logical axis of the result.
    pub(crate) groups: Vec<Vec<Len>>,
    /// Lengths of the sum axes.
    pub(crate) sum: Vec<Len>,
    /// The operand that is not constant, over result and sum axes.
    pub(crate) a: Form,
    /// Axes of the weights: channel axes first, then sum axes.
    pub(crate) w_axes: Vec<Len>,
    /// How the weights are read.
    pub(crate) w_maps: Vec<Map>,
    /// Real weights, row-major over `w_axes`.
    pub(crate) w: Vec<f64>,
    /// Largest absolute weight of each channel.
    pub(crate) most: Vec<f64>,
    /// Number of leading axes of the weights that are channels, and their
    /// position axes in the result.
    pub(crate) channel_axes: Vec<usize>,
    /// Added per channel; empty for nothing.
    pub(crate) bias: Vec<f64>,
    /// The operand's scale and calibrated rms in integer units.
    pub(crate) x_scale: f64,
    pub(crate) x_rms: f64,
    /// Scale per channel of weights that are integers already.
    pub(crate) stored: Option<Vec<f64>>,
    /// Mean of the operand that each weight of one channel meets, for every group of channels; empty if not known.
    pub(crate) x_means: Vec<f64>,
}

impl Plan {
    /// Number of channels: rows of the weights.
    pub(crate) fn channels(&self) -> usize {
        self.w_axes[..self.channel_axes.len()].iter().map(|&n| n as usize).product()
    }

    /// Largest absolute weight.
    pub(crate) fn largest(&self) -> f64 {
        self.most.iter().copied().fold(0.0, f64::max)
    }
}

/// Lays out a layer over its operand.
pub(crate) fn plan(
    scan: &Scan<'_>,
    stored: &BTreeMap<ValueId, Stored>,
    draft: &mut Draft,
    layer: &Layer<'_>,
    x: &Val,
) -> Result<Plan, Problem> {
    let w = reals(
        scan.constant(layer.w)
            .ok_or_else(|| unsupported("weights that are not constant", "Export constant weights."))?,
    );
    if w.iter().chain(&layer.bias).chain(&layer.gain).any(|v| !v.is_finite()) {
        return Err(Problem::global(
            NON_FINITE,
            "a weight is NaN or infinite",
            "Train or export the model again.",
        ));
    }
    let w_shape = &scan.graph.value(layer.w).shape;
    let out_shape = &scan.graph.value(layer.node.output).shape;
    let mut plan = match &layer.node.op {
        Op::Conv { window, group } => plan_conv(draft, x, w_shape, w, window, *group, out_shape)?,
        Op::MatMul if layer.x == layer.node.inputs[0] => plan_right(draft, x, w_shape, w)?,
        Op::MatMul => plan_left(draft, x, w_shape, w)?,
        _ => {
            let invert = layer.node.op == Op::Binary(Binary::Div);
            let w = w.into_iter().map(|v| if invert { 1.0 / v } else { v }).collect();
            plan_scale(draft, x, w_shape, w, out_shape)?
        }
    };
    apply_gain(&mut plan, layer);
    let row = (plan.w.len() / plan.channels().max(1)).max(1);
    plan.most = plan.w.chunks(row).map(|row| row.iter().fold(0f64, |m, w| m.max(w.abs()))).collect();
    plan.stored = stored.get(&layer.w).and_then(|s| stored_scales(s, layer, w_shape, plan.channels()));
    Ok(plan)
}

/// Scale per channel of weights that came as integers, if nothing was folded into
/// them and their scales run along the channels.
fn stored_scales(stored: &Stored, layer: &Layer<'_>, w_shape: &[usize], channels: usize) -> Option<Vec<f64>> {
    if layer.gain.iter().any(|g| *g != 1.0) {
        return None;
    }
    if stored.scale.len() == 1 {
        return Some(vec![stored.scale[0]; channels]);
    }
    let along = match layer.node.op {
        Op::Conv { .. } => 0,
        Op::MatMul if layer.x == layer.node.inputs[0] && w_shape.len() == 2 => 1,
        _ => return None,
    };
    (stored.axis == along && stored.scale.len() == channels).then(|| stored.scale.clone())
}

/// Multiplies the weights of each channel; the folded channels are the innermost.
fn apply_gain(plan: &mut Plan, layer: &Layer<'_>) {
    let channels = plan.channels();
    let inner = plan.w.len() / channels.max(1);
    let count = layer.gain.len().max(1);
    for (c, row) in plan.w.chunks_mut(inner.max(1)).enumerate() {
        let gain = layer.gain.get(c % count).copied().unwrap_or(1.0);
        row.iter_mut().for_each(|w| *w *= gain);
    }
    if !layer.bias.is_empty() {
        plan.bias = (0..channels).map(|c| layer.bias[c % layer.bias.len()]).collect();
    }
}

/// Lengths above 1: axes of length 1 are not represented.
fn real_axis(len: usize) -> Vec<Len> {
    if len > 1 { vec![len as Len] } else { vec![] }
}

/// How a convolution reads the spatial axes of its operand: output axes from `out_at` on, taps from
/// `sum_at` on; axes of length 1 are not represented.
fn spatial_reads(
    x: &Val,
    window: &Window,
    (kernel, crop): (&[usize], &[usize]),
    out_shape: &[usize],
    (mut out_at, mut sum_at): (usize, usize),
) -> Vec<Map> {
    let mut reads = Vec::new();
    for (i, &k) in kernel.iter().enumerate() {
        let out = (out_shape[2 + i] > 1).then_some(out_at);
        let tap = (k > 1).then_some(sum_at);
        out_at += usize::from(out.is_some());
        sum_at += usize::from(tap.is_some());
        if x.groups[2 + i].is_empty() {
            continue;
        }
        let (step, dil) = (window.strides[i] as i64, window.dilations[i] as i64);
        let off = crop[i] as i64 * dil - window.pads[i].0 as i64;
        reads.push(slide(out, tap, step, dil, off));
    }
    reads
}

fn plan_conv(
    draft: &mut Draft,
    x: &Val,
    w_shape: &[usize],
    w: Vec<f64>,
    window: &Window,
    group: usize,
    out_shape: &[usize],
) -> Result<Plan, Problem> {
    let per_group = w_shape[1];
    let mut x = x.clone();
    for axis in 2..x.groups.len() {
        x = x.merge(draft, axis)?;
    }
    if group > 1 {
        let mut wanted = x.groups.clone();
        wanted[1] = [real_axis(group), real_axis(per_group)].concat();
        x = x.regroup(draft, &wanted)?;
    }
    let outer = [real_axis(if group > 1 { group } else { 1 }), real_axis(w_shape[0] / group)].concat();
    let mut groups = vec![x.groups[0].clone(), outer.clone()];
    groups.extend(out_shape[2..].iter().map(|&n| real_axis(n)));
    let outputs = 1 + groups.iter().map(Vec::len).sum::<usize>();
    let (first, mut sum) = (x.groups[0].len(), x.groups[1].clone());
    if group > 1 {
        sum.remove(0);
    }
    let (crop, w, kernel) = crop_kernel(&x, w_shape, w, window, out_shape)?;
    let channel_sums = sum.len();
    sum.extend(kernel.iter().flat_map(|&k| real_axis(k)));

    let mut reads: Vec<Map> = (0..first).map(|i| axis(1 + i)).collect();
    if group > 1 {
        reads.push(axis(1 + first));
    }
    reads.extend((0..channel_sums).map(|i| axis(outputs + i)));
    reads.extend(spatial_reads(
        &x,
        window,
        (&kernel, &crop),
        out_shape,
        (1 + first + outer.len(), outputs + channel_sums),
    ));
    let mut new = vec![0];
    new.extend(groups.concat());
    new.extend(&sum);
    let a = x.read(draft, &reads, &new)?;
    let channel_axes: Vec<usize> = (0..outer.len()).map(|i| 1 + first + i).collect();
    let mut w_axes = outer;
    let mut w_maps: Vec<Map> = channel_axes.iter().map(|&a| axis(a)).collect();
    w_axes.extend(&sum);
    w_maps.extend((0..sum.len()).map(|i| axis(outputs + i)));
    Ok(Plan {
        groups,
        sum,
        a,
        w_axes,
        w_maps,
        w,
        channel_axes,
        bias: vec![],
        x_scale: x.scale,
        x_rms: x.rms,
        stored: None,
        most: Vec::new(),
        x_means: Vec::new(),
    })
}

/// The map of a spatial axis read by a window.
pub(crate) fn slide(out: Option<usize>, tap: Option<usize>, step: i64, dil: i64, off: i64) -> Map {
    match (out, tap) {
        (Some(a), Some(b)) => Map::Win { a: narrow(a), b: narrow(b), step, dil, off },
        (Some(a), None) => Map::Aff { axis: narrow(a), step, off },
        (None, Some(b)) => Map::Aff { axis: narrow(b), step: dil, off },
        (None, None) => Map::Fix { at: off },
    }
}

/// First tap kept per spatial axis, weights, kernel.
type Cropped = (Vec<usize>, Vec<f64>, Vec<usize>);

/// Along spatial axes of length 1 only one tap of the kernel meets the entry;
/// the others are dropped.
fn crop_kernel(
    x: &Val,
    w_shape: &[usize],
    mut w: Vec<f64>,
    window: &Window,
    out_shape: &[usize],
) -> Result<Cropped, Problem> {
    let mut shape = w_shape.to_vec();
    let mut crop = vec![0; window.kernel.len()];
    for i in 0..window.kernel.len() {
        if x.dim(2 + i) > 1 || (shape[2 + i] == 1 && window.pads[i] == (0, 0)) {
            continue;
        }
        let tap = window.pads[i].0 / window.dilations[i];
        let meets = window.pads[i].0.is_multiple_of(window.dilations[i]) && tap < shape[2 + i];
        if out_shape[2 + i] != 1 || !meets {
            return Err(unsupported("padding of an axis of length 1", "Remove the padding along that axis."));
        }
        w = take(&w, &shape, 2 + i, tap);
        shape[2 + i] = 1;
        crop[i] = tap;
    }
    Ok((crop, w, shape[2..].to_vec()))
}

/// One index of an axis of a dense tensor.
fn take(w: &[f64], shape: &[usize], axis: usize, at: usize) -> Vec<f64> {
    let inner: usize = shape[axis + 1..].iter().product();
    w.chunks(shape[axis] * inner).flat_map(|c| c[at * inner..(at + 1) * inner].to_vec()).collect()
}

/// `x[.., k]` * `w[.., k, n]`: the weights are declared (.., n, k).
fn plan_right(draft: &mut Draft, x: &Val, w_shape: &[usize], w: Vec<f64>) -> Result<Plan, Problem> {
    let rank = w_shape.len();
    let (k, n) = if rank == 1 { (w_shape[0], 1) } else { (w_shape[rank - 2], w_shape[rank - 1]) };
    let w = transpose_last(&w, k, n);
    let last = x.groups.len() - 1;
    let lead = if rank > 2 { &w_shape[..rank - 2] } else { &[] };
    let mut x = x.clone();
    // Batch axes of the weights: the operand is broadcast to them.
    if x.groups.len() == 1 && !lead.is_empty() {
        return Err(unsupported("a vector times a stack of matrices", "Use a matrix operand."));
    }
    if !lead.is_empty() {
        let mut shape = x.shape();
        while shape.len() < rank {
            shape.insert(0, 1);
        }
        let base = shape.len() - rank;
        for (i, &d) in lead.iter().enumerate() {
            shape[base + i] = shape[base + i].max(d);
        }
        x = x.broadcast(draft, &shape)?;
    }
    let last = if lead.is_empty() { last } else { x.groups.len() - 1 };
    let mut groups: Vec<Vec<Len>> = x.groups[..last].to_vec();
    if rank > 1 {
        groups.push(real_axis(n));
    }
    let outputs = 1 + groups.iter().map(Vec::len).sum::<usize>();
    let sum = x.groups[last].clone();
    let before = x.first_of(last) - 1;
    let mut reads: Vec<Map> = (0..before).map(|i| axis(1 + i)).collect();
    reads.extend((0..sum.len()).map(|i| axis(outputs + i)));
    let mut new = vec![0];
    new.extend(groups.concat());
    new.extend(&sum);
    let a = x.read(draft, &reads, &new)?;
    let (mut w_axes, mut channel_axes) = (Vec::new(), Vec::new());
    for (i, &d) in lead.iter().enumerate() {
        if d > 1 {
            let group = last + 1 - rank + i;
            for (j, &len) in x.groups[group].iter().enumerate() {
                w_axes.push(len);
                channel_axes.push(x.first_of(group) + j);
            }
        }
    }
    if n > 1 {
        w_axes.push(n as Len);
        channel_axes.push(outputs - 1);
    }
    let mut w_maps: Vec<Map> = channel_axes.iter().map(|&a| axis(a)).collect();
    w_axes.extend(&sum);
    w_maps.extend((0..sum.len()).map(|i| axis(outputs + i)));
    Ok(Plan {
        groups,
        sum,
        a,
        w_axes,
        w_maps,
        w,
        channel_axes,
        bias: vec![],
        x_scale: x.scale,
        x_rms: x.rms,
        stored: None,
        most: Vec::new(),
        x_means: Vec::new(),
    })
}

/// `w[m, k]` * `x[.., k, n]`.
fn plan_left(draft: &mut Draft, x: &Val, w_shape: &[usize], w: Vec<f64>) -> Result<Plan, Problem> {
    let rank = w_shape.len();
    if w_shape[..rank.saturating_sub(2)].iter().any(|&d| d > 1) || x.groups.len() < 2 {
        return Err(unsupported(
            "a stack of constant matrices times a value",
            "Write the product with the constant on the right.",
        ));
    }
    let m = if rank == 1 { 1 } else { w_shape[rank - 2] };
    let row = x.groups.len() - 2;
    let mut groups: Vec<Vec<Len>> = x.groups[..row].to_vec();
    if rank > 1 {
        groups.push(real_axis(m));
    }
    groups.push(x.groups[row + 1].clone());
    let outputs = 1 + groups.iter().map(Vec::len).sum::<usize>();
    let sum = x.groups[row].clone();
    let before = x.first_of(row) - 1;
    let columns = x.groups[row + 1].len();
    let mut reads: Vec<Map> = (0..before).map(|i| axis(1 + i)).collect();
    reads.extend((0..sum.len()).map(|i| axis(outputs + i)));
    reads.extend((0..columns).map(|i| axis(outputs - columns + i)));
    let mut new = vec![0];
    new.extend(groups.concat());
    new.extend(&sum);
    let a = x.read(draft, &reads, &new)?;
    let channel_axes: Vec<usize> = if m > 1 { vec![1 + before] } else { vec![] };
    let mut w_axes: Vec<Len> = real_axis(m);
    let mut w_maps: Vec<Map> = channel_axes.iter().map(|&a| axis(a)).collect();
    w_axes.extend(&sum);
    w_maps.extend((0..sum.len()).map(|i| axis(outputs + i)));
    Ok(Plan {
        groups,
        sum,
        a,
        w_axes,
        w_maps,
        w,
        channel_axes,
        bias: vec![],
        x_scale: x.scale,
        x_rms: x.rms,
        stored: None,
        most: Vec::new(),
        x_means: Vec::new(),
    })
}

/// x * w, entry by entry, w broadcast.
fn plan_scale(
    draft: &mut Draft,
    x: &Val,
    w_shape: &[usize],
    w: Vec<f64>,
    out_shape: &[usize],
) -> Result<Plan, Problem> {
    let x = x.broadcast(draft, out_shape)?;
    let outputs = x.axes().len();
    let base = out_shape.len() - w_shape.len();
    let (mut w_axes, mut channel_axes) = (Vec::new(), Vec::new());
    for (i, &d) in w_shape.iter().enumerate() {
        if d > 1 {
            let group = base + i;
            for (j, &len) in x.groups[group].iter().enumerate() {
                w_axes.push(len);
                channel_axes.push(x.first_of(group) + j);
            }
        }
    }
    let reads: Vec<Map> = (1..outputs).map(axis).collect();
    let a = x.read(draft, &reads, &x.axes())?;
    let w_maps = channel_axes.iter().map(|&a| axis(a)).collect();
    Ok(Plan {
        groups: x.groups.clone(),
        sum: vec![],
        a,
        w_axes,
        w_maps,
        w,
        channel_axes,
        bias: vec![],
        x_scale: x.scale,
        x_rms: x.rms,
        stored: None,
        most: Vec::new(),
        x_means: Vec::new(),
    })
}

/// Swaps the last two axes of a dense tensor, tile by tile for the cache.
fn transpose_last(w: &[f64], k: usize, n: usize) -> Vec<f64> {
    const TILE: usize = 32;
    let size = (k * n).max(1);
    let mut out = vec![0.0; w.len()];
    for (block, swapped) in w.chunks(size).zip(out.chunks_mut(size)) {
        for from in (0..k).step_by(TILE) {
            for at in (0..n).step_by(TILE) {
                for i in from..(from + TILE).min(k) {
                    for j in at..(at + TILE).min(n) {
                        swapped[j * k + i] = block[i * n + j];
                    }
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn transposition_crosses_tiles() {
        let (k, n) = (35, 70);
        let w: Vec<f64> = (0..2 * k * n).map(|i| i as f64).collect();
        let t = super::transpose_last(&w, k, n);
        for b in 0..2 {
            for i in 0..k {
                for j in 0..n {
                    assert_eq!(t[b * k * n + j * k + i], w[b * k * n + i * n + j]);
                }
            }
        }
    }
}
