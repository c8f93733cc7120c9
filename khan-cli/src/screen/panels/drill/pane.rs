//! What an opened row consists of.

use khan_api::Kind;
use ratatui::style::Style;

use crate::model::{GroupEnd, Row};
use crate::screen::app::App;
use crate::screen::cursor::Cursor;
use crate::screen::drill::Drill;
use crate::screen::format;
use crate::screen::panels::canvas::Canvas;
use crate::screen::panels::grid::{Align, Col, solve};
use crate::screen::panels::row;
use crate::screen::panels::table::{LEAD, put};
use crate::screen::text;

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

pub(super) fn draw(app: &App, drill: &Drill, canvas: &mut Canvas<'_>) {
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
    let slots = solve(&columns, canvas.width().saturating_sub(2), LEAD);
    for slot in &slots {
        let head = match slot.id {
            Column::Name => format!("by {}", grouping.name),
            Column::Port => "PORT".into(),
            Column::Conns => "CONNS".into(),
            Column::Delta => row::head(app, crate::screen::columns::Column::Delta),
            Column::Est => "EST%".into(),
            Column::Node => "NODE".into(),
        };
        let style = if drill.pane == index && slot.id == Column::Name { styles.accent } else { styles.head };
        put(canvas, slot, 0, &head, style);
    }
    let ns = |row: &Row| end(row).map(|party| std::sync::Arc::clone(&party.ns));
    let bare = rows.rows.windows(2).all(|pair| ns(&pair[0]) == ns(&pair[1]));
    let cursor = if drill.pane == index { drill.cursors[index] } else { Cursor::default() };
    let height = usize::from(canvas.height()).saturating_sub(1);
    let all = rows.rows.len();
    let listed = if all > cursor.offset + height && height > 1 && cursor.key.is_none() { height - 1 } else { height };
    for (y, row) in (1..).zip(rows.rows.iter().skip(cursor.offset).take(listed)) {
        let selected = cursor.key == Some(row.key);
        canvas.put(0, y, if selected { ">" } else { "" }, styles.accent);
        for slot in &slots {
            let (text, style) = cell(app, row, slot.id, bare, slot.width.into());
            put(canvas, slot, y, &text, style);
        }
        if selected {
            canvas.style(0, y, canvas.width().saturating_sub(1), styles.selected);
        }
    }
    let after = cursor.offset + listed;
    if listed < height && all > after {
        let left: u64 = rows.rows[after..].iter().map(|row| row.sum.connections).sum::<u64>() + rows.hidden.connections;
        let y = u16::try_from(listed + 1).unwrap_or(0);
        for slot in &slots {
            match slot.id {
                Column::Name => put(canvas, slot, y, &format!("... {} more", rows.matching - after), styles.dim),
                Column::Conns => put(canvas, slot, y, &format::count_in(left, slot.width.into()), styles.dim),
                _ => {}
            }
        }
    }
}

fn cell(app: &App, row: &Row, column: Column, bare: bool, cells: usize) -> (String, Style) {
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

fn end(row: &Row) -> Option<&GroupEnd> {
    row.src.as_ref().or(row.dst.as_ref())
}

/// The end that a pane tells apart: objects without their namespace where all have the same.
fn name(app: &App, row: &Row, bare: bool, cells: usize) -> String {
    let ellipsis = app.setup.glyphs.ellipsis;
    match end(row) {
        Some(party) if bare && matches!(party.kind, Kind::Pod | Kind::Service) && !party.name.is_empty() => {
            text::fit_middle(&party.name, cells, ellipsis).into_owned()
        }
        party => row::party(party, cells, ellipsis),
    }
}
