//! One validator on the engine: its actors, an engine per epoch, what it does with final blocks.
//!
//! Generic over runtime and network: the same text runs over TCP and in the simulator.

use std::collections::HashSet;
use std::num::{NonZeroU16, NonZeroU64, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use certify::Header;
use certify::hash::Digest;
use commonware_actor::Feedback;
use commonware_broadcast::buffered;
use commonware_codec::{Buf, Decode as _, Encode as _, RangeCfg};
use commonware_consensus::marshal::core::{Actor as Marshal, Mailbox as MarshalMailbox};
use commonware_consensus::marshal::resolver::p2p as marshal_resolver;
use commonware_consensus::marshal::standard::{Inline, Standard};
use commonware_consensus::marshal::{self, Start, Update};
use commonware_consensus::simplex::config::{Floor, ForwardPolicy, SkipPolicy};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::types::{Activity, Finalization};
use commonware_consensus::simplex::{self, SkipBudget};
use commonware_consensus::types::{Epoch, Epocher as _, FixedEpocher, Height, ViewDelta};
use commonware_consensus::{Reporter, Reporters};
use commonware_cryptography::certificate::{Provider as _, Scheme as _, Verifier as _};
use commonware_cryptography::{Digested, Digestible as _, Sha256};
use commonware_macros::select_loop;
use commonware_p2p::utils::mux::{Builder as _, MuxHandle, Muxer, prefixed};
use commonware_p2p::{Blocker, Provider, Receiver, Recipients, Sender, max_message_size};
use commonware_parallel::Sequential;
use commonware_resolver::p2p as blob_resolver;
use commonware_resolver::{Consumer, Delivery, TargetedResolver};
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{Clock, ContextCell, Handle, Metrics, Quota, Spawner, Storage, spawn_cell};
use commonware_storage::archive::prunable;
use commonware_storage::translator::TwoCap;
use commonware_utils::acknowledgement::Exact;
use commonware_utils::channel::{mpsc, oneshot};
use commonware_utils::sequence::FixedBytes;
use commonware_utils::vec::NonEmptyVec;
use commonware_utils::{Acknowledgement as _, NZDuration, NZU16, NZU32, NZU64, NZUsize, NonZeroDuration};
use ledger::transaction::TRANSACTION_MAX;
use rand_core::CryptoRng;

use crate::app::{App, Pace, Want};
use crate::blobs::{Blobs, Received, program_name};
use crate::block::{BLOCK_MAX, Block, EngineDigest, Named, engine_digest};
use crate::chain::{Chain, Finalised};
use crate::doubts::Doubts;
use crate::hooks::{Kind, engine_evidence};
use crate::scheme::{Multisig, PeerKey, Schemes, verifier};
use crate::seat::Seat;
use crate::wants::Wants;

const PAGE: NonZeroU16 = NZU16!(4096);
const PAGES: NonZeroUsize = NZUsize!(2048);
const IO: NonZeroUsize = NZUsize!(1 << 20);
/// Transactions in one message.
const GOSSIP: usize = 256;
/// Bytes of transactions in one message.
const GOSSIP_BYTES: usize = 1 << 20;
/// Acknowledgements that may wait for the disk.
const ACKS: NonZeroUsize = NZUsize!(16);
/// Blocks after which the disk is waited for.
const SYNC_BLOCKS: usize = 8;
/// Time after which it is.
const SYNC_TIME: Duration = Duration::from_millis(100);
/// Time between looks at what the seat has to do, beside those after each block.
const TICK: Duration = Duration::from_millis(25);

/// Channels of the network, in the order in which [`Setup`] has them.
pub const CHANNELS: [u64; 7] = [0, 1, 2, 3, 4, 5, 6];
/// Messages a second and peer, per channel: mailboxes are sized from it.
pub const QUOTA: Quota = Quota::per_second(NZU32!(256));

/// How long the engine waits.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a leader's block.
    pub leader: Duration,
    /// For a block to be certified.
    pub certification: Duration,
    /// Between retries.
    pub retry: Duration,
    /// Until a silent leader is skipped at once.
    pub skip: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self { leader: ms(1500), certification: ms(3000), retry: ms(500), skip: ms(5000) }
    }
}

