//! From an exact sum to a small integer: scales, multipliers, shifts and tables.
//!
//! A layer's accumulator has scale `x_scale * w_scale[o]`. It is brought to the
//! scale of the quotient q by `m[o] / 2^s`. The multiplier is chosen first and the
//! weight scale follows from it, so the multiplication itself loses nothing; all
//! error is in the rounding of weights and of q. The table then maps q to the
//! result and clamps it.

use std::collections::BTreeMap;

use program::types::{Contraction, Domain, Form, Round, Scale, View};

use crate::calibrate::Range;
use crate::correct::{drift, most_drift};
use crate::draft::{Draft, bounded};
use crate::estimate::Units;
use crate::expr::Expr;
use crate::linear::Plan;
use crate::problem::{NON_FINITE, Problem, TOO_WIDE};
use crate::value::Val;
use crate::view::{Len, axis};

/// Bits and choices of one compilation.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) weight_bits: u8,
    pub(crate) activation_bits: u8,
    pub(crate) per_tensor: bool,
    /// Batch size the costs are weighed for.
    pub(crate) batch: usize,
    pub(crate) units: Units,
}

/// A product of two values, summed over axes.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    pub(crate) sum: Vec<Len>,
    pub(crate) a: Form,
    pub(crate) b: Form,
    /// Real value of one unit of the product.
    pub(crate) scale: f64,
}

/// An exact sum: layer or product, plus values times numbers, plus constants.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) groups: Vec<Vec<Len>>,
    pub(crate) layer: Option<Plan>,
    pub(crate) product: Option<Product>,
    /// Values already broadcast to the groups.
    pub(crate) terms: Vec<(f64, Val)>,
    /// Real constants: position axes read and row-major values.
    pub(crate) constants: Vec<Constant>,
    pub(crate) bias: f64,
}

/// A constant tensor over some position axes.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    pub(crate) axes: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

/// What the sum is turned into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) expr: &'a Expr,
    /// Calibrated range of the sum.
    pub(crate) root: Range,
    /// Calibrated range of the result.
    pub(crate) out: Range,
    pub(crate) bits: u8,
    /// The type of the result, if it is given.
    pub(crate) fixed: Option<Quant>,
}

/// An integer type with its scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quant {
    pub(crate) scale: f64,
    pub(crate) lo: i64,
    pub(crate) hi: i64,
}

impl Quant {
    /// The type for a calibrated range: unsigned if it has no negative values.
    pub(crate) fn of(range: Range, bits: u8) -> Self {
        let (lo, hi) = if range.lo >= 0.0 {
            (0, (1i64 << bits) - 1)
        } else {
            (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1)
        };
        let scale = if range.most() > 0.0 { range.most() / hi as f64 } else { 1.0 };
        Self { scale, lo, hi }
    }

    fn clamp(&self, real: f64) -> i64 {
        let q = (real / self.scale).round_ties_even();
        if q.is_nan() { self.lo.max(0) } else { q.clamp(self.lo as f64, self.hi as f64) as i64 }
    }
}

/// Quotients that matter: scale, first, and lg of their number.
#[derive(Clone, Copy, Debug)]
struct Region {
    scale: f64,
    first: i64,
    log: u8,
}

impl Region {
    fn of(target: &Target<'_>, quant: &Quant) -> Self {
        if target.expr.is_clamp() {
            return Self { scale: quant.scale, first: quant.lo, log: target.bits };
        }
        // The argument is kept finer than the result, as far as table rows are cheap.
        let log = if target.bits <= 8 { target.bits + 2 } else { (target.bits + 1).min(14).max(target.bits) };
        let width = (target.root.hi - target.root.lo).max(f64::MIN_POSITIVE);
        let scale = if target.root.hi > target.root.lo { width / ((1i64 << log) - 2) as f64 } else { 1.0 };
        Self { scale, first: (target.root.lo / scale).floor() as i64, log }
    }
}

/// The sum in the units of the quotient: `m (acc + c) + extra`, to be shifted.
struct Scaled {
    contraction: Option<Contraction>,
    multiplier: Scale,
    extra: Form,
    shift: u8,
    half_even: bool,
}

