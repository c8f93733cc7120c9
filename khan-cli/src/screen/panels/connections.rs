//! The lists of connections.

mod cell;

use ratatui::text::Span;

use crate::model::Row as Group;
use crate::screen::columns::Column as Id;
use crate::screen::format;
use crate::screen::items::{self, INDENT, Item, What, is_bundle};
use crate::screen::layout::table::Slot;
use crate::screen::state::App;
use crate::screen::widgets::canvas::Canvas;
use crate::screen::widgets::table::{Row, Table};

use super::cells::{count, is_selected, sign};
use cell::cell;

/// Draws heads and visible rows.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let list = app.lists.list();
    let rows = list.cursor.offset..app.answers.items().len();
    let columns = app.connection_columns();
    let table = Table::new(app.settings.styles(), columns, rows, |at, slots| row(app, &app.answers.items()[at], slots));
    table.scrolls(list.shift, app.settings.glyphs()).draw(canvas);
}

fn row(app: &App, item: &Item, slots: &[Slot<'_, Id>]) -> Row<'static> {
    let row = match item.what {
        What::Other => other(app, slots),
        What::More(parent) => app.answers.children().get(parent).map_or_else(Row::default, |(_, parts)| {
            let words = format!("  ... {} more", format::count(parts.hidden_groups() as u64));
            sum(app, &words, parts.hidden.connections, slots)
        }),
        _ => match app.row(item) {
            Some(group) => group_row(app, item, group, slots),
            None => Row::default(),
        },
    };
    row.selected(is_selected(app, item))
}

fn group_row(app: &App, item: &Item, group: &Group, slots: &[Slot<'_, Id>]) -> Row<'static> {
    let part = matches!(item.what, What::Child(..));
    let all_old = group.sum.stale == group.sum.connections || app.outdated().is_some();
    let cells = slots.iter().map(|slot| {
        let mut cell = if part && is_name(slot) && slot.width > 2 * INDENT {
            let cell = cell(app, group, slot.id(), slot.width - INDENT);
            Span::styled(format!("{:1$}{2}", "", usize::from(INDENT), cell.content), cell.style)
        } else {
            cell(app, group, slot.id(), slot.width)
        };
        if all_old && slot.id() != Id::Flags {
            cell.style = app.settings.styles().dim;
        }
        cell
    });
    Row::new(cells).sign(sign(app, item, !part && is_bundle(group)))
}

fn is_name(slot: &Slot<'_, Id>) -> bool {
    slot.is_left() && !matches!(slot.id(), Id::Trend | Id::Flags)
}

/// The sum of all rows that are not listed, so that the column adds up to the total.
fn other(app: &App, slots: &[Slot<'_, Id>]) -> Row<'static> {
    let projection = app.answers.projection();
    let rest = projection.rest.unwrap_or_default();
    let words = items::other(projection).unwrap_or_default();
    sum(app, &words, projection.hidden.connections + rest.connections, slots)
}

/// A row with a name in the first column of names, and connections.
fn sum(app: &App, words: &str, connections: u64, slots: &[Slot<'_, Id>]) -> Row<'static> {
    let named = slots.iter().position(is_name);
    Row::new(slots.iter().enumerate().map(|(at, slot)| match slot.id() {
        _ if named == Some(at) => Span::styled(words.to_owned(), app.settings.styles().dim),
        Id::Conns => count(connections, slot.width, app.settings.styles().dim),
        _ => Span::default(),
    }))
}
