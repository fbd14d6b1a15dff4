//! The two ends of a conversation.

use algebra::{F, K};

use algebra::arch::blake3::least_nonce;

use crate::{Reject, Search, Sponge};

/// One end of a conversation. Protocol functions are generic over it.
pub trait End {
    /// What this end knows of a witness: the prover the witness, the verifier nothing.
    type Knows<W>;

    /// Whether this end checks; the prover's need not.
    const CHECKS: bool;

    /// Binds public bytes.
    fn bind(&mut self, label: &'static str, public: &[u8]);

    /// A message of `count` elements of K; empty messages are not absorbed.
    fn say<W>(
        &mut self,
        label: &'static str,
        count: usize,
        knows: &mut Self::Knows<W>,
        compute: impl FnOnce(&mut W) -> Vec<K>,
    ) -> Result<Vec<K>, Reject>;

    /// A message of `length` bytes.
    fn say_bytes<W>(
        &mut self,
        label: &'static str,
        length: usize,
        knows: &mut Self::Knows<W>,
        compute: impl FnOnce(&mut W) -> Vec<u8>,
    ) -> Result<Vec<u8>, Reject>;

    /// A root: 32 bytes.
    fn say_root<W>(
        &mut self,
        label: &'static str,
        knows: &mut Self::Knows<W>,
        commit: impl FnOnce(&mut W) -> [u8; 32],
    ) -> Result<[u8; 32], Reject> {
        let bytes = self.say_bytes(label, 32, knows, |witness: &mut W| commit(witness).to_vec())?;
        bytes.first_chunk::<32>().copied().ok_or(Reject::Truncated { label })
    }

    /// `count` Merkle siblings: sent but not absorbed, because a bound root binds them.
    fn siblings<W>(
        &mut self,
        count: usize,
        knows: &mut Self::Knows<W>,
        compute: impl FnOnce(&mut W) -> Vec<[u8; 32]>,
    ) -> Result<Vec<[u8; 32]>, Reject>;

    /// A challenge.
    fn draw(&mut self, label: &'static str) -> K;

    /// `count` challenges under one label.
    fn draws(&mut self, label: &'static str, count: usize) -> Vec<K> {
        (0..count).map(|_| self.draw(label)).collect()
    }

    /// Distinct sorted query positions below 2^log_n.
    fn indices(&mut self, log_n: u32, count: usize) -> Vec<usize>;

    /// Proof of work of this many bits; nothing if 0.
    fn grind(&mut self, bits: u8) -> Result<(), Reject>;

    /// Lets the witness, where there is one, follow the conversation.
    fn act<W>(&mut self, knows: &mut Self::Knows<W>, update: impl FnOnce(&mut W));
}

/// Where a message lies in the proof bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its label ("siblings" for Merkle siblings).
    pub label: &'static str,
    /// First byte.
    pub start: usize,
    /// Number of bytes.
    pub length: usize,
}

/// The prover's end: computes, writes and absorbs.
pub struct ProverEnd {
    search: Search,
    sponge: Sponge,
    proof: Vec<u8>,
    marks: Vec<Mark>,
}

impl ProverEnd {
    /// A tape whose proof starts with the given bytes (a version), which are not absorbed.
    pub fn new(prefix: &[u8]) -> Self {
        Self::searching(prefix, least_nonce)
    }

    /// As [`Self::new`], with another way to find the least nonce of a proof of work.
    pub fn searching(prefix: &[u8], search: Search) -> Self {
        Self { search, sponge: Sponge::default(), proof: prefix.to_vec(), marks: Vec::new() }
    }

    /// The proof and where its messages lie.
    pub fn finish(self) -> (Vec<u8>, Vec<Mark>) {
        (self.proof, self.marks)
    }

    fn write(&mut self, label: &'static str, bytes: &[u8]) {
        self.marks.push(Mark { label, start: self.proof.len(), length: bytes.len() });
        self.proof.extend_from_slice(bytes);
    }
}

impl End for ProverEnd {
    type Knows<W> = W;
    const CHECKS: bool = false;

    fn bind(&mut self, label: &'static str, public: &[u8]) {
        self.sponge.absorb(label, public);
    }

