//! About how much memory the lists of a proof take.

use std::collections::BTreeSet;
use std::mem::size_of;
use std::sync::Arc;

use super::{Ip, LookTable, Lowered, Multiplier, Placed, RoundStep, Step};
use crate::types::{Form, Map, View};

/// What an allocator adds to a list, about.
const LIST: usize = 16;

/// Bytes of a list on the heap, of what its elements point to not.
fn list<T>(items: &[T]) -> usize {
    items.len().saturating_mul(size_of::<T>()).saturating_add(LIST)
}

/// A list, and what `each` says its elements point to.
fn deep<T>(items: &[T], each: impl Fn(&T) -> usize) -> usize {
    items.iter().map(each).fold(list(items), usize::saturating_add)
}

fn all<const N: usize>(parts: [usize; N]) -> usize {
    parts.into_iter().fold(0, usize::saturating_add)
}

fn map(map: &Map) -> usize {
    match map {
        Map::Gather { indices, .. } => list(indices),
        Map::Mat { weights, .. } => list(weights),
        _ => 0,
    }
}

fn form(form: &Form) -> usize {
    deep(&form.0, |(_, View { maps, .. })| deep(maps, map))
}

fn ip(ip: &Ip) -> usize {
    let multipliers = match &ip.multiplier {
        Multiplier::One(_) => 0,
        Multiplier::Axis(_, multipliers) => list(multipliers),
    };
    all([
        list(&ip.outputs),
        list(&ip.sums),
        multipliers,
        form(&ip.target),
        form(&ip.c),
        form(&ip.a),
        form(&ip.b),
    ])
}

fn step(step: &Step) -> usize {
    match step {
        Step::Limbs { axes, form: cut, columns, .. } => all([list(axes), form(cut), list(columns)]),
        Step::Table { axes, keys, outs, .. } => all([list(axes), deep(keys, form), list(outs)]),
        Step::Commit { .. } => 0,
        Step::Round(RoundStep { axes, extra, remainders, ties, .. }) => {
            all([list(axes), form(extra), list(remainders), list(ties)])
        }
        Step::Split { axes, form: split, .. } => all([list(axes), form(split)]),
    }
}

impl Lowered {
    /// About how many bytes of memory this takes, public contents included, of which tensors and tables
    /// share some.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let mut seen = BTreeSet::new();
        let mut content = |values: &Arc<[i64]>| {
            if seen.insert(Arc::as_ptr(values).cast::<i64>()) { list(values) } else { 0 }
        };
        let mut shared = 0usize;
        for values in self.tensors.iter().filter_map(|tensor| tensor.content.as_ref()) {
            shared = shared.saturating_add(content(values));
        }
        for values in self.tables.iter().flat_map(|table| &table.outs) {
            shared = shared.saturating_add(content(values));
        }
        all([
            shared,
            deep(&self.tensors, |Placed { axes, .. }| list(axes)),
            deep(&self.tables, |LookTable { keys, outs, .. }| all([list(keys), list(outs)])),
            deep(&self.looks, |look| all([list(&look.axes), deep(&look.coords, form)])),
            deep(&self.ips, ip),
            deep(&self.lins, |lin| all([list(&lin.axes), form(&lin.form)])),
            deep(&self.steps, step),
            list(&self.step_sites),
        ])
    }
}
