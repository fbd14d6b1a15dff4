//! `prove`: model and input in, proof file out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use program::types::{Home, Reveal};
use program::wire::{Statement, encode_statement};
use program::{Assignment, Disclosure, ExecuteError, InputMode};
use prove::Table;
use prove::random::Seed;
use serde_json::json;
use verify::Setup;

use crate::context::ContextArgs;
use crate::data::{RowArgs, Rows, graph_rows, sample};
use crate::failure::{DISAGREEMENT, Failure, FALSE_CLAIM, MEMORY, Outcome, PROVER, USAGE};
use crate::files::{encode_proof, write_whole};
use crate::keys::{self, InputSecret};
use crate::meaning::{self, has_label};
use crate::output::OutputArgs;
use crate::owner::{Owner, SecretArgs, owner};
use crate::pipeline::{CompileArgs, Loaded, ModelArgs, ms};
use crate::progress::{Phase, Progress};
use crate::text::{self, DIM, GOOD, paint};
use crate::{machine, npz};

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
    /// What to show: output, label or "out[0]>=0.5" (repeat for more) [default: label, or output]
    #[arg(long, value_name = "WHAT")]
    pub reveal: Vec<String>,
    /// Prove the integer program's answer even where the float model's label differs
    #[arg(long)]
    pub allow_disagreement: bool,
    #[command(flatten)]
    pub compile: CompileArgs,
    #[command(flatten)]
    pub context: ContextArgs,
    /// Where the proof goes
    #[arg(short, long, value_name = "FILE", default_value = "proof.ztp")]
    pub output: PathBuf,
    #[command(flatten)]
    pub form: OutputArgs,
}

/// The inputs of one proof.
pub enum Inputs {
    /// Rows per input, in the program's order.
    Rows {
        /// The rows.
        rows: Vec<Rows>,
        /// Whether they are shown.
        public: bool,
    },
    /// The one input, committed earlier.
    Committed(Box<InputSecret>),
}

/// What is to be proved.
pub struct Request {
    /// The inputs.
    pub inputs: Inputs,
    /// What is shown.
    pub reveals: Vec<Reveal>,
    /// Context bytes.
    pub context: Vec<u8>,
    /// Hide what is not shown.
    pub zk: bool,
}

/// A statement known to be true, with all its values.
pub struct Prepared {
    /// Sizes and relations.
    pub setup: Setup,
    /// The statement.
    pub statement: Statement,
    assignment: Assignment,
    inputs_digest: [u8; 32],
    /// Integer outputs, in order.
    pub outputs: Vec<Vec<i64>>,
    /// Input values that were clamped to the input's range.
    pub saturated: usize,
    /// Milliseconds so far: quantise, run, state, execute.
    pub prepare_ms: f64,
}

fn prover(why: impl std::fmt::Display) -> Failure {
    Failure::world(PROVER, "prover", why, "report this model and input size")
}

type Integers = BTreeMap<u32, Arc<[i64]>>;

fn input_tensors(owner: &Owner) -> Vec<u32> {
    let numbered = (0u32..).zip(&owner.program.tensors);
    numbered.filter(|(_, t)| t.home == Home::Input).map(|(n, _)| n).collect()
}

/// Integers of all inputs by tensor number, the batch size, and how many were clamped.
fn integers(owner: &Owner, inputs: &Inputs) -> Outcome<(Integers, u32, usize)> {
    let tensors = input_tensors(owner);
    let mut all = Integers::new();
    let (batch, mut saturated) = match inputs {
        Inputs::Rows { rows, .. } => (rows.first().map_or(1, |r| r.count), 0),
        Inputs::Committed(secret) => (secret.axes.first().copied().unwrap_or(1), 0),
    };
    match inputs {
        Inputs::Rows { rows, .. } => {
            for (number, (rows, &tensor)) in rows.iter().zip(&tensors).enumerate() {
                let quantised = compile::quantise_input(&owner.meta, number, &rows.data);
                let q = quantised.map_err(|e| Failure::misuse(crate::failure::DATA_FIT, "--input", e, "check the input"))?;
                saturated += q.saturated;
                all.insert(tensor, q.values.into());
            }
        }
        Inputs::Committed(secret) => {
            all.extend(tensors.first().map(|&tensor| (tensor, secret.values.clone())));
        }
    }
    let batch = u32::try_from(batch).ok().filter(|&b| u64::from(b) <= program::limits::BATCH);
    let batch = batch.ok_or_else(|| Failure::misuse(USAGE, "--rows", "too many rows for one proof", "prove fewer"))?;
    Ok((all, batch, saturated))
}

