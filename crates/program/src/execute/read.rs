//! Reading Forms as dense arrays.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::interval::axes_of;
use crate::lower::Lowered;
use crate::types::{Form, Map, View};

use super::hands::{Hands, PIECE};
use super::prepared::Facts;

/// Values by tensor number, as far as they are known, and who computes more.
pub(super) struct Values {
    of: Vec<Option<Arc<[i64]>>>,
    pub(super) hands: Hands,
}

impl Values {
    pub(super) fn new(of: Vec<Option<Arc<[i64]>>>, hands: Hands) -> Self {
        Self { of, hands }
    }
}

impl Deref for Values {
    type Target = Vec<Option<Arc<[i64]>>>;
    fn deref(&self) -> &Self::Target {
        &self.of
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.of
    }
}

/// Facts of prepared values by tensor number.
pub(super) type Known = BTreeMap<u32, Arc<Facts>>;

/// Marks an index outside the tensor.
const OUTSIDE: i64 = -1;

/// Values of a Form, row-major over the position axes of `order` (all axes the Form reads must be
/// among them). `lengths` gives the length of every position axis.
pub(super) fn read<'a>(
    form: &Form,
    order: &[usize],
    lengths: &[usize],
    lowered: &Lowered,
    values: &'a Values,
) -> Cow<'a, [i64]> {
    let known = |view: &View| values[view.tensor as usize].as_deref().unwrap_or(&[]);
    if let [(1, view)] = form.0.as_slice() {
        let dims = &lowered.tensors[view.tensor as usize].axes;
        if is_plain(view, dims, order, lengths) {
            return Cow::Borrowed(known(view));
        }
    }
    let mut out = vec![0i64; order.iter().map(|&axis| lengths[axis]).product()];
    for (coef, view) in &form.0 {
        let dims = &lowered.tensors[view.tensor as usize].axes;
        if is_plain(view, dims, order, lengths) {
            let pieces = out.chunks_mut(PIECE).zip(known(view).chunks(PIECE));
            values.hands.each(pieces, |(out, data)| add_slice(out, *coef, data));
        } else {
            let reduced = reduce(view, dims, lengths, known(view));
            let reader = Reader::new(&reduced.maps, &reduced.dims, order, lengths);
            reader.add(&reduced.data, &mut out, *coef, values.hands);
        }
    }
    Cow::Owned(out)
}

/// Whether the view is the tensor itself in this order of axes.
pub(super) fn is_plain(view: &View, dims: &[usize], order: &[usize], lengths: &[usize]) -> bool {
    dims.len() == order.len()
        && view.maps.iter().zip(dims).zip(order).all(|((map, &dim), &axis)| {
            dim == lengths[axis]
                && matches!(map, Map::Aff { axis: read, step: 1, off: 0 } if usize::from(*read) == axis)
        })
}

pub(super) fn add_slice(out: &mut [i64], coef: i64, data: &[i64]) {
    for (out, &entry) in out.iter_mut().zip(data) {
        *out = out.wrapping_add(coef.wrapping_mul(entry));
    }
}

/// A tensor and index maps only: sums, matrices and pools are carried out.
struct Reduced<'a> {
    data: Cow<'a, [i64]>,
    dims: Vec<usize>,
    maps: Vec<Map>,
}

fn reduce<'a>(view: &View, dims: &[usize], lengths: &[usize], data: &'a [i64]) -> Reduced<'a> {
    let mut reduced = Reduced { data: Cow::Borrowed(data), dims: dims.to_vec(), maps: view.maps.clone() };
    for (place, map) in view.maps.iter().enumerate() {
        let (length, axis) = match map {
            Map::Sum => (1, None),
            Map::Mat { axis, .. } | Map::Pool { axis, .. } => (lengths[usize::from(*axis)], Some(*axis)),
            _ => continue,
        };
        reduced.data = Cow::Owned(along(&reduced.data, &reduced.dims, place, length, map));
        reduced.dims[place] = length;
        reduced.maps[place] = match axis {
            Some(axis) => Map::Aff { axis, step: 1, off: 0 },
            None => Map::Fix { at: 0 },
        };
    }
    reduced
}

