//! Lies are refused: swapped statements, changed bytes, and a prover that lies in its columns.

use crate::common::{Case, Owner, inputs, owner, owner_of};
use program::lower::{Place, Shape, lower};
use program::types::{InputMode, Reveal};
use program::wire::Statement;
use verify::{Refusal, Reject, Verdict, verify};

/// A change of a statement.
type Change = Box<dyn Fn(&mut Statement)>;

fn case(reveals: Vec<Reveal>, zk: bool) -> Case {
    Case { private: true, input: InputMode::Private, reveals, batch: 2, zk }
}

fn label() -> Vec<Reveal> {
    vec![Reveal::Label { output: 0 }]
}

fn refusal(owner: &Owner, statement: &Statement, proof: &[u8]) -> Refusal {
    match verify(&owner.program, statement, proof) {
        Verdict::Rejected(refusal) => refusal,
        Verdict::Accepted(_) => panic!("a lie was accepted"),
    }
}

/// Each field of the statement is bound: no proof serves another statement.
#[test]
fn every_statement_field_is_bound() {
    for input in [InputMode::Public, InputMode::Private, InputMode::Committed] {
        let reveals = vec![
            Reveal::Values { output: 0 },
            Reveal::Label { output: 0 },
            Reveal::Threshold { output: 0, index: 0, at_least: true, bound: -60 },
        ];
        let honest = owner(&Case { private: true, input, reveals, batch: 2, zk: true });
        let proof = honest.prove().bytes;
        let other_model = owner(&Case { private: false, input, reveals: vec![], batch: 2, zk: true });
        let changes: Vec<(&str, Change)> = vec![
            ("context", Box::new(|s| s.context.push(b'!'))),
            ("empty context", Box::new(|s| s.context.clear())),
            ("batch", Box::new(|s| s.batch = 1)),
            ("zero knowledge", Box::new(|s| s.zk = false)),
            ("link", Box::new(|s| s.link[0] = 1)),
            ("first slot", Box::new(|s| s.slots[0][0] ^= 1)),
            ("last slot", Box::new(|s| *s.slots.last_mut().unwrap().last_mut().unwrap() ^= 1)),
            ("a slot less", Box::new(|s| s.slots.truncate(1))),
            ("identity", Box::new(|s| s.identity[0][5] ^= 1)),
            ("root", Box::new(|s| s.roots[0][5] ^= 1)),
            (
                "an oracle less",
                Box::new(|s| {
                    s.roots.pop();
                    s.identity.pop();
                }),
            ),
            ("program", Box::new(move |s| s.program_digest = other_model.statement.program_digest)),
            ("reveals", Box::new(|s| s.disclosure.reveals.truncate(2))),
            (
                "bound",
                Box::new(|s| {
                    s.disclosure.reveals[2] =
                        Reveal::Threshold { output: 0, index: 0, at_least: true, bound: -59 };
                }),
            ),
            (
                "direction",
                Box::new(|s| {
                    s.disclosure.reveals[2] =
                        Reveal::Threshold { output: 0, index: 0, at_least: false, bound: -60 };
                }),
            ),
        ];
        for (name, change) in changes {
            let mut statement = honest.statement.clone();
            change(&mut statement);
            assert_ne!(statement, honest.statement, "{name}");
            let _ = (name, refusal(&honest, &statement, &proof));
        }
    }
}

/// The same root under other parameters is another oracle.
#[test]
fn a_root_belongs_to_its_parameters() {
    let honest = owner(&case(label(), true));
    let proof = honest.prove().bytes;
    let mut program = honest.program.clone();
    let params = program.model_oracle.as_mut().unwrap();
    (params.log_c, params.log_t) = (9, Some(8));
    let mut statement = honest.statement.clone();
    statement.program_digest = program.digest();
    let verdict = verify(&program, &statement, &proof);
    assert!(matches!(verdict, Verdict::Rejected(Refusal::Setup(_))), "{verdict:?}");
}

/// A proof made for one input does not serve another, also when the input is committed.
#[test]
fn proofs_are_not_replayed_for_other_secrets() {
    for input in [InputMode::Public, InputMode::Committed] {
        let make =
            |x: Vec<i64>| owner_of(&Case { private: true, input, reveals: vec![], batch: 2, zk: true }, x);
        let mut other = inputs(2);
        other[3] -= 1;
        let (one, two) = (make(inputs(2)), make(other));
        let _ = refusal(&one, &one.statement, &two.prove().bytes);
    }
}