/// Rounds a sum into the result of its target.
pub(crate) fn round(
    draft: &mut Draft,
    choice: &Choice,
    source: &Source,
    target: &Target<'_>,
) -> Result<Val, Problem> {
    let mut quant = target.fixed.unwrap_or_else(|| Quant::of(target.out, target.bits));
    let mut region = Region::of(target, &quant);
    if let Some(val) = direct(draft, choice, source, target, &quant)? {
        return Ok(val);
    }
    let choice = &Choice {
        weight_bits: layer_bits(draft, source, &region, choice, target.fixed.is_some()),
        ..choice.clone()
    };
    let (shift, half_even) = match (dyadic(source, &region), target.fixed) {
        (Some(shift), Some(_)) => (shift, shift > 0),
        (None, Some(_)) => {
            let finer = if source.layer.is_some() { 6 } else { 0 };
            let need = (shift_for(draft, source, &region, choice) + finer).max(fine_shift(source));
            let room = shift_room(draft, source, &region);
            (settle_shift(f64::from(need).min(room), draft.limb_bits), false)
        }
        (_, None) => {
            draft.inexact = true;
            (shift_for(draft, source, &region, choice), false)
        }
    };
    if target.fixed.is_none() {
        refine_scale(source, &mut region, shift);
        if target.expr.is_clamp() {
            quant.scale = region.scale;
        }
    }
    let mut scaled = scale(draft, choice, source, &region, shift)?;
    scaled.half_even = half_even;
    if target.fixed.is_some() && !half_even && shift > 0 {
        draft.inexact |= !(target.expr.is_clamp() && agrees(source, &scaled, &quant));
    }
    if half_even {
        // The wide form needs an even offset; the clamp forgives one quotient more.
        region.first -= region.first.rem_euclid(2);
        region.log += u8::from(quant.hi - region.first >= 1 << region.log);
    }
    finish(draft, choice, source, target, (&quant, &region), scaled)
}

/// Relative error of a rounding in 32-bit floats: two roundings of the multiplier, one of the product.
const FLOAT_ERROR: f64 = 3.0 / (1 << 24) as f64;

/// Whether a layer's integer rounding is what ONNX defines, saturate(round half to even of the sum
/// times s_x s_w / s_y), wherever 32-bit floats decide it: where the product is not nearer to a half
/// than the floats' own error. So the multipliers must be no worse than floats.
fn agrees(source: &Source, scaled: &Scaled, quant: &Quant) -> bool {
    let Some(plan) = &source.layer else { return false };
    let alone = source.product.is_none() && source.terms.is_empty() && source.constants.is_empty();
    let (Some(stored), true) = (&plan.stored, alone) else { return false };
    stored.iter().enumerate().all(|(channel, &w_scale)| {
        let integer = match &scaled.multiplier {
            Scale::One(m) => *m,
            Scale::Axis(_, list) => list[channel % list.len()],
        };
        let real = plan.x_scale * w_scale / quant.scale * 2f64.powi(i32::from(scaled.shift));
        (integer as f64 - real).abs() <= real * FLOAT_ERROR
    })
}

fn result(source: &Source, tensor: u32, target: &Target<'_>, scale: f64) -> Val {
    let like = Val { rms: target.out.rms / scale, ..Val::blank(scale) };
    Val::of_tensor(tensor, source.groups.clone(), &like)
}

fn axes(source: &Source) -> Vec<Len> {
    let mut axes = vec![0];
    axes.extend(source.groups.concat());
    axes
}

fn positions(axes: &[Len], batch: usize) -> f64 {
    axes.iter().map(|&n| if n == 0 { batch as f64 } else { f64::from(n) }).product()
}

/// A sum that is a small integer already: a plain table, or nothing at all.
fn direct(
    draft: &mut Draft,
    choice: &Choice,
    source: &Source,
    target: &Target<'_>,
    quant: &Quant,
) -> Result<Option<Val>, Problem> {
    if source.layer.is_some() || source.product.is_some() || !source.constants.is_empty() {
        return Ok(None);
    }
    let Some((factor, first)) = source.terms.first() else { return Ok(None) };
    let unit = factor * first.scale;
    if unit == 0.0 || source.terms.iter().any(|(f, v)| (f * v.scale).abs() != unit.abs()) {
        return Ok(None);
    }
    let mut terms = Vec::new();
    for (f, v) in &source.terms {
        terms.extend(v.scaled_form(if (f * v.scale > 0.0) == (unit > 0.0) { 1 } else { -1 }).0);
    }
    let form = crate::view::collect(terms);
    let axes = axes(source);
    let (lo, hi) = bounded(draft.interval(&form, &axes)?)?;
    let rows = hi - lo + 1;
    let count = positions(&axes, choice.batch);
    let units = &choice.units;
    let table_cost = rows as f64 * units.row + count * (units.value + units.lookup);
    let round_cost = 800.0 * units.row + count * 2.0 * (units.value + units.lookup);
    if rows > 1 << 17 || table_cost > 2.0 * round_cost {
        return Ok(None);
    }
    let at = |q: i64| target.expr.at(unit * q as f64 + source.bias);
    let out: Vec<i64> = (lo..=hi).map(|q| quant.clamp(at(q))).collect();
    check_finite(target, &at, lo, hi, unit, source.bias)?;
    let table = draft.table(vec![(lo, rows as u32)], out);
    let tensor = draft.lookup(&axes, table, form);
    Ok(Some(Val { known: Some((quant.lo, quant.hi)), ..result(source, tensor, target, quant.scale) }))
}

/// A function must be defined where calibration went.
fn check_finite(
    target: &Target<'_>,
    at: &dyn Fn(i64) -> f64,
    lo: i64,
    hi: i64,
    unit: f64,
    bias: f64,
) -> Result<(), Problem> {
    let inside = |q: i64| {
        let x = unit * q as f64 + bias;
        x >= target.root.lo && x <= target.root.hi
    };
    match (lo..=hi).find(|&q| inside(q) && at(q).is_nan()) {
        None => Ok(()),
        Some(q) => Err(Problem::global(
            NON_FINITE,
            format!(
                "the function is not defined at {}, inside the range seen on the calibration data",
                unit * q as f64 + bias
            ),
            "Clip the operand before the function.",
        )),
    }
}

