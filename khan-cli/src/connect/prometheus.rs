//! Flags to a started Prometheus source.

use std::sync::Arc;
use std::time::Duration;

use khan_api::Timestamp;

use crate::args::Cli;
use crate::args::prom_args::PromArgs;
use crate::connect::cluster;
use crate::feed::Feed;
use crate::model::{Query, SourceInfo, SourceKind, View};
use crate::sources::agents::route::DirectClient;
use crate::sources::exchange::Bounds;
use crate::sources::http_config::{BasicAuth, HeaderSource, HttpConfig};
use crate::sources::nodes::NodeChoice;
use crate::sources::prometheus::client::{Client, PrometheusUrl, PrometheusUrlError};
use crate::sources::prometheus::label_set::LabelSet;
use crate::sources::prometheus::moment;
use crate::sources::prometheus::run::{self, Plan};
use khan_serve::exit::Failure;

/// Answers about the past hold many points, and one server is asked, not hundreds.
const LARGEST_ANSWER: usize = 128 << 20;
/// Queries are expensive enough to be asked less often than agents.
const LEAST_INTERVAL: Duration = Duration::from_secs(5);

/// Asks the server at `url` what `query` needs, with its past.
pub(crate) async fn start(cli: &Cli, url: &str, query: &Query) -> Result<Feed, Failure> {
    let mut source = SourceInfo { kind: SourceKind::Prometheus, ..SourceInfo::default() };
    let client = client(cli, url, &mut source).await?;
    let plan = Plan {
        interval: cli.source.interval.max(LEAST_INTERVAL),
        window: query.trend.max(query.window),
        since: cli.source.looks_back,
        labels: LabelSet::of(query),
        nodes: NodeChoice::new(&cli.source.node),
    };
    let name = client.url().to_owned();
    tracing::info!(url = name, every = ?plan.interval, "Asking Prometheus");
    run::start(client, plan, source).await.map_err(|error| Failure::unreachable(format_args!("{name} {error}")))
}

/// What the server at `url` held at `at`, as far as `query` needs it.
pub(crate) async fn moment(cli: &Cli, url: &str, query: &Query, at: Timestamp) -> Result<View, Failure> {
    let mut source = SourceInfo { kind: SourceKind::Prometheus, ..SourceInfo::default() };
    let client = client(cli, url, &mut source).await?;
    let nodes = NodeChoice::new(&cli.source.node);
    let view = moment::moment(&client, &LabelSet::of(query), &nodes, at, source).await;
    view.map_err(|error| Failure::unreachable(format_args!("{} {error}", client.url())))
}

/// A client of the server at `url`.
pub(crate) async fn client(cli: &Cli, url: &str, source: &mut SourceInfo) -> Result<Client, Failure> {
    let bounds = Bounds { deadline: cli.prometheus.prometheus_timeout, body: LARGEST_ANSWER };
    let config = config(&cli.prometheus)?;
    match url.parse().map_err(|error: PrometheusUrlError| Failure::usage(format_args!("--prometheus-url {error}")))? {
        PrometheusUrl::Http(url) => {
            let refuse = |error| Failure::usage(format_args!("--prometheus-url: {error}"));
            config.check_url(&url).map_err(refuse)?;
            let client = DirectClient::new(config).map_err(Failure::configuration)?;
            Ok(Client::http(url, client, bounds))
        }
        PrometheusUrl::Service(service) => {
            let cluster = cluster(&cli.kube).await?;
            source.context.clone_from(&cluster.context);
            let headers = config.headers().map_err(Failure::configuration)?;
            Ok(Client::service(Arc::new(cluster), &service, headers, bounds))
        }
    }
}

/// The file's settings, and over them those of single flags.
pub(crate) fn config(args: &PromArgs) -> Result<HttpConfig, Failure> {
    let mut config = match &args.prometheus_config {
        Some(file) => {
            HttpConfig::read(file).map_err(|error| Failure::usage(format_args!("--prometheus-config {error}")))?
        }
        None => HttpConfig::default(),
    };
    if let Some(file) = &args.prometheus_bearer_token_file {
        config.bearer_token_file = Some(file.clone());
    }
    if args.prometheus_username.is_some() || args.prometheus_password_file.is_some() {
        let basic = config.basic_auth.get_or_insert_with(BasicAuth::default);
        if let Some(name) = &args.prometheus_username {
            basic.username.clone_from(name);
        }
        if let Some(file) = &args.prometheus_password_file {
            basic.password_file = Some(file.clone());
        }
    }
    let tls = &mut config.tls_config;
    tls.ca_file = args.prometheus_ca_file.clone().or(tls.ca_file.take());
    tls.cert_file = args.prometheus_cert_file.clone().or(tls.cert_file.take());
    tls.key_file = args.prometheus_key_file.clone().or(tls.key_file.take());
    tls.insecure_skip_verify |= args.prometheus_insecure_skip_verify;
    for header in &args.prometheus_header {
        let (name, value) = header.split_once(':').ok_or_else(|| {
            Failure::usage("--prometheus-header is not of the form 'NAME: VALUE', for example 'X-Scope-OrgID: team'")
        })?;
        let source = HeaderSource { values: vec![value.trim().to_owned()], ..HeaderSource::default() };
        config.http_headers.insert(name.trim().to_owned(), source);
    }
    config.check().map_err(Failure::configuration)?;
    Ok(config)
}
