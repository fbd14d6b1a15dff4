//! Every vector, and a record's certificate, gets the verdict that `certify` gives, step by step.

mod network;

use std::fs;
use std::path::PathBuf;

use certify::{Certificate, Checkpoint, Client, Clock, decode, encode};
use ledger::entry::Status;
use network::{START, certificate, checkpoint, digest, record};
use serde_json::Value;
use zerotell_browser::{DRIFT, TRUST, check_certificate, read_checkpoint};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/certificate/v1")
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn checked(file: &[u8], trusted: &[u8], now: Option<u64>) -> Value {
    serde_json::from_slice(&check_certificate(file, trusted, now).canonical()).unwrap()
}

fn failed(answer: &Value) -> Option<(&str, &str)> {
    let line = answer["checks"].as_array()?.iter().find(|line| line["state"] == "failed")?;
    Some((line["name"].as_str()?, line["detail"].as_str()?))
}

/// A good certificate of a record, and its checkpoint.
fn good() -> (Certificate, Vec<u8>) {
    let record = record(digest("program"), digest("proof"), Status::Final { code: 0, height: 2_056 });
    (certificate(digest("statement"), &record), encode(&checkpoint()))
}

/// Steps and whole agree, in the verdict and in the words of the refusal.
fn is_as_certify_says(file: &[u8], trusted: &[u8], now: Option<u64>) -> Value {
    let answer = checked(file, trusted, now);
    let start: Checkpoint = decode(trusted).unwrap();
    let clock = now.map(|now| Clock { now, trust: TRUST, drift: DRIFT });
    let whole = decode::<Certificate>(file).map_err(Into::into);
    let verdict = whole.and_then(|whole| whole.check(&start, clock));
    match verdict {
        Ok(client) => {
            let reached = unhex(answer["certificate"]["reached"]["bytes"].as_str().unwrap());
            assert_eq!(reached, encode(&client.checkpoint()));
        }
        Err(why) => {
            assert_eq!(failed(&answer).unwrap().1, why.to_string());
            assert!(answer["accepted"] == false && answer["certificate"].is_null());
        }
    }
    answer
}

#[test]
fn every_vector_gets_its_verdict() {
    let index: Value = serde_json::from_slice(&fs::read(folder().join("index.json")).unwrap()).unwrap();
    let mut good = 0;
    for line in index.as_array().unwrap() {
        let name = line["file"].as_str().unwrap();
        let bytes = fs::read(folder().join(name)).unwrap();
        let trusted = unhex(line["checkpoint"].as_str().unwrap());
        let answer = is_as_certify_says(&bytes, &trusted, None);
        let is_good = line["verdict"] == "good";
        good += usize::from(is_good);
        assert_eq!(answer["accepted"], is_good, "{name}: {answer}");
        // What these vectors hold in the table of records is no record.
        assert!(answer["certificate"]["record"].is_null());
    }
    assert_eq!(good, 15);
}

#[test]
fn a_checkpoint_on_the_way_may_be_pinned() {
    let bytes = fs::read(folder().join("good-n7-chain.bin")).unwrap();
    let file: Certificate = decode(&bytes).unwrap();
    let mut client = Client::new(&file.checkpoint, file.committee.clone().unwrap(), None).unwrap();
    for step in file.handovers.iter() {
        client.follow(step).unwrap();
        let pinned = client.checkpoint();
        let answer = is_as_certify_says(&bytes, &encode(&pinned), None);
        let shown = &answer["certificate"];
        assert_eq!(shown["handovers"].as_u64(), Some(3 - pinned.epoch), "{answer}");
        assert_eq!(unhex(shown["start"]["bytes"].as_str().unwrap()), encode(&pinned));
        let start = answer["checks"].as_array().unwrap().iter().find(|line| line["name"] == "start").unwrap();
        assert!(start["detail"].as_str().unwrap().contains("rests on epoch 0 and passes through"), "{start}");
        let other = Checkpoint { height: pinned.height + 1, ..pinned };
        let answer = is_as_certify_says(&bytes, &encode(&other), None);
        assert_eq!(failed(&answer).map(|(name, _)| name), Some("start"), "{answer}");
    }
}

#[test]
fn a_record_is_read_and_its_seats_are_named() {
    let (certificate, trusted) = good();
    let answer = is_as_certify_says(&encode(&certificate), &trusted, Some(START + 100_000));
    assert_eq!(failed(&answer), None, "{answer}");
    assert_eq!(answer["accepted"], true);
    let shown = &answer["certificate"];
    assert_eq!((&shown["height"], &shown["epoch"]), (&2_061.into(), &2.into()));
    let signed: Vec<bool> = shown["committee"]["seats"]
        .as_array()
        .unwrap()
        .iter()
        .map(|seat| seat["signed"].as_bool().unwrap())
        .collect();
    assert_eq!(signed, [true, true, false, true]);
    let record = &shown["record"];
    assert_eq!((record["status"].as_str(), record["fee"].as_str()), (Some("accepted"), Some("48210000")));
    assert_eq!(record["accept"].as_array().map(Vec::len), Some(4));
}

#[test]
fn verdicts_that_are_no_acceptance_stay_open() {
    for (status, word) in [
        (Status::Pending, "pending"),
        (Status::Undecided { height: 9 }, "undecided"),
        (Status::Final { code: 1, height: 9 }, "rejected"),
        (Status::Final { code: 17, height: 9 }, "rejected"),
    ] {
        let record = record(digest("program"), digest("proof"), status);
        let file = encode(&certificate(digest("statement"), &record));
        let answer = is_as_certify_says(&file, &encode(&checkpoint()), None);
        let verdict = answer["checks"].as_array().unwrap().iter().find(|line| line["name"] == "verdict");
        assert_eq!(verdict.unwrap()["state"], "open");
        assert_eq!(
            (answer["accepted"].as_bool(), answer["certificate"]["record"]["status"].as_str()),
            (Some(true), Some(word))
        );
    }
}

#[test]
fn every_flipped_byte_is_refused() {
    let (certificate, trusted) = good();
    let file = encode(&certificate);
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1 << (at % 8);
        let answer = is_as_certify_says(&changed, &trusted, None);
        assert_eq!(answer["accepted"], false, "byte {at}");
    }
}

#[test]
fn old_and_future_checkpoints_are_refused() {
    let (certificate, trusted) = good();
    let file = encode(&certificate);
    for (now, refused) in [
        (START + TRUST, None),
        (START + TRUST + 1, Some("age")),
        (START - DRIFT - 1, Some("age")),
        (START + 61_000 - DRIFT - 1, Some("finality")),
    ] {
        let answer = is_as_certify_says(&file, &trusted, Some(now));
        assert_eq!(failed(&answer).map(|(name, _)| name), refused, "{now}");
    }
}

#[test]
fn a_checkpoint_is_read_and_named() {
    let bytes = encode(&checkpoint());
    let answer: Value = serde_json::from_slice(&read_checkpoint(&bytes).canonical()).unwrap();
    assert_eq!(answer["checkpoint"]["epoch"], 2);
    assert_eq!(answer["checkpoint"]["digest"].as_str().unwrap(), blake3::hash(&bytes).to_hex().as_str());
    let answer: Value = serde_json::from_slice(&read_checkpoint(&bytes[1..]).canonical()).unwrap();
    assert!(answer["accepted"] == false && answer["checkpoint"].is_null());
}
