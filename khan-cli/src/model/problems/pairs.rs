//! Connections from one app to one destination and port: what kinds that judge pairs have in common.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use khan_api::{Kind, OwnerRef, Protocol};

use super::scene::Scene;
pub(super) use crate::duration::roughly;
use crate::model::endpoint::Endpoint;
use crate::model::group_by::{GroupBy, RowKey};
use crate::model::group_end::{Grain, GroupEnd};
use crate::model::groups::{Keyer, Row, Sum, project, select};
use crate::model::history::History;
use crate::model::query::{Query, Sort, SortBy};
use crate::shell::quote;

/// Pods, or nodes, that a sentence names.
const NAMED: usize = 3;

/// One pair of apps.
#[derive(Debug)]
pub(super) struct Pair {
    /// Both ends, the port, and the numbers of all its connections.
    pub(super) row: Row,
    /// Source pods with connections of interest, most first.
    pub(super) pods: Vec<(GroupEnd, u64)>,
    /// Source pods of the app in this view.
    pub(super) known_pods: usize,
    /// Nodes that see connections of interest.
    pub(super) nodes: Vec<String>,
    /// Dead backends with connections of interest, most first.
    pub(super) dead: Vec<(Arc<Endpoint>, u64)>,
}

/// Who of a pair has connections of interest, and whose tables hold them.
#[derive(Default)]
struct Part {
    pods: HashMap<RowKey, (GroupEnd, u64)>,
    nodes: BTreeSet<u32>,
    dead: BTreeMap<u32, u64>,
}

/// Pairs with connections of interest, which `interest` counts.
pub(super) fn pairs(scene: &Scene<'_>, interest: fn(&Sum) -> u64) -> Vec<Pair> {
    pairs_by(scene, GroupBy { protocol: true, ..GroupBy::EDGES }, interest)
}

/// The same of other groups of which one is a pair.
pub(super) fn pairs_by(scene: &Scene<'_>, by: GroupBy, interest: fn(&Sum) -> u64) -> Vec<Pair> {
    let sort = Sort { by: SortBy::Connections, reverse: false };
    let query = Query { group_by: by, limit: 0, fold: false, sort, keep: Vec::new(), ..scene.query.clone() };
    let (coarse, fine) =
        (Keyer::new(scene.view, by), Keyer::new(scene.view, GroupBy { src: Some(Grain::Name), ..GroupBy::NONE }));
    let mut parts: HashMap<RowKey, Part> = HashMap::new();
    select(scene.view, &query, |row, state, sum| {
        let n = interest(sum);
        if n == 0 {
            return;
        }
        let part = parts.entry(coarse.key(row, state)).or_default();
        if let Some(end) = fine.source(row) {
            part.pods.entry(fine.key(row, None)).or_insert_with(|| (end.clone(), 0)).1 += n;
        }
        part.nodes.insert(row.node);
        if scene.view.endpoints[row.backend as usize].dead.is_some() {
            *part.dead.entry(row.backend).or_default() += n;
        }
    });
    if parts.is_empty() {
        // Nearly always.
        return Vec::new();
    }
    let rows = project(scene.view, &query, &History::default()).rows;
    let pair = |row: Row| {
        let Part { pods, nodes, dead } = parts.remove(&row.key)?;
        let dead = dead.into_iter().map(|(place, n)| (Arc::clone(&scene.view.endpoints[place as usize]), n));
        let mut dead: Vec<_> = dead.collect();
        dead.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.ip.cmp(&b.0.ip)));
        let mut pods: Vec<_> = pods.into_values().collect();
        pods.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.text.cmp(&b.0.text)));
        let names = nodes.into_iter().filter_map(|node| scene.view.nodes.get(node as usize));
        let nodes = names.map(|node| node.node.clone()).collect();
        let known_pods = row.src.as_ref().map_or(0, |end| known_pods(&scene.view.endpoints, end));
        Some(Pair { row, pods, known_pods, nodes, dead })
    };
    rows.into_iter().filter_map(pair).collect()
}

/// Pods of an app that the view knows of.
fn known_pods(endpoints: &[Arc<Endpoint>], app: &GroupEnd) -> usize {
    let pods = endpoints.iter().filter(|endpoint| {
        endpoint.owner.kind == Kind::Pod
            && !endpoint.owner.name.is_empty()
            && !endpoint.previous
            && endpoint.owner.ns == app.owner.ns
            && GroupEnd::of(endpoint, Grain::App).1.text == app.text
    });
    pods.map(|endpoint| &endpoint.owner.name).collect::<BTreeSet<_>>().len()
}

