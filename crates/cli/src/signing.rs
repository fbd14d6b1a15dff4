//! `key`: keys that sign evidence, made once, kept from others, never overwritten.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use record::key::Kind;
use record::{PublicKey, Refused, SigningKey};
use serde_json::json;

use crate::failure::{Failure, Outcome, SIGNING_KEY};
use crate::files::{read_bounded, write_new};
use crate::keys::{SECRET, check_mode, private_directory};
use crate::output::OutputArgs;
use crate::text::{GOOD, paint};

const SECRET_FILE: &str = "signing.key";
const PUBLIC_FILE: &str = "signing.pub";

/// Flags of `key`.
#[derive(Args, Clone, Debug)]
pub struct KeyArgs {
    #[command(subcommand)]
    pub verb: KeyVerb,
}

/// What is done with keys.
#[derive(Subcommand, Clone, Debug)]
pub enum KeyVerb {
    /// Make a key that signs evidence
    New(NewArgs),
    /// Show the public half and the fingerprint of a key
    Show(ShowArgs),
}

/// Kinds of keys, as words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum KindWord {
    /// ECDSA on P-256, which most tools know
    #[default]
    P256,
    /// Ed25519
    Ed25519,
}

/// Flags of `key new`.
#[derive(Args, Clone, Debug)]
pub struct NewArgs {
    /// The directory to put it in; only you can enter it
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Kind of the key
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    pub kind: KindWord,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Flags of `key show`.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// A key's directory or PEM file, secret or public
    #[arg(value_name = "DIR|FILE")]
    pub key: PathBuf,
    #[command(flatten)]
    pub output: OutputArgs,
}

impl KeyArgs {
    /// Whether JSON is wanted.
    pub fn json(&self) -> bool {
        match &self.verb {
            KeyVerb::New(args) => args.output.json(),
            KeyVerb::Show(args) => args.output.json(),
        }
    }
}

fn refused(path: &Path, why: Refused) -> Failure {
    Failure::misuse(SIGNING_KEY, path.display(), why.why, "make one with `zerotell key new DIR`")
}

/// The file that is meant: inside a directory, or the path itself.
fn file(path: &Path, name: &str) -> PathBuf {
    if path.is_dir() { path.join(name) } else { path.to_path_buf() }
}

/// Reads a secret key that no other user can reach.
pub fn secret(path: &Path) -> Outcome<SigningKey> {
    let path = file(path, SECRET_FILE);
    let bytes = read_bounded(&path, record::limits::KEY)?;
    check_mode(&path)?;
    SigningKey::from_pem(&bytes).map_err(|why| refused(&path, why))
}

/// Reads a public key.
pub fn public(path: &Path) -> Outcome<PublicKey> {
    let path = file(path, PUBLIC_FILE);
    let bytes = read_bounded(&path, record::limits::KEY)?;
    PublicKey::from_pem(&bytes).map_err(|why| refused(&path, why))
}

/// A fresh key of the system's randomness.
fn fresh(kind: Kind) -> Outcome<SigningKey> {
    loop {
        // Bytes that are no key occur once in 2^32 times: others are drawn.
        if let Ok(key) = SigningKey::from_random(kind, &*crate::random::bytes()?) {
            return Ok(key);
        }
    }
}

fn new(args: &NewArgs) -> Outcome<ExitCode> {
    let kind = match args.kind {
        KindWord::P256 => Kind::P256,
        KindWord::Ed25519 => Kind::Ed25519,
    };
    private_directory(&args.directory)?;
    let (path, public_path) = (args.directory.join(SECRET_FILE), args.directory.join(PUBLIC_FILE));
    let taken = [&path, &public_path].into_iter().find(|path| path.symlink_metadata().is_ok());
    if let Some(path) = taken {
        let fix = "give another directory; a key is never overwritten";
        return Err(Failure::misuse(SIGNING_KEY, path.display(), "there is a key already", fix));
    }
    let key = fresh(kind)?;
    let public = key.public();
    write_new(&path, key.to_pem().map_err(|why| refused(&path, why))?.as_bytes(), SECRET)?;
    write_new(&public_path, public.to_pem().as_bytes(), 0o644)?;
    if args.output.json() {
        let (path, public_path) = (path.display().to_string(), public_path.display().to_string());
        println!(
            "{}",
            json!({"kind": kind.name(), "fingerprint": public.fingerprint(), "key": path, "public": public_path})
        );
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("{}  {public}", paint(GOOD, "made"));
    anstream::println!("  secret  {} (keep it; it is not encrypted)", path.display());
    anstream::println!("  public  {} (publish it)", public_path.display());
    Ok(ExitCode::SUCCESS)
}

fn show(args: &ShowArgs) -> Outcome<ExitCode> {
    let path = file(&args.key, PUBLIC_FILE);
    let bytes = read_bounded(&path, record::limits::KEY)?;
    let key = PublicKey::from_pem(&bytes).or_else(|why| {
        let secret = SigningKey::from_pem(&bytes).map(|key| key.public());
        secret.map_err(|_| refused(&path, why))
    })?;
    if args.output.json() {
        let line = json!({"kind": key.kind().name(), "fingerprint": key.fingerprint(), "pem": key.to_pem()});
        println!("{line}");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("{key}");
    anstream::print!("{}", key.to_pem());
    Ok(ExitCode::SUCCESS)
}

/// Runs the verb.
pub fn run(args: &KeyArgs) -> Outcome<ExitCode> {
    match &args.verb {
        KeyVerb::New(args) => new(args),
        KeyVerb::Show(args) => show(args),
    }
}
