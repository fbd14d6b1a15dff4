//! Would cheating pay? Experiments on the real ledger and the real light client, each repeatable from a seed.
//!
//! | file | experiment |
//! |---|---|
//! | `best_response.rs` | S1: which way of verifying pays best |
//! | `copying.rs` | S2: copied verdicts, shared traces |
//! | `canaries.rs` | S3: a market of traps |
//! | `floods.rs` | S4: ten times more than there is room for |
//! | `bribery.rs` | S5: what a wrong verdict costs to buy |
//! | `splitting.rs` | S6: one stake on many seats |
//! | `censorship.rs` | S7: proposers that leave somebody out |
//! | `partitions.rs` | S8: conflicting blocks, old keys |
//! | `disagreement.rs` | S9: builds that disagree |
//! | `washing.rs` | S10: records and traps of one's own |
//! | `slow.rs` | S11: a small machine |
//! | `world.rs` | a network around the ledger; `economy.rs`: what its rules come to per record |
//! | `chance.rs`, `report.rs`, `picture.rs` | draws, results, drawings |
//!
//! What comes out, and what it does not show, is `docs/incentives.md`. Floats are allowed here: nothing of this is consensus.
#![forbid(unsafe_code)]

pub mod best_response;
pub mod bribery;
pub mod canaries;
pub mod censorship;
pub mod chance;
pub mod copying;
pub mod disagreement;
pub mod document;
pub mod economy;
pub mod floods;
pub mod partitions;
pub mod picture;
pub mod report;
pub mod signing;
pub mod slow;
pub mod splitting;
pub mod washing;
pub mod world;

use report::Report;

/// How much of an experiment is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grid {
    /// Enough to test the criterion, in seconds.
    Small,
    /// What the documents show, in a minute or so.
    Full,
}

/// An experiment that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// What was asked for.
    pub id: String,
}

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.id.eq_ignore_ascii_case("S12") {
            return write!(f, "S12 is not simulated: it measures real processes and real proofs");
        }
        write!(f, "there is no experiment {}; there are S1 to S11", self.id)
    }
}

impl std::error::Error for Unknown {}

type Experiment = fn(u64, Grid) -> Report;

/// Names of the experiments, and what runs them.
const EXPERIMENTS: [(&str, Experiment); 11] = [
    ("S1", best_response::run),
    ("S2", copying::run),
    ("S3", canaries::run),
    ("S4", floods::run),
    ("S5", bribery::run),
    ("S6", splitting::run),
    ("S7", censorship::run),
    ("S8", partitions::run),
    ("S9", disagreement::run),
    ("S10", washing::run),
    ("S11", slow::run),
];

/// Names of all experiments, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    EXPERIMENTS.iter().map(|(name, _)| *name)
}

/// Runs an experiment: the same report for the same seed and grid, on every machine.
///
/// # Errors
/// [`Unknown`] if there is none of this name.
pub fn run(id: &str, seed: u64, grid: Grid) -> Result<Report, Unknown> {
    let found = EXPERIMENTS.iter().find(|(name, _)| name.eq_ignore_ascii_case(id));
    let (_, experiment) = found.ok_or_else(|| Unknown { id: id.to_string() })?;
    Ok(experiment(seed, grid))
}
