//! Whole networks in the engine's deterministic simulator: loss, delay, partitions, crashes, seats that cheat.
//!
//! A seed gives the same run every time. `ZEROTELL_SEEDS=N` runs the seeds 1 to N of each test (usually one), `A..B` those from A
//! and below B.

mod attacks;
mod care;
mod flood;
mod joining;
mod wire;
mod world;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use commonware_consensus::types::{Epoch, Round, View as Turn};
use commonware_glue::simulate::action::{Action, Crash, Schedule};
use commonware_glue::simulate::plan::PlanBuilder;
use commonware_glue::simulate::property::Property;
use commonware_glue::simulate::tracker::ProgressTracker;
use ledger::entry::{Present, Status, Validators, key_of};
use ledger::{Changes, State};
use world::{BOND, Done, MONEY, Serves, View, World, link, snapshot};
use zerotell_node::chain::{Chain, Slash};
use zerotell_node::earned::Earned;
use zerotell_node::scheme::{PeerKey, account_of};
use zerotell_node::seat::Behaviour;
use zerotell_node::store::{Batch, NodeStore, list};
use zerotell_node::sync;

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("ZEROTELL_SEEDS") else { return 1..2 };
    let (first, end) = text.split_once("..").unwrap_or(("1", &text));
    let number = |text: &str| text.parse::<u64>().expect("ZEROTELL_SEEDS: a number, or A..B");
    number(first)..number(end) + u64::from(!text.contains(".."))
}

/// The epochs whose last block is final.
fn ended(chain: &Chain) -> std::ops::Range<u64> {
    0..(chain.tip().height + 1) / chain.genesis.parameters.epoch_blocks
}

/// What holds of every run: one history, true verdicts, no money made or lost, nobody honest punished, and a certificate for
/// the end of every epoch on every node, without which no light client gets past it.
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
            let honest: Vec<&View> = views.iter().copied().filter(|view| !view.is_cut).collect();
            let least = honest.iter().map(|view| view.chain.tip().height).min().unwrap_or(0);
            let root = |view: &View, height| view.chain.block(height).unwrap().unwrap().id();
            // Also who is cut off, and stays behind, has seen nothing else.
            for view in views {
                let height = view.chain.tip().height.min(least);
                if height > 0 && root(view, height) != root(honest[0], height) {
                    return Err(format!("two blocks are final at height {height}"));
                }
            }
            let cheats = self.world.cheats();
            for view in honest {
                view.audit();
                if let Some(epoch) =
                    ended(&view.chain).find(|epoch| view.chain.handover(*epoch).unwrap().is_none())
                {
                    return Err(format!("the hand-over of epoch {epoch} is missing on a node"));
                }
                for number in self.world.numbers() {
                    let record = view.record(number).ok_or("a record is lost")?;
                    if self.world.is_withheld(number) {
                        if !matches!(record.status, Status::Undecided { .. }) {
                            return Err(format!("record {number}, which nobody has, is {:?}", record.status));
                        }
                        continue;
                    }
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
                    if !slashed.contains(&self.world.account(*seat)) {
                        return Err(format!("seat {seat} was not punished"));
                    }
                }
            }
            Ok(())
        })
    }
}

/// A run until all have this height.
fn bare(world: &World, seed: u64, height: u64) -> PlanBuilder<World> {
    let validators = (0..world.keys.len()).filter(|i| !world.is_cut(*i)).count();
    PlanBuilder::new(world.clone())
        .seed(seed)
        .link(link(10, 10))
        .exit_condition(Done { validators, least: validators, height })
        .timeout(Duration::from_secs(600))
}

