//! Range certificates: made once, compared with every proof.

use serde_json::Value;

use crate::world::{World, asset, text};

/// A committed and certified model with a proof; the model's ID.
fn certified() -> (World, String) {
    let world = World::new();
    world.run(&format!("commit {} --model-key m -o m.ztm", World::model())).expect(0);
    let said = world.run(&format!("certify {} --model-key m --json", World::model())).expect(0).json();
    assert_eq!(said["parts"], 1);
    let proved = world.prove("--model-key m --reveal label -o p.ztp");
    let id = text(&proved["model"]);
    assert_eq!(said["model"], id.as_str());
    assert_eq!(said["openings_left"].as_u64().unwrap() - 1, proved["openings_left"].as_u64().unwrap());
    (world, id)
}

/// State and detail of a check.
fn check<'a>(verdict: &'a Value, name: &str) -> (&'a str, &'a str) {
    let all = verdict["checks"].as_array().unwrap();
    let found = all.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("{name} in {verdict}"));
    (found["state"].as_str().unwrap(), found["detail"].as_str().unwrap())
}

#[test]
fn with_a_certificate_the_claim_is_over_the_integers() {
    let (world, id) = certified();
    let verify = |flags: &str| world.verify("p.ztp", &format!("--model {flags}")).expect(0).json();
    let without = verify(&id);
    assert!(check(&without, "relations").1.contains("mod p"));
    assert_eq!(check(&without, "weight ranges").0, "not compared");
    for words in ["F_p", "one deterministic function", "owner's word"] {
        assert!(text(&without["guarantee"]).contains(words), "{without}");
    }
    let with = verify(&format!("{id} --ranges m/model.ztr"));
    assert!(check(&with, "relations").1.contains("over the integers"));
    let (state, detail) = check(&with, "weight ranges");
    assert!(state == "passed" && detail.contains("weights proved"), "{detail}");
    assert!(text(&with["guarantee"]).contains("over the integers"));
    assert!(with["bits"].as_u64().unwrap() >= 100);
    // A certificate beside the model file is found by itself.
    assert_eq!(check(&verify("m.ztm"), "weight ranges").0, "not compared");
    std::fs::copy(world.path("m/model.ztr"), world.path("m.ztr")).unwrap();
    assert_eq!(check(&verify("m.ztm"), "weight ranges").0, "passed");
    let words = world.run("verify p.ztp --model m/model.ztm").expect(0).out;
    assert!(words.contains("weights proved") && !words.contains("owner's word"), "{words}");
}

#[test]
fn public_weights_need_no_certificate() {
    let (world, _) = certified();
    let proved = world.prove("--public-model --reveal label -o open.ztp");
    let id = text(&proved["model"]);
    let verdict = world.verify("open.ztp", &format!("--model {id}")).expect(0).json();
    assert_eq!(check(&verdict, "weight ranges").0, "passed");
    assert!(check(&verdict, "relations").1.contains("over the integers"));
    let refused = world.run(&format!("certify {} --public-model -o c.ztr", World::model())).expect(2);
    assert!(refused.err.contains("nothing to certify"), "{}", refused.err);
    let verdict = world.verify("open.ztp", &format!("--model {id} --ranges m/model.ztr")).expect(1).json();
    assert_eq!(verdict["code"], "ZT307");
}

#[test]
fn forged_and_foreign_certificates_are_refused() {
    let (world, id) = certified();
    let whole = world.read("m/model.ztr");
    let refused = |name: &str, bytes: &[u8]| {
        world.write("bad.ztr", bytes);
        let verdict = world.verify("p.ztp", &format!("--model {id} --ranges bad.ztr")).expect(1).json();
        assert_eq!(verdict["code"], "ZT307", "{name}: {verdict}");
        assert_eq!(verdict["guarantee"], "nothing", "{name}");
        text(&verdict["checks"].as_array().unwrap().last().unwrap()["detail"])
    };
    // Another commitment of the same model, and another model.
    world.run(&format!("certify {} --model-key other", World::model())).expect(0);
    let other = world.read("other/model.ztr");
    assert!(refused("another model", &other).contains("another model"));
    // It claims to be about this one: the identity of the other, then its root as well.
    let mut named = other.clone();
    named[6..38].copy_from_slice(&whole[6..38]);
    assert!(refused("named as this", &named).contains("another model"));
    named[38..70].copy_from_slice(&whole[38..70]);
    assert!(refused("rooted as this", &named).contains("part 0"));
    // After the root: 16 bytes of an empty chain of links, then the number of parts.
    let count = |n: u32| [&whole[..86], &n.to_le_bytes(), &whole[90..]].concat();
    assert!(refused("no part", &[&whole[..86], &[0; 4]].concat()).contains("has 1 parts, 0 were found"));
    assert!(refused("a part twice", &[&count(2)[..], &whole[90..]].concat()).contains("2 were found"));
    assert!(refused("too many parts", &count(u32::MAX)).contains("too many parts"));
    for (at, words) in [(0, "right name"), (10, "another model"), (40, "another model"), (2000, "part 0")] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        assert!(refused("damaged", &bytes).contains(words), "byte {at}");
    }
    for end in [3, 60, 75, 88, whole.len() - 1] {
        refused("cut short", &whole[..end]);
    }
    refused("extended", &[&whole[..], &[0]].concat());
}

