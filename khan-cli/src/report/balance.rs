//! Services, and how their connections are spread over their endpoints.

use std::net::IpAddr;

use khan_api::Timestamp;
use serde::Serialize;

use super::column::{Column, Head, cells, heads};
use super::item::{json, known};
use super::{Cell, Line, Report};
use crate::model::Query;
use crate::model::balance::{Balance, BalanceRule};
use crate::model::services::Services;

/// Endpoints that the table names; `-o wide` names all of them.
const NAMED: usize = 2;

/// A service, looked at `now`.
struct Seen<'a> {
    balance: &'a Balance,
    now: Timestamp,
}

/// Every column, in the order in which they stand.
fn columns<'a>() -> [Column<Seen<'a>>; 9] {
    [
        Column::new(Head::text("spread"), |seen| Cell::text(seen.balance.spread.as_str())),
        Column::new(Head::text("service"), |seen| Cell::text(&seen.balance.service)),
        Column::new(Head::number("endpoints"), |seen| Cell::Count(seen.balance.listed() as u64)),
        Column::new(Head::number("conns"), |seen| Cell::Count(seen.balance.connections)),
        Column::new(Head::number("skew"), |seen| {
            seen.balance.skew.map_or(Cell::Missing, |skew| Cell::Text(format!("{skew:.1}")))
        }),
        Column::new(Head::number("short").wide(), |seen| Cell::Count(seen.balance.short)),
        Column::new(Head::number("clients").wide(), |seen| Cell::Count(seen.balance.clients as u64)),
        Column::new(Head::text("held-by"), |seen| Cell::text(seen.balance.sentence(seen.now, NAMED))),
        Column::new(Head::text("each").wide(), |seen| Cell::text(each(seen.balance))),
    ]
}

/// How the columns are called.
pub(super) fn heads_of() -> Vec<Head> {
    heads(&columns())
}

/// `401 api-x, 11 api-y, 0 api-1`
fn each(balance: &Balance) -> String {
    let each = balance.loads.iter().map(|load| format!("{} {}", load.connections, load.name));
    each.collect::<Vec<_>>().join(", ")
}

/// The report of services whose connections were looked at `now`.
pub(crate) fn report(
    found: &[Balance],
    services: &Services,
    query: &Query,
    rule: &BalanceRule,
    missing: Vec<String>,
    now: Timestamp,
) -> Report {
    let columns = columns();
    let row = |balance| Line {
        cells: cells(&columns, &Seen { balance, now }),
        item: json(Item::of(balance, now)),
        name: format!("svc/{}", balance.service),
    };
    Report {
        kind: "BalanceList",
        metadata: json(Metadata {
            unknown: services.unknown.as_deref(),
            services_not_asked: services.left_out,
            filter: Some(query.filter.to_string()).filter(|text| !text.is_empty()),
            scope: &query.namespaces,
            rule: Rule {
                min: rule.min,
                skew: rule.skew,
                lasts_seconds: rule.lasts.as_secs_f64(),
                ready_seconds: rule.ready.as_secs_f64(),
            },
            partial: !missing.is_empty(),
            missing,
        }),
        columns: heads(&columns),
        rows: found.iter().map(row).collect(),
        empty: match &services.unknown {
            Some(reason) => format!("not known from here: who answers for services ({reason})"),
            None => "No established connections to services.".to_owned(),
        },
    }
}

/// A service for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    service: &'a str,
    spread: &'static str,
    conns: u64,
    short: u64,
    clients: usize,
    skew: Option<f64>,
    held_by: String,
    nodes: &'a [String],
    endpoints: Vec<Endpoint<'a>>,
}

#[derive(Debug, Serialize)]
struct Endpoint<'a> {
    ip: IpAddr,
    name: &'a str,
    node: Option<&'a str>,
    condition: &'static str,
    since: Option<Timestamp>,
    conns: u64,
}

impl<'a> Item<'a> {
    fn of(balance: &'a Balance, now: Timestamp) -> Self {
        let endpoints = balance.loads.iter().map(|load| Endpoint {
            ip: load.ip,
            name: &load.name,
            node: known(&load.node),
            condition: load.condition.as_str(),
            since: load.since,
            conns: load.connections,
        });
        Self {
            service: &balance.service,
            spread: balance.spread.as_str(),
            conns: balance.connections,
            short: balance.short,
            clients: balance.clients,
            skew: balance.skew,
            held_by: balance.sentence(now, NAMED),
            nodes: &balance.nodes,
            endpoints: endpoints.collect(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    unknown: Option<&'a str>,
    services_not_asked: usize,
    filter: Option<String>,
    scope: &'a [String],
    rule: Rule,
    partial: bool,
    missing: Vec<String>,
}

/// The thresholds, as their flags take them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    min: u64,
    skew: f64,
    lasts_seconds: f64,
    ready_seconds: f64,
}
