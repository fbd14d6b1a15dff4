//! Models quantised by the user: QuantizeLinear and DequantizeLinear.
//!
//! The user's scales are taken as they are. An integer of the program is q - zero,
//! so that real zero is 0 and padding needs no care; the zero point only shifts the
//! range of the type. A step between DequantizeLinear and QuantizeLinear becomes one
//! exact sum and one rounding that saturates to the type.
//!
//! The multiplier s_x s_w / s_y is a real number. When it is a fraction m / 2^s, the
//! rounding is the one ONNX defines, half to even. Otherwise it is taken to 32
//! binary places or more. The step counts as exact if the multiplier is no worse than
//! a 32-bit float: then the integers are ONNX's wherever floats decide them, that is,
//! where the value is not nearer to a half than the floats' own error.

use std::collections::BTreeMap;

use model::graph::{DType, Graph, Node, Op, ValueId};
use model::tensor::{Data, Tensor};

use crate::expr::Expr;
use crate::lower::Lowering;
use crate::problem::{Problem, unsupported};
use crate::round::{self, Quant, Target};
use crate::value::Val;

/// Scales of a constant that was stored as integers: one, or one per index of `axis`.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) axis: usize,
    pub(crate) scale: Vec<f64>,
}

/// The graph with dequantised constants as constants, and where they came from.
pub(crate) fn prepare(graph: &Graph) -> (Graph, BTreeMap<ValueId, Stored>) {
    let mut prepared = graph.clone();
    let mut stored = BTreeMap::new();
    prepared.nodes.retain(|node| {
        let Op::Dequantize { axis, scale, zero } = &node.op else { return true };
        let Some(Tensor { shape, data: Data::I64(values) }) = &graph.value(node.inputs[0]).constant else {
            return true;
        };
        let inner: usize = if scale.len() == 1 { 1 } else { shape[axis + 1..].iter().product() };
        let one = |(i, q): (usize, &i64)| {
            let c = if scale.len() == 1 { 0 } else { i / inner % scale.len() };
            (q - zero.get(c).copied().unwrap_or(0)) as f32 * scale[c]
        };
        let reals = values.iter().enumerate().map(one).collect();
        prepared.values[node.output.0 as usize].constant = Some(Tensor::f32(shape, reals));
        let scale = scale.iter().map(|&s| f64::from(s)).collect();
        stored.insert(node.output, Stored { axis: *axis, scale });
        false
    });
    (prepared, stored)
}

/// The type of a quantised tensor, its zero point taken off.
pub(crate) fn quant(node: &Node, dtype: DType) -> Result<Quant, Problem> {
    let (Op::Quantize { scale, zero, .. } | Op::Dequantize { scale, zero, .. }) = &node.op else {
        return Err(unsupported("a quantised type without a scale", "Export the model again."));
    };
    if scale.len() != 1 {
        return Err(unsupported(
            "activations quantised per channel",
            "Quantise activations per tensor; weights may be per channel.",
        ));
    }
    let (lo, hi) = match dtype {
        DType::I8 => (-128, 127),
        DType::U8 => (0, 255),
        DType::I16 => (-32768, 32767),
        DType::U16 => (0, 65535),
        other => {
            return Err(unsupported(
                format!("activations quantised to {other:?}"),
                "Quantise to 8 or 16 bits.",
            ));
        }
    };
    let zero = zero.first().copied().unwrap_or(0);
    Ok(Quant { scale: f64::from(scale[0]), lo: lo - zero, hi: hi - zero })
}

/// Lowers a QuantizeLinear or DequantizeLinear of an activation.
pub(crate) fn lower(lowering: &mut Lowering<'_>, node: &Node) -> Result<Val, Problem> {
    let graph = lowering.scan.graph;
    let input = node.inputs[0];
    if let Op::Dequantize { .. } = node.op {
        let quant = quant(node, graph.value(input).dtype)?;
        let val = lowering.value(input)?;
        if val.scale != quant.scale {
            return Err(crate::problem::layout(
                "Integers are read with another scale than they were written with",
            ));
        }
        return Ok(val);
    }
    let quant = quant(node, graph.value(node.output).dtype)?;
    let (root, expr) = match lowering.scan.root(input) {
        (root, expr) if lowering.scan.dissolves(input) => (root, expr.clone()),
        _ => (input, Expr::X),
    };
    let source = match lowering.source(root)? {
        Some(source) if lowering.scan.dissolves(input) => source,
        _ => {
            let x = lowering.value(root)?;
            if expr.is_identity()
                && x.scale == quant.scale
                && x.known.is_some_and(|(lo, hi)| lo >= quant.lo && hi <= quant.hi)
            {
                return Ok(x);
            }
            lowering.terms(x.groups.clone(), vec![(1.0, x)])
        }
    };
    let (root, out) = (lowering.own_range(root)?, lowering.own_range(input)?);
    let bits = (64 - (quant.hi - quant.lo).leading_zeros()) as u8;
    let target = Target { expr: &expr, root, out, bits, fixed: Some(quant) };
    round::round(&mut lowering.draft, lowering.choice, &source, &target)
}

/// The type of an input that is only ever quantised, always in the same way.
pub(crate) fn input_type(graph: &Graph, v: ValueId) -> Option<Quant> {
    let mut found: Option<Quant> = None;
    for node in graph.nodes.iter().filter(|n| n.inputs.contains(&v)) {
        let Op::Quantize { .. } = node.op else { return None };
        let own = quant(node, graph.value(node.output).dtype).ok()?;
        if found.is_some_and(|f| f != own) {
            return None;
        }
        found = Some(own);
    }
    found
}

/// Number of inputs made up for a quantised model without calibration data.
const MADE_UP: usize = 32;

/// Inputs spread over the types that the model gives its inputs: scales are the user's own, so they
/// serve for the comparison only. None if some input is not quantised at once.
pub(crate) fn made_up_samples(graph: &Graph) -> Option<Vec<Vec<Tensor>>> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut samples = vec![Vec::new(); MADE_UP];
    for &id in &graph.inputs {
        let own = input_type(graph, id)?;
        let shape = &graph.value(id).shape;
        for sample in &mut samples {
            let reals = (0..shape.iter().product::<usize>())
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let width = (own.hi - own.lo + 1) as u64;
                    let q = own.lo + ((state >> 33) % width) as i64;
                    (q as f64 * own.scale) as f32
                })
                .collect();
            sample.push(Tensor::f32(shape, reals));
        }
    }
    Some(samples)
}
