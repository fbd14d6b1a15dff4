//! What verifying costs, of proof files that `zerotell prove` wrote:
//! `cargo run --release -p zerotell-bench --example verify -- REPEAT FILE..`.

use std::error::Error;
use std::time::Instant;

use program::types::Program;
use program::wire::{Statement, decode, decode_statement};
use verify::{Prepared, ProofShape, Verdict, prepare};

/// A part with its length before it, and what follows.
fn framed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// Program, statement and proof of a file without links.
fn read(bytes: &[u8]) -> Option<(Program, Statement, Vec<u8>)> {
    let (program, rest) = framed(bytes.get(6..)?)?;
    let (_, rest) = framed(rest).filter(|(links, _)| links.is_empty())?;
    let (statement, rest) = framed(rest)?;
    let (proof, _) = framed(rest)?;
    Some((decode(program).ok()?, decode_statement(statement).ok()?, proof.to_vec()))
}

/// One call of the verifier. A function of its own, so that a counter can be switched on for it alone.
#[inline(never)]
fn verified(program: &Program, statement: &Statement, proof: &[u8]) -> bool {
    matches!(verify::verify(program, statement, proof), Verdict::Accepted(_))
}

/// The same, of a Program prepared before.
#[inline(never)]
fn verified_again(prepared: &Prepared, statement: &Statement, proof: &[u8]) -> bool {
    matches!(prepared.verify(statement, proof), Verdict::Accepted(_))
}

/// Milliseconds this thread has run, where the system tells; it counts in steps of a few of them.
fn spent() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(told.split(' ').next()?.parse::<f64>().ok()? / 1e6)
}

/// Milliseconds of some calls: processor time of one in the mean, wall time of the middle one and the least.
fn time(repeat: usize, mut call: impl FnMut() -> bool) -> Result<String, String> {
    let mut walls = Vec::new();
    let before = spent();
    for _ in 0..repeat {
        let start = Instant::now();
        if !call() {
            return Err("a proof is refused".into());
        }
        walls.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let mean = before.zip(spent()).map_or(f64::NAN, |(before, after)| (after - before) / repeat as f64);
    walls.sort_by(f64::total_cmp);
    let at = |place: usize| walls.get(place).copied().unwrap_or_default();
    Ok(format!("CPU {mean:.2}, wall {:.2}, least {:.2}", at(walls.len() / 2), at(0)))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let repeat: usize = arguments.next().ok_or("how many times?")?.parse()?;
    for name in arguments {
        let (program, statement, proof) = read(&std::fs::read(&name)?).ok_or("not a proof file")?;
        let first = time(repeat, || verified(&program, &statement, &proof))?;
        let prepared = prepare(&program, &ProofShape::from(&statement))?;
        let again = time(repeat, || verified_again(&prepared, &statement, &proof))?;
        println!("{name}: first: {first}; prepared, {} kB: {again}", prepared.bytes() / 1000);
    }
    Ok(())
}
