//! How near the integer program is to the float model, measured on samples.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::graph::ValueId;
use model::tensor::{Data, Tensor};
use program::Prepared;
use program::types::Program;
use serde::{Deserialize, Serialize};

use crate::calibrate::{Calibration, LAYER_SAMPLES};
use crate::metadata::{Metadata, quantise_input};
use crate::problem::{INTERNAL, Problem};

/// Most inferences per run of the integer program.
const CHUNK: u64 = 32;
/// Most values of one run, so that memory stays bounded on large models.
const CHUNK_VALUES: u64 = 1 << 22;
/// Flips listed by sample; the count has no limit.
const FLIPS_LISTED: usize = 100;

/// Signal-to-noise ratio of labelled outputs that is aimed at: with less, flips show
/// up on data that are harder than the calibration samples.
const SNR_AIM: f64 = 42.0;
/// How far the ratio on a few samples may lie below that on all.
const SNR_SPREAD: f64 = 2.0;

/// A sample on which the label changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// Sample number.
    pub sample: usize,
    /// Output number.
    pub output: usize,
    /// Label of the float model.
    pub float_label: usize,
    /// Label of the integer program.
    pub int_label: usize,
    /// Float model: its label's value minus that of the other label.
    pub float_margin: f64,
    /// Integer program, in real units: its label's value minus that of the other.
    pub int_margin: f64,
}

/// One output compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputReport {
    /// Name of the output.
    pub name: String,
    /// Share of samples with the same label; none if the output has no label.
    pub agreement: Option<f64>,
    /// Largest absolute error, in real units.
    pub max_error: f64,
    /// Mean absolute error, in real units.
    pub mean_error: f64,
    /// Signal-to-noise ratio in decibels.
    pub snr_db: f64,
    /// Samples whose label changed.
    pub flips: usize,
}

/// One layer compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Graph node.
    pub node: String,
    /// Signal-to-noise ratio in decibels.
    pub snr_db: f64,
}

/// The accuracy report. Its JSON digest is bound into the Program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Samples compared.
    pub samples: usize,
    /// Bits, such as "w8a8".
    pub precision: String,
    /// Least agreement of labels over the outputs; none without labels.
    pub agreement: Option<f64>,
    /// Agreement to expect on harder data: from the float margins and three times the
    /// measured noise of label differences; none without labels.
    pub expected_agreement: Option<f64>,
    /// Input values outside the calibrated type.
    pub saturated_inputs: usize,
    /// Per output.
    pub outputs: Vec<OutputReport>,
    /// The first changed labels.
    pub flips: Vec<Flip>,
    /// Per layer, on the first samples.
    pub layers: Vec<LayerReport>,
}

impl Report {
    /// Canonical JSON: sorted keys, no spaces.
    pub fn to_json(&self) -> String {
        serde_json::to_value(self).unwrap_or_default().to_string()
    }

    /// BLAKE3 of the JSON, in hex.
    pub fn digest(&self) -> String {
        blake3::hash(self.to_json().as_bytes()).to_hex().to_string()
    }

    /// Share of labels kept, or 1 without labels.
    pub fn label_agreement(&self) -> f64 {
        self.agreement.unwrap_or(1.0)
    }

    /// Whether the labels agree on at least `least` of the samples, or, without
    /// labels, every output has 30 dB.
    pub fn passes(&self, least: f64) -> bool {
        match self.agreement {
            Some(agreement) => agreement >= least,
            None => self.outputs.iter().all(|o| o.snr_db >= 30.0),
        }
    }

    /// Whether no more bits are needed: the labels agree (one flip is forgiven, for
    /// small sets) and may be expected to on harder data, or every output has 30 dB.
    pub fn comfortable(&self, least: f64) -> bool {
        self.nearly(least)
            && self.expected_agreement.is_none_or(|e| e >= least)
            && self.outputs.iter().all(|o| o.snr_db >= SNR_AIM || o.agreement.is_none())
    }

    /// Whether a few samples are enough to see that [`Report::comfortable`] is out of reach.
    pub(crate) fn hopeless(&self) -> bool {
        self.outputs
            .iter()
            .any(|o| o.snr_db < if o.agreement.is_some() { SNR_AIM } else { 30.0 } - SNR_SPREAD)
    }

