//! Where the parts of a screen are. Updates count lines and find clicks by it, panels draw by it; so it takes values only.

pub(super) mod drill;
pub(super) mod tabs;

use ratatui::layout::Rect;

use super::tab::Tab;

/// Below this only a summary is drawn.
pub(super) const SMALLEST: (u16, u16) = (40, 10);

/// Nodes whose tables are listed below the suspects.
pub(super) const TABLES: usize = 5;

/// What decides where the parts are, besides the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The view.
    pub tab: Tab,
    /// A row is open.
    pub opened: bool,
    /// Details of the row under the cursor are wanted below the list.
    pub details: bool,
    /// Nodes that report the size of their table.
    pub tables: usize,
}

/// The parts of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    /// Less room: two header lines instead of four, shorter words.
    pub compact: bool,
    /// Identity, views, totals.
    pub header: Rect,
    /// The list with its heads.
    pub body: Rect,
    /// More about the row under the cursor, or how full the tables are.
    pub details: Rect,
    /// Rule, status and hints.
    pub footer: Rect,
}

/// Where the parts are.
pub(super) fn layout((width, height): (u16, u16), shown: Shown) -> Areas {
    let compact = is_compact((width, height));
    let head = match (compact, shown.opened, shown.tab) {
        (true, true, _) => 1,
        (true, false, _) | (false, true, _) => 2,
        (false, false, Tab::Leaks) => 3,
        (false, false, _) => 4,
    };
    let foot = 3.min(height.saturating_sub(head + 2));
    let middle = height.saturating_sub(head + foot);
    let below = match shown.tab {
        _ if shown.opened => 0,
        Tab::Leaks => tables_height(shown.tables, middle),
        Tab::Agents | Tab::Nodes => 0,
        _ if shown.details => (middle / 3).min(7),
        _ => 0,
    };
    Areas {
        compact,
        header: Rect::new(0, 0, width, head.min(height)),
        body: Rect::new(0, head.min(height), width, middle - below),
        details: Rect::new(0, head + middle - below, width, below),
        footer: Rect::new(0, head + middle, width, foot),
    }
}

const fn is_compact((width, height): (u16, u16)) -> bool {
    width < 100 || height < 20
}

/// Lines for the tables below the suspects: none where the suspects would have too few.
fn tables_height(tables: usize, middle: u16) -> u16 {
    match u16::try_from(tables.min(TABLES)).unwrap_or(0) {
        0 => 0,
        _ if middle < 12 => 0,
        tables => (tables + 2).min(middle / 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_every_screen_that_is_large_enough() {
        for tab in Tab::ALL {
            for (opened, details) in [(false, false), (false, true), (true, false)] {
                let shown = Shown { tab, opened, details, tables: 9 };
                for (width, height) in [(120, 30), (80, 24), (40, 10), (100, 20)] {
                    let areas = layout((width, height), shown);
                    let parts = [areas.header, areas.body, areas.details, areas.footer];
                    assert_eq!(parts.iter().map(|part| part.height).sum::<u16>(), height, "{tab:?} {width}x{height}");
                    assert!(parts.windows(2).all(|pair| pair[0].bottom() == pair[1].top()));
                }
            }
        }
    }

    #[test]
    fn tables_leave_the_suspects_their_lines() {
        assert_eq!(
            [(0, 20), (2, 11), (2, 12), (9, 20), (9, 12)].map(|(n, middle)| tables_height(n, middle)),
            [0, 0, 4, 7, 6]
        );
    }
}
