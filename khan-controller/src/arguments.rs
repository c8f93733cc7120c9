//! Flags and their environment variables.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use khan_serve::listen::parse_address;
use khan_serve::logging::LogArguments;

use crate::auth::parse_ttl;

/// Watches pods, services, nodes and endpoints, and tells agents which object owns an address.
#[derive(Clone, Debug, Parser)]
#[command(name = "khan-controller", version)]
pub struct Arguments {
    /// Address and port to serve on; port 0 takes a free port and logs it
    #[arg(long, env = "KHAN_LISTEN", value_name = "ADDRESS:PORT", default_value = "0.0.0.0:14719",
        value_parser = parse_address)]
    pub listen: SocketAddr,

    /// Path to the kubeconfig file (default: the pod's service account, else what kubectl would use)
    #[arg(long, env = "KHAN_KUBECONFIG", value_name = "FILE", conflicts_with = "from_file")]
    pub kubeconfig: Option<PathBuf>,

    /// Read the cluster from the output of `kubectl get pods,services,nodes,endpointslices -A -o json` (or yaml), and read it
    /// again when it changes. Add `servicecidrs` where the cluster has them
    #[arg(long, env = "KHAN_FROM_FILE", value_name = "FILE")]
    pub from_file: Option<PathBuf>,

    /// Labels that name an object's app; the first one set wins
    #[arg(
        long,
        env = "KHAN_APP_LABELS",
        value_name = "LABEL,...",
        value_delimiter = ',',
        default_value = "app,app.kubernetes.io/name,k8s-app"
    )]
    pub app_labels: Vec<String>,

    /// Path to a file with names for addresses outside the cluster, one `CIDR NAME` per line; the longest CIDR wins; read again when it changes
    #[arg(long, env = "KHAN_EXTERNAL_NAMES", value_name = "FILE")]
    pub external_names: Option<PathBuf>,

    /// Path to a Prometheus exporter-toolkit web configuration (TLS, client certificates, passwords); read again when it changes
    #[arg(long, env = "KHAN_WEB_CONFIG", value_name = "FILE")]
    pub web_config: Option<PathBuf>,

    /// Accept only callers with a service account token for this audience, verified by the API server (TokenReview)
    #[arg(long, env = "KHAN_REQUIRE_TOKEN_AUDIENCE", value_name = "NAME")]
    pub require_token_audience: Option<String>,

    /// How long to trust a token review, 2m at most; a revoked token works until then
    #[arg(long, env = "KHAN_TOKEN_REVIEW_TTL", value_name = "DURATION", default_value = "2m", value_parser = parse_ttl)]
    pub token_review_ttl: Duration,

    /// Logging.
    #[command(flatten)]
    pub log: LogArguments,
}
