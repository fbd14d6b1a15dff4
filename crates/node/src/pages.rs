//! The explorer and the interface's description, embedded in the program.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::http::Shared;

/// What a page of this node may do: nothing but ask this node.
pub const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! assets {
    ($($name:literal: $kind:expr),* $(,)?) => {
        [$((
            concat!("/assets/", $name),
            $kind,
            include_bytes!(concat!("../explorer/assets/", $name)).as_slice(),
        )),*]
    };
}

const ASSETS: [(&str, &str, &[u8]); 17] = assets! {
    "accounts.js": SCRIPT,
    "api.js": SCRIPT,
    "app.js": SCRIPT,
    "blocks.js": SCRIPT,
    "call.js": SCRIPT,
    "check.js": SCRIPT,
    "dom.js": SCRIPT,
    "favicon.svg": "image/svg+xml",
    "format.js": SCRIPT,
    "lists.js": SCRIPT,
    "overview.js": SCRIPT,
    "pin.js": SCRIPT,
    "records.js": SCRIPT,
    "style.css": "text/css; charset=utf-8",
    "trust.js": SCRIPT,
    "worker.js": SCRIPT,
    "zerotell.wasm": "application/wasm",
};

fn page(kind: &'static str, bytes: &'static [u8]) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], bytes).into_response()
}

/// Their addresses.
pub fn router() -> Router<Arc<Shared>> {
    let index = include_bytes!("../explorer/index.html");
    let described = include_bytes!("openapi.json");
    let fixed = Router::new()
        .route("/", get(async || page(HTML, index)))
        .route("/openapi.json", get(async || page("application/json", described)));
    let add = |router: Router<Arc<Shared>>,
               (path, kind, bytes): (&'static str, &'static str, &'static [u8])| {
        router.route(path, get(async move || page(kind, bytes)))
    };
    ASSETS.into_iter().fold(fixed, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is added to the explorer must be served.
    #[test]
    fn every_file_of_the_explorer_is_served() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/explorer/assets");
        let mut found: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| format!("/assets/{}", entry.unwrap().file_name().to_str().unwrap()))
            .collect();
        found.sort();
        let served: Vec<&str> = ASSETS.iter().map(|(path, ..)| *path).collect();
        assert_eq!(found, served);
    }
}
