//! A prepared Program says of every proof what `verify` says of it.

use program::types::{InputMode, Reveal};
use program::wire::Statement;
use verify::{Links, ProofShape, Refusal, SetupError, Verdict, prepare, verify, verify_linked};

use crate::common::{Case, Owner, inputs, owner_of};
use crate::limits::{hostile, hostile_statement};

fn cases() -> Vec<Case> {
    let label = || vec![Reveal::Label { output: 0 }];
    let all = vec![
        Reveal::Label { output: 0 },
        Reveal::Values { output: 0 },
        Reveal::Threshold { output: 0, index: 1, at_least: true, bound: -64 },
    ];
    vec![
        Case { private: true, input: InputMode::Private, reveals: label(), batch: 1, zk: true },
        Case { private: false, input: InputMode::Public, reveals: all, batch: 2, zk: true },
        Case { private: true, input: InputMode::Committed, reveals: label(), batch: 2, zk: false },
    ]
}

/// Who proves about other inputs in the same shape.
fn others(case: &Case) -> [Owner; 2] {
    let x = inputs(case.batch);
    let turned = x.iter().rev().copied().collect();
    [owner_of(case, x), owner_of(case, turned)]
}

fn told(verdict: &Verdict) -> String {
    format!("{verdict:?}")
}

/// Statements with one fault each, or a harmless difference, of the same shape.
fn changed(honest: &Statement) -> Vec<Statement> {
    let mut list = vec![honest.clone()];
    let mut with = |change: &dyn Fn(&mut Statement)| {
        let mut statement = honest.clone();
        change(&mut statement);
        list.push(statement);
    };
    with(&|s| s.context.push(1));
    with(&|s| s.link[0] ^= 1);
    with(&|s| s.program_digest[0] ^= 1);
    with(&|s| s.slots.push(vec![0]));
    with(&|s| s.slots.truncate(s.slots.len().saturating_sub(1)));
    with(&|s| s.roots.push([0; 32]));
    with(&|s| s.roots.truncate(s.roots.len().saturating_sub(1)));
    with(&|s| s.roots.iter_mut().for_each(|root| root[3] ^= 1));
    with(&|s| s.identity.iter_mut().for_each(|identity| identity[3] ^= 1));
    for slot in 0..honest.slots.len() {
        with(&|s| s.slots[slot][0] ^= 1);
        with(&|s| s.slots[slot][0] = i64::MAX);
        with(&|s| s.slots[slot].push(0));
    }
    list
}

#[test]
fn prepared_and_plain_verdicts_are_one() {
    for case in cases() {
        let owners = others(&case);
        let proofs = [owners[0].prove().bytes, owners[1].prove().bytes];
        let program = &owners[0].program;
        let prepared = prepare(program, &ProofShape::from(&owners[0].statement)).unwrap();
        assert_eq!(prepared.program(), &program.digest());
        for (owner, proof) in owners.iter().zip(&proofs) {
            assert!(matches!(prepared.verify(&owner.statement, proof), Verdict::Accepted(_)));
            let mut cut = proof.clone();
            let middle = cut.len() / 2;
            cut[middle] ^= 1;
            for proof in [proof, &proofs[0], &cut, &proof[..middle].to_vec(), &Vec::new()] {
                for statement in changed(&owner.statement) {
                    let plain = verify(program, &statement, proof);
                    assert_eq!(told(&prepared.verify(&statement, proof)), told(&plain));
                }
            }
        }
    }
}

#[test]
fn prepared_programs_take_links() {
    let [mut owner, _] = others(&Case { zk: true, ..cases()[2].clone() });
    let prepared = prepare(&owner.program, &ProofShape::from(&owner.statement)).unwrap();
    let chains = owner.advance(&[1, 1]);
    let proof = owner.prove().bytes;
    for chains in [&chains[..], &[]] {
        let links = Links { chains: &chains.to_vec().into(), known: &|_| false };
        let plain = verify_linked(&owner.program, &owner.statement, &proof, &links);
        assert_eq!(matches!(plain, Verdict::Accepted(_)), !chains.is_empty());
        assert_eq!(told(&prepared.verify_linked(&owner.statement, &proof, &links)), told(&plain));
    }
}

#[test]
fn other_shapes_are_refused() {
    let [owner, _] = others(&cases()[0]);
    let proof = owner.prove().bytes;
    let honest = ProofShape::from(&owner.statement);
    let mut shapes = vec![honest.clone(); 3];
    shapes[0].batch += 1;
    shapes[1].disclosure.inputs = vec![InputMode::Public];
    shapes[2].disclosure.reveals.clear();
    for shape in shapes {
        let prepared = prepare(&owner.program, &shape).unwrap();
        let Verdict::Rejected(why) = prepared.verify(&owner.statement, &proof) else { panic!("{shape:?}") };
        assert_eq!(why, Refusal::Setup(SetupError::OtherShape));
    }
    let prepared = prepare(&owner.program, &honest).unwrap();
    let mut plain = owner.statement.clone();
    plain.zk = false;
    let Verdict::Rejected(why) = prepared.verify(&plain, &proof) else { panic!("not masked") };
    assert_eq!(why, Refusal::Setup(SetupError::OtherShape));
}

/// Of two faults, `verify` names the one it always named: the slots' before the Program's size.
#[test]
fn the_first_of_two_faults_is_named() {
    let program = hostile(200);
    let mut statement = hostile_statement(&program);
    let limit = SetupError::Limits("the verifier's work");
    let refused = prepare(&program, &ProofShape::from(&statement)).unwrap_err();
    assert_eq!(refused, limit);
    let ask = |statement: &Statement| match verify(&program, statement, &[1, 0]) {
        Verdict::Rejected(Refusal::Setup(why)) => why,
        found => panic!("{found:?}"),
    };
    assert_eq!(ask(&statement), limit);
    statement.slots.push(vec![0]);
    assert!(matches!(ask(&statement), SetupError::Invalid(_)));
    statement.program_digest[0] ^= 1;
    assert_eq!(ask(&statement), SetupError::OtherProgram);
}

#[test]
fn memory_counts_the_contents_once() {
    for case in cases() {
        let [owner, _] = others(&case);
        let prepared = prepare(&owner.program, &ProofShape::from(&owner.statement)).unwrap();
        let contents: usize = owner.program.tensors.iter().map(|tensor| 8 * tensor.content.len()).sum();
        let bytes = prepared.bytes();
        assert!(bytes > contents && bytes < contents + 1_000_000, "{bytes} for {contents}");
        // Statements share what was prepared.
        assert_eq!(prepared.clone().bytes(), bytes);
    }
}
