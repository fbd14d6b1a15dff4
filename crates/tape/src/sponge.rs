//! The transcript state (spec T1-T5): 32 bytes, BLAKE3.

use algebra::arch::blake3::WORK_PREFIX;
#[cfg(test)]
use algebra::arch::blake3::least_nonce;

/// Finds the least nonce for the bytes before it, as [`algebra::arch::blake3::least_nonce`] does.
pub type Search = fn(&[u8; WORK_PREFIX], u32) -> u64;
use algebra::{F, K};

use crate::hash;

/// Bytes before a label: the state, the kind, the label's length.
const KEY: usize = 32 + 1 + 8;

/// Transcript state.
#[derive(Clone, Default)]
pub struct Sponge {
    state: [u8; 32],
}

impl Sponge {
    /// The 32 bytes of state.
    pub fn state(&self) -> &[u8; 32] {
        &self.state
    }

    fn keyed(&self, kind: u8, label: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(label.len().saturating_add(KEY));
        bytes.extend_from_slice(&self.state);
        bytes.push(kind);
        bytes.extend_from_slice(&u64::try_from(label.len()).unwrap_or(u64::MAX).to_le_bytes());
        bytes.extend_from_slice(label.as_bytes());
        bytes
    }

    /// S ← H(S ‖ 01 ‖ fr(label) ‖ fr(x)).
    pub fn absorb(&mut self, label: &str, message: &[u8]) {
        let length = u64::try_from(message.len()).unwrap_or(u64::MAX);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.keyed(1, label)).update(&length.to_le_bytes()).update(message);
        self.state = *hasher.finalize().as_bytes();
    }

    /// The stream of what follows the state, and the state after it: S ← H of the same bytes with the
    /// next kind.
    fn stream(&mut self, kind: u8, label: &str) -> Stream {
        let mut bytes = self.keyed(kind, label);
        let stream = blake3::Hasher::new().update(&bytes).finalize_xof();
        if let Some(at) = bytes.get_mut(self.state.len()) {
            *at = kind.saturating_add(1);
        }
        self.state = hash(&bytes);
        Stream { output: stream, block: [0; BLOCK], at: BLOCK }
    }

    /// One element of K.
    pub fn challenge(&mut self, label: &str) -> K {
        let mut stream = self.stream(2, label);
        let mut draw = || loop {
            if let Some(element) = F::canonical(u64::from_le_bytes(stream.word())) {
                return element;
            }
        };
        K::new(draw(), draw())
    }

    /// Leading zero bits of the proof-of-work hash at this nonce.
    pub fn work(&self, nonce: u64) -> u32 {
        let mut bytes = self.keyed(4, "pow");
        bytes.extend_from_slice(&nonce.to_le_bytes());
        let digest = hash(&bytes);
        let (head, _) = digest.split_at(8);
        head.iter().fold(0u64, |word, &byte| (word << 8) | u64::from(byte)).leading_zeros()
    }

    /// The least nonce with at least `bits` leading zeros, found by `search`.
    pub fn grind(&self, bits: u32, search: Search) -> u64 {
        let mut prefix = [0; WORK_PREFIX];
        for (to, byte) in prefix.iter_mut().zip(self.keyed(4, "pow")) {
            *to = byte;
        }
        search(&prefix, bits)
    }

    /// `count` distinct positions below n = 2^log_n, ascending; all of them if count >= n.
    pub fn indices(&mut self, log_n: u32, count: usize) -> Vec<usize> {
        let n = 1usize.checked_shl(log_n).unwrap_or(0);
        let mut stream = self.stream(5, "query");
        if count >= n {
            return (0..n).collect();
        }
        let mask = u32::try_from(n.wrapping_sub(1)).unwrap_or(u32::MAX);
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < count {
            seen.insert(u32::from_le_bytes(stream.word()) & mask);
        }
        seen.into_iter().map(|i| usize::try_from(i).unwrap_or(0)).collect()
    }
}

/// Bytes that one step of the hash gives, however few are taken of them.
const BLOCK: usize = 64;

/// A stream of words.
struct Stream {
    output: blake3::OutputReader,
    block: [u8; BLOCK],
    /// Bytes of the block that were taken.
    at: usize,
}

impl Stream {
    /// The next N bytes; N divides [`BLOCK`] and is the same for one stream.
    fn word<const N: usize>(&mut self) -> [u8; N] {
        if self.at >= BLOCK {
            self.output.fill(&mut self.block);
            self.at = 0;
        }
        let word = self.block.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        self.at = self.at.saturating_add(N);
        word.copied().unwrap_or([0; N])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        let mut sponge = Sponge::default();
        sponge.absorb("hdr", b"abc");
        let hex: String = sponge.state().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "6510fdb4645393ea198f816cc4cbe4e9007c700693f8f479f74555581d64fa55");
        let alpha = sponge.challenge("alpha");
        assert_eq!(alpha, K::new(F::new(2_102_384_171_906_066_136), F::new(5_342_551_391_629_998_517)));
        assert_eq!(sponge.indices(13, 4), [3948, 4195, 5348, 6400]);
        assert_eq!(sponge.grind(8, least_nonce), 134);
    }

    #[test]
    fn words_are_the_stream_in_order() {
        let mut sponge = Sponge::default();
        let mut bytes = [0; 400];
        blake3::Hasher::new().update(&sponge.keyed(5, "query")).finalize_xof().fill(&mut bytes);
        let mut stream = sponge.stream(5, "query");
        assert!(bytes.as_chunks::<4>().0.iter().all(|word| stream.word() == *word));
        assert_eq!(sponge.state, hash(&Sponge::default().keyed(6, "query")));
    }

    #[test]
    fn grinding_finds_the_least_nonce_that_the_verifier_takes() {
        let mut sponge = Sponge::default();
        for bits in [0, 1, 4, 9, 12] {
            sponge.absorb("hdr", &[bits as u8]);
            let least = (0..).find(|&nonce| sponge.work(nonce) >= bits);
            assert_eq!(Some(sponge.grind(bits, least_nonce)), least);
        }
    }

    #[test]
    fn all_positions_when_the_domain_is_small() {
        assert_eq!(Sponge::default().indices(2, 9), [0, 1, 2, 3]);
    }
}
