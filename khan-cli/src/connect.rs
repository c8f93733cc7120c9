//! Flags to a started source: explicit addresses beat discovery, discovery beats Prometheus, Prometheus beats this host.

pub mod labelled;
pub mod prometheus;

use std::io::IsTerminal;
use std::sync::Arc;

use tokio::sync::watch;

use crate::cli::Cli;
use crate::cli::kube_args::KubeArgs;
use crate::cli::source_args::SourceChoice;
use crate::failure::{Failure, USAGE};
use crate::feed::{Feed, channel};
use crate::model::{Query, SourceInfo, SourceKind, View};
use crate::source::agents::discovery::{DiscoveryError, DiscoveryOptions, discover};
use crate::source::agents::poll::{self, Plan};
use crate::source::agents::roster::Roster;
use crate::source::agents::route::DirectClient;
use crate::source::agents::route::pod::Connect;
use crate::source::agents::{self, url::AgentUrl};
use crate::source::cluster::{Cluster, ClusterError, ClusterOptions};
use crate::source::exchange::Bounds;
use crate::source::http_config::HttpConfig;
use crate::source::recording;

/// Starts the source that the flags ask for, or the recording. `query` is what is asked of it first: Prometheus is asked
/// for no more.
pub async fn start(cli: &Cli, query: &Query) -> Result<Feed, Failure> {
    if let Some(file) = &cli.source.replay {
        tracing::info!(file = %file.display(), "Reading a recording");
        return recording::replay(file).map_err(|error| Failure::usage(format_args!("--replay {error}")));
    }
    let feed = source(cli, query).await?;
    match &cli.source.record {
        Some(file) => recording::record(feed, file).map_err(|error| Failure::usage(format_args!("--record {error}"))),
        None => Ok(feed),
    }
}

async fn source(cli: &Cli, query: &Query) -> Result<Feed, Failure> {
    match (cli.source.source, &cli.prometheus.prometheus_url) {
        (SourceChoice::Agents, _) => Box::pin(agents(cli)).await,
        (SourceChoice::Auto, _) if !cli.source.agent.is_empty() => Box::pin(agents(cli)).await,
        (SourceChoice::Auto | SourceChoice::Prometheus, Some(url)) => {
            Box::pin(prometheus::start(cli, url, query)).await
        }
        (SourceChoice::Auto, None) => Box::pin(auto(cli, query)).await,
        (SourceChoice::Prometheus, None) => match usual_prometheus() {
            Some(url) => Box::pin(prometheus::start(cli, &url, query)).await,
            None => Err(Failure::usage("--source prometheus needs --prometheus-url (or PROMETHEUS_URL)")),
        },
        (SourceChoice::Local, _) => local(cli).await,
    }
}

/// This host's own table.
#[cfg(target_os = "linux")]
async fn local(cli: &Cli) -> Result<Feed, Failure> {
    crate::source::local::start(cli.source.interval).await.map_err(Failure::runtime)
}

/// This host's own table.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unused_async, reason = "as on Linux")]
async fn local(_: &Cli) -> Result<Feed, Failure> {
    Err(Failure::usage("--source local reads the kernel's connection tracking table, which only Linux has"))
}

/// What other tools of the trade read, too.
pub fn usual_prometheus() -> Option<String> {
    std::env::var("PROMETHEUS_URL").ok().filter(|url| !url.is_empty())
}

async fn auto(cli: &Cli, query: &Query) -> Result<Feed, Failure> {
    match agents(cli).await {
        Ok(feed) => Ok(feed),
        Err(failure) if cli.kube.is_explicit() || failure.code == USAGE => Err(failure),
        Err(failure) => match (usual_prometheus(), local(cli)) {
            (Some(url), _) => {
                eprintln!("note: the Prometheus at {url} is asked, because of agents: {failure}");
                Box::pin(prometheus::start(cli, &url, query)).await
            }
            (None, local) => here(local.await, &failure),
        },
    }
}

