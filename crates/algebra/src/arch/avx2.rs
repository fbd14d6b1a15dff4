//! Four lanes: AVX2.
//!
//! A factor has two limbs of 32 bits. A sum has columns of weight 1, 2^32, 2^64 and 2^96, each the
//! plain sum of 32-bit halves of limb products.

use core::arch::x86_64::*;

use super::lanes::{Factor, Lanes, Vector};
use crate::field::{F, K, P};

const EPSILON: i64 = 0xffff_ffff;

/// Token of this unit.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The token, if the processor has the unit.
    pub(super) fn detect() -> Option<Self> {
        std::is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

/// Four words. Exists only where a token exists.
#[derive(Clone, Copy)]
pub(super) struct V(__m256i);

/// Columns of weight 1, 2^32, 2^64 and 2^96.
#[derive(Clone, Copy)]
pub(super) struct Sum([V; 4]);

/// An intrinsic on vectors that exist.
macro_rules! on {
    ($e:expr) => {
        // SAFETY: vectors and tokens exist only after `Avx2::detect` found the feature.
        unsafe { $e }
    };
}

#[inline(always)]
fn word(x: i64) -> __m256i {
    on!(_mm256_set1_epi64x(x))
}

impl Lanes for Avx2 {
    const LANES: usize = 4;
    type V = V;

    #[inline(always)]
    fn splat(self, x: u64) -> V {
        V(word(x.cast_signed()))
    }
    #[inline(always)]
    fn load(self, x: &[F], at: usize) -> V {
        let words: &[F] = &x[at..at + 4];
        // SAFETY: the slice has four words, F is a transparent word, the load needs no alignment.
        V(unsafe { _mm256_loadu_si256(words.as_ptr().cast()) })
    }
    #[inline(always)]
    fn load_mixed(self, x: &[F], at: usize) -> V {
        V(on!(_mm256_permute4x64_epi64::<0b11_01_10_00>(self.load(x, at).0)))
    }
    #[inline(always)]
    fn load_signed(self, x: &[i64], at: usize) -> V {
        let words: &[i64] = &x[at..at + 4];
        // SAFETY: the slice has four words; the load needs no alignment.
        let natural = unsafe { _mm256_loadu_si256(words.as_ptr().cast()) };
        V(on!(_mm256_permute4x64_epi64::<0b11_01_10_00>(natural)))
    }
    #[inline(always)]
    fn load_small(self, x: &[i16], at: usize) -> V {
        V(on!(_mm256_permute4x64_epi64::<0b11_01_10_00>(self.load_short(x, at).0)))
    }
    #[inline(always)]
    fn load_short(self, x: &[i16], at: usize) -> V {
        let words: &[i16] = &x[at..at + 4];
        // SAFETY: the slice has four integers of 16 bits; the load needs no alignment.
        V(unsafe { _mm256_cvtepi16_epi64(_mm_loadl_epi64(words.as_ptr().cast())) })
    }
    #[inline(always)]
    fn prefetch<T>(self, x: &[T], at: usize) {
        // SAFETY: a hint; any address will do.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(at).cast()) }
    }
    #[inline(always)]
    fn load_k(self, x: &[K], at: usize) -> [V; 2] {
        let pairs: &[K] = &x[at..at + 4];
        let start: *const F = pairs.as_ptr().cast();
        // SAFETY: four elements are eight words in order (K is C, F transparent).
        let (a, b) = unsafe { (_mm256_loadu_si256(start.cast()), _mm256_loadu_si256(start.add(4).cast())) };
        [V(on!(_mm256_unpacklo_epi64(a, b))), V(on!(_mm256_unpackhi_epi64(a, b)))]
    }
    #[inline(always)]
    fn store(self, x: &mut [F], at: usize, v: V) {
        let words: &mut [F] = &mut x[at..at + 4];
        // SAFETY: the slice has four words, any word below p is an F, the store needs no alignment.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), v.0) }
    }
    #[inline(always)]
    fn transpose<const R: usize>(self, v: [V; R]) -> [V; R] {
        on!({
            let (a, b) = (_mm256_unpacklo_epi64(v[0].0, v[1].0), _mm256_unpackhi_epi64(v[0].0, v[1].0));
            let (c, d) = (_mm256_unpacklo_epi64(v[2].0, v[3].0), _mm256_unpackhi_epi64(v[2].0, v[3].0));
            let mut turned = v;
            turned[0] = V(_mm256_permute2x128_si256::<0x20>(a, c));
            turned[1] = V(_mm256_permute2x128_si256::<0x20>(b, d));
            turned[2] = V(_mm256_permute2x128_si256::<0x31>(a, c));
            turned[3] = V(_mm256_permute2x128_si256::<0x31>(b, d));
            turned
        })
    }
    #[inline(always)]
    fn store_k(self, x: &mut [K], at: usize, [c0, c1]: [V; 2]) {
        let pairs: &mut [K] = &mut x[at..at + 4];
        let (a, b) = on!((_mm256_unpacklo_epi64(c0.0, c1.0), _mm256_unpackhi_epi64(c0.0, c1.0)));
        let start: *mut F = pairs.as_mut_ptr().cast();
        // SAFETY: four elements are eight words in order (K is C, F transparent).
        unsafe {
            _mm256_storeu_si256(start.cast(), a);
            _mm256_storeu_si256(start.add(4).cast(), b);
        }
    }
}

/// All ones where a > b, unsigned.
#[inline(always)]
fn above(a: __m256i, b: __m256i) -> __m256i {
    let sign = word(i64::MIN);
    on!(_mm256_cmpgt_epi64(_mm256_xor_si256(a, sign), _mm256_xor_si256(b, sign)))
}

/// a − b, minus 2^32 − 1 where it borrows, which is 2^64 mod p.
#[inline(always)]
fn sub_words(a: __m256i, b: __m256i) -> __m256i {
    on!({
        let correction = _mm256_srli_epi64::<32>(above(b, a));
        _mm256_sub_epi64(_mm256_sub_epi64(a, b), correction)
    })
}

/// a + b, plus 2^32 − 1 where it carries.
#[inline(always)]
fn add_words(a: __m256i, b: __m256i) -> __m256i {
    on!({
        let sum = _mm256_add_epi64(a, b);
        let correction = _mm256_srli_epi64::<32>(above(a, sum));
        _mm256_add_epi64(sum, correction)
    })
}

/// Low halves of the words.
#[inline(always)]
fn low(x: __m256i) -> __m256i {
    on!(_mm256_and_si256(x, word(EPSILON)))
}

/// High halves of the words.
#[inline(always)]
fn high(x: __m256i) -> __m256i {
    on!(_mm256_srli_epi64::<32>(x))
}

impl Vector for V {
    type Sum = Sum;

    #[inline(always)]
    fn split(self) -> Factor<V> {
        Factor { low: self, high: V(high(self.0)) }
    }
    #[inline(always)]
    fn split_seven(self) -> Factor<V> {
        on!({
            let seven = word(7);
            let lower = _mm256_mul_epu32(self.0, seven);
            let upper = _mm256_add_epi64(_mm256_mul_epu32(high(self.0), seven), high(lower));
            let words = _mm256_or_si256(low(lower), _mm256_slli_epi64::<32>(upper));
            let top = _mm256_mul_epu32(high(upper), word(EPSILON));
            V(add_words(words, top)).split()
        })
    }
    #[inline(always)]
    fn widen(self) -> Sum {
        let zero = V(word(0));
        Sum([V(low(self.0)), V(high(self.0)), zero, zero])
    }
    #[inline(always)]
    fn add_word(Sum([c0, c1, c2, c3]): Sum, word: V) -> Sum {
        let Sum([w0, w1, ..]) = word.widen();
        Sum([c0.wrapping_add(w0), c1.wrapping_add(w1), c2, c3])
    }
    #[inline(always)]
    fn add_product(Sum([c0, c1, c2, c3]): Sum, a: Factor<V>, b: Factor<V>) -> Sum {
        on!({
            let p00 = _mm256_mul_epu32(a.low.0, b.low.0);
            let p01 = _mm256_mul_epu32(a.low.0, b.high.0);
            let p10 = _mm256_mul_epu32(a.high.0, b.low.0);
            let p11 = _mm256_mul_epu32(a.high.0, b.high.0);
            // A product of limbs plus a limb is still a word.
            let m = _mm256_add_epi64(p01, high(p00));
            let n = _mm256_add_epi64(p10, low(m));
            let o = _mm256_add_epi64(p11, _mm256_add_epi64(high(m), high(n)));
            let c0 = _mm256_add_epi64(c0.0, low(p00));
            let c1 = _mm256_add_epi64(c1.0, low(n));
            let c2 = _mm256_add_epi64(c2.0, low(o));
            let c3 = _mm256_add_epi64(c3.0, high(o));
            Sum([V(c0), V(c1), V(c2), V(c3)])
        })
    }
    #[inline(always)]
    fn add_short_product(Sum([c0, c1, c2, c3]): Sum, a: Factor<V>, b: V) -> Sum {
        on!({
            let p0 = _mm256_mul_epu32(a.low.0, b.0);
            let m = _mm256_add_epi64(_mm256_mul_epu32(a.high.0, b.0), high(p0));
            let c0 = _mm256_add_epi64(c0.0, low(p0));
            let c1 = _mm256_add_epi64(c1.0, low(m));
            let c2 = _mm256_add_epi64(c2.0, high(m));
            Sum([V(c0), V(c1), V(c2), c3])
        })
    }
    #[inline(always)]
    fn add_small_product(Sum([c0, c1, c2, c3]): Sum, a: Factor<V>, b: V) -> Sum {
        // Products of 48 bits: the columns hold as many as they hold halves of words.
        on!({
            let c0 = _mm256_add_epi64(c0.0, _mm256_mul_epu32(a.low.0, b.0));
            let c1 = _mm256_add_epi64(c1.0, _mm256_mul_epu32(a.high.0, b.0));
            Sum([V(c0), V(c1), c2, c3])
        })
    }
    #[inline(always)]
    fn reduce(Sum([c0, c1, c2, c3]): Sum) -> V {
        on!({
            let c1 = _mm256_add_epi64(c1.0, high(c0.0));
            let c2 = _mm256_add_epi64(c2.0, high(c1));
            let c3 = _mm256_add_epi64(c3.0, high(c2));
            let words = _mm256_blend_epi32::<0b1010_1010>(c0.0, _mm256_slli_epi64::<32>(c1));
            // 2^96 = −1; the multiplier takes the low half of the middle.
            let middle = _mm256_mul_epu32(c2, word(EPSILON));
            V(add_words(sub_words(words, c3), middle))
        })
    }
    #[inline(always)]
    fn canonical(self) -> V {
        on!({
            let excess = above(self.0, word((P - 1).cast_signed()));
            V(_mm256_add_epi64(self.0, _mm256_srli_epi64::<32>(excess)))
        })
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
        on!({
            let (a1, w1) = (high(self.0), high(w.0));
            let p00 = _mm256_mul_epu32(self.0, w.0);
            let m = _mm256_add_epi64(_mm256_mul_epu32(self.0, w1), high(p00));
            let n = _mm256_add_epi64(_mm256_mul_epu32(a1, w.0), low(m));
            let upper = _mm256_add_epi64(_mm256_mul_epu32(a1, w1), _mm256_add_epi64(high(m), high(n)));
            let lower = _mm256_blend_epi32::<0b1010_1010>(p00, _mm256_slli_epi64::<32>(n));
            let middle = _mm256_mul_epu32(upper, word(EPSILON));
            V(add_words(sub_words(lower, high(upper)), middle))
        })
    }
    #[inline(always)]
    fn shift_24(self) -> V {
        on!({
            let top = _mm256_mul_epu32(_mm256_srli_epi64::<40>(self.0), word(EPSILON));
            V(add_words(_mm256_slli_epi64::<24>(self.0), top))
        })
    }
    #[inline(always)]
    fn shift_48(self) -> V {
        on!({
            let middle = _mm256_mul_epu32(_mm256_srli_epi64::<16>(self.0), word(EPSILON));
            let low = sub_words(_mm256_slli_epi64::<48>(self.0), _mm256_srli_epi64::<48>(self.0));
            V(add_words(low, middle))
        })
    }
    #[inline(always)]
    fn shift_72(self) -> V {
        on!({
            let middle = _mm256_srli_epi64::<32>(_mm256_slli_epi64::<40>(self.0));
            let middle = _mm256_mul_epu32(middle, word(EPSILON));
            V(sub_words(middle, _mm256_srli_epi64::<24>(self.0)))
        })
    }
    #[inline(always)]
    fn negate_where(self, sign: V) -> V {
        on!({
            let negative = _mm256_cmpgt_epi64(word(0), sign.0);
            let flipped = _mm256_sub_epi64(word(P.cast_signed()), self.0);
            V(_mm256_blendv_epi8(self.0, flipped, negative))
        })
    }
    #[inline(always)]
    fn residue(self) -> V {
        on!({
            let negative = _mm256_cmpgt_epi64(word(0), self.0);
            V(_mm256_sub_epi64(self.0, _mm256_srli_epi64::<32>(negative)))
        })
    }
    #[inline(always)]
    fn magnitude(self) -> V {
        on!({
            let negative = _mm256_cmpgt_epi64(word(0), self.0);
            V(_mm256_sub_epi64(_mm256_xor_si256(self.0, negative), negative))
        })
    }
    #[inline(always)]
    fn wrapping_add(self, other: V) -> V {
        V(on!(_mm256_add_epi64(self.0, other.0)))
    }
    #[inline(always)]
    fn or(self, other: V) -> V {
        V(on!(_mm256_or_si256(self.0, other.0)))
    }
    #[inline(always)]
    fn all_short(self) -> bool {
        on!(_mm256_testz_si256(self.0, word(!EPSILON))) == 1
    }
    #[inline(always)]
    fn sum_lanes(self) -> F {
        let mut words = [0u64; 4];
        // SAFETY: the array has four words; the store needs no alignment.
        unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), self.0) };
        F::from_u128(words.into_iter().map(u128::from).sum())
    }
}
