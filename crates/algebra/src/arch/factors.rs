//! Sums of products of 16-bit integers, in 32-bit sums that the caller has bounded.
#![expect(unsafe_code, reason = "instructions of the processor")]
#![cfg_attr(
    not(test),
    expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        reason = "only the owner multiplies, on sizes that are checked on entry"
    )
)]

/// Entries of the right factor that stay in the cache while the left factor passes.
const PANEL: usize = 1 << 16;
/// [`columns`] reads its right factor in pieces of this many columns.
pub const COLUMNS: usize = 64;

/// `out[i][j] += Σ_k a[i][k]·b[j][k]` for rows of `length` entries, all row-major.
///
/// `block` products of an entry of `a` and one of `b` must fit an `i32`; it is at least 2.
pub fn rows(a: &[i16], b: &[i16], length: usize, block: usize, out: &mut [i64]) {
    rows_at(Level::best(), a, b, length, block, out);
}

/// `out[i][j] += Σ_k a[i][k]·b[k][j]` for `length` entries of each row of `a`, all row-major.
///
/// Rows of `b` are `stride` apart, a multiple of [`COLUMNS`]; rows of `out` have `width` entries,
/// at most `stride`. `block` as for [`rows`].
pub fn columns(a: &[i16], b: &[i16], length: usize, block: usize, out: &mut [i64], width: usize) {
    columns_at(Level::best(), a, b, length, block, out, width);
}

/// Writes the values less `middle` in 16 bits; whether all fit. The shorter slice decides.
pub fn narrow(values: &[i64], middle: i64, to: &mut [i16]) -> bool {
    Level::best().narrow(values, middle, to)
}

/// Whether all values fit 16 bits; writes them.
#[inline(always)]
fn narrow_all(values: &[i64], middle: i64, to: &mut [i16]) -> bool {
    let mut lost = 0;
    for (to, &value) in to.iter_mut().zip(values) {
        let value = value.wrapping_sub(middle);
        *to = value as i16;
        lost |= value ^ i64::from(value as i16);
    }
    lost == 0
}

/// `Σ_k a[i][k]·b[k]` modulo 2^64, for any 64-bit entries. Rows of `a` are as long as `b`, or shorter.
pub fn dots(a: [&[i64]; 4], b: &[i64]) -> [i64; 4] {
    Level::best().dots(a, b)
}

/// The definition of [`dots`], compiled once for each level.
#[inline(always)]
fn dots_all(a: [&[i64]; 4], b: &[i64]) -> [i64; 4] {
    let [a0, a1, a2, a3] = a;
    let mut sums = [0i64; 4];
    if a.iter().any(|row| row.len() != b.len()) {
        for (sum, row) in sums.iter_mut().zip(a) {
            for (&a, &b) in row.iter().zip(b) {
                *sum = sum.wrapping_add(a.wrapping_mul(b));
            }
        }
        return sums;
    }
    for ((((&b, &a0), &a1), &a2), &a3) in b.iter().zip(a0).zip(a1).zip(a2).zip(a3) {
        sums[0] = sums[0].wrapping_add(a0.wrapping_mul(b));
        sums[1] = sums[1].wrapping_add(a1.wrapping_mul(b));
        sums[2] = sums[2].wrapping_add(a2.wrapping_mul(b));
        sums[3] = sums[3].wrapping_add(a3.wrapping_mul(b));
    }
    sums
}

fn rows_at(level: Level, a: &[i16], b: &[i16], length: usize, block: usize, out: &mut [i64]) {
    if length == 0 || out.is_empty() {
        return;
    }
    let (left, right) = (a.len() / length, b.len() / length);
    assert_eq!((left * length, right * length), (a.len(), b.len()), "whole rows");
    assert_eq!(out.len(), left * right, "one sum for each pair of rows");
    let step = (PANEL / length).max(4);
    for first in (0..right).step_by(step) {
        let panel = Panel { a, b, length, right, first, end: right.min(first + step) };
        for from in (0..length).step_by(block) {
            level.rows(&panel, from, length.min(from + block), out);
        }
    }
}

