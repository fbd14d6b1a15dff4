use std::path::PathBuf;

use record::key::Kind;
use record::{archive, json};

use super::*;
use crate::files::encode_proof;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors");

/// The proof file of a golden proof.
fn proof_file(name: &str) -> Vec<u8> {
    let part =
        |file: &str| std::fs::read(PathBuf::from(VECTORS).join("proofs/v1").join(name).join(file)).ok();
    let program = program::wire::decode(&part("program.bin").unwrap()).unwrap();
    let statement = program::wire::decode_statement(&part("statement.bin").unwrap()).unwrap();
    let chains = part("links.bin").map(|bytes| verify::decode_links(&bytes).unwrap()).unwrap_or_default();
    encode_proof(&program, &statement, &part("proof.bin").unwrap(), &chains)
}

fn key(kind: Kind, byte: u8) -> SigningKey {
    SigningKey::from_random(kind, &[byte; 32]).unwrap()
}

fn fixed() -> (Salts, Verifier) {
    let salts = Salts { accuracy: [1; 32], context: [2; 32], inputs: [3; 32], revealed: [4; 32] };
    (salts, Verifier { version: "0.1.0".into(), build: Some([5; 32]) })
}

fn made(proof: Vec<u8>, key: &SigningKey) -> Vec<u8> {
    let (salts, verifier) = fixed();
    make(Path::new("x"), proof, Extras::default(), key, (&salts, verifier)).unwrap().0
}

fn examined(bytes: &[u8]) -> Examination {
    examine_evidence(bytes, &mut Expect::default(), &Demands::default(), &NoNetwork).0
}

/// The code of the refusal, and the check that failed.
fn refusal(bytes: &[u8]) -> (&'static str, &'static str) {
    let e = examined(bytes);
    let failed = e.checks.iter().find(|check| check.state == State::Failed).expect("a refusal");
    assert!(!e.accepted() && e.shown.is_none(), "{}", failed.detail);
    (e.code, failed.name)
}

/// The bytes are the format: the same proof, salts and key give them on every machine.
#[test]
fn golden_evidence() {
    for (name, kind) in [("p256", Kind::P256), ("ed25519", Kind::Ed25519)] {
        let path = PathBuf::from(VECTORS).join("evidence/v1").join(format!("{name}.zte"));
        let bytes = made(proof_file("hidden-private-weights"), &key(kind, 7));
        assert_eq!(bytes, made(proof_file("hidden-private-weights"), &key(kind, 7)));
        if std::env::var_os("ZEROTELL_WRITE_VECTORS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &bytes).unwrap();
        }
        let payload = Envelope::decode(&Evidence::decode(&bytes).unwrap().statement).unwrap().payload;
        let beside = path.with_file_name("statement.json");
        if std::env::var_os("ZEROTELL_WRITE_VECTORS").is_some() {
            std::fs::write(&beside, &payload).unwrap();
        }
        assert!(std::fs::read(beside).unwrap() == payload, "{name}: both keys sign the same statement");
        assert!(std::fs::read(&path).unwrap() == bytes, "{name}: other bytes are another format");
        assert!(examined(&bytes).accepted(), "{name}");
    }
}

#[test]
fn links_and_committed_inputs_and_plain_proofs_are_in_evidence_too() {
    for name in ["hidden-committed-input", "hidden-linked", "hidden-public-weights", "plain-public"] {
        let e = examined(&made(proof_file(name), &key(Kind::Ed25519, 7)));
        assert!(e.accepted() && e.checks.iter().any(|check| check.name == "report"), "{name}");
    }
}

/// Evidence with a part changed, packed anew so that only the part itself can tell.
fn with(bytes: &[u8], change: impl FnOnce(&mut Evidence)) -> Vec<u8> {
    let mut evidence = Evidence::decode(bytes).unwrap();
    change(&mut evidence);
    evidence.encode().unwrap()
}

