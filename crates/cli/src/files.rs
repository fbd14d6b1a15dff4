//! Files of the command line, byte for byte.
//!
//! All numbers are little endian. `fr` is a `u64` length and the bytes. Every length is compared
//! with 2^31 and with what is left of the file before memory is allocated. Trailing bytes are
//! refused. A `checksum` is the BLAKE3 hash of all bytes before it; it finds damage, it is no
//! protection against someone who may write the file.
//!
//! Public files, beside proof files and range certificates, which are in the crate `dossier`:
//!
//! | model file `.ztm` | bytes |
//! |---|---|
//! | name, version | `"ZTMF"`, `u16` 1 |
//! | program | fr(Program with contents) |
//! | oracles | `u8` count (0 or 1), 32-byte identities |
//!
//! Secret files, mode 0600 in a directory of mode 0700:
//!
//! | `model.key` | bytes |
//! |---|---|
//! | name, version | `"ZTMK"`, `u16` 1 |
//! | source | 32-byte digest of the model file, its external data and the import options |
//! | program | fr(Program with contents) |
//! | weights | `u32` count; each `u32` tensor number, entries |
//! | seed | 32 bytes |
//! | root | 32-byte root of the committed table |
//! | checksum | 32 bytes |
//!
//! | `input.key` | bytes |
//! |---|---|
//! | name, version | `"ZTIK"`, `u16` 1 |
//! | parameters | `u8` lambda, `u8` grind |
//! | meaning | 32-byte BLAKE3 hash of the input's part of the metadata (JSON, sorted keys) |
//! | axes | `u32` count, `u32` axis lengths, batch included |
//! | values | entries |
//! | seed, root, checksum | 32 bytes each |
//!
//! | `budget` | bytes |
//! |---|---|
//! | name, version | `"ZTEP"`, `u16` 1 |
//! | next | `u32` number of the next epoch |
//! | commitments | `u32` count; each: `u32` number; root, root of the parent (zero for the identity), seed (zero if it is of no use): 32 bytes each; total, used, children: `u64` openings |
//! | checksum | 32 bytes |
//!
//! A `budget` of before there were epochs, `"ZTBU"`, `u16` 1, root, total, used, checksum, is read as
//! that of an identity without epochs.
//!
//! | `link-….ztl` | bytes |
//! |---|---|
//! | name, version | `"ZTLN"`, `u16` 1 |
//! | statement, proof | fr(link statement), fr(link proof) |
//! | checksum | 32 bytes |
//!
//! | `links.accepted` (of a verifier) | bytes |
//! |---|---|
//! | name, version | `"ZTLA"`, `u16` 1 |
//! | entries | fr(32-byte keyed hashes) |
//! | checksum | 32 bytes |
//!
//! | cache entry | bytes |
//! |---|---|
//! | name, version | `"ZTCA"`, `u16` 1 |
//! | key | 32 bytes |
//! | program | fr(Program with contents) |
//! | weights | as in `model.key` |
//! | report | fr(JSON) |
//! | nodes | fr(JSON list of names, one per operator) |
//! | checksum | 32 bytes |
//!
//! entries: `u8` width (1, 2, 4 or 8), `u64` count, the entries in that width, two's complement.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use dossier::bytes::{Parsed, Reader, Writer};
pub use dossier::files::{ProofFile, RangeFile, decode_proof, encode_proof};
use program::types::Program;
use program::wire;
use verify::{Link, LinkStatement};
use zeroize::{Zeroize, Zeroizing};

use crate::epochs::{Commitment, Commitments};
use crate::failure::{Failure, Outcome};

/// Longest file that is read.
pub const FILE_BYTES: usize = 1 << 32;

/// Private parameters by tensor number; zeroised on drop, no `Debug`.
#[derive(Default)]
pub struct Weights(pub BTreeMap<u32, Vec<i64>>);

