//! Rows that do not fit one proof: several proofs, one after another, and their manifest.
//!
//! A run that was stopped goes on where it was: what it had decided lies in a file beside the manifest
//! until the manifest is written, and proofs that are there and right are not made again.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use program::types::Reveal;
use program::wire::Statement;
use serde_json::{Value, json};

use crate::context::{self, PART, Parts};
use crate::data::Rows;
use crate::engine::{Inputs, Request, check_bounds, float_outputs, integers, prover, slots};
use crate::failure::{Failure, MEMORY, Outcome, USAGE};
use crate::files::{FILE_BYTES, decode_proof, read_bounded, write_whole};
use crate::manifest::{self, Entry, Manifest, merged};
use crate::owner::Owner;
use crate::pipeline::Loaded;
use crate::progress::Progress;
use crate::prove::{ProveArgs, advance, agree, make, mode};
use crate::text::{self, DIM, GOOD, paint};
use crate::verify::{Expect, examine};
use crate::{machine, meaning, units};

/// Flags that spread rows over several proofs.
#[derive(Args, Clone, Debug, Default)]
pub struct SplitArgs {
    /// Most memory the prover may take, such as 1G or 600M; more rows than fit make several proofs
    #[arg(long, value_name = "SIZE", help_heading = "Batches")]
    pub max_memory: Option<String>,
    /// Most rows in one proof; more rows make several proofs
    #[arg(long, value_name = "N", help_heading = "Batches")]
    pub rows_per_proof: Option<u32>,
}

