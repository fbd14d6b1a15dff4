//! From the file to the graph.

mod inputs;
mod nodes;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::builder::{Builder, malformed};
use crate::graph::{Graph, Node, Op, Unary, ValueId};
use crate::onnx::{Entry, Label};
use crate::problem::{Problem, Step};
use crate::proto::{self, Attribute, Function};
use crate::read::{Element, constant};
use crate::simplify::simplify;
use crate::tensor::Tensor;

/// Largest model file.
const MAX_FILE: u64 = 1 << 32;
/// Most problems that are reported.
const MAX_PROBLEMS: usize = 1000;

/// What the caller knows beyond the file.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Lengths of symbolic dimensions (`--dim name=N`); an unnamed one is called `input.axis`.
    /// The leading dimension of an input is 1 unless it is given here.
    pub dims: BTreeMap<String, usize>,
    /// Inputs that are fixed: they become constants and are no longer inputs.
    pub constants: BTreeMap<String, Tensor>,
    /// Keep DequantizeLinear of constant weights as steps with integer constants, instead of
    /// computing the float weights, so that the model's own scales stay visible.
    pub keep_quantized: bool,
}

/// An imported model.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The graph, simplified.
    pub graph: Graph,
    /// What was assumed or left out, in words for the user.
    pub notes: Vec<String>,
    /// Class labels in the order of the scores, when the file has them.
    pub labels: Option<Vec<String>>,
    /// Names of the outputs as in the file, in the order of [`Graph::outputs`].
    pub output_names: Vec<String>,
    /// Files with external data that were read.
    pub external: Vec<PathBuf>,
}

/// Reads a model file. External data is read from the file's directory only.
///
/// # Errors
/// Every problem that was found, not only the first.
pub fn load(path: &Path, options: &ImportOptions) -> Result<Imported, Vec<Problem>> {
    let unreadable = |why: String| {
        vec![Problem::new(
            "ZT001",
            format!("cannot read `{}`: {why}", path.display()),
            "check the path and the permissions",
        )]
    };
    let meta = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?;
    if !meta.is_file() || meta.len() > MAX_FILE {
        return Err(unreadable("it is not a regular file of at most 4 GiB".into()));
    }
    let bytes = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
    let base = path.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p });
    parse(&bytes, base, options)
}

/// Reads a model from bytes. `base_dir` is where external data may lie.
///
/// # Errors
/// Every problem that was found, not only the first.
pub fn parse(
    bytes: &[u8],
    base_dir: Option<&Path>,
    options: &ImportOptions,
) -> Result<Imported, Vec<Problem>> {
    let damaged = |why: &str| {
        let message = format!("this is not an ONNX model: {why}");
        vec![Problem::new("ZT002", message, "download or export the file again")]
    };
    let model = proto::Model::read(bytes).map_err(|d| damaged(d.0))?;
    let graph = model.graph.as_ref().ok_or_else(|| damaged("there is no graph in it"))?;
    let mut importer = Importer::new(&model, base_dir, options);
    let mut env = Env::new();
    importer.initializers(graph, &mut env);
    importer.inputs(graph, &mut env);
    let opsets = importer.opsets(&model.opsets, model.ir_version);
    importer.nodes(&graph.nodes, &mut env, &Scope { opsets: &opsets, arguments: &[], depth: 0, prefix: "" });
    let output_names = importer.outputs(graph, &env);
    importer.finish(graph.name.clone(), output_names)
}

/// What a name stands for.
#[derive(Clone)]
enum Slot {
    /// It can be used.
    Ready(Entry),
    /// Its producer was refused; that was reported.
    Poisoned,
    /// An output that exists only in modes that are not supported, of this node and operator.
    Absent(String, String),
    /// An optional operand that the caller left out.
    Omitted,
}

type Env = HashMap<String, Slot>;
type Opsets = BTreeMap<String, i64>;

/// Where nodes are being imported.
struct Scope<'s, 'a> {
    opsets: &'s Opsets,
    /// Attributes of the function call around.
    arguments: &'s [Attribute<'a>],
    depth: usize,
    /// Name of the function call around.
    prefix: &'s str,
}

struct Importer<'s, 'a> {
    b: Builder,
    problems: Vec<Problem>,
    functions: HashMap<(String, String, String), &'s Function<'a>>,
    base: Option<&'s Path>,
    files: Vec<PathBuf>,
    options: &'s ImportOptions,
    count: usize,
    /// Version taken for the default domain where the file does not say.
    assumed: Option<i64>,
}

/// The default domain has two names.
fn domain(name: &str) -> String {
    if name == "ai.onnx" { String::new() } else { name.to_string() }
}

impl<'s, 'a> Importer<'s, 'a> {
    fn new(model: &'s proto::Model<'a>, base: Option<&'s Path>, options: &'s ImportOptions) -> Self {
        let key = |f: &Function| (domain(&f.domain), f.name.clone(), f.overload.clone());
        Self {
            b: Builder::default(),
            problems: Vec::new(),
            functions: model.functions.iter().map(|f| (key(f), f)).collect(),
            base,
            files: Vec::new(),
            options,
            count: 0,
            assumed: None,
        }
    }

