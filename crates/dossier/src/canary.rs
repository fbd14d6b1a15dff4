//! Dossiers that are not valid and look as if they were, for canaries (`[H29]`): who does not look accepts them.

use record::{Envelope, Salts, SigningKey, Statement, Subject};
use verify::PROOF_VERSION;

use crate::{Dossier, Judged, Names, files, judge};

/// Fills with bytes that nobody can guess.
pub type Fill<'a> = &'a mut dyn FnMut(&mut [u8]);

/// A dossier made from one that is accepted, with a proof that shows nothing: from a place drawn at random on, or from its
/// beginning, its bytes are random. Everything else is as an owner makes it, with fresh salts and a fresh key, so only the
/// verifier tells them apart. `None` if the template is not accepted itself.
///
/// What is drawn with the same `random` is the same. A beginning that is shared with the template can be recognised by who
/// has kept that; where all is random the first check fails already. So either is drawn.
#[must_use]
pub fn canary(template: &[u8], random: Fill<'_>) -> Option<(Vec<u8>, Names)> {
    let Judged { found: Some(found), .. } = judge(template, None) else { return None };
    let Dossier { proof, ranges, .. } = Dossier::decode(template).ok()?;
    let mut file = files::decode_proof(&proof).ok()?;
    let keep = start(file.proof.len(), random);
    random(file.proof.get_mut(keep..)?);
    let proof = files::encode_proof(&file.program, &file.statement, &file.proof, &file.chains);
    let salts = Salts {
        accuracy: drawn(random),
        context: drawn(random),
        inputs: drawn(random),
        revealed: drawn(random),
    };
    let statement = Statement::new(&found.facts, Subject::of(&proof), &salts, found.statement.claims.clone());
    // One in 2^32 draws is no key.
    let key = (0..8).find_map(|_| SigningKey::from_random(found.signer.kind(), &drawn(random)).ok())?;
    let names = Names::of(&statement, &file.statement);
    let dossier = Dossier {
        proof,
        salts: salts.encode(),
        statement: Envelope::sign(&key, statement.encode()).encode(),
        signer: key.public().to_pem().into_bytes(),
        ranges,
    };
    Some((dossier.encode(), names))
}

fn drawn(random: Fill<'_>) -> [u8; 32] {
    let mut bytes = [0; 32];
    random(&mut bytes);
    bytes
}

/// Bytes of the proof that stay: its version, or half of the time any number of them.
fn start(length: usize, random: Fill<'_>) -> usize {
    let mut draw = [0; 16];
    random(&mut draw);
    let draw = u128::from_le_bytes(draw);
    let version = PROOF_VERSION.to_le_bytes().len();
    // At least a hash's width is random, or the proof might stay good.
    let most = u128::try_from(length.saturating_sub(32)).unwrap_or(0).max(1);
    let place = usize::try_from((draw >> 1).checked_rem(most).unwrap_or(0)).unwrap_or(0);
    if draw & 1 == 0 { version } else { place.max(version) }
}