impl Pair {
    /// `shop/cart`
    pub(super) fn source(&self) -> &str {
        self.row.source()
    }

    /// `data/redis:6379`
    pub(super) fn destination(&self) -> String {
        match (self.row.port, self.row.protocol) {
            (Some(port), Some(Protocol::Udp)) => format!("{}:{port}/udp", self.row.destination()),
            (Some(port), _) => format!("{}:{port}", self.row.destination()),
            (None, _) => self.row.destination().to_owned(),
        }
    }

    /// Whether its clients are outside the cluster, or nobody knows where.
    pub(super) fn is_from_outside(&self) -> bool {
        self.row.src.as_ref().is_none_or(|end| matches!(end.owner.kind, Kind::External | Kind::Unknown))
    }

    /// `from all 3 of its pods`, where there are pods.
    pub(super) fn which_pods(&self) -> Option<String> {
        let pods = self.pods.iter().filter(|(end, _)| is_pod(end)).count();
        match (pods, self.known_pods) {
            (0, _) => None,
            (1, 0..=1) => Some("from its one pod".to_owned()),
            (pods, known) if pods >= known => Some(format!("from all {pods} of its pods")),
            (pods, known) => Some(format!("from {pods} of its {known} pods")),
        }
    }

    /// Which pods, and which nodes see it.
    pub(super) fn where_from(&self, what: &str) -> Vec<String> {
        // Where only apps are told, there is no pod to name.
        let told = self.pods.iter().filter(|(end, _)| !end.owner.name.is_empty() || end.ip.is_some());
        let pods: Vec<_> = told.map(|(end, n)| format!("{} ({n})", end.text)).collect();
        let mut evidence = Vec::new();
        if !pods.is_empty() {
            evidence.push(format!("{what}: {}", some(&pods)));
        }
        if !self.nodes.is_empty() {
            evidence.push(format!("seen on {}", some(&self.nodes)));
        }
        evidence
    }

    /// Both ends' names.
    pub(super) fn owners(&self) -> Vec<String> {
        [self.source(), self.row.destination()].into_iter().filter(|text| !text.is_empty()).map(str::to_owned).collect()
    }

    /// `khan COMMAND` about the pair, with these flags besides.
    pub(super) fn khan(&self, command: &str, flags: &str) -> String {
        let mut line = about(command, [self.row.src.as_ref(), self.row.dst.as_ref()]);
        if let Some(port) = self.row.port {
            line = format!("{line} --port {port}");
        }
        if flags.is_empty() { line } else { format!("{line} {flags}") }
    }
}

/// `khan COMMAND` about the connections from one end to the other, as far as there are names for them.
pub(super) fn about(command: &str, ends: [Option<&GroupEnd>; 2]) -> String {
    let mut line = format!("khan {command}");
    for (flag, end) in ["--from", "--to"].into_iter().zip(ends) {
        if let Some(selector) = end.and_then(selector) {
            line = format!("{line} {flag} {}", quote(&selector));
        }
    }
    line
}

/// Whether a pod is named: some sources tell its app only.
fn is_pod(end: &GroupEnd) -> bool {
    end.owner.kind == Kind::Pod && !end.owner.name.is_empty()
}

/// A selector for exactly this end; `None` where there is no name for it.
pub(super) fn selector(end: &GroupEnd) -> Option<String> {
    let OwnerRef { kind, ns, app, name, .. } = end.owner.as_deref();
    match (kind, end.ip) {
        (Kind::Pod | Kind::Service, _) if !ns.is_empty() && !app.is_empty() => Some(format!("app/{ns}/{app}")),
        (Kind::Node, _) if !name.is_empty() => Some(format!("node/{name}")),
        (_, Some(ip)) => Some(format!("ip/{ip}")),
        _ => None,
    }
}

/// The first few of a list, and how many more there are.
pub(super) fn some(list: &[String]) -> String {
    match list.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{} and {more} more", list[..NAMED].join(", ")),
        _ => list.join(", "),
    }
}

/// Why nothing is known of what agents find by comparing their scans; `None` when something is.
pub(super) fn uncompared(scene: &Scene<'_>) -> Option<String> {
    let known = scene.view.nodes.iter().any(|node| node.counted && node.since.is_some());
    (!known).then(|| scene.view.source.kind.profile().no_comparison.to_owned())
}
