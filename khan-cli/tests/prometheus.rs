//! A real Prometheus scrapes what agents would serve, and gives the same answers as the agents themselves.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use khan_api::snapshot::{Endpoint, Side};
use khan_api::{Snapshot, TableStats, Timestamp};
use khan_cli::feed::{self, Feed, News};
use khan_cli::model::history::Limits;
use khan_cli::model::leak::LeakReport;
use khan_cli::model::problems::{Memory, Rules, Scene};
use khan_cli::model::{
    Grain, GroupBy, History, LeakRule, NodeState, ProblemKind, Problems, Query, Row, SourceInfo, Verdict, View, leaks,
    project,
};
use khan_cli::sources::agents;
use khan_cli::sources::agents::route::DirectClient;
use khan_cli::sources::exchange::Bounds;
use khan_cli::sources::http_config::HttpConfig;
use khan_cli::sources::nodes::NodeChoice;
use khan_cli::sources::prometheus::client::Client;
use khan_cli::sources::prometheus::label_set::LabelSet;
use khan_cli::sources::prometheus::promql::TAKEN;
use khan_cli::sources::prometheus::run::{self, Plan};
use khan_lab::Lab;
use khan_lab::prometheus::{Job, Prometheus};
use serde_json::{Value, json};
use tokio::sync::watch;

use server::{Answer, Server};

#[path = "sources/forward.rs"]
mod forward;
#[expect(dead_code, reason = "what the other tests of sources use")]
#[path = "sources/server.rs"]
mod server;

type World = Arc<Mutex<BTreeMap<&'static str, Snapshot>>>;

fn end(ip: &str, kind: &str, ns: &str, app: &str, name: &str, node: &str) -> Value {
    json!({"ip": ip, "type": kind, "ns": ns, "app": app, "name": name, "node": node})
}

/// Two nodes with agents and one without, and every kind of client and destination.
fn world() -> World {
    let ends = [
        end("10.0.1.1", "pod", "shop", "web", "web-1", "n1"),
        end("10.0.1.2", "pod", "shop", "web", "web-2", "n1"),
        end("10.0.1.3", "pod", "shop", "", "debug", "n1"),
        end("10.0.2.1", "pod", "data", "db", "db-0", "n2"),
        end("10.0.3.1", "pod", "ops", "cron", "cron-1", "n3"),
        end("10.9.0.1", "service", "data", "db", "db", ""),
        end("192.168.0.1", "node", "", "", "n1", "n1"),
        end("192.168.0.3", "node", "", "", "n3", "n3"),
        end("198.51.100.7", "external", "", "", "", ""),
        end("203.0.113.9", "external", "", "", "partner", ""),
        end("10.0.1.99", "unknown", "", "", "", "n1"),
        end("10.0.2.0", "network", "", "", "n2", "n2"),
    ];
    let row = |src: u32, dst: u32, backend: u32, port: u16, side: &str, established: u64, waiting: u64| {
        let mut states = BTreeMap::from([("ESTABLISHED", established), ("TIME_WAIT", waiting)]);
        states.retain(|_, n| *n > 0);
        json!({"src": src, "dst": dst, "backend": backend, "port": port, "backend_port": port, "protocol": "tcp",
            "side": side, "connections": established + waiting, "states": states, "idle_connections": established / 2})
    };
    let first = vec![
        row(0, 5, 3, 5432, "client", 40, 2),
        row(1, 5, 3, 5432, "client", 8, 0),
        row(2, 3, 3, 5432, "client", 1, 0),
        row(6, 3, 3, 9100, "client", 3, 0),
        row(8, 0, 0, 443, "client", 11, 30),
        row(9, 0, 0, 443, "client", 6, 0),
        row(10, 3, 3, 5432, "client", 5, 0),
    ];
    let second = vec![
        // Counted on n1.
        row(0, 3, 3, 5432, "server", 40, 2),
        row(1, 3, 3, 5432, "server", 8, 0),
        row(2, 3, 3, 5432, "server", 1, 0),
        row(10, 3, 3, 5432, "server", 5, 0),
        // A client from outside, masqueraded by n1, which has counted it.
        row(6, 3, 3, 443, "server", 17, 0),
        // Nobody else can count these.
        row(4, 3, 3, 5432, "server", 13, 0),
        row(7, 3, 3, 9100, "server", 2, 0),
        row(3, 8, 8, 53, "client", 4, 0),
        row(11, 3, 3, 80, "client", 1, 0),
    ];
    let snapshot = |node: &str, rows: Vec<Value>| -> Snapshot {
        let total: u64 = rows.iter().map(|row| row["connections"].as_u64().unwrap()).sum();
        serde_json::from_value(json!({"schema": 1, "id": format!("{node}-1"), "node": node, "boot_id": "b",
            "version": "0.1.0", "taken": Timestamp::now(), "interval_millis": 30_000, "scan_millis": 20,
            "connections": total, "table": {"entries": total + 9, "limit": 262_144, "protocols": {"tcp": total, "icmp": 9}},
            "endpoints": ends, "rows": rows}))
        .unwrap()
    };
    let (first, mut second) = (snapshot("n1", first), snapshot("n2", second));
    let map = |name: &str, entries| TableStats { name: name.into(), entries, limit: 262_144, scan_micros: 1_500 };
    second.tables = vec![map("nf_conntrack", 4), map("cilium_ct4_global", 99)];
    Arc::new(Mutex::new(BTreeMap::from([("n1", first), ("n2", second)])))
}