/// What a validator is made of.
pub struct Setup<E, P, B, S, R> {
    /// The runtime.
    pub context: E,
    /// Its account.
    pub me: PeerKey,
    /// The schemes, with its consensus key.
    pub schemes: Schemes,
    /// Peers and their addresses.
    pub peers: P,
    /// Where peers that misbehave are blocked.
    pub blocker: B,
    /// In the order of [`CHANNELS`].
    pub channels: Vec<(S, R)>,
    /// The chain.
    pub chain: Arc<Chain>,
    /// What it does about rounds.
    pub seat: Arc<Seat>,
    /// When blocks are made.
    pub pace: Pace,
    /// How long the engine waits.
    pub timeouts: Timeouts,
    /// Name of its files.
    pub prefix: String,
    /// Called after every final block.
    pub announce: Arc<dyn Fn(&Finalised) + Send + Sync>,
    /// Transactions from this node's users and from the seat, to be spread.
    pub outbox: Outbox,
}

/// What is to be spread: filled by anyone, emptied by the gossip.
#[derive(Clone, Default)]
pub struct Outbox(Arc<Mutex<Vec<Vec<u8>>>>);

impl Outbox {
    /// Adds transactions.
    pub fn add(&self, list: impl IntoIterator<Item = Vec<u8>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(list);
    }

    fn take(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A validator that runs.
pub struct Running {
    /// Ends when the validator does.
    pub handle: Handle<()>,
    /// Final blocks and their certificates.
    pub marshal: MarshalMailbox<Multisig, Standard<Block>>,
}

/// Largest message of any actor, for committees of at most so many and dossiers of at most so many bytes.
#[must_use]
pub fn message_limit(seats: u32, dossier: usize) -> u32 {
    max_message_size(&[
        dossier.min(dossier::DOSSIER_MAX) + 64,
        prefixed(simplex::max_payload_size::<Multisig, EngineDigest>(seats)),
        marshal::max_payload_size::<Standard<Block>, Multisig>(seats, &()),
        BLOCK_MAX + 64,
        GOSSIP_BYTES + TRANSACTION_MAX + 16 * GOSSIP,
    ])
}

/// How long a peer may take to hand over bytes. One that is away is given up soon: a seat has some blocks of time to look.
/// The largest dossiers need longer, at 160 Mbit/s.
fn fetch_timeout(dossier: usize) -> NonZeroDuration {
    let transfer = Duration::from_micros(u64::try_from(dossier / 20).unwrap_or(u64::MAX));
    NZDuration!(Duration::from_millis(400) + transfer)
}

fn archive<C>(prefix: &str, name: &str, cache: CacheRef, codec: C) -> prunable::Config<TwoCap, C> {
    prunable::Config {
        translator: TwoCap,
        metadata_partition: format!("{prefix}-{name}-metadata"),
        key_partition: format!("{prefix}-{name}-key"),
        key_page_cache: cache,
        value_partition: format!("{prefix}-{name}-value"),
        compression: None,
        codec_config: codec,
        items_per_section: NZU64!(1024),
        key_write_buffer: IO,
        value_write_buffer: IO,
        replay_buffer: IO,
    }
}

// ---- blobs: bytes by digest, from whichever peer has them ----

/// What peers are asked for `[U7]`: a byte that says how, and a digest.
type Key = FixedBytes<33>;

/// How bytes are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// All of them.
    Whole = 0,
    /// Without what others of the same epoch have too, if they are a dossier.
    Compact = 1,
}

fn key(how: How, digest: &Digest) -> Key {
    let mut bytes = [how as u8; 33];
    bytes[1..].copy_from_slice(digest);
    Key::new(bytes)
}

fn unlock(key: &Key) -> (How, Digest) {
    let mut digest = [0; 32];
    digest.copy_from_slice(&key[1..]);
    (if key[0] == 1 { How::Compact } else { How::Whole }, digest)
}

/// Time between looks at what is still asked for.
const REVIEW: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Serve {
    blobs: Arc<Blobs>,
    /// Dossiers whose shared parts are not here.
    lacking: mpsc::UnboundedSender<Digest>,
    /// What was answered of them.
    doubts: Arc<Doubts>,
    wants: Arc<Mutex<Wants>>,
}

impl Serve {
    /// Takes what was answered: for good, if a round or a block names it.
    fn take(&self, digest: &Digest, bytes: Bytes) -> std::io::Result<Received> {
        let is_wanted = self.wants.lock().unwrap_or_else(PoisonError::into_inner).is_wanted(digest);
        self.blobs.receive(digest, bytes, is_wanted)
    }

