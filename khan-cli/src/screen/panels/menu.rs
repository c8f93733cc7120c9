//! A short list over the screen.

use crate::screen::menu::Menu;
use crate::screen::state::App;

use super::footer;
use crate::screen::widgets::canvas::{Canvas, cells};

/// Draws it in the middle.
pub(super) fn draw(app: &App, menu: Menu, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let glyphs = app.settings.glyphs();
    let entries = app.entries(menu.kind);
    let name = entries.iter().map(|entry| cells(entry.name)).max().unwrap_or(0);
    let meaning = entries.iter().map(|entry| cells(entry.meaning)).max().unwrap_or(0);
    let width = (name + meaning + 12).min(canvas.width().saturating_sub(4));
    let height = u16::try_from(entries.len()).unwrap_or(0).saturating_add(2).min(canvas.height().saturating_sub(2));
    let (x, y) = ((canvas.width() - width) / 2, (canvas.height() - height) / 2);
    let mut part = canvas.part(x, y, width, height);
    part.clear();
    part.rule(0, glyphs.rule, styles.dim);
    part.put(2, 0, &format!(" {} ", menu.kind.title()), styles.strong);
    let rows = usize::from(height.saturating_sub(2));
    let offset = (menu.at + 1).saturating_sub(rows);
    for (row, (i, entry)) in (1..).zip(entries.iter().enumerate().skip(offset).take(rows)) {
        let mark = match entry.chosen {
            Some(true) => "[x]",
            Some(false) => "[ ]",
            None => "",
        };
        part.put(1, row, if i == menu.at { ">" } else { " " }, styles.accent);
        part.put(3, row, mark, styles.text);
        let x = if entry.chosen.is_some() { 7 } else { 3 };
        part.put(x, row, entry.name, styles.strong);
        part.put(x + 2 + name, row, entry.meaning, styles.text);
        if i == menu.at {
            part.style(0, row, width, styles.selected);
        }
    }
    part.rule(height.saturating_sub(1), glyphs.rule, styles.dim);
    let last = canvas.height().saturating_sub(1);
    let mut line = canvas.part(0, last, canvas.width(), 1);
    line.clear();
    footer::hints(app, &mut line, 0);
}
