//! The range certificate: what is certified, and what cannot be.

use std::collections::BTreeMap;

use program::execute::{Assignment, ExecuteError, execute};
use program::lower::{Look, Lowered, Shape, lower};
use program::types::{Contraction, Form, InputMode, Map, Operator, Program};
use program::wire::Statement;
use program::{check_all, range_programs};
use verify::{RangeRefusal, Refusal, Reject, range_statement, verify_ranges};
use zerotell_prove::random::Seed;
use zerotell_prove::{Table, commit_model, prove};

use crate::common::{Case, Small, form, owner, small};

type Weights = BTreeMap<u32, Vec<i64>>;

/// A model with its certificate's only part.
struct Certified {
    model: Small,
    part: Program,
    statement: Statement,
    table: Table,
}

/// The weights under the numbers that the derived Program gives them.
fn renumbered(weights: &Weights) -> Weights {
    (0..).zip(weights.values().cloned()).collect()
}

fn honest(part: &Program, statement: &Statement, weights: &Weights) -> Result<Assignment, ExecuteError> {
    let shape = Shape { batch: 1, disclosure: &statement.disclosure, slots: &[] };
    let lowered = lower(part, &shape).unwrap();
    execute(&lowered, &BTreeMap::<u32, Vec<i64>>::new(), &renumbered(weights))
}

/// A model whose tensors are proved by tables and by one and two ranges.
fn model(zk: bool) -> Small {
    let mut model = small(true, zk);
    let program = &mut model.program;
    let read = |tensor: u32, axes: &[u32]| {
        let maps = (0u8..).zip(axes).map(|(axis, _)| Map::Aff { axis, step: 1, off: 0 }).collect();
        let contraction =
            Contraction { sum: vec![], a: Form::default(), b: form(tensor, maps), c: Form::default() };
        Operator::Commit { axes: axes.to_vec(), contraction }
    };
    program.operators = (1..5).map(|n| read(n, &program.tensors[n as usize].axes)).collect();
    program.tables.clear();
    program.outputs = vec![0];
    for (tensor, lo, hi) in [(1, -8, 7), (2, -5, 5), (3, -1000, 1000), (4, -2048, 2047)] {
        (program.tensors[tensor].lo, program.tensors[tensor].hi) = (lo, hi);
    }
    model
}

fn certified(zk: bool, change: impl Fn(&mut Weights)) -> Certified {
    let mut model = model(zk);
    change(&mut model.weights);
    let table = commit_model(&model.program, &model.weights, &Seed::new([9; 32])).unwrap().unwrap();
    let mut parts = range_programs(&model.program).unwrap();
    assert_eq!(parts.len(), 1);
    let part = parts.remove(0);
    let statement = range_statement(&part, &table.root()).unwrap();
    Certified { model, part, statement, table }
}

impl Certified {
    fn prove(&self, assignment: &Assignment) -> Vec<u8> {
        let seed = Seed::new([3; 32]);
        prove(&self.part, &self.statement, assignment, &[&self.table], &seed).unwrap().bytes
    }

    fn verify(&self, proofs: &[Vec<u8>]) -> Result<u32, RangeRefusal> {
        let verified = verify_ranges(&self.model.program, &self.table.id(), &self.table.root(), &[], proofs);
        verified.map(|budget| budget.weakest().bits)
    }
}

#[test]
fn weights_in_range_are_certified() {
    for zk in [false, true] {
        let model = certified(zk, |_| {});
        let assignment = honest(&model.part, &model.statement, &model.model.weights).unwrap();
        let proof = model.prove(&assignment);
        assert!(model.verify(std::slice::from_ref(&proof)).unwrap() >= 100);
        // The very oracle that an inference opens.
        let case = Case { private: true, input: InputMode::Private, reveals: vec![], batch: 1, zk };
        assert_eq!(owner(&case).tables[0].shape(), model.table.shape());
        // Both ends of every interval are allowed.
        let ends = certified(zk, |weights| {
            (weights.get_mut(&1).unwrap()[0], weights.get_mut(&1).unwrap()[1]) = (-8, 7);
            (weights.get_mut(&3).unwrap()[0], weights.get_mut(&3).unwrap()[6]) = (-1000, 1000);
        });
        let assignment = honest(&ends.part, &ends.statement, &ends.model.weights).unwrap();
        assert!(ends.verify(&[ends.prove(&assignment)]).is_ok());
    }
}

/// (tensor, entry, value) just outside, by a byte, and by half the field.
const OUTSIDE: [(u32, usize, i64); 8] = [
    (1, 0, 8),
    (1, 34, -129),
    (2, 3, 6),
    (2, 6, 1 << 40),
    (3, 5, 1001),
    (3, 20, -1001),
    (4, 2, -(1 << 62)),
    (4, 0, 1 << 40),
];

