//! A small program, proved and verified in every mode.

use std::collections::BTreeMap;

use program::execute::execute;
use program::lower::{Shape, lower};
use program::types::*;
use program::wire::Statement;
use zerotell_prove::random::Seed;
use zerotell_prove::{Table, commit_input, commit_model, prove};
use verify::{Verdict, verify};

fn aff(axis: u8) -> Map {
    Map::Aff { axis, step: 1, off: 0 }
}

fn form(tensor: u32, maps: Vec<Map>) -> Form {
    Form(vec![(1, View { tensor, maps })])
}

fn tensor(home: Home, axes: &[u32], lo: i64, hi: i64, content: Vec<i64>) -> Tensor {
    Tensor { home, axes: axes.to_vec(), lo, hi, content }
}

/// Two layers: 5 -> 7 with a relu table, 7 -> 3.
struct Small {
    program: Program,
    weights: BTreeMap<u32, Vec<i64>>,
}

fn small(private: bool, zk: bool) -> Small {
    let mut next = 17u64;
    let mut draw = |n: usize, lo: i64, hi: i64| -> Vec<i64> {
        (0..n)
            .map(|_| {
                next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                lo + ((next >> 33) % (hi - lo + 1) as u64) as i64
            })
            .collect()
    };
    let parameters = [draw(35, -8, 7), draw(7, -5, 5), draw(21, -4, 3), draw(3, -5, 5)];
    let home = if private { Home::Model } else { Home::Const };
    let content = |i: usize| if private { Vec::new() } else { parameters[i].clone() };
    let relu: Vec<i64> = (-64..64).map(|q: i64| q.clamp(0, 15)).collect();
    let tensors = vec![
        tensor(Home::Input, &[0, 5], -8, 7, vec![]),
        tensor(home, &[7, 5], -8, 7, content(0)),
        tensor(home, &[7], -5, 5, content(1)),
        tensor(home, &[3, 7], -4, 3, content(2)),
        tensor(home, &[3], -5, 5, content(3)),
        tensor(Home::Const, &[128], 0, 15, relu),
    ];
    let first = Contraction {
        sum: vec![5],
        a: form(0, vec![aff(0), aff(2)]),
        b: form(1, vec![aff(1), aff(2)]),
        c: form(2, vec![aff(1)]),
    };
    // Columns of the first Round: q 6, r 7, out 8.
    let second = Contraction {
        sum: vec![7],
        a: form(8, vec![aff(0), aff(2)]),
        b: form(3, vec![aff(1), aff(2)]),
        c: form(4, vec![aff(1)]),
    };
    let operators = vec![
        Operator::Round(Round {
            axes: vec![0, 7],
            contraction: Some(first),
            scale: Scale::Axis(1, vec![1, 2, 3, 1, 2, 3, 1]),
            extra: Form::default(),
            shift: 4,
            half_even: false,
            domain: Domain::Narrow { lo: 0, bits: 0 },
            table: Some(0),
        }),
        Operator::Round(Round {
            axes: vec![0, 3],
            contraction: Some(second),
            scale: Scale::One(3),
            extra: Form::default(),
            shift: 5,
            half_even: false,
            domain: Domain::Narrow { lo: -64, bits: 7 },
            table: None,
        }),
    ];
    let mut program = Program {
        lambda: 100,
        grind: 0,
        limb_bits: 8,
        tensors,
        model_oracle: None,
        tables: vec![Table_::one()],
        operators,
        outputs: vec![9],
        metadata: Vec::new(),
    };
    if private {
        let log_t = zk.then_some(8);
        program.model_oracle =
            Some(OracleParams { rows: 1, log_c: 8, log_t, log_n: if zk { 11 } else { 10 } });
    }
    let weights = if private { (1..5).zip(parameters).collect() } else { BTreeMap::new() };
    Small { program, weights }
}

struct Table_;
impl Table_ {
    fn one() -> program::types::Table {
        program::types::Table { keys: vec![(-64, 128)], outs: vec![form(5, vec![aff(0)])] }
    }
}

fn inputs(batch: u32) -> Vec<i64> {
    (0..batch as i64 * 5).map(|i| (i * 7 + 3) % 16 - 8).collect()
}

/// Runs, states and proves; returns what a verifier gets.
fn proved(private: bool, mode: InputMode, reveals: Vec<Reveal>, batch: u32, zk: bool) -> (Program, Statement, Vec<u8>) {
    let Small { program, weights } = small(private, zk);
    let x = inputs(batch);
    let outputs = program::execute::run(
        &program,
        batch,
        &BTreeMap::from([(0, x.clone())]),
        &weights,
    )
    .unwrap();
    let mut slots = Vec::new();
    if mode == InputMode::Public {
        slots.push(x.clone());
    }
    for reveal in &reveals {
        match reveal {
            Reveal::Values { .. } => slots.push(outputs[0].clone()),
            Reveal::Label { .. } => slots.push(
                outputs[0]
                    .chunks(3)
                    .map(|row| {
                        let best = *row.iter().max().unwrap();
                        row.iter().position(|&y| y == best).unwrap() as i64
                    })
                    .collect(),
            ),
            Reveal::Threshold { .. } => {}
        }
    }
    let model = commit_model(&program, &weights, &Seed::new([1; 32])).unwrap();
    let committed = (mode == InputMode::Committed)
        .then(|| commit_input(&program, &[batch as usize, 5], &x, zk, &Seed::new([2; 32])).unwrap());
    let tables: Vec<&Table> = model.iter().chain(&committed).collect();
    let statement = Statement {
        program_digest: program.digest(),
        zk,
        batch,
        disclosure: Disclosure { inputs: vec![mode], reveals },
        identity: tables.iter().map(|table| table.id()).collect(),
        roots: tables.iter().map(|table| table.root()).collect(),
        link: [0; 32],
        slots,
        context: b"asked by the test".to_vec(),
    };
    let shape = Shape { batch, disclosure: &statement.disclosure, slots: &statement.slots };
    let lowered = lower(&program, &shape).unwrap();
    let assignment = execute(&lowered, &BTreeMap::from([(0, x)]), &weights).unwrap();
    program::check_all(&lowered, &assignment).unwrap();
    let proof = prove(&program, &statement, &assignment, &tables, &Seed::new([3; 32])).unwrap();
    (program, statement, proof.bytes)
}

#[test]
fn every_mode_is_accepted() {
    let reveals = [
        vec![],
        vec![Reveal::Values { output: 0 }],
        vec![Reveal::Label { output: 0 }],
        vec![Reveal::Threshold { output: 0, index: 1, at_least: true, bound: -60 }],
    ];
    for zk in [false, true] {
        for private in [false, true] {
            for mode in [InputMode::Public, InputMode::Private, InputMode::Committed] {
                for reveal in &reveals {
                    for batch in [1, 3] {
                        let (program, statement, proof) = proved(private, mode, reveal.clone(), batch, zk);
                        let verdict = verify(&program, &statement, &proof);
                        assert!(
                            matches!(verdict, Verdict::Accepted(_)),
                            "zk {zk} private {private} {mode:?} {reveal:?} batch {batch}: {verdict:?}"
                        );
                    }
                }
            }
        }
    }
}
