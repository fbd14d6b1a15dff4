//! A value of the float graph as an integer Form, and the data movements that
//! change only how it is read.
//!
//! A value keeps its ONNX shape as a list of *groups*: each logical axis is a
//! product of position axes, slowest first; an axis of length 1 is an empty
//! group. Flatten, Reshape and grouped channels only regroup. Position axis 0 is
//! always the batch: the program runs the whole graph once per batch element.

use program::types::{Form, Map, View};

use crate::draft::{Draft, identity};
use crate::problem::{Problem, layout, unsupported};
use crate::view::{Frame, Len, axis, collect, narrow, read_form};

/// real = scale * integer at every position.
#[derive(Clone, Debug)]
pub(crate) struct Val {
    /// Position axes of each logical axis.
    pub(crate) groups: Vec<Vec<Len>>,
    /// Over the batch axis and all position axes in order.
    pub(crate) form: Form,
    /// Real value of one unit.
    pub(crate) scale: f64,
    /// Root mean square of the integers, as calibrated (0 if not known).
    pub(crate) rms: f64,
    /// True range of the integers, where it is known better than by the intervals
    /// of forms.
    pub(crate) known: Option<(i64, i64)>,
}

/// Most terms a form may have before it is copied into a column of its own.
const TERMS_MOST: usize = 24;
/// Most position axes (with the batch) of a tensor.
const AXES_MOST: usize = 8;

/// Most entries of a matrix that merges two axes.
const MATRIX_MOST: u64 = 1 << 20;

/// Position `fast * k + i` reads entry k, all others read nothing.
fn strided(place: usize, slow: Len, fast: Len, i: Len) -> Map {
    let rows = slow * fast;
    let weights = (0..rows).flat_map(|p| (0..slow).map(move |k| i64::from(p == fast * k + i))).collect();
    Map::Mat { axis: narrow(place), rows, cols: slow, weights }
}

impl Val {
    /// A value without entries, to fill in.
    pub(crate) fn blank(scale: f64) -> Val {
        Val { groups: vec![], form: Form::default(), scale, rms: 0.0, known: None }
    }

    /// All position axes without the batch.
    pub(crate) fn subs(&self) -> Vec<Len> {
        self.groups.concat()
    }

    /// Position axes with the batch in front.
    pub(crate) fn axes(&self) -> Vec<Len> {
        let mut axes = vec![0];
        axes.extend(self.subs());
        axes
    }

    /// Index among the position axes (batch is 0) of the first axis of a group.
    pub(crate) fn first_of(&self, group: usize) -> usize {
        1 + self.groups[..group].iter().map(Vec::len).sum::<usize>()
    }

    /// Length of a logical axis.
    pub(crate) fn dim(&self, group: usize) -> usize {
        self.groups[group].iter().map(|&n| n as usize).product()
    }

    /// The logical shape.
    pub(crate) fn shape(&self) -> Vec<usize> {
        (0..self.groups.len()).map(|g| self.dim(g)).collect()
    }

    /// A value that reads a tensor with axes (batch, groups...) as it lies.
    pub(crate) fn of_tensor(tensor: u32, groups: Vec<Vec<Len>>, like: &Val) -> Val {
        let count = 1 + groups.iter().map(Vec::len).sum::<usize>();
        let form = Form(vec![(1, View { tensor, maps: identity(count) })]);
        Val { groups, form, ..like.clone() }
    }

    /// The same integers with another form over the same groups.
    fn with(&self, groups: Vec<Vec<Len>>, form: Form) -> Val {
        Val { groups, form, ..self.clone() }
    }

    /// This value read through one map per position axis (without the batch), over
    /// new position axes of lengths `new` (batch first). Copies into a column when
    /// no view can say it.
    pub(crate) fn read(&self, draft: &mut Draft, reads: &[Map], new: &[Len]) -> Result<Form, Problem> {
        if let Some(form) = self.try_read(draft, reads, new) {
            return Ok(form);
        }
        let copy = self.materialise(draft)?;
        copy.try_read(draft, reads, new).ok_or_else(|| layout("No view describes how this value is read"))
    }

    fn try_read(&self, draft: &Draft, reads: &[Map], new: &[Len]) -> Option<Form> {
        let mut all = vec![axis(0)];
        all.extend_from_slice(reads);
        let old = self.axes();
        read_form(&self.form, &Frame { reads: &all, old: &old, new }, |t| draft.axes(t))
    }

    /// The value in a column of its own.
    pub(crate) fn materialise(&self, draft: &mut Draft) -> Result<Val, Problem> {
        if self.axes().len() > AXES_MOST {
            return Err(layout("The value needs more than 7 axes"));
        }
        let tensor = draft.copy(&self.axes(), self.form.clone())?;
        Ok(Val::of_tensor(tensor, self.groups.clone(), self))
    }

