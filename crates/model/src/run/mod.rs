//! Reference interpreter: computes a graph in 32-bit floats.

mod elementwise;
mod layout;
mod matmul;
mod quantise;
mod reduce;
mod window;

use std::fmt;

pub(crate) use elementwise::zip;

use crate::graph::{DType, Graph, Node, Op, Value};
use crate::tensor::{Data, Tensor};

/// Why a graph could not be computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunError {
    /// The number of inputs is not that of the graph.
    InputCount {
        /// Inputs of the graph.
        expected: usize,
        /// Inputs given.
        found: usize,
    },
    /// An input has another shape than the graph's.
    InputShape {
        /// Name of the input.
        name: String,
        /// Shape in the graph.
        expected: Vec<usize>,
        /// Shape given.
        found: Vec<usize>,
    },
    /// An input holds another kind of element, or integers outside its type's range.
    InputType {
        /// Name of the input.
        name: String,
        /// Type in the graph.
        expected: DType,
    },
    /// A node failed.
    Node {
        /// Name of the node.
        name: String,
        /// What happened, such as an integer division by zero.
        message: String,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InputCount { expected, found } => {
                write!(f, "the model has {expected} inputs, {found} were given")
            }
            Self::InputShape { name, expected, found } => {
                write!(f, "input `{name}` has shape {expected:?}, a tensor of shape {found:?} was given")
            }
            Self::InputType { name, expected } => write!(f, "input `{name}` must hold {expected:?} values"),
            Self::Node { name, message } => write!(f, "node `{name}`: {message}"),
        }
    }
}

impl std::error::Error for RunError {}

