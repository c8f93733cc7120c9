//! `khan leaks`: which rows look like leaks, with the evidence. Needs a window of snapshots: Prometheus and recordings
//! know them, agents and this host are watched for as long.

use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::printer::Printer;
use super::session::{self, Start};
use super::top::report as top;
use crate::cli::{Cli, LeaksArgs, duration};
use crate::connect;
use crate::failure::Failure;
use crate::feed::Feed;
use crate::model::history::Limits;
use crate::model::{History, LabelledPods, LeakReport, LeakRule, Query, Verdict, View, leak::Leak, leaks};
use crate::output::{Cell, Column, Line, Report};

/// Watches for the window, prints, and fails with 5 when asked to and a leak is likely.
pub async fn run(cli: &Cli, args: &LeaksArgs) -> Result<ExitCode, Failure> {
    let mut query = args.query.query(&args.selectors, cli.kube.scope()).map_err(Failure::usage)?;
    query.limit = 0;
    let rule = args.leak.rule(args.query.window);
    let mut printer = Printer::new(cli)?;
    query.labelled = connect::labelled::pods(&cli.kube, args.query.selector.as_deref()).await?;
    query.window = rule.window;
    query.trend = rule.window;
    // Which pod holds most of a row is asked of each suspect, so a server must be asked for it from the start.
    let mut feed = connect::start(cli, &query.clone().by_pod()).await?;
    let mut history = History::with_limits(Limits::spaced(cli.source.interval, rule.window));
    history.track(&query);
    let Start { view: first, past } = session::settled(&mut feed).await?;
    history.backfill(past);
    history.push(Arc::clone(&first));
    let view = watch(&mut feed, first, &mut history, &rule, &printer).await;
    let found = leaks(&view, &query, &history, &rule);
    let mut report = report(&found, &query, &rule);
    if let Some(limit) = args.query.limit.filter(|limit| *limit > 0) {
        report.rows.truncate(limit);
    }
    printer.print(&report)?;
    if found.samples < rule.samples {
        let (samples, needed) = (found.samples, rule.samples);
        printer.note(&format!(
            "note: {samples} snapshots are too few to judge, {needed} are needed: give a longer --window"
        ));
    }
    printer.explain(&view);
    let likely = found.count(Verdict::Likely);
    if args.exit_code && likely > 0 {
        let plural = if likely == 1 { "leak" } else { "leaks" };
        return Err(Failure::leak(format_args!("{likely} likely {plural} (--exit-code)")));
    }
    printer.judge(&view)?;
    Ok(ExitCode::SUCCESS)
}

/// Collects samples until the history spans the window, or the source has no more.
async fn watch(
    feed: &mut Feed,
    first: Arc<View>,
    history: &mut History,
    rule: &LeakRule,
    printer: &Printer,
) -> Arc<View> {
    let known = history.span().map_or_else(Default::default, |(oldest, newest)| newest.since(oldest));
    let missing = rule.window.saturating_sub(known);
    // A server's past ends between two of its steps.
    if missing * 10 <= rule.window {
        return first;
    }
    printer.note(&format!("watching for {} (with --prometheus-url the past is known)", duration::text(missing)));
    let end = Instant::now() + missing;
    let mut view = first;
    while let Ok(Some(next)) = timeout_at(end, session::next(feed, view.id)).await {
        history.push(Arc::clone(&next));
        view = next;
    }
    view
}

/// The report of a leak report.
pub fn report(found: &LeakReport, query: &Query, rule: &LeakRule) -> Report {
    let columns = vec![
        Column::text("verdict", "VERDICT"),
        Column::text("source", "SOURCE"),
        Column::text("destination", "DESTINATION"),
        Column::number("port", "PORT"),
        Column::number("now", "NOW"),
        Column::number("growth", "GROWTH"),
        Column::number("rate", "/MIN"),
        Column::text("rising", "RISING"),
        Column::number("idle", "IDLE").wide(),
        Column::number("halfclosed", "HALF-CLOSED").wide(),
        Column::number("pods", "PODS").wide(),
        Column::text("evidence", "EVIDENCE"),
    ];
    let rows = found.leaks.iter().map(|leak| line(&columns, leak)).collect();
    let metadata = json!({
        "window": rule.window.as_secs(),
        "samples": found.samples,
        "since": found.since,
        "filter": query.filter.to_string(),
        "scope": query.namespaces,
        "selector": query.labelled.as_ref().map(LabelledPods::selector),
        "rule": {
            "rising": rule.rising, "growth": rule.growth, "growthShare": rule.growth_share,
            "concentration": rule.concentration, "idle": rule.idle, "samples": rule.samples,
        },
        "likely": found.count(Verdict::Likely),
        "watch": found.count(Verdict::Watch),
        "tooNew": found.count(Verdict::TooNew),
    });
    let empty = format!("No leaks found in {} snapshots.", found.samples);
    Report { kind: "LeakList", metadata, columns, rows, empty }
}

fn line(columns: &[Column], leak: &Leak) -> Line {
    let row = &leak.row;
    let added = i64::try_from(row.growth.last).unwrap_or(i64::MAX) - i64::try_from(row.growth.first).unwrap_or(0);
    let cell = |column: &Column| match column.name {
        "verdict" => Cell::text(leak.verdict.as_str()),
        "source" => Cell::text(row.source()),
        "destination" => Cell::text(row.destination()),
        "port" => row.port.map_or(Cell::Missing, |port| Cell::Count(port.into())),
        "now" => Cell::Count(row.sum.connections),
        "growth" => Cell::Change(added),
        "rate" => row.change.map_or(Cell::Missing, |change| Cell::Rate(change.per_minute())),
        "rising" => Cell::text(format!("{}/{}", row.growth.rising, row.growth.steps())),
        "idle" => Cell::Count(row.sum.idle_connections),
        "halfclosed" => Cell::Count(row.sum.half_closed()),
        "pods" => Cell::Count(leak.pods.len() as u64),
        "evidence" => Cell::text(leak.reasons.join("; ")),
        _ => Cell::Missing,
    };
    let pods: Vec<_> =
        leak.pods.iter().take(10).map(|(party, n)| json!({ "pod": top::party(party), "connections": n })).collect();
    let mut item = top::item(row);
    if let Some(item) = item.as_object_mut() {
        item.insert("verdict".into(), leak.verdict.as_str().into());
        item.insert("growth".into(), added.into());
        item.insert("risingSteps".into(), row.growth.rising.into());
        item.insert("steps".into(), row.growth.steps().into());
        item.insert("evidence".into(), leak.reasons.clone().into());
        item.insert("pods".into(), pods.into());
        item.insert("skew".into(), leak.skew.into());
    }
    let name = format!("{}->{}", row.source(), row.destination());
    Line { cells: columns.iter().map(cell).collect(), item, name }
}