fn columns_at(
    level: Level,
    a: &[i16],
    b: &[i16],
    length: usize,
    block: usize,
    out: &mut [i64],
    width: usize,
) {
    if length == 0 || out.is_empty() {
        return;
    }
    let (height, stride) = (a.len() / length, b.len() / length);
    assert_eq!((height * length, stride * length), (a.len(), b.len()), "whole rows");
    assert!(stride.is_multiple_of(COLUMNS) && width <= stride, "width {width} of {stride} columns");
    assert_eq!(out.len(), height * width, "one sum for each row and column");
    let product = Product { a, b, length, stride, width };
    // Pairs of products are added at once, so blocks are even.
    for from in (0..length).step_by(block / 2 * 2) {
        level.columns(&product, from, length.min(from + block / 2 * 2), out);
    }
}

/// Rows `first..end` of b against all rows of a.
struct Panel<'a> {
    a: &'a [i16],
    b: &'a [i16],
    length: usize,
    right: usize,
    first: usize,
    end: usize,
}

/// Rows of a against all columns of b.
struct Product<'a> {
    a: &'a [i16],
    b: &'a [i16],
    length: usize,
    stride: usize,
    width: usize,
}

/// A register of 16-bit entries, or of 32-bit sums of pairs of them.
///
/// # Safety
/// Every function needs the processor to have the instructions of the implementation; pointers
/// must be good for a whole register.
trait Lanes: Copy {
    /// 16-bit entries.
    const COUNT: usize;
    unsafe fn zero() -> Self;
    unsafe fn load(from: *const i16) -> Self;
    /// The same two entries everywhere.
    unsafe fn pair(two: [i16; 2]) -> Self;
    /// Adds to each sum the products of a pair.
    unsafe fn multiply_add(self, x: Self, y: Self) -> Self;
    /// Entries of x and y in turn: four pairs from each eight for the first register, the other
    /// four for the second.
    unsafe fn zip(x: Self, y: Self) -> (Self, Self);
    unsafe fn store(self, to: *mut i32);
}

/// Largest number of 32-bit sums in a register.
const SUMS: usize = 16;

/// Sum of all sums.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
unsafe fn total<V: Lanes>(sums: V) -> i32 {
    let mut parts = [0i32; SUMS];
    // SAFETY: the caller's promise; no register has more sums.
    unsafe { sums.store(parts.as_mut_ptr()) };
    parts.iter().fold(0, |sum, &part| sum.wrapping_add(part))
}

/// All products of R rows and C rows of one length.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
unsafe fn row_tile<V: Lanes, const R: usize, const C: usize>(
    a: [&[i16]; R],
    b: [&[i16]; C],
    length: usize,
) -> [[i32; C]; R] {
    let whole = length / V::COUNT * V::COUNT;
    let mut out = [[0; C]; R];
    // SAFETY: the caller's promise; every row has `length` entries, the padded ones COUNT.
    unsafe {
        let mut sums = [[V::zero(); C]; R];
        let mut at = 0;
        while at < whole {
            let mut right = [V::zero(); C];
            for c in 0..C {
                right[c] = V::load(b[c].as_ptr().add(at));
            }
            for r in 0..R {
                let left = V::load(a[r].as_ptr().add(at));
                for c in 0..C {
                    sums[r][c] = sums[r][c].multiply_add(left, right[c]);
                }
            }
            at += V::COUNT;
        }
        if whole < length {
            let mut right = [V::zero(); C];
            for c in 0..C {
                right[c] = V::load(padded(&b[c][whole..length]).as_ptr());
            }
            for r in 0..R {
                let left = V::load(padded(&a[r][whole..length]).as_ptr());
                for c in 0..C {
                    sums[r][c] = sums[r][c].multiply_add(left, right[c]);
                }
            }
        }
        for r in 0..R {
            for c in 0..C {
                out[r][c] = total(sums[r][c]);
            }
        }
    }
    out
}

/// A register's worth of entries, zeros after the last.
#[inline(always)]
fn padded(rest: &[i16]) -> [i16; 2 * SUMS] {
    let mut full = [0; 2 * SUMS];
    full[..rest.len()].copy_from_slice(rest);
    full
}

