//! Rows of side `unknown`: which node counts a connection when its client's node is known to no agent that holds it.
//!
//! Another agent may know after all: the client's own, by its routes. Where none does, a pair of addresses is counted on
//! the one node that holds most of it.

use std::collections::HashMap;
use std::net::IpAddr;

use khan_api::Protocol;
use khan_api::snapshot::Side;

use super::view::{Part, View};

/// A client and what answers it, however the client dialled: the same on each node that the connection passes.
type Pair = (IpAddr, IpAddr, u16, Option<Protocol>);

/// Tells every part which of its rows another part counts.
pub(super) fn decide(view: &mut View) {
    let undecided = |part: &Part| part.table.rows().iter().any(|row| row.side == Side::Unknown);
    if view.parts.len() < 2 || !view.parts.iter().any(undecided) {
        return;
    }
    let homes = homes(view);
    let mut holders = HashMap::<Pair, HashMap<usize, u64>>::new();
    for (number, part) in view.parts.iter().enumerate() {
        for (pair, connections) in pairs(view, part).filter_map(|(_, pair, connections)| Some((pair?, connections))) {
            *holders.entry(pair).or_default().entry(number).or_default() += connections;
        }
    }
    let most = |holders: HashMap<usize, u64>| {
        holders.into_iter().max_by_key(|(part, connections)| (*connections, std::cmp::Reverse(*part)))
    };
    let counts: HashMap<Pair, usize> =
        holders.into_iter().filter_map(|(pair, holders)| Some((pair, most(holders)?.0))).collect();
    let (mut unknown, mut summed) = (0, 0);
    let left: Vec<Box<[u32]>> = (0..)
        .zip(&view.parts)
        .map(|(number, part)| {
            let node = view.nodes[part.node as usize].node.as_str();
            let elsewhere = |(row, pair, connections): (u32, Option<Pair>, u64)| {
                let elsewhere = pair.is_some_and(|pair| {
                    homes.get(&pair.0).is_some_and(|home| *home != node) || counts.get(&pair) != Some(&number)
                });
                if !elsewhere {
                    unknown += connections;
                    summed += if pair.is_none() { connections } else { 0 };
                }
                elsewhere.then_some(row)
            };
            pairs(view, part).filter_map(elsewhere).collect()
        })
        .collect();
    if unknown > 0 {
        let summed =
            if summed > 0 { format!("; {summed} of them are in sums and may be counted twice") } else { String::new() };
        view.notes.push(format!(
            "no agent knows the node of the clients of {unknown} connections, which are counted once for each pair of \
             addresses{summed}"
        ));
    }
    for (part, left) in view.parts.iter_mut().zip(left) {
        part.counted_elsewhere = left;
    }
}

/// The rows of side `unknown`: number, pair where it has one, connections.
fn pairs<'a>(view: &'a View, part: &'a Part) -> impl Iterator<Item = (u32, Option<Pair>, u64)> {
    let ip = |endpoint: u32| view.endpoints[part.endpoints[endpoint as usize] as usize].ip;
    (0..).zip(part.table.rows()).filter(|(_, row)| row.side == Side::Unknown).map(move |(number, row)| {
        let pair = ip(row.src).zip(ip(row.backend)).map(|(src, dst)| (src, dst, row.backend_port, row.protocol));
        (number, pair, u64::from(row.connections))
    })
}

/// The reporting node of each address that has one.
fn homes(view: &View) -> HashMap<IpAddr, &str> {
    let homes = view.endpoints.iter().zip(&view.reports).filter(|(endpoint, reports)| **reports && !endpoint.previous);
    homes.filter_map(|(endpoint, _)| Some((endpoint.ip?, &*endpoint.owner.node))).collect()
}

#[cfg(test)]
mod tests {
    use crate::model::fixture::{Agent, view};

    use super::*;

    fn unknown(agent: Agent) -> Agent {
        agent.but(|row| row.side = Side::Unknown)
    }

    fn connections(agents: &[Agent]) -> u64 {
        view(agents).totals.connections
    }

    #[test]
    fn the_clients_own_agent_knows_better() {
        // No controller: n1 sees the client behind a pod's interface, n2 knows nothing of it.
        let n1 = Agent::new("n1", 0).row("?10.1.0.5@n1", "svc:data/db", 5432, 7);
        let n2 = unknown(Agent::new("n2", 0).row("?10.1.0.5", "data/db@n2", 5432, 7));
        assert_eq!(connections(&[n1.clone(), n2.clone()]), 7);
        // What n1 does not report, n2 does.
        assert_eq!(connections(&[Agent::new("n1", 0), n2.clone()]), 7);
        assert_eq!(connections(&[n2]), 7);
    }

    #[test]
    fn a_pair_counts_on_the_node_that_holds_most_of_it() {
        let held = |node, connections| unknown(Agent::new(node, 0).row("?10.1.0.5", "?10.2.0.6", 5432, connections));
        let agents = [held("n1", 3), held("n2", 7), held("n3", 7)];
        assert_eq!(connections(&agents), 7);
        let note = &view(&agents).notes[0];
        assert!(note.contains("clients of 7 connections"), "{note}");
        // Another port is another pair.
        let more = unknown(agents[0].clone().row("?10.1.0.5", "?10.2.0.6", 80, 2));
        assert_eq!(connections(&[more, agents[1].clone()]), 9);
    }
}
