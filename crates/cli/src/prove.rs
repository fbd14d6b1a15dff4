//! `prove`: model and input in, proof file out.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use program::InputMode;
use program::types::Reveal;
use program::wire::Statement;
use serde_json::json;

use crate::batch::{self, SplitArgs};
use crate::context::ContextArgs;
use crate::data::{RowArgs, Rows, graph_rows};
use crate::engine::{
    Inputs, Prepared, Request, disagreements, finish, float_outputs, in_order, integers, prepare,
    prepare_epochs, reserve,
};
use crate::failure::{DISAGREEMENT, Failure, OTHER_KEY, Outcome, USAGE};
use crate::files::{encode_proof, write_whole};
use crate::keys::{self, InputSecret};
use crate::output::OutputArgs;
use crate::owner::{Owner, SecretArgs, owner};
use crate::pipeline::{CompileArgs, Loaded, ModelArgs};
use crate::progress::Progress;
use crate::text::{self, DIM, GOOD, paint};
use crate::{machine, meaning, npz, units};

/// Flags of `prove`.
#[derive(Args, Clone, Debug)]
pub struct ProveArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// The input (.npz, .npy, .json, .csv)
    #[arg(long, value_name = "FILE", required_unless_present = "input_key")]
    pub input: Option<PathBuf>,
    #[command(flatten)]
    pub rows: RowArgs,
    /// Show the input to the verifier (else it stays private)
    #[arg(long, conflicts_with = "input_key")]
    pub public_input: bool,
    /// Prove about the input committed in this directory
    #[arg(long, value_name = "DIR", help_heading = "Secrets")]
    pub input_key: Option<PathBuf>,
    #[command(flatten)]
    pub secrets: SecretArgs,
    #[command(flatten)]
    pub split: SplitArgs,
    /// What to show: output, label or `out[0]>=0.5` (repeat for more) [default: label, or output]
    #[arg(long, value_name = "WHAT")]
    pub reveal: Vec<String>,
    /// Prove the integer program's answer even where the float model's label differs
    #[arg(long)]
    pub allow_disagreement: bool,
    #[command(flatten)]
    pub compile: CompileArgs,
    #[command(flatten)]
    pub context: ContextArgs,
    /// Where the proof goes; of several proofs, their manifest, with the proofs beside it
    #[arg(short, long, value_name = "FILE", default_value = "proof.ztp")]
    pub output: PathBuf,
    #[command(flatten)]
    pub form: OutputArgs,
}

impl ProveArgs {
    /// Inputs in the program's order, and the rows in the graph's.
    fn inputs(&self, owner: &Owner, loaded: &Loaded) -> Outcome<(Inputs, Option<Vec<Rows>>)> {
        let graph = &loaded.imported.graph;
        let rows = match &self.input {
            Some(path) => {
                let all = graph_rows(&npz::read(path)?, graph)?;
                let range = self.rows.range(all.first().map_or(0, |r| r.count))?;
                Some(all.iter().map(|r| r.pick(&range)).collect::<Vec<_>>())
            }
            None => None,
        };
        if let Some(directory) = &self.input_key {
            let secret = committed_input(owner, directory)?;
            if let Some(rows) = &rows {
                let given = Inputs::Rows { rows: in_order(owner, loaded, rows), public: false };
                if integers(owner, &given)?.0.values().next().is_none_or(|v| **v != *secret.values) {
                    let reason = "the input given is not the one that was committed";
                    let fix = "leave --input out, or give the rows that were committed";
                    return Err(Failure::misuse(OTHER_KEY, "--input", reason, fix));
                }
            }
            return Ok((Inputs::Committed(Box::new(secret)), rows));
        }
        let rows = rows.unwrap_or_default();
        let inputs = Inputs::Rows { rows: in_order(owner, loaded, &rows), public: self.public_input };
        Ok((inputs, Some(rows)))
    }
}

/// Opens the committed input of a model with one input.
pub fn committed_input(owner: &Owner, directory: &Path) -> Outcome<InputSecret> {
    if owner.meta.inputs.len() != 1 {
        let reason = format!(
            "the model has {} inputs; committed inputs are for models with one",
            owner.meta.inputs.len()
        );
        return Err(Failure::misuse(
            USAGE,
            "--input-key",
            reason,
            "join the inputs into one, or keep them private",
        ));
    }
    keys::open_input(directory, &owner.program, &meaning::input_digest(&owner.meta, 0))
}

