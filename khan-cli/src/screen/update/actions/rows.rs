//! Which rows there are, in which order, and what is compared.

use std::time::Instant;

use crate::model::{LeakRule, Sort, SortBy};
use crate::screen::columns::Column;
use crate::screen::items::What;
use crate::screen::state::App;
use crate::screen::state::question::Delta;
use crate::screen::tab::Tab;

/// The next grouping, or the one before.
pub(super) fn regroup(app: &mut App, by: isize) {
    app.lists.regroup(by);
    app.refresh(false);
}

/// Orders the present list.
pub(in crate::screen::update) fn sort_by(app: &mut App, sort: Sort) {
    app.lists.sort_by(sort);
    app.refresh(false);
}

/// Orders by a column that the list may not have.
pub(super) fn sort_at(app: &mut App, by: SortBy, now: Instant) {
    if app.lists.orders().any(|order| order == by) {
        sort_by(app, Sort { by, reverse: false });
    } else {
        app.say(now, format!("these rows have no {} to sort by", by.as_str()));
    }
}

/// Orders by the next column that is shown, or the one before.
pub(super) fn sort_beside(app: &mut App, by: isize) {
    let shown: Vec<SortBy> = match app.lists.tab() {
        Tab::Nodes => app.lists.orders().collect(),
        _ => app.settings.columns().of(&app.lists.group_by()).into_iter().filter_map(Column::sort).collect(),
    };
    let sort = app.lists.list().sort;
    let at = shown.iter().position(|column| *column == sort.by).unwrap_or(0);
    if let Some(next) = at.checked_add_signed(by).and_then(|at| shown.get(at)) {
        sort_by(app, Sort { by: *next, reverse: false });
    }
}

/// Shows what the filter hides, or the other way round.
pub(super) fn invert(app: &mut App, now: Instant) {
    if app.question.filter().is_empty() {
        app.say(now, "there is no filter to invert; / sets one");
        return;
    }
    app.question.invert();
    app.refresh(false);
}

/// Pins the row under the cursor, or unpins it.
pub(super) fn pin(app: &mut App, now: Instant) {
    let Some(item) = app.current().copied() else {
        app.say(now, "move to a row first, then Space pins it");
        return;
    };
    match item.what {
        What::Row(_) | What::Leak(_) | What::Node(_) => {
            app.lists.pin(item.key);
            app.refresh(false);
        }
        What::Child(..)
        | What::Reason(..)
        | What::More(_)
        | What::Other
        | What::Agent(_)
        | What::Problem(_)
        | What::Unknown(_) => {
            app.say(now, "only rows of connections can be pinned");
        }
    }
}

/// Lists the parts of the row under the cursor, or no longer. The columns scroll where there is nothing to expand, and back
/// before anything collapses.
pub(super) fn expand(app: &mut App, open: bool) {
    let key = match app.current().map(|item| (item.key, item.what)) {
        Some((key, What::Row(_))) if open != app.lists.is_expanded(key) => key,
        Some((_, What::Child(parent, _) | What::More(parent))) if !open => app.answers.children()[parent].0,
        _ => return scroll(app, open),
    };
    if !open && app.scrolled().0 > 0 {
        scroll(app, open);
    } else if app.lists.expand(key, open) {
        app.refresh(false);
    }
}

/// Scrolls by one column, as far as there is something to see.
fn scroll(app: &mut App, right: bool) {
    match app.scrolled() {
        (shift, true) if right => app.lists.scroll_to(shift + 1),
        (shift @ 1.., _) if !right => app.lists.scroll_to(shift - 1),
        _ => {}
    }
}

/// The next kind of change to show.
pub(super) fn delta(app: &mut App, now: Instant) {
    let (next, words) = match app.question.delta() {
        Delta::Window if app.data.history().baseline_at().is_some() => {
            (Delta::Baseline, "D: change since the baseline")
        }
        Delta::Window | Delta::Baseline => (Delta::Rate, "D: change per minute"),
        Delta::Rate => (Delta::Window, "D: change over the window"),
    };
    app.question.set_delta(next);
    app.say(now, words);
    app.refresh(false);
}

/// Judges by another rule.
pub(super) fn judge(app: &mut App, rule: LeakRule) {
    app.question.set_rule(rule);
    app.refresh(true);
}
