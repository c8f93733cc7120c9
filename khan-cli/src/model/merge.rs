//! Tables of many nodes to one view that counts every connection once.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use khan_api::snapshot::Side;
use khan_api::{Protocol, Timestamp};

use super::endpoint::Endpoint;
use super::hash::MixMap;
use super::node::{NodeState, NodeStatus};
use super::source::SourceInfo;
use super::table::NodeTable;
use super::undecided;
use super::view::{Part, Remainder, View};

/// A node's status and its latest rows, if it has any that may be shown.
#[derive(Clone, Debug)]
pub struct NodeInput {
    /// See there. Its `counted` is set by [`merge`].
    pub status: NodeStatus,
    /// Its rows; `None` when there are none, or none that may still be shown.
    pub table: Option<Arc<NodeTable>>,
}

/// Puts nodes together. When two agents speak for one node, the newest snapshot is taken and a note says so.
///
/// Costs one look-up per address of each table and one pass over the rows; the rows themselves are shared, not copied.
pub fn merge(source: SourceInfo, mut inputs: Vec<NodeInput>, now: Timestamp) -> View {
    let mut view = View { source, assembled: now, ..View::default() };
    inputs.sort_by(|a, b| (&a.status.node, &a.status.agent).cmp(&(&b.status.node, &b.status.agent)));
    let speakers = speakers(&inputs, &mut view.notes);
    let mut numbers: MixMap<usize, u32> = MixMap::default();
    for (index, mut input) in inputs.into_iter().enumerate() {
        input.status.counted = speakers.get(&input.status.node) == Some(&index);
        if let (true, Some(table)) = (input.status.counted, input.table) {
            let endpoints = table.endpoints.iter().map(|endpoint| number(endpoint, &mut numbers, &mut view.endpoints));
            view.parts.push(Part {
                node: u32::try_from(index).unwrap_or(u32::MAX),
                endpoints: endpoints.collect(),
                counted_elsewhere: Box::default(),
                snat: HashMap::new(),
                table: Arc::clone(&table),
                stale: input.status.state == NodeState::Stale,
            });
        }
        view.nodes.push(input.status);
    }
    for part in &mut view.parts {
        part.snat = snat(&view.endpoints, part);
    }
    view.reports = view.endpoints.iter().map(|endpoint| speakers.contains_key(&*endpoint.owner.node)).collect();
    undecided::decide(&mut view);
    view.settled = view.nodes.iter().all(|node| node.state != NodeState::Waiting);
    sum(&mut view);
    date(&mut view);
    view.id = identify(&view);
    view
}

/// The used share of translated ports, in thousandths, by who answers, its port and transport.
fn snat(endpoints: &[Arc<Endpoint>], part: &Part) -> HashMap<(u32, u16, Protocol), u16> {
    let mut shares = HashMap::new();
    let Some(snat) = part.table.snat.as_ref().filter(|snat| !snat.largest.is_empty() && snat.range > 0) else {
        return shares;
    };
    let numbers: HashMap<_, _> =
        part.endpoints.iter().filter_map(|number| Some((endpoints[*number as usize].ip?, *number))).collect();
    for ports in &snat.largest {
        let Some(number) = numbers.get(&ports.dst) else { continue };
        let share = u16::try_from(u64::from(ports.used) * 1000 / u64::from(snat.range)).unwrap_or(u16::MAX);
        let known = shares.entry((*number, ports.port, ports.protocol)).or_insert(0);
        *known = share.max(*known);
    }
    shares
}

