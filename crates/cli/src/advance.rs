//! `advance`: the ledger learns that a model goes on under a fresh commitment of the same weights: a step.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use certify::hash::Digest;
use clap::Args;
use dossier::{Step, StepNames, code, judge_step};
use ledger::{Body, transaction};
use node::client::Verdict;
use serde_json::{Value, json};
use verify::Link;

use crate::epochs::{self, Next};
use crate::failure::{Failure, KEY, NODE, Outcome};
use crate::files::{FILE_BYTES, decode_link, read_bounded, write_whole};
use crate::network::{self, checked};
use crate::pipeline::ms;
use crate::register::{Named, named};
use crate::sender::{Cost, Said, SendArgs, Sender, Sent, node_failure};
use crate::text::{self, BAD, DIM, GOOD, HEAD, paint};

/// Flags of `advance`.
#[derive(Args, Clone, Debug)]
pub struct AdvanceArgs {
    /// The model's key directory: it holds the model file, the epochs and the links between them
    #[arg(value_name = "DIR")]
    pub model_key: PathBuf,
    /// This link and no other [default: the next one on the way to the epoch that proofs open now]
    #[arg(long, value_name = "FILE.ztl")]
    pub link: Option<PathBuf>,
    /// Where the certificate goes (with --wait)
    #[arg(short, long, value_name = "FILE.ztc", requires = "wait")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub send: SendArgs,
}

/// A step that validators will accept, and what it costs.
struct Ready {
    bytes: Vec<u8>,
    names: StepNames,
    work: u64,
}

/// The link that leads on from the weights that the ledger holds.
fn link(args: &AdvanceArgs, named: &Named, present: &Digest) -> Outcome<Link> {
    let place = args.model_key.display();
    if let Some(path) = &args.link {
        let refused = |why: String| Failure::misuse(KEY, path.display(), why, "leave --link out");
        let link = decode_link(&read_bounded(path, FILE_BYTES)?).map_err(refused)?;
        if link.statement.subject != named.model {
            return Err(refused("it is a link of another model".into()));
        }
        if link.statement.parent.id() != *present {
            return Err(refused(format!(
                "it does not begin at the ledger's weights, {}",
                text::hex(present)
            )));
        }
        return Ok(link);
    }
    match epochs::next_link(&args.model_key, &named.weights(), present)? {
        Next::Link(link) => Ok(*link),
        Next::Newest => {
            let why = "the ledger holds the newest epoch there is; no link leads on from it";
            let fix = "`prove` makes the next epoch when few openings are left; `commit --status DIR` shows how many";
            Err(Failure::misuse(KEY, place, why, fix))
        }
        Next::Elsewhere => {
            let why = format!("no epoch here has the weights that the ledger holds, {}", text::hex(present));
            let fix = "give the key directory that the model was last advanced with, or --link FILE";
            Err(Failure::misuse(KEY, place, why, fix))
        }
    }
}

/// Builds the step, and judges it as a validator will: what is refused costs its fee all the same.
fn ready(link: Link, named: &Named, place: &Path) -> Outcome<Ready> {
    let program = &named.file.program;
    let step = Step { link };
    let (bytes, names) = (step.encode(), step.names());
    let judged = judge_step(&bytes, program, &names);
    if judged.code != code::ACCEPT {
        let fix = "the link file is damaged, or of another model; restore it from a copy";
        return Err(Failure::misuse(KEY, place.display(), judged.what, fix));
    }
    Ok(Ready { bytes, names, work: dossier::work(program) })
}

/// The commitment that the ledger has the model under.
fn present(sender: &Sender<'_>, model: &Digest, path: &Path) -> Outcome<Digest> {
    let found = sender.client.model(&sender.account(), model).map_err(node_failure)?;
    found.map(|found| found.weights).ok_or_else(|| {
        let why = format!(
            "the account {} has registered no model {}",
            text::hex(&sender.account()),
            text::model_id(model)
        );
        let fix = format!(
            "give the --key of its owner, or register it: zerotell register model {}",
            path.display()
        );
        Failure::misuse(NODE, "model", why, fix)
    })
}

/// Runs the verb. Exit code 1: the network did not accept the step.
pub fn run(args: &AdvanceArgs) -> Outcome<ExitCode> {
    let named = named(&args.model_key)?;
    let sender = args.send.open()?;
    if let Some(trusted) = sender.trusted.as_ref().filter(|_| args.send.wait) {
        trusted.young()?;
    }
    let from = present(&sender, &named.model, &args.model_key)?;
    let ready = ready(link(args, &named, &from)?, &named, &args.model_key)?;
    let started = Instant::now();
    let sent = send(&sender, &ready)?;
    let Some(placed) = sender.settle(&sent)? else {
        let what = format!("step of model {}", text::model_id(&named.model));
        sender.print(&sent, None, Said { what, lines: Vec::new(), json: about(&ready.names) });
        return Ok(ExitCode::SUCCESS);
    };
    let told = told(args, &sender, &ready.names, started)?;
    if args.send.form.json() {
        let mut line = sender.line(&sent, Some(&placed), about(&ready.names));
        line.extend(told.json());
        println!("{}", Value::Object(line));
    } else {
        told.print(&sent, &ready.names);
    }
    Ok(ExitCode::from(u8::from(!told.is_accepted())))
}

