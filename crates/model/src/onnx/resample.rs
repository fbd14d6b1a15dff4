//! Resampling to the nearest element: a choice of constant indices.

use super::{Call, Entry, Operator, one, op};
use crate::problem::{Step, misfit, unsupported};
use crate::read::{MAX_ELEMENTS, elements};
use crate::tensor::Tensor;

pub(super) const OPERATORS: &[Operator] = &[
    op(
        "Resize",
        &[
            "antialias",
            "axes",
            "coordinate_transformation_mode",
            "cubic_coeff_a",
            "exclude_outside",
            "extrapolation_value",
            "keep_aspect_ratio_policy",
            "mode",
            "nearest_mode",
        ],
        (2, 4),
        resize,
        "nearest mode with constant scales or sizes; as Gather",
    ),
    op("Upsample", &["mode", "scales"], (1, 2), upsample, "nearest mode with constant scales; as Gather"),
];

/// How an output position maps to an input position, in 32-bit floats as onnxruntime does.
struct Rule {
    coordinates: String,
    rounding: String,
}

fn resize(call: &mut Call) -> Step<Vec<Entry>> {
    nearest_only(call)?;
    call.only("antialias", 0, "use the nearest mode without antialias")?;
    if call.has("axes") {
        return Err(unsupported("attribute `axes` of Resize", "give scales or sizes for all axes"));
    }
    let policy = call.text("keep_aspect_ratio_policy", "stretch")?;
    if policy != "stretch" {
        return Err(unsupported(
            format!("attribute `keep_aspect_ratio_policy` is `{policy}`"),
            "use stretch",
        ));
    }
    let x = call.value(0)?;
    let lens = call.b.shape(x);
    // Opset 10 has (x, scales); since then (x, roi, scales, sizes).
    let (at, default) = if call.opset < 11 { (1, "asymmetric") } else { (2, "half_pixel") };
    let rule = Rule {
        coordinates: call.text("coordinate_transformation_mode", default)?,
        rounding: call.text("nearest_mode", if call.opset < 11 { "floor" } else { "round_prefer_floor" })?,
    };
    let sizes = if at == 2 { call.constant_ints(3, "sizes")? } else { None };
    let scales = call.constant(at, "scales")?.filter(|t| !t.shape.contains(&0));
    match (scales, sizes) {
        (Some(scales), None) => {
            let (scales, sizes) = from_scales(&lens, &scales)?;
            sample(call, &sizes, &scales, &rule)
        }
        (None, Some(sizes)) => {
            let (scales, sizes) = from_sizes(&lens, &sizes)?;
            sample(call, &sizes, &scales, &rule)
        }
        _ => Err(misfit("Resize needs either scales or sizes")),
    }
}

fn upsample(call: &mut Call) -> Step<Vec<Entry>> {
    nearest_only(call)?;
    let x = call.value(0)?;
    let lens = call.b.shape(x);
    let scales = match call.floats("scales")? {
        Some(v) => Tensor::f32(&[v.len()], v),
        None => call.constant(1, "scales")?.ok_or_else(|| misfit("scales are missing"))?,
    };
    let (scales, sizes) = from_scales(&lens, &scales)?;
    let rule = Rule { coordinates: "asymmetric".into(), rounding: "floor".into() };
    sample(call, &sizes, &scales, &rule)
}

fn nearest_only(call: &Call) -> Step<()> {
    match call.text("mode", "nearest")?.as_str() {
        "nearest" => Ok(()),
        mode => Err(unsupported(
            format!("attribute `mode` of {} is `{mode}`", call.op),
            "use nearest, or resize the image before the model",
        )),
    }
}

/// Scale and length per axis from scales.
fn from_scales(lens: &[usize], scales: &Tensor) -> Step<(Vec<f32>, Vec<usize>)> {
    let list = scales.as_f32().unwrap_or_default();
    let fits = |s: &f32| s.is_finite() && *s > 0.0;
    if list.len() != lens.len() || !list.iter().all(fits) {
        return Err(misfit(format!("scales {list:?} do not fit shape {lens:?}")));
    }
    let len = |(n, s): (&usize, &f32)| (*n as f32 * *s).floor() as usize;
    let sizes: Vec<usize> = lens.iter().zip(list).map(len).collect();
    elements(&sizes)?;
    Ok((list.to_vec(), sizes))
}

/// Scale and length per axis from lengths.
fn from_sizes(lens: &[usize], sizes: &[i64]) -> Step<(Vec<f32>, Vec<usize>)> {
    let list: Option<Vec<usize>> =
        sizes.iter().map(|s| usize::try_from(*s).ok().filter(|s| *s <= MAX_ELEMENTS)).collect();
    match list.filter(|l| l.len() == lens.len() && !lens.contains(&0)) {
        Some(list) => Ok((list.iter().zip(lens).map(|(s, n)| *s as f32 / *n as f32).collect(), list)),
        None => Err(misfit(format!("sizes {sizes:?} do not fit shape {lens:?}"))),
    }
}

fn sample(call: &mut Call, sizes: &[usize], scales: &[f32], rule: &Rule) -> Step<Vec<Entry>> {
    let mut x = call.value(0)?;
    elements(sizes)?;
    for (axis, (size, scale)) in sizes.iter().zip(scales).enumerate() {
        let len = call.b.shape(x)[axis];
        if *size == len && *scale == 1.0 {
            continue;
        }
        call.b.reserve(*size)?;
        let indices: Vec<usize> =
            (0..*size).map(|i| rule.source(i, len, *size, *scale)).collect::<Step<_>>()?;
        x = call.b.gather(x, axis, indices, &[*size])?;
    }
    one(x)
}

impl Rule {
    /// Input index of output position `i`.
    fn source(&self, i: usize, len: usize, size: usize, scale: f32) -> Step<usize> {
        let at = i as f32;
        let position = match self.coordinates.as_str() {
            "asymmetric" => at / scale,
            "half_pixel" => (at + 0.5) / scale - 0.5,
            "pytorch_half_pixel" if size == 1 => 0.0,
            "pytorch_half_pixel" => (at + 0.5) / scale - 0.5,
            "tf_half_pixel_for_nn" => (at + 0.5) / scale,
            "align_corners" if size == 1 => 0.0,
            "align_corners" => at * (len as f32 - 1.0) / (size as f32 - 1.0),
            other => {
                let message = format!("attribute `coordinate_transformation_mode` is `{other}`");
                return Err(unsupported(message, "use asymmetric or half_pixel"));
            }
        };
        let rounded = match self.rounding.as_str() {
            "floor" => position.floor(),
            "ceil" => position.ceil(),
            "round_prefer_floor" => (position - 0.5).ceil(),
            "round_prefer_ceil" => (position + 0.5).floor(),
            other => {
                let message = format!("attribute `nearest_mode` is `{other}`");
                return Err(unsupported(message, "use floor or round_prefer_floor"));
            }
        };
        Ok((rounded.max(0.0) as usize).min(len.saturating_sub(1)))
    }
}
