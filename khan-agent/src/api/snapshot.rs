//! `GET /v1/snapshot`: the latest snapshot as JSON; with `max_age`, perhaps a fresher one.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::{AppendHeaders, IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use khan_api::duration;
use khan_serve::accept;
use serde::Deserialize;

use super::{Api, body};
use crate::latest::{Form, Published};

/// How long a request waits for a scan that it asked for.
const SCAN_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize)]
pub(super) struct Parameters {
    max_age: Option<String>,
}

pub(super) async fn answer(
    State(api): State<Arc<Api>>,
    Query(parameters): Query<Parameters>,
    request: HeaderMap,
) -> Response {
    let max_age = match parameters.max_age.as_deref().map(duration::parse).transpose() {
        Ok(max_age) => max_age,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("max_age: {error}\n")).into_response(),
    };
    let Some(published) = fresh(&api, max_age).await else {
        let why = match api.latest.failure() {
            Some(why) => format!("no snapshot, because scans fail: {why}\n"),
            None => "no snapshot yet\n".to_owned(),
        };
        return (StatusCode::SERVICE_UNAVAILABLE, why).into_response();
    };
    let etag = format!("\"{}\"", published.snapshot.id);
    let general =
        [(ETAG, etag.as_str()), (VARY, "Accept-Encoding"), (CACHE_CONTROL, "no-cache")].map(|(k, v)| (k, v.to_owned()));
    if matches(&request, &etag) {
        return (StatusCode::NOT_MODIFIED, general).into_response();
    }
    let gzip = accept::takes_gzip(&request);
    let form = if gzip { Form::JsonGzip } else { Form::Json };
    published.make(form).await;
    let Some(chunks) = published.chunks(form) else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the snapshot could not be written\n").into_response();
    };
    let len: usize = chunks.iter().map(Bytes::len).sum();
    let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json")), (CONTENT_LENGTH, len.into())];
    let encoding = gzip.then_some([(CONTENT_ENCODING, "gzip")]);
    let body = body::shared(&published, form, Bytes::new(), Bytes::new());
    (general, json, AppendHeaders(encoding.into_iter().flatten()), body).into_response()
}

/// The latest snapshot; when it is older than `max_age` and scanning is within its share, the next one.
async fn fresh(api: &Api, max_age: Option<Duration>) -> Option<Arc<Published>> {
    let latest = api.latest.get();
    let stale = |published: &Published| max_age.is_some_and(|max_age| published.began.elapsed() > max_age);
    if latest.as_ref().is_some_and(|published| !stale(published)) || max_age.is_none() {
        return latest;
    }
    let mut scans = api.latest.watch();
    scans.mark_unchanged();
    if api.scans.request() {
        // Whoever asks meanwhile waits for the same scan.
        let _ = tokio::time::timeout(SCAN_PATIENCE, scans.changed()).await;
    }
    api.latest.get()
}

/// `If-None-Match` (RFC 9110 section 13.1.2).
fn matches(request: &HeaderMap, etag: &str) -> bool {
    let lists = request.get_all(IF_NONE_MATCH).into_iter().filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}