/// The page of an agent with `--extra-labels dst_port,transport,state`, written without any of Khan's own code.
fn page(snapshot: &Snapshot) -> String {
    let (mut lines, mut idle) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
    let (mut stalled, mut unanswered) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
    let mut dead = BTreeMap::<String, u64>::new();
    let label = |name: &str, of: &Endpoint| {
        let ip = of.ip.map(|ip| ip.to_string()).unwrap_or_default();
        format!(
            "{name}_type=\"{}\",{name}_ip=\"{ip}\",{name}_ns=\"{}\",{name}_app=\"{}\",{name}_name=\"{}\"",
            if &*of.owner.app == "__other__" { "" } else { of.owner.kind.as_str() },
            of.owner.ns,
            of.owner.app,
            of.owner.name
        )
    };
    for row in &snapshot.rows {
        for (state, n) in &row.states {
            let labels = format!(
                "node=\"{}\",{},{},side=\"{}\",dst_port=\"{}\",transport=\"tcp\",state=\"{state}\"",
                snapshot.node,
                label("src", &snapshot.endpoints[row.src as usize]),
                label("dst", &snapshot.endpoints[row.dst as usize]),
                row.side.as_str(),
                row.port,
            );
            *lines.entry(labels.clone()).or_default() += n;
            if snapshot.endpoints[row.backend as usize].dead.is_some() {
                *dead.entry(labels.clone()).or_default() += n;
            }
            if *state == "ESTABLISHED".into() && row.idle_connections > 0 {
                *idle.entry(labels.clone()).or_default() += row.idle_connections;
            }
            if *state == "ESTABLISHED".into() && row.stalled > 0 {
                *stalled.entry(labels.clone()).or_default() += row.stalled;
            }
            if *state == "SYN_SENT".into() && row.unanswered > 0 {
                *unanswered.entry(labels).or_default() += row.unanswered;
            }
        }
    }
    let mut text = String::new();
    for (metric, lines) in [
        ("khan_connection", &lines),
        ("khan_connection_idle", &idle),
        ("khan_connection_stalled", &stalled),
        ("khan_connection_unanswered", &unanswered),
        ("khan_connection_dead_backend", &dead),
    ] {
        writeln!(text, "# TYPE {metric} gauge").unwrap();
        for (labels, n) in lines {
            writeln!(text, "{metric}{{{labels}}} {n}").unwrap();
        }
    }
    let age = Timestamp::now().since(snapshot.taken).as_secs_f64();
    if let Some(since) = snapshot.since {
        let compared = snapshot.taken.since(since).as_secs_f64();
        writeln!(text, "khan_agent_snapshot_compared_seconds {compared}").unwrap();
        writeln!(text, "# TYPE khan_connections_closed_total counter").unwrap();
        // As many a second as in the snapshot.
        for row in snapshot.rows.iter().filter(|row| row.ended > 0) {
            let app = |name: &str, at: u32| {
                let owner = &snapshot.endpoints[at as usize].owner;
                format!("{name}_type=\"{}\",{name}_ns=\"{}\",{name}_app=\"{}\"", owner.kind, owner.ns, owner.app)
            };
            let (src, dst, side) = (app("src", row.src), app("dst", row.dst), row.side.as_str());
            let total = (row.ended as f64 / compared * age).floor();
            let node = &snapshot.node;
            writeln!(text, "khan_connections_closed_total{{node=\"{node}\",{src},{dst},side=\"{side}\"}} {total}")
                .unwrap();
        }
    } else {
        writeln!(text, "khan_agent_snapshot_compared_seconds NaN").unwrap();
    }
    writeln!(text, "khan_agent_build_info{{version=\"{}\"}} 1", snapshot.version).unwrap();
    writeln!(text, "khan_agent_snapshot_age_seconds {age}").unwrap();
    writeln!(text, "khan_agent_scan_interval_seconds {}", snapshot.interval_millis / 1000).unwrap();
    for (protocol, n) in &snapshot.table.protocols {
        writeln!(text, "khan_conntrack_entries{{protocol=\"{protocol}\"}} {n}").unwrap();
    }
    writeln!(text, "khan_conntrack_entries_limit {}", snapshot.table.limit).unwrap();
    for TableStats { name, entries, limit, scan_micros } in &snapshot.tables {
        writeln!(text, "khan_agent_table_entries{{table=\"{name}\"}} {entries}").unwrap();
        writeln!(text, "khan_agent_table_limit{{table=\"{name}\"}} {limit}").unwrap();
        let seconds = Duration::from_micros(*scan_micros).as_secs_f64();
        writeln!(text, "khan_agent_table_scan_seconds{{table=\"{name}\"}} {seconds}").unwrap();
    }
    text
}

