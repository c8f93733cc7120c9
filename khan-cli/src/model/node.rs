//! What is known about each node's agent: the "41/42 (1 stale)" of the header and the rows of `khan agents`.

use std::time::Duration;

use khan_api::snapshot::{Names, Table};
use khan_api::{TableStats, Timestamp};

/// Whether a node's data can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeState {
    /// Answered, with a snapshot that is not too old.
    Ok,
    /// Its latest data is old, because it does not answer or because it answers with an old snapshot.
    Stale,
    /// It has not answered, and there is no earlier data that may still be shown.
    Failed,
    /// It has not answered yet, and its first deadline has not passed.
    Waiting,
}

impl NodeState {
    /// One word for a column.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
        }
    }
}

/// Why a node's agent gave nothing new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One sentence: what was tried, and what came back.
    pub reason: String,
    /// When the first of these failures happened.
    pub since: Timestamp,
    /// How many times in a row.
    pub attempts: u32,
    /// When it is tried next.
    pub next: Option<Timestamp>,
}

impl Failure {
    /// A failure at `now`, one more after the `last` one if that has not ended.
    pub fn after(last: Option<&Self>, reason: String, now: Timestamp, next: Option<Timestamp>) -> Self {
        let (since, attempts) = last.map_or((now, 1), |last| (last.since, last.attempts.saturating_add(1)));
        Self { reason, since, attempts, next }
    }
}

/// One node's agent.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// Name of the node; of the address asked while the node is not known.
    pub node: String,
    /// Which agent: its URL, or `NAMESPACE/POD`.
    pub agent: String,
    /// How current its data is.
    pub state: NodeState,
    /// Whether its connections are part of the view's rows and totals.
    pub counted: bool,
    /// The failure that lasts, if one does.
    pub failure: Option<Failure>,
    /// When it last answered.
    pub answered: Option<Timestamp>,
    /// The agent's clock minus ours, in milliseconds, according to its latest answer.
    pub clock_skew_millis: i64,
    /// When its latest snapshot was taken, by its own clock.
    pub taken: Option<Timestamp>,
    /// When the snapshot before was taken, since which it counts what ended; `None` when what ended, stalls or goes unanswered
    /// is not known.
    pub since: Option<Timestamp>,
    /// The kernel's boot id.
    pub boot_id: String,
    /// The agent's version.
    pub version: String,
    /// When the agent started.
    pub started: Option<Timestamp>,
    /// Duration of its latest scan.
    pub scan: Duration,
    /// The period that its scans keep.
    pub interval: Duration,
    /// Its names: where from, how old, how many missing.
    pub names: Names,
    /// What the kernel tells of its table; `None` when the source does not tell.
    pub table: Option<Table>,
    /// How full each of its tables is, the kernel's first; empty when the source does not tell.
    pub tables: Vec<TableStats>,
    /// Connections in its table, counted here or on another node.
    pub connections: u64,
    /// Rows of its latest snapshot that could not be read and are left out.
    pub refused: u64,
    /// What the agent said about its latest scan.
    pub warnings: Vec<String>,
}

impl NodeStatus {
    /// A node that has not answered yet.
    pub fn waiting(node: impl Into<String>, agent: impl Into<String>) -> Self {
        Self {
            node: node.into(),
            agent: agent.into(),
            state: NodeState::Waiting,
            counted: false,
            failure: None,
            answered: None,
            clock_skew_millis: 0,
            taken: None,
            since: None,
            boot_id: String::new(),
            version: String::new(),
            started: None,
            scan: Duration::ZERO,
            interval: Duration::ZERO,
            names: Names::default(),
            table: None,
            tables: Vec::new(),
            connections: 0,
            refused: 0,
            warnings: Vec::new(),
        }
    }

