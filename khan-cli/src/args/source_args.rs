//! Where connections are known.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};

use crate::sources::agents::discovery::SELECTOR;
use crate::sources::agents::route::pod::Connect;
use crate::sources::recording::{Bounds, Recording};

/// Which source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SourceChoice {
    /// What is configured: --agent, --prometheus-url, a kubeconfig, `PROMETHEUS_URL`, else this host's own table.
    #[default]
    Auto,
    /// khan-agent on every node.
    Agents,
    /// A server that speaks Prometheus's HTTP API.
    Prometheus,
    /// This host's own table; Linux, needs the capability to administer networks.
    Local,
    /// This host's own sockets with their processes; Linux, needs no privilege, but only root sees all processes.
    Sockets,
}

/// Where connections are known.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Source")]
pub struct SourceArgs {
    /// Where to read connections from
    #[arg(long, global = true, env = "KHAN_SOURCE", value_enum, default_value_t, hide_possible_values = false)]
    pub source: SourceChoice,
    /// URL of an agent to ask instead of discovering agents (repeatable)
    #[arg(long, global = true, env = "KHAN_AGENT", value_name = "URL", value_delimiter = ',')]
    pub agent: Vec<String>,
    /// Namespace of the agents (default: all namespaces)
    #[arg(long, global = true, env = "KHAN_KHAN_NAMESPACE", value_name = "NAME")]
    pub khan_namespace: Option<String>,
    /// Label selector of the agents' pods
    #[arg(long, global = true, env = "KHAN_KHAN_SELECTOR", value_name = "LABELS", default_value = SELECTOR)]
    pub khan_selector: String,
    /// Port of the agents (default: the port that their pods declare)
    #[arg(long, global = true, env = "KHAN_AGENT_PORT", value_name = "PORT",
        value_parser = clap::value_parser!(u16).range(1..))]
    pub agent_port: Option<u16>,
    /// How to reach the agents' pods: auto, proxy, port-forward, direct (from inside the cluster or a VPN)
    #[arg(long, global = true, env = "KHAN_CONNECT", value_name = "WAY", default_value = "auto")]
    pub connect: Connect,
    /// Only the connection tables of these nodes (repeatable)
    #[arg(long, global = true, env = "KHAN_NODE", value_name = "NAME", value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new())]
    pub node: Vec<String>,
    /// Maximum number of agents to ask at the same time
    #[arg(long, global = true, env = "KHAN_MAX_IN_FLIGHT", value_name = "N", default_value_t = 16,
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub max_in_flight: usize,
    /// Timeout of one agent
    #[arg(long, global = true, env = "KHAN_AGENT_TIMEOUT", value_name = "DURATION", default_value = "5s",
        value_parser = crate::duration::parse)]
    pub agent_timeout: Duration,
    /// Time between two polls, and the maximum age of the data asked for
    #[arg(long, global = true, env = "KHAN_INTERVAL", value_name = "DURATION", default_value = "5s",
        value_parser = crate::duration::parse)]
    pub interval: Duration,
    /// Record everything received to this new file
    #[arg(long, global = true, env = "KHAN_RECORD", value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// End the recording after this time
    #[arg(long, global = true, env = "KHAN_RECORD_FOR", value_name = "DURATION", value_parser = crate::duration::parse)]
    pub record_for: Option<Duration>,
    /// End the recording before its file gets larger than this
    #[arg(long, global = true, env = "KHAN_RECORD_SIZE", value_name = "SIZE", default_value = "1GiB",
        value_parser = crate::size::parse)]
    pub record_size: u64,
    /// That recording.
    #[arg(skip)]
    pub recording: Recording,
    /// Whether the past was asked for by name, so that what is not known of it is missing.
    #[arg(skip)]
    pub looks_back: bool,
    /// Show a recording instead of live data; overrides every other source
    #[arg(long, global = true, env = "KHAN_REPLAY", value_name = "FILE", conflicts_with = "record")]
    pub replay: Option<PathBuf>,
    /// Name external addresses by reverse DNS (~NAME), asking the server of /etc/resolv.conf or this one
    #[arg(long, global = true, env = "KHAN_REVERSE_DNS", value_name = "ADDRESS", num_args = 0..=1, require_equals = true,
        default_missing_value = "")]
    pub reverse_dns: Option<String>,
    /// URL of khan-controller, for the history of names and the endpoints of services (default: discovered in the cluster)
    #[arg(long, global = true, env = "KHAN_CONTROLLER", value_name = "URL")]
    pub controller: Option<String>,
    /// TLS and credentials for agents: a YAML file as --prometheus-config takes it
    #[arg(long, global = true, env = "KHAN_AGENT_CONFIG", value_name = "FILE")]
    pub agent_config: Option<PathBuf>,
    /// TLS and credentials for khan-controller: a YAML file as --prometheus-config takes it
    #[arg(long, global = true, env = "KHAN_CONTROLLER_CONFIG", value_name = "FILE")]
    pub controller_config: Option<PathBuf>,
    /// Path to a file with a token for khan-controller
    #[arg(long, global = true, env = "KHAN_CONTROLLER_TOKEN_FILE", value_name = "FILE")]
    pub controller_token_file: Option<PathBuf>,
}

impl SourceArgs {
    /// How much a recording may hold.
    pub fn recording_bounds(&self) -> Bounds {
        Bounds { span: self.record_for, bytes: self.record_size }
    }
}
