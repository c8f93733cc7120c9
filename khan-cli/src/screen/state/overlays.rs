//! What lies over a screen: a text to read, a short list to choose from, a message that goes away by itself.

use std::time::{Duration, Instant};

use crate::screen::menu::{Menu, MenuKind};
use crate::screen::reader::{Reader, Text};

/// How long a message stays.
const NOTICE: Duration = Duration::from_secs(6);

/// What is open over the screen.
#[derive(Clone, Debug)]
pub enum Overlay {
    /// A text that scrolls.
    Reader(Reader),
    /// A list to choose from.
    Menu(Menu),
}

/// At most one text or menu, and at most one message.
#[derive(Debug, Default)]
pub struct Overlays {
    open: Option<Overlay>,
    notice: Option<Notice>,
}

#[derive(Debug)]
struct Notice {
    text: String,
    until: Instant,
}

impl Overlays {
    /// What is open.
    pub const fn current(&self) -> Option<&Overlay> {
        self.open.as_ref()
    }

    /// The text that is open.
    pub const fn reader(&self) -> Option<&Reader> {
        if let Some(Overlay::Reader(reader)) = &self.open { Some(reader) } else { None }
    }

    /// The menu that is open.
    pub const fn menu(&self) -> Option<Menu> {
        if let Some(Overlay::Menu(menu)) = self.open { Some(menu) } else { None }
    }

    /// The passing message.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_ref().map(|notice| notice.text.as_str())
    }

    /// Opens a text.
    pub(in crate::screen) fn read(&mut self, text: Text) {
        self.open = Some(Overlay::Reader(Reader::new(text)));
    }

    /// Opens a menu with the cursor on an entry, or moves the cursor of the one that is open.
    pub(in crate::screen) fn choose(&mut self, kind: MenuKind, at: usize) {
        self.open = Some(Overlay::Menu(Menu { kind, at }));
    }

    /// Scrolls the text that is open to a line.
    pub(in crate::screen) fn scroll_to(&mut self, offset: usize) {
        if let Some(Overlay::Reader(reader)) = &mut self.open {
            reader.offset = offset;
        }
    }

    /// What `n` goes on searching for in the text that is open.
    pub(in crate::screen) fn search(&mut self, text: &str) {
        if let Some(Overlay::Reader(reader)) = &mut self.open {
            text.clone_into(&mut reader.search);
        }
    }

    /// Closes what is open. Says whether anything was.
    pub(in crate::screen) fn close(&mut self) -> bool {
        self.open.take().is_some()
    }

    /// Shows a message for a while.
    pub(in crate::screen) fn say(&mut self, now: Instant, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), until: now + NOTICE });
    }

    /// Takes the message away.
    pub(in crate::screen) fn hush(&mut self) {
        self.notice = None;
    }

    /// Takes the message away once its time is over.
    pub(in crate::screen) fn tick(&mut self, now: Instant) {
        if self.notice.as_ref().is_some_and(|notice| notice.until <= now) {
            self.hush();
        }
    }
}
