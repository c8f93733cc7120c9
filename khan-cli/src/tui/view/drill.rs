//! One row, opened: its numbers and past, what it consists of, its states, and single connections.

use std::fmt::Write as _;

use khan_api::{Connection, Kind};
use ratatui::style::Style;

use crate::model::filter::Flag;
use crate::model::{Party, Projected};
use crate::tui::app::App;
use crate::tui::drill::{Drill, SAMPLE_LIMIT, Sample};
use crate::tui::format;
use crate::tui::list::Cursor;
use crate::tui::text;

use super::chart;
use super::grid::{Align, Col, solve};
use super::pen::{Pen, cells};
use super::row;
use super::table::{LEAD, idle, put};

/// Where the parts of the screen are, in lines of its body.
struct Parts {
    chart: u16,
    list: (u16, u16),
    sample: (u16, u16),
}

fn parts(height: u16, pane_rows: usize, sample_rows: usize, on_sample: bool) -> Parts {
    let chart = match height {
        0..14 => 0,
        14..22 => 4,
        _ => 6,
    };
    let left = height.saturating_sub(1 + chart);
    let wanted = |rows: usize, least: u16| u16::try_from(rows + 1).unwrap_or(u16::MAX).max(least);
    let half = left / 2;
    // Each half takes what it needs; what one does not need the other may have.
    let (list, sample) = if on_sample {
        let list = wanted(pane_rows, 4).min(half);
        (list.min(left), left - list.min(left))
    } else {
        let sample = wanted(sample_rows, 3).min(half);
        (left - sample, sample)
    };
    Parts { chart, list: (1 + chart, list), sample: (1 + chart + list, sample) }
}

fn sample_rows(drill: &Drill) -> usize {
    match &drill.sample {
        Sample::Ready(answers) => answers.iter().map(|answer| answer.connections.len()).sum::<usize>().max(1),
        Sample::Asked | Sample::Failed(_) => 1,
    }
}

fn arrange(height: u16, drill: &Drill) -> Parts {
    let rows = drill.panes.get(drill.pane).or(drill.panes.first()).map_or(0, |(_, rows)| rows.rows.len());
    parts(height, rows.max(7), sample_rows(drill), drill.pane >= drill.panes.len())
}

/// Lines of the list that has the cursor.
pub fn list_height(size: (u16, u16), drill: &Drill) -> usize {
    let head = if size.0 < 100 || size.1 < 20 { 1 } else { 2 };
    let parts = arrange(size.1.saturating_sub(head + 3), drill);
    let (_, height) = if drill.pane < drill.panes.len() { parts.list } else { parts.sample };
    usize::from(height).saturating_sub(1)
}

/// Draws it.
pub(super) fn draw(app: &App, drill: &Drill, pen: &mut Pen<'_>) {
    let parts = arrange(pen.height(), drill);
    let width = pen.width();
    summary(app, drill, pen);
    if parts.chart > 0 {
        chart::draw(app, &drill.whole.trend, &mut pen.part(0, 1, width, parts.chart));
    }
    let beside = if width >= 72 { 34.min(width / 3) } else { 0 };
    pane(app, drill, &mut pen.part(0, parts.list.0, width - beside, parts.list.1));
    if beside > 0 {
        states(app, drill, &mut pen.part(width - beside, parts.list.0, beside, parts.list.1));
    }
    sample(app, drill, &mut pen.part(0, parts.sample.0, width, parts.sample.1));
}

