//! `register`: a model or a data set gets a name in the ledger that nobody else can take.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use certify::hash::Digest;
use clap::{Args, Subcommand};
use ledger::Body;
use serde_json::json;

use crate::failure::{Failure, MODEL_FILE, Outcome, USAGE};
use crate::files::{FILE_BYTES, ModelFile, read_bounded};
use crate::keys;
use crate::sender::{Cost, Said, SendArgs, node_failure};
use crate::text;

/// Flags of `register`.
#[derive(Args, Clone, Debug)]
pub struct RegisterArgs {
    #[command(subcommand)]
    pub verb: RegisterVerb,
}

/// What is registered.
#[derive(Subcommand, Clone, Debug)]
pub enum RegisterVerb {
    /// Register a model under this account, and its program if nobody has
    ///
    /// `submit` does it by itself for the first model of a program; steps (`zerotell advance`) need it of each model.
    Model(ModelArgs),
    /// Register a committed data set under this account, with what its numbers mean and where they come from
    Dataset(DatasetArgs),
}

/// Flags of `register model`.
#[derive(Args, Clone, Debug)]
pub struct ModelArgs {
    /// The model file, or the key directory that holds it
    #[arg(value_name = "FILE.ztm|DIR")]
    pub model: PathBuf,
    #[command(flatten)]
    pub send: SendArgs,
}

/// Flags of `register dataset`.
#[derive(Args, Clone, Debug)]
pub struct DatasetArgs {
    /// The committed data: the directory that `commit --input-key` made, or the input ID (zti1…)
    #[arg(value_name = "DIR|ID")]
    pub data: String,
    /// A file that says what the numbers mean; its BLAKE3 hash is registered [default: of a directory, the digest of the
    /// scale, range and shape that the numbers were committed with]
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// A file that says where the data come from, such as the source's signature; its BLAKE3 hash is registered
    #[arg(long, value_name = "FILE")]
    pub source: Option<PathBuf>,
    #[command(flatten)]
    pub send: SendArgs,
}

impl RegisterArgs {
    /// Whether JSON is wanted.
    pub fn json(&self) -> bool {
        match &self.verb {
            RegisterVerb::Model(args) => args.send.form.json(),
            RegisterVerb::Dataset(args) => args.send.form.json(),
        }
    }
}

/// Runs the verb.
pub fn run(args: &RegisterArgs) -> Outcome<ExitCode> {
    match &args.verb {
        RegisterVerb::Model(args) => model(args),
        RegisterVerb::Dataset(args) => dataset(args),
    }
}

/// A model as its public file names it.
pub struct Named {
    /// What the file holds.
    pub file: ModelFile,
    /// Digest of the program.
    pub program: Digest,
    /// The model's identity.
    pub model: Digest,
}

impl Named {
    /// OracleId of the commitment that the identity was made of; the identity itself if the weights are public.
    pub fn weights(&self) -> Digest {
        self.file.oracles.first().copied().unwrap_or(self.model)
    }
}

/// Reads a model file, or that of a key directory.
pub fn named(path: &Path) -> Outcome<Named> {
    let path = if path.is_dir() { path.join(keys::PUBLIC) } else { path.to_path_buf() };
    let refused = |why: &dyn std::fmt::Display| {
        let fix = "give the owner's model.ztm, or the key directory that `commit` made";
        Failure::misuse(MODEL_FILE, path.display(), why, fix)
    };
    let file = ModelFile::decode(&read_bounded(&path, FILE_BYTES)?).map_err(|why| refused(&why))?;
    program::validate(&file.program).map_err(|why| refused(&why))?;
    let program = file.program.digest();
    let model = program::model_id(&program, &file.oracles);
    Ok(Named { file, program, model })
}

fn model(args: &ModelArgs) -> Outcome<ExitCode> {
    let named = named(&args.model)?;
    let sender = args.send.open()?;
    let bytes = program::wire::encode_with_contents(&named.file.program);
    // Validators ask each other for the program by its digest: it must be there before the transaction is.
    sender.client.upload_program(&named.program, &bytes).map_err(node_failure)?;
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let (model, program, weights) = (named.model, named.program, named.weights());
    let work = dossier::work(&named.file.program);
    let body = Body::RegisterModel { model, program, program_bytes: length, work, weights };
    let cost = Cost { work, bytes: length.into(), ..Cost::default() };
    sender.run(&body, cost, |_| {
        let json = json!({
            "model": text::model_id(&model),
            "identity": text::hex(&model),
            "program": text::hex(&program),
            "weights": text::hex(&weights),
            "program_bytes": length,
        });
        let line = format!("program {}, {}", text::hex(&program), text::size(length.into()));
        Ok(Said { what: format!("model {} registered", text::model_id(&model)), lines: vec![line], json })
    })
}

/// Root and schema of a data set.
fn data(args: &DatasetArgs) -> Outcome<(Digest, Digest)> {
    let given = args.schema.as_deref().map(hash_of).transpose()?;
    let path = Path::new(&args.data);
    if path.is_dir() {
        let (root, meaning) = keys::input_name(path)?;
        return Ok((root, given.unwrap_or(meaning)));
    }
    if !args.data.starts_with("zti1") {
        let fix = "commit the data (`zerotell commit --input FILE --model model.ztm --input-key DIR`), and give DIR or the ID";
        let why = "neither a directory with committed data nor an input ID";
        return Err(Failure::misuse(USAGE, args.data.escape_debug(), why, fix));
    }
    let root = text::parse_input_id(&args.data)?;
    let schema = given.ok_or_else(|| {
        let fix = "add --schema FILE, or give the directory in place of the ID";
        Failure::misuse(USAGE, "--schema", "an ID alone does not say what the numbers mean", fix)
    })?;
    Ok((root, schema))
}

fn hash_of(path: &Path) -> Outcome<Digest> {
    Ok(*blake3::hash(&read_bounded(path, FILE_BYTES)?).as_bytes())
}

fn dataset(args: &DatasetArgs) -> Outcome<ExitCode> {
    let (root, schema) = data(args)?;
    let source = args.source.as_deref().map(hash_of).transpose()?.unwrap_or_default();
    let sender = args.send.open()?;
    sender.run(&Body::RegisterDataset { root, schema, source }, Cost::default(), |_| {
        let id = text::input_id(&root);
        let json = json!({
            "input": id,
            "root": text::hex(&root),
            "schema": text::hex(&schema),
            "source": args.source.as_ref().map(|_| text::hex(&source)),
        });
        let mut lines = vec![format!("schema {}", text::hex(&schema))];
        lines.extend(args.source.as_ref().map(|_| format!("source {}", text::hex(&source))));
        Ok(Said { what: format!("data set {id} registered"), lines, json })
    })
}
