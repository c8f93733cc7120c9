//! One round of questions, and what the answers say about every node.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures::future::{try_join_all, try_join5};
use khan_api::snapshot::Table;
use khan_api::table_stats::MAX_TABLES;
use khan_api::{Sentence, TableStats, Timestamp};

use super::answer::{Answer, Labels, Series};
use super::client::{Client, PromError};
use super::label_set::LabelSet;
use super::promql;
use super::rows::{Part, Rows};
use crate::model::node::tables_or_kernel;
use crate::model::{NodeStatus, NodeTable, Pool};
use crate::sources::nodes::NodeChoice;

/// The answers of one round.
#[derive(Debug)]
pub(super) struct Round {
    connections: Answer,
    /// Of them those of each of [`promql::SOME`], what ended, and those to dead backends.
    parts: Vec<Answer>,
    scraped: Answer,
    taken: Answer,
    about: Answer,
}

/// A node as this round shows it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) status: NodeStatus,
    pub(super) table: Arc<NodeTable>,
}

impl Round {
    /// Asks everything at one time, so that the answers belong together.
    pub(super) async fn ask(client: &Client, labels: &LabelSet, nodes: &NodeChoice) -> Result<Self, PromError> {
        let connections = promql::connections(labels, nodes);
        let parts = promql::SOME.map(|metric| promql::some(metric, labels, nodes)).into_iter();
        let parts: Vec<_> = parts.chain([promql::closed(nodes), promql::dead(labels, nodes)]).collect();
        let scraped = promql::scraped(nodes);
        let (connections, parts, scraped, taken, about) = try_join5(
            client.query(&connections, None),
            try_join_all(parts.iter().map(|part| client.query(part, None))),
            client.query(&scraped, None),
            client.query(promql::TAKEN, None),
            client.query(promql::ABOUT, None),
        )
        .await?;
        Ok(Self { connections, parts, scraped, taken, about })
    }

    /// Whether it knows no node at all.
    pub(super) fn is_empty(&self) -> bool {
        self.scraped.series.is_empty()
    }

    /// What the server wants known.
    pub(super) fn warnings(&self) -> impl Iterator<Item = &Sentence> {
        [&self.connections, &self.scraped].into_iter().chain(&self.parts).flat_map(|answer| &answer.warnings)
    }

    /// Every node that it knows of, by name.
    pub(super) fn nodes(&self, labels: &LabelSet, url: &str, pool: &mut Pool) -> Vec<Node> {
        let skew = self.connections.clock_skew_millis;
        let mut nodes = BTreeMap::<String, NodeStatus>::new();
        let mut by_target = HashMap::<(String, String), String>::new();
        for (labels, seconds) in values(&self.scraped) {
            let name = labels.get("node");
            let status = nodes.entry(name.to_owned()).or_insert_with(|| NodeStatus::waiting(name, url));
            let scraped = timestamp(seconds);
            status.taken = status.taken.max(Some(scraped));
            status.answered = status.taken;
            status.clock_skew_millis = skew;
            by_target.insert(target(labels), name.to_owned());
        }
        let mut find = |labels: &Labels, change: &mut dyn FnMut(&mut NodeStatus)| {
            if let Some(status) = by_target.get(&target(labels)).and_then(|name| nodes.get_mut(name)) {
                change(status);
            }
        };
        for (labels, seconds) in values(&self.taken) {
            find(labels, &mut |status| status.taken = Some(timestamp(seconds)));
        }
        for (labels, value) in values(&self.about) {
            find(labels, &mut |status| describe(status, labels, value));
        }
        nodes.values_mut().for_each(settle_tables);
        let mut rows = Rows::of(counts(&self.connections), pool);
        let [idle, stalled, unanswered, closed, dead] = &self.parts[..] else { return Vec::new() };
        let parts: [(&Answer, Part); 3] = [
            (idle, |count| &mut count.idle_connections),
            (stalled, |count| &mut count.stalled),
            (unanswered, |count| &mut count.unanswered),
        ];
        for (answer, part) in parts {
            Rows::part(&mut rows, counts(answer), pool, part);
        }
        Rows::dead(&mut rows, counts(dead), pool);
        for (labels, per_second) in values(closed) {
            let Some(window) = nodes.get(labels.get("node")).and_then(NodeStatus::window) else { continue };
            rows.entry(labels.get("node").to_owned()).or_default().end(labels, per_second * window.as_secs_f64(), pool);
        }
        let shape = shape(labels);
        let node = |(name, mut status): (String, NodeStatus)| {
            let rows = rows.remove(&name).unwrap_or_default();
            status.connections = rows.connections();
            let taken = status.taken.unwrap_or_default().millis();
            let table = Arc::new(rows.table(format!("{name}@{taken}/{shape:x}")));
            Node { status, table }
        };
        nodes.into_iter().map(node).collect()
    }
}

