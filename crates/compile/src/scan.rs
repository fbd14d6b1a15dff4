//! What the compiler must know of the float graph before it lowers anything:
//! producers, uses, and which elementwise steps merge into one function.

use std::collections::BTreeMap;

use model::graph::{Binary, Graph, Node, Op, Unary, ValueId};
use model::tensor::{Data, Tensor};

use crate::expr::Expr;

/// Facts about a graph, by value number.
pub(crate) struct Scan<'a> {
    pub(crate) graph: &'a Graph,
    /// Index of the producing node.
    producer: Vec<Option<usize>>,
    /// The value as a function of another one, its root.
    roots: Vec<(ValueId, Expr)>,
    /// Values that must exist as integers.
    needed: Vec<bool>,
    /// How many needed values are functions of a root (other than itself).
    branches: Vec<usize>,
    /// Uses by nodes that matter and by outputs.
    uses: Vec<usize>,
    outputs: Vec<ValueId>,
}

/// Expressions beyond this size are cut; a table of them would hide a mistake.
const SIZE_MOST: usize = 256;

impl<'a> Scan<'a> {
    /// Analyses what the given outputs depend on.
    pub(crate) fn new(graph: &'a Graph, outputs: &[ValueId]) -> Self {
        let count = graph.values.len();
        let mut producer = vec![None; count];
        for (i, node) in graph.nodes.iter().enumerate() {
            producer[node.output.0 as usize] = Some(i);
        }
        let mut scan = Self {
            graph,
            producer,
            roots: (0..count as u32).map(|i| (ValueId(i), Expr::X)).collect(),
            needed: vec![false; count],
            branches: vec![0; count],
            uses: vec![0; count],
            outputs: outputs.to_vec(),
        };
        for &output in outputs {
            scan.needed[output.0 as usize] = true;
        }
        let live = scan.live(outputs);
        // Needed values only grow, and every round adds one, so this ends.
        while scan.settle(&live) {}
        scan.count(&live, outputs);
        scan
    }

    /// Nodes the outputs depend on.
    fn live(&self, outputs: &[ValueId]) -> Vec<bool> {
        let mut live = vec![false; self.graph.nodes.len()];
        let mut stack: Vec<ValueId> = outputs.to_vec();
        while let Some(v) = stack.pop() {
            if let Some(n) = self.producer[v.0 as usize]
                && !live[n]
            {
                live[n] = true;
                stack.extend(&self.graph.nodes[n].inputs);
            }
        }
        live
    }

    /// One pass over the nodes; true if a value became needed.
    fn settle(&mut self, live: &[bool]) -> bool {
        let mut grew = false;
        for (i, node) in self.graph.nodes.iter().enumerate() {
            if !live[i] {
                continue;
            }
            let out = node.output.0 as usize;
            if let Some(root) = self.function(node) {
                self.roots[out] = root;
                continue;
            }
            self.roots[out] = (node.output, Expr::X);
            for &input in &node.inputs {
                let fused = self.transparent(node, input);
                let slot = input.0 as usize;
                if !fused && self.graph.value(input).constant.is_none() && !self.needed[slot] {
                    self.needed[slot] = true;
                    grew = true;
                }
            }
        }
        grew
    }

    /// Whether a node may take this input as an unrounded sum (see `linear`):
    /// additions of layers do not need the layer's own rounding.
    fn transparent(&self, node: &Node, input: ValueId) -> bool {
        if let Op::Quantize { .. } = node.op {
            // Rounding happens once, in the user's type.
            return true;
        }
        let constant = node.inputs.iter().any(|&v| self.graph.value(v).constant.is_some());
        let sum = matches!(node.op, Op::Binary(Binary::Add | Binary::Sub));
        let scale = matches!(node.op, Op::Binary(Binary::Mul | Binary::Div)) && constant;
        (sum || scale) && {
            let (root, expr) = &self.roots[input.0 as usize];
            let made = self.node_of(*root).map(|n| &n.op);
            matches!(made, Some(Op::Conv { .. } | Op::MatMul | Op::Binary(_))) && expr.affine().is_some()
        }
    }

