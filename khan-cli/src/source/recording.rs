//! `--record` and `--replay`: every settled view that was seen, one JSON object a line; a table is written once and named
//! by its id from then on. What a bug report or a post-mortem needs.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use khan_api::Timestamp;
use khan_api::snapshot::{Names, Table};
use serde::{Deserialize, Serialize};

use crate::feed::{DetailError, Feed, News, Request, channel, next};
use crate::model::node::Failure;
use crate::model::table::frame::TableFrame;
use crate::model::{NodeInput, NodeState, NodeStatus, NodeTable, Pool, SourceInfo, SourceKind, View, merge};

const VERSION: u32 = 2;

/// Why a recording cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file.
    #[error("{0}: {1}")]
    File(String, std::io::Error),
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
    /// Nothing in it.
    #[error("{0} holds no view")]
    Empty(String),
}

#[derive(Serialize, Deserialize)]
struct Frame {
    khan: u32,
    at: Timestamp,
    source: String,
    context: String,
    detail: String,
    notes: Vec<String>,
    nodes: Vec<NodeFrame>,
    /// Tables that no earlier line holds, each with its node: ids of two agents can be the same.
    tables: Vec<(String, TableFrame)>,
}

#[derive(Serialize, Deserialize)]
struct NodeFrame {
    node: String,
    agent: String,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<FailureFrame>,
    answered: Option<Timestamp>,
    clock_skew_millis: i64,
    taken: Option<Timestamp>,
    boot_id: String,
    version: String,
    started: Option<Timestamp>,
    scan_millis: u64,
    interval_millis: u64,
    names: Names,
    conntrack: Option<Table>,
    connections: u64,
    warnings: Vec<String>,
    /// Id of its rows.
    table: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct FailureFrame {
    reason: String,
    since: Timestamp,
    attempts: u32,
    next: Option<Timestamp>,
}

/// Writes every settled view of `feed` to `path` before anybody else sees it.
pub fn record(feed: Feed, path: &Path) -> Result<Feed, RecordingError> {
    let wrong = |error| RecordingError::File(path.display().to_string(), error);
    let mut file = BufWriter::new(File::create(path).map_err(wrong)?);
    let Feed { mut views, news, handle } = feed;
    let source = views.borrow().source.clone();
    let (feeder, Feed { views: shown, .. }) = channel(View::empty(source));
    let name = path.display().to_string();
    tokio::spawn(async move {
        let (mut written, mut last) = (HashSet::new(), None);
        loop {
            let view = Arc::clone(&views.borrow_and_update());
            if view.settled && last != Some(view.id) {
                last = Some(view.id);
                let line = serde_json::to_vec(&frame(&view, &mut written)).map_err(std::io::Error::from);
                let result = line.and_then(|line| file.write_all(&line)).and_then(|()| file.write_all(b"\n"));
                if let Err(error) = result.and_then(|()| file.flush()) {
                    tracing::error!(%error, file = name, "The recording stopped");
                    written.clear();
                }
            }
            feeder.show(view);
            tokio::select! {
                changed = views.changed() => if changed.is_err() { return },
                () = feeder.views.closed() => return,
            }
        }
    });
    Ok(Feed { views: shown, news, handle })
}

fn frame(view: &View, written: &mut HashSet<(String, String)>) -> Frame {
    let tables: HashMap<u32, &Arc<NodeTable>> = view.tables().collect();
    let nodes = view.nodes.iter().zip(0..).map(|(node, index)| NodeFrame {
        node: node.node.clone(),
        agent: node.agent.clone(),
        state: node.state.as_str().to_owned(),
        failure: node.failure.as_ref().map(|failure| FailureFrame {
            reason: failure.reason.clone(),
            since: failure.since,
            attempts: failure.attempts,
            next: failure.next,
        }),
        answered: node.answered,
        clock_skew_millis: node.clock_skew_millis,
        taken: node.taken,
        boot_id: node.boot_id.clone(),
        version: node.version.clone(),
        started: node.started,
        scan_millis: millis(node.scan),
        interval_millis: millis(node.interval),
        names: node.names.clone(),
        conntrack: node.table.clone(),
        connections: node.connections,
        warnings: node.warnings.clone(),
        table: tables.get(&index).map(|table| table.snapshot.clone()),
    });
    let name = |index: u32| view.nodes[index as usize].node.clone();
    let tables = tables.iter().map(|(index, table)| (name(*index), *table));
    let fresh = tables.filter(|(node, table)| written.insert((node.clone(), table.snapshot.clone())));
    Frame {
        khan: VERSION,
        at: view.assembled,
        source: view.source.kind.as_str().to_owned(),
        context: view.source.context.clone(),
        detail: view.source.detail.clone(),
        notes: view.notes.clone(),
        nodes: nodes.collect(),
        tables: fresh.map(|(node, table)| (node, TableFrame::from(&**table))).collect(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Shows the last view of a recording, with all before it as the past.
pub fn replay(path: &Path) -> Result<Feed, RecordingError> {
    let mut views = read(path)?;
    let last = views.pop().ok_or_else(|| RecordingError::Empty(path.display().to_string()))?;
    let (mut feeder, feed) = channel(View::empty(last.source.clone()));
    feeder.tell(News::Past(views));
    feeder.show(last);
    feeder.tell(News::End);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = feeder.views.closed() => return,
                request = next(&mut feeder.requests) => if let Request::Sample(_, answer) = request {
                    drop(answer.send(Err(DetailError::CountsOnly("a recording"))));
                },
            }
        }
    });
    Ok(feed)
}

