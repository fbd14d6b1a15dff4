//! `evidence`: one file with a proof, a signed statement about it and a report; and how `verify` checks it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use compile::{InputMeta, OutputMeta, Report};
use program::types::Home;
use record::report::{Accuracy, Page, Words};
use record::{
    Annexes, Claims, Envelope, Evidence, Facts, NoNetwork, Part, PublicKey, Salts, SigningKey, Statement,
    Subject, Verifier,
};
use serde_json::json;

use crate::certificate::Witness;
use crate::context;
use crate::failure::{
    BAD_ANNEX, BAD_EVIDENCE, BAD_REPORT, BAD_SIGNATURE, BAD_STATEMENT, EVIDENCE, Failure, Outcome, USAGE,
};
use crate::files::{FILE_BYTES, ModelFile, read_bounded, write_whole};
use crate::output::OutputArgs;
use crate::pipeline::ms;
use crate::text::{self, DIM, GOOD, paint};
use crate::verify::{Examination, Expect, Refused, State, VerifyArgs, Voucher, examine};
use crate::{manifest, random, ranges, signing};

/// Flags of `evidence`.
#[derive(Args, Clone, Debug)]
pub struct EvidenceArgs {
    /// The proof file
    #[arg(value_name = "PROOF.ztp")]
    pub proof: PathBuf,
    /// The secret key that signs: its directory or PEM file (`zerotell key new` makes one)
    #[arg(long, value_name = "DIR|FILE")]
    pub key: PathBuf,
    /// Where the evidence goes
    #[arg(short, long, value_name = "FILE.zte")]
    pub output: PathBuf,
    /// Put the accuracy report in (report.json of the model's key directory)
    #[arg(long, value_name = "FILE")]
    pub accuracy: Option<PathBuf>,
    /// Put the certificate of the hidden weights' ranges in (.ztr)
    #[arg(long, value_name = "FILE")]
    pub ranges: Option<PathBuf>,
    /// Name the model by its OpenSSF Model Signing root digest too (SHA-256, 64 hexadecimal digits)
    #[arg(long, value_name = "SHA256")]
    pub model_signing: Option<String>,
    #[command(flatten)]
    pub form: OutputArgs,
}

/// What the owner adds to a proof.
#[derive(Default)]
pub struct Extras {
    /// Bytes of the accuracy report.
    pub accuracy: Option<Vec<u8>>,
    /// Bytes of the range certificate.
    pub ranges: Option<Vec<u8>>,
    /// Root digest by OpenSSF Model Signing.
    pub model_signing: Option<[u8; 32]>,
}

// ---- what both sides make ----

/// The model file that belongs to an accepted proof.
fn model_file(e: &mut Examination) -> Option<Vec<u8>> {
    let (program, statement) = (e.program.take()?, e.statement.as_ref()?);
    let hidden = program.tensors.iter().any(|tensor| tensor.home == Home::Model);
    let oracles = statement.identity.iter().take(usize::from(hidden)).copied().collect();
    let file = ModelFile { program, oracles };
    let bytes = file.encode();
    e.program = Some(file.program);
    Some(bytes)
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.2} %", 100.0 * share))
}

/// The accuracy report in words.
fn accuracy(bytes: &[u8]) -> Result<Accuracy, String> {
    let report: Report = serde_json::from_slice(bytes).map_err(|why| why.to_string())?;
    let flips: usize = report.outputs.iter().map(|output| output.flips).sum();
    let row = |name: &str, value: String| (name.to_string(), value);
    let summary = vec![
        row("samples", report.samples.to_string()),
        row("precision", report.precision.clone()),
        row("labels that agree", percent(report.agreement)),
        row("labels that changed", flips.to_string()),
        row("expected on harder data", percent(report.expected_agreement)),
        row("inputs out of range", report.saturated_inputs.to_string()),
    ];
    let output = |o: &compile::OutputReport| {
        vec![
            o.name.clone(),
            percent(o.agreement),
            o.flips.to_string(),
            text::real(o.max_error),
            text::real(o.mean_error),
            format!("{:.1} dB", o.snr_db),
        ]
    };
    Ok(Accuracy { summary, outputs: report.outputs.iter().map(output).collect() })
}

