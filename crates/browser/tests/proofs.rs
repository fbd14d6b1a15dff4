//! Dossiers get the verdict that a validator gives, told line by line, and are held against their certificate.

use std::path::PathBuf;

use dossier::{Step, code, judge};
use serde_json::Value;
use zerotell_browser::check_proof;

fn file(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/browser/v1");
    std::fs::read(folder.join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn checked(dossier: &[u8], certificate: &[u8]) -> Value {
    let answer: Value = serde_json::from_slice(&check_proof(dossier, certificate).canonical()).unwrap();
    assert_eq!(answer["accepted"] == true, !answer["proof"].is_null(), "a refused proof says nothing");
    answer
}

/// The line that failed and its words, or none.
fn failed(answer: &Value) -> (&str, &str) {
    let line = answer["checks"].as_array().unwrap().iter().find(|line| line["state"] == "failed");
    line.map_or(("", ""), |line| (line["name"].as_str().unwrap(), line["detail"].as_str().unwrap()))
}

#[test]
fn a_good_dossier_says_what_it_shows_and_what_not() {
    for (certificate, lines) in [(file("accepted.ztc"), 8), (Vec::new(), 7)] {
        let answer = checked(&file("accepted.ztdo"), &certificate);
        assert_eq!(failed(&answer), ("", ""));
        assert_eq!(answer["checks"].as_array().unwrap().len(), lines, "{answer}");
        let judged = judge(&file("accepted.ztdo"), None);
        let facts = judged.found.unwrap().facts;
        let shown = &answer["proof"];
        assert_eq!(shown["model"].as_str().unwrap(), record::json::hex(&facts.model));
        assert_eq!(
            (shown["weights"].as_str(), shown["zeroKnowledge"].as_bool()),
            (Some("hidden"), Some(true))
        );
        assert_eq!(shown["provenBits"].as_u64(), Some(facts.security.bits.into()));
        let codes: Vec<&str> =
            shown["notClaimed"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
        assert!(
            codes.starts_with(&["weight-ranges"]) && codes.ends_with(&["time", "training", "truth"]),
            "{codes:?}"
        );
        assert_eq!(shown["revealed"].as_array().unwrap().len(), facts.reveals.len());
    }
}

#[test]
fn every_refusal_of_the_verifier_is_told() {
    let honest = file("accepted.ztdo");
    let mut seen = std::collections::BTreeSet::new();
    for at in (0..honest.len()).step_by(997) {
        let mut bent = honest.clone();
        bent[at] ^= 1;
        let (answer, judged) = (checked(&bent, &[]), judge(&bent, None));
        assert_ne!(judged.code, code::ACCEPT, "byte {at}");
        let (_, why) = failed(&answer);
        assert!(
            why == judged.what || why == format!("{} (code {})", judged.what, judged.code),
            "byte {at}: {why}"
        );
        seen.insert(judged.code);
    }
    assert!(seen.contains(&code::PROOF) && seen.len() > 2, "{seen:?}");
    let answer = checked(&file("rejected.ztdo"), &file("rejected.ztc"));
    assert_eq!(failed(&answer).0, "proof");
}

#[test]
fn the_certificate_says_which_bytes_they_must_be() {
    let honest = file("accepted.ztdo");
    assert_eq!(failed(&checked(&honest, &file("rejected.ztc"))).0, "certified");
    assert_eq!(failed(&checked(&honest[..honest.len() - 1], &file("accepted.ztc"))).0, "file");
    assert_eq!(failed(&checked(&[], &[])).0, "file");
    // A link is no proof of an inference: it is neither accepted nor refused.
    let links = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../vectors/proofs/v1/hidden-linked/links.bin"
    ));
    let link = verify::decode_links(&links.unwrap()).unwrap().into_iter().flatten().next().unwrap();
    let answer = checked(&Step { link }.encode(), &[]);
    assert_eq!((answer["accepted"].as_bool(), failed(&answer)), (Some(false), ("", "")), "{answer}");
    // Bytes that are no certificate name nothing.
    let answer = checked(&honest, b"ZTCF");
    let line = answer["checks"].as_array().unwrap().iter().find(|line| line["name"] == "certified").unwrap();
    assert_eq!((line["state"].as_str(), failed(&answer)), (Some("open"), ("", "")));
}
