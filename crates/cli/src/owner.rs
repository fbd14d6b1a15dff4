//! What the owner holds to prove: a compiled model, committed unless it is public.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use compile::{Metadata, Report};
use program::types::Program;
use prove::random::Seed;

use crate::epochs::Committed;
use crate::failure::{Failure, OTHER_KEY, Outcome, USAGE};
use crate::keys::{self, Hidden, ModelSecret};
use crate::pipeline::{CompileArgs, Loaded, Ready, ms, tune};
use crate::progress::Progress;
use crate::{cache, meaning, text};

/// Flags that say whether and how a model is committed.
#[derive(Args, Clone, Debug, Default)]
pub struct SecretArgs {
    /// Directory of the model's key; made if it is not there
    #[arg(long, value_name = "DIR", help_heading = "Secrets", conflicts_with = "public_model")]
    pub model_key: Option<PathBuf>,
    /// Hide the model's weights (this is the default)
    #[arg(long, help_heading = "Secrets")]
    pub private_model: bool,
    /// Put the model's weights into the proof file for all to see
    #[arg(long, help_heading = "Secrets", conflicts_with = "private_model")]
    pub public_model: bool,
    /// Openings (proofs and links) each epoch of a fresh key must have room for
    #[arg(long, value_name = "N", help_heading = "Secrets")]
    pub openings: Option<usize>,
}

/// A model ready to prove.
pub struct Owner {
    /// The program.
    pub program: Program,
    /// What its numbers mean.
    pub meta: Metadata,
    /// Private parameters.
    pub weights: Hidden,
    /// The committed table and its epochs; none for a public model.
    pub committed: Option<Committed>,
    /// Secret that proofs' seeds are made with.
    pub secret: Seed,
    /// The accuracy report.
    pub report: Report,
    /// The key directory.
    pub directory: Option<PathBuf>,
    /// Milliseconds to compile, near 0 with a warm cache.
    pub compile_ms: f64,
    /// Milliseconds to commit or to open the key.
    pub commit_ms: f64,
    /// Whether the key was made just now.
    pub fresh: bool,
}

impl Owner {
    /// The model's identity.
    pub fn identity(&self) -> [u8; 32] {
        let ids: Vec<[u8; 32]> = self.committed.iter().map(Committed::id).collect();
        program::model_id(&self.program.digest(), &ids)
    }

    /// The model's ID.
    pub fn id(&self) -> String {
        text::model_id(&self.identity())
    }

    fn committed(secret: ModelSecret, report: Report, directory: &Path, compile_ms: f64) -> Outcome<Self> {
        let meta = meaning::required(&secret.program)?;
        Ok(Self {
            program: secret.program,
            meta,
            weights: secret.weights,
            committed: Some(secret.committed),
            secret: secret.owner,
            report,
            directory: Some(directory.to_path_buf()),
            compile_ms,
            commit_ms: 0.0,
            fresh: false,
        })
    }

    /// An owner of a public model.
    pub fn public(ready: Ready) -> Outcome<Self> {
        Ok(Self {
            meta: meaning::required(&ready.program)?,
            program: ready.program,
            weights: Hidden::default(),
            committed: None,
            secret: crate::random::seed()?,
            report: ready.report,
            directory: None,
            compile_ms: ready.compile_ms,
            commit_ms: 0.0,
            fresh: false,
        })
    }

    /// Commits a compiled model with a fresh key.
    pub fn commit(ready: Ready, source: [u8; 32], directory: &Path) -> Outcome<Self> {
        let started = Instant::now();
        let (report, compile_ms) = (ready.report, ready.compile_ms);
        let json = report.to_json();
        let secret = keys::create_model(directory, source, ready.program, ready.weights, &json)?;
        let mut owner = Self::committed(secret, report, directory, compile_ms)?;
        (owner.commit_ms, owner.fresh) = (ms(started), true);
        Ok(owner)
    }
}

