//! S8: can two conflicting blocks be final, and what does a client make of them?
//!
//! The client is `certify`'s own, with real keys and signatures. The network is a model: seats that vote as the engine's
//! rules say (one block per view is notarised, a seat finalises only what it saw notarised and did not give up on, a
//! proposal needs a notarised parent and given-up views between), messages that a partition keeps back, and Byzantine
//! seats, or honest ones that run twice, that vote for everything. The engine itself is tested by its own simulator.

use certify::client::{Checkpoint, Client, Clock};
use certify::finality::quorum;
use certify::handover::{Change, Handover};
use certify::{Committee, Header, Refusal};

use crate::Grid;
use crate::chance::Chance;
use crate::report::{Report, Table, short};
use crate::signing::{Signer, committee, finality};

const NETWORK: [u8; 32] = [5; 32];
const DAY: u64 = 86_400_000;

fn header(height: u64, committee: &Committee, mark: u8) -> Header {
    Header {
        network: NETWORK,
        height,
        epoch: committee.epoch,
        time: height * 1_000,
        proposer: [0; 32],
        parent: [0; 32],
        engine: [0; 32],
        transactions: [0; 32],
        state: [mark; 32],
        outcomes: [0; 32],
        committee: committee.digest(),
        next: None,
    }
}

fn signers(count: usize, name: &str) -> Vec<Signer> {
    (0..count).map(|i| Signer::new(&format!("{name} {i}"))).collect()
}

fn checkpoint(committee: &Committee, height: u64) -> Checkpoint {
    Checkpoint {
        network: NETWORK,
        epoch: committee.epoch,
        height,
        time: height * 1_000,
        committee: committee.digest(),
    }
}

/// One view of a partitioned network: the first `bad` seats show one block to one side and another to the other, and vote
/// for both. Gives the voters of either block.
fn split_view(seats: usize, bad: usize, side: usize) -> [Vec<usize>; 2] {
    let of = |range: std::ops::Range<usize>| (0..bad).chain(range).collect::<Vec<usize>>();
    [of(bad..bad + side), of(bad + side..seats)]
}

/// Whether a client with a checkpoint accepts both blocks of a split view.
fn accepts_both(seats: usize, bad: usize, side: usize) -> bool {
    let (committee, signers) = committee(0, signers(seats, "seat"));
    let client = Client::new(&checkpoint(&committee, 0), committee.clone(), None).expect("a good checkpoint");
    let sides = split_view(seats, bad, side);
    sides.iter().zip([1u8, 2]).all(|(who, mark)| {
        let header = header(7, &committee, mark);
        !who.is_empty() && client.accept(&header, &finality(&header, 3, &signers, who)).is_ok()
    })
}

/// Whether any way of cutting the honest in two gives both blocks a quorum.
fn can_split(seats: usize, bad: usize) -> Option<usize> {
    let needed = quorum(seats as u8) as usize;
    (0..=seats - bad).find(|side| split_view(seats, bad, *side).iter().all(|who| who.len() >= needed))
}

/// A block of the model: its view, and its parent's place in the list.
#[derive(Clone, Copy, Debug)]
struct Block {
    view: u64,
    parent: Option<usize>,
}

/// What an honest seat has done and seen in a view.
#[derive(Clone, Default)]
struct Seen {
    notarised: Option<usize>,
    gave_up: bool,
    finalised: bool,
}

