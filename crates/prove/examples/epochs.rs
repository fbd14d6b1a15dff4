//! Prints what an epoch costs: committing the same weights afresh and linking the two commitments,
//! and what that is per proof, for some sizes of model and of epoch. Medians of five runs.

use std::time::{Duration, Instant};

use oracle::{Load, Shape, layout_digest, tune};
use verify::verify_link;
use zerotell_prove::random::Seed;
use zerotell_prove::{Integers, LinkAbout, Table, prove_link, recommit};

/// Processor time of all threads of this process.
fn processor() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

/// Wall and processor time of the median of five runs, and the last result.
fn median<T>(mut run: impl FnMut() -> T) -> ([Duration; 2], Option<T>) {
    let (mut times, mut last) = (Vec::new(), None);
    for _ in 0..5 {
        drop(last.take());
        let (start, used) = (Instant::now(), processor());
        last = Some(run());
        times.push([start.elapsed(), processor() - used]);
    }
    times.sort();
    (times[2], last)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "weights  openings  R  lg C, T, n  commit wall, processor  link  advance  per proof  verify  bytes"
    );
    for (total, wanted) in [
        (61_706usize, 32),
        (61_706, 250),
        (264_000, 32),
        (264_000, 250),
        (1 << 22, 32),
        (1 << 22, 500),
        (1 << 22, 1000),
    ] {
        let layout = layout_digest([[total].as_slice()].into_iter());
        let load = Load { fresh: 1 << 16, model: Some((total, wanted)), zk: true };
        let (sizing, shape) = tune(&load).ok_or("no parameters")?;
        let security = [sizing.lambda, sizing.grind];
        let shape = Shape { layout, ..shape.ok_or("no commitment")? };
        let openings = shape.masks() / shape.queries(security[0]);
        let mut rows = Integers::zeros(shape.rows * shape.data());
        rows.set(0, &(0..total as i64).map(|i| i * 37 % 255 - 127).collect::<Vec<i64>>());
        let parent = Table::small(shape.clone(), rows, &Seed::new([1; 32]), "z");
        let about = LinkAbout { security, subject: [7; 32], total: total as u64 };
        let (commit, child) = median(|| recommit(&parent, shape.clone(), &Seed::new([2; 32])));
        let child = child.ok_or("no commitment")??;
        let statement = about.statement([&parent, &child]);
        let (link, made) = median(|| prove_link(statement.clone(), [&parent, &child], &Seed::new([3; 32])));
        let made = made.ok_or("no link")??;
        let (check, verdict) = median(|| verify_link(&made.statement, &made.proof));
        verdict.ok_or("no verdict")??;
        let advance = commit[0] + link[0];
        // One opening is the link itself, an eighth is set aside for links to children.
        let proofs = (openings - 1 - (openings / 8).max(2)).max(1);
        println!(
            "{total:>7}  {openings:>8}  {}  {}, {}, {}  {:?}, {:?}  {:?}, {:?}  {advance:?}  {:?}  {:?}  {}",
            shape.rows,
            shape.log_c,
            shape.log_t.unwrap_or(0),
            shape.log_n,
            commit[0],
            commit[1],
            link[0],
            link[1],
            advance / proofs as u32,
            check[0],
            made.proof.len()
        );
    }
    Ok(())
}
