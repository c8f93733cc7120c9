//! What can be taken away from the screen on the clipboard.

use std::fmt::Write as _;
use std::time::Instant;

use khan_api::text::printable_lines;

use crate::model::{NodeStatus, Row};

use crate::screen::items::{Item, What};
use crate::screen::msg::Effect;
use crate::screen::reader::{Line, Text, problem};
use crate::screen::state::App;
use crate::screen::state::drill::{Drill, Sample, title};
use crate::screen::{format, text};

/// Puts the text that is open, or the row under the cursor, on the clipboard.
pub(super) fn copy(app: &mut App, now: Instant) -> Vec<Effect> {
    let copied = match (app.overlays.reader(), app.drills.last()) {
        (Some(reader), _) => match &reader.text {
            Text::Lines(_, lines) | Text::Problem(_, lines, _) => lines.join("\n"),
            _ => app.lines(reader).iter().map(Line::text).collect::<Vec<_>>().join("\n"),
        },
        (None, Some(drill)) => opened(drill),
        (None, None) => match app.current_or_first().and_then(|item| listed(app, item)) {
            Some(copied) => copied,
            None => return Vec::new(),
        },
    };
    put(app, &copied, now)
}

/// Puts the first of the commands that lead on from a problem on the clipboard.
pub(super) fn copy_next(app: &mut App, now: Instant) -> Vec<Effect> {
    let next = match app.overlays.reader() {
        Some(reader) => reader.text.next().first(),
        None => app.current_or_first().and_then(|item| app.answers.problem(item)?.next.first()),
    };
    let Some(next) = next.cloned() else {
        app.say(now, "no command leads on from here");
        return Vec::new();
    };
    put(app, &next, now)
}

fn put(app: &mut App, copied: &str, now: Instant) -> Vec<Effect> {
    app.say(now, format!("copied: {}", text::fit(&copied.replace('\n', " "), 48, "..")));
    // It is pasted into shells.
    vec![Effect::Copy(printable_lines(copied).into_owned())]
}

/// What the cursor of an opened row is on, else its title.
fn opened(drill: &Drill) -> String {
    match (drill.current(), &drill.sample) {
        (Some(row), _) => line(row),
        (None, Sample::Ready(_)) if drill.pane == drill.panes.len() => {
            let at = drill.cursors[drill.pane].key.map_or(0, |key| usize::try_from(key.0).unwrap_or(0));
            drill.entries().get(at).map_or_else(
                || drill.title.clone(),
                |c| format!("{} {} {}:{} -> {}:{}", c.protocol, c.state, c.src, c.src_port, c.dst, c.dst_port),
            )
        }
        _ => drill.title.clone(),
    }
}

fn listed(app: &App, item: &Item) -> Option<String> {
    match (item.what, app.row(item)) {
        (_, Some(row)) => Some(line(row)),
        (What::Agent(at) | What::Node(at), None) => Some(agent(&app.data.view().nodes[at])),
        (What::Problem(_), None) => match problem(app.answers.problem(item)?, app.data.moment(), app.settings.zone()) {
            Text::Problem(_, lines, _) => Some(lines.join("\n")),
            _ => None,
        },
        (What::Unknown(at), None) => app.answers.unknown().get(at).cloned(),
        (What::Reason(_, reason), None) => app.leak(item).map(|leak| leak.reasons[reason].clone()),
        _ => None,
    }
}

fn agent(node: &NodeStatus) -> String {
    let trouble = node.trouble().map_or(String::new(), |(reason, _)| format!("  {reason}"));
    format!("{}  {}  {}{trouble}", node.node, node.agent, node.state.as_str())
}

fn line(row: &Row) -> String {
    let mut line = format!("{}  {} connections", title(row), format::count(row.sum.connections));
    if let Some(change) = row.change {
        let _ = write!(line, "  {} in {}", format::signed(change.delta), format::age(change.over));
    }
    for flag in row.flags() {
        let _ = write!(line, "  {}", flag.as_str());
    }
    line
}

/// The row to go on with elsewhere: the opened one, or the one under the cursor, or the first.
pub(super) fn subject(app: &App) -> Option<&Row> {
    match app.drills.last() {
        Some(drill) => drill.current().or_else(|| {
            let outer = app.answers.items().iter().filter_map(|item| app.row(item));
            outer.into_iter().find(|row| row.key == drill.from)
        }),
        None => app.current_or_first().and_then(|item| app.row(item)),
    }
}
