//! Flags to a started source. Which one is decided by what is configured, before anybody is asked: another source than the
//! one that was meant gives another answer, so it never steps in when that fails.

pub(crate) mod credentials;
pub(crate) mod labelled;
pub(crate) mod controller;
pub(crate) mod prometheus;

use std::io::IsTerminal;
use std::sync::Arc;

use tokio::sync::watch;

use crate::args::Cli;
use crate::args::kube_args::KubeArgs;
use crate::args::source_args::SourceChoice;
use crate::feed::{Feed, channel};
use crate::model::{Query, SourceInfo, SourceKind, View};
use crate::sources::agents::discovery::{DiscoveryError, DiscoveryOptions, discover};
use crate::sources::agents::poll::{self, Plan};
use crate::sources::agents::route::DirectClient;
use crate::sources::agents::route::pod::Connect;
use crate::sources::agents::targets::Targets;
use crate::sources::agents::{self, url::AgentUrl};
use crate::sources::cluster::{Cluster, ClusterError, ClusterOptions};
use crate::sources::exchange::Bounds;
use crate::sources::http_config::HttpConfig;
use crate::sources::nodes::NodeChoice;
use crate::sources::{recording, reverse_dns};
use khan_serve::exit::{Failure, USAGE};

/// Starts the source that the flags ask for, or the recording. `query` is what is asked of it first: Prometheus is asked
/// for no more.
pub(crate) async fn start(cli: &Cli, query: &Query) -> Result<Feed, Failure> {
    begin(cli, query, None).await
}

/// The same, with views that say who answers for the services that `dialled` finds dialled.
pub(crate) async fn with_endpoints(cli: &Cli, query: &Query, dialled: &Query) -> Result<Feed, Failure> {
    begin(cli, query, Some(dialled)).await
}

async fn begin(cli: &Cli, query: &Query, dialled: Option<&Query>) -> Result<Feed, Failure> {
    if let Some(file) = &cli.source.replay {
        tracing::info!(file = %file.display(), "Reading a recording");
        return recording::replay(file, &NodeChoice::new(&cli.source.node))
            .map_err(|error| Failure::usage(format_args!("--replay {error}")));
    }
    // Before what cannot be is noticed, nothing is started.
    if let Some(file) = &cli.source.record {
        cli.source.recording.check(file).map_err(|error| Failure::usage(format_args!("--record {error}")))?;
    }
    let server = cli.source.reverse_dns.as_deref().map(reverse_dns::server).transpose();
    let server = server.map_err(|error| Failure::usage(format_args!("--reverse-dns: {error}")))?;
    let feed = source(cli, query).await?;
    let feed = match server {
        Some(server) => reverse_dns::named(feed, server),
        None => feed,
    };
    // A recording may be asked for more than what it was made for.
    let everything = Query::default();
    let dialled = if cli.source.record.is_some() { Some(&everything) } else { dialled };
    let feed = match dialled {
        Some(dialled) => controller::with_endpoints(cli, feed, dialled).await,
        None => feed,
    };
    match &cli.source.record {
        Some(file) => recording::record(feed, file, cli.source.recording.clone(), cli.source.recording_bounds())
            .map_err(|error| Failure::usage(format_args!("--record {error}"))),
        None => Ok(feed),
    }
}

/// A source, before it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Chosen {
    Agents,
    Prometheus(String),
    Local,
    Sockets,
}

/// `--source`, or what is configured: agents by URL, a Prometheus by flag, a cluster, a Prometheus by the variable that
/// other tools read as well, and this host where nothing is.
fn choose(cli: &Cli, cluster: impl Fn() -> bool, usual: Option<String>) -> Result<Chosen, Failure> {
    let by_flag = cli.prometheus.prometheus_url.clone();
    Ok(match cli.source.source {
        SourceChoice::Agents => Chosen::Agents,
        SourceChoice::Local => Chosen::Local,
        SourceChoice::Sockets => Chosen::Sockets,
        SourceChoice::Prometheus => {
            let missing = || Failure::usage("--source prometheus needs --prometheus-url (or PROMETHEUS_URL)");
            Chosen::Prometheus(by_flag.or(usual).ok_or_else(missing)?)
        }
        SourceChoice::Auto if !cli.source.agent.is_empty() => Chosen::Agents,
        SourceChoice::Auto if by_flag.is_none() && cluster() => Chosen::Agents,
        SourceChoice::Auto => match by_flag.or(usual) {
            Some(url) => Chosen::Prometheus(url),
            None if cfg!(target_os = "linux") => Chosen::Local,
            None => {
                return Err(Failure::unreachable(
                    "no source of connections is configured: give --agent URL, a kubeconfig that leads to khan-agents, \
                     or --prometheus-url URL",
                ));
            }
        },
    })
}

