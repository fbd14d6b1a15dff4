//! Long vectors, made and wiped by all threads, and kept for the next that is needed.
//!
//! Whoever touches a page first waits until the system has cleared it, which takes longer than most
//! passes over it. So long vectors come back here when they are done with, wiped, and serve again: later
//! in the same proof, and in the next one of the process. See ADR 018.

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
    /// Vectors that wait to be used again: all zeros, as long as their capacity.
    fn kept() -> &'static Mutex<Vec<Vec<Self>>>;
}

impl Element for F {
    const ZERO: Self = Self::ZERO;
    fn kept() -> &'static Mutex<Vec<Vec<Self>>> {
        static KEPT: Mutex<Vec<Vec<F>>> = Mutex::new(Vec::new());
        &KEPT
    }
}

impl Element for i16 {
    const ZERO: Self = 0;
    fn kept() -> &'static Mutex<Vec<Vec<Self>>> {
        static KEPT: Mutex<Vec<Vec<i16>>> = Mutex::new(Vec::new());
        &KEPT
    }
}

impl Element for [u8; 32] {
    const ZERO: Self = [0; 32];
    fn kept() -> &'static Mutex<Vec<Vec<Self>>> {
        static KEPT: Mutex<Vec<Vec<[u8; 32]>>> = Mutex::new(Vec::new());
        &KEPT
    }
}

impl Element for K {
    const ZERO: Self = Self::ZERO;
    fn kept() -> &'static Mutex<Vec<Vec<Self>>> {
        static KEPT: Mutex<Vec<Vec<K>>> = Mutex::new(Vec::new());
        &KEPT
    }
}

/// `n` zeros.
pub fn zeros<T: Element>(n: usize) -> Vec<T> {
    if n <= ALONE {
        return vec![T::ZERO; n];
    }
    let kept = {
        let mut kept = lock::<T>();
        let fits = |vector: &Vec<T>| (n..=2 * n).contains(&vector.len());
        let best = kept.iter().enumerate().filter(|(_, vector)| fits(vector)).min_by_key(|(_, v)| v.len());
        best.map(|(i, _)| i).map(|i| kept.swap_remove(i))
    };
    match kept {
        Some(mut vector) => {
            vector.truncate(n);
            vector
        }
        None => rayon::iter::repeat_n(T::ZERO, n).with_min_len(ALONE).collect(),
    }
}

/// Wipes a vector, whole capacity, and keeps it if it is long.
pub fn recycle<T: Element>(mut values: Vec<T>) {
    // What lies beyond the length may have been in use.
    values.resize(values.capacity(), T::ZERO);
    if values.len() <= ALONE || !has_room(values.len() * size_of::<T>(), &lock::<T>()) {
        return wipe(&mut values);
    }
    // Plain stores stay: what is kept is read again.
    values.par_chunks_mut(ALONE).for_each(|part| part.fill(T::ZERO));
    let mut kept = lock::<T>();
    if has_room(values.len() * size_of::<T>(), &kept) {
        kept.push(values);
    }
}

fn lock<T: Element>() -> MutexGuard<'static, Vec<Vec<T>>> {
    T::kept().lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether so many bytes more may be kept.
fn has_room<T: Element>(bytes: usize, kept: &[Vec<T>]) -> bool {
    kept.iter().map(|vector| vector.len() * size_of::<T>()).sum::<usize>() + bytes <= KEPT_MAX
}

/// Wipes entries.
pub fn wipe<T: Zeroize + Send>(values: &mut [T]) {
    if values.len() <= ALONE {
        values.iter_mut().for_each(Zeroize::zeroize);
    } else {
        values.par_chunks_mut(ALONE).for_each(|part| part.iter_mut().for_each(Zeroize::zeroize));
    }
}

#[cfg(test)]
mod tests {
    use super::{ALONE, Element, recycle, zeros};
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
            assert!(kept.iter().flatten().all(|&x| x == K::ZERO));
            assert!(kept.iter().all(|vector| vector.len() == vector.capacity()));
        }
    }
}