    /// What was answered of a dossier that is here can be judged.
    fn settle(&self, digest: &Digest) {
        if let Some(whole) = self.blobs.get(digest) {
            self.doubts.settle(digest, &whole);
        }
    }
}

impl blob_resolver::Producer for Serve {
    type Key = Key;

    fn produce(&mut self, key: Key) -> oneshot::Receiver<Bytes> {
        let (sender, receiver) = oneshot::channel();
        let found = match unlock(&key) {
            (How::Whole, digest) => self.blobs.get(&digest),
            (How::Compact, digest) => self.blobs.compact(&digest),
        };
        if let Some(bytes) = found {
            drop(sender.send(bytes));
        }
        receiver
    }
}

impl Consumer for Serve {
    type Key = Key;
    type Value = Bytes;
    type Subscriber = ();
    type Outcome = bool;

    fn deliver(&mut self, delivery: Delivery<Key, ()>, value: Bytes) -> oneshot::Receiver<bool> {
        let (sender, receiver) = oneshot::channel();
        let (how, digest) = unlock(&delivery.key);
        let received = self.take(&digest, value.clone()).unwrap_or_else(|why| {
            tracing::error!(%why, "bytes could not be kept");
            Received::Kept
        });
        match received {
            Received::Kept => {
                self.settle(&digest);
                // Its parts may be what others lack.
                let open = if how == How::Whole { self.doubts.open() } else { Vec::new() };
                for (digest, bytes) in open {
                    match self.take(&digest, bytes) {
                        Ok(Received::Kept) => self.settle(&digest),
                        Ok(Received::Wrong) => self.doubts.refuse(&digest),
                        Ok(Received::Lacking) | Err(_) => {}
                    }
                }
                let _ = sender.send(true);
            }
            // The first of an epoch: the parts come with it, for all that follow. Until then nobody knows who answered right.
            Received::Lacking if how == How::Compact => {
                self.doubts.hold(digest, value, sender);
                let _ = self.lacking.send(digest);
            }
            Received::Lacking | Received::Wrong => {
                let _ = sender.send(false);
            }
        }
        receiver
    }
}

// ---- final blocks ----

#[derive(Clone)]
struct Deliver(mpsc::UnboundedSender<(Digested<Block>, Exact)>);

impl Reporter for Deliver {
    type Activity = Update<Block>;

    fn report(&mut self, activity: Update<Block>) -> Feedback {
        if let Update::Block(block, ack) = activity {
            drop(self.0.send((block, ack)));
        }
        Feedback::Ok
    }
}

/// Certificates and offences, as the engine sees them.
#[derive(Clone)]
struct Witness {
    chain: Arc<Chain>,
    seat: Arc<Seat>,
    outbox: Outbox,
    schemes: Schemes,
}

impl Witness {
    fn offence(&self, epoch: Epoch, kind: Kind, bytes: &[u8]) {
        let evidence = engine_evidence(kind, bytes);
        // Votes that reach us are reported before their signature is looked at.
        let offence = self
            .schemes
            .ledger_committee(epoch.get())
            .and_then(|committee| crate::hooks::engine_offence(&self.chain.network, &evidence, &committee));
        if offence.is_none() {
            return;
        }
        tracing::warn!(epoch = epoch.get(), ?kind, "a seat signed what contradicts itself");
        match self.seat.report(epoch.get(), &evidence) {
            Ok(step) => self.outbox.add(step.send),
            Err(why) => tracing::warn!(%why, "an offence could not be reported"),
        }
    }
}

impl Reporter for Witness {
    type Activity = Activity<Multisig, EngineDigest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        use commonware_consensus::Epochable as _;
        match activity {
            Activity::Finalization(f) => {
                let digest = f.proposal.payload.0;
                if let Some(height) = self.chain.height_of(&digest) {
                    self.chain.certified(height, digest, f.encode().to_vec());
                }
            }
            Activity::ConflictingNotarize(c) => self.offence(c.epoch(), Kind::Notarize, &c.encode()),
            Activity::ConflictingFinalize(c) => self.offence(c.epoch(), Kind::Finalize, &c.encode()),
            Activity::NullifyFinalize(c) => self.offence(c.epoch(), Kind::Both, &c.encode()),
            _ => {}
        }
        Feedback::Ok
    }
}