/// The flags for a source that knows the past beyond what it has shown, and its URL: a Prometheus, where one is configured
/// in any way. `flag` is what needs it.
pub(crate) fn looking_back(cli: &Cli, flag: &str) -> Result<(Cli, String), Failure> {
    let unable = || {
        Failure::usage(format_args!(
            "{flag} needs a source that knows the past: give --prometheus-url URL, or a recording with --replay FILE"
        ))
    };
    // A cluster's agents know the present only.
    let Chosen::Prometheus(url) = choose(cli, || false, usual_prometheus())? else { return Err(unable()) };
    let mut cli = cli.clone();
    (cli.source.source, cli.source.looks_back) = (SourceChoice::Prometheus, true);
    cli.prometheus.prometheus_url = Some(url.clone());
    Ok((cli, url))
}

async fn source(cli: &Cli, query: &Query) -> Result<Feed, Failure> {
    let chosen = choose(cli, || is_cluster_configured(&cli.kube), usual_prometheus())?;
    let started = match &chosen {
        Chosen::Agents => Box::pin(agents(cli)).await,
        Chosen::Prometheus(url) => Box::pin(prometheus::start(cli, url, query)).await,
        Chosen::Local => local(cli, SourceKind::Local).await,
        Chosen::Sockets => local(cli, SourceKind::Sockets).await,
    };
    started.map_err(|failure| match cli.source.source {
        SourceChoice::Auto if failure.code() != USAGE => failure.with_hint(remedy(&chosen)),
        _ => failure,
    })
}

/// Names the other sources, for users who did not choose one.
const fn remedy(chosen: &Chosen) -> &'static str {
    match chosen {
        Chosen::Agents => {
            "Khan does not fall back to another source: use --source prometheus or --source local (this host's own table) if you want one"
        }
        Chosen::Prometheus(_) => {
            "Khan does not fall back to another source: use --source agents or --source local (this host's own table) if you want one"
        }
        Chosen::Local | Chosen::Sockets => {
            "to see a cluster give --agent URL, a kubeconfig that leads to khan-agents, or --prometheus-url URL; to see this \
             host alone use --source local as root, or --source sockets"
        }
    }
}

/// Whether flags, variables, a file at the usual place or a pod's service account lead to a cluster.
pub(crate) fn is_cluster_configured(args: &KubeArgs) -> bool {
    args.is_explicit() || crate::sources::cluster::is_configured()
}

/// This host's own table.
#[cfg(target_os = "linux")]
async fn local(cli: &Cli, kind: SourceKind) -> Result<Feed, Failure> {
    use crate::sources::local;
    let host = local::host();
    if let Some(other) = cli.source.node.iter().find(|node| **node != host) {
        return Err(Failure::usage(format_args!(
            "--node {other}: --source {} knows node {host} and no other; agents (--source agents) and \
             Prometheus (--source prometheus) know several nodes",
            kind.as_str()
        )));
    }
    let what = if kind == SourceKind::Sockets { "sockets" } else { "connection tracking table" };
    let unreadable = || {
        let hint = "--source sockets shows this host's own sockets without it";
        let failure = Failure::unreachable(format_args!("this host's {what} cannot be read"));
        if kind == SourceKind::Sockets { failure } else { failure.with_hint(hint) }
    };
    local::start(kind, cli.source.interval).await.map_err(|error| unreadable().caused_by(error))
}

/// This host's own table.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unused_async, reason = "as on Linux")]
async fn local(_: &Cli, kind: SourceKind) -> Result<Feed, Failure> {
    Err(Failure::usage(format_args!("--source {} reads what only Linux has", kind.as_str())))
}

