//! Rows of a projection: the columns of `khan top`, of the screen's lists, and of what it exports.

mod metadata;

use khan_api::{Protocol, Timestamp};
use serde::Serialize;
use serde_json::Value as Json;

use super::column::{Head, Unit};
use super::item::{Counts, Dimensions, json};
use super::scope::in_namespaces;
use super::{Cell, Line, Report};
use crate::model::filter::{Filter, Flag, RowTerm};
use crate::model::groups::past::Point;
use crate::model::own;
use crate::model::{Grain, GroupBy, Projection, Query, Row, Selector, SortBy, SourceKind, Sum, View, state};
use metadata::Metadata;

/// A column of connections.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// How it is called.
    pub head: Head,
    /// What it shows, for people who choose columns.
    pub meaning: &'static str,
    /// The order that it stands for.
    pub sort: Option<SortBy>,
    /// Which groupings have it.
    pub applies: fn(&GroupBy) -> bool,
    /// Its place on a screen.
    pub place: Place,
    value: Value,
}

/// A column's place on a screen.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Whether it is shown without being asked for.
    pub usual: bool,
    /// Cells; 0 shares what is left with other names.
    pub width: u16,
    /// It goes when names would get narrower than this; 0 to stay.
    pub needs: u16,
    /// Those with higher ranks go first.
    pub rank: u8,
}

/// What a column's cells are made of: sums exist of the rows that are not listed, too.
#[derive(Clone, Copy, Debug)]
enum Value {
    Row(fn(&Row) -> Cell),
    Sum(fn(&Sum) -> Cell),
}

impl Column {
    const fn new(head: Head, meaning: &'static str, value: Value) -> Self {
        let place = Place { usual: !head.wide, width: 7, needs: 18, rank: 5 };
        Self { head, meaning, sort: None, applies: |_| true, place, value }
    }

    const fn sorts(self, sort: SortBy) -> Self {
        Self { sort: Some(sort), ..self }
    }

    const fn where_grouped(self, applies: fn(&GroupBy) -> bool) -> Self {
        Self { applies, ..self }
    }

    const fn placed(self, width: u16, needs: u16, rank: u8) -> Self {
        Self { place: Place { width, needs, rank, ..self.place }, ..self }
    }

    const fn hidden(self) -> Self {
        Self { place: Place { usual: false, ..self.place }, ..self }
    }

    /// The cell of a row.
    pub fn cell(&self, row: &Row) -> Cell {
        match self.value {
            Value::Row(cell) => cell(row),
            Value::Sum(cell) => cell(&row.sum),
        }
    }

    /// The cell of the sum of rows that are not listed.
    fn rest(&self, sum: &Sum) -> Cell {
        match self.value {
            Value::Row(_) => Cell::Missing,
            Value::Sum(cell) => cell(sum),
        }
    }
}

