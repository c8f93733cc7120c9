//! `GET /metrics`: the latest snapshot's page and the agent's own metrics, in chunks.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue};
use khan_serve::accept;
use khan_serve::exposition::Exposition;

use super::{Api, body};
use crate::latest::{Form, Published};
use crate::metrics_page::gzip::Deflated;

pub(super) async fn answer(State(api): State<Arc<Api>>, request: HeaderMap) -> Response {
    let (published, exposition) = (api.latest.get(), accept::exposition(&request));
    let mut own = Vec::new();
    exposition.append(&mut own, &api.metrics.page(published.as_deref()));
    exposition.end(&mut own);
    let plain = [(CONTENT_TYPE, exposition.content_type()), (VARY, "Accept, Accept-Encoding")];
    if accept::takes_gzip(&request) {
        let (body, len) = compressed(published.as_ref(), exposition, &own).await;
        let more = [(CONTENT_ENCODING, HeaderValue::from_static("gzip")), (CONTENT_LENGTH, len.into())];
        return (plain, more, body).into_response();
    }
    let body = match &published {
        Some(published) => body::page(published, exposition, own.into()),
        None => own.into(),
    };
    (plain, body).into_response()
}

/// The page's compressed form, which is the snapshot's and shared, and the agent's own metrics behind it; its length.
async fn compressed(published: Option<&Arc<Published>>, exposition: Exposition, own: &[u8]) -> (Body, usize) {
    let header = Bytes::from_static(Deflated::header());
    let Some(published) = published else {
        let body = [&header[..], &Deflated::default().finish(own)].concat();
        let len = body.len();
        return (body.into(), len);
    };
    let form = Form::PageGzip(exposition);
    published.make(form).await;
    let kept = published.page.deflated(exposition);
    let last = Bytes::from(kept.finish(own));
    let len = header.len() + kept.len() + last.len();
    (body::shared(published, form, header, last), len)
}
