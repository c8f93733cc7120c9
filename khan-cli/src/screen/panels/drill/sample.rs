//! A sample of single connections of an opened row.

use std::fmt::Write as _;
use std::time::Duration;

use khan_api::Connection;
use ratatui::text::{Line, Span};

use crate::feed::Samples;
use crate::screen::format;
use crate::screen::layout::table::Column;
use crate::screen::panels::cells::{dash, name};
use crate::screen::state::App;
use crate::screen::state::drill::{Drill, Sample};
use crate::screen::text;
use crate::screen::widgets::canvas::Canvas;
use crate::screen::widgets::table::{Row, Table};

#[derive(Clone, Copy)]
enum Field {
    Ends,
    Age,
    Idle,
    Timeout,
    Bytes,
}

/// Ends and, of the other columns, those that have something to say of any entry.
fn columns(width: u16, entries: &[&Connection]) -> Vec<Column<Field>> {
    // Its head is the title, which may be wider than the column and is drawn later.
    let ends = Column::names(Field::Ends, "");
    let numbers = [
        (Column::right(Field::Age, "age", 8), 60),
        (Column::right(Field::Idle, "idle", 8), 60),
        (Column::right(Field::Timeout, "timeout", 9), 60),
        (Column::right(Field::Bytes, "bytes tx/rx", 13), 100),
    ];
    let said = |field: Field| entries.iter().any(|entry| number(entry, field).is_some());
    let numbers = numbers.into_iter().filter(|(column, from)| width >= *from && said(column.id));
    std::iter::once(ends).chain(numbers.map(|(column, _)| column)).collect()
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
            let entries = drill.entries();
            let columns = columns(canvas.width(), &entries);
            let taken: u16 = columns.iter().map(Column::taken).sum();
            list(app, drill, &entries, columns, canvas);
            let title = title(samples, entries.len(), drill.hunts);
            canvas.put_fit(
                1,
                0,
                canvas.width().saturating_sub(taken + 2),
                &title,
                app.settings.glyphs().ellipsis,
                head,
            );
            if entries.is_empty() {
                canvas.put(3, 1, "none is left: they closed since the snapshot", styles.dim);
            }
        }
    }
}

/// How many entries are listed, and from which tables. They are entries, not connections: a connection between two nodes is
/// in the tables of both.
fn title(samples: &Samples, listed: usize, oldest: bool) -> String {
    let matched: u64 = samples.tables.iter().map(|table| table.matched).sum();
    let nodes: Vec<_> = samples.tables.iter().map(|table| table.node.as_str()).collect();
    let missed: Vec<_> = samples.missed.iter().map(|missed| missed.node.as_str()).collect();
    let without = if missed.is_empty() { String::new() } else { format!(", WITHOUT {}", missed.join(", ")) };
    let order = if oldest { ", oldest first" } else { "" };
    format!("table entries ({listed} of {} on {}{without}{order})", format::count(matched), nodes.join(", "))
}

fn list(app: &App, drill: &Drill, entries: &[&Connection], columns: Vec<Column<Field>>, canvas: &mut Canvas<'_>) {
    let focused = drill.pane >= drill.panes.len();
    let cursor = drill.cursors[drill.panes.len()];
    let table = Table::new(app.settings.styles(), columns, cursor.offset..entries.len(), |at, slots| {
        let selected = focused && cursor.key.is_some_and(|key| key.0 == at as u128);
        let cells = slots.iter().map(|slot| cell(app, entries[at], slot.id(), slot.width));
        Row::new(cells).sign(if selected { ">" } else { "" }).selected(selected)
    });
    table.padding(1, 1).draw(canvas);
}

fn cell(app: &App, connection: &Connection, field: Field, cells: u16) -> Span<'static> {
    let styles = app.settings.styles();
    match field {
        Field::Ends => name(app, &tuple(connection), cells, styles.text),
        number_of => number(connection, number_of).map_or_else(|| dash(app), |text| Span::styled(text, styles.text)),
    }
}

/// What a column of numbers says of a connection; `None` if the table does not know.
fn number(connection: &Connection, field: Field) -> Option<String> {
    let seconds = |seconds: Option<u64>| seconds.map(|s| format::age(Duration::from_secs(s)));
    match field {
        Field::Ends => None,
        Field::Age => seconds(connection.age_seconds),
        Field::Idle => seconds(connection.idle_seconds.map(u64::from)),
        Field::Timeout => seconds(connection.timeout_seconds.map(u64::from)),
        Field::Bytes => {
            let (sent, received) = connection.bytes_sent.zip(connection.bytes_received)?;
            Some(format!("{}/{}", format::bytes(sent), format::bytes(received)))
        }
    }
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