    fn report(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Version per domain. Duplicates are fine when they agree.
    fn opsets(&mut self, list: &[(String, i64)], ir: i64) -> Opsets {
        let mut out = Opsets::new();
        for (name, version) in list {
            let old = out.insert(domain(name), *version);
            if old.is_some_and(|old| old != *version) {
                let message = format!("domain `{name}` is imported with two different versions");
                self.report(Problem::new("ZT004", message, "export the model again with one opset version"));
            }
        }
        if !out.contains_key("") {
            // The newest opset of that file format version.
            let assumed = match ir {
                ..=3 => 8,
                4 => 9,
                5 => 10,
                6 => 11,
                7 => 14,
                8 => 18,
                9 => 20,
                _ => 22,
            };
            out.insert(String::new(), assumed);
            self.assumed = Some(assumed);
        }
        out.entry("ai.onnx.ml".into()).or_insert(1);
        out
    }

    fn initializers(&mut self, graph: &proto::Graph<'a>, env: &mut Env) {
        if graph.has_sparse {
            self.report(Problem::new(
                "ZT008",
                "the model has sparse constants",
                "store them as dense tensors",
            ));
        }
        for t in &graph.initializers {
            let slot = match self.initializer(t) {
                Ok(entry) => Slot::Ready(entry),
                Err(problem) => {
                    self.report(problem);
                    Slot::Poisoned
                }
            };
            env.insert(t.name.clone(), slot);
        }
    }

    fn initializer(&mut self, t: &proto::Tensor<'a>) -> Step<Entry> {
        if t.data_type == 8 && t.location == 0 && t.dims.len() <= 2 {
            return Ok(Entry::Texts(
                t.strings.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect(),
            ));
        }
        let c = constant(t, self.base, &mut self.files)?;
        if c.narrowed {
            self.b.note("float64 constants were converted to float32");
        }
        let id = self.b.value(&t.name, c.tensor.shape.clone(), c.dtype, Some(c.tensor));
        if let Ok(element) = Element::from_code(t.data_type) {
            self.b.set_element(id, element);
        }
        Ok(Entry::Value(id))
    }

    /// Collects the outputs; label outputs are stripped when scores are there.
    fn outputs(&mut self, graph: &proto::Graph, env: &Env) -> Vec<String> {
        let (mut names, mut labels): (Vec<String>, Vec<(String, Label)>) = (Vec::new(), Vec::new());
        for output in &graph.outputs {
            match env.get(&output.name) {
                Some(Slot::Ready(Entry::Value(id))) => {
                    self.b.graph.outputs.push(*id);
                    names.push(output.name.clone());
                }
                Some(Slot::Ready(Entry::Label(label))) => labels.push((output.name.clone(), label.clone())),
                Some(Slot::Ready(Entry::Texts(_))) => {
                    let message = format!("output `{}` is a constant text", output.name);
                    self.report(Problem::new("ZT023", message, "remove the output"));
                }
                Some(Slot::Poisoned) => {}
                Some(Slot::Absent(node, operator)) => self.report(absent(&output.name, node, operator)),
                Some(Slot::Omitted) | None => {
                    self.report(malformed(format!("output `{}` is not produced", output.name)))
                }
            }
        }
        for (name, label) in labels {
            if self.b.graph.outputs.iter().any(|scores| self.ranks(&label, *scores)) {
                self.b.note(format!(
                    "output `{name}` was stripped: it is the class label of the largest score"
                ));
            } else {
                self.b.note(format!("output `{name}` is the index of the class label"));
                self.b.graph.outputs.push(label.index);
                names.push(name);
            }
            self.b.labels = Some(label.names);
        }
        if names.is_empty() && self.problems.is_empty() {
            self.report(malformed("the model has no outputs"));
        }
        names
    }

    /// Whether a label is simply that of the largest score.
    fn ranks(&self, label: &Label, scores: ValueId) -> bool {
        let g = &self.b.graph;
        let argmax = g.nodes.iter().find(|n| n.output == label.index);
        let Some(Node { op: Op::ArgMax { axis, .. }, inputs, .. }) = argmax else {
            return false;
        };
        let shape = &g.value(inputs[0]).shape;
        let last = axis + 1 == shape.len() && shape[*axis] == label.names.len();
        last && shape == &g.value(scores).shape && monotone_root(g, inputs[0]) == monotone_root(g, scores)
    }

    fn finish(mut self, name: String, output_names: Vec<String>) -> Result<Imported, Vec<Problem>> {
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        self.b.graph.name = name;
        let graph = simplify(&self.b.graph);
        Ok(Imported { graph, notes: self.b.notes, labels: self.b.labels, output_names, external: self.files })
    }
}

fn absent(value: &str, node: &str, operator: &str) -> Problem {
    let message = format!("output `{value}` exists only in a mode that is not supported");
    Problem::new("ZT018", message, "export in evaluation mode (model.eval()), or do not use this output")
        .at(node, operator)
}

/// The value before steps that keep the order along the last axis.
fn monotone_root(g: &Graph, mut v: ValueId) -> ValueId {
    while let Some(node) = g.nodes.iter().find(|n| n.output == v) {
        let keeps = match &node.op {
            Op::Softmax { axis, .. } => axis + 1 == g.value(v).shape.len(),
            Op::Unary(Unary::Sigmoid | Unary::Tanh | Unary::Exp | Unary::Log) => true,
            _ => false,
        };
        if !keeps {
            break;
        }
        v = node.inputs[0];
    }
    v
}