/// The shift with which all multipliers of a sum of integers are whole, if it is
/// small: then rounding is exact.
fn dyadic(source: &Source, region: &Region) -> Option<u8> {
    if !source.constants.is_empty() || source.product.is_some() {
        return None;
    }
    let mut ratios: Vec<f64> = source.terms.iter().map(|(f, v)| f * v.scale / region.scale).collect();
    let mut unit = None;
    if let Some(plan) = &source.layer {
        let scales = plan.stored.as_ref()?;
        ratios.extend(scales.iter().map(|w| plan.x_scale * w / region.scale));
        unit = Some((plan, scales));
    }
    let whole = |x: f64| x.abs() < 1e15 && x.fract() == 0.0;
    let shift = (0..=24u8).find(|s| ratios.iter().all(|r| whole(r * (1u64 << s) as f64)))?;
    let biases_whole = match unit {
        None => source.bias == 0.0,
        Some((plan, scales)) => {
            plan.bias
                .iter()
                .enumerate()
                .all(|(c, b)| whole(((b + source.bias) / (plan.x_scale * scales[c])).abs()))
                && (source.bias == 0.0 || !plan.bias.is_empty())
        }
    };
    biases_whole.then_some(shift)
}

/// Binary places of a real multiplier in the user's own quantisation.
fn fine_shift(source: &Source) -> u8 {
    match &source.layer {
        Some(plan) if plan.stored.is_some() => 32,
        Some(_) => 0,
        None => 24,
    }
}

/// Bits of a layer's weights: more than asked for when the operand has so many
/// bits that rounding the weights would cost more than two units of the result.
fn layer_bits(draft: &Draft, source: &Source, region: &Region, choice: &Choice, fine: bool) -> u8 {
    let Some(plan) = source.layer.as_ref().filter(|p| p.stored.is_none()) else { return choice.weight_bits };
    let fan_in = (plan.w.len() / plan.channels().max(1)).max(1) as f64;
    let most = plan.largest();
    let error = |bits: u8| {
        0.29 * plan.x_scale * most / (weight_limit(bits) as f64 * region.scale) * fan_in.sqrt() * plan.x_rms
    };
    let room = 50u8.saturating_sub(operand_bits(draft, source, plan)).max(choice.weight_bits);
    // Before a type of the user's own, every unit off is a difference he can see.
    let most_error = if fine { 0.01 } else { 2.0 };
    (choice.weight_bits..=room.min(30)).find(|&b| error(b) <= most_error).unwrap_or(room.min(30))
}

/// Bits of the operand of a layer, by its interval.
fn operand_bits(draft: &Draft, source: &Source, plan: &Plan) -> u8 {
    let mut inner = axes(source);
    inner.extend(&plan.sum);
    let most = draft.interval(&plan.a, &inner).map_or(0, |(lo, hi)| lo.unsigned_abs().max(hi.unsigned_abs()));
    (128 - most.leading_zeros()) as u8
}

/// Bits to shift out: enough that rounding weights and multipliers costs less
/// than rounding the result, and no more, because every limb is committed.
fn shift_for(draft: &Draft, source: &Source, region: &Region, choice: &Choice) -> u8 {
    let mut need = 0f64;
    if let Some(plan) = &source.layer {
        let fan_in = (plan.w.len() / plan.channels().max(1)).max(1) as f64;
        let rms = if plan.x_rms > 0.0 { plan.x_rms } else { 100.0 };
        // Weight error sqrt(n) rms / (2^s sqrt 12) below a quarter of a unit.
        let noise = (1.2 * fan_in.sqrt() * rms).log2();
        let most = plan.largest();
        let ratio = plan.x_scale * most / (weight_limit(choice.weight_bits) as f64 * region.scale);
        // Or multipliers of at least 4: then the weights keep their own bits.
        let own = if ratio > 0.0 { (4.0 / ratio).log2() } else { 0.0 };
        need = need.max(noise.min(own));
    }
    if let Some(product) = &source.product {
        need = need.max((64.0 * region.scale / product.scale).log2());
    }
    let single = source.layer.is_none() && source.product.is_none() && source.terms.len() == 1;
    for (factor, val) in &source.terms {
        let ratio = (factor * val.scale / region.scale).abs();
        if single {
            need = need.max((8.0 / ratio).log2());
        } else if ratio.fract() != 0.0 {
            let most = val_most(draft, val);
            need = need.max(most.log2());
        }
    }
    settle_shift(need.min(shift_room(draft, source, region)), draft.limb_bits)
}

