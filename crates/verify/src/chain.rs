//! Chains of links from an identity to the root that a proof opens (spec K5-K7).

use core::fmt;

use oracle::Shape;
use program::limits;
use program::model_id;
use program::types::Program;
use program::wire::Statement;
use tape::{frame, hash};

use crate::link::Reader;
use crate::{LinkError, LinkStatement, Setup, verify_link};

/// Most links from an identity to an opened root.
pub const CHAIN_MAX: usize = 64;

/// A link: its statement and its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it states.
    pub statement: LinkStatement,
    /// Proof bytes.
    pub proof: Vec<u8>,
}

impl Link {
    /// Digest of statement and proof (spec K5).
    pub fn digest(&self) -> [u8; 32] {
        let mut bytes = frame(b"zerotell/link");
        bytes.extend(frame(&self.statement.encode()));
        bytes.extend(frame(&self.proof));
        hash(&bytes)
    }
}

/// What a Statement says of its links: one chain per opened oracle, empty for an identity's own root.
/// Zero if there is no link at all.
pub fn links_digest(chains: &[Vec<Link>]) -> [u8; 32] {
    digest_of(&digests(chains))
}

fn digests(chains: &[Vec<Link>]) -> Vec<Vec<[u8; 32]>> {
    chains.iter().map(|chain| chain.iter().map(Link::digest).collect()).collect()
}

fn digest_of(chains: &[Vec<[u8; 32]>]) -> [u8; 32] {
    if chains.iter().all(Vec::is_empty) {
        return [0; 32];
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = frame(b"zerotell/links");
    bytes.extend(count(chains.len()));
    for chain in chains {
        bytes.extend(count(chain.len()));
        bytes.extend(chain.as_flattened());
    }
    hash(&bytes)
}

/// The chains of a proof, hashed once for all proofs that have the same.
#[derive(Clone, Debug)]
pub struct Chains {
    list: Vec<Vec<Link>>,
    digests: Vec<Vec<[u8; 32]>>,
    digest: [u8; 32],
}

static NO_CHAINS: Chains = Chains { list: Vec::new(), digests: Vec::new(), digest: [0; 32] };

impl Chains {
    /// Digests of the links.
    pub fn digests(&self) -> &[Vec<[u8; 32]>] {
        &self.digests
    }
}

impl core::ops::Deref for Chains {
    type Target = [Vec<Link>];

    fn deref(&self) -> &Self::Target {
        &self.list
    }
}

/// One per opened oracle, the identity's end first; or none at all.
impl From<Vec<Vec<Link>>> for Chains {
    fn from(list: Vec<Vec<Link>>) -> Self {
        let digests = digests(&list);
        let digest = digest_of(&digests);
        Self { list, digests, digest }
    }
}

/// Bytes of the chains of a proof, as proof files carry them (spec K8).
pub fn encode_links(chains: &[Vec<Link>]) -> Vec<u8> {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut bytes = count(chains.len()).to_vec();
    for chain in chains {
        bytes.extend(count(chain.len()));
        for link in chain {
            bytes.extend(frame(&link.statement.encode()));
            bytes.extend(frame(&link.proof));
        }
    }
    bytes
}

/// Reads what [`encode_links`] writes.
///
/// # Errors
/// [`LinkError::Malformed`] unless the bytes are the one spelling of some chains.
pub fn decode_links(bytes: &[u8]) -> Result<Vec<Vec<Link>>, LinkError> {
    let mut r = Reader(bytes);
    let mut chains = Vec::new();
    for _ in 0..r.count(limits::ORACLES)? {
        let mut chain = Vec::new();
        for _ in 0..r.count(u64::try_from(CHAIN_MAX).unwrap_or(0))? {
            let statement = LinkStatement::decode(r.framed()?)?;
            chain.push(Link { statement, proof: r.framed()?.to_vec() });
        }
        chains.push(chain);
    }
    r.end()?;
    Ok(chains)
}

/// Evidence that an oracle holds the data of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// λ and g of the links.
    pub security: [u8; 2],
    /// The model identity, or the identity of the committed input.
    pub subject: [u8; 32],
    /// Entries of the data.
    pub total: u64,
    /// OracleId the chain starts at.
    pub identity: [u8; 32],
    /// OracleId it leads to.
    pub oracle: [u8; 32],
}