impl Drop for Weights {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

/// What a model file holds: all a verifier needs to name a model.
pub struct ModelFile {
    /// The program, with contents.
    pub program: Program,
    /// Identities of its long-term oracles.
    pub oracles: Vec<[u8; 32]>,
}

/// The owner's secret of a committed model.
pub struct ModelKey {
    /// Digest of what it was compiled from.
    pub source: [u8; 32],
    /// The program.
    pub program: Program,
    /// Private parameters.
    pub weights: Weights,
    /// Seed of the table.
    pub seed: Zeroizing<[u8; 32]>,
    /// Root of the table.
    pub root: [u8; 32],
}

/// The owner's secret of a committed input.
pub struct InputKey {
    /// λ and g of the table.
    pub security: [u8; 2],
    /// Digest of what the integers mean.
    pub meaning: [u8; 32],
    /// Axis lengths, batch included.
    pub axes: Vec<usize>,
    /// The integers.
    pub values: Zeroizing<Vec<i64>>,
    /// Seed of the table.
    pub seed: Zeroizing<[u8; 32]>,
    /// Root of the table.
    pub root: [u8; 32],
}

/// A compiled model in the cache.
pub struct CacheEntry {
    /// Name of the entry.
    pub key: [u8; 32],
    /// The program.
    pub program: Program,
    /// Private parameters.
    pub weights: Weights,
    /// The accuracy report as JSON.
    pub report: String,
    /// Graph node of each operator.
    pub nodes: Vec<String>,
}

// ---- writing ----

/// What only files of the owner hold.
trait Numbers {
    fn entries(&mut self, values: &[i64]);
    fn weights(&mut self, weights: &Weights);
}

impl Numbers for Writer {
    fn entries(&mut self, values: &[i64]) {
        let fits = |bits: u32| values.iter().all(|&v| (v >> (bits - 1)) == 0 || (v >> (bits - 1)) == -1);
        let width = [1usize, 2, 4].into_iter().find(|&w| fits(8 * w as u32)).unwrap_or(8);
        self.put(&[width as u8]);
        self.put(&(values.len() as u64).to_le_bytes());
        values.iter().for_each(|v| self.put(&v.to_le_bytes()[..width]));
    }

    fn weights(&mut self, weights: &Weights) {
        self.put(&(weights.0.len() as u32).to_le_bytes());
        for (tensor, values) in &weights.0 {
            self.put(&tensor.to_le_bytes());
            self.entries(values);
        }
    }
}

impl ModelFile {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new(b"ZTMF");
        w.framed(&wire::encode_with_contents(&self.program));
        w.put(&[self.oracles.len() as u8]);
        self.oracles.iter().for_each(|id| w.put(id));
        w.done().to_vec()
    }

    /// The model's identity.
    pub fn identity(&self) -> [u8; 32] {
        wire::model_id(&self.program.digest(), &self.oracles)
    }
}

impl ModelKey {
    /// Its bytes.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut w = Writer::new(b"ZTMK");
        w.put(&self.source);
        w.framed(&wire::encode_with_contents(&self.program));
        w.weights(&self.weights);
        w.put(&self.seed[..]);
        w.put(&self.root);
        w.sealed()
    }
}

impl InputKey {
    /// Its bytes.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut w = Writer::new(b"ZTIK");
        w.put(&self.security);
        w.put(&self.meaning);
        w.put(&(self.axes.len() as u32).to_le_bytes());
        self.axes.iter().for_each(|&axis| w.put(&(axis as u32).to_le_bytes()));
        w.entries(&self.values);
        w.put(&self.seed[..]);
        w.put(&self.root);
        w.sealed()
    }
}

/// Bytes of the commitments of a key.
pub fn encode_commitments(state: &Commitments) -> Zeroizing<Vec<u8>> {
    let mut w = Writer::new(b"ZTEP");
    w.put(&state.next.to_le_bytes());
    w.put(&(state.list.len() as u32).to_le_bytes());
    for one in &state.list {
        w.put(&one.number.to_le_bytes());
        w.put(&one.root);
        w.put(&one.parent);
        w.put(&one.seed[..]);
        [one.total, one.used, one.children].iter().for_each(|n| w.put(&n.to_le_bytes()));
    }
    w.sealed()
}

/// Bytes of a link's file.
pub fn encode_link(link: &Link) -> Zeroizing<Vec<u8>> {
    let mut w = Writer::new(b"ZTLN");
    w.framed(&link.statement.encode());
    w.framed(&link.proof);
    w.sealed()
}

/// Bytes of the hashes of accepted links.
pub fn encode_accepted(entries: &[[u8; 32]]) -> Zeroizing<Vec<u8>> {
    let mut w = Writer::new(b"ZTLA");
    w.framed(entries.as_flattened());
    w.sealed()
}

/// Reads the hashes of accepted links.
pub fn decode_accepted(bytes: &[u8]) -> Parsed<Vec<[u8; 32]>> {
    let mut r = Reader::sealed(bytes, b"ZTLA")?;
    let (entries, rest) = r.framed()?.as_chunks::<32>();
    r.end()?;
    if rest.is_empty() { Ok(entries.to_vec()) } else { Err("an entry in it is cut short".into()) }
}

impl CacheEntry {
    /// Its bytes.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut w = Writer::new(b"ZTCA");
        w.put(&self.key);
        w.framed(&wire::encode_with_contents(&self.program));
        w.weights(&self.weights);
        w.framed(self.report.as_bytes());
        w.framed(serde_json::json!(self.nodes).to_string().as_bytes());
        w.sealed()
    }
}

