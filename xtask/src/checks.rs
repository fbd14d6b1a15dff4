//! Everything CI asks for beyond the tests.

use std::process::Command;

use crate::shell::{Tally, output, run};
use crate::{counts, deps, fuzz, manual, root, tidy, wasm};

/// Seconds per fuzz target in CI.
const FUZZ_SECONDS: u32 = 10;

/// All checks.
pub fn all(tally: &mut Tally) {
    tally.step("cargo fmt --check", run(Command::new("cargo").args(["fmt", "--all", "--check"])));
    let network = ["--features", "zerotell/network"];
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet"];
    let denied = ["--", "-D", "warnings"];
    tally.step("cargo clippy", run(Command::new("cargo").args(clippy).args(network).args(denied)));
    let doc = ["doc", "--workspace", "--no-deps", "--quiet"];
    tally.step(
        "cargo doc",
        run(Command::new("cargo").args(doc).args(network).env("RUSTDOCFLAGS", "-D warnings")),
    );
    tally.findings("tidy", &tidy::findings(&root()));
    tally.findings("deps", &deps::findings());
    tally.findings("wasm", &wasm::findings(&root()));
    tally.findings("manual", &manual::findings());
    licences(tally);
    counts::check(tally);
    fuzz::all(tally, FUZZ_SECONDS);
}

/// True when the cargo subcommand is there or could be installed. It is not optimised: it works for seconds, and optimising
/// it would take minutes.
pub fn subcommand(name: &str) -> bool {
    let install = ["install", "--locked", "--debug", "--quiet", &format!("cargo-{name}")];
    output(Command::new("cargo").args([name, "--version"])).is_some()
        || run(Command::new("cargo").args(install))
}

/// Licences, sources and duplicates; then known vulnerabilities, where their list can be fetched.
fn licences(tally: &mut Tally) {
    if !subcommand("deny") {
        return tally.step("cargo deny (it could not be installed)", false);
    }
    let sure = ["deny", "--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"];
    tally.step("cargo deny check bans licenses sources", run(Command::new("cargo").args(sure)));
    let fetched = output(Command::new("timeout").args(["60", "cargo", "deny", "fetch", "db"])).is_some();
    if !fetched {
        return tally.skip("cargo deny check advisories: the list of advisories cannot be fetched here");
    }
    let advisories = ["deny", "--locked", "check", "--disable-fetch", "--hide-inclusion-graph", "advisories"];
    tally.step("cargo deny check advisories", run(Command::new("cargo").args(advisories)));
}
