//! Lines being typed: a filter, a command, a search.

use std::time::Instant;

use ratatui::crossterm::event::KeyCode;

use crate::screen::keys::Key;
use crate::screen::msg::Effect;
use crate::screen::prompt::{Outcome, Prompt, Purpose};
use crate::screen::state::App;

use super::actions::search;
use super::command;
use super::filter::set_filter;

/// A key for the line that is open.
pub(super) fn press(app: &mut App, key: Key, now: Instant) -> Vec<Effect> {
    let Some(prompt) = app.prompts.current() else { return Vec::new() };
    if prompt.purpose == Purpose::Command && key == Key::code(KeyCode::Tab) {
        if let Some(completed) = command::complete(prompt.text()) {
            app.prompts.complete(completed);
        }
        return Vec::new();
    }
    match app.prompts.press(key) {
        (Outcome::Changed, _) => changed(app),
        (Outcome::Cancelled, Some(prompt)) => cancel(app, &prompt),
        (Outcome::Accepted, Some(prompt)) => return accept(app, prompt, now),
        _ => {}
    }
    Vec::new()
}

/// Text pasted into the line that is open.
pub(super) fn paste(app: &mut App, text: &str) {
    if app.prompts.paste(text) {
        app.touch();
        changed(app);
    }
}

/// A filter applies at once, where it can be read.
fn changed(app: &mut App) {
    if let Some(prompt) = app.prompts.current()
        && prompt.purpose == Purpose::Filter
    {
        let text = prompt.text().to_owned();
        set_filter(app, &text);
    }
}

fn cancel(app: &mut App, prompt: &Prompt) {
    if prompt.purpose == Purpose::Filter {
        set_filter(app, &prompt.before);
        app.prompts.let_go();
    }
    app.prompts.set_error(None);
}

fn accept(app: &mut App, prompt: Prompt, now: Instant) -> Vec<Effect> {
    let text = prompt.text().trim().to_owned();
    match prompt.purpose {
        Purpose::Filter => {
            set_filter(app, &text);
            if app.prompts.error().is_some() {
                app.prompts.reopen(prompt);
            } else {
                app.prompts.let_go();
                app.prompts.remember(Purpose::Filter, text);
            }
        }
        Purpose::Search => search(app, &text),
        Purpose::Command => {
            app.prompts.set_error(None);
            app.prompts.remember(Purpose::Command, text.clone());
            return command::run(app, &text, now);
        }
    }
    Vec::new()
}