type Application<E> = Inline<E, Multisig, App, Block, FixedEpocher>;

/// Runs the engine of the present epoch, and makes final blocks the state.
struct Orchestrator<E: Clock + CryptoRng + Spawner + Storage + Metrics, B, K> {
    context: ContextCell<E>,
    schemes: Schemes,
    blocker: B,
    marshal: MarshalMailbox<Multisig, Standard<Block>>,
    app: Application<E>,
    chain: Arc<Chain>,
    seat: Arc<Seat>,
    announce: Arc<dyn Fn(&Finalised) + Send + Sync>,
    outbox: Outbox,
    fetch: K,
    timeouts: Timeouts,
    prefix: String,
    epocher: FixedEpocher,
    cache: CacheRef,
    finalised: mpsc::UnboundedReceiver<(Digested<Block>, Exact)>,
}

impl<E, B, K> Orchestrator<E, B, K>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    B: Blocker<PublicKey = PeerKey>,
    K: Fn(Digest) + Send + Sync + 'static,
{
    fn start<S, R>(mut self, votes: (S, R), certificates: (S, R), resolver: (S, R)) -> Handle<()>
    where
        S: Sender<PublicKey = PeerKey>,
        R: Receiver<PublicKey = PeerKey>,
    {
        spawn_cell!(self.context, self.run(votes, certificates, resolver))
    }

    /// Starts the engine of an epoch; nothing while its committee is not known.
    async fn enter<S: Sender<PublicKey = PeerKey>>(
        &mut self,
        epoch: Epoch,
        boundary: &Header,
        muxes: &mut [&mut MuxHandle<S>; 3],
    ) -> Option<Handle<()>> {
        // It may have signed in this epoch what it does not remember: it looks on until one begins that it knows from its
        // beginning.
        let floor = engine_digest(boundary.digest());
        let began = self.chain.store.floor().ok()?.map(|height| Height::new(height).next());
        let is_new =
            began.is_some_and(|height| self.epocher.containing(height).is_some_and(|at| at.epoch() == epoch));
        let is_silent = self.chain.store.silent().ok()?.is_some_and(|until| boundary.time <= until);
        let scheme = if is_new || is_silent {
            verifier(&self.chain.network, &self.schemes.ledger_committee(epoch.get())?)?
        } else {
            self.schemes.scheme(epoch)?.as_ref().clone()
        };
        let seated = scheme.me().is_some();
        tracing::info!(epoch = epoch.get(), seated, looks_on = is_new || is_silent, "an epoch begins");
        let witness = Witness {
            chain: self.chain.clone(),
            seat: self.seat.clone(),
            outbox: self.outbox.clone(),
            schemes: self.schemes.clone(),
        };
        let engine = simplex::Engine::new(
            self.context.child("engine").with_attribute("epoch", epoch),
            simplex::Config {
                scheme,
                // Who leads after whom is drawn anew for each epoch: neighbours could hold a transaction back together.
                elector: RoundRobin::<Sha256>::shuffled(&floor.0),
                blocker: self.blocker.clone(),
                automaton: self.app.clone(),
                relay: self.app.clone(),
                reporter: Reporters::from((self.app.clone(), witness)),
                strategy: Sequential,
                // One journal per epoch: votes of another are no state of this one.
                partition: format!("{}-simplex-{epoch}", self.prefix),
                mailbox_size: NZUsize!(1024),
                epoch,
                floor: Floor::Genesis(floor),
                replay_buffer: IO,
                write_buffer: IO,
                page_cache: self.cache.clone(),
                leader_timeout: self.timeouts.leader,
                certification_timeout: self.timeouts.certification,
                timeout_retry: self.timeouts.retry,
                view_retention: ViewDelta::new(64),
                skip: SkipPolicy::Enabled { timeout: self.timeouts.skip, budget: SkipBudget::Participants },
                fetch_timeout: NZDuration!(Duration::from_secs(1)),
                fetch_retry_delay: Duration::from_millis(200),
                forward: ForwardPolicy::SilentVoters,
                track_historical_votes: true,
            },
        );
        let [votes, certificates, resolver] = muxes;
        let number = epoch.get();
        Some(engine.start(
            votes.register(number).await.ok()?,
            certificates.register(number).await.ok()?,
            resolver.register(number).await.ok()?,
        ))
    }

    /// Makes a block final. `false` if the machine failed: the node has to stop.
    async fn finalise(&mut self, block: &Block, durable: bool) -> bool {
        loop {
            match self.chain.finalise(block, durable) {
                Ok(Some(finalised)) => {
                    if finalised.round {
                        self.seat.ordered(finalised.header.height);
                    }
                    (self.announce)(&finalised);
                    self.step();
                    return true;
                }
                Ok(None) => return true,
                Err(crate::chain::Stuck::Program(program)) => {
                    (self.fetch)(program_name(&program));
                    self.context.sleep(TICK).await;
                }
                Err(why) => {
                    tracing::error!(height = block.header.height, %why, "a final block could not be executed");
                    return false;
                }
            }
        }
    }

    fn step(&self) {
        for step in [self.seat.step(), self.seat.owe()] {
            match step {
                Ok(step) => {
                    step.want.into_iter().for_each(&self.fetch);
                    self.outbox.add(step.send);
                }
                Err(why) => tracing::error!(%why, "the seat cannot do its duties"),
            }
        }
    }

    // Long because everything that can happen to a running validator is in one loop.
    async fn run<S, R>(mut self, votes: (S, R), certificates: (S, R), resolver: (S, R))
    where
        S: Sender<PublicKey = PeerKey>,
        R: Receiver<PublicKey = PeerKey>,
    {
        let context = &self.context;
        let (mux, mut votes, mut backup) =
            Muxer::builder(context.child("votes"), votes.0, votes.1).with_backup().build();
        mux.start();
        let (mux, mut certificates) =
            Muxer::new(context.child("certificates"), certificates.0, certificates.1);
        mux.start();
        let (mux, mut resolver) = Muxer::new(context.child("views"), resolver.0, resolver.1);
        mux.start();
        let mut muxes = [&mut votes, &mut certificates, &mut resolver];

        // The state may be ahead of what marshal knows to be processed, never of what it has.
        let tip = self.chain.tip();
        let next = Height::new(tip.height).next();
        let Some(mut epoch) = self.epocher.containing(next).map(|bounds| bounds.epoch()) else { return };
        let Some(boundary) = self.chain.boundary(epoch.get()).ok().flatten() else {
            tracing::error!(epoch = epoch.get(), "the last block of the epoch before is not here");
            return;
        };
        let Some(mut engine) = self.enter(epoch, &boundary, &mut muxes).await else { return };
        let mut waiting: Vec<Exact> = Vec::new();
        let mut synced = self.context.current();
        select_loop! {
            self.context,
            on_stopped => {},
            // Traffic of a later epoch: its sender is ahead, so it can give us our last block.
            Some((theirs, (from, _))) = backup.recv() else break => {
                if theirs > epoch.get() && let Some(last) = self.epocher.last(epoch) {
                    self.marshal.hint_finalized(last, NonEmptyVec::new(from));
                }
            },
            result = &mut engine => {
                tracing::error!(?result, "the engine stopped");
                break;
            },
            Some((block, ack)) = self.finalised.recv() else break => {
                let due = self.context.current() >= synced + SYNC_TIME;
                let durable = waiting.len() + 1 >= SYNC_BLOCKS || due;
                let height = block.inner().header.height;
                // What is not in the state is not acknowledged, also not at the end: it would never come again.
                if !self.finalise(block.inner(), durable).await {
                    break;
                }
                waiting.push(ack);
                self.attest(height, block.inner().id()).await;
                if durable {
                    synced = self.context.current();
                    waiting.drain(..).for_each(Exact::acknowledge);
                }
                if self.epocher.last(epoch) == Some(Height::new(height)) {
                    epoch = epoch.next();
                    let Some(next) = self.enter(epoch, &block.inner().header, &mut muxes).await else { break };
                    engine.abort();
                    engine = next;
                }
            },
            _ = self.context.sleep(TICK) => {
                if !waiting.is_empty() && self.context.current() >= synced + SYNC_TIME {
                    if let Err(why) = self.chain.sync() {
                        tracing::error!(%why, "the disk failed");
                        break;
                    }
                    synced = self.context.current();
                    waiting.drain(..).for_each(Exact::acknowledge);
                }
                self.step();
            },
        }
        if self.chain.sync().is_ok() {
            waiting.drain(..).for_each(Exact::acknowledge);
        }
    }

    /// Keeps the certificate of a final block, if the engine has one for just this block.
    async fn attest(&mut self, height: u64, digest: Digest) {
        if matches!(self.chain.finality(height), Ok(Some(_))) {
            return;
        }
        if let Some(found) = self.marshal.get_finalization(Height::new(height)).await
            && found.proposal.payload.0 == digest
        {
            self.chain.certified(height, digest, found.encode().to_vec());
        }
    }
}

