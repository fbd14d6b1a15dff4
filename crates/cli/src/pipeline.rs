//! From files to a compiled model: import, calibration data, compiler, cache.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use compile::{Options, Precision, Report};
use model::{ImportOptions, Imported};
use program::types::Program;

use crate::failure::{Failure, MODEL_FILE, Outcome, USAGE};
use crate::files::{CacheEntry, Weights, read_bounded};
use crate::npz::Arrays;
use crate::progress::Progress;
use crate::{cache, data, npz};

/// Flags that say which model and how its symbolic parts are read.
#[derive(Args, Clone, Debug)]
pub struct ModelArgs {
    /// The model, an ONNX file
    #[arg(value_name = "MODEL.onnx")]
    pub model: PathBuf,
    /// Length of a symbolic dimension (repeat for more)
    #[arg(long = "dim", value_name = "NAME=N")]
    pub dims: Vec<String>,
}

/// Flags of the compiler.
#[derive(Args, Clone, Debug, Default)]
pub struct CompileArgs {
    /// Representative inputs (.npz, .npy, .json, .csv); a float model needs them
    #[arg(long, value_name = "FILE", help_heading = "Compiling")]
    pub calibrate: Option<PathBuf>,
    /// Bits of weights and activations: auto, 8, 16, or two numbers such as 8x12
    #[arg(long, value_name = "BITS", default_value = "auto", help_heading = "Compiling")]
    pub precision: String,
    /// Refuse if fewer labels than this share agree with the float model
    #[arg(long, value_name = "SHARE", help_heading = "Compiling")]
    pub min_agreement: Option<f64>,
    /// Names of the classes: a list with commas, or a file with one name per line
    #[arg(long, value_name = "NAMES", help_heading = "Compiling")]
    pub labels: Option<String>,
    /// Compile anew, whatever the cache holds
    #[arg(long, help_heading = "Compiling")]
    pub no_cache: bool,
}

/// An imported model.
pub struct Loaded {
    /// The graph and what came with it.
    pub imported: Imported,
    /// Digest of the model file, its external data and the dimensions.
    pub source: [u8; 32],
}

/// A compiled model.
pub struct Ready {
    /// The program.
    pub program: Program,
    /// Private parameters.
    pub weights: Weights,
    /// The accuracy report.
    pub report: Report,
    /// Graph node of each operator.
    pub nodes: Vec<String>,
    /// Whether the cache had it.
    pub cached: bool,
    /// Milliseconds it took.
    pub compile_ms: f64,
}

