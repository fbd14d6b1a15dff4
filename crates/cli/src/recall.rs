//! `recall`: something is not to be relied on any more: a record, a program, a version of the verifier.

use std::path::Path;
use std::process::ExitCode;

use certify::hash::Digest;
use clap::{Args, Subcommand};
use ledger::Body;
use ledger::transaction::Subject;
use record::Evidence;
use serde_json::json;

use crate::certificate;
use crate::failure::{Failure, MODEL_FILE, Outcome, USAGE};
use crate::files::{FILE_BYTES, ModelFile, read_bounded};
use crate::sender::{Cost, Said, SendArgs};
use crate::text;

/// Flags of `recall`.
#[derive(Args, Clone, Debug)]
pub struct RecallArgs {
    #[command(subcommand)]
    pub verb: RecallVerb,
}

/// What is recalled.
#[derive(Subcommand, Clone, Debug)]
pub enum RecallVerb {
    /// Take back a record that this account submitted; its certificates say so from then on
    Record(RecordArgs),
    /// Take back a program that this account registered: nothing of it is admitted any more
    Program(ProgramArgs),
    /// Vote that a version of the verifier is not to be relied on (seats only; two thirds of stake decide)
    Verifier(VerifierArgs),
    /// Vote that a suspended class of programs is admitted again (seats only; two thirds of stake decide)
    Resume(ResumeArgs),
}

/// Why, and who pays.
#[derive(Args, Clone, Debug)]
pub struct WhyArgs {
    /// Why: a number that is kept in the ledger; it has no meaning there, but votes add up only if it is the same
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub reason: u16,
    #[command(flatten)]
    pub send: SendArgs,
}

/// Flags of `recall record`.
#[derive(Args, Clone, Debug)]
pub struct RecordArgs {
    /// The statement's 64 hexadecimal digits, or a file about it: a certificate (.ztc) or evidence (.zte)
    #[arg(value_name = "STATEMENT|FILE")]
    pub record: String,
    #[command(flatten)]
    pub why: WhyArgs,
}

/// Flags of `recall program`.
#[derive(Args, Clone, Debug)]
pub struct ProgramArgs {
    /// The program's 64 hexadecimal digits, or a model file of it (.ztm)
    #[arg(value_name = "PROGRAM|FILE.ztm")]
    pub program: String,
    #[command(flatten)]
    pub why: WhyArgs,
}

/// Flags of `recall verifier`.
#[derive(Args, Clone, Debug)]
pub struct VerifierArgs {
    /// The version
    #[arg(value_name = "VERSION")]
    pub version: u16,
    #[command(flatten)]
    pub why: WhyArgs,
}

/// Flags of `recall resume`.
#[derive(Args, Clone, Debug)]
pub struct ResumeArgs {
    /// The class: the sum of its kinds of operators (chapter 11 of the specification)
    #[arg(value_name = "CLASS")]
    pub class: u32,
    #[command(flatten)]
    pub why: WhyArgs,
}

impl RecallArgs {
    fn why(&self) -> &WhyArgs {
        match &self.verb {
            RecallVerb::Record(args) => &args.why,
            RecallVerb::Program(args) => &args.why,
            RecallVerb::Verifier(args) => &args.why,
            RecallVerb::Resume(args) => &args.why,
        }
    }

    /// Whether JSON is wanted.
    pub fn json(&self) -> bool {
        self.why().send.form.json()
    }
}

/// A digest by its digits, or read from a file.
fn digest_in(
    text: &str,
    (neither, fix): (&str, &str),
    read: impl FnOnce(&Path, &[u8]) -> Outcome<Digest>,
) -> Outcome<Digest> {
    if let Some(digest) = record::json::unhex(text) {
        return Ok(digest);
    }
    let path = Path::new(text);
    if !path.exists() {
        return Err(Failure::misuse(USAGE, text.escape_debug(), neither, fix));
    }
    read(path, &read_bounded(path, FILE_BYTES)?)
}

/// The record that a name or a file is about.
pub fn statement(text: &str) -> Outcome<Digest> {
    let fix = "give the statement's 64 hexadecimal digits, a certificate (.ztc), or evidence (.zte)";
    digest_in(text, ("neither a statement nor a file", fix), |path, bytes| {
        let refused = |why: String| Failure::misuse(USAGE, path.display(), why, fix);
        if certificate::is_certificate(path) {
            return certificate::statement(bytes).map_err(refused);
        }
        let signed = Evidence::decode(bytes).and_then(|evidence| evidence.signed());
        signed.map(|(statement, _)| statement.digest()).map_err(|why| refused(why.to_string()))
    })
}

/// The program that a name or a model file is about.
fn program(text: &str) -> Outcome<Digest> {
    let fix = "give the program's 64 hexadecimal digits, or a model file of it (.ztm)";
    digest_in(text, ("neither a program nor a file", fix), |path, bytes| {
        let refused = |why| Failure::misuse(MODEL_FILE, path.display(), why, fix);
        ModelFile::decode(bytes).map(|file| file.program.digest()).map_err(refused)
    })
}

/// Runs the verb.
pub fn run(args: &RecallArgs) -> Outcome<ExitCode> {
    let (subject, kind, name, is_vote) = match &args.verb {
        RecallVerb::Record(args) => {
            let statement = statement(&args.record)?;
            (Subject::Record { statement }, "record", text::hex(&statement), false)
        }
        RecallVerb::Program(args) => {
            let program = program(&args.program)?;
            (Subject::Program { program }, "program", text::hex(&program), false)
        }
        RecallVerb::Verifier(args) => {
            (Subject::Verifier { version: args.version }, "verifier", args.version.to_string(), true)
        }
        RecallVerb::Resume(args) => {
            (Subject::Resume { class: args.class }, "class", args.class.to_string(), true)
        }
    };
    let WhyArgs { reason, send } = args.why();
    let sender = send.open()?;
    sender.run(&Body::Recall { subject, reason: *reason }, Cost::default(), |_| {
        let json = json!({"kind": kind, "subject": name, "reason": reason, "vote": is_vote});
        if is_vote {
            let line = "it is so when seats with two thirds of the stake have voted for the same, with the same reason, \
                        within one epoch";
            return Ok(Said { what: format!("a vote about {kind} {name}"), lines: vec![line.into()], json });
        }
        Ok(Said { what: format!("{kind} {name} recalled, reason {reason}"), lines: Vec::new(), json })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_digits_or_files() {
        let digits = "ab".repeat(32);
        assert_eq!(statement(&digits), Ok([0xab; 32]));
        assert_eq!(program(&digits), Ok([0xab; 32]));
        for bad in ["", "abc", "no/such/file.ztc"] {
            let why = statement(bad).unwrap_err().items.remove(0);
            assert!(why.reason.contains("neither a statement") && why.fix.contains(".zte"), "{why:?}");
            let why = program(bad).unwrap_err().items.remove(0);
            assert!(why.reason.contains("neither a program") && why.fix.contains(".ztm"), "{why:?}");
        }
        // A file of another kind is refused, not taken for one.
        let other = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(statement(other).is_err() && program(other).is_err());
    }
}
