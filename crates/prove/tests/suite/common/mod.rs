//! A small program and its proofs, for the tests and the golden vectors.

pub mod vectors;

use std::collections::BTreeMap;

use program::execute::{Assignment, execute, run};
use program::lower::{Shape, lower};
use program::types::{
    Contraction, Disclosure, Domain, Form, Home, InputMode, Map, Operator, OracleParams, Program, Reveal,
    Round, Scale, Tensor, View,
};
use program::wire::Statement;
use verify::{Link, links_digest, model_identity};
use zerotell_prove::random::Seed;
use zerotell_prove::{LinkAbout, Proof, Table, commit_input, commit_model, prove, prove_link, recommit};

fn aff(axis: u8) -> Map {
    Map::Aff { axis, step: 1, off: 0 }
}

/// One view.
pub fn form(tensor: u32, maps: Vec<Map>) -> Form {
    Form(vec![(1, View { tensor, maps })])
}

fn tensor(home: Home, axes: &[u32], lo: i64, hi: i64, content: Vec<i64>) -> Tensor {
    Tensor { home, axes: axes.to_vec(), lo, hi, content: content.into() }
}

/// Two layers: 5 -> 7 with a relu table, 7 -> 3.
pub struct Small {
    /// The program.
    pub program: Program,
    /// Its private parameters.
    pub weights: BTreeMap<u32, Vec<i64>>,
}

/// Σ_i x[b, i]·w[o, i] + c[o].
fn dense(x: u32, w: u32, c: u32, inputs: u32) -> Option<Contraction> {
    let (a, b) = (form(x, vec![aff(0), aff(2)]), form(w, vec![aff(1), aff(2)]));
    Some(Contraction { sum: vec![inputs], a, b, c: form(c, vec![aff(1)]) })
}

/// The two layers. Columns of the first: q 6, remainder 7, out 8; of the second: q 9, remainder 10.
fn layers() -> Vec<Operator> {
    let first = Round {
        axes: vec![0, 7],
        contraction: dense(0, 1, 2, 5),
        scale: Scale::Axis(1, vec![1, 2, 3, 1, 2, 3, 1]),
        extra: Form::default(),
        shift: 4,
        half_even: false,
        domain: Domain::Narrow { lo: 0, bits: 0 },
        table: Some(0),
    };
    let second = Round {
        axes: vec![0, 3],
        contraction: dense(8, 3, 4, 7),
        scale: Scale::One(3),
        shift: 5,
        domain: Domain::Narrow { lo: -64, bits: 7 },
        table: None,
        ..first.clone()
    };
    vec![Operator::Round(first), Operator::Round(second)]
}

/// The program with private or public parameters.
pub fn small(private: bool, zk: bool) -> Small {
    let mut next = 17u64;
    let mut draw = |n: usize, lo: i64, hi: i64| -> Vec<i64> {
        (0..n)
            .map(|_| {
                next = next.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                lo + ((next >> 33) % (hi - lo + 1) as u64) as i64
            })
            .collect()
    };
    let parameters = [draw(35, -8, 7), draw(7, -5, 5), draw(21, -4, 3), draw(3, -5, 5)];
    let home = if private { Home::Model } else { Home::Const };
    let content = |i: usize| if private { Vec::new() } else { parameters[i].clone() };
    let relu: Vec<i64> = (-64..64).map(|q: i64| q.clamp(0, 15)).collect();
    let tensors = vec![
        tensor(Home::Input, &[0, 5], -8, 7, vec![]),
        tensor(home, &[7, 5], -8, 7, content(0)),
        tensor(home, &[7], -5, 5, content(1)),
        tensor(home, &[3, 7], -4, 3, content(2)),
        tensor(home, &[3], -5, 5, content(3)),
        tensor(Home::Const, &[128], 0, 15, relu),
    ];
    let operators = layers();
    let mut program = Program {
        lambda: 100,
        grind: 0,
        limb_bits: 8,
        tensors,
        ladder: program::types::Ladder::default(),
        model_oracle: None,
        tables: vec![program::types::Table { keys: vec![(-64, 128)], outs: vec![form(5, vec![aff(0)])] }],
        operators,
        outputs: vec![9],
        metadata: Vec::new(),
    };
    if private {
        let log_t = zk.then_some(8);
        program.model_oracle =
            Some(OracleParams { rows: 1, log_c: 8, log_t, log_n: if zk { 11 } else { 10 } });
    }
    let weights = if private { (1..5).zip(parameters).collect() } else { BTreeMap::new() };
    Small { program, weights }
}

