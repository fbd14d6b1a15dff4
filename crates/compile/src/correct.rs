//! Bias correction: what rounding the weights of a layer adds to its result on average
//! is taken from its bias.
//!
//! Rounded weights differ from real ones by e. On operands of mean m the result is off by the sum of
//! e m, the same for every input, and that part of the error is known when the weights are chosen
//! (Nagel et al. 2019, "Data-free quantization through weight equalization and bias correction",
//! section 4.2, with means from calibration). Only the integers of the bias change, so
//! nothing that is proved depends on it.

use model::graph::{Graph, Op, ValueId, Window};

use crate::calibrate::coarse;
use crate::linear::Layer;

/// Whether each value is the operand of a layer whose weights do not depend on the input.
pub(crate) fn operands(graph: &Graph) -> Vec<bool> {
    let mut wanted = vec![false; graph.values.len()];
    let constant = |v: ValueId| graph.value(v).constant.is_some();
    for node in graph.nodes.iter().filter(|n| matches!(n.op, Op::Conv { .. } | Op::MatMul)) {
        if node.inputs.iter().any(|&v| constant(v)) {
            node.inputs.iter().filter(|v| !constant(**v)).for_each(|v| wanted[v.0 as usize] = true);
        }
    }
    wanted
}

/// Mean of the operand that meets each weight, over the positions of the result: like the weights of one
/// output channel, but with the channels of all groups. None where weights are not shared by positions in a
/// known way (products entry by entry, stacks of matrices).
///
/// `mean` is the mean of each entry of the operand, row-major; sums over padding see zeros. Coarse, so that noise in
/// the last bits of the float run does not reach the program.
pub(crate) fn means(graph: &Graph, layer: &Layer<'_>, mean: &[f64]) -> Option<Vec<f64>> {
    let (x, w) = (&graph.value(layer.x).shape, &graph.value(layer.w).shape);
    let out = &graph.value(layer.node.output).shape;
    let found = match &layer.node.op {
        Op::Conv { window, .. } => conv_means(mean, x, window, out),
        Op::MatMul if w.len() <= 2 && layer.x == layer.node.inputs[0] => {
            column_means(mean, x.last().copied()?, 1)
        }
        Op::MatMul if w.len() <= 2 && x.len() >= 2 => column_means(mean, x[x.len() - 2], x[x.len() - 1]),
        _ => return None,
    };
    Some(found.into_iter().map(coarse).collect())
}

/// Means over all axes but one of length `count`, which has `inner` entries after it.
fn column_means(mean: &[f64], count: usize, inner: usize) -> Vec<f64> {
    let mut sums = vec![0.0; count];
    for (i, x) in mean.iter().enumerate() {
        sums[i / inner % count] += x;
    }
    let rows = (mean.len() / count.max(1)).max(1) as f64;
    sums.into_iter().map(|s| s / rows).collect()
}

/// Per input channel and tap: the mean, over output positions, of the entry under that tap.
fn conv_means(mean: &[f64], x: &[usize], window: &Window, out: &[usize]) -> Vec<f64> {
    let taps: usize = window.kernel.iter().product();
    let (size, places): (usize, usize) = (x[2..].iter().product(), out[2..].iter().product());
    let reads: Vec<Vec<usize>> = (0..taps)
        .filter(|&tap| kept(tap, &x[2..], window))
        .map(|tap| read_by(tap, &x[2..], window, &out[2..]))
        .collect();
    // The batch axis, if the model has one, counts as more positions.
    let mut entries = vec![0.0; x[1] * size];
    mean.iter().enumerate().for_each(|(i, m)| entries[i % (x[1] * size)] += m / x[0] as f64);
    let under = |channel: &[f64], at: &[usize]| at.iter().map(|&i| channel[i]).sum::<f64>() / places as f64;
    entries.chunks(size).flat_map(|channel| reads.iter().map(move |at| under(channel, at))).collect()
}

/// The place of a tap along each axis of the kernel.
fn places_of(tap: usize, window: &Window) -> Vec<usize> {
    let mut inner: usize = window.kernel.iter().product();
    let along = |&len: &usize| {
        inner /= len;
        tap / inner % len
    };
    window.kernel.iter().map(along).collect()
}

