//! Prints how long lowering and executing take on two networks: a perceptron of 4.2 million
//! weights and a convolution of 10 million multiplications.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use zerotell_program::types::{
    Contraction, Domain, Form, Map, Operator, OracleParams, Program, Round, Scale, Table, View,
};
use zerotell_program::{Builder, Disclosure, InputMode, Invalid, Runner, Shape, execute, lower};

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
    builder.set_model_oracle(Some(OracleParams { rows, log_c: 12, log_t: Some(10), log_n: 15 }));
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

fn measure(name: &str, program: &Program) -> Result<(), Box<dyn std::error::Error>> {
    let value = |i: usize| (i as i64).wrapping_mul(2_654_435_761).rem_euclid(255) - 127;
    for batch in [1u32, 16] {
        let (mut inputs, mut model) = (BTreeMap::new(), BTreeMap::new());
        for (number, tensor) in (0u32..).zip(&program.tensors) {
            let count = tensor.axes.iter().map(|&n| if n == 0 { batch } else { n } as usize).product();
            let values: Arc<[i64]> = (0..count).map(value).collect();
            match tensor.home {
                zerotell_program::types::Home::Input => drop(inputs.insert(number, values)),
                zerotell_program::types::Home::Model => drop(model.insert(number, values)),
                _ => {}
            }
        }
        let disclosure = Disclosure { inputs: vec![InputMode::Private], reveals: vec![] };
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
            println!(
                "{name}, batch {batch}: lower {lowering:?}, execute {executing:?}, run {:?}",
                start.elapsed()
            );
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    measure("perceptron", &perceptron()?)?;
    measure("convolution", &convolution()?)
}
