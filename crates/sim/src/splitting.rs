//! S6: does a stake earn more on many seats, or on one?

use crate::Grid;
use crate::picture::{Plot, Stroke};
use crate::report::{Report, Table, percent, short};
use crate::world::{Honest, Who, World, rules};

/// Bond of everybody else's seats, in least bonds, and how many they are.
const OTHERS: (u64, usize) = (4, 24);
/// The stake that is split, in least bonds.
const STAKE: u64 = 32;

/// What a stake on `parts` seats earned, as shares of all fees of one epoch: by verdicts, by proposing, and what it would be
/// by proposing if each were paid by its turns.
fn earned(parts: usize, rounds: u64) -> (f64, f64, f64) {
    let least = rules().least_bond;
    let mut bonds = vec![STAKE * least / parts as u64; parts];
    bonds.extend(vec![OTHERS.0 * least; OTHERS.1]);
    let blocks = bonds.len() as u64 * rounds;
    // One epoch, in which all propose as often.
    let mut world = World::new(ledger::Parameters { epoch_blocks: blocks + 1, ..rules() }, &bonds, 2);
    let fee = world.price(1);
    let before: i128 = (0..parts).map(|seat| world.voted(seat)).sum();
    let mut records = 0u64;
    while world.tip.height < blocks {
        // The last records are settled before the epoch ends.
        if world.tip.height + rules().round_blocks() + 2 < blocks {
            world.submit(Who::User(1), 0, fee);
            records += 1;
        }
        world.go(1, &mut Honest);
    }
    world.audit();
    let voted = (0..parts).map(|seat| world.voted(seat)).sum::<i128>() - before;
    let proposed = world.proposed[..parts].iter().sum::<u64>();
    let all = world.proposed.iter().sum::<u64>();
    // All of the pot, which has a fifth of every fee; each seat had as many turns as any other.
    let fees = all as f64 / rules().proposer_share as f64 * 10_000.0;
    let turns = parts as f64 / bonds.len() as f64 * all as f64;
    (voted as f64 / (fee * records) as f64, proposed as f64 / fees, turns / fees)
}

/// Runs S6.
pub fn run(seed: u64, grid: Grid) -> Report {
    let mut report = Report::new("S6", "one stake on one seat or on many", seed);
    let (parts, rounds): (&[usize], u64) = match grid {
        Grid::Small => (&[1, 4, 8], 1),
        Grid::Full => (&[1, 2, 4, 8, 16, 32], 8),
    };
    let share = STAKE as f64 / (STAKE + OTHERS.0 * OTHERS.1 as u64) as f64;
    let rules = rules();
    let fair = |part: u64| share * part as f64 / 10_000.0;
    let (verdicts, proposals) = (fair(rules.verifier_share), fair(rules.proposer_share));
    let mut table = Table::new(
        "A quarter of all stake on k seats, 24 others with a thirty-second each, who all propose in turn: what it earns of all fees",
        &[
            "k",
            "by verdicts",
            "fair",
            "by proposing",
            "fair",
            "were it by turns alone",
            "gain over one seat, by turns alone",
        ],
    );
    let mut plot =
        Plot::new("s6-splitting", "Income of a quarter of all stake on k seats", "k", "share of all fees")
            .log(true, false);
    let (mut worst, mut worst_proposing, mut lines) = (0f64, 0f64, [Vec::new(), Vec::new()]);
    let mut first = 0.0;
    let mut gain = 0f64;
    for &k in parts {
        let (voted, proposed, by_turns) = earned(k, rounds);
        worst = worst.max((voted / verdicts - 1.0).abs());
        worst_proposing = worst_proposing.max((proposed / proposals - 1.0).abs());
        if k == 1 {
            first = voted + by_turns;
        }
        gain = gain.max((voted + by_turns) / first - 1.0);
        lines[0].push((k as f64, voted + by_turns));
        lines[1].push((k as f64, voted + proposed));
        table.row(vec![
            k.to_string(),
            percent(voted),
            percent(verdicts),
            percent(proposed),
            percent(proposals),
            percent(by_turns),
            percent((voted + by_turns) / first - 1.0),
        ]);
    }
    judge(&mut report, worst, worst_proposing, gain);
    let [by_turns, ours] = lines;
    plot.line("paid by turns alone", Stroke::Solid, by_turns);
    plot.line("paid by stake times turns", Stroke::Solid, ours);
    let ends = [1.0, parts.last().map_or(1.0, |k| *k as f64)];
    plot.line("linear in stake", Stroke::Dashed, ends.map(|k| (k, verdicts + proposals)).to_vec());
    report.tables.push(table);
    report.plots.push(plot);
    report
}

fn judge(report: &mut Report, worst: f64, worst_proposing: f64, gain: f64) {
    report.criterion(
        format!("rewards for verdicts are linear in stake (off by {} at most)", short(worst)),
        worst < 1e-4,
    );
    report.criterion(
        format!("rewards for proposing are linear too (off by {} at most)", short(worst_proposing)),
        worst_proposing < 1e-4,
    );
    report.control(
        format!("were proposers paid by their turns alone, splitting would pay: {} more", percent(gain)),
        gain > 0.1,
    );
}
