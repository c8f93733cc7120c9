//! Moving about: in lists, in details, in menus and in texts.

use crate::screen::app::App;
use crate::screen::keys::Id;
use crate::screen::overlay::{Menu, Overlay};
use crate::screen::reader;

/// Steps of a movement: by so many lines, or to an end.
fn distance(id: Id, page: usize) -> isize {
    let page = isize::try_from(page.max(1)).unwrap_or(isize::MAX);
    match id {
        Id::Down => 1,
        Id::Up => -1,
        Id::HalfDown => (page / 2).max(1),
        Id::HalfUp => -(page / 2).max(1),
        Id::PageDown => page,
        Id::PageUp => -page,
        Id::First => isize::MIN / 2,
        _ => isize::MAX / 2,
    }
}

pub(super) fn go(app: &mut App, id: Id) {
    let size = app.size;
    match &app.overlay {
        Some(Overlay::Reader(_)) => {
            let (lines, page) = reader::extent(app);
            if let Some(Overlay::Reader(reader)) = &mut app.overlay {
                reader.offset = reader.offset.saturating_add_signed(distance(id, page)).min(lines.saturating_sub(page));
            }
        }
        Some(Overlay::Menu(menu)) => {
            let last = menu.entries(app).len().saturating_sub(1);
            let at = menu.at.saturating_add_signed(distance(id, last)).min(last);
            app.overlay = Some(Overlay::Menu(Menu { at, ..*menu }));
        }
        None => {
            if let Some(drill) = app.drills.last_mut() {
                let page = crate::screen::panels::drill::list_height(size, drill);
                if id == Id::First {
                    drill.cursors[drill.pane].release();
                } else {
                    drill.step(distance(id, page), size);
                }
                return;
            }
            let (keys, height) = (app.keys(), app.body_height());
            let cursor = &mut app.list_mut().cursor;
            if id == Id::First { cursor.release() } else { cursor.step(distance(id, height), &keys, height) }
        }
    }
}

/// Goes to the next line that holds `text`, in any case.
pub(in crate::screen) fn search(app: &mut App, text: &str) {
    let lines = reader::lines(app);
    let wanted = text.to_lowercase();
    let (_, page) = reader::extent(app);
    if let Some(Overlay::Reader(reader)) = &mut app.overlay {
        text.clone_into(&mut reader.search);
        if wanted.is_empty() {
            return;
        }
        let after = reader.offset + 1;
        let order = (after..lines.len()).chain(0..after.min(lines.len()));
        let hit = order.into_iter().find(|at| lines[*at].text().to_lowercase().contains(&wanted));
        if let Some(at) = hit {
            reader.offset = at.min(lines.len().saturating_sub(page));
        }
    }
    app.dirty = true;
}
