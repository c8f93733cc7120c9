//! What was turned away to keep the process within its bounds: counted for the metrics page, and said to who asked.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// Connections that are open now.
static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);
/// By what was short and how somebody had to yield. Of the process, as the bounds are.
static TURNED_AWAY: Mutex<BTreeMap<(&str, How), u64>> = Mutex::new(BTreeMap::new());

/// How somebody had to yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    /// An open connection was closed in favour of another.
    Cut,
    /// A request was answered with 503.
    Refused,
}

pub(crate) fn count(gate: &'static str, how: How) {
    *TURNED_AWAY.lock().unwrap_or_else(PoisonError::into_inner).entry((gate, how)).or_default() += 1;
}

pub(crate) fn opened() {
    CONNECTIONS.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn closed() {
    CONNECTIONS.fetch_sub(1, Ordering::Relaxed);
}

/// Appends `khan_http_connections` and `khan_http_shed_total` in Prometheus' text format.
pub fn write(page: &mut Vec<u8>) {
    let mut text = String::from(
        "# HELP khan_http_connections Open connections to this process.\n# TYPE khan_http_connections gauge\n",
    );
    let _ = writeln!(text, "khan_http_connections {}", CONNECTIONS.load(Ordering::Relaxed));
    text.push_str(
        "# HELP khan_http_shed_total Connections cut and requests refused to stay within a bound of the process, by bound.\n\
         # TYPE khan_http_shed_total counter\n",
    );
    for ((gate, how), count) in &*TURNED_AWAY.lock().unwrap_or_else(PoisonError::into_inner) {
        let how = if *how == How::Cut { "cut" } else { "refused" };
        let _ = writeln!(text, "khan_http_shed_total{{bound=\"{gate}\",how=\"{how}\"}} {count}");
    }
    page.extend_from_slice(text.as_bytes());
}

/// A request that found no room: 503 with `Retry-After`, and the end of the connection, so that what was pipelined behind
/// it costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too busy: no room for {0}; try again")]
pub struct Shed(&'static str);

impl Shed {
    /// Counts a refusal for want of `gate`.
    pub(crate) fn refused(gate: &'static str) -> Self {
        count(gate, How::Refused);
        Self(gate)
    }
}

impl IntoResponse for Shed {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::RETRY_AFTER, HeaderValue::from_static("1")),
            (header::CONNECTION, HeaderValue::from_static("close")),
        ];
        (StatusCode::SERVICE_UNAVAILABLE, headers, format!("{{\"error\":\"{self}\"}}\n")).into_response()
    }
}
