//! Composition of views: reading a view through further maps.
//!
//! A view maps position axes to tensor indices. Reading the position axes through
//! maps of their own gives a view again, if one map kind can say it. Positions
//! that fall outside their axis must keep reading 0, so a composition is refused
//! when the composed map would reach real entries there.

use program::types::{Form, Map, View};

/// Length of an axis; 0 stands for the batch.
pub(crate) type Len = u32;

/// What a composition knows of its surroundings.
pub(crate) struct Frame<'a> {
    /// One map per old position axis, over the new position axes.
    pub(crate) reads: &'a [Map],
    /// Lengths of the old position axes.
    pub(crate) old: &'a [Len],
    /// Lengths of the new position axes.
    pub(crate) new: &'a [Len],
}

/// The identity map of a position axis.
pub(crate) fn axis(axis: usize) -> Map {
    Map::Aff { axis: narrow(axis), step: 1, off: 0 }
}

/// A position axis number as a byte. Programs have at most 8 axes per relation;
/// larger numbers are refused by the validator, so saturation is harmless.
pub(crate) fn narrow(axis: usize) -> u8 {
    u8::try_from(axis).unwrap_or(u8::MAX)
}

/// The form read through `frame`, or none if some term has no map for it.
pub(crate) fn read_form(
    form: &Form,
    frame: &Frame<'_>,
    tensor_axes: impl Fn(u32) -> Vec<Len>,
) -> Option<Form> {
    let mut terms = Vec::with_capacity(form.0.len());
    for (coef, view) in &form.0 {
        let (factor, view) = read_view(view, frame, &tensor_axes(view.tensor))?;
        terms.push((coef.checked_mul(factor)?, view));
    }
    Some(collect(terms))
}

/// Adds equal views together and drops zero terms; keeps the order of first use.
pub(crate) fn collect(terms: Vec<(i64, View)>) -> Form {
    let mut kept: Vec<(i64, View)> = Vec::new();
    for (coef, view) in terms {
        match kept.iter_mut().find(|(_, v)| *v == view) {
            Some((sum, _)) => *sum += coef,
            None => kept.push((coef, view)),
        }
    }
    kept.retain(|(coef, _)| *coef != 0);
    Form(kept)
}

fn read_view(view: &View, frame: &Frame<'_>, tensor_axes: &[Len]) -> Option<(i64, View)> {
    let mut used = vec![false; frame.old.len()];
    let mut maps = Vec::with_capacity(view.maps.len());
    for (map, &len) in view.maps.iter().zip(tensor_axes) {
        for old in axes_of(map) {
            *used.get_mut(old)? = true;
        }
        maps.push(compose(map, frame, len)?);
    }
    let mut factor = 1i64;
    for (old, used) in used.iter().enumerate() {
        if !used {
            factor = factor.checked_mul(broadcast_factor(old, frame)?)?;
        }
    }
    Some((factor, View { tensor: view.tensor, maps }))
}

/// How often an entry counts along an axis that the view does not read.
fn broadcast_factor(old: usize, frame: &Frame<'_>) -> Option<i64> {
    let read = &frame.reads[old];
    let len = frame.old[old];
    match read {
        Map::Sum => (len != 0).then_some(i64::from(len)),
        Map::Pool { m, .. } => always_inside(read, frame, len).then_some(i64::from(*m)),
        Map::Mat { .. } => None,
        _ => always_inside(read, frame, len).then_some(1),
    }
}

pub(crate) fn axes_of(map: &Map) -> Vec<usize> {
    match map {
        Map::Fix { .. } | Map::Sum => vec![],
        Map::Aff { axis, .. } | Map::Gather { axis, .. } | Map::Mat { axis, .. } | Map::Pool { axis, .. } => {
            vec![usize::from(*axis)]
        }
        Map::Win { a, b, .. } | Map::Join { a, b, .. } => vec![usize::from(*a), usize::from(*b)],
    }
}

