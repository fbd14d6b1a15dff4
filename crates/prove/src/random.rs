//! The prover's randomness: named streams of one seed (spec E7-E9).

use algebra::{F, K};
use rayon::prelude::*;
use tape::frame;
use zeroize::{Zeroize, Zeroizing};

/// A secret seed. Zeroised on drop; it has no `Debug`.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// Wraps 32 secret bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The seed of one proof: H(owner secret ‖ fresh system randomness ‖ statement ‖ digest of the inputs).
    /// Repeated randomness of the system alone cannot repeat a seed under another statement.
    pub fn for_proof(owner: &Self, system: &[u8; 32], statement: &[u8], inputs: &[u8; 32]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&owner.0[..]).update(system).update(statement).update(inputs);
        Self::new(*hasher.finalize().as_bytes())
    }

    /// The secret bytes, for the one file that keeps them.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Where secret random values come from. Each name may be asked for once.
pub trait Source: Sync {
    /// Uniform elements of F.
    fn base(&self, name: &str, count: usize) -> Vec<F>;
    /// Uniform 16-byte salts.
    fn salts(&self, name: &str, count: usize) -> Vec<[u8; 16]>;
    /// Uniform elements of K.
    fn extension(&self, name: &str, count: usize) -> Vec<K> {
        self.base(name, 2 * count).as_chunks::<2>().0.iter().map(|&[c0, c1]| K::new(c0, c1)).collect()
    }
}

impl Seed {
    fn stream(&self, name: &str) -> blake3::OutputReader {
        let mut hasher = blake3::Hasher::new_derive_key("zerotell v1 stream");
        hasher.update(&self.0[..]).update(&frame(name.as_bytes()));
        hasher.finalize_xof()
    }
}

impl Source for Seed {
    fn base(&self, name: &str, count: usize) -> Vec<F> {
        accepted(&self.stream(name), count, F::canonical)
    }

    fn salts(&self, name: &str, count: usize) -> Vec<[u8; 16]> {
        let stream = self.stream(name);
        let mut salts = vec![[0; 16]; count];
        salts.par_chunks_mut(PART / 2).enumerate().for_each(|(i, part)| {
            at_word(&stream, i * PART).fill(part.as_flattened_mut());
        });
        salts
    }
}

/// Words of a stream read by one task; the stream is long enough to be read in whole blocks.
const PART: usize = 1 << 13;

/// The stream from this 64-bit word on.
fn at_word(stream: &blake3::OutputReader, word: usize) -> blake3::OutputReader {
    let mut stream = stream.clone();
    stream.set_position(8 * word as u64);
    stream
}

/// The first `count` elements that `accept` makes of the words of a stream, in order.
fn accepted(stream: &blake3::OutputReader, count: usize, accept: fn(u64) -> Option<F>) -> Vec<F> {
    let mut values = vec![F::ZERO; count];
    // Each part keeps what its own words give, at its front.
    let kept: Vec<usize> = values
        .par_chunks_mut(PART)
        .enumerate()
        .map(|(i, part)| take(&mut at_word(stream, i * PART), part.len(), accept, part))
        .collect();
    let mut end = 0;
    for (i, kept) in kept.into_iter().enumerate() {
        values.copy_within(i * PART..i * PART + kept, end);
        end += kept;
    }
    // A word is refused once in 2^32: the rest is short.
    let mut rest = at_word(stream, count);
    while end < count {
        end += take(&mut rest, count - end, accept, &mut values[end..]);
    }
    values
}

/// Reads `words` words and puts the accepted ones to the front of `to`; returns their number.
fn take(
    stream: &mut blake3::OutputReader,
    words: usize,
    accept: fn(u64) -> Option<F>,
    to: &mut [F],
) -> usize {
    let mut buffer = [0; 4096];
    let (mut unread, mut kept) = (8 * words, 0);
    while unread > 0 {
        let part = unread.min(buffer.len());
        stream.fill(&mut buffer[..part]);
        for word in buffer[..part].as_chunks::<8>().0 {
            if let Some(element) = accept(u64::from_le_bytes(*word)) {
                to[kept] = element;
                kept += 1;
            }
        }
        unread -= part;
    }
    buffer.zeroize();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_stream() {
        let seed = Seed::new([0; 32]);
        let hex: String = seed.salts("z.mask", 1)[0].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "419e7cc1239a67fd20c04454f3938f12");
        assert_eq!(seed.base("a", 3)[..2], seed.base("a", 2)[..]);
        assert_ne!(seed.base("a", 1), seed.base("b", 1));
    }
    #[test]
    fn parts_of_a_stream_are_the_stream() {
        let seed = Seed::new([7; 32]);
        // Refuses many words, which the field does once in 2^32.
        let some = |word: u64| F::canonical(word).filter(|_| word % 5 != 2);
        for count in [0, 1, 2, 511, 512, 513, PART - 1, PART, PART + 1, 3 * PART + 77] {
            let mut bytes = vec![0; 16 * count + 1024];
            seed.stream("x").fill(&mut bytes);
            let words = || bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
            let expected: Vec<F> = words().filter_map(some).take(count).collect();
            assert_eq!(accepted(&seed.stream("x"), count, some), expected);
            assert_eq!(seed.base("x", count), words().map(F::new).take(count).collect::<Vec<_>>());
            assert_eq!(seed.salts("x", count).as_flattened(), &bytes[..16 * count]);
        }
    }
}
