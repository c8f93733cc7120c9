//! An opened row: the same connections split more finely, their past, and a sample of single ones.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::net::IpAddr;

use khan_api::Connection;

use crate::feed::{SampleRequest, Samples};
use crate::model::{GroupBy, History, Projection, Query, Row, RowKey, Sort, View, project, state};

use super::cursor::Cursor;
use crate::screen::layout::drill::{Contents, height};
use crate::screen::tab::{Grouping, panes};

/// Connections that a sample lists at most.
pub const SAMPLE_LIMIT: usize = 50;
/// Agents that are asked for one sample at most: those with most of the row's connections.
const SAMPLE_NODES: usize = 3;
/// Addresses of an end that a request names at most.
const SAMPLE_ADDRESSES: usize = 64;

/// What became of the question for single connections.
#[derive(Clone, Debug)]
pub enum Sample {
    /// On its way.
    Asked,
    /// Answered.
    Ready(Samples),
    /// Not answered, one sentence.
    Failed(String),
}

/// One opened row.
#[derive(Debug)]
pub struct Drill {
    /// The row's texts: `shop/checkout -> data/postgres-main:5432`.
    pub title: String,
    /// Its key in the list that it was opened from.
    pub from: RowKey,
    /// Counts exactly the row's connections, as one group.
    pub query: Query,
    /// The row as a whole.
    pub whole: Projection,
    /// The lists that can be shown, and the rows of each.
    pub panes: Vec<(Grouping, Projection)>,
    /// Which list is shown; the one past the last is the sample.
    pub pane: usize,
    /// Cursor in each list and in the sample.
    pub cursors: Vec<Cursor>,
    /// Single connections.
    pub sample: Sample,
    /// Number of the question that the sample answers.
    pub asked: u64,
    /// It keeps growing: its oldest connections are those to look at.
    pub hunts: bool,
}

impl Drill {
    /// Opens `row` of the answer to `query`.
    pub fn open(query: &Query, row: &Row, view: &View, asked: u64, hunts: bool) -> Self {
        let query = query.of_row(row);
        let within = Query { sort: Sort::default(), limit: 200, ..query.within(row.key, GroupBy::NONE) };
        let panes: Vec<_> = finer(&query, row, view).into_iter().map(|pane| (pane, Projection::default())).collect();
        Self {
            title: title(row),
            from: row.key,
            query: within,
            whole: Projection::default(),
            cursors: vec![Cursor::default(); panes.len() + 1],
            panes,
            pane: 0,
            sample: Sample::Asked,
            asked,
            hunts,
        }
    }

    /// The question behind a list.
    pub fn pane_query(&self, pane: usize) -> Query {
        Query { group_by: self.panes[pane].0.by, ..self.query.clone() }
    }

    /// Answers its questions on a new view.
    pub fn refresh(&mut self, view: &View, history: &mut History) {
        history.track(&self.query);
        self.whole = project(view, &self.query, history);
        for pane in 0..self.panes.len() {
            let query = self.pane_query(pane);
            history.track(&query);
            self.panes[pane].1 = project(view, &query, history);
        }
    }

    /// Keys of the list with the cursor.
    pub fn keys(&self) -> Vec<RowKey> {
        match self.panes.get(self.pane) {
            Some((_, rows)) => rows.rows.iter().map(|row| row.key).collect(),
            None => (0..self.connections()).map(|i| RowKey(i as u128)).collect(),
        }
    }

    /// Single connections in the order listed: as agents told them, or the oldest first.
    pub fn entries(&self) -> Vec<&Connection> {
        let Sample::Ready(samples) = &self.sample else { return Vec::new() };
        let mut entries: Vec<_> = samples.tables.iter().flat_map(|table| &table.connections).collect();
        if self.hunts {
            entries.sort_by_key(|entry| Reverse((entry.age_seconds, entry.idle_seconds)));
        }
        entries
    }

    fn connections(&self) -> usize {
        match &self.sample {
            Sample::Ready(samples) => samples.tables.iter().map(|answer| answer.connections.len()).sum(),
            Sample::Asked | Sample::Failed(_) => 0,
        }
    }

    /// Whether its single connections are still on their way.
    pub const fn is_waiting(&self) -> bool {
        matches!(self.sample, Sample::Asked)
    }

    /// How much there is to show.
    pub fn contents(&self) -> Contents {
        Contents {
            rows: self.panes.get(self.pane).or(self.panes.first()).map_or(0, |(_, rows)| rows.rows.len()),
            sample: self.connections(),
            on_sample: self.pane >= self.panes.len(),
        }
    }

    /// The row under the cursor.
    pub fn current(&self) -> Option<&Row> {
        let (_, rows) = self.panes.get(self.pane)?;
        let key = self.cursors[self.pane].key?;
        rows.rows.iter().find(|row| row.key == key)
    }

