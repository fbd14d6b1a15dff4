//! Eight lanes: AVX-512 with its 52-bit multiply-add.
//!
//! A factor has limbs of 52 and up to 16 bits. A sum has columns of weight 1, 2^52 and 2^104, each
//! the plain sum of 52-bit halves of limb products, so an addition costs nothing beyond the
//! multiplication.

use core::arch::x86_64::*;

use super::lanes::{Factor, Lanes, Vector};
use crate::field::{F, K, P};

const EPSILON: i64 = 0xffff_ffff;
const LIMB: i64 = (1 << 52) - 1;

/// Token of this unit.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

impl Avx512 {
    /// The token, if the processor has the unit.
    pub(super) fn detect() -> Option<Self> {
        let has = std::is_x86_feature_detected!("avx512f")
            && std::is_x86_feature_detected!("avx512dq")
            && std::is_x86_feature_detected!("avx512ifma");
        has.then_some(Self(()))
    }
}

/// Eight words. Exists only where a token exists.
#[derive(Clone, Copy)]
pub(super) struct V(__m512i);

/// Columns of weight 1, 2^52 and 2^104.
#[derive(Clone, Copy)]
pub(super) struct Sum([V; 3]);

/// An intrinsic on vectors that exist.
macro_rules! on {
    ($e:expr) => {
        // SAFETY: vectors and tokens exist only after `Avx512::detect` found the features.
        unsafe { $e }
    };
}

#[inline(always)]
fn word(x: i64) -> __m512i {
    on!(_mm512_set1_epi64(x))
}

impl Lanes for Avx512 {
    const LANES: usize = 8;
    type V = V;

    #[inline(always)]
    fn splat(self, x: u64) -> V {
        V(word(x.cast_signed()))
    }
    #[inline(always)]
    fn load(self, x: &[F], at: usize) -> V {
        let words: &[F] = &x[at..at + 8];
        // SAFETY: the slice has eight words, F is a transparent word, the load needs no alignment.
        V(unsafe { _mm512_loadu_si512(words.as_ptr().cast()) })
    }
    #[inline(always)]
    fn load_mixed(self, x: &[F], at: usize) -> V {
        let order = on!(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7));
        V(on!(_mm512_permutexvar_epi64(order, self.load(x, at).0)))
    }
    #[inline(always)]
    fn load_signed(self, x: &[i64], at: usize) -> V {
        let words: &[i64] = &x[at..at + 8];
        let order = on!(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7));
        // SAFETY: the slice has eight words; the load needs no alignment.
        let natural = unsafe { _mm512_loadu_si512(words.as_ptr().cast()) };
        V(on!(_mm512_permutexvar_epi64(order, natural)))
    }
    #[inline(always)]
    fn load_small(self, x: &[i16], at: usize) -> V {
        let order = on!(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7));
        V(on!(_mm512_permutexvar_epi64(order, self.load_short(x, at).0)))
    }
    #[inline(always)]
    fn load_short(self, x: &[i16], at: usize) -> V {
        let words: &[i16] = &x[at..at + 8];
        // SAFETY: the slice has eight integers of 16 bits; the load needs no alignment.
        V(unsafe { _mm512_cvtepi16_epi64(_mm_loadu_si128(words.as_ptr().cast())) })
    }
    #[inline(always)]
    fn prefetch<T>(self, x: &[T], at: usize) {
        // SAFETY: a hint; any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(at).cast()) }
    }
    #[inline(always)]
    fn load_k(self, x: &[K], at: usize) -> [V; 2] {
        let pairs: &[K] = &x[at..at + 8];
        let start: *const F = pairs.as_ptr().cast();
        // SAFETY: eight elements are sixteen words in order (K is C, F transparent).
        let (a, b) = unsafe { (_mm512_loadu_si512(start.cast()), _mm512_loadu_si512(start.add(8).cast())) };
        [V(on!(_mm512_unpacklo_epi64(a, b))), V(on!(_mm512_unpackhi_epi64(a, b)))]
    }
    #[inline(always)]
    fn store(self, x: &mut [F], at: usize, v: V) {
        let words: &mut [F] = &mut x[at..at + 8];
        // SAFETY: the slice has eight words, any word below p is an F, the store needs no alignment.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), v.0) }
    }
    #[inline(always)]
    fn transpose<const R: usize>(self, v: [V; R]) -> [V; R] {
        on!({
            let (even, odd) = (
                square([
                    _mm512_unpacklo_epi64(v[0].0, v[1].0),
                    _mm512_unpacklo_epi64(v[2].0, v[3].0),
                    _mm512_unpacklo_epi64(v[4].0, v[5].0),
                    _mm512_unpacklo_epi64(v[6].0, v[7].0),
                ]),
                square([
                    _mm512_unpackhi_epi64(v[0].0, v[1].0),
                    _mm512_unpackhi_epi64(v[2].0, v[3].0),
                    _mm512_unpackhi_epi64(v[4].0, v[5].0),
                    _mm512_unpackhi_epi64(v[6].0, v[7].0),
                ]),
            );
            let mut turned = v;
            let mut i = 0;
            while i < 4 {
                turned[2 * i] = V(even[i]);
                turned[2 * i + 1] = V(odd[i]);
                i += 1;
            }
            turned
        })
    }
    #[inline(always)]
    fn store_k(self, x: &mut [K], at: usize, [c0, c1]: [V; 2]) {
        let pairs: &mut [K] = &mut x[at..at + 8];
        let (a, b) = on!((_mm512_unpacklo_epi64(c0.0, c1.0), _mm512_unpackhi_epi64(c0.0, c1.0)));
        let start: *mut F = pairs.as_mut_ptr().cast();
        // SAFETY: eight elements are sixteen words in order (K is C, F transparent).
        unsafe {
            _mm512_storeu_si512(start.cast(), a);
            _mm512_storeu_si512(start.add(8).cast(), b);
        }
    }
}

