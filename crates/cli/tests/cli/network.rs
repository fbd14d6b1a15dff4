//! Validators as processes: submitting, killing, damaging, and what strangers send.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::{Ran, World, asset, text};

/// Tests that have ports of their own.
const TESTS: u16 = 14;

/// The first of ten ports that no other test, and hardly another run of the tests, uses.
pub fn ports(test: u16) -> u16 {
    assert!(test < TESTS, "raise the number of tests");
    let run = u16::try_from(std::process::id() % 150).expect("below 150");
    10_000 + (run * TESTS + test) * 10
}

/// The word after a name, on the line that begins with it.
pub fn part(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name)).expect("a line");
    line.split_whitespace().nth(1).expect("a value").to_string()
}

/// Processes that end with the test.
pub struct Net {
    /// Their files.
    pub world: World,
    /// What runs of them.
    pub nodes: Vec<Option<Child>>,
    port: u16,
}

impl Drop for Net {
    fn drop(&mut self) {
        for node in self.nodes.iter_mut().flatten() {
            let _ = node.kill();
            let _ = node.wait();
        }
    }
}

impl Net {
    /// Four validators. Tests run beside each other: each has its own ports.
    pub fn new(test: u16) -> Self {
        let port = ports(test);
        let world = World::new();
        world.run(&format!("net new --directory net --port {port}")).expect(0);
        let mut net = Self { world, nodes: vec![None, None, None, None], port };
        (0..4).for_each(|i| net.start(i));
        net
    }

    /// Four validators as on four machines: keys, a genesis with these parameters, configurations.
    pub fn founded(test: u16, set: &str) -> Self {
        Self::with(test, 4, set, 0)
    }

    /// One validator, which decides alone.
    pub fn alone(test: u16, set: &str) -> Self {
        Self::with(test, 1, set, 0)
    }

    /// One validator of a network that began so many days ago, and made no block since.
    pub fn aged(test: u16, days: u64, set: &str) -> Self {
        Self::with(test, 1, set, days)
    }

    fn with(test: u16, validators: u16, set: &str, days: u64) -> Self {
        let world = World::new();
        let keys: Vec<(String, String)> = (0..validators)
            .map(|i| world.run(&format!("node key net/validator-{i}/keys")).expect(0).out)
            .map(|out| (part(&out, "account"), part(&out, "consensus")))
            .collect();
        let owner = part(&world.run("node key net/owner --account-only").expect(0).out, "account");
        let port = ports(test);
        let founder = |(i, (account, key)): (u16, &(String, String))| {
            format!("--founder {account},{key},2000000000000,127.0.0.1:{}", port + 2 * i)
        };
        let founders: Vec<String> = (0..).zip(&keys).map(founder).collect();
        let set = format!("{set} --set commit_blocks=4 --set reveal_blocks=4 --set dissent=3333");
        let purse = |(account, _): &(String, String)| format!("--balance {account},1000000000000");
        let purses: Vec<String> = keys.iter().map(purse).collect();
        let words = format!(
            "node genesis {} {} --balance {owner},1000000000000000 {set} -o net/genesis.bin",
            founders.join(" "),
            purses.join(" ")
        );
        world.run(&words).expect(0);
        let mut genesis: ledger::Genesis =
            certify::decode(&world.read("net/genesis.bin")).expect("a genesis");
        genesis.time -= days * 24 * 3_600_000;
        world.write("net/genesis.bin", &certify::encode(&genesis));
        for i in 0..validators {
            let peer = |j: u16| format!("--peer {}@127.0.0.1:{}", keys[usize::from(j)].0, port + 2 * j);
            let peers: Vec<String> = (0..validators).filter(|j| *j != i).map(peer).collect();
            let (listen, http) = (port + 2 * i, port + 2 * i + 1);
            let words = format!(
                "node config --genesis ../genesis.bin --listen 127.0.0.1:{listen} --http 127.0.0.1:{http} {} \
                 -o net/validator-{i}/node.toml",
                peers.join(" ")
            );
            world.run(&words).expect(0);
            // No waiting between blocks: the test wants epochs, not rest.
            let path = world.path(&format!("net/validator-{i}/node.toml"));
            let config = std::fs::read_to_string(&path).unwrap();
            let config =
                config.replace("block_ms = 100", "block_ms = 50").replace("idle_ms = 500", "idle_ms = 50");
            std::fs::write(path, config).unwrap();
        }
        let count = usize::from(validators);
        let mut net = Self { world, nodes: (0..count).map(|_| None).collect(), port };
        (0..count).for_each(|i| net.start(i));
        (0..count).for_each(|i| net.reach(i, 1));
        net
    }

