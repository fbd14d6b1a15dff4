//! The ONNX backend test cases, as plain files: models with stored inputs and outputs.
//!
//! Four outcomes are counted. A wrong answer or a crash fails the test; right answers must not
//! become fewer; refusals are printed with their reasons.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use zerotell_model::graph::DType;
use zerotell_model::tensor::{Data, Tensor};
use zerotell_model::{
    ImportOptions, Imported, Problem, RunError, parse, run, tensor_from_bytes, tensor_name_from_bytes,
};

/// Cases that are right now; raise it when it grows.
const RIGHT: usize = 660;

/// What became of a case.
enum Outcome {
    /// All outputs agree; how much was bound as constants.
    Right(&'static str),
    /// A clear refusal: code and operator or message.
    Refused(String),
    Wrong(String),
    Crash,
}

/// The directory with the cases.
fn root() -> PathBuf {
    let root =
        std::env::var("ZEROTELL_ONNX_TESTDATA").unwrap_or_else(|_| "/usr/share/libonnx-testdata/data".into());
    let root = PathBuf::from(root);
    assert!(
        root.join("node").is_dir(),
        "the ONNX backend cases are missing: install Debian's package `libonnx-testdata` \
         (apt-get install libonnx-testdata) or point ZEROTELL_ONNX_TESTDATA at its `data` directory"
    );
    root
}

/// Stored tensors `input_0.pb`, `input_1.pb`, ...
fn stored(dir: &Path, kind: &str) -> Result<Vec<(Tensor, DType)>, Problem> {
    let mut out = Vec::new();
    while let Ok(bytes) = std::fs::read(dir.join(format!("{kind}_{}.pb", out.len()))) {
        out.push(tensor_from_bytes(&bytes)?);
    }
    Ok(out)
}

/// Names of the stored inputs, in order.
fn names(dir: &Path, count: usize) -> Vec<String> {
    let name = |i: usize| {
        let bytes = std::fs::read(dir.join(format!("input_{i}.pb"))).expect("stored input");
        tensor_name_from_bytes(&bytes).expect("stored name")
    };
    (0..count).map(name).collect()
}

type Bindings = BTreeMap<String, Tensor>;

/// Which inputs to fix: shapes and axes first, then all parameters, then everything.
fn bindings(names: &[String], inputs: &[(Tensor, DType)]) -> Vec<(&'static str, Bindings)> {
    let chosen = |keep: &dyn Fn(usize) -> bool| -> Bindings {
        (0..inputs.len()).filter(|i| keep(*i)).map(|i| (names[i].clone(), inputs[i].0.clone())).collect()
    };
    vec![
        ("as it is", Bindings::new()),
        ("with integer operands fixed", chosen(&|i| inputs[i].1 == DType::I64)),
        ("with parameters fixed", chosen(&|i| i > 0)),
        ("folded", chosen(&|_| true)),
    ]
}

fn case(dir: &Path) -> Outcome {
    let model = std::fs::read(dir.join("model.onnx")).expect("model.onnx");
    let data = dir.join("test_data_set_0");
    let (mut inputs, outputs) = match (stored(&data, "input"), stored(&data, "output")) {
        (Ok(i), Ok(o)) => (i, o),
        (Err(p), _) | (_, Err(p)) => {
            // Sequences and texts are not tensors; the import must refuse them as well.
            return match parse(&model, Some(dir), &ImportOptions::default()) {
                Err(problems) => Outcome::Refused(reason(&problems)),
                Ok(_) => Outcome::Refused(format!("{} stored tensor: {}", p.code, p.message)),
            };
        }
    };
    if dir.to_string_lossy().contains("BFLOAT16_to") {
        bits_to_bfloat16(&mut inputs);
    }
    let names = names(&data, inputs.len());
    let mut first = None;
    for (how, constants) in bindings(&names, &inputs) {
        let options = ImportOptions { constants: constants.clone(), ..Default::default() };
        match parse(&model, Some(dir), &options) {
            Ok(imported) => {
                let free = (0..inputs.len()).filter(|i| !constants.contains_key(&names[*i]));
                let free: Vec<(String, Tensor)> =
                    free.map(|i| (names[i].clone(), inputs[i].0.clone())).collect();
                return compare(&imported, &free, &outputs, how, tolerance(dir));
            }
            Err(problems) => first = first.or(Some(reason(&problems))),
        }
    }
    Outcome::Refused(first.unwrap_or_default())
}

/// Relative tolerance. Results stored as float16 have 11 bits; one pooling case stores four digits;
/// the stored results of the window functions are themselves off by 1e-4 (0.34556 for
/// 0.5 - 0.5 cos(1.6 pi) = 0.34549).
fn tolerance(dir: &Path) -> f32 {
    let name = dir.to_string_lossy().to_lowercase();
    let window = name.contains("window") && name.ends_with("expanded");
    let rough = name.contains("float16") || window || name.ends_with("last_window_starts_on_pad");
    if rough { 1e-3 } else { 1e-4 }
}

/// The suite stores bfloat16 values as the 16-bit integers of their bits.
fn bits_to_bfloat16(inputs: &mut [(Tensor, DType)]) {
    for (tensor, dtype) in inputs.iter_mut().filter(|(_, d)| *d == DType::U16) {
        let bits = tensor.as_i64().expect("integers").iter();
        let values = bits.map(|b| f32::from_bits((*b as u32) << 16)).collect();
        (*tensor, *dtype) = (Tensor::f32(&tensor.shape, values), DType::F32);
    }
}

fn reason(problems: &[Problem]) -> String {
    let p = &problems[0];
    let message = p.message.split(['`', '(', ':']).next().unwrap_or_default().trim();
    format!("{} {}: {message}", p.code, p.operator.as_deref().unwrap_or("-"))
}

fn compare(
    imported: &Imported,
    free: &[(String, Tensor)],
    expected: &[(Tensor, DType)],
    how: &'static str,
    rtol: f32,
) -> Outcome {
    // Stored inputs follow the order of the graph's inputs; match by name where there is one.
    let find = |id: &zerotell_model::graph::ValueId| {
        let name = &imported.graph.value(*id).name;
        free.iter().find(|(n, _)| n == name).map(|(_, t)| t.clone())
    };
    let by_name: Option<Vec<Tensor>> = imported.graph.inputs.iter().map(find).collect();
    let inputs = by_name.unwrap_or_else(|| free.iter().map(|(_, t)| t.clone()).collect());
    let found = match run(&imported.graph, &inputs) {
        Ok(found) => found,
        // A stored input that contradicts the model's declared shape (two cases) is refused.
        Err(RunError::InputShape { .. }) => return Outcome::Refused("input shape".into()),
        Err(e) => return Outcome::Wrong(format!("run: {e}")),
    };
    if found.len() != expected.len() {
        return Outcome::Wrong(format!("{} outputs, {} stored", found.len(), expected.len()));
    }
    for ((found, (stored, dtype)), id) in found.iter().zip(expected).zip(&imported.graph.outputs) {
        let declared = imported.graph.value(*id).dtype;
        if declared != *dtype {
            return Outcome::Wrong(format!("type {declared:?}, stored {dtype:?}"));
        }
        if let Err(why) = agree(found, stored, rtol) {
            return Outcome::Wrong(why);
        }
    }
    Outcome::Right(how)
}

fn agree(found: &Tensor, stored: &Tensor, rtol: f32) -> Result<(), String> {
    if found.shape != stored.shape {
        return Err(format!("shape {:?}, stored {:?}", found.shape, stored.shape));
    }
    match (&found.data, &stored.data) {
        (Data::F32(a), Data::F32(b)) => {
            let close = |(a, b): (&f32, &f32)| {
                a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-5 + rtol * b.abs()
            };
            match a.iter().zip(b).position(|pair| !close(pair)) {
                Some(i) => Err(format!("element {i}: {}, stored {}", a[i], b[i])),
                None => Ok(()),
            }
        }
        (a, b) if a == b => Ok(()),
        (a, b) => Err(format!("{a:?}, stored {b:?}").chars().take(200).collect()),
    }
}

#[test]
fn backend_cases() {
    let root = root();
    let (mut right, mut refused) = (BTreeMap::<&str, usize>::new(), BTreeMap::<String, usize>::new());
    let (mut wrong, mut crash, mut total) = (Vec::new(), Vec::new(), 0);
    for folder in ["node", "pytorch-operator", "pytorch-converted", "simple"] {
        let mut cases: Vec<PathBuf> =
            std::fs::read_dir(root.join(folder)).expect(folder).map(|e| e.unwrap().path()).collect();
        cases.sort();
        for dir in cases.iter().filter(|d| d.join("model.onnx").is_file()) {
            total += 1;
            let name = format!("{folder}/{}", dir.file_name().unwrap().to_string_lossy());
            match catch_unwind(|| case(dir)).unwrap_or(Outcome::Crash) {
                Outcome::Right(how) => *right.entry(how).or_default() += 1,
                Outcome::Refused(why) => {
                    if std::env::var("ZEROTELL_VERBOSE").is_ok() {
                        println!("refused {name}: {why}");
                    }
                    *refused.entry(why).or_default() += 1;
                }
                Outcome::Wrong(why) => wrong.push(format!("{name}: {why}")),
                Outcome::Crash => crash.push(name),
            }
        }
    }
    let count: usize = right.values().sum();
    println!(
        "{total} cases: {count} right, {} refused, {} wrong, {} crashed",
        refused.values().sum::<usize>(),
        wrong.len(),
        crash.len()
    );
    println!("right: {right:?}");
    let mut table: Vec<_> = refused.into_iter().collect();
    table.sort_by_key(|(why, n)| (std::cmp::Reverse(*n), why.clone()));
    table.iter().for_each(|(why, n)| println!("{n:5} refused  {why}"));
    assert!(wrong.is_empty(), "wrong answers:\n{}", wrong.join("\n"));
    assert!(crash.is_empty(), "crashes:\n{}", crash.join("\n"));
    assert!(count >= RIGHT, "{count} cases are right, it was {RIGHT}");
}
