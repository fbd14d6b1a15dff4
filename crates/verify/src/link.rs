//! Links: two long-term oracles hold the same data (spec K1-K4).
//!
//! | step | who      | says                              | label      |
//! |------|----------|-----------------------------------|------------|
//! | 0    | both     | link statement                    | `hdr`      |
//! | 1    | prover   | root of Q                         | `root.pad` |
//! | 1'   | verifier | r                                 | `link`     |
//! | 2    | both     | the ladder, see `oracle`          |            |
//!
//! The claim that is opened: Σ_a eq(r, a)·(parent[a] - child[a]) = 0 over the addresses below N.

use core::fmt;

use algebra::K;
use algebra::layout::chunks;
use algebra::multilinear::{bits, eq_points, selector};
use oracle::{Opening, Plan, Role, Rungs, Shape, Sizing, open, plan};
use program::limits;
use program::types::Program;
use tape::{End, Reject, VerifierEnd, frame};

use crate::setup::model_shape;
use crate::soundness::{ladder_rounds, ladder_terms, over_field};
use crate::verdict::{BITS_MIN, Nobody, PROOF_VERSION};
use crate::{Budget, SoundnessTerm};

const MAGIC: &[u8; 4] = b"ZTLK";
/// Version of a link's statement; others are refused.
pub const LINK_VERSION: u16 = 1;
const POSITIONS_MAX: usize = 1 << 27;
const GRIND_MAX: u8 = 24;
const NO_MASKS: u8 = u8::MAX;

/// A long-term oracle: its parameters and its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OracleRecord {
    /// Parameters.
    pub shape: Shape,
    /// Root.
    pub root: [u8; 32],
}

impl OracleRecord {
    /// OracleId.
    pub fn id(&self) -> [u8; 32] {
        self.shape.id(&self.root)
    }
}

/// What a link states (spec K1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStatement {
    /// λ.
    pub lambda: u8,
    /// g.
    pub grind: u8,
    /// Whose data: the model identity, or the identity of the committed input.
    pub subject: [u8; 32],
    /// N: entries of the data.
    pub total: u64,
    /// The oracle known before.
    pub parent: OracleRecord,
    /// The oracle that holds the same data.
    pub child: OracleRecord,
    /// Free bytes the link is bound to.
    pub context: Vec<u8>,
}

/// Why a link is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkError {
    /// The bytes spell no link statement.
    Malformed(&'static str),
    /// The two oracles cannot be linked.
    Parameters(&'static str),
    /// The parameters prove too few bits.
    Weak {
        /// Proven bits.
        bits: u32,
    },
    /// The proof does not show the statement.
    Proof(Reject),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => write!(f, "the link's statement is not well formed: {what}"),
            Self::Parameters(what) => write!(f, "the link's oracles do not fit: {what}"),
            Self::Weak { bits } => {
                write!(f, "the link's parameters prove {bits} bits, {BITS_MIN} are required")
            }
            Self::Proof(why) => write!(f, "the link does not hold: {why}"),
        }
    }
}

impl core::error::Error for LinkError {}

impl From<Reject> for LinkError {
    fn from(why: Reject) -> Self {
        Self::Proof(why)
    }
}

// ---- bytes ----

impl LinkStatement {
    /// Its bytes: the header of the link's transcript.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(LINK_VERSION.to_le_bytes());
        bytes.extend([self.lambda, self.grind]);
        bytes.extend(self.subject);
        bytes.extend(self.total.to_le_bytes());
        for record in [&self.parent, &self.child] {
            bytes.extend(record.shape.parameters());
            bytes.extend(record.root);
        }
        bytes.extend(frame(&self.context));
        bytes
    }

    /// Reads what [`Self::encode`] writes.
    ///
    /// # Errors
    /// [`LinkError::Malformed`] unless the bytes are the one spelling of a link statement.
    pub fn decode(bytes: &[u8]) -> Result<Self, LinkError> {
        let mut r = Reader(bytes);
        if r.array()? != *MAGIC {
            return Err(LinkError::Malformed("it does not start with ZTLK"));
        }
        if u16::from_le_bytes(r.array()?) != LINK_VERSION {
            return Err(LinkError::Malformed("its version is not known"));
        }
        let [lambda, grind] = r.array()?;
        let (subject, total) = (r.array()?, u64::from_le_bytes(r.array()?));
        let (parent, child) = (r.record()?, r.record()?);
        let context = r.framed()?.to_vec();
        r.end()?;
        if u64::try_from(context.len()).is_ok_and(|length| length > limits::CONTEXT) {
            return Err(LinkError::Malformed("the context is too long"));
        }
        Ok(Self { lambda, grind, subject, total, parent, child, context })
    }
}