/// Slots of the statement: public inputs, then what is revealed.
fn slots(owner: &Owner, request: &Request, integers: &Integers, outputs: &[Vec<i64>], batch: u32) -> Vec<Vec<i64>> {
    let mut slots = Vec::new();
    if matches!(request.inputs, Inputs::Rows { public: true, .. }) {
        slots.extend(input_tensors(owner).iter().filter_map(|t| integers.get(t)).map(|v| v.to_vec()));
    }
    for reveal in &request.reveals {
        match reveal {
            Reveal::Values { output } => slots.extend(outputs.get(*output as usize).cloned()),
            Reveal::Label { output } => slots.extend(outputs.get(*output as usize).map(|all| labels(all, batch))),
            Reveal::Threshold { .. } => {}
        }
    }
    slots
}

/// Per row the least index of a largest value.
pub fn labels(values: &[i64], batch: u32) -> Vec<i64> {
    let width = (values.len() / batch.max(1) as usize).max(1);
    let best = |row: &[i64]| row.iter().enumerate().rev().max_by_key(|(_, q)| **q).map_or(0, |(i, _)| i as i64);
    values.chunks(width).map(best).collect()
}

fn executed(why: ExecuteError) -> Failure {
    match why {
        ExecuteError::NotInRange { site: program::Site::Reveal(_), position, .. } => {
            let reason = format!("the claim is false (at row {position}): there is no proof of it");
            Failure::misuse(FALSE_CLAIM, "--reveal", reason, "claim what is true of this input")
        }
        other => prover(other),
    }
}

/// Quantises, runs the program, states what is shown and computes every value of the proof.
pub fn prepare(owner: &Owner, request: &Request) -> Outcome<Prepared> {
    let started = Instant::now();
    let (integers, batch, saturated) = integers(owner, &request.inputs)?;
    let outputs = program::run(&owner.program, batch, &integers, &owner.weights).map_err(prover)?;
    check_bounds(owner, request, &outputs)?;
    let mode = match &request.inputs {
        Inputs::Rows { public: true, .. } => InputMode::Public,
        Inputs::Rows { public: false, .. } => InputMode::Private,
        Inputs::Committed(_) => InputMode::Committed,
    };
    let tables = tables(owner, request);
    let statement = Statement {
        program_digest: owner.program.digest(),
        zk: request.zk,
        batch,
        disclosure: Disclosure {
            inputs: vec![mode; input_tensors(owner).len()],
            reveals: request.reveals.clone(),
        },
        identity: tables.iter().map(|table| table.id()).collect(),
        roots: tables.iter().map(|table| table.root()).collect(),
        link: [0; 32],
        slots: slots(owner, request, &integers, &outputs, batch),
        context: request.context.clone(),
    };
    let setup = Setup::new(&owner.program, &statement).map_err(prover)?;
    let mut hasher = blake3::Hasher::new();
    integers.values().flat_map(|v| v.iter()).for_each(|x| {
        hasher.update(&x.to_le_bytes());
    });
    let assignment = program::execute(&setup.lowered, &integers, &owner.weights).map_err(executed)?;
    Ok(Prepared {
        setup,
        statement,
        assignment,
        inputs_digest: *hasher.finalize().as_bytes(),
        outputs,
        saturated,
        prepare_ms: ms(started),
    })
}

/// Refuses bounds that do not hold, before anything is spent on a proof.
fn check_bounds(owner: &Owner, request: &Request, outputs: &[Vec<i64>]) -> Outcome<()> {
    for reveal in &request.reveals {
        let Reveal::Threshold { output, index, at_least, bound } = reveal else { continue };
        let width: usize = owner.meta.outputs.get(*output as usize).map_or(1, |o| o.shape.iter().product());
        let rows = outputs.get(*output as usize).map_or(&[][..], Vec::as_slice).chunks(width.max(1));
        let holds = |row: &[i64]| row.get(*index as usize).is_some_and(|q| if *at_least { q >= bound } else { q <= bound });
        if let Some(row) = rows.map(holds).position(|ok| !ok) {
            let reason = format!("the claim is false at row {row}: there is no proof of it");
            return Err(Failure::misuse(FALSE_CLAIM, "--reveal", reason, "claim what is true of this input"));
        }
    }
    Ok(())
}

