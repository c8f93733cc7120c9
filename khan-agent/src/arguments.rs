//! The command line, and what it means.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use khan_api::duration;
use khan_serve::listen::parse_address;
use khan_serve::logging::LogArguments;
use url::Url;

use crate::flows::{Choice, Which};
use crate::metrics_page::{Destination, ExtraLabel, MetricType};

/// Counts this node's connections by owner, from the kernel's connection tracking table.
#[derive(Clone, Debug, Parser)]
#[command(name = "khan-agent", version, next_line_help = false)]
pub struct Arguments {
    /// Name of this node in Kubernetes (default: `NODE_NAME`, else the host name)
    #[arg(long, env = "KHAN_NODE_NAME", value_name = "NAME")]
    pub node_name: Option<String>,
    /// Address and port to serve on; port 0 takes a free port and logs it
    #[arg(long, env = "KHAN_LISTEN", value_name = "ADDR:PORT", default_value = "0.0.0.0:14718", value_parser = parse_address)]
    pub listen: SocketAddr,
    /// URL of khan-controller; without it the agent works with bare addresses
    #[arg(long, env = "KHAN_CONTROLLER_URL", value_name = "URL", value_parser = base_url)]
    pub controller_url: Option<Url>,
    /// CA certificates that sign the controller's (PEM)
    #[arg(long, env = "KHAN_CONTROLLER_CA_FILE", value_name = "FILE", requires = "controller_url")]
    pub controller_ca_file: Option<PathBuf>,
    /// Path to a file with the token for the controller; read again for each request
    #[arg(long, env = "KHAN_CONTROLLER_TOKEN_FILE", value_name = "FILE", requires = "controller_url")]
    pub controller_token_file: Option<PathBuf>,
    /// Which connection tables to read: every table that the node has, the kernel's, Cilium's or Calico's eBPF maps
    #[arg(long, env = "KHAN_TABLE", value_enum, default_value = "auto")]
    pub table: Which,
    /// Mount point of the BPF file system, where Cilium and Calico pin their maps
    #[arg(long, env = "KHAN_BPF_FS", value_name = "DIR", default_value = "/sys/fs/bpf")]
    pub bpf_fs: PathBuf,
    /// Time between two scans of the table
    #[arg(long, env = "KHAN_INTERVAL", value_name = "DURATION", default_value = "30s", value_parser = duration::parse_positive)]
    pub interval: Duration,
    /// Maximum share of one CPU for reading the table, in percent: scans become rarer and requests for single connections wait when it is used up
    #[arg(long, env = "KHAN_MAX_SCAN_CPU", value_name = "PERCENT", default_value = "5", value_parser = percent)]
    pub max_scan_cpu: f64,
    /// Maximum number of `khan_connection` series; the smallest are summed by app, then into one per side
    #[arg(long, env = "KHAN_MAX_SERIES", value_name = "N", default_value_t = 20_000, value_parser = at_least_ten)]
    pub max_series: usize,
    /// Extra labels: `dst_port`, transport, state, zone, service, backend, workload
    #[arg(long, env = "KHAN_EXTRA_LABELS", value_name = "LABEL,...", value_delimiter = ',')]
    pub extra_labels: Vec<ExtraLabel>,
    /// What `dst_*` names: the service that the client dialled, or the backend that answers
    #[arg(long, env = "KHAN_DESTINATION", value_enum, default_value = "service")]
    pub destination: Destination,
    /// Count an established TCP connection as idle after this long without a packet
    #[arg(long, env = "KHAN_IDLE_THRESHOLD", value_name = "DURATION", default_value = "10m", value_parser = duration::parse_positive)]
    pub idle_threshold: Duration,
    /// UDP ports whose datagrams want an answer: without one they count as unanswered, elsewhere only between ends that have had answers
    #[arg(long, env = "KHAN_QUESTION_PORTS", value_name = "PORT,...", value_delimiter = ',', default_value = "53")]
    pub question_ports: Vec<u16>,
    /// Ports that a translated source address has for each destination: the kernel's range for masquerade, unless a rule or a provider gives fewer
    #[arg(long, env = "KHAN_SNAT_PORTS", value_name = "N", default_value_t = crate::table::SNAT_PORTS,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub snat_ports: u32,
    /// TYPE of `khan_connection` on the metrics page
    #[arg(long, env = "KHAN_METRIC_TYPE", value_enum, default_value = "gauge")]
    pub metric_type: MetricType,
    /// Count only the entries of this conntrack zone
    #[arg(long, env = "KHAN_ZONE", value_name = "NUMBER")]
    pub zone: Option<u16>,
    /// Path to a file with names for addresses outside the cluster, one `CIDR NAME` per line
    #[arg(long, env = "KHAN_EXTERNAL_NAMES", value_name = "FILE")]
    pub external_names: Option<PathBuf>,
    /// Path to a Prometheus exporter-toolkit web configuration (TLS, client certificates, passwords); read again when it changes
    #[arg(long, env = "KHAN_WEB_CONFIG", value_name = "FILE")]
    pub web_config: Option<PathBuf>,
    /// Print one page of metrics and exit
    #[arg(long)]
    pub once: bool,
    /// Logging.
    #[command(flatten)]
    pub log: LogArguments,
}

impl Arguments {
    /// `--table` and `--bpf-fs`.
    pub fn tables(&self) -> Choice {
        Choice { which: self.table, bpf_fs: self.bpf_fs.clone() }
    }

    /// `--node-name`, else `NODE_NAME`, else the host's name.
    pub fn node(&self) -> String {
        let named = |name: String| (!name.is_empty()).then_some(name);
        self.node_name
            .clone()
            .and_then(named)
            .or_else(|| std::env::var("NODE_NAME").ok().and_then(named))
            .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned())
    }
}

fn base_url(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("{error}"))?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        Ok(url)
    } else {
        Err("expected a URL such as http://khan-controller.khan:14719".to_owned())
    }
}

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').parse() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent),
        _ => Err("expected a percentage above 0 and up to 100".to_owned()),
    }
}

fn at_least_ten(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n >= 10).ok_or_else(|| "expected a number of at least 10".to_owned())
}