/// Transposes a 4 by 4 table of pairs of words.
#[inline(always)]
fn square([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    on!({
        let (even, odd) = (_mm512_shuffle_i64x2::<0x88>(a, b), _mm512_shuffle_i64x2::<0xdd>(a, b));
        let (even_after, odd_after) =
            (_mm512_shuffle_i64x2::<0x88>(c, d), _mm512_shuffle_i64x2::<0xdd>(c, d));
        [
            _mm512_shuffle_i64x2::<0x88>(even, even_after),
            _mm512_shuffle_i64x2::<0x88>(odd, odd_after),
            _mm512_shuffle_i64x2::<0xdd>(even, even_after),
            _mm512_shuffle_i64x2::<0xdd>(odd, odd_after),
        ]
    })
}

/// a − b, minus 2^32 − 1 where it borrows, which is 2^64 mod p.
#[inline(always)]
fn sub_words(a: __m512i, b: __m512i) -> __m512i {
    on!({
        let difference = _mm512_sub_epi64(a, b);
        let borrow = _mm512_cmplt_epu64_mask(a, b);
        _mm512_mask_sub_epi64(difference, borrow, difference, word(EPSILON))
    })
}

/// a + b, plus 2^32 − 1 where it carries.
#[inline(always)]
fn add_words(a: __m512i, b: __m512i) -> __m512i {
    on!({
        let sum = _mm512_add_epi64(a, b);
        let carry = _mm512_cmplt_epu64_mask(sum, a);
        _mm512_mask_add_epi64(sum, carry, sum, word(EPSILON))
    })
}

impl Vector for V {
    type Sum = Sum;

    #[inline(always)]
    fn split(self) -> Factor<V> {
        Factor { low: self, high: V(on!(_mm512_srli_epi64::<52>(self.0))) }
    }
    #[inline(always)]
    fn split_seven(self) -> Factor<V> {
        on!({
            let (zero, seven) = (_mm512_setzero_si512(), word(7));
            let high = _mm512_madd52lo_epu64(zero, _mm512_srli_epi64::<52>(self.0), seven);
            Factor {
                low: V(_mm512_madd52lo_epu64(zero, self.0, seven)),
                high: V(_mm512_madd52hi_epu64(high, self.0, seven)),
            }
        })
    }
    #[inline(always)]
    fn widen(self) -> Sum {
        on!({
            let low = _mm512_and_si512(self.0, word(LIMB));
            Sum([V(low), V(_mm512_srli_epi64::<52>(self.0)), V(_mm512_setzero_si512())])
        })
    }
    #[inline(always)]
    fn add_word(Sum([c0, c1, c2]): Sum, word: V) -> Sum {
        let Sum([w0, w1, _]) = word.widen();
        Sum([c0.wrapping_add(w0), c1.wrapping_add(w1), c2])
    }
    #[inline(always)]
    fn add_product(Sum([c0, c1, c2]): Sum, a: Factor<V>, b: Factor<V>) -> Sum {
        let (a0, a1, b0, b1) = (a.low.0, a.high.0, b.low.0, b.high.0);
        on!({
            let c0 = _mm512_madd52lo_epu64(c0.0, a0, b0);
            let c1 = _mm512_madd52hi_epu64(c1.0, a0, b0);
            let c1 = _mm512_madd52lo_epu64(c1, a0, b1);
            let c1 = _mm512_madd52lo_epu64(c1, a1, b0);
            let c2 = _mm512_madd52hi_epu64(c2.0, a0, b1);
            let c2 = _mm512_madd52hi_epu64(c2, a1, b0);
            let c2 = _mm512_madd52lo_epu64(c2, a1, b1);
            Sum([V(c0), V(c1), V(c2)])
        })
    }
    #[inline(always)]
    fn add_short_product(Sum([c0, c1, c2]): Sum, a: Factor<V>, b: V) -> Sum {
        // The high limb has 16 bits at most, so its product has 48.
        on!({
            let c0 = _mm512_madd52lo_epu64(c0.0, a.low.0, b.0);
            let c1 = _mm512_madd52hi_epu64(c1.0, a.low.0, b.0);
            let c1 = _mm512_madd52lo_epu64(c1, a.high.0, b.0);
            Sum([V(c0), V(c1), c2])
        })
    }
    #[inline(always)]
    fn add_small_product(sum: Sum, a: Factor<V>, b: V) -> Sum {
        Self::add_short_product(sum, a, b)
    }
    #[inline(always)]
    fn reduce(Sum([c0, c1, c2]): Sum) -> V {
        on!({
            let c1 = _mm512_add_epi64(c1.0, _mm512_srli_epi64::<52>(c0.0));
            // Bits of c1·2^52 + c0: (c1 << 52) or (c0 and LIMB).
            let low = _mm512_ternarylogic_epi64::<0xf8>(_mm512_slli_epi64::<52>(c1), c0.0, word(LIMB));
            let top = _mm512_add_epi64(_mm512_slli_epi64::<8>(c2.0), _mm512_srli_epi64::<44>(c1));
            // 2^96 = −1; the multiplier takes 32 bits of the middle.
            let middle = _mm512_mul_epu32(_mm512_srli_epi64::<12>(c1), word(EPSILON));
            V(add_words(sub_words(low, top), middle))
        })
    }
    #[inline(always)]
    fn canonical(self) -> V {
        on!(V(_mm512_min_epu64(self.0, _mm512_sub_epi64(self.0, word(P.cast_signed())))))
    }
    #[inline(always)]
    fn add(self, other: V) -> V {
        V(add_words(self.0, other.0))
    }
    #[inline(always)]
    fn sub(self, other: V) -> V {
        V(sub_words(self.0, other.0))
    }
    #[inline(always)]
    fn times(self, w: V) -> V {
        // The sum starts at (p − 2^32) + 2^32, the second as −2^24 in the column of 2^104, which is
        // −2^8. So the part to subtract below lies within 2^32 and the middle takes it without borrow.
        let start = Sum([
            V(word((P - (1 << 32)).cast_signed() & LIMB)),
            V(word(((P - (1 << 32)) >> 52).cast_signed())),
            V(word(-(1 << 24))),
        ]);
        let Sum([c0, c1, c2]) = Self::add_product(start, self.split(), w.split());
        on!({
            let c1 = _mm512_add_epi64(c1.0, _mm512_srli_epi64::<52>(c0.0));
            let low = _mm512_ternarylogic_epi64::<0xf8>(_mm512_slli_epi64::<52>(c1), c0.0, word(LIMB));
            let top = _mm512_add_epi64(_mm512_slli_epi64::<8>(c2.0), _mm512_srli_epi64::<44>(c1));
            let middle = _mm512_mul_epu32(_mm512_srli_epi64::<12>(c1), word(EPSILON));
            V(add_words(low, _mm512_sub_epi64(middle, top)))
        })
    }
    #[inline(always)]
    fn shift_24(self) -> V {
        on!({
            let top = _mm512_mul_epu32(_mm512_srli_epi64::<40>(self.0), word(EPSILON));
            V(add_words(_mm512_slli_epi64::<24>(self.0), top))
        })
    }
    #[inline(always)]
    fn shift_48(self) -> V {
        on!({
            let middle = _mm512_mul_epu32(_mm512_srli_epi64::<16>(self.0), word(EPSILON));
            let low = sub_words(_mm512_slli_epi64::<48>(self.0), _mm512_srli_epi64::<48>(self.0));
            V(add_words(low, middle))
        })
    }
    #[inline(always)]
    fn shift_72(self) -> V {
        on!({
            let middle = _mm512_srli_epi64::<32>(_mm512_slli_epi64::<40>(self.0));
            let middle = _mm512_mul_epu32(middle, word(EPSILON));
            V(sub_words(middle, _mm512_srli_epi64::<24>(self.0)))
        })
    }
    #[inline(always)]
    fn negate_where(self, sign: V) -> V {
        on!({
            let negative = _mm512_movepi64_mask(sign.0);
            V(_mm512_mask_sub_epi64(self.0, negative, word(P.cast_signed()), self.0))
        })
    }
    #[inline(always)]
    fn residue(self) -> V {
        on!({
            let negative = _mm512_movepi64_mask(self.0);
            V(_mm512_mask_sub_epi64(self.0, negative, self.0, word(EPSILON)))
        })
    }
    #[inline(always)]
    fn magnitude(self) -> V {
        V(on!(_mm512_abs_epi64(self.0)))
    }
    #[inline(always)]
    fn wrapping_add(self, other: V) -> V {
        V(on!(_mm512_add_epi64(self.0, other.0)))
    }
    #[inline(always)]
    fn or(self, other: V) -> V {
        V(on!(_mm512_or_si512(self.0, other.0)))
    }
    #[inline(always)]
    fn all_short(self) -> bool {
        on!(_mm512_test_epi64_mask(self.0, word(!EPSILON))) == 0
    }
    #[inline(always)]
    fn sum_lanes(self) -> F {
        let mut words = [0u64; 8];
        // SAFETY: the array has eight words; the store needs no alignment.
        unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), self.0) };
        F::from_u128(words.into_iter().map(u128::from).sum())
    }
}
