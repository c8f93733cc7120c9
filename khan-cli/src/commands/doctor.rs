//! `khan doctor`: what works from here, what does not, and what would mend it.

mod controller;

use std::io::IsTerminal;
use std::sync::Arc;

use http::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::printer::Printer;
use super::session;
use crate::args::Cli;
use crate::connect;
use crate::model::{GroupBy, NodeState, Query, View};
use crate::report::item::{json as value, known};
use crate::report::nodes::problems;
use crate::report::{Cell, Column, Head, Line, Report};
use crate::sources::cluster::Cluster;
use crate::sources::exchange::Ask;
use crate::sources::rbac::{self, Denial, NAMESPACE};
use khan_serve::exit::Failure;

/// One thing that was looked at.
struct Finding {
    check: &'static str,
    state: State,
    found: String,
    remedy: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Warn,
    Fail,
    Skip,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "-",
        }
    }
}

fn finding(check: &'static str, state: State, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { check, state, found: found.into(), remedy: remedy.into() }
}

/// Looks at everything, prints, and fails when a check does, or when nothing can show connections.
pub(crate) async fn run(cli: &Cli) -> Result<(), Failure> {
    let mut printer = Printer::new(cli)?;
    let mut findings = Vec::new();
    let cluster = match connect::cluster(&cli.kube).await {
        Ok(cluster) => {
            findings.push(finding("kubeconfig", State::Ok, place(&cluster), ""));
            api_server(&cluster, &mut findings).await.then(|| Arc::new(cluster))
        }
        Err(failure) => {
            // A server that is not configured is not missing.
            let state = if connect::is_cluster_configured(&cli.kube) { State::Fail } else { State::Skip };
            findings.push(finding("kubeconfig", state, failure.to_string(), ""));
            None
        }
    };
    let mut about_agents = Vec::new();
    let view = agents(cli, cluster.is_some(), &mut about_agents).await;
    let mut manifest = None;
    if let Some(cluster) = &cluster {
        manifest = permissions(cli, cluster, view.as_deref(), &mut findings).await;
    }
    findings.append(&mut about_agents);
    controller::look(cli, cluster.as_ref(), view.as_deref(), &mut findings).await;
    let agents = view.is_some_and(|view| view.count(NodeState::Ok) > 0);
    let prometheus = prometheus(cli, &mut findings).await;
    let local = local(&mut findings);
    terminal(&mut findings);
    printer.print(&report(&findings, manifest.as_deref()))?;
    let listed = manifest.is_some();
    if let Some(manifest) = manifest {
        // The whole of it can go to kubectl as it stands.
        printer.note("# This allows what is missing: kubectl apply -f -");
        for line in manifest.lines() {
            printer.note(line);
        }
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let ended = if agents || prometheus || local {
        verdict(count(State::Fail), count(State::Warn), cli.output.strict)
    } else {
        Err(Failure::unreachable("no source of connections works from here"))
    };
    // A manifest on stderr must stay one.
    ended.map_err(|failure| if listed { failure.unsaid() } else { failure })
}

/// How it ends where something can show connections.
fn verdict(failed: usize, warned: usize, strict: bool) -> Result<(), Failure> {
    let checks = |n: usize| if n == 1 { "check" } else { "checks" };
    match (failed, warned) {
        (0, 0) => Ok(()),
        (0, n) if strict => Err(Failure::partial(format_args!("{n} {} warned (--strict)", checks(n)))),
        (0, _) => Ok(()),
        (n, _) => Err(Failure::runtime(format_args!("{n} {} failed", checks(n)))),
    }
}

fn place(cluster: &Cluster) -> String {
    if cluster.inside {
        return format!("this is a pod of the cluster at {}", cluster.url);
    }
    format!("context {} leads to {}", cluster.context, cluster.url)
}

async fn api_server(cluster: &Cluster, findings: &mut Vec<Finding>) -> bool {
    let asked = cluster.exchange(&Ask::get("/version"), cluster.bounds).await;
    let (state, found, remedy) = match asked {
        Ok(reply) if reply.status.is_success() => {
            let version: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let version = version.get("gitVersion").and_then(Value::as_str).unwrap_or("an unknown version").to_owned();
            (State::Ok, format!("answers, {version}"), "")
        }
        Ok(reply) => (
            State::Fail,
            format!("answered {}: {}", reply.status, reply.first_line()),
            "log in again, or check the kubeconfig's user",
        ),
        Err(error) => (State::Fail, error.to_string(), "check the network, a VPN, and the kubeconfig's server"),
    };
    findings.push(finding("API server", state, found, remedy));
    state == State::Ok
}

/// Asks the API server itself what is allowed, where the agents are. Returns a manifest when something is not.
async fn permissions(cli: &Cli, cluster: &Cluster, view: Option<&View>, findings: &mut Vec<Finding>) -> Option<String> {
    // An agent behind an API server is called NAMESPACE/POD.
    let found = view.and_then(|view| view.nodes.first()).and_then(|node| node.agent.split_once('/'));
    let found = found.map(|(namespace, _)| namespace).filter(|_| cli.source.agent.is_empty());
    let namespace = cli.source.khan_namespace.as_deref().or(found).unwrap_or(NAMESPACE);
    let mut denied = Vec::new();
    for (resource, verb) in
        rbac::VIEWER.iter().flat_map(|(resource, verbs)| verbs.iter().map(|verb| (*resource, *verb)))
    {
        let mut answer = allowed(cluster, verb, resource, namespace).await;
        // Looked for everywhere first, agents are found with either.
        if matches!(answer, Ok(false)) && resource == "pods" {
            answer = allowed(cluster, verb, resource, "").await;
        }
        match answer {
            Ok(true) => {}
            Ok(false) => denied.push((verb, resource)),
            Err(reason) => {
                findings.push(finding("permissions", State::Warn, format!("cannot be asked for: {reason}"), ""));
                return None;
            }
        }
    }
    if denied.is_empty() {
        let found = format!("all that Khan needs in namespace {namespace} is allowed");
        findings.push(finding("permissions", State::Ok, found, ""));
        return None;
    }
    let closed = |resource: &str| denied.iter().any(|(_, denied)| *denied == resource);
    let blocked = closed("pods") || (closed("pods/proxy") && closed("pods/portforward"));
    for (verb, resource) in &denied {
        let effect = match *resource {
            "pods" => "cannot look up agents",
            "pods/proxy" => "agents are reached by port-forward only",
            _ if *verb == "create" => "from Kubernetes 1.35 on agents are reached by pod proxy only",
            _ => "up to Kubernetes 1.34 agents are reached by pod proxy only",
        };
        let state = if blocked { State::Fail } else { State::Warn };
        let found = format!("{verb} {resource} is not allowed in namespace {namespace}: {effect}");
        findings.push(finding("permissions", state, found, "apply the manifest below"));
    }
    let user = user(cluster).await;
    let denial = |(verb, resource)| Denial {
        verb,
        resource,
        namespace: Some(namespace.to_owned()),
        user: user.as_deref().map(Into::into),
    };
    Some(rbac::manifest(&denied.into_iter().map(denial).collect::<Vec<_>>()))
}

/// Who we are to the API server; servers before Kubernetes 1.28 do not tell.
async fn user(cluster: &Cluster) -> Option<String> {
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let answer = review_of(cluster, "/apis/authentication.k8s.io/v1/selfsubjectreviews", &review).await.ok()?;
    answer.pointer("/status/userInfo/username").and_then(Value::as_str).map(str::to_owned)
}

/// Whether the API server would let us; in every namespace when it is empty.
async fn allowed(cluster: &Cluster, verb: &str, resource: &str, namespace: &str) -> Result<bool, String> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "verb": verb, "resource": resource, "subresource": subresource, "namespace": namespace,
        } },
    });
    let answer = review_of(cluster, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &review).await?;
    Ok(answer.pointer("/status/allowed").and_then(Value::as_bool).unwrap_or(false))
}

