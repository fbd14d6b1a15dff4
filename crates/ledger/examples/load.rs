//! What a record costs the ledger: CPU time, and bytes of state. `load [RECORDS] [VALIDATORS]`, 100,000 and 4.
//!
//! Every block orders as many records as fit, and every seat commits and reveals; nothing is mocked but the verifier.
//! CPU time is this process's own, from the system, so that a busy machine changes little.

#[path = "../tests/world/mod.rs"]
mod world;

use std::time::Duration;

use world::World;
use zerotell_ledger::entry::Records;
use zerotell_ledger::{Body, Parameters, Scan, State, account_of, execute};

/// User time of this process so far.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after.split_whitespace().nth(11).and_then(|t| t.parse().ok()).unwrap_or_default();
    Duration::from_millis(ticks * 10)
}

/// Microseconds that the tree takes for a changed entry, when a block changes a thousand.
fn tree_cost(world: &World) -> f64 {
    let change = |i: u32| {
        let path = certify::map::path(5, &i.to_le_bytes());
        (path, Some(certify::map::value_digest(b"changed")))
    };
    let start = cpu();
    for block in 0..50u32 {
        let mut sorted: Vec<_> = (block * 1_000..block * 1_000 + 1_000).map(change).collect();
        sorted.sort_unstable();
        zerotell_ledger::tree::update(&world.store, &sorted, &mut Default::default()).expect("a sound tree");
    }
    (cpu() - start).as_secs_f64() * 1e6 / 50_000.0
}

fn main() {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<usize>().expect("a number"));
    let (records, validators) = (words.next().unwrap_or(100_000), words.next().unwrap_or(4));
    let parameters = Parameters {
        block_bytes: 1_000_000_000,
        block_work: 1_000_000_000,
        in_flight: 65_535,
        seats: 128,
        trace_blocks: 50,
        ..World::new(&[1_000]).genesis.parameters
    };
    let mut world = World::with(&vec![1_000; validators], Parameters { epoch_blocks: 100_000, ..parameters });
    world.audited = false;
    let before: usize = world.store.scan().map(|(k, v)| k.len() + v.len()).sum();
    let (mut spent, mut blocks, mut bytes, mut last) = (Duration::ZERO, 0u32, 0usize, None);
    let mut left = records;
    while left > 0 || world.round_open() {
        let mut list = world.verdicts();
        let count = left.min(500);
        let nonce = account_of(&world.state(), &world.account("a")).unwrap().nonce;
        for i in 0..count {
            let submission = world.submission();
            last = Some(submission.statement);
            list.push(world.sign("a", nonce + i as u64, 240_000, &Body::SubmitRecord { submission }));
        }
        left -= count;
        bytes += list.iter().map(Vec::len).sum::<usize>();
        let context = world.context();
        let start = cpu();
        let executed = execute(&world.store, &world.facts, context, &list).expect("a good block");
        world.adopt(&context, executed);
        spent += cpu() - start;
        blocks += 1;
    }
    let (mut entries, mut nodes, mut total) = (0usize, 0usize, 0usize);
    for (key, value) in world.store.scan() {
        total += key.len() + value.len();
        if key[0] == 0xff { nodes += key.len() + value.len() } else { entries += 1 }
    }
    let per = |sum: usize| sum as f64 / records as f64;
    let proof = State::new(&world.store).prove::<Records>(&last.expect("a record")).unwrap();
    println!("{records} records, {validators} validators, {blocks} blocks of 500 records");
    println!("CPU per record       {:.1} us", spent.as_secs_f64() * 1e6 / records as f64);
    println!("bytes on the wire    {:.0} per record, without the proof", per(bytes));
    println!(
        "bytes of state       {:.0} per record, of them {:.0} of the tree",
        per(total - before),
        per(nodes)
    );
    println!("entries              {:.2} per record", per(entries));
    println!("tree                 {:.1} us per changed entry, 1,000 in a block", tree_cost(&world));
    println!("proof of a record    {} B and {} B of record", certify::encode(&proof).len(), {
        certify::encode(&world.record(&last.expect("a record"))).len()
    });
}
