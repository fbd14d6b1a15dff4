//! The field F = Z/p with p = 2^64 - 2^32 + 1 and its extension K = `F[√7]`.
//!
//! Elements are kept canonical (below p), so equality of elements is equality of words.

use core::iter::{Product, Sum};
use core::ops::{Add, AddAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// The prime p = 2^64 - 2^32 + 1.
pub const P: u64 = 0xffff_ffff_0000_0001;
/// 2^64 mod p.
const EPSILON: u64 = 0xffff_ffff;
/// Generator of the subgroup of order 2^32: 7^((p-1)/2^32).
const ROOT_2_32: F = F(1_753_635_133_440_165_772);

/// An element of F, canonical: a word.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub struct F(u64);

impl core::fmt::Debug for F {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// x mod p, for any 128-bit x.
#[inline(always)]
const fn reduce(x: u128) -> u64 {
    #[expect(clippy::as_conversions, reason = "the two halves of a 128-bit word")]
    let (low, high) = (x as u64, (x >> 64) as u64);
    let (top, middle) = (high >> 32, high & EPSILON);
    // 2^96 = -1 and 2^64 = 2^32 - 1 modulo p.
    let (mut a, borrow) = low.overflowing_sub(top);
    if borrow {
        a = a.wrapping_sub(EPSILON);
    }
    let b = middle.wrapping_mul(EPSILON);
    let (mut c, carry) = a.overflowing_add(b);
    if carry {
        c = c.wrapping_add(EPSILON);
    }
    if c >= P { c.wrapping_sub(P) } else { c }
}

impl F {
    /// 0.
    pub const ZERO: Self = Self(0);
    /// 1.
    pub const ONE: Self = Self(1);
    /// Number of bytes of an element.
    pub const BYTES: usize = 8;

    /// x mod p.
    #[inline(always)]
    pub const fn new(x: u64) -> Self {
        Self(if x >= P { x.wrapping_sub(P) } else { x })
    }

    /// The element with this canonical value; none if `x >= p`.
    #[inline]
    pub const fn canonical(x: u64) -> Option<Self> {
        if x < P { Some(Self(x)) } else { None }
    }

    /// a mod p for a signed integer.
    #[inline(always)]
    pub const fn from_i64(a: i64) -> Self {
        let magnitude = Self::new(a.unsigned_abs());
        if a < 0 && magnitude.0 != 0 { Self(P.wrapping_sub(magnitude.0)) } else { magnitude }
    }

    /// x mod p.
    #[inline(always)]
    pub const fn from_u128(x: u128) -> Self {
        Self(reduce(x))
    }

    /// a mod p for a signed 128-bit integer.
    #[inline]
    pub const fn from_i128(a: i128) -> Self {
        let magnitude = reduce(a.unsigned_abs());
        if a < 0 && magnitude != 0 { Self(P.wrapping_sub(magnitude)) } else { Self(magnitude) }
    }

    /// The canonical value, below p.
    #[inline(always)]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// 8 bytes, little endian.
    #[inline]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    /// self^e.
    pub fn pow(self, mut e: u64) -> Self {
        let (mut base, mut result) = (self, Self::ONE);
        while e > 0 {
            if e & 1 == 1 {
                result *= base;
            }
            base *= base;
            e >>= 1;
        }
        result
    }

    /// 1/self; 0 for 0.
    pub fn inverse(self) -> Self {
        self.pow(P.wrapping_sub(2))
    }

    /// A generator of the subgroup of order 2^log_n; none above 2^32.
    pub fn root_of_unity(log_n: u32) -> Option<Self> {
        let mut root = ROOT_2_32;
        for _ in 0..32u32.checked_sub(log_n)? {
            root *= root;
        }
        Some(root)
    }
}

impl zeroize::DefaultIsZeroes for F {}
impl zeroize::DefaultIsZeroes for K {}

impl From<u32> for F {
    fn from(x: u32) -> Self {
        Self(u64::from(x))
    }
}

impl Add for F {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        let (sum, carry) = self.0.overflowing_add(other.0);
        if carry || sum >= P { Self(sum.wrapping_sub(P)) } else { Self(sum) }
    }
}

impl Sub for F {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        let (difference, borrow) = self.0.overflowing_sub(other.0);
        Self(if borrow { difference.wrapping_add(P) } else { difference })
    }
}

