//! `khan problems` on two nodes: with real rules, each cause is told with the numbers of the kernel's tables, nothing else is, and
//! it is over when the cause is; where connections are in eBPF maps only, with the numbers of these.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use khan_api::{Snapshot, TableStats, routes};
use khan_lab::cluster::{Plan, node_addresses};
use khan_lab::ebpf::cilium::Clock;
use khan_lab::ebpf::{Connection, DataPlane, Here, Maps, Stage};
use khan_lab::seed::Closer;
use khan_lab::{Cluster, Host, Khan, Lab, LabError, Program, Result, traffic, until};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_mins(1);

fn plan() -> Plan {
    Plan::new(2)
        .deployment("shop", "checkout", "9wd6c", 1)
        .deployment("shop", "cart", "lm5tz", 1)
        .deployment("shop", "crawler", "v6zqp", 1)
        .stateful("data", "postgres", 0, 2)
        .max_connections(100)
        .service("data", "postgres", 5432, 5432)
        .with_khan(2)
}

/// The items of the list that a command of `khan` prints, asked of both agents.
fn items(desk: &Host, command: &[&str]) -> Result<Vec<Value>> {
    let agents = (1..=2).flat_map(|node| ["--agent".to_owned(), Khan::agent_url(node)]);
    let khan = Program::workspace("khan")?.args(command).args(["-o", "json"]).args(agents);
    let ended = khan.without_env("KUBECONFIG").env("HOME", "/nonexistent").inside(desk).output(PATIENCE)?;
    let malformed = || LabError::Malformed(format!("{ended:?}"));
    let list: Value = serde_json::from_str(&ended.stdout).map_err(|_| malformed())?;
    list["items"].as_array().cloned().ok_or_else(malformed)
}

/// Kind and sentence of each problem.
fn problems(desk: &Host) -> Result<Vec<(String, String)>> {
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    Ok(items(desk, &["problems"])?.iter().map(|item| (text(item, "kind"), text(item, "problem"))).collect())
}

/// Waits until these are the problems, in this order, each with a sentence that begins so.
fn until_problems(desk: &Host, expected: &[(&str, String)]) -> Result {
    let mut last = Vec::new();
    let waited = until("the problems", PATIENCE, || {
        last = problems(desk).ok()?;
        let same = |(found, expected): (&(String, String), &(&str, String))| {
            found.0 == expected.0 && found.1.starts_with(&expected.1)
        };
        (last.len() == expected.len() && last.iter().zip(expected).all(same)).then_some(())
    });
    waited.map_err(|error| LabError::Malformed(format!("{error}; there are {last:?}")))
}

#[test]
fn a_full_destination_and_ports_that_run_out_are_told_until_they_are_over() -> Result {
    let lab = Lab::new()?;
    let mut cluster = Cluster::start(&lab, plan())?;
    let (desk, _) = cluster.outside(&lab, "desk")?;
    let (payments, payments_address) = cluster.outside(&lab, "payments")?;
    for node in 1..=2 {
        // What ends leaves its port at once and not after two minutes.
        cluster.node(node).sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait", "1")?;
    }
    let pod = |app: &str| {
        let pod = cluster.plan().pods_of("shop", app).next().expect("planned");
        cluster.pod(&pod.name)
    };
    let database = cluster.pod("postgres-0")?;
    let postgres = traffic::TcpServer::start(database, cluster.plan().pod_addresses("postgres-0")?.v4_port(5432))?;
    let service = cluster.plan().service_addresses("data", "postgres")?.v4_port(5432);
    let gateway = payments_address.v4_port(443);
    let api = traffic::TcpServer::start(&payments, gateway)?;

    let _khan = Khan::start(&lab, &cluster, &["--interval", "1s", "--snat-ports", "600"])?;
    let kept = traffic::hold_tcp(pod("checkout")?, service, 51)?;
    let cart = traffic::hold_tcp(pod("cart")?, service, 12)?;
    let few = traffic::hold_tcp(pod("crawler")?, gateway, 100)?;
    postgres.wait_for_open(63)?;
    api.wait_for_open(100)?;
    until_problems(&desk, &[])?;

    let more = traffic::hold_tcp(pod("checkout")?, service, 20)?;
    let many = traffic::hold_tcp(pod("crawler")?, gateway, 400)?;
    postgres.wait_for_open(83)?;
    api.wait_for_open(500)?;
    let node = node_addresses(1).v4;
    let table = cluster.node(1).witness()?;
    let ports = table.iter().filter(|entry| {
        let reply = entry.reply;
        (reply.src, reply.src_port, reply.dst) == (gateway.ip(), gateway.port(), node.into())
    });
    assert_eq!(ports.count(), 500);
    let limit = "data/postgres: 83 of 100 connections, shop/checkout holds 71 of them".to_owned();
    let snat = format!("node-1 uses 500 of 600 ports of {node} to {gateway}, shop/crawler holds 500 of them");
    until_problems(&desk, &[("limit", limit), ("snat", snat.clone())])?;

    drop(more);
    postgres.wait_for_open(63)?;
    until_problems(&desk, &[("snat", snat)])?;
    drop(many);
    api.wait_for_open(100)?;
    until_problems(&desk, &[])?;
    drop((kept, cart, few));
    Ok(())
}

