//! A network with weights, an input and a commitment: all that a proof needs.

use std::collections::BTreeMap;
use std::error::Error;

use program::execute::{Assignment, Prepared, Ran};
use program::types::{Home, Program};
use program::wire::Statement;
use program::{Disclosure, InputMode};
use prove::random::Seed;
use prove::{Proof, Table};
use verify::{Setup, Verdict};

/// Contents by tensor number.
type Contents = BTreeMap<u32, Vec<i64>>;

/// A network, committed.
pub struct Case {
    /// What is proved.
    pub program: Program,
    /// Private input, hidden weights, zero knowledge, one element.
    pub statement: Statement,
    inputs: Contents,
    model: BTreeMap<u32, Prepared>,
    table: Table,
}

/// int8 values of a tensor, by a fixed rule.
fn value(index: usize) -> i64 {
    i64::try_from(index).unwrap_or(0).wrapping_mul(2_654_435_761).rem_euclid(255) - 127
}

/// Contents of inputs and of parameters, for this many elements.
pub fn contents(program: &Program, batch: u32) -> (Contents, Contents) {
    let (mut inputs, mut model) = (Contents::new(), Contents::new());
    for (number, tensor) in (0u32..).zip(&program.tensors) {
        let axes = tensor.axes.iter().map(|&n| if n == 0 { batch } else { n });
        let count = axes.map(|n| usize::try_from(n).unwrap_or(usize::MAX)).product();
        let values = || (0..count).map(value).collect();
        match tensor.home {
            Home::Input => drop(inputs.insert(number, values())),
            Home::Model => drop(model.insert(number, values())),
            Home::Const | Home::Ones => {}
        }
    }
    (inputs, model)
}

impl Case {
    /// Commits the network's weights.
    ///
    /// # Errors
    /// When the Program has no private weights, or is beyond the proof system's limits.
    pub fn new(program: Program) -> Result<Self, Box<dyn Error>> {
        let (inputs, model) = contents(&program, 1);
        let table = prove::commit_model(&program, &model, &Seed::new([1; 32]))?;
        let table = table.ok_or("the network has no private weights")?;
        let statement = Statement {
            program_digest: program.digest(),
            zk: true,
            batch: 1,
            disclosure: Disclosure { inputs: vec![InputMode::Private], reveals: vec![] },
            identity: vec![table.id()],
            roots: vec![table.root()],
            link: [0; 32],
            slots: vec![],
            context: vec![],
        };
        let model = model.into_iter().map(|(number, values)| (number, Prepared::new(values))).collect();
        Ok(Self { program, statement, inputs, model, table })
    }

    /// Sizes and relations of the proof.
    ///
    /// # Errors
    /// When the proof would be beyond the limits.
    pub fn setup(&self) -> Result<Setup, Box<dyn Error>> {
        Ok(Setup::new(&self.program, &self.statement)?)
    }

    /// Every integer of the proof.
    ///
    /// # Errors
    /// When the executor refuses: a defect of the network.
    pub fn execute(&self, setup: &Setup) -> Result<Assignment, Box<dyn Error>> {
        Ok(prove::execute(&setup.lowered, &self.inputs, &self.model, Ran::default())?)
    }

    /// The proof; `observe` is told the name of each phase as it starts.
    ///
    /// # Errors
    /// When a challenge is exceptional (probability < 2^-110).
    pub fn prove(
        &self,
        setup: &Setup,
        assignment: &Assignment,
        observe: &mut (dyn FnMut(String) + Send),
    ) -> Result<Proof, Box<dyn Error>> {
        let seed = Seed::new([2; 32]);
        let mut named = |phase| observe(format!("{phase:?}").to_lowercase());
        let tables = [&self.table];
        Ok(prove::prove_observed(setup, &self.statement, assignment, &tables, &seed, &mut named)?)
    }

    /// Whether a verifier accepts.
    #[must_use]
    pub fn accepted(&self, proof: &Proof) -> bool {
        matches!(verify::verify(&self.program, &self.statement, &proof.bytes), Verdict::Accepted(_))
    }
}
