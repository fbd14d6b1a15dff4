//! Static quantisation (QDQ): the model's own scales, verbatim.

use super::{Call, Entry, Operator, axis_of, one, op};
use crate::builder::is_int;
use crate::graph::{DType, Op, ValueId};
use crate::problem::{Problem, Step, misfit, unsupported, wrong_type};
use crate::read::Element;

pub(super) const OPERATORS: &[Operator] = &[
    op(
        "QuantizeLinear",
        &["axis", "block_size", "output_dtype", "saturate", "precision"],
        (2, 3),
        quantize,
        "constant scale and zero point, per tensor or per axis; int8, uint8, int16, uint16",
    ),
    op(
        "DequantizeLinear",
        &["axis", "block_size", "output_dtype"],
        (2, 3),
        dequantize,
        "constant scale and zero point, per tensor or per axis; also int32 (biases)",
    ),
];

/// Scales, zero points, axis and the zero point's type.
struct Scales {
    scale: Vec<f32>,
    zero: Vec<i64>,
    axis: usize,
    dtype: Option<DType>,
}

fn scales(call: &Call, x: ValueId) -> Step<Scales> {
    call.only("block_size", 0, "use per-tensor or per-axis scales")?;
    let shape = call.b.shape(x);
    let tensor = call.constant(1, "scale")?.ok_or_else(|| misfit("the scale is missing"))?;
    let scale = tensor.as_f32().ok_or_else(|| wrong_type("the scale is not float"))?.to_vec();
    if tensor.shape.len() > 1 || scale.is_empty() {
        return Err(unsupported(
            format!("scale of shape {:?}", tensor.shape),
            "use per-tensor or per-axis scales",
        ));
    }
    if scale.iter().any(|s| !(s.is_finite() && *s > 0.0)) {
        return Err(misfit("a scale is not a positive number"));
    }
    let zero = call.constant_ints(2, "zero point")?;
    let dtype = call.optional(2)?.map(|id| call.b.dtype(id));
    let zero = zero.unwrap_or_else(|| vec![0; scale.len()]);
    let per_axis = !tensor.shape.is_empty() && scale.len() > 1;
    let axis = if per_axis { axis_of(call.int("axis", 1)?, shape.len())? } else { 0 };
    if zero.len() != scale.len() || (per_axis && shape[axis] != scale.len()) {
        return Err(misfit(format!(
            "{} scales and {} zero points for shape {shape:?}",
            scale.len(),
            zero.len()
        )));
    }
    Ok(Scales { scale, zero, axis, dtype })
}

fn quantize(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    call.only("precision", 0, "leave out the attribute")?;
    if call.b.dtype(x) != DType::F32 {
        return Err(wrong_type(format!("the operand is {:?}, not float", call.b.dtype(x))));
    }
    let s = scales(call, x)?;
    let asked = match call.int("output_dtype", 0)? {
        0 => None,
        code => Some(Element::from_code(code).map(Element::dtype).unwrap_or(DType::Bool)),
    };
    let dtype = s.dtype.or(asked).unwrap_or(DType::U8);
    let supported = matches!(dtype, DType::I8 | DType::U8 | DType::I16 | DType::U16);
    if !supported || asked.is_some_and(|a| a != dtype) {
        return Err(Problem::new(
            "ZT008",
            format!("QuantizeLinear to {dtype:?}"),
            "use int8, uint8, int16 or uint16",
        ));
    }
    let shape = call.b.shape(x);
    one(call.b.push(Op::Quantize { axis: s.axis, scale: s.scale, zero: s.zero }, &[x], shape, dtype)?)
}

fn dequantize(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let s = scales(call, x)?;
    let dtype = call.b.dtype(x);
    let output = call.int("output_dtype", 1)?;
    if !is_int(dtype) || dtype == DType::I64 || s.dtype.is_some_and(|d| d != dtype) {
        return Err(Problem::new(
            "ZT008",
            format!("DequantizeLinear of {dtype:?}"),
            "use int8, uint8, int16, uint16 or int32",
        ));
    }
    if !matches!(output, 0 | 1) {
        return Err(unsupported(format!("attribute `output_dtype` is {output}"), "use float32"));
    }
    let shape = call.b.shape(x);
    let op = Op::Dequantize { axis: s.axis, scale: s.scale, zero: s.zero };
    if call.keep_quantized {
        return one(call.b.push_unfolded(op, &[x], shape, DType::F32)?);
    }
    one(call.b.push(op, &[x], shape, DType::F32)?)
}