/// Every column, in the order in which they stand.
pub(crate) static COLUMNS: [Column; 24] = [
    Column::new(Head::text("source"), "who opened the connections", Value::Row(|row| Cell::text(row.source())))
        .sorts(SortBy::Source)
        .where_grouped(|by| by.src.is_some())
        .placed(0, 0, 0),
    Column::new(Head::text("destination"), "what was dialled", Value::Row(|row| Cell::text(row.destination())))
        .sorts(SortBy::Destination)
        .where_grouped(|by| by.dst.is_some())
        .placed(0, 0, 0),
    Column::new(Head::text("backend"), "who answers", Value::Row(|row| Cell::text(row.backend())))
        .where_grouped(|by| by.behind.is_some())
        .placed(0, 0, 0),
    Column::new(
        Head::text("node"),
        "whose table holds them",
        Value::Row(|row| Cell::text(row.node.as_deref().unwrap_or_default())),
    )
    .sorts(SortBy::Node)
    .where_grouped(|by| by.node)
    .placed(0, 0, 0),
    Column::new(
        Head::text("protocol"),
        "transport",
        Value::Row(|row| row.protocol.map_or(Cell::Missing, |protocol| Cell::text(protocol.as_str()))),
    )
    .where_grouped(|by| by.protocol)
    .placed(8, 16, 2),
    Column::new(
        Head::text("state"),
        "connection tracking state",
        Value::Row(|row| row.state.map_or(Cell::Missing, |state| Cell::text(state::name(state)))),
    )
    .sorts(SortBy::State)
    .where_grouped(|by| by.state)
    .placed(11, 0, 0),
    Column::new(
        Head::number("port"),
        "port dialled",
        Value::Row(|row| row.port.map_or(Cell::Missing, |port| Cell::Text(port.to_string()))),
    )
    .sorts(SortBy::Port)
    .where_grouped(|by| by.port)
    .placed(5, 16, 2),
    Column::new(Head::number("conns"), "connections now", Value::Sum(|sum| Cell::Count(sum.connections)))
        .sorts(SortBy::Connections)
        .placed(7, 0, 0),
    Column::new(
        Head::number("delta"),
        "change over the window or since the baseline",
        Value::Row(|row| row.change.map_or(Cell::Missing, |change| Cell::Change(change.delta))),
    )
    .sorts(SortBy::Delta)
    .placed(9, 11, 1),
    Column::new(
        Head::measured("rate", Unit::PerMinute),
        "change per minute",
        Value::Row(|row| row.change.map_or(Cell::Missing, |change| Cell::Rate(change.per_minute()))),
    )
    .sorts(SortBy::Rate)
    .placed(8, 22, 3),
    Column::new(
        Head::measured("est", Unit::Percent),
        "established share, percent",
        Value::Sum(|sum| sum.states.established_percent().map_or(Cell::Missing, Cell::Percent)),
    )
    .sorts(SortBy::Established)
    .placed(5, 22, 4),
    Column::new(
        Head::number("idle"),
        "established, no packet for the agent's idle threshold",
        Value::Sum(|sum| Cell::Count(sum.idle_connections)),
    )
    .sorts(SortBy::Idle)
    .hidden(),
    Column::new(
        Head::number("halfclosed").wide(),
        "half-closed: one side has yet to close",
        Value::Sum(|sum| Cell::Count(sum.half_closed())),
    )
    .sorts(SortBy::HalfClosed)
    .placed(11, 18, 5),
    Column::new(
        Head::measured("closed", Unit::PerSecond).asked(),
        "TCP connections that end each second",
        Value::Sum(|sum| sum.closed_per_second().map_or(Cell::Missing, |rate| Cell::Text(format!("{rate:.1}")))),
    )
    .sorts(SortBy::Closed)
    .hidden()
    .placed(8, 22, 7),
    Column::new(
        Head::number("stalled").asked(),
        "established, and nobody acknowledges their data",
        Value::Sum(|sum| sum.known(sum.stalled).map_or(Cell::Missing, Cell::Count)),
    )
    .sorts(SortBy::Stalled)
    .hidden()
    .placed(7, 22, 7),
    Column::new(
        Head::number("unanswered").asked(),
        "nobody has answered for three seconds",
        Value::Sum(|sum| sum.known(sum.unanswered).map_or(Cell::Missing, Cell::Count)),
    )
    .sorts(SortBy::Unanswered)
    .hidden()
    .placed(10, 22, 7),
    Column::new(
        Head::number("dead").asked(),
        "packets still go to a backend that is gone",
        Value::Sum(|sum| sum.known(sum.dead).map_or(Cell::Missing, Cell::Count)),
    )
    .hidden()
    .placed(7, 22, 7),
    Column::new(
        Head::measured("snat", Unit::Percent).asked(),
        "ports of the translated source that are in use, percent: of the node with the fewest left",
        Value::Sum(|sum| {
            // Full only when none is left, and never nothing where there is some.
            let percent = (sum.snat / 10).clamp(1, 100);
            if sum.snat == 0 { Cell::Missing } else { Cell::Percent(u8::try_from(percent).unwrap_or(100)) }
        }),
    )
    .where_grouped(|by| by.dst == Some(Grain::Address))
    .placed(6, 22, 5),
    Column::new(
        Head::number("opening").wide(),
        "handshake not complete",
        Value::Sum(|sum| Cell::Count(sum.states.opening())),
    ),
    Column::new(
        Head::number("previous").wide(),
        "connections that outlived the owner of an address",
        Value::Sum(|sum| Cell::Count(sum.previous)),
    )
    .placed(8, 18, 5),
    Column::new(
        Head::text("first-seen").wide(),
        "when the row was first seen",
        Value::Row(|row| row.first_seen.map_or(Cell::Missing, |seen| Cell::text(seen.to_string()))),
    )
    .placed(20, 22, 6),
    Column::new(
        Head::number("addresses").asked(),
        "addresses at both ends",
        Value::Row(|row| Cell::Count(addresses(row))),
    )
    .placed(9, 18, 5)
    .hidden(),
    Column::new(Head::text("trend").asked(), "connections over time", Value::Row(trend)).placed(15, 22, 6),
    Column::new(
        Head::text("flags"),
        "RISING NEW UNK STALE PREVIOUS",
        Value::Row(|row| Cell::text(row.flags().map(Flag::as_str).collect::<Vec<_>>().join(" "))),
    )
    .placed(12, 0, 0),
];

fn addresses(row: &Row) -> u64 {
    [&row.src, &row.dst].into_iter().flatten().map(|end| u64::from(end.addresses)).sum()
}

fn trend(row: &Row) -> Cell {
    let value = |point: &Point| match point {
        Point::Value(value) => Some(*value),
        Point::Before => Some(0),
        Point::Missing => None,
    };
    if row.trend.points.is_empty() { Cell::Missing } else { Cell::Trend(row.trend.points.iter().map(value).collect()) }
}

/// The column with this name.
pub(crate) fn column(name: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|column| column.head.is_called(name))
}

/// The columns of a grouping, in order.
pub(crate) fn of(by: &GroupBy) -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().filter(|column| (column.applies)(by))
}

