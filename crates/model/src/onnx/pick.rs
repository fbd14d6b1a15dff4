//! Operators that pick single elements at places known at import: one Gather of the flat tensor.

use super::{Call, Entry, Operator, axis_of, one, op};
use crate::graph::{DType, ValueId};
use crate::problem::{Step, misfit, too_large};
use crate::read::elements;
use crate::tensor::{Data, Tensor};

pub(super) const OPERATORS: &[Operator] = &[
    op(
        "GatherElements",
        &["axis"],
        (2, 2),
        gather_elements,
        "constant indices; as Gather of the flat tensor",
    ),
    op(
        "GatherND",
        &["batch_dims"],
        (2, 2),
        gather_nd,
        "constant indices, batch_dims 0; as Gather of the flat tensor",
    ),
    op("Trilu", &["upper"], (1, 2), trilu, "constant k; as Concat with zero and Gather"),
];

/// Elements of `x` at flat places, in another shape.
pub(super) fn flat(call: &mut Call, x: ValueId, places: Vec<usize>, shape: &[usize]) -> Step<ValueId> {
    let count = elements(&call.b.shape(x))?;
    let line = call.b.reshape(x, vec![count])?;
    call.b.gather(line, 0, places, shape)
}

/// `x` where the mask holds, `y` elsewhere; both of the given shape.
pub(super) fn choose(
    call: &mut Call,
    mask: &[bool],
    x: ValueId,
    y: ValueId,
    shape: &[usize],
) -> Step<ValueId> {
    let count = elements(shape)?;
    elements(&[2 * count])?;
    let mut lines = Vec::new();
    for v in [x, y] {
        let full = call.b.expand(v, shape.to_vec())?;
        lines.push(call.b.reshape(full, vec![count])?);
    }
    let both = call.b.concat(&lines, 0)?;
    let places = mask.iter().enumerate().map(|(i, m)| if *m { i } else { count + i }).collect();
    call.b.gather(both, 0, places, shape)
}

/// Constant indices with their shape.
fn indices(call: &Call) -> Step<(Vec<i64>, Vec<usize>)> {
    let tensor = call.constant(1, "indices")?.ok_or_else(|| misfit("indices are missing"))?;
    let list = tensor.as_i64().ok_or_else(|| misfit("indices are not integers"))?.to_vec();
    Ok((list, tensor.shape))
}

fn index(i: i64, len: usize) -> Step<usize> {
    axis_of(i, len).map_err(|_| misfit(format!("index {i} is outside a length of {len}")))
}

fn gather_elements(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let shape = call.b.shape(x);
    let axis = axis_of(call.int("axis", 0)?, shape.len())?;
    let (list, at) = indices(call)?;
    let fits = at.len() == shape.len() && (0..at.len()).all(|i| i == axis || at[i] <= shape[i]);
    if !fits {
        return Err(misfit(format!("indices of shape {at:?} do not fit shape {shape:?}")));
    }
    call.b.reserve(list.len())?;
    let mut places = Vec::with_capacity(list.len());
    for (flat, picked) in list.iter().enumerate() {
        let (mut rest, mut place, mut stride) = (flat, 0, 1);
        for i in (0..at.len()).rev() {
            let position = if i == axis { index(*picked, shape[axis])? } else { rest % at[i] };
            rest /= at[i];
            place += position * stride;
            stride *= shape[i];
        }
        places.push(place);
    }
    one(flat(call, x, places, &at)?)
}

fn gather_nd(call: &mut Call) -> Step<Vec<Entry>> {
    call.only("batch_dims", 0, "use Gather or GatherElements")?;
    let x = call.value(0)?;
    let shape = call.b.shape(x);
    let (list, at) = indices(call)?;
    let depth = at.last().copied().unwrap_or(0);
    if depth == 0 || depth > shape.len() {
        return Err(misfit(format!("indices of shape {at:?} do not fit shape {shape:?}")));
    }
    let block: usize = shape[depth..].iter().product();
    let out = [&at[..at.len() - 1], &shape[depth..]].concat();
    let count = elements(&out)?;
    call.b.reserve(count)?;
    let mut places = Vec::with_capacity(count);
    for tuple in list.chunks(depth) {
        let mut start = 0;
        for (i, len) in tuple.iter().zip(&shape) {
            start = start * len + index(*i, *len)?;
        }
        places.extend(start * block..(start + 1) * block);
    }
    one(flat(call, x, places, &out)?)
}

/// Keeps the upper or lower triangle of each matrix, zero elsewhere.
fn trilu(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let shape = call.b.shape(x);
    let &[.., rows, columns] = &shape[..] else {
        return Err(misfit(format!("Trilu of shape {shape:?}")));
    };
    let upper = call.flag("upper", true)?;
    let k = match call.constant_ints(1, "k")?.as_deref() {
        None => 0,
        Some([k]) => *k,
        Some(_) => return Err(misfit("k of Trilu is not a scalar")),
    };
    let count = elements(&shape)?;
    let beyond = |i: usize| {
        let (row, column) = ((i / columns % rows) as i64, (i % columns) as i64);
        let distance = column - row;
        if upper { distance < k } else { distance > k }
    };
    let dtype = call.b.dtype(x);
    call.b.reserve(count)?;
    let zero = match dtype {
        DType::F32 => Data::F32(vec![0.0]),
        DType::Bool => Data::Bool(vec![false]),
        _ => Data::I64(vec![0]),
    };
    let zero = call.b.constant(Tensor { shape: vec![1], data: zero }, dtype);
    let line = call.b.reshape(x, vec![count])?;
    let padded = call.b.concat(&[line, zero], 0)?;
    elements(&[count.checked_add(1).ok_or_else(|| too_large("Trilu"))?])?;
    let places = (0..count).map(|i| if beyond(i) { count } else { i }).collect();
    one(call.b.gather(padded, 0, places, &shape)?)
}
