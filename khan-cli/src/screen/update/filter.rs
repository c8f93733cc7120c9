//! The set of the filter, by whatever way it was typed.

use crate::model::Filter;
use crate::screen::state::App;

/// Applies a filter, or says why it cannot be read and keeps the one before.
pub(super) fn set_filter(app: &mut App, text: &str) {
    let filter = match text.parse::<Filter>() {
        Ok(filter) => filter,
        Err(error) => return app.prompts.set_error(Some(error.to_string())),
    };
    app.prompts.set_error(None);
    if app.question.set_filter(filter, text) {
        if let Some(held) = app.prompts.held() {
            app.lists.restore(held);
        }
        app.refresh(false);
    }
}
