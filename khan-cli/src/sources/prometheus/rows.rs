//! Sums of series to the rows of each node.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use khan_api::snapshot::{Endpoint as Wire, Side};
use khan_api::{Kind, OwnerRef, Protocol};

use super::answer::Labels;
use crate::model::problems::UNDATED;
use crate::model::state::counted;
use crate::model::table::Count;
use crate::model::{Endpoint, NodeTable, Pool, State};

/// The app of the sum of all that the agent's bound on series left out.
pub(super) const OTHER: &str = "__other__";

/// The rows of one node, as they come.
#[derive(Debug, Default)]
pub(super) struct Rows {
    endpoints: Vec<Arc<Endpoint>>,
    numbers: HashMap<Arc<Endpoint>, u32>,
    counts: Vec<Count>,
    /// Where each row is, so that what is told of some of its connections finds it.
    places: HashMap<Place, usize>,
}

/// Where a number of some of a row's connections goes.
pub(super) type Part = fn(&mut Count) -> &mut u64;

type Place = (u32, u32, u16, Option<Protocol>, State, Side);

impl Rows {
    /// The nodes' rows, by name.
    pub(super) fn of<'a>(
        connections: impl Iterator<Item = (&'a Labels, u64)>,
        pool: &mut Pool,
    ) -> BTreeMap<String, Self> {
        let mut nodes = BTreeMap::<String, Self>::new();
        for (labels, n) in connections.filter(|(_, n)| *n > 0) {
            let rows = nodes.entry(labels.get("node").to_owned()).or_default();
            let (place, count) = rows.count(labels, n, pool);
            rows.places.insert(place, rows.counts.len());
            rows.counts.push(count);
        }
        nodes
    }

    /// Takes numbers of some of the connections of the nodes' rows; `part` is where such a number goes.
    pub(super) fn part<'a>(
        nodes: &mut BTreeMap<String, Self>,
        numbers: impl Iterator<Item = (&'a Labels, u64)>,
        pool: &mut Pool,
        part: Part,
    ) {
        for (labels, n) in numbers {
            let Some(rows) = nodes.get_mut(labels.get("node")) else { continue };
            let (place, _) = rows.count(labels, 0, pool);
            if let Some(at) = rows.places.get(&place) {
                *part(&mut rows.counts[*at]) = n;
            }
        }
    }

    /// Takes how many of the connections go to dead backends: they become a row of their own, whose backend is a dead form of what was
    /// dialled, because that is all the labels tell. Such connections are stalled or unanswered before others are.
    pub(super) fn dead<'a>(
        nodes: &mut BTreeMap<String, Self>,
        numbers: impl Iterator<Item = (&'a Labels, u64)>,
        pool: &mut Pool,
    ) {
        for (labels, n) in numbers {
            let Some(rows) = nodes.get_mut(labels.get("node")) else { continue };
            let (place, count) = rows.count(labels, 0, pool);
            let Some(&at) = rows.places.get(&place) else { continue };
            let wire = Wire { dead: Some(UNDATED), ..DST.read(labels, count.side) };
            let backend = rows.number(&wire, pool);
            let all = &mut rows.counts[at];
            let mut take = |part: Part, most: u64| {
                let taken = (*part(all)).min(most);
                *part(all) -= taken;
                taken
            };
            let connections = take(|count| &mut count.connections, n);
            let stalled = take(|count| &mut count.stalled, connections);
            let unanswered = take(|count| &mut count.unanswered, connections - stalled);
            let left = all.connections;
            let idle_connections = all.idle_connections.saturating_sub(left);
            all.idle_connections -= idle_connections;
            rows.counts.push(Count { backend, connections, idle_connections, stalled, unanswered, ..count });
        }
    }

    /// Takes how many connections ended, in a row of their own: only their apps are known.
    pub(super) fn end(&mut self, labels: &Labels, ended: f64, pool: &mut Pool) {
        let (_, count) = self.count(labels, 0, pool);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and NaN is zero")]
        let ended = ended.round() as u64;
        self.counts.push(Count { ended, ..count });
    }

    /// The table; `snapshot` must differ whenever the rows do.
    pub(super) fn table(self, snapshot: String) -> NodeTable {
        NodeTable::from_counts(snapshot, self.endpoints, self.counts)
    }

    /// How many connections the rows hold.
    pub(super) fn connections(&self) -> u64 {
        self.counts.iter().map(|count| count.connections).sum()
    }

