//! To another view, and what a view or a command sets.

use std::time::Instant;

use crate::model::LeakRule;
use crate::screen::msg::Effect;
use crate::screen::setting::Setting;
use crate::screen::state::App;
use crate::screen::tab::Tab;
use crate::screen::update::filter::put_filter;

use super::rows::{judge, sort_by};

/// Shows a view, and no opened row any more.
pub(super) fn turn_to(app: &mut App, tab: Tab) -> Vec<Effect> {
    let waiting = app.drills.close_all();
    if app.lists.turn_to(tab) {
        app.refresh(false);
    }
    if waiting { vec![Effect::Cancel] } else { Vec::new() }
}

/// Shows a saved view.
pub(in crate::screen::update) fn show_saved(app: &mut App, at: usize, now: Instant) -> Vec<Effect> {
    let Some(saved) = app.settings.views().get(at).cloned() else { return Vec::new() };
    app.say(now, format!("view {}", saved.name));
    // Its filter is meant as it stands there.
    if app.question.base().inverted && saved.settings.iter().any(|setting| matches!(setting, Setting::Filter(..))) {
        app.question.invert();
    }
    saved.settings.into_iter().flat_map(|setting| set(app, setting)).collect()
}

/// Sets it.
pub(in crate::screen::update) fn set(app: &mut App, setting: Setting) -> Vec<Effect> {
    match setting {
        Setting::View(tab) => return turn_to(app, tab),
        Setting::Namespaces(names) => {
            app.question.set_namespaces(names);
            app.refresh(true);
        }
        Setting::GroupBy(by) => {
            app.lists.group(by);
            app.refresh(false);
        }
        Setting::Filter(filter, text) => put_filter(app, filter, &text),
        // As --window: of khan leaks it is that of the rule.
        Setting::Window(window) if app.lists.tab() == Tab::Leaks => {
            judge(app, LeakRule { window, ..*app.question.rule() });
        }
        Setting::Window(window) => {
            app.question.set_window(window);
            app.refresh(false);
        }
        Setting::Limit(limit) => {
            app.question.set_limit(limit);
            app.refresh(false);
        }
        Setting::Sort(sort) => sort_by(app, sort),
        Setting::Columns(columns) => app.settings.choose_columns(columns),
        Setting::Interval(interval) => {
            app.settings.set_interval(interval);
            return vec![Effect::Interval(interval)];
        }
        Setting::Theme(theme) => app.settings.wear(theme),
    }
    Vec::new()
}
