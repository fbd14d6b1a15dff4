//! Batches: many rows in one proof, and many proofs with one manifest.

use serde_json::{Value, json};

use crate::world::{World, asset, text};

/// Rows of the patients' file that are proved here.
const ROWS: usize = 7;
const REVEALS: [&str; 3] = ["--reveal output", "--reveal label", "--reveal out[0]<=200"];

fn committed() -> (World, String) {
    let world = World::new();
    let line = world.run(&format!("commit {} --model-key m --openings 100 --json", World::model()));
    let id = text(&line.expect(0).json()["model"]);
    (world, id)
}

/// Proves rows of the patients' file; the JSON line.
fn prove(world: &World, rows: &str, more: &str) -> Value {
    world.prove(&format!("--model-key m --input {} --rows {rows} {more}", asset("bc_test.npz")))
}

/// What is revealed, as lists with one entry per row.
fn revealed(verdict: &Value, rows: usize) -> (Vec<Value>, Vec<Value>) {
    let list = |value: &Value| match (value, rows) {
        (Value::Null, _) => Vec::new(),
        (one, 1) => vec![one.clone()],
        (many, _) => many.as_array().unwrap().clone(),
    };
    (list(&verdict["outputs"]), list(&verdict["label"]))
}

/// A proof of B rows shows of each what a proof of that row alone shows.
#[test]
fn batches_agree_with_single_proofs() {
    let (world, id) = committed();
    for input in ["", "--public-input"] {
        for reveal in REVEALS {
            let verify = |file: &str| world.verify(file, &format!("--model {id}")).expect(0).json();
            let mut singles = (Vec::new(), Vec::new());
            for row in 0..ROWS {
                prove(&world, &row.to_string(), &format!("{reveal} {input} -o one.ztp"));
                let (outputs, labels) = revealed(&verify("one.ztp"), 1);
                singles.0.extend(outputs);
                singles.1.extend(labels);
            }
            for batch in [2, 3, 7] {
                prove(&world, &format!("0..{batch}"), &format!("{reveal} {input} -o many.ztp"));
                let verdict = verify("many.ztp");
                let (outputs, labels) = revealed(&verdict, batch);
                let first = |all: &[Value]| all.iter().take(batch).cloned().collect::<Vec<_>>();
                assert_eq!(
                    (outputs, labels),
                    (first(&singles.0), first(&singles.1)),
                    "{batch} {reveal} {input}"
                );
                let relations = verdict["checks"][5]["detail"].as_str().unwrap();
                assert!(relations.contains(&format!("{batch} inferences")), "{relations}");
            }
        }
    }
}

#[test]
fn split_batches_show_the_same_of_every_row() {
    let (world, id) = committed();
    let test = asset("bc_test.npz");
    for (reveal, input, verify) in [
        (REVEALS[0], "--public-input", format!("--input {test} --rows 20..27")),
        (REVEALS[1], "", String::new()),
        (REVEALS[2], "", String::new()),
    ] {
        let rows = format!("{reveal} {input} --nonce 5");
        prove(&world, "20..27", &format!("{rows} -o whole.ztp"));
        let check =
            |file: &str| world.verify(file, &format!("--model {id} {verify} --nonce 5")).expect(0).json();
        let whole = check("whole.ztp");
        for per in [1, 3, 6] {
            let line = prove(&world, "20..27", &format!("{rows} --rows-per-proof {per} -o split.ztp"));
            let split = check("split.ztp");
            for key in ["outputs", "label", "verdict", "model", "guarantee"] {
                assert_eq!(whole[key], split[key], "{key} {per}");
            }
            for key in ["outputs", "label", "reveals"] {
                assert_eq!(line[key], split[key], "{key} {per}");
            }
            let count = ROWS.div_ceil(per);
            assert_eq!(split["proofs"].as_array().unwrap().len(), count);
            assert_eq!(split["proofs"][1]["rows"], json!([per, ROWS.min(2 * per)]));
            assert_eq!(split["rows"], ROWS);
            assert!(!world.path("split.ztp.unfinished").exists());
            let words = world.run(&format!("verify split.ztp --model {id}")).expect(0).out;
            assert!(words.contains(&format!("{count} proofs, rows 0..7 complete and in order")), "{words}");
            assert!(reveal == REVEALS[2] || words.contains("row 6 ="), "{words}");
        }
        if input == "--public-input" {
            for other in ["21..28", "20..26"] {
                let flags = format!("--model {id} --input {test} --rows {other} --nonce 5");
                assert_eq!(world.verify("split.ztp", &flags).expect(1).json()["code"], "ZT303");
            }
        }
        let other = world.verify("split.ztp", &format!("--model {id} --nonce 6")).expect(1).json();
        assert_eq!(other["code"], "ZT304");
    }
}

