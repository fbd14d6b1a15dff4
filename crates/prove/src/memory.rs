//! Long vectors, made and wiped by all threads: whoever touches a page first waits until the system has
//! cleared it.

use rayon::prelude::*;
use zeroize::Zeroize;

/// Vectors up to this length are not split between threads.
const ALONE: usize = 1 << 14;

/// `n` copies of one value.
pub fn filled<T: Copy + Send>(value: T, n: usize) -> Vec<T> {
    if n <= ALONE {
        return vec![value; n];
    }
    rayon::iter::repeat_n(value, n).with_min_len(ALONE).collect()
}

/// Wipes a vector.
pub fn wipe<T: Zeroize + Send>(values: &mut [T]) {
    if values.len() <= ALONE {
        values.iter_mut().for_each(Zeroize::zeroize);
    } else {
        values.par_chunks_mut(ALONE).for_each(|part| part.iter_mut().for_each(Zeroize::zeroize));
    }
}
