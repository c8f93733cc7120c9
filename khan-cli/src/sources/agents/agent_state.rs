//! One agent over time: what it said last, and whether that may still be shown. Pure: no clock, no I/O.

use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;
use khan_api::Timestamp;

use super::fetch::Fetched;
use super::targets::Target;
use crate::model::node::Failure;
use crate::model::{NodeInput, NodeState, NodeStatus, NodeTable, Pool};
use crate::sources::nodes::NodeChoice;
use crate::sources::retry;
use crate::sources::staleness::Evidence;

/// An agent that is asked again and again.
#[derive(Debug)]
pub(crate) struct AgentState {
    pub(crate) target: Target,
    pub(crate) status: NodeStatus,
    pub(crate) etag: Option<HeaderValue>,
    /// The targets no longer include it.
    pub(crate) gone: bool,
    table: Option<Arc<NodeTable>>,
    /// What its rows take.
    bytes: usize,
}

/// What an answer changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// There is something new to show.
    pub(crate) visible: bool,
    /// It had failed before and does not now, or the other way round, or fails in another way.
    pub(crate) turned: bool,
}

impl AgentState {
    pub(crate) fn new(target: Target) -> Self {
        let status = NodeStatus::waiting(target.node.clone(), target.name.clone());
        Self { target, status, etag: None, gone: false, table: None, bytes: 0 }
    }

    /// Takes an answer that came at `now`.
    pub(crate) fn succeed(&mut self, fetched: Fetched, pool: &mut Pool, interval: Duration, now: Timestamp) -> Change {
        let turned = self.status.failure.take().is_some();
        let before = self.status.state;
        self.status.answered = Some(now);
        if let Some(skew) = fetched.clock_skew_millis {
            self.status.clock_skew_millis = skew;
        }
        self.etag = fetched.etag;
        let new = fetched.snapshot.is_some();
        if let Some(snapshot) = fetched.snapshot {
            self.status.describe(&snapshot);
            let (table, refused) = NodeTable::heard(*snapshot, pool);
            self.status.refused = refused;
            self.bytes = table.bytes();
            self.table = Some(Arc::new(table));
        }
        self.status.state = NodeState::Ok;
        let aged = self.judge(interval, now);
        Change { visible: new || turned || aged || before != self.status.state, turned }
    }

    /// Takes a failure that happened at `now`; the next attempt is due after the returned pause.
    pub(crate) fn fail(&mut self, reason: String, interval: Duration, now: Timestamp) -> (Change, Duration) {
        let last = self.status.failure.take();
        let turned = last.as_ref().is_none_or(|last| last.reason != reason);
        let (failure, wait) = retry::failed(reason, last.as_ref(), now);
        self.status.failure = Some(failure);
        self.judge(interval, now);
        (Change { visible: true, turned }, wait)
    }

    /// The targets no longer include it: what it said is shown until it is too old.
    pub(crate) fn leave(&mut self, now: Timestamp) {
        self.gone = true;
        let reason = format!("{} is gone", self.target.name);
        self.status.failure = Some(Failure { reason, since: now, attempts: 0, next: None });
    }

    /// Decides how far its data can be trusted at `now`. True when that differs from before.
    pub(crate) fn judge(&mut self, interval: Duration, now: Timestamp) -> bool {
        let before = (self.status.state, self.table.is_some());
        let evidence = Evidence {
            failing: self.status.failure.is_some(),
            answered: self.status.answered.is_some(),
            rows: self.table.is_some(),
            age: self.status.age(now),
            interval: self.status.interval.max(interval),
            scan: self.status.scan,
        };
        let (state, rows) = evidence.judge();
        self.status.state = state;
        if !rows {
            self.table = None;
            // Ask for the rows again, even if they are the same.
            self.etag = None;
        }
        before != (self.status.state, self.table.is_some())
    }

    /// Whether its node is looked at, or may be, as long as it has not said which it is.
    pub(crate) fn is_wanted(&self, nodes: &NodeChoice) -> bool {
        self.status.taken.is_none() || nodes.contains(&self.status.node)
    }

    /// What the merge is given.
    pub(crate) fn input(&self) -> NodeInput {
        NodeInput { status: self.status.clone(), table: self.table.clone() }
    }

    /// Bytes that its rows take.
    pub(crate) fn bytes(&self) -> usize {
        if self.table.is_some() { self.bytes } else { 0 }
    }

    /// Whether its rows are shown.
    pub(crate) fn has_rows(&self) -> bool {
        self.table.is_some()
    }

    /// The addresses in its rows that live on a node, with the node.
    pub(crate) fn table(&self) -> Option<&NodeTable> {
        self.table.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use khan_api::Snapshot;

    use super::*;
    use crate::model::table::rows::heard;
    use crate::sources::agents::targets::Target;

    const START: i64 = 1_795_341_600;
    const INTERVAL: Duration = Duration::from_secs(5);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(START + seconds)
    }

