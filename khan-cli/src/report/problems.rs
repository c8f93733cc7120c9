//! What is wrong.

use khan_api::Timestamp;
use serde::Serialize;

use super::column::{Column, Head, cells, heads};
use super::item::json;
use super::{Cell, Line, Report};
use crate::duration;
use crate::model::problems::Rules;
use crate::model::{LabelSelection, Problem, Problems, Query};

/// A problem, looked at `now`.
struct Seen<'a> {
    problem: &'a Problem,
    now: Timestamp,
}

/// Every column, in the order in which they stand.
fn columns<'a>() -> [Column<Seen<'a>>; 8] {
    [
        Column::new(Head::text("severity", "SEVERITY"), |seen| Cell::text(seen.problem.severity.as_str())),
        Column::new(Head::text("kind", "KIND"), |seen| Cell::text(seen.problem.kind.as_str())),
        Column::new(Head::number("since", "SINCE").wide(), |seen| {
            seen.problem.since.map_or(Cell::Missing, |since| Cell::text(duration::text(seen.now.since(since))))
        }),
        Column::new(Head::text("problem", "PROBLEM"), |seen| Cell::text(&seen.problem.sentence)),
        Column::new(Head::text("evidence", "EVIDENCE").wide(), |seen| Cell::text(seen.problem.evidence.join("; "))),
        Column::new(Head::text("owners", "OWNERS").wide(), |seen| Cell::text(seen.problem.owners.join(", "))),
        Column::new(Head::text("nodes", "NODES").wide(), |seen| Cell::text(seen.problem.nodes.join(", "))),
        Column::new(Head::text("next", "NEXT").wide(), |seen| Cell::text(seen.problem.next.join("; "))),
    ]
}

/// The names of the columns.
pub(super) fn names() -> Vec<&'static str> {
    columns().iter().map(|column| column.head.name).collect()
}

/// The report of problems that were found `now`.
pub(crate) fn report(found: &Problems, query: &Query, rules: &Rules, missing: Vec<String>, now: Timestamp) -> Report {
    let columns = columns();
    let rows = found.list.iter().map(|problem| Line {
        cells: cells(&columns, &Seen { problem, now }),
        item: json(Item::of(problem)),
        name: format!("{}/{:032x}", problem.kind, problem.key),
    });
    let rows = rows.collect();
    Report {
        kind: "ProblemList",
        metadata: json(Metadata::of(found, query, rules, missing)),
        columns: heads(&columns),
        rows,
        empty: "No problems found.".to_owned(),
    }
}

/// A problem for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    kind: &'static str,
    severity: &'static str,
    sentence: &'a str,
    evidence: &'a [String],
    since: Option<Timestamp>,
    owners: &'a [String],
    nodes: &'a [String],
    next: &'a [String],
    size: u64,
    key: String,
}

impl<'a> Item<'a> {
    fn of(problem: &'a Problem) -> Self {
        Self {
            kind: problem.kind.as_str(),
            severity: problem.severity.as_str(),
            sentence: &problem.sentence,
            evidence: &problem.evidence,
            since: problem.since,
            owners: &problem.owners,
            nodes: &problem.nodes,
            next: &problem.next,
            size: problem.size,
            key: format!("{:032x}", problem.key),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    problems: usize,
    watched: usize,
    unknown: Vec<Unknown<'a>>,
    filter: String,
    scope: &'a [String],
    selector: Option<&'a str>,
    rules: Thresholds,
    partial: bool,
    missing: Vec<String>,
}

/// A kind that is not known from here.
#[derive(Debug, Serialize)]
struct Unknown<'a> {
    kind: &'static str,
    reason: &'a str,
}

/// The thresholds, as their flags take them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Thresholds {
    stalled_min: u64,
    stalled_outside: f64,
    unanswered_min: u64,
    unanswered_udp: f64,
    churn_min: u64,
    churn_lasts_seconds: f64,
    table_fill: f64,
}

impl<'a> Metadata<'a> {
    fn of(found: &'a Problems, query: &'a Query, rules: &Rules, missing: Vec<String>) -> Self {
        Self {
            problems: found.alarming(),
            watched: found.list.len() - found.alarming(),
            unknown: found.unknown.iter().map(|(kind, reason)| Unknown { kind: kind.as_str(), reason }).collect(),
            filter: query.filter.to_string(),
            scope: &query.namespaces,
            selector: query.labels.as_ref().map(LabelSelection::selector),
            rules: Thresholds {
                stalled_min: rules.stalled,
                stalled_outside: rules.stalled_outside,
                unanswered_min: rules.unanswered,
                unanswered_udp: rules.unanswered_udp,
                churn_min: rules.churn,
                churn_lasts_seconds: rules.churn_lasts,
                table_fill: rules.table,
            },
            partial: !missing.is_empty(),
            missing,
        }
    }
}
