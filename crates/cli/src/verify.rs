//! `verify`: public bytes in, a checklist and a verdict out. Reads files, opens no socket, writes
//! nothing but which links it has accepted.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use compile::Metadata;
use program::InputMode;
use program::types::{Home, Program};
use program::wire::Statement;
use record::{Facts, Ranges};
use serde_json::{Value, json};
use verify::{Linked, Links, Refusal, SetupError, Verdict};

use crate::accepted::Accepted;
use crate::certificate::{Says, TrustArgs};
use crate::context::{self, ContextArgs, PART, Parts};
use crate::data::{self, RowArgs};
use crate::failure::{
    BAD_BYTES, BAD_CONTEXT, BAD_INPUT, BAD_LINKS, BAD_MODEL, BAD_PROGRAM, BAD_RANGES, BAD_RELATIONS,
    BAD_SECURITY, Failure, MODEL_FILE, NO_MODEL, Outcome, USAGE,
};
use crate::files::{self, FILE_BYTES, ModelFile, ProofFile, read_bounded};
use crate::npz::{self, Arrays};
use crate::output::OutputArgs;
use crate::pipeline::ms;
use crate::text::{self, BAD, DIM, GOOD, paint};
use crate::{evidence, manifest, meaning, ranges, text::clean};

/// Flags of `verify`.
#[derive(Args, Clone, Debug)]
pub struct VerifyArgs {
    /// The proof file, the manifest of several, or an evidence file (.zte)
    #[arg(value_name = "PROOF.ztp|EVIDENCE.zte")]
    pub proof: PathBuf,
    /// The model the proof must be about: its ID (zt1…) or the owner's model file (.ztm)
    #[arg(long, value_name = "ID|FILE")]
    pub model: Option<String>,
    /// Accept a proof about any model; the verdict says so
    #[arg(long, conflicts_with = "model")]
    pub any_model: bool,
    /// Public inputs must equal these data
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Verify all links anew, whatever was accepted before
    #[arg(long)]
    pub no_cache: bool,
    /// The committed input must have this ID (zti1…)
    #[arg(long, value_name = "ID")]
    pub input_id: Option<String>,
    /// Certificate of the hidden weights' ranges (.ztr); one beside the model file is found by itself
    #[arg(long, value_name = "FILE")]
    pub ranges: Option<PathBuf>,
    /// The evidence must be signed by this public key (PEM)
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    pub key: Option<PathBuf>,
    /// Write the report for people, made anew from the checked parts of the evidence
    #[arg(long, value_name = "FILE.html", help_heading = "Evidence")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub trust: TrustArgs,
    #[command(flatten)]
    pub rows: RowArgs,
    #[command(flatten)]
    pub context: ContextArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What the verifier insists on.
#[derive(Default)]
pub struct Expect {
    /// The model's identity; none: any model.
    pub model: Option<[u8; 32]>,
    /// Data that public inputs must equal, and which rows.
    pub input: Option<(Arrays, RowArgs)>,
    /// Identity of the committed input.
    pub input_id: Option<[u8; 32]>,
    /// Parts of the context.
    pub context: Parts,
    /// Links that were verified before.
    pub accepted: Option<Accepted>,
    /// Bytes of a range certificate.
    pub ranges: Option<Vec<u8>>,
    /// Which of several proofs this is.
    pub part: Option<Part>,
    /// Who signed for the model's identity.
    pub voucher: Voucher,
}

/// Who stands for the model's identity, when none is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Voucher {
    /// Nobody: it is a bare proof.
    #[default]
    Nobody,
    /// A signer that the reader did not name.
    Unknown,
    /// The signer whom the reader named.
    Wanted,
}

/// The place of a proof among those of a manifest.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its rows.
    pub rows: Range<usize>,
    /// Rows of all proofs.
    pub total: usize,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It holds.
    Passed,
    /// It does not hold: the proof is refused.
    Failed,
    /// Nothing was asked for; the detail says what the proof states.
    Open,
}

