//! A table of any length: heads, and of the rows only those on the screen.
//!
//! Not ratatui's `Table`, which lays out every row that it is given: with 100,000 of them a frame would take 219 ms instead
//! of less than one.

use std::ops::Range;

use ratatui::style::Style;
use ratatui::text::Span;

use crate::screen::glyphs::Glyphs;
use crate::screen::layout::table::{Column, LEAD, Order, Placed, Slot, place};
use crate::screen::styles::Styles;

use super::canvas::Canvas;

/// Columns, and a function that makes a row when it comes on the screen.
pub(crate) struct Table<'a, C, F> {
    columns: Vec<Column<C>>,
    rows: Range<usize>,
    row: F,
    styles: &'a Styles,
    scrolls: Option<(usize, &'a Glyphs)>,
    padding: (u16, u16),
}

/// What a row shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row<'a> {
    sign: &'static str,
    selected: bool,
    content: Content<'a>,
}

#[derive(Clone, Debug)]
enum Content<'a> {
    /// A text per column that is shown.
    Cells(Vec<Span<'a>>),
    /// One text across all columns, so many cells further in.
    Across(u16, Span<'a>),
}

impl Default for Content<'_> {
    fn default() -> Self {
        Self::Cells(Vec::new())
    }
}

impl<'a> Row<'a> {
    /// A row with a text per column, in the order of the slots that it is made for.
    pub(crate) fn new(cells: impl IntoIterator<Item = Span<'a>>) -> Self {
        Self { content: Content::Cells(cells.into_iter().collect()), ..Self::default() }
    }

    /// A row with one text across all columns, `indent` cells further in.
    pub(crate) fn across(indent: u16, text: Span<'a>) -> Self {
        Self { content: Content::Across(indent, text), ..Self::default() }
    }

    /// Puts a sign of at most two cells before it.
    pub(crate) fn sign(self, sign: &'static str) -> Self {
        Self { sign, ..self }
    }

    /// Draws it as the row under the cursor.
    pub(crate) fn selected(self, selected: bool) -> Self {
        Self { selected, ..self }
    }
}

