//! The lists of connections: heads, and of the rows only those on the screen.

use ratatui::style::Style;

use crate::model::{Row, SortBy};
use crate::screen::app::App;
use crate::screen::columns::Column;
use crate::screen::drill::title;
use crate::screen::format;
use crate::screen::table::{Item, What, is_bundle};

use super::canvas::Canvas;
use super::grid::{Align, Slot, solve};
use super::row;

/// Cells before the first column: the sign of a row.
pub(super) const LEAD: u16 = 2;

/// Draws heads and visible rows.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let slots = slots(app, canvas.width());
    heads(app, &slots, canvas);
    let list = app.list();
    let height = usize::from(canvas.height()).saturating_sub(1);
    for (y, item) in (1..).zip(app.items.iter().skip(list.cursor.offset).take(height)) {
        draw_item(app, item, &slots, y, canvas);
        if list.cursor.key == Some(item.key) {
            canvas.style(0, y, canvas.width(), app.styles.selected);
        }
    }
}

/// Columns scrolled away are left out, except that one always stays.
fn slots(app: &App, width: u16) -> Vec<Slot<Column>> {
    let columns = app.columns.of(&app.group_by());
    let shift = app.list().shift.min(columns.len().saturating_sub(1));
    solve(&row::grid(app, &columns[shift..], width), width, LEAD)
}

fn heads(app: &App, slots: &[Slot<Column>], canvas: &mut Canvas<'_>) {
    for slot in slots {
        let mut head = row::head(app, slot.id);
        if slot.width < 11 && slot.id == Column::Destination {
            head.truncate(4);
        }
        put_head(app, canvas, slot, head, slot.id.sort());
    }
}

/// Writes a column's head, which says whether and how the list is ordered by it.
pub(super) fn put_head<C: Copy>(
    app: &App,
    canvas: &mut Canvas<'_>,
    slot: &Slot<C>,
    mut head: String,
    order: Option<SortBy>,
) {
    let sort = app.list().sort;
    if order != Some(sort.by) {
        return put(canvas, slot, 0, &head, app.styles.head);
    }
    head.push_str(if sort.reverse == sort.by.ascends() { " v" } else { " ^" });
    put(canvas, slot, 0, &head, app.styles.head_sorted);
}

/// Writes into a column's cells.
pub(super) fn put<C: Copy>(canvas: &mut Canvas<'_>, slot: &Slot<C>, y: u16, text: &str, style: Style) {
    match slot.align {
        Align::Left => drop(canvas.put_in(slot.x, y, slot.width, text, style)),
        Align::Right => {
            let mut part = canvas.part(slot.x, y, slot.width, 1);
            let end = part.width();
            part.put_right(end, 0, text, style);
        }
    }
}

/// The sign before a row.
pub(super) fn mark(app: &App, item: &Item, bundle: bool) -> &'static str {
    let selected = app.list().cursor.key == Some(item.key);
    let pinned = app.pins.contains(&item.key);
    match (selected, pinned) {
        (true, true) => ">*",
        (true, false) => ">",
        (false, true) => "*",
        (false, false) if app.expanded.contains(&item.key) => "-",
        (false, false) if bundle => "+",
        (false, false) => "",
    }
}

fn draw_item(app: &App, item: &Item, slots: &[Slot<Column>], y: u16, canvas: &mut Canvas<'_>) {
    match item.what {
        What::Other => return other(app, slots, y, canvas),
        What::More(parent) => {
            if let Some((_, parts)) = app.children.get(parent) {
                let words = format!("  ... {} more", format::count(parts.hidden_groups() as u64));
                sum(app, &words, parts.hidden.connections, slots, y, canvas);
            }
            return;
        }
        _ => {}
    }
    let Some(row) = app.row(item) else { return };
    let child = matches!(item.what, What::Child(..));
    let all_old = row.sum.stale == row.sum.connections || app.outdated().is_some();
    canvas.put(0, y, mark(app, item, !child && is_bundle(row)), app.styles.accent);
    for slot in slots {
        let (text, style) = row::cell(app, row, *slot);
        let style = if all_old && slot.id != Column::Flags { app.styles.dim } else { style };
        if child && slot.align == Align::Left && slot.width > 4 && slot.id != Column::Trend && slot.id != Column::Flags
        {
            let inner = Slot { x: slot.x + 2, width: slot.width - 2, ..*slot };
            let (text, style) = row::cell(app, row, inner);
            put(canvas, &inner, y, &text, style);
        } else {
            put(canvas, slot, y, &text, style);
        }
    }
}

/// The sum of what is not listed, so that the column adds up to the total.
fn other(app: &App, slots: &[Slot<Column>], y: u16, canvas: &mut Canvas<'_>) {
    let projection = &app.projection;
    let rest = projection.rest.unwrap_or_default();
    let groups = projection.hidden_groups() as u64;
    let more = if rest.rows > 0 { " and more" } else { "" };
    let words = format!("(other: {}{more})", format::count(groups));
    sum(app, &words, projection.hidden.connections + rest.connections, slots, y, canvas);
}

/// A line with a name in the first column of names, and connections.
fn sum(app: &App, words: &str, connections: u64, slots: &[Slot<Column>], y: u16, canvas: &mut Canvas<'_>) {
    let named = |slot: &&Slot<Column>| slot.align == Align::Left && !matches!(slot.id, Column::Trend | Column::Flags);
    if let Some(slot) = slots.iter().find(named) {
        put(canvas, slot, y, words, app.styles.dim);
    }
    if let Some(slot) = slots.iter().find(|slot| slot.id == Column::Conns) {
        put(canvas, slot, y, &format::count_in(connections, slot.width.into()), app.styles.dim);
    }
}

/// More about the row under the cursor.
pub(super) fn draw_details(app: &App, canvas: &mut Canvas<'_>) {
    canvas.rule(0, app.setup.glyphs.rule, app.styles.dim);
    let Some(row) = app.current().or(app.items.first()).and_then(|item| app.row(item)) else { return };
    canvas.put(1, 1, &title(row), app.styles.strong);
    for (y, line) in (2..).zip(details(row)) {
        canvas.put(1, y, &line, app.styles.text);
    }
}

fn details(row: &Row) -> Vec<String> {
    let sum = &row.sum;
    let states: Vec<_> =
        sum.states.ranked().iter().map(|(state, n)| format!("{state} {}", format::count(*n))).collect();
    let mut lines = vec![format!("{} conns   {}", format::count(sum.connections), states.join("  "))];
    lines.push(format!("last packet {}", idle(&sum.idle)));
    if sum.half_closed() > 0 {
        lines.push(format!(
            "half-closed: {} wait for the client to close, {} for the server",
            format::count(sum.client_unclosed),
            format::count(sum.server_unclosed)
        ));
    }
    if sum.ghosts > 0 {
        lines.push(format!("{} outlived the owner of an address", format::count(sum.ghosts)));
    }
    lines
}

/// Established connections by time since the last packet.
pub(super) fn idle(buckets: &[u64; 5]) -> String {
    let words = ["<1m", "<10m", "<1h", "<6h", ">6h"];
    let parts = words.iter().zip(buckets).map(|(word, n)| format!("{word} {}", format::count(*n)));
    parts.collect::<Vec<_>>().join("  ")
}
