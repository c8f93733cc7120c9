//! A projection as a report.

use serde_json::{Value, json};

use crate::model::filter::{Filter, Flag, RowTerm};
use crate::model::view::COUNTING_RULE;
use crate::model::{
    LabelledPods, NodeState, Party, Projected, Projection, Query, Selector, SourceKind, State, Sum, View,
};
use crate::output::{Cell, Column, Line, Report};

/// The report of a projection of `view`.
pub fn report(view: &View, query: &Query, projection: &Projection) -> Report {
    let by = query.group_by;
    let mut columns = Vec::new();
    let named = [
        (by.src.is_some(), Column::text("source", "SOURCE")),
        (by.dst.is_some(), Column::text("destination", "DESTINATION")),
        (by.behind.is_some(), Column::text("backend", "BACKEND")),
        (by.node, Column::text("node", "NODE")),
        (by.port, Column::number("port", "PORT")),
        (by.protocol, Column::text("protocol", "PROTOCOL")),
        (by.state, Column::text("state", "STATE")),
    ];
    columns.extend(named.into_iter().filter(|(grouped, _)| *grouped).map(|(_, column)| column));
    columns.extend([
        Column::number("conns", "CONNS"),
        Column::number("delta", "DELTA"),
        Column::number("rate", "/MIN"),
        Column::number("est", "EST%"),
        Column::number("idle", "IDLE"),
        Column::number("halfclosed", "HALF-CLOSED").wide(),
        Column::number("opening", "OPENING").wide(),
        Column::number("ghosts", "GHOSTS").wide(),
        Column::text("first-seen", "FIRST-SEEN").wide(),
        Column::text("flags", "FLAGS"),
    ]);
    let mut rows: Vec<_> = projection.rows.iter().map(|row| line(&columns, row)).collect();
    if projection.hidden_groups() > 0 {
        rows.push(other(&columns, projection));
    }
    let mut metadata = metadata(view, query, projection);
    let mut empty = empty(query);
    if let Some(note) = unseen_services(view, &selectors(&query.filter)).filter(|_| projection.groups == 0) {
        empty = format!("{empty}\nnote: {note}");
        if let Some(notes) = metadata["notes"].as_array_mut() {
            notes.push(note.into());
        }
    }
    Report { kind: "ConnectionList", metadata, columns, rows, empty }
}

/// ` in namespace shop`, for the end of a sentence; nothing without namespaces.
pub fn in_namespaces(namespaces: &[String]) -> String {
    match namespaces {
        [] => String::new(),
        [one] => format!(" in namespace {one}"),
        many => format!(" in namespaces {}", many.join(", ")),
    }
}

/// What else may be true where nothing belongs to a service: its node ports are known to agents alone.
pub fn unseen_services(view: &View, selectors: &[Selector]) -> Option<String> {
    let service = selectors.iter().any(|selector| matches!(selector, Selector::Service(..)));
    let unknown = service && view.source.kind == SourceKind::Prometheus;
    unknown.then(|| "connections through node ports are not known from Prometheus".to_owned())
}

/// The selectors of a filter.
fn selectors(filter: &Filter) -> Vec<Selector> {
    let of = |term: &RowTerm| match term {
        RowTerm::Src(selectors) | RowTerm::Dst(selectors) | RowTerm::Any(selectors) => selectors.clone(),
        _ => Vec::new(),
    };
    filter.rows.iter().filter(|not| !not.negated).flat_map(|not| of(&not.term)).collect()
}

fn empty(query: &Query) -> String {
    let scope = in_namespaces(&query.namespaces);
    let labels =
        query.labelled.as_ref().map(|pods| format!(" of pods labelled {}", pods.selector())).unwrap_or_default();
    let filter = if query.filter.is_empty() { String::new() } else { format!(" that match {}", query.filter) };
    format!("No connections{labels} found{scope}{filter}.")
}

fn line(columns: &[Column], row: &Projected) -> Line {
    let flags: Vec<_> = row.flags().map(Flag::as_str).collect();
    let cell = |column: &Column| match column.name {
        "source" => Cell::text(row.source()),
        "destination" => Cell::text(row.destination()),
        "backend" => Cell::text(row.backend()),
        "node" => Cell::text(row.node.as_deref().unwrap_or_default()),
        "port" => row.port.map_or(Cell::Missing, |port| Cell::Count(port.into())),
        "protocol" => row.protocol.map_or(Cell::Missing, |protocol| Cell::text(protocol.as_str())),
        "state" => row.state.map_or(Cell::Missing, |state| Cell::text(state.as_str())),
        "delta" => row.change.map_or(Cell::Missing, |change| Cell::Change(change.delta)),
        "rate" => row.change.map_or(Cell::Missing, |change| Cell::Rate(change.per_minute())),
        "first-seen" => row.first_seen.map_or(Cell::Missing, |seen| Cell::text(seen.to_string())),
        "flags" => Cell::text(flags.join(" ")),
        name => count(&row.sum, name),
    };
    Line { cells: columns.iter().map(cell).collect(), item: item(row), name: name(row) }
}

fn count(sum: &Sum, column: &str) -> Cell {
    match column {
        "conns" => Cell::Count(sum.connections),
        "est" => sum.states.established_percent().map_or(Cell::Missing, Cell::Percent),
        "idle" => Cell::Count(sum.idle_connections),
        "halfclosed" => Cell::Count(sum.half_closed()),
        "opening" => Cell::Count(sum.states.opening()),
        "ghosts" => Cell::Count(sum.ghosts),
        _ => Cell::Missing,
    }
}

