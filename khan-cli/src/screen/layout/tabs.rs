//! The line of views: their texts and where each stands.

use super::{Shown, is_compact};
use crate::screen::tab::Tab;
use crate::screen::text::cells;

/// The line of the screen that the views stand on.
pub(crate) const LINE: u16 = 1;

/// The column of the first view.
pub(crate) const START: u16 = 1;

/// What stands between two views.
pub(crate) const GAP: &str = "  ";

/// A view's place on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// The view that it opens.
    pub tab: Tab,
    /// The column of its first cell.
    pub x: u16,
    /// Its key, its name and, for leaks, how many are likely.
    pub text: String,
}

/// Every view in order; `likely` is the number of likely leaks.
pub(crate) fn labels(likely: usize) -> Vec<Label> {
    let mut x = START;
    let place = |(i, tab): (usize, Tab)| {
        let mark = if tab == Tab::Leaks && likely > 0 { format!("({likely})") } else { String::new() };
        let label = Label { tab, x, text: format!("{} {}{mark}", i + 1, tab.title()) };
        x += cells(&label.text) + cells(GAP);
        label
    };
    Tab::ALL.into_iter().enumerate().map(place).collect()
}

/// The view whose label is at a cell, where the screen has room for the line.
pub(crate) fn tab_at(size: (u16, u16), shown: Shown, likely: usize, (x, y): (u16, u16)) -> Option<Tab> {
    if y != LINE || is_compact(size) || shown.tab == Tab::Leaks {
        return None;
    }
    let at = |label: &Label| (label.x..label.x + cells(&label.text)).contains(&x);
    labels(likely).into_iter().find(at).map(|label| label.tab)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_found_where_it_stands() {
        let shown = Shown { tab: Tab::Edges, opened: false, details: false, tables: 0 };
        let at = |x| tab_at((120, 30), shown, 3, (x, LINE));
        for label in labels(3) {
            assert_eq!((at(label.x), at(label.x + cells(&label.text) - 1)), (Some(label.tab), Some(label.tab)));
        }
        assert_eq!((at(0), at(119)), (None, None));
        assert_eq!(tab_at((80, 24), shown, 3, (2, LINE)), None, "there is no such line on a small screen");
    }
}
