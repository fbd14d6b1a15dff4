//! A network of validators in the engine's simulator, with records whose bytes say whether they are good.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use certify::hash::{Digest, Purpose, hash};
use certify::wire::{Bounded, encode};
use commonware_codec::{DecodeExt as _, Encode as _};
use commonware_cryptography::bls12381::primitives::group::Private;
use commonware_cryptography::bls12381::primitives::{ops, variant::MinSig};
use commonware_glue::simulate::engine::{EngineDefinition, InitContext};
use commonware_glue::simulate::exit::ExitCondition;
use commonware_glue::simulate::processed::ProcessedHeight;
use commonware_glue::simulate::reporter::MonitorReporter;
use commonware_glue::simulate::tracker::ProgressTracker;
use commonware_p2p::simulated::{Link, Manager};
use commonware_runtime::{Clock, Handle, Quota, Spawner as _, Supervisor as _, deterministic};
use commonware_utils::probability;
use dossier::bytes::Writer;
use dossier::{Dossier, Names};
use ed25519_dalek::SigningKey;
use ledger::entry::{Accounts, Canaries, Offences, Record, Records, Status, Table as _, Validators};
use ledger::genesis::Founder;
use ledger::store::MemoryStore;
use ledger::transaction::Submission;
use ledger::{Body, Envelope, Genesis, Lane, Parameters, State, Unsigned, audit};
use zerotell_node::app::Pace;
use zerotell_node::blobs::{Blobs, program_name};
use zerotell_node::chain::{Chain, Finalised};
use zerotell_node::engine::{self, CHANNELS, Outbox, QUOTA, Setup, Timeouts, message_limit};
use zerotell_node::judge::{Finding, Job, Judges, Verifier};
use zerotell_node::scheme::{Committees, PeerKey, Schemes, peer_key};
use zerotell_node::seat::{Behaviour, Seat};
use zerotell_node::store::{NodeStore, list};
use zerotell_node::sync;

use crate::flood::{Flooded, flood};
use crate::wire::{Cheat, Way, wires};

pub const BOND: u64 = 2_000_000_000_000;
/// What every account has at the beginning.
pub const MONEY: u64 = 1_000_000_000_000_000;
/// What the records' transactions pay.
pub const FEE: u64 = 1_000_000_000;
/// Between records.
const EVERY: Duration = Duration::from_millis(150);
/// Between looks at the heights.
const SAMPLE: Duration = Duration::from_millis(100);
/// Number of the record whose bytes one validator has alone.
pub const HOARDED: u64 = 99;

/// Good records have an even first byte.
struct Toy;

impl Verifier for Toy {
    fn judge(&self, job: &Job, bytes: &[u8]) -> Option<Finding> {
        if u32::try_from(bytes.len()) != Ok(job.bytes) {
            return Some((1, [0; 32]));
        }
        let code = if bytes[bytes.len() - 1].is_multiple_of(2) { 0 } else { dossier::code::PROOF };
        Some((code, *blake3::hash(bytes).as_bytes()))
    }

    fn version(&self) -> u16 {
        1
    }

    fn canary(&self, template: &[u8], random: &mut dyn FnMut(&mut [u8])) -> Option<(Vec<u8>, Names)> {
        let mut bytes = template.to_vec();
        random(&mut bytes);
        *bytes.last_mut()? |= 1;
        let name = |what: &[u8]| *blake3::Hasher::new().update(what).update(&bytes).finalize().as_bytes();
        let names = Names {
            statement: name(b"statement"),
            program: program().0,
            roots: [1; 32],
            revealed: [2; 32],
            context: [5; 32],
            nullifier: name(b"nullifier"),
        };
        Some((bytes, names))
    }
}

/// What a node serves under the digest of a record's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// The bytes.
    Right,
    /// Others, as many.
    Garbage,
    /// What looks as if only parts were missing, which nobody has.
    Riddles,
}

/// A validator that starts.
pub struct Started {
    pub index: usize,
    pub chain: Arc<Chain>,
    pub outbox: Outbox,
    /// Who is connected: in the simulator that is the same for all.
    pub manager: Manager<PeerKey, deterministic::Context>,
}