    /// (root, function) if the node's output is a function of one value.
    fn function(&self, node: &Node) -> Option<(ValueId, Expr)> {
        let of = |v: ValueId| -> Option<(Option<ValueId>, Expr)> {
            let value = self.graph.value(v);
            if let Some(c) = &value.constant {
                return Some((None, Expr::Const(scalar(c)?)));
            }
            if self.needed[v.0 as usize] {
                return Some((Some(v), Expr::X));
            }
            let (root, expr) = &self.roots[v.0 as usize];
            Some((Some(*root), expr.clone()))
        };
        let same_shape = |v: ValueId| self.graph.value(v).shape == self.graph.value(node.output).shape;
        let found = match &node.op {
            Op::Unary(u) => {
                let (root, e) = of(node.inputs[0])?;
                (root?, Expr::Un(*u, Box::new(e)))
            }
            Op::Cast => {
                let float = |v: ValueId| self.graph.value(v).dtype == model::graph::DType::F32;
                if !float(node.inputs[0]) || !float(node.output) {
                    return None;
                }
                let (root, e) = of(node.inputs[0])?;
                (root?, e)
            }
            Op::Binary(op) => {
                let (ra, a) = of(node.inputs[0])?;
                let (rb, b) = of(node.inputs[1])?;
                let root = match (ra, rb) {
                    (Some(x), Some(y))
                        if x == y && same_shape(node.inputs[0]) && same_shape(node.inputs[1]) =>
                    {
                        x
                    }
                    (Some(x), None) if same_shape(node.inputs[0]) => x,
                    (None, Some(y)) if same_shape(node.inputs[1]) => y,
                    _ => return None,
                };
                (root, Expr::Bin(*op, Box::new(a), Box::new(b)))
            }
            _ => return None,
        };
        (found.1.size() <= SIZE_MOST).then_some(found)
    }

    fn count(&mut self, live: &[bool], outputs: &[ValueId]) {
        for (i, node) in self.graph.nodes.iter().enumerate() {
            if live[i] {
                for input in &node.inputs {
                    self.uses[input.0 as usize] += 1;
                }
                let out = node.output.0 as usize;
                let root = self.roots[out].0;
                if self.needed[out] && root != node.output {
                    self.branches[root.0 as usize] += 1;
                }
            }
        }
        for output in outputs {
            self.uses[output.0 as usize] += 1;
        }
    }

    /// Whether a value must exist as integers.
    pub(crate) fn needs(&self, v: ValueId) -> bool {
        self.needed[v.0 as usize]
    }

    /// Whether a value is shown, and nothing else uses it.
    pub(crate) fn is_output(&self, v: ValueId) -> bool {
        self.outputs.contains(&v) && self.uses[v.0 as usize] == 1
    }

    /// The node that makes a value.
    pub(crate) fn node_of(&self, v: ValueId) -> Option<&'a Node> {
        self.producer[v.0 as usize].map(|n| &self.graph.nodes[n])
    }

    /// The value as a function of its root.
    pub(crate) fn root(&self, v: ValueId) -> (ValueId, &Expr) {
        let (root, expr) = &self.roots[v.0 as usize];
        (*root, expr)
    }

    /// Whether a root may be rounded straight into one function of it.
    pub(crate) fn fuses(&self, root: ValueId) -> bool {
        !self.needed[root.0 as usize] && self.branches[root.0 as usize] == 1
    }

    /// Whether a value may dissolve into the sum that uses it: nothing else needs
    /// it or anything made from its root.
    pub(crate) fn dissolves(&self, v: ValueId) -> bool {
        let root = self.roots[v.0 as usize].0;
        let free = |v: ValueId| !self.needed[v.0 as usize];
        free(v) && free(root) && self.branches[root.0 as usize] == 0 && self.used_once(v)
    }

    /// Whether one node alone uses the value.
    pub(crate) fn used_once(&self, v: ValueId) -> bool {
        self.uses[v.0 as usize] == 1
    }

    /// A constant value's content.
    pub(crate) fn constant(&self, v: ValueId) -> Option<&'a Tensor> {
        self.graph.value(v).constant.as_ref()
    }
}

