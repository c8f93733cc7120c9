//! One problem.

use khan_api::Timestamp;

use super::kind::{ProblemKind, Severity};

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which rule found it.
    pub kind: ProblemKind,
    /// What it costs, and when.
    pub severity: Severity,
    /// What is wrong and with whom, in one sentence without a full stop.
    pub sentence: String,
    /// What shows it, one sentence each.
    pub evidence: Vec<String>,
    /// Since when it is known, at the latest.
    pub since: Option<Timestamp>,
    /// Whose connections they are, and to whom: `shop/cart`, `data/redis`.
    pub owners: Vec<String>,
    /// The nodes whose agents see it.
    pub nodes: Vec<String>,
    /// Commands that lead on, ready for a shell.
    pub next: Vec<String>,
    /// Names it in every view.
    pub key: u128,
    /// How large it is, to order problems of one kind.
    pub size: u64,
}