/// Applies a summing map along axis `place`, which then has `length` entries.
fn along(data: &[i64], dims: &[usize], place: usize, length: usize, map: &Map) -> Vec<i64> {
    let inner: usize = dims[place + 1..].iter().product();
    let old = dims[place];
    let outer: usize = dims[..place].iter().product();
    let mut out = vec![0i64; outer * length * inner];
    for (from, to) in data.chunks_exact(old * inner).zip(out.chunks_exact_mut(length * inner)) {
        for (x, to) in to.chunks_exact_mut(inner).enumerate() {
            let mut take = |entry: usize, weight: i64| add_slice(to, weight, &from[entry * inner..][..inner]);
            match map {
                Map::Mat { weights, .. } => {
                    (0..old).for_each(|entry| take(entry, weights[x * old + entry]));
                }
                Map::Pool { step, dil, off, m, .. } => {
                    let taps = (0..i64::from(*m)).map(|k| step * x as i64 + dil * k + off);
                    let inside = taps.filter(|&index| index >= 0 && index < old as i64);
                    inside.for_each(|index| take(index as usize, 1));
                }
                _ => (0..old).for_each(|entry| take(entry, 1)),
            }
        }
    }
    out
}

/// How one position axis, in reading order, moves through the tensor.
enum Move {
    /// Not at all.
    Stay,
    /// By an offset per position.
    Alone(Vec<i64>),
    /// Together with a later axis.
    Wait,
    /// Together with the earlier axis at this place of the order: offsets row-major (earlier, this).
    Join(usize, Vec<i64>),
}

/// Walks through a tensor in reading order.
pub(super) struct Reader {
    moves: Vec<Move>,
    sizes: Vec<usize>,
    base: i64,
}

impl Reader {
    /// A walk through a tensor of shape `dims` by maps that add nothing up.
    pub(super) fn new(maps: &[Map], dims: &[usize], order: &[usize], lengths: &[usize]) -> Reader {
        let sizes: Vec<usize> = order.iter().map(|&axis| lengths[axis]).collect();
        let mut moves: Vec<Move> = sizes.iter().map(|_| Move::Stay).collect();
        let mut base = 0i64;
        let mut stride = dims.iter().product::<usize>() as i64;
        for (map, &dim) in maps.iter().zip(dims) {
            stride /= (dim as i64).max(1);
            let place = |axis: u8| order.iter().position(|&o| o == usize::from(axis)).unwrap_or(0);
            let offset = |index: i64| if index >= 0 && index < dim as i64 { index * stride } else { OUTSIDE };
            match axes_of(map) {
                [Some(a), Some(b)] => {
                    let (pa, pb) = (place(a), place(b));
                    let (first, last) = (pa.min(pb), pa.max(pb));
                    let at = |f: usize, l: usize| if pa < pb { pair(map, f, l) } else { pair(map, l, f) };
                    let rows = (0..sizes[first]).flat_map(|f| (0..sizes[last]).map(move |l| (f, l)));
                    moves[last] = Move::Join(first, rows.map(|(f, l)| offset(at(f, l))).collect());
                    moves[first] = Move::Wait;
                }
                [Some(a), None] | [None, Some(a)] => {
                    let place = place(a);
                    moves[place] = Move::Alone((0..sizes[place]).map(|x| offset(single(map, x))).collect());
                }
                [None, None] => {
                    if let Map::Fix { at } = map {
                        base += at * stride;
                    }
                }
            }
        }
        Reader { moves, sizes, base }
    }

    /// Adds `coef` times the view to `out`.
    fn add(&self, data: &[i64], out: &mut [i64], coef: i64, hands: Hands) {
        let (outer, length) = (self.outer(hands), out.len());
        self.parts(out, (outer, length), hands, &|level, base, at, out: &mut [i64]| {
            self.row(data, (level, base), at, out, coef);
        });
    }

