//! A summary for terminals that are too small for the screen.

use ratatui::text::Line;

use crate::model::NodeState;
use crate::screen::format;
use crate::screen::layout::SMALLEST;
use crate::screen::state::App;
use crate::screen::state::drill::title;
use crate::screen::text;
use crate::screen::widgets::canvas::Canvas;

/// Draws the summary.
pub(super) fn draw(app: &App, canvas: &mut Canvas<'_>) {
    let (width, height) = (canvas.width(), canvas.height());
    let view = app.data.view();
    let pace = app.answers.projection().change.map(|change| format!(" {}/min", format::rate(change.per_minute(), 7)));
    let mut lines = [
        format!("Terminal {width}x{height}, need {}x{}", SMALLEST.0, SMALLEST.1),
        format!(
            "{} conns{} {}/{} agents",
            format::count(view.connections()),
            pace.unwrap_or_default(),
            view.count(NodeState::Ok),
            view.nodes.len()
        ),
        String::new(),
        "q quit".into(),
    ];
    if let Some(row) = app.answers.projection().rows.first() {
        let change = row.change.map_or(String::new(), |change| format!(" {}", format::signed_in(change.delta, 4)));
        let count = format!(" {}{change}", format::count_in(row.sum.connections, 7));
        let room = usize::from(width).saturating_sub(count.len());
        let ends = title(row).replace(" -> ", ">");
        lines[2] = format!("{}{count}", text::fit(&ends, room, app.settings.glyphs().ellipsis));
    }
    // With fewer than four lines, the most important ones.
    let order: &[usize] = match height {
        0 => &[],
        1 => &[1],
        2 => &[1, 2],
        3 => &[1, 2, 3],
        _ => &[0, 1, 2, 3],
    };
    let styles = app.settings.styles();
    let style = |line| if line == 1 { styles.strong } else { styles.text };
    canvas.lines(order.iter().map(|line| Line::styled(lines[*line].as_str(), style(*line))));
}
