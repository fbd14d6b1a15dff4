//! One value of the float graph at a time becomes integers.

use std::collections::BTreeMap;

use model::graph::{Binary, DType, Graph, Node, Op, ValueId};
use program::types::{Form, Map, View};

use crate::calibrate::{Calibration, Range};
use crate::draft::Draft;
use crate::expr::Expr;
use crate::linear::{self, Sum};
use crate::problem::{Problem, layout, unsupported};
use crate::round::{self, Choice, Constant, Product, Quant, Source, Target};
use crate::scan::{Scan, Then, reals};
use crate::value::{Val, concat};
use crate::view::axis;
use crate::{correct, pool, qdq};

/// Most bits of an input. Wide inputs are cheap: a few more range limbs each.
const INPUT_BITS: u8 = 30;

/// The lowering of one graph under one choice of bits.
pub(crate) struct Lowering<'a> {
    pub(crate) scan: &'a Scan<'a>,
    pub(crate) calibration: &'a Calibration,
    /// Ranges that values must share because they are joined.
    pub(crate) shared: &'a BTreeMap<ValueId, Range>,
    /// Constants that came as integers.
    pub(crate) stored: &'a BTreeMap<ValueId, qdq::Stored>,
    pub(crate) choice: &'a Choice,
    pub(crate) draft: Draft,
    pub(crate) values: BTreeMap<ValueId, Val>,
    pub(crate) inputs: Vec<Input>,
}

/// An input of the program.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) value: ValueId,
    pub(crate) quant: Quant,
}

