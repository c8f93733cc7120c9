//! The views with their keys.

use crate::model::Verdict;
use crate::tui::app::App;
use crate::tui::page::Page;
use crate::tui::view::frame::layout;
use crate::tui::view::pen::{Pen, cells};

/// The views with their keys, and where each stands.
fn tab_texts(app: &App) -> Vec<(Page, u16, String)> {
    let likely = app.report.count(Verdict::Likely);
    let mut x = 1;
    let place = |(i, page): (usize, Page)| {
        let mark = if page == Page::Leaks && likely > 0 { format!("({likely})") } else { String::new() };
        let text = format!("{} {}{mark}", i + 1, page.title());
        let tab = (page, x, text);
        x += cells(&tab.2) + 2;
        tab
    };
    Page::ALL.into_iter().enumerate().map(place).collect()
}

pub(super) fn tabs(app: &App, pen: &mut Pen<'_>) {
    let likely = app.report.count(Verdict::Likely);
    for (page, x, text) in tab_texts(app) {
        let style = if page == app.page {
            app.styles.selected
        } else if page == Page::Leaks && likely > 0 {
            app.styles.bad
        } else {
            app.styles.text
        };
        pen.put(x, 1, &text, style);
    }
}

/// The view whose tab is at a cell.
pub fn tab_at(app: &App, x: u16, y: u16) -> Option<Page> {
    let areas = layout(app.size, app);
    if y != 1 || areas.compact || app.page == Page::Leaks {
        return None;
    }
    tab_texts(app)
        .into_iter()
        .find(|(_, start, text)| (*start..*start + cells(text)).contains(&x))
        .map(|(page, ..)| page)
}