impl Linked {
    /// A name for it that nothing else has.
    pub fn key(&self) -> [u8; 32] {
        let mut bytes = frame(b"zerotell/linked");
        bytes.extend(self.security);
        bytes.extend(self.subject);
        bytes.extend(self.total.to_le_bytes());
        bytes.extend(self.identity);
        bytes.extend(self.oracle);
        hash(&bytes)
    }
}

/// Why links do not lead from the identities to the opened roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainError {
    /// The links are not those the Statement names.
    Digest,
    /// Another number of chains than opened oracles.
    Count {
        /// Opened oracles.
        expected: usize,
        /// Chains.
        found: usize,
    },
    /// An opened root is not its identity's own and no link leads to it.
    Missing {
        /// Index of the oracle.
        oracle: usize,
    },
    /// Links lead to a root that is the identity's own.
    Needless {
        /// Index of the oracle.
        oracle: usize,
    },
    /// More than [`CHAIN_MAX`] links.
    Long {
        /// Index of the oracle.
        oracle: usize,
    },
    /// A link is about another model, another input or other parameters.
    Other {
        /// Index of the oracle.
        oracle: usize,
        /// Index of the link.
        link: usize,
        /// What differs.
        what: &'static str,
    },
    /// A link does not start where the one before it ends.
    Broken {
        /// Index of the oracle.
        oracle: usize,
        /// Index of the link; 0 must start at the identity, the last must end at the opened root.
        link: usize,
    },
    /// A link is not proved.
    Link {
        /// Index of the oracle.
        oracle: usize,
        /// Index of the link.
        link: usize,
        /// Why.
        why: LinkError,
    },
}

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest => write!(f, "the links are not the ones the statement names"),
            Self::Count { expected, found } => {
                write!(f, "{found} chains of links were given for {expected} opened commitments")
            }
            Self::Missing { oracle } => {
                write!(f, "commitment {oracle} is not the identity's own and no link leads to it")
            }
            Self::Needless { oracle } => write!(f, "links lead to commitment {oracle}, which needs none"),
            Self::Long { oracle } => {
                write!(f, "more than {CHAIN_MAX} links lead to commitment {oracle}")
            }
            Self::Other { oracle, link, what } => {
                write!(f, "link {link} to commitment {oracle} is about {what}")
            }
            Self::Broken { oracle, link } => {
                write!(
                    f,
                    "link {link} to commitment {oracle} does not join the identity with the opened root"
                )
            }
            Self::Link { oracle, link, why } => write!(f, "link {link} to commitment {oracle}: {why}"),
        }
    }
}

impl core::error::Error for ChainError {}

/// The links of a proof, and which were accepted before.
pub struct Links<'a> {
    /// The chains.
    pub chains: &'a Chains,
    /// Whether this was accepted by this verifier before. It MUST answer yes to nothing else.
    pub known: &'a dyn Fn(&Linked) -> bool,
}

impl Links<'_> {
    /// No links.
    pub const NONE: Self = Self { chains: &NO_CHAINS, known: &|_| false };
}

/// What a chain must be about.
struct Subject<'a> {
    number: usize,
    identity: [u8; 32],
    subject: [u8; 32],
    total: u64,
    security: [u8; 2],
    shape: &'a Shape,
    root: [u8; 32],
}

/// Checks that links lead from every identity to its opened root. Gives what was newly proved.
pub(crate) fn check(
    setup: &Setup,
    model: [u8; 32],
    statement: &Statement,
    links: &Links<'_>,
) -> Result<Vec<Linked>, ChainError> {
    if links.chains.digest != statement.link {
        // A statement without links with links, or the reverse, or other links.
        return Err(missing(setup, statement, links).unwrap_or(ChainError::Digest));
    }
    let expected = statement.roots.len();
    if statement.link == [0; 32] {
        // Every root was compared with its identity when the setup was made.
        return Ok(Vec::new());
    }
    if links.chains.len() != expected {
        return Err(ChainError::Count { expected, found: links.chains.len() });
    }
    let mut proved = Vec::new();
    let groups = setup.groups.iter().skip(1);
    let opened = groups.zip(statement.roots.iter().zip(&statement.identity)).zip(links.chains.iter());
    for (number, ((group, (root, identity)), chain)) in opened.enumerate() {
        let own = group.shape.role == oracle::Role::Model;
        let subject = Subject {
            number,
            identity: *identity,
            subject: if own { model } else { *identity },
            total: u64::try_from(group.layout.total).unwrap_or(u64::MAX),
            security: [setup.sizing.lambda, setup.sizing.grind],
            shape: &group.shape,
            root: *root,
        };
        proved.extend(subject.walk(chain, links.known)?);
    }
    Ok(proved)
}

