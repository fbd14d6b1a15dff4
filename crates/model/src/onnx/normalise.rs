//! Batch normalisation of a trained model.

use super::{Call, Entry, Operator, one, op};
use crate::graph::{Binary, Unary};
use crate::problem::{Step, misfit, unsupported};

pub(super) const OPERATORS: &[Operator] = &[op(
    "BatchNormalization",
    &["epsilon", "momentum", "training_mode", "is_test", "spatial"],
    (5, 5),
    batch_normalization,
    "inference only; becomes Mul and Add with constants",
)];

fn batch_normalization(call: &mut Call) -> Step<Vec<Entry>> {
    call.only("training_mode", 0, "export in evaluation mode: model.eval()")?;
    call.only("spatial", 1, "export with opset 9 or newer")?;
    if call.opset < 7 && call.int("is_test", 0)? == 0 {
        return Err(unsupported(
            "attribute `is_test` is 0: training mode",
            "export in evaluation mode: model.eval()",
        ));
    }
    let x = call.value(0)?;
    let shape = call.b.shape(x);
    if shape.len() < 2 {
        return Err(misfit(format!("BatchNormalization of shape {shape:?}")));
    }
    let mut per_channel = vec![1; shape.len() - 1];
    per_channel[0] = shape[1];
    let mut parameter = Vec::new();
    for i in 1..5 {
        let p = call.value(i)?;
        parameter.push(call.b.reshape(p, per_channel.clone())?);
    }
    // y = x * a + (bias - mean * a) with a = scale / sqrt(variance + epsilon).
    let epsilon = call.float("epsilon", 1e-5)?;
    let b = &mut *call.b;
    let variance = b.with_scalar(Binary::Add, parameter[3], epsilon)?;
    let deviation = b.unary(Unary::Sqrt, variance)?;
    let a = b.binary(Binary::Div, parameter[0], deviation)?;
    let shift = b.binary(Binary::Mul, parameter[2], a)?;
    let c = b.binary(Binary::Sub, parameter[1], shift)?;
    let scaled = b.binary(Binary::Mul, x, a)?;
    one(b.binary(Binary::Add, scaled, c)?)
}