/// Bytes of a size such as `600M`, `1.5G` or `1Gi`.
fn bytes_of(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: f64 = match unit.trim_end_matches('B') {
        "" => 1.0,
        "K" | "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let bytes = number.parse::<f64>().ok()? * factor;
    (1.0..1e18).contains(&bytes).then_some(bytes as u64)
}

impl SplitArgs {
    fn limit(&self) -> Outcome<Option<u64>> {
        let Some(text) = &self.max_memory else { return Ok(None) };
        bytes_of(text).map(Some).ok_or_else(|| {
            let fix = "write 1G, 600M or a number of bytes";
            Failure::misuse(USAGE, "--max-memory", format!("`{text}` is no size"), fix)
        })
    }

    /// Most rows of one proof, if the rows do not all go into one.
    pub fn most_rows(&self, owner: &Owner, request: &Request) -> Outcome<Option<usize>> {
        let limit = self.limit()?;
        if limit.is_none() && self.rows_per_proof.is_none() {
            return Ok(None);
        }
        if self.rows_per_proof == Some(0) {
            return Err(Failure::misuse(USAGE, "--rows-per-proof", "no rows at all", "give 1 or more"));
        }
        let (rows, held, whole) = match &request.inputs {
            Inputs::Rows { rows, .. } => {
                // Rows lie there twice: in the graph's order and in the program's.
                let held: usize = rows.iter().map(|r| 8 * r.data.len()).sum();
                (rows.first().map_or(1, |r| r.count), held as u64, false)
            }
            Inputs::Committed(secret) => (secret.axes.first().copied().unwrap_or(1), 0, true),
        };
        let wanted = self.rows_per_proof.map_or(rows, |n| rows.min(n as usize));
        let most = wanted.min(program::limits::BATCH as usize);
        let most = match limit {
            Some(limit) => largest(owner, &request.reveals, most, limit, held)?,
            None => most,
        };
        if whole && most < rows {
            let reason = format!("{rows} rows are committed together and are proved together");
            let fix = "allow more memory and rows, or commit the rows in several inputs";
            return Err(Failure::misuse(MEMORY, "--input-key", reason, fix));
        }
        Ok((most < rows).then_some(most))
    }
}

/// A peak as a limit sees it: an eighth more, by which the memory model may be wrong, and what several proofs in one
/// process leave behind: files as they are written, blocks that the allocator keeps.
fn with_room(peak: u64) -> u64 {
    peak.saturating_add(peak / 8).saturating_add(24 << 20)
}

/// The largest number of rows, at most `most`, whose proof fits the memory.
fn largest(owner: &Owner, reveals: &[Reveal], most: usize, limit: u64, held: u64) -> Outcome<usize> {
    let peak = |rows: usize| {
        units::peak_of_rows(&owner.program, rows as u32, reveals)
            .map(|peak| with_room(peak).saturating_add(held))
    };
    let one = peak(1)?;
    if one > limit {
        let reason =
            format!("one row alone takes about {}, {} are allowed", text::size(one), text::size(limit));
        let fix = "allow more memory: the model itself needs it";
        return Err(Failure::misuse(MEMORY, "--max-memory", reason, fix));
    }
    // One row fits; `above` rows do not, or are not asked for.
    let (mut fits, mut above) = (1, most + 1);
    while above - fits > 1 {
        let middle = fits + (above - fits) / 2;
        // Too many rows for any proof do not fit either.
        if peak(middle).is_ok_and(|peak| peak <= limit) { fits = middle } else { above = middle }
    }
    Ok(fits)
}

/// What a run has decided, kept until its manifest is written. Secret: it knows the inputs' hash.
struct Run {
    path: PathBuf,
    /// Name of the run.
    name: String,
    /// Whether the run was begun before.
    resumed: bool,
}

impl Run {
    const FORMAT: &'static str = "zerotell unfinished run 1";

    /// Goes on with the unfinished run of the same request, or begins a new one.
    fn begin(output: &Path, request: &[u8; 32]) -> Outcome<Self> {
        let mut name = output.file_name().map(|n| n.to_os_string()).unwrap_or_default();
        name.push(".unfinished");
        let path = output.with_file_name(name);
        if let Some(name) = Self::read(&path, request) {
            return Ok(Self { path, name, resumed: true });
        }
        let name = text::hex(&crate::random::bytes()?[..16]);
        let line = json!({"format": Self::FORMAT, "request": text::hex(request), "run": name});
        write_whole(&path, line.to_string().as_bytes(), 0o600)?;
        Ok(Self { path, name, resumed: false })
    }

    /// The name of the run that the file is about, if it is this request's.
    fn read(path: &Path, request: &[u8; 32]) -> Option<String> {
        let bytes = if path.exists() { read_bounded(path, 1 << 12).ok()? } else { return None };
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        let same = value["format"] == Self::FORMAT && value["request"] == text::hex(request).as_str();
        let name = value["run"].as_str().filter(|name| name.len() == 32)?;
        same.then(|| name.to_string())
    }

    fn finish(&self) -> Outcome<()> {
        std::fs::remove_file(&self.path).map_err(|e| Failure::file(&self.path, "remove", &e))
    }
}

/// Everything about a batch that is split.
struct Batch<'a> {
    args: &'a ProveArgs,
    owner: &'a mut Owner,
    /// About all rows.
    request: &'a Request,
    /// Rows in the program's order.
    rows: &'a [Rows],
    parts: Vec<Range<usize>>,
    total: usize,
}

/// One proof of the batch.
struct Part {
    entry: Entry,
    statement: Statement,
    prove_ms: f64,
    proof_bytes: usize,
    file_bytes: usize,
    /// It was there already.
    reused: bool,
}