/// One line of the checklist.
#[derive(Clone, Debug)]
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// How it went.
    pub state: State,
    /// In words.
    pub detail: String,
}

impl Check {
    /// As JSON.
    pub fn json(&self) -> Value {
        let state = match self.state {
            State::Passed => "passed",
            State::Failed => "failed",
            State::Open => "not compared",
        };
        json!({"name": self.name, "state": state, "detail": self.detail})
    }

    /// For people.
    pub fn line(&self) -> String {
        let (mark, style) = match self.state {
            State::Passed => ("ok", GOOD),
            State::Failed => ("NO", BAD),
            State::Open => ("--", DIM),
        };
        format!("  {}  {:<15} {}", paint(style, mark), self.name, self.detail)
    }
}

/// The verdict with everything that is shown of it.
pub struct Examination {
    /// `ok`, or the code of the first refusal.
    pub code: &'static str,
    /// The checklist, up to the first refusal.
    pub checks: Vec<Check>,
    /// What is revealed; only when accepted.
    pub shown: Option<meaning::Shown>,
    /// The model's ID, when it is known.
    pub model: Option<String>,
    /// Whether something that the reader named stands for the model's identity.
    pub pinned: bool,
    /// IDs of committed inputs.
    pub input_ids: Vec<String>,
    /// The context.
    pub context: Value,
    /// What the relations say, over the integers or mod p.
    pub guarantee: &'static str,
    /// The statement; only when accepted.
    pub statement: Option<Statement>,
    /// What the program's numbers mean; only when accepted.
    pub meta: Option<Metadata>,
    /// The program; only when accepted.
    pub program: Option<Program>,
    /// What the verifier knows of the proof; only when accepted.
    pub facts: Option<Facts>,
    /// What a range certificate says, if one was checked.
    pub certified: Option<String>,
    /// What kind of promise the integers are.
    pub semantics: Option<String>,
    /// From bytes in memory to verdict.
    pub verify_ms: f64,
    /// Proven bits of the weakest term.
    pub bits: u32,
    /// Who signed the evidence, if it was evidence and the signature is good.
    pub signer: Option<String>,
    /// What the network's certificate in evidence says, if it was checked.
    pub network: Option<Value>,
    /// What links were verified now.
    pub linked: Vec<Linked>,
    /// Name of the weakest term.
    pub weakest: &'static str,
    /// Proven bits of the union over all rounds.
    pub union_bits: u32,
}

/// What an accepted proof says, by the strength of its relations.
const INTEGER: &str = "every relation of the program holds over the integers";
/// As [`INTEGER`], when the weights are hidden and no certificate was given.
const MODULAR: &str = "without a range certificate of the hidden weights (--ranges) every relation of the \
    program holds in F_p: the outputs are one deterministic function of the committed field elements and \
    the input, and all values computed on the way are in their proved ranges; that the committed elements \
    are integers of the declared widths is the owner's word";

/// A refusal: its code and the line of the checklist.
pub type Refused = (&'static str, &'static str, String);

/// Checks proof-file bytes. It never fails: bad bytes are refused.
pub fn examine(bytes: &[u8], expect: &Expect) -> Examination {
    let started = Instant::now();
    let mut e = Examination::new();
    if let Err(refused) = e.run(bytes, expect) {
        e.refuse(refused);
    }
    e.verify_ms = ms(started);
    e
}

impl Examination {
    /// Nothing was checked yet.
    pub fn new() -> Self {
        Self {
            code: "ok",
            checks: Vec::new(),
            shown: None,
            model: None,
            pinned: true,
            input_ids: Vec::new(),
            context: Value::Null,
            guarantee: "nothing",
            statement: None,
            meta: None,
            program: None,
            facts: None,
            certified: None,
            semantics: None,
            verify_ms: 0.0,
            bits: 0,
            signer: None,
            network: None,
            linked: Vec::new(),
            weakest: "none",
            union_bits: 0,
        }
    }

