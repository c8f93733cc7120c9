//! The rows that an opened row consists of.

use khan_api::Kind;
use ratatui::text::Span;

use crate::model::{GroupEnd, Projection, Row as Group};
use crate::screen::panels::cells::{change, count, dash, delta_head, end, name};
use crate::screen::state::App;
use crate::screen::state::cursor::Cursor;
use crate::screen::state::drill::Drill;
use crate::screen::tab::Grouping;
use crate::screen::text;
use crate::screen::widgets::canvas::Canvas;
use crate::screen::widgets::table::{Column, Row, Slot, Table};

#[derive(Clone, Copy)]
enum Field {
    Name,
    Port,
    Conns,
    Delta,
    Est,
    Node,
}

fn columns(app: &App, grouping: &Grouping, focused: bool) -> Vec<Column<Field>> {
    let name = Column::names(Field::Name, format!("by {}", grouping.name));
    let mut columns = vec![if focused { name.head_style(app.settings.styles().accent) } else { name }];
    if grouping.by.port {
        columns.push(Column::right(Field::Port, "PORT", 5).leaves(14, 2));
    }
    columns.extend([
        Column::right(Field::Conns, "CONNS", 7),
        Column::right(Field::Delta, delta_head(app), 7).leaves(14, 1),
        Column::right(Field::Est, "EST%", 5).leaves(18, 3),
        Column::left(Field::Node, "NODE", 12).leaves(22, 4),
    ]);
    columns
}

/// Draws the list that has the cursor, or the last list if the sample has it.
pub(super) fn draw(app: &App, drill: &Drill, canvas: &mut Canvas<'_>) {
    let index = drill.pane.min(drill.panes.len().saturating_sub(1));
    let Some((grouping, rows)) = drill.panes.get(index) else { return };
    let focused = drill.pane == index;
    let cursor = if focused { drill.cursors[index] } else { Cursor::default() };
    let height = usize::from(canvas.height()).saturating_sub(1);
    let all = rows.rows.len();
    // Without a cursor to scroll with, the last line says how many rows do not fit.
    let cut = all > cursor.offset + height && height > 1 && cursor.key.is_none();
    let after = if cut { cursor.offset + height - 1 } else { all };
    let bare = rows.rows.windows(2).all(|pair| namespace(&pair[0]) == namespace(&pair[1]));
    let table = Table::new(app.settings.styles(), columns(app, grouping, focused), cursor.offset..all, |at, slots| {
        if at == after {
            return more(app, rows, after, slots);
        }
        let group = &rows.rows[at];
        let selected = cursor.key == Some(group.key);
        let cells = slots.iter().map(|slot| cell(app, group, slot.id(), bare, slot.width));
        Row::new(cells).sign(if selected { ">" } else { "" }).selected(selected)
    });
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
        Field::Name => Some(name_in_list(app, group, bare, cells)),
        Field::Port => group.port.map(|port| Span::styled(port.to_string(), text)),
        Field::Conns => Some(count(group.sum.connections, cells, app.settings.styles().strong)),
        Field::Delta => group.change.map(|by| change(app, by.delta, cells)),
        Field::Est => group.sum.states.established_percent().map(|share| Span::styled(share.to_string(), text)),
        Field::Node => {
            let node = only_end(group).map(|end| &*end.owner.node).filter(|node| !node.is_empty());
            node.map(|node| name(app, node, cells, text))
        }
    };
    known.unwrap_or_else(|| dash(app))
}

fn only_end(group: &Group) -> Option<&GroupEnd> {
    group.src.as_ref().or(group.dst.as_ref())
}

fn namespace(group: &Group) -> Option<&str> {
    only_end(group).map(|end| &*end.owner.ns)
}

/// The end that tells the rows of a list apart, without its namespace if all rows share one.
fn name_in_list(app: &App, group: &Group, bare: bool, cells: u16) -> Span<'static> {
    match only_end(group) {
        Some(end) if bare && matches!(end.owner.kind, Kind::Pod | Kind::Service) && !end.owner.name.is_empty() => {
            let name = text::fit_middle(&end.owner.name, cells.into(), app.settings.glyphs().ellipsis);
            Span::styled(name.into_owned(), app.settings.styles().text)
        }
        other => end(app, other, cells),
    }
}