impl<'a, C, F> Table<'a, C, F>
where
    F: FnMut(usize, &[Slot<'_, C>]) -> Row<'a>,
{
    /// A table of `rows`, which begin with the first on the screen. `row` is called only for those that fit, with the
    /// index and the columns that are shown.
    pub(crate) fn new(styles: &'a Styles, columns: impl Into<Vec<Column<C>>>, rows: Range<usize>, row: F) -> Self {
        Self { columns: columns.into(), rows, row, styles, scrolls: None, padding: (0, 0) }
    }

    /// Scrolls the first columns away that are no keys, and marks the sides where there are more.
    pub(crate) fn scrolls(self, shift: usize, marks: &'a Glyphs) -> Self {
        Self { scrolls: Some((shift, marks)), ..self }
    }

    /// Leaves cells at the left and at the right, which only the bar of the selected row covers.
    pub(crate) fn padding(self, left: u16, right: u16) -> Self {
        Self { padding: (left, right), ..self }
    }

    /// Draws heads on the first line and rows on the others.
    pub(crate) fn draw(mut self, canvas: &mut Canvas<'_>) {
        let (left, right) = self.padding;
        let lead = left + LEAD;
        let end = canvas.width().saturating_sub(right);
        let placed = place(&self.columns, end, lead, self.scrolls.map_or(0, |(shift, _)| shift));
        for slot in &placed.slots {
            head(slot, self.styles, canvas);
        }
        if let Some((_, glyphs)) = self.scrolls {
            marks(&placed, end, glyphs, self.styles, canvas);
        }
        let slots = placed.slots;
        for (y, at) in (1..canvas.height()).zip(self.rows) {
            let row = (self.row)(at, &slots);
            canvas.put(left, y, row.sign, self.styles.accent);
            match &row.content {
                Content::Cells(cells) => {
                    for (slot, cell) in slots.iter().zip(cells) {
                        put(slot, y, &cell.content, cell.style, canvas);
                    }
                }
                Content::Across(indent, text) => {
                    canvas.put(lead + indent, y, &text.content, text.style);
                }
            }
            if row.selected {
                canvas.style(0, y, canvas.width(), self.styles.selected);
            }
        }
    }
}

/// Marks the sides of the heads where there are more columns.
fn marks<C>(placed: &Placed<'_, C>, end: u16, glyphs: &Glyphs, styles: &Styles, canvas: &mut Canvas<'_>) {
    if placed.shift > 0
        && let Some(seam) = placed.seam()
    {
        canvas.put(seam.saturating_sub(1), 0, glyphs.more_left, styles.accent);
    }
    if placed.more {
        canvas.put(end.saturating_sub(1), 0, glyphs.more_right, styles.accent);
    }
}

/// Writes a column's head, which says whether and which way the rows are sorted by it.
fn head<C>(slot: &Slot<'_, C>, styles: &Styles, canvas: &mut Canvas<'_>) {
    let column = slot.column;
    let fits = usize::from(slot.width) >= column.head.len() + if column.order.is_some() { 2 } else { 0 };
    let head = column.short.filter(|_| !fits).unwrap_or(&column.head);
    match column.order {
        None => put(slot, 0, head, column.head_style.unwrap_or(styles.head), canvas),
        Some(Order::Descending) => put(slot, 0, &format!("{head} v"), styles.head_sorted, canvas),
        Some(Order::Ascending) => put(slot, 0, &format!("{head} ^"), styles.head_sorted, canvas),
    }
}

fn put<C>(slot: &Slot<'_, C>, y: u16, text: &str, style: Style, canvas: &mut Canvas<'_>) {
    if slot.is_left() {
        canvas.put_in(slot.x, y, slot.width, text, style);
    } else {
        let mut cells = canvas.part(slot.x, y, slot.width, 1);
        cells.put_right(cells.width(), 0, text, style);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;
    use ratatui::style::Modifier;

    use super::*;
    use crate::screen::depth::Depth;
    use crate::screen::glyphs::{ASCII, UTF8};
    use crate::screen::styles::Theme;

    fn columns() -> [Column<char>; 3] {
        [
            Column::names('n', "DESTINATION").or_short("DEST").key(),
            Column::right('c', "CONNS", 7).sorted(Some(Order::Descending)),
            Column::left('f', "FLAGS", 5).leaves(8, 1),
        ]
    }

    fn paint(width: u16, height: u16, draw: impl FnOnce(&Styles, &mut Canvas<'_>)) -> Buffer {
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        draw(&Styles::new(Theme::Ansi, Depth::None), &mut Canvas::new(&mut buffer, area));
        buffer
    }

    fn lines(buffer: &Buffer) -> Vec<String> {
        let line =
            |cells: &[ratatui::buffer::Cell]| cells.iter().map(ratatui::buffer::Cell::symbol).collect::<String>();
        buffer.content.chunks(buffer.area.width.into()).map(|cells| line(cells).trim_end().to_owned()).collect()
    }

    fn text<'a>(at: usize, slots: &[Slot<'_, char>]) -> Row<'a> {
        Row::new(slots.iter().map(|slot| Span::raw(format!("{}{at}", slot.id()))))
    }

    #[test]
    fn only_rows_on_the_screen_are_made() {
        let made = RefCell::new(Vec::new());
        let buffer = paint(30, 4, |styles, canvas| {
            let row = |at: usize, slots: &[Slot<'_, char>]| {
                made.borrow_mut().push(at);
                text(at, slots)
            };
            Table::new(styles, columns(), 70_000..100_000, row).draw(canvas);
        });
        assert_eq!(made.into_inner(), [70_000, 70_001, 70_002]);
        assert_eq!(
            lines(&buffer),
            [
                "  DESTINATION    CONNS v FLAGS",
                "  n70000          c70000 f7000",
                "  n70001          c70001 f7000",
                "  n70002          c70002 f7000",
            ]
        );
    }

    #[test]
    fn rows_have_signs_bars_and_texts_across() {
        let buffer = paint(26, 5, |styles, canvas| {
            let row = |at: usize, slots: &[Slot<'_, char>]| match at {
                0 => text(at, slots).sign(">*").selected(true),
                1 => Row::across(3, Span::raw("across the columns, and cut")),
                _ => Row::default(),
            };
            Table::new(styles, columns(), 0..3, row).padding(1, 1).draw(canvas);
        });
        assert_eq!(
            lines(&buffer),
            ["   DEST     CONNS v FLAGS", " >*n0            c0 f0", "      across the columns,", "", ""]
        );
        let bar = |y: u16| (0..26).filter(|x| buffer[(*x, y)].modifier.contains(Modifier::REVERSED)).count();
        assert_eq!([0, 1, 2, 3].map(bar), [0, 26, 0, 0], "the bar covers the padding too");
    }

    #[test]
    fn names_stay_while_the_other_columns_scroll_and_marks_say_so() {
        let heads = |width, shift, glyphs: &Glyphs| {
            let buffer = paint(width, 1, |styles, canvas| {
                Table::new(styles, columns(), 0..0, text).scrolls(shift, glyphs).draw(canvas);
            });
            lines(&buffer).remove(0)
        };
        assert_eq!(heads(26, 9, &UTF8), "  DEST       CONNS v FLAGS", "all fit");
        assert_eq!(heads(22, 0, &UTF8), "  DEST       CONNS v ›");
        assert_eq!(heads(22, 1, &UTF8), "  DESTINATION   ‹FLAGS");
        assert_eq!(heads(22, 9, &ASCII), "  DESTINATION   <FLAGS");
        assert_eq!(heads(22, 0, &ASCII), "  DEST       CONNS v >");
    }

    #[test]
    fn no_text_of_a_cell_reaches_the_terminal_raw() {
        let buffer = paint(26, 3, |styles, canvas| {
            let row = |at: usize, slots: &[Slot<'_, char>]| match at {
                0 => Row::new(slots.iter().map(|_| Span::raw("a\u{1b}[2J"))),
                _ => Row::across(0, Span::raw("pay\u{202e}roll")),
            };
            Table::new(styles, columns(), 0..2, row).draw(canvas);
        });
        assert_eq!(lines(&buffer)[1..], ["  a\u{fffd}[2J        a\u{fffd}[2J a\u{fffd}[2J", "  pay\u{fffd}roll"]);
    }
}
