//! The cells of a row of connections.

use khan_api::Kind;
use ratatui::style::Style;

use crate::model::filter::Flag;
use crate::model::{GroupEnd, Row};
use crate::report::Cell;
use crate::screen::app::App;
use crate::screen::columns::Column;
use crate::screen::format;
use crate::screen::state::Delta;
use crate::screen::text;

use super::grid::{Align, Col, Slot};
use super::spark::sparkline;

/// The columns as the grid places them. Names share what is left; the rest goes in the order of TREND, EST%, /MIN, PORT,
/// D as the names would get too narrow.
pub(super) fn grid(app: &App, columns: &[Column], width: u16) -> Vec<Col<Column>> {
    let wide = width >= 100;
    let sorted = app.list().sort.by;
    let col = |id: &Column| {
        let (head, place) = (id.entry().head, id.entry().place);
        let (cells, needs, rank) = match id {
            Column::Delta if !wide => (place.width - 1, place.needs, place.rank),
            Column::Flags => (
                match width {
                    0..72 => 5,
                    72..100 => 10,
                    100..120 => 9,
                    _ => place.width,
                },
                place.needs,
                place.rank,
            ),
            _ => (place.width, place.needs, place.rank),
        };
        let needs = if id.sort() == Some(sorted) { 0 } else { needs };
        Col { id: *id, width: cells, needs, rank, align: if head.right { Align::Right } else { Align::Left } }
    };
    columns.iter().map(col).collect()
}

/// A column's head.
pub(super) fn head(app: &App, column: Column) -> String {
    match column {
        Column::Delta => match app.delta {
            Delta::Window => format!("D {}", format::span(app.base.window)),
            Delta::Baseline => "D base".into(),
            Delta::Rate => "D /MIN".into(),
        },
        Column::Trend => format!("TREND {}", format::span(app.base.trend)),
        column => column.entry().head.header.into(),
    }
}

/// An end's text, with how many addresses of the outside it stands for.
pub(super) fn party(party: Option<&GroupEnd>, cells: usize, ellipsis: &str) -> String {
    let Some(party) = party else { return String::new() };
    if party.kind == Kind::External && party.addresses > 1 {
        let count = format!(" ({} addrs)", format::count(party.addresses.into()));
        let name = text::fit(&party.text, cells.saturating_sub(count.len()), ellipsis);
        return text::fit(&format!("{name}{count}"), cells, ellipsis).into_owned();
    }
    if party.name.is_empty() {
        text::fit(&party.text, cells, ellipsis).into_owned()
    } else {
        text::fit_middle(&party.text, cells, ellipsis).into_owned()
    }
}

/// A cell and how it looks.
pub(super) fn cell(app: &App, row: &Row, slot: Slot<Column>) -> (String, Style) {
    let styles = &app.styles;
    let cells = usize::from(slot.width);
    let glyphs = app.setup.glyphs;
    let plain = |text: String| (text, styles.text);
    let dash = || ("-".to_owned(), styles.dim);
    let many = |n: u64| if n == 0 { ("0".to_owned(), styles.dim) } else { (format::count_in(n, cells), styles.text) };
    match slot.id {
        Column::Source => plain(party(row.src.as_ref(), cells, glyphs.ellipsis)),
        Column::Destination if row.fan => plain(text::fit(row.destination(), cells, glyphs.ellipsis).into_owned()),
        Column::Destination => plain(party(row.dst.as_ref(), cells, glyphs.ellipsis)),
        Column::Backend => plain(party(row.behind.as_ref(), cells, glyphs.ellipsis)),
        Column::Node => plain(text::fit(row.node.as_deref().unwrap_or("-"), cells, glyphs.ellipsis).into_owned()),
        Column::Conns => (format::count_in(row.sum.connections, cells), styles.strong),
        Column::Delta if app.delta == Delta::Rate => rate(app, row, cells),
        Column::Delta => match row.change {
            None => dash(),
            Some(change) => {
                let old = is_old(app, row);
                let number = format::signed_in(change.delta, if old { cells - 2 } else { cells });
                (if old { format!("~ {number}") } else { number }, sign(app, change.delta))
            }
        },
        Column::Rate => rate(app, row, cells),
        Column::Trend => plain(sparkline(&row.trend, cells, glyphs)),
        Column::Flags => flags(app, row, cells),
        Column::Plain(_) => match slot.id.entry().cell(row) {
            Cell::Count(n) => many(n),
            Cell::Missing => dash(),
            cell => plain(text::fit(&cell.show(true), cells, glyphs.ellipsis).into_owned()),
        },
    }
}

/// Whether a part of its connections is from old data, or everything is.
pub(super) fn is_old(app: &App, row: &Row) -> bool {
    row.sum.stale > 0 || app.outdated().is_some()
}

fn rate(app: &App, row: &Row, cells: usize) -> (String, Style) {
    match row.change {
        None => ("-".into(), app.styles.dim),
        Some(_) if row.has(Flag::New) => ("new".into(), app.styles.warn),
        Some(_) if is_old(app, row) => ("~".into(), app.styles.dim),
        // The baseline was set just now.
        Some(change) if change.over.is_zero() => ("-".into(), app.styles.dim),
        Some(change) => (format::rate(change.per_minute(), cells), sign(app, change.delta)),
    }
}

/// Growth warns, its opposite does not; small changes say nothing.
pub(super) fn sign(app: &App, delta: i64) -> Style {
    match delta {
        20.. => app.styles.warn,
        ..=-20 => app.styles.good,
        0 => app.styles.dim,
        _ => app.styles.text,
    }
}

fn flags(app: &App, row: &Row, cells: usize) -> (String, Style) {
    let words: Vec<_> = row.flags().map(Flag::as_str).collect();
    let style = match row.flags().next() {
        Some(Flag::Rising) => app.styles.bad,
        Some(Flag::New | Flag::Unknown) => app.styles.warn,
        Some(Flag::Stale | Flag::Ghost) => app.styles.dim,
        None => app.styles.text,
    };
    let full = words.join(" ");
    if full.len() <= cells && cells > 5 {
        return (full, style);
    }
    (words.iter().map(|word| &word[..1]).collect::<Vec<_>>().join(if cells > 5 { " " } else { "" }), style)
}
