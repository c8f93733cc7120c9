//! `--record` and `--replay`: every settled view that was seen, one JSON object a line; a table is written once, in
//! a line of its own, and named by its id from then on. What a bug report or a post-mortem needs.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use khan_api::snapshot::{Names, Table};
use khan_api::{Label, Name, Sentence, Timestamp};
use serde::{Deserialize, Serialize};

use crate::feed::{DetailError, Feed, News, Request, channel, next};
use crate::model::node::Failure;
use crate::model::table::frame::TableFrame;
use crate::model::{NodeInput, NodeState, NodeStatus, NodeTable, Pool, SourceInfo, SourceKind, View, merge};
use crate::sources::nodes::NodeChoice;

/// Of the format that is written.
const VERSION: u32 = 3;
/// What was written before holds new tables in the view's own line.
const OLDER: u32 = 2;
/// How a line with a table begins.
const TABLE: &[u8] = br#"{"khan":3,"table":"#;
/// Longest line: as much as one agent may send.
const LONGEST_LINE: usize = 32 << 20;

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
    /// Other nodes than those asked for.
    #[error("{0} ends without node {1} (--node)")]
    NoNode(String, String),
    /// Nothing in it.
    #[error("{0} holds no view")]
    Empty(String),
}

#[derive(Serialize, Deserialize)]
struct Frame {
    khan: u32,
    at: Timestamp,
    source: Label,
    context: Sentence,
    detail: Sentence,
    notes: Vec<Sentence>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    missing: Vec<Sentence>,
    nodes: Vec<NodeFrame>,
    /// Tables that no earlier line holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tables: Vec<(Name, TableFrame)>,
}

/// A table in a line of its own, before the first view that shows it: a line of all would be as large as all agents' answers.
#[derive(Serialize, Deserialize)]
struct TableLine {
    khan: u32,
    /// With its node: ids of two agents can be the same.
    table: (Name, TableFrame),
}

#[derive(Serialize, Deserialize)]
struct NodeFrame {
    node: Name,
    agent: Sentence,
    state: Label,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<FailureFrame>,
    answered: Option<Timestamp>,
    clock_skew_millis: i64,
    taken: Option<Timestamp>,
    boot_id: Label,
    version: Label,
    started: Option<Timestamp>,
    scan_millis: u64,
    interval_millis: u64,
    names: Names,
    conntrack: Option<Table>,
    connections: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    refused: u64,
    warnings: Vec<Sentence>,
    /// Id of its rows.
    table: Option<Name>,
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

/// Whether a recording stopped before its end; shared by its writer and the code that decides the exit code.
#[derive(Clone, Debug, Default)]
pub struct Stopped(Arc<OnceLock<String>>);

impl Stopped {
    /// Why it stopped, one sentence.
    pub fn reason(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

/// Writes every settled view of `feed` to `path` before anybody else sees it. The first failure to write ends it, because
/// what would be written behind half a line could not be read.
pub fn record(feed: Feed, path: &Path, stopped: Stopped) -> Result<Feed, RecordingError> {
    let wrong = |error| RecordingError::File(path.display().to_string(), error);
    let mut file = BufWriter::new(create(path).map_err(wrong)?);
    let Feed { mut views, news, handle, past } = feed;
    let source = views.borrow().source.clone();
    let (feeder, Feed { views: shown, .. }) = channel(View::empty(source));
    let (name, teller) = (path.display().to_string(), handle.clone());
    tokio::spawn(async move {
        let (mut written, mut last) = (HashSet::new(), None);
        loop {
            let view = Arc::clone(&views.borrow_and_update());
            if view.settled && last != Some(view.id) && stopped.reason().is_none() {
                last = Some(view.id);
                if let Err(error) = write(&mut file, &view, &mut written) {
                    tracing::error!(%error, file = name, "The recording stopped");
                    let reason = stopped.0.get_or_init(|| format!("--record {name}: the recording stopped: {error}"));
                    teller.tell(News::Error { at: Timestamp::now(), node: String::new(), message: reason.clone() });
                }
            }
            feeder.show(view);
            tokio::select! {
                changed = views.changed() => if changed.is_err() { return },
                () = feeder.views.closed() => return,
            }
        }
    });
    Ok(Feed { views: shown, news, handle, past })
}

enum Line {
    Table(Box<TableLine>),
    View(Box<Frame>),
}

impl Line {
    fn parse(line: &[u8]) -> serde_json::Result<Self> {
        if line.starts_with(TABLE) {
            return serde_json::from_slice(line).map(Self::Table);
        }
        serde_json::from_slice(line).map(Self::View)
    }
}

/// Lines without their ends, none of them longer than any that is written. Ends with the first error.
struct Lines<R>(Option<R>);

impl<R: BufRead> Iterator for Lines<R> {
    type Item = std::io::Result<Vec<u8>>;

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
                Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason))
            }
            read => read,
        };
        if read.is_err() {
            self.0 = None;
        }
        Some(read.map(|_| line))
    }
}

