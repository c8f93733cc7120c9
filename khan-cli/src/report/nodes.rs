//! Nodes and how their agents are.

use std::time::Duration;

use khan_api::Timestamp;
use khan_api::snapshot::{Names, Table};
use serde::Serialize;

use super::column::{Column, Head, cells, heads};
use super::item::json;
use super::{Cell, Line, Report};
use crate::duration;
use crate::model::{NodeState, NodeStatus, View};

/// A node, looked at `now`.
struct Node<'a> {
    status: &'a NodeStatus,
    now: Timestamp,
}

/// Every column, in the order in which they stand.
fn columns<'a>() -> [Column<Node<'a>>; 16] {
    [
        Column::new(Head::text("node", "NODE"), |node| Cell::text(&node.status.node)),
        Column::new(Head::text("state", "STATE"), |node| Cell::text(node.status.state.as_str())),
        Column::new(Head::text("version", "VERSION"), |node| Cell::text(&node.status.version)),
        Column::new(Head::number("age", "AGE"), |node| {
            node.status.age(node.now).map_or(Cell::Missing, |age| Cell::text(duration::text(age)))
        }),
        Column::new(Head::number("interval", "INTERVAL"), |node| period(node.status.interval)),
        Column::new(Head::number("scan", "SCAN"), |node| period(node.status.scan)),
        Column::new(Head::number("conns", "CONNS"), |node| {
            if node.status.counted { Cell::Count(node.status.connections) } else { Cell::Missing }
        }),
        Column::new(Head::number("entries", "ENTRIES"), |node| table(node, |table| table.entries)),
        Column::new(Head::number("fill", "FILL%"), |node| percent(node.status)),
        Column::new(Head::number("limit", "LIMIT").wide(), |node| table(node, |table| table.limit)),
        Column::new(Head::number("unresolved", "UNRESOLVED").wide(), |node| Cell::Count(node.status.names.unresolved)),
        Column::new(Head::text("names", "NAMES").wide(), |node| Cell::text(&node.status.names.controller)),
        Column::new(Head::number("skew", "CLOCK-SKEW").wide(), |node| {
            Cell::text(format!("{:+.1}s", node.status.clock_skew_millis as f64 / 1000.0))
        }),
        Column::new(Head::text("started", "STARTED").wide(), |node| {
            Cell::text(node.status.started.map(|started| started.to_string()).unwrap_or_default())
        }),
        Column::new(Head::text("agent", "AGENT").wide(), |node| Cell::text(&node.status.agent)),
        Column::new(Head::text("problem", "PROBLEM"), |node| Cell::text(problems(node.status).join("; "))),
    ]
}

/// The names of the columns.
pub(super) fn names() -> Vec<&'static str> {
    columns().iter().map(|column| column.head.name).collect()
}

fn period(duration: Duration) -> Cell {
    if duration.is_zero() { Cell::Missing } else { Cell::text(duration::text(duration)) }
}

fn table(node: &Node<'_>, pick: fn(&Table) -> u64) -> Cell {
    node.status.table.as_ref().map_or(Cell::Missing, |table| Cell::Count(pick(table)))
}

fn percent(node: &NodeStatus) -> Cell {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share between 0 and 1")]
    node.fill().map_or(Cell::Missing, |fill| Cell::Percent((fill * 100.0).round().min(255.0) as u8))
}

/// The nodes of a view; ages are at `now`.
pub(crate) fn report(view: &View, now: Timestamp) -> Report {
    let columns = columns();
    let rows = view.nodes.iter().map(|status| Line {
        cells: cells(&columns, &Node { status, now }),
        item: json(Item::of(status, now)),
        name: format!("node/{}", status.node),
    });
    let rows = rows.collect();
    Report {
        kind: "AgentList",
        metadata: json(Metadata::of(view)),
        columns: heads(&columns),
        rows,
        empty: "No agents found.".into(),
    }
}

/// What is wrong with a node, worst first.
pub(crate) fn problems(node: &NodeStatus) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(failure) = &node.failure {
        problems.push(failure.reason.clone());
    } else if node.state == NodeState::Stale {
        problems.push("its snapshot is old".to_owned());
    }
    if node.refused > 0 {
        problems.push(format!("{} rows point to addresses that its snapshot does not hold", node.refused));
    }
    if node.fill().is_some_and(|fill| fill >= 0.8) {
        problems.push("its table is nearly full".to_owned());
    }
    if !node.names.error.is_empty() {
        problems.push(format!("names: {}", node.names.error));
    }
    problems.extend(node.warnings.iter().cloned());
    problems
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    source: &'static str,
    context: &'a str,
    total: usize,
    ok: usize,
    stale: usize,
    failed: usize,
    notes: &'a [String],
    partial: bool,
    missing: Vec<String>,
}

impl<'a> Metadata<'a> {
    fn of(view: &'a View) -> Self {
        let missing = view.gaps();
        Self {
            source: view.source.kind.as_str(),
            context: &view.source.context,
            total: view.nodes.len(),
            ok: view.count(NodeState::Ok),
            stale: view.count(NodeState::Stale),
            failed: view.count(NodeState::Failed),
            notes: &view.notes,
            partial: !missing.is_empty(),
            missing,
        }
    }
}

/// A node for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    node: &'a str,
    agent: &'a str,
    state: &'static str,
    counted: bool,
    version: &'a str,
    snapshot_time: Option<Timestamp>,
    age_seconds: Option<f64>,
    interval_seconds: f64,
    scan_seconds: f64,
    started: Option<Timestamp>,
    clock_skew_seconds: f64,
    connections: u64,
    table: Option<&'a Table>,
    fill: Option<f64>,
    names: &'a Names,
    warnings: &'a [String],
    failure: Option<Failure<'a>>,
}

#[derive(Debug, Serialize)]
struct Failure<'a> {
    reason: &'a str,
    since: Timestamp,
    attempts: u32,
    next: Option<Timestamp>,
}

impl<'a> Item<'a> {
    fn of(node: &'a NodeStatus, now: Timestamp) -> Self {
        Self {
            node: &node.node,
            agent: &node.agent,
            state: node.state.as_str(),
            counted: node.counted,
            version: &node.version,
            snapshot_time: node.taken,
            age_seconds: node.age(now).map(|age| age.as_secs_f64()),
            interval_seconds: node.interval.as_secs_f64(),
            scan_seconds: node.scan.as_secs_f64(),
            started: node.started,
            clock_skew_seconds: node.clock_skew_millis as f64 / 1000.0,
            connections: node.connections,
            table: node.table.as_ref(),
            fill: node.fill(),
            names: &node.names,
            warnings: &node.warnings,
            failure: node.failure.as_ref().map(|failure| Failure {
                reason: &failure.reason,
                since: failure.since,
                attempts: failure.attempts,
                next: failure.next,
            }),
        }
    }
}