    /// [`Report::passes`], with one flip forgiven.
    pub fn nearly(&self, least: f64) -> bool {
        let flips: usize = self.outputs.iter().map(|o| o.flips).sum();
        self.passes(least) || (self.agreement.is_some() && flips <= 1)
    }

    /// The report as text.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "Accuracy on {} samples, {}", self.samples, self.precision);
        let _ = writeln!(
            text,
            "{:<24} {:>10} {:>6} {:>12} {:>12} {:>8}",
            "output", "agreement", "flips", "max error", "mean error", "SNR dB"
        );
        for o in &self.outputs {
            let agreement = o.agreement.map_or("-".into(), |a| format!("{:.2} %", 100.0 * a));
            let _ = writeln!(
                text,
                "{:<24} {:>10} {:>6} {:>12.4e} {:>12.4e} {:>8.1}",
                o.name, agreement, o.flips, o.max_error, o.mean_error, o.snr_db
            );
        }
        if let Some(expected) = self.expected_agreement {
            let _ = writeln!(text, "expected on harder data: {:.2} %", 100.0 * expected);
        }
        if self.saturated_inputs > 0 {
            let _ =
                writeln!(text, "{} input values were clamped to the input's range", self.saturated_inputs);
        }
        for flip in &self.flips {
            let _ = writeln!(
                text,
                "flip: sample {}, output {}: float label {} (margin {:.4}), integer label {} (margin {:.4})",
                flip.sample,
                flip.output,
                flip.float_label,
                flip.float_margin,
                flip.int_label,
                flip.int_margin
            );
        }
        for layer in &self.layers {
            let _ = writeln!(text, "layer {:<32} {:>6.1} dB", layer.node, layer.snr_db);
        }
        text
    }
}

/// A value of the float graph that is one tensor of the program.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    pub(crate) value: ValueId,
    pub(crate) node: String,
    pub(crate) tensor: u32,
    pub(crate) scale: f64,
}

/// What is compared.
#[derive(Clone, Copy)]
pub(crate) struct Comparison<'a> {
    pub(crate) program: &'a Program,
    pub(crate) weights: &'a BTreeMap<u32, Prepared>,
    pub(crate) meta: &'a Metadata,
    pub(crate) samples: &'a [Vec<Tensor>],
    pub(crate) calibration: &'a Calibration,
    /// Graph input number and tensor number of each program input.
    pub(crate) inputs: &'a [(usize, u32)],
    /// Proved value of each output.
    pub(crate) outputs: &'a [ValueId],
    pub(crate) traced: &'a [Traced],
}

/// Four significant digits: the last bits of a float run may differ between
/// machines, the report should not.
fn short(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return if x.is_finite() { x } else { f64::MAX };
    }
    format!("{x:.3e}").parse().unwrap_or(x)
}

/// Sums of squares of signal and error.
#[derive(Clone, Copy, Default)]
struct Noise {
    signal: f64,
    noise: f64,
    worst: f64,
    total: f64,
    count: usize,
}

impl Noise {
    fn add(&mut self, float: f32, int: f64) {
        let (x, e) = (f64::from(float), (f64::from(float) - int).abs());
        self.signal += x * x;
        self.noise += e * e;
        self.worst = self.worst.max(e);
        self.total += e;
        self.count += 1;
    }

    /// Decibels, at most 200.
    fn decibels(&self) -> f64 {
        if self.noise == 0.0 {
            return 200.0;
        }
        if self.signal == 0.0 {
            return 0.0;
        }
        short((10.0 * (self.signal / self.noise).log10()).clamp(-200.0, 200.0)).max(-200.0)
    }
}

fn reals(t: &Tensor) -> Vec<f32> {
    match &t.data {
        Data::F32(v) => v.clone(),
        Data::I64(v) => v.iter().map(|&x| x as f32).collect(),
        Data::Bool(v) => v.iter().map(|&x| f32::from(u8::from(x))).collect(),
    }
}

fn internal(what: impl std::fmt::Display) -> Problem {
    Problem::global(INTERNAL, format!("the integer program does not run: {what}"), "Report this model.")
}

