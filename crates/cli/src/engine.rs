//! Proving with what the owner holds: the steps that `prove`, `demo` and `bench` share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use program::types::{Home, Reveal};
use program::wire::{Statement, encode_statement};
use program::{Assignment, Disclosure, ExecuteError, InputMode, Runner};
use prove::Table;
use prove::random::Seed;
use verify::{Link, Setup, links_digest};

use crate::data::{Rows, sample};
use crate::epochs::Committed;
use crate::failure::{DATA_FIT, FALSE_CLAIM, Failure, Outcome, PROVER, USAGE};
use crate::keys::InputSecret;
use crate::meaning::has_label;
use crate::owner::Owner;
use crate::pipeline::{Loaded, ms};
use crate::progress::Phase;

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
    /// Links that lead from the identities to the roots it opens.
    pub chains: Vec<Vec<Link>>,
    assignment: Assignment,
    inputs_digest: [u8; 32],
    /// Integer outputs, in order.
    pub outputs: Vec<Vec<i64>>,
    /// Input values that were clamped to the input's range.
    pub saturated: usize,
    /// Milliseconds so far: quantise, run, state, execute.
    pub prepare_ms: f64,
}

/// A refusal of the prover.
pub fn prover(why: impl std::fmt::Display) -> Failure {
    Failure::world(PROVER, "prover", why, "report this model and input size")
}

/// Integers of all inputs by tensor number.
pub type Integers = BTreeMap<u32, Arc<[i64]>>;

fn input_tensors(owner: &Owner) -> Vec<u32> {
    let numbered = (0u32..).zip(&owner.program.tensors);
    numbered.filter(|(_, t)| t.home == Home::Input).map(|(n, _)| n).collect()
}

/// Integers of all inputs by tensor number, the batch size, and how many were clamped.
pub fn integers(owner: &Owner, inputs: &Inputs) -> Outcome<(Integers, u32, usize)> {
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
                let q = quantised.map_err(|e| Failure::misuse(DATA_FIT, "--input", e, "check the input"))?;
                saturated += q.saturated;
                all.insert(tensor, q.values.into());
            }
        }
        Inputs::Committed(secret) => {
            all.extend(tensors.first().map(|&tensor| (tensor, secret.values.clone())));
        }
    }
    let batch = u32::try_from(batch).ok().filter(|&b| u64::from(b) <= program::limits::BATCH);
    let batch = batch
        .ok_or_else(|| Failure::misuse(USAGE, "--rows", "too many rows for one proof", "prove fewer"))?;
    Ok((all, batch, saturated))
}

/// Slots of the statement: public inputs, then what is revealed.
pub fn slots(
    owner: &Owner,
    request: &Request,
    integers: &Integers,
    outputs: &[Vec<i64>],
    batch: u32,
) -> Vec<Vec<i64>> {
    let mut slots = Vec::new();
    if matches!(request.inputs, Inputs::Rows { public: true, .. }) {
        slots.extend(input_tensors(owner).iter().filter_map(|t| integers.get(t)).map(|v| v.to_vec()));
    }
    for reveal in &request.reveals {
        match reveal {
            Reveal::Values { output } => slots.extend(outputs.get(*output as usize).cloned()),
            Reveal::Label { output } => {
                slots.extend(outputs.get(*output as usize).map(|all| labels(all, batch)))
            }
            Reveal::Threshold { .. } => {}
        }
    }
    slots
}

