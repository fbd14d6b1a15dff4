//! Whole models with outputs computed by onnxruntime (`tests/data/generate.py` made them), and
//! models trained with scikit-learn on public data sets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use zerotell_model::graph::{DType, Graph, Op};
use zerotell_model::tensor::{Data, Tensor};
use zerotell_model::{ImportOptions, Imported, load, run, run_all, simplify};

/// One tensor of a `.txt` file.
struct Stored {
    is_input: bool,
    name: String,
    tensor: Tensor,
}

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// Reads the blocks `kind name dtype shape...` and their values.
fn stored(name: &str) -> Vec<Stored> {
    let text = std::fs::read_to_string(data().join(format!("{name}.txt"))).expect("expected outputs");
    let lines: Vec<&str> = text.lines().collect();
    lines.chunks(2).map(|pair| block(pair[0], pair[1])).collect()
}

fn block(head: &str, values: &str) -> Stored {
    let head: Vec<&str> = head.split_whitespace().collect();
    let shape: Vec<usize> = head[3..].iter().map(|d| d.parse().expect("length")).collect();
    let values = values.split_whitespace();
    let tensor = match head[2] {
        "float32" => Tensor::f32(&shape, values.map(|v| v.parse().expect("float")).collect()),
        "int64" => Tensor::i64(&shape, values.map(|v| v.parse().expect("integer")).collect()),
        other => panic!("type {other}"),
    };
    Stored { is_input: head[0] == "input", name: head[1].to_string(), tensor }
}

fn import(name: &str, options: &ImportOptions) -> Imported {
    load(&data().join(format!("{name}.onnx")), options)
        .unwrap_or_else(|p| panic!("{name}: {}", p.iter().map(|p| format!("{p}\n")).collect::<String>()))
}

fn agree(what: &str, found: &Tensor, expected: &Tensor) {
    assert_eq!(found.shape, expected.shape, "{what}");
    match (&found.data, &expected.data) {
        (Data::F32(a), Data::F32(b)) => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                assert!((a - b).abs() <= 1e-5 + 1e-4 * b.abs(), "{what}, element {i}: {a}, expected {b}");
            }
        }
        (a, b) => assert_eq!(a, b, "{what}"),
    }
}

/// Names of all cases but the trained models.
fn cases() -> Vec<String> {
    let names = std::fs::read_dir(data()).expect("tests/data").map(|e| e.expect("entry").path());
    let is_model = |p: &PathBuf| p.extension().is_some_and(|e| e == "onnx");
    let mut names: Vec<String> =
        names.filter(is_model).map(|p| p.file_stem().expect("name").to_string_lossy().into_owned()).collect();
    names.retain(|n| !TRAINED.contains(&n.as_str()));
    names.sort();
    names
}

const TRAINED: &[&str] = &["breast_cancer_mlp", "pima_mlp", "pima_logreg", "crx_logreg"];

fn outputs(imported: &Imported, graph: &Graph, stored: &[Stored]) -> BTreeMap<String, Tensor> {
    let inputs: Vec<Tensor> = stored.iter().filter(|s| s.is_input).map(|s| s.tensor.clone()).collect();
    imported.output_names.iter().cloned().zip(run(graph, &inputs).expect("run")).collect()
}

#[test]
fn agrees_with_onnxruntime() {
    let cases = cases();
    assert!(cases.len() >= 41, "cases are missing: {}", cases.len());
    for name in cases {
        let stored = stored(&name);
        for keep_quantized in [false, true] {
            let imported = import(&name, &ImportOptions { keep_quantized, ..Default::default() });
            let found = outputs(&imported, &imported.graph, &stored);
            let is_label = |name: &str| name == "label";
            for s in
                stored.iter().filter(|s| !s.is_input && found.contains_key(&s.name) && !is_label(&s.name))
            {
                agree(&format!("{name}: {}", s.name), &found[&s.name], &s.tensor);
            }
            let again = simplify(&imported.graph);
            assert_eq!(outputs(&imported, &again, &stored), found, "{name}: simplify changed the results");
        }
    }
}

#[test]
fn trained_models() {
    for name in TRAINED {
        let imported = import(name, &ImportOptions::default());
        assert_eq!(imported.output_names, ["probabilities"], "{name}");
        let labels = imported.labels.as_ref().expect("labels");
        assert!(imported.notes.iter().any(|n| n.contains("`label` was stripped")), "{:?}", imported.notes);
        let stored = stored(name);
        let width = stored[0].tensor.shape[1];
        let rows = stored[0].tensor.as_f32().expect("inputs").chunks(width);
        let (expected_labels, scores) =
            (stored[1].tensor.as_i64().expect("labels"), stored[2].tensor.as_f32().expect("scores"));
        for (i, row) in rows.enumerate() {
            let out = run(&imported.graph, &[Tensor::f32(&[1, width], row.to_vec())]).expect("run");
            agree(name, &out[0], &Tensor::f32(&[1, 2], scores[2 * i..2 * i + 2].to_vec()));
            let p = out[0].as_f32().expect("scores");
            assert_eq!(labels[usize::from(p[1] > p[0])], expected_labels[i].to_string(), "{name} row {i}");
        }
    }
}

