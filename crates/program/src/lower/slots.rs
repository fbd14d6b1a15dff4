//! What the slots of a Statement must hold.

use std::sync::Arc;

use super::{EXTRA, Lowered, entries, expand, wide};
use crate::interval::Fact;
use crate::invalid::{Invalid, Reason, Site, at_most, same, structure, within};
use crate::limits;
use crate::types::{Disclosure, Home, InputMode, Program, Reveal};
use crate::validate::{Analysis, number};

/// What a slot must hold.
#[derive(Clone, Debug)]
pub(super) struct SlotRule {
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
            rules.push(SlotRule { length, lo: tensor.lo, hi: tensor.hi });
        }
    }
    for (index, reveal) in disclosure.reveals.iter().enumerate() {
        match reveal {
            Reveal::Values { output } => {
                let (_, fact) = output_fact(program, analysis, index, *output)?;
                let length = entries(&expand(&fact.axes, batch));
                rules.push(SlotRule { length, lo: fact.lo, hi: fact.hi });
            }
            Reveal::Label { output } => {
                let (_, fact) = output_fact(program, analysis, index, *output)?;
                let (lead, classes) = label_axes(fact, number(index))?;
                let hi = i64::from(classes).saturating_sub(1);
                let length = entries(&expand(lead, batch));
                rules.push(SlotRule { length, lo: 0, hi });
                // The one-hot label and the strict-order indicator.
                let flags = wide(entries(&expand(&fact.axes, batch))).saturating_mul(2);
                public = public.saturating_add(flags);
            }
            Reveal::Threshold { output, .. } => {
                output_fact(program, analysis, index, *output)?;
            }
        }
    }
    at_most(Site::Shape, "label flags", public, limits::LABEL_FLAGS)?;
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

/// Checks the slots of a Statement against their rules.
pub(super) fn check(rules: &[SlotRule], slots: &[Vec<i64>]) -> Result<(), Invalid> {
    same(Site::Shape, "slots", wide(slots.len()), wide(rules.len()))?;
    for (index, (rule, values)) in rules.iter().zip(slots).enumerate() {
        let site = Site::Slot(number(index));
        same(site, "slot values", wide(values.len()), wide(rule.length))?;
        for &value in values {
            within(site, "slot value", i128::from(value), i128::from(rule.lo), i128::from(rule.hi))?;
        }
    }
    Ok(())
}

/// The public tensors that the values of a slot make.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// The tensor holds the values themselves.
    Values { tensor: u32 },
    /// Labels: where the class is the label, and where it comes before it.
    Label { one_hot: u32, before: u32, classes: usize },
}

impl Target {
    /// Tensor numbers and contents.
    fn contents(self, values: &[i64]) -> [Option<(u32, Arc<[i64]>)>; 2] {
        let flags = |classes: usize, pick: fn(i64, i64) -> bool| -> Arc<[i64]> {
            let row = |&label: &i64| (0i64..).take(classes).map(move |i| i64::from(pick(i, label)));
            values.iter().flat_map(row).collect()
        };
        match self {
            Self::Values { tensor } => [Some((tensor, values.into())), None],
            Self::Label { one_hot, before, classes } => [
                Some((one_hot, flags(classes, |i, label| i == label))),
                Some((before, flags(classes, |i, label| i < label))),
            ],
        }
    }

    /// Gives extra public tensors their final numbers.
    fn renumber(&mut self, base: u32) {
        let renumber = |tensor: &mut u32| {
            *tensor = tensor.checked_sub(EXTRA).map_or(*tensor, |extra| base.saturating_add(extra));
        };
        match self {
            Self::Values { tensor } => renumber(tensor),
            Self::Label { one_hot, before, .. } => [one_hot, before].into_iter().for_each(renumber),
        }
    }
}

/// What the slots of a Statement must hold, and where it goes.
#[derive(Clone, Debug)]
pub struct SlotPlan {
    rules: Vec<SlotRule>,
    targets: Vec<Target>,
}

impl SlotPlan {
    pub(super) fn new(rules: Vec<SlotRule>, mut targets: Vec<Target>, base: u32) -> Self {
        targets.iter_mut().for_each(|target| target.renumber(base));
        Self { rules, targets }
    }

    /// The relations of the Statement with these slots, which are checked.
    ///
    /// # Errors
    /// When their number, lengths or values are not those of the Program and the disclosure.
    pub fn fill(&self, lowered: &Lowered, slots: &[Vec<i64>]) -> Result<Lowered, Invalid> {
        check(&self.rules, slots)?;
        let mut filled = lowered.clone();
        let contents = self.targets.iter().zip(slots).flat_map(|(target, values)| target.contents(values));
        for (tensor, content) in contents.flatten() {
            let placed = usize::try_from(tensor).ok().and_then(|t| filled.tensors.get_mut(t));
            placed.into_iter().for_each(|placed| placed.content = Some(Arc::clone(&content)));
        }
        Ok(filled)
    }
}
