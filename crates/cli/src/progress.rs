//! One bar per phase on a terminal; nothing elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Whether and where progress is shown.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    shown: bool,
}

/// A phase under way; dropping it clears its line.
pub struct Phase(Option<ProgressBar>);

impl Progress {
    /// On standard error if that is a terminal and `quiet` is not asked for.
    pub fn new(quiet: bool) -> Self {
        Self { shown: !quiet && std::io::stderr().is_terminal() }
    }

    /// A line that stays, where progress is shown.
    pub fn note(&self, words: &str) {
        if self.shown {
            anstream::eprintln!("{words}");
        }
    }

    /// Starts a phase. With an expected time, the time left is shown.
    pub fn phase(&self, name: &'static str, expected_ms: Option<f64>) -> Phase {
        if !self.shown {
            return Phase(None);
        }
        let bar = ProgressBar::new_spinner().with_message(name);
        let left = move |state: &ProgressState, w: &mut dyn std::fmt::Write| {
            let Some(expected) = expected_ms.filter(|&ms| ms > 2_000.0) else { return };
            let left = expected / 1e3 - state.elapsed().as_secs_f64();
            let _ =
                if left > 0.5 { write!(w, ", about {left:.0} s left") } else { write!(w, ", nearly done") };
        };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}{left}") {
            bar.set_style(style.with_key("left", left));
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Phase(Some(bar))
    }
}

impl Phase {
    /// A phase that shows nothing.
    pub fn silent() -> Self {
        Self(None)
    }

    /// Names the step under way.
    pub fn step(&self, name: &str) {
        if let Some(bar) = &self.0 {
            bar.set_message(format!("prove: {name}"));
        }
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
