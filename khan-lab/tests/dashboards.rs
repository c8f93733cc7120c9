//! Every panel's query, on a Prometheus with Khan's rules that scraped real agents: each answers, and says what its title
//! promises.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use khan_api::routes::{AGENT_PORT, CONTROLLER_PORT};
use khan_lab::cluster::{node_addresses, node_name};
use khan_lab::prometheus::{Job, Sample};
use khan_lab::shop::NODE_PORT;
use khan_lab::{Khan, Lab, Prometheus, Result, Shop, traffic, until};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(40);
/// What stands for `$window` in the queries.
const WINDOW: Duration = Duration::from_secs(10);
const DASHBOARDS: [&str; 4] = ["khan", "khan-app", "khan-node", "khan-health"];

/// Panels that list nothing where nothing is wrong.
const HEALTHY: [&str; 2] = ["Going nowhere", "Opened and closed"];

/// The labels of a series, and its value.
type Promise<'a> = (&'a [(&'a str, &'a str)], f64);

struct Panel {
    dashboard: &'static str,
    title: String,
    query: String,
}

fn deploy(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(path)
}

fn dashboard(name: &str) -> Value {
    let path = deploy(&format!("grafana/{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What Grafana puts in for a reader who chose the app shop/web and the second node, and all else.
fn chosen(query: &str) -> String {
    let instance = node_addresses(2).v4_port(AGENT_PORT).to_string();
    let window = format!("{}s", WINDOW.as_secs());
    let node = node_name(2);
    let variables = [
        ("$cluster", ".*"),
        ("$namespace", "shop"),
        ("$app", "web"),
        ("$node", &node),
        ("$instance", &instance),
        ("$window", &window),
        ("$__rate_interval", "15s"),
    ];
    let query = variables.iter().fold(query.to_owned(), |query, (name, value)| query.replace(name, value));
    assert!(!query.contains('$'), "an unknown variable in {query}");
    query
}

fn panels() -> Vec<Panel> {
    let mut panels = Vec::new();
    for name in DASHBOARDS {
        let all = dashboard(name);
        let charts = |panel: &&Value| panel["type"] != "row";
        for panel in all["panels"].as_array().expect("panels").iter().filter(charts) {
            let title = panel["title"].as_str().expect("a title").to_owned();
            assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{title} explains nothing");
            for target in panel["targets"].as_array().expect("targets") {
                let query = chosen(target["expr"].as_str().expect("a query"));
                panels.push(Panel { dashboard: name, title: title.clone(), query });
            }
        }
    }
    // What is new is so for a while only.
    let offset = format!("offset {}s", WINDOW.as_secs());
    panels.sort_by_key(|panel| !panel.query.contains(&offset));
    panels
}

/// `label_values(SERIES, LABEL)` of each query variable.
fn variables(dashboard: &Value) -> Vec<(String, String)> {
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let queries = variables.iter().filter_map(|variable| variable["query"]["query"].as_str());
    queries
        .map(|query| {
            let inner =
                query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).expect("label_values");
            let (series, label) = inner.rsplit_once(", ").expect("series and label");
            (chosen(series), label.to_owned())
        })
        .collect()
}

fn value_of(samples: &[Sample], labels: &[(&str, &str)]) -> Option<f64> {
    let matches = |sample: &&Sample| {
        labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|found| found == value))
    };
    samples.iter().find(matches).map(|sample| sample.value)
}

fn close(value: Option<f64>, expected: f64) -> bool {
    value.is_some_and(|value| (value - expected).abs() < 1e-9)
}