fn name(row: &Projected) -> String {
    let ends: Vec<_> = [row.source(), row.destination()].into_iter().filter(|text| !text.is_empty()).collect();
    let mut name = ends.join("->");
    if let Some(port) = row.port {
        name = format!("{name}:{port}");
    }
    if row.behind.is_some() {
        name = format!("{name}->{}", row.backend());
    }
    let rest = [row.node.as_deref(), row.protocol.map(khan_api::Protocol::as_str), row.state.map(State::as_str)];
    let parts = std::iter::once(&*name).filter(|name| !name.is_empty()).chain(rest.into_iter().flatten());
    parts.collect::<Vec<_>>().join(" ")
}

/// The row for programs: raw numbers, seconds, RFC 3339; fields that are not known are null.
pub fn item(row: &Projected) -> Value {
    let mut item = sums(&row.sum);
    let more = json!({
        "key": format!("{:032x}", row.key.0),
        "source": row.src.as_ref().map(party),
        "destination": row.dst.as_ref().map(party),
        "backend": row.behind.as_ref().map(party),
        "node": row.node,
        "port": row.port,
        "protocol": row.protocol,
        "state": row.state.map(State::as_str),
        "delta": row.change.map(|change| change.delta),
        "deltaSeconds": row.change.map(|change| change.over.as_secs_f64()),
        "ratePerMinute": row.change.map(|change| (change.per_minute() * 1000.0).round() / 1000.0),
        "firstSeen": row.first_seen,
        "flags": row.flags().map(Flag::as_str).collect::<Vec<_>>(),
    });
    if let (Some(item), Value::Object(more)) = (item.as_object_mut(), more) {
        item.extend(more);
    }
    item
}

fn sums(sum: &Sum) -> Value {
    let states: serde_json::Map<_, _> =
        sum.states.ranked().into_iter().map(|(state, n)| (state.as_str().to_owned(), n.into())).collect();
    json!({
        "connections": sum.connections,
        "states": states,
        "establishedPercent": sum.states.established_percent(),
        "idleConnections": sum.idle_connections,
        "idleHistogram": sum.idle,
        "clientUnclosed": sum.client_unclosed,
        "serverUnclosed": sum.server_unclosed,
        "opening": sum.states.opening(),
        "ghosts": sum.ghosts,
        "stale": sum.stale,
    })
}

/// One end for programs.
pub fn party(party: &Party) -> Value {
    json!({
        "text": party.text,
        "type": party.kind,
        "namespace": party.ns,
        "app": party.app,
        "name": party.name,
        "node": party.node,
        "ip": party.ip,
        "addresses": party.addresses,
    })
}

fn other(columns: &[Column], projection: &Projection) -> Line {
    let first = columns.first().map_or("", |column| column.name);
    let label = format!("(other: {} rows)", projection.hidden_groups());
    let cell = |column: &Column| match column.name {
        name if name == first => Cell::text(label.clone()),
        "delta" | "rate" | "flags" | "first-seen" => Cell::Missing,
        name => count(&projection.hidden, name),
    };
    let mut item = sums(&projection.hidden);
    if let Some(item) = item.as_object_mut() {
        item.insert("other".into(), true.into());
        item.insert("rows".into(), projection.hidden_groups().into());
    }
    Line { cells: columns.iter().map(cell).collect(), item, name: "(other)".to_owned() }
}

fn metadata(view: &View, query: &Query, projection: &Projection) -> Value {
    let of_state = |state| view.nodes.iter().filter(move |node| node.state == state);
    let names = |state| of_state(state).map(|node| node.node.as_str()).collect::<Vec<_>>();
    let failed: Vec<_> = of_state(NodeState::Failed)
        .map(|node| {
            let reason = node.failure.as_ref().map_or("no answer", |failure| &failure.reason);
            json!({ "node": node.node, "agent": node.agent, "reason": reason })
        })
        .collect();
    let gaps = view.gaps();
    json!({
        "snapshotTime": view.newest,
        "snapshotAgeSeconds": view.newest.map(|newest| view.assembled.since(newest).as_secs_f64().round()),
        "window": query.window.as_secs(),
        "source": view.source.kind.as_str(),
        "context": view.source.context,
        "detail": view.source.detail,
        "scope": query.namespaces,
        "selector": query.labelled.as_ref().map(LabelledPods::selector),
        "groupBy": query.group_by.to_string(),
        "sortBy": query.sort.to_string(),
        "filter": query.filter.to_string(),
        "agents": {
            "total": view.nodes.len(),
            "ok": of_state(NodeState::Ok).count(),
            "stale": names(NodeState::Stale),
            "waiting": names(NodeState::Waiting),
            "failed": failed,
        },
        "totals": {
            "connections": projection.total.connections,
            "rows": projection.matching,
            "delta": projection.change.map(|change| change.delta),
        },
        "truncated": projection.hidden_groups() > 0 || projection.rest.is_some(),
        "leftOutByAgents": projection.rest.map(|rest| json!({
            "rows": rest.rows, "connections": rest.connections, "connectionsElsewhere": rest.elsewhere,
            "connectionsUnknown": rest.unknown,
        })),
        "notes": view.notes,
        "partial": !gaps.is_empty(),
        "missing": gaps,
        "countingRule": COUNTING_RULE,
    })
}