fn describe(status: &mut NodeStatus, labels: &Labels, value: f64) {
    let seconds = Duration::try_from_secs_f64(value).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and NaN is zero")]
    let count = value as u64;
    match labels.get("__name__") {
        "khan_agent_build_info" => labels.get("version").clone_into(&mut status.version),
        "khan_agent_scan_interval_seconds" => status.interval = seconds,
        "khan_agent_scan_duration_seconds" => status.scan = seconds,
        // Not a number after the first scan.
        "khan_agent_snapshot_compared_seconds" if value > 0.0 => {
            let millis = i64::try_from(seconds.as_millis()).unwrap_or(i64::MAX);
            status.since = status.taken.map(|taken| Timestamp::from_millis(taken.millis().saturating_sub(millis)));
        }
        "khan_conntrack_entries" => {
            let table = status.table.get_or_insert_default();
            table.entries += count;
            table.protocols.insert(labels.get("protocol").into(), count);
        }
        "khan_conntrack_entries_limit" => status.table.get_or_insert_with(Table::default).limit = count,
        "khan_agent_table_entries" => set(status, labels, |table| table.entries = count),
        "khan_agent_table_limit" => set(status, labels, |table| table.limit = count),
        "khan_agent_table_scan_seconds" => {
            let micros = u64::try_from(seconds.as_micros()).unwrap_or(u64::MAX);
            set(status, labels, |table| table.scan_micros = micros);
        }
        _ => {}
    }
}

/// Changes what is known of the table that the labels name.
fn set(status: &mut NodeStatus, labels: &Labels, change: impl FnOnce(&mut TableStats)) {
    let (name, tables) = (labels.get("table"), &mut status.tables);
    let known = tables.iter().position(|table| table.name == name);
    if known.is_none() && tables.len() == MAX_TABLES {
        return;
    }
    let at = known.unwrap_or_else(|| {
        tables.push(TableStats { name: name.into(), ..TableStats::default() });
        tables.len() - 1
    });
    change(&mut tables[at]);
}

/// `khan_conntrack_entries` counts the entries of all tables, so where each is known by its name, that tells the kernel's.
fn settle_tables(status: &mut NodeStatus) {
    if let Some(kernel) = status.tables.iter().find(|table| table.is_kernel()) {
        status.table.get_or_insert_default().entries = kernel.entries;
    } else if !status.tables.is_empty() {
        status.table = None;
    }
    status.tables = tables_or_kernel(std::mem::take(&mut status.tables), status.table.as_ref());
    status.tables.sort_by(|a, b| b.is_kernel().cmp(&a.is_kernel()).then_with(|| a.name.cmp(&b.name)));
}

fn values(answer: &Answer) -> impl Iterator<Item = (&Labels, f64)> {
    answer.series.iter().filter_map(|series| Some((&series.labels, series.value()?.value)))
}

fn counts(answer: &Answer) -> impl Iterator<Item = (&Labels, u64)> {
    answer.series.iter().filter_map(|series| Some((&series.labels, series.value()?.count())))
}

fn target(labels: &Labels) -> (String, String) {
    (labels.get("job").to_owned(), labels.get("instance").to_owned())
}

pub(super) fn timestamp(seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and NaN is zero")]
    Timestamp::from_millis((seconds * 1000.0).round() as i64)
}

fn shape(labels: &LabelSet) -> u64 {
    let mut hasher = DefaultHasher::new();
    labels.hash(&mut hasher);
    hasher.finish()
}

/// The nodes' rows at each time of a range query's answer, oldest first, dated by when their snapshots were `taken`: what a
/// server shows of a moment is some scan and some scrape older, and of the newest moments perhaps half a minute more.
pub(super) fn past(
    series: &[Series],
    taken: &[Series],
    labels: &LabelSet,
    url: &str,
    pool: &mut Pool,
) -> Vec<(Timestamp, Vec<Node>)> {
    let mut dates = HashMap::<(i64, &str), Timestamp>::new();
    for one in taken {
        for point in &one.values {
            dates.insert((timestamp(point.at).millis(), one.labels.get("node")), timestamp(point.value));
        }
    }
    let mut moments = BTreeMap::<i64, Vec<(&Labels, u64)>>::new();
    for one in series {
        for point in &one.values {
            moments.entry(timestamp(point.at).millis()).or_default().push((&one.labels, point.count()));
        }
    }
    let shape = shape(labels);
    let mut at_moment = |(millis, counts): (i64, Vec<(&Labels, u64)>)| {
        let at = Timestamp::from_millis(millis);
        let rows = Rows::of(counts.into_iter(), pool);
        let node = |(name, rows): (String, Rows)| {
            let mut status = NodeStatus::waiting(name.clone(), url);
            let taken = dates.get(&(millis, &*name)).copied().unwrap_or(at);
            (status.taken, status.answered, status.connections) = (Some(taken), Some(at), rows.connections());
            status.state = crate::model::NodeState::Ok;
            Node { status, table: Arc::new(rows.table(format!("{name}@{}/{shape:x}", taken.millis()))) }
        };
        (at, rows.into_iter().map(node).collect())
    };
    moments.into_iter().map(&mut at_moment).collect()
}