/// The largest shift with which the scaled sum of a layer stays in range.
fn shift_room(draft: &Draft, source: &Source, region: &Region) -> f64 {
    let Some(plan) = &source.layer else { return 40.0 };
    let mut inner = axes(source);
    inner.extend(&plan.sum);
    let operand = draft.interval(&plan.a, &inner).map_or(1.0, |(lo, hi)| lo.abs().max(hi).max(1) as f64);
    let fan_in = (plan.w.len() / plan.channels().max(1)).max(1) as f64;
    let most = plan.largest().max(f64::MIN_POSITIVE);
    // Half of 2^62, and multipliers are rounded up.
    (60.0 - (fan_in * operand * plan.x_scale * most / region.scale).log2()).floor().clamp(0.0, 40.0)
}

fn val_most(draft: &Draft, val: &Val) -> f64 {
    draft.interval(&val.form, &val.axes()).map_or(1.0, |(lo, hi)| lo.abs().max(hi.abs()).max(1) as f64)
}

/// One limb of 4, 8, 12, 16 bits where one is enough, else whole limbs.
fn settle_shift(need: f64, limb: u8) -> u8 {
    let bits = need.ceil().clamp(0.0, 40.0) as u8;
    let step = if bits <= limb { 4 } else { limb };
    let settled =
        if bits <= limb { bits.next_multiple_of(step).min(limb) } else { bits.next_multiple_of(step) };
    // Whole limbs only while they do not go far beyond what is needed.
    if settled > 40 || settled > bits + 4 { bits } else { settled }
}

/// With a single operand, the quotient's scale is moved up a little so that the
/// multiplier is exact.
fn refine_scale(source: &Source, region: &mut Region, shift: u8) {
    let unit = match (&source.layer, &source.product, source.terms.as_slice()) {
        (None, Some(p), []) => p.scale,
        (None, None, [(factor, val)]) => (factor * val.scale).abs(),
        _ => return,
    };
    let power = (1u64 << shift) as f64;
    let m = (unit / region.scale * power).floor();
    if m >= 1.0 {
        let scale = unit * power / m;
        region.first = (region.first as f64 * region.scale / scale).floor() as i64;
        region.scale = scale;
    }
}

fn weight_limit(bits: u8) -> i64 {
    (1i64 << (bits - 1)) - 1
}

fn scale(
    draft: &mut Draft,
    choice: &Choice,
    source: &Source,
    region: &Region,
    shift: u8,
) -> Result<Scaled, Problem> {
    let unit = region.scale / (1u64 << shift) as f64;
    let mut extra = Vec::new();
    let mut bias = source.bias;
    let (contraction, multiplier) = match (&source.layer, &source.product) {
        (Some(plan), _) => {
            let (c, m) = quantise(draft, choice, plan, unit, std::mem::take(&mut bias))?;
            (Some(c), m)
        }
        (None, Some(p)) => {
            let m = (p.scale / unit).round().max(1.0);
            let c = Contraction { sum: p.sum.clone(), a: p.a.clone(), b: p.b.clone(), c: Form::default() };
            (Some(c), Scale::One(multiplier(m)?))
        }
        (None, None) => (None, Scale::One(1)),
    };
    for (factor, val) in &source.terms {
        extra.extend(val.scaled_form(integer(factor * val.scale / unit)?).0);
    }
    for constant in &source.constants {
        extra.extend(constant_form(draft, source, constant, unit)?.0);
    }
    extra.extend(draft.constant(integer(bias / unit)?).0);
    Ok(Scaled { contraction, multiplier, extra: crate::view::collect(extra), shift, half_even: false })
}

fn integer(x: f64) -> Result<i64, Problem> {
    let r = x.round_ties_even();
    if r.abs() < (1i64 << 61) as f64 { Ok(r as i64) } else { Err(too_wide("a constant or multiplier")) }
}

fn multiplier(m: f64) -> Result<i64, Problem> {
    if m < (1i64 << 31) as f64 { Ok(m as i64) } else { Err(too_wide("a multiplier")) }
}

fn too_wide(what: &str) -> Problem {
    Problem::global(
        TOO_WIDE,
        format!("{what} does not fit: the scales of this node differ too much"),
        "Check the calibration data, or use fewer activation bits.",
    )
}

/// A real constant tensor in integer units, as a parameter.
fn constant_form(
    draft: &mut Draft,
    source: &Source,
    constant: &Constant,
    unit: f64,
) -> Result<Form, Problem> {
    let all = axes(source);
    let lens: Vec<Len> = constant.axes.iter().map(|&a| all[a]).collect();
    let values: Result<Vec<i64>, Problem> = constant.values.iter().map(|v| integer(v / unit)).collect();
    let values = values?;
    let bound = power_bound(&values);
    let tensor = draft.parameter(&lens, values, (-bound, bound));
    Ok(Form(vec![(1, View { tensor, maps: constant.axes.iter().map(|&a| axis(a)).collect() })]))
}

/// The declared bound of values: a power of two, to say little about them.
fn power_bound(values: &[i64]) -> i64 {
    let most = values.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0).max(1);
    most.next_power_of_two() as i64
}

/// The declared bound of weights: at most an eighth above the largest. A tight bound keeps intervals, and
/// with them tables, small; the multipliers tell as much of the largest weight.
fn round_up(most: i64) -> i64 {
    let most = most.max(1);
    let step = ((1i64 << most.ilog2()) / 8).max(1);
    (most + step - 1) / step * step
}