/// Reads what links are spelled with; nothing is allocated for a length that is not there.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// A count of at most `most`.
    pub(crate) fn count(&mut self, most: u64) -> Result<u64, LinkError> {
        let count = Some(u64::from(u32::from_le_bytes(self.array()?))).filter(|&n| n <= most);
        count.ok_or(LinkError::Malformed("there are too many links"))
    }

    /// Bytes behind their length.
    pub(crate) fn framed(&mut self) -> Result<&'a [u8], LinkError> {
        let length = usize::try_from(u64::from_le_bytes(self.array()?));
        self.take(length.map_err(|_| LinkError::Malformed("it is cut short"))?)
    }

    /// Refuses left-over bytes.
    pub(crate) fn end(&self) -> Result<(), LinkError> {
        if self.0.is_empty() { Ok(()) } else { Err(LinkError::Malformed("bytes follow the end")) }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], LinkError> {
        let (part, rest) = self.0.split_at_checked(count).ok_or(LinkError::Malformed("it is cut short"))?;
        self.0 = rest;
        Ok(part)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LinkError> {
        let (part, rest) = self.0.split_first_chunk().ok_or(LinkError::Malformed("it is cut short"))?;
        self.0 = rest;
        Ok(*part)
    }

    fn record(&mut self) -> Result<OracleRecord, LinkError> {
        let [role, field] = self.array()?;
        let role = [Role::Model, Role::Input].into_iter().find(|known| known.byte() == role);
        let role = role.ok_or(LinkError::Malformed("an oracle is neither M nor X"))?;
        if field != 0 {
            return Err(LinkError::Malformed("an oracle is not over F"));
        }
        let rows = usize::try_from(u32::from_le_bytes(self.array()?)).unwrap_or(usize::MAX);
        let [log_c, log_t, log_n] = self.array::<3>()?.map(usize::from);
        let log_t = Some(log_t).filter(|&log| log != usize::from(NO_MASKS));
        let (layout, root) = (self.array()?, self.array()?);
        let shape = Shape { role, extension: false, rows, log_c, log_t, log_n, layout };
        Ok(OracleRecord { shape, root })
    }
}

// ---- the conversation ----

/// Everything derived from a link statement before the first message.
#[derive(Clone, Debug)]
pub struct LinkSetup {
    /// N.
    pub total: usize,
    /// The ladder over (parent, child).
    pub plan: Plan,
    /// Roots of parent and child.
    pub roots: [[u8; 32]; 2],
}

impl LinkSetup {
    /// Checks the statement and plans its ladder.
    ///
    /// # Errors
    /// [`LinkError::Parameters`] if the two oracles cannot hold the same data and hide it.
    pub fn new(statement: &LinkStatement) -> Result<Self, LinkError> {
        Self::with_sizing(statement, Sizing::v1(statement.lambda, statement.grind))
    }

    /// As [`Self::new`] with other parameters of the ladder. For tests at small parameters only.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_sizing(statement: &LinkStatement, sizing: Sizing) -> Result<Self, LinkError> {
        let wrong = |what| Err(LinkError::Parameters(what));
        let (parent, child) = (&statement.parent.shape, &statement.child.shape);
        if parent.role != child.role || parent.layout != child.layout {
            return wrong("they have other tensors");
        }
        let Ok(total) = usize::try_from(statement.total) else { return wrong("they are too large") };
        for shape in [parent, child] {
            if !shape.is_valid() || total == 0 || shape.rows != total.div_ceil(shape.data()) {
                return wrong("sizes are not allowed");
            }
            if shape.masks() < shape.queries(sizing.lambda) {
                return wrong("an oracle has too few masks for one opening");
            }
        }
        if parent.positions().saturating_add(child.positions()) > POSITIONS_MAX {
            return wrong("they are too large");
        }
        let plan = plan(&sizing, true, vec![parent.clone(), child.clone()]);
        let plan = plan.ok_or(LinkError::Parameters("there is no ladder for them"))?;
        Ok(Self { total, plan, roots: [statement.parent.root, statement.child.root] })
    }

    /// Address variables: lg N.
    pub fn variables(&self) -> usize {
        bits(self.total)
    }

    /// The soundness terms of the link (spec K4).
    pub fn budget(&self) -> Budget {
        let point = SoundnessTerm { name: "link point", bits: over_field(self.variables()) };
        let terms = [point].into_iter().chain(ladder_terms(&self.plan)).collect();
        Budget { terms, rounds: ladder_rounds(&self.plan).saturating_add(1) }
    }
}

/// What the prover of a link holds.
pub trait LinkWitness: Rungs {
    /// Commits Q.
    fn commit_pads(&mut self) -> [u8; 32];
    /// r: the functionals are +eq(r, ·) on the parent and -eq(r, ·) on the child.
    fn link_point(&mut self, point: &[K]);
}

