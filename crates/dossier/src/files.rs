//! Public files about proofs, byte for byte. Every length is compared with 2^31 and with what is left of the file
//! before memory is allocated; trailing bytes are refused. `fr` is a `u64` length and the bytes.
//!
//! | proof file `.ztp` | bytes |
//! |---|---|
//! | name, version | `"ZTPF"`, `u16` 1, or 2 with links |
//! | program | fr(Program with contents) |
//! | statement | fr(Statement) |
//! | proof | fr(proof) |
//! | links | version 2: fr(chains of links), at least one link |
//!
//! | range certificate `.ztr` | bytes |
//! |---|---|
//! | name, version | `"ZTRC"`, `u16` 1 |
//! | model | 32-byte identity |
//! | root | 32-byte root of the opened commitment |
//! | links | fr(one chain of links, perhaps empty) |
//! | proofs | `u32` count; fr(proof) per part, in order |

use std::ops::Range;

use program::types::Program;
use program::wire::{self, Statement};
use verify::Link;

use crate::bytes::{Parsed, Reader, Writer};

/// Version of a proof file with links.
const LINKED: u16 = 2;

/// What a proof file holds.
pub struct ProofFile {
    /// The program, with contents.
    pub program: Program,
    /// The statement.
    pub statement: Statement,
    /// The proof.
    pub proof: Vec<u8>,
    /// Links that lead to what it opens.
    pub chains: Vec<Vec<Link>>,
}

/// Bytes of a proof file.
#[must_use]
pub fn encode_proof(program: &Program, statement: &Statement, proof: &[u8], chains: &[Vec<Link>]) -> Vec<u8> {
    let linked = chains.iter().any(|chain| !chain.is_empty());
    let mut w = if linked { Writer::versioned(b"ZTPF", LINKED) } else { Writer::new(b"ZTPF") };
    w.framed(&wire::encode_with_contents(program));
    w.framed(&wire::encode_statement(statement));
    w.framed(proof);
    if linked {
        w.framed(&verify::encode_links(chains));
    }
    w.done().to_vec()
}

/// A proof file whose program was not looked at.
pub(crate) struct Parts<'a> {
    pub(crate) program: &'a [u8],
    pub(crate) statement: Statement,
    pub(crate) proof: &'a [u8],
    pub(crate) chains: Vec<Vec<Link>>,
}

pub(crate) fn parts(bytes: &[u8]) -> Parsed<Parts<'_>> {
    let (mut r, version) = Reader::versioned(bytes, b"ZTPF", LINKED)?;
    let program = r.framed()?;
    let statement = wire::decode_statement(r.framed()?);
    let statement = statement.map_err(|e| format!("its statement is not well formed: {e}"))?;
    let proof = r.framed()?;
    let mut chains = Vec::new();
    if version == LINKED {
        chains = verify::decode_links(r.framed()?).map_err(|e| e.to_string())?;
        if chains.iter().all(Vec::is_empty) {
            return Err("it has a place for links and no link".into());
        }
    }
    r.end()?;
    Ok(Parts { program, statement, proof, chains })
}

/// Where the Program and the links lie in a proof file: what other proofs of its epoch have too.
pub(crate) fn shared(bytes: &[u8]) -> Parsed<Vec<Range<usize>>> {
    let (mut r, version) = Reader::versioned(bytes, b"ZTPF", LINKED)?;
    let frames: usize = if version == LINKED { 4 } else { 3 };
    let (mut at, mut ranges) = (bytes.len().saturating_sub(r.left()), Vec::new());
    for frame in 0..frames {
        let length = r.framed()?.len();
        let start = at.saturating_add(8);
        at = start.saturating_add(length);
        if frame == 0 || frame == 3 {
            ranges.push(start..at);
        }
    }
    Ok(ranges)
}

pub(crate) fn program(bytes: &[u8]) -> Parsed<Program> {
    wire::decode(bytes).map_err(|e| format!("its program is not well formed: {e}"))
}

/// Reads a proof file; the program, statement and links are decoded, not checked.
///
/// # Errors
/// Bytes that are not the one spelling of a proof file.
pub fn decode_proof(bytes: &[u8]) -> Parsed<ProofFile> {
    let Parts { program: encoded, statement, proof, chains } = parts(bytes)?;
    Ok(ProofFile { program: program(encoded)?, statement, proof: proof.to_vec(), chains })
}

/// What a range certificate holds.
pub struct RangeFile {
    /// The model's identity.
    pub model: [u8; 32],
    /// Root of the commitment that the proofs open.
    pub root: [u8; 32],
    /// Links from the model's identity to it.
    pub chain: Vec<Link>,
    /// One proof per part.
    pub proofs: Vec<Vec<u8>>,
}

impl RangeFile {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new(b"ZTRC");
        w.put(&self.model);
        w.put(&self.root);
        w.framed(&verify::encode_links(std::slice::from_ref(&self.chain)));
        w.put(&u32::try_from(self.proofs.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.proofs.iter().for_each(|proof| w.framed(proof));
        w.done().to_vec()
    }

    /// Reads a certificate; nothing is checked but its form.
    ///
    /// # Errors
    /// Bytes that are not the one spelling of a certificate.
    pub fn decode(bytes: &[u8]) -> Parsed<Self> {
        let mut r = Reader::new(bytes, b"ZTRC")?;
        let (model, root) = (r.array()?, r.array()?);
        let mut chains = verify::decode_links(r.framed()?).map_err(|e| e.to_string())?;
        let (Some(chain), true) = (chains.pop(), chains.is_empty()) else {
            return Err("it has not one chain of links".into());
        };
        let count = r.u32()?;
        if u64::from(count) > program::ranges::PARTS {
            return Err("it has too many parts".into());
        }
        let proofs = (0..count).map(|_| r.framed().map(<[u8]>::to_vec)).collect::<Parsed<_>>()?;
        r.end()?;
        Ok(Self { model, root, chain, proofs })
    }
}
