//! Short lists to choose from.

use std::time::Instant;

use crate::model::Sort;
use crate::screen::columns::Column;
use crate::screen::menu::{EXPORTS, MenuKind};
use crate::screen::msg::Effect;
use crate::screen::prompt::Purpose;
use crate::screen::state::App;
use crate::screen::update::export::file_name;

use crate::screen::update::line::begin;

use super::rows::sort_by;
use super::views::show_saved;

/// Opens a menu on what is chosen now.
pub(super) fn menu(app: &mut App, kind: MenuKind) {
    let at = app.entries(kind).iter().position(|entry| entry.chosen == Some(true)).unwrap_or(0);
    app.overlays.choose(kind, at);
}

/// Enter or Space in a menu. Enter closes it.
pub(super) fn choose(app: &mut App, close: bool, now: Instant) -> Vec<Effect> {
    let Some(menu) = app.overlays.menu() else { return Vec::new() };
    let entries = app.entries(menu.kind);
    let Some(entry) = entries.get(menu.at) else { return Vec::new() };
    let column = Column::from_name(&entry.name);
    if close || matches!(menu.kind, MenuKind::Export | MenuKind::Views) {
        app.overlays.close();
    }
    match menu.kind {
        MenuKind::Sort => {
            if let Some(by) = column.and_then(Column::sort) {
                let sort = app.lists.list().sort;
                sort_by(app, Sort { by, reverse: sort.by == by && !sort.reverse && !close });
            }
        }
        MenuKind::Columns => {
            if let (Some(column), false) = (column, close) {
                app.settings.turn_column(column);
            }
        }
        MenuKind::Views => return show_saved(app, menu.at, now),
        MenuKind::Export => {
            if let Some((form, _)) = EXPORTS.iter().find(|(form, _)| *form == entry.name) {
                let name = file_name(app, form);
                begin(app, Purpose::Export, &name);
            }
        }
    }
    Vec::new()
}
