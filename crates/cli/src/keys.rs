//! The owner's key directories and their hiding budgets.
//!
//! A key is used only after its table was built again from seed and values and gave the stored
//! root. An opening is reserved, and the count is on the disk, before a proof is started: when in
//! doubt the reservation is lost, and never used twice.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use program::Prepared;
use program::types::Program;
use prove::random::Seed;
use prove::{Table, commit_input, commit_model};
use zeroize::Zeroizing;

use crate::failure::{BUDGET, Failure, KEY, OTHER_KEY, Outcome, PROVER};
use crate::files::{BudgetFile, InputKey, ModelFile, ModelKey, Weights, read_bounded, write_whole};

const MODEL: &str = "model.key";
const INPUT: &str = "input.key";
const COUNT: &str = "budget";
const LOCK: &str = "lock";
/// The public model file inside a key directory.
pub const PUBLIC: &str = "model.ztm";
const REPORT: &str = "report.json";
/// Mode of secret files.
const SECRET: u32 = 0o600;
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
    /// The committed table.
    pub table: Table,
    /// Its budget.
    pub budget: Budget,
    /// Secret that proofs' seeds are made with.
    pub owner: Seed,
}

/// A committed input, ready to prove.
pub struct InputSecret {
    /// The integers, batch first.
    pub values: Arc<[i64]>,
    /// Axis lengths, batch included.
    pub axes: Vec<usize>,
    /// The committed table.
    pub table: Table,
    /// Its budget.
    pub budget: Budget,
    /// Secret that proofs' seeds are made with.
    pub owner: Seed,
}

/// The hiding budget of one table, on the disk.
#[derive(Clone, Debug)]
pub struct Budget {
    directory: PathBuf,
    root: [u8; 32],
    capacity: u64,
}

fn damaged(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::world(KEY, path.display(), why, DAMAGED)
}

/// Makes a directory that only the owner can enter.
pub fn private_directory(path: &Path) -> Outcome<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|e| Failure::file(path, "write", &e))?;
    check_mode(path)
}

/// Refuses files and directories that other users can reach.
fn check_mode(path: &Path) -> Outcome<()> {
    let meta = std::fs::metadata(path).map_err(|e| Failure::file(path, "read", &e))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let wanted = if meta.is_dir() { "700" } else { "600" };
    let fix = format!("chmod {wanted} {}", path.display());
    Err(Failure::world(KEY, path.display(), format!("other users can reach it (mode {mode:o})"), fix))
}

/// Waits for the directory's lock; it is released when the file is dropped.
fn lock(directory: &Path) -> Outcome<File> {
    let path = directory.join(LOCK);
    let failed = |e: std::io::Error| Failure::file(&path, "lock", &e);
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(SECRET).open(&path);
    let file = opened.map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
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
    let guard = lock(directory)?;
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
    let (root, id) = (table.root(), table.id());
    let budget = Budget::new(directory, &table, program.lambda);
    let file = ModelFile { program, oracles: vec![id] };
    budget.create()?;
    write_whole(&directory.join(PUBLIC), &file.encode(), SECRET)?;
    write_whole(&directory.join(REPORT), report.as_bytes(), SECRET)?;
    let key = ModelKey { source, program: file.program, weights, seed, root };
    write_whole(&directory.join(MODEL), &key.encode(), SECRET)?;
    let owner = owner(&key.seed);
    Ok(ModelSecret { source, weights: shared(&key.weights), program: key.program, table, budget, owner })
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
    let table = model_table(&key.program, &key.weights, &key.seed)?;
    if table.root() != key.root {
        return Err(damaged(&path, "its values do not give the root it was committed with"));
    }
    let budget = Budget::new(directory, &table, key.program.lambda);
    budget.read()?;
    let (owner, source) = (owner(&key.seed), key.source);
    Ok(ModelSecret { source, weights: shared(&key.weights), program: key.program, table, budget, owner })
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
    let budget = Budget::new(directory, &table, program.lambda);
    budget.create()?;
    let key = InputKey {
        security: [program.lambda, program.grind],
        meaning,
        axes: axes.clone(),
        values: Zeroizing::new(values),
        seed,
        root: table.root(),
    };
    write_whole(&directory.join(INPUT), &key.encode(), SECRET)?;
    let owner = owner(&key.seed);
    Ok(InputSecret { values: key.values.as_slice().into(), axes, table, budget, owner })
}

/// Opens a committed input for this program.
pub fn open_input(directory: &Path, program: &Program, meaning: &[u8; 32]) -> Outcome<InputSecret> {
    if !has_input(directory) {
        let fix = "commit the input first: zerotell commit --input x.npz --model model.ztm --input-key DIR";
        return Err(Failure::misuse(KEY, directory.display(), "there is no committed input in it", fix));
    }
    check_mode(directory)?;
    let path = directory.join(INPUT);
    check_mode(&path)?;
    let bytes = read_bounded(&path, crate::files::FILE_BYTES)?;
    let key = InputKey::decode(&bytes).map_err(|why| damaged(&path, why))?;
    if key.meaning != *meaning || key.security != [program.lambda, program.grind] {
        let reason = "the input was committed for a model that reads other numbers (scale, range or shape)";
        return Err(Failure::misuse(
            OTHER_KEY,
            path.display(),
            reason,
            "commit the input again for this model",
        ));
    }
    let table = commit_input(program, &key.axes, &key.values, true, &secret(&key.seed));
    let table = table.map_err(|why| damaged(&path, why))?;
    if table.root() != key.root {
        return Err(damaged(&path, "its values do not give the root it was committed with"));
    }
    let budget = Budget::new(directory, &table, program.lambda);
    budget.read()?;
    let (owner, values) = (owner(&key.seed), key.values.as_slice().into());
    Ok(InputSecret { values, axes: key.axes, table, budget, owner })
}

impl Budget {
    fn new(directory: &Path, table: &Table, lambda: u8) -> Self {
        let shape = table.shape();
        let capacity = shape.masks() / shape.queries(lambda).max(1);
        Self { directory: directory.to_path_buf(), root: table.root(), capacity: capacity as u64 }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(COUNT)
    }

    fn create(&self) -> Outcome<()> {
        let budget = BudgetFile { root: self.root, total: self.capacity, used: 0 };
        write_whole(&self.path(), &budget.encode(), SECRET)
    }

    /// The state on the disk.
    pub fn read(&self) -> Outcome<BudgetFile> {
        let path = self.path();
        if !path.exists() {
            return Err(damaged(&path, "the count of openings is missing"));
        }
        check_mode(&path)?;
        let bytes = read_bounded(&path, 1 << 10)?;
        let budget = BudgetFile::decode(&bytes).map_err(|why| damaged(&path, why))?;
        if budget.root != self.root || budget.total != self.capacity || budget.used > budget.total {
            return Err(damaged(&path, "the count of openings belongs to another key"));
        }
        Ok(budget)
    }

    /// Reserves one opening: the count is on the disk when this returns.
    pub fn reserve(&self) -> Outcome<BudgetFile> {
        let _guard = lock(&self.directory)?;
        let mut budget = self.read()?;
        if budget.used >= budget.total {
            let reason = format!(
                "all {} openings of this commitment are used up; another proof could show parts of what it hides",
                budget.total
            );
            let fix = format!(
                "commit the model again with a fresh key: this makes a new model ID \
                 (or raise `--openings N` at commit; now {}). For an input: commit the input again",
                budget.total
            );
            return Err(Failure::misuse(BUDGET, self.path().display(), reason, fix));
        }
        budget.used += 1;
        write_whole(&self.path(), &budget.encode(), SECRET)?;
        Ok(budget)
    }
}
