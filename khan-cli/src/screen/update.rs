//! The only place where the state changes: a message in, effects out.

use std::sync::Arc;
use std::time::Instant;

use crate::feed::{Link, News};
use crate::model::{Filter, View};

use super::actions::perform;
use super::app::App;
use super::drill::Sample;
use super::keys::{Context, Id};
use super::msg::{Effect, Exit, Msg};
use super::overlay::Overlay;
use super::prompt::{Outcome, Purpose};
use super::state::Pause;
use super::tab::Tab;
use super::{command, input::Key};

/// Lines typed before that are remembered.
const RECENT: usize = 50;

/// Takes one message. Sets [`App::dirty`] when the screen must change.
pub fn update(app: &mut App, msg: Msg, now: Instant) -> Vec<Effect> {
    match msg {
        Msg::Key(key) => return press(app, key, now),
        Msg::Paste(text) => {
            if let Some(prompt) = &mut app.prompt {
                prompt.paste(&text);
                typed(app);
            }
        }
        Msg::Wheel(lines) => return perform(app, if lines > 0 { Id::Down } else { Id::Up }, now),
        Msg::Click(x, y) => return click(app, x, y, now),
        Msg::Resize(width, height) => {
            if app.size != (width, height) {
                app.size = (width, height);
                app.settle();
                app.settle_drill();
            }
        }
        Msg::View(view) => take(app, view),
        Msg::News(news) => hear(app, news),
        Msg::SourceGone => {
            if !app.ended {
                app.errors.begin(app.clock, "", "the source has ended; what is shown stays as it is");
            }
            app.ended = true;
            app.dirty = true;
        }
        Msg::Sample(asked, answer) => {
            if let Some(drill) = app.drills.iter_mut().find(|drill| drill.asked == asked) {
                drill.sample = match answer {
                    Ok(answers) => Sample::Ready(answers),
                    Err(reason) => Sample::Failed(reason),
                };
                app.settle_drill();
                app.dirty = true;
            }
        }
        Msg::Written(Ok(path)) => app.say(now, format!("written: {}", path.display())),
        Msg::Written(Err(reason)) => app.say(now, format!("not written: {reason}")),
        Msg::Tick(clock) => {
            // The header tells ages, so every second shows.
            app.clock = clock;
            app.dirty = true;
            if app.notice.as_ref().is_some_and(|notice| notice.until <= now) {
                app.notice = None;
            }
        }
    }
    Vec::new()
}

fn take(app: &mut App, view: Arc<View>) {
    app.clock = app.clock.max(view.assembled);
    if let Some(pause) = &mut app.paused {
        pause.history.push(Arc::clone(&view));
        pause.fill.push(&view);
        pause.view = Some(view);
        return;
    }
    app.history.push(Arc::clone(&view));
    app.fill.push(&view);
    app.shown = view;
    app.refresh(true);
}

/// Freezes the screen. The history goes on behind it.
pub(super) fn pause(app: &mut App) {
    let (history, fill) = (app.history.clone(), app.fill.clone());
    app.paused = Some(Box::new(Pause { since: app.clock, view: None, history, fill }));
}

/// Goes on after a pause with everything that came meanwhile.
pub(super) fn resume(app: &mut App) {
    let Some(pause) = app.paused.take() else { return };
    (app.history, app.fill) = (pause.history, pause.fill);
    if let Some(view) = pause.view {
        app.shown = view;
    }
    app.refresh(true);
}

/// Counts changes from what is shown, or from the window's start again.
pub(super) fn set_baseline(app: &mut App, baseline: Option<Arc<View>>) {
    if let Some(pause) = &mut app.paused {
        pause.history.set_baseline(baseline.clone());
    }
    app.history.set_baseline(baseline);
}

fn hear(app: &mut App, news: News) {
    app.dirty = true;
    match news {
        News::Error { at, node, message } => app.errors.begin(at, &node, &message),
        News::Recovered { at, node } => app.errors.end(at, &node),
        News::Link(link) => {
            match &link {
                Link::Retrying { reason, .. } | Link::Credentials(reason) => app.errors.begin(app.clock, "", reason),
                Link::Up => app.errors.end(app.clock, ""),
            }
            app.link = link;
        }
        News::Past(views) if views.is_empty() => {}
        News::Past(views) => {
            if let Some(pause) = &mut app.paused {
                pause.history.backfill(views.clone());
            }
            app.history.backfill(views);
            app.refresh(true);
        }
        News::End => app.ended = true,
    }
}

