//! A small cluster over time, as its agents would tell it: one app that leaks, one that grows, and many that do not.

#[path = "../../src/model/fixture/agent.rs"]
#[expect(dead_code, reason = "the model's tests use the rest of it")]
mod agent;

use std::collections::BTreeMap;

pub(crate) use agent::Agent;
use khan_api::Timestamp;
use khan_api::snapshot::{Names, Snapshot, Table};

/// 2026-11-22T14:02:00Z.
pub(crate) const START: i64 = 1_795_356_120;
/// Seconds between two scans.
pub(crate) const PERIOD: i64 = 30;

/// What one node's agent tells at `START + PERIOD * step`, without connections yet.
pub(crate) fn node(name: &str, step: i64) -> Agent {
    let entries = u64::try_from(if name == "node-03" { 239_000 + 100 * step } else { 120_411 }).unwrap_or(0);
    let mut agent = Agent::at(name, START + PERIOD * step);
    let snapshot = &mut agent.snapshot;
    snapshot.boot_id = format!("boot-{name}").into();
    snapshot.started = Timestamp::from_seconds(START - 86_400);
    snapshot.scan_millis = 41;
    snapshot.interval_millis = u64::try_from(PERIOD * 1000).unwrap_or(0);
    snapshot.names = Names { controller: "http://khan-controller:14719".into(), ..Names::default() };
    snapshot.table = Table {
        entries,
        limit: 262_144,
        buckets: 65_536,
        protocols: BTreeMap::from([("tcp".into(), entries - 40), ("udp".into(), 40)]),
        ..Table::default()
    };
    agent
}

/// What all agents tell at a step.
pub(crate) fn snapshots(step: i64) -> Vec<Snapshot> {
    let n = |base: i64, slope: i64| u64::try_from(base + slope * step).unwrap_or(0);
    let wobble = |base: i64| {
        u64::try_from(base + [0, 3, -2, 1, -3][usize::try_from(step.rem_euclid(5)).unwrap_or(0)]).unwrap_or(0)
    };
    let db = "svc:data/postgres-main";
    let first = node("node-03", step)
        .row("shop/checkout-6d9f7c-x2k4p:checkout@node-03", db, 5432, n(5340, 92))
        .established(n(5330, 92))
        .row("shop/checkout-6d9f7c-8vq2m:checkout@node-03", db, 5432, wobble(173))
        .established(wobble(170))
        .row("shop/checkout-6d9f7c-lm5tz:checkout@node-03", db, 5432, wobble(169))
        .established(wobble(165))
        .row("shop/cart-7b5c9-abcde:cart@node-03", "svc:data/redis", 6379, wobble(4310))
        .established(wobble(4180))
        .row("shop/search-5f4d-qqqqq:search@node-03", "svc:data/opensearch", 9200, wobble(1777))
        .established(wobble(1650))
        .row("web/frontend-1:frontend@node-03", "svc:auth/oidc", 443, n(372, 1))
        .established(n(370, 1));
    let mut second = node("node-07", step)
        .row("203.0.113.9", "svc:edge/ingress-nginx", 443, n(2000, 30))
        .established(n(1500, 20))
        .row("198.51.100.77", "svc:edge/ingress-nginx", 443, n(1100, 0))
        .established(n(700, 0))
        .row("ops/cron-sync-1:cron-sync@node-07", "svc:shop/api", 8080, n(657, 21))
        .established(80)
        .row("mon/prometheus-0:prometheus@node-07", "svc:kube/kubelet", 9100, wobble(1904))
        .established(wobble(1904))
        .row("batch/etl-7f:etl@node-07", db, 5432, 904)
        .established(904);
    if step >= 27 {
        second = second.row("?10.40.7.19", "pay/ledger-0:ledger@node-07", 8443, n(0, 70)).established(n(0, 60));
    }
    vec![first.snapshot, second.snapshot]
}
