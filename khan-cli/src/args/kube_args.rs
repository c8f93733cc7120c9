//! kubectl's own flags. kubectl drops global flags that stand before a plugin's name, so they must be ours.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::duration::DurationError;

/// How to reach the cluster; spelled as in `kubectl options`.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Kubernetes")]
pub struct KubeArgs {
    /// Path to the kubeconfig file
    #[arg(long, global = true, env = "KHAN_KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Kubeconfig context to use
    #[arg(long, global = true, env = "KHAN_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
    /// Kubeconfig cluster to use
    #[arg(long, global = true, env = "KHAN_CLUSTER", value_name = "NAME")]
    pub cluster: Option<String>,
    /// Kubeconfig user to use
    #[arg(long, global = true, env = "KHAN_USER", value_name = "NAME")]
    pub user: Option<String>,
    /// Only connections with an end in this namespace (repeatable)
    #[arg(short, long, global = true, env = "KHAN_NAMESPACE", value_name = "NAME", value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new())]
    pub namespace: Vec<String>,
    /// All namespaces (the default); overrides --namespace
    #[arg(short = 'A', long, global = true, env = "KHAN_ALL_NAMESPACES")]
    pub all_namespaces: bool,
    /// User to impersonate
    #[arg(long = "as", global = true, env = "KHAN_AS", value_name = "NAME")]
    pub impersonate: Option<String>,
    /// Group to impersonate (repeatable)
    #[arg(long = "as-group", global = true, env = "KHAN_AS_GROUP", value_name = "NAME")]
    pub impersonate_groups: Vec<String>,
    /// Timeout of one request to the API server; 0 for none
    #[arg(long, global = true, env = "KHAN_REQUEST_TIMEOUT", value_name = "DURATION", default_value = "10s",
        value_parser = timeout)]
    pub request_timeout: Duration,
    /// Do not verify the API server's certificate (insecure)
    #[arg(long, global = true, env = "KHAN_INSECURE_SKIP_TLS_VERIFY")]
    pub insecure_skip_tls_verify: bool,
    /// Bearer token for the API server; visible to other users of this host, so prefer the kubeconfig or --token-file
    #[arg(long, global = true, env = "KHAN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Path to a file with a bearer token for the API server
    #[arg(long, global = true, env = "KHAN_TOKEN_FILE", value_name = "FILE", conflicts_with = "token")]
    pub token_file: Option<PathBuf>,
}

/// As kubectl reads it: a number without a unit means seconds, zero no limit.
fn timeout(text: &str) -> Result<Duration, DurationError> {
    match text.parse() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) if text == "0s" => Ok(Duration::ZERO),
        Err(_) => crate::duration::parse(text),
    }
}

impl KubeArgs {
    /// Whether the user asked for a certain cluster.
    pub fn is_explicit(&self) -> bool {
        self.kubeconfig.is_some() || self.context.is_some() || self.cluster.is_some() || self.user.is_some()
    }

    /// Another context, without what was said of the one before: its cluster, its user, and above all its token, which
    /// another server must not see.
    pub fn leave_for(&mut self, context: String) {
        self.context = Some(context);
        (self.cluster, self.user, self.token, self.token_file) = (None, None, None, None);
        self.insecure_skip_tls_verify = false;
    }

    /// The namespaces that narrow the view; empty for all.
    pub fn scope(&self) -> Vec<String> {
        if self.all_namespaces { Vec::new() } else { self.namespace.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_kubectls() {
        let seconds = |text: &str| timeout(text).map(|timeout| timeout.as_secs());
        assert_eq!(["0", "0s", "5", "90s", "2m"].map(seconds), [0, 0, 5, 90, 120].map(Ok));
        assert!(seconds("soon").is_err() && seconds("-1").is_err());
    }
}
