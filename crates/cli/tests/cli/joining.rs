//! A validator that was not there at the beginning, by the verbs of the manual: it is let in, gets its seat and is needed;
//! then a founder leaves.

use std::time::Duration;

use serde_json::Value;

use crate::network::{Net, part};
use crate::world::text;

const NEWCOMER: usize = 4;
const LEAVER: usize = 3;
const KEYS: &str = "net/validator-4/keys";
const OWNER: &str = "net/owner";
/// Looks at the network before a test gives up.
const LOOKS: usize = 1800;

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what}");
}

/// A verb that node `i` is asked, which is final when it returns; the node knows all that was final before.
fn done(net: &Net, i: usize, verb: &str, key: &str, after: &Value) -> Value {
    let height = after["height"].as_u64().unwrap_or_default();
    until("the node asked is behind", || net.height(i) >= Some(height));
    let node = format!("http://{}", net.address(i));
    let line = net.world.run(&format!("{verb} --node {node} --key {key} --wait --json")).expect(0).json();
    assert_eq!(line["final"], true, "{line}");
    line
}

/// What node `i` says of a validator, with the epoch of that.
fn validator(net: &Net, i: usize, account: &str) -> Option<(u64, Value)> {
    let mut found = net.get(i, "/v1/validators")?;
    let list = found["validators"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let one = list.into_iter().find(|one| one["account"] == account)?;
    Some((found["epoch"].as_u64()?, one))
}

fn has_seat(net: &Net, i: usize, account: &str) -> bool {
    validator(net, i, account).is_some_and(|(_, one)| one["seat"].is_u64())
}

/// Node `i` comes to where node 0 is now, and goes on from there.
fn follows(net: &Net, i: usize) {
    let there = net.height(0).expect("it answers");
    until("it does not follow", || net.height(i) > Some(there));
}

/// A directory for the fifth as its operator makes one. It begins with the state of a node, which says where all others
/// are; it names none itself. Nobody lets it in.
fn prepared(net: &mut Net) -> String {
    net.nodes.push(None);
    let out = net.world.run("node key net/validator-4/keys").expect(0).out;
    let (listen, http) = (net.peer_address(NEWCOMER), net.address(NEWCOMER));
    let words = format!(
        "node config --genesis ../genesis.bin --listen {listen} --http {http} --sync http://{} \
         -o net/validator-4/node.toml",
        net.address(1)
    );
    net.world.run(&words).expect(0);
    let config = std::fs::read_to_string(net.config(NEWCOMER)).unwrap();
    assert!(!config.contains("[[peers]]"), "{config}");
    let config = config.replace("block_ms = 100", "block_ms = 50").replace("idle_ms = 500", "idle_ms = 50");
    std::fs::write(net.config(NEWCOMER), config).unwrap();
    // There must be a history for it to have none of.
    until("the network begins nothing", || net.height(1) > Some(5));
    net.start(NEWCOMER);
    until("it does not start", || net.height(NEWCOMER).is_some());
    let begun = net.height(NEWCOMER).unwrap();
    assert!(begun > 0 && net.get(NEWCOMER, "/v1/blocks/1").is_none(), "it has a state and no history");
    until("the network stands still", || net.height(0) > Some(begun + 10));
    assert_eq!(net.height(NEWCOMER), Some(begun), "who has no bond is let in nowhere");
    part(&out, "account")
}

/// Money, and a bond with an address; gives the epoch from which on it counts, and the bond's transaction.
fn bonded(net: &Net, account: &str) -> (u64, Value) {
    let fund = format!("account transfer {account} 3_000_000_000_000");
    let funded = done(net, 0, &fund, OWNER, &Value::Null);
    for nowhere in ["nowhere", "0.0.0.0:7100"] {
        let words = format!("account bond 2_000_000_000_000 --address {nowhere} --key {KEYS}");
        net.world.run(&words).expect(2);
    }
    let listen = net.peer_address(NEWCOMER);
    let bond = format!("account bond 2_000_000_000_000 --address {listen}");
    let bonded = done(net, 0, &bond, KEYS, &funded);
    assert_eq!(bonded["address"], listen);
    assert_eq!(bonded["shows_consensus_key"], true);
    let epoch = bonded["counts_from_epoch"].as_u64().unwrap();
    let (told, one) = validator(net, 0, account).expect("it is a candidate");
    assert_eq!(one["address"], listen);
    assert!(one["seat"].is_null() || told >= epoch, "{one}");
    (epoch, bonded)
}

/// It is let in, follows, has its seat from that epoch on, and proposes.
fn seated(net: &Net, account: &str, epoch: u64) {
    follows(net, NEWCOMER);
    until("it gets no seat", || has_seat(net, 0, account));
    assert!(validator(net, 0, account).is_some_and(|(told, _)| told >= epoch));
    until("it does not know of its seat", || {
        net.get(NEWCOMER, "/v1/status").is_some_and(|status| status["seat"].is_u64())
    });
    until("it proposes nothing", || {
        let found = net.get(0, "/v1/blocks?limit=100").unwrap_or_default();
        let mut blocks = found["blocks"].as_array().into_iter().flatten();
        blocks.any(|block| block["proposer"] == account)
    });
}

#[test]
fn a_fifth_validator_joins_and_a_founder_leaves() {
    let mut net = Net::founded(10, "--set epoch_blocks=40 --set trace_blocks=20 --set unbonding_blocks=200");
    let account = prepared(&mut net);
    let (epoch, bond) = bonded(&net, &account);
    seated(&net, &account, epoch);

    // Four of five must be up: without the newcomer's votes nothing would be final now.
    net.kill(LEAVER);
    let friend = part(&net.world.run("node key friend --account-only").expect(0).out, "account");
    let transfer = format!("account transfer {friend} 7");
    let sent = done(&net, NEWCOMER, &transfer, OWNER, &bond);
    net.start(LEAVER);
    follows(&net, LEAVER);

    // Killed, it comes back by what its own state says of the others.
    net.kill(NEWCOMER);
    net.start(NEWCOMER);
    follows(&net, NEWCOMER);

    // A founder takes its bond out, and is not needed when its epoch is over: the others are four again.
    let (leaver, node) = ("net/validator-3/keys", net.address(1));
    let shown = net.world.run(&format!("account show --key {leaver} --node http://{node} --json"));
    let shown = shown.expect(0).json();
    let leaving = text(&shown["account"]);
    let unbond = format!("account unbond {}", shown["validator"]["bond"]);
    let left = done(&net, 0, &unbond, leaver, &sent);
    until("it keeps its seat", || !has_seat(&net, 0, &leaving));
    net.kill(LEAVER);
    let last = done(&net, 2, &transfer, OWNER, &left);
    follows(&net, NEWCOMER);
    assert!(has_seat(&net, NEWCOMER, &account));
    done(&net, NEWCOMER, &transfer, OWNER, &last);
}
