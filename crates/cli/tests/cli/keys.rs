//! Key directories: permissions, damage, budgets, several writers.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::world::{World, asset, text};

fn committed() -> World {
    let world = World::new();
    world.run(&format!("commit {} --model-key m", World::model())).expect(0);
    world
}

fn prove(world: &World, file: &str) -> String {
    format!("prove {} --input {} --rows 17 --model-key m -o {file}", World::model(), asset("bc_test.npz"))
        .replace("m -o", &format!("{} -o", world.path("m").display()))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// (total, used) of the identity: two u64 after name, version, two counts, number, roots and seed.
fn counts(world: &World) -> (u64, u64) {
    let bytes = world.read("m/budget");
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    (number(114), number(122))
}

/// Writes the count as a killed or finished prover would have left it.
fn set_used(world: &World, used: u64) {
    let mut bytes = world.read("m/budget");
    bytes[122..130].copy_from_slice(&used.to_le_bytes());
    let body = bytes.len() - 32;
    let checksum = *blake3::hash(&bytes[..body]).as_bytes();
    bytes[body..].copy_from_slice(&checksum);
    world.write("m/budget", &bytes);
}

#[test]
fn only_the_owner_can_reach_secrets() {
    let world = committed();
    assert_eq!(mode(&world.path("m")), 0o700);
    for name in ["model.key", "budget", "model.ztm", "report.json"] {
        assert_eq!(mode(&world.path("m").join(name)), 0o600, "{name}");
    }
    for (path, loose, right) in
        [("m", 0o755, 0o700), ("m/model.key", 0o644, 0o600), ("m/budget", 0o640, 0o600)]
    {
        let set = |mode| std::fs::set_permissions(world.path(path), PermissionsExt::from_mode(mode)).unwrap();
        set(loose);
        let refused = world.run(&prove(&world, "p.ztp")).expect(3);
        assert!(refused.err.contains("chmod"), "{}", refused.err);
        set(right);
    }
    assert!(!world.path("p.ztp").exists());
    world.run(&prove(&world, "p.ztp")).expect(0);
}

#[test]
fn a_damaged_key_never_proves() {
    let world = committed();
    let whole = world.read("m/model.key");
    for i in 0..24 {
        let at = i * (whole.len() - 1) / 23;
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        world.write("m/model.key", &bytes);
        let refused = world.run(&prove(&world, "p.ztp")).expect(3);
        assert!(refused.err.contains("ZT206") && refused.err.contains("fix:"), "byte {at}: {}", refused.err);
    }
    for end in [0, 5, 100, whole.len() - 1] {
        world.write("m/model.key", &whole[..end]);
        world.run(&prove(&world, "p.ztp")).expect(3);
    }
    // Another seed, a weight changed, under a right checksum: the root tells.
    let body = whole.len() - 32;
    for at in [body - 64, body - 66, body - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let checksum = *blake3::hash(&bytes[..body]).as_bytes();
        bytes[body..].copy_from_slice(&checksum);
        world.write("m/model.key", &bytes);
        let refused = world.run(&prove(&world, "p.ztp")).expect(3);
        assert!(refused.err.contains("root"), "{}", refused.err);
    }
    assert!(!world.path("p.ztp").exists());
    world.write("m/model.key", &whole);
    world.run(&prove(&world, "p.ztp")).expect(0);
}

#[test]
fn a_lost_or_foreign_budget_never_proves() {
    let world = committed();
    let own = world.read("m/budget");
    std::fs::remove_file(world.path("m/budget")).unwrap();
    world.run(&prove(&world, "p.ztp")).expect(3);
    world.run(&format!("commit {} --model-key other", World::model())).expect(0);
    world.write("m/budget", &world.read("other/budget"));
    std::fs::set_permissions(world.path("m/budget"), PermissionsExt::from_mode(0o600)).unwrap();
    let refused = world.run(&prove(&world, "p.ztp")).expect(3);
    assert!(refused.err.contains("another key"), "{}", refused.err);
    for at in [0, 40, 46, 60] {
        let mut bytes = own.clone();
        bytes[at] ^= 1;
        world.write("m/budget", &bytes);
        world.run(&prove(&world, "p.ztp")).expect(3);
    }
    assert!(!world.path("p.ztp").exists());
}

/// A commitment with no room for links ends, and says so.
#[test]
fn a_used_up_budget_is_refused_with_the_remedy() {
    let world = World::new();
    let small = format!("commit {} --model-key m --openings 1 --json", World::model());
    let total = world.run(&small).expect(0).json()["openings"].as_u64().unwrap();
    assert!((1..4).contains(&total), "{total}");
    for _ in 0..total {
        world.run(&prove(&world, "last.ztp")).expect(0);
    }
    let refused = world.run(&prove(&world, "p.ztp")).expect(2);
    for words in ["ZT207", "this makes a new model ID", "--openings"] {
        assert!(refused.err.contains(words), "{}", refused.err);
    }
    assert!(!world.path("p.ztp").exists());
    // A fresh commitment with more room has another ID.
    let more = world
        .run(&format!("commit {} --model-key more --openings 200 --json", World::model()))
        .expect(0)
        .json();
    assert!(more["openings"].as_u64().unwrap() >= 200);
}

/// A prover killed after reserving and before proving leaves only the count: it stays used.
#[test]
fn a_reservation_without_a_proof_is_lost() {
    let world = committed();
    set_used(&world, 5);
    world.run(&prove(&world, "p.ztp")).expect(0);
    assert_eq!(counts(&world).1, 6);
    // A temporary file left by a killed writer is no budget.
    world.write("m/.budget.0011.tmp", b"half");
    world.run(&prove(&world, "p.ztp")).expect(0);
    assert_eq!(counts(&world).1, 7);
}

#[test]
fn two_commits_into_one_directory_make_one_key() {
    let world = World::new();
    let commit = format!("commit {} --model-key m --json", World::model());
    world.run(&commit).expect(0);
    std::fs::remove_dir_all(world.path("m")).unwrap();
    let runs: Vec<_> = std::thread::scope(|scope| {
        let (world, commit) = (&world, &commit);
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(move || world.run(commit))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let ids: Vec<String> = runs.iter().filter(|r| r.code == 0).map(|r| text(&r.json()["model"])).collect();
    let after = text(&world.run(&commit).expect(0).json()["model"]);
    assert!(ids.len() == 4 && ids.iter().all(|id| *id == after), "{ids:?} {after}");
}

#[test]
fn the_key_of_another_model_is_refused() {
    let world = committed();
    let digits = format!(
        "prove {} --calibrate {} --input {} --rows 0 --model-key m",
        asset("digits_cnn.onnx"),
        asset("digits_calib.npz"),
        asset("digits_test.npz")
    );
    assert!(world.run(&digits).expect(2).err.contains("ZT209"));
    // The same model, compiled otherwise.
    let other = prove(&world, "p.ztp") + " --precision 7";
    assert!(world.run(&other).expect(2).err.contains("ZT209"));
    // Without calibration data the key's own program is used.
    let input = asset("bc_test.npz");
    let model = asset("bc_mlp.onnx");
    world.run(&format!("prove {model} --input {input} --rows 3 --model-key m -o p.ztp")).expect(0);
}

#[test]
fn committed_inputs_have_their_own_budget_and_checks() {
    let world = committed();
    let input = asset("bc_test.npz");
    let commit = |key: &str, row: u32| {
        let arguments =
            format!("commit --input {input} --rows {row} --model m/model.ztm --input-key {key} --json");
        world.run(&arguments)
    };
    let id = text(&commit("x", 17).expect(0).json()["input"]);
    let other = text(&commit("y", 17).expect(0).json()["input"]);
    assert_ne!(id, other, "a fresh key hides that it is the same input");
    commit("x", 17).expect(2);
    assert_eq!(mode(&world.path("x")), 0o700);
    assert_eq!(mode(&world.path("x/input.key")), 0o600);
    let prove = format!("prove {} --model-key m --input-key x -o p.ztp --json", World::model());
    let line = world.run(&prove).expect(0).json();
    let model = text(&line["model"]);
    world.verify("p.ztp", &format!("--model {model} --input-id {id}")).expect(0);
    let verdict = world.verify("p.ztp", &format!("--model {model} --input-id {other}")).expect(1).json();
    assert_eq!(verdict["code"], "ZT303");
    // Another row than the committed one.
    world.run(&format!("{prove} --input {input} --rows 16")).expect(2);
    world.run(&format!("{prove} --input {input} --rows 17")).expect(0);
    let mut bytes = world.read("x/input.key");
    bytes[60] ^= 1;
    world.write("x/input.key", &bytes);
    assert!(world.run(&prove).expect(3).err.contains("ZT206"));
}

#[test]
fn a_damaged_cache_entry_is_compiled_again() {
    let world = World::new();
    let cache = world.path("cache");
    let arguments = format!("compile {} --json", World::model());
    let run = || {
        let output =
            world.command().args(arguments.split(' ')).env("ZEROTELL_CACHE", &cache).output().unwrap();
        let line = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str::<serde_json::Value>(line.lines().last().unwrap()).unwrap()
    };
    let (first, second) = (run(), run());
    assert_eq!((&first["cached"], &second["cached"]), (&false.into(), &true.into()));
    assert_eq!(mode(&cache), 0o700);
    let entry = std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().path();
    assert_eq!(mode(&entry), 0o600);
    let mut bytes = std::fs::read(&entry).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&entry, bytes).unwrap();
    let third = run();
    assert_eq!(third["cached"], false);
    assert_eq!((&first["program"], &first["program"]), (&second["program"], &third["program"]));
}
