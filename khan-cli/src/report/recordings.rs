//! Recordings, and what is in them.

use khan_api::Timestamp;
use serde::Serialize;

use super::column::{Column, Head, Unit, cells, heads};
use super::item::json;
use super::{Cell, Line, Report};
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
    Column::new(Head::text("file"), |one| Cell::text(&one.file)),
    Column::new(Head::text("start"), |one| one.text(|contents| second(contents.first).to_string())),
    Column::new(Head::text("end").wide(), |one| one.text(|contents| second(contents.last).to_string())),
    Column::new(Head::measured("span", Unit::Seconds), |one| {
        one.known(Contents::span).map_or(Cell::Missing, Cell::Duration)
    }),
    Column::new(Head::number("rounds"), |one| one.known(|contents| contents.rounds).map_or(Cell::Missing, Cell::Count)),
    Column::new(Head::number("nodes"), |one| {
        one.known(|contents| contents.nodes.len() as u64).map_or(Cell::Missing, Cell::Count)
    }),
    Column::new(Head::measured("size", Unit::Bytes), |one| {
        one.known(|contents| contents.bytes).map_or(Cell::Missing, Cell::Size)
    }),
    Column::new(Head::text("sources"), |one| Cell::text(one.sources().join(" "))),
    Column::new(Head::text("contexts").wide(), |one| Cell::text(one.contexts().join(" "))),
    Column::new(Head::text("problem"), |one| Cell::text(one.problem().unwrap_or_default())),
];

/// Without its fraction.
fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.seconds())
}

/// How the columns are called.
pub(super) fn columns() -> Vec<Head> {
    heads(&COLUMNS)
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
    nodes: Option<u64>,
    node_names: Vec<String>,
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
            nodes: one.known(|contents| contents.nodes.len() as u64),
            node_names: one.known(nodes).unwrap_or_default(),
            size_bytes: one.known(|contents| contents.bytes),
            sources: one.sources(),
            contexts: one.contexts(),
            problem: one.problem(),
        }
    }
}
