//! S3: a market of traps. Who sends bad records earns from lazy seats; who is lazy saves the cost of verifying; where do
//! the two meet?
//!
//! Hunters alone are looked at here: execution digests, which catch few lazy seats on every record (S2, S9), are left out.

use ledger::Parameters;

use crate::Grid;
use crate::chance::Chance;
use crate::picture::{Plot, Stroke};
use crate::report::{Report, Table, percent, short};
use crate::world::{BAD, Conduct, PROOF_BYTES, Say, Seen, Trace, WORK, Who, World, rules};

/// A market, money in units.
#[derive(Clone, Copy, Debug)]
struct Market {
    fee: f64,
    seats: f64,
    reporter_share: f64,
    penalty: f64,
    cost: f64,
    /// Rate of the protocol's own canaries.
    floor: f64,
    /// How much the seats' costs differ, as a part of `cost`.
    spread: f64,
    /// How fast hunters come and go.
    haste: f64,
}

fn ours() -> Market {
    let rules = Parameters::default();
    let work = (rules.transaction_work + WORK) * rules.least_work_price;
    let fee = (work + u64::from(PROOF_BYTES) * rules.least_byte_price) as f64;
    let seats = 64.0;
    Market {
        fee,
        seats,
        reporter_share: rules.reporter_share as f64 / 10_000.0,
        penalty: rules.least_bond as f64 * rules.first_offence as f64 / 10_000.0,
        cost: 0.5 * fee * 0.5 / seats,
        floor: 0.0,
        spread: 0.2,
        haste: 0.01,
    }
}

impl Market {
    /// The lazy share at which a trap breaks even.
    fn formula(&self) -> f64 {
        self.fee / (self.seats * self.reporter_share * self.penalty)
    }

    /// Shares of lazy seats and rates of traps, day by day. Seats are lazy whose own cost is above what they expect to lose;
    /// costs differ among them. Hunters go by what they saw of late, which is a sample.
    fn run(&self, chance: &mut Chance, start: f64, days: usize) -> Vec<(f64, f64)> {
        let (mut lazy, mut rate, mut guess) = (start, self.floor.max(1e-9), start);
        let mut path = vec![(lazy, rate)];
        for _ in 0..days {
            let fear = (rate * self.penalty - self.cost) / (self.spread * self.cost);
            let target = 1.0 / (1.0 + fear.exp());
            lazy += 0.1 * (target - lazy);
            // What a day's traps show: a share of seats, seen with the noise of a sample of 100,000 records.
            let noise = (lazy * (1.0 - lazy) / (1e5 * self.seats)).sqrt();
            let sample = (lazy + noise * normal(chance)).max(0.0);
            guess += 0.2 * (sample - guess);
            let profit = self.seats * guess * self.reporter_share * self.penalty / self.fee - 1.0;
            rate = (rate * (self.haste * profit.clamp(-5.0, 5.0)).exp()).clamp(self.floor.max(1e-9), 0.2);
            path.push((lazy, rate));
        }
        path
    }
}

/// A normal draw, by the polar method.
fn normal(chance: &mut Chance) -> f64 {
    let radius = (-2.0 * (1.0 - chance.unit()).ln()).sqrt();
    radius * (std::f64::consts::TAU * chance.unit()).cos()
}

/// Mean and amplitude of the lazy share over the last third.
fn late(path: &[(f64, f64)]) -> (f64, f64, f64) {
    let late = &path[path.len() * 2 / 3..];
    let count = late.len() as f64;
    let (least, most) = late.iter().fold((1f64, 0f64), |(a, b), (x, _)| (a.min(*x), b.max(*x)));
    let mean = |of: fn(&(f64, f64)) -> f64| late.iter().map(of).sum::<f64>() / count;
    (mean(|p| p.0), most - least, mean(|p| p.1))
}

fn markets(grid: Grid) -> Vec<Market> {
    let ours = ours();
    let (fees, seats, shares, penalties): (&[f64], &[f64], &[f64], &[f64]) = match grid {
        Grid::Small => (&[1.0], &[64.0], &[0.5], &[1.0, 0.1]),
        Grid::Full => (&[1.0, 4.0, 16.0], &[16.0, 64.0, 128.0], &[0.25, 0.5, 0.9], &[1.0, 0.1]),
    };
    let mut list = Vec::new();
    for &fee in fees {
        for &seats in seats {
            for &reporter_share in shares {
                list.extend(penalties.iter().map(|penalty| Market {
                    fee: ours.fee * fee,
                    seats,
                    reporter_share,
                    penalty: ours.penalty * penalty,
                    cost: 0.25 * ours.fee * fee / seats,
                    ..ours
                }));
            }
        }
    }
    list
}

/// Runs S3.
pub fn run(seed: u64, grid: Grid) -> Report {
    let mut report = Report::new("S3", "a market of traps", seed);
    let mut chance = Chance::new(seed, "S3");
    let days = 20_000;
    let mut table = Table::new(
        "Where lazy seats and hunters meet, without canaries of the protocol, by fee F, seats N, the reporter's share β and the penalty s; c is half of a reward",
        &["F", "N", "β", "s", "x* = F/(Nβs)", "lazy share", "off by", "its swing", "rate of traps", "c/s"],
    );
    let (mut worst, mut swing) = (0f64, 0f64);
    for market in markets(grid) {
        let (mean, width, rate) = late(&market.run(&mut chance, 0.9, days));
        let formula = market.formula();
        worst = worst.max((mean / formula - 1.0).abs());
        swing = swing.max(width);
        table.row(vec![
            short(market.fee),
            short(market.seats),
            short(market.reporter_share),
            short(market.penalty),
            percent(formula),
            percent(mean),
            percent(mean / formula - 1.0),
            percent(width),
            short(rate),
            short(market.cost / market.penalty),
        ]);
    }
    report.criterion(
        format!("the lazy share is within 20 % of F/(Nβs) (off by {} at most)", percent(worst)),
        worst < 0.2,
    );
    report.criterion(format!("it swings by less than 1 % ({})", percent(swing)), swing < 0.01);
    report.tables.push(table);
    controls(&mut report, &mut chance, days);
    on_the_ledger(&mut report, &mut chance, if grid == Grid::Small { 40 } else { 400 });
    report.plots.push(picture(&mut chance));
    report
}

