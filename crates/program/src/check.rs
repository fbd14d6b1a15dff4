//! What it means that an assignment satisfies a lowered Program, in the plainest way.
//!
//! Slow on purpose: every relation is evaluated position by position in the field, straight from
//! the definitions of views and Forms. Tests compare everything else with it.

use std::fmt;

use crate::execute::Assignment;
use crate::limits::PRIME;
use crate::lower::{Lowered, Multiplier};
use crate::types::{Form, Map, View};

/// The first relation that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A tensor has the wrong number of values.
    Length {
        /// Tensor number.
        tensor: usize,
    },
    /// Public values differ from the content.
    Content {
        /// Tensor number.
        tensor: usize,
    },
    /// A tuple is no row.
    Look {
        /// Index of the lookup.
        look: usize,
        /// Row-major position.
        position: usize,
    },
    /// A multiplicity differs from the number of lookups.
    Multiplicity {
        /// Index of the table.
        table: usize,
        /// Row.
        row: usize,
    },
    /// An inner product does not hold.
    Ip {
        /// Index of the inner product.
        ip: usize,
        /// Row-major position.
        position: usize,
    },
    /// A linear relation does not hold.
    Lin {
        /// Index of the relation.
        lin: usize,
        /// Row-major position.
        position: usize,
    },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Length { tensor } => write!(f, "tensor {tensor} has the wrong length"),
            Broken::Content { tensor } => write!(f, "tensor {tensor} differs from its public content"),
            Broken::Look { look, position } => write!(f, "lookup {look} fails at {position}"),
            Broken::Multiplicity { table, row } => write!(f, "table {table} counts row {row} wrongly"),
            Broken::Ip { ip, position } => write!(f, "inner product {ip} fails at {position}"),
            Broken::Lin { lin, position } => write!(f, "linear relation {lin} fails at {position}"),
        }
    }
}

impl std::error::Error for Broken {}

/// A value as a field element.
fn residue(value: i64) -> u128 {
    i128::from(value).rem_euclid(PRIME as i128) as u128
}

fn add(a: u128, b: u128) -> u128 {
    (a + b) % PRIME
}

fn mul(a: u128, b: u128) -> u128 {
    a * b % PRIME
}

/// The integer of least absolute value with this residue.
fn signed(value: u128) -> i128 {
    let value = value as i128;
    if value > PRIME as i128 / 2 { value - PRIME as i128 } else { value }
}

/// All positions of `axes` in row-major order.
fn positions(axes: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    (0..axes.iter().product::<usize>()).map(|flat| {
        let mut rest = flat;
        let mut position: Vec<usize> = axes.iter().rev().map(|&n| (rest % n, rest /= n).0).collect();
        position.reverse();
        position
    })
}

/// The indices, with weights, that a map reads along an axis of length `dim`.
fn taps(map: &Map, dim: usize, at: &[usize]) -> Vec<(i64, i64)> {
    let x = |axis: &u8| at[usize::from(*axis)] as i64;
    match map {
        Map::Fix { at } => vec![(*at, 1)],
        Map::Aff { axis, step, off } => vec![(step * x(axis) + off, 1)],
        Map::Win { a, b, step, dil, off } => vec![(step * x(a) + dil * x(b) + off, 1)],
        Map::Join { a, b, m } => vec![(i64::from(*m) * x(a) + x(b), 1)],
        Map::Gather { axis, indices } => vec![(i64::from(indices[x(axis) as usize]), 1)],
        Map::Sum => (0..dim as i64).map(|i| (i, 1)).collect(),
        Map::Mat { axis, cols, weights, .. } => {
            let row = &weights[x(axis) as usize * *cols as usize..][..*cols as usize];
            row.iter().enumerate().map(|(i, &w)| (i as i64, w)).collect()
        }
        Map::Pool { axis, step, dil, off, m } => {
            (0..i64::from(*m)).map(|k| (step * x(axis) + dil * k + off, 1)).collect()
        }
    }
}

fn view_at(view: &View, dims: &[usize], data: &[i64], at: &[usize]) -> u128 {
    let (Some(map), Some((&dim, rest))) = (view.maps.first(), dims.split_first()) else {
        return residue(data[0]);
    };
    let run: usize = rest.iter().product();
    let inner = View { tensor: view.tensor, maps: view.maps[1..].to_vec() };
    let read = |(index, weight): (i64, i64)| {
        if index < 0 || index >= dim as i64 {
            return 0;
        }
        let part = &data[index as usize * run..][..run];
        mul(residue(weight), view_at(&inner, rest, part, at))
    };
    taps(map, dim, at).into_iter().map(read).fold(0, add)
}

