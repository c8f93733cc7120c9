//! `POST /v1/resolve`: the request, and what is wrong with it.

use std::net::IpAddr;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use khan_api::resolve::MAX_ADDRESSES;
use khan_api::{Cursor, ResolveRequest};

use super::answer::Answer;
use super::{Api, Refusal};

/// The longest address is 39 characters, with quotes and comma 42; and some room for spaces.
pub(super) const MOST_BYTES: usize = MAX_ADDRESSES * 64;

/// A request with its limits checked.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) cursor: Option<Cursor>,
    /// The known ones first, then the new ones.
    pub(super) addresses: Vec<IpAddr>,
    /// How many of them are known.
    pub(super) known: usize,
}

pub(super) async fn resolve(State(api): State<Api>, request: Request) -> Response {
    let begun = Instant::now();
    let _place = api.bodies.clone().acquire_owned().await.expect("the semaphore is never closed");
    let body = Bytes::from_request(request, &()).await;
    let permit = api.answers.clone().acquire_owned().await.expect("the semaphore is never closed");
    let metrics = api.metrics.clone();
    // Read even when it is refused, so that the connection can go on.
    let asked = body.map_err(|rejection| refuse_body(&rejection)).and_then(|body| read(&body));
    match api.check_ready().and(asked) {
        Ok(asked) => {
            metrics.resolved_addresses(asked.addresses.len());
            Answer::new(api, asked, permit, begun).into_response()
        }
        Err(refusal) => {
            metrics.resolved(refusal.status(), begun.elapsed());
            refusal.into_response()
        }
    }
}

fn refuse_body(rejection: &BytesRejection) -> Refusal {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_many(),
        status => Refusal::new(status, rejection.body_text()),
    }
}

fn too_many() -> Refusal {
    let reason = format!("more than {MAX_ADDRESSES} addresses; ask in several requests with the same cursor");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, reason)
}

fn read(body: &[u8]) -> Result<Asked, Refusal> {
    let request: ResolveRequest = serde_json::from_slice(body)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("not a resolve request: {error}")))?;
    let ResolveRequest { cursor, mut ips, new } = request;
    let known = ips.len();
    ips.extend(new);
    if ips.len() > MAX_ADDRESSES {
        return Err(too_many());
    }
    Ok(Asked { cursor, addresses: ips, known })
}
