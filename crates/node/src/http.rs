//! The HTTP interface: what a node tells anyone, and what it takes from anyone `[U10]`. `openapi.json` describes it.
//!
//! Strangers call it: sizes, times and the number of connections are bounded, and no answer depends on more than the
//! final state.

mod entries;
mod large;
mod peers;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body as Message;
use axum::extract::{FromRequestParts, Path, Query, State as Extract};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use certify::certificate::{Certificate, Entry, FILE_MAX};
use certify::hash::Digest;
use certify::wire::{Bounded, decode, encode};
use certify::{Checkpoint, Committee, Way};
use dossier::code;
use futures::StreamExt as _;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ledger::entry::{Record, Records, Rounds, Status, Table, Treasuries};
use ledger::refusal::{Failure, Refusal};
use ledger::transaction::TRANSACTION_MAX;
use ledger::verdict::holds;
use ledger::{Body, Envelope, Lane, State, Stop, present};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, broadcast};
use tokio_stream::wrappers::BroadcastStream;

use crate::block::{Block, Named};
use crate::chain::{Chain, Finalised, Place, Stuck};
use crate::engine::Outbox;
use crate::judge::Judges;
use crate::store::{Snapshot, StoreError, index, list};
use crate::strangers::{Budget, Caller, Impatient};

/// Connections at one time, and those of one address: the rest stays for others.
const CONNECTIONS: usize = 512;
const CONNECTIONS_EACH: usize = 384;
/// Of them, those that wait for events: the rest stays for those who ask.
const LISTENERS: usize = 256;
/// Snapshots that are given away at one time: each keeps an old state on the disk.
const SNAPSHOTS: usize = 2;
/// Entries of a list, at most.
const PAGE: usize = 100;
/// Largest number in JSON that every reader has exactly.
const NUMBER_MAX: u64 = (1 << 53) - 1;
/// Time that a request's head may take.
const HEAD: Duration = Duration::from_secs(10);
/// Bytes of bodies that are arriving, in all, and from one address: two of the largest.
const ARRIVING: usize = 512 << 20;
const ARRIVING_EACH: usize = 128 << 20;
/// Bytes of proofs and programs that are on their way out, in all and to one address.
const LEAVING: usize = 512 << 20;
const LEAVING_EACH: usize = 128 << 20;
/// Time for which a connection may take nothing of what it asked for, and that a part of a snapshot may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Age of the newest block from which on the node says that it is behind.
const BEHIND: Duration = Duration::from_secs(15);
/// Time that a certificate is waited for.
const CERTIFIED: Duration = Duration::from_secs(3);

/// What the interface and the node share.
pub struct Shared {
    chain: Arc<Chain>,
    judges: Judges,
    outbox: Outbox,
    events: broadcast::Sender<Arc<Finalised>>,
    account: Digest,
    peers: peers::Peers,
    blocks: AtomicU64,
    records: AtomicU64,
    requests: AtomicU64,
    snapshots: Arc<Semaphore>,
    listeners: Arc<Semaphore>,
    arriving: Budget,
    leaving: Budget,
    patience: Duration,
    engine: OnceLock<Box<dyn Fn() -> String + Send + Sync>>,
}

impl Shared {
    /// Of a node with this account.
    pub fn new(
        chain: Arc<Chain>,
        judges: Judges,
        outbox: Outbox,
        events: broadcast::Sender<Arc<Finalised>>,
        account: Digest,
    ) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            chain,
            judges,
            outbox,
            events,
            account,
            peers: peers::Peers::default(),
            blocks: zero(),
            records: zero(),
            requests: zero(),
            snapshots: Arc::new(Semaphore::new(SNAPSHOTS)),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
            arriving: Budget::new(ARRIVING, ARRIVING_EACH),
            leaving: Budget::new(LEAVING, LEAVING_EACH),
            patience: PATIENCE,
            engine: OnceLock::new(),
        }
    }

    /// With another patience with those who do not read than the usual half minute.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How many peers it is told of.
    pub fn set_peers(&self, peers: usize) {
        self.peers.set(peers);
    }

    /// Where the engine's own metrics come from.
    pub fn set_engine_metrics(&self, metrics: Box<dyn Fn() -> String + Send + Sync>) {
        drop(self.engine.set(metrics));
    }

    fn engine_metrics(&self) -> String {
        self.engine.get().map(|metrics| metrics()).unwrap_or_default()
    }

    /// Tells whoever listens of a final block.
    pub fn announce(&self, block: &Finalised) {
        self.blocks.fetch_add(1, Ordering::Relaxed);
        let records = u64::try_from(block.records).unwrap_or(0);
        self.records.fetch_add(records, Ordering::Relaxed);
        // An error means that nobody listens.
        drop(self.events.send(Arc::new(block.clone())));
    }
}

