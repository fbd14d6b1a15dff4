//! Inputs of the graph and their symbolic dimensions.

use std::collections::{BTreeMap, BTreeSet};

use super::{Env, Importer, Slot};
use crate::builder::natural;
use crate::graph::ValueId;
use crate::onnx::Entry;
use crate::problem::{Problem, Step, too_large};
use crate::proto::{self, Dim, Type};
use crate::read::{Element, elements};
use crate::tensor::Data;

impl<'a> Importer<'_, 'a> {
    /// Inputs of the graph. Older files list the constants among the inputs.
    pub(super) fn inputs(&mut self, graph: &proto::Graph<'a>, env: &mut Env) {
        let dims = self.bind_dims(graph, env);
        for name in self.options.constants.keys().filter(|n| !graph.inputs.iter().any(|i| i.name == **n)) {
            let message = format!("there is no input `{name}` to fix");
            self.problems.push(Problem::new("ZT021", message, "use the name of an input of the model"));
        }
        for input in &graph.inputs {
            if env.contains_key(&input.name) {
                continue;
            }
            let slot = match self.input(input, &dims) {
                Ok(id) => Slot::Ready(Entry::Value(id)),
                Err(problem) => {
                    self.report(problem);
                    Slot::Poisoned
                }
            };
            env.insert(input.name.clone(), slot);
        }
    }

    /// Symbolic dimensions: from the options, or 1 for leading ones.
    fn bind_dims(&mut self, graph: &proto::Graph, env: &Env) -> BTreeMap<String, usize> {
        let mut dims = self.options.dims.clone();
        let mut names = BTreeSet::new();
        for input in graph.inputs.iter().filter(|i| !env.contains_key(&i.name)) {
            let Type::Tensor(_, Some(shape)) = &input.kind else { continue };
            for (axis, dim) in shape.iter().enumerate() {
                let name = match dim {
                    Dim::Fixed(_) => continue,
                    Dim::Named(name) => name.clone(),
                    Dim::Unknown => format!("{}.{axis}", input.name),
                };
                if axis == 0 && !dims.contains_key(&name) && !self.options.constants.contains_key(&input.name)
                {
                    self.b.note(format!(
                        "the leading dimension `{name}` of input `{}` is taken as 1",
                        input.name
                    ));
                    dims.insert(name.clone(), 1);
                }
                names.insert(name);
            }
        }
        for name in self.options.dims.keys().filter(|n| !names.contains(*n)) {
            let message = format!("the model has no symbolic dimension `{name}`; it has: {names:?}");
            self.problems.push(Problem::new("ZT021", message, "correct the name given with --dim"));
        }
        dims
    }

    fn input(&mut self, input: &proto::ValueInfo, dims: &BTreeMap<String, usize>) -> Step<ValueId> {
        let name = &input.name;
        let refuse = |what: &str| {
            Problem::new(
                "ZT022",
                format!("input `{name}` is {what}"),
                "give the model plain tensors of numbers of known rank",
            )
        };
        let (code, shape) = match &input.kind {
            Type::Tensor(code, shape) => (*code, shape),
            Type::Other(what) => return Err(refuse(&format!("a {what}"))),
            Type::Missing => return Err(refuse("without a type")),
        };
        let element = Element::from_code(code).map_err(|what| refuse(&format!("of element type {what}")))?;
        if let Some(tensor) = self.options.constants.get(name) {
            elements(&tensor.shape)?;
            let integers = matches!(tensor.data, Data::I64(_));
            let dtype = element.dtype();
            let fits = if integers { crate::builder::is_int(dtype) } else { natural(&tensor.data) == dtype };
            if !fits {
                return Err(refuse(&format!("of type {dtype:?}, the constant given for it is not")));
            }
            return Ok(self.b.value(name, tensor.shape.clone(), dtype, Some(tensor.clone())));
        }
        match element {
            Element::U32 | Element::U64 => return Err(refuse("of an unsigned type wider than 16 bits")),
            Element::F64 => {
                self.b.note(format!("input `{name}` is float64 in the file and is taken as float32"))
            }
            Element::F16 | Element::BF16 => {
                self.b.note(format!(
                    "input `{name}` and what follows is computed in float32 (the file asks for {element:?})"
                ));
            }
            _ => {}
        }
        let shape = shape.as_ref().ok_or_else(|| refuse("without a declared rank"))?;
        let lens = self.bound(name, shape, dims)?;
        elements(&lens)?;
        let id = self.b.value(name, lens, element.dtype(), None);
        self.b.set_element(id, element);
        self.b.graph.inputs.push(id);
        Ok(id)
    }

    /// Lengths of a declared shape. Reports every unbound dimension.
    fn bound(&mut self, input: &str, shape: &[Dim], dims: &BTreeMap<String, usize>) -> Step<Vec<usize>> {
        let mut lens = Vec::new();
        let mut missing = None;
        for (axis, dim) in shape.iter().enumerate() {
            let name = match dim {
                Dim::Fixed(n) => {
                    lens.push(usize::try_from(*n).map_err(|_| too_large(format!("input `{input}`")))?);
                    continue;
                }
                Dim::Named(name) => name.clone(),
                Dim::Unknown => format!("{input}.{axis}"),
            };
            lens.push(dims.get(&name).copied().unwrap_or(0));
            if !dims.contains_key(&name) {
                let message = format!("dimension {axis} of input `{input}` is symbolic (`{name}`)");
                let problem = Problem::new("ZT020", message, format!("give its length: --dim {name}=N"));
                if let Some(earlier) = missing.replace(problem) {
                    self.report(earlier);
                }
            }
        }
        missing.map_or(Ok(lens), Err)
    }
}
