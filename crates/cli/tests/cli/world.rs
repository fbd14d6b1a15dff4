//! A directory of its own for each test, and the binary run in it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A test's files.
pub struct World {
    /// Its directory, removed at the end.
    pub directory: tempfile::TempDir,
}

/// A file of the demo's assets.
pub fn asset(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/demo").join(name).display().to_string()
}

/// What a run gave.
pub struct Ran {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().expect("not killed"),
            out: String::from_utf8(output.stdout.clone()).expect("UTF-8"),
            err: String::from_utf8(output.stderr.clone()).expect("UTF-8"),
        }
    }

    /// The last line of standard output, as JSON.
    pub fn json(&self) -> Value {
        let line = self.out.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {}{}", self.out, self.err))
    }

    /// Insists on an exit code.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self
    }
}

impl World {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    /// A path in the test's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The binary, in the test's directory. Compiled models are shared between tests.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_zerotell"));
        command
            .current_dir(self.directory.path())
            .env("ZEROTELL_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"))
            .env("ZEROTELL_HOME", self.path("home"))
            .env("RAYON_NUM_THREADS", "2");
        command
    }

    /// Runs it with these arguments, split at spaces.
    pub fn run(&self, arguments: &str) -> Ran {
        Ran::of(&self.command().args(arguments.split_whitespace()).output().expect("it runs"))
    }

    /// Arguments that name the patients' model and how to compile it.
    pub fn model() -> String {
        format!("{} --calibrate {} --labels malignant,benign", asset("bc_mlp.onnx"), asset("bc_calib.npz"))
    }

    /// Proves patient 17 with these further arguments; the JSON line.
    pub fn prove(&self, more: &str) -> Value {
        let input = format!("--input {} --rows 17", asset("bc_test.npz"));
        let input =
            if more.contains("--input-key") || more.contains("--rows") { String::new() } else { input };
        self.run(&format!("prove {} {input} --json {more}", Self::model())).expect(0).json()
    }

    /// Verifies a proof file; the run.
    pub fn verify(&self, file: &str, more: &str) -> Ran {
        self.run(&format!("verify {file} --json {more}"))
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).expect(name);
    }
}

/// Notes a test that is left out. Not by a macro: the test runner would hide it.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// A text of a JSON value.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_string()
}
