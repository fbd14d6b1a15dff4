//! The integer values of one run, as the kernels read them.

use std::sync::Arc;

use program::execute::{self, Assignment};
use program::lower::{Lowered, Place};
use program::types::Form;

/// Values of every tensor of a lowered program.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// The lowered program.
    pub lowered: &'a Lowered,
    /// Its values.
    pub assignment: &'a Assignment,
}

impl Values<'_> {
    /// Row-major values of a tensor.
    pub fn of(&self, tensor: u32) -> &[i64] {
        &self.assignment.values[tensor as usize]
    }

    /// Values of a tensor for a view; all ones are made on the spot.
    pub fn shared(&self, tensor: u32) -> Arc<[i64]> {
        let placed = &self.lowered.tensors[tensor as usize];
        if placed.place == Place::Ones {
            return vec![1; placed.axes.iter().product()].into();
        }
        Arc::clone(&self.assignment.values[tensor as usize])
    }
}

/// Row-major values of a form over position axes.
pub fn form_values(form: &Form, axes: &[usize], values: &Values<'_>) -> Vec<i64> {
    execute::form_values(form, axes, values.lowered, values.assignment)
}
