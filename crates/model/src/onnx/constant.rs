//! Constants, and shapes turned into constants.

use super::{Call, Entry, Operator, one, op};
use crate::graph::DType;
use crate::problem::{Problem, Step, misfit, too_large, unsupported, wrong_type};
use crate::read::{Element, elements};
use crate::tensor::{Data, Tensor};

pub(super) const OPERATORS: &[Operator] = &[
    op(
        "Constant",
        &["value", "value_float", "value_floats", "value_int", "value_ints", "value_string", "value_strings"],
        (0, 0),
        constant,
        "",
    ),
    op("ConstantOfShape", &["value"], (1, 1), constant_of_shape, "constant shape"),
    op("Shape", &["start", "end"], (1, 1), shape, "folded"),
    op("Size", &[], (1, 1), size, "folded"),
    op("Range", &[], (3, 3), range, "constant operands; folded"),
    op("EyeLike", &["dtype", "k"], (1, 1), eye_like, "folded"),
];

fn constant(call: &mut Call) -> Step<Vec<Entry>> {
    if let Some(c) = call.tensor("value")? {
        if c.narrowed {
            call.b.note("float64 constants were converted to float32");
        }
        return one(call.b.constant(c.tensor, c.dtype));
    }
    if let Some(v) = call.floats("value_floats")? {
        return one(call.b.floats(&[v.len()], v));
    }
    if let Some(v) = call.ints("value_ints")? {
        return one(call.b.constant(Tensor::i64(&[v.len()], v), DType::I64));
    }
    if call.has("value_float") {
        let v = call.float("value_float", 0.0)?;
        return one(call.b.floats(&[], vec![v]));
    }
    if call.has("value_int") {
        let v = call.int("value_int", 0)?;
        return one(call.b.constant(Tensor::i64(&[], vec![v]), DType::I64));
    }
    if call.has("value_string") {
        return Ok(vec![Entry::Texts(vec![call.text("value_string", "")?])]);
    }
    match call.texts("value_strings")? {
        Some(v) => Ok(vec![Entry::Texts(v)]),
        None => Err(unsupported("Constant without a value that is supported", "store it as a dense tensor")),
    }
}

fn repeat(data: &Data, count: usize) -> Data {
    match data {
        Data::F32(v) => Data::F32(vec![v[0]; count]),
        Data::I64(v) => Data::I64(vec![v[0]; count]),
        Data::Bool(v) => Data::Bool(vec![v[0]; count]),
    }
}

fn constant_of_shape(call: &mut Call) -> Step<Vec<Entry>> {
    let lens = call.constant_ints(0, "the shape")?.ok_or_else(|| misfit("the shape is missing"))?;
    let wrong = || misfit(format!("shape {lens:?}"));
    let shape: Vec<usize> =
        lens.iter().map(|n| usize::try_from(*n).map_err(|_| wrong())).collect::<Step<_>>()?;
    let count = elements(&shape)?;
    let (data, dtype) = match call.tensor("value")? {
        Some(c) if c.tensor.shape.iter().product::<usize>() == 1 => (c.tensor.data, c.dtype),
        Some(_) => return Err(misfit("the value of ConstantOfShape is not one element")),
        None => (Data::F32(vec![0.0]), DType::F32),
    };
    call.b.reserve(count)?;
    one(call.b.constant(Tensor { shape, data: repeat(&data, count) }, dtype))
}

fn shape(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let lens: Vec<i64> = call.b.shape(x).iter().map(|n| *n as i64).collect();
    let rank = lens.len() as i64;
    let place = |i: i64| (if i < 0 { i.saturating_add(rank) } else { i }).clamp(0, rank) as usize;
    let (start, end) = (place(call.int("start", 0)?), place(call.int("end", rank)?));
    let lens = lens.get(start..end.max(start)).unwrap_or_default().to_vec();
    one(call.b.constant(Tensor::i64(&[lens.len()], lens), DType::I64))
}

fn size(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let count = elements(&call.b.shape(x))? as i64;
    one(call.b.constant(Tensor::i64(&[], vec![count]), DType::I64))
}

fn range(call: &mut Call) -> Step<Vec<Entry>> {
    let mut bounds = Vec::new();
    for (i, what) in ["start", "limit", "delta"].iter().enumerate() {
        bounds.push(call.constant(i, what)?.ok_or_else(|| misfit(format!("{what} is missing")))?);
    }
    let first = call.value(0)?;
    let dtype = call.b.dtype(first);
    let scalars = |t: &Tensor| t.shape.iter().product::<usize>() == 1;
    if !bounds.iter().all(scalars) {
        return Err(misfit("start, limit and delta must be scalars"));
    }
    let tensor = match (&bounds[0].data, &bounds[1].data, &bounds[2].data) {
        (Data::I64(a), Data::I64(b), Data::I64(d)) => {
            let count = steps(a[0] as f64, b[0] as f64, d[0] as f64)?;
            let at = |i: usize| a[0].wrapping_add((i as i64).wrapping_mul(d[0]));
            Tensor::i64(&[count], (0..count).map(at).collect())
        }
        (Data::F32(a), Data::F32(b), Data::F32(d)) => {
            let count = steps(a[0].into(), b[0].into(), d[0].into())?;
            Tensor::f32(&[count], (0..count).map(|i| a[0] + i as f32 * d[0]).collect())
        }
        _ => return Err(wrong_type("start, limit and delta differ in type")),
    };
    one(call.b.constant(tensor, dtype))
}

/// max(ceil((limit - start) / delta), 0).
fn steps(start: f64, limit: f64, delta: f64) -> Step<usize> {
    let count = ((limit - start) / delta).ceil().max(0.0);
    if delta == 0.0 || !count.is_finite() {
        return Err(misfit(format!("Range from {start} to {limit} by {delta}")));
    }
    if count > (1 << 24) as f64 {
        return Err(too_large(format!("Range of {count} elements")));
    }
    Ok(count as usize)
}

fn eye_like(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let shape = call.b.shape(x);
    let dtype = match call.int("dtype", 0)? {
        0 => call.b.dtype(x),
        code => Element::from_code(code)
            .map(Element::dtype)
            .map_err(|name| Problem::new("ZT008", format!("EyeLike of {name}"), "use float32"))?,
    };
    let &[rows, columns] = &shape[..] else { return Err(misfit(format!("EyeLike of shape {shape:?}"))) };
    let k = call.int("k", 0)?;
    call.b.reserve(elements(&shape)?)?;
    let on = |i: usize| (i % columns) as i64 == ((i / columns) as i64).saturating_add(k);
    let ones: Vec<bool> = (0..rows * columns).map(on).collect();
    let tensor = Tensor { shape, data: Data::Bool(ones) };
    let eye = call.b.constant(tensor, DType::Bool);
    one(call.b.cast(eye, dtype)?)
}