/// Whether the weights of a tap are kept: along axes of length 1 only one tap meets the entry.
fn kept(tap: usize, x: &[usize], window: &Window) -> bool {
    let meets =
        |(axis, at): (usize, &usize)| x[axis] > 1 || at * window.dilations[axis] == window.pads[axis].0;
    places_of(tap, window).iter().enumerate().all(meets)
}

/// The entries of one channel that a tap meets; padding is left out.
fn read_by(tap: usize, x: &[usize], window: &Window, out: &[usize]) -> Vec<usize> {
    let mut found = vec![0usize];
    for (axis, at) in places_of(tap, window).into_iter().enumerate() {
        let (step, before) = (window.strides[axis], window.pads[axis].0);
        let place = |o: usize| (o * step + at * window.dilations[axis]).checked_sub(before);
        let along: Vec<usize> = (0..out[axis]).filter_map(place).filter(|&i| i < x[axis]).collect();
        found = found.iter().flat_map(|&outer| along.iter().map(move |&i| outer * x[axis] + i)).collect();
    }
    found
}

/// What the rounded weights `(integer * scale)` add on average, per channel (`rows` of weights).
/// `means` holds one row per group of channels.
pub(crate) fn drift(
    w: &[f64],
    rounded: &[i64],
    means: &[f64],
    scale: impl Fn(usize) -> f64,
    channels: usize,
) -> Vec<f64> {
    let row = (w.len() / channels.max(1)).max(1);
    let groups = (means.len() / row).max(1);
    let group_of = |channel: usize| channel * groups / channels.max(1);
    let off = |(channel, (w, q)): (usize, (&[f64], &[i64]))| {
        let (s, means) = (scale(channel), &means[group_of(channel) * row..][..row]);
        w.iter().zip(q).zip(means).map(|((w, &q), m)| (q as f64 * s - w) * m).sum()
    };
    w.chunks(row).zip(rounded.chunks(row)).enumerate().map(off).collect()
}

/// The largest [`drift`] of any rounding to nearest, in units of the layer's sum where the operand has scale `x_scale`.
pub(crate) fn most_drift(means: &[f64], row: usize, x_scale: f64) -> f64 {
    let size = |row: &[f64]| row.iter().map(|m| m.abs()).sum::<f64>();
    0.5 * means.chunks(row.max(1)).map(size).fold(0.0, f64::max) / x_scale
}

#[cfg(test)]
mod tests {
    use super::{column_means, conv_means, drift};
    use model::graph::Window;

    #[test]
    fn taps_meet_what_a_convolution_reads() {
        // One channel 3 x 3, kernel 3 x 3 with padding 1: the middle tap meets all, a corner tap four of nine.
        let mean: Vec<f64> = (1..=9).map(f64::from).collect();
        let window = Window {
            kernel: vec![3, 3],
            strides: vec![1, 1],
            dilations: vec![1, 1],
            pads: vec![(1, 1), (1, 1)],
        };
        let found = conv_means(&mean, &[1, 1, 3, 3], &window, &[1, 1, 3, 3]);
        assert_eq!(found[4], 5.0);
        assert_eq!(found[0], (1.0 + 2.0 + 4.0 + 5.0) / 9.0);
        assert_eq!(found[8], (5.0 + 6.0 + 8.0 + 9.0) / 9.0);
    }

    #[test]
    fn columns_and_rows_of_a_matrix() {
        let mean = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(column_means(&mean, 3, 1), [2.5, 3.5, 4.5]);
        assert_eq!(column_means(&mean, 2, 3), [2.0, 5.0]);
    }

    #[test]
    fn drift_is_taken_per_group() {
        // Two groups of one channel each, two weights: errors 0.1, -0.2 and 0.3, 0.
        let w = [0.9, 1.2, 1.7, 2.0];
        let found = drift(&w, &[1, 1, 2, 2], &[1.0, 10.0, 100.0, 1000.0], |_| 1.0, 2);
        assert!((found[0] + 1.9).abs() < 1e-9 && (found[1] - 30.0).abs() < 1e-9, "{found:?}");
    }
}