#[test]
fn every_panel_answers_what_its_title_promises() -> Result {
    let lab = Lab::new()?;
    let mut shop = Shop::start(&lab)?;
    let (browser, _) = shop.cluster.outside(&lab, "browser")?;
    let (monitoring, _) = shop.cluster.outside(&lab, "monitoring")?;
    let _khan = Khan::start(&lab, &shop.cluster, &["--interval", "1s", "--idle-threshold", "3s"])?;
    let agents = [1, 2].map(|node| node_addresses(node).v4_port(AGENT_PORT).to_string());
    let controller = shop.cluster.plan().pods_of("khan", "khan-controller").next().expect("planned").name.clone();
    let controller = shop.cluster.plan().pod_addresses(&controller)?.v4_port(CONTROLLER_PORT).to_string();
    let jobs = [
        Job { name: "khan-agent", targets: &[&agents[0], &agents[1]] },
        Job { name: "khan-controller", targets: &[&controller] },
    ];
    let rules = ["recording", "alerts"].map(|name| deploy(&format!("prometheus/{name}.yaml")).display().to_string());
    let prometheus = Prometheus::start(&lab, Some(&monitoring), &jobs, &[&rules[0], &rules[1]])?;

    shop.open()?;
    let _outside = traffic::hold_tcp(&browser, node_addresses(1).v4_port(NODE_PORT), 6)?;
    let old = format!("edge:khan_connection:sum offset {}s", WINDOW.as_secs());
    let cart_to_web = r#"{src_app="cart", dst_app="web"}"#;
    let held = shop.edges[&("cart".to_owned(), "web".to_owned())];
    let before = old.replace(" offset", &format!("{cart_to_web} offset"));
    prometheus.query_until(&before, PATIENCE, |samples| close(samples.first().map(|one| one.value), to_f64(held)))?;

    // Growth, and an edge that was not there.
    let web = shop.service("shop", "web")?;
    shop.hold(("shop", "cart", 0), "web", web.v4_port(80), 5)?;
    shop.hold(("shop", "web", 0), "web", web.v4_port(80), 4)?;
    let edge = |src: &str, dst: &str| to_f64(shop.edges[&(src.to_owned(), dst.to_owned())]);
    let new = r#"edge:khan_connection:sum{src_app="web", dst_app="web"}"#;
    prometheus.query_until(new, PATIENCE, |samples| close(samples.first().map(|one| one.value), edge("web", "web")))?;

    let to_web = edge("cart", "web") + edge("web", "web");
    let from_web = edge("web", "postgres") + edge("web", "dns") + edge("web", "web");
    let promises: BTreeMap<(&str, &str), Promise<'_>> = BTreeMap::from([
        (("khan", "New edges"), (&[("src_app", "web"), ("dst_app", "web")][..], edge("web", "web"))),
        (("khan", "Nodes seen"), (&[], 2.0)),
        (("khan", "Largest edges"), (&[("src_app", "cart"), ("dst_app", "web")], edge("cart", "web"))),
        (("khan-app", "To it"), (&[], to_web)),
        (("khan-app", "From it"), (&[], from_web)),
        (("khan-app", "Who talks to it"), (&[("src_ns", "shop"), ("src_app", "cart")], edge("cart", "web"))),
        (("khan-app", "Whom it talks to"), (&[("dst_ns", "data"), ("dst_app", "postgres")], edge("web", "postgres"))),
        // Two pods of each app and both families of one address each.
        (("khan-app", "Clients"), (&[], 5.0)),
        (("khan-health", "Agents with a snapshot"), (&[], 2.0)),
        (("khan-health", "Agents without"), (&[], 0.0)),
        (("khan-health", "Watches in sync"), (&[], 1.0)),
    ]);
    let mut kept = 0;
    for Panel { dashboard, title, query } in panels() {
        let promise = promises.get(&(dashboard, title.as_str()));
        kept += usize::from(promise.is_some());
        prometheus
            .query_until(&query, PATIENCE, |samples| match promise {
                Some((labels, value)) => close(value_of(samples, labels), *value),
                None => !samples.is_empty() || HEALTHY.contains(&title.as_str()),
            })
            .unwrap_or_else(|error| panic!("panel {title:?} of {dashboard}: {error}"));
    }
    assert_eq!(kept, promises.len(), "a promise is about a panel that is not there");

    for name in DASHBOARDS {
        for (series, label) in variables(&dashboard(name)) {
            let values = prometheus.query(&format!("count by ({label}) ({series})"))?;
            // Only a central Prometheus adds the label `cluster`.
            let named = values.iter().any(|sample| sample.labels.contains_key(&label));
            assert!(named || label == "cluster", "the variable of {label} in {name} offers nothing: {series}");
        }
    }
    every_rule_was_evaluated(&prometheus)
}

fn every_rule_was_evaluated(prometheus: &Prometheus) -> Result {
    let healthy = |answer: &Value| {
        let groups = answer["data"]["groups"].as_array()?;
        let rules: Vec<&Value> = groups.iter().filter_map(|group| group["rules"].as_array()).flatten().collect();
        let done = rules.iter().filter(|rule| rule["health"] == "ok").count();
        (done > 15 && done == rules.len()).then_some(())
    };
    let mut last = Value::Null;
    until("every rule to be healthy", PATIENCE, || {
        last = prometheus.get("/api/v1/rules").ok()?.json().ok()?;
        healthy(&last)
    })
    .inspect_err(|_| eprintln!("{last:#}"))
}

/// Numbers of connections are far below 2^53.
fn to_f64(count: u64) -> f64 {
    format!("{count}").parse().expect("a number")
}
