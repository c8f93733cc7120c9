//! The top: which cluster and scope, how fresh and how complete, how many.

use ratatui::style::Style;

use crate::feed::Link;
use crate::model::{NodeState, SourceKind, Verdict};
use crate::tui::app::App;
use crate::tui::format;
use crate::tui::page::Page;
use crate::tui::text;

use super::frame::Areas;
use super::pen::{Pen, cells};

/// Draws it.
pub(super) fn draw(app: &App, areas: &Areas, pen: &mut Pen<'_>) {
    if !app.drills.is_empty() {
        opened(app, areas, pen);
    } else if areas.compact {
        compact(app, pen);
    } else if app.page == Page::Leaks {
        leaks(app, pen);
    } else {
        identity(app, pen);
        tabs(app, pen);
        totals(app, pen);
        pen.rule(3, app.setup.glyphs.rule, app.styles.dim);
    }
}

/// Whether data flows: `LIVE 5s`, `PAUSED 14:17:03`, ... and how it looks.
fn flow(app: &App) -> (String, Style) {
    let styles = &app.styles;
    if let Some(since) = app.paused {
        let behind = app.clock.since(since);
        let late = if behind.as_secs() >= 600 { format!(" {} behind", format::age(behind)) } else { String::new() };
        return (format!("PAUSED {}{late}", format::clock(since, &app.setup.zone)), styles.warn);
    }
    match &app.link {
        Link::Retrying { attempt, next, .. } => {
            let wait = next.since(app.clock).as_secs();
            (format!("RECONNECTING in {wait}s (attempt {attempt})"), styles.bad)
        }
        Link::Credentials(_) => ("WAITING FOR CREDENTIALS".into(), styles.warn),
        Link::Up if app.ended => ("ENDED".into(), styles.warn),
        Link::Up if app.shown.source.kind == SourceKind::Replay => ("REPLAY".into(), styles.good),
        Link::Up => (format!("LIVE {}", format::span(app.interval)), styles.good),
    }
}

/// Nodes that answered, of how many, and how many not.
fn coverage(app: &App) -> (usize, usize, usize, usize) {
    let view = &app.shown;
    let failed = view.count(NodeState::Failed);
    (view.count(NodeState::Ok), view.nodes.len(), view.count(NodeState::Stale), failed)
}

fn scope(app: &App) -> String {
    if app.base.namespaces.is_empty() { "*".into() } else { app.base.namespaces.join(",") }
}

fn snapshot_age(app: &App) -> Option<String> {
    app.shown.newest.map(|newest| format::age(app.clock.since(newest)))
}

/// The period of the slowest agent.
fn period(app: &App) -> Option<std::time::Duration> {
    app.shown.nodes.iter().map(|node| node.interval).max().filter(|period| !period.is_zero())
}

/// Writes parts with separators, as many as there is room for.
fn parts(app: &App, pen: &mut Pen<'_>, y: u16, end: u16, parts: &[(String, Style)]) {
    let separator = app.setup.glyphs.separator;
    let mut x = 1;
    for (i, (part, style)) in parts.iter().enumerate() {
        let gap = if i == 0 { 0 } else { cells(separator) };
        if x + gap + cells(part) >= end && i > 0 {
            break;
        }
        if i > 0 {
            x = pen.put(x, y, separator, app.styles.dim);
        }
        x = pen.put(x, y, part, *style);
    }
}

fn right(app: &App, pen: &mut Pen<'_>, y: u16) -> u16 {
    let (words, style) = flow(app);
    let end = pen.width().saturating_sub(1);
    pen.put_right(end, y, &words, style)
}

