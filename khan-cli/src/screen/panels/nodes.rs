//! The nodes: what their tables hold, how full they are, and when they would be full.

use crate::model::{NodeState, SortBy};
use crate::screen::app::App;
use crate::screen::format;
use crate::screen::table::What;
use crate::screen::text;

use super::canvas::Canvas;
use super::grid::{Align, Col, solve};
use super::row;
use super::table::{LEAD, mark, put, put_head};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Node,
    State,
    Conns,
    Delta,
    Entries,
    Limit,
    Fill,
    Full,
    Age,
}

const fn col(id: Column, width: u16, needs: u16, rank: u8, align: Align) -> Col<Column> {
    Col { id, width, needs, rank, align }
}

const COLUMNS: [Col<Column>; 9] = [
    col(Column::Node, 0, 0, 0, Align::Left),
    col(Column::Conns, 9, 0, 0, Align::Right),
    col(Column::Delta, 8, 12, 2, Align::Right),
    col(Column::Entries, 9, 12, 3, Align::Right),
    col(Column::Limit, 9, 16, 4, Align::Right),
    col(Column::Fill, 5, 0, 0, Align::Right),
    col(Column::Full, 11, 16, 5, Align::Right),
    col(Column::Age, 7, 14, 6, Align::Right),
    col(Column::State, 7, 0, 0, Align::Left),
];

/// Share from which a table is about to be full.
pub(super) const LIMIT: f64 = 0.9;

/// Draws them.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let slots = solve(&COLUMNS, canvas.width(), LEAD);
    for slot in &slots {
        let head = match slot.id {
            Column::Node => "NODE".to_owned(),
            Column::State => "AGENT".into(),
            Column::Conns => "CONNS".into(),
            Column::Delta => row::head(app, crate::screen::columns::Column::Delta),
            Column::Entries => "ENTRIES".into(),
            Column::Limit => "MAX".into(),
            Column::Fill => "FILL".into(),
            Column::Full => "FULL IN".into(),
            Column::Age => "AGE".into(),
        };
        let order = match slot.id {
            Column::Node => Some(SortBy::Node),
            Column::Conns => Some(SortBy::Connections),
            Column::Delta => Some(SortBy::Delta),
            _ => None,
        };
        put_head(app, canvas, slot, head, order);
    }
    let cursor = app.list().cursor;
    let height = usize::from(canvas.height()).saturating_sub(1);
    for (y, item) in (1..).zip(app.items.iter().skip(cursor.offset).take(height)) {
        let What::Node(at) = item.what else { continue };
        let Some(node) = app.shown.nodes.get(at) else { continue };
        let counts = app.row(item);
        canvas.put(0, y, mark(app, item, false), app.styles.accent);
        for slot in &slots {
            let cells = usize::from(slot.width);
            let styles = &app.styles;
            let dash = || ("-".to_owned(), styles.dim);
            let table = node.table.as_ref();
            let (text, style) = match slot.id {
                Column::Node => (text::fit(&node.node, cells, app.setup.glyphs.ellipsis).into_owned(), styles.text),
                Column::State => (node.state.as_str().to_owned(), state_style(app, node.state)),
                Column::Conns => {
                    counts.map_or_else(dash, |row| (format::count_in(row.sum.connections, cells), styles.strong))
                }
                Column::Delta => counts
                    .and_then(|row| row.change)
                    .map_or_else(dash, |change| (format::signed_in(change.delta, cells), row::sign(app, change.delta))),
                Column::Entries => table.map_or_else(dash, |t| (format::count_in(t.entries, cells), styles.text)),
                Column::Limit => table.map_or_else(dash, |t| (format::count_in(t.limit, cells), styles.text)),
                Column::Fill => {
                    let style = if node.fill().unwrap_or(0.0) >= LIMIT { styles.bad } else { styles.text };
                    table.map_or_else(dash, |t| (format::percent(t.entries, t.limit), style))
                }
                Column::Full => (time_to_full(app, at), styles.text),
                Column::Age => node.age(app.clock).map_or_else(dash, |age| (format::age(age), styles.text)),
            };
            put(canvas, slot, y, &text, style);
        }
        if cursor.key == Some(item.key) {
            canvas.style(0, y, canvas.width(), app.styles.selected);
        }
    }
}

/// How an agent's state looks.
pub(super) fn state_style(app: &App, state: NodeState) -> ratatui::style::Style {
    match state {
        NodeState::Ok => app.styles.good,
        NodeState::Stale => app.styles.warn,
        NodeState::Failed => app.styles.bad,
        NodeState::Waiting => app.styles.dim,
    }
}

/// `in 1h50m`, `> 24h`, or that it does not grow.
pub(super) fn time_to_full(app: &App, at: usize) -> String {
    let Some(node) = app.shown.nodes.get(at) else { return String::new() };
    let Some(table) = &node.table else { return "-".into() };
    match app.fill.time_to_full(&node.node, table.limit, app.rule.window) {
        Some(left) if left.as_secs() > 86_400 => "> 24h".into(),
        Some(left) => format!("in {}", format::age(left)),
        None => "-".into(),
    }
}
