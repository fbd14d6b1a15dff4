//! What the system says of this process and machine; nothing where it says nothing.

/// A number of `/proc/self/status` or `/proc/meminfo`, in bytes.
#[must_use]
pub fn kilobytes(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|k| k * 1024)
}

/// Processor time of this process, in milliseconds (steps of 10).
#[must_use]
pub fn cpu_ms() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10.0
}
