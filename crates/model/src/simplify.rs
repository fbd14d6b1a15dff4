//! Smaller graphs with the same meaning.

use crate::graph::{Graph, Node, Op, Value, ValueId};
use crate::run::eval;

/// Largest constant that is computed here.
const MAX_FOLDED: usize = 1 << 24;

/// Computes steps whose operands are all constant (except DequantizeLinear, whose scales matter
/// to the compiler), removes steps that change nothing, and drops what no output needs.
///
/// Inputs stay even when nothing reads them. Outputs keep their order.
pub fn simplify(graph: &Graph) -> Graph {
    let mut g = graph.clone();
    let mut alias: Vec<ValueId> = (0..g.values.len() as u32).map(ValueId).collect();
    let mut kept = Vec::new();
    for mut node in std::mem::take(&mut g.nodes) {
        for input in &mut node.inputs {
            *input = alias[input.0 as usize];
        }
        if changes_nothing(&g, &node) {
            alias[node.output.0 as usize] = node.inputs[0];
            inherit_name(&mut g, &node);
        } else if !fold(&mut g, &node) {
            kept.push(node);
        }
    }
    for output in &mut g.outputs {
        *output = alias[output.0 as usize];
    }
    g.nodes = kept;
    compact(g)
}

/// A computed value that takes the place of an output takes its name too.
fn inherit_name(g: &mut Graph, node: &Node) {
    let source = node.inputs[0];
    let fixed =
        g.inputs.contains(&source) || g.outputs.contains(&source) || g.value(source).constant.is_some();
    if g.outputs.contains(&node.output) && !fixed {
        g.values[source.0 as usize].name = g.value(node.output).name.clone();
    }
}

fn changes_nothing(g: &Graph, node: &Node) -> bool {
    let Some(first) = node.inputs.first() else { return false };
    let (x, y) = (g.value(*first), g.value(node.output));
    if x.shape != y.shape || x.dtype != y.dtype {
        return false;
    }
    match &node.op {
        Op::Reshape | Op::Expand | Op::Cast => true,
        Op::Transpose(perm) => perm.iter().enumerate().all(|(i, p)| i == *p),
        Op::Concat(_) => node.inputs.len() == 1,
        Op::Slice { steps, .. } => steps.iter().zip(&x.shape).all(|(s, n)| *s == 1 || *n <= 1),
        Op::Pad { pads, .. } => pads.iter().all(|p| *p == (0, 0)),
        _ => false,
    }
}

/// Computes a step of constants; tells whether it did.
fn fold(g: &mut Graph, node: &Node) -> bool {
    let out = g.value(node.output);
    let size: usize = out.shape.iter().product();
    let heavy = matches!(
        node.op,
        Op::Dequantize { .. } | Op::Conv { .. } | Op::MatMul | Op::MaxPool(_) | Op::AveragePool { .. }
    );
    if heavy || size > MAX_FOLDED {
        return false;
    }
    let operands: Option<Vec<_>> = node.inputs.iter().map(|i| g.value(*i).constant.as_ref()).collect();
    let result =
        operands.filter(|o| !o.is_empty()).and_then(|o| eval(&node.op, &o, &out.shape, out.dtype).ok());
    let found = result.is_some();
    if let Some(tensor) = result {
        g.values[node.output.0 as usize].constant = Some(tensor);
    }
    found
}

/// Drops nodes and values that no output needs, and renumbers.
fn compact(mut g: Graph) -> Graph {
    let mut needed = vec![false; g.values.len()];
    for id in g.outputs.iter().chain(&g.inputs) {
        needed[id.0 as usize] = true;
    }
    let mut live = Vec::new();
    for node in std::mem::take(&mut g.nodes).into_iter().rev() {
        if needed[node.output.0 as usize] {
            node.inputs.iter().for_each(|i| needed[i.0 as usize] = true);
            live.push(node);
        }
    }
    live.reverse();
    let mut number = vec![ValueId(u32::MAX); g.values.len()];
    let mut values: Vec<Value> = Vec::new();
    for (old, value) in std::mem::take(&mut g.values).into_iter().enumerate() {
        if needed[old] {
            number[old] = ValueId(values.len() as u32);
            values.push(value);
        }
    }
    let renumber = |id: &mut ValueId| *id = number[id.0 as usize];
    for node in &mut live {
        node.inputs.iter_mut().for_each(renumber);
        renumber(&mut node.output);
    }
    g.inputs.iter_mut().for_each(renumber);
    g.outputs.iter_mut().for_each(renumber);
    Graph { values, nodes: live, ..g }
}
