//! The ways to an agent: straight, through the API server's pod proxy, or through a port-forward.

use std::sync::Arc;

use http::HeaderValue;
use http::header::{ACCEPT_ENCODING, CONNECTION};
use khan_api::{Sentence, Timestamp};

use super::url::AgentUrl;
use crate::sources::exchange::{Ask, Bounds, ExchangeError, Reply, collect};
use crate::sources::http_config::{HttpConfig, HttpConfigError};

pub(crate) mod proxy;
pub(crate) mod forward;
pub mod pod;

/// How HTTP requests reach one agent.
#[derive(Debug)]
pub enum Route {
    /// Straight to a URL.
    Url(Direct),
    /// To a pod, by the best way that is open.
    Pod(Box<pod::PodRoute>),
}

impl Route {
    /// Asks and reads the whole answer within `bounds`.
    pub async fn exchange(&self, ask: &Ask, bounds: Bounds) -> Result<Reply, ExchangeError> {
        let answer = async {
            match self {
                Self::Url(direct) => direct.exchange(ask, bounds).await,
                Self::Pod(pod) => pod.exchange(ask, bounds).await,
            }
        };
        let late = |_| Err(ExchangeError::Timeout(bounds.deadline));
        tokio::time::timeout(bounds.deadline, answer).await.unwrap_or_else(late)
    }
}

/// With more agents than this, connections are closed after each answer. An idle one keeps the buffer that its largest answer
/// was read into, up to 400 KiB, which for many agents is more than the rows of all of them.
const MOST_IDLE: usize = 64;

/// The client that agents are asked with directly, and its settings.
#[derive(Clone, Debug)]
pub struct DirectClient {
    client: reqwest::Client,
    config: Arc<HttpConfig>,
}

impl DirectClient {
    /// A client with these settings.
    pub fn new(config: HttpConfig) -> Result<Self, HttpConfigError> {
        Ok(Self { client: config.client()?, config: Arc::new(config) })
    }

    /// Its settings.
    pub fn config(&self) -> &HttpConfig {
        &self.config
    }

    /// Asks `url`.
    pub async fn send(&self, url: url::Url, ask: &Ask, bounds: Bounds) -> Result<Reply, ExchangeError> {
        let refuse = |error: HttpConfigError| ExchangeError::Credentials(Sentence::of(error));
        self.config.check_url(&url).map_err(refuse)?;
        let mut headers = self.config.headers().map_err(refuse)?;
        headers.extend(ask.headers.clone());
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        // Each agent's way has a clone of this client.
        if Arc::strong_count(&self.config) > MOST_IDLE {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        // Hides a password in it.
        let asked = format!("{}{}", url.origin().ascii_serialization(), url.path());
        let request = self.client.request(ask.method.clone(), url).headers(headers).body(ask.body.clone());
        let (sent, begun) = (Timestamp::now(), std::time::Instant::now());
        let answer = async {
            let response = request.send().await.map_err(|error| ExchangeError::find(&error))?;
            collect(http::Response::from(response), sent, bounds).await
        };
        let answer = answer.await;
        let took = begun.elapsed();
        match &answer {
            Ok(reply) => {
                tracing::debug!(%asked, status = reply.status.as_u16(), bytes = reply.body.len(), ?took, "Asked");
            }
            Err(error) => tracing::debug!(%asked, %error, ?took, "No answer"),
        }
        answer
    }
}

/// A URL and the client for it.
#[derive(Clone, Debug)]
pub struct Direct {
    /// The agent's or controller's base URL.
    pub url: AgentUrl,
    /// The client, with the URL's TLS settings and credentials.
    pub client: DirectClient,
}

impl Direct {
    async fn exchange(&self, ask: &Ask, bounds: Bounds) -> Result<Reply, ExchangeError> {
        self.client.send(self.url.join(&ask.path), ask, bounds).await
    }
}