/// The only entry of a tensor, as a real number.
pub(crate) fn scalar(t: &Tensor) -> Option<f64> {
    match &t.data {
        Data::F32(v) if v.len() == 1 => Some(f64::from(v[0])),
        Data::I64(v) if v.len() == 1 => Some(v[0] as f64),
        _ => None,
    }
}

/// All entries as real numbers.
pub(crate) fn reals(t: &Tensor) -> Vec<f64> {
    match &t.data {
        Data::F32(v) => v.iter().map(|&x| f64::from(x)).collect(),
        Data::I64(v) => v.iter().map(|&x| x as f64).collect(),
        Data::Bool(v) => v.iter().map(|&x| f64::from(u8::from(x))).collect(),
    }
}

/// What replaces an output that is only a monotone view of another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Nothing: the output is shown as it is.
    None,
    /// The float output is the softmax of what is proved.
    Softmax,
    /// The float output is the log of the softmax of what is proved.
    LogSoftmax,
    /// The float output is the sigmoid of what is proved.
    Sigmoid,
    /// The float output is the index of the largest entry of what is proved.
    ArgMax,
}

/// The z of concat(1 - sigmoid(z), sigmoid(z)): two probabilities of one logit.
fn two_sided(graph: &Graph, producers: &BTreeMap<ValueId, &Node>, node: &Node) -> Option<ValueId> {
    let [no, yes] = node.inputs.as_slice() else { return None };
    let minus = producers.get(no)?;
    let sigmoid = producers.get(yes)?;
    let one = graph.value(*minus.inputs.first()?).constant.as_ref().and_then(scalar)?;
    let matches = minus.op == Op::Binary(Binary::Sub)
        && one == 1.0
        && minus.inputs.get(1) == Some(yes)
        && sigmoid.op == Op::Unary(Unary::Sigmoid);
    matches.then(|| sigmoid.inputs[0])
}

/// The value to prove instead of a graph output, and how the output follows from it.
pub(crate) fn proved_output(graph: &Graph, output: ValueId) -> (ValueId, Then) {
    let producers: BTreeMap<ValueId, &Node> = graph.nodes.iter().map(|n| (n.output, n)).collect();
    let mut value = output;
    let mut then = Then::None;
    while let Some(node) = producers.get(&value) {
        let shape = &graph.value(node.inputs[0]).shape;
        let last = |axis: usize| axis + 1 == shape.len() || shape[axis + 1..].iter().all(|&n| n == 1);
        let next = match &node.op {
            Op::Softmax { axis, log } if last(*axis) => {
                if *log {
                    Then::LogSoftmax
                } else {
                    Then::Softmax
                }
            }
            Op::Unary(Unary::Sigmoid) if then == Then::None => Then::Sigmoid,
            Op::ArgMax { axis, select_last: false, .. } if last(*axis) => Then::ArgMax,
            Op::Concat(_) if then == Then::None || then == Then::ArgMax => {
                let Some(logit) = two_sided(graph, &producers, node) else { break };
                return (logit, Then::Sigmoid);
            }
            Op::Cast => then,
            Op::Reshape
                if then != Then::None && graph.value(node.output).shape.iter().product::<usize>() == 1 =>
            {
                then
            }
            // Axes of length 1 around a last function change nothing.
            Op::Reshape if long_axes(shape) == long_axes(&graph.value(node.output).shape) => {
                let before = producers.get(&node.inputs[0]).map(|n| &n.op);
                match before {
                    Some(Op::Softmax { .. } | Op::ArgMax { .. } | Op::Unary(Unary::Sigmoid)) => then,
                    _ => break,
                }
            }
            _ => break,
        };
        // A label of probabilities is the label of the logits.
        if then != Then::ArgMax {
            then = next;
        }
        value = node.inputs[0];
    }
    if then == Then::None { (output, then) } else { (value, then) }
}

/// The lengths of a shape that are not 1.
fn long_axes(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&n| n != 1).collect()
}
