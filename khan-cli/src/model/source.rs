//! The kinds of sources: what each is called, what it knows, and in words why it does not know the rest. What differs between
//! sources is told here once; whoever needs it asks for what is known, not for who knows it.

/// Where a view comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceKind {
    /// Agents, asked one by one.
    #[default]
    Agents,
    /// A server that speaks Prometheus's HTTP API.
    Prometheus,
    /// This host's own table.
    Local,
    /// This host's sockets.
    Sockets,
    /// A recording.
    Replay,
}

/// What holds for every source of a kind.
#[derive(Debug)]
pub(crate) struct Profile {
    /// As `--source` takes it, screens show it and files hold it.
    name: &'static str,
    /// It knows the host that it runs on, and no other.
    pub(crate) one_host: bool,
    /// It knows what was before it was first asked.
    pub(crate) knows_past: bool,
    /// Why it does not tell which endpoints a service has, where it never does.
    pub(crate) no_endpoints: Option<&'static str>,
    /// Why it does not tell what two scans in a row show, where it does not.
    pub(crate) no_comparison: &'static str,
    /// Why it does not tell limits, and ports that are taken, where it does not.
    pub(crate) no_limits: &'static str,
    /// What an empty screen says once it has answered.
    pub(crate) nothing: &'static [&'static str],
}

const AGENTS: Profile = Profile {
    name: "agents",
    one_host: false,
    knows_past: false,
    no_endpoints: None,
    no_comparison: "the agents do not tell: they are older than 0.2, or have scanned only once",
    no_limits: "the agents do not tell: they are older than 0.2",
    nothing: &[
        "No Khan agents found.",
        "",
        "- install them: kubectl apply -k deploy/",
        "- look elsewhere: --khan-namespace, --khan-selector, --agent URL",
        "- ask Prometheus: --source prometheus --prometheus-url URL",
        "",
        "Khan keeps looking.",
    ],
};

const PROMETHEUS: Profile = Profile {
    name: "prometheus",
    one_host: false,
    knows_past: true,
    no_endpoints: Some("Prometheus does not tell which endpoint holds a connection"),
    no_comparison: "Prometheus has it only of agents from 0.2 on that have scanned twice",
    no_limits: "Prometheus is not asked for it",
    nothing: &["Prometheus has no khan_connection series.", "", "Does it scrape the agents?"],
};

const LOCAL: Profile = Profile {
    name: "local",
    one_host: true,
    knows_past: false,
    no_endpoints: Some("this host knows no services"),
    no_comparison: "needs a second scan: --watch",
    no_limits: "this host's table does not tell",
    nothing: &["Reading this host's table ...", "", "q quits."],
};

const SOCKETS: Profile = Profile {
    name: "sockets",
    one_host: true,
    knows_past: false,
    no_endpoints: Some("this host knows no services"),
    no_comparison: "sockets do not tell",
    no_limits: "sockets do not tell",
    nothing: &["Reading this host's sockets ...", "", "q quits."],
};

const REPLAY: Profile = Profile {
    name: "replay",
    one_host: false,
    knows_past: false,
    no_endpoints: None,
    no_comparison: "the recording does not hold it",
    no_limits: "the recording does not hold it",
    nothing: &["The recording is empty.", "", "q quits."],
};

impl SourceKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Agents, Self::Prometheus, Self::Local, Self::Sockets, Self::Replay];

    /// As `--source` takes it.
    pub const fn as_str(self) -> &'static str {
        self.profile().name
    }

    /// What holds for it.
    pub(crate) const fn profile(self) -> &'static Profile {
        match self {
            Self::Agents => &AGENTS,
            Self::Prometheus => &PROMETHEUS,
            Self::Local => &LOCAL,
            Self::Sockets => &SOCKETS,
            Self::Replay => &REPLAY,
        }
    }
}

/// Which source, in words for the header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceInfo {
    /// The kind.
    pub kind: SourceKind,
    /// The kubeconfig context, when one leads to the source; else empty.
    pub context: String,
    /// One more detail: the Prometheus URL, the recording's file, how agents are reached; else empty.
    pub detail: String,
    /// What a recording was made of.
    pub recorded: Option<SourceKind>,
}

impl SourceInfo {
    /// Who told what views say: where they are of a recording, what it was made of.
    pub fn origin(&self) -> SourceKind {
        self.recorded.unwrap_or(self.kind)
    }
}
