//! Several proofs about the rows of one batch, and the file that lists them.
//!
//! Each proof's context says which rows of how many it is about, and of which run; so the proofs
//! themselves show that none is missing, twice or from elsewhere. The manifest only names the files.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use program::InputMode;
use program::wire::Statement;
use serde_json::{Map, Value, json};

use crate::context::PART;
use crate::failure::{BAD_MANIFEST, BAD_MODEL};
use crate::files::{FILE_BYTES, read_bounded};
use crate::meaning::{self, Shown};
use crate::pipeline::ms;
use crate::text::{self, BAD, GOOD, clean, paint};
use crate::verify::{Check, Examination, Expect, Part, State, examine};

/// What a manifest's `format` says.
const FORMAT: &str = "zerotell manifest 1";
/// Longest manifest that is read.
pub const BYTES: usize = 1 << 26;
/// Most proofs of one manifest.
const PROOFS: usize = 1 << 16;

/// One proof file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, in the manifest's directory.
    pub file: String,
    /// The rows it is about.
    pub rows: Range<usize>,
    /// BLAKE3 hash of its bytes.
    pub digest: [u8; 32],
}

/// The list of all proofs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The model's ID.
    pub model: String,
    /// The run's name: 32 hexadecimal digits.
    pub run: String,
    /// Rows in all.
    pub rows: usize,
    /// The proofs, in the order of their rows.
    pub proofs: Vec<Entry>,
}

/// What the context of a proof says about its place.
pub fn part(rows: &Range<usize>, total: usize, run: &str) -> String {
    format!("rows {}..{} of {total}, run {run}", rows.start, rows.end)
}

/// Whether bytes look like a manifest and not like a proof file.
pub fn is_manifest(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b'{')
}

fn field<'a>(map: &'a Map<String, Value>, name: &str) -> Result<&'a Value, String> {
    map.get(name).ok_or_else(|| format!("`{name}` is missing"))
}

fn string(map: &Map<String, Value>, name: &str) -> Result<String, String> {
    field(map, name)?.as_str().map(str::to_string).ok_or_else(|| format!("`{name}` is no text"))
}

fn count(value: &Value) -> Result<usize, String> {
    let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
    number.map(|n| n as usize).ok_or_else(|| "a number of rows is wrong".into())
}

