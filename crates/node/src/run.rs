//! A validator as a process: over TCP, with files, until it is told to stop.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::num::NonZeroUsize;
use std::os::unix::fs::DirBuilderExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use certify::Checkpoint;
use certify::hash::Digest;
use commonware_cryptography::ChaCha20Poly1305;
use commonware_cryptography::Signer as _;
use commonware_p2p::AddressableManager as _;
use commonware_p2p::authenticated::lookup;
use commonware_runtime::{Metrics as _, Runner as _, Supervisor as _, tokio as runtime};
use commonware_stream::cups::{self, Cups};
use commonware_stream::sake::{self, Sake};
use commonware_utils::NZUsize;
use ledger::{Genesis, State};
use tokio::sync::broadcast;

use crate::blobs::Blobs;
use crate::chain::{Chain, Finalised, Stuck};
use crate::config::{Config, ConfigError, read_genesis};
use crate::engine::{self, CHANNELS, Outbox, QUOTA, Setup, Timeouts, message_limit};
use crate::http::{self, Shared};
use crate::judge::{Judges, Pinned};
use crate::keys::Keys;
use crate::peers::{Known, Peers, Place, Tracker, is_private};
use crate::scheme::{Committees, Schemes};
use crate::seat::Seat;
use crate::store::{NodeStore, StoreError};

/// Blocks after which old proofs are looked for.
const PRUNE_EVERY: u64 = 16;
/// Peers that there is room for beside twice as many as there are.
const ROOM: usize = 16;
/// What to do when a part of the node ended.
const AGAIN: &str =
    "see that the disk works and has space, then start the node again: it goes on where it was";
/// File beside the keys which says that they were used.
const SIGNED: &str = "signed";
/// Final blocks that a slow listener may be behind.
const EVENTS: usize = 256;

fn fails(place: impl ToString, why: impl ToString, fix: &'static str) -> ConfigError {
    ConfigError { place: place.to_string(), why: why.to_string(), fix }
}

/// Runs a node until it is told to stop (SIGINT, SIGTERM), or its engine ends.
///
/// # Errors
/// What keeps it from starting, or made it stop.
pub fn run(config: &Config) -> Result<(), ConfigError> {
    // Buffers come and go with every dossier. In pages of 2 MB the kernel clears more memory for them than they have bytes: a
    // sixth of the time at full load. Where it cannot be asked for others, nothing else changes.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let genesis = read_genesis(&config.genesis)?;
    let keys = Keys::read(&config.keys).map_err(|why| fails(why.place.display(), why.why, why.fix))?;
    let data = config.data.display();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data)
        .map_err(|why| fails(&data, why, "choose a directory that can be written"))?;
    let _lock = claim(config)?;
    let blobs = Blobs::open(config.data.join("blobs"));
    let blobs =
        Arc::new(blobs.map_err(|why| fails(&data, why, "free space on the disk, or choose another"))?);
    let store = NodeStore::open(&config.data)
        .map_err(|why| fails(&data, why, "if it is damaged, move the directory away and start again"))?;
    let is_empty = store.is_empty().map_err(|why| fails(&data, why, "see that the disk can be read"))?;
    let signed = config.keys.join(SIGNED);
    if is_empty && signed.exists() {
        look_on(&store, &signed).map_err(|why| fails(&data, why, AGAIN))?;
    }
    if let Some(address) = &config.sync
        && is_empty
    {
        begin_late(address, &genesis, &store, config.checkpoint()?)?;
    }
    let chain = Chain::open(genesis, store, blobs.clone());
    let chain = Arc::new(chain.map_err(|why| fails(&data, why, "see the manual, `zerotell node`"))?);
    mark(&signed)?;
    let judges = Judges::start(Arc::new(Pinned::new(chain.clone())), blobs, config.verifiers);
    let seat = Seat::new(chain.clone(), judges.clone(), keys.signing(), config.behaviour()?, config.accuse);
    let seat = Arc::new(seat.map_err(|why| fails(&data, why, "see the manual, `zerotell node`"))?);
    let outbox = Outbox::default();
    let (events, _) = broadcast::channel(EVENTS);
    let shared = Arc::new(Shared::new(chain.clone(), judges.clone(), outbox.clone(), events, keys.account()));

    let files = config.data.join("engine");
    let runner = runtime::Runner::new(
        runtime::Config::default()
            .with_storage_directory(files)
            .with_worker_threads(2)
            .with_catch_panics(false),
    );
    let ended = unless_it_breaks(|| {
        runner.start(|context| async move {
            let metrics = context.child("metrics");
            shared.set_engine_metrics(Box::new(move || metrics.encode()));
            let server = config.http.map(|address| http::serve(address, shared.clone()));
            let server = server.transpose().map_err(|why| {
                fails(config.http.map_or_else(String::new, |a| a.to_string()), why, "choose a free address")
            })?;
            let running = network(context, config, &keys, chain, seat, shared, outbox).await?;
            tracing::info!(listen = %config.listen, http = ?config.http, "the node runs");
            let ended = tokio::select! {
                () = told_to_stop() => Ok(()),
                _ = running.handle => {
                    Err(fails("engine", "it stopped; the log says why", AGAIN))
                }
            };
            drop(server);
            ended
        })
    });
    judges.stop();
    ended
}