    /// Whether every check holds.
    pub fn accepted(&self) -> bool {
        self.code == "ok"
    }

    /// Ends in a refusal.
    pub fn refuse(&mut self, (code, name, detail): Refused) {
        self.code = code;
        self.shown = None;
        self.checks.push(Check { name, state: State::Failed, detail });
    }

    /// Adds a check that holds.
    pub fn pass(&mut self, name: &'static str, detail: impl Into<String>) {
        self.checks.push(Check { name, state: State::Passed, detail: detail.into() });
    }

    /// Adds who voted how, after the line of the certificate that says so.
    pub fn voted(&mut self, says: &Says) {
        let place = self.checks.iter().position(|check| check.name == "network").map(|at| at + 1);
        let place = place.unwrap_or(self.checks.len());
        let (name, state, detail) = ("verdicts", State::Passed, says.votes.words());
        self.checks.insert(place, Check { name, state, detail });
        self.network = Some(says.json());
    }

    /// Adds a line about what was not compared.
    pub fn open(&mut self, name: &'static str, detail: impl Into<String>) {
        self.checks.push(Check { name, state: State::Open, detail: detail.into() });
    }

    fn run(&mut self, bytes: &[u8], expect: &Expect) -> Result<(), Refused> {
        let file = files::decode_proof(bytes)
            .map_err(|why| (BAD_BYTES, "bytes", format!("the proof file: {why}")))?;
        self.pass("bytes", format!("well formed, {}", text::size(bytes.len() as u64)));
        let (program, statement) = (&file.program, &file.statement);
        self.program(program, statement)?;
        self.model(program, statement, expect)?;
        self.input(program, statement, expect)?;
        self.context(statement, expect)?;
        self.relations(&file, expect)?;
        let meta = meaning::read(program);
        self.semantics = meta.as_ref().map(|m| clean(&m.semantics));
        self.shown = Some(meaning::shown(meta.as_ref(), statement));
        (self.meta, self.statement, self.program) = (meta, Some(file.statement), Some(file.program));
        Ok(())
    }

    fn program(&mut self, program: &Program, statement: &Statement) -> Result<(), Refused> {
        program::validate(program).map_err(|why| (BAD_PROGRAM, "program", why.to_string()))?;
        if program.digest() != statement.program_digest {
            return Err((BAD_PROGRAM, "program", SetupError::OtherProgram.to_string()));
        }
        let name = meaning::read(program).map(|m| format!(" ({}, {})", clean(&m.model), clean(&m.precision)));
        self.pass(
            "program",
            format!("valid, {} operators{}", program.operators.len(), name.unwrap_or_default()),
        );
        Ok(())
    }

    fn model(&mut self, program: &Program, statement: &Statement, expect: &Expect) -> Result<(), Refused> {
        let private = program.tensors.iter().any(|t| t.home == Home::Model);
        let own = usize::from(private);
        if statement.identity.len() < own {
            return Err((BAD_MODEL, "model identity", "the statement names no committed model".into()));
        }
        // The program was compared with this digest.
        let oracles = statement.identity.get(..own).unwrap_or_default();
        let identity = program::model_id(&statement.program_digest, oracles);
        let id = text::model_id(&identity);
        self.input_ids = statement.identity.iter().skip(own).map(text::input_id).collect();
        let weights = if private { "weights hidden" } else { "weights public" };
        match expect.model {
            Some(wanted) if wanted != identity => {
                let detail = format!("the proof is about {}, you asked for {}", id, text::model_id(&wanted));
                self.model = Some(id);
                return Err((BAD_MODEL, "model identity", detail));
            }
            Some(_) => self.pass("model identity", format!("{} ({weights})", text::short(&id))),
            None => {
                let how = match expect.voucher {
                    Voucher::Nobody => "NOT PINNED (--any-model)",
                    Voucher::Unknown => "NOT PINNED (--model or --key compares)",
                    Voucher::Wanted => "as signed (--model compares)",
                };
                self.open("model identity", format!("{how}: {} ({weights})", text::short(&id)));
                self.pinned = expect.voucher == Voucher::Wanted;
            }
        }
        self.model = Some(id);
        Ok(())
    }