/// What node 1's maps hold, by who dials what, as `khan top` names them.
fn mapped(cluster: &Cluster) -> Result<Vec<([String; 2], Connection)>> {
    let plan = cluster.plan();
    let of = |ns: &str, app: &str| plan.pod_addresses(&plan.pods_of(ns, app).next().expect("planned").name);
    let clients = [of("shop", "checkout")?, of("shop", "cart")?, of("shop", "crawler")?];
    let [checkout, cart, crawler] = clients;
    let (database, service) = (of("data", "postgres")?, plan.service_addresses("data", "postgres")?);
    let outside = |port: u16| SocketAddr::from(([203, 0, 113, 9], port));
    let through = |client| Connection::tcp(client, service.v4_port(5432)).backend(database.v4_port(5432));
    let mut all = Vec::new();
    let mut put = |count: u16, [client, dialled]: [&str; 2], one: &dyn Fn(u16) -> Connection| {
        let ends = [client, dialled].map(str::to_owned);
        all.extend((0..count).map(|n| (ends.clone(), one(30_000 + n))));
    };
    put(60, ["shop/checkout", "data/postgres"], &|port| through(checkout.v4_port(port)));
    put(11, ["shop/checkout", "data/postgres"], &|port| {
        Connection::tcp(checkout.v6_port(port), service.v6_port(5432)).backend(database.v6_port(5432))
    });
    put(12, ["shop/cart", "data/postgres"], &|port| {
        through(cart.v4_port(port)).stage(Stage::HalfClosed(Closer::Server))
    });
    // Between two pods of the node, an entry for each end.
    put(30, ["shop/cart", "shop/checkout"], &|port| {
        Connection::tcp(cart.v4_port(port), checkout.v4_port(8080)).here(Here::Both)
    });
    put(1540, ["shop/crawler", "external/203.0.113.9"], &|port| Connection::tcp(crawler.v4_port(port), outside(443)));
    put(7, ["shop/crawler", "external/203.0.113.9"], &|port| Connection::udp(crawler.v4_port(port), outside(53)));
    put(9, ["shop/cart", "external/203.0.113.9"], &|port| {
        Connection::tcp(cart.v4_port(port), outside(25)).stage(Stage::Opening).idle(5)
    });
    Ok(all)
}

#[test]
fn connections_that_only_an_ebpf_map_has_are_counted_and_judged() -> Result {
    let lab = Lab::new()?;
    let mut cluster = Cluster::start(&lab, plan())?;
    let (desk, _) = cluster.outside(&lab, "desk")?;
    let maps = Maps::new(DataPlane::Cilium(Clock::Seconds), 2000)?;
    let all = mapped(&cluster)?;
    let root = maps.root();
    let maps_of_node_1 = ["--interval", "1s", "--bpf-fs", root.to_str().expect("a path of /proc")];
    let khan = Khan::start_with(&lab, &cluster, |node| maps_of_node_1[..if node == 1 { 4 } else { 2 }].to_vec())?;

    let (mut want, mut entries) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
    for (ends, connection) in &all {
        *want.entry(ends.clone()).or_default() += 1;
        for entry in maps.entries(connection) {
            *entries.entry(entry.map.to_owned()).or_default() += 1;
        }
    }
    // What is opening lives for a minute, which a busy machine may take.
    let fill = || all.iter().try_for_each(|(_, connection)| maps.put(connection));
    until("a scan of them", PATIENCE, || {
        fill().ok()?;
        let snapshot: Snapshot = khan.agents[0].get(routes::SNAPSHOT).ok()?.json().ok()?;
        let whole = |table: &TableStats| entries.get(table.name.as_str()).is_none_or(|number| *number == table.entries);
        snapshot.tables.iter().all(whole).then_some(())
    })?;

    let text = |end: &Value| end["text"].as_str().unwrap_or_default().to_owned();
    let mut counted = BTreeMap::<_, u64>::new();
    for item in items(&desk, &["top", "--once", "--limit", "0"])? {
        let ends = [&item["source"], &item["destination"]].map(text);
        if ends[0].starts_with("shop/") {
            *counted.entry(ends).or_default() += item["conns"].as_u64().unwrap_or_default();
        }
    }
    assert_eq!(counted, want);
    let agents = items(&desk, &["agents"])?;
    let tables = agents[0]["tables"].as_array().into_iter().flatten().skip(1);
    let told = tables.filter_map(|table| Some((table["name"].as_str()?.to_owned(), table["entries"].as_u64()?)));
    assert_eq!(told.filter(|(_, number)| *number > 0).collect::<BTreeMap<_, _>>(), entries);
    until_problems(
        &desk,
        &[
            ("unanswered", "shop/cart gets no answer from external/203.0.113.9:25: 9 tries wait".to_owned()),
            (
                "table",
                format!(
                    "the connection table cilium_ct4_global of node-1 is 88% full ({} of 2000)",
                    entries["cilium_ct4_global"]
                ),
            ),
            ("limit", "data/postgres: 83 of 100 connections, shop/checkout holds 71 of them".to_owned()),
        ],
    )
}
