//! What is refused, and with which code; and that no bytes make the importer panic.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use zerotell_model::graph::{DType, Op, Unary};
use zerotell_model::tensor::Tensor;
use zerotell_model::{
    ImportOptions, Imported, Problem, RunError, codes, explain, load, operators, parse, run,
};

/// Protocol Buffers writer: just enough to make models.
#[derive(Clone, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.0.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.0.push(v as u8);
    }
    fn int(mut self, field: u64, v: i64) -> Self {
        self.varint(field << 3);
        self.varint(v as u64);
        self
    }
    fn bytes(mut self, field: u64, v: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(v.len() as u64);
        self.0.extend_from_slice(v);
        self
    }
    fn text(self, field: u64, v: &str) -> Self {
        self.bytes(field, v.as_bytes())
    }
    fn message(self, field: u64, v: Message) -> Self {
        self.bytes(field, &v.0)
    }
    fn float(mut self, field: u64, v: f32) -> Self {
        self.varint(field << 3 | 5);
        self.0.extend_from_slice(&v.to_le_bytes());
        self
    }
}

/// A declared length: a number or a name.
#[derive(Clone, Copy)]
enum Len {
    N(i64),
    S(&'static str),
}
use Len::{N, S};

fn value(name: &str, element: i64, shape: &[Len]) -> Message {
    let dim = |d: &Len| match d {
        N(n) => Message::default().int(1, *n),
        S(s) => Message::default().text(2, s),
    };
    let shape = shape.iter().fold(Message::default(), |m, d| m.message(1, dim(d)));
    let kind = Message::default().message(1, Message::default().int(1, element).message(2, shape));
    Message::default().text(1, name).message(2, kind)
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> Message {
    let m = inputs.iter().fold(Message::default(), |m, i| m.text(1, i));
    outputs.iter().fold(m, |m, o| m.text(2, o)).text(3, &format!("the {op}")).text(4, op)
}

trait Attributes {
    fn with_int(self, name: &str, v: i64) -> Self;
    fn with_text(self, name: &str, v: &str) -> Self;
}

impl Attributes for Message {
    fn with_int(self, name: &str, v: i64) -> Self {
        self.message(5, Message::default().text(1, name).int(3, v).int(20, 2))
    }
    fn with_text(self, name: &str, v: &str) -> Self {
        self.message(5, Message::default().text(1, name).text(4, v).int(20, 3))
    }
}

fn tensor(name: &str, element: i64, dims: &[i64], raw: &[u8]) -> Message {
    let m = dims.iter().fold(Message::default(), |m, d| m.int(1, *d));
    m.int(2, element).text(8, name).bytes(9, raw)
}

fn reals(name: &str, dims: &[i64], v: &[f32]) -> Message {
    let raw: Vec<u8> = v.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor(name, 1, dims, &raw)
}

/// A model under construction; output `y` unless said otherwise.
#[derive(Default)]
struct Model {
    graph: Message,
    rest: Message,
}

impl Model {
    fn x(shape: &[Len]) -> Self {
        Self::default().input(value("x", 1, shape))
    }
    fn input(mut self, v: Message) -> Self {
        self.graph = self.graph.message(11, v);
        self
    }
    fn node(mut self, n: Message) -> Self {
        self.graph = self.graph.message(1, n);
        self
    }
    fn constant(mut self, t: Message) -> Self {
        self.graph = self.graph.message(5, t);
        self
    }
    fn opset(mut self, domain: &str, version: i64) -> Self {
        self.rest = self.rest.message(8, Message::default().text(1, domain).int(2, version));
        self
    }
    fn bytes_with(self, outputs: &[&str]) -> Vec<u8> {
        let graph = outputs.iter().fold(self.graph, |g, o| g.message(12, Message::default().text(1, o)));
        self.rest.int(1, 8).message(7, graph).0
    }
    fn import_with(self, options: &ImportOptions) -> Result<Imported, Vec<Problem>> {
        parse(&self.bytes_with(&["y"]), None, options)
    }
    fn import(self) -> Result<Imported, Vec<Problem>> {
        self.opset("", 17).import_with(&ImportOptions::default())
    }
    fn codes(self) -> Vec<&'static str> {
        self.import().expect_err("must be refused").iter().map(|p| p.code).collect()
    }
}

fn dims(list: &[(&str, usize)]) -> ImportOptions {
    let dims = list.iter().map(|(n, v)| (n.to_string(), *v)).collect();
    ImportOptions { dims, ..Default::default() }
}

#[test]
fn all_problems_at_once() {
    let problems = Model::x(&[N(1), N(4)])
        .node(node("Relu", &["x"], &["a"]).with_int("axis", 1))
        .node(node("Frobnicate", &["x"], &["b"]))
        .node(node("Loop", &["a"], &["c"]))
        .node(node("Softmax", &["x"], &["d"]).with_text("axis", "one"))
        .node(node("Add", &["a", "b"], &["y"]).with_int("broadcast", 1))
        .import()
        .expect_err("must be refused");
    let found: Vec<_> = problems.iter().map(|p| (p.code, p.node.as_deref().unwrap_or_default())).collect();
    assert_eq!(
        found,
        [
            ("ZT012", "the Relu"),
            ("ZT010", "the Frobnicate"),
            ("ZT030", "the Loop"),
            ("ZT013", "the Softmax"),
            ("ZT012", "the Add")
        ]
    );
    assert!(problems.iter().all(|p| !p.fix.is_empty() && explain(p.code).is_some()));
    let text = problems[0].to_string();
    assert!(text.contains("`axis`") && text.contains("the Relu"), "{text}");
}

#[test]
fn symbolic_dimensions() {
    let model = || Model::x(&[S("N"), S("W"), S("?"), N(-1)]).node(node("Relu", &["x"], &["y"]));
    let problems = model().import().expect_err("unbound");
    let fixes: Vec<&str> = problems.iter().map(|p| p.fix.as_str()).collect();
    let flag = |name: &str| format!("give its length: --dim {name}=N");
    assert_eq!(fixes, [flag("W"), flag("x.2"), flag("x.3")]);
    let bound = [("W", 3), ("x.2", 4), ("x.3", 5)];
    let imported = model().opset("", 17).import_with(&dims(&bound)).expect("bound");
    assert_eq!(imported.graph.value(imported.graph.inputs[0]).shape, [1, 3, 4, 5]);
    assert!(
        imported.notes.iter().any(|n| n.contains("`N`") && n.contains("taken as 1")),
        "{:?}",
        imported.notes
    );
    let wrong = model().opset("", 17).import_with(&dims(&[("W", 3), ("x.2", 4), ("x.3", 5), ("Z", 1)]));
    assert_eq!(wrong.expect_err("no Z")[0].code, "ZT021");
}

#[test]
fn opsets() {
    let relu = || Model::x(&[N(2)]).node(node("Relu", &["x"], &["y"]));
    let with = |list: &[(&str, i64)]| {
        list.iter().fold(relu(), |m, (d, v)| m.opset(d, *v)).import_with(&ImportOptions::default())
    };
    for good in [
        &[("", 22), ("", 22)][..],
        &[],
        &[("ai.onnx", 13)],
        &[("", 9), ("com.microsoft", 1), ("org.pytorch.aten", 1), ("ai.onnx.ml", 99)],
    ] {
        with(good).unwrap_or_else(|p| panic!("{good:?}: {p:?}"));
    }
    for bad in [&[("", 5)][..], &[("", 23)], &[("", 13), ("", 14)]] {
        assert_eq!(with(bad).expect_err("opset")[0].code, "ZT004", "{bad:?}");
    }
}

#[test]
fn limits() {
    assert_eq!(Model::x(&[N(1); 9]).node(node("Relu", &["x"], &["y"])).codes(), ["ZT003"]);
    assert_eq!(Model::x(&[N(1 << 14), N(1 << 15)]).node(node("Relu", &["x"], &["y"])).codes(), ["ZT003"]);
    // A few bytes that ask for a huge constant, and a chain that would grow beyond the limit.
    let huge = tensor("s", 7, &[2], &[[0, 0, 0, 0, 1, 0, 0, 0], [16, 0, 0, 0, 0, 0, 0, 0]].concat());
    assert_eq!(
        Model::default().constant(huge).node(node("ConstantOfShape", &["s"], &["y"])).codes(),
        ["ZT003"]
    );
    let mut chain = Model::default().constant(reals("a", &[1 << 10, 1], &vec![0.0; 1 << 10]));
    chain = chain.constant(reals("b", &[1, 1 << 14], &vec![0.0; 1 << 14]));
    for k in 0..20 {
        chain = chain.node(node("Add", &["a", "b"], &[&format!("t{k}")]));
    }
    assert!(chain.node(node("Identity", &["t19"], &["y"])).codes().contains(&"ZT003"));
}

#[test]
fn damaged_graphs() {
    let x = || Model::x(&[N(2)]);
    assert_eq!(x().node(node("Relu", &["nothing"], &["y"])).codes(), ["ZT005"]);
    assert_eq!(x().codes(), ["ZT005"]);
    let cycle = x().node(node("Relu", &["b"], &["a"])).node(node("Relu", &["a"], &["b"])).node(node(
        "Add",
        &["a", "x"],
        &["y"],
    ));
    assert!(cycle.codes().contains(&"ZT005"));
    let twice = x().node(node("Relu", &["x"], &["y"])).node(node("Neg", &["x"], &["y"]));
    assert_eq!(twice.codes(), ["ZT005"]);
    assert_eq!(
        x().constant(reals("w", &[3], &[1.0])).node(node("Add", &["x", "w"], &["y"])).codes(),
        ["ZT007"]
    );
    assert_eq!(
        x().constant(reals("w", &[-3], &[1.0])).node(node("Add", &["x", "w"], &["y"])).codes(),
        ["ZT007"]
    );
    assert_eq!(
        x().constant(reals("w", &[3], &[0.0; 3])).node(node("Add", &["x", "w"], &["y"])).codes(),
        ["ZT016"]
    );
    assert_eq!(x().node(node("Relu", &["x", "x"], &["y"])).codes(), ["ZT014"]);
    assert_eq!(x().node(node("MatMul", &["x"], &["y"])).codes(), ["ZT014"]);
    for bytes in [&b""[..], b"version https://git-lfs.github.com/spec/v1", &[0xff; 64]] {
        assert_eq!(parse(bytes, None, &ImportOptions::default()).expect_err("bytes")[0].code, "ZT002");
    }
}

#[test]
fn modes_and_types() {
    let image = || Model::x(&[N(1), N(1), N(4), N(4)]);
    let pool = node("MaxPool", &["x"], &["y", "indices"]);
    let ints = |m: Message, name: &str, v: &[i64]| {
        let list = v.iter().fold(Message::default().text(1, name), |a, i| a.int(8, *i));
        m.message(5, list.int(20, 7))
    };
    let used = image()
        .node(ints(pool, "kernel_shape", &[2, 2]))
        .node(node("Cast", &["indices"], &["z"]).with_int("to", 1))
        .node(node("Relu", &["z"], &["w"]));
    assert_eq!(used.codes(), ["ZT018"]);
    assert_eq!(image().node(node("Pad", &["x"], &["y"])).codes(), ["ZT016"]);
    assert_eq!(image().node(node("Cast", &["x"], &["y"]).with_int("to", 8)).codes(), ["ZT008"]);
    assert_eq!(image().node(node("Greater", &["x", "x"], &["y"])).codes(), ["ZT015"]);
    assert_eq!(Model::x(&[N(2)]).node(node("LayerNormalization", &["x", "x"], &["y"])).codes(), ["ZT011"]);
    let text = Model::default().input(value("x", 8, &[N(1)])).node(node("Identity", &["x"], &["y"]));
    assert_eq!(text.codes(), ["ZT022"]);
    let tree = node("TreeEnsembleClassifier", &["x"], &["y"]).text(7, "ai.onnx.ml");
    assert_eq!(Model::x(&[N(1), N(2)]).node(tree).codes(), ["ZT040"]);
    let outside = tensor("w", 1, &[2], &[])
        .int(14, 1)
        .message(13, Message::default().text(1, "location").text(2, "w.bin"));
    assert_eq!(Model::x(&[N(2)]).constant(outside).node(node("Add", &["x", "w"], &["y"])).codes(), ["ZT006"]);
}

/// Weights in a file beside the model are read, and the file is named so that it can be hashed.
#[test]
fn external_weights() {
    let dir = std::env::temp_dir().join(format!("zerotell-external-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("directory");
    let weights: Vec<u8> = [9.0f32, 1.0, 2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    std::fs::write(dir.join("w.bin"), weights).expect("weights");
    let entry = |k: &str, v: &str| Message::default().text(1, k).text(2, v);
    let w = Message::default().int(1, 2).int(2, 1).text(8, "w").int(14, 1);
    let w = w.message(13, entry("location", "w.bin")).message(13, entry("offset", "4"));
    let model = Model::x(&[N(2)]).constant(w).node(node("Add", &["x", "w"], &["y"])).opset("", 17);
    std::fs::write(dir.join("m.onnx"), model.bytes_with(&["y"])).expect("model");
    let imported = load(&dir.join("m.onnx"), &ImportOptions::default()).expect("import");
    let y = run(&imported.graph, &[Tensor::f32(&[2], vec![10.0, 20.0])]).expect("run");
    assert_eq!(y[0].as_f32(), Some(&[11.0, 22.0][..]));
    assert_eq!(imported.external, [dir.canonicalize().expect("path").join("w.bin")]);
    assert_eq!(load(&dir, &ImportOptions::default()).expect_err("a directory")[0].code, "ZT001");
    std::fs::remove_dir_all(&dir).expect("clean up");
}

/// A function that calls itself ends, and says why.
#[test]
fn recursive_function() {
    let body = node("Twice", &["a"], &["b"]).text(7, "local");
    let function =
        Message::default().text(1, "Twice").text(4, "a").text(5, "b").message(7, body).text(10, "local");
    let mut model = Model::x(&[N(2)]).node(node("Twice", &["x"], &["y"]).text(7, "local"));
    model.rest = model.rest.message(25, function);
    assert_eq!(model.codes(), ["ZT031"]);
}

/// Deeply nested branches cannot exhaust the stack.
#[test]
fn nested_branches() {
    let mut graph = Message::default()
        .message(1, node("Relu", &["x"], &["y"]))
        .message(12, Message::default().text(1, "y"));
    for _ in 0..3000 {
        let then = Message::default().text(1, "then_branch").message(6, graph).int(20, 5);
        graph = Message::default()
            .message(1, node("If", &["c"], &["y"]).message(5, then))
            .message(12, Message::default().text(1, "y"));
    }
    let model = Model::x(&[N(2)]).constant(tensor("c", 9, &[1], &[1]));
    let outer = Message::default().text(1, "then_branch").message(6, graph).int(20, 5);
    assert_eq!(model.node(node("If", &["c"], &["y"]).message(5, outer)).codes(), ["ZT030"]);
}

#[test]
fn older_files_list_constants_as_inputs() {
    let imported = Model::x(&[N(2)])
        .input(value("w", 1, &[N(2)]))
        .constant(reals("w", &[2], &[1.0, 2.0]))
        .node(node("Add", &["x", "w"], &["y"]))
        .import()
        .expect("import");
    assert_eq!(imported.graph.inputs.len(), 1);
}

/// Declared shapes of outputs are not trusted, and packed attribute lists are read.
#[test]
fn tolerant_where_it_is_safe() {
    let packed = Message::default().text(1, "perm").bytes(8, &[1, 0]).int(20, 7);
    let model =
        Model::x(&[N(2), N(3)]).node(node("Transpose", &["x"], &["y"]).message(5, packed)).opset("", 17);
    let graph = model.graph.message(12, value("y", 7, &[N(99)]));
    let bytes = model.rest.int(1, 8).message(7, graph).0;
    let imported = parse(&bytes, None, &ImportOptions::default()).expect("import");
    let y = imported.graph.value(imported.graph.outputs[0]);
    assert_eq!((y.shape.as_slice(), y.dtype), (&[3, 2][..], DType::F32));
}

#[test]
fn constants_and_inputs_as_outputs() {
    let model = Model::x(&[N(2)])
        .constant(reals("w", &[1], &[7.0]))
        .node(node("Identity", &["x"], &["y"]))
        .opset("", 17);
    let imported =
        parse(&model.bytes_with(&["y", "w", "x"]), None, &ImportOptions::default()).expect("import");
    assert!(imported.graph.nodes.is_empty());
    assert_eq!(imported.output_names, ["y", "w", "x"]);
    let x = Tensor::f32(&[2], vec![1.0, 2.0]);
    let found = run(&imported.graph, std::slice::from_ref(&x)).expect("run");
    assert_eq!(found, [x.clone(), Tensor::f32(&[1], vec![7.0]), x]);
}

#[test]
fn fixed_inputs_become_constants() {
    let model =
        || Model::x(&[N(2), N(3)]).input(value("s", 7, &[N(1)])).node(node("Reshape", &["x", "s"], &["y"]));
    assert_eq!(model().codes(), ["ZT015"]);
    let constants = [("s".to_string(), Tensor::i64(&[1], vec![-1]))].into();
    let options = ImportOptions { constants, ..Default::default() };
    let imported = model().opset("", 17).import_with(&options).expect("fixed");
    assert_eq!(imported.graph.value(imported.graph.outputs[0]).shape, [6]);
    assert_eq!(imported.graph.inputs.len(), 1);
}

#[test]
fn run_checks_its_inputs() {
    let graph = Model::x(&[N(2)]).node(node("Relu", &["x"], &["y"])).import().expect("import").graph;
    assert!(matches!(run(&graph, &[]), Err(RunError::InputCount { .. })));
    assert!(matches!(run(&graph, &[Tensor::f32(&[3], vec![0.0; 3])]), Err(RunError::InputShape { .. })));
    assert!(matches!(run(&graph, &[Tensor::i64(&[2], vec![0; 2])]), Err(RunError::InputType { .. })));
}

#[test]
fn attributes_reach_the_graph() {
    let alpha = Message::default().text(1, "alpha").float(2, 0.25).int(20, 1);
    let model = Model::x(&[N(2)]).node(node("LeakyRelu", &["x"], &["y"]).message(5, alpha));
    assert_eq!(model.import().expect("import").graph.nodes[0].op, Op::Unary(Unary::LeakyRelu(0.25)));
}

#[test]
fn codes_and_operators_are_documented() {
    let all: Vec<&str> = codes().collect();
    assert!(all.is_sorted() && all.iter().all(|c| explain(c).is_some_and(|t| t.len() > 60)));
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert_eq!(explain("ZT999"), None);
    let names: Vec<String> = operators().into_iter().map(|o| o.name).collect();
    for name in ["Conv", "Gemm", "Softmax", "QuantizeLinear", "ai.onnx.ml.Scaler"] {
        assert!(names.iter().any(|n| n == name), "{name}");
    }
    assert!(names.is_sorted() && names.len() > 90, "{}", names.len());
}

fn files() -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut paths: Vec<_> =
        std::fs::read_dir(dir).expect("tests/data").map(|e| e.expect("entry").path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "onnx"));
    paths.sort();
    paths.iter().map(|p| std::fs::read(p).expect("model")).collect()
}

/// Imports damaged bytes and, when that works, runs small graphs.
fn survive(bytes: &[u8]) {
    let Ok(imported) = parse(bytes, None, &ImportOptions::default()) else { return };
    let g = &imported.graph;
    let size = |v: &zerotell_model::graph::Value| v.shape.iter().product::<usize>();
    if g.values.iter().map(size).sum::<usize>() > 1 << 18 {
        return;
    }
    let zeros = |id: &zerotell_model::graph::ValueId| match g.value(*id).dtype {
        DType::F32 => Tensor::f32(&g.value(*id).shape, vec![0.5; size(g.value(*id))]),
        _ => Tensor::i64(&g.value(*id).shape, vec![1; size(g.value(*id))]),
    };
    let inputs: Vec<Tensor> = g.inputs.iter().map(zeros).collect();
    if let Ok(outputs) = run(g, &inputs) {
        for (id, t) in g.outputs.iter().zip(outputs) {
            assert_eq!(t.shape, g.value(*id).shape);
        }
    }
}

#[test]
fn every_truncation_survives() {
    for file in files().iter().filter(|f| f.len() < 1500) {
        (0..file.len()).for_each(|n| survive(&file[..n]));
    }
}

/// Every single byte of the small models, each with a few replacements.
#[test]
fn every_byte_changed_survives() {
    for file in files().iter().filter(|f| f.len() < 700) {
        let mut bytes = file.clone();
        for i in 0..bytes.len() {
            for change in [1, 0x80, 0xff] {
                bytes[i] ^= change;
                survive(&bytes);
                bytes[i] ^= change;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]
    #[test]
    fn damage_survives(pick in any::<prop::sample::Index>(), edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>(), keep in any::<bool>()) {
        let files = FILES.get_or_init(files);
        let mut bytes = pick.get(files).clone();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if !keep {
            bytes.truncate(cut.index(bytes.len()));
        }
        survive(&bytes);
    }
}

static FILES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
