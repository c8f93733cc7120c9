//! What can be taken away from the screen: a row on the clipboard, the list in a file, the same question elsewhere.

use std::fmt::Write as _;
use std::time::Instant;

use khan_api::Kind;
use serde_json::json;

use crate::model::filter::Flag;
use crate::model::party::Party;
use crate::model::{GroupBy, Projected};

use super::app::App;
use super::drill::{Sample, title};
use super::format;
use super::msg::Effect;
use super::overlay::{Overlay, Text};

/// The rows that are shown, in their order: those of the innermost opened row, else those of the list.
fn shown(app: &App) -> (GroupBy, Vec<&Projected>) {
    match app.drills.last() {
        Some(drill) => {
            let pane = drill.pane.min(drill.panes.len().saturating_sub(1));
            let (grouping, rows) = &drill.panes[pane];
            (grouping.by, rows.rows.iter().collect())
        }
        None => (app.group_by(), app.items.iter().filter_map(|item| app.row(item)).collect()),
    }
}

/// Puts the row under the cursor, or the text that is open, on the clipboard.
pub fn copy(app: &mut App, now: Instant) -> Vec<Effect> {
    let text = if let Some(Overlay::Reader(reader)) = &app.overlay {
        match &reader.text {
            Text::Lines(_, lines) => lines.join("\n"),
            _ => super::reader::lines(app).iter().map(super::reader::Line::text).collect::<Vec<_>>().join("\n"),
        }
    } else if let Some(drill) = app.drills.last() {
        match (drill.current(), &drill.sample) {
            (Some(row), _) => line(row),
            (None, Sample::Ready(answers)) if drill.pane == drill.panes.len() => {
                let at = drill.cursors[drill.pane].key.map_or(0, |key| usize::try_from(key.0).unwrap_or(0));
                let connection = answers.iter().flat_map(|answer| &answer.connections).nth(at);
                connection.map_or_else(
                    || drill.title.clone(),
                    |c| format!("{} {} {}:{} -> {}:{}", c.protocol, c.state, c.src, c.src_port, c.dst, c.dst_port),
                )
            }
            _ => drill.title.clone(),
        }
    } else {
        let item = app.current().or(app.items.first());
        match item.and_then(|item| app.row(item)) {
            Some(row) => line(row),
            None => return Vec::new(),
        }
    };
    app.say(now, format!("copied: {}", super::text::fit(&text.replace('\n', " "), 48, "..")));
    vec![Effect::Copy(text)]
}

fn line(row: &Projected) -> String {
    let mut line = format!("{}  {} connections", title(row), format::count(row.sum.connections));
    if let Some(change) = row.change {
        let _ = write!(line, "  {} in {}", format::signed(change.delta), format::age(change.over));
    }
    for flag in row.flags() {
        let _ = write!(line, "  {}", flag.as_str());
    }
    line
}

/// One cell of an export.
enum Cell {
    Text(String),
    Number(i64),
    Nothing,
}

impl Cell {
    /// As text. What a spreadsheet would take for a formula is marked as text.
    fn plain(&self) -> String {
        match self {
            Self::Text(text) => {
                let text = super::text::printable(text);
                if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text.into_owned() }
            }
            Self::Number(n) => n.to_string(),
            Self::Nothing => String::new(),
        }
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(n) => json!(n),
            Self::Nothing => serde_json::Value::Null,
        }
    }
}

fn cells(by: GroupBy, row: &Projected) -> Vec<(&'static str, Cell)> {
    let text = |text: &str| if text.is_empty() { Cell::Nothing } else { Cell::Text(text.to_owned()) };
    let number = |n: u64| Cell::Number(i64::try_from(n).unwrap_or(i64::MAX));
    let mut cells = Vec::new();
    if by.src.is_some() {
        cells.push(("source", text(row.source())));
    }
    if by.dst.is_some() {
        cells.push(("destination", text(row.destination())));
    }
    if by.node {
        cells.push(("node", text(row.node.as_deref().unwrap_or_default())));
    }
    if by.protocol {
        cells.push(("protocol", text(row.protocol.map_or("", khan_api::Protocol::as_str))));
    }
    if by.state {
        cells.push(("state", text(row.state.map_or("", crate::model::State::as_str))));
    }
    if by.port {
        cells.push(("port", row.port.map_or(Cell::Nothing, |port| Cell::Number(port.into()))));
    }
    cells.push(("connections", number(row.sum.connections)));
    cells.push(("delta", row.change.map_or(Cell::Nothing, |change| Cell::Number(change.delta))));
    let seconds = row.change.map(|change| change.over.as_secs());
    cells.push(("delta_seconds", seconds.map_or(Cell::Nothing, number)));
    let established = row.sum.states.established_percent();
    cells.push(("established_percent", established.map_or(Cell::Nothing, |n| Cell::Number(n.into()))));
    cells.push(("idle", number(row.sum.idle_connections)));
    cells.push(("half_closed", number(row.sum.half_closed())));
    cells.push(("flags", text(&row.flags().map(Flag::as_str).collect::<Vec<_>>().join(" "))));
    cells
}

/// Writes what is shown into a file.
pub fn export(app: &mut App, form: &'static str) -> Vec<Effect> {
    let (by, rows) = shown(app);
    let table: Vec<_> = rows.iter().map(|row| cells(by, row)).collect();
    let text = match form {
        "csv" => csv(&table),
        "json" => json_text(app, &table),
        _ => markdown(&table),
    };
    vec![Effect::Write(form, text)]
}

