//! An opened row: its numbers and history, the rows it consists of, its states, and single connections.

mod pane;
mod sample;

use crate::model::filter::Flag;
use crate::screen::format;
use crate::screen::layout::drill::parts;
use crate::screen::state::App;
use crate::screen::state::drill::Drill;
use crate::screen::text::cells;
use crate::screen::widgets::canvas::Canvas;

use super::cells::growth;
use super::{chart, states};

/// Draws all parts of an opened row.
pub(super) fn draw(app: &App, drill: &Drill, canvas: &mut Canvas<'_>) {
    let parts = parts(canvas.height(), drill.contents());
    let width = canvas.width();
    summary(app, drill, canvas);
    if parts.chart > 0 {
        chart::draw(app, &drill.whole.trend, &mut canvas.part(0, 1, width, parts.chart));
    }
    let side = if width >= 72 { 34.min(width / 3) } else { 0 };
    pane::draw(app, drill, &mut canvas.part(0, parts.list.0, width - side, parts.list.1));
    if side > 0 {
        states::draw(app, &drill.whole.total, &mut canvas.part(width - side, parts.list.0, side, parts.list.1));
    }
    sample::draw(app, drill, &mut canvas.part(0, parts.sample.0, width, parts.sample.1));
}

fn summary(app: &App, drill: &Drill, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let Some(row) = drill.whole.rows.first() else {
        canvas.put(1, 0, "0 conns: nothing of this row is left", styles.strong);
        return;
    };
    let mut words = vec![(format!("{} conns", format::count(row.sum.connections)), styles.strong)];
    if let Some(change) = row.change {
        let style = growth(app, change.delta);
        words.push((format!("{} in {}", format::signed(change.delta), format::age(change.over)), style));
        words.push((format!("{}/min", format::rate(change.per_minute(), 9)), style));
    }
    if let Some(share) = row.sum.states.established_percent() {
        words.push((format!("est {share}%"), styles.text));
    }
    if row.has(Flag::Rising) {
        let growth = &row.growth;
        words.push((format!("RISING {}/{} steps", growth.rising(), growth.steps()), styles.bad));
    }
    if row.sum.half_closed() > 0 {
        words.push((format!("half-closed {}", format::count(row.sum.half_closed())), styles.warn));
    }
    let words = words.into_iter().map(|(word, style)| (word, style, 3));
    let x = canvas.words(1, 0, canvas.width(), words);
    let counts: Vec<_> = drill
        .panes
        .iter()
        .map(|(grouping, rows)| {
            let n = rows.matching as u64;
            format!("{} {}", format::count(n), format::nouns(n, grouping.name))
        })
        .collect();
    let counts = counts.join(", ");
    if x + cells(&counts) + 1 < canvas.width() {
        canvas.put_right(canvas.width() - 1, 0, &counts, styles.text);
    }
}
