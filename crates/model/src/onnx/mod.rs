//! The operators: one family per file, each rewritten into the few steps of the graph.

mod cast;
mod constant;
mod conv;
mod elementwise;
mod logic;
mod matmul;
mod ml;
mod movement;
mod normalise;
mod pick;
mod pool;
mod quantise;
mod reduce;
mod refused;
mod resample;
mod reshape;
mod softmax;

use std::path::{Path, PathBuf};

use crate::builder::Builder;
use crate::graph::ValueId;
use crate::problem::{Problem, Step};
use crate::proto::{Attribute, Content};
use crate::read::{Constant, constant as read_constant};
use crate::tensor::{Data, Tensor};

/// What a name stands for during import.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// A value of the graph.
    Value(ValueId),
    /// The class label at a computed index.
    Label(Label),
    /// Constant texts.
    Texts(Vec<String>),
}

/// A class label looked up by a computed index.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    /// The index (ArgMax).
    pub index: ValueId,
    /// Label of each index.
    pub names: Vec<String>,
}

/// Rewrites one node; gives its outputs from the first on.
type Import = fn(&mut Call) -> Step<Vec<Entry>>;

/// One row of the table of operators.
pub(crate) struct Operator {
    pub domain: &'static str,
    pub name: &'static str,
    pub attributes: &'static [&'static str],
    /// Fewest and most inputs.
    pub inputs: (usize, usize),
    pub import: Import,
    pub notes: &'static str,
}

/// A row of the default domain.
const fn op(
    name: &'static str,
    attributes: &'static [&'static str],
    inputs: (usize, usize),
    import: Import,
    notes: &'static str,
) -> Operator {
    Operator { domain: "", name, attributes, inputs, import, notes }
}

/// Any number of inputs.
const MANY: usize = usize::MAX;

const FAMILIES: &[&[Operator]] = &[
    matmul::OPERATORS,
    conv::OPERATORS,
    normalise::OPERATORS,
    elementwise::OPERATORS,
    pool::OPERATORS,
    reduce::OPERATORS,
    softmax::OPERATORS,
    reshape::OPERATORS,
    movement::OPERATORS,
    pick::OPERATORS,
    resample::OPERATORS,
    constant::OPERATORS,
    logic::OPERATORS,
    cast::OPERATORS,
    quantise::OPERATORS,
    ml::OPERATORS,
];

/// The row of an operator.
pub(crate) fn find(domain: &str, name: &str) -> Option<&'static Operator> {
    FAMILIES.iter().flat_map(|f| f.iter()).find(|o| o.domain == domain && o.name == name)
}

/// Why an operator is not in the table.
pub(crate) fn refusal(domain: &str, name: &str) -> Problem {
    refused::problem(domain, name)
}

/// One row of the manual's operator table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorDoc {
    /// ONNX name, with the domain in front unless it is the default one.
    pub name: String,
    /// Versions of the operator's domain that are understood.
    pub opsets: &'static str,
    /// How it is treated and what is not supported.
    pub notes: &'static str,
}

/// The operators that are understood, by name; made from the table the importer itself uses.
pub fn operators() -> Vec<OperatorDoc> {
    let doc = |o: &Operator| {
        let (name, opsets) = if o.domain.is_empty() {
            (o.name.to_string(), "6-22")
        } else {
            (format!("{}.{}", o.domain, o.name), "1-5")
        };
        OperatorDoc { name, opsets, notes: o.notes }
    };
    let mut docs: Vec<OperatorDoc> = FAMILIES.iter().flat_map(|f| f.iter()).map(doc).collect();
    docs.sort_by(|a, b| a.name.cmp(&b.name));
    docs
}

/// One node being imported.
pub(crate) struct Call<'c, 'a> {
    pub b: &'c mut Builder,
    pub op: &'c str,
    pub opset: i64,
    pub inputs: Vec<Option<Entry>>,
    pub attributes: &'c [Attribute<'a>],
    /// Number of outputs that the node names.
    pub outputs: usize,
    pub base: Option<&'c Path>,
    pub files: &'c mut Vec<PathBuf>,
    /// Keep DequantizeLinear of constants as steps.
    pub keep_quantized: bool,
}

/// Single output.
pub(crate) fn one(id: ValueId) -> Step<Vec<Entry>> {
    Ok(vec![Entry::Value(id)])
}

fn wrong_kind(name: &str, expected: &str) -> Problem {
    Problem::new(
        "ZT013",
        format!("attribute `{name}` is not {expected}"),
        "run onnx.checker.check_model and export again",
    )
}