impl<'a> Lowering<'a> {
    fn graph(&self) -> &'a Graph {
        self.scan.graph
    }

    /// The value as integers; made on first use.
    pub(crate) fn value(&mut self, v: ValueId) -> Result<Val, Problem> {
        if let Some(val) = self.values.get(&v) {
            return Ok(val.clone());
        }
        let before = std::mem::take(&mut self.draft.node);
        if let Some(node) = self.scan.node_of(v) {
            self.draft.node.clone_from(&node.name);
        }
        let made = self.make(v);
        self.draft.node = before;
        let val = match (made, self.scan.node_of(v)) {
            (Ok(val), _) => val,
            (Err(problem), Some(node)) => return Err(problem.at(node)),
            (Err(problem), None) => return Err(problem),
        };
        let shape = &self.graph().value(v).shape;
        if &val.shape() != shape {
            return Err(Problem::global(
                crate::problem::INTERNAL,
                format!("lowering gave shape {:?} for a value of shape {shape:?}", val.shape()),
                "Report this model.",
            ));
        }
        self.values.insert(v, val.clone());
        Ok(val)
    }

    /// Calibrated range of a value.
    pub(crate) fn range(&self, v: ValueId) -> Result<Range, Problem> {
        if let Some(shared) = self.shared.get(&v) {
            return Ok(*shared);
        }
        self.own_range(v)
    }

    pub(crate) fn own_range(&self, v: ValueId) -> Result<Range, Problem> {
        self.calibration.ranges[v.0 as usize].ok_or_else(|| {
            unsupported(
                format!("the value \"{}\" does not hold numbers", self.graph().value(v).name),
                "Only real values can be proved.",
            )
        })
    }

    /// The range of a value without its rare large entries, where cutting them off loses less than
    /// coarser steps would.
    fn cut(&self, v: ValueId, range: Range) -> Range {
        let Some(sizes) = &self.calibration.sizes[v.0 as usize] else { return range };
        let steps = Quant::of(range, self.choice.activation_bits).hi as f64;
        let end = sizes.best_end(range.most(), steps);
        Range { lo: range.lo.max(-end), hi: range.hi.min(end), ..range }
    }

    fn make(&mut self, v: ValueId) -> Result<Val, Problem> {
        if self.scan.constant(v).is_some() {
            return self.constant(v);
        }
        if self.graph().inputs.contains(&v) {
            return self.input(v);
        }
        let (root, expr) = self.scan.root(v);
        let expr = expr.clone();
        if root != v && !self.scan.fuses(root) {
            let x = self.value(root)?;
            return self.function(x, &expr, root, v);
        }
        if let Some(source) = self.source(root)? {
            return match source.terms.as_slice() {
                // An exact mean that is small enough needs no rounding.
                [(1.0, val)] if root == v && self.is_mean(v) && self.keeps_sum(val)? => Ok(val.clone()),
                _ => self.round(&source, &expr, root, v),
            };
        }
        if root == v {
            let node = self
                .scan
                .node_of(v)
                .ok_or_else(|| unsupported("a value that nothing computes", "Export the model again."))?;
            return self.structural(node);
        }
        let x = self.value(root)?;
        self.function(x, &expr, root, v)
    }

    /// A function of a value that exists as integers.
    fn function(&mut self, x: Val, expr: &Expr, root: ValueId, v: ValueId) -> Result<Val, Problem> {
        if let Some((a, b)) = expr.affine() {
            return Ok(self.affine(&x, a, b));
        }
        let source = self.terms(x.groups.clone(), vec![(1.0, x)]);
        self.round(&source, expr, root, v)
    }

    /// a * x + b without rounding: another scale and an offset.
    fn affine(&mut self, x: &Val, a: f64, b: f64) -> Val {
        let (scale, sign) =
            if a == 0.0 { (1.0, 0) } else { (x.scale * a.abs(), if a < 0.0 { -1 } else { 1 }) };
        let scale = if a == 0.0 && b != 0.0 { b.abs() } else { scale };
        let mut form = x.scaled_form(sign);
        form.0.extend(self.draft.constant((b / scale).round_ties_even() as i64).0);
        Val { form: crate::view::collect(form.0), scale, known: None, ..x.clone() }
    }

    pub(crate) fn terms(&self, groups: Vec<Vec<u32>>, terms: Vec<(f64, Val)>) -> Source {
        Source { groups, layer: None, product: None, terms, constants: vec![], bias: 0.0 }
    }

    fn round(&mut self, source: &Source, expr: &Expr, root: ValueId, v: ValueId) -> Result<Val, Problem> {
        let (root, mut out) = (self.own_range(root)?, self.range(v)?);
        if expr.is_clamp() && !self.shared.contains_key(&v) {
            out = self.cut(v, out);
        }
        let target = Target { expr, root, out, bits: self.choice.activation_bits, fixed: None };
        let val = round::round(&mut self.draft, self.choice, source, &target)?;
        val.short(&mut self.draft)
    }

    /// A program input, quantised by its calibrated range.
    fn input(&mut self, v: ValueId) -> Result<Val, Problem> {
        let value = self.graph().value(v);
        if let Some(quant) = qdq::input_type(self.graph(), v) {
            return self.declare_input(v, quant);
        }
        let range = self.range(v)?;
        let quant = match value.dtype {
            DType::F32 => Quant::of(range, self.input_bits(v)),
            DType::I64 | DType::I32 | DType::I16 | DType::U16 | DType::I8 | DType::U8 => {
                Quant { scale: 1.0, ..Quant::of(range, integer_bits(range)) }
            }
            DType::Bool => return Err(unsupported("a truth value as input", "Give the input as numbers.")),
        };
        self.declare_input(v, quant)
    }

    /// Declares a program input of this type.
    fn declare_input(&mut self, v: ValueId, quant: Quant) -> Result<Val, Problem> {
        let groups: Vec<Vec<u32>> = self
            .graph()
            .value(v)
            .shape
            .iter()
            .map(|&n| if n > 1 { vec![n as u32] } else { vec![] })
            .collect();
        let axes = groups.concat();
        let tensor = self.draft.input(&axes, quant.lo, quant.hi);
        self.inputs.push(Input { value: v, quant });
        let rms = self.own_range(v).map_or(0.0, |r| r.rms / quant.scale);
        let like = Val { rms, known: Some((quant.lo, quant.hi)), ..Val::blank(quant.scale) };
        Ok(Val::of_tensor(tensor, groups, &like))
    }

    /// Tables of features need more bits than pixels: one scale serves columns of
    /// very different size, and every feature should keep a quarter of the steps.
    fn input_bits(&self, v: ValueId) -> u8 {
        let bits = self.choice.activation_bits;
        let shape = &self.graph().value(v).shape;
        let entries: usize = shape.iter().product();
        if shape.len() > 2 || entries > 4096 {
            return bits;
        }
        let Ok(range) = self.range(v) else { return bits };
        let rows: Vec<&Vec<f32>> =
            self.calibration.kept.iter().filter_map(|r| r[v.0 as usize].as_ref()).collect();
        let spread = |i: usize| {
            let column = rows.iter().map(|r| f64::from(r[i]));
            let (lo, hi) =
                column.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), x| (lo.min(x), hi.max(x)));
            hi - lo
        };
        let least = (0..entries).map(spread).filter(|s| *s > 0.0).fold(f64::INFINITY, f64::min);
        let steps = f64::from(1u32 << (bits - 2));
        let fine = |b: u8| least / Quant::of(range, b).scale >= steps;
        (bits..=INPUT_BITS).find(|&b| fine(b)).unwrap_or(INPUT_BITS)
    }

    /// A constant among values: a parameter of its own.
    fn constant(&mut self, v: ValueId) -> Result<Val, Problem> {
        let tensor = self
            .scan
            .constant(v)
            .ok_or_else(|| unsupported("a missing constant", "Export the model again."))?;
        let values = reals(tensor);
        let (lo, hi) = values.iter().fold((0f64, 0f64), |(lo, hi), &x| (lo.min(x), hi.max(x)));
        let range = self.shared.get(&v).copied().unwrap_or(Range { lo, hi, rms: 0.0 });
        let quant = Quant::of(range, self.choice.activation_bits);
        let content = values
            .iter()
            .map(|x| ((x / quant.scale).round_ties_even() as i64).clamp(quant.lo, quant.hi))
            .collect();
        let groups: Vec<Vec<u32>> =
            tensor.shape.iter().map(|&n| if n > 1 { vec![n as u32] } else { vec![] }).collect();
        let axes = groups.concat();
        let number = self.draft.parameter(&axes, content, (quant.lo, quant.hi));
        let form = Form(vec![(1, View { tensor: number, maps: (1..=axes.len()).map(axis).collect() })]);
        Ok(Val { groups, form, known: Some((quant.lo, quant.hi)), ..Val::blank(quant.scale) })
    }

    /// The exact sum behind a root, if it is one.
    pub(crate) fn source(&mut self, root: ValueId) -> Result<Option<Source>, Problem> {
        let Some(node) = self.scan.node_of(root) else { return Ok(None) };
        match &node.op {
            Op::Binary(Binary::Add | Binary::Sub) | Op::Conv { .. } => {}
            Op::Binary(Binary::Mul) if linear::scaled_by_constant(self.scan, node).is_none() => {
                return self.product(node).map(Some);
            }
            Op::MatMul if node.inputs.iter().all(|&i| self.scan.constant(i).is_none()) => {
                return self.matrix_product(node).map(Some);
            }
            Op::Binary(Binary::Mul) | Op::MatMul => {}
            Op::Binary(Binary::Div) => {
                if linear::scaled_by_constant(self.scan, node).is_none() {
                    return Err(unsupported(
                        "division by a value that depends on the input",
                        "Divide by a constant, or multiply by a function of the divisor.",
                    ));
                }
            }
            Op::AveragePool { .. } | Op::ReduceMean { .. } | Op::ReduceSum { .. } => {
                let pooled = self.pooled(node)?;
                return Ok(Some(self.terms(pooled.groups.clone(), vec![(1.0, pooled)])));
            }
            _ => return Ok(None),
        }
        if let Op::Conv { .. } = node.op
            && node.inputs.iter().skip(1).any(|&i| self.scan.constant(i).is_none())
        {
            return Err(unsupported(
                "a convolution whose weights depend on the input",
                "Export constant weights.",
            ));
        }
        let sum = linear::gather(self.scan, root);
        self.lay_out(&sum, root).map(Some)
    }

    fn is_mean(&self, v: ValueId) -> bool {
        let op = self.scan.node_of(v).map(|n| &n.op);
        matches!(op, Some(Op::AveragePool { .. } | Op::ReduceMean { .. } | Op::ReduceSum { .. }))
    }

    /// The exact sums of a mean or sum node.
    fn pooled(&mut self, node: &Node) -> Result<Val, Problem> {
        let x = self.value(node.inputs[0])?;
        let shape = &self.graph().value(node.output).shape;
        let mut pooled = pool::mean(&mut self.draft, &x, node, shape)?;
        pooled.rms = self.own_range(node.output).map_or(0.0, |r| r.rms / pooled.scale);
        pooled.short(&mut self.draft)
    }

    /// Whether an exact mean is small enough to be used without rounding.
    fn keeps_sum(&self, pooled: &Val) -> Result<bool, Problem> {
        let (lo, hi) = self.draft.interval(&pooled.form, &pooled.axes())?;
        Ok(hi - lo <= 1 << (u32::from(self.choice.activation_bits) + 10))
    }

    /// Plans the layer of a sum and brings all terms to its shape.
    fn lay_out(&mut self, sum: &Sum<'_>, v: ValueId) -> Result<Source, Problem> {
        let shape = self.graph().value(v).shape.clone();
        let mut plan = None;
        if let Some(layer) = &sum.layer {
            let x = self.value(layer.x)?;
            let mut made = linear::plan(self.scan, self.stored, &mut self.draft, layer, &x)?;
            let mean = self.calibration.means[layer.x.0 as usize].as_deref();
            made.x_means = mean.and_then(|m| correct::means(self.graph(), layer, m)).unwrap_or_default();
            plan = Some(made);
        }
        let mut terms = Vec::new();
        for (factor, value) in &sum.terms {
            terms.push((*factor, self.value(*value)?));
        }
        let groups = match (&plan, terms.iter().find(|(_, t)| t.shape() == shape)) {
            (Some(plan), _) => plan.groups.clone(),
            (None, Some((_, term))) => term.groups.clone(),
            (None, None) => shape.iter().map(|&n| if n > 1 { vec![n as u32] } else { vec![] }).collect(),
        };
        let planned: Vec<usize> = groups.iter().map(|g| g.iter().map(|&n| n as usize).product()).collect();
        if planned != shape {
            return Err(unsupported(
                "a sum that broadcasts its layer to a larger shape",
                "Add tensors of equal shape.",
            ));
        }
        let like = Val { groups: groups.clone(), ..Val::blank(1.0) };
        let mut aligned = Vec::new();
        for (factor, term) in terms {
            let term = term.broadcast_like(&mut self.draft, &shape, Some(&like))?;
            aligned.push((factor, term.regroup(&mut self.draft, &groups)?));
        }
        let mut constants = Vec::new();
        for (factor, c) in &sum.constants {
            constants.push(self.constant_term(*factor, *c, &like)?);
        }
        Ok(Source { groups, layer: plan, product: None, terms: aligned, constants, bias: sum.bias })
    }

    /// A constant tensor over the position axes it varies along.
    fn constant_term(&self, factor: f64, c: ValueId, like: &Val) -> Result<Constant, Problem> {
        let tensor = self.scan.constant(c).ok_or_else(|| layout("A constant is missing"))?;
        let pad = like
            .groups
            .len()
            .checked_sub(tensor.shape.len())
            .ok_or_else(|| layout("A constant has more axes than the sum"))?;
        let mut axes = Vec::new();
        for (i, &n) in tensor.shape.iter().enumerate() {
            if n > 1 {
                let group = pad + i;
                axes.extend((0..like.groups[group].len()).map(|k| like.first_of(group) + k));
            }
        }
        Ok(Constant { axes, values: reals(tensor).iter().map(|x| x * factor).collect() })
    }

    /// Product of two values, entry by entry.
    fn product(&mut self, node: &Node) -> Result<Source, Problem> {
        let shape = self.graph().value(node.output).shape.clone();
        let (a, b) = (self.value(node.inputs[0])?, self.value(node.inputs[1])?);
        let (a, b) = if a.shape() == shape { (a, b) } else { (b, a) };
        let a = a.broadcast(&mut self.draft, &shape)?;
        let b = b.broadcast_like(&mut self.draft, &shape, Some(&a))?.regroup(&mut self.draft, &a.groups)?;
        let product = Product { sum: vec![], a: a.form, b: b.form, scale: a.scale * b.scale };
        Ok(Source { product: Some(product), ..self.terms(a.groups, vec![]) })
    }

    /// Matrix product of two values; leading axes broadcast.
    fn matrix_product(&mut self, node: &Node) -> Result<Source, Problem> {
        let (a, b) = (self.value(node.inputs[0])?, self.value(node.inputs[1])?);
        let rank = a.groups.len();
        if rank < 2 || b.groups.len() != rank {
            return Err(unsupported(
                "a matrix product of values with different numbers of axes",
                "Reshape both operands to the same number of axes.",
            ));
        }
        let mut lead = a.shape()[..rank - 2].to_vec();
        lead.iter_mut().zip(b.shape()).for_each(|(x, y)| *x = (*x).max(y));
        let whole = |val: &Val| [lead.as_slice(), &val.shape()[rank - 2..]].concat();
        let a = a.broadcast(&mut self.draft, &whole(&a))?;
        let b = b.broadcast(&mut self.draft, &whole(&b))?;
        let mut wanted = a.groups[..rank - 2].to_vec();
        wanted.extend([a.groups[rank - 1].clone(), b.groups[rank - 1].clone()]);
        let b = b.regroup(&mut self.draft, &wanted)?;
        let mut groups = a.groups[..rank - 1].to_vec();
        groups.push(b.groups[rank - 1].clone());
        let sum = a.groups[rank - 1].clone();
        let outputs = 1 + groups.iter().map(Vec::len).sum::<usize>();
        let (before, rows) = (a.first_of(rank - 2) - 1, a.groups[rank - 2].len());
        let mut new = vec![0];
        new.extend(groups.concat());
        new.extend(&sum);
        let lead_axes = || (1..=before).map(axis);
        let sums = || (0..sum.len()).map(|i| axis(outputs + i));
        let mut reads: Vec<Map> = lead_axes().chain((0..rows).map(|i| axis(1 + before + i))).collect();
        reads.extend(sums());
        let left = a.read(&mut self.draft, &reads, &new)?;
        let columns = b.groups[rank - 1].len();
        let mut reads: Vec<Map> = lead_axes().chain(sums()).collect();
        reads.extend((0..columns).map(|i| axis(outputs - columns + i)));
        let right = b.read(&mut self.draft, &reads, &new)?;
        let product = Product { sum, a: left, b: right, scale: a.scale * b.scale };
        Ok(Source { product: Some(product), ..self.terms(groups, vec![]) })
    }

    /// Data movement, pooling and the rest: no sum, no function.
    fn structural(&mut self, node: &Node) -> Result<Val, Problem> {
        let shape = self.graph().value(node.output).shape.clone();
        let x = match node.op {
            Op::Quantize { .. } | Op::Dequantize { .. } => return qdq::lower(self, node),
            Op::Softmax { .. } => {
                return Err(unsupported(
                    "Softmax in the middle of a model",
                    "Only a last Softmax is supported: it is proved as its logits.",
                ));
            }
            Op::ArgMax { .. } => {
                return Err(unsupported(
                    "ArgMax in the middle of a model",
                    "Only a last ArgMax is supported: it is proved as its scores.",
                ));
            }
            Op::Concat(axis) => return self.concat(node, axis),
            Op::Binary(Binary::Max | Binary::Min) => return self.extremum(node),
            Op::Binary(op) => {
                return Err(unsupported(
                    format!("{op:?} of two values"),
                    "Only Add, Sub, Mul, Max and Min take two values.",
                ));
            }
            _ => self.value(node.inputs[0])?,
        };
        let draft = &mut self.draft;
        match &node.op {
            Op::Reshape => x.reshape(draft, &shape),
            Op::Transpose(perm) => x.transpose(draft, perm),
            Op::Slice { starts, steps } => x.slice(draft, starts, steps, &shape),
            Op::Pad { pads, value } => pad(draft, &x, pads, f64::from(*value)),
            Op::Expand => x.broadcast(draft, &shape),
            Op::Gather { axis, indices } => gather(draft, &x, *axis, indices, &shape),
            Op::MaxPool(window) => pool::max(draft, self.choice, &x, window, &shape),
            Op::ReduceMax { axes, keepdims } => pool::max_over(draft, self.choice, &x, axes, *keepdims),
            Op::Cast => Ok(x),
            other => Err(unsupported(
                format!("{} has no integer lowering ({other:?})", node.onnx),
                "See `zerotell check` for the supported operators.",
            )),
        }
    }

    /// Brings a value to a given type.
    pub(crate) fn requantise(&mut self, x: &Val, quant: Quant, range: Range) -> Result<Val, Problem> {
        let source = self.terms(x.groups.clone(), vec![(1.0, x.clone())]);
        let target = Target {
            expr: &Expr::X,
            root: range,
            out: range,
            bits: self.choice.activation_bits,
            fixed: Some(quant),
        };
        round::round(&mut self.draft, self.choice, &source, &target)
    }

    /// All values at one scale: the coarsest, or the shared one.
    fn common(&mut self, ids: &[ValueId], out: ValueId) -> Result<Vec<Val>, Problem> {
        let vals: Result<Vec<Val>, Problem> = ids.iter().map(|&i| self.value(i)).collect();
        let mut vals = vals?;
        if vals.windows(2).all(|w| w[0].scale == w[1].scale) {
            return Ok(vals);
        }
        let range = self.range(out)?;
        let quant = Quant::of(range, self.choice.activation_bits);
        for val in &mut vals {
            if val.scale != quant.scale {
                *val = self.requantise(val, quant, range)?;
            }
        }
        Ok(vals)
    }

    fn concat(&mut self, node: &Node, axis: usize) -> Result<Val, Problem> {
        let parts = self.common(&node.inputs, node.output)?;
        concat(&mut self.draft, &parts, axis)
    }

    /// Elementwise maximum or minimum of two values.
    fn extremum(&mut self, node: &Node) -> Result<Val, Problem> {
        let shape = self.graph().value(node.output).shape.clone();
        let vals = self.common(&node.inputs, node.output)?;
        let a = vals[0].broadcast(&mut self.draft, &shape)?;
        let b =
            vals[1].broadcast_like(&mut self.draft, &shape, Some(&a))?.regroup(&mut self.draft, &a.groups)?;
        let axes = a.axes();
        let negate = node.op == Op::Binary(Binary::Min);
        let sign = if negate { -1 } else { 1 };
        let (fa, fb) = (a.scaled_form(sign), b.scaled_form(sign));
        let form = pool::larger(&mut self.draft, self.choice, &fa, &fb, &axes, None)?;
        let form = Form(form.0.into_iter().map(|(c, v)| (c * sign, v)).collect());
        Val { form, ..a }.short(&mut self.draft)
    }

    /// An output in a column of its own, exact where the last step is a sum.
    pub(crate) fn output(&mut self, v: ValueId, then: Then) -> Result<(Val, u32), Problem> {
        let mut val = match self.exact_output(v)? {
            Some(val) => val,
            None => self.value(v)?,
        };
        if matches!(then, Then::Softmax | Then::LogSoftmax | Then::ArgMax) {
            for group in 0..val.groups.len() {
                val = val.merge(&mut self.draft, group)?;
            }
        }
        let whole = |form: &Form, count: usize| match form.0.as_slice() {
            [(1, view)] => (view.maps == crate::draft::identity(count)).then_some(view.tensor),
            _ => None,
        };
        let count = val.axes().len();
        let found =
            whole(&val.form, count).filter(|&t| self.draft.axes(t) == val.axes() && self.draft.is_column(t));
        match found {
            Some(tensor) => Ok((val, tensor)),
            None => {
                let copy = val.materialise(&mut self.draft)?;
                let tensor =
                    whole(&copy.form, count).ok_or_else(|| layout("An output has no column of its own"))?;
                Ok((copy, tensor))
            }
        }
    }

    /// An output that is a sum, times and plus a number, and used nowhere else.
    fn exact_output(&mut self, v: ValueId) -> Result<Option<Val>, Problem> {
        let (root, expr) = self.scan.root(v);
        let Some((a, b)) = expr.affine().filter(|(a, _)| *a > 0.0) else { return Ok(None) };
        if !self.alone(root, v) {
            return Ok(None);
        }
        let node = self.scan.node_of(root);
        let before =
            std::mem::replace(&mut self.draft.node, node.map(|n| n.name.clone()).unwrap_or_default());
        let made = self.exact(root, a, b);
        self.draft.node = before;
        made.map_err(|p| node.map_or_else(|| p.clone(), |n| p.clone().at(n)))
    }

    /// Whether nothing but this output needs the root.
    fn alone(&self, root: ValueId, v: ValueId) -> bool {
        !self.values.contains_key(&root)
            && (root == v || self.scan.fuses(root))
            && self.graph().value(root).constant.is_none()
    }

    /// a * root + b, committed exactly; none if the root is not a sum.
    fn exact(&mut self, root: ValueId, a: f64, b: f64) -> Result<Option<Val>, Problem> {
        let Some(mut source) = self.source(root)? else { return Ok(None) };
        source.bias += b / a;
        round::commit(&mut self.draft, self.choice, &source, a).map(Some)
    }
}