/// The engine panics when its disk fails, which is no fault of the program: whoever runs the node is told what to do.
fn unless_it_breaks(run: impl FnOnce() -> Result<(), ConfigError>) -> Result<(), ConfigError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|why| {
        let words = why.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| why.downcast_ref::<&str>().copied()).unwrap_or("it says nothing");
        let why = format!("it broke off: {words}");
        Err(fails("engine", why, AGAIN))
    })
}

/// Fills an empty store with the state that another node gives away.
fn begin_late(
    address: &str,
    genesis: &Genesis,
    store: &NodeStore,
    pinned: Option<Checkpoint>,
) -> Result<(), ConfigError> {
    let fix = "ask another node, or leave `sync` out: all blocks are executed then";
    let bad = |why: &dyn std::fmt::Display| fails(format!("{address}/v1/snapshot"), why, fix);
    let beginning = genesis.begin().map_err(|why| bad(&why))?;
    let checkpoint = Checkpoint::genesis(&beginning.header).map_err(|why| bad(&why))?;
    tracing::info!(%address, "the state is fetched");
    let mut source = crate::client::Client::new(address).snapshot().map_err(|why| bad(&why.why))?;
    let start = (&checkpoint, beginning.committee);
    let height = crate::sync::read(&mut source, store, start, pinned.as_ref()).map_err(|why| bad(&why))?;
    tracing::info!(height, "the state is here");
    Ok(())
}

