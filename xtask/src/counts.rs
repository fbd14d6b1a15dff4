//! Instructions that fixed work takes, against a recorded baseline: a slowdown is seen on any
//! machine, however busy.
//!
//! `counts` of the crate `bench` commits, executes, proves and verifies one small network on one
//! thread. Callgrind dumps its counter at each entry of `stage_ends`. It offers programs AVX2 and
//! no AVX-512, so these are the instructions of the AVX2 kernels where there are such.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::shell::{Tally, output, run};
use crate::{debian, root};

/// Where the baseline is.
const BASELINE: &str = "bench/counts.json";
/// A stage may take so many thousandths of its baseline, at most and at least.
const MOST: u64 = 1030;
const LEAST: u64 = 900;
/// Stages of fewer instructions change by more than the tolerance for no reason worth a look.
const SMALL: u64 = 1_000_000;

/// Instructions by stage.
type Counts = BTreeMap<String, u64>;

/// Installs valgrind when it is missing.
pub fn valgrind() -> Result<(), String> {
    let found = || output(Command::new("valgrind").arg("--version")).is_some();
    if found() || (debian::install("valgrind") && found()) {
        return Ok(());
    }
    Err("valgrind is missing and apt-get could not install it: instructions are not counted (as root: \
         apt-get install valgrind)"
        .to_string())
}

/// Compares with the baseline.
pub fn check(tally: &mut Tally) {
    if let Err(why) = possible() {
        return tally.skip(&format!("instruction counts: {why}"));
    }
    let findings = measure().and_then(|found| Ok(compare(&baseline()?, &found)));
    tally.findings("counts", &findings.unwrap_or_else(|why| vec![why]));
}

/// Records the baseline again.
pub fn update(tally: &mut Tally) {
    let written = possible().and_then(|()| measure()).and_then(|counts| {
        let compiler = output(Command::new("rustc").arg("--version")).unwrap_or_default();
        let record = json!({ "compiler": compiler.trim(), "instructions": counts });
        let text = serde_json::to_string_pretty(&record).unwrap_or_default();
        std::fs::write(root().join(BASELINE), text + "\n").map_err(|error| format!("{BASELINE}: {error}"))
    });
    tally.findings("counts", &written.err().into_iter().collect::<Vec<_>>());
}

/// Whether this machine's counts can be compared with the baseline's.
fn possible() -> Result<(), String> {
    let flags = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if !cfg!(target_arch = "x86_64") || !flags.split_whitespace().any(|flag| flag == "avx2") {
        return Err("the baseline is of x86-64 with AVX2".to_string());
    }
    valgrind()
}

fn baseline() -> Result<Counts, String> {
    let text = std::fs::read_to_string(root().join(BASELINE)).map_err(|error| format!("{BASELINE}: {error}"));
    let record: Value = serde_json::from_str(&text?).map_err(|error| format!("{BASELINE}: {error}"))?;
    let stages = record["instructions"].as_object().ok_or(format!("{BASELINE} has no instructions"))?;
    Ok(stages.iter().map(|(stage, count)| (stage.clone(), count.as_u64().unwrap_or(0))).collect())
}

/// Runs the work under callgrind.
fn measure() -> Result<Counts, String> {
    let build = ["build", "--release", "--quiet", "-p", "zerotell-bench", "--bin", "counts"];
    if !run(Command::new("cargo").args(build)) {
        return Err("the measured program cannot be built".to_string());
    }
    let folder = std::env::temp_dir().join(format!("zerotell-counts-{}", std::process::id()));
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let counts = under_callgrind(&folder);
    // A folder that stays in the system's temporary place does no harm.
    let _ = std::fs::remove_dir_all(&folder);
    counts
}

fn under_callgrind(folder: &Path) -> Result<Counts, String> {
    let out = folder.join("out");
    let words = [
        "valgrind".to_string(),
        "--quiet".to_string(),
        "--tool=callgrind".to_string(),
        "--dump-before=*stage_ends*".to_string(),
        format!("--callgrind-out-file={}", out.display()),
    ];
    // Cargo knows where the program is, and starts it by way of valgrind.
    let runner = format!("target.'cfg(all())'.runner = {}", json!(words));
    let cargo = ["--release", "--quiet", "-p", "zerotell-bench", "--bin", "counts"];
    let said = output(Command::new("cargo").args(["run", "--config", &runner]).args(cargo));
    let said = said.ok_or("the measured program fails under valgrind")?;
    let stages = said.lines().filter_map(|line| line.strip_prefix("stage "));
    let mut counts = Counts::new();
    for (number, stage) in stages.enumerate() {
        let path = folder.join(format!("out.{}", number + 1));
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let count = instructions(&text).ok_or(format!("{} has no sum", path.display()))?;
        println!("{stage:24} {count:>14}");
        if count >= SMALL {
            counts.insert(stage.to_string(), count);
        }
    }
    Ok(counts)
}

/// The sum of one dump.
fn instructions(dump: &str) -> Option<u64> {
    dump.lines().find_map(|line| line.strip_prefix("summary: "))?.trim().parse().ok()
}

/// One finding per stage that is out of bounds, missing or new.
fn compare(baseline: &Counts, found: &Counts) -> Vec<String> {
    let update = "if it is meant, run `cargo xtask counts --update` and commit the file";
    let mut findings = Vec::new();
    for (stage, &before) in baseline {
        let Some(&now) = found.get(stage) else {
            findings.push(format!("\"{stage}\" is gone, or is small now: {update}"));
            continue;
        };
        let change = now.abs_diff(before).saturating_mul(1000) / before.max(1);
        let change = format!("{}.{} %", change / 10, change % 10);
        if now.saturating_mul(1000) > before.saturating_mul(MOST) {
            findings
                .push(format!("\"{stage}\" takes {now} instructions, {change} more than recorded: {update}"));
        }
        if now.saturating_mul(1000) < before.saturating_mul(LEAST) {
            findings.push(format!(
                "\"{stage}\" takes {now} instructions, {change} fewer than recorded: {update}"
            ));
        }
    }
    let new = found.keys().filter(|stage| !baseline.contains_key(*stage));
    findings.extend(new.map(|stage| format!("\"{stage}\" is not recorded: {update}")));
    findings
}

#[cfg(test)]
mod tests {
    use super::{Counts, compare, instructions};

    fn counts(rows: &[(&str, u64)]) -> Counts {
        rows.iter().map(|(stage, count)| ((*stage).to_string(), *count)).collect()
    }

    #[test]
    fn changes_beyond_the_tolerance_are_found() {
        let before = counts(&[("a", 1000)]);
        let cases = [(1030, None), (1031, Some("more")), (900, None), (899, Some("fewer"))];
        for (now, expected) in cases {
            let found = compare(&before, &counts(&[("a", now)]));
            assert_eq!(found.len(), usize::from(expected.is_some()), "{now}: {found:?}");
            assert!(expected.is_none_or(|word| found[0].contains(word)), "{now}: {found:?}");
        }
        assert!(compare(&before, &counts(&[]))[0].contains("gone"));
        assert!(compare(&counts(&[]), &before)[0].contains("not recorded"));
    }

    #[test]
    fn the_sum_of_a_dump_is_read() {
        assert_eq!(instructions("version: 1\nsummary: 852149\n\ntotals: 852149\n"), Some(852_149));
        assert_eq!(instructions("version: 1\n"), None);
    }
}
