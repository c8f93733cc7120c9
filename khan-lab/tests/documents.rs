//! What the documents say, on two nodes: the tables of `counting.md`, the queries of `migration.md`, and who holds connections
//! as the README asks it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use khan_api::Timestamp;
use khan_api::routes::{self, AGENT_PORT};
use khan_api::snapshot::Snapshot;
use khan_lab::cluster::{Plan, node_addresses};
use khan_lab::prometheus::Job;
use khan_lab::traffic::{self, Connections, TcpServer};
use khan_lab::{Cluster, Entry, Host, Khan, Lab, Prometheus, Result, until};

const PATIENCE: Duration = Duration::from_mins(1);
const NODE_PORT: u16 = 30080;

fn plan() -> Plan {
    Plan::new(2)
        .deployment("shop", "cart", "a", 1)
        .deployment("shop", "web", "b", 2)
        .stateful("data", "postgres", 0, 2)
        .service("shop", "web", 80, 8080)
        .node_port(NODE_PORT)
        .service("data", "postgres", 5432, 5432)
        .with_khan(2)
}

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of the tables between the heading and the next one, without the tables' own headings.
fn rows(document: &str, heading: &str) -> Vec<Vec<String>> {
    let section = document.split("\n## ").find(|section| section.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("no section {heading:?}"));
    let lines = section.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---")).skip(1);
    // A bar inside a cell is written with a backslash.
    let cells = |line: &str| {
        line.replace("\\|", "\0").trim_matches('|').split('|').map(|cell| cell.trim().replace('\0', "|")).collect()
    };
    lines.map(cells).collect()
}

/// One row of a table of `counting.md`.
#[derive(Debug)]
struct Example {
    node: u8,
    client: IpAddr,
    dialled: (IpAddr, u16),
    backend: (IpAddr, u16),
    answers_to: IpAddr,
    labels: Vec<String>,
    connections: u64,
}

fn examples(heading: &str) -> Vec<Example> {
    let ip = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text} is no address"));
    let port = |text: &str| {
        text.rsplit_once(':').map(|(host, port)| (ip(host), port.parse().expect("a port"))).expect("a port")
    };
    let read = |cells: Vec<String>| {
        let [node, orig, reply, metric] = <[String; 4]>::try_from(cells).expect("four cells");
        let (client, dialled) = orig.split_once(" → ").expect("an arrow");
        let (backend, answers_to) = reply.split_once(" → ").expect("an arrow");
        let (labels, connections) = metric.trim_matches('`').rsplit_once("} ").expect("labels and a number");
        Example {
            node: node.strip_prefix("node-").expect("a node").parse().expect("its number"),
            client: ip(client),
            dialled: port(dialled),
            backend: port(backend),
            answers_to: ip(answers_to),
            labels: labels.trim_start_matches('{').split(", ").map(str::to_owned).collect(),
            connections: connections.parse().expect("a number"),
        }
    };
    rows(&document("counting.md"), heading).into_iter().map(read).collect()
}

impl Example {
    fn is(&self, entry: &Entry) -> bool {
        (entry.orig.src, entry.orig.dst, entry.orig.dst_port) == (self.client, self.dialled.0, self.dialled.1)
            && (entry.reply.src, entry.reply.src_port, entry.reply.dst)
                == (self.backend.0, self.backend.1, self.answers_to)
    }

    /// The sum of the page's lines with these labels.
    fn counted(&self, page: &str) -> u64 {
        let lines = page.lines().filter_map(|line| line.strip_prefix("khan_connection{")?.rsplit_once("} "));
        let mine =
            lines.filter(|(labels, _)| self.labels.iter().all(|label| labels.split(',').any(|other| other == label)));
        mine.map(|(_, value)| value.parse::<u64>().expect("a number")).sum()
    }
}

struct Scene {
    lab: Lab,
    cluster: Cluster,
    outside: Host,
    _servers: Vec<TcpServer>,
}

