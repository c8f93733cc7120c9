//! Cells of the lists of connections.

use ratatui::text::Span;

use crate::model::Row;
use crate::model::filter::Flag;
use crate::report::Cell;
use crate::screen::columns::Column as Id;
use crate::screen::format;
use crate::screen::panels::cells::{change, count, dash, end, growth, name};
use crate::screen::panels::spark::sparkline;
use crate::screen::state::App;
use crate::screen::state::question::Delta;

/// The cell of one column, for `cells` cells of the screen.
pub(super) fn cell(app: &App, row: &Row, id: Id, cells: u16) -> Span<'static> {
    let plain = |text: String| Span::styled(text, app.settings.styles().text);
    let fitted = |text: &str| name(app, text, cells, app.settings.styles().text);
    match id {
        Id::Source => end(app, row.src.as_ref(), cells),
        Id::Destination if row.fan => fitted(row.destination()),
        Id::Destination => end(app, row.dst.as_ref(), cells),
        Id::Backend => end(app, row.behind.as_ref(), cells),
        Id::Node => fitted(row.node.as_deref().unwrap_or("-")),
        Id::Conns => count(row.sum.connections, cells, app.settings.styles().strong),
        Id::Delta if app.question.delta() == Delta::Rate => rate(app, row, cells),
        Id::Delta => match row.change {
            None => dash(app),
            Some(by) if is_old(app, row) => {
                let number = format::signed_in(by.delta, usize::from(cells).saturating_sub(2));
                Span::styled(format!("~ {number}"), growth(app, by.delta))
            }
            Some(by) => change(app, by.delta, cells),
        },
        Id::Rate => rate(app, row, cells),
        Id::Trend => plain(sparkline(&row.trend, cells.into(), app.settings.glyphs())),
        Id::Flags => flags(app, row, cells.into()),
        Id::Plain(_) => match id.entry().cell(row) {
            Cell::Count(0) => Span::styled("0", app.settings.styles().dim),
            Cell::Count(n) => count(n, cells, app.settings.styles().text),
            Cell::Missing => dash(app),
            cell => fitted(&cell.show(true)),
        },
    }
}

/// Whether some of its connections are from old data, or all data is.
fn is_old(app: &App, row: &Row) -> bool {
    row.sum.stale > 0 || app.outdated().is_some()
}

fn rate(app: &App, row: &Row, cells: u16) -> Span<'static> {
    match row.change {
        None => dash(app),
        Some(_) if row.has(Flag::New) => Span::styled("new", app.settings.styles().warn),
        Some(_) if is_old(app, row) => Span::styled("~", app.settings.styles().dim),
        // The baseline was set just now.
        Some(by) if by.over.is_zero() => dash(app),
        Some(by) => Span::styled(format::rate(by.per_minute(), cells.into()), growth(app, by.delta)),
    }
}

/// Whole words where they fit, else their first letters.
fn flags(app: &App, row: &Row, cells: usize) -> Span<'static> {
    let words: Vec<_> = row.flags().map(Flag::as_str).collect();
    let style = match row.flags().next() {
        Some(Flag::Rising) => app.settings.styles().bad,
        Some(Flag::New | Flag::Unknown) => app.settings.styles().warn,
        Some(Flag::Stale | Flag::Previous) => app.settings.styles().dim,
        None => app.settings.styles().text,
    };
    let full = words.join(" ");
    if full.len() <= cells && cells > 5 {
        return Span::styled(full, style);
    }
    let letters: Vec<_> = words.iter().map(|word| &word[..1]).collect();
    Span::styled(letters.join(if cells > 5 { " " } else { "" }), style)
}
