//! Statements about the golden proofs: honest ones, and every way to bend them that was thought of.

use std::path::Path;

use program::wire::{self, decode, decode_statement};
use program::{Program, Reveal};
use verify::{Link, Links, Verdict, decode_links, verify_linked};

use crate::envelope::{PAYLOAD_TYPE, pae};
use crate::json::{Json, parse};
use crate::key::Kind as KeyKind;
use crate::report::{Page, Words};
use crate::*;

/// A golden proof that was accepted.
pub(crate) struct Case {
    pub program: Program,
    pub statement: wire::Statement,
    pub chains: Vec<Vec<Link>>,
    pub accepted: verify::Accepted,
}

const CASES: [&str; 5] = [
    "hidden-private-weights",
    "hidden-committed-input",
    "hidden-linked",
    "hidden-public-weights",
    "plain-public",
];

fn case(name: &str) -> Case {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/proofs/v1").join(name);
    let file = |name: &str| std::fs::read(folder.join(name)).ok();
    let part = |name: &str| file(name).unwrap_or_else(|| panic!("{name}"));
    let program = decode(&part("program.bin")).unwrap();
    let statement = decode_statement(&part("statement.bin")).unwrap();
    let chains = file("links.bin").map(|bytes| decode_links(&bytes).unwrap()).unwrap_or_default();
    let known = |_: &verify::Linked| false;
    let links = Links { chains: &chains.clone().into(), known: &known };
    match verify_linked(&program, &statement, &part("proof.bin"), &links) {
        Verdict::Accepted(accepted) => Case { program, statement, chains, accepted },
        Verdict::Rejected(why) => panic!("{name}: {why}"),
    }
}

fn facts_with(case: &Case, ranges: Ranges, semantics: Semantics) -> Facts {
    let meaning = Meaning { semantics, accuracy: Some([0xac; 32]) };
    Facts::of((&case.program, &case.statement), &case.chains, &case.accepted, ranges, meaning)
}

fn facts(name: &str) -> Facts {
    facts_with(&case(name), Ranges::Unproved, Semantics::Bounded)
}

fn salts(byte: u8) -> Salts {
    Salts {
        accuracy: [byte; 32],
        context: [byte.wrapping_add(1); 32],
        inputs: [byte.wrapping_add(2); 32],
        revealed: [byte.wrapping_add(3); 32],
    }
}

fn claims() -> Claims {
    Claims {
        verifier: Verifier { version: "0.1.0".into(), build: Some([0xb1; 32]) },
        model_signing: Some([0x05; 32]),
    }
}

const PROOF: &[u8] = b"the proof file";

fn statement(facts: &Facts) -> Statement {
    Statement::new(facts, Subject::of(PROOF), &salts(1), claims())
}

fn key(kind: KeyKind, byte: u8) -> SigningKey {
    SigningKey::from_random(kind, &[byte; 32]).unwrap()
}

/// An evidence file around a statement. Its proof is not looked at here.
fn evidence(payload: Vec<u8>, key: &SigningKey) -> Evidence {
    Evidence {
        model: b"model".to_vec(),
        proof: PROOF.to_vec(),
        report: b"report".to_vec(),
        salts: salts(1).encode(),
        signer: key.public().to_pem().into_bytes(),
        statement: Envelope::sign(key, payload).encode(),
        ..Default::default()
    }
}

/// What a reader who accepted the proof says.
fn check(evidence: &Evidence, facts: &Facts) -> Outcome<Statement> {
    let again = Evidence::decode(&evidence.encode()?)?;
    assert_eq!(&again, evidence);
    let (statement, _) = again.signed()?;
    again.agrees(&statement, facts)?;
    Ok(statement)
}

#[test]
fn honest_statements_are_read_back() {
    for name in CASES {
        let facts = facts(name);
        let honest = statement(&facts);
        for kind in [KeyKind::P256, KeyKind::Ed25519] {
            let made = evidence(honest.encode(), &key(kind, 7));
            assert_eq!(check(&made, &facts).unwrap(), honest, "{name}");
            let again = evidence(honest.encode(), &key(kind, 7));
            assert_eq!(made.encode().unwrap(), again.encode().unwrap(), "the same bytes every time");
        }
        assert_eq!((honest.program, honest.model), (facts.program, facts.model));
    }
}

