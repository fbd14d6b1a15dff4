//! What the ledger asks of the world.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use certify::hash::{Digest, Purpose, hash};
use certify::{Committee, bls};
use commonware_codec::DecodeExt as _;
use commonware_consensus::simplex::types::{
    Attributable as _, ConflictingFinalize, ConflictingNotarize, NullifyFinalize,
};
use commonware_consensus::types::Epoch;
use commonware_consensus::{Epochable as _, Viewable as _};
use commonware_parallel::Sequential;
use dossier::Seen;
use ledger::store::Fault;
use ledger::{EngineOffence, Envelope, Hooks, ProgramFacts};
use program::types::Program;

use crate::blobs::{Blobs, program_name};
use crate::block::EngineDigest;
use crate::scheme::{Multisig, verifier};

const OFFENCE: Purpose = Purpose("zerotell/engine-offence/1");
const POSSESSION: Purpose = Purpose("zerotell/possession-seen/1");
/// Programs that are kept decoded.
const PROGRAMS: usize = 64;
/// Signatures that are remembered, twice: each is looked at when a transaction comes, and again in its block.
const SIGNED: usize = 1 << 15;
/// Proofs of possession that are.
const POSSESSED: usize = 1 << 10;

/// The world, as a node sees it.
pub struct World {
    network: Digest,
    blobs: Arc<Blobs>,
    facts: Mutex<HashMap<Digest, Facts>>,
    signed: Seen<Signed>,
    possessed: Seen<Digest>,
}

/// What was signed, and the signature: each alone says nothing about the other.
type Signed = (Digest, [u8; 64]);

/// What is known of a program.
#[derive(Clone, Copy)]
struct Facts {
    counted: ProgramFacts,
    /// Whether it is valid; found out only for whoever pays for its work.
    valid: Option<bool>,
}

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
        let bytes = blobs.get(&program_name(digest))?;
        let program = Arc::new(program::wire::decode(&bytes).ok()?);
        if kept.len() >= PROGRAMS {
            kept.clear();
        }
        kept.insert(*digest, program.clone());
        Some(program)
    }
}

/// A program and what is counted of it, by its bytes; `None` if they are not that program. Costs no more than their length.
#[must_use]
pub fn counted(digest: &Digest, bytes: &[u8]) -> Option<(Program, ProgramFacts)> {
    let program = program::wire::decode(bytes).ok()?;
    if program.digest() != *digest {
        return None;
    }
    let bytes = u32::try_from(bytes.len()).ok()?;
    let facts = ProgramFacts { work: dossier::work(&program), class: dossier::class(&program), bytes };
    Some((program, facts))
}

impl World {
    /// The world of a network whose programs lie among these blobs.
    pub fn new(network: Digest, blobs: Arc<Blobs>) -> Self {
        let (signed, possessed) = (Seen::new(SIGNED), Seen::new(POSSESSED));
        Self { network, blobs, facts: Mutex::default(), signed, possessed }
    }

    /// The world for one execution, which then tells what it lacked.
    pub fn asked(&self) -> Asked<'_> {
        Asked { world: self, missing: Cell::new(None) }
    }

    /// Whether the sender signed it; remembered.
    pub fn is_signed(&self, envelope: &Envelope) -> bool {
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

    /// What a program costs; `None` while its bytes are not here.
    fn facts(&self, digest: &Digest, most: u64) -> Option<Option<ProgramFacts>> {
        let known = || self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        let affordable = |facts: Facts| (facts.counted.work <= most).then_some(facts);
        if let Some(facts) = known().get(digest).copied() {
            match affordable(facts) {
                None => return Some(None),
                Some(Facts { valid: Some(valid), counted }) => return Some(valid.then_some(counted)),
                Some(_) => {}
            }
        }
        // Bytes that are here have the name of a program, so they are one, whoever sent them.
        let bytes = self.blobs.get(&program_name(digest))?;
        let (program, counted) = counted(digest, &bytes)?;
        let mut facts = Facts { counted, valid: None };
        if affordable(facts).is_some() {
            facts.valid = Some(program::validate(&program).is_ok());
        }
        known().insert(*digest, facts);
        Some((facts.valid == Some(true)).then_some(counted))
    }
}

/// [`World`], for one execution.
pub struct Asked<'a> {
    world: &'a World,
    missing: Cell<Option<Digest>>,
}

impl Asked<'_> {
    /// The program that was asked for and is not here, if there was one.
    pub fn missing(&self) -> Option<Digest> {
        self.missing.get()
    }
}

impl Hooks for Asked<'_> {
    fn possession(&self, account: &Digest, consensus: &[u8], possession: &[u8]) -> bool {
        let world = self.world;
        let Ok(proof) = <&[u8; 48]>::try_from(possession) else { return false };
        let name = hash(POSSESSION, &[&world.network, account, consensus, proof]);
        if world.possessed.has(&name) {
            return true;
        }
        let shown = bls::verify_possession(&world.network, account, consensus, proof);
        if shown {
            world.possessed.note(name);
        }
        shown
    }

    fn is_signed(&self, envelope: &Envelope) -> bool {
        self.world.is_signed(envelope)
    }

    fn program(&self, program: &Digest, most: u64) -> Result<Option<ProgramFacts>, Fault> {
        self.world.facts(program, most).ok_or_else(|| {
            self.missing.set(Some(*program));
            Fault::World { what: "the bytes of a program" }
        })
    }

    fn engine_offence(&self, evidence: &[u8], committee: &Committee) -> Option<EngineOffence> {
        engine_offence(&self.world.network, evidence, committee)
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
    let scheme = || verifier(network, committee);
    let is_ours = |epoch: Epoch| epoch.get() == committee.epoch;
    let rng = &mut rand::rng();
    // Keys are read last: bytes that are no evidence of this epoch cost little.
    macro_rules! shown {
        ($kind:ident) => {{
            let found = $kind::<Multisig, EngineDigest>::decode(bytes).ok()?;
            let holds = is_ours(found.epoch()) && found.verify(rng, &scheme()?, &Sequential);
            holds.then(|| (found.view(), found.signer()))?
        }};
    }
    let (view, signer) = match kind {
        1 => shown!(ConflictingNotarize),
        2 => shown!(ConflictingFinalize),
        3 => shown!(NullifyFinalize),
        _ => return None,
    };
    let seat = committee.seats.get(usize::try_from(signer.get()).ok()?)?;
    // One offence per seat and view, whatever shows it.
    let id = hash(OFFENCE, &[&committee.epoch.to_le_bytes(), &view.get().to_le_bytes(), &seat.account]);
    Some(EngineOffence { consensus: seat.consensus.to_vec(), id })
}
