//! What differs between two views.

use khan_api::Timestamp;
use serde::Serialize;

use super::column::{Column, Head};
use super::connections::{self, name};
use super::item::{Dimensions, json, known};
use super::scope::in_namespaces;
use super::{Cell, Line, Report};
use crate::model::diff::{Diff, Difference, Kind};
use crate::model::{LabelSelection, Query, SourceKind, View};

/// The columns besides those of connections: first how a row differs, then by how much.
static KIND: Column<Difference> = Column::new(Head::text("change"), |one: &Difference| Cell::text(one.kind.as_str()));
static NUMBERS: [Column<Difference>; 3] = [
    Column::new(Head::number("before"), |one| Cell::Count(one.before)),
    Column::new(Head::number("after"), |one| Cell::Count(one.after)),
    Column::new(Head::number("delta"), |one| Cell::Change(one.delta())),
];
/// The columns of connections that say what a row is.
const NAMES: [&str; 7] = ["source", "destination", "backend", "node", "protocol", "state", "port"];

/// How the columns are called, besides those of connections.
pub(super) fn columns() -> Vec<Head> {
    std::iter::once(KIND.head).chain(NUMBERS.iter().map(|column| column.head)).collect()
}

/// The two views that are compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sides<'a> {
    /// The earlier one.
    pub before: &'a View,
    /// The later one.
    pub after: &'a View,
}

/// The report of a comparison; `missing` says what it lacks.
pub(crate) fn report(diff: &Diff, sides: Sides<'_>, query: &Query, missing: &[String]) -> Report {
    let named = connections::of(&query.group_by).filter(|column| NAMES.contains(&column.head.name));
    let named: Vec<_> = named.collect();
    let line = |one: &Difference| Line {
        cells: std::iter::once((KIND.cell)(one))
            .chain(named.iter().map(|column| column.cell(&one.row)))
            .chain(NUMBERS.iter().map(|column| (column.cell)(one)))
            .collect(),
        item: json(Item::of(one)),
        name: name(&one.row),
    };
    let heads = std::iter::once(KIND.head)
        .chain(named.iter().map(|column| column.head))
        .chain(NUMBERS.iter().map(|column| column.head));
    let scope = in_namespaces(&query.namespaces);
    Report {
        kind: "DifferenceList",
        metadata: json(Metadata::of(diff, sides, query, missing)),
        columns: heads.collect(),
        rows: diff.rows.iter().map(line).collect(),
        empty: format!("No differences found{scope}."),
    }
}

/// `3 new, 1 gone, 2 grown, 0 shrunk, 14 unchanged`.
pub(crate) fn summary(diff: &Diff) -> String {
    let kinds = Kind::ALL.map(|kind| format!("{} {}", count(diff, kind), kind.as_str()));
    let undecided = match diff.undecided {
        0 => String::new(),
        n => format!(", {n} undecided (one side may hold them among what it lacks)"),
    };
    format!("{}, {} unchanged{undecided}", kinds.join(", "), diff.unchanged)
}

/// Where a view is from and when, in words.
pub(crate) fn describe(view: &View) -> String {
    let at = Timestamp::from_seconds(view.newest.unwrap_or(view.assembled).seconds());
    let source = &view.source;
    let from = match source.kind {
        // Its detail is the file and where that was recorded.
        SourceKind::Replay => ["", "", &source.detail],
        kind => [kind.as_str(), &source.context, &source.detail],
    };
    let from: Vec<_> = from.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{at} ({})", from.join(", "))
}

fn count(diff: &Diff, kind: Kind) -> usize {
    diff.rows.iter().filter(|one| one.kind == kind).count()
}

/// A row for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(flatten)]
    dimensions: Dimensions<'a>,
    change: &'static str,
    before: u64,
    after: u64,
    delta: i64,
}

impl<'a> Item<'a> {
    fn of(one: &'a Difference) -> Self {
        Self {
            dimensions: Dimensions::from(&one.row),
            change: one.kind.as_str(),
            before: one.before,
            after: one.after,
            delta: one.delta(),
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    before: Side<'a>,
    after: Side<'a>,
    apart_seconds: f64,
    group_by: String,
    sort_by: String,
    filter: Option<String>,
    scope: &'a [String],
    selector: Option<&'a str>,
    counts: Counts,
    partial: bool,
    missing: &'a [String],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Side<'a> {
    snapshot_time: Option<Timestamp>,
    source: &'static str,
    context: Option<&'a str>,
    detail: Option<&'a str>,
    nodes: usize,
    /// On the nodes that are compared.
    conns: u64,
    left_out_own_conns: Option<u64>,
}

impl<'a> Side<'a> {
    fn of(view: &'a View, conns: u64, left_out_own_conns: Option<u64>) -> Self {
        Self {
            snapshot_time: view.newest,
            source: view.source.kind.as_str(),
            context: known(&view.source.context),
            detail: known(&view.source.detail),
            nodes: view.counted_nodes(),
            conns,
            left_out_own_conns,
        }
    }
}

#[derive(Debug, Serialize)]
struct Counts {
    new: usize,
    gone: usize,
    grown: usize,
    shrunk: usize,
    unchanged: usize,
    undecided: usize,
}

impl<'a> Metadata<'a> {
    fn of(diff: &Diff, sides: Sides<'a>, query: &'a Query, missing: &'a [String]) -> Self {
        let at = |view: &View| view.newest.unwrap_or(view.assembled);
        let [own_before, own_after] = diff.own.map(|own| (!query.own).then_some(own));
        Self {
            before: Side::of(sides.before, diff.before, own_before),
            after: Side::of(sides.after, diff.after, own_after),
            apart_seconds: at(sides.after).since(at(sides.before)).as_secs_f64(),
            group_by: query.group_by.to_string(),
            sort_by: query.sort.to_string(),
            filter: Some(query.filter.to_string()).filter(|text| !text.is_empty()),
            scope: &query.namespaces,
            selector: query.labels.as_ref().map(LabelSelection::selector),
            counts: Counts {
                new: count(diff, Kind::New),
                gone: count(diff, Kind::Gone),
                grown: count(diff, Kind::Grown),
                shrunk: count(diff, Kind::Shrunk),
                unchanged: diff.unchanged,
                undecided: diff.undecided,
            },
            partial: !missing.is_empty(),
            missing,
        }
    }
}
