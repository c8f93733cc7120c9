//! The top of the screen: cluster and scope, freshness, completeness, totals.

mod fresh;
mod tabs;
mod totals;
mod compact;

use ratatui::style::Style;

use crate::model::SourceKind;
use crate::screen::format;
use crate::screen::layout::Areas;
use crate::screen::state::App;
use crate::screen::tab::Tab;
use crate::screen::text::{self, cells};
use crate::screen::widgets::canvas::Canvas;

use fresh::{age_style, coverage, flow, snapshot_age};
use tabs::tabs;
use totals::{filter, totals};

/// Draws the header that fits the view and the size of the screen.
pub(super) fn draw(app: &App, areas: &Areas, canvas: &mut Canvas<'_>) {
    if !app.drills.is_empty() {
        opened(app, areas, canvas);
    } else if areas.compact {
        compact::draw(app, canvas);
    } else if app.lists.tab() == Tab::Leaks {
        leaks(app, canvas);
    } else {
        identity(app, canvas);
        tabs(app, canvas);
        totals(app, canvas);
        canvas.rule(3, app.settings.glyphs().rule, app.settings.styles().dim);
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
        let every = app.data.period().map_or(String::new(), |period| format!(", every {}", format::age(period)));
        line.push((format!("snapshot {age} old{every}"), age_style(app)));
    }
    parts(app, canvas, 0, end, &line);
}

fn verdicts(app: &App) -> String {
    let (likely, watched) = app.answers.suspects();
    format!("{likely} likely, {watched} watch")
}

fn leaks(app: &App, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let end = right(app, canvas, 0);
    let mut line = vec![("khan top".to_owned(), styles.strong)];
    if !app.data.view().source.context.is_empty() {
        line.push((format!("ctx {}", app.data.view().source.context), styles.text));
    }
    line.push(("6 Leaks".into(), styles.selected));
    line.push((
        format!("window {}, {} snapshots", format::span(app.question.rule().window), app.answers.report().samples),
        styles.text,
    ));
    line.push((format!("rule: {}", app.question.rule().brief()), styles.text));
    parts(app, canvas, 0, end, &line);
    let (likely, _) = app.answers.suspects();
    let style = if likely > 0 { styles.bad } else { styles.text };
    let end = canvas.put_right(canvas.width().saturating_sub(1), 1, &verdicts(app), style);
    let (since, what) = match app.data.history().baseline_at() {
        Some(at) => (Some(at), "baseline"),
        None => (app.answers.report().since, "window from"),
    };
    let words = since.map_or("no samples yet".to_owned(), |at| {
        let ago = format::age(app.data.clock().since(at));
        format!("{what} {} ({ago} ago; b = reset to now)", format::clock(at, app.settings.zone()))
    });
    let x = canvas.put(1, 1, &words, styles.text) + 2;
    if app.question.filter_text().is_empty() {
        let words = app.question.rule().evidence();
        if x + 1 + cells(&words) < end {
            canvas.put(x + 1, 1, &words, styles.dim);
        }
    } else {
        filter(app, canvas, x, 1, end.saturating_sub(2));
    }
    canvas.rule(2, app.settings.glyphs().rule, styles.dim);
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
    if !areas.compact {
        canvas.rule(1, glyphs.rule, styles.dim);
    }
}
