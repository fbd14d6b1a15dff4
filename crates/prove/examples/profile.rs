//! Prints how long proving takes on two networks made up on the spot: a perceptron of 4.2 million
//! private weights and a convolution of 10 million multiplications.

use std::collections::BTreeMap;
use std::time::Instant;

use program::types::{
    Contraction, Domain, Form, Map, Operator, OracleParams, Program, Round, Scale, Table, View,
};
use program::wire::Statement;
use program::{Builder, Disclosure, InputMode, Invalid, execute};
use zerotell_prove::random::Seed;

fn aff(axis: u8) -> Map {
    Map::Aff { axis, step: 1, off: 0 }
}

fn view(tensor: u32, maps: Vec<Map>) -> Form {
    Form(vec![(1, View { tensor, maps })])
}

fn relu(builder: &mut Builder) -> Result<u32, Invalid> {
    let rows =
        (0..3i64).flat_map(|code| (0..256i64).map(move |low| [0, (low - 128).max(0), 127][code as usize]));
    let content = builder.constant(&[3, 256], rows.collect())?;
    let outs = vec![view(content, vec![aff(0), aff(1)])];
    builder.table(Table { keys: vec![(0, 3), (0, 256)], outs })
}

fn round(builder: &mut Builder, axes: Vec<u32>, contraction: Contraction) -> Result<u32, Invalid> {
    let table = Some(relu(builder)?);
    let domain = Domain::Wide { lo: -128, low_bits: 8, high_bits: 16 };
    let (scale, extra) = (Scale::One(1), Form::default());
    let contraction = Some(contraction);
    let round = Round { axes, contraction, scale, extra, shift: 9, half_even: false, domain, table };
    Ok(builder.push(Operator::Round(round))?.remove(0))
}

fn finish(mut builder: Builder, output: u32) -> Result<Program, Invalid> {
    builder.output(output);
    let total = builder.model_entries();
    let shape =
        oracle::Sizing::v1(100, 0).long_term(oracle::Role::Model, total as usize, [0; 32], 32, true).unwrap();
    builder.set_model_oracle(Some(OracleParams {
        rows: shape.rows as u32,
        log_c: shape.log_c as u8,
        log_t: shape.log_t.map(|log| log as u8),
        log_n: shape.log_n as u8,
    }));
    builder.finish(Vec::new())
}

fn perceptron() -> Result<Program, Invalid> {
    let mut b = Builder::new(100, 0, 16);
    let mut x = b.input(&[0, 1024], -128, 127)?;
    let mut width = 1024;
    for next in [2048u32, 1024] {
        let w = b.model(&[next, width], -127, 127)?;
        let (a, b_, c) = (view(x, vec![aff(0), aff(2)]), view(w, vec![aff(1), aff(2)]), Form::default());
        x = round(&mut b, vec![0, next], Contraction { sum: vec![width], a, b: b_, c })?;
        width = next;
    }
    finish(b, x)
}

fn convolution() -> Result<Program, Invalid> {
    let mut b = Builder::new(100, 0, 16);
    let mut x = b.input(&[0, 3, 32, 32], -128, 127)?;
    let mut channels = 3;
    for (next, size) in [(32u32, 32u32), (32, 32)] {
        let w = b.model(&[next, channels, 3, 3], -127, 127)?;
        let window = |a, b| Map::Win { a, b, step: 1, dil: 1, off: -1 };
        let a = view(x, vec![aff(0), aff(4), window(2, 5), window(3, 6)]);
        let weights = view(w, vec![aff(1), aff(4), aff(5), aff(6)]);
        let contraction = Contraction { sum: vec![channels, 3, 3], a, b: weights, c: Form::default() };
        x = round(&mut b, vec![0, next, size, size], contraction)?;
        channels = next;
    }
    finish(b, x)
}

fn measure(name: &str, program: &Program) -> Result<(), Box<dyn std::error::Error>> {
    let value = |i: usize| (i as i64).wrapping_mul(2_654_435_761).rem_euclid(255) - 127;
    let (mut inputs, mut model) = (BTreeMap::new(), BTreeMap::new());
    for (number, tensor) in (0u32..).zip(&program.tensors) {
        let count = tensor.axes.iter().map(|&n| if n == 0 { 1 } else { n } as usize).product();
        let values: Vec<i64> = (0..count).map(value).collect();
        match tensor.home {
            program::types::Home::Input => drop(inputs.insert(number, values)),
            program::types::Home::Model => drop(model.insert(number, values)),
            _ => {}
        }
    }
    let start = Instant::now();
    let table = zerotell_prove::commit_model(program, &model, &Seed::new([1; 32]))?.unwrap();
    println!("{name}: commit {:?}", start.elapsed());
    let statement = Statement {
        program_digest: program.digest(),
        zk: true,
        batch: 1,
        disclosure: Disclosure { inputs: vec![InputMode::Private], reveals: vec![] },
        identity: vec![table.id()],
        roots: vec![table.root()],
        link: [0; 32],
        slots: vec![],
        context: vec![],
    };
    for _ in 0..5 {
        let start = Instant::now();
        let setup = verify::Setup::new(program, &statement)?;
        let prepared = start.elapsed();
        let assignment = execute(&setup.lowered, &inputs, &model)?;
        let executed = start.elapsed();
        let mut phases = Vec::new();
        let proof = zerotell_prove::prove_observed(
            &setup,
            &statement,
            &assignment,
            &[&table],
            &Seed::new([2; 32]),
            &mut |phase| phases.push((phase, start.elapsed())),
        )?;
        let proved = start.elapsed();
        for (i, (phase, at)) in phases.iter().enumerate() {
            let until = phases.get(i + 1).map_or(proved, |next| next.1);
            println!("    {phase:?} {:?}", until - *at);
        }
        let verdict = verify::verify(program, &statement, &proof.bytes);
        let verified = start.elapsed() - proved;
        assert!(matches!(verdict, verify::Verdict::Accepted(_)));
        println!(
            "{name}: setup {prepared:?}, execute {:?}, prove {:?}, verify {verified:?}, {} bytes",
            executed - prepared,
            proved - executed,
            proof.bytes.len()
        );
    }
    let setup = verify::Setup::new(program, &statement)?;
    println!(
        "{name}: N {} leaves {} shapes {:?}",
        setup.groups[0].layout.total,
        setup.leaves.total,
        setup
            .groups
            .iter()
            .map(|g| (g.shape.rows, g.shape.log_c, g.shape.log_t, g.shape.log_n))
            .collect::<Vec<_>>()
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    measure("perceptron", &perceptron()?)?;
    if std::env::args().len() > 1 {
        return Ok(());
    }
    measure("convolution", &convolution()?)
}