/// Checks that a chain leads from a model's identity, its OracleId, to another root of its data.
///
/// # Errors
/// The first reason why it does not.
pub(crate) fn leads_to(
    program: &Program,
    identity: &[u8; 32],
    (shape, total): (&Shape, usize),
    root: &[u8; 32],
    chain: &[Link],
) -> Result<(), ChainError> {
    let subject = Subject {
        number: 0,
        identity: *identity,
        subject: model_id(&program.digest(), std::slice::from_ref(identity)),
        total: u64::try_from(total).unwrap_or(u64::MAX),
        security: [program.lambda, program.grind],
        shape,
        root: *root,
    };
    subject.walk(chain, &|_| false).map(|_| ())
}

/// The first opened root that needs a link, when none was given at all.
fn missing(setup: &Setup, statement: &Statement, links: &Links<'_>) -> Option<ChainError> {
    if !links.chains.iter().all(Vec::is_empty) {
        return None;
    }
    let opened = setup.groups.iter().skip(1).zip(statement.roots.iter().zip(&statement.identity));
    let oracle = opened.map(|(group, (root, id))| group.shape.id(root) != *id).position(|other| other)?;
    Some(ChainError::Missing { oracle })
}

impl Subject<'_> {
    fn walk(&self, chain: &[Link], known: &dyn Fn(&Linked) -> bool) -> Result<Vec<Linked>, ChainError> {
        let oracle = self.number;
        let end = self.shape.id(&self.root);
        match (chain.is_empty(), end == self.identity) {
            (true, true) => return Ok(Vec::new()),
            (true, false) => return Err(ChainError::Missing { oracle }),
            (false, true) => return Err(ChainError::Needless { oracle }),
            (false, false) => {}
        }
        if chain.len() > CHAIN_MAX {
            return Err(ChainError::Long { oracle });
        }
        let mut at = self.identity;
        for (link, own) in chain.iter().enumerate() {
            self.about(link, &own.statement)?;
            if own.statement.parent.id() != at {
                return Err(ChainError::Broken { oracle, link });
            }
            at = own.statement.child.id();
        }
        if at != end {
            return Err(ChainError::Broken { oracle, link: chain.len().saturating_sub(1) });
        }
        let linked = |own: &Link| Linked {
            security: self.security,
            subject: self.subject,
            total: self.total,
            identity: self.identity,
            oracle: own.statement.child.id(),
        };
        // Links before the last oracle that is known are proved already.
        let first = chain.iter().rposition(|own| known(&linked(own))).map_or(0, |i| i.saturating_add(1));
        let mut proved = Vec::new();
        for (link, own) in chain.iter().enumerate().skip(first) {
            let verified = verify_link(&own.statement, &own.proof);
            verified.map_err(|why| ChainError::Link { oracle, link, why })?;
            proved.push(linked(own));
        }
        Ok(proved)
    }

    /// Whether a link is about this subject, its data and its security.
    fn about(&self, link: usize, own: &LinkStatement) -> Result<(), ChainError> {
        let same = [&own.parent.shape, &own.child.shape]
            .iter()
            .all(|shape| shape.role == self.shape.role && shape.layout == self.shape.layout);
        let what = match () {
            () if own.subject != self.subject => "another model or input",
            () if [own.lambda, own.grind] != self.security => "another security level",
            () if !same || own.total != self.total => "other tensors",
            () => return Ok(()),
        };
        Err(ChainError::Other { oracle: self.number, link, what })
    }
}
