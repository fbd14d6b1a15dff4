//! S9: what happens when honest seats run builds that disagree, and somebody tries to profit from it.

use std::collections::BTreeSet;

use certify::hash::Digest;
use ledger::Parameters;
use ledger::entry::Status;

use crate::Grid;
use crate::picture::{Plot, Stroke};
use crate::report::{Report, Table, percent};
use crate::world::{BAD, Conduct, Say, Seen, Trace, Who, World, rules};

/// The first seats run another build.
struct Builds {
    others: usize,
    /// Records that the other build is wrong about; about all others it agrees.
    flips: BTreeSet<Digest>,
    /// Whether its traces differ where its verdicts do not.
    has_other_traces: bool,
    /// Seats that were punished and abstain, as a node does until it is started again.
    stopped: BTreeSet<usize>,
}

impl Conduct for Builds {
    fn say(&mut self, seat: usize, seen: &Seen) -> Say {
        if seat >= self.others {
            return seen.look();
        }
        if self.stopped.contains(&seat) {
            return Say::Abstain;
        }
        if self.flips.contains(&seen.statement) {
            return Say::Code(if seen.truth == 0 { BAD } else { 0 }, Trace::Build(1));
        }
        if self.has_other_traces { Say::Code(seen.truth, Trace::Build(1)) } else { seen.look() }
    }
}

struct Outcome {
    /// Largest part of a bond that an honest seat lost within one epoch.
    within_epoch: f64,
    is_suspended: bool,
    /// What the accuser of it all earned, less its fees.
    hunter: i128,
}

fn lost(world: &World) -> f64 {
    let bond = rules().least_bond;
    (0..).map_while(|seat| (seat < world.proposed.len()).then(|| bond - world.stake(seat))).max().unwrap_or(0)
        as f64
        / bond as f64
}

/// Some of `seats` run another build, `records` records meet the disagreement in one epoch, and somebody accuses whenever it can.
fn disagree(seats: usize, others: usize, records: usize, has_other_traces: bool) -> Outcome {
    let rules =
        Parameters { epoch_blocks: 2_000, unbonding_blocks: 4_000, correlation_blocks: 2_000, ..rules() };
    let mut world = World::equal(rules, seats, 3);
    let mut builds = Builds { others, flips: BTreeSet::new(), has_other_traces, stopped: BTreeSet::new() };
    let (user, hunter) = (Who::User(1), Who::User(2));
    let before = i128::from(world.balance(hunter));
    for number in 0..records {
        if world.is_suspended(1) {
            break;
        }
        let fee = world.price(1);
        let statement = world.submit(user, if number % 2 == 0 { 0 } else { BAD }, fee);
        if !has_other_traces {
            builds.flips.insert(statement);
        }
        // Others that are under way when the first is accused.
        let mut all = vec![statement];
        for _ in 0..if has_other_traces { 3 } else { 0 } {
            world.go(1, &mut builds);
            let fee = world.price(1);
            all.push(world.submit(user, 0, fee));
        }
        world.go(6, &mut builds);
        for statement in all {
            let record = world.record(&statement);
            if matches!(record.status, Status::Final { .. }) && record.held == 0 {
                if has_other_traces {
                    world.accuse_execution(hunter, statement);
                } else {
                    world.accuse(hunter, statement);
                }
            }
        }
        world.go(1, &mut builds);
        builds.stopped.extend((0..others).filter(|seat| world.validator(*seat).traced > 0));
        world.rest(&mut builds);
    }
    world.audit();
    Outcome {
        within_epoch: lost(&world),
        is_suspended: world.is_suspended(1),
        hunter: i128::from(world.balance(hunter)) - before,
    }
}

