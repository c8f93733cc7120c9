//! The shop in trouble, as agents would tell it that compare their scans.

use khan_api::Timestamp;
use khan_api::snapshot::{Row, Snapshot};

use super::shop::{PERIOD, START, snapshots};

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

/// Changes the first row with this port.
fn change(all: &mut [Snapshot], port: u16, change: impl FnOnce(&mut Row)) {
    let rows = all.iter_mut().flat_map(|snapshot| &mut snapshot.rows);
    change(rows.into_iter().find(|row| row.port == port).expect("a row"));
}
