//! `GET /metrics`: the latest snapshot's page and the agent's own metrics, in chunks.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue};

use super::{Api, body, takes_gzip};
use crate::latest::{Form, Published};
use crate::metrics_page::gzip::Deflated;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn answer(State(api): State<Arc<Api>>, request: HeaderMap) -> Response {
    let published = api.latest.get();
    let mut own = Vec::with_capacity(8 * 1024);
    api.metrics.write(published.as_deref(), &mut own);
    let plain = [(CONTENT_TYPE, TEXT), (VARY, "Accept-Encoding")];
    if takes_gzip(&request) {
        let (body, len) = compressed(published.as_ref(), &own).await;
        let more = [(CONTENT_ENCODING, HeaderValue::from_static("gzip")), (CONTENT_LENGTH, len.into())];
        return (plain, more, body).into_response();
    }
    let body = match &published {
        Some(published) => body::page(published, own.into()),
        None => own.into(),
    };
    (plain, body).into_response()
}

/// The page's compressed form, which is the snapshot's and shared, and the agent's own metrics behind it; its length.
async fn compressed(published: Option<&Arc<Published>>, own: &[u8]) -> (Body, usize) {
    let header = Bytes::from_static(Deflated::header());
    let Some(published) = published else {
        let body = [&header[..], &Deflated::default().finish(own)].concat();
        let len = body.len();
        return (body.into(), len);
    };
    published.make(Form::PageGzip).await;
    let kept = published.page.deflated();
    let last = Bytes::from(kept.finish(own));
    let len = header.len() + kept.len() + last.len();
    (body::shared(published, Form::PageGzip, header, last), len)
}
