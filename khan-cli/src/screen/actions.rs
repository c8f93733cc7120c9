//! What each action does.

pub(super) mod menus;
pub(super) mod motion;
pub(super) mod opening;
pub(super) mod rows;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::{Sort, SortBy};

use super::app::App;
use super::copy_export;
use super::keys::Id;
use super::msg::{Effect, Exit};
use super::overlay::{MenuKind, Overlay, Reader, Text};
use super::prompt::{Prompt, Purpose};
use super::state::Delta;
use super::tab::Tab;
use super::update::{context, pause, resume, set_baseline};

use menus::{choose, menu};
use motion::go;
pub(super) use motion::search;
use opening::{back, next, open, turn_to};
pub(super) use rows::sort_by;
use rows::{delta, expand, invert, pin, regroup, sort_at, sort_beside};

/// Refresh intervals that `+` and `-` go through, in seconds.
const INTERVALS: [u64; 8] = [1, 2, 5, 10, 15, 30, 60, 300];
/// Windows of the leak rule, in minutes.
const WINDOWS: [u64; 5] = [5, 15, 30, 60, 120];
/// Shares of rising steps of the leak rule, in percent.
const SHARES: [f64; 4] = [0.7, 0.8, 0.9, 1.0];

/// What keys that change columns and order say in views that have none to change.
const FIXED: &str = "the columns and the order of this view are fixed";

/// The action that shows a view.
pub(super) fn view_id(page: Tab) -> Id {
    [Id::View1, Id::View2, Id::View3, Id::View4, Id::View5, Id::View6, Id::View7][page.index()]
}

/// Does it.
pub(super) fn perform(app: &mut App, id: Id, now: Instant) -> Vec<Effect> {
    app.dirty = true;
    match id {
        Id::Down | Id::Up | Id::First | Id::Last | Id::HalfDown | Id::HalfUp | Id::PageDown | Id::PageUp => {
            go(app, id);
        }
        Id::Open if app.overlay.is_none() && app.login().is_some() => return vec![Effect::Quit(Exit::Reconnect)],
        Id::Open => return open(app, now),
        Id::Back => return back(app),
        Id::NextEdge => return next(app),
        Id::NextPane => {
            if let Some(drill) = app.drills.last_mut() {
                drill.pane = (drill.pane + 1) % (drill.panes.len() + 1);
            }
            app.settle_drill();
        }
        Id::View1 => return turn_to(app, Tab::Edges),
        Id::View2 => return turn_to(app, Tab::Sources),
        Id::View3 => return turn_to(app, Tab::Dests),
        Id::View4 => return turn_to(app, Tab::Nodes),
        Id::View5 => return turn_to(app, Tab::External),
        Id::View6 => return turn_to(app, Tab::Leaks),
        Id::View7 => return turn_to(app, Tab::Agents),
        Id::NextGroup => regroup(app, 1),
        Id::PreviousGroup => regroup(app, -1),
        Id::SortLeft => sort_beside(app, -1),
        Id::SortRight => sort_beside(app, 1),
        Id::Reverse => {
            let sort = app.list().sort;
            sort_by(app, Sort { reverse: !sort.reverse, ..sort });
        }
        Id::SortConns => sort_at(app, SortBy::Connections, now),
        Id::SortDelta => sort_at(app, SortBy::Delta, now),
        Id::SortSource => sort_at(app, SortBy::Source, now),
        Id::SortTarget => sort_at(app, SortBy::Destination, now),
        Id::SortMenu if app.page == Tab::Agents => app.say(now, FIXED),
        Id::SortMenu => menu(app, MenuKind::Sort),
        Id::Columns | Id::Wide | Id::Details if app.is_fixed() => app.say(now, FIXED),
        Id::Columns => menu(app, MenuKind::Columns),
        Id::Export => menu(app, MenuKind::Export),
        Id::Toggle => return choose(app, false),
        Id::Filter => {
            app.held = Some(app.list().cursor);
            app.prompt = Some(Prompt::new(Purpose::Filter, &app.filter_text));
        }
        Id::Search => app.prompt = Some(Prompt::new(Purpose::Search, "")),
        Id::Command => app.prompt = Some(Prompt::new(Purpose::Command, "")),
        Id::Help => read(app, Text::Help(context(app))),
        Id::Errors => read(app, Text::Errors),
        Id::Repaint => return vec![Effect::Repaint],
        Id::Quit => {
            if app.overlay.is_some() || !app.drills.is_empty() {
                return back(app);
            }
            return vec![Effect::Quit(Exit::Quit)];
        }
        Id::QuitKeep => return vec![Effect::Quit(Exit::Keep)],
        Id::Interrupt => return vec![Effect::Quit(Exit::Interrupt)],
        Id::Suspend => return vec![Effect::Suspend],
        id => return change(app, id, now),
    }
    Vec::new()
}

