//! Pods are replaced while their connections still stand in the tables: what is left behind keeps the name of its previous
//! owner, and an owner that comes back under the same name and address is one line on the page. And what stays has no
//! connection to a backend that came later.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use khan_api::routes::{self, AGENT_PORT, CONTROLLER_PORT};
use khan_api::snapshot::Snapshot;
use khan_api::{Kind, Timestamp};
use khan_lab::cluster::{Plan, node_name};
use khan_lab::program::Running;
use khan_lab::{Cluster, Khan, Lab, LabError, Program, Result, Shop, traffic, until};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_mins(1);
/// kube-proxy's timeout of established connections, as the cluster sets it.
const ESTABLISHED: u32 = 86_400;
/// What the deleted pod held to the end, and what it had closed just before.
const HELD: u64 = 3;
const CLOSED: u64 = 2;
/// What a client holds to a pod of fixed name and address: from before its replacement, and since.
const BEFORE: u64 = 4;
const SINCE: u64 = 2;

fn snapshot(agent: &Running) -> Option<Snapshot> {
    agent.get(routes::SNAPSHOT).ok()?.json().ok()
}

/// Connections between two addresses by the owners of both ends, and whether they are previous ones.
type Owners = BTreeMap<[(String, bool); 2], u64>;

fn between(snapshot: &Snapshot, client: IpAddr, server: IpAddr) -> Owners {
    let mut owners = Owners::new();
    for row in &snapshot.rows {
        let ends = [row.src, row.dst].map(|end| &snapshot.endpoints[end as usize]);
        if ends.map(|end| end.ip) == [Some(client), Some(server)] {
            *owners.entry(ends.map(|end| (end.owner.name.to_string(), end.previous))).or_default() += row.connections;
        }
    }
    owners
}

/// The series of the page that have all of these fragments of labels, with their values. No series is there twice.
fn lines(agent: &Running, fragments: &[String]) -> Result<Vec<(String, u64)>> {
    let page = agent.get(routes::METRICS)?.body;
    let mut lines = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("khan_connection{")) {
        let (series, value) = line.rsplit_once(' ').ok_or_else(|| LabError::Malformed(line.to_owned()))?;
        let value = value.parse().map_err(|_| LabError::Malformed(line.to_owned()))?;
        assert_eq!(lines.insert(series.to_owned(), value), None, "twice on one page: {series}");
    }
    Ok(lines.into_iter().filter(|(series, _)| fragments.iter().all(|part| series.contains(part.as_str()))).collect())
}

