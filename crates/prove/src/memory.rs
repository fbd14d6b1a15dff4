//! Long vectors, made and wiped by all threads, and kept for the next that is needed.
//!
//! Whoever touches a page first waits until the system has cleared it, which takes longer than most
//! passes over it. So long vectors come back here when they are done with, and serve again: later in the same proof,
//! and in the next one of the process. Wiped at once ([`recycle`]), or, while something is being proved, when that is done
//! ([`reuse`]): what is written over soon need not be wiped before. See ADR 018.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use algebra::{F, K};
use rayon::prelude::*;
use zeroize::Zeroize;

/// Vectors up to this length are not split between threads, and not kept.
const ALONE: usize = 1 << 14;
/// Bytes kept of each type at most.
const KEPT_MAX: usize = 1 << 28;

/// What long vectors hold.
pub trait Element: Copy + Send + Sync + Zeroize + 'static {
    /// Zero.
    const ZERO: Self;
    /// Vectors that wait to be used again.
    fn kept() -> &'static Mutex<Kept<Self>>;
}

/// Vectors that wait, each as long as its capacity.
pub struct Kept<T> {
    /// All zeros, and after how many proofs they came.
    clean: Vec<(Vec<T>, usize)>,
    /// As they were left.
    used: Vec<Vec<T>>,
}

impl<T> Kept<T> {
    const NONE: Self = Self { clean: Vec::new(), used: Vec::new() };

    /// The place of the shortest that has `n` entries and at most twice as many.
    fn fits(lengths: impl Iterator<Item = usize>, n: usize) -> Option<usize> {
        let fits = |(_, length): &(usize, usize)| (n..=2 * n).contains(length);
        lengths.enumerate().filter(fits).min_by_key(|&(_, length)| length).map(|(i, _)| i)
    }

    /// Zeros, `n` to twice as many.
    fn take_clean(&mut self, n: usize) -> Option<Vec<T>> {
        let place = Self::fits(self.clean.iter().map(|(vector, _)| vector.len()), n);
        place.map(|i| self.clean.swap_remove(i).0)
    }

    /// Anything, `n` to twice as many entries.
    fn take_used(&mut self, n: usize) -> Option<Vec<T>> {
        let place = Self::fits(self.used.iter().map(Vec::len), n);
        place.map(|i| self.used.swap_remove(i))
    }

    /// Gives back what nobody has taken since [`PATIENCE`] proofs, now that so many are done.
    fn forget(&mut self, done: usize) {
        self.clean.retain(|&(_, came)| done.saturating_sub(came) <= PATIENCE);
    }

    /// Whether so many bytes more may be kept.
    fn has_room(&self, bytes: usize) -> bool {
        let clean = self.clean.iter().map(|(vector, _)| vector);
        clean.chain(&self.used).map(Vec::len).sum::<usize>() * size_of::<T>() + bytes <= KEPT_MAX
    }
}

impl Element for F {
    const ZERO: Self = Self::ZERO;
    fn kept() -> &'static Mutex<Kept<Self>> {
        static KEPT: Mutex<Kept<F>> = Mutex::new(Kept::NONE);
        &KEPT
    }
}

impl Element for i16 {
    const ZERO: Self = 0;
    fn kept() -> &'static Mutex<Kept<Self>> {
        static KEPT: Mutex<Kept<i16>> = Mutex::new(Kept::NONE);
        &KEPT
    }
}

impl Element for [u8; 32] {
    const ZERO: Self = [0; 32];
    fn kept() -> &'static Mutex<Kept<Self>> {
        static KEPT: Mutex<Kept<[u8; 32]>> = Mutex::new(Kept::NONE);
        &KEPT
    }
}

impl Element for K {
    const ZERO: Self = Self::ZERO;
    fn kept() -> &'static Mutex<Kept<Self>> {
        static KEPT: Mutex<Kept<K>> = Mutex::new(Kept::NONE);
        &KEPT
    }
}

/// How many are proving, so that what they leave is wiped in the end.
static PROVING: AtomicUsize = AtomicUsize::new(0);
/// How many proofs are done.
static DONE: AtomicUsize = AtomicUsize::new(0);
/// What nobody wanted in so many proofs is given back.
const PATIENCE: usize = 4;

/// As long as it lives [`reuse`] keeps vectors as they are; they are wiped when it goes, those of other proofs with them.
pub struct Proving(());

