//! How to reach Prometheus.

#![expect(clippy::doc_markdown, reason = "these texts are read on terminals")]

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// How to reach a server that speaks Prometheus's HTTP API.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Prometheus")]
#[expect(clippy::struct_field_names, reason = "the names of the flags")]
pub struct PromArgs {
    /// Base URL, or svc://NAMESPACE/SERVICE:PORT through the API server (--source auto also reads PROMETHEUS_URL where there is no kubeconfig)
    #[arg(long, global = true, env = "KHAN_PROMETHEUS_URL", value_name = "URL")]
    pub prometheus_url: Option<String>,
    /// Prometheus http_config file (YAML), as promtool --http.config.file takes it
    #[arg(long, global = true, env = "KHAN_PROMETHEUS_CONFIG", value_name = "FILE")]
    pub prometheus_config: Option<PathBuf>,
    /// Path to a file with a bearer token
    #[arg(long, global = true, env = "KHAN_PROMETHEUS_BEARER_TOKEN_FILE", value_name = "FILE")]
    pub prometheus_bearer_token_file: Option<PathBuf>,
    /// User name
    #[arg(long, global = true, env = "KHAN_PROMETHEUS_USERNAME", value_name = "NAME")]
    pub prometheus_username: Option<String>,
    /// Path to a file with the user's password
    #[arg(long, global = true, env = "KHAN_PROMETHEUS_PASSWORD_FILE", value_name = "FILE")]
    pub prometheus_password_file: Option<PathBuf>,
    /// CA certificates that sign the server's (PEM)
    #[arg(long, global = true, env = "KHAN_PROMETHEUS_CA_FILE", value_name = "FILE")]
    pub prometheus_ca_file: Option<PathBuf>,
    /// Client certificate (PEM)
    #[arg(long, global = true, env = "KHAN_PROMETHEUS_CERT_FILE", value_name = "FILE")]
    pub prometheus_cert_file: Option<PathBuf>,
    /// Key of the client certificate (PEM)
    #[arg(long, global = true, env = "KHAN_PROMETHEUS_KEY_FILE", value_name = "FILE")]
    pub prometheus_key_file: Option<PathBuf>,
    /// Do not verify the server's certificate (insecure)
    #[arg(long, global = true, env = "KHAN_PROMETHEUS_INSECURE_SKIP_VERIFY")]
    pub prometheus_insecure_skip_verify: bool,
    /// Header to send with every request, for example 'X-Scope-OrgID: team' (repeatable)
    #[arg(long, global = true, env = "KHAN_PROMETHEUS_HEADER", value_name = "NAME: VALUE", hide_env_values = true)]
    pub prometheus_header: Vec<String>,
    /// Timeout of one query
    #[arg(long, global = true, env = "KHAN_PROMETHEUS_TIMEOUT", value_name = "DURATION", default_value = "10s",
        value_parser = crate::duration::parse)]
    pub prometheus_timeout: Duration,
}
