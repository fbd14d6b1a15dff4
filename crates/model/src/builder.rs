//! Builds the graph step by step: infers each shape, and computes at once what is constant.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Binary, DType, Graph, Node, Op, Unary, Value, ValueId, Window};
use crate::problem::{Problem, Step, misfit, too_large, unsupported, wrong_type};
use crate::read::{Element, elements};
use crate::run::eval;
use crate::tensor::{Data, Tensor};

/// Most elements of all constants computed during import.
const MAX_FOLDED: usize = 1 << 27;
/// Constants whose computation would cost more than this many multiplications stay nodes.
const MAX_FOLD_WORK: usize = 1 << 30;

/// Which reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduce {
    Mean,
    Sum,
    Max,
}

/// The graph under construction.
#[derive(Default)]
pub(crate) struct Builder {
    pub graph: Graph,
    pub notes: Vec<String>,
    /// Name and operator of the ONNX node at hand.
    pub at: (String, String),
    /// Class labels in the order of the scores.
    pub labels: Option<Vec<String>>,
    /// Scores along the last axis that are positive and sum to one.
    pub distributions: BTreeSet<ValueId>,
    /// Types in the file where they are narrower or wider than the graph's.
    stored: BTreeMap<ValueId, Element>,
    folded: usize,
}

/// Type of a tensor's content when nothing else is said.
pub(crate) fn natural(data: &Data) -> DType {
    match data {
        Data::F32(_) => DType::F32,
        Data::I64(_) => DType::I64,
        Data::Bool(_) => DType::Bool,
    }
}

/// Whether a type is one of the integer types.
pub(crate) fn is_int(dtype: DType) -> bool {
    !matches!(dtype, DType::F32 | DType::Bool)
}

/// numpy's broadcast of two shapes.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Step<Vec<usize>> {
    let rank = a.len().max(b.len());
    let axis = |s: &[usize], i: usize| if i + s.len() >= rank { s[i + s.len() - rank] } else { 1 };
    (0..rank)
        .map(|i| match (axis(a, i), axis(b, i)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(misfit(format!("shapes {a:?} and {b:?} do not broadcast"))),
        })
        .collect()
}

impl Builder {
    pub fn shape(&self, id: ValueId) -> Vec<usize> {
        self.graph.value(id).shape.clone()
    }

    pub fn dtype(&self, id: ValueId) -> DType {
        self.graph.value(id).dtype
    }

    pub fn constant_of(&self, id: ValueId) -> Option<&Tensor> {
        self.graph.value(id).constant.as_ref()
    }

    /// Remembers the file's type of an input or constant.
    pub fn set_element(&mut self, id: ValueId, element: Element) {
        self.stored.insert(id, element);
    }

    /// The file's type of a value, or the one nearest to the graph's.
    pub fn element(&self, id: ValueId) -> Element {
        self.stored.get(&id).copied().unwrap_or(match self.dtype(id) {
            DType::F32 => Element::F32,
            DType::I64 => Element::I64,
            DType::I32 => Element::I32,
            DType::I16 => Element::I16,
            DType::U16 => Element::U16,
            DType::I8 => Element::I8,
            DType::U8 => Element::U8,
            DType::Bool => Element::Bool,
        })
    }

