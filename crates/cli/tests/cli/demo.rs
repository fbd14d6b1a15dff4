//! The demonstration with validators as processes: it ends well, and tells what happened to whom. And the experiment that
//! measures such a network.

use crate::network::ports;
use crate::world::World;

/// A run of `demo --network`, in a directory that must be empty at the end; its exit code and words.
fn demo(world: &World, more: &str) -> (Option<i32>, String, String) {
    let port = ports(8).to_string();
    let mut command = world.command();
    command.args(["demo", "--network", "--port", &port]).args(more.split_whitespace());
    let ran = command.env("TMPDIR", world.directory.path()).output().expect("it runs");
    assert_eq!(std::fs::read_dir(world.directory.path()).unwrap().count(), 0, "it cleans up");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (ran.status.code(), text(ran.stdout), text(ran.stderr))
}

/// The cells of a validator's row of the last table: before, after, earned, slashed. Each ends where its column's name does.
fn row(out: &str, name: &str) -> [u64; 4] {
    let head = out.lines().find(|line| line.trim_start().starts_with("before")).expect("a table");
    let line = out.lines().find(|line| line.trim_start().starts_with(name)).expect(name);
    let mut begin = line.find(name).expect(name) + name.len();
    ["before", "after", "earned", "slashed"].map(|column| {
        let end = head.find(column).expect(column) + column.len();
        let cell = line[begin..end].replace(' ', "");
        begin = end;
        cell.parse().unwrap_or_else(|e| panic!("{e}: {column} of {line}"))
    })
}

#[test]
fn with_validators_the_honest_are_paid_and_cheats_are_not() {
    let world = World::new();
    let (code, out, err) = demo(&world, "");
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(!out.contains('\u{1b}'), "no colours where there is no terminal");

    // Four honest records: each is accepted, and not without those who look.
    let verdicts: Vec<&str> = out.lines().filter(|line| line.contains("accept by")).collect();
    assert_eq!(verdicts.len(), 4, "{out}");
    assert!(verdicts.iter().all(|line| line.contains(" accepted  accept by 0, 1")), "{out}");

    let slashed = |who: &str| out.matches(&format!("slashed  validator {who} loses")).count();
    assert!(slashed("2 (lazy)") > 0 && slashed("3 (liar)") > 0, "{out}");
    assert_eq!(out.matches("slashed  validator").count(), slashed("2 (lazy)") + slashed("3 (liar)"), "{out}");
    for name in ["0 honest ", "1 honest "] {
        let [_, _, earned, slashed] = row(&out, name);
        assert!(earned > 0 && slashed == 0, "{out}");
    }
    for name in ["2 lazy ", "3 liar "] {
        let [before, after, earned, slashed] = row(&out, name);
        assert!(slashed > 0 && after == before + earned - slashed, "who cheats accuses nobody: {out}");
    }

    // A stranger checks what the network said, and no other byte.
    let certificate = out.lines().find(|line| line.contains("certificate holds:")).expect("a certificate");
    assert!(certificate.contains("accepted at height"), "{certificate}");
    assert!(out.contains("one bit changed: refused:"), "{out}");
}

#[test]
fn too_many_cheats_are_refused_before_anything_begins() {
    let world = World::new();
    for more in
        ["--lazy 2 --lying 1", "--lazy 4", "--validators 3 --lazy 2", "--validators 0", "--validators 33"]
    {
        let (code, out, err) = demo(&world, more);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{more}: {err}");
        let word = if more.contains("lazy") { "two thirds of the stake" } else { "ask for 1 to 32" };
        assert!(err.contains(word), "{more}: {err}");
    }
    // They are of the demonstration with validators.
    world.run("demo --lazy 0").expect(2);
}

/// How fast this machine is decides what holds of S12; that it is asked, and what does not depend on it, is tested.
#[test]
fn s12_measures_real_validators_and_says_what_holds() {
    let world = World::new();
    let words = format!("sim S12 --small --port {}", ports(9));
    let mut command = world.command();
    let ran = command.args(words.split(' ')).env("TMPDIR", world.directory.path()).output().expect("it runs");
    let (out, err) = (String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap());
    let fails = out.contains("- criterion FAILS") || out.contains("- control FAILS");
    assert_eq!(ran.status.code(), Some(i32::from(fails)), "{out}{err}");
    assert!(
        out.starts_with("S12: ") && out.contains("another run, and another machine, give other figures"),
        "{out}"
    );
    for what in [
        "offered at 40 a second, all 40 good records are decided and accepted (",
        "offered as fast as taken, all 40 good records are decided and accepted (",
        "half of them are final within 1000 ms (",
        "99 of 100 are final within 2000 ms (",
    ] {
        assert!(
            out.lines().any(|line| line.starts_with("- criterion") && line.contains(what)),
            "{what}: {out}"
        );
    }
    assert!(out.contains("- criterion holds: a certificate that holds has at most 2048 bytes ("), "{out}");
    assert!(out.contains("- control holds: with one bit changed it does not hold"), "{out}");
    assert!(out.contains("- found: the aim of 150 records a second is "), "{out}");
    for row in ["| records a second |", "| final after, ms: p50 |", "| zkVerify: EZKL proofs a second |"] {
        assert!(out.contains(row), "{row}: {out}");
    }
    assert_eq!(std::fs::read_dir(world.directory.path()).unwrap().count(), 0, "it cleans up");
}
