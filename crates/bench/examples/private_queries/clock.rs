//! Wall time and processor time.

use std::time::{Duration, Instant};

/// Both clocks at one moment.
#[derive(Clone, Copy)]
pub struct Moment {
    wall: Instant,
    processor: Duration,
}

/// What lies between two moments.
#[derive(Clone, Copy, Default)]
pub struct Spent {
    pub wall: Duration,
    pub processor: Duration,
}

/// Processor time of all threads of this process, by the scheduler's clock: exact to a tick.
fn processor() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let texts = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
    let nanoseconds = |text: String| text.split_whitespace().next()?.parse::<u64>().ok();
    Duration::from_nanos(texts.filter_map(nanoseconds).sum())
}

impl Moment {
    pub fn now() -> Self {
        Self { wall: Instant::now(), processor: processor() }
    }

    pub fn since(&self, before: &Self) -> Spent {
        Spent { wall: self.wall - before.wall, processor: self.processor.saturating_sub(before.processor) }
    }
}

/// Least wall time and mean processor time in milliseconds: "3.1 (4.2)". The least wall time is the run that others
/// disturbed least; single processor times are too coarse.
pub fn text(spent: &[Spent]) -> String {
    let least = spent.iter().map(|one| one.wall).min().unwrap_or_default();
    let sum: Duration = spent.iter().map(|one| one.processor).sum();
    let mean = sum.as_secs_f64() * 1e3 / spent.len().max(1) as f64;
    format!("{:.1} ({mean:.1})", least.as_secs_f64() * 1e3)
}