/// Where the next key is pressed.
pub fn context(app: &App) -> Context {
    match (&app.overlay, app.drills.last(), app.page) {
        (Some(Overlay::Reader(_)), ..) => Context::Reader,
        (Some(Overlay::Menu(_)), ..) => Context::Menu,
        (None, Some(_), _) => Context::Drill,
        (None, None, Tab::Leaks) => Context::Leaks,
        (None, None, _) => Context::Table,
    }
}

fn press(app: &mut App, key: Key, now: Instant) -> Vec<Effect> {
    let bound = app.setup.keymap.find(context(app), key);
    match bound {
        Some(Id::Interrupt) => return vec![Effect::Quit(Exit::Interrupt)],
        Some(Id::Suspend) => return vec![Effect::Suspend],
        _ => {}
    }
    if app.prompt.is_some() {
        return write(app, key, now);
    }
    app.notice = None;
    app.dirty = true;
    bound.map_or_else(Vec::new, |id| perform(app, id, now))
}

fn write(app: &mut App, key: Key, now: Instant) -> Vec<Effect> {
    let Some(mut prompt) = app.prompt.take() else { return Vec::new() };
    app.dirty = true;
    let recent = match prompt.purpose {
        Purpose::Filter => &app.recent_filters,
        Purpose::Command => &app.recent_commands,
        Purpose::Search => &Vec::new(),
    };
    if prompt.purpose == Purpose::Command && key == Key::code(ratatui::crossterm::event::KeyCode::Tab) {
        command::complete(&mut prompt);
        app.prompt = Some(prompt);
        return Vec::new();
    }
    match prompt.press(key, recent) {
        Outcome::Ignored | Outcome::Moved => app.prompt = Some(prompt),
        Outcome::Changed => {
            app.prompt = Some(prompt);
            typed(app);
        }
        Outcome::Cancelled => {
            if prompt.purpose == Purpose::Filter {
                set_filter(app, &prompt.before);
                app.held = None;
            }
            app.prompt_error = None;
        }
        Outcome::Accepted => return accept(app, prompt, now),
    }
    Vec::new()
}

fn accept(app: &mut App, prompt: super::prompt::Prompt, now: Instant) -> Vec<Effect> {
    let text = prompt.text().trim().to_owned();
    match prompt.purpose {
        Purpose::Filter => {
            set_filter(app, &text);
            if app.prompt_error.is_some() {
                app.prompt = Some(prompt);
            } else {
                app.held = None;
                remember(&mut app.recent_filters, text);
            }
        }
        Purpose::Search => super::actions::search(app, &text),
        Purpose::Command => {
            app.prompt_error = None;
            remember(&mut app.recent_commands, text.clone());
            return command::run(app, &text, now);
        }
    }
    Vec::new()
}

fn remember(recent: &mut Vec<String>, text: String) {
    if !text.is_empty() {
        recent.retain(|known| *known != text);
        recent.push(text);
        let excess = recent.len().saturating_sub(RECENT);
        recent.drain(..excess);
    }
}

/// The line changed: a filter applies at once, where it can be read.
fn typed(app: &mut App) {
    app.dirty = true;
    if let Some(prompt) = &app.prompt
        && prompt.purpose == Purpose::Filter
    {
        let text = prompt.text().to_owned();
        set_filter(app, &text);
    }
}

/// Applies a filter, or says why it cannot be read and keeps the one before.
pub(super) fn set_filter(app: &mut App, text: &str) {
    match text.parse::<Filter>() {
        Ok(filter) => {
            app.prompt_error = None;
            text.trim().clone_into(&mut app.filter_text);
            if filter != app.filter {
                if filter.is_empty() {
                    app.base.inverted = false;
                }
                app.filter = filter;
                if let Some(held) = app.held {
                    app.list_mut().cursor = held;
                }
                app.refresh(false);
            }
        }
        Err(error) => app.prompt_error = Some(error.to_string()),
    }
}

/// A click puts the cursor on a row, or chooses a view.
fn click(app: &mut App, x: u16, y: u16, now: Instant) -> Vec<Effect> {
    if app.overlay.is_some() || app.prompt.is_some() || !app.drills.is_empty() {
        return Vec::new();
    }
    let areas = super::panels::frame::layout(app.size, app);
    if let Some(page) = super::panels::header::tab_at(app, x, y) {
        return perform(app, super::actions::view_id(page), now);
    }
    let first = areas.body.y + 1;
    if y >= first && y < areas.body.bottom() {
        let at = app.list().cursor.offset + usize::from(y - first);
        let (keys, height) = (app.keys(), app.body_height());
        if at < keys.len() {
            app.list_mut().cursor.put(at, &keys, height);
            app.dirty = true;
        }
    }
    Vec::new()
}
