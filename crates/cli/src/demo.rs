//! `demo`: two trained models and real data, committed, proved, verified; then three forgeries.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use compile::Options;
use model::ImportOptions;
use program::types::{Home, Reveal};
use program::wire::Statement;
use verify::Link;

use crate::context::ContextArgs;
use crate::data::{Rows, graph_rows};
use crate::engine::{Inputs, Request, finish, in_order, prepare, reserve};
use crate::failure::{Failure, Outcome, PROVER};
use crate::files::encode_proof;
use crate::keys;
use crate::meaning;
use crate::npz::{self, archive};
use crate::owner::Owner;
use crate::pipeline::{Loaded, compile_graph, ms};
use crate::progress::{Phase, Progress};
use crate::text::{self, BAD, DIM, GOOD, HEAD, paint};
use crate::verify::{Examination, Expect, examine};

/// Flags of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Which test patient (0 to 142)
    #[arg(long, default_value_t = 2)]
    pub patient: usize,
    /// Which test digit (0 to 359)
    #[arg(long, default_value_t = 0)]
    pub digit: usize,
    /// Submit diagnoses to validators instead, some of them lazy and some lying
    #[cfg(feature = "network")]
    #[arg(long)]
    pub network: bool,
    /// How many validators
    #[cfg(feature = "network")]
    #[arg(long, value_name = "N", default_value_t = 4, requires = "network")]
    pub validators: usize,
    /// How many of them accept everything without looking
    #[cfg(feature = "network")]
    #[arg(long, value_name = "N", default_value_t = 1, requires = "network")]
    pub lazy: usize,
    /// How many of them say the opposite of what they find
    #[cfg(feature = "network")]
    #[arg(long, value_name = "N", default_value_t = 1, requires = "network")]
    pub lying: usize,
    /// First port of the validators
    #[cfg(feature = "network")]
    #[arg(long, default_value_t = 7300, requires = "network")]
    pub port: u16,
}

macro_rules! asset {
    ($name:literal) => {
        include_bytes!(concat!("../../../assets/demo/", $name))
    };
}

/// A trained model with its data, inside this binary.
struct Example {
    name: &'static str,
    onnx: &'static [u8],
    calibration: &'static [u8],
    test: &'static [u8],
}

const PATIENTS: Example = Example {
    name: "bc_mlp",
    onnx: asset!("bc_mlp.onnx"),
    calibration: asset!("bc_calib.npz"),
    test: asset!("bc_test.npz"),
};

const DIGITS: Example = Example {
    name: "digits_cnn",
    onnx: asset!("digits_cnn.onnx"),
    calibration: asset!("digits_calib.npz"),
    test: asset!("digits_test.npz"),
};

/// What the demo's proofs are made for.
const OCCASION: &str = "zerotell demo";
const FACTS: &str = include_str!("../../../assets/demo/demo.json");

