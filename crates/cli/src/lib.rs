//! The zerotell command line: one verb per file.
//!
//! A library only so that its parsers can be fuzzed; the program is `main.rs`.
//!
//! Exit codes: 0 done or accepted, 1 rejected, 2 misuse, 3 fault.
#![forbid(unsafe_code)]

mod accepted;
#[cfg(feature = "network")]
mod account;
#[cfg(feature = "network")]
mod advance;
mod batch;
mod cache;
mod certificate;
mod context;
mod data;
mod demo;
mod engine;
mod epochs;
mod evidence;
mod failure;
#[cfg(feature = "network")]
mod fetch;
mod files;
#[cfg(feature = "network")]
mod here;
mod inspect;
mod keys;
mod machine;
mod manifest;
mod meaning;
#[cfg(feature = "network")]
mod network;
mod npz;
mod output;
mod owner;
#[cfg(feature = "network")]
mod parameters;
mod pipeline;
mod progress;
mod prove;
mod random;
mod ranges;
#[cfg(feature = "network")]
mod recall;
#[cfg(feature = "network")]
mod register;
mod reports;
#[cfg(feature = "network")]
mod sender;
mod signing;
mod sim;
mod text;
mod units;
mod verify;
mod votes;
mod zip;

mod bench;
mod check;
mod commit;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The parsers that read strangers' bytes and the owner's files, for the fuzz targets.
#[doc(hidden)]
pub mod parsers {
    /// A proof, model, key, input or budget file, a dossier: read or refused.
    pub fn files(bytes: &[u8]) {
        use crate::files;
        let _ = files::decode_proof(bytes);
        let _ = files::ModelFile::decode(bytes);
        let _ = files::ModelKey::decode(bytes);
        let _ = files::InputKey::decode(bytes);
        let _ = files::decode_commitments(bytes);
        let _ = files::decode_link(bytes);
        let _ = files::decode_accepted(bytes);
        let _ = files::CacheEntry::decode(bytes);
        let _ = files::RangeFile::decode(bytes);
        let _ = crate::manifest::Manifest::decode(bytes);
        // What validators are sent: judged, not only read.
        let _ = dossier::judge(bytes, None);
        let _ = dossier::Step::decode(bytes);
    }

    /// An evidence file: a verdict for any bytes.
    pub fn evidence(bytes: &[u8]) {
        use crate::evidence::{Demands, examine_evidence};
        let mut expect = crate::verify::Expect::default();
        let _ = examine_evidence(bytes, &mut expect, &Demands::default(), &record::NoNetwork);
    }

    /// An npz archive or npy array: read or refused.
    pub fn arrays(bytes: &[u8]) {
        let _ = crate::npz::archive(bytes);
        let _ = crate::npz::npy(bytes);
    }
}

/// Prove that a model gave an answer, without showing the model or the input.
#[derive(Parser, Debug)]
#[command(name = "zerotell", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Say everything that stops a model from being proved
    Check(check::CheckArgs),
    /// Explain a code such as ZT013
    Explain(check::ExplainArgs),
    /// Quantise a model and report how near it stays
    Compile(reports::CompileVerb),
    /// Commit a model or an input, and print its ID
    Commit(commit::CommitArgs),
    /// Prove once that a model's hidden weights lie in their ranges; or check a network's certificate (.ztc) offline
    Certify(ranges::CertifyArgs),
    /// Predict time, memory and proof size
    Estimate(reports::EstimateVerb),
    /// Prove what a model answers to an input
    Prove(Box<prove::ProveArgs>),
    /// Check a proof
    Verify(verify::VerifyArgs),
    /// Put a proof, a signed statement about it and a report into one file
    Evidence(evidence::EvidenceArgs),
    /// Make and show keys that sign evidence
    Key(signing::KeyArgs),
    /// Show what a proof file says, without checking it
    Inspect(inspect::InspectArgs),
    /// Prove, verify and try to cheat, with two models and real data
    Demo(demo::DemoArgs),
    /// Run a validator, make its keys, write a genesis
    #[cfg(feature = "network")]
    Node(network::NodeArgs),
    /// Run a whole network of validators on this machine
    #[cfg(feature = "network")]
    Net(network::NetArgs),
    /// Submit evidence to a network, and take its certificate
    #[cfg(feature = "network")]
    Submit(network::SubmitArgs),
    /// Fetch a record's certificate anew, or bring a pinned checkpoint up to the present
    #[cfg(feature = "network")]
    Fetch(fetch::FetchArgs),
    /// Show an account of a network, and move its money and its stake
    #[cfg(feature = "network")]
    Account(account::AccountArgs),
    /// Give a model or a data set a name in a network's ledger
    #[cfg(feature = "network")]
    Register(register::RegisterArgs),
    /// Tell a network that a model goes on under a fresh commitment of the same weights
    #[cfg(feature = "network")]
    Advance(advance::AdvanceArgs),
    /// Take back a record or a program; vote against a version of the verifier
    #[cfg(feature = "network")]
    Recall(recall::RecallArgs),
    /// Show the numbers a network's rules depend on, and vote for others
    #[cfg(feature = "network")]
    Parameters(parameters::ParametersArgs),
    /// Ask whether cheating the network would pay, by experiments on the real ledger
    Sim(sim::SimArgs),
    /// List the supported operators
    Operators(check::OperatorsArgs),
    /// Measure proving many times in one process
    #[command(hide = true)]
    Bench(Box<bench::BenchArgs>),
}

