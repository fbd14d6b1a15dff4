//! Evidence files and the keys that sign them, from end to end.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::world::{World, asset, text};

const OCCASION: &str = "--asker insurer --nonce 81c2 --valid-until 2031-01-31";

/// A committed and certified model, a proof, two keys, and evidence with all parts.
fn world() -> (World, String) {
    let world = World::new();
    world.run(&format!("commit {} --model-key m -o m.ztm", World::model())).expect(0);
    world.run(&format!("certify {} --model-key m --json", World::model())).expect(0);
    let proved = world.prove(&format!("--model-key m --reveal label {OCCASION} -o p.ztp"));
    world.run("key new signer").expect(0);
    world.run("key new other --kind ed25519").expect(0);
    let parts = "--accuracy m/report.json --ranges m/model.ztr";
    world.run(&format!("evidence p.ztp --key signer {parts} -o e.zte")).expect(0);
    (world, text(&proved["model"]))
}

fn check<'a>(verdict: &'a Value, name: &str) -> (&'a str, &'a str) {
    let all = verdict["checks"].as_array().unwrap();
    let found = all.iter().find(|c| c["name"] == name).unwrap_or_else(|| panic!("{name} in {verdict}"));
    (found["state"].as_str().unwrap(), found["detail"].as_str().unwrap())
}

#[test]
fn evidence_is_made_and_checked_offline() {
    let (world, id) = world();
    // Nothing but the file is there.
    let elsewhere = World::new();
    elsewhere.write("e.zte", &world.read("e.zte"));
    elsewhere.write("signer.pub", &world.read("signer/signing.pub"));
    let bare = elsewhere.run("verify e.zte --json").expect(0).json();
    assert_eq!(
        (check(&bare, "signature").0, check(&bare, "model identity").0),
        ("not compared", "not compared")
    );
    assert!(check(&bare, "signature").1.contains("unknown P-256 key sha256:"));
    let whole = format!("verify e.zte --json --key signer.pub --model {id} {OCCASION} --report r.html");
    let verdict = elsewhere.run(&whole).expect(0).json();
    for name in ["evidence file", "signature", "model identity", "context", "relations", "weight ranges"] {
        assert_eq!(check(&verdict, name).0, "passed", "{name}");
    }
    for name in ["statement", "accuracy", "report"] {
        assert_eq!(check(&verdict, name).0, "passed", "{name}");
    }
    assert_eq!((&verdict["label"], &verdict["semantics"]), (&"benign".into(), &"bounded".into()));
    let page = String::from_utf8(elsewhere.read("r.html")).unwrap();
    for words in ["label of logits = benign (class 1)", &id, "81c2", "insurer", "labels that agree", "int10"]
    {
        assert!(page.contains(words), "{words}");
    }
    let bytes = world.read("e.zte");
    assert!(bytes.windows(page.len()).any(|part| part == page.as_bytes()), "it is the page of the file");
}

#[test]
fn demands_that_are_not_met_are_refusals() {
    let (world, id) = world();
    for (flags, code) in [
        ("--key other", "ZT311"),
        ("--key signer --nonce 81c3", "ZT304"),
        ("--model zt1r26yrc8ql3gq0vkh9m4x7lzce4yy3hd3carmsjky7ynqkl8r6kvsgh5ahf", "ZT302"),
    ] {
        let verdict = world.run(&format!("verify e.zte --json {flags}")).expect(1).json();
        assert_eq!(verdict["code"], code, "{verdict}");
    }
    world.run(&format!("verify e.zte --model {id} --ranges m/model.ztr")).expect(2);
    world.run("verify p.ztp --any-model --key signer").expect(2);
    world.run("verify e.zte --key nowhere.pub").expect(2);
}

