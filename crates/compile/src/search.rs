//! The compiler's front: outputs, candidates of bits, the accuracy gate.

use std::collections::BTreeMap;

use model::graph::{DType, Graph, Op, ValueId};
use model::tensor::Tensor;
use program::Prepared;
use program::types::{Home, Program};

use crate::calibrate::{Calibration, Range, calibrate};
use crate::draft::Draft;
use crate::estimate::{Units, estimate};
use crate::lower::{Input, Lowering};
use crate::metadata::{FORMAT, InputMeta, Labels, Metadata, OutputMeta};
use crate::oracle::model_oracle;
use crate::problem::{AGREEMENT, INTERNAL, OPTION, OUTPUT, Problem};
use crate::qdq;
use crate::report::{Comparison, Report, Traced, compare};
use crate::round::{Choice, Want, share_tables};
use crate::scan::{Scan, Then, proved_output};
use crate::value::Val;

/// Bits of weights and activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precision {
    /// The cheapest candidate that meets the agreement gate.
    #[default]
    Auto,
    /// These bits: weights 4..=16, activations 4..=16.
    Bits {
        /// Bits of weights.
        weights: u8,
        /// Bits of activations.
        activations: u8,
    },
}

/// How to compile.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bits of weights and activations.
    pub precision: Precision,
    /// Whether weights are hidden: then they live in the model oracle.
    pub weights_private: bool,
    /// Refuse when fewer labels than this agree. Without it, 0.999 is aimed at and
    /// missing it is only noted.
    pub min_agreement: Option<f64>,
    /// Bits of a range limb, 4..=16; none: the cheapest.
    pub limb_bits: Option<u8>,
    /// One scale per weight tensor: multipliers then tell nothing of single channels.
    pub per_tensor_scales: bool,
    /// Query security bits.
    pub lambda: u8,
    /// Grinding bits; lambda + grind must be at least 100.
    pub grind: u8,
    /// Whether the model oracle gets masks for zero knowledge.
    pub zk: bool,
    /// Batch size that costs are weighed for.
    pub batch: usize,
    /// Graph outputs to prove, by number; none: all that are real numbers or labels.
    pub outputs: Option<Vec<usize>>,
    /// Class names by output number.
    pub labels: Labels,
    /// Unit costs of the choice between equivalent forms. They are constants, not
    /// measured here: a measurement would make the Program depend on the machine.
    pub units: Units,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            precision: Precision::Auto,
            weights_private: true,
            min_agreement: None,
            limb_bits: None,
            per_tensor_scales: false,
            lambda: 84,
            grind: 16,
            zk: true,
            batch: 1,
            outputs: None,
            labels: Labels::new(),
            units: Units::default(),
        }
    }
}

/// A compiled model.
#[derive(Clone)]
pub struct Compiled {
    /// The integer program.
    pub program: Program,
    /// Contents of the private parameters, row-major, by tensor number.
    pub weights: BTreeMap<u32, Vec<i64>>,
    /// How near the program is to the float model.
    pub report: Report,
    /// What the numbers mean; also inside the program.
    pub meta: Metadata,
    /// Graph node each operator of the program was made for.
    pub nodes: Vec<String>,
}

/// Without the weights, which may be secret.
impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiled").field("meta", &self.meta).finish_non_exhaustive()
    }
}

/// (weights, activations) that are tried, in the order of what they cost.
const CANDIDATES: [(u8, u8); 9] =
    [(8, 7), (8, 8), (10, 8), (8, 9), (10, 9), (10, 10), (12, 12), (14, 14), (16, 16)];
/// The candidate whose best limb sizes are tried for the others.
const TYPICAL: (u8, u8) = (10, 8);
/// Least activation bits for outputs without labels, where errors are seen and not only flips.
const VALUES_LEAST: u8 = 8;
/// Limb sizes that are tried.
const LIMBS: [u8; 10] = [6, 8, 9, 10, 11, 12, 13, 14, 15, 16];
/// How many of them are tried for every candidate.
const LIMBS_KEPT: usize = 3;
/// Samples that show whether a candidate is worth a full comparison.
const SCREEN: usize = 32;
/// The gate when none is given.
const AGREEMENT_AIM: f64 = 0.999;

