//! The integer values of one run, as the kernels read them.

use std::ops::Deref;
use std::sync::Arc;

use program::execute::{self, Assignment};
use program::lower::{Lowered, Place};
use program::types::{Form, Map, View};
use zeroize::Zeroizing;

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

    /// Row-major values of a form over position axes.
    pub fn column(&self, form: &Form, axes: &[usize]) -> Column {
        match form.0.as_slice() {
            [(1, view)] if is_whole(view, &self.lowered.tensors[view.tensor as usize].axes, axes) => {
                Column::Shared(self.shared(view.tensor))
            }
            _ => {
                let values = execute::form_values(form, axes, self.lowered, self.assignment);
                Column::Own(Zeroizing::new(values))
            }
        }
    }
}

/// Row-major values of a form.
pub enum Column {
    /// A tensor's own.
    Shared(Arc<[i64]>),
    /// Worked out.
    Own(Zeroizing<Vec<i64>>),
}

impl Deref for Column {
    type Target = [i64];
    fn deref(&self) -> &[i64] {
        match self {
            Self::Shared(values) => values,
            Self::Own(values) => values,
        }
    }
}

/// Whether a view is its tensor, entry by entry, over these position axes.
fn is_whole(view: &View, dims: &[usize], axes: &[usize]) -> bool {
    let along = |(axis, map): (usize, &Map)| matches!(map, Map::Aff { axis: read, step: 1, off: 0 } if usize::from(*read) == axis);
    dims == axes && view.maps.len() == axes.len() && view.maps.iter().enumerate().all(along)
}
