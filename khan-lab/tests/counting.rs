//! What Prometheus says of two nodes, against the sockets that are really held.

use std::collections::BTreeSet;
use std::time::Duration;

use khan_api::routes::{self, AGENT_PORT};
use khan_lab::cluster::node_addresses;
use khan_lab::prometheus::{Job, Sample};
use khan_lab::shop::{Edges, NODE_PORT};
use khan_lab::{Khan, Lab, Program, Prometheus, Result, Shop, traffic};

const PATIENCE: Duration = Duration::from_secs(30);
const BY_APP: &str = r#"sum by (src_app, dst_app) (khan_connection{side="client", src_app!="", dst_app!=""})"#;

fn edges(samples: &[Sample]) -> Edges {
    let label = |sample: &Sample, name: &str| sample.labels.get(name).cloned().unwrap_or_default();
    samples.iter().map(|sample| ((label(sample, "src_app"), label(sample, "dst_app")), whole(sample.value))).collect()
}

/// Connections come in whole numbers.
fn whole(value: f64) -> u64 {
    format!("{value}").parse().expect("a whole number of connections")
}

#[test]
fn prometheus_counts_every_connection_once() -> Result {
    let lab = Lab::new()?;
    let mut shop = Shop::start(&lab)?;
    let (browser, browser_address) = shop.cluster.outside(&lab, "browser")?;
    let (monitoring, _) = shop.cluster.outside(&lab, "monitoring")?;
    let khan = Khan::start(&lab, &shop.cluster, &["--interval", "1s"])?;
    let targets = [1, 2].map(|node| node_addresses(node).v4_port(AGENT_PORT).to_string());
    let job = Job { name: "khan", targets: &[&targets[0], &targets[1]] };
    let prometheus = Prometheus::start(&lab, Some(&monitoring), &[job], &[])?;

    shop.open()?;
    let from_outside = traffic::hold_tcp(&browser, node_addresses(1).v4_port(NODE_PORT), 6)?;
    prometheus.query_until(BY_APP, PATIENCE, |samples| edges(samples) == shop.edges)?;

    // The way in is one connection, although it stands in two nodes' tables where its backend is on the other node.
    let way_in = format!(r#"sum(khan_connection{{side="client", src_ip="{}"}})"#, browser_address.v4);
    let all = from_outside.len() as u64;
    prometheus.query_until(&way_in, PATIENCE, |samples| samples.len() == 1 && whole(samples[0].value) == all)?;

    // Both sides together count the cross-node ones twice: three of six calls of this kind stay on their node.
    let both = r#"sum(khan_connection{src_app="cart", dst_app="postgres"})"#;
    prometheus.query_until(both, PATIENCE, |samples| samples.len() == 1 && whole(samples[0].value) == 9)?;

    // A leak shows as soon as it is scraped.
    let web = shop.service("shop", "web")?;
    shop.hold(("shop", "cart", 0), "web", web.v4_port(80), 20)?;
    prometheus.query_until(BY_APP, PATIENCE, |samples| edges(samples) == shop.edges)?;

    for agent in &khan.agents {
        for path in [routes::METRICS, routes::KHAN] {
            let page = agent.get(path)?.body;
            promtool_finds_nothing(&lab, &page)?;
            no_two_lines_are_the_same_series(&page);
        }
    }
    promtool_finds_nothing(&lab, &khan.controller.get(routes::METRICS)?.body)
}

fn promtool_finds_nothing(lab: &Lab, page: &str) -> Result {
    let page = lab.file("page.txt", page)?;
    let check = format!("promtool check metrics < {}", page.display());
    let ended = Program::new("/bin/sh").args(["-c", &check]).output(PATIENCE)?;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(0), "", ""));
    Ok(())
}

fn no_two_lines_are_the_same_series(page: &str) {
    let mut seen = BTreeSet::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').map_or(line, |(series, _)| series);
        assert!(seen.insert(series), "twice on one page: {series}");
    }
    assert!(page.contains("\nkhan_connection{"), "{page}");
}