/// Which check refuses a change in each message.
#[test]
fn tampering_is_refused_by_the_named_check() {
    let owner = owner(&Case { batch: 40, ..case(label(), true) });
    let proof = owner.prove();
    let root = |oracle| Reject::Root { oracle };
    let table: Vec<(&str, usize, Vec<Reject>)> = vec![
        ("root.z", 0, vec![root("Z")]),
        ("root.pad", 0, vec![root("Z"), root("M")]),
        ("gkr.out", 3, vec![root("Z"), root("M")]),
        ("gkr.round", 2, vec![root("Z"), root("M")]),
        ("ip.round", 1, vec![root("Z"), root("M")]),
        ("ip.out", 0, vec![root("Z"), root("M")]),
        ("ip.clear", 0, vec![root("Z"), root("M")]),
        ("row.round", 0, vec![root("Z"), root("M")]),
        ("root.end", 0, vec![root("Z"), root("M")]),
        ("cols", 0, vec![root("Z")]),
        ("siblings", 0, vec![root("Z")]),
        ("cols", 1, vec![root("M")]),
        ("siblings", 1, vec![root("M")]),
        ("end.round", 0, vec![Reject::Reply]),
        ("sigma", 0, vec![Reject::Reply]),
        ("reply", 0, vec![Reject::Reply]),
        ("cols", 2, vec![root("E")]),
        ("siblings", 2, vec![root("E")]),
        ("cols", 3, vec![root("Q")]),
        ("siblings", 3, vec![root("Q")]),
    ];
    // Every label of the proof is in the table.
    for mark in &proof.marks {
        assert!(table.iter().any(|row| row.0 == mark.label), "{} is not in the table", mark.label);
    }
    for (label, nth, expected) in table {
        let mut marks = proof.marks.iter().filter(|mark| mark.label == label);
        let mark = marks.nth(nth).unwrap_or_else(|| panic!("{label} {nth} is not in the proof"));
        let mut bytes = proof.bytes.clone();
        bytes[mark.start] ^= 1;
        let Refusal::Proof(found) = refusal(&owner, &owner.statement, &bytes) else {
            panic!("{label}: refused before the proof was read");
        };
        // With other positions the opened paths have another shape: the root cannot be reached.
        let truncated = matches!(found, Reject::Truncated { .. } | Reject::NotCanonical { .. });
        assert!(expected.contains(&found) || truncated, "{label} {nth}: {found:?}");
    }
}

#[test]
fn truncated_and_extended_proofs_are_refused() {
    let owner = owner(&case(label(), true));
    let proof = owner.prove().bytes;
    for cut in [0, 1, 2, 33, 66, proof.len() / 2, proof.len() - 1] {
        let found = refusal(&owner, &owner.statement, &proof[..cut]);
        assert!(matches!(found, Refusal::Proof(Reject::Truncated { .. })), "{cut}: {found:?}");
    }
    let mut long = proof.clone();
    long.push(0);
    assert_eq!(refusal(&owner, &owner.statement, &long), Refusal::Proof(Reject::TrailingBytes { count: 1 }));
    let mut version = proof;
    version[0] = 1;
    assert_eq!(refusal(&owner, &owner.statement, &version), Refusal::Proof(Reject::Version { found: 1 }));
}

/// A prover that lies in any committed column, by any of these amounts, is refused.
#[test]
fn a_lie_in_any_column_is_refused() {
    let reveals = vec![
        Reveal::Values { output: 0 },
        Reveal::Label { output: 0 },
        Reveal::Threshold { output: 0, index: 1, at_least: true, bound: -60 },
    ];
    for zk in [false, true] {
        let honest = owner(&case(reveals.clone(), zk));
        let shape =
            Shape { batch: 2, disclosure: &honest.statement.disclosure, slots: &honest.statement.slots };
        let lowered = lower(&honest.program, &shape).unwrap();
        let mut lies = 0;
        for (tensor, placed) in lowered.tensors.iter().enumerate() {
            if placed.place != Place::Fresh {
                continue;
            }
            let length = honest.assignment.values[tensor].len();
            for (at, by) in [(0, 1), (length - 1, -1), (length / 2, 16), (0, 1 << 20)] {
                let mut liar = owner(&case(reveals.clone(), zk));
                let mut values = liar.assignment.values[tensor].to_vec();
                values[at] += by;
                liar.assignment.values[tensor] = values.into();
                let proof = liar.prove().bytes;
                let found = refusal(&liar, &liar.statement, &proof);
                let named = matches!(found, Refusal::Proof(Reject::Reply | Reject::LastVector));
                assert!(named, "tensor {tensor} at {at} by {by}: {found:?}");
                lies += 1;
            }
        }
        assert!(lies > 30, "{lies} lies tried");
    }
}

/// remainder + 2^s with quotient - 1 keeps the accumulator's equation: the ranges refuse it.
#[test]
fn a_shifted_remainder_is_refused() {
    let mut liar = owner(&case(vec![], true));
    // Columns of the second Round: q 9, remainder 10; shift 5.
    for (tensor, by) in [(9, -1), (10, 32)] {
        let mut values = liar.assignment.values[tensor].to_vec();
        values[0] += by;
        liar.assignment.values[tensor] = values.into();
    }
    let proof = liar.prove().bytes;
    assert_eq!(refusal(&liar, &liar.statement, &proof), Refusal::Proof(Reject::Reply));
}

/// A proof made with other weights than the committed ones is refused.
#[test]
fn other_weights_are_refused() {
    let mut liar = owner(&case(vec![], true));
    let mut values = liar.assignment.values[1].to_vec();
    values[4] ^= 1;
    liar.assignment.values[1] = values.into();
    let proof = liar.prove().bytes;
    assert_eq!(refusal(&liar, &liar.statement, &proof), Refusal::Proof(Reject::Reply));
}
