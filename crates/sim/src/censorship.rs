//! S7: proposers that leave somebody out. How long does a transaction wait, and what do the censors gain?

use ledger::entry::Records;
use ledger::{Body, Parameters};

use crate::Grid;
use crate::chance::Chance;
use crate::picture::{Plot, Stroke};
use crate::report::{Report, Table, short};
use crate::world::{Honest, Who, World, rules};

/// Blocks that a transaction may wait.
const WAIT: usize = 10;
const SEATS: usize = 60;

/// How proposers follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Elector {
    /// Each block's by lot.
    Lots,
    /// All in turn, in an order drawn anew for each epoch.
    Drawn,
    /// All in turn in the order of their keys; censors' keys lie anywhere.
    Keys,
    /// The same, and censors made keys until they were neighbours.
    Neighbours,
}

/// Blocks until the first proposer who is no censor, counting no more than is asked for.
fn wait(chance: &mut Chance, elector: Elector, censors: usize) -> usize {
    if elector == Elector::Lots {
        return (0..=WAIT).take_while(|_| chance.below(SEATS) < censors).count();
    }
    let mut is_censor: Vec<bool> = (0..SEATS).map(|seat| seat < censors).collect();
    if elector != Elector::Neighbours {
        chance.shuffle(&mut is_censor);
    }
    let start = chance.below(SEATS);
    (0..=WAIT).take_while(|i| is_censor[(start + i) % SEATS]).count()
}

/// Lower end of the 99 % interval of Wilson for a share.
fn lower(hits: u64, draws: u64) -> f64 {
    let (z, n) = (2.576f64, draws as f64);
    let p = hits as f64 / n;
    let centre = p + z * z / (2.0 * n);
    let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((centre - spread) / (1.0 + z * z / n)).max(0.0)
}

/// Runs S7.
pub fn run(seed: u64, grid: Grid) -> Report {
    let mut report = Report::new("S7", "proposers that leave somebody out", seed);
    let mut chance = Chance::new(seed, "S7");
    let mut table = Table::new(
        "Probability that a transaction waits for more than 10 blocks, by share f of censors among 60 seats and by how proposers are chosen",
        &["f", "f¹⁰", "by lot", "in drawn order", "in order of keys", "neighbours"],
    );
    let draws: u64 = if grid == Grid::Small { 200_000 } else { 8_000_000 };
    let few = draws / 40;
    let (mut lots, mut drawn, mut neighbours) = (true, true, 0f64);
    for f in [0.1, 0.2, 0.33] {
        let censors = (f * SEATS as f64).floor() as usize;
        let bound = (censors as f64 / SEATS as f64).powi(WAIT as i32);
        let mut cells = vec![short(f), short(bound)];
        for elector in [Elector::Lots, Elector::Drawn, Elector::Keys, Elector::Neighbours] {
            let draws = if elector == Elector::Lots { draws } else { few };
            // More than ten blocks: the first ten proposers are censors.
            let hits = (0..draws).filter(|_| wait(&mut chance, elector, censors) >= WAIT).count() as u64;
            let share = hits as f64 / draws as f64;
            cells.push(if hits == 0 { format!("none of {draws}") } else { short(share) });
            match elector {
                Elector::Lots => lots &= lower(hits, draws) <= bound,
                Elector::Drawn => drawn &= lower(hits, draws) <= bound,
                Elector::Neighbours => neighbours = neighbours.max(share),
                Elector::Keys => {}
            }
        }
        table.row(cells);
    }
    report.criterion(
        "by lot, more than 10 blocks have at most probability f¹⁰ (99 % interval of Wilson)",
        lots,
    );
    report
        .criterion("in an order drawn for each epoch too: a censor that had its turn has none again", drawn);
    report.control(
        format!("in turn by key, censors whose keys are neighbours delay for more than 10 blocks with probability {}", short(neighbours)),
        neighbours > 0.01,
    );
    report.finding(format!(
        "the engine's plain rotation in the order of keys lets a third of the seats, whose keys were made to be neighbours, hold a transaction back for 10 blocks with probability {}, and for all of a third of the rotation at worst. The order must be drawn anew each epoch from what nobody chose.",
        short(neighbours)
    ));
    report.tables.push(table);
    blocks(&mut report, &mut chance, if grid == Grid::Small { 6 } else { 60 });
    starved(&mut report);
    report.plots.push(picture(&mut chance, few));
    report
}