    fn count(&mut self, labels: &Labels, connections: u64, pool: &mut Pool) -> (Place, Count) {
        let side = Side::ALL.into_iter().find(|side| side.as_str() == labels.get("side")).unwrap_or(Side::Unknown);
        let (src, dst) = (self.number(&SRC.read(labels, side), pool), self.number(&DST.read(labels, side), pool));
        let port = labels.get("dst_port").parse().unwrap_or(0);
        let protocol = Protocol::ALL.into_iter().find(|protocol| protocol.as_str() == labels.get("transport"));
        let state = counted(labels.get("state").into());
        let count = Count {
            src,
            dst,
            backend: dst,
            port,
            protocol,
            state,
            side,
            connections,
            idle_connections: 0,
            stalled: 0,
            unanswered: 0,
            ended: 0,
        };
        ((src, dst, port, protocol, state, side), count)
    }

    fn number(&mut self, wire: &Wire, pool: &mut Pool) -> u32 {
        let endpoint = pool.endpoint(wire);
        let endpoints = &mut self.endpoints;
        *self.numbers.entry(endpoint).or_insert_with_key(|endpoint| {
            endpoints.push(Arc::clone(endpoint));
            u32::try_from(endpoints.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

/// The labels of one end.
struct End {
    source: bool,
    kind: &'static str,
    ip: &'static str,
    ns: &'static str,
    app: &'static str,
    workload: &'static str,
    name: &'static str,
}

const SRC: End = End {
    source: true,
    kind: "src_type",
    ip: "src_ip",
    ns: "src_ns",
    app: "src_app",
    workload: "src_workload",
    name: "src_name",
};
const DST: End = End {
    source: false,
    kind: "dst_type",
    ip: "dst_ip",
    ns: "dst_ns",
    app: "dst_app",
    workload: "dst_workload",
    name: "dst_name",
};

impl End {
    fn read(&self, labels: &Labels, side: Side) -> Wire {
        let kind = labels.get(self.kind).parse().unwrap_or(Kind::Unknown);
        let other = labels.get(self.app) == OTHER;
        let node = match kind {
            Kind::Node | Kind::Network | Kind::Gateway => labels.get(self.name),
            // No label says where a pod lives, but a client that is counted here and is a pod lives here.
            Kind::Pod if self.source && side == Side::Client => labels.get("node"),
            _ => "",
        };
        let owner = OwnerRef {
            kind,
            ns: labels.get(self.ns),
            app: if other { "" } else { labels.get(self.app) },
            workload: labels.get(self.workload),
            name: if other { "" } else { labels.get(self.name) },
            node,
        };
        Wire { ip: labels.get(self.ip).parse().ok(), owner: owner.into(), ..Wire::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::table::detail::Detail;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn series_become_rows_of_their_nodes() {
        let web = labels(&[
            ("node", "n1"),
            ("side", "client"),
            ("src_type", "pod"),
            ("src_ns", "shop"),
            ("src_app", "web"),
            ("dst_type", "service"),
            ("dst_ns", "data"),
            ("dst_app", "db"),
            ("dst_port", "5432"),
            ("state", "ESTABLISHED"),
        ]);
        let other = labels(&[("node", "n2"), ("side", "client"), ("src_app", OTHER), ("dst_app", OTHER)]);
        let connections = [(&web, 7), (&other, 3)];
        let (mut pool, parts) = (Pool::default(), [(&web, 2)]);
        let mut nodes = Rows::of(connections.into_iter(), &mut pool);
        Rows::part(&mut nodes, parts.into_iter(), &mut pool, |count| &mut count.idle_connections);
        Rows::part(&mut nodes, parts.into_iter(), &mut pool, |count| &mut count.stalled);
        nodes.get_mut("n1").unwrap().end(&web, 600.4, &mut pool);
        Rows::dead(&mut nodes, [(&web, 3)].into_iter(), &mut pool);
        let tables: Vec<_> = nodes.into_iter().map(|(node, rows)| (node, rows.table(String::new()))).collect();
        let (name, first) = &tables[0];
        let row = first.rows()[0];
        assert_eq!((name.as_str(), row.connections, row.port), ("n1", 4, 5432));
        assert_eq!(first.details(&row), [(Detail::Idle, 2)]);
        let dead = first.rows()[2];
        assert_eq!((dead.connections, dead.dst, first.details(&dead)), (3, row.dst, &[(Detail::Stalled, 2)][..]));
        assert_eq!(first.endpoints[dead.backend as usize].dead, Some(UNDATED));
        assert_eq!(first.endpoints[row.backend as usize].dead, None);
        let ended = first.rows()[1];
        assert_eq!((ended.connections, first.details(&ended)), (0, &[(Detail::Ended, 600)][..]));
        let (src, dst) = (&first.endpoints[row.src as usize], &first.endpoints[row.dst as usize]);
        assert_eq!((&*src.owner.app, &*src.owner.node, &*dst.owner.app, &*dst.owner.node), ("web", "n1", "db", ""));
        let (_, second) = &tables[1];
        assert!(NodeTable::is_sum(&second.endpoints[0]));
        assert_eq!((second.rows()[0].port, second.endpoints.len()), (0, 1));
    }
}
