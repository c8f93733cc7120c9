//! Leak suspects with the reasons for each, and when the tables that they fill will be full.

use khan_api::TableStats;
use ratatui::text::Span;

use crate::model::leak::Leak;
use crate::model::{NodeStatus, Verdict};
use crate::screen::format;
use crate::screen::items::What;
use crate::screen::layout::TABLES;
use crate::screen::layout::table::Column;
use crate::screen::state::App;
use crate::screen::widgets::canvas::Canvas;
use crate::screen::widgets::table::{Row, Table};

use super::cells::{NEARLY_FULL, change, count, end, is_selected, name, sign, time_to_full};
use super::spark::sparkline;

#[derive(Clone, Copy)]
enum Field {
    Source,
    Destination,
    Port,
    Conns,
    Before,
    Growth,
    Rate,
    Rising,
    Trend,
    Verdict,
}

fn columns(app: &App) -> [Column<Field>; 10] {
    let names = app.answers.names();
    // Wide enough for the longest text: the number of steps has no bound.
    let steps = app.answers.report().leaks.iter().map(|leak| u16::try_from(rising(leak).len()).unwrap_or(u16::MAX));
    [
        Column::names(Field::Source, "SOURCE").wants(names.source),
        Column::names(Field::Destination, "DESTINATION").wants(names.destination).or_short("DEST"),
        Column::right(Field::Port, "PORT", 5).leaves(15, 2),
        Column::right(Field::Conns, "CONNS", 7),
        Column::right(Field::Before, "BEFORE", 7).leaves(15, 4),
        Column::right(Field::Growth, "GROWTH", 8).leaves(9, 1),
        Column::right(Field::Rate, "RATE/MIN", 8).leaves(15, 3),
        Column::right(Field::Rising, "RISING", steps.fold(6, u16::max)).leaves(15, 5),
        Column::left(Field::Trend, "TREND", 12).leaves(20, 6).grows(),
        Column::left(Field::Verdict, "VERDICT", 7),
    ]
}

/// Draws the suspects, each with its reasons below it.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let room = canvas.width().saturating_sub(6);
    let rows = app.lists.list().cursor.offset..app.answers.items().len();
    let table = Table::new(app.settings.styles(), columns(app), rows, |at, slots| {
        let item = &app.answers.items()[at];
        let row = match item.what {
            What::Leak(at) => {
                let leak = &app.answers.report().leaks[at];
                Row::new(slots.iter().map(|slot| cell(app, leak, slot.id(), slot.width))).sign(sign(app, item, false))
            }
            What::Reason(at, reason) => {
                let reason = app.answers.report().leaks[at].reasons.get(reason).map_or("", String::as_str);
                Row::across(3, name(app, reason, room, app.settings.styles().dim))
            }
            _ => Row::default(),
        };
        row.selected(is_selected(app, item))
    });
    table.draw(canvas);
}

fn rising(leak: &Leak) -> String {
    format!("{}/{}", leak.row.growth.rising(), leak.row.growth.steps())
}

fn cell(app: &App, leak: &Leak, field: Field, cells: u16) -> Span<'static> {
    let (styles, row) = (app.settings.styles(), &leak.row);
    let plain = |text: String| Span::styled(text, styles.text);
    match field {
        Field::Source => end(app, row.src.as_ref(), cells),
        Field::Destination => end(app, row.dst.as_ref(), cells),
        Field::Port => plain(row.port.map_or("-".into(), |port| port.to_string())),
        Field::Conns => count(row.sum.connections, cells, styles.strong),
        Field::Before => {
            let before = row.sum.connections.saturating_add_signed(added(app, leak).saturating_neg());
            count(before, cells, styles.text)
        }
        Field::Growth => change(app, added(app, leak), cells),
        Field::Rate => {
            let rate = row.change.map(|change| format::rate(change.per_minute(), cells.into()));
            plain(rate.unwrap_or_else(|| "-".into()))
        }
        Field::Rising => plain(rising(leak)),
        Field::Trend => plain(sparkline(&row.trend, cells.into(), app.settings.glyphs())),
        Field::Verdict => {
            let style = match leak.verdict {
                Verdict::Likely => styles.bad,
                Verdict::Watch => styles.warn,
                Verdict::TooNew => styles.dim,
            };
            Span::styled(leak.verdict.as_str(), style)
        }
    }
}

/// Growth of a suspect since the baseline, or else within the window. Like the number of connections next to it, it counts
/// only nodes that answer.
fn added(app: &App, leak: &Leak) -> i64 {
    let growth = &leak.row.growth;
    let grown = growth.last.cast_signed().saturating_sub(growth.first.cast_signed());
    app.data.history().baseline_at().and(leak.row.change).map_or(grown, |change| change.delta)
}

/// The fullest table of each node, fullest first.
fn fullest(app: &App) -> Vec<(&NodeStatus, &TableStats)> {
    let nodes = app.data.view().nodes.iter();
    let mut tables: Vec<_> = nodes.filter_map(|node| Some((node, node.fullest()?))).collect();
    let fill = |table: &TableStats| table.fill().unwrap_or(0.0);
    tables.sort_by(|a, b| fill(b.1).total_cmp(&fill(a.1)));
    tables.truncate(TABLES);
    tables
}

/// Draws how full the tables are.
pub(super) fn draw_tables(app: &App, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let ends = [canvas.width().min(29), canvas.width().min(42), canvas.width().min(50)];
    canvas.put(1, 1, "conntrack table", styles.head);
    for (end, head) in ends.into_iter().zip(["ENTRIES", "LIMIT", "FILL%"]) {
        canvas.put_right(end, 1, head, styles.head);
    }
    canvas.put(ends[2] + 3, 1, "full at this rate", styles.head);
    for (y, (node, table)) in (2..).zip(fullest(app)) {
        let full = table.fill().unwrap_or(0.0) >= NEARLY_FULL;
        let style = if full { styles.bad } else { styles.text };
        canvas.put_fit(3, y, 16, &node.node, app.settings.glyphs().ellipsis, styles.text);
        let cells = [
            format::count_in(table.entries, 9),
            format::count_in(table.limit, 9),
            table.fill_percent().map_or_else(|| "-".into(), |percent| percent.to_string()),
        ];
        for (end, cell) in ends.into_iter().zip(cells) {
            canvas.put_right(end, y, &cell, style);
        }
        let mut x = canvas.put(ends[2] + 3, y, &time_to_full(app, node, table), styles.text);
        if full {
            x = canvas.put(x + 3, y, "LIMIT", styles.bad);
        }
        if !table.is_kernel() {
            canvas.put(x + 3, y, &table.name, styles.dim);
        }
    }
}
