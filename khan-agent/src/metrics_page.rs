//! In: a snapshot. Out: its page in the Prometheus text format (version 0.0.4), in chunks.
//!
//! Rows are summed by exactly the labels that are exported, so no label set appears twice. Each endpoint's labels are
//! escaped once; a line is put together from such fragments when it is sent, and the plain page is never held as a whole.

pub mod gzip;
pub mod labels;
pub mod series;
pub mod fold;
pub mod ended;
mod limits;
mod snat;
pub mod page;

use std::fmt;
use std::str::FromStr;

pub use page::Page;

/// What the page looks like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Labels beside the twelve that are always there.
    pub extra_labels: Vec<ExtraLabel>,
    /// Whom `dst_*` names.
    pub destination: Destination,
    /// What `# TYPE khan_connection` says.
    pub metric_type: MetricType,
    /// The most lines of `khan_connection`.
    pub max_series: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            extra_labels: Vec::new(),
            destination: Destination::Service,
            metric_type: MetricType::Gauge,
            max_series: 20_000,
        }
    }
}

/// A label that is exported on request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExtraLabel {
    /// `dst_port`: the port dialled, or with `--destination backend` the one that answers.
    DstPort,
    /// `transport`: `tcp`, `udp` or `sctp`.
    Transport,
    /// `state`: a TCP state's name, `OFFLOAD`, `UNREPLIED`, `REPLIED` or `ASSURED`.
    State,
    /// `zone`: the conntrack zone's number.
    Zone,
    /// `service`: whom the client dialled, as `NAMESPACE/NAME`, or its address.
    Service,
    /// `backend`: who answers, likewise.
    Backend,
    /// `src_workload` and `dst_workload`.
    Workload,
}

impl ExtraLabel {
    const ALL: [(Self, &str); 7] = [
        (Self::DstPort, "dst_port"),
        (Self::Transport, "transport"),
        (Self::State, "state"),
        (Self::Zone, "zone"),
        (Self::Service, "service"),
        (Self::Backend, "backend"),
        (Self::Workload, "workload"),
    ];

    /// Its name on the page and on the command line.
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(label, _)| *label == self).map_or("", |(_, name)| name)
    }
}

/// The text is no extra label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseExtraLabelError;

impl fmt::Display for ParseExtraLabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected dst_port, transport, state, zone, service, backend or workload")
    }
}

impl std::error::Error for ParseExtraLabelError {}

impl FromStr for ExtraLabel {
    type Err = ParseExtraLabelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|(_, name)| *name == text).map(|(label, _)| label).ok_or(ParseExtraLabelError)
    }
}

/// Whom `dst_*` names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Destination {
    /// Whom the client dialled (`orig.dst`): a service, where a cluster IP was dialled.
    #[default]
    Service,
    /// Who answers (`reply.src`).
    Backend,
}

/// What `# TYPE` says of `khan_connection`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum MetricType {
    /// It may fall.
    #[default]
    Gauge,
    /// For readers of the original Khan's text.
    Counter,
    /// Nothing said.
    Untyped,
}

impl MetricType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Untyped => "untyped",
        }
    }
}