// ---- reading ----

/// As [`Numbers`], for whoever reads.
trait ReadNumbers {
    fn entries(&mut self) -> Parsed<Vec<i64>>;
    fn weights(&mut self) -> Parsed<Weights>;
}

impl ReadNumbers for Reader<'_> {
    fn entries(&mut self) -> Parsed<Vec<i64>> {
        let width = usize::from(self.array::<1>()?[0]);
        if !matches!(width, 1 | 2 | 4 | 8) {
            return Err("the width of a number list is wrong".into());
        }
        let count = self.length(width as u64)?;
        let shift = 64 - 8 * width as u32;
        let entry = |part: &[u8]| {
            let mut word = [0; 8];
            word[..width].copy_from_slice(part);
            (i64::from_le_bytes(word) << shift) >> shift
        };
        Ok(self.take(count * width)?.chunks_exact(width).map(entry).collect())
    }

    fn weights(&mut self) -> Parsed<Weights> {
        let mut weights = Weights::default();
        for _ in 0..self.u32()? {
            let tensor = self.u32()?;
            weights.0.insert(tensor, self.entries()?);
        }
        Ok(weights)
    }
}

impl ModelFile {
    /// Reads a model file.
    pub fn decode(bytes: &[u8]) -> Parsed<Self> {
        let mut r = Reader::new(bytes, b"ZTMF")?;
        let program = r.program()?;
        let count = usize::from(r.array::<1>()?[0]);
        if count != usize::from(program.model_oracle.is_some()) {
            return Err("it names another number of oracles than its program has".into());
        }
        let oracles = (0..count).map(|_| r.array()).collect::<Parsed<_>>()?;
        r.end()?;
        Ok(Self { program, oracles })
    }
}

impl ModelKey {
    /// Reads a model key.
    pub fn decode(bytes: &[u8]) -> Parsed<Self> {
        let mut r = Reader::sealed(bytes, b"ZTMK")?;
        let (source, program, weights) = (r.array()?, r.program()?, r.weights()?);
        let (seed, root) = (Zeroizing::new(r.array()?), r.array()?);
        r.end()?;
        Ok(Self { source, program, weights, seed, root })
    }
}

impl InputKey {
    /// Reads an input key.
    pub fn decode(bytes: &[u8]) -> Parsed<Self> {
        let mut r = Reader::sealed(bytes, b"ZTIK")?;
        let (security, meaning) = (r.array()?, r.array()?);
        let count = r.u32()?;
        if u64::from(count) > program::limits::AXES {
            return Err("it has too many axes".into());
        }
        let axes = (0..count).map(|_| r.u32().map(|n| n as usize)).collect::<Parsed<_>>()?;
        let values = Zeroizing::new(r.entries()?);
        let (seed, root) = (Zeroizing::new(r.array()?), r.array()?);
        r.end()?;
        Ok(Self { security, meaning, axes, values, seed, root })
    }
}

/// Reads the commitments of a key.
pub fn decode_commitments(bytes: &[u8]) -> Parsed<Commitments> {
    if bytes.starts_with(b"ZTBU") {
        return decode_budget(bytes);
    }
    let mut r = Reader::sealed(bytes, b"ZTEP")?;
    let mut state = Commitments { next: r.u32()?, list: Vec::new() };
    for _ in 0..r.u32()? {
        let (number, root, parent) = (r.u32()?, r.array()?, r.array()?);
        let (seed, total, used, children) = (Zeroizing::new(r.array()?), r.u64()?, r.u64()?, r.u64()?);
        if used > total || children > used {
            return Err("a count in it is larger than it can be".into());
        }
        state.list.push(Commitment { number, root, parent, seed, total, used, children });
    }
    r.end()?;
    Ok(state)
}

/// A budget of before there were epochs.
fn decode_budget(bytes: &[u8]) -> Parsed<Commitments> {
    let mut r = Reader::sealed(bytes, b"ZTBU")?;
    let (root, total, used) = (r.array()?, r.u64()?, r.u64()?);
    r.end()?;
    let mut state = Commitments::new(root, total);
    if used > total {
        return Err("a count in it is larger than it can be".into());
    }
    state.list.iter_mut().for_each(|one| one.used = used);
    Ok(state)
}

/// Reads a link's file.
pub fn decode_link(bytes: &[u8]) -> Parsed<Link> {
    let mut r = Reader::sealed(bytes, b"ZTLN")?;
    let statement = LinkStatement::decode(r.framed()?).map_err(|e| e.to_string())?;
    let proof = r.framed()?.to_vec();
    r.end()?;
    Ok(Link { statement, proof })
}

