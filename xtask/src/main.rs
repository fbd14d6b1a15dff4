//! Chores of the repository: `cargo xtask <chore>`. `.ci/run` calls the same chores.

mod checks;
mod counts;
mod debian;
mod deps;
mod explorer;
mod fuzz;
mod manual;
mod python;
mod shell;
mod tests;
mod tidy;
mod wasm;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use shell::Tally;

const USAGE: &str = "\
usage: cargo xtask <chore>

  test      all tests; installs what they need first (a Python environment, ONNX's test cases)
  setup     only install what the tests need
  check     format, clippy, documentation, tidiness, dependencies, licences, counts, short fuzz runs
  ci        test, then check
  tidy      only the tidiness rules
  deps      count what the verifier stands on
  counts    instructions of fixed work against bench/counts.json; `counts --update` records them
  manual    write the generated tables of docs/manual.md again
  wasm      make the module of the explorer's page again (crates/node/explorer); needs Debian's rustc-web
  explorer  only the tests of the explorer's page
  vectors   regenerate the golden vectors (a change of theirs is a change of format)
  fuzz [s]  run every fuzz target, s seconds each (default 30)";

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut tally = Tally::default();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => tests::all(&mut tally),
        ["setup"] => {
            tests::set_up(&mut tally);
        }
        ["check"] => checks::all(&mut tally),
        ["ci"] => {
            tests::all(&mut tally);
            checks::all(&mut tally);
        }
        ["tidy"] => tally.findings("tidy", &tidy::findings(&root())),
        ["manual"] => manual::write(&mut tally),
        ["counts"] => counts::check(&mut tally),
        ["counts", "--update"] => counts::update(&mut tally),
        ["deps"] => tally.findings("deps", &deps::findings()),
        ["wasm"] => wasm::build(&mut tally),
        ["explorer"] => explorer::test(&mut tally),
        ["vectors"] => tests::vectors(&mut tally),
        ["fuzz"] => fuzz::all(&mut tally, 30),
        ["fuzz", seconds] if seconds.parse::<u32>().is_ok() => {
            fuzz::all(&mut tally, seconds.parse().unwrap_or(30));
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    tally.finish()
}
