//! Random programs, proved whole: every form of rounding, every kind of map, splits, batches.

#[expect(dead_code, reason = "shared with the tests of the program crate")]
#[path = "../../../program/tests/program/common.rs"]
mod programs;

use program::types::{Disclosure, Home, InputMode, OracleParams};
use program::wire::Statement;
use program::{Program, Shape, execute, lower};
use programs::{Random, columns, given, random_program, recount};
use verify::{Refusal, Reject, Verdict, verify};
use zerotell_prove::random::Seed;
use zerotell_prove::{Table, commit_input, commit_model, prove};

/// M with the default parameters.
fn with_oracle(mut program: Program, zk: bool) -> Program {
    (program.lambda, program.grind) = (100, 0);
    let entries = |axes: &[u32]| axes.iter().map(|&n| n as usize).product::<usize>();
    let models = program.tensors.iter().filter(|tensor| tensor.home == Home::Model);
    let total = models.map(|tensor| entries(&tensor.axes)).sum();
    if total > 0 {
        let shape = oracle::Sizing::v1(100, 0).long_term(oracle::Role::Model, total, [0; 32], 1, zk).unwrap();
        program.model_oracle = Some(OracleParams {
            rows: shape.rows as u32,
            log_c: shape.log_c as u8,
            log_t: shape.log_t.map(|log| log as u8),
            log_n: shape.log_n as u8,
        });
    }
    program
}

/// Proves the random program of a seed; lies in one column if asked to.
fn prove_random(seed: u64, lie: bool) -> Verdict {
    let mut random = Random(seed);
    let zk = seed.is_multiple_of(3);
    let program = with_oracle(random_program(&mut random), zk);
    let batch = random.within(1, 3) as u32;
    let (inputs, model) = given(&program, batch, &mut random);
    let modes = [InputMode::Public, InputMode::Private, InputMode::Committed];
    let mut tables: Vec<Table> =
        commit_model(&program, &model, &Seed::new([1; 32])).unwrap().into_iter().collect();
    let mut disclosure = Disclosure::default();
    let mut slots = Vec::new();
    for (number, values) in &inputs {
        let mode = modes[random.within(0, 2) as usize];
        disclosure.inputs.push(mode);
        match mode {
            InputMode::Public => slots.push(values.clone()),
            InputMode::Private => {}
            InputMode::Committed => {
                let axes = program.tensors[*number as usize].axes.iter();
                let axes: Vec<usize> = axes.map(|&n| if n == 0 { batch } else { n } as usize).collect();
                tables.push(commit_input(&program, &axes, values, zk, &Seed::new([2; 32])).unwrap());
            }
        }
    }
    let statement = Statement {
        program_digest: program.digest(),
        zk,
        batch,
        disclosure,
        identity: tables.iter().map(Table::id).collect(),
        roots: tables.iter().map(Table::root).collect(),
        link: [0; 32],
        slots,
        context: Vec::new(),
    };
    let shape = Shape { batch, disclosure: &statement.disclosure, slots: &statement.slots };
    let lowered = lower(&program, &shape).unwrap();
    let mut assignment = execute(&lowered, &inputs, &model).unwrap();
    if lie {
        let fresh = columns(&lowered);
        let column = fresh[random.within(0, fresh.len() as i64 - 1) as usize];
        let mut values = assignment.values[column].to_vec();
        let at = random.within(0, values.len() as i64 - 1) as usize;
        values[at] += if random.within(0, 1) == 0 { 1 } else { -1 };
        assignment.values[column] = values.into();
        // A careful liar keeps the multiplicities right.
        recount(&lowered, &mut assignment);
    }
    let opened: Vec<&Table> = tables.iter().collect();
    let proof = prove(&program, &statement, &assignment, &opened, &Seed::new([3; 32])).unwrap();
    verify(&program, &statement, &proof.bytes)
}

#[test]
fn random_programs_are_accepted() {
    for seed in 0..90 {
        let verdict = prove_random(seed, false);
        assert!(matches!(verdict, Verdict::Accepted(_)), "seed {seed}: {verdict:?}");
    }
}

#[test]
fn lies_in_random_programs_are_refused() {
    for seed in 0..60 {
        let verdict = prove_random(seed, true);
        let refused =
            matches!(verdict, Verdict::Rejected(Refusal::Proof(Reject::Reply | Reject::LastVector)));
        assert!(refused, "seed {seed}: {verdict:?}");
    }
}