/// A batch gives the same rows as single samples.
#[test]
fn batches() {
    let options = ImportOptions { dims: [("X.0".to_string(), 12)].into(), ..Default::default() };
    let imported = import("breast_cancer_mlp", &options);
    let stored = stored("breast_cancer_mlp");
    agree("batch", &run(&imported.graph, &[stored[0].tensor.clone()]).expect("run")[0], &stored[2].tensor);
}

#[test]
fn label_tail_is_gone() {
    let graph = import("breast_cancer_mlp", &ImportOptions::default()).graph;
    assert!(!graph.nodes.iter().any(|n| matches!(n.op, Op::ArgMax { .. } | Op::Cast | Op::Reshape)));
    assert_eq!(graph.nodes.iter().filter(|n| n.op == Op::MatMul).count(), 3);
}

#[test]
fn linear_labels() {
    let imported = import("linear_single_row", &ImportOptions::default());
    let stored = stored("linear_single_row");
    let p = outputs(&imported, &imported.graph, &stored)["p"].clone();
    let p = p.as_f32().expect("scores");
    let label = &imported.labels.expect("labels")[usize::from(p[1] > p[0])];
    assert_eq!(
        *label,
        stored.iter().find(|s| s.name == "label").expect("label").tensor.as_i64().expect("integers")[0]
            .to_string()
    );
}

/// A label that is not that of the largest score stays, as an index.
#[test]
fn label_of_one_score() {
    let imported = import("label_of_one_score", &ImportOptions::default());
    assert_eq!(imported.output_names, ["s", "label"]);
    assert_eq!(imported.labels.as_deref(), Some(&["10".to_string(), "20".to_string()][..]));
    for (x, index) in [([1.0, 1.0, 0.0], 1), ([-1.0, 0.0, 5.0], 0)] {
        let out = run(&imported.graph, &[Tensor::f32(&[1, 3], x.to_vec())]).expect("run");
        assert_eq!(out[1].as_i64(), Some(&[index][..]));
    }
}

#[test]
fn zip_map_is_stripped() {
    let imported = import("linear_softmax", &ImportOptions::default());
    assert!(imported.notes.iter().any(|n| n.starts_with("ZipMap")), "{:?}", imported.notes);
    assert_eq!(imported.labels.expect("labels"), ["a", "b", "c"]);
}

/// The user's own scales survive verbatim when asked for.
#[test]
fn quantised_scales() {
    let graph = import("qdq", &ImportOptions { keep_quantized: true, ..Default::default() }).graph;
    let weights =
        graph.nodes.iter().find(|n| n.output == conv(&graph).inputs[1]).expect("dequantised weights");
    let Op::Dequantize { axis: 0, scale, zero } = &weights.op else { panic!("{:?}", weights.op) };
    assert_eq!((scale.len(), zero), (4, &vec![0; 4]));
    assert_eq!(graph.value(weights.inputs[0]).dtype, DType::I8);
    let folded = import("qdq", &ImportOptions::default()).graph;
    assert!(folded.value(conv(&folded).inputs[1]).constant.is_some());
}

/// A transposed weight stays DequantizeLinear of a constant, its scales on the moved axis.
#[test]
fn quantised_transpose() {
    let graph = import("qdq_gemm", &ImportOptions { keep_quantized: true, ..Default::default() }).graph;
    assert!(!graph.nodes.iter().any(|n| matches!(n.op, Op::Transpose(_))));
    let matmul = graph.nodes.iter().find(|n| n.op == Op::MatMul).expect("MatMul");
    let weights = graph.nodes.iter().find(|n| n.output == matmul.inputs[1]).expect("weights");
    assert!(matches!(&weights.op, Op::Dequantize { axis: 1, scale, .. } if scale.len() == 4));
    assert_eq!(graph.value(weights.inputs[0]).shape, [6, 4]);
}

fn conv(graph: &Graph) -> &zerotell_model::graph::Node {
    graph.nodes.iter().find(|n| matches!(n.op, Op::Conv { .. })).expect("Conv")
}

/// Every value of the graph is there for calibration.
#[test]
fn all_values() {
    let graph = import("conv_batchnorm", &ImportOptions::default()).graph;
    let x = stored("conv_batchnorm")[0].tensor.clone();
    let all = run_all(&graph, &[x]).expect("run");
    assert_eq!(all.len(), graph.values.len());
    for (tensor, value) in all.iter().zip(&graph.values) {
        assert_eq!(tensor.as_ref().expect("every value is needed").shape, value.shape, "{}", value.name);
    }
}
