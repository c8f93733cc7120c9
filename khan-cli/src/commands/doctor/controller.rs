//! Is there a khan-controller, is it ready, and is there only one? Without one, every agent counts and none has names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use khan_api::{Label, Name, Sentence, routes};
use serde::Deserialize;

use super::{Finding, State, finding};
use crate::args::Cli;
use crate::connect::credentials;
use crate::model::View;
use crate::sources::agents::discovery::list::{self, Part};
use crate::sources::agents::discovery::{self, DiscoveryError, DiscoveryOptions};
use crate::sources::agents::route::pod::Connect;
use crate::sources::agents::route::{Direct, DirectClient, Route};
use crate::sources::agents::targets::Target;
use crate::sources::agents::url::AgentUrl;
use crate::sources::cluster::Cluster;
use crate::sources::controller::{SELECTOR, SERVICE};
use crate::sources::exchange::{Ask, Bounds};
use crate::sources::rbac::NAMESPACE;
use khan_serve::exit::Failure;

const CHECK: &str = "controller";

/// What of a pod is looked at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Pod {
    metadata: Meta,
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Meta {
    name: Name,
    namespace: Label,
    labels: BTreeMap<Name, Label>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: String,
    conditions: Vec<Condition>,
    container_statuses: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Condition {
    r#type: String,
    status: String,
    message: Sentence,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    state: BTreeMap<String, Reason>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Reason {
    reason: Label,
    message: Sentence,
}

impl Pod {
    fn name(&self) -> String {
        format!("{}/{}", self.metadata.namespace, self.metadata.name)
    }

    fn is_ready(&self) -> bool {
        self.status.conditions.iter().any(|condition| condition.r#type == "Ready" && condition.status == "True")
    }

    /// Why it does not run, as Kubernetes says it.
    fn trouble(&self) -> Option<String> {
        let states = self.status.container_statuses.iter().flat_map(|container| &container.state);
        let stopped = states.filter(|(state, _)| *state != "running").map(|(_, reason)| reason).next();
        let unscheduled = self
            .status
            .conditions
            .iter()
            .find(|c| c.r#type == "PodScheduled" && c.status == "False" && !c.message.is_empty());
        match (stopped, unscheduled) {
            (Some(Reason { reason, message }), _) if message.is_empty() => Some(reason.to_string()),
            (Some(Reason { reason, message }), _) => Some(format!("{reason}: {message}")),
            (None, Some(condition)) => Some(condition.message.to_string()),
            (None, None) => None,
        }
    }
}

/// Looks at the controller of the cluster, or at the one of `--controller`.
pub(super) async fn look(cli: &Cli, cluster: Option<&Arc<Cluster>>, view: Option<&View>, findings: &mut Vec<Finding>) {
    match looked(cli, cluster, view).await {
        Ok(found) => findings.extend(found),
        Err(failure) => findings.push(finding(CHECK, State::Fail, failure.to_string(), "")),
    }
}

async fn looked(cli: &Cli, cluster: Option<&Arc<Cluster>>, view: Option<&View>) -> Result<Vec<Finding>, Failure> {
    let mut http = credentials::controller(cli)?;
    let bounds = Bounds { deadline: cli.source.agent_timeout, ..Bounds::default() };
    if let Some(url) = &cli.source.controller {
        let parsed = AgentUrl::with_port(url, routes::CONTROLLER_PORT);
        let url = parsed.map_err(|error| Failure::usage(format_args!("--controller {error}")))?;
        let (name, client) = (url.to_string(), DirectClient::new(http).map_err(Failure::configuration)?);
        return Ok(vec![ready(&name, &Route::Url(Direct { url, client }), bounds).await]);
    }
    let Some(cluster) = cluster else {
        return Ok(vec![finding(CHECK, State::Skip, "needs an API server to be looked up", "--controller URL")]);
    };
    let (pods, namespace) = match pods(cluster, cli.source.khan_namespace.as_deref()).await {
        Ok(found) => found,
        Err(error) => {
            let found = error.to_string().replacen("agents", "controllers", 1);
            return Ok(vec![finding(CHECK, State::Warn, found, "--controller URL")]);
        }
    };
    if pods.is_empty() {
        let place =
            namespace.map_or_else(|| "in any namespace".to_owned(), |namespace| format!("in namespace {namespace}"));
        // Agents that are asked by their URLs, or that were given no controller, may well live without.
        let given = view.is_none_or(|view| view.nodes.iter().any(|node| !node.names.controller.is_empty()));
        let state = match (cli.source.agent.is_empty(), given) {
            (true, true) => State::Fail,
            (true, false) => State::Warn,
            (false, _) => State::Skip,
        };
        let found = format!("no khan-controller runs {place}: addresses have no names");
        return Ok(vec![finding(
            CHECK,
            state,
            found,
            "install it (kubectl apply -k deploy/), or give --khan-namespace",
        )]);
    }
    http.tls_config.server_name.get_or_insert_with(|| SERVICE.to_owned());
    let options = DiscoveryOptions {
        namespace: namespace.map(str::to_owned),
        selector: SELECTOR.to_owned(),
        port: None,
        connect: credentials::way(Connect::Auto, &http)?,
        nodes: Vec::new(),
        client: DirectClient::new(http).map_err(Failure::configuration)?,
    };
    let targets = discovery::look(Arc::clone(cluster), options).await.map(|targets| targets.list).unwrap_or_default();
    let mut found = Vec::new();
    for pod in &pods {
        found.push(one(pod, targets.iter().find(|target| target.name == pod.name()), bounds).await);
    }
    found.extend(left_over(&pods));
    found.extend(versions(&pods, view));
    Ok(found)
}

/// The controllers' pods, and where they were looked for.
async fn pods<'a>(
    cluster: &Cluster,
    namespace: Option<&'a str>,
) -> Result<(Vec<Pod>, Option<&'a str>), DiscoveryError> {
    let listed = match list::pods(cluster, namespace, SELECTOR, Part::Whole).await {
        Err(DiscoveryError::Denied(_)) if namespace.is_none() => {
            (list::pods(cluster, Some(NAMESPACE), SELECTOR, Part::Whole).await?, Some(NAMESPACE))
        }
        listed => (listed?, namespace),
    };
    let (mut pods, namespace): (Vec<Pod>, _) = listed;
    pods.retain(|pod| !matches!(&*pod.status.phase, "Succeeded" | "Failed"));
    Ok((pods, namespace))
}

/// One pod: what Kubernetes says of it, and what it says itself.
async fn one(pod: &Pod, target: Option<&Target>, bounds: Bounds) -> Finding {
    let name = pod.name();
    let namespace = &pod.metadata.namespace;
    if pod.is_ready() {
        return finding(CHECK, State::Ok, format!("{name} is ready"), "");
    }
    if let Some(trouble) = pod.trouble() {
        let remedy = format!("kubectl -n {namespace} describe pod {}", pod.metadata.name);
        return finding(CHECK, State::Fail, format!("{name} does not run: {trouble}"), remedy);
    }
    let Some(target) = target else {
        let remedy = format!("kubectl -n {namespace} logs {}", pod.metadata.name);
        return finding(CHECK, State::Fail, format!("{name} is not ready"), remedy);
    };
    ready(&name, &target.route, bounds).await
}

/// The first lines of an answer, as a terminal may show them.
fn printable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(2048)]).into_owned();
    text.lines().map(|line| Sentence::from(line).to_string() + "\n").collect()
}

