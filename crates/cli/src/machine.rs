//! What the system says of itself.

use crate::failure::{Failure, MEMORY, Outcome};
use crate::text;

fn kilobytes(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse().ok()
}

/// Most memory this process ever held, in bytes; none where the system does not say.
pub fn peak_rss() -> Option<u64> {
    kilobytes("/proc/self/status", "VmHWM").map(|kb| kb * 1024)
}

/// Memory that can be had, in bytes; none where the system does not say.
pub fn available_memory() -> Option<u64> {
    kilobytes("/proc/meminfo", "MemAvailable").map(|kb| kb * 1024)
}

/// Refuses work that needs more memory than there is; where the system does not say, it is tried.
pub fn refuse_beyond(needed: u64, free: Option<u64>, fix: &str) -> Outcome<()> {
    match free {
        Some(free) if needed > free => {
            let reason = format!("about {} needed, {} free", text::size(needed), text::size(free));
            Err(Failure::world(MEMORY, "memory", reason, fix))
        }
        _ => Ok(()),
    }
}

/// Processor milliseconds of this process, all threads; none where the system does not say.
pub fn cpu_ms() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    // Linux counts in hundredths of a second for every program.
    Some((user + system) * 10.0)
}
