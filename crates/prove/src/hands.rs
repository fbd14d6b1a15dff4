//! The executor on all threads.

use std::collections::BTreeMap;

use program::lower::Lowered;
use program::{Assignment, ExecuteError, Hands, Job, Prepared, Ran, Runner, execute_ran};
use rayon::prelude::*;

/// Tensors of fewer entries together are computed before another thread is awake.
const LEAST: usize = 1 << 18;

/// Does work on tensors of so many entries with all threads if it is worth it.
fn on_all<R: Send>(entries: usize, work: impl FnOnce(Hands) -> R + Send) -> R {
    if entries < LEAST {
        return work(Hands::ALONE);
    }
    let all = |jobs: Vec<Job<'_>>| jobs.into_par_iter().with_max_len(1).for_each(|job| job());
    // On a thread of the pool: from outside every parallel loop would put the caller to sleep and wake it.
    rayon::scope(|_| work(Hands { count: rayon::current_num_threads(), all }))
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
    on_all(runner.entries(), |hands| runner.run_and_keep(inputs, model, hands))
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
    on_all(lowered.entries(), |hands| execute_ran(lowered, inputs, model, ran, hands))
}
