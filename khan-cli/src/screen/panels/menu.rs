//! The open menu, over the middle of the screen.

use ratatui::text::{Line, Span};

use crate::screen::menu::{Entry, Menu};
use crate::screen::state::App;
use crate::screen::text::cells;
use crate::screen::widgets::canvas::Canvas;
use crate::screen::widgets::choice;

use super::footer;

/// Cells beside the menu, on both sides together, that are worth to be seen.
const MARGIN: u16 = 24;

/// Draws the menu, and the keys that work in it on the last line.
pub(super) fn draw(app: &App, menu: Menu, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let entries = app.entries(menu.kind);
    let name = entries.iter().map(|entry| cells(&entry.name)).max().unwrap_or(0);
    let meaning = entries.iter().map(|entry| cells(&entry.meaning)).max().unwrap_or(0);
    // Where next to nothing of the screen is left beside it, it takes that too.
    let width = name + meaning + 12;
    let width = if width + MARGIN > canvas.width() { canvas.width() } else { width };
    let height = u16::try_from(entries.len()).unwrap_or(0).saturating_add(2).min(canvas.height().saturating_sub(2));
    let (x, y) = ((canvas.width() - width) / 2, (canvas.height() - height) / 2);
    let lines = entries.iter().map(|entry| line(app, entry, name));
    let mut middle = canvas.part(x, y, width, height);
    choice::draw(menu.kind.title(), lines, menu.at, app.settings.glyphs().rule, styles, &mut middle);
    let last = canvas.height().saturating_sub(1);
    let mut keys = canvas.part(0, last, canvas.width(), 1);
    keys.clear();
    footer::hints(app, &mut keys, 0);
}

/// An entry whose name takes `name` cells.
fn line(app: &App, entry: &Entry, name: u16) -> Line<'static> {
    let styles = app.settings.styles();
    let mark = match entry.chosen {
        Some(true) => "[x] ",
        Some(false) => "[ ] ",
        None => "",
    };
    let gap = " ".repeat((name + 2 - cells(&entry.name)).into());
    Line::from_iter([
        Span::styled(mark, styles.text),
        Span::styled(entry.name.clone(), styles.strong),
        Span::raw(gap),
        Span::styled(entry.meaning.clone(), styles.text),
    ])
}