impl Batch<'_> {
    /// The request of some rows, with these parts of a context added.
    fn request(&self, rows: &Range<usize>, context: Vec<u8>) -> Request {
        let public = matches!(self.request.inputs, Inputs::Rows { public: true, .. });
        let picked = self.rows.iter().map(|all| all.pick(rows)).collect();
        let inputs = Inputs::Rows { rows: picked, public };
        Request { inputs, reveals: self.request.reveals.clone(), context, zk: self.request.zk }
    }

    fn context(&self, rows: &Range<usize>, run: &str) -> Parts {
        let mut parts = self.args.context.parts();
        parts.insert(PART.into(), manifest::part(rows, self.total, run));
        parts
    }

    /// Looks at every row before anything is spent: claims hold, labels agree. Gives the hash of all
    /// that the run is about, under the owner's secret.
    fn check(&self, loaded: &Loaded, graph_rows: &[Rows]) -> Outcome<[u8; 32]> {
        let key = blake3::derive_key("zerotell v1 unfinished run", self.secret());
        let mut hasher = blake3::Hasher::new_keyed(&key);
        let (owner, reveals) = (&*self.owner, &self.request.reveals);
        let about = format!("{:?} {} {:?}", reveals, self.request.zk, self.parts);
        hasher.update(&owner.identity()).update(about.as_bytes()).update(&self.request.context);
        hasher.update(&[u8::from(matches!(self.request.inputs, Inputs::Rows { public: true, .. }))]);
        for rows in &self.parts {
            let (integers, batch, _) = integers(owner, &self.request(rows, Vec::new()).inputs)?;
            integers.values().flat_map(|v| v.iter()).for_each(|x| {
                hasher.update(&x.to_le_bytes());
            });
            let outputs = program::run(&owner.program, batch, &integers, &owner.weights.0).map_err(prover)?;
            check_bounds(owner, reveals, &outputs, rows.start)?;
            if !self.args.allow_disagreement {
                let picked: Vec<Rows> = graph_rows.iter().map(|all| all.pick(rows)).collect();
                agree(owner, rows.clone(), &outputs, &float_outputs(owner, loaded, &picked)?)?;
            }
        }
        Ok(*hasher.finalize().as_bytes())
    }

    /// The owner's secret; a public model has none that lasts, and nothing of its own to hide.
    fn secret(&self) -> &[u8] {
        if self.owner.committed.is_some() { self.owner.secret.expose() } else { &[0; 32] }
    }

    /// The name of a proof file beside the manifest.
    fn path(&self, number: usize) -> PathBuf {
        let stem = self.args.output.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        self.args.output.with_file_name(format!("{stem}.{number:04}.ztp"))
    }

    /// A proof that an earlier, stopped run has made of the same rows, if it is there and right.
    fn found(&self, number: usize, run: &str) -> Option<Part> {
        let (rows, path) = (self.parts.get(number)?, self.path(number));
        let bytes = if path.is_file() { read_bounded(&path, FILE_BYTES).ok()? } else { return None };
        let context = self.context(rows, run);
        let expect =
            Expect { model: Some(self.owner.identity()), context: context.clone(), ..Default::default() };
        if !examine(&bytes, &expect).accepted() {
            return None;
        }
        let file = decode_proof(&bytes).ok()?;
        let request = self.request(rows, context::encode(&context).ok()?);
        let (integers, batch, _) = integers(self.owner, &request.inputs).ok()?;
        let outputs = program::run(&self.owner.program, batch, &integers, &self.owner.weights.0).ok()?;
        let statement = file.statement;
        let same = statement.zk == request.zk
            && statement.batch == batch
            && statement.disclosure.reveals == request.reveals
            && statement.context == request.context
            && statement.slots == slots(self.owner, &request, &integers, &outputs, batch);
        let entry = Entry { file: name(&path), rows: rows.clone(), digest: *blake3::hash(&bytes).as_bytes() };
        same.then(|| Part {
            entry,
            statement,
            prove_ms: 0.0,
            proof_bytes: file.proof.len(),
            file_bytes: bytes.len(),
            reused: true,
        })
    }

    fn prove(&mut self, number: usize, run: &str, progress: &Progress) -> Outcome<Part> {
        let (rows, path) = (self.parts[number].clone(), self.path(number));
        let mut request = self.request(&rows, context::encode(&self.context(&rows, run))?);
        let (prepared, made) = make(self.owner, &mut request, &path, progress, |_, _| Ok(()))?;
        advance(self.owner, &mut request, progress);
        Ok(Part {
            entry: Entry { file: name(&path), rows, digest: made.digest },
            statement: prepared.statement,
            prove_ms: made.prove_ms,
            proof_bytes: made.proof,
            file_bytes: made.file,
            reused: false,
        })
    }
}

fn name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// An earlier manifest is about proofs that are now replaced.
fn remove_manifest(path: &Path) -> Outcome<()> {
    let old = path.is_file() && read_bounded(path, manifest::BYTES).is_ok_and(|b| manifest::is_manifest(&b));
    if old { std::fs::remove_file(path).map_err(|e| Failure::file(path, "remove", &e)) } else { Ok(()) }
}

