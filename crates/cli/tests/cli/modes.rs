//! Every mode is proved and verified; what is not asked for is not shown.

use serde_json::{Value, json};

use crate::world::{World, asset, text};

/// Keys of the line that `prove --json` ends with.
const PROVED: [&str; 13] = [
    "program",
    "model",
    "mode",
    "outputs",
    "label",
    "compile_ms",
    "commit_ms",
    "prove_ms",
    "proof_bytes",
    "peak_rss_bytes",
    "bits",
    "agreement",
    "proof",
];
/// Keys of the line that `verify --json` ends with.
const VERIFIED: [&str; 8] = ["verdict", "code", "checks", "outputs", "label", "verify_ms", "bits", "weakest"];
const CHECKS: [&str; 8] = [
    "bytes",
    "program",
    "model identity",
    "input binding",
    "context",
    "relations",
    "weight ranges",
    "security bits",
];

fn has_keys(line: &Value, keys: &[&str]) {
    for key in keys {
        assert!(line.get(key).is_some(), "{key} in {line}");
    }
}

/// Proves and verifies in one mode; the verdict.
fn round_trip(world: &World, prove: &str, verify: &str) -> (Value, Value) {
    let proved = world.prove(&format!("{prove} -o p.ztp"));
    has_keys(&proved, &PROVED);
    let verdict =
        world.verify("p.ztp", &format!("--model {} {verify}", text(&proved["model"]))).expect(0).json();
    has_keys(&verdict, &VERIFIED);
    let names: Vec<String> = verdict["checks"].as_array().unwrap().iter().map(|c| text(&c["name"])).collect();
    assert_eq!(names, CHECKS);
    assert_eq!((&verdict["verdict"], &verdict["code"]), (&json!("accepted"), &json!("ok")));
    assert!(verdict["bits"].as_u64().unwrap() >= 100);
    for key in ["outputs", "label", "bits"] {
        assert_eq!(proved[key], verdict[key], "{key}");
    }
    (proved, verdict)
}

#[test]
fn all_models_inputs_and_reveals() {
    let world = World::new();
    let input = asset("bc_test.npz");
    world.run(&format!("commit {} --model-key m -o m.ztm", World::model())).expect(0);
    let reveals = ["--reveal output", "--reveal label", "--reveal out[benign]>=0.5 --reveal out[0]<=0"];
    for model in ["--model-key m", "--public-model"] {
        for mode in ["private", "public", "committed"] {
            let key = format!("x-{}", model.len());
            let mut verify = String::new();
            let how = match mode {
                "private" => String::new(),
                "public" => {
                    verify = format!("--input {input} --rows 17");
                    "--public-input".into()
                }
                _ => {
                    let id = commit_input(&world, model, &key);
                    verify = format!("--input-id {id}");
                    format!("--input-key {key}")
                }
            };
            for reveal in reveals {
                let (_, verdict) = round_trip(&world, &format!("{model} {how} {reveal}"), &verify);
                shows_only(&verdict, reveal);
            }
        }
    }
}

/// Commits patient 17 for the model as it is committed or public.
fn commit_input(world: &World, model: &str, key: &str) -> String {
    let file = format!("{key}.ztm");
    world.run(&format!("commit {} {model} -o {file}", World::model())).expect(0);
    let input = asset("bc_test.npz");
    let line =
        world.run(&format!("commit --input {input} --rows 17 --model {file} --input-key {key} --json"));
    text(&line.expect(0).json()["input"])
}

fn shows_only(verdict: &Value, reveal: &str) {
    match reveal {
        "--reveal output" => {
            assert_eq!(verdict["outputs"].as_array().unwrap().len(), 2);
            assert_eq!(verdict["label"], "benign");
        }
        "--reveal label" => {
            assert_eq!(verdict["outputs"], Value::Null);
            assert_eq!(verdict["label"], "benign");
        }
        _ => {
            assert_eq!((&verdict["outputs"], &verdict["label"]), (&Value::Null, &Value::Null));
            let bound = &verdict["reveals"][0];
            let value = bound["value"].as_f64().unwrap();
            assert!((0.5..0.51).contains(&value), "{value}");
            assert_eq!(bound["at_least"], true);
        }
    }
}

#[test]
fn batches() {
    let world = World::new();
    let input = asset("bc_test.npz");
    let rows = format!("--input {input} --rows 0..3 --public-input --reveal output --reveal label");
    let (proved, verdict) = round_trip(&world, &rows, &format!("--input {input} --rows 0..3"));
    assert_eq!(verdict["outputs"].as_array().unwrap().len(), 3);
    assert_eq!(verdict["label"].as_array().unwrap().len(), 3);
    let id = text(&proved["model"]);
    let other = world.verify("p.ztp", &format!("--model {id} --input {input} --rows 1..4")).expect(1).json();
    assert_eq!(other["code"], "ZT303");
    // Several rows and no word about which.
    let refused = world.run(&format!("prove {} --input {input}", World::model())).expect(2);
    assert!(refused.err.contains("--rows"), "{}", refused.err);
}

