//! Lines being typed: a filter, a command, a search.

use std::time::Instant;

use ratatui::crossterm::event::KeyCode;

use crate::screen::keys::Key;
use crate::screen::msg::Effect;
use crate::screen::prompt::{Outcome, Prompt, Purpose};
use crate::screen::reader::Text;
use crate::screen::state::App;
use crate::screen::state::prompts::Completed;

use super::actions::search;
use super::command;
use super::export::write_to;
use super::filter::set_filter;
use super::line::look_around;

/// A key for the line that is open.
pub(super) fn press(app: &mut App, key: Key, now: Instant) -> Vec<Effect> {
    let Some(prompt) = app.prompts.current() else { return Vec::new() };
    match key.code {
        KeyCode::Tab => return complete(app, 1),
        KeyCode::BackTab => return complete(app, -1),
        // No command has it in its name.
        KeyCode::Char('?') if prompt.purpose == Purpose::Command && !prompt.head().contains(' ') => {
            app.prompts.close();
            app.overlays.read(Text::Commands(app.context()));
            return Vec::new();
        }
        _ => {}
    }
    match app.prompts.press(key) {
        (Outcome::Moved, _) => look_around(app),
        (Outcome::Changed, _) => changed(app),
        (Outcome::Cancelled, Some(prompt)) => cancel(app, &prompt),
        (Outcome::Accepted, Some(prompt)) => return accept(app, prompt, now),
        _ => {}
    }
    Vec::new()
}

/// Tab, or Shift-Tab.
fn complete(app: &mut App, step: isize) -> Vec<Effect> {
    match app.prompts.complete(step) {
        Completed::Nothing => {}
        Completed::Certain => changed(app),
        Completed::Tried => apply(app),
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

/// The line is another one.
fn changed(app: &mut App) {
    look_around(app);
    apply(app);
}

/// A filter applies at once, where it can be read.
fn apply(app: &mut App) {
    if let Some(prompt) = app.prompts.current()
        && prompt.purpose == Purpose::Filter
    {
        let text = prompt.text().to_owned();
        let fault = set_filter(app, &text).err();
        app.prompts.set_fault(fault.map(Into::into));
    }
}

fn cancel(app: &mut App, prompt: &Prompt) {
    if prompt.purpose == Purpose::Filter {
        // It was in force before.
        let _ = set_filter(app, &prompt.before);
        app.prompts.let_go();
    }
    app.prompts.set_fault(None);
}

fn accept(app: &mut App, prompt: Prompt, now: Instant) -> Vec<Effect> {
    let text = prompt.text().trim().to_owned();
    match prompt.purpose {
        Purpose::Filter => {
            if let Err(error) = set_filter(app, &text) {
                app.prompts.set_fault(Some(error.into()));
                app.prompts.reopen(prompt);
                look_around(app);
            } else {
                app.prompts.set_fault(None);
                app.prompts.let_go();
                app.prompts.remember(Purpose::Filter, text);
            }
        }
        Purpose::Search => search(app, &text),
        Purpose::Export => return write_to(app, &text),
        Purpose::Command => {
            app.prompts.set_fault(None);
            app.prompts.remember(Purpose::Command, text.clone());
            return command::run(app, &text, now);
        }
    }
    Vec::new()
}
