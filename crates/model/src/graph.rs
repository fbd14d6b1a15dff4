//! The typed float graph that the importer makes and the compiler reads.
//!
//! Every shape is static. Every value has one producer: an input, a constant or
//! one output of one node. Nodes are in topological order.

use crate::tensor::Tensor;

/// Index of a value in [`Graph::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// Element type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit float (f16, bf16 and f64 inputs are converted on import).
    F32,
    /// 64-bit signed integer (also holds i32 and i16 values).
    I64,
    /// Signed 8-bit integer: quantised values only.
    I8,
    /// Unsigned 8-bit integer: quantised values only.
    U8,
    /// Unsigned 16-bit integer: quantised values only.
    U16,
    /// Signed 16-bit integer: quantised values only.
    I16,
    /// Signed 32-bit integer: quantised biases.
    I32,
    /// Truth value.
    Bool,
}

/// A value: shape, type and, for constants, content.
#[derive(Clone, Debug)]
pub struct Value {
    /// The ONNX name.
    pub name: String,
    /// Static shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
    /// Content of a constant (initialiser, Constant node or folded).
    pub constant: Option<Tensor>,
}

/// A function of one real number, applied to every element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// max(x, 0).
    Relu,
    /// x if x >= 0, else slope * x.
    LeakyRelu(f32),
    /// Elementwise clamp.
    Clip(f32, f32),
    /// clamp(alpha * x + beta, 0, 1).
    HardSigmoid(f32, f32),
    /// x * clamp(x / 6 + 0.5, 0, 1).
    HardSwish,
    /// 1 / (1 + exp(-x)).
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// Error function.
    Erf,
    /// 0.5 x (1 + erf(x / sqrt 2)).
    Gelu,
    /// The tanh approximation of Gelu.
    GeluTanh,
    /// Exponential.
    Exp,
    /// -x.
    Neg,
    /// |x|.
    Abs,
    /// Square root.
    Sqrt,
    /// Natural logarithm.
    Log,
    /// 1 / x.
    Reciprocal,
    /// log(1 + exp(x)).
    Softplus,
    /// x / (1 + |x|).
    Softsign,
    /// x if x > 0 else alpha (exp(x) - 1).
    Elu(f32),
    /// gamma * (x if x > 0 else alpha (exp(x) - 1)); fields are alpha, gamma.
    Selu(f32, f32),
    /// max(0,x) + min(0, alpha (exp(x/alpha) - 1)).
    Celu(f32),
    /// x if x > alpha else 0.
    ThresholdedRelu(f32),
    /// x * sigmoid(alpha x) (Swish, SiLU).
    Swish(f32),
    /// x * tanh(softplus(x)).
    Mish,
    /// Round towards minus infinity.
    Floor,
    /// Round towards plus infinity.
    Ceil,
    /// Round half to even.
    RoundEven,
    /// Sign: -1, 0 or 1.
    Sign,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// x to a constant power.
    Pow(f32),
}

/// A function of two operands with numpy broadcasting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a * b
    Mul,
    /// a / b
    Div,
    /// max(a, b)
    Max,
    /// min(a, b)
    Min,
    /// a to the power b (tensor exponent)
    Pow,
}

/// Sliding window over the spatial axes (those after batch and channel).
/// `pads` are (begin, end) per spatial axis and already explicit (auto_pad is resolved).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Kernel length per spatial axis.
    pub kernel: Vec<usize>,
    /// Stride per spatial axis.
    pub strides: Vec<usize>,
    /// Dilation per spatial axis.
    pub dilations: Vec<usize>,
    /// (begin, end) padding per spatial axis.
    pub pads: Vec<(usize, usize)>,
}

