//! Why there is nothing to list, and what to do next.

use ratatui::text::Line;

use crate::model::{NodeState, own};
use crate::screen::state::App;
use crate::screen::tab::Tab;
use crate::screen::text::{self, cells};
use crate::screen::widgets::canvas::Canvas;

/// Draws the message and returns true, or returns false if there is something to list.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) -> bool {
    let Some(lines) = message(app) else { return false };
    let width = canvas.width().saturating_sub(4).clamp(1, 76);
    // Wrapped here: ratatui does not indent continuation lines, and does not say how many lines there will be.
    let lines: Vec<_> = lines.iter().flat_map(|line| text::wrap(line, width.into())).collect();
    let widest = lines.iter().map(|line| cells(line)).max().unwrap_or(0);
    let height = u16::try_from(lines.len()).unwrap_or(0);
    let (x, y) = (canvas.width().saturating_sub(widest) / 2, canvas.height().saturating_sub(height) / 2);
    let styles = app.settings.styles();
    let style = |i| if i == 0 { styles.strong } else { styles.text };
    let lines = lines.into_iter().enumerate().map(|(i, line)| Line::styled(line, style(i)));
    canvas.part(x, y, widest, height).lines(lines);
    true
}

fn message(app: &App) -> Option<Vec<String>> {
    let view = app.data.view();
    let said = |lines: &[&str]| Some(lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());
    if app.lists.tab() == Tab::Agents {
        return view.nodes.is_empty().then(|| absent(app));
    }
    if app.lists.tab() == Tab::Problems && !view.nodes.is_empty() {
        if !app.answers.problems().list.is_empty() {
            return None;
        }
        let mut lines = vec!["No problems found.".to_owned(), String::new()];
        lines.extend(app.answers.unknown().iter().cloned());
        return Some(lines);
    }
    if app.lists.tab() == Tab::Leaks {
        if !app.answers.report().leaks.is_empty() {
            return None;
        }
        let samples = app.answers.report().samples;
        let mut lines = vec!["Nothing keeps growing.".to_owned(), String::new()];
        if samples < app.question.rule().samples {
            lines[0] = format!("{samples} of {} snapshots that a judgement needs.", app.question.rule().samples);
            lines.push("A new one is compared each time the agents scan; leave this running.".into());
        } else {
            lines.push(format!("{samples} snapshots compared; w changes the window, t the threshold."));
        }
        return Some(lines);
    }
    if !app.answers.items().is_empty() {
        return None;
    }
    if view.nodes.is_empty() {
        return Some(absent(app));
    }
    let waiting = view.count(NodeState::Waiting);
    if view.connections() == 0 && waiting > 0 {
        let answered = view.nodes.len() - waiting;
        return Some(vec![format!("Connecting: {answered} of {} agents answered ...", view.nodes.len())]);
    }
    if view.counted_nodes() == 0 && view.count(NodeState::Failed) > 0 {
        let mut lines = vec![format!("None of {} agents can be read.", view.nodes.len()), String::new()];
        let mut reasons: Vec<_> = view.nodes.iter().filter_map(|node| Some(&node.failure.as_ref()?.reason)).collect();
        reasons.dedup();
        lines.extend(reasons.into_iter().take(3).cloned());
        lines.push(String::new());
        lines.push("They are tried again by themselves; Ctrl-r tries now, 7 shows each, E the log.".into());
        return Some(lines);
    }
    let own = own::left_out(app.answers.projection().own);
    if !app.question.filter_text().is_empty() {
        let sign = if app.question.base().inverted { "! " } else { "" };
        let mut lines = vec![format!("No connection matches {sign}{}", app.question.filter_text()), String::new()];
        lines.extend(own);
        lines.push("Esc clears the filter.".into());
        return Some(lines);
    }
    if !app.question.base().namespaces.is_empty() {
        return Some(vec![
            format!("No connections in namespace {}.", app.question.base().namespaces.join(", ")),
            String::new(),
            ":ns * shows all namespaces.".into(),
        ]);
    }
    if app.lists.tab() == Tab::External {
        return said(&["No connection has an end outside the cluster.", "", "Tab shows the other direction."]);
    }
    let mut lines = vec!["No connections.".to_owned(), String::new()];
    match (&view.notes[..], own) {
        (notes, Some(own)) => lines.extend(notes.iter().cloned().chain([own])),
        ([], None) => lines.push("The table holds no TCP, UDP or SCTP entry.".into()),
        (notes, None) => lines.extend(notes.iter().cloned()),
    }
    Some(lines)
}

/// The message while no node is known: none was found, or none has answered yet.
fn absent(app: &App) -> Vec<String> {
    if let Some(entry) = app.data.errors().lasting().next() {
        return vec![
            entry.message.clone(),
            String::new(),
            "It is tried again by itself; Ctrl-r tries now, E shows the log, q quits.".into(),
        ];
    }
    let view = app.data.view();
    let lines = if view.settled { view.source.kind.profile().nothing } else { &["Connecting ...", "", "q quits."] };
    lines.iter().map(|line| (*line).to_owned()).collect()
}