fn hexadecimal(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// A plain file name: it cannot lead out of the manifest's directory.
fn plain(name: &str) -> bool {
    let letters = name.chars().all(|c| !c.is_control() && c != '/' && c != '\\');
    letters && !name.is_empty() && name.len() <= 255 && !name.starts_with('.')
}

impl Entry {
    fn json(&self) -> Value {
        json!({
            "blake3": text::hex(&self.digest),
            "file": self.file,
            "rows": [self.rows.start, self.rows.end],
        })
    }

    fn read(value: &Value) -> Result<Self, String> {
        let map = value.as_object().ok_or("a proof is no object")?;
        let rows = match field(map, "rows")?.as_array().map(Vec::as_slice) {
            Some([start, end]) => count(start)?..count(end)?,
            _ => return Err("the rows of a proof are not two numbers".into()),
        };
        let hex = string(map, "blake3")?;
        if !hexadecimal(&hex, 64) {
            return Err("a hash is not 64 hexadecimal digits".into());
        }
        let digest = blake3::Hash::from_hex(&hex).map_err(|e| e.to_string())?;
        Ok(Self { file: string(map, "file")?, rows, digest: *digest.as_bytes() })
    }
}

impl Manifest {
    /// Its bytes: JSON with sorted keys; the same manifest always has the same.
    pub fn encode(&self) -> Vec<u8> {
        let value = json!({
            "format": FORMAT,
            "model": self.model,
            "proofs": self.proofs.iter().map(Entry::json).collect::<Vec<_>>(),
            "rows": self.rows,
            "run": self.run,
        });
        // A tree of texts and numbers can always be written.
        let mut bytes = serde_json::to_vec_pretty(&value).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads a manifest. Its proofs cover all rows, in order; there is no second way to write it.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > BYTES {
            return Err("it is too large".into());
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|e| format!("not JSON: {e}"))?;
        let map = value.as_object().ok_or("it is no object")?;
        if string(map, "format")? != FORMAT {
            return Err("its format is not known".into());
        }
        let list = field(map, "proofs")?.as_array().ok_or("`proofs` is no list")?;
        if list.len() > PROOFS {
            return Err("it lists too many proofs".into());
        }
        let proofs = list.iter().map(Entry::read).collect::<Result<Vec<_>, _>>()?;
        let (model, run) = (string(map, "model")?, string(map, "run")?);
        let found = Self { model, run, rows: count(field(map, "rows")?)?, proofs };
        found.check()?;
        if found.encode() != bytes {
            return Err("it is not spelled as this program spells it".into());
        }
        Ok(found)
    }

    fn check(&self) -> Result<(), String> {
        if !hexadecimal(&self.run, 32) {
            return Err("the run is not 32 hexadecimal digits".into());
        }
        let mut next = 0;
        let mut names = BTreeSet::new();
        for entry in &self.proofs {
            let name = clean(&entry.file);
            if !plain(&entry.file) || !names.insert(&entry.file) {
                return Err(format!("`{name}` is no plain file name, or listed twice"));
            }
            if entry.rows.start != next || entry.rows.is_empty() {
                return Err(format!("`{name}` does not follow: the next row is {next}"));
            }
            next = entry.rows.end;
        }
        if next != self.rows || next == 0 {
            return Err(format!("its proofs are about {next} rows of {}", self.rows));
        }
        Ok(())
    }
}

/// One statement about all rows, of the statements about some of them, in order. For showing only.
pub fn merged(statements: &[Statement]) -> Option<Statement> {
    let (first, rest) = statements.split_first()?;
    let mut all = first.clone();
    for next in rest {
        all.batch = all.batch.saturating_add(next.batch);
        all.slots.iter_mut().zip(&next.slots).for_each(|(slot, more)| slot.extend_from_slice(more));
    }
    Some(all)
}

/// The verdict about all proofs of a manifest.
pub struct Whole {
    /// `ok`, or the code of the first refusal.
    pub code: &'static str,
    /// What was refused, if not by a proof's own checklist.
    pub refused: Option<String>,
    /// The proofs that were examined, the refused one last.
    pub proofs: Vec<(Entry, Examination)>,
    /// What is revealed of all rows; only when all are accepted.
    pub shown: Option<Shown>,
    /// Rows in all.
    pub rows: usize,
    /// Milliseconds.
    pub verify_ms: f64,
}

type Refused = (&'static str, String);

impl Whole {
    fn run(&mut self, bytes: &[u8], directory: &Path, expect: &mut Expect) -> Result<(), Refused> {
        let bad = |why: String| (BAD_MANIFEST, why);
        let manifest = Manifest::decode(bytes).map_err(|why| bad(format!("the manifest: {why}")))?;
        self.rows = manifest.rows;
        for entry in &manifest.proofs {
            let proof = read_bounded(&directory.join(&entry.file), FILE_BYTES).map_err(|failure| {
                let why = failure.items.first().map(|item| item.reason.clone()).unwrap_or_default();
                bad(format!("{}: {why}", clean(&entry.file)))
            })?;
            if *blake3::hash(&proof).as_bytes() != entry.digest {
                return Err(bad(format!("{} is not the file that the manifest lists", clean(&entry.file))));
            }
            expect.context.insert(PART.into(), part(&entry.rows, manifest.rows, &manifest.run));
            expect.part = Some(Part { rows: entry.rows.clone(), total: manifest.rows });
            let examination = examine(&proof, expect);
            let code = examination.code;
            if let (Some(accepted), "ok") = (&mut expect.accepted, code) {
                accepted.keep(&examination.linked);
            }
            self.proofs.push((entry.clone(), examination));
            if code != "ok" {
                self.code = code;
                return Ok(());
            }
            self.same(&manifest)?;
        }
        let statements: Vec<Statement> =
            self.proofs.iter_mut().filter_map(|(_, one)| one.statement.take()).collect();
        let meta = self.proofs.first_mut().and_then(|(_, one)| one.meta.take());
        self.shown = merged(&statements).map(|all| meaning::shown(meta.as_ref(), &all));
        Ok(())
    }

    /// Whether the last proof is of a kind with the first, and about the rows it is listed for.
    fn same(&self, manifest: &Manifest) -> Result<(), Refused> {
        let ends = self.proofs.first().zip(self.proofs.last());
        let Some(((_, first), (entry, last))) = ends else { return Ok(()) };
        let name = clean(&entry.file);
        if last.model.as_deref() != Some(&manifest.model) {
            return Err((BAD_MODEL, format!("{name} is about another model than the manifest says")));
        }
        let (Some(a), Some(b)) = (&first.statement, &last.statement) else { return Ok(()) };
        let kind = |s: &Statement| (s.program_digest, s.zk, s.disclosure.clone(), s.identity.clone());
        if kind(a) != kind(b) {
            return Err((
                BAD_MANIFEST,
                format!("{name} does not show the same of its rows as the first proof"),
            ));
        }
        if b.batch as usize != entry.rows.len() {
            return Err((
                BAD_MANIFEST,
                format!("{name} is about {} rows, not {}", b.batch, entry.rows.len()),
            ));
        }
        if b.disclosure.inputs.contains(&InputMode::Committed) {
            return Err((BAD_MANIFEST, format!("{name} opens a committed input, which is proved whole")));
        }
        Ok(())
    }

    /// Whether every proof is accepted and nothing is missing.
    pub fn accepted(&self) -> bool {
        self.code == "ok"
    }

    fn weakest(&self) -> Option<&Examination> {
        self.proofs.iter().map(|(_, one)| one).min_by_key(|one| one.bits)
    }

    fn checks(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        if let Some(why) = &self.refused {
            checks.push(Check { name: "manifest", state: State::Failed, detail: why.clone() });
        } else if self.accepted() {
            let detail = format!("{} proofs, rows 0..{} complete and in order", self.proofs.len(), self.rows);
            checks.push(Check { name: "manifest", state: State::Passed, detail });
        }
        // Accepted proofs have checklists of one kind; of a refused one its own is shown.
        let shown = if self.accepted() { self.proofs.first() } else { self.proofs.last() };
        checks.extend(shown.iter().flat_map(|(_, one)| one.checks.clone()));
        checks
    }

    /// The verdict as one JSON object.
    pub fn json(&self) -> Value {
        let (shown, weakest) = (self.shown.as_ref(), self.weakest());
        let one = |(entry, one): &(Entry, Examination)| {
            let rows = [entry.rows.start, entry.rows.end];
            json!({"file": entry.file, "rows": rows, "code": one.code, "verify_ms": one.verify_ms})
        };
        let last = self.proofs.last().map(|(_, one)| one);
        json!({
            "verdict": if self.accepted() { "accepted" } else { "rejected" },
            "code": self.code,
            "checks": self.checks().iter().map(Check::json).collect::<Vec<_>>(),
            "rows": self.rows,
            "proofs": self.proofs.iter().map(one).collect::<Vec<_>>(),
            "outputs": shown.map(|s| &s.outputs),
            "label": shown.map(|s| &s.label),
            "reveals": shown.map(|s| &s.reveals),
            "model": last.and_then(|one| one.model.clone()),
            "context": last.map(|one| &one.context),
            "guarantee": if self.accepted() { last.map_or("nothing", |one| one.guarantee) } else { "nothing" },
            "semantics": last.and_then(|one| one.semantics.clone()),
            "verify_ms": self.verify_ms,
            "bits": weakest.map(|one| one.bits),
            "weakest": weakest.map(|one| one.weakest),
        })
    }

    /// Everything for people, the verdict last.
    pub fn print(&self) {
        self.checks().iter().for_each(|check| anstream::println!("{}", check.line()));
        if !self.accepted()
            && let Some((entry, _)) = self.proofs.last()
        {
            let rows = &entry.rows;
            anstream::println!("\nat {}, rows {}..{}", clean(&entry.file), rows.start, rows.end);
        }
        if let Some(shown) = &self.shown {
            anstream::println!("\nrevealed");
            shown.lines.iter().for_each(|line| anstream::println!("  {line}"));
        }
        let time = text::time(self.verify_ms);
        match self.weakest() {
            Some(weakest) if self.accepted() => {
                let bits = format!("{} bits, weakest term: {}", weakest.bits, weakest.weakest);
                anstream::println!(
                    "\n{}  {} proofs, {bits}, {time}",
                    paint(GOOD, "accepted"),
                    self.proofs.len()
                );
                weakest.warnings();
            }
            _ => anstream::println!("\n{}  {} ({time})", paint(BAD, "rejected"), self.code),
        }
    }
}

/// Checks a manifest and every proof it lists. It never fails: what is wrong is refused.
pub fn examine_all(bytes: &[u8], directory: &Path, expect: &mut Expect) -> Whole {
    let started = Instant::now();
    let mut whole =
        Whole { code: "ok", refused: None, proofs: Vec::new(), shown: None, rows: 0, verify_ms: 0.0 };
    if let Err((code, why)) = whole.run(bytes, directory, expect) {
        (whole.code, whole.refused, whole.shown) = (code, Some(why), None);
    }
    whole.verify_ms = ms(started);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let entry = |n: usize, rows| Entry { file: format!("p.{n}.ztp"), rows, digest: [n as u8; 32] };
        Manifest {
            model: "zt1abc".into(),
            run: "0123456789abcdef".repeat(2),
            rows: 7,
            proofs: vec![entry(0, 0..3), entry(1, 3..6), entry(2, 6..7)],
        }
    }

    #[test]
    fn a_manifest_has_one_spelling() {
        let bytes = manifest().encode();
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest());
        let text = String::from_utf8(bytes).unwrap();
        let changed = [
            text.replace("  ", " "),
            text.replace("\"rows\": 7", "\"rows\": 7.0"),
            text.replace("\"rows\": 7", "\"rows\": 7,\n  \"rows\": 7"),
            text.replace("\"run\"", "\"more\": 1,\n  \"run\""),
            format!("{text}\n"),
        ];
        for other in changed {
            assert_ne!(other, text);
            assert!(Manifest::decode(other.as_bytes()).is_err(), "{other}");
        }
        for end in 0..text.len() {
            assert!(Manifest::decode(&text.as_bytes()[..end]).is_err());
        }
    }

    #[test]
    fn gaps_overlaps_and_paths_are_refused() {
        let changes: [fn(&mut Manifest); 11] = [
            |m| m.proofs.swap(0, 1),
            |m| drop(m.proofs.remove(1)),
            |m| drop(m.proofs.pop()),
            |m| m.proofs.clear(),
            |m| m.proofs[1].rows = 2..6,
            |m| m.proofs[2].rows = 6..6,
            |m| m.rows = 8,
            |m| m.proofs[1].file = "../p.1.ztp".into(),
            |m| m.proofs[1].file = "/etc/passwd".into(),
            |m| m.proofs[1].file = "p.0.ztp".into(),
            |m| m.run = "x".into(),
        ];
        for change in changes {
            let mut other = manifest();
            change(&mut other);
            assert!(Manifest::decode(&other.encode()).is_err(), "{other:?}");
        }
    }
}
