//! Gemm and MatMul.

use super::{Call, Entry, Operator, one, op};
use crate::graph::Binary;
use crate::problem::{Step, misfit};

pub(super) const OPERATORS: &[Operator] = &[
    op("MatMul", &[], (2, 2), matmul, "numpy rules; batch axes broadcast"),
    op(
        "Gemm",
        &["alpha", "beta", "transA", "transB", "broadcast"],
        (2, 3),
        gemm,
        "as MatMul, Mul, Add and Transpose",
    ),
];

fn matmul(call: &mut Call) -> Step<Vec<Entry>> {
    let (a, b) = (call.value(0)?, call.value(1)?);
    one(call.b.matmul(a, b)?)
}

/// alpha * A' * B' + beta * C; alpha goes into B and beta into C, which are constants as a rule.
fn gemm(call: &mut Call) -> Step<Vec<Entry>> {
    let (mut a, mut b) = (call.value(0)?, call.value(1)?);
    if call.rank(a) != 2 || call.rank(b) != 2 {
        return Err(misfit(format!("Gemm of shapes {:?} and {:?}", call.b.shape(a), call.b.shape(b))));
    }
    if call.flag("transA", false)? {
        a = call.b.transpose(a, vec![1, 0])?;
    }
    if call.flag("transB", false)? {
        b = call.b.transpose(b, vec![1, 0])?;
    }
    let (alpha, beta) = (call.float("alpha", 1.0)?, call.float("beta", 1.0)?);
    if alpha != 1.0 {
        b = call.b.with_scalar(Binary::Mul, b, alpha)?;
    }
    let product = call.b.matmul(a, b)?;
    let Some(mut c) = call.optional(2)?.filter(|_| beta != 0.0) else { return one(product) };
    if beta != 1.0 {
        c = call.b.with_scalar(Binary::Mul, c, beta)?;
    }
    let sum = call.b.binary(Binary::Add, product, c)?;
    if call.b.shape(sum) != call.b.shape(product) {
        return Err(misfit(format!("bias {:?} is larger than the product", call.b.shape(c))));
    }
    one(sum)
}
