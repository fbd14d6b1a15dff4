//! What must hold for any bytes. A target is one line that calls one of these.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use model::ImportOptions;
use program::types::{Operator, Program};
use program::wire::{Statement, decode, decode_statement, encode_statement, encode_with_contents};
use verify::{Verdict, verify};

/// A Program that can be read has one spelling, and checking it ends.
pub fn program_decode(bytes: &[u8]) {
    if let Ok(program) = decode(bytes) {
        assert_eq!(encode_with_contents(&program), bytes, "two spellings of one Program");
        let _ = program::validate(&program);
    }
}

/// A Statement that can be read has one spelling.
pub fn statement_decode(bytes: &[u8]) {
    if let Ok(statement) = decode_statement(bytes) {
        assert_eq!(encode_statement(&statement), bytes, "two spellings of one Statement");
    }
}

/// `verify` gives a verdict for any bytes; bytes that were not proved are not accepted twice over.
///
/// The bytes are three parts: u32 length and Program with contents, u32 length and Statement, proof.
pub fn verify_proof(bytes: &[u8]) {
    let Some((program, mut statement, proof)) = parts(bytes) else { return };
    if is_large(&program, &statement) {
        return;
    }
    let _ = verify(&program, &statement, proof);
    // The digest of a changed Program is never right by chance: repair it, to come past that check.
    statement.program_digest = program.digest();
    if let Verdict::Accepted(_) = verify(&program, &statement, proof) {
        let longer = [proof, &[0]].concat();
        assert!(matches!(verify(&program, &statement, &longer), Verdict::Rejected(_)), "a byte may be added");
        let shorter = proof.get(..proof.len().saturating_sub(1)).unwrap_or_default();
        assert!(
            matches!(verify(&program, &statement, shorter), Verdict::Rejected(_)),
            "a byte may be dropped"
        );
    }
}

/// A transaction, its body, and what a network begins with have one spelling.
pub fn transaction_decode(bytes: &[u8]) {
    fn one_spelling<T: certify::Canonical>(bytes: &[u8]) {
        if let Ok(value) = certify::decode::<T>(bytes) {
            assert_eq!(certify::encode(&value), bytes, "two spellings of one value");
        }
    }
    one_spelling::<ledger::Body>(bytes);
    one_spelling::<ledger::Genesis>(bytes);
    one_spelling::<certify::Header>(bytes);
    one_spelling::<certify::Committee>(bytes);
    one_spelling::<ledger::Envelope>(bytes);
    if let Ok(envelope) = certify::decode::<ledger::Envelope>(bytes) {
        one_spelling::<ledger::Body>(&envelope.body);
        let _ = envelope.is_signed();
    }
}

/// A proof about the authenticated map has one spelling and shows nothing under a root that is not its own.
pub fn map_proof(bytes: &[u8]) {
    let Ok(proof) = certify::decode::<certify::MapProof>(bytes) else { return };
    assert_eq!(certify::encode(&proof), bytes, "two spellings of one proof");
    let root = certify::map::node(&[1; 32], &[2; 32]);
    assert!(certify::verify_present(&root, 1, b"key", b"value", &proof).is_err(), "a root was hit by chance");
    assert!(certify::verify_absent(&root, 1, b"key", &proof).is_err(), "a root was hit by chance");
}

/// Certificates, hand-overs, ways and receipts have one spelling, and whatever a whole check accepts, a client that went the
/// same way accepts too.
pub fn certificate_check(bytes: &[u8]) {
    use certify::receipt::Receipt;
    if let Ok(handover) = certify::decode::<certify::Handover>(bytes) {
        assert_eq!(certify::encode(&handover), bytes, "two spellings of one hand-over");
    }
    if let Ok(way) = certify::decode::<certify::Way>(bytes) {
        assert_eq!(certify::encode(&way), bytes, "two spellings of one way");
    }
    if let Ok(receipt) = Receipt::decode(bytes) {
        assert_eq!(receipt.encode(), bytes, "two spellings of one receipt");
    }
    let Ok(found) = certify::decode::<certify::Certificate>(bytes) else { return };
    assert_eq!(certify::encode(&found), bytes, "two spellings of one certificate");
    if let Ok(client) = found.check(&found.checkpoint, None) {
        assert_eq!(found.check_with(&client), Ok(()), "a certificate checked once is not checked again");
        let reached = client.checkpoint();
        let again = found.check(&reached, None).map(|client| client.checkpoint());
        assert_eq!(again, Ok(reached), "what a certificate leads to cannot be trusted in its place");
    }
}

/// An ONNX file is read or refused with problems that say something.
pub fn onnx_parse(bytes: &[u8]) {
    if let Err(problems) = model::parse(bytes, None, &ImportOptions::default()) {
        assert!(!problems.is_empty(), "a refusal without a reason");
        problems.iter().for_each(|problem| assert!(!problem.to_string().is_empty()));
    }
}

/// A stored tensor is read or refused.
pub fn tensor_parse(bytes: &[u8]) {
    let _ = model::tensor_name_from_bytes(bytes);
    if let Ok((tensor, _)) = model::tensor_from_bytes(bytes) {
        let _ = format!("{:?}", tensor.shape);
    }
}

