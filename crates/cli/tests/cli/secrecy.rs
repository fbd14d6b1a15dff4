//! Secrets stay in the key directory; `verify` writes nothing and opens no socket.

use std::process::Command;

use crate::world::{World, asset, skipped, text};

fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

/// Spellings of 32 secret bytes that a careless log might use.
fn spellings(secret: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = secret.iter().map(|b| format!("{b:02x}")).collect();
    let list: Vec<String> = secret.iter().map(ToString::to_string).collect();
    vec![
        secret.to_vec(),
        secret[..12].to_vec(),
        hex.as_bytes()[..24].to_vec(),
        hex.to_uppercase().as_bytes()[..24].to_vec(),
        list[..6].join(", ").into_bytes(),
        list[..6].join(",").into_bytes(),
    ]
}

/// The first 32 bytes of every larger tensor of a model key, as they lie in the file.
fn weights(key: &[u8]) -> Vec<Vec<u8>> {
    let number =
        |at: usize, n: usize| key[at..at + n].iter().rev().fold(0usize, |x, &b| (x << 8) | usize::from(b));
    let mut at = 38 + 8 + number(38, 8);
    let count = number(at, 4);
    at += 4;
    let mut found = Vec::new();
    for _ in 0..count {
        let bytes = number(at + 4, 1) * number(at + 5, 8);
        at += 13;
        if bytes >= 32 {
            found.push(key[at..at + 32].to_vec());
        }
        at += bytes;
    }
    assert_eq!(at, key.len() - 96, "the weights end where the seed starts");
    assert!(found.len() >= 3);
    found
}

#[test]
fn no_secret_leaves_the_key_directory() {
    let world = World::new();
    let mut seen: Vec<(String, Vec<u8>)> = Vec::new();
    let mut run = |arguments: &str| {
        let ran = world.run(arguments);
        seen.push((arguments.to_string(), [ran.out.as_bytes(), ran.err.as_bytes()].concat()));
        ran
    };
    let model = World::model();
    let input = asset("bc_test.npz");
    run(&format!("commit {model} --model-key m -o m.ztm"));
    run(&format!("commit --input {input} --rows 17 --model m.ztm --input-key x"));
    run(&format!("prove {model} --model-key m --input {input} --rows 17 -o a.ztp"));
    let line = run(&format!("prove {model} --model-key m --input-key x --reveal out[1]>=0 -o b.ztp --json"));
    let id = text(&line.expect(0).json()["model"]);
    run(&format!("verify a.ztp --model {id}"));
    run("inspect a.ztp");
    run("inspect b.ztp --json");
    // Errors talk as well.
    run(&format!("prove {model} --model-key m --input {input} --rows 17 --reveal out[0]>=0"));
    let key = world.read("m/model.key");
    let mut damaged = key.clone();
    damaged[200] ^= 1;
    world.write("m/model.key", &damaged);
    run(&format!("prove {model} --model-key m --input {input} --rows 17"));
    for name in ["a.ztp", "b.ztp", "m.ztm"] {
        seen.push((name.into(), world.read(name)));
    }

    let seed = |bytes: &[u8]| bytes[bytes.len() - 96..bytes.len() - 64].to_vec();
    let input_key = world.read("x/input.key");
    let weights = weights(&key);
    let values = input_key[input_key.len() - 96 - 32..input_key.len() - 96].to_vec();
    for secret in [seed(&key), seed(&input_key), values].into_iter().chain(weights) {
        for spelling in spellings(&secret) {
            assert!(
                contains(&key, &secret) || contains(&input_key, &secret),
                "the test looks for the right bytes"
            );
            for (what, bytes) in &seen {
                assert!(!contains(bytes, &spelling), "{what} holds a secret");
            }
        }
    }
}

#[test]
fn verify_writes_nothing() {
    let world = World::new();
    let id = text(&world.prove("-o p.ztp")["model"]);
    let empty = world.path("empty");
    std::fs::create_dir(&empty).unwrap();
    let verify = |file: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zerotell"));
        command.env_clear().env("HOME", &empty).env("TMPDIR", &empty).current_dir(&empty);
        command.args(["verify", file, "--model", &id]).status().unwrap().code()
    };
    assert_eq!(verify("../p.ztp"), Some(0));
    world.write("bad.ztp", b"ZTPF");
    assert_eq!(verify("../bad.ztp"), Some(1));
    assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0);
}

/// In a network namespace with no interface, not even a loopback that is up.
#[test]
fn verify_needs_no_network() {
    let works = Command::new("unshare").args(["-rn", "true"]).output().is_ok_and(|o| o.status.success());
    if !works {
        skipped("`unshare -rn` is not allowed here, so verify was not run without a network");
        return;
    }
    let world = World::new();
    let id = text(&world.prove("-o p.ztp")["model"]);
    let status = Command::new("unshare")
        .args(["-rn", env!("CARGO_BIN_EXE_zerotell"), "verify", "p.ztp", "--model", &id])
        .current_dir(world.directory.path())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
}