/// Indices a map reaches. `None` for kinds that are always inside by definition.
fn reached(map: &Map, new: &[Len]) -> Option<Vec<i64>> {
    let len = |a: &u8| i64::from(new[usize::from(*a)]);
    match map {
        Map::Fix { at } => Some(vec![*at]),
        Map::Aff { axis, step, off } => Some((0..len(axis)).map(|x| step * x + off).collect()),
        Map::Win { a, b, step, dil, off } => {
            let mut all = Vec::new();
            for x in 0..len(a) {
                all.extend((0..len(b)).map(|y| step * x + dil * y + off));
            }
            Some(distinct(all))
        }
        Map::Pool { axis, step, dil, off, m } => {
            let mut all = Vec::new();
            for x in 0..len(axis) {
                all.extend((0..i64::from(*m)).map(|k| step * x + dil * k + off));
            }
            Some(distinct(all))
        }
        Map::Join { .. } | Map::Gather { .. } | Map::Sum | Map::Mat { .. } => None,
    }
}

fn distinct(mut all: Vec<i64>) -> Vec<i64> {
    all.sort_unstable();
    all.dedup();
    all
}

fn inside(index: i64, len: Len) -> bool {
    (0..i64::from(len)).contains(&index)
}

fn always_inside(read: &Map, frame: &Frame<'_>, len: Len) -> bool {
    if len == 0 {
        return is_identity(read);
    }
    reached(read, frame.new).is_none_or(|all| all.iter().all(|&i| inside(i, len)))
}

/// Whether old index -> step * index + off keeps outside positions outside.
fn stays_outside(read: &Map, frame: &Frame<'_>, old: Len, target: impl Fn(i64) -> i64, len: Len) -> bool {
    reached(read, frame.new).is_none_or(|all| all.iter().all(|&i| inside(i, old) || !inside(target(i), len)))
}

fn is_identity(map: &Map) -> bool {
    matches!(map, Map::Aff { step: 1, off: 0, .. })
}

/// One tensor axis: `map` over old axes, its axes read through the frame.
fn compose(map: &Map, frame: &Frame<'_>, len: Len) -> Option<Map> {
    match map {
        Map::Fix { .. } | Map::Sum => Some(map.clone()),
        Map::Aff { axis, step, off } => compose_affine(usize::from(*axis), *step, *off, frame, len),
        Map::Win { a, b, step, dil, off } => {
            compose_window([usize::from(*a), usize::from(*b)], [*step, *dil, *off], frame, len)
        }
        Map::Join { a, b, m } => {
            let two = [usize::from(*a), usize::from(*b)];
            if let (Map::Aff { axis: x, .. }, Map::Aff { axis: y, .. }) =
                (&frame.reads[two[0]], &frame.reads[two[1]])
                && is_identity(&frame.reads[two[0]])
                && is_identity(&frame.reads[two[1]])
                && frame.new[usize::from(*y)] == *m
            {
                return Some(Map::Join { a: *x, b: *y, m: *m });
            }
            compose_window(two, [i64::from(*m), 1, 0], frame, len)
        }
        Map::Gather { axis, indices } => compose_gather(usize::from(*axis), indices, frame),
        Map::Mat { axis, cols, weights, .. } => {
            let rows = matrix_rows(&frame.reads[usize::from(*axis)], frame, frame.old[usize::from(*axis)])?;
            Some(mix(&rows, &frame.reads[usize::from(*axis)], *cols, |i| {
                let start = i * *cols as usize;
                weights[start..start + *cols as usize].iter().copied().enumerate().collect()
            }))
        }
        Map::Pool { axis, step, dil, off, m } => {
            compose_pool(usize::from(*axis), [*step, *dil, *off], *m, frame, len)
        }
    }
}