/// Every way to change one leaf, drop one key or add one.
fn mutants(tree: &Json, place: &str, whole: &dyn Fn(Json) -> Json, out: &mut Vec<(String, Json)>) {
    match tree {
        Json::Map(map) => {
            for (key, value) in map {
                let mut fewer = map.clone();
                fewer.remove(key);
                out.push((format!("{place}.{key} dropped"), whole(Json::Map(fewer))));
                let with = |value: Json| {
                    let mut other = map.clone();
                    other.insert(key.clone(), value);
                    whole(Json::Map(other))
                };
                mutants(value, &format!("{place}.{key}"), &with, out);
            }
            let mut more = map.clone();
            more.insert("zzz".into(), Json::Int(1));
            out.push((format!("{place}.zzz added"), whole(Json::Map(more))));
        }
        Json::List(items) => {
            let more = items.iter().cloned().chain([Json::from("more")]).collect();
            out.push((format!("{place} longer"), whole(Json::List(more))));
            for (at, item) in items.iter().enumerate() {
                let with = |value: Json| {
                    let mut other = items.clone();
                    other[at] = value;
                    whole(Json::List(other))
                };
                let mut fewer = items.clone();
                fewer.remove(at);
                out.push((format!("{place}[{at}] dropped"), whole(Json::List(fewer))));
                mutants(item, &format!("{place}[{at}]"), &with, out);
            }
        }
        Json::Text(text) => {
            let last = if text.ends_with('0') { "1" } else { "0" };
            let short = text.strip_suffix(|_: char| true).unwrap_or_default();
            out.push((place.to_string(), whole(Json::Text(format!("{short}{last}")))));
            out.push((format!("{place} no text"), whole(Json::Int(0))));
        }
        Json::Int(number) => out.push((place.to_string(), whole(Json::Int(number ^ 1)))),
        Json::Bool(flag) => out.push((place.to_string(), whole(Json::Bool(!flag)))),
    }
}

/// Even its own signer cannot make a statement say anything else than the proof does; what is the
/// signer's own word may be another one.
#[test]
fn every_changed_field_is_refused_though_it_is_signed() {
    let own = [
        ".predicate.verifier.version",
        ".predicate.verifier.build",
        ".predicate.verifier.build dropped",
        ".predicate.model.signing.sha256",
    ];
    let signer = key(KeyKind::Ed25519, 7);
    for name in CASES {
        let facts = facts(name);
        let honest = statement(&facts);
        let mut all = Vec::new();
        mutants(honest.json(), "", &|tree| tree, &mut all);
        assert!(all.len() > 100);
        for (place, tree) in all {
            let result = check(&evidence(tree.canonical(), &signer), &facts);
            if own.contains(&place.as_str()) {
                result.unwrap_or_else(|why| panic!("{name} {place}: {why}"));
                continue;
            }
            let refused = result.map(|_| ()).expect_err(&place);
            assert_eq!(refused.part, Part::Statement, "{place}: {refused}");
        }
    }
}