/// Integer weights and biases, and the multipliers per channel.
fn quantise(
    draft: &mut Draft,
    choice: &Choice,
    plan: &Plan,
    unit: f64,
    bias: f64,
) -> Result<(Contraction, Scale), Problem> {
    if let Some(scales) = &plan.stored {
        return keep_stored(draft, plan, scales, unit, bias);
    }
    let limit = weight_limit(choice.weight_bits);
    let channels = plan.channels().max(1);
    let inner = (plan.w.len() / channels).max(1);
    let along = scale_axis(plan, choice);
    // The slack keeps an exact ratio from becoming the next integer.
    let m_of = |most: f64| (plan.x_scale * most / limit as f64 / unit - 1e-9).ceil().max(1.0);
    // Multiplier per index of the scale axis (or one), from the largest weight there.
    let index = |c: usize| along.map_or(0, |(place, _)| channel_index(plan, place, c));
    let mut ms = vec![1f64; along.map_or(1, |(_, len)| len)];
    for (c, &w) in plan.most.iter().enumerate() {
        ms[index(c)] = ms[index(c)].max(m_of(w));
    }
    let w_scale = |c: usize| ms[index(c)] * unit / plan.x_scale;
    let largest = plan.most.iter().enumerate().map(|(c, w)| (w / w_scale(c)).round_ties_even());
    let bound = round_up(largest.fold(1.0, f64::max) as i64).min(limit);
    let mut content = Vec::with_capacity(if draft.sketch { 0 } else { plan.w.len() });
    for (c, row) in plan.w.chunks(inner).enumerate().filter(|_| !draft.sketch) {
        let s = w_scale(c);
        content.extend(row.iter().map(|w| ((w / s).round_ties_even() as i64).clamp(-limit, limit)));
    }
    let drift = match plan.x_means.as_slice() {
        means if draft.sketch || means.is_empty() => vec![],
        means => drift(&plan.w, &content, means, w_scale, channels),
    };
    let tensor = draft.parameter(&plan.w_axes, content, (-bound, bound));
    let b = Form(vec![(1, View { tensor, maps: plan.w_maps.clone() })]);
    let c = bias_form(draft, plan, (bias, &drift), |c| plan.x_scale * w_scale(c))?;
    let ints: Result<Vec<i64>, Problem> = ms.iter().map(|&m| multiplier(m)).collect();
    let ints = ints?;
    let scale = match along {
        Some((place, _)) if ints.iter().any(|m| *m != ints[0]) => {
            Scale::Axis(crate::view::narrow(plan.channel_axes[place]), ints)
        }
        _ => Scale::One(ints[0]),
    };
    Ok((Contraction { sum: plan.sum.clone(), a: plan.a.clone(), b, c }, scale))
}

/// The user's own integer weights; only the multipliers are computed.
fn keep_stored(
    draft: &mut Draft,
    plan: &Plan,
    scales: &[f64],
    unit: f64,
    bias: f64,
) -> Result<(Contraction, Scale), Problem> {
    let channels = plan.channels().max(1);
    let inner = (plan.w.len() / channels).max(1);
    let rows = plan.w.chunks(inner).enumerate();
    let content: Vec<i64> =
        rows.flat_map(|(c, row)| row.iter().map(move |w| (w / scales[c]).round_ties_even() as i64)).collect();
    let limit = power_bound(&content).max(128);
    let tensor = draft.parameter(&plan.w_axes, content, (-limit, limit));
    let b = Form(vec![(1, View { tensor, maps: plan.w_maps.clone() })]);
    let c = bias_form(draft, plan, (bias, &[]), |c| plan.x_scale * scales[c])?;
    let ms: Result<Vec<i64>, Problem> =
        scales.iter().map(|w| multiplier((plan.x_scale * w / unit).round_ties_even().max(1.0))).collect();
    let ms = ms?;
    let scale = if ms.iter().all(|m| *m == ms[0]) {
        Scale::One(ms[0])
    } else if plan.channel_axes.len() == 1 {
        Scale::Axis(crate::view::narrow(plan.channel_axes[0]), ms)
    } else {
        return Err(crate::problem::unsupported(
            "a grouped convolution with one weight scale per channel",
            "Quantise its weights per tensor.",
        ));
    };
    Ok((Contraction { sum: plan.sum.clone(), a: plan.a.clone(), b, c }, scale))
}

/// (place among the channel axes, length) of the axis with its own multipliers.
fn scale_axis(plan: &Plan, choice: &Choice) -> Option<(usize, usize)> {
    if choice.per_tensor {
        return None;
    }
    (0..plan.channel_axes.len())
        .map(|i| (i, plan.w_axes[i] as usize))
        .max_by_key(|&(i, n)| (n, std::cmp::Reverse(i)))
}

/// Index of a channel along one of the channel axes.
fn channel_index(plan: &Plan, place: usize, channel: usize) -> usize {
    let axes = &plan.w_axes[..plan.channel_axes.len()];
    let inner: usize = axes[place + 1..].iter().map(|&n| n as usize).product();
    channel / inner % axes[place] as usize
}

