//! A certificate, step by step, so that each step is a line: the same steps as [`Certificate::check`], which a test
//! holds this against.

use certify::{
    Certificate, Checkpoint, Client, Clock, Committee, Handover, Header, Refusal, decode, encode,
    verify_present,
};
use dossier::code;
use ledger::entry::{Record, Records, Status, Table};
use record::json::{Json, hex, list, object};

use crate::line::{Lines, State};

/// Age that a pinned checkpoint may have, in milliseconds: 14 days, where stake stays slashable for 21 `[Z7]`.
pub const TRUST: u64 = 14 * DAY;
/// By how much the network's clocks and the reader's may differ, in milliseconds.
pub const DRIFT: u64 = 10 * 60_000;

const DAY: u64 = 24 * 3_600_000;

/// Checks a certificate file from a checkpoint that the reader trusts. Without `now` (milliseconds since 1970) the
/// age is not checked, and a line says so.
#[must_use]
pub fn check_certificate(file: &[u8], trusted: &[u8], now: Option<u64>) -> Json {
    let mut lines = Lines::default();
    let shown = examine(&mut lines, file, trusted, now);
    lines.answer("certificate", shown)
}

/// What a checkpoint says, and the digest to compare it by: BLAKE3 of its bytes.
#[must_use]
pub fn read_checkpoint(bytes: &[u8]) -> Json {
    let mut lines = Lines::default();
    let form = decode::<Checkpoint>(bytes).map_err(Refusal::from);
    let point =
        lines.settle("checkpoint", form, |point| format!("epoch {}, height {}", point.epoch, point.height));
    lines.answer("checkpoint", point.map(|point| checkpoint(&point)))
}

fn examine(lines: &mut Lines, file: &[u8], trusted: &[u8], now: Option<u64>) -> Option<Json> {
    let trusted = lines.settle("checkpoint", decode::<Checkpoint>(trusted), |point| {
        format!("the pinned one is of epoch {}, height {}", point.epoch, point.height)
    })?;
    let whole = decode::<Certificate>(file).map_err(Refusal::from);
    let whole = lines.settle("file", whole, |_| format!("{} bytes, spelled the one way", file.len()))?;
    let start = lines.settle("start", whole.start(&trusted), |_| {
        if whole.checkpoint == trusted {
            return "the certificate rests on the checkpoint that is pinned here".into();
        }
        let from = whole.checkpoint.epoch;
        format!("the certificate rests on epoch {from} and passes through the checkpoint that is pinned here")
    })?;
    let client = walk(lines, start, &trusted, now)?;
    let (header, finality) = (&whole.header, &whole.finality);
    lines.settle("finality", client.accept(header, finality), |()| {
        let (signed, seats) = (finality.signers.count_ones(), finality.seats);
        format!("{signed} of {seats} seats signed block {} of epoch {}", header.height, header.epoch)
    })?;
    let entry = &whole.entry;
    let there = verify_present(&header.state, entry.namespace, &entry.key, &entry.value, &entry.proof);
    lines.settle("entry", there, |()| {
        format!("it leads to the state root of that block in {} steps", entry.proof.siblings.len())
    })?;
    let record = (entry.namespace == Records::NAMESPACE).then(|| read_record(lines, &whole)).flatten();
    Some(told(&whole, &trusted, &client, record))
}

/// From the checkpoint's committee to that of the header, by the hand-overs between them.
fn walk(
    lines: &mut Lines,
    (committee, steps): (Committee, &[Handover]),
    trusted: &Checkpoint,
    now: Option<u64>,
) -> Option<Client> {
    let clock = now.map(|now| Clock { now, trust: TRUST, drift: DRIFT });
    let start = Client::new(trusted, committee, clock);
    let is_age = matches!(start, Err(Refusal::Stale | Refusal::Future));
    let mut client = lines.settle(if is_age { "age" } else { "committee" }, start, |client| {
        format!("{} seats with valid keys, as the checkpoint names them", client.committee().seats.len())
    })?;
    match now.map(|now| now.saturating_sub(trusted.time) / DAY) {
        Some(0) => lines.note("age", State::Passed, "the checkpoint is less than a day old"),
        Some(days) => {
            lines.note(
                "age",
                State::Passed,
                format!("the checkpoint is {days} days old, at most 14 are allowed"),
            );
        }
        None => {
            lines.note(
                "age",
                State::Open,
                "no clock was given: whether the checkpoint is too old is not known",
            );
        }
    }
    let followed = steps.iter().try_for_each(|step| client.follow(step));
    let count = steps.len();
    lines.settle("hand-overs", followed, |()| match count {
        0 => "none is needed: the committee is that of the checkpoint".into(),
        _ => format!("{count} committees handed over to the next, each with its quorum"),
    })?;
    Some(client)
}

