//! Details of the row under the cursor, below the list: its past, what it consists of, and its states.

use crate::model::Row as Group;
use crate::screen::format;
use crate::screen::items::{Item, What};
use crate::screen::state::App;
use crate::screen::state::drill::title;
use crate::screen::text;
use crate::screen::widgets::canvas::Canvas;

use super::cells::{growth, in_one_namespace, part_name};
use super::{chart, states};

/// Cells for the states, and for the parts where they stand next to them.
const STATES: u16 = 34;
const PARTS: u16 = 46;

/// From this width on the parts stand next to the states.
const WIDE: u16 = 150;

/// Below this width there is no room for states.
const NARROW: u16 = 72;

/// Draws details of the row under the cursor, or else of the first row.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    canvas.rule(0, app.settings.glyphs().rule, styles.dim);
    let Some(item) = app.current_or_first() else { return };
    let Some(group) = app.row(item) else { return };
    head(app, group, fullest_map(app, item), canvas);
    let (width, height) = (canvas.width(), canvas.height().saturating_sub(1));
    let side = match width {
        0..NARROW => 0,
        NARROW..WIDE => STATES,
        _ => STATES + 2 + PARTS,
    };
    let chart = width - if side > 0 { side + 1 } else { 0 };
    chart::draw(app, &group.trend, &mut canvas.part(0, 1, chart, height));
    let states = width - STATES.min(side);
    if side > STATES {
        parts(app, group, &mut canvas.part(width - side, 1, PARTS, height));
        states::draw(app, &group.sum, &mut canvas.part(states, 1, STATES, height));
    } else if side > 0 {
        let listed = u16::try_from(app.beside().parts().rows.len()).unwrap_or(u16::MAX);
        // The states and the idle times take four lines where there are as many; the part that holds most stays in any case.
        let above = if listed > 0 { (listed + 1).min(height.saturating_sub(4)).max(2) } else { 0 };
        parts(app, group, &mut canvas.part(states, 1, STATES, above));
        states::draw(app, &group.sum, &mut canvas.part(states, 1 + above, STATES, height.saturating_sub(above)));
    }
}

/// The fullest table of a node that has others than the kernel's: a narrow list has no column for its name.
fn fullest_map(app: &App, item: &Item) -> Option<String> {
    let What::Node(at) = item.what else { return None };
    let node = app.data.view().nodes.get(at).filter(|node| node.has_maps())?;
    let table = node.fullest()?;
    Some(format!("{} {}%", table.name, table.fill_percent()?))
}

/// The row's texts, its change and its table, on the rule.
fn head(app: &App, group: &Group, table: Option<String>, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let mut words = vec![(format!("{} conns", format::count(group.sum.connections)), styles.strong)];
    if let Some(change) = group.change.filter(|change| change.delta != 0) {
        let style = growth(app, change.delta);
        words.push((format!("{} in {}", format::signed(change.delta), format::age(change.over)), style));
        words.push((format!("{}/min", format::rate(change.per_minute(), 9)), style));
    }
    words.extend(table.map(|table| (table, styles.text)));
    let taken: u16 = words.iter().map(|(word, _)| text::cells(word) + 2).sum();
    let room = canvas.width().saturating_sub(taken + 4);
    let title = text::fit_middle(&title(group), room.into(), app.settings.glyphs().ellipsis).into_owned();
    let x = canvas.put(2, 0, &format!(" {title} "), styles.strong);
    let words = words.into_iter().map(|(word, style)| (format!("  {word}"), style, 0));
    let x = canvas.words(x, 0, canvas.width().saturating_sub(1), words);
    canvas.put(x, 0, " ", styles.text);
}

/// What the row consists of: its pods, those with most connections first, each with its share.
fn parts(app: &App, group: &Group, canvas: &mut Canvas<'_>) {
    let (styles, beside) = (app.settings.styles(), app.beside());
    let rows = &beside.parts().rows;
    if rows.is_empty() || canvas.height() < 2 {
        return;
    }
    let right = canvas.width().saturating_sub(1);
    canvas.put(0, 0, &format!("by {}", beside.name()), styles.head);
    canvas.put_right(right, 0, "CONNS", styles.head);
    let bare = in_one_namespace(rows);
    let most = app.question.rule().concentration;
    for (y, row) in (1..canvas.height()).zip(rows) {
        let share = row.sum.connections as f64 / group.sum.connections.max(1) as f64;
        // One of several that holds most of it is what somebody looks for.
        let culprit = beside.parts().matching > 1 && share >= most;
        let style = if culprit { styles.warn } else { styles.text };
        let x = canvas.put_right(right, y, &format::count(row.sum.connections), style);
        let percent = format::percent(row.sum.connections, group.sum.connections);
        let x = canvas.put_right(x.min(right.saturating_sub(7)).saturating_sub(1), y, &percent, style);
        let name = part_name(app, row, bare, x.saturating_sub(2));
        canvas.put(1, y, &name.content, style);
    }
}
