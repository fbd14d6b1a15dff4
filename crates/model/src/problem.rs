//! What can be wrong with a model file, said so that the reader can mend it.

use std::fmt;

/// One thing that stops a model from being imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Stable code, `ZT0xx`; see [`explain`].
    pub code: &'static str,
    /// Name of the node (its first output when it has no name).
    pub node: Option<String>,
    /// ONNX operator of the node, with its domain unless it is the default one.
    pub operator: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl Problem {
    /// A problem that is not yet tied to a node.
    pub(crate) fn new(code: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { code, node: None, operator: None, message: message.into(), fix: fix.into() }
    }

    /// The same problem, tied to a node unless it already is.
    pub(crate) fn at(mut self, node: &str, operator: &str) -> Self {
        self.node.get_or_insert_with(|| node.to_string());
        self.operator.get_or_insert_with(|| operator.to_string());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        match (&self.node, &self.operator) {
            (Some(node), Some(op)) => write!(f, " [{op} `{node}`]")?,
            (Some(node), None) => write!(f, " [`{node}`]")?,
            _ => {}
        }
        write!(f, " {}", self.message)?;
        if !self.fix.is_empty() {
            write!(f, ". Fix: {}", self.fix)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

/// Result of one import step.
pub(crate) type Step<T> = Result<T, Problem>;

/// A mode or value that is valid ONNX but is not supported here.
pub(crate) fn unsupported(message: impl Into<String>, fix: impl Into<String>) -> Problem {
    Problem::new("ZT013", message, fix)
}

/// Shapes that contradict each other.
pub(crate) fn misfit(message: impl Into<String>) -> Problem {
    Problem::new(
        "ZT016",
        message,
        "the file contradicts itself or the bound dimensions are wrong; check --dim and export again",
    )
}

/// Element types that contradict each other or are not supported by an operator.
pub(crate) fn wrong_type(message: impl Into<String>) -> Problem {
    Problem::new("ZT017", message, "insert a Cast to float32 before this node and export again")
}

/// A size above the limits of this crate.
pub(crate) fn too_large(message: impl Into<String>) -> Problem {
    Problem::new(
        "ZT003",
        message,
        "split or shrink the model; limits: 2^28 elements per tensor, 8 axes, 100000 nodes",
    )
}

/// Every code with its long text.
const TEXTS: &[(&str, &str)] = &[
    (
        "ZT001",
        "The model file could not be read: it is missing, is not a regular file, is larger than the limit of 4 GiB, or access was refused. Check the path and the permissions.",
    ),
    (
        "ZT002",
        "The bytes are not an ONNX model: the protobuf structure is damaged or truncated, or there is no graph in it. Download or export the file again; compare its digest with the source. A Git LFS pointer (a small text file) is a common cause.",
    ),
    (
        "ZT003",
        "A limit was exceeded. Tensors may have at most 2^28 elements and 8 axes, a model at most 100000 nodes, and constants computed during import at most 2^27 elements in all. The limits keep a hostile file from using up memory.",
    ),
    (
        "ZT004",
        "The opset version is outside the supported range (6 to 22 for the default domain, 1 to 5 for ai.onnx.ml; 9 to 22 is what is tested in depth). The meaning of operators changes between versions, so others are not guessed at. Export with opset_version=18, or convert with onnx.version_converter.",
    ),
    (
        "ZT005",
        "The graph is malformed: a value is used before it is produced, is produced twice, or an output names nothing. Run onnx.checker.check_model on the file and export it again.",
    ),
    (
        "ZT006",
        "External data was refused. Weights outside the .onnx file are read only from the model's own directory: no absolute path, no `..`, no link that leaves the directory, and the byte range must lie inside the file. Put the data file next to the model, or save the model with the weights inside (onnx.save_model with save_as_external_data=False).",
    ),
    (
        "ZT007",
        "A constant tensor is damaged: its byte count does not match its shape, or the shape is negative or too large. Export the model again.",
    ),
    (
        "ZT008",
        "The element type is not supported at this place. Computation is in float32 (float16, bfloat16 and float64 are converted) and the integer types up to int64. Strings, complex numbers and 4- and 8-bit floats are not supported.",
    ),
    (
        "ZT010",
        "The operator is not known to the importer. See the operator table. Often the exporter can be told to use basic operators (torch: an older or newer opset; custom operators: provide a model-local function), or the node can be moved out of the model.",
    ),
    (
        "ZT011",
        "The operator is known, but cannot be proved at present. The message says why and what to use instead.",
    ),
    (
        "ZT012",
        "An attribute is not known for this operator. It could change the meaning of the node, so it is not ignored. Remove the attribute, or export with an opset between 9 and 22.",
    ),
    (
        "ZT013",
        "An attribute or mode of the operator has a value that is not supported. The message names the value and an alternative.",
    ),
    (
        "ZT014",
        "The node has too few or too many inputs for its operator. Run onnx.checker.check_model and export again.",
    ),
    (
        "ZT015",
        "An operand must be a constant, but it depends on the model's input. Shapes, axes, pads, indices, scales and zero points must be known before proving. Export with fixed shapes (no dynamic_axes or dynamic_shapes), or run onnxsim or onnxslim on the file first.",
    ),
    (
        "ZT016",
        "Shapes do not fit each other. Shapes are inferred from the inputs; declared shapes inside the file are not trusted. Check the values given with --dim, then the exporter.",
    ),
    ("ZT017", "Element types do not fit each other, or the operator is not supported for this type."),
    (
        "ZT018",
        "An output of the node is used that exists only in a mode that is not supported (a training mode, or the indices of MaxPool). Export the model in evaluation mode: model.eval() before torch.onnx.export.",
    ),
    (
        "ZT020",
        "A dimension of an input is symbolic and must be a number before proving. Give it with `--dim name=N`. The leading dimension is taken as 1 (one sample) unless it is given.",
    ),
    (
        "ZT021",
        "A `--dim` names a dimension, or a constant names an input, that the model does not have. The message lists the names that exist.",
    ),
    (
        "ZT022",
        "An input of the model is not a plain tensor of numbers (it is a sequence, a map, an optional, a string tensor, or has no known rank). Convert the input outside the model.",
    ),
    ("ZT023", "An output of the model cannot be offered: it holds strings, or its producer was refused."),
    (
        "ZT030",
        "Control flow (If, Loop, Scan) is not supported unless the branch of an If is known at import. Export with fixed shapes, or unroll the loop: torch.onnx.export of a traced model does.",
    ),
    (
        "ZT031",
        "A model-local function is recursive, nested too deeply, or is called in a way that cannot be inlined. Inline functions with onnx.inliner.inline_local_functions.",
    ),
    (
        "ZT040",
        "Tree ensembles and support vector machines of ai.onnx.ml are not supported yet. A linear model or a small neural network trained on the same data can be proved; for scikit-learn: LogisticRegression or MLPClassifier.",
    ),
    (
        "ZT041",
        "The model is quantised dynamically: scales depend on the input. Quantise it statically to QDQ format (onnxruntime.quantization.quantize_static with QuantFormat.QDQ).",
    ),
];

/// Long text of a code.
pub fn explain(code: &str) -> Option<&'static str> {
    TEXTS.iter().find(|(c, _)| *c == code).map(|(_, text)| *text)
}

/// All codes of this crate, ascending.
pub fn codes() -> impl Iterator<Item = &'static str> {
    TEXTS.iter().map(|(code, _)| *code)
}