    /// The value, copied if its form has grown long.
    pub(crate) fn short(self, draft: &mut Draft) -> Result<Val, Problem> {
        if self.form.0.len() > TERMS_MOST { self.materialise(draft) } else { Ok(self) }
    }

    /// Splits position axis `sub` (without batch) into (slow, fast).
    fn split(&self, draft: &mut Draft, sub: usize, fast: Len) -> Result<Val, Problem> {
        let subs = self.subs();
        let mut new = vec![0];
        let mut reads = Vec::with_capacity(subs.len());
        for (i, &len) in subs.iter().enumerate() {
            let at = new.len();
            if i == sub {
                new.extend([len / fast, fast]);
                reads.push(Map::Join { a: narrow(at), b: narrow(at + 1), m: fast });
            } else {
                new.push(len);
                reads.push(axis(at));
            }
        }
        let form = self.read(draft, &reads, &new)?;
        let mut groups = self.groups.clone();
        let (group, place) = self.locate(sub);
        groups[group].splice(place..=place, [subs[sub] / fast, fast]);
        Ok(self.with(groups, form))
    }

    /// Group and place inside it of position axis `sub` (without batch).
    fn locate(&self, sub: usize) -> (usize, usize) {
        let mut left = sub;
        for (group, axes) in self.groups.iter().enumerate() {
            if left < axes.len() {
                return (group, left);
            }
            left -= axes.len();
        }
        (self.groups.len(), 0)
    }

    /// Merges a logical axis into at most one position axis.
    pub(crate) fn merge(&self, draft: &mut Draft, group: usize) -> Result<Val, Problem> {
        let mut val = self.clone();
        while val.groups[group].len() > 1 {
            val = val.merge_first(draft, group)?;
        }
        Ok(val)
    }

    /// Merges the first two position axes of a group: the sum over the index of the shorter one, in
    /// which every term is 0 outside its own entries.
    fn merge_first(&self, draft: &mut Draft, group: usize) -> Result<Val, Problem> {
        let (slow, fast) = (self.groups[group][0], self.groups[group][1]);
        if slow.min(fast) > 128 || (slow > 128 && u64::from(slow) * u64::from(slow * fast) > MATRIX_MOST) {
            return Err(layout(format!("Two axes of {slow} and {fast} would have to become one")));
        }
        let place = self.first_of(group);
        let mut groups = self.groups.clone();
        groups[group].splice(0..2, [slow * fast]);
        let mut new = vec![0];
        new.extend(groups.concat());
        let mut terms = Vec::new();
        for i in 0..if slow <= 128 { slow } else { fast } {
            let (first, second) = if slow <= 128 {
                let off = -i64::from(i) * i64::from(fast);
                (Map::Fix { at: i64::from(i) }, Map::Aff { axis: narrow(place), step: 1, off })
            } else {
                (strided(place, slow, fast, i), Map::Fix { at: i64::from(i) })
            };
            let reads: Vec<Map> = (1..=self.subs().len())
                .map(|old| match old {
                    o if o < place => axis(o),
                    o if o == place => first.clone(),
                    o if o == place + 1 => second.clone(),
                    o => axis(o - 1),
                })
                .collect();
            terms.extend(self.read(draft, &reads, &new)?.0);
        }
        self.with(groups, collect(terms)).short(draft)
    }

    /// The same entries in row-major order under another shape.
    pub(crate) fn reshape(&self, draft: &mut Draft, shape: &[usize]) -> Result<Val, Problem> {
        let mut val = self.clone();
        let mut groups: Vec<Vec<Len>> = Vec::with_capacity(shape.len());
        let mut next = 0;
        for &dim in shape {
            let mut left = dim as Len;
            let mut group = Vec::new();
            while left > 1 {
                let subs = val.subs();
                let sub =
                    *subs.get(next).ok_or_else(|| layout("A reshape does not keep the number of entries"))?;
                if left.is_multiple_of(sub) {
                    group.push(sub);
                    left /= sub;
                    next += 1;
                } else if sub.is_multiple_of(left) {
                    val = val.split(draft, next, sub / left)?;
                } else {
                    val = val.align(draft, next)?;
                }
            }
            groups.push(group);
        }
        val.groups = groups;
        Ok(val)
    }

    /// Merges position axis `sub` with the one after it, so that a reshape can cut
    /// both anew.
    fn align(&self, draft: &mut Draft, sub: usize) -> Result<Val, Problem> {
        let subs = self.subs();
        if sub + 1 >= subs.len() {
            return Err(layout("A reshape does not keep the number of entries"));
        }
        let mut flat = self.clone();
        flat.groups = subs.iter().map(|&n| vec![n]).collect();
        let tail = flat.groups.remove(sub + 1);
        flat.groups[sub].extend(tail);
        flat.merge_first(draft, sub)
    }

