//! Short lists to choose from.

use crate::model::Sort;
use crate::screen::app::App;
use crate::screen::columns::Column;
use crate::screen::copy_export;
use crate::screen::msg::Effect;
use crate::screen::overlay::{EXPORTS, Menu, MenuKind, Overlay};

use super::rows::sort_by;

pub(super) fn menu(app: &mut App, kind: MenuKind) {
    app.overlay = Some(Overlay::Menu(Menu { kind, at: 0 }));
    if let Some(Overlay::Menu(menu)) = app.overlay {
        let at = menu.entries(app).iter().position(|entry| entry.chosen == Some(true)).unwrap_or(0);
        app.overlay = Some(Overlay::Menu(Menu { at, ..menu }));
    }
}

/// Enter or Space in a menu. Enter closes it.
pub(super) fn choose(app: &mut App, close: bool) -> Vec<Effect> {
    let Some(Overlay::Menu(menu)) = app.overlay else { return Vec::new() };
    let entries = menu.entries(app);
    let Some(entry) = entries.get(menu.at) else { return Vec::new() };
    let column = Column::from_name(entry.name);
    if close || menu.kind == MenuKind::Export {
        app.overlay = None;
    }
    match menu.kind {
        MenuKind::Sort => {
            if let Some(by) = column.and_then(Column::sort) {
                let sort = app.list().sort;
                sort_by(app, Sort { by, reverse: sort.by == by && !sort.reverse && !close });
            }
        }
        MenuKind::Columns => {
            if let (Some(column), false) = (column, close) {
                app.columns.turn(column);
            }
        }
        MenuKind::Export => {
            if let Some((form, _)) = EXPORTS.iter().find(|(form, _)| *form == entry.name) {
                return copy_export::export(app, form);
            }
        }
    }
    Vec::new()
}
