//! Nodes and how their agents are.

use std::collections::BTreeMap;
use std::time::Duration;

use khan_api::{Label, TableStats, Timestamp};
use serde::Serialize;

use super::column::{Column, Head, Unit, cells, heads};
use super::item::{json, known};
use super::{Cell, Line, Report};
use crate::model::{NodeState, NodeStatus, View};

/// A node, looked at `now`.
struct Node<'a> {
    status: &'a NodeStatus,
    now: Timestamp,
}

/// Every column, in the order in which they stand.
fn columns<'a>() -> [Column<Node<'a>>; 17] {
    [
        Column::new(Head::text("node"), |node| Cell::text(&node.status.node)),
        Column::new(Head::text("state"), |node| Cell::text(node.status.state.as_str())),
        Column::new(Head::text("version"), |node| Cell::text(&node.status.version)),
        Column::new(Head::measured("age", Unit::Seconds), |node| {
            node.status.age(node.now).map_or(Cell::Missing, Cell::Duration)
        }),
        Column::new(Head::measured("interval", Unit::Seconds), |node| period(node.status.interval)),
        Column::new(Head::measured("scan", Unit::Seconds), |node| period(node.status.scan)),
        Column::new(Head::number("conns"), |node| {
            if node.status.counted { Cell::Count(node.status.connections) } else { Cell::Missing }
        }),
        Column::new(Head::number("entries"), |node| table(node, |table| table.entries)),
        Column::new(Head::measured("fill", Unit::Percent), |node| {
            node.status.fill_percent().map_or(Cell::Missing, Cell::Percent)
        }),
        Column::new(Head::number("limit").wide(), |node| table(node, |table| table.limit)),
        Column::new(Head::text("tables").wide(), |node| Cell::text(tables(node.status))),
        Column::new(Head::number("unresolved").wide(), |node| Cell::Count(node.status.names.unresolved)),
        Column::new(Head::text("controller").wide(), |node| Cell::text(&node.status.names.controller)),
        Column::new(Head::measured("clock-skew", Unit::Seconds).wide(), |node| {
            Cell::Skew(node.status.clock_skew_millis)
        }),
        Column::new(Head::text("started").wide(), |node| {
            Cell::text(node.status.started.map(|started| started.to_string()).unwrap_or_default())
        }),
        Column::new(Head::text("agent").wide(), |node| Cell::text(&node.status.agent)),
        Column::new(Head::text("problems"), |node| Cell::text(problems(node.status).join("; "))),
    ]
}

/// How the columns are called.
pub(super) fn heads_of() -> Vec<Head> {
    heads(&columns())
}

fn period(duration: Duration) -> Cell {
    if duration.is_zero() { Cell::Missing } else { Cell::Duration(duration) }
}

/// A number of the fullest table.
fn table(node: &Node<'_>, pick: fn(&TableStats) -> u64) -> Cell {
    node.status.fullest().map_or(Cell::Missing, |table| Cell::Count(pick(table)))
}

/// Every table, the fullest first: `cilium_ct4_global 97%, nf_conntrack 2%`.
fn tables(node: &NodeStatus) -> String {
    let one = |table: &TableStats| match table.fill_percent() {
        Some(percent) => format!("{} {percent}%", table.name),
        None => table.name.to_string(),
    };
    node.tables_by_fill().into_iter().map(one).collect::<Vec<_>>().join(", ")
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
    for table in node.tables_by_fill().into_iter().filter(|table| table.fill().is_some_and(|fill| fill >= 0.8)) {
        let which = if table.is_kernel() { "table" } else { &*table.name };
        problems.push(format!("its {which} is nearly full"));
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
    context: Option<&'a str>,
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
            context: known(&view.source.context),
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
    node: Option<&'a str>,
    agent: Option<&'a str>,
    state: &'static str,
    counted: bool,
    version: Option<&'a str>,
    snapshot_time: Option<Timestamp>,
    age_seconds: Option<f64>,
    interval_seconds: Option<f64>,
    scan_seconds: Option<f64>,
    started: Option<Timestamp>,
    clock_skew_seconds: f64,
    conns: Option<u64>,
    entries: Option<u64>,
    limit: Option<u64>,
    fill_percent: Option<u8>,
    fullest_table: Option<&'a str>,
    tables: Vec<Filled<'a>>,
    table: Option<Tracked<'a>>,
    controller: Option<&'a str>,
    unresolved: u64,
    names: Named<'a>,
    problems: Vec<String>,
    warnings: &'a [String],
    failure: Option<Failure<'a>>,
}

/// How full a table is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Filled<'a> {
    name: &'a str,
    entries: u64,
    limit: Option<u64>,
    fill_percent: Option<u8>,
    scan_seconds: Option<f64>,
}

impl<'a> Filled<'a> {
    fn of(table: &'a TableStats) -> Self {
        Self {
            name: &table.name,
            entries: table.entries,
            limit: (table.limit > 0).then_some(table.limit),
            fill_percent: table.fill_percent(),
            scan_seconds: (table.scan_micros > 0).then(|| Duration::from_micros(table.scan_micros).as_secs_f64()),
        }
    }
}

/// The kernel's table.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tracked<'a> {
    buckets: u64,
    protocols: &'a BTreeMap<Label, u64>,
    stat: &'a BTreeMap<Label, u64>,
    seen_twice: u64,
    refused: u64,
    turned: u64,
}

/// How old the names are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Named<'a> {
    updated: Option<Timestamp>,
    error: Option<&'a str>,
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
        let period = |duration: Duration| Some(duration.as_secs_f64()).filter(|seconds| *seconds > 0.0);
        let fullest = node.fullest();
        Self {
            node: known(&node.node),
            agent: known(&node.agent),
            state: node.state.as_str(),
            counted: node.counted,
            version: known(&node.version),
            snapshot_time: node.taken,
            age_seconds: node.age(now).map(|age| age.as_secs_f64()),
            interval_seconds: period(node.interval),
            scan_seconds: period(node.scan),
            started: node.started,
            clock_skew_seconds: node.clock_skew_millis as f64 / 1000.0,
            conns: node.counted.then_some(node.connections),
            entries: fullest.map(|table| table.entries),
            limit: fullest.map(|table| table.limit),
            fill_percent: node.fill_percent(),
            fullest_table: fullest.map(|table| &*table.name),
            tables: node.tables.iter().map(Filled::of).collect(),
            table: node.table.as_ref().map(|table| Tracked {
                buckets: table.buckets,
                protocols: &table.protocols,
                stat: &table.stat,
                seen_twice: table.seen_twice,
                refused: table.refused,
                turned: table.turned,
            }),
            controller: known(&node.names.controller),
            unresolved: node.names.unresolved,
            names: Named { updated: node.names.updated, error: known(&node.names.error) },
            problems: problems(node),
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
