//! The format: one JSON object a line. A table is written once, in a line of its own before the first view that shows it,
//! and named by its id from then on: a line of all would be as large as all agents' answers.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::time::Duration;

use khan_api::snapshot::{Names, Table};
use khan_api::table_stats::MAX_TABLES;
use khan_api::{Label, Name, Sentence, TableStats, Timestamp, bounded};
use serde::{Deserialize, Serialize};

use super::services::ServicesFrame;
use crate::model::node::{Failure, tables_or_kernel};
use crate::model::table::frame::TableFrame;
use crate::model::{NodeState, NodeStatus, NodeTable, View};

/// Of the format that is written.
pub(super) const VERSION: u32 = 3;
/// What was written before holds new tables in the view's own line.
pub(super) const OLDER: u32 = 2;
/// How every line begins.
pub(super) const MARK: &[u8] = br#"{"khan":"#;
/// How a line with a table begins.
pub(super) const TABLE: &[u8] = br#"{"khan":3,"table":"#;
/// Longest line: as much as one agent may send.
const LONGEST_LINE: usize = 32 << 20;

/// Why a recording cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file.
    #[error("{0}: {1}")]
    File(String, io::Error),
    /// Not a line of a recording.
    #[error("{file} is not a recording of khan: line {line}: {reason}")]
    Line {
        /// The file.
        file: String,
        /// Its line, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// Other nodes than those asked for.
    #[error("{0} ends without node {1} (--node)")]
    NoNode(String, String),
    /// Something is in it already.
    #[error("{0} exists already, and is not overwritten: give another name, or remove it first")]
    Exists(String),
    /// Nothing in it.
    #[error("{0} holds no view")]
    Empty(String),
}

/// A view: its nodes, and which tables it shows.
#[derive(Serialize, Deserialize)]
pub(super) struct Frame {
    pub(super) khan: u32,
    pub(super) at: Timestamp,
    pub(super) source: Label,
    pub(super) context: Sentence,
    pub(super) detail: Sentence,
    pub(super) notes: Vec<Sentence>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) missing: Vec<Sentence>,
    pub(super) nodes: Vec<NodeFrame>,
    /// Who answers for services, where that changed since the view before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) services: Option<ServicesFrame>,
    /// Tables that no earlier line holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tables: Vec<(Name, TableFrame)>,
}

/// A table in a line of its own, before the first view that shows it: a line of all would be as large as all agents' answers.
#[derive(Serialize, Deserialize)]
pub(super) struct TableLine {
    pub(super) khan: u32,
    /// With its node: ids of two agents can be the same.
    pub(super) table: (Name, TableFrame),
}

#[derive(Serialize, Deserialize)]
pub(super) struct NodeFrame {
    pub(super) node: Name,
    agent: Sentence,
    state: Label,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<FailureFrame>,
    answered: Option<Timestamp>,
    clock_skew_millis: i64,
    taken: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    boot_id: Label,
    version: Label,
    started: Option<Timestamp>,
    scan_millis: u64,
    interval_millis: u64,
    names: Names,
    conntrack: Option<Table>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::first::<_, _, MAX_TABLES>")]
    fills: Vec<TableStats>,
    connections: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    refused: u64,
    warnings: Vec<Sentence>,
    /// Id of its rows.
    pub(super) table: Option<Name>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands fields by reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[derive(Serialize, Deserialize)]
struct FailureFrame {
    reason: Sentence,
    since: Timestamp,
    attempts: u32,
    next: Option<Timestamp>,
}

/// The line of a view.
pub(super) fn frame(view: &View) -> Frame {
    let tables: HashMap<u32, &Arc<NodeTable>> = view.tables().collect();
    let nodes = view.nodes.iter().zip(0..).map(|(node, index)| NodeFrame {
        node: node.node.as_str().into(),
        agent: node.agent.as_str().into(),
        state: node.state.as_str().into(),
        failure: node.failure.as_ref().map(|failure| FailureFrame {
            reason: failure.reason.as_str().into(),
            since: failure.since,
            attempts: failure.attempts,
            next: failure.next,
        }),
        answered: node.answered,
        clock_skew_millis: node.clock_skew_millis,
        taken: node.taken,
        since: node.since,
        boot_id: node.boot_id.as_str().into(),
        version: node.version.as_str().into(),
        started: node.started,
        scan_millis: millis(node.scan),
        interval_millis: millis(node.interval),
        names: node.names.clone(),
        conntrack: node.table.clone(),
        fills: node.tables.clone(),
        connections: node.connections,
        refused: node.refused,
        warnings: node.warnings.iter().map(Into::into).collect(),
        table: tables.get(&index).map(|table| table.snapshot.as_str().into()),
    });
    Frame {
        khan: VERSION,
        at: view.assembled,
        source: view.source.kind.as_str().into(),
        context: view.source.context.as_str().into(),
        detail: view.source.detail.as_str().into(),
        notes: view.notes.iter().map(Into::into).collect(),
        missing: view.missing.iter().map(Into::into).collect(),
        nodes: nodes.collect(),
        services: None,
        tables: Vec::new(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A line that was read.
pub(super) enum Line {
    Table(Box<TableLine>),
    View(Box<Frame>),
}

impl Line {
    /// Reads a line.
    pub(super) fn parse(line: &[u8]) -> serde_json::Result<Self> {
        if line.starts_with(TABLE) {
            return serde_json::from_slice(line).map(Self::Table);
        }
        serde_json::from_slice(line).map(Self::View)
    }
}

/// Lines without their ends, none of them longer than any that is written. Ends with the first error.
pub(super) struct Lines<R>(Option<R>);

impl<R: BufRead> Lines<R> {
    /// Those of `reader`.
    pub(super) fn of(reader: R) -> Self {
        Self(Some(reader))
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.0.as_mut()?;
        let mut line = Vec::new();
        let most = u64::try_from(LONGEST_LINE + 1).unwrap_or(u64::MAX);
        let read = reader.take(most).read_until(b'\n', &mut line);
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        let read = match read {
            Ok(0) => return None,
            Ok(_) if line.len() > LONGEST_LINE => {
                let reason =
                    format!("a line is longer than the {} MiB that lines of a recording have", LONGEST_LINE >> 20);
                Err(io::Error::new(io::ErrorKind::InvalidData, reason))
            }
            read => read,
        };
        if read.is_err() {
            self.0 = None;
        }
        Some(read.map(|_| line))
    }
}

/// A node as a view has it.
pub(super) fn status(node: NodeFrame) -> NodeStatus {
    let states = [NodeState::Ok, NodeState::Stale, NodeState::Failed, NodeState::Waiting];
    NodeStatus {
        state: states.into_iter().find(|state| state.as_str() == node.state).unwrap_or(NodeState::Stale),
        failure: node.failure.map(|failure| Failure {
            reason: failure.reason.into(),
            since: failure.since,
            attempts: failure.attempts,
            next: failure.next,
        }),
        answered: node.answered,
        clock_skew_millis: node.clock_skew_millis,
        taken: node.taken,
        since: node.since,
        boot_id: node.boot_id.into(),
        version: node.version.into(),
        started: node.started,
        scan: Duration::from_millis(node.scan_millis),
        interval: Duration::from_millis(node.interval_millis),
        names: node.names,
        tables: tables_or_kernel(node.fills, node.conntrack.as_ref()),
        table: node.conntrack,
        connections: node.connections,
        refused: node.refused,
        warnings: node.warnings.into_iter().map(Into::into).collect(),
        ..NodeStatus::waiting(node.node, node.agent)
    }
}