/// This host's table where there is nothing else, and where it can be read.
fn here(local: Result<Feed, Failure>, agents: &Failure) -> Result<Feed, Failure> {
    match local {
        Ok(feed) => {
            eprintln!("note: this host's own table is shown, because of agents: {agents}");
            Ok(feed)
        }
        Err(here) => Err(Failure::unreachable(format_args!(
            "no source of connections: {agents}; this host: {here}; give --agent URL or a kubeconfig that leads to \
                 khan-agents, or --prometheus-url URL, or read this host alone with --source local as root"
        ))),
    }
}

/// Agents, and nothing else.
pub async fn agents(cli: &Cli) -> Result<Feed, Failure> {
    let http = HttpConfig::default();
    let mut source = SourceInfo { kind: SourceKind::Agents, ..SourceInfo::default() };
    let roster = if cli.source.agent.is_empty() {
        let cluster = cluster(&cli.kube).await?;
        source.context.clone_from(&cluster.context);
        if cli.source.connect != Connect::Auto {
            cli.source.connect.as_str().clone_into(&mut source.detail);
        }
        discovered(cli, cluster, http).await?
    } else {
        watch::channel(named(cli, http)?).1
    };
    let plan = Plan {
        interval: cli.source.interval,
        max_in_flight: cli.source.max_in_flight,
        bounds: Bounds { deadline: cli.source.agent_timeout, ..Bounds::default() },
    };
    tracing::info!(agents = roster.borrow().targets.len(), every = ?plan.interval, "Asking agents");
    let (feeder, feed) = channel(View::empty(source.clone()));
    tokio::spawn(poll::run(feeder, roster, plan, source));
    Ok(feed)
}

fn named(cli: &Cli, http: HttpConfig) -> Result<Roster, Failure> {
    let urls: Result<Vec<AgentUrl>, _> = cli.source.agent.iter().map(|text| text.parse()).collect();
    let urls = urls.map_err(|error| Failure::usage(format_args!("--agent {error}")))?;
    agents::fixed(&urls, http).map_err(Failure::usage)
}

async fn discovered(cli: &Cli, cluster: Cluster, http: HttpConfig) -> Result<watch::Receiver<Roster>, Failure> {
    let options = DiscoveryOptions {
        namespace: cli.source.khan_namespace.clone(),
        selector: cli.source.khan_selector.clone(),
        port: cli.source.agent_port,
        connect: cli.source.connect,
        nodes: cli.source.node.clone(),
        client: DirectClient::new(http).map_err(Failure::usage)?,
    };
    let roster = discover(Arc::new(cluster), options).await.map_err(|error| explain(&error))?;
    let nobody = roster.borrow().targets.is_empty().then(|| roster.borrow().notes.join("; "));
    nobody.map_or(Ok(roster), |nobody| Err(Failure::unreachable(nobody)))
}

fn explain(error: &DiscoveryError) -> Failure {
    let remedy = error.remedy().map(|manifest| format!("\nthis would allow it (kubectl apply -f -):\n{manifest}"));
    Failure::unreachable(format_args!("{error}{}", remedy.unwrap_or_default()))
}

/// The cluster that kubectl's flags lead to.
pub async fn cluster(args: &KubeArgs) -> Result<Cluster, Failure> {
    let token = match (&args.token, &args.token_file) {
        (Some(token), _) => Some(token.clone()),
        (None, Some(path)) => {
            let read = std::fs::read_to_string(path);
            let text =
                read.map_err(|error| Failure::usage(format_args!("--token-file {}: {error}", path.display())))?;
            Some(text.trim().to_owned())
        }
        (None, None) => None,
    };
    let options = ClusterOptions {
        kubeconfig: args.kubeconfig.clone(),
        context: args.context.clone(),
        cluster: args.cluster.clone(),
        user: args.user.clone(),
        impersonate: args.impersonate.clone(),
        impersonate_groups: args.impersonate_groups.clone(),
        token,
        insecure_skip_tls_verify: args.insecure_skip_tls_verify,
        request_timeout: Some(args.request_timeout),
        interactive: std::io::stdin().is_terminal(),
    };
    Cluster::open(&options).await.map_err(|error| match error {
        ClusterError::Absent => Failure::unreachable(error),
        ClusterError::Kubeconfig { .. } => Failure::usage(error),
        ClusterError::Credentials { .. } => Failure::runtime(error),
    })
}