/// Proves all rows, at most `most` in a proof, and writes the manifest last.
pub fn run(
    args: &ProveArgs,
    owner: &mut Owner,
    loaded: &Loaded,
    request: &Request,
    graph_rows: &[Rows],
    most: usize,
    progress: &Progress,
) -> Outcome<ExitCode> {
    let Inputs::Rows { rows, .. } = &request.inputs else { return Ok(ExitCode::SUCCESS) };
    let total = rows.first().map_or(0, |r| r.count);
    let parts = (0..total).step_by(most).map(|start| start..total.min(start + most)).collect();
    let mut batch = Batch { args, owner, request, rows, parts, total };
    let phase = progress.phase("run", None);
    let run = Run::begin(&args.output, &batch.check(loaded, graph_rows)?)?;
    drop(phase);
    remove_manifest(&args.output)?;
    let mut made = Vec::new();
    for number in 0..batch.parts.len() {
        let found = if run.resumed { batch.found(number, &run.name) } else { None };
        let part = match found {
            Some(part) => part,
            None => batch.prove(number, &run.name, progress)?,
        };
        progress.note(&format!(
            "{} of {} proofs, {} of {total} rows",
            number + 1,
            batch.parts.len(),
            part.entry.rows.end
        ));
        made.push(part);
    }
    let proofs = made.iter().map(|part| part.entry.clone()).collect();
    let manifest = Manifest { model: batch.owner.id(), run: run.name.clone(), rows: total, proofs };
    write_whole(&args.output, &manifest.encode(), 0o644)?;
    run.finish()?;
    report(&batch, &made);
    Ok(ExitCode::SUCCESS)
}

fn report(batch: &Batch<'_>, made: &[Part]) {
    let (args, owner) = (batch.args, &*batch.owner);
    let statements: Vec<Statement> = made.iter().map(|part| part.statement.clone()).collect();
    let Some(all) = merged(&statements) else { return };
    let shown = meaning::shown(Some(&owner.meta), &all);
    let sum = |f: fn(&Part) -> f64| made.iter().map(f).sum::<f64>();
    let prove_ms = sum(|part| part.prove_ms);
    let (proofs, files) = (sum(|part| part.proof_bytes as f64), sum(|part| part.file_bytes as f64));
    let reused = made.iter().filter(|part| part.reused).count();
    if args.form.json() {
        let line = json!({
            "program": text::hex(&all.program_digest),
            "model": owner.id(),
            "mode": mode(owner, &all),
            "rows": batch.total,
            "outputs": shown.outputs,
            "label": shown.label,
            "reveals": shown.reveals,
            "compile_ms": owner.compile_ms,
            "commit_ms": owner.commit_ms,
            "prove_ms": prove_ms,
            "proof_bytes": proofs,
            "file_bytes": files,
            "peak_rss_bytes": machine::peak_rss(),
            "agreement": owner.report.agreement,
            "proof": args.output.display().to_string(),
            "proofs": made.iter().map(|part| part.entry.file.clone()).collect::<Vec<_>>(),
            "reused": reused,
        });
        println!("{line}");
        return;
    }
    anstream::println!("{}  {}, {} proofs", paint(GOOD, "proved"), mode(owner, &all), made.len());
    shown.lines.iter().for_each(|line| anstream::println!("  {line}"));
    let sizes = (text::size(proofs as u64), text::size(files as u64));
    anstream::println!("  {} to prove, {} proofs, {} files", text::time(prove_ms), sizes.0, sizes.1);
    if reused > 0 {
        anstream::println!(
            "  {}",
            paint(DIM, format!("{reused} proofs were there from the run that was stopped"))
        );
    }
    anstream::println!(
        "\nmodel ID  {}\nverify    zerotell verify {} --model {}",
        owner.id(),
        args.output.display(),
        owner.id()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_memory() {
        for (text, bytes) in [
            ("1", 1),
            ("2k", 2000),
            ("600M", 600_000_000),
            ("1.5G", 1_500_000_000),
            ("1Gi", 1 << 30),
            ("3MB", 3_000_000),
        ] {
            assert_eq!(bytes_of(text), Some(bytes), "{text}");
        }
        for text in ["", "G", "-1G", "1T1", "1e9", "0", "0.0001", "1..2G", "99999999999G"] {
            assert_eq!(bytes_of(text), None, "{text}");
        }
    }
}