/// Uploads the step, and sends the transaction that names it.
fn send(sender: &Sender<'_>, ready: &Ready) -> Outcome<Sent> {
    let proof = sender.client.upload(&ready.bytes).map_err(node_failure)?;
    let proof_bytes = u32::try_from(ready.bytes.len()).unwrap_or(u32::MAX);
    let StepNames { statement, model, to, .. } = ready.names;
    let verifier = crate::network::same_verifier(&sender.rules)?;
    let step = transaction::Step { model, weights: to, statement, proof, proof_bytes, verifier };
    sender.send(&Body::AdvanceEpoch { step }, Cost { work: ready.work, bytes: proof_bytes.into(), spends: 0 })
}

/// What the network said of a step.
struct Told {
    verdict: Verdict,
    /// Milliseconds from sending it.
    took: f64,
    certificate_bytes: Option<usize>,
    /// Whether the certificate was checked against what is trusted.
    checked: bool,
    /// Whether the ledger has the model under the new commitment.
    moved: bool,
    written: Option<String>,
}

fn told(args: &AdvanceArgs, sender: &Sender<'_>, names: &StepNames, started: Instant) -> Outcome<Told> {
    let patience = args.send.patience();
    let verdict = sender.client.verdict(&names.statement, patience).map_err(node_failure)?;
    let took = ms(started);
    let certificate = match verdict.status.as_str() {
        "undecided" => None,
        _ => {
            let from = network::from(sender.trusted.as_ref());
            Some(sender.client.certificate(&names.statement, from).map_err(node_failure)?)
        }
    };
    let checked = checked(sender.trusted.as_ref(), certificate.as_deref(), &names.statement)?.is_some();
    let mut written = None;
    if let (Some(path), Some(bytes)) = (&args.output, &certificate) {
        write_whole(path, bytes, 0o644)?;
        written = Some(path.display().to_string());
    }
    // The verdict is final before its round is settled; only then does the model move.
    let moved = verdict.status == "accepted" && moved(sender, names, patience)?;
    Ok(Told {
        verdict,
        took,
        certificate_bytes: certificate.map(|bytes| bytes.len()),
        checked,
        moved,
        written,
    })
}

/// Waits until the ledger has the model under the new commitment; false if it has not in this time.
fn moved(sender: &Sender<'_>, names: &StepNames, patience: Duration) -> Outcome<bool> {
    let began = Instant::now();
    loop {
        let found = sender.client.model(&sender.account(), &names.model).map_err(node_failure)?;
        if found.is_some_and(|found| found.weights == names.to) {
            return Ok(true);
        }
        if began.elapsed() > patience {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn about(names: &StepNames) -> Value {
    json!({
        "model": text::model_id(&names.model),
        "statement": text::hex(&names.statement),
        "weights_before": text::hex(&names.from),
        "weights": text::hex(&names.to),
    })
}

impl Told {
    fn is_accepted(&self) -> bool {
        self.verdict.status == "accepted"
    }

    fn json(&self) -> [(String, Value); 8] {
        [
            ("verdict", json!(self.verdict.status)),
            ("code", json!(self.verdict.code)),
            ("what", json!(self.verdict.what)),
            ("certificate_bytes", json!(self.certificate_bytes)),
            ("checked", json!(self.checked)),
            ("moved", json!(self.moved)),
            ("output", json!(self.written)),
            ("took_ms", json!(self.took)),
        ]
        .map(|(name, value)| (name.to_string(), value))
    }

    fn print(&self, sent: &Sent, names: &StepNames) {
        let style = if self.is_accepted() { GOOD } else { BAD };
        let name = text::hex(&names.statement);
        anstream::println!("{}  step {name}, {}", paint(style, &self.verdict.status), text::time(self.took));
        if self.verdict.code != 0 {
            anstream::println!("  {}", self.verdict.what);
        }
        if self.moved {
            anstream::println!("  the ledger has the model under {}", text::hex(&names.to));
        }
        let word = if self.checked {
            "was checked"
        } else {
            "was NOT checked (--genesis or --checkpoint checks it)"
        };
        let line = format!("fee {} units; the certificate {word}", sent.fee);
        anstream::println!("  {}", paint(DIM, line));
        if let Some(path) = &self.written {
            anstream::println!("  {} {path}", paint(HEAD, "wrote"));
        }
    }
}