/// Per row the least index of a largest value.
pub fn labels(values: &[i64], batch: u32) -> Vec<i64> {
    let width = (values.len() / batch.max(1) as usize).max(1);
    let best =
        |row: &[i64]| row.iter().enumerate().rev().max_by_key(|(_, q)| **q).map_or(0, |(i, _)| i as i64);
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
    let runner = Runner::new(&owner.program, batch).map_err(prover)?;
    let (outputs, ran) = prove::run(&runner, &integers, &owner.weights.0).map_err(prover)?;
    check_bounds(owner, &request.reveals, &outputs, 0)?;
    let mode = match &request.inputs {
        Inputs::Rows { public: true, .. } => InputMode::Public,
        Inputs::Rows { public: false, .. } => InputMode::Private,
        Inputs::Committed(_) => InputMode::Committed,
    };
    let mut statement = Statement {
        program_digest: owner.program.digest(),
        zk: request.zk,
        batch,
        disclosure: Disclosure {
            inputs: vec![mode; input_tensors(owner).len()],
            reveals: request.reveals.clone(),
        },
        identity: Vec::new(),
        roots: Vec::new(),
        link: [0; 32],
        slots: slots(owner, request, &integers, &outputs, batch),
        context: request.context.clone(),
    };
    let chains = state_epochs(owner, request, &mut statement);
    let setup = Setup::new(&owner.program, &statement).map_err(prover)?;
    let mut hasher = blake3::Hasher::new();
    integers.values().flat_map(|v| v.iter()).for_each(|x| {
        hasher.update(&x.to_le_bytes());
    });
    let assignment = prove::execute(&setup.lowered, &integers, &owner.weights.0, ran).map_err(executed)?;
    Ok(Prepared {
        setup,
        statement,
        chains,
        assignment,
        inputs_digest: *hasher.finalize().as_bytes(),
        outputs,
        saturated,
        prepare_ms: ms(started),
    })
}

/// Refuses bounds that do not hold, before anything is spent on a proof. The outputs are those of the
/// rows from `first` on.
pub fn check_bounds(owner: &Owner, reveals: &[Reveal], outputs: &[Vec<i64>], first: usize) -> Outcome<()> {
    for reveal in reveals {
        let Reveal::Threshold { output, index, at_least, bound } = reveal else { continue };
        let width: usize = owner.meta.outputs.get(*output as usize).map_or(1, |o| o.shape.iter().product());
        let rows = outputs.get(*output as usize).map_or(&[][..], Vec::as_slice).chunks(width.max(1));
        let holds = |row: &[i64]| {
            row.get(*index as usize).is_some_and(|q| if *at_least { q >= bound } else { q <= bound })
        };
        if let Some(row) = rows.map(holds).position(|ok| !ok) {
            let reason = format!("the claim is false at row {}: there is no proof of it", first + row);
            return Err(Failure::misuse(FALSE_CLAIM, "--reveal", reason, "claim what is true of this input"));
        }
    }
    Ok(())
}

/// What a proof opens: the model, then the input.
fn committed<'a>(owner: &'a Owner, request: &'a Request) -> impl Iterator<Item = &'a Committed> {
    let input = match &request.inputs {
        Inputs::Committed(secret) => Some(&secret.committed),
        Inputs::Rows { .. } => None,
    };
    owner.committed.iter().chain(input)
}

fn committed_mut<'a>(
    owner: &'a mut Owner,
    request: &'a mut Request,
) -> impl Iterator<Item = &'a mut Committed> {
    let input = match &mut request.inputs {
        Inputs::Committed(secret) => Some(&mut secret.committed),
        Inputs::Rows { .. } => None,
    };
    owner.committed.iter_mut().chain(input)
}

/// States which epochs are opened. Gives the links that lead to them.
fn state_epochs(owner: &Owner, request: &Request, statement: &mut Statement) -> Vec<Vec<Link>> {
    statement.identity = committed(owner, request).map(Committed::id).collect();
    statement.roots = committed(owner, request).map(|one| one.table.root()).collect();
    let chains: Vec<Vec<Link>> = committed(owner, request).map(|one| one.chain.clone()).collect();
    statement.link = links_digest(&chains);
    chains
}

/// Reserves an opening of every table; the counts are on the disk when this returns. If an epoch has
/// ended meanwhile the next one is stated. Gives the least number of openings left before the next.
pub fn reserve(owner: &mut Owner, request: &mut Request, prepared: &mut Prepared) -> Outcome<Option<u64>> {
    let (mut left, mut moved) = (None, false);
    for one in committed_mut(owner, request) {
        let reserved = one.reserve()?;
        moved |= reserved.moved;
        left = Some(left.map_or(reserved.left, |least: u64| least.min(reserved.left)));
    }
    if moved {
        prepared.chains = state_epochs(owner, request, &mut prepared.statement);
    }
    Ok(left)
}

