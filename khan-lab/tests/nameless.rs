//! Clients that no controller has named: across nodes each connection counts once, because the kernel's own routes tell which
//! node a client lives on. The judge is `conntrack -L` on both nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use khan_api::routes;
use khan_api::snapshot::{Side, Snapshot};
use khan_lab::program::Running;
use khan_lab::{Cluster, Host, Khan, Lab, LabError, Program, Result, Shop, traffic, until};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(1);
const NODES: [u8; 2] = [1, 2];

/// Connections by the client's address.
type Clients = BTreeMap<IpAddr, u64>;

fn count(clients: impl Iterator<Item = (IpAddr, u64)>) -> Clients {
    let mut sums = Clients::new();
    for (client, connections) in clients {
        *sums.entry(client).or_default() += connections;
    }
    sums
}

/// The addresses of a node's pods, apart from Khan's, which come and go with what is asked.
fn pods(cluster: &Cluster, node: u8) -> BTreeSet<IpAddr> {
    let pods = cluster.plan().pods.iter().filter(|pod| pod.node == node && pod.ns != "khan");
    pods.flat_map(|pod| cluster.plan().pod_addresses(&pod.name).expect("a pod of the plan").both()).collect()
}

/// What the kernel of a node holds of these clients.
fn witnessed(node: &Host, clients: &BTreeSet<IpAddr>) -> Result<Clients> {
    let entries = node.witness()?;
    Ok(count(entries.iter().map(|entry| (entry.orig.src, 1)).filter(|(client, _)| clients.contains(client))))
}

/// What an agent says of these clients under one side.
fn told(snapshot: &Snapshot, side: Side, clients: &BTreeSet<IpAddr>) -> Clients {
    let rows = snapshot.rows.iter().filter(|row| row.side == side);
    let rows = rows.filter_map(|row| Some((snapshot.endpoints[row.src as usize].ip?, row.connections)));
    count(rows.filter(|(client, _)| clients.contains(client)))
}

/// What `khan top` says of these clients, from both agents together.
fn top(desk: &Host, clients: &BTreeSet<IpAddr>) -> Result<Clients> {
    let [first, second] = NODES.map(Khan::agent_url);
    let top = Program::workspace("khan")?
        .args(["top", "--once", "-o", "json", "--group-by", "src-ip", "--limit", "0", "--own"])
        .args(["--agent", &first, "--agent", &second])
        .without_env("KUBECONFIG")
        .inside(desk)
        .output(PATIENCE)?;
    let list: Value = serde_json::from_str(&top.stdout).map_err(|_| LabError::Malformed(format!("{top:?}")))?;
    let client = |item: &Value| item["source"]["ip"].as_str()?.parse().ok();
    let items = list["items"].as_array().expect("items").iter();
    let items = items.filter_map(|item| Some((client(item)?, item["conns"].as_u64()?)));
    Ok(count(items.filter(|(client, _)| clients.contains(client))))
}

#[test]
fn without_any_controller_each_connection_counts_once() -> Result {
    let lab = Lab::new()?;
    let mut shop = Shop::start(&lab)?;
    let (desk, _) = shop.cluster.outside(&lab, "desk")?;
    shop.open()?;
    let all = &pods(&shop.cluster, 1) | &pods(&shop.cluster, 2);
    let (mut once, mut in_both) = (0, 0);
    let mut by_home = Clients::new();
    let start =
        |node| Khan::agent(&shop.cluster, node, &["--interval", "1s"])?.without_env("KHAN_CONTROLLER_URL").start();
    let agents = NODES.map(start).into_iter().collect::<Result<Vec<_>>>()?;
    for (node, agent) in NODES.into_iter().zip(&agents) {
        agent.get_when_ready(routes::READYZ)?;
        let snapshot: Snapshot = agent.get(routes::SNAPSHOT)?.json()?;
        let host = shop.cluster.node(node);
        let own = pods(&shop.cluster, node);
        let (here, elsewhere) = (witnessed(host, &own)?, witnessed(host, &(&all - &own))?);
        assert_eq!(told(&snapshot, Side::Client, &all), here, "node {node}: clients behind its own pods' interfaces");
        assert_eq!(told(&snapshot, Side::Unknown, &all), elsewhere, "node {node}: clients that live elsewhere");
        once += here.values().sum::<u64>();
        in_both += elsewhere.values().sum::<u64>();
        by_home.extend(here);
    }
    assert_eq!(once, shop.edges.values().sum::<u64>(), "the sum over side=\"client\" is what is held");
    assert!(in_both > 0, "some connections cross nodes");
    assert_eq!(top(&desk, &all)?, by_home);
    Ok(())
}

