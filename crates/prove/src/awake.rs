//! Threads that stay awake for a short proof.
//!
//! A proof of a small network is some hundred parallel loops of ten to a hundred microseconds. A thread that finds nothing
//! to do goes to sleep within some ten, and waking it takes as long as its share of a loop, so that the second of two threads
//! hardly helped. See ADR 033.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Threads look for work without sleeping for so long from the beginning of a proof: what is gained is some milliseconds, so
/// longer proofs need it less.
const LONGEST: Duration = Duration::from_millis(50);
/// So many stay awake at most: loops of small proofs are too short for more.
const MOST: usize = 3;

/// How many are being proved in this process.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Counts one as running while it lives.
struct Running {
    alone: bool,
}

impl Running {
    fn begin() -> Self {
        Self { alone: RUNNING.fetch_add(1, Ordering::SeqCst) == 0 }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Sets a flag when it goes, also when that is a panic.
struct Finally<'a>(&'a AtomicBool);

impl Drop for Finally<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Does the work on a thread of the pool, while others stay awake for it. Not if something else is being proved in this process: then there is
/// work for all threads, and none of them should begin another's while it waits for this one's.
pub fn awake<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let running = Running::begin();
    let done = AtomicBool::new(false);
    // On a thread of the pool: from outside every parallel loop would put the caller to sleep and wake it.
    rayon::scope(|scope| {
        let _done = Finally(&done);
        let others = rayon::current_num_threads().saturating_sub(1).min(MOST);
        for _ in 0..if running.alone { others } else { 0 } {
            scope.spawn(|_| help(&done));
        }
        work()
    })
}

/// Does what there is to do in the pool until the work is done.
fn help(done: &AtomicBool) {
    let start = Instant::now();
    let is_over =
        || done.load(Ordering::Acquire) || RUNNING.load(Ordering::SeqCst) > 1 || start.elapsed() > LONGEST;
    while !is_over() {
        if rayon::yield_now() != Some(rayon::Yield::Executed) {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    /// Work is done once, its result comes back, and nobody waits for it afterwards, whether it ends or fails, alone or not.
    #[test]
    fn work_ends_whoever_is_awake() {
        let sum = || (0..1000u64).into_par_iter().sum::<u64>();
        assert_eq!(awake(sum), 499_500);
        assert_eq!(awake(|| (awake(sum), awake(sum))), (499_500, 499_500));
        let failed = std::panic::catch_unwind(|| awake(|| assert_eq!(sum(), 0)));
        assert!(failed.is_err());
        let both = std::thread::scope(|scope| {
            let each = [(); 4].map(|()| scope.spawn(|| awake(sum)));
            each.map(|thread| thread.join().expect("no panic"))
        });
        assert_eq!(both, [499_500; 4]);
    }
}
