//! S1: seats that verify, guess, copy, stay away or do half of it; which of them gains?
//!
//! Shares of strategies follow the replicator equation with payoffs per record from [`Economy`], whose formulas are those
//! of the ledger (`tests/formulas.rs`).

use crate::Grid;
use crate::economy::{Economy, Shares};
use crate::picture::{Plot, Stroke};
use crate::report::{Report, Table, percent, short};
use crate::world::{PROOF_BYTES, WORK, rules};

const HONEST: usize = 0;
const LAZY: usize = 1;
const COPIER: usize = 3;
const OFFLINE: usize = 5;
const INSISTER: usize = 7;
/// Strategies that the criterion speaks of; the last one needs others to agree with it beforehand.
const ALONE: usize = 7;

/// Parts of each act (look, accept, reject, insist, copy, nothing) in each strategy: honest, lazy-accept, lazy-reject,
/// copier, random, offline, partial, insister.
const PARTS: [Shares; 8] = [
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
    [0.0, 0.5, 0.5, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    [0.5, 0.5, 0.0, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
];

type Population = [f64; 8];

/// Cost of verifying as a part of the reward, rate of bad records, stake, seats.
#[derive(Clone, Copy, Debug)]
struct Cell {
    cost: f64,
    bad: f64,
    stake: f64,
    seats: f64,
}

impl Cell {
    fn economy(&self) -> Economy {
        let rules = rules();
        let work = (rules.transaction_work + WORK) * rules.least_work_price;
        let fee = (work + u64::from(PROOF_BYTES) * rules.least_byte_price) as f64;
        let mut economy = Economy {
            seats: self.seats,
            stake: self.stake,
            fee,
            accusing: work as f64,
            cost: 0.0,
            bad: self.bad,
            // Ten full minutes of twenty records a block, as an epoch of 36,000 blocks may have.
            records: 720_000.0,
            dissent_costs: false,
            rules,
        };
        economy.cost = self.cost * economy.reward();
        economy
    }
}

/// Smallest penalty of a lazy seat that is too many to be shown as a guesser, times the rate of bad records, by cost.
fn margin(economy: &Economy) -> f64 {
    let floor = economy.rules.correlation_floor as f64 / 10_000.0;
    economy.bad * economy.penalty(floor.max(1.0 / economy.seats) + 1e-9) / economy.cost
}

fn payoffs(economy: &Economy, population: &Population) -> Population {
    let mut shares = [0.0; 6];
    for (share, parts) in population.iter().zip(&PARTS) {
        shares.iter_mut().zip(parts).for_each(|(sum, part)| *sum += share * part);
    }
    let values = economy.average(&shares);
    PARTS.map(|parts| parts.iter().zip(&values).map(|(part, value)| part * value).sum())
}

/// One strategy, and a small share of another.
fn almost(host: usize, guest: usize, share: f64) -> Population {
    std::array::from_fn(|i| {
        if i == host {
            1.0 - share
        } else if i == guest {
            share
        } else {
            0.0
        }
    })
}

/// Whether a single seat of another strategy would do better among seats of this one.
fn is_invaded(economy: &Economy, host: usize, guests: usize) -> Option<usize> {
    let share = 1.0 / economy.seats;
    (0..guests).filter(|guest| *guest != host).find(|guest| {
        let values = payoffs(economy, &almost(host, *guest, share));
        values[*guest] > values[host] + 1e-6
    })
}

/// Follows the shares for a while; strategies that do better than the mean grow.
fn evolve(economy: &Economy, start: Population, steps: usize) -> Vec<Population> {
    const MUTATION: f64 = 1e-7;
    let mut population = start;
    let mut path = vec![start];
    for _ in 0..steps {
        let values = payoffs(economy, &population);
        let mean: f64 = values.iter().zip(&population).map(|(v, x)| v * x).sum();
        let grown: Population = std::array::from_fn(|i| {
            let rate = (0.5 * (values[i] - mean) / economy.reward()).clamp(-0.3, 0.3);
            population[i] * rate.exp()
        });
        let whole: f64 = grown.iter().sum();
        let alone = ALONE as f64;
        population = std::array::from_fn(|i| {
            let mutants = if i < ALONE { MUTATION } else { 0.0 };
            grown[i] / whole * (1.0 - MUTATION * alone) + mutants
        });
        path.push(population);
    }
    path
}

fn last(path: &[Population]) -> Population {
    path.last().copied().unwrap_or_default()
}

/// Where the honest begin as a tenth, or as seven tenths where the others say nothing: beyond a third of those nothing is
/// ever decided, and nobody earns.
fn against(other: usize) -> Population {
    almost(other, HONEST, if matches!(other, COPIER | OFFLINE) { 0.7 } else { 0.1 })
}

/// What holds of a cell.
struct Verdict {
    is_best: bool,
    others_fall: bool,
    lazy_left: f64,
    from_each: bool,
}

impl Verdict {
    fn of(economy: &Economy) -> Self {
        let steps = 1_000;
        let dishonest = |end: Population| 1.0 - end[HONEST];
        Self {
            is_best: is_invaded(economy, HONEST, ALONE).is_none(),
            others_fall: (1..ALONE).all(|host| is_invaded(economy, host, ALONE).is_some()),
            lazy_left: dishonest(last(&evolve(economy, against(LAZY), steps))),
            from_each: (1..ALONE)
                .all(|other| dishonest(last(&evolve(economy, against(other), steps))) < 1e-3),
        }
    }

    fn holds(&self) -> bool {
        self.is_best && self.others_fall && self.lazy_left < 1e-3 && self.from_each
    }
}

/// Markets (with a rate of bad records of 0) and the rates to try in each.
fn cells(grid: Grid) -> (Vec<Cell>, Vec<f64>) {
    let (costs, stakes, seats): (&[f64], &[f64], &[f64]) = match grid {
        Grid::Small => (&[0.5], &[1e12], &[16.0, 64.0]),
        Grid::Full => (&[0.1, 0.5, 0.9], &[1e10, 1e12], &[8.0, 16.0, 32.0, 64.0, 128.0]),
    };
    let rates = match grid {
        Grid::Small => vec![1e-8, 1e-7, 1e-6, 1e-3],
        Grid::Full => (-36..=-8).map(|quarter| 10f64.powf(f64::from(quarter) / 4.0)).collect(),
    };
    let mut list = Vec::new();
    for &seats in seats {
        for &stake in stakes {
            list.extend(costs.iter().map(|&cost| Cell { cost, bad: 0.0, stake, seats }));
        }
    }
    (list, rates)
}

/// Cells by where they lie: whether the criterion holds, and what is left of dishonest seats.
#[derive(Default)]
struct Found {
    good: Vec<(bool, f64)>,
    strip: Vec<(bool, f64)>,
    below: Vec<(bool, f64)>,
}

/// All rates in one market; adds a row to the table.
fn market(cell: Cell, rates: &[f64], found: &mut Found, table: &mut Table) {
    let (mut fails, mut holds, mut left) = (0f64, f64::INFINITY, 0.0);
    for &bad in rates {
        let economy = Cell { bad, ..cell }.economy();
        let verdict = Verdict::of(&economy);
        let list = if margin(&economy) > 1.0 {
            &mut found.good
        } else if bad * economy.stake > economy.cost {
            &mut found.strip
        } else {
            &mut found.below
        };
        list.push((verdict.holds(), verdict.lazy_left));
        if verdict.holds() {
            holds = holds.min(bad);
        } else {
            (fails, left) = (bad, verdict.lazy_left);
        }
    }
    let one = Cell { bad: 1.0, ..cell }.economy();
    table.row(vec![
        short(cell.seats),
        short(cell.stake),
        short(cell.cost),
        short(one.cost / one.stake),
        short(1.0 / margin(&one)),
        short(fails),
        percent(left),
        short(holds),
    ]);
}

/// Runs S1.
pub fn run(seed: u64, grid: Grid) -> Report {
    let mut report = Report::new("S1", "which way of verifying pays best", seed);
    let mut table = Table::new(
        "Honest against lazy-accept, lazy-reject, copier, random, offline and partial, by seats N, stake S of each, cost c of verifying (part of the reward): from which rate q of bad records honest is the only stable habit. Predicted: where q times the smallest penalty of many is c",
        &[
            "N",
            "S",
            "c",
            "q·S = c at",
            "predicted",
            "fails up to",
            "dishonest left there, from 0.9 lazy",
            "holds from",
        ],
    );
    let mut found = Found::default();
    let (markets, rates) = cells(grid);
    markets.into_iter().for_each(|cell| market(cell, &rates, &mut found, &mut table));
    let Found { good, strip, below } = found;
    let all = |list: &[(bool, f64)]| list.iter().all(|(holds, _)| *holds);
    report.criterion(
        format!("honest is the only stable habit, and lazy seats vanish from 0.9, in all {} cells where q times the smallest penalty of many exceeds c", good.len()),
        !good.is_empty() && all(&good),
    );
    report.control(
        format!("where q·S < c it is not so: lazy seats stay in all {} cells", below.len()),
        !below.is_empty() && below.iter().all(|(_, left)| *left > 0.5),
    );
    let stuck = strip.iter().filter(|(holds, _)| !holds).count();
    report.finding(format!(
        "between q·S = c and q·(smallest penalty of many) = c, which is 6.7 times as far at 20 seats and more, {stuck} of {} cells keep lazy seats: there the penalty of three times their share is worth less than c. At our defaults q·S is over 1,000 times c.",
        strip.len()
    ));
    report.tables.push(table);
    without_rules(&mut report);
    insisters(&mut report);
    report.plots.push(picture());
    report
}

fn ours() -> Cell {
    Cell { cost: 0.5, bad: 1e-3, stake: 1e12, seats: 64.0 }
}

/// The criterion must fail where the rules that carry it are off.
fn without_rules(report: &mut Report) {
    let left = |economy: &Economy| 1.0 - last(&evolve(economy, against(LAZY), 1_000))[HONEST];
    let mut plain = Cell { cost: 0.1, bad: 1e-6, ..ours() }.economy();
    let with = left(&plain);
    plain.rules.correlation = 0;
    let without = left(&plain);
    report.control(
        format!(
            "at q = 10⁻⁶ and c a tenth of the reward, lazy seats vanish ({}) by the correlated penalty alone: without it {} stay",
            percent(with),
            percent(without)
        ),
        with < 1e-3 && without > 0.5,
    );
    let without = left(&Cell { bad: 0.0, ..ours() }.economy());
    report.control(
        format!("without bad records (no canaries) {} stay lazy from 0.9", percent(without)),
        without > 0.5,
    );
}

/// Lazy seats that insist in cases: a coalition.
fn insisters(report: &mut Report) {
    let mut economy = ours().economy();
    let gain = |economy: &Economy, share: f64| {
        let values = payoffs(economy, &almost(HONEST, INSISTER, share));
        (values[INSISTER] - values[HONEST]) / economy.reward()
    };
    let mut table = Table::new(
        "What an insister (accepts blindly, in cases too) gains over an honest seat per record, in rewards, at our defaults; last column: if dissenters in a case paid the price of an error even when they are many",
        &["share of insisters", "as it is", "weighed rule"],
    );
    for share in [1.0 / 64.0, 3.0 / 64.0, 4.0 / 64.0, 0.10, 0.20, 0.33, 0.50, 0.70, 0.90, 0.97] {
        economy.dissent_costs = false;
        let now = gain(&economy, share);
        economy.dissent_costs = true;
        table.row(vec![percent(share), short(now), short(gain(&economy, share))]);
    }
    economy.dissent_costs = false;
    let (alone, many) = (gain(&economy, 1.0 / 64.0), gain(&economy, 4.0 / 64.0));
    economy.dissent_costs = true;
    let fixed = gain(&economy, 4.0 / 64.0);
    report.criterion(format!("one insister alone loses ({} rewards a record)", short(alone)), alone < 0.0);
    report.finding(format!(
        "a coalition of more than 5 % that accepts blindly and insists in cases is never punished: it gains {} rewards a record (what verifying costs), and each bad record it hides suspends the class instead. If dissenters in a case that two thirds decide paid the price of an error, once an epoch, it would lose {} rewards a record; but where more than two thirds insist, the honest would pay it.",
        short(many),
        short(-fixed)
    ));
    report.tables.push(table);
}

fn picture() -> Plot {
    let mut plot = Plot::new(
        "s1-lazy",
        "Share of lazy seats, from 0.9, at 64 seats of 10^12 units and c half of the reward",
        "steps",
        "lazy share",
    )
    .log(false, true);
    for (name, bad) in [
        ("q = 1e-3 (ours)", 1e-3),
        ("q = 1e-6", 1e-6),
        ("q = 4e-7", 4e-7),
        ("q = 1e-7", 1e-7),
        ("no bad records", 0.0),
    ] {
        let path = evolve(&Cell { bad, ..ours() }.economy(), against(LAZY), 200);
        let points = path.iter().enumerate().map(|(step, population)| (step as f64, population[LAZY]));
        plot.line(name, Stroke::Solid, points.collect());
    }
    plot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_are_whole() {
        assert!(PARTS.iter().all(|parts| (parts.iter().sum::<f64>() - 1.0).abs() < 1e-12));
    }

    #[test]
    fn a_partial_verifier_is_between_honest_and_lazy() {
        let economy = ours().economy();
        let values = payoffs(&economy, &almost(HONEST, 6, 1.0 / 64.0));
        assert!(values[6] < values[HONEST]);
        assert!(values[6] > values[LAZY]);
    }
}
