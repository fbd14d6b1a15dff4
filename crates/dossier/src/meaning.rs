//! What a Program's metadata say of its integers.

use compile::Metadata;
use program::types::{Home, Program};
use record::{Meaning, Semantics};

/// Largest zero point and integer that reals are computed with.
pub const EXACT: i64 = 1 << 53;

/// Metadata of a program, checked against it. None if there is none that makes sense; then
/// integers are shown as they are.
#[must_use]
pub fn read(program: &Program) -> Option<Metadata> {
    let meta = Metadata::from_bytes(&program.metadata).ok()?;
    let inputs: Vec<_> = program.tensors.iter().filter(|t| t.home == Home::Input).collect();
    let count = |shape: &[usize]| shape.iter().try_fold(1usize, |n, &axis| n.checked_mul(axis));
    let unit = |scale: f64, zero: i64| scale.is_finite() && scale > 0.0 && (-EXACT..=EXACT).contains(&zero);
    let fits = meta.inputs.len() == inputs.len()
        && meta.outputs.len() == program.outputs.len()
        && meta.inputs.iter().zip(inputs).all(|(i, t)| {
            let axes: Option<Vec<usize>> =
                t.axes.iter().filter(|&&n| n != 0).map(|&n| usize::try_from(n).ok()).collect();
            let same = axes.is_some_and(|axes| count(&i.shape) == count(&axes));
            unit(i.scale, i.zero) && i.lo == t.lo && i.hi == t.hi && same
        })
        && meta.outputs.iter().all(|o| unit(o.scale, o.zero) && count(&o.shape).is_some());
    fits.then_some(meta)
}

/// What a signed statement says of it. Without metadata the integers are the answer.
#[must_use]
pub fn of_record(program: &Program) -> Meaning {
    let Some(meta) = read(program) else {
        return Meaning { semantics: Semantics::ServedInt, accuracy: None };
    };
    // A word that is not known promises the least.
    let semantics = Semantics::of(&meta.semantics).unwrap_or(Semantics::Bounded);
    Meaning { semantics, accuracy: record::json::unhex(&meta.report_digest) }
}
