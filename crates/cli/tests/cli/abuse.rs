//! Wrong, damaged and forged files are refused with the right exit code.

use crate::world::{World, asset, text};

/// A world with a proof `p.ztp`, and the model's ID.
fn proved() -> (World, String) {
    let world = World::new();
    let line = world.prove("--context rent --asker bank --nonce 7 -o p.ztp");
    (world, text(&line["model"]))
}

#[test]
fn the_model_must_be_named() {
    let (world, id) = proved();
    let refused = world.verify("p.ztp", "").expect(2);
    assert!(refused.err.contains("--model") && refused.err.contains("--any-model"), "{}", refused.err);
    let any = world.verify("p.ztp", "--any-model").expect(0).json();
    assert_eq!(any["checks"][2]["state"], "not compared");
    let words = world.run("verify p.ztp --any-model").expect(0);
    assert!(
        words.out.contains("NOT PINNED") && words.out.contains("Nothing pins the model"),
        "{}",
        words.out
    );
    // A mistyped ID is no ID.
    let last = if id.ends_with('q') { 'p' } else { 'q' };
    world.verify("p.ztp", &format!("--model {}{last}", &id[..id.len() - 1])).expect(2);
    world.verify("p.ztp", "--model nowhere.ztm").expect(2);
    world.verify("nowhere.ztp", &format!("--model {id}")).expect(2);
    world.verify("p.ztp", &format!("--model {id} --no-such-flag")).expect(2);
    world.verify("p.ztp", &format!("--model {}", asset("bc_mlp.onnx"))).expect(2);
}

#[test]
fn another_model_is_refused() {
    let (world, id) = proved();
    let other = world.run(&format!("commit {} --model-key other -o other.ztm --json", World::model()));
    let other = text(&other.expect(0).json()["model"]);
    assert_ne!(id, other, "the same model under a fresh key has another ID");
    for model in [other.as_str(), "other.ztm"] {
        let verdict = world.verify("p.ztp", &format!("--model {model}")).expect(1).json();
        assert_eq!(verdict["code"], "ZT302");
        assert_eq!(verdict["verdict"], "rejected");
    }
}

#[test]
fn context_must_match() {
    let (world, id) = proved();
    world.verify("p.ztp", &format!("--model {id} --context rent --asker bank --nonce 7")).expect(0);
    world.verify("p.ztp", &format!("--model {id} --nonce 7")).expect(0);
    for wrong in ["--context loan", "--nonce 8", "--asker Bank", "--valid-until 2031-01-01"] {
        let verdict = world.verify("p.ztp", &format!("--model {id} --context rent {wrong}"));
        let wrong = if wrong.starts_with("--context") {
            world.verify("p.ztp", &format!("--model {id} {wrong}"))
        } else {
            verdict
        };
        assert_eq!(wrong.expect(1).json()["code"], "ZT304");
    }
}

#[test]
fn input_demands_are_met_or_refused() {
    let (world, id) = proved();
    let input = asset("bc_test.npz");
    // The input is private: that it is these data is not shown.
    let verdict = world.verify("p.ztp", &format!("--model {id} --input {input} --rows 17")).expect(1).json();
    assert_eq!(verdict["code"], "ZT303");
    let line = world.prove("--public-input -o open.ztp");
    let id = text(&line["model"]);
    world.verify("open.ztp", &format!("--model {id} --input {input} --rows 17")).expect(0);
    let verdict =
        world.verify("open.ztp", &format!("--model {id} --input {input} --rows 18")).expect(1).json();
    assert_eq!(verdict["code"], "ZT303");
}

#[test]
fn every_flipped_byte_is_refused() {
    let (world, id) = proved();
    let bytes = world.read("p.ztp");
    let near_start = 0..40;
    let spread = (0..60).map(|i| 40 + i * (bytes.len() - 41) / 59);
    for at in near_start.chain(spread) {
        let mut other = bytes.clone();
        other[at] ^= 1 << (at % 8);
        world.write("f.ztp", &other);
        let verdict = world.verify("f.ztp", &format!("--model {id}"));
        assert_eq!(verdict.code, 1, "byte {at}: {}{}", verdict.out, verdict.err);
        assert_eq!(verdict.json()["verdict"], "rejected");
    }
}

#[test]
fn cut_and_extended_files_are_refused() {
    let (world, id) = proved();
    let bytes = world.read("p.ztp");
    for end in [0, 1, 5, 6, 13, 14, 1000, bytes.len() / 2, bytes.len() - 1] {
        world.write("f.ztp", &bytes[..end]);
        let verdict = world.verify("f.ztp", &format!("--model {id}")).expect(1).json();
        assert_eq!(verdict["code"], "ZT300", "cut at {end}");
    }
    world.write("f.ztp", &[&bytes[..], &[0]].concat());
    assert_eq!(world.verify("f.ztp", &format!("--model {id}")).expect(1).json()["code"], "ZT300");
    // A frame that claims more than there is.
    let mut huge = bytes;
    huge[6..14].copy_from_slice(&u64::MAX.to_le_bytes());
    world.write("f.ztp", &huge);
    assert_eq!(world.verify("f.ztp", "--any-model").expect(1).json()["code"], "ZT300");
    world.run("inspect f.ztp").expect(2);
    world.run("inspect p.ztp").expect(0);
}

#[test]
fn another_statement_over_the_same_proof_is_refused() {
    let (world, id) = proved();
    let bytes = world.read("p.ztp");
    let program = u64::from_le_bytes(bytes[6..14].try_into().unwrap()) as usize;
    let start = 14 + program;
    let statement = u64::from_le_bytes(bytes[start..start + 8].try_into().unwrap()) as usize;
    // Every byte after the name, version and program digest.
    for at in (start + 8 + 38..start + 8 + statement).step_by(5) {
        let mut other = bytes.clone();
        other[at] ^= 1;
        world.write("f.ztp", &other);
        world.verify("f.ztp", &format!("--model {id}")).expect(1);
    }
}

#[test]
fn false_claims_are_not_proved_and_cost_nothing() {
    let world = World::new();
    let before = world.run(&format!("commit {} --model-key m --json", World::model())).expect(0).json();
    let input = format!("--input {} --rows 17", asset("bc_test.npz"));
    let arguments =
        format!("prove {} {input} --model-key m --reveal out[malignant]>=0.5 -o p.ztp", World::model());
    let refused = world.run(&arguments).expect(2);
    assert!(refused.err.contains("ZT211"), "{}", refused.err);
    assert!(!world.path("p.ztp").exists());
    let after = world.run(&format!("commit {} --model-key m --json", World::model())).expect(0).json();
    assert_eq!(before["openings_left"], after["openings_left"]);
    for bad in [
        "out[2]>=0",
        "nothing",
        "out[0]>0",
        "other[0]>=1",
        "out[0]>=x",
        "label:9",
        "out[0>=1",
        "out[0]>=1e300",
    ] {
        let refused = world.run(&format!("prove {} {input} --model-key m --reveal {bad}", World::model()));
        assert!(refused.expect(2).err.contains("ZT210"), "{bad}");
    }
}
