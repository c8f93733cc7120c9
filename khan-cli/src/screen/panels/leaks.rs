//! What keeps growing, why it is suspected, and when the tables that it fills are full.

use crate::model::Verdict;
use crate::model::leak::Leak;
use crate::screen::app::App;
use crate::screen::format;
use crate::screen::table::What;
use crate::screen::text;

use super::canvas::Canvas;
use super::grid::{Align, Col, Slot, solve};
use super::nodes::{LIMIT, time_to_full};
use super::spark::sparkline;
use super::table::{LEAD, mark, put};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Source,
    Destination,
    Port,
    Now,
    Base,
    Growth,
    Rate,
    Rising,
    Trend,
    Verdict,
}

const fn col(id: Column, width: u16, needs: u16, rank: u8, align: Align) -> Col<Column> {
    Col { id, width, needs, rank, align }
}

const COLUMNS: [Col<Column>; 10] = [
    col(Column::Source, 0, 0, 0, Align::Left),
    col(Column::Destination, 0, 0, 0, Align::Left),
    col(Column::Port, 5, 15, 2, Align::Right),
    col(Column::Now, 7, 0, 0, Align::Right),
    col(Column::Base, 7, 15, 4, Align::Right),
    col(Column::Growth, 8, 9, 1, Align::Right),
    col(Column::Rate, 6, 15, 3, Align::Right),
    col(Column::Rising, 6, 15, 5, Align::Right),
    col(Column::Trend, 12, 20, 6, Align::Left),
    col(Column::Verdict, 7, 0, 0, Align::Left),
];

/// Nodes whose tables are listed below.
const FILLS: usize = 5;

/// Draws the suspects.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let mut columns = COLUMNS;
    let steps = |leak: &Leak| u16::try_from(rising(leak).len()).unwrap_or(u16::MAX);
    if let Some(column) = columns.iter_mut().find(|column| column.id == Column::Rising) {
        column.width = app.report.leaks.iter().map(steps).fold(column.width, u16::max);
    }
    let slots = solve(&columns, canvas.width(), LEAD);
    for slot in &slots {
        let head = match slot.id {
            Column::Source => "SOURCE",
            Column::Destination if slot.width < 11 => "DEST",
            Column::Destination => "DESTINATION",
            Column::Port => "PORT",
            Column::Now => "NOW",
            Column::Base => "BASE",
            Column::Growth => "GROWTH",
            Column::Rate => "/MIN",
            Column::Rising => "RISING",
            Column::Trend => "TREND",
            Column::Verdict => "VERDICT",
        };
        put(canvas, slot, 0, head, app.styles.head);
    }
    let cursor = app.list().cursor;
    let height = usize::from(canvas.height()).saturating_sub(1);
    for (y, item) in (1..).zip(app.items.iter().skip(cursor.offset).take(height)) {
        match item.what {
            What::Leak(at) => {
                canvas.put(0, y, mark(app, item, false), app.styles.accent);
                for slot in &slots {
                    let (text, style) = cell(app, &app.report.leaks[at], *slot);
                    put(canvas, slot, y, &text, style);
                }
            }
            What::Reason(at, reason) => {
                let reason = app.report.leaks[at].reasons.get(reason).map_or("", String::as_str);
                let room = usize::from(canvas.width()).saturating_sub(6);
                canvas.put(5, y, &text::fit(reason, room, app.setup.glyphs.ellipsis), app.styles.dim);
            }
            _ => {}
        }
        if cursor.key == Some(item.key) {
            canvas.style(0, y, canvas.width(), app.styles.selected);
        }
    }
}

fn rising(leak: &Leak) -> String {
    format!("{}/{}", leak.row.growth.rising(), leak.row.growth.steps())
}

