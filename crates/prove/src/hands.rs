//! The executor on all threads.

use std::collections::BTreeMap;

use program::lower::Lowered;
use program::{Assignment, ExecuteError, Hands, Job, Prepared, Ran, Runner, execute_ran};
use rayon::prelude::*;

/// The threads of the pool this is called on.
fn all() -> Hands {
    let all = |jobs: Vec<Job<'_>>| jobs.into_par_iter().with_max_len(1).for_each(|job| job());
    Hands { count: rayon::current_num_threads(), all }
}

/// As [`Runner::run_and_keep`], on all threads.
///
/// # Errors
/// As there.
pub fn run<I, M>(
    runner: &Runner,
    inputs: &BTreeMap<u32, I>,
    model: &BTreeMap<u32, M>,
) -> Result<(Vec<Vec<i64>>, Ran), ExecuteError>
where
    I: Clone + Into<Prepared> + Sync,
    M: Clone + Into<Prepared> + Sync,
{
    // On a thread of the pool: from outside every parallel loop would put the caller to sleep and wake it.
    rayon::scope(|_| runner.run_and_keep(inputs, model, all()))
}

/// As [`program::execute()`], on all threads; columns that [`run`] computed are taken from there.
///
/// # Errors
/// As there.
pub fn execute<I, M>(
    lowered: &Lowered,
    inputs: &BTreeMap<u32, I>,
    model: &BTreeMap<u32, M>,
    ran: Ran,
) -> Result<Assignment, ExecuteError>
where
    I: Clone + Into<Prepared> + Sync,
    M: Clone + Into<Prepared> + Sync,
{
    rayon::scope(|_| execute_ran(lowered, inputs, model, ran, all()))
}