#[test]
fn a_manifest_with_a_fault_is_refused() {
    let (world, id) = committed();
    let make = |file: &str| prove(&world, "0..5", &format!("--reveal label --rows-per-proof 2 -o {file}"));
    make("a.ztp");
    make("b.ztp");
    let manifest = String::from_utf8(world.read("a.ztp")).unwrap();
    let code = |file: &str| {
        let verdict = world.verify(file, &format!("--model {id}")).expect(1).json();
        assert_eq!((&verdict["verdict"], &verdict["label"]), (&json!("rejected"), &Value::Null));
        text(&verdict["code"])
    };
    // A proof of the same rows from another run, listed with its own hash.
    let hash = |file: &str| blake3::hash(&world.read(file)).to_hex().to_string();
    let swapped =
        manifest.replace("a.0001.ztp", "b.0001.ztp").replace(&hash("a.0001.ztp"), &hash("b.0001.ztp"));
    world.write("mixed.ztp", swapped.as_bytes());
    assert_eq!(code("mixed.ztp"), "ZT304");
    // Two proofs in each other's place; the file under a name it is not listed under.
    let (one, two) = (hash("a.0000.ztp"), hash("a.0001.ztp"));
    let exchanged = manifest
        .replace("a.0000.ztp", "x")
        .replace("a.0001.ztp", "a.0000.ztp")
        .replace("\"x\"", "\"a.0001.ztp\"")
        .replace(&one, "y")
        .replace(&two, &one)
        .replace("\"y\"", &format!("\"{two}\""));
    world.write("exchanged.ztp", exchanged.as_bytes());
    assert_eq!(code("exchanged.ztp"), "ZT304");
    // The last rows left out, and said to be all.
    let value: Value = serde_json::from_str(&manifest).unwrap();
    let mut short = value.clone();
    short["proofs"].as_array_mut().unwrap().pop();
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap() + "\n";
    world.write("short.ztp", pretty(&short).as_bytes());
    assert_eq!(code("short.ztp"), "ZT308");
    short["rows"] = json!(4);
    world.write("short.ztp", pretty(&short).as_bytes());
    assert_eq!(code("short.ztp"), "ZT304");
    // Another model's name; a changed proof; a missing one.
    let other = manifest.replace(&id, "zt1other");
    world.write("other.ztp", other.as_bytes());
    assert_eq!(code("other.ztp"), "ZT302");
    let mut bytes = world.read("a.0002.ztp");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    world.write("a.0002.ztp", &bytes);
    assert_eq!(code("a.ztp"), "ZT308");
    let relisted =
        manifest.replace(&value["proofs"][2]["blake3"].as_str().unwrap().to_string(), &hash("a.0002.ztp"));
    world.write("relisted.ztp", relisted.as_bytes());
    assert_eq!(code("relisted.ztp"), "ZT305");
    std::fs::remove_file(world.path("b.0000.ztp")).unwrap();
    assert_eq!(code("b.ztp"), "ZT308");
    world.write("a.ztp", &manifest.as_bytes()[..manifest.len() / 2]);
    assert_eq!(code("a.ztp"), "ZT308");
    // One proof of several says so when it is shown alone.
    let alone = world.run(&format!("verify b.0001.ztp --model {id}")).expect(0).out;
    assert!(alone.contains("one proof of several"), "{alone}");
}

#[test]
fn a_stopped_run_goes_on() {
    let (world, id) = committed();
    let go = format!(
        "prove {} --model-key m --input {} --rows 0..5 --rows-per-proof 2 --reveal label -o s.ztp --json",
        World::model(),
        asset("bc_test.npz")
    );
    // The third proof cannot be written: the run stops there.
    std::fs::create_dir(world.path("s.0002.ztp")).unwrap();
    world.run(&go).expect(3);
    assert!(!world.path("s.ztp").exists() && world.path("s.ztp.unfinished").exists());
    let before = (world.read("s.0000.ztp"), world.read("s.0001.ztp"));
    std::fs::remove_dir(world.path("s.0002.ztp")).unwrap();
    // One of the proofs that were made is damaged meanwhile.
    let mut bytes = before.1.clone();
    bytes[20_000] ^= 1;
    world.write("s.0001.ztp", &bytes);
    let line = world.run(&go).expect(0).json();
    assert_eq!((&line["reused"], &line["rows"]), (&json!(1), &json!(5)));
    assert_eq!(world.read("s.0000.ztp"), before.0);
    assert!(world.read("s.0001.ztp") != bytes && !world.path("s.ztp.unfinished").exists());
    world.verify("s.ztp", &format!("--model {id}")).expect(0);
    // A finished run is not gone on with: the next one is new.
    assert_eq!(world.run(&go).expect(0).json()["reused"], 0);
    assert_ne!(world.read("s.0000.ztp"), before.0);
}