#[test]
fn what_replaced_pods_leave_behind_keeps_its_name_and_no_line_is_there_twice() -> Result {
    let lab = Lab::new()?;
    let shop = Shop::start(&lab)?;
    let khan = Khan::start(&lab, &shop.cluster, &["--interval", "1s"])?;
    let plan = shop.cluster.plan();
    let name = |ns, app| plan.pods_of(ns, app).next().expect("it is planned").name.clone();
    let (deleted, client) = (name("shop", "cart"), name("shop", "web"));
    let postgres = plan.pod_addresses("postgres-0")?;
    let web = plan.pod_addresses(&plan.pods_of("shop", "web").nth(1).expect("it is planned").name)?;
    let ips = |of: &str| Ok::<_, LabError>(IpAddr::from(plan.pod_addresses(of)?.v4));
    let (deleted_ip, client_ip) = (ips(&deleted)?, ips(&client)?);
    let (web_ip, postgres_ip) = (IpAddr::from(web.v4), IpAddr::from(postgres.v4));

    let pod = shop.cluster.pod(&deleted)?;
    let few = |count: u64| usize::try_from(count).expect("few");
    let held = traffic::hold_tcp(pod, web.v4_port(8080), few(HELD))?;
    traffic::hold_tcp(pod, web.v4_port(8080), few(CLOSED))?.close()?;
    let before = traffic::hold_tcp(shop.cluster.pod(&client)?, postgres.v4_port(5432), few(BEFORE))?;
    let all_of_one = |snapshot: &Snapshot, gone: bool| {
        let owners = between(snapshot, deleted_ip, web_ip);
        let is_its = |[src, _]: &[(String, bool); 2]| *src == (deleted.clone(), gone);
        owners.values().sum::<u64>() == HELD + CLOSED && owners.keys().all(is_its)
    };
    let wait = |what: &str, is: &dyn Fn(&Snapshot) -> bool| {
        khan.agents
            .iter()
            .try_for_each(|agent| until(what, PATIENCE, || snapshot(agent).filter(|snapshot| is(snapshot))).map(drop))
    };
    wait("the present owner's name", &|snapshot| all_of_one(snapshot, false))?;

    // It is deleted: no FIN comes out any more, and the entries stay, in TIME_WAIT those that it had closed.
    pod.run(["ip", "link", "set", "eth0", "down"])?;
    let mut manifest = shop.cluster.manifest();
    let items = manifest["items"].as_array_mut().expect("a list");
    items.retain(|item| item["metadata"]["name"] != deleted);
    lab.file("cluster.json", manifest.to_string())?;
    wait("the previous owner's name", &|snapshot| all_of_one(snapshot, true))?;
    for (agent, side) in khan.agents.iter().zip(["client", "server"]) {
        let said = lines(agent, &[format!("src_ip=\"{deleted_ip}\"")])?;
        assert_eq!(said.iter().map(|(_, count)| count).sum::<u64>(), HELD + CLOSED, "{said:?}");
        for part in ["src_type=\"pod\"", &format!("src_name=\"{deleted}\""), &format!("side=\"{side}\"")] {
            assert!(said.iter().all(|(series, _)| series.contains(part)), "{part}: {said:?}");
        }
    }
    let top = Program::workspace("khan")?
        .args(["top", "--once", "-o", "json", "--group-by", "src-pod"])
        .args(["--agent", &format!("http://127.0.0.1:{AGENT_PORT}")])
        .without_env("KUBECONFIG")
        .inside(shop.cluster.node(1))
        .output(PATIENCE)?;
    let list: Value = serde_json::from_str(&top.stdout).map_err(|_| LabError::Malformed(format!("{top:?}")))?;
    let marked = list["items"].as_array().expect("items").iter().find(|item| item["source"]["name"] == deleted);
    let marked = marked.ok_or_else(|| LabError::Malformed(format!("no row of {deleted}: {list:#}")))?;
    assert_eq!([&marked["conns"], &marked["previous"]], [&json!(HELD + CLOSED); 2], "{marked:#}");
    assert_eq!(marked["flags"], json!(["PREVIOUS"]), "{marked:#}");

    // A pod of fixed name and address is replaced by another one, on the other node. Its older connections are not the new
    // pod's; on the page nothing tells the two apart.
    until("older connections", PATIENCE, || {
        let entries = shop.cluster.node(1).witness().ok()?;
        let mut old = entries.iter().filter(|entry| entry.orig.dst == postgres_ip);
        old.all(|entry| entry.timeout.is_some_and(|left| left + 4 <= ESTABLISHED)).then_some(())
    })?;
    let items = manifest["items"].as_array_mut().expect("a list");
    let replaced = items.iter_mut().find(|item| item["metadata"]["name"] == "postgres-0").expect("it is planned");
    let now = json!(Timestamp::now());
    replaced["metadata"]["uid"] = json!("postgres-0-again");
    replaced["metadata"]["creationTimestamp"] = now.clone();
    replaced["status"]["startTime"] = now;
    replaced["spec"]["nodeName"] = json!(node_name(1));
    lab.file("cluster.json", manifest.to_string())?;
    let since = traffic::hold_tcp(shop.cluster.pod(&client)?, postgres.v4_port(5432), few(SINCE))?;
    let life = |gone: bool| [(client.clone(), false), ("postgres-0".to_owned(), gone)];
    let both = Owners::from([(life(true), BEFORE), (life(false), SINCE)]);
    wait("both lives of postgres-0", &|snapshot| between(snapshot, client_ip, postgres_ip) == both)?;
    for agent in &khan.agents {
        let said = lines(agent, &[format!("src_ip=\"{client_ip}\""), format!("dst_ip=\"{postgres_ip}\"")])?;
        assert_eq!(said.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [BEFORE + SINCE], "{said:?}");
        assert!(said[0].0.contains(&format!("dst_type=\"{}\"", Kind::Pod.as_str())), "{said:?}");
    }
    drop((held, before, since));
    Ok(())
}