/// A run of many views with lost messages and Byzantine seats; gives the blocks that were finalised, and all blocks.
fn random_run(chance: &mut Chance, seats: usize, bad: usize, views: u64) -> (Vec<usize>, Vec<Block>) {
    let needed = quorum(seats as u8) as usize;
    let mut blocks: Vec<Block> = Vec::new();
    // Blocks that a quorum notarised, views that a quorum gave up.
    let (mut notarised, mut abandoned, mut finals): (Vec<usize>, Vec<u64>, Vec<usize>) = Default::default();
    for view in 1..=views {
        let mut seen = vec![Seen::default(); seats];
        let leader = chance.below(seats);
        let may_follow = |parent: Option<usize>, blocks: &[Block], abandoned: &[u64]| {
            let from = parent.map_or(0, |p: usize| blocks[p].view);
            (from + 1..view).all(|v| abandoned.contains(&v))
        };
        let parents: Vec<Option<usize>> = notarised
            .iter()
            .map(|p| Some(*p))
            .chain([None])
            .filter(|p| may_follow(*p, &blocks, &abandoned))
            .collect();
        let count = if leader < bad { 2 } else { 1 };
        let mut proposed = Vec::new();
        for _ in 0..count {
            if parents.is_empty() {
                break;
            }
            let parent = parents[chance.below(parents.len())];
            blocks.push(Block { view, parent });
            proposed.push(blocks.len() - 1);
        }
        // Each honest seat hears one proposal or none, and sooner or later gives up unless it finalised.
        for seat in seen.iter_mut().skip(bad) {
            if !proposed.is_empty() && chance.happens(0.85) {
                seat.notarised = Some(proposed[chance.below(proposed.len())]);
            }
        }
        for &block in &proposed {
            let votes = bad + (bad..seats).filter(|s| seen[*s].notarised == Some(block)).count();
            if votes < needed {
                continue;
            }
            notarised.push(block);
            for seat in seen.iter_mut().skip(bad) {
                // It sees the notarisation in time, or gives the view up; never both.
                if chance.happens(0.8) && !seat.gave_up {
                    seat.finalised |= seat.notarised == Some(block);
                } else if !seat.finalised {
                    seat.gave_up = true;
                }
            }
            let votes = bad
                + (bad..seats).filter(|s| seen[*s].finalised && seen[*s].notarised == Some(block)).count();
            if votes >= needed {
                finals.push(block);
            }
        }
        for seat in seen.iter_mut().skip(bad) {
            seat.gave_up |= !seat.finalised && chance.happens(0.9);
        }
        if bad + (bad..seats).filter(|s| seen[*s].gave_up).count() >= needed {
            abandoned.push(view);
        }
    }
    (finals, blocks)
}

fn is_ancestor(blocks: &[Block], older: usize, younger: usize) -> bool {
    let mut at = Some(younger);
    while let Some(block) = at {
        if block == older {
            return true;
        }
        at = blocks[block].parent;
    }
    false
}

/// Runs of many views in which two finalised blocks are on different branches; and blocks finalised per run.
fn conflicts(chance: &mut Chance, seats: usize, bad: usize, runs: usize) -> (usize, f64) {
    let mut all = 0;
    let conflicts = (0..runs)
        .filter(|_| {
            let (finals, blocks) = random_run(chance, seats, bad, 30);
            all += finals.len();
            finals.iter().any(|a| {
                finals.iter().any(|b| {
                    let (old, new) = if blocks[*a].view <= blocks[*b].view { (*a, *b) } else { (*b, *a) };
                    !is_ancestor(&blocks, old, new)
                })
            })
        })
        .count();
    (conflicts, all as f64 / runs as f64)
}

/// Runs S8.
pub fn run(seed: u64, grid: Grid) -> Report {
    let mut report = Report::new("S8", "conflicting blocks and old keys", seed);
    splits(&mut report, grid);
    runs(&mut report, grid);
    old_keys(&mut report);
    report
}

fn splits(report: &mut Report, grid: Grid) {
    let sizes: &[usize] = if grid == Grid::Small { &[4, 7] } else { &[4, 5, 6, 7, 10, 16, 31, 64, 100, 128] };
    let mut table = Table::new(
        "One view, a proposer that shows two blocks, and the worst way to cut the honest in two: whether the client accepts both; Byzantine seats and seats that run twice count alike",
        &["seats", "bad, below a third", "both accepted", "bad, 2q − n", "both accepted"],
    );
    let (mut safe, mut broken) = (true, true);
    for &seats in sizes {
        let most = (seats - 1) / 3;
        safe &= (0..=most).all(|bad| can_split(seats, bad).is_none());
        let half = (seats - most) / 2;
        let below = [half, half + 1].into_iter().any(|side| accepts_both(seats, most, side));
        safe &= !below;
        let over = (most + 1..seats).find(|bad| can_split(seats, *bad).is_some()).unwrap_or(seats);
        let side = can_split(seats, over).unwrap_or_default();
        let above = accepts_both(seats, over, side);
        broken &= above && over == 2 * quorum(seats as u8) as usize - seats;
        let yes = |b: bool| if b { "yes" } else { "no" }.to_string();
        table.row(vec![seats.to_string(), most.to_string(), yes(below), over.to_string(), yes(above)]);
    }
    report.criterion(
        "below a third no cut of the honest makes both blocks final, and the client refuses what there is",
        safe,
    );
    report.control(
        "with 2q − n seats, q the quorum of n, it does, and the client accepts both: it counts, it cannot know",
        broken,
    );
    report.tables.push(table);
}