    /// Adds a note once.
    pub fn note(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Adds a value.
    pub fn value(
        &mut self,
        name: &str,
        shape: Vec<usize>,
        dtype: DType,
        constant: Option<Tensor>,
    ) -> ValueId {
        let id = ValueId(self.graph.values.len() as u32);
        self.graph.values.push(Value { name: name.to_string(), shape, dtype, constant });
        id
    }

    /// Adds a constant of the node at hand.
    pub fn constant(&mut self, tensor: Tensor, dtype: DType) -> ValueId {
        let name = format!("{}/constant", self.at.0);
        self.value(&name, tensor.shape.clone(), dtype, Some(tensor))
    }

    /// Adds a constant of reals.
    pub fn floats(&mut self, shape: &[usize], data: Vec<f32>) -> ValueId {
        self.constant(Tensor::f32(shape, data), DType::F32)
    }

    /// Counts elements about to be computed against the limit.
    pub fn reserve(&mut self, count: usize) -> Step<()> {
        self.folded = self.folded.saturating_add(count);
        if self.folded > MAX_FOLDED {
            Err(too_large("computed constants exceed 2^27 elements"))
        } else {
            Ok(())
        }
    }

    /// Adds one step, or computes it when all operands are constant.
    pub fn push(&mut self, op: Op, inputs: &[ValueId], shape: Vec<usize>, dtype: DType) -> Step<ValueId> {
        let count = elements(&shape)?;
        let name = format!("{}/{}", self.at.0, self.graph.nodes.len());
        let constants: Option<Vec<&Tensor>> = inputs.iter().map(|i| self.constant_of(*i)).collect();
        if let Some(operands) =
            constants.filter(|c| !c.is_empty() && fold_work(&op, c, count) <= MAX_FOLD_WORK)
        {
            if count > MAX_FOLDED - self.folded.min(MAX_FOLDED) {
                return Err(too_large("computed constants exceed 2^27 elements"));
            }
            let tensor = eval(&op, &operands, &shape, dtype)
                .map_err(|m| misfit(format!("cannot compute a constant: {m}")))?;
            self.folded += count;
            return Ok(self.value(&name, shape, dtype, Some(tensor)));
        }
        self.push_unfolded(op, inputs, shape, dtype)
    }

    /// Adds one step even when all operands are constant.
    pub fn push_unfolded(
        &mut self,
        op: Op,
        inputs: &[ValueId],
        shape: Vec<usize>,
        dtype: DType,
    ) -> Step<ValueId> {
        elements(&shape)?;
        let (name, onnx) = self.at.clone();
        let output = self.value(&format!("{name}/{}", self.graph.nodes.len()), shape, dtype, None);
        self.graph.nodes.push(Node { name, onnx, op, inputs: inputs.to_vec(), output });
        Ok(output)
    }

    pub fn unary(&mut self, kind: Unary, x: ValueId) -> Step<ValueId> {
        let dtype = self.dtype(x);
        let integer = matches!(kind, Unary::Neg | Unary::Abs | Unary::Sign | Unary::Relu);
        if dtype != DType::F32
            && !(integer && matches!(dtype, DType::I64 | DType::I32 | DType::I16 | DType::I8))
        {
            return Err(wrong_type(format!("the operand is {dtype:?}, not float")));
        }
        self.push(Op::Unary(kind), &[x], self.shape(x), dtype)
    }

    pub fn binary(&mut self, kind: Binary, a: ValueId, b: ValueId) -> Step<ValueId> {
        let (ta, tb) = (self.dtype(a), self.dtype(b));
        if ta != tb || ta == DType::Bool {
            return Err(wrong_type(format!("operands are {ta:?} and {tb:?}")));
        }
        let shape = broadcast(&self.graph.value(a).shape, &self.graph.value(b).shape)?;
        self.push(Op::Binary(kind), &[a, b], shape, ta)
    }

    /// Binary with a real constant on the right.
    pub fn with_scalar(&mut self, kind: Binary, a: ValueId, b: f32) -> Step<ValueId> {
        let b = self.floats(&[], vec![b]);
        self.binary(kind, a, b)
    }

    /// numpy matmul, one-dimensional operands included.
    pub fn matmul(&mut self, a: ValueId, b: ValueId) -> Step<ValueId> {
        let (mut sa, mut sb) = (self.shape(a), self.shape(b));
        if self.dtype(a) != DType::F32 || self.dtype(b) != DType::F32 {
            return Err(wrong_type(format!(
                "operands are {:?} and {:?}, not float",
                self.dtype(a),
                self.dtype(b)
            )));
        }
        if sa.is_empty() || sb.is_empty() {
            return Err(misfit("MatMul of a scalar"));
        }
        let (row, column) = (sa.len() == 1, sb.len() == 1);
        let (mut a, mut b) = (a, b);
        if row {
            sa.insert(0, 1);
            a = self.reshape(a, sa.clone())?;
        }
        if column {
            sb.push(1);
            b = self.reshape(b, sb.clone())?;
        }
        let (ra, rb) = (sa.len(), sb.len());
        if sa[ra - 1] != sb[rb - 2] {
            return Err(misfit(format!("matrix shapes {sa:?} and {sb:?} do not fit")));
        }
        let mut shape = broadcast(&sa[..ra - 2], &sb[..rb - 2])?;
        shape.extend([sa[ra - 2], sb[rb - 1]]);
        let product = self.push(Op::MatMul, &[a, b], shape.clone(), DType::F32)?;
        let rank = shape.len();
        if column {
            shape.remove(rank - 1);
        }
        if row {
            shape.remove(rank - 2);
        }
        self.reshape(product, shape)
    }

    /// Same elements in another shape; nothing when the shape is the same.
    pub fn reshape(&mut self, x: ValueId, shape: Vec<usize>) -> Step<ValueId> {
        let old = self.shape(x);
        if old == shape {
            return Ok(x);
        }
        if elements(&old)? != elements(&shape)? {
            return Err(misfit(format!("cannot reshape {old:?} to {shape:?}")));
        }
        self.push(Op::Reshape, &[x], shape, self.dtype(x))
    }

    pub fn transpose(&mut self, x: ValueId, perm: Vec<usize>) -> Step<ValueId> {
        let old = self.shape(x);
        let mut seen = vec![false; old.len()];
        for p in &perm {
            match seen.get_mut(*p) {
                Some(s) if !*s => *s = true,
                _ => return Err(misfit(format!("{perm:?} is not a permutation of {} axes", old.len()))),
            }
        }
        if perm.len() != old.len() {
            return Err(misfit(format!("{perm:?} is not a permutation of {} axes", old.len())));
        }
        if perm.iter().enumerate().all(|(i, p)| i == *p) {
            return Ok(x);
        }
        if let Some(weights) = self.transpose_quantized(x, &perm)? {
            return Ok(weights);
        }
        let shape = perm.iter().map(|p| old[*p]).collect();
        self.push(Op::Transpose(perm), &[x], shape, self.dtype(x))
    }

    /// Transposes kept quantised weights before they are dequantised, so that they stay
    /// DequantizeLinear of a constant.
    fn transpose_quantized(&mut self, x: ValueId, perm: &[usize]) -> Step<Option<ValueId>> {
        let made = self.graph.nodes.iter().rev().find(|n| n.output == x);
        let Some(Node { op: Op::Dequantize { axis, scale, zero }, inputs, .. }) = made else {
            return Ok(None);
        };
        if self.constant_of(inputs[0]).is_none() {
            return Ok(None);
        }
        let (axis, scale, zero, weights) = (*axis, scale.clone(), zero.clone(), inputs[0]);
        let axis = if scale.len() > 1 { perm.iter().position(|p| *p == axis).unwrap_or(0) } else { 0 };
        let weights = self.transpose(weights, perm.to_vec())?;
        let shape = self.shape(weights);
        let op = Op::Dequantize { axis, scale, zero };
        self.push_unfolded(op, &[weights], shape, DType::F32).map(Some)
    }

    pub fn concat(&mut self, parts: &[ValueId], axis: usize) -> Step<ValueId> {
        let mut shape = self.shape(parts[0]);
        let dtype = self.dtype(parts[0]);
        for part in &parts[1..] {
            let other = self.shape(*part);
            let fits =
                other.len() == shape.len() && (0..shape.len()).all(|i| i == axis || shape[i] == other[i]);
            if !fits {
                return Err(misfit(format!("cannot join {shape:?} and {other:?} along axis {axis}")));
            }
            if self.dtype(*part) != dtype {
                return Err(wrong_type(format!("cannot join {dtype:?} and {:?}", self.dtype(*part))));
            }
            shape[axis] += other[axis];
        }
        if parts.len() == 1 {
            return Ok(parts[0]);
        }
        self.push(Op::Concat(axis), parts, shape, dtype)
    }

    /// Per axis: first index, step, length. The caller has checked the ranges.
    pub fn slice(
        &mut self,
        x: ValueId,
        starts: Vec<i64>,
        steps: Vec<i64>,
        lens: Vec<usize>,
    ) -> Step<ValueId> {
        if lens == self.shape(x) && steps.iter().zip(&lens).all(|(s, n)| *s == 1 || *n <= 1) {
            return Ok(x);
        }
        self.push(Op::Slice { starts, steps }, &[x], lens, self.dtype(x))
    }

    /// Part of one axis, step 1.
    pub fn part(&mut self, x: ValueId, axis: usize, start: usize, len: usize) -> Step<ValueId> {
        let mut lens = self.shape(x);
        let mut starts = vec![0; lens.len()];
        starts[axis] = start as i64;
        let steps = vec![1; lens.len()];
        lens[axis] = len;
        self.slice(x, starts, steps, lens)
    }

    pub fn pad(&mut self, x: ValueId, pads: Vec<(i64, i64)>, value: f32) -> Step<ValueId> {
        let old = self.shape(x);
        let len = |n: usize, (b, e): (i64, i64)| (n as i64).checked_add(b)?.checked_add(e);
        let shape: Option<Vec<usize>> =
            old.iter().zip(&pads).map(|(n, p)| len(*n, *p).and_then(|n| usize::try_from(n).ok())).collect();
        let shape = shape.ok_or_else(|| misfit(format!("padding {pads:?} does not fit shape {old:?}")))?;
        if pads.iter().all(|p| *p == (0, 0)) {
            return Ok(x);
        }
        self.push(Op::Pad { pads, value }, &[x], shape, self.dtype(x))
    }

    /// Repeats length-1 axes; new axes are added in front.
    pub fn expand(&mut self, x: ValueId, shape: Vec<usize>) -> Step<ValueId> {
        let mut old = self.shape(x);
        if broadcast(&old, &shape)? != shape {
            return Err(misfit(format!("cannot expand {old:?} to {shape:?}")));
        }
        while old.len() < shape.len() {
            old.insert(0, 1);
        }
        let x = self.reshape(x, old.clone())?;
        if old == shape {
            return Ok(x);
        }
        self.push(Op::Expand, &[x], shape, self.dtype(x))
    }

    /// Picks indices along an axis; `index_shape` replaces the axis.
    pub fn gather(
        &mut self,
        x: ValueId,
        axis: usize,
        indices: Vec<usize>,
        index_shape: &[usize],
    ) -> Step<ValueId> {
        let old = self.shape(x);
        if let Some(bad) = indices.iter().find(|i| **i >= old[axis]) {
            return Err(misfit(format!("index {bad} is outside axis {axis} of shape {old:?}")));
        }
        let shape = [&old[..axis], index_shape, &old[axis + 1..]].concat();
        self.push(Op::Gather { axis, indices }, &[x], shape, self.dtype(x))
    }

    pub fn reduce(&mut self, kind: Reduce, x: ValueId, axes: Vec<usize>, keepdims: bool) -> Step<ValueId> {
        let old = self.shape(x);
        let dtype = self.dtype(x);
        if dtype != DType::F32 && (kind == Reduce::Mean || !is_int(dtype)) {
            return Err(wrong_type(format!("reduction of {dtype:?}")));
        }
        if kind != Reduce::Sum && axes.iter().any(|a| old[*a] == 0) {
            return Err(unsupported("reduction over an axis of length 0", "remove the empty tensor"));
        }
        let keep = |i: usize| keepdims || !axes.contains(&i);
        let len = |i: usize| if axes.contains(&i) { 1 } else { old[i] };
        let shape = (0..old.len()).filter(|i| keep(*i)).map(len).collect();
        let op = match kind {
            Reduce::Mean => Op::ReduceMean { axes, keepdims },
            Reduce::Sum => Op::ReduceSum { axes, keepdims },
            Reduce::Max => Op::ReduceMax { axes, keepdims },
        };
        self.push(op, &[x], shape, dtype)
    }

    pub fn arg_max(&mut self, x: ValueId, axis: usize, keepdims: bool, select_last: bool) -> Step<ValueId> {
        let mut shape = self.shape(x);
        if shape[axis] == 0 {
            return Err(misfit(format!("ArgMax over the empty axis {axis} of {shape:?}")));
        }
        if keepdims {
            shape[axis] = 1;
        } else {
            shape.remove(axis);
        }
        self.push(Op::ArgMax { axis, keepdims, select_last }, &[x], shape, DType::I64)
    }

    pub fn softmax(&mut self, x: ValueId, axis: usize, log: bool) -> Step<ValueId> {
        if self.dtype(x) != DType::F32 {
            return Err(wrong_type(format!("the operand is {:?}, not float", self.dtype(x))));
        }
        self.push(Op::Softmax { axis, log }, &[x], self.shape(x), DType::F32)
    }

    pub fn cast(&mut self, x: ValueId, to: DType) -> Step<ValueId> {
        if self.dtype(x) == to { Ok(x) } else { self.push(Op::Cast, &[x], self.shape(x), to) }
    }

    /// Convolution; shapes are checked here.
    pub fn conv(
        &mut self,
        x: ValueId,
        w: ValueId,
        bias: Option<ValueId>,
        window: Window,
        group: usize,
    ) -> Step<ValueId> {
        let (sx, sw) = (self.shape(x), self.shape(w));
        let fits = group > 0 && sw[0].is_multiple_of(group) && sw[1].checked_mul(group) == Some(sx[1]);
        if !fits {
            return Err(misfit(format!("input {sx:?}, weights {sw:?} and {group} groups do not fit")));
        }
        let mut shape = vec![sx[0], sw[0]];
        shape.extend(windows(&sx[2..], &window)?);
        let mut inputs = vec![x, w];
        if let Some(bias) = bias {
            if self.shape(bias) != [sw[0]] {
                return Err(misfit(format!("bias {:?} does not fit weights {sw:?}", self.shape(bias))));
            }
            inputs.push(bias);
        }
        if inputs.iter().any(|i| self.dtype(*i) != DType::F32) {
            return Err(wrong_type("operands are not float"));
        }
        self.push(Op::Conv { window, group }, &inputs, shape, DType::F32)
    }

    /// Pooling: `op` holds the same window.
    pub fn pool(&mut self, x: ValueId, window: &Window, op: Op) -> Step<ValueId> {
        let sx = self.shape(x);
        let mut shape = vec![sx[0], sx[1]];
        shape.extend(windows(&sx[2..], window)?);
        self.push(op, &[x], shape, self.dtype(x))
    }
}

/// Number of window positions per spatial axis.
fn windows(lens: &[usize], w: &Window) -> Step<Vec<usize>> {
    (0..lens.len())
        .map(|i| {
            let padded = lens[i].checked_add(w.pads[i].0).and_then(|n| n.checked_add(w.pads[i].1));
            let extent = span(w.kernel[i], w.dilations[i]);
            match (padded, extent) {
                (Some(padded), Some(extent)) if extent <= padded => Ok((padded - extent) / w.strides[i] + 1),
                _ => Err(misfit(format!("window {:?} is larger than the padded input {lens:?}", w.kernel))),
            }
        })
        .collect()
}

/// Distance covered by a dilated kernel.
pub(crate) fn span(kernel: usize, dilation: usize) -> Option<usize> {
    kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)
}

/// Rough number of multiplications of a step.
fn fold_work(op: &Op, inputs: &[&Tensor], outputs: usize) -> usize {
    let per_output = match op {
        Op::MatMul => inputs[0].shape.last().copied().unwrap_or(1),
        // Windows are unfolded in memory, so their limit is lower.
        Op::Conv { .. } => inputs[1].shape[1..].iter().product::<usize>().saturating_mul(64),
        Op::MaxPool(w) | Op::AveragePool { window: w, .. } => {
            w.kernel.iter().product::<usize>().saturating_mul(64)
        }
        _ => 1,
    };
    outputs.saturating_mul(per_output)
}

/// A damaged or contradicting attribute list.
pub(crate) fn malformed(message: impl Into<String>) -> Problem {
    Problem::new("ZT005", message, "run onnx.checker.check_model on the file and export it again")
}