/// What changes the rows, the time, or what is taken away.
fn change(app: &mut App, id: Id, now: Instant) -> Vec<Effect> {
    match id {
        Id::Invert => invert(app, now),
        Id::Pin => pin(app, now),
        Id::UnpinAll => {
            app.pins.clear();
            app.refresh(false);
        }
        Id::Expand => expand(app, true),
        Id::Collapse => expand(app, false),
        Id::Pause => match app.paused {
            Some(_) => resume(app),
            None => pause(app),
        },
        Id::Baseline => {
            set_baseline(app, Some(Arc::clone(&app.shown)));
            app.delta = Delta::Baseline;
            app.refresh(false);
            app.say(now, "baseline set: changes count from now; B clears it");
        }
        Id::ClearBaseline => {
            set_baseline(app, None);
            app.delta = Delta::Window;
            app.refresh(false);
        }
        Id::DeltaMode => delta(app, now),
        Id::Faster => return pace(app, -1),
        Id::Slower => return pace(app, 1),
        Id::Refresh => {
            app.say(now, "asking for new data");
            return vec![Effect::Refresh];
        }
        Id::Window => {
            let minutes = app.rule.window.as_secs() / 60;
            let next = WINDOWS.into_iter().find(|w| *w > minutes).unwrap_or(WINDOWS[0]);
            app.rule.window = Duration::from_mins(next);
            app.refresh(true);
        }
        Id::Threshold => {
            app.rule.rising = SHARES.into_iter().find(|s| *s > app.rule.rising + 0.001).unwrap_or(SHARES[0]);
            app.refresh(true);
        }
        Id::Details => {
            app.details = !app.details;
            app.settle();
        }
        Id::Fold => {
            app.fold = !app.fold;
            app.say(now, if app.fold { "fan-outs are one row each" } else { "every edge is a row" });
            app.refresh(false);
        }
        Id::Wide => app.columns.wide = !app.columns.wide,
        Id::Copy => return copy_export::copy(app, now),
        Id::Promql => read(app, copy_export::promql(app)),
        Id::Kubectl => read(app, copy_export::kubectl(app)),
        Id::Mouse => {
            app.mouse = !app.mouse;
            app.say(now, if app.mouse { "mouse on: Shift selects text" } else { "mouse off" });
            return vec![Effect::Mouse(app.mouse)];
        }
        Id::Theme => {
            app.wear(app.theme.next());
            app.say(now, format!("theme {}", app.theme.as_str()));
        }
        _ => {}
    }
    Vec::new()
}

fn read(app: &mut App, text: Text) {
    app.overlay = Some(Overlay::Reader(Reader::new(text)));
}

fn pace(app: &mut App, by: isize) -> Vec<Effect> {
    let seconds = app.interval.as_secs();
    let at = INTERVALS.iter().position(|s| *s >= seconds).unwrap_or(INTERVALS.len() - 1);
    let at = at.saturating_add_signed(by).min(INTERVALS.len() - 1);
    app.interval = Duration::from_secs(INTERVALS[at]);
    vec![Effect::Interval(app.interval)]
}
