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
use tokio::sync::Semaphore;

use crate::auth::{self, Authenticator};
use crate::directory::Directory;
use crate::metrics::Metrics;

/// Answers in the making at one time. Each holds the addresses asked and one chunk, so this bounds memory when every agent
/// asks at once.
const ANSWERS_AT_ONCE: usize = 128;

/// What handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    directory: Arc<Directory>,
    metrics: Arc<Metrics>,
    answers: Arc<Semaphore>,
}

/// `POST /v1/resolve`, `GET /v1/identities/{ip}`, `GET /cache`.
///
/// With an `authenticator`, only to callers that it lets in.
pub fn routes(directory: Arc<Directory>, metrics: Arc<Metrics>, authenticator: Option<Authenticator>) -> Router {
    let api = Api { directory, metrics, answers: Arc::new(Semaphore::new(ANSWERS_AT_ONCE)) };
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