    /// How many outer axes to cut along, so that there is a part for everyone.
    pub(super) fn outer(&self, hands: Hands) -> usize {
        let enough = 4 * hands.count;
        let mut parts = 1;
        let counts = self.sizes.iter().map(|&size| {
            parts *= size;
            parts
        });
        let inner = self.sizes.len().saturating_sub(1);
        if hands.count > 1 { (counts.take_while(|&parts| parts < enough).count() + 1).min(inner) } else { 0 }
    }

    /// Calls `row` for every row of the innermost axis. The axes from `outer` on fill the first `width` entries of
    /// each part of `to` that belongs to one position of the axes before.
    fn parts<T: Send>(
        &self,
        to: &mut [T],
        (outer, width): (usize, usize),
        hands: Hands,
        row: &(impl Fn(usize, i64, &[usize], &mut [T]) + Sync),
    ) {
        let parts: usize = self.sizes[..outer].iter().product();
        let stride = (to.len() / parts.max(1)).max(1);
        let together = (PIECE / stride).max(1);
        hands.each(to.chunks_mut(together * stride).enumerate(), |(piece, to)| {
            let mut at = vec![0usize; self.sizes.len()];
            for (part, to) in to.chunks_exact_mut(stride).enumerate() {
                if let Some(base) = self.enter(piece * together + part, &mut at[..outer]) {
                    let to = &mut to[..width.min(stride)];
                    self.walk(outer, base, &mut at, to, &mut |level, base, at, out| {
                        row(level, base, at, out)
                    });
                }
            }
        });
    }

    /// Calls `row` for every row of the innermost axis.
    fn walk<T>(
        &self,
        level: usize,
        base: i64,
        at: &mut [usize],
        out: &mut [T],
        row: &mut impl FnMut(usize, i64, &[usize], &mut [T]),
    ) {
        if level + 1 >= self.sizes.len() {
            row(level, base, at, out);
            return;
        }
        let size = self.sizes[level];
        if size == 0 {
            return;
        }
        let run = out.len() / size;
        for (x, part) in out.chunks_exact_mut(run).enumerate() {
            at[level] = x;
            if let Some(offset) = self.offset(level, x, at) {
                self.walk(level + 1, base + offset, at, part, row);
            }
        }
    }

    /// Offset of position x of an axis; none outside the tensor.
    fn offset(&self, level: usize, x: usize, at: &[usize]) -> Option<i64> {
        let offset = match &self.moves[level] {
            Move::Stay | Move::Wait => 0,
            Move::Alone(offsets) => offsets[x],
            Move::Join(first, offsets) => offsets[at[*first] * self.sizes[level] + x],
        };
        (offset != OUTSIDE).then_some(offset)
    }

    /// Copies the view. The axes from `outer` on fill the first `width` entries of each part of `to`
    /// that belongs to one position of the axes before; entries outside the tensor are left.
    pub(super) fn copy(&self, data: &[i16], to: &mut [i16], cut: (usize, usize), hands: Hands) {
        let runs = self.runs();
        self.parts(to, cut, hands, &|level, base, at, out: &mut [i16]| {
            self.copy_row(data, (level, base), at, &runs, out);
        });
    }

    /// The innermost axis.
    fn row(&self, data: &[i64], (level, base): (usize, i64), at: &[usize], out: &mut [i64], coef: i64) {
        let size = self.sizes.get(level).copied().unwrap_or(1);
        let offsets = match self.moves.get(level) {
            None | Some(Move::Stay | Move::Wait) => {
                let entry = coef.wrapping_mul(data[base as usize]);
                out.iter_mut().for_each(|out| *out = out.wrapping_add(entry));
                return;
            }
            Some(Move::Alone(offsets)) => offsets.as_slice(),
            Some(Move::Join(first, offsets)) => &offsets[at[*first] * size..][..size],
        };
        for (out, &offset) in out.iter_mut().zip(offsets) {
            if offset != OUTSIDE {
                let entry = data[(base + offset) as usize];
                *out = out.wrapping_add(coef.wrapping_mul(entry));
            }
        }
    }

