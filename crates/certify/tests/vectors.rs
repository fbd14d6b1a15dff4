//! Certificates made by the engine itself (`tools/certgen`): what must be accepted, and what must be refused and why.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use bls12_381::{G1Affine, G1Projective, G2Affine, G2Projective, Scalar};
use proptest::prelude::*;
use zerotell_certify::bls::verify_possession;
use zerotell_certify::receipt::Receipt;
use zerotell_certify::{
    Bounded, Certificate, Checkpoint, Client, Clock, Committee, Finality, Handover, Malformed, Refusal, Seat,
    decode, encode,
};

const DAY: u64 = 86_400_000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/certificate/v1")
}

fn file(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn certificate(name: &str) -> Certificate {
    decode(&file(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// What a reader does with a file.
fn verdict(bytes: &[u8], trusted: &Checkpoint) -> Result<Client, Refusal> {
    decode::<Certificate>(bytes)?.check(trusted, None)
}

#[test]
fn every_file_gets_its_verdict() {
    let index: serde_json::Value = serde_json::from_slice(&file("index.json")).unwrap();
    let mut named = BTreeSet::from(["index.json", "possession.bin", "receipt.bin"].map(str::to_string));
    for line in index.as_array().unwrap() {
        let name = line["file"].as_str().unwrap();
        let trusted: Checkpoint = decode(&unhex(line["checkpoint"].as_str().unwrap())).unwrap();
        let bytes = file(name);
        let found = match verdict(&bytes, &trusted) {
            Ok(_) => "good".to_string(),
            Err(why) => format!("{why:?}"),
        };
        let wanted = line["verdict"].as_str().unwrap();
        assert_eq!(found.split([' ', '(']).next(), Some(wanted), "{name}: {found}");
        assert_eq!(encode(&certificate(name)), bytes, "{name}");
        named.insert(name.to_string());
    }
    let there: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(named, there);
    assert!(index.as_array().unwrap().iter().filter(|line| line["verdict"] == "good").count() >= 15);
}

/// One flipped bit in every byte of a file: checkpoint, committee, header, finality and entry.
#[test]
fn every_flipped_byte_is_refused() {
    let (name, bytes) = ("good-n4-first.bin", file("good-n4-first.bin"));
    let trusted = certificate(name).checkpoint;
    for i in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[i] ^= 1 << (i % 8);
        assert!(verdict(&changed, &trusted).is_err(), "{name}, byte {i}");
    }
    for name in [name, "good-n4-chain.bin"] {
        let bytes = file(name);
        for cut in 0..bytes.len() {
            assert!(decode::<Certificate>(&bytes[..cut]).is_err(), "{name}, first {cut} bytes");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(decode::<Certificate>(&longer), Err(Malformed::Trailing { count: 1 }));
    }
}

/// The same for every byte of every hand-over, by a client that stands before it.
#[test]
fn every_flipped_byte_of_a_handover_is_refused() {
    let good = certificate("good-n4-chain.bin");
    let mut client = Client::new(&good.checkpoint, good.committee.clone().unwrap(), None).unwrap();
    for step in good.handovers.iter() {
        let bytes = encode(step);
        for i in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[i] ^= 1 << (i % 8);
            let Ok(changed) = decode::<Handover>(&changed) else { continue };
            assert!(client.clone().follow(&changed).is_err(), "epoch {}, byte {i}", step.header.epoch);
        }
        client.follow(step).unwrap();
    }
}

/// All 8 bits of every byte of a finality certificate, against the header it is about.
#[test]
fn every_flipped_bit_of_finality_is_refused() {
    let good = certificate("good-n7-last.bin");
    let bytes = encode(&good.finality);
    let client = good.check(&good.checkpoint, None).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(finality) = decode::<Finality>(&changed) {
            assert!(client.accept(&good.header, &finality).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn numbers_spelled_too_long_are_refused() {
    let good = certificate("good-n4-first.bin").finality;
    let bytes = encode(&good);
    assert_eq!((bytes[0], bytes[1], bytes[2]), (3, 5, 4), "epoch, view, parent");
    for place in 0..3 {
        let mut longer = bytes.clone();
        longer[place] |= 0x80;
        longer.insert(place + 1, 0);
        assert!(matches!(decode::<Finality>(&longer), Err(Malformed::Form { .. })), "number {place}");
    }
}

#[test]
fn fewer_signers_than_a_quorum_are_refused() {
    let good = certificate("good-n100-first.bin");
    let client = good.check(&good.checkpoint, None).unwrap();
    let fewer = Finality { signers: good.finality.signers & !1, ..good.finality.clone() };
    assert_eq!(client.accept(&good.header, &fewer), Err(Refusal::Quorum { found: 66, needed: 67 }));
    // One signer exchanged for another: enough, but not those who signed.
    let others = Finality { signers: fewer.signers | 1 << 99, ..fewer };
    assert_eq!(client.accept(&good.header, &others), Err(Refusal::Signature));
}

#[test]
fn handovers_follow_one_by_one() {
    for name in ["good-n4-chain.bin", "good-n7-chain.bin", "good-n100-chain.bin"] {
        let good = certificate(name);
        let trusted = good.checkpoint.clone();
        let steps = good.handovers.clone().into_vec();
        let with = |steps: Vec<_>| Certificate { handovers: Bounded::new(steps).unwrap(), ..good.clone() };
        for skipped in 0..3 {
            let mut fewer = steps.clone();
            fewer.remove(skipped);
            let refusal = with(fewer).check(&trusted, None).unwrap_err();
            let (found, known) = (skipped as u64 + 1, skipped as u64);
            assert_eq!(refusal, Refusal::Epoch { found, known }, "{name}, without step {skipped}");
        }
        let mut twice = steps.clone();
        twice.insert(1, steps[0].clone());
        assert_eq!(with(twice).check(&trusted, None).unwrap_err(), Refusal::Epoch { found: 0, known: 1 });
        // A header that is final but does not end the epoch names no committee.
        let mut open = steps.clone();
        open[2].header = good.header.clone();
        open[2].finality = good.finality.clone();
        assert!(with(open).check(&trusted, None).is_err());

        let client = good.check(&trusted, None).unwrap();
        let reached = client.checkpoint();
        assert_eq!((reached.epoch, reached.height), (3, 29));
        // Whoever pins what was reached needs no step.
        let short = Certificate {
            checkpoint: reached.clone(),
            committee: Some(client.committee().clone()),
            ..with(Vec::new())
        };
        short.check(&reached, None).unwrap();
        assert_eq!(short.check(&trusted, None).unwrap_err(), Refusal::Later { begins: 3, trusted: 0 });
    }
}

#[test]
fn a_refused_handover_changes_nothing() {
    let good = certificate("good-n7-chain.bin");
    let mut client = Client::new(&good.checkpoint, good.committee.clone().unwrap(), None).unwrap();
    let step = good.handovers[0].clone();
    let mut wrong = step.clone();
    wrong.finality.signature = good.handovers[1].finality.signature;
    assert_eq!(client.follow(&wrong), Err(Refusal::Signature));
    let mut wrong = step.clone();
    wrong.change.kept ^= 1;
    assert!(client.follow(&wrong).is_err());
    assert_eq!(client.checkpoint(), good.checkpoint);
    client.follow(&step).unwrap();
    assert_eq!(client.checkpoint().epoch, 1);
    assert!(matches!(client.follow(&step), Err(Refusal::Epoch { .. })));
}

#[test]
fn the_committee_must_be_the_named_one() {
    let good = certificate("good-n4-all.bin");
    let other = certificate("good-n7-all.bin").committee;
    let wrong = Certificate { committee: other, ..good.clone() };
    assert_eq!(wrong.check(&good.checkpoint, None).unwrap_err(), Refusal::Committee);
    let none = Certificate { committee: None, ..good.clone() };
    assert_eq!(none.check(&good.checkpoint, None).unwrap_err(), Refusal::Committee);
    let client = good.check(&good.checkpoint, None).unwrap();
    none.check_with(&client).unwrap();
}

#[test]
fn clocks_bound_what_is_trusted() {
    let good = certificate("good-n4-chain.bin");
    let (start, end) = (good.checkpoint.time, good.header.time);
    let at =
        |now| good.check(&good.checkpoint, Some(Clock { now, trust: 14 * DAY, drift: 10_000 })).map(|_| ());
    assert_eq!(at(end), Ok(()));
    assert_eq!(at(end - 10_000), Ok(()));
    assert_eq!(at(end - 10_001), Err(Refusal::Future));
    assert_eq!(at(start + 14 * DAY), Ok(()));
    assert_eq!(at(start + 14 * DAY + 1), Err(Refusal::Stale));
    assert_eq!(at(0), Err(Refusal::Future));
    // A checkpoint above the hand-over, of the same epoch: heights never go back.
    let later = Checkpoint { height: 10, ..good.checkpoint.clone() };
    let moved = Certificate { checkpoint: later.clone(), ..good.clone() };
    assert_eq!(moved.check(&later, None).unwrap_err(), Refusal::Backwards);
}

/// A point of G1 outside the subgroup that the pairing does not see: only the check of the subgroup refuses it.
fn torsion_g1() -> G1Projective {
    (0..=255u8)
        .find_map(|x| {
            let mut bytes = [0; 48];
            (bytes[0], bytes[47]) = (0x80, x);
            let point: G1Affine = Option::from(G1Affine::from_compressed_unchecked(&bytes))?;
            // The order of the subgroup times the point leaves what is outside.
            let outside = G1Projective::from(point) * -Scalar::one() + point;
            (!bool::from(outside.is_identity())).then_some(outside)
        })
        .unwrap()
}

fn torsion_g2() -> G2Projective {
    (0..=255u8)
        .find_map(|x| {
            let mut bytes = [0; 96];
            (bytes[0], bytes[95]) = (0x80, x);
            let point: G2Affine = Option::from(G2Affine::from_compressed_unchecked(&bytes))?;
            let outside = G2Projective::from(point) * -Scalar::one() + point;
            (!bool::from(outside.is_identity())).then_some(outside)
        })
        .unwrap()
}

#[test]
fn points_outside_the_subgroup_are_refused() {
    let good = certificate("good-n4-all.bin");
    let client = good.check(&good.checkpoint, None).unwrap();
    let signature = G1Affine::from_compressed(&good.finality.signature).unwrap();
    let shifted = G1Affine::from(torsion_g1() + signature);
    assert!(bool::from(shifted.is_on_curve()) && !bool::from(shifted.is_torsion_free()));
    for bytes in [shifted.to_compressed(), G1Affine::identity().to_compressed(), [0xff; 48], [0; 48]] {
        let changed = Finality { signature: bytes, ..good.finality.clone() };
        assert_eq!(client.accept(&good.header, &changed), Err(Refusal::Signature));
    }

    let committee = good.committee.clone().unwrap();
    let key: [u8; 96] = committee.seats[2].consensus.to_vec().try_into().unwrap();
    let shifted = G2Affine::from(torsion_g2() + G2Affine::from_compressed(&key).unwrap());
    assert!(bool::from(shifted.is_on_curve()) && !bool::from(shifted.is_torsion_free()));
    let again = committee.seats[1].consensus.to_vec();
    let identity = G2Affine::identity().to_compressed().to_vec();
    for bytes in [shifted.to_compressed().to_vec(), identity, again, vec![0; 96], key[..95].to_vec()] {
        let mut seats: Vec<Seat> = committee.seats.to_vec();
        seats[2].consensus = Bounded::new(bytes).unwrap();
        let changed = Committee::new(committee.epoch, Bounded::new(seats).unwrap()).unwrap();
        let pinned = Checkpoint { committee: changed.digest(), ..good.checkpoint.clone() };
        assert_eq!(Client::new(&pinned, changed, None).unwrap_err(), Refusal::Key { seat: 2 });
    }
}

#[test]
fn possession_binds_network_account_and_key() {
    let bytes = file("possession.bin");
    assert_eq!(bytes.len(), 4 + 3 * 208);
    let all: Vec<_> = bytes[4..].chunks(208).collect();
    for (i, one) in all.iter().enumerate() {
        let part = |from: usize, to: usize| &one[from..to];
        let (network, account) = (part(0, 32).try_into().unwrap(), part(32, 64).try_into().unwrap());
        let (key, proof) = (part(64, 160), part(160, 208).try_into().unwrap());
        assert!(verify_possession(&network, &account, key, &proof));
        let other = all[(i + 1) % 3];
        assert!(!verify_possession(&other[..32].try_into().unwrap(), &account, key, &proof), "network");
        assert!(!verify_possession(&network, &other[32..64].try_into().unwrap(), key, &proof), "account");
        assert!(!verify_possession(&network, &account, &other[64..160], &proof), "key");
        assert!(!verify_possession(&network, &account, key, &other[160..].try_into().unwrap()), "proof");
        assert!(!verify_possession(&network, &account, &key[..95], &proof), "short key");
    }
}

#[test]
fn receipts_say_the_same() {
    let stored = Receipt::decode(&file("receipt.bin")).unwrap();
    assert_eq!(stored.encode(), file("receipt.bin"));
    let good = certificate("good-n4-all.bin");
    good.check(&good.checkpoint, None).unwrap().accept(&stored.header, &stored.finality).unwrap();
    for name in ["good-n4-first.bin", "good-n100-chain.bin"] {
        let good = certificate(name);
        let receipt = Receipt::from(&good);
        let bytes = receipt.encode();
        assert_eq!(Receipt::decode(&bytes), Ok(receipt.clone()), "{name}");
        assert_eq!(bytes[..3], [0xd2, 0x84, 0x58], "tag 18, four fields, protected header");
        let client = good.check(&good.checkpoint, None).unwrap();
        for i in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[i] ^= 1 << (i % 8);
            let Ok(Receipt { header, finality, entry }) = Receipt::decode(&changed) else { continue };
            let other = Certificate { header, finality, entry, ..good.clone() };
            assert!(other.check_with(&client).is_err(), "{name}, byte {i}");
        }
        assert!(Receipt::decode(&[&bytes[..], &[0]].concat()).is_err());
        assert!(Receipt::decode(&bytes[..bytes.len() - 1]).is_err());
    }
}

proptest! {
    /// Any bytes after a right beginning get a value or a refusal.
    #[test]
    fn any_bytes_are_read_or_refused(tail in proptest::collection::vec(any::<u8>(), 0..600), cut in 0usize..2000) {
        let good = file("good-n4-first.bin");
        let bytes = [&good[..cut.min(good.len())], &tail].concat();
        if let Ok(read) = decode::<Certificate>(&bytes) {
            prop_assert_eq!(encode(&read), bytes.clone());
            prop_assert!(read.check(&read.checkpoint, None).is_err() || bytes == good);
        }
        let receipt = Receipt::from(&certificate("good-n4-first.bin")).encode();
        let bytes = [&receipt[..cut.min(receipt.len())], &tail].concat();
        if let Ok(read) = Receipt::decode(&bytes) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }
}
