//! Through the API server's proxy to a pod or service: `/api/v1/namespaces/NS/pods/NAME:PORT/proxy/...`.

use http::StatusCode;
use khan_api::Sentence;

use crate::sources::cluster::{ApiStatus, Cluster, unknown_to_server};
use crate::sources::exchange::{Ask, Bounds, ExchangeError, Reply};
use crate::sources::rbac::Denial;

/// What the proxy leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxied {
    /// `pods` or `services`.
    pub resource: &'static str,
    /// Namespace.
    pub namespace: String,
    /// Name of the pod or service.
    pub name: String,
    /// Port, by number or name.
    pub port: String,
    /// Whether HTTPS is spoken there.
    pub https: bool,
}

impl Proxied {
    /// Asks through the proxy. The API server's own refusals become errors, whatever lies behind answers for itself.
    pub async fn exchange(&self, cluster: &Cluster, ask: &Ask, bounds: Bounds) -> Result<Reply, ExchangeError> {
        let Self { resource, namespace, name, port, https } = self;
        let scheme = if *https { "https:" } else { "" };
        let path = format!("/api/v1/namespaces/{namespace}/{resource}/{scheme}{name}:{port}/proxy{}", ask.path);
        let reply = cluster.exchange(&Ask { path, ..ask.clone() }, bounds).await?;
        let Some(status) = ApiStatus::of(&reply) else { return Ok(reply) };
        Err(match reply.status {
            _ if unknown_to_server(&reply) => ExchangeError::NotAccepted(status.message),
            StatusCode::FORBIDDEN => {
                let verb = if ask.method == http::Method::GET { "get" } else { "create" };
                let resource = if *resource == "pods" { "pods/proxy" } else { "services/proxy" };
                // Whatever lies behind the proxy can write such an answer too, so no manifest may grant what it names.
                ExchangeError::Denied(vec![Denial::new(verb, resource, Some(namespace), None)])
            }
            StatusCode::NOT_FOUND if status.details.name == *name => ExchangeError::Gone,
            StatusCode::NOT_FOUND => ExchangeError::NoProxy(status.message),
            code => ExchangeError::Behind(Sentence::of(format_args!("{code}: {}", status.message))),
        })
    }
}
