//! Suspects of the leak rule.

use std::time::Duration;

use khan_api::Timestamp;
use serde::Serialize;

use super::column::{Column, Head, Unit, cells, heads};
use super::connections::{self, column};
use super::item::{End, json, known};
use super::{Cell, Line, Report};
use crate::model::growth::Miss;
use crate::model::leak::Leak;
use crate::model::{LabelSelection, LeakReport, LeakRule, Query, Row, Verdict, own};

/// A cell of the row of connections that is suspected.
macro_rules! of_row {
    ($name:literal) => {
        |leak| column($name).map_or(Cell::Missing, |column| column.cell(&leak.row))
    };
}

/// Every column, in the order in which they stand.
static COLUMNS: [Column<Leak>; 13] = [
    Column::new(Head::text("verdict"), |leak| Cell::text(leak.verdict.as_str())),
    Column::new(Head::text("source"), of_row!("source")),
    Column::new(Head::text("destination"), of_row!("destination")),
    Column::new(Head::number("port"), of_row!("port")),
    Column::new(Head::number("conns"), of_row!("conns")),
    Column::new(Head::number("before").wide(), |leak| Cell::Count(before(leak))),
    Column::new(Head::number("growth"), |leak| Cell::Change(growth(leak))),
    Column::new(Head::measured("rate", Unit::PerMinute), of_row!("rate")),
    Column::new(Head::text("rising"), |leak| Cell::text(rising(leak))),
    Column::new(Head::number("idle").wide(), of_row!("idle")),
    Column::new(Head::number("halfclosed").wide(), of_row!("halfclosed")),
    Column::new(Head::number("pods").wide(), |leak| Cell::Count(leak.pods.len() as u64)),
    Column::new(Head::text("evidence"), |leak| Cell::text(leak.reasons.join("; "))),
];

/// How the columns are called.
pub(super) fn columns() -> Vec<Head> {
    heads(&COLUMNS)
}

/// `28/30`: steps that did not fall, of all.
fn rising(leak: &Leak) -> String {
    format!("{}/{}", leak.row.growth.rising(), leak.row.growth.steps())
}

/// Connections at the begin of the growth, on the nodes that answer now.
fn before(leak: &Leak) -> u64 {
    leak.row.sum.connections.saturating_add_signed(growth(leak).saturating_neg())
}

fn growth(leak: &Leak) -> i64 {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    number(leak.row.growth.last).saturating_sub(number(leak.row.growth.first))
}

/// The report of a leak report.
pub(crate) fn report(found: &LeakReport, query: &Query, rule: &LeakRule, missing: Vec<String>) -> Report {
    let line = |leak: &Leak| Line {
        cells: cells(&COLUMNS, leak),
        item: json(Item::of(leak)),
        name: format!("{}->{}", leak.row.source(), leak.row.destination()),
    };
    let mut empty = format!("No leaks found in {}.", snapshots(found.samples));
    if let Some(left_out) = own::left_out(found.own) {
        empty = format!("{empty}\nnote: {left_out}");
    }
    Report {
        kind: "LeakList",
        metadata: json(Metadata::of(found, query, rule, missing)),
        columns: heads(&COLUMNS),
        rows: found.leaks.iter().map(line).collect(),
        empty,
    }
}

/// `1 snapshot`, `2 snapshots`.
pub(crate) fn snapshots(n: usize) -> String {
    if n == 1 { "1 snapshot".to_owned() } else { format!("{n} snapshots") }
}

/// A suspect for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(flatten)]
    row: connections::Item<'a>,
    verdict: &'static str,
    before: u64,
    growth: i64,
    rising: String,
    evidence: &'a [String],
    pods: usize,
    largest_pods: Vec<Pod<'a>>,
    skew: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Pod<'a> {
    pod: End<'a>,
    conns: u64,
}

impl<'a> Item<'a> {
    fn of(leak: &'a Leak) -> Self {
        const PODS: usize = 10;
        let pod =
            |(party, connections): &'a (crate::model::GroupEnd, u64)| Pod { pod: party.into(), conns: *connections };
        Self {
            row: connections::Item::of(&leak.row),
            verdict: leak.verdict.as_str(),
            before: before(leak),
            growth: growth(leak),
            rising: rising(leak),
            evidence: &leak.reasons,
            pods: leak.pods.len(),
            largest_pods: leak.pods.iter().take(PODS).map(pod).collect(),
            skew: leak.skew,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    window_seconds: u64,
    samples: usize,
    since: Option<Timestamp>,
    span_seconds: u64,
    filter: Option<String>,
    scope: &'a [String],
    selector: Option<&'a str>,
    rule: Rule,
    likely: usize,
    watch: usize,
    too_new: usize,
    near: Vec<Near<'a>>,
    partial: bool,
    missing: Vec<String>,
    left_out_own_conns: Option<u64>,
}

/// The thresholds, as their flags take them.
#[derive(Debug, Serialize)]
struct Rule {
    rising: f64,
    growth: u64,
    samples: usize,
    step: f64,
    concentration: f64,
    faster: f64,
    idle: f64,
}

/// A row that grew and is no suspect.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Near<'a> {
    source: Option<&'a str>,
    destination: Option<&'a str>,
    port: Option<u16>,
    growth: u64,
    rising: String,
    reason: String,
}

impl<'a> Metadata<'a> {
    fn of(found: &'a LeakReport, query: &'a Query, rule: &LeakRule, missing: Vec<String>) -> Self {
        let seconds = |duration: Duration| duration.as_secs();
        Self {
            window_seconds: seconds(rule.window),
            samples: found.samples,
            since: found.since,
            span_seconds: seconds(found.span),
            filter: Some(query.filter.to_string()).filter(|text| !text.is_empty()),
            scope: &query.namespaces,
            selector: query.labels.as_ref().map(LabelSelection::selector),
            rule: Rule {
                rising: rule.rising,
                growth: rule.growth,
                samples: rule.samples,
                step: rule.step,
                concentration: rule.concentration,
                faster: rule.faster,
                idle: rule.idle,
            },
            likely: found.count(Verdict::Likely),
            watch: found.count(Verdict::Watch),
            too_new: found.count(Verdict::TooNew),
            near: found.near.iter().map(Near::of).collect(),
            partial: !missing.is_empty(),
            missing,
            left_out_own_conns: (!query.own).then_some(found.own),
        }
    }
}

impl<'a> Near<'a> {
    fn of((row, miss): &'a (Row, Miss)) -> Self {
        let growth = &row.growth;
        Self {
            source: known(row.source()),
            destination: known(row.destination()),
            port: row.port,
            growth: growth.added(),
            rising: format!("{}/{}", growth.rising(), growth.steps()),
            reason: miss.to_string(),
        }
    }
}
