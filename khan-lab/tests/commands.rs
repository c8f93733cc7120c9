//! `khan conns`, `who`, `agents`, `doctor`, and recordings, on two nodes whose tables the kernel fills and `conntrack` reads.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use khan_lab::cluster::{node_addresses, node_name};
use khan_lab::program::Ended;
use khan_lab::shop::NODE_PORT;
use khan_lab::traffic::{Connections, hold_tcp};
use khan_lab::{Entry, Host, Khan, Lab, LabError, Program, Result, Shop, until};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// The shop with everybody connected, a browser that comes in through node 1, Khan, and a desk to look from.
struct Bench {
    shop: Shop,
    khan: Khan,
    desk: Host,
    browser: Connections,
    lab: Lab,
}

impl Bench {
    fn start() -> Result<Self> {
        let lab = Lab::new()?;
        let mut shop = Shop::start(&lab)?;
        shop.open()?;
        let (visitor, _) = shop.cluster.outside(&lab, "visitor")?;
        let browser = hold_tcp(&visitor, node_addresses(1).v4_port(NODE_PORT), 4)?;
        let (desk, _) = shop.cluster.outside(&lab, "desk")?;
        let khan = Khan::start(&lab, &shop.cluster, &["--interval", "1s"])?;
        Ok(Self { shop, khan, desk, browser, lab })
    }

    fn program(&self, arguments: &[&str]) -> Result<Program> {
        let quiet = Program::workspace("khan")?.args(arguments).without_env("KUBECONFIG").env("HOME", "/nonexistent");
        Ok(quiet.inside(&self.desk))
    }

    /// `khan` with the agents of both nodes.
    fn run(&self, arguments: &[&str]) -> Result<Ended> {
        let agents = [1, 2].map(Khan::agent_url).join(",");
        self.program(arguments)?.env("KHAN_AGENT", agents).output(PATIENCE)
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let ended = self.run(&[arguments, &["-o", "json"]].concat())?;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        serde_json::from_str(&ended.stdout).map_err(|_| LabError::Malformed(format!("{ended:?}")))
    }

    /// The TCP entries of a node's table, as `conntrack` reads it.
    fn witness(&self, node: u8) -> Result<Vec<Entry>> {
        let table = self.shop.cluster.node(node).witness()?;
        Ok(table.into_iter().filter(|entry| entry.protocol == 6).collect())
    }

    /// A socket of the browser that node 2 sees as one of node 1, with what is really behind it.
    fn masqueraded(&self) -> Result<(SocketAddr, SocketAddr)> {
        let web = self.shop.cluster.plan().pods_of("shop", "web").nth(1).expect("planned").name.clone();
        let web = self.shop.cluster.plan().pod_addresses(&web)?.v4_port(8080);
        let seen = self.witness(2)?.into_iter().find(|entry| {
            entry.orig.src == node_addresses(1).v4 && SocketAddr::new(entry.orig.dst, entry.orig.dst_port) == web
        });
        let seen = seen.ok_or_else(|| LabError::Malformed("node 2 sees no masqueraded client".into()))?.orig;
        let real = self.witness(1)?.into_iter().find(|entry| {
            (entry.reply.dst, entry.reply.dst_port, entry.reply.src) == (seen.src, seen.src_port, seen.dst)
        });
        let real = real.ok_or_else(|| LabError::Malformed("node 1 does not know who is behind it".into()))?.orig;
        Ok((SocketAddr::new(seen.src, seen.src_port), SocketAddr::new(real.src, real.src_port)))
    }
}

