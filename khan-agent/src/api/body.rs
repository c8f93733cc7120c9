//! Bodies that many readers share: a reader holds the place where it is, not what it reads.

use std::sync::{Arc, Weak};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use khan_serve::exposition::Exposition;

use crate::latest::{Form, Published};
use crate::metrics_page::page::{CHUNK, Writer};

/// The reader was so slow that there was no more room for what it read.
#[derive(Debug, thiserror::Error)]
#[error("newer snapshots took the place of the one that was being read")]
pub(super) struct Superseded;

/// The chunks of a form between two parts of this answer's own.
pub(super) fn shared(published: &Arc<Published>, form: Form, first: Bytes, last: Bytes) -> Body {
    let (published, mut next) = (Arc::downgrade(published), 0);
    let chunks = std::iter::from_fn(move || match chunk(&published, form, next) {
        Ok(None) => None,
        Ok(Some(bytes)) => {
            next += 1;
            Some(Ok(bytes))
        }
        Err(error) => Some(Err(error)),
    });
    let own = |bytes: Bytes| (!bytes.is_empty()).then_some(Ok(bytes));
    Body::from_stream(stream::iter(own(first).into_iter().chain(chunks).chain(own(last))))
}

fn chunk(published: &Weak<Published>, form: Form, number: usize) -> Result<Option<Bytes>, Superseded> {
    let published = published.upgrade().ok_or(Superseded)?;
    let chunks = published.chunks(form).ok_or(Superseded)?;
    Ok(chunks.get(number).cloned())
}

/// The page as plain text, put together chunk by chunk as it is read, and a part of this answer's own.
pub(super) fn page(published: &Arc<Published>, exposition: Exposition, last: Bytes) -> Body {
    let (published, mut writer) = (Arc::downgrade(published), published.page.writer(exposition));
    let chunks = std::iter::from_fn(move || filled(&published, &mut writer).transpose());
    Body::from_stream(stream::iter(chunks.chain(std::iter::once(Ok(last)))))
}

fn filled(published: &Weak<Published>, writer: &mut Writer) -> Result<Option<Bytes>, Superseded> {
    let published = published.upgrade().ok_or(Superseded)?;
    let mut chunk = Vec::with_capacity(CHUNK);
    Ok(writer.fill(&published.page, &mut chunk).then(|| chunk.into()))
}
