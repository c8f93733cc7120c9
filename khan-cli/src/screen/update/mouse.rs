//! Clicks: on views, on heads, on rows.

use std::time::Instant;

use crate::model::Sort;
use crate::screen::keys::Action;
use crate::screen::layout::drill::{Line, line_at};
use crate::screen::layout::tabs::tab_at;
use crate::screen::msg::Effect;
use crate::screen::state::App;

use super::actions::{perform, sort_by};

/// A click chooses a view, sorts by a column, or puts the cursor on a row; on the row under the cursor it opens it.
pub(super) fn click(app: &mut App, x: u16, y: u16, now: Instant) -> Vec<Effect> {
    if app.overlays.current().is_some() || app.prompts.current().is_some() {
        return Vec::new();
    }
    let alarming = app.answers.problems().alarming();
    if let Some(tab) = tab_at(app.size().0, app.lists.tab(), alarming, (x, y)) {
        return perform(app, Action::View(tab), now);
    }
    if app.drills.is_empty() { in_list(app, x, y, now) } else { in_details(app, y, now) }
}

fn in_list(app: &mut App, x: u16, y: u16, now: Instant) -> Vec<Effect> {
    let body = app.areas().body;
    if !(body.y..body.bottom()).contains(&y) {
        return Vec::new();
    }
    let Some(line) = y.checked_sub(body.y + 1) else {
        sort(app, x);
        return Vec::new();
    };
    let at = app.lists.cursor().offset + usize::from(line);
    let (keys, height) = (app.answers.keys(), app.body_height());
    match keys.get(at) {
        Some(key) if app.lists.cursor().key == Some(*key) => return perform(app, Action::Open, now),
        Some(_) => {
            app.lists.put(at, &keys, height);
            app.touch();
        }
        None => {}
    }
    Vec::new()
}

/// Sorts by the column whose head is at `x`, the other way round if the list is sorted by it already.
fn sort(app: &mut App, x: u16) {
    let Some(by) = app.order_at(x) else { return };
    let now = app.lists.list().sort;
    sort_by(app, Sort { by, reverse: now.by == by && !now.reverse });
}

fn in_details(app: &mut App, y: u16, now: Instant) -> Vec<Effect> {
    let screen = app.size().1;
    let Some(drill) = app.drills.last() else { return Vec::new() };
    let (pane, line) = match line_at(screen, drill.contents(), y) {
        Some(Line::List(Some(line))) => (drill.listed(), line),
        Some(Line::Sample(Some(line))) => (drill.panes.len(), line),
        Some(Line::List(None) | Line::Sample(None)) | None => return Vec::new(),
    };
    // A list without the cursor is drawn from its beginning.
    let offset = if pane < drill.panes.len() && pane != drill.pane { 0 } else { drill.cursors[pane].offset };
    let cursor = drill.cursors[pane];
    if pane == drill.pane && cursor.key.is_some() && cursor.at == offset + line {
        return perform(app, Action::Open, now);
    }
    app.drills.put(pane, offset + line, screen);
    app.touch();
    Vec::new()
}