/// Runs the program on all samples and compares.
pub(crate) fn compare(c: &Comparison<'_>) -> Result<Report, Problem> {
    let mut outputs = vec![(Noise::default(), 0usize, 0usize); c.outputs.len()];
    let mut margins: Vec<Margins> = vec![Margins::default(); c.outputs.len()];
    let mut layers = vec![Noise::default(); c.traced.len()];
    let mut flips = Vec::new();
    let mut saturated = 0;
    let values = crate::estimate::estimate(c.program, 1, &crate::estimate::Units::default(), &[]).values;
    let size = (CHUNK_VALUES / values.max(1)).clamp(1, CHUNK) as usize;
    for (chunk, samples) in c.samples.chunks(size).enumerate() {
        let inputs = quantised(c, samples, &mut saturated)?;
        let batch = samples.len();
        let values = if chunk == 0 {
            let all = program::run_tensors(c.program, batch as u32, &inputs, c.weights).map_err(internal)?;
            trace(c, &all, batch, &mut layers);
            c.program.outputs.iter().map(|t| all.get(t).map(|v| v.to_vec()).unwrap_or_default()).collect()
        } else {
            program::run(c.program, batch as u32, &inputs, c.weights).map_err(internal)?
        };
        for (number, values) in values.iter().enumerate() {
            let element = values.len() / batch;
            for (i, row) in values.chunks(element.max(1)).enumerate() {
                let sample = chunk * size + i;
                let Some(float) = &c.calibration.kept[sample][c.outputs[number].0 as usize] else { continue };
                let scale = c.meta.outputs[number].scale;
                let int: Vec<f64> = row.iter().map(|&q| q as f64 * scale).collect();
                let (noise, same, labelled) = &mut outputs[number];
                float.iter().zip(&int).for_each(|(&f, &q)| noise.add(f, q));
                margins[number].add(&c.meta.outputs[number], float, &int);
                label(c, number, sample, float, &int, (same, labelled), &mut flips);
            }
        }
    }
    let expected = margins.iter().filter_map(Margins::expected).reduce(f64::min);
    let report = assemble(c, &outputs, &layers, flips, saturated);
    Ok(Report { expected_agreement: expected.map(short), ..report })
}

/// Distances between the two largest entries, and the noise of that distance.
#[derive(Clone, Default)]
struct Margins {
    float: Vec<f64>,
    noise: f64,
}

impl Margins {
    fn add(&mut self, meta: &crate::metadata::OutputMeta, float: &[f32], int: &[f64]) {
        if meta.kind != "logits" {
            return;
        }
        let classes = class_count(meta);
        for (f, q) in float.chunks(classes).zip(int.chunks(classes)) {
            let (a, b) = if classes == 1 { (0, 0) } else { two_largest(f) };
            let of = |x: &dyn Fn(usize) -> f64| if classes == 1 { x(0) } else { x(a) - x(b) };
            let (real, found) = (of(&|i| f64::from(f[i])), of(&|i| q[i]));
            self.float.push(real.abs());
            self.noise += (real - found) * (real - found);
        }
    }

    /// Mean chance that noise of three times the measured size leaves the sign of a
    /// margin: data to come have smaller margins than those a model was fitted to.
    fn expected(&self) -> Option<f64> {
        let count = self.float.len();
        if count == 0 {
            return None;
        }
        let sigma = 3.0 * (self.noise / count as f64).sqrt();
        if sigma == 0.0 {
            return Some(1.0);
        }
        let flips: f64 =
            self.float.iter().map(|m| 0.5 * libm::erfc(m / sigma * std::f64::consts::FRAC_1_SQRT_2)).sum();
        Some(1.0 - flips / count as f64)
    }
}

/// Indices of the largest and the second largest entry.
fn two_largest(row: &[f32]) -> (usize, usize) {
    let first = argmax(row);
    let mut second = usize::from(first == 0);
    for (i, x) in row.iter().enumerate() {
        if i != first && *x > row[second] {
            second = i;
        }
    }
    (first, second)
}

