//! Small clusters for tests, merged into views.

mod agent;

use std::sync::Arc;

pub(crate) use agent::{Agent, Heard};

use super::services::Services;
use super::{NodeInput, NodeState, NodeStatus, NodeTable, Pool, SourceInfo, View, merge};

/// 2026-11-22T10:00:00Z.
pub(crate) const START: i64 = 1_795_341_600;

impl Agent {
    /// The agent of `node` with a snapshot taken `seconds` after [`START`].
    pub(crate) fn new(node: &str, seconds: i64) -> Self {
        Self::at(node, START + seconds)
    }

    pub(crate) fn input(&self, pool: &mut Pool) -> NodeInput {
        let mut status = NodeStatus::waiting("", format!("http://{}:14718", self.snapshot.node));
        status.state = match self.heard {
            Heard::Now => NodeState::Ok,
            Heard::LongAgo => NodeState::Stale,
            Heard::Never => NodeState::Failed,
        };
        status.answered = Some(self.snapshot.taken);
        status.describe(&self.snapshot);
        let table = self.heard != Heard::Never;
        NodeInput { status, table: table.then(|| Arc::new(NodeTable::new(&self.snapshot, pool).0)) }
    }
}

/// The merged view of these agents, whose controller lists no service, put together when the newest snapshot was taken.
pub(crate) fn view(agents: &[Agent]) -> Arc<View> {
    let mut pool = Pool::default();
    let now = agents.iter().map(|agent| agent.snapshot.taken).max().unwrap_or_default();
    let mut view = merge(SourceInfo::default(), agents.iter().map(|agent| agent.input(&mut pool)).collect(), now);
    view.services = Arc::new(Services { list: Vec::new(), unknown: None, left_out: 0 });
    Arc::new(view)
}
