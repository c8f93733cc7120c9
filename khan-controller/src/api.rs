//! The HTTP API: requests in, JSON read from the live index out.

mod addresses;
mod parse;

mod answer;
mod identity;
mod service;
mod legacy_cache;
mod request;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};
use khan_api::routes;
use khan_serve::gate::{Bounds, Gate};
use khan_serve::readiness::Readiness;
use khan_serve::shed::Shed;

pub use parse::{ParseError, read_request};

use crate::metrics::Metrics;
use crate::shared_index::SharedIndex;

/// What all requests and answers in the making hold together, in bytes. An agent's usual request takes [`answer::LEAST`], so
/// some 200 are served at the same time; a peer that does not send or read keeps its share until others want it.
const MOST_HELD: usize = 16 << 20;

/// How long a request waits for its share: as long as an agent waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a peer may keep the server waiting while others wait for its share.
const GRACE: Duration = Duration::from_millis(500);

/// What handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    index: Arc<SharedIndex>,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    gate: Gate,
}

impl Api {
    /// Refuses while the first lists are being read. What is not known then may well exist, and an agent that took it for
    /// gone would lose names that it has.
    fn check_ready(&self) -> Result<(), Refusal> {
        let pending = self.readiness.pending();
        if pending.is_empty() {
            return Ok(());
        }
        let reason = format!("not ready: waiting for {}", pending.join("; "));
        Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason))
    }
}

/// `POST /v1/resolve`, `GET /v1/identities/{ip}`, `GET /v1/services/{ns}/{name}`, `GET /cache`; 503 to all of them until `readiness` says that everything is
/// known.
pub(crate) fn routes(index: Arc<SharedIndex>, metrics: Arc<Metrics>, readiness: Readiness) -> Router {
    let gate = Gate::new(Bounds {
        name: "requests",
        capacity: MOST_HELD,
        entry: answer::LEAST,
        waiting: 10_000,
        patience: PATIENCE,
        grace: Some(GRACE),
    });
    let api = Api { index, metrics, readiness, gate };
    Router::new()
        .route(routes::RESOLVE, post(request::resolve))
        .route(routes::IDENTITY, get(identity::identity))
        .route(routes::SERVICE, get(service::service))
        .route(routes::CACHE, get(legacy_cache::cache))
        .with_state(api)
}

/// A refusal that says why, as `{"error": "..."}`.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    reason: String,
    // Ask again soon, over another connection: what was pipelined behind this costs nothing.
    busy: bool,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), busy: false }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<Shed> for Refusal {
    fn from(shed: Shed) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, reason: shed.to_string(), busy: true }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.reason }).to_string();
        let busy = self.busy.then_some([
            (header::RETRY_AFTER, HeaderValue::from_static("1")),
            (header::CONNECTION, HeaderValue::from_static("close")),
        ]);
        (self.status, [JSON], AppendHeaders(busy.into_iter().flatten()), body).into_response()
    }
}

const JSON: (header::HeaderName, HeaderValue) = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
