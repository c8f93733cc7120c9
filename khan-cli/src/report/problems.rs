//! What is wrong.

use std::num::NonZeroU32;
use std::time::Duration;

use khan_api::Timestamp;
use serde::Serialize;

use super::column::{Column, Head, Unit, cells, heads};
use super::item::json;
use super::{Cell, Line, Report};
use crate::model::problems::Rules;
use crate::model::{LabelSelection, Problem, Problems, Query};

/// A problem, looked at `now`.
struct Seen<'a> {
    problem: &'a Problem,
    now: Timestamp,
}

impl Seen<'_> {
    /// For how long it has been known.
    fn age(&self) -> Option<Duration> {
        self.problem.since.map(|since| self.now.since(since))
    }
}

/// Every column, in the order in which they stand.
fn columns<'a>() -> [Column<Seen<'a>>; 8] {
    [
        Column::new(Head::text("severity"), |seen| Cell::text(seen.problem.severity.as_str())),
        Column::new(Head::text("kind"), |seen| Cell::text(seen.problem.kind.as_str())),
        Column::new(Head::measured("age", Unit::Seconds).wide(), |seen| {
            seen.age().map_or(Cell::Missing, Cell::Duration)
        }),
        Column::new(Head::text("problem"), |seen| Cell::text(&seen.problem.sentence)),
        Column::new(Head::text("evidence").wide(), |seen| Cell::text(seen.problem.evidence.join("; "))),
        Column::new(Head::text("owners").wide(), |seen| Cell::text(seen.problem.owners.join(", "))),
        Column::new(Head::text("nodes").wide(), |seen| Cell::text(seen.problem.nodes.join(", "))),
        Column::new(Head::text("next").wide(), |seen| Cell::text(seen.problem.next.join("; "))),
    ]
}

/// How the columns are called.
pub(super) fn heads_of() -> Vec<Head> {
    heads(&columns())
}

/// The report of problems that were found `now`.
pub(crate) fn report(found: &Problems, query: &Query, rules: &Rules, missing: Vec<String>, now: Timestamp) -> Report {
    let columns = columns();
    let rows = found.list.iter().map(|problem| Line {
        cells: cells(&columns, &Seen { problem, now }),
        item: json(Item::of(&Seen { problem, now })),
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
    problem: &'a str,
    evidence: &'a [String],
    since: Option<Timestamp>,
    age_seconds: Option<f64>,
    owners: &'a [String],
    nodes: &'a [String],
    next: &'a [String],
    size: u64,
    key: String,
}

impl<'a> Item<'a> {
    fn of(seen: &Seen<'a>) -> Self {
        let problem = seen.problem;
        Self {
            kind: problem.kind.as_str(),
            severity: problem.severity.as_str(),
            problem: &problem.sentence,
            evidence: &problem.evidence,
            since: problem.since,
            age_seconds: seen.age().map(|age| age.as_secs_f64()),
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
    filter: Option<String>,
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
    dead_min: u64,
    dead_after_seconds: f64,
    stalled_min: u64,
    stalled_outside: f64,
    unanswered_min: u64,
    unanswered_udp: f64,
    churn_min: u64,
    churn_lasts_seconds: f64,
    table_fill: f64,
    balance_min: u64,
    balance_skew: f64,
    balance_lasts_seconds: f64,
    balance_ready_seconds: f64,
    new_client_min: u64,
    new_client_share: f64,
    limit_fill: f64,
    snat_fill: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nat_gateway_ports: Option<NonZeroU32>,
}

impl<'a> Metadata<'a> {
    fn of(found: &'a Problems, query: &'a Query, rules: &Rules, missing: Vec<String>) -> Self {
        Self {
            problems: found.alarming(),
            watched: found.list.len() - found.alarming(),
            unknown: found.unknown.iter().map(|(kind, reason)| Unknown { kind: kind.as_str(), reason }).collect(),
            filter: Some(query.filter.to_string()).filter(|text| !text.is_empty()),
            scope: &query.namespaces,
            selector: query.labels.as_ref().map(LabelSelection::selector),
            rules: Thresholds {
                dead_min: rules.dead,
                dead_after_seconds: rules.dead_after.as_secs_f64(),
                stalled_min: rules.stalled,
                stalled_outside: rules.stalled_outside,
                unanswered_min: rules.unanswered,
                unanswered_udp: rules.unanswered_udp,
                churn_min: rules.churn,
                churn_lasts_seconds: rules.churn_lasts,
                table_fill: rules.table,
                balance_min: rules.balance.min,
                balance_skew: rules.balance.skew,
                balance_lasts_seconds: rules.balance.lasts.as_secs_f64(),
                balance_ready_seconds: rules.balance.ready.as_secs_f64(),
                new_client_min: rules.new_client,
                new_client_share: rules.new_client_share,
                limit_fill: rules.limit,
                snat_fill: rules.snat,
                nat_gateway_ports: rules.gateway,
            },
            partial: !missing.is_empty(),
            missing,
        }
    }
}
