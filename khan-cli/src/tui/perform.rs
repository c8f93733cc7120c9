//! What each action does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::model::{RowKey, Sort, SortBy};

use super::actions::Id;
use super::app::{App, Delta};
use super::columns::{COLUMNS, Column};
use super::drill::{Drill, Sample};
use super::msg::{Effect, Exit};
use super::overlay::{EXPORTS, Menu, MenuKind, Overlay, Reader, Text};
use super::page::Page;
use super::prompt::{Prompt, Purpose};
use super::table::What;
use super::update::{context, resume, set_filter};
use super::{reader, takeaway};

/// Refresh intervals that `+` and `-` go through, in seconds.
const INTERVALS: [u64; 8] = [1, 2, 5, 10, 15, 30, 60, 300];
/// Windows of the leak rule, in minutes.
const WINDOWS: [u64; 5] = [5, 15, 30, 60, 120];
/// Shares of rising steps of the leak rule, in percent.
const SHARES: [f64; 4] = [0.7, 0.8, 0.9, 1.0];

/// The action that shows a view.
pub(super) fn view_id(page: Page) -> Id {
    [Id::View1, Id::View2, Id::View3, Id::View4, Id::View5, Id::View6, Id::View7][page.index()]
}

/// Does it.
pub(super) fn perform(app: &mut App, id: Id, now: Instant) -> Vec<Effect> {
    app.dirty = true;
    match id {
        Id::Down | Id::Up | Id::First | Id::Last | Id::HalfDown | Id::HalfUp | Id::PageDown | Id::PageUp => {
            go(app, id);
        }
        Id::Open => return open(app, now),
        Id::Back => return back(app),
        Id::NextEdge => return next(app),
        Id::NextPane => {
            if let Some(drill) = app.drills.last_mut() {
                drill.pane = (drill.pane + 1) % (drill.panes.len() + 1);
            }
            app.settle_drill();
        }
        Id::View1 => return turn_to(app, Page::Edges),
        Id::View2 => return turn_to(app, Page::Sources),
        Id::View3 => return turn_to(app, Page::Dests),
        Id::View4 => return turn_to(app, Page::Nodes),
        Id::View5 => return turn_to(app, Page::External),
        Id::View6 => return turn_to(app, Page::Leaks),
        Id::View7 => return turn_to(app, Page::Agents),
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
        Id::SortMenu => menu(app, MenuKind::Sort),
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
            None => app.paused = Some(app.clock),
        },
        Id::Baseline => {
            app.history.set_baseline(Some(Arc::clone(&app.shown)));
            app.delta = Delta::Baseline;
            app.refresh(false);
            app.say(now, "baseline set: changes count from now; B clears it");
        }
        Id::ClearBaseline => {
            app.history.set_baseline(None);
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
        Id::Wide => app.columns.wide = !app.columns.wide,
        Id::Copy => return takeaway::copy(app, now),
        Id::Promql => read(app, takeaway::promql(app)),
        Id::Kubectl => read(app, takeaway::kubectl(app)),
        Id::Mouse => {
            app.mouse = !app.mouse;
            app.say(now, if app.mouse { "mouse on: Shift selects text" } else { "mouse off" });
            return vec![Effect::Mouse(app.mouse)];
        }
        Id::Theme => {
            app.theme = app.theme.next();
            app.styles = super::styles::Styles::new(app.theme, app.setup.depth);
            app.say(now, format!("theme {}", app.theme.as_str()));
        }
        _ => {}
    }
    Vec::new()
}

fn read(app: &mut App, text: Text) {
    app.overlay = Some(Overlay::Reader(Reader::new(text)));
}

fn menu(app: &mut App, kind: MenuKind) {
    app.overlay = Some(Overlay::Menu(Menu { kind, at: 0 }));
    if let Some(Overlay::Menu(menu)) = app.overlay {
        let at = menu.entries(app).iter().position(|entry| entry.chosen == Some(true)).unwrap_or(0);
        app.overlay = Some(Overlay::Menu(Menu { at, ..menu }));
    }
}

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