/// Starts every actor of a validator. `wrap` sees final blocks first; tests watch there.
///
/// # Errors
/// Files of the engine that cannot be opened.
// Long because it is a list of the engine's parts and what each is given.
pub async fn start<E, P, B, S, R, X>(
    setup: Setup<E, P, B, S, R>,
    wrap: impl FnOnce(Wrapped) -> X,
) -> Result<Running, String>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    P: Provider<PublicKey = PeerKey> + Sync,
    B: Blocker<PublicKey = PeerKey> + Sync,
    S: Sender<PublicKey = PeerKey>,
    R: Receiver<PublicKey = PeerKey>,
    X: Reporter<Activity = Update<Block>>,
{
    let Setup {
        context,
        me,
        schemes,
        peers,
        blocker,
        channels,
        chain,
        seat,
        pace,
        timeouts,
        prefix,
        announce,
        outbox,
    } = setup;
    let channels: Result<[(S, R); CHANNELS.len()], _> = channels.try_into();
    let Ok([votes, certificates, views, backfill, broadcast, blobs, transactions]) = channels else {
        return Err("another number of channels".into());
    };
    let cache = CacheRef::new(PAGE, PAGES);
    let dossier = chain.dossier_max().map_err(|why| why.to_string())?;
    let length = NonZeroU64::new(chain.genesis.parameters.epoch_blocks).ok_or("epochs without blocks")?;
    let epocher = FixedEpocher::new(length);

    let resolver = marshal_resolver::init(
        context.child("marshal_resolver"),
        marshal_resolver::Config {
            public_key: me.clone(),
            peer_provider: peers.clone(),
            blocker: blocker.clone(),
            mailbox_size: NZUsize!(1024),
            fetch_timeout: NZDuration!(Duration::from_secs(1)),
            fetch_retry_delay: Duration::from_millis(100),
            priority_requests: false,
            priority_responses: false,
        },
        backfill,
    );
    let (engine, buffer) = buffered::Engine::new(
        context.child("broadcast"),
        buffered::Config {
            public_key: me.clone(),
            mailbox_size: NZUsize!(1024),
            deque_size: 16,
            priority: false,
            codec_config: (),
            peer_provider: peers.clone(),
            strategy: Sequential,
        },
    );
    engine.start(broadcast);

    let (lacking, lacked) = mpsc::unbounded_channel();
    let wants = Arc::new(Mutex::new(Wants::default()));
    let (blobs_here, wanted) = (chain.blobs.clone(), wants.clone());
    let serve = Serve { blobs: blobs_here, lacking, doubts: Arc::default(), wants: wanted };
    let (engine, blob_mailbox) = blob_resolver::Engine::new(
        context.child("blobs"),
        blob_resolver::Config {
            peer_provider: peers.clone(),
            blocker: blocker.clone(),
            consumer: serve.clone(),
            producer: serve,
            mailbox_size: NZUsize!(1024),
            me: Some(me.clone()),
            fetch_timeout: fetch_timeout(dossier),
            fetch_retry_delay: Duration::from_millis(20),
            priority_requests: false,
            priority_responses: false,
        },
    );
    engine.start(blobs);
    let (fetch, want) = asking(&context, (blob_mailbox, wants), chain.blobs.clone(), lacked);

    let unbounded = Multisig::certificate_codec_config_unbounded();
    let open = |what: &str, why: &dyn std::fmt::Display| {
        format!(
            "the engine's {what} cannot be opened: {why}; move the data directory away: the node fetches the chain again"
        )
    };
    let finalizations = prunable::Archive::init(
        context.child("finalizations"),
        archive(&prefix, "finalizations", cache.clone(), unbounded),
    );
    let finalizations = finalizations.await.map_err(|why| open("certificates", &why))?;
    let blocks =
        prunable::Archive::init(context.child("blocks"), archive(&prefix, "blocks", cache.clone(), ()));
    let blocks = blocks.await.map_err(|why| open("blocks", &why))?;
    let damaged = |why: &dyn std::fmt::Display| open("first block", why);
    let start = match chain.floor().map_err(|why| damaged(&why))? {
        Some(bytes) => {
            let read = Finalization::decode_cfg(Bytes::from(bytes), &unbounded);
            Start::Floor(read.map_err(|why| damaged(&why))?)
        }
        None => {
            let genesis = chain.first_block();
            let digest = genesis.digest();
            Start::Genesis(Digested::precomputed(genesis, digest))
        }
    };
    let (marshal_actor, marshal, _) = Marshal::<_, Standard<Block>, _, _, _, _, _>::init(
        context.child("marshal"),
        finalizations,
        blocks,
        marshal::Config {
            provider: schemes.clone(),
            epocher: epocher.clone(),
            start,
            partition_prefix: prefix.clone(),
            mailbox_size: NZUsize!(1024),
            view_retention: ViewDelta::new(64),
            prunable_items_per_section: NZU64!(64),
            page_cache: cache.clone(),
            replay_buffer: IO,
            key_write_buffer: IO,
            value_write_buffer: IO,
            block_codec_config: (),
            max_repair: NZUsize!(64),
            max_pending_acks: ACKS,
            strategy: Sequential,
        },
    )
    .await;

    let app = App { chain: chain.clone(), pace, want: want.clone(), judges: seat.judges().clone() };
    let app = Inline::new(context.child("application"), app, marshal.clone(), epocher.clone());
    let (sender, receiver) = mpsc::unbounded_channel();
    marshal_actor.start(wrap(Wrapped(Deliver(sender))), buffer, resolver);
    gossip(context.child("transactions"), transactions, chain.clone(), outbox.clone(), fetch.clone());
    let orchestrator = Orchestrator {
        context: ContextCell::new(context),
        schemes,
        blocker,
        marshal: marshal.clone(),
        app,
        chain,
        seat,
        announce,
        outbox,
        fetch: move |digest| want(digest),
        timeouts,
        prefix,
        epocher,
        cache,
        finalised: receiver,
    };
    Ok(Running { handle: orchestrator.start(votes, certificates, views), marshal })
}