    /// Takes over what a snapshot says about its node; state and failure stay as they are.
    pub fn describe<E, R>(&mut self, snapshot: &khan_api::Snapshot<E, R>) {
        self.node = (&snapshot.node).into();
        self.taken = Some(snapshot.taken);
        self.since = snapshot.since;
        self.boot_id = (&snapshot.boot_id).into();
        self.version = (&snapshot.version).into();
        self.started = (snapshot.started != Timestamp::default()).then_some(snapshot.started);
        self.scan = Duration::from_millis(snapshot.scan_millis);
        self.interval = Duration::from_millis(snapshot.interval_millis);
        self.names.clone_from(&snapshot.names);
        self.table = (snapshot.table.limit > 0).then(|| snapshot.table.clone());
        self.tables = tables_or_kernel(snapshot.tables.clone(), self.table.as_ref());
        self.connections = snapshot.connections;
        self.warnings = snapshot.warnings.iter().map(Into::into).collect();
    }

    /// How old its data is at `now` (our clock), with the difference of the clocks taken out.
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        let taken = self.taken?;
        Some(now.since(Timestamp::from_millis(taken.millis() - self.clock_skew_millis)))
    }

    /// What a view with this node lacks, one sentence each.
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        if self.state != NodeState::Ok {
            let reason = self.failure.as_ref().map_or("its snapshot is old", |failure| &failure.reason);
            let effect = if self.counted { "shown with old data" } else { "not counted" };
            gaps.push(format!("node {} is {effect}: {reason}", self.node));
        }
        if self.counted && self.refused > 0 {
            let rows = if self.refused == 1 { "row points" } else { "rows point" };
            let node = &self.node;
            gaps.push(format!(
                "{} {rows} to addresses that the snapshot of node {node} does not hold, and are left out",
                self.refused
            ));
        }
        if self.counted && !self.names.error.is_empty() {
            gaps.push(format!("names on node {} are old or missing: {}", self.node, self.names.error));
        }
        gaps
    }

    /// Why it does not answer, without the agent's own address, and how many times it was tried.
    pub fn trouble(&self) -> Option<(&str, u32)> {
        let failure = self.failure.as_ref()?;
        let reason = failure.reason.strip_prefix(&self.agent).map_or(failure.reason.as_str(), str::trim_start);
        Some((reason, failure.attempts))
    }

    /// The time in which what ended did so; `None` when that is not known.
    pub fn window(&self) -> Option<Duration> {
        let window = self.taken?.since(self.since?);
        (!window.is_zero()).then_some(window)
    }

    /// The table that is filled most, the first of equals: what a line for the whole node shows.
    pub fn fullest(&self) -> Option<&TableStats> {
        let fill = |table: &TableStats| table.fill().unwrap_or(-1.0);
        self.tables.iter().rev().max_by(|a, b| fill(a).total_cmp(&fill(b)))
    }

    /// Its tables, the fullest first.
    pub fn tables_by_fill(&self) -> Vec<&TableStats> {
        let fill = |table: &TableStats| table.fill().unwrap_or(-1.0);
        let mut tables: Vec<_> = self.tables.iter().collect();
        tables.sort_by(|a, b| fill(b).total_cmp(&fill(a)));
        tables
    }

    /// Whether it has other tables than the kernel's, so that it has to be said which one is meant.
    pub fn has_maps(&self) -> bool {
        self.tables.iter().any(|table| !table.is_kernel())
    }

    /// Filled share of its fullest table in whole percent.
    pub fn fill_percent(&self) -> Option<u8> {
        self.fullest()?.fill_percent()
    }

    /// Filled share of its fullest table, 0 to 1.
    pub fn fill(&self) -> Option<f64> {
        self.fullest()?.fill()
    }
}

/// All tables, where agents and recordings from before there were several tell of the kernel's only.
pub fn tables_or_kernel(tables: Vec<TableStats>, kernel: Option<&Table>) -> Vec<TableStats> {
    if !tables.is_empty() {
        return tables;
    }
    let kernel = kernel.map(|table| TableStats {
        name: TableStats::KERNEL.into(),
        entries: table.entries,
        limit: table.limit,
        scan_micros: 0,
    });
    kernel.into_iter().collect()
}
