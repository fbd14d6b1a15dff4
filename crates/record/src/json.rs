//! The part of JSON that is signed: objects, lists, texts, integers, truth values; one spelling each (spec
//! V1, V2).
//!
//! The spelling is that of RFC 8785 for these kinds: no blanks, keys in ascending order, the shortest
//! escapes. Keys are ASCII, so that every order of letters is the same one. Numbers are integers that
//! every reader holds exactly. Keys that occur twice are refused, and so is any other spelling.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::limits::{DEPTH, INTEGER};

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// true or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// An object.
    Map(BTreeMap<String, Json>),
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_string())
    }
}

impl From<u32> for Json {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<bool> for Json {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

/// An object of these keys.
pub fn object<const N: usize>(pairs: [(&str, Json); N]) -> Json {
    Json::Map(pairs.into_iter().map(|(key, value)| (key.to_string(), value)).collect())
}

/// A list of these items.
pub fn list(items: impl IntoIterator<Item = Json>) -> Json {
    Json::List(items.into_iter().collect())
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// 32 bytes of 64 lower-case hexadecimal digits.
#[must_use]
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let lower = text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let digest = blake3::Hash::from_hex(text).ok().filter(|_| lower)?;
    Some(*digest.as_bytes())
}

// ---- writing ----

impl Json {
    /// The one spelling.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut text = String::new();
        self.write(&mut text);
        text.into_bytes()
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Text(text) => quote(text, out),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    item.write(out);
                }
                out.push(']');
            }
            Self::Map(map) => {
                out.push('{');
                for (at, (key, value)) in map.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    quote(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            ..' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out.push('"');
}

// ---- reading ----

type Read<T> = Result<T, String>;

/// Reads bytes that are the one spelling of a value.
///
/// # Errors
/// In words: what is wrong, and at which byte.
pub fn parse(bytes: &[u8]) -> Read<Json> {
    let text = core::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_string())?;
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    if reader.at != text.len() {
        return reader.fail("bytes follow its end");
    }
    // What was read is short and simple: writing it again shows any other spelling.
    if value.canonical() != bytes {
        return Err("it is not spelled the one way: blanks, another order of keys, or long escapes".into());
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self, what: &str) -> Read<T> {
        Err(format!("{what} (byte {})", self.at))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at = self.at.saturating_add(word.len());
        }
        found
    }

    fn expect(&mut self, word: &str) -> Read<()> {
        if self.take(word) { Ok(()) } else { self.fail(&format!("`{word}` is missing")) }
    }

    fn value(&mut self, depth: usize) -> Read<Json> {
        if depth > DEPTH {
            return self.fail("it is nested too deeply");
        }
        match self.rest().bytes().next() {
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.quoted().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.take("true") => Ok(Json::Bool(true)),
            _ if self.take("false") => Ok(Json::Bool(false)),
            _ => self.fail("there is no value that is allowed here"),
        }
    }

    fn map(&mut self, depth: usize) -> Read<Json> {
        self.expect("{")?;
        let mut map = BTreeMap::new();
        if self.take("}") {
            return Ok(Json::Map(map));
        }
        loop {
            let key = self.quoted()?;
            if !key.bytes().all(|b| (b' '..=b'~').contains(&b)) {
                return self.fail("a key has other letters than ASCII");
            }
            self.expect(":")?;
            let value = self.value(depth.saturating_add(1))?;
            if map.insert(key.clone(), value).is_some() {
                return self.fail(&format!("the key `{key}` occurs twice"));
            }
            if self.take("}") {
                return Ok(Json::Map(map));
            }
            self.expect(",")?;
        }
    }

    fn list(&mut self, depth: usize) -> Read<Json> {
        self.expect("[")?;
        let mut items = Vec::new();
        if self.take("]") {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth.saturating_add(1))?);
            if self.take("]") {
                return Ok(Json::List(items));
            }
            self.expect(",")?;
        }
    }

    fn number(&mut self) -> Read<Json> {
        let digits = self.rest().bytes().take_while(|b| matches!(b, b'-' | b'0'..=b'9')).count();
        let word = self.rest().get(..digits).unwrap_or_default();
        let number = word.parse::<i64>().ok().filter(|n| n.unsigned_abs() <= INTEGER.unsigned_abs());
        let Some(number) = number else { return self.fail("a number is no integer below 2^53") };
        self.at = self.at.saturating_add(digits);
        Ok(Json::Int(number))
    }

    fn quoted(&mut self) -> Read<String> {
        self.expect("\"")?;
        let mut text = String::new();
        loop {
            let Some(letter) = self.rest().chars().next() else { return self.fail("a text has no end") };
            self.at = self.at.saturating_add(letter.len_utf8());
            match letter {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                ..' ' => return self.fail("a text holds a bare control letter"),
                _ => text.push(letter),
            }
        }
    }

    /// What follows a backslash. Other escapes than those written are another spelling.
    fn escape(&mut self) -> Read<char> {
        let simple = [
            ("\"", '"'),
            ("\\", '\\'),
            ("b", '\u{8}'),
            ("t", '\t'),
            ("n", '\n'),
            ("f", '\u{c}'),
            ("r", '\r'),
        ];
        if let Some((_, letter)) = simple.into_iter().find(|(word, _)| self.take(word)) {
            return Ok(letter);
        }
        self.expect("u00")?;
        let digits = self.rest().get(..2).unwrap_or_default();
        let code = u8::from_str_radix(digits, 16).ok().filter(|code| *code < b' ');
        let Some(code) = code else { return self.fail("an escape is not needed") };
        self.at = self.at.saturating_add(2);
        Ok(char::from(code))
    }
}

