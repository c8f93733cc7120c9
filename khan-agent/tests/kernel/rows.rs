//! Every row of the page against an independent reading of the same table.

use khan_agent::metrics_page::ExtraLabel;
use khan_api::{Protocol, TcpState};
use khan_lab::{Lab, Result, Seed, host, traffic};

use crate::page::lines;
use crate::support::{Agent, counted, sum_by, witnessed};

/// Real traffic of every kind, and synthetic entries for what traffic does not make: two hosts, the first a gateway with
/// destination NAT and masquerade in front of the second.
#[test]
fn the_page_is_what_conntrack_prints() -> Result {
    let lab = Lab::new()?;
    let (node, outside) = (lab.host("node")?, lab.host("outside")?);
    host::link(
        host::Link { host: &node, name: "out", addresses: &["10.9.0.1/24", "fd09::1/64"] },
        host::Link { host: &outside, name: "in", addresses: &["10.9.0.2/24", "fd09::2/64"] },
    )?;
    node.nft(
        "table ip nat {
            chain output { type nat hook output priority -100; ip daddr 10.96.0.1 tcp dport 80 dnat to 10.9.0.2:8080; }
            chain post { type nat hook postrouting priority 100; ip daddr 10.9.0.2 tcp dport 8081 masquerade; }
        }",
    )?;
    outside.nft("table inet swallow { chain in { type filter hook input priority 0; tcp dport 9999 drop; }; }")?;
    node.track()?;
    node.route(["10.96.0.0/16", "via", "10.9.0.2"])?;
    let address = |text: &str| text.parse().expect("an address");
    let behind_service = traffic::TcpServer::start(&outside, address("10.9.0.2:8080"))?;
    let masqueraded = traffic::TcpServer::start(&outside, address("10.9.0.2:8081"))?;
    let six = traffic::TcpServer::start(&outside, address("[fd09::2]:8080"))?;
    let echo = traffic::UdpServer::start(&outside, address("10.9.0.2:53"))?;
    let echo_six = traffic::UdpServer::start(&outside, address("[fd09::2]:53"))?;

    let through_service = traffic::hold_tcp(&node, address("10.96.0.1:80"), 7)?;
    let via_masquerade = traffic::hold_tcp(&node, masqueraded.address(), 5)?;
    let over_six = traffic::hold_tcp(&node, six.address(), 3)?;
    let on_node = traffic::TcpServer::start(&node, address("10.9.0.1:0"))?;
    let direct = traffic::hold_tcp(&outside, on_node.address(), 2)?;
    let local_server = traffic::TcpServer::start(&node, address("127.0.0.1:0"))?;
    let local = traffic::hold_tcp(&node, local_server.address(), 4)?;
    let half_open = traffic::half_open(&node, address("10.9.0.2:9999"), 2)?;
    traffic::hold_tcp(&node, behind_service.address(), 6)?.close()?;
    let asked = traffic::udp_exchange(&node, echo.address(), 8)?;
    let asked_six = traffic::udp_exchange(&node, echo_six.address(), 2)?;
    let unanswered = traffic::udp_one_way(&node, address("10.9.0.2:4000"), 3)?;
    node.seed(
        (0..300_u16)
            .map(|n| {
                let client = ([10, 1, 0, u8::try_from(n % 7).unwrap()], 20_000 + n);
                Seed::tcp(client, ([10, 96, 0, 2], 443))
                    .backend(([10, 2, 0, u8::try_from(n % 3).unwrap()], 8443))
                    .state(TcpState::ALL[usize::from(n) % 10])
            })
            .chain((0..20).map(|n| Seed::new(Protocol::Sctp, ([10, 1, 0, 1], 3000 + n), ([10, 1, 0, 2], 5000))))
            .chain((0..9).map(|n| {
                let client = std::net::SocketAddr::new("fd00::1".parse().unwrap(), 1000 + n);
                Seed::udp(client, std::net::SocketAddr::new("fd00::2".parse().unwrap(), 123))
            })),
    )?;

    let entries = node.witness()?;
    assert!(entries.len() > 350, "only {} entries", entries.len());
    let mut agent = Agent::default();
    let page = agent.page(&node);
    let pairs = witnessed(&entries, |entry| [entry.orig.src.to_string(), entry.orig.dst.to_string()]);
    assert_eq!(sum_by(&page, ["src_ip", "dst_ip"]), pairs);
    assert_eq!(node.witness()?.len(), entries.len(), "the table changed while it was compared");

    // The totals by protocol hold every protocol, ICMP's error messages included.
    let protocols: u64 = lines(&page, "khan_conntrack_entries").iter().map(|(_, count)| count).sum();
    assert_eq!(protocols, entries.len() as u64);

    agent.page_settings.extra_labels = vec![ExtraLabel::DstPort, ExtraLabel::Transport, ExtraLabel::State];
    let page = agent.page(&node);
    let detailed = witnessed(&entries, |entry| {
        let state = match (&entry.state, entry.unreplied, entry.assured) {
            (Some(state), ..) if entry.protocol == 6 => state.clone(),
            (_, true, _) => "UNREPLIED".to_owned(),
            (_, _, true) => "ASSURED".to_owned(),
            _ => "REPLIED".to_owned(),
        };
        let transport = Protocol::from_number(entry.protocol).unwrap().as_str().to_owned();
        [entry.orig.src.to_string(), entry.orig.dst.to_string(), entry.orig.dst_port.to_string(), transport, state]
    });
    assert_eq!(sum_by(&page, ["src_ip", "dst_ip", "dst_port", "transport", "state"]), detailed);

    agent.page_settings.destination = khan_agent::metrics_page::Destination::Backend;
    let page = agent.page(&node);
    let backends = witnessed(&entries, |entry| {
        [entry.orig.src.to_string(), entry.reply.src.to_string(), entry.reply.src_port.to_string()]
    });
    assert_eq!(sum_by(&page, ["src_ip", "dst_ip", "dst_port"]), backends);
    assert_eq!(entries.iter().filter(|entry| counted(entry)).count() as u64, agent.scan(&node).connections);
    drop((through_service, via_masquerade, over_six, direct, local, half_open, asked, asked_six, unanswered));
    Ok(())
}
