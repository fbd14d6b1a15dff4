//! What goes wrong around a node: a disk that is full, clocks that are wrong, a dossier as large as any.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dossier::Names;
use node::client::Client;
use node::keys::Keys;

use crate::network::Net;
use crate::world::{skipped, text};

/// Runs a command that begins with other commands.
fn under(words: &[&str], command: &Command) -> Command {
    let mut outer = Command::new(words[0]);
    outer.args(&words[1..]).arg(command.get_program()).args(command.get_args());
    outer.current_dir(command.get_current_dir().expect("a directory"));
    outer.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer
}

/// Mounts a small disk, runs the node on it until it ends, gives the disk more room, and runs the node again.
const SMALL_DISK: &str = r#"
mount -t tmpfs -o size=1400k,mode=0700 tmpfs "$1" || exit 9
out=$2
shift 2
"$@" 2>"$out.words"
echo $? >"$out.code"
mount -o remount,size=64m tmpfs "$(dirname "$out")/data"
exec "$@" 2>"$out.again"
"#;

/// A validator whose disk is full stops and says so; the others go on; with room it goes on too.
#[test]
fn a_full_disk_stops_one_validator_and_loses_nothing() {
    let can = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    if !can.is_ok_and(|ran| ran.status.success()) {
        return skipped("a full disk: this machine lets nobody mount one (unshare -rm)");
    }
    let mut net = Net::founded(4, "");
    net.kill(3);
    let folder = net.world.path("net/validator-3");
    let data = folder.join("data");
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::create_dir(&data).unwrap();
    let (data, out) = (data.display().to_string(), folder.join("ended").display().to_string());
    let words = ["unshare", "-rm", "sh", "-c", SMALL_DISK, "sh", &data, &out];
    let mut node = under(&words, &net.command(3));
    net.nodes[3] = Some(node.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    net.reach(3, 1);

    let code = folder.join("ended.code");
    let mut records = Vec::new();
    for row in 3..15 {
        if code.exists() {
            break;
        }
        let said = net.submit(row % 3, &net.evidence(row), "").expect(0).json();
        assert_eq!(said["verdict"], "accepted");
        records.push(text(&said["statement"]));
    }
    assert!(code.exists(), "{} records do not fill the disk", records.len());
    let words = std::fs::read_to_string(folder.join("ended.words")).unwrap();
    assert_eq!(std::fs::read_to_string(code).unwrap(), "2\n", "{words}");
    assert!(words.contains("see that the disk works and has space"), "{words}");
    // It comes back with all that was decided while it was away.
    let height = net.height(0).unwrap() + 4;
    net.reach(0, height);
    let began = Instant::now();
    while net.height(3).is_none_or(|found| found < height) {
        let words = std::fs::read_to_string(folder.join("ended.again")).unwrap_or_default();
        assert!(began.elapsed() < Duration::from_secs(30), "{words}");
        std::thread::sleep(Duration::from_millis(100));
    }
    for statement in records {
        let path = format!("/v1/records/{statement}");
        assert_eq!(net.get(3, &path).expect("the record")["status"], "accepted");
    }
    assert_eq!(net.submit(3, &net.evidence(20), "").expect(0).json()["verdict"], "accepted");
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// Where Debian's package libfaketime puts its library.
fn faketime() -> Option<String> {
    let folder = format!("/usr/lib/{}-linux-gnu/faketime/libfaketime.so.1", std::env::consts::ARCH);
    Path::new(&folder).exists().then_some(folder)
}

/// One clock is three seconds ahead, then three behind: blocks are made, none from the future, and nobody is punished.
#[test]
fn a_wrong_clock_stops_nothing_and_dates_nothing_ahead() {
    let Some(library) = faketime() else {
        return skipped(
            "wrong clocks: Debian's package libfaketime is not installed (`cargo xtask setup` installs it)",
        );
    };
    let mut net = Net::founded(5, "");
    for (number, skew) in ["+3s", "-3s"].into_iter().enumerate() {
        net.kill(3);
        let preload = format!("LD_PRELOAD={library}");
        let skew = format!("FAKETIME={skew}");
        let mut node = under(&["env", &preload, &skew, "FAKETIME_DONT_FAKE_MONOTONIC=1"], &net.command(3));
        net.nodes[3] = Some(node.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let first = net.height(0).unwrap();
        net.reach(3, first);
        let began = Instant::now();
        let said = net.submit(0, &net.evidence(30 + number), "").expect(0).json();
        assert_eq!(said["verdict"], "accepted");
        while began.elapsed() < Duration::from_secs(5) {
            let tip = net.get(0, "/v1/status").expect("it answers");
            let (time, height) = (tip["time"].as_u64().unwrap(), tip["height"].as_u64().unwrap());
            // Half a second is allowed; the rest is for the machine.
            assert!(time < now() + 600, "block {height} is from {} ms ahead", time - now());
            std::thread::sleep(Duration::from_millis(20));
        }
        net.reach(0, first + 8);
        net.reach(3, first + 8);
    }
    assert_eq!(net.get(1, "/v1/slashes").unwrap()["slashes"], serde_json::json!([]));
}

/// Sixty megabytes of nothing, paid for by their bytes: taken, carried to the others, ordered, judged, and given back by each.
#[test]
fn a_dossier_of_sixty_megabytes_is_judged_like_any_other() {
    let net = Net::founded(6, "--set block_bytes=67000000");
    let said = net.submit(0, &net.evidence(3), "").expect(0).json();
    let record = net.get(0, &format!("/v1/records/{}", text(&said["statement"]))).expect("the record");
    let digest = |value: &serde_json::Value| record::json::unhex(&text(value)).expect("a digest");
    let mut dossier = vec![0; 60 << 20];
    blake3::Hasher::new_keyed(&[7; 32]).finalize_xof().fill(&mut dossier);
    let names = Names {
        statement: [1; 32],
        program: digest(&record["program"]),
        roots: [2; 32],
        revealed: [3; 32],
        context: [4; 32],
        nullifier: [5; 32],
    };
    let client = Client::new(&format!("http://{}", net.address(0)));
    let key = Keys::read(&net.world.path("net/owner")).expect("the owner's keys").signing();
    client.submit(&key, &dossier, &names, 1_000_000, [6; 32], 1).expect("it is taken");
    let verdict = client.verdict(&names.statement, Duration::from_secs(60)).expect("a verdict");
    assert_eq!((verdict.status.as_str(), verdict.code), ("rejected", dossier::code::FORM));
    for i in 0..4 {
        let client = Client::new(&format!("http://{}", net.address(i)));
        let back = client.get(&format!("/v1/records/{}/proof", record::json::hex(&names.statement)));
        assert!(back.expect("it is served") == dossier, "other bytes come back from {i}");
    }
    dossier.resize((64 << 20) + 1, 0);
    let refused = client.upload(&dossier).expect_err("more than any dossier may have");
    assert!(refused.why.contains("bytes"), "{refused}");
}
