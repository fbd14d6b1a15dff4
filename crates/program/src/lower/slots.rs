//! What the slots of a Statement must hold.

use super::{Shape, entries, expand, wide};
use crate::interval::Fact;
use crate::invalid::{Invalid, Reason, Site, at_most, same, structure, within};
use crate::limits;
use crate::types::{Disclosure, Home, InputMode, Program, Reveal};
use crate::validate::{Analysis, number};

/// What a slot must hold.
pub(super) struct SlotRule {
    /// The reveal it belongs to; none for a public input.
    reveal: Option<usize>,
    pub(super) length: usize,
    lo: i64,
    hi: i64,
}

/// Number, axes and interval of the tensor behind an output.
pub(super) fn output_fact<'a>(
    program: &Program,
    analysis: &'a Analysis,
    reveal: usize,
    output: u32,
) -> Result<(u32, &'a Fact), Invalid> {
    let missing = Invalid {
        site: Site::Reveal(number(reveal)),
        reason: Reason::Structure("a reveal names an output that does not exist"),
    };
    let tensor = usize::try_from(output).ok().and_then(|o| program.outputs.get(o)).ok_or(missing)?;
    let index = usize::try_from(*tensor).map_err(|_| missing)?;
    Ok((*tensor, analysis.facts.get(index).ok_or(missing)?))
}

pub(super) fn slot_rules(
    program: &Program,
    analysis: &Analysis,
    batch: u32,
    disclosure: &Disclosure,
) -> Result<Vec<SlotRule>, Invalid> {
    let inputs = program.tensors.iter().filter(|tensor| tensor.home == Home::Input);
    let mut rules: Vec<SlotRule> = Vec::new();
    let mut public = 0u64;
    for (tensor, mode) in inputs.zip(&disclosure.inputs) {
        if *mode == InputMode::Public {
            let length = entries(&expand(&tensor.axes, batch));
            rules.push(SlotRule { reveal: None, length, lo: tensor.lo, hi: tensor.hi });
        }
    }
    for (index, reveal) in disclosure.reveals.iter().enumerate() {
        match reveal {
            Reveal::Values { output } => {
                let (_, fact) = output_fact(program, analysis, index, *output)?;
                let length = entries(&expand(&fact.axes, batch));
                rules.push(SlotRule { reveal: Some(index), length, lo: fact.lo, hi: fact.hi });
            }
            Reveal::Label { output } => {
                let (_, fact) = output_fact(program, analysis, index, *output)?;
                let (lead, classes) = label_axes(fact, number(index))?;
                let hi = i64::from(classes).saturating_sub(1);
                let length = entries(&expand(lead, batch));
                rules.push(SlotRule { reveal: Some(index), length, lo: 0, hi });
                // The one-hot label and the strict-order indicator.
                let flags = wide(entries(&expand(&fact.axes, batch))).saturating_mul(2);
                public = public.saturating_add(flags);
            }
            Reveal::Threshold { output, .. } => {
                output_fact(program, analysis, index, *output)?;
            }
        }
    }
    let values = rules.iter().fold(public, |sum, rule| sum.saturating_add(wide(rule.length)));
    at_most(Site::Shape, "slot values and label flags", values, limits::SLOT_VALUES)?;
    Ok(rules)
}

/// Leading axes and number of classes of an output whose label is shown.
fn label_axes(fact: &Fact, reveal: u32) -> Result<(&[u32], u32), Invalid> {
    match fact.axes.split_last() {
        Some((&classes, lead)) if classes > 0 => Ok((lead, classes)),
        _ => structure(Site::Reveal(reveal), "a label needs a last axis of classes"),
    }
}

/// Slot contents, checked, by who uses them.
pub(super) struct Slots<'a> {
    /// Contents of the public inputs, in order.
    pub(super) inputs: Vec<&'a [i64]>,
    /// Contents per reveal.
    pub(super) reveals: Vec<Option<&'a [i64]>>,
}

impl<'a> Slots<'a> {
    pub(super) fn read(
        program: &Program,
        analysis: &Analysis,
        shape: &Shape<'a>,
    ) -> Result<Slots<'a>, Invalid> {
        let rules = slot_rules(program, analysis, shape.batch, shape.disclosure)?;
        same(Site::Shape, "slots", wide(shape.slots.len()), wide(rules.len()))?;
        let mut slots = Slots { inputs: Vec::new(), reveals: vec![None; shape.disclosure.reveals.len()] };
        for (index, (rule, values)) in rules.iter().zip(shape.slots).enumerate() {
            let site = Site::Slot(number(index));
            same(site, "slot values", wide(values.len()), wide(rule.length))?;
            for &value in values {
                within(site, "slot value", i128::from(value), i128::from(rule.lo), i128::from(rule.hi))?;
            }
            match rule.reveal {
                None => slots.inputs.push(values),
                Some(reveal) => {
                    slots.reveals.get_mut(reveal).into_iter().for_each(|slot| *slot = Some(values));
                }
            }
        }
        Ok(slots)
    }
}
