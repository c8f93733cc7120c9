//! What each action does.

mod motion;
mod time;
mod rows;
mod views;
mod menus;
mod opening;

use std::time::{Duration, Instant};

use crate::model::{LeakRule, Sort, SortBy};
use crate::screen::keys::Action;
use crate::screen::menu::MenuKind;
use crate::screen::msg::{Effect, Exit};
use crate::screen::prompt::Purpose;
use crate::screen::reader::{Text, kubectl, promql};
use crate::screen::state::App;
use crate::screen::state::past::{Stride, Way};
use crate::screen::state::question::Delta;
use crate::screen::tab::Tab;

use super::copy::{copy, copy_next, subject};
use super::line::begin;

use menus::{choose, menu};
use motion::go;
pub(super) use motion::search;
use opening::{back, next, open};
pub(super) use rows::sort_by;
use rows::{delta, expand, invert, judge, pin, regroup, sort_at, sort_beside};
pub(super) use time::{go_to, look_over};
use views::turn_to;
pub(super) use views::{set, show_saved};

/// Refresh intervals that `+` and `-` go through, in seconds.
const INTERVALS: [u64; 8] = [1, 2, 5, 10, 15, 30, 60, 300];
/// Windows of the leak rule, in minutes.
const WINDOWS: [u64; 5] = [5, 15, 30, 60, 120];
/// Shares of rising steps of the leak rule, in percent.
const SHARES: [f64; 4] = [0.7, 0.8, 0.9, 1.0];

/// What keys that change columns and order say in views that have none to change.
const FIXED: &str = "the columns and the order of this view are fixed";

/// Performs `action`, as a key, a click or a command asks for it, and returns what is to be done outside of the state.
pub(super) fn perform(app: &mut App, action: Action, now: Instant) -> Vec<Effect> {
    app.touch();
    match action {
        Action::Down
        | Action::Up
        | Action::First
        | Action::Last
        | Action::HalfDown
        | Action::HalfUp
        | Action::PageDown
        | Action::PageUp => {
            go(app, action);
        }
        Action::Open if app.overlays.current().is_none() && app.login().is_some() => {
            return vec![Effect::Quit(Exit::Reconnect(None))];
        }
        Action::Open => return open(app, now),
        Action::Back => return back(app),
        Action::NextEdge => return next(app),
        Action::NextPane => {
            app.drills.next_pane();
            app.settle();
        }
        Action::View(tab) => return turn_to(app, tab),
        // Of what is wrong there are two lists.
        Action::NextGroup | Action::PreviousGroup if app.lists.tab() == Tab::Problems => {
            return turn_to(app, Tab::Leaks);
        }
        Action::NextGroup | Action::PreviousGroup if app.lists.tab() == Tab::Leaks => {
            return turn_to(app, Tab::Problems);
        }
        Action::NextGroup => regroup(app, 1),
        Action::PreviousGroup => regroup(app, -1),
        Action::SortLeft => sort_beside(app, -1),
        Action::SortRight => sort_beside(app, 1),
        Action::Reverse => {
            let sort = app.lists.list().sort;
            sort_by(app, Sort { reverse: !sort.reverse, ..sort });
        }
        Action::SortConns => sort_at(app, SortBy::Connections, now),
        Action::SortDelta => sort_at(app, SortBy::Delta, now),
        Action::SortSource => sort_at(app, SortBy::Source, now),
        Action::SortTarget => sort_at(app, SortBy::Destination, now),
        Action::SortMenu if app.lists.tab() == Tab::Agents => app.say(now, FIXED),
        Action::SortMenu => menu(app, MenuKind::Sort),
        Action::Details if app.lists.tab() == Tab::Problems => return change(app, action, now),
        Action::Columns | Action::Wide | Action::Details if app.lists.tab().is_fixed() => app.say(now, FIXED),
        Action::Columns => menu(app, MenuKind::Columns),
        Action::Export => menu(app, MenuKind::Export),
        Action::Views if app.settings.views().is_empty() => {
            app.say(now, "no views are saved: :save NAME saves what is shown");
        }
        Action::Views => menu(app, MenuKind::Views),
        Action::Saved(at) => return show_saved(app, at, now),
        Action::Toggle => return choose(app, false, now),
        Action::Filter => {
            app.prompts.hold(app.lists.cursor());
            let text = app.question.filter_text().to_owned();
            begin(app, Purpose::Filter, &text);
        }
        Action::Search => begin(app, Purpose::Search, ""),
        Action::Command => begin(app, Purpose::Command, ""),
        Action::Help => app.overlays.read(Text::Help(app.context())),
        Action::Errors => app.overlays.read(Text::Errors),
        Action::Repaint => return vec![Effect::Repaint],
        Action::Quit => {
            if app.overlays.current().is_some() || !app.drills.is_empty() {
                return back(app);
            }
            return vec![Effect::Quit(Exit::Quit)];
        }
        Action::QuitKeep => return vec![Effect::Quit(Exit::Keep)],
        Action::Interrupt => return vec![Effect::Quit(Exit::Interrupt)],
        Action::Suspend => return vec![Effect::Suspend],
        action => return change(app, action, now),
    }
    Vec::new()
}