    /// Where a row-major position of the outer axes `at` begins; none outside the tensor.
    fn enter(&self, mut part: usize, at: &mut [usize]) -> Option<i64> {
        for (at, &size) in at.iter_mut().zip(&self.sizes).rev() {
            *at = part % size;
            part /= size;
        }
        let mut base = self.base;
        for (level, &x) in at.iter().enumerate() {
            base += self.offset(level, x, at)?;
        }
        Some(base)
    }

    /// Runs of the innermost axis, one per position of the axis it is joined with.
    fn runs(&self) -> Vec<Option<Run>> {
        match (self.moves.last(), self.sizes.last()) {
            (Some(Move::Alone(offsets)), _) => vec![Run::of(offsets)],
            (Some(Move::Join(_, offsets)), Some(&size)) => offsets.chunks(size.max(1)).map(Run::of).collect(),
            _ => Vec::new(),
        }
    }

    /// The innermost axis, copied.
    fn copy_row(
        &self,
        data: &[i16],
        (level, base): (usize, i64),
        at: &[usize],
        runs: &[Option<Run>],
        out: &mut [i16],
    ) {
        let (first, offsets) = match self.moves.get(level) {
            None | Some(Move::Stay | Move::Wait) => return out.fill(data[base as usize]),
            Some(Move::Alone(offsets)) => (0, offsets.as_slice()),
            Some(Move::Join(first, offsets)) => (at[*first], offsets.as_slice()),
        };
        match runs[first] {
            Some(run) if run.step == 1 => {
                let from = &data[(base + run.offset) as usize..][..run.count];
                out[run.first..run.first + run.count].copy_from_slice(from);
            }
            Some(run) => {
                let places = (0..).map(|i| (base + run.offset + i * run.step) as usize);
                let inside = out[run.first..run.first + run.count].iter_mut();
                inside.zip(places).for_each(|(out, place)| *out = data[place]);
            }
            None => {
                let offsets = offsets[first * self.sizes[level]..].iter();
                let inside = out.iter_mut().zip(offsets).filter(|&(_, &offset)| offset != OUTSIDE);
                inside.for_each(|(out, &offset)| *out = data[(base + offset) as usize]);
            }
        }
    }
}

/// Positions inside the tensor that follow each other at equal distances.
#[derive(Clone, Copy)]
struct Run {
    first: usize,
    count: usize,
    offset: i64,
    step: i64,
}

impl Run {
    /// The run of a list of offsets; none if they are not one.
    fn of(offsets: &[i64]) -> Option<Run> {
        let first = offsets.iter().position(|&offset| offset != OUTSIDE).unwrap_or(0);
        let count = offsets[first..].iter().take_while(|&&offset| offset != OUTSIDE).count();
        if offsets[first + count..].iter().any(|&offset| offset != OUTSIDE) {
            return None;
        }
        let inside = &offsets[first..first + count];
        let step = match inside {
            [a, b, ..] => b - a,
            _ => 1,
        };
        let even = inside.windows(2).all(|pair| pair[1] - pair[0] == step);
        even.then_some(Run { first, count, offset: inside.first().copied().unwrap_or(0), step })
    }
}

/// Index of a map of one axis.
fn single(map: &Map, x: usize) -> i64 {
    match map {
        Map::Aff { step, off, .. } => step * x as i64 + off,
        Map::Gather { indices, .. } => i64::from(indices[x]),
        _ => OUTSIDE,
    }
}

/// Index of a map of two axes.
fn pair(map: &Map, a: usize, b: usize) -> i64 {
    match map {
        Map::Win { step, dil, off, .. } => step * a as i64 + dil * b as i64 + off,
        Map::Join { m, .. } => i64::from(*m) * a as i64 + b as i64,
        _ => OUTSIDE,
    }
}
