//! Public files about proofs, byte for byte. Every length is compared with 2^31 and with what is left of the file
//! before memory is allocated; trailing bytes are refused. `fr` is a `u64` length and the bytes.
//!
//! | proof file `.ztp` | bytes |
//! |---|---|
//! | name, version | `"ZTPF"`, `u16` 3 |
//! | program | fr(Program with contents) |
//! | links | fr(chains of links), at least one link; fr() without |
//! | statement | fr(Statement) |
//! | proof | fr(proof) |
//!
//! All proofs of one epoch of a model begin with the same bytes, so what is known of these need not be made again.
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
use verify::{Chains, Link};

use crate::bytes::{Parsed, Reader, Writer};

/// Version of a proof file; others are refused.
pub const PROOF_FILE: u16 = 3;

/// What a proof file holds.
pub struct ProofFile {
    /// The program, with contents.
    pub program: Program,
    /// The statement.
    pub statement: Statement,
    /// The proof.
    pub proof: Vec<u8>,
    /// Links that lead to what it opens.
    pub chains: Chains,
}

/// Bytes of a proof file.
#[must_use]
pub fn encode_proof(program: &Program, statement: &Statement, proof: &[u8], chains: &[Vec<Link>]) -> Vec<u8> {
    let linked = chains.iter().any(|chain| !chain.is_empty());
    let mut w = Writer::versioned(b"ZTPF", PROOF_FILE);
    w.framed(&wire::encode_with_contents(program));
    w.framed(&if linked { verify::encode_links(chains) } else { Vec::new() });
    w.framed(&wire::encode_statement(statement));
    w.framed(proof);
    w.done().to_vec()
}

/// The parts of a proof file, where they lie.
pub(crate) struct Parts<'a> {
    bytes: &'a [u8],
    pub(crate) program: &'a [u8],
    pub(crate) links: &'a [u8],
    pub(crate) statement: &'a [u8],
    pub(crate) proof: &'a [u8],
}

impl<'a> Parts<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Parsed<Self> {
        let (mut r, version) = Reader::versioned(bytes, b"ZTPF", PROOF_FILE)?;
        if version != PROOF_FILE {
            return Err(format!(
                "it has version {version}, of an earlier zerotell; this one reads version {PROOF_FILE}"
            ));
        }
        let (program, links, statement, proof) = (r.framed()?, r.framed()?, r.framed()?, r.framed()?);
        r.end()?;
        Ok(Self { bytes, program, links, statement, proof })
    }

    /// Where Program and links lie: what other proofs of its epoch have too.
    pub(crate) fn shared(&self) -> [Range<usize>; 2] {
        // A name, a version, a length.
        let program = 14..self.program.len().saturating_add(14);
        let start = program.end.saturating_add(8);
        [program, start..start.saturating_add(self.links.len())]
    }

    /// Program and links, from the file's beginning.
    pub(crate) fn head(&self) -> &'a [u8] {
        let [_, links] = self.shared();
        self.bytes.get(..links.end).unwrap_or(self.bytes)
    }

    /// What comes after.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.head().len()..).unwrap_or_default()
    }

    pub(crate) fn statement(&self) -> Parsed<Statement> {
        wire::decode_statement(self.statement).map_err(|e| format!("its statement is not well formed: {e}"))
    }
}

/// The links of a proof file.
pub(crate) fn chains(bytes: &[u8]) -> Parsed<Chains> {
    if bytes.is_empty() {
        return Ok(Vec::new().into());
    }
    let chains = verify::decode_links(bytes).map_err(|e| e.to_string())?;
    if chains.iter().all(Vec::is_empty) {
        return Err("it has a place for links and no link".into());
    }
    Ok(chains.into())
}

pub(crate) fn program(bytes: &[u8]) -> Parsed<Program> {
    wire::decode(bytes).map_err(|e| format!("its program is not well formed: {e}"))
}

/// Reads a proof file; the program, statement and links are decoded, not checked.
///
/// # Errors
/// Bytes that are not the one spelling of a proof file.
pub fn decode_proof(bytes: &[u8]) -> Parsed<ProofFile> {
    let parts = Parts::read(bytes)?;
    Ok(ProofFile {
        program: program(parts.program)?,
        statement: parts.statement()?,
        proof: parts.proof.to_vec(),
        chains: chains(parts.links)?,
    })
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
