//! Names from the cluster of this command line, for completions. Whoever presses Tab waits: there is one question, an answer of
//! bounded size, and not much time. Without an answer nothing is offered, and nothing is said.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use khan_serve::tls_provider;
use kube::Resource;
use kube::api::{Api, ListParams, ObjectMeta, PartialObjectMeta};
use tokio::time::timeout;

use crate::sources::cluster::{Cluster, ClusterOptions};

/// How long Tab may take.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Objects that are listed at most.
const MOST: u32 = 500;
/// Labels that name an app, as khan-controller looks for them.
const APP_LABELS: [&str; 3] = ["app", "app.kubernetes.io/name", "k8s-app"];

/// Which names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Namespaces,
    Nodes,
    Pods,
    Apps,
}

/// The kubeconfig of this command line, or of the environment that stands for its flag.
pub(super) fn kubeconfig() -> Option<PathBuf> {
    flag("--kubeconfig", "KHAN_KUBECONFIG").map(PathBuf::from)
}

/// Names that there are, in order.
pub(super) fn names(wanted: Wanted) -> Vec<String> {
    tls_provider::install();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return Vec::new() };
    let found = runtime.block_on(async { timeout(PATIENCE, ask(wanted)).await });
    // Nobody waits for what is still on its way.
    runtime.shutdown_background();
    found.ok().flatten().unwrap_or_default().into_iter().collect()
}

async fn ask(wanted: Wanted) -> Option<BTreeSet<String>> {
    let options = ClusterOptions {
        kubeconfig: kubeconfig(),
        context: flag("--context", "KHAN_CONTEXT"),
        cluster: flag("--cluster", "KHAN_CLUSTER"),
        user: flag("--user", "KHAN_USER"),
        interactive: false,
        ..ClusterOptions::default()
    };
    let (client, _) = Cluster::open(&options).await.ok()?.client();
    let namespace = flag("--namespace", "KHAN_NAMESPACE").or_else(|| flag("-n", ""));
    let pods = || match &namespace {
        Some(namespace) => Api::<Pod>::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let name = |meta: &ObjectMeta| meta.name.clone();
    match wanted {
        Wanted::Namespaces => listed(Api::<Namespace>::all(client), name).await,
        Wanted::Nodes => listed(Api::<Node>::all(client), name).await,
        Wanted::Pods => listed(pods(), name).await,
        Wanted::Apps => {
            let app = |meta: &ObjectMeta| {
                let labels = meta.labels.as_ref()?;
                APP_LABELS.iter().find_map(|label| labels.get(*label)).cloned()
            };
            listed(pods(), app).await
        }
    }
}

/// What `name` finds in the first objects.
async fn listed<K>(objects: Api<K>, name: impl Fn(&ObjectMeta) -> Option<String>) -> Option<BTreeSet<String>>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let list = objects.list_metadata(&ListParams::default().limit(MOST)).await.ok()?;
    Some(list.items.iter().filter_map(|object: &PartialObjectMeta<K>| name(&object.metadata)).collect())
}

/// The value of a flag on the line that is completed, else of its variable.
fn flag(flag: &str, variable: &str) -> Option<String> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let words: Vec<_> = words.iter().filter_map(|word| word.to_str()).collect();
    let typed = words.iter().enumerate().find_map(|(at, word)| match word.strip_prefix(flag)? {
        "" => words.get(at + 1).map(|value| (*value).to_owned()),
        rest => rest.strip_prefix('=').map(str::to_owned),
    });
    let typed = typed.filter(|value| !value.is_empty());
    typed.or_else(|| std::env::var(variable).ok().filter(|value| !value.is_empty()))
}
