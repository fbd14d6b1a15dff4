//! Random float graphs through the whole pipeline: compiled, committed, proved and verified in every mode.

extern crate compile as zerotell_compile;

#[expect(dead_code, reason = "shared with the tests of the compiler")]
#[path = "../../../compile/tests/suite/common.rs"]
mod nets;

use std::collections::BTreeMap;

use compile::{Compiled, Options, Precision, compile, quantise_input};
use model::graph::{Binary, Unary};
use nets::{Net, window};
use program::types::{Disclosure, InputMode, Reveal};
use program::wire::Statement;
use program::{Shape, execute, lower, run};
use prove::random::Seed;
use prove::{Table, commit_input, commit_model};
use verify::{Refusal, Verdict, verify};

/// A small network whose shapes, steps and activations depend on the seed.
fn network(seed: u64) -> Net {
    let pick = |n: u64, salt: u32| (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(salt) % n) as usize;
    let mut net = Net::new(seed);
    let channels = 1 + pick(3, 7);
    let x = net.input(&[1, channels, 5 + pick(4, 13), 5 + pick(3, 19)]);
    let activations =
        [Unary::Relu, Unary::Sigmoid, Unary::LeakyRelu(0.1), Unary::HardSwish, Unary::Tanh, Unary::Gelu];
    let depthwise = pick(3, 23) == 0;
    let (out, group) = if depthwise { (2 * channels, channels) } else { (4, 1) };
    let first = net.conv(x, out, &window(3, 1 + pick(2, 29), 1), group);
    let mut y = net.unary(activations[pick(6, 31)], first);
    if pick(2, 37) == 0 {
        let again = net.conv(y, out, &window(3, 1, 1), 1);
        y = net.binary(Binary::Add, y, again);
    }
    if pick(2, 41) == 0 {
        y = net.max_pool(y, &window(2, 1, 0));
    }
    let flat = net.shape(y)[1..].iter().product();
    let y = net.reshape(y, &[1, flat]);
    let y = net.dense(y, 3);
    net.output(y);
    net
}

/// The least index of a maximum.
fn label(row: &[i64]) -> i64 {
    let best = row.iter().max().copied().unwrap_or_default();
    row.iter().position(|&y| y == best).unwrap_or_default() as i64
}

struct Case {
    compiled: Compiled,
    statement: Statement,
    tables: Vec<Table>,
    inputs: BTreeMap<u32, Vec<i64>>,
}

/// Compiles the network of a seed and states what is shown, in a mode that depends on the seed too.
fn case(seed: u64) -> Case {
    let (zk, private) = (!seed.is_multiple_of(4), !seed.is_multiple_of(3));
    let mode = [InputMode::Private, InputMode::Public, InputMode::Committed][(seed / 2 % 3) as usize];
    let batch = 1 + (seed % 3) as u32;
    let mut net = network(seed);
    let samples = net.samples(24);
    let precision = if seed.is_multiple_of(5) {
        Precision::Bits { weights: 12, activations: 12 }
    } else {
        Precision::Bits { weights: 8, activations: 8 }
    };
    let options = Options { precision, weights_private: private, zk, ..Options::default() };
    let compiled = compile(&net.graph, &samples, &options).unwrap();
    let x: Vec<i64> = samples[..batch as usize]
        .iter()
        .flat_map(|s| quantise_input(&compiled.meta, 0, s[0].as_f32().unwrap()).unwrap().values)
        .collect();
    let program = &compiled.program;
    let input = (0u32..).zip(&program.tensors).find(|(_, t)| t.home == program::types::Home::Input).unwrap();
    let inputs = BTreeMap::from([(input.0, x.clone())]);
    let outputs = run(program, batch, &inputs, &compiled.weights).unwrap();
    let width = outputs[0].len() / batch as usize;
    let mut slots = if mode == InputMode::Public { vec![x.clone()] } else { vec![] };
    let reveals = if seed.is_multiple_of(2) {
        slots.push(outputs[0].chunks(width).map(label).collect());
        vec![Reveal::Label { output: 0 }]
    } else {
        slots.push(outputs[0].clone());
        vec![Reveal::Values { output: 0 }]
    };
    let mut tables: Vec<Table> =
        commit_model(program, &compiled.weights, &Seed::new([1; 32])).unwrap().into_iter().collect();
    if mode == InputMode::Committed {
        let axes: Vec<usize> =
            input.1.axes.iter().map(|&n| if n == 0 { batch } else { n } as usize).collect();
        tables.push(commit_input(program, &axes, &x, zk, &Seed::new([2; 32])).unwrap());
    }
    let statement = Statement {
        program_digest: program.digest(),
        zk,
        batch,
        disclosure: Disclosure { inputs: vec![mode], reveals },
        identity: tables.iter().map(Table::id).collect(),
        roots: tables.iter().map(Table::root).collect(),
        link: [0; 32],
        slots,
        context: vec![],
    };
    Case { compiled, statement, tables, inputs }
}

#[test]
fn random_graphs_are_proved_and_their_lies_refused() {
    for seed in 0..48 {
        let Case { compiled, statement, tables, inputs } = case(seed);
        let program = &compiled.program;
        let shape =
            Shape { batch: statement.batch, disclosure: &statement.disclosure, slots: &statement.slots };
        let lowered = lower(program, &shape).unwrap();
        let assignment = execute(&lowered, &inputs, &compiled.weights).unwrap();
        let opened: Vec<&Table> = tables.iter().collect();
        let proof = prove::prove(program, &statement, &assignment, &opened, &Seed::new([3; 32])).unwrap();
        let verdict = verify(program, &statement, &proof.bytes);
        assert!(matches!(verdict, Verdict::Accepted(_)), "seed {seed}: {verdict:?}");

        let mut lie = statement.clone();
        let shown = lie.slots.last_mut().unwrap();
        shown[0] = if shown[0] == 0 { 1 } else { 0 };
        let verdict = verify(program, &lie, &proof.bytes);
        assert!(matches!(verdict, Verdict::Rejected(Refusal::Proof(_) | Refusal::Setup(_))), "seed {seed}");
    }
}
