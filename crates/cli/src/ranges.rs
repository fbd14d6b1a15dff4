//! `certify`: proves once per commitment that a model's hidden weights lie in their declared
//! intervals, and checks such certificates for `verify`. A network's certificate goes to `certificate.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use dossier::ranges::{Certified, widths};
use program::Prepared;
use program::types::Program;
use program::wire::{Statement, encode_statement};
use program::{execute, range_programs};
use prove::Table;
use prove::random::Seed;
use serde_json::json;
use verify::{RangeRefusal, Setup, range_statement};

use crate::certificate::{self, AskedArgs, TrustArgs};
use crate::engine::prover;
use crate::failure::{Failure, Outcome, USAGE};
use crate::files::{FILE_BYTES, RangeFile, read_bounded, write_whole};
use crate::output::OutputArgs;
use crate::owner::{Owner, SecretArgs, owner};
use crate::pipeline::{CompileArgs, ModelArgs, ms};
use crate::progress::Progress;
use crate::text::{self, DIM, GOOD, paint};
use crate::{machine, units};

/// Extension of a certificate: beside `model.ztm` it is found by itself.
const EXTENSION: &str = "ztr";

/// Flags of `certify`.
#[derive(Args, Clone, Debug)]
pub struct CertifyArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    #[command(flatten)]
    pub secrets: SecretArgs,
    #[command(flatten)]
    pub compile: CompileArgs,
    /// Where the certificate goes [default: model.ztr in the key's directory]
    #[arg(short, long, value_name = "FILE.ztr")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub trust: TrustArgs,
    #[command(flatten)]
    pub asked: AskedArgs,
    #[command(flatten)]
    pub form: OutputArgs,
}

/// The certificate beside a model file, if there is one.
pub fn beside(model: &Path) -> Option<PathBuf> {
    Some(model.with_extension(EXTENSION)).filter(|path| path.is_file())
}

/// Checks a certificate's bytes for the model that a statement is about.
pub fn check(program: &Program, statement: &Statement, bytes: &[u8]) -> Result<Certified, String> {
    dossier::ranges::check(program, statement, bytes, text::model_id)
}

/// Refuses a part that does not fit the memory there is.
fn check_memory(setup: &Setup, part: &Program) -> Outcome<()> {
    machine::refuse_beyond(
        units::peak_memory(part, 1, setup),
        machine::available_memory(),
        "use a machine with more memory",
    )
}

/// Proves one part. Its opening must be reserved.
fn prove_part(
    part: &Program,
    table: &Table,
    weights: &BTreeMap<u32, Prepared>,
    owner: &Seed,
) -> Outcome<Vec<u8>> {
    let statement = range_statement(part, &table.root()).map_err(prover)?;
    let setup = Setup::new(part, &statement).map_err(prover)?;
    check_memory(&setup, part)?;
    let none = BTreeMap::<u32, Vec<i64>>::new();
    let assignment = execute(&setup.lowered, &none, weights).map_err(|why| {
        Failure::misuse(
            USAGE,
            "model",
            format!("a weight lies outside its interval: {why}"),
            "commit the model again",
        )
    })?;
    // There is no input: nothing but the system's randomness and the owner's secret makes the seed.
    let system = crate::random::bytes()?;
    let seed = Seed::for_proof(owner, &system, &encode_statement(&statement), &[0; 32]);
    let proof = prove::prove_at(&setup, &statement, &assignment, &[table], &seed).map_err(prover)?;
    Ok(proof.bytes)
}

/// The certificate of an owner's model, and the openings left.
pub fn certify(owner: &mut Owner, progress: &Progress) -> Outcome<(RangeFile, u64)> {
    let identity = owner.identity();
    let Some(committed) = &mut owner.committed else {
        let fix =
            "leave --public-model out, or do without a certificate: public weights are checked in clear";
        return Err(Failure::misuse(USAGE, "certify", RangeRefusal::Public, fix));
    };
    let parts = range_programs(&owner.program).map_err(|why| {
        Failure::misuse(
            USAGE,
            "certify",
            why,
            "the ranges of this model cannot be proved; proofs hold over F_p",
        )
    })?;
    // All parts of a certificate open the same commitment.
    let left = committed.reserve_many(parts.len() as u64)?.left;
    // A derived Program numbers the hidden tensors 0, 1, .. in the model's order.
    let weights = (0u32..).zip(owner.weights.0.values().cloned()).collect();
    let (root, chain) = (committed.table.root(), committed.chain.clone());
    let mut file = RangeFile { model: identity, root, chain, proofs: Vec::new() };
    for part in &parts {
        let _phase = progress.phase("certify", None);
        file.proofs.push(prove_part(part, &committed.table, &weights, &owner.secret)?);
    }
    Ok((file, left))
}

/// Runs the verb.
pub fn run(args: &CertifyArgs) -> Outcome<ExitCode> {
    let path = &args.model.model;
    if certificate::is_certificate(path) {
        return certificate::run(path, &args.trust, &args.asked, args.form);
    }
    if args.trust.is_given() || args.asked.is_given() {
        let fix = "give the .ztc file, or leave the flags of networks out";
        return Err(Failure::misuse(USAGE, path.display(), "it is no certificate of a network", fix));
    }
    let progress = Progress::new(args.form.json());
    let loaded = args.model.load()?;
    let mut owner = owner(&loaded, &args.compile, &args.secrets, &progress)?;
    let started = Instant::now();
    let (file, left) = certify(&mut owner, &progress)?;
    let prove_ms = ms(started);
    let bytes = file.encode();
    let beside = owner.directory.as_ref().map(|d| d.join(crate::keys::PUBLIC).with_extension(EXTENSION));
    let Some(path) = args.output.clone().or(beside) else {
        return Err(Failure::misuse(
            USAGE,
            "-o",
            "there is no key directory to put it in",
            "add -o model.ztr",
        ));
    };
    write_whole(&path, &bytes, 0o644)?;
    if args.form.json() {
        let line = json!({
            "model": owner.id(),
            "certificate": path.display().to_string(),
            "says": widths(&owner.program),
            "parts": file.proofs.len(),
            "prove_ms": prove_ms,
            "file_bytes": bytes.len(),
            "peak_rss_bytes": machine::peak_rss(),
            "openings_left": left,
        });
        println!("{line}");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("{}  {}", paint(GOOD, "certified"), widths(&owner.program));
    let size = text::size(bytes.len() as u64);
    anstream::println!("  {} to prove, {} parts, {size} file", text::time(prove_ms), file.proofs.len());
    anstream::println!(
        "  {}",
        paint(DIM, format!("{left} proofs are left before the next epoch, which follows by itself"))
    );
    anstream::println!("\nmodel ID  {}\npublish   {} beside the model file", owner.id(), path.display());
    anstream::println!("verify    zerotell verify PROOF --model {} --ranges {}", owner.id(), path.display());
    Ok(ExitCode::SUCCESS)
}

/// Reads a certificate, the one named or the one beside a model file.
pub fn read(named: Option<&Path>, model: Option<&str>) -> Outcome<Option<Vec<u8>>> {
    let found = match named {
        Some(path) => Some(path.to_path_buf()),
        None => model.and_then(|model| beside(Path::new(model))),
    };
    found.map(|path| read_bounded(&path, FILE_BYTES).map(|bytes| bytes.to_vec())).transpose()
}