/// A directory of mode 0700 that is gone at the end.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh one.
    pub fn new() -> Outcome<Self> {
        let name = text::hex(&crate::random::bytes()?[..8]);
        let path = std::env::temp_dir().join(format!("zerotell-{name}"));
        keys::private_directory(&path)?;
        Ok(Self(path))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is in a directory that only the owner can enter.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A committed example and its test rows.
struct Committed {
    loaded: Loaded,
    owner: Owner,
    rows: Vec<Rows>,
    truth: Vec<i64>,
    names: Vec<String>,
}

/// What goes from the prover to the verifier.
struct Sent {
    bytes: Vec<u8>,
    statement: Statement,
    chains: Vec<Vec<Link>>,
    proof: Vec<u8>,
    prove_ms: f64,
}

fn broken(what: impl std::fmt::Display) -> Failure {
    Failure::world(PROVER, "demo", what, "report this")
}

fn class_names(name: &str) -> Vec<String> {
    let facts: serde_json::Value = serde_json::from_str(FACTS).unwrap_or_default();
    serde_json::from_value(facts[name]["classes"].clone()).unwrap_or_default()
}

/// Compiles an example and commits it with a fresh key.
fn commit(example: &Example, directory: &Path) -> Outcome<Committed> {
    let options = ImportOptions { keep_quantized: true, ..Default::default() };
    let imported = model::parse(example.onnx, None, &options).map_err(|p| Failure::import(&p))?;
    let loaded = Loaded { imported, source: *blake3::hash(example.onnx).as_bytes() };
    let names = class_names(example.name);
    let mut options = Options::default();
    options.labels.insert(0, names.clone());
    let calibration = archive(example.calibration).map_err(broken)?;
    let started = Instant::now();
    let mut ready = compile_graph(&loaded, Some(&calibration), &options, &Progress::new(false))?;
    ready.compile_ms = ms(started);
    let owner = Owner::commit(ready, loaded.source, directory)?;
    let test = archive(example.test).map_err(broken)?;
    let rows = graph_rows(&test, &loaded.imported.graph)?;
    Ok(Committed { loaded, owner, rows, truth: npz::labels(&test), names })
}

impl Committed {
    fn weights(&self) -> usize {
        let private = self.owner.program.tensors.iter().filter(|t| t.home == Home::Model);
        private.map(|t| t.axes.iter().map(|&n| n as usize).product::<usize>()).sum()
    }

    fn row(&self, number: usize) -> Outcome<Vec<Rows>> {
        let count = self.rows.first().map_or(0, |r| r.count);
        if number >= count {
            let reason = format!("there are {count} test rows");
            return Err(Failure::misuse(crate::failure::ROWS, "demo", reason, "count from 0"));
        }
        Ok(self.rows.iter().map(|r| r.pick(&(number..number + 1))).collect())
    }

    /// The prover's side: everything secret stays in here.
    fn prove(&mut self, row: usize, public: bool) -> Outcome<Sent> {
        let rows = in_order(&self.owner, &self.loaded, &self.row(row)?);
        let mut request = Request {
            inputs: Inputs::Rows { rows, public },
            reveals: vec![Reveal::Label { output: 0 }],
            context: ContextArgs { context: Some(OCCASION.into()), ..Default::default() }.bytes()?,
            zk: true,
        };
        let mut prepared = prepare(&self.owner, &request)?;
        reserve(&mut self.owner, &mut request, &mut prepared)?;
        let (proof, finish_ms) = finish(&self.owner, &request, &prepared, &Phase::silent())?;
        let bytes = encode_proof(&self.owner.program, &prepared.statement, &proof, &prepared.chains);
        let prove_ms = prepared.prepare_ms + finish_ms;
        Ok(Sent { bytes, statement: prepared.statement, chains: prepared.chains, proof, prove_ms })
    }

    /// A forger's proof file: another statement over the same proof.
    fn forge(&self, sent: &Sent, change: impl FnOnce(&mut Statement)) -> Vec<u8> {
        let mut statement = sent.statement.clone();
        change(&mut statement);
        encode_proof(&self.owner.program, &statement, &sent.proof, &sent.chains)
    }
}

/// The verifier's side: it is given the file's bytes and the published ID, and nothing else.
fn verifier(bytes: &[u8], published: &str) -> Outcome<Examination> {
    let context = [("text".to_string(), OCCASION.to_string())].into();
    let expect = Expect { model: Some(text::parse_model_id(published)?), context, ..Default::default() };
    Ok(examine(bytes, &expect))
}

fn heading(number: u8, title: &str) {
    anstream::println!("\n{}", paint(HEAD, format!("{number}  {title}")));
}

fn say(words: &str) {
    anstream::println!("{}", text::wrap(words, 79, "   "));
}

fn accepted(sent: &Sent, verdict: &Examination) -> Outcome<()> {
    let times = format!(
        "proved in {}, the proof has {}; verified in {}",
        text::time(sent.prove_ms),
        text::size(sent.proof.len() as u64),
        text::time(verdict.verify_ms)
    );
    say(&times);
    verdict.lines().iter().for_each(|line| anstream::println!(" {line}"));
    match &verdict.shown {
        Some(shown) => {
            let line = shown.lines.join("; ");
            anstream::println!("   {}  {line}, {} bits", paint(GOOD, "accepted:"), verdict.bits);
            Ok(())
        }
        None => Err(broken(format!("an honest proof was refused: {}", verdict.code))),
    }
}

fn refused(title: &str, story: &str, verdict: &Examination) -> Outcome<()> {
    anstream::println!("   {}", paint(HEAD, title));
    anstream::println!("{}", text::wrap(story, 79, "     "));
    let last = verdict.checks.last().map(|c| format!("{}: {}", c.name, c.detail)).unwrap_or_default();
    if verdict.accepted() {
        return Err(broken("a forgery was accepted"));
    }
    let words = text::wrap(&last, 79, "     ");
    anstream::println!(
        "     {} {} in {}\n{}",
        paint(BAD, "refused"),
        verdict.code,
        text::time(verdict.verify_ms),
        paint(DIM, words)
    );
    Ok(())
}

/// The digit as letters, as only the prover sees it.
fn draw(rows: &[Rows]) {
    const SHADES: &[u8] = b" .:-=+*#%@";
    for line in rows.first().map_or(&[][..], |r| r.row(0)).chunks(8) {
        let shade = |x: &f32| SHADES[((x / 16.0 * 9.0).round() as usize).min(9)] as char;
        let letters: String = line.iter().flat_map(|x| [shade(x), shade(x)]).collect();
        anstream::println!("     {}", paint(DIM, letters));
    }
}

fn commitments(patients: &Committed, digits: &Committed) {
    heading(1, "The owner commits two trained models");
    for (name, c) in [("breast cancer diagnosis", patients), ("handwritten digits", digits)] {
        let (compile, commit) = (text::time(c.owner.compile_ms), text::time(c.owner.commit_ms));
        let agreement = 100.0 * c.owner.report.label_agreement();
        anstream::println!("   {name}: {} hidden weights, {} classes", c.weights(), c.names.len());
        anstream::println!(
            "     compiled in {compile}, committed in {commit}, {agreement:.1} % of labels as in floats"
        );
        anstream::println!("     ID {}", c.owner.id());
    }
    say("The IDs are published once. They name the models and tell nothing of the weights.");
}

fn patient(c: &mut Committed, number: usize) -> Outcome<Sent> {
    heading(2, "A patient's diagnosis, privately");
    say(&format!(
        "Patient {number} of the test set: 30 measurements of cells, real data. The prover runs the model and proves \
         the answer; only the label is shown. The verifier has the proof's bytes and the published ID:"
    ));
    let sent = c.prove(number, false)?;
    accepted(&sent, &verifier(&sent.bytes, &c.owner.id())?)?;
    if let Some(name) = c.truth.get(number).and_then(|&t| c.names.get(t as usize)) {
        anstream::println!(
            "   {}",
            paint(DIM, format!("(the doctors' own finding in the data set: {name})"))
        );
    }
    Ok(sent)
}

fn digit(c: &mut Committed, number: usize) -> Outcome<()> {
    heading(3, "A handwritten digit, privately");
    draw(&c.row(number)?);
    say("Only the prover sees this picture.");
    let sent = c.prove(number, false)?;
    accepted(&sent, &verifier(&sent.bytes, &c.owner.id())?)
}

fn forgeries(c: &mut Committed, honest: &Sent, number: usize, scratch: &Scratch) -> Outcome<()> {
    heading(4, "Three forgeries");
    let id = c.owner.id();
    let other = c.forge(honest, |s| s.slots.iter_mut().flatten().for_each(|label| *label = 1 - *label));
    refused(
        "Another answer",
        "The forger writes the other label into the patient's proof file.",
        &verifier(&other, &id)?,
    )?;
    let next = (number + 1) % c.rows.first().map_or(1, |r| r.count);
    let (open, neighbour) = (c.prove(number, true)?, c.prove(next, true)?);
    if !verifier(&open.bytes, &id)?.accepted() {
        return Err(broken("an honest proof with a public input was refused"));
    }
    let inputs = neighbour.statement.slots.first().cloned().unwrap_or_default();
    let other = c.forge(&open, |s| s.slots.iter_mut().take(1).for_each(|slot| slot.clone_from(&inputs)));
    refused(
        "Another input",
        "A proof that shows its measurements is accepted. The forger puts the next patient's measurements in their place.",
        &verifier(&other, &id)?,
    )?;
    let mut impostor = commit(&PATIENTS, &scratch.path().join("impostor"))?;
    let sent = impostor.prove(number, false)?;
    let own = verifier(&sent.bytes, &impostor.owner.id())?;
    if !own.accepted() {
        return Err(broken("the impostor's proof is not good for his own model"));
    }
    refused(
        "Another model",
        "The forger commits a model of his own and proves an answer of it: good for his ID, not for the published one.",
        &verifier(&sent.bytes, &id)?,
    )
}

fn seen() {
    heading(5, "Who has seen what");
    anstream::println!("   {:<44} {:<8} verifier", "", "prover");
    for (what, prover, verifier) in [
        ("the weights and biases of the model", true, false),
        ("the patient's measurements, the picture", true, false),
        ("the scores, and every value in between", true, false),
        ("the shape of the network, its scales", true, true),
        ("the label, and that it is the model's answer", true, true),
        ("the model's ID, the context of the proof", true, true),
    ] {
        let mark = |yes: bool| if yes { "yes" } else { "-" };
        anstream::println!("   {what:<44} {:<8} {}", mark(prover), mark(verifier));
    }
    say("The verifier trusts nobody: neither the prover nor this program's prover code.");
}

/// Runs the verb.
pub fn run(args: &DemoArgs) -> Outcome<ExitCode> {
    let started = Instant::now();
    #[cfg(feature = "network")]
    if args.network {
        return validators::run(args);
    }
    anstream::println!("{}", paint(HEAD, "zerotell: a private model's answer to a private input, proved"));
    let scratch = Scratch::new()?;
    let mut patients = commit(&PATIENTS, &scratch.path().join("patients"))?;
    let mut digits = commit(&DIGITS, &scratch.path().join("digits"))?;
    meaning::required(&patients.owner.program)?;
    commitments(&patients, &digits);
    let honest = patient(&mut patients, args.patient)?;
    digit(&mut digits, args.digit)?;
    forgeries(&mut patients, &honest, args.patient, &scratch)?;
    seen();
    let time = text::time(ms(started));
    anstream::println!("\nDone in {time}. This is a demonstration of proving, not a medical device.");
    Ok(ExitCode::SUCCESS)
}

#[cfg(feature = "network")]
pub mod load;
#[cfg(feature = "network")]
pub mod s12;
#[cfg(feature = "network")]
mod validators;

/// A proof file of the demo and its model's identity.
#[cfg(test)]
pub fn sample() -> Outcome<(Vec<u8>, [u8; 32])> {
    let scratch = Scratch::new()?;
    let mut patients = commit(&PATIENTS, &scratch.path().join("model"))?;
    Ok((patients.prove(0, false)?.bytes, patients.owner.identity()))
}
