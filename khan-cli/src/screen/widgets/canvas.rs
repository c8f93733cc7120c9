//! Writing into a part of the frame and never outside of it.

use khan_api::text::printable;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// A rectangle of the frame. Coordinates are relative to its corner; what lies outside is not written.
pub(in crate::screen) struct Canvas<'a> {
    buffer: &'a mut Buffer,
    area: Rect,
}

impl<'a> Canvas<'a> {
    /// The part of the buffer inside `area`.
    pub(in crate::screen) fn new(buffer: &'a mut Buffer, area: Rect) -> Self {
        let area = area.intersection(buffer.area);
        Self { buffer, area }
    }

    /// Cells across.
    pub(in crate::screen) fn width(&self) -> u16 {
        self.area.width
    }

    /// Lines.
    pub(in crate::screen) fn height(&self) -> u16 {
        self.area.height
    }

    /// A part of this part.
    pub(in crate::screen) fn part(&mut self, x: u16, y: u16, width: u16, height: u16) -> Canvas<'_> {
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
    pub(in crate::screen) fn put(&mut self, x: u16, y: u16, text: &str, style: Style) -> u16 {
        self.put_in(x, y, self.area.width.saturating_sub(x), text, style)
    }

    /// Writes `text` into at most `width` cells and returns the column after it.
    pub(in crate::screen) fn put_in(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        if y >= self.area.height || x >= self.area.width {
            return x;
        }
        let width = usize::from(width.min(self.area.width - x));
        let (end, _) = self.buffer.set_stringn(self.area.x + x, self.area.y + y, printable(text), width, style);
        end - self.area.x
    }

    /// Writes `text` so that it ends before column `end`, cut on its left if it must be, and returns where it begins.
    pub(in crate::screen) fn put_right(&mut self, end: u16, y: u16, text: &str, style: Style) -> u16 {
        let end = end.min(self.area.width);
        let start = end.saturating_sub(cells(text));
        self.put_in(start, y, end - start, text, style);
        start
    }

    /// Adds a style to cells.
    pub(in crate::screen) fn style(&mut self, x: u16, y: u16, width: u16, style: Style) {
        let part = self.part(x, y, width, 1);
        part.buffer.set_style(part.area, style);
    }

    /// A rule across a line.
    pub(in crate::screen) fn rule(&mut self, y: u16, glyph: &str, style: Style) {
        for x in 0..self.area.width {
            self.put_in(x, y, 1, glyph, style);
        }
    }

    /// Blanks everything.
    pub(in crate::screen) fn clear(&mut self) {
        for y in self.area.top()..self.area.bottom() {
            for x in self.area.left()..self.area.right() {
                self.buffer[(x, y)].reset();
            }
        }
    }
}

/// Cells that a text of our own takes.
pub(in crate::screen) fn cells(text: &str) -> u16 {
    u16::try_from(crate::screen::text::width(text)).unwrap_or(u16::MAX)
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
}