/// Program, Statement and proof of a container.
fn parts(bytes: &[u8]) -> Option<(Program, Statement, &[u8])> {
    let (program, rest) = framed(bytes)?;
    let (statement, proof) = framed(rest)?;
    Some((decode(program).ok()?, decode_statement(statement).ok()?, proof))
}

fn framed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// Sizes that are legal but take longer than a fuzzer waits.
fn is_large(program: &Program, statement: &Statement) -> bool {
    let batch = u64::from(statement.batch);
    let size = |axes: &[u32]| {
        axes.iter().map(|&n| if n == 0 { batch } else { u64::from(n) }).fold(1u64, u64::saturating_mul)
    };
    let rows = |table: &program::types::Table| {
        table.keys.iter().map(|&(_, count)| u64::from(count)).fold(1u64, u64::saturating_mul)
    };
    let declared = program.tensors.iter().map(|tensor| size(&tensor.axes));
    let tables = program.tables.iter().map(rows);
    let operators = program.operators.iter().map(|operator| size(position_axes(operator)));
    declared.chain(tables).chain(operators).fold(0u64, u64::saturating_add) > 1 << 16
}

fn position_axes(operator: &Operator) -> &[u32] {
    match operator {
        Operator::Check { axes, .. }
        | Operator::Table { axes, .. }
        | Operator::Commit { axes, .. }
        | Operator::Split { axes, .. } => axes,
        Operator::Round(round) => &round.axes,
    }
}

/// A file of the command line is read or refused.
pub fn files_parse(bytes: &[u8]) {
    zerotell::parsers::files(bytes);
}

/// An evidence file, or one of its signed members, is read or refused; what is read has one spelling. The
/// first byte says which: a checksum would keep a fuzzer from what lies inside.
pub fn evidence_parse(bytes: &[u8]) {
    use record::{Envelope, Evidence, PublicKey, Salts, SigningKey, Statement};
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    let spelled = |again: Option<Vec<u8>>| assert!(again.is_none_or(|again| again == bytes), "two spellings");
    match kind {
        b'e' => spelled(Envelope::decode(bytes).ok().map(|envelope| envelope.encode())),
        b's' => spelled(Statement::decode(bytes).ok().map(|statement| statement.encode())),
        b'z' => spelled(Salts::decode(bytes).ok().map(|salts| salts.encode())),
        b'k' => {
            let _ = (PublicKey::from_pem(bytes), SigningKey::from_pem(bytes).map(|key| key.public()));
        }
        _ => {
            let evidence = Evidence::decode(bytes).ok();
            spelled(evidence.as_ref().and_then(|evidence| evidence.encode().ok()));
            let _ = evidence.map(|evidence| evidence.signed());
            zerotell::parsers::evidence(bytes);
        }
    }
}

/// A dossier without its shared parts comes to the same again; bytes that are taken for such come to something or nothing.
fn compact(bytes: &[u8]) {
    use dossier::compact::{Made, compact, whole};
    if let Some(small) = compact(bytes) {
        let part = |name: &[u8; 32]| {
            let found = small.parts.iter().find(|(found, _)| found == name);
            found.and_then(|(_, range)| bytes.get(range.clone()))
        };
        assert!(
            whole(&small.bytes, part) == Made::Whole(bytes.to_vec(), small.parts.clone()),
            "another dossier"
        );
    }
    let _ = whole(bytes, |name| Some(name.repeat(usize::from(name[0]))));
}

/// A dossier is judged the same whatever was judged before it, and only honest bytes are accepted.
///
/// The bytes are a dossier, or, after a zero, changes of an honest one: places of three bytes, each with what is put there.
pub fn dossier_judge(bytes: &[u8]) {
    static HONEST: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let evidence = include_bytes!("../../vectors/evidence/v1/p256.zte");
        let evidence = record::Evidence::decode(evidence).expect("the vector is evidence");
        let record::Evidence { proof, salts, statement, signer, ranges, .. } = evidence;
        dossier::Dossier { proof, salts, statement, signer, ranges }.encode()
    });
    // As a node has it: one for all.
    static KEPT: LazyLock<dossier::Kept> = LazyLock::new(|| dossier::Kept::new(1 << 24));
    let mut bent = HONEST.clone();
    let judged = match bytes.split_first() {
        Some((0, changes)) => {
            for change in changes.chunks_exact(4) {
                let &[a, b, c, put] = change else { continue };
                let place = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                let place = place % bent.len();
                bent[place] = put;
            }
            bent.as_slice()
        }
        _ => bytes,
    };
    compact(judged);
    let fresh = dossier::judge(judged, None);
    let with = dossier::judge_with(&KEPT, judged, None);
    assert_eq!(
        (fresh.code, fresh.trace, fresh.what),
        (with.code, with.trace, with.what),
        "what was kept decides"
    );
    let names = with.found.map(|found| found.names);
    assert_eq!(names, fresh.found.map(|found| found.names), "what was kept decides");
    assert!(fresh.code != 0 || judged == HONEST.as_slice(), "other bytes are accepted");
}

/// An array file is read or refused.
pub fn arrays_parse(bytes: &[u8]) {
    zerotell::parsers::arrays(bytes);
}
