//! One connection in several conntrack zones.

use khan_agent::metrics_page::ExtraLabel;
use khan_lab::{Lab, Result, Seed};

use crate::support::{Agent, counted, sum_by};

#[test]
fn a_connection_in_three_zones_counts_once() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let seed = |n: u16, zone| {
        Seed::tcp(([10, 1, 0, 1], 20_000 + n), ([10, 96, 0, 1], 80)).backend(([10, 2, 0, 1], 8080)).zone(zone)
    };
    let only_in = |n: u16, zone| Seed::tcp(([10, 1, 0, 2], n), ([10, 2, 0, 9], 5432)).zone(zone);
    // 200 in zones 0, 7 and 9; 100 in 7 and 9 only; 50 of different tuples in one zone each.
    node.seed((0..200).flat_map(|n| [seed(n, 0), seed(n, 7), seed(n, 9)]))?;
    node.seed((200..300).flat_map(|n| [seed(n, 9), seed(n, 7)]))?;
    node.seed((0..50).map(|n| only_in(n + 1, n % 5)))?;
    let entries = node.witness()?;
    assert_eq!(entries.len(), 850);
    let distinct: std::collections::HashSet<_> = entries.iter().map(|entry| (entry.protocol, entry.orig)).collect();
    assert_eq!(distinct.len(), 350);

    let mut agent = Agent::default();
    let pairs = sum_by(&agent.page(&node), ["src_ip", "dst_ip"]);
    let pair = |src: &str, dst: &str| [src.to_owned(), dst.to_owned()];
    assert_eq!(pairs, [(pair("10.1.0.1", "10.96.0.1"), 300), (pair("10.1.0.2", "10.2.0.9"), 50)].into());

    for zone in [0, 3, 7, 9] {
        agent.table.only_zone = Some(zone);
        let want = entries.iter().filter(|entry| counted(entry) && entry.zone == zone).count() as u64;
        assert_eq!(agent.scan(&node).connections, want, "zone {zone}");
    }
    agent.table.only_zone = None;
    agent.table.split_zones = true;
    agent.page_settings.extra_labels = vec![ExtraLabel::Zone];
    let zones = sum_by(&agent.page(&node), ["zone"]);
    let zone = |zone: &str| [zone.to_owned()];
    // Among equals the lowest zone speaks for a connection.
    assert_eq!(
        zones,
        [(zone("0"), 210), (zone("1"), 10), (zone("2"), 10), (zone("3"), 10), (zone("4"), 10), (zone("7"), 100)].into()
    );
    Ok(())
}
