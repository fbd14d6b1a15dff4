//! What the ledger asks of the world.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use certify::hash::{Digest, Purpose, hash};
use certify::{Committee, bls};
use commonware_codec::DecodeExt as _;
use commonware_consensus::simplex::types::{
    Attributable as _, ConflictingFinalize, ConflictingNotarize, NullifyFinalize,
};
use commonware_consensus::{Epochable as _, Viewable as _};
use commonware_parallel::Sequential;
use dossier::Seen;
use ledger::store::Fault;
use ledger::{EngineOffence, Envelope, Hooks, ProgramFacts};
use program::types::Program;

use crate::blobs::Blobs;
use crate::block::EngineDigest;
use crate::scheme::{Multisig, verifier};

const OFFENCE: Purpose = Purpose("zerotell/engine-offence/1");
/// Programs that are kept decoded.
const PROGRAMS: usize = 64;
/// Signatures that are remembered, twice: each is looked at when a transaction comes, and again in its block.
const SIGNED: usize = 1 << 15;

/// The world, as a node sees it.
pub struct World {
    network: Digest,
    blobs: Arc<Blobs>,
    facts: Mutex<HashMap<Digest, Option<ProgramFacts>>>,
    missing: Mutex<Option<Digest>>,
    signed: Seen<Signed>,
}

/// What was signed, and the signature: each alone says nothing about the other.
type Signed = (Digest, [u8; 64]);

/// Programs by digest: read, checked, and kept for the next proof.
#[derive(Default)]
pub struct Programs(Mutex<HashMap<Digest, Arc<Program>>>);

impl Programs {
    /// A program whose bytes are here.
    pub fn get(&self, blobs: &Blobs, digest: &Digest) -> Option<Arc<Program>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = kept.get(digest) {
            return Some(program.clone());
        }
        let program = Arc::new(program::wire::decode(&blobs.get(digest)?).ok()?);
        if kept.len() >= PROGRAMS {
            kept.clear();
        }
        kept.insert(*digest, program.clone());
        Some(program)
    }
}

/// What a program costs, by its bytes; `None` if they are not that program, or it is not valid.
#[must_use]
pub fn program_facts(digest: &Digest, bytes: &[u8]) -> Option<ProgramFacts> {
    let program = program::wire::decode(bytes).ok()?;
    if program.digest() != *digest || program::validate(&program).is_err() {
        return None;
    }
    let bytes = u32::try_from(bytes.len()).ok()?;
    Some(ProgramFacts { work: dossier::work(&program), class: dossier::class(&program), bytes })
}

impl World {
    /// The world of a network whose programs lie among these blobs.
    pub fn new(network: Digest, blobs: Arc<Blobs>) -> Self {
        Self { network, blobs, facts: Mutex::default(), missing: Mutex::default(), signed: Seen::new(SIGNED) }
    }

    /// The program that was asked for and is not here, if there was one since the last call.
    pub fn take_missing(&self) -> Option<Digest> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Hooks for World {
    fn possession(&self, account: &Digest, consensus: &[u8], possession: &[u8]) -> bool {
        let proof = possession.try_into();
        proof.is_ok_and(|proof| bls::verify_possession(&self.network, account, consensus, proof))
    }

    fn is_signed(&self, envelope: &Envelope) -> bool {
        let key = (envelope.id(), envelope.signature);
        if self.signed.has(&key) {
            return true;
        }
        let is_signed = envelope.is_signed();
        if is_signed {
            self.signed.note(key);
        }
        is_signed
    }

    fn program(&self, program: &Digest) -> Result<Option<ProgramFacts>, Fault> {
        let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = facts.get(program) {
            return Ok(*found);
        }
        let Some(bytes) = self.blobs.get(program) else {
            *self.missing.lock().unwrap_or_else(PoisonError::into_inner) = Some(*program);
            return Err(Fault::World { what: "the bytes of a program" });
        };
        let found = program_facts(program, &bytes);
        facts.insert(*program, found);
        Ok(found)
    }

    fn engine_offence(&self, evidence: &[u8], committee: &Committee) -> Option<EngineOffence> {
        engine_offence(&self.network, evidence, committee)
    }
}

/// Evidence of the engine `[U9]`: a byte for its kind, and the engine's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Two votes to notarise.
    Notarize = 1,
    /// Two votes to finalise.
    Finalize = 2,
    /// A vote to skip and a vote to finalise.
    Both = 3,
}

/// The evidence as it travels.
#[must_use]
pub fn engine_evidence(kind: Kind, bytes: &[u8]) -> Vec<u8> {
    let mut evidence = vec![kind as u8];
    evidence.extend_from_slice(bytes);
    evidence
}

/// Checks evidence of the engine against a committee.
#[must_use]
pub fn engine_offence(network: &Digest, evidence: &[u8], committee: &Committee) -> Option<EngineOffence> {
    let (kind, bytes) = evidence.split_first()?;
    let bytes = bytes::Bytes::copy_from_slice(bytes);
    let scheme = verifier(network, committee)?;
    let rng = &mut rand::rng();
    let (epoch, view, signer) = match kind {
        1 => {
            let found = ConflictingNotarize::<Multisig, EngineDigest>::decode(bytes).ok()?;
            found.verify(rng, &scheme, &Sequential).then(|| (found.epoch(), found.view(), found.signer()))?
        }
        2 => {
            let found = ConflictingFinalize::<Multisig, EngineDigest>::decode(bytes).ok()?;
            found.verify(rng, &scheme, &Sequential).then(|| (found.epoch(), found.view(), found.signer()))?
        }
        3 => {
            let found = NullifyFinalize::<Multisig, EngineDigest>::decode(bytes).ok()?;
            found.verify(rng, &scheme, &Sequential).then(|| (found.epoch(), found.view(), found.signer()))?
        }
        _ => return None,
    };
    if epoch.get() != committee.epoch {
        return None;
    }
    let seat = committee.seats.get(usize::try_from(signer.get()).ok()?)?;
    // One offence per seat and view, whatever shows it.
    let id = hash(OFFENCE, &[&epoch.get().to_le_bytes(), &view.get().to_le_bytes(), &seat.account]);
    Some(EngineOffence { consensus: seat.consensus.to_vec(), id })
}
