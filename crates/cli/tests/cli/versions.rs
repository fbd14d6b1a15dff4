//! The documents name the versions that are written.

const TABLE: &str = include_str!("../../../../docs/spec/06-files.md");
const CHANGES: &str = include_str!("../../../../CHANGELOG.md");
const FRONT: &str = include_str!("../../../../README.md");

/// Formats and the versions in the code, as the table names them.
fn versions() -> Vec<(&'static str, u64)> {
    let statement = record::inference_type();
    let (_, statement) = statement.rsplit_once(":v").expect("a version");
    let all = vec![
        ("Program", program::wire::PROGRAM_VERSION.into()),
        ("Statement", program::wire::STATEMENT_VERSION.into()),
        ("proof", verify::PROOF_VERSION.into()),
        ("link statement", verify::LINK_VERSION.into()),
        ("proof file", dossier::files::PROOF_FILE.into()),
        ("other files of this chapter", dossier::bytes::VERSION.into()),
        ("signed statement", statement.parse().expect("a number")),
        ("page for people", record::report::FORM.into()),
        ("transaction", ledger::transaction::VERSION.into()),
        ("verifier", ledger::Parameters::default().verifier.into()),
        ("header", certify::header::HEADER_VERSION.into()),
        ("certificate file", certify::certificate::VERSION.into()),
        ("dossier and step", dossier::bytes::VERSION.into()),
    ];
    #[cfg(feature = "network")]
    let all = {
        let of_nodes =
            [("snapshot", node::sync::VERSION.into()), ("node's database", node::store::LAYOUT.into())];
        [all, of_nodes.to_vec()].concat()
    };
    all
}

/// Names and versions of the table.
fn table() -> Vec<(&'static str, u64)> {
    let (_, section) = TABLE.split_once("\n## Versions\n").expect("the section");
    let row = |line: &'static str| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        Some((cells.next()?, cells.next()?.parse().ok()?))
    };
    section.lines().filter_map(row).collect()
}

#[test]
fn the_table_of_versions_is_what_the_code_writes() {
    let (table, code) = (table(), versions());
    // Those of a node are known to builds with one.
    assert_eq!(table.len(), 15);
    assert_eq!(table[..code.len()], code[..]);
    assert_eq!(
        table[13..].iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["snapshot", "node's database"]
    );
}

#[test]
fn the_changelog_and_the_front_page_name_the_same_versions() {
    let line = CHANGES.lines().find_map(|line| line.strip_prefix("Formats: ")).expect("a line of formats");
    let (list, _) = line.split_once(". ").expect("its end");
    let named: Vec<(&str, u64)> = list
        .split([',', ';'])
        .map(|one| one.trim().rsplit_once(' ').expect("a name and a version"))
        .map(|(name, version)| (name, version.parse().expect("a number")))
        .collect();
    assert!(named.len() >= 10 && named.iter().all(|one| table().contains(one)), "{named:?}");
    let version = |format| table().iter().find(|(name, _)| *name == format).expect(format).1;
    for (krate, words, format) in [
        ("program", "Program version", "Program"),
        ("verify", "proof version", "proof"),
        ("record", "statement version", "signed statement"),
        ("certify", "certificate version", "certificate file"),
        ("ledger", "transaction version", "transaction"),
        ("dossier", "dossier version", "dossier and step"),
    ] {
        let row = FRONT.lines().find(|line| line.starts_with(&format!("| `{krate}` |"))).expect(krate);
        let wanted = format!("{words} {}", version(format));
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().expect("a last cell");
        assert_eq!(cell.split(';').next(), Some(wanted.as_str()), "{row}");
    }
}
