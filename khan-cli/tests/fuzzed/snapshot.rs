//! What must hold of an agent's snapshot, whatever the agent sends. Shared with the fuzz target.

use std::sync::Arc;

use khan_api::text::is_printable;
use khan_api::{Sentence, Snapshot};
use khan_cli::model::table::rows::Heard;
use khan_cli::model::{History, NodeInput, NodeState, NodeStatus, NodeTable, Pool, Query, SourceInfo, merge, project};

/// It is refused, or read alike in both forms, and nothing that is made of it panics, counts wrongly or moves a cursor.
pub(crate) fn check(bytes: &[u8]) {
    let (whole, heard) = (serde_json::from_slice::<Snapshot>(bytes), serde_json::from_slice::<Heard>(bytes));
    let (whole, heard) = match (whole, heard) {
        (Ok(whole), Ok(heard)) => (whole, heard),
        (Err(error), Err(_)) => {
            let shown = Sentence::of(&error);
            assert!(shown.chars().all(is_printable), "{shown:?}");
            return;
        }
        (whole, heard) => panic!("one form is read and the other is not: {:?}, {:?}", whole.err(), heard.err()),
    };
    let written = serde_json::to_string(&whole).expect("a snapshot can be written");
    // JSON leaves printable characters as they are and escapes control characters. A backslash in a text is written as two.
    let escapes = written.replace(r"\\", "");
    assert!(written.chars().all(is_printable) && !escapes.contains(r"\u00"), "{written:?}");
    assert_eq!(serde_json::from_str::<Snapshot>(&written).expect("what was written"), whole);

    let mut pool = Pool::default();
    let (table, refused) = NodeTable::new(&whole, &mut pool);
    let (compact, same) = NodeTable::heard(heard, &mut pool);
    assert_eq!((table.rows(), refused), (compact.rows(), same), "both forms of a table must agree");
    assert_eq!(table.rows().len() as u64 + refused, whole.rows.len() as u64);
    for row in table.rows() {
        assert!((row.src.max(row.dst).max(row.backend) as usize) < table.endpoints.len());
    }

    let mut status = NodeStatus::waiting("", "http://agent:14718".to_owned());
    status.state = NodeState::Ok;
    status.describe(&whole);
    let input = NodeInput { status, table: Some(Arc::new(table)) };
    let view = Arc::new(merge(SourceInfo::default(), vec![input], whole.taken));
    let mut history = History::default();
    let query = Query { limit: 3, fold: true, ..Query::default() };
    history.track(&query);
    history.push(Arc::clone(&view));
    let shown = project(&view, &query, &history);
    let rows = shown.rows.iter().map(|row| row.sum.connections).sum::<u64>() + shown.hidden.connections;
    assert_eq!(rows, shown.total.connections, "rows and the rest must add up to the total");
}
