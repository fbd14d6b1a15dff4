//! Prints how long lowering and executing take on two networks: a perceptron of 4.2 million
//! weights and a convolution of 10 million multiplications.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use program::types::Program;
use program::{Disclosure, InputMode, Runner, Shape, execute, lower};
use zerotell_bench::{contents, convolution, perceptron};

fn measure(name: &str, program: &Program) -> Result<(), Box<dyn Error>> {
    for batch in [1u32, 16] {
        let (inputs, model) = contents(program, batch);
        let shared = |all: BTreeMap<u32, Vec<i64>>| -> BTreeMap<u32, Arc<[i64]>> {
            all.into_iter().map(|(number, values)| (number, values.into())).collect()
        };
        let (inputs, model) = (shared(inputs), shared(model));
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

fn main() -> Result<(), Box<dyn Error>> {
    measure("perceptron", &perceptron()?)?;
    measure("convolution", &convolution()?)
}