/// Client, what it dialled, and who answers, of each connection in the list.
fn ends(list: &Value) -> BTreeSet<[String; 3]> {
    let items = list["items"].as_array().expect("items").iter();
    let end = |end: &Value| {
        let ip = end["ip"].as_str().expect("an address").parse().expect("an address");
        let port = end["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        SocketAddr::new(ip, port).to_string()
    };
    let backend =
        |item: &Value| if item["backend"].is_null() { end(&item["destination"]) } else { end(&item["backend"]) };
    items.map(|item| [end(&item["source"]), end(&item["destination"]), backend(item)]).collect()
}

fn witnessed<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> BTreeSet<[String; 3]> {
    let ends = |entry: &Entry| {
        let (orig, reply) = (entry.orig, entry.reply);
        [(orig.src, orig.src_port), (orig.dst, orig.dst_port), (reply.src, reply.src_port)]
            .map(|(ip, port)| SocketAddr::new(ip, port).to_string())
    };
    entries.into_iter().map(ends).collect()
}

#[test]
fn single_connections_are_the_kernels_and_each_is_listed_once() -> Result {
    let bench = Bench::start()?;
    // Both pods of the app, one on each node, to servers on both nodes: half of it stands in two tables.
    let pods: Vec<_> = bench.shop.cluster.plan().pods_of("shop", "cart").collect();
    let mut expected = BTreeSet::new();
    for pod in &pods {
        let addresses = bench.shop.cluster.plan().pod_addresses(&pod.name)?.both();
        let table = bench.witness(pod.node)?;
        expected.extend(witnessed(table.iter().filter(|entry| addresses.contains(&entry.orig.src))));
    }
    let list = bench.json(&["conns", "--from", "app/shop/cart", "--proto", "tcp", "--limit", "500"])?;
    assert_eq!(ends(&list), expected);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(expected.len()), "each once: {list:#}");
    assert_eq!(list["metadata"]["truncated"], false);

    // The server's end and a port narrow it; names stand beside addresses.
    let postgres = bench.json(&["conns", "app/shop/cart", "--to", "app/data/postgres", "--port", "5432"])?;
    let expected: BTreeSet<_> = expected.into_iter().filter(|[_, _, server]| server.ends_with(":5432")).collect();
    assert_eq!(ends(&postgres), expected);
    for item in postgres["items"].as_array().expect("items") {
        assert!(item["client"].as_str().is_some_and(|name| name.starts_with("shop/cart-")), "{item}");
        assert_eq!(item["server"], "data/postgres-0");
        assert_eq!(item["state"], "ESTABLISHED");
    }

    // A namespace alone narrows what is asked for, not what is left of a sample.
    let data = bench.json(&["conns", "-n", "data", "--proto", "tcp", "--limit", "500"])?;
    let servers: BTreeSet<_> = bench.shop.cluster.plan().pod_addresses("postgres-0")?.both().into();
    let both = [bench.witness(1)?, bench.witness(2)?].concat();
    // Those across nodes stand in both tables, and node 1 says what was dialled.
    let clients: BTreeSet<_> = both
        .iter()
        .filter(|entry| servers.contains(&entry.reply.src))
        .map(|entry| (entry.orig.src, entry.orig.src_port))
        .collect();
    assert_eq!(data["items"].as_array().map(Vec::len), Some(clients.len()), "{data:#}");

    let some = bench.run(&["conns", "--from", "app/shop/cart", "--limit", "3"])?;
    assert_eq!(some.stdout.lines().count(), 1 + 3, "{some:?}");
    assert!(some.stderr.starts_with("note: 3 listed, of "), "{some:?}");
    let nobody = bench.run(&["conns", "-n", "nowhere"])?;
    assert_eq!((nobody.code, &*nobody.stdout), (Some(0), ""));
    assert_eq!(nobody.stderr, "No connections found in namespace nowhere.\n");
    Ok(())
}

#[test]
fn every_node_that_holds_a_part_is_read_and_one_that_is_away_is_said() -> Result {
    let mut bench = Bench::start()?;
    let (seen, _) = bench.masqueraded()?;
    let browser: BTreeSet<_> = bench.browser.local_addresses().iter().map(ToString::to_string).collect();
    let web = bench.shop.cluster.plan().pods_of("shop", "web").nth(1).expect("planned").name.clone();
    let address = bench.shop.cluster.plan().pod_addresses(&web)?.v4;
    // Behind node 1's port stands a pod of node 2: its own node sees node 1, and node 1 knows the browser.
    let through = |list: &Value| -> BTreeSet<String> {
        let port = node_addresses(1).v4_port(NODE_PORT).to_string();
        ends(list).into_iter().filter(|[_, dialled, _]| *dialled == port).map(|[client, ..]| client).collect()
    };
    let expected: BTreeSet<_> = bench
        .witness(1)?
        .iter()
        .filter(|entry| entry.reply.src == address && entry.orig.dst_port == NODE_PORT)
        .map(|entry| SocketAddr::new(entry.orig.src, entry.orig.src_port).to_string())
        .collect();
    assert!(!expected.is_empty() && expected.is_subset(&browser), "{expected:?}");
    until("the browser in the agents' snapshots", PATIENCE, || {
        let list = bench.json(&["top", "--external"]).ok()?;
        list["items"].as_array()?.iter().any(|item| item["port"] == NODE_PORT).then_some(())
    })?;
    // Agents read their tables in turn, which takes its time on a busy machine.
    let conns = ["conns", &format!("pod/shop/{web}"), "--proto", "tcp", "--limit", "500", "--agent-timeout", "30s"];
    let list = bench.json(&conns)?;
    assert_eq!(through(&list), expected, "{list:#}");
    assert!(ends(&list).iter().all(|[client, ..]| *client != seen.to_string()), "once: {list:#}");
    assert_eq!((&list["metadata"]["partial"], &list["metadata"]["missing"]), (&false.into(), &serde_json::json!([])));

    // Without the pod's own node the other one still tells its half, and nobody takes it for all there is.
    drop(bench.khan.agents.pop());
    let url = Khan::agent_url(2);
    let ended = bench.run(&[&conns[..], &["-o", "json"]].concat())?;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains(&format!("is not counted: {url} refused the connection")), "{ended:?}");
    let list: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(through(&list), expected, "{list:#}");
    assert_eq!(list["metadata"]["partial"], true, "{list:#}");
    assert!(list["metadata"]["missing"][0].as_str().is_some_and(|gap| gap.contains(&url)), "{list:#}");
    assert_eq!(bench.run(&[&conns[..], &["--strict"]].concat())?.code, Some(3));
    Ok(())
}