/// What is proved.
struct Proved {
    value: ValueId,
    then: Then,
}

/// Everything the candidates share.
struct Context<'a> {
    graph: &'a Graph,
    stored: BTreeMap<ValueId, qdq::Stored>,
    scan: Scan<'a>,
    calibration: Calibration,
    shared: BTreeMap<ValueId, Range>,
    proved: Vec<Proved>,
    samples: &'a [Vec<Tensor>],
    options: &'a Options,
    notes: Vec<String>,
}

/// Compiles a float graph to an integer program, with the ranges of `samples`: one
/// tensor per graph input each, with the model's static shapes.
///
/// # Errors
/// All problems found, each with the node and what to do.
pub fn compile(graph: &Graph, samples: &[Vec<Tensor>], options: &Options) -> Result<Compiled, Vec<Problem>> {
    check_options(options).map_err(|p| vec![p])?;
    let mut notes = Vec::new();
    let (prepared, stored) = qdq::prepare(graph);
    let graph = &prepared;
    let made_up = if samples.is_empty() && quantised(graph) { qdq::made_up_samples(graph) } else { None };
    let samples = made_up.as_deref().unwrap_or(samples);
    if made_up.is_some() {
        notes.push(
            "no calibration data: the report compares on made-up inputs of the model's own types".into(),
        );
    }
    let proved = choose_outputs(graph, options, &mut notes)?;
    let values: Vec<ValueId> = proved.iter().map(|p| p.value).collect();
    let scan = Scan::new(graph, &values);
    let mut keep = values.clone();
    keep.extend(&graph.inputs);
    let calibration = calibrate(graph, samples, &keep)?;
    let shared = share_ranges(graph, &calibration);
    let context = Context { graph, stored, scan, calibration, shared, proved, samples, options, notes };
    choose(&context)
}

fn check_options(options: &Options) -> Result<(), Problem> {
    let wrong = |what: &str, fix: &str| Err(Problem::global(OPTION, what, fix));
    if let Precision::Bits { weights, activations } = options.precision
        && !((4..=16).contains(&weights) && (4..=16).contains(&activations))
    {
        return wrong("weights and activations need 4 to 16 bits", "Use --precision auto, 8 or 16.");
    }
    if options.limb_bits.is_some_and(|b| !(4..=16).contains(&b)) {
        return wrong("a range limb has 4 to 16 bits", "Leave the limb size to the compiler.");
    }
    if u32::from(options.lambda) + u32::from(options.grind) < 100 || options.grind > 24 {
        return wrong(
            "query bits and grinding bits must add up to at least 100, with at most 24 grinding bits",
            "Use 100 and 0, or 84 and 16.",
        );
    }
    if options.min_agreement.is_some_and(|a| !(0.0..=1.0).contains(&a)) {
        return wrong("the least agreement is a share between 0 and 1", "Use for example 0.999.");
    }
    if options.batch == 0 || options.batch > 1 << 16 {
        return wrong("the batch has 1 to 65536 elements", "Use the batch size you prove with.");
    }
    Ok(())
}

