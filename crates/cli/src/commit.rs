//! `commit`: a model or an input becomes an ID that later proofs are bound to.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use program::types::{Home, Program};
use serde_json::json;

use crate::data::{RowArgs, rows};
use crate::failure::{DATA_FIT, Failure, MODEL_FILE, Outcome, USAGE};
use crate::files::{FILE_BYTES, ModelFile, read_bounded, write_whole};
use crate::output::OutputArgs;
use crate::owner::{SecretArgs, owner};
use crate::pipeline::{CompileArgs, ModelArgs};
use crate::progress::Progress;
use crate::text::{self, DIM, paint};
use crate::{keys, meaning, npz};

/// Flags of `commit`.
#[derive(Args, Clone, Debug)]
pub struct CommitArgs {
    /// The model to commit, an ONNX file
    #[arg(value_name = "MODEL.onnx", required_unless_present = "input")]
    pub onnx: Option<PathBuf>,
    /// Length of a symbolic dimension (repeat for more)
    #[arg(long = "dim", value_name = "NAME=N")]
    pub dims: Vec<String>,
    /// Commit this input instead, for the model of --model
    #[arg(long, value_name = "FILE", requires = "input_key", requires = "model", conflicts_with = "onnx")]
    pub input: Option<PathBuf>,
    /// The model file (.ztm) that says how the input is read
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Directory of the input's key; must be empty or not there
    #[arg(long, value_name = "DIR", help_heading = "Secrets")]
    pub input_key: Option<PathBuf>,
    #[command(flatten)]
    pub rows: RowArgs,
    #[command(flatten)]
    pub secrets: SecretArgs,
    #[command(flatten)]
    pub compile: CompileArgs,
    /// Write the model file for verifiers here as well
    #[arg(short, long, value_name = "FILE.ztm")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub form: OutputArgs,
}

/// Runs the verb.
pub fn run(args: &CommitArgs) -> Outcome<ExitCode> {
    match (&args.onnx, &args.input) {
        (Some(onnx), _) => model(args, onnx.clone()),
        (None, Some(input)) => commit_input(args, input),
        (None, None) => {
            Err(Failure::misuse(USAGE, "commit", "nothing to commit", "give a model, or --input"))
        }
    }
}

fn model(args: &CommitArgs, onnx: PathBuf) -> Outcome<ExitCode> {
    let progress = Progress::new(args.form.json());
    let loaded = ModelArgs { model: onnx, dims: args.dims.clone() }.load()?;
    let owner = owner(&loaded, &args.compile, &args.secrets, &progress)?;
    let oracles: Vec<[u8; 32]> = owner.committed.iter().map(|(table, _)| table.id()).collect();
    let file = ModelFile { program: owner.program.clone(), oracles };
    if let Some(path) = &args.output {
        write_whole(path, &file.encode(), 0o644)?;
    }
    let id = owner.id();
    let budget = owner.committed.as_ref().map(|(_, budget)| budget.read()).transpose()?;
    if args.form.json() {
        let line = json!({
            "model": id,
            "program": text::hex(&owner.program.digest()),
            "private": owner.committed.is_some(),
            "fresh": owner.fresh,
            "key": owner.directory.as_ref().map(|d| d.display().to_string()),
            "model_file": args.output.as_ref().map(|p| p.display().to_string()),
            "openings": budget.as_ref().map(|b| b.total),
            "openings_left": budget.as_ref().map(|b| b.total - b.used),
            "agreement": owner.report.agreement,
            "compile_ms": owner.compile_ms,
            "commit_ms": owner.commit_ms,
        });
        println!("{line}");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("model ID  {id}");
    anstream::println!(
        "publish   the ID; verifiers may also want the model file, which holds no private weights"
    );
    if let (Some(directory), Some(budget)) = (&owner.directory, budget) {
        let word = if owner.fresh { "made" } else { "was there already" };
        anstream::println!("key       {} ({word}; keep it secret)", directory.display());
        anstream::println!("file      {}", directory.join(keys::PUBLIC).display());
        anstream::println!("openings  {} of {} left", budget.total - budget.used, budget.total);
    }
    anstream::println!("\n{}", owner.report.to_text());
    Ok(ExitCode::SUCCESS)
}

/// Axes of the program's only input, with the batch.
fn input_axes(program: &Program, batch: usize) -> Outcome<Vec<usize>> {
    let mut inputs = program.tensors.iter().filter(|t| t.home == Home::Input);
    match (inputs.next(), inputs.next()) {
        (Some(tensor), None) => {
            Ok(tensor.axes.iter().map(|&n| if n == 0 { batch } else { n as usize }).collect())
        }
        _ => Err(Failure::misuse(
            USAGE,
            "--input",
            "committed inputs are for models with one input",
            "join the inputs into one",
        )),
    }
}

fn commit_input(args: &CommitArgs, path: &std::path::Path) -> Outcome<ExitCode> {
    let (Some(model), Some(directory)) = (&args.model, &args.input_key) else {
        return Err(Failure::misuse(
            USAGE,
            "--input",
            "--model FILE.ztm and --input-key DIR are needed",
            "add them",
        ));
    };
    let bytes = read_bounded(model, FILE_BYTES)?;
    let file = ModelFile::decode(&bytes).map_err(|why| {
        Failure::misuse(
            MODEL_FILE,
            model.display(),
            format!("not a model file: {why}"),
            "give the owner's model.ztm",
        )
    })?;
    program::validate(&file.program).map_err(|why| {
        Failure::misuse(MODEL_FILE, model.display(), why, "ask the model's owner for the file again")
    })?;
    let meta = meaning::required(&file.program)?;
    let about = meta.inputs.first();
    let about = about
        .ok_or_else(|| Failure::misuse(USAGE, "--model", "the model has no input", "give another model"))?;
    let found = rows(&npz::read(path)?, &about.name, &about.shape, meta.inputs.len())?;
    let picked = found.pick(&args.rows.range(found.count)?);
    let axes = input_axes(&file.program, picked.count)?;
    let quantised = compile::quantise_input(&meta, 0, &picked.data);
    let q = quantised.map_err(|e| Failure::misuse(DATA_FIT, path.display(), e, "check the input"))?;
    let secret =
        keys::create_input(directory, &file.program, meaning::input_digest(&meta, 0), axes, q.values)?;
    let (id, budget) = (text::input_id(&secret.table.id()), secret.budget.read()?);
    if args.form.json() {
        let line = json!({
            "input": id,
            "rows": picked.count,
            "key": directory.display().to_string(),
            "openings": budget.total,
            "saturated": q.saturated,
        });
        println!("{line}");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("input ID  {id}");
    anstream::println!("key       {} (keep it secret)", directory.display());
    anstream::println!("rows      {}, openings {}", picked.count, budget.total);
    if q.saturated > 0 {
        anstream::println!(
            "{}",
            paint(DIM, format!("{} values lie outside the calibrated range and were clamped", q.saturated))
        );
    }
    Ok(ExitCode::SUCCESS)
}
