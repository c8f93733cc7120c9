//! Titles on one line, one of them chosen.

use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets;

use super::canvas::{Canvas, clean};

/// Draws titles with `gap` between them; the one that is chosen has the style `chosen`.
pub(crate) fn draw<'a>(
    titles: impl IntoIterator<Item = Line<'a>>,
    at: usize,
    gap: &str,
    chosen: Style,
    canvas: &mut Canvas<'_>,
) {
    let titles = titles.into_iter().map(clean);
    canvas.render(widgets::Tabs::new(titles).select(at).highlight_style(chosen).padding("", "").divider(gap));
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;
    use ratatui::style::Modifier;

    use super::*;
    use crate::screen::layout::tabs::{GAP, START, labels};

    #[test]
    fn views_stand_where_clicks_look_for_them() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 100, 1));
        let labels = labels(12);
        let titles = labels.iter().map(|label| Line::raw(label.text.as_str()));
        let chosen = Style::new().add_modifier(Modifier::REVERSED);
        draw(titles, 2, GAP, chosen, &mut Canvas::new(&mut buffer, Rect::new(START, 0, 99, 1)));
        for (i, label) in labels.iter().enumerate() {
            let cells: Vec<_> = (label.x..).zip(label.text.chars()).map(|(x, c)| (&buffer[(x, 0)], c)).collect();
            assert!(cells.iter().all(|(cell, c)| cell.symbol() == c.to_string()), "{label:?} is not at its place");
            assert!(cells.iter().all(|(cell, _)| cell.modifier.contains(Modifier::REVERSED) == (i == 2)));
        }
    }
}