fn compose_affine(old: usize, step: i64, off: i64, frame: &Frame<'_>, len: Len) -> Option<Map> {
    let read = &frame.reads[old];
    let old_len = frame.old[old];
    if len == 0 || old_len == 0 {
        // The batch axis is only ever read as it is.
        return (is_identity(read) && step == 1 && off == 0).then(|| read.clone());
    }
    let target = |i: i64| step * i + off;
    let identity = step == 1 && off == 0;
    if !stays_outside(read, frame, old_len, target, len) {
        return None;
    }
    match read {
        Map::Aff { axis, step: s, off: o } => {
            Some(Map::Aff { axis: *axis, step: step * s, off: step * o + off })
        }
        Map::Win { a, b, step: s, dil: d, off: o } => {
            Some(Map::Win { a: *a, b: *b, step: step * s, dil: step * d, off: step * o + off })
        }
        Map::Join { a, b, m } if identity => Some(Map::Join { a: *a, b: *b, m: *m }),
        Map::Join { a, b, m } => Some(Map::Win { a: *a, b: *b, step: step * i64::from(*m), dil: step, off }),
        Map::Fix { at } => inside(target(*at), len).then(|| Map::Fix { at: target(*at) }),
        Map::Gather { axis, indices } => {
            let indices: Option<Vec<u32>> = indices
                .iter()
                .map(|&i| {
                    Some(target(i64::from(i))).filter(|&t| inside(t, len)).and_then(|t| u32::try_from(t).ok())
                })
                .collect();
            Some(Map::Gather { axis: *axis, indices: indices? })
        }
        Map::Sum => (identity && old_len == len).then_some(Map::Sum),
        Map::Pool { axis, step: s, dil: d, off: o, m } => {
            Some(Map::Pool { axis: *axis, step: step * s, dil: step * d, off: step * o + off, m: *m })
        }
        Map::Mat { .. } => {
            let rows = matrix_rows(read, frame, old_len)?;
            Some(mix(&rows, read, len, |i| {
                let t = target(i as i64);
                if inside(t, len) { vec![(t as usize, 1)] } else { vec![] }
            }))
        }
    }
}

fn compose_window(two: [usize; 2], [step, dil, off]: [i64; 3], frame: &Frame<'_>, len: Len) -> Option<Map> {
    let reads = [&frame.reads[two[0]], &frame.reads[two[1]]];
    let lens = [frame.old[two[0]], frame.old[two[1]]];
    let target = |x: i64, y: i64| step * x + dil * y + off;
    let xs = reached(reads[0], frame.new);
    let ys = reached(reads[1], frame.new);
    if let (Some(xs), Some(ys)) = (&xs, &ys) {
        for &x in xs {
            for &y in ys {
                let real = inside(x, lens[0]) && inside(y, lens[1]);
                if !real && inside(target(x, y), len) {
                    return None;
                }
            }
        }
    }
    match (reads[0], reads[1]) {
        (Map::Aff { axis: a, step: s, off: o }, Map::Aff { axis: b, step: t, off: p }) => {
            Some(Map::Win { a: *a, b: *b, step: step * s, dil: dil * t, off: off + step * o + dil * p })
        }
        (Map::Aff { axis, step: s, off: o }, Map::Fix { at }) => {
            Some(Map::Aff { axis: *axis, step: step * s, off: off + step * o + dil * at })
        }
        (Map::Fix { at }, Map::Aff { axis, step: t, off: p }) => {
            Some(Map::Aff { axis: *axis, step: dil * t, off: off + step * at + dil * p })
        }
        (Map::Fix { at }, Map::Fix { at: bt }) => {
            let at = target(*at, *bt);
            inside(at, len).then_some(Map::Fix { at })
        }
        (Map::Aff { axis, step: s, off: o }, Map::Sum) => {
            Some(Map::Pool { axis: *axis, step: step * s, dil, off: off + step * o, m: lens[1] })
        }
        (Map::Sum, Map::Aff { axis, step: t, off: p }) => {
            Some(Map::Pool { axis: *axis, step: dil * t, dil: step, off: off + dil * p, m: lens[0] })
        }
        (Map::Sum, Map::Sum) => {
            let whole = step == i64::from(lens[1])
                && dil == 1
                && off == 0
                && lens[0].checked_mul(lens[1]) == Some(len);
            whole.then_some(Map::Sum)
        }
        _ => None,
    }
}

fn compose_gather(old: usize, indices: &[u32], frame: &Frame<'_>) -> Option<Map> {
    let read = &frame.reads[old];
    let pick = |i: i64| usize::try_from(i).ok().and_then(|i| indices.get(i).copied());
    match read {
        Map::Aff { axis, step, off } => {
            let count = i64::from(frame.new[usize::from(*axis)]);
            let indices: Option<Vec<u32>> = (0..count).map(|x| pick(step * x + off)).collect();
            Some(Map::Gather { axis: *axis, indices: indices? })
        }
        Map::Gather { axis, indices: inner } => {
            let indices: Option<Vec<u32>> = inner.iter().map(|&i| pick(i64::from(i))).collect();
            Some(Map::Gather { axis: *axis, indices: indices? })
        }
        Map::Fix { at } => pick(*at).map(|at| Map::Fix { at: i64::from(at) }),
        _ => None,
    }
}

