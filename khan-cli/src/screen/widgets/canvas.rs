//! Writing into a part of the frame and never outside of it.

use std::borrow::Cow;

use khan_api::text::printable;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Clear, Paragraph, Widget};

use crate::screen::text::{cells, fit};

/// A rectangle of the frame. Coordinates are relative to its corner; what lies outside is not written, and characters that
/// a terminal must not see are written as U+FFFD.
pub(crate) struct Canvas<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
}

impl<'a> Canvas<'a> {
    /// The part of the buffer inside `area`.
    pub(crate) fn new(buffer: &'a mut Buffer, area: Rect) -> Self {
        let area = area.intersection(buffer.area);
        Self { buffer, area }
    }

    /// Cells across.
    pub(crate) fn width(&self) -> u16 {
        self.area.width
    }

    /// Lines.
    pub(crate) fn height(&self) -> u16 {
        self.area.height
    }

    /// A part of this part.
    pub(crate) fn part(&mut self, x: u16, y: u16, width: u16, height: u16) -> Canvas<'_> {
        let (x, y) = (x.min(self.area.width), y.min(self.area.height));
        let area = Rect {
            x: self.area.x + x,
            y: self.area.y + y,
            width: width.min(self.area.width - x),
            height: height.min(self.area.height - y),
        };
        Canvas { buffer: self.buffer, area }
    }

    /// Writes `text` and returns the column after it.
    pub(crate) fn put(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        self.put_in(x, y, self.area.width.saturating_sub(x), text, style)
    }

    /// Writes `text` into at most `width` cells and returns the column after it.
    pub(crate) fn put_in(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        if y >= self.area.height || x >= self.area.width {
            return x;
        }
        let width = usize::from(width.min(self.area.width - x));
        let (end, _) = self.buffer.set_stringn(self.area.x + x, self.area.y + y, printable(text), width, style);
        end - self.area.x
    }

    /// Writes `text` into at most `width` cells, ending in `ellipsis` where it was cut, and returns the column after it.
    pub(crate) fn put_fit(&mut self, x: u16, y: u16, width: u16, text: &str, ellipsis: &str, style: Style) -> u16 {
        self.put_in(x, y, width, &fit(text, width.into(), ellipsis), style)
    }

    /// Writes `text` so that it ends before column `end`, and returns where it begins. Without room for all of it, its end
    /// is cut off.
    pub(crate) fn put_right(&mut self, end: u16, y: u16, text: &str, style: Style) -> u16 {
        let end = end.min(self.area.width);
        let start = end.saturating_sub(cells(text));
        self.put_in(start, y, end - start, text, style);
        start
    }

    /// Writes words side by side, each followed by its number of free cells, as long as they end by column `end`. Returns
    /// the column of the next word.
    pub(crate) fn words(
        &mut self,
        x: u16,
        y: u16,
        end: u16,
        words: impl IntoIterator<Item = (String, Style, u16)>,
    ) -> u16 {
        let mut x = x;
        for (word, style, gap) in words {
            if x.saturating_add(cells(&word)) > end {
                break;
            }
            x = self.put(x, y, &word, style) + gap;
        }
        x
    }

    /// Writes lines from the top.
    pub(crate) fn lines<'l>(&mut self, lines: impl IntoIterator<Item = Line<'l>>) {
        let lines: Vec<_> = lines.into_iter().take(self.area.height.into()).map(clean).collect();
        self.render(Paragraph::new(lines));
    }

    /// Adds a style to cells.
    pub(crate) fn style(&mut self, x: u16, y: u16, width: u16, style: Style) {
        let part = self.part(x, y, width, 1);
        part.buffer.set_style(part.area, style);
    }

    /// A rule across a line.
    pub(crate) fn rule(&mut self, y: u16, glyph: &str, style: Style) {
        self.put(0, y, &glyph.repeat(self.area.width.into()), style);
    }

    /// Blanks everything.
    pub(crate) fn clear(&mut self) {
        self.render(Clear);
    }

    /// Draws one of ratatui's widgets. The widgets of this room do so with lines that are [`clean`]; panels cannot.
    pub(super) fn render(&mut self, widget: impl Widget) {
        widget.render(self.area, self.buffer);
    }
}

/// A line with every character in sight.
pub(super) fn clean(mut line: Line<'_>) -> Line<'_> {
    for span in &mut line.spans {
        if let Cow::Owned(clean) = printable(&span.content) {
            span.content = clean.into();
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_outside() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 3));
        let mut canvas = Canvas::new(&mut buffer, Rect::new(2, 1, 5, 1));
        assert_eq!(canvas.put(3, 0, "abcdef", Style::new()), 5);
        assert_eq!(canvas.put(0, 1, "xyz", Style::new()), 0);
        assert_eq!(canvas.put(9, 0, "xyz", Style::new()), 9);
        canvas.put_right(99, 0, "longer than five", Style::new());
        canvas.style(0, 7, 50, Style::new());
        let _ = canvas.part(8, 8, 9, 9).put(0, 0, "q", Style::new());
        assert_eq!(buffer, Buffer::with_lines(["          ", "  longe   ", "          "]));
    }

    #[test]
    fn words_are_written_whole_or_not_at_all() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        let mut canvas = Canvas::new(&mut buffer, Rect::new(0, 0, 12, 1));
        let words = ["one", "two", "three"].map(|word| (word.to_owned(), Style::new(), 2));
        assert_eq!(canvas.words(1, 0, 11, words), 11);
        assert_eq!(buffer, Buffer::with_lines([" one  two   "]));
    }

    #[test]
    fn characters_that_act_on_a_terminal_are_shown_instead() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 3));
        let mut canvas = Canvas::new(&mut buffer, Rect::new(0, 0, 12, 3));
        canvas.put(0, 0, "a\u{1b}[2J", Style::new());
        canvas.part(0, 1, 12, 2).lines([Line::raw("pay\u{202e}roll"), Line::raw(String::from("a\u{200b}b"))]);
        assert_eq!(buffer, Buffer::with_lines(["a\u{fffd}[2J       ", "pay\u{fffd}roll    ", "a\u{fffd}b         "]));
    }
}
