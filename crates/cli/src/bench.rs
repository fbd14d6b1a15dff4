//! `bench`: proves one input many times in one process. Nothing is committed for others to use:
//! the key lives in memory only, and so does the proof.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::data::{RowArgs, graph_rows};
use crate::engine::{
    Inputs, Request, disagreements, finish, float_outputs, in_order, integers, labels, prepare, prover,
};
use crate::failure::Outcome;
use crate::files::encode_proof;
use crate::output::OutputArgs;
use crate::owner::Owner;
use crate::pipeline::{CompileArgs, Loaded, ModelArgs, Ready, tune};
use crate::progress::{Phase, Progress};
use crate::verify::{Expect, examine};
use crate::{demo, machine, meaning, npz, text};

/// Flags of `bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// The input
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    #[command(flatten)]
    pub rows: RowArgs,
    #[command(flatten)]
    pub compile: CompileArgs,
    /// What to show
    #[arg(long, value_name = "WHAT")]
    pub reveal: Vec<String>,
    /// Proofs per setting
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub repeat: usize,
    /// Also without zero knowledge, in turn
    #[arg(long)]
    pub compare_zk: bool,
    /// Compare labels with the float model on all rows of this file
    #[arg(long, value_name = "FILE")]
    pub evaluate: Option<PathBuf>,
    /// Weights in the program
    #[arg(long)]
    pub public_model: bool,
    /// Input in the statement
    #[arg(long)]
    pub public_input: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// One setting and what was measured under it.
struct Setting {
    zk: bool,
    owner: Owner,
    request: Request,
    prove_ms: Vec<f64>,
    prepare_ms: Vec<f64>,
    verify_ms: Vec<f64>,
    cpu_ms: Vec<f64>,
    proof: usize,
    bits: u32,
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn setting(args: &BenchArgs, loaded: &Loaded, zk: bool) -> Outcome<Setting> {
    let mut ready: Ready = args.compile.compile(loaded, !args.public_model, &Progress::new(true))?;
    if !zk {
        tune(&mut ready.program, 1, false)?;
    }
    let owner = if args.public_model {
        Owner::public(ready)?
    } else {
        let directory = demo::Scratch::new()?;
        Owner::commit(ready, loaded.source, &directory.path().join("model"))?
    };
    let all = graph_rows(&npz::read(&args.input)?, &loaded.imported.graph)?;
    let range = args.rows.range(all.first().map_or(0, |r| r.count))?;
    let rows: Vec<_> = all.iter().map(|r| r.pick(&range)).collect();
    let request = Request {
        inputs: Inputs::Rows { rows: in_order(&owner, loaded, &rows), public: args.public_input },
        reveals: meaning::reveals(&owner.meta, &args.reveal)?,
        context: Vec::new(),
        zk,
    };
    let (prove_ms, prepare_ms, verify_ms, cpu_ms) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    Ok(Setting { zk, owner, request, prove_ms, prepare_ms, verify_ms, cpu_ms, proof: 0, bits: 0 })
}

impl Setting {
    fn once(&mut self) -> Outcome<()> {
        let before = machine::cpu_ms();
        let prepared = prepare(&self.owner, &self.request)?;
        let (proof, finish_ms) = finish(&self.owner, &self.request, &prepared, &Phase::silent())?;
        if let (Some(before), Some(after)) = (before, machine::cpu_ms()) {
            self.cpu_ms.push(after - before);
        }
        self.prepare_ms.push(prepared.prepare_ms);
        self.prove_ms.push(prepared.prepare_ms + finish_ms);
        let bytes = encode_proof(&self.owner.program, &prepared.statement, &proof, &prepared.chains);
        let expect = Expect { model: Some(self.owner.identity()), ..Default::default() };
        let verdict = examine(&bytes, &expect);
        if !verdict.accepted() {
            let why = verdict.checks.last().map(|c| c.detail.clone()).unwrap_or_default();
            return Err(crate::failure::Failure::world(
                crate::failure::PROVER,
                "bench",
                why,
                "report this model",
            ));
        }
        self.verify_ms.push(verdict.verify_ms);
        (self.proof, self.bits) = (proof.len(), verdict.bits);
        Ok(())
    }

