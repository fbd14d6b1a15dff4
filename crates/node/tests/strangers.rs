//! What many strangers at once do to a node's HTTP interface: listeners, floods of uploads, bodies that never end, readers
//! that do not read. The chain has no engine here: the test makes its blocks.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use certify::hash::Digest;
use certify::wire::Bounded;
use commonware_codec::{DecodeExt as _, Encode as _};
use commonware_cryptography::bls12381::primitives::group::Private;
use commonware_cryptography::bls12381::primitives::{ops, variant::MinSig};
use dossier::Names;
use ledger::entry::Table as _;
use ledger::genesis::Founder;
use ledger::{Genesis, Parameters};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::broadcast;
use tokio::time::{sleep, timeout};
use zerotell_node::blobs::{Blobs, program_name};
use zerotell_node::chain::Chain;
use zerotell_node::engine::Outbox;
use zerotell_node::http::{self, Shared};
use zerotell_node::judge::{Finding, Job, Judges, Verifier};
use zerotell_node::store::{Batch, NodeStore};

const MEGABYTE: usize = 1 << 20;
/// Last part of the address of those who do not read.
const SLEEPER: u8 = 9;

/// Nothing is judged here.
struct Nobody;

impl Verifier for Nobody {
    fn judge(&self, _: &Job, _: &[u8]) -> Option<Finding> {
        Some((1, [0; 32]))
    }

    fn version(&self) -> u16 {
        1
    }

    fn canary(&self, _: &[u8], _: &mut dyn FnMut(&mut [u8])) -> Option<(Vec<u8>, Names)> {
        None
    }
}

/// A node's interface and its chain.
struct Node {
    address: SocketAddr,
    chain: Arc<Chain>,
    shared: Arc<Shared>,
    _server: http::Server,
}

