//! How fast this machine is, and how large a proof will be: what `estimate` predicts from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use compile::{Estimate, Oracle, Sizes};
use oracle::Shape;
use program::types::{
    Contraction, Domain, Form, Home, Map, Operator, OracleParams, Program, Reveal, Round, Scale, Table, View,
};
use program::wire::Statement;
use program::{Builder, Disclosure, InputMode, Invalid};
use prove::random::Seed;
use verify::Setup;

use crate::engine::prover;
use crate::failure::{Failure, Outcome, USAGE};
use crate::meaning;
use crate::pipeline::{Ready, ms};

/// Longest time spent on measuring, but for one proof that is always made.
const MEASURE: Duration = Duration::from_millis(200);
/// Proofs measured at most.
const PROOFS: usize = 5;
/// Axis lengths of the program that is measured.
const BATCH: u32 = 64;
const WIDTH: u32 = 128;

/// Predicts what proving with these rows costs on this machine.
pub fn estimate(ready: &Ready, rows: u32) -> Outcome<Estimate> {
    predict(&ready.program, rows, &ready.nodes, slowness()?)
}

/// As [`estimate`], on a machine as fast as the one the constants are from: memory and sizes are the
/// same, times a rough word.
pub fn rough(program: &Program, rows: u32) -> Outcome<Estimate> {
    predict(program, rows, &[], 1.0)
}

fn predict(program: &Program, rows: u32, nodes: &[String], slowness: f64) -> Outcome<Estimate> {
    let counted = compile::estimate(program, u64::from(rows), &compile::Units::default(), nodes);
    let reveals = meaning::reveals(&meaning::required(program)?, &[])?;
    let sizes = sizes(&setup(program, rows, reveals)?);
    Ok(counted.with_sizes(&sizes, program.operators.len(), slowness))
}

/// Peak memory of the prover for that many private rows.
pub fn peak_of_rows(program: &Program, rows: u32, reveals: &[Reveal]) -> Outcome<u64> {
    Ok(peak_memory(program, rows, &setup(program, rows, reveals.to_vec())?))
}

/// Peak memory of the prover for a setup that is known.
pub fn peak_memory(program: &Program, rows: u32, setup: &Setup) -> u64 {
    let counted = compile::estimate(program, u64::from(rows), &compile::Units::default(), &[]);
    counted.with_sizes(&sizes(setup), program.operators.len(), 1.0).peak_ram_bytes
}

/// A statement of the right form, true or not: sizes depend on nothing else.
fn statement(program: &Program, batch: u32, reveals: Vec<Reveal>) -> Outcome<Statement> {
    let inputs = program.tensors.iter().filter(|t| t.home == Home::Input).count();
    let disclosure = Disclosure { inputs: vec![InputMode::Private; inputs], reveals };
    let lengths = program::lower::slot_lengths(program, batch, &disclosure).map_err(prover)?;
    let model = verify::model_shape(program).map_err(prover)?;
    let roots = vec![[0; 32]; usize::from(model.is_some())];
    Ok(Statement {
        program_digest: program.digest(),
        zk: model.as_ref().is_none_or(|(shape, _)| shape.log_t.is_some()),
        batch,
        identity: model.iter().map(|(shape, _)| shape.id(&[0; 32])).collect(),
        roots,
        link: [0; 32],
        slots: lengths.into_iter().map(|length| vec![0; length]).collect(),
        context: Vec::new(),
        disclosure,
    })
}

fn setup(program: &Program, batch: u32, reveals: Vec<Reveal>) -> Outcome<Setup> {
    let statement = statement(program, batch, reveals)?;
    Setup::new(program, &statement).map_err(|why| {
        Failure::misuse(USAGE, "size", format!("too much for one proof: {why}"), "prove fewer rows at once")
    })
}

fn table(shape: &Shape, lambda: u8, made: bool, folded: bool) -> Oracle {
    Oracle {
        rows: shape.rows as u64 * if shape.extension { 2 } else { 1 },
        dimension: shape.dimension() as u64,
        positions: shape.positions() as u64,
        column_bytes: shape.column_bytes() as u64,
        queries: shape.queries(lambda) as u64,
        made,
        folded,
    }
}

/// Exact sizes of a proof, from its setup.
fn sizes(setup: &Setup) -> Sizes {
    let (plan, lambda) = (&setup.plan, setup.sizing.lambda);
    let level = |(number, shapes): (usize, &oracle::Level)| {
        let each = shapes.oracles.iter().enumerate();
        each.map(|(i, shape)| table(shape, lambda, number > 0 || i == 0, true)).collect::<Vec<_>>()
    };
    let mut oracles: Vec<Oracle> = plan.levels.iter().enumerate().flat_map(level).collect();
    let mut reply = plan.replies();
    if let Some((end, pads)) = &plan.closing {
        oracles.extend([table(end, lambda, true, false), table(pads, lambda, true, false)]);
        reply += 3;
    }
    let roots = 1 + plan.levels.len() + usize::from(setup.zk);
    let public = setup.lowered.tensors.iter().filter_map(|t| t.content.as_ref()).map(|c| c.len());
    let tables = setup.lowered.tables.iter().flat_map(|t| &t.outs).map(|out| out.len());
    Sizes {
        oracles,
        leaves: 1 << setup.layers,
        message_bytes: (16 * (setup.sends.0 + plan.pads + reply) + 32 * roots) as u64,
        values: setup.groups.first().map_or(0, |z| z.layout.total) as u64,
        public: public.chain(tables).sum::<usize>() as u64,
    }
}