/// What `/readyz` says.
async fn ready(name: &str, route: &Route, bounds: Bounds) -> Finding {
    const REMEDY: &str = "agents have no names, or old ones, until it is ready: read the controller's log";
    match route.exchange(&Ask::get(routes::READYZ), bounds).await {
        Ok(reply) if reply.status.is_success() => {
            let text = printable(&reply.body);
            let without: Vec<&str> = text.lines().filter(|line| line.starts_with("without ")).collect();
            if without.is_empty() {
                return finding(CHECK, State::Ok, format!("{name} is ready"), "");
            }
            finding(CHECK, State::Warn, format!("{name} is ready, {}", without.join(", ")), "read the controller's log")
        }
        Ok(reply) => {
            let text = printable(&reply.body);
            let waits: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            finding(CHECK, State::Fail, format!("{name} is not ready: {}", waits.join(", ")), REMEDY)
        }
        Err(error) => finding(CHECK, State::Fail, format!("{name} {error}"), REMEDY),
    }
}

/// Controllers in several namespaces: a change of overlays leaves one behind.
fn left_over(pods: &[Pod]) -> Option<Finding> {
    let namespaces: BTreeSet<&str> = pods.iter().map(|pod| pod.metadata.namespace.as_str()).collect();
    (namespaces.len() > 1).then(|| {
        let list = namespaces.into_iter().collect::<Vec<_>>().join(", ");
        let found = format!("controllers run in several namespaces ({list}): one may be left from another overlay");
        finding(CHECK, State::Warn, found, "delete the one that agents do not ask (deploy/README.md, Installing)")
    })
}

/// A controller of another version than every agent's.
fn versions(pods: &[Pod], view: Option<&View>) -> Option<Finding> {
    let agents: BTreeSet<&str> =
        view?.nodes.iter().map(|node| &*node.version).filter(|version| !version.is_empty()).collect();
    let labelled = pods.iter().filter_map(|pod| pod.metadata.labels.get("app.kubernetes.io/version"));
    let other = labelled.map(Label::as_str).find(|version| !agents.contains(version))?;
    let agents = (!agents.is_empty()).then(|| agents.into_iter().collect::<Vec<_>>().join(", "))?;
    let found = format!("a controller has version {other}, the agents have {agents}");
    Some(finding(CHECK, State::Warn, found, "finish the rollout"))
}