/// What a stopped run has made is not taken over into a run about something else.
#[test]
fn another_request_does_not_go_on_with_a_stopped_run() {
    let (world, id) = committed();
    let go = |rows: &str, more: &str| {
        let input = asset("bc_test.npz");
        let model = World::model();
        world.run(&format!(
            "prove {model} --model-key m --input {input} --rows {rows} --rows-per-proof 2 -o s.ztp --json {more}"
        ))
    };
    let stop = || {
        std::fs::create_dir(world.path("s.0001.ztp")).unwrap();
        go("0..4", "--reveal label").expect(3);
        std::fs::remove_dir(world.path("s.0001.ztp")).unwrap();
    };
    for (rows, more) in
        [("1..5", "--reveal label"), ("0..4", "--reveal output"), ("0..4", "--reveal label --nonce 1")]
    {
        stop();
        let line = go(rows, more).expect(0).json();
        assert_eq!(line["reused"], 0, "{rows} {more}");
        let nonce = if more.contains("nonce") { "--nonce 1" } else { "" };
        world.verify("s.ztp", &format!("--model {id} {nonce}")).expect(0);
        std::fs::remove_file(world.path("s.0001.ztp")).unwrap();
    }
}

#[test]
fn memory_decides_how_rows_are_spread() {
    // A key as `estimate` assumes it.
    let world = World::new();
    let line = world.run(&format!("commit {} --model-key m --json", World::model())).expect(0).json();
    let (id, input) = (text(&line["model"]), asset("bc_test.npz"));
    let go = |memory: &str, rows: &str| {
        let model = World::model();
        world.run(&format!(
            "prove {model} --model-key m --input {input} --rows {rows} --max-memory {memory} --reveal label -o p.ztp --json"
        ))
    };
    // Room for all: one ordinary proof.
    let whole = go("8G", "0..40").expect(0).json();
    assert_eq!(whole["proofs"], Value::Null);
    let estimate = |rows: u32| {
        let run = world.run(&format!("estimate {} --rows {rows} --json", World::model())).expect(0);
        run.json()["peak_ram_bytes"].as_u64().unwrap()
    };
    let (one, all) = (estimate(1), estimate(40));
    assert!(one < all, "{one} {all}");
    // A little more than the estimate is set aside.
    let between = ((one + all) / 2 * 9 / 8 + (24 << 20)).to_string();
    let split = go(&between, "0..40").expect(0).json();
    assert!(split["proofs"].as_array().unwrap().len() > 1, "{split}");
    assert_eq!(split["label"], whole["label"]);
    world.verify("p.ztp", &format!("--model {id}")).expect(0);
    let refused = go(&(one / 2).to_string(), "0..40").expect(2);
    assert_eq!(refused.json()["errors"][0]["code"], "ZT215");
    assert!(refused.err.contains("one row alone"), "{}", refused.err);
    for wrong in ["much", "0", "-1"] {
        go(wrong, "0..2").expect(2);
    }
    // Rows that are committed together are not spread.
    world.run(&format!("commit --input {input} --rows 0..4 --model m/model.ztm --input-key x")).expect(0);
    let whole = format!("prove {} --model-key m --input-key x --rows-per-proof 2", World::model());
    assert!(world.run(&whole).expect(2).err.contains("committed together"));
}

/// False claims and disagreements are found before anything is spent, at the row they are at.
#[test]
fn every_row_is_looked_at_before_the_first_proof() {
    let (world, _) = committed();
    let input = asset("bc_test.npz");
    let model = World::model();
    let labels = prove(&world, "0..12", "--reveal output -o p.ztp");
    let first = |row: usize| labels["outputs"][row][0].as_f64().unwrap();
    // A bound that holds for the first rows and not for a later one.
    let row = (2..12).find(|&row| (0..row).all(|before| first(before) < first(row))).expect("a new maximum");
    let bound = (0..row).map(first).fold(f64::MIN, f64::max);
    let run = format!("prove {model} --model-key m --input {input} --rows 0..12 --rows-per-proof 1 -o s.ztp");
    let refused = world.run(&format!("{run} --reveal out[0]<={bound}")).expect(2);
    assert!(refused.err.contains(&format!("at row {row}:")), "{row}: {}", refused.err);
    assert!(!world.path("s.0000.ztp").exists());
}