/// The budget is counted before the certificate is made, and refused when it is spent.
#[test]
fn a_certificate_uses_an_opening() {
    let world = World::new();
    let commit = format!("commit {} --model-key m --json", World::model());
    let before = world.run(&commit).expect(0).json()["openings_left"].as_u64().unwrap();
    world.run(&format!("certify {} --model-key m -o c.ztr", World::model())).expect(0);
    assert!(!world.path("m/model.ztr").exists());
    let after = world.run(&commit).expect(0).json()["openings_left"].as_u64().unwrap();
    assert_eq!(after, before - 1);
    let missing = format!("certify {} --calibrate {}", asset("none.onnx"), asset("bc_calib.npz"));
    world.run(&missing).expect(2);
}

/// A certificate is about the identity, whatever epoch it opens: it holds for proofs of all.
#[test]
fn a_certificate_holds_in_every_epoch() {
    let world = World::new();
    let commit = format!("commit {} --model-key m --openings 8 --json", World::model());
    let made = world.run(&commit).expect(0).json();
    let (id, total) = (text(&made["model"]), made["openings"].as_u64().unwrap());
    let verify = |proof: &str, certificate: &str| {
        let flags = format!("--model {id} --ranges {certificate}");
        let verdict = world.verify(proof, &flags).expect(0).json();
        assert_eq!(check(&verdict, "weight ranges").0, "passed");
    };
    let certify = |file: &str| {
        world.run(&format!("certify {} --model-key m -o {file}", World::model())).expect(0);
    };
    certify("first.ztr");
    world.prove("--model-key m --reveal label -o first.ztp");
    let mut links = 0;
    for _ in 0..total {
        links = world.prove("--model-key m --reveal label -o last.ztp")["links"].as_u64().unwrap();
    }
    assert!(links > 0);
    certify("last.ztr");
    let sizes = ["first.ztr", "last.ztr"].map(|file| world.read(file).len());
    assert!(sizes[1] > sizes[0] + 10_000, "the later one carries links: {sizes:?}");
    for proof in ["first.ztp", "last.ztp"] {
        verify(proof, "first.ztr");
        verify(proof, "last.ztr");
    }
    // Without its links the later one is about nothing known.
    let later = world.read("last.ztr");
    let length = u64::from_le_bytes(later[70..78].try_into().unwrap()) as usize;
    let empty = [8u64.to_le_bytes(), [1, 0, 0, 0, 0, 0, 0, 0]].concat();
    world.write("bare.ztr", &[&later[..70], &empty, &later[78 + length..]].concat());
    let verdict = world.verify("last.ztp", &format!("--model {id} --ranges bare.ztr")).expect(1).json();
    assert_eq!(verdict["code"], "ZT307");
}

/// Rows of one run go on over the end of an epoch.
#[test]
fn a_split_batch_goes_over_the_end_of_an_epoch() {
    let world = World::new();
    let commit = format!("commit {} --model-key m --openings 4 --json", World::model());
    let id = text(&world.run(&commit).expect(0).json()["model"]);
    let rows = format!("--input {} --rows 0..12 --rows-per-proof 1", asset("bc_test.npz"));
    let line = world.prove(&format!("--model-key m {rows} --reveal label -o s.ztp"));
    assert_eq!(line["proofs"].as_array().unwrap().len(), 12);
    let last = world.verify("s.0011.ztp", &format!("--model {id}")).expect(0).json();
    assert!(check(&last, "links").1.contains("from the identity"));
    let whole = world.verify("s.ztp", &format!("--model {id}")).expect(0).json();
    assert_eq!(whole["label"], line["label"]);
    assert_eq!(whole["label"].as_array().unwrap().len(), 12);
}
