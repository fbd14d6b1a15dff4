//! The owner's key directories and their hiding budgets.
//!
//! A key is used only after its table was built again from seed and values and gave the stored
//! root. Openings are counted by [`crate::epochs`].

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use program::Prepared;
use program::types::Program;
use prove::random::Seed;
use prove::{LinkAbout, Table, commit_input, commit_model};
use zeroize::Zeroizing;

use crate::epochs::{Committed, Identity};
use crate::failure::{Failure, KEY, OTHER_KEY, Outcome, PROVER};
use crate::files::{InputKey, ModelFile, ModelKey, Weights, read_bounded, write_whole};

const MODEL: &str = "model.key";
const INPUT: &str = "input.key";
const COUNT: &str = "budget";
const LOCK: &str = "lock";
/// The public model file inside a key directory.
pub const PUBLIC: &str = "model.ztm";
const REPORT: &str = "report.json";
/// Mode of secret files.
pub(crate) const SECRET: u32 = 0o600;
const DAMAGED: &str = "restore the directory from a copy made after its last proof, or commit again with a fresh key in another directory (this makes a new ID)";

/// Private parameters by tensor number, as programs are run with them; they wipe themselves, no `Debug`.
#[derive(Default)]
pub struct Hidden(pub BTreeMap<u32, Prepared>);

/// A committed model, ready to prove.
pub struct ModelSecret {
    /// Digest of what it was compiled from.
    pub source: [u8; 32],
    /// The program.
    pub program: Program,
    /// Private parameters.
    pub weights: Hidden,
    /// The committed table and its epochs.
    pub committed: Committed,
    /// Secret that proofs' seeds are made with.
    pub owner: Seed,
}

/// A committed input, ready to prove.
pub struct InputSecret {
    /// The integers, batch first.
    pub values: Arc<[i64]>,
    /// Axis lengths, batch included.
    pub axes: Vec<usize>,
    /// The committed table and its epochs.
    pub committed: Committed,
    /// Secret that proofs' seeds are made with.
    pub owner: Seed,
}

pub(crate) fn damaged(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::world(KEY, path.display(), why, DAMAGED)
}

/// Makes a directory that only the owner can enter.
pub fn private_directory(path: &Path) -> Outcome<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|e| Failure::file(path, "write", &e))?;
    check_mode(path)
}

/// Refuses files and directories that other users can reach.
pub(crate) fn check_mode(path: &Path) -> Outcome<()> {
    let meta = std::fs::metadata(path).map_err(|e| Failure::file(path, "read", &e))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let wanted = if meta.is_dir() { "700" } else { "600" };
    let fix = format!("chmod {wanted} {}", path.display());
    Err(Failure::world(KEY, path.display(), format!("other users can reach it (mode {mode:o})"), fix))
}

fn lock_file(directory: &Path, name: &str) -> Outcome<(PathBuf, File)> {
    let path = directory.join(name);
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(SECRET).open(&path);
    let file = opened.map_err(|e| Failure::file(&path, "lock", &e))?;
    Ok((path, file))
}

/// Waits for a lock of the directory; it is released when the file is dropped.
pub(crate) fn lock(directory: &Path, name: &str) -> Outcome<File> {
    let (path, file) = lock_file(directory, name)?;
    file.lock().map_err(|e| Failure::file(&path, "lock", &e))?;
    Ok(file)
}

/// As [`lock`], but gives none if somebody else holds it.
pub(crate) fn try_lock(directory: &Path, name: &str) -> Outcome<Option<File>> {
    let (path, file) = lock_file(directory, name)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(Failure::file(&path, "lock", &e)),
    }
}

/// Whether a directory holds a finished model key.
pub fn has_model(directory: &Path) -> bool {
    directory.join(MODEL).exists()
}

/// Whether a directory holds a finished input key.
pub fn has_input(directory: &Path) -> bool {
    directory.join(INPUT).exists()
}

