//! What real inputs look like inside the float model: ranges of every value.

use model::graph::{Graph, ValueId};
use model::tensor::{Data, Tensor};

use crate::problem::{BAD_CALIBRATION, NO_CALIBRATION, NON_FINITE, Problem};

/// Least, largest and root-mean-square value seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Range {
    pub(crate) lo: f64,
    pub(crate) hi: f64,
    pub(crate) rms: f64,
}

impl Range {
    /// Largest absolute value.
    pub(crate) fn most(&self) -> f64 {
        self.lo.abs().max(self.hi.abs())
    }
}

/// How often absolute values of each size were seen, in sixteenths of octaves from 2^-40 to 2^24.
#[derive(Clone)]
pub(crate) struct Sizes(Vec<u64>);

const OCTAVE: usize = 16;
const LEAST_OCTAVE: i64 = -40;
const OCTAVES: usize = 64;

impl Sizes {
    fn new() -> Self {
        Self(vec![0; OCTAVE * OCTAVES])
    }

    fn add(&mut self, x: f64) {
        // Exponent and four bits of the fraction.
        let place = (x.abs().to_bits() >> 48) as i64 - (1023 + LEAST_OCTAVE) * OCTAVE as i64;
        self.0[place.clamp(0, (OCTAVE * OCTAVES - 1) as i64) as usize] += 1;
    }

    /// The end of an integer type with so many steps that loses least: rounding inside, cutting off
    /// outside. It is `most` unless another end loses a fifth less.
    pub(crate) fn best_end(&self, most: f64, steps: f64) -> f64 {
        let loss = |end: f64| {
            let step = end / steps;
            let cut = |(place, &count): (usize, &u64)| {
                let octave = (place / OCTAVE) as i64 + LEAST_OCTAVE;
                let size = libm::ldexp(1.0 + ((place % OCTAVE) as f64 + 0.5) / OCTAVE as f64, octave as i32);
                let over = (size - end).max(0.0);
                count as f64 * if over > 0.0 { over * over } else { step * step / 12.0 }
            };
            self.0.iter().enumerate().filter(|(_, count)| **count > 0).map(cut).sum::<f64>()
        };
        let ends = (1..=16).map(|k| most * libm::exp2(-0.25 * f64::from(k)));
        let (end, least) = ends
            .map(|end| (end, loss(end)))
            .fold((most, f64::INFINITY), |best, next| if next.1 < best.1 { next } else { best });
        if least < 0.8 * loss(most) { coarse(end) } else { most }
    }
}

/// Float results on the calibration samples.
pub(crate) struct Calibration {
    /// By value number; none for values that are not real numbers.
    pub(crate) ranges: Vec<Option<Range>>,
    /// By value number; empty for values that are not real numbers.
    pub(crate) sizes: Vec<Option<Sizes>>,
    /// By value number: mean of every entry, for the operands of layers with constant weights.
    pub(crate) means: Vec<Option<Vec<f64>>>,
    /// Per sample the float values that the report compares, by value number.
    pub(crate) kept: Vec<Vec<Option<Vec<f32>>>>,
}

/// Entries kept for the layer table of the report: a few samples are enough.
pub(crate) const LAYER_SAMPLES: usize = 8;

/// Runs the float model on every sample.
pub(crate) fn calibrate(
    graph: &Graph,
    samples: &[Vec<Tensor>],
    keep: &[ValueId],
) -> Result<Calibration, Vec<Problem>> {
    check_samples(graph, samples)?;
    let mut seen: Vec<Seen> = vec![Seen::default(); graph.values.len()];
    let mut kept = Vec::with_capacity(samples.len());
    let operands = crate::correct::operands(graph);
    for (number, sample) in samples.iter().enumerate() {
        let values = model::run_all(graph, sample).map_err(|e| {
            vec![Problem::global(
                BAD_CALIBRATION,
                format!("the float model fails on calibration sample {number}: {e}"),
                "Remove the sample or mend it.",
            )]
        })?;
        for (((seen, value), of), &operand) in seen.iter_mut().zip(&values).zip(&graph.values).zip(&operands)
        {
            if of.constant.is_some() {
                continue;
            }
            if let (true, Some(Tensor { data: Data::F32(v), .. })) = (operand, value) {
                seen.add_entries(v);
            }
            match value {
                Some(Tensor { data: Data::F32(v), .. }) => seen.add(v.iter().map(|&x| f64::from(x))),
                Some(Tensor { data: Data::I64(v), .. }) => seen.add(v.iter().map(|&x| x as f64)),
                _ => {}
            }
        }
        let computed = |i: usize| graph.values[i].constant.is_none();
        let wanted = |i: usize| computed(i) && (number < LAYER_SAMPLES || keep.contains(&ValueId(i as u32)));
        let row =
            values.into_iter().enumerate().map(|(i, t)| t.filter(|_| wanted(i)).and_then(floats)).collect();
        kept.push(row);
    }
    let problems = non_finite(graph, &seen);
    if !problems.is_empty() {
        return Err(problems);
    }
    let ranges = seen.iter().map(Seen::range).collect();
    let means = seen.iter().map(|s| s.means(samples.len())).collect();
    Ok(Calibration { ranges, sizes: seen.into_iter().map(|s| s.sizes).collect(), means, kept })
}