    /// Permutes logical axes: new axis i is old axis `perm[i]`.
    pub(crate) fn transpose(&self, draft: &mut Draft, perm: &[usize]) -> Result<Val, Problem> {
        let groups: Vec<Vec<Len>> = perm.iter().map(|&p| self.groups[p].clone()).collect();
        let mut reads = vec![axis(0); self.subs().len()];
        let mut at = 1;
        for &p in perm {
            for k in 0..self.groups[p].len() {
                reads[self.first_of(p) - 1 + k] = axis(at);
                at += 1;
            }
        }
        let mut new = vec![0];
        new.extend(groups.concat());
        let form = self.read(draft, &reads, &new)?;
        Ok(self.with(groups, form))
    }

    /// Reads one logical axis through `map` (over the new axis), giving it a new
    /// length. `map` gets the number of the new position axis.
    pub(crate) fn remap(
        &self,
        draft: &mut Draft,
        group: usize,
        len: usize,
        map: impl Fn(u8) -> Map,
    ) -> Result<Val, Problem> {
        let val = self.merge(draft, group)?;
        let single = val.groups[group].is_empty();
        let place = val.first_of(group);
        let mut groups = val.groups.clone();
        // A new axis of length 1 still gets a position axis while it is mapped.
        groups[group] = vec![len as Len];
        let mut new = vec![0];
        new.extend(groups.concat());
        let mut reads = Vec::new();
        for old in 1..=val.subs().len() {
            reads.push(match old {
                o if !single && o == place => map(narrow(place)),
                o if single && o >= place => axis(o + 1),
                o => axis(o),
            });
        }
        let form = if single {
            val.read_new_axis(draft, place, &map(narrow(place)), &reads, &new)?
        } else {
            val.read(draft, &reads, &new)?
        };
        let mut mapped = val.with(groups, form);
        // Entries outside read 0.
        mapped.known = mapped.known.map(|(lo, hi)| (lo.min(0), hi.max(0)));
        if len == 1 { mapped.drop_axis(draft, group) } else { Ok(mapped) }
    }

    /// A logical axis of length 1 read through `map`: the entry where the index is 0.
    fn read_new_axis(
        &self,
        draft: &mut Draft,
        place: usize,
        map: &Map,
        reads: &[Map],
        new: &[Len],
    ) -> Result<Form, Problem> {
        let form = self.read(draft, reads, new)?;
        let constant = match map {
            Map::Aff { step, off, .. } => {
                let hits: Vec<bool> = (0..i64::from(new[place])).map(|x| step * x + off == 0).collect();
                hits.iter().all(|&h| h)
            }
            Map::Gather { .. } => true,
            _ => false,
        };
        if constant {
            return Ok(form);
        }
        // An axis of its own: copy into a column whose new axis has length 1.
        let mut axes = self.axes();
        axes.insert(place, 1);
        let shift: Vec<Map> =
            (1..=self.subs().len()).map(|o| axis(if o < place { o } else { o + 1 })).collect();
        let wide = self.read(draft, &shift, &axes)?;
        let tensor = draft.copy(&axes, wide)?;
        let mut maps = vec![axis(0)];
        maps.extend((1..axes.len()).map(|o| if o == place { map.clone() } else { axis(o) }));
        Ok(Form(vec![(1, View { tensor, maps })]))
    }

    /// Removes the position axis (of length 1) of a group.
    fn drop_axis(&self, draft: &mut Draft, group: usize) -> Result<Val, Problem> {
        let place = self.first_of(group);
        let mut groups = self.groups.clone();
        groups[group].clear();
        let mut new = vec![0];
        new.extend(groups.concat());
        let reads: Vec<Map> = (1..=self.subs().len())
            .map(|o| match o {
                o if o == place => Map::Fix { at: 0 },
                o if o > place => axis(o - 1),
                o => axis(o),
            })
            .collect();
        let form = self.read(draft, &reads, &new)?;
        Ok(self.with(groups, form))
    }

    /// Every axis read from `starts` with `steps`, giving `shape`.
    pub(crate) fn slice(
        &self,
        draft: &mut Draft,
        starts: &[i64],
        steps: &[i64],
        shape: &[usize],
    ) -> Result<Val, Problem> {
        let mut val = self.clone();
        for group in 0..self.groups.len() {
            let (off, step, len) = (starts[group], steps[group], shape[group]);
            if off == 0 && (step == 1 || len == 1) && len == val.dim(group) {
                continue;
            }
            val = val.remap(draft, group, len, |axis| Map::Aff { axis, step, off })?;
        }
        Ok(val)
    }