/// Refuses work that does not fit the memory there is.
pub fn check_memory(owner: &Owner, batch: u32) -> Outcome<f64> {
    let estimate = units::rough(&owner.program, batch)?;
    let fix = "prove fewer rows at once (--max-memory splits them), or use a machine with more memory";
    machine::refuse_beyond(estimate.peak_ram_bytes, machine::available_memory(), fix)?;
    Ok(estimate.prove_ms)
}

/// Refuses answers with other labels than the float model gives. The outputs are those of the rows
/// from `first` on.
pub fn agree(owner: &Owner, rows: Range<usize>, outputs: &[Vec<i64>], floats: &[Vec<f32>]) -> Outcome<()> {
    let batch = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let Some(row) = disagreements(owner, batch, outputs, floats).first().map(|row| rows.start + row) else {
        return Ok(());
    };
    let reason = format!("the integer program and the float model give other labels at row {row}");
    let fix = "use more precision (--precision 16), or --allow-disagreement to prove the integer answer";
    Err(Failure::misuse(DISAGREEMENT, "--input", reason, fix))
}

/// In words what is hidden and what is shown.
pub fn mode(owner: &Owner, statement: &Statement) -> String {
    let model = if owner.committed.is_some() { "private model" } else { "public model" };
    let input = match statement.disclosure.inputs.first() {
        Some(InputMode::Public) => "public input",
        Some(InputMode::Committed) => "committed input",
        _ => "private input",
    };
    let word = |r: &Reveal| match r {
        Reveal::Values { .. } => "output",
        Reveal::Label { .. } => "label",
        Reveal::Threshold { .. } => "threshold",
    };
    let shown: Vec<&str> = statement.disclosure.reveals.iter().map(word).collect();
    format!("{model}, {input}, {} shown", shown.join(" and "))
}

/// Runs the verb.
pub fn run(args: &ProveArgs) -> Outcome<ExitCode> {
    let progress = Progress::new(args.form.json());
    let context = args.context.bytes()?;
    let loaded = args.model.load()?;
    let mut owner = owner(&loaded, &args.compile, &args.secrets, &progress)?;
    let (inputs, rows) = args.inputs(&owner, &loaded)?;
    let reveals = meaning::reveals(&owner.meta, &args.reveal)?;
    let zk = owner.committed.is_some() || !args.public_input;
    let mut request = Request { inputs, reveals, context, zk };
    if let Some(most) = args.split.most_rows(&owner, &request)? {
        return batch::run(
            args,
            &mut owner,
            &loaded,
            &request,
            rows.as_deref().unwrap_or_default(),
            most,
            &progress,
        );
    }
    let mut floats = None;
    let (prepared, made) = make(&mut owner, &mut request, &args.output, &progress, |owner, prepared| {
        floats = rows.as_ref().map(|rows| float_outputs(owner, &loaded, rows)).transpose()?;
        match &floats {
            Some(floats) if !args.allow_disagreement => {
                agree(owner, 0..prepared.statement.batch as usize, &prepared.outputs, floats)
            }
            _ => Ok(()),
        }
    })?;
    report(args, &owner, &prepared, &made, floats.as_deref());
    advance(&mut owner, &mut request, &progress);
    Ok(ExitCode::SUCCESS)
}

/// Makes the next epochs ahead of need, once a proof is written.
pub fn advance(owner: &mut Owner, request: &mut Request, progress: &Progress) {
    let phase = progress.phase("next epoch", None);
    let ready = prepare_epochs(owner, request);
    drop(phase);
    if let Err(why) = ready {
        // The proof is written; the next one tries again and says why it cannot be made.
        anstream::eprintln!("note: the next epoch could not be made ahead of need\n{why}");
    }
}

