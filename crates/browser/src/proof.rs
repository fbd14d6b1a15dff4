//! A dossier: what the verifier makes of it, and whether it is the one that a certificate is about.

use certify::{Certificate, decode};
use dossier::{Dossier, Found, Step, code, judge};
use ledger::entry::{Record, Records, Table};
use program::Reveal;
use record::json::{Json, hex, list, object};
use record::{Facts, Ranges, input_word, not_claimed};

use crate::line::{Lines, State};

/// Most values of one list that are told.
const VALUES_MAX: usize = 256;

/// Checks a dossier as a validator does. The certificate says which one it must be; it must have been checked before, and
/// may be empty if there is none. Nothing else of it is looked at.
#[must_use]
pub fn check_proof(bytes: &[u8], certificate: &[u8]) -> Json {
    let mut lines = Lines::default();
    let shown = examine(&mut lines, bytes, certificate);
    lines.answer("proof", shown)
}

/// The record of a certificate, with the statement it is about.
fn certified(certificate: &[u8]) -> Option<(Vec<u8>, Record)> {
    let entry = decode::<Certificate>(certificate).ok()?.entry;
    let record = decode::<Record>(&entry.value).ok().filter(|_| entry.namespace == Records::NAMESPACE)?;
    Some((entry.key.to_vec(), record))
}

fn examine(lines: &mut Lines, bytes: &[u8], certificate: &[u8]) -> Option<Json> {
    let digest = *blake3::hash(bytes).as_bytes();
    let certified = certified(certificate);
    let is_step = Step::decode(bytes).is_ok();
    if is_step {
        lines.note("file", State::Passed, "a link between two commitments of one model's weights");
    } else {
        lines.settle("file", Dossier::decode(bytes), |_| {
            format!("{} bytes: proof, statement, salts, signer", bytes.len())
        })?;
    }
    match &certified {
        None => lines.note("certified", State::Open, "no certificate says which proof it must be"),
        Some((_, record)) => {
            let is_same =
                if record.proof == digest { Ok(()) } else { Err("the certificate is about other bytes") };
            lines
                .settle("certified", is_same, |()| "these are the bytes that the certificate names".into())?;
        }
    }
    if is_step {
        lines.note(
            "link",
            State::Open,
            "to check it takes the model's program and history: it is not checked here",
        );
        return None;
    }
    let found = verify(lines, bytes)?;
    if let Some((statement, record)) = certified {
        let is_named = found.names.statement.as_slice() == statement && found.names.program == record.program;
        let is_named =
            if is_named { Ok(()) } else { Err("the certificate names another statement or program") };
        lines
            .settle("name", is_named, |()| "the certificate names this statement and this program".into())?;
    }
    Some(told(&found, &digest, bytes.len()))
}

/// Runs the verifier; a line per stage that an accepted dossier has gone through, or the one where it stopped.
fn verify(lines: &mut Lines, bytes: &[u8]) -> Option<Found> {
    let judged = judge(bytes, None);
    let Some(found) = judged.found else {
        let why = format!("{} (code {})", judged.what, judged.code);
        lines.note(stage(judged.code), State::Failed, why);
        return None;
    };
    let facts = &found.facts;
    lines.note("program", State::Passed, "it is valid, and fits what the proof states");
    let hiding = if facts.zero_knowledge { "zero knowledge" } else { "not zero-knowledge: it hides nothing" };
    let bits = facts.security.bits;
    let proved = format!(
        "every relation holds: {bits} proven bits, weakest term: {}; {hiding}",
        facts.security.weakest
    );
    lines.note("proof", State::Passed, proved);
    match facts.ranges {
        Ranges::Public => lines.note("weights", State::Passed, "public: part of the program"),
        Ranges::Certified { bits, .. } => {
            lines.note("weights", State::Passed, format!("hidden; their ranges are proved with {bits} bits"));
        }
        Ranges::Unproved => {
            lines.note(
                "weights",
                State::Open,
                "hidden; no proof that they are integers of the declared widths",
            );
        }
    }
    lines.note(
        "signature",
        State::Passed,
        format!("made by {}; whose key it is, is not known here", found.signer),
    );
    lines.note("statement", State::Passed, "it says what the proof shows, field by field, and no more");
    Some(found)
}

/// What is looked at when the verifier gives a code.
fn stage(code: u16) -> &'static str {
    match code {
        code::PROGRAM => "program",
        code::WEAK => "strength",
        code::LINKS => "links",
        code::PROOF => "proof",
        code::RANGES => "weights",
        code::SIGNATURE => "signature",
        code::STATEMENT => "statement",
        _ => "form",
    }
}

/// Integers as text, for a page's numbers do not hold all of them.
fn values(slot: Option<&Vec<i64>>) -> Json {
    list(slot.into_iter().flatten().take(VALUES_MAX).map(|value| value.to_string().into()))
}

/// What is revealed, in the order of the statement. Values and labels have a slot after those of public inputs.
fn revealed(facts: &Facts) -> Json {
    let mut slots = facts.slots.iter().skip(facts.public_inputs());
    list(facts.reveals.iter().map(|reveal| match *reveal {
        Reveal::Values { output } => {
            object([("kind", "output".into()), ("output", output.into()), ("values", values(slots.next()))])
        }
        Reveal::Label { output } => {
            object([("kind", "label".into()), ("output", output.into()), ("values", values(slots.next()))])
        }
        Reveal::Threshold { output, index, at_least, bound } => object([
            ("kind", "threshold".into()),
            ("output", output.into()),
            ("index", index.into()),
            ("atLeast", at_least.into()),
            ("bound", bound.to_string().into()),
        ]),
    }))
}

/// The context as text, where it is some; else in hexadecimal.
fn context(bytes: &[u8]) -> String {
    let text = core::str::from_utf8(bytes).ok().filter(|text| !text.chars().any(char::is_control));
    text.map_or_else(|| format!("0x{}", hex(bytes)), str::to_string)
}

/// What an accepted dossier says, and what it does not.
fn told(found: &Found, digest: &[u8; 32], length: usize) -> Json {
    let Found { names, statement, signer, facts } = found;
    let absent = not_claimed(facts, statement.claims.model_signing.is_some());
    let absent = absent.iter().map(|one| object([("code", one.code.into()), ("text", one.words.into())]));
    object([
        ("digest", hex(digest).into()),
        ("bytes", u32::try_from(length).unwrap_or(u32::MAX).into()),
        ("statement", hex(&names.statement).into()),
        ("program", hex(&names.program).into()),
        (
            "names",
            object([
                ("roots", hex(&names.roots).into()),
                ("revealed", hex(&names.revealed).into()),
                ("context", hex(&names.context).into()),
                ("nullifier", hex(&names.nullifier).into()),
            ]),
        ),
        ("model", hex(&facts.model).into()),
        ("weights", if facts.hidden_weights() { "hidden" } else { "public" }.into()),
        ("inputs", list(facts.inputs.iter().map(|mode| input_word(*mode).into()))),
        ("inferences", facts.batch.into()),
        ("zeroKnowledge", facts.zero_knowledge.into()),
        ("revealed", revealed(facts)),
        ("provenBits", facts.security.bits.into()),
        ("unionBits", facts.security.union_bits.into()),
        ("weakest", facts.security.weakest.into()),
        ("semantics", facts.semantics.word().into()),
        ("context", context(&facts.context).into()),
        ("signer", signer.fingerprint().into()),
        ("notClaimed", list(absent)),
    ])
}
