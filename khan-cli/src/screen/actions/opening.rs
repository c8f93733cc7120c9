//! Into a row, back out of it, and on to the next.

use std::sync::Arc;
use std::time::Instant;

use crate::model::{Query, Row, RowKey};
use crate::screen::app::App;
use crate::screen::drill::{Drill, Sample};
use crate::screen::msg::Effect;
use crate::screen::overlay::Overlay;
use crate::screen::reader;
use crate::screen::tab::Tab;
use crate::screen::table::{Item, What};
use crate::screen::update::set_filter;

use super::menus::choose;
use super::motion::search;
use super::read;

/// A line's row, and the question that it is an answer to.
fn subject(app: &App, item: &Item) -> Option<(Query, Row)> {
    let row = app.row(item).or(app.leak(item).map(|leak| &leak.row))?;
    let query = match item.what {
        What::Child(parent, _) => app.parts_of(app.projection.row(app.children.get(parent)?.0)?),
        What::Leak(_) | What::Reason(..) => app.leak_query(),
        _ => app.query(),
    };
    Some((query, row.clone()))
}

/// Enter: the row under the cursor, else the first one.
pub(super) fn open(app: &mut App, now: Instant) -> Vec<Effect> {
    if matches!(app.overlay, Some(Overlay::Menu(_))) {
        return choose(app, true);
    }
    let opened = if let Some(drill) = app.drills.last() {
        drill.current().map(|row| (drill.pane_query(drill.pane), row.clone()))
    } else {
        let Some(item) = app.current().or(app.items.first()).copied() else { return Vec::new() };
        match item.what {
            What::Other | What::More(_) => {
                app.say(now, "rows beyond the limit: filter, or list more with :limit 1000 (0 for all)");
                None
            }
            What::Agent(at) => {
                read(app, reader::agent(app, at));
                None
            }
            _ => subject(app, &item),
        }
    };
    let Some((query, row)) = opened else { return Vec::new() };
    app.asked += 1;
    let mut drill = Drill::open(&query, &row, &app.shown, app.asked);
    if let Some(outer) = app.drills.last() {
        drill.title = format!("{} > {}", outer.title, drill.title);
    }
    let shown = Arc::clone(&app.shown);
    drill.refresh(&shown, &mut app.history);
    let request = drill.request(&shown);
    app.drills.push(drill);
    app.settle_drill();
    vec![Effect::Sample(app.asked, request)]
}

pub(super) fn back(app: &mut App) -> Vec<Effect> {
    if app.overlay.take().is_some() {
        return Vec::new();
    }
    if let Some(closed) = app.drills.pop() {
        return if matches!(closed.sample, Sample::Asked) { vec![Effect::Cancel] } else { Vec::new() };
    }
    if !app.filter_text.is_empty() {
        set_filter(app, "");
    } else if app.list().cursor.key.is_some() {
        app.list_mut().cursor.release();
    }
    Vec::new()
}

/// In details: the next row of the list behind. In a text: the next match.
pub(super) fn next(app: &mut App) -> Vec<Effect> {
    if let Some(Overlay::Reader(reader)) = &app.overlay {
        let text = reader.search.clone();
        search(app, &text);
        return Vec::new();
    }
    let Some(drill) = app.drills.first() else { return Vec::new() };
    let opens = |what: What| matches!(what, What::Row(_) | What::Node(_) | What::Leak(_));
    let rows: Vec<RowKey> = app.items.iter().filter(|item| opens(item.what)).map(|item| item.key).collect();
    let model_key = |key: RowKey| app.items.iter().find(|i| i.key == key).and_then(|i| app.row(i)).map(|row| row.key);
    let at = rows.iter().position(|key| model_key(*key) == Some(drill.from)).map_or(0, |at| at + 1);
    let Some(key) = rows.get(at).or(rows.first()).copied() else { return Vec::new() };
    let (keys, height) = (app.keys(), app.body_height());
    if let Some(place) = keys.iter().position(|k| *k == key) {
        app.list_mut().cursor.put(place, &keys, height);
    }
    app.drills.clear();
    open(app, Instant::now())
}

pub(super) fn turn_to(app: &mut App, page: Tab) -> Vec<Effect> {
    let left = app.drills.iter().any(|drill| matches!(drill.sample, Sample::Asked));
    app.drills.clear();
    if app.page != page {
        app.page = page;
        app.refresh(false);
    }
    if left { vec![Effect::Cancel] } else { Vec::new() }
}
