//! Conversion of element types.

use super::{Call, Entry, Operator, one, op};
use crate::graph::ValueId;
use crate::problem::{Problem, Step};
use crate::read::Element;

pub(super) const OPERATORS: &[Operator] = &[
    op(
        "Cast",
        &["to", "saturate", "round_mode"],
        (1, 1),
        cast,
        "float16 and float64 are computed as float32; bfloat16 targets are refused",
    ),
    op("CastLike", &["saturate", "round_mode"], (2, 2), cast_like, "as Cast"),
];

fn cast(call: &mut Call) -> Step<Vec<Entry>> {
    if let Some(label) = call.label(0) {
        // The look-up's integer or text form does not matter: the label is kept as text.
        return Ok(vec![Entry::Label(label)]);
    }
    let code = call.int("to", 0)?;
    let element = Element::from_code(code).map_err(|name| {
        Problem::new(
            "ZT008",
            format!("Cast to {name} (type code {code})"),
            "convert to float32 or an integer type",
        )
    })?;
    let x = call.value(0)?;
    convert(call, x, element)
}

fn cast_like(call: &mut Call) -> Step<Vec<Entry>> {
    let (x, like) = (call.value(0)?, call.value(1)?);
    let element = call.b.element(like);
    convert(call, x, element)
}

fn convert(call: &mut Call, x: ValueId, to: Element) -> Step<Vec<Entry>> {
    match to {
        Element::BF16 if call.b.element(x) != Element::BF16 => Err(Problem::new(
            "ZT008",
            "Cast to bfloat16 rounds values to 8 bits, which is not reproduced",
            "export the model in float32",
        )),
        Element::U32 | Element::U64 => Err(Problem::new("ZT008", format!("Cast to {to:?}"), "use int64")),
        _ => {
            if to == Element::F64 {
                call.b.note("float64 values are computed as float32");
            }
            if to == Element::F16 {
                call.b.note("float16 values are computed as float32 (more exact than the model asks for)");
            }
            one(call.b.cast(x, to.dtype())?)
        }
    }
}
