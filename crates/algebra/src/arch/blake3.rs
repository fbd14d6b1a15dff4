//! BLAKE3 of many messages of one length at once: lane i of every register belongs to message i.
//!
//! Equal to the `blake3` crate on each message; the tests compare them. Source: the BLAKE3 paper
//! (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2021), sections 2 and 5.3.
#![expect(unsafe_code, reason = "instructions of the processor")]
#![cfg_attr(
    not(test),
    expect(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        reason = "only the prover hashes in batches; indices are bounded by constants"
    )
)]

use std::ops::Range;

use zeroize::{Zeroize, Zeroizing};

/// Messages hashed by one call of the compression function.
const LANES: usize = 16;
/// Messages whose words are asked for together: one cache line of words each, eight times.
const RUN: usize = 64;
const GROUPS: usize = RUN / LANES;
/// 64-bit words of a block and of a chunk.
const BLOCK_WORDS: usize = 8;
const CHUNK_WORDS: usize = 128;

const CHUNK_START: u32 = 1;
const CHUNK_END: u32 = 2;
const PARENT: u32 = 4;
const ROOT: u32 = 8;
const KEYED_HASH: u32 = 16;

const IV: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The order in which each round takes the message words.
const SCHEDULE: [[usize; 16]; 7] = {
    const NEXT: [usize; 16] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
    let mut schedule = [[0; 16]; 7];
    let (mut round, mut i) = (0, 0);
    while i < 16 {
        schedule[0][i] = i;
        i += 1;
    }
    while round < 6 {
        i = 0;
        while i < 16 {
            schedule[round + 1][i] = schedule[round][NEXT[i]];
            i += 1;
        }
        round += 1;
    }
    schedule
};

/// Chaining values: word w of message i is `[w][i]`.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Chain([[u32; LANES]; 8]);

/// One block of a run of messages: 64-bit word k of message i is `[k][i]`.
#[derive(Clone)]
#[repr(align(64))]
struct Block([[u64; RUN]; BLOCK_WORDS]);

impl Block {
    const ZERO: Self = Self([[0; RUN]; BLOCK_WORDS]);
}

impl Zeroize for Block {
    fn zeroize(&mut self) {
        self.0.iter_mut().for_each(Zeroize::zeroize);
    }
}

/// What a compression needs beside the words.
#[derive(Clone, Copy)]
struct Tail {
    counter: u64,
    /// Bytes of the block, at most 64.
    length: u32,
    flags: u32,
}