/// Entries `from..to` of the rows of a panel. Past the last row the last one is taken again.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
unsafe fn row_tiles<V: Lanes, const R: usize, const C: usize>(
    panel: &Panel<'_>,
    from: usize,
    to: usize,
    out: &mut [i64],
) {
    let left = panel.a.len() / panel.length;
    let empty: &[i16] = &[];
    for top in (0..left).step_by(R) {
        let mut a = [empty; R];
        for (r, row) in a.iter_mut().enumerate() {
            *row = &panel.a[(top + r).min(left - 1) * panel.length..][from..to];
        }
        for first in (panel.first..panel.end).step_by(C) {
            let mut b = [empty; C];
            for (c, row) in b.iter_mut().enumerate() {
                *row = &panel.b[(first + c).min(panel.end - 1) * panel.length..][from..to];
            }
            // SAFETY: the caller's promise.
            let sums = unsafe { row_tile::<V, R, C>(a, b, to - from) };
            for (r, sums) in sums.iter().enumerate().take(left - top) {
                for (c, &sum) in sums.iter().enumerate().take(panel.end - first) {
                    out[(top + r) * panel.right + first + c] += i64::from(sum);
                }
            }
        }
    }
}

/// Entries `from..to` of J rows of a against the columns from `column` on, 2M registers of sums.
///
/// # Safety
/// As [`Lanes`]; M registers from `column` on are inside the stride.
#[inline(always)]
unsafe fn column_tile<V: Lanes, const J: usize, const M: usize>(
    product: &Product<'_>,
    a: [&[i16]; J],
    (from, to): (usize, usize),
    column: usize,
) -> [[i32; COLUMNS]; J] {
    let mut out = [[0; COLUMNS]; J];
    // SAFETY: the caller's promise: b has `to` rows of `stride` entries.
    unsafe {
        let mut sums = [[[V::zero(); 2]; M]; J];
        let mut k = from;
        while k < to {
            let row = product.b.as_ptr().add(k * product.stride + column);
            let last = k + 1 == to;
            let mut right = [[V::zero(); 2]; M];
            for (m, right) in right.iter_mut().enumerate() {
                let upper = V::load(row.add(m * V::COUNT));
                let lower = if last { V::zero() } else { V::load(row.add(product.stride + m * V::COUNT)) };
                let (first, second) = V::zip(upper, lower);
                *right = [first, second];
            }
            for j in 0..J {
                let entry = a[j].as_ptr().add(k - from);
                let pair = V::pair([*entry, if last { 0 } else { *entry.add(1) }]);
                for m in 0..M {
                    sums[j][m][0] = sums[j][m][0].multiply_add(right[m][0], pair);
                    sums[j][m][1] = sums[j][m][1].multiply_add(right[m][1], pair);
                }
            }
            k += 2;
        }
        for j in 0..J {
            for m in 0..M {
                let mut halves = [[0i32; SUMS]; 2];
                sums[j][m][0].store(halves[0].as_mut_ptr());
                sums[j][m][1].store(halves[1].as_mut_ptr());
                let to = &mut out[j][m * V::COUNT..(m + 1) * V::COUNT];
                for (i, eight) in to.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                    eight[..4].copy_from_slice(&halves[0][4 * i..4 * i + 4]);
                    eight[4..].copy_from_slice(&halves[1][4 * i..4 * i + 4]);
                }
            }
        }
    }
    out
}