fn summary(app: &App, drill: &Drill, pen: &mut Pen<'_>) {
    let styles = &app.styles;
    let Some(row) = drill.whole.rows.first() else {
        pen.put(1, 0, "0 conns: nothing of this row is left", styles.strong);
        return;
    };
    let mut words = vec![(format!("{} conns", format::count(row.sum.connections)), styles.strong)];
    if let Some(change) = row.change {
        let style = row::sign(app, change.delta);
        words.push((format!("{} in {}", format::signed(change.delta), format::age(change.over)), style));
        words.push((format!("{}/min", format::rate(change.per_minute(), 9)), style));
    }
    if let Some(share) = row.sum.states.established_percent() {
        words.push((format!("est {share}%"), styles.text));
    }
    if row.has(Flag::Rising) {
        let growth = &row.growth;
        words.push((format!("RISING {}/{} snapshots", growth.rising, growth.steps()), styles.bad));
    }
    if row.sum.half_closed() > 0 {
        words.push((format!("half-closed {}", format::count(row.sum.half_closed())), styles.warn));
    }
    let mut x = 1;
    for (word, style) in words {
        if x + cells(&word) > pen.width() {
            break;
        }
        x = pen.put(x, 0, &word, style) + 3;
    }
    let counts: Vec<_> = drill
        .panes
        .iter()
        .map(|(grouping, rows)| {
            let plural = if rows.matching == 1 { "" } else { "s" };
            format!("{} {}{plural}", format::count(rows.matching as u64), grouping.name)
        })
        .collect();
    let counts = counts.join(", ");
    if x + cells(&counts) + 1 < pen.width() {
        pen.put_right(pen.width() - 1, 0, &counts, styles.text);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Port,
    Conns,
    Delta,
    Est,
    Node,
}

const fn col(id: Column, width: u16, needs: u16, rank: u8, align: Align) -> Col<Column> {
    Col { id, width, needs, rank, align }
}

fn pane(app: &App, drill: &Drill, pen: &mut Pen<'_>) {
    let styles = &app.styles;
    let index = drill.pane.min(drill.panes.len().saturating_sub(1));
    let Some((grouping, rows)) = drill.panes.get(index) else { return };
    let mut columns = vec![col(Column::Name, 0, 0, 0, Align::Left)];
    if grouping.by.port {
        columns.push(col(Column::Port, 5, 14, 2, Align::Right));
    }
    columns.extend([
        col(Column::Conns, 7, 0, 0, Align::Right),
        col(Column::Delta, 7, 14, 1, Align::Right),
        col(Column::Est, 5, 18, 3, Align::Right),
        col(Column::Node, 12, 22, 4, Align::Left),
    ]);
    let slots = solve(&columns, pen.width().saturating_sub(2), LEAD);
    for slot in &slots {
        let head = match slot.id {
            Column::Name => format!("by {}", grouping.name),
            Column::Port => "PORT".into(),
            Column::Conns => "CONNS".into(),
            Column::Delta => row::head(app, crate::tui::columns::Column::Delta),
            Column::Est => "EST%".into(),
            Column::Node => "NODE".into(),
        };
        let style = if drill.pane == index && slot.id == Column::Name { styles.accent } else { styles.head };
        put(pen, slot, 0, &head, style);
    }
    let ns = |row: &Projected| end(row).map(|party| std::sync::Arc::clone(&party.ns));
    let bare = rows.rows.windows(2).all(|pair| ns(&pair[0]) == ns(&pair[1]));
    let cursor = if drill.pane == index { drill.cursors[index] } else { Cursor::default() };
    let height = usize::from(pen.height()).saturating_sub(1);
    let all = rows.rows.len();
    let listed = if all > cursor.offset + height && height > 1 && cursor.key.is_none() { height - 1 } else { height };
    for (y, row) in (1..).zip(rows.rows.iter().skip(cursor.offset).take(listed)) {
        let selected = cursor.key == Some(row.key);
        pen.put(0, y, if selected { ">" } else { "" }, styles.accent);
        for slot in &slots {
            let (text, style) = cell(app, row, slot.id, bare, slot.width.into());
            put(pen, slot, y, &text, style);
        }
        if selected {
            pen.style(0, y, pen.width().saturating_sub(1), styles.selected);
        }
    }
    let after = cursor.offset + listed;
    if listed < height && all > after {
        let left: u64 = rows.rows[after..].iter().map(|row| row.sum.connections).sum::<u64>() + rows.hidden.connections;
        let y = u16::try_from(listed + 1).unwrap_or(0);
        for slot in &slots {
            match slot.id {
                Column::Name => put(pen, slot, y, &format!("... {} more", rows.matching - after), styles.dim),
                Column::Conns => put(pen, slot, y, &format::count_in(left, slot.width.into()), styles.dim),
                _ => {}
            }
        }
    }
}

fn cell(app: &App, row: &Projected, column: Column, bare: bool, cells: usize) -> (String, Style) {
    let styles = &app.styles;
    let dash = || ("-".to_owned(), styles.dim);
    match column {
        Column::Name => (name(app, row, bare, cells), styles.text),
        Column::Port => row.port.map_or_else(dash, |port| (port.to_string(), styles.text)),
        Column::Conns => (format::count_in(row.sum.connections, cells), styles.strong),
        Column::Delta => row
            .change
            .map_or_else(dash, |change| (format::signed_in(change.delta, cells), row::sign(app, change.delta))),
        Column::Est => row.sum.states.established_percent().map_or_else(dash, |share| (share.to_string(), styles.text)),
        Column::Node => {
            let node = end(row).map(|party| &*party.node).filter(|node| !node.is_empty());
            node.map_or_else(dash, |node| (text::fit(node, cells, app.setup.glyphs.ellipsis).into_owned(), styles.text))
        }
    }
}

fn end(row: &Projected) -> Option<&Party> {
    row.src.as_ref().or(row.dst.as_ref())
}

/// The end that a pane tells apart: objects without their namespace where all have the same.
fn name(app: &App, row: &Projected, bare: bool, cells: usize) -> String {
    let ellipsis = app.setup.glyphs.ellipsis;
    match end(row) {
        Some(party) if bare && matches!(party.kind, Kind::Pod | Kind::Service) && !party.name.is_empty() => {
            text::fit_middle(&party.name, cells, ellipsis).into_owned()
        }
        party => row::party(party, cells, ellipsis),
    }
}

/// States, idle times and the side that has yet to close.
fn states(app: &App, drill: &Drill, pen: &mut Pen<'_>) {
    let styles = &app.styles;
    let end = pen.width().saturating_sub(1);
    let sum = &drill.whole.total;
    pen.put(0, 0, "by state", styles.head);
    pen.put_right(end, 0, "CONNS", styles.head);
    let mut lines: Vec<(&str, u64, Style)> =
        sum.states.ranked().into_iter().take(4).map(|(state, n)| (state.as_str(), n, styles.text)).collect();
    let oddities = [
        ("client must close", sum.client_unclosed, styles.warn),
        ("server must close", sum.server_unclosed, styles.warn),
        ("ghosts", sum.ghosts, styles.dim),
    ];
    lines.extend(oddities.into_iter().filter(|(_, n, _)| *n > 0));
    let told = sum.idle.iter().any(|n| *n > 0);
    let room = usize::from(pen.height()) >= lines.len() + 1 + sum.idle.len();
    if told && room {
        let words = ["idle < 1m", "idle < 10m", "idle < 1h", "idle < 6h", "idle > 6h"];
        let look = |n| if n == 0 { styles.dim } else { styles.text };
        lines.extend(words.into_iter().zip(sum.idle).map(|(word, n)| (word, n, look(n))));
    }
    for (y, (name, n, style)) in (1..).zip(&lines) {
        pen.put(1, y, name, *style);
        pen.put_right(end, y, &format::count(*n), *style);
    }
    if told && !room {
        pen.put(1, u16::try_from(lines.len() + 1).unwrap_or(0), &idle(&sum.idle), styles.dim);
    }
}

fn sample(app: &App, drill: &Drill, pen: &mut Pen<'_>) {
    let styles = &app.styles;
    let focused = drill.pane >= drill.panes.len();
    let head = if focused { styles.accent } else { styles.head };
    let end = pen.width().saturating_sub(1);
    let answers = match &drill.sample {
        Sample::Asked => {
            pen.put(1, 0, "sample of connections", head);
            pen.put(3, 1, "asking the nodes that hold them ...", styles.dim);
            return;
        }
        Sample::Failed(reason) => {
            pen.put(1, 0, "sample of connections", head);
            let room = usize::from(end).saturating_sub(4);
            for (y, line) in (1..).zip(text::wrap(reason, room)) {
                pen.put(3, y, &line, styles.warn);
            }
            return;
        }
        Sample::Ready(answers) => answers,
    };
    let matched: u64 = answers.iter().map(|answer| answer.matched).sum();
    let nodes: Vec<_> = answers.iter().map(|answer| answer.node.as_str()).collect();
    let listed: usize = answers.iter().map(|answer| answer.connections.len()).sum();
    // A connection across nodes stands in the tables of both, so these are entries, not connections.
    let words = format!("table entries ({listed} of {} on {})", format::count(matched), nodes.join(", "));
    let ellipsis = app.setup.glyphs.ellipsis;
    let room = usize::from(end).saturating_sub(if pen.width() >= 100 { 40 } else { 20 });
    pen.put(1, 0, &text::fit(&words, room, ellipsis), head);
    let columns = connection_columns(pen.width());
    for (end, head, _) in &columns {
        pen.put_right(*end, 0, head, styles.head);
    }
    let cursor = drill.cursors[drill.panes.len()];
    let height = usize::from(pen.height()).saturating_sub(1);
    let connections = answers.iter().flat_map(|answer| &answer.connections).enumerate();
    for (y, (i, connection)) in (1..).zip(connections.skip(cursor.offset).take(height.min(SAMPLE_LIMIT * 4))) {
        let left = columns.first().map_or(end, |(end, ..)| end.saturating_sub(9));
        let room = left.saturating_sub(3);
        pen.put_in(3, y, room, &text::fit(&tuple(connection), room.into(), ellipsis), styles.text);
        for (end, _, value) in &columns {
            pen.put_right(*end, y, &value(connection), styles.text);
        }
        if focused && cursor.key.is_some_and(|key| key.0 == i as u128) {
            pen.put(1, y, ">", styles.accent);
            pen.style(0, y, pen.width(), styles.selected);
        }
    }
    if listed == 0 && pen.height() > 1 {
        pen.put(3, 1, "none is left: they closed since the snapshot", styles.dim);
    }
}

type Value = fn(&Connection) -> String;

/// Ends, heads and values of the columns at the right.
fn connection_columns(width: u16) -> Vec<(u16, &'static str, Value)> {
    let end = width.saturating_sub(1);
    let age: Value = |c| seconds(c.age_seconds);
    let idle: Value = |c| seconds(c.idle_seconds.map(u64::from));
    let timeout: Value = |c| seconds(c.timeout_seconds.map(u64::from));
    let bytes: Value = |c| match (c.bytes_sent, c.bytes_received) {
        (Some(sent), Some(received)) => format!("{}/{}", format::bytes(sent), format::bytes(received)),
        _ => "-".into(),
    };
    if width >= 100 {
        vec![
            (end.saturating_sub(33), "age", age),
            (end.saturating_sub(24), "idle", idle),
            (end.saturating_sub(14), "timeout", timeout),
            (end, "bytes tx/rx", bytes),
        ]
    } else if width >= 60 {
        vec![(end.saturating_sub(9), "idle", idle), (end, "timeout", timeout)]
    } else {
        Vec::new()
    }
}

fn seconds(seconds: Option<u64>) -> String {
    seconds.map_or("-".to_owned(), |s| format::age(std::time::Duration::from_secs(s)))
}

/// Both ends; who really answers, where it is not who was dialled; where answers go, where that is not the client.
fn tuple(c: &Connection) -> String {
    let socket = |ip: std::net::IpAddr, port: u16| std::net::SocketAddr::new(ip, port);
    let mut text = format!("{} {} {} -> {}", c.protocol, c.state, socket(c.src, c.src_port), socket(c.dst, c.dst_port));
    if (c.reply_src, c.reply_src_port) != (c.dst, c.dst_port) {
        let _ = write!(text, " = {}", socket(c.reply_src, c.reply_src_port));
    }
    if (c.reply_dst, c.reply_dst_port) != (c.src, c.src_port) {
        let _ = write!(text, " as {}", socket(c.reply_dst, c.reply_dst_port));
    }
    text
}
