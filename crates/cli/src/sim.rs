//! `sim`: would cheating the network pay? Experiments on the real ledger.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::sim::Grid;
use ::sim::report::Report;
use clap::Args;

#[cfg(feature = "network")]
use crate::demo::s12::run as measure;
use crate::failure::{Failure, Outcome, USAGE};
use crate::files::{read_bounded, write_whole};

/// Most bytes of a document that is written into.
const DOCUMENT_MAX: usize = 1 << 22;
const MODE: u32 = 0o644;
/// The experiment that needs no made-up world.
const MEASURED: &str = "S12";

/// Flags of `sim`.
#[derive(Args, Clone, Debug)]
pub struct SimArgs {
    /// Experiments, S1 to S11; without any, all of them. S12, which measures real validators on this machine, only when it
    /// is named
    #[arg(value_name = "ID")]
    pub experiments: Vec<String>,
    /// All chance comes from this
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub seed: u64,
    /// The small grid, which the tests use
    #[arg(long)]
    pub small: bool,
    /// Write the pictures into this folder
    #[arg(long, value_name = "DIR")]
    pub plots: Option<PathBuf>,
    /// Write tables into this document, and pictures into the folder of its name
    #[arg(long, value_name = "FILE", conflicts_with = "plots")]
    pub document: Option<PathBuf>,
    /// First port of the validators of S12
    #[arg(long, value_name = "PORT", default_value_t = 7500)]
    pub port: u16,
}

/// What is measured and not computed: it has no place in a document whose tables a seed gives again.
fn measured(args: &SimArgs, grid: Grid) -> Outcome<Report> {
    if args.document.is_some() {
        let why = "it is measured, and would be other figures each time";
        return Err(Failure::misuse(
            USAGE,
            MEASURED,
            why,
            "leave --document out; docs/benchmarks.md has figures",
        ));
    }
    measure(grid, args.port)
}

#[cfg(not(feature = "network"))]
fn measure(_: Grid, _: u16) -> Outcome<Report> {
    let why = "it runs validators as processes, which this build of zerotell has not";
    Err(Failure::misuse(USAGE, MEASURED, why, "build it with `--features network`"))
}

/// Runs experiments.
pub fn run(args: &SimArgs) -> Outcome<ExitCode> {
    let grid = if args.small { Grid::Small } else { Grid::Full };
    let names: Vec<String> = match args.experiments.as_slice() {
        [] => ::sim::names().map(str::to_string).collect(),
        some => some.to_vec(),
    };
    let mut all_hold = true;
    for name in names {
        let report = if name.eq_ignore_ascii_case(MEASURED) {
            measured(args, grid)?
        } else {
            ::sim::run(&name, args.seed, grid)
                .map_err(|why| Failure::misuse(USAGE, &name, why, "name one of S1 to S12"))?
        };
        all_hold &= report.passes();
        match (&args.document, &args.plots) {
            (Some(document), _) => write_into(document, &report)?,
            (None, Some(folder)) => {
                println!("{}", report.text());
                pictures(folder, report.plots.iter().map(|plot| (format!("{}.svg", plot.name), plot.svg())))?;
            }
            (None, None) => println!("{}", report.text()),
        }
    }
    Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn write_into(document: &Path, report: &Report) -> Outcome<()> {
    let old = read_bounded(document, DOCUMENT_MAX)?;
    let fix = "add the two comments to the document";
    let misuse = |why: &dyn std::fmt::Display| Failure::misuse(USAGE, document.display(), why, fix);
    let old = std::str::from_utf8(&old).map_err(|why| misuse(&why))?;
    let folder = document.with_extension("");
    let shown = folder.file_name().unwrap_or_default().to_string_lossy();
    let (new, files) = ::sim::document::replaced(old, report, &shown).map_err(|why| misuse(&why))?;
    pictures(&folder, files.into_iter())?;
    write_whole(document, new.as_bytes(), MODE)
}

fn pictures(folder: &Path, files: impl Iterator<Item = (String, String)>) -> Outcome<()> {
    std::fs::create_dir_all(folder).map_err(|why| Failure::file(folder, "make", &why))?;
    for (name, svg) in files {
        write_whole(&folder.join(name), svg.as_bytes(), MODE)?;
    }
    Ok(())
}