/// The values to prove: every output that is a number, behind a last softmax,
/// sigmoid or label.
fn choose_outputs(
    graph: &Graph,
    options: &Options,
    notes: &mut Vec<String>,
) -> Result<Vec<Proved>, Vec<Problem>> {
    let all: Vec<usize> = (0..graph.outputs.len()).collect();
    let wanted = options.outputs.as_ref().unwrap_or(&all);
    let mut proved: Vec<Proved> = Vec::new();
    let mut problems = Vec::new();
    for &number in wanted {
        let Some(&output) = graph.outputs.get(number) else {
            let reason = format!("the model has no output {number}, only {}", graph.outputs.len());
            return Err(vec![Problem::global(OPTION, reason, "Name an existing output.")]);
        };
        let (value, then) = proved_output(graph, output);
        let name = &graph.value(output).name;
        let shown = &graph.value(value).name;
        if then != Then::None {
            notes.push(format!(
                "output \"{name}\" is proved as \"{shown}\", the {} is left to the reader",
                word(then)
            ));
        }
        if graph.value(value).constant.is_some() {
            problems.push(Problem::global(
                OUTPUT,
                format!("output \"{name}\" is a constant"),
                "Remove it from the model's outputs.",
            ));
        } else if graph.value(value).dtype != DType::F32 && then == Then::None {
            if options.outputs.is_some() {
                problems.push(Problem::global(
                    OUTPUT,
                    format!("output \"{name}\" is not a real number"),
                    "Prove the scores it is made from.",
                ));
            } else {
                notes.push(format!("output \"{name}\" is not proved: it is not a real number"));
            }
        } else if let Some(same) = proved.iter_mut().find(|p| p.value == value) {
            if same.then == Then::ArgMax {
                same.then = then;
            }
        } else {
            proved.push(Proved { value, then });
        }
    }
    if problems.is_empty() && proved.is_empty() {
        problems.push(Problem::global(
            OUTPUT,
            "the model has no output that can be proved",
            "Export the model with its scores as an output.",
        ));
    }
    if problems.is_empty() { Ok(proved) } else { Err(problems) }
}

fn word(then: Then) -> &'static str {
    match then {
        Then::None => "none",
        Then::Softmax => "softmax",
        Then::LogSoftmax => "logsoftmax",
        Then::Sigmoid => "sigmoid",
        Then::ArgMax => "argmax",
    }
}

/// Values that a Concat, Max or Min joins get one range, and so one scale: then
/// joining them costs nothing. Views and pooling pass the range on.
fn share_ranges(graph: &Graph, calibration: &Calibration) -> BTreeMap<ValueId, Range> {
    let mut parent: Vec<usize> = (0..graph.values.len()).collect();
    let mut joined = Vec::new();
    fn find(parent: &mut [usize], mut v: usize) -> usize {
        while parent[v] != v {
            parent[v] = parent[parent[v]];
            v = parent[v];
        }
        v
    }
    for node in &graph.nodes {
        let joins = match &node.op {
            Op::Concat(_) => true,
            Op::Binary(model::graph::Binary::Max | model::graph::Binary::Min) => {
                node.inputs.iter().all(|&i| graph.value(i).constant.is_none())
            }
            Op::Reshape
            | Op::Transpose(_)
            | Op::Slice { .. }
            | Op::Expand
            | Op::Gather { .. }
            | Op::MaxPool(_)
            | Op::ReduceMax { .. } => false,
            _ => continue,
        };
        for input in &node.inputs {
            let (a, b) = (find(&mut parent, input.0 as usize), find(&mut parent, node.output.0 as usize));
            parent[a] = b;
        }
        if joins {
            joined.push(node.output.0 as usize);
        }
    }
    let mut ranges: BTreeMap<usize, Range> = BTreeMap::new();
    let groups: Vec<usize> = joined.iter().map(|&v| find(&mut parent, v)).collect();
    for v in 0..graph.values.len() {
        let root = find(&mut parent, v);
        let (true, Some(range)) = (groups.contains(&root), calibration.ranges[v]) else { continue };
        let all = ranges.entry(root).or_insert(range);
        *all = Range { lo: all.lo.min(range.lo), hi: all.hi.max(range.hi), rms: all.rms.max(range.rms) };
    }
    (0..graph.values.len())
        .filter_map(|v| ranges.get(&find(&mut parent, v)).map(|r| (ValueId(v as u32), *r)))
        .collect()
}

/// A choice of bits with its cheapest limb size.
struct Candidate {
    choice: Choice,
    limb: u8,
    cost: f64,
}