/// What other tools of the trade read, too.
pub(crate) fn usual_prometheus() -> Option<String> {
    std::env::var("PROMETHEUS_URL").ok().filter(|url| !url.is_empty())
}

/// Agents, and nothing else.
pub(crate) async fn agents(cli: &Cli) -> Result<Feed, Failure> {
    let http = credentials::agents(cli)?;
    let mut source = SourceInfo { kind: SourceKind::Agents, ..SourceInfo::default() };
    let targets = if cli.source.agent.is_empty() {
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
        nodes: NodeChoice::new(&cli.source.node),
    };
    tracing::info!(agents = targets.borrow().list.len(), every = ?plan.interval, "Asking agents");
    let (feeder, feed) = channel(View::empty(source.clone()));
    tokio::spawn(poll::run(feeder, targets, plan, source));
    Ok(feed)
}

fn named(cli: &Cli, http: HttpConfig) -> Result<Targets, Failure> {
    let urls: Result<Vec<AgentUrl>, _> = cli.source.agent.iter().map(|text| text.parse()).collect();
    let urls = urls.map_err(|error| Failure::usage(format_args!("--agent {error}")))?;
    agents::fixed(&urls, http).map_err(Failure::configuration)
}

async fn discovered(cli: &Cli, cluster: Cluster, http: HttpConfig) -> Result<watch::Receiver<Targets>, Failure> {
    let options = DiscoveryOptions {
        namespace: cli.source.khan_namespace.clone(),
        selector: cli.source.khan_selector.clone(),
        port: cli.source.agent_port,
        connect: credentials::way(cli.source.connect, &http)?,
        nodes: cli.source.node.clone(),
        client: DirectClient::new(http).map_err(Failure::configuration)?,
    };
    let targets = discover(Arc::new(cluster), options).await.map_err(|error| explain(&error))?;
    let nobody = targets.borrow().list.is_empty().then(|| targets.borrow().notes.join("; "));
    nobody.map_or(Ok(targets), |nobody| Err(Failure::unreachable(nobody)))
}

fn explain(error: &DiscoveryError) -> Failure {
    let remedy = error.remedy().map(|manifest| format!("\nthis would allow it (kubectl apply -f -):\n{manifest}"));
    Failure::unreachable(format_args!("{error}{}", remedy.unwrap_or_default()))
}

/// The cluster that kubectl's flags lead to.
pub(crate) async fn cluster(args: &KubeArgs) -> Result<Cluster, Failure> {
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
        ClusterError::Absent | ClusterError::Credentials { .. } => Failure::unreachable(error),
        ClusterError::Kubeconfig { .. } | ClusterError::Plain { .. } => Failure::usage(error),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn what_is_configured_decides() {
        let chosen = |flags: &[&str], cluster: bool, usual: Option<&str>| {
            let cli = Cli::parse_from([&["khan", "top"], flags].concat());
            choose(&cli, || cluster, usual.map(str::to_owned)).map_err(|failure| failure.code())
        };
        let prometheus = |url: &str| Ok(Chosen::Prometheus(url.to_owned()));
        assert_eq!(
            chosen(&["--agent", "n1", "--prometheus-url", "http://a"], true, Some("http://b")),
            Ok(Chosen::Agents)
        );
        assert_eq!(chosen(&["--prometheus-url", "http://a"], true, Some("http://b")), prometheus("http://a"));
        assert_eq!(chosen(&[], true, Some("http://b")), Ok(Chosen::Agents));
        assert_eq!(chosen(&[], false, Some("http://b")), prometheus("http://b"));
        assert_eq!(chosen(&[], false, None), if cfg!(target_os = "linux") { Ok(Chosen::Local) } else { Err(4) });
        assert_eq!(chosen(&["--source", "local"], true, Some("http://b")), Ok(Chosen::Local));
        assert_eq!(chosen(&["--source", "agents"], false, Some("http://b")), Ok(Chosen::Agents));
        assert_eq!(chosen(&["--source", "prometheus"], true, Some("http://b")), prometheus("http://b"));
        assert_eq!(chosen(&["--source", "prometheus"], true, None), Err(USAGE));
    }
}