impl Scene {
    fn start() -> Result<Self> {
        let lab = Lab::new()?;
        let mut cluster = Cluster::start(&lab, plan())?;
        let (outside, _) = cluster.outside(&lab, "outside")?;
        let mut servers = Vec::new();
        for (ns, app, address) in [("shop", "web", "0.0.0.0:8080"), ("data", "postgres", "0.0.0.0:5432")] {
            servers.push(TcpServer::start(pod(&cluster, ns, app)?, address.parse().expect("an address"))?);
        }
        Ok(Self { lab, cluster, outside, _servers: servers })
    }

    fn hold(&self, service: (&str, &str), port: u16, count: usize) -> Result<Connections> {
        let address = self.cluster.plan().service_addresses(service.0, service.1)?;
        traffic::hold_tcp(pod(&self.cluster, "shop", "cart")?, address.v4_port(port), count)
    }

    /// The kernel's tables and the agents' pages are as the document says.
    fn holds(&self, khan: &Khan, heading: &str) -> Result {
        let examples = examples(heading);
        assert!(!examples.is_empty(), "{heading}");
        let mut tuples = BTreeMap::<String, (u64, &Example)>::new();
        for example in &examples {
            let same = format!("{} {:?} {:?}", example.node, example.client, example.dialled);
            tuples.entry(same).or_insert((0, example)).0 += example.connections;
        }
        for (connections, example) in tuples.values() {
            let table = self.cluster.node(example.node).witness()?;
            let found = table.iter().filter(|entry| example.is(entry)).count() as u64;
            assert_eq!(found, *connections, "{heading}: {example:?} in {table:#?}");
        }
        let mut last = String::new();
        let said = until(&format!("the pages to be as in {heading:?}"), PATIENCE, || {
            examples
                .iter()
                .all(|example| {
                    last = khan.agents[usize::from(example.node) - 1]
                        .get(routes::METRICS)
                        .map(|page| page.body)
                        .unwrap_or_default();
                    example.counted(&last) == example.connections
                })
                .then_some(())
        });
        said.inspect_err(|_| eprintln!("{last}"))
    }
}

fn pod<'a>(cluster: &'a Cluster, ns: &str, app: &str) -> Result<&'a Host> {
    cluster.pod(&cluster.plan().pods_of(ns, app).next().expect("planned").name)
}

#[test]
fn counting_is_as_its_examples_say() -> Result {
    let scene = Scene::start()?;
    let khan = Khan::start(&scene.lab, &scene.cluster, &["--interval", "1s"])?;

    let _called = scene.hold(("shop", "web"), 80, 1)?;
    scene.holds(&khan, "A service called across nodes")?;

    let _from_outside = traffic::hold_tcp(&scene.outside, node_addresses(1).v4_port(NODE_PORT), 1)?;
    scene.holds(&khan, "A NodePort from outside")?;

    let _leaked = scene.hold(("data", "postgres"), 5432, 1)?;
    let postgres = scene.cluster.plan().service_addresses("data", "postgres")?;
    until("the leaked connection to be quiet for four seconds", PATIENCE, || {
        let table = scene.cluster.node(1).witness().ok()?;
        let leaked = table.iter().find(|entry| entry.orig.dst == postgres.v4)?;
        leaked.timeout.is_some_and(|left| left <= 86_400 - 4).then_some(())
    })?;
    let mut manifest = scene.cluster.manifest();
    let cart = manifest["items"]
        .as_array_mut()
        .expect("items")
        .iter_mut()
        .find(|item| item["metadata"]["labels"]["app"] == "cart");
    let cart = cart.expect("planned");
    let now = Timestamp::now().to_string();
    (cart["metadata"]["uid"], cart["metadata"]["name"]) = ("report-x".into(), "report-x".into());
    cart["metadata"]["labels"]["app"] = "report".into();
    (cart["metadata"]["creationTimestamp"], cart["status"]["startTime"]) = (now.clone().into(), now.into());
    scene.lab.file("cluster.json", format!("{manifest:#}\n"))?;
    let _own = scene.hold(("data", "postgres"), 5432, 2)?;
    scene.holds(&khan, "A leaked connection of a pod that is gone")?;
    let snapshot: Snapshot = khan.agents[0].get(routes::SNAPSHOT)?.json()?;
    let previous: Vec<_> =
        snapshot.endpoints.iter().filter(|one| one.previous).map(|one| one.owner.app.as_str()).collect();
    assert_eq!(previous, ["cart"]);
    Ok(())
}