/// A Form at one position, in the field.
fn form_at(form: &Form, lowered: &Lowered, assignment: &Assignment, at: &[usize]) -> u128 {
    let term = |(coef, view): &(i64, View)| {
        let tensor = view.tensor as usize;
        let dims = &lowered.tensors[tensor].axes;
        mul(residue(*coef), view_at(view, dims, &assignment.values[tensor], at))
    };
    form.0.iter().map(term).fold(0, add)
}

/// Whether every relation holds: public values are the content, every looked-up tuple is a row,
/// multiplicities are the counts, every inner product and linear relation holds in the field.
///
/// # Errors
/// The first relation that is broken.
pub fn check_all(lowered: &Lowered, assignment: &Assignment) -> Result<(), Broken> {
    for (tensor, placed) in lowered.tensors.iter().enumerate() {
        let values = assignment.values.get(tensor).ok_or(Broken::Length { tensor })?;
        if values.len() != placed.axes.iter().product::<usize>() {
            return Err(Broken::Length { tensor });
        }
        let ones = placed.place == crate::lower::Place::Ones && values.iter().any(|&value| value != 1);
        if ones || placed.content.as_ref().is_some_and(|content| content != values) {
            return Err(Broken::Content { tensor });
        }
    }
    check_looks(lowered, assignment)?;
    check_ips(lowered, assignment)?;
    for (lin, relation) in lowered.lins.iter().enumerate() {
        for (position, at) in positions(&relation.axes).enumerate() {
            if form_at(&relation.form, lowered, assignment, &at) != 0 {
                return Err(Broken::Lin { lin, position });
            }
        }
    }
    Ok(())
}

fn check_looks(lowered: &Lowered, assignment: &Assignment) -> Result<(), Broken> {
    let rows = |keys: &[(i64, usize)]| keys.iter().map(|&(_, count)| count).product();
    let mut counts: Vec<Vec<i64>> = lowered.tables.iter().map(|table| vec![0; rows(&table.keys)]).collect();
    for (index, look) in lowered.looks.iter().enumerate() {
        let table = &lowered.tables[look.table];
        for (position, at) in positions(&look.axes).enumerate() {
            let values = look.coords.iter().map(|form| signed(form_at(form, lowered, assignment, &at)));
            let tuple: Vec<i128> = values.collect();
            let mut row = Some(0usize);
            for (&(lo, count), &key) in table.keys.iter().zip(&tuple) {
                let offset = usize::try_from(key - i128::from(lo)).ok().filter(|&o| o < count);
                row = row.zip(offset).map(|(row, offset)| row * count + offset);
            }
            let outs = &tuple[table.keys.len()..];
            let fits = |row: &usize| {
                outs.len() == table.outs.len()
                    && outs.iter().zip(&table.outs).all(|(&out, column)| i128::from(column[*row]) == out)
            };
            let row = row.filter(fits).ok_or(Broken::Look { look: index, position })?;
            counts[look.table][row] += 1;
        }
    }
    for (table, (known, count)) in lowered.tables.iter().zip(&counts).enumerate() {
        let given = &assignment.values[known.multiplicity as usize];
        if let Some(row) = (0..count.len()).find(|&row| given[row] != count[row]) {
            return Err(Broken::Multiplicity { table, row });
        }
    }
    Ok(())
}

fn check_ips(lowered: &Lowered, assignment: &Assignment) -> Result<(), Broken> {
    for (index, ip) in lowered.ips.iter().enumerate() {
        for (position, at) in positions(&ip.outputs).enumerate() {
            let mut sum = form_at(&ip.c, lowered, assignment, &at);
            for inner in positions(&ip.sums) {
                let all = [at.as_slice(), &inner].concat();
                let a = form_at(&ip.a, lowered, assignment, &all);
                let b = form_at(&ip.b, lowered, assignment, &all);
                sum = add(sum, mul(a, b));
            }
            let multiplier = match &ip.multiplier {
                Multiplier::One(m) => *m,
                Multiplier::Axis(axis, list) => list[at[*axis]],
            };
            if mul(residue(multiplier), sum) != form_at(&ip.target, lowered, assignment, &at) {
                return Err(Broken::Ip { ip: index, position });
            }
        }
    }
    Ok(())
}