#[test]
fn every_changed_fact_is_refused() {
    let honest = facts("hidden-linked");
    let made = evidence(statement(&honest).encode(), &key(KeyKind::P256, 7));
    check(&made, &honest).unwrap();
    let other = |change: &dyn Fn(&mut Facts)| {
        let mut facts = honest.clone();
        change(&mut facts);
        assert_ne!(facts, honest);
        check(&made, &facts).map(|_| ()).expect_err("another fact")
    };
    // Destructured, so that a new fact does not compile until somebody says who guards it.
    let Facts {
        program: _,
        model: _,
        commitments: _,
        links: _,
        inputs: _,
        reveals: _,
        slots: _,
        zero_knowledge: _,
        batch: _,
        context: _,
        ranges: _,
        security: _,
        semantics: _,
        accuracy: _,
    } = honest.clone();
    type Change<'a> = &'a dyn Fn(&mut Facts);
    let changes: [(&str, Change<'_>); 16] = [
        ("predicate.program", &|f| f.program[0] ^= 1),
        ("predicate.model.identity", &|f| f.model[0] ^= 1),
        ("predicate.commitments", &|f| f.commitments[0].root[0] ^= 1),
        ("predicate.commitments", &|f| f.commitments[0].identity[0] ^= 1),
        ("predicate.commitments", &|f| f.commitments[0].links += 1),
        ("predicate.links", &|f| f.links = None),
        ("predicate.disclosure.inputs", &|f| f.inputs = vec![program::InputMode::Public]),
        ("predicate.salted.revealed", &|f| f.slots[0][0] += 1),
        ("predicate.disclosure.zeroKnowledge", &|f| f.zero_knowledge = false),
        ("predicate.disclosure.inferences", &|f| f.batch += 1),
        ("predicate.salted.context", &|f| f.context.push(b' ')),
        ("predicate.ranges.blake3", &|f| f.ranges = Ranges::Certified { blake3: [1; 32], bits: 100 }),
        ("predicate.security.bits", &|f| f.security.bits += 1),
        ("predicate.semantics", &|f| f.semantics = Semantics::Exact),
        ("predicate.salted.accuracy", &|f| f.accuracy = None),
        ("predicate.disclosure.reveals", &|f| f.reveals.push(Reveal::Label { output: 0 })),
    ];
    for (field, change) in changes {
        let refused = other(change);
        assert!(refused.part == Part::Statement, "{refused}");
        // Some facts stand in several fields: the first one is named.
        let first = refused.why.split('`').nth(1).unwrap();
        let named =
            first.starts_with(field) || ["notClaimed", "disclosure"].iter().any(|w| first.contains(w));
        assert!(named, "{field}: {refused}");
    }
}

#[test]
fn a_statement_does_not_pass_for_another_proof() {
    let facts = facts("hidden-private-weights");
    let made = evidence(statement(&facts).encode(), &key(KeyKind::P256, 7));
    let replayed = Evidence { proof: b"another proof file".to_vec(), ..made.clone() };
    assert!(check(&replayed, &facts).unwrap_err().why.contains("subject"));
    let other = super::tests::facts("hidden-committed-input");
    assert_eq!(check(&made, &other).unwrap_err().part, Part::Statement);
    let resalted = Evidence { salts: salts(9).encode(), ..made };
    assert!(check(&resalted, &facts).unwrap_err().why.contains("salted"));
}

#[test]
fn signatures_of_others_are_refused() {
    let facts = facts("hidden-private-weights");
    for kind in [KeyKind::P256, KeyKind::Ed25519] {
        let payload = statement(&facts).encode();
        let made = evidence(payload.clone(), &key(kind, 7));
        let signer = key(kind, 8).public().to_pem().into_bytes();
        let refused = check(&Evidence { signer, ..made.clone() }, &facts).unwrap_err();
        assert_eq!(refused.part, Part::Signature, "{refused}");
        // The signer's own signature over the same bytes, meant as something else.
        let signature = key(kind, 7).sign(&pae("application/json", &payload));
        let honest = Envelope::decode(&made.statement).unwrap();
        for payload_type in ["application/json", PAYLOAD_TYPE] {
            let bent = Envelope {
                signature: signature.clone(),
                payload_type: payload_type.into(),
                ..honest.clone()
            };
            let bent = Evidence { statement: bent.encode(), ..made.clone() };
            assert_eq!(check(&bent, &facts).unwrap_err().part, Part::Signature);
        }
        let spelled = Evidence { signer: [made.signer.clone(), b"\n".to_vec()].concat(), ..made.clone() };
        assert_eq!(check(&spelled, &facts).unwrap_err().part, Part::Key);
    }
}

#[test]
fn later_and_foreign_statements_are_refused_in_clear_words() {
    let text = String::from_utf8(statement(&facts("hidden-private-weights")).encode()).unwrap();
    let honest = inference_type();
    for (other, why) in [
        ("urn:zerotell:attestation:inference:v2", "has a version not known here: v1 is"),
        ("urn:zerotell:attestation:training:v1", "not known to this version of zerotell"),
        ("urn:zerotell:attestation:weather:v1", "of no known kind"),
        ("https://slsa.dev/provenance/v1", "is not one of urn:zerotell:attestation:"),
    ] {
        let refused = Statement::decode(text.replace(&honest, other).as_bytes()).unwrap_err();
        assert!(refused.why.contains(why), "{refused}");
    }
    let doubled = text.replace("\"predicateType\"", "\"_type\":\"x\",\"predicateType\"");
    assert!(Statement::decode(doubled.as_bytes()).unwrap_err().why.contains("occurs twice"));
    let spaced = text.replacen(":", ": ", 1);
    assert!(Statement::decode(spaced.as_bytes()).is_err());
    let large = vec![b' '; limits::ENVELOPE + 1];
    assert!(Statement::decode(&large).unwrap_err().why.contains("too large"));
    let old = text.replace("Statement/v1", "Statement/v0.1");
    assert!(Statement::decode(old.as_bytes()).unwrap_err().why.contains("in-toto"));
}

/// All texts of 64 hexadecimal digits, by place.
fn digests(tree: &Json, place: &str, out: &mut Vec<(String, String)>) {
    match tree {
        Json::Map(map) => map.iter().for_each(|(key, value)| digests(value, &format!("{place}.{key}"), out)),
        Json::List(items) => items.iter().for_each(|item| digests(item, place, out)),
        Json::Text(text) if json::unhex(text).is_some() => out.push((place.to_string(), text.clone())),
        _ => {}
    }
}

/// What could be guessed is under a salt: nothing else in a statement changes with it, and under another
/// salt nothing stays.
#[test]
fn guessable_values_are_nowhere_hashed_bare() {
    let all = |facts: &Facts, byte: u8| {
        let mut out = Vec::new();
        let statement = Statement::new(facts, Subject::of(PROOF), &salts(byte), claims());
        digests(statement.json(), "", &mut out);
        out
    };
    let differing = |a: &[(String, String)], b: &[(String, String)]| -> Vec<String> {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).filter(|(x, y)| x != y).map(|(x, _)| x.0.replace(".predicate.salted.", "")).collect()
    };
    let facts = facts("plain-public");
    assert!(facts.public_inputs() > 0 && facts.slots.len() > facts.public_inputs(), "it has both");
    let honest = all(&facts, 1);
    assert_eq!(differing(&honest, &all(&facts, 100)), ["accuracy", "context", "inputs", "revealed"]);
    type Change = fn(&mut Facts);
    let rows: [(&str, Change); 4] = [
        ("accuracy", |f| f.accuracy = Some([0; 32])),
        ("context", |f| f.context = b"{\"asker\":\"a\"}".to_vec()),
        ("inputs", |f| f.slots[0][0] += 1),
        ("revealed", |f| f.slots.last_mut().unwrap()[0] += 1),
    ];
    for (name, change) in rows {
        let mut other = facts.clone();
        change(&mut other);
        assert_eq!(differing(&honest, &all(&other, 1)), [name]);
        // Another salt for the other value: nothing tells that it is another value.
        assert_eq!(differing(&all(&facts, 50), &all(&other, 100)).len(), 4);
    }
    let name = |byte: u8| Statement::new(&facts, Subject::of(PROOF), &salts(byte), claims()).digest();
    assert!(name(1) == name(1) && name(1) != name(2), "the statement's own name is salted by them");
    // The values themselves are not in a statement either.
    let payload = String::from_utf8(statement(&facts).encode()).unwrap();
    assert!(!payload.contains(&json::hex(&[0xac; 32])));
    // One salt under two fields gives two digests.
    let same = Salts { accuracy: [3; 32], context: [3; 32], inputs: [3; 32], revealed: [3; 32] };
    let salted = same.commit(&facts);
    assert!(salted.accuracy != salted.context && salted.inputs != salted.revealed);
}

