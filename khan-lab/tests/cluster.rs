//! The small cluster: who reaches whom, and how the nodes' tables show it.

use std::net::IpAddr;

use khan_api::Protocol;
use khan_lab::cluster::{Plan, node_addresses};
use khan_lab::{Cluster, Entry, Lab, Result, traffic};

fn shop() -> Plan {
    Plan::new(2)
        .deployment("shop", "web", "a1", 1)
        .deployment("shop", "web", "b2", 2)
        .deployment("shop", "cart", "c3", 1)
        .service("shop", "web", 80, 8080)
        .node_port(30080)
        .service("shop", "dns", 53, 5353)
        .protocol(Protocol::Udp)
        .stateful("shop", "dns", 0, 2)
        .on_every_node("khan", "khan-agent")
}

fn to(table: &[Entry], dst: impl Into<IpAddr>) -> Vec<&Entry> {
    let dst = dst.into();
    table.iter().filter(|entry| entry.orig.dst == dst).collect()
}

#[test]
fn a_cluster_address_leads_to_every_backend_in_both_families() -> Result {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, shop())?;
    let web: Vec<_> = cluster.plan().pods_of("shop", "web").map(|pod| pod.name.clone()).collect();
    let cart = cluster.plan().pods_of("shop", "cart").next().expect("a cart").name.clone();
    let client = cluster.plan().pod_addresses(&cart)?;
    let service = cluster.plan().service_addresses("shop", "web")?;
    for (dialled, any) in [(service.v4_port(80), "0.0.0.0:8080"), (service.v6_port(80), "[::]:8080")] {
        let servers: Vec<_> = web
            .iter()
            .map(|name| traffic::TcpServer::start(cluster.pod(name)?, any.parse().unwrap()))
            .collect::<Result<_>>()?;
        let held = traffic::hold_tcp(cluster.pod(&cart)?, dialled, 10)?;
        for server in &servers {
            server.wait_for_open(held.len() / 2)?;
        }
        // The client's node sees what was dialled and who answers; the other node sees the backend only.
        let near = cluster.node(1).witness()?;
        let near = to(&near, dialled.ip());
        assert_eq!(near.len(), held.len());
        for name in &web {
            let backend = cluster.plan().pod_addresses(name)?.both();
            assert_eq!(near.iter().filter(|entry| backend.contains(&entry.reply.src)).count(), 5, "{name}");
        }
        let far = cluster.node(2).witness()?;
        let backend = cluster.plan().pod_addresses(&web[1])?.both()[usize::from(dialled.is_ipv6())];
        let far = to(&far, backend);
        assert_eq!(far.len(), 5);
        assert!(far.iter().all(|entry| client.both().contains(&entry.orig.src)));
    }
    Ok(())
}

#[test]
fn a_client_from_outside_is_masqueraded_at_the_node_port() -> Result {
    let lab = Lab::new()?;
    let mut cluster = Cluster::start(&lab, shop())?;
    let (outside, address) = cluster.outside(&lab, "outside")?;
    let web: Vec<_> = cluster.plan().pods_of("shop", "web").map(|pod| pod.name.clone()).collect();
    let _servers: Vec<_> = web
        .iter()
        .map(|name| traffic::TcpServer::start(cluster.pod(name)?, "0.0.0.0:8080".parse().unwrap()))
        .collect::<Result<_>>()?;
    let _held = traffic::hold_tcp(&outside, node_addresses(1).v4_port(30080), 4)?;
    let near = cluster.node(1).witness()?;
    assert_eq!(near.iter().filter(|entry| entry.orig.src == address.v4).count(), 4);
    let far = cluster.node(2).witness()?;
    let backend = cluster.plan().pod_addresses(&web[1])?.v4;
    let far = to(&far, backend);
    assert_eq!(far.len(), 2);
    assert!(far.iter().all(|entry| entry.orig.src == node_addresses(1).v4), "{far:?}");
    Ok(())
}

#[test]
fn pods_reach_themselves_through_a_service_and_the_world_in_their_nodes_name() -> Result {
    let lab = Lab::new()?;
    let mut cluster = Cluster::start(&lab, shop())?;
    let (outside, address) = cluster.outside(&lab, "outside")?;
    let dns = cluster.pod("dns-0")?;
    let _echo = traffic::UdpServer::start(dns, "0.0.0.0:5353".parse().unwrap())?;
    let service = cluster.plan().service_addresses("shop", "dns")?;
    let hairpin = traffic::udp_exchange(dns, service.v4_port(53), 3)?;
    let world = traffic::TcpServer::start(&outside, address.v6_port(443))?;
    let calls = traffic::hold_tcp(dns, world.address(), 2)?;
    let table = cluster.node(2).witness()?;
    let own = cluster.plan().pod_addresses("dns-0")?;
    let looped = to(&table, service.v4);
    assert_eq!(looped.len(), hairpin.len());
    assert!(looped.iter().all(|entry| entry.reply.src == own.v4 && entry.reply.dst != own.v4), "{looped:?}");
    let out = to(&table, address.v6);
    assert_eq!(out.len(), calls.len());
    assert!(out.iter().all(|entry| entry.orig.src == own.v6 && entry.reply.dst == node_addresses(2).v6), "{out:?}");
    Ok(())
}

#[test]
fn the_manifest_describes_what_was_built() -> Result {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, shop())?;
    let list = cluster.manifest();
    let items = list["items"].as_array().expect("items");
    let slices = items.iter().filter(|item| item["kind"] == "EndpointSlice").count();
    assert_eq!((items.len(), slices), (4 + 2 + 2 + 4 + 2, 4), "one slice for each service and address family");
    let agent = items.iter().find(|item| item["metadata"]["name"] == "khan-agent-h1x7k").expect("an agent");
    assert_eq!((&agent["spec"]["hostNetwork"], &agent["status"]["podIP"]), (&true.into(), &"172.18.0.1".into()));
    for item in items.iter().filter(|item| item["kind"] == "Pod") {
        let name = item["metadata"]["name"].as_str().expect("a name");
        let address = item["status"]["podIPs"][1]["ip"].as_str().expect("an IPv6 address");
        let shown = cluster.pod(name)?.run(["ip", "-br", "addr"])?;
        assert!(shown.contains(&format!("{address}/128")), "{name}: {shown}");
    }
    Ok(())
}
