//! Programs made to keep a verifier busy are refused before the work is done.

use program::types::{Disclosure, InputMode, Operator};
use program::wire::Statement;
use program::{Builder, Program};
use verify::{Refusal, SetupError, Verdict, verify};

use crate::common::form;

/// An input cut into 15552 blocks, each checked against a sum of many views of the whole.
pub fn hostile(views: usize) -> Program {
    let axes = [7, 7, 7, 7, 7, 15, 15, 15];
    let mut builder = Builder::new(100, 0, 16);
    let x = builder.input(&axes, 0, 1).unwrap();
    let whole = form(x, (0..8).map(|axis| program::types::Map::Aff { axis, step: 1, off: 0 }).collect());
    let sum = program::types::Form(std::iter::repeat_n(whole.0[0].clone(), views).collect());
    builder.push(Operator::Check { axes: axes.to_vec(), form: sum, bits: 16 }).unwrap();
    builder.output(x);
    builder.finish(Vec::new()).unwrap()
}

/// What a proof of it would be about.
pub fn hostile_statement(program: &Program) -> Statement {
    Statement {
        program_digest: program.digest(),
        zk: true,
        batch: 1,
        disclosure: Disclosure { inputs: vec![InputMode::Private], reveals: vec![] },
        identity: vec![],
        roots: vec![],
        link: [0; 32],
        slots: vec![],
        context: vec![],
    }
}

#[test]
fn work_is_bounded() {
    let program = hostile(200);
    let statement = hostile_statement(&program);
    let Verdict::Rejected(refusal) = verify(&program, &statement, &[1, 0]) else { panic!("accepted") };
    assert_eq!(refusal, Refusal::Setup(SetupError::Limits("the verifier's work")));
}
