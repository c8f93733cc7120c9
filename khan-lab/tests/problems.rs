//! `khan problems` on two nodes with real rules: each cause is told with the numbers of the kernel's tables, nothing else is, and
//! it is over when the cause is.

use std::time::Duration;

use khan_lab::cluster::{Plan, node_addresses};
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

/// Kind and sentence of each problem.
fn problems(desk: &Host) -> Result<Vec<(String, String)>> {
    let agents = (1..=2).flat_map(|node| ["--agent".to_owned(), Khan::agent_url(node)]);
    let khan = Program::workspace("khan")?.args(["problems", "-o", "json"]).args(agents);
    let ended = khan.without_env("KUBECONFIG").env("HOME", "/nonexistent").inside(desk).output(PATIENCE)?;
    let malformed = || LabError::Malformed(format!("{ended:?}"));
    let list: Value = serde_json::from_str(&ended.stdout).map_err(|_| malformed())?;
    let items = list["items"].as_array().ok_or_else(malformed)?;
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    Ok(items.iter().map(|item| (text(item, "kind"), text(item, "problem"))).collect())
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