#[test]
fn what_does_not_belong_together_gets_no_evidence() {
    let (world, _) = world();
    for (flags, word) in [
        ("--accuracy p.ztp", "not the report"),
        ("--ranges m.ztm", "weight ranges"),
        ("--model-signing abc", "64 lower-case"),
        ("--model-signing AA05050505050505050505050505050505050505050505050505050505050505", "64 lower-case"),
    ] {
        let refused = world.run(&format!("evidence p.ztp --key signer {flags} -o x.zte")).expect(2);
        assert!(refused.err.contains(word), "{}", refused.err);
        assert!(!world.path("x.zte").exists());
    }
    let mut proof = world.read("p.ztp");
    *proof.last_mut().unwrap() ^= 1;
    world.write("bad.ztp", &proof);
    let refused = world.run("evidence bad.ztp --key signer -o x.zte").expect(2);
    assert!(refused.err.contains("ZT221") && refused.err.contains("the proof is refused"), "{}", refused.err);
}

#[test]
fn inspect_shows_the_statement_and_the_proof() {
    let (world, id) = world();
    let facts = world.run("inspect e.zte --json").expect(0).json();
    assert_eq!((&facts["checked"], &facts["model"]), (&Value::Bool(false), &Value::from(id)));
    let signed = &facts["signed_statement"];
    assert_eq!(signed["predicateType"], "urn:zerotell:attestation:inference:v1");
    assert_eq!(signed["predicate"]["ranges"]["state"], "certified");
    // Nothing of the answer or of the occasion is in the statement.
    let statement = signed.to_string();
    for secret in ["benign", "malignant", "insurer", "81c2", "2031"] {
        assert!(!statement.contains(secret), "{secret}");
    }
    let bytes = world.read("e.zte");
    world.write("cut.zte", &bytes[..bytes.len() - 5]);
    assert!(world.run("inspect cut.zte").expect(2).err.contains("ZT202"));
}

/// The model's own signature and the parts that are left out are said, not silently equal.
#[test]
fn less_evidence_claims_less() {
    let (world, _) = world();
    let digest = "05".repeat(32);
    world.run(&format!("evidence p.ztp --key other --model-signing {digest} -o less.zte")).expect(0);
    let verdict = world.run("verify less.zte --json --report less.html").expect(0).json();
    assert_eq!(check(&verdict, "weight ranges").0, "not compared");
    let page = String::from_utf8(world.read("less.html")).unwrap();
    for words in [digest.as_str(), "no range certificate", "not in this file", "the signer says so"] {
        assert!(page.contains(words), "{words}");
    }
    // The same proof twice: fresh salts make statements that cannot be told to be about one answer.
    world.run(&format!("evidence p.ztp --key other --model-signing {digest} -o again.zte")).expect(0);
    assert_ne!(world.read("less.zte"), world.read("again.zte"));
}

#[test]
fn keys_are_kept_from_others_and_never_overwritten() {
    let world = World::new();
    let made = world.run("key new k --json").expect(0).json();
    let mode = |name: &str| std::fs::metadata(world.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("k"), mode("k/signing.key")), (0o700, 0o600));
    let before = world.read("k/signing.key");
    assert!(world.run("key new k").expect(2).err.contains("there is a key already"));
    assert_eq!(world.read("k/signing.key"), before);
    for file in ["k", "k/signing.key", "k/signing.pub"] {
        assert_eq!(
            world.run(&format!("key show {file} --json")).expect(0).json()["fingerprint"],
            made["fingerprint"]
        );
    }
    let shown = world.run("key show k/signing.key").expect(0);
    assert!(shown.out.contains("BEGIN PUBLIC KEY") && !shown.out.contains("PRIVATE"));
    std::fs::set_permissions(world.path("k/signing.key"), PermissionsExt::from_mode(0o640)).unwrap();
    let refused = world.run("evidence p.ztp --key k -o e.zte").expect(3);
    assert!(refused.err.contains("other users can reach it"), "{}", refused.err);
    let refused = world.run(&format!("key show {}", asset("demo.json"))).expect(2);
    assert!(refused.err.contains("ZT220"), "{}", refused.err);
    // A secret key is never taken for a public one.
    world.run("verify p.ztp --any-model --key k/signing.key").expect(2);
}
