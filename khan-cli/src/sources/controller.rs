//! Questions to khan-controller: whose is this address, and whose was it?

use std::net::IpAddr;
use std::sync::Arc;

use khan_api::{Identity, Service, routes};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use super::agents::discovery::{self, DiscoveryError, DiscoveryOptions};
use super::agents::fetch::{self, FetchError};
use super::agents::route::pod::Connect;
use super::agents::route::proxy::Proxied;
use super::agents::route::{Direct, DirectClient, Route};
use super::agents::targets::Target;
use super::agents::url::{AgentUrl, AgentUrlError};
use super::cluster::Cluster;
use super::exchange::{Ask, Bounds, ExchangeError};
use super::rbac::NAMESPACE;

/// What `deploy/` labels the controller's pods with.
pub const SELECTOR: &str = "app.kubernetes.io/name=khan,app.kubernetes.io/component=controller";
/// What `deploy/` calls its service.
pub const SERVICE: &str = "khan-controller";

/// Why the controller cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControllerError {
    /// It answered badly or not at all.
    #[error("{name} {error}")]
    Fetch {
        /// Its URL, or `NAMESPACE/NAME`.
        name: String,
        /// What went wrong.
        error: FetchError,
    },
    /// Its pods cannot be looked for.
    #[error("{0}")]
    Discovery(#[from] DiscoveryError),
    /// There is none.
    #[error("no khan-controller runs {0}: give --controller URL or --khan-namespace")]
    Absent(String),
}

impl ControllerError {
    /// What would help, where that is known.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Fetch { error: FetchError::Unauthorized(_), .. } => {
                Some("give --controller-token-file or --controller-config")
            }
            Self::Fetch { error: FetchError::Exchange(ExchangeError::Tls(_)), .. } => {
                Some("give --controller-config with tls_config.ca_file")
            }
            _ => None,
        }
    }
}

/// A controller that can be asked.
#[derive(Clone, Debug)]
pub struct Controller {
    ways: Ways,
    bounds: Bounds,
}

#[derive(Clone, Debug)]
enum Ways {
    Url(String, Arc<Route>),
    Cluster {
        cluster: Arc<Cluster>,
        namespace: Option<String>,
        client: DirectClient,
        /// One of its pods, once one was needed; until it does not answer.
        pod: Arc<Mutex<Option<Target>>>,
    },
}

impl Controller {
    /// The one at `url`; the scheme and the controller's port are added where they are missing.
    pub fn at(url: &str, client: DirectClient, bounds: Bounds) -> Result<Self, AgentUrlError> {
        let url = AgentUrl::with_port(url, routes::CONTROLLER_PORT)?;
        Ok(Self { ways: Ways::Url(url.to_string(), Arc::new(Route::Url(Direct { url, client }))), bounds })
    }

    /// The one that runs in a cluster.
    pub fn of(cluster: Arc<Cluster>, namespace: Option<String>, client: DirectClient, bounds: Bounds) -> Self {
        Self { ways: Ways::Cluster { cluster, namespace, client, pod: Arc::default() }, bounds }
    }

    /// `GET /v1/identities/{ip}`.
    pub async fn identity(&self, ip: IpAddr) -> Result<Identity, ControllerError> {
        self.ask("an identity", &Ask::get(routes::IDENTITY.replace("{ip}", &ip.to_string()))).await
    }