    fn json(&mut self) -> serde_json::Value {
        json!({
            "zk": self.zk,
            "prove_ms": median(&mut self.prove_ms),
            "prove_ms_least": self.prove_ms.first(),
            "prepare_ms": median(&mut self.prepare_ms),
            "verify_ms": median(&mut self.verify_ms),
            "cpu_ms": median(&mut self.cpu_ms),
            "proof_bytes": self.proof,
            "bits": self.bits,
        })
    }
}

/// Rows of one run of the integer program: large programs take fewer, so that memory and the limits of a
/// batch hold.
fn rows_at_once(program: &program::types::Program) -> usize {
    const MOST_ROWS: u64 = 32;
    const MOST_LEAVES: u64 = 1 << 24;
    let one = compile::estimate(program, 1, &compile::Units::default(), &[]);
    (MOST_LEAVES / one.leaves.max(1)).clamp(1, MOST_ROWS) as usize
}

/// Labels of the integer program and of the float model on every row of a file, compared.
fn evaluate(owner: &Owner, loaded: &Loaded, path: &Path) -> Outcome<serde_json::Value> {
    let chunk = rows_at_once(&owner.program);
    let arrays = npz::read(path)?;
    let all = graph_rows(&arrays, &loaded.imported.graph)?;
    let count = all.first().map_or(0, |r| r.count);
    let truth = npz::labels(&arrays);
    let (mut flips, mut right) = (Vec::new(), 0usize);
    for start in (0..count).step_by(chunk) {
        let range = start..count.min(start + chunk);
        let rows: Vec<_> = all.iter().map(|r| r.pick(&range)).collect();
        let inputs = Inputs::Rows { rows: in_order(owner, loaded, &rows), public: false };
        let (integers, batch, _) = integers(owner, &inputs)?;
        let outputs = program::run(&owner.program, batch, &integers, &owner.weights.0).map_err(prover)?;
        let floats = float_outputs(owner, loaded, &rows)?;
        flips.extend(disagreements(owner, batch, &outputs, &floats).iter().map(|row| start + row));
        let found = outputs.first().map(|o| labels(o, batch)).unwrap_or_default();
        right += found.iter().zip(truth.iter().skip(start)).filter(|(a, b)| a == b).count();
    }
    let share = |n: usize| n as f64 / count.max(1) as f64;
    let accuracy = (truth.len() == count).then(|| share(right));
    // Without scores there is no label to compare, which is no agreement.
    let labelled = owner.meta.outputs.iter().any(|about| about.kind == "logits");
    let agreement = labelled.then(|| share(count - flips.len()));
    Ok(json!({"rows": count, "flips": flips, "agreement": agreement, "accuracy": accuracy}))
}

/// Runs the verb.
pub fn run(args: &BenchArgs) -> Outcome<ExitCode> {
    let loaded = args.model.load()?;
    let mut settings = vec![setting(args, &loaded, true)?];
    if args.compare_zk {
        settings.push(setting(args, &loaded, false)?);
    }
    for setting in &mut settings {
        // The first proof warms caches and is not counted.
        setting.once()?;
        setting.prove_ms.clear();
        setting.prepare_ms.clear();
        setting.verify_ms.clear();
        setting.cpu_ms.clear();
    }
    for _ in 0..args.repeat.max(1) {
        settings.iter_mut().try_for_each(Setting::once)?;
    }
    let evaluation = match (&args.evaluate, settings.first()) {
        (Some(path), Some(setting)) => Some(evaluate(&setting.owner, &loaded, path)?),
        _ => None,
    };
    let agreement = settings.first().map(|s| s.owner.report.label_agreement());
    let ms: Vec<f64> = settings.iter_mut().map(|s| median(&mut s.prove_ms)).collect();
    let ratio = if let [with, without] = ms.as_slice() { Some(with / without) } else { None };
    let line = json!({
        "model": args.model.model.display().to_string(),
        "model_id": settings.first().map(|s| text::short(&s.owner.id())),
        "repeat": args.repeat,
        "threads": rayon::current_num_threads(),
        "settings": settings.iter_mut().map(Setting::json).collect::<Vec<_>>(),
        "zk_ratio": ratio,
        "peak_rss_bytes": machine::peak_rss(),
        "agreement": agreement,
        "evaluation": evaluation,
    });
    println!("{line}");
    Ok(ExitCode::SUCCESS)
}
