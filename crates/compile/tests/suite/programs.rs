//! Determinism, exactness of the user's own quantisation, refusals, random shapes,
//! and models that exporters made.

use std::path::Path;

use super::common::{Net, check, check_on, window};
use model::graph::{Binary, DType, Op, Unary};
use model::tensor::Tensor;
use proptest::prelude::*;
use zerotell_compile::{Compiled, Options, Precision, compile, estimate};

fn bits(weights: u8, activations: u8) -> Options {
    Options { precision: Precision::Bits { weights, activations }, ..Options::default() }
}

fn small_cnn(seed: u64) -> Net {
    let mut net = Net::new(seed);
    let x = net.input(&[1, 2, 8, 8]);
    let c = net.conv(x, 4, &window(3, 1, 1), 1);
    let c = net.unary(Unary::Gelu, c);
    let c = net.max_pool(c, &window(2, 2, 0));
    let f = net.reshape(c, &[1, 64]);
    let y = net.dense(f, 4);
    let p = net.node(Op::Softmax { axis: 1, log: false }, &[y], &[1, 4]);
    net.output(p);
    net
}

/// Axes of length 1 behind a last softmax leave it a last softmax.
#[test]
fn a_last_softmax_may_be_reshaped() {
    let mut net = Net::new(5);
    let x = net.input(&[1, 6]);
    let y = net.dense(x, 4);
    let p = net.node(Op::Softmax { axis: 1, log: false }, &[y], &[1, 4]);
    let r = net.reshape(p, &[1, 4, 1, 1]);
    net.output(r);
    let samples = net.samples(30);
    let compiled = compile(&net.graph, &samples, &Options::default()).expect("compiles");
    assert_eq!(compiled.meta.outputs[0].then, "softmax");
    assert_eq!(compiled.meta.outputs[0].shape, [4]);
}

