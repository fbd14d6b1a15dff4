//! `compile` and `estimate`: figures about a model, nothing committed, nothing proved.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::failure::Outcome;
use crate::output::OutputArgs;
use crate::pipeline::{CompileArgs, ModelArgs};
use crate::progress::Progress;
use crate::text::{self, DIM, HEAD, paint};
use crate::{machine, meaning, units};

/// Flags of `compile`.
#[derive(Args, Clone, Debug)]
pub struct CompileVerb {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub compile: CompileArgs,
    /// Keep the weights in the program for all to see
    #[arg(long)]
    pub public_model: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Flags of `estimate`.
#[derive(Args, Clone, Debug)]
pub struct EstimateVerb {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub compile: CompileArgs,
    /// Put the weights into the proof file for all to see
    #[arg(long)]
    pub public_model: bool,
    /// Inferences in one proof
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub rows: u32,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Runs `compile`.
pub fn compile(args: &CompileVerb) -> Outcome<ExitCode> {
    let loaded = args.model.load()?;
    let ready = args.compile.compile(&loaded, !args.public_model, &Progress::new(args.output.json()))?;
    let meta = meaning::required(&ready.program)?;
    let notes: Vec<&String> = loaded.imported.notes.iter().chain(&meta.notes).collect();
    let digest = text::hex(&ready.program.digest());
    if args.output.json() {
        let report: serde_json::Value = serde_json::from_str(&ready.report.to_json()).unwrap_or_default();
        let line = json!({
            "program": digest,
            "semantics": meta.semantics,
            "precision": meta.precision,
            "agreement": ready.report.agreement,
            "report": report,
            "notes": notes,
            "cached": ready.cached,
            "compile_ms": ready.compile_ms,
        });
        println!("{line}");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("program   {digest}");
    anstream::println!("meaning   {}, {}", meta.semantics, meta.precision);
    for input in &meta.inputs {
        anstream::println!("input     {} {:?}", input.name, input.shape);
    }
    for output in &meta.outputs {
        anstream::println!(
            "output    {} {:?}, one unit is {}",
            output.name,
            output.shape,
            text::real(output.scale)
        );
    }
    notes.iter().for_each(|note| anstream::println!("{}", paint(DIM, format!("note: {note}"))));
    anstream::println!("\n{}", ready.report.to_text());
    Ok(ExitCode::SUCCESS)
}

/// Runs `estimate`. Refuses when the memory would not suffice.
pub fn estimate(args: &EstimateVerb) -> Outcome<ExitCode> {
    let loaded = args.model.load()?;
    let ready = args.compile.compile(&loaded, !args.public_model, &Progress::new(args.output.json()))?;
    let estimate = units::estimate(&ready, args.rows)?;
    if args.output.json() {
        println!("{}", serde_json::to_value(&estimate).unwrap_or_default());
    } else {
        print_estimate(&estimate);
    }
    let fix = "prove fewer rows at once, or use a machine with more memory";
    machine::refuse_beyond(estimate.peak_ram_bytes, machine::available_memory(), fix)?;
    Ok(ExitCode::SUCCESS)
}

fn print_estimate(estimate: &compile::Estimate) {
    anstream::println!("{}", paint(HEAD, "predicted cost of one proof"));
    anstream::println!("  prove   {}", text::time(estimate.prove_ms));
    anstream::println!("  memory  {}", text::size(estimate.peak_ram_bytes));
    anstream::println!("  proof   {}", text::size(estimate.proof_bytes));
    anstream::println!("  verify  {}\n", text::time(estimate.verify_ms));
    let head = format!(
        "{:<28} {:<7} {:>10} {:>10} {:>10} {:>9}",
        "node", "kind", "values", "lookups", "weights", "share"
    );
    anstream::println!("{}", paint(HEAD, head));
    let total: f64 = estimate.rows.iter().map(|r| r.ms).sum::<f64>().max(1e-9);
    for row in &estimate.rows {
        let name: String = row.node.chars().take(28).collect();
        let share = format!("{:.1} %", 100.0 * row.ms / total);
        anstream::println!(
            "{name:<28} {:<7} {:>10} {:>10} {:>10} {share:>9}",
            row.kind,
            row.values,
            row.lookups,
            row.weights
        );
    }
}