/// The long-term tables a proof opens.
fn tables<'a>(owner: &'a Owner, request: &'a Request) -> Vec<&'a Table> {
    let model = owner.committed.iter().map(|(table, _)| table);
    let input = match &request.inputs {
        Inputs::Committed(secret) => Some(&secret.table),
        Inputs::Rows { .. } => None,
    };
    model.chain(input).collect()
}

/// Reserves an opening of every table; the counts are on the disk when this returns.
/// Gives the least number of openings left.
pub fn reserve(owner: &Owner, request: &Request) -> Outcome<Option<u64>> {
    let model = owner.committed.iter().map(|(_, budget)| budget);
    let input = match &request.inputs {
        Inputs::Committed(secret) => Some(&secret.budget),
        Inputs::Rows { .. } => None,
    };
    let mut left = None;
    for budget in model.chain(input) {
        let state = budget.reserve()?;
        let own = state.total - state.used;
        left = Some(left.map_or(own, |least: u64| least.min(own)));
    }
    Ok(left)
}

/// Proves. Gives the proof bytes and the milliseconds; `phase` is told what the prover is busy with.
pub fn finish(owner: &Owner, request: &Request, prepared: &Prepared, phase: &Phase) -> Outcome<(Vec<u8>, f64)> {
    let started = Instant::now();
    let system = crate::random::bytes()?;
    let header = encode_statement(&prepared.statement);
    let seed = Seed::for_proof(&owner.secret, &system, &header, &prepared.inputs_digest);
    let seed = match &request.inputs {
        Inputs::Committed(secret) => Seed::for_proof(&secret.owner, seed.expose(), &header, &prepared.inputs_digest),
        Inputs::Rows { .. } => seed,
    };
    let tables = tables(owner, request);
    let proof = prove::prove_observed(&prepared.setup, &prepared.statement, &prepared.assignment, &tables, &seed, &mut |step| {
        phase.step(&format!("{step:?}").to_lowercase());
    });
    Ok((proof.map_err(prover)?.bytes, ms(started)))
}

/// The float model's value of every proved output, row after row.
pub fn float_outputs(owner: &Owner, loaded: &Loaded, rows: &[Rows]) -> Outcome<Vec<Vec<f32>>> {
    let graph = &loaded.imported.graph;
    let count = rows.first().map_or(0, |r| r.count);
    let mut outputs = vec![Vec::new(); owner.meta.outputs.len()];
    for number in 0..count {
        let values = model::run_all(graph, &sample(graph, rows, number));
        let values = values.map_err(|e| Failure::misuse(crate::failure::DATA_FIT, "--input", e, "check the input"))?;
        for (all, output) in outputs.iter_mut().zip(&owner.meta.outputs) {
            let place = graph.values.iter().position(|v| v.name == output.name);
            let value = place.and_then(|i| values.get(i)).and_then(Option::as_ref).and_then(|t| t.as_f32());
            all.extend(value.unwrap_or_default());
        }
    }
    Ok(outputs)
}

/// Rows at which the float model and the integer program give other labels.
pub fn disagreements(owner: &Owner, prepared: &Prepared, floats: &[Vec<f32>]) -> Vec<usize> {
    let batch = prepared.statement.batch;
    let mut rows = Vec::new();
    for ((about, float), whole) in owner.meta.outputs.iter().zip(floats).zip(&prepared.outputs) {
        if !has_label(about) || about.kind != "logits" || float.len() != whole.len() {
            continue;
        }
        let width = float.len() / batch.max(1) as usize;
        let best = |row: &[f32]| row.iter().enumerate().fold(0, |b, (i, x)| if *x > row[b] { i } else { b });
        let float = float.chunks(width.max(1)).map(best);
        let differs = float.zip(labels(whole, batch)).enumerate().filter(|(_, (f, q))| *f as i64 != *q);
        rows.extend(differs.map(|(row, _)| row));
    }
    rows
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
                    return Err(Failure::misuse(crate::failure::OTHER_KEY, "--input", reason, fix));
                }
            }
            return Ok((Inputs::Committed(Box::new(secret)), rows));
        }
        let rows = rows.unwrap_or_default();
        let inputs = Inputs::Rows { rows: in_order(owner, loaded, &rows), public: self.public_input };
        Ok((inputs, Some(rows)))
    }
}

/// Rows of the graph's inputs that the program reads, in its order.
pub fn in_order(owner: &Owner, loaded: &Loaded, rows: &[Rows]) -> Vec<Rows> {
    let graph = &loaded.imported.graph;
    let place = |name: &str| graph.inputs.iter().position(|&id| graph.value(id).name == name);
    let wanted = owner.meta.inputs.iter().filter_map(|i| place(&i.name));
    wanted.filter_map(|i| rows.get(i).cloned()).collect()
}