/// A name for everything a compilation gives.
fn digest(c: &Compiled) -> String {
    let text = format!("{:?} {:?} {}", c.program, c.weights, c.report.to_json());
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

#[test]
fn two_runs_give_the_same_bytes() {
    let one = || {
        let mut net = small_cnn(7);
        let samples = net.samples(30);
        compile(&net.graph, &samples, &Options::default()).expect("compiles")
    };
    let (a, b) = (one(), one());
    assert_eq!(a.program, b.program);
    assert_eq!(digest(&a), digest(&b));
    assert_eq!(a.meta.report_digest, a.report.digest());
    assert_eq!(a.program.metadata, a.meta.to_bytes());
    assert_eq!(a.meta.outputs[0].then, "softmax");
    assert_eq!(a.meta.outputs[0].kind, "logits");
}

/// Noise in the last bits of a float run must not reach the program.
#[test]
fn noise_in_the_last_bit_gives_the_same_program() {
    let mut net = small_cnn(8);
    let samples = net.samples(30);
    let moved: Vec<Vec<Tensor>> = samples
        .iter()
        .map(|s| {
            s.iter()
                .map(|t| {
                    Tensor::f32(
                        &t.shape,
                        t.as_f32().expect("floats").iter().map(|x| x * (1.0 + 1e-7)).collect(),
                    )
                })
                .collect()
        })
        .collect();
    let options = bits(8, 8);
    let a = compile(&net.graph, &samples, &options).expect("compiles");
    let b = compile(&net.graph, &moved, &options).expect("compiles");
    assert_eq!((a.program.tensors, a.program.operators), (b.program.tensors, b.program.operators));
    assert_eq!(a.weights, b.weights);
}

/// Power-of-two scales: every rounding is half to even, exactly as ONNX defines it.
#[test]
fn half_to_even_is_exact_for_dyadic_scales() {
    let mut net = Net::new(1);
    let x = net.input(&[1, 6]);
    let quantize = |scale: f32, zero: i64| Op::Quantize { axis: 0, scale: vec![scale], zero: vec![zero] };
    let dequantize = |scale: f32, zero: i64| Op::Dequantize { axis: 0, scale: vec![scale], zero: vec![zero] };
    let q = net.typed(quantize(0.25, 3), &[x], &[1, 6], DType::U8);
    let d = net.node(dequantize(0.25, 3), &[q], &[1, 6]);
    let ints: Vec<i64> = (0..30).map(|i| (i * 37 % 15) - 7).collect();
    let w = net.integers(&[6, 5], DType::I8, ints.clone());
    let w = net.node(dequantize(0.125, 0), &[w], &[6, 5]);
    let b = net.integers(&[5], DType::I32, vec![5, -3, 0, 11, -8]);
    let b = net.node(dequantize(0.03125, 0), &[b], &[5]);
    let m = net.node(Op::MatMul, &[d, w], &[1, 5]);
    let m = net.binary(Binary::Add, m, b);
    let q = net.typed(quantize(0.5, -7), &[m], &[1, 5], DType::I8);
    let y = net.node(dequantize(0.5, -7), &[q], &[1, 5]);
    net.output(y);
    let samples: Vec<Vec<Tensor>> = (0..64)
        .map(|s| {
            vec![Tensor::f32(
                &[1, 6],
                (0..6).map(|i| ((s * 29 + i * 53) % 97) as f32 * 0.125 - 2.0).collect(),
            )]
        })
        .collect();
    let compiled = check_on(&net.graph, &samples, &Options::default(), 199.0);
    assert_eq!(compiled.meta.semantics, "exact");
    // The same by plain integers: half of 1/16 steps, ties to even.
    let mut ties = 0;
    for sample in &samples {
        let x: Vec<i64> = sample[0]
            .as_f32()
            .expect("floats")
            .iter()
            .map(|x| even(i64::from((x * 8.0) as i32), 2).clamp(-3, 252))
            .collect();
        let want: Vec<i64> = (0..5)
            .map(|o| {
                let acc: i64 = (0..6).map(|i| x[i] * ints[i * 5 + o]).sum::<i64>() + [5, -3, 0, 11, -8][o];
                ties += i64::from(acc.rem_euclid(16) == 8);
                even(acc, 16).clamp(-121, 134)
            })
            .collect();
        assert_eq!(run(&compiled, sample), want);
    }
    assert!(ties > 3, "the data must contain ties");
}

/// Round half to even of n / d.
fn even(n: i64, d: i64) -> i64 {
    let (q, r) = (n.div_euclid(d), n.rem_euclid(d));
    if 2 * r > d || (2 * r == d && q % 2 != 0) { q + 1 } else { q }
}

/// Integers of the first output for one sample.
fn run(compiled: &Compiled, sample: &[Tensor]) -> Vec<i64> {
    let tensor = compiled
        .program
        .tensors
        .iter()
        .position(|t| t.home == program::types::Home::Input)
        .expect("an input");
    let q = zerotell_compile::quantise_input(&compiled.meta, 0, sample[0].as_f32().expect("floats"))
        .expect("finite");
    let inputs = std::collections::BTreeMap::from([(tensor as u32, q.values)]);
    program::run(&compiled.program, 1, &inputs, &compiled.weights).expect("runs").remove(0)
}

/// A model that onnxruntime quantised: zero points, scales per channel, pooling.
#[test]
fn quantised_model_keeps_its_integers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/demo/digits_cnn_qdq.onnx");
    let options = model::ImportOptions { keep_quantized: true, ..Default::default() };
    let graph = model::load(&path, &options).expect("a model").graph;
    let mut random = super::common::Random(5);
    let samples: Vec<Vec<Tensor>> = (0..40)
        .map(|_| {
            vec![Tensor::f32(&[1, 1, 8, 8], random.list(64, 8.0).iter().map(|x| (x + 8.0).floor()).collect())]
        })
        .collect();
    // Beyond 140 dB only the float arithmetic of the reference is left: all integers agree.
    let compiled = check_on(&graph, &samples, &Options::default(), 140.0);
    assert_eq!(compiled.meta.semantics, "exact", "its multipliers are as good as floats");
}

fn codes(net: &Net, samples: &[Vec<Tensor>], options: &Options) -> Vec<&'static str> {
    let problems = compile(&net.graph, samples, options).expect_err("refused");
    for p in &problems {
        assert!(!p.reason.is_empty() && !p.fix.is_empty(), "{p}");
        assert!(zerotell_compile::CODES.iter().any(|c| c.0 == p.code), "{p}");
    }
    problems.iter().map(|p| p.code).collect()
}