/// Entries `from..to` of all rows of a against all columns of b.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
unsafe fn column_tiles<V: Lanes, const J: usize, const M: usize>(
    product: &Product<'_>,
    from: usize,
    to: usize,
    out: &mut [i64],
) {
    let height = product.a.len() / product.length;
    let empty: &[i16] = &[];
    for column in (0..product.width).step_by(M * V::COUNT) {
        for top in (0..height).step_by(J) {
            let mut a = [empty; J];
            for (j, row) in a.iter_mut().enumerate() {
                *row = &product.a[(top + j).min(height - 1) * product.length..][from..to];
            }
            // SAFETY: the caller's promise; M·COUNT divides COLUMNS, which divides the stride.
            let sums = unsafe { column_tile::<V, J, M>(product, a, (from, to), column) };
            let width = (M * V::COUNT).min(product.width - column);
            for (j, sums) in sums.iter().enumerate().take(height - top) {
                let row = &mut out[(top + j) * product.width + column..][..width];
                row.iter_mut().zip(sums).for_each(|(out, &sum)| *out += i64::from(sum));
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::*;

    use super::{Lanes, Panel, Product, column_tiles, dots_all, narrow_all, row_tiles};

    /// 32 entries in 512 bits.
    #[derive(Clone, Copy)]
    struct Wide(__m512i);

    // SAFETY of all functions: the caller has avx512bw and avx512vnni, and good pointers.
    impl Lanes for Wide {
        const COUNT: usize = 32;

        #[inline(always)]
        unsafe fn zero() -> Self {
            Self(unsafe { _mm512_setzero_si512() })
        }

        #[inline(always)]
        unsafe fn load(from: *const i16) -> Self {
            Self(unsafe { _mm512_loadu_si512(from.cast()) })
        }

        #[inline(always)]
        unsafe fn pair([x, y]: [i16; 2]) -> Self {
            let both = i32::from(x.cast_unsigned()) | i32::from(y) << 16;
            Self(unsafe { _mm512_set1_epi32(both) })
        }

        #[inline(always)]
        unsafe fn multiply_add(self, x: Self, y: Self) -> Self {
            Self(unsafe { _mm512_dpwssd_epi32(self.0, x.0, y.0) })
        }

        #[inline(always)]
        unsafe fn zip(x: Self, y: Self) -> (Self, Self) {
            unsafe { (Self(_mm512_unpacklo_epi16(x.0, y.0)), Self(_mm512_unpackhi_epi16(x.0, y.0))) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut i32) {
            unsafe { _mm512_storeu_si512(to.cast(), self.0) }
        }
    }

    /// 16 entries in 256 bits.
    #[derive(Clone, Copy)]
    struct Half(__m256i);

    // SAFETY of all functions: the caller has avx2, and good pointers.
    impl Lanes for Half {
        const COUNT: usize = 16;

        #[inline(always)]
        unsafe fn zero() -> Self {
            Self(unsafe { _mm256_setzero_si256() })
        }

        #[inline(always)]
        unsafe fn load(from: *const i16) -> Self {
            Self(unsafe { _mm256_loadu_si256(from.cast()) })
        }

        #[inline(always)]
        unsafe fn pair([x, y]: [i16; 2]) -> Self {
            let both = i32::from(x.cast_unsigned()) | i32::from(y) << 16;
            Self(unsafe { _mm256_set1_epi32(both) })
        }

        #[inline(always)]
        unsafe fn multiply_add(self, x: Self, y: Self) -> Self {
            Self(unsafe { _mm256_add_epi32(self.0, _mm256_madd_epi16(x.0, y.0)) })
        }

        #[inline(always)]
        unsafe fn zip(x: Self, y: Self) -> (Self, Self) {
            unsafe { (Self(_mm256_unpacklo_epi16(x.0, y.0)), Self(_mm256_unpackhi_epi16(x.0, y.0))) }
        }

        #[inline(always)]
        unsafe fn store(self, to: *mut i32) {
            unsafe { _mm256_storeu_si256(to.cast(), self.0) }
        }
    }

    /// # Safety
    /// The processor has these instructions.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vnni")]
    pub(super) unsafe fn dots_wide(a: [&[i64]; 4], b: &[i64]) -> [i64; 4] {
        dots_all(a, b)
    }

    /// # Safety
    /// The processor has these instructions.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) unsafe fn narrow_wide(values: &[i64], middle: i64, to: &mut [i16]) -> bool {
        narrow_all(values, middle, to)
    }

    /// # Safety
    /// The processor has these instructions.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn dots_half(a: [&[i64]; 4], b: &[i64]) -> [i64; 4] {
        dots_all(a, b)
    }

    /// # Safety
    /// The processor has these instructions.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn narrow_half(values: &[i64], middle: i64, to: &mut [i16]) -> bool {
        narrow_all(values, middle, to)
    }

    /// # Safety
    /// The processor has these instructions.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) unsafe fn rows_wide(panel: &Panel<'_>, from: usize, to: usize, out: &mut [i64]) {
        // SAFETY: the caller's promise.
        unsafe {
            if panel.a.len() == panel.length {
                row_tiles::<Wide, 1, 4>(panel, from, to, out);
            } else {
                row_tiles::<Wide, 4, 4>(panel, from, to, out);
            }
        }
    }

    /// # Safety
    /// The processor has these instructions.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn rows_half(panel: &Panel<'_>, from: usize, to: usize, out: &mut [i64]) {
        // SAFETY: the caller's promise.
        unsafe {
            if panel.a.len() == panel.length {
                row_tiles::<Half, 1, 4>(panel, from, to, out);
            } else {
                row_tiles::<Half, 2, 4>(panel, from, to, out);
            }
        }
    }

    /// # Safety
    /// The processor has these instructions.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) unsafe fn columns_wide(product: &Product<'_>, from: usize, to: usize, out: &mut [i64]) {
        // SAFETY: the caller's promise.
        unsafe {
            if product.a.len() == product.length {
                column_tiles::<Wide, 1, 2>(product, from, to, out);
            } else {
                column_tiles::<Wide, 4, 2>(product, from, to, out);
            }
        }
    }

    /// # Safety
    /// The processor has these instructions.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn columns_half(product: &Product<'_>, from: usize, to: usize, out: &mut [i64]) {
        // SAFETY: the caller's promise.
        unsafe {
            if product.a.len() == product.length {
                column_tiles::<Half, 1, 2>(product, from, to, out);
            } else {
                column_tiles::<Half, 2, 2>(product, from, to, out);
            }
        }
    }
}