/// Called after each final block of a validator.
pub type After = Arc<dyn Fn(&Finalised) + Send + Sync>;
/// Called when a validator starts.
pub type Watch = Arc<dyn Fn(Started) -> After + Send + Sync>;
/// Milliseconds, and a validator's height then.
type Sample = (u64, u64);

/// What a validator finds again after a crash.
type Disk = (NodeStore, Arc<Blobs>);

/// A network, and what is wrong with it.
#[derive(Clone)]
pub struct World {
    pub keys: Vec<SigningKey>,
    pub secrets: Vec<Private>,
    pub genesis: Genesis,
    owner: SigningKey,
    /// Pays for the record whose bytes one validator has alone.
    pub hoarder: SigningKey,
    /// Has nothing to do with records.
    pub stranger: SigningKey,
    program: (Digest, Vec<u8>),
    pub behaviours: BTreeMap<usize, Behaviour>,
    pub records: u64,
    /// Whether all records are; else every second one.
    pub good: bool,
    /// A validator that begins with the state of the first one.
    pub late: Option<usize>,
    /// A validator whose node spreads the records' transactions, instead of the first one's, and what it has under their
    /// digests.
    pub spreads: Option<(usize, Serves)>,
    /// Who looks on as validators start, and after each of their final blocks.
    pub watch: Option<Watch>,
    /// A validator that alone has the bytes of one more record, and orders it.
    pub hoards: Option<usize>,
    /// Validators whose lines are bent.
    pub ways: BTreeMap<usize, Way>,
    /// How often they were.
    tricks: Arc<AtomicU64>,
    /// Bytes that may wait at each validator, where a stranger floods them.
    pub flooded: Option<usize>,
    flood: Arc<Mutex<Flooded>>,
    /// Whether their heights are written down.
    pub watched: bool,
    heights: Arc<Mutex<BTreeMap<usize, Vec<Sample>>>>,
    disks: Arc<Mutex<BTreeMap<usize, Disk>>>,
}

/// A snapshot's bytes; `None` while the newest block has no certificate.
pub fn snapshot(chain: &Chain) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut take = |part: Vec<u8>| {
        bytes.extend(part);
        true
    };
    sync::offer(chain).unwrap()?.write(&mut take).unwrap();
    Some(bytes)
}

fn program() -> (Digest, Vec<u8>) {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/proofs/v1/hidden-private-weights/program.bin");
    let program = program::wire::decode(&std::fs::read(path).unwrap()).unwrap();
    (program.digest(), program::wire::encode_with_contents(&program))
}

impl World {
    pub fn new(validators: u8, bonds: &[u64], parameters: Parameters) -> Self {
        let mut keys: Vec<SigningKey> =
            (0..validators).map(|i| SigningKey::from_bytes(&[i + 1; 32])).collect();
        // In the order of accounts, which is that of seats.
        keys.sort_by_key(|key| key.verifying_key().to_bytes());
        let secret = |i: u8| Private::decode(Bytes::from(vec![i + 1; 32])).unwrap();
        let secrets: Vec<Private> = (0..validators).map(secret).collect();
        let [owner, hoarder, stranger] = [99, 98, 97].map(|i| SigningKey::from_bytes(&[i; 32]));
        let account = |key: &SigningKey| key.verifying_key().to_bytes();
        let founder = |(i, (key, secret)): (usize, (&SigningKey, &Private))| Founder {
            account: account(key),
            consensus: Bounded::new(ops::compute_public::<MinSig>(secret).encode().to_vec()).unwrap(),
            bond: bonds.get(i).copied().unwrap_or(BOND),
            address: Bounded::default(),
        };
        let mut balances: Vec<(Digest, u64)> = keys.iter().map(|key| (account(key), MONEY)).collect();
        balances.push((account(&owner), MONEY));
        let genesis = Genesis {
            time: 0,
            balances: Bounded::new(balances).unwrap(),
            founders: Bounded::new(keys.iter().zip(&secrets).enumerate().map(founder).collect()).unwrap(),
            parameters,
        };
        Self {
            keys,
            secrets,
            genesis,
            owner,
            hoarder,
            stranger,
            program: program(),
            behaviours: BTreeMap::new(),
            records: 8,
            good: false,
            late: None,
            spreads: None,
            watch: None,
            hoards: None,
            ways: BTreeMap::new(),
            tricks: Arc::default(),
            flooded: None,
            flood: Arc::default(),
            watched: false,
            heights: Arc::default(),
            disks: Arc::default(),
        }
    }

