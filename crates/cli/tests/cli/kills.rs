//! Validators killed at any moment while transactions and records come in: what was acknowledged as final is there on every
//! node afterwards.
//!
//! A node acknowledges with what it says of its final blocks; that a transaction is in its pool is no promise. Whoever sends
//! one sends the same bytes again, to any node, until it is final.
//!
//! A seed gives the same kills and the same bytes; `ZEROTELL_SEEDS=N` runs the seeds 1 to N (usually one), `A..B` those from A
//! and below B.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use certify::hash::Digest;
use dossier::Names;
use ed25519_dalek::SigningKey;
use ledger::{Body, Envelope, Lane, Unsigned};
use node::client::{Client, submission};
use node::keys::Keys;
use record::json::{hex, unhex};

use crate::network::Net;
use crate::world::text;

const NODES: u64 = 4;
/// Times at which one or two validators are killed.
const KILLS: u64 = 8;
/// Acknowledgements before the end, at least.
const ENOUGH: usize = 60;
/// Accounts that transfer; one more submits records.
const PAYERS: u8 = 3;
const FEE: u64 = 1_000_000_000;
const PURSE: u64 = 5_000_000_000_000;
/// How long one node is asked whether something is final, before another is.
const PATIENCE: Duration = Duration::from_millis(500);

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("ZEROTELL_SEEDS") else { return 1..2 };
    let (first, end) = text.split_once("..").unwrap_or(("1", &text));
    let number = |text: &str| text.parse::<u64>().expect("ZEROTELL_SEEDS: a number, or A..B");
    number(first)..number(end) + u64::from(!text.contains(".."))
}

/// Numbers from a seed, for one who draws them.
struct Random(blake3::OutputReader);

impl Random {
    fn new(seed: u64, who: u8) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).update(&[who]).finalize_xof())
    }

    fn below(&mut self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % limit
    }

    fn node(&mut self) -> usize {
        self.below(NODES) as usize
    }

    fn pause(&mut self, milliseconds: u64) {
        thread::sleep(Duration::from_millis(self.below(milliseconds)));
    }
}

/// What a node said is final.
#[derive(Clone, Debug)]
enum Promise {
    Transfer { id: Digest, height: u64, to: Digest, amount: u64 },
    Record { statement: Digest, status: String, code: u16 },
}

/// What those who send and the one who kills share.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    promises: Mutex<Vec<Promise>>,
}

impl Load {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn note(&self, promise: Promise) {
        self.promises.lock().unwrap().push(promise);
    }

    fn count(&self) -> usize {
        self.promises.lock().unwrap().len()
    }

    /// Waits for so many acknowledgements.
    fn reach(&self, count: usize) {
        let began = Instant::now();
        while self.count() < count {
            assert!(began.elapsed() < Duration::from_secs(90), "{} acknowledgements", self.count());
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Ends the load when it goes, also when something failed.
struct Over<'a>(&'a Load);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// Who sends, and to whom.
struct Sender<'a> {
    key: SigningKey,
    network: Digest,
    clients: Vec<Client>,
    random: Random,
    load: &'a Load,
}

fn key(who: u8) -> SigningKey {
    SigningKey::from_bytes(&[who + 1; 32])
}

impl<'a> Sender<'a> {
    fn new(nodes: &[String], network: Digest, load: &'a Load, seed: u64, who: u8) -> Self {
        let clients = nodes.iter().map(|node| Client::new(node)).collect();
        Self { key: key(who), network, clients, random: Random::new(seed, who), load }
    }

    fn unsigned(&self, nonce: u64) -> Unsigned {
        Unsigned { network: self.network, lane: Lane::Paid, nonce, fee: FEE }
    }

    /// Transfers, each to an account of its own, until the load ends.
    fn transfer(mut self) {
        for nonce in 0u64.. {
            let to = *blake3::hash(&[&self.key.to_bytes()[..], &nonce.to_le_bytes()].concat()).as_bytes();
            let (amount, unsigned) = (nonce + 1, self.unsigned(nonce));
            let body = Body::Transfer { to, amount };
            let id = Envelope::sign(&self.key, unsigned, &body).expect("it is short").id();
            let settled = loop {
                if self.load.is_over() {
                    return;
                }
                let client = &self.clients[self.random.node()];
                // It may be down, or have it already.
                drop(client.send_as(&self.key, unsigned, &body));
                if let Ok(settled) = client.outcome(&id, PATIENCE) {
                    break settled;
                }
            };
            assert_eq!(settled.code, 0, "{}", settled.what);
            self.load.note(Promise::Transfer { id, height: settled.height, to, amount });
        }
    }

