//! Short runs of the fuzz targets, started from honest files.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checks::subcommand;
use crate::root;
use crate::shell::{Tally, output, run};

/// Runs every fuzz target for some seconds.
pub fn all(tally: &mut Tally, seconds: u32) {
    if output(Command::new("cargo").args(["+nightly", "--version"])).is_none() {
        return tally.skip("fuzzing: it needs a nightly toolchain (rustup toolchain install nightly)");
    }
    if !subcommand("fuzz") {
        return tally.skip("fuzzing: cargo-fuzz could not be installed (cargo install cargo-fuzz --locked)");
    }
    if let Err(error) = seed(&root()) {
        eprintln!("fuzz/corpus cannot be written: {error}");
        return tally.step("seed the fuzz targets", false);
    }
    let Some(targets) = output(Command::new("cargo").args(["+nightly", "fuzz", "list"])) else {
        return tally.step("cargo fuzz list", false);
    };
    for target in targets.lines() {
        let total = format!("-max_total_time={seconds}");
        let limits = [total.as_str(), "-timeout=60", "-rss_limit_mb=3000", "-max_len=262144", "-verbosity=0"];
        let mut command = Command::new("cargo");
        command.args(["+nightly", "fuzz", "run", "-O", target, "--"]).args(limits);
        tally.step(&format!("cargo fuzz run {target}"), run(&mut command));
    }
}

/// Honest inputs to start from: the golden vectors, and the models of the tests.
fn seed(root: &Path) -> std::io::Result<()> {
    for folder in listed(&root.join("vectors/proofs/v1")) {
        let part = |name: &str| std::fs::read(folder.join(name));
        if let (Ok(program), Ok(statement), Ok(proof)) =
            (part("program.bin"), part("statement.bin"), part("proof.bin"))
        {
            let whole = [framed(&program), framed(&statement), proof.clone()].concat();
            plant(root, "verify_proof", &folder, &whole)?;
            plant(root, "program_decode", &folder, &program)?;
            plant(root, "statement_decode", &folder, &statement)?;
            plant(root, "files_parse", &folder, &proof_file([&program, &[], &statement, &proof]))?;
        }
    }
    for file in listed(&root.join("vectors/certificate/v1")) {
        plant(root, "certificate_check", &file, &std::fs::read(&file)?)?;
    }
    for file in listed(&root.join("vectors/evidence/v1")) {
        let kind = if file.extension().is_some_and(|e| e == "json") { b"s" } else { b"f" };
        let bytes = std::fs::read(&file)?;
        plant(root, "evidence_parse", &file, &[kind, bytes.as_slice()].concat())?;
        for (name, start, end) in MEMBERS {
            let whole = [name.as_bytes(), between(&bytes, start, end)].concat();
            plant(root, "evidence_parse", Path::new(name), &whole)?;
        }
    }
    for folder in ["crates/model/tests/data", "assets/demo"] {
        for file in
            listed(&root.join(folder)).iter().filter(|file| file.extension().is_some_and(|e| e == "onnx"))
        {
            plant(root, "onnx_parse", file, &std::fs::read(file)?)?;
        }
    }
    for file in
        listed(&root.join("assets/demo")).iter().filter(|file| file.extension().is_some_and(|e| e == "npz"))
    {
        plant(root, "arrays_parse", file, &std::fs::read(file)?)?;
    }
    Ok(())
}

/// Members of an evidence file that lie in it as they are: the letter of their kind, how they start and end.
const MEMBERS: [(&str, &str, &str); 3] = [
    ("e", "{\"dsseEnvelope\"", "}}}"),
    ("z", "{\"accuracy\"", "}"),
    ("k", "-----BEGIN PUBLIC KEY", "-----END PUBLIC KEY-----\n"),
];

/// The bytes from the first `start` to the next `end`, both included; nothing if they are not there.
fn between<'a>(bytes: &'a [u8], start: &str, end: &str) -> &'a [u8] {
    let find = |word: &str, from: usize| {
        let rest = bytes.get(from..)?;
        rest.windows(word.len()).position(|part| part == word.as_bytes()).map(|at| from + at)
    };
    let found = find(start, 0).and_then(|from| Some((from, find(end, from)? + end.len())));
    found.and_then(|(from, to)| bytes.get(from..to)).unwrap_or_default()
}

/// A `.ztp` file.
fn proof_file(parts: [&[u8]; 4]) -> Vec<u8> {
    let mut bytes = b"ZTPF\x03\x00".to_vec();
    for part in parts {
        bytes.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// A u32 length, then the bytes: the container of the target `verify_proof`.
fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
    [length.as_slice(), bytes].concat()
}

fn plant(root: &Path, target: &str, source: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let corpus = root.join("fuzz/corpus").join(target);
    std::fs::create_dir_all(&corpus)?;
    std::fs::write(corpus.join(source.file_stem().unwrap_or_default()), bytes)
}

fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(Result::ok).map(|entry| entry.path()).collect()
}