// ---- fields ----

/// Takes the fields of an object one by one, and refuses what is left.
pub struct Fields {
    map: BTreeMap<String, Json>,
    place: String,
}

impl Fields {
    /// The fields of the object at `place`.
    ///
    /// # Errors
    /// When it is no object.
    pub fn new(value: Json, place: &str) -> Read<Self> {
        match value {
            Json::Map(map) => Ok(Self { map, place: place.to_string() }),
            _ => Err(format!("{place} is no object")),
        }
    }

    fn wrong<T>(&self, key: &str, what: &str) -> Read<T> {
        Err(format!("`{key}` in {} is {what}", self.place))
    }

    /// A field that may be missing.
    pub fn maybe(&mut self, key: &str) -> Option<Json> {
        self.map.remove(key)
    }

    /// A field of any kind.
    ///
    /// # Errors
    /// When it is missing.
    pub fn any(&mut self, key: &str) -> Read<Json> {
        let missing = || format!("`{key}` in {} is missing", self.place);
        self.map.remove(key).ok_or_else(missing)
    }

    /// The fields of an object inside.
    ///
    /// # Errors
    /// When it is missing or no object.
    pub fn inside(&mut self, key: &str) -> Read<Self> {
        let value = self.any(key)?;
        Self::new(value, key)
    }

    /// A text.
    ///
    /// # Errors
    /// When it is missing or no text.
    pub fn text(&mut self, key: &str) -> Read<String> {
        match self.any(key)? {
            Json::Text(text) => Ok(text),
            _ => self.wrong(key, "no text"),
        }
    }

    /// 32 bytes in hexadecimal.
    ///
    /// # Errors
    /// When it is missing or something else.
    pub fn bytes(&mut self, key: &str) -> Read<[u8; 32]> {
        let text = self.text(key)?;
        unhex(&text).map_or_else(|| self.wrong(key, "not 64 lower-case hexadecimal digits"), Ok)
    }

    /// A number from 0 to 2^32.
    ///
    /// # Errors
    /// When it is missing or something else.
    pub fn count(&mut self, key: &str) -> Read<u32> {
        let Json::Int(number) = self.any(key)? else { return self.wrong(key, "no number") };
        u32::try_from(number).map_or_else(|_| self.wrong(key, "out of range"), Ok)
    }

    /// A truth value.
    ///
    /// # Errors
    /// When it is missing or something else.
    pub fn flag(&mut self, key: &str) -> Read<bool> {
        match self.any(key)? {
            Json::Bool(flag) => Ok(flag),
            _ => self.wrong(key, "neither true nor false"),
        }
    }

    /// A list.
    ///
    /// # Errors
    /// When it is missing or no list.
    pub fn list(&mut self, key: &str) -> Read<Vec<Json>> {
        match self.any(key)? {
            Json::List(items) => Ok(items),
            _ => self.wrong(key, "no list"),
        }
    }

    /// Refuses fields that nobody took.
    ///
    /// # Errors
    /// When there is one.
    pub fn end(self) -> Read<()> {
        match self.map.keys().next() {
            None => Ok(()),
            Some(key) => {
                let key: String = key.chars().take(64).collect();
                Err(format!("`{key}` in {} is not known to this version", self.place))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_is_read_and_written() {
        for text in [
            "{}",
            "[]",
            r#"{"a":[1,-2,true],"b":{"c":"x\n\u001f\"\\é"}}"#,
            "9007199254740991",
            "-9007199254740991",
            r#""\b\t\f\r""#,
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap().canonical(), text.as_bytes(), "{text}");
        }
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for (text, why) in [
            (r#"{"a":1,"a":2}"#, "occurs twice"),
            (r#"{"b":1,"a":2}"#, "one way"),
            (r#"{"a": 1}"#, "no value"),
            (r#" {"a":1}"#, "no value"),
            (r#"{"a":1} "#, "follow"),
            (r#"{"a":1,}"#, "missing"),
            (r#"{"a":1.5}"#, "missing"),
            (r#"{"a":1e3}"#, "missing"),
            ("01", "one way"),
            ("-0", "one way"),
            ("--1", "no integer"),
            ("9007199254740992", "no integer"),
            ("null", "no value"),
            (r#""\u0041""#, "not needed"),
            (r#""\u001F""#, "one way"),
            (r#""\/""#, "missing"),
            (r#""\u000a""#, "one way"),
            ("\"\n\"", "bare control"),
            ("\"a", "no end"),
            ("{\"é\":1}", "ASCII"),
            ("\u{feff}{}", "no value"),
        ] {
            let found = parse(text.as_bytes()).unwrap_err();
            assert!(found.contains(why), "{text}: {found}");
        }
        assert!(parse(b"\xff").unwrap_err().contains("UTF-8"));
        let deep = [vec![b'['; 5000], vec![b']'; 5000]].concat();
        assert!(parse(&deep).unwrap_err().contains("deeply"));
    }

    #[test]
    fn fields_left_over_are_refused() {
        let mut fields = Fields::new(parse(br#"{"a":1,"b":"x"}"#).unwrap(), "the test").unwrap();
        assert_eq!(fields.count("a"), Ok(1));
        assert!(fields.bytes("b").unwrap_err().contains("hexadecimal"));
        assert!(fields.any("b").unwrap_err().contains("missing"));
        let fields = Fields::new(parse(br#"{"new":1}"#).unwrap(), "the test").unwrap();
        assert!(fields.end().unwrap_err().contains("`new` in the test is not known"));
    }
}