impl Proving {
    /// Begins.
    pub fn begin() -> Self {
        PROVING.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Proving {
    fn drop(&mut self) {
        PROVING.fetch_sub(1, Ordering::SeqCst);
        DONE.fetch_add(1, Ordering::SeqCst);
        settle::<F>();
        settle::<K>();
        settle::<i16>();
        settle::<[u8; 32]>();
    }
}

/// Wipes what was left as it was, and gives back what nobody wants.
fn settle<T: Element>() {
    let used = std::mem::take(&mut lock::<T>().used);
    used.into_iter().for_each(recycle);
    let done = DONE.load(Ordering::SeqCst);
    lock::<T>().forget(done);
}

/// `n` zeros.
pub fn zeros<T: Element>(n: usize) -> Vec<T> {
    if n <= ALONE {
        return vec![T::ZERO; n];
    }
    let clean = lock::<T>().take_clean(n);
    if let Some(mut vector) = clean {
        vector.truncate(n);
        return vector;
    }
    let used = lock::<T>().take_used(n);
    match used {
        Some(mut vector) => {
            blank(&mut vector);
            vector.truncate(n);
            vector
        }
        None => rayon::iter::repeat_n(T::ZERO, n).with_min_len(ALONE).collect(),
    }
}

/// `n` entries of any kind, for who writes over all of them: zeros, or what was given to [`reuse`].
pub fn scratch<T: Element>(n: usize) -> Vec<T> {
    let used = if n <= ALONE { None } else { lock::<T>().take_used(n) };
    match used {
        Some(mut vector) => {
            // Not everybody gives it back: what is not written over is wiped.
            blank(&mut vector[n..]);
            vector.truncate(n);
            vector
        }
        None => zeros(n),
    }
}

/// Wipes a vector, whole capacity, and keeps it if it is long.
pub fn recycle<T: Element>(mut values: Vec<T>) {
    // What lies beyond the length may have been in use.
    values.resize(values.capacity(), T::ZERO);
    if values.len() <= ALONE || !lock::<T>().has_room(values.len() * size_of::<T>()) {
        return wipe(&mut values);
    }
    blank(&mut values);
    let mut kept = lock::<T>();
    if kept.has_room(values.len() * size_of::<T>()) {
        kept.clean.push((values, DONE.load(Ordering::SeqCst)));
    }
}

/// Keeps a vector as it is for [`scratch`], until what is being proved is done; otherwise as [`recycle`].
pub fn reuse<T: Element>(mut values: Vec<T>) {
    if values.len() <= ALONE {
        return recycle(values);
    }
    values.resize(values.capacity(), T::ZERO);
    let mut kept = lock::<T>();
    // Under the lock: whoever stops proving counts down first and wipes then.
    let proving = PROVING.load(Ordering::SeqCst) > 0;
    if proving && kept.has_room(values.len() * size_of::<T>()) {
        kept.used.push(values);
    } else {
        drop(kept);
        recycle(values);
    }
}

/// Zeros, by all threads if they are many.
fn blank<T: Element>(values: &mut [T]) {
    values.par_chunks_mut(ALONE).for_each(|part| part.fill(T::ZERO));
    zeroize::optimization_barrier(values);
}

fn lock<T: Element>() -> MutexGuard<'static, Kept<T>> {
    T::kept().lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wipes entries. The barrier keeps the stores, which are whole vectors: entry by entry they take eight times as long.
pub fn wipe<T: Element>(values: &mut [T]) {
    if values.len() <= ALONE {
        values.fill(T::ZERO);
        zeroize::optimization_barrier(values);
    } else {
        blank(values);
    }
}

#[cfg(test)]
mod tests {
    use super::{ALONE, Element, Kept, PATIENCE, Proving, recycle, reuse, scratch, zeros};
    use algebra::K;

    /// Nothing of a vector is left in the one it becomes, nor beyond its end.
    #[test]
    fn vectors_come_back_empty() {
        for n in [ALONE + 1, 3 * ALONE, 4 * ALONE + 7] {
            let mut used = zeros(n);
            used.fill(K::ONE);
            used.truncate(n - 5);
            recycle(used);
            for m in [n, n - 3, n / 2 + 1] {
                let found: Vec<K> = zeros(m);
                assert_eq!(found.len(), m);
                assert!(found.iter().all(|&x| x == K::ZERO));
                recycle(found);
            }
            let kept = <K as Element>::kept().lock().expect("a lock");
            let mut clean = kept.clean.iter().map(|(vector, _)| vector);
            assert!(clean.all(|v| v.iter().all(|&x| x == K::ZERO) && v.len() == v.capacity()));
        }
    }

    /// What nobody wants is not kept for ever.
    #[test]
    fn vectors_that_nobody_wants_are_given_back() {
        let came = [0, 1, PATIENCE, 2 * PATIENCE];
        let mut kept = Kept { clean: came.map(|done| (vec![K::ZERO; 10], done)).to_vec(), used: Vec::new() };
        kept.forget(PATIENCE + 1);
        assert_eq!(kept.clean.len(), 3);
        assert_eq!(kept.take_clean(7).map(|vector| vector.len()), Some(10));
        assert!(kept.take_clean(4).is_none() && kept.take_clean(11).is_none());
        kept.forget(9 * PATIENCE);
        assert!(kept.clean.is_empty());
    }

    /// What is kept as it was is gone when the proof is done, and never taken for zeros. Vectors of this length are this
    /// test's own.
    #[test]
    fn vectors_left_as_they_were_are_wiped_in_the_end() {
        let n = 50 * ALONE + 11;
        let left = || {
            let kept = <K as Element>::kept().lock().expect("a lock");
            kept.used.iter().filter(|vector| (n..=2 * n).contains(&vector.len())).count()
        };
        let full = || {
            let mut vector = scratch::<K>(n);
            vector.fill(K::ONE);
            vector.truncate(n - 5);
            vector
        };
        let proving = Proving::begin();
        reuse(full());
        assert!(zeros::<K>(n).iter().all(|&x| x == K::ZERO), "not taken as it was left");
        let (one, other) = (full(), full());
        reuse(one);
        reuse(other);
        assert_eq!(scratch::<K>(n).len(), n);
        drop(proving);
        assert_eq!(left(), 0);
        assert!(zeros::<K>(n).iter().chain(&zeros::<K>(n)).all(|&x| x == K::ZERO));
    }
}
