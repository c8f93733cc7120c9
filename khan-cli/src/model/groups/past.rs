//! What is known about the past of groups. The history answers; the questions stand here, so that groups need not know
//! where the past is kept.

use std::time::Duration;

use khan_api::Timestamp;

use super::sum::Sum;
use crate::model::group_by::RowKey;
use crate::model::growth::Sample;
use crate::model::query::Query;

/// One point of a [`Trend`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The row did not exist yet.
    Before,
    /// Nothing is known: the row was too small to be followed.
    Missing,
    /// Connections.
    Value(u64),
}

/// The values of a row over time, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trend {
    /// When, by our clock.
    pub at: Vec<Timestamp>,
    /// What; as many as `at`.
    pub points: Vec<Point>,
}

/// A change over a known time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Connections now minus connections then.
    pub delta: i64,
    /// How long ago "then" was.
    pub over: Duration,
}

impl Change {
    /// The change per minute.
    pub fn per_minute(self) -> f64 {
        let seconds = self.over.as_secs_f64();
        if seconds > 0.0 { self.delta as f64 * 60.0 / seconds } else { 0.0 }
    }
}

/// Answers about the past. A series is what it remembers of the groups of one question.
pub trait Past {
    /// What is remembered of one question's groups.
    type Series;

    /// The series of `query`; `None` while it is not followed.
    fn series(&self, query: &Query) -> Option<&Self::Series>;

    /// When the oldest sample was taken.
    fn oldest(&self) -> Option<Timestamp>;

    /// When the newest sample was taken.
    fn newest(&self) -> Option<Timestamp>;

    /// The change of a group over the query's window or since the baseline, on the nodes that are known now.
    fn change(&self, series: &Self::Series, key: RowKey, current: &Sum, query: &Query) -> Option<Change>;

    /// The same for everything that the query counts.
    fn total_change(&self, series: &Self::Series, current: &Sum, query: &Query) -> Option<Change>;

    /// Oldest to newest values within `window`, back to the latest break, each with its time in seconds.
    fn samples(&self, series: &Self::Series, key: RowKey, window: Duration) -> Vec<Sample>;

    /// The trend of a group over `window`, which ends in its value now.
    fn trend(&self, series: &Self::Series, key: RowKey, current: &Sum, window: Duration) -> Trend;

    /// The trend of everything that the query counts.
    fn total_trend(&self, series: &Self::Series, current: &Sum, window: Duration) -> Trend;

    /// Whether the query compares with a baseline that the group is not in.
    fn is_since_baseline(&self, series: &Self::Series, key: RowKey, query: &Query) -> bool;

    /// When the group was first seen; `None` when it is as old as what is remembered, or its node joined with it.
    fn first_seen(&self, series: &Self::Series, key: RowKey) -> Option<Timestamp>;
}
