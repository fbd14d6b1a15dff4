//! A dossier is what validators fetch of a record: the proof file, the signed statement, and what opens its salted
//! digests. [`judge`] says what the verifier makes of it. The rules are chapter 11 of the specification, `[U1]` to `[U7]`.
//!
//! Total: any bytes get a code, nothing panics, and no length is believed before it is bounded. No clock, no files, no
//! network, no randomness: every machine that runs this build gives the same [`Judged`].
//!
//! | file | what |
//! |---|---|
//! | `lib.rs` | [`Dossier`], [`judge`], [`judge_step`] |
//! | `files.rs` | proof files and range certificates, byte for byte |
//! | `compact.rs` | dossiers without what they share |
//! | `canary.rs` | dossiers that are not valid and look like it |
//! | `kept.rs` | programs made ready for the next proof |
//! | `meaning.rs`, `ranges.rs` | what metadata and range certificates say |
//! | `work.rs` | what verifying a proof of a program may cost at most |
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

pub mod bytes;
mod canary;
pub mod compact;
pub mod files;
mod kept;
pub mod meaning;
pub mod ranges;
mod step;
mod work;

use std::ops::Range;
use std::sync::Arc;

use certify::hash::{Digest, Purpose, hash};
use record::{Envelope, Facts, PublicKey, Ranges, Salts, Statement};
use verify::{Linked, Links, ProofShape, Refusal, Verdict};

use crate::bytes::{Parsed, Reader, Writer};
use crate::files::Parts;
use crate::kept::Ready;

pub use canary::canary;
pub use kept::{Kept, Seen};
pub use step::{Step, StepNames, judge_step};
pub use work::{class, work};

const ROOTS: Purpose = Purpose("zerotell/roots/1");
const NULLIFIER: Purpose = Purpose("zerotell/nullifier/1");
/// Most bytes of a dossier.
pub const DOSSIER_MAX: usize = 64 << 20;
/// Version of the verifier that this build is `[U2]`: another set of accepted proofs, another code or another trace is another
/// version.
pub const VERIFIER: u16 = 1;

/// Codes of verdicts `[U4]`. The first three are the ledger's (`[H46]`).
pub mod code {
    /// The proof is good and the statement is borne out.
    pub const ACCEPT: u16 = 0;
    /// Not as many bytes as were paid for.
    pub const LENGTH: u16 = 1;
    /// Not what the submission says.
    pub const NAMES: u16 = 2;
    /// No dossier, or a part of it cannot be read.
    pub const FORM: u16 = 16;
    /// The program is not valid, or program and statement do not fit.
    pub const PROGRAM: u16 = 17;
    /// Its parameters prove too few bits.
    pub const WEAK: u16 = 18;
    /// No links lead from the identities to what the proof opens.
    pub const LINKS: u16 = 19;
    /// The proof does not show the statement.
    pub const PROOF: u16 = 20;
    /// The range certificate is none for this model.
    pub const RANGES: u16 = 21;
    /// The signature is not the signer's.
    pub const SIGNATURE: u16 = 22;
    /// The signed statement says something else than the proof.
    pub const STATEMENT: u16 = 23;

    /// A code in words.
    #[must_use]
    pub fn words(code: u16) -> &'static str {
        match code {
            ACCEPT => "accepted",
            LENGTH => "it has not as many bytes as were paid for",
            NAMES => "it is not what the submission says",
            FORM => "a part of it cannot be read",
            PROGRAM => "the program is not valid, or does not fit the statement",
            WEAK => "its parameters prove too few bits",
            LINKS => "no links lead from the identities to what the proof opens",
            PROOF => "the proof does not show the statement",
            RANGES => "the range certificate is none for this model",
            SIGNATURE => "the signature is not the signer's",
            STATEMENT => "the signed statement says something else than the proof",
            u16::MAX => "no verdict: the bytes were not to be had",
            _ => "a code that is not known here",
        }
    }
}

/// The parts of a dossier `[U1]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dossier {
    /// The proof file.
    pub proof: Vec<u8>,
    /// The salts.
    pub salts: Vec<u8>,
    /// The signed statement.
    pub statement: Vec<u8>,
    /// The signer's public key.
    pub signer: Vec<u8>,
    /// The range certificate.
    pub ranges: Option<Vec<u8>>,
}

