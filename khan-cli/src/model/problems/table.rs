//! Connection tables that are nearly full, or drop. When the kernel's is full, no new connection passes the node; what eBPF maps
//! do then depends on their type.

use std::collections::HashMap;

use khan_api::TableStats;

use super::kind::{ProblemKind, Severity};
use super::pairs::roughly;
use super::problem::Problem;
use super::scene::Scene;
use super::table_name::{WhenFull, may_hold, when_full};
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

/// From this share on an LRU map counts as full: each CPU keeps some free entries for itself, so eviction begins before the
/// last one is taken.
const EVICTS: f64 = 0.95;

/// One problem per table.
pub(super) fn find(scene: &Scene<'_>) -> Result<Vec<Problem>, String> {
    if scene.view.nodes.iter().all(|node| node.tables.is_empty()) {
        return Err("this source does not tell how full tables are".to_owned());
    }
    let found = (0..).zip(&scene.view.nodes).filter(|(_, node)| node.counted);
    let tables = found.flat_map(|(number, node)| node.tables.iter().map(move |table| (number, node, table)));
    Ok(tables.filter_map(|(number, node, table)| problem(scene, number, node, table)).collect())
}

fn problem(scene: &Scene<'_>, number: u32, node: &NodeStatus, table: &TableStats) -> Option<Problem> {
    let (share, when_full) = (table.fill()?, when_full(&table.name));
    let counted = when_full == WhenFull::Counted;
    let dropped = if counted { scene.memory.dropped(&node.node, &table.name) } else { None };
    let ([packets, given_up], over) = dropped.unwrap_or_default();
    let drops = packets + given_up;
    if share < scene.rules.table && drops == 0 {
        return None;
    }
    let name = &node.node;
    let left = scene.memory.time_to_full(name, table).filter(|_| share < 1.0);
    let which = if counted { String::new() } else { format!("{} ", table.name) };
    let mut sentence = format!(
        "the connection table {which}of {name} is {}% full ({} of {})",
        table.fill_percent()?.min(100),
        table.entries,
        table.limit
    );
    if drops > 0 {
        sentence = format!("{sentence} and drops connections: {drops} in {}", duration::text(over));
    } else if let Some(left) = left {
        sentence = format!("{sentence}, and full in {} at this rate", duration::text(roughly(left)));
    }
    let mut evidence = holders(scene, number, &table.name);
    for (n, what) in [(packets, "packets were dropped"), (given_up, "entries were given up early")] {
        if n > 0 {
            evidence.push(format!("{n} {what} in {}", duration::text(over)));
        }
    }
    let full = match when_full {
        WhenFull::Counted => drops > 0 || share >= 1.0,
        WhenFull::Evicts => share >= EVICTS,
        WhenFull::Refuses => share >= 1.0,
    };
    evidence.extend(effect(when_full).map(str::to_owned));
    Some(Problem {
        kind: ProblemKind::Table,
        severity: if full { Severity::Critical } else { Severity::Warning },
        sentence,
        evidence,
        since: None,
        owners: Vec::new(),
        nodes: vec![name.clone()],
        next: vec![
            format!("khan top --filter {}", quote(&format!("node:{name}"))),
            format!("kubectl describe {}", quote(&format!("node/{name}"))),
        ],
        key: if counted { hash::name(&["table", name]) } else { hash::name(&["table", name, &table.name]) },
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
        size: drops.max((share * 1000.0) as u64),
    })
}

/// What a full table does that nothing counts.
const fn effect(when_full: WhenFull) -> Option<&'static str> {
    match when_full {
        WhenFull::Counted => None,
        WhenFull::Evicts => {
            Some("a full map evicts the entries used longest ago, and says nothing: idle connections can break")
        }
        WhenFull::Refuses => Some("a full map takes no new entries: new connections fail"),
    }
}

/// The pairs with the most connections on a node, of those that are counted there and can be in its table of this name.
fn holders(scene: &Scene<'_>, number: u32, table: &str) -> Vec<String> {
    let query = Query { group_by: GroupBy::EDGES, limit: 0, fold: false, keep: Vec::new(), ..scene.query.clone() };
    let keyer = Keyer::new(scene.view, query.group_by);
    let mut held: HashMap<RowKey, u64> = HashMap::new();
    select(scene.view, &query, |row, state, sum| {
        let client = scene.view.endpoints[row.src as usize].ip;
        if row.node == number && may_hold(table, row.row.protocol, client) {
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
