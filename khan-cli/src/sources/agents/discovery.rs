//! Agents found through the API server: the pods that a label selector names become targets.
//!
//! The list is read again and again rather than watched: agents belong to a DaemonSet and change rarely, and a viewer then
//! needs the verb `list` only.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use http::StatusCode;
use khan_api::{Sentence, Timestamp};
use tokio::sync::watch;

use self::list::Part;
use self::pod::AgentPod;
use super::route::pod::{Connect, PodRoute};
use super::route::proxy::Proxied;
use super::route::{Direct, DirectClient, Route};
use super::targets::{Target, Targets};
use crate::feed::Link;
use crate::sources::cluster::Cluster;
use crate::sources::exchange::ExchangeError;
use crate::sources::rbac::{Denial, NAMESPACE, manifest};
use crate::sources::retry;

pub(crate) mod list;
mod pod;

/// What `deploy/` labels the agents' pods with.
pub const SELECTOR: &str = "app.kubernetes.io/name=khan,app.kubernetes.io/component=agent";

/// Period of reading the list again; reading never takes more than a small share of the time.
const REST: Duration = Duration::from_secs(10);
const REST_PER_LIST: u32 = 20;

/// Which pods are agents, and how they are reached.
#[derive(Clone, Debug)]
pub struct DiscoveryOptions {
    /// `--khan-namespace`; `None` for all.
    pub namespace: Option<String>,
    /// `--khan-selector`.
    pub selector: String,
    /// `--agent-port`; `None` for what the pods declare.
    pub port: Option<u16>,
    /// `--connect`.
    pub connect: Connect,
    /// `--node`; empty for all.
    pub nodes: Vec<String>,
    /// For [`Connect::Direct`], and with its settings for port-forwards.
    pub client: DirectClient,
}

/// Why agents cannot be discovered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// RBAC does not allow listing pods.
    #[error("cannot look for agents: {0}")]
    Denied(Denial),
    /// The API server refused the credentials.
    #[error("the API server at {url} does not accept the credentials of this kubeconfig ({message}): log in again")]
    NotAccepted {
        /// URL of the API server.
        url: String,
        /// Its message.
        message: Sentence,
    },
    /// The API server gave no answer.
    #[error("the API server at {url} {error}")]
    Exchange {
        /// URL of the API server.
        url: String,
        /// Why.
        error: ExchangeError,
    },
    /// An unexpected status.
    #[error("the API server at {url} answered {status} when asked for pods: {line}")]
    Status {
        /// URL of the API server.
        url: String,
        /// The status.
        status: StatusCode,
        /// Its message.
        line: Sentence,
    },
    /// The answer is not a list of pods.
    #[error("{url} answered something that is not a list of pods ({reason})")]
    Garbage {
        /// URL of the API server.
        url: String,
        /// Where it goes wrong.
        reason: Sentence,
    },
}

impl DiscoveryError {
    /// What makes it work, to be piped into `kubectl apply -f -`, when permissions are missing.
    pub fn remedy(&self) -> Option<String> {
        let Self::Denied(denial) = self else { return None };
        Some(manifest(std::slice::from_ref(denial)))
    }
}

/// Looks for agents once, then keeps looking until the receiver is dropped. Later failures leave the list as it
/// is and are told by its link.
pub async fn discover(
    cluster: Arc<Cluster>,
    options: DiscoveryOptions,
) -> Result<watch::Receiver<Targets>, DiscoveryError> {
    let mut discovery = Discovery::new(cluster, options);
    let begun = Instant::now();
    let (sender, receiver) = watch::channel(discovery.look().await?);
    let rest = REST.max(begun.elapsed() * REST_PER_LIST);
    tokio::spawn(async move { discovery.keep_looking(sender, rest).await });
    Ok(receiver)
}

/// Looks for them once.
pub async fn look(cluster: Arc<Cluster>, options: DiscoveryOptions) -> Result<Targets, DiscoveryError> {
    Discovery::new(cluster, options).look().await
}

struct Discovery {
    cluster: Arc<Cluster>,
    options: DiscoveryOptions,
    /// Routes hold open streams and what they learnt, so they live as long as their pods. By [`Target::id`].
    known: HashMap<String, Target>,
    proxy_closed: Arc<AtomicBool>,
}

impl Discovery {
    fn new(cluster: Arc<Cluster>, options: DiscoveryOptions) -> Self {
        Self { cluster, options, known: HashMap::new(), proxy_closed: Arc::default() }
    }