/// Every view of a recording, oldest first.
pub fn read(path: &Path) -> Result<Vec<Arc<View>>, RecordingError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| RecordingError::File(name.clone(), error))?;
    let (mut tables, mut pool, mut views) = (HashMap::new(), Pool::default(), Vec::new());
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| RecordingError::File(name.clone(), error))?;
        let wrong = |reason: String| RecordingError::Line { file: name.clone(), line: number + 1, reason };
        if line.trim().is_empty() {
            continue;
        }
        let frame: Frame = serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?;
        if frame.khan != VERSION {
            return Err(wrong(format!("it has version {} of the format, this khan reads {VERSION}", frame.khan)));
        }
        for (node, table) in &frame.tables {
            tables.insert((node.clone(), table.id.clone()), Arc::new(table.restore(&mut pool)));
        }
        views.push(Arc::new(restore(frame, &tables, &name)));
    }
    Ok(views)
}

fn restore(frame: Frame, tables: &HashMap<(String, String), Arc<NodeTable>>, file: &str) -> View {
    let inputs = frame.nodes.into_iter().map(|node| {
        let table = node.table.as_ref().and_then(|id| tables.get(&(node.node.clone(), id.clone()))).cloned();
        NodeInput { status: status(node), table }
    });
    let detail = [file, frame.source.as_str(), frame.context.as_str(), frame.detail.as_str()];
    let detail: Vec<_> = detail.into_iter().filter(|part| !part.is_empty()).collect();
    let source = SourceInfo { kind: SourceKind::Replay, context: frame.context.clone(), detail: detail.join(", ") };
    let mut view = merge(source, inputs.collect(), frame.at);
    view.notes.extend(frame.notes);
    view
}

fn status(node: NodeFrame) -> NodeStatus {
    let states = [NodeState::Ok, NodeState::Stale, NodeState::Failed, NodeState::Waiting];
    NodeStatus {
        state: states.into_iter().find(|state| state.as_str() == node.state).unwrap_or(NodeState::Stale),
        failure: node.failure.map(|failure| Failure {
            reason: failure.reason,
            since: failure.since,
            attempts: failure.attempts,
            next: failure.next,
        }),
        answered: node.answered,
        clock_skew_millis: node.clock_skew_millis,
        taken: node.taken,
        boot_id: node.boot_id,
        version: node.version,
        started: node.started,
        scan: Duration::from_millis(node.scan_millis),
        interval: Duration::from_millis(node.interval_millis),
        names: node.names,
        table: node.conntrack,
        connections: node.connections,
        warnings: node.warnings,
        ..NodeStatus::waiting(node.node, node.agent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture::{Agent, view};
    use crate::model::{History, Query, project};

    #[tokio::test]
    async fn what_is_recorded_is_seen_again() {
        let at = |seconds, n| view(&[Agent::new("n1", seconds).row("shop/web@n1", "data/db@n2", 5432, n)]);
        let (first, second) = (at(0, 7), at(30, 9));
        let file = tempfile::NamedTempFile::new().unwrap();
        let (feeder, feed) = channel(View::default());
        let mut recorded = record(feed, file.path()).unwrap();
        for view in [&first, &second] {
            feeder.show(Arc::clone(view));
            recorded.views.wait_for(|seen| seen.id == view.id).await.unwrap();
        }
        let mut feed = replay(file.path()).unwrap();
        let query = Query::default();
        let last = Arc::clone(&feed.views.borrow());
        let rows = |view: &View| {
            let rows = project(view, &query, &History::default()).rows;
            rows.iter().map(|row| (row.key, row.sum.connections)).collect::<Vec<_>>()
        };
        assert_eq!(rows(&last), rows(&second));
        assert_eq!(last.id, second.id);
        let Some(News::Past(past)) = feed.news.recv().await else { panic!("no past") };
        assert_eq!(past.last().map(|view| rows(view)), Some(rows(&first)));
        assert!(matches!(feed.news.recv().await, Some(News::End)));
    }

    #[tokio::test]
    async fn tables_of_two_nodes_with_one_id_stay_two() {
        let agent = |node: &str, n| {
            let mut agent = Agent::new(node, 0).row(&format!("shop/web@{node}"), "svc:data/db", 5432, n);
            agent.snapshot.id = "1".into();
            agent
        };
        let seen = view(&[agent("n1", 7), agent("n2", 100)]);
        let file = tempfile::NamedTempFile::new().unwrap();
        let (feeder, feed) = channel(View::default());
        let mut recorded = record(feed, file.path()).unwrap();
        feeder.show(Arc::clone(&seen));
        recorded.views.wait_for(|view| view.id == seen.id).await.unwrap();
        assert_eq!(read(file.path()).unwrap().pop().unwrap().totals, seen.totals);
    }

    #[test]
    fn other_files_are_refused_with_their_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"khan\":2}\n").unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("line 1: missing field"));
        std::fs::write(file.path(), "").unwrap();
        assert!(replay(file.path()).unwrap_err().to_string().ends_with("holds no view"));
    }
}
