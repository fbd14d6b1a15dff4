//! What a validator puts on its lines: as it is, or bent. A validator that cheats in the engine is an honest one behind lines
//! that sign more than it says: so it follows the chain, and what it signs is about real views and real blocks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use certify::hash::Digest;
use certify::list;
use certify::wire::Bounded;
use commonware_actor::{Feedback, Unreliable};
use commonware_codec::varint::UInt;
use commonware_codec::{DecodeExt as _, Encode as _};
use commonware_consensus::simplex::elector::{Config, Elector as _, RoundRobin};
use commonware_consensus::simplex::types::{Finalize, Notarize, Nullify, Proposal, Vote};
use commonware_consensus::types::Epoch;
use commonware_cryptography::Sha256;
use commonware_cryptography::certificate::{Provider as _, Scheme as _};
use commonware_glue::simulate::engine::ChannelPair;
use commonware_p2p::simulated::{self, Receiver};
use commonware_p2p::utils::mux;
use commonware_p2p::{CheckedSender, LimitedSender, Recipients, Sender as _};
use commonware_runtime::{IoBuf, IoBufs, deterministic};
use zerotell_node::block::{Block, EngineDigest, engine_digest};
use zerotell_node::chain::Chain;
use zerotell_node::hooks::Kind;
use zerotell_node::scheme::{Multisig, PeerKey, Schemes, account_of};

/// Places in [`zerotell_node::engine::CHANNELS`].
const VOTES: usize = 0;
const BROADCAST: usize = 4;
const BLOBS: usize = 5;
/// A request for bytes, or the answer that they are not here, is not longer.
const ASKS: usize = 64;
/// An hour, in milliseconds.
const HOUR: u64 = 3_600_000;
/// Ways in which a block may not be.
pub const FORGERIES: u64 = 8;

type Line = simulated::Sender<PeerKey, deterministic::Context>;
/// What is sent instead of a message: to whom, and what.
type Sends = Vec<(Vec<PeerKey>, IoBuf)>;
type Bend = Arc<dyn Fn(Vec<PeerKey>, IoBuf) -> Sends + Send + Sync>;

/// How a validator's lines are bent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// Every message goes twice.
    Twice,
    /// With every message goes another that differs in one bit.
    Noise,
    /// Bytes that others ask for go to these validators only.
    Keeps(Vec<usize>),
    /// To each vote comes one that contradicts it.
    Votes(Kind),
    /// As the leader it makes two good blocks, one for some and one for others, and votes for both.
    Forks,
    /// As the leader it makes blocks that nobody may vote for.
    Forges,
}

impl Way {
    /// Whether others cut the line to whoever does so.
    pub fn is_cut(&self) -> bool {
        matches!(self, Self::Noise | Self::Votes(_) | Self::Forks)
    }
}

/// A validator's line to the others, in one channel.
#[derive(Clone)]
pub struct Wire {
    line: Line,
    bend: Option<Bend>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("line", &self.line).finish_non_exhaustive()
    }
}

impl LimitedSender for Wire {
    type PublicKey = PeerKey;
    type Checked<'a> = Checked<'a>;

    fn check(&mut self, recipients: Recipients<PeerKey>) -> Result<Checked<'_>, SystemTime> {
        let bent = self.bend.clone().map(|bend| (self.line.clone(), bend));
        Ok(Checked { plain: self.line.check(recipients)?, bent })
    }
}

/// A line, and who is to get the next message.
pub struct Checked<'a> {
    plain: <Line as LimitedSender>::Checked<'a>,
    bent: Option<(Line, Bend)>,
}

impl CheckedSender for Checked<'_> {
    type PublicKey = PeerKey;

    fn recipients(&self) -> Vec<PeerKey> {
        self.plain.recipients()
    }

    fn send(self, message: impl Into<IoBufs> + Send, priority: bool) -> Unreliable<Feedback> {
        let Some((mut line, bend)) = self.bent else { return self.plain.send(message, priority) };
        for (to, message) in bend(self.plain.recipients(), message.into().coalesce()) {
            line.send(Recipients::Some(to), message, priority);
        }
        Unreliable::new(Feedback::Ok)
    }
}