impl Neg for F {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self::ZERO - self
    }
}

impl Mul for F {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(reduce(u128::from(self.0).wrapping_mul(u128::from(other.0))))
    }
}

/// An element c0 + c1·√7 of K: two words, c0 first.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct K {
    /// Coefficient of 1.
    pub c0: F,
    /// Coefficient of √7.
    pub c1: F,
}

impl core::fmt::Debug for K {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "({}, {})", self.c0.0, self.c1.0)
    }
}

impl K {
    /// 0.
    pub const ZERO: Self = Self { c0: F::ZERO, c1: F::ZERO };
    /// 1.
    pub const ONE: Self = Self { c0: F::ONE, c1: F::ZERO };
    /// √7.
    pub const SQRT7: Self = Self { c0: F::ZERO, c1: F::ONE };
    /// Number of bytes of an element.
    pub const BYTES: usize = 16;

    /// c0 + c1·√7.
    #[inline(always)]
    pub const fn new(c0: F, c1: F) -> Self {
        Self { c0, c1 }
    }

    /// self · f.
    #[inline(always)]
    pub fn scale(self, f: F) -> Self {
        Self { c0: self.c0 * f, c1: self.c1 * f }
    }

    /// 16 bytes: c0 then c1.
    pub fn to_bytes(self) -> [u8; 16] {
        u128::from(self.c0.0).wrapping_add(u128::from(self.c1.0) << 64).to_le_bytes()
    }

    /// 1/self; 0 for 0.
    pub fn inverse(self) -> Self {
        self.conjugate().scale(self.norm().inverse())
    }

    /// c0 - c1·√7.
    fn conjugate(self) -> Self {
        Self { c0: self.c0, c1: -self.c1 }
    }

    /// self times its conjugate; 0 for 0 only.
    fn norm(self) -> F {
        self.c0 * self.c0 - F(7) * (self.c1 * self.c1)
    }

    /// self^e.
    pub fn pow(self, mut e: u64) -> Self {
        let (mut base, mut result) = (self, Self::ONE);
        while e > 0 {
            if e & 1 == 1 {
                result *= base;
            }
            base *= base;
            e >>= 1;
        }
        result
    }
}

impl From<F> for K {
    #[inline(always)]
    fn from(c0: F) -> Self {
        Self { c0, c1: F::ZERO }
    }
}

impl Add for K {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self { c0: self.c0 + other.c0, c1: self.c1 + other.c1 }
    }
}

impl Sub for K {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self { c0: self.c0 - other.c0, c1: self.c1 - other.c1 }
    }
}

impl Neg for K {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self { c0: -self.c0, c1: -self.c1 }
    }
}

impl Mul for K {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let low = self.c0 * other.c0;
        let high = self.c1 * other.c1;
        let cross = (self.c0 + self.c1) * (other.c0 + other.c1);
        let seven = F(reduce(u128::from(high.0).wrapping_mul(7)));
        Self { c0: low + seven, c1: cross - low - high }
    }
}

macro_rules! derived {
    ($t:ty) => {
        impl AddAssign for $t {
            #[inline(always)]
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }
        impl SubAssign for $t {
            #[inline(always)]
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }
        impl MulAssign for $t {
            #[inline(always)]
            fn mul_assign(&mut self, other: Self) {
                *self = *self * other;
            }
        }
        impl Sum for $t {
            fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
                items.fold(Self::ZERO, |sum, x| sum + x)
            }
        }
        impl Product for $t {
            fn product<I: Iterator<Item = Self>>(items: I) -> Self {
                items.fold(Self::ONE, |product, x| product * x)
            }
        }
    };
}
derived!(F);
derived!(K);