/// What sees final blocks, in order.
#[derive(Clone)]
pub struct Wrapped(Deliver);

impl Reporter for Wrapped {
    type Activity = Update<Block>;

    fn report(&mut self, activity: Update<Block>) -> Feedback {
        self.0.report(activity)
    }
}

/// Asks for bytes, of a peer that should have them or of anyone.
type Fetch = Arc<dyn Fn(Digest, Option<PeerKey>) + Send + Sync>;

/// Ways to ask peers for bytes, in advance and because they are wanted; `lacked` gives dossiers that came without parts
/// which are not here.
fn asking<E: Clock + Spawner + Metrics, M>(
    context: &E,
    (mailbox, wants): (M, Arc<Mutex<Wants>>),
    held: Arc<Blobs>,
    mut lacked: mpsc::UnboundedReceiver<Digest>,
) -> (Fetch, Want)
where
    M: TargetedResolver<Key = Key, Subscriber = (), PublicKey = PeerKey> + Send + 'static,
{
    fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
    let mailbox = Arc::new(Mutex::new(mailbox));
    let clock = Arc::new(context.child("wants"));
    let (whole, noted, now) = (mailbox.clone(), wants.clone(), clock.clone());
    context.child("whole").spawn(move |_| async move {
        while let Some(digest) = lacked.recv().await {
            lock(&noted).note(digest, now.current());
            lock(&whole).fetch(key(How::Whole, &digest));
        }
    });
    // Else what was never found would be asked for until the node stops.
    let (all, noted) = (mailbox.clone(), wants.clone());
    context.child("review").spawn(move |context| async move {
        loop {
            context.sleep(REVIEW).await;
            let names: HashSet<Digest> = {
                let mut wants = lock(&noted);
                wants.prune(context.current());
                wants.names().copied().collect()
            };
            lock(&all).retain(move |key, ()| names.contains(&unlock(key).1));
        }
    });
    let (again, noted, now) = (mailbox.clone(), wants.clone(), clock.clone());
    let fetch: Fetch = Arc::new(move |digest, from| {
        if held.has(&digest) {
            return;
        }
        lock(&noted).note(digest, now.current());
        let key = key(How::Compact, &digest);
        match from {
            Some(peer) => lock(&mailbox).fetch_targeted(key, NonEmptyVec::new(peer)),
            None => lock(&mailbox).fetch(key),
        };
    });
    let anyone = fetch.clone();
    let want: Want = Arc::new(move |digest| {
        anyone(digest, None);
        if lock(&wants).is_late(digest, clock.current()) {
            // Whoever was asked first may be slow, and is waited for. Another is asked for the whole.
            lock(&again).fetch(key(How::Whole, &digest));
        }
    });
    (fetch, want)
}