/// The same with real blocks: candidates, proposers that leave one sender out, and the ledger's own choice of the rest.
fn blocks(report: &mut Report, chance: &mut Chance, trials: usize) {
    let mut world = World::equal(Parameters { epoch_blocks: 100_000, ..rules() }, 9, 4);
    let (victim, other) = (Who::User(1), Who::User(2));
    let (mut agree, mut kept) = (true, true);
    for _ in 0..trials {
        let turns: Vec<usize> = (0..12).map(|_| chance.below(9)).collect();
        // Turns count from height 0.
        let start = (world.tip.height + 1) as usize;
        world.schedule = (0..12).map(|i| turns[(i + 12 - start % 12) % 12]).collect();
        let expected = turns.iter().take_while(|seat| **seat < 3).count();
        let fee = world.price(1);
        let submission = world.submission(1, 0);
        let statement = submission.statement;
        let held_back = world.sign(victim, fee, &Body::SubmitRecord { submission });
        let mut waited = 0;
        loop {
            let mut candidates = world.verdicts(&mut Honest);
            let submission = world.submission(1, 0);
            candidates.push(world.sign(other, fee, &Body::SubmitRecord { submission }));
            let is_censor = world.proposer() < 3;
            if !is_censor {
                candidates.push(held_back.clone());
            }
            kept &= world.choose(&candidates).len() == candidates.len();
            if world.state().has::<Records>(&statement).is_ok_and(|has| has) {
                break;
            }
            waited += 1;
            if waited > 12 {
                break;
            }
        }
        agree &= waited == expected.min(12);
    }
    world.audit();
    report.criterion(
        format!("in {trials} runs of real blocks a transaction waits exactly for the first proposer who is no censor, and nobody else waits"),
        agree && kept,
    );
}

/// A seat whose verdicts are left out of the whole window.
fn starved(report: &mut Report) {
    let rules = Parameters { commit_blocks: 8, reveal_blocks: 8, epoch_blocks: 100_000, ..rules() };
    let earned = |censored: bool| {
        let mut world = World::equal(rules.clone(), 4, 2);
        let fee = world.price(1);
        let before: Vec<i128> = (0..4).map(|seat| world.voted(seat)).collect();
        world.submit(Who::User(1), 16, fee);
        world.go(1, &mut Honest);
        let account = world.account(Who::Seat(0));
        for _ in 0..40 {
            let mut list = world.verdicts(&mut Honest);
            let is_victims = |bytes: &Vec<u8>| {
                certify::decode::<ledger::Envelope>(bytes).is_ok_and(|e| e.sender == account)
            };
            list.retain(|bytes| !censored || !is_victims(bytes));
            world.choose(&list);
        }
        world.go(60, &mut Honest);
        world.audit();
        let got: Vec<i128> = (0..4).map(|seat| world.voted(seat) - before[seat]).collect();
        (got[0], got[1])
    };
    let ((all, others), (censored, censors)) = (earned(false), earned(true));
    report.criterion(
        format!("a seat whose verdicts are kept out of the whole window earns {censored} for the round, not {all}, and loses nothing; the censors gain {}", censors - others),
        censored == 0 && all > 0 && censors == others,
    );
}

fn picture(chance: &mut Chance, draws: u64) -> Plot {
    let mut plot = Plot::new(
        "s7-censorship",
        "Probability that a transaction waits for more than 10 blocks",
        "share of censors",
        "probability",
    )
    .log(false, true);
    let shares = [0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5];
    plot.line("f^10", Stroke::Dashed, shares.map(|f: f64| (f, f.powi(WAIT as i32))).to_vec());
    for (name, elector) in [
        ("by lot", Elector::Lots),
        ("in drawn order", Elector::Drawn),
        ("neighbours, in turn", Elector::Neighbours),
    ] {
        let points = shares.iter().map(|f| {
            let censors = (f * SEATS as f64) as usize;
            let hits = (0..draws).filter(|_| wait(chance, elector, censors) >= WAIT).count();
            (*f, hits as f64 / draws as f64)
        });
        plot.line(name, Stroke::Solid, points.filter(|(_, share)| *share > 0.0).collect());
    }
    plot
}