/// Sixteen lanes in any number of registers. `Self` is one register.
///
/// # Safety
/// Every function needs the processor to have the instructions of the implementation.
trait Lanes: Copy {
    /// Lanes of one register.
    const COUNT: usize;
    unsafe fn splat(x: u32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn xor(self, other: Self) -> Self;
    /// Rotates each lane right by 16, 12, 8 and 7 bits.
    unsafe fn turn16(self) -> Self;
    unsafe fn turn12(self) -> Self;
    unsafe fn turn8(self) -> Self;
    unsafe fn turn7(self) -> Self;
    /// The register at this offset of the lanes.
    unsafe fn load(from: &[u32; LANES], offset: usize) -> Self;
    unsafe fn store(self, to: &mut [u32; LANES], offset: usize);
    /// Low and high halves of `COUNT` words from this offset on, `offset + COUNT <= RUN`.
    unsafe fn halves(words: &[u64; RUN], offset: usize) -> (Self, Self);
}

/// The mixing function on four words of the state.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
unsafe fn mix<V: Lanes>(v: &mut [V; 16], at: [usize; 4], x: V, y: V) {
    let [a, b, c, d] = at;
    // SAFETY: the caller's promise.
    unsafe {
        v[a] = v[a].add(v[b]).add(x);
        v[d] = v[d].xor(v[a]).turn16();
        v[c] = v[c].add(v[d]);
        v[b] = v[b].xor(v[c]).turn12();
        v[a] = v[a].add(v[b]).add(y);
        v[d] = v[d].xor(v[a]).turn8();
        v[c] = v[c].add(v[d]);
        v[b] = v[b].xor(v[c]).turn7();
    }
}

/// Round number R: columns, then diagonals.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
unsafe fn round<V: Lanes, const R: usize>(v: &mut [V; 16], m: &[V; 16]) {
    // SAFETY: the caller's promise.
    unsafe {
        mix(v, [0, 4, 8, 12], m[SCHEDULE[R][0]], m[SCHEDULE[R][1]]);
        mix(v, [1, 5, 9, 13], m[SCHEDULE[R][2]], m[SCHEDULE[R][3]]);
        mix(v, [2, 6, 10, 14], m[SCHEDULE[R][4]], m[SCHEDULE[R][5]]);
        mix(v, [3, 7, 11, 15], m[SCHEDULE[R][6]], m[SCHEDULE[R][7]]);
        mix(v, [0, 5, 10, 15], m[SCHEDULE[R][8]], m[SCHEDULE[R][9]]);
        mix(v, [1, 6, 11, 12], m[SCHEDULE[R][10]], m[SCHEDULE[R][11]]);
        mix(v, [2, 7, 8, 13], m[SCHEDULE[R][12]], m[SCHEDULE[R][13]]);
        mix(v, [3, 4, 9, 14], m[SCHEDULE[R][14]], m[SCHEDULE[R][15]]);
    }
}

/// The compression function on one register of lanes.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
unsafe fn compress_register<V: Lanes>(
    chain: &mut Chain,
    block: &Block,
    group: usize,
    offset: usize,
    tail: Tail,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let zero = V::splat(0);
        let mut m = [zero; 16];
        for (k, words) in block.0.iter().enumerate() {
            (m[2 * k], m[2 * k + 1]) = V::halves(words, LANES * group + offset);
        }
        let mut v = [zero; 16];
        for (i, word) in chain.0.iter().enumerate() {
            v[i] = V::load(word, offset);
        }
        for i in 0..4 {
            v[8 + i] = V::splat(IV[i]);
        }
        v[12] = V::splat(tail.counter as u32);
        v[13] = V::splat((tail.counter >> 32) as u32);
        v[14] = V::splat(tail.length);
        v[15] = V::splat(tail.flags);
        round::<V, 0>(&mut v, &m);
        round::<V, 1>(&mut v, &m);
        round::<V, 2>(&mut v, &m);
        round::<V, 3>(&mut v, &m);
        round::<V, 4>(&mut v, &m);
        round::<V, 5>(&mut v, &m);
        round::<V, 6>(&mut v, &m);
        for (i, word) in chain.0.iter_mut().enumerate() {
            v[i].xor(v[8 + i]).store(word, offset);
        }
    }
}

/// The compression function on all sixteen lanes of a group.
///
/// # Safety
/// As [`Lanes`].
#[inline(always)]
unsafe fn compress_all<V: Lanes>(chain: &mut Chain, block: &Block, group: usize, tail: Tail) {
    for offset in (0..LANES).step_by(V::COUNT) {
        // SAFETY: the caller's promise.
        unsafe { compress_register::<V>(chain, block, group, offset, tail) }
    }
}

/// Four lanes in plain Rust.
#[derive(Clone, Copy)]
struct Plain([u32; 4]);

