//! Random programs: honest execution satisfies every relation, and nothing else does.

use crate::common::{Random, changed, columns, given, random_program};
use zerotell_program::types::{Domain, Home, Operator};
use zerotell_program::{
    Disclosure, Hands, InputMode, Job, Ran, Reveal, Runner, Shape, check_all, execute, execute_ran, lower,
    run, run_tensors,
};

fn disclosure(inputs: usize, random: &mut Random) -> Disclosure {
    let modes = [InputMode::Private, InputMode::Committed];
    let inputs = (0..inputs).map(|_| modes[random.within(0, 1) as usize]).collect();
    Disclosure { inputs, reveals: Vec::new() }
}

/// The random programs of these tests contain every form of rounding and every kind of map.
#[test]
fn random_programs_are_varied() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..120 {
        let program = random_program(&mut Random(seed));
        for operator in &program.operators {
            if let Operator::Round(round) = operator {
                let wide = matches!(round.domain, Domain::Wide { .. });
                seen.insert(format!(
                    "wide {wide}, even {}, contraction {}, table {}, one limb {}",
                    round.half_even,
                    round.contraction.is_some(),
                    round.table.is_some(),
                    round.shift <= program.limb_bits
                ));
            }
        }
        let text = format!("{:?}", program.operators);
        let maps = ["Aff", "Win", "Join", "Gather", "Sum", "Mat", "Pool"];
        seen.extend(maps.iter().filter(|map| text.contains(**map)).map(ToString::to_string));
        let public = program.tensors.iter().any(|t| t.home == Home::Model);
        seen.insert(format!("private weights {public}"));
    }
    let count = |part: &str| seen.iter().filter(|item| item.contains(part)).count();
    // With tables: wide or narrow, even or not, one limb or two: 8; without: one limb or two.
    assert_eq!((count("table true"), count("table false")), (8, 2), "{seen:?}");
    assert_eq!(count("private weights"), 2);
    for map in ["Aff", "Win", "Join", "Gather", "Sum", "Mat", "Pool"] {
        assert!(seen.contains(map), "{map}");
    }
}

#[test]
fn honest_execution_satisfies_all() {
    for seed in 0..120 {
        let mut random = Random(seed);
        let program = random_program(&mut random);
        let batch = random.within(1, 3) as u32;
        let (inputs, model) = given(&program, batch, &mut random);
        let disclosure = disclosure(inputs.len(), &mut random);
        let lowered = lower(&program, &Shape { batch, disclosure: &disclosure, slots: &[] }).unwrap();
        let assignment = execute(&lowered, &inputs, &model).unwrap();
        assert_eq!(check_all(&lowered, &assignment), Ok(()), "seed {seed}");
        for (tensor, placed) in lowered.tensors.iter().enumerate() {
            let inside = |value: &i64| placed.lo <= *value && *value <= placed.hi;
            assert!(assignment.values[tensor].iter().all(inside), "seed {seed}, tensor {tensor}");
        }
    }
}

#[test]
fn any_changed_column_breaks_a_relation() {
    for seed in 0..40 {
        let mut random = Random(1000 + seed);
        let program = random_program(&mut random);
        let (inputs, model) = given(&program, 1, &mut random);
        let disclosure = disclosure(inputs.len(), &mut random);
        let lowered = lower(&program, &Shape { batch: 1, disclosure: &disclosure, slots: &[] }).unwrap();
        let honest = execute(&lowered, &inputs, &model).unwrap();
        for tensor in columns(&lowered) {
            let index = (random.next() % honest.values[tensor].len() as u64) as usize;
            for by in [-1, 1] {
                let other = changed(&lowered, &honest, tensor, index, by);
                assert!(check_all(&lowered, &other).is_err(), "seed {seed}, tensor {tensor}, by {by}");
            }
        }
        for table in &lowered.tables {
            let mut other = honest.clone();
            let mut counts = other.values[table.multiplicity as usize].to_vec();
            counts[0] += 1;
            other.values[table.multiplicity as usize] = counts.into();
            assert!(check_all(&lowered, &other).is_err());
        }
    }
}

#[test]
fn running_alone_agrees_with_executing() {
    for seed in 0..60 {
        let mut random = Random(2000 + seed);
        let program = random_program(&mut random);
        let (inputs, model) = given(&program, 3, &mut random);
        let disclosure = disclosure(inputs.len(), &mut random);
        let lowered = lower(&program, &Shape { batch: 3, disclosure: &disclosure, slots: &[] }).unwrap();
        let full = execute(&lowered, &inputs, &model).unwrap();
        let outputs = run(&program, 3, &inputs, &model).unwrap();
        for (values, &tensor) in outputs.iter().zip(&program.outputs) {
            assert_eq!(values[..], full.values[tensor as usize][..], "seed {seed}");
        }
        for (tensor, values) in run_tensors(&program, 3, &inputs, &model).unwrap() {
            if (tensor as usize) < zerotell_program::validate::facts(&program).unwrap().len() {
                assert_eq!(values, full.values[tensor as usize], "seed {seed}, tensor {tensor}");
            }
        }
    }
}