#[test]
fn salts_have_one_spelling() {
    let bytes = salts(1).encode();
    assert!(Salts::decode(&bytes).unwrap() == salts(1));
    assert!(Salts::decode(&bytes[1..]).is_err());
    assert!(Salts::decode(b"{}").err().unwrap().why.contains("missing"));
    let more = String::from_utf8(bytes).unwrap().replace("\"context\"", "\"contex\":1,\"context\"");
    assert!(Salts::decode(more.as_bytes()).err().unwrap().why.contains("`contex`"));
    assert!(Salts::decode(&[b' '; limits::SALTS + 1]).err().unwrap().why.contains("too large"));
}

/// What is not claimed follows from the facts, one by one.
#[test]
fn what_is_not_claimed_follows_from_the_facts() {
    let codes = |facts: &Facts, signing| -> Vec<&str> {
        not_claimed(facts, signing).into_iter().map(|one| one.code).collect()
    };
    let base = facts("hidden-private-weights");
    assert_eq!(base.ranges, Ranges::Unproved);
    let certified = Ranges::Certified { blake3: [0; 32], bits: 100 };
    type Change<'a> = &'a dyn Fn(&mut Facts);
    let rows: [(&str, Change<'_>, Change<'_>); 10] = [
        ("weight-ranges", &|f| f.ranges = Ranges::Unproved, &|f| f.ranges = certified),
        ("weight-ranges", &|f| f.ranges = Ranges::Unproved, &|f| f.ranges = Ranges::Public),
        ("float-equality", &|f| f.semantics = Semantics::Bounded, &|f| f.semantics = Semantics::Exact),
        ("float-rounding", &|f| f.semantics = Semantics::Exact, &|f| f.semantics = Semantics::ServedInt),
        ("units", &|f| f.semantics = Semantics::ServedInt, &|f| f.semantics = Semantics::Bounded),
        ("accuracy", &|f| f.accuracy = Some([0; 32]), &|f| f.accuracy = None),
        ("input-hidden", &|f| f.inputs = vec![program::InputMode::Private], &|f| f.inputs.clear()),
        ("input-committed", &|f| f.inputs = vec![program::InputMode::Committed], &|f| f.inputs.clear()),
        ("secrecy", &|f| f.zero_knowledge = false, &|f| f.zero_knowledge = true),
        ("occasion", &|f| f.context.clear(), &|f| f.context = vec![1]),
    ];
    for (code, with, without) in rows {
        let changed = |change: Change<'_>| {
            let mut facts = base.clone();
            change(&mut facts);
            codes(&facts, false).contains(&code)
        };
        assert!(changed(with) && !changed(without), "{code}");
    }
    assert!(codes(&base, true).contains(&"model-signing") && !codes(&base, false).contains(&"model-signing"));
    for code in ["time", "training", "truth"] {
        assert!(codes(&base, false).contains(&code));
    }
}