    fn input(&mut self, program: &Program, statement: &Statement, expect: &Expect) -> Result<(), Refused> {
        let refuse = |why: String| Err((BAD_INPUT, "input binding", why));
        let modes = &statement.disclosure.inputs;
        let mut bound = false;
        if let Some((arrays, rows)) = &expect.input {
            compare_inputs(program, statement, (arrays, rows), expect.part.as_ref()).or_else(refuse)?;
            self.pass("input binding", "the public inputs are the data given");
            bound = true;
        }
        if let Some(wanted) = &expect.input_id {
            let private = usize::from(program.tensors.iter().any(|t| t.home == Home::Model));
            let found: Vec<_> = statement.identity.iter().skip(private).collect();
            if found.is_empty() {
                return refuse("the proof opens no committed input, --input-id asks for one".into());
            }
            if found != [wanted] {
                return refuse(format!(
                    "the proof is about another committed input: {}",
                    self.input_ids.join(", ")
                ));
            }
            self.pass("input binding", "the committed input is the one asked for");
            bound = true;
        }
        if !bound {
            let word = |mode: &InputMode| match mode {
                InputMode::Public => "public, not compared (--input x.npz compares)",
                InputMode::Private => "private: some input that the prover knows",
                InputMode::Committed => "private, committed, not compared (--input-id compares)",
            };
            let mut words: Vec<&str> = modes.iter().map(word).collect();
            words.dedup();
            self.open("input binding", words.join("; "));
        }
        Ok(())
    }

    fn context(&mut self, statement: &Statement, expect: &Expect) -> Result<(), Refused> {
        let Some(parts) = context::read(&statement.context) else {
            self.context = json!(text::hex(&statement.context));
            let detail = "the proof's context is not in a form known here".to_string();
            if expect.context.is_empty() {
                self.open("context", detail);
                return Ok(());
            }
            return Err((BAD_CONTEXT, "context", detail));
        };
        self.context = json!(parts);
        for (key, wanted) in &expect.context {
            let found = parts.get(key);
            if found != Some(wanted) {
                let found = found.map_or("nothing".into(), |f| format!("\"{}\"", clean(f)));
                let detail = format!("{key}: the proof says {found}, you asked for \"{}\"", clean(wanted));
                return Err((BAD_CONTEXT, "context", detail));
            }
        }
        let own: Vec<_> = parts.iter().filter(|(key, _)| *key != PART).collect();
        let wanted = expect.context.keys().filter(|key| *key != PART).count();
        let words: Vec<String> = own.iter().map(|(k, v)| format!("{k} \"{}\"", clean(v))).collect();
        match (own.is_empty(), own.len() == wanted) {
            (true, _) => self.open("context", "none: the proof is bound to no occasion"),
            (false, true) => self.pass("context", words.join(", ")),
            (false, false) => self.open("context", format!("{} (not all compared)", words.join(", "))),
        }
        if let (Some(place), None) = (parts.get(PART), expect.context.get(PART)) {
            let detail = format!("{}: one proof of several, the manifest has all", clean(place));
            self.open("part", detail);
        }
        Ok(())
    }

