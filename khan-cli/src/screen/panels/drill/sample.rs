//! Single connections of an opened row.

use std::fmt::Write as _;

use khan_api::Connection;

use crate::feed::Samples;
use crate::screen::drill::{Drill, SAMPLE_LIMIT, Sample};
use crate::screen::format;
use crate::screen::state::App;
use crate::screen::text;
use crate::screen::widgets::canvas::Canvas;

pub(super) fn draw(app: &App, drill: &Drill, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let focused = drill.pane >= drill.panes.len();
    let head = if focused { styles.accent } else { styles.head };
    let end = canvas.width().saturating_sub(1);
    let answers = match &drill.sample {
        Sample::Asked => {
            canvas.put(1, 0, "sample of connections", head);
            canvas.put(3, 1, "asking the nodes that hold them ...", styles.dim);
            return;
        }
        Sample::Failed(reason) => {
            canvas.put(1, 0, "sample of connections", head);
            let room = usize::from(end).saturating_sub(4);
            for (y, line) in (1..).zip(text::wrap(reason, room)) {
                canvas.put(3, y, &line, styles.warn);
            }
            return;
        }
        Sample::Ready(samples) => samples,
    };
    let Samples { tables: answers, missed } = answers;
    let matched: u64 = answers.iter().map(|answer| answer.matched).sum();
    let nodes: Vec<_> = answers.iter().map(|answer| answer.node.as_str()).collect();
    let listed: usize = answers.iter().map(|answer| answer.connections.len()).sum();
    // A connection across nodes stands in the tables of both, so these are entries, not connections.
    let without: Vec<_> = missed.iter().map(|missed| missed.node.as_str()).collect();
    let without = if without.is_empty() { String::new() } else { format!(", WITHOUT {}", without.join(", ")) };
    let words = format!("table entries ({listed} of {} on {}{without})", format::count(matched), nodes.join(", "));
    let ellipsis = app.settings.glyphs().ellipsis;
    let room = usize::from(end).saturating_sub(if canvas.width() >= 100 { 40 } else { 20 });
    canvas.put(1, 0, &text::fit(&words, room, ellipsis), head);
    let columns = connection_columns(canvas.width());
    for (end, head, _) in &columns {
        canvas.put_right(*end, 0, head, styles.head);
    }
    let cursor = drill.cursors[drill.panes.len()];
    let height = usize::from(canvas.height()).saturating_sub(1);
    let connections = answers.iter().flat_map(|answer| &answer.connections).enumerate();
    for (y, (i, connection)) in (1..).zip(connections.skip(cursor.offset).take(height.min(SAMPLE_LIMIT * 4))) {
        let left = columns.first().map_or(end, |(end, ..)| end.saturating_sub(9));
        let room = left.saturating_sub(3);
        canvas.put_in(3, y, room, &text::fit(&tuple(connection), room.into(), ellipsis), styles.text);
        for (end, _, value) in &columns {
            canvas.put_right(*end, y, &value(connection), styles.text);
        }
        if focused && cursor.key.is_some_and(|key| key.0 == i as u128) {
            canvas.put(1, y, ">", styles.accent);
            canvas.style(0, y, canvas.width(), styles.selected);
        }
    }
    if listed == 0 && canvas.height() > 1 {
        canvas.put(3, 1, "none is left: they closed since the snapshot", styles.dim);
    }
}

type Value = fn(&Connection) -> String;

/// Ends, heads and values of the columns at the right.
fn connection_columns(width: u16) -> Vec<(u16, &'static str, Value)> {
    let end = width.saturating_sub(1);
    let age: Value = |c| seconds(c.age_seconds);
    let idle: Value = |c| seconds(c.idle_seconds.map(u64::from));
    let timeout: Value = |c| seconds(c.timeout_seconds.map(u64::from));
    let bytes: Value = |c| match (c.bytes_sent, c.bytes_received) {
        (Some(sent), Some(received)) => format!("{}/{}", format::bytes(sent), format::bytes(received)),
        _ => "-".into(),
    };
    if width >= 100 {
        vec![
            (end.saturating_sub(33), "age", age),
            (end.saturating_sub(24), "idle", idle),
            (end.saturating_sub(14), "timeout", timeout),
            (end, "bytes tx/rx", bytes),
        ]
    } else if width >= 60 {
        vec![(end.saturating_sub(9), "idle", idle), (end, "timeout", timeout)]
    } else {
        Vec::new()
    }
}

fn seconds(seconds: Option<u64>) -> String {
    seconds.map_or("-".to_owned(), |s| format::age(std::time::Duration::from_secs(s)))
}

/// Both ends; who really answers, where it is not who was dialled; where answers go, where that is not the client.
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