    fn fetched(taken: Timestamp, skew: i64) -> Fetched {
        let id = format!("a-{}", taken.seconds());
        let snapshot = Snapshot {
            schema: 1,
            id: id.into(),
            node: "n1".into(),
            taken,
            interval_millis: 30_000,
            ..Snapshot::default()
        };
        let etag = Some(HeaderValue::from_static("\"a\""));
        Fetched { snapshot: Some(Box::new(heard(snapshot))), etag, clock_skew_millis: Some(skew) }
    }

    fn watched() -> (AgentState, Pool) {
        (AgentState::new(Target::fixed("http://n1:14718")), Pool::default())
    }

    /// By up to a half.
    fn is_about(wait: Duration, seconds: u64) -> bool {
        (Duration::from_millis(750 * seconds)..=Duration::from_secs(seconds)).contains(&wait)
    }

    #[test]
    fn a_silent_agent_fades_in_steps() {
        let (mut agent, mut pool) = watched();
        assert_eq!(agent.status.state, NodeState::Waiting);
        assert!(agent.succeed(fetched(at(0), 0), &mut pool, INTERVAL, at(1)).visible);
        assert_eq!((agent.status.state, agent.has_rows()), (NodeState::Ok, true));
        let (change, wait) = agent.fail("refused".into(), INTERVAL, at(31));
        assert!(change.turned && is_about(wait, 1), "{wait:?}");
        assert_eq!((agent.status.state, agent.has_rows()), (NodeState::Stale, true));
        let (change, wait) = agent.fail("refused".into(), INTERVAL, at(32));
        assert!(!change.turned && is_about(wait, 2), "{wait:?}");
        let failure = agent.status.failure.clone().unwrap();
        let next = Timestamp::from_millis(at(32).millis() + i64::try_from(wait.as_millis()).unwrap());
        assert_eq!((failure.since, failure.attempts, failure.next), (at(31), 2, Some(next)));
        assert!(!agent.judge(INTERVAL, at(95)));
        assert!(agent.judge(INTERVAL, at(96)));
        assert_eq!((agent.status.state, agent.has_rows(), agent.etag.clone()), (NodeState::Failed, false, None));
        let back = agent.succeed(fetched(at(100), 0), &mut pool, INTERVAL, at(101));
        assert!(back.turned && agent.status.failure.is_none());
        assert_eq!(agent.status.state, NodeState::Ok);
    }

    #[test]
    fn an_agent_that_repeats_an_old_snapshot_is_stale_too() {
        let (mut agent, mut pool) = watched();
        agent.succeed(fetched(at(0), 0), &mut pool, INTERVAL, at(1));
        let same = || Fetched { snapshot: None, etag: None, clock_skew_millis: Some(0) };
        assert!(!agent.succeed(same(), &mut pool, INTERVAL, at(60)).visible);
        assert!(agent.succeed(same(), &mut pool, INTERVAL, at(66)).visible);
        assert_eq!((agent.status.state, agent.has_rows()), (NodeState::Stale, true));
        agent.succeed(same(), &mut pool, INTERVAL, at(96));
        assert_eq!((agent.status.state, agent.has_rows()), (NodeState::Stale, false));
    }

    #[test]
    fn a_clock_that_is_wrong_does_not_make_data_old() {
        let (mut agent, mut pool) = watched();
        agent.succeed(fetched(at(-3600), -3_600_000), &mut pool, INTERVAL, at(1));
        assert_eq!(agent.status.state, NodeState::Ok);
        assert_eq!(agent.status.age(at(1)), Some(Duration::from_secs(1)));
    }

    #[test]
    fn retries_grow_apart_up_to_a_bound() {
        let (mut agent, _) = watched();
        for (n, seconds) in (0..).zip([1, 2, 4, 8, 16, 30, 30, 30]) {
            let (_, wait) = agent.fail("no".into(), INTERVAL, at(n));
            assert!(is_about(wait, seconds), "{seconds}: {wait:?}");
        }
        assert_eq!(agent.status.state, NodeState::Failed);
    }

    #[test]
    fn one_that_leaves_is_shown_until_it_is_too_old() {
        let (mut agent, mut pool) = watched();
        agent.succeed(fetched(at(0), 0), &mut pool, INTERVAL, at(1));
        agent.leave(at(10));
        agent.judge(INTERVAL, at(11));
        assert_eq!((agent.status.state, agent.has_rows()), (NodeState::Stale, true));
        agent.judge(INTERVAL, at(96));
        assert!(!agent.has_rows());
    }
}