#[test]
fn refusals_name_their_cause() {
    let options = Options::default();
    let mut net = small_cnn(9);
    let samples = net.samples(5);
    assert_eq!(codes(&net, &[], &options), ["ZT101"]);
    assert_eq!(codes(&net, &[vec![]], &options), ["ZT102"]);
    assert_eq!(codes(&net, &[vec![Tensor::f32(&[1, 2], vec![0.0; 2])]], &options), ["ZT102"]);
    let mut bad = samples.clone();
    bad[0][0] = Tensor::f32(&[1, 2, 8, 8], vec![f32::NAN; 128]);
    assert_eq!(codes(&net, &bad, &options), ["ZT106"]);
    assert_eq!(codes(&net, &samples, &bits(3, 8)), ["ZT108"]);
    assert_eq!(codes(&net, &samples, &Options { limb_bits: Some(17), ..options.clone() }), ["ZT108"]);
    assert_eq!(codes(&net, &samples, &Options { lambda: 83, ..options.clone() }), ["ZT108"]);
    assert_eq!(codes(&net, &samples, &Options { outputs: Some(vec![3]), ..options.clone() }), ["ZT108"]);
}

#[test]
fn all_problems_are_found_at_once() {
    let mut net = Net::new(3);
    let x = net.input(&[1, 6]);
    let a = net.dense(x, 4);
    let b = net.dense(x, 4);
    let d = net.binary(Binary::Div, a, b);
    let e = net.dense(d, 4);
    let s = net.node(Op::Softmax { axis: 1, log: false }, &[e], &[1, 4]);
    let y = net.dense(s, 3);
    net.output(y);
    let samples = net.samples(5);
    let problems = compile(&net.graph, &samples, &Options::default()).expect_err("refused");
    let nodes: Vec<&str> = problems.iter().map(|p| p.operator.as_str()).collect();
    assert_eq!(nodes, ["Binary", "Softmax"], "{problems:?}");
    assert!(problems.iter().all(|p| p.code == "ZT100"));
}

#[test]
fn the_accuracy_gate_refuses() {
    // Four bits cannot tell sixteen nearly equal scores apart.
    let mut net = Net::new(4);
    let x = net.input(&[1, 16]);
    let h = net.dense(x, 16);
    let h = net.relu(h);
    let y = net.dense(h, 16);
    net.output(y);
    let samples = net.samples(200);
    let strict = Options { min_agreement: Some(1.0), ..bits(4, 4) };
    assert_eq!(codes(&net, &samples, &strict), ["ZT104"]);
    let lenient = Options { min_agreement: Some(0.5), ..bits(4, 4) };
    let compiled = compile(&net.graph, &samples, &lenient).expect("half of the labels");
    let report = &compiled.report;
    assert!(report.label_agreement() < 1.0);
    let flips = report.outputs[0].flips;
    assert_eq!(flips, report.flips.len());
    assert!((report.label_agreement() - (1.0 - flips as f64 / 200.0)).abs() < 1e-12);
    assert!(report.to_text().contains("flip: sample"));
    // Auto finds the bits that keep every label.
    let auto = Options { min_agreement: Some(1.0), ..Options::default() };
    assert_eq!(compile(&net.graph, &samples, &auto).expect("more bits").report.agreement, Some(1.0));
}

#[test]
fn options_change_what_they_say() {
    let mut net = small_cnn(10);
    let one = check(&mut net, &Options { per_tensor_scales: true, ..bits(8, 8) }, 20.0);
    let rounds = one.program.operators.iter().filter_map(|op| match op {
        program::types::Operator::Round(r) => Some(&r.scale),
        _ => None,
    });
    assert!(rounds.into_iter().all(|s| matches!(s, program::types::Scale::One(_))));
    let limbs = check(&mut net, &Options { limb_bits: Some(5), zk: false, ..bits(8, 8) }, 20.0);
    assert_eq!(limbs.program.limb_bits, 5);
    assert_eq!(limbs.program.model_oracle.expect("private").log_t, None);
}