impl Lanes for Plain {
    const COUNT: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: u32) -> Self {
        Self([x; 4])
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a.wrapping_add(e), b.wrapping_add(f), c.wrapping_add(g), d.wrapping_add(h)])
    }

    #[inline(always)]
    unsafe fn xor(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a ^ e, b ^ f, c ^ g, d ^ h])
    }

    #[inline(always)]
    unsafe fn turn16(self) -> Self {
        Self(self.0.map(|x| x.rotate_right(16)))
    }

    #[inline(always)]
    unsafe fn turn12(self) -> Self {
        Self(self.0.map(|x| x.rotate_right(12)))
    }

    #[inline(always)]
    unsafe fn turn8(self) -> Self {
        Self(self.0.map(|x| x.rotate_right(8)))
    }

    #[inline(always)]
    unsafe fn turn7(self) -> Self {
        Self(self.0.map(|x| x.rotate_right(7)))
    }

    #[inline(always)]
    unsafe fn load(from: &[u32; LANES], offset: usize) -> Self {
        Self([from[offset], from[offset + 1], from[offset + 2], from[offset + 3]])
    }

    #[inline(always)]
    unsafe fn store(self, to: &mut [u32; LANES], offset: usize) {
        to[offset..offset + 4].copy_from_slice(&self.0);
    }

    #[inline(always)]
    unsafe fn halves(words: &[u64; RUN], offset: usize) -> (Self, Self) {
        let four = [words[offset], words[offset + 1], words[offset + 2], words[offset + 3]];
        (Self(four.map(|word| word as u32)), Self(four.map(|word| (word >> 32) as u32)))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use core::arch::x86_64::*;

    use super::{Block, Chain, LANES, Lanes, RUN, Tail, compress_all};

    /// Sixteen lanes in a register of 512 bits.
    #[derive(Clone, Copy)]
    struct Wide(__m512i);

    // SAFETY of all functions: the caller has avx512f; pointers come from arrays that hold the
    // whole register.
    impl Lanes for Wide {
        const COUNT: usize = 16;

        #[inline(always)]
        unsafe fn splat(x: u32) -> Self {
            Self(unsafe { _mm512_set1_epi32(x.cast_signed()) })
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Self(unsafe { _mm512_add_epi32(self.0, other.0) })
        }

        #[inline(always)]
        unsafe fn xor(self, other: Self) -> Self {
            Self(unsafe { _mm512_xor_si512(self.0, other.0) })
        }

        #[inline(always)]
        unsafe fn turn16(self) -> Self {
            Self(unsafe { _mm512_ror_epi32::<16>(self.0) })
        }

        #[inline(always)]
        unsafe fn turn12(self) -> Self {
            Self(unsafe { _mm512_ror_epi32::<12>(self.0) })
        }

        #[inline(always)]
        unsafe fn turn8(self) -> Self {
            Self(unsafe { _mm512_ror_epi32::<8>(self.0) })
        }

        #[inline(always)]
        unsafe fn turn7(self) -> Self {
            Self(unsafe { _mm512_ror_epi32::<7>(self.0) })
        }

        #[inline(always)]
        unsafe fn load(from: &[u32; LANES], _: usize) -> Self {
            Self(unsafe { _mm512_loadu_si512(from.as_ptr().cast()) })
        }

        #[inline(always)]
        unsafe fn store(self, to: &mut [u32; LANES], _: usize) {
            unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), self.0) }
        }

        #[inline(always)]
        unsafe fn halves(words: &[u64; RUN], offset: usize) -> (Self, Self) {
            let part = &words[offset..offset + LANES];
            unsafe {
                let first = _mm512_loadu_si512(part.as_ptr().cast());
                let second = _mm512_loadu_si512(part.as_ptr().add(8).cast());
                let even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
                let odd = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
                (
                    Self(_mm512_permutex2var_epi32(first, even, second)),
                    Self(_mm512_permutex2var_epi32(first, odd, second)),
                )
            }
        }
    }

    /// Eight lanes in a register of 256 bits.
    #[derive(Clone, Copy)]
    struct Half(__m256i);

    impl Half {
        /// Rotation by shifts: R + L = 32.
        ///
        /// # Safety
        /// avx2.
        #[inline(always)]
        unsafe fn shifts<const R: i32, const L: i32>(self) -> Self {
            // SAFETY: the caller's promise.
            Self(unsafe { _mm256_or_si256(_mm256_srli_epi32::<R>(self.0), _mm256_slli_epi32::<L>(self.0)) })
        }

        /// Rotation by whole bytes.
        ///
        /// # Safety
        /// avx2.
        #[inline(always)]
        unsafe fn bytes(self, order: [u8; 16]) -> Self {
            // SAFETY: the caller's promise; the load reads 16 bytes of 16.
            unsafe {
                let order = _mm256_broadcastsi128_si256(_mm_loadu_si128(order.as_ptr().cast()));
                Self(_mm256_shuffle_epi8(self.0, order))
            }
        }
    }

    // SAFETY of all functions: the caller has avx2; pointers come from slices that hold the whole
    // register.
    impl Lanes for Half {
        const COUNT: usize = 8;

        #[inline(always)]
        unsafe fn splat(x: u32) -> Self {
            Self(unsafe { _mm256_set1_epi32(x.cast_signed()) })
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            Self(unsafe { _mm256_add_epi32(self.0, other.0) })
        }

        #[inline(always)]
        unsafe fn xor(self, other: Self) -> Self {
            Self(unsafe { _mm256_xor_si256(self.0, other.0) })
        }

        #[inline(always)]
        unsafe fn turn16(self) -> Self {
            unsafe { self.bytes([2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13]) }
        }

        #[inline(always)]
        unsafe fn turn12(self) -> Self {
            unsafe { self.shifts::<12, 20>() }
        }

        #[inline(always)]
        unsafe fn turn8(self) -> Self {
            unsafe { self.bytes([1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12]) }
        }

        #[inline(always)]
        unsafe fn turn7(self) -> Self {
            unsafe { self.shifts::<7, 25>() }
        }

        #[inline(always)]
        unsafe fn load(from: &[u32; LANES], offset: usize) -> Self {
            let part = &from[offset..offset + 8];
            Self(unsafe { _mm256_loadu_si256(part.as_ptr().cast()) })
        }

        #[inline(always)]
        unsafe fn store(self, to: &mut [u32; LANES], offset: usize) {
            let part = &mut to[offset..offset + 8];
            unsafe { _mm256_storeu_si256(part.as_mut_ptr().cast(), self.0) }
        }

        #[inline(always)]
        unsafe fn halves(words: &[u64; RUN], offset: usize) -> (Self, Self) {
            let part = &words[offset..offset + 8];
            unsafe {
                let first = _mm256_castsi256_ps(_mm256_loadu_si256(part.as_ptr().cast()));
                let second = _mm256_castsi256_ps(_mm256_loadu_si256(part.as_ptr().add(4).cast()));
                // Within each half register first; then the middle quarters change places.
                let low = _mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(first, second));
                let high = _mm256_castps_si256(_mm256_shuffle_ps::<0b11_01_11_01>(first, second));
                (
                    Self(_mm256_permute4x64_epi64::<0b11_01_10_00>(low)),
                    Self(_mm256_permute4x64_epi64::<0b11_01_10_00>(high)),
                )
            }
        }
    }

    /// # Safety
    /// The processor has these instructions.
    #[target_feature(enable = "avx512f,avx512vl")]
    pub(super) unsafe fn compress_wide(chain: &mut Chain, block: &Block, group: usize, tail: Tail) {
        // SAFETY: the caller's promise.
        unsafe { compress_all::<Wide>(chain, block, group, tail) }
    }

    /// # Safety
    /// The processor has these instructions.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn compress_half(chain: &mut Chain, block: &Block, group: usize, tail: Tail) {
        // SAFETY: the caller's promise.
        unsafe { compress_all::<Half>(chain, block, group, tail) }
    }
}

