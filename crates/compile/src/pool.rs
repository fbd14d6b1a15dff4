//! Windows without weights: maximum, mean and sum.

use model::graph::{Node, Op, Window};
use program::types::{Form, Map};

use crate::draft::{Draft, bounded};
use crate::problem::{Problem, unsupported};
use crate::round::Choice;
use crate::value::Val;
use crate::view::{Len, axis, collect};

/// max(a, b) at every position: b + relu(a - b). `width` is a bound on the true
/// difference, if one better than the interval of a - b is known.
pub(crate) fn larger(
    draft: &mut Draft,
    choice: &Choice,
    a: &Form,
    b: &Form,
    axes: &[Len],
    width: Option<i64>,
) -> Result<Form, Problem> {
    let mut terms = a.0.clone();
    terms.extend(b.0.iter().map(|(c, v)| (-c, v.clone())));
    let difference = collect(terms);
    let (lo, hi) = bounded(draft.interval(&difference, axes)?)?;
    let most = width.unwrap_or(hi).max(0);
    let bits = 64 - lo.unsigned_abs().max(hi.unsigned_abs()).leading_zeros();
    let rows = hi - lo + 1;
    let count: f64 = axes.iter().map(|&n| if n == 0 { choice.batch as f64 } else { f64::from(n) }).product();
    let units = &choice.units;
    let limbs = f64::from(bits.div_ceil(u32::from(draft.limb_bits)));
    let split = count * (2.0 * limbs * (units.value + units.lookup));
    let table = rows as f64 * units.row + count * (units.value + units.lookup);
    let positive = if rows <= 1 << 17 && (table <= split || bits > 31) {
        let out = (lo..=hi).map(|d| d.clamp(0, most)).collect();
        let number = draft.table(vec![(lo, rows as u32)], out);
        draft.lookup(axes, number, difference)
    } else if bits <= 31 {
        draft.positive_part(axes, difference, bits.max(1) as u8)
    } else {
        return Err(unsupported("a maximum of very wide numbers", "Use fewer activation bits."));
    };
    let mut form = b.0.clone();
    let maps = (0..axes.len()).map(axis).collect();
    form.push((1, program::types::View { tensor: positive, maps }));
    Ok(collect(form))
}

/// Largest entry of each window, one spatial axis after the other.
pub(crate) fn max(
    draft: &mut Draft,
    choice: &Choice,
    x: &Val,
    window: &Window,
    shape: &[usize],
) -> Result<Val, Problem> {
    let (lo, hi) = bounded(draft.interval(&x.form, &x.axes())?)?;
    let known = x.known;
    // Padding must lose: count from the least value, so that 0 outside is least.
    let padded = window.pads.iter().any(|&p| p != (0, 0));
    let mut val = if padded && lo != 0 { offset(draft, x, -lo) } else { x.clone() };
    for i in 0..window.kernel.len() {
        if window.kernel[i] > 1 || window.strides[i] > 1 || window.pads[i] != (0, 0) {
            val = max_along(draft, choice, &val, window, (i, shape[2 + i]), hi - lo)?;
        }
    }
    if padded && lo != 0 {
        val = offset(draft, &val, lo);
    }
    val.known = known;
    val.short(draft)
}

/// x + by at every entry, and 0 outside when read through a window.
fn offset(draft: &mut Draft, x: &Val, by: i64) -> Val {
    let axes = x.axes();
    let ones = draft.ones(&axes);
    let mut terms = x.form.0.clone();
    terms.push((by, program::types::View { tensor: ones, maps: crate::draft::identity(axes.len()) }));
    Val { form: collect(terms), known: None, ..x.clone() }
}

fn max_along(
    draft: &mut Draft,
    choice: &Choice,
    x: &Val,
    window: &Window,
    (i, out): (usize, usize),
    width: i64,
) -> Result<Val, Problem> {
    let group = 2 + i;
    let (step, dil, pad) = (window.strides[i] as i64, window.dilations[i] as i64, window.pads[i].0 as i64);
    let len = x.dim(group) as i64;
    let mut best: Option<Val> = None;
    for k in 0..window.kernel[i] as i64 {
        let off = k * dil - pad;
        let reaches = (0..out as i64).any(|y| (0..len).contains(&(step * y + off)));
        if !reaches {
            continue;
        }
        let tap = x.remap(draft, group, out, |axis| Map::Aff { axis, step, off })?;
        best = Some(match best {
            None => tap,
            Some(b) => {
                let form = larger(draft, choice, &b.form, &tap.form, &tap.axes(), Some(width))?;
                Val { form, ..tap }
            }
        });
    }
    best.ok_or_else(|| unsupported("a pooling window that meets no entry", "Reduce the padding."))
}

/// Largest entry along whole axes: halves against each other.
pub(crate) fn max_over(
    draft: &mut Draft,
    choice: &Choice,
    x: &Val,
    axes: &[usize],
    keepdims: bool,
) -> Result<Val, Problem> {
    let (lo, hi) = bounded(draft.interval(&x.form, &x.axes())?)?;
    let mut val = x.clone();
    for &group in axes {
        while val.dim(group) > 1 {
            let len = val.dim(group);
            let half = len.div_ceil(2);
            // The halves overlap when the length is odd, which a maximum forgives.
            let low = val.remap(draft, group, half, |axis| Map::Aff { axis, step: 1, off: 0 })?;
            let high =
                val.remap(draft, group, half, |axis| Map::Aff { axis, step: 1, off: (len - half) as i64 })?;
            let form = larger(draft, choice, &low.form, &high.form, &low.axes(), Some(hi - lo))?;
            val = Val { form, ..low }.short(draft)?;
        }
    }
    if !keepdims {
        let kept: Vec<Vec<Len>> = val
            .groups
            .iter()
            .enumerate()
            .filter(|(i, _)| !axes.contains(i))
            .map(|(_, g)| g.clone())
            .collect();
        val.groups = kept;
    }
    Ok(val)
}

