//! `commit`: a model or an input becomes an ID that later proofs are bound to.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use program::types::{Home, Program};
use serde_json::json;

use crate::data::{RowArgs, rows};
use crate::epochs::{self, Commitment, Commitments, Committed};
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
    #[arg(value_name = "MODEL.onnx", required_unless_present_any = ["input", "status"])]
    pub onnx: Option<PathBuf>,
    /// Commit nothing: show the epochs of this key directory and the openings they have left
    #[arg(long, value_name = "DIR", conflicts_with_all = ["onnx", "input"])]
    pub status: Option<PathBuf>,
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
    if let Some(directory) = &args.status {
        return status(args, directory);
    }
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
    let oracles: Vec<[u8; 32]> = owner.committed.iter().map(Committed::id).collect();
    let file = ModelFile { program: owner.program.clone(), oracles };
    if let Some(path) = &args.output {
        write_whole(path, &file.encode(), 0o644)?;
    }
    let id = owner.id();
    let state = owner.committed.as_ref().map(Committed::commitments).transpose()?;
    if args.form.json() {
        let line = json!({
            "model": id,
            "program": text::hex(&owner.program.digest()),
            "private": owner.committed.is_some(),
            "fresh": owner.fresh,
            "key": owner.directory.as_ref().map(|d| d.display().to_string()),
            "model_file": args.output.as_ref().map(|p| p.display().to_string()),
            "openings": state.as_ref().and_then(|s| s.list.first()).map(|one| one.total),
            "openings_left": state.as_ref().map(Commitments::proofs_left),
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
    if let (Some(directory), Some(state)) = (&owner.directory, state) {
        let word = if owner.fresh { "made" } else { "was there already" };
        anstream::println!("key       {} ({word}; keep it secret)", directory.display());
        anstream::println!("file      {}", directory.join(keys::PUBLIC).display());
        anstream::println!(
            "proofs    {} left before the next epoch, which follows by itself",
            state.proofs_left()
        );
    }
    anstream::println!("\n{}", owner.report.to_text());
    Ok(ExitCode::SUCCESS)
}

/// Shows the epochs of a key.
fn status(args: &CommitArgs, directory: &Path) -> Outcome<ExitCode> {
    let state = epochs::read(directory)?;
    if args.form.json() {
        let epoch = |(i, one): (usize, &Commitment)| {
            json!({
                "epoch": one.number,
                "links": state.depth(i),
                "openings": one.total,
                "used": one.used,
                "proofs_left": one.proofs_left(),
                "links_left": one.links_left(),
            })
        };
        let epochs: Vec<_> = state.list.iter().enumerate().map(epoch).collect();
        println!("{}", json!({"epochs": epochs, "openings_left": state.proofs_left(), "made": state.next}));
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("epoch  links  openings  used  left for proofs  for links");
    for (i, one) in state.list.iter().enumerate() {
        let (proofs, links) = (one.proofs_left(), one.links_left());
        let depth = state.depth(i);
        anstream::println!(
            "{:>5}  {depth:>5}  {:>8}  {:>4}  {proofs:>15}  {links:>9}",
            one.number,
            one.total,
            one.used
        );
    }
    anstream::println!(
        "{} proofs are left before the next epoch, which follows by itself",
        state.proofs_left()
    );
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

fn commit_input(args: &CommitArgs, path: &Path) -> Outcome<ExitCode> {
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
    let (id, state) = (text::input_id(&secret.committed.id()), secret.committed.commitments()?);
    if args.form.json() {
        let line = json!({
            "input": id,
            "rows": picked.count,
            "key": directory.display().to_string(),
            "openings": state.list.first().map(|one| one.total),
            "saturated": q.saturated,
        });
        println!("{line}");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("input ID  {id}");
    anstream::println!("key       {} (keep it secret)", directory.display());
    anstream::println!("rows      {}", picked.count);
    anstream::println!(
        "proofs    {} left before the next epoch, which follows by itself",
        state.proofs_left()
    );
    if q.saturated > 0 {
        anstream::println!(
            "{}",
            paint(DIM, format!("{} values lie outside the calibrated range and were clamped", q.saturated))
        );
    }
    Ok(ExitCode::SUCCESS)
}