async fn agent(world: &World, node: &'static str) -> Server {
    let world = Arc::clone(world);
    Server::start(move |request| {
        let world = world.lock().unwrap();
        let Some(snapshot) = world.get(node) else { return Answer::text(503, "gone") };
        match request.path.split('?').next() {
            Some("/v1/snapshot") => Answer::json(snapshot),
            Some("/metrics") => {
                Answer::Http(200, vec![("content-type", "text/plain; version=0.0.4".into())], page(snapshot).into())
            }
            _ => Answer::text(404, "no such page"),
        }
    })
    .await
}

struct Bench {
    world: World,
    agents: [Server; 2],
    prometheus: Prometheus,
    _lab: Lab,
}

impl Bench {
    async fn start() -> Self {
        Self::of(|_, _| {}).await
    }

    /// With the nodes as `change` makes them.
    async fn of(change: impl FnOnce(&mut Snapshot, &mut Snapshot)) -> Self {
        let lab = Lab::new().unwrap();
        let world = world();
        {
            let mut world = world.lock().unwrap();
            let [n1, n2] = &mut *world.values_mut().collect::<Vec<_>>() else { unreachable!("two nodes") };
            change(n1, n2);
        }
        let agents = [agent(&world, "n1").await, agent(&world, "n2").await];
        let targets = agents.each_ref().map(|agent| agent.address.to_string());
        let (lab, prometheus) = tokio::task::spawn_blocking(move || {
            let targets = targets.each_ref().map(String::as_str);
            let prometheus = Prometheus::start(&lab, None, &[Job { name: "khan", targets: &targets }], &[]).unwrap();
            let both = |samples: &[khan_lab::prometheus::Sample]| samples.iter().any(|sample| sample.value >= 2.0);
            prometheus.query_until("count(khan_conntrack_entries_limit)", Duration::from_mins(1), both).unwrap();
            (lab, prometheus)
        })
        .await
        .unwrap();
        Self { world, agents, prometheus, _lab: lab }
    }