#[test]
fn who_names_the_owner_the_peers_and_the_client_behind_a_masquerade() -> Result {
    let bench = Bench::start()?;
    let (seen, real) = bench.masqueraded()?;
    assert_eq!(bench.browser.local_addresses().iter().filter(|address| **address == real).count(), 1);
    // A view in which the browser's connections have arrived.
    until("the browser in the agents' snapshots", PATIENCE, || {
        let list = bench.json(&["top", "--external"]).ok()?;
        let items = list["items"].as_array()?.iter();
        let held = items.filter(|item| item["port"] == NODE_PORT).filter_map(|item| item["conns"].as_u64());
        (held.sum::<u64>() == 4).then_some(())
    })?;
    // The socket that the server sees, and the node's address as a whole.
    for subject in [seen.to_string(), seen.ip().to_string()] {
        let answer = bench.json(&["who", &subject])?;
        let unmasked = answer["unmasked"].as_array().expect("a list").iter();
        let found = unmasked.filter(|one| one["seen"] == seen.to_string()).collect::<Vec<_>>();
        assert_eq!(found.len(), 1, "{subject}: {answer:#}");
        assert_eq!(found[0]["client"], real.to_string());
        assert_eq!(found[0]["dialled"], node_addresses(1).v4_port(NODE_PORT).to_string());
        assert_eq!(found[0]["node"], node_name(1));
        assert_eq!(
            (&answer["addresses"][0]["type"], &answer["addresses"][0]["name"]),
            (&"node".into(), &node_name(1).into())
        );
    }
    let text = bench.run(&["who", &seen.to_string()])?;
    let line = format!("{seen} is {real}, which dialled {}", node_addresses(1).v4_port(NODE_PORT));
    assert!(text.stdout.contains(&line), "{text:?}");
    // A socket without a masquerade has nobody behind it.
    let plain = bench.json(&["who", &real.to_string()])?;
    assert_eq!(plain["unmasked"], serde_json::json!([]));

    let peer = |list: &Value, name: &str| -> u64 {
        let peers = list.as_array().expect("peers").iter();
        peers.filter(|peer| peer["peer"] == name).filter_map(|peer| peer["conns"].as_u64()).sum()
    };
    let held = |src: &str, dst: &str| bench.shop.edges[&(src.to_owned(), dst.to_owned())];
    let postgres = bench.json(&["who", "app/data/postgres"])?;
    assert_eq!(peer(&postgres["connectedFrom"], "shop/cart"), held("cart", "postgres"));
    assert_eq!(peer(&postgres["connectedFrom"], "shop/web"), held("web", "postgres"));
    let pod = bench.json(&["who", "pod/postgres-0"])?;
    assert_eq!(pod["connectsTo"], serde_json::json!([]));
    assert_eq!(peer(&pod["connectedFrom"], "shop/web"), held("web", "postgres"));
    assert_eq!(pod["addresses"].as_array().map(Vec::len), Some(2), "both families: {pod:#}");

    // With the controller's word for it.
    let controller = bench.shop.cluster.plan().pods_of("khan", "khan-controller").next().expect("planned").name.clone();
    let controller = bench.shop.cluster.plan().pod_addresses(&controller)?.v4_port(khan_api::routes::CONTROLLER_PORT);
    let told = bench.json(&["who", "pod/postgres-0", "--controller", &controller.to_string()])?;
    assert_eq!(told["addresses"][0]["toldBy"], "controller");
    assert!(told["addresses"][0]["since"].is_string(), "{told:#}");

    let nobody = bench.run(&["who", "pod/nobody"])?;
    assert_eq!((nobody.code, &*nobody.stdout), (Some(0), ""), "notes are no data");
    assert!(nobody.stderr.contains("no owner has this name"), "{nobody:?}");
    Ok(())
}