fn go(app: &mut App, id: Id) {
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
                let page = super::view::drill::list_height(size, drill);
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

fn open(app: &mut App, now: Instant) -> Vec<Effect> {
    if matches!(app.overlay, Some(Overlay::Menu(_))) {
        return choose(app, true);
    }
    let opened = match app.drills.last() {
        Some(drill) if drill.pane < drill.panes.len() => {
            drill.current().map(|row| (drill.pane_query(drill.pane), row.clone()))
        }
        Some(_) => None,
        None => {
            let item = app.current().or(app.items.first()).copied();
            match item.map(|item| (item, item.what)) {
                Some((_, What::Other)) => {
                    app.say(now, "the rest beyond the limit: filter, or start with --limit 0 to list every row");
                    None
                }
                Some((item, What::Child(parent, _))) => app.row(&item).cloned().and_then(|row| {
                    let (key, _) = app.children.get(parent)?;
                    let whole = app.projection.rows.iter().find(|row| row.key == *key)?;
                    let query = app.query();
                    Some((query.within(*key, super::table::finer(whole, &query.group_by)), row))
                }),
                Some((item, What::Leak(_))) => app.row(&item).cloned().map(|row| (app.leak_query(), row)),
                Some((item, What::Reason(..))) => {
                    app.leak(&item).map(|leak| leak.row.clone()).map(|row| (app.leak_query(), row))
                }
                Some((item, What::Agent(at))) => {
                    read(app, reader::agent(app, at));
                    let _ = item;
                    None
                }
                Some((item, _)) => app.row(&item).cloned().map(|row| (app.query(), row)),
                None => None,
            }
        }
    };
    let Some((query, row)) = opened else { return Vec::new() };
    app.asked += 1;
    let mut drill = Drill::open(&query, &row, app.asked);
    if let Some(outer) = app.drills.last() {
        drill.title = format!("{} > {}", outer.title, drill.title);
    }
    let shown = Arc::clone(&app.shown);
    drill.refresh(&shown, &mut app.history);
    let request = drill.request(&shown);
    app.drills.push(drill);
    app.settle_drill();
    vec![Effect::Sample(app.asked, request)]
}

fn back(app: &mut App) -> Vec<Effect> {
    if app.overlay.take().is_some() {
        return Vec::new();
    }
    if let Some(closed) = app.drills.pop() {
        return if matches!(closed.sample, Sample::Asked) { vec![Effect::Cancel] } else { Vec::new() };
    }
    if !app.filter_text.is_empty() {
        set_filter(app, "");
    } else if app.list().cursor.key.is_some() {
        app.list_mut().cursor.release();
    }
    Vec::new()
}

/// In details: the next row of the list behind. In a text: the next match.
fn next(app: &mut App) -> Vec<Effect> {
    if let Some(Overlay::Reader(reader)) = &app.overlay {
        let text = reader.search.clone();
        search(app, &text);
        return Vec::new();
    }
    let Some(drill) = app.drills.first() else { return Vec::new() };
    let opens = |what: What| matches!(what, What::Row(_) | What::Node(_) | What::Leak(_));
    let rows: Vec<RowKey> = app.items.iter().filter(|item| opens(item.what)).map(|item| item.key).collect();
    let model_key = |key: RowKey| app.items.iter().find(|i| i.key == key).and_then(|i| app.row(i)).map(|row| row.key);
    let at = rows.iter().position(|key| model_key(*key) == Some(drill.from)).map_or(0, |at| at + 1);
    let Some(key) = rows.get(at).or(rows.first()).copied() else { return Vec::new() };
    let (keys, height) = (app.keys(), app.body_height());
    if let Some(place) = keys.iter().position(|k| *k == key) {
        app.list_mut().cursor.put(place, &keys, height);
    }
    app.drills.clear();
    open(app, Instant::now())
}

fn turn_to(app: &mut App, page: Page) -> Vec<Effect> {
    let left = app.drills.iter().any(|drill| matches!(drill.sample, Sample::Asked));
    app.drills.clear();
    if app.page != page {
        app.page = page;
        app.refresh(false);
    }
    if left { vec![Effect::Cancel] } else { Vec::new() }
}

fn regroup(app: &mut App, by: isize) {
    let groupings = app.page.groupings().len();
    let list = app.list_mut();
    list.grouping = match list.own.take() {
        Some(_) if by > 0 => 0,
        Some(_) => groupings - 1,
        None => (list.grouping + groupings).saturating_add_signed(by) % groupings,
    };
    list.cursor.release();
    list.shift = 0;
    let (group, sort) = (app.group_by(), app.list().sort);
    let applies = COLUMNS.iter().any(|(column, ..)| column.sort() == Some(sort.by) && column.applies(&group));
    if !applies {
        app.list_mut().sort = Sort::default();
    }
    app.refresh(false);
}

/// Orders the present list.
pub(super) fn sort_by(app: &mut App, sort: Sort) {
    app.list_mut().sort = sort;
    app.refresh(false);
}

/// Orders by a column that the list may not have.
fn sort_at(app: &mut App, by: SortBy, now: Instant) {
    let group = app.group_by();
    if COLUMNS.iter().any(|(column, ..)| column.sort() == Some(by) && column.applies(&group)) {
        sort_by(app, Sort { by, reverse: false });
    } else {
        app.say(now, format!("these rows have no {}", by.as_str()));
    }
}

fn sort_beside(app: &mut App, by: isize) {
    let columns: Vec<SortBy> = app.columns.of(&app.group_by()).into_iter().filter_map(Column::sort).collect();
    let sort = app.list().sort;
    let at = columns.iter().position(|column| *column == sort.by).unwrap_or(0);
    if let Some(next) = at.checked_add_signed(by).and_then(|at| columns.get(at)) {
        sort_by(app, Sort { by: *next, reverse: false });
    }
}

fn invert(app: &mut App, now: Instant) {
    if app.filter.is_empty() {
        app.say(now, "there is no filter to invert; / sets one");
        return;
    }
    app.base.inverted = !app.base.inverted;
    app.refresh(false);
}

fn pin(app: &mut App, now: Instant) {
    let Some(item) = app.current().copied() else {
        app.say(now, "move to a row first, then Space pins it");
        return;
    };
    let key = match item.what {
        What::Row(_) | What::Leak(_) | What::Node(_) => item.key,
        What::Child(..) | What::Reason(..) | What::Other | What::Agent(_) => return,
    };
    match app.pins.iter().position(|pinned| *pinned == key) {
        Some(at) => drop(app.pins.remove(at)),
        None => app.pins.push(key),
    }
    app.refresh(false);
}

fn expand(app: &mut App, open: bool) {
    let Some(item) = app.current().copied() else {
        let shift = &mut app.list_mut().shift;
        *shift = if open { (*shift + 1).min(COLUMNS.len()) } else { shift.saturating_sub(1) };
        return;
    };
    let key = match item.what {
        What::Row(_) => item.key,
        What::Child(parent, _) if !open => app.children[parent].0,
        _ => return,
    };
    let changed = if open { app.expanded.insert(key) } else { app.expanded.remove(&key) };
    if changed {
        app.list_mut().cursor.key = Some(key);
        app.refresh(false);
    }
}

fn delta(app: &mut App, now: Instant) {
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

fn pace(app: &mut App, by: isize) -> Vec<Effect> {
    let seconds = app.interval.as_secs();
    let at = INTERVALS.iter().position(|s| *s >= seconds).unwrap_or(INTERVALS.len() - 1);
    let at = at.saturating_add_signed(by).min(INTERVALS.len() - 1);
    app.interval = Duration::from_secs(INTERVALS[at]);
    vec![Effect::Interval(app.interval)]
}

/// Enter or Space in a menu. Enter closes it.
fn choose(app: &mut App, close: bool) -> Vec<Effect> {
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
                return takeaway::export(app, form);
            }
        }
    }
    Vec::new()
}

/// Goes to the next line that holds `text`, in any case.
pub(super) fn search(app: &mut App, text: &str) {
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
