//! Validators that break the rules of the engine or of the network, and strangers that break none.

use std::future::Future;
use std::pin::Pin;

use certify::hash::{Digest, Purpose, hash};
use commonware_glue::simulate::property::Property;
use commonware_glue::simulate::tracker::ProgressTracker;
use ledger::entry::Status;
use zerotell_node::hooks::Kind;
use zerotell_node::scheme::PeerKey;
use zerotell_node::seat::Behaviour;

use crate::wire::{FORGERIES, Way};
use crate::world::{BOND, FEE, HOARDED, MONEY, View, World, link};
use crate::{network, plan, seeds, with};

/// Kinds of offences `[H26]`.
const WRONG_VERDICT: u8 = 3;
const WRONG_EXECUTION: u8 = 4;
const ENGINE: u8 = 5;

/// Asks something of every validator that is not cut off.
#[derive(Clone)]
struct Each<F>(&'static str, F);

impl<F: Fn(&View) -> Result<(), String> + Send + Sync> Property<PeerKey, View> for Each<F> {
    fn name(&self) -> &str {
        self.0
    }

    fn check<'a>(
        &'a self,
        _: &'a ProgressTracker<PeerKey>,
        views: &'a [&'a View],
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        let found = views.iter().filter(|view| !view.is_cut).try_for_each(|view| (self.1)(view));
        Box::pin(async move { found })
    }
}

/// A network in which one validator's lines are bent. It has a seventh of the stake.
fn bent(seat: usize, way: Way) -> World {
    let bonds = [0, 1, 2, 3].map(|i| if i == seat { BOND / 2 } else { BOND });
    let mut world = World::new(4, &bonds, World::usual());
    world.ways.insert(seat, way);
    world
}

/// Names of all offences in the engine that an account may have committed `[U9]`.
fn engine_offences(account: &Digest) -> impl Iterator<Item = Digest> {
    let at = |epoch: u64, view: u64| {
        let parts: [&[u8]; 3] = [&epoch.to_le_bytes(), &view.to_le_bytes(), account];
        hash(Purpose("zerotell/engine-offence/1"), &parts)
    };
    (0..4).flat_map(move |epoch| (1..200).map(move |view| at(epoch, view)))
}

/// What a seat is told by another is bound to the other's key: it shows that it did not look.
#[test]
fn a_copying_seat_is_slashed_for_its_execution() {
    for seed in seeds() {
        let world = with(1, Behaviour::Copier);
        let (account, numbers) = (world.account(1), world.numbers());
        let told = Each("told", move |view: &View| {
            let is = |kind| {
                numbers.iter().any(|number| view.is_punished(&account, kind, &World::statement(*number)))
            };
            match (is(WRONG_EXECUTION), is(WRONG_VERDICT)) {
                (true, false) if view.bond(&account) < BOND / 2 => Ok(()),
                found => Err(format!("wrong execution, wrong verdict: {found:?}")),
            }
        });
        plan(&world, seed, 120, &[1]).property(told).run().unwrap();
    }
}

/// Whatever two votes contradict each other, everybody who sees both can show them, and the bond is smaller for it.
fn contradictions_are_punished(kind: Kind) {
    for seed in seeds() {
        let world = bent(3, Way::Votes(kind));
        let account = world.account(3);
        let shown = Each("shown", move |view: &View| {
            let known = engine_offences(&account).any(|id| view.is_punished(&account, ENGINE, &id));
            if known && view.bond(&account) < BOND / 2 {
                return Ok(());
            }
            Err(format!("known: {known}, bond: {}", view.bond(&account)))
        });
        plan(&world, seed, 100, &[3]).property(shown).run().unwrap();
        assert!(world.tricks() > 0, "it signed nothing that contradicts itself");
    }
}

#[test]
fn two_votes_to_notarise_cost_a_part_of_the_bond() {
    contradictions_are_punished(Kind::Notarize);
}

#[test]
fn two_votes_to_finalise_cost_a_part_of_the_bond() {
    contradictions_are_punished(Kind::Finalize);
}

#[test]
fn a_vote_to_skip_and_one_to_finalise_cost_a_part_of_the_bond() {
    contradictions_are_punished(Kind::Both);
}

