//! The line being typed, and lines typed before.

use crate::screen::candidates::{Around, Candidates, Names};
use crate::screen::keys::Key;
use crate::screen::prompt::{Fault, Outcome, Prompt, Purpose};
use crate::screen::state::cursor::Cursor;

/// Lines typed before that are remembered.
const RECENT: usize = 50;

/// What Tab did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::screen) enum Completed {
    /// Nothing.
    Nothing,
    /// The word is longer, and what follows is open.
    Certain,
    /// One of several candidates stands in the line, and Tab goes on to the next.
    Tried,
}

/// The line being typed, if any, with what belongs to it.
#[derive(Debug, Default)]
pub struct Prompts {
    open: Option<Prompt>,
    fault: Option<Fault>,
    /// The line was to be used as it is.
    insisted: bool,
    /// The list's cursor when a filter began to be typed: half a filter must not move it for good.
    held: Option<Cursor>,
    candidates: Candidates,
    names: Names,
    /// The file that was asked about: Enter again overwrites it.
    overwrites: Option<String>,
    filters: Vec<String>,
    commands: Vec<String>,
}

impl Prompts {
    /// The line.
    pub const fn current(&self) -> Option<&Prompt> {
        self.open.as_ref()
    }

    /// Why the line cannot be used; not while its last word is still to grow into one of the candidates.
    pub fn fault(&self) -> Option<&Fault> {
        let fault = self.fault.as_ref()?;
        let text = self.open.as_ref().map(Prompt::text).unwrap_or_default();
        let at_end = fault.place.is_some_and(|(column, width)| column + width >= text.chars().count());
        (self.insisted || !at_end || self.candidates.list.is_empty()).then_some(fault)
    }

    /// Whether the line cannot be used.
    pub const fn is_faulty(&self) -> bool {
        self.fault.is_some()
    }

    /// What may take the place of the word before the cursor.
    pub const fn candidates(&self) -> &Candidates {
        &self.candidates
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
            Purpose::Search | Purpose::Export => &[],
        };
        let outcome = prompt.press(key, recent);
        let closes = matches!(outcome, Outcome::Accepted | Outcome::Cancelled);
        (outcome, if closes { self.close() } else { None })
    }

    /// Closes the line.
    pub(in crate::screen) fn close(&mut self) -> Option<Prompt> {
        (self.candidates, self.names) = Default::default();
        self.open.take()
    }

    /// Finds the candidates for the line as it is now.
    pub(in crate::screen) fn look_around(&mut self, around: &Around<'_>) {
        if let Some(prompt) = &self.open {
            self.candidates = Candidates::of(prompt.purpose, prompt.head(), around, &mut self.names);
        }
    }

    /// Takes what is certain of the word, else the next candidate, or the one before. Says whether the line has changed, and
    /// whether other candidates may follow it.
    pub(in crate::screen) fn complete(&mut self, step: isize) -> Completed {
        let Some(prompt) = &mut self.open else { return Completed::Nothing };
        let start = self.candidates.start;
        let word = prompt.head().get(start..).unwrap_or_default();
        if self.candidates.chosen.is_none()
            && step > 0
            && let Some(common) = self.candidates.common(word)
        {
            prompt.replace(start, common);
            return Completed::Certain;
        }
        let Some(next) = self.candidates.beside(step) else { return Completed::Nothing };
        prompt.replace(start, &self.candidates.list[next].text);
        if self.candidates.list.len() == 1 {
            return Completed::Certain;
        }
        self.candidates.chosen = Some(next);
        Completed::Tried
    }

    /// Inserts pasted text. Says whether there is a line to insert it into.
    pub(in crate::screen) fn paste(&mut self, text: &str) -> bool {
        if let Some(prompt) = &mut self.open {
            prompt.paste(text);
        }
        self.open.is_some()
    }

    /// Opens a line again that cannot be used as it is.
    pub(in crate::screen) fn reopen(&mut self, prompt: Prompt) {
        self.open = Some(prompt);
        self.insisted = true;
    }

    /// Asks whether this file is to be overwritten.
    pub(in crate::screen) fn ask_about(&mut self, name: &str) {
        self.overwrites = Some(name.to_owned());
    }

    /// Whether the user was asked about this file, and answers by using its name again.
    pub(in crate::screen) fn may_overwrite(&mut self, name: &str) -> bool {
        self.overwrites.take().is_some_and(|asked| asked == name)
    }

    /// Says why the line cannot be used, or that it can.
    pub(in crate::screen) fn set_fault(&mut self, fault: Option<Fault>) {
        self.fault = fault;
        self.insisted = false;
    }

    /// Remembers a line that was used.
    pub(in crate::screen) fn remember(&mut self, purpose: Purpose, text: String) {
        let recent = match purpose {
            Purpose::Filter => &mut self.filters,
            Purpose::Command => &mut self.commands,
            Purpose::Search | Purpose::Export => return,
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