#[test]
fn a_batch_of_committed_inputs() {
    let world = World::new();
    let input = asset("bc_test.npz");
    world.run(&format!("commit {} --model-key m -o m.ztm", World::model())).expect(0);
    let commit = format!("commit --input {input} --rows 4..9 --model m.ztm --input-key x --json");
    let id = text(&world.run(&commit).expect(0).json()["input"]);
    let proved = world.prove("--model-key m --input-key x --reveal label --reveal output -o p.ztp");
    let verdict = world.verify("p.ztp", &format!("--model m.ztm --input-id {id}")).expect(0).json();
    assert_eq!(verdict["label"].as_array().unwrap().len(), 5);
    assert_eq!(proved["outputs"], verdict["outputs"]);
    assert_eq!(verdict["input_ids"], json!([id]));
}

/// Four bits are too few: on some rows the integer program answers otherwise than the float model.
#[test]
fn other_answers_than_the_float_model_need_consent() {
    let world = World::new();
    let (model, input) = (asset("digits_cnn.onnx"), asset("digits_test.npz"));
    let compile = format!("--calibrate {} --precision 4", asset("digits_calib.npz"));
    let bench = format!("bench {model} {compile} --input {input} --rows 0 --repeat 1 --evaluate {input}");
    let flips = world.run(&bench).expect(0).json()["evaluation"]["flips"].clone();
    let row = flips[0].as_u64().expect("a row with another answer");
    let prove = format!("prove {model} {compile} --input {input} --rows {row} --model-key m --json");
    let refused = world.run(&prove).expect(2);
    assert_eq!(refused.json()["errors"][0]["code"], "ZT212");
    assert!(!world.path("proof.ztp").exists());
    let proved = world.run(&format!("{prove} --allow-disagreement")).expect(0).json();
    world.verify("proof.ztp", &format!("--model {}", text(&proved["model"]))).expect(0);
}

#[test]
fn what_is_not_hidden_is_said_so() {
    let world = World::new();
    let line = world.prove("--public-model --public-input --reveal output");
    assert_eq!(line["mode"], "public model, public input, output shown");
    let words = world.run(&format!("verify proof.ztp --model {}", text(&line["model"]))).expect(0);
    for said in ["weights public", "NOT zero knowledge", "public, not compared", "accepted"] {
        assert!(words.out.contains(said), "{said}: {}", words.out);
    }
}

#[test]
fn a_convolution_and_a_default_key() {
    let world = World::new();
    let arguments = format!(
        "prove {} --calibrate {} --input {} --rows 0..2 -o d.ztp --json",
        asset("digits_cnn.onnx"),
        asset("digits_calib.npz"),
        asset("digits_test.npz")
    );
    let proved = world.run(&arguments).expect(0).json();
    let again = world.run(&arguments).expect(0).json();
    assert_eq!(proved["model"], again["model"], "the key in the home directory is used again");
    assert_eq!(proved["openings_left"].as_u64().unwrap() - 1, again["openings_left"].as_u64().unwrap());
    world.verify("d.ztp", &format!("--model {}", text(&proved["model"]))).expect(0);
}

/// What is measured has no place in a document of figures that come again; and a build without validators says so.
#[test]
fn s12_is_for_builds_with_validators_and_not_for_documents() {
    let world = World::new();
    let refused = world.run("sim S12 --document nowhere.md").expect(2);
    assert!(refused.err.contains("it is measured"), "{}", refused.err);
    if !cfg!(feature = "network") {
        let refused = world.run("sim s12").expect(2);
        assert!(refused.err.contains("--features network"), "{}", refused.err);
    }
    assert!(world.run("sim S13").expect(2).err.contains("S1 to S12"));
}

#[test]
fn the_demo_ends_well_and_soon() {
    let world = World::new();
    let started = std::time::Instant::now();
    let ran = world.command().arg("demo").env("TMPDIR", world.directory.path()).output().unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{out}{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(out.matches("refused ZT3").count(), 3, "{out}");
    assert_eq!(out.matches("accepted:").count(), 2, "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    assert!(!out.contains('\u{1b}'), "no colours where there is no terminal");
    assert!(started.elapsed().as_secs() < 10);
    assert_eq!(std::fs::read_dir(world.directory.path()).unwrap().count(), 0, "it cleans up");
}
