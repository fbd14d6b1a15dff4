//! One stream of blocks, written down: every machine and every later build must get this digest, or the rules changed.

mod world;

use world::{Habit, World, digest};
use zerotell_ledger::Body;
use zerotell_ledger::transaction::{Accusation, Step};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_same_blocks_give_the_same_root_everywhere() {
    let mut world = World::new(&[1_000, 1_500, 900, 1_100, 1_000, 800]);
    assert_eq!(
        hex(&world.genesis.network()),
        "e183496574130794902cd5cca4a71d5bc7a54f29d66394a21f343c1bc29445dc"
    );
    world.habits.insert(world.account("v2"), Habit::Lazy);
    world.habits.insert(world.account("v5"), Habit::Silent);
    for i in 0..30 {
        let statement = world.submit(["a", "b", "c"][i % 3], if i % 7 == 3 { 5 } else { 0 });
        if i % 10 == 5 {
            world.rest();
            assert_eq!(world.accuse("b", Accusation::WrongVerdict { statement }), Ok(0));
        }
    }
    let step = Step {
        model: digest("model"),
        weights: digest("weights 1"),
        statement: digest("link"),
        proof: digest("link proof"),
        proof_bytes: 9_000,
        verifier: 1,
    };
    world.must("a", &Body::AdvanceEpoch { step });
    world.rest();
    assert_eq!(world.tip.height, 107);
    assert_eq!(hex(&world.tip.digest()), "fd4ce1aa6da5b23f1b0b1b53c96a6008a6afe4f83a3160376fe21624855d275c");
}
