//! Range certificates: that a model's hidden weights lie in their declared intervals.

use std::collections::BTreeMap;

use program::model_id;
use program::types::{Home, Program};
use program::wire::Statement;
use verify::{RangeRefusal, verify_ranges};

use crate::files::RangeFile;

/// What is known of a model's weights after a certificate was checked.
pub struct Certified {
    /// In words.
    pub words: String,
    /// Proven bits of the weakest part.
    pub bits: u32,
    /// Name of its weakest term.
    pub weakest: &'static str,
}

/// How many numbers of how many bits a program's hidden parameters are declared as.
#[must_use]
pub fn widths(program: &Program) -> String {
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    for tensor in program.tensors.iter().filter(|t| t.home == Home::Model) {
        // Bits of two's complement: sign and magnitude, as in int8 for -128..=127.
        let magnitude = |x: i64| 64u32.saturating_sub((if x < 0 { !x } else { x }).leading_zeros());
        let bits = magnitude(tensor.lo).max(magnitude(tensor.hi)).saturating_add(1);
        let entries = tensor.axes.iter().fold(1u64, |n, &axis| n.saturating_mul(u64::from(axis)));
        let count = counts.entry(bits).or_default();
        *count = count.saturating_add(entries);
    }
    let most = counts.keys().max().copied().unwrap_or(0);
    let Some((&bits, &count)) = counts.iter().max_by_key(|(_, count)| **count) else { return String::new() };
    let total = counts.values().fold(0u64, |n, count| n.saturating_add(*count));
    match total.saturating_sub(count) {
        0 => format!("int{bits} weights proved ({count} numbers)"),
        rest => format!("int{bits} weights proved ({count} numbers; {rest} others, up to int{most})"),
    }
}

/// Checks a certificate's bytes for the model that a statement is about. `name` spells a model's identity.
///
/// # Errors
/// Why the certificate is none for this model.
pub fn check(
    program: &Program,
    statement: &Statement,
    bytes: &[u8],
    name: impl Fn(&[u8; 32]) -> String,
) -> Result<Certified, String> {
    let file = RangeFile::decode(bytes).map_err(|why| format!("the range certificate: {why}"))?;
    let oracle = statement.identity.first().ok_or_else(|| RangeRefusal::Public.to_string())?;
    if file.model != model_id(&statement.program_digest, std::slice::from_ref(oracle)) {
        return Err(format!("the range certificate is about another model: {}", name(&file.model)));
    }
    let budget = verify_ranges(program, oracle, &file.root, &file.chain, &file.proofs)
        .map_err(|why| why.to_string())?;
    let weakest = budget.weakest();
    Ok(Certified { words: widths(program), bits: weakest.bits, weakest: weakest.name })
}
