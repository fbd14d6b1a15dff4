//! Data files and models that do not fit are refused with code, place and fix.

use crate::world::{World, asset};

/// A `.npy` file.
fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn bad_data_files() {
    let world = World::new();
    let floats = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    world.write("objects.npy", &npy("'|O'", "(30,)", &[0; 240]));
    world.write("huge.npy", &npy("'<f4'", "(4000000000, 4000000000)", &[]));
    world.write("short.npy", &npy("'<f4'", "(30,)", &[0; 100]));
    world.write("shape.npy", &npy("'<f4'", "(31,)", &floats(&[0.0; 31])));
    world.write("nan.npy", &npy("'<f4'", "(30,)", &floats(&[f32::NAN; 30])));
    world.write("text.txt", b"1,2");
    world.write("ragged.json", b"[[1, 2], [3]]");
    world.write("broken.npz", b"PK\x05\x06");
    for (name, code) in [
        ("objects.npy", "ZT204"),
        ("huge.npy", "ZT204"),
        ("short.npy", "ZT204"),
        ("shape.npy", "ZT205"),
        ("nan.npy", "ZT205"),
        ("text.txt", "ZT204"),
        ("ragged.json", "ZT204"),
        ("broken.npz", "ZT204"),
        ("nowhere.npz", "ZT201"),
    ] {
        let refused = world.run(&format!("prove {} --public-model --input {name}", World::model())).expect(2);
        assert!(refused.err.contains(code) && refused.err.contains("fix:"), "{name}: {}", refused.err);
    }
}

#[test]
fn the_same_row_from_every_kind_of_file() {
    let world = World::new();
    let row: Vec<f32> = (0..30).map(|i| 1.5 * i as f32).collect();
    let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
    let words: Vec<String> = row.iter().map(ToString::to_string).collect();
    world.write("x.npy", &npy("'<f4'", "(1, 30)", &bytes));
    world.write("x.json", format!("{{\"x\": [[{}]]}}", words.join(",")).as_bytes());
    world.write("x.csv", format!("{}\n", words.join(",")).as_bytes());
    let mut outputs = Vec::new();
    for name in ["x.npy", "x.json", "x.csv"] {
        let arguments = format!(
            "prove {} --public-model --public-input --input {name} --reveal output --allow-disagreement --json",
            World::model()
        );
        let line = world.run(&arguments).expect(0).json();
        outputs.push(line["outputs"].clone());
        let id = line["model"].as_str().unwrap().to_string();
        world.verify("proof.ztp", &format!("--model {id} --input x.npy")).expect(0);
    }
    assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]), "{outputs:?}");
}

#[test]
fn check_explain_operators_estimate() {
    let world = World::new();
    let good = world.run(&format!("check {} --json", asset("bc_mlp.onnx"))).expect(0).json();
    assert_eq!(good["provable"], true);
    world.write("bad.onnx", b"not a model");
    let bad = world.run("check bad.onnx --format json").expect(1).json();
    assert_eq!(bad["problems"][0]["code"], "ZT002");
    world.run("check nowhere.onnx").expect(2);
    for code in ["ZT013", "zt207", "ZT104"] {
        assert!(!world.run(&format!("explain {code}")).expect(0).out.is_empty());
    }
    world.run("explain ZT999").expect(2);
    assert!(world.run("operators --markdown").expect(0).out.contains("| `Conv` |"));
    let estimate = world.run(&format!("estimate {} --json", World::model())).expect(0).json();
    assert!(
        estimate["prove_ms"].as_f64().unwrap() > 0.0 && estimate["proof_bytes"].as_u64().unwrap() > 10_000
    );
    let refused = world.run(&format!("compile {}", asset("bc_mlp.onnx"))).expect(2);
    assert!(refused.err.contains("--calibrate"), "{}", refused.err);
}