    fn client(&self) -> Client {
        let http = DirectClient::new(HttpConfig::default()).unwrap();
        let bounds = Bounds { deadline: Duration::from_secs(10), ..Bounds::default() };
        Client::http(self.prometheus.url().unwrap().parse().unwrap(), http, bounds)
    }

    async fn ask_prometheus(&self, query: &Query, window: Duration) -> Feed {
        self.ask_prometheus_about(query, window, NodeChoice::default()).await
    }

    async fn ask_prometheus_about(&self, query: &Query, window: Duration, nodes: NodeChoice) -> Feed {
        let plan = Plan { interval: Duration::from_secs(1), window, since: false, labels: LabelSet::of(query), nodes };
        run::start(self.client(), plan, SourceInfo::default()).await.unwrap()
    }

    /// One pod has opened more connections since the snapshot before.
    fn leak(&self, step: u64, more: u64) {
        let mut world = self.world.lock().unwrap();
        let snapshot = world.get_mut("n1").unwrap();
        (snapshot.id, snapshot.taken) = (format!("n1-leak-{step}").into(), Timestamp::now());
        snapshot.connections += more;
        let row = &mut snapshot.rows[0];
        row.connections += more;
        *row.states.get_mut(&"ESTABLISHED".into()).unwrap() += more;
    }

    fn ask_agents(&self) -> Feed {
        self.ask_agents_of(NodeChoice::default())
    }

    fn ask_agents_of(&self, nodes: NodeChoice) -> Feed {
        let (feeder, feed) = feed::channel(View::default());
        let urls = self.agents.each_ref().map(|agent| agent.url().parse().unwrap());
        let targets = watch::channel(agents::fixed(&urls, HttpConfig::default()).unwrap()).1;
        let plan = agents::poll::Plan { interval: Duration::from_secs(1), nodes, ..agents::poll::Plan::default() };
        tokio::spawn(agents::poll::run(feeder, targets, plan, SourceInfo::default()));
        feed
    }
}

async fn view(feed: &mut Feed, what: &str, right: impl Fn(&View) -> bool) -> Arc<View> {
    let latest = feed.views.clone();
    let found = tokio::time::timeout(Duration::from_mins(1), feed.views.wait_for(|view| right(view))).await;
    let found = found.unwrap_or_else(|_| panic!("never: {what}; the last view is {:#?}", latest.borrow().nodes));
    Arc::clone(&found.unwrap_or_else(|_| panic!("the source ended before: {what}")))
}

fn whole(view: &View) -> bool {
    view.settled && view.counted_nodes() == 2 && view.count(NodeState::Ok) == 2
}

/// Prometheus is not asked for addresses where apps are wanted, so it cannot tell that there is only one.
fn kind_of_external(end: &str) -> &str {
    end.strip_prefix("external/").filter(|rest| rest.parse::<std::net::IpAddr>().is_ok()).map_or(end, |_| "external")
}

fn table(view: &View, query: &Query) -> Vec<String> {
    let row = |row: &Row| {
        let (port, established) = (row.port.unwrap_or(0), row.sum.states.established());
        let node = row.node.as_deref().unwrap_or("-");
        let (connections, idle) = (row.sum.connections, row.sum.idle_connections);
        format!(
            "{} -> {}:{port} on {node}: {connections}, {established} established, {idle} idle",
            kind_of_external(row.source()),
            kind_of_external(row.destination())
        )
    };
    let mut rows: Vec<_> = project(view, query, &History::default()).rows.iter().map(row).collect();
    rows.sort();
    rows
}

