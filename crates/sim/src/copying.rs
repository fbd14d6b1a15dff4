//! S2: verdicts copied from others, and traces shared by those who trust each other.

use ledger::entry::Status;
use ledger::{Body, Parameters};

use crate::Grid;
use crate::picture::{Plot, Stroke};
use crate::report::{Report, Table, percent, short};
use crate::world::{BAD, Conduct, Honest, Say, Seen, Trace, Who, World, rules};

const SEATS: usize = 40;

/// How seat 0 tries to earn without looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trick {
    /// None: it looks.
    Honest,
    /// Commits to what it guesses: accept.
    Guess,
    /// Learns the others' codes before it must commit, and says them.
    Leak,
    /// Repeats another seat's commitment.
    Commitment,
    /// Waits for the reveals.
    Wait,
}

struct Copier(Trick);

impl Conduct for Copier {
    fn say(&mut self, seat: usize, seen: &Seen) -> Say {
        match self.0 {
            Trick::Guess if seat == 0 && !seen.is_case => Say::Code(0, Trace::Guess),
            Trick::Leak if seat == 0 && !seen.is_case => Say::Code(seen.truth, Trace::Guess),
            _ => seen.look(),
        }
    }

    fn commits(&mut self, seat: usize, _: u64) -> bool {
        seat != 0 || self.0 != Trick::Wait
    }

    // A commitment that is another's cannot be opened by this seat: the ledger refuses (`refusals`), so it says nothing.
    fn reveals(&mut self, seat: usize, _: u64, _: bool) -> bool {
        seat != 0 || self.0 != Trick::Commitment
    }
}

/// What seat 0 gains per record over an honest one, in rewards, before the cost of verifying: ten records, one of them
/// bad. With `is_watched`, somebody accuses whoever can be shown to be wrong or not to have run the verifier.
fn gain(trick: Trick, is_watched: bool) -> f64 {
    let rules = Parameters { epoch_blocks: 100_000, ..rules() };
    let mut world = World::equal(rules, SEATS, 3);
    let mut copier = Copier(trick);
    let fee = world.price(1);
    let reward = fee as f64 * 0.5 / SEATS as f64;
    let before: Vec<i128> = (0..2).map(|seat| world.voted(seat)).collect();
    let records = 10;
    for number in 0..records {
        let statement = world.submit(Who::User(1), if number == 5 { BAD } else { 0 }, fee);
        world.go(6, &mut copier);
        let is_final = matches!(world.record(&statement).status, Status::Final { .. });
        if is_watched && is_final {
            world.accuse_execution(Who::User(2), statement);
            if number == 5 {
                world.accuse(Who::User(2), statement);
            }
            world.rest(&mut copier);
        }
    }
    world.go(50, &mut copier);
    world.audit();
    let got: Vec<i128> = (0..2).map(|seat| world.voted(seat) - before[seat]).collect();
    (got[0] - got[1]) as f64 / reward / f64::from(records)
}

/// What the ledger says to a copier, block by block of its haste.
fn refusals() -> Vec<(&'static str, String)> {
    let mut world = World::equal(rules(), 4, 2);
    let fee = world.price(1);
    world.submit(Who::User(1), 0, fee);
    world.go(1, &mut Honest);
    let at = world.tip.height;
    let honest = world.verdicts(&mut Honest);
    let Ok(envelope) = certify::decode::<ledger::Envelope>(&honest[1]) else {
        unreachable!("our own spelling")
    };
    let Ok(Body::CommitVerdicts { commitment, .. }) = certify::decode(&envelope.body) else {
        unreachable!("a commitment")
    };
    let copied = world.sign_seat(0, at, &Body::CommitVerdicts { round: at, commitment });
    let is_own = |bytes: &Vec<u8>, world: &World| {
        certify::decode::<ledger::Envelope>(bytes).is_ok_and(|e| e.sender == world.account(Who::Seat(0)))
    };
    let mut list = vec![copied];
    list.extend(honest.iter().filter(|bytes| !is_own(bytes, &world)).cloned());
    let taken = world.choose(&list).len();
    let mut said = vec![("another's commitment, as one's own", format!("taken ({taken} of 4 in the block)"))];
    // All have committed, the copier too: the next block is for reveals.
    let reveals = world.verdicts(&mut Honest);
    let others: Vec<Vec<u8>> = reveals.iter().filter(|bytes| !is_own(bytes, &world)).cloned().collect();
    let Some(other) = others.first().and_then(|bytes| certify::decode::<ledger::Envelope>(bytes).ok()) else {
        unreachable!("three reveals")
    };
    let Ok(body) = certify::decode::<Body>(&other.body) else { unreachable!("our own spelling") };
    let opened = world.sign_seat(0, at, &body);
    said.push(("opening it with the other's reveal", world.refusal(&[opened]).unwrap_or("taken".into())));
    let late = world.sign_seat(0, at, &Body::CommitVerdicts { round: at, commitment });
    world.choose(&others);
    said.push(("a commitment once reveals can be seen", world.refusal(&[late]).unwrap_or("taken".into())));
    said
}

/// The first `size` seats say what one machine found; on one record it errs, and when it is a case each looks.
struct Pool {
    size: usize,
    errs: bool,
}

impl Conduct for Pool {
    fn say(&mut self, seat: usize, seen: &Seen) -> Say {
        let is_wrong = seat < self.size && self.errs && !seen.is_case;
        if is_wrong { Say::Code(if seen.truth == 0 { BAD } else { 0 }, Trace::Build(1)) } else { seen.look() }
    }
}