    pub fn usual() -> Parameters {
        Parameters {
            epoch_blocks: 40,
            commit_blocks: 4,
            reveal_blocks: 4,
            trace_blocks: 400,
            dissent: 3333,
            ..Parameters::default()
        }
    }

    pub fn peers(&self) -> Vec<PeerKey> {
        self.keys.iter().filter_map(|key| peer_key(&key.verifying_key().to_bytes())).collect()
    }

    pub fn account(&self, index: usize) -> Digest {
        self.keys[index].verifying_key().to_bytes()
    }

    /// Validators that do not what they should.
    pub fn cheats(&self) -> Vec<Digest> {
        let bent = self.ways.iter().filter(|(_, way)| **way != Way::Twice).map(|(i, _)| i);
        self.behaviours.keys().chain(bent).map(|i| self.account(*i)).collect()
    }

    /// Whether the others cut the line to a validator.
    pub fn is_cut(&self, index: usize) -> bool {
        self.ways.get(&index).is_some_and(Way::is_cut)
    }

    /// How often validators cheated on their lines.
    pub fn tricks(&self) -> u64 {
        self.tricks.load(Ordering::Relaxed)
    }

    /// What a flood did.
    pub fn flood(&self) -> Flooded {
        self.flood.lock().unwrap().clone()
    }

    /// A validator's heights from one time to another, in milliseconds.
    pub fn heights(&self, index: usize, from: u64, until: u64) -> Vec<u64> {
        let heights = self.heights.lock().unwrap();
        let within = heights[&index].iter().filter(|(time, _)| (from..until).contains(time));
        within.map(|(_, height)| *height).collect()
    }

    /// Names of the records.
    pub fn numbers(&self) -> Vec<u64> {
        (0..self.records).chain(self.hoards.map(|_| HOARDED)).collect()
    }

    /// Whether a record's bytes are given to nobody.
    pub fn is_withheld(&self, number: u64) -> bool {
        let way = self.hoards.and_then(|index| self.ways.get(&index));
        number == HOARDED && way == Some(&Way::Keeps(Vec::new()))
    }

    pub fn is_good(&self, number: u64) -> bool {
        self.good || number.is_multiple_of(2)
    }

    /// A dossier in form, with a program and links that four of them share. Its last byte says whether it is good.
    fn bytes(&self, number: u64) -> Vec<u8> {
        let mut file = Writer::versioned(b"ZTPF", 3);
        let links = u8::try_from(number / 4).unwrap();
        for part in [vec![1; 2_000], vec![links; 3_000], vec![2; 10], number.to_le_bytes().to_vec()] {
            file.framed(&part);
        }
        let (proof, salts, statement, signer) = (file.done().to_vec(), vec![], vec![], vec![]);
        let good = vec![u8::from(!self.is_good(number))];
        Dossier { proof, salts, statement, signer, ranges: Some(good) }.encode()
    }

    pub fn statement(number: u64) -> Digest {
        *blake3::hash(&number.to_le_bytes()).as_bytes()
    }

    fn sign(&self, key: &SigningKey, nonce: u64, body: &Body) -> Vec<u8> {
        let unsigned = Unsigned { network: self.genesis.network(), lane: Lane::Paid, nonce, fee: FEE };
        encode(&Envelope::sign(key, unsigned, body).unwrap())
    }

    fn register(&self) -> Vec<u8> {
        let (program, bytes) = &self.program;
        let program_bytes = u32::try_from(bytes.len()).unwrap();
        let (model, weights) = ([3; 32], [4; 32]);
        let work = dossier::work(&program::wire::decode(bytes).unwrap());
        let body = Body::RegisterModel { model, program: *program, program_bytes, work, weights };
        self.sign(&self.owner, 0, &body)
    }

