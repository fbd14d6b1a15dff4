//! S10: records and traps that one sends to oneself: is there ever a gain?

use ledger::transaction::Accusation;
use ledger::{Body, Parameters};

use crate::Grid;
use crate::picture::{Plot, Stroke};
use crate::report::{Report, Table, percent, short};
use crate::world::{BAD, Conduct, Honest, Say, Seen, Trace, Who, World, rules};

const SEATS: usize = 25;

/// What the owner of the first `own` seats gains, in fees, by sending itself records in blocks it proposes where it can.
fn wash(own: usize, records: u64, rules: Parameters) -> f64 {
    let epoch = SEATS as u64 * (records + 1);
    let mut world = World::equal(Parameters { epoch_blocks: epoch, ..rules }, SEATS, 2);
    let washer = Who::User(1);
    let fee = world.price(1);
    let wealth = |world: &World| {
        i128::from(world.balance(washer)) + (0..own).map(|seat| world.wealth(seat)).sum::<i128>()
    };
    // Proposers are paid when an epoch ends: the first one pays for how the world began.
    while world.tip.height < epoch {
        world.go(1, &mut Honest);
    }
    let before = wealth(&world);
    for _ in 0..records {
        // It waits for a turn of its own: so nobody else need take it.
        while world.proposer() >= own {
            world.go(1, &mut Honest);
        }
        world.submit(washer, 0, fee);
        world.go(1, &mut Honest);
    }
    world.rest(&mut Honest);
    while world.tip.height < 2 * epoch {
        world.go(1, &mut Honest);
    }
    world.audit();
    (wealth(&world) - before) as f64 / (fee * records) as f64
}

/// The first seats accept blindly, except where everyone looks.
struct Lazy(usize);

impl Conduct for Lazy {
    fn say(&mut self, seat: usize, seen: &Seen) -> Say {
        if seat < self.0 && !seen.is_case { Say::Code(0, Trace::Guess) } else { seen.look() }
    }
}

/// What the owner of `own` lazy seats gains, in bonds, by a trap that catches them, at this share for the reporter.
fn trap(own: usize, reporter_share: u64) -> f64 {
    let mut world = World::equal(Parameters { reporter_share, ..rules() }, SEATS, 2);
    let owner = Who::User(1);
    let fee = world.price(1);
    let wealth = |world: &World| {
        i128::from(world.balance(owner)) + (0..own).map(|seat| world.wealth(seat)).sum::<i128>()
    };
    let before = wealth(&world);
    let mut lazy = Lazy(own);
    let statement = world.submit(owner, BAD, fee);
    world.go(5, &mut lazy);
    if world.record(&statement).held == 0 {
        world.accuse(owner, statement);
    }
    world.rest(&mut lazy);
    world.audit();
    (wealth(&world) - before) as f64 / rules().least_bond as f64
}

/// What a seat gains, in least fees, that owes a canary of the protocol and offers this many times the least fee for
/// it, in a block of its own; and what there was to take.
fn owed(multiple: u64) -> (f64, f64) {
    let rules = Parameters { canary_rate: 100_000, epoch_blocks: 40, ..rules() };
    let mut world = World::equal(rules, SEATS, 2);
    let fee = world.price(1);
    // Other people's records fill the pot.
    while (0..SEATS).all(|seat| world.validator(seat).owed == 0) {
        (0..20).for_each(|_| {
            world.submit(Who::User(1), 0, 40 * fee);
        });
        world.go(20, &mut Honest);
    }
    let seat = (0..SEATS).find(|seat| world.validator(*seat).owed > 0).expect("a seat that owes");
    let pot = world.treasury().canaries as f64 / fee as f64;
    while world.proposer() != seat {
        world.go(1, &mut Honest);
    }
    let before = world.wealth(seat);
    let salt = [9; 32];
    let mut submission = world.submission(1, BAD);
    submission.seal = ledger::evidence::seal(&world.account(Who::Seat(seat)), &salt);
    let body = Body::SubmitRecord { submission: submission.clone() };
    world.pay(Who::Seat(seat), multiple * fee, &body);
    world.go(6, &mut Honest);
    let price = world.accusing_price();
    world.pay(
        Who::Seat(seat),
        price,
        &Body::Evidence { accusation: Accusation::Canary { submission, salt } },
    );
    world.go(1, &mut Honest);
    world.audit();
    ((world.wealth(seat) - before) as f64 / fee as f64, pot)
}