#[test]
fn the_prover_refuses_weights_out_of_range() {
    for (tensor, entry, value) in OUTSIDE {
        let model = certified(true, |weights| weights.get_mut(&tensor).unwrap()[entry] = value);
        let found = honest(&model.part, &model.statement, &model.model.weights).err().unwrap();
        let ExecuteError::Value { tensor: at, index, .. } = found else { panic!("{found:?}") };
        assert_eq!((at + 1, index), (tensor, entry));
    }
}

/// A prover that committed such weights, and takes the witness of weights in range.
#[test]
fn a_lying_prover_certifies_no_weights_out_of_range() {
    let inside = model(true).weights;
    for (tensor, entry, value) in OUTSIDE {
        let model = certified(true, |weights| weights.get_mut(&tensor).unwrap()[entry] = value);
        let honest = honest(&model.part, &model.statement, &inside).unwrap();
        // It uses the committed value or not, and limbs or counts that agree with it or not.
        for (told, fitted) in [(true, false), (true, true), (false, false)] {
            let mut lie = Assignment { values: honest.values.clone(), prepared: Vec::new() };
            if told {
                lie.values[tensor as usize - 1] = model.model.weights[&tensor].clone().into();
            }
            if fitted {
                fit(&model, &mut lie, tensor as usize - 1, entry, inside[&tensor][entry], value);
            }
            assert_eq!(check_all(&lowered(&model), &lie).is_err(), told);
            let found = model.verify(&[model.prove(&lie)]).unwrap_err();
            let RangeRefusal::Part { part: 0, why } = &found else { panic!("{found:?}") };
            let Refusal::Proof(why) = &**why else { panic!("{found:?}") };
            let named = matches!(why, Reject::Reply | Reject::LastVector | Reject::Codeword { .. });
            assert!(named, "tensor {tensor} = {value}, told {told}, fitted {fitted}: {found:?}");
        }
    }
}

fn lowered(model: &Certified) -> Lowered {
    let shape = Shape { batch: 1, disclosure: &model.statement.disclosure, slots: &[] };
    lower(&model.part, &shape).unwrap()
}

/// Makes as much as possible agree with the value: the count of the old one is taken out of a table;
/// a high limb takes what the low limb cannot hold.
fn fit(model: &Certified, lie: &mut Assignment, tensor: usize, entry: usize, old: i64, value: i64) {
    let lowered = lowered(model);
    let lo = model.part.tensors[tensor].lo;
    let reads = |look: &&Look| look.coords[0].0[0].1.tensor as usize == tensor;
    let mut change = |at: usize, index: usize, to: &dyn Fn(i64) -> i64| {
        let mut values = lie.values[at].to_vec();
        values[index] = to(values[index]);
        lie.values[at] = values.into();
    };
    for look in lowered.looks.iter().filter(reads) {
        let form = &look.coords[0].0;
        match form.last() {
            // sign·w + constant - 256·high.
            Some((-256, high)) => {
                let constant = form[1].0;
                change(high.tensor as usize, entry, &|_| (form[0].0 * value + constant) >> 8);
            }
            _ => {
                let counts = lowered.tables[look.table].multiplicity as usize;
                change(counts, (old - lo) as usize, &|count| count - 1);
            }
        }
    }
}

/// Whether part 0 was refused by its proof.
fn is_proof(found: &RangeRefusal) -> bool {
    matches!(found, RangeRefusal::Part { part: 0, why } if matches!(**why, Refusal::Proof(_)))
}

#[test]
fn other_certificates_are_refused() {
    let model = certified(true, |_| {});
    let assignment = honest(&model.part, &model.statement, &model.model.weights).unwrap();
    let proof = model.prove(&assignment);
    let parts = |expected, found| Err(RangeRefusal::Parts { expected, found });
    assert_eq!(model.verify(&[]), parts(1, 0));
    assert_eq!(model.verify(&[proof.clone(), proof.clone()]), parts(1, 2));
    // Another commitment of the same weights is another model.
    let other =
        commit_model(&model.model.program, &model.model.weights, &Seed::new([8; 32])).unwrap().unwrap();
    let (id, root) = (model.table.id(), model.table.root());
    let refused = |program: &Program, id: &[u8; 32], root: &[u8; 32]| {
        verify_ranges(program, id, root, &[], std::slice::from_ref(&proof)).unwrap_err()
    };
    assert!(matches!(refused(&model.model.program, &other.id(), &root), RangeRefusal::OtherModel(_)));
    assert!(matches!(refused(&model.model.program, &id, &other.root()), RangeRefusal::OtherModel(_)));
    let found = refused(&model.model.program, &other.id(), &other.root());
    assert!(is_proof(&found), "{found:?}");
    // The same weights under another Program, also one that promises less.
    for change in [|p: &mut Program| p.metadata.push(b' '), |p: &mut Program| p.tensors[2].hi = 6] {
        let mut program = model.model.program.clone();
        change(&mut program);
        let found = refused(&program, &id, &root);
        assert!(is_proof(&found), "{found:?}");
    }
    let public = small(false, true).program;
    assert_eq!(refused(&public, &id, &root), RangeRefusal::Public);
}