    fn record(&self, number: u64) -> (Vec<u8>, Digest, Vec<u8>) {
        let bytes = self.bytes(number);
        let proof = *blake3::hash(&bytes).as_bytes();
        let submission = Submission {
            statement: Self::statement(number),
            proof,
            proof_bytes: u32::try_from(bytes.len()).unwrap(),
            program: self.program.0,
            roots: [1; 32],
            revealed: [2; 32],
            policy: [0; 32],
            context: [5; 32],
            nullifier: *blake3::hash(&proof).as_bytes(),
            seal: [6; 32],
            verifier: self.genesis.parameters.verifier,
        };
        let (key, nonce) = if number == HOARDED { (&self.hoarder, 0) } else { (&self.owner, number + 1) };
        (self.sign(key, nonce, &Body::SubmitRecord { submission }), proof, bytes)
    }

    /// What users do at a validator's node: bring bytes, and spread what names them.
    async fn own(self, index: usize, clock: impl Clock, outbox: Outbox, blobs: Arc<Blobs>) {
        if self.hoards == Some(index) {
            let (transaction, proof, bytes) = self.record(HOARDED);
            blobs.stage(proof, Bytes::from(bytes));
            loop {
                outbox.add([transaction.clone()]);
                clock.sleep(EVERY * 2).await;
            }
        }
        let (spreader, serves) = self.spreads.unwrap_or((0, Serves::Right));
        if index != 0 && index != spreader {
            return;
        }
        // After a restart all is sent again: what is known is refused.
        blobs.stage(program_name(&self.program.0), Bytes::from(self.program.1.clone()));
        if index == spreader {
            outbox.add([self.register()]);
        }
        for number in 0..self.records {
            clock.sleep(EVERY).await;
            let (transaction, proof, mut bytes) = self.record(number);
            if index == spreader {
                match serves {
                    Serves::Right => {}
                    Serves::Garbage => bytes.reverse(),
                    Serves::Riddles => {
                        bytes = dossier::compact::compact(&bytes).unwrap().bytes;
                        // The name of the first part.
                        bytes[50] ^= 1;
                    }
                }
            }
            blobs.stage(proof, Bytes::from(bytes));
            if index == spreader {
                outbox.add([transaction]);
            }
        }
        if index != spreader {
            return;
        }
        // Gossip that was lost is sent again by whoever wants to be heard.
        loop {
            clock.sleep(EVERY * 10).await;
            outbox.add([self.register()]);
            outbox.add((0..self.records).map(|number| self.record(number).0));
        }
    }

    /// Gives one more account money at the beginning.
    pub fn endow(&mut self, key: &SigningKey) {
        self.genesis.balances.push((key.verifying_key().to_bytes(), MONEY)).unwrap();
    }

    /// Writes a validator's heights down.
    async fn watch(self, index: usize, clock: impl Clock, chain: Arc<Chain>) {
        loop {
            let time = clock.current().duration_since(UNIX_EPOCH).unwrap().as_millis();
            let sample = (u64::try_from(time).unwrap(), chain.tip().height);
            self.heights.lock().unwrap().entry(index).or_default().push(sample);
            clock.sleep(SAMPLE).await;
        }
    }

    /// What a test sees of a validator.
    pub fn view(&self, index: usize, chain: Arc<Chain>) -> View {
        View { chain, numbers: self.numbers(), is_cut: self.is_cut(index) }
    }

    /// What a validator has on its disk.
    pub fn chain(&self, index: usize) -> Chain {
        let (store, blobs) = self.disk(index);
        Chain::open(self.genesis.clone(), store, blobs).unwrap()
    }

    fn disk(&self, index: usize) -> Disk {
        let mut disks = self.disks.lock().unwrap();
        let new = || (NodeStore::memory().unwrap(), Arc::new(Blobs::memory()));
        disks.entry(index).or_insert_with(new).clone()
    }
}