    /// A validator's configuration.
    pub fn config(&self, i: usize) -> PathBuf {
        self.world.path(&format!("net/validator-{i}/node.toml"))
    }

    /// What starts a validator.
    pub fn command(&self, i: usize) -> Command {
        let mut command = self.world.command();
        command.args(["node", "run", "--config"]).arg(self.config(i));
        command
    }

    /// Starts a validator.
    pub fn start(&mut self, i: usize) {
        let mut command = self.command(i);
        self.nodes[i] = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    /// SIGKILL: nothing is said to it, nothing is written.
    pub fn kill(&mut self, i: usize) {
        let mut node = self.nodes[i].take().unwrap();
        node.kill().unwrap();
        node.wait().unwrap();
    }

    /// Where others reach a validator; the fifth has joined.
    pub fn peer_address(&self, i: usize) -> String {
        format!("127.0.0.1:{}", self.port_of(i))
    }

    /// A validator's HTTP address.
    pub fn address(&self, i: usize) -> String {
        format!("127.0.0.1:{}", self.port_of(i) + 1)
    }

    fn port_of(&self, i: usize) -> u16 {
        self.port + 2 * i as u16
    }

    /// A request as bytes; the status and the body of the answer.
    pub fn raw(&self, i: usize, request: &[u8]) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.address(i)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
        stream.write_all(request).ok()?;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.split(' ').nth(1)?.parse().ok()?;
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_string())?;
        Some((status, body))
    }

    /// A JSON answer.
    pub fn get(&self, i: usize, path: &str) -> Option<Value> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let (status, body) = self.raw(i, request.as_bytes())?;
        (status == 200).then(|| serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}")))
    }

    /// Height of the newest final block.
    pub fn height(&self, i: usize) -> Option<u64> {
        self.get(i, "/v1/status")?["height"].as_u64()
    }

    /// Waits for a height.
    pub fn reach(&self, i: usize, height: u64) {
        let began = Instant::now();
        while self.height(i).is_none_or(|found| found < height) {
            assert!(began.elapsed() < Duration::from_secs(90), "validator {i} is at {:?}", self.height(i));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until an answer is as it should be.
    pub fn until(&self, i: usize, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let found = self.get(i, path);
            if let Some(found) = found.clone().filter(&holds) {
                return found;
            }
            assert!(began.elapsed() < Duration::from_secs(90), "{path} of validator {i}: {found:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Evidence of a proof of this patient, made now.
    pub fn evidence(&self, row: usize) -> String {
        let (proof, evidence) = (format!("{row}.ztp"), format!("{row}.zte"));
        if !self.world.path("k").exists() {
            self.world.run("key new k").expect(0);
        }
        let input = asset("bc_test.npz");
        let words = format!(
            "prove {} --input {input} --rows {row} --reveal label --model-key m -o {proof}",
            World::model()
        );
        self.world.run(&words).expect(0);
        self.world.run(&format!("evidence {proof} --key k -o {evidence}")).expect(0);
        evidence
    }

    /// Submits evidence as the owner, and waits.
    pub fn submit(&self, i: usize, evidence: &str, more: &str) -> Ran {
        let node = format!("http://{}", self.address(i));
        let words = format!(
            "submit {evidence} --node {node} --key net/owner --genesis net/genesis.bin --wait --json {more}"
        );
        self.world.run(&words)
    }
}

/// Evidence with a certificate in it is checked with its network, and not without.
fn evidence_says_who_voted(net: &Net, statement: &Value) {
    let verified = net.world.run("verify with.zte --genesis net/genesis.bin --json").expect(0).json();
    assert_eq!(verified["verdict"], "accepted");
    let told = &verified["network"];
    assert_eq!((&told["statement"], told["votes"]["seats"].as_u64()), (statement, Some(4)), "{told}");
    assert!(verified["checks"].as_array().unwrap().iter().any(|check| check["name"] == "verdicts"));
    let unknown = net.world.run("verify with.zte --json").expect(1).json();
    assert!(unknown["code"] == "ZT314" && unknown["network"].is_null(), "{unknown}");
}

/// What a node tells after the first record: how many there are, who is connected, and what the seats were paid.
fn tells(net: &Net) {
    let status = net.until(0, "/v1/status", |status| status["peers"] == 3);
    assert_eq!((&status["records"], &status["peersConfigured"]), (&json!(1), &json!(3)));
    let paid = |found: &Value| found["earned"]["total"].as_str().unwrap().parse::<u64>().unwrap();
    let all = |found: &Value| found["validators"].as_array().unwrap().iter().map(paid).collect::<Vec<_>>();
    // Three are two thirds; one may have been late.
    let is_paid = |found: &Value| all(found).iter().filter(|paid| **paid > 0).count() >= 3;
    let seats = net.until(0, "/v1/validators", is_paid);
    assert_eq!((seats["since"].as_u64(), all(&seats).len()), (Some(0), 4));
    let one = seats["validators"].as_array().unwrap().iter().find(|one| paid(one) > 0).unwrap();
    assert_eq!((&one["earned"]["epoch"], &one["earned"]["slashed"]), (&one["earned"]["total"], &json!("0")));
    let own = net.get(0, &format!("/v1/accounts/{}", text(&one["account"]))).unwrap();
    assert_eq!((&own["earned"], &own["since"]), (&one["earned"], &seats["since"]));
}

/// Submits without --key and --genesis, where there is no network in the place in which `net up` makes it, then another's,
/// then the node's.
fn pays_from_here(net: &Net, evidence: &str) -> Value {
    let node = format!("--node http://{}", net.address(2));
    let plain = format!("submit {evidence} {node} --wait --json -o with.zte");
    let refused = |word: &str| {
        let ran = net.world.run(&plain).expect(2);
        assert!(ran.err.contains("--key") && ran.err.contains(word), "{}", ran.err);
    };
    refused("no network in zerotell-net");
    net.world.run("net new --directory other --validators 1 --port 7000").expect(0);
    let here = net.world.path("zerotell-net");
    std::os::unix::fs::symlink(net.world.path("other"), &here).unwrap();
    refused("is not the node's");
    std::fs::remove_file(&here).unwrap();
    std::os::unix::fs::symlink(net.world.path("net"), &here).unwrap();
    let ran = net.world.run(&plain).expect(0);
    assert_eq!(ran.err.trim(), "using --key zerotell-net/owner --genesis zerotell-net/genesis.bin");
    let said = ran.json();
    assert_eq!((&said["verdict"], &said["checked"]), (&json!("accepted"), &json!(true)));
    // Other verbs pay from there too.
    let to = text(&net.get(2, "/v1/validators").unwrap()["validators"][0]["account"]);
    let ran = net.world.run(&format!("account transfer {to} 5 {node} --wait --json")).expect(0);
    assert!(ran.err.contains("using --key zerotell-net/owner"), "{}", ran.err);
    assert_eq!(ran.json()["final"], true);
    said
}

/// From evidence to a certificate that a stranger checks; then a validator is killed, misses records, and comes back; then
/// one loses its data.
#[test]
fn certificates_and_kill_nine() {
    let mut net = Net::new(0);
    (0..4).for_each(|i| net.reach(i, 1));
    let evidence = net.evidence(3);
    let first = net.submit(0, &evidence, "-o a.ztc").expect(0).json();
    assert_eq!((first["verdict"].as_str(), first["checked"].as_bool()), (Some("accepted"), Some(true)));
    assert!(first["certificate_bytes"].as_u64().unwrap() <= 3072);
    let certify =
        format!("certify a.ztc --genesis net/genesis.bin --evidence {evidence} --pin pin.bin --json");
    let said = net.world.run(&certify).expect(0).json();
    assert_eq!(said["statement"], first["statement"]);
    net.world.run("certify a.ztc --checkpoint pin.bin --json").expect(0);
    let said = net.world.run("certify a.ztc --checkpoint pin.bin --cose a.cbor --json").expect(0).json();
    let receipt = certify::receipt::Receipt::decode(&net.world.read("a.cbor")).expect("a receipt");
    assert_eq!(said["receipt_bytes"].as_u64(), Some(net.world.read("a.cbor").len() as u64));
    assert_eq!(Some(receipt.header.height), said["height"].as_u64());
    net.world.run("certify a.ztc").expect(2);
    // A changed byte is refused, wherever it is.
    let bytes = std::fs::read(net.world.path("a.ztc")).unwrap();
    for at in [0, 9, 60, 200, bytes.len() / 2, bytes.len() - 1] {
        let mut other = bytes.clone();
        other[at] ^= 1;
        std::fs::write(net.world.path("b.ztc"), other).unwrap();
        let code = net.world.run("certify b.ztc --genesis net/genesis.bin").code;
        assert!(code != 0, "byte {at}");
    }
    tells(&net);
    // The same statement again is refused, and the same proof under another statement.
    net.submit(0, &evidence, "").expect(2);
    net.world.run("evidence 3.ztp --key k -o again.zte").expect(0);
    assert!(net.submit(0, "again.zte", "").expect(2).out.contains("nullifier"));

    // Killed while records come in: what was answered is there after it.
    net.kill(1);
    let status = net.until(0, "/v1/status", |status| status["peers"] == 2);
    assert_eq!(status["peersConfigured"], 3);
    let second = net.evidence(4);
    let second = pays_from_here(&net, &second);
    evidence_says_who_voted(&net, &second["statement"]);
    let height = net.height(2).unwrap();
    net.start(1);
    net.reach(1, height);
    let path = format!("/v1/records/{}", second["statement"].as_str().unwrap());
    assert_eq!(net.get(1, &path).unwrap()["status"], "accepted");
    net.kill(0);
    net.start(0);
    net.reach(0, height);
    assert_eq!(net.get(0, &path).unwrap()["status"], "accepted");

    // A damaged database is refused with what to do; without it the node fetches the chain again.
    net.kill(3);
    let data = net.world.path("net/validator-3/data");
    let database = data.join("node.redb");
    let length = std::fs::metadata(&database).unwrap().len();
    std::fs::write(&database, vec![7; usize::try_from(length).unwrap()]).unwrap();
    let refused = net.command(3).output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && words.contains("move the directory away"), "{words}");
    std::fs::rename(&data, net.world.path("moved")).unwrap();
    net.start(3);
    net.reach(3, height);
    assert_eq!(net.get(3, &path).unwrap()["status"], "accepted");
    let block = |i| net.get(i, &format!("/v1/blocks/{height}")).unwrap()["digest"].clone();
    assert!((1..4).all(|i| block(i) == block(0)), "one history");
}

/// The body of an answer, as bytes. A node that catches up has no certificate for its newest block yet: it is asked again.
fn file_of(net: &Net, i: usize, path: &str) -> Vec<u8> {
    let began = Instant::now();
    loop {
        let mut stream = TcpStream::connect(net.address(i)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let start = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        if answer.starts_with(b"HTTP/1.1 200") {
            return answer.split_off(start);
        }
        let words = String::from_utf8_lossy(&answer).into_owned();
        assert!(words.starts_with("HTTP/1.1 503") && began.elapsed() < Duration::from_secs(60), "{words}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A checkpoint that a node names: in hexadecimal as the node has it, its epoch, and a file of it.
fn named(net: &Net, i: usize, file: &str) -> (String, u64) {
    let named = net.get(i, "/v1/checkpoint?latest=true").unwrap();
    let digits = text(&named["checkpoint"]);
    let byte = |i: usize| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap();
    net.world.write(file, &(0..digits.len() / 2).map(byte).collect::<Vec<u8>>());
    // The others know of it too.
    let height = named["height"].as_u64().unwrap();
    (0..3).for_each(|i| net.reach(i, height + 1));
    (digits, named["epoch"].as_u64().unwrap())
}

/// Files that rest on a pin of this epoch or pass through it are good, and others say why they are not.
fn certificates_from_a_pin(net: &Net, path: &str, epoch: u64) {
    net.world.write("whole.ztc", &file_of(net, 0, path));
    let whole = net.world.run("certify whole.ztc --genesis net/genesis.bin --json").expect(0).json();
    assert!(whole["handovers"].as_u64().unwrap() >= 3, "{whole}");
    let votes = &whole["votes"];
    assert_eq!(votes["seats"], 4, "{votes}");
    assert_eq!(votes["epoch"].as_u64(), votes["height"].as_u64().map(|height| height / 12));
    let accepted = votes["accept"].as_u64().unwrap();
    assert!((3..=4).contains(&accepted) && votes["reject"] == 0, "{votes}");
    assert_eq!(votes["accepted_by"].as_array().map(Vec::len), usize::try_from(accepted).ok());

    net.world.write("short.ztc", &file_of(net, 2, &format!("{path}?from={epoch}")));
    net.world.run("certify short.ztc --checkpoint pin.bin").expect(0);
    let words = "certify whole.ztc --checkpoint pin.bin --pin next.bin --json";
    let through = net.world.run(words).expect(0).json();
    assert_eq!(through["handovers"].as_u64(), through["epoch"].as_u64().map(|ends| ends - epoch));
    assert_eq!((&through["statement"], &through["height"]), (&whole["statement"], &whole["height"]));
    // Whose the votes were is not believed from before the pin.
    let votes = &through["votes"];
    assert_eq!((votes["accept"].as_u64(), &votes["accepted_by"]), (Some(accepted), &Value::Null));
    net.world.run("certify whole.ztc --checkpoint next.bin").expect(0);

    // Not from another checkpoint of the epoch, and not from one that the file does not reach back to.
    let refused = |words: &str, why: &str| {
        let refused = net.world.run(&format!("certify {words} --json")).expect(1).json();
        assert!(text(&refused["why"]).contains(why), "{words}: {refused}");
        text(&refused["fix"])
    };
    let mut other = net.world.read("pin.bin");
    *other.last_mut().unwrap() ^= 1;
    net.world.write("other.bin", &other);
    refused("whole.ztc --checkpoint other.bin", "nor passes through it");
    refused("short.ztc --checkpoint other.bin", "nor passes through it");
    let fix = refused("short.ztc --genesis net/genesis.bin", &format!("begins in epoch {epoch}"));
    assert!(fix.contains("--from 0"), "{fix}");
}

/// Short epochs: certificates over several hand-overs, and from a checkpoint that a node names.
#[test]
fn epochs_and_handovers() {
    let mut net = Net::founded(2, "--set epoch_blocks=12");
    let evidence = net.evidence(5);
    let said = net.submit(3, &evidence, "").expect(0).json();
    let record = format!("/v1/records/{}", text(&said["statement"]));
    let path = format!("{record}/certificate");
    // The pin is of a later epoch than the verdict.
    let decided = net.get(3, &record).unwrap()["finalHeight"].as_u64().unwrap();
    net.reach(1, 40.max(decided + 12));
    let (digits, epoch) = named(&net, 1, "pin.bin");
    certificates_from_a_pin(&net, &path, epoch);

    // A validator without data begins with another's state, if its history passes the checkpoint that it was told.
    net.kill(3);
    let data = net.world.path("net/validator-3/data");
    std::fs::remove_dir_all(&data).unwrap();
    let config = net.config(3);
    let old = std::fs::read_to_string(&config).unwrap();
    let with = |checkpoint: &str| {
        let sync = format!("sync = \"http://{}\"\ncheckpoint = \"{checkpoint}\"\n", net.address(1));
        std::fs::write(&config, sync + &old).unwrap();
    };
    let last = if digits.ends_with('0') { "1" } else { "0" };
    with(&format!("{}{last}", &digits[..digits.len() - 1]));
    let refused = net.command(3).output().unwrap();
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && words.contains("pinned checkpoint"), "{words}");
    with("no checkpoint");
    assert_eq!(net.command(3).output().unwrap().status.code(), Some(2));
    with(&digits);
    let height = net.height(0).unwrap();
    net.start(3);
    net.reach(3, height + 12);
    assert!(net.get(3, "/v1/blocks/1").is_none(), "it did not execute the chain again");
    assert_eq!(net.get(3, &record).unwrap()["status"], "accepted");
    // It knows the records from before, and counts what is earned from there.
    assert_eq!(net.get(3, "/v1/status").unwrap()["records"], net.get(0, "/v1/status").unwrap()["records"]);
    let since = |i| net.get(i, "/v1/validators").unwrap()["since"].as_u64().unwrap();
    assert!(since(0) == 0 && (height..net.height(3).unwrap()).contains(&since(3)), "{}", since(3));
    net.world.write("late.ztc", &file_of(&net, 3, &path));
    net.world.run("certify late.ztc --genesis net/genesis.bin").expect(0);
    // It has no blocks from before, and knows the hand-overs all the same.
    net.world.write("late.ztc", &file_of(&net, 3, &format!("{path}?from={epoch}")));
    net.world.run("certify late.ztc --checkpoint pin.bin").expect(0);
    let fetch = format!("fetch checkpoint pin.bin --node http://{} --json", net.address(3));
    let moved = net.world.run(&fetch).expect(0).json();
    assert!(moved["written"] == true && moved["epoch"].as_u64() > Some(epoch), "{moved}");
    // And it still has it after it was killed.
    net.kill(3);
    net.start(3);
    net.reach(3, height + 24);
    // It votes as before: records get their verdict without another that is down.
    net.kill(0);
    let evidence = net.evidence(6);
    assert_eq!(net.submit(3, &evidence, "").expect(0).json()["verdict"], "accepted");
}

/// What a stranger may send: too much, too slowly, nonsense. The node goes on.
#[test]
fn strangers_are_answered_and_bounded() {
    let net = Net::new(1);
    net.reach(0, 1);
    let status = |request: &str| net.raw(0, request.as_bytes()).map(|(status, _)| status);
    let get = |path: &str| status(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"));
    assert_eq!(get("/v1/nothing"), Some(404));
    assert_eq!(get("/v1/blocks/x"), Some(400));
    assert_eq!(get("/v1/blocks/99999999"), Some(404));
    assert_eq!(get("/v1/blocks?limit=0"), Some(400));
    assert_eq!(get("/v1/blocks?limit=101"), Some(400));
    assert_eq!(get("/v1/blocks?limit=x"), Some(400));
    assert_eq!(get("/v1/records/%ff"), Some(400));
    assert_eq!(get("/v1/records/abc"), Some(400));
    assert_eq!(get(&format!("/v1/records/{}", "0".repeat(64))), Some(404));
    assert_eq!(get(&format!("/v1/accounts/{}", "0".repeat(64))), Some(200));
    assert_eq!(get("/v1/checkpoint?latest=perhaps"), Some(400));
    assert_eq!(get("/"), Some(200));
    assert_eq!(get("/openapi.json"), Some(200));
    assert_eq!(get("/metrics"), Some(200));
    assert_eq!(get("/assets/../../etc/passwd"), Some(404));
    let post = |body: &str, length: usize| {
        let head = "POST /v1/transactions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ";
        status(&format!("{head}{length}\r\n\r\n{body}"))
    };
    assert_eq!(post("", 0), Some(400));
    assert_eq!(post("nonsense", 8), Some(400));
    assert_eq!(post(&"x".repeat(65_536), 65_536), Some(400));
    assert_eq!(post(&"x".repeat(70_000), 70_000), Some(413));
    assert_eq!(post("", usize::MAX), Some(431));
    let put = |path: &str, body: &str| {
        let head = format!("PUT {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: ");
        status(&format!("{head}{}\r\n\r\n{body}", body.len()))
    };
    assert_eq!(put(&format!("/v1/proofs/{}", "0".repeat(64)), "abc"), Some(400));
    assert_eq!(put(&format!("/v1/programs/{}", "0".repeat(64)), "abc"), Some(400));
    let name = blake3::hash(b"abc").to_hex().to_string();
    assert_eq!(put(&format!("/v1/proofs/{name}"), "abc"), Some(201));
    assert_eq!(status("DELETE /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"), Some(405));
    // A head that never ends is cut off; others are served meanwhile.
    let mut slow: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(net.address(0)).expect("a connection")).collect();
    slow.iter_mut().for_each(|s| s.write_all(b"GET / HTTP/1.1\r\nx: ").expect("a few bytes"));
    assert_eq!(get("/v1/status"), Some(200));
    let mut rest = Vec::new();
    slow[0].set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let cut = slow[0].read_to_end(&mut rest);
    assert!(cut.is_ok(), "the connection was not ended: {cut:?}");
    let height = net.height(0).expect("it answers");
    net.reach(0, height + 2);
}

/// What cannot be a node is told what is wrong.
#[test]
fn a_node_that_cannot_start_says_why() {
    let world = World::new();
    let key = world.run("node key keys").expect(0).out;
    let (account, consensus) = (part(&key, "account"), part(&key, "consensus"));
    world.run("node key keys").expect(2);
    let founder = format!("--founder {account},{consensus},2000000000000");
    world.run(&format!("node genesis {founder} --set seats=0")).expect(2);
    world.run(&format!("node genesis {founder} --set colour=3")).expect(2);
    world.run("node genesis --founder 12,34,5").expect(2);
    world.run(&format!("node genesis {founder} --balance {account},5 --set commit_blocks=4")).expect(0);
    world.run(&format!("node genesis {founder}")).expect(3);
    world.run(&format!("node config --listen 127.0.0.1:17900 --peer {account}")).expect(2);
    world.run("node config --listen 127.0.0.1:17900").expect(0);
    let refused = |word: &str| {
        let ran = world.run("node run").expect(2);
        assert!(ran.err.contains(word), "{}", ran.err);
    };
    let config = std::fs::read_to_string(world.path("node.toml")).unwrap();
    std::fs::write(world.path("node.toml"), format!("{config}\ncolour = 3\n")).unwrap();
    refused("colour");
    std::fs::write(world.path("node.toml"), config.replace("genesis.bin", "nowhere.bin")).unwrap();
    refused("nowhere.bin");
    std::fs::write(world.path("node.toml"), &config).unwrap();
    std::fs::write(world.path("genesis.bin"), b"x").unwrap();
    refused("genesis");
    world.run("submit nothing.zte --key keys").expect(2);
}

/// A network of few seats: none of them alone may be above the dissent that suspends a class, unless it is set otherwise.
#[test]
fn a_genesis_of_few_seats_has_a_dissent_that_suits_them() {
    let world = World::new();
    let founder = |i: usize| {
        let out = world.run(&format!("node key keys-{i}")).expect(0).out;
        format!("--founder {},{},2000000000000", part(&out, "account"), part(&out, "consensus"))
    };
    let founders: Vec<String> = (0..4).map(founder).collect();
    let genesis = |count: usize, more: &str| {
        let name = format!("{count}{}.bin", more.replace(['-', ' ', '='], ""));
        let words = format!("node genesis {} {more} -o {name}", founders[..count].join(" "));
        let out = world.run(&words).expect(0).out;
        let genesis: ledger::Genesis = certify::decode(&world.read(&name)).expect("a genesis");
        let said = out.lines().find(|line| line.starts_with("dissent")).map(str::to_string);
        (genesis.parameters.dissent, said)
    };
    let (dissent, said) = genesis(4, "");
    assert_eq!(dissent, 2500);
    assert!(said.expect("it is said").contains("2500 of 10,000 instead of 500"));
    let (dissent, said) = genesis(1, "");
    assert_eq!(dissent, 3333);
    assert!(said.expect("it is said").contains("above it alone"));
    assert_eq!(genesis(4, "--set dissent=700"), (700, None));
    assert_eq!(genesis(4, "--set dissent=500"), (500, None));
}