impl Dossier {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new(b"ZTDO");
        for part in [&self.proof, &self.salts, &self.statement, &self.signer] {
            w.framed(part);
        }
        w.put(&[u8::from(self.ranges.is_some())]);
        self.ranges.iter().for_each(|ranges| w.framed(ranges));
        w.done().to_vec()
    }

    /// Reads a dossier; nothing is checked but its form.
    ///
    /// # Errors
    /// Bytes that are not the one spelling of a dossier.
    pub fn decode(bytes: &[u8]) -> Parsed<Self> {
        let View { proof, salts, statement, signer, ranges } = View::read(bytes)?;
        let owned = <[u8]>::to_vec;
        Ok(Self {
            proof: owned(proof),
            salts: owned(salts),
            statement: owned(statement),
            signer: owned(signer),
            ranges: ranges.map(owned),
        })
    }
}

/// A dossier where it lies.
struct View<'a> {
    proof: &'a [u8],
    salts: &'a [u8],
    statement: &'a [u8],
    signer: &'a [u8],
    ranges: Option<&'a [u8]>,
}

impl<'a> View<'a> {
    fn read(bytes: &'a [u8]) -> Parsed<Self> {
        if bytes.len() > DOSSIER_MAX {
            return Err(format!("it has more than {DOSSIER_MAX} bytes"));
        }
        let mut r = Reader::new(bytes, b"ZTDO")?;
        let (proof, salts, statement, signer) = (r.framed()?, r.framed()?, r.framed()?, r.framed()?);
        let ranges = match r.array::<1>()? {
            [0] => None,
            [1] => Some(r.framed()?),
            _ => return Err("its range certificate is neither there nor not".into()),
        };
        r.end()?;
        Ok(Self { proof, salts, statement, signer, ranges })
    }
}

/// Where the parts of a dossier lie that other dossiers of the same model and epoch have too: the Program, the links, the
/// range certificate. Nothing for bytes that are no dossier.
#[must_use]
pub fn shared(bytes: &[u8]) -> Vec<Range<usize>> {
    let Ok(View { proof, ranges, .. }) = View::read(bytes) else { return Vec::new() };
    // A name, a version, a length; the proof file is the first part, the certificate the last.
    let start = 14usize;
    let moved = |range: Range<usize>| range.start.saturating_add(start)..range.end.saturating_add(start);
    let mut list: Vec<_> =
        Parts::read(proof).map(|parts| parts.shared().map(moved).to_vec()).unwrap_or_default();
    list.extend(ranges.map(|ranges| bytes.len().saturating_sub(ranges.len())..bytes.len()));
    list
}

/// What a submission must say of a dossier `[U3]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// Digest of the signed statement.
    pub statement: Digest,
    /// Digest of the program.
    pub program: Digest,
    /// Digest of the roots that the proof opens.
    pub roots: Digest,
    /// Salted digest of what is revealed.
    pub revealed: Digest,
    /// Salted digest of the context.
    pub context: Digest,
    /// The same for every record about one proof.
    pub nullifier: Digest,
}

impl Names {
    /// Those of a signed statement, which names its proof file, about a proof of this Statement `[U3]`.
    fn of(signed: &Statement, statement: &program::wire::Statement) -> Self {
        Self {
            statement: signed.digest(),
            program: statement.program_digest,
            roots: hash(ROOTS, &[statement.roots.as_flattened()]),
            revealed: signed.salted.revealed,
            context: signed.salted.context,
            nullifier: hash(NULLIFIER, &[&signed.subject.blake3]),
        }
    }
}

/// What the verifier makes of a dossier.
#[derive(Debug)]
pub struct Judged {
    /// One of [`code`].
    pub code: u16,
    /// State of the transcript after the last check, or where it failed; zero if it did not come to it.
    pub trace: [u8; 32],
    /// Why, for people.
    pub what: String,
    /// What it says; only if it is accepted.
    pub found: Option<Found>,
}

/// What an accepted dossier says.
#[derive(Debug)]
pub struct Found {
    /// What its submission must say.
    pub names: Names,
    /// The signed statement.
    pub statement: Statement,
    /// Who signed it.
    pub signer: PublicKey,
    /// What the verifier knows.
    pub facts: Facts,
}

/// What stops a judgement: a code, and words.
pub(crate) type Stop = (u16, String);

/// Runs the verifier on a dossier. With `names`, these must be what is found.
#[must_use]
pub fn judge(bytes: &[u8], names: Option<&Names>) -> Judged {
    judge_with(&Kept::new(0), bytes, names)
}