/// Exact sums of windows or axes; the scale carries the divisor.
pub(crate) fn mean(draft: &mut Draft, x: &Val, node: &Node, shape: &[usize]) -> Result<Val, Problem> {
    match &node.op {
        Op::AveragePool { window, count_include_pad } => average(draft, x, window, *count_include_pad, shape),
        Op::ReduceMean { axes, keepdims } => sum_over(draft, x, axes, *keepdims, true),
        Op::ReduceSum { axes, keepdims } => sum_over(draft, x, axes, *keepdims, false),
        _ => Err(unsupported("a reduction of this kind", "Use a mean or a sum.")),
    }
}

fn sum_over(draft: &mut Draft, x: &Val, axes: &[usize], keepdims: bool, mean: bool) -> Result<Val, Problem> {
    let count: usize = axes.iter().map(|&a| x.dim(a)).product();
    let mut groups: Vec<Vec<Len>> = Vec::new();
    let mut reads = Vec::new();
    let mut at = 1;
    for (i, group) in x.groups.iter().enumerate() {
        if axes.contains(&i) {
            reads.extend(group.iter().map(|_| Map::Sum));
            if keepdims {
                groups.push(vec![]);
            }
        } else {
            reads.extend((0..group.len()).map(|k| axis(at + k)));
            at += group.len();
            groups.push(group.clone());
        }
    }
    let mut new = vec![0];
    new.extend(groups.concat());
    let form = x.read(draft, &reads, &new)?;
    let divisor = if mean { count as f64 } else { 1.0 };
    // Sums of many values of one sign grow with their number.
    Ok(Val { groups, form, rms: x.rms * count as f64, ..Val::blank(x.scale / divisor) })
}

fn average(
    draft: &mut Draft,
    x: &Val,
    window: &Window,
    include: bool,
    shape: &[usize],
) -> Result<Val, Problem> {
    let mut val = x.clone();
    let mut divisor = 1.0;
    for i in 0..window.kernel.len() {
        let (next, d) = average_along(draft, &val, window, i, include, shape[2 + i])?;
        val = next;
        divisor *= d as f64;
    }
    let taps: usize = window.kernel.iter().product();
    Ok(Val { scale: x.scale / divisor, rms: x.rms * taps as f64, known: None, ..val })
}

/// Window sums along one spatial axis and the number to divide them by.
fn average_along(
    draft: &mut Draft,
    x: &Val,
    window: &Window,
    i: usize,
    include: bool,
    out: usize,
) -> Result<(Val, i64), Problem> {
    let group = 2 + i;
    let (k, step, dil) = (window.kernel[i] as i64, window.strides[i] as i64, window.dilations[i] as i64);
    let pad = window.pads[i].0 as i64;
    let len = x.dim(group) as i64;
    let taps = |y: i64| (0..k).filter(move |t| (0..len).contains(&(step * y + dil * t - pad))).count() as i64;
    let counts: Vec<i64> = (0..out as i64).map(|y| if include { k } else { taps(y).max(1) }).collect();
    if k == 1 && step == 1 && pad == 0 && out as i64 == len {
        return Ok((x.clone(), 1));
    }
    if counts.windows(2).all(|w| w[0] == w[1]) && out > 1 && len > 1 {
        let pooled =
            x.remap(draft, group, out, |axis| Map::Pool { axis, step, dil, off: -pad, m: k as u32 })?;
        return Ok((pooled, counts[0]));
    }
    // Windows at the border have other divisors: one integer weight per position.
    let all = counts.iter().fold(1i64, |l, &c| lcm(l, c));
    let mut weights = Vec::with_capacity(out * len as usize);
    for (y, &count) in counts.iter().enumerate() {
        for e in 0..len {
            let hits = (0..k).filter(|t| step * y as i64 + dil * t - pad == e).count() as i64;
            weights.push(hits * (all / count));
        }
    }
    if len == 1 || out == 1 {
        return average_short(draft, x, group, &weights, (len as usize, out)).map(|v| (v, all));
    }
    let (rows, cols) = (out as u32, len as u32);
    let pooled =
        x.remap(draft, group, out, |axis| Map::Mat { axis, rows, cols, weights: weights.clone() })?;
    Ok((pooled, all))
}

/// One position or one entry: there is no position axis for a matrix map.
fn average_short(
    draft: &mut Draft,
    x: &Val,
    group: usize,
    weights: &[i64],
    (len, out): (usize, usize),
) -> Result<Val, Problem> {
    if out == 1 && weights.iter().all(|&w| w == weights[0]) {
        let mut sum = sum_over(draft, x, &[group], true, false)?;
        sum.form = sum.scaled_form(weights[0]);
        return Ok(sum);
    }
    if out != 1 {
        return Err(unsupported(
            "an average over a padded axis of length 1",
            "Remove the padding along that axis.",
        ));
    }
    let mut terms = Vec::new();
    let mut groups = x.groups.clone();
    for (e, &w) in weights.iter().enumerate().take(len) {
        if w != 0 {
            let entry = x.remap(draft, group, 1, |axis| Map::Aff { axis, step: 1, off: e as i64 })?;
            terms.extend(entry.scaled_form(w).0);
            groups = entry.groups;
        }
    }
    Val { groups, form: collect(terms), known: None, ..x.clone() }.short(draft)
}

fn lcm(a: i64, b: i64) -> i64 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

#[cfg(test)]
mod tests {
    #[test]
    fn least_common_multiple() {
        assert_eq!(super::lcm(6, 4), 12);
        assert_eq!(super::lcm(1, 9), 9);
    }
}