type App = Extract<Arc<Shared>>;

/// An answer that is none: a status, a code, words.
struct Refused {
    status: StatusCode,
    code: &'static str,
    what: String,
    fix: &'static str,
}

type Answer<T> = Result<T, Refused>;

impl Refused {
    fn new(status: StatusCode, code: &'static str, what: impl ToString, fix: &'static str) -> Self {
        Self { status, code, what: what.to_string(), fix }
    }

    fn missing(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "ZN004",
            what,
            "compare the digest or height; it may not be final yet",
        )
    }

    fn field(what: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ZN001", what, "see /openapi.json")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let error = json!({"code": self.code, "what": self.what, "fix": self.fix});
        (self.status, Json(json!({"error": error}))).into_response()
    }
}

impl From<Stuck> for Refused {
    fn from(why: Stuck) -> Self {
        tracing::error!(%why, "a request could not be answered");
        let what = "the node cannot read its state";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ZN009", what, "ask another node, or try again")
    }
}

impl From<StoreError> for Refused {
    fn from(why: StoreError) -> Self {
        Stuck::from(why).into()
    }
}

impl From<ledger::Fault> for Refused {
    fn from(why: ledger::Fault) -> Self {
        Stuck::from(why).into()
    }
}

/// What an address asks after its question mark.
struct Ask<T>(T);

impl<T: serde::de::DeserializeOwned, S: Sync> FromRequestParts<S> for Ask<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        Query::try_from_uri(&parts.uri).map(|Query(asked)| Self(asked)).map_err(Refused::field)
    }
}

/// The variable part of an address: one, or several.
struct At<T = String>(T);

impl<T: serde::de::DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let found = Path::<T>::from_request_parts(parts, state).await;
        found.map(|Path(found)| Self(found)).map_err(Refused::field)
    }
}

/// Who asks: [`accept`] notes it with each request.
type Asker = Extension<Caller>;

fn hex(bytes: &[u8]) -> String {
    record::json::hex(bytes)
}

fn digest(text: &str) -> Answer<Digest> {
    record::json::unhex(text)
        .ok_or_else(|| Refused::field("a digest or an account is 64 lower-case hexadecimal digits"))
}

fn bytes(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))], bytes).into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    before: Option<u64>,
    limit: Option<usize>,
}

impl Range {
    fn bounds(&self) -> Answer<(u64, usize)> {
        let limit = self.limit.unwrap_or(20);
        if !(1..=PAGE).contains(&limit) {
            return Err(Refused::field(format!("limit is between 1 and {PAGE}")));
        }
        if self.before.is_some_and(|before| before > NUMBER_MAX) {
            return Err(Refused::field(format!("before is at most {NUMBER_MAX}")));
        }
        Ok((self.before.unwrap_or(u64::MAX), limit))
    }
}

fn next(list: &[(u64, Vec<u8>)], limit: usize) -> Value {
    match list.last() {
        Some((number, _)) if list.len() == limit && *number > 0 => json!(number),
        _ => Value::Null,
    }
}

// ---- what there is once ----

async fn status(Extract(app): App) -> Answer<Json<Value>> {
    let (tip, snapshot) = app.chain.latest()?;
    let state = State::new(&snapshot);
    let chain = present(&state)?;
    let epoch = tip.height / chain.parameters.epoch_blocks;
    let seat = app.chain_committee(epoch).and_then(|c| c.seat(&app.account).map(|(number, _)| number));
    let (transactions, size) = app.chain.waiting();
    let treasury = state.get::<Treasuries>(&())?.unwrap_or_default();
    Ok(Json(json!({
        "network": hex(&app.chain.network),
        "version": env!("CARGO_PKG_VERSION"),
        "verifier": chain.parameters.verifier,
        "height": tip.height,
        "epoch": epoch,
        "time": tip.time,
        "header": hex(&tip.digest()),
        "state": hex(&tip.state),
        "committee": hex(&tip.committee),
        "account": hex(&app.account),
        "seat": seat,
        "peers": app.peers.connected(|| app.engine_metrics()),
        "peersConfigured": app.peers.configured(),
        "pool": {"transactions": transactions, "bytes": size},
        "records": app.chain.store.length(list::RECORDS)?,
        "syncing": is_behind(tip.time),
        "workPrice": chain.work_price.to_string(),
        "bytePrice": chain.byte_price.to_string(),
        "supply": chain.supply.to_string(),
        "burned": treasury.burned.to_string(),
    })))
}