/// As [`judge`], with programs that were made ready before.
#[must_use]
pub fn judge_with(kept: &Kept, bytes: &[u8], names: Option<&Names>) -> Judged {
    let mut trace = [0; 32];
    let found = examine(kept, bytes, names, &mut trace).and_then(|found| match names {
        Some(names) if *names != found.names => Err((code::NAMES, differs(names, &found.names).into())),
        _ => Ok(found),
    });
    match found {
        Ok(found) => {
            Judged { code: code::ACCEPT, trace, what: code::words(code::ACCEPT).into(), found: Some(found) }
        }
        Err((code, what)) => Judged { code, trace, what, found: None },
    }
}

fn differs(said: &Names, found: &Names) -> &'static str {
    match () {
        () if said.statement != found.statement => "the submission names another statement",
        () if said.program != found.program => "the submission names another program",
        () if said.roots != found.roots => "the submission names other roots",
        () if said.revealed != found.revealed => "the submission names something else as revealed",
        () if said.context != found.context => "the submission names another context",
        () => "the submission has another nullifier",
    }
}

fn examine(kept: &Kept, bytes: &[u8], said: Option<&Names>, trace: &mut [u8; 32]) -> Result<Found, Stop> {
    let form = |why: String| (code::FORM, why);
    let dossier = View::read(bytes).map_err(form)?;
    let file = |why: String| form(format!("the proof file: {why}"));
    let parts = Parts::read(dossier.proof).map_err(file)?;
    let statement = parts.statement().map_err(file)?;
    let head = kept.head(&parts).map_err(file)?;
    // What was paid for bounds what is done: another program may cost far more.
    if said.is_some_and(|names| names.program != statement.program_digest) {
        return Err((code::NAMES, "the submission names another program".into()));
    }
    let shape = ProofShape::from(&statement);
    let Ready { program, prepared } = match kept.find(&head.program, &shape) {
        Some(ready) => ready,
        None => {
            let program = files::program(parts.program).map_err(file)?;
            if program.digest() != statement.program_digest {
                return Err((code::PROGRAM, "the statement names another program".into()));
            }
            let prepared = verify::prepare(&program, &shape);
            let prepared = prepared.map_err(|why| (code::PROGRAM, why.to_string()))?;
            let ready = Ready { program: Arc::new(program), prepared: Arc::new(prepared) };
            kept.keep(head.program, parts.program.len(), &ready);
            ready
        }
    };
    let (program, statement) = (&*program, &statement);
    let (chains, prefixes) = (&head.chains, &head.prefixes);
    let known = |linked: &Linked| kept.has_links(prefixes.names(linked));
    let (verdict, end) = prepared.verify_traced(statement, parts.proof, &Links { chains, known: &known });
    *trace = end;
    let accepted = match verdict {
        Verdict::Accepted(accepted) => accepted,
        Verdict::Rejected(why) => return Err((refusal(&why), why.to_string())),
    };
    accepted.linked().iter().for_each(|linked| kept.keep_links(prefixes.names(linked)));
    let ranges = match dossier.ranges {
        None => Ranges::Unproved,
        Some(bytes) => {
            let name = |identity: &[u8; 32]| record::json::hex(identity);
            let certified = ranges::check(program, statement, bytes, name);
            let bits = certified.map_err(|why| (code::RANGES, why))?.bits;
            Ranges::Certified { blake3: *blake3::hash(bytes).as_bytes(), bits }
        }
    };
    let facts = Facts::of((program, statement), chains, &accepted, ranges, meaning::of_record(program));
    let (signed, signer) = signed(&dossier)?;
    let salts = Salts::decode(dossier.salts).map_err(|why| form(why.to_string()))?;
    let subject = head.begun.subject(parts.rest());
    signed.agrees(&facts, subject, &salts).map_err(|why| (code::STATEMENT, why.to_string()))?;
    let names = Names::of(&signed, statement);
    Ok(Found { names, statement: signed, signer, facts })
}

fn signed(dossier: &View<'_>) -> Result<(Statement, PublicKey), Stop> {
    let form = |why: record::Refused| (code::FORM, why.to_string());
    let signer = PublicKey::from_pem(dossier.signer).map_err(form)?;
    if signer.to_pem().as_bytes() != dossier.signer {
        return Err((code::FORM, "the signer's PEM is not spelled the one way".into()));
    }
    let envelope = Envelope::decode(dossier.statement).map_err(form)?;
    let payload = envelope.verify(&signer).map_err(|why| (code::SIGNATURE, why.to_string()))?;
    Ok((Statement::decode(payload).map_err(form)?, signer))
}

pub(crate) fn refusal(why: &Refusal) -> u16 {
    match why {
        Refusal::Setup(_) => code::PROGRAM,
        Refusal::Weak { .. } => code::WEAK,
        Refusal::Links(_) => code::LINKS,
        Refusal::Proof(_) => code::PROOF,
    }
}