fn runs(report: &mut Report, grid: Grid) {
    let mut chance = Chance::new(report.seed, "S8");
    let runs = if grid == Grid::Small { 300 } else { 20_000 };
    let mut table = Table::new(
        "Thirty views with lost messages and two-faced proposers: runs with blocks final on two branches",
        &["seats", "bad", "runs", "conflicts", "blocks final per run"],
    );
    let (mut safe, mut broken) = (true, true);
    for (seats, bad) in [(4, 1), (7, 2), (10, 3), (4, 2), (7, 4), (10, 5)] {
        let (found, finals) = conflicts(&mut chance, seats, bad, runs);
        if bad * 3 < seats {
            safe &= found == 0 && finals > 1.0;
        } else {
            broken &= found > 0;
        }
        table.row(vec![
            seats.to_string(),
            bad.to_string(),
            runs.to_string(),
            found.to_string(),
            short(finals),
        ]);
    }
    report.criterion("below a third no run has blocks final on two branches", safe);
    report.control("above a third some have", broken);
    report.tables.push(table);
}

/// A step from one committee to the next, signed by the old one.
fn step(from: &Committee, keys: &[Signer], to: &Committee, height: u64) -> Handover {
    let header = Header { next: Some(to.digest()), ..header(height, from, 9) };
    let all: Vec<usize> = (0..keys.len()).collect();
    let finality = finality(&header, height, keys, &all);
    Handover { header, finality, change: Change::between(from, to).expect("two committees") }
}

/// Everyone of an old committee sold its keys once its bonds were free. Who can be deceived?
fn old_keys(report: &mut Report) {
    let epochs: Vec<(Committee, Vec<Signer>)> =
        (0..4).map(|e| committee(e, signers(4, &format!("epoch {e}")))).collect();
    let (forged, forgers) = committee(2, signers(4, "thief"));
    let stolen = step(&epochs[1].0, &epochs[1].1, &forged, 250);
    let lie = header(280, &forged, 66);
    let lie_signed = finality(&lie, 9, &forgers, &[0, 1, 2, 3]);
    let reach = |client: &mut Client| client.follow(&stolen).and_then(|()| client.accept(&lie, &lie_signed));
    let clock = |now| Some(Clock { now, trust: 14 * DAY, drift: 10_000 });
    let old = checkpoint(&epochs[1].0, 200);
    // A client that stays in touch: it followed to epoch 3, and pinned what it reached.
    let mut up_to_date =
        Client::new(&checkpoint(&epochs[0].0, 100), epochs[0].0.clone(), None).expect("a checkpoint");
    for (epoch, height) in [(0usize, 190u64), (1, 290), (2, 390)] {
        let (from, keys) = &epochs[epoch];
        up_to_date.follow(&step(from, keys, &epochs[epoch + 1].0, height)).expect("an honest hand-over");
    }
    let pinned = up_to_date.checkpoint();
    let mut from_pin = Client::new(&pinned, epochs[3].0.clone(), clock(400_000)).expect("a fresh checkpoint");
    let mut within = Client::new(&old, epochs[1].0.clone(), clock(300_000)).expect("within the trust period");
    let too_late = Client::new(&old, epochs[1].0.clone(), clock(30 * DAY));
    let mut no_clock = Client::new(&old, epochs[1].0.clone(), None).expect("no clock, no age");
    let mut table = Table::new(
        "A chain forged from the keys of epoch 1, by what the client knows",
        &["client", "answer"],
    );
    let word = |found: &Result<(), Refusal>| match found {
        Ok(()) => "accepts the forgery".to_string(),
        Err(why) => why.to_string(),
    };
    let answers = [
        ("pinned a checkpoint of epoch 3", reach(&mut from_pin)),
        ("starts from epoch 1 after the trust period", too_late.map(|_| ())),
        ("starts from epoch 1 within it: the keys' bonds can still be slashed", reach(&mut within)),
        ("starts from epoch 1 without a clock", reach(&mut no_clock)),
    ];
    for (client, answer) in &answers {
        table.row(vec![client.to_string(), word(answer)]);
    }
    report.criterion(
        "a client with a later checkpoint refuses what old keys sign",
        matches!(answers[0].1, Err(Refusal::Epoch { found: 1, known: 3 })),
    );
    report.criterion(
        "a client with a clock refuses to start from a checkpoint older than the trust period",
        answers[1].1 == Err(Refusal::Stale),
    );
    report.control(
        "a client without a clock, or within the trust period, accepts the forgery",
        answers[2].1.is_ok() && answers[3].1.is_ok(),
    );
    // Half of the old keys are not enough.
    let partial = finality(&stolen.header, 250, &epochs[1].1, &[0, 1]);
    let weak = Handover { finality: partial, ..stolen };
    let mut client = Client::new(&old, epochs[1].0.clone(), None).expect("no clock, no age");
    report.criterion(
        "two of four old keys are refused",
        matches!(client.follow(&weak), Err(Refusal::Quorum { found: 2, needed: 3 })),
    );
    report.tables.push(table);
}