/// Lines of a validator, bent if it cheats.
pub fn wires(cheat: Option<&Cheat>, pairs: Vec<ChannelPair<PeerKey>>) -> Vec<(Wire, Receiver<PeerKey>)> {
    let broadcast = pairs[BROADCAST].0.clone();
    let wire = |(channel, (line, receiver)): (usize, ChannelPair<PeerKey>)| {
        (Wire { line, bend: cheat.and_then(|cheat| cheat.bend(channel, &broadcast)) }, receiver)
    };
    pairs.into_iter().enumerate().map(wire).collect()
}

/// Who bends its lines, and what it needs for it.
#[derive(Clone)]
pub struct Cheat {
    pub way: Way,
    pub me: PeerKey,
    /// All validators, by seat.
    pub peers: Vec<PeerKey>,
    pub chain: Arc<Chain>,
    pub schemes: Schemes,
    /// How often it cheated.
    pub tricks: Arc<AtomicU64>,
}

impl Cheat {
    fn bend(&self, channel: usize, broadcast: &Line) -> Option<Bend> {
        let (cheat, broadcast) = (self.clone(), broadcast.clone());
        match (&self.way, channel) {
            (Way::Twice, _) => Some(Arc::new(move |to, message| {
                cheat.count();
                vec![(to.clone(), message.clone()), (to, message)]
            })),
            (Way::Noise, _) => Some(Arc::new(move |to, message| {
                let noise = noise(message.as_ref(), cheat.count());
                vec![(to.clone(), message), (to, noise)]
            })),
            (Way::Keeps(favoured), BLOBS) => {
                let favoured: Vec<PeerKey> = favoured.iter().map(|i| self.peers[*i].clone()).collect();
                Some(Arc::new(move |mut to, message| {
                    if message.len() > ASKS {
                        let asked = to.len();
                        to.retain(|peer| favoured.contains(peer));
                        if to.len() < asked {
                            cheat.count();
                        }
                    }
                    vec![(to, message)]
                }))
            }
            (Way::Votes(kind), VOTES) => {
                let kind = *kind;
                Some(Arc::new(move |to, message| match cheat.contradiction(kind, &message) {
                    Some(second) => vec![(to.clone(), message), (to, second)],
                    None => vec![(to, message)],
                }))
            }
            (Way::Forks | Way::Forges, VOTES) => {
                Some(Arc::new(move |to, message| cheat.lead(to, message, &broadcast)))
            }
            (Way::Forges, BROADCAST) => Some(Arc::new(move |to, message| {
                let block = Block::decode(message.clone()).expect("a block");
                let is_own = block.header.proposer == account_of(&cheat.me);
                if is_own { Vec::new() } else { vec![(to, message)] }
            })),
            _ => None,
        }
    }

    fn count(&self) -> u64 {
        self.tricks.fetch_add(1, Ordering::Relaxed)
    }

    /// A vote of this validator, with its epoch.
    fn vote(&self, message: &IoBuf) -> Option<(Epoch, Arc<Multisig>, Vote<Multisig, EngineDigest>)> {
        let (epoch, body) = mux::parse(message.clone()).ok()?;
        let epoch = Epoch::new(epoch);
        Some((epoch, self.schemes.scheme(epoch)?, Vote::decode(body).ok()?))
    }

    /// Signs what contradicts a vote.
    fn contradiction(&self, kind: Kind, message: &IoBuf) -> Option<IoBuf> {
        let (epoch, scheme, vote) = self.vote(message)?;
        let other = |proposal: &Proposal<EngineDigest>| {
            let mut payload = proposal.payload.0;
            payload[0] ^= 1;
            Proposal::new(proposal.round, proposal.parent, engine_digest(payload))
        };
        let second = match (kind, &vote) {
            (Kind::Notarize, Vote::Notarize(vote)) => {
                Vote::Notarize(Notarize::<Multisig, _>::sign(&scheme, other(&vote.proposal))?)
            }
            (Kind::Finalize, Vote::Finalize(vote)) => {
                Vote::Finalize(Finalize::<Multisig, _>::sign(&scheme, other(&vote.proposal))?)
            }
            (Kind::Both, Vote::Finalize(vote)) => {
                Vote::Nullify(Nullify::<Multisig>::sign::<EngineDigest>(&scheme, vote.proposal.round)?)
            }
            _ => return None,
        };
        self.count();
        Some(framed(epoch, &second))
    }

