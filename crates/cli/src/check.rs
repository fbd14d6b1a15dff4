//! `check`, `explain` and `operators`: what can be proved, and why something cannot.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use model::graph::{DType, Graph};
use model::tensor::Tensor;
use serde_json::json;

use crate::failure::{self, Failure, Outcome, USAGE};
use crate::npz;
use crate::output::OutputArgs;
use crate::pipeline::{CompileArgs, ModelArgs, compile_graph};
use crate::progress::Progress;
use crate::text::{self, BAD, DIM, GOOD, HEAD, paint};

/// Flags of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    pub model: ModelArgs,
    /// Representative inputs: ranges are checked too
    #[arg(long, value_name = "FILE")]
    pub calibrate: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Flags of `explain`.
#[derive(Args, Clone, Debug)]
pub struct ExplainArgs {
    /// A code such as ZT013; without one, all codes are listed
    pub code: Option<String>,
}

/// Flags of `operators`.
#[derive(Args, Clone, Debug)]
pub struct OperatorsArgs {
    /// Write a Markdown table
    #[arg(long)]
    pub markdown: bool,
}

/// Codes that do not depend on the calibration data.
const STRUCTURAL: [&str; 3] = ["ZT100", "ZT105", "ZT107"];

/// Made-up inputs, for finding problems of structure without data.
fn made_up(graph: &Graph) -> Vec<Vec<Tensor>> {
    let tensor = |seed: usize, id: &model::graph::ValueId| {
        let value = graph.value(*id);
        let count: usize = value.shape.iter().product();
        let real = |i: usize| ((i * 7919 + seed * 104_729) % 1000) as f32 / 500.0 - 1.0;
        match value.dtype {
            DType::F32 => Tensor::f32(&value.shape, (0..count).map(real).collect()),
            _ => Tensor::i64(&value.shape, vec![0; count]),
        }
    };
    (0..4).map(|seed| graph.inputs.iter().map(|id| tensor(seed, id)).collect()).collect()
}

fn problems(args: &CheckArgs) -> Outcome<(Vec<String>, Option<Failure>)> {
    let loaded = match args.model.load() {
        Ok(loaded) => loaded,
        // A file that cannot be read is no verdict about a model.
        Err(failure) if failure.items.iter().any(|i| ["ZT001", failure::FILE, USAGE].contains(&i.code)) => {
            return Err(failure);
        }
        Err(failure) => return Ok((Vec::new(), Some(failure))),
    };
    let notes = loaded.imported.notes.clone();
    let compile = CompileArgs { precision: "8".into(), ..Default::default() };
    let options = compile.options(&loaded.imported, true)?;
    if let Some(path) = &args.calibrate {
        let arrays = npz::read(path)?;
        let found = compile_graph(&loaded, Some(&arrays), &options, &Progress::new(args.output.json())).err();
        return Ok((notes, found));
    }
    let found = compile::compile(&loaded.imported.graph, &made_up(&loaded.imported.graph), &options);
    let structural: Vec<_> =
        found.err().unwrap_or_default().into_iter().filter(|p| STRUCTURAL.contains(&p.code)).collect();
    Ok((notes, (!structural.is_empty()).then(|| Failure::compile(&structural))))
}

/// Runs `check`. Exit code 0: can be proved, 1: cannot.
pub fn check(args: &CheckArgs) -> Outcome<ExitCode> {
    let (notes, found) = problems(args)?;
    if args.output.json() {
        let errors = found.as_ref().map_or_else(|| json!([]), |f| f.json()["errors"].clone());
        println!("{}", json!({"provable": found.is_none(), "notes": notes, "problems": errors}));
        return Ok(ExitCode::from(u8::from(found.is_some())));
    }
    notes
        .iter()
        .for_each(|note| anstream::println!("{}", paint(DIM, format!("note: {}", text::clean(note)))));
    match &found {
        None => anstream::println!("{}  no problem found", paint(GOOD, "provable")),
        Some(failure) => {
            anstream::print!("{failure}");
            let count = failure.items.len();
            anstream::println!(
                "{}  {count} problem{}",
                paint(BAD, "not provable"),
                if count == 1 { "" } else { "s" }
            );
        }
    }
    Ok(ExitCode::from(u8::from(found.is_some())))
}

/// Every code with its text, ascending.
fn codes() -> Vec<(&'static str, String)> {
    let imported = model::codes().map(|code| (code, model::explain(code).unwrap_or_default().to_string()));
    let compiled = compile::CODES.iter().map(|(code, title, text)| (*code, format!("{title}. {text}")));
    let own = failure::CODES.iter().map(|(code, text)| (*code, (*text).to_string()));
    let mut all: Vec<_> = imported.chain(compiled).chain(own).collect();
    all.sort_unstable();
    all
}

/// Runs `explain`.
pub fn explain(args: &ExplainArgs) -> Outcome<ExitCode> {
    let Some(code) = &args.code else {
        for (code, text) in codes() {
            let first = text.split_inclusive(". ").next().unwrap_or_default();
            anstream::println!("{}  {}", paint(HEAD, code), first.trim());
        }
        return Ok(ExitCode::SUCCESS);
    };
    let wanted = code.to_ascii_uppercase();
    let found = codes().into_iter().find(|(code, _)| *code == wanted);
    let (code, text) = found.ok_or_else(|| {
        Failure::misuse(
            USAGE,
            "explain",
            format!("`{code}` is no code"),
            "run `zerotell explain` for all codes",
        )
    })?;
    anstream::println!("{}\n{}", paint(HEAD, code), text::wrap(&text, 80, "  "));
    Ok(ExitCode::SUCCESS)
}

/// Runs `operators`.
pub fn operators(args: &OperatorsArgs) -> Outcome<ExitCode> {
    if args.markdown {
        println!("| operator | opsets | notes |\n|---|---|---|");
    }
    for doc in model::operators() {
        if args.markdown {
            println!("| `{}` | {} | {} |", doc.name, doc.opsets, doc.notes.replace('|', "\\|"));
        } else {
            anstream::println!("{:<36} {:<6} {}", doc.name, doc.opsets, doc.notes);
        }
    }
    Ok(ExitCode::SUCCESS)
}
