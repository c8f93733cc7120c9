//! IPv6 entries whose addresses look like IPv4 ones (`::ffff:a.b.c.d`): connections of their own, of nobody in the cluster.

use std::net::{Ipv4Addr, SocketAddr};

use khan_agent::api::connections::{self, Filter};
use khan_lab::{Lab, Result, Seed};

use crate::support::{Agent, ip, pod, sum_by, witnessed};

#[test]
fn a_mapped_address_is_not_the_ipv4_address() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let (client, server) = (Ipv4Addr::new(10, 1, 0, 1), Ipv4Addr::new(10, 2, 0, 1));
    let four = |n: u16| Seed::tcp((client, 1000 + n), (server, 80));
    let mapped = |ip: Ipv4Addr, port| SocketAddr::from((ip.to_ipv6_mapped(), port));
    // Two with the same ports as in IPv4, one with others.
    let six = |n: u16| Seed::tcp(mapped(client, 1003 + n), mapped(server, 80));
    node.seed((0..5).map(four).chain((0..3).map(six)))?;

    let agent = Agent::default().knowing([(ip("10.1.0.1"), pod("web", "n1")), (ip("10.2.0.1"), pod("db", "n1"))]);
    let page = agent.page(&node);
    let entries = node.witness()?;
    assert_eq!(entries.len(), 8);
    assert_eq!(
        sum_by(&page, ["src_ip", "dst_ip"]),
        witnessed(&entries, |entry| [entry.orig.src, entry.orig.dst].map(|ip| ip.to_string()))
    );
    let row = |texts: [&str; 3]| texts.map(str::to_owned);
    assert_eq!(
        sum_by(&page, ["src_ip", "src_type", "src_app"]),
        [(row(["10.1.0.1", "pod", "web"]), 5), (row(["::ffff:10.1.0.1", "external", ""]), 3)].into()
    );

    for (filter, family, matched) in
        [("src=10.1.0.1", "4", 5), ("any=10.0.0.0/8", "4", 5), ("dst=::ffff:10.2.0.1", "6", 3), ("src=::/0", "6", 3)]
    {
        let filter = Filter::parse(filter).expect("a filter");
        let sample = node.enter(|| connections::sample("n1".to_owned(), filter.clone())).expect("a sample");
        assert_eq!(sample.matched, matched, "{filter:?}");
        assert!(sample.connections.iter().all(|c| c.src.is_ipv4() == (family == "4")), "{:?}", sample.connections);
    }
    Ok(())
}
