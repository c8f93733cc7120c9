//! What must hold of a filter, whatever its text is. Shared with the fuzz target.

use khan_api::text::is_printable;
use khan_cli::model::Filter;
use khan_cli::model::filter::FilterError;

/// It is read and written back equal, or refused at a place inside the text.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<Filter>() {
        Ok(filter) => {
            let written = filter.to_string();
            assert_eq!(written.parse::<Filter>().as_ref(), Ok(&filter), "{text:?} was written back as {written:?}");
        }
        Err(FilterError { message, column, width }) => {
            assert!(width >= 1 && column <= text.chars().count(), "{text:?}: {message} at {column}, {width} wide");
            assert!(message.chars().all(is_printable), "{text:?}: {message:?}");
        }
    }
}