/// Runs the program, lets `check` look at the answer, reserves an opening, proves, writes the file.
pub fn make(
    owner: &mut Owner,
    request: &mut Request,
    path: &Path,
    progress: &Progress,
    check: impl FnOnce(&Owner, &Prepared) -> Outcome<()>,
) -> Outcome<(Prepared, Made)> {
    let batch = integers(owner, &request.inputs)?.1;
    let expected = check_memory(owner, batch)?;
    let phase = progress.phase("run", None);
    let mut prepared = prepare(owner, request)?;
    drop(phase);
    check(owner, &prepared)?;
    let left = reserve(owner, request, &mut prepared)?;
    let phase = progress.phase("prove", Some(expected));
    let (proof, finish_ms) = finish(owner, request, &prepared, &phase)?;
    drop(phase);
    let bytes = encode_proof(&owner.program, &prepared.statement, &proof, &prepared.chains);
    write_whole(path, &bytes, 0o644)?;
    let made = Made {
        prove_ms: prepared.prepare_ms + finish_ms,
        proof: proof.len(),
        file: bytes.len(),
        digest: *blake3::hash(&bytes).as_bytes(),
        left,
    };
    Ok((prepared, made))
}

/// Sizes and times of a proof that was made.
pub struct Made {
    /// Milliseconds, from the integers of the input to the proof.
    pub prove_ms: f64,
    /// Bytes of the proof.
    pub proof: usize,
    /// Bytes of its file.
    pub file: usize,
    /// BLAKE3 hash of the file.
    pub digest: [u8; 32],
    /// Openings left.
    pub left: Option<u64>,
}

fn report(args: &ProveArgs, owner: &Owner, prepared: &Prepared, made: &Made, floats: Option<&[Vec<f32>]>) {
    let shown = meaning::shown(Some(&owner.meta), &prepared.statement);
    let bits = verify::budget(&prepared.setup).weakest().bits;
    if args.form.json() {
        let line = json!({
            "program": text::hex(&prepared.statement.program_digest),
            "model": owner.id(),
            "mode": mode(owner, &prepared.statement),
            "outputs": shown.outputs,
            "label": shown.label,
            "reveals": shown.reveals,
            "compile_ms": owner.compile_ms,
            "commit_ms": owner.commit_ms,
            "prove_ms": made.prove_ms,
            "proof_bytes": made.proof,
            "file_bytes": made.file,
            "peak_rss_bytes": machine::peak_rss(),
            "bits": bits,
            "agreement": owner.report.agreement,
            "proof": args.output.display().to_string(),
            "openings_left": made.left,
            "links": prepared.chains.iter().map(Vec::len).sum::<usize>(),
        });
        println!("{line}");
        return;
    }
    if owner.fresh
        && let Some(directory) = &owner.directory
    {
        anstream::println!("committed the model: its key is in {} (keep it secret)\n", directory.display());
    }
    anstream::println!("{}  {}", paint(GOOD, "proved"), mode(owner, &prepared.statement));
    shown.lines.iter().for_each(|line| anstream::println!("  {line}"));
    float_lines(prepared, floats);
    if prepared.saturated > 0 {
        anstream::println!(
            "  note: {} input values lie outside the calibrated range and were clamped",
            prepared.saturated
        );
    }
    let sizes = format!(
        "{} to prove, {} proof, {} file",
        text::time(made.prove_ms),
        text::size(made.proof as u64),
        text::size(made.file as u64)
    );
    anstream::println!("  {sizes}, {bits} bits");
    if let Some(left) = made.left {
        anstream::println!(
            "  {}",
            paint(DIM, format!("{left} proofs are left before the next epoch, which follows by itself"))
        );
    }
    anstream::println!(
        "\nmodel ID  {}\nverify    zerotell verify {} --model {}",
        owner.id(),
        args.output.display(),
        owner.id()
    );
}

/// The float model's answer beside what is revealed of the integer one.
fn float_lines(prepared: &Prepared, floats: Option<&[Vec<f32>]>) {
    for reveal in &prepared.statement.disclosure.reveals {
        if let (Reveal::Values { output }, Some(floats)) = (reveal, floats)
            && let Some(all) = floats.get(*output as usize)
        {
            let words: Vec<String> = all.iter().take(16).map(|&x| text::real(f64::from(x))).collect();
            anstream::println!("  {}", paint(DIM, format!("float model: {}", words.join("  "))));
        }
    }
}