/// Opens the committed input of a model with one input.
pub fn committed_input(owner: &Owner, directory: &std::path::Path) -> Outcome<InputSecret> {
    if owner.meta.inputs.len() != 1 {
        let reason = format!("the model has {} inputs; committed inputs are for models with one", owner.meta.inputs.len());
        return Err(Failure::misuse(USAGE, "--input-key", reason, "join the inputs into one, or keep them private"));
    }
    keys::open_input(directory, &owner.program, &meaning::input_digest(&owner.meta, 0))
}

/// Refuses work that does not fit the memory there is.
pub fn check_memory(owner: &Owner, batch: u32) -> Outcome<f64> {
    let estimate = compile::estimate(&owner.program, u64::from(batch), &compile::Units::default(), &[]);
    if let Some(free) = machine::available_memory()
        && estimate.peak_ram_bytes > free
    {
        let reason = format!("about {} needed, {} free", text::size(estimate.peak_ram_bytes), text::size(free));
        return Err(Failure::world(MEMORY, "memory", reason, "prove fewer rows at once, or use a machine with more memory"));
    }
    Ok(estimate.prove_ms)
}

fn agree(args: &ProveArgs, owner: &Owner, prepared: &Prepared, floats: &[Vec<f32>]) -> Outcome<()> {
    let rows = disagreements(owner, prepared, floats);
    if rows.is_empty() || args.allow_disagreement {
        return Ok(());
    }
    let reason = format!("the integer program and the float model give other labels at row {}", rows[0]);
    let fix = "use more precision (--precision 16), or --allow-disagreement to prove the integer answer";
    Err(Failure::misuse(DISAGREEMENT, "--input", reason, fix))
}

fn mode(owner: &Owner, statement: &Statement) -> String {
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
    let owner = owner(&loaded, &args.compile, &args.secrets, &progress)?;
    let (inputs, rows) = args.inputs(&owner, &loaded)?;
    let reveals = meaning::reveals(&owner.meta, &args.reveal)?;
    let zk = owner.committed.is_some() || !args.public_input;
    let request = Request { inputs, reveals, context, zk };
    let batch = integers(&owner, &request.inputs)?.1;
    let expected = check_memory(&owner, batch)?;
    let phase = progress.phase("run", None);
    let prepared = prepare(&owner, &request)?;
    drop(phase);
    let floats = rows.map(|rows| float_outputs(&owner, &loaded, &rows)).transpose()?;
    if let Some(floats) = &floats {
        agree(args, &owner, &prepared, floats)?;
    }
    let left = reserve(&owner, &request)?;
    let phase = progress.phase("prove", Some(expected));
    let (proof, finish_ms) = finish(&owner, &request, &prepared, &phase)?;
    drop(phase);
    let bytes = encode_proof(&owner.program, &prepared.statement, &proof);
    write_whole(&args.output, &bytes, 0o644)?;
    let made = Made { prove_ms: prepared.prepare_ms + finish_ms, proof: proof.len(), file: bytes.len(), left };
    report(args, &owner, &prepared, &made, floats.as_deref());
    Ok(ExitCode::SUCCESS)
}

/// Sizes and times of a proof that was made.
struct Made {
    prove_ms: f64,
    proof: usize,
    file: usize,
    left: Option<u64>,
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
        });
        println!("{line}");
        return;
    }
    if owner.fresh && let Some(directory) = &owner.directory {
        anstream::println!("committed the model: its key is in {} (keep it secret)\n", directory.display());
    }
    anstream::println!("{}  {}", paint(GOOD, "proved"), mode(owner, &prepared.statement));
    shown.lines.iter().for_each(|line| anstream::println!("  {line}"));
    float_lines(prepared, floats);
    if prepared.saturated > 0 {
        anstream::println!("  note: {} input values lie outside the calibrated range and were clamped", prepared.saturated);
    }
    let sizes = format!("{} to prove, {} proof, {} file", text::time(made.prove_ms), text::size(made.proof as u64), text::size(made.file as u64));
    anstream::println!("  {sizes}, {bits} bits");
    if let Some(left) = made.left {
        anstream::println!("  {}", paint(DIM, format!("{left} openings of the key are left")));
    }
    anstream::println!("\nmodel ID  {}\nverify    zerotell verify {} --model {}", owner.id(), args.output.display(), owner.id());
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
