//! `GET /metrics`: the latest snapshot's page and the agent's own metrics, in chunks.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, Stream};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue};

use super::{Api, takes_gzip};
use crate::exposition::gzip::Deflated;
use crate::publish::Published;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const CHUNK: usize = 64 * 1024;

pub(super) async fn answer(State(api): State<Arc<Api>>, request: HeaderMap) -> Response {
    let published = api.board.latest();
    let mut own = Vec::with_capacity(8 * 1024);
    api.metrics.write(published.as_deref(), &mut own);
    let plain = [(CONTENT_TYPE, TEXT), (VARY, "Accept-Encoding")];
    if takes_gzip(&request) {
        let parts = compressed(published, own).await;
        let len: usize = parts.iter().map(Bytes::len).sum();
        let more = [(CONTENT_ENCODING, HeaderValue::from_static("gzip")), (CONTENT_LENGTH, len.into())];
        let body = Body::from_stream(stream::iter(parts.into_iter().map(Ok::<_, Infallible>)));
        return (plain, more, body).into_response();
    }
    (plain, Body::from_stream(text(published, own))).into_response()
}

/// The page as it is, about 64 KiB at a time; a client that does not read holds up nothing but its own answer.
fn text(published: Option<Arc<Published>>, own: Vec<u8>) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let page = published.map(|published| (published.page.writer(), published));
    stream::iter(std::iter::from_fn({
        let (mut page, mut own) = (page, Some(own));
        move || {
            if let Some((writer, published)) = &mut page {
                let mut chunk = Vec::with_capacity(CHUNK);
                if writer.fill(&published.page, &mut chunk) {
                    return Some(Ok(Bytes::from(chunk)));
                }
                page = None;
            }
            own.take().map(|own| Ok(Bytes::from(own)))
        }
    }))
}

/// The page's compressed form, made once per snapshot off the serving thread, and the agent's own metrics behind it. The
/// chunks are shared with the snapshot, not copied.
async fn compressed(published: Option<Arc<Published>>, own: Vec<u8>) -> Vec<Bytes> {
    let mut parts = vec![Bytes::from_static(Deflated::header())];
    let Some(published) = published else {
        parts.push(Deflated::default().finish(&own).into());
        return parts;
    };
    let page = Arc::clone(&published);
    // A panic there leaves the page uncompressed, which the call below makes up for.
    let _ = tokio::task::spawn_blocking(move || page.page.deflated().len()).await;
    let kept = published.page.deflated();
    parts.extend_from_slice(kept.chunks());
    parts.push(kept.finish(&own).into());
    parts
}
