//! What a vector unit offers the kernels: lanes of words that stand for elements of F.
//!
//! A word in a lane is any 64-bit word and stands for its residue; words that go to memory are made
//! canonical. Products are summed unreduced and reduced once. A value of [`Vector`] can only be made
//! from a token of [`Lanes`], and a token only by asking the processor, so the operations are safe.

use crate::field::{F, K};

/// How many products a [`Vector::Sum`] holds without overflow.
pub(super) const MOST_PRODUCTS: usize = 512;

/// A factor of a product, cut into the limbs the unit multiplies.
#[derive(Clone, Copy)]
pub(super) struct Factor<V> {
    /// The word; the multiplier ignores what is above its limb.
    pub low: V,
    /// What is above the limb.
    pub high: V,
}

/// Token: the processor has this vector unit.
pub(super) trait Lanes: Copy {
    /// Words of a vector.
    const LANES: usize;
    /// A vector.
    type V: Vector;

    /// The same word in all lanes.
    fn splat(self, x: u64) -> Self::V;
    /// Words `at..` in the order of memory. Panics outside the slice.
    fn load(self, x: &[F], at: usize) -> Self::V;
    /// As [`Self::load`], in the order in which [`Self::load_k`] has its elements.
    fn load_mixed(self, x: &[F], at: usize) -> Self::V;
    /// As [`Self::load_mixed`] for words in two's complement.
    fn load_signed(self, x: &[i64], at: usize) -> Self::V;
    /// As [`Self::load_signed`] for 16-bit integers.
    fn load_small(self, x: &[i16], at: usize) -> Self::V;
    /// Integers `at..` in two's complement, in the order of memory. Panics outside the slice.
    fn load_short(self, x: &[i16], at: usize) -> Self::V;
    /// Brings the line of element `at` near.
    fn prefetch<T>(self, x: &[T], at: usize);
    /// Elements `at..` of K: all c0, all c1. Panics outside the slice.
    fn load_k(self, x: &[K], at: usize) -> [Self::V; 2];
    /// Inverse of [`Self::load`]; the words must be canonical.
    fn store(self, x: &mut [F], at: usize, v: Self::V);
    /// Lane j of vector i to lane i of vector j; as many vectors as lanes.
    fn transpose<const R: usize>(self, v: [Self::V; R]) -> [Self::V; R];
    /// Inverse of [`Self::load_k`]; the words must be canonical.
    fn store_k(self, x: &mut [K], at: usize, v: [Self::V; 2]);
}

/// Lanes of words.
pub(super) trait Vector: Copy {
    /// Sums of products, one per lane, not reduced.
    type Sum: Copy;

    /// Limbs of self.
    fn split(self) -> Factor<Self>;
    /// Limbs of 7·self.
    fn split_seven(self) -> Factor<Self>;
    /// A sum that holds self alone.
    fn widen(self) -> Self::Sum;
    /// sum + word.
    fn add_word(sum: Self::Sum, word: Self) -> Self::Sum;
    /// sum + a·b.
    fn add_product(sum: Self::Sum, a: Factor<Self>, b: Factor<Self>) -> Self::Sum;
    /// sum + a·b for words b below 2^32.
    fn add_short_product(sum: Self::Sum, a: Factor<Self>, b: Self) -> Self::Sum;
    /// sum + a·b for words b below 2^16.
    fn add_small_product(sum: Self::Sum, a: Factor<Self>, b: Self) -> Self::Sum;
    /// The residue.
    fn reduce(sum: Self::Sum) -> Self;
    /// The residue below p.
    fn canonical(self) -> Self;
    /// self + other, other canonical.
    fn add(self, other: Self) -> Self;
    /// self − other, other canonical.
    fn sub(self, other: Self) -> Self;
    /// self·w, w canonical.
    fn times(self, w: Self) -> Self;
    /// self·2^24.
    fn shift_24(self) -> Self;
    /// self·2^48.
    fn shift_48(self) -> Self;
    /// self·2^72.
    fn shift_72(self) -> Self;
    /// self or, where `sign` is negative in two's complement, p − self; self canonical.
    fn negate_where(self, sign: Self) -> Self;
    /// Two's complement to the canonical residue.
    fn residue(self) -> Self;
    /// Absolute value of two's complement, as unsigned.
    fn magnitude(self) -> Self;
    /// Sum of words without reduction, modulo 2^64.
    fn wrapping_add(self, other: Self) -> Self;
    /// Bits of either.
    fn or(self, other: Self) -> Self;
    /// Whether all words are below 2^32.
    fn all_short(self) -> bool;
    /// Words, for the end of a sum.
    fn sum_lanes(self) -> F;
}