    /// Submits bytes that are no dossier, as dossiers, until the load ends.
    fn submit(mut self, program: Digest) {
        for nonce in 0u64.. {
            let name = |what: &str| {
                *blake3::Hasher::new_derive_key(what).update(&nonce.to_le_bytes()).finalize().as_bytes()
            };
            let names = Names {
                statement: name("statement"),
                program,
                roots: [2; 32],
                revealed: [3; 32],
                context: [4; 32],
                nullifier: name("nullifier"),
            };
            let dossier = name("bytes").repeat(128);
            let unsigned = self.unsigned(nonce);
            let body = Body::SubmitRecord { submission: submission(&dossier, &names, [6; 32], 1) };
            let verdict = loop {
                if self.load.is_over() {
                    return;
                }
                let client = &self.clients[self.random.node()];
                // The bytes again too: who had them may be gone.
                if client.upload(&dossier).is_ok() {
                    drop(client.send_as(&self.key, unsigned, &body));
                }
                if let Ok(verdict) = client.verdict(&names.statement, PATIENCE) {
                    break verdict;
                }
            };
            assert_ne!(verdict.status, "accepted");
            let (statement, status, code) = (names.statement, verdict.status, verdict.code);
            self.load.note(Promise::Record { statement, status, code });
        }
    }
}

/// Kills one validator at a time, or two, and starts them again.
fn kill(net: &mut Net, random: &mut Random, load: &Load) {
    for _ in 0..KILLS {
        // Else the next kill may meet those that are still coming back.
        if random.below(2) == 0 {
            load.reach(load.count() + 1);
        }
        random.pause(600);
        let first = random.node();
        let mut victims = vec![first];
        // With a second one away nothing is decided.
        if random.below(4) == 0 {
            victims.push((first + 1 + random.below(NODES - 1) as usize) % NODES as usize);
        }
        victims.iter().for_each(|victim| net.kill(*victim));
        random.pause(600);
        victims.iter().for_each(|victim| net.start(*victim));
    }
}

/// All validators have one history, and all that was promised is in it.
fn check(net: &Net, height: u64, promises: &[Promise]) {
    let get =
        |i: usize, path: &str| net.get(i, path).unwrap_or_else(|| panic!("validator {i} has no {path}"));
    for i in 0..NODES as usize {
        net.reach(i, height);
        let block = |i| {
            let block = get(i, &format!("/v1/blocks/{height}"));
            (text(&block["digest"]), text(&block["state"]))
        };
        assert_eq!(block(i), block(0), "validator {i}");
        for promise in promises {
            match promise {
                Promise::Transfer { id, height, to, amount } => {
                    let found = get(i, &format!("/v1/transactions/{}", hex(id)));
                    assert_eq!((&found["height"], &found["code"]), (&(*height).into(), &0.into()), "{found}");
                    let account = get(i, &format!("/v1/accounts/{}", hex(to)));
                    assert_eq!(text(&account["balance"]), amount.to_string(), "{promise:?}");
                }
                Promise::Record { statement, status, code } => {
                    let found = get(i, &format!("/v1/records/{}", hex(statement)));
                    assert_eq!((text(&found["status"]), &found["code"]), (status.clone(), &(*code).into()));
                }
            }
        }
    }
}

#[test]
fn kill_nine_at_any_moment_loses_nothing_that_was_acknowledged() {
    for seed in seeds() {
        println!("ZEROTELL_SEEDS={seed}..{}", seed + 1);
        // More tries: who comes back may miss a record's first rounds.
        let mut net = Net::founded(11, "--set tries=20");
        let nodes: Vec<String> = (0..NODES as usize).map(|i| format!("http://{}", net.address(i))).collect();
        // A record of a good proof brings its program with it.
        let said = net.submit(0, &net.evidence(3), "").expect(0).json();
        let record = net.get(0, &format!("/v1/records/{}", text(&said["statement"]))).expect("the record");
        let program: Digest = unhex(&text(&record["program"])).expect("a digest");
        let first = Client::new(&nodes[0]);
        let owner = Keys::read(&net.world.path("net/owner")).expect("the owner's keys").signing();
        for who in 0..=PAYERS {
            let purse = Body::Transfer { to: key(who).verifying_key().to_bytes(), amount: PURSE };
            let id = first.send(&owner, &purse, 0, 0).expect("it is taken");
            first.wait(&id, Duration::from_secs(60)).expect("it is final");
        }
        let network = first.network().expect("its name");

        let load = Load::default();
        thread::scope(|scope| {
            let _over = Over(&load);
            for who in 0..PAYERS {
                let sender = Sender::new(&nodes, network, &load, seed, who);
                scope.spawn(move || sender.transfer());
            }
            let sender = Sender::new(&nodes, network, &load, seed, PAYERS);
            scope.spawn(move || sender.submit(program));
            kill(&mut net, &mut Random::new(seed, u8::MAX), &load);
            load.reach(ENOUGH);
        });

        let promises = load.promises.into_inner().unwrap();
        let records = promises.iter().filter(|promise| matches!(promise, Promise::Record { .. })).count();
        assert!(records > 0 && records < promises.len(), "{records} records of {}", promises.len());
        // All are up: the highest of them leads.
        (0..NODES as usize).for_each(|i| net.reach(i, 1));
        let height = (0..NODES as usize).filter_map(|i| net.height(i)).max().expect("they answer");
        check(&net, height, &promises);
        // Nobody is there to ask: each has it on its own disk.
        (0..NODES as usize).for_each(|i| net.kill(i));
        (0..NODES as usize).for_each(|i| net.start(i));
        check(&net, height, &promises);
        net.reach(0, height + 2);
        assert_eq!(net.get(0, "/v1/slashes").expect("the list")["slashes"], serde_json::json!([]));
    }
}