/// Runs S10.
pub fn run(seed: u64, grid: Grid) -> Report {
    let mut report = Report::new("S10", "records and traps sent to oneself", seed);
    washing(&mut report, grid);
    trapping(&mut report, grid);
    owing(&mut report, grid);
    report
}

fn washing(report: &mut Report, grid: Grid) {
    let owned: &[usize] = if grid == Grid::Small { &[1, 25] } else { &[1, 3, 5, 8, 12, 17, 21, 25] };
    let mut table = Table::new(
        "Washing: the owner of some of 25 seats sends itself records, all in blocks it proposes; gain in fees",
        &["own seats", "gain per record"],
    );
    let mut line = Vec::new();
    for &own in owned {
        let gain = wash(own, if grid == Grid::Small { 2 } else { 10 }, rules());
        line.push((own as f64, gain));
        table.row(vec![own.to_string(), short(gain)]);
    }
    let most = line.iter().map(|(_, gain)| *gain).fold(f64::NEG_INFINITY, f64::max);
    report.criterion(
        format!("washing always loses: {} fees a record at best, with all seats", short(most)),
        most < -0.25,
    );
    let nothing_burned = Parameters { verifier_share: 7_999, archive_share: 0, canary_share: 0, ..rules() };
    let free = wash(SEATS, 2, nothing_burned);
    report.control(
        format!(
            "if nothing were burned or set aside, all seats together would wash for nothing ({})",
            short(free)
        ),
        free > -0.01,
    );
    let mut plot =
        Plot::new("s10-washing", "Gain of washing one's own records", "own seats of 25", "fees per record");
    plot.line("measured", Stroke::Solid, line);
    plot.line(
        "formula: 0.2 + 0.5·share − 1",
        Stroke::Dashed,
        owned.iter().map(|own| (*own as f64, 0.2 + 0.5 * *own as f64 / 25.0 - 1.0)).collect(),
    );
    report.plots.push(plot);
    report.tables.push(table);
}

fn trapping(report: &mut Report, grid: Grid) {
    let shares: &[u64] =
        if grid == Grid::Small { &[5_000, 9_000] } else { &[1_000, 3_000, 5_000, 7_000, 9_000] };
    let mut table = Table::new(
        "Traps for one's own lazy seats: gain in bonds, by the reporter's share β of a slash; 1 seat of 25 (1 % each), and 5 (60 % each)",
        &["β", "1 seat", "5 seats"],
    );
    let mut most = f64::NEG_INFINITY;
    for &share in shares {
        let gains = [trap(1, share), trap(5, share)];
        most = gains.iter().fold(most, |a, b| a.max(*b));
        table.row(vec![percent(share as f64 / 10_000.0), short(gains[0]), short(gains[1])]);
    }
    report.criterion(format!("trapping oneself always loses: {} bonds at best", short(most)), most < 0.0);
    report.tables.push(table);
}

fn owing(report: &mut Report, grid: Grid) {
    let multiples: &[u64] = if grid == Grid::Small { &[1, 2] } else { &[1, 2, 3, 4, 8, 16] };
    let mut table = Table::new(
        "A canary that a seat owes, offered in a block of its own for a multiple of the least fee; gain and pot in least fees",
        &["fee offered", "gain", "pot before"],
    );
    let (mut fair, mut most) = (0f64, f64::NEG_INFINITY);
    for &multiple in multiples {
        let (gain, pot) = owed(multiple);
        if multiple == 1 {
            fair = gain;
        } else {
            most = most.max(gain);
        }
        table.row(vec![multiple.to_string(), short(gain), short(pot)]);
    }
    report.criterion(
        format!(
            "a canary that is owed brings no more for a higher fee: {} least fees at one, {} at best above",
            short(fair),
            short(most)
        ),
        most <= fair,
    );
    report.finding(format!(
        "a canary that a seat owes leaves it {} of a least fee, though the fee comes back whole: it pays for the accusation that shows it, and the proposers' fifth goes to all by stake.",
        short(fair)
    ));
    report.tables.push(table);
}
