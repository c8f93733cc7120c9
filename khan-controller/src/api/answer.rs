//! The answer to a resolve request, written chunk by chunk while it is being sent, so that 5,000 agents that ask at once
//! after a restart cost chunks, not whole answers.

use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use khan_api::Cursor;
use khan_serve::gate::Pass;

use super::parse::Asked;
use super::{Api, JSON};

const CHUNK: usize = 32 * 1024;
/// Addresses that are looked up before others have their turn, whether there is anything to say of them or not.
const LOOKUPS: usize = 4096;
/// What a request holds however little it asks for.
pub(super) const LEAST: usize = size(16 * 1024);

/// What a request holds with its answer, in bytes: its addresses, and a chunk of which one may be under way while the next
/// is made.
pub(super) const fn size(addresses: usize) -> usize {
    let least = 16 * 1024;
    2 * CHUNK + if addresses > least { addresses } else { least }
}

/// An answer in the making.
pub(super) struct Answer {
    api: Api,
    asked: Asked,
    // `None` tells everything.
    since: Option<Cursor>,
    // Whether to tell what was dialled.
    dialled: bool,
    // Of the addresses asked, known ones first.
    next: usize,
    identities: usize,
    node_ports: usize,
    stage: Stage,
    begun: Instant,
    _pass: Pass,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Identities,
    Gone,
    NodePorts,
    Done,
}

impl Answer {
    pub(super) fn new(api: Api, asked: Asked, dialled: bool, pass: Pass, begun: Instant) -> Self {
        let since = asked.cursor.filter(|cursor| !api.index.read().is_too_old(*cursor));
        Self {
            api,
            asked,
            since,
            dialled,
            next: 0,
            identities: 0,
            node_ports: 0,
            stage: Stage::Head,
            begun,
            _pass: pass,
        }
    }

    /// Some of it, or nothing when there was nothing to say of the addresses that were looked up.
    fn chunk(&mut self) -> Bytes {
        let mut chunk = Vec::with_capacity((self.asked.len() - self.next).saturating_mul(256).min(CHUNK) + 1024);
        self.write(&mut chunk);
        if self.stage == Stage::Done {
            self.api.metrics.resolved(StatusCode::OK, self.begun.elapsed());
        }
        chunk.into()
    }

    /// Appends about a [`CHUNK`], less at the end.
    fn write(&mut self, chunk: &mut Vec<u8>) {
        let api = self.api.clone();
        let index = api.index.read();
        if self.stage == Stage::Head {
            self.stage = Stage::Identities;
            // The cursor is that of the beginning: what changes while later chunks are written is sent again next time.
            put(chunk, format_args!(r#"{{"cursor":"{}","identities":{{"#, index.cursor()));
        }
        let until = self.next + LOOKUPS;
        while self.stage == Stage::Identities {
            let n = self.next;
            let asked_before = n < self.asked.known.len();
            let ip =
                if asked_before { self.asked.known.get(n) } else { self.asked.new.get(n - self.asked.known.len()) };
            let Some(ip) = ip else {
                self.stage = Stage::Gone;
                self.next = 0;
                chunk.extend_from_slice(br#"},"gone":["#);
                break;
            };
            if chunk.len() >= CHUNK || n == until {
                return;
            }
            self.next += 1;
            if asked_before && self.since.is_some_and(|since| !index.changed_since(ip, since)) {
                continue;
            }
            let identity = index.identity(ip);
            if asked_before
                && self.asked.cursor.is_some()
                && !identity.as_ref().is_some_and(|identity| identity.owner.kind.is_object())
            {
                self.asked.known.keep(n);
            }
            if let Some(mut identity) = identity {
                if self.dialled {
                    identity.dialled = index.dialled(ip);
                }
                let comma = if self.identities == 0 { "" } else { "," };
                self.identities += 1;
                put(chunk, format_args!(r#"{comma}"{ip}":"#));
                serde_json::to_writer(&mut *chunk, &identity).expect("an identity is JSON");
            }
        }
        if self.stage == Stage::Gone {
            for ip in self.asked.known.kept().skip(self.next) {
                if chunk.len() >= CHUNK {
                    return;
                }
                let comma = if self.next == 0 { "" } else { "," };
                self.next += 1;
                put(chunk, format_args!(r#"{comma}"{ip}""#));
            }
            put(chunk, format_args!(r#"],"ranges":{}"#, index.ranges()));
            if let Some(since) = index.endpoints_known() {
                put(chunk, format_args!(r#","endpoints":"{since}""#));
            }
            self.stage = Stage::NodePorts;
            self.next = 0;
        }
        while let Some(port) = self.asked.node_ports.get(self.next) {
            if chunk.len() >= CHUNK {
                return;
            }
            self.next += 1;
            if let Some(port) = index.service_port(*port) {
                put(chunk, format_args!("{}", if self.node_ports == 0 { r#","node_ports":["# } else { "," }));
                self.node_ports += 1;
                serde_json::to_writer(&mut *chunk, &port).expect("a port is JSON");
            }
        }
        put(chunk, format_args!("{}", if self.node_ports == 0 { "}" } else { "]}" }));
        self.stage = Stage::Done;
    }
}

fn put(chunk: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    chunk.write_fmt(text).expect("memory takes all that is written");
}

/// Each frame is one chunk; between two of them others have their turn.
struct Chunks {
    first: Option<Bytes>,
    answer: Answer,
}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let chunk = match this.first.take() {
            Some(first) => first,
            None if this.answer.stage == Stage::Done => return Poll::Ready(None),
            None => this.answer.chunk(),
        };
        if chunk.is_empty() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}

impl IntoResponse for Answer {
    fn into_response(mut self) -> Response {
        let first = self.chunk();
        // Nearly all agents get one chunk, which then has a length.
        let body = if self.stage == Stage::Done {
            Body::from(first)
        } else {
            Body::new(Chunks { first: Some(first), answer: self })
        };
        ([JSON], body).into_response()
    }
}
