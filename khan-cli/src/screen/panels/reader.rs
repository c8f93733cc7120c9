//! A text over the screen: help, the error log, something to copy.

use ratatui::text::{Line, Span};

use crate::screen::reader::{self, Text, Tone};
use crate::screen::state::App;
use crate::screen::styles::Styles;
use crate::screen::widgets::canvas::Canvas;

use super::{footer, prompt};

/// Draws the open text over the whole screen.
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
    let found = |line: &reader::Line| !wanted.is_empty() && line.text().to_lowercase().contains(&wanted);
    let shown = lines.iter().skip(offset).map(|line| styled(line, found(line), styles));
    canvas.part(1, 2, canvas.width(), bottom.saturating_sub(2)).lines(shown);
    canvas.rule(bottom, app.settings.glyphs().rule, styles.dim);
    let last = canvas.height().saturating_sub(1);
    if !prompt::line(app, canvas, bottom)
        && let Some(notice) = app.overlays.notice()
    {
        let room = canvas.width().saturating_sub(2);
        canvas.put_fit(0, bottom, room, &format!(" {notice} "), app.settings.glyphs().ellipsis, styles.accent);
    }
    footer::hints(app, canvas, last);
}

/// A line in the styles of its pieces, highlighted if it contains what is searched for.
fn styled<'a>(line: &'a reader::Line, found: bool, styles: &Styles) -> Line<'a> {
    let piece = |(piece, tone): &'a (String, Tone)| {
        let style = match tone {
            Tone::Plain => styles.text,
            Tone::Strong => styles.strong,
            Tone::Accent => styles.accent,
            Tone::Dim => styles.dim,
            Tone::Bad => styles.bad,
        };
        Span::styled(piece.as_str(), if found { style.patch(styles.selected) } else { style })
    };
    line.0.iter().map(piece).collect()
}