/// The bias at the accumulator's scale, less what the rounded weights add on average.
fn bias_form(
    draft: &mut Draft,
    plan: &Plan,
    (bias, drift): (f64, &[f64]),
    unit: impl Fn(usize) -> f64,
) -> Result<Form, Problem> {
    let corrected = plan.stored.is_none() && !plan.x_means.is_empty();
    if plan.bias.is_empty() && bias == 0.0 && !corrected {
        return Ok(Form::default());
    }
    let channels = plan.channels().max(1);
    let of = |list: &[f64], c: usize| list.get(c).copied().unwrap_or(0.0);
    let exact: Result<Vec<i64>, Problem> =
        (0..channels).map(|c| integer((of(&plan.bias, c) + bias) / unit(c))).collect();
    let (exact, mut values) = (exact?, Vec::with_capacity(channels));
    for c in 0..channels {
        values.push(integer((of(&plan.bias, c) + bias - of(drift, c)) / unit(c))?);
    }
    if values.iter().all(|&v| v == 0) && !corrected && draft.weight_home != program::types::Home::Model {
        return Ok(Form::default());
    }
    // Sketches do not round weights; with room for any drift they have the same intervals as the program.
    let row = plan.w.len() / channels;
    let room = if corrected { most_drift(&plan.x_means, row, plan.x_scale).ceil() as i64 + 1 } else { 0 };
    let bound = power_bound(&[exact.iter().map(|v| v.abs()).max().unwrap_or(0) + room]);
    let count = plan.channel_axes.len();
    let tensor = draft.parameter(&plan.w_axes[..count], values, (-bound, bound));
    Ok(Form(vec![(1, View { tensor, maps: plan.channel_axes.iter().map(|&a| axis(a)).collect() })]))
}

/// Interval of the quotient.
fn quotient(draft: &Draft, all: &[Len], scaled: &Scaled) -> Result<(i64, i64), Problem> {
    let (mut lo, mut hi) = draft.interval(&scaled.extra, all)?;
    if let Some(c) = &scaled.contraction {
        let (a, b) = draft.contraction_interval(all, c)?;
        let (least, most) = match &scaled.multiplier {
            Scale::One(m) => (*m, *m),
            Scale::Axis(_, list) => {
                (list.iter().copied().min().unwrap_or(1), list.iter().copied().max().unwrap_or(1))
            }
        };
        lo += (a * i128::from(least)).min(a * i128::from(most));
        hi += (b * i128::from(least)).max(b * i128::from(most));
    }
    let half = if scaled.shift == 0 { 0 } else { 1i128 << (scaled.shift - 1) };
    bounded((lo + half, hi + half))?;
    Ok((((lo + half) >> scaled.shift) as i64, ((hi + half) >> scaled.shift) as i64))
}

/// Chooses the domain of the quotient and emits the Round.
fn finish(
    draft: &mut Draft,
    choice: &Choice,
    source: &Source,
    target: &Target<'_>,
    (quant, region): (&Quant, &Region),
    scaled: Scaled,
) -> Result<Val, Problem> {
    let all = axes(source);
    let (lo, hi) = quotient(draft, &all, &scaled)?;
    let ties = if scaled.half_even { draft.limbs(scaled.shift) } else { 0 };
    let (domain, table) = if ties == 0 && target.expr.is_identity() && lo >= quant.lo && hi <= quant.hi {
        let bits = (64 - (hi - lo).leading_zeros()).max(1) as u8;
        (Domain::Narrow { lo, bits }, None)
    } else {
        let at = |q: i64| target.expr.at(region.scale * q as f64);
        check_finite(target, &at, region.first, region.first + (1i64 << region.log) - 1, region.scale, 0.0)?;
        let value = |q: i64| quant.clamp(at(q));
        let count = positions(&all, choice.batch);
        choose_table(draft, choice, (count, ties, target.expr.is_clamp()), (lo, hi), region, &value)?
    };
    let tensor = draft.round(Round {
        axes: all,
        contraction: scaled.contraction,
        scale: scaled.multiplier,
        extra: scaled.extra,
        shift: scaled.shift,
        half_even: scaled.half_even,
        domain,
        table,
    });
    Ok(Val { known: Some((quant.lo, quant.hi)), ..result(source, tensor, target, quant.scale) })
}

