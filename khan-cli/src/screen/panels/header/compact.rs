//! Identity and totals on a line each, in fewer words, for small screens.

use crate::screen::format;
use crate::screen::state::App;
use crate::screen::tab::Tab;
use crate::screen::text::cells;
use crate::screen::widgets::canvas::Canvas;

use super::fresh::{age_style, coverage, snapshot_age};
use super::totals::{filter, growth, own, pace, share, total};
use super::{right, scope, verdicts};

/// Cells that are kept free for a filter.
const FILTER: u16 = 24;

/// Where the data is from and how fresh it is.
pub(super) fn identity(app: &App, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let mut end = right(app, canvas, 0).saturating_sub(2);
    if let Some(age) = snapshot_age(app) {
        let age = format!("{age} old");
        if end > cells(&age) + 20 {
            end = canvas.put_right(end, 0, &age, age_style(app)).saturating_sub(2);
        }
    }
    let (ok, all, stale, failed) = coverage(app);
    let source = match app.data.view().source.kind {
        kind if all == 0 || kind.profile().one_host => kind.as_str().to_owned(),
        kind => format!("{} {ok}/{all}", kind.as_str()),
    };
    let mut words = vec![("khan top".to_owned(), styles.strong)];
    if !app.data.view().source.context.is_empty() {
        words.push((app.data.view().source.context.clone(), styles.text));
    }
    words.push((format!("ns:{}", scope(app)), styles.text));
    words.push((source, styles.text));
    for (n, word) in [(stale, "stale"), (failed, "failed")] {
        if n > 0 {
            words.push((format!("!{n} {word}"), styles.warn));
        }
    }
    canvas.words(1, 0, end + 1, words.into_iter().map(|(word, style)| (word, style, 1)));
}

/// How many connections there are, and how many rows.
pub(super) fn totals(app: &App, y: u16, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let mut end = canvas.width().saturating_sub(1);
    let share = if app.lists.tab() == Tab::Leaks { verdicts(app) } else { share(app, true) };
    let conns = format!("{} conns", format::count(total(app)));
    if cells(&share) + cells(&conns) + 4 <= end {
        end = canvas.put_right(end, y, &share, styles.text);
    }
    let mut x = canvas.put(1, y, &conns, styles.strong) + 1;
    if let Some(pace) = pace(app).filter(|pace| x + cells(pace) + 1 < end) {
        x = canvas.put(x, y, &pace, growth(app, &pace)) + 1;
    }
    if app.lists.tab() == Tab::Leaks {
        let (window, samples, rule) =
            (format::span(app.question.rule().window), app.answers.report().samples, app.question.rule().brief());
        // Thresholds only where there is room; help lists all of them.
        let least = format!("{:.0}% rise, +{}", app.question.rule().rising * 100.0, app.question.rule().growth);
        let words = [
            format!(" window {window}, {samples} snapshots, {rule}"),
            format!(" {window}, {samples} snapshots, {least}"),
            format!(" window {window}, {samples} snapshots"),
        ];
        if let Some(words) = words.iter().find(|words| x + cells(words) + 2 < end) {
            x = canvas.put(x, y, words, styles.dim) + 1;
        }
    }
    // A filter says more, and needs the room.
    let room = end.saturating_sub(x + if app.question.filter_text().is_empty() { 2 } else { FILTER });
    if let Some(own) = own(app).filter(|own| app.lists.tab() != Tab::Leaks && cells(own) < room) {
        x = canvas.put(x + 1, y, &own, styles.dim) + 1;
    }
    if !app.question.filter_text().is_empty() {
        filter(app, canvas, x + 1, y, end.saturating_sub(2));
    }
}