fn identity(app: &App, pen: &mut Pen<'_>) {
    let styles = &app.styles;
    let view = &app.shown;
    let end = right(app, pen, 0);
    let mut line = vec![("khan top".to_owned(), styles.strong)];
    if !view.source.context.is_empty() {
        line.push((format!("ctx {}", view.source.context), styles.text));
    }
    line.push((format!("ns {}", scope(app)), styles.text));
    let (ok, all, stale, failed) = coverage(app);
    let source = match view.source.kind {
        SourceKind::Local => {
            format!("src local{}", view.nodes.first().map_or(String::new(), |n| format!(" {}", n.node)))
        }
        kind if all == 0 => format!("src {}", kind.as_str()),
        SourceKind::Agents => format!("src agents {ok}/{all}"),
        kind => format!("src {} {ok}/{all}", kind.as_str()),
    };
    let trouble: Vec<_> = [(stale, "stale"), (failed, "failed")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    if trouble.is_empty() {
        line.push((source, styles.text));
    } else {
        line.push((format!("{source} ({})", trouble.join(", ")), styles.warn));
    }
    if let Some(age) = snapshot_age(app) {
        let every = period(app).map_or(String::new(), |period| format!(", every {}", format::age(period)));
        line.push((format!("snapshot {age} old{every}"), age_style(app)));
    }
    parts(app, pen, 0, end, &line);
}

/// Old data is said in colour too.
fn age_style(app: &App) -> Style {
    let Some((newest, period)) = app.shown.newest.zip(period(app)) else { return app.styles.text };
    if app.clock.since(newest) > period * 3 { app.styles.warn } else { app.styles.text }
}

/// The views with their keys, and where each stands.
fn tab_texts(app: &App) -> Vec<(Page, u16, String)> {
    let likely = app.report.count(Verdict::Likely);
    let mut x = 1;
    let place = |(i, page): (usize, Page)| {
        let mark = if page == Page::Leaks && likely > 0 { format!("({likely})") } else { String::new() };
        let text = format!("{} {}{mark}", i + 1, page.title());
        let tab = (page, x, text);
        x += cells(&tab.2) + 2;
        tab
    };
    Page::ALL.into_iter().enumerate().map(place).collect()
}

fn tabs(app: &App, pen: &mut Pen<'_>) {
    let likely = app.report.count(Verdict::Likely);
    for (page, x, text) in tab_texts(app) {
        let style = if page == app.page {
            app.styles.selected
        } else if page == Page::Leaks && likely > 0 {
            app.styles.bad
        } else {
            app.styles.text
        };
        pen.put(x, 1, &text, style);
    }
}

/// The view whose tab is at a cell.
pub fn tab_at(app: &App, x: u16, y: u16) -> Option<Page> {
    let areas = super::frame::layout(app.size, app);
    if y != 1 || areas.compact || app.page == Page::Leaks {
        return None;
    }
    tab_texts(app)
        .into_iter()
        .find(|(_, start, text)| (*start..*start + cells(text)).contains(&x))
        .map(|(page, ..)| page)
}

/// `+312/min`, once there is something to compare.
fn pace(app: &App) -> Option<String> {
    let change = app.projection.change?;
    Some(format!("{}/min", format::rate(change.per_minute(), 9)))
}

fn growth(app: &App, pace: &str) -> Style {
    match pace.as_bytes().first() {
        Some(b'+') => app.styles.warn,
        Some(b'-') => app.styles.good,
        _ => app.styles.text,
    }
}

/// How much of everything the rows show.
fn share(app: &App, short: bool) -> String {
    let (projection, rows) = (&app.projection, app.rows_are());
    let matching = projection.matching;
    let shown = projection.rows.len();
    let rest = projection.rest.map_or(0, |rest| rest.connections);
    let all = projection.total.connections + rest;
    let covered = projection.total.connections - projection.hidden.connections;
    let rows = if matches!(app.page, Page::Leaks | Page::Agents | Page::Nodes) {
        return match app.page {
            Page::Leaks => format!("{} suspects", app.report.leaks.len()),
            page => format!("{} {}", app.items.len(), page.noun()),
        };
    } else {
        rows
    };
    if shown == matching && rest == 0 {
        return format!("{} {rows}", format::count(matching as u64));
    }
    if short {
        let percent = format::percent(covered, all);
        format!("{}/{} {rows} {percent}", format::count(shown as u64), format::count(matching as u64))
    } else {
        let percent = format::percent_tenths(covered, all);
        format!("{} of {} {rows} = {percent} of conns", format::count(shown as u64), format::count(matching as u64))
    }
}

fn total(app: &App) -> u64 {
    app.projection.total.connections + app.projection.rest.map_or(0, |rest| rest.connections)
}

fn totals(app: &App, pen: &mut Pen<'_>) {
    let (styles, y) = (&app.styles, 2);
    let end = pen.put_right(pen.width().saturating_sub(1), y, &share(app, false), styles.text);
    let states = &app.projection.total.states;
    let mut words = vec![(format!("{} conns", format::count(total(app))), styles.strong, 2)];
    if let Some(pace) = pace(app) {
        let look = growth(app, &pace);
        words.push((pace, look, 3));
    }
    let (established, told) = (states.established(), states.told());
    if told > 0 {
        let waiting = states.get(crate::model::State::Tcp(khan_api::TcpState::TimeWait));
        words.push((format!("est {}", format::count(established)), styles.text, 2));
        words.push((format!("time_wait {}", format::count(waiting)), styles.text, 2));
        words.push((
            format!("other {}", format::count(total(app).saturating_sub(established + waiting))),
            styles.text,
            2,
        ));
    }
    let mut x = 1;
    for (word, style, gap) in words {
        if x + cells(&word) + 2 > end {
            break;
        }
        x = pen.put(x, y, &word, style) + gap;
    }
    if !app.filter_text.is_empty() {
        filter(app, pen, x, y, end.saturating_sub(2));
    }
}

fn filter(app: &App, pen: &mut Pen<'_>, x: u16, y: u16, end: u16) {
    let room = end.saturating_sub(x);
    if room < 6 {
        return;
    }
    let sign = if app.base.inverted { "!" } else { "" };
    let words = format!("{sign}/{}", app.filter_text);
    let words = text::fit(&words, room.into(), app.setup.glyphs.ellipsis).into_owned();
    pen.put(x, y, &words, app.styles.accent);
}

fn compact(app: &App, pen: &mut Pen<'_>) {
    let styles = &app.styles;
    let mut end = right(app, pen, 0).saturating_sub(2);
    if let Some(age) = snapshot_age(app) {
        let age = format!("{age} old");
        if end > cells(&age) + 20 {
            end = pen.put_right(end, 0, &age, age_style(app)).saturating_sub(2);
        }
    }
    let (ok, all, stale, failed) = coverage(app);
    let source = match app.shown.source.kind {
        SourceKind::Local => "local".to_owned(),
        kind if all == 0 => kind.as_str().to_owned(),
        SourceKind::Agents => format!("agents {ok}/{all}"),
        kind => format!("{} {ok}/{all}", kind.as_str()),
    };
    let mut words = vec![("khan top".to_owned(), styles.strong)];
    if !app.shown.source.context.is_empty() {
        words.push((app.shown.source.context.clone(), styles.text));
    }
    words.push((format!("ns:{}", scope(app)), styles.text));
    words.push((source, styles.text));
    for (n, word) in [(stale, "stale"), (failed, "failed")] {
        if n > 0 {
            words.push((format!("!{n} {word}"), styles.warn));
        }
    }
    let mut x = 1;
    for (word, style) in words {
        let room = (end + 1).saturating_sub(x);
        if cells(&word) > room {
            break;
        }
        x = pen.put(x, 0, &word, style) + 1;
    }
    let y = 1;
    let mut end = pen.width().saturating_sub(1);
    let share = if app.page == Page::Leaks { verdicts(app) } else { share(app, true) };
    let conns = format!("{} conns", format::count(total(app)));
    if cells(&share) + cells(&conns) + 4 <= end {
        end = pen.put_right(end, y, &share, styles.text);
    }
    let mut x = pen.put(1, y, &conns, styles.strong) + 1;
    if let Some(pace) = pace(app).filter(|pace| x + cells(pace) + 1 < end) {
        x = pen.put(x, y, &pace, growth(app, &pace)) + 1;
    }
    if app.page == Page::Leaks {
        let rule = format!(" window {}, {} snapshots", format::span(app.rule.window), app.report.samples);
        if x + cells(&rule) + 2 < end {
            x = pen.put(x, y, &rule, styles.dim) + 1;
        }
    }
    if !app.filter_text.is_empty() {
        filter(app, pen, x + 1, y, end.saturating_sub(2));
    }
}

fn verdicts(app: &App) -> String {
    let (likely, watched) = app.suspects();
    format!("{likely} likely, {watched} watch")
}

fn leaks(app: &App, pen: &mut Pen<'_>) {
    let styles = &app.styles;
    let end = right(app, pen, 0);
    let mut line = vec![("khan top".to_owned(), styles.strong)];
    if !app.shown.source.context.is_empty() {
        line.push((format!("ctx {}", app.shown.source.context), styles.text));
    }
    line.push(("6 Leaks".into(), styles.selected));
    line.push((format!("window {}, {} snapshots", format::span(app.rule.window), app.report.samples), styles.text));
    let share = app.rule.rising * 100.0;
    line.push((format!("rule: grew in >= {share:.0}% of steps and +{}", app.rule.growth), styles.text));
    parts(app, pen, 0, end, &line);
    let (likely, _) = app.suspects();
    let style = if likely > 0 { styles.bad } else { styles.text };
    let end = pen.put_right(pen.width().saturating_sub(1), 1, &verdicts(app), style);
    let (since, what) = match app.history.baseline_at() {
        Some(at) => (Some(at), "baseline"),
        None => (app.report.since, "window from"),
    };
    let words = since.map_or("no samples yet".to_owned(), |at| {
        let ago = format::age(app.clock.since(at));
        format!("{what} {} ({ago} ago; b = reset to now)", format::clock(at, &app.setup.zone))
    });
    let x = pen.put(1, 1, &words, styles.text) + 2;
    if !app.filter_text.is_empty() {
        filter(app, pen, x, 1, end.saturating_sub(2));
    }
    pen.rule(2, app.setup.glyphs.rule, styles.dim);
}

fn opened(app: &App, areas: &Areas, pen: &mut Pen<'_>) {
    let styles = &app.styles;
    let end = right(app, pen, 0);
    let glyphs = app.setup.glyphs;
    let title = app.drills.last().map_or("", |drill| drill.title.as_str());
    let mut line = vec![("khan top".to_owned(), styles.strong)];
    if !areas.compact && !app.shown.source.context.is_empty() {
        line.push((format!("ctx {}", app.shown.source.context), styles.text));
    }
    let used: u16 = line.iter().map(|(part, _)| cells(part) + 3).sum::<u16>() + 2;
    let path = format!("{} > {title}", app.page.title());
    let path = text::fit_middle(&path, end.saturating_sub(used + 1).into(), glyphs.ellipsis).into_owned();
    line.push((path, styles.strong));
    parts(app, pen, 0, end, &line);
    if !areas.compact {
        pen.rule(1, glyphs.rule, styles.dim);
    }
}