#[test]
fn certificates_lower_the_bits_and_public_weights_need_none() {
    let hidden = case("hidden-private-weights");
    let weak = facts_with(&hidden, Ranges::Certified { blake3: [1; 32], bits: 3 }, Semantics::Exact);
    assert_eq!((weak.security.bits, weak.security.weakest), (3, "range certificate"));
    let public = facts_with(&case("hidden-public-weights"), Ranges::Unproved, Semantics::Exact);
    assert_eq!((public.ranges, public.hidden_weights()), (Ranges::Public, false));
    assert!(public.commitments.iter().all(|one| one.role == Role::Input));
    assert!(facts("hidden-linked").commitments.iter().any(|one| one.links > 0));
}

// ---- the file ----

#[test]
fn every_member_is_needed_and_none_may_be_added() {
    let facts = facts("hidden-private-weights");
    let whole = Evidence {
        accuracy: Some(b"a".to_vec()),
        certificate: Some(b"c".to_vec()),
        ranges: Some(b"r".to_vec()),
        ..evidence(statement(&facts).encode(), &key(KeyKind::Ed25519, 7))
    };
    let bytes = whole.encode().unwrap();
    assert_eq!(Evidence::decode(&bytes).unwrap(), whole);
    let members = archive::decode(&bytes, |_| Some(usize::MAX)).unwrap();
    assert_eq!(members.len(), 9);
    let optional = ["accuracy.json", "certificate.bin", "ranges.ztr"];
    for name in members.keys() {
        let mut fewer = members.clone();
        fewer.remove(name);
        let read = Evidence::decode(&archive::encode(&fewer));
        if optional.contains(name) {
            assert_ne!(read.unwrap(), whole);
        } else {
            assert!(read.unwrap_err().why.contains(&format!("`{name}` is missing")));
        }
        let mut renamed = members.clone();
        renamed.insert("../evil", renamed[name]);
        assert!(Evidence::decode(&archive::encode(&renamed)).unwrap_err().why.contains("no place"));
    }
    let large = Evidence { signer: vec![0; limits::KEY + 1], ..whole };
    assert!(large.encode().unwrap_err().why.contains("`signer.pem` is too large"));
}