/// The controller ends before the first packet of a pod that its list did not have.
#[test]
fn a_pod_that_appears_while_the_controller_is_away_counts_once() -> Result {
    let lab = Lab::new()?;
    let mut shop = Shop::start(&lab)?;
    let (desk, _) = shop.cluster.outside(&lab, "desk")?;
    let plan = shop.cluster.plan();
    let pod = |ns, app, turn| plan.pods_of(ns, app).nth(turn).expect("it is planned").name.clone();
    let (late, near, far) = (pod("shop", "cart", 0), pod("shop", "web", 0), pod("shop", "web", 1));
    let addresses = |name: &str| plan.pod_addresses(name);
    let (client, near, far) = (addresses(&late)?, addresses(&near)?, addresses(&far)?);

    let controller = Khan::controller(&lab, &shop.cluster)?;
    let mut manifest = shop.cluster.manifest();
    let items = manifest["items"].as_array_mut().expect("a list");
    items.retain(|item| item["metadata"]["name"] != late);
    lab.file("cluster.json", manifest.to_string())?;
    let controller = controller.start()?;
    controller.get_when_ready(routes::READYZ)?;
    let agents = NODES.map(|node| Khan::start_agent(&shop.cluster, node, &["--interval", "1s"]));
    let agents = agents.into_iter().collect::<Result<Vec<_>>>()?;
    agents.iter().try_for_each(|agent| agent.get_when_ready(routes::READYZ).map(drop))?;
    controller.terminate()?;

    let from = shop.cluster.pod(&late)?;
    let held = [traffic::hold_tcp(from, near.v4_port(8080), 1)?, traffic::hold_tcp(from, far.v4_port(8080), 3)?];
    let (client, four, three) = (IpAddr::from(client.v4), 4, 3);
    let only = BTreeSet::from([client]);
    let sides = |agent: &Running| {
        let snapshot = Khan::next_snapshot(agent)?;
        Ok(Side::ALL.map(|side| told(&snapshot, side, &only).get(&client).copied().unwrap_or_default()))
    };
    let here = |side: Side, connections: u64| Side::ALL.map(|other| if other == side { connections } else { 0 });
    assert_eq!(sides(&agents[0])?, here(Side::Client, four), "its own node knows it by its route");
    assert_eq!(sides(&agents[1])?, here(Side::Unknown, three), "the other node cannot tell");
    for (node, wanted) in NODES.into_iter().zip([four, three]) {
        assert_eq!(witnessed(shop.cluster.node(node), &only)?[&client], wanted, "node {node}");
    }
    assert_eq!(top(&desk, &only)?, Clients::from([(client, four)]), "4 connections, not 7");

    // The controller is back and knows it.
    let back = Khan::start_controller(&lab, &shop.cluster)?;
    back.get_when_ready(routes::READYZ)?;
    until("its name on both nodes", PATIENCE, || {
        let sides = [sides(&agents[0]).ok()?, sides(&agents[1]).ok()?];
        (sides == [here(Side::Client, four), here(Side::Server, three)]).then_some(())
    })?;
    assert_eq!(top(&desk, &only)?, Clients::from([(client, four)]));
    drop(held);
    Ok(())
}
