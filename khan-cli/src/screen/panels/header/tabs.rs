//! The line of views, each with its key.

use crate::screen::layout::tabs::{LINE, labels};
use crate::screen::state::App;
use crate::screen::tab::Tab;
use crate::screen::widgets::canvas::Canvas;

/// Draws the views on their line.
pub(super) fn tabs(app: &App, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let (likely, _) = app.answers.suspects();
    let chosen = app.lists.tab();
    for label in labels(canvas.width(), chosen, likely) {
        let alarm = label.tab == Tab::Leaks && likely > 0;
        let style = if alarm { styles.bad } else { styles.text };
        let style = if label.tab == chosen { style.patch(styles.selected) } else { style };
        canvas.put(label.x, LINE, &label.text, style);
    }
}
