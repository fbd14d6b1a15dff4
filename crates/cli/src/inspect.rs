//! `inspect`: what a proof file says. Nothing is checked, and that is said.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use program::types::Home;
use program::{InputMode, Reveal};
use serde_json::{Value, json};

use crate::failure::{Failure, Outcome, PROOF_FILE};
use crate::files::{self, FILE_BYTES, ProofFile, read_bounded};
use crate::output::OutputArgs;
use crate::text::{self, BAD, clean, paint};
use crate::{context, meaning};

/// Flags of `inspect`.
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    /// The proof file, or an evidence file
    #[arg(value_name = "PROOF.ztp|EVIDENCE.zte")]
    pub proof: PathBuf,
    #[command(flatten)]
    pub output: OutputArgs,
}

fn reveal(r: &Reveal) -> String {
    match r {
        Reveal::Values { output } => format!("all values of output {output}"),
        Reveal::Label { output } => format!("the label of output {output}"),
        Reveal::Threshold { output, index, at_least, bound } => {
            format!("output {output}[{index}] {} {bound} (integer)", if *at_least { ">=" } else { "<=" })
        }
    }
}

fn facts(file: &ProofFile) -> Value {
    let (program, statement) = (&file.program, &file.statement);
    let meta = meaning::read(program);
    let private = program.tensors.iter().any(|t| t.home == Home::Model);
    let mode = |m: &InputMode| match m {
        InputMode::Public => "public",
        InputMode::Private => "private",
        InputMode::Committed => "committed",
    };
    let count = |home: Home| -> u64 {
        let own = program.tensors.iter().filter(|t| t.home == home);
        own.map(|t| t.axes.iter().map(|&n| u64::from(n)).product::<u64>()).sum()
    };
    json!({
        "checked": false,
        "program": text::hex(&program.digest()),
        "statement_is_about": text::hex(&statement.program_digest),
        "model": text::model_id(&verify::model_identity(program, statement)),
        "model_private": private,
        "model_name": meta.as_ref().map(|m| clean(&m.model)),
        "semantics": meta.as_ref().map(|m| clean(&m.semantics)),
        "precision": meta.as_ref().map(|m| clean(&m.precision)),
        "notes": meta.as_ref().map(|m| m.notes.iter().map(|n| clean(n)).collect::<Vec<_>>()),
        "operators": program.operators.len(),
        "private_parameters": count(Home::Model),
        "public_constants": count(Home::Const),
        "security": {"query_bits": program.lambda, "grinding_bits": program.grind},
        "zero_knowledge": statement.zk,
        "batch": statement.batch,
        "inputs": statement.disclosure.inputs.iter().map(mode).collect::<Vec<_>>(),
        "reveals": statement.disclosure.reveals.iter().map(reveal).collect::<Vec<_>>(),
        "slots": statement.slots,
        "context": context::read(&statement.context).map_or_else(|| json!(text::hex(&statement.context)), |p| json!(p)),
        "proof_bytes": file.proof.len(),
        "links": file.chains.iter().map(Vec::len).sum::<usize>(),
    })
}

/// The statement of an evidence file, whoever signed it.
fn statement(evidence: &record::Evidence) -> Result<Value, String> {
    let envelope = record::Envelope::decode(&evidence.statement).map_err(|why| why.why)?;
    let statement = record::Statement::decode(&envelope.payload).map_err(|why| why.why)?;
    // The bytes are JSON: they were just read.
    Ok(serde_json::from_slice(&statement.encode()).unwrap_or_default())
}

/// Runs the verb.
pub fn run(args: &InspectArgs) -> Outcome<ExitCode> {
    let bytes = read_bounded(&args.proof, FILE_BYTES)?;
    let refuse = |why: String| {
        Failure::misuse(
            PROOF_FILE,
            args.proof.display(),
            format!("not a proof file: {why}"),
            "ask for the file again",
        )
    };
    let evidence = match record::is_evidence(&bytes) {
        true => Some(record::Evidence::decode(&bytes).map_err(|why| refuse(why.why))?),
        false => None,
    };
    let proof = evidence.as_ref().map_or(bytes.as_slice(), |evidence| &evidence.proof);
    let mut facts = facts(&files::decode_proof(proof).map_err(refuse)?);
    if let Some(evidence) = &evidence {
        facts["signed_statement"] = statement(evidence).map_err(refuse)?;
    }
    if args.output.json() {
        println!("{facts}");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("{}", paint(BAD, "Nothing here is checked: `zerotell verify` does that."));
    if let Value::Object(map) = &facts {
        for (key, value) in map.iter().filter(|(key, _)| *key != "checked") {
            let words = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let short: String = words.chars().take(400).collect();
            let more = if short.len() < words.len() { " …" } else { "" };
            anstream::println!("{key:<20} {short}{more}");
        }
    }
    Ok(ExitCode::SUCCESS)
}