/// A run at the end of which all must be [`Sound`].
fn plan(world: &World, seed: u64, height: u64, punished: &[usize]) -> PlanBuilder<World> {
    bare(world, seed, height).property(Sound { world: world.clone(), punished: punished.to_vec() })
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

/// A validator that comes in the third epoch takes the state from another, and does its duties from there.
#[test]
fn a_late_validator_begins_with_a_snapshot() {
    for seed in seeds() {
        let mut world = network(4);
        world.late = Some(3);
        world.records = 40;
        let late = world.peers()[3].clone();
        let round = Round::new(Epoch::new(2), Turn::new(6));
        let delay = Crash::DelayRound { participants: vec![late], round };
        let found = plan(&world, seed, 160, &[]).crash(delay).run().unwrap();
        // What it did not see is not there, and what it needs is.
        drop(found);
        let chain = world.chain(3);
        let floor = chain.store.floor().unwrap().unwrap();
        assert!(floor > 80 && chain.block(floor - 1).unwrap().is_none());
        assert!(chain.handover(0).unwrap().is_some(), "certificates lead through epochs it never saw");
        assert!(chain.handover(2).unwrap().is_some());
        let whole = world.chain(0);
        let listed = |chain: &Chain, table| {
            let list = chain.store.newest(table, u64::MAX, 100).unwrap();
            list.into_iter().map(|(_, value)| value).collect::<std::collections::BTreeSet<_>>()
        };
        for table in [list::RECORDS, list::MODELS] {
            assert_eq!(listed(&chain, table), listed(&whole, table));
        }
    }
}

/// Proofs that are old enough are deleted, each once, and nothing else is.
#[test]
fn old_proofs_are_deleted() {
    let world = network(4);
    let views = plan(&world, 5, 70, &[]);
    views.run().unwrap();
    let chain = world.chain(0);
    let view = world.view(0, chain.into());
    let records: Vec<_> = (0..world.records).map(|number| view.record(number).unwrap()).collect();
    let kept = || records.iter().filter(|record| view.chain.blobs.has(&record.proof)).count();
    assert_eq!(kept(), 8);
    view.chain.prune(1_000).unwrap();
    assert_eq!(kept(), 8);
    // All that was ordered before the fifth record, or with it.
    let fifth = records[4].ordered;
    view.chain.prune(view.chain.tip().height - fifth).unwrap();
    assert_eq!(kept(), records.iter().filter(|record| record.ordered > fifth).count());
    view.chain.prune(1).unwrap();
    assert_eq!((kept(), view.chain.store.pruned().unwrap()), (0, 8));
}

/// The last block of an epoch as a beginning: the step into the next epoch is known there, as everywhere.
#[test]
fn a_snapshot_of_the_end_of_an_epoch_leads_on() {
    let world = network(4);
    plan(&world, 4, 90, &[]).run().unwrap();
    let whole = world.chain(0);
    let last = 2 * World::usual().epoch_blocks - 1;
    let short = Chain::open(world.genesis.clone(), NodeStore::memory().unwrap(), whole.blobs.clone());
    let short = short.unwrap();
    for height in 1..=last {
        let block = whole.block(height).unwrap().unwrap();
        short.finalise(&block, false).unwrap();
        let certificate = whole.finality(height).unwrap().unwrap();
        short.certified(height, block.id(), certificate);
    }
    let bytes = snapshot(&short).unwrap();
    let store = NodeStore::memory().unwrap();
    sync::read(&mut &bytes[..], &store, (&whole.checkpoint, whole.first.clone()), None).unwrap();
    let begun = Chain::open(world.genesis, store, whole.blobs.clone()).unwrap();
    assert_eq!((begun.tip().height, ended(&begun)), (last, 0..2));
    for epoch in 0..2 {
        let step = |chain: &Chain| chain.handover(epoch).unwrap().map(|step| certify::encode(&step));
        assert!(step(&begun).is_some() && step(&begun) == step(&whole), "epoch {epoch}");
    }
}

fn earned(chain: &Chain, account: &certify::hash::Digest) -> Earned {
    chain.latest_with_sums().unwrap().2.of(account).unwrap()
}

/// What each seat earned is counted block by block, to the unit; who begins in the middle counts from there, and knows all
/// records.
#[test]
fn what_seats_earn_is_counted() {
    let world = network(4);
    plan(&world, 6, 90, &[]).run().unwrap();
    let whole = Arc::new(world.chain(0));
    let view = world.view(0, whole.clone());
    // The last block with a certificate of its own among those until then.
    let is_certified = |height: &u64| whole.finality(*height).unwrap().is_some();
    let middle = (1..=view.record(6).unwrap().ordered).rev().find(is_certified).unwrap();
    let own = NodeStore::memory().unwrap();
    let short = Chain::open(world.genesis.clone(), own, whole.blobs.clone()).unwrap();
    for height in 1..=middle {
        let block = whole.block(height).unwrap().unwrap();
        short.finalise(&block, false).unwrap();
        if let Some(certificate) = whole.finality(height).unwrap() {
            short.certified(height, block.id(), certificate);
        }
    }
    let (bytes, store) = (snapshot(&short).unwrap(), NodeStore::memory().unwrap());
    sync::read(&mut &bytes[..], &store, (&whole.checkpoint, whole.first.clone()), None).unwrap();
    let begun = Chain::open(world.genesis.clone(), store, whole.blobs.clone()).unwrap();
    for height in middle + 1..=whole.tip().height {
        begun.finalise(&whole.block(height).unwrap().unwrap(), false).unwrap();
    }
    let since = |chain: &Chain| chain.earned_since().unwrap();
    assert_eq!((since(&whole), since(&short), since(&begun)), (0, 0, middle));
    let (_, state) = whole.latest().unwrap();
    let (mut before, mut after) = (0, 0);
    for key in &world.keys {
        let account = key.verifying_key().to_bytes();
        let total = |chain: &Chain| earned(chain, &account).total;
        // Nobody cheats, so no seat has paid for an accusation, and none has lost anything.
        let balance = ledger::account_of(&State::new(&state), &account).unwrap().balance;
        assert_eq!(total(&whole), balance - MONEY);
        assert_eq!(total(&whole), total(&short) + total(&begun));
        assert_eq!(earned(&whole, &account).slashed, 0);
        (before, after) = (before + total(&short), after + total(&begun));
    }
    assert!(before > 0 && after > 0, "{before} and {after}");
    let records = |chain: &Chain| chain.store.length(list::RECORDS).unwrap();
    assert_eq!((records(&whole), records(&begun)), (world.records, world.records));
    assert!(records(&short) < world.records);
}

/// What a seat lost is counted too, and why.
#[test]
fn what_seats_lose_is_counted() {
    let world = with(3, Behaviour::Lazy);
    plan(&world, 1, 120, &[3]).run().unwrap();
    let chain = world.chain(0);
    let account = world.keys[3].verifying_key().to_bytes();
    let (_, state) = chain.latest().unwrap();
    let validator = State::new(&state).get::<Validators>(&account).unwrap().unwrap();
    let slashed = earned(&chain, &account).slashed;
    assert_eq!(u128::from(BOND / 2 - slashed), validator.slashable());
    let listed = chain.store.newest(list::SLASHES, u64::MAX, 1000).unwrap();
    let listed: Vec<Slash> = listed.iter().map(|(_, bytes)| Slash::read(bytes).unwrap()).collect();
    assert!(slashed > 0 && listed.iter().all(|one| one.account == account && one.cause.is_some()));
    assert_eq!(listed.iter().map(|one| one.lost).sum::<u64>(), slashed);
}

/// Whatever a stranger changes of a snapshot, it is refused, and nothing of it stays.
#[test]
fn a_bent_snapshot_is_refused() {
    let world = network(4);
    plan(&world, 3, 90, &[]).run().unwrap();
    let chain = world.chain(0);
    let bytes = snapshot(&chain).expect("the newest block has a certificate");
    let read = |bytes: &[u8], pinned: Option<&certify::Checkpoint>| {
        let store = NodeStore::memory().unwrap();
        let start = (&chain.checkpoint, chain.first.clone());
        let found = sync::read(&mut &bytes[..], &store, start, pinned).map_err(|why| why.to_string());
        assert_eq!(found.is_ok(), !store.is_empty().unwrap());
        found
    };
    assert_eq!(read(&bytes, None), Ok(chain.tip().height));
    assert!(read(&bytes, Some(&chain.checkpoint)).is_ok());
    let other = certify::Checkpoint { committee: [1; 32], ..chain.checkpoint.clone() };
    assert!(read(&bytes, Some(&other)).unwrap_err().contains("pinned"));
    let step = bytes.len() / 97;
    for at in (0..bytes.len()).step_by(step) {
        let mut bent = bytes.clone();
        bent[at] ^= 1;
        // The last byte of a body's record or a certificate: nothing is left unread.
        assert!(read(&bent, None).is_err(), "byte {at} of {}", bytes.len());
        assert!(read(&bytes[..at], None).is_err(), "cut at {at}");
    }
    // A body again, which its record names as well as before: there would be no end of them.
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 10 + number(6);
    while bytes[at] == 1 {
        at += 9 + number(at + 1) + number(at + 5);
    }
    assert_eq!(bytes[at], 2, "a body");
    let end = at + 37 + number(at + 33);
    let twice = [&bytes[..end], &bytes[at..]].concat();
    assert!(read(&twice, None).unwrap_err().contains("do not rise"));
    let stranger = World::new(3, &[], World::usual());
    let elsewhere = stranger.chain(0);
    let store = NodeStore::memory().unwrap();
    let start = (&elsewhere.checkpoint, elsewhere.first.clone());
    assert!(sync::read(&mut &bytes[..], &store, start, None).is_err(), "another network");
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

/// While too many are away, from one second after they went, no height moves; before it did, and afterwards it does.
fn stood_still(world: &World, validators: std::ops::Range<usize>, away: std::ops::Range<u64>) {
    for index in validators {
        let before = world.heights(index, 0, away.start * 1000);
        let during = world.heights(index, (away.start + 1) * 1000, away.end * 1000);
        let after = world.heights(index, away.end * 1000, u64::MAX);
        let (first, last) = (during[0], *after.last().unwrap());
        assert!(before.last().is_some_and(|height| *height > 0), "validator {index} did nothing before");
        assert!(during.len() > 50 && during.iter().all(|height| *height == first), "{index}: {during:?}");
        assert!(last > first, "validator {index} stays at {last}");
    }
}

/// Two of four cannot decide; when they meet again they go on, and nobody forked.
#[test]
fn a_partition_stops_progress_and_never_safety() {
    for seed in seeds() {
        let mut world = network(4);
        world.watched = true;
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
        stood_still(&world, 0..4, 2..12);
    }
}

/// Three of seven are down: nothing is decided. When they come back, all is.
#[test]
fn three_of_seven_down_stop_the_chain_until_they_return() {
    for seed in seeds() {
        let mut world = network(7);
        world.watched = true;
        let peers = world.peers();
        let mut schedule = Schedule::new();
        for peer in &peers[4..] {
            schedule = schedule.at(Duration::from_secs(2), Action::Crash(peer.clone()));
        }
        for peer in &peers[4..] {
            schedule = schedule.at(Duration::from_secs(15), Action::Restart(peer.clone()));
        }
        plan(&world, seed, 60, &[]).crash(Crash::Schedule(schedule)).run().unwrap();
        stood_still(&world, 0..4, 2..15);
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

/// Who spreads records and serves other bytes under their digests is not asked again: the right bytes come from elsewhere.
#[test]
fn garbage_under_a_digest_is_thrown_away() {
    for seed in seeds() {
        let mut world = with(3, Behaviour::Silent);
        world.spreads = Some((3, Serves::Garbage));
        plan(&world, seed, 60, &[]).run().unwrap();
    }
}

/// Nor is who names parts that nobody has, though that shows only when the whole is here.
#[test]
fn parts_that_nobody_has_keep_no_record_from_its_verdict() {
    for seed in seeds() {
        let mut world = with(3, Behaviour::Silent);
        world.spreads = Some((3, Serves::Riddles));
        plan(&world, seed, 60, &[]).run().unwrap();
    }
}

/// From the one that spreads records everything comes later than anybody waits for bytes; another has them too.
#[test]
fn a_slow_peer_keeps_no_record_from_its_verdict() {
    for seed in seeds() {
        let mut world = network(4);
        world.spreads = Some((3, Serves::Right));
        let peers = world.peers();
        let mut schedule = Schedule::new();
        for to in &peers[..3] {
            let (from, to) = (peers[3].clone(), to.clone());
            let slow = Action::UpdateLink { from, to, link: link(600, 10) };
            schedule = schedule.at(Duration::from_millis(1), slow);
        }
        plan(&world, seed, 60, &[]).crash(Crash::Schedule(schedule)).run().unwrap();
    }
}

/// What validators agreed on since counts, not what genesis says.
#[test]
fn the_rules_are_those_of_the_state() {
    let chain = network(4).chain(0);
    assert_eq!(chain.rules().unwrap(), chain.genesis.parameters);
    let (_, state) = chain.latest().unwrap();
    let mut present = ledger::present(&State::new(&state)).unwrap();
    (present.parameters.commit_blocks, present.parameters.block_bytes) = (9, 200_000);
    let changes = Changes::from([(key_of::<Present>(&()), Some(certify::encode(&present)))]);
    chain.store.write(Batch { state: Some(&changes), ..Batch::default() }, true).unwrap();
    assert_eq!((chain.rules().unwrap().commit_blocks, chain.dossier_max().unwrap()), (9, 200_000));
    assert_eq!(chain.genesis.parameters.commit_blocks, 4);
}

#[test]
fn accounts_are_the_engines_identities() {
    let world = network(4);
    for (key, peer) in world.keys.iter().zip(world.peers()) {
        assert_eq!(account_of(&peer), key.verifying_key().to_bytes());
    }
}