#[test]
fn every_changed_part_is_refused_by_its_name() {
    let honest = made(proof_file("hidden-private-weights"), &key(Kind::P256, 7));
    let other = Evidence::decode(&made(proof_file("hidden-committed-input"), &key(Kind::P256, 7))).unwrap();
    let stranger =
        Evidence::decode(&made(proof_file("hidden-private-weights"), &key(Kind::P256, 8))).unwrap();
    let public = Evidence::decode(&made(proof_file("hidden-public-weights"), &key(Kind::P256, 7))).unwrap();
    let last = |part: &mut Vec<u8>| *part.last_mut().unwrap() ^= 1;
    type Change<'a> = Box<dyn FnOnce(&mut Evidence) + 'a>;
    let rows: Vec<(Change<'_>, &str, &str)> = vec![
        (Box::new(|e| last(&mut e.report)), BAD_REPORT, "report"),
        (Box::new(|e| e.report.clear()), BAD_REPORT, "report"),
        (Box::new(|e| e.report.clone_from(&other.report)), BAD_REPORT, "report"),
        (Box::new(|e| e.report.clone_from(&stranger.report)), BAD_REPORT, "report"),
        (Box::new(|e| last(&mut e.model)), BAD_EVIDENCE, "model file"),
        (Box::new(|e| e.model.clone_from(&public.model)), BAD_EVIDENCE, "model file"),
        (Box::new(|e| last(&mut e.proof)), crate::failure::BAD_RELATIONS, "relations"),
        (Box::new(|e| e.proof.clone_from(&other.proof)), BAD_STATEMENT, "statement"),
        (Box::new(|e| e.statement.clone_from(&other.statement)), BAD_STATEMENT, "statement"),
        (Box::new(|e| e.statement.clone_from(&stranger.statement)), BAD_SIGNATURE, "signature"),
        (Box::new(|e| e.signer.clone_from(&stranger.signer)), BAD_SIGNATURE, "signature"),
        (Box::new(|e| e.signer.clear()), BAD_SIGNATURE, "key"),
        (Box::new(|e| e.statement.clear()), BAD_SIGNATURE, "envelope"),
        (Box::new(|e| e.salts.clear()), BAD_EVIDENCE, "salts"),
        (Box::new(|e| e.salts = fixed_salts(9).encode()), BAD_STATEMENT, "statement"),
        (Box::new(|e| e.accuracy = Some(b"{}".to_vec())), BAD_EVIDENCE, "accuracy"),
        (Box::new(|e| e.ranges = Some(b"ZTRC".to_vec())), crate::failure::BAD_RANGES, "weight ranges"),
        (Box::new(|e| e.certificate = Some(vec![])), BAD_ANNEX, "certificate"),
    ];
    for (number, (change, code, name)) in rows.into_iter().enumerate() {
        assert_eq!(refusal(&with(&honest, change)), (code, name), "row {number}");
    }
    assert_eq!(refusal(&honest[..honest.len() - 1]), (BAD_EVIDENCE, "evidence file"));
    assert_eq!(refusal(&[honest, vec![0]].concat()), (BAD_EVIDENCE, "evidence file"));
}

fn fixed_salts(byte: u8) -> Salts {
    Salts { accuracy: [byte; 32], context: [byte; 32], inputs: [byte; 32], revealed: [byte; 32] }
}

/// Another spelling of the same members is another file.
#[test]
fn members_in_another_order_are_refused() {
    let honest = made(proof_file("hidden-public-weights"), &key(Kind::Ed25519, 7));
    let members = archive::decode(&honest, |_| Some(usize::MAX)).unwrap();
    // Each member packed alone, then joined in the reverse order: headers and contents are right.
    let alone = |name: &str, part: &[u8]| {
        let one = archive::encode(&[(name, part)].into());
        one[..30 + name.len() + part.len()].to_vec()
    };
    let reversed: Vec<u8> = members.iter().rev().flat_map(|(name, part)| alone(name, part)).collect();
    assert_eq!(refusal(&reversed), (BAD_EVIDENCE, "evidence file"));
    let sorted: Vec<u8> = members.iter().flat_map(|(name, part)| alone(name, part)).collect();
    assert_eq!(sorted, honest[..sorted.len()]);
    let doubled = [alone("model.ztm", members["model.ztm"]), sorted].concat();
    assert_eq!(refusal(&doubled), (BAD_EVIDENCE, "evidence file"));
}