#[test]
fn estimates_count_what_is_committed() {
    let mut net = small_cnn(11);
    let compiled = check(&mut net, &bits(8, 8), 20.0);
    let units = Options::default().units;
    let one = estimate(&compiled.program, 1, &units, &compiled.nodes);
    let eight = estimate(&compiled.program, 8, &units, &compiled.nodes);
    assert_eq!(one.rows.len(), compiled.program.operators.len());
    for (a, b) in one.rows.iter().zip(&eight.rows) {
        assert_eq!((8 * a.values, 8 * a.lookups), (b.values, b.lookups));
    }
    assert_eq!(one.weights, compiled.weights.values().map(|w| w.len() as u64).sum::<u64>());
    assert!(eight.prove_ms > one.prove_ms && eight.proof_bytes > 0);
    // The columns counted are those that the lowering makes.
    let disclosure = program::Disclosure { inputs: vec![program::InputMode::Private], reveals: vec![] };
    let shape = program::Shape { batch: 1, disclosure: &disclosure, slots: &[] };
    let lowered = program::lower(&compiled.program, &shape).expect("lowers");
    let fresh: usize = lowered
        .tensors
        .iter()
        .filter(|t| t.place == program::lower::Place::Fresh)
        .map(|t| t.axes.iter().product::<usize>())
        .sum();
    let ratio = one.values as f64 / fresh as f64;
    assert!((0.98..1.05).contains(&ratio), "{} counted, {fresh} placed", one.values);
}

/// Rows of a trained model's file: `X` is (rows, features).
fn trained(name: &str) -> (model::graph::Graph, Vec<Vec<Tensor>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/data");
    let graph = model::load(&folder.join(format!("{name}.onnx")), &model::ImportOptions::default())
        .expect("a model")
        .graph;
    let text = std::fs::read_to_string(folder.join(format!("{name}.txt"))).expect("its data");
    let mut lines = text.lines();
    let width: usize =
        lines.next().and_then(|h| h.rsplit(' ').next()).expect("a shape").parse().expect("a number");
    let values: Vec<f32> =
        lines.next().expect("values").split_whitespace().map(|v| v.parse().expect("a number")).collect();
    let rows = values.chunks(width).map(|r| vec![Tensor::f32(&[1, width], r.to_vec())]).collect();
    (graph, rows)
}

#[test]
fn trained_models_keep_their_labels() {
    for name in ["breast_cancer_mlp", "pima_mlp", "pima_logreg", "crx_logreg"] {
        let (graph, rows) = trained(name);
        let compiled = check_on(&graph, &rows, &Options::default(), 30.0);
        assert_eq!(compiled.report.agreement, Some(1.0), "{name}\n{}", compiled.report.to_text());
    }
}