/// Rows that only Prometheus's node can tell are told without the idle ones.
fn without_idle(rows: Vec<String>) -> Vec<String> {
    rows.into_iter().map(|row| row.rsplit_once(", ").unwrap().0.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_and_prometheus_give_the_same_answers() {
    let bench = Bench::start().await;
    let directly = view(&mut bench.ask_agents(), "both agents", whole).await;
    assert_eq!(directly.connections(), 126);
    let group = |text: &str| Query { group_by: text.parse::<GroupBy>().unwrap(), limit: 0, ..Query::default() };
    let filter = |text: &str| Query { filter: text.parse().unwrap(), ..group("src,dst") };
    let questions = [
        Query { limit: 0, ..Query::default() },
        group("src"),
        group("dst"),
        group("node"),
        group("src-ns,dst-ns"),
        group("src-pod"),
        group("src-ip,dst-ip,port"),
        group("src-type,dst-type"),
        group("state"),
        filter("src:10.0.1.0/24"),
        filter("dst:data/db port:5432 -src:external"),
        filter("state:time_wait"),
        Query { namespaces: vec!["ops".into()], ..group("src") },
    ];
    for query in &questions {
        let summed = view(&mut bench.ask_prometheus(query, Duration::ZERO).await, "both targets", whole).await;
        let (expected, found) = (table(&directly, query), table(&summed, query));
        assert!(!expected.is_empty(), "{query:?}");
        assert_eq!(without_idle(found), without_idle(expected), "{query:?}");
        assert_eq!(summed.connections(), 126);
    }
    for node in ["n1", "n2"] {
        // What the other node would count, this one does, since the other is not looked at.
        let nodes = NodeChoice::new(&[node.to_owned()]);
        let one = |view: &View| view.settled && view.nodes.len() == 1 && view.count(NodeState::Ok) == 1;
        let directly = view(&mut bench.ask_agents_of(nodes.clone()), "one agent", one).await;
        let mut feed = bench.ask_prometheus_about(&questions[0], Duration::ZERO, nodes).await;
        let summed = view(&mut feed, "one target", one).await;
        let [expected, found] = [&directly, &summed].map(|view| without_idle(table(view, &questions[0])));
        assert_eq!((found, summed.connections()), (expected, directly.connections()), "{node}");
    }
    let nodes = NodeChoice::new(&["n9".to_owned()]);
    let plan = Plan {
        interval: Duration::from_secs(1),
        window: Duration::ZERO,
        since: false,
        labels: LabelSet::of(&questions[0]),
        nodes,
    };
    let error = run::start(bench.client(), plan, SourceInfo::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "has no fresh series of node n9 (--node)");
    let query = filter("src:web");
    let summed = view(&mut bench.ask_prometheus(&query, Duration::ZERO).await, "both targets", whole).await;
    assert_eq!(table(&summed, &query), table(&directly, &query), "idle connections too");
    let node = &summed.nodes[0];
    assert_eq!((node.node.as_str(), node.version.as_str(), node.interval), ("n1", "0.1.0", Duration::from_secs(30)));
    let table = node.table.as_ref().unwrap();
    assert_eq!((table.entries, table.limit), (115, 262_144));
    for (summed, directly) in summed.nodes.iter().zip(&directly.nodes) {
        assert_eq!(summed.tables.len(), directly.tables.len());
        assert_eq!(summed.fullest().map(|table| &*table.name), directly.fullest().map(|table| &*table.name));
    }
    let maps = &summed.nodes[1];
    assert_eq!(maps.tables, directly.nodes[1].tables);
    assert_eq!(maps.table.as_ref().unwrap().entries, 4, "not those of the map, which the kernel's metric counts too");
    let apart = node.taken.unwrap().millis() - directly.nodes[0].taken.unwrap().millis();
    assert!(apart.abs() < 2_000, "the snapshot's own time, not the scrape's: {apart} ms apart");
}

/// What `change` makes of the two nodes' series has this sum.
async fn counts(expected: u64, change: impl FnOnce(&mut Snapshot, &mut Snapshot)) {
    let bench = Bench::of(change).await;
    let query = Query { limit: 0, ..Query::default() };
    let summed = view(&mut bench.ask_prometheus(&query, Duration::ZERO).await, "both targets", whole).await;
    assert_eq!(summed.connections(), expected, "{:#?}", table(&summed, &query));
}

/// Adds an endpoint and tells its number.
fn add(snapshot: &mut Snapshot, end: Value) -> u32 {
    snapshot.endpoints.push(serde_json::from_value(end).unwrap());
    u32::try_from(snapshot.endpoints.len() - 1).unwrap()
}

fn sum(kind: &str, ns: &str, app: &str, name: &str) -> Value {
    json!({"ip": null, "type": kind, "ns": ns, "app": app, "name": name})
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_one_node_folds_and_the_other_does_not_count_once() {
    // 13 are of a pod whose node has no agent; with everything of its kind in a sum, it may be among those.
    const CRON: u64 = 13;
    let by_app = counts(126, |n1, n2| {
        let web = add(n1, sum("pod", "shop", "web", ""));
        n1.rows.iter_mut().filter(|row| row.src < 2).for_each(|row| row.src = web);
        let node = add(n2, sum("node", "", "", ""));
        n2.rows.iter_mut().filter(|row| row.src == 6).for_each(|row| row.src = node);
    });
    let in_one = counts(126 - CRON, |n1, _| {
        let other = add(n1, sum("unknown", "", "__other__", "__other__"));
        n1.rows.iter_mut().filter(|row| row.src == 2).for_each(|row| (row.src, row.dst) = (other, other));
    });
    tokio::join!(by_app, in_one);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_clients_that_live_nobody_knows_where_count_once() {
    counts(126 + 9 + 5, |n1, n2| {
        let unknown = |snapshot: &mut Snapshot, ip: &str, connections: u64| {
            let src = add(snapshot, end(ip, "unknown", "", "", "", ""));
            let mut row = snapshot.rows[2].clone();
            row.states = BTreeMap::from([("ESTABLISHED".into(), connections)]);
            (row.src, row.side, row.connections) = (src, Side::Unknown, connections);
            snapshot.rows.push(row);
        };
        // The client's own node knows it by its routes, and has counted it.
        unknown(n2, "10.0.1.99", 5);
        // Nobody knows this one: the node that holds most of the pair counts it.
        unknown(n1, "10.7.7.7", 3);
        unknown(n2, "10.7.7.7", 9);
        // This one is seen once.
        unknown(n2, "10.7.7.8", 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leak_has_the_same_evidence() {
    const STEPS: u64 = 8;
    const ADDED: u64 = 10;
    let bench = Bench::start().await;
    let query = Query { limit: 0, ..Query::default() };
    // As khan leaks asks them.
    let prometheus = bench.ask_prometheus(&query.clone().by_pod(), Duration::ZERO).await;
    let mut found = Vec::new();
    let mut watched = [bench.ask_agents(), prometheus].map(|feed| {
        let mut history = History::with_limits(Limits { spacing: Duration::ZERO, ..Limits::default() });
        history.track(&query);
        (feed, history, Arc::<View>::default())
    });
    for step in 1..=STEPS {
        bench.leak(step, ADDED);
        for (feed, history, last) in &mut watched {
            let grown = |view: &View| whole(view) && view.connections() == 126 + step * ADDED;
            *last = view(feed, "the latest growth", grown).await;
            history.push(Arc::clone(last));
        }
    }
    for (_, history, last) in &watched {
        let report = leaks(last, &query, history, &LeakRule::default());
        let leak = |leak: &khan_cli::model::leak::Leak| {
            let pods: Vec<_> = leak.pods.iter().map(|(pod, n)| (pod.text.to_string(), *n)).collect();
            let ends = (leak.row.source().to_owned(), leak.row.destination().to_owned(), leak.row.port);
            (leak.verdict, ends, pods, leak.reasons.clone())
        };
        found.push(report.leaks.iter().map(leak).collect::<Vec<_>>());
    }
    let (verdict, ends, pods, reasons) = &found[0][0];
    assert_eq!((verdict, ends), (&Verdict::Likely, &("shop/web".into(), "data/db".into(), Some(5432))));
    let held = 42 + STEPS * ADDED;
    assert_eq!(pods[..], [("shop/web-1".to_owned(), held), ("shop/web-2".to_owned(), 8)]);
    assert_eq!(reasons[0], "1 of 2 pods holds 94%: shop/web-1 on n1");
    assert_eq!(found[1], found[0], "Prometheus, and the agents");
}

/// What is wrong with connections, as a view alone tells it.
fn problems(view: &View) -> Problems {
    let kinds = [ProblemKind::DeadBackend, ProblemKind::Unanswered, ProblemKind::Stalled, ProblemKind::Churn];
    problems_by(view, &Rules::default(), &kinds)
}

fn problems_by(view: &View, rules: &Rules, kinds: &[ProblemKind]) -> Problems {
    let query = Query { limit: 0, ..Query::default() };
    let (history, memory, leaks) = (History::default(), Memory::default(), LeakReport::default());
    let scene = Scene { view, query: &query, history: &history, memory: &memory, leaks: &leaks, rules };
    Problems::of(&scene, kinds)
}

fn sentences(problems: &Problems) -> Vec<&str> {
    problems.list.iter().map(|problem| problem.sentence.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_knows_what_goes_nowhere_and_what_churns_as_the_agents_do() {
    let bench = Bench::of(|first, second| {
        for snapshot in [&mut *first, second] {
            snapshot.since = Some(Timestamp::from_millis(snapshot.taken.millis() - 30_000));
            snapshot.names.controller = "http://controller:14719".into();
        }
        (first.rows[0].stalled, first.rows[0].ended) = (3, 45_000);
        // Two more of its connections go to a backend that is gone, and nobody acknowledges their data.
        let mut gone = first.endpoints[first.rows[0].backend as usize].clone();
        (gone.dead, gone.previous) = (Some(Timestamp::from_millis(first.taken.millis() - 3_600_000)), true);
        let mut dead = first.rows[0].clone();
        (dead.connections, dead.stalled, dead.ended) = (2, 2, 0);
        dead.states = [("ESTABLISHED".into(), 2)].into();
        dead.backend = u32::try_from(first.endpoints.len()).unwrap();
        first.endpoints.push(gone);
        first.rows.push(dead);
        first.connections += 2;
        let tries = &mut first.rows[1];
        (tries.connections, tries.unanswered) = (tries.connections + 12, 12);
        tries.states.insert("SYN_SENT".into(), 12);
    })
    .await;
    let mut query = Query { limit: 0, ..Query::default() }.by_pod();
    query.group_by.protocol = true;
    let directly = problems(&*view(&mut bench.ask_agents(), "both agents", whole).await);
    assert_eq!(
        sentences(&directly),
        [
            "2 of 64 connections from shop/web to data/db:5432 still go to data/db-0 (10.0.2.1), gone for 1h",
            "shop/web gets no answer from data/db:5432: 12 tries wait, from 1 of its 2 pods",
            "3 of 64 connections from shop/web to data/db:5432 are stalled: data is sent and nobody acknowledges it",
            "shop/web opens and closes 1500 connections a second to data/db:5432 instead of keeping some",
        ]
    );
    let mut feed = bench.ask_prometheus(&query, Duration::ZERO).await;
    // A rate over five minutes, of which there are but seconds: it is less than what the agents tell, and enough.
    let finds = |view: &View, kind| problems(view).list.iter().any(|problem| problem.kind == kind);
    // A backend is dead when two scrapes have said so.
    let both = |view: &View| finds(view, ProblemKind::Churn) && finds(view, ProblemKind::DeadBackend);
    let summed = problems(&*view(&mut feed, "both kinds", |view| view.counted_nodes() == 2 && both(view)).await);
    let unknown: Vec<_> = summed.unknown.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(unknown, []);
    let dead = "2 of 64 connections from shop/web to data/db:5432 still go to a dead backend";
    assert_eq!(sentences(&summed)[0], dead, "neither which nor when");
    assert_eq!(summed.list[0].evidence, ["still sending: shop/web-1 (2)", "seen on n1"]);
    assert_eq!(sentences(&summed)[1..3], sentences(&directly)[1..3]);
    let churn = &summed.list[3];
    assert!(churn.sentence.ends_with(" connections a second to data/db instead of keeping some"), "{}", churn.sentence);
    assert_eq!(churn.evidence[0], "seen on n1");
    assert!(churn.evidence[1].starts_with("50 are open now"), "{:?}", churn.evidence);
    assert_eq!(summed.list[2].evidence, directly.list[2].evidence, "the pods, too");
}

/// All nodes' connections to one address outside, where the agents export what a gateway tells ports apart by.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_tells_what_a_nat_gateway_holds_where_port_and_transport_are_exported() {
    let bench = Bench::start().await;
    let rules = Rules { gateway: NonZeroU32::new(5), ..Rules::default() };
    let found = |view: &View| problems_by(view, &rules, &[ProblemKind::Snat]);
    let directly = found(&*view(&mut bench.ask_agents(), "both agents", whole).await);
    let sentence =
        "n2 holds 4 connections to 198.51.100.7:53, for which their NAT gateway has 5 ports, data/db holds 4 of them";
    assert_eq!(sentences(&directly), [sentence]);
    let mut query = Query { limit: 0, ..Query::default() }.by_pod();
    query.group_by.dst = Some(Grain::Name);
    let mut feed = bench.ask_prometheus(&query, Duration::ZERO).await;
    let apart = found(&*view(&mut feed, "both targets", whole).await);
    assert!(apart.list.is_empty(), "{:?}", apart.list);
    assert_eq!(
        apart.unknown[1].1,
        "of a NAT gateway: the agents export no dst_port and transport, which --extra-labels adds"
    );
    query.group_by.protocol = true;
    let mut feed = bench.ask_prometheus(&query, Duration::ZERO).await;
    let summed = found(&*view(&mut feed, "both targets", whole).await);
    assert_eq!(summed.list, directly.list);
    let unknown: Vec<_> = summed.unknown.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(unknown, ["Prometheus is not asked for it"], "what each node translates");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_older_agents_never_told_prometheus_is_not_known_from_there() {
    let bench = Bench::start().await;
    let mut feed = bench.ask_prometheus(&Query::default(), Duration::ZERO).await;
    let found = problems(&*view(&mut feed, "both targets", whole).await);
    assert!(found.list.is_empty(), "{:?}", found.list);
    assert_eq!(
        found.not_known(),
        [
            "not known from here: dead-backend, unanswered, stalled, churn (Prometheus has it only of agents from 0.2 on that have scanned twice)"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_comes_first_and_a_lost_node_fades() {
    let bench = Bench::start().await;
    let client = bench.client();
    // The latest snapshots have to be younger than the newest moment of the past, which is ten seconds old.
    let scraped = async |expression: &str| {
        let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
        while client.query(expression, None).await.unwrap().series.len() < 2 {
            assert!(tokio::time::Instant::now() < deadline, "never: {expression}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    scraped("max by (node) (count_over_time(khan_connection[1m])) > 11").await;
    let taken = Timestamp::now();
    bench.world.lock().unwrap().values_mut().for_each(|snapshot| snapshot.taken = taken);
    scraped(&format!("{TAKEN} > {}", taken.seconds() - 1)).await;
    let query = Query::default();
    let mut feed = bench.ask_prometheus(&query, Duration::from_mins(1)).await;
    let now = view(&mut feed, "both targets", whole).await;
    let past = loop {
        if let News::Past(past) = feed.news.recv().await.unwrap() {
            break past;
        }
    };
    assert!(past.iter().all(|view| view.assembled < now.assembled));
    let latest = past.last().unwrap();
    assert_eq!(latest.connections(), 126);
    assert_eq!(table(latest, &query).len(), table(&now, &query).len());
    let mut history = History::default();
    history.track(&query);
    history.push(Arc::clone(&now));
    history.backfill(past);
    let projection = project(&now, &query, &history);
    assert_eq!(projection.rows[0].change.unwrap().delta, 0, "a trend at once");

    bench.world.lock().unwrap().remove("n2");
    let fading = view(&mut feed, "n2 fades", |view| view.count(NodeState::Stale) == 1).await;
    let lost = fading.nodes.iter().find(|node| node.state == NodeState::Stale).unwrap();
    let url = bench.prometheus.url().unwrap();
    assert_eq!(lost.failure.as_ref().unwrap().reason, format!("{url} has no fresh series of node n2"));
    assert_eq!(fading.connections(), 126, "its last rows are still there");
}
