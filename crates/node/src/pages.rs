//! The explorer and the interface's description, embedded in the program.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::http::Shared;

async fn openapi() -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], include_str!("openapi.json")).into_response()
}

/// Their addresses.
pub fn router() -> Router<Arc<Shared>> {
    Router::new().route("/openapi.json", get(openapi))
}