/// What a test sees of a validator.
#[derive(Clone)]
pub struct View {
    pub chain: Arc<Chain>,
    pub numbers: Vec<u64>,
    /// Whether the others may have cut the line to it.
    pub is_cut: bool,
}

impl View {
    pub fn record(&self, number: u64) -> Option<Record> {
        let (_, snapshot) = self.chain.latest().unwrap();
        State::new(&snapshot).get::<Records>(&World::statement(number)).unwrap()
    }

    pub fn is_done(&self) -> bool {
        let settled = |number| self.record(number).is_some_and(|r| !matches!(r.status, Status::Pending));
        self.numbers.iter().copied().all(settled)
    }

    /// Money of an account.
    pub fn balance(&self, account: &Digest) -> u64 {
        let (_, snapshot) = self.chain.latest().unwrap();
        State::new(&snapshot).get::<Accounts>(account).unwrap().unwrap_or_default().balance
    }

    /// What a validator has bonded.
    pub fn bond(&self, account: &Digest) -> u64 {
        let (_, snapshot) = self.chain.latest().unwrap();
        State::new(&snapshot).get::<Validators>(account).unwrap().unwrap().bond
    }

    /// Whether an account was punished for an offence of this kind on this subject `[H26]`.
    pub fn is_punished(&self, account: &Digest, kind: u8, subject: &Digest) -> bool {
        let (_, snapshot) = self.chain.latest().unwrap();
        let id = hash(Purpose("zerotell/offence/1"), &[&[kind], subject, account]);
        State::new(&snapshot).has::<Offences>(&id).unwrap()
    }

    pub fn slashed(&self) -> Vec<Digest> {
        let list = self.chain.store.newest(list::SLASHES, u64::MAX, 1000).unwrap();
        let account = |bytes: &[u8]| zerotell_node::chain::Slash::read(bytes).unwrap().account;
        list.iter().map(|(_, bytes)| account(bytes)).collect()
    }

    /// Canaries that were shown, and what each validator has bonded.
    pub fn canaries(&self) -> (usize, Vec<u64>) {
        let (_, snapshot) = self.chain.latest().unwrap();
        let bond =
            |(_, value): &(Vec<u8>, Vec<u8>)| ledger::entry::read_value::<Validators>(value).unwrap().bond;
        let bonds = snapshot.namespace(Validators::NAMESPACE).unwrap().iter().map(bond).collect();
        (snapshot.namespace(Canaries::NAMESPACE).unwrap().len(), bonds)
    }

    /// Everything the ledger's audit asks, on a copy of the state.
    pub fn audit(&self) {
        let (_, snapshot) = self.chain.latest().unwrap();
        let mut copy = MemoryStore::default();
        for first in 0..=u8::MAX {
            let entries = snapshot.namespace(first).unwrap();
            copy.apply(entries.into_iter().map(|(key, value)| (key, Some(value))).collect());
        }
        assert_eq!(audit(&copy), Ok(()));
    }
}

impl ProcessedHeight for View {
    async fn processed_height(&self) -> u64 {
        self.chain.tip().height
    }
}

impl EngineDefinition for World {
    type PublicKey = PeerKey;
    type Engine = Handle<()>;
    type State = View;

    fn participants(&self) -> Vec<PeerKey> {
        self.peers()
    }

    fn channels(&self) -> Vec<(u64, Quota)> {
        CHANNELS.iter().map(|channel| (*channel, QUOTA)).collect()
    }

    fn max_message_size(&self) -> u32 {
        message_limit(u32::try_from(self.keys.len()).unwrap(), 1 << 20)
    }