/// What the numbers of an accepted proof are called.
fn words(e: &Examination, facts: &Facts, accuracy: Option<Accuracy>) -> Words {
    let meta = e.meta.as_ref();
    let parts = context::read(&facts.context).unwrap_or_default();
    let input = |i: &InputMeta| i.name.clone();
    let output = |o: &OutputMeta| o.name.clone();
    Words {
        model_id: text::model_id(&facts.model),
        input_ids: e.input_ids.clone(),
        model_name: meta.map(|m| m.model.clone()),
        precision: meta.map(|m| m.precision.clone()),
        inputs: meta.map(|m| m.inputs.iter().map(input).collect()).unwrap_or_default(),
        outputs: meta.map(|m| m.outputs.iter().map(output).collect()).unwrap_or_default(),
        revealed: e.shown.as_ref().map(|shown| shown.lines.clone()).unwrap_or_default(),
        context: parts.into_iter().collect(),
        ranges: e.certified.clone(),
        accuracy,
    }
}

/// The page about an accepted proof, made from what was checked.
struct Made<'a> {
    e: &'a Examination,
    facts: &'a Facts,
    statement: &'a Statement,
    signer: &'a PublicKey,
    evidence: &'a Evidence,
    annexes: &'a [(String, String)],
}

impl Made<'_> {
    fn page<T>(&self, then: impl FnOnce(&Page<'_>) -> T) -> Result<T, record::Refused> {
        let refuse = |part, why: &str| record::Refused::new(part, why);
        let figures = self.evidence.accuracy.as_ref().map(|bytes| accuracy(bytes)).transpose();
        let figures = figures.map_err(|why| refuse(Part::Accuracy, &why))?;
        let program = self.e.program.as_ref().ok_or_else(|| refuse(Part::Model, "there is no program"))?;
        Ok(then(&Page {
            facts: self.facts,
            statement: self.statement,
            program,
            words: &words(self.e, self.facts, figures),
            signer: self.signer,
            proof_bytes: self.evidence.proof.len(),
            annexes: self.annexes,
        }))
    }
}

// ---- making ----

fn cannot(place: &Path, why: impl std::fmt::Display) -> Failure {
    let fix = "`zerotell verify` says what is wrong with the proof; parts must belong to it";
    Failure::misuse(EVIDENCE, place.display(), why, fix)
}

/// Four fresh salts.
pub fn salts() -> Outcome<Salts> {
    let [accuracy, context, inputs, revealed] =
        [random::bytes()?, random::bytes()?, random::bytes()?, random::bytes()?].map(|bytes| *bytes);
    Ok(Salts { accuracy, context, inputs, revealed })
}

/// Bytes of the evidence about a proof file. The proof is verified first.
pub fn make(
    place: &Path,
    proof: Vec<u8>,
    extras: Extras,
    key: &SigningKey,
    (salts, verifier): (&Salts, Verifier),
) -> Outcome<(Vec<u8>, Examination)> {
    let expect = Expect { ranges: extras.ranges.clone(), ..Default::default() };
    let mut e = examine(&proof, &expect);
    let (Some(model), Some(facts)) = (model_file(&mut e), e.facts.clone()) else {
        let failed = e.checks.iter().find(|check| check.state == State::Failed);
        let why = failed.map_or_else(String::new, |check| format!("{}: {}", check.name, check.detail));
        return Err(cannot(place, format!("the proof is refused: {why}")));
    };
    let claims = Claims { verifier, model_signing: extras.model_signing };
    let statement = Statement::new(&facts, Subject::of(&proof), salts, claims);
    let signer = key.public();
    let mut evidence = Evidence {
        accuracy: extras.accuracy,
        ranges: extras.ranges,
        model,
        proof,
        salts: salts.encode(),
        signer: signer.to_pem().into_bytes(),
        statement: Envelope::sign(key, statement.encode()).encode(),
        ..Default::default()
    };
    evidence.agrees(&statement, &facts).map_err(|why| cannot(place, why))?;
    let made = Made {
        e: &e,
        facts: &facts,
        statement: &statement,
        signer: &signer,
        evidence: &evidence,
        annexes: &[],
    };
    let report = made.page(|page| page.render()).map_err(|why| cannot(place, why))?;
    evidence.report = report.into_bytes();
    let bytes = evidence.encode().map_err(|why| cannot(place, why))?;
    Ok((bytes, e))
}

