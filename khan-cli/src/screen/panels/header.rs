//! The top of the screen: cluster and scope, freshness, completeness, views, what is wrong, totals.

mod fresh;
mod tabs;
mod totals;
mod compact;

use ratatui::style::Style;

use crate::model::SourceKind;
use crate::screen::format;
use crate::screen::layout::Areas;
use crate::screen::layout::tabs::LINE;
use crate::screen::state::App;
use crate::screen::tab::Tab;
use crate::screen::text::{self, cells};
use crate::screen::widgets::canvas::Canvas;

use super::cells::severity;
use fresh::{age_style, coverage, flow, snapshot_age};
use tabs::tabs;
use totals::{filter, totals};

/// Draws the header that fits the view and the size of the screen.
pub(super) fn draw(app: &App, areas: &Areas, canvas: &mut Canvas<'_>) {
    if !app.drills.is_empty() {
        opened(app, areas, canvas);
        return;
    }
    if areas.compact {
        compact::identity(app, canvas);
    } else {
        identity(app, canvas);
    }
    tabs(app, canvas);
    let mut y = LINE + 1;
    if let Some(diagnosis) = app.diagnosis() {
        let room = canvas.width().saturating_sub(2);
        let style = severity(app, diagnosis.severity);
        canvas.put_fit(1, y, room, &diagnosis.sentence, app.settings.glyphs().ellipsis, style);
        y += 1;
    }
    match app.lists.tab() {
        _ if areas.compact => compact::totals(app, y, canvas),
        Tab::Leaks => leaks(app, y, canvas),
        _ => totals(app, y, canvas),
    }
    if app.lists.tab() != Tab::Leaks {
        canvas.rule(y + 1, app.settings.glyphs().rule, app.settings.styles().dim);
    }
}

fn scope(app: &App) -> String {
    if app.question.base().namespaces.is_empty() { "*".into() } else { app.question.base().namespaces.join(",") }
}

/// Writes parts with separators, as many as there is room for.
fn parts(app: &App, canvas: &mut Canvas<'_>, y: u16, end: u16, parts: &[(String, Style)]) {
    let separator = app.settings.glyphs().separator;
    let mut x = 1;
    for (i, (part, style)) in parts.iter().enumerate() {
        let gap = if i == 0 { 0 } else { cells(separator) };
        if x + gap + cells(part) >= end && i > 0 {
            break;
        }
        if i > 0 {
            x = canvas.put(x, y, separator, app.settings.styles().dim);
        }
        x = canvas.put(x, y, part, *style);
    }
}

fn right(app: &App, canvas: &mut Canvas<'_>, y: u16) -> u16 {
    let (words, style) = flow(app);
    let end = canvas.width().saturating_sub(1);
    canvas.put_right(end, y, &words, style)
}

fn identity(app: &App, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let view = app.data.view();
    let end = right(app, canvas, 0);
    let mut line = vec![("khan top".to_owned(), styles.strong)];
    if !view.source.context.is_empty() {
        line.push((format!("ctx {}", view.source.context), styles.text));
    }
    line.push((format!("ns {}", scope(app)), styles.text));
    let (ok, all, stale, failed) = coverage(app);
    let source = match view.source.kind {
        kind if kind.profile().one_host => {
            let host = view.nodes.first().map_or(String::new(), |node| format!(" {}", node.node));
            format!("src {}{host}", kind.as_str())
        }
        kind if all == 0 => format!("src {}", kind.as_str()),
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
        // One period, the one that + and - change; how often agents scan, the view of agents says.
        let asked = match view.source.kind {
            SourceKind::Replay => String::new(),
            _ => format!(", asked every {}", format::span(app.settings.interval())),
        };
        line.push((format!("snapshot {age} old{asked}"), age_style(app)));
    }
    parts(app, canvas, 0, end, &line);
}

fn verdicts(app: &App) -> String {
    let (likely, watched) = app.answers.suspects();
    format!("{likely} likely, {watched} watch")
}

/// The window and the verdicts, and the rule below them.
fn leaks(app: &App, y: u16, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let (likely, _) = app.answers.suspects();
    let style = if likely > 0 { styles.bad } else { styles.text };
    let end = canvas.put_right(canvas.width().saturating_sub(1), y, &verdicts(app), style);
    let (since, what) = match app.data.history().baseline_at() {
        Some(at) => (Some(at), "baseline"),
        None => (app.answers.report().since, "from"),
    };
    let window = format::span(app.question.rule().window);
    let words = since.map_or("no samples yet".to_owned(), |at| {
        let ago = format::age(app.data.clock().since(at));
        format!("{what} {} ({ago} ago; b = reset to now)", format::clock(at, app.settings.zone()))
    });
    let words = format!("window {window}, {} snapshots {words}", app.answers.report().samples);
    let x = canvas.put(1, y, &words, styles.text) + 2;
    if !app.question.filter_text().is_empty() {
        filter(app, canvas, x, y, end.saturating_sub(2));
    }
    let rule = format!("rule: {}", app.question.rule().brief());
    let x = canvas.put(1, y + 1, &rule, styles.text) + 2;
    let evidence = app.question.rule().evidence();
    if x + cells(&evidence) < canvas.width() {
        canvas.put(x, y + 1, &evidence, styles.dim);
    }
}

fn opened(app: &App, areas: &Areas, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let end = right(app, canvas, 0);
    let glyphs = app.settings.glyphs();
    let title = app.drills.last().map_or("", |drill| drill.title.as_str());
    let mut line = vec![("khan top".to_owned(), styles.strong)];
    if !areas.compact && !app.data.view().source.context.is_empty() {
        line.push((format!("ctx {}", app.data.view().source.context), styles.text));
    }
    let used: u16 = line.iter().map(|(part, _)| cells(part) + 3).sum::<u16>() + 2;
    let path = format!("{} > {title}", app.lists.tab().title());
    let path = text::fit_middle(&path, end.saturating_sub(used + 1).into(), glyphs.ellipsis).into_owned();
    line.push((path, styles.strong));
    parts(app, canvas, 0, end, &line);
    tabs(app, canvas);
}
