//! A small cluster over time, as its agents would tell it: one app that leaks, one that grows, and many that do not.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use khan_api::snapshot::{Endpoint, IdleHistogram, Names, Row, Side, Snapshot, Table};
use khan_api::{Kind, Protocol, Timestamp};

/// 2026-11-22T14:02:00Z.
pub(crate) const START: i64 = 1_795_356_120;
/// Seconds between two scans.
pub(crate) const PERIOD: i64 = 30;

/// What one node's agent tells at `START + PERIOD * step`.
pub(crate) struct Node {
    snapshot: Snapshot,
}

impl Node {
    /// Nothing yet.
    pub(crate) fn new(name: &str, step: i64) -> Self {
        let entries = u64::try_from(if name == "node-03" { 239_000 + 100 * step } else { 120_411 }).unwrap_or(0);
        let snapshot = Snapshot {
            schema: khan_api::snapshot::SCHEMA,
            id: format!("{name}-{step}"),
            node: name.into(),
            boot_id: format!("boot-{name}"),
            version: "0.1.0".into(),
            started: Timestamp::from_seconds(START - 86_400),
            taken: Timestamp::from_seconds(START + PERIOD * step),
            scan_millis: 41,
            interval_millis: u64::try_from(PERIOD * 1000).unwrap_or(0),
            names: Names { controller: "http://khan-controller:14719".into(), ..Names::default() },
            table: Table {
                entries,
                limit: 262_144,
                buckets: 65_536,
                protocols: BTreeMap::from([("tcp".into(), entries - 40), ("udp".into(), 40)]),
                ..Table::default()
            },
            ..Snapshot::default()
        };
        Self { snapshot }
    }

    /// `NS/POD:APP` on a node, `svc:NS/APP`, `?ADDRESS` without an owner, or an address outside.
    fn endpoint(&mut self, text: &str) -> u32 {
        let (body, node) = text.split_once('@').unwrap_or((text, ""));
        let code = text.bytes().fold(7_u32, |code, byte| code.wrapping_mul(31).wrapping_add(u32::from(byte)));
        let made = IpAddr::from(Ipv4Addr::from(0x0a00_0000 | code & 0x00ff_ffff));
        let mut endpoint = Endpoint {
            ip: Some(made),
            kind: Kind::Pod,
            ns: String::new(),
            app: String::new(),
            workload: String::new(),
            name: String::new(),
            node: node.into(),
            gone: false,
        };
        if let Some(address) = body.strip_prefix('?') {
            (endpoint.kind, endpoint.ip) = (Kind::Unknown, address.parse().ok());
        } else if let Ok(address) = body.parse() {
            (endpoint.kind, endpoint.ip) = (Kind::External, Some(address));
        } else {
            let name = body.strip_prefix("svc:").inspect(|_| endpoint.kind = Kind::Service).unwrap_or(body);
            let (ns, name) = name.split_once('/').expect("NS/NAME");
            let (name, app) = name.split_once(':').unwrap_or((name, name));
            (endpoint.ns, endpoint.name) = (ns.into(), name.into());
            (endpoint.app, endpoint.workload) = (app.into(), app.into());
        }
        let at = self.snapshot.endpoints.iter().position(|known| *known == endpoint).unwrap_or_else(|| {
            self.snapshot.endpoints.push(endpoint);
            self.snapshot.endpoints.len() - 1
        });
        u32::try_from(at).expect("few endpoints")
    }

    /// Adds connections, `established` of them established and the rest in `TIME_WAIT`.
    pub(crate) fn row(mut self, src: &str, dst: &str, port: u16, connections: u64, established: u64) -> Self {
        let (src, dst) = (self.endpoint(src), self.endpoint(dst));
        let home = &self.snapshot.endpoints[src as usize].node;
        let side = if home.is_empty() || *home == self.snapshot.node { Side::Client } else { Side::Server };
        let states = [("ESTABLISHED", established), ("TIME_WAIT", connections - established)];
        let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
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
            states: states.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name.into(), n)).collect(),
            idle: IdleHistogram([narrow(established / 2), narrow(established / 4), narrow(established / 8), 0, 0]),
            idle_connections: established / 8,
            client_unclosed: 0,
            server_unclosed: 0,
        });
        self
    }

    /// What the agent answers.
    pub(crate) fn snapshot(self) -> Snapshot {
        self.snapshot
    }
}

/// What all agents tell at a step.
pub(crate) fn snapshots(step: i64) -> Vec<Snapshot> {
    let n = |base: i64, slope: i64| u64::try_from(base + slope * step).unwrap_or(0);
    let wobble = |base: i64| {
        u64::try_from(base + [0, 3, -2, 1, -3][usize::try_from(step.rem_euclid(5)).unwrap_or(0)]).unwrap_or(0)
    };
    let db = "svc:data/postgres-main";
    let first = Node::new("node-03", step)
        .row("shop/checkout-6d9f7c-x2k4p:checkout@node-03", db, 5432, n(5340, 92), n(5330, 92))
        .row("shop/checkout-6d9f7c-8vq2m:checkout@node-03", db, 5432, wobble(173), wobble(170))
        .row("shop/checkout-6d9f7c-lm5tz:checkout@node-03", db, 5432, wobble(169), wobble(165))
        .row("shop/cart-7b5c9-abcde:cart@node-03", "svc:data/redis", 6379, wobble(4310), wobble(4180))
        .row("shop/search-5f4d-qqqqq:search@node-03", "svc:data/opensearch", 9200, wobble(1777), wobble(1650))
        .row("web/frontend-1:frontend@node-03", "svc:auth/oidc", 443, n(372, 1), n(370, 1));
    let mut second = Node::new("node-07", step)
        .row("203.0.113.9", "svc:edge/ingress-nginx", 443, n(2000, 30), n(1500, 20))
        .row("198.51.100.77", "svc:edge/ingress-nginx", 443, n(1100, 0), n(700, 0))
        .row("ops/cron-sync-1:cron-sync@node-07", "svc:shop/api", 8080, n(657, 21), 80)
        .row("mon/prometheus-0:prometheus@node-07", "svc:kube/kubelet", 9100, wobble(1904), wobble(1904))
        .row("batch/etl-7f:etl@node-07", db, 5432, 904, 904);
    if step >= 27 {
        second = second.row("?10.40.7.19", "pay/ledger-0:ledger@node-07", 8443, n(0, 70), n(0, 60));
    }
    vec![first.snapshot(), second.snapshot()]
}