/// Two members with each other's content: always refused, by the part that they are.
#[test]
fn swapped_members_are_refused() {
    let facts = facts("hidden-private-weights");
    let honest = evidence(statement(&facts).encode(), &key(KeyKind::Ed25519, 7));
    let swaps: [fn(&mut Evidence); 4] = [
        |e| std::mem::swap(&mut e.proof, &mut e.model),
        |e| std::mem::swap(&mut e.salts, &mut e.signer),
        |e| std::mem::swap(&mut e.statement, &mut e.salts),
        |e| std::mem::swap(&mut e.statement, &mut e.proof),
    ];
    for swap in swaps {
        let mut other = honest.clone();
        swap(&mut other);
        assert!(check(&other, &facts).is_err());
    }
}

#[test]
fn another_accuracy_report_is_refused() {
    let report = b"{\"samples\":1}".to_vec();
    let facts =
        Facts { accuracy: Some(*blake3::hash(&report).as_bytes()), ..facts("hidden-private-weights") };
    let signer = key(KeyKind::Ed25519, 7);
    let with =
        |accuracy: Option<Vec<u8>>| Evidence { accuracy, ..evidence(statement(&facts).encode(), &signer) };
    check(&with(Some(report.clone())), &facts).unwrap();
    check(&with(None), &facts).unwrap();
    let refused = check(&with(Some([report, b" ".to_vec()].concat())), &facts).unwrap_err();
    assert_eq!(refused.part, Part::Accuracy);
}

struct Network;

impl Annexes for Network {
    fn check(&self, name: &str, bytes: &[u8], _: &Statement) -> Result<String, String> {
        if bytes == b"good" { Ok(format!("{name} is good")) } else { Err("it is bad".into()) }
    }
}

#[test]
fn annexes_are_checked_by_those_who_know_the_network() {
    let facts = facts("hidden-private-weights");
    let honest = statement(&facts);
    let made = evidence(honest.encode(), &key(KeyKind::Ed25519, 7));
    assert_eq!(made.annexes(&honest, &NoNetwork).unwrap(), []);
    let with = |certificate: &[u8]| Evidence { certificate: Some(certificate.to_vec()), ..made.clone() };
    let refused = with(b"good").annexes(&honest, &NoNetwork).unwrap_err();
    assert!(refused.part == Part::Annex && refused.why.contains("cannot be checked"), "{refused}");
    assert_eq!(with(b"good").annexes(&honest, &Network).unwrap().len(), 1);
    assert!(
        with(b"bad").annexes(&honest, &Network).unwrap_err().why.contains("`certificate.bin`: it is bad")
    );
}

// ---- the page ----