impl CacheEntry {
    /// Reads a cache entry.
    pub fn decode(bytes: &[u8]) -> Parsed<Self> {
        let mut r = Reader::sealed(bytes, b"ZTCA")?;
        let (key, program, weights) = (r.array()?, r.program()?, r.weights()?);
        let (report, nodes) = (r.text()?, r.text()?);
        r.end()?;
        let nodes = serde_json::from_str(&nodes).map_err(|e| e.to_string())?;
        Ok(Self { key, program, weights, report, nodes })
    }
}

// ---- the disk ----

/// Reads a regular file of at most `most` bytes.
pub fn read_bounded(path: &Path, most: usize) -> Outcome<Zeroizing<Vec<u8>>> {
    let failed = |e: std::io::Error| Failure::file(path, "read", &e);
    let file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    if !meta.is_file() || meta.len() > most as u64 {
        let why = if meta.is_file() { "it is too large" } else { "it is not a regular file" };
        return Err(Failure::misuse(crate::failure::FILE, path.display(), why, "check the path"));
    }
    // Room for all bytes at once: a growing buffer would leave copies of secrets behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(meta.len() as usize + 1));
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > most {
        return Err(Failure::misuse(
            crate::failure::FILE,
            path.display(),
            "it is too large",
            "check the path",
        ));
    }
    Ok(bytes)
}

/// Makes the change of a directory's entries durable.
fn sync_directory(path: &Path) -> Outcome<()> {
    let synced = File::open(path).and_then(|d| d.sync_all());
    synced.map_err(|e| Failure::file(path, "write", &e))
}

/// Writes a file that is there wholly or not at all: a temporary file, synced, renamed, the
/// directory synced. `mode` is its permissions.
pub fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Outcome<()> {
    let failed = |e: std::io::Error| Failure::file(path, "write", &e);
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let random = crate::random::bytes()?;
    let short: String = random[..6].iter().map(|b| format!("{b:02x}")).collect();
    let temporary = directory.join(format!(".{name}.{short}.tmp"));
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    };
    if let Err(e) = write() {
        // The temporary file is of no use; that it cannot be removed changes nothing.
        let _ = std::fs::remove_file(&temporary);
        return Err(failed(e));
    }
    sync_directory(&directory)
}

/// Writes a file that must not be there yet: nothing is ever overwritten.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Outcome<()> {
    let failed = |e: std::io::Error| Failure::file(path, "write", &e);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    if let Err(e) = file.write_all(bytes).and_then(|()| file.sync_all()) {
        // Half a file would stand in the way of the next try.
        let _ = std::fs::remove_file(path);
        return Err(failed(e));
    }
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_directory(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_every_width() {
        for values in
            [vec![], vec![-128, 127], vec![-129], vec![i64::from(i32::MIN)], vec![i64::MIN, i64::MAX, 0]]
        {
            let mut w = Writer::new(b"TEST");
            w.entries(&values);
            let bytes = w.done();
            let mut r = Reader::new(&bytes, b"TEST").unwrap();
            assert_eq!(r.entries().unwrap(), values);
            r.end().unwrap();
        }
    }

    #[test]
    fn every_damage_to_a_budget_is_seen() {
        let mut state = Commitments::new([7; 32], 32);
        state.list[0].used = 5;
        let bytes = encode_commitments(&state);
        let read = decode_commitments(&bytes).unwrap();
        assert_eq!((read.next, read.list.len(), read.list[0].used), (1, 1, 5));
        for at in 0..bytes.len() {
            let mut other = bytes.to_vec();
            other[at] ^= 1;
            assert!(decode_commitments(&other).is_err(), "byte {at}");
            assert!(decode_commitments(&bytes[..at]).is_err(), "cut at {at}");
        }
        state.list[0].used = 33;
        assert!(decode_commitments(&encode_commitments(&state)).is_err());
    }

    #[test]
    fn budgets_of_before_epochs_are_read() {
        let mut w = Writer::new(b"ZTBU");
        w.put(&[7; 32]);
        [32u64, 5].iter().for_each(|n| w.put(&n.to_le_bytes()));
        let read = decode_commitments(&w.sealed()).unwrap();
        let [one] = read.list.as_slice() else { panic!() };
        assert_eq!((one.root, one.total, one.used, one.children), ([7; 32], 32, 5, 0));
    }

    #[test]
    fn a_huge_length_is_refused_before_memory_is_taken() {
        let mut bytes = b"ZTPF\x03\x00".to_vec();
        bytes.extend(u64::MAX.to_le_bytes());
        assert!(decode_proof(&bytes).err().unwrap().contains("larger than the file"));
    }
}