/// Lets a new database sign nothing until an epoch begins after now: who signs without the memory of what it signed before is
/// punished for what it contradicts.
fn look_on(store: &NodeStore, mark: &Path) -> Result<(), StoreError> {
    tracing::warn!(
        mark = %mark.display(),
        "this key was used before and the data directory is new: it signs nothing until an epoch begins after now. Only if \
         the network has not begun may the mark be deleted"
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    store.set_silent(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// Notes beside the keys, for good, that they sign from now on.
fn mark(path: &Path) -> Result<(), ConfigError> {
    let made = || -> std::io::Result<()> {
        if !path.exists() {
            fs::File::create(path)?.sync_all()?;
            path.parent().map_or(Ok(()), |directory| fs::File::open(directory)?.sync_all())?;
        }
        Ok(())
    };
    let fix = "let the node write there, or make an empty file of that name once it has begun";
    made().map_err(|why| fails(path.display(), why, fix))
}

/// One process per data directory.
fn claim(config: &Config) -> Result<fs::File, ConfigError> {
    let path = config.data.join("lock");
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|why| fails(path.display(), why, "choose a directory that can be written"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(fails(
            path.display(),
            "another node uses this data directory",
            "stop it first: two nodes with one key would be punished for what they sign",
        )),
    }
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        _ => std::future::pending().await,
    }
}

/// What this node knows of its peers, with room for twice as many as there are; and whether all are on this machine.
fn known(config: &Config, me: Digest, chain: &Chain) -> Result<(Known, bool), ConfigError> {
    let mut named = BTreeMap::new();
    for (account, place) in config.peers()? {
        if named.insert(account, place).is_some() {
            return Err(fails("peers", "an account is named twice", "name each account once"));
        }
    }
    let unread = |why: Stuck| fails(config.data.display(), why, AGAIN);
    let (_, snapshot) = chain.latest().map_err(unread)?;
    let state = State::new(&snapshot);
    let all = |known: &Known| Peers::of(&state, known).map_err(|why| unread(why.into()));
    // As others see it, of whom this node is one.
    let open = Known { me: [0; 32], named: BTreeMap::new(), private: true, room: usize::MAX };
    let seen = all(&open)?;
    if !seen.has(&me) {
        tracing::info!(
            "this account has no seat and waits for none: others let it in when it has bonded enough"
        );
    }
    let listen = config.listen.ip();
    let own = seen.place(&me).into_iter().chain(named.values()).any(Place::is_private);
    let private = config.private.unwrap_or(own || is_private(listen));
    let mut known = Known { me, named, private, room: usize::MAX };
    let found = all(&known)?;
    if !private && seen.places().any(Place::is_private) {
        tracing::warn!(
            "private addresses of the ledger are left alone: if yours is a private network, set `private`"
        );
    }
    known.room = config.peers_max.unwrap_or(found.len().saturating_mul(2).saturating_add(ROOM));
    let is_local = listen.is_loopback() && found.places().all(Place::is_loopback);
    Ok((known, is_local))
}

// Long because it is a list of the network's parts and what each is given.
async fn network(
    context: runtime::Context,
    config: &Config,
    keys: &Keys,
    chain: Arc<Chain>,
    seat: Arc<Seat>,
    shared: Arc<Shared>,
    outbox: Outbox,
) -> Result<engine::Running, ConfigError> {
    let signer = keys.peer().map_err(|why| fails(why.place.display(), why.why, why.fix))?;
    let me = signer.public_key();
    let (known, is_local) = known(config, keys.account(), &chain)?;
    let handshake = Cups::<_, ChaCha20Poly1305>::new(
        Sake {
            signer,
            synchrony_bound: Duration::from_secs(5),
            max_handshake_age: Duration::from_secs(10),
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    let namespace = [b"zerotell/p2p/1/".as_slice(), &chain.network].concat();
    // As it is now: should the validators agree on larger blocks, larger dossiers travel after the next start.
    let dossier = chain.dossier_max().map_err(|why| fails(config.data.display(), why, AGAIN))?;
    // The validators may agree on more seats while it runs, and whatever their number, a block is larger than what they sign.
    let seats = u32::try_from(certify::SEATS_MAX).unwrap_or(u32::MAX);
    let limit = message_limit(seats, dossier);
    // The network keeps room in memory for every peer that there may be, and for this node.
    let peers_max = NonZeroUsize::MIN.saturating_add(known.room);
    let mut lookup = if is_local {
        lookup::Config::local(handshake, &namespace, config.listen, peers_max, limit, NZUsize!(1024))
    } else {
        lookup::Config::recommended(handshake, &namespace, config.listen, peers_max, limit, NZUsize!(1024))
    };
    lookup.allow_private_ips = known.private;
    // Peers are known by their keys, which they show; where they come from may be a router, or another address of theirs.
    lookup.bypass_ip_check = !config.known_ips_only;
    // What it is told last has everybody who matters.
    lookup.tracked_peer_sets = NZUsize!(1);
    let (mut network, oracle) = lookup::Network::new(context.child("network"), lookup);
    let mut manager = oracle.clone();
    let mut tracker = Tracker::new(chain.clone(), known, move |number, peers| {
        manager.track(number, peers);
    });
    shared.set_peers(tracker.look().map_err(|why| fails(config.data.display(), why, AGAIN))?);
    let channels = CHANNELS.iter().map(|channel| network.register(*channel, QUOTA)).collect();
    network.start();
    let committees: Arc<dyn Committees> = chain.clone();
    let announce = {
        let shared = shared.clone();
        let (chain, keep, tracker) = (chain.clone(), config.keep_proofs, Mutex::new(tracker));
        Arc::new(move |block: &Finalised| {
            shared.announce(block);
            match tracker.lock().unwrap_or_else(PoisonError::into_inner).after(block) {
                Ok(peers) => peers.into_iter().for_each(|peers| shared.set_peers(peers)),
                Err(why) => tracing::warn!(%why, "the peers stay as they were"),
            }
            if let Some(keep) = keep.filter(|_| block.header.height.is_multiple_of(PRUNE_EVERY))
                && let Err(why) = chain.prune(keep)
            {
                tracing::warn!(%why, "old proofs could not be deleted");
            }
        })
    };
    engine::start(
        Setup {
            context: context.child("validator"),
            me,
            schemes: Schemes::new(chain.network, committees, keys.consensus()),
            peers: oracle.clone(),
            blocker: oracle,
            channels,
            chain,
            seat,
            pace: config.pace(),
            timeouts: Timeouts::default(),
            prefix: "validator".into(),
            announce,
            outbox,
        },
        |inner| inner,
    )
    .await
    .map_err(|why| fails(config.data.display(), why, "see the manual, `zerotell node`"))
}