fn page<T>(case: &Case, words: &Words, then: impl FnOnce(&Page<'_>) -> T) -> T {
    let facts = facts_with(case, Ranges::Unproved, Semantics::Bounded);
    let statement = statement(&facts);
    let signer = key(KeyKind::Ed25519, 7).public();
    then(&Page {
        facts: &facts,
        statement: &statement,
        program: &case.program,
        words,
        signer: &signer,
        proof_bytes: 14,
        annexes: &[],
    })
}

#[test]
fn pages_are_made_again_to_the_byte_and_others_refused() {
    for name in CASES {
        let case = case(name);
        let bytes = page(&case, &Words::default(), |page| page.render());
        for needed in ["What is proved", "What is not claimed", "<svg", "Digests and keys", "100"] {
            assert!(bytes.contains(needed), "{name}: {needed}");
        }
        for forbidden in ["<script", "http://", "https://", "src=", "url(", "@import"] {
            assert!(!bytes.contains(forbidden), "{name}: {forbidden}");
        }
        page(&case, &Words::default(), |page| {
            page.compare(bytes.as_bytes()).unwrap();
            let lie = bytes.replacen("What is proved", "What is Proved", 1);
            let refused = page.compare(lie.as_bytes()).unwrap_err();
            assert!(refused.part == Part::Report && refused.why.contains("something else"), "{refused}");
            assert!(page.compare(&bytes.as_bytes()[..bytes.len() - 1]).is_err());
            let other = bytes.replacen("zerotell report 1", "zerotell report 2", 1);
            assert!(page.compare(other.as_bytes()).unwrap_err().why.contains("not of form 1"));
        });
    }
}

#[test]
fn names_of_strangers_stay_text() {
    let evil = "<script>alert(1)</script>\"'&\u{202e}\u{1b}".to_string();
    let words = Words {
        model_id: evil.clone(),
        model_name: Some(evil.clone()),
        precision: Some(evil.clone()),
        inputs: vec![evil.clone()],
        outputs: vec![evil.clone()],
        revealed: vec![evil.clone()],
        context: vec![(evil.clone(), evil.clone())],
        ranges: Some(evil.clone()),
        input_ids: vec![evil.clone()],
        accuracy: Some(report::Accuracy {
            summary: vec![(evil.clone(), evil.clone())],
            outputs: vec![vec![evil; 6]],
        }),
    };
    let bytes = page(&case("hidden-committed-input"), &words, |page| page.render());
    assert!(!bytes.contains("<script") && !bytes.contains('\u{202e}') && !bytes.contains('\u{1b}'));
    assert!(bytes.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;\u{fffd}\u{fffd}"));
}

/// Nothing that a stranger may write makes a reader panic.
#[test]
fn damaged_evidence_is_refused_and_nothing_panics() {
    let facts = facts("hidden-private-weights");
    let bytes = evidence(statement(&facts).encode(), &key(KeyKind::P256, 7)).encode().unwrap();
    let mut state = 5u64;
    let mut draw = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % below
    };
    for _ in 0..3000 {
        let mut other = bytes.clone();
        let at = draw(other.len());
        other[at] ^= 1 << draw(8);
        assert!(Evidence::decode(&other).is_err(), "byte {at}");
    }
    // The same inside the members, below the container's checksums.
    let honest = Evidence::decode(&bytes).unwrap();
    for _ in 0..3000 {
        let mut other = honest.clone();
        let part = match draw(3) {
            0 => &mut other.statement,
            1 => &mut other.salts,
            _ => &mut other.signer,
        };
        let at = draw(part.len());
        part[at] ^= 1 << draw(8);
        assert!(check(&other, &facts).is_err());
    }
    assert!(parse(&[b'['; 100_000]).is_err());
}

/// A proof file's digests are the same however it is cut.
#[test]
fn digests_go_on_where_they_were_left() {
    let bytes: Vec<u8> = (0..5000u32).flat_map(u32::to_le_bytes).collect();
    let whole = Subject::of(&bytes);
    assert_eq!(whole.blake3, *blake3::hash(&bytes).as_bytes());
    for cut in [0, 1, 63, 64, 1023, 1024, 4097, bytes.len()] {
        let begun = crate::Begun::new(&bytes[..cut]);
        assert_eq!((begun.subject(&bytes[cut..]), begun.subject(&bytes[cut..])), (whole, whole), "{cut}");
    }
}
