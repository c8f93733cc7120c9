//! Through a port-forward: HTTP/1.1, over TLS where the pod speaks that, over a stream that the API server opens into the pod.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, HOST, HeaderValue};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use khan_api::{Name, Sentence, Timestamp};
use kube::api::Portforwarder;
use kube::{Api, Client};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::task::AbortOnDropHandle;

use super::DirectClient;
use crate::sources::cluster::Cluster;
use crate::sources::exchange::{Ask, Bounds, ExchangeError, Reply, collect};
use crate::sources::rbac::Denial;

/// A pod's port. Its stream is kept open between questions.
#[derive(Debug)]
pub(crate) struct Forward {
    namespace: String,
    pod: String,
    port: u16,
    /// The name that its certificate has to bear, unless the settings say another; none where it speaks plain HTTP.
    tls: Option<String>,
    client: DirectClient,
    kept: Mutex<Option<Stream>>,
}

impl Forward {
    /// Opens nothing yet.
    pub(crate) fn new(namespace: String, pod: String, port: u16, tls: Option<String>, client: DirectClient) -> Self {
        Self { namespace, pod, port, tls, client, kept: Mutex::new(None) }
    }

    /// Asks over the kept stream, or over a new one when there is none, it is in use, or it turns out to be closed.
    pub(crate) async fn exchange(&self, cluster: &Cluster, ask: &Ask, bounds: Bounds) -> Result<Reply, ExchangeError> {
        let headers = self.client.config().headers();
        let headers = headers.map_err(|error| ExchangeError::Credentials(Sentence::of(error)))?;
        let ask = &Ask {
            headers: headers
                .into_iter()
                .chain(ask.headers.clone())
                .filter_map(|(name, value)| Some((name?, value)))
                .collect(),
            ..ask.clone()
        };
        let kept = self.kept.lock().await.take().filter(Stream::is_open);
        if let Some(mut stream) = kept {
            match stream.exchange(ask, bounds).await {
                Ok(reply) => return Ok(self.keep(stream, reply).await),
                Err(ExchangeError::Closed) => {}
                Err(error) => return Err(error),
            }
        }
        let (client, number) = cluster.client();
        let mut stream = match self.open(client).await {
            Err(ExchangeError::NotAccepted(_)) if cluster.renew(number).await => self.open(cluster.client().0).await,
            opened => opened,
        }?;
        let reply = stream.exchange(ask, bounds).await?;
        Ok(self.keep(stream, reply).await)
    }

    async fn keep(&self, stream: Stream, reply: Reply) -> Reply {
        *self.kept.lock().await = Some(stream);
        reply
    }

    async fn open(&self, client: Client) -> Result<Stream, ExchangeError> {
        let pods: Api<Pod> = Api::namespaced(client, &self.namespace);
        let mut forwarder = match pods.portforward(&self.pod, &[self.port]).await {
            Ok(forwarder) => forwarder,
            Err(kube::Error::Api(status)) => return Err(self.refusal(&status)),
            Err(error) => return Err(ExchangeError::find(&error)),
        };
        let missing = || ExchangeError::Behind("the port-forward has no stream".into());
        let stream = forwarder.take_stream(self.port).ok_or_else(missing)?;
        let trouble = forwarder.take_error(self.port).ok_or_else(missing)?;
        let (sender, connection) = match &self.tls {
            Some(host) => speak(self.secured(host, stream).await?).await?,
            None => speak(stream).await?,
        };
        let trouble = AbortOnDropHandle::new(tokio::spawn(trouble));
        Ok(Stream { sender, trouble, _connection: connection, _forwarder: Forwarder(forwarder) })
    }

    async fn secured<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        host: &str,
        stream: S,
    ) -> Result<TlsStream<S>, ExchangeError> {
        let config = self.client.config();
        let tls = config.tls().map_err(|error| ExchangeError::Tls(Sentence::of(error)))?;
        let host = config.tls_config.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(host).map_err(|error| ExchangeError::Tls(Sentence::of(error)))?;
        TlsConnector::from(tls).connect(name, stream).await.map_err(|error| ExchangeError::find(&error))
    }

    /// Kubernetes up to 1.34 asks for the verb `get` here, later ones for `create`; the message says which.
    fn refusal(&self, status: &kube::core::Status) -> ExchangeError {
        match StatusCode::from_u16(status.code) {
            Ok(StatusCode::UNAUTHORIZED) => ExchangeError::NotAccepted(status.message.as_str().into()),
            Ok(StatusCode::FORBIDDEN) => {
                let user = status.message.split_once("User \"").and_then(|(_, rest)| rest.split_once('"'));
                ExchangeError::Denied(vec![Denial {
                    verb: if status.message.contains("cannot get") { "get" } else { "create" },
                    resource: "pods/portforward",
                    namespace: Some(self.namespace.clone()),
                    user: user.map(|(user, _)| Name::from(user)),
                }])
            }
            Ok(StatusCode::NOT_FOUND) => ExchangeError::Gone,
            _ => ExchangeError::Behind(Sentence::of(format_args!("{}: {}", status.code, status.message))),
        }
    }
}

/// HTTP over a stream, which the task keeps going.
async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
) -> Result<(SendRequest<Full<Bytes>>, AbortOnDropHandle<()>), ExchangeError> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| ExchangeError::find(&error))?;
    Ok((sender, AbortOnDropHandle::new(tokio::spawn(async move { connection.await.unwrap_or_default() }))))
}

/// One open port-forward with an HTTP connection in it.
#[derive(Debug)]
struct Stream {
    sender: SendRequest<Full<Bytes>>,
    /// Ends with what the kubelet says when the port cannot be used.
    trouble: AbortOnDropHandle<Option<String>>,
    _connection: AbortOnDropHandle<()>,
    _forwarder: Forwarder,
}

impl Stream {
    fn is_open(&self) -> bool {
        !self.sender.is_closed() && !self.trouble.is_finished()
    }

    async fn exchange(&mut self, ask: &Ask, bounds: Bounds) -> Result<Reply, ExchangeError> {
        let mut request = Request::builder().method(ask.method.clone()).uri(&ask.path);
        if let Some(headers) = request.headers_mut() {
            headers.extend(ask.headers.clone());
            headers.insert(HOST, HeaderValue::from_static("localhost"));
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let request =
            request.body(Full::new(ask.body.clone())).map_err(|error| ExchangeError::Other(Sentence::of(error)))?;
        self.sender.ready().await.map_err(|_| ExchangeError::Closed)?;
        let sent = Timestamp::now();
        let response = match self.sender.send_request(request).await {
            Ok(response) => response,
            // The kubelet says on a separate channel why it closed the stream, at about the same time.
            Err(error) => match tokio::time::timeout(TROUBLE, &mut self.trouble).await {
                Ok(Ok(Some(trouble))) => return Err(ExchangeError::Behind(trouble.trim().into())),
                _ => return Err(ExchangeError::find(&error)),
            },
        };
        collect(response, sent, bounds).await
    }
}

const TROUBLE: std::time::Duration = std::time::Duration::from_millis(200);

struct Forwarder(Portforwarder);

impl std::fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Forwarder")
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.0.abort();
    }
}
