//! One accepted connection: the deadlines that keep a silent or trickling peer from holding it, and the account of how long
//! it keeps the server waiting.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::exchange::{Phase, State};
use crate::limits::Limits;
use crate::turns::Place;

/// A deadline that is set by the first pending poll and lifted by progress.
#[derive(Debug, Default)]
struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Deadline {
    fn lift(&mut self) {
        self.armed = false;
    }

    /// Ready once the deadline that the first of these calls set has passed.
    fn poll(&mut self, cx: &mut Context<'_>, at: impl FnOnce() -> Instant) -> Poll<io::Error> {
        if !self.armed {
            self.armed = true;
            let at = at();
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(at),
                None => self.sleep = Some(Box::pin(sleep_until(at))),
            }
        }
        let sleep = self.sleep.as_mut().expect("armed above");
        sleep.as_mut().poll(cx).map(|()| io::ErrorKind::TimedOut.into())
    }
}

/// A socket that fails with `TimedOut` when its peer is too slow for the phase.
#[derive(Debug)]
pub(crate) struct Socket<S> {
    stream: S,
    state: Arc<State>,
    limits: Limits,
    read: Deadline,
    write: Deadline,
}

impl<S> Socket<S> {
    pub(crate) fn new(stream: S, state: Arc<State>, limits: Limits) -> Self {
        Self { stream, state, limits, read: Deadline::default(), write: Deadline::default() }
    }

    fn written<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.write.lift();
            self.state.was_read();
            return result;
        }
        self.state.awaits_reading();
        let (phase, since) = self.state.phase();
        let whole = if phase == Phase::Serving { self.limits.exchange } else { self.limits.idle };
        let stall = self.limits.stall;
        self.write.poll(cx, || (Instant::now() + stall).min(since + whole)).map(Err)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let (phase, since) = this.state.phase();
        if result.is_ready() {
            this.read.lift();
            if phase == Phase::Idle && buffer.filled().len() > before {
                this.state.enter(Phase::Head);
            }
            return result;
        }
        let at = match phase {
            Phase::Idle => since + this.limits.idle,
            Phase::Head => since + this.limits.head,
            // A request body has its own deadline, and a handler may take its time.
            Phase::Serving => {
                this.read.lift();
                return Poll::Pending;
            }
        };
        this.state.awaits_head();
        this.read.poll(cx, || at).map(Err)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.written(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_flush(cx);
        this.written(cx, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.written(cx, result)
    }
}

/// A request body that fails with `TimedOut` when it stalls.
#[derive(Debug)]
pub(crate) struct RequestBody {
    body: Incoming,
    state: Arc<State>,
    limits: Limits,
    read: Deadline,
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, state: Arc<State>, limits: Limits) -> Self {
        Self { body, state, limits, read: Deadline::default() }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.read.lift();
                this.state.body_came();
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                this.state.awaits_body();
                let (_, since) = this.state.phase();
                let (stall, whole) = (this.limits.stall, this.limits.exchange);
                this.read.poll(cx, || (Instant::now() + stall).min(since + whole)).map(|error| Some(Err(error.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response body whose end makes the connection idle again. Its frames are made in turns.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    body: axum::body::Body,
    state: Arc<State>,
    place: Option<Place>,
}

impl ResponseBody {
    /// Without a `place` it is sent at once.
    pub(crate) fn new(body: axum::body::Body, state: Arc<State>, place: Option<Place>) -> Self {
        Self { body, state, place }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.state.enter(Phase::Idle);
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        let _turn = match &mut this.place {
            Some(place) => Some(ready!(place.poll(cx))),
            None => None,
        };
        Pin::new(&mut this.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
