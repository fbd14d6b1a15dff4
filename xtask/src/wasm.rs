//! The module that the explorer's page loads: made from `crates/browser` by Debian's compiler for wasm32, and kept beside
//! the page, so that nobody needs that compiler to build a node.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::shell::{Tally, output, run};
use crate::{debian, root, tidy};

/// Debian's linker, compiler, and its library's sources. The linker first: only a fresh list of packages has it, and the others
/// are in an old one too, too old.
const PACKAGES: [&str; 3] = ["lld-22", "rustc-web", "rust-web-src"];
const COMPILER: &str = "/usr/bin/rustc";
const LINKER: &str = "/usr/lib/llvm-22/bin/wasm-ld";
const LIBRARY: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";
const TARGET: &str = "wasm32-unknown-unknown";

/// The module, and what is known of how it was made.
const MODULE: &str = "crates/node/explorer/assets/zerotell.wasm";
const ORIGIN: &str = "crates/node/explorer/module.json";

/// Makes the module anew and notes what it is made from.
pub fn build(tally: &mut Tally) {
    if !has_tools() && !PACKAGES.iter().all(|package| debian::install(package)) {
        return tally.skip(&format!(
            "cargo xtask wasm: it needs Debian's packages {}, which could not be installed",
            PACKAGES.join(", ")
        ));
    }
    let made = compile();
    tally.step("compile the module", made.is_some());
    let Some(made) = made else { return };
    let written = std::fs::copy(&made, root().join(MODULE)).and_then(|_| {
        let text = serde_json::to_string_pretty(&origin(&root()))?;
        std::fs::write(root().join(ORIGIN), text + "\n")
    });
    tally.step("write the module", written.is_ok());
}

fn has_tools() -> bool {
    [COMPILER, LINKER, LIBRARY].iter().all(|path| Path::new(path).is_file())
}

/// Runs the compiler; the path of what it made.
fn compile() -> Option<PathBuf> {
    let folder = root().join("target/wasm");
    // Paths of one machine must not get into the bytes.
    let home =
        std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let flags = [
        format!("--remap-path-prefix={}=zerotell", root().display()),
        format!("--remap-path-prefix={}=cargo", home.unwrap_or_default()),
        "-Zlocation-detail=none".to_string(),
        // Parts of `algebra` are for vector units that this target has not.
        "-Adead_code".to_string(),
    ];
    let mut cargo = Command::new("cargo");
    cargo.args(["rustc", "--locked", "-p", "zerotell-browser", "--lib", "--crate-type", "cdylib"]);
    cargo.args(["--profile", "wasm", "--target", TARGET, "-Z", "build-std=std,panic_abort", "--target-dir"]);
    cargo.arg(&folder).env("RUSTC", COMPILER).env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", flags.join(" "));
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", LINKER);
    run(&mut cargo).then(|| folder.join(TARGET).join("wasm/zerotell_browser.wasm"))
}

/// What the module is and is made from.
fn origin(root: &Path) -> Value {
    let bytes = std::fs::read(root.join(MODULE)).unwrap_or_default();
    let compiler = output(Command::new(COMPILER).arg("--version")).unwrap_or_default();
    let compiler: Vec<&str> = compiler.split_whitespace().take(2).collect();
    json!({
        "blake3": blake3::hash(&bytes).to_hex().as_str(),
        "bytes": bytes.len(),
        "compiler": compiler.join(" "),
        "sources": sources(root),
    })
}

/// A finding when the module beside the page is not the one that was noted, or was made from other sources.
pub fn findings(root: &Path) -> Vec<String> {
    let noted = std::fs::read(root.join(ORIGIN)).unwrap_or_default();
    let noted: Value = serde_json::from_slice(&noted).unwrap_or_default();
    let bytes = std::fs::read(root.join(MODULE)).unwrap_or_default();
    let mut found = Vec::new();
    if noted["blake3"] != blake3::hash(&bytes).to_hex().as_str() || bytes.is_empty() {
        found.push(format!("{MODULE} is not the module that {ORIGIN} names"));
    }
    if noted["sources"] != sources(root) {
        found.push(format!(
            "{MODULE} was made from other sources: run `cargo xtask wasm`, and commit what it writes"
        ));
    }
    found
}

/// BLAKE3 of all that the module is made from: names and bytes of the sources and manifests of our crates, and the names
/// and versions of the packages of others.
fn sources(root: &Path) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut note = |part: &[u8]| {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes();
        hasher.update(&length).update(part);
    };
    for folder in tidy::closure("browser") {
        let folder = root.join("crates").join(folder);
        for path in [vec![folder.join("Cargo.toml")], files(&folder.join("src"))].concat() {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            note(name.as_bytes());
            note(&std::fs::read(&path).unwrap_or_default());
        }
    }
    let words = [
        "tree",
        "-p",
        "zerotell-browser",
        "-e",
        "normal",
        "--target",
        TARGET,
        "--prefix",
        "none",
        "--offline",
    ];
    let tree = output(Command::new("cargo").args(words).args(["--format", "{p}"])).unwrap_or_default();
    packages(&tree).iter().for_each(|package| note(package.as_bytes()));
    hasher.finalize().to_hex().to_string()
}

/// Names and versions of the packages of others in a tree.
fn packages(tree: &str) -> BTreeSet<String> {
    let name = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    tree.lines().map(name).filter(|name| !name.is_empty() && !name.starts_with("zerotell-")).collect()
}

/// All files below a folder, in order of their paths.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let paths = entries.map(|entry| entry.path());
    let mut all: Vec<PathBuf> =
        paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The module beside the page is made from the sources that are here.
    #[test]
    fn the_module_is_of_these_sources() {
        let found = findings(&root());
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    #[test]
    fn sources_and_packages_are_seen() {
        let ours = tidy::closure("browser");
        for name in ["browser", "certify", "ledger", "record", "verify", "algebra"] {
            assert!(ours.contains(name), "{name} is not in {ours:?}");
        }
        assert!(!ours.contains("prove") && !ours.contains("cli"));
        let tree = "zerotell-browser v0.1.0 (/x)\nblake3 v1.8.7\nsubtle v2.6.1 (*)\nblake3 v1.8.7\n";
        assert_eq!(packages(tree).len(), 2);
        assert!(files(&root().join("crates/browser/src")).len() >= 4);
    }
}