    /// Padding with the integer 0; negative counts crop.
    pub(crate) fn pad(&self, draft: &mut Draft, pads: &[(i64, i64)]) -> Result<Val, Problem> {
        let mut val = self.clone();
        for (group, &(begin, end)) in pads.iter().enumerate() {
            if (begin, end) == (0, 0) {
                continue;
            }
            let len = val.dim(group) as i64 + begin + end;
            if len < 1 {
                return Err(layout("A padding leaves no entry"));
            }
            val = val.remap(draft, group, len as usize, |axis| Map::Aff { axis, step: 1, off: -begin })?;
        }
        Ok(val)
    }

    /// Chosen indices along an axis, as a new axis of that length.
    pub(crate) fn gather(&self, draft: &mut Draft, group: usize, indices: &[usize]) -> Result<Val, Problem> {
        if indices.iter().any(|&i| i >= self.dim(group)) {
            return Err(layout("A gather index lies outside its axis"));
        }
        let list: Vec<u32> = indices.iter().map(|&i| i as u32).collect();
        if list.len() == 1 {
            let off = i64::from(list[0]);
            return self.remap(draft, group, 1, |axis| Map::Aff { axis, step: 1, off });
        }
        self.remap(draft, group, list.len(), |axis| Map::Gather { axis, indices: list.clone() })
    }

    /// numpy broadcasting to `shape` (of at least as many axes).
    pub(crate) fn broadcast(&self, draft: &mut Draft, shape: &[usize]) -> Result<Val, Problem> {
        self.broadcast_like(draft, shape, None)
    }

    /// Broadcasting; new axes take the grouping of `like` where the lengths agree.
    pub(crate) fn broadcast_like(
        &self,
        draft: &mut Draft,
        shape: &[usize],
        like: Option<&Val>,
    ) -> Result<Val, Problem> {
        let missing =
            shape.len().checked_sub(self.groups.len()).ok_or_else(|| layout("A broadcast drops axes"))?;
        let mut groups = vec![Vec::new(); missing];
        groups.extend(self.groups.iter().cloned());
        let mut reads = Vec::new();
        let mut at = 1;
        for (i, &dim) in shape.iter().enumerate() {
            let had = if i < missing { 1 } else { self.dim(i - missing) };
            if had == dim {
                for _ in 0..groups[i].len() {
                    reads.push(axis(at));
                    at += 1;
                }
            } else if had == 1 {
                groups[i] = like.map_or_else(|| vec![dim as Len], |l| l.groups[i].clone());
                at += groups[i].len();
            } else {
                return Err(layout("Two shapes do not broadcast"));
            }
        }
        let mut new = vec![0];
        new.extend(groups.concat());
        let form = self.read(draft, &reads, &new)?;
        Ok(self.with(groups, form))
    }

    /// Cuts position axes so that every logical axis has the groups of `like`.
    pub(crate) fn regroup(&self, draft: &mut Draft, like: &[Vec<Len>]) -> Result<Val, Problem> {
        let mut val = self.clone();
        for (group, wanted) in like.iter().enumerate() {
            if &val.groups[group] == wanted {
                continue;
            }
            val = val.merge(draft, group)?;
            for &fast in wanted.iter().skip(1).rev() {
                // The first position axis of the group is still whole: cut off its fastest part.
                let sub = val.first_of(group) - 1;
                val = val.split(draft, sub, fast)?;
            }
        }
        Ok(val)
    }

    /// The form times an integer.
    pub(crate) fn scaled_form(&self, factor: i64) -> Form {
        if factor == 0 {
            return Form::default();
        }
        Form(self.form.0.iter().map(|(c, v)| (c * factor, v.clone())).collect())
    }
}

/// Joins values of one scale along a logical axis.
pub(crate) fn concat(draft: &mut Draft, parts: &[Val], group: usize) -> Result<Val, Problem> {
    let first = parts.first().ok_or_else(|| unsupported("a concatenation of nothing", "Remove the node."))?;
    let total: usize = parts.iter().map(|p| p.dim(group)).sum();
    let mut like = first.groups.clone();
    like[group] = Vec::new();
    let mut terms = Vec::new();
    let mut start = 0i64;
    let mut rms = 0f64;
    let mut groups = Vec::new();
    let mut known = Some((0, 0));
    for part in parts {
        known = known.zip(part.known).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1)));
        let mut wanted = like.clone();
        wanted[group].clone_from(&part.groups[group]);
        let part = part.regroup(draft, &wanted)?;
        let off = -start;
        let read = part.remap(draft, group, total, |axis| Map::Aff { axis, step: 1, off })?;
        terms.extend(read.form.0);
        start += part.dim(group) as i64;
        rms = rms.max(part.rms);
        groups = read.groups;
    }
    let joined = Val { groups, form: collect(terms), rms, known, ..first.clone() };
    joined.short(draft)
}