    /// Moves the cursor of the list that has it, on a screen of `screen` lines.
    pub fn step(&mut self, by: isize, screen: u16) {
        let (keys, height) = (self.keys(), height(screen, self.contents()));
        self.cursors[self.pane].step(by, &keys, height);
    }

    /// Binds the cursors to the rows that there are now.
    pub fn settle(&mut self, screen: u16) {
        let (keys, height) = (self.keys(), height(screen, self.contents()));
        self.cursors[self.pane].settle(&keys, height);
    }

    /// The list that is drawn: the one with the cursor, or the last one while the sample has it.
    pub fn listed(&self) -> usize {
        self.pane.min(self.panes.len().saturating_sub(1))
    }

    /// Puts the cursor on a line of a list, or of the sample after the last list, unless there is no such line.
    pub fn put(&mut self, pane: usize, at: usize, screen: u16) {
        let before = std::mem::replace(&mut self.pane, pane);
        let (keys, height) = (self.keys(), height(screen, self.contents()));
        if at < keys.len() {
            self.cursors[pane].put(at, &keys, height);
        } else {
            self.pane = before;
        }
    }

    /// Which connections to read, and from which nodes.
    pub fn request(&self, view: &View) -> SampleRequest {
        let (mut src, mut dst) = (BTreeMap::new(), BTreeMap::new());
        let mut nodes: HashMap<u32, u64> = HashMap::new();
        let mut ports: Vec<u16> = Vec::new();
        crate::model::groups::select(view, &self.query, |row, _, sum| {
            let connections = sum.connections;
            let note = |ends: &mut BTreeMap<IpAddr, u64>, at: u32| {
                if let Some(ip) = view.endpoints[at as usize].ip {
                    *ends.entry(ip).or_default() += connections;
                }
            };
            note(&mut src, row.src);
            note(&mut dst, row.backend);
            *nodes.entry(row.node).or_default() += connections;
            if !ports.contains(&row.row.port) && ports.len() < 2 {
                ports.push(row.row.port);
            }
        });
        let mut nodes: Vec<_> = nodes.into_iter().collect();
        nodes.sort_by_key(|(node, connections)| (Reverse(*connections), *node));
        let name = |node: u32| view.nodes[node as usize].node.clone();
        SampleRequest {
            nodes: nodes.into_iter().take(SAMPLE_NODES).map(|(node, _)| name(node)).collect(),
            src: largest(src),
            dst: largest(dst),
            port: if ports.len() == 1 { ports.pop().filter(|port| *port > 0) } else { None },
            limit: SAMPLE_LIMIT,
            oldest: self.hunts,
            ..SampleRequest::default()
        }
    }
}

/// The lists that show more finely what `row` of the answer to `query` consists of; the first says most.
pub(super) fn finer(query: &Query, row: &Row, view: &View) -> Vec<Grouping> {
    let by = query.group_by;
    let mut panes = panes(&by);
    if panes.iter().any(|pane| pane.by.takes_backend()) && !by.takes_backend() {
        let within = query.within(row.key, GroupBy::NONE);
        if !knows_backends(view, &within) {
            panes.retain(|pane| !pane.by.takes_backend());
        }
    }
    if row.fan {
        // What it stands for comes first.
        panes.reverse();
    }
    panes
}

/// Whether the answering end of any of these connections is known: Prometheus has only what was dialled.
fn knows_backends(view: &View, query: &Query) -> bool {
    let mut known = false;
    crate::model::groups::select(view, query, |row, _, _| known |= row.row.backend_port > 0 || row.backend != row.dst);
    known
}

fn largest(ends: BTreeMap<IpAddr, u64>) -> Vec<IpAddr> {
    let mut ends: Vec<_> = ends.into_iter().collect();
    ends.sort_by_key(|(ip, connections)| (Reverse(*connections), *ip));
    ends.into_iter().take(SAMPLE_ADDRESSES).map(|(ip, _)| ip).collect()
}

/// A row in one line.
pub fn title(row: &Row) -> String {
    let mut title = match (row.source(), row.destination()) {
        ("", "") => String::new(),
        (source, "") => source.to_owned(),
        ("", destination) => format!("-> {destination}"),
        (source, destination) => format!("{source} -> {destination}"),
    };
    if let Some(port) = row.port {
        let _ = write!(title, ":{port}");
    }
    if row.behind.is_some() {
        let _ = write!(title, " -> {}", row.backend());
    }
    let words = [row.node.as_deref(), row.protocol.map(khan_api::Protocol::as_str), row.state.map(state::name)];
    for word in words.into_iter().flatten() {
        title = if title.is_empty() { word.to_owned() } else { format!("{title} {word}") };
    }
    if title.is_empty() { "all connections".into() } else { title }
}