/// Several hands compute what one does, and columns of a run are taken only from a run of the same operators.
#[test]
fn many_hands_compute_the_same() {
    let all = |jobs: Vec<Job<'_>>| jobs.into_iter().rev().for_each(|job| job());
    let hands = Hands { count: 3, all };
    let mut other = Ran::default();
    // Long batches fall into pieces.
    for (seed, batch) in (0..40).map(|seed| (seed, 3)).chain((40..52).map(|seed| (seed, 5000))) {
        let mut random = Random(6000 + seed);
        let program = random_program(&mut random);
        let (inputs, model) = given(&program, batch, &mut random);
        let disclosure = disclosure(inputs.len(), &mut random);
        let lowered = lower(&program, &Shape { batch, disclosure: &disclosure, slots: &[] }).unwrap();
        let expected = execute(&lowered, &inputs, &model).unwrap();
        let (outputs, ran) =
            Runner::new(&program, batch).unwrap().run_and_keep(&inputs, &model, hands).unwrap();
        assert_eq!(outputs, run(&program, batch, &inputs, &model).unwrap(), "seed {seed}");
        for ran in [std::mem::take(&mut other), Ran::default(), ran.clone()] {
            let found = execute_ran(&lowered, &inputs, &model, ran, hands).unwrap();
            assert!(found.values == expected.values, "seed {seed}");
        }
        other = ran;
    }
}

/// The first column of every operator has the operator's axes, and the columns follow the declared tensors.
#[test]
fn columns_are_numbered_by_operator() {
    for seed in 0..60 {
        let program = random_program(&mut Random(2500 + seed));
        let facts = zerotell_program::validate::facts(&program).unwrap();
        let first = zerotell_program::validate::first_columns(&program).unwrap();
        assert_eq!(first.len(), program.operators.len());
        assert_eq!(first.first().copied().unwrap_or(facts.len()), program.tensors.len());
        assert!(first.is_sorted());
        for (operator, &column) in program.operators.iter().zip(&first) {
            if let Operator::Commit { axes, .. }
            | Operator::Table { axes, .. }
            | Operator::Split { axes, .. } = operator
            {
                assert_eq!(&facts[column].axes, axes, "seed {seed}");
            }
        }
    }
}

/// A batch is computed as its members one by one.
#[test]
fn a_batch_is_its_members() {
    for seed in 0..30 {
        let mut random = Random(3000 + seed);
        let program = random_program(&mut random);
        let (inputs, model) = given(&program, 2, &mut random);
        let both = run(&program, 2, &inputs, &model).unwrap();
        let single = Runner::new(&program, 1).unwrap();
        let part = |half: usize| {
            let cut = |values: &Vec<i64>| values.chunks(values.len() / 2).nth(half).unwrap().to_vec();
            let inputs = inputs.iter().map(|(&tensor, values)| (tensor, cut(values))).collect();
            single.run(&inputs, &model).unwrap()
        };
        for (output, whole) in both.iter().enumerate() {
            assert_eq!(*whole, [part(0)[output].clone(), part(1)[output].clone()].concat());
        }
    }
}

/// True reveals of all kinds are accepted, false ones refused by execution.
#[test]
fn reveals() {
    for seed in 0..60 {
        let mut random = Random(4000 + seed);
        let program = random_program(&mut random);
        let (inputs, model) = given(&program, 2, &mut random);
        let outputs = run(&program, 2, &inputs, &model).unwrap();
        let axes =
            zerotell_program::validate::facts(&program).unwrap()[program.outputs[0] as usize].axes.clone();
        let classes = *axes.last().unwrap() as usize;
        let labels: Vec<i64> = outputs[0]
            .chunks(classes)
            .map(|row| row.iter().position(|v| v == row.iter().max().unwrap()).unwrap() as i64)
            .collect();
        let per_batch = outputs[0].len() / 2;
        let index = (random.next() % per_batch as u64) as usize;
        let least = outputs[0][index].min(outputs[0][per_batch + index]);
        let threshold =
            |at_least, bound| Reveal::Threshold { output: 0, index: index as u32, at_least, bound };
        let accepted = |reveals: Vec<Reveal>, slots: Vec<Vec<i64>>| {
            let disclosure = Disclosure { inputs: vec![InputMode::Private; inputs.len()], reveals };
            let Ok(lowered) = lower(&program, &Shape { batch: 2, disclosure: &disclosure, slots: &slots })
            else {
                return false;
            };
            match execute(&lowered, &inputs, &model) {
                Ok(assignment) => check_all(&lowered, &assignment) == Ok(()),
                Err(_) => false,
            }
        };
        let (values, label) = (Reveal::Values { output: 1 }, Reveal::Label { output: 0 });
        let mut wrong_values = outputs[1].clone();
        wrong_values[0] += if wrong_values[0] > 0 { -1 } else { 1 };
        assert!(accepted(
            vec![values.clone(), label.clone(), threshold(true, least)],
            vec![outputs[1].clone(), labels.clone()]
        ));
        assert!(!accepted(vec![values], vec![wrong_values]), "seed {seed}");
        assert!(!accepted(vec![threshold(true, least + 1)], vec![]), "seed {seed}");
        assert!(accepted(vec![threshold(true, least)], vec![]), "seed {seed}");
        if least < outputs[0][index].max(outputs[0][per_batch + index]) {
            assert!(!accepted(vec![threshold(false, least)], vec![]), "seed {seed}");
        }
        for wrong in 0..classes as i64 {
            let mut list = labels.clone();
            list[0] = wrong;
            assert_eq!(accepted(vec![label.clone()], vec![list]), wrong == labels[0], "seed {seed}");
        }
    }
}
