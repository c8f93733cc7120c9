//! Khan's own connections: what watching a cluster adds to it. Questions leave them out unless they ask for them, and answers
//! say how many those are.

use khan_api::Kind;
use khan_api::routes::AGENT_PORT;

use super::view::{RowRef, View};

/// Apps whose pods and services are Khan's.
const APPS: [&str; 3] = ["khan", "khan-agent", "khan-controller"];

/// Which endpoints of a view are Khan's, and which may be an agent, that is, have no pod or service for an owner: agents have
/// the addresses of their nodes.
#[derive(Debug)]
pub(crate) struct Own {
    khan: Vec<bool>,
    bare: Vec<bool>,
}

impl Own {
    pub(crate) fn of(view: &View) -> Self {
        let owned = |kind: Kind| matches!(kind, Kind::Pod | Kind::Service);
        let owners = || view.endpoints.iter().map(|endpoint| &endpoint.owner);
        Self {
            khan: owners().map(|owner| owned(owner.kind) && APPS.contains(&&*owner.app)).collect(),
            bare: owners().map(|owner| !owned(owner.kind)).collect(),
        }
    }

    /// Whether an end of the connections is Khan's, or what was dialled is an agent.
    pub(crate) fn holds(&self, row: &RowRef<'_>) -> bool {
        let is_khan = |end: u32| self.khan[end as usize];
        let is_agent = |(end, port): (u32, u16)| port == AGENT_PORT && self.bare[end as usize];
        [row.src, row.dst, row.backend].into_iter().any(is_khan)
            || [(row.dst, row.row.port), (row.backend, row.row.backend_port)].into_iter().any(is_agent)
    }
}

/// What is left out, in a sentence; nothing when that is nothing.
pub(crate) fn left_out(connections: u64) -> Option<String> {
    let what = if connections == 1 { "1 connection".to_owned() } else { format!("{connections} connections") };
    (connections > 0).then(|| format!("{what} of Khan itself left out (--own shows them)"))
}

#[cfg(test)]
mod tests {
    use crate::model::fixture::{Agent, view};
    use crate::model::{GroupBy, History, Query, project};

    #[test]
    fn what_watching_adds_is_left_out_counted_and_shown_when_asked_for() {
        let view = view(&[Agent::new("n1", 0)
            .row("shop/web@n1", "data/db@n1", 5432, 7)
            .row("node:n1", "khan/khan@n1", 14719, 2)
            .row("10.0.0.1", "node:n1", 14718, 3)
            .row("shop/web@n1", "data/odd@n1", 14718, 5)]);
        for group_by in [GroupBy::EDGES, GroupBy::NODES, GroupBy { state: true, ..GroupBy::NONE }] {
            let counted = |own| {
                let answer = project(&view, &Query { group_by, own, ..Query::default() }, &History::default());
                (answer.total.connections, answer.own)
            };
            assert_eq!(counted(false), (12, 5), "a pod may use an agent's port");
            assert_eq!(counted(true), (17, 0));
        }
    }
}