/// Inverses of many elements with one inversion; 0 stays 0.
pub fn batch_inverse(values: &[F]) -> Vec<F> {
    let nonzero = |x: F| if x == F::ZERO { F::ONE } else { x };
    let mut prefix = Vec::with_capacity(values.len());
    let mut product = F::ONE;
    for &x in values {
        prefix.push(product);
        product *= nonzero(x);
    }
    let mut rest = product.inverse();
    let mut inverses: Vec<F> = values
        .iter()
        .zip(prefix)
        .rev()
        .map(|(&x, before)| {
            let inverse = rest * before;
            rest *= nonzero(x);
            if x == F::ZERO { F::ZERO } else { inverse }
        })
        .collect();
    inverses.reverse();
    inverses
}

/// As [`batch_inverse`], over K.
pub fn batch_inverse_extension(values: &[K]) -> Vec<K> {
    let norms: Vec<F> = values.iter().map(|x| x.norm()).collect();
    values.iter().zip(batch_inverse(&norms)).map(|(x, norm)| x.conjugate().scale(norm)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use p3_field::{Field, PrimeCharacteristicRing, PrimeField64};
    use p3_goldilocks::Goldilocks;
    use proptest::prelude::*;

    fn edge() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            Just(0),
            Just(1),
            Just(P - 1),
            Just(P - 2),
            Just(EPSILON),
            Just(1 << 32),
            Just(u64::MAX)
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_plonky3(a in edge(), b in edge()) {
            let (x, y) = (F::new(a), F::new(b));
            let (p, q) = (Goldilocks::from_u64(a), Goldilocks::from_u64(b));
            prop_assert_eq!((x + y).value(), (p + q).as_canonical_u64());
            prop_assert_eq!((x - y).value(), (p - q).as_canonical_u64());
            prop_assert_eq!((x * y).value(), (p * q).as_canonical_u64());
            prop_assert_eq!((-x).value(), (-p).as_canonical_u64());
            if x != F::ZERO {
                prop_assert_eq!(x.inverse().value(), p.inverse().as_canonical_u64());
            }
        }

        #[test]
        fn reduces_any_word(a in any::<u128>()) {
            prop_assert_eq!(u128::from(F::from_u128(a).value()), a % u128::from(P));
        }

        #[test]
        fn signed_is_centred(a in any::<i64>(), b in any::<i128>()) {
            prop_assert_eq!(i128::from(F::from_i64(a).value()), i128::from(a).rem_euclid(i128::from(P)));
            prop_assert_eq!(i128::from(F::from_i128(b).value()), b.rem_euclid(i128::from(P)));
        }

        #[test]
        fn extension_is_a_field(a in edge(), b in edge(), c in edge(), d in edge()) {
            let (x, y) = (K::new(F::new(a), F::new(b)), K::new(F::new(c), F::new(d)));
            let plain = K::new(x.c0 * y.c0 + F(7) * x.c1 * y.c1, x.c0 * y.c1 + x.c1 * y.c0);
            prop_assert_eq!(x * y, plain);
            if x != K::ZERO {
                prop_assert_eq!(x * x.inverse(), K::ONE);
            }
            let all = [x, K::ZERO, y, x * y];
            prop_assert_eq!(batch_inverse_extension(&all), all.map(K::inverse));
        }
    }

    #[test]
    fn known_answers() {
        let k = |a, b| K::new(F(a), F(b));
        assert_eq!(k(1, 2) * k(3, 4), k(59, 10));
        assert_eq!(k(1, 2).inverse(), k(4_782_489_203_181_558_898, 8_881_765_663_051_466_525));
        assert_eq!(F(7).pow((P - 1) >> 32), ROOT_2_32);
        assert_eq!(F::root_of_unity(0), Some(F::ONE));
        assert_eq!(F::root_of_unity(33), None);
        assert_eq!(batch_inverse(&[F(2), F::ZERO, F(3)]), vec![F(2).inverse(), F::ZERO, F(3).inverse()]);
    }
}
