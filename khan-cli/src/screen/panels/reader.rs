//! A text over the screen: help, the error log, something to copy.

use crate::screen::reader::{Text, Tone};
use crate::screen::state::App;

use super::footer;
use crate::screen::widgets::canvas::Canvas;

/// Draws it over everything.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let Some(reader) = app.overlays.reader() else { return };
    let styles = app.settings.styles();
    let lines = app.lines(reader);
    let (all, page) = (lines.len(), app.page_height());
    let offset = reader.offset.min(all.saturating_sub(1));
    let end = canvas.width().saturating_sub(1);
    let pages = all.div_ceil(page).max(1);
    let at = if offset + page >= all { pages } else { offset / page + 1 };
    let mut end = canvas.put_right(end, 0, &format!("{at}/{pages}"), styles.text);
    if matches!(reader.text, Text::Help(_)) && canvas.width() >= 76 {
        end = canvas.put_right(end.saturating_sub(1), 0, "(keys shown are your effective bindings)", styles.dim);
    }
    canvas.put_in(1, 0, end.saturating_sub(2), &app.title(reader), styles.strong);
    canvas.rule(1, app.settings.glyphs().rule, styles.dim);
    let bottom = canvas.height().saturating_sub(2);
    let wanted = reader.search.to_lowercase();
    for (y, line) in (2..bottom).zip(lines.iter().skip(offset)) {
        let mut x = 1;
        for (piece, tone) in &line.0 {
            let style = match tone {
                Tone::Plain => styles.text,
                Tone::Strong => styles.strong,
                Tone::Accent => styles.accent,
                Tone::Dim => styles.dim,
                Tone::Bad => styles.bad,
            };
            x = canvas.put(x, y, piece, style);
        }
        if !wanted.is_empty() && line.text().to_lowercase().contains(&wanted) {
            canvas.style(1, y, x.saturating_sub(1), styles.selected);
        }
    }
    canvas.rule(bottom, app.settings.glyphs().rule, styles.dim);
    let last = canvas.height().saturating_sub(1);
    if app.prompts.open().is_some() {
        footer::prompt(app, canvas, bottom);
    }
    footer::hints(app, canvas, last);
}
