//! `khan agents`: is every node's agent well?

use std::time::Duration;

use khan_api::Timestamp;
use serde_json::{Value, json};

use super::printer::Printer;
use super::session::{self, Watch};
use crate::args::{Cli, duration};
use crate::connect;
use crate::failure::Failure;
use crate::model::{GroupBy, NodeState, NodeStatus, Query, View};
use crate::output::{Cell, Column, Line, Report};

/// Prints one row per node.
pub async fn run(cli: &Cli) -> Result<(), Failure> {
    let mut printer = Printer::new(cli)?;
    let query = Query { group_by: GroupBy::NODES, trend: Duration::ZERO, window: Duration::ZERO, ..Query::default() };
    let mut feed = connect::start(cli, &query).await?;
    let mut watch = Watch::new(cli.output.watch, cli.output.count, cli.source.interval);
    let (mut view, _) = match session::settled(&mut feed).await {
        Ok(start) => watch.first(start),
        // That no agent answers is what this command is asked to show.
        Err(failure) if failure.code == 4 && !feed.views.borrow().nodes.is_empty() => {
            printer.print(&report(&feed.views.borrow().clone(), Timestamp::now()))?;
            return Err(failure);
        }
        Err(failure) => return Err(failure),
    };
    loop {
        let moment = session::moment(&view);
        printer.print_at(&report(&view, moment), moment)?;
        for note in view.notes.iter().chain(&view.missing) {
            printer.note(&format!("note: {note}"));
        }
        match watch.next(&mut feed, view.id).await {
            Some(next) => view = next,
            None => break,
        }
    }
    printer.judge(&view)?;
    let ill = view.nodes.iter().filter(|node| node.state != NodeState::Ok).count();
    if ill > 0 {
        return Err(Failure::runtime(format_args!(
            "{ill} of {} agents do not answer with fresh snapshots",
            view.nodes.len()
        )));
    }
    Ok(())
}

/// The nodes of a view; ages are at `now`.
pub fn report(view: &View, now: Timestamp) -> Report {
    let columns = vec![
        Column::text("node", "NODE"),
        Column::text("state", "STATE"),
        Column::text("version", "VERSION"),
        Column::number("age", "AGE"),
        Column::number("interval", "INTERVAL"),
        Column::number("scan", "SCAN"),
        Column::number("conns", "CONNS"),
        Column::number("entries", "ENTRIES"),
        Column::number("fill", "FILL%"),
        Column::number("limit", "LIMIT").wide(),
        Column::number("unresolved", "UNRESOLVED").wide(),
        Column::text("names", "NAMES").wide(),
        Column::number("skew", "CLOCK-SKEW").wide(),
        Column::text("started", "STARTED").wide(),
        Column::text("agent", "AGENT").wide(),
        Column::text("problem", "PROBLEM"),
    ];
    let rows = view.nodes.iter().map(|node| line(&columns, node, now)).collect();
    let (ok, gaps) = (view.count(NodeState::Ok), view.gaps());
    let metadata = json!({
        "source": view.source.kind.as_str(), "context": view.source.context, "total": view.nodes.len(), "ok": ok,
        "stale": view.count(NodeState::Stale), "failed": view.count(NodeState::Failed), "notes": view.notes,
        "partial": !gaps.is_empty(), "missing": gaps,
    });
    Report { kind: "AgentList", metadata, columns, rows, empty: "No agents found.".into() }
}

fn line(columns: &[Column], node: &NodeStatus, now: Timestamp) -> Line {
    let duration = |duration: std::time::Duration| {
        if duration.is_zero() { Cell::Missing } else { Cell::text(duration::text(duration)) }
    };
    let table = |pick: fn(&khan_api::snapshot::Table) -> u64| {
        node.table.as_ref().map_or(Cell::Missing, |table| Cell::Count(pick(table)))
    };
    let cell = |column: &Column| match column.name {
        "node" => Cell::text(&node.node),
        "state" => Cell::text(node.state.as_str()),
        "version" => Cell::text(&node.version),
        "age" => node.age(now).map_or(Cell::Missing, |age| Cell::text(duration::text(age))),
        "interval" => duration(node.interval),
        "scan" => duration(node.scan),
        "conns" if node.counted => Cell::Count(node.connections),
        "entries" => table(|table| table.entries),
        "limit" => table(|table| table.limit),
        "fill" => percent(node).map_or(Cell::Missing, Cell::Percent),
        "unresolved" => Cell::Count(node.names.unresolved),
        "names" => Cell::text(&node.names.controller),
        "skew" => Cell::text(format!("{:+.1}s", node.clock_skew_millis as f64 / 1000.0)),
        "started" => Cell::text(node.started.map(|started| started.to_string()).unwrap_or_default()),
        "agent" => Cell::text(&node.agent),
        "problem" => Cell::text(problems(node).join("; ")),
        _ => Cell::Missing,
    };
    Line { cells: columns.iter().map(cell).collect(), item: item(node, now), name: format!("node/{}", node.node) }
}

fn percent(node: &NodeStatus) -> Option<u8> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share between 0 and 1")]
    node.fill().map(|fill| (fill * 100.0).round().min(255.0) as u8)
}

/// What is wrong with a node, worst first.
pub fn problems(node: &NodeStatus) -> Vec<String> {
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

fn item(node: &NodeStatus, now: Timestamp) -> Value {
    json!({
        "node": node.node,
        "agent": node.agent,
        "state": node.state.as_str(),
        "counted": node.counted,
        "version": node.version,
        "snapshotTime": node.taken,
        "ageSeconds": node.age(now).map(|age| age.as_secs_f64()),
        "intervalSeconds": node.interval.as_secs_f64(),
        "scanSeconds": node.scan.as_secs_f64(),
        "started": node.started,
        "clockSkewSeconds": node.clock_skew_millis as f64 / 1000.0,
        "connections": node.connections,
        "table": node.table,
        "fill": node.fill(),
        "names": node.names,
        "warnings": node.warnings,
        "failure": node.failure.as_ref().map(|failure| json!({
            "reason": failure.reason, "since": failure.since, "attempts": failure.attempts, "next": failure.next,
        })),
    })
}