/// The cheapest candidate that meets the gate, or the best one.
fn choose(context: &Context<'_>) -> Result<Compiled, Vec<Problem>> {
    let aim = context.options.min_agreement.unwrap_or(AGREEMENT_AIM);
    let candidates = candidates(context)?;
    let alone = candidates.len() == 1;
    let (mut best, mut problems): (Option<Compiled>, _) = (None, None);
    let mut failed: Vec<(u8, u8)> = Vec::new();
    for (number, candidate) in candidates.iter().enumerate() {
        let (weights, activations) = (candidate.choice.weight_bits, candidate.choice.activation_bits);
        if failed.iter().any(|&(w, a)| weights <= w && activations <= a) {
            continue;
        }
        let last = number + 1 == candidates.len();
        match compiled(context, candidate, !last) {
            Ok(Some(compiled)) => {
                let labelled = compiled.report.agreement.is_some();
                let fine = alone || labelled || activations >= VALUES_LEAST;
                if fine && compiled.report.comfortable(aim) {
                    return Ok(compiled);
                }
                if best.as_ref().is_none_or(|b| better(&compiled.report, &b.report)) {
                    best = Some(compiled);
                }
                failed.push((weights, activations));
            }
            Ok(None) => failed.push((weights, activations)),
            Err(found) => {
                problems.get_or_insert(found);
            }
        }
    }
    let Some(best) = best else { return Err(problems.unwrap_or_default()) };
    settle(context, best, aim)
}

/// What to do with a program that is not comfortable.
fn settle(context: &Context<'_>, mut best: Compiled, aim: f64) -> Result<Compiled, Vec<Problem>> {
    match context.options.min_agreement {
        Some(least) if !best.report.passes(least) => Err(vec![refusal(&best.report, least)]),
        Some(_) => Ok(best),
        None if best.report.nearly(aim) => Ok(best),
        None => {
            let note = format!("the accuracy aim ({aim} of labels, or 30 dB) was not met: see the report");
            best.meta.notes.push(note);
            best.program.metadata = best.meta.to_bytes();
            Ok(best)
        }
    }
}

/// All candidates, cheapest first. Sketches that cannot be made are left out, unless none can.
fn candidates(context: &Context<'_>) -> Result<Vec<Candidate>, Vec<Problem>> {
    let options = context.options;
    let all: Vec<(u8, u8)> = match options.precision {
        Precision::Auto if quantised(context.graph) => vec![(12, 12)],
        Precision::Auto => CANDIDATES.to_vec(),
        Precision::Bits { weights, activations } => vec![(weights, activations)],
    };
    let limbs = match options.limb_bits {
        Some(limb) => vec![limb],
        None if all.len() == 1 => LIMBS.to_vec(),
        None => {
            let ranked = sketches(context, &choice(context, TYPICAL), &LIMBS);
            let kept: Vec<u8> =
                ranked.iter().take(LIMBS_KEPT).filter_map(|r| Some(r.as_ref().ok()?.1)).collect();
            if kept.is_empty() { LIMBS.to_vec() } else { kept }
        }
    };
    let (mut found, mut problems) = (Vec::new(), None);
    for bits in all {
        let choice = choice(context, bits);
        match sketches(context, &choice, &limbs).into_iter().next() {
            Some(Ok((cost, limb))) => found.push(Candidate { choice, limb, cost }),
            Some(Err(why)) => {
                problems.get_or_insert(why);
            }
            None => {}
        }
    }
    found.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    if found.is_empty() { Err(problems.unwrap_or_default()) } else { Ok(found) }
}

fn choice(context: &Context<'_>, (weight_bits, activation_bits): (u8, u8)) -> Choice {
    let options = context.options;
    Choice {
        weight_bits,
        activation_bits,
        per_tensor: options.per_tensor_scales,
        batch: options.batch,
        units: options.units.clone(),
    }
}

/// (cost, limb size) by sketches of the program, cheapest first, what cannot be made last.
fn sketches(context: &Context<'_>, choice: &Choice, limbs: &[u8]) -> Vec<Result<(f64, u8), Vec<Problem>>> {
    // Quotients hardly depend on the limb size.
    let plan = limbs.iter().find_map(|&limb| shared(context, choice, limb).ok()).unwrap_or_default();
    let sketch = |&limb: &u8| {
        let program = lower(context, choice, limb, (&plan, true))?.program;
        Ok((estimate(&program, choice.batch as u64, &choice.units, &[]).prove_ms, limb))
    };
    let mut all: Vec<Result<(f64, u8), Vec<Problem>>> = limbs.iter().map(sketch).collect();
    let cost = |r: &Result<(f64, u8), Vec<Problem>>| r.as_ref().map_or(f64::INFINITY, |r| r.0);
    all.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    all
}

