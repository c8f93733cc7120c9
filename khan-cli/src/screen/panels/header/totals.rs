//! Number of connections, the share of them that is listed, and the filter.

use ratatui::style::Style;

use crate::model::Severity;
use crate::screen::format;
use crate::screen::state::App;
use crate::screen::tab::Tab;
use crate::screen::widgets::canvas::Canvas;

/// `+312/min`, once there is something to compare.
pub(super) fn pace(app: &App) -> Option<String> {
    let change = app.answers.projection().change?;
    Some(format!("{}/min", format::rate(change.per_minute(), 9)))
}

pub(super) fn growth(app: &App, pace: &str) -> Style {
    match pace.as_bytes().first() {
        Some(b'+') => app.settings.styles().warn,
        Some(b'-') => app.settings.styles().good,
        _ => app.settings.styles().text,
    }
}

/// How many rows are listed, and which share of all connections they hold.
pub(super) fn share(app: &App, short: bool) -> String {
    let (projection, rows) = (app.answers.projection(), app.lists.rows_are());
    let matching = projection.matching;
    let shown = projection.rows.len();
    let rest = projection.rest.map_or(0, |rest| rest.connections);
    let all = projection.total.connections + rest;
    let covered = projection.total.connections - projection.hidden.connections;
    if matches!(app.lists.tab(), Tab::Problems | Tab::Leaks | Tab::Agents | Tab::Nodes) {
        return match app.lists.tab() {
            Tab::Problems => severities(app),
            Tab::Leaks => named(app.answers.report().leaks.len(), Tab::Leaks.noun()),
            page => named(app.answers.items().len(), page.noun()),
        };
    }
    if shown == matching && rest == 0 {
        return named(matching, rows);
    }
    if short {
        let percent = format::percent(covered, all);
        format!("{}/{} {rows} {percent}", format::count(shown as u64), format::count(matching as u64))
    } else {
        let percent = format::percent_tenths(covered, all);
        format!("{} of {} {rows} = {percent} of conns", format::count(shown as u64), format::count(matching as u64))
    }
}

/// `1 critical, 2 warning`.
fn severities(app: &App) -> String {
    let list = &app.answers.problems().list;
    let count = |severity: Severity| match list.iter().filter(|problem| problem.severity == severity).count() {
        0 => None,
        n => Some(format!("{} {}", format::count(n as u64), severity.as_str().to_lowercase())),
    };
    let words: Vec<_> =
        [Severity::Critical, Severity::Warning, Severity::Watch].into_iter().filter_map(count).collect();
    if words.is_empty() { "no problems".to_owned() } else { words.join(", ") }
}

/// `1 edge`, `2 edges`.
fn named(n: usize, many: &str) -> String {
    format!("{} {}", format::count(n as u64), format::noun(n as u64, many))
}

pub(super) fn total(app: &App) -> u64 {
    app.answers.projection().total.connections + app.answers.projection().rest.map_or(0, |rest| rest.connections)
}

/// How many connections of Khan's own are left out.
pub(super) fn own(app: &App) -> Option<String> {
    let own = app.answers.projection().own;
    (own > 0).then(|| format!("own {} left out", format::count(own)))
}

pub(super) fn totals(app: &App, y: u16, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let end = canvas.put_right(canvas.width().saturating_sub(1), y, &share(app, false), styles.text);
    let states = &app.answers.projection().total.states;
    let mut words = vec![(format!("{} conns", format::count(total(app))), styles.strong, 2)];
    if let Some(pace) = pace(app) {
        let look = growth(app, &pace);
        words.push((pace, look, 3));
    }
    let (established, known) = (states.established(), states.told());
    if known > 0 {
        let waiting = states.get(crate::model::State::Tcp(khan_api::TcpState::TimeWait));
        words.push((format!("est {}", format::count(established)), styles.text, 2));
        words.push((format!("time_wait {}", format::count(waiting)), styles.text, 2));
        words.push((
            format!("other {}", format::count(total(app).saturating_sub(established + waiting))),
            styles.text,
            2,
        ));
    }
    words.extend(own(app).map(|own| (own, styles.dim, 2)));
    let x = canvas.words(1, y, end.saturating_sub(2), words);
    if !app.question.filter_text().is_empty() {
        filter(app, canvas, x, y, end.saturating_sub(2));
    }
}

pub(super) fn filter(app: &App, canvas: &mut Canvas<'_>, x: u16, y: u16, end: u16) {
    let room = end.saturating_sub(x);
    if room < 6 {
        return;
    }
    let sign = if app.question.base().inverted { "!" } else { "" };
    let words = format!("{sign}/{}", app.question.filter_text());
    canvas.put_fit(x, y, room, &words, app.settings.glyphs().ellipsis, app.settings.styles().accent);
}
