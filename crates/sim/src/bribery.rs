//! S5: what it costs to buy a wrong verdict, and what clients that verify again change.

use ledger::Parameters;
use ledger::entry::Status;

use crate::Grid;
use crate::chance::Chance;
use crate::picture::{Plot, Stroke};
use crate::report::{Report, Table, percent, short};
use crate::world::{BAD, Conduct, Say, Seen, Trace, Who, World, rules};

const SEATS: usize = 30;

/// The first seats are bought: they accept what is bad, in a case too if they insist.
struct Bought {
    seats: usize,
    insist: bool,
}

impl Conduct for Bought {
    fn say(&mut self, seat: usize, seen: &Seen) -> Say {
        if seat < self.seats && (self.insist || !seen.is_case) {
            Say::Code(0, Trace::Guess)
        } else {
            seen.look()
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Result {
    /// Whether the record is accepted in the end.
    stands: bool,
    /// Part of its bond that a bought seat lost.
    lost: f64,
    /// Whether the class is suspended.
    suspended: bool,
    /// Share of stake that the record itself shows to have rejected.
    shown: f64,
    /// What came back to who submitted the record, of all that was taken.
    back: f64,
    /// What the accuser gained, in units.
    accuser: i128,
}

/// Buys seats for one record, which somebody accuses or not.
fn buy(seats: usize, insist: bool, is_accused: bool) -> Result {
    let rules = Parameters { epoch_blocks: 100_000, ..rules() };
    let bond = rules.least_bond;
    let mut world = World::equal(rules, SEATS, 3);
    let mut bought = Bought { seats, insist };
    let fee = world.price(1);
    let wealth = |world: &World, user| i128::from(world.balance(Who::User(user)));
    let before = (wealth(&world, 1), wealth(&world, 2));
    let statement = world.submit(Who::User(1), BAD, fee);
    world.go(5, &mut bought);
    let record = world.record(&statement);
    if is_accused && record.held == 0 && matches!(record.status, Status::Final { .. }) {
        world.accuse(Who::User(2), statement);
    }
    world.rest(&mut bought);
    world.audit();
    let record = world.record(&statement);
    let taken: u64 = (0..SEATS).map(|seat| bond - world.stake(seat)).sum();
    let back = (wealth(&world, 1) - before.0 + i128::from(fee)) as f64;
    Result {
        stands: matches!(record.status, Status::Final { code: 0, .. }),
        lost: (bond - world.stake(0)) as f64 / bond as f64,
        suspended: world.is_suspended(1),
        shown: f64::from(record.reject.count_ones()) / SEATS as f64,
        back: if taken == 0 { 0.0 } else { back / taken as f64 },
        accuser: wealth(&world, 2) - before.1,
    }
}

/// Who gets what is taken: the ledger cannot tell a trap from a fraud.
fn reward(report: &mut Report) {
    let caught = buy(29, false, true);
    let share = rules().reporter_share as f64 / 10_000.0;
    report.criterion(
        format!(
            "of what is taken {} goes to who submitted the bad record, as the reporter's share says",
            percent(caught.back)
        ),
        (caught.back - share).abs() < 1e-6,
    );
    report.finding(format!(
        "the ledger cannot tell a trap from a fraud: who buys a wrong verdict and is found out gets {} of the slash as if it had hunted, so a coalition of buyer and bought risks only 1 − β of the stake, half of what the formula says. And who accuses another's bad record gains {} units: nothing but its fee's loss.",
        percent(caught.back),
        caught.accuser
    ));
}

/// Probability that one of `clients` verifies again, if each does so with probability `each`.
fn noticed(clients: u32, each: f64) -> f64 {
    1.0 - (1.0 - each).powf(f64::from(clients))
}

/// Runs S5.
pub fn run(seed: u64, grid: Grid) -> Report {
    let mut report = Report::new("S5", "what a wrong verdict costs to buy", seed);
    quorums(&mut report);
    reward(&mut report);
    boundary(&mut report, grid);
    report
}

fn quorums(report: &mut Report) {
    let mut table = Table::new(
        "Seats of 30 that are bought for one bad record: whether it stands in the end, what each bought seat lost, whether the class is suspended, and the share of stake that the record shows as rejecting",
        &["bought", "in cases", "accused", "stands", "lost", "suspended", "rejecting"],
    );
    let yes = |b: bool| if b { "yes" } else { "no" }.to_string();
    for (seats, insist, accused) in [
        (10, true, true),
        (19, true, true),
        (20, false, false),
        (20, false, true),
        (20, true, true),
        (28, true, true),
        (29, true, true),
        (29, false, false),
        (29, false, true),
        (30, false, true),
    ] {
        let found = buy(seats, insist, accused);
        table.row(vec![
            seats.to_string(),
            if insist { "insist" } else { "look" }.into(),
            yes(accused),
            yes(found.stands),
            percent(found.lost),
            yes(found.suspended),
            percent(found.shown),
        ]);
    }
    report.criterion(
        "below two thirds of stake no bad record is accepted, whatever the bought seats do",
        [1, 10, 19]
            .into_iter()
            .all(|seats| [false, true].into_iter().all(|insist| !buy(seats, insist, true).stands)),
    );
    report.criterion(
        "bought seats that do not insist lose all they have as soon as one client verifies again",
        [20, 25, 29, 30].into_iter().all(|seats| {
            let found = buy(seats, false, true);
            !found.stands && found.lost > 0.999
        }),
    );
    let held = buy(20, true, true);
    report.control(
        "with two thirds bought, and insisting, the record stands: the bound is two thirds",
        held.stands,
    );
    report.finding(format!(
        "with two thirds of stake bought and insisting nobody is slashed ({} lost): the ledger cannot judge its own quorum. What protects a reader then: the class is suspended ({}), the record shows {} of stake as rejecting, and anyone who runs the verifier knows.",
        percent(held.lost),
        if held.suspended { "yes" } else { "no" },
        percent(held.shown)
    ));
    report.tables.push(table);
}

/// The bribe at which bought seats break even, by chance of being noticed: measured on many draws, and the formula.
fn boundary(report: &mut Report, grid: Grid) {
    let mut chance = Chance::new(report.seed, "S5");
    let draws = if grid == Grid::Small { 20_000 } else { 400_000 };
    let caught = buy(29, false, true);
    let free = buy(29, false, false);
    let bought = 29.0 / SEATS as f64;
    let mut table = Table::new(
        "Least bribe G, in parts of all stake ΣS, for 29 seats of 30, too few of the others for a case by itself, when each of k clients verifies again with probability v; formula: 29/30 · (1 − (1 − v)^k)",
        &["k", "v", "noticed", "G/ΣS measured", "G/ΣS formula", "if buyer and bought are one: (1 − β)·G"],
    );
    let (mut worst, mut line, mut formula_line) = (0f64, Vec::new(), Vec::new());
    for clients in [1u32, 3, 10, 30, 100] {
        for each in [0.001, 0.01, 0.1, 0.5] {
            let mut lost = 0.0;
            let mut times = 0u32;
            for _ in 0..draws {
                let is_noticed = (0..clients).any(|_| chance.happens(each));
                times += u32::from(is_noticed);
                // What the real ledger takes of each bought seat in either course.
                lost += if is_noticed { caught.lost } else { free.lost };
            }
            let measured = bought * lost / f64::from(draws);
            let formula = bought * noticed(clients, each);
            // Five standard errors.
            let p = noticed(clients, each);
            let error = 5.0 * bought * (p * (1.0 - p) / f64::from(draws)).sqrt() + 1e-9;
            worst = worst.max((measured - formula).abs() / error);
            if clients == 10 {
                line.push((each, measured));
                formula_line.push((each, formula));
            }
            table.row(vec![
                clients.to_string(),
                short(each),
                percent(f64::from(times) / f64::from(draws)),
                short(measured),
                short(formula),
                short(measured * (1.0 - caught.back)),
            ]);
        }
    }
    report.criterion(
        format!(
            "the boundary is the formula's, within five standard errors ({} of that at most)",
            short(worst)
        ),
        worst <= 1.0,
    );
    report.control(
        "if nobody verified again, 29 of 30 bought seats would lose nothing",
        free.lost == 0.0 && free.stands,
    );
    let alone = buy(20, false, false);
    report.criterion(
        "while more than 5 % of stake is honest the case opens by itself, and all that was bought is lost without any client",
        alone.lost > 0.999 && !alone.stands,
    );
    price(report);
    report.plots.push(picture(line, formula_line));
    report.tables.push(table);
}

fn picture(line: Vec<(f64, f64)>, formula_line: Vec<(f64, f64)>) -> Plot {
    let mut plot = Plot::new(
        "s5-bribery",
        "Least bribe for 29 seats of 30 that look in cases, ten clients",
        "probability that a client verifies again",
        "bribe in parts of all stake",
    )
    .log(true, false);
    plot.line("measured", Stroke::Solid, line);
    plot.line("formula", Stroke::Dashed, formula_line);
    plot
}

fn price(report: &mut Report) {
    report.finding(format!(
        "at 64 seats of our least bond, of which none is honest, and ten clients that verify one record in ten, a verdict costs {} units: {} times the least fee of a record. Clients that stake more on a record should verify again.",
        short(64.0 * 1e12 * noticed(10, 0.1)),
        short(64.0 * 1e12 * noticed(10, 0.1) / 23_160_000.0)
    ));
}