#[test]
fn translated_queries_answer_what_the_original_asked() -> Result {
    let mut scene = Scene::start()?;
    let (monitoring, _) = scene.cluster.outside(&scene.lab, "monitoring")?;
    let _khan = Khan::start(&scene.lab, &scene.cluster, &["--interval", "1s", "--extra-labels", "state,backend"])?;
    let targets = [1, 2].map(|node| node_addresses(node).v4_port(AGENT_PORT).to_string());
    let job = Job { name: "khan-agent", targets: &[&targets[0], &targets[1]] };
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/recording.yaml").display().to_string();
    let prometheus = Prometheus::start(&scene.lab, Some(&monitoring), &[job], &[&rules])?;

    let _open = scene.hold(("data", "postgres"), 5432, 4)?;
    let _from_outside = traffic::hold_tcp(&scene.outside, node_addresses(1).v4_port(NODE_PORT), 3)?;
    scene.hold(("data", "postgres"), 5432, 2)?.close()?;
    // Answered by FIN or not, the client is done: the kernel calls that CLOSE_WAIT.
    let half_port = "0.0.0.0:9000".parse().expect("an address");
    let never_closing = TcpServer::start_never_closing(pod(&scene.cluster, "shop", "web")?, half_port)?;
    let web = scene.cluster.plan().pods_of("shop", "web").next().expect("planned").name.clone();
    let half = scene.cluster.plan().pod_addresses(&web)?.v4_port(never_closing.address().port());
    let half = traffic::hold_tcp(pod(&scene.cluster, "shop", "cart")?, half, 1)?;
    half.shut_down_writing()?;

    let queries: Vec<String> = rows(&document("migration.md"), "Queries, translated")
        .iter()
        .flat_map(|cells| cells[1].split('`').skip(1).step_by(2))
        .filter(|code| !code.starts_with("--"))
        .map(|query| query.replace("\"db\"", "\"postgres\""))
        .collect();
    assert_eq!(queries.len(), 9, "{queries:?}");
    for query in &queries {
        prometheus.query_until(query, PATIENCE, |samples| !samples.is_empty())?;
    }
    let client = r#"{side="client", src_app="cart"}"#;
    for (query, sum) in [
        // Six to postgres, of which two are closed, and one half-closed to web.
        (format!("sum({}{client})", "khan_connection"), 7.0),
        (queries[2].clone(), 6.0),
        (format!("sum({} and khan_connection{client})", queries[4]), 4.0),
        (format!("sum({} and khan_connection{client})", queries[5]), 2.0),
        (format!("sum({} and khan_connection{client})", queries[6]), 1.0),
        (
            format!(
                r#"sum({} and khan_connection{{side="client", dst_name="node-1", state="ESTABLISHED", src_ip="203.0.113.1"}})"#,
                queries[7]
            ),
            3.0,
        ),
    ] {
        prometheus.query_until(
            &query,
            PATIENCE,
            |samples| matches!(samples, [sample] if (sample.value - sum).abs() < 0.5),
        )?;
    }
    // Of the connections to web one was dialled as such, three came through the NodePort.
    let readme = document("../README.md");
    let holders: Vec<&str> = readme.lines().filter(|line| line.starts_with("topk(10, sum by (src_")).take(2).collect();
    for (query, app, sum) in [(holders[0], "postgres", 6.0), (holders[0], "web", 1.0), (holders[1], "web", 4.0)] {
        let ns = if app == "web" { "shop" } else { "data" };
        let query = query.replace("data/postgres", &format!("{ns}/{app}"));
        let query =
            query.replace("dst_ns=\"data\", dst_app=\"postgres\"", &format!("dst_ns=\"{ns}\", dst_app=\"{app}\""));
        prometheus.query_until(
            &format!("sum({query})"),
            PATIENCE,
            |samples| matches!(samples, [sample] if (sample.value - sum).abs() < 0.5),
        )?;
    }
    // The rule and the query that it stands for agree.
    let differ = format!("sum by (src_app, dst_app) ({}) != sum by (src_app, dst_app) ({})", queries[0], queries[1]);
    prometheus.query_until(&differ, PATIENCE, <[_]>::is_empty)?;
    Ok(())
}
