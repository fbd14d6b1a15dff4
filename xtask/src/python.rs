//! What the tests need from outside: a Python environment and ONNX's own test cases.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debian;
use crate::shell::run;

/// Where Debian's package puts ONNX's backend cases.
const ONNX_CASES: &str = "/usr/share/libonnx-testdata/data/node";

/// Makes `.venv` when it is missing or older than `requirements-test.txt`; the path of its Python.
pub fn environment() -> Result<PathBuf, String> {
    let root = crate::root();
    let venv = root.join(".venv");
    let python = venv.join("bin").join("python");
    let wanted = std::fs::read_to_string(root.join("requirements-test.txt"))
        .map_err(|error| format!("requirements-test.txt cannot be read: {error}"))?;
    let stamp = venv.join("installed.txt");
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    if !run(Command::new("python3").args(["-m", "venv", "--clear", ".venv"])) {
        return Err("python3 cannot make a virtual environment: install Python 3.11 or newer with its venv \
                    module (Debian: apt-get install python3-venv), then run again"
            .to_string());
    }
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements-test.txt"];
    if !run(Command::new(&python).args(install)) {
        return Err("pip cannot install requirements-test.txt into .venv: see its message above; a network \
                    connection and Python 3.11 or newer are needed"
            .to_string());
    }
    std::fs::write(&stamp, wanted)
        .map_err(|error| format!("{} cannot be written: {error}", stamp.display()))?;
    Ok(python)
}

/// Installs ONNX's backend cases when they are missing.
pub fn onnx_cases() -> Result<(), String> {
    if std::env::var_os("ZEROTELL_ONNX_TESTDATA").is_some() || Path::new(ONNX_CASES).is_dir() {
        return Ok(());
    }
    if debian::install("libonnx-testdata") {
        return Ok(());
    }
    Err("ONNX's test cases are missing and apt-get could not install them: install Debian's package \
         libonnx-testdata (as root: apt-get install libonnx-testdata), or unpack it anywhere and set \
         ZEROTELL_ONNX_TESTDATA to its `data` directory"
        .to_string())
}
