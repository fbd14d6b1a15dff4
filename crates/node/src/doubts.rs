//! Answers that cannot be judged yet: dossiers without their shared parts, of which one is not here `[U7]`.
//!
//! The first dossier of an epoch comes so from everybody. What names parts that no dossier has looks the same until the whole
//! is here; then its sender is known for what it is.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use certify::hash::Digest;
use commonware_utils::channel::oneshot;
use dossier::compact;

/// Bytes of answers that wait, in all.
const WAITING: usize = 16 << 20;
/// Bytes that each counts beside its own: there are never many, for the oldest is looked for among all.
const ROOM: usize = 16 << 10;

struct Answer {
    number: u64,
    bytes: Bytes,
    is_right: oneshot::Sender<bool>,
}

#[derive(Default)]
struct Inner {
    cost: usize,
    next: u64,
    answers: HashMap<Digest, Answer>,
}

/// Answers that wait for the whole they are of, the youngest of them.
#[derive(Default)]
pub struct Doubts(Mutex<Inner>);

fn cost(answer: &Answer) -> usize {
    answer.bytes.len().saturating_add(ROOM)
}

impl Inner {
    fn take(&mut self, digest: &Digest) -> Option<Answer> {
        let answer = self.answers.remove(digest)?;
        self.cost = self.cost.saturating_sub(cost(&answer));
        Some(answer)
    }
}

impl Doubts {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an answer until its whole is here. Whoever waits for `is_right` hears nothing if it has to make way.
    pub fn hold(&self, digest: Digest, bytes: Bytes, is_right: oneshot::Sender<bool>) {
        let mut inner = self.lock();
        drop(inner.take(&digest));
        let answer = Answer { number: inner.next, bytes, is_right };
        inner.next = inner.next.saturating_add(1);
        inner.cost = inner.cost.saturating_add(cost(&answer));
        inner.answers.insert(digest, answer);
        while inner.cost > WAITING {
            let oldest =
                inner.answers.iter().min_by_key(|(_, answer)| answer.number).map(|(digest, _)| *digest);
            let Some(oldest) = oldest else { break };
            drop(inner.take(&oldest));
        }
    }

    /// Answers that wait.
    pub fn open(&self) -> Vec<(Digest, Bytes)> {
        self.lock().answers.iter().map(|(digest, answer)| (*digest, answer.bytes.clone())).collect()
    }

    /// Tells that what was answered is not of this name, whatever the whole is.
    pub fn refuse(&self, digest: &Digest) {
        if let Some(Answer { is_right, .. }) = self.lock().take(digest) {
            let _ = is_right.send(false);
        }
    }

    /// Tells whether what was answered is of this dossier, which is whole and has the name.
    pub fn settle(&self, digest: &Digest, whole: &[u8]) {
        let answer = self.lock().take(digest);
        if let Some(Answer { bytes, is_right, .. }) = answer {
            // Nobody may wait any more.
            let _ = is_right.send(compact::is_of(&bytes, whole));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dossier(number: u8) -> (Digest, Bytes) {
        let mut file = dossier::bytes::Writer::versioned(b"ZTPF", 3);
        [vec![1; 5_000], vec![number; 9_000], vec![2; 100], vec![3; 5_000]]
            .iter()
            .for_each(|part| file.framed(part));
        let (proof, salts, statement, signer) = (file.done().to_vec(), vec![4], vec![5], vec![6]);
        let bytes = dossier::Dossier { proof, salts, statement, signer, ranges: None }.encode();
        (*blake3::hash(&bytes).as_bytes(), bytes.into())
    }

    /// Nothing is said before the whole is here; then who named parts that it has not is found out.
    #[test]
    fn answers_are_judged_by_the_whole() {
        let doubts = Doubts::default();
        let (name, whole) = dossier(7);
        let honest: Bytes = compact::compact(&whole).unwrap().bytes.into();
        let mut bent = honest.to_vec();
        // The name of the first part.
        bent[50] ^= 1;
        for (answer, expected) in [(honest, true), (Bytes::from(bent), false)] {
            let (sender, mut receiver) = oneshot::channel();
            doubts.hold(name, answer, sender);
            doubts.settle(&dossier(8).0, &dossier(8).1);
            assert!(receiver.try_recv().is_err(), "nothing is known yet");
            doubts.settle(&name, &whole);
            assert_eq!(receiver.try_recv(), Ok(expected));
            doubts.settle(&name, &whole);
        }
        assert_eq!(doubts.lock().cost, 0);
    }

    #[test]
    fn the_oldest_answers_make_way() {
        let doubts = Doubts::default();
        let bytes = Bytes::from(vec![0; WAITING / 4]);
        let mut list: Vec<_> = (0..5u8)
            .map(|i| {
                let (sender, receiver) = oneshot::channel();
                doubts.hold([i; 32], bytes.clone(), sender);
                receiver
            })
            .collect();
        assert!(doubts.lock().cost <= WAITING && doubts.lock().answers.len() == 3);
        let closed = |receiver: &mut oneshot::Receiver<bool>| {
            matches!(receiver.try_recv(), Err(oneshot::error::TryRecvError::Closed))
        };
        assert_eq!(list.iter_mut().map(closed).collect::<Vec<_>>(), [true, true, false, false, false]);
        // Small ones are bounded by their number.
        for i in 0..2 * WAITING / ROOM {
            let mut name = [9; 32];
            name[..8].copy_from_slice(&i.to_le_bytes());
            doubts.hold(name, Bytes::new(), oneshot::channel().0);
        }
        assert!(doubts.lock().answers.len() <= WAITING / ROOM);
    }
}
