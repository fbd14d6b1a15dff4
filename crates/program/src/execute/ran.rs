//! Columns of the operators, computed before it is known what a Statement shows.

use std::sync::Arc;

use zeroize::Zeroize;

use crate::invalid::Site;
use crate::lower::{Lowered, Step};

use super::read::Values;
use super::round;

/// What [`Runner::run_and_keep`](crate::Runner::run_and_keep) computed, for [`execute_ran`](super::execute_ran).
/// Nothing by default. Secret: wiped when nobody else holds it.
#[derive(Clone, Default)]
pub struct Ran {
    /// What every step of an operator made, in order.
    steps: Vec<Made>,
}

/// The columns of one step.
#[derive(Clone)]
struct Made {
    site: Site,
    columns: Vec<Arc<[i64]>>,
}

impl Drop for Ran {
    fn drop(&mut self) {
        let columns = self.steps.iter_mut().flat_map(|made| &mut made.columns);
        for values in columns.filter_map(Arc::get_mut) {
            values.zeroize();
        }
    }
}

impl Ran {
    pub(super) fn of(lowered: &Lowered, values: &Values) -> Self {
        let own =
            |step: &Step| columns(step).into_iter().filter_map(|column| values[column as usize].clone());
        let made = |(_, step, site): (usize, &Step, Site)| Made { site, columns: own(step).collect() };
        Self { steps: operators(lowered).map(made).collect() }
    }

    /// Hands the columns on to a lowered Program that has the same operators; tells of each step whether it
    /// is done.
    pub(super) fn hand_on(&self, lowered: &Lowered, values: &mut Values) -> Vec<bool> {
        let mut done = vec![false; lowered.steps.len()];
        let fits = |(&column, own): (&u32, &Arc<[i64]>)| {
            own.len() == lowered.tensors[column as usize].axes.iter().product::<usize>()
        };
        let same = |((_, step, site), own): ((usize, &Step, Site), &Made)| {
            let columns = columns(step);
            let lengths = columns.len() == own.columns.len() && columns.iter().zip(&own.columns).all(fits);
            site == own.site && lengths
        };
        let count = operators(lowered).count();
        if count != self.steps.len() || !operators(lowered).zip(&self.steps).all(same) {
            return done;
        }
        for ((number, step, _), own) in operators(lowered).zip(&self.steps) {
            done[number] = true;
            for (column, own) in columns(step).into_iter().zip(&own.columns) {
                values[column as usize] = Some(Arc::clone(own));
            }
        }
        done
    }
}

/// Numbers, steps and sites of what the operators need.
fn operators(lowered: &Lowered) -> impl Iterator<Item = (usize, &Step, Site)> {
    let steps = lowered.steps.iter().zip(&lowered.step_sites).enumerate();
    let steps = steps.map(|(number, (step, &site))| (number, step, site));
    steps.filter(|(_, _, site)| matches!(site, Site::Operator(_)))
}

/// The columns that a step makes, in order.
fn columns(step: &Step) -> Vec<u32> {
    match step {
        Step::Limbs { columns, .. } => columns.clone(),
        Step::Table { outs, .. } => outs.clone(),
        Step::Commit { column, .. } => vec![*column],
        Step::Round(round) => round::columns(round, true).into_iter().map(|(column, _)| column).collect(),
        Step::Split { positive, negative, .. } => vec![*positive, *negative],
    }
}
