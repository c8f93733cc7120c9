//! Small clusters for tests, written as tables of rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use khan_api::snapshot::{Endpoint as WireEndpoint, IdleHistogram, Row, Side, Snapshot, Table};
use khan_api::{Kind, Protocol, Timestamp};

use super::{NodeInput, NodeState, NodeStatus, NodeTable, Pool, SourceInfo, View, merge};

/// 2026-11-22T10:00:00Z.
pub(crate) const START: i64 = 1_795_341_600;

/// One agent's snapshot, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) snapshot: Snapshot,
    pub(crate) state: NodeState,
}

impl Agent {
    /// The agent of `node` with a snapshot taken `seconds` after [`START`].
    pub(crate) fn new(node: &str, seconds: i64) -> Self {
        let snapshot = Snapshot {
            schema: 1,
            id: format!("{node}-{seconds}"),
            node: node.into(),
            boot_id: "boot".into(),
            version: "0.1.0".into(),
            taken: Timestamp::from_seconds(START + seconds),
            interval_millis: 30_000,
            table: Table { entries: 1_000, limit: 262_144, ..Table::default() },
            ..Snapshot::default()
        };
        Self { snapshot, state: NodeState::Ok }
    }

    /// The endpoint that `text` describes: `shop/web@n1` a pod of the app on that node, `shop/web-1:web@n1` with a name
    /// of its own, `svc:data/db` a service, `node:n1`, `?` and anything else an address without a known owner or an
    /// external one.
    fn endpoint(&mut self, text: &str) -> u32 {
        let mut endpoint = WireEndpoint {
            ip: None,
            kind: Kind::Pod,
            ns: String::new(),
            app: String::new(),
            workload: String::new(),
            name: String::new(),
            node: String::new(),
            gone: false,
        };
        let (body, node) = text.split_once('@').unwrap_or((text, ""));
        endpoint.node = node.into();
        let code = text.bytes().fold(0_u32, |code, byte| code.wrapping_mul(31).wrapping_add(u32::from(byte)));
        endpoint.ip = Some(std::net::Ipv4Addr::from(0x0a00_0000 | code & 0x00ff_ffff).into());
        if let Some(node) = body.strip_prefix("node:") {
            (endpoint.kind, endpoint.name, endpoint.node) = (Kind::Node, node.into(), node.into());
        } else if let Some(address) = body.strip_prefix('?') {
            (endpoint.kind, endpoint.ip) = (Kind::Unknown, Some(address.parse().unwrap()));
        } else if let Ok(address) = body.parse() {
            (endpoint.kind, endpoint.ip) = (Kind::External, Some(address));
        } else {
            let body = body.strip_prefix("svc:").inspect(|_| endpoint.kind = Kind::Service).unwrap_or(body);
            let (ns, name) = body.split_once('/').unwrap();
            let (name, app) = name.split_once(':').unwrap_or((name, name));
            (endpoint.ns, endpoint.name, endpoint.app) = (ns.into(), name.into(), app.into());
        }
        let known = self.snapshot.endpoints.iter().position(|known| *known == endpoint);
        let at = known.unwrap_or_else(|| {
            self.snapshot.endpoints.push(endpoint);
            self.snapshot.endpoints.len() - 1
        });
        u32::try_from(at).unwrap()
    }

    /// Adds established connections; the side follows from the nodes.
    pub(crate) fn row(mut self, src: &str, dst: &str, port: u16, connections: u64) -> Self {
        let (src, dst) = (self.endpoint(src), self.endpoint(dst));
        let home = &self.snapshot.endpoints[src as usize].node;
        let side = if home.is_empty() || *home == self.snapshot.node { Side::Client } else { Side::Server };
        self.snapshot.connections += connections;
        self.snapshot.rows.push(Row {
            src,
            dst,
            backend: dst,
            port,
            backend_port: port,
            protocol: Protocol::Tcp,
            side,
            connections,
            states: BTreeMap::from([("ESTABLISHED".into(), connections)]),
            idle: IdleHistogram::default(),
            idle_connections: 0,
            client_unclosed: 0,
            server_unclosed: 0,
        });
        self
    }

    /// Changes the row added last.
    pub(crate) fn but(mut self, change: impl FnOnce(&mut Row)) -> Self {
        change(self.snapshot.rows.last_mut().unwrap());
        self
    }

    pub(crate) fn input(&self, pool: &mut Pool) -> NodeInput {
        let mut status = NodeStatus::waiting("", format!("http://{}:14718", self.snapshot.node));
        status.state = self.state;
        status.answered = Some(self.snapshot.taken);
        status.describe(&self.snapshot);
        let table = !matches!(self.state, NodeState::Failed | NodeState::Waiting);
        NodeInput { status, table: table.then(|| Arc::new(NodeTable::new(&self.snapshot, pool).0)) }
    }
}

/// The merged view of these agents, put together when the newest snapshot was taken.
pub(crate) fn view(agents: &[Agent]) -> Arc<View> {
    let mut pool = Pool::default();
    let now = agents.iter().map(|agent| agent.snapshot.taken).max().unwrap_or_default();
    Arc::new(merge(SourceInfo::default(), agents.iter().map(|agent| agent.input(&mut pool)).collect(), now))
}
