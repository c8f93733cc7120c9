//! A sample of single connections of an opened row.

use std::fmt::Write as _;

use khan_api::Connection;
use ratatui::text::{Line, Span};

use crate::feed::Samples;
use crate::screen::format;
use crate::screen::panels::cells::name;
use crate::screen::state::App;
use crate::screen::state::drill::{Drill, Sample};
use crate::screen::text;
use crate::screen::widgets::canvas::Canvas;
use crate::screen::widgets::table::{Column, Row, Table};

#[derive(Clone, Copy)]
enum Field {
    Ends,
    Age,
    Idle,
    Timeout,
    Bytes,
}

fn columns(width: u16) -> Vec<Column<Field>> {
    // Its head is the title, which may be wider than the column and is drawn later.
    let ends = Column::names(Field::Ends, "");
    match width {
        0..60 => vec![ends],
        60..100 => vec![ends, Column::right(Field::Idle, "idle", 8), Column::right(Field::Timeout, "timeout", 8)],
        _ => vec![
            ends,
            Column::right(Field::Age, "age", 8),
            Column::right(Field::Idle, "idle", 8),
            Column::right(Field::Timeout, "timeout", 9),
            Column::right(Field::Bytes, "bytes tx/rx", 13),
        ],
    }
}

/// Draws the sample, or why there is none.
pub(super) fn draw(app: &App, drill: &Drill, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let focused = drill.pane >= drill.panes.len();
    let head = if focused { styles.accent } else { styles.head };
    match &drill.sample {
        Sample::Asked => {
            canvas.put(1, 0, "sample of connections", head);
            canvas.put(3, 1, "asking the nodes that hold them ...", styles.dim);
        }
        Sample::Failed(reason) => {
            canvas.put(1, 0, "sample of connections", head);
            let room = usize::from(canvas.width()).saturating_sub(5);
            let lines = text::wrap(reason, room).into_iter().map(|line| Line::styled(line, styles.warn));
            canvas.part(3, 1, canvas.width(), canvas.height()).lines(lines);
        }
        Sample::Ready(samples) => {
            let listed = entries(app, drill, samples, focused, canvas);
            let room = canvas.width().saturating_sub(if canvas.width() >= 100 { 41 } else { 21 });
            let title = name(app, &title(samples, listed), room, head);
            canvas.put(1, 0, &title.content, title.style);
            if listed == 0 {
                canvas.put(3, 1, "none is left: they closed since the snapshot", styles.dim);
            }
        }
    }
}

/// How many entries are listed, and from which tables. They are entries, not connections: a connection between two nodes is
/// in the tables of both.
fn title(samples: &Samples, listed: usize) -> String {
    let matched: u64 = samples.tables.iter().map(|table| table.matched).sum();
    let nodes: Vec<_> = samples.tables.iter().map(|table| table.node.as_str()).collect();
    let missed: Vec<_> = samples.missed.iter().map(|missed| missed.node.as_str()).collect();
    let without = if missed.is_empty() { String::new() } else { format!(", WITHOUT {}", missed.join(", ")) };
    format!("table entries ({listed} of {} on {}{without})", format::count(matched), nodes.join(", "))
}

/// Draws the entries and returns how many there are.
fn entries(app: &App, drill: &Drill, samples: &Samples, focused: bool, canvas: &mut Canvas<'_>) -> usize {
    let entries: Vec<_> = samples.tables.iter().flat_map(|table| &table.connections).collect();
    let cursor = drill.cursors[drill.panes.len()];
    let table =
        Table::new(app.settings.styles(), columns(canvas.width()), cursor.offset..entries.len(), |at, slots| {
            let selected = focused && cursor.key.is_some_and(|key| key.0 == at as u128);
            let cells = slots.iter().map(|slot| cell(app, entries[at], slot.id(), slot.width));
            Row::new(cells).sign(if selected { ">" } else { "" }).selected(selected)
        });
    table.padding(1, 1).draw(canvas);
    entries.len()
}

fn cell(app: &App, connection: &Connection, field: Field, cells: u16) -> Span<'static> {
    let text = match field {
        Field::Ends => return name(app, &tuple(connection), cells, app.settings.styles().text),
        Field::Age => seconds(connection.age_seconds),
        Field::Idle => seconds(connection.idle_seconds.map(u64::from)),
        Field::Timeout => seconds(connection.timeout_seconds.map(u64::from)),
        Field::Bytes => match (connection.bytes_sent, connection.bytes_received) {
            (Some(sent), Some(received)) => format!("{}/{}", format::bytes(sent), format::bytes(received)),
            _ => "-".into(),
        },
    };
    Span::styled(text, app.settings.styles().text)
}

fn seconds(seconds: Option<u64>) -> String {
    seconds.map_or("-".to_owned(), |s| format::age(std::time::Duration::from_secs(s)))
}

/// Both ends, then the address that really answers if it is not the one dialled (`=`), then the address that answers go to
/// if it is not the client's (`as`).
fn tuple(c: &Connection) -> String {
    let socket = |ip: std::net::IpAddr, port: u16| std::net::SocketAddr::new(ip, port);
    let mut text = format!("{} {} {} -> {}", c.protocol, c.state, socket(c.src, c.src_port), socket(c.dst, c.dst_port));
    if (c.reply_src, c.reply_src_port) != (c.dst, c.dst_port) {
        let _ = write!(text, " = {}", socket(c.reply_src, c.reply_src_port));
    }
    if (c.reply_dst, c.reply_dst_port) != (c.src, c.src_port) {
        let _ = write!(text, " as {}", socket(c.reply_dst, c.reply_dst_port));
    }
    text
}
