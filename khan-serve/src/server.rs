//! An HTTP/1.1 server with bounds: connections, the time a request head, a stalled body, an unread answer and an idle
//! connection may take, and the time that draining takes.
//!
//! A new connection is always accepted: when there are too many, another one makes room (`connections.rs`). What requests
//! compute is computed in turns (`turns.rs`), but probes are answered at once, so that `/livez` and `/readyz` take
//! milliseconds whatever others ask for. What requests hold in memory or burn off the runtime is the business of a
//! [`Gate`](crate::gate::Gate), which their routes know of.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;
use tracing::{debug, info, warn};

use crate::connection::{RequestBody, ResponseBody, Socket};
use crate::connections::Connections;
use crate::exchange::{Exchange, Phase, State};
use crate::limits::Limits;
use crate::shutdown::Shutdown;
use crate::turns::{Fair, Place, Turns};
use crate::web_config::WebConfig;
use crate::{descriptors, health};

/// Bytes read at a time, and the longest request head. Each connection holds so many even while it is idle; hyper allows no
/// fewer.
const READ_BUFFER: usize = 8 * 1024;
/// How long a server without a file descriptor waits for one.
const PAUSE: Duration = Duration::from_millis(100);

/// A router and the bounds it is served with.
#[derive(Debug)]
pub struct Server {
    router: Router,
    limits: Limits,
    web: Option<Arc<WebConfig>>,
}

/// A running server.
#[derive(Debug)]
pub struct Bound {
    /// Where it listens; the real port when port 0 was asked for.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Bound {
    /// Waits until the server has stopped accepting and every connection has ended or was cut.
    pub async fn finished(self) {
        // A panic in the accept loop has been printed; there is nothing left to wait for.
        let _ = self.task.await;
    }
}

impl Server {
    /// Serves `router` with the default limits.
    pub fn new(router: Router) -> Self {
        Self { router, limits: Limits::default(), web: None }
    }

    /// Serves with other limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Encrypts and authenticates as the file says; without one, neither.
    #[must_use]
    pub fn web_config(mut self, web: Option<WebConfig>) -> Self {
        self.web = web.map(Arc::new);
        self
    }

    /// Starts serving until `shutdown` is requested, then drains. Logs `Listening on ADDRESS:PORT`; whoever starts the
    /// program on port 0 finds the port in that line.
    pub fn start(self, listener: TcpListener, shutdown: Shutdown) -> io::Result<Bound> {
        let address = listener.local_addr()?;
        info!("Listening on {address}");
        let task = tokio::spawn(self.accept(listener, shutdown));
        Ok(Bound { address, task })
    }

    async fn accept(self, listener: TcpListener, shutdown: Shutdown) {
        let mut tasks: JoinSet<u64> = JoinSet::new();
        let mut connections = Connections::default();
        let room = self.limits.connections.min(descriptors::for_connections());
        let turns = Turns::new(self.limits.threads);
        let mut failing = false;
        loop {
            let accepted = tokio::select! {
                () = shutdown.requested() => break,
                Some(ended) = tasks.join_next() => {
                    forget(&mut connections, &ended);
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly.
                    if !failing {
                        warn!(%error, "Cannot accept connections");
                    }
                    failing = true;
                    connections.displace();
                    let ended = tokio::time::timeout(PAUSE, tasks.join_next()).await;
                    if let Ok(Some(ended)) = ended {
                        forget(&mut connections, &ended);
                    }
                    continue;
                }
            };
            failing = false;
            if connections.len() >= room {
                // In a burst those that were just accepted have their first turn before one of them makes room.
                tokio::task::yield_now().await;
                connections.displace();
            }
            let state = State::new(peer.ip());
            let number = connections.add(Arc::clone(&state));
            let (router, web, limits) = (self.router.clone(), self.web.clone(), self.limits);
            let (turns, probed) = (Arc::clone(&turns), AtomicBool::new(false));
            let connection = Connection { router, web, limits, turns, peer, certified: false, probed, state };
            let shutdown = shutdown.clone();
            tasks.spawn(async move {
                connection.run(stream, shutdown).await;
                number
            });
        }
        drop(listener);
        let drained = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.limits.drain, drained).await.is_err() {
            warn!(connections = tasks.len(), "Cut connections that did not finish in time");
        }
    }
}

fn forget(connections: &mut Connections, ended: &Result<u64, tokio::task::JoinError>) {
    if let Ok(number) = ended {
        connections.remove(*number);
    } else {
        // A handler panicked and took its connection along; which one is seen by who still holds the state.
        connections.remove_orphans();
    }
}