fn quantised(graph: &Graph) -> bool {
    graph.nodes.iter().any(|n| matches!(n.op, Op::Quantize { .. }))
}

fn better(a: &Report, b: &Report) -> bool {
    let snr = |r: &Report| r.outputs.iter().map(|o| o.snr_db).fold(f64::INFINITY, f64::min);
    (a.label_agreement(), snr(a)) > (b.label_agreement(), snr(b))
}

fn refusal(report: &Report, aim: f64) -> Problem {
    let got = match report.agreement {
        Some(a) => {
            format!("{:.4} of the labels agree on {} samples, {aim} were asked for", a, report.samples)
        }
        None => "the outputs have less than 30 dB of signal to noise".to_string(),
    };
    Problem::global(
        AGREEMENT,
        got,
        "Use more bits (--precision 16), more or better calibration data, or a lower --min-agreement.",
    )
}

/// The program of a candidate with its report. With `screen`, none if the first samples show that it is
/// not near enough.
fn compiled(
    context: &Context<'_>,
    candidate: &Candidate,
    screen: bool,
) -> Result<Option<Compiled>, Vec<Problem>> {
    let shared = shared(context, &candidate.choice, candidate.limb)?;
    let lowered = lower(context, &candidate.choice, candidate.limb, (&shared, false))?;
    finish(context, &candidate.choice, lowered, screen).map_err(|p| vec![p])
}

/// A lowered graph with final tensor numbers.
struct Lowered {
    program: Program,
    weights: BTreeMap<u32, Vec<i64>>,
    inputs: Vec<Input>,
    outputs: Vec<Val>,
    traced: Vec<Traced>,
    nodes: Vec<String>,
    exact: bool,
    wants: Vec<Want>,
}

/// Intervals of shared tables by the ends of their clamps.
type Shared = BTreeMap<(i64, i64), (i64, i64)>;

/// Which roundings should share tables.
fn shared(context: &Context<'_>, choice: &Choice, limb: u8) -> Result<Shared, Vec<Problem>> {
    let mut draft = Draft::new(limb, context.options.weights_private);
    draft.sketch = true;
    Ok(share_tables(&lower_into(context, choice, draft)?.wants, &choice.units))
}

fn lower(
    context: &Context<'_>,
    choice: &Choice,
    limb: u8,
    (shared, sketch): (&Shared, bool),
) -> Result<Lowered, Vec<Problem>> {
    let mut draft = Draft::new(limb, context.options.weights_private);
    draft.sketch = sketch;
    draft.planned = true;
    draft.shared_tables = shared.clone();
    lower_into(context, choice, draft)
}