    async fn keep_looking(mut self, targets: watch::Sender<Targets>, mut rest: Duration) {
        let mut attempt = 0;
        loop {
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = targets.closed() => return,
            }
            let begun = Instant::now();
            match self.look().await {
                Ok(found) => {
                    rest = REST.max(begun.elapsed() * REST_PER_LIST);
                    attempt = 0;
                    targets.send_if_modified(|old| {
                        let ids = |targets: &Targets| targets.list.iter().map(|t| t.id.clone()).collect::<Vec<_>>();
                        let modified = ids(old) != ids(&found) || old.link != found.link || old.notes != found.notes;
                        *old = found;
                        modified
                    });
                }
                Err(error) => {
                    attempt += 1;
                    let next;
                    (rest, next) = retry::pause(attempt, Timestamp::now());
                    let link = match &error {
                        DiscoveryError::NotAccepted { .. }
                        | DiscoveryError::Exchange { error: ExchangeError::Credentials(_), .. } => {
                            Link::Credentials(error.to_string())
                        }
                        _ => Link::Retrying { reason: error.to_string(), attempt, next },
                    };
                    targets.send_modify(|old| old.link = Some(link));
                }
            }
        }
    }

    async fn look(&mut self) -> Result<Targets, DiscoveryError> {
        let (pods, namespace) = match self.list(self.options.namespace.as_deref()).await {
            Err(DiscoveryError::Denied(denial)) if self.options.namespace.is_none() => {
                match self.list(Some(NAMESPACE)).await {
                    Ok(pods) => (pods, Some(NAMESPACE)),
                    Err(DiscoveryError::Denied(_)) => return Err(DiscoveryError::Denied(denial)),
                    Err(error) => return Err(error),
                }
            }
            listed => (listed?, self.options.namespace.as_deref()),
        };
        let wanted = |pod: &AgentPod| {
            self.options.nodes.is_empty() || self.options.nodes.iter().any(|node| pod.spec.node_name == *node)
        };
        let mut targets: Vec<_> =
            pods.iter().filter(|pod| pod.is_live() && wanted(pod)).map(|pod| self.target(pod)).collect();
        targets.sort_by(|a, b| (&a.node, &a.name).cmp(&(&b.node, &b.name)));
        self.known = targets.iter().map(|target| (target.id.clone(), target.clone())).collect();
        let notes = if targets.is_empty() { vec![self.nobody(namespace, pods.len())] } else { Vec::new() };
        Ok(Targets { settled: true, list: targets, link: Some(Link::Up), notes })
    }

    fn nobody(&self, namespace: Option<&str>, pods: usize) -> String {
        let place = namespace.map_or_else(
            || "in any namespace visible to you".to_owned(),
            |namespace| format!("in namespace {namespace}"),
        );
        let selector = &self.options.selector;
        if pods > 0 {
            return format!("none of the {pods} pods labelled {selector} {place} runs on a wanted node");
        }
        format!(
            "no Khan agents found for {selector} {place}: install them (kubectl apply -k deploy/), say where they are \
             (--khan-namespace, --khan-selector), or ask Prometheus (--source prometheus)"
        )
    }

    fn target(&self, pod: &AgentPod) -> Target {
        let port = self.options.port.unwrap_or_else(|| pod.port());
        let url = pod.url(port);
        let id = format!("{} {}", pod.metadata.uid, url.as_ref().map_or_else(|| port.to_string(), ToString::to_string));
        let direct = url.map(|url| Direct { url, client: self.options.client.clone() });
        if let Some(known) = self.known.get(&id) {
            return known.clone();
        }
        let (namespace, name) = (String::from(&pod.metadata.namespace), String::from(&pod.metadata.name));
        let label = format!("{namespace}/{name}");
        let proxy = Proxied { resource: "pods", namespace, name, port: port.to_string(), https: pod.https() };
        let cluster = Arc::clone(&self.cluster);
        let (connect, client) = (self.options.connect, self.options.client.clone());
        let route = PodRoute::new(cluster, connect, proxy, port, direct, client, Arc::clone(&self.proxy_closed));
        let route = Arc::new(Route::Pod(Box::new(route)));
        Target { id, name: label, node: (&pod.spec.node_name).into(), route }
    }

    async fn list(&self, namespace: Option<&str>) -> Result<Vec<AgentPod>, DiscoveryError> {
        list::pods(&self.cluster, namespace, &self.options.selector, Part::Whole).await
    }
}
