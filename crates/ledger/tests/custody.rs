//! Older proofs are asked for, and whoever has them is paid.

mod world;

use certify::Digest;
use world::{Habit, World, digest};
use zerotell_ledger::entry::{Purpose, Rounds, Status, Treasuries};
use zerotell_ledger::transaction::Accusation;
use zerotell_ledger::{Parameters, custody};

/// A network that asks in every round.
fn asking(bonds: &[u64]) -> World {
    let usual = World::new(&[1_000]).genesis.parameters;
    World::with(bonds, Parameters { custody_rounds: 1, custody_blocks: 1_000, seats: 32, ..usual })
}

/// Orders records until one round asks for an older one; gives the round's height and what it asks for.
fn asked(world: &mut World) -> (u64, Digest) {
    for _ in 0..200 {
        world.submit("a", 0);
        let height = world.tip.height;
        let round = world.state().get::<Rounds>(&height).unwrap().unwrap();
        if let Some(item) = round.items.iter().find(|item| item.purpose == Purpose::Custody) {
            return (height, item.statement);
        }
        world.rest();
    }
    panic!("no draw in two hundred rounds");
}

#[test]
fn who_has_an_older_proof_is_paid_for_it() {
    let mut world = asking(&[1_000, 1_000, 1_000, 3_000]);
    world.habits.insert(world.account("v1"), Habit::Forgetful);
    let (height, statement) = asked(&mut world);
    let older = world.record(&statement);
    assert!(older.ordered + world.genesis.parameters.round_blocks() < height && older.held == 0);
    let pot = |world: &World| world.state().get::<Treasuries>(&()).unwrap().unwrap().archive;
    let names = ["v0", "v1", "v2", "v3"];
    world.go(3);
    let (before, balances) = (pot(&world), names.map(|v| world.balance(v)));
    assert_eq!(world.round(height).reveal_until, world.tip.height + 1, "it is settled in the next block");
    world.go(1);
    let (prize, verifying) = (before / 1_024, 400_000 / 2);
    let part = |stake: u64| prize * stake / 6_000 + verifying * stake / 6_000;
    let paid: Vec<u64> = names.iter().zip(balances).map(|(v, b)| world.balance(v) - b).collect();
    assert!(prize >= 6);
    assert_eq!(paid, [part(1_000), verifying / 6, part(1_000), part(3_000)], "v1 has no older proofs");
    let drawn = 2 * (prize * 1_000 / 6_000) + prize * 3_000 / 6_000;
    assert_eq!(pot(&world), before - drawn + 40_000, "the fee of the new record is there too");
    assert_eq!(world.record(&statement), older, "what is asked for stays what it was");
    assert!(matches!(world.status(&statement), Status::Final { code: 0, .. }));
}

#[test]
fn who_only_says_so_is_punished() {
    // One seat of four per cent: alone it is no dissent.
    let mut world = asking(&[1_000; 25]);
    world.habits.insert(world.account("v0"), Habit::Bluffer);
    let (round, statement) = asked(&mut world);
    let beacon = world.blocks[&round];
    let trace = custody::trace(&beacon, &world.record(&statement).proof);
    let accusation = Accusation::WrongCustody { round, statement, trace };
    assert_eq!(world.accuse("b", accusation.clone()), Ok(12), "not before all have shown");
    world.rest();
    let other = Accusation::WrongCustody { round, statement, trace: digest("other") };
    assert_eq!(world.accuse("b", other), Ok(15), "nobody showed that");
    let missing = Accusation::WrongCustody { round, statement: digest("none"), trace };
    assert_eq!(world.accuse("b", missing), Ok(12));
    assert_eq!(world.accuse("b", accusation.clone()), Ok(0));
    assert_eq!((world.stake("v0"), world.stake("v1")), (990, 1_000));
    assert_eq!(world.accuse("b", accusation), Ok(10), "once");
}

/// Nothing is asked for where nothing else is judged: a quiet network stays quiet.
#[test]
fn a_quiet_network_asks_for_nothing() {
    let mut world = asking(&[1_000; 4]);
    world.submit("a", 0);
    world.rest();
    let from = world.tip.height;
    world.go(60);
    assert!((from + 1..=world.tip.height).all(|at| world.state().get::<Rounds>(&at).unwrap().is_none()));
}
