//! The line of views, each with its key.

use ratatui::text::{Line, Span};

use crate::screen::layout::tabs::{GAP, LINE, START, labels};
use crate::screen::state::App;
use crate::screen::tab::Tab;
use crate::screen::widgets::canvas::Canvas;
use crate::screen::widgets::tabs;

/// Draws the views on their line.
pub(super) fn tabs(app: &App, canvas: &mut Canvas<'_>) {
    let styles = app.settings.styles();
    let (likely, _) = app.answers.suspects();
    let titles = labels(likely).into_iter().map(|label| {
        let alarm = label.tab == Tab::Leaks && likely > 0;
        Line::from(Span::styled(label.text, if alarm { styles.bad } else { styles.text }))
    });
    let mut line = canvas.part(START, LINE, canvas.width(), 1);
    tabs::draw(titles, app.lists.tab().index(), GAP, styles.selected, &mut line);
}
