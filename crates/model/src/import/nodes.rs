//! Nodes: operators, calls of model-local functions, and branches that are known at import.

use std::collections::{BTreeSet, HashMap};

use super::{Env, Importer, Scope, Slot, absent, domain};
use crate::builder::malformed;
use crate::onnx::{Call, Entry, find, refusal};
use crate::problem::{Problem, Step, too_large};
use crate::proto::{self, Attribute, Content, Function, Node};
use crate::tensor::Data;

/// Most nodes, functions inlined.
const MAX_NODES: usize = 100_000;
/// Deepest nesting of functions and branches.
const MAX_DEPTH: usize = 32;
impl<'s, 'a> Importer<'s, 'a> {
    /// Imports nodes into `env`, producers first.
    pub(super) fn nodes(&mut self, nodes: &[Node<'a>], env: &mut Env, scope: &Scope<'_, 'a>) {
        for node in sorted(nodes) {
            self.count += 1;
            if self.count > MAX_NODES {
                self.report(too_large("the model has more than 100000 nodes"));
                return;
            }
            let name =
                [&node.name, node.outputs.first().unwrap_or(&node.op)].into_iter().find(|n| !n.is_empty());
            let name = format!("{}{}", scope.prefix, name.unwrap_or(&node.op));
            let operator = if domain(&node.domain).is_empty() {
                node.op.clone()
            } else {
                format!("{}.{}", node.domain, node.op)
            };
            let before = self.b.graph.values.len();
            let outputs = match self.node(node, &name, env, scope) {
                Ok(Some(entries)) => entries.into_iter().map(Slot::Ready).collect(),
                Ok(None) => vec![Slot::Poisoned; node.outputs.len()],
                Err(problem) => {
                    self.report(problem.at(&name, &operator));
                    vec![Slot::Poisoned; node.outputs.len()]
                }
            };
            self.define(node, outputs, before, (&name, &operator), env);
        }
    }

    /// Enters the outputs of a node under their names.
    fn define(&mut self, node: &Node, outputs: Vec<Slot>, before: usize, at: (&str, &str), env: &mut Env) {
        let mut outputs = outputs.into_iter();
        for output in &node.outputs {
            let slot = outputs.next().unwrap_or_else(|| Slot::Absent(at.0.to_string(), at.1.to_string()));
            if output.is_empty() {
                continue;
            }
            if let Slot::Ready(Entry::Value(id)) = &slot
                && id.0 as usize >= before
            {
                self.b.graph.values[id.0 as usize].name.clone_from(output);
            }
            if env.insert(output.clone(), slot).is_some() {
                self.report(malformed(format!("value `{output}` is produced twice")).at(at.0, at.1));
            }
        }
    }

    /// The outputs of one node; `None` when an operand was refused before.
    fn node(
        &mut self,
        node: &Node<'a>,
        name: &str,
        env: &Env,
        scope: &Scope<'_, 'a>,
    ) -> Step<Option<Vec<Entry>>> {
        let home = domain(&node.domain);
        let attributes = resolve(&node.attributes, scope.arguments);
        let operator = find(&home, &node.op);
        let operands = self.operands(node, env)?;
        let key = (home.clone(), node.op.clone(), node.overload.clone());
        let function = self.functions.get(&key).copied().filter(|_| operator.is_none());
        if let Some(function) = function {
            return self.call(function, node, name, &attributes, env, scope);
        }
        let conditional = home.is_empty() && node.op == "If";
        let Some(operator) = operator.filter(|_| !conditional) else {
            if conditional && let Some(operands) = &operands {
                return self.branch(node, name, operands, &attributes, env, scope);
            }
            return Err(refusal(&home, &node.op));
        };
        let opset = self.version(&home, scope)?;
        self.check(node, name, operator, &attributes);
        let Some(inputs) = operands else { return Ok(None) };
        if self.unknown(operator, &attributes) {
            return Ok(None);
        }
        let (low, high) = operator.inputs;
        if inputs.len() < low || inputs.len() > high {
            let message = format!("{} inputs; {} takes {low} to {high}", inputs.len(), node.op);
            return Err(Problem::new("ZT014", message, "run onnx.checker.check_model and export again"));
        }
        self.b.at = (name.to_string(), node.op.clone());
        let mut call = Call {
            b: &mut self.b,
            op: &node.op,
            opset,
            inputs,
            attributes: &attributes,
            outputs: node.outputs.len(),
            base: self.base,
            files: &mut self.files,
            keep_quantized: self.options.keep_quantized,
        };
        (operator.import)(&mut call).map(Some)
    }

    fn unknown(&self, operator: &crate::onnx::Operator, attributes: &[Attribute]) -> bool {
        attributes.iter().any(|a| !operator.attributes.contains(&a.name.as_str()))
    }

    /// Reports every unknown attribute.
    fn check(&mut self, node: &Node, name: &str, operator: &crate::onnx::Operator, attributes: &[Attribute]) {
        for a in attributes.iter().filter(|a| !operator.attributes.contains(&a.name.as_str())) {
            let message = format!("attribute `{}` of {} is not known", a.name, node.op);
            let problem = Problem::new("ZT012", message, "remove it, or export with an opset from 9 to 22");
            self.report(problem.at(name, &node.op));
        }
    }

    /// The operands' entries; `None` when one of them was refused.
    fn operands(&mut self, node: &Node, env: &Env) -> Step<Option<Vec<Option<Entry>>>> {
        let mut out = Vec::new();
        let mut poisoned = false;
        for input in &node.inputs {
            out.push(match env.get(input) {
                _ if input.is_empty() => None,
                Some(Slot::Ready(entry)) => Some(entry.clone()),
                Some(Slot::Omitted) => None,
                Some(Slot::Poisoned) => {
                    poisoned = true;
                    None
                }
                Some(Slot::Absent(name, operator)) => return Err(absent(input, name, operator)),
                None => return Err(malformed(format!("value `{input}` is used before it is produced"))),
            });
        }
        while let Some(None) = out.last() {
            out.pop();
        }
        Ok((!poisoned).then_some(out))
    }

    /// Version of a domain, when it is supported.
    fn version(&mut self, home: &str, scope: &Scope) -> Step<i64> {
        let version = scope.opsets.get(home).copied().unwrap_or(1);
        if home.is_empty() && self.assumed == Some(version) {
            self.b.note(format!("the file does not name its opset version; {version} is taken"));
        }
        let supported = if home.is_empty() { 6..=22 } else { 1..=5 };
        if supported.contains(&version) {
            return Ok(version);
        }
        let shown = if home.is_empty() { "ai.onnx" } else { home };
        let message = format!(
            "opset {version} of `{shown}`; supported are {} to {}",
            supported.start(),
            supported.end()
        );
        Err(Problem::new("ZT004", message, "export with opset_version=18, or use onnx.version_converter"))
    }

    /// Inlines a call of a model-local function.
    fn call(
        &mut self,
        function: &'s Function<'a>,
        node: &Node<'a>,
        name: &str,
        attributes: &[Attribute<'a>],
        env: &Env,
        scope: &Scope<'_, 'a>,
    ) -> Step<Option<Vec<Entry>>> {
        if scope.depth >= MAX_DEPTH {
            let message = format!("function `{}` is nested deeper than {MAX_DEPTH} calls", function.name);
            return Err(Problem::new("ZT031", message, "inline it with onnx.inliner.inline_local_functions"));
        }
        let mut arguments = attributes.to_vec();
        for a in attributes {
            let declared =
                function.attributes.contains(&a.name) || function.defaults.iter().any(|d| d.name == a.name);
            if !declared {
                let message =
                    format!("attribute `{}` is not declared by function `{}`", a.name, function.name);
                return Err(Problem::new("ZT012", message, "remove it"));
            }
        }
        arguments.extend(
            function.defaults.iter().filter(|d| !attributes.iter().any(|a| a.name == d.name)).cloned(),
        );
        let mut inner = Env::new();
        for (i, formal) in function.inputs.iter().enumerate() {
            let actual = node.inputs.get(i).filter(|a| !a.is_empty()).and_then(|a| env.get(a));
            inner.insert(formal.clone(), actual.cloned().unwrap_or(Slot::Omitted));
        }
        let opsets = self.opsets(&function.opsets, 10);
        let prefix = format!("{name}/");
        let scope = Scope { opsets: &opsets, arguments: &arguments, depth: scope.depth + 1, prefix: &prefix };
        self.nodes(&function.nodes, &mut inner, &scope);
        self.results(function.outputs.iter(), &inner)
    }

    /// Entries of the named results of a function or branch.
    fn results<'n>(&self, names: impl Iterator<Item = &'n String>, env: &Env) -> Step<Option<Vec<Entry>>> {
        let mut out = Vec::new();
        for name in names {
            match env.get(name) {
                Some(Slot::Ready(entry)) => out.push(entry.clone()),
                Some(Slot::Poisoned) => return Ok(None),
                Some(Slot::Absent(node, operator)) => return Err(absent(name, node, operator)),
                Some(Slot::Omitted) | None => {
                    return Err(malformed(format!("result `{name}` is not produced")));
                }
            }
        }
        Ok(Some(out))
    }

    /// Imports the branch of an If whose condition is known.
    fn branch(
        &mut self,
        node: &Node<'a>,
        name: &str,
        operands: &[Option<Entry>],
        attributes: &[Attribute<'a>],
        env: &Env,
        scope: &Scope<'_, 'a>,
    ) -> Step<Option<Vec<Entry>>> {
        let condition = match operands.first() {
            Some(Some(Entry::Value(id))) => self.b.constant_of(*id).map(|t| &t.data),
            _ => None,
        };
        let truth = match condition {
            Some(Data::Bool(v)) if v.len() == 1 => v[0],
            _ => return Err(refusal("", &node.op)),
        };
        let taken = if truth { "then_branch" } else { "else_branch" };
        let body = attributes.iter().find(|a| a.name == taken).map(|a| &a.value);
        let Some(Content::Graph(bytes)) = body else { return Err(malformed(format!("If without {taken}"))) };
        if scope.depth >= MAX_DEPTH {
            return Err(Problem::new("ZT030", "branches are nested too deeply", "simplify the model"));
        }
        let graph = proto::Graph::read(bytes).map_err(|d| malformed(format!("damaged branch: {}", d.0)))?;
        let mut inner = env.clone();
        self.initializers(&graph, &mut inner);
        let prefix = format!("{name}/");
        let deeper = Scope {
            opsets: scope.opsets,
            arguments: scope.arguments,
            depth: scope.depth + 1,
            prefix: &prefix,
        };
        self.nodes(&graph.nodes, &mut inner, &deeper);
        self.results(graph.outputs.iter().map(|o| &o.name), &inner)
    }
}

/// Producers before users, otherwise in the order of the file. What lies on a cycle comes last
/// and is then reported as used before it is produced.
fn sorted<'n, 'a>(nodes: &'n [Node<'a>]) -> Vec<&'n Node<'a>> {
    let names = |n: &'n Node<'a>| n.outputs.iter().filter(|o| !o.is_empty());
    let producer: HashMap<&String, usize> =
        nodes.iter().enumerate().flat_map(|(i, n)| names(n).map(move |o| (o, i))).collect();
    let mut users = vec![Vec::new(); nodes.len()];
    let mut waiting = vec![0usize; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        for from in node.inputs.iter().filter_map(|name| producer.get(name)) {
            users[*from].push(i);
            waiting[i] += 1;
        }
    }
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|i| waiting[*i] == 0).collect();
    let mut order = Vec::new();
    while let Some(i) = ready.pop_first() {
        order.push(&nodes[i]);
        for user in &users[i] {
            waiting[*user] -= 1;
            if waiting[*user] == 0 {
                ready.insert(*user);
            }
        }
    }
    order.extend((0..nodes.len()).filter(|i| waiting[*i] > 0).map(|i| &nodes[i]));
    order
}

/// Replaces references to the attributes of the function call around.
fn resolve<'a>(attributes: &[Attribute<'a>], arguments: &[Attribute<'a>]) -> Vec<Attribute<'a>> {
    let value = |a: &Attribute<'a>| match &a.value {
        Content::Reference(name) => arguments.iter().find(|x| x.name == *name).map(|x| x.value.clone()),
        other => Some(other.clone()),
    };
    attributes
        .iter()
        .filter_map(|a| value(a).map(|value| Attribute { name: a.name.clone(), value }))
        .collect()
}
