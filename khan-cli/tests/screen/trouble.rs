//! The shop in trouble, as agents would tell it that compare their scans.

use khan_api::snapshot::{Limit, Row, Snapshot, SnatPorts};
use khan_api::{Protocol, Timestamp};

use super::shop::{PERIOD, START, node, snapshots};

/// `shop/cart` gets no answer from redis, a part of what `shop/search` holds is stalled, and `ops/cron-sync` opens and closes
/// 150 connections a second; besides what is always wrong in the shop.
pub(crate) fn snapshots_in_trouble(step: i64) -> Vec<Snapshot> {
    let mut all = snapshots(step);
    for snapshot in &mut all {
        snapshot.since = Some(Timestamp::from_seconds(START + PERIOD * (step - 1)));
    }
    change(&mut all, 6379, |row| {
        row.unanswered = 14;
        row.connections += 14;
        row.states.insert("SYN_SENT".into(), 14);
    });
    change(&mut all, 9200, |row| row.stalled = 3);
    change(&mut all, 8080, |row| row.ended = 4_500);
    all
}

/// One agent with a problem of each kind that a single snapshot shows, and with nothing wrong where it is `well`.
#[allow(dead_code, reason = "some tests have trouble that grows only")]
pub(crate) fn every_trouble(well: bool) -> Snapshot {
    let many = |n| if well { 0 } else { n };
    let mut agent = node("node-03", i64::from(well))
        .row("shop/cart-7b5c9-abcde:cart@node-03", "svc:data/redis", 6379, 4310)
        .but(|row| {
            row.unanswered = many(14);
            row.states =
                [("ESTABLISHED", 4310 - many(14)), ("SYN_SENT", many(14))].map(|(name, n)| (name.into(), n)).into();
        })
        .row("shop/search-5f4d-qqqqq:search@node-03", "svc:data/opensearch", 9200, 1777)
        .but(|row| row.stalled = many(3))
        .row("ops/cron-sync-1:cron-sync@node-03", "svc:shop/api", 8080, 80)
        .but(|row| row.ended = many(4_500))
        .row("shop/checkout-6d9f7c-8vq2m:checkout@node-03", "data/postgres-0:postgres@node-03", 5432, 20 + many(80))
        .row("shop/crawler-1:crawler@node-03", "203.0.113.9", 443, 100 + many(59_900))
        .snapshot;
    let postgres = agent.endpoints.iter().position(|endpoint| &*endpoint.owner.name == "postgres-0");
    let endpoint = postgres.and_then(|at| u32::try_from(at).ok()).expect("it is there");
    agent.limits = Some(vec![Limit { endpoint, connections: 100.try_into().expect("above 0") }]);
    let dst = "203.0.113.9".parse().expect("an address");
    let src = "10.0.0.3".parse().expect("an address");
    let used = if well { 100 } else { 60_000 };
    agent.snat = Some(khan_api::snapshot::Snat {
        range: 64_512,
        largest: vec![SnatPorts { src, dst, port: 443, protocol: Protocol::Tcp, used }],
    });
    agent.table.entries = 120_000 + many(119_000);
    agent.since = Some(Timestamp::from_seconds(agent.taken.seconds() - PERIOD));
    agent
}

/// Changes the first row with this port.
fn change(all: &mut [Snapshot], port: u16, change: impl FnOnce(&mut Row)) {
    let rows = all.iter_mut().flat_map(|snapshot| &mut snapshot.rows);
    change(rows.into_iter().find(|row| row.port == port).expect("a row"));
}