fn cell(app: &App, leak: &Leak, slot: Slot<Column>) -> (String, ratatui::style::Style) {
    let (styles, cells, row) = (&app.styles, usize::from(slot.width), &leak.row);
    let growth = &row.growth;
    // Both are of the nodes that are heard, like the number that they belong to.
    let grown = growth.last.cast_signed().saturating_sub(growth.first.cast_signed());
    let added = app.history.baseline_at().and(row.change).map_or(grown, |change| change.delta);
    let base = row.sum.connections.saturating_add_signed(added.saturating_neg());
    match slot.id {
        Column::Source => (super::row::party(row.src.as_ref(), cells, app.setup.glyphs.ellipsis), styles.text),
        Column::Destination => (super::row::party(row.dst.as_ref(), cells, app.setup.glyphs.ellipsis), styles.text),
        Column::Port => (row.port.map_or("-".into(), |port| port.to_string()), styles.text),
        Column::Now => (format::count_in(row.sum.connections, cells), styles.strong),
        Column::Base => (format::count_in(base, cells), styles.text),
        Column::Growth => (format::signed_in(added, cells), super::row::sign(app, added)),
        Column::Rate => {
            let rate = row.change.map(|change| format::rate(change.per_minute(), cells));
            (rate.unwrap_or_else(|| "-".into()), styles.text)
        }
        Column::Rising => (rising(leak), styles.text),
        Column::Trend => (sparkline(&row.trend, cells, app.setup.glyphs), styles.text),
        Column::Verdict => {
            let style = match leak.verdict {
                Verdict::Likely => styles.bad,
                Verdict::Watch => styles.warn,
                Verdict::TooNew => styles.dim,
            };
            (leak.verdict.as_str().to_owned(), style)
        }
    }
}

/// Nodes with the fullest tables, by index, fullest first.
fn fullest(app: &App) -> Vec<usize> {
    let mut nodes: Vec<_> = (0..app.shown.nodes.len()).filter(|at| app.shown.nodes[*at].table.is_some()).collect();
    let fill = |at: usize| app.shown.nodes[at].fill().unwrap_or(0.0);
    nodes.sort_by(|a, b| fill(*b).total_cmp(&fill(*a)).then(a.cmp(b)));
    nodes.truncate(FILLS);
    nodes
}

/// Lines that the tables' fill takes below the suspects: none where the suspects would have too few.
pub(super) fn fill_height(app: &App, middle: u16) -> u16 {
    let nodes = u16::try_from(fullest(app).len()).unwrap_or(0);
    match nodes {
        0 => 0,
        _ if middle < 12 => 0,
        nodes => (nodes + 2).min(middle / 2),
    }
}

/// Draws the tables' fill.
pub(super) fn draw_fill(app: &App, canvas: &mut Canvas<'_>) {
    let styles = &app.styles;
    let ends = [canvas.width().min(29), canvas.width().min(42), canvas.width().min(50)];
    canvas.put(1, 1, "conntrack table", styles.head);
    for (end, head) in ends.into_iter().zip(["USED", "MAX", "FILL"]) {
        canvas.put_right(end, 1, head, styles.head);
    }
    canvas.put(ends[2] + 3, 1, "full at this rate", styles.head);
    for (y, at) in (2..).zip(fullest(app)) {
        let node = &app.shown.nodes[at];
        let Some(table) = &node.table else { continue };
        let full = node.fill().unwrap_or(0.0) >= LIMIT;
        let style = if full { styles.bad } else { styles.text };
        canvas.put_in(3, y, 16, &text::fit(&node.node, 16, app.setup.glyphs.ellipsis), styles.text);
        let cells = [
            format::count_in(table.entries, 9),
            format::count_in(table.limit, 9),
            format::percent(table.entries, table.limit),
        ];
        for (end, cell) in ends.into_iter().zip(cells) {
            canvas.put_right(end, y, &cell, style);
        }
        let x = canvas.put(ends[2] + 3, y, &time_to_full(app, at), styles.text);
        if full {
            canvas.put(x + 3, y, "LIMIT", styles.bad);
        }
    }
}