    fn say<W>(
        &mut self,
        label: &'static str,
        count: usize,
        knows: &mut W,
        compute: impl FnOnce(&mut W) -> Vec<K>,
    ) -> Result<Vec<K>, Reject> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let values = compute(knows);
        assert_eq!(values.len(), count, "length of message {label}");
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_bytes()).collect();
        self.write(label, &bytes);
        self.sponge.absorb(label, &bytes);
        Ok(values)
    }

    fn say_bytes<W>(
        &mut self,
        label: &'static str,
        length: usize,
        knows: &mut W,
        compute: impl FnOnce(&mut W) -> Vec<u8>,
    ) -> Result<Vec<u8>, Reject> {
        if length == 0 {
            return Ok(Vec::new());
        }
        let bytes = compute(knows);
        assert_eq!(bytes.len(), length, "length of message {label}");
        self.write(label, &bytes);
        self.sponge.absorb(label, &bytes);
        Ok(bytes)
    }

    fn siblings<W>(
        &mut self,
        count: usize,
        knows: &mut W,
        compute: impl FnOnce(&mut W) -> Vec<[u8; 32]>,
    ) -> Result<Vec<[u8; 32]>, Reject> {
        let nodes = compute(knows);
        assert_eq!(nodes.len(), count, "number of Merkle siblings");
        self.write("siblings", nodes.as_flattened());
        Ok(nodes)
    }

    fn draw(&mut self, label: &'static str) -> K {
        self.sponge.challenge(label)
    }

    fn indices(&mut self, log_n: u32, count: usize) -> Vec<usize> {
        self.sponge.indices(log_n, count)
    }

    fn grind(&mut self, bits: u8) -> Result<(), Reject> {
        if bits > 0 {
            let nonce = self.sponge.grind(u32::from(bits), self.search).to_le_bytes();
            self.write("pow", &nonce);
            self.sponge.absorb("pow", &nonce);
        }
        Ok(())
    }

    fn act<W>(&mut self, knows: &mut W, update: impl FnOnce(&mut W)) {
        update(knows);
    }
}

/// The verifier's end: reads and absorbs. It knows nothing.
pub struct VerifierEnd<'a> {
    sponge: Sponge,
    unread: &'a [u8],
}

impl<'a> VerifierEnd<'a> {
    /// A tape over the proof bytes after its version.
    pub fn new(proof: &'a [u8]) -> Self {
        Self { sponge: Sponge::default(), unread: proof }
    }

    /// State of the transcript: it depends on all that was read and drawn until now.
    pub fn state(&self) -> [u8; 32] {
        *self.sponge.state()
    }

    /// Refuses left-over bytes.
    pub fn finish(self) -> Result<(), Reject> {
        match self.unread.len() {
            0 => Ok(()),
            count => Err(Reject::TrailingBytes { count }),
        }
    }

    fn read(&mut self, label: &'static str, length: usize) -> Result<&'a [u8], Reject> {
        let (bytes, rest) = self.unread.split_at_checked(length).ok_or(Reject::Truncated { label })?;
        self.unread = rest;
        Ok(bytes)
    }
}

/// Elements of F from 8-byte words, each below p.
pub fn words(label: &'static str, bytes: &[u8]) -> Result<Vec<F>, Reject> {
    // A list of results grows as it is collected; this one has its length.
    let mut words = Vec::with_capacity(bytes.len() / 8);
    push_words(label, bytes, &mut words)?;
    Ok(words)
}

/// As [`words`], behind what is there.
///
/// # Errors
/// As [`words`].
pub fn push_words(label: &'static str, bytes: &[u8], words: &mut Vec<F>) -> Result<(), Reject> {
    for word in bytes.as_chunks::<8>().0 {
        words.push(F::canonical(u64::from_le_bytes(*word)).ok_or(Reject::NotCanonical { label })?);
    }
    Ok(())
}

impl End for VerifierEnd<'_> {
    type Knows<W> = ();
    const CHECKS: bool = true;

    fn bind(&mut self, label: &'static str, public: &[u8]) {
        self.sponge.absorb(label, public);
    }