fn compose_pool(old: usize, [step, dil, off]: [i64; 3], m: u32, frame: &Frame<'_>, len: Len) -> Option<Map> {
    let read = &frame.reads[old];
    let Map::Aff { axis, step: s, off: o } = read else { return None };
    let xs = reached(read, frame.new)?;
    for x in xs {
        let reaches = (0..i64::from(m)).any(|k| inside(step * x + dil * k + off, len));
        if !inside(x, frame.old[old]) && reaches {
            return None;
        }
    }
    Some(Map::Pool { axis: *axis, step: step * s, dil, off: off + step * o, m })
}

/// Row x of a matrix-like read: which old indices it takes, how often.
fn matrix_rows(read: &Map, frame: &Frame<'_>, old: Len) -> Option<Vec<Vec<(usize, i64)>>> {
    let keep = |i: i64, w: i64| usize::try_from(i).ok().filter(|_| inside(i, old)).map(|i| (i, w));
    let rows = |a: &u8| i64::from(frame.new[usize::from(*a)]);
    match read {
        Map::Aff { axis, step, off } => {
            Some((0..rows(axis)).map(|x| keep(step * x + off, 1).into_iter().collect()).collect())
        }
        Map::Gather { indices, .. } => Some(indices.iter().map(|&i| vec![(i as usize, 1)]).collect()),
        Map::Pool { axis, step, dil, off, m } => Some(
            (0..rows(axis))
                .map(|x| (0..i64::from(*m)).filter_map(|k| keep(step * x + dil * k + off, 1)).collect())
                .collect(),
        ),
        Map::Mat { cols, weights, .. } => Some(
            weights
                .chunks(*cols as usize)
                .map(|row| row.iter().copied().enumerate().filter(|p| p.1 != 0).collect())
                .collect(),
        ),
        _ => None,
    }
}

/// A matrix map: each row is the sum of what `expand` gives for its old indices.
fn mix(
    rows: &[Vec<(usize, i64)>],
    read: &Map,
    cols: Len,
    expand: impl Fn(usize) -> Vec<(usize, i64)>,
) -> Map {
    let width = cols as usize;
    let mut weights = vec![0i64; rows.len() * width];
    for (x, row) in rows.iter().enumerate() {
        for &(i, w) in row {
            for (col, v) in expand(i) {
                weights[x * width + col] += w * v;
            }
        }
    }
    let axis = axes_of(read).first().copied().unwrap_or(0);
    Map::Mat { axis: narrow(axis), rows: rows.len() as u32, cols, weights }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame<'a>(reads: &'a [Map], old: &'a [Len], new: &'a [Len]) -> Frame<'a> {
        Frame { reads, old, new }
    }

    #[test]
    fn padding_after_a_slice_must_not_see_the_cut_part() {
        // A tensor of 5, sliced to its first 3, padded by one on both sides.
        let pad = [Map::Aff { axis: 0, step: 1, off: -1 }];
        let slice = Map::Aff { axis: 0, step: 1, off: 0 };
        assert_eq!(compose(&slice, &frame(&pad, &[3], &[5]), 5), None, "position 4 would read entry 3");
        assert_eq!(
            compose(&slice, &frame(&pad, &[5], &[7]), 5),
            Some(Map::Aff { axis: 0, step: 1, off: -1 }),
            "nothing was cut"
        );
    }

    #[test]
    fn window_over_stride_is_a_window() {
        let window = [Map::Win { a: 0, b: 1, step: 1, dil: 1, off: -1 }];
        let odd = Map::Aff { axis: 0, step: 2, off: 1 };
        assert_eq!(
            compose(&odd, &frame(&window, &[4], &[4, 3]), 8),
            Some(Map::Win { a: 0, b: 1, step: 2, dil: 2, off: -1 })
        );
        assert_eq!(compose(&Map::Aff { axis: 0, step: 2, off: 0 }, &frame(&window, &[4], &[4, 3]), 9), None);
    }

    #[test]
    fn sum_of_a_split_axis_is_a_pool() {
        let reads = [axis(0), Map::Sum];
        let join = Map::Join { a: 0, b: 1, m: 4 };
        assert_eq!(
            compose(&join, &frame(&reads, &[3, 4], &[3]), 12),
            Some(Map::Pool { axis: 0, step: 4, dil: 1, off: 0, m: 4 })
        );
    }
}