fn free_address() -> SocketAddr {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

impl Node {
    /// With this patience with those who do not read.
    fn new(patience: Duration) -> Self {
        let secret = Private::decode(Bytes::from(vec![1; 32])).unwrap();
        let founder = Founder {
            account: [1; 32],
            consensus: Bounded::new(ops::compute_public::<MinSig>(&secret).encode().to_vec()).unwrap(),
            bond: 2_000_000_000_000,
            address: Bounded::default(),
        };
        let genesis = Genesis {
            time: 0,
            balances: Bounded::default(),
            founders: Bounded::new(vec![founder]).unwrap(),
            parameters: Parameters { block_bytes: 64 << 20, ..Parameters::default() },
        };
        let blobs = Arc::new(Blobs::memory());
        let chain = Arc::new(Chain::open(genesis, NodeStore::memory().unwrap(), blobs.clone()).unwrap());
        let judges = Judges::start(Arc::new(Nobody), blobs, 0);
        let (events, _) = broadcast::channel(16);
        let shared = Shared::new(chain.clone(), judges, Outbox::default(), events, [1; 32]);
        let shared = Arc::new(shared.with_patience(patience));
        let address = free_address();
        let server = http::serve(address, shared.clone()).unwrap();
        Self { address, chain, shared, _server: server }
    }

    /// Makes a block final, and tells those who listen.
    fn block(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let block =
            self.chain.propose(&self.chain.tip(), [1; 32], u64::try_from(now).unwrap(), 0).expect("a block");
        let done = self.chain.finalise(&block, false).unwrap().expect("it was not final");
        self.shared.announce(&done);
    }

    /// A connection from 127.0.0.`last`; all of those are this machine.
    async fn connect(&self, last: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        if last == SLEEPER {
            // That it does not read is noticed after few bytes.
            socket.set_recv_buffer_size(4096).unwrap();
        }
        socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    async fn ask(&self, last: u8, path: &str) -> TcpStream {
        let mut stream = self.connect(last).await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn get(&self, path: &str) -> (u16, Vec<u8>) {
        rest(self.ask(1, path).await).await
    }

    /// The head of an upload of these bytes, on a connection of its own.
    async fn begin(&self, last: u8, name: &str, length: usize) -> TcpStream {
        let mut stream = self.connect(last).await;
        let head = format!(
            "PUT /v1/proofs/{name} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    /// Uploads bytes; the answer, and the digest.
    async fn put(&self, last: u8, bytes: &[u8]) -> (u16, Digest) {
        let name = blake3::hash(bytes);
        let mut stream = self.begin(last, &name.to_hex(), bytes.len()).await;
        // Who is refused early may find the connection closed; the answer says why.
        let _ = stream.write_all(bytes).await;
        (rest(stream).await.0, *name.as_bytes())
    }
}

/// Status and body of an answer that ends.
async fn rest(mut stream: TcpStream) -> (u16, Vec<u8>) {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
    let body = answer.split_off(end);
    (status(&answer), body)
}

fn status(head: &[u8]) -> u16 {
    String::from_utf8_lossy(head).split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Reads until these words have come.
async fn until(stream: &mut TcpStream, words: &str) -> String {
    let mut text = String::new();
    let mut part = [0; 1024];
    while !text.contains(words) {
        let read = timeout(Duration::from_secs(20), stream.read(&mut part)).await;
        let count = read.expect("it comes in time").expect("the connection holds");
        assert!(count > 0, "it ended with {text}");
        text.push_str(&String::from_utf8_lossy(&part[..count]));
    }
    text
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn noise(seed: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new_keyed(&[seed; 32]).finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn so_many_may_listen_and_others_are_answered() {
    run(async {
        let node = Node::new(Duration::from_secs(30));
        let (mut listening, mut refused) = (Vec::new(), 0);
        for _ in 0..300 {
            let mut stream = node.ask(1, "/v1/events").await;
            let head = until(&mut stream, "\r\n\r\n").await;
            match status(head.as_bytes()) {
                200 => listening.push(stream),
                503 => {
                    let body = if head.contains("ZN0") { head } else { until(&mut stream, "}}").await };
                    assert!(body.contains("ZN010"), "{body}");
                    refused += 1;
                }
                other => panic!("status {other}"),
            }
        }
        assert_eq!((listening.len(), refused), (256, 44));
        for _ in 0..20 {
            let answer = timeout(Duration::from_secs(2), node.get("/v1/status")).await;
            assert_eq!(answer.expect("others are answered").0, 200);
        }
        node.block();
        for stream in &mut listening {
            until(stream, "\"height\":1").await;
        }
        // Places are free again when those who had them are found to be away.
        drop(listening);
        for attempt in 0.. {
            node.block();
            let mut stream = node.ask(1, "/v1/events").await;
            if status(until(&mut stream, "\r\n\r\n").await.as_bytes()) == 200 {
                break;
            }
            assert!(attempt < 100, "the places stay taken");
            sleep(Duration::from_millis(50)).await;
        }
    });
}

#[test]
fn a_flood_of_uploads_displaces_no_honest_one() {
    run(async {
        let node = Node::new(Duration::from_secs(30));
        let honest = noise(1, 60 * MEGABYTE);
        let (code, name) = node.put(1, &honest).await;
        assert_eq!(code, 201);
        let mut last = [0; 32];
        for seed in 2..50 {
            let (code, name) = node.put(2, &noise(seed, 8 * MEGABYTE)).await;
            assert_eq!(code, 201);
            last = name;
        }
        assert!(node.chain.blobs.has(&last), "the flood's newest is there");
        assert_eq!(node.chain.blobs.get(&name).map(Vec::from), Some(honest), "and the honest one");
        let large = noise(3, 64 * MEGABYTE + 1);
        assert_eq!(node.put(1, &large).await.0, 413);
    });
}

#[test]
fn bodies_that_never_end_keep_nobody_else_out() {
    run(async {
        let node = Node::new(Duration::from_secs(30));
        let (mut hanging, mut refused) = (Vec::new(), 0);
        let name = "0".repeat(64);
        for seed in 0..24 {
            let mut stream = node.begin(2, &name, 8 * MEGABYTE).await;
            let _ = stream.write_all(&noise(seed, 8 * MEGABYTE - 1)).await;
            hanging.push(stream);
        }
        let (code, _) = node.put(1, &noise(1, 60 * MEGABYTE)).await;
        assert_eq!(code, 201, "another address has its own share");
        for mut stream in hanging {
            let mut answer = [0; 256];
            // Those that were taken wait for their last byte.
            if let Ok(Ok(count)) = timeout(Duration::from_millis(100), stream.read(&mut answer)).await {
                assert_eq!(status(&answer[..count]), 429);
                refused += 1;
            }
        }
        assert!((8..=9).contains(&refused), "16 of 24 fit into 128 MB; {refused} were refused");
        // They are gone now, and what they held with them.
        let again = noise(9, 60 * MEGABYTE);
        for attempt in 0.. {
            match node.put(2, &again).await.0 {
                201 => break,
                code => assert!(code == 429 && attempt < 50, "status {code}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    });
}

#[test]
fn who_does_not_read_a_snapshot_makes_room_for_who_does() {
    run(async {
        let node = Node::new(Duration::from_secs(1));
        // More than the machine holds for a connection; only its size matters here.
        let large = (0..16u8).map(|i| (vec![250, i], Some(noise(i, MEGABYTE)))).collect();
        node.chain.store.write(Batch { state: Some(&large), ..Batch::default() }, false).unwrap();
        node.block();
        let tip = node.chain.tip();
        // What the certificate says is the reader's concern.
        node.chain.certified(tip.height, tip.digest(), vec![1]);
        let mut asleep = Vec::new();
        for _ in 0..2 {
            let mut stream = node.ask(SLEEPER, "/v1/snapshot").await;
            let head = until(&mut stream, "\r\n\r\n").await;
            assert_eq!(status(head.as_bytes()), 200);
            asleep.push(stream);
        }
        let (code, body) = node.get("/v1/snapshot").await;
        assert!(code == 503 && String::from_utf8_lossy(&body).contains("ZN010"));
        let whole = async {
            loop {
                let (code, body) = node.get("/v1/snapshot").await;
                if code == 200 {
                    return body;
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        let body = timeout(Duration::from_secs(20), whole).await.expect("the places are free after a second");
        let end = String::from_utf8_lossy(&body[body.len() - 9..]).into_owned();
        assert!(
            body.len() > 16 * MEGABYTE && end.ends_with("\r\n0\r\n\r\n"),
            "{} bytes, {end:?}",
            body.len()
        );
        // The connections were ended as well.
        for mut stream in asleep {
            let mut rest = Vec::new();
            let end = timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
            assert!(end.is_ok() && rest.len() < body.len(), "the connection is still open");
        }
    });
}

#[test]
fn a_program_comes_back_as_it_went() {
    run(async {
        let node = Node::new(Duration::from_secs(30));
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../vectors/proofs/v1/hidden-private-weights/program.bin"
        );
        let program = program::wire::decode(&std::fs::read(path).unwrap()).unwrap();
        let bytes = program::wire::encode_with_contents(&program);
        node.chain.blobs.stage(program_name(&program.digest()), Bytes::from(bytes.clone()));
        let name: String = program.digest().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(node.get(&format!("/v1/programs/{name}")).await.0, 404, "nobody registered it");
        let entry = ledger::entry::Program { owner: [1; 32], work: 1, class: 0, recalled: 0 };
        let key = [&[ledger::entry::Programs::NAMESPACE][..], &program.digest()].concat();
        let changes = [(key, Some(certify::encode(&entry)))].into();
        node.chain.store.write(Batch { state: Some(&changes), ..Batch::default() }, true).unwrap();
        let mut stream = node.ask(1, &format!("/v1/programs/{name}")).await;
        let head = until(&mut stream, "\r\n\r\n").await.to_lowercase();
        assert!(head.contains(&format!("content-length: {}\r\n", bytes.len())), "{head}");
        assert_eq!(node.get(&format!("/v1/programs/{name}")).await, (200, bytes));
        assert_eq!(node.get(&format!("/v1/programs/{}", "0".repeat(64))).await.0, 404);
    });
}
