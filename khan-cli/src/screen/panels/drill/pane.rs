//! The rows that an opened row consists of.

use ratatui::text::Span;

use crate::model::{Projection, Row as Group};
use crate::screen::layout::table::{Column, Slot};
use crate::screen::panels::cells::{change, count, dash, in_one_namespace, name, only_end, part_name};
use crate::screen::state::App;
use crate::screen::state::cursor::Cursor;
use crate::screen::state::drill::Drill;
use crate::screen::tab::Grouping;
use crate::screen::widgets::canvas::Canvas;
use crate::screen::widgets::table::{Row, Table};

/// From this width on heads are written in full.
const WIDE: u16 = 60;

#[derive(Clone, Copy)]
enum Field {
    Name,
    Port,
    Conns,
    Delta,
    Est,
    Node,
}

/// The name and, of the other columns, those that have something to say of any row.
fn columns(app: &App, grouping: &Grouping, rows: &[Group], focused: bool, wide: bool) -> Vec<Column<Field>> {
    let name = Column::names(Field::Name, format!("by {}", grouping.name));
    let mut columns = vec![if focused { name.head_style(app.settings.styles().accent) } else { name }];
    if grouping.by.port {
        columns.push(Column::right(Field::Port, "PORT", 5).leaves(14, 2));
    }
    columns.push(Column::right(Field::Conns, "CONNS", 7));
    if rows.iter().any(|row| row.change.is_some()) {
        let cells = if wide { 9 } else { 7 };
        columns.push(Column::right(Field::Delta, app.delta_head(cells), cells).leaves(14, 1));
    }
    if rows.iter().any(|row| row.sum.states.established_percent().is_some()) {
        columns.push(Column::right(Field::Est, "EST%", 5).leaves(18, 3));
    }
    if rows.iter().any(|row| node(row).is_some()) {
        columns.push(Column::left(Field::Node, "NODE", 12).leaves(22, 4));
    }
    columns
}

/// Draws the list that has the cursor, or the last list if the sample has it.
pub(super) fn draw(app: &App, drill: &Drill, canvas: &mut Canvas<'_>) {
    let index = drill.listed();
    let Some((grouping, rows)) = drill.panes.get(index) else { return };
    let focused = drill.pane == index;
    let cursor = if focused { drill.cursors[index] } else { Cursor::default() };
    let height = usize::from(canvas.height()).saturating_sub(1);
    let all = rows.rows.len();
    // Without a cursor to scroll with, the last line says how many rows do not fit.
    let cut = all > cursor.offset + height && height > 1 && cursor.key.is_none();
    let after = if cut { cursor.offset + height - 1 } else { all };
    let bare = in_one_namespace(&rows.rows);
    let table = Table::new(
        app.settings.styles(),
        columns(app, grouping, &rows.rows, focused, canvas.width() >= WIDE),
        cursor.offset..all,
        |at, slots| {
            if at == after {
                return more(app, rows, after, slots);
            }
            let group = &rows.rows[at];
            let selected = cursor.key == Some(group.key);
            let cells = slots.iter().map(|slot| cell(app, group, slot.id(), bare, slot.width));
            Row::new(cells).sign(if selected { ">" } else { "" }).selected(selected)
        },
    );
    let width = canvas.width().saturating_sub(1);
    table.padding(0, 1).draw(&mut canvas.part(0, 0, width, canvas.height()));
}

/// The number of rows below the screen, and the sum of their connections.
fn more(app: &App, rows: &Projection, after: usize, slots: &[Slot<'_, Field>]) -> Row<'static> {
    let left = rows.rows[after..].iter().map(|row| row.sum.connections).sum::<u64>() + rows.hidden.connections;
    Row::new(slots.iter().map(|slot| match slot.id() {
        Field::Name => Span::styled(format!("... {} more", rows.matching - after), app.settings.styles().dim),
        Field::Conns => count(left, slot.width, app.settings.styles().dim),
        _ => Span::default(),
    }))
}

fn cell(app: &App, group: &Group, field: Field, bare: bool, cells: u16) -> Span<'static> {
    let text = app.settings.styles().text;
    let known = match field {
        Field::Name => Some(part_name(app, group, bare, cells)),
        Field::Port => group.port.map(|port| Span::styled(port.to_string(), text)),
        Field::Conns => Some(count(group.sum.connections, cells, app.settings.styles().strong)),
        Field::Delta => group.change.map(|by| change(app, by.delta, cells)),
        Field::Est => group.sum.states.established_percent().map(|share| Span::styled(share.to_string(), text)),
        Field::Node => node(group).map(|node| name(app, node, cells, text)),
    };
    known.unwrap_or_else(|| dash(app))
}

/// The node that all of a row live on.
fn node(group: &Group) -> Option<&str> {
    only_end(group).map(|end| &*end.owner.node).filter(|node| !node.is_empty())
}
