//! The set of the filter, by whatever way it was typed.

use crate::model::Filter;
use crate::model::filter::FilterError;
use crate::screen::state::App;

/// Applies a filter; one that cannot be read leaves the one before.
pub(super) fn set_filter(app: &mut App, text: &str) -> Result<(), FilterError> {
    let filter = text.parse()?;
    put_filter(app, filter, text);
    Ok(())
}

/// Applies a filter that has been read from `text`.
pub(super) fn put_filter(app: &mut App, filter: Filter, text: &str) {
    if app.question.set_filter(filter, text) {
        if let Some(held) = app.prompts.held() {
            app.lists.restore(held);
        }
        app.refresh_late();
    }
}