/// A table over all quotients, or over the region that matters with a sign code
/// for what lies below and above, whichever is cheaper.
fn choose_table(
    draft: &mut Draft,
    choice: &Choice,
    (count, ties, is_clamp): (f64, usize, bool),
    (lo, hi): (i64, i64),
    region: &Region,
    value: &dyn Fn(i64) -> i64,
) -> Result<(Domain, Option<u32>), Problem> {
    let rows = hi - lo + 1;
    let units = &choice.units;
    let wide = Wide::cover(region, lo, hi, ties);
    let ends = (value(region.first - 1), value(region.first + (1i64 << region.log)));
    let clamps = ties == 0 && is_clamp;
    if clamps && wide.is_some() && rows <= NARROW_ROWS {
        draft.wants.push(Want { ends, interval: (lo, hi), count });
        if let Some(&(first, last)) = draft.shared_tables.get(&ends).filter(|s| s.0 <= lo && hi <= s.1) {
            let out = (first..=last).map(|q| q.clamp(ends.0, ends.1)).collect();
            let table = draft.table(vec![(first, (last - first + 1) as u32)], out);
            return Ok((Domain::Narrow { lo: 0, bits: 0 }, Some(table)));
        }
    }
    let narrow_cost = (rows * (ties as i64 + 1)) as f64 * units.row;
    let wide_cost = wide.as_ref().map_or(f64::INFINITY, |w| {
        let fresh = if draft.has_table(&w.keys(), &w.out(value)) { 0.0 } else { w.rows() as f64 };
        (fresh + (1u64 << w.high) as f64) * units.row + count * units.wide()
    });
    let planned = clamps && wide.is_some() && draft.planned;
    if rows <= NARROW_ROWS && narrow_cost <= wide_cost && !planned {
        let all: Vec<i64> = (lo..=hi).collect();
        let (keys, out) = with_ties(vec![(lo, rows as u32)], &all, ties, value);
        let table = draft.table(keys, out);
        return Ok((Domain::Narrow { lo: 0, bits: 0 }, Some(table)));
    }
    let wide = wide.ok_or_else(|| {
        Problem::global(
            TOO_WIDE,
            format!("the result before rounding could lie anywhere in {lo}..={hi}, and only 2^{} of it is meaningful", region.log),
            "Use fewer weight bits, or calibrate with data that show the full range of this layer.",
        )
    })?;
    let table = draft.table(wide.keys(), wide.out(value));
    Ok((Domain::Wide { lo: wide.first, low_bits: wide.log, high_bits: wide.high }, Some(table)))
}

/// Most rows of a table over all quotients: the verifier reads every one.
const NARROW_ROWS: i64 = 1 << 17;

/// A rounding that clamps its quotient: it could share a table over all quotients with others that clamp
/// to the same ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    /// Least and largest result.
    pub(crate) ends: (i64, i64),
    /// Of the quotient.
    pub(crate) interval: (i64, i64),
    /// Positions.
    pub(crate) count: f64,
}

/// Which intervals get one table over all their quotients, by the ends of the clamp: the cheapest choice
/// between rows of that table and the columns of the wide form for those left out.
pub(crate) fn share_tables(wants: &[Want], units: &Units) -> BTreeMap<(i64, i64), (i64, i64)> {
    let mut by_ends: BTreeMap<(i64, i64), Vec<Want>> = BTreeMap::new();
    for want in wants {
        by_ends.entry(want.ends).or_default().push(*want);
    }
    let mut shared = BTreeMap::new();
    for (ends, mut group) in by_ends {
        group.sort_by_key(|w| w.interval.1 - w.interval.0);
        let mut left: f64 = group.iter().map(|w| w.count).sum();
        let mut hull = group[0].interval;
        // Nothing shared: all are wide, with a table of their own and one of signs.
        let wide_rows = (3 * (ends.1 - ends.0 + 1) + 256) as f64;
        let mut best = (wide_rows * units.row + left * units.wide(), None);
        for want in &group {
            left -= want.count;
            hull = (hull.0.min(want.interval.0), hull.1.max(want.interval.1));
            let rows = (hull.1 - hull.0 + 1) as f64 + if left > 0.5 { wide_rows } else { 0.0 };
            let cost = rows * units.row + left * units.wide();
            if cost < best.0 {
                best = (cost, Some(hull));
            }
        }
        if let Some(hull) = best.1 {
            shared.insert(ends, hull);
        }
    }
    shared
}

/// A table over quotients. With ties, a key in front counts the zero limbs of the
/// remainder: if all are zero, half was rounded up, and an odd quotient goes back.
fn with_ties(
    mut keys: Vec<(i64, u32)>,
    all: &[i64],
    ties: usize,
    value: &dyn Fn(i64) -> i64,
) -> (Vec<(i64, u32)>, Vec<i64>) {
    if ties == 0 {
        return (keys, all.iter().map(|&q| value(q)).collect());
    }
    keys.insert(keys.len() - 1, (0, ties as u32 + 1));
    let row = |zeros: usize| all.iter().map(move |&q| value(q - i64::from(zeros == ties && q % 2 != 0)));
    let out = (0..=ties).flat_map(row).collect();
    (keys, out)
}

/// q = first + low + 2^log * high.
struct Wide {
    ties: usize,
    first: i64,
    log: u8,
    high: u8,
}

impl Wide {
    /// The cheapest sizes that cover all quotients.
    fn cover(region: &Region, lo: i64, hi: i64, ties: usize) -> Option<Self> {
        let sizes = (region.log..=16).filter_map(|log| {
            let block = |q: i64| (q - region.first) >> log;
            let need = |b: i64| 65 - if b < 0 { !b } else { b }.leading_zeros();
            let high = need(block(lo)).max(need(block(hi)));
            // Few different sizes, so that layers share the sign tables.
            let high = [4u8, 6, 8, 10, 12, 14, 16].into_iter().find(|&h| u32::from(h) >= high)?;
            Some(Self { ties, first: region.first, log, high })
        });
        sizes.min_by_key(|w| w.rows() + (1u64 << w.high))
    }

