//! What committing a model's weights costs: `cargo run --release -p zerotell-bench --example commit [-- WEIGHTS REPEAT]`.
//!
//! Dense layers of at most 2^11 by 2^11, int8 weights by a fixed rule, parameters chosen as `zerotell commit` chooses
//! them, room for 32 openings. Masks and salts come from a stream that is expanded as for a real commitment.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use prove::random::Seed;
use zerotell_bench::{Net, Style, contents};

/// Openings that there must be room for, as in the command line.
const OPENINGS: usize = 32;

fn kilobytes(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|x| x.parse().ok()).unwrap_or(0)
}

/// Processor time of this process in milliseconds, in steps of 10.
fn spent() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let weights: u64 = arguments.next().map_or(Ok(124_000_000), |x| x.parse())?;
    let repeat: usize = arguments.next().map_or(Ok(3), |x| x.parse())?;
    let side = 1u32 << 11;
    let mut net = Net::new(&[side], Style::SMALL)?;
    let mut left = weights;
    while left > 0 {
        let next = u32::try_from(left / u64::from(side)).unwrap_or(u32::MAX).clamp(1, side);
        net.dense(next)?;
        left = left.saturating_sub(u64::from(next) * u64::from(side));
    }
    let mut program = net.finish()?;
    let (_, model): (_, BTreeMap<u32, Vec<i64>>) = contents(&program, 1);
    prove::tune(&mut program, OPENINGS, true)?;
    let entries: usize = model.values().map(Vec::len).sum();
    let shape = program.model_oracle.ok_or("no weights")?;
    println!(
        "{entries} weights: {} rows of 2^{} entries, code words of 2^{}",
        shape.rows, shape.log_c, shape.log_n
    );
    for seed in 0..u8::try_from(repeat)? {
        let (start, before) = (Instant::now(), spent());
        let table = prove::commit_model(&program, &model, &Seed::new([seed; 32]))?.ok_or("no weights")?;
        println!(
            "{:.2} s, processor {:.2} s, process at most {} MB, root {:02x?}",
            start.elapsed().as_secs_f64(),
            (spent() - before) / 1e3,
            kilobytes("VmHWM:") / 1024,
            &table.root()[..4]
        );
    }
    Ok(())
}
