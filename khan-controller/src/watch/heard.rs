//! When the API server was last heard of, by resource. kube's `watcher` keeps bookmarks and quiet reconnections to itself,
//! so this listens below it, to the bytes of every list and watch.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service};

use crate::objects::Resource;

const ABSENT: u64 = u64::MAX;

/// Times at which something came from the API server.
#[derive(Debug)]
pub struct Heard {
    base: Instant,
    // Milliseconds after `base`, and one; 0 is never, [`ABSENT`] that there is nothing to hear of.
    times: [AtomicU64; Resource::ALL.len()],
}

impl Heard {
    /// Nothing was heard yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self { base: Instant::now(), times: Default::default() })
    }

    /// How long ago something about `resource` came; since the start when nothing ever did. `None` when the server does not
    /// have it.
    pub fn age(&self, resource: Resource) -> Option<Duration> {
        let heard = self.times[resource as usize].load(Ordering::Relaxed);
        let age = || self.base.elapsed().saturating_sub(Duration::from_millis(heard.saturating_sub(1)));
        (heard != ABSENT).then(age)
    }

    /// The server does not have `resource`.
    pub(super) fn absent(&self, resource: Resource) {
        self.times[resource as usize].store(ABSENT, Ordering::Relaxed);
    }

    fn now(&self, resource: Resource) {
        let millis = u64::try_from(self.base.elapsed().as_millis()).unwrap_or(ABSENT - 2);
        self.times[resource as usize].store(millis + 1, Ordering::Relaxed);
    }
}

/// Puts an ear on a client.
#[derive(Clone, Debug)]
pub(super) struct HeardLayer(pub(super) Arc<Heard>);

impl<S> Layer<S> for HeardLayer {
    type Service = HeardService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        HeardService { inner, heard: Arc::clone(&self.0) }
    }
}

/// A client whose answers are listened to.
#[derive(Debug)]
pub(super) struct HeardService<S> {
    inner: S,
    heard: Arc<Heard>,
}

impl<S, B, C> Service<Request<B>> for HeardService<S>
where
    S: Service<Request<B>, Response = Response<C>>,
    S::Future: Send + 'static,
{
    type Response = Response<HeardBody<C>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        let resource = Resource::ALL.into_iter().find(|resource| path.ends_with(resource.as_str()));
        let heard = Arc::clone(&self.heard);
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            let resource = resource.filter(|_| response.status().is_success());
            if let Some(resource) = resource {
                heard.now(resource);
            }
            Ok(response.map(|body| HeardBody { body, resource, heard }))
        })
    }
}

/// A body whose every frame is noted.
#[derive(Debug)]
pub(super) struct HeardBody<B> {
    body: B,
    resource: Option<Resource>,
    heard: Arc<Heard>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for HeardBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        if let (Poll::Ready(Some(Ok(_))), Some(resource)) = (&frame, this.resource) {
            this.heard.now(resource);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
