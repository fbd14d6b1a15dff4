//! Pooling.

use super::conv::window;
use super::{Call, Entry, Operator, one, op};
use crate::builder::Reduce;
use crate::graph::{DType, Op, Window};
use crate::problem::{Step, misfit, unsupported, wrong_type};

pub(super) const OPERATORS: &[Operator] = &[
    op(
        "MaxPool",
        &["auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "storage_order", "strides"],
        (1, 1),
        max_pool,
        "1 or 2 spatial axes; ceil_mode, dilations, auto_pad; the Indices output is refused",
    ),
    op(
        "AveragePool",
        &["auto_pad", "ceil_mode", "count_include_pad", "dilations", "kernel_shape", "pads", "strides"],
        (1, 1),
        average_pool,
        "1 or 2 spatial axes; ceil_mode, count_include_pad, dilations, auto_pad",
    ),
    op("GlobalAveragePool", &[], (1, 1), global, "as ReduceMean over the spatial axes"),
    op("GlobalMaxPool", &[], (1, 1), global, "as ReduceMax over the spatial axes"),
];

fn spatial(call: &Call, shape: &[usize]) -> Step<()> {
    match shape.len() {
        3 | 4 => Ok(()),
        5.. => Err(unsupported(
            format!("{} over {} spatial axes", call.op, shape.len() - 2),
            "use 1-D or 2-D pooling",
        )),
        _ => Err(misfit(format!("{} of shape {shape:?}", call.op))),
    }
}

/// Refuses padding so wide that a window could lie in it entirely: it would have no result.
fn touches_input(w: &Window, extra: &[usize]) -> Step<()> {
    for (i, (begin, end)) in w.pads.iter().enumerate() {
        let extent = (w.kernel[i] - 1) * w.dilations[i] + 1;
        if *begin >= extent || end - extra[i] >= extent {
            return Err(misfit(format!(
                "padding {:?} is not smaller than the window {:?}",
                w.pads, w.kernel
            )));
        }
    }
    Ok(())
}

fn max_pool(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let shape = call.b.shape(x);
    spatial(call, &shape)?;
    // storage_order only changes the Indices output, which is refused when used.
    let (window, extra) = window(call, &shape[2..], None)?;
    touches_input(&window, &extra)?;
    let op = Op::MaxPool(window.clone());
    one(call.b.pool(x, &window, op)?)
}

fn average_pool(call: &mut Call) -> Step<Vec<Entry>> {
    let mut x = call.value(0)?;
    if call.b.dtype(x) != DType::F32 {
        return Err(wrong_type(format!("the operand is {:?}, not float", call.b.dtype(x))));
    }
    let shape = call.b.shape(x);
    spatial(call, &shape)?;
    let (mut window, extra) = window(call, &shape[2..], None)?;
    touches_input(&window, &extra)?;
    let mut count_include_pad = call.flag("count_include_pad", false)?;
    if count_include_pad && extra.iter().any(|e| *e > 0) {
        // Declared padding counts in the divisor, the overhang of ceil mode does not:
        // pad with zeros first, then leave only the overhang to the pooling.
        let mut pads = vec![(0, 0); 2];
        for (pad, extra) in window.pads.iter_mut().zip(&extra) {
            pads.push((pad.0 as i64, (pad.1 - extra) as i64));
            *pad = (0, *extra);
        }
        x = call.b.pad(x, pads, 0.0)?;
        count_include_pad = false;
    }
    let op = Op::AveragePool { window: window.clone(), count_include_pad };
    one(call.b.pool(x, &window, op)?)
}

fn global(call: &mut Call) -> Step<Vec<Entry>> {
    let x = call.value(0)?;
    let rank = call.rank(x);
    if rank < 3 {
        return Err(misfit(format!("{} of a tensor with {rank} axes", call.op)));
    }
    let kind = if call.op == "GlobalMaxPool" { Reduce::Max } else { Reduce::Mean };
    one(call.b.reduce(kind, x, (2..rank).collect(), true)?)
}
