//! What committing a model's weights costs: `cargo run --release -p zerotell-bench --example commit [-- WEIGHTS REPEAT]`.
//!
//! Dense layers of at most 2^11 by 2^11, int8 weights by a fixed rule, parameters chosen as `zerotell commit` chooses
//! them, room for 32 openings. Masks and salts come from a stream that is expanded as for a real commitment.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use prove::random::Seed;
use zerotell_bench::{contents, cpu_ms, kilobytes, layers};

/// Openings that there must be room for, as in the command line.
const OPENINGS: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let weights: u64 = arguments.next().map_or(Ok(124_000_000), |x| x.parse())?;
    let repeat: usize = arguments.next().map_or(Ok(3), |x| x.parse())?;
    let mut program = layers(weights, 1 << 11)?;
    let (_, model): (_, BTreeMap<u32, Vec<i64>>) = contents(&program, 1);
    prove::tune(&mut program, OPENINGS, true)?;
    let entries: usize = model.values().map(Vec::len).sum();
    let shape = program.model_oracle.ok_or("no weights")?;
    println!(
        "{entries} weights: {} rows of 2^{} entries, code words of 2^{}",
        shape.rows, shape.log_c, shape.log_n
    );
    for seed in 0..u8::try_from(repeat)? {
        let (start, before) = (Instant::now(), cpu_ms());
        let table = prove::commit_model(&program, &model, &Seed::new([seed; 32]))?.ok_or("no weights")?;
        println!(
            "{:.2} s, processor {:.2} s, process at most {} MB, root {:02x?}",
            start.elapsed().as_secs_f64(),
            (cpu_ms() - before) / 1e3,
            kilobytes("/proc/self/status", "VmHWM:").unwrap_or(0) >> 20,
            &table.root()[..4]
        );
    }
    Ok(())
}