/// The same evidence with the network's certificate in it, and a report that tells of it.
#[cfg(feature = "network")]
pub fn certified(
    place: &Path,
    bytes: &[u8],
    certificate: Vec<u8>,
    network: &dyn Annexes,
) -> Outcome<Vec<u8>> {
    let mut evidence = Evidence::decode(bytes).map_err(|why| cannot(place, why))?;
    evidence.certificate = Some(certificate);
    let with = evidence.encode().map_err(|why| cannot(place, why))?;
    // The old report does not know the certificate, so it is refused; the page made anew does.
    let (e, page) = examine_evidence(&with, &mut Expect::default(), &Demands::default(), network);
    let Some(page) = page else { return Err(cannot(place, e.code)) };
    evidence.report = page.into_bytes();
    evidence.encode().map_err(|why| cannot(place, why))
}

/// This program, as a statement names it.
pub fn this_verifier() -> Verifier {
    Verifier {
        version: env!("CARGO_PKG_VERSION").into(),
        build: record::json::unhex(env!("ZEROTELL_BUILD_INPUTS")),
    }
}

/// Runs the verb.
pub fn run(args: &EvidenceArgs) -> Outcome<ExitCode> {
    let key = signing::secret(&args.key)?;
    let signing = args.model_signing.as_deref().map(|text| {
        let why = format!("`{text}` is not 64 lower-case hexadecimal digits");
        let fix = "give the root digest of the model's signature";
        record::json::unhex(text).ok_or_else(|| Failure::misuse(USAGE, "--model-signing", why, fix))
    });
    let read = |path: &PathBuf, most| read_bounded(path, most).map(|bytes| bytes.to_vec());
    let extras = Extras {
        accuracy: args.accuracy.as_ref().map(|p| read(p, record::limits::ACCURACY)).transpose()?,
        ranges: ranges::read(args.ranges.as_deref(), None)?,
        model_signing: signing.transpose()?,
    };
    let proof = read(&args.proof, FILE_BYTES)?;
    if manifest::is_manifest(&proof) {
        let fix = "make evidence of each of its proofs; the context of each says which rows it is about";
        let why = "it is the manifest of several proofs, and evidence is about one";
        return Err(Failure::misuse(EVIDENCE, args.proof.display(), why, fix));
    }
    let started = Instant::now();
    let (bytes, e) = make(&args.proof, proof, extras, &key, (&salts()?, this_verifier()))?;
    let took = ms(started);
    write_whole(&args.output, &bytes, 0o644)?;
    let model = e.model.clone().unwrap_or_default();
    if args.form.json() {
        let line = json!({
            "evidence": args.output.display().to_string(),
            "blake3": blake3::hash(&bytes).to_hex().to_string(),
            "file_bytes": bytes.len(),
            "model": model,
            "signer": key.public().fingerprint(),
            "make_ms": took,
        });
        println!("{line}");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("{}  signed by the {}", paint(GOOD, "evidence"), key.public());
    anstream::println!("  {}, made in {}", text::size(bytes.len() as u64), text::time(took));
    let lines = e.shown.map(|shown| shown.lines).unwrap_or_default();
    lines.iter().for_each(|line| anstream::println!("  {line}"));
    anstream::println!(
        "  {}",
        paint(DIM, "who gets this file sees what the proof shows; the statement alone shows salted digests")
    );
    let path = args.output.display();
    anstream::println!(
        "\nmodel ID  {model}\nverify    zerotell verify {path} --model {model} --key signing.pub"
    );
    Ok(ExitCode::SUCCESS)
}

// ---- checking ----

/// The code and the line of the checklist for a refusal.
fn refused(why: record::Refused) -> Refused {
    let code = match why.part {
        Part::Archive | Part::Model | Part::Proof | Part::Ranges | Part::Salts | Part::Accuracy => {
            BAD_EVIDENCE
        }
        Part::Key | Part::Envelope | Part::Signature => BAD_SIGNATURE,
        Part::Statement => BAD_STATEMENT,
        Part::Report => BAD_REPORT,
        Part::Annex => BAD_ANNEX,
    };
    (code, why.part.name(), format!("{}; {}", why.why, why.part.fix()))
}

/// A reader's demands on evidence.
#[derive(Default)]
pub struct Demands<'a> {
    /// Who must have signed.
    pub signer: Option<&'a PublicKey>,
}

