//! The views with their keys.

use crate::screen::layout::tabs::{LINE, labels};
use crate::screen::state::App;
use crate::screen::tab::Tab;
use crate::screen::widgets::canvas::Canvas;

pub(super) fn tabs(app: &App, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let (likely, _) = app.answers.suspects();
    for label in labels(likely) {
        let style = if label.tab == app.lists.tab() {
            styles.selected
        } else if label.tab == Tab::Leaks && likely > 0 {
            styles.bad
        } else {
            styles.text
        };
        canvas.put(label.x, LINE, &label.text, style);
    }
}
