//! Reading a list of pods page by page.

use http::StatusCode;
use http::header::{ACCEPT, HeaderValue};
use khan_api::Sentence;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::DiscoveryError;
use crate::sources::cluster::{ApiStatus, Cluster, unknown_to_server};
use crate::sources::exchange::Ask;
use crate::sources::rbac::Denial;

const PAGE: usize = 500;
/// How often a list that aged while it was read is read again.
const RESTARTS: u32 = 3;
/// Names and labels instead of whole pods.
const METADATA: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";

#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: PageMeta,
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    next: String,
}

/// What of each pod is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// `metadata` alone, which spares the server and the way.
    Metadata,
}

/// Every pod that the label selector names, in one namespace or in all.
pub(crate) async fn pods<T: DeserializeOwned>(
    cluster: &Cluster,
    namespace: Option<&str>,
    selector: &str,
    part: Part,
) -> Result<Vec<T>, DiscoveryError> {
    let place = namespace.map_or_else(String::new, |namespace| format!("/namespaces/{namespace}"));
    let (mut pods, mut from, mut restarts) = (Vec::new(), String::new(), 0);
    loop {
        let mut ask = Ask::get(format!("/api/v1{place}/pods?{}", query(selector, &from)));
        if part == Part::Metadata {
            ask.headers.insert(ACCEPT, HeaderValue::from_static(METADATA));
        }
        match page::<T>(cluster, &ask, namespace).await {
            Ok(page) => {
                pods.extend(page.items);
                from = page.metadata.next;
            }
            // The list has aged while it was read: again from the beginning.
            Err(DiscoveryError::Status { status: StatusCode::GONE, .. }) if !from.is_empty() && restarts < RESTARTS => {
                restarts += 1;
                pods.clear();
                from.clear();
                continue;
            }
            Err(error) => return Err(error),
        }
        if from.is_empty() {
            return Ok(pods);
        }
    }
}

fn query(selector: &str, from: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("labelSelector", selector).append_pair("limit", &PAGE.to_string());
    if !from.is_empty() {
        query.append_pair("continue", from);
    }
    query.finish()
}

async fn page<T: DeserializeOwned>(
    cluster: &Cluster,
    ask: &Ask,
    namespace: Option<&str>,
) -> Result<Page<T>, DiscoveryError> {
    let url = || cluster.url.clone();
    let reply = cluster.exchange(ask, cluster.bounds).await;
    let reply = reply.map_err(|error| DiscoveryError::Exchange { url: url(), error })?;
    if reply.status == StatusCode::OK {
        return serde_json::from_slice(&reply.body)
            .map_err(|error| DiscoveryError::Garbage { url: url(), reason: Sentence::of(error) });
    }
    let status = ApiStatus::of(&reply).unwrap_or_default();
    Err(match reply.status {
        StatusCode::FORBIDDEN => DiscoveryError::Denied(Denial::new("list", "pods", namespace, status.user())),
        _ if unknown_to_server(&reply) => DiscoveryError::NotAccepted { url: url(), message: status.message },
        code => {
            let line = if status.message.is_empty() { reply.first_line() } else { status.message };
            DiscoveryError::Status { url: url(), status: code, line }
        }
    })
}
