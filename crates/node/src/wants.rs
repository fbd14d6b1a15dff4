//! What peers are asked for, and for how long by now: what nobody wants any more is asked for no more.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use certify::hash::Digest;

/// How long a seat that must judge waits for one peer alone.
const PATIENCE: Duration = Duration::from_millis(250);
/// Time after which what was not asked for again is given up: a round that is open, or a block that waits, asks again
/// every few milliseconds.
const LONG: Duration = Duration::from_secs(60);
/// Names that are asked for at a time.
const WANTS: usize = 4096;

#[derive(Clone, Copy)]
struct Asked {
    /// When a seat or a block wanted it first; nothing if it was only fetched in advance.
    wanted: Option<SystemTime>,
    last: SystemTime,
}

/// What is asked for.
#[derive(Default)]
pub struct Wants(BTreeMap<Digest, Asked>);

fn since(then: SystemTime, now: SystemTime) -> Duration {
    // A clock that was set back makes nothing old.
    now.duration_since(then).unwrap_or_default()
}

impl Wants {
    /// Notes that bytes are asked for.
    pub fn note(&mut self, name: Digest, now: SystemTime) {
        if self.0.len() >= WANTS && !self.0.contains_key(&name) {
            self.prune(now);
            while self.0.len() >= WANTS {
                let oldest = self.0.iter().min_by_key(|(_, asked)| asked.last).map(|(name, _)| *name);
                oldest.and_then(|oldest| self.0.remove(&oldest));
            }
        }
        self.0.entry(name).or_insert(Asked { wanted: None, last: now }).last = now;
    }

    /// Notes that a seat or a block wants bytes; whether it has for long.
    pub fn is_late(&mut self, name: Digest, now: SystemTime) -> bool {
        self.note(name, now);
        let first = self.0.get_mut(&name).map(|asked| *asked.wanted.get_or_insert(now));
        first.is_some_and(|first| since(first, now) > PATIENCE)
    }

    /// Whether a seat or a block wants bytes, not only a transaction that waits.
    pub fn is_wanted(&self, name: &Digest) -> bool {
        self.0.get(name).is_some_and(|asked| asked.wanted.is_some())
    }

    /// Gives up what was not asked for again for long.
    pub fn prune(&mut self, now: SystemTime) {
        self.0.retain(|_, asked| since(asked.last, now) <= LONG);
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &Digest> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(i: usize) -> Digest {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&i.to_be_bytes());
        name
    }

    fn has(wants: &Wants, i: usize) -> bool {
        wants.names().any(|found| *found == name(i))
    }

    /// A want is late after a while and not before; what was fetched in advance only is not wanted.
    #[test]
    fn wants_are_late_after_a_while() {
        let (mut wants, start) = (Wants::default(), SystemTime::UNIX_EPOCH);
        wants.note(name(0), start);
        let start = start + 4 * PATIENCE;
        assert!(!wants.is_wanted(&name(0)));
        assert!(!wants.is_late(name(0), start));
        assert!(wants.is_wanted(&name(0)) && !wants.is_wanted(&name(1)));
        assert!(!wants.is_late(name(0), start + PATIENCE));
        assert!(wants.is_late(name(0), start + 2 * PATIENCE));
        assert!(!wants.is_late(name(1), start + 2 * PATIENCE), "its own time");
        assert!(
            !wants.is_late(name(1), SystemTime::UNIX_EPOCH),
            "a clock that was set back makes nothing late"
        );
    }

    /// What is asked for again stays; the rest is given up, and of a flood the newest stay.
    #[test]
    fn what_nobody_asks_for_is_given_up() {
        let (mut wants, start) = (Wants::default(), SystemTime::UNIX_EPOCH);
        wants.note(name(0), start);
        wants.note(name(1), start);
        wants.note(name(1), start + LONG);
        wants.prune(start + LONG);
        assert!(has(&wants, 0) && has(&wants, 1));
        wants.prune(start + LONG + PATIENCE);
        assert!(!has(&wants, 0) && has(&wants, 1));
        for i in 2..3 * WANTS {
            wants.note(name(i), start + LONG + PATIENCE * u32::try_from(i).unwrap() / 1_000_000);
            assert!(has(&wants, i) && wants.names().count() <= WANTS);
        }
        assert!(!has(&wants, 1) && !has(&wants, 2));
    }
}
