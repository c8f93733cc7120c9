//! Titles on one line, one of them chosen.

use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets;

use super::canvas::{Canvas, clean};

/// Draws titles with `gap` between them; the one that is chosen has the style `chosen`.
pub(in crate::screen) fn draw<'a>(
    titles: impl IntoIterator<Item = Line<'a>>,
    at: usize,
    gap: &str,
    chosen: Style,
    canvas: &mut Canvas<'_>,
) {
    let titles = titles.into_iter().map(clean);
    canvas.render(widgets::Tabs::new(titles).select(at).highlight_style(chosen).padding("", "").divider(gap));
}