/// Registers to multiply with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Vnni,
}

impl Level {
    /// What this processor has, the best last.
    fn all() -> impl DoubleEndedIterator<Item = Self> {
        let plain = core::iter::once(Self::Plain);
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2").then_some(Self::Avx2);
            let vnni = is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vnni");
            plain.chain(avx2).chain(vnni.then_some(Self::Vnni))
        }
        #[cfg(not(target_arch = "x86_64"))]
        plain
    }

    fn best() -> Self {
        Self::all().next_back().unwrap_or(Self::Plain)
    }

    fn rows(self, panel: &Panel<'_>, from: usize, to: usize, out: &mut [i64]) {
        // SAFETY: `all` makes a level only if the processor has its instructions.
        match self {
            Self::Plain => plain_rows(panel, from, to, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::rows_half(panel, from, to, out) },
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => unsafe { x86::rows_wide(panel, from, to, out) },
        }
    }

    fn narrow(self, values: &[i64], middle: i64, to: &mut [i16]) -> bool {
        // SAFETY: `all` makes a level only if the processor has its instructions.
        match self {
            Self::Plain => narrow_all(values, middle, to),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::narrow_half(values, middle, to) },
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => unsafe { x86::narrow_wide(values, middle, to) },
        }
    }

    fn dots(self, a: [&[i64]; 4], b: &[i64]) -> [i64; 4] {
        // SAFETY: `all` makes a level only if the processor has its instructions.
        match self {
            Self::Plain => dots_all(a, b),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::dots_half(a, b) },
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => unsafe { x86::dots_wide(a, b) },
        }
    }

    fn columns(self, product: &Product<'_>, from: usize, to: usize, out: &mut [i64]) {
        // SAFETY: `all` makes a level only if the processor has its instructions.
        match self {
            Self::Plain => plain_columns(product, from, to, out),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::columns_half(product, from, to, out) },
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => unsafe { x86::columns_wide(product, from, to, out) },
        }
    }
}

fn plain_rows(panel: &Panel<'_>, from: usize, to: usize, out: &mut [i64]) {
    for (a, out) in panel.a.chunks_exact(panel.length).zip(out.chunks_exact_mut(panel.right)) {
        for (j, out) in out.iter_mut().enumerate().take(panel.end).skip(panel.first) {
            let b = &panel.b[j * panel.length..][from..to];
            let products = a[from..to].iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b));
            *out += i64::from(products.sum::<i32>());
        }
    }
}