/// Computes the outputs of a graph made by the importer.
///
/// `inputs` are in the order of [`Graph::inputs`]; the result is in the order of [`Graph::outputs`].
///
/// # Errors
/// Inputs that do not fit the graph, and integer operations without a result.
pub fn run(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, RunError> {
    let last_use = last_uses(graph);
    let mut values = bind(graph, inputs)?;
    for (step, node) in graph.nodes.iter().enumerate() {
        let out = compute(graph, node, &values)?;
        values[node.output.0 as usize] = Some(out);
        for id in &node.inputs {
            if last_use[id.0 as usize] == step {
                values[id.0 as usize] = None;
            }
        }
    }
    let output = |v: &Value, i: usize| v.constant.clone().or_else(|| values[i].clone());
    graph
        .outputs
        .iter()
        .map(|id| output(graph.value(*id), id.0 as usize).ok_or_else(|| missing(&graph.value(*id).name)))
        .collect()
}

/// Computes every value of a graph, indexed by value id; `None` for values nothing produces.
///
/// # Errors
/// As [`run`].
pub fn run_all(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Option<Tensor>>, RunError> {
    let mut values = bind(graph, inputs)?;
    for node in &graph.nodes {
        let out = compute(graph, node, &values)?;
        values[node.output.0 as usize] = Some(out);
    }
    for (slot, value) in values.iter_mut().zip(&graph.values) {
        if slot.is_none() {
            slot.clone_from(&value.constant);
        }
    }
    Ok(values)
}

/// Per value: the last step that reads it (`usize::MAX` for outputs, which must be kept).
fn last_uses(graph: &Graph) -> Vec<usize> {
    let mut last = vec![usize::MAX; graph.values.len()];
    for (step, node) in graph.nodes.iter().enumerate() {
        for id in &node.inputs {
            last[id.0 as usize] = step;
        }
    }
    for id in &graph.outputs {
        last[id.0 as usize] = usize::MAX;
    }
    last
}

fn missing(name: &str) -> RunError {
    RunError::Node { name: name.to_string(), message: "nothing produces this value".into() }
}

/// Checks the inputs and puts them in place.
fn bind(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Option<Tensor>>, RunError> {
    if inputs.len() != graph.inputs.len() {
        return Err(RunError::InputCount { expected: graph.inputs.len(), found: inputs.len() });
    }
    let mut values = vec![None; graph.values.len()];
    for (id, tensor) in graph.inputs.iter().zip(inputs) {
        let value = graph.value(*id);
        let name = value.name.clone();
        if value.shape != tensor.shape {
            return Err(RunError::InputShape {
                name,
                expected: value.shape.clone(),
                found: tensor.shape.clone(),
            });
        }
        if !holds(value.dtype, &tensor.data) {
            return Err(RunError::InputType { name, expected: value.dtype });
        }
        values[id.0 as usize] = Some(tensor.clone());
    }
    Ok(values)
}

/// Whether the content is of the type and within its range.
fn holds(dtype: DType, data: &Data) -> bool {
    match data {
        Data::F32(_) => dtype == DType::F32,
        Data::Bool(_) => dtype == DType::Bool,
        Data::I64(v) => range(dtype).is_some_and(|(low, high)| v.iter().all(|x| (low..=high).contains(x))),
    }
}

/// Smallest and largest integer of a type.
pub(crate) fn range(dtype: DType) -> Option<(i64, i64)> {
    Some(match dtype {
        DType::I64 => (i64::MIN, i64::MAX),
        DType::I32 => (i32::MIN.into(), i32::MAX.into()),
        DType::I16 => (i16::MIN.into(), i16::MAX.into()),
        DType::U16 => (0, u16::MAX.into()),
        DType::I8 => (i8::MIN.into(), i8::MAX.into()),
        DType::U8 => (0, u8::MAX.into()),
        DType::F32 | DType::Bool => return None,
    })
}

/// Two's complement wrap into an integer type.
pub(crate) fn wrap(dtype: DType, v: i64) -> i64 {
    match dtype {
        DType::I32 => i64::from(v as i32),
        DType::I16 => i64::from(v as i16),
        DType::U16 => i64::from(v as u16),
        DType::I8 => i64::from(v as i8),
        DType::U8 => i64::from(v as u8),
        DType::I64 | DType::F32 | DType::Bool => v,
    }
}

fn compute(graph: &Graph, node: &Node, values: &[Option<Tensor>]) -> Result<Tensor, RunError> {
    let operand = |id: &crate::graph::ValueId| {
        let value = graph.value(*id);
        value.constant.as_ref().or(values[id.0 as usize].as_ref()).ok_or_else(|| missing(&value.name))
    };
    let operands: Vec<&Tensor> = node.inputs.iter().map(operand).collect::<Result<_, _>>()?;
    let out = graph.value(node.output);
    eval(&node.op, &operands, &out.shape, out.dtype)
        .map_err(|message| RunError::Node { name: node.name.clone(), message })
}

/// Result of one step or a reason.
pub(crate) type Eval<T> = Result<T, String>;

/// Computes one step; `shape` and `dtype` are those of the result.
pub(crate) fn eval(op: &Op, x: &[&Tensor], shape: &[usize], dtype: DType) -> Eval<Tensor> {
    let data = match op {
        Op::Unary(kind) => elementwise::unary(*kind, x[0], dtype)?,
        Op::Binary(kind) => elementwise::binary(*kind, x[0], x[1], shape, dtype)?,
        Op::MatMul => Data::F32(matmul::matmul(x[0], x[1], shape)?),
        Op::Conv { window, group } => Data::F32(window::conv(x, window, *group, shape)?),
        Op::MaxPool(w) => window::max_pool(x[0], w, shape)?,
        Op::AveragePool { window, count_include_pad } => {
            Data::F32(window::average_pool(x[0], window, *count_include_pad, shape)?)
        }
        Op::ReduceMean { axes, .. } => reduce::mean(x[0], axes)?,
        Op::ReduceSum { axes, .. } => reduce::sum(x[0], axes, dtype)?,
        Op::ReduceMax { axes, .. } => reduce::max(x[0], axes)?,
        Op::Reshape => x[0].data.clone(),
        Op::Transpose(perm) => layout::transpose(x[0], perm),
        Op::Concat(axis) => layout::concat(x, *axis)?,
        Op::Slice { starts, steps } => layout::slice(x[0], starts, steps, shape),
        Op::Pad { pads, value } => layout::pad(x[0], pads, *value, shape),
        Op::Expand => layout::expand(x[0], shape),
        Op::Gather { axis, indices } => layout::gather(x[0], *axis, indices),
        Op::ArgMax { axis, select_last, .. } => reduce::arg_max(x[0], *axis, *select_last)?,
        Op::Softmax { axis, log } => Data::F32(reduce::softmax(x[0], *axis, *log)?),
        Op::Cast => elementwise::cast(x[0], dtype),
        Op::Quantize { axis, scale, zero } => quantise::quantize(x[0], *axis, scale, zero, dtype)?,
        Op::Dequantize { axis, scale, zero } => quantise::dequantize(x[0], *axis, scale, zero)?,
    };
    Ok(Tensor { shape: shape.to_vec(), data })
}

/// The reals of an operand.
fn reals(x: &Tensor) -> Eval<&[f32]> {
    x.as_f32().ok_or_else(|| "the operand is not float".to_string())
}