/// Checks an evidence file. It never fails: bad bytes are refused. The page that was made anew comes with
/// the verdict, if the statement is borne out.
pub fn examine_evidence(
    bytes: &[u8],
    expect: &mut Expect,
    demands: &Demands<'_>,
    annexes: &dyn Annexes,
) -> (Examination, Option<String>) {
    let started = Instant::now();
    let mut e = Examination::new();
    let mut page = None;
    if let Err(why) = check(&mut e, bytes, expect, demands, annexes, &mut page) {
        e.refuse(why);
    }
    e.verify_ms = ms(started);
    (e, page)
}

fn check(
    e: &mut Examination,
    bytes: &[u8],
    expect: &mut Expect,
    demands: &Demands<'_>,
    annexes: &dyn Annexes,
    page: &mut Option<String>,
) -> Result<(), Refused> {
    let evidence = Evidence::decode(bytes).map_err(refused)?;
    e.pass("evidence file", format!("well formed, {}", text::size(bytes.len() as u64)));
    let (statement, signer) = evidence.signed().map_err(refused)?;
    check_signer(e, &signer, demands.signer)?;
    expect.ranges.clone_from(&evidence.ranges);
    expect.voucher = if demands.signer.is_some() { Voucher::Wanted } else { Voucher::Unknown };
    let proof = examine(&evidence.proof, expect);
    let before = std::mem::replace(e, proof);
    e.signer = Some(signer.to_string());
    e.checks.splice(0..0, before.checks);
    let Some(facts) = e.facts.clone().filter(|_| e.accepted()) else { return Ok(()) };
    evidence.agrees(&statement, &facts).map_err(refused)?;
    if model_file(e).as_ref() != Some(&evidence.model) {
        return Err(refused(record::Refused::new(
            Part::Model,
            "it is not the model file of the proof's model",
        )));
    }
    e.pass("statement", "signed, and in every field what the proof says");
    let lines = evidence.annexes(&statement, annexes).map_err(refused)?;
    lines.iter().for_each(|(_, words)| e.pass("network", text::clean(words)));
    if evidence.accuracy.is_some() {
        e.pass("accuracy", "the report that the program names; measured, not proved");
    }
    let made = Made {
        e,
        facts: &facts,
        statement: &statement,
        signer: &signer,
        evidence: &evidence,
        annexes: &lines,
    };
    let (rendered, same) = made.page(|p| (p.render(), p.compare(&evidence.report))).map_err(refused)?;
    *page = Some(rendered);
    same.map_err(refused)?;
    e.pass("report", "made again from the checked parts, and the same");
    Ok(())
}

fn check_signer(e: &mut Examination, signer: &PublicKey, wanted: Option<&PublicKey>) -> Result<(), Refused> {
    match wanted {
        Some(wanted) if wanted != signer => {
            let detail = format!("it is by the {signer}; you asked for the {wanted}");
            Err((BAD_SIGNATURE, "signature", detail))
        }
        Some(_) => {
            e.pass("signature", format!("by the {signer}, the one you asked for"));
            Ok(())
        }
        None => {
            e.open("signature", format!("good, by an unknown {signer} (--key signing.pub compares)"));
            Ok(())
        }
    }
}

/// Verifies an evidence file as the flags of `verify` say, and writes the report if it is wanted.
pub fn verify(args: &VerifyArgs, bytes: &[u8], expect: &mut Expect) -> Outcome<Examination> {
    if args.ranges.is_some() {
        let fix = "leave --ranges out";
        let why = "an evidence file has its own range certificate, or says that there is none";
        return Err(Failure::misuse(USAGE, "--ranges", why, fix));
    }
    let key = args.key.as_deref().map(signing::public).transpose()?;
    let demands = Demands { signer: key.as_ref() };
    let network = args.trust.is_given().then(|| args.trust.network()).transpose()?;
    let witness = network.as_ref().map(Witness::new);
    let checker: &dyn Annexes = witness.as_ref().map_or(&NoNetwork, |witness| witness);
    let (mut examination, page) = examine_evidence(bytes, expect, &demands, checker);
    if let Some(says) = witness.and_then(Witness::says).filter(|_| examination.accepted()) {
        examination.voted(&says);
    }
    if let (Some(path), Some(page)) = (&args.report, &page) {
        write_whole(path, page.as_bytes(), 0o644)?;
    }
    Ok(examination)
}

#[cfg(test)]
mod tests;
