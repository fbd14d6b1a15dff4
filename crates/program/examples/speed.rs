//! Prints how long lowering and executing take on four networks: a perceptron of 4.2 million
//! weights, a convolution of 10 million multiplications, a separable one and attention; and how many
//! multiplications a second a run makes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use zerotell_program::lower::{Ip, Lowered};
use zerotell_program::types::{
    Contraction, Domain, Form, Map, Operator, OracleParams, Program, Round, Scale, Table, View,
};
use zerotell_program::{Builder, Disclosure, InputMode, Invalid, Prepared, Runner, Shape, execute, lower};

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
    let rows = u32::try_from(builder.model_entries().div_ceil(1 << 12)).unwrap_or(u32::MAX);
    let oracle = OracleParams { rows, log_c: 12, log_t: Some(10), log_n: 15 };
    builder.set_model_oracle(Some(oracle).filter(|oracle| oracle.rows > 0));
    builder.finish(Vec::new())
}

fn perceptron() -> Result<Program, Invalid> {
    let mut b = Builder::new(84, 16, 16);
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
    let mut b = Builder::new(84, 16, 16);
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

/// Channels apart, then positions apart: a depthwise and a pointwise convolution, twice.
fn separable() -> Result<Program, Invalid> {
    let (mut b, size) = (Builder::new(84, 16, 16), 32);
    let mut x = b.input(&[0, 32, size, size], -128, 127)?;
    for (channels, next) in [(32u32, 64u32), (64, 64)] {
        let w = b.model(&[channels, 3, 3], -127, 127)?;
        let window = |a, b| Map::Win { a, b, step: 1, dil: 1, off: -1 };
        let a = view(x, vec![aff(0), aff(1), window(2, 4), window(3, 5)]);
        let weights = view(w, vec![aff(1), aff(4), aff(5)]);
        let contraction = Contraction { sum: vec![3, 3], a, b: weights, c: Form::default() };
        x = round(&mut b, vec![0, channels, size, size], contraction)?;
        let w = b.model(&[next, channels], -127, 127)?;
        let (a, weights) = (view(x, vec![aff(0), aff(4), aff(2), aff(3)]), view(w, vec![aff(1), aff(4)]));
        let contraction = Contraction { sum: vec![channels], a, b: weights, c: Form::default() };
        x = round(&mut b, vec![0, next, size, size], contraction)?;
    }
    finish(b, x)
}

/// Products of two private tensors, as in attention: scores and their use, 8 heads of 32 by 64 tokens.
fn attention() -> Result<Program, Invalid> {
    let mut b = Builder::new(84, 16, 16);
    let (heads, tokens, width) = (8u32, 64u32, 32u32);
    let [q, k, v] = [(), (), ()].map(|()| b.input(&[0, heads, tokens, width], -128, 127));
    let a = view(q?, vec![aff(0), aff(1), aff(2), aff(4)]);
    let keys = view(k?, vec![aff(0), aff(1), aff(3), aff(4)]);
    let contraction = Contraction { sum: vec![width], a, b: keys, c: Form::default() };
    let scores = round(&mut b, vec![0, heads, tokens, tokens], contraction)?;
    let a = view(scores, vec![aff(0), aff(1), aff(2), aff(4)]);
    let mixed = view(v?, vec![aff(0), aff(1), aff(4), aff(3)]);
    let contraction = Contraction { sum: vec![tokens], a, b: mixed, c: Form::default() };
    let x = round(&mut b, vec![0, heads, tokens, width], contraction)?;
    finish(b, x)
}

/// Multiplications of one run.
fn multiplications(lowered: &Lowered) -> usize {
    let positions = |ip: &Ip| ip.outputs.iter().chain(&ip.sums).product::<usize>();
    lowered.ips.iter().map(positions).sum()
}

fn measure(name: &str, program: &Program) -> Result<(), Box<dyn std::error::Error>> {
    let value = |i: usize| (i as i64).wrapping_mul(2_654_435_761).rem_euclid(255) - 127;
    for batch in [1u32, 16] {
        let (mut inputs, mut model) = (BTreeMap::new(), BTreeMap::new());
        for (number, tensor) in (0u32..).zip(&program.tensors) {
            let count = tensor.axes.iter().map(|&n| if n == 0 { batch } else { n } as usize).product();
            let values: Prepared = Prepared::new((0..count).map(value).collect::<Arc<[i64]>>());
            match tensor.home {
                zerotell_program::types::Home::Input => drop(inputs.insert(number, values)),
                zerotell_program::types::Home::Model => drop(model.insert(number, values)),
                _ => {}
            }
        }
        let disclosure = Disclosure { inputs: vec![InputMode::Private; inputs.len()], reveals: vec![] };
        let start = Instant::now();
        let lowered = lower(program, &Shape { batch, disclosure: &disclosure, slots: &[] })?;
        let lowering = start.elapsed();
        let runner = Runner::new(program, batch)?;
        for _ in 0..3 {
            let start = Instant::now();
            execute(&lowered, &inputs, &model)?;
            let executing = start.elapsed();
            let start = Instant::now();
            runner.run(&inputs, &model)?;
            let running = start.elapsed();
            let rate = multiplications(&lowered) as f64 / running.as_secs_f64() / 1e9;
            println!(
                "{name}, batch {batch}: lower {lowering:?}, execute {executing:?}, run {running:?}, {rate:.1} G/s"
            );
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    measure("perceptron", &perceptron()?)?;
    measure("convolution", &convolution()?)?;
    measure("separable convolution", &separable()?)?;
    measure("attention", &attention()?)
}