#[test]
fn agents_and_doctor_tell_what_is_well_and_what_is_not() -> Result {
    let mut bench = Bench::start()?;
    let list = bench.json(&["agents"])?;
    for (item, node) in list["items"].as_array().expect("items").iter().zip([1, 2]) {
        let entries = item["entries"].as_u64().expect("a number");
        assert_eq!((&item["node"], &item["state"]), (&node_name(node).into(), &"ok".into()));
        assert!(entries >= bench.witness(node)?.len() as u64 / 2, "{item:#}");
        assert!(item["limit"].as_u64() > Some(entries));
        assert_eq!(item["unresolved"], 0);
    }
    let checks = |report: &Value, check: &str| -> Vec<(String, String)> {
        let found = report["items"].as_array().expect("items").iter().filter(|item| item["check"] == check);
        let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
        found.map(|item| (text(item, "state"), text(item, "finding"))).collect()
    };
    let well = bench.json(&["doctor"])?;
    assert_eq!(checks(&well, "agents"), [("ok".into(), "2 of 2 answer with fresh snapshots".into())]);
    assert_eq!(checks(&well, "Prometheus")[0].0, "-");

    // Node 2's agent ends.
    drop(bench.khan.agents.pop());
    let ended = bench.run(&["doctor", "--agent-timeout", "2s", "-o", "json"])?;
    assert_eq!(ended.code, Some(1), "a check failed: {ended:?}");
    let ill = serde_json::from_str(&ended.stdout).map_err(|_| LabError::Malformed(format!("{ended:?}")))?;
    let found = checks(&ill, "agents");
    assert_eq!(found[0], ("fail".into(), "1 of 2 answer with fresh snapshots".into()));
    let url = Khan::agent_url(2);
    assert!(found[1].1.starts_with(&format!("{url} refused the connection")), "{found:?}");
    let table = bench.run(&["agents", "--strict", "--agent-timeout", "2s"])?;
    assert_eq!(table.code, Some(3), "{table:?}");
    assert!(table.stdout.lines().any(|line| line.contains("failed") && line.contains(&url)), "{table:?}");
    Ok(())
}

#[test]
fn a_recording_shows_again_what_was_seen() -> Result {
    let mut bench = Bench::start()?;
    let name = bench.lab.folder().join("seen.khan").display().to_string();
    let watch = ["top", "--watch", "--count", "3", "--interval", "1s", "-o", "ndjson"];
    let agents = [1, 2].map(Khan::agent_url).join(",");
    let mut recording = bench.program(&watch)?.args(["--record", &name]).env("KHAN_AGENT", agents).start()?;
    // Something changes while it is watched.
    recording.wait_for_line("the first view", PATIENCE, |line| line.contains("postgres").then_some(()))?;
    let postgres = bench.shop.service("data", "postgres")?;
    bench.shop.hold(("shop", "cart", 0), "postgres", postgres.v4_port(5432), 9)?;
    assert_eq!(recording.wait(PATIENCE)?.code(), Some(0), "{}", recording.log());

    // Nobody is asked now: the agents are away, and the variable that names them does not matter.
    bench.khan.agents.clear();
    let again = bench.run(&["top", "-o", "json", "--replay", &name])?;
    assert_eq!(again.code, Some(0), "{again:?}");
    let again: Value = serde_json::from_str(&again.stdout).expect("JSON");
    assert_eq!(again["metadata"]["source"], "replay");
    // A view is written before it is printed, so all that was seen is there; and maybe one more, which came as the program ended.
    let rows = |lines: &str| -> BTreeSet<(String, Option<u64>)> {
        let rows = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        rows.map(|row| (row["key"].to_string(), row["conns"].as_u64())).collect()
    };
    let replayed = bench.run(&["top", "--watch", "--replay", &name, "-o", "ndjson"])?;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    let (seen, replayed) = (rows(&recording.stdout()), rows(&replayed.stdout));
    assert!(!seen.is_empty() && seen.is_subset(&replayed), "not recorded: {:?}", seen.difference(&replayed));
    // Watched again, every view comes back, in order, and then it ends.
    let blocks = bench.run(&["top", "--watch", "--replay", &name, "--columns", "source,destination,conns"])?;
    assert_eq!(blocks.code, Some(0), "{blocks:?}");
    let times: Vec<_> = blocks.stdout.lines().filter(|line| line.starts_with("20") && line.ends_with('Z')).collect();
    assert!(times.len() >= 3 && times.is_sorted(), "{times:?}");
    let agents = bench.run(&["agents", "--replay", &name, "-o", "csv", "--no-headers", "--columns", "node,state"])?;
    assert_eq!(agents.stdout, "node-1,ok\nnode-2,ok\n", "{agents:?}");
    let conns = bench.run(&["conns", "--replay", &name])?;
    assert_eq!((conns.code, &*conns.stdout), (Some(64), ""));
    assert!(conns.stderr.contains("a recording knows counts only"), "{conns:?}");
    Ok(())
}