    /// A leader's vote for its block, with another block beside it or instead of it.
    fn lead(&self, to: Vec<PeerKey>, message: IoBuf, broadcast: &Line) -> Sends {
        let Some((epoch, scheme, Vote::Notarize(vote))) = self.vote(&message) else {
            return vec![(to, message)];
        };
        if self.leads(epoch, &scheme, &vote.proposal) != Some(true) {
            return vec![(to, message)];
        }
        let Some(block) = self.other_block(&vote.proposal) else {
            // A forger rather says nothing than something true.
            return if self.way == Way::Forges { Vec::new() } else { vec![(to, message)] };
        };
        let number = self.count();
        let (block, first, others) = match self.way {
            Way::Forges => (self.forged(block, number), Vec::new(), to),
            _ => {
                let (first, others) = apart(to, number);
                (block, first, others)
            }
        };
        let payload = engine_digest(block.id());
        let other = Proposal::new(vote.proposal.round, vote.proposal.parent, payload);
        let second = Notarize::<Multisig, _>::sign(&scheme, other).expect("it has a seat");
        let mut broadcast = broadcast.clone();
        broadcast.send(Recipients::Some(others.clone()), block.encode(), true);
        vec![(first, message), (others, framed(epoch, &Vote::Notarize(second)))]
    }

    /// Whether this validator leads the view of a proposal.
    fn leads(&self, epoch: Epoch, scheme: &Multisig, proposal: &Proposal<EngineDigest>) -> Option<bool> {
        let floor = self.chain.boundary(epoch.get()).ok()??;
        let order = RoundRobin::<Sha256>::shuffled(&floor.digest());
        let elector = Config::<Multisig>::build(order, scheme.participants());
        Some(scheme.me()?.signer()? == elector.elect(proposal.round, ()))
    }

    /// Another good block of the same height; `None` while the parent is not final here.
    fn other_block(&self, proposal: &Proposal<EngineDigest>) -> Option<Block> {
        let tip = self.chain.tip();
        if self.chain.height_of(&proposal.payload.0) != Some(tip.height + 1) {
            return None;
        }
        let is_early =
            self.way == Way::Forges && self.tricks.load(Ordering::Relaxed).is_multiple_of(FORGERIES);
        let time = tip.time + if is_early { HOUR } else { 1 };
        self.chain.propose(&tip, account_of(&self.me), time, usize::MAX).ok()
    }

    /// The block with something wrong; the first kind is only from an hour ahead.
    fn forged(&self, mut block: Block, number: u64) -> Block {
        let header = &mut block.header;
        match number % FORGERIES {
            1 => header.state[0] ^= 1,
            2 => header.outcomes[0] ^= 1,
            3 => header.committee[0] ^= 1,
            4 => header.engine = [1; 32],
            // Before its parent.
            5 => header.time = header.time.saturating_sub(2),
            6 => header.proposer = self.another(),
            7 => {
                let nothing = Bounded::new(vec![7; 9]).expect("it is short");
                block.transactions.push(nothing).expect("there is room");
                let named: Vec<&[u8]> = block.transactions.iter().map(|bytes| &bytes[..]).collect();
                block.header.transactions = list::root(&named);
            }
            _ => {}
        }
        block
    }

    fn another(&self) -> Digest {
        account_of(self.peers.iter().find(|peer| **peer != self.me).expect("it is not alone"))
    }
}

/// A vote as the engine of an epoch sends it.
fn framed(epoch: Epoch, vote: &Vote<Multisig, EngineDigest>) -> IoBuf {
    IoBuf::from([&UInt(epoch.get()).encode()[..], &vote.encode()[..]].concat())
}

/// The same with one bit turned.
fn noise(message: &[u8], number: u64) -> IoBuf {
    let mut bytes = message.to_vec();
    let random = blake3::hash(&number.to_le_bytes());
    let random = u64::from_le_bytes(random.as_bytes()[..8].try_into().expect("eight bytes"));
    let bits = u64::try_from(bytes.len() * 8).expect("a message is short");
    if let Some(at) = random.checked_rem(bits) {
        bytes[usize::try_from(at / 8).expect("a place in it")] ^= 1 << (at % 8);
    }
    IoBuf::from(bytes)
}

/// Cuts a list of peers in two, each time elsewhere; every second time somebody gets nothing.
fn apart(mut peers: Vec<PeerKey>, number: u64) -> (Vec<PeerKey>, Vec<PeerKey>) {
    peers.sort();
    let turn = usize::try_from(number).expect("it is small") % peers.len().max(1);
    peers.rotate_left(turn);
    let mut others = peers.split_off(peers.len().min(1));
    if number % 2 == 1 {
        others.pop();
    }
    (peers, others)
}
