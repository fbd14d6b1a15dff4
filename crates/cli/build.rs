//! Names what the verifier is built from: BLAKE3 of the lock file and of the sources of every crate that a
//! verdict rests on. A statement carries it, so that a reader can tell builds of one version apart.

use std::path::{Path, PathBuf};

/// Crates that decide what is accepted and what a statement says.
const CRATES: [&str; 10] =
    ["algebra", "tape", "sumcheck", "lookup", "oracle", "program", "verify", "record", "compile", "cli"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    for path in entries.map(|entry| entry.path()) {
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = vec![root.join("Cargo.lock")];
    for name in CRATES {
        let folder = root.join("crates").join(name).join("src");
        println!("cargo::rerun-if-changed={}", folder.display());
        sources(&folder, &mut found);
    }
    println!("cargo::rerun-if-changed={}", root.join("Cargo.lock").display());
    found.sort();
    let mut hasher = blake3::Hasher::new();
    for path in &found {
        let name = path.strip_prefix(&root).unwrap_or(path).to_string_lossy().replace('\\', "/");
        // A file that cannot be read would be no part of the build either.
        let content = std::fs::read(path).unwrap_or_default();
        for part in [name.as_bytes(), &content] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
    }
    println!("cargo::rustc-env=ZEROTELL_BUILD_INPUTS={}", hasher.finalize().to_hex());
}
