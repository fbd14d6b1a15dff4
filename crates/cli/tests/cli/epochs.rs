//! Proofs beyond one commitment's openings: epochs, their links, and what a verifier says of them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::world::{World, text};

/// A model with few openings per epoch.
fn committed() -> (World, String, u64) {
    let world = World::new();
    let line =
        world.run(&format!("commit {} --model-key m --openings 4 --json", World::model())).expect(0).json();
    let total = line["openings"].as_u64().unwrap();
    assert!((4..16).contains(&total), "{total}");
    (world, text(&line["model"]), total)
}

fn status(world: &World, key: &str) -> Vec<Value> {
    let line = world.run(&format!("commit --status {key} --json")).expect(0).json();
    line["epochs"].as_array().unwrap().clone()
}

/// The four framed parts of a proof file: Program, links, Statement, proof.
fn parts(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut parts) = (&bytes[6..], Vec::new());
    while let Some((length, more)) = rest.split_first_chunk::<8>() {
        let (part, after) = more.split_at(u64::from_le_bytes(*length) as usize);
        parts.push(part.to_vec());
        rest = after;
    }
    parts
}

fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = b"ZTPF\x03\x00".to_vec();
    for part in parts {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part);
    }
    bytes
}

#[test]
fn proofs_go_on_under_the_same_id() {
    let (world, id, total) = committed();
    let count = 3 * total;
    let mut links = Vec::new();
    for number in 0..count {
        let line = world.prove(&format!("--model-key m -o {number}.ztp"));
        assert_eq!(line["model"], id.as_str());
        links.push(line["links"].as_u64().unwrap());
    }
    assert!(links[0] == 0 && links.iter().any(|&n| n > 0), "{links:?}");
    // Old and new proofs hold under the published ID; links are verified once.
    let mut before = 0;
    for (number, &links) in links.iter().enumerate() {
        let verdict = world.verify(&format!("{number}.ztp"), &format!("--model {id}")).expect(0).json();
        let detail = verdict["checks"].as_array().unwrap().iter().find(|c| c["name"] == "links");
        let detail = detail.map(|c| text(&c["detail"])).unwrap_or_default();
        assert_eq!(detail.is_empty(), links == 0, "{detail}");
        before += usize::from(detail.contains("verified before"));
        let anew = world.verify(&format!("{number}.ztp"), &format!("--model {id} --no-cache")).expect(0);
        assert!(!anew.out.contains("verified before"));
    }
    assert!(before > 0);
    let epochs = status(&world, "m");
    let made = world.run("commit --status m --json").expect(0).json()["made"].as_u64().unwrap();
    assert!(made >= 4, "{epochs:?}");
    assert!(epochs.iter().all(|e| e["used"].as_u64() <= e["openings"].as_u64()), "{epochs:?}");
    assert!(world.run("commit --status m").expect(0).out.contains("left for proofs"));
    // Each proof states the root it opens: none is opened more often than it may.
    let mut opened: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for number in 0..count {
        let statement = parts(&world.read(&format!("{number}.ztp"))).swap_remove(2);
        // One identity and one root of 32 bytes each follow the disclosure.
        let at = statement.windows(4).position(|w| w == [1, 0, 0, 0]).unwrap();
        *opened.entry(statement[at..at + 120].to_vec()).or_insert(0) += 1;
    }
    assert!(opened.len() >= 4 && opened.values().all(|&n| n < total), "{opened:?}");
}

#[test]
fn a_proof_without_its_links_is_refused() {
    let (world, id, total) = committed();
    for _ in 0..total {
        world.prove("--model-key m -o p.ztp");
    }
    let whole = world.read("p.ztp");
    let own = parts(&whole);
    assert_eq!((whole[4], own.len()), (3, 4));
    assert_eq!(joined(&own), whole);
    let refused = |name: &str, bytes: &[u8], code: &str| {
        world.write("bad.ztp", bytes);
        let verdict = world.verify("bad.ztp", &format!("--model {id}")).expect(1).json();
        assert_eq!(verdict["code"], code, "{name}: {verdict}");
    };
    let with = |links: &[u8]| joined(&[own[0].clone(), links.to_vec(), own[2].clone(), own[3].clone()]);
    let without = with(&[]);
    refused("no links", &without, "ZT309");
    // What was accepted once does not make up for links that are not there.
    world.verify("p.ztp", &format!("--model {id}")).expect(0);
    refused("no links, known", &without, "ZT309");
    refused("no part", &joined(&own[..3]), "ZT300");
    refused("empty list", &with(&[1, 0, 0, 0, 0, 0, 0, 0]), "ZT300");
    for version in [1, 2, 4] {
        let mut other = whole.clone();
        other[4] = version;
        refused("another version", &other, "ZT300");
    }
    let mut changed = own.clone();
    let last = changed[1].len() - 1;
    changed[1][last] ^= 1;
    refused("changed", &joined(&changed), "ZT309");
    // The links of another model.
    world.run(&format!("commit {} --model-key other --openings 4", World::model())).expect(0);
    for _ in 0..total {
        world.prove("--model-key other -o other.ztp");
    }
    let mut foreign = own.clone();
    foreign[1] = parts(&world.read("other.ztp")).swap_remove(1);
    refused("foreign", &joined(&foreign), "ZT309");
}