/// Bits of an integer input's range.
fn integer_bits(range: Range) -> u8 {
    let most = range.most().max(1.0) as u64;
    let sign = if range.lo < 0.0 { 1 } else { 0 };
    (64 - most.leading_zeros() as u8 + sign).clamp(1, 32)
}

/// Padding with a real number: zeros, plus the number outside.
fn pad(draft: &mut Draft, x: &Val, pads: &[(i64, i64)], value: f64) -> Result<Val, Problem> {
    let padded = x.pad(draft, pads)?;
    let fill = (value / x.scale).round_ties_even() as i64;
    if fill == 0 {
        return Ok(padded);
    }
    let ones = draft.ones(&x.subs());
    let form = Form(vec![(1, View { tensor: ones, maps: (1..=x.subs().len()).map(axis).collect() })]);
    let inside = Val { form, ..x.clone() }.pad(draft, pads)?;
    let mut terms = padded.form.0.clone();
    terms.extend(draft.constant(fill).0);
    terms.extend(inside.scaled_form(-fill).0);
    let known = padded.known.map(|(lo, hi)| (lo.min(fill), hi.max(fill)));
    Ok(Val { form: crate::view::collect(terms), known, ..padded })
}

/// Chosen indices; the index list takes the place of its axis with its own shape.
fn gather(draft: &mut Draft, x: &Val, at: usize, indices: &[usize], shape: &[usize]) -> Result<Val, Problem> {
    x.gather(draft, at, indices)?.reshape(draft, shape)
}

