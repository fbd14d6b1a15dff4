//! The tables of chapter 8 are those of the source.

use std::collections::BTreeMap;

const SPEC: &str = include_str!("../../../docs/spec/08-ledger.md");
const SOURCES: [&str; 4] = [
    include_str!("../src/entry.rs"),
    include_str!("../src/transaction.rs"),
    include_str!("../src/block.rs"),
    include_str!("../src/genesis.rs"),
];

/// Cells of the rows whose first cell is a name, by that name.
fn rows() -> BTreeMap<String, Vec<String>> {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_string()).collect::<Vec<_>>();
    let named = SPEC.lines().filter(|line| line.starts_with("| `"));
    named.map(|line| (cells(line)[1].trim_matches('`').to_string(), cells(line)[2..].to_vec())).collect()
}

fn names(fields: &str) -> Vec<&str> {
    let names = fields.split([',', ';']).map(|field| field.split_whitespace().next().unwrap_or_default());
    names.filter(|name| !name.is_empty() && *name != "-" && !name.ends_with('⟩')).collect()
}

/// What stands between `start` and `end`, each time.
fn between<'a>(text: &'a str, start: &'a str, end: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(start).skip(1).filter_map(move |rest| rest.split_once(end).map(|(inside, _)| inside))
}

#[test]
fn structs_and_choices() {
    let (rows, mut seen) = (rows(), 0);
    for source in SOURCES {
        for spelled in between(source, "\nspell_struct!(", "}") {
            let (name, fields) = spelled.split_once(" {").unwrap();
            assert_eq!(names(&rows[name][0]), names(fields), "{name}");
            seen += 1;
        }
        for spelled in between(source, "\nspell_enum!(", ");") {
            let name = spelled.split(',').next().unwrap();
            for variant in spelled.split("=> ").skip(1) {
                let (variant, fields) = variant.split_once(" {").unwrap();
                let row = &rows[&format!("{name}::{variant}")];
                let fields = fields.split('}').next().unwrap();
                assert_eq!(names(&row[1]), names(fields), "{name}::{variant}");
                assert!(spelled.contains(&format!("{} => {variant} ", row[0])), "{name}::{variant}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 57);
}

#[test]
fn parameters_tables_and_failures() {
    let (rows, mut seen) = (rows(), 0);
    let source = include_str!("../src/parameters.rs");
    let list = between(source, "\nparameters! {", "\n}").next().unwrap();
    for line in list.lines().filter(|line| line.ends_with(';')) {
        let (name, rest) = line.trim().split_once(": ").unwrap();

        let numbers = rest.replace('_', "");
        let row = &rows[name];
        let expected = format!("{} = {}, {} ..= {};", row[0], row[1], row[2], row[3]);
        assert_eq!(numbers, expected, "{name}");
        seen += 1;
    }
    let tables = between(SOURCES[0], "\ntables! {", "\n}").next().unwrap();
    for line in tables.lines().filter(|line| line.contains(" => ")) {
        let (name, rest) = line.trim().split_once(" = ").unwrap();
        let number = rest.split(',').next().unwrap();
        assert!(SPEC.contains(&format!("| {number} | `{name}` |")), "{name}");
        seen += 1;
    }
    let refusals = include_str!("../src/refusal.rs");
    for line in between(refusals, "pub enum Failure {", "\n}").next().unwrap().lines() {
        let Some((name, number)) = line.trim().trim_end_matches(',').split_once(" = ") else { continue };
        assert!(SPEC.contains(&format!("| {number} | `{name}` |")), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 33 + 27 + 16);
}
