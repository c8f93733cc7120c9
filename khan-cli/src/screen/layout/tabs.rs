//! The line of views: their texts and where each stands.

use crate::screen::tab::Tab;
use crate::screen::text::cells;

/// The line of the screen that the views stand on.
pub(crate) const LINE: u16 = 1;

/// The column of the first view.
pub(crate) const START: u16 = 1;

/// A view's place on the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// The view that it opens.
    pub tab: Tab,
    /// The column of its first cell.
    pub x: u16,
    /// Its key and, where there is room, its name; for problems, how many there are.
    pub text: String,
}

/// Every view in order, on a line of `width` cells; `problems` is how many are more than something to watch.
///
/// Without room for all names, only the view that is `chosen` and an alarm have one.
pub(crate) fn labels(width: u16, chosen: Tab, problems: usize) -> Vec<Label> {
    let all = line(2, problems, |_| true);
    let fits = |labels: &[Label]| labels.last().is_none_or(|last| last.x + cells(&last.text) <= width);
    if fits(&all) {
        return all;
    }
    line(1, problems, |tab| tab == chosen.numbered() || (tab == Tab::Problems && problems > 0))
}

/// Every view in order with `gap` cells between them, by its name where it is to have one.
fn line(gap: u16, problems: usize, named: impl Fn(Tab) -> bool) -> Vec<Label> {
    let mut x = START;
    let place = |(i, tab): (usize, Tab)| {
        let mark = if tab == Tab::Problems && problems > 0 { format!("({problems})") } else { String::new() };
        let key = i + 1;
        let text = if named(tab) { format!("{key} {}{mark}", tab.title()) } else { key.to_string() };
        let label = Label { tab, x, text };
        x += cells(&label.text) + gap;
        label
    };
    Tab::NUMBERED.into_iter().enumerate().map(place).collect()
}

/// The view whose label is at a cell.
pub(crate) fn tab_at(width: u16, chosen: Tab, problems: usize, (x, y): (u16, u16)) -> Option<Tab> {
    let at = |label: &Label| (label.x..label.x + cells(&label.text)).contains(&x);
    labels(width, chosen, problems).into_iter().find(|label| y == LINE && at(label)).map(|label| label.tab)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_is_found_where_it_stands() {
        for width in [120, 80, 40] {
            let at = |x| tab_at(width, Tab::Nodes, 3, (x, LINE));
            for label in labels(width, Tab::Nodes, 3) {
                assert_eq!((at(label.x), at(label.x + cells(&label.text) - 1)), (Some(label.tab), Some(label.tab)));
            }
            assert_eq!((at(0), at(width - 1), tab_at(width, Tab::Nodes, 3, (2, 0))), (None, None, None));
        }
    }

    #[test]
    fn every_width_has_the_views_and_the_alarm() {
        let words = |width, chosen, problems| {
            let labels = labels(width, chosen, problems);
            let end = labels.last().map_or(0, |last| last.x + cells(&last.text));
            assert!(end <= width, "{end} of {width}");
            labels.into_iter().map(|label| label.text).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words(80, Tab::Edges, 12), "1 Edges 2 Sources 3 Dests 4 Nodes 5 External 6 Problems(12) 7 Agents");
        assert_eq!(words(60, Tab::External, 2), "1 2 3 4 5 External 6 Problems(2) 7");
        assert_eq!(words(40, Tab::External, 12), "1 2 3 4 5 External 6 Problems(12) 7");
        assert_eq!(words(40, Tab::Edges, 0), "1 Edges 2 3 4 5 6 7");
    }
}