/// A service of three, all of whose connections go to the first at the beginning, and to the first two later: nobody has opened one since
/// the third came.
#[test]
fn a_backend_that_came_later_has_none_of_the_connections_that_stay() -> Result {
    const PORT: u16 = 8080;
    let lab = Lab::new()?;
    let plan = Plan::new(2)
        .deployment("shop", "web", "a1", 1)
        .deployment("shop", "web", "b2", 1)
        .stateful("data", "api", 0, 2)
        .stateful("data", "api", 1, 2)
        .stateful("data", "api", 2, 2)
        .service("data", "api", 80, PORT)
        .with_khan(2);
    let cluster = Cluster::start(&lab, plan)?;
    let plan = cluster.plan();
    let (node, service) = (cluster.node(1), plan.service_addresses("data", "api")?);
    let pods: Vec<_> = (0..3).map(|n| plan.pod_addresses(&format!("api-{n}"))).collect::<Result<_>>()?;
    let mut servers = Vec::new();
    for (n, pod) in pods.iter().enumerate() {
        servers.push(traffic::TcpServer::start(cluster.pod(&format!("api-{n}"))?, pod.v4_port(PORT))?);
    }
    // What kube-proxy had set while there were fewer; the plan's rules come after.
    let lead_to = |target: &str| {
        node.nft(&format!(
            "table ip early\ndelete table ip early\ntable ip early {{\nchain prerouting {{\n\
             type nat hook prerouting priority -101;\nip daddr {} tcp dport 80 dnat to {target}\n}}\n}}",
            service.v4,
        ))
    };
    let clients: Vec<_> = plan.pods_of("shop", "web").map(|pod| cluster.pod(&pod.name)).collect::<Result<_>>()?;
    lead_to(&format!("{}:{PORT}", pods[0].v4))?;
    let first = traffic::hold_tcp(clients[0], service.v4_port(80), 24)?;
    let second = traffic::hold_tcp(clients[1], service.v4_port(80), 20)?;
    lead_to(&format!("numgen inc mod 2 map {{ 0 : {}, 1 : {} }} : {PORT}", pods[0].v4, pods[1].v4))?;
    let later = traffic::hold_tcp(clients[0], service.v4_port(80), 4)?;

    // Built before anything waits for its answers.
    Program::workspace("khan")?;
    let khan = Khan::start(&lab, &cluster, &["--interval", "1s"])?;
    let controller = plan.service_addresses("khan", "khan-controller")?.v4_port(CONTROLLER_PORT);
    let ask = |command: &[&str]| {
        Program::workspace("khan")?
            .args(command)
            .args(["--agent", &Khan::agent_url(1), "--agent", &Khan::agent_url(2), "-o", "json"])
            .args(["--controller", &format!("http://{controller}"), "--balance-ready", "1s"])
            .without_env("KUBECONFIG")
            .inside(node)
            .output(PATIENCE)
    };
    let items = |command: &[&str]| {
        let ended = ask(command).ok()?;
        let list: Value = serde_json::from_str(&ended.stdout).ok()?;
        Some((ended, list["items"].as_array()?.clone()))
    };
    let found = until("an uneven service", PATIENCE, || {
        items(&["balance", "svc/data/api", "--exit-code"]).filter(|(ended, _)| ended.code == Some(5))
    })?;
    let [item] = &found.1[..] else { panic!("{found:?}") };
    assert_eq!([&item["service"], &item["spread"], &item["conns"]], [&json!("data/api"), &json!("UNEVEN"), &json!(48)]);
    let held_by = item["heldBy"].as_str().expect("a sentence");
    assert!(held_by.starts_with("46 on api-0, 2 on api-1, none on api-2 (ready for "), "{held_by}");
    assert!((item["skew"].as_f64().expect("a number") - 46.0 * 3.0 / 48.0).abs() < 1e-6, "{item:#}");
    // The kernel's own list says the same.
    let entries = node.witness()?;
    for (endpoint, pod) in item["endpoints"].as_array().expect("endpoints").iter().zip(&pods) {
        let theirs = entries.iter().filter(|entry| entry.orig.dst == service.v4 && entry.reply.src == pod.v4).count();
        assert_eq!((&endpoint["ip"], &endpoint["conns"]), (&json!(pod.v4), &json!(theirs)), "{item:#}");
    }
    let problems = || items(&["problems", "--kind", "imbalance"]).map(|(_, items)| items);
    // Whose connections last is known from the second scan on.
    let problem = until("the problem", PATIENCE, || problems().filter(|problems| problems.len() == 1))?;
    let sentence = problem[0]["problem"].as_str().expect("a sentence");
    assert!(
        sentence.starts_with(
            "the connections to data/api are uneven: 3 endpoints, 48 connections: 46 on api-0, 2 on api-1"
        ),
        "{sentence}"
    );

    // The clients connect again, and everybody has a part.
    drop((first, second, later));
    node.nft("delete table ip early")?;
    let again = [
        traffic::hold_tcp(clients[0], service.v4_port(80), 24)?,
        traffic::hold_tcp(clients[1], service.v4_port(80), 24)?,
    ];
    until("an even service", PATIENCE, || {
        items(&["balance", "svc/data/api"])
            .filter(|(_, items)| items.len() == 1 && items[0]["spread"] == "EVEN" && items[0]["conns"] == 48)
    })?;
    assert_eq!(problems(), Some(Vec::new()));
    drop((again, khan, servers));
    Ok(())
}