/// Where the key of a private model is when no directory is given.
fn default_directory(loaded: &Loaded, compile: &CompileArgs, openings: Option<usize>) -> Outcome<PathBuf> {
    let home = cache::data_directory().ok_or_else(|| {
        let fix = "give --model-key DIR, or set ZEROTELL_HOME";
        Failure::misuse(USAGE, "--model-key", "there is no home directory to keep the key in", fix)
    })?;
    let choice = format!("{} {:?} {:?}", compile.precision, compile.labels, openings);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&loaded.source).update(choice.as_bytes());
    let short = text::hex(&hasher.finalize().as_bytes()[..8]);
    Ok(home.join("keys").join(short))
}

/// Compiles and commits a model, or opens the key it was committed with.
pub fn owner(
    loaded: &Loaded,
    compile: &CompileArgs,
    secrets: &SecretArgs,
    progress: &Progress,
) -> Outcome<Owner> {
    if secrets.public_model {
        return Owner::public(compile.compile(loaded, false, progress)?);
    }
    let directory = match &secrets.model_key {
        Some(directory) => directory.clone(),
        None => default_directory(loaded, compile, secrets.openings)?,
    };
    if keys::has_model(&directory) {
        let owner = open(loaded, compile, &directory, progress)?;
        return enough(owner, secrets);
    }
    let mut ready = compile.compile(loaded, true, progress)?;
    if let Some(openings) = secrets.openings {
        tune(&mut ready.program, openings, true)?;
    }
    let phase = progress.phase("commit", None);
    match Owner::commit(ready, loaded.source, &directory) {
        // Another process made the key in the meantime.
        Err(_) if keys::has_model(&directory) => {
            drop(phase);
            open(loaded, compile, &directory, progress)
        }
        made => made,
    }
}

/// Refuses a key that was made with room for fewer openings than are asked for now.
fn enough(owner: Owner, secrets: &SecretArgs) -> Outcome<Owner> {
    let state = owner.committed.as_ref().map(Committed::commitments).transpose()?;
    let total = state.and_then(|state| state.list.first().map(|one| one.total)).unwrap_or(0);
    match secrets.openings {
        Some(wanted) if total < wanted as u64 => {
            let reason = format!("the key has room for {total} openings, not for {wanted}");
            let fix = "commit the model again into another directory: this makes a new model ID";
            Err(Failure::misuse(OTHER_KEY, "--openings", reason, fix))
        }
        _ => Ok(owner),
    }
}

fn open(loaded: &Loaded, compile: &CompileArgs, directory: &Path, progress: &Progress) -> Outcome<Owner> {
    let other = |what: &str| {
        let fix = "give the directory that belongs to this model, or another, empty one";
        Failure::misuse(OTHER_KEY, directory.display(), format!("the key is of {what}"), fix)
    };
    let started = Instant::now();
    let phase = progress.phase("open the key", None);
    let secret = keys::open_model(directory)?;
    drop(phase);
    let commit_ms = ms(started);
    if secret.source != loaded.source {
        return Err(other("another model file, or other --dim"));
    }
    let mut compile_ms = 0.0;
    if compile.calibrate.is_some() || compile.precision != "auto" || compile.labels.is_some() {
        let mut ready = compile.compile(loaded, true, progress)?;
        // `--openings` at commit chose these anew.
        ready.program.model_oracle = secret.program.model_oracle;
        ready.program.ladder = secret.program.ladder.clone();
        (ready.program.lambda, ready.program.grind) = (secret.program.lambda, secret.program.grind);
        let same = ready.weights.0.len() == secret.weights.0.len()
            && ready
                .weights
                .0
                .iter()
                .all(|(t, v)| secret.weights.0.get(t).is_some_and(|w| w.values()[..] == v[..]));
        if ready.program.digest() != secret.program.digest() || !same {
            return Err(other("the same model compiled with other data, options or another version"));
        }
        compile_ms = ready.compile_ms;
    }
    let report = keys::report(directory)?;
    let mut owner = Owner::committed(secret, report, directory, compile_ms)?;
    owner.commit_ms = commit_ms;
    Ok(owner)
}
