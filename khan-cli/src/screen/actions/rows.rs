//! Which rows there are, in which order, and what is compared.

use std::time::Instant;

use crate::model::{Sort, SortBy};
use crate::screen::app::App;
use crate::screen::columns::Column;
use crate::screen::state::Delta;
use crate::screen::tab::Tab;
use crate::screen::table::What;

pub(super) fn regroup(app: &mut App, by: isize) {
    let groupings = app.page.groupings().len();
    let list = app.list_mut();
    list.grouping = match list.own.take() {
        Some(_) if by > 0 => 0,
        Some(_) => groupings - 1,
        None => (list.grouping + groupings).saturating_add_signed(by) % groupings,
    };
    list.cursor.release();
    list.shift = 0;
    let sort = app.list().sort;
    if app.orders().all(|order| order != sort.by) {
        app.list_mut().sort = Sort::default();
    }
    app.refresh(false);
}

/// Orders the present list.
pub(in crate::screen) fn sort_by(app: &mut App, sort: Sort) {
    app.list_mut().sort = sort;
    app.refresh(false);
}

/// Orders by a column that the list may not have.
pub(super) fn sort_at(app: &mut App, by: SortBy, now: Instant) {
    if app.orders().any(|order| order == by) {
        sort_by(app, Sort { by, reverse: false });
    } else {
        app.say(now, format!("these rows have no {} to sort by", by.as_str()));
    }
}

pub(super) fn sort_beside(app: &mut App, by: isize) {
    let shown: Vec<SortBy> = match app.page {
        Tab::Nodes => app.orders().collect(),
        _ => app.columns.of(&app.group_by()).into_iter().filter_map(Column::sort).collect(),
    };
    let sort = app.list().sort;
    let at = shown.iter().position(|column| *column == sort.by).unwrap_or(0);
    if let Some(next) = at.checked_add_signed(by).and_then(|at| shown.get(at)) {
        sort_by(app, Sort { by: *next, reverse: false });
    }
}

pub(super) fn invert(app: &mut App, now: Instant) {
    if app.filter.is_empty() {
        app.say(now, "there is no filter to invert; / sets one");
        return;
    }
    app.base.inverted = !app.base.inverted;
    app.refresh(false);
}

pub(super) fn pin(app: &mut App, now: Instant) {
    let Some(item) = app.current().copied() else {
        app.say(now, "move to a row first, then Space pins it");
        return;
    };
    let key = match item.what {
        What::Row(_) | What::Leak(_) | What::Node(_) => item.key,
        What::Child(..) | What::Reason(..) | What::More(_) | What::Other | What::Agent(_) => {
            app.say(now, "only rows of connections can be pinned");
            return;
        }
    };
    match app.pins.iter().position(|pinned| *pinned == key) {
        Some(at) => drop(app.pins.remove(at)),
        None => app.pins.push(key),
    }
    app.refresh(false);
}

pub(super) fn expand(app: &mut App, open: bool) {
    let Some(item) = app.current().copied() else {
        let shift = &mut app.list_mut().shift;
        *shift = if open { (*shift + 1).min(Column::all().count()) } else { shift.saturating_sub(1) };
        return;
    };
    let key = match item.what {
        What::Row(_) => item.key,
        What::Child(parent, _) | What::More(parent) if !open => app.children[parent].0,
        _ => return,
    };
    let changed = if open { app.expanded.insert(key) } else { app.expanded.remove(&key) };
    if changed {
        app.list_mut().cursor.key = Some(key);
        app.refresh(false);
    }
}

pub(super) fn delta(app: &mut App, now: Instant) {
    app.delta = match app.delta {
        Delta::Window if app.history.baseline_at().is_some() => Delta::Baseline,
        Delta::Window | Delta::Baseline => Delta::Rate,
        Delta::Rate => Delta::Window,
    };
    app.say(
        now,
        match app.delta {
            Delta::Window => "D: change over the window",
            Delta::Baseline => "D: change since the baseline",
            Delta::Rate => "D: change per minute",
        },
    );
    app.refresh(false);
}
