//! Prints how long proving takes on two networks made up on the spot: a perceptron of 4.2 million
//! private weights and a convolution of 10 million multiplications. With any argument: the first only.

use std::error::Error;
use std::time::Instant;

use program::types::Program;
use zerotell_bench::{Case, convolution, perceptron};

fn measure(name: &str, program: Program) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let case = Case::new(program)?;
    println!("{name}: commit {:?}", start.elapsed());
    for _ in 0..5 {
        once(name, &case)?;
    }
    let setup = case.setup()?;
    let shapes: Vec<_> =
        setup.groups.iter().map(|g| (g.shape.rows, g.shape.log_c, g.shape.log_t, g.shape.log_n)).collect();
    println!("{name}: N {} leaves {} shapes {shapes:?}", setup.groups[0].layout.total, setup.leaves.total);
    Ok(())
}

fn once(name: &str, case: &Case) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let setup = case.setup()?;
    let prepared = start.elapsed();
    let assignment = case.execute(&setup)?;
    let executed = start.elapsed();
    let mut phases = Vec::new();
    let proof = case.prove(&setup, &assignment, &mut |phase| phases.push((phase, start.elapsed())))?;
    let proved = start.elapsed();
    for (i, (phase, at)) in phases.iter().enumerate() {
        let until = phases.get(i + 1).map_or(proved, |next| next.1);
        println!("    {phase} {:?}", until - *at);
    }
    let accepted = case.accepted(&proof);
    let verified = start.elapsed() - proved;
    assert!(accepted, "the verifier refuses an honest proof");
    println!(
        "{name}: setup {prepared:?}, execute {:?}, prove {:?}, verify {verified:?}, {} bytes",
        executed - prepared,
        proved - executed,
        proof.bytes.len()
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    measure("perceptron", perceptron()?)?;
    if std::env::args().len() > 1 {
        return Ok(());
    }
    measure("convolution", convolution()?)
}