/// Models of one operator each, made by an exporter: refused for a reason, or near.
#[test]
fn exported_operators_are_near_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/data");
    let mut near = 0;
    let mut names: Vec<_> =
        std::fs::read_dir(folder).expect("data").map(|e| e.expect("entry").path()).collect();
    names.sort();
    for path in names.iter().filter(|p| p.extension().is_some_and(|e| e == "onnx")) {
        let options = model::ImportOptions { keep_quantized: true, ..Default::default() };
        let Ok(imported) = model::load(path, &options) else { continue };
        let graph = imported.graph;
        let mut random = super::common::Random(17);
        let floats = graph.inputs.iter().all(|&i| graph.value(i).dtype == DType::F32);
        if !floats {
            continue;
        }
        let samples: Vec<Vec<Tensor>> = (0..20)
            .map(|_| {
                let one = |&i: &model::graph::ValueId| {
                    let shape = &graph.value(i).shape;
                    Tensor::f32(shape, random.list(shape.iter().product(), 2.0))
                };
                graph.inputs.iter().map(one).collect()
            })
            .collect();
        match compile(&graph, &samples, &bits(12, 12)) {
            Ok(compiled) => {
                // 1 / x of numbers around 0 has no useful fixed-point scale.
                for output in compiled.report.outputs.iter().filter(|o| o.name != "Reciprocal") {
                    assert!(output.snr_db > 25.0, "{}: {}", path.display(), compiled.report.to_text());
                }
                super::common::relations(&compiled, &graph, &samples);
                near += 1;
            }
            Err(problems) => {
                let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
                assert!(problems.iter().all(|p| p.code != "ZT109"), "{}: {list:?}", path.display());
                println!("{}: {}", path.file_stem().unwrap_or_default().to_string_lossy(), list.join(" | "));
            }
        }
    }
    println!("{near} near");
    assert!(near >= 35, "only {near} of the exported models compile");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Convolutions of any small shape hold all relations and stay near.
    #[test]
    fn random_convolutions(
        seed in 0u64..1000, channels in 1usize..4, height in 3usize..8, width in 3usize..8,
        kernel in 1usize..4, stride in 1usize..3, pad in 0usize..2, depthwise: bool, pool: bool,
    ) {
        let mut net = Net::new(seed);
        let x = net.input(&[1, channels, height, width]);
        let w = model::graph::Window {
            kernel: vec![kernel, 2], strides: vec![stride, 1], dilations: vec![1, 1], pads: vec![(pad, 0), (1, pad)],
        };
        let (out, group) = if depthwise { (2 * channels, channels) } else { (5, 1) };
        let c = net.conv(x, out, &w, group);
        let mut c = net.relu(c);
        let shape = net.shape(c);
        if pool && shape[2] >= 2 && shape[3] >= 2 {
            c = net.max_pool(c, &window(2, 1, 1));
        }
        let flat = net.shape(c)[1..].iter().product();
        let f = net.reshape(c, &[1, flat]);
        let y = net.dense(f, 3);
        net.output(y);
        check(&mut net, &bits(10, 10), 22.0);
    }

    /// Reshapes and transposes of any small shape keep every entry in its place.
    #[test]
    fn random_movements(seed in 0u64..1000, a in 1usize..5, b in 1usize..5, c in 1usize..5, d in 1usize..4, order in 0usize..6) {
        let mut net = Net::new(seed);
        let x = net.input(&[1, a * b, c * d]);
        let x1 = net.reshape(x, &[1, a, b, c, d]);
        let perms = [[0, 1, 2, 3, 4], [0, 3, 1, 2, 4], [0, 4, 3, 2, 1], [0, 2, 1, 4, 3], [0, 3, 4, 1, 2], [0, 1, 4, 2, 3]];
        let lens = [1, a, b, c, d];
        let shape: Vec<usize> = perms[order].iter().map(|&p| lens[p]).collect();
        let t = net.node(Op::Transpose(perms[order].to_vec()), &[x1], &shape);
        let r = net.reshape(t, &[1, a * b * c * d]);
        let y = net.dense(r, 2);
        let z = net.reshape(r, &[1, a * b * c, d]);
        net.output(y);
        net.output(z);
        check(&mut net, &bits(10, 10), 30.0);
    }
}

/// A model that the user quantised needs no calibration data, and its integers are the user's own.
#[test]
fn a_quantised_model_is_exact_without_calibration() {
    for name in ["digits_cnn_qdq.onnx", "digits_cnn_qdq_u8.onnx"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/demo").join(name);
        let options = model::ImportOptions { keep_quantized: true, ..Default::default() };
        let imported = model::load(&path, &options).unwrap();
        let compiled = zerotell_compile::compile(&imported.graph, &[], &Default::default()).unwrap();
        assert_eq!(compiled.meta.semantics, "exact", "{name}: {:?}", compiled.meta.notes);
    }
}

/// Committed values of all operators and tables, with lookups, weighed as the compiler does.
fn cost(compiled: &zerotell_compile::Compiled) -> f64 {
    let units = zerotell_compile::Units::default();
    zerotell_compile::estimate(&compiled.program, 1, &units, &compiled.nodes).prove_ms
}