    fn relations(&mut self, file: &ProofFile, expect: &Expect) -> Result<(), Refused> {
        let ProofFile { program, statement, proof, chains } = file;
        let known = |linked: &Linked| expect.accepted.as_ref().is_some_and(|known| known.knows(linked));
        let links = Links { chains, known: &known };
        let verdict = match verify::verify_linked(program, statement, proof, &links) {
            Verdict::Accepted(accepted) => accepted,
            Verdict::Rejected(why) => return Err(refusal(&why)),
        };
        (self.linked, self.union_bits) = (verdict.linked().to_vec(), verdict.budget().union());
        let all: usize = chains.iter().map(Vec::len).sum();
        if all > 0 {
            let before = all - self.linked.len();
            let word = if before > 0 { format!(", {before} of them verified before") } else { String::new() };
            self.pass("links", format!("{all} from the identity to what the proof opens{word}"));
        }
        let weakest = verdict.budget().weakest();
        (self.bits, self.weakest) = (weakest.bits, weakest.name);
        let certified = expect.ranges.as_ref().map(|bytes| ranges::check(program, statement, bytes));
        // Without a proved range of the hidden weights the claim is about numbers modulo p (spec N2).
        let private = program.tensors.iter().any(|tensor| tensor.home == Home::Model);
        let integer = !private || matches!(certified, Some(Ok(_)));
        self.guarantee = if integer { INTEGER } else { MODULAR };
        let strength = if integer { "over the integers" } else { "mod p (hidden weights: no range)" };
        let zk = if statement.zk { "zero knowledge" } else { "NOT zero knowledge" };
        let batch =
            if statement.batch > 1 { format!(", {} inferences", statement.batch) } else { String::new() };
        self.pass("relations", format!("proved{batch}, {zk}, {strength}"));
        let mut ranges = Ranges::Unproved;
        match certified {
            Some(Ok(certified)) => {
                let blake3 = expect.ranges.as_ref().map(|bytes| *blake3::hash(bytes).as_bytes());
                ranges = Ranges::Certified { blake3: blake3.unwrap_or_default(), bits: certified.bits };
                self.certified = Some(certified.words.clone());
                self.pass("weight ranges", certified.words);
                if certified.bits < self.bits {
                    (self.bits, self.weakest) = (certified.bits, certified.weakest);
                }
            }
            Some(Err(why)) => return Err((BAD_RANGES, "weight ranges", why)),
            None if private => {
                self.open("weight ranges", "not proved: a function mod p of what is committed")
            }
            None => self.pass("weight ranges", "public weights, compared with their ranges"),
        }
        self.facts =
            Some(Facts::of((program, statement), chains, &verdict, ranges, meaning::of_record(program)));
        let bits = format!("{} bits proven, weakest term: {}", self.bits, self.weakest);
        self.pass("security bits", bits);
        Ok(())
    }

    /// The verdict as one JSON object.
    pub fn json(&self) -> Value {
        let shown = self.shown.as_ref();
        json!({
            "verdict": if self.accepted() { "accepted" } else { "rejected" },
            "code": self.code,
            "checks": self.checks.iter().map(Check::json).collect::<Vec<_>>(),
            "outputs": shown.map(|s| &s.outputs),
            "label": shown.map(|s| &s.label),
            "reveals": shown.map(|s| &s.reveals),
            "model": self.model,
            "input_ids": self.input_ids,
            "context": self.context,
            "guarantee": if self.accepted() { self.guarantee } else { "nothing" },
            "semantics": self.semantics,
            "signer": self.signer,
            "network": self.network,
            "verify_ms": self.verify_ms,
            "bits": self.bits,
            "weakest": self.weakest,
            "union_bits": self.union_bits,
        })
    }

    /// The checklist for people.
    pub fn lines(&self) -> Vec<String> {
        self.checks.iter().map(Check::line).collect()
    }

    /// What an accepted proof does not show, said to people.
    pub fn warnings(&self) {
        if self.guarantee == MODULAR {
            anstream::println!("{}", paint(DIM, text::wrap(MODULAR, 79, "")));
        }
        if !self.pinned {
            anstream::println!(
                "{}",
                paint(BAD, "Nothing pins the model: anyone can make a model that says this.")
            );
        }
    }

