//! When the API server last responded, by resource. kube's `watcher` keeps bookmarks and quiet reconnections to itself, so this
//! records the bytes of every list and watch below it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service};

use crate::kubernetes::Resource;

const ABSENT: u64 = u64::MAX;

/// When something last came from the API server.
#[derive(Debug)]
pub(crate) struct LastResponse {
    base: Instant,
    // Milliseconds after `base`, plus one; 0 means never, [`ABSENT`] that the server does not have the resource.
    times: [AtomicU64; Resource::ALL.len()],
}

impl LastResponse {
    /// Nothing has come yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { base: Instant::now(), times: Default::default() })
    }

    /// How long ago something about `resource` last came; since the start when nothing ever did. `None` when the server does
    /// not have it.
    pub(crate) fn age(&self, resource: Resource) -> Option<Duration> {
        let time = self.times[resource as usize].load(Ordering::Relaxed);
        let age = || self.base.elapsed().saturating_sub(Duration::from_millis(time.saturating_sub(1)));
        (time != ABSENT).then(age)
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

/// Tower layer that records when the API server last responded.
#[derive(Clone, Debug)]
pub(super) struct LastResponseLayer(pub(super) Arc<LastResponse>);

impl<S> Layer<S> for LastResponseLayer {
    type Service = LastResponseService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        LastResponseService { inner, last_response: Arc::clone(&self.0) }
    }
}

/// A client whose responses are recorded.
#[derive(Debug)]
pub(super) struct LastResponseService<S> {
    inner: S,
    last_response: Arc<LastResponse>,
}

impl<S, B, C> Service<Request<B>> for LastResponseService<S>
where
    S: Service<Request<B>, Response = Response<C>>,
    S::Future: Send + 'static,
{
    type Response = Response<LastResponseBody<C>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        let resource = Resource::ALL.into_iter().find(|resource| path.ends_with(resource.definition().plural));
        let last_response = Arc::clone(&self.last_response);
        let response = self.inner.call(request);
        Box::pin(async move {
            let response = response.await?;
            let resource = resource.filter(|_| response.status().is_success());
            if let Some(resource) = resource {
                last_response.now(resource);
            }
            Ok(response.map(|body| LastResponseBody { body, resource, last_response }))
        })
    }
}

/// A body whose every frame is recorded.
#[derive(Debug)]
pub(super) struct LastResponseBody<B> {
    body: B,
    resource: Option<Resource>,
    last_response: Arc<LastResponse>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for LastResponseBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.body).poll_frame(cx);
        if let (Poll::Ready(Some(Ok(_))), Some(resource)) = (&frame, this.resource) {
            this.last_response.now(resource);
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