    // Long because it is a list of what a validator is made of.
    async fn init(&self, init: InitContext<'_, PeerKey>) -> (Handle<()>, View) {
        let (context, me, index) = (init.context, init.public_key.clone(), init.index);
        let (store, blobs) = self.disk(index);
        if self.late == Some(index) && store.is_empty().unwrap() {
            let chain = self.chain(0);
            let snapshot = snapshot(&chain).unwrap();
            let start = (&chain.checkpoint, chain.first.clone());
            let height = sync::read(&mut &snapshot[..], &store, start, None).unwrap();
            assert!(height > 80, "it begins with the state of block {height}");
        }
        let chain = Chain::open(self.genesis.clone(), store, blobs.clone()).unwrap();
        let chain = Arc::new(match self.flooded {
            Some(limit) => chain.with_pool(limit),
            None => chain,
        });
        let judges = Judges::start(Arc::new(Toy), blobs.clone(), 0);
        let behaviour = self.behaviours.get(&index).copied().unwrap_or_default();
        let honest = behaviour == Behaviour::None;
        let seat = Seat::new(chain.clone(), judges, self.keys[index].clone(), behaviour, honest).unwrap();
        let committees: Arc<dyn Committees> = chain.clone();
        let outbox = Outbox::default();
        let (world, spread, held) = (self.clone(), outbox.clone(), blobs);
        context.child("owner").spawn(move |clock| async move { world.own(index, clock, spread, held).await });
        let announce: After = match &self.watch {
            Some(watch) => {
                let (chain, outbox) = (chain.clone(), outbox.clone());
                watch(Started { index, chain, outbox, manager: init.oracle.manager() })
            }
            None => Arc::new(|_| {}),
        };
        if self.watched {
            let (world, chain) = (self.clone(), chain.clone());
            context.child("watch").spawn(move |clock| async move { world.watch(index, clock, chain).await });
        }
        if self.flooded.is_some() {
            let (stranger, network) = (self.stranger.clone(), chain.network);
            let (pool, seen) = (chain.clone(), self.flood.clone());
            context
                .child("flood")
                .spawn(move |clock| async move { flood(&stranger, network, clock, &pool, &seen).await });
        }
        let schemes = Schemes::new(chain.network, committees, Some(self.secrets[index].clone()));
        let cheat = self.ways.get(&index).map(|way| Cheat {
            way: way.clone(),
            me: me.clone(),
            peers: self.peers(),
            chain: chain.clone(),
            schemes: schemes.clone(),
            tricks: self.tricks.clone(),
        });
        let (monitor, key) = (init.monitor, me.clone());
        let running = engine::start(
            Setup {
                context,
                me: me.clone(),
                schemes,
                peers: init.oracle.manager(),
                blocker: init.oracle.control(me),
                channels: wires(cheat.as_ref(), init.channels),
                chain: chain.clone(),
                seat: Arc::new(seat),
                pace: Pace::default(),
                timeouts: Timeouts::default(),
                prefix: format!("validator-{index}"),
                announce,
                outbox,
            },
            move |inner| MonitorReporter::new(key, monitor, inner),
        );
        let running = running.await.unwrap();
        (running.handle, self.view(index, chain))
    }

    fn start(engine: Handle<()>) -> Handle<()> {
        engine
    }
}

/// So many of the validators that are not cut off have a verdict on every record, and so many blocks.
#[derive(Clone)]
pub struct Done {
    /// Not cut off.
    pub validators: usize,
    /// That must be there.
    pub least: usize,
    pub height: u64,
}

impl ExitCondition<PeerKey, View> for Done {
    fn name(&self) -> &str {
        "done"
    }

    fn requires_polling(&self) -> bool {
        true
    }

    fn reached<'a>(
        &'a self,
        _: &'a ProgressTracker<PeerKey>,
        views: &'a [&'a View],
        _: usize,
    ) -> Pin<Box<dyn Future<Output = Result<bool, String>> + Send + 'a>> {
        Box::pin(async move {
            let done = |view: &&&View| view.chain.tip().height >= self.height && view.is_done();
            let honest: Vec<_> = views.iter().filter(|view| !view.is_cut).collect();
            Ok(honest.len() == self.validators && honest.iter().copied().filter(done).count() >= self.least)
        })
    }
}

/// A link with this delay, of which so many messages of ten arrive.
pub fn link(milliseconds: u64, arrive: u8) -> Link {
    let success_rate = match arrive {
        10 => probability!(1.0),
        9 => probability!(0.9),
        _ => probability!(0.0),
    };
    let delay = Duration::from_millis(milliseconds);
    Link { latency: delay, jitter: delay / 5, success_rate }
}