/// Registers to hash with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// What this processor has, the best last.
    fn all() -> impl DoubleEndedIterator<Item = Self> {
        let plain = core::iter::once(Self::Plain);
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2").then_some(Self::Avx2);
            let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
            plain.chain(avx2).chain(wide.then_some(Self::Avx512))
        }
        #[cfg(not(target_arch = "x86_64"))]
        plain
    }

    fn best() -> Self {
        Self::all().next_back().unwrap_or(Self::Plain)
    }

    /// The compression function on the sixteen messages of a group.
    fn compress(self, chain: &mut Chain, block: &Block, group: usize, tail: Tail) {
        // SAFETY: `all` makes a level only if the processor has its instructions.
        unsafe {
            match self {
                Self::Plain => compress_all::<Plain>(chain, block, group, tail),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => x86::compress_half(chain, block, group, tail),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 => x86::compress_wide(chain, block, group, tail),
            }
        }
    }
}

/// Keyed hashes of messages of `words` 64-bit words each, little endian: message i into `out[i]`.
///
/// `fill(k, first, lanes)` writes word k of messages `first`, `first + 1`, .. into the lanes; it is
/// called once for each word of each run of at most 64 messages, words ascending within a run.
pub fn keyed_columns(
    key: &[u8; 32],
    words: usize,
    out: &mut [[u8; 32]],
    fill: impl FnMut(usize, usize, &mut [u64]),
) {
    columns_at(Level::best(), key, words, out, fill);
}