/// What a node computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Elementwise function; inputs: x.
    Unary(Unary),
    /// Broadcasting function of two operands; inputs: a, b.
    Binary(Binary),
    /// numpy matmul (batch axes broadcast); inputs: a, b. Gemm becomes MatMul, Mul, Add, Transpose.
    MatMul,
    /// Convolution over 1 or 2 spatial axes; inputs: x (N,C,..), w (O,C/group,..), optional bias (O).
    Conv {
        /// Sliding window.
        window: Window,
        /// Number of groups.
        group: usize,
    },
    /// Largest element of each window; inputs: x. Padding never wins.
    MaxPool(Window),
    /// Mean of each window; inputs: x.
    AveragePool {
        /// Sliding window.
        window: Window,
        /// Whether padded positions count in the divisor.
        count_include_pad: bool,
    },
    /// Mean over axes (GlobalAveragePool also becomes this); inputs: x.
    ReduceMean {
        /// Axes, ascending.
        axes: Vec<usize>,
        /// Keep reduced axes with length 1.
        keepdims: bool,
    },
    /// Sum over axes; inputs: x.
    ReduceSum {
        /// Axes, ascending.
        axes: Vec<usize>,
        /// Keep reduced axes with length 1.
        keepdims: bool,
    },
    /// Maximum over axes (GlobalMaxPool also becomes this); inputs: x.
    ReduceMax {
        /// Axes, ascending.
        axes: Vec<usize>,
        /// Keep reduced axes with length 1.
        keepdims: bool,
    },
    /// Same elements, shape of the output value (Reshape, Flatten, Squeeze, Unsqueeze); inputs: x.
    Reshape,
    /// Permute axes: output axis i is input axis `perm[i]`; inputs: x.
    Transpose(Vec<usize>),
    /// Join along an axis; inputs: all parts.
    Concat(usize),
    /// Per axis: first index, step (may be negative); the output shape gives the lengths; inputs: x. Split becomes Slices.
    Slice {
        /// First index per axis.
        starts: Vec<i64>,
        /// Step per axis, not 0.
        steps: Vec<i64>,
    },
    /// Constant padding, (begin, end) per axis (negative crops); inputs: x.
    Pad {
        /// (begin, end) per axis.
        pads: Vec<(i64, i64)>,
        /// Fill value.
        value: f32,
    },
    /// Repeat length-1 axes to the output shape; inputs: x.
    Expand,
    /// Pick constant indices along an axis; inputs: x.
    Gather {
        /// Axis.
        axis: usize,
        /// Indices, non-negative; the node's index shape is given by the output shape.
        indices: Vec<usize>,
    },
    /// Index of the largest element along an axis (dtype I64); inputs: x.
    ArgMax {
        /// Axis.
        axis: usize,
        /// Keep the axis with length 1.
        keepdims: bool,
        /// Last instead of first index on ties.
        select_last: bool,
    },
    /// exp(x)/sum exp(x) along one axis; inputs: x.
    Softmax {
        /// Axis.
        axis: usize,
        /// Logarithm of the result.
        log: bool,
    },
    /// Convert the element type to that of the output value; inputs: x.
    Cast,
    /// saturate(round_half_even(x / scale) + zero_point); inputs: x. Output dtype says the range.
    Quantize {
        /// Axis of scale and zero when they have more than one entry.
        axis: usize,
        /// Scales: one, or one per index of the axis.
        scale: Vec<f32>,
        /// Zero points, same length as scale.
        zero: Vec<i64>,
    },
    /// (x - zero_point) * scale; inputs: x.
    Dequantize {
        /// Axis of scale and zero when they have more than one entry.
        axis: usize,
        /// Scales: one, or one per index of the axis.
        scale: Vec<f32>,
        /// Zero points, same length as scale.
        zero: Vec<i64>,
    },
}

/// One step of the graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name of the ONNX node it came from (made up when the file has none).
    pub name: String,
    /// ONNX operator it came from, such as "Gemm".
    pub onnx: String,
    /// What it computes.
    pub op: Op,
    /// Operands.
    pub inputs: Vec<ValueId>,
    /// The result. Every Op has exactly one.
    pub output: ValueId,
}

/// A model: static shapes, one output per node, topological order.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Model name.
    pub name: String,
    /// All values.
    pub values: Vec<Value>,
    /// Graph inputs (without initialisers).
    pub inputs: Vec<ValueId>,
    /// Graph outputs.
    pub outputs: Vec<ValueId>,
    /// Steps in topological order; constants are already folded away.
    pub nodes: Vec<Node>,
}

impl Graph {
    /// The value with this id. Ids made by the importer are always valid.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0 as usize]
    }
}