async fn review_of(cluster: &Cluster, path: &str, review: &Value) -> Result<Value, String> {
    let mut ask = Ask::get(path);
    ask.method = Method::POST;
    ask.headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    ask.body = review.to_string().into();
    let reply = cluster.exchange(&ask, cluster.bounds).await.map_err(|error| error.to_string())?;
    if !reply.status.is_success() {
        return Err(format!("{}: {}", reply.status, reply.first_line()));
    }
    serde_json::from_slice(&reply.body).map_err(|error| error.to_string())
}

async fn agents(cli: &Cli, cluster: bool, findings: &mut Vec<Finding>) -> Option<Arc<View>> {
    const INSTALL: &str = "install Khan (kubectl apply -k deploy/), or use --prometheus-url or --source local";
    if cli.source.agent.is_empty() && !cluster {
        let state = if connect::is_cluster_configured(&cli.kube) { State::Fail } else { State::Skip };
        findings.push(finding("agents", state, "needs an API server to be looked up", "--agent URL"));
        return None;
    }
    let asked = async {
        let mut feed = connect::agents(cli).await?;
        let _ = feed.views.wait_for(|view| view.settled).await;
        let view = feed.views.borrow().clone();
        Ok::<_, Failure>(view)
    };
    let view = match asked.await {
        Ok(view) => view,
        Err(failure) => {
            let first = failure.to_string().lines().next().unwrap_or_default().to_owned();
            findings.push(finding("agents", State::Fail, first, INSTALL));
            return None;
        }
    };
    let (ok, all) = (view.count(NodeState::Ok), view.nodes.len());
    let state = if ok == all { State::Ok } else { State::Fail };
    findings.push(finding("agents", state, format!("{ok} of {all} answer with fresh snapshots"), ""));
    for node in &view.nodes {
        for problem in problems(node) {
            // A node that never answered is called by its agent's address, which the problem names.
            let known = !problem.contains(&node.node);
            let found = if known { format!("node {}: {problem}", node.node) } else { problem };
            findings.push(finding("agents", State::Warn, found, "khan agents -o wide"));
        }
        if node.clock_skew_millis.abs() > 5_000 {
            let skew = node.clock_skew_millis / 1000;
            findings.push(finding(
                "agents",
                State::Warn,
                format!("node {}: its clock differs by {skew}s", node.node),
                "check NTP",
            ));
        }
    }
    let mut versions: Vec<_> = view.nodes.iter().map(|node| node.version.as_str()).filter(|v| !v.is_empty()).collect();
    versions.sort_unstable();
    versions.dedup();
    if versions.len() > 1 {
        let found = format!("agents of different versions: {}", versions.join(", "));
        findings.push(finding("agents", State::Warn, found, "finish the rollout"));
    }
    Some(view)
}

