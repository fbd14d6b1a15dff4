//! One check, as a line for people.

use record::json::{Json, list, object};

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It holds.
    Passed,
    /// It does not; nothing after it was looked at.
    Failed,
    /// It cannot be decided with what is here.
    Open,
}

impl State {
    /// Its word in JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Open => "open",
        }
    }
}

/// A check and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What was checked.
    pub name: &'static str,
    /// What came of it.
    pub state: State,
    /// In words.
    pub detail: String,
}

/// The lines of one examination, in order. The first failure ends it.
#[derive(Debug, Default)]
pub struct Lines(Vec<Line>);

impl Lines {
    /// Adds a line.
    pub fn note(&mut self, name: &'static str, state: State, detail: impl Into<String>) {
        self.0.push(Line { name, state, detail: detail.into() });
    }

    /// Adds a line that passed, or the failure; `None` after a failure.
    pub fn settle<T, E: core::fmt::Display>(
        &mut self,
        name: &'static str,
        outcome: Result<T, E>,
        detail: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.note(name, State::Passed, detail(&value));
                Some(value)
            }
            Err(why) => {
                self.note(name, State::Failed, why.to_string());
                None
            }
        }
    }

    /// The answer: whether all holds, the lines, and what is shown, which is nothing unless all holds.
    pub fn answer(self, key: &str, shown: Option<Json>) -> Json {
        let accepted = shown.is_some() && self.0.iter().all(|line| line.state != State::Failed);
        let lines = self.0.into_iter().map(|line| {
            object([
                ("name", line.name.into()),
                ("state", line.state.word().into()),
                ("detail", line.detail.into()),
            ])
        });
        let mut answer = object([("accepted", accepted.into()), ("checks", list(lines))]);
        if let (Json::Map(map), Some(shown), true) = (&mut answer, shown, accepted) {
            map.insert(key.to_string(), shown);
        }
        answer
    }
}