/// The report of a projection of `view`.
pub(crate) fn report(view: &View, query: &Query, projection: &Projection) -> Report {
    let columns: Vec<_> = of(&query.group_by).collect();
    let line = |row: &Row| Line {
        cells: columns.iter().map(|column| column.cell(row)).collect(),
        item: json(Item::of(row)),
        name: name(row),
    };
    let mut rows: Vec<_> = projection.rows.iter().map(line).collect();
    if projection.hidden_groups() > 0 {
        rows.push(other(&columns, projection));
    }
    let mut notes = view.notes.clone();
    let mut empty = empty(query);
    if let Some(left_out) = own::left_out(projection.own) {
        empty = format!("{empty}\nnote: {left_out}");
    }
    if let Some(note) = unseen_services(view, &selectors(&query.filter)).filter(|_| projection.groups == 0) {
        empty = format!("{empty}\nnote: {note}");
        notes.push(note.to_owned());
    }
    let metadata = json(Metadata::of(view, query, projection, notes));
    Report {
        kind: "ConnectionList",
        metadata,
        columns: columns.iter().map(|column| column.head).collect(),
        rows,
        empty,
    }
}

/// What else may be true where nothing belongs to a service: its node ports are known to agents alone.
pub(crate) fn unseen_services(view: &View, selectors: &[Selector]) -> Option<&'static str> {
    let service = selectors.iter().any(|selector| matches!(selector, Selector::Service(..)));
    let unknown = service && view.source.kind == SourceKind::Prometheus;
    unknown.then_some("connections through node ports are not known from Prometheus")
}

/// The selectors of a filter.
fn selectors(filter: &Filter) -> Vec<Selector> {
    let of = |term: &RowTerm| match term {
        RowTerm::Src(selectors) | RowTerm::Dst(selectors) | RowTerm::Any(selectors) => selectors.clone(),
        _ => Vec::new(),
    };
    filter.row_terms().filter(|(_, wanted)| *wanted).flat_map(|(term, _)| of(term)).collect()
}

fn empty(query: &Query) -> String {
    let scope = in_namespaces(&query.namespaces);
    let labels = query.labels.as_ref().map(|pods| format!(" of pods labelled {}", pods.selector())).unwrap_or_default();
    let filter = if query.filter.is_empty() { String::new() } else { format!(" that match {}", query.filter) };
    format!("No connections{labels} found{scope}{filter}.")
}

/// A row's name, as `-o name` prints it.
pub(super) fn name(row: &Row) -> String {
    let ends: Vec<_> = [row.source(), row.destination()].into_iter().filter(|text| !text.is_empty()).collect();
    let mut name = ends.join("->");
    if let Some(port) = row.port {
        name = format!("{name}:{port}");
    }
    if row.behind.is_some() {
        name = format!("{name}->{}", row.backend());
    }
    let rest = [row.node.as_deref(), row.protocol.map(Protocol::as_str), row.state.map(state::name)];
    let parts = std::iter::once(&*name).filter(|name| !name.is_empty()).chain(rest.into_iter().flatten());
    parts.collect::<Vec<_>>().join(" ")
}

/// A row for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item<'a> {
    #[serde(flatten)]
    counts: Counts,
    #[serde(flatten)]
    dimensions: Dimensions<'a>,
    delta: Option<i64>,
    delta_over_seconds: Option<f64>,
    rate_per_minute: Option<f64>,
    first_seen: Option<Timestamp>,
    addresses: u64,
    flags: Vec<&'static str>,
}

impl<'a> Item<'a> {
    /// What programs read of `row`.
    pub(crate) fn of(row: &'a Row) -> Self {
        Self {
            counts: Counts::from(&row.sum),
            dimensions: Dimensions::from(row),
            delta: row.change.map(|change| change.delta),
            delta_over_seconds: row.change.map(|change| change.over.as_secs_f64()),
            rate_per_minute: row.change.map(|change| (change.per_minute() * 1000.0).round() / 1000.0),
            first_seen: row.first_seen,
            addresses: addresses(row),
            flags: row.flags().map(Flag::as_str).collect(),
        }
    }
}

/// The sum of the rows that are not listed, for programs.
#[derive(Debug, Serialize)]
struct Unlisted {
    #[serde(flatten)]
    counts: Counts,
    other: bool,
    rows: usize,
}

fn other(columns: &[&Column], projection: &Projection) -> Line {
    let rows = projection.hidden_groups();
    let label = Cell::text(format!("(other: {rows} {})", if rows == 1 { "row" } else { "rows" }));
    let rest = columns.iter().skip(1).map(|column| column.rest(&projection.hidden));
    let cells = std::iter::once(label).chain(rest).take(columns.len()).collect();
    let counts = Counts::from(&projection.hidden);
    let item: Json = json(Unlisted { counts, other: true, rows: projection.hidden_groups() });
    Line { cells, item, name: "(other)".to_owned() }
}
