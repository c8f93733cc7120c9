//! The answer to a resolve request, written chunk by chunk while it is being sent, so that 5,000 agents that ask at once
//! after a restart cost chunks, not whole answers.

use std::convert::Infallible;
use std::io::Write;
use std::net::IpAddr;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use khan_api::Cursor;
use tokio::sync::OwnedSemaphorePermit;

use super::request::Asked;
use super::{Api, JSON};

const CHUNK: usize = 64 * 1024;

/// An answer in the making.
pub(super) struct Answer {
    api: Api,
    asked: Asked,
    // `None` tells everything.
    since: Option<Cursor>,
    // Of the addresses asked.
    next: usize,
    identities: usize,
    gone: Vec<IpAddr>,
    stage: Stage,
    begun: Instant,
    _permit: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Identities,
    Done,
}

impl Answer {
    pub(super) fn new(api: Api, asked: Asked, permit: OwnedSemaphorePermit, begun: Instant) -> Self {
        let since = asked.cursor.filter(|cursor| !api.directory.read().is_too_old(*cursor));
        let (next, identities, gone, stage) = (0, 0, Vec::new(), Stage::Head);
        Self { api, asked, since, next, identities, gone, stage, begun, _permit: permit }
    }

    fn chunk(&mut self) -> Bytes {
        let mut chunk = Vec::with_capacity(self.asked.addresses.len().saturating_mul(256).min(CHUNK + 1024));
        self.write(&mut chunk);
        if self.stage == Stage::Done {
            self.api.metrics.resolved(StatusCode::OK, self.begun.elapsed());
        }
        chunk.into()
    }

    /// Appends about a [`CHUNK`], less at the end.
    fn write(&mut self, chunk: &mut Vec<u8>) {
        let index = self.api.directory.read();
        if self.stage == Stage::Head {
            self.stage = Stage::Identities;
            // The cursor is that of the beginning: what changes while later chunks are written is told again next time.
            put(chunk, format_args!(r#"{{"cursor":"{}","identities":{{"#, index.cursor()));
        }
        while let Some(ip) = self.asked.addresses.get(self.next).copied() {
            if chunk.len() >= CHUNK {
                return;
            }
            let asked_before = self.next < self.asked.known;
            self.next += 1;
            if asked_before && self.since.is_some_and(|since| !index.changed_since(ip, since)) {
                continue;
            }
            let identity = index.identity(ip);
            if asked_before && self.asked.cursor.is_some() && !identity.is_some_and(|identity| identity.is_owned()) {
                self.gone.push(ip);
            }
            if let Some(identity) = identity {
                let comma = if self.identities == 0 { "" } else { "," };
                self.identities += 1;
                put(chunk, format_args!(r#"{comma}"{ip}":"#));
                serde_json::to_writer(&mut *chunk, &identity).expect("an identity is JSON");
            }
        }
        chunk.extend_from_slice(br#"},"gone":"#);
        serde_json::to_writer(&mut *chunk, &self.gone).expect("addresses are JSON");
        put(chunk, format_args!(r#","ranges":{}}}"#, index.ranges()));
        self.stage = Stage::Done;
    }
}

fn put(chunk: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    chunk.write_fmt(text).expect("memory takes all that is written");
}

impl IntoResponse for Answer {
    fn into_response(mut self) -> Response {
        let first = self.chunk();
        let body = if self.stage == Stage::Done {
            Body::from(first)
        } else {
            let rest = futures::stream::unfold(self, |mut answer| async move {
                let chunk = (answer.stage != Stage::Done).then(|| answer.chunk())?;
                Some((chunk, answer))
            });
            let all = futures::stream::once(async { first }).chain(rest);
            Body::from_stream(all.map(Ok::<_, Infallible>))
        };
        ([JSON], body).into_response()
    }
}