/// Transactions in a message of a peer.
///
/// # Errors
/// Bytes that are none, or more than a message may have.
pub fn gossiped(message: impl Buf) -> Result<Vec<Vec<u8>>, commonware_codec::Error> {
    let limits = (RangeCfg::new(0..=GOSSIP), (RangeCfg::new(0..=TRANSACTION_MAX), ()));
    Vec::decode_cfg(message, &limits)
}

/// Spreads transactions to all peers; what arrives is admitted or dropped.
fn gossip<E, S, R>(
    context: E,
    (mut sender, mut receiver): (S, R),
    chain: Arc<Chain>,
    outbox: Outbox,
    fetch: Fetch,
) where
    E: Clock + Spawner + Metrics,
    S: Sender<PublicKey = PeerKey>,
    R: Receiver<PublicKey = PeerKey>,
{
    let prefetch = move |bytes: &[u8], from: Option<PeerKey>| {
        if let Some(named) = Named::of(bytes) {
            fetch(named.name(), from);
        }
    };
    let (theirs, ours) = (chain.clone(), chain);
    let prefetched = prefetch.clone();
    context.child("inbox").spawn(move |_| async move {
        while let Ok((peer, message)) = receiver.recv().await {
            let Ok(list) = gossiped(message) else { continue };
            for bytes in list {
                if theirs.admit(&bytes).is_ok() {
                    prefetched(&bytes, Some(peer.clone()));
                }
            }
        }
    });
    context.child("outbox").spawn(move |context| async move {
        loop {
            let mut message: Vec<Vec<u8>> = Vec::new();
            let mut size = 0;
            for bytes in outbox.take() {
                // What this node's users bring was admitted when it came; what its seat says is admitted here.
                let _ = ours.admit(&bytes);
                prefetch(&bytes, None);
                size += bytes.len();
                message.push(bytes);
                if message.len() == GOSSIP || size > GOSSIP_BYTES {
                    size = 0;
                    sender.send(Recipients::All, std::mem::take(&mut message).encode(), false);
                }
            }
            if !message.is_empty() {
                sender.send(Recipients::All, message.encode(), false);
            }
            context.sleep(Duration::from_millis(5)).await;
        }
    });
}