impl<'a> Call<'_, 'a> {
    fn attribute(&self, name: &str) -> Option<&Content<'a>> {
        self.attributes.iter().find(|a| a.name == name).map(|a| &a.value)
    }

    pub fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    pub fn int(&self, name: &str, default: i64) -> Step<i64> {
        match self.attribute(name) {
            None => Ok(default),
            Some(Content::Int(v)) => Ok(*v),
            Some(_) => Err(wrong_kind(name, "an integer")),
        }
    }

    pub fn flag(&self, name: &str, default: bool) -> Step<bool> {
        self.int(name, i64::from(default)).map(|v| v != 0)
    }

    pub fn float(&self, name: &str, default: f32) -> Step<f32> {
        match self.attribute(name) {
            None => Ok(default),
            Some(Content::Float(v)) => Ok(*v),
            Some(_) => Err(wrong_kind(name, "a float")),
        }
    }

    pub fn ints(&self, name: &str) -> Step<Option<Vec<i64>>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Content::Ints(v)) => Ok(Some(v.clone())),
            Some(_) => Err(wrong_kind(name, "a list of integers")),
        }
    }

    pub fn floats(&self, name: &str) -> Step<Option<Vec<f32>>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Content::Floats(v)) => Ok(Some(v.clone())),
            Some(_) => Err(wrong_kind(name, "a list of floats")),
        }
    }

    pub fn text(&self, name: &str, default: &str) -> Step<String> {
        match self.attribute(name) {
            None => Ok(default.to_string()),
            Some(Content::Text(v)) => Ok(String::from_utf8_lossy(v).into_owned()),
            Some(_) => Err(wrong_kind(name, "a text")),
        }
    }

    pub fn texts(&self, name: &str) -> Step<Option<Vec<String>>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Content::Texts(v)) => {
                Ok(Some(v.iter().map(|t| String::from_utf8_lossy(t).into_owned()).collect()))
            }
            Some(_) => Err(wrong_kind(name, "a list of texts")),
        }
    }

    pub fn tensor(&mut self, name: &str) -> Step<Option<Constant>> {
        match self.attribute(name) {
            None => Ok(None),
            Some(Content::Tensor(t)) => {
                let t = t.clone();
                read_constant(&t, self.base, self.files).map(Some)
            }
            Some(_) => Err(wrong_kind(name, "a tensor")),
        }
    }

    /// Refuses an integer attribute that has another value than the only supported one.
    pub fn only(&self, name: &str, value: i64, fix: &str) -> Step<()> {
        match self.int(name, value)? {
            v if v == value => Ok(()),
            v => Err(crate::problem::unsupported(
                format!("attribute `{name}` is {v}; only {value} is supported"),
                fix,
            )),
        }
    }

    /// Whether an optional input is given.
    pub fn given(&self, index: usize) -> bool {
        self.inputs.get(index).is_some_and(Option::is_some)
    }

    /// A class label at an input.
    pub fn label(&self, index: usize) -> Option<Label> {
        match self.inputs.get(index) {
            Some(Some(Entry::Label(label))) => Some(label.clone()),
            _ => None,
        }
    }

    /// An optional tensor operand.
    pub fn optional(&self, index: usize) -> Step<Option<ValueId>> {
        match self.inputs.get(index) {
            None | Some(None) => Ok(None),
            Some(Some(Entry::Value(id))) => Ok(Some(*id)),
            Some(Some(_)) => Err(Problem::new(
                "ZT022",
                format!(
                    "input {index} carries texts or class labels, which only label look-up nodes may use"
                ),
                "use the scores or the class index instead of the label",
            )),
        }
    }

    /// A required tensor operand.
    pub fn value(&self, index: usize) -> Step<ValueId> {
        self.optional(index)?.ok_or_else(|| {
            Problem::new(
                "ZT014",
                format!("input {index} is missing"),
                "run onnx.checker.check_model and export again",
            )
        })
    }

    /// All operands of a node with any number of inputs.
    pub fn values(&self) -> Step<Vec<ValueId>> {
        (0..self.inputs.len()).map(|i| self.value(i)).collect()
    }

    /// A constant operand, if given.
    pub fn constant(&self, index: usize, what: &str) -> Step<Option<Tensor>> {
        let Some(id) = self.optional(index)? else { return Ok(None) };
        let missing = || {
            let message = format!("{what} (input {index}) is not a constant");
            Problem::new(
                "ZT015",
                message,
                "export with fixed shapes and constant parameters, or run onnxsim on the file first",
            )
        };
        self.b.constant_of(id).cloned().ok_or_else(missing).map(Some)
    }

    /// A constant list of integers, if given.
    pub fn constant_ints(&self, index: usize, what: &str) -> Step<Option<Vec<i64>>> {
        match self.constant(index, what)?.map(|t| t.data) {
            None => Ok(None),
            Some(Data::I64(v)) => Ok(Some(v)),
            Some(_) => Err(crate::problem::wrong_type(format!("{what} must be integers"))),
        }
    }

    /// A list of integers from an attribute or an input.
    pub fn ints_from(&self, name: &str, index: usize) -> Step<Option<Vec<i64>>> {
        match self.ints(name)? {
            Some(v) => Ok(Some(v)),
            None => self.constant_ints(index, name),
        }
    }

    pub fn rank(&self, id: ValueId) -> usize {
        self.b.graph.value(id).shape.len()
    }
}

/// An axis counted from the end when negative.
pub(crate) fn axis_of(axis: i64, rank: usize) -> Step<usize> {
    let positive = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    match usize::try_from(positive) {
        Ok(a) if a < rank => Ok(a),
        _ => Err(crate::problem::misfit(format!("axis {axis} does not exist in a tensor with {rank} axes"))),
    }
}

/// Distinct axes, ascending.
pub(crate) fn axes_of(axes: &[i64], rank: usize) -> Step<Vec<usize>> {
    let mut out: Vec<usize> = axes.iter().map(|a| axis_of(*a, rank)).collect::<Step<_>>()?;
    out.sort_unstable();
    let before = out.len();
    out.dedup();
    if out.len() == before {
        Ok(out)
    } else {
        Err(crate::problem::misfit(format!("axes {axes:?} name one axis twice")))
    }
}