/// Whether the newest final block is so old that the node must be catching up, or the network stands still.
fn is_behind(time: u64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(time).saturating_add(BEHIND) < now
}

impl Shared {
    fn chain_committee(&self, epoch: u64) -> Option<Committee> {
        crate::scheme::Committees::committee(&*self.chain, epoch)
    }
}

async fn parameters(Extract(app): App) -> Answer<Json<Value>> {
    let (_, snapshot) = app.chain.latest()?;
    let parameters = present(&State::new(&snapshot))?.parameters;
    Ok(Json(entries::named(&parameters)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    latest: Option<bool>,
}

async fn checkpoint(Extract(app): App, Ask(which): Ask<Which>) -> Answer<Json<Value>> {
    // That of an epoch's beginning: the one a certificate from this epoch on starts at.
    let epoch = if which.latest == Some(true) { app.chain.tip().epoch } else { 0 };
    let (checkpoint, committee) = start(&app, epoch)?;
    let bytes = encode(&checkpoint);
    Ok(Json(json!({
        "network": hex(&checkpoint.network),
        "epoch": checkpoint.epoch,
        "height": checkpoint.height,
        "time": checkpoint.time,
        "checkpoint": hex(&bytes),
        "digest": hex(blake3::hash(&bytes).as_bytes()),
        "committee": hex(&encode(&committee)),
    })))
}

async fn genesis(Extract(app): App) -> Response {
    bytes(encode(&app.chain.genesis))
}

// ---- blocks and transactions ----

fn block_json(block: &Block, records: usize) -> Value {
    let header = &block.header;
    json!({
        "height": header.height,
        "digest": hex(&block.id()),
        "time": header.time,
        "epoch": header.epoch,
        "proposer": hex(&header.proposer),
        "transactions": block.transactions.len(),
        "records": records,
        "state": hex(&header.state),
        "committee": hex(&header.committee),
    })
}

fn kind(body: &Body) -> &'static str {
    match body {
        Body::Transfer { .. } => "transfer",
        Body::Bond { .. } => "bond",
        Body::Unbond { .. } => "unbond",
        Body::RegisterModel { .. } => "register-model",
        Body::AdvanceEpoch { .. } => "advance-epoch",
        Body::RegisterDataset { .. } => "register-dataset",
        Body::SubmitRecord { .. } => "submit-record",
        Body::CommitVerdicts { .. } => "commit-verdicts",
        Body::RevealVerdicts { .. } => "reveal-verdicts",
        Body::Evidence { .. } => "evidence",
        Body::Recall { .. } => "recall",
        Body::UpdateParameters { .. } => "update-parameters",
    }
}

fn read(bytes: &[u8]) -> Option<(Envelope, Body)> {
    let envelope: Envelope = decode(bytes).ok()?;
    let body = decode(&envelope.body).ok()?;
    Some((envelope, body))
}

fn records_of(block: &Block) -> usize {
    let is_record = |bytes: &[u8]| {
        matches!(read(bytes), Some((_, Body::SubmitRecord { .. } | Body::AdvanceEpoch { .. })))
    };
    block.transactions.iter().filter(|bytes| is_record(bytes)).count()
}

/// Bytes of blocks that are read for one list; one block may have more.
const BLOCKS_BYTES: usize = 8 << 20;

async fn blocks(Extract(app): App, Ask(range): Ask<Range>) -> Answer<Json<Value>> {
    let (mut before, limit) = range.bounds()?;
    // A block has up to 8 MB, of which a line is told: one at a time, beside other requests, and no more than a few large ones.
    let list = large::aside(move || {
        let (mut list, mut bytes) = (Vec::new(), 0);
        while list.len() < limit && bytes <= BLOCKS_BYTES {
            let Some((height, found)) = app.chain.store.newest(list::BLOCKS, before, 1)?.pop() else { break };
            bytes = bytes.saturating_add(found.len());
            before = height;
            list.extend(Block::parse(&found).ok().map(|block| block_json(&block, records_of(&block))));
        }
        Ok::<_, StoreError>(list)
    });
    Ok(Json(json!({"blocks": list.await??})))
}

fn place(app: &Shared, id: &Digest) -> Answer<Option<Place>> {
    let found = app.chain.store.indexed(index::TRANSACTIONS, id)?;
    Ok(found.and_then(|bytes| decode(&bytes).ok()))
}

fn failure(code: u16) -> String {
    match code {
        0 => String::new(),
        code => Failure::of(code).map_or_else(|| "a failure".into(), |failure| failure.to_string()),
    }
}

async fn block(Extract(app): App, At(height): At) -> Answer<Json<Value>> {
    let height: u64 = height.parse().map_err(|_| Refused::field("a height is a number"))?;
    let block = app.chain.block(height)?.ok_or_else(|| Refused::missing("there is no such block"))?;
    let mut list = Vec::new();
    for bytes in block.transactions.iter() {
        let Some((envelope, body)) = read(bytes) else { continue };
        let id = envelope.id();
        let code = place(&app, &id)?.map_or(0, |place| place.outcome.code);
        list.push(json!({
            "id": hex(&id),
            "kind": kind(&body),
            "sender": hex(&envelope.sender),
            "nonce": envelope.nonce,
            "fee": envelope.fee.to_string(),
            "lane": if envelope.lane == Lane::Paid { "paid" } else { "seat" },
            "code": code,
            "what": failure(code),
        }));
    }
    let finality = app.chain.finality(height)?;
    let read: Option<certify::Finality> = finality.as_ref().and_then(|bytes| decode(bytes).ok());
    let mut answer = block_json(&block, records_of(&block));
    let more = json!({
        "parent": hex(&block.header.parent),
        "outcomes": hex(&block.header.outcomes),
        "list": list,
        "finality": finality.map(|bytes| hex(&bytes)),
        "signers": read.as_ref().map(|f| f.signers.count_ones()),
        "seats": read.as_ref().map(|f| f.seats),
        "header": hex(&encode(&block.header)),
    });
    if let (Value::Object(map), Value::Object(more)) = (&mut answer, more) {
        map.extend(more);
    }
    Ok(Json(answer))
}

async fn transaction(Extract(app): App, At(id): At) -> Answer<Json<Value>> {
    let id = digest(&id)?;
    let place = place(&app, &id)?.ok_or_else(|| Refused::missing("no final block has this transaction"))?;
    Ok(Json(json!({
        "id": hex(&id),
        "state": "final",
        "height": place.height,
        "index": place.index,
        "code": place.outcome.code,
        "what": failure(place.outcome.code),
        "fee": place.outcome.fee.to_string(),
    })))
}

async fn submit(Extract(app): App, Extension(caller): Asker, request: Message) -> Answer<Json<Value>> {
    let (bytes, _held) = large::body(&app, caller, request, TRANSACTION_MAX).await?;
    let refused = |status, why: &Refusal| {
        let fix = match why {
            Refusal::Price { .. } => "offer more: /v1/status has the prices",
            Refusal::Nonce { .. } => "ask /v1/accounts for the next nonce",
            Refusal::UnknownProgram => "register a model of the program first",
            Refusal::PoolFull => "offer more, or try again later",
            _ => "see chapter 8 of the specification",
        };
        Refused::new(status, "ZN002", why, fix)
    };
    let id = app.chain.admit(&bytes).map_err(|stop| match stop {
        Stop::Refused(why @ Refusal::Funds { .. } | why @ Refusal::Price { .. }) => {
            refused(StatusCode::PAYMENT_REQUIRED, &why)
        }
        Stop::Refused(why @ Refusal::PoolFull) => refused(StatusCode::TOO_MANY_REQUESTS, &why),
        Stop::Refused(
            why @ (Refusal::Nonce { .. }
            | Refusal::DuplicateStatement
            | Refusal::DuplicateNullifier
            | Refusal::InFlight { .. }
            | Refusal::Replacement { .. }),
        ) => refused(StatusCode::CONFLICT, &why),
        Stop::Refused(why) => refused(StatusCode::BAD_REQUEST, &why),
        Stop::Failed(why) => Refused::field(why),
        Stop::Fault(why) => why.into(),
    })?;
    if let Some(named) = Named::of(&bytes) {
        app.chain.blobs.named(&named.name());
    }
    app.outbox.add([bytes.to_vec()]);
    Ok(Json(json!({"id": hex(&id)})))
}

// ---- records ----

fn who(committee: Option<&Committee>, set: u128) -> Vec<String> {
    let seats = committee.map(|c| c.seats.iter().enumerate());
    let named = seats.into_iter().flatten().filter(|(number, _)| holds(set, *number));
    named.map(|(_, seat)| hex(&seat.account)).collect()
}

fn stake(committee: Option<&Committee>, set: u128) -> String {
    let seats = committee.map(|c| c.seats.iter().enumerate());
    let held = seats.into_iter().flatten().filter(|(number, _)| holds(set, *number));
    held.map(|(_, seat)| u128::from(seat.stake)).sum::<u128>().to_string()
}

fn record_json(app: &Shared, state: &State<'_>, statement: &Digest, record: &Record) -> Answer<Value> {
    let (word, code, height) = match record.status {
        Status::Pending => ("pending", 0, None),
        Status::Final { code: 0, height } => ("accepted", 0, Some(height)),
        Status::Final { code, height } => ("rejected", code, Some(height)),
        Status::Undecided { height } => ("undecided", 0, Some(height)),
    };
    let length = app.chain.genesis.parameters.epoch_blocks;
    let round = state.get::<Rounds>(&record.voted)?;
    let epoch = round.map_or(record.voted / length, |round| round.epoch);
    let committee = app.chain_committee(epoch);
    let committee = committee.as_ref();
    let number = app.chain.store.indexed(index::RECORDS, statement)?;
    let number = number.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
    let submitted = app.chain.store.indexed(index::BODIES, statement)?;
    let length = match submitted.and_then(|bytes| decode::<Body>(&bytes).ok()) {
        Some(Body::SubmitRecord { submission }) => Some(submission.proof_bytes),
        Some(Body::AdvanceEpoch { step }) => Some(step.proof_bytes),
        _ => None,
    };
    Ok(json!({
        "sequence": number,
        "statement": hex(statement),
        "program": hex(&record.program),
        "proof": hex(&record.proof),
        "proofBytes": length,
        "submitter": hex(&record.submitter),
        "ordered": record.ordered,
        "verifier": record.verifier,
        "fee": record.fee.to_string(),
        "status": word,
        "code": code,
        "what": if word == "accepted" || word == "rejected" { code::words(code) } else { "" },
        "finalHeight": height,
        "recalled": record.recalled != 0,
        "accept": who(committee, record.accept),
        "reject": who(committee, record.reject),
        "stake": {
            "accept": stake(committee, record.accept),
            "reject": stake(committee, record.reject),
            "total": committee.map_or(0, Committee::stake).to_string(),
        },
    }))
}

async fn records(Extract(app): App, Ask(range): Ask<Range>) -> Answer<Json<Value>> {
    let (before, limit) = range.bounds()?;
    let (_, snapshot) = app.chain.latest()?;
    let state = State::new(&snapshot);
    let found = app.chain.store.newest(list::RECORDS, before, limit)?;
    let mut answer = Vec::new();
    for (_, value) in &found {
        let Some(statement) = value.get(8..).and_then(|rest| Digest::try_from(rest).ok()) else { continue };
        if let Some(record) = state.get::<Records>(&statement)? {
            answer.push(record_json(&app, &state, &statement, &record)?);
        }
    }
    Ok(Json(json!({"records": answer, "next": next(&found, limit)})))
}

fn find(app: &Shared, statement: &Digest) -> Answer<(Snapshot, Record)> {
    let (_, snapshot) = app.chain.latest()?;
    let record = State::new(&snapshot).get::<Records>(statement)?;
    Ok((snapshot, record.ok_or_else(|| Refused::missing("no final block has this record"))?))
}

async fn one_record(Extract(app): App, At(statement): At) -> Answer<Json<Value>> {
    let statement = digest(&statement)?;
    let (snapshot, record) = find(&app, &statement)?;
    let mut answer = record_json(&app, &State::new(&snapshot), &statement, &record)?;
    let submitted = app.chain.store.indexed(index::BODIES, &statement)?;
    let submission = match submitted.and_then(|bytes| decode::<Body>(&bytes).ok()) {
        Some(Body::SubmitRecord { submission: s }) => json!({
            "roots": hex(&s.roots),
            "revealed": hex(&s.revealed),
            "policy": hex(&s.policy),
            "context": hex(&s.context),
            "nullifier": hex(&s.nullifier),
            "seal": hex(&s.seal),
        }),
        _ => Value::Null,
    };
    if let Value::Object(map) = &mut answer {
        map.insert("submission".into(), submission);
    }
    Ok(Json(answer))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    from: Option<u64>,
}

/// The certificate of a record, from a checkpoint of an epoch on; `None` while the newest block has no certificate of its
/// own.
fn certificate(app: &Shared, statement: &Digest, from: u64) -> Answer<Option<Certificate>> {
    let (tip, snapshot) = app.chain.latest()?;
    let Some(finality) = app.chain.finality(tip.height)? else { return Ok(None) };
    let finality = decode(&finality).map_err(|_| Refused::missing("the certificate cannot be read"))?;
    let state = State::new(&snapshot);
    let missing = || Refused::missing("no final block has this record");
    let record = state.get::<Records>(statement)?.ok_or_else(missing)?;
    if !matches!(record.status, Status::Final { .. }) {
        return Err(Refused::missing("there is no verdict yet"));
    }
    if from > tip.epoch {
        return Err(Refused::field("that epoch has not begun"));
    }
    let (checkpoint, committee) = start(app, from)?;
    let mut handovers = Vec::new();
    for epoch in from..tip.epoch {
        let step = app.chain.handover(epoch)?;
        let missing = || Refused::missing(&format!("the hand-over of epoch {epoch} is missing here"));
        handovers.push(step.ok_or_else(missing)?);
    }
    let large = |_| Refused::missing("it is too large for one file; ask for a later epoch");
    let entry = Entry {
        namespace: Records::NAMESPACE,
        key: Bounded::new(encode(statement)).map_err(large)?,
        value: Bounded::new(encode(&record)).map_err(large)?,
        proof: state.prove::<Records>(statement)?,
    };
    let handovers = Bounded::new(handovers).map_err(large)?;
    let committee = Some(committee);
    Ok(Some(Certificate { checkpoint, committee, handovers, header: tip, finality, entry }))
}

/// The checkpoint of an epoch: its first header is the last of the one before, or that of height 0.
fn start(app: &Shared, epoch: u64) -> Answer<(Checkpoint, Committee)> {
    let Some(before) = epoch.checked_sub(1) else {
        return Ok((app.chain.checkpoint.clone(), app.chain.first.clone()));
    };
    let last = epoch.saturating_mul(app.chain.genesis.parameters.epoch_blocks).saturating_sub(1);
    let missing = || Refused::missing("that epoch is not known");
    // A node that began late has no blocks of before, but the hand-overs.
    let header = match app.chain.block(last)? {
        Some(block) => block.header,
        None => app.chain.handover(before)?.ok_or_else(missing)?.header,
    };
    let committee = app.chain_committee(epoch).ok_or_else(missing)?;
    let (network, height, time) = (header.network, header.height, header.time);
    Ok((Checkpoint { network, epoch, height, time, committee: committee.digest() }, committee))
}

/// Looks until the newest block has its certificate: it comes a moment after the block.
async fn certified<T>(look: impl Fn() -> Answer<Option<T>>) -> Answer<T> {
    let began = tokio::time::Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if began.elapsed() > CERTIFIED {
            let what = "the newest block has no certificate yet";
            return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "ZN007", what, "try again"));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn get_certificate(Extract(app): App, At(statement): At, Ask(from): Ask<Since>) -> Answer<Response> {
    let statement = digest(&statement)?;
    let found = certified(|| certificate(&app, &statement, from.from.unwrap_or(0))).await?;
    Ok(bytes(encode(&found)))
}

/// The committee of an epoch, and the hand-overs from it on, as many as fit into one answer.
fn way(app: &Shared, from: u64) -> Answer<Way> {
    let tip = app.chain.tip();
    if from > tip.epoch {
        return Err(Refused::field("that epoch has not begun"));
    }
    let missing =
        || Refused::missing("the committee of that epoch is not kept any more; ask from epoch 0 on");
    let committee = app.chain_committee(from).ok_or_else(missing)?;
    let mut room = FILE_MAX.saturating_sub(encode(&committee).len()).saturating_sub(size_of::<u32>());
    let mut handovers = Bounded::default();
    for epoch in from..tip.epoch {
        let Some(step) = app.chain.handover(epoch)? else {
            // That of the epoch that has just ended comes a moment later; no other may be missing.
            if epoch.saturating_add(1) < tip.epoch {
                return Err(Refused::missing(&format!("the hand-over of epoch {epoch} is missing here")));
            }
            break;
        };
        let Some(left) = room.checked_sub(encode(&step).len()) else { break };
        if handovers.push(step).is_err() {
            break;
        }
        room = left;
    }
    Ok(Way { committee, handovers })
}

async fn get_handovers(Extract(app): App, Ask(from): Ask<Since>) -> Answer<Response> {
    Ok(bytes(encode(&way(&app, from.from.unwrap_or(0))?)))
}

// ---- streams, metrics, pages ----

fn full(what: &str) -> Refused {
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, "ZN010", what, "ask another node, or later")
}

