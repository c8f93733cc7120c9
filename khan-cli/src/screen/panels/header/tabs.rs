//! The views with their keys.

use crate::model::Verdict;
use crate::screen::app::App;
use crate::screen::panels::frame::layout;
use crate::screen::tab::Tab;
use crate::screen::widgets::canvas::{Canvas, cells};

/// The views with their keys, and where each stands.
fn tab_texts(app: &App) -> Vec<(Tab, u16, String)> {
    let likely = app.report.count(Verdict::Likely);
    let mut x = 1;
    let place = |(i, page): (usize, Tab)| {
        let mark = if page == Tab::Leaks && likely > 0 { format!("({likely})") } else { String::new() };
        let text = format!("{} {}{mark}", i + 1, page.title());
        let tab = (page, x, text);
        x += cells(&tab.2) + 2;
        tab
    };
    Tab::ALL.into_iter().enumerate().map(place).collect()
}

pub(super) fn tabs(app: &App, canvas: &mut Canvas<'_>) {
    let likely = app.report.count(Verdict::Likely);
    for (page, x, text) in tab_texts(app) {
        let style = if page == app.page {
            app.styles.selected
        } else if page == Tab::Leaks && likely > 0 {
            app.styles.bad
        } else {
            app.styles.text
        };
        canvas.put(x, 1, &text, style);
    }
}

/// The view whose tab is at a cell.
pub fn tab_at(app: &App, x: u16, y: u16) -> Option<Tab> {
    let areas = layout(app.size, app);
    if y != 1 || areas.compact || app.page == Tab::Leaks {
        return None;
    }
    tab_texts(app)
        .into_iter()
        .find(|(_, start, text)| (*start..*start + cells(text)).contains(&x))
        .map(|(page, ..)| page)
}