fn controls(report: &mut Report, chance: &mut Chance, days: usize) {
    let (lazy, _, _) = late(&Market { reporter_share: 1e-12, ..ours() }.run(chance, 0.1, days));
    report.control(format!("without a reward for hunters {} become lazy", percent(lazy)), lazy > 0.9);
    let hasty = Market { spread: 1e-3, haste: 2.0, penalty: ours().penalty / 1_000.0, ..ours() };
    let (_, swing, _) = late(&hasty.run(chance, 0.1, days));
    report.control(
        format!("where all seats have the same cost, penalties are a thousandth and hunters come at once, the share swings by {}", percent(swing)),
        swing > 0.01,
    );
    let rate = Parameters::default().canary_rate as f64 / 1e6;
    let (lazy, _, _) = late(&Market { floor: rate, ..ours() }.run(chance, 0.9, days));
    report.criterion(
        format!("with the protocol's own canaries (rate {}) fewer are lazy than at x*, and no hunter is needed ({} of {})", short(rate), short(lazy), short(ours().formula())),
        lazy < ours().formula() / 10.0,
    );
}

/// Each of the first seats is lazy with this probability, record by record.
struct Sometimes {
    share: f64,
    chance: Chance,
}

impl Conduct for Sometimes {
    fn say(&mut self, _: usize, seen: &Seen) -> Say {
        if !seen.is_case && self.chance.happens(self.share) {
            Say::Code(0, Trace::Guess)
        } else {
            seen.look()
        }
    }
}

/// Mean profit of a trap in the real ledger, in fees, at a lazy share; and by the formula that counts the accusation too.
fn profit(share: f64, traps: usize, chance: &mut Chance) -> (f64, f64) {
    let seats = 40usize;
    let least_bond = 10_000_000_000;
    // Offences neither double nor add up here, and no case opens by itself: the formula is about first ones.
    let rules = Parameters { least_bond, correlation: 0, epoch_blocks: 100_000, dissent: 3_333, ..rules() };
    let hunter = Who::User(1);
    let (mut sum, mut fee, mut accusing) = (0i128, 0, 0);
    for number in 0..traps {
        // A new world for every trap, so that nobody has offended before.
        let mut world = World::equal(rules.clone(), seats, 2);
        let mut lazy =
            Sometimes { share, chance: Chance::new(chance.below(1 << 40) as u64, &format!("trap {number}")) };
        (fee, accusing) = (world.price(1), world.accusing_price());
        let before = i128::from(world.balance(hunter));
        let statement = world.submit(hunter, BAD, fee);
        world.go(5, &mut lazy);
        if world.record(&statement).accept != 0 {
            world.accuse(hunter, statement);
        }
        world.rest(&mut lazy);
        sum += i128::from(world.balance(hunter)) - before;
    }
    let (n, penalty) = (seats as f64, least_bond as f64 / 100.0);
    let some = 1.0 - (1.0 - share).powf(n);
    let formula = (n * share * 0.5 * penalty - some * accusing as f64) / fee as f64 - 1.0;
    (sum as f64 / traps as f64 / fee as f64, formula)
}

fn on_the_ledger(report: &mut Report, chance: &mut Chance, traps: usize) {
    let market = Market { seats: 40.0, penalty: 1e8, ..ours() };
    let even = market.formula();
    let mut table = Table::new(
        "Mean profit of a trap on the real ledger, in fees, 40 seats with a hundredth of our least bond",
        &["lazy share / x*", "measured", "formula, less the accusation's fee"],
    );
    let mut is_close = true;
    let mut signs = true;
    for part in [0.25, 2.0, 4.0] {
        let (found, formula) = profit(part * even, traps, chance);
        // Five standard errors of a Poisson number of lazy seats.
        let each = 0.5 * 1e8 / market.fee;
        let error = 5.0 * each * (40.0 * part * even / traps as f64).sqrt() + 0.01;
        is_close &= (found - formula).abs() < error;
        signs &= (found > 0.0) == (part > 1.0);
        table.row(vec![short(part), short(found), short(formula)]);
    }
    report.criterion("on the real ledger a trap loses well below x*, gains well above it, and brings what the formula says", is_close && signs);
    report.tables.push(table);
}

fn picture(chance: &mut Chance) -> Plot {
    let mut plot = Plot::new(
        "s3-traps",
        "Share of lazy seats in a market of traps, from 0.9, our fee, bond and 64 seats",
        "days",
        "lazy share",
    )
    .log(false, true);
    let rate = Parameters::default().canary_rate as f64 / 1e6;
    for (name, floor) in [("hunters alone", 0.0), ("with the protocol's canaries", rate)] {
        let path = Market { floor, ..ours() }.run(chance, 0.9, 2_000);
        let points = path.iter().enumerate().step_by(10).map(|(day, p)| (day as f64, p.0.max(1e-8)));
        plot.line(name, Stroke::Solid, points.collect());
    }
    let formula = ours().formula();
    plot.line("x* = F/(Nβs)", Stroke::Dashed, vec![(0.0, formula), (2_000.0, formula)]);
    plot
}