    /// `GET /v1/services/{ns}/{name}`; `None` when no `EndpointSlice` speaks of the service.
    pub async fn service(&self, ns: &str, name: &str) -> Result<Option<Service>, ControllerError> {
        if !is_name(ns) || !is_name(name) {
            return Ok(None);
        }
        let ask = Ask::get(routes::SERVICE.replace("{ns}", ns).replace("{name}", name));
        match self.ask("a service", &ask).await {
            Ok(service) => Ok(Some(service)),
            Err(ControllerError::Fetch {
                error: FetchError::Status { status: StatusCode::NOT_FOUND, line }, ..
            }) if line.contains("EndpointSlice") => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Through the API server's service proxy, and where that is closed through one of the controller's pods, which whoever may
    /// ask agents may ask too.
    async fn ask<T: DeserializeOwned + Send + 'static>(
        &self,
        what: &'static str,
        ask: &Ask,
    ) -> Result<T, ControllerError> {
        match &self.ways {
            Ways::Url(name, route) => self.over(what, name, route, ask).await,
            // The service proxy keeps credentials for itself.
            Ways::Cluster { client, .. } if client.config().has_credentials() => {
                self.through_pod(what, ask, Connect::PortForward).await
            }
            Ways::Cluster { pod, .. } if pod.lock().await.is_some() => self.through_pod(what, ask, Connect::Auto).await,
            Ways::Cluster { cluster, namespace, .. } => {
                let service = Proxied {
                    resource: "services",
                    namespace: namespace.clone().unwrap_or_else(|| NAMESPACE.to_owned()),
                    name: SERVICE.to_owned(),
                    port: "http".to_owned(),
                    https: false,
                };
                let error = match service.exchange(cluster, ask, self.bounds).await {
                    Ok(reply) => match fetch::parse(what, reply).await {
                        Ok(answer) => return Ok(answer),
                        Err(error) => error,
                    },
                    Err(error) => error.into(),
                };
                let closed = |error: &ExchangeError| {
                    matches!(error, ExchangeError::Denied(_) | ExchangeError::NoProxy(_) | ExchangeError::Behind(_))
                };
                match &error {
                    FetchError::Exchange(reason) if closed(reason) || *reason == ExchangeError::Gone => {}
                    _ => {
                        return Err(ControllerError::Fetch { name: format!("{}/{SERVICE}", service.namespace), error });
                    }
                }
                self.through_pod(what, ask, Connect::Auto).await
            }
        }
    }

    async fn through_pod<T: DeserializeOwned + Send + 'static>(
        &self,
        what: &'static str,
        ask: &Ask,
        connect: Connect,
    ) -> Result<T, ControllerError> {
        let Ways::Cluster { cluster, namespace, client, pod: known } = &self.ways else {
            unreachable!("only a cluster has pods")
        };
        let target = {
            let mut known = known.lock().await;
            match &*known {
                Some(target) => target.clone(),
                None => known.insert(pod(cluster, namespace.clone(), client, connect).await?).clone(),
            }
        };
        let answer = self.over(what, &target.name, &target.route, ask).await;
        if matches!(answer, Err(ControllerError::Fetch { error: FetchError::Exchange(_), .. })) {
            *known.lock().await = None;
        }
        answer
    }

    async fn over<T: DeserializeOwned + Send + 'static>(
        &self,
        what: &'static str,
        name: &str,
        route: &Route,
        ask: &Ask,
    ) -> Result<T, ControllerError> {
        let asked = async { fetch::parse(what, route.exchange(ask, self.bounds).await?).await };
        asked.await.map_err(|error| ControllerError::Fetch { name: name.to_owned(), error })
    }
}

/// Whether a text can be a name in Kubernetes. Names come from agents, and what is none must not lead elsewhere.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

async fn pod(
    cluster: &Arc<Cluster>,
    namespace: Option<String>,
    client: &DirectClient,
    connect: Connect,
) -> Result<Target, ControllerError> {
    let place = namespace
        .as_ref()
        .map_or_else(|| "in any namespace visible to you".to_owned(), |namespace| format!("in namespace {namespace}"));
    let options = DiscoveryOptions {
        namespace,
        selector: SELECTOR.to_owned(),
        port: None,
        connect,
        nodes: Vec::new(),
        client: client.clone(),
    };
    let targets = discovery::look(Arc::clone(cluster), options).await?;
    targets.list.into_iter().next().ok_or(ControllerError::Absent(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_leads_nowhere() {
        assert!(is_name("kube-system") && is_name("web.v2"));
        assert!(["", "..", "-a", "a/../b", "a?b", "a%2e", "a b"].iter().all(|text| !is_name(text)));
    }
}
