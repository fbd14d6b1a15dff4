//! All tests, and the golden vectors.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Tally, run, run_counting};
use crate::{counts, debian, explorer, python};

/// Installs what the tests need; the Python to run them with.
pub fn set_up(tally: &mut Tally) -> Option<PathBuf> {
    if let Err(why) = python::onnx_cases() {
        eprintln!("{why}");
        tally.step("install ONNX's test cases", false);
    }
    if let Err(why) = counts::valgrind() {
        eprintln!("{why}");
    }
    let library = format!("/usr/lib/{}-linux-gnu/faketime/libfaketime.so.1", std::env::consts::ARCH);
    if !Path::new(&library).is_file() && !debian::install("libfaketime") {
        tally.skip("wrong clocks: libfaketime is missing and apt-get could not install it");
    }
    match python::environment() {
        Ok(python) => Some(python),
        Err(why) => {
            eprintln!("{why}");
            tally.step("make the Python environment", false);
            None
        }
    }
}

/// Runs every test: Rust's, the second verifier's in Python, the explorer's in Node and Chromium.
pub fn all(tally: &mut Tally) {
    let python = set_up(tally);
    let mut cargo = Command::new("cargo");
    // Examples are built by the lints, and no documentation holds code to run: a check finds it if one does.
    let what = ["--lib", "--bins", "--tests"];
    cargo.args(["test", "--workspace", "--features", "zerotell/network", "--no-fail-fast"]).args(what);
    if let Some(python) = &python {
        cargo.env("ZEROTELL_PYTHON", python);
    }
    let (count, success) = run_counting(&mut cargo, |line| line.starts_with("test result:"));
    tally.tests("cargo test", count, success);
    if let Some(python) = &python {
        let mut pytest = Command::new(python);
        pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "tools"]);
        let (count, success) =
            run_counting(&mut pytest, |line| line.contains(" in ") && line.contains("passed"));
        tally.tests("pytest tools", count, success);
    }
    explorer::test(tally);
}

/// Writes the golden vectors again. Review the difference: changed bytes are a changed format.
pub fn vectors(tally: &mut Tally) {
    let words = ["run", "--release", "-p", "zerotell-prove", "--example", "vectors"];
    tally.step("vectors", run(Command::new("cargo").args(words)));
    // The evidence is about one of these proofs.
    let words = ["test", "-p", "zerotell", "--lib", "golden_evidence"];
    tally.step("evidence", run(Command::new("cargo").args(words).env("ZEROTELL_WRITE_VECTORS", "1")));
    // And these are about that evidence.
    let words = ["test", "-p", "zerotell-browser", "--test", "golden"];
    tally.step("browser", run(Command::new("cargo").args(words).env("ZEROTELL_WRITE_VECTORS", "1")));
}