/// Fixed inputs.
pub fn inputs(batch: u32) -> Vec<i64> {
    (0..batch as i64 * 5).map(|i| (i * 7 + 3) % 16 - 8).collect()
}

/// What is to be proved.
#[derive(Clone, Debug)]
pub struct Case {
    /// Weights are hidden.
    pub private: bool,
    /// How the input is shown.
    pub input: InputMode,
    /// What is revealed.
    pub reveals: Vec<Reveal>,
    /// Number of inferences.
    pub batch: u32,
    /// Zero knowledge.
    pub zk: bool,
}

/// Everything the owner holds before proving.
pub struct Owner {
    /// The program.
    pub program: Program,
    /// The statement.
    pub statement: Statement,
    /// All integer values.
    pub assignment: Assignment,
    /// Committed tables: model, input.
    pub tables: Vec<Table>,
}

/// Runs the program and states what is shown.
pub fn owner(case: &Case) -> Owner {
    owner_of(case, inputs(case.batch))
}

/// As [`owner`], for a given input.
pub fn owner_of(case: &Case, x: Vec<i64>) -> Owner {
    let Small { program, weights } = small(case.private, case.zk);
    let batch = case.batch;
    let outputs = run(&program, batch, &BTreeMap::from([(0, x.clone())]), &weights).unwrap();
    let mut slots = Vec::new();
    if case.input == InputMode::Public {
        slots.push(x.clone());
    }
    let label = |row: &[i64]| {
        let best = row.iter().max().unwrap();
        row.iter().position(|y| y == best).unwrap() as i64
    };
    for reveal in &case.reveals {
        match reveal {
            Reveal::Values { .. } => slots.push(outputs[0].clone()),
            Reveal::Label { .. } => slots.push(outputs[0].chunks(3).map(label).collect()),
            Reveal::Threshold { .. } => {}
        }
    }
    let mut tables: Vec<Table> =
        commit_model(&program, &weights, &Seed::new([1; 32])).unwrap().into_iter().collect();
    if case.input == InputMode::Committed {
        let axes = [batch as usize, 5];
        tables.push(commit_input(&program, &axes, &x, case.zk, &Seed::new([2; 32])).unwrap());
    }
    let statement = Statement {
        program_digest: program.digest(),
        zk: case.zk,
        batch,
        disclosure: Disclosure { inputs: vec![case.input], reveals: case.reveals.clone() },
        identity: tables.iter().map(|table| table.id()).collect(),
        roots: tables.iter().map(|table| table.root()).collect(),
        link: [0; 32],
        slots,
        context: b"asked by the test".to_vec(),
    };
    let shape = Shape { batch, disclosure: &statement.disclosure, slots: &statement.slots };
    let lowered = lower(&program, &shape).unwrap();
    let assignment = execute(&lowered, &BTreeMap::from([(0, x)]), &weights).unwrap();
    program::check_all(&lowered, &assignment).unwrap();
    Owner { program, statement, assignment, tables }
}

impl Owner {
    /// The proof, under a fixed seed.
    pub fn prove(&self) -> Proof {
        let tables: Vec<&Table> = self.tables.iter().collect();
        prove(&self.program, &self.statement, &self.assignment, &tables, &Seed::new([3; 32])).unwrap()
    }
}

impl Owner {
    /// What links of an oracle are about.
    pub fn about(&self, oracle: usize) -> LinkAbout {
        let model = oracle == 0 && self.program.model_oracle.is_some();
        let subject = if model {
            model_identity(&self.program, &self.statement)
        } else {
            self.statement.identity[oracle]
        };
        let total = if model { 66 } else { u64::from(self.statement.batch) * 5 };
        LinkAbout { security: [100, 0], subject, total }
    }

    /// Opens every oracle at this distance from its identity; gives the links.
    pub fn advance(&mut self, depths: &[usize]) -> Vec<Vec<Link>> {
        let mut chains = Vec::new();
        for (oracle, &depth) in depths.iter().enumerate() {
            let about = self.about(oracle);
            let mut chain = Vec::new();
            for step in 0..depth {
                let seed = |kind: usize| Seed::new([(100 * oracle + 10 * kind + step) as u8; 32]);
                let parent = &self.tables[oracle];
                let child = recommit(parent, parent.shape().clone(), &seed(1)).unwrap();
                chain
                    .push(prove_link(about.statement([parent, &child]), [parent, &child], &seed(2)).unwrap());
                self.tables[oracle] = child;
            }
            chains.push(chain);
        }
        self.statement.roots = self.tables.iter().map(Table::root).collect();
        self.statement.link = links_digest(&chains);
        chains
    }
}
