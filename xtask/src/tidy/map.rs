//! The map in `ARCHITECTURE.md`, the table in `README.md` and the list in `docs/dependencies.md`
//! say what `cargo metadata` says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::shell::output;

/// Crate -> the crates of ours it depends on (not for tests only).
type Edges = BTreeMap<String, BTreeSet<String>>;

/// What the manifests say.
#[derive(Default)]
struct Actual {
    edges: Edges,
    /// Direct dependencies on packages of others, for any purpose.
    outside: BTreeSet<String>,
}

/// Findings of all three documents.
pub fn findings(root: &Path) -> Vec<String> {
    let actual = match manifests() {
        Ok(actual) => actual,
        Err(why) => return vec![why],
    };
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap_or_default();
    let crates: BTreeSet<String> = actual.edges.keys().cloned().collect();
    let mut found = compare(&map(&read("ARCHITECTURE.md")), &actual.edges);
    found.extend(list("README.md", &rows(&read("README.md")), &crates, false));
    found.extend(list("docs/dependencies.md", &rows(&read("docs/dependencies.md")), &actual.outside, true));
    found
}

/// What `cargo metadata` says.
fn manifests() -> Result<Actual, String> {
    let words = ["metadata", "--format-version", "1", "--no-deps", "--offline"];
    let json = output(Command::new("cargo").args(words)).ok_or("`cargo metadata` failed")?;
    let metadata = serde_json::from_str(&json);
    metadata
        .map(|metadata| actual(&metadata))
        .map_err(|error| format!("`cargo metadata` cannot be read: {error}"))
}

/// A crate and all of ours that it stands on; empty when the manifests cannot be read.
pub fn closure(of: &str) -> BTreeSet<String> {
    let edges = manifests().unwrap_or_default().edges;
    let mut all = BTreeSet::new();
    let mut left = vec![of.to_string()];
    while let Some(name) = left.pop() {
        if all.insert(name.clone()) {
            left.extend(edges.get(&name).into_iter().flatten().cloned());
        }
    }
    all
}

/// A crate is called by its folder.
fn folder(package: &Value) -> String {
    let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
    let folder = manifest.parent().and_then(Path::file_name).unwrap_or_default();
    folder.to_string_lossy().into_owned()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn actual(metadata: &Value) -> Actual {
    let mut names = BTreeMap::new();
    for package in items(&metadata["packages"]) {
        names.insert(package["name"].as_str().unwrap_or_default(), folder(package));
    }
    let mut actual = Actual::default();
    for package in items(&metadata["packages"]) {
        let mut known = BTreeSet::new();
        for dependency in items(&package["dependencies"]) {
            let name = dependency["name"].as_str().unwrap_or_default();
            match names.get(name) {
                Some(ours) if dependency["kind"].as_str() != Some("dev") => {
                    known.insert(ours.clone());
                }
                Some(_) => {}
                None => {
                    actual.outside.insert(name.to_string());
                }
            }
        }
        actual.edges.insert(folder(package), known);
    }
    actual
}

/// Rows of the map: a crate, then the crates it may know.
fn map(markdown: &str) -> Edges {
    let rows = markdown.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(name, rest)| {
        (name.to_string(), rest.split('`').skip(1).step_by(2).map(str::to_string).collect())
    })
    .collect()
}

/// First cells of table rows.
fn rows(markdown: &str) -> BTreeSet<String> {
    let cell = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_string());
    markdown.lines().filter_map(cell).collect()
}

fn compare(drawn: &Edges, actual: &Edges) -> Vec<String> {
    let mut found = Vec::new();
    let names: BTreeSet<&String> = drawn.keys().chain(actual.keys()).collect();
    let none = BTreeSet::new();
    for name in names {
        if !drawn.contains_key(name) {
            found.push(format!("ARCHITECTURE.md: the map has no row for `{name}`"));
            continue;
        }
        if !actual.contains_key(name) {
            found.push(format!("ARCHITECTURE.md: the map has a row for `{name}`, which is no crate"));
            continue;
        }
        let (drawn, real) = (drawn.get(name).unwrap_or(&none), actual.get(name).unwrap_or(&none));
        found.extend(real.difference(drawn).map(|to| {
            format!("ARCHITECTURE.md: `{name}` depends on `{to}`, which the map does not draw (a new edge needs an ADR)")
        }));
        found.extend(
            drawn
                .difference(real)
                .map(|to| format!("ARCHITECTURE.md: the map draws `{name}` to `{to}`, which is gone")),
        );
    }
    found
}

/// Compares a table's first cells with what must be listed; `strict` refuses rows of other names.
fn list(document: &str, listed: &BTreeSet<String>, wanted: &BTreeSet<String>, strict: bool) -> Vec<String> {
    let missing = wanted.difference(listed).map(|name| format!("{document}: no row for `{name}`"));
    let stale = listed.difference(wanted).filter(|_| strict);
    missing.chain(stale.map(|name| format!("{document}: the row `{name}` is about nothing we use"))).collect()
}

#[cfg(test)]
mod tests {
    use super::{Edges, compare, list, map, rows};

    type Drawn = [(&'static str, &'static [&'static str])];

    fn edges(rows: &Drawn) -> Edges {
        let set = |to: &[&str]| to.iter().map(ToString::to_string).collect();
        rows.iter().map(|(from, to)| (from.to_string(), set(to))).collect()
    }

    #[test]
    fn the_map_is_read() {
        let text = "| crate | may know |\n|---|---|\n| `a` | nothing of ours |\n| `b` | `a`, `c` |\n";
        assert_eq!(map(text), edges(&[("a", &[]), ("b", &["a", "c"])]));
        assert_eq!(rows(text).len(), 2);
    }

    #[test]
    fn differences_are_found() {
        let real = edges(&[("a", &[]), ("b", &["a"])]);
        assert!(compare(&real, &real).is_empty());
        let rows: [(&Drawn, &str); 4] = [
            (&[("a", &[]), ("b", &[])], "does not draw"),
            (&[("a", &["b"]), ("b", &["a"])], "is gone"),
            (&[("b", &["a"])], "no row"),
            (&[("a", &[]), ("b", &["a"]), ("c", &[])], "no crate"),
        ];
        for (drawn, expected) in rows {
            let found = compare(&edges(drawn), &real);
            assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:?}");
        }
    }

    #[test]
    fn lists_are_compared() {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        assert_eq!(list("x", &set(&["a"]), &set(&["a", "b"]), true).len(), 1);
        assert_eq!(list("x", &set(&["a", "b"]), &set(&["a"]), true).len(), 1);
        assert!(list("x", &set(&["a", "b"]), &set(&["a"]), false).is_empty());
    }
}
