//! Ports of a masqueraded address, by what `conntrack -L -o xml` says of the same table.

use std::collections::BTreeSet;
use std::time::Duration;

use khan_lab::{Host, Lab, Result, traffic, until};

use crate::page::lines;
use crate::support::{Agent, ip, node_pod_and_outside};

const SOON: Duration = Duration::from_secs(30);

/// The ports that 10.9.0.1 has in use towards 10.9.0.2:443, and how many of their entries are in `TIME_WAIT`.
fn witnessed(node: &Host) -> Result<(BTreeSet<u16>, usize)> {
    let mut entries = node.witness()?;
    entries.retain(|entry| {
        let reply = entry.reply;
        (reply.src, reply.src_port, reply.dst) == (ip("10.9.0.2"), 443, ip("10.9.0.1"))
    });
    let waiting = entries.iter().filter(|entry| entry.state.as_deref() == Some("TIME_WAIT")).count();
    Ok((entries.iter().map(|entry| entry.reply.dst_port).collect(), waiting))
}

#[test]
fn ports_of_a_masqueraded_address_are_counted_until_their_entries_go() -> Result {
    let lab = Lab::new()?;
    let (node, pod, outside) = node_pod_and_outside(&lab)?;
    node.nft(
        "table ip nat {
            chain post { type nat hook postrouting priority 100; ip saddr 10.1.0.0/24 oifname \"eth0\" masquerade; }
        }",
    )?;
    let server = traffic::TcpServer::start(&outside, "10.9.0.2:443".parse().unwrap())?;
    let other = traffic::TcpServer::start(&outside, "10.9.0.2:80".parse().unwrap())?;
    let target = "10.9.0.2:443".parse().unwrap();
    let held = traffic::hold_tcp(&pod, target, 420)?;
    let ended = traffic::hold_tcp(&pod, target, 80)?;
    let own = traffic::hold_tcp(&node, target, 7)?;
    let elsewhere = traffic::hold_tcp(&pod, "10.9.0.2:80".parse().unwrap(), 30)?;
    server.wait_for_open(507)?;
    other.wait_for_open(30)?;
    drop(ended);
    until("80 connections to have ended", SOON, || witnessed(&node).ok().filter(|(_, waiting)| *waiting == 80))?;

    let mut agent = Agent::default();
    agent.table.snat_ports = 600;
    let snapshot = agent.scan(&node);
    let (ports, _) = witnessed(&node)?;
    assert_eq!(ports.len(), 507, "the node's own connections take ports of the same address");
    let page = agent.page_of(&snapshot);
    let told: Vec<_> = lines(&page, "khan_snat_ports")
        .into_iter()
        .map(|(labels, n)| (["snat_ip", "dst_ip", "dst_port", "transport"].map(|name| labels[name].clone()), n))
        .collect();
    let to = |port: &str| ["10.9.0.1", "10.9.0.2", port, "tcp"].map(str::to_owned);
    assert_eq!(told, [(to("443"), 507), (to("80"), 30)]);
    assert_eq!(lines(&page, "khan_snat_ports_limit").into_iter().map(|(_, n)| n).collect::<Vec<_>>(), [600]);
    let wire = snapshot.to_api(usize::MAX).snat.expect("this agent counts them");
    assert_eq!((wire.range, wire.largest[0].used, wire.largest[0].src), (600, 507, ip("10.9.0.1")));
    drop((held, own, elsewhere));
    Ok(())
}
