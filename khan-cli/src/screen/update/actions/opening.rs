//! Into a row, back out of it, and on to the next.

use std::time::Instant;

use crate::model::RowKey;
use crate::screen::items::What;
use crate::screen::msg::Effect;
use crate::screen::reader;
use crate::screen::state::App;
use crate::screen::tab::Tab;
use crate::screen::update::filter::set_filter;

use super::menus::choose;
use super::motion::search;

/// Enter: the row under the cursor, else the first one.
pub(super) fn open(app: &mut App, now: Instant) -> Vec<Effect> {
    if app.overlays.menu().is_some() {
        return choose(app, true, now);
    }
    let opened = if let Some(drill) = app.drills.last() {
        drill.current().map(|row| (drill.pane_query(drill.pane), row.clone()))
    } else {
        let Some(item) = app.current_or_first().copied() else { return Vec::new() };
        match item.what {
            What::Other | What::More(_) => {
                app.say(now, "rows beyond the limit: filter, or list more with :limit 1000 (0 for all)");
                None
            }
            What::Agent(at) => {
                if let Some(node) = app.data.view().nodes.get(at) {
                    app.overlays.read(reader::agent(node, app.data.clock(), app.settings.zone()));
                }
                None
            }
            What::Problem(_) => {
                if let Some(problem) = app.answers.problem(&item) {
                    app.overlays.read(reader::problem(problem, app.data.moment(), app.settings.zone()));
                }
                None
            }
            _ => app.subject(&item).map(|(query, row)| (query, row.clone())),
        }
    };
    let Some((query, row)) = opened else { return Vec::new() };
    let suspected = app.lists.tab() == Tab::Leaks;
    let (number, request) = app.drills.open(&query, &row, &mut app.data, suspected);
    app.settle();
    if app.data.is_past() && !app.data.is_replay() {
        let reason = "the screen shows the past, and single connections are read now: L follows live again".to_owned();
        app.drills.answer(number, Err(reason));
        return Vec::new();
    }
    vec![Effect::Sample(number, request)]
}

/// Closes what is on top; then clears the filter; then takes the cursor away.
pub(super) fn back(app: &mut App) -> Vec<Effect> {
    if app.overlays.close() {
        return Vec::new();
    }
    if let Some(waiting) = app.drills.close() {
        return if waiting { vec![Effect::Cancel] } else { Vec::new() };
    }
    if !app.question.filter_text().is_empty() {
        // An empty one can be read.
        let _ = set_filter(app, "");
    } else if app.lists.cursor().key.is_some() {
        app.lists.release();
    }
    Vec::new()
}

/// In details: the next row of the list behind. In a text: the next match.
pub(super) fn next(app: &mut App) -> Vec<Effect> {
    if let Some(reader) = app.overlays.reader() {
        let text = reader.search.clone();
        search(app, &text);
        return Vec::new();
    }
    let Some(drill) = app.drills.first() else { return Vec::new() };
    let items = app.answers.items();
    let opens = |what: What| matches!(what, What::Row(_) | What::Node(_) | What::Leak(_));
    let rows: Vec<RowKey> = items.iter().filter(|item| opens(item.what)).map(|item| item.key).collect();
    let model_key = |key: RowKey| items.iter().find(|i| i.key == key).and_then(|i| app.row(i)).map(|row| row.key);
    let at = rows.iter().position(|key| model_key(*key) == Some(drill.from)).map_or(0, |at| at + 1);
    let Some(key) = rows.get(at).or(rows.first()).copied() else { return Vec::new() };
    let (keys, height) = (app.answers.keys(), app.body_height());
    if let Some(place) = keys.iter().position(|k| *k == key) {
        app.lists.put(place, &keys, height);
    }
    app.drills.close_all();
    open(app, Instant::now())
}
