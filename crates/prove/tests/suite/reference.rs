//! Proofs made by the second implementation (`tools/refverify`): this prover makes the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use program::types::{Home, InputMode};
use program::wire::{decode, decode_statement};
use program::{Shape, execute, lower};
use verify::{Verdict, verify};
use zerotell_prove::random::Seed;
use zerotell_prove::{Table, commit_input, commit_model, prove};

/// Lines "tensor value value ..".
fn secrets(text: &str) -> BTreeMap<u32, Vec<i64>> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let tensor = words.next()?.parse().ok()?;
            Some((tensor, words.map(|word| word.parse().unwrap()).collect()))
        })
        .collect()
}

fn check(folder: &Path) {
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    let program = decode(&read("program.bin")).unwrap();
    let statement = decode_statement(&read("statement.bin")).unwrap();
    let golden = read("proof.bin");
    assert!(matches!(verify(&program, &statement, &golden), Verdict::Accepted(_)), "{}", folder.display());

    let secrets = secrets(&String::from_utf8(read("secrets.txt")).unwrap());
    let of = |home: Home| -> BTreeMap<u32, Vec<i64>> {
        let own = |number: &u32| program.tensors[*number as usize].home == home;
        secrets.iter().filter(|(number, _)| own(number)).map(|(&n, v)| (n, v.clone())).collect()
    };
    let (inputs, model) = (of(Home::Input), of(Home::Model));
    let mut seeds = (1u8..).map(|byte| Seed::new([byte; 32]));
    let mut tables: Vec<Table> = Vec::new();
    if !model.is_empty() {
        tables.extend(commit_model(&program, &model, &seeds.next().unwrap()).unwrap());
    }
    for ((number, values), mode) in inputs.iter().zip(&statement.disclosure.inputs) {
        if *mode == InputMode::Committed {
            let axes = program.tensors[*number as usize].axes.iter();
            let axes: Vec<usize> = axes.map(|&n| if n == 0 { statement.batch } else { n } as usize).collect();
            let seed = seeds.next().unwrap();
            tables.push(commit_input(&program, &axes, values, statement.zk, &seed).unwrap());
        }
    }
    assert_eq!(tables.iter().map(Table::root).collect::<Vec<_>>(), statement.roots, "{}", folder.display());
    let shape = Shape { batch: statement.batch, disclosure: &statement.disclosure, slots: &statement.slots };
    let lowered = lower(&program, &shape).unwrap();
    let assignment = execute(&lowered, &inputs, &model).unwrap();
    let opened: Vec<&Table> = tables.iter().collect();
    let proof = prove(&program, &statement, &assignment, &opened, &Seed::new([0; 32])).unwrap();
    assert!(proof.bytes == golden, "{}: other bytes", folder.display());
}

#[test]
fn both_implementations_make_the_same_bytes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/reference/v1");
    let folders: Vec<_> = std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(folders.len() >= 12, "vectors in {}", root.display());
    folders.iter().for_each(|folder| check(folder));
}
