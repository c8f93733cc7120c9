//! The bottom of the screen: the worst trouble or the line being typed, and the keys that work here.

use ratatui::style::Style;

use crate::model::NodeState;
use crate::screen::format;
use crate::screen::keys::{Action, Context, footer};
use crate::screen::layout::Areas;
use crate::screen::state::App;
use crate::screen::state::drill::Sample;
use crate::screen::tab::Tab;
use crate::screen::text::cells;
use crate::screen::widgets::canvas::Canvas;

use super::{prompt, timeline};

/// Draws the status on a rule, or the line being typed, and the hints.
pub(super) fn draw(app: &App, areas: &Areas, canvas: &mut Canvas<'_>) {
    let last = canvas.height().saturating_sub(1);
    if canvas.height() == 0 {
        return;
    }
    if last > 0 && !prompt::line(app, canvas, last - 1) {
        canvas.rule(last - 1, app.settings.glyphs().rule, app.settings.styles().dim);
        status(app, areas, canvas, last - 1);
    }
    hints(app, canvas, last);
}

/// Writes the status on the rule at `y`: a notice, else the worst trouble, else a note; and at the right where the list is.
fn status(app: &App, areas: &Areas, canvas: &mut Canvas<'_>, y: u16) {
    let styles = app.settings.styles();
    let place = place(app);
    let end = canvas.width().saturating_sub(1);
    let end = if place.is_empty() {
        end
    } else {
        canvas.put_right(end, y, &format!(" {place} "), styles.dim).saturating_sub(1)
    };
    if let Some(notice) = app.overlays.notice() {
        on_rule(app, canvas, y, end, "", (notice, styles.accent), "");
        return;
    }
    if timeline::draw(app, canvas, y, end) {
        return;
    }
    let Some(trouble) = trouble(app, areas.compact) else {
        if let Some(note) = app.data.view().notes.first() {
            on_rule(app, canvas, y, end, "", (note, styles.dim), "");
        }
        return;
    };
    let errors = app.data.errors().lasting().count();
    let more = if errors > 0 && !areas.compact { format!("   E errors({errors})") } else { String::new() };
    on_rule(app, canvas, y, end, "! ", (&trouble, styles.warn), &more);
}

/// Writes words at the left of a rule, with a blank on both sides, and cuts those in the middle where there is no room.
fn on_rule(app: &App, canvas: &mut Canvas<'_>, y: u16, end: u16, sign: &str, words: (&str, Style), more: &str) {
    let styles = app.settings.styles();
    let x = canvas.put(0, y, " ", styles.text);
    let x = canvas.put(x, y, sign, styles.bad);
    let room = end.saturating_sub(x + cells(more) + 1);
    let x = canvas.put_fit(x, y, room, words.0, app.settings.glyphs().ellipsis, words.1);
    let x = canvas.put(x, y, more, styles.text);
    canvas.put(x, y, " ", styles.text);
}

/// The most important trouble: the source's own, or else the node that has been away longest.
fn trouble(app: &App, short: bool) -> Option<String> {
    if let Some(key) = app.login() {
        return Some(format!("credentials expired: press {key} to log in again"));
    }
    if let Some(entry) = app.data.errors().lasting().find(|entry| entry.node.is_empty()) {
        return Some(entry.message.clone());
    }
    let away = |node: &&crate::model::NodeStatus| matches!(node.state, NodeState::Failed | NodeState::Stale);
    let worst = app
        .data
        .view()
        .nodes
        .iter()
        .filter(away)
        .max_by_key(|node| (node.state == NodeState::Failed, node.age(app.data.clock())))?;
    let name = if worst.node.is_empty() { &worst.agent } else { &worst.node };
    let reason = match worst.trouble() {
        Some((reason, tries)) if short || tries < 2 => reason.to_owned(),
        Some((reason, tries)) => format!("{reason} ({tries} tries)"),
        None => "its snapshot is old".to_owned(),
    };
    let age = worst.age(app.data.clock()).filter(|_| worst.counted).map(format::age);
    let data = match (age, short) {
        (Some(age), true) => format!(", data {age} old"),
        (Some(age), false) => format!(", showing data {age} old"),
        (None, _) => String::new(),
    };
    Some(format!("{name}: {reason}{data}"))
}

/// `row 2/200`, or what an opened row is waiting for.
fn place(app: &App) -> String {
    if let Some(drill) = app.drills.last() {
        if let Sample::Asked = drill.sample {
            return "asking for connections, Esc cancels".into();
        }
        return String::new();
    }
    let rows = app.answers.items().len();
    match app.lists.list().cursor.key {
        Some(_) => format!("row {}/{rows}", app.lists.list().cursor.at + 1),
        None if app.lists.list().cursor.offset > 0 => format!("from row {}/{rows}", app.lists.list().cursor.offset + 1),
        None => String::new(),
    }
}

/// The keys of some actions, and the hint of the first of them that has a key.
fn keys(app: &App, context: Context, actions: &[Action]) -> Option<(String, &'static str)> {
    let found: Vec<_> = actions.iter().filter_map(|action| app.settings.keymap().first(context, *action)).collect();
    let (_, hint) = *found.first()?;
    Some((found.iter().map(|(key, _)| key.to_string()).collect::<Vec<_>>().join(" "), hint))
}

/// Draws hints in order, leaving out the least important ones that do not fit; help and quit are always at the right.
pub(super) fn hints(app: &App, canvas: &mut Canvas<'_>, y: u16) {
    if prompt::below(app, canvas, y) {
        return;
    }
    let context = if app.looks_back() && app.drills.is_empty() { Context::Past } else { app.context() };
    let styles = app.settings.styles();
    let fixed: Vec<_> =
        [Action::Help, Action::Quit].iter().filter_map(|action| keys(app, app.context(), &[*action])).collect();
    let wide = |(keys, hint): &(String, &str)| cells(keys) + 1 + cells(hint);
    let needed: u16 = fixed.iter().map(|hint| wide(hint) + 2).sum();
    let mut end = canvas.width().saturating_sub(1);
    for (keys, hint) in fixed.iter().rev() {
        end = canvas.put_right(end, y, hint, styles.text).saturating_sub(1);
        end = canvas.put_right(end, y, keys, styles.accent).saturating_sub(2);
    }
    let room = canvas.width().saturating_sub(needed + 1);
    let idle = |actions: &[Action]| match (context, actions[0]) {
        (Context::Table, Action::NextGroup) => app.lists.tab().groupings().len() < 2,
        (Context::Table, Action::SortLeft | Action::Reverse | Action::Pin | Action::Baseline) => {
            app.lists.tab() == Tab::Agents
        }
        (Context::Reader, Action::CopyNext) => app.overlays.reader().is_none_or(|reader| reader.text.next().is_empty()),
        _ => false,
    };
    let mut shown: Vec<_> = footer(context)
        .iter()
        .filter(|(actions, _)| !idle(actions))
        .filter_map(|(actions, rank)| Some((keys(app, context, actions)?, *rank)))
        .collect();
    while shown.iter().map(|(hint, _)| wide(hint) + 2).sum::<u16>() > room {
        let Some(last) = (0..shown.len()).max_by_key(|i| shown[*i].1) else { break };
        shown.remove(last);
    }
    let mut x = 1;
    for ((keys, hint), _) in &shown {
        x = canvas.put(x, y, keys, styles.accent) + 1;
        x = canvas.put(x, y, hint, styles.text) + 2;
    }
}