fn plain_columns(product: &Product<'_>, from: usize, to: usize, out: &mut [i64]) {
    let mut sums = vec![0i32; product.width];
    for (a, out) in product.a.chunks_exact(product.length).zip(out.chunks_exact_mut(product.width)) {
        sums.fill(0);
        let b = product.b.chunks_exact(product.stride).skip(from);
        for (&a, b) in a[from..to].iter().zip(b) {
            sums.iter_mut().zip(b).for_each(|(sum, &b)| *sum += i32::from(a) * i32::from(b));
        }
        out.iter_mut().zip(&sums).for_each(|(out, &sum)| *out += i64::from(sum));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Entries in -most..=most, the ends often.
    fn entries(count: usize, most: i64, seed: u64) -> Vec<i16> {
        let draw = |i: usize| {
            let word = (seed ^ i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
            let word = word.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20;
            match word % 4 {
                0 => most,
                1 => -most,
                _ => (word >> 2) as i64 % (2 * most + 1) - most,
            }
        };
        (0..count).map(|i| draw(i) as i16).collect()
    }

    fn expected(
        left: usize,
        right: usize,
        length: usize,
        at: impl Fn(usize, usize, usize) -> i64,
    ) -> Vec<i64> {
        let sum = |i: usize, j: usize| (0..length).map(|k| at(i, j, k)).sum::<i64>() + 7;
        (0..left).flat_map(|i| (0..right).map(move |j| (i, j))).map(|(i, j)| sum(i, j)).collect()
    }

    #[test]
    fn dots_wrap() {
        let word = |i: usize, k: usize| ((i * 1000 + k + 1) as i64).wrapping_mul(0x1e37_79b9_7f4a_7c15);
        for length in [0usize, 1, 3, 8, 31, 100] {
            let b: Vec<i64> = (0..length).map(|k| word(9, k)).collect();
            for short in [length, length / 2] {
                let a: Vec<Vec<i64>> = (0..4)
                    .map(|i| (0..if i == 3 { short } else { length }).map(|k| word(i, k)).collect())
                    .collect();
                let want = a.iter().map(|row| {
                    row.iter().zip(&b).fold(0i64, |sum, (a, b)| sum.wrapping_add(a.wrapping_mul(*b)))
                });
                let want: Vec<i64> = want.collect();
                for level in Level::all() {
                    assert_eq!(level.dots([&a[0], &a[1], &a[2], &a[3]], &b).to_vec(), want, "{level:?}");
                }
            }
        }
    }

    #[test]
    fn narrow_refuses_what_does_not_fit() {
        for level in Level::all() {
            for count in [0usize, 1, 7, 31, 32, 100] {
                let mut values: Vec<i64> = entries(count, 32767, 5).into_iter().map(i64::from).collect();
                let mut to = vec![1; count];
                assert!(level.narrow(&values, 0, &mut to), "{level:?}");
                assert!(to.iter().map(|&x| i64::from(x)).eq(values.iter().copied()), "{level:?}");
                for bad in [32768, -32769, 1 << 16, i64::MIN] {
                    if let Some(last) = values.last_mut() {
                        *last = bad;
                        assert!(!level.narrow(&values, 0, &mut to), "{level:?}: {bad}");
                    }
                }
            }
        }
    }

    proptest! {
        #[test]
        fn rows_are_sums_of_products(
            left in 1usize..11, right in 1usize..20, length in 1usize..200, most in 1i64..=32767,
            seed: u64,
        ) {
            let (a, b) = (entries(left * length, most, seed), entries(right * length, most, !seed));
            let block = (i64::from(i32::MAX) / (most * most)) as usize;
            let want = expected(left, right, length, |i, j, k| {
                i64::from(a[i * length + k]) * i64::from(b[j * length + k])
            });
            for level in Level::all() {
                let mut out = vec![7; left * right];
                rows_at(level, &a, &b, length, block, &mut out);
                prop_assert_eq!(&out, &want, "{:?}", level);
            }
        }

        #[test]
        fn columns_are_sums_of_products(
            height in 1usize..14, width in 1usize..200, length in 1usize..100, most in 1i64..=32767,
            seed: u64,
        ) {
            let stride = width.next_multiple_of(COLUMNS);
            let (a, b) = (entries(height * length, most, seed), entries(stride * length, most, !seed));
            let block = (i64::from(i32::MAX) / (most * most)) as usize;
            let want = expected(height, width, length, |i, j, k| {
                i64::from(a[i * length + k]) * i64::from(b[k * stride + j])
            });
            for level in Level::all() {
                let mut out = vec![7; height * width];
                columns_at(level, &a, &b, length, block, &mut out, width);
                prop_assert_eq!(&out, &want, "{:?}", level);
            }
        }
    }
}