/// Both ends. `header` is the link statement's bytes.
///
/// # Errors
/// [`Reject`] at the verifier's end if the two oracles are not shown to hold the same data.
pub fn link<E: End, W: LinkWitness>(
    end: &mut E,
    setup: &LinkSetup,
    header: &[u8],
    knows: &mut E::Knows<W>,
) -> Result<(), Reject> {
    end.bind("hdr", header);
    let pad_root = end.say_root("root.pad", knows, W::commit_pads)?;
    // Soundness: if the data differ at an address below N, the multilinear extension of the
    // difference is not zero and vanishes at r with probability <= lg N/#K.
    let point = end.draws("link", setup.variables());
    end.act(knows, |witness: &mut W| witness.link_point(&point));
    let opening =
        Opening { plan: &setup.plan, roots: &setup.roots, pad_root: Some(pad_root), target: K::ZERO };
    let functional = |oracle: usize, zeta: &[K]| {
        let value = prefix_eq(&point, zeta, setup.total);
        if oracle == 0 { value } else { -value }
    };
    open(end, &opening, functional, knows)
}

/// Σ_{a<n} eq(r, a)·eq(z, a), by the binary chunks of n; z may have more variables than r.
fn prefix_eq(r: &[K], z: &[K], n: usize) -> K {
    let chunk = |off: usize, log: usize| {
        let inside = eq_points(r.get(..log).unwrap_or(r), z.get(..log).unwrap_or(z));
        selector(r, off, log) * selector(z, off, log) * inside
    };
    chunks(n).into_iter().map(|part| chunk(part.off, part.log)).sum()
}

/// The verifier's side of [`link`], for any end that knows nothing.
///
/// # Errors
/// As [`link`].
pub fn verifier_links<E>(end: &mut E, setup: &LinkSetup, header: &[u8]) -> Result<(), Reject>
where
    E: End,
    E::Knows<Nobody>: Default,
{
    link::<E, Nobody>(end, setup, header, &mut E::Knows::<Nobody>::default())
}

/// The conversation alone, at a setup made before. It checks no security level: at other than
/// version 1's parameters it is for tests.
///
/// # Errors
/// As [`link`].
pub fn verify_link_at(setup: &LinkSetup, header: &[u8], proof: &[u8]) -> Result<(), Reject> {
    verify_link_tracing(setup, header, proof, &mut [0; 32])
}

fn verify_link_tracing(
    setup: &LinkSetup,
    header: &[u8],
    proof: &[u8],
    trace: &mut [u8; 32],
) -> Result<(), Reject> {
    let (version, body) = proof.split_first_chunk::<2>().ok_or(Reject::Truncated { label: "version" })?;
    let found = u16::from_le_bytes(*version);
    if found != PROOF_VERSION {
        return Err(Reject::Version { found });
    }
    let mut end = VerifierEnd::new(body);
    let conversed = verifier_links(&mut end, setup, header);
    *trace = end.state();
    conversed?;
    end.finish()
}

/// Checks that the proof shows the link statement: parent and child hold the same data.
///
/// # Errors
/// [`LinkError`] says why not.
pub fn verify_link(statement: &LinkStatement, proof: &[u8]) -> Result<Budget, LinkError> {
    check_link(statement, proof, &mut [0; 32])
}

/// As [`verify_link`], for a link between commitments of this program's hidden weights; and the state of the
/// transcript after the last check, or where it failed. Zero if it did not come to it.
pub fn verify_step(
    program: &Program,
    statement: &LinkStatement,
    proof: &[u8],
) -> (Result<(), LinkError>, [u8; 32]) {
    let mut trace = [0; 32];
    let checked = about_model(program, statement)
        .map_err(LinkError::Parameters)
        .and_then(|()| check_link(statement, proof, &mut trace).map(|_| ()));
    (checked, trace)
}

/// Whether a link is about the hidden weights of a program, at its security.
fn about_model(program: &Program, statement: &LinkStatement) -> Result<(), &'static str> {
    let Ok(Some((shape, layout))) = model_shape(program) else { return Err("the program hides no weights") };
    let total = u64::try_from(layout.total).unwrap_or(u64::MAX);
    let parent = &statement.parent.shape;
    match () {
        () if [statement.lambda, statement.grind] != [program.lambda, program.grind] => {
            Err("they are of another security level")
        }
        // That the child has the parent's role and layout is part of every link.
        () if parent.role != shape.role || parent.layout != shape.layout || statement.total != total => {
            Err("they are of another program")
        }
        () => Ok(()),
    }
}

