//! Softmax and its logarithm.

use super::{Call, Entry, Operator, axis_of, one, op};
use crate::problem::Step;

pub(super) const OPERATORS: &[Operator] = &[
    op("Softmax", &["axis"], (1, 1), softmax, "both meanings of axis (before and since opset 13)"),
    op("LogSoftmax", &["axis"], (1, 1), softmax, "both meanings of axis (before and since opset 13)"),
];

/// Before opset 13 all axes from `axis` on form one; since then a single axis is normalised.
fn softmax(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let shape = call.b.shape(x);
    let log = call.op == "LogSoftmax";
    if call.opset >= 13 {
        let axis = axis_of(call.int("axis", -1)?, shape.len())?;
        return one(call.b.softmax(x, axis, log)?);
    }
    let axis = call.int("axis", 1)?;
    let axis = if axis == shape.len() as i64 { shape.len() } else { axis_of(axis, shape.len())? };
    if axis + 1 == shape.len() {
        return one(call.b.softmax(x, axis, log)?);
    }
    let flat = vec![shape[..axis].iter().product(), shape[axis..].iter().product()];
    let rows = call.b.reshape(x, flat)?;
    let y = call.b.softmax(rows, 1, log)?;
    one(call.b.reshape(y, shape)?)
}
