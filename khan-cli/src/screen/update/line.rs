//! A line that begins, and what may follow it.

use crate::screen::candidates::Around;
use crate::screen::prompt::Purpose;
use crate::screen::state::App;

/// Begins a line that starts with `text`.
pub(super) fn begin(app: &mut App, purpose: Purpose, text: &str) {
    app.prompts.begin(purpose, text);
    look_around(app);
}

/// Finds what may follow the line as it is now.
pub(super) fn look_around(app: &mut App) {
    let around = Around {
        view: app.data.view(),
        contexts: app.data.contexts(),
        views: app.settings.views(),
        context: app.context(),
        tab: app.lists.tab(),
        group_by: app.lists.group_by(),
    };
    app.prompts.look_around(&around);
}
