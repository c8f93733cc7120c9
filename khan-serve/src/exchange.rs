//! One connection's exchange of a request and its answer: what it is doing, and how long its peer has kept the server
//! waiting, by which the bounds of the process choose who has to yield.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::request::Parts;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::peer::Peer;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Between requests.
    Idle = 0,
    /// A request head has begun to arrive.
    Head = 1,
    /// From the end of the request head to the end of the response body.
    Serving = 2,
}

/// A request head may be this late before it counts as waiting: between connecting and sending, a client on a busy machine
/// waits for a core.
const HEAD_GRACE: Duration = Duration::from_secs(1);

static BASE: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Microseconds since the first call, and never 0.
fn now() -> u64 {
    u64::try_from(BASE.elapsed().as_micros()).unwrap_or(u64::MAX >> 2) + 1
}

/// Shared by a connection's socket, its requests, the accept loop, and the gates that it has passed.
#[derive(Debug)]
pub(crate) struct State {
    peer: Peer,
    // When the phase began, shifted left by two, and the phase.
    phase: AtomicU64,
    // Since when the server has waited for the request head; 0 before it looked for one.
    head: AtomicU64,
    read: Wait,
    write: Wait,
    close: Notify,
}

/// How long one direction has waited for the peer since the exchange began.
#[derive(Debug, Default)]
struct Wait {
    before: AtomicU64,
    // 0 while it does not wait.
    since: AtomicU64,
}

impl Wait {
    fn begin(&self) {
        let _ = self.since.compare_exchange(0, now(), Ordering::Relaxed, Ordering::Relaxed);
    }

    fn end(&self) {
        let since = self.since.swap(0, Ordering::Relaxed);
        if since != 0 {
            self.before.fetch_add(now().saturating_sub(since), Ordering::Relaxed);
        }
    }

    fn clear(&self) {
        self.since.store(0, Ordering::Relaxed);
        self.before.store(0, Ordering::Relaxed);
    }

    fn total(&self) -> u64 {
        let since = self.since.load(Ordering::Relaxed);
        let running = if since == 0 { 0 } else { now().saturating_sub(since) };
        self.before.load(Ordering::Relaxed) + running
    }
}

impl State {
    pub(crate) fn new(ip: IpAddr) -> Arc<Self> {
        Arc::new(Self::of(ip.into()))
    }

    fn of(peer: Peer) -> Self {
        let state = Self {
            peer,
            phase: AtomicU64::new(0),
            head: AtomicU64::new(0),
            read: Wait::default(),
            write: Wait::default(),
            close: Notify::new(),
        };
        state.enter(Phase::Idle);
        state
    }

    pub(crate) const fn peer(&self) -> Peer {
        self.peer
    }

    pub(crate) fn enter(&self, phase: Phase) {
        let now = now();
        match phase {
            Phase::Idle => self.head.store(0, Ordering::Relaxed),
            Phase::Head => {}
            Phase::Serving => {
                self.read.clear();
                self.write.clear();
            }
        }
        self.phase.store(now << 2 | phase as u64, Ordering::Relaxed);
    }

    /// The phase and when it began.
    pub(crate) fn phase(&self) -> (Phase, Instant) {
        let packed = self.phase.load(Ordering::Relaxed);
        let phase = match packed & 3 {
            0 => Phase::Idle,
            1 => Phase::Head,
            _ => Phase::Serving,
        };
        (phase, *BASE + Duration::from_micros(packed >> 2))
    }

    /// How long the server has waited for the peer: for the request head since a second after it first looked for one, or for
    /// the request body and for the answer to be read since the request began. What the server takes for itself does not count: a
    /// connection that was just accepted may hold a request that nobody has looked at.
    pub(crate) fn kept_waiting(&self) -> Duration {
        match self.phase().0 {
            Phase::Idle | Phase::Head => match self.head.load(Ordering::Relaxed) {
                0 => Duration::ZERO,
                since => Duration::from_micros(now().saturating_sub(since)).saturating_sub(HEAD_GRACE),
            },
            Phase::Serving => Duration::from_micros(self.read.total() + self.write.total()),
        }
    }

    /// The server looked for a request head, or the rest of it, and there was none.
    pub(crate) fn awaits_head(&self) {
        let _ = self.head.compare_exchange(0, now(), Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn awaits_reading(&self) {
        self.write.begin();
    }

    pub(crate) fn was_read(&self) {
        self.write.end();
    }

    pub(crate) fn awaits_body(&self) {
        self.read.begin();
    }

    /// Some of the body has come, or may have: only the next look at it tells.
    pub(crate) fn body_came(&self) {
        self.read.end();
    }

    /// Asks the connection's task to end it.
    pub(crate) fn close(&self) {
        self.close.notify_one();
    }

    pub(crate) async fn closed(&self) {
        self.close.notified().await;
    }
}

/// The request that a handler answers, as the bounds of the process see it. An axum extractor.
#[derive(Clone, Debug)]
pub struct Exchange(pub(crate) Arc<State>);

impl Exchange {
    pub(crate) fn peer(&self) -> Peer {
        self.0.peer()
    }

    pub(crate) fn kept_waiting(&self) -> Duration {
        self.0.kept_waiting()
    }

    /// Ends the connection.
    pub(crate) fn cut(&self) {
        self.0.close();
    }
}

impl Default for Exchange {
    /// Of nobody, for requests that come through no socket.
    fn default() -> Self {
        Self(Arc::new(State::of(Peer::NOBODY)))
    }
}

impl<S: Sync> FromRequestParts<S> for Exchange {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_the_peer_s_time_counts() {
        let exchange = Exchange::default();
        let second = Duration::from_secs(1);
        tokio::time::advance(second).await;
        assert_eq!(exchange.kept_waiting(), Duration::ZERO, "nobody has looked for a request");
        exchange.0.awaits_head();
        tokio::time::advance(second).await;
        assert_eq!(exchange.kept_waiting(), Duration::ZERO, "it may be on its way");
        exchange.0.enter(Phase::Head);
        exchange.0.awaits_head();
        tokio::time::advance(second).await;
        assert_eq!(exchange.kept_waiting() + HEAD_GRACE, 2 * second, "a head that trickles is no progress");
        exchange.0.enter(Phase::Serving);
        tokio::time::advance(second).await;
        assert_eq!(exchange.kept_waiting(), Duration::ZERO, "the server works");
        exchange.0.awaits_body();
        tokio::time::advance(second).await;
        exchange.0.body_came();
        tokio::time::advance(second).await;
        exchange.0.awaits_reading();
        tokio::time::advance(second).await;
        assert_eq!(exchange.kept_waiting(), 2 * second);
        exchange.0.was_read();
        exchange.0.enter(Phase::Idle);
        assert_eq!(exchange.kept_waiting(), Duration::ZERO);
    }
}
