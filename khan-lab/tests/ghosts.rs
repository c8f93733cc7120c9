//! Entries that outlive their pod while its address moves on: what a real agent says of them with a real controller that
//! remembers, and with one that does not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use khan_api::{Kind, Snapshot, Timestamp, routes};
use khan_lab::program::Running;
use khan_lab::{Entry, Host, Lab, Program, Result, host, traffic, until};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);
const ADDRESS: &str = "10.1.0.5";
/// What a pod leaves behind, and what its successor opens.
const LEFT: u64 = 6;
const HELD: u64 = 2;

fn pod(app: &str, started: Timestamp) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("{app}-0"), "namespace": "shop", "uid": format!("uid-{app}"), "labels": { "app": app },
            "creationTimestamp": started,
        },
        "spec": { "nodeName": "n1", "containers": [{ "name": app, "image": app }] },
        "status": {
            "phase": "Running", "startTime": started, "hostIP": "10.9.0.1", "podIP": ADDRESS,
            "podIPs": [{ "ip": ADDRESS }],
        },
    })
}

fn write(lab: &Lab, pods: &[Value]) -> Result<PathBuf> {
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": "n1", "uid": "uid-n1", "creationTimestamp": "2026-11-20T08:00:00Z" },
        "spec": { "podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"] },
        "status": { "addresses": [{ "type": "InternalIP", "address": "10.9.0.1" }] },
    });
    let items: Vec<&Value> = pods.iter().chain([&node]).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": items });
    lab.file("cluster.json", list.to_string())
}

fn controller(node: &Host, file: &PathBuf) -> Result<Running> {
    let program = Program::workspace("khan-controller")?.args(["--listen", "127.0.0.1:0", "--from-file"]).args([file]);
    let controller = program.inside(node).start()?;
    controller.get_when_ready(routes::READYZ)?;
    Ok(controller)
}

fn agent(node: &Host, controller: &Running) -> Result<Running> {
    let agent = Program::workspace("khan-agent")?
        .args(["--node-name", "n1", "--listen", "127.0.0.1:0", "--interval", "500ms", "--max-scan-cpu", "100"])
        .args(["--controller-url", &controller.url("")?])
        .inside(node)
        .start()?;
    agent.get_when_ready(routes::READYZ)?;
    Ok(agent)
}

type Owners = BTreeMap<(Kind, String), u64>;

/// Connections of the address that moves, by type and app. Nothing of what was left behind may ever be the successor's.
fn owners(agent: &Running) -> Result<Owners> {
    let snapshot: Snapshot = agent.get(routes::SNAPSHOT)?.json()?;
    let mut owners = Owners::new();
    for row in &snapshot.rows {
        let src = &snapshot.endpoints[row.src as usize];
        if src.ip.is_some_and(|ip| ip.to_string() == ADDRESS) {
            *owners.entry((src.owner.kind, src.owner.app.to_string())).or_default() += row.connections;
        }
    }
    let successor = owners.get(&(Kind::Pod, "new".to_owned())).copied().unwrap_or_default();
    assert!(successor <= HELD, "{successor} connections of the pod that holds {HELD}: {owners:?}");
    Ok(owners)
}

fn wait_for(agent: &Running, wanted: &[(Kind, &str, u64)]) -> Result {
    let wanted: Owners = wanted.iter().map(|(kind, app, count)| ((*kind, (*app).to_owned()), *count)).collect();
    let mut last = Owners::new();
    let met = until(&format!("{wanted:?}"), PATIENCE, || {
        last = owners(agent).expect("snapshots are served");
        (last == wanted).then_some(())
    });
    met.inspect_err(|_| println!("the last answer was {last:?}"))
}

fn attach(node: &Host, pod: &Host, name: &str) -> Result {
    host::link(
        host::Link { host: node, name, addresses: &["10.1.0.1/24"] },
        host::Link { host: pod, name: "eth0", addresses: &["10.1.0.5/24"] },
    )
}

#[test]
fn what_a_pod_left_behind_is_never_its_successors() -> Result {
    let lab = Lab::new()?;
    let (node, old, new) = (lab.host("node")?, lab.host("old")?, lab.host("new")?);
    node.track()?;
    attach(&node, &old, "old0")?;
    let server = traffic::TcpServer::start(&node, "10.1.0.1:0".parse().expect("an address"))?;
    let file = write(&lab, &[pod("old", Timestamp::now())])?;
    let remembers = controller(&node, &file)?;
    let first = agent(&node, &remembers)?;
    let left = traffic::hold_tcp(&old, server.address(), usize::try_from(LEFT).expect("few"))?;
    wait_for(&first, &[(Kind::Pod, "old", LEFT)])?;

    // The interface goes first, so no FIN comes out; the entries stay.
    node.run(["ip", "link", "delete", "old0"])?;
    drop((left, old));
    write(&lab, &[])?;
    let quiet =
        |entry: &Entry| entry.orig.src.to_string() != ADDRESS || entry.timeout.is_some_and(|left| left <= 432_000 - 6);
    until("the old connections to be idle for six seconds", PATIENCE, || {
        node.witness().ok()?.iter().all(quiet).then_some(())
    })?;
    owners(&first)?;

    // Its address goes to another.
    let file = write(&lab, &[pod("new", Timestamp::now())])?;
    attach(&node, &new, "new0")?;
    let held = traffic::hold_tcp(&new, server.address(), usize::try_from(HELD).expect("few"))?;
    wait_for(&first, &[(Kind::Pod, "old", LEFT), (Kind::Pod, "new", HELD)])?;
    assert_eq!(
        node.witness()?.iter().filter(|entry| entry.orig.src.to_string() == ADDRESS).count() as u64,
        LEFT + HELD
    );

    // Single connections have the same owners.
    let listed = Program::workspace("khan")?
        .args(["conns", ADDRESS, "--agent", &first.url("")?, "--limit", "100", "-o", "json", "--agent-timeout", "30s"])
        .without_env("KUBECONFIG")
        .inside(&node)
        .output(PATIENCE)?;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let mut clients = BTreeMap::new();
    for item in listed["items"].as_array().expect("items") {
        *clients.entry((item["client"].as_str().expect("a name"), item["clientPrevious"] == true)).or_default() += 1;
    }
    assert_eq!(clients, BTreeMap::from([(("shop/old-0", true), LEFT), (("shop/new-0", false), HELD)]), "{listed:#}");

    // A controller that was started since knows no previous owner.
    drop((first, remembers));
    let forgot = controller(&node, &file)?;
    let second = agent(&node, &forgot)?;
    wait_for(&second, &[(Kind::Unknown, "", LEFT), (Kind::Pod, "new", HELD)])?;
    drop(held);
    Ok(())
}
