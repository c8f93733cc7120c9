//! Destinations that can take only so many connections: how many they have, and who holds them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::num::NonZeroU32;

use khan_api::Kind;
use khan_api::snapshot::SnatPorts;

use crate::model::group_by::{GroupBy, RowKey};
use crate::model::group_end::{Grain, GroupEnd};
use crate::model::groups::{Keyer, select};
use crate::model::hash;
use crate::model::query::Query;
use crate::model::view::{RowRef, View};

/// A destination with a limit.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// Names it in every view.
    pub(super) key: u128,
    /// The object: a pod, a service, or a name outside the cluster.
    pub(super) end: GroupEnd,
    /// Its app, where it has one.
    pub(super) app: GroupEnd,
    /// The most connections.
    pub(super) limit: NonZeroU32,
    /// Open ones, each counted once.
    pub(super) used: u64,
    /// Apps that hold them, most first.
    pub(super) holders: Vec<(GroupEnd, u64)>,
    /// Nodes whose tables show them.
    pub(super) nodes: Vec<String>,
    /// Its endpoints, by their numbers in the view.
    endpoints: HashSet<u32>,
}

impl Room {
    /// Filled share.
    pub(super) fn fill(&self) -> f64 {
        self.used as f64 / f64::from(self.limit.get())
    }

    /// Whether a row's connections count: those that dial a service, and those that anything else answers.
    fn has(&self, row: &RowRef<'_>) -> bool {
        self.endpoints.contains(&if self.end.owner.kind == Kind::Service { row.dst } else { row.backend })
    }

    /// Whether any connection to it is among those of a query.
    pub(super) fn concerns(&self, view: &View, query: &Query) -> bool {
        let mut found = false;
        select(view, query, |row, _, _| found |= self.has(row));
        found
    }
}

/// Names the ports of a translated address towards one destination in every view.
pub(super) fn ports_key(node: &str, ports: &SnatPorts) -> u128 {
    let [src, dst] = [ports.src, ports.dst].map(|ip| ip.to_string());
    hash::name(&["snat", node, &src, &dst, &ports.port.to_string(), ports.protocol.as_str()])
}

/// Every destination with a limit, in order of its name; `None` when the source tells of no limits.
pub(super) fn rooms(view: &View) -> Option<Vec<Room>> {
    let mut rooms: BTreeMap<u128, Room> = BTreeMap::new();
    for (endpoint, limit) in view.limits()? {
        let of = &view.endpoints[endpoint as usize];
        let (key, end) = GroupEnd::of(of, Grain::Name);
        let key = hash::chain(key, of.owner.kind as u128);
        let room = rooms.entry(key).or_insert_with(|| Room {
            key,
            end,
            app: GroupEnd::of(of, Grain::App).1,
            limit,
            used: 0,
            holders: Vec::new(),
            nodes: Vec::new(),
            endpoints: HashSet::new(),
        });
        // Nodes may have heard of its latest change at different times.
        room.limit = room.limit.min(limit);
        room.endpoints.insert(endpoint);
    }
    let mut rooms: Vec<Room> = rooms.into_values().collect();
    fill(view, &mut rooms);
    rooms.sort_by(|a, b| a.end.text.cmp(&b.end.text));
    Some(rooms)
}

/// Who holds a room's connections, and whose tables show them.
#[derive(Clone, Default)]
struct Part {
    holders: HashMap<RowKey, (GroupEnd, u64)>,
    nodes: BTreeSet<u32>,
}

/// Counts every connection, whatever is asked for: how full something is does not depend on who asks.
fn fill(view: &View, rooms: &mut [Room]) {
    if rooms.is_empty() {
        return;
    }
    let numbers = (0..).zip(rooms.iter());
    let by_endpoint: HashMap<u32, usize> =
        numbers.flat_map(|(at, room)| room.endpoints.iter().map(move |endpoint| (*endpoint, at))).collect();
    let keyer = Keyer::new(view, GroupBy { src: Some(Grain::App), ..GroupBy::NONE });
    let mut parts = vec![Part::default(); rooms.len()];
    select(view, &Query { limit: 0, ..Query::default() }, |row, _, sum| {
        let open = sum.open();
        let [dialled, answers] = [row.dst, row.backend].map(|end| by_endpoint.get(&end).copied());
        // A pod may be both.
        let both = [dialled, answers.filter(|_| answers != dialled)];
        for at in both.into_iter().flatten() {
            if open == 0 || !rooms[at].has(row) {
                continue;
            }
            rooms[at].used += open;
            if let Some(end) = keyer.source(row) {
                parts[at].holders.entry(keyer.key(row, None)).or_insert_with(|| (end.clone(), 0)).1 += open;
            }
            parts[at].nodes.insert(row.node);
        }
    });
    for (room, part) in rooms.iter_mut().zip(parts) {
        room.holders = part.holders.into_values().collect();
        room.holders.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.text.cmp(&b.0.text)));
        let names = part.nodes.into_iter().filter_map(|node| view.nodes.get(node as usize));
        room.nodes = names.map(|node| node.node.clone()).collect();
    }
}