    fn say<W>(
        &mut self,
        label: &'static str,
        count: usize,
        (): &mut (),
        _: impl FnOnce(&mut W) -> Vec<K>,
    ) -> Result<Vec<K>, Reject> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.read(label, count.checked_mul(K::BYTES).ok_or(Reject::Truncated { label })?)?;
        self.sponge.absorb(label, bytes);
        let pairs = words(label, bytes)?;
        Ok(pairs.as_chunks::<2>().0.iter().map(|&[c0, c1]| K::new(c0, c1)).collect())
    }

    fn say_bytes<W>(
        &mut self,
        label: &'static str,
        length: usize,
        (): &mut (),
        _: impl FnOnce(&mut W) -> Vec<u8>,
    ) -> Result<Vec<u8>, Reject> {
        if length == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.read(label, length)?;
        self.sponge.absorb(label, bytes);
        Ok(bytes.to_vec())
    }

    fn siblings<W>(
        &mut self,
        count: usize,
        (): &mut (),
        _: impl FnOnce(&mut W) -> Vec<[u8; 32]>,
    ) -> Result<Vec<[u8; 32]>, Reject> {
        let label = "siblings";
        let bytes = self.read(label, count.checked_mul(32).ok_or(Reject::Truncated { label })?)?;
        Ok(bytes.as_chunks::<32>().0.to_vec())
    }

    fn draw(&mut self, label: &'static str) -> K {
        self.sponge.challenge(label)
    }

    fn indices(&mut self, log_n: u32, count: usize) -> Vec<usize> {
        self.sponge.indices(log_n, count)
    }

    fn grind(&mut self, bits: u8) -> Result<(), Reject> {
        if bits > 0 {
            let nonce = self.read("pow", 8)?;
            let (word, _) = nonce.as_chunks::<8>();
            let value = word.first().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            if self.sponge.work(value) < u32::from(bits) {
                return Err(Reject::Grinding);
            }
            self.sponge.absorb("pow", nonce);
        }
        Ok(())
    }

    fn act<W>(&mut self, (): &mut (), _: impl FnOnce(&mut W)) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk<E: End>(end: &mut E, knows: &mut E::Knows<Vec<K>>) -> Result<K, Reject> {
        end.bind("hdr", b"public");
        let said = end.say("values", 2, knows, |values| values.clone())?;
        end.grind(4)?;
        let bytes = end.say_bytes("bytes", 3, knows, |_| vec![1, 2, 3])?;
        assert_eq!(bytes.len(), 3);
        end.siblings(1, knows, |_| vec![[9; 32]])?;
        Ok(end.draw("challenge") + said.iter().copied().sum())
    }

    fn honest() -> (Vec<u8>, K) {
        let mut end = ProverEnd::new(&[]);
        let drawn = talk(&mut end, &mut vec![K::ONE, K::SQRT7]).unwrap();
        (end.finish().0, drawn)
    }

    #[test]
    fn both_ends_agree() {
        let (proof, drawn) = honest();
        let mut end = VerifierEnd::new(&proof);
        assert_eq!(talk(&mut end, &mut ()), Ok(drawn));
        assert_eq!(end.finish(), Ok(()));
    }

    #[test]
    fn refusals_name_the_place() {
        let (proof, drawn) = honest();
        let read = |bytes: &[u8]| {
            let mut end = VerifierEnd::new(bytes);
            talk(&mut end, &mut ()).and_then(|k| end.finish().map(|()| k))
        };
        assert_eq!(read(&proof[..31]), Err(Reject::Truncated { label: "values" }));
        assert_eq!(read(&proof[..proof.len() - 1]), Err(Reject::Truncated { label: "siblings" }));
        let mut long = proof.clone();
        long.push(0);
        assert_eq!(read(&long), Err(Reject::TrailingBytes { count: 1 }));
        let mut large = proof.clone();
        large[..8].fill(0xff);
        assert_eq!(read(&large), Err(Reject::NotCanonical { label: "values" }));
        // Every absorbed byte moves the challenge; siblings do not.
        for i in 0..proof.len() - 32 {
            let mut other = proof.clone();
            other[i] ^= 1;
            assert_ne!(read(&other), Ok(drawn), "byte {i}");
        }
    }
}