/// A fresh directory for a key. Something left of an earlier key is not touched.
fn fresh(directory: &Path) -> Outcome<File> {
    private_directory(directory)?;
    let guard = lock(directory, LOCK)?;
    for name in [MODEL, INPUT, COUNT] {
        if directory.join(name).exists() {
            let reason = format!("it holds `{name}` of another key already");
            return Err(Failure::misuse(KEY, directory.display(), reason, "give another, empty directory"));
        }
    }
    Ok(guard)
}

fn owner(seed: &[u8; 32]) -> Seed {
    Seed::new(blake3::derive_key("zerotell v1 owner secret", seed))
}

fn secret(bytes: &[u8; 32]) -> Seed {
    Seed::new(*bytes)
}

fn shared(weights: &Weights) -> Hidden {
    let prepare = |(&tensor, values): (&u32, &Vec<i64>)| (tensor, Prepared::new(values.as_slice()));
    Hidden(weights.0.iter().map(prepare).collect())
}

fn model_table(program: &Program, weights: &Weights, seed: &[u8; 32]) -> Outcome<Table> {
    let table = commit_model(program, &weights.0, &secret(seed));
    let table = table.map_err(|e| Failure::world(PROVER, "model", e, "report this model"))?;
    table.ok_or_else(|| {
        Failure::misuse(
            KEY,
            "model",
            "it has no private parameters",
            "use --public-model: there is nothing to hide",
        )
    })
}

/// The identity of a model's commitment, and its parameters.
fn model_identity(program: &Program, root: [u8; 32], seed: &[u8; 32]) -> Outcome<(Identity, oracle::Shape)> {
    let shape = verify::model_shape(program).ok().flatten();
    let (shape, layout) = shape.ok_or_else(|| {
        Failure::world(PROVER, "model", "it has no private parameters", "report this model")
    })?;
    let id = shape.id(&root);
    let about = LinkAbout {
        security: [program.lambda, program.grind],
        subject: program::model_id(&program.digest(), &[id]),
        total: layout.total as u64,
    };
    Ok((Identity { id, root, seed: Zeroizing::new(*seed), about }, shape))
}

/// The identity of a committed input.
fn input_identity(
    security: [u8; 2],
    axes: &[usize],
    shape: &oracle::Shape,
    root: [u8; 32],
    seed: &[u8; 32],
) -> Identity {
    let id = shape.id(&root);
    let total = axes.iter().product::<usize>() as u64;
    Identity { id, root, seed: Zeroizing::new(*seed), about: LinkAbout { security, subject: id, total } }
}

/// Commits a model into a fresh directory. `model.key` is written last: with it the key is whole.
pub fn create_model(
    directory: &Path,
    source: [u8; 32],
    program: Program,
    weights: Weights,
    report: &str,
) -> Outcome<ModelSecret> {
    let _guard = fresh(directory)?;
    let seed = crate::random::bytes()?;
    let table = model_table(&program, &weights, &seed)?;
    let root = table.root();
    let (identity, _) = model_identity(&program, root, &seed)?;
    let file = ModelFile { program, oracles: vec![identity.id] };
    let committed = Committed::create(directory, identity, owner(&seed), table)?;
    write_whole(&directory.join(PUBLIC), &file.encode(), SECRET)?;
    write_whole(&directory.join(REPORT), report.as_bytes(), SECRET)?;
    let key = ModelKey { source, program: file.program, weights, seed, root };
    write_whole(&directory.join(MODEL), &key.encode(), SECRET)?;
    let owner = owner(&key.seed);
    Ok(ModelSecret { source, weights: shared(&key.weights), program: key.program, committed, owner })
}

/// Opens a committed model.
pub fn open_model(directory: &Path) -> Outcome<ModelSecret> {
    check_mode(directory)?;
    let path = directory.join(MODEL);
    check_mode(&path)?;
    let bytes = read_bounded(&path, crate::files::FILE_BYTES)?;
    let key = ModelKey::decode(&bytes).map_err(|why| damaged(&path, why))?;
    drop(bytes);
    program::validate(&key.program).map_err(|why| damaged(&path, why))?;
    let (identity, shape) = model_identity(&key.program, key.root, &key.seed)?;
    let (owner, source) = (owner(&key.seed), key.source);
    let build = |seed: &[u8; 32]| model_table(&key.program, &key.weights, seed);
    let committed = Committed::open(directory, identity, owner.clone(), &shape, build)?;
    Ok(ModelSecret { source, weights: shared(&key.weights), program: key.program, committed, owner })
}

