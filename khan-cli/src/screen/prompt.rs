//! One line of text being typed: the filter, the command line, a search.

use ratatui::crossterm::event::KeyCode;

use super::keys::Key;
use crate::model::filter::FilterError;

/// What a line is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The filter of the list, applied while it is typed.
    Filter,
    /// A command after `:`.
    Command,
    /// A search in a text.
    Search,
    /// The name of a file to write.
    Export,
}

impl Purpose {
    /// What stands before the line.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Filter | Self::Search => "/",
            Self::Command => ":",
            Self::Export => "Write to: ",
        }
    }
}

impl Purpose {
    /// The keys that work in the line besides those of every line.
    pub const fn keys(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Filter => &[("Enter", "keep"), ("Tab", "complete"), ("Up Down", "history"), ("Esc", "as before")],
            Self::Command => {
                &[("Enter", "run"), ("Tab", "complete"), ("?", "commands"), ("Up Down", "history"), ("Esc", "cancel")]
            }
            Self::Search => &[("Enter", "search"), ("Esc", "cancel")],
            Self::Export => &[("Enter", "write"), ("Esc", "cancel"), (".csv .json .md", "the ending decides the form")],
        }
    }
}

/// Why a line cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// One sentence, without the place.
    pub message: String,
    /// Where in the line, and how much of it, in characters.
    pub place: Option<(usize, usize)>,
}

impl Fault {
    /// What is wrong with the line as a whole.
    pub fn whole(message: impl Into<String>) -> Self {
        Self { message: message.into(), place: None }
    }
}

impl From<FilterError> for Fault {
    fn from(FilterError { message, column, width }: FilterError) -> Self {
        Self { message: message.trim_end_matches(',').to_owned(), place: Some((column, width)) }
    }
}

/// What a key did to the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Ignored,
    /// The cursor moved.
    Moved,
    /// The text changed.
    Changed,
    /// Enter: it is to be used.
    Accepted,
    /// Esc, or Backspace on an empty line: it is to be forgotten.
    Cancelled,
}

/// The line. The cursor is a byte offset on a character boundary.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// What for.
    pub purpose: Purpose,
    /// What was there when it was opened, which Esc brings back.
    pub before: String,
    text: String,
    cursor: usize,
    recall: Option<usize>,
}

impl Prompt {
    /// A line that starts with `text`.
    pub fn new(purpose: Purpose, text: &str) -> Self {
        Self { purpose, before: text.to_owned(), text: text.to_owned(), cursor: text.len(), recall: None }
    }

    /// The text typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text before the cursor.
    pub fn head(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// Replaces what stands between a place before the cursor and the cursor, as completion does.
    pub fn replace(&mut self, start: usize, text: &str) {
        let start = start.min(self.cursor);
        self.text.replace_range(start..self.cursor, text);
        self.cursor = start + text.len();
    }

    /// Inserts pasted text; line ends become spaces.
    pub fn paste(&mut self, text: &str) {
        for c in text.trim_end().chars() {
            self.insert(if c.is_control() { ' ' } else { c });
        }
    }

    fn insert(&mut self, c: char) {
        self.text.insert(self.cursor, c);
        self.cursor += c.len_utf8();
    }

    fn previous(&self) -> usize {
        self.head().char_indices().next_back().map_or(0, |(i, _)| i)
    }

    fn word_start(&self) -> usize {
        let trimmed = self.head().trim_end();
        trimmed.rfind(' ').map_or(0, |i| i + 1)
    }

    /// Takes a key. `history` is what Up goes back through, latest last.
    pub fn press(&mut self, key: Key, history: &[String]) -> Outcome {
        if let Some(c) = key.typed() {
            self.insert(c);
            return Outcome::Changed;
        }
        match key.code {
            KeyCode::Enter => return Outcome::Accepted,
            KeyCode::Esc => return Outcome::Cancelled,
            KeyCode::Backspace if self.text.is_empty() => return Outcome::Cancelled,
            KeyCode::Backspace if self.cursor > 0 => {
                self.cursor = self.previous();
                self.text.remove(self.cursor);
                return Outcome::Changed;
            }
            KeyCode::Delete if self.cursor < self.text.len() => {
                self.text.remove(self.cursor);
                return Outcome::Changed;
            }
            KeyCode::Char('u') if key.ctrl => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
                return Outcome::Changed;
            }
            KeyCode::Char('w') if key.ctrl => {
                let start = self.word_start();
                self.text.drain(start..self.cursor);
                self.cursor = start;
                return Outcome::Changed;
            }
            KeyCode::Up | KeyCode::Down => return self.recall(key.code == KeyCode::Up, history),
            KeyCode::Left if self.cursor > 0 => self.cursor = self.previous(),
            KeyCode::Right => {
                let step = self.text[self.cursor..].chars().next();
                self.cursor += step.map_or(0, char::len_utf8);
            }
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            KeyCode::Char('a') if key.ctrl => self.cursor = 0,
            KeyCode::Char('e') if key.ctrl => self.cursor = self.text.len(),
            _ => return Outcome::Ignored,
        }
        Outcome::Moved
    }

    fn recall(&mut self, back: bool, history: &[String]) -> Outcome {
        let at = match (self.recall, back) {
            (None, true) => history.len().checked_sub(1),
            (Some(at), true) => Some(at.saturating_sub(1)),
            (Some(at), false) => Some(at + 1),
            (None, false) => None,
        };
        let Some(at) = at else { return Outcome::Ignored };
        let text = history.get(at).cloned().unwrap_or_default();
        self.recall = (at < history.len()).then_some(at);
        self.cursor = text.len();
        self.text = text;
        Outcome::Changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(prompt: &mut Prompt, keys: &[&str]) -> Outcome {
        let history = ["one".to_owned(), "two".to_owned()];
        keys.iter().map(|key| prompt.press(key.parse().unwrap(), &history)).last().unwrap()
    }

    #[test]
    fn edits_where_the_cursor_is() {
        let mut prompt = Prompt::new(Purpose::Filter, "");
        typed(&mut prompt, &["a", "é", "c", "Left", "Left", "b"]);
        assert_eq!(prompt.text(), "abéc");
        typed(&mut prompt, &["Del", "Backspace"]);
        assert_eq!((prompt.text(), prompt.head()), ("ac", "a"));
        typed(&mut prompt, &["End", "Space", "x", "y", "Ctrl-w"]);
        assert_eq!(prompt.text(), "ac ");
        assert_eq!(typed(&mut prompt, &["Ctrl-u"]), Outcome::Changed);
        assert_eq!(prompt.text(), "");
        assert_eq!(typed(&mut prompt, &["Backspace"]), Outcome::Cancelled);
    }

    #[test]
    fn earlier_lines_come_back() {
        let mut prompt = Prompt::new(Purpose::Command, "");
        assert_eq!(typed(&mut prompt, &["Down"]), Outcome::Ignored);
        typed(&mut prompt, &["Up", "Up", "Up"]);
        assert_eq!(prompt.text(), "one");
        typed(&mut prompt, &["Down"]);
        assert_eq!(prompt.text(), "two");
        typed(&mut prompt, &["Down"]);
        assert_eq!(prompt.text(), "");
    }

    #[test]
    fn pasted_lines_stay_on_one_line() {
        let mut prompt = Prompt::new(Purpose::Filter, "");
        prompt.paste("src:a\ndst:b\n");
        assert_eq!(prompt.text(), "src:a dst:b");
    }
}
