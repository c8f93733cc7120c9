//! Connection tracking tables that are nearly full, or drop: when a table is full, no new connection passes the node.

use std::collections::HashMap;

use super::kind::{ProblemKind, Severity};
use super::pairs::roughly;
use super::problem::Problem;
use super::scene::Scene;
use crate::duration;
use crate::model::group_by::{GroupBy, RowKey};
use crate::model::groups::{Keyer, project, select};
use crate::model::hash;
use crate::model::history::History;
use crate::model::node::NodeStatus;
use crate::model::query::Query;
use crate::shell::quote;

/// Who fills a table, at most.
const HOLDERS: usize = 3;

/// One problem per node.
pub(super) fn find(scene: &Scene<'_>) -> Result<Vec<Problem>, String> {
    if scene.view.nodes.iter().all(|node| node.table.is_none()) {
        return Err("this source does not tell how full tables are".to_owned());
    }
    let found = (0..).zip(&scene.view.nodes).filter(|(_, node)| node.counted);
    Ok(found.filter_map(|(number, node)| problem(scene, number, node)).collect())
}

fn problem(scene: &Scene<'_>, number: u32, node: &NodeStatus) -> Option<Problem> {
    let table = node.table.as_ref()?;
    let fill = node.fill()?;
    let ([packets, given_up], over) = scene.memory.dropped(&node.node).unwrap_or_default();
    let drops = packets + given_up;
    if fill < scene.rules.table && drops == 0 {
        return None;
    }
    let name = &node.node;
    let left = scene.memory.time_to_full(name, table.limit).filter(|_| fill < 1.0);
    let mut sentence = format!(
        "the connection table of {name} is {:.0}% full ({} of {})",
        (fill * 100.0).min(100.0),
        table.entries,
        table.limit
    );
    if drops > 0 {
        sentence = format!("{sentence} and drops connections: {drops} in {}", duration::text(over));
    } else if let Some(left) = left {
        sentence = format!("{sentence}, and full in {} at this rate", duration::text(roughly(left)));
    }
    let mut evidence = holders(scene, number);
    for (n, what) in [(packets, "packets were dropped"), (given_up, "entries were given up early")] {
        if n > 0 {
            evidence.push(format!("{n} {what} in {}", duration::text(over)));
        }
    }
    Some(Problem {
        kind: ProblemKind::Table,
        severity: if drops > 0 || fill >= 1.0 { Severity::Critical } else { Severity::Warning },
        sentence,
        evidence,
        since: None,
        owners: Vec::new(),
        nodes: vec![name.clone()],
        next: vec![
            format!("khan top --filter {}", quote(&format!("node:{name}"))),
            format!("kubectl describe {}", quote(&format!("node/{name}"))),
        ],
        key: hash::name(&["table", name]),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
        size: drops.max((fill * 1000.0) as u64),
    })
}

/// The pairs with the most connections in a node's table, of those that are counted there.
fn holders(scene: &Scene<'_>, number: u32) -> Vec<String> {
    let query = Query { group_by: GroupBy::EDGES, limit: 0, fold: false, keep: Vec::new(), ..scene.query.clone() };
    let keyer = Keyer::new(scene.view, query.group_by);
    let mut held: HashMap<RowKey, u64> = HashMap::new();
    select(scene.view, &query, |row, state, sum| {
        if row.node == number {
            *held.entry(keyer.key(row, state)).or_default() += sum.connections;
        }
    });
    let mut held: Vec<_> = held.into_iter().filter(|(_, n)| *n > 0).collect();
    held.sort_unstable_by_key(|(key, n)| (std::cmp::Reverse(*n), *key));
    held.truncate(HOLDERS);
    let rows = project(scene.view, &query, &History::default()).rows;
    let named = held.into_iter().filter_map(|(key, n)| Some((rows.iter().find(|row| row.key == key)?, n)));
    named
        .map(|(row, n)| {
            let port = row.port.map_or_else(String::new, |port| format!(":{port}"));
            format!("{} -> {}{port} holds {n}", row.source(), row.destination())
        })
        .collect()
}