struct Connection {
    router: Router,
    web: Option<Arc<WebConfig>>,
    // The peer showed a client certificate that was asked for and taken.
    certified: bool,
    // A probe has been answered out of turn.
    probed: AtomicBool,
    limits: Limits,
    turns: Arc<Turns>,
    peer: SocketAddr,
    state: Arc<State>,
}

impl Connection {
    async fn run(self, stream: TcpStream, shutdown: Shutdown) {
        // Answers are written whole, so waiting for more to send only delays them.
        let _ = stream.set_nodelay(true);
        let Some(acceptor) = self.web.as_ref().and_then(|web| web.acceptor()) else {
            return self.serve(stream, shutdown).await;
        };
        // In boxes, for a task is as large as the largest of its branches, and there are thousands of tasks.
        let Some(stream) = Box::pin(self.handshake(acceptor, stream, &shutdown)).await else { return };
        let certified = stream.get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty());
        Self { certified, ..self }.serve(stream, shutdown).await;
    }

    async fn handshake(
        &self,
        acceptor: TlsAcceptor,
        stream: TcpStream,
        shutdown: &Shutdown,
    ) -> Option<Box<TlsStream<TcpStream>>> {
        // A handshake that takes long keeps the server waiting as a request head does.
        self.state.awaits_head();
        let handshake = Fair::new(&self.turns, &self.state, acceptor.accept(stream));
        let handshake = tokio::time::timeout(self.limits.head, handshake);
        let accepted = tokio::select! {
            accepted = handshake => accepted,
            () = shutdown.requested() => return None,
            () = self.state.closed() => return None,
        };
        match accepted {
            Ok(Ok(stream)) => return Some(Box::new(stream)),
            Ok(Err(error)) => debug!(peer = %self.peer, %error, "TLS handshake failed"),
            Err(_) => debug!(peer = %self.peer, "TLS handshake took too long"),
        }
        None
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S, shutdown: Shutdown) {
        let (limits, peer, state) = (self.limits, self.peer, Arc::clone(&self.state));
        let socket = TokioIo::new(Socket::new(stream, Arc::clone(&state), limits));
        let this = Arc::new(self);
        let service = service_fn(move |request: Request<Incoming>| {
            this.state.enter(Phase::Serving);
            Arc::clone(&this).answer(request)
        });
        // The socket's own deadlines tell idle from slow, which hyper's header timeout does not.
        let connection =
            http1::Builder::new().header_read_timeout(None).max_buf_size(READ_BUFFER).serve_connection(socket, service);
        let mut connection = std::pin::pin!(connection);
        let mut stopping = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        debug!(%peer, error = crate::exit::chain(&error), "Connection ended early");
                    }
                    return;
                }
                () = shutdown.requested(), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = state.closed() => return,
            }
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<ResponseBody>, Infallible> {
        // Probes come on connections of their own; a hundred of them on one are no probes.
        let probe = health::is_probe(request.uri().path()) && !self.probed.swap(true, Ordering::Relaxed);
        let state = Arc::clone(&self.state);
        let (response, place) = if probe {
            (self.respond(request).await?, None)
        } else {
            let place = Place::new(Arc::clone(&self.turns), Arc::clone(&state));
            let turns = Arc::clone(&self.turns);
            (Fair::new(&turns, &state, self.respond(request)).await?, Some(place))
        };
        Ok(response.map(|body| ResponseBody::new(body, state, place)))
    }

    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let Some(web) = &self.web else { return self.route(request).await };
        let exchange = Exchange(Arc::clone(&self.state));
        let refusal = web.refuse(request.uri().path(), request.headers(), self.certified, &exchange).await;
        let mut response = match refusal {
            Some(refusal) => refusal,
            None => self.route(request).await?,
        };
        web.decorate(response.headers_mut());
        Ok(response)
    }

    async fn route(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let wrap = |body| Body::new(RequestBody::new(body, Arc::clone(&self.state), self.limits));
        let mut request = request.map(wrap);
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request.extensions_mut().insert(Exchange(Arc::clone(&self.state)));
        self.router.clone().oneshot(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_s_task_is_small() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = listener.local_addr().unwrap();
        let stream = TcpStream::connect(peer).await.unwrap();
        let (router, limits, probed) = (Router::new(), Limits::default(), AtomicBool::new(false));
        let (turns, state) = (Turns::new(1), State::new(peer.ip()));
        let connection = Connection { router, web: None, limits, turns, peer, certified: false, probed, state };
        let size = size_of_val(&connection.run(stream, Shutdown::new()));
        assert!(size <= 3 * 1024, "{size} bytes, of which the controller has thousands");
    }
}
