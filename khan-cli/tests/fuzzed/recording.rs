//! What must hold of a recording, whatever its file holds. Shared with the fuzz target.

use std::io::Write;

use khan_api::text::is_printable;
use khan_cli::model::{History, Query, project};
use khan_cli::sources::recording;

/// It is refused in a sentence, or its views can be shown.
pub(crate) fn check(bytes: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    // What is in it is told, or why not.
    let told = match recording::survey(file.path()) {
        Ok(contents) => contents.lost.unwrap_or_default(),
        Err(error) => error.to_string(),
    };
    assert!(told.chars().all(is_printable), "{told:?}");
    match recording::read(file.path(), &khan_cli::sources::nodes::NodeChoice::default()) {
        Ok(views) => {
            let query = Query::default();
            let mut history = History::default();
            history.track(&query);
            for view in views {
                history.push(view.clone());
                let shown = project(&view, &query, &history);
                let rows = shown.rows.iter().map(|row| row.sum.connections).sum::<u64>() + shown.hidden.connections;
                assert_eq!(rows, shown.total.connections, "rows and the rest must add up to the total");
                let texts = view.missing.iter().chain(&view.notes).chain([&view.source.detail, &view.source.context]);
                texts.for_each(|text| assert!(text.chars().all(is_printable), "{text:?}"));
            }
        }
        Err(error) => {
            let sentence = error.to_string();
            assert!(sentence.chars().all(is_printable), "{sentence:?}");
        }
    }
}