/// Which input speaks for each node that has rows.
fn speakers(inputs: &[NodeInput], notes: &mut Vec<String>) -> HashMap<String, usize> {
    let mut speakers: HashMap<String, usize> = HashMap::new();
    for (index, input) in inputs.iter().enumerate().filter(|(_, input)| input.table.is_some()) {
        let rank = |input: &NodeInput| (input.status.state == NodeState::Ok, input.status.taken);
        match speakers.get(&input.status.node) {
            Some(&other) => {
                let (a, b) = (&inputs[other].status.agent, &input.status.agent);
                let node = &input.status.node;
                notes.push(format!("{a} and {b} both speak for node {node}; the newer snapshot is shown"));
                if rank(input) > rank(&inputs[other]) {
                    speakers.insert(node.clone(), index);
                }
            }
            None => {
                speakers.insert(input.status.node.clone(), index);
            }
        }
    }
    speakers
}

/// The view's number for an endpoint. Tables that share a pool share allocations, so the pointer identifies them; an
/// equal endpoint from another pool gets a second number, which costs memory and changes nothing else.
fn number(endpoint: &Arc<Endpoint>, numbers: &mut MixMap<usize, u32>, endpoints: &mut Vec<Arc<Endpoint>>) -> u32 {
    *numbers.entry(Arc::as_ptr(endpoint).addr()).or_insert_with(|| {
        endpoints.push(Arc::clone(endpoint));
        u32::try_from(endpoints.len() - 1).unwrap_or(u32::MAX)
    })
}

fn sum(view: &mut View) {
    let mut totals = super::view::Totals::default();
    for row in view.rows() {
        totals.rows += 1;
        totals.connections += u64::from(row.row.connections);
        for (state, n) in row.states {
            totals.states.add(*state, u64::from(*n));
        }
    }
    view.totals = totals;
    let mut rest = Remainder::default();
    for left_out in view.parts.iter().filter_map(|part| part.table.rest) {
        rest.rows += left_out.rows;
        rest.elsewhere += left_out.server;
        rest.connections += left_out.client;
        // Nobody else can count what one node alone has seen.
        *if view.parts.len() == 1 { &mut rest.connections } else { &mut rest.unknown } += left_out.unknown;
    }
    view.rest = (rest != Remainder::default()).then_some(rest);
}

fn date(view: &mut View) {
    let ours =
        |node: &NodeStatus| node.taken.map(|taken| Timestamp::from_millis(taken.millis() - node.clock_skew_millis));
    view.newest = view.nodes.iter().filter(|node| node.counted).filter_map(ours).max();
    let healthy = view.nodes.iter().filter(|node| node.counted && node.state == NodeState::Ok);
    view.oldest = healthy.filter_map(ours).min();
}

fn identify(view: &View) -> u64 {
    let mut hasher = DefaultHasher::new();
    for part in &view.parts {
        (&view.nodes[part.node as usize].node, &part.table.snapshot, part.stale).hash(&mut hasher);
    }
    for node in &view.nodes {
        (&node.node, node.state, node.counted).hash(&mut hasher);
    }
    hasher.finish()
}