#[test]
fn the_signer_can_be_demanded() {
    let honest = made(proof_file("hidden-public-weights"), &key(Kind::Ed25519, 7));
    for (byte, accepted) in [(7, true), (8, false)] {
        let signer = key(Kind::Ed25519, byte).public();
        let demands = Demands { signer: Some(&signer) };
        let (e, page) = examine_evidence(&honest, &mut Expect::default(), &demands, &NoNetwork);
        assert_eq!((e.accepted(), page.is_some()), (accepted, accepted));
        assert_eq!(e.pinned, accepted || e.model.is_none());
    }
    let e = examined(&honest);
    let line = e.checks.iter().find(|check| check.name == "signature").unwrap();
    let fingerprint = key(Kind::Ed25519, 7).public().fingerprint();
    assert!(
        line.state == State::Open && line.detail.contains("unknown") && line.detail.contains(&fingerprint)
    );
    assert!(!e.pinned, "nobody whom the reader named stands for the model");
}

/// A signer who lies in the statement and makes the report anew is caught by the proof.
#[test]
fn a_lying_signer_is_caught() {
    let signer = key(Kind::P256, 7);
    let honest = made(proof_file("hidden-private-weights"), &signer);
    let text = |e: &Evidence| Envelope::decode(&e.statement).unwrap().payload;
    for (truth, lie) in [
        ("\"weight-ranges\"", "\"nothing-really\""),
        ("\"state\":\"unproved\"", "\"state\":\"public\""),
        ("\"bits\":100", "\"bits\":128"),
        ("\"zeroKnowledge\":true", "\"zeroKnowledge\":false"),
        ("\"semantics\":\"served-int\"", "\"semantics\":\"exact\""),
        ("\"version\":\"0.1.0\"", "\"version\":\"\""),
    ] {
        let bent = with(&honest, |e| {
            let payload = String::from_utf8(text(e)).unwrap();
            assert!(payload.contains(truth), "{truth} in {payload}");
            e.statement = Envelope::sign(&signer, payload.replace(truth, lie).into_bytes()).encode();
        });
        assert_eq!(refusal(&bent), (BAD_STATEMENT, "statement"), "{lie}");
    }
}

#[test]
fn bad_proofs_and_strange_parts_get_no_evidence() {
    let signer = key(Kind::Ed25519, 7);
    let (salts, verifier) = fixed();
    let refused = |proof: Vec<u8>, extras: Extras| {
        let place = Path::new("p.ztp");
        let failure = make(place, proof, extras, &signer, (&salts, verifier.clone())).err().expect("refused");
        assert_eq!(failure.items[0].code, EVIDENCE);
        failure.items[0].reason.clone()
    };
    assert!(
        refused(proof_file("lie-message"), Extras::default()).contains("the proof is refused: relations")
    );
    assert!(refused(b"x".to_vec(), Extras::default()).contains("bytes"));
    let strange = Extras { accuracy: Some(b"{}".to_vec()), ..Default::default() };
    assert!(refused(proof_file("plain-public"), strange).contains("not the report that the program names"));
    let needless = Extras { ranges: Some(b"x".to_vec()), ..Default::default() };
    assert!(refused(proof_file("plain-public"), needless).contains("weight ranges"));
    assert!(json::unhex(env!("ZEROTELL_BUILD_INPUTS")).is_some());
}