fn csv(table: &[Vec<(&str, Cell)>]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing into memory does not fail.
    if let Some(first) = table.first() {
        let _ = writer.write_record(first.iter().map(|(name, _)| *name));
    }
    for row in table {
        let _ = writer.write_record(row.iter().map(|(_, cell)| cell.plain()));
    }
    writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
}

fn json_text(app: &App, table: &[Vec<(&str, Cell)>]) -> String {
    let object = |row: &Vec<(&str, Cell)>| -> serde_json::Value {
        row.iter().map(|(name, cell)| ((*name).to_owned(), cell.json())).collect::<serde_json::Map<_, _>>().into()
    };
    let list = json!({
        "apiVersion": "khan.dev/v1",
        "kind": "ConnectionList",
        "metadata": {
            "snapshotTime": app.shown.newest,
            "source": app.shown.source.kind.as_str(),
            "countingRule": crate::model::view::COUNTING_RULE,
        },
        "items": table.iter().map(object).collect::<Vec<_>>(),
    });
    let mut text = serde_json::to_string_pretty(&list).unwrap_or_default();
    text.push('\n');
    text
}

fn markdown(table: &[Vec<(&str, Cell)>]) -> String {
    let mut text = String::new();
    let Some(first) = table.first() else { return text };
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    text.push_str(&row(first.iter().map(|(name, _)| (*name).to_owned()).collect()));
    let rule = |cell: &Cell| if matches!(cell, Cell::Number(_)) { "---:" } else { "---" };
    text.push_str(&row(first.iter().map(|(_, cell)| rule(cell).to_owned()).collect()));
    for cells in table {
        text.push_str(&row(cells.iter().map(|(_, cell)| cell.plain().replace('|', "\\|")).collect()));
    }
    text
}

/// The row whose question is asked elsewhere: the opened one, or the one under the cursor, or the first.
fn subject(app: &App) -> Option<&Projected> {
    match app.drills.last() {
        Some(drill) => drill.current().or_else(|| {
            let outer = app.items.iter().filter_map(|item| app.row(item));
            outer.into_iter().find(|row| row.key == drill.from)
        }),
        None => app.current().or(app.items.first()).and_then(|item| app.row(item)),
    }
}

/// The same question in PromQL.
pub fn promql(app: &App) -> Text {
    let mut labels = Vec::new();
    let mut by = Vec::new();
    if let Some(row) = subject(app) {
        for (side, party) in [("src", &row.src), ("dst", &row.dst)] {
            let Some(party) = party else { continue };
            labels.extend(matchers(side, party));
            by.push(format!("{side}_ns"));
            by.push(format!("{side}_app"));
        }
        if let Some(node) = &row.node {
            labels.push(format!("node={node:?}"));
            by.push("node".to_owned());
        }
    }
    labels.push("side=\"client\"".to_owned());
    let selector = format!("khan_connection{{{}}}", labels.join(", "));
    let window = format::span(app.base.window);
    let by = if by.is_empty() { String::new() } else { format!(" by ({})", by.join(", ")) };
    Text::Lines(
        "PromQL · y copies".into(),
        vec![
            "# connections now".into(),
            format!("sum{by} ({selector})"),
            String::new(),
            format!("# change over {window}"),
            format!("sum{by} (delta({selector}[{window}]))"),
            String::new(),
            "# the ten largest pairs".into(),
            "topk(10, sum by (src_ns, src_app, dst_ns, dst_app) (khan_connection{side=\"client\"}))".into(),
        ],
    )
}

fn matchers(side: &str, party: &Party) -> Vec<String> {
    let mut labels = vec![format!("{side}_type=\"{}\"", party.kind)];
    let fields = [("ns", &party.ns), ("app", &party.app), ("name", &party.name)];
    labels.extend(fields.iter().filter(|(_, value)| !value.is_empty()).map(|(name, v)| format!("{side}_{name}={v:?}")));
    if let Some(ip) = party.ip {
        labels.push(format!("{side}_ip=\"{ip}\""));
    }
    labels
}

/// Commands that lead on from the row.
pub fn kubectl(app: &App) -> Text {
    let mut lines = Vec::new();
    if let Some(row) = subject(app) {
        for party in [&row.src, &row.dst].into_iter().flatten() {
            lines.extend(commands(party));
        }
        if let Some(node) = &row.node {
            lines.push(format!("kubectl describe node {node}"));
            lines.push(format!("kubectl get pods -A -o wide --field-selector spec.nodeName={node}"));
        }
    }
    if lines.is_empty() {
        lines.push("kubectl get pods -A -o wide".into());
    }
    Text::Lines("kubectl · y copies".into(), lines)
}

fn commands(party: &Party) -> Vec<String> {
    match (party.kind, party.ip) {
        (Kind::Pod, _) if !party.name.is_empty() => vec![
            format!("kubectl -n {} describe pod {}", party.ns, party.name),
            format!("kubectl -n {} logs {} --tail=100", party.ns, party.name),
        ],
        (Kind::Pod, _) if !party.app.is_empty() => {
            vec![format!("kubectl -n {} get pods -o wide -l app={}", party.ns, party.app)]
        }
        (Kind::Service, _) if !party.app.is_empty() => {
            let ns = &party.ns;
            vec![format!("kubectl -n {ns} get services,endpointslices -o wide | grep -w {}", party.app)]
        }
        (Kind::Node, _) => vec![format!("kubectl describe node {}", party.node)],
        (_, Some(ip)) => vec![format!("kubectl get pods,services,nodes -A -o wide | grep -w {ip}")],
        _ => Vec::new(),
    }
}