    fn rows(&self) -> u64 {
        (3 * (self.ties as u64 + 1)) << self.log
    }

    fn keys(&self) -> Vec<(i64, u32)> {
        let low = (0, 1 << self.log);
        if self.ties == 0 { vec![(0, 3), low] } else { vec![(0, 3), (0, self.ties as u32 + 1), low] }
    }

    fn out(&self, value: &dyn Fn(i64) -> i64) -> Vec<i64> {
        let size = 1i64 << self.log;
        let block = size as usize * (self.ties + 1);
        let inside: Vec<i64> = (self.first..self.first + size).collect();
        let mut out = vec![value(self.first - 1); block];
        out.extend(with_ties(vec![(0, 0)], &inside, self.ties, value).1);
        out.extend(vec![value(self.first + size); block]);
        out
    }
}

/// `gain` times the sum in a column of its own, exactly: for outputs. Weights get
/// one scale, so that entries can be compared.
pub(crate) fn commit(draft: &mut Draft, choice: &Choice, source: &Source, gain: f64) -> Result<Val, Problem> {
    let all = axes(source);
    let mut source = source.clone();
    if let Some(plan) = &mut source.layer
        && plan.stored.as_ref().is_none_or(|s| s.windows(2).any(|w| w[0] != w[1]))
    {
        // Entries of an output share one scale, stored scales per channel or not.
        plan.stored = None;
        draft.inexact = true;
    }
    let source = &source;
    let mut weight_bits = choice.weight_bits.clamp(12, 16);
    if let Some(plan) = &source.layer {
        // A wide operand needs finer weights: its large entries meet small ones.
        let operand = operand_bits(draft, source, plan);
        if operand > 16 {
            weight_bits = 50u8.saturating_sub(operand).clamp(weight_bits, 30);
        }
    }
    let one = Choice { per_tensor: true, weight_bits, ..choice.clone() };
    let unit = match (&source.layer, &source.product) {
        (Some(Plan { stored: Some(scales), x_scale, .. }), _) => {
            x_scale * scales.first().copied().unwrap_or(1.0)
        }
        (Some(plan), _) => {
            let most = plan.largest();
            let w = if most > 0.0 { most / weight_limit(one.weight_bits) as f64 } else { 1.0 };
            plan.x_scale * w
        }
        (None, Some(p)) => p.scale,
        (None, None) => fine_unit(source),
    };
    let scaled = scale(draft, &one, source, &Region { scale: unit, first: 0, log: 1 }, 0)?;
    let tensor = match scaled.contraction {
        Some(mut c) => {
            c.c.0.extend(scaled.extra.0);
            draft.commit(&all, c)?
        }
        None => draft.copy(&all, scaled.extra)?,
    };
    Ok(Val::of_tensor(tensor, source.groups.clone(), &Val::blank(unit * gain)))
}

/// A unit in which all terms are (nearly) whole.
fn fine_unit(source: &Source) -> f64 {
    let units: Vec<f64> =
        source.terms.iter().map(|(f, v)| (f * v.scale).abs()).filter(|u| *u > 0.0).collect();
    let least = units.iter().copied().fold(f64::INFINITY, f64::min);
    if units.is_empty() {
        1.0
    } else if units.iter().all(|u| *u == least) && source.constants.is_empty() {
        least
    } else {
        least / 1024.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Want, round_up, share_tables};
    use crate::estimate::Units;

    fn want(size: i64, count: f64) -> Want {
        Want { ends: (0, 255), interval: (-size, size), count }
    }

    #[test]
    fn bounds_are_at_most_an_eighth_too_wide() {
        for most in [1, 7, 8, 9, 100, 255, 256, 2047, 70_000] {
            let bound = round_up(most);
            assert!(bound >= most && bound - most <= most / 8, "{most} -> {bound}");
        }
        assert_eq!(round_up(0), 1);
    }

    #[test]
    fn tables_are_shared_as_long_as_rows_cost_less_than_columns() {
        let units = Units::default();
        let plan = |wants: &[Want]| share_tables(wants, &units).get(&(0, 255)).copied();
        // Many positions pay for rows, few do not.
        assert_eq!(plan(&[want(2000, 1e6)]), Some((-2000, 2000)));
        assert_eq!(plan(&[want(2000, 10.0)]), None);
        // A small layer joins a table that is there; a large interval with few positions stays out.
        assert_eq!(plan(&[want(500, 10.0), want(2000, 1e6)]), Some((-2000, 2000)));
        assert_eq!(plan(&[want(2000, 1e6), want(60_000, 100.0)]), Some((-2000, 2000)));
        // Layers that clamp to other ends have tables of their own.
        let other = Want { ends: (-128, 127), ..want(3000, 1e6) };
        let both = share_tables(&[want(2000, 1e6), other], &units);
        assert_eq!(both.values().copied().collect::<Vec<_>>(), [(-3000, 3000), (-2000, 2000)]);
    }
}
