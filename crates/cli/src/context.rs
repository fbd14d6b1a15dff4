//! What a proof was made for: who asked, a nonce, an end of validity, free text.
//!
//! Canonical: JSON with sorted keys and no spaces, only the keys that are given; no key, no bytes.

use std::collections::BTreeMap;

use clap::Args;

use crate::failure::{CONTEXT, Failure, Outcome};

/// Flags that bind a proof to an occasion.
#[derive(Args, Clone, Debug, Default)]
pub struct ContextArgs {
    /// Free text the proof is bound to
    #[arg(long, value_name = "TEXT", help_heading = "Context")]
    pub context: Option<String>,
    /// Who asked for the proof
    #[arg(long, value_name = "TEXT", help_heading = "Context")]
    pub asker: Option<String>,
    /// A value chosen by the asker, so that an old proof does not pass for a new one
    #[arg(long, value_name = "TEXT", help_heading = "Context")]
    pub nonce: Option<String>,
    /// Until when the proof is meant to hold, such as 2031-01-31
    #[arg(long, value_name = "TEXT", help_heading = "Context")]
    pub valid_until: Option<String>,
}

/// Key of the place of a proof among several, which the prover adds by itself.
pub const PART: &str = "part";

/// The parts of a context by name.
pub type Parts = BTreeMap<String, String>;

impl ContextArgs {
    /// The parts that are given.
    pub fn parts(&self) -> Parts {
        let all = [
            ("asker", &self.asker),
            ("nonce", &self.nonce),
            ("text", &self.context),
            ("valid_until", &self.valid_until),
        ];
        all.into_iter().filter_map(|(k, v)| Some((k.to_string(), v.clone()?))).collect()
    }

    /// Canonical bytes.
    pub fn bytes(&self) -> Outcome<Vec<u8>> {
        encode(&self.parts())
    }
}

/// Canonical bytes of parts.
pub fn encode(parts: &Parts) -> Outcome<Vec<u8>> {
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = serde_json::json!(parts).to_string().into_bytes();
    if bytes.len() as u64 > program::limits::CONTEXT {
        return Err(Failure::misuse(
            CONTEXT,
            "--context",
            format!("{} bytes", bytes.len()),
            "shorten it to 4096",
        ));
    }
    Ok(bytes)
}

/// The parts of canonical bytes; none if they are not this JSON.
pub fn read(bytes: &[u8]) -> Option<Parts> {
    if bytes.is_empty() {
        return Some(Parts::new());
    }
    let parts: Parts = serde_json::from_slice(bytes).ok()?;
    (serde_json::json!(parts).to_string().as_bytes() == bytes).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical() {
        let args =
            ContextArgs { context: Some("a \"b\"".into()), nonce: Some("7".into()), ..Default::default() };
        let bytes = args.bytes().unwrap();
        assert_eq!(bytes, br#"{"nonce":"7","text":"a \"b\""}"#);
        assert_eq!(read(&bytes).unwrap(), args.parts());
        assert!(read(br#"{"text":"a", "nonce":"7"}"#).is_none());
        assert!(read(b"\xff").is_none());
    }
}