fn lower_into(context: &Context<'_>, choice: &Choice, draft: Draft) -> Result<Lowered, Vec<Problem>> {
    let mut lowering = Lowering {
        scan: &context.scan,
        calibration: &context.calibration,
        shared: &context.shared,
        stored: &context.stored,
        choice,
        draft,
        values: BTreeMap::new(),
        inputs: Vec::new(),
    };
    let mut problems = lowering.everything();
    let mut outputs = Vec::new();
    let mut tensors = Vec::new();
    if problems.is_empty() {
        for proved in &context.proved {
            match lowering.output(proved.value, proved.then) {
                Ok((val, tensor)) => {
                    outputs.push(val);
                    tensors.push(tensor);
                }
                Err(problem) => problems.push(problem),
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let numbers = lowering.draft.numbering();
    let traced = lowering.traced(&numbers);
    let nodes = lowering.draft.made_for.clone();
    let exact = !lowering.draft.inexact;
    let inputs = lowering.inputs;
    let wants = std::mem::take(&mut lowering.draft.wants);
    let (program, weights) = lowering.draft.finish(&tensors);
    Ok(Lowered { program, weights, inputs, outputs, traced, nodes, exact, wants })
}

/// Oracle parameters, report and metadata.
fn finish(
    context: &Context<'_>,
    choice: &Choice,
    lowered: Lowered,
    screen: bool,
) -> Result<Option<Compiled>, Problem> {
    let options = context.options;
    let Lowered { mut program, weights, inputs, outputs, traced, nodes, exact, .. } = lowered;
    program.lambda = options.lambda;
    program.grind = options.grind;
    let entries: usize = weights.values().map(Vec::len).sum();
    if entries > 0 {
        program.model_oracle = Some(model_oracle(entries as u64, options.lambda, options.zk));
    }
    program::validate(&program).map_err(|e| {
        let node = match e.site {
            program::Site::Operator(n) => nodes.get(n as usize).cloned().unwrap_or_default(),
            _ => String::new(),
        };
        Problem {
            node,
            ..Problem::global(
                INTERNAL,
                format!("the validator refuses the program: {e}"),
                "Report this model.",
            )
        }
    })?;
    let mut meta = metadata(context, choice, &inputs, &outputs);
    if exact && quantised(context.graph) {
        meta.semantics = "exact".into();
    }
    let tensors: Vec<u32> =
        (0u32..).zip(&program.tensors).filter(|(_, t)| t.home == Home::Input).map(|(n, _)| n).collect();
    let place = |v: ValueId| context.graph.inputs.iter().position(|&i| i == v).unwrap_or(0);
    let numbered: Vec<(usize, u32)> = inputs.iter().zip(tensors).map(|(i, t)| (place(i.value), t)).collect();
    let values: Vec<ValueId> = context.proved.iter().map(|p| p.value).collect();
    let prepare = |(&tensor, values): (&u32, &Vec<i64>)| (tensor, Prepared::new(values.as_slice()));
    let prepared = weights.iter().map(prepare).collect();
    let comparison = Comparison {
        program: &program,
        weights: &prepared,
        meta: &meta,
        samples: context.samples,
        calibration: &context.calibration,
        inputs: &numbered,
        outputs: &values,
        traced: &traced,
    };
    if screen && context.samples.len() > 2 * SCREEN {
        let few = Comparison { samples: &context.samples[..SCREEN], ..comparison };
        if compare(&few)?.hopeless() {
            return Ok(None);
        }
    }
    let report = compare(&comparison)?;
    meta.report_digest = report.digest();
    program.metadata = meta.to_bytes();
    Ok(Some(Compiled { program, weights, report, meta, nodes }))
}

/// Shape of one batch element: a leading 1 is the batch.
fn element_shape(shape: &[usize]) -> Vec<usize> {
    match shape {
        [1, rest @ ..] => rest.to_vec(),
        all => all.to_vec(),
    }
}

fn metadata(context: &Context<'_>, choice: &Choice, inputs: &[Input], outputs: &[Val]) -> Metadata {
    let graph = context.graph;
    let inputs = inputs
        .iter()
        .map(|i| InputMeta {
            name: graph.value(i.value).name.clone(),
            shape: element_shape(&graph.value(i.value).shape),
            scale: i.quant.scale,
            zero: 0,
            lo: i.quant.lo,
            hi: i.quant.hi,
        })
        .collect();
    let outputs = outputs.iter().zip(&context.proved).enumerate().map(|(number, (val, proved))| {
        let shape = element_shape(&graph.value(proved.value).shape);
        let classes = shape.iter().rev().find(|&&n| n > 1).copied().unwrap_or(1);
        let logits = proved.then != Then::None || (shape.len() <= 1 && classes > 1);
        let then = if proved.then == Then::ArgMax { "none" } else { word(proved.then) };
        OutputMeta {
            name: graph.value(proved.value).name.clone(),
            shape,
            scale: val.scale,
            zero: 0,
            kind: if logits { "logits" } else { "values" }.into(),
            then: then.into(),
            labels: context.options.labels.get(&number).cloned(),
        }
    });
    Metadata {
        format: FORMAT.into(),
        model: graph.name.clone(),
        semantics: "bounded".into(),
        precision: format!("w{}a{}", choice.weight_bits, choice.activation_bits),
        inputs,
        outputs: outputs.collect(),
        notes: context.notes.clone(),
        report_digest: String::new(),
    }
}
