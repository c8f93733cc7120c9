//! What the user asks of a view.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;
use std::time::Duration;

use super::filter::Filter;
use super::group_by::{GroupBy, RowKey};
use super::group_end::Grain;
use super::growth::LeakRule;
use super::label_selection::LabelSelection;

/// A question. Everything about it is in here, so that two equal queries on one view give equal projections.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub struct Query {
    /// What makes a row.
    pub group_by: GroupBy,
    /// Which connections and groups.
    pub filter: Filter,
    /// Show what the filter hides: connections that its row terms do not all hold for, groups that its group terms do not.
    pub inverted: bool,
    /// Namespaces of either end; empty for all.
    pub namespaces: Vec<String>,
    /// Only connections with an end in one of these pods.
    pub labels: Option<LabelSelection>,
    /// Count Khan's own connections too.
    pub own: bool,
    /// Order.
    pub sort: Sort,
    /// How many rows at most; 0 for all.
    pub limit: usize,
    /// How far back `delta` and `rate` look.
    pub window: Duration,
    /// How far back trends look.
    pub trend: Duration,
    /// What is flagged RISING.
    pub rule: LeakRule,
    /// Take `delta` since the history's baseline, where one is set, instead of over the window.
    pub since_baseline: bool,
    /// Show a source's many destinations on one port as one row, where none of them stands out.
    pub fold: bool,
    /// Rows that are shown even if they are beyond the limit, and never folded.
    pub keep: Vec<RowKey>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            group_by: GroupBy::EDGES,
            filter: Filter::default(),
            inverted: false,
            namespaces: Vec::new(),
            labels: None,
            own: true,
            sort: Sort::default(),
            limit: 200,
            window: Duration::from_mins(5),
            trend: Duration::from_mins(15),
            rule: LeakRule::default(),
            since_baseline: false,
            fold: false,
            keep: Vec::new(),
        }
    }
}

impl Query {
    /// The same question split by source pod, which the leak rule needs to say whether one pod holds most of a row.
    #[must_use]
    pub fn by_pod(mut self) -> Self {
        self.group_by.src = Some(Grain::Name);
        self
    }

    /// Names what is counted into which groups. Queries of one shape share history; order, limit, window
    /// and folding are not part. Holds within this process only.
    pub fn shape(&self) -> u128 {
        let inverted = self.inverted && !self.filter.rows.is_empty();
        let half = |seed: u8| {
            let mut hasher = DefaultHasher::new();
            (seed, self.group_by, &self.filter.rows, inverted, &self.namespaces, &self.labels, self.own)
                .hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(1) << 64 | half(2)
    }
}

/// What rows are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SortBy {
    /// Connections, most first.
    #[default]
    Connections,
    /// Change over the window, largest rise first.
    Delta,
    /// Change a minute, largest rise first.
    Rate,
    /// Established share, largest first.
    Established,
    /// Idle connections, most first.
    Idle,
    /// Half-closed connections, most first.
    HalfClosed,
    /// Connections that end each second, most first.
    Closed,
    /// Stalled connections, most first.
    Stalled,
    /// Unanswered connections, most first.
    Unanswered,
    /// Source, A to Z.
    Source,
    /// Destination, A to Z.
    Destination,
    /// Port, lowest first.
    Port,
    /// Node, A to Z.
    Node,
    /// State, A to Z.
    State,
}

impl SortBy {
    /// Every order with its name.
    pub const NAMES: [(Self, &'static str); 14] = [
        (Self::Connections, "conns"),
        (Self::Delta, "delta"),
        (Self::Rate, "rate"),
        (Self::Established, "est"),
        (Self::Idle, "idle"),
        (Self::HalfClosed, "halfclosed"),
        (Self::Closed, "closed"),
        (Self::Stalled, "stalled"),
        (Self::Unanswered, "unanswered"),
        (Self::Source, "source"),
        (Self::Destination, "destination"),
        (Self::Port, "port"),
        (Self::Node, "node"),
        (Self::State, "state"),
    ];

    /// As `--sort-by` takes it.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(by, _)| *by == self).map_or("", |(_, name)| name)
    }

    /// Whether the natural order of it is ascending.
    pub const fn ascends(self) -> bool {
        matches!(self, Self::Source | Self::Destination | Self::Port | Self::Node | Self::State)
    }
}

/// An order and its direction. `-conns` is the reverse of the natural direction of `conns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sort {
    /// The value that orders the rows.
    pub by: SortBy,
    /// Against its natural direction.
    pub reverse: bool,
}

/// A word that names no order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is nothing to sort by; choose from {names}", names = SortBy::NAMES.map(|(_, name)| name).join(", "))]
pub struct SortError(String);

impl FromStr for Sort {
    type Err = SortError;

    fn from_str(text: &str) -> Result<Self, SortError> {
        let (reverse, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        let alias = match name {
            "connections" => "conns",
            "src" => "source",
            "dst" | "dest" | "target" => "destination",
            name => name,
        };
        let by = SortBy::NAMES.iter().find(|(_, known)| *known == alias).map(|(by, _)| *by);
        by.map(|by| Self { by, reverse }).ok_or_else(|| SortError(text.to_owned()))
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.reverse { "-" } else { "" }, self.by.as_str())
    }
}