fn check_link(statement: &LinkStatement, proof: &[u8], trace: &mut [u8; 32]) -> Result<Budget, LinkError> {
    let security = u32::from(statement.lambda).saturating_add(u32::from(statement.grind));
    if security < BITS_MIN || statement.grind > GRIND_MAX {
        return Err(LinkError::Weak { bits: security });
    }
    let setup = LinkSetup::new(statement)?;
    let budget = setup.budget();
    let bits = budget.weakest().bits;
    if bits < BITS_MIN {
        return Err(LinkError::Weak { bits });
    }
    verify_link_tracing(&setup, &statement.encode(), proof, trace)?;
    Ok(budget)
}

#[cfg(test)]
mod tests {
    use super::*;
    use algebra::F;
    use algebra::multilinear::eq_index;

    #[test]
    fn the_prefix_of_eq_is_the_sum_over_its_addresses() {
        let coordinate = |i: u64| K::new(F::new(3 * i + 5), F::new(7 * i + 1));
        for n in 1..40usize {
            let r: Vec<K> = (0..bits(n)).map(|i| coordinate(i as u64)).collect();
            for extra in [0, 2] {
                let z: Vec<K> = (0..bits(n) + extra).map(|i| coordinate(i as u64 + 50)).collect();
                let plain: K = (0..n).map(|a| eq_index(&r, a) * eq_index(&z, a)).sum();
                assert_eq!(prefix_eq(&r, &z, n), plain, "{n}");
            }
        }
    }

    fn statement() -> LinkStatement {
        let sizing = Sizing::v1(100, 0);
        let shape = sizing.long_term(Role::Model, 5200, [3; 32], 32, true).unwrap();
        let record = |root| OracleRecord { shape: shape.clone(), root };
        LinkStatement {
            lambda: 100,
            grind: 0,
            subject: [4; 32],
            total: 5200,
            parent: record([1; 32]),
            child: record([2; 32]),
            context: b"why".to_vec(),
        }
    }

    #[test]
    fn statements_have_one_spelling() {
        let bytes = statement().encode();
        assert_eq!(LinkStatement::decode(&bytes), Ok(statement()));
        for end in 0..bytes.len() {
            assert!(LinkStatement::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_ne!(LinkStatement::decode(&other), Ok(statement()), "byte {at}");
        }
        let malformed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut other = bytes.clone();
            change(&mut other);
            match LinkStatement::decode(&other) {
                Err(LinkError::Malformed(what)) => what,
                found => panic!("{found:?}"),
            }
        };
        assert_eq!(malformed(&|b| b[0] = b'z'), "it does not start with ZTLK");
        assert_eq!(malformed(&|b| b[4] = 2), "its version is not known");
        assert_eq!(malformed(&|b| b[48] = 1), "an oracle is neither M nor X");
        assert_eq!(malformed(&|b| b[49] = 1), "an oracle is not over F");
        assert_eq!(malformed(&|b| b.push(0)), "bytes follow the end");
        let mut long = statement();
        long.context = vec![0; 4097];
        assert_eq!(
            LinkStatement::decode(&long.encode()),
            Err(LinkError::Malformed("the context is too long"))
        );
    }

    #[test]
    fn oracles_that_do_not_fit_are_refused() {
        let refused = |change: &dyn Fn(&mut LinkStatement)| {
            let mut other = statement();
            change(&mut other);
            match verify_link(&other, &[]) {
                Err(LinkError::Parameters(what)) => what,
                found => panic!("{found:?}"),
            }
        };
        assert_eq!(refused(&|s| s.child.shape.layout = [9; 32]), "they have other tensors");
        assert_eq!(refused(&|s| s.child.shape.role = Role::Input), "they have other tensors");
        assert_eq!(refused(&|s| s.total = 99), "sizes are not allowed");
        assert_eq!(refused(&|s| s.total = u64::MAX), "sizes are not allowed");
        assert_eq!(refused(&|s| s.parent.shape.rows += 1), "sizes are not allowed");
        assert_eq!(refused(&|s| s.parent.shape.log_n = 60), "sizes are not allowed");
        let small = |s: &mut LinkStatement| s.parent.shape.log_t = Some(3);
        assert_eq!(refused(&small), "an oracle has too few masks for one opening");
        let none = |s: &mut LinkStatement| s.parent.shape.log_t = None;
        assert_eq!(refused(&none), "an oracle has too few masks for one opening");
        let mut weak = statement();
        weak.lambda = 99;
        assert_eq!(verify_link(&weak, &[]), Err(LinkError::Weak { bits: 99 }));
        assert_eq!(
            verify_link(&statement(), &[]),
            Err(LinkError::Proof(Reject::Truncated { label: "version" }))
        );
        assert!(LinkSetup::new(&statement()).unwrap().budget().weakest().bits >= 100);
    }
}
