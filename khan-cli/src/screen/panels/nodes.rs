//! The nodes: what their tables hold, how full they are, and when they would be full.

use ratatui::text::Span;

use crate::model::NodeStatus;
use crate::screen::format;
use crate::screen::items::What;
use crate::screen::state::App;
use crate::screen::state::heads::NodeColumn as Field;
use crate::screen::widgets::canvas::Canvas;
use crate::screen::widgets::table::{Row, Table};

use super::cells::{NEARLY_FULL, change, count, dash, is_selected, name, sign, state, time_to_full};

/// Draws the list of nodes.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let rows = app.lists.list().cursor.offset..app.answers.items().len();
    let table = Table::new(app.settings.styles(), app.node_columns(), rows, |at, slots| {
        let item = &app.answers.items()[at];
        let What::Node(at) = item.what else { return Row::default() };
        let Some(node) = app.data.view().nodes.get(at) else { return Row::default() };
        let counts = app.row(item);
        let cells = slots.iter().map(|slot| cell(app, node, counts, slot.id(), slot.width));
        Row::new(cells).sign(sign(app, item, false)).selected(is_selected(app, item))
    });
    table.scrolls(app.lists.list().shift, app.settings.glyphs()).draw(canvas);
}

fn cell(app: &App, node: &NodeStatus, counts: Option<&crate::model::Row>, field: Field, cells: u16) -> Span<'static> {
    let text = app.settings.styles().text;
    let table = node.fullest();
    let known = match field {
        Field::Node => Some(name(app, &node.node, cells, text)),
        Field::State => Some(state(app, node.state)),
        Field::Conns => counts.map(|row| count(row.sum.connections, cells, app.settings.styles().strong)),
        Field::Delta => counts.and_then(|row| row.change).map(|by| change(app, by.delta, cells)),
        Field::Entries => table.map(|table| count(table.entries, cells, text)),
        Field::Limit => table.map(|table| count(table.limit, cells, text)),
        Field::Fill => {
            let style = if node.fill().unwrap_or(0.0) >= NEARLY_FULL { app.settings.styles().bad } else { text };
            node.fill_percent().map(|percent| Span::styled(percent.to_string(), style))
        }
        Field::Full => table.map(|table| Span::styled(time_to_full(app, node, table), text)),
        Field::Table => table.map(|table| name(app, &table.name, cells, text)),
        Field::Age => node.age(app.data.clock()).map(|age| Span::styled(format::age(age), text)),
    };
    known.unwrap_or_else(|| dash(app))
}