impl View {
    /// How many rows of side `server` are left to other nodes.
    pub fn rows_elsewhere(&self) -> usize {
        let elsewhere = |part: &Part| {
            let rows = part.table.rows().iter();
            rows.filter(|row| row.side == Side::Server && self.reports[part.endpoints[row.src as usize] as usize])
                .count()
        };
        self.parts.iter().map(elsewhere).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::fixture::{Agent, Heard, view};
    use crate::model::{History, Query, project};

    fn edges(agents: &[Agent]) -> Vec<(String, u64)> {
        let projection = project(&view(agents), &Query::default(), &History::default());
        let edge = |row: &crate::model::Row| format!("{} -> {}", row.source(), row.destination());
        projection.rows.iter().map(|row| (edge(row), row.sum.connections)).collect()
    }

    #[test]
    fn a_connection_across_nodes_is_counted_on_its_clients_node() {
        let agents = [
            Agent::new("n1", 0).row("shop/web@n1", "data/db@n2", 5432, 7),
            Agent::new("n2", 0).row("shop/web@n1", "data/db@n2", 5432, 7).row("1.1.1.1", "data/db@n2", 5432, 2),
        ];
        assert_eq!(edges(&agents), [("shop/web -> data/db".into(), 7), ("external/1.1.1.1 -> data/db".into(), 2)]);
        assert_eq!(view(&agents).rows_elsewhere(), 1);
    }

    #[test]
    fn a_server_counts_for_a_client_whose_node_is_silent() {
        let mut agents = [
            Agent::new("n1", 0).row("shop/web@n1", "data/db@n2", 5432, 7),
            Agent::new("n2", 0).row("shop/web@n1", "data/db@n2", 5432, 6),
        ];
        agents[0].heard = Heard::Never;
        assert_eq!(edges(&agents), [("shop/web -> data/db".into(), 6)]);
        agents[0].heard = Heard::LongAgo;
        assert_eq!(edges(&agents), [("shop/web -> data/db".into(), 7)]);
    }

    #[test]
    fn two_agents_of_one_node_are_one_node() {
        let mut agents = [
            Agent::new("n1", 0).row("shop/web@n1", "data/db@n2", 5432, 7),
            Agent::new("n1", 30).row("shop/web@n1", "data/db@n2", 5432, 9),
        ];
        assert_eq!(edges(&agents), [("shop/web -> data/db".into(), 9)]);
        assert!(view(&agents).notes[0].contains("both speak for node n1"));
        agents.reverse();
        assert_eq!(edges(&agents), [("shop/web -> data/db".into(), 9)]);
    }

    #[test]
    fn the_id_changes_with_the_content_only() {
        let agents = [Agent::new("n1", 0).row("shop/web@n1", "data/db@n2", 5432, 7), Agent::new("n2", 0)];
        let later = [agents[0].clone(), Agent::new("n2", 30)];
        assert_eq!(view(&agents).id, view(&agents).id);
        assert_ne!(view(&agents).id, view(&later).id);
        let mut failed = agents.clone();
        failed[1].heard = Heard::Never;
        assert_ne!(view(&agents).id, view(&failed).id);
    }

    #[test]
    fn what_agents_left_out_stays_in_the_total() {
        let mut agent = Agent::new("n1", 0).row("shop/web@n1", "data/db@n2", 5432, 7);
        agent.snapshot.rest = Some(khan_api::snapshot::Rest { rows: 3, client: 5, server: 2, unknown: 4 });
        let alone = view(&[agent.clone()]);
        assert_eq!(alone.connections(), 16);
        assert_eq!(alone.rest, Some(Remainder { rows: 3, connections: 9, elsewhere: 2, unknown: 0 }));
        let beside_another = view(&[agent, Agent::new("n2", 0)]);
        assert_eq!(beside_another.connections(), 12);
        assert_eq!(beside_another.rest, Some(Remainder { rows: 3, connections: 5, elsewhere: 2, unknown: 4 }));
    }

    proptest! {
        /// A connection between two nodes stands in both tables, whichever agents report. It is seen, once, when either
        /// node reports.
        #[test]
        fn each_connection_once(
            pairs in proptest::collection::vec((0_usize..4, 0_usize..4, 1_u64..50), 0..20),
            reporting in proptest::collection::vec(any::<bool>(), 4),
        ) {
            let mut agents: Vec<_> = (0..4).map(|n| Agent::new(&format!("n{n}"), 0)).collect();
            let mut expected = 0;
            for (number, (client, server, connections)) in pairs.iter().enumerate() {
                let port = u16::try_from(number + 1).unwrap();
                let (src, dst) = (format!("shop/web-{client}:web@n{client}"), format!("data/db-{server}:db@n{server}"));
                for node in if client == server { vec![*client] } else { vec![*client, *server] } {
                    agents[node] = agents[node].clone().row(&src, &dst, port, *connections);
                }
                if reporting[*client] || reporting[*server] {
                    expected += connections;
                }
            }
            for (agent, reports) in agents.iter_mut().zip(&reporting) {
                agent.heard = if *reports { Heard::Now } else { Heard::Never };
            }
            prop_assert_eq!(view(&agents).totals.connections, expected);
        }
    }
}
