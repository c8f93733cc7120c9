//! The line being typed, and lines typed before.

use crate::screen::keys::Key;
use crate::screen::prompt::{Outcome, Prompt, Purpose};
use crate::screen::state::cursor::Cursor;

/// Lines typed before that are remembered.
const RECENT: usize = 50;

/// The line being typed, if any, with what belongs to it.
#[derive(Debug, Default)]
pub struct Prompts {
    open: Option<Prompt>,
    error: Option<String>,
    /// The list's cursor when a filter began to be typed: half a filter must not move it for good.
    held: Option<Cursor>,
    filters: Vec<String>,
    commands: Vec<String>,
}

impl Prompts {
    /// The line.
    pub const fn current(&self) -> Option<&Prompt> {
        self.open.as_ref()
    }

    /// Why the line cannot be used.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Where the list's cursor was when a filter began to be typed.
    pub const fn held(&self) -> Option<Cursor> {
        self.held
    }

    /// Begins a line that starts with `text`.
    pub(in crate::screen) fn begin(&mut self, purpose: Purpose, text: &str) {
        self.open = Some(Prompt::new(purpose, text));
    }

    /// Remembers where the list's cursor is.
    pub(in crate::screen) fn hold(&mut self, cursor: Cursor) {
        self.held = Some(cursor);
    }

    /// The list's cursor stays where it is now.
    pub(in crate::screen) fn let_go(&mut self) {
        self.held = None;
    }

    /// Takes a key. A line that is accepted or cancelled is closed and returned.
    pub(in crate::screen) fn press(&mut self, key: Key) -> (Outcome, Option<Prompt>) {
        let Some(prompt) = &mut self.open else { return (Outcome::Ignored, None) };
        let recent: &[String] = match prompt.purpose {
            Purpose::Filter => &self.filters,
            Purpose::Command => &self.commands,
            Purpose::Search => &[],
        };
        let outcome = prompt.press(key, recent);
        let closes = matches!(outcome, Outcome::Accepted | Outcome::Cancelled);
        (outcome, if closes { self.open.take() } else { None })
    }

    /// Inserts pasted text. Says whether there is a line to insert it into.
    pub(in crate::screen) fn paste(&mut self, text: &str) -> bool {
        if let Some(prompt) = &mut self.open {
            prompt.paste(text);
        }
        self.open.is_some()
    }

    /// Replaces the text of the line, as completion does.
    pub(in crate::screen) fn complete(&mut self, text: String) {
        if let Some(prompt) = &mut self.open {
            prompt.set(text);
        }
    }

    /// Opens a line again that cannot be used as it is.
    pub(in crate::screen) fn reopen(&mut self, prompt: Prompt) {
        self.open = Some(prompt);
    }

    /// Says why the line cannot be used, or that it can.
    pub(in crate::screen) fn set_error(&mut self, error: Option<String>) {
        self.error = error;
    }

    /// Takes the reason away.
    pub(in crate::screen) fn take_error(&mut self) -> Option<String> {
        self.error.take()
    }

    /// Remembers a line that was used.
    pub(in crate::screen) fn remember(&mut self, purpose: Purpose, text: String) {
        let recent = match purpose {
            Purpose::Filter => &mut self.filters,
            Purpose::Command => &mut self.commands,
            Purpose::Search => return,
        };
        if text.is_empty() {
            return;
        }
        recent.retain(|known| *known != text);
        recent.push(text);
        let excess = recent.len().saturating_sub(RECENT);
        recent.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_were_used_come_back_latest_first_and_each_once() {
        let mut prompts = Prompts::default();
        for i in 0..2 * RECENT {
            prompts.remember(Purpose::Command, format!("limit {i}"));
        }
        prompts.remember(Purpose::Command, format!("limit {}", 2 * RECENT - 2));
        prompts.remember(Purpose::Command, String::new());
        assert_eq!(prompts.commands.len(), RECENT);
        prompts.begin(Purpose::Command, "");
        let text = |prompts: &Prompts| prompts.current().map(|prompt| prompt.text().to_owned());
        for expected in [2 * RECENT - 2, 2 * RECENT - 1, 2 * RECENT - 3] {
            assert_eq!(prompts.press("Up".parse().unwrap()).0, Outcome::Changed);
            assert_eq!(text(&prompts), Some(format!("limit {expected}")));
        }
        let (outcome, closed) = prompts.press("Esc".parse().unwrap());
        assert_eq!((outcome, closed.is_some(), text(&prompts)), (Outcome::Cancelled, true, None));
    }
}
