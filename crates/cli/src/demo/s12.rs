//! `sim S12`: what the other experiments leave out. Validators as processes, real proofs, loopback: how many records a second,
//! how soon they are final, how large a certificate is; beside figures of others.

use certify::Certificate;
use sim::Grid;
use sim::report::{Report, Table, short};

use super::load::{LoadArgs, Measured, measure};
use crate::failure::Outcome;

/// Records a second that are offered first.
const RATE: u64 = 40;
/// Records a second that were aimed at, as fast as they are taken.
const AIM: f64 = 150.0;
/// Milliseconds within which half, and 99 of 100, are to be final.
const HALF_MS: f64 = 1_000.0;
const MOST_MS: f64 = 2_000.0;
/// Bytes of a certificate, and of the proof in it that the state holds the record.
const CERTIFICATE: usize = 2_048;
const INCLUSION: usize = 1_024;

/// Runs it: two networks of four validators, one after the other, from this port on.
pub fn run(grid: Grid, port: u16) -> Outcome<Report> {
    let (offered, taken) = match grid {
        Grid::Small => (40, 40),
        Grid::Full => (200, 800),
    };
    let load = |records, rate| measure(&LoadArgs { records, rate, validators: 4, port });
    Ok(report(&load(offered, RATE)?, &load(taken, 0)?))
}

/// What a certificate takes, and whether it and a changed one are told apart.
struct Sizes {
    certificate: usize,
    inclusion: usize,
    holds: bool,
    bent_holds: bool,
}

fn sizes(found: &Measured) -> Option<Sizes> {
    let bytes = found.certificate.as_ref()?;
    let file: Certificate = certify::decode(bytes).ok()?;
    let inclusion = certify::encode(&file.entry.proof).len();
    let mut bent = bytes.clone();
    let middle = bent.len() / 2;
    *bent.get_mut(middle)? ^= 1;
    Some(Sizes {
        certificate: bytes.len().saturating_sub(inclusion),
        inclusion,
        holds: found.network.check(bytes).is_ok_and(|says| says.is_accepted()),
        bent_holds: found.network.check(&bent).is_ok(),
    })
}

fn report(offered: &Measured, taken: &Measured) -> Report {
    let mut report = Report::measured("S12", "real validators, real proofs, four processes on loopback");
    for (how, found) in [(format!("at {RATE} a second"), offered), ("as fast as taken".to_string(), taken)] {
        let Measured { records, accepted, refused, .. } = found;
        let open = records.saturating_sub(accepted + refused);
        let what = format!(
            "offered {how}, all {records} good records are decided and accepted ({accepted}; {refused} refused or \
             undecided, {open} without a verdict)"
        );
        report.criterion(what, accepted == records);
    }
    for (share, words, most) in [(0.5, "half of them", HALF_MS), (0.99, "99 of 100", MOST_MS)] {
        let found = offered.final_ms(share);
        let said = found.map_or("none was".to_string(), |ms| format!("{ms:.0} ms"));
        let what = format!("at {RATE} a second {words} are final within {most:.0} ms ({said})");
        report.criterion(what, found.is_some_and(|ms| ms <= most));
    }
    let sizes = sizes(offered);
    let (certificate, inclusion) =
        sizes.as_ref().map_or((0, 0), |sizes| (sizes.certificate, sizes.inclusion));
    report.criterion(
        format!(
            "a certificate that holds has at most {CERTIFICATE} bytes ({certificate}), and at most {INCLUSION} more of proof \
             that the state has the record ({inclusion})"
        ),
        sizes.as_ref().is_some_and(|s| s.holds && s.certificate <= CERTIFICATE && s.inclusion <= INCLUSION),
    );
    report.control("with one bit changed it does not hold", sizes.is_some_and(|sizes| !sizes.bent_holds));
    let pace = taken.pace();
    let word = if pace >= AIM { "met" } else { "missed" };
    report.finding(format!(
        "the aim of {AIM:.0} records a second is {word}: {pace:.1} as fast as they are taken"
    ));
    report.tables.push(figures(offered, taken));
    report.tables.push(beside(offered, taken));
    report
}

fn figures(offered: &Measured, taken: &Measured) -> Table {
    let title = "Both networks, with all that loads them, on the cores of this machine";
    let mut table = Table::new(title, &["what", &format!("at {RATE} a second"), "as fast as taken"]);
    let mut row = |name: &str, cell: &dyn Fn(&Measured) -> String| {
        table.row(vec![name.to_string(), cell(offered), cell(taken)]);
    };
    let number = |found: Option<f64>| found.map_or("none".to_string(), short);
    row("records", &|found| found.records.to_string());
    row("records a second", &|found| short(found.pace()));
    row("final after, ms: p50", &|found| number(found.final_ms(0.5)));
    row("p95", &|found| number(found.final_ms(0.95)));
    row("p99", &|found| number(found.final_ms(0.99)));
    row("most", &|found| number(found.final_ms(1.0)));
    row("blocks a second", &|found| number(found.blocks.map(|blocks| blocks as f64 / found.seconds)));
    row("processor ms per record, all validators", &|found| short(found.cpu_ms));
    row("resident MB of the largest validator", &|found| {
        found.memory_mb.iter().max().map_or("none".into(), ToString::to_string)
    });
    row("disk bytes per record of a validator", &|found| format!("{:.0}", found.disk_bytes));
    row("dossier bytes", &|found| found.dossier_bytes.map_or("none".into(), |bytes| bytes.to_string()));
    row("to prove and sign one, ms", &|found| short(found.prove_ms));
    table
}

/// What others are said to do, and what can be compared.
fn beside(offered: &Measured, taken: &Measured) -> Table {
    let mut table = Table::new("Beside others", &["what", "theirs", "here", "comparable", "not comparable"]);
    let cells = |cells: [&str; 5]| cells.map(str::to_string).to_vec();
    table.row(cells([
        "zkVerify: EZKL proofs a second",
        "59, derived from its prices and block limit",
        &short(taken.pace()),
        "proofs about models, each checked by every validator and ordered with its verdict",
        "theirs is a chain's limit on its validators' machines, for public proofs of 4 kB that take 4.2 ms; here all four \
         validators and the load share this machine, and proofs are some sixty times larger and hide their input",
    ]));
    let p99 = offered.final_ms(0.99).map_or("none".to_string(), |ms| format!("{} s", short(ms / 1e3)));
    table.row(cells([
        "a certificate-transparency log: p99 until an entry is included",
        "1.04 s",
        &p99,
        "from sending to a final place in a log that a stranger can check",
        "theirs is order alone, over a real network, by one operator; here it is order, four verifications, commitment and \
         reveal, on loopback",
    ]));
    table
}
