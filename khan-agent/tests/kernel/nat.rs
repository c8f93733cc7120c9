//! Service or backend: whom the client dialled and who answers, by tuples and never by status bits.

use khan_agent::metrics_page::{Destination, ExtraLabel};
use khan_api::{Kind, Owner};
use khan_lab::{Lab, Result, Seed, traffic};

use crate::support::{Agent, ip, named, node_pod_and_outside, owned, pod, sum_by};

fn names() -> Agent {
    let service = |name: &str| {
        owned(Owner { kind: Kind::Service, ns: "shop".into(), app: name.into(), name: name.into(), ..Owner::default() })
    };
    let db = |name: &str| owned(Owner { name: name.into(), ..pod("db", "n2").owner });
    Agent::default().knowing([
        (ip("10.1.0.2"), pod("client", "n1")),
        (ip("10.2.0.1"), db("db-0")),
        (ip("10.2.0.2"), db("db-1")),
        (ip("10.96.0.1"), service("db")),
        (ip("10.96.0.5"), service("client")),
        (ip("10.9.0.1"), named(Kind::Node, "n1", "n1")),
    ])
}

/// Synthetic entries carry no NAT bit in their status, as those that IPVS makes.
#[test]
fn several_backends_behind_one_cluster_ip() -> Result {
    let lab = Lab::new()?;
    let node = lab.host("node")?;
    let dial = |n: u16, backend: [u8; 4]| {
        Seed::tcp(([10, 1, 0, 2], 20_000 + n), ([10, 96, 0, 1], 5432)).backend((backend, 6432))
    };
    node.seed((0..30).map(|n| dial(n, [10, 2, 0, if n < 20 { 1 } else { 2 }])))?;
    let mut agent = names();
    agent.page_settings.extra_labels = vec![ExtraLabel::Service, ExtraLabel::Backend, ExtraLabel::DstPort];
    let page = agent.page(&node);
    let labels = ["dst_type", "dst_name", "service", "backend", "dst_port"];
    let row = |texts: [&str; 5]| texts.map(str::to_owned);
    assert_eq!(
        sum_by(&page, labels),
        [
            (row(["service", "db", "shop/db", "shop/db-0", "5432"]), 20),
            (row(["service", "db", "shop/db", "shop/db-1", "5432"]), 10)
        ]
        .into()
    );
    agent.page_settings.destination = Destination::Backend;
    assert_eq!(
        sum_by(&agent.page(&node), labels),
        [
            (row(["pod", "db-0", "shop/db", "shop/db-0", "6432"]), 20),
            (row(["pod", "db-1", "shop/db", "shop/db-1", "6432"]), 10)
        ]
        .into()
    );
    // Without the extra labels both backends are one line: no label set twice, and nothing lost.
    agent.page_settings = khan_agent::metrics_page::Settings::default();
    let plain = sum_by(&agent.page(&node), ["src_app", "dst_type", "dst_app"]);
    assert_eq!(plain, [(["client", "service", "db"].map(str::to_owned), 30)].into());
    Ok(())
}

/// Real traffic through real rules: a pod reaches itself through its service, and a client from outside comes in through
/// a node port with masquerade.
#[test]
fn hairpin_and_node_port() -> Result {
    let lab = Lab::new()?;
    let (node, pod, outside) = node_pod_and_outside(&lab)?;
    node.nft(
        "table ip nat {
            chain pre { type nat hook prerouting priority -100;
                ip daddr 10.96.0.5 tcp dport 80 dnat to 10.1.0.2:8080;
                ip daddr 10.9.0.1 tcp dport 30080 dnat to 10.1.0.2:8080; }
            chain post { type nat hook postrouting priority 100;
                ip saddr 10.1.0.2 ip daddr 10.1.0.2 masquerade;
                ip saddr 10.9.0.2 masquerade; }
        }",
    )?;
    let server = traffic::TcpServer::start(&pod, "10.1.0.2:8080".parse().unwrap())?;
    let hairpin = traffic::hold_tcp(&pod, "10.96.0.5:80".parse().unwrap(), 4)?;
    let node_port = traffic::hold_tcp(&outside, "10.9.0.1:30080".parse().unwrap(), 3)?;
    server.wait_for_open(7)?;

    let mut agent = names();
    agent.page_settings.extra_labels = vec![ExtraLabel::Service, ExtraLabel::Backend];
    let labels = ["src_type", "src_name", "dst_type", "dst_name", "service", "backend"];
    let row = |texts: [&str; 6]| texts.map(str::to_owned);
    let me = "client-6d4cf56db6-abcde";
    assert_eq!(
        sum_by(&agent.page(&node), labels),
        [
            (row(["pod", me, "service", "client", "shop/client", &format!("shop/{me}")]), 4),
            // Outside of 10.0.0.0/8 it would be external; here it has no known owner.
            (row(["unknown", "", "node", "n1", "n1", &format!("shop/{me}")]), 3),
        ]
        .into()
    );
    agent.page_settings.destination = Destination::Backend;
    let by_backend = sum_by(&agent.page(&node), ["src_ip", "dst_ip"]);
    let pair = |a: &str| [a.to_owned(), "10.1.0.2".to_owned()];
    assert_eq!(by_backend, [(pair("10.1.0.2"), 4), (pair("10.9.0.2"), 3)].into());
    drop((hairpin, node_port));
    Ok(())
}
