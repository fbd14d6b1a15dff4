//! S6: does a stake earn more on many seats, or on one?

use crate::Grid;
use crate::picture::{Plot, Stroke};
use crate::report::{Report, Table, percent, short};
use crate::world::{Honest, Who, World, rules};

/// Bond of everybody else's seats, in least bonds, and how many they are.
const OTHERS: (u64, usize) = (4, 24);
/// The stake that is split, in least bonds.
const STAKE: u64 = 32;

/// Who proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turns {
    /// Every seat in turn, as the engine has it.
    Seats,
    /// Seats by stake.
    Stake,
}

/// What a stake on `parts` seats earned, as shares of all fees: by verdicts, and by proposing.
fn earned(parts: usize, turns: Turns, rounds: u64) -> (f64, f64) {
    let least = rules().least_bond;
    let mut bonds = vec![STAKE * least / parts as u64; parts];
    bonds.extend(vec![OTHERS.0 * least; OTHERS.1]);
    // One epoch, so that seats do not change.
    let mut world = World::new(ledger::Parameters { epoch_blocks: 100_000, ..rules() }, &bonds, 2);
    if turns == Turns::Stake {
        let weight = |bond: &u64| (bond / least) as usize;
        let seats = bonds.iter().enumerate();
        world.schedule = seats.flat_map(|(seat, bond)| vec![seat; weight(bond)]).collect();
    }
    let period = if turns == Turns::Stake { world.schedule.len() } else { bonds.len() } as u64;
    let fee = world.price(1);
    let before: (i128, u64) =
        ((0..parts).map(|seat| world.voted(seat)).sum(), world.proposed[..parts].iter().sum());
    let blocks = period * rounds;
    for _ in 0..blocks {
        world.submit(Who::User(1), 0, fee);
        world.go(1, &mut Honest);
    }
    let proposed = world.proposed[..parts].iter().sum::<u64>() - before.1;
    world.rest(&mut Honest);
    world.audit();
    let voted = (0..parts).map(|seat| world.voted(seat)).sum::<i128>() - before.0;
    let fees = (fee * blocks) as f64;
    (voted as f64 / fees, proposed as f64 / fees)
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
        "A quarter of all stake on k seats, 24 others with a thirty-second each: what it earns of all fees",
        &[
            "k",
            "by verdicts",
            "fair",
            "by proposing, seats in turn",
            "by proposing, by stake",
            "fair",
            "gain over one seat, in turn",
        ],
    );
    let mut plot =
        Plot::new("s6-splitting", "Income of a quarter of all stake on k seats", "k", "share of all fees")
            .log(true, false);
    let (mut worst, mut worst_weighted, mut lines) = (0f64, 0f64, [Vec::new(), Vec::new()]);
    let mut first = 0.0;
    let mut gain = 0f64;
    for &k in parts {
        let (voted, in_turn) = earned(k, Turns::Seats, rounds);
        let (_, weighted) = earned(k, Turns::Stake, 1);
        worst = worst.max((voted / verdicts - 1.0).abs());
        worst_weighted = worst_weighted.max((weighted / proposals - 1.0).abs());
        if k == 1 {
            first = voted + in_turn;
        }
        gain = gain.max((voted + in_turn) / first - 1.0);
        lines[0].push((k as f64, voted + in_turn));
        lines[1].push((k as f64, voted + weighted));
        table.row(vec![
            k.to_string(),
            percent(voted),
            percent(verdicts),
            percent(in_turn),
            percent(weighted),
            percent(proposals),
            percent((voted + in_turn) / first - 1.0),
        ]);
    }
    judge(&mut report, worst, worst_weighted, gain);
    let [in_turn, weighted] = lines;
    plot.line("seats propose in turn", Stroke::Solid, in_turn);
    plot.line("proposers by stake", Stroke::Solid, weighted);
    let ends = [1.0, parts.last().map_or(1.0, |k| *k as f64)];
    plot.line("linear in stake", Stroke::Dashed, ends.map(|k| (k, verdicts + proposals)).to_vec());
    report.tables.push(table);
    report.plots.push(plot);
    report
}

fn judge(report: &mut Report, worst: f64, worst_weighted: f64, gain: f64) {
    report.criterion(
        format!("rewards for verdicts are linear in stake (off by {} at most)", short(worst)),
        worst < 1e-4,
    );
    report.criterion(
        format!(
            "with proposers by stake what they earn is linear too (off by {} at most)",
            short(worst_weighted)
        ),
        worst_weighted < 1e-4,
    );
    report.control(
        format!("with seats proposing in turn, whatever their stake, splitting pays: {} more", percent(gain)),
        gain > 0.1,
    );
    report.finding(format!(
        "the engine lets seats propose in turn, and the proposer's fifth of every fee goes by turns: a stake above the smallest seat earns up to {} more when it is split. The elector should go by stake.",
        percent(gain)
    ));
}