/// The state of the newest final block that has a certificate, for a node that begins late.
async fn snapshot(Extract(app): App) -> Answer<Response> {
    let place = app.snapshots.clone().try_acquire_owned();
    let place = place.map_err(|_| full("others are being given a snapshot"))?;
    let offer = certified(|| Ok(crate::sync::offer(&app.chain)?)).await?;
    let (sender, parts) = tokio::sync::mpsc::channel::<std::io::Result<bytes::Bytes>>(4);
    let (runtime, patience) = (tokio::runtime::Handle::current(), app.patience);
    let give = move || {
        // Whoever reads too slowly is left: the next one may be faster.
        let send = |part| runtime.block_on(async { tokio::time::timeout(patience, sender.send(part)).await });
        let written = offer.write(&mut |part| matches!(send(Ok(part.into())), Ok(Ok(()))));
        if let Err(why) = written {
            tracing::error!(%why, "a snapshot could not be given away");
            drop(send(Err(std::io::ErrorKind::Other.into())));
        }
        drop(place);
    };
    let thread = thread::Builder::new().name("snapshot".into()).spawn(give);
    thread.map_err(|_| full("there is no thread to spare"))?;
    let body = Message::from_stream(tokio_stream::wrappers::ReceiverStream::new(parts));
    let kind = HeaderValue::from_static("application/octet-stream");
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

async fn events(Extract(app): App) -> Answer<impl IntoResponse> {
    let place = app.listeners.clone().try_acquire_owned();
    let place = Arc::new(place.map_err(|_| full("too many wait for events"))?);
    let stream = BroadcastStream::new(app.events.subscribe()).filter_map(move |block| {
        let place = place.clone();
        async move {
            let _place = place;
            // Who falls behind misses blocks, and asks for them.
            let block = block.ok()?;
            let data = json!({
                "height": block.header.height,
                "digest": hex(&block.digest),
                "time": block.header.time,
                "transactions": block.transactions,
                "records": block.records,
            });
            Some(Ok::<_, std::convert::Infallible>(Event::default().event("block").data(data.to_string())))
        }
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

async fn metrics(Extract(app): App) -> Response {
    let (waiting, size) = app.chain.waiting();
    let (queue, judged) = app.judges.load();
    let own = [
        ("height", "gauge", "Height of the newest final block.", app.chain.tip().height),
        ("blocks_total", "counter", "Blocks made final since the start.", app.blocks.load(Ordering::Relaxed)),
        ("records_total", "counter", "Records ordered since the start.", app.records.load(Ordering::Relaxed)),
        ("pool_transactions", "gauge", "Transactions that wait.", u64::try_from(waiting).unwrap_or(0)),
        ("pool_bytes", "gauge", "Bytes that wait.", u64::try_from(size).unwrap_or(0)),
        ("verifier_queue", "gauge", "Proofs that wait for the verifier.", u64::try_from(queue).unwrap_or(0)),
        ("verified_total", "counter", "Proofs judged since the start.", judged),
        ("requests_total", "counter", "Requests answered.", app.requests.load(Ordering::Relaxed)),
    ];
    let mut text = String::new();
    for (name, kind, help, value) in own {
        text.push_str(&format!(
            "# HELP zerotell_{name} {help}\n# TYPE zerotell_{name} {kind}\nzerotell_{name} {value}\n"
        ));
    }
    text.push_str(&app.engine_metrics());
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"))], text).into_response()
}

async fn nowhere() -> Refused {
    Refused::missing("there is nothing at this address")
}

async fn not_allowed() -> Refused {
    Refused::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "ZN008",
        "this address has no such method",
        "see /openapi.json",
    )
}

async fn count(Extract(app): App, request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    app.requests.fetch_add(1, Ordering::Relaxed);
    let is_read = request.method() == axum::http::Method::GET;
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(crate::pages::POLICY));
    if is_read {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    response
}

/// All addresses.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/parameters", get(parameters))
        .route("/v1/checkpoint", get(checkpoint))
        .route("/v1/handovers", get(get_handovers))
        .route("/v1/genesis", get(genesis))
        .route("/v1/snapshot", get(snapshot))
        .route("/v1/blocks", get(blocks))
        .route("/v1/blocks/{height}", get(block))
        .route("/v1/transactions", post(submit))
        .route("/v1/transactions/{id}", get(transaction))
        .route("/v1/proofs/{digest}", put(large::put_proof))
        .route("/v1/programs/{digest}", put(large::put_program).get(large::get_program))
        .route("/v1/records", get(records))
        .route("/v1/records/{statement}", get(one_record))
        .route("/v1/records/{statement}/proof", get(large::proof))
        .route("/v1/records/{statement}/certificate", get(get_certificate))
        .route("/v1/accounts/{account}", get(entries::account))
        .route("/v1/validators", get(entries::validators))
        .route("/v1/slashes", get(entries::slashes))
        .route("/v1/models", get(entries::models))
        .route("/v1/models/{owner}/{model}", get(entries::model))
        .route("/v1/datasets/{owner}/{root}", get(entries::dataset))
        .route("/v1/decisions", get(entries::decisions))
        .route("/v1/events", get(events))
        .route("/metrics", get(metrics))
        .merge(crate::pages::router())
        .fallback(nowhere)
        .method_not_allowed_fallback(not_allowed)
        .layer(axum::middleware::from_fn_with_state(shared.clone(), count))
        .with_state(shared)
}

/// Ends the interface when it is dropped.
pub struct Server(
    #[expect(dead_code, reason = "dropping it ends the loop")] tokio::sync::oneshot::Sender<()>,
);

/// Answers at this address, on a thread of its own.
///
/// # Errors
/// An address that cannot be had.
pub fn serve(address: SocketAddr, shared: Arc<Shared>) -> std::io::Result<Server> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    thread::Builder::new().name("http".into()).spawn(move || {
        runtime.block_on(async move {
            tokio::select! {
                _ = receiver => {}
                ended = accept(listener, shared) => if let Err(why) = ended {
                    tracing::error!(%why, "the HTTP interface ended");
                }
            }
        });
        runtime.shutdown_background();
    })?;
    Ok(Server(sender))
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let shares = Budget::new(CONNECTIONS, CONNECTIONS_EACH);
    let patience = shared.patience;
    let router = router(shared);
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return Ok(()) };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Out of descriptors, or a peer that went away: others may still come.
            Err(why) => {
                tracing::warn!(%why, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let caller = Caller::from(address.ip());
        let mut share = shares.begin(caller);
        // Who has so many already is hung up on; others are answered.
        if share.grow(1).is_err() {
            continue;
        }
        drop(stream.set_nodelay(true));
        let stream = Impatient::new(stream, patience);
        let inner = TowerToHyperService::new(router.clone());
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(caller);
            inner.call(request)
        });
        tokio::spawn(async move {
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(1 << 16);
            // What a client does wrong ends its connection, nothing else.
            drop(builder.serve_connection(TokioIo::new(stream), service).await);
            drop((place, share));
        });
    }
}
