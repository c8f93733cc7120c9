//! The kinds of problems, and how much each matters.

use std::fmt;
use std::str::FromStr;

/// Which rule found a problem. In the order in which they matter, where they are equally severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// Packets still go to a backend that is none any more.
    DeadBackend,
    /// Connections are tried and nobody answers.
    Unanswered,
    /// Data is sent and nobody acknowledges it.
    Stalled,
    /// A connection tracking table is nearly full, or drops.
    Table,
    /// A destination has nearly as many connections as it can take.
    Limit,
    /// An agent is away, or cannot see or name everything.
    Blind,
    /// Connections keep growing.
    Leak,
    /// A translated source address has few ports left for a destination.
    Snat,
    /// Connections are opened and closed all the time.
    Churn,
    /// The connections to a service are on few of its endpoints.
    Imbalance,
    /// A client that was not there before holds a large share.
    NewClient,
}

impl ProblemKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::DeadBackend,
        Self::Unanswered,
        Self::Stalled,
        Self::Table,
        Self::Limit,
        Self::Blind,
        Self::Leak,
        Self::Snat,
        Self::Churn,
        Self::Imbalance,
        Self::NewClient,
    ];

    /// As `--kind` takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DeadBackend => "dead-backend",
            Self::Unanswered => "unanswered",
            Self::Stalled => "stalled",
            Self::Table => "table",
            Self::Limit => "limit",
            Self::Blind => "blind",
            Self::Leak => "leak",
            Self::Snat => "snat",
            Self::Churn => "churn",
            Self::Imbalance => "imbalance",
            Self::NewClient => "new-client",
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// No kind has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of problem; kinds are {all}", all = ProblemKind::ALL.map(ProblemKind::as_str).join(", "))]
pub struct UnknownKind(String);

impl FromStr for ProblemKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// What a problem costs, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Somebody loses something now.
    Critical,
    /// Somebody will, or may without anybody seeing it.
    Warning,
    /// It may come to nothing.
    Watch,
}

impl Severity {
    /// As the column writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "CRITICAL",
            Self::Warning => "WARNING",
            Self::Watch => "WATCH",
        }
    }
}