/// What changes the rows, the time, or what is taken away.
fn change(app: &mut App, action: Action, now: Instant) -> Vec<Effect> {
    match action {
        Action::Invert => invert(app, now),
        Action::Pin => pin(app, now),
        Action::UnpinAll => {
            app.lists.unpin_all();
            app.refresh(false);
        }
        Action::Expand => expand(app, true),
        Action::Collapse => expand(app, false),
        Action::Pause => time::pause(app, now),
        Action::StepBack => time::go(app, Way::Back, Stride::Round, now),
        Action::StepOn => time::go(app, Way::On, Stride::Round, now),
        Action::JumpBack => time::go(app, Way::Back, time::jump(), now),
        Action::JumpOn => time::go(app, Way::On, time::jump(), now),
        Action::Oldest => time::go(app, Way::Back, Stride::End, now),
        Action::Latest => time::latest(app, now),
        Action::Play => time::play(app, now),
        Action::PlaySlower | Action::PlayFaster => time::pace(app, action, now),
        Action::Baseline => {
            app.data.set_baseline();
            app.question.set_delta(Delta::Baseline);
            app.refresh(false);
            app.say(now, "baseline set: changes count from now; B clears it");
        }
        Action::ClearBaseline => {
            app.data.clear_baseline();
            app.question.set_delta(Delta::Window);
            app.refresh(false);
        }
        Action::DeltaMode => delta(app, now),
        Action::Faster => return pace(app, -1),
        Action::Slower => return pace(app, 1),
        Action::Refresh => {
            app.say(now, "asking for new data");
            return vec![Effect::Refresh];
        }
        Action::Range => return time::next_range(app, now),
        Action::Window => {
            let rule = *app.question.rule();
            let minutes = rule.window.as_secs() / 60;
            let next = WINDOWS.into_iter().find(|w| *w > minutes).unwrap_or(WINDOWS[0]);
            judge(app, LeakRule { window: Duration::from_mins(next), ..rule });
        }
        Action::Threshold => {
            let rule = *app.question.rule();
            let next = SHARES.into_iter().find(|share| *share > rule.rising + 0.001).unwrap_or(SHARES[0]);
            judge(app, LeakRule { rising: next, ..rule });
        }
        Action::Details => {
            let shown = app.areas().details.height > 0;
            app.settings.turn_details(shown);
            app.settle();
        }
        Action::Fold => {
            app.question.turn_fold();
            app.say(now, if app.question.folds() { "fan-outs are one row each" } else { "every edge is a row" });
            app.refresh(false);
        }
        Action::Wide => app.settings.turn_wide(),
        Action::Copy => return copy(app, now),
        Action::CopyNext => return copy_next(app, now),
        Action::Promql => app.overlays.read(promql(subject(app), app.question.base().window)),
        Action::Kubectl => app.overlays.read(kubectl(subject(app))),
        Action::Mouse => {
            app.settings.turn_mouse();
            let on = app.settings.mouse();
            app.say(now, if on { "mouse on: Shift selects text" } else { "mouse off" });
            return vec![Effect::Mouse(on)];
        }
        Action::Theme => {
            app.settings.wear(app.settings.theme().next());
            app.say(now, format!("theme {}", app.settings.theme().as_str()));
        }
        _ => {}
    }
    Vec::new()
}

fn pace(app: &mut App, by: isize) -> Vec<Effect> {
    let seconds = app.settings.interval().as_secs();
    let at = INTERVALS.iter().position(|s| *s >= seconds).unwrap_or(INTERVALS.len() - 1);
    let at = at.saturating_add_signed(by).min(INTERVALS.len() - 1);
    let interval = Duration::from_secs(INTERVALS[at]);
    app.settings.set_interval(interval);
    vec![Effect::Interval(interval)]
}