/// The memory of accepted links is this machine's own: entries made elsewhere count for nothing.
#[test]
fn accepted_links_are_not_taken_from_elsewhere() {
    let (world, id, total) = committed();
    for _ in 0..total {
        world.prove("--model-key m -o p.ztp");
    }
    let verify = |home: &str| {
        let mut command = world.command();
        command.env("ZEROTELL_CACHE", world.path("cache")).env("ZEROTELL_HOME", world.path(home));
        let output = command.args(["verify", "p.ztp", "--model", &id]).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().contains("verified before")
    };
    assert_eq!([verify("a"), verify("a"), verify("b"), verify("b")], [false, true, false, true]);
    let path = "cache/links.accepted";
    let whole = world.read(path);
    for at in [0, 9, whole.len() - 40] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        world.write(path, &bytes);
        assert!(!verify("b"), "byte {at}");
    }
}

#[test]
fn provers_in_parallel_go_on_together() {
    let (world, id, total) = committed();
    let runs: Vec<Value> = std::thread::scope(|scope| {
        let world = &world;
        let one = |i: u64| scope.spawn(move || world.prove(&format!("--model-key m -o {i}.ztp")));
        let runs: Vec<_> = (0..2 * total).map(one).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(runs.iter().any(|line| line["links"].as_u64() > Some(0)));
    for i in 0..runs.len() {
        world.verify(&format!("{i}.ztp"), &format!("--model {id}")).expect(0);
    }
    assert!(status(&world, "m").iter().all(|e| e["used"].as_u64() <= e["openings"].as_u64()));
}

/// Sets what is used of the identity of a key.
fn set_used(world: &World, key: &str, used: u64) {
    let name = format!("{key}/budget");
    let mut bytes = world.read(&name);
    bytes[122..130].copy_from_slice(&used.to_le_bytes());
    let body = bytes.len() - 32;
    let checksum = *blake3::hash(&bytes[..body]).as_bytes();
    bytes[body..].copy_from_slice(&checksum);
    world.write(&name, &bytes);
}

#[test]
fn committed_inputs_have_epochs_too() {
    let world = World::new();
    let model = text(
        &world.run(&format!("commit {} --model-key m --json", World::model())).expect(0).json()["model"],
    );
    let input = crate::world::asset("bc_test.npz");
    let commit = format!("commit --input {input} --rows 17 --model m/model.ztm --input-key x --json");
    let line = world.run(&commit).expect(0).json();
    let (id, total) = (text(&line["input"]), line["openings"].as_u64().unwrap());
    // One proof is left of the half that is for proofs.
    set_used(&world, "x", total - total / 2 - 1);
    for links in [0, 1] {
        let line = world.prove("--model-key m --input-key x -o p.ztp");
        assert_eq!(line["links"].as_u64(), Some(links));
        world.verify("p.ztp", &format!("--model {model} --input-id {id}")).expect(0);
    }
    assert_eq!(status(&world, "x").len(), 2);
    assert_eq!(status(&world, "m").len(), 1);
}

/// A certificate of ranges made in a later epoch holds for the model, with the links it carries.
#[test]
fn certificates_of_later_epochs_hold() {
    let (world, id, total) = committed();
    for _ in 0..total {
        world.prove("--model-key m -o p.ztp");
    }
    world.run(&format!("certify {} --model-key m", World::model())).expect(0);
    let ranges = "--ranges m/model.ztr";
    world.verify("p.ztp", &format!("--model {id} {ranges}")).expect(0);
    let mut bytes = world.read("m/model.ztr");
    // Somewhere in the first link's proof.
    bytes[2_000] ^= 1;
    world.write("m/model.ztr", &bytes);
    world.verify("p.ztp", &format!("--model {id} {ranges}")).expect(1);
}