/// Keyed hashes of pairs: `parents[i]` from `children[2i]` and `children[2i + 1]`.
pub fn keyed_nodes(key: &[u8; 32], children: &[[u8; 32]], parents: &mut [[u8; 32]]) {
    assert_eq!(children.len(), 2 * parents.len(), "two children of each parent");
    keyed_columns(key, BLOCK_WORDS, parents, |k, first, lanes| {
        let pairs = children[2 * first..].as_chunks::<2>().0;
        for (lane, pair) in lanes.iter_mut().zip(pairs) {
            *lane = u64::from_le_bytes(pair.as_flattened().as_chunks::<8>().0[k]);
        }
    });
}

fn columns_at(
    level: Level,
    key: &[u8; 32],
    words: usize,
    out: &mut [[u8; 32]],
    mut fill: impl FnMut(usize, usize, &mut [u64]),
) {
    let mut start = Chain([[0; LANES]; 8]);
    for (lanes, bytes) in start.0.iter_mut().zip(key.as_chunks::<4>().0) {
        lanes.fill(u32::from_le_bytes(*bytes));
    }
    let mut hasher = Run { level, start, block: Zeroizing::new(Block::ZERO), stack: Vec::new() };
    for (run, out) in out.chunks_mut(RUN).enumerate() {
        let lanes = out.len();
        let chains = hasher.hash(words, lanes, |k, words| fill(k, run * RUN, words));
        for (i, out) in out.iter_mut().enumerate() {
            for (bytes, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(&chains[i / LANES].0) {
                *bytes = word[i % LANES].to_le_bytes();
            }
        }
    }
}

/// Hashes run after run.
struct Run {
    level: Level,
    /// The key, as every chunk and parent starts.
    start: Chain,
    /// The words of messages may be secret.
    block: Zeroizing<Block>,
    /// Subtrees still without their right neighbour; empty for messages of one chunk.
    stack: Vec<[Chain; GROUPS]>,
}

impl Run {
    fn hash(
        &mut self,
        words: usize,
        lanes: usize,
        mut fill: impl FnMut(usize, &mut [u64]),
    ) -> [Chain; GROUPS] {
        let chunks = words.div_ceil(CHUNK_WORDS).max(1);
        let groups = lanes.div_ceil(LANES);
        for chunk in 0..chunks - 1 {
            let mut chain = self.chunk(chunk, CHUNK_WORDS, lanes, 0, &mut fill);
            // Complete subtrees merge as the bits of the chunk count carry.
            let mut done = chunk + 1;
            while done & 1 == 0 {
                let left = self.stack.pop().unwrap_or([self.start; GROUPS]);
                chain = self.parents(left, chain, groups, 0);
                done >>= 1;
            }
            self.stack.push(chain);
        }
        let (last, rest) = (chunks - 1, words - (chunks - 1) * CHUNK_WORDS);
        let mut chain = self.chunk(last, rest, lanes, if last == 0 { ROOT } else { 0 }, &mut fill);
        while let Some(left) = self.stack.pop() {
            let flags = if self.stack.is_empty() { ROOT } else { 0 };
            chain = self.parents(left, chain, groups, flags);
        }
        chain
    }

    /// One chunk of `words` words of each message; `flags` go to its last block.
    fn chunk(
        &mut self,
        chunk: usize,
        words: usize,
        lanes: usize,
        flags: u32,
        fill: &mut impl FnMut(usize, &mut [u64]),
    ) -> [Chain; GROUPS] {
        let mut chains = [self.start; GROUPS];
        let blocks = words.div_ceil(BLOCK_WORDS).max(1);
        for block in 0..blocks {
            let count = BLOCK_WORDS.min(words - block * BLOCK_WORDS);
            for (k, row) in self.block.0.iter_mut().enumerate() {
                if k < count {
                    fill(chunk * CHUNK_WORDS + block * BLOCK_WORDS + k, &mut row[..lanes]);
                } else {
                    *row = [0; RUN];
                }
            }
            let start = if block == 0 { CHUNK_START } else { 0 };
            let end = if block + 1 == blocks { CHUNK_END | flags } else { 0 };
            let flags = KEYED_HASH | start | end;
            let tail = Tail { counter: chunk as u64, length: 8 * count as u32, flags };
            for (group, chain) in chains.iter_mut().enumerate().take(lanes.div_ceil(LANES)) {
                self.level.compress(chain, &self.block, group, tail);
            }
        }
        chains
    }

    fn parents(
        &mut self,
        left: [Chain; GROUPS],
        right: [Chain; GROUPS],
        groups: usize,
        flags: u32,
    ) -> [Chain; GROUPS] {
        let mut chains = [self.start; GROUPS];
        for (group, (left, right)) in left.iter().zip(&right).enumerate().take(groups) {
            let (low, high) = self.block.0.split_at_mut(BLOCK_WORDS / 2);
            for (half, child) in [(low, left), (high, right)] {
                for (row, [first, second]) in half.iter_mut().zip(child.0.as_chunks::<2>().0) {
                    let lanes = row[group * LANES..].iter_mut().zip(first.iter().zip(second));
                    lanes.for_each(|(lane, (&a, &b))| *lane = u64::from(a) | u64::from(b) << 32);
                }
            }
        }
        let tail = Tail { counter: 0, length: 64, flags: KEYED_HASH | PARENT | flags };
        for (group, chain) in chains.iter_mut().enumerate().take(groups) {
            self.level.compress(chain, &self.block, group, tail);
        }
        chains
    }
}

/// Bytes before the nonce in a proof of work.
pub const WORK_PREFIX: usize = 44;

/// The least nonce, from 0, for which the first 8 bytes of BLAKE3(prefix ‖ u64 nonce), read as a
/// big-endian integer, have at least `bits` leading zeros.
pub fn least_nonce(prefix: &[u8; WORK_PREFIX], bits: u32) -> u64 {
    least_nonce_in(prefix, bits, 0..u64::MAX).unwrap_or(u64::MAX)
}

/// As [`least_nonce`], the least of a range; its ends are multiples of 16, or the last nonce.
pub fn least_nonce_in(prefix: &[u8; WORK_PREFIX], bits: u32, nonces: Range<u64>) -> Option<u64> {
    least_nonce_at(Level::best(), prefix, bits, nonces)
}

fn least_nonce_at(level: Level, prefix: &[u8; WORK_PREFIX], bits: u32, nonces: Range<u64>) -> Option<u64> {
    let start = Chain(IV.map(|word| [word; LANES]));
    let mut block = Block::ZERO;
    let word = |i: usize| u32::from_le_bytes(prefix.as_chunks::<4>().0[i]);
    for k in 0..5 {
        block.0[k][..LANES].fill(u64::from(word(2 * k)) | u64::from(word(2 * k + 1)) << 32);
    }
    let tail = Tail { counter: 0, length: WORK_PREFIX as u32 + 8, flags: CHUNK_START | CHUNK_END | ROOT };
    for first in nonces.step_by(LANES) {
        for (i, nonce) in (first..=first + (LANES as u64 - 1)).enumerate() {
            block.0[5][i] = u64::from(word(10)) | nonce << 32;
            block.0[6][i] = nonce >> 32;
        }
        let mut chain = start;
        level.compress(&mut chain, &block, 0, tail);
        let zeros = |i: &usize| {
            let (high, low) = (chain.0[0][*i].swap_bytes(), chain.0[1][*i].swap_bytes());
            (u64::from(high) << 32 | u64::from(low)).leading_zeros() >= bits
        };
        if let Some(i) = (0..LANES).find(zeros) {
            return Some(first + i as u64);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(k: usize, i: usize) -> u64 {
        ((k * 1009 + i + 1) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn expected(key: &[u8; 32], words: usize, i: usize) -> [u8; 32] {
        let bytes: Vec<u8> = (0..words).flat_map(|k| word(k, i).to_le_bytes()).collect();
        *::blake3::keyed_hash(key, &bytes).as_bytes()
    }

    fn check(level: Level, words: usize, count: usize) {
        let key = core::array::from_fn(|i| (i * 7 + words) as u8);
        let mut out = vec![[0; 32]; count];
        columns_at(level, &key, words, &mut out, |k, first, lanes| {
            lanes.iter_mut().enumerate().for_each(|(i, lane)| *lane = word(k, first + i));
        });
        for (i, out) in out.iter().enumerate() {
            assert_eq!(*out, expected(&key, words, i), "{level:?}, {words} words, message {i} of {count}");
        }
    }

    #[test]
    fn every_length_up_to_5000_bytes() {
        for level in Level::all() {
            for words in 0..=625 {
                check(level, words, 17);
            }
        }
    }

    #[test]
    fn every_number_of_messages() {
        for level in Level::all() {
            for count in 0..=130 {
                check(level, 3, count);
                check(level, 129 + count % 3 * 128, count);
            }
        }
    }

    #[test]
    fn nodes_are_hashes_of_pairs() {
        let key = [3; 32];
        for count in [0, 1, 2, 15, 16, 17, 64, 100] {
            let children: Vec<[u8; 32]> = (0..2 * count).map(|i| expected(&key, 1, i)).collect();
            let mut parents = vec![[0; 32]; count];
            keyed_nodes(&key, &children, &mut parents);
            for (parent, pair) in parents.iter().zip(children.as_chunks::<2>().0) {
                assert_eq!(parent, ::blake3::keyed_hash(&key, pair.as_flattened()).as_bytes());
            }
        }
    }

    #[test]
    fn nonces_are_the_least() {
        let zeros = |prefix: &[u8; 44], nonce: u64| {
            let digest = ::blake3::hash(&[prefix.as_slice(), &nonce.to_le_bytes()].concat());
            u64::from_be_bytes(digest.as_bytes()[..8].try_into().unwrap()).leading_zeros()
        };
        for seed in 0..40u8 {
            let prefix = core::array::from_fn(|i| seed.wrapping_mul(31).wrapping_add(i as u8));
            for bits in [0, 1, 3, 7, 10] {
                let least = (0..).find(|&nonce| zeros(&prefix, nonce) >= bits).unwrap();
                for level in Level::all() {
                    assert_eq!(
                        least_nonce_at(level, &prefix, bits, 0..u64::MAX),
                        Some(least),
                        "{level:?}, {bits} bits"
                    );
                }
            }
        }
    }
}