fn hash_framed(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

impl ModelArgs {
    fn import_options(&self) -> Outcome<ImportOptions> {
        let mut dims = BTreeMap::new();
        for text in &self.dims {
            let parsed = text.split_once('=').and_then(|(name, n)| Some((name.to_string(), n.parse().ok()?)));
            let Some((name, n)) = parsed else {
                return Err(Failure::misuse(
                    USAGE,
                    "--dim",
                    format!("`{text}` is not NAME=N"),
                    "write --dim batch=1",
                ));
            };
            dims.insert(name, n);
        }
        Ok(ImportOptions { dims, keep_quantized: true, ..Default::default() })
    }

    /// Imports the model.
    pub fn load(&self) -> Outcome<Loaded> {
        let options = self.import_options()?;
        let imported = model::load(&self.model, &options).map_err(|problems| Failure::import(&problems))?;
        let mut hasher = blake3::Hasher::new();
        hash_framed(&mut hasher, &read_bounded(&self.model, crate::files::FILE_BYTES)?);
        for path in &imported.external {
            hash_framed(&mut hasher, &read_bounded(path, usize::MAX)?);
        }
        hash_framed(&mut hasher, format!("{:?}", options.dims).as_bytes());
        Ok(Loaded { imported, source: *hasher.finalize().as_bytes() })
    }
}

impl CompileArgs {
    fn precision(&self) -> Outcome<Precision> {
        let wrong = || {
            let reason = format!("`{}` is no precision", self.precision);
            Failure::misuse(USAGE, "--precision", reason, "write auto, 8, 16 or two numbers such as 8x12")
        };
        let number = |text: &str| text.parse::<u8>().map_err(|_| wrong());
        match self.precision.split_once('x') {
            _ if self.precision == "auto" => Ok(Precision::Auto),
            Some((w, a)) => Ok(Precision::Bits { weights: number(w)?, activations: number(a)? }),
            None => {
                let bits = number(&self.precision)?;
                Ok(Precision::Bits { weights: bits, activations: bits })
            }
        }
    }

    fn label_names(&self) -> Outcome<Option<Vec<String>>> {
        let Some(text) = &self.labels else { return Ok(None) };
        let path = PathBuf::from(text);
        if !path.is_file() {
            return Ok(Some(text.split(',').map(|s| s.trim().to_string()).collect()));
        }
        let bytes = read_bounded(&path, 1 << 20)?;
        let all = String::from_utf8_lossy(&bytes);
        Ok(Some(all.lines().map(|s| s.trim().to_string()).filter(|s| !s.is_empty()).collect()))
    }

    /// The compiler's options for a model.
    pub fn options(&self, imported: &Imported, private: bool) -> Outcome<Options> {
        let mut options = Options {
            precision: self.precision()?,
            weights_private: private,
            min_agreement: self.min_agreement,
            ..Default::default()
        };
        if let Some(names) = self.label_names()?.or_else(|| imported.labels.clone()) {
            options.labels.insert(0, names);
        }
        Ok(options)
    }

    /// Compiles a model, or takes it from the cache.
    pub fn compile(&self, loaded: &Loaded, private: bool, progress: &Progress) -> Outcome<Ready> {
        let options = self.options(&loaded.imported, private)?;
        let calibration = match &self.calibrate {
            Some(path) => Some((read_bounded(path, crate::files::FILE_BYTES)?, npz::read(path)?)),
            None => None,
        };
        let mut hasher = blake3::Hasher::new();
        hash_framed(&mut hasher, &cache::tool());
        hash_framed(&mut hasher, &loaded.source);
        hash_framed(&mut hasher, calibration.as_ref().map_or(&[], |(bytes, _)| bytes));
        hash_framed(&mut hasher, format!("{options:?}").as_bytes());
        let key = *hasher.finalize().as_bytes();
        let started = Instant::now();
        if !self.no_cache
            && let Some(ready) = cache::get(&key).and_then(Ready::from_cache)
        {
            return Ok(Ready { compile_ms: ms(started), ..ready });
        }
        let arrays = calibration.map(|(_, arrays)| arrays);
        let mut ready = compile_graph(loaded, arrays.as_ref(), &options, progress)?;
        ready.compile_ms = ms(started);
        Ok(self.keep(key, ready))
    }

    /// Puts a compiled model into the cache. A cache that cannot be written costs time only.
    fn keep(&self, key: [u8; 32], mut ready: Ready) -> Ready {
        let entry = CacheEntry {
            key,
            program: ready.program,
            weights: std::mem::take(&mut ready.weights),
            report: ready.report.to_json(),
            nodes: ready.nodes,
        };
        if !self.no_cache {
            cache::put(&entry);
        }
        Ready { program: entry.program, weights: entry.weights, nodes: entry.nodes, ..ready }
    }
}

impl Ready {
    fn from_cache(entry: CacheEntry) -> Option<Self> {
        program::validate(&entry.program).ok()?;
        let report = serde_json::from_str(&entry.report).ok()?;
        Some(Self {
            program: entry.program,
            weights: entry.weights,
            report,
            nodes: entry.nodes,
            cached: true,
            compile_ms: 0.0,
        })
    }
}

/// Openings a model's commitment has room for unless told otherwise.
pub const OPENINGS: usize = 32;

/// Compiles without the cache.
pub fn compile_graph(
    loaded: &Loaded,
    arrays: Option<&Arrays>,
    options: &Options,
    progress: &Progress,
) -> Outcome<Ready> {
    let graph = &loaded.imported.graph;
    let mut samples = Vec::new();
    if let Some(arrays) = arrays {
        let rows = data::graph_rows(arrays, graph)?;
        let count = rows.first().map_or(0, |rows| rows.count);
        samples = (0..count).map(|i| data::sample(graph, &rows, i)).collect();
    }
    let _phase = progress.phase("compile", None);
    let compiled =
        compile::compile(graph, &samples, options).map_err(|problems| Failure::compile(&problems))?;
    let mut program = compiled.program;
    tune(&mut program, OPENINGS, true)?;
    Ok(Ready {
        program,
        weights: Weights(compiled.weights),
        report: compiled.report,
        nodes: compiled.nodes,
        cached: false,
        compile_ms: 0.0,
    })
}

/// Chooses the oracles' parameters of a program by the cost model, with room for `openings` openings
/// of the model, with or without masks.
pub fn tune(program: &mut Program, openings: usize, zk: bool) -> Outcome<()> {
    prove::tune(program, openings, zk).map_err(|problem| {
        Failure::misuse(MODEL_FILE, "program", problem, "reduce the model, or ask for fewer openings")
    })
}

/// Milliseconds since then.
pub fn ms(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}