impl Verb {
    fn run(&self) -> failure::Outcome<ExitCode> {
        match self {
            Self::Check(args) => check::check(args),
            Self::Explain(args) => check::explain(args),
            Self::Compile(args) => reports::compile(args),
            Self::Commit(args) => commit::run(args),
            Self::Certify(args) => ranges::run(args),
            Self::Estimate(args) => reports::estimate(args),
            Self::Prove(args) => prove::run(args),
            Self::Verify(args) => verify::run(args),
            Self::Evidence(args) => evidence::run(args),
            Self::Key(args) => signing::run(args),
            Self::Inspect(args) => inspect::run(args),
            Self::Demo(args) => demo::run(args),
            #[cfg(feature = "network")]
            Self::Node(args) => network::node_verb(args),
            #[cfg(feature = "network")]
            Self::Net(args) => network::net(args),
            #[cfg(feature = "network")]
            Self::Submit(args) => network::submit(args),
            #[cfg(feature = "network")]
            Self::Fetch(args) => fetch::run(args),
            #[cfg(feature = "network")]
            Self::Account(args) => account::run(args),
            #[cfg(feature = "network")]
            Self::Register(args) => register::run(args),
            #[cfg(feature = "network")]
            Self::Advance(args) => advance::run(args),
            #[cfg(feature = "network")]
            Self::Recall(args) => recall::run(args),
            #[cfg(feature = "network")]
            Self::Parameters(args) => parameters::run(args),
            Self::Sim(args) => sim::run(args),
            Self::Operators(args) => check::operators(args),
            Self::Bench(args) => bench::run(args),
        }
    }

    /// Whether errors are wanted as JSON.
    fn json(&self) -> bool {
        match self {
            Self::Check(args) => args.output.json(),
            Self::Explain(_) | Self::Demo(_) | Self::Sim(_) | Self::Operators(_) => false,
            Self::Compile(args) => args.output.json(),
            Self::Commit(args) => args.form.json(),
            Self::Certify(args) => args.form.json(),
            Self::Estimate(args) => args.output.json(),
            Self::Prove(args) => args.form.json(),
            Self::Verify(args) => args.output.json(),
            Self::Evidence(args) => args.form.json(),
            Self::Key(args) => args.json(),
            Self::Inspect(args) => args.output.json(),
            #[cfg(feature = "network")]
            Self::Node(_) | Self::Net(_) => false,
            #[cfg(feature = "network")]
            Self::Submit(args) => args.form.json(),
            #[cfg(feature = "network")]
            Self::Fetch(args) => args.json(),
            #[cfg(feature = "network")]
            Self::Account(args) => args.json(),
            #[cfg(feature = "network")]
            Self::Register(args) => args.json(),
            #[cfg(feature = "network")]
            Self::Advance(args) => args.send.form.json(),
            #[cfg(feature = "network")]
            Self::Recall(args) => args.json(),
            #[cfg(feature = "network")]
            Self::Parameters(args) => args.json(),
            Self::Bench(_) => true,
        }
    }
}

/// Parses the words of the command line and does what they say.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.verb.run() {
        Ok(code) => code,
        Err(failure) => {
            if cli.verb.json() {
                println!("{}", failure.json());
            }
            anstream::eprint!("{failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