/// Time of a small proof on this machine over its predicted time: above 1 on slower machines.
fn slowness() -> Outcome<f64> {
    let program = probe().map_err(prover)?;
    let fill = |count: usize| (0..count).map(|i| (i * 7919 % 255) as i64 - 127).collect::<Vec<i64>>();
    let (mut inputs, mut weights) = (BTreeMap::new(), BTreeMap::new());
    for (number, tensor) in (0u32..).zip(&program.tensors) {
        let length = |&n: &u32| if n == 0 { BATCH } else { n } as usize;
        let values = fill(tensor.axes.iter().map(length).product());
        match tensor.home {
            Home::Input => drop(inputs.insert(number, Arc::<[i64]>::from(values))),
            Home::Model => drop(weights.insert(number, values)),
            Home::Const | Home::Ones => {}
        }
    }
    // Nothing here is secret, so the seeds need not be.
    let table = prove::commit_model(&program, &weights, &Seed::new([1; 32])).map_err(prover)?;
    let mut statement = statement(&program, BATCH, Vec::new())?;
    statement.identity = table.iter().map(prove::Table::id).collect();
    statement.roots = table.iter().map(prove::Table::root).collect();
    let tables: Vec<&prove::Table> = table.iter().collect();
    let predicted = sizes(&Setup::new(&program, &statement).map_err(prover)?);
    let predicted = predicted.prove_ms(u64::from(BATCH * WIDTH * WIDTH), 1.0);
    let started = Instant::now();
    let mut least = f64::INFINITY;
    for _ in 0..PROOFS {
        let once = Instant::now();
        let setup = Setup::new(&program, &statement).map_err(prover)?;
        let assignment = program::execute(&setup.lowered, &inputs, &weights).map_err(prover)?;
        prove::prove_at(&setup, &statement, &assignment, &tables, &Seed::new([2; 32])).map_err(prover)?;
        least = least.min(ms(once));
        if started.elapsed() > MEASURE {
            break;
        }
    }
    Ok(least / predicted)
}

fn axis(axis: u8) -> Map {
    Map::Aff { axis, step: 1, off: 0 }
}

fn read(tensor: u32, maps: Vec<Map>) -> Form {
    Form(vec![(1, View { tensor, maps })])
}

/// A dense layer with private weights and ReLU, about as large as a small image classifier.
fn probe() -> Result<Program, Invalid> {
    let mut b = Builder::new(100, 0, 16);
    let x = b.input(&[0, WIDTH], -128, 127)?;
    let w = b.model(&[WIDTH, WIDTH], -127, 127)?;
    let row = |code: i64| (0..256i64).map(move |low| [0, (low - 128).max(0), 127][code as usize]);
    let content = b.constant(&[3, 256], (0..3i64).flat_map(row).collect())?;
    let outs = vec![read(content, vec![axis(0), axis(1)])];
    let relu = b.table(Table { keys: vec![(0, 3), (0, 256)], outs })?;
    let contraction = Some(Contraction {
        sum: vec![WIDTH],
        a: read(x, vec![axis(0), axis(2)]),
        b: read(w, vec![axis(1), axis(2)]),
        c: Form::default(),
    });
    let round = Round {
        axes: vec![0, WIDTH],
        contraction,
        scale: Scale::One(1),
        extra: Form::default(),
        shift: 9,
        half_even: false,
        domain: Domain::Wide { lo: -128, low_bits: 8, high_bits: 14 },
        table: Some(relu),
    };
    let outputs = b.push(Operator::Round(round))?;
    for output in outputs {
        b.output(output);
    }
    let sizing = oracle::Sizing::v1(100, 0);
    let weights = (WIDTH * WIDTH) as usize;
    b.set_model_oracle(sizing.long_term(oracle::Role::Model, weights, [0; 32], 32, true).map(|shape| {
        OracleParams {
            rows: shape.rows as u32,
            log_c: shape.log_c as u8,
            log_t: shape.log_t.map(|log| log as u8),
            log_n: shape.log_n as u8,
        }
    }));
    b.finish(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predicted_bytes_are_those_of_a_proof() {
        let program = probe().expect("a valid program");
        let fill = |count: usize| (0..count).map(|i| (i * 31 % 255) as i64 - 127).collect::<Vec<i64>>();
        let (wide, batch) = (WIDTH as usize, 2);
        let inputs = BTreeMap::from([(0, Arc::<[i64]>::from(fill(batch * wide)))]);
        let weights = BTreeMap::from([(1, fill(wide * wide))]);
        let seed = Seed::new([3; 32]);
        let table = prove::commit_model(&program, &weights, &seed).expect("fits").expect("weights");
        let mut statement = statement(&program, batch as u32, Vec::new()).expect("a statement");
        let dummy = Setup::new(&program, &statement).expect("a setup");
        (statement.identity, statement.roots) = (vec![table.id()], vec![table.root()]);
        let setup = Setup::new(&program, &statement).expect("a setup");
        let assignment = program::execute(&setup.lowered, &inputs, &weights).expect("in range");
        let proof = prove::prove_at(&setup, &statement, &assignment, &[&table], &seed).expect("a proof");
        let (found, wanted) = (sizes(&dummy).proof_bytes() as f64, proof.bytes.len() as f64);
        assert!((0.98..1.02).contains(&(found / wanted)), "{found} predicted, {wanted} made");
    }

    #[test]
    fn more_work_is_predicted_to_take_longer() {
        let program = probe().expect("a valid program");
        let at = |batch| sizes(&setup(&program, batch, Vec::new()).expect("a setup"));
        let (one, many) = (at(1), at(256));
        assert!(one.prove_ms(1, 1.0) < many.prove_ms(1, 1.0));
        assert!(2.0 * one.prove_ms(1, 1.0) < 1.001 * one.prove_ms(1, 2.0));
        assert!(one.leaves < many.leaves && one.proof_bytes() < many.proof_bytes());
    }
}
