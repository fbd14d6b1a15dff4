//! S11: what an honest seat with a small machine earns, and whether it is ever punished.

use std::collections::BTreeMap;

use certify::hash::Digest;
use ledger::Parameters;

use crate::Grid;
use crate::chance::Chance;
use crate::picture::{Plot, Stroke};
use crate::report::{Report, Table, percent, short};
use crate::world::{BAD, Conduct, Say, Seen, WORK, Who, World, rules};

/// Seat 0 verifies records in the order of their blocks, as far as its machine gets before it must commit.
struct Slow {
    /// Microseconds of verifying per block.
    capacity: f64,
    /// Block, in fractions, up to which the machine is busy.
    busy_until: f64,
    window: u64,
    done: BTreeMap<Digest, bool>,
}

impl Conduct for Slow {
    fn say(&mut self, seat: usize, seen: &Seen) -> Say {
        if seat != 0 {
            return seen.look();
        }
        let (work, deadline) = (WORK as f64 / self.capacity, (seen.height + self.window) as f64);
        let is_done = *self.done.entry(seen.statement).or_insert_with(|| {
            let end = self.busy_until.max(seen.height as f64) + work;
            let in_time = end <= deadline;
            // What cannot be done in time is not begun.
            if in_time {
                self.busy_until = end;
            }
            in_time
        });
        if is_done { seen.look() } else { Say::Abstain }
    }

    fn delay(&self, seat: usize) -> u64 {
        if seat == 0 { self.window } else { 1 }
    }
}

struct Earned {
    share: f64,
    lost: u64,
}

/// What the slow seat earns of what a fast one does, at a load in parts of its capacity. Half of the blocks carry twice
/// the mean, as chance has it.
fn earned(chance: &mut Chance, load: f64, window: u64, blocks: u64) -> Earned {
    let rules = Parameters { commit_blocks: window, epoch_blocks: 1_000, unbonding_blocks: 2_000, ..rules() };
    let mut world = World::equal(rules, 4, 2);
    let per_block = 4usize;
    let capacity = (per_block as u64 * WORK) as f64 / load;
    let mut slow = Slow { capacity, busy_until: 0.0, window, done: BTreeMap::new() };
    let fee = world.price(1);
    let before: Vec<i128> = (0..2).map(|seat| world.voted(seat)).collect();
    for _ in 0..blocks {
        let count = if chance.happens(0.5) { 2 * per_block } else { 0 };
        for _ in 0..count {
            let truth = if chance.happens(0.1) { BAD } else { 0 };
            world.submit(Who::User(1), truth, fee);
        }
        world.go(1, &mut slow);
    }
    world.go(window + 50, &mut slow);
    world.end_epoch(&mut slow);
    world.audit();
    let got: Vec<f64> = (0..2).map(|seat| (world.voted(seat) - before[seat]) as f64).collect();
    Earned { share: got[0] / got[1], lost: Parameters::default().least_bond - world.stake(0) }
}

/// Runs S11.
pub fn run(seed: u64, grid: Grid) -> Report {
    let mut report = Report::new("S11", "an honest seat with a small machine", seed);
    let mut chance = Chance::new(seed, "S11");
    let (loads, blocks): (&[f64], u64) = match grid {
        Grid::Small => (&[0.5, 0.9, 2.0], 60),
        Grid::Full => (&[0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.25, 1.5, 2.0, 4.0, 8.0], 400),
    };
    let window = Parameters::default().commit_blocks;
    let mut table = Table::new(
        "What it earns of a fast seat's rewards, by the work of records in parts of what it can verify (half of the blocks are empty, half carry twice the mean), and what of its stake it lost",
        &["load", "8 blocks to commit (ours)", "1 block", "lost"],
    );
    let (mut fit, mut offences, mut hasty) = (1f64, 0, 1f64);
    let mut lines = [Vec::new(), Vec::new()];
    for &load in loads {
        let ours = earned(&mut chance, load, window, blocks);
        let short_window = earned(&mut chance, load, 1, blocks);
        if load <= 0.9 {
            fit = fit.min(ours.share);
            hasty = hasty.min(short_window.share);
        }
        offences += ours.lost + short_window.lost;
        lines[0].push((load, ours.share));
        lines[1].push((load, short_window.share));
        table.row(vec![
            short(load),
            percent(ours.share),
            percent(short_window.share),
            (ours.lost + short_window.lost).to_string(),
        ]);
    }
    report.criterion(
        format!("up to nine tenths of its capacity it earns at least 90 % ({})", percent(fit)),
        fit >= 0.9,
    );
    report.criterion(format!("it is never punished, at any load ({offences} units lost)"), offences == 0);
    report.control(format!("with one block to commit it would earn {}", percent(hasty)), hasty < 0.9);
    let rules = Parameters::default();
    let cores = |work: u64| work as f64 / 50_000.0;
    report.finding(format!(
        "`block_work` is {} microseconds a block, and prices aim at half of it. At the 100 ms a block that make `unbonding_blocks` 21 days, that is {} cores at the aim and {} when blocks are full: a machine with two cores keeps up with full blocks. At 150 records of 3 ms a second it needs {} cores.",
        rules.block_work,
        short(cores(rules.block_work / 2)),
        short(cores(rules.block_work)),
        short(0.45)
    ));
    report.tables.push(table);
    let mut plot = Plot::new(
        "s11-slow",
        "What a slow honest seat earns",
        "load in parts of its capacity",
        "share of a fast seat's rewards",
    );
    let [ours, one] = lines;
    plot.line("8 blocks to commit (ours)", Stroke::Solid, ours);
    plot.line("1 block to commit", Stroke::Solid, one);
    plot.line(
        "what its capacity allows",
        Stroke::Dashed,
        loads.iter().map(|load| (*load, (1.0 / load).min(1.0))).collect(),
    );
    report.plots.push(plot);
    report
}
