//! How results are written.

use clap::{Args, ValueEnum};

/// Form of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// JSON; the last line of standard output is one object.
    Json,
}

/// Flags about the form of the result.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct OutputArgs {
    /// Write JSON: the last line is one object
    #[arg(long)]
    pub json: bool,
    /// Form of the result
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    pub format: Format,
}

impl OutputArgs {
    /// Whether JSON is wanted.
    pub fn json(&self) -> bool {
        self.json || self.format == Format::Json
    }
}
