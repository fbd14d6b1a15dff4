//! The prover's randomness: named streams of one seed (spec E7-E9).

use algebra::{F, K};
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
        let mut stream = self.stream(name);
        let mut values = Vec::with_capacity(count);
        let mut buffer = [0; 1024];
        while values.len() < count {
            stream.fill(&mut buffer);
            for word in buffer.as_chunks::<8>().0 {
                let element = F::canonical(u64::from_le_bytes(*word)).filter(|_| values.len() < count);
                values.extend(element);
            }
        }
        buffer.zeroize();
        values
    }

    fn salts(&self, name: &str, count: usize) -> Vec<[u8; 16]> {
        let mut bytes = vec![0; 16 * count];
        self.stream(name).fill(&mut bytes);
        bytes.as_chunks::<16>().0.to_vec()
    }
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
}