/// No fixed choice of bits that also keeps the labels is cheaper than the automatic one.
#[test]
fn auto_takes_the_cheapest_bits_that_keep_the_labels() {
    let mut net = Net::new(7);
    let x = net.input(&[1, 1, 12, 12]);
    let c = net.conv(x, 4, &window(3, 1, 1), 1);
    let c = net.relu(c);
    let c = net.max_pool(c, &window(2, 2, 0));
    let f = net.reshape(c, &[1, 144]);
    let y = net.dense(f, 4);
    net.output(y);
    let samples = net.samples(100);
    let auto = zerotell_compile::compile(&net.graph, &samples, &Default::default()).unwrap();
    let limb = Some(auto.program.limb_bits);
    for (weights, activations) in [(8, 8), (10, 8), (8, 10), (12, 12), (16, 16)] {
        let precision = zerotell_compile::Precision::Bits { weights, activations };
        let options = zerotell_compile::Options { precision, limb_bits: limb, ..Default::default() };
        let fixed = zerotell_compile::compile(&net.graph, &samples, &options).unwrap();
        if fixed.report.comfortable(0.999) {
            assert!(cost(&auto) <= cost(&fixed), "{} against {}", auto.meta.precision, fixed.meta.precision);
        }
    }
}

/// The declared range of weights is hardly wider than the weights, so intervals and tables stay small.
#[test]
fn declared_ranges_of_weights_are_tight() {
    let mut net = Net::new(3);
    let x = net.input(&[1, 40]);
    let h = net.dense(x, 30);
    let h = net.relu(h);
    let y = net.dense(h, 5);
    net.output(y);
    let samples = net.samples(60);
    let compiled = zerotell_compile::compile(&net.graph, &samples, &bits(12, 8)).unwrap();
    let matrices = compiled.weights.iter().filter(|(_, w)| w.len() > 100);
    let mut seen = 0;
    for (number, content) in matrices {
        let most = content.iter().map(|w| w.abs()).max().unwrap();
        let tensor = &compiled.program.tensors[*number as usize];
        assert!(tensor.hi >= most && 8 * (tensor.hi - most) <= most.max(8), "{most} of {}", tensor.hi);
        seen += 1;
    }
    assert_eq!(seen, 2);
}

/// Share of the squared error that is the same for every sample and place of a channel.
fn systematic(net: &Net, samples: &[Vec<Tensor>], channels: usize) -> f64 {
    let compiled = compile(&net.graph, samples, &bits(4, 14)).expect("compiles");
    let scale = compiled.meta.outputs[0].scale;
    let (mut sums, mut squares, mut count) = (vec![0.0; channels], 0.0, 0.0);
    for sample in samples {
        let values = model::run(&net.graph, sample).expect("runs");
        let float = values[0].as_f32().expect("floats");
        let places = float.len() / channels;
        for (i, (q, f)) in run(&compiled, sample).iter().zip(float).enumerate() {
            let error = *q as f64 * scale - f64::from(*f);
            sums[i / places] += error;
            squares += error * error;
            count += 1.0;
        }
    }
    let each = count / channels as f64;
    sums.iter().map(|s| s * s / each).sum::<f64>() / squares
}

/// On operands with a mean, four-bit weights are off by about the same on every sample; biases take that back.
#[test]
fn biases_take_back_what_rounded_weights_add() {
    let mut grouped = Net::new(11);
    let x = grouped.input(&[1, 4, 6, 6]);
    let c = grouped.conv(x, 6, &window(3, 2, 1), 2);
    let c = grouped.relu(c);
    grouped.output(c);
    let mut dense = Net::new(12);
    let x = dense.input(&[1, 50]);
    let y = dense.dense(x, 8);
    let y = dense.relu(y);
    dense.output(y);
    // One entry under a kernel of nine taps: only the middle one is kept.
    let mut single = Net::new(13);
    let x = single.input(&[1, 40, 1, 1]);
    let c = single.conv(x, 6, &window(3, 1, 1), 1);
    let c = single.relu(c);
    single.output(c);
    for (mut net, channels) in [(grouped, 6), (dense, 8), (single, 6)] {
        let mut samples = net.samples(60);
        for tensor in samples.iter_mut().flatten() {
            let raised = tensor.as_f32().expect("floats").iter().map(|x| x + 1.5).collect();
            *tensor = Tensor::f32(&tensor.shape.clone(), raised);
        }
        let share = systematic(&net, &samples, channels);
        assert!(
            share < 0.1,
            "{share} of the squared error is the same for all samples of {}",
            net.graph.values.len()
        );
    }
}