fn floats(t: Tensor) -> Option<Vec<f32>> {
    match t.data {
        Data::F32(v) => Some(v),
        Data::I64(_) | Data::Bool(_) => None,
    }
}

/// Running minimum, maximum and sum of squares, in sample order.
#[derive(Clone, Default)]
struct Seen {
    lo: f64,
    hi: f64,
    squares: f64,
    count: u64,
    bad: bool,
    sizes: Option<Sizes>,
    /// Sum of every entry over the samples, where asked for.
    entries: Vec<f64>,
}

impl Seen {
    fn add(&mut self, values: impl Iterator<Item = f64>) {
        let sizes = self.sizes.get_or_insert_with(Sizes::new);
        for x in values {
            if !x.is_finite() {
                self.bad = true;
                continue;
            }
            if self.count == 0 {
                (self.lo, self.hi) = (x, x);
            }
            self.lo = self.lo.min(x);
            self.hi = self.hi.max(x);
            self.squares += x * x;
            sizes.add(x);
            self.count += 1;
        }
    }

    fn add_entries(&mut self, values: &[f32]) {
        self.entries.resize(values.len(), 0.0);
        self.entries.iter_mut().zip(values).for_each(|(sum, &x)| *sum += f64::from(x));
    }

    fn means(&self, samples: usize) -> Option<Vec<f64>> {
        let mean = |sum: &f64| sum / samples as f64;
        (!self.entries.is_empty()).then(|| self.entries.iter().map(mean).collect())
    }

    /// Rounded outwards to eleven significant bits: the last bits of a float run
    /// may differ between machines, the program must not.
    fn range(&self) -> Option<Range> {
        (self.count > 0).then(|| Range {
            lo: -coarse(-self.lo),
            hi: coarse(self.hi),
            rms: coarse((self.squares / self.count as f64).sqrt()),
        })
    }
}

/// The least number with eleven significant bits that is not below `x`, with a
/// little slack so that noise in the last bits of `x` does not reach it.
pub(crate) fn coarse(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let (_, exponent) = libm::frexp(x);
    let unit = libm::ldexp(1.0, exponent - 11);
    // Exact multiples (255, 1.0, 0.5) stay as they are.
    (x / unit - 1e-3).ceil() * unit
}

fn non_finite(graph: &Graph, seen: &[Seen]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for node in &graph.nodes {
        if seen[node.output.0 as usize].bad {
            let problem = Problem::global(
                NON_FINITE,
                "the float model itself gives NaN or infinity here on a calibration sample",
                "Check the model and the calibration data.",
            );
            problems.push(problem.at(node));
            break;
        }
    }
    problems
}

fn check_samples(graph: &Graph, samples: &[Vec<Tensor>]) -> Result<(), Vec<Problem>> {
    if samples.is_empty() {
        return Err(vec![Problem::global(
            NO_CALIBRATION,
            "the ranges of the model's values are not known",
            "Pass --calibrate data.npz with representative inputs (50 to 500 rows are usual). Only a model \
             whose inputs go straight into QuantizeLinear needs none.",
        )]);
    }
    for (number, sample) in samples.iter().enumerate() {
        if sample.len() != graph.inputs.len() {
            let reason = format!(
                "sample {number} has {} tensors, the model has {} inputs",
                sample.len(),
                graph.inputs.len()
            );
            return Err(vec![Problem::global(BAD_CALIBRATION, reason, "Give one array per model input.")]);
        }
        for (tensor, &id) in sample.iter().zip(&graph.inputs) {
            let value = graph.value(id);
            check_tensor(number, &value.name, &value.shape, tensor)?;
        }
    }
    Ok(())
}

fn check_tensor(number: usize, name: &str, shape: &[usize], tensor: &Tensor) -> Result<(), Vec<Problem>> {
    if tensor.shape != shape {
        let reason =
            format!("sample {number}, input \"{name}\": shape {:?}, the model wants {shape:?}", tensor.shape);
        return Err(vec![Problem::global(BAD_CALIBRATION, reason, "Reshape the calibration array.")]);
    }
    if let Data::F32(v) = &tensor.data
        && let Some(at) = v.iter().position(|x| !x.is_finite())
    {
        let reason = format!("sample {number}, input \"{name}\": entry {at} is {}", v[at]);
        return Err(vec![Problem::global(
            NON_FINITE,
            reason,
            "Remove or impute missing values before the model.",
        )]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Sizes, coarse};

    #[test]
    fn rare_large_values_are_cut_off() {
        let mut sizes = Sizes::new();
        (0..100_000).for_each(|i| sizes.add(f64::from(i % 100) / 100.0));
        assert_eq!(sizes.best_end(1.0, 255.0), 1.0);
        // One in a hundred thousand is ten times as large: cutting it off loses less than coarser steps.
        sizes.add(10.0);
        let end = sizes.best_end(10.0, 15.0);
        assert!((1.0..3.0).contains(&end), "{end}");
        // With fine steps nothing is cut off.
        assert_eq!(sizes.best_end(10.0, 65535.0), 10.0);
    }

    #[test]
    fn coarse_keeps_round_numbers_and_forgives_noise() {
        for x in [1.0, 255.0, 0.5, 1023.0, -3.0] {
            assert_eq!(coarse(x), x);
        }
        let x = 1.234_567_8;
        assert!(coarse(x) >= x && coarse(x) < x * 1.001);
        assert_eq!(coarse(x), coarse(x + 1e-7));
    }
}
