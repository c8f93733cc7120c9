//! What can be taken away from the screen: a row on the clipboard, the list in a file.

use std::fmt::Write as _;
use std::time::Instant;

use khan_api::text::printable_lines;

use crate::model::{NodeStatus, Projection, Row};
use crate::output::{self, Format, Layout};
use crate::report::{Report, connections, leaks, nodes};

use crate::screen::items::{Item, What};
use crate::screen::msg::Effect;
use crate::screen::reader::{Line, Text};
use crate::screen::state::App;
use crate::screen::state::drill::{Drill, Sample, title};
use crate::screen::tab::Tab;
use crate::screen::{format, text};

/// Puts the text that is open, or the row under the cursor, on the clipboard.
pub(super) fn copy(app: &mut App, now: Instant) -> Vec<Effect> {
    let copied = match (app.overlays.reader(), app.drills.last()) {
        (Some(reader), _) => match &reader.text {
            Text::Lines(_, lines) => lines.join("\n"),
            _ => app.lines(reader).iter().map(Line::text).collect::<Vec<_>>().join("\n"),
        },
        (None, Some(drill)) => opened(drill),
        (None, None) => match app.current_or_first().and_then(|item| listed(app, item)) {
            Some(copied) => copied,
            None => return Vec::new(),
        },
    };
    app.say(now, format!("copied: {}", text::fit(&copied.replace('\n', " "), 48, "..")));
    // It is pasted into shells.
    vec![Effect::Copy(printable_lines(&copied).into_owned())]
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

/// Writes what is shown into a file, as the commands print it.
pub(super) fn export(app: &App, form: &'static str) -> Vec<Effect> {
    let format = match form {
        "csv" => Format::Csv,
        "json" => Format::Json,
        _ => Format::Markdown,
    };
    let mut text = Vec::new();
    // Writing into memory does not fail, and reports are UTF-8.
    let written = output::write(&report(app), &Layout { format, ..Layout::default() }, &mut text);
    match written.map(|()| String::from_utf8(text)) {
        Ok(Ok(text)) => vec![Effect::Write(form, text)],
        _ => Vec::new(),
    }
}

/// What is shown as a report: the list of the innermost opened row, else the view's.
fn report(app: &App) -> Report {
    let view = app.data.view();
    if let Some(drill) = app.drills.last() {
        let pane = drill.pane.min(drill.panes.len().saturating_sub(1));
        return match drill.panes.get(pane) {
            Some((_, rows)) => connections::report(view, &drill.pane_query(pane), rows),
            None => connections::report(view, &drill.query, &drill.whole),
        };
    }
    let (question, answers) = (&app.question, &app.answers);
    match app.lists.tab() {
        Tab::Leaks => leaks::report(answers.report(), &question.leak_query(), question.rule(), view.gaps()),
        Tab::Agents => nodes::report(view, app.data.clock()),
        Tab::Nodes => connections::report(view, &app.query(), answers.projection()),
        _ => {
            let row = |item: &Item| if let What::Child(..) = item.what { None } else { app.row(item).cloned() };
            let rows = answers.items().iter().filter_map(row).collect();
            connections::report(view, &app.query(), &Projection { rows, ..answers.projection().clone() })
        }
    }
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