    /// Everything for people, the verdict last.
    pub fn print(&self) {
        self.lines().iter().for_each(|line| anstream::println!("{line}"));
        if let Some(shown) = &self.shown {
            let nothing = vec!["nothing: only that the model ran on an input".to_string()];
            let lines = if shown.lines.is_empty() { &nothing } else { &shown.lines };
            anstream::println!("\nrevealed");
            lines.iter().for_each(|line| anstream::println!("  {line}"));
            match self.semantics.as_deref() {
                Some("exact") => anstream::println!("  meaning: exact (the integers of the quantised model)"),
                Some(word) => anstream::println!(
                    "  meaning: {word} (a quantised form of the model, near the float model as its report says)"
                ),
                None => {
                    anstream::println!("  meaning: unknown (the program names no units; integers are shown)")
                }
            }
        }
        let time = text::time(self.verify_ms);
        if self.accepted() {
            anstream::println!(
                "\n{}  {} bits, weakest term: {}, {time}",
                paint(GOOD, "accepted"),
                self.bits,
                self.weakest
            );
            self.warnings();
        } else {
            anstream::println!("\n{}  {} ({time})", paint(BAD, "rejected"), self.code);
        }
    }
}

fn refusal(why: &Refusal) -> Refused {
    match why {
        Refusal::Setup(_) => (BAD_PROGRAM, "program", why.to_string()),
        Refusal::Proof(_) => (BAD_RELATIONS, "relations", why.to_string()),
        Refusal::Weak { .. } => (BAD_SECURITY, "security bits", why.to_string()),
        Refusal::Links(_) => (BAD_LINKS, "links", why.to_string()),
    }
}

/// Compares the data with every input, all of which must be public.
fn compare_inputs(
    program: &Program,
    statement: &Statement,
    (arrays, rows): (&Arrays, &RowArgs),
    part: Option<&Part>,
) -> Result<(), String> {
    let words =
        |f: Failure| f.items.first().map(|i| format!("{}: {}", i.place, i.reason)).unwrap_or_default();
    let meta = meaning::read(program).ok_or("the program does not say what its numbers mean")?;
    let modes = &statement.disclosure.inputs;
    if modes.len() != meta.inputs.len() || statement.slots.len() < modes.len() {
        return Err("an input is private: the proof does not show that it is these data (use --input-id for committed inputs)".into());
    }
    for (number, (input, mode)) in meta.inputs.iter().zip(modes).enumerate() {
        if *mode != InputMode::Public {
            return Err(format!(
                "input `{}` is private: the proof does not show that it is these data",
                clean(&input.name)
            ));
        }
        let found = data::rows(arrays, &input.name, &input.shape, meta.inputs.len()).map_err(words)?;
        let total = part.map_or(statement.batch as usize, |part| part.total);
        let chosen = if rows.rows.is_none() && found.count == total {
            0..found.count
        } else {
            rows.range(found.count).map_err(words)?
        };
        let range = match part {
            Some(_) if chosen.len() != total => {
                return Err(format!("the proofs are about {total} rows, {} were given", chosen.len()));
            }
            Some(part) => chosen.start + part.rows.start..chosen.start + part.rows.end,
            None => chosen,
        };
        let picked = found.pick(&range);
        let integers =
            compile::quantise_input(&meta, number, &picked.data).map_err(|e| e.to_string())?.values;
        let slot = statement.slots.get(number).map(Vec::as_slice).unwrap_or_default();
        if slot != integers.as_slice() {
            let at = slot.iter().zip(&integers).position(|(a, b)| a != b);
            let place = at.map_or("their number".to_string(), |i| format!("entry {i}"));
            return Err(format!(
                "the public input `{}` differs from the data given ({place})",
                clean(&input.name)
            ));
        }
    }
    Ok(())
}

