//! Words on the screen: identities, sizes, times, columns, colours.

use anstyle::{AnsiColor, Style};
use bech32::{Bech32m, Hrp};

pub use record::clean;
pub use record::json::hex;

use crate::failure::{Failure, IDENTITY, Outcome};

/// Style of good news.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Style of bad news.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// Style of headings.
pub const HEAD: Style = Style::new().bold();
/// Style of side remarks.
pub const DIM: Style = Style::new().dimmed();

/// Milliseconds of an hour.
const HOUR: f64 = 3_600_000.0;

/// Human-readable start of a model ID.
const MODEL: &str = "zt";
/// Human-readable start of an input ID.
const INPUT: &str = "zti";

/// `text` in a style; a stream that is no terminal drops it.
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

fn id(hrp: &str, bytes: &[u8; 32]) -> String {
    // Both parts are fixed here and always fit; an empty text would name nothing.
    Hrp::parse(hrp).ok().and_then(|hrp| bech32::encode::<Bech32m>(hrp, bytes).ok()).unwrap_or_default()
}

/// A model ID: bech32m, `zt1…`.
pub fn model_id(identity: &[u8; 32]) -> String {
    id(MODEL, identity)
}

/// An input ID: bech32m, `zti1…`.
pub fn input_id(identity: &[u8; 32]) -> String {
    id(INPUT, identity)
}

fn parse(text: &str, hrp: &str, flag: &str) -> Outcome<[u8; 32]> {
    let wrong = |why: String| Failure::misuse(IDENTITY, flag, why, "copy the ID again, whole");
    let checked = bech32::primitives::decode::CheckedHrpstring::new::<Bech32m>(text);
    let checked = checked.map_err(|e| wrong(format!("`{text}` is not an ID: {e}")))?;
    if checked.hrp().as_str() != hrp {
        return Err(wrong(format!("`{text}` is an ID of another kind; it must start with {hrp}1")));
    }
    let bytes: Vec<u8> = checked.byte_iter().collect();
    bytes.try_into().map_err(|_| wrong(format!("`{text}` has another length than an ID")))
}

/// Reads a model ID.
pub fn parse_model_id(text: &str) -> Outcome<[u8; 32]> {
    parse(text, MODEL, "--model")
}

/// Reads an input ID.
pub fn parse_input_id(text: &str) -> Outcome<[u8; 32]> {
    parse(text, INPUT, "--input-id")
}

/// The first and last letters of an ID.
pub fn short(id: &str) -> String {
    match (id.get(..10), id.get(id.len().saturating_sub(6)..)) {
        (Some(start), Some(end)) if id.len() > 20 => format!("{start}…{end}"),
        _ => id.to_string(),
    }
}

/// Bytes in words: `812 B`, `64.2 kB`, `1.3 MB`.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// Milliseconds in words: `3.1 ms`, `2.4 s`, `3 min 10 s`, `5.2 h`, `21.0 days`.
pub fn time(ms: f64) -> String {
    match ms {
        _ if ms < 10.0 => format!("{ms:.1} ms"),
        _ if ms < 1_000.0 => format!("{ms:.0} ms"),
        _ if ms < 120_000.0 => format!("{:.1} s", ms / 1e3),
        _ if ms < 2.0 * HOUR => format!("{} min {} s", (ms / 60_000.0) as u64, (ms / 1e3) as u64 % 60),
        _ if ms < 48.0 * HOUR => format!("{:.1} h", ms / HOUR),
        _ => format!("{:.1} days", ms / (24.0 * HOUR)),
    }
}

/// A real number, short.
pub fn real(x: f64) -> String {
    if x == 0.0 {
        return "0".into();
    }
    let digits = if (1e-3..1e6).contains(&x.abs()) { format!("{x:.4}") } else { return format!("{x:.4e}") };
    digits.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// Breaks words into lines of at most `width` letters, each after `indent`.
pub fn wrap(text: &str, width: usize, indent: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if lines[last].chars().count() + word.chars().count() + 1 + indent.len() > width
            && !lines[last].is_empty()
        {
            lines.push(word.to_string());
        } else if lines[last].is_empty() {
            lines[last].push_str(word);
        } else {
            lines[last].push(' ');
            lines[last].push_str(word);
        }
    }
    lines.iter().map(|line| format!("{indent}{line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_a_checksum_and_a_kind() {
        let text = model_id(&[5; 32]);
        assert!(text.starts_with("zt1") && text.len() < 64, "{text}");
        assert_eq!(parse_model_id(&text).unwrap(), [5; 32]);
        assert!(parse_input_id(&text).is_err());
        for at in 3..text.len() {
            let letter = if &text[at..=at] == "q" { "p" } else { "q" };
            let other = format!("{}{letter}{}", &text[..at], &text[at + 1..]);
            assert!(parse_model_id(&other).is_err(), "{other}");
        }
    }

    #[test]
    fn text_of_strangers_cannot_steer_a_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
    }

    #[test]
    fn words() {
        assert_eq!([size(812), size(64_210), size(1_300_000)], ["812 B", "64.2 kB", "1.3 MB"]);
        assert_eq!([time(3.12), time(840.0), time(2_400.0)], ["3.1 ms", "840 ms", "2.4 s"]);
        assert_eq!([time(190_000.0), time(1.8e7), time(1.8144e9)], ["3 min 10 s", "5.0 h", "21.0 days"]);
        assert_eq!([real(0.5), real(-12.25), real(1e-9)], ["0.5", "-12.25", "1.0000e-9"]);
        assert_eq!(wrap("aa bb cc", 7, "  "), "  aa bb\n  cc");
    }
}
