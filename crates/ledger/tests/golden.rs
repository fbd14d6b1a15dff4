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
        "fa32e01a519dc661db0adad8f2473b3cd16b418b80f7f36084a7a692cef3f04f"
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
    assert_eq!(hex(&world.tip.digest()), "af7d53280f312ab20ac26107772081a269b4104ad43ff409411bd5d666081765");
}
