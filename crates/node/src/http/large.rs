//! Bodies that come and files that go: both count as what their caller has under way, until they have arrived.

use std::time::Duration;

use axum::Extension;
use axum::body::{Body as Message, HttpBody as _};
use axum::extract::State as Extract;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Json, Response};
use futures::StreamExt as _;
use serde_json::{Value, json};

use super::{Answer, App, Asker, At, Refused, Shared, digest, find, full, hex};
use ledger::State;
use ledger::entry::Programs;

use crate::blobs::program_name;
use crate::chain::Stuck;
use crate::hooks::counted;
use crate::strangers::{Caller, Full, Held};

/// Time that a request's body may take.
const BODY: Duration = Duration::from_secs(60);
/// Bytes that room is made for before they have come.
const AT_ONCE: usize = 1 << 20;
/// Bytes of them that are handed to a connection at once.
const SLICE: usize = 1 << 16;

impl From<Full> for Refused {
    fn from(_: Full) -> Self {
        let what = "too many bytes are on their way to or from this address, or in all";
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "ZN011",
            what,
            "wait until they have arrived, then try again",
        )
    }
}

/// A request's body, while it counts as what its sender has under way.
pub(super) async fn body(
    app: &Shared,
    caller: Caller,
    request: Message,
    most: usize,
) -> Answer<(bytes::Bytes, Held)> {
    let large = || {
        let what = format!("the body is cut short, or has more than {most} bytes");
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "ZN005", what, "see /openapi.json")
    };
    if usize::try_from(request.size_hint().lower()).is_ok_and(|length| length > most) {
        return Err(large());
    }
    // What is announced need not come: room for usual dossiers is made at once, for larger ones as they arrive.
    let room = usize::try_from(request.size_hint().lower()).unwrap_or(0).min(AT_ONCE);
    let mut held = app.arriving.begin(caller);
    let read = async {
        let (mut parts, mut found) = (request.into_data_stream(), Vec::with_capacity(room));
        while let Some(part) = parts.next().await {
            let part = part.map_err(|_| large())?;
            if part.len() > most.saturating_sub(found.len()) {
                return Err(large());
            }
            held.grow(part.len())?;
            found.extend_from_slice(&part);
        }
        Ok(found)
    };
    match tokio::time::timeout(BODY, read).await {
        Ok(found) => Ok((found?.into(), held)),
        Err(_) => {
            let what = "the body did not arrive in time";
            Err(Refused::new(StatusCode::REQUEST_TIMEOUT, "ZN006", what, "send it faster"))
        }
    }
}

/// Does what takes long without keeping others waiting.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| full("there is no thread to spare"))
}

/// Bytes that count as what the asker has under way until it has taken them.
fn handed(app: &Shared, caller: Caller, bytes: bytes::Bytes) -> Answer<Response> {
    let mut held = app.leaving.begin(caller);
    held.grow(bytes.len())?;
    let length = HeaderValue::from(bytes.len());
    let slices = futures::stream::unfold((bytes, held), async |(mut rest, held)| {
        let slice = rest.split_to(rest.len().min(SLICE));
        (!slice.is_empty()).then_some((Ok::<_, std::convert::Infallible>(slice), (rest, held)))
    });
    let kind = HeaderValue::from_static("application/octet-stream");
    let heads = [(header::CONTENT_TYPE, kind), (header::CONTENT_LENGTH, length)];
    Ok((heads, Message::from_stream(slices)).into_response())
}

pub(super) async fn put_proof(
    Extract(app): App,
    Extension(caller): Asker,
    At(name): At,
    request: Message,
) -> Answer<(StatusCode, Json<Value>)> {
    let name = digest(&name)?;
    let (found, _held) = body(&app, caller, request, app.chain.dossier_max()?).await?;
    let (hashed, length) = (found.clone(), found.len());
    if aside(move || *blake3::hash(&hashed).as_bytes()).await? != name {
        let what = "the bytes have another BLAKE3 hash than the address says";
        return Err(Refused::new(StatusCode::BAD_REQUEST, "ZN003", what, "compute it again"));
    }
    app.chain.blobs.stage_from(caller, name, found);
    Ok((StatusCode::CREATED, Json(json!({"digest": hex(&name), "bytes": length}))))
}

pub(super) async fn put_program(
    Extract(app): App,
    Extension(caller): Asker,
    At(name): At,
    request: Message,
) -> Answer<(StatusCode, Json<Value>)> {
    let name = digest(&name)?;
    let (found, _held) = body(&app, caller, request, app.chain.dossier_max()?).await?;
    let (read, length) = (found.clone(), found.len());
    // Whether it is valid is looked at by whoever pays for that: here it costs no more than its bytes.
    let Some(facts) = aside(move || counted(&name, &read).map(|(_, facts)| facts)).await? else {
        let what = "the bytes are no program, or one with another digest";
        return Err(Refused::new(
            StatusCode::BAD_REQUEST,
            "ZN003",
            what,
            "send the program with its contents",
        ));
    };
    app.chain.blobs.stage_from(caller, program_name(&name), found);
    let answer = json!({"digest": hex(&name), "bytes": length, "work": facts.work.to_string()});
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(super) async fn get_program(
    Extract(app): App,
    Extension(caller): Asker,
    At(name): At,
) -> Answer<Response> {
    let (name, blobs) = (digest(&name)?, app.chain.blobs.clone());
    let (_, snapshot) = app.chain.latest()?;
    let missing = || Refused::missing("no such program is registered, or this node has not got it");
    if !State::new(&snapshot).has::<Programs>(&name).map_err(Stuck::from)? {
        return Err(missing());
    }
    let found = aside(move || blobs.get(&program_name(&name))).await?;
    handed(&app, caller, found.ok_or_else(missing)?)
}

pub(super) async fn proof(
    Extract(app): App,
    Extension(caller): Asker,
    At(statement): At,
) -> Answer<Response> {
    let (_, record) = find(&app, &digest(&statement)?)?;
    let blobs = app.chain.blobs.clone();
    let found = aside(move || blobs.get(&record.proof)).await?;
    handed(&app, caller, found.ok_or_else(|| Refused::missing("this node has not the proof"))?)
}