/// Runs S9.
pub fn run(seed: u64, grid: Grid) -> Report {
    let mut report = Report::new("S9", "honest seats whose builds disagree", seed);
    let (shares, records): (&[usize], usize) = match grid {
        Grid::Small => (&[1, 5, 6, 40], 2),
        Grid::Full => (&[1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 25, 30, 33, 34, 40], 6),
    };
    let mut table = Table::new(
        "Of 100 seats some run another build: what an honest seat loses of its bond in an epoch, whether the class is suspended, what the accuser gains (units)",
        &[
            "other build",
            "verdicts differ: lost",
            "suspended",
            "accuser",
            "only traces differ: lost",
            "suspended",
            "accuser",
        ],
    );
    let (mut worst, mut suspends, mut holds, mut traces) = (0f64, true, true, 0f64);
    let mut lines = [Vec::new(), Vec::new()];
    for &others in shares {
        let verdicts = disagree(100, others, records, false);
        let only_traces = disagree(100, others, records, true);
        worst = worst.max(verdicts.within_epoch);
        suspends &= verdicts.is_suspended == (others > 5);
        holds &= others <= 5 || verdicts.within_epoch == 0.0;
        traces = traces.max(only_traces.within_epoch);
        lines[0].push((others as f64, verdicts.within_epoch * 100.0));
        lines[1].push((others as f64, only_traces.within_epoch * 100.0));
        let yes = |b: bool| if b { "yes" } else { "no" }.to_string();
        let mut cells = vec![format!("{others} %")];
        for outcome in [&verdicts, &only_traces] {
            cells.extend([
                percent(outcome.within_epoch),
                yes(outcome.is_suspended),
                outcome.hunter.to_string(),
            ]);
        }
        table.row(cells);
    }
    report.criterion(
        format!(
            "nobody honest loses more than 1 % in an epoch ({}; {} where only traces differ, with {records} records)",
            percent(worst),
            percent(traces)
        ),
        worst.max(traces) <= 0.0101,
    );
    report.criterion("the class is suspended above 5 % of dissent, and not below", suspends);
    report.criterion("where it is suspended nobody loses anything", holds);
    asides(&mut report);
    report.tables.push(table);
    let mut plot = Plot::new(
        "s9-disagreement",
        "What an honest seat with another build loses in an epoch",
        "per cent of seats with the other build",
        "per cent of the bond",
    );
    let [verdicts, only_traces] = lines;
    plot.line("verdicts differ", Stroke::Solid, verdicts);
    plot.line("only traces differ", Stroke::Solid, only_traces);
    report.plots.push(plot);
    report
}

/// What else was seen: offenders, other traces, few seats.
fn asides(report: &mut Report) {
    // Without the rule that dissenters in a case only err, they would be punished as offenders are.
    report.control(
        "the same seats as offenders, counted together, would lose three times their share",
        offenders() > 0.17,
    );
    report.finding(
        "a build whose verdicts are right but whose traces differ pays a hundredth once, while it is 5 % or less, whatever was under way, since its node abstains from then on; a seat that goes on pays 1, 2, 4, … % for each round ordered after the last punishment. A release must not change traces without a new version of the verifier."
            .to_string(),
    );
    let alone = disagree(10, 1, 1, false);
    report.finding(format!(
        "with fewer than 20 equal seats one seat is more than 5 %: of 10 seats, one that dissents in a case suspends the class ({}) at no cost.",
        if alone.is_suspended { "measured" } else { "not seen" }
    ));
}

/// What six of 100 seats lose that said the same wrong thing, and look again when it is a case.
fn offenders() -> f64 {
    struct Lazy;
    impl Conduct for Lazy {
        fn say(&mut self, seat: usize, seen: &Seen) -> Say {
            if seat < 6 && !seen.is_case { Say::Code(0, Trace::Guess) } else { seen.look() }
        }
    }
    let mut world = World::equal(rules(), 100, 2);
    let fee = world.price(1);
    world.submit(Who::User(1), BAD, fee);
    world.go(5, &mut Lazy);
    world.rest(&mut Lazy);
    lost(&world)
}
