//! Where the parts of a screen are. Updates count lines and find clicks by it, panels draw by it; so it takes values only.

pub(super) mod table;
pub(super) mod drill;
pub(super) mod tabs;

use ratatui::layout::Rect;

use super::tab::Tab;

/// Below this only a summary is drawn.
pub(super) const SMALLEST: (u16, u16) = (40, 10);

/// Nodes whose tables are listed below the suspects.
pub(super) const TABLES: usize = 5;

/// Header lines of every screen: identity and views.
const TITLE: u16 = 2;

/// Footer lines: the rule with the status on it, and the hints.
const FOOT: u16 = 2;

/// Heights that the details below a list can have, the most generous first.
const DETAILS: [u16; 6] = [20, 16, 12, 8, 7, 6];

/// Whether details of the row under the cursor stand below the list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Details {
    /// Where the list leaves room for them.
    #[default]
    WithRoom,
    /// Always.
    On,
    /// Never.
    Off,
}

/// What decides where the parts are, besides the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The view.
    pub tab: Tab,
    /// A row is open.
    pub opened: bool,
    /// There is a diagnosis to say.
    pub diagnosis: bool,
    /// Whether details are wanted below the list.
    pub details: Details,
    /// Lines of the list.
    pub rows: usize,
    /// Nodes that report the size of their table.
    pub tables: usize,
}

/// The parts of a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    /// Less room: no rules, shorter words.
    pub compact: bool,
    /// Identity, views, diagnosis, totals.
    pub header: Rect,
    /// The list with its heads.
    pub body: Rect,
    /// More about the row under the cursor, or how full the tables are.
    pub details: Rect,
    /// Status and hints.
    pub footer: Rect,
}

/// Where the parts are.
pub(super) fn layout((width, height): (u16, u16), shown: Shown) -> Areas {
    let compact = is_compact((width, height));
    let head = TITLE
        + match (compact, shown.opened) {
            (_, true) => 0,
            (true, false) => 1 + u16::from(shown.diagnosis),
            // Totals, and the diagnosis or a rule: the list does not jump when a diagnosis comes.
            (false, false) => 2,
        };
    let foot = FOOT.min(height.saturating_sub(head + 2));
    let middle = height.saturating_sub(head + foot);
    let below = match shown.tab {
        _ if shown.opened => 0,
        Tab::Leaks => tables_height(shown.tables, middle),
        Tab::Agents => 0,
        Tab::Edges | Tab::Sources | Tab::Dests | Tab::External | Tab::Nodes | Tab::Problems => {
            details_height(shown.details, shown.rows, middle)
        }
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

/// Lines for the details below a list of `rows`, of `middle` in all.
fn details_height(wanted: Details, rows: usize, middle: u16) -> u16 {
    let list = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(1);
    let free = middle.saturating_sub(list);
    let fits = || DETAILS.into_iter().find(|height| *height <= free && *height <= middle / 2);
    match wanted {
        Details::Off => 0,
        // A screen without a row has other things to say.
        Details::WithRoom if rows == 0 => 0,
        Details::WithRoom => fits().unwrap_or(0),
        Details::On => fits().unwrap_or_else(|| (middle / 3).min(8)),
    }
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

    const LIST: Shown =
        Shown { tab: Tab::Edges, opened: false, diagnosis: false, details: Details::WithRoom, rows: 9, tables: 9 };

    #[test]
    fn the_parts_fill_every_screen_that_is_large_enough() {
        for tab in Tab::ALL {
            for (opened, details, diagnosis) in
                [(false, Details::Off, false), (false, Details::On, true), (true, Details::WithRoom, true)]
            {
                let shown = Shown { tab, opened, diagnosis, details, ..LIST };
                for (width, height) in [(160, 50), (120, 30), (80, 24), (40, 10), (100, 20)] {
                    let areas = layout((width, height), shown);
                    let parts = [areas.header, areas.body, areas.details, areas.footer];
                    assert_eq!(parts.iter().map(|part| part.height).sum::<u16>(), height, "{tab:?} {width}x{height}");
                    assert!(parts.windows(2).all(|pair| pair[0].bottom() == pair[1].top()));
                }
            }
        }
    }

    #[test]
    fn details_come_by_themselves_where_the_list_leaves_room() {
        let height = |size, rows| layout(size, Shown { rows, ..LIST }).details.height;
        assert_eq!([9, 11, 12, 15, 16, 17, 18].map(|rows| height((120, 30), rows)), [12, 12, 8, 8, 7, 6, 0]);
        assert_eq!([9, 10, 11, 200].map(|rows| height((80, 24), rows)), [8, 8, 7, 0]);
        assert_eq!([0, 9, 40].map(|rows| height((160, 50), rows)), [0, 20, 0]);
        let wanted = |details| layout((80, 24), Shown { details, rows: 200, ..LIST }).details.height;
        assert_eq!([Details::On, Details::Off, Details::WithRoom].map(wanted), [6, 0, 0]);
    }

    #[test]
    fn a_diagnosis_has_a_line_of_its_own_and_does_not_move_a_large_screen() {
        let body = |size, diagnosis| layout(size, Shown { diagnosis, ..LIST }).body.y;
        assert_eq!([(80, 24), (120, 30)].map(|size| (body(size, false), body(size, true))), [(3, 4), (4, 4)]);
    }

    #[test]
    fn tables_leave_the_suspects_their_lines() {
        assert_eq!(
            [(0, 20), (2, 11), (2, 12), (9, 20), (9, 12)].map(|(n, middle)| tables_height(n, middle)),
            [0, 0, 4, 7, 6]
        );
    }
}
