//! Moving about: in lists, in details, in menus and in texts.

use crate::screen::keys::Action;
use crate::screen::layout::drill::height;
use crate::screen::state::App;
use crate::screen::state::overlays::Overlay;

/// Lines that a movement goes by; further than any list is long for one to an end.
fn distance(action: Action, page: usize) -> isize {
    let page = isize::try_from(page.max(1)).unwrap_or(isize::MAX);
    match action {
        Action::Down => 1,
        Action::Up => -1,
        Action::HalfDown => (page / 2).max(1),
        Action::HalfUp => -(page / 2).max(1),
        Action::PageDown => page,
        Action::PageUp => -page,
        Action::First => isize::MIN / 2,
        _ => isize::MAX / 2,
    }
}

/// Moves in what is on top.
pub(super) fn go(app: &mut App, action: Action) {
    match app.overlays.current() {
        Some(Overlay::Reader(reader)) => {
            let (lines, page) = (app.lines(reader).len(), app.page_height());
            let offset = reader.offset.saturating_add_signed(distance(action, page)).min(lines.saturating_sub(page));
            app.overlays.scroll_to(offset);
        }
        Some(Overlay::Menu(menu)) => {
            let last = app.entries(menu.kind).len().saturating_sub(1);
            let (kind, at) = (menu.kind, menu.at.saturating_add_signed(distance(action, last)).min(last));
            app.overlays.choose(kind, at);
        }
        None => match app.drills.last() {
            Some(_) if action == Action::First => app.drills.release(),
            Some(drill) => {
                let page = height(app.size().1, drill.contents());
                app.drills.step(distance(action, page), app.size().1);
            }
            None if action == Action::First => app.lists.release(),
            None => {
                let (keys, page) = (app.answers.keys(), app.body_height());
                app.lists.step(distance(action, page), &keys, page);
            }
        },
    }
}

/// Goes to the next line that holds `text`, in any case, in the text that is open.
pub(in crate::screen::update) fn search(app: &mut App, text: &str) {
    app.touch();
    app.overlays.search(text);
    let Some(reader) = app.overlays.reader().filter(|_| !text.is_empty()) else { return };
    let (lines, wanted) = (app.lines(reader), text.to_lowercase());
    let after = reader.offset + 1;
    let order = (after..lines.len()).chain(0..after.min(lines.len()));
    let hit = order.into_iter().find(|at| lines[*at].text().to_lowercase().contains(&wanted));
    if let Some(at) = hit {
        app.overlays.scroll_to(at.min(lines.len().saturating_sub(app.page_height())));
    }
}