/// Makes the next epochs where few openings are left. To be called after a proof was written.
pub fn prepare_epochs(owner: &mut Owner, request: &mut Request) -> Outcome<bool> {
    let mut made = false;
    for one in committed_mut(owner, request) {
        made |= one.prepare_next()?;
    }
    Ok(made)
}

/// Proves. Gives the proof bytes and the milliseconds; `phase` is told what the prover is busy with.
pub fn finish(
    owner: &Owner,
    request: &Request,
    prepared: &Prepared,
    phase: &Phase,
) -> Outcome<(Vec<u8>, f64)> {
    let started = Instant::now();
    let system = crate::random::bytes()?;
    let header = encode_statement(&prepared.statement);
    let seed = Seed::for_proof(&owner.secret, &system, &header, &prepared.inputs_digest);
    let seed = match &request.inputs {
        Inputs::Committed(secret) => {
            Seed::for_proof(&secret.owner, seed.expose(), &header, &prepared.inputs_digest)
        }
        Inputs::Rows { .. } => seed,
    };
    let tables: Vec<&Table> = committed(owner, request).map(|one| &one.table).collect();
    let proof = prove::prove_observed(
        &prepared.setup,
        &prepared.statement,
        &prepared.assignment,
        &tables,
        &seed,
        &mut |step| {
            phase.step(&format!("{step:?}").to_lowercase());
        },
    );
    Ok((proof.map_err(prover)?.bytes, ms(started)))
}

/// The float model's value of every proved output, row after row.
pub fn float_outputs(owner: &Owner, loaded: &Loaded, rows: &[Rows]) -> Outcome<Vec<Vec<f32>>> {
    let graph = &loaded.imported.graph;
    let count = rows.first().map_or(0, |r| r.count);
    let mut outputs = vec![Vec::new(); owner.meta.outputs.len()];
    for number in 0..count {
        let values = model::run_all(graph, &sample(graph, rows, number));
        let values = values.map_err(|e| Failure::misuse(DATA_FIT, "--input", e, "check the input"))?;
        for (all, output) in outputs.iter_mut().zip(&owner.meta.outputs) {
            let place = graph.values.iter().position(|v| v.name == output.name);
            let value = place.and_then(|i| values.get(i)).and_then(Option::as_ref).and_then(|t| t.as_f32());
            all.extend(value.unwrap_or_default());
        }
    }
    Ok(outputs)
}

/// Rows at which the float model and the integer program give other labels.
pub fn disagreements(owner: &Owner, batch: u32, outputs: &[Vec<i64>], floats: &[Vec<f32>]) -> Vec<usize> {
    let mut rows = Vec::new();
    for ((about, float), whole) in owner.meta.outputs.iter().zip(floats).zip(outputs) {
        let width = float.len() / batch.max(1) as usize;
        if about.kind != "logits" || float.len() != whole.len() || !(has_label(about) || width == 1) {
            continue;
        }
        let best = |row: &[f32]| row.iter().enumerate().fold(0, |b, (i, x)| if *x > row[b] { i } else { b });
        let differs = |(f, q): (&[f32], &[i64])| match (f, q) {
            // A single score is a label by its sign.
            ([f], [q]) => (*f > 0.0) != (*q > about.zero),
            _ => labels(q, 1).first() != Some(&(best(f) as i64)),
        };
        let pairs = float.chunks(width.max(1)).zip(whole.chunks(width.max(1)));
        rows.extend(pairs.map(differs).enumerate().filter(|(_, d)| *d).map(|(row, _)| row));
    }
    rows
}

/// Rows of the graph's inputs that the program reads, in its order.
pub fn in_order(owner: &Owner, loaded: &Loaded, rows: &[Rows]) -> Vec<Rows> {
    let graph = &loaded.imported.graph;
    let place = |name: &str| graph.inputs.iter().position(|&id| graph.value(id).name == name);
    let wanted = owner.meta.inputs.iter().filter_map(|i| place(&i.name));
    wanted.filter_map(|i| rows.get(i).cloned()).collect()
}
