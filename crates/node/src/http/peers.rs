//! How many peers there are, and how many of them are connected.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The engine's metric that has a line for each peer while it is connected. Its network tells of it in no other way.
const CONNECTED: &str = "network_tracker_directory_connected{";
/// Time for which a count holds: to write all metrics takes a while, and everybody may ask.
const HOLDS: Duration = Duration::from_secs(1);

/// Peers of a node.
#[derive(Default)]
pub(super) struct Peers {
    configured: AtomicUsize,
    counted: Mutex<Option<(Instant, usize)>>,
}

impl Peers {
    /// Notes how many the node is told of.
    pub fn set(&self, configured: usize) {
        self.configured.store(configured, Ordering::Relaxed);
    }

    /// How many the node is told of.
    pub fn configured(&self) -> usize {
        self.configured.load(Ordering::Relaxed)
    }

    /// How many are connected, by the engine's metrics of a second ago at most.
    pub fn connected(&self, metrics: impl FnOnce() -> String) -> usize {
        self.connected_at(Instant::now(), metrics)
    }

    fn connected_at(&self, now: Instant, metrics: impl FnOnce() -> String) -> usize {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, count)) = counted.filter(|(at, _)| now.saturating_duration_since(*at) < HOLDS) {
            return count;
        }
        let count = count(&metrics());
        *counted = Some((now, count));
        count
    }
}

fn count(metrics: &str) -> usize {
    metrics.lines().filter(|line| line.starts_with(CONNECTED)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_metrics_is_a_peer() {
        let metrics = "# HELP network_tracker_directory_connected Unix timestamp.\n\
            # TYPE network_tracker_directory_connected gauge\n\
            network_tracker_directory_connected{peer=\"0a\"} 1790000000000\n\
            network_tracker_directory_connected{peer=\"0b\"} 1790000000001\n\
            network_tracker_directory_tracked 3\n";
        let peers = Peers::default();
        peers.set(3);
        assert_eq!((peers.connected(|| metrics.to_string()), peers.configured()), (2, 3));
        assert_eq!(count(""), 0);
    }

    #[test]
    fn metrics_are_written_once_a_second() {
        let (peers, began) = (Peers::default(), Instant::now());
        let line = format!("{CONNECTED}peer=\"0a\"}} 1\n");
        let found: Vec<usize> = [0, 400, 999, 1_000, 1_500]
            .into_iter()
            .zip(1..)
            .map(|(after, lines)| {
                peers.connected_at(began + Duration::from_millis(after), || line.repeat(lines))
            })
            .collect();
        assert_eq!(found, [1, 1, 1, 4, 4]);
    }
}
