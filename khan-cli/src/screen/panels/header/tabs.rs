//! The line of views, each with its key.

use crate::screen::layout::tabs::{LINE, labels};
use crate::screen::state::App;
use crate::screen::tab::Tab;
use crate::screen::widgets::canvas::Canvas;

use crate::screen::panels::cells::severity;

/// Draws the views on their line.
pub(super) fn tabs(app: &App, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let problems = app.answers.problems();
    let alarming = problems.alarming();
    let chosen = app.lists.tab();
    for label in labels(canvas.width(), chosen, alarming) {
        let style = match problems.list.first() {
            Some(worst) if label.tab == Tab::Problems && alarming > 0 => severity(app, worst.severity),
            _ => styles.text,
        };
        let style = if label.tab == chosen.numbered() { style.patch(styles.selected) } else { style };
        canvas.put(label.x, LINE, &label.text, style);
    }
}