impl Lowering<'_> {
    /// Lowers all inputs, then every value that must exist, in graph order. A value
    /// that fails is replaced by a stand-in, so that all problems are found at once.
    pub(crate) fn everything(&mut self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        let mut tainted = vec![false; self.graph().values.len()];
        let graph = self.graph();
        let wanted: Vec<ValueId> = graph
            .inputs
            .iter()
            .copied()
            .chain(graph.nodes.iter().map(|n| n.output))
            .filter(|&v| self.scan.needs(v))
            .collect();
        for v in wanted {
            if self.scan.is_output(v) {
                continue;
            }
            let Err(problem) = self.value(v) else { continue };
            // What follows from a stand-in says little, but an operator without a
            // lowering is one in any case.
            let follows = tainted[v.0 as usize] && problem.code != crate::problem::UNSUPPORTED;
            if !follows && !problems.contains(&problem) {
                problems.push(problem);
            }
            self.stand_in(v);
            tainted[v.0 as usize] = true;
            for node in &graph.nodes {
                if node.inputs.iter().any(|i| tainted[i.0 as usize]) {
                    tainted[node.output.0 as usize] = true;
                }
            }
        }
        problems
    }

    /// A value of the right shape that means nothing.
    fn stand_in(&mut self, v: ValueId) {
        let groups: Vec<Vec<u32>> = self
            .graph()
            .value(v)
            .shape
            .iter()
            .map(|&n| if n > 1 { vec![n as u32] } else { vec![] })
            .collect();
        let tensor = self.draft.input(&groups.concat(), 0, 1);
        self.values.insert(v, Val::of_tensor(tensor, groups, &Val::blank(1.0)));
    }

    /// Values that are one column, as they lie: what the report compares.
    pub(crate) fn traced(&self, numbers: &[u32]) -> Vec<crate::report::Traced> {
        let mut traced = Vec::new();
        for (&value, val) in &self.values {
            let [(1, view)] = val.form.0.as_slice() else { continue };
            let whole = view.maps == crate::draft::identity(val.axes().len());
            let Some(node) = self.scan.node_of(value) else { continue };
            if whole && self.draft.is_column(view.tensor) {
                let tensor = numbers[view.tensor as usize];
                traced.push(crate::report::Traced {
                    value,
                    node: node.name.clone(),
                    tensor,
                    scale: val.scale,
                });
            }
        }
        traced
    }
}