/// The ledger's record in a proved entry, and a line about its verdict. An entry that cannot be read is proved all the
/// same: a later ledger may spell it in another way.
fn read_record(lines: &mut Lines, whole: &Certificate) -> Option<Json> {
    let Ok(record) = decode::<Record>(&whole.entry.value) else {
        lines.note("record", State::Open, "the entry is not spelled as the records that are known here");
        return None;
    };
    lines.note("record", State::Passed, "the entry is a record of the ledger");
    match record.status {
        Status::Final { code: 0, height } => lines.note(
            "verdict",
            State::Passed,
            format!("accepted in block {height}, by seats with two thirds of the stake"),
        ),
        Status::Final { code, height } => lines.note(
            "verdict",
            State::Open,
            format!(
                "rejected in block {height}, by seats with two thirds of the stake: {}",
                code::words(code)
            ),
        ),
        Status::Pending => lines.note("verdict", State::Open, "there is none yet"),
        Status::Undecided { height } => lines.note(
            "verdict",
            State::Open,
            format!("there is none, and there will be none: it was given up in block {height}"),
        ),
    }
    if record.recalled != 0 {
        lines.note("recall", State::Open, format!("the submitter took it back, reason {}", record.recalled));
    }
    Some(record_json(&whole.entry.key, &record))
}

/// JSON holds integers below 2^53; money and whatever else may be larger is text.
fn number(n: u64) -> Json {
    i64::try_from(n).ok().filter(|n| *n < 1 << 53).map_or_else(|| n.to_string().into(), Json::Int)
}

fn seats(bits: u128) -> Json {
    list((0..128u32).filter(|seat| bits.checked_shr(*seat).unwrap_or(0) & 1 == 1).map(Json::from))
}

fn record_json(key: &[u8], record: &Record) -> Json {
    let (status, code, height) = match record.status {
        Status::Pending => ("pending", None, None),
        Status::Final { code: 0, height } => ("accepted", Some(0), Some(height)),
        Status::Final { code, height } => ("rejected", Some(code), Some(height)),
        Status::Undecided { height } => ("undecided", None, Some(height)),
    };
    let mut json = object([
        ("statement", hex(key).into()),
        ("program", hex(&record.program).into()),
        ("proof", hex(&record.proof).into()),
        ("submitter", hex(&record.submitter).into()),
        ("verifier", u32::from(record.verifier).into()),
        ("ordered", number(record.ordered)),
        ("fee", record.fee.to_string().into()),
        ("status", status.into()),
        ("recalled", u32::from(record.recalled).into()),
        ("accept", seats(record.accept)),
        ("reject", seats(record.reject)),
    ]);
    if let Json::Map(map) = &mut json {
        if let Some(code) = code {
            map.insert("code".into(), u32::from(code).into());
            map.insert("what".into(), code::words(code).into());
        }
        if let Some(height) = height {
            map.insert("finalHeight".into(), number(height));
        }
    }
    json
}

fn checkpoint(point: &Checkpoint) -> Json {
    let bytes = encode(point);
    object([
        ("network", hex(&point.network).into()),
        ("epoch", number(point.epoch)),
        ("height", number(point.height)),
        ("time", number(point.time)),
        ("committee", hex(&point.committee).into()),
        ("digest", hex(blake3::hash(&bytes).as_bytes()).into()),
        ("bytes", hex(&bytes).into()),
    ])
}

/// What the certificate showed to whoever trusts this checkpoint.
fn told(whole: &Certificate, start: &Checkpoint, client: &Client, record: Option<Json>) -> Json {
    let Certificate { header, finality, entry, .. } = whole;
    let &Header { height, epoch, time, .. } = header;
    let handovers = epoch.saturating_sub(start.epoch);
    let mut json = object([
        ("network", hex(&header.network).into()),
        ("height", number(height)),
        ("epoch", number(epoch)),
        ("time", number(time)),
        ("header", hex(&header.digest()).into()),
        ("state", hex(&header.state).into()),
        ("committee", committee(client.committee(), finality.signers)),
        ("handovers", number(handovers)),
        ("start", checkpoint(start)),
        ("reached", checkpoint(&client.checkpoint())),
        (
            "entry",
            object([
                ("namespace", u32::from(entry.namespace).into()),
                ("key", hex(&entry.key).into()),
                ("valueBytes", u32::try_from(entry.value.len()).unwrap_or(u32::MAX).into()),
            ]),
        ),
    ]);
    if let (Json::Map(map), Some(record)) = (&mut json, record) {
        map.insert("record".into(), record);
    }
    json
}

fn committee(of: &Committee, signers: u128) -> Json {
    let seats = of.seats.iter().zip(0u32..).map(|(seat, place)| {
        object([
            ("account", hex(&seat.account).into()),
            ("stake", seat.stake.to_string().into()),
            ("signed", (signers.checked_shr(place).unwrap_or(0) & 1 == 1).into()),
        ])
    });
    object([("digest", hex(&of.digest()).into()), ("seats", list(seats))])
}
