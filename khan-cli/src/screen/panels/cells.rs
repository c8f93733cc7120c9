//! Cells, heads and signs that several tables share.

use khan_api::{Kind, TableStats};
use ratatui::style::Style;
use ratatui::text::Span;

use crate::model::{GroupEnd, NodeState, NodeStatus, Row, Severity};
use crate::report::idle;
use crate::screen::format;
use crate::screen::items::Item;
use crate::screen::state::App;
use crate::screen::state::names::addresses;
use crate::screen::text;

/// Share of a connection table in use from which it counts as nearly full.
pub(super) const NEARLY_FULL: f64 = 0.9;

/// The cell of an unknown value.
pub(super) fn dash(app: &App) -> Span<'static> {
    Span::styled("-", app.settings.styles().dim)
}

/// A name, cut at its end if it does not fit.
pub(super) fn name(app: &App, name: &str, cells: u16, style: Style) -> Span<'static> {
    Span::styled(text::fit(name, cells.into(), app.settings.glyphs().ellipsis).into_owned(), style)
}

/// Cells that a name must have beside a number of addresses.
const SHORTEST: usize = 4;

/// An end of connections, with the number of addresses if it stands for several outside the cluster.
pub(super) fn end(app: &App, end: Option<&GroupEnd>, cells: u16) -> Span<'static> {
    let Some(end) = end else { return Span::default() };
    let (cells, ellipsis) = (usize::from(cells), app.settings.glyphs().ellipsis);
    let words = match addresses(end) {
        // Rather no number than no name.
        Some(count) if cells < count.len() + SHORTEST => text::fit(&end.text, cells, ellipsis).into_owned(),
        Some(count) => {
            let name = text::fit(&end.text, cells.saturating_sub(count.len()), ellipsis);
            text::fit(&format!("{name}{count}"), cells, ellipsis).into_owned()
        }
        None => text::fit_middle(&end.text, cells, ellipsis).into_owned(),
    };
    Span::styled(words, app.settings.styles().text)
}

/// The end that tells the rows of a list of one row's parts apart.
pub(super) fn only_end(row: &Row) -> Option<&GroupEnd> {
    row.src.as_ref().or(row.dst.as_ref())
}

/// Whether all rows of a list are of one namespace.
pub(super) fn in_one_namespace(rows: &[Row]) -> bool {
    let namespace = |row| only_end(row).map(|end| &end.owner.ns);
    rows.windows(2).all(|pair| namespace(&pair[0]) == namespace(&pair[1]))
}

/// The end that tells the rows of one row's parts apart, `bare` of its namespace if all of them share it.
pub(super) fn part_name(app: &App, row: &Row, bare: bool, cells: u16) -> Span<'static> {
    match only_end(row) {
        Some(end) if bare && matches!(end.owner.kind, Kind::Pod | Kind::Service) && !end.owner.name.is_empty() => {
            let name = text::fit_middle(&end.owner.name, cells.into(), app.settings.glyphs().ellipsis);
            Span::styled(name.into_owned(), app.settings.styles().text)
        }
        other => end(app, other, cells),
    }
}

/// A number, shortened where it does not fit.
pub(super) fn count(n: u64, cells: u16, style: Style) -> Span<'static> {
    Span::styled(format::count_in(n, cells.into()), style)
}

/// A change, coloured by what it means.
pub(super) fn change(app: &App, delta: i64, cells: u16) -> Span<'static> {
    Span::styled(format::signed_in(delta, cells.into()), growth(app, delta))
}

/// The style of a change: growth warns, decline is good, small changes are plain.
pub(super) fn growth(app: &App, delta: i64) -> Style {
    match delta {
        20.. => app.settings.styles().warn,
        ..=-20 => app.settings.styles().good,
        0 => app.settings.styles().dim,
        _ => app.settings.styles().text,
    }
}

/// The state of an agent.
pub(super) fn state(app: &App, state: NodeState) -> Span<'static> {
    let style = match state {
        NodeState::Ok => app.settings.styles().good,
        NodeState::Stale => app.settings.styles().warn,
        NodeState::Failed => app.settings.styles().bad,
        NodeState::Waiting => app.settings.styles().dim,
    };
    Span::styled(state.as_str(), style)
}

/// The style of what costs so much. A word says it too.
pub(super) fn severity(app: &App, severity: Severity) -> Style {
    let styles = app.settings.styles();
    match severity {
        Severity::Critical => styles.bad,
        Severity::Warning => styles.warn,
        Severity::Watch => styles.text,
    }
}

/// When a node's table will be full: `in 1h50m`, `> 24h`, or `-` if it does not grow.
pub(super) fn time_to_full(app: &App, node: &NodeStatus, table: &TableStats) -> String {
    match app.data.table_usage().time_to_full(&node.node, table, app.question.rule().window) {
        Some(left) if left.as_secs() > 86_400 => "> 24h".into(),
        Some(left) => format!("in {}", format::age(left)),
        None => "-".into(),
    }
}

/// Established connections by time since the last packet, those that have waited longest first: they say most.
pub(super) fn idle_times(buckets: &[u64; 5]) -> Vec<String> {
    let words = idle::ranges().map(idle::words);
    let times = words.zip(buckets).filter(|(_, n)| **n > 0).map(|(word, n)| format!("{word} {}", format::count(*n)));
    let mut times: Vec<_> = times.collect();
    times.reverse();
    times
}

/// Whether a line is the one under the cursor.
pub(super) fn is_selected(app: &App, item: &Item) -> bool {
    app.lists.list().cursor.key == Some(item.key)
}

/// The sign before a line; `+` for a `bundle`, which can be expanded.
pub(super) fn sign(app: &App, item: &Item, bundle: bool) -> &'static str {
    match (is_selected(app, item), app.lists.pins().contains(&item.key)) {
        (true, true) => ">*",
        (true, false) => ">",
        (false, true) => "*",
        (false, false) if app.lists.is_expanded(item.key) => "-",
        (false, false) if bundle => "+",
        (false, false) => "",
    }
}