/// What each of a pool loses of its bond when its machine errs once.
fn error_of_pool(size: usize, correlation: u64) -> f64 {
    let rules = Parameters { correlation, epoch_blocks: 100_000, ..rules() };
    let bond = rules.least_bond;
    let mut world = World::equal(rules, SEATS, 3);
    let mut pool = Pool { size, errs: true };
    let fee = world.price(1);
    let statement = world.submit(Who::User(1), 0, fee);
    world.go(5, &mut pool);
    if world.record(&statement).held == 0 {
        world.accuse(Who::User(2), statement);
    }
    world.rest(&mut pool);
    world.audit();
    (bond - world.stake(0)) as f64 / bond as f64
}

/// Runs S2.
pub fn run(seed: u64, grid: Grid) -> Report {
    let mut report = Report::new("S2", "copied verdicts and shared traces", seed);
    copying(&mut report);
    pooling(&mut report, grid);
    report
}

fn copying(report: &mut Report) {
    let mut table = Table::new(
        "Seat 0 of 40 tries to earn without looking, ten records, one bad: gain over an honest seat per record, in rewards; looking costs less than 1",
        &["trick", "watched", "nobody accuses"],
    );
    let mut best = f64::NEG_INFINITY;
    let mut unwatched = f64::NEG_INFINITY;
    for (trick, name) in [
        (Trick::Honest, "none"),
        (Trick::Guess, "guesses"),
        (Trick::Leak, "knows the codes before it commits"),
        (Trick::Commitment, "copies a commitment"),
        (Trick::Wait, "waits for the reveals"),
    ] {
        let (watched, alone) = (gain(trick, true), gain(trick, false));
        if trick != Trick::Honest {
            best = best.max(watched);
            unwatched = unwatched.max(alone);
        }
        table.row(vec![name.into(), short(watched), short(alone)]);
    }
    report.criterion(
        format!("no way of copying brings what looking brings ({} rewards a record at best, verifying costs at most 1)", short(best)),
        best <= -0.99,
    );
    report.control(
        format!(
            "if nobody used the execution digests, knowing the codes early would cost nothing ({})",
            short(unwatched)
        ),
        unwatched > -0.01,
    );
    report.tables.push(table);
    let mut said = Table::new("What the ledger says to a copier", &["tried", "answer"]);
    let list = refusals();
    let is_shut = list.iter().skip(1).all(|(_, answer)| !answer.contains("taken"));
    report.criterion(
        "a copied commitment cannot be opened, and after the first reveal nobody can commit",
        is_shut,
    );
    list.into_iter().for_each(|(tried, answer)| said.row(vec![tried.into(), answer]));
    report.tables.push(said);
}

/// Errors per record above which a pool of this size does worse than verifying alone. Both err as often; alone an error
/// costs a first offence.
fn threshold(size: usize, loss: f64, alone: f64, cost: f64) -> f64 {
    let saved = cost * (1.0 - 1.0 / size as f64);
    let more = (loss - alone) * rules().least_bond as f64;
    if more <= 0.0 { f64::INFINITY } else { saved / more }
}

fn pooling(report: &mut Report, grid: Grid) {
    let sizes: &[usize] = if grid == Grid::Small { &[1, 2, 4, 13] } else { &[1, 2, 3, 4, 6, 8, 10, 13] };
    let price = World::equal(rules(), 4, 1).price(1) as f64;
    // Verifying costs half of the reward.
    let cost = 0.5 * 0.5 * price / SEATS as f64;
    let mut table = Table::new(
        "A pool of m of 40 seats says what one machine found, which errs once: what each member loses of its bond, and the errors per record above which pooling is worse than looking (verifying costs half of the reward)",
        &["m", "lost", "formula", "without the correlated penalty", "pooling loses above"],
    );
    let alone = error_of_pool(1, 3);
    let (mut is_formula, mut grows, mut flat) = (true, true, true);
    let mut lines = [Vec::new(), Vec::new(), Vec::new()];
    for &size in sizes {
        let (loss, without) = (error_of_pool(size, 3), error_of_pool(size, 0));
        let share = size as f64 / SEATS as f64;
        let formula = if share > 0.05 { (3.0 * share).min(1.0) } else { 0.01 };
        is_formula &= (loss - formula).abs() < 1e-3;
        grows &= share <= 0.05 || loss > 10.0 * alone;
        flat &= (without - alone).abs() < 1e-3;
        lines[0].push((size as f64, loss));
        lines[1].push((size as f64, formula));
        lines[2].push((size as f64, without));
        let limit = threshold(size, loss, alone, cost);
        let limit = if limit.is_finite() { short(limit) } else { "never".into() };
        table.row(vec![size.to_string(), percent(loss), percent(formula), percent(without), limit]);
    }
    let big = threshold(4, error_of_pool(4, 3), alone, cost);
    report.criterion(
        "what a pool loses is three times its share, once above 5 % of stake",
        is_formula && grows,
    );
    report.criterion(
        format!("a pool of a tenth loses where its machine errs more than {} times a record", short(big)),
        big < 1e-5,
    );
    report.control("without the correlated penalty a pool loses no more than one seat", flat);
    report.finding(format!(
        "pools of up to 5 % pay nothing for being one machine, and larger ones only if it errs more than once in {} records: sharing traces among friends pays at our numbers. It costs decentralisation, not correctness. A pool that insists in the case escapes as insisters do (S1).",
        short(1.0 / big)
    ));
    report.tables.push(table);
    let mut plot = Plot::new(
        "s2-pools",
        "What each member of a pool loses when its machine errs once",
        "members of 40 seats",
        "part of the bond",
    );
    let [loss, formula, without] = lines;
    plot.line("measured", Stroke::Solid, loss);
    plot.line("formula: 3 · share", Stroke::Dashed, formula);
    plot.line("without correlation", Stroke::Solid, without);
    report.plots.push(plot);
}
