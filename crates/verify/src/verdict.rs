//! The one question this crate answers.

use core::fmt;

use program::types::Program;
use program::wire::{Statement, encode_statement};
use tape::{End, Reject, VerifierEnd};

use crate::conversation::converse;
use crate::prepared::{Prepared, has_model, identity_of};
use crate::{Budget, ChainError, Linked, Links, Setup, SetupError, chain};

/// First two bytes of every proof.
pub const PROOF_VERSION: u16 = 2;

/// Least proven bits of an accepted proof.
pub(crate) const BITS_MIN: u32 = 100;

/// What [`verify`] says.
#[derive(Debug)]
pub enum Verdict {
    /// The proof is good.
    Accepted(Accepted),
    /// It is not.
    Rejected(Refusal),
}

/// Evidence that every claim was settled. Only [`verify`] and its kin make one.
#[derive(Debug)]
pub struct Accepted {
    budget: Budget,
    linked: Vec<Linked>,
}

impl Accepted {
    /// Which oracles were newly shown to hold the data of their identities.
    pub fn linked(&self) -> &[Linked] {
        &self.linked
    }

    /// The proven soundness budget.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }
}

/// Why a proof is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Program and Statement do not make a proof.
    Setup(SetupError),
    /// The proof does not show the Statement.
    Proof(Reject),
    /// The parameters prove too few bits.
    Weak {
        /// Proven bits.
        bits: u32,
    },
    /// No links lead from the identities to the opened roots.
    Links(ChainError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setup(why) => write!(f, "{why}"),
            Self::Proof(why) => write!(f, "{why}"),
            Self::Weak { bits } => write!(f, "the parameters prove {bits} bits, {BITS_MIN} are required"),
            Self::Links(why) => write!(f, "{why}"),
        }
    }
}

impl core::error::Error for Refusal {}

/// vk: the model's identity that a Statement claims (spec P23).
pub fn model_identity(program: &Program, statement: &Statement) -> [u8; 32] {
    identity_of(&program.digest(), has_model(program), statement)
}

/// Checks that the proof shows the Statement about the Program. A Statement that opens other than
/// its identities' own roots is refused: see [`verify_linked`].
pub fn verify(program: &Program, statement: &Statement, proof: &[u8]) -> Verdict {
    verify_linked(program, statement, proof, &Links::NONE)
}

/// As [`verify`], with the links that lead from the identities to the opened roots.
pub fn verify_linked(program: &Program, statement: &Statement, proof: &[u8], links: &Links<'_>) -> Verdict {
    verify_traced(program, statement, proof, links).0
}

/// As [`verify_linked`], and the state of the transcript after the last check, or where it failed: nobody
/// has it who did not run the conversation. Zero if there was none.
pub fn verify_traced(
    program: &Program,
    statement: &Statement,
    proof: &[u8],
    links: &Links<'_>,
) -> (Verdict, [u8; 32]) {
    match Prepared::for_statement(program, statement) {
        Ok(prepared) => prepared.verify_traced(statement, proof, links),
        Err(why) => (Verdict::Rejected(Refusal::Setup(why)), [0; 32]),
    }
}

impl Prepared {
    /// As [`verify`], about the prepared Program. A Statement of another Program or shape is refused.
    pub fn verify(&self, statement: &Statement, proof: &[u8]) -> Verdict {
        self.verify_linked(statement, proof, &Links::NONE)
    }

    /// As [`verify_linked`], about the prepared Program.
    pub fn verify_linked(&self, statement: &Statement, proof: &[u8], links: &Links<'_>) -> Verdict {
        self.verify_traced(statement, proof, links).0
    }

    /// As [`verify_traced`], about the prepared Program.
    pub fn verify_traced(
        &self,
        statement: &Statement,
        proof: &[u8],
        links: &Links<'_>,
    ) -> (Verdict, [u8; 32]) {
        let mut trace = [0; 32];
        let verdict = match self.check(statement, proof, links, &mut trace) {
            Ok(accepted) => Verdict::Accepted(accepted),
            Err(refusal) => Verdict::Rejected(refusal),
        };
        (verdict, trace)
    }

    fn check(
        &self,
        statement: &Statement,
        proof: &[u8],
        links: &Links<'_>,
        trace: &mut [u8; 32],
    ) -> Result<Accepted, Refusal> {
        let setup = self.setup(statement).map_err(Refusal::Setup)?;
        let bits = self.budget().weakest().bits;
        if bits < BITS_MIN {
            return Err(Refusal::Weak { bits });
        }
        let linked = chain::check(&setup, self.model(statement), statement, links).map_err(Refusal::Links)?;
        verify_tracing(&setup, statement, proof, trace).map_err(Refusal::Proof)?;
        Ok(Accepted { budget: self.budget().clone(), linked })
    }
}