/// The model's identity that a flag names: an ID or a model file.
pub fn wanted_model(text: &str) -> Outcome<[u8; 32]> {
    let path = PathBuf::from(text);
    if text.starts_with("zt1") && !path.exists() {
        return text::parse_model_id(text);
    }
    if !path.exists() {
        let fix = "give an ID that starts with zt1, or the path of a .ztm file";
        return Err(Failure::misuse(
            crate::failure::IDENTITY,
            "--model",
            format!("`{text}` is neither an ID nor a file"),
            fix,
        ));
    }
    let bytes = read_bounded(&path, FILE_BYTES)?;
    let file = ModelFile::decode(&bytes).map_err(|why| {
        Failure::misuse(
            MODEL_FILE,
            path.display(),
            format!("not a model file: {why}"),
            "give the owner's model.ztm",
        )
    })?;
    Ok(file.identity())
}

impl VerifyArgs {
    /// What the flags insist on. Signed evidence needs no model's identity: the verdict says who vouches.
    fn expect(&self, signed: bool) -> Outcome<Expect> {
        let model = match &self.model {
            Some(text) => Some(wanted_model(text)?),
            None if self.any_model || signed => None,
            None => {
                let fix = "add --model zt1… (the ID the model's owner published) or --model FILE.ztm; \
                           --any-model accepts any model and says so";
                return Err(Failure::misuse(NO_MODEL, "--model", "verify needs the model's identity", fix));
            }
        };
        let input = match &self.input {
            Some(path) => Some((npz::read(path)?, self.rows.clone())),
            None => None,
        };
        let input_id = self.input_id.as_deref().map(text::parse_input_id).transpose()?;
        let ranges = ranges::read(self.ranges.as_deref(), self.model.as_deref())?;
        let context = self.context.parts();
        let accepted = if self.no_cache { None } else { Accepted::load() };
        Ok(Expect { model, input, input_id, context, ranges, part: None, voucher: Voucher::Nobody, accepted })
    }
}

/// Runs the verb. Exit code 0: accepted, 1: rejected.
pub fn run(args: &VerifyArgs) -> Outcome<ExitCode> {
    let bytes = read_bounded(&args.proof, FILE_BYTES)?;
    let signed = record::is_evidence(&bytes);
    if !signed && (args.key.is_some() || args.report.is_some()) {
        let fix = "give the .zte file, or leave --key and --report out";
        return Err(Failure::misuse(USAGE, args.proof.display(), "it is no evidence file", fix));
    }
    let mut expect = args.expect(signed)?;
    if manifest::is_manifest(&bytes) {
        let directory = args.proof.parent().unwrap_or(Path::new(""));
        let whole = manifest::examine_all(&bytes, directory, &mut expect);
        if args.output.json() {
            println!("{}", whole.json());
        } else {
            whole.print();
        }
        return Ok(ExitCode::from(u8::from(!whole.accepted())));
    }
    let examination =
        if signed { evidence::verify(args, &bytes, &mut expect)? } else { examine(&bytes, &expect) };
    if let (Some(accepted), true) = (&mut expect.accepted, examination.accepted()) {
        accepted.keep(&examination.linked);
    }
    if args.output.json() {
        println!("{}", examination.json());
    } else {
        examination.print();
    }
    Ok(ExitCode::from(u8::from(!examination.accepted())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A few hundred random damages: each is refused, none panics.
    #[test]
    fn damaged_bytes_are_refused_in_order() {
        let (bytes, identity) = crate::demo::sample().expect("the demo's proof");
        let expect = Expect { model: Some(identity), ..Default::default() };
        assert!(examine(&bytes, &expect).accepted());
        let mut state = 9u64;
        let mut draw = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as usize) % below
        };
        for round in 0..400 {
            let mut other = bytes.clone();
            // Damage near the start hits programs and statements, the rest is proof.
            let reach = if round % 2 == 0 { 4_000 } else { other.len() };
            for _ in 0..=draw(3) {
                let at = draw(reach);
                other[at] = [0, 0xff, other[at] ^ 0x80, other[at].wrapping_add(1)][draw(4)];
            }
            if other != bytes {
                let any = examine(&other, &Expect::default());
                assert!(!examine(&other, &expect).accepted());
                assert!(!any.accepted() || any.model != Some(text::model_id(&identity)));
            }
        }
    }
}
