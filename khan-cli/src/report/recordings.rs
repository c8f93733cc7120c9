//! Recordings, and what is in them.

use khan_api::Timestamp;
use serde::Serialize;

use super::column::{Column, Head, cells, heads};
use super::item::json;
use super::{Cell, Line, Report};
use crate::duration;
use crate::size;
use crate::sources::recording::{Contents, RecordingError};

/// A file, and what is in it.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// Its path, as it was given or found.
    pub file: String,
    /// What is in it, or why that cannot be said.
    pub contents: Result<Contents, RecordingError>,
}

impl Recorded {
    fn known<T>(&self, pick: impl Fn(&Contents) -> T) -> Option<T> {
        self.contents.as_ref().ok().map(pick)
    }

    fn text(&self, pick: impl Fn(&Contents) -> String) -> Cell {
        self.known(pick).map_or(Cell::Missing, Cell::text)
    }

    fn sources(&self) -> Vec<String> {
        let names = |contents: &Contents| contents.sources.iter().map(ToString::to_string).collect();
        self.known(names).unwrap_or_default()
    }

    fn contexts(&self) -> Vec<String> {
        let names = |contents: &Contents| contents.contexts.iter().map(ToString::to_string).collect();
        self.known(names).unwrap_or_default()
    }

    fn problem(&self) -> Option<String> {
        match &self.contents {
            Ok(contents) => contents.lost.clone(),
            Err(error) => Some(error.to_string()),
        }
    }
}

/// Every column, in the order in which they stand.
static COLUMNS: [Column<Recorded>; 10] = [
    Column::new(Head::text("file", "FILE"), |one| Cell::text(&one.file)),
    Column::new(Head::text("start", "START"), |one| one.text(|contents| second(contents.first).to_string())),
    Column::new(Head::text("end", "END").wide(), |one| one.text(|contents| second(contents.last).to_string())),
    Column::new(Head::number("span", "SPAN"), |one| one.text(|contents| duration::text(contents.span()))),
    Column::new(Head::number("rounds", "ROUNDS"), |one| {
        one.known(|contents| contents.rounds).map_or(Cell::Missing, Cell::Count)
    }),
    Column::new(Head::number("nodes", "NODES"), |one| {
        one.known(|contents| contents.nodes.len() as u64).map_or(Cell::Missing, Cell::Count)
    }),
    Column::new(Head::number("size", "SIZE"), |one| one.text(|contents| size::text(contents.bytes))),
    Column::new(Head::text("source", "SOURCE"), |one| Cell::text(one.sources().join(" "))),
    Column::new(Head::text("context", "CONTEXT").wide(), |one| Cell::text(one.contexts().join(" "))),
    Column::new(Head::text("problem", "PROBLEM"), |one| Cell::text(one.problem().unwrap_or_default())),
];

/// Without its fraction.
fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.seconds())
}

/// The names of the columns.
pub(super) fn names() -> Vec<&'static str> {
    COLUMNS.iter().map(|column| column.head.name).collect()
}

/// The report of recordings that were looked for in `places`.
pub(crate) fn report(found: &[Recorded], places: &str) -> Report {
    let line = |one: &Recorded| Line { cells: cells(&COLUMNS, one), item: json(Item::of(one)), name: one.file.clone() };
    Report {
        kind: "RecordingList",
        metadata: json(Metadata { unreadable: found.iter().filter(|one| one.contents.is_err()).count() }),
        columns: heads(&COLUMNS),
        rows: found.iter().map(line).collect(),
        empty: format!("No recordings found in {places}; khan top --record FILE makes one."),
    }
}

#[derive(Debug, Serialize)]
struct Metadata {
    unreadable: usize,
}

/// A recording for programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    file: &'a str,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    span_seconds: Option<f64>,
    rounds: Option<u64>,
    nodes: Vec<String>,
    size_bytes: Option<u64>,
    sources: Vec<String>,
    contexts: Vec<String>,
    problem: Option<String>,
}

impl<'a> Item<'a> {
    fn of(one: &'a Recorded) -> Self {
        let nodes = |contents: &Contents| contents.nodes.iter().map(ToString::to_string).collect();
        Self {
            file: &one.file,
            start: one.known(|contents| contents.first),
            end: one.known(|contents| contents.last),
            span_seconds: one.known(|contents| contents.span().as_secs_f64()),
            rounds: one.known(|contents| contents.rounds),
            nodes: one.known(nodes).unwrap_or_default(),
            size_bytes: one.known(|contents| contents.bytes),
            sources: one.sources(),
            contexts: one.contexts(),
            problem: one.problem(),
        }
    }
}
