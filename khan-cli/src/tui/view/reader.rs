//! A text over the screen: help, the error log, something to copy.

use crate::tui::app::App;
use crate::tui::overlay::{Overlay, Text};
use crate::tui::reader::{Tone, extent, lines, title};

use super::footer;
use super::pen::Pen;

/// Draws it over everything.
pub(super) fn draw(app: &App, pen: &mut Pen<'_>) {
    let Some(Overlay::Reader(reader)) = &app.overlay else { return };
    let styles = &app.styles;
    let (all, page) = extent(app);
    let lines = lines(app);
    let offset = reader.offset.min(all.saturating_sub(1));
    let end = pen.width().saturating_sub(1);
    let pages = all.div_ceil(page).max(1);
    let at = if offset + page >= all { pages } else { offset / page + 1 };
    let mut end = pen.put_right(end, 0, &format!("{at}/{pages}"), styles.text);
    if matches!(reader.text, Text::Help(_)) && pen.width() >= 76 {
        end = pen.put_right(end.saturating_sub(1), 0, "(keys shown are your effective bindings)", styles.dim);
    }
    pen.put_in(1, 0, end.saturating_sub(2), &title(app), styles.strong);
    pen.rule(1, app.setup.glyphs.rule, styles.dim);
    let bottom = pen.height().saturating_sub(2);
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
            x = pen.put(x, y, piece, style);
        }
        if !wanted.is_empty() && line.text().to_lowercase().contains(&wanted) {
            pen.style(1, y, x.saturating_sub(1), styles.selected);
        }
    }
    pen.rule(bottom, app.setup.glyphs.rule, styles.dim);
    let last = pen.height().saturating_sub(1);
    if app.prompt.is_some() {
        footer::prompt(app, pen, bottom);
    }
    footer::hints(app, pen, last);
}