/// A leader that shows each half another good block, and votes for both, forks nothing and stops nothing.
#[test]
fn a_leader_with_two_blocks_forks_nothing() {
    for seed in seeds() {
        let world = bent(2, Way::Forks);
        plan(&world, seed, 80, &[]).run().unwrap();
        assert!(world.tricks() > 1, "it made two blocks only {} times", world.tricks());
    }
}

/// A leader whose blocks are all wrong, each in another way, is passed over.
#[test]
fn no_wrong_block_is_final() {
    for seed in seeds() {
        let world = bent(0, Way::Forges);
        let forger = world.account(0);
        let passed_over = Each("passed over", move |view: &View| {
            for height in 1..=view.chain.tip().height {
                let header = view.chain.block(height).unwrap().unwrap().header;
                // Runs end after ten minutes.
                if header.proposer == forger || header.time > 600_000 || header.engine != [0; 32] {
                    return Err(format!("block {height} is final: {header:?}"));
                }
            }
            Ok(())
        });
        plan(&world, seed, 100, &[]).property(passed_over).run().unwrap();
        assert!(world.tricks() >= FORGERIES, "it made only {} wrong blocks", world.tricks());
    }
}

/// Bits that are turned on every line cost nobody anything but whoever turns them.
#[test]
fn noise_on_every_line_stops_nobody() {
    for seed in seeds() {
        let world = bent(1, Way::Noise);
        plan(&world, seed, 60, &[]).run().unwrap();
        assert!(world.tricks() > 0);
    }
}

/// Some messages arrive twice, some not at all.
#[test]
fn messages_are_lost_and_come_twice() {
    for seed in seeds() {
        let mut world = network(4);
        world.ways = (0..4).map(|i| (i, Way::Twice)).collect();
        plan(&world, seed, 60, &[]).link(link(30, 9)).run().unwrap();
        assert!(world.tricks() > 0);
    }
}

/// One orders a record whose bytes it has alone, and gives them to these.
fn hoarding(favoured: &[usize]) -> World {
    let mut world = bent(3, Way::Keeps(favoured.to_vec()));
    world.hoards = Some(3);
    world.endow(&world.hoarder.clone());
    world
}

/// All others abstain: in the end the record is undecided and its fee is gone `[H22]`. Others are decided meanwhile and later.
#[test]
fn a_proof_that_nobody_gets_leaves_its_record_undecided() {
    for seed in seeds() {
        let mut world = hoarding(&[]);
        // The last ones come when it was given up.
        world.records = 40;
        let (hoarder, last) = (world.hoarder.verifying_key().to_bytes(), world.records - 1);
        let burned = Each("burned", move |view: &View| {
            let left = view.balance(&hoarder);
            if left != MONEY - FEE {
                return Err(format!("the hoarder has {left}"));
            }
            let ordered = view.record(last).ok_or("the last record is lost")?.ordered;
            match view.record(HOARDED).ok_or("the hoarded record is lost")?.status {
                Status::Undecided { height } if height < ordered => Ok(()),
                status => Err(format!("it is {status:?}, and the last record was ordered at {ordered}")),
            }
        });
        plan(&world, seed, 80, &[]).property(burned).run().unwrap();
        assert!(world.tricks() > 0, "nobody asked for the bytes");
    }
}

/// One honest validator is enough: it gives on what it got.
#[test]
fn a_proof_that_one_gets_reaches_all() {
    for seed in seeds() {
        let mut world = hoarding(&[1]);
        // Whoever does not answer is waited for, longer than a round takes.
        world.genesis.parameters.tries = 20;
        plan(&world, seed, 80, &[]).run().unwrap();
        assert!(world.tricks() > 0, "nobody else asked for the bytes");
    }
}

/// The pool stays within its bounds, and who pays more goes first.
#[test]
fn a_flood_fills_no_pool_beyond_its_limit_and_stops_no_record() {
    for seed in seeds() {
        let (mut world, limit) = (network(4), 8 << 10);
        world.flooded = Some(limit);
        world.endow(&world.stranger.clone());
        plan(&world, seed, 60, &[]).run().unwrap();
        let found = world.flood();
        assert!(found.taken > 0 && found.full > 0 && found.refused > found.taken, "{found:?}");
        assert!(found.bytes <= limit && found.bytes > limit / 2, "{found:?}");
        // Verdicts wait beside them: two kinds of four seats, about no more rounds than there are records.
        let verdicts = 2 * 4 * usize::try_from(world.records).unwrap();
        assert!(found.count <= limit / found.length + verdicts, "{found:?}");
    }
}
