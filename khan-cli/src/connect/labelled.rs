//! `-l` to pods: asks the cluster which pods the label selector matches, and again while their connections are shown.

use std::time::Duration;

use serde::Deserialize;

use crate::args::kube_args::KubeArgs;
use crate::connect::cluster;
use crate::model::LabelSelection;
use crate::sources::agents::discovery::DiscoveryError;
use crate::sources::agents::discovery::list::{self, Part};
use crate::sources::cluster::Cluster;
use khan_serve::exit::Failure;

/// Pods come and go, and labels are asked for as often as agents are.
const REST: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
struct Pod {
    metadata: Meta,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    namespace: String,
    name: String,
}

/// The pods that `--selector` names, in the namespaces of `-n`; kept up to date as long as somebody holds them.
pub(crate) async fn pods(args: &KubeArgs, selector: Option<&str>) -> Result<Option<LabelSelection>, Failure> {
    let Some(selector) = selector.filter(|selector| !selector.is_empty()) else { return Ok(None) };
    let context = "--selector: only the API server knows labels, and ";
    let cluster = cluster(args).await.map_err(|failure| failure.within(context))?;
    let (pods, namespaces) = (LabelSelection::new(selector), args.scope());
    look(&cluster, &namespaces, &pods).await.map_err(|error| refuse(&error))?;
    tracing::info!(selector, pods = pods.len(), "Looked up pods by their labels");
    let kept = pods.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(REST).await;
            if !kept.is_shared() {
                return;
            }
            if let Err(error) = look(&cluster, &namespaces, &kept).await {
                tracing::warn!(%error, "Pods could not be looked up by their labels again");
            }
        }
    });
    Ok(Some(pods))
}

async fn look(cluster: &Cluster, namespaces: &[String], pods: &LabelSelection) -> Result<(), DiscoveryError> {
    let everywhere = namespaces.is_empty().then_some(None);
    for namespace in namespaces.iter().map(|name| Some(name.as_str())).chain(everywhere) {
        let found: Vec<Pod> = list::pods(cluster, namespace, pods.selector(), Part::Metadata).await?;
        pods.add(found.into_iter().map(|pod| (pod.metadata.namespace, pod.metadata.name)));
    }
    Ok(())
}

fn refuse(error: &DiscoveryError) -> Failure {
    match error {
        // What it does not understand.
        DiscoveryError::Status { status, line, .. } if status.as_u16() == 400 => {
            Failure::usage(format_args!("--selector: {line}"))
        }
        DiscoveryError::Denied(denial) if denial.namespace.is_none() => {
            Failure::unreachable(format_args!("--selector: {denial}; -n NAME asks for one namespace only"))
        }
        DiscoveryError::Denied(denial) => Failure::unreachable(format_args!("--selector: {denial}")),
        error => Failure::unreachable(format_args!("--selector: {error}")),
    }
}