/// The conversation alone, at a setup made before. It checks no security level: at other than
/// version 1's parameters it is for tests. It does not ask how the opened roots are linked to their
/// identities.
pub fn verify_at(setup: &Setup, statement: &Statement, proof: &[u8]) -> Result<(), Reject> {
    verify_tracing(setup, statement, proof, &mut [0; 32])
}

fn verify_tracing(
    setup: &Setup,
    statement: &Statement,
    proof: &[u8],
    trace: &mut [u8; 32],
) -> Result<(), Reject> {
    let (version, body) = proof.split_first_chunk::<2>().ok_or(Reject::Truncated { label: "version" })?;
    let found = u16::from_le_bytes(*version);
    if found != PROOF_VERSION {
        return Err(Reject::Version { found });
    }
    let mut end = VerifierEnd::new(body);
    let header = encode_statement(statement);
    let conversed = verifier_converses(&mut end, setup, &header, &statement.roots);
    *trace = end.state();
    conversed?;
    end.finish()
}

/// The verifier's side of [`converse`], for any end that knows nothing.
pub fn verifier_converses<E>(
    end: &mut E,
    setup: &Setup,
    header: &[u8],
    roots: &[[u8; 32]],
) -> Result<(), Reject>
where
    E: End,
    E::Knows<Nobody>: Default,
{
    converse::<E, Nobody>(end, setup, header, roots, &mut E::Knows::<Nobody>::default())
}

/// The verifier's witness: there is none.
pub enum Nobody {}

mod nobody {
    use super::Nobody;
    use crate::{Challenges, Functionals, LinkWitness, LookupChallenges, Witness};
    use algebra::K;
    use oracle::Opened;

    impl sumcheck::Pads for Nobody {
        fn pad(&self, _: usize) -> K {
            match *self {}
        }
    }
    impl sumcheck::InnerProducts for Nobody {
        fn weigh(&mut self, _: &[K]) {
            match *self {}
        }
        fn inner_round(&mut self, _: usize) -> [K; 2] {
            match *self {}
        }
        fn inner_fold(&mut self, _: usize, _: K) {
            match *self {}
        }
    }
    impl lookup::Fractions for Nobody {
        fn root_fractions(&mut self) -> [K; 4] {
            match *self {}
        }
        fn start_layer(&mut self, _: usize, _: &[K], _: K) {
            match *self {}
        }
        fn layer_round(&mut self, _: usize) -> [K; 2] {
            match *self {}
        }
        fn layer_fold(&mut self, _: usize, _: K) {
            match *self {}
        }
        fn layer_end(&mut self) -> [K; 4] {
            match *self {}
        }
    }
    impl oracle::Rungs for Nobody {
        fn ladder_pad(&self, _: usize) -> K {
            match *self {}
        }
        fn start_level(&mut self, _: usize) {
            match *self {}
        }
        fn row_round(&mut self, _: usize) -> [K; 2] {
            match *self {}
        }
        fn row_fold(&mut self, _: usize, _: K) {
            match *self {}
        }
        fn fold(&mut self, _: &[Vec<K>], _: &[K]) {
            match *self {}
        }
        fn commit_next(&mut self) -> [u8; 32] {
            match *self {}
        }
        fn commit_end(&mut self) -> [u8; 32] {
            match *self {}
        }
        fn last_vector(&mut self) -> Vec<K> {
            match *self {}
        }
        fn columns(&mut self, _: Opened, _: &[usize]) -> Vec<u8> {
            match *self {}
        }
        fn siblings(&mut self, _: Opened, _: &[usize]) -> Vec<[u8; 32]> {
            match *self {}
        }
        fn queried(&mut self, _: &[Vec<usize>], _: K) {
            match *self {}
        }
        fn end_round(&mut self, _: usize) -> [K; 2] {
            match *self {}
        }
        fn end_fold(&mut self, _: usize, _: K) {
            match *self {}
        }
        fn sigma(&mut self, _: &[K]) -> K {
            match *self {}
        }
        fn reply(&mut self, _: K) -> Vec<K> {
            match *self {}
        }
    }
    impl LinkWitness for Nobody {
        fn commit_pads(&mut self) -> [u8; 32] {
            match *self {}
        }
        fn link_point(&mut self, _: &[K]) {
            match *self {}
        }
    }
    impl Witness for Nobody {
        fn commit_fresh(&mut self) -> [u8; 32] {
            match *self {}
        }
        fn commit_pads(&mut self) -> [u8; 32] {
            match *self {}
        }
        fn lookup_challenges(&mut self, _: &LookupChallenges) {
            match *self {}
        }
        fn relation_points(&mut self, _: Challenges) {
            match *self {}
        }
        fn inner_values(&mut self) -> Vec<K> {
            match *self {}
        }
        fn clear_values(&mut self) -> [K; 2] {
            match *self {}
        }
        fn functionals(&mut self, _: &Functionals<'_>) {
            match *self {}
        }
    }
}
