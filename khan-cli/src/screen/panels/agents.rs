//! The health of each agent.

use crate::screen::app::App;
use crate::screen::format;
use crate::screen::table::What;
use crate::screen::text;

use super::canvas::Canvas;
use super::grid::{Align, Col, solve};
use super::nodes::state_style;
use super::table::{LEAD, mark, put};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Node,
    State,
    Age,
    Scan,
    Interval,
    Version,
    Unresolved,
    Answered,
    Next,
    Trouble,
}

const fn col(id: Column, width: u16, needs: u16, rank: u8, align: Align) -> Col<Column> {
    Col { id, width, needs, rank, align }
}

const COLUMNS: [Col<Column>; 10] = [
    col(Column::Node, 0, 0, 0, Align::Left),
    col(Column::State, 7, 0, 0, Align::Left),
    col(Column::Age, 7, 0, 0, Align::Right),
    col(Column::Scan, 7, 18, 2, Align::Right),
    col(Column::Interval, 6, 18, 3, Align::Right),
    col(Column::Version, 9, 18, 4, Align::Left),
    col(Column::Unresolved, 6, 18, 5, Align::Right),
    col(Column::Answered, 9, 18, 6, Align::Right),
    col(Column::Next, 8, 18, 7, Align::Right),
    col(Column::Trouble, 0, 0, 0, Align::Left),
];

/// Draws them.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let slots = solve(&COLUMNS, canvas.width(), LEAD);
    for slot in &slots {
        let head = match slot.id {
            Column::Node => "NODE",
            Column::State => "STATE",
            Column::Age => "AGE",
            Column::Scan => "SCAN",
            Column::Interval => "EVERY",
            Column::Version => "VERSION",
            Column::Unresolved => "UNRES",
            Column::Answered => "ANSWERED",
            Column::Next => "NEXT TRY",
            Column::Trouble => "TROUBLE",
        };
        put(canvas, slot, 0, head, app.styles.head);
    }
    let cursor = app.list().cursor;
    let (styles, ellipsis, zone) = (&app.styles, app.setup.glyphs.ellipsis, &app.setup.zone);
    let height = usize::from(canvas.height()).saturating_sub(1);
    for (y, item) in (1..).zip(app.items.iter().skip(cursor.offset).take(height)) {
        let What::Agent(at) = item.what else { continue };
        let Some(node) = app.shown.nodes.get(at) else { continue };
        canvas.put(0, y, mark(app, item, false), styles.accent);
        for slot in &slots {
            let cells = usize::from(slot.width);
            let dash = || ("-".to_owned(), styles.dim);
            let clock = |time: Option<khan_api::Timestamp>| {
                time.map_or_else(dash, |time| (format::clock(time, zone), styles.text))
            };
            let (text, style) = match slot.id {
                Column::Node => {
                    let name = if node.node.is_empty() { &node.agent } else { &node.node };
                    (text::fit(name, cells, ellipsis).into_owned(), styles.text)
                }
                Column::State => (node.state.as_str().to_owned(), state_style(app, node.state)),
                Column::Age => node.age(app.clock).map_or_else(dash, |age| (format::age(age), styles.text)),
                Column::Scan | Column::Interval if node.interval.is_zero() => dash(),
                Column::Scan => (format!("{}ms", node.scan.as_millis()), styles.text),
                Column::Interval => (format::age(node.interval), styles.text),
                Column::Version if node.version.is_empty() => dash(),
                Column::Version => (text::fit(&node.version, cells, ellipsis).into_owned(), styles.text),
                Column::Unresolved => (format::count_in(node.names.unresolved, cells), styles.text),
                Column::Answered => clock(node.answered),
                Column::Next => clock(node.failure.as_ref().and_then(|failure| failure.next)),
                Column::Trouble => {
                    let reason = node.trouble().map(|(reason, _)| reason);
                    let names = Some(node.names.error.as_str()).filter(|error| !error.is_empty());
                    let said = reason.or(names).or(node.warnings.first().map(String::as_str)).unwrap_or("");
                    (text::fit(said, cells, ellipsis).into_owned(), styles.warn)
                }
            };
            put(canvas, slot, y, &text, style);
        }
        if cursor.key == Some(item.key) {
            canvas.style(0, y, canvas.width(), styles.selected);
        }
    }
}
