//! Whole networks in the engine's deterministic simulator: loss, delay, partitions, crashes, seats that cheat.
//!
//! A seed gives the same run every time. `ZEROTELL_SEEDS=N` runs N seeds of each test (usually one).

mod world;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use commonware_glue::simulate::action::{Action, Crash, Schedule};
use commonware_glue::simulate::plan::PlanBuilder;
use commonware_glue::simulate::property::Property;
use commonware_glue::simulate::tracker::ProgressTracker;
use ledger::entry::Status;
use world::{BOND, Done, View, World, link};
use zerotell_node::scheme::{PeerKey, account_of};
use zerotell_node::seat::Behaviour;

fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("ZEROTELL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    1..1 + count
}

/// What holds of every run: one history, true verdicts, no money made or lost, nobody honest punished.
#[derive(Clone)]
struct Sound {
    world: World,
    /// Seats that must have been punished by the end.
    punished: Vec<usize>,
}

impl Property<PeerKey, View> for Sound {
    fn name(&self) -> &str {
        "sound"
    }

    fn check<'a>(
        &'a self,
        _: &'a ProgressTracker<PeerKey>,
        views: &'a [&'a View],
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move {
            let least = views.iter().map(|view| view.chain.tip().height).min().unwrap_or(0);
            let root = |view: &View| view.chain.block(least).unwrap().unwrap().id();
            let account = |i: usize| self.world.keys[i].verifying_key().to_bytes();
            let cheats: Vec<_> = self.world.behaviours.keys().map(|i| account(*i)).collect();
            for view in views {
                if root(view) != root(views[0]) {
                    return Err(format!("two blocks are final at height {least}"));
                }
                view.audit();
                for number in 0..self.world.records {
                    let record = view.record(number).ok_or("a record is lost")?;
                    let Status::Final { code, .. } = record.status else {
                        return Err(format!("record {number} has no verdict"));
                    };
                    if (code == 0) != self.world.is_good(number) {
                        return Err(format!("record {number} has the verdict {code}"));
                    }
                }
                let slashed = view.slashed();
                if let Some(wronged) = slashed.iter().find(|one| !cheats.contains(one)) {
                    return Err(format!("an honest seat was slashed: {wronged:?}"));
                }
                for seat in &self.punished {
                    if !slashed.contains(&account(*seat)) {
                        return Err(format!("seat {seat} was not punished"));
                    }
                }
            }
            Ok(())
        })
    }
}

fn plan(world: &World, seed: u64, height: u64, punished: &[usize]) -> PlanBuilder<World> {
    let validators = world.keys.len();
    PlanBuilder::new(world.clone())
        .seed(seed)
        .link(link(10, 10))
        .exit_condition(Done { validators, height })
        .property(Sound { world: world.clone(), punished: punished.to_vec() })
        .timeout(Duration::from_secs(600))
}

fn network(validators: u8) -> World {
    World::new(validators, &[], World::usual())
}

#[test]
fn records_get_their_verdicts_across_epochs() {
    for seed in seeds() {
        plan(&network(4), seed, 100, &[]).run().unwrap();
    }
}

/// What is owed is made, submitted by nobody known, refused by all, and shown: nobody's bond leaks.
#[derive(Clone)]
struct Delivered(usize);

impl Property<PeerKey, View> for Delivered {
    fn name(&self) -> &str {
        "delivered"
    }

    fn check<'a>(
        &'a self,
        _: &'a ProgressTracker<PeerKey>,
        views: &'a [&'a View],
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move {
            let found = views.iter().map(|view| view.canaries());
            let right =
                |(shown, bonds): &(usize, Vec<u64>)| *shown == self.0 && bonds.iter().all(|b| *b == BOND);
            match found.into_iter().find(|found| !right(found)) {
                Some((shown, bonds)) => Err(format!("{shown} canaries were shown; bonds are {bonds:?}")),
                None => Ok(()),
            }
        })
    }
}

fn owing() -> World {
    let parameters =
        ledger::Parameters { epoch_blocks: 80, canary_rate: 100_000, parameter_delay: 10, ..World::usual() };
    let mut world = World::new(4, &[], parameters);
    world.records = 24;
    world
}