/// A file that only its owner can read: it shows who talks to whom.
fn create(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // It may have been there before; a device or a pipe keeps its mode.
    if file.metadata()?.is_file() {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

fn write(file: &mut impl Write, view: &View, written: &mut HashSet<(String, String)>) -> std::io::Result<()> {
    for (index, table) in view.tables() {
        let node = &view.nodes[index as usize].node;
        if written.insert((node.clone(), table.snapshot.clone())) {
            let table = (node.as_str().into(), TableFrame::from(&**table));
            serde_json::to_writer(&mut *file, &TableLine { khan: VERSION, table })?;
            file.write_all(b"\n")?;
        }
    }
    serde_json::to_writer(&mut *file, &frame(view))?;
    file.write_all(b"\n")?;
    file.flush()
}

fn frame(view: &View) -> Frame {
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
        boot_id: node.boot_id.as_str().into(),
        version: node.version.as_str().into(),
        started: node.started,
        scan_millis: millis(node.scan),
        interval_millis: millis(node.interval),
        names: node.names.clone(),
        conntrack: node.table.clone(),
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
        tables: Vec::new(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Shows the last view of a recording, with all before it as the past.
pub fn replay(path: &Path, nodes: &NodeChoice) -> Result<Feed, RecordingError> {
    let mut views = read(path, nodes)?;
    let last = views.pop().ok_or_else(|| RecordingError::Empty(path.display().to_string()))?;
    let (mut feeder, mut feed) = channel(View::empty(last.source.clone()));
    feed.past = true;
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

/// Every view of a recording, oldest first. One that breaks off, because its writer was killed or the disk was full, is read
/// as far as it is whole, and its last view says what is lost.
pub fn read(path: &Path, nodes: &NodeChoice) -> Result<Vec<Arc<View>>, RecordingError> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|error| RecordingError::File(name.clone(), error))?;
    let (mut tables, mut pool, mut views) = (HashMap::new(), Pool::default(), Vec::<View>::new());
    let mut lines = Lines(Some(BufReader::new(file))).enumerate();
    let mut unseen = false;
    while let Some((number, line)) = lines.next() {
        let line = line.map_err(|error| RecordingError::File(name.clone(), error))?;
        let wrong = |reason: String| RecordingError::Line { file: name.clone(), line: number + 1, reason };
        if line.trim_ascii().is_empty() {
            continue;
        }
        let line = match Line::parse(&line) {
            Ok(line) => line,
            // Valid JSON of another kind was written by somebody else.
            Err(error) if error.is_data() => return Err(wrong(Sentence::of(error).into())),
            Err(error) => {
                let Some(last) = views.last_mut() else { return Err(wrong(Sentence::of(error).into())) };
                let lost_lines = match 1 + lines.count() {
                    1 => "its last line is".to_owned(),
                    many => format!("its last {many} lines are"),
                };
                let whole = last.assembled;
                last.missing
                    .push(format!("the recording {name} breaks off after {whole}: {lost_lines} lost ({error})"));
                break;
            }
        };
        let (new, frame) = match line {
            Line::Table(line) => (vec![line.table], None),
            Line::View(mut frame) => (std::mem::take(&mut frame.tables), Some(frame)),
        };
        if let Some(frame) = frame.as_ref().filter(|frame| ![OLDER, VERSION].contains(&frame.khan)) {
            return Err(wrong(format!("it has version {} of the format, this khan reads {VERSION}", frame.khan)));
        }
        for (node, table) in new {
            let (restored, refused) = table.restore(&mut pool);
            tables.insert((node, table.id), (Arc::new(restored), refused));
        }
        unseen = frame.is_none();
        views.extend(frame.map(|frame| restore(*frame, &tables, &name, nodes)));
    }
    if let Some(last) = views.last_mut().filter(|_| unseen) {
        let whole = last.assembled;
        last.missing.push(format!("the recording {name} breaks off after {whole}: the view of its last table is lost"));
    }
    if let Some(last) = views.last_mut() {
        if last.nodes.is_empty() && !nodes.is_all() {
            return Err(RecordingError::NoNode(name, nodes.names().collect::<Vec<_>>().join(", ")));
        }
        let missing: Vec<_> = nodes.missing(&last.nodes, &format!("the recording {name} ends without")).collect();
        last.missing.extend(missing);
    }
    Ok(views.into_iter().map(Arc::new).collect())
}

fn restore(
    frame: Frame,
    tables: &HashMap<(Name, Name), (Arc<NodeTable>, u64)>,
    file: &str,
    nodes: &NodeChoice,
) -> View {
    let inputs = frame.nodes.into_iter().filter(|node| nodes.contains(&node.node)).map(|node| {
        let table = node.table.as_ref().and_then(|id| tables.get(&(node.node.clone(), id.clone()))).cloned();
        let lost = table.as_ref().map_or(0, |(_, refused)| *refused);
        let mut status = status(node);
        status.refused += lost;
        NodeInput { status, table: table.map(|(table, _)| table) }
    });
    let detail = [file, &*frame.source, &*frame.context, &*frame.detail];
    let detail: Vec<_> = detail.into_iter().filter(|part| !part.is_empty()).collect();
    let source = SourceInfo { kind: SourceKind::Replay, context: (&frame.context).into(), detail: detail.join(", ") };
    let mut view = merge(source, inputs.collect(), frame.at);
    view.notes.extend(frame.notes.into_iter().map(Into::into));
    view.missing.extend(frame.missing.into_iter().map(Into::into));
    view
}

fn status(node: NodeFrame) -> NodeStatus {
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
        boot_id: node.boot_id.into(),
        version: node.version.into(),
        started: node.started,
        scan: Duration::from_millis(node.scan_millis),
        interval: Duration::from_millis(node.interval_millis),
        names: node.names,
        table: node.conntrack,
        connections: node.connections,
        refused: node.refused,
        warnings: node.warnings.into_iter().map(Into::into).collect(),
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
        let mut recorded = record(feed, file.path(), Stopped::default()).unwrap();
        for view in [&first, &second] {
            feeder.show(Arc::clone(view));
            recorded.views.wait_for(|seen| seen.id == view.id).await.unwrap();
        }
        let mut feed = replay(file.path(), &NodeChoice::default()).unwrap();
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
        let mut recorded = record(feed, file.path(), Stopped::default()).unwrap();
        feeder.show(Arc::clone(&seen));
        recorded.views.wait_for(|view| view.id == seen.id).await.unwrap();
        assert_eq!(read(file.path(), &NodeChoice::default()).unwrap().pop().unwrap().totals, seen.totals);
    }

    #[tokio::test]
    async fn one_that_breaks_off_is_read_as_far_as_it_is_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (feeder, feed) = channel(View::default());
        let mut recorded = record(feed, file.path(), Stopped::default()).unwrap();
        for seconds in [0, 30, 60] {
            let seen = view(&[Agent::new("n1", seconds).row("shop/web@n1", "data/db@n2", 5432, 7)]);
            feeder.show(Arc::clone(&seen));
            recorded.views.wait_for(|view| view.id == seen.id).await.unwrap();
        }
        let whole = std::fs::read(file.path()).unwrap();
        let ends_of_lines: Vec<_> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
        // Each view is a table's line and its own.
        let first = ends_of_lines[1] + 1;
        let ends = |bytes: &[u8]| {
            std::fs::write(file.path(), bytes).unwrap();
            read(file.path(), &NodeChoice::default())
                .map(|views| (views.len(), views.last().unwrap().gaps().join("; ")))
        };
        assert_eq!(ends(&whole).unwrap(), (3, String::new()));
        // Killed in the middle of its last line; between two bytes of one letter; a disk that gave zeroes.
        let torn = [&whole[..whole.len() - 20], &[&whole[..whole.len() - 20], "é".as_bytes().split_at(1).0].concat()];
        for torn in torn {
            let (views, gaps) = ends(torn).unwrap();
            assert!(
                views == 2 && gaps.contains("breaks off after") && gaps.contains("its last line is lost"),
                "{gaps}"
            );
        }
        let mut zeroed = whole.clone();
        zeroed[first + 5..first + 50].fill(0);
        let (views, gaps) = ends(&zeroed).unwrap();
        assert!(views == 1 && gaps.contains("its last 4 lines are lost"), "{gaps}");
        let (views, gaps) = ends(&whole[..=ends_of_lines[4]]).unwrap();
        assert!(views == 2 && gaps.contains("the view of its last table is lost"), "{gaps}");
        // Nothing of it is whole.
        assert!(ends(&whole[..first - 20]).unwrap_err().to_string().contains("line 1"));
    }

    #[tokio::test]
    async fn nobody_else_can_read_it_even_where_a_file_was() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::set_permissions(file.path(), Permissions::from_mode(0o644)).unwrap();
        record(channel(View::default()).1, file.path(), Stopped::default()).unwrap();
        assert_eq!(std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_line_without_an_end_is_not_read_to_its_end() {
        let error = read(Path::new("/dev/zero"), &NodeChoice::default()).unwrap_err().to_string();
        assert_eq!(error, "/dev/zero: a line is longer than the 32 MiB that lines of a recording have");
    }

    #[test]
    fn other_files_are_refused_with_their_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\"khan\":2}\n").unwrap();
        assert!(read(file.path(), &NodeChoice::default()).unwrap_err().to_string().contains("line 1: missing field"));
        std::fs::write(file.path(), "").unwrap();
        assert!(replay(file.path(), &NodeChoice::default()).unwrap_err().to_string().ends_with("holds no view"));
    }
}