/// The accuracy report kept with a model key.
pub fn report(directory: &Path) -> Outcome<compile::Report> {
    let path = directory.join(REPORT);
    let bytes = read_bounded(&path, 1 << 28)?;
    serde_json::from_slice(&bytes).map_err(|e| damaged(&path, e))
}

/// Commits an input into a fresh directory.
pub fn create_input(
    directory: &Path,
    program: &Program,
    meaning: [u8; 32],
    axes: Vec<usize>,
    values: Vec<i64>,
) -> Outcome<InputSecret> {
    let _guard = fresh(directory)?;
    let seed = crate::random::bytes()?;
    let table = commit_input(program, &axes, &values, true, &secret(&seed));
    let table = table.map_err(|e| Failure::world(PROVER, "input", e, "commit fewer rows at once"))?;
    let security = [program.lambda, program.grind];
    let root = table.root();
    let identity = input_identity(security, &axes, table.shape(), root, &seed);
    let committed = Committed::create(directory, identity, owner(&seed), table)?;
    let key = InputKey { security, meaning, axes: axes.clone(), values: Zeroizing::new(values), seed, root };
    write_whole(&directory.join(INPUT), &key.encode(), SECRET)?;
    let owner = owner(&key.seed);
    Ok(InputSecret { values: key.values.as_slice().into(), axes, committed, owner })
}

/// The key of a committed input.
fn input_key(directory: &Path) -> Outcome<(PathBuf, InputKey)> {
    if !has_input(directory) {
        let fix = "commit the input first: zerotell commit --input x.npz --model model.ztm --input-key DIR";
        return Err(Failure::misuse(KEY, directory.display(), "there is no committed input in it", fix));
    }
    check_mode(directory)?;
    let path = directory.join(INPUT);
    check_mode(&path)?;
    let bytes = read_bounded(&path, crate::files::FILE_BYTES)?;
    let key = InputKey::decode(&bytes).map_err(|why| damaged(&path, why))?;
    Ok((path, key))
}

/// What a committed input is called: OracleId of its identity, and the digest of what its numbers mean.
#[cfg(feature = "network")]
pub fn input_name(directory: &Path) -> Outcome<([u8; 32], [u8; 32])> {
    let (path, key) = input_key(directory)?;
    let sizing = oracle::Sizing::v1(key.security[0], key.security[1]);
    let (shape, _) = verify::input_shape(&sizing, &key.axes, true).map_err(|why| damaged(&path, why))?;
    Ok((shape.id(&key.root), key.meaning))
}

/// Opens a committed input for this program.
pub fn open_input(directory: &Path, program: &Program, meaning: &[u8; 32]) -> Outcome<InputSecret> {
    let (path, key) = input_key(directory)?;
    if key.meaning != *meaning || key.security != [program.lambda, program.grind] {
        let reason = "the input was committed for a model that reads other numbers (scale, range or shape)";
        return Err(Failure::misuse(
            OTHER_KEY,
            path.display(),
            reason,
            "commit the input again for this model",
        ));
    }
    let sizing = oracle::Sizing::v1(program.lambda, program.grind);
    let (shape, _) = verify::input_shape(&sizing, &key.axes, true).map_err(|why| damaged(&path, why))?;
    let identity = input_identity(key.security, &key.axes, &shape, key.root, &key.seed);
    let (owner, values) = (owner(&key.seed), key.values.as_slice().into());
    let build = |seed: &[u8; 32]| {
        let table = commit_input(program, &key.axes, &key.values, true, &secret(seed));
        table.map_err(|why| damaged(&path, why))
    };
    let committed = Committed::open(directory, identity, owner.clone(), &shape, build)?;
    Ok(InputSecret { values, axes: key.axes, committed, owner })
}