async fn prometheus(cli: &Cli, findings: &mut Vec<Finding>) -> bool {
    let url = cli.prometheus.prometheus_url.clone().or_else(connect::usual_prometheus);
    let Some(url) = url else {
        findings.push(finding("Prometheus", State::Skip, "not configured", "--prometheus-url URL"));
        return false;
    };
    let asked = async {
        let query = Query {
            group_by: GroupBy::NODES,
            trend: std::time::Duration::ZERO,
            window: std::time::Duration::ZERO,
            ..Query::default()
        };
        let mut feed = connect::prometheus::start(cli, &url, &query).await?;
        session::settled(&mut feed).await.map(|start| start.view)
    };
    match asked.await {
        Ok(view) => {
            let found = format!("{url} knows {} connections of {} nodes", view.connections(), view.counted_nodes());
            findings.push(finding("Prometheus", State::Ok, found, ""));
            true
        }
        Err(failure) => {
            let remedy = "check the URL, credentials (--prometheus-config) and that it scrapes the agents";
            findings.push(finding("Prometheus", State::Fail, failure.to_string(), remedy));
            false
        }
    }
}

#[cfg(target_os = "linux")]
fn local(findings: &mut Vec<Finding>) -> bool {
    match khan_agent::local::Scanner::new("this host").scan() {
        Ok(snapshot) => {
            let found = format!("its table can be read: {} connections", snapshot.connections);
            findings.push(finding("this host", State::Ok, found, ""));
            true
        }
        Err(error) => {
            let why = khan_serve::exit::chain(&error);
            findings.push(finding("this host", State::Skip, why, "run as root for --source local"));
            false
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn local(findings: &mut Vec<Finding>) -> bool {
    findings.push(finding("this host", State::Skip, "only Linux has a connection tracking table", ""));
    false
}

fn terminal(findings: &mut Vec<Finding>) {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        findings.push(finding("terminal", State::Skip, "this is no terminal, so khan top prints a table", ""));
        return;
    }
    let locale =
        [variable("LC_ALL"), variable("LC_CTYPE"), variable("LANG")].into_iter().find(|value| !value.is_empty());
    let locale = locale.unwrap_or_default().to_lowercase();
    let utf8 = locale.contains("utf-8") || locale.contains("utf8");
    let (columns, rows) = crossterm::terminal::size().unwrap_or_default();
    let glyphs = if utf8 { "UTF-8" } else { "ASCII glyphs" };
    let colours = if variable("NO_COLOR").is_empty() { "colours" } else { "no colours (NO_COLOR)" };
    let found = format!("TERM={}, {columns}x{rows}, {glyphs}, {colours}", variable("TERM"));
    let small = columns < 80 || rows < 24;
    let (state, remedy) = if small { (State::Warn, "80x24 shows every column") } else { (State::Ok, "") };
    findings.push(finding("terminal", state, found, remedy));
    if variable("TERM") == "dumb" || variable("TERM").is_empty() {
        findings.push(finding("terminal", State::Warn, "TERM says that it cannot draw", "set TERM, or use --once"));
    }
}

/// Every column, in the order in which they stand.
static COLUMNS: [Column<Finding>; 4] = [
    Column::new(Head::text("check"), |finding| Cell::text(finding.check)),
    Column::new(Head::text("state"), |finding| Cell::text(finding.state.as_str())),
    Column::new(Head::text("finding"), |finding| Cell::text(&finding.found)),
    Column::new(Head::text("remedy"), |finding| Cell::text(&finding.remedy)),
];

/// The JSON of a finding.
#[derive(Serialize)]
struct Item<'a> {
    check: &'a str,
    state: &'a str,
    finding: &'a str,
    remedy: Option<&'a str>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    manifest: Option<&'a str>,
}

fn report(findings: &[Finding], manifest: Option<&str>) -> Report {
    let line = |f: &Finding| Line {
        cells: COLUMNS.iter().map(|column| (column.cell)(f)).collect(),
        item: value(Item { check: f.check, state: f.state.as_str(), finding: &f.found, remedy: known(&f.remedy) }),
        name: f.check.to_owned(),
    };
    Report {
        kind: "DoctorReport",
        metadata: value(Metadata { manifest }),
        columns: COLUMNS.iter().map(|column| column.head).collect(),
        rows: findings.iter().map(line).collect(),
        empty: String::new(),
    }
}
