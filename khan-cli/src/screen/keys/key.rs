//! Terminal events in, normalised keys out: one spelling for each key, whatever the terminal reports.

use std::fmt;
use std::str::FromStr;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key press as bindings spell it. Shift is part of the character: `R` and `?`, never "Shift-r".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Which key.
    pub code: KeyCode,
    /// Whether Control was held.
    pub ctrl: bool,
    /// Whether Alt was held.
    pub alt: bool,
}

impl Key {
    /// A printable key.
    pub const fn char(c: char) -> Self {
        Self::code(KeyCode::Char(c))
    }

    /// Control with a lower-case letter.
    pub const fn ctrl(c: char) -> Self {
        Self { code: KeyCode::Char(c), ctrl: true, alt: false }
    }

    /// A named key.
    pub const fn code(code: KeyCode) -> Self {
        Self { code, ctrl: false, alt: false }
    }

    /// The key that an event stands for; `None` for releases and for modifiers alone.
    ///
    /// Terminals disagree about Shift: for `?` some report it, some do not. The character already says it, so the
    /// modifier is dropped. With Control the letter's case carries nothing and becomes lower.
    pub fn from_event(event: KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        let code = match event.code {
            KeyCode::Char(c) if ctrl => KeyCode::Char(c.to_ascii_lowercase()),
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => KeyCode::BackTab,
            KeyCode::Modifier(_) | KeyCode::Null => return None,
            code => code,
        };
        Some(Self { code, ctrl, alt })
    }

    /// The character that this key types into a text field.
    pub const fn typed(self) -> Option<char> {
        match self.code {
            KeyCode::Char(c) if !self.ctrl && !self.alt => Some(c),
            _ => None,
        }
    }
}

/// Names of keys that are not characters, as help shows them and as the configuration spells them.
const NAMES: &[(&str, KeyCode)] = &[
    ("Enter", KeyCode::Enter),
    ("Esc", KeyCode::Esc),
    ("Backspace", KeyCode::Backspace),
    ("Tab", KeyCode::Tab),
    ("Shift-Tab", KeyCode::BackTab),
    ("Space", KeyCode::Char(' ')),
    ("Up", KeyCode::Up),
    ("Down", KeyCode::Down),
    ("Left", KeyCode::Left),
    ("Right", KeyCode::Right),
    ("Home", KeyCode::Home),
    ("End", KeyCode::End),
    ("PgUp", KeyCode::PageUp),
    ("PgDn", KeyCode::PageDown),
    ("Ins", KeyCode::Insert),
    ("Del", KeyCode::Delete),
];

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("Ctrl-")?;
        }
        if self.alt {
            f.write_str("Alt-")?;
        }
        if let Some((name, _)) = NAMES.iter().find(|(_, code)| *code == self.code) {
            return f.write_str(name);
        }
        match self.code {
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::F(n) => write!(f, "F{n}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// The text names no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no key is called {0:?} (write a character, Ctrl-x, Alt-x, F1 to F12, Enter, Esc, Tab, Shift-Tab, Space, Up, ...)"
)]
pub struct ParseKeyError(String);

impl FromStr for Key {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseKeyError(text.to_owned());
        let (mut rest, mut ctrl, mut alt) = (text, false, false);
        loop {
            if let Some(after) = rest.strip_prefix("Ctrl-").filter(|after| !after.is_empty()) {
                (rest, ctrl) = (after, true);
            } else if let Some(after) = rest.strip_prefix("Alt-").filter(|after| !after.is_empty()) {
                (rest, alt) = (after, true);
            } else {
                break;
            }
        }
        let mut chars = rest.chars();
        let code = match (chars.next(), chars.next()) {
            (Some(c), None) => KeyCode::Char(if ctrl { c.to_ascii_lowercase() } else { c }),
            (Some('F'), Some(_)) => {
                let number = rest[1..].parse().ok().filter(|n| (1..=12).contains(n)).ok_or_else(bad)?;
                KeyCode::F(number)
            }
            _ => NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(rest)).ok_or_else(bad)?.1,
        };
        Ok(Self { code, ctrl, alt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn shift_is_in_the_character() {
        for modifiers in [KeyModifiers::NONE, KeyModifiers::SHIFT] {
            assert_eq!(Key::from_event(event(KeyCode::Char('?'), modifiers)), Some(Key::char('?')));
            assert_eq!(Key::from_event(event(KeyCode::Char('R'), modifiers)), Some(Key::char('R')));
        }
        assert_eq!(
            Key::from_event(event(KeyCode::Tab, KeyModifiers::SHIFT)),
            Key::from_event(event(KeyCode::BackTab, KeyModifiers::SHIFT)),
        );
    }

    #[test]
    fn releases_and_bare_modifiers_are_nothing() {
        let mut release = event(KeyCode::Char('q'), KeyModifiers::NONE);
        release.kind = KeyEventKind::Release;
        assert_eq!(Key::from_event(release), None);
        let mut repeat = event(KeyCode::Down, KeyModifiers::NONE);
        repeat.kind = KeyEventKind::Repeat;
        assert_eq!(Key::from_event(repeat), Some(Key::code(KeyCode::Down)));
    }

    #[test]
    fn control_ignores_the_letters_case() {
        let both = KeyModifiers::CONTROL | KeyModifiers::SHIFT;
        assert_eq!(Key::from_event(event(KeyCode::Char('C'), both)), Some(Key::ctrl('c')));
        assert_eq!(Key::ctrl('c').typed(), None);
    }

    #[test]
    fn names_read_back() {
        for text in ["q", "?", "Ctrl-c", "Alt-x", "Tab", "Shift-Tab", "Space", "PgDn", "F5", "-", "Ctrl--", "F"] {
            assert_eq!(text.parse::<Key>().unwrap().to_string(), text);
        }
        assert_eq!("ENTER".parse::<Key>().unwrap().to_string(), "Enter");
        for text in ["", "Ctrl-", "F13", "F0", "Hyper-x", "ab"] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }
}
