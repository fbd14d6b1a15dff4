//! Measures proving against size, and writes `docs/scaling.svg` and `docs/scaling.md`.
//!
//! One row of networks has more and more activations (four 3×3 convolutions of 16 channels on larger
//! and larger images, 9 thousand weights), one has more and more weights (one dense layer after
//! another, at most 2^14 activations). Every size is measured in a process of its own, so that its peak memory is
//! its own. Sizes whose estimate does not fit into the free memory are left out by name.
//!
//! `cargo run --release -p zerotell-bench --example scaling [-- ROW LG]` (with ROW and LG: that size only)

#[path = "scaling/picture.rs"]
mod picture;

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use program::types::Program;
use zerotell_bench::{Case, Net, Style, cpu_ms, kilobytes, layers};

/// Rows of sizes: name, least and largest binary logarithm.
const ROWS: [(&str, u32, u32, u32); 2] = [("activations", 12, 24, 2), ("weights", 16, 27, 1)];
/// Proofs per size, unless one takes longer than [`LONG_MS`].
const REPEAT: usize = 5;
const LONG_MS: f64 = 4000.0;

/// What was measured at one size.
#[derive(Clone, Copy, Debug)]
struct Point {
    log: u32,
    prove_ms: f64,
    cpu_ms: f64,
    verify_ms: f64,
    proof_bytes: f64,
    peak_bytes: f64,
}

fn network(row: &str, log: u32) -> Result<Program, Box<dyn Error>> {
    if row == "activations" {
        // Four layers of 16 channels: 64 activations per pixel.
        let side = 1u32 << ((log - 6) / 2);
        let style = if log < 17 { Style::SMALL } else { Style::LARGE };
        let mut net = Net::new(&[16, side, side], style)?;
        for _ in 0..4 {
            net.conv(16)?;
        }
        return Ok(net.finish()?);
    }
    Ok(layers(1 << log, 1 << (log / 2).min(11))?)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Measures one size in this process and prints the numbers.
fn measure(row: &str, log: u32) -> Result<(), Box<dyn Error>> {
    let mut program = network(row, log)?;
    prove::tune(&mut program, 32, true)?;
    let needed = compile::estimate(&program, 1, &compile::Units::default(), &[]).peak_ram_bytes;
    let free = kilobytes("/proc/meminfo", "MemAvailable:").unwrap_or(u64::MAX);
    if needed > free / 10 * 9 {
        println!("left out: {needed} bytes estimated, {free} free");
        return Ok(());
    }
    let case = Case::new(program)?;
    let (mut prove, mut cpu, mut verify, mut bytes) = (vec![], vec![], vec![], 0);
    for _ in 0..REPEAT {
        let (start, before) = (Instant::now(), cpu_ms());
        let setup = case.setup()?;
        let assignment = case.execute(&setup)?;
        let proof = case.prove(&setup, &assignment, &mut drop)?;
        prove.push(start.elapsed().as_secs_f64() * 1e3);
        cpu.push(cpu_ms() - before);
        let start = Instant::now();
        assert!(case.accepted(&proof), "the verifier refuses an honest proof");
        verify.push(start.elapsed().as_secs_f64() * 1e3);
        bytes = proof.bytes.len();
        if prove.iter().any(|&ms| ms > LONG_MS) {
            break;
        }
    }
    let peak = kilobytes("/proc/self/status", "VmHWM:").unwrap_or(0);
    println!("{} {} {} {bytes} {peak}", median(&mut prove), median(&mut cpu), median(&mut verify));
    Ok(())
}

/// Measures one size in a process of its own.
fn ask(row: &str, log: u32) -> Result<Point, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let out = Command::new(program).args([row, &log.to_string()]).output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&out.stdout).trim().to_string();
    let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        &[prove_ms, cpu_ms, verify_ms, proof_bytes, peak_bytes] if out.status.success() => {
            Ok(Point { log, prove_ms, cpu_ms, verify_ms, proof_bytes, peak_bytes })
        }
        _ if said.is_empty() => Err(format!("failed: {}", String::from_utf8_lossy(&out.stderr).trim())),
        _ => Err(said),
    }
}

/// The table of one row, with what was left out.
fn table(row: &str, results: &[(u32, Result<Point, String>)]) -> String {
    let mut text = format!(
        "## More {row}\n\n| {row} | prove ms | CPU ms | ns per {} | verify ms | proof bytes | peak MB |\n",
        &row[..row.len() - 1]
    );
    text += "|---|---|---|---|---|---|---|\n";
    for (log, result) in results {
        let _ = match result {
            Ok(p) => writeln!(
                text,
                "| 2^{log} | {:.1} | {:.0} | {:.0} | {:.1} | {:.0} | {:.0} |",
                p.prove_ms,
                p.cpu_ms,
                p.prove_ms * 1e6 / f64::from(*log).exp2(),
                p.verify_ms,
                p.proof_bytes,
                p.peak_bytes / 1e6
            ),
            Err(why) => writeln!(text, "| 2^{log} | {why} | | | | | |"),
        };
    }
    text
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [row, log] = words.as_slice() {
        return measure(row, log.parse()?);
    }
    let mut text = String::from(
        "# Cost against size\n\nWritten by `cargo run --release -p zerotell-bench --example scaling`. Networks made up on \
         the spot, private weights and\ninput, zero knowledge, 100 proven bits; a median of up to 5 proofs, setup and integer run \
         included, the commitment of\nthe weights not. Every size ran in a process of its own. The tables hold the limits of what was \
         tried: a size that is\nestimated not to fit into memory is left out by name.\n\n![Milliseconds to prove against size](scaling.svg)\n\n",
    );
    let mut lines = Vec::new();
    for (row, least, most, step) in ROWS {
        let mut results = Vec::new();
        for log in (least..=most).step_by(usize::try_from(step)?) {
            let result = ask(row, log);
            eprintln!("{row} 2^{log}: {result:?}");
            results.push((log, result));
        }
        text += &table(row, &results);
        text.push('\n');
        lines.push((row, results.iter().filter_map(|(_, r)| r.as_ref().ok().copied()).collect::<Vec<_>>()));
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::write(docs.join("scaling.md"), text.trim_end().to_string() + "\n")?;
    let lines: Vec<(&str, Vec<(u32, f64)>)> = lines
        .iter()
        .map(|(row, points)| (*row, points.iter().map(|p| (p.log, p.prove_ms)).collect()))
        .collect();
    std::fs::write(docs.join("scaling.svg"), picture::draw(&lines))?;
    Ok(())
}
