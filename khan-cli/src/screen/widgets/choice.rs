//! A short list over the screen, one entry of which is under the cursor.

use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, HighlightSpacing, List, ListState, StatefulWidget, Widget};

use crate::screen::styles::Styles;

use super::canvas::{Canvas, clean};

/// Draws the entries between two rules, with a title on the first; `at` is under the cursor and always in sight.
pub(crate) fn draw<'a>(
    title: &str,
    entries: impl IntoIterator<Item = Line<'a>>,
    at: usize,
    rule: &str,
    styles: &Styles,
    canvas: &mut Canvas<'_>,
) {
    let title = vec![Span::styled(rule.repeat(2), styles.dim), Span::styled(format!(" {title} "), styles.strong)];
    let rules = border::Set { horizontal_top: rule, horizontal_bottom: rule, ..border::PLAIN };
    let block = Block::new()
        .borders(Borders::TOP | Borders::BOTTOM)
        .border_set(rules)
        .border_style(styles.dim)
        .title(clean(title.into()));
    // The list styles its row first and writes the sign over it.
    let sign =
        Line::from_iter([Span::raw(" "), Span::styled(">", styles.accent.patch(styles.selected)), Span::raw(" ")]);
    let list = List::new(entries.into_iter().map(clean))
        .block(block)
        .highlight_symbol(sign)
        .highlight_spacing(HighlightSpacing::Always)
        .highlight_style(styles.selected);
    canvas.clear();
    canvas.render(Selected { list, at });
}

/// A list as a widget that keeps nothing: where it is scrolled to follows from the entry under the cursor.
struct Selected<'a> {
    list: List<'a>,
    at: usize,
}

impl Widget for Selected<'_> {
    fn render(self, area: ratatui::layout::Rect, buffer: &mut ratatui::buffer::Buffer) {
        StatefulWidget::render(self.list, area, buffer, &mut ListState::default().with_selected(Some(self.at)));
    }
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    use super::*;
    use crate::screen::depth::Depth;
    use crate::screen::styles::Theme;

    #[test]
    fn the_entry_under_the_cursor_is_in_sight() {
        let area = Rect::new(0, 0, 12, 4);
        let styles = Styles::new(Theme::Ansi, Depth::None);
        let drawn = |at| {
            let mut buffer = Buffer::filled(area, ratatui::buffer::Cell::new("x"));
            let entries = ["one", "t\u{1b}wo", "three"].map(Line::raw);
            draw("Pick", entries, at, "-", &styles, &mut Canvas::new(&mut buffer, area));
            let lines: Vec<String> = buffer
                .content
                .chunks(12)
                .map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect())
                .collect();
            lines
        };
        assert_eq!(drawn(0), ["-- Pick ----", " > one      ", "   t\u{fffd}wo     ", "------------"]);
        assert_eq!(drawn(2), ["-- Pick ----", "   t\u{fffd}wo     ", " > three    ", "------------"]);
    }
}