/// Entries per label.
fn class_count(meta: &crate::metadata::OutputMeta) -> usize {
    meta.shape.iter().rev().find(|&&n| n > 1).copied().unwrap_or(1)
}

fn quantised(
    c: &Comparison<'_>,
    samples: &[Vec<Tensor>],
    saturated: &mut usize,
) -> Result<BTreeMap<u32, Vec<i64>>, Problem> {
    let mut inputs = BTreeMap::new();
    for (number, &(graph_input, tensor)) in c.inputs.iter().enumerate() {
        let flat: Vec<f32> = samples.iter().flat_map(|s| reals(&s[graph_input])).collect();
        let q = quantise_input(c.meta, number, &flat).map_err(internal)?;
        *saturated += q.saturated;
        inputs.insert(tensor, q.values);
    }
    Ok(inputs)
}

fn trace(c: &Comparison<'_>, all: &BTreeMap<u32, std::sync::Arc<[i64]>>, batch: usize, layers: &mut [Noise]) {
    for (noise, traced) in layers.iter_mut().zip(c.traced) {
        let Some(values) = all.get(&traced.tensor) else { continue };
        let element = values.len() / batch;
        for (sample, row) in values.chunks(element.max(1)).enumerate().take(LAYER_SAMPLES) {
            if let Some(float) = &c.calibration.kept[sample][traced.value.0 as usize]
                && float.len() == row.len()
            {
                float.iter().zip(row).for_each(|(&f, &q)| noise.add(f, q as f64 * traced.scale));
            }
        }
    }
}

fn argmax<T: PartialOrd + Copy>(row: &[T]) -> usize {
    let mut best = 0;
    for (i, x) in row.iter().enumerate() {
        if *x > row[best] {
            best = i;
        }
    }
    best
}

/// Compares labels along the last axis; a single logit is compared by its sign.
fn label(
    c: &Comparison<'_>,
    output: usize,
    sample: usize,
    float: &[f32],
    int: &[f64],
    (same, labelled): (&mut usize, &mut usize),
    flips: &mut Vec<Flip>,
) {
    let meta = &c.meta.outputs[output];
    if meta.kind != "logits" {
        return;
    }
    let classes = class_count(meta);
    for (f, q) in float.chunks(classes).zip(int.chunks(classes)) {
        *labelled += 1;
        let (a, b, margins) = if classes == 1 {
            (usize::from(f[0] > 0.0), usize::from(q[0] > 0.0), (f64::from(f[0]).abs(), q[0].abs()))
        } else {
            let (a, b) = (argmax(f), argmax(q));
            (a, b, (f64::from(f[a]) - f64::from(f[b]), q[b] - q[a]))
        };
        if a == b {
            *same += 1;
        } else if flips.len() < FLIPS_LISTED {
            flips.push(Flip {
                sample,
                output,
                float_label: a,
                int_label: b,
                float_margin: short(margins.0),
                int_margin: short(margins.1),
            });
        }
    }
}

fn assemble(
    c: &Comparison<'_>,
    outputs: &[(Noise, usize, usize)],
    layers: &[Noise],
    flips: Vec<Flip>,
    saturated: usize,
) -> Report {
    let rows: Vec<OutputReport> = outputs
        .iter()
        .zip(&c.meta.outputs)
        .map(|((noise, same, labelled), meta)| OutputReport {
            name: meta.name.clone(),
            agreement: (*labelled > 0).then(|| *same as f64 / *labelled as f64),
            max_error: short(noise.worst),
            mean_error: short(noise.total / noise.count.max(1) as f64),
            snr_db: noise.decibels(),
            flips: labelled - same,
        })
        .collect();
    let agreement = rows.iter().filter_map(|r| r.agreement).reduce(f64::min);
    let layers = layers
        .iter()
        .zip(c.traced)
        .filter(|(n, _)| n.count > 0)
        .map(|(n, t)| LayerReport { node: t.node.clone(), snr_db: n.decibels() })
        .collect();
    Report {
        samples: c.samples.len(),
        precision: c.meta.precision.clone(),
        agreement,
        expected_agreement: None,
        saturated_inputs: saturated,
        outputs: rows,
        flips,
        layers,
    }
}
