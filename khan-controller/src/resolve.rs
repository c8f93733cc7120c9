//! The HTTP API: requests in, JSON read from the live index out.

mod answer;
mod identity;
mod original;
mod request;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use khan_api::routes;
use khan_serve::readiness::Readiness;
use tokio::sync::Semaphore;

use crate::auth::{self, Authenticator};
use crate::directory::Directory;
use crate::metrics::Metrics;

/// Requests whose bodies are being read or have been, and answers in the making. An agent's usual body has 50 kB, and an
/// answer holds the addresses asked and one chunk, so these bound memory when every agent asks at once. There are more of
/// the former so that a few peers with a slow connection do not hold up the rest.
const BODIES_AT_ONCE: usize = 1024;
const ANSWERS_AT_ONCE: usize = 128;

/// What handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    directory: Arc<Directory>,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    bodies: Arc<Semaphore>,
    answers: Arc<Semaphore>,
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

/// `POST /v1/resolve`, `GET /v1/identities/{ip}`, `GET /cache`; 503 to all of them until `readiness` says that everything is
/// known.
///
/// With an `authenticator`, only to callers that it lets in.
pub fn routes(
    directory: Arc<Directory>,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    authenticator: Option<Authenticator>,
) -> Router {
    let [bodies, answers] = [BODIES_AT_ONCE, ANSWERS_AT_ONCE].map(|places| Arc::new(Semaphore::new(places)));
    let api = Api { directory, metrics, readiness, bodies, answers };
    let router = Router::new()
        .route(routes::RESOLVE, post(request::resolve))
        .route(routes::IDENTITY, get(identity::identity))
        .route(routes::CACHE, get(original::cache))
        .layer(DefaultBodyLimit::max(request::MOST_BYTES))
        .with_state(api);
    match authenticator {
        Some(authenticator) => router.layer(from_fn_with_state(Arc::new(authenticator), auth::require)),
        None => router,
    }
}

/// A refusal that says why, as `{"error": "..."}`.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    reason: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.reason }).to_string();
        (self.status, [JSON], body).into_response()
    }
}

const JSON: (header::HeaderName, HeaderValue) = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
