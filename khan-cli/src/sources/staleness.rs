//! How long what a node said last is shown and counted.

use std::time::Duration;

use crate::model::NodeState;

/// Data older than this many intervals is marked as stale.
const STALE_AFTER: u32 = 2;
/// Data older than this many intervals is no longer counted.
const DROPPED_AFTER: u32 = 3;
/// A snapshot may be this late without being marked.
const GRACE: Duration = Duration::from_secs(5);

/// What is known about a node's data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    /// It gave nothing when it was asked last.
    pub(crate) failing: bool,
    /// It gave something at some time.
    pub(crate) answered: bool,
    /// There are rows of it.
    pub(crate) rows: bool,
    /// How old they are.
    pub(crate) age: Option<Duration>,
    /// The period in which new ones should come.
    pub(crate) interval: Duration,
    /// How long it takes to make them.
    pub(crate) scan: Duration,
}

impl Evidence {
    /// The node's state, and whether its rows may still be shown.
    pub(crate) fn judge(self) -> (NodeState, bool) {
        let older = |intervals| self.age.is_none_or(|age| age > self.interval * intervals + self.scan + GRACE);
        let rows = self.rows && !older(DROPPED_AFTER);
        let state = match (self.failing, rows, self.answered) {
            (true, false, _) => NodeState::Failed,
            (false, _, false) => NodeState::Waiting,
            (false, true, true) if !older(STALE_AFTER) => NodeState::Ok,
            (true, true, _) | (false, _, true) => NodeState::Stale,
        };
        (state, rows)
    }
}
