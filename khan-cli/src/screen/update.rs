//! The only place where the state changes: a message in, effects out.

mod filter;
mod line;
mod copy;
mod export;
mod save;
mod actions;
mod command;
mod typing;
mod mouse;

use std::time::Instant;

use crate::feed::News;

use super::keys::{Action, Context, Key};
use super::msg::{Effect, Exit, Msg};
use super::state::App;

use actions::perform;
use mouse::click;

/// Takes one message. The state is dirty afterwards when the screen must change.
pub fn update(app: &mut App, msg: Msg, now: Instant) -> Vec<Effect> {
    let effects = take(app, msg, now);
    app.look_beside();
    effects
}

fn take(app: &mut App, msg: Msg, now: Instant) -> Vec<Effect> {
    // Keys come one by one, however fast they are typed. Whatever else comes may look at the answers, and drawing does.
    if !matches!(msg, Msg::Key(_)) || app.prompts.current().is_none() {
        app.catch_up();
    }
    match msg {
        Msg::Key(key) => return press(app, key, now),
        Msg::Paste(text) => typing::paste(app, &text),
        Msg::Wheel(lines) => return perform(app, if lines > 0 { Action::Down } else { Action::Up }, now),
        Msg::Click(x, y) => return click(app, x, y, now),
        Msg::Resize(width, height) => {
            if app.resize((width, height)) {
                app.settle();
            }
        }
        Msg::Connected(contexts, labels) => {
            app.data.connect(contexts);
            app.prepare();
            app.question.connect(labels);
            app.lists.forget_rows();
            app.drills.close_all();
            app.overlays.close();
            app.overlays.hush();
            app.refresh(true);
        }
        Msg::Kept(settings) => {
            return settings.into_iter().flat_map(|setting| actions::set(app, setting)).collect();
        }
        Msg::View(view) => {
            if app.data.take_view(view) {
                app.refresh(true);
            }
        }
        Msg::News(news) => {
            app.touch();
            if let News::Note(text) = &news {
                app.say(now, text.as_str());
            }
            if app.data.take_news(news) {
                app.refresh(true);
            }
        }
        Msg::SourceGone => {
            app.data.lose_source();
            app.touch();
        }
        Msg::Sample(asked, answer) => {
            if app.drills.answer(asked, answer) {
                app.settle();
            }
        }
        Msg::Written(_, Ok(path)) => app.say(now, format!("written: {}", path.display())),
        Msg::Written(name, Err(reason)) => export::not_written(app, &name, reason, now),
        Msg::Saved(saved, Ok(path)) => {
            app.say(now, format!("saved: :view {} shows it ({})", saved.name, path.display()));
            app.settings.save(*saved);
        }
        Msg::Saved(saved, Err(reason)) => app.say(now, format!("{} is not saved: {reason}", saved.name)),
        Msg::Tick(clock) => {
            // The header shows ages, so every second counts.
            app.data.tick(clock);
            app.overlays.tick(now);
            app.touch();
        }
        Msg::Background(theme) => {
            app.settings.wear(theme.unwrap_or(app.settings.theme()));
            app.touch();
        }
        Msg::Due => {
            let reach = app.reach();
            if app.data.play_on(now, reach) {
                app.refresh(true);
            }
        }
        Msg::Drawn => app.drawn(),
        Msg::Lost => app.touch(),
    }
    Vec::new()
}

fn press(app: &mut App, key: Key, now: Instant) -> Vec<Effect> {
    let keymap = app.settings.keymap();
    let past = keymap.find(Context::Past, key).filter(|_| app.looks_back() && app.prompts.current().is_none());
    let bound = past.or_else(|| keymap.find(app.context(), key));
    match bound {
        Some(Action::Interrupt) => return vec![Effect::Quit(Exit::Interrupt)],
        Some(Action::Suspend) => return vec![Effect::Suspend],
        _ => {}
    }
    app.touch();
    if app.prompts.current().is_some() {
        return typing::press(app, key, now);
    }
    app.overlays.hush();
    bound.map_or_else(Vec::new, |action| perform(app, action, now))
}