#[test]
fn seats_submit_the_canaries_they_owe() {
    for seed in seeds() {
        // 24 records in the first epoch, so two in the second.
        plan(&owing(), seed, 170, &[]).property(Delivered(2)).run().unwrap();
    }
}

/// A seat that does not look is found by a canary, if nothing else is wrong anywhere.
#[test]
fn a_canary_finds_a_lazy_seat() {
    for seed in seeds() {
        let mut world = owing();
        world.good = true;
        world.behaviours.insert(2, Behaviour::Lazy);
        plan(&world, seed, 170, &[2]).run().unwrap();
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = || plan(&network(4), 7, 30, &[]).run().unwrap()[0].state.clone();
    assert_eq!(run(), run());
}

#[test]
fn one_message_of_ten_is_lost() {
    for seed in seeds() {
        plan(&network(4), seed, 60, &[]).link(link(30, 9)).run().unwrap();
    }
}

#[test]
fn validators_crash_at_random_and_nothing_is_lost() {
    for seed in seeds() {
        let (frequency, downtime) = (Duration::from_secs(3), Duration::from_millis(500));
        let crash = Crash::Random { frequency, downtime, count: 1 };
        let found = plan(&network(4), seed, 100, &[]).crash(crash).run().unwrap();
        assert!(found[0].crashes > 0, "nothing crashed");
    }
}

/// Two of four cannot decide; when they meet again they go on, and nobody forked.
#[test]
fn a_partition_stops_progress_and_never_safety() {
    for seed in seeds() {
        let world = network(4);
        let peers: Vec<PeerKey> = world.peers();
        let mut schedule = Schedule::new();
        for (i, from) in peers.iter().enumerate() {
            for (j, to) in peers.iter().enumerate() {
                if i != j && (i < 2) != (j < 2) {
                    let cut = Action::UpdateLink { from: from.clone(), to: to.clone(), link: link(10, 0) };
                    schedule = schedule.at(Duration::from_secs(2), cut);
                }
            }
        }
        schedule = schedule.at(Duration::from_secs(12), Action::Heal(link(10, 10)));
        plan(&world, seed, 60, &[]).crash(Crash::Schedule(schedule)).run().unwrap();
    }
}

/// Three of seven are down: nothing is decided. When they come back, all is.
#[test]
fn three_of_seven_down_stop_the_chain_until_they_return() {
    for seed in seeds() {
        let world = network(7);
        let peers = world.peers();
        let mut schedule = Schedule::new();
        for peer in &peers[4..] {
            schedule = schedule.at(Duration::from_secs(2), Action::Crash(peer.clone()));
        }
        for peer in &peers[4..] {
            schedule = schedule.at(Duration::from_secs(15), Action::Restart(peer.clone()));
        }
        plan(&world, seed, 40, &[]).crash(Crash::Schedule(schedule)).run().unwrap();
    }
}

fn with(seat: usize, behaviour: Behaviour) -> World {
    // Who cheats has a sixth of the stake at most.
    let bonds = [0, 1, 2, 3].map(|i| if i == seat { BOND / 2 } else { BOND });
    let mut world = World::new(4, &bonds, World::usual());
    world.behaviours.insert(seat, behaviour);
    world
}

#[test]
fn a_lazy_seat_is_slashed() {
    for seed in seeds() {
        plan(&with(3, Behaviour::Lazy), seed, 120, &[3]).run().unwrap();
    }
}

#[test]
fn a_lying_seat_is_slashed() {
    for seed in seeds() {
        plan(&with(2, Behaviour::Liar), seed, 120, &[2]).run().unwrap();
    }
}

/// Silence about a rejected record is an offence once its round is forgotten; until then nothing stalls.
#[test]
fn a_silent_seat_stalls_nothing_and_pays_in_the_end() {
    for seed in seeds() {
        let mut world = with(1, Behaviour::Silent);
        world.genesis.parameters.trace_blocks = 20;
        plan(&world, seed, 120, &[1]).run().unwrap();
    }
}

#[test]
fn accounts_are_the_engines_identities() {
    let world = network(4);
    for (key, peer) in world.keys.iter().zip(world.peers()) {
        assert_eq!(account_of(&peer), key.verifying_key().to_bytes());
    }
}
